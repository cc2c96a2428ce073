"""What every test shares: one thread, no network, the real data where it is, small random models."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import matplotlib

matplotlib.use("Agg")

from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from goals import Ledger, failures, record, write_page

LEDGER = Ledger()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="the larger figures of docs/reliability.md")
    parser.addoption("--reliability", metavar="FILE", help="write what was tried, by goal, to this page")


@pytest.fixture
def depth(request: pytest.FixtureRequest) -> Callable[[int, int], int]:
    """How much to try: ``depth(short, long)``."""
    long = request.config.getoption("--long")
    return lambda short, longer: longer if long else short


@pytest.fixture
def tried(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Count ``n`` tries of a kind for a goal of reliability, and fail where some failed.

    ``tried("R6", "bit flips of an RDM file", n, failures, note="...")``
    """

    def count(goal: str, what: str, n: int, found: Iterable[object] = (), *, note: str = "") -> None:
        assert n > 0, "nothing was tried"
        bad = failures(found)
        record(request.node.user_properties, goal, what, n=int(n), failed=len(bad), note=note)
        assert not bad, f"{len(bad)} of {n} failed: " + "; ".join(bad[:5])

    return count


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    LEDGER.read(report)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the page of reliability, once, in the process that started pytest."""
    target = session.config.getoption("--reliability")
    if target and not hasattr(session.config, "workerinput"):
        write_page(LEDGER, Path(target), long=session.config.getoption("--long"))


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder of the real data sets; tests that ask for it are skipped where it is missing."""
    root = os.environ.get("NEUROALIGN_DATA")
    if not root:
        pytest.skip("NEUROALIGN_DATA is not set: the real data sets are not at hand")
    return Path(root)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo) -> Iterator[None]:
    """Where NEUROALIGN_DATA is set, a data test that skips is a failure."""
    report = yield
    if report.skipped and item.get_closest_marker("data") and os.environ.get("NEUROALIGN_DATA"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} skipped although NEUROALIGN_DATA is set: {report.longrepr}"
    return report


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--long"):
        left_out = [item for item in items if item.get_closest_marker("long")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not item.get_closest_marker("long")]
    for item in items:
        for mark in item.iter_markers("goal"):
            record(item.user_properties, *mark.args)
        if "data_root" in getattr(item, "fixturenames", ()):
            item.add_marker("data")

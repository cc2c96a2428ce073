"""What every test shares: one thread, no network, the real data where it is, small random models."""

from __future__ import annotations

import os
from collections.abc import Iterator

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import matplotlib

matplotlib.use("Agg")

from pathlib import Path

import numpy as np
import pytest


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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "data_root" in getattr(item, "fixturenames", ()):
            item.add_marker("data")

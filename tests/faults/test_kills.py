"""kill -9 of the whole process group of a running study at a random moment, then ``neuroalign resume``."""

from __future__ import annotations

from itertools import count

import numpy as np
import pytest
from tiny_study import INTERRUPT, KILL, MOMENTS, TERM, Chain, differences, undisturbed

pytestmark = pytest.mark.slow

A_CHAIN = 7  # disturbances of one folder, after which the study must end well


def disturbed(whole, folder, plan, rng) -> tuple[int, list[str]]:
    """Cut off runs of a study as planned, each moment counted; return how many were, and what went wrong."""
    n, wrong, left = 0, [], list(plan)
    for k in count():
        if not left:
            return n, wrong
        chain, now = Chain(whole, folder / str(k)), left[:A_CHAIN]
        for i, (number, moment) in enumerate(now):
            if not chain.disturb(number, moment, rng):
                left = [*now[i:], *left[len(now) :]]  # it had ended before: the rest in a new folder
                break
            n += 1
        else:
            left = left[len(now) :]
        chain.finish()
        wrong += [f"chain {k}: {one}" for one in [*chain.wrong, *differences(chain.folder, whole.folder)]]
        assert k < 10 + len(plan), "the runs end before they can be disturbed"
    raise AssertionError


def test_runs_that_were_killed_end_like_the_undisturbed_one(tmp_path, tmp_path_factory, tried, depth):
    rng = np.random.default_rng(2026)
    n_kills, whole = depth(5, 70), undisturbed(tmp_path_factory)
    moments = [*MOMENTS, "in a job"] * (n_kills // 5)
    plan = [(KILL, moment) for moment in moments] + [(TERM, "in a job"), (INTERRUPT, "in a job")]
    plan = [plan[i] for i in rng.permutation(len(plan))]
    n, wrong = disturbed(whole, tmp_path, plan, rng)
    assert n == len(plan)
    what = "kill -9 (and one SIGTERM, one Ctrl-C) of a study's process group at a random moment, then resume"
    tried("R3", what, n, wrong, note="on 1 or 2 cores; every file byte for byte, nothing done twice or left")


@pytest.mark.long
def test_runs_with_an_extraction_that_were_killed_end_like_the_undisturbed_one(
    tmp_path, tmp_path_factory, tried
):
    rng, whole = np.random.default_rng(2027), undisturbed(tmp_path_factory, network=True)
    plan = [(KILL, moment) for moment in rng.choice(MOMENTS, size=30, p=[0.1, 0.1, 0.6, 0.2])]
    n, wrong = disturbed(whole, tmp_path, plan, rng)
    tried("R3", "kill -9 of a study that extracts activations", n, wrong)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(8))
def test_runs_killed_at_further_moments_end_like_the_undisturbed_one(tmp_path, tmp_path_factory, tried, seed):
    rng, whole = np.random.default_rng(3000 + seed), undisturbed(tmp_path_factory)
    plan = [(KILL, moment) for moment in rng.permutation([*MOMENTS, "in a job"] * 10)]
    n, wrong = disturbed(whole, tmp_path, plan, rng)
    assert n == 50
    tried("R3", "kill -9 of a study's process group at further random moments", n, wrong)


def test_run_that_hears_nothing_is_told_by_its_parent(tmp_path, tmp_path_factory, tried):
    """Ctrl-C for the parent alone (``kill -INT``) ends the children too, and leaves no lock."""
    whole = undisturbed(tmp_path_factory)
    folder = whole.clone.folder(tmp_path / "one")
    run = whole.clone.start("run", folder)
    assert run.wait_for("Building DAG")
    run.process.send_signal(INTERRUPT)
    assert run.end() == 130
    left = [str(path) for path in folder.rglob(".neuroalign-*")]
    left += [str(path) for path in (folder / ".snakemake" / "locks").rglob("*")]
    tried("R3", "Ctrl-C for `neuroalign run` alone", 1, left)

"""The same study again, on one core and on two, gives the same bytes."""

from __future__ import annotations

import pytest
from tiny_study import differences, undisturbed

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    "network", [pytest.param(False, id="tables"), pytest.param(True, id="network", marks=pytest.mark.long)]
)
def test_reruns_give_the_same_bytes(tmp_path, tmp_path_factory, tried, depth, network):
    whole = undisturbed(tmp_path_factory, network=network)
    clone, wrong, n = whole.clone, [], depth(1, 5)
    for k in range(n):
        folder = clone.folder(tmp_path / str(k))
        run = clone.run("run", folder, cores=1 + k % 2)
        assert run.process.returncode == 0, run.said[-3000:]
        wrong += [f"rerun {k}: {one}" for one in differences(folder, whole.folder)]
    tried("R13", f"reruns on 1 or 2 cores, {'extraction' if network else 'tables'}", n, wrong)


@pytest.mark.long
def test_jobs_in_another_order_give_the_same_bytes(tmp_path, tmp_path_factory, tried):
    """What can be done first by the graph is done first: the extraction, then the RDMs, and the reverse."""
    whole = undisturbed(tmp_path_factory, network=True)
    wrong, orders = [], []
    for k, first in enumerate(["own_rdms", "own_activations"] * 2):
        folder = whole.clone.folder(tmp_path / str(k))
        orders.append(whole.clone.in_order(folder, first, cores=1 + k // 2))
        wrong += [
            f"{first} first: {one}" for one in differences(folder, whole.folder) if "digests" not in one
        ]
    assert {tuple(order[:2]) for order in orders} == {
        ("own_rdms", "own_activations"),
        ("own_activations", "own_rdms"),
    }
    tried("R13", "jobs in another order", len(orders), wrong)

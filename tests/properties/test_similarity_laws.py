"""Laws of similarity between representations that its own folder does not try."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from laws import SEEDS, law, noise, patterns, rotation

from neuroalign import similarity as sim
from neuroalign.similarity.measures import ONE_WAY

N, K = 14, 3
NEEDS_K = ("mutual-knn", "jaccard", "second-order-cosine", "cknna")
UNBOUNDED = {"bures-distance", "shape-whitened", "soft-matching-distance"}


def measure(name, x, y):
    return float(sim.MEASURES[name](x, y, **({"k": K} if name in NEEDS_K else {})))


def two(seed, u=4, v=5):
    shared = noise(N, 4, seed=seed)
    x = patterns(shared @ noise(4, u, seed=seed + 1) + noise(N, u, seed=seed + 2))
    return x, patterns(shared @ noise(4, v, seed=seed + 3) + noise(N, v, seed=seed + 4))


@pytest.mark.parametrize("name", list(sim.MEASURES))
@law(6)
@given(seed=SEEDS)
def test_measures_are_bounded_and_best_with_themselves(name, seed):
    x, y = two(seed)
    own, other = measure(name, x, x), measure(name, x, y)
    if name in sim.DISTANCES:
        assert own == pytest.approx(0, abs=2e-6) and other >= own - 2e-6
        assert name in UNBOUNDED or other <= np.pi / 2 + 1e-9
    else:
        assert own == pytest.approx(1, abs=1e-6) and other <= 1 + 1e-9


@pytest.mark.parametrize("name", [name for name in sim.MEASURES if name not in ONE_WAY])
@law(6)
@given(seed=SEEDS)
def test_measures_do_not_depend_on_who_comes_first(name, seed):
    x, y = two(seed)
    assert measure(name, x, y) == pytest.approx(measure(name, y, x), abs=1e-6)


@law(15)
@given(seed=SEEDS, cut=st.integers(1, N - 1), unbiased=st.booleans())
def test_streamed_cka_is_that_of_all_rows(seed, cut, unbiased):
    estimator = "unbiased" if unbiased else "biased"
    x, y = two(seed)
    found = sim.StreamedCKA(estimator)
    for part in (slice(0, cut), slice(cut, None)):
        found.update(x.values[part], y.values[part])
    expected = sim.cka(x, y, estimator=estimator)
    assert float(found.value()) == pytest.approx(float(expected), abs=1e-10)


@law(15)
@given(seed=SEEDS)
def test_procrustes_removes_what_a_rotation_a_scale_and_a_shift_put_in(seed):
    x = noise(N, 4, seed=seed)
    y = 3.7 * x @ rotation(4, seed) + noise(4, seed=seed + 1)
    assert float(sim.procrustes(patterns(x), patterns(y))) == pytest.approx(1, abs=1e-9)
    assert float(sim.shape_distance(patterns(x), patterns(y))) == pytest.approx(0, abs=2e-6)


@law(10)
@given(seed=SEEDS, k=st.integers(1, N - 2))
def test_shared_neighbours_are_a_share_and_jaccard_counts_fewer(seed, k):
    x, y = two(seed)
    found = float(sim.mutual_knn(x, y, k=k))
    assert 0 <= float(sim.jaccard(x, y, k=k)) <= found + 1e-12 <= 1 + 1e-12


@law(10)
@given(seed=SEEDS)
def test_matching_finds_a_permutation_and_is_never_above_the_free_choice(seed):
    x, y = two(seed, 5, 5)
    order = np.random.default_rng(seed).permutation(5)
    shuffled = x.isel(unit=order).assign_coords(unit=np.arange(5))
    assert float(sim.hard_matching(x, shuffled)) == pytest.approx(1, abs=1e-12)
    pairs = sim.match_units(x, y, how="one-to-one")
    free = sim.best_partners(x, y)
    assert float(pairs["r"].mean()) <= float(free["r_x"].mean()) + 1e-12


@law(10)
@given(seed=SEEDS)
def test_relative_representations_do_not_see_a_rotation(seed):
    x = noise(N, 4, seed=seed)
    anchors = ["s00", "s03", "s07"]
    first = sim.relative_representation(patterns(x), anchors)
    second = sim.relative_representation(patterns(2.0 * x @ rotation(4, seed)), anchors)
    np.testing.assert_allclose(first.values, second.values, atol=1e-9)

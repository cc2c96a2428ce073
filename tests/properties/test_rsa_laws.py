"""Laws of dissimilarities, comparators and topological transforms."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from laws import SEEDS, law, noise, patterns, rdms, rotation

from neuroalign import rsa, schema
from neuroalign.rsa import topology

PLAIN = ("correlation", "cosine", "euclidean", "sqeuclidean", "mahalanobis", "poisson")
IN_RUNS = ("crossnobis", "poisson-cv", "correlation-cv")
METRICS = (*PLAIN, *IN_RUNS, "decoding")
BOUNDS = {"correlation": (0, 2), "cosine": (0, 2), "decoding": (0, 1)}
# What each distance does not see, by its definition.
BLIND = {
    "correlation": ("shift a pattern", "scale a pattern", "permute"),
    "cosine": ("scale a pattern", "rotate", "permute"),
    "euclidean": ("shift a unit", "rotate", "permute"),
    "sqeuclidean": ("shift a unit", "rotate", "permute"),
    "mahalanobis": ("shift a unit",),
    "crossnobis": ("shift a unit", "shift a run", "rotate", "permute"),
    "poisson": ("permute",),
    "poisson-cv": ("permute",),
    "correlation-cv": ("scale all", "permute"),
    "decoding": ("shift a unit", "permute"),
}
# By how much a distance grows when all patterns are multiplied by c.
POWER = {"euclidean": 1, "mahalanobis": 2, "sqeuclidean": 2, "crossnobis": 2, "poisson": 1, "poisson-cv": 1}
# Uneven noise of the six units of every pattern here.
RESIDUALS = xr.DataArray(
    noise(40, 6) * np.arange(1, 7),
    dims=("time", "unit"),
    coords={"unit": np.arange(6), "time": np.arange(40)},
)
PRECISION = rsa.noise_precision(RESIDUALS)


def make(metric, seed, n=5, u=6):
    x = noise(4, n, u, seed=seed) + 2 * noise(n, u, seed=seed + 1)
    if metric.startswith("poisson"):
        x = np.exp(0.3 * x)
    return patterns(x if metric in (*IN_RUNS, "decoding") else x[0])


def rdm(x, metric):
    """Return the RDM; Mahalanobis by a precision of other noise, Poisson without a prior."""
    if metric == "mahalanobis":
        return rsa.rdm(x, metric, noise=PRECISION)
    prior = {"prior_weight": 0.0} if metric.startswith("poisson") else {}
    return rsa.rdm(x, metric, **prior)


def blinded(x, what, seed):
    rng, values = np.random.default_rng(seed), x.values
    u = values.shape[-1]
    if what == "shift a pattern":
        return x + rng.normal(0, 5, (*values.shape[:-1], 1))
    if what == "scale a pattern":
        return x * rng.uniform(0.1, 10, (*values.shape[:-1], 1))
    if what == "shift a unit":
        return x + rng.normal(0, 5, u)
    if what == "shift a run":
        return x + rng.normal(0, 5, (values.shape[0], 1, u))
    if what == "scale all":
        return x * rng.uniform(0.1, 10)
    if what == "rotate":
        return x.copy(data=values @ rotation(u, seed))
    return x.copy(data=values[..., rng.permutation(u)])


@pytest.mark.parametrize("metric", METRICS)
@law(12)
@given(seed=SEEDS)
def test_an_rdm_is_symmetric_with_a_zero_diagonal_and_follows_its_stimuli(metric, seed):
    x = make(metric, seed)
    found = rdm(x, metric)
    full = schema.square(found)
    np.testing.assert_array_equal(full, full.T)
    assert (np.diagonal(full) == 0).all()
    order = np.random.default_rng(seed).permutation(x.sizes["stimulus"])
    moved = schema.square(rdm(x.isel(stimulus=order), metric))
    np.testing.assert_allclose(moved, full[np.ix_(order, order)], rtol=1e-9, atol=1e-11)
    if metric in BOUNDS:
        low, high = BOUNDS[metric]
        assert found.min() >= low - 1e-12 and found.max() <= high + 1e-12
    elif metric in PLAIN:
        assert found.min() >= 0


@pytest.mark.parametrize(("metric", "what"), [(m, w) for m, all_of in BLIND.items() for w in all_of])
@law(8)
@given(seed=SEEDS)
def test_what_a_dissimilarity_does_not_see_changes_nothing(metric, what, seed):
    x = make(metric, seed)
    np.testing.assert_allclose(
        rdm(blinded(x, what, seed), metric), rdm(x, metric), rtol=1e-7, atol=1e-9, err_msg=what
    )


@pytest.mark.parametrize("metric", list(POWER))
@law(8)
@given(seed=SEEDS, c=st.floats(0.05, 20))
def test_distances_grow_with_the_patterns(metric, seed, c):
    x = make(metric, seed)
    if metric.startswith("poisson"):
        expected = c * rdm(x, metric).values
    else:
        expected = c ** POWER[metric] * rdm(x, metric).values
    np.testing.assert_allclose(rdm(c * x, metric), expected, rtol=1e-8, atol=1e-9 * c**2)


@pytest.mark.parametrize("metric", ["euclidean", "mahalanobis"])
@law(10)
@given(seed=SEEDS)
def test_distances_keep_the_triangle_inequality(metric, seed):
    d = schema.square(rdm(make(metric, seed, n=7), metric))
    d = np.sqrt(d) if metric == "mahalanobis" else d
    assert (d[:, None, :] <= d[:, :, None] + d[None, :, :].swapaxes(0, 1) + 1e-9).all()


@law(10)
@given(seed=SEEDS)
def test_whitening_and_then_euclid_is_mahalanobis(seed):
    x = patterns(noise(6, 6, seed=seed))
    found = rsa.rdm(rsa.whiten(x, RESIDUALS), "sqeuclidean", normalize="neuroids")
    np.testing.assert_allclose(found, rdm(x, "mahalanobis"), rtol=1e-8)


METHODS = tuple(rsa.METHODS)
RANKS = ("spearman", "rho-a", "tau-a", "tau-b")


@pytest.mark.parametrize("method", METHODS)
@law(10)
@given(seed=SEEDS)
def test_comparators_are_bounded_symmetric_and_1_with_themselves(method, seed):
    a, b = rdms(6, 2, seed=seed), rdms(6, 3, seed=seed + 1)
    found = rsa.compare(a, b, method)
    back = rsa.compare(b, a, method)
    assert np.isfinite(found).all()
    if method == "riemannian":
        assert found.max() <= 1e-9  # minus a distance, of which only one side is scaled
    else:
        np.testing.assert_allclose(found.values, back.values.T, atol=1e-9)
        assert abs(found).max() <= 1 + 1e-9
    best = 0.0 if method == "riemannian" else 1.0
    np.testing.assert_allclose(np.diagonal(rsa.compare(a, a, method)), best, atol=1e-5)


@pytest.mark.parametrize("method", RANKS)
@law(10)
@given(seed=SEEDS, power=st.floats(0.2, 5))
def test_rank_comparators_see_order_only(method, seed, power):
    a, b = rdms(7, 2, seed=seed), rdms(7, 2, seed=seed + 1)
    bent = rsa.compare(a**power + 3, np.exp(b), method)
    np.testing.assert_allclose(bent, rsa.compare(a, b, method), atol=1e-12)
    np.testing.assert_allclose(rsa.compare(10 - a, b, method), -bent, atol=1e-9)


@pytest.mark.parametrize("method", ["pearson", "whitened-pearson"])
@law(10)
@given(seed=SEEDS, scale=st.floats(0.01, 100), shift=st.floats(-5, 5))
def test_correlations_see_neither_scale_nor_shift(method, seed, scale, shift):
    a, b = rdms(7, 2, seed=seed), rdms(7, 2, seed=seed + 1)
    moved = rsa.compare(scale * a + (shift if method == "pearson" else 0), b, method)
    np.testing.assert_allclose(moved, rsa.compare(a, b, method), atol=1e-8)


@law(10)
@given(seed=SEEDS, k=st.integers(2, 5))
def test_the_upper_bound_is_never_below_the_lower_one(seed, k):
    for method in ("cosine", "pearson", "spearman", "rho-a", "tau-a"):
        found = rsa.noise_ceiling(rdms(6, k, seed=seed), method)
        assert float(found.sel(bound="lower")) <= float(found.sel(bound="upper")) + 1e-9


@law(10)
@given(seed=SEEDS, n=st.integers(1, 4))
def test_repeating_every_subject_leaves_their_mean(seed, n):
    x = rdms(6, 3, seed=seed)
    again = x.isel(subject=np.tile(np.arange(3), n)).assign_coords(subject=np.arange(3 * n))
    np.testing.assert_allclose(rsa.mean_rdm(again), rsa.mean_rdm(x), rtol=1e-12)


@law(10)
@given(seed=SEEDS, how=st.sampled_from(["rank", "minmax", "zscore"]), scale=st.floats(0.01, 100))
def test_transforms_do_not_see_the_scale_and_are_their_own_fixed_point(seed, how, scale):
    once = rsa.transform(rdms(6, 2, seed=seed), how)
    np.testing.assert_allclose(rsa.transform(scale * rdms(6, 2, seed=seed) + 1, how), once, atol=1e-9)
    np.testing.assert_allclose(rsa.transform(once, how), once, atol=1e-9)


@law(15)
@given(seed=SEEDS, low=st.floats(0, 0.9), width=st.floats(0.02, 1))
def test_geo_topological_values_are_a_monotone_image_in_0_to_1(seed, low, width):
    x = rdms(7, 1, seed=seed)[0]
    found = topology.geo_topological(x, low, min(1.0, low + width)).values
    assert found.min() >= 0 and found.max() <= 1
    assert (np.diff(found[np.argsort(x.values)]) >= -1e-12).all()


@law(10)
@given(seed=SEEDS)
def test_a_weighted_model_never_fits_worse_than_its_components(seed):
    components, one = rdms(7, 2, seed=seed, dim="component"), rdms(7, 1, seed=seed + 1)
    model = rsa.models.weighted(components, "w")
    fit = rsa.models.fit(model, one, method="cosine")
    alone = rsa.compare(components, one, "cosine").max()
    together = rsa.compare(rsa.models.predict(model, fit), one, "cosine")
    assert float(together.max()) >= float(alone) - 1e-7

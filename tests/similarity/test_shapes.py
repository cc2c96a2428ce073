"""Canonical correlations, Procrustes, Bures and shape metrics."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import repsim
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg, spatial

from neuroalign import rsa, similarity
from neuroalign.errors import InvalidValueError, ShapeError

SHAPES = [(alpha, kind) for alpha in (0.0, 0.3, 1.0) for kind in ("angular", "euclidean")]


def related(n=41, d=6, e=5, seed=0, noise=0.5):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, d))
    return x, x @ rng.standard_normal((d, e)) + noise * rng.standard_normal((n, e))


def middle(x):
    return x - x.mean(axis=0)


def slow_rho(x, y):
    """Canonical correlations from covariances and their inverse roots."""
    x, y = middle(x), middle(y)
    root = [np.linalg.inv(linalg.sqrtm(z.T @ z).real) for z in (x, y)]
    return np.linalg.svd(root[0] @ x.T @ y @ root[1], compute_uv=False)


def test_canonical_correlations_are_the_definition():
    x, y = related()
    rho = similarity.canonical_correlations(x, y)
    assert np.allclose(rho, slow_rho(x, y), atol=1e-12)
    assert float(similarity.cca(x, y)) == pytest.approx(float(rho.mean()))
    assert float(similarity.cca(x, y, summary="r2")) == pytest.approx(float((rho**2).mean()))


def test_regularised_correlations_are_the_definition():
    x, y = related()
    a, b = middle(x), middle(y)
    root = [
        np.linalg.inv(linalg.sqrtm(z.T @ z + 0.3 * np.trace(z.T @ z) / z.shape[1] * np.eye(z.shape[1])).real)
        for z in (a, b)
    ]
    expected = np.linalg.svd(root[0] @ a.T @ b @ root[1], compute_uv=False)
    assert np.allclose(similarity.canonical_correlations(x, y, regularisation=0.3), expected, atol=1e-12)


def test_correlations_agree_with_scikit_learn():
    from sklearn.cross_decomposition import CCA

    x, y = related(60, 3, 3)
    u, v = CCA(n_components=3, max_iter=20000, tol=1e-20).fit_transform(x, y)
    theirs = [np.corrcoef(u[:, i], v[:, i])[0, 1] for i in range(3)]
    assert np.allclose(similarity.canonical_correlations(x, y), theirs, atol=1e-10)


def test_cca_agrees_with_repsim_whose_names_are_others():
    # Deviation: repsim's "yanai" is the mean of rho^2 over min(p, q) (the GCD divides by sqrt(p q)), and its
    # "pillai" the mean of rho (Pillai's trace is the sum of rho^2).
    x, y = related()
    rho = slow_rho(x, y)
    assert float(similarity.cca(x, y, summary="r2")) == pytest.approx(
        repsim.cca([x, y], "yanai")[0, 1], abs=1e-10
    )
    assert float(similarity.cca(x, y)) == pytest.approx(repsim.cca([x, y], "pillai")[0, 1], abs=1e-10)
    assert abs(repsim.cca([x, y], "yanai")[0, 1] - (rho**2).sum() / np.sqrt(30)) > 0.05
    assert abs(repsim.cca([x, y], "pillai")[0, 1] - (rho**2).sum()) > 3


@pytest.mark.parametrize("summary, name", [("mean", "pillai"), ("r2", "yanai")])
def test_svcca_of_all_components_agrees_with_repsim_which_drops_none(summary, name):
    # Deviation: repsim documents a threshold of 99 % of the variance and keeps all 8 components here.
    x, y = related(60, 8, 7)
    x = x * np.geomspace(1, 1e-3, 8)
    theirs = repsim.svcca([x, y], name)[0, 1]
    assert float(similarity.svcca(x, y, summary=summary, variance=1.0)) == pytest.approx(theirs, abs=1e-10)
    assert similarity.svcca(x, y).attrs["n_components_x"] == 3


def test_svcca_is_cca_of_the_leading_components():
    x, y = related(60, 8, 7)
    x = x * np.geomspace(1, 1e-3, 8)
    parts = []
    for z in (middle(x), middle(y)):
        u, s, _ = np.linalg.svd(z, full_matrices=False)
        k = 1 + int((np.cumsum(s**2) < 0.9 * (s**2).sum()).sum())
        parts.append(u[:, :k] * s[:k])
    found = similarity.svcca(x, y, variance=0.9)
    assert (found.attrs["n_components_x"], found.attrs["n_components_y"]) == (2, 4)
    assert float(found) == pytest.approx(float(similarity.cca(*parts)), abs=1e-12)


def test_pwcca_by_hand_and_repsim_which_takes_the_mean_of_both():
    x, y = related()
    a, b = middle(x), middle(y)
    u, _, _ = np.linalg.svd(a, full_matrices=False)
    v, _, _ = np.linalg.svd(b, full_matrices=False)
    left, rho, _ = np.linalg.svd(u.T @ v, full_matrices=False)
    alpha = np.abs((u @ left).T @ a).sum(axis=1)
    assert float(similarity.pwcca(x, y)) == pytest.approx(alpha @ rho / alpha.sum(), abs=1e-12)
    assert float(similarity.pwcca(x, y, weights="y")) == pytest.approx(
        float(similarity.pwcca(y, x)), abs=1e-12
    )
    theirs = repsim.pwcca([x, y])[0, 1]
    assert float(similarity.pwcca(x, y, weights="mean")) == pytest.approx(theirs, abs=1e-10)


def test_cca_of_no_more_stimuli_than_units_is_one_and_says_so():
    x, y = np.random.default_rng(0).standard_normal((2, 10, 12))
    for measure in (similarity.cca, similarity.pwcca, similarity.canonical_correlations):
        with pytest.warns(
            similarity.DegenerateWarning, match="9 of 9 canonical correlations are 1 by construct"
        ):
            found = measure(x, y)
        assert np.allclose(found, 1) and found.attrs["n_trivial"] == 9 and found.attrs["degenerate"]
    assert float(similarity.cca(x, y, regularisation=0.1)) < 0.99


def test_cca_counts_the_correlations_that_the_sizes_make_one():
    x, y = np.random.default_rng(0).standard_normal((2, 10, 6))
    with pytest.warns(similarity.DegenerateWarning, match="3 of 6"):
        rho = similarity.canonical_correlations(x, y)
    assert np.allclose(rho[:3], 1) and (rho[3:] < 0.9999).all()


def test_dependent_and_constant_units_change_no_canonical_correlation():
    x, y = related()
    wider = np.column_stack([x, x[:, 0] - 2 * x[:, 1], np.full(41, 0.1)])
    found = similarity.canonical_correlations(wider, y)
    assert np.allclose(found, similarity.canonical_correlations(x, y), atol=1e-10)
    assert found.attrs["n_constant_x"] == 1


@pytest.mark.parametrize("sizes", [(41, 6, 6), (20, 40, 40)], ids=str)
def test_procrustes_agrees_with_scipy(sizes):
    x, y = related(*sizes)
    theirs = spatial.procrustes(x, y)[2]
    assert 1 - float(similarity.procrustes(x, y)) ** 2 == pytest.approx(theirs, abs=1e-10)


@pytest.mark.parametrize("sizes", [(41, 6, 5), (12, 40, 30), (20, 3, 40)], ids=str)
def test_procrustes_is_the_bures_similarity_of_rdms(sizes):
    x, y = (
        xr.DataArray(z, dims=("stimulus", "unit"), coords={"stimulus": np.arange(len(z))})
        for z in related(*sizes)
    )
    theirs = rsa.compare(rsa.rdm(x, "sqeuclidean"), rsa.rdm(y, "sqeuclidean"), "bures").item()
    # rsa takes roots of eigenvalues, which leaves half the digits of those that are 0.
    assert float(similarity.procrustes(x, y)) == pytest.approx(theirs, abs=1e-10 if sizes[0] == 12 else 1e-6)


def test_linear_cka_is_the_whitened_cosine_of_rdms():
    x, y = (xr.DataArray(z, dims=("stimulus", "unit"), coords={"stimulus": np.arange(41)}) for z in related())
    theirs = rsa.compare(rsa.rdm(x, "sqeuclidean"), rsa.rdm(y, "sqeuclidean"), "whitened-cosine").item()
    assert float(similarity.cka(x, y)) == pytest.approx(theirs, abs=1e-10)


def test_bures_distance_is_the_definition():
    x, y = related()
    k, l = middle(x) @ middle(x).T, middle(y) @ middle(y).T  # noqa: E741
    values, vectors = np.linalg.eigh(k)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    fidelity = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ l @ root), 0)).sum()
    expected = np.sqrt(np.trace(k) + np.trace(l) - 2 * fidelity)
    assert float(similarity.bures_distance(x, y)) == pytest.approx(expected, abs=1e-5)
    euclidean = similarity.shape_distance(x, y, kind="euclidean")
    assert float(similarity.bures_distance(x, y)) == pytest.approx(float(euclidean), abs=1e-12)


def reference_shape_distance(x, y, alpha, kind):
    """The published algorithm, straightforwardly: whiten in part, pad, rotate, subtract."""
    width = max(x.shape[1], y.shape[1])
    phis = []
    for z in (x, y):
        z = np.pad(middle(z), ((0, 0), (0, width - z.shape[1])))
        values, vectors = np.linalg.eigh(z.T @ z)
        inverse = np.where(values > 1e-9 * values.max(), np.abs(values), np.inf) ** -0.5
        phis.append(z @ (vectors * (alpha + (1 - alpha) * inverse)) @ vectors.T)
    u, _, vh = np.linalg.svd(phis[0].T @ phis[1])
    a, b = phis[0] @ u, phis[1] @ vh.T
    if kind == "euclidean":
        return np.linalg.norm(a - b)
    return np.arccos((a * b).sum() / np.linalg.norm(a) / np.linalg.norm(b))


@pytest.mark.parametrize("alpha, kind", SHAPES)
@pytest.mark.parametrize("sizes", [(41, 6, 5), (41, 5, 5)], ids=str)
def test_shape_distances_agree_with_the_published_algorithm(alpha, kind, sizes):
    x, y = related(*sizes)
    found = similarity.shape_distance(x, y, alpha=alpha, kind=kind)
    assert float(found) == pytest.approx(reference_shape_distance(x, y, alpha, kind), abs=1e-10)


def test_the_whitened_angle_is_that_of_canonical_correlations():
    x, y = related()
    cosine = slow_rho(x, y).sum() / np.sqrt(6 * 5)
    assert float(similarity.shape_distance(x, y, alpha=0.0)) == pytest.approx(np.arccos(cosine), abs=1e-12)


@pytest.mark.parametrize("sizes", [(41, 6), (12, 30)], ids=str)
@pytest.mark.parametrize("kind", ["angular", "euclidean"])
def test_two_rotations_of_one_latent_are_at_distance_zero(sizes, kind):
    rng = np.random.default_rng(0)
    x = rng.standard_normal(sizes)
    turn = np.linalg.qr(rng.standard_normal((sizes[1], sizes[1])))[0]
    assert float(similarity.shape_distance(x, x @ turn + 5, kind=kind)) < 1e-12
    assert float(similarity.bures_distance(x, np.pad(x @ turn, ((0, 0), (0, 3))))) < 1e-12


def test_small_distances_keep_their_digits():
    x = np.array([[1.0], [0.0], [-1.0]])
    assert float(similarity.bures_distance(x, x * (1 + 1e-9))) == pytest.approx(1e-9 * np.sqrt(2), rel=1e-6)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.sampled_from(SHAPES),
    widths=st.tuples(*[st.integers(1, 12)] * 3),
    n=st.integers(3, 9),
)
def test_shape_distances_are_metrics(seed, shape, widths, n):
    rng = np.random.default_rng(seed)
    alpha, kind = shape
    x, y, z = (rng.standard_normal((n, width)) * rng.uniform(0.1, 3, width) for width in widths)

    def d(a, b):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", similarity.DegenerateWarning)
            return float(similarity.shape_distance(a, b, alpha=alpha, kind=kind))

    assert d(x, z) <= d(x, y) + d(y, z) + 1e-9
    assert d(x, y) == pytest.approx(d(y, x), abs=1e-9) and d(x, x) < 1e-9


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), widths=st.tuples(*[st.integers(1, 5)] * 3))
def test_soft_matching_distance_is_a_metric(seed, widths):
    rng = np.random.default_rng(seed)
    x, y, z = (rng.standard_normal((5, width)) for width in widths)
    d = similarity.soft_matching_distance
    assert float(d(x, z)) <= float(d(x, y)) + float(d(y, z)) + 1e-9
    assert float(d(x, y)) == pytest.approx(float(d(y, x)), abs=1e-9)
    assert float(d(x, x[:, ::-1])) < 1e-9


def test_the_mean_shape_of_two_is_half_way():
    x, y = related(20, 4, 4)
    for kind in ("euclidean", "angular"):
        found = similarity.shape_mean([x, y], kind=kind)
        whole = float(similarity.shape_distance(x, y, kind=kind))
        assert found.attrs["converged"]
        assert np.allclose(found["distance"], whole / 2, atol=1e-8)


def test_the_mean_shape_is_better_than_every_member_and_every_neighbour():
    rng = np.random.default_rng(0)
    latent = rng.standard_normal((25, 3))
    nets = {
        name: latent @ np.linalg.qr(rng.standard_normal((d, d)))[0][:3] + 0.3 * rng.standard_normal((25, d))
        for name, d in (("a", 3), ("b", 5), ("c", 4))
    }
    for kind in ("euclidean", "angular"):
        found = similarity.shape_mean(nets, kind=kind)
        loss = float((found["distance"] ** 2).sum())

        def total(candidate, kind=kind):
            return sum(float(similarity.shape_distance(candidate, x, kind=kind)) ** 2 for x in nets.values())

        assert total(found["mean"].values) == pytest.approx(loss, rel=1e-9)
        assert all(total(x) > loss for x in nets.values())
        near = found["mean"].values
        assert all(total(near + 1e-3 * middle(rng.standard_normal(near.shape))) > loss for _ in range(5))
        assert found["representation"].values.tolist() == ["a", "b", "c"]


def test_the_mean_shape_of_rotations_is_the_shape():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((20, 3))
    nets = [x @ np.linalg.qr(rng.standard_normal((3, 3)))[0] + shift for shift in range(4)]
    assert (similarity.shape_mean(nets)["distance"] < 1e-10).all()


def test_bad_shapes_are_refused():
    x, y = related()
    with pytest.raises(InvalidValueError, match="alpha must be between 0 and 1; got 2"):
        similarity.shape_distance(x, y, alpha=2)
    with pytest.raises(InvalidValueError, match="kind must be one of 'angular', 'euclidean'"):
        similarity.shape_distance(x, y, kind="riemann")
    with pytest.raises(InvalidValueError, match="representation 'b' is constant"):
        similarity.shape_mean({"a": x, "b": np.ones((41, 2))})
    with pytest.raises(ShapeError, match="no representation"):
        similarity.shape_mean([])
    with pytest.raises(ShapeError, match=r"same stimuli; got \[20, 41\]"):
        similarity.shape_mean([x, y[:20]])
    with pytest.raises(InvalidValueError, match="variance must be above 0 and at most 1; got 0"):
        similarity.svcca(x, y, variance=0)
    with pytest.raises(InvalidValueError, match="weights must be one of"):
        similarity.pwcca(x, y, weights="both")
    with pytest.raises(InvalidValueError, match="summary must be one of 'mean', 'r2'"):
        similarity.cca(x, y, summary="sum")

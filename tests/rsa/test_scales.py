"""Very small and very large numbers, zeros, borders: second moments, noise, whitening, transforms, places."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy.spatial.distance import pdist

from neuroalign.errors import InvalidValueError, ShapeError
from neuroalign.rsa import precisions, shrinkage, whitening
from neuroalign.rsa.noise import NOISE_METHODS, noise_covariance, noise_precision, whiten
from neuroalign.rsa.scaling import mds
from neuroalign.rsa.second_moments import bures, clip_negative, riemannian
from neuroalign.rsa.transforms import mean_rdm, transform
from neuroalign.schema import make_rdm, square

# Powers of two: digits stay what they are.
SCALES = [2.0**-40, 1.0, 2.0**40]
N = 6
KNOWN = np.ones(N * (N - 1) // 2, dtype=bool)


def distances(rng, n_units):
    return pdist(rng.standard_normal((N, n_units)), "sqeuclidean")


def residuals_of(values):
    values = np.asarray(values, dtype=float)
    return xr.DataArray(values, dims=("time", "neuroid"))


def rdms_of(rows):
    rows = np.asarray(rows, dtype=float)
    n = round((1 + np.sqrt(1 + 8 * rows.shape[-1])) / 2)
    return make_rdm(rows, [f"s{i}" for i in range(n)], dims=["subject"])


# Second moments


@pytest.mark.parametrize("scale", [*SCALES, 2.0**90])
def test_bures_knows_no_scale_and_lets_moments_of_low_rank_pass(rng, scale):
    a = np.stack([distances(rng, 2), distances(rng, 3), distances(rng, 8)])
    expected = bures(a, a, KNOWN)
    assert np.isfinite(expected).all()
    np.testing.assert_allclose(np.diag(expected), 1.0, rtol=1e-10)
    # Each RDM has a scale of its own.
    np.testing.assert_allclose(bures(a * [[scale], [1.0], [1 / scale]], a, KNOWN), expected, rtol=1e-9)
    np.testing.assert_allclose(bures(a, scale * a[:1], KNOWN), expected[:, :1], rtol=1e-9)


@pytest.mark.parametrize("scale", [*SCALES, 2.0**90])
def test_riemannian_knows_no_scale_and_takes_a_first_moment_of_low_rank(rng, scale):
    a = np.stack([distances(rng, 2), distances(rng, 9)])
    b = np.stack([distances(rng, 10), distances(rng, 2)])
    expected = riemannian(a, b, KNOWN)
    # The second one needs an inverse.
    assert np.isfinite(expected[:, 0]).all() and np.isnan(expected[:, 1]).all()
    assert (expected[:, 0] < -0.1).all()
    np.testing.assert_allclose(riemannian(a * scale, b, KNOWN), expected, rtol=1e-4)
    np.testing.assert_allclose(riemannian(a, b / scale, KNOWN), expected, rtol=1e-4)


@pytest.mark.parametrize("scale", [0.25, 3.0, 2.0**40])
def test_multiples_of_one_second_moment_are_at_distance_0(rng, scale):
    a = distances(rng, 9)[None]
    assert abs(riemannian(scale * a, a, KNOWN).item()) < 1e-11


def test_an_rdm_of_zeros_has_no_second_moment(rng):
    a = np.stack([distances(rng, 9), np.zeros(len(KNOWN))])
    for compared in (bures, riemannian):
        assert np.isnan(compared(a, a, KNOWN)).tolist() == [[False, True], [True, True]]


@pytest.mark.parametrize("scale", SCALES)
def test_negative_eigenvalues_are_cut_and_what_has_none_stays_as_it_is(rng, scale):
    fits, zero = distances(rng, 2), np.zeros(len(KNOWN))
    bent = distances(rng, 5) ** 3
    found, n_clipped = clip_negative(scale * np.stack([fits, bent, zero]))
    assert n_clipped == 1
    np.testing.assert_array_equal(found[[0, 2]], scale * np.stack([fits, zero]))
    centring = np.eye(N) - 1 / N
    values, vectors = np.linalg.eigh(-0.5 * centring @ square(bent) @ centring)
    assert values[0] < -0.01 * values[-1]
    moment = (vectors * values.clip(0)) @ vectors.T
    own = np.diag(moment)
    expected = (own[:, None] + own - 2 * moment)[np.triu_indices(N, 1)]
    np.testing.assert_allclose(found[1], scale * expected, rtol=1e-9, atol=1e-12 * scale * own.max())
    again, n_clipped = clip_negative(found)
    assert n_clipped == 0 and (again == found).all()


# Noise


@pytest.mark.parametrize("method", list(NOISE_METHODS))
@pytest.mark.parametrize("shape", [(40, 5), (5, 12)])
@pytest.mark.parametrize("scale", [2.0**-40, 2.0**40])
def test_a_covariance_scales_with_the_square_and_its_shrinkage_not_at_all(rng, method, shape, scale):
    x = rng.standard_normal(shape) @ rng.standard_normal((shape[1], shape[1]))
    one, other = (noise_covariance(residuals_of(v), method) for v in (x, scale * x))
    np.testing.assert_allclose(other, scale**2 * one, rtol=1e-9)
    assert other.attrs["shrinkage"] == pytest.approx(one.attrs["shrinkage"], rel=1e-9)
    assert 0 < one.attrs["shrinkage"] < 1 or not method.startswith("shrinkage")
    if method.startswith("shrinkage"):
        precision = noise_precision(residuals_of(scale * x), method).values
        np.testing.assert_allclose(precision @ other.values, np.eye(shape[1]), atol=1e-8)


@pytest.mark.parametrize("scale", SCALES)
def test_equal_variances_without_correlation_are_the_target_itself(scale):
    x = scale * np.array([[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]])
    x = np.concatenate([np.roll(x, k, axis=1) for k in range(3)])
    for method in ("shrinkage-identity", "shrinkage-diagonal"):
        found = noise_covariance(residuals_of(x), method, dof=4)
        np.testing.assert_allclose(found, np.eye(3) * 2 * scale**2 / 4, rtol=1e-12, atol=0)
        assert found.attrs["shrinkage"] == 1.0


@pytest.mark.parametrize("seed", range(6))
def test_neuroids_that_never_vary_together_have_nothing_to_shrink(seed):
    rng = np.random.default_rng(seed)
    x = np.zeros((120, 2))
    for k, column in enumerate(x.T):
        own = column[60 * k : 60 * (k + 1)]
        own += rng.standard_normal(60)
        own -= own.mean()
    assert noise_covariance(residuals_of(x)).attrs["shrinkage"] == 1.0


def test_data_without_any_variance_have_a_covariance_of_zeros_and_no_precision():
    still = residuals_of(np.full((5, 3), 7.0))
    for method in NOISE_METHODS:
        found = noise_covariance(still, method)
        assert not found.values.any()
    assert noise_covariance(still, "shrinkage-identity").attrs["shrinkage"] == 1.0
    with pytest.raises(InvalidValueError, match="3 of 3 neuroids have no variance"):
        noise_precision(still)


@pytest.mark.parametrize("method", list(NOISE_METHODS))
def test_one_still_neuroid_has_variance_0_and_no_inverse(rng, method):
    x = rng.standard_normal((12, 3))
    x[:, 1] = 0.3
    found = noise_covariance(residuals_of(x), method).values
    if method != "shrinkage-identity":
        assert not found[1].any()
        expected = noise_covariance(residuals_of(x[:, [0, 2]]), method)
        np.testing.assert_allclose(found[np.ix_([0, 2], [0, 2])], expected, rtol=1e-12)
        with pytest.raises(InvalidValueError, match="1 of 3 neuroids have no variance"):
            noise_precision(residuals_of(x), method)


def test_a_full_covariance_needs_as_many_degrees_of_freedom_as_neuroids():
    x = [[1.0, 0.0], [-1.0, 0.0], [0.0, 2.0], [0.0, -2.0]]
    assert noise_precision(residuals_of(x), "full", dof=2).values.tolist() == [[1.0, 0.0], [0.0, 0.25]]
    with pytest.raises(InvalidValueError, match="its rank is at most 1"):
        noise_precision(residuals_of(x), "full", dof=1.5)


def test_two_residuals_leave_one_degree_of_freedom_and_one_leaves_none():
    found = noise_covariance(residuals_of([[3.0, 1.0], [1.0, 2.0]]), "full")
    assert found.values.tolist() == [[2.0, -1.0], [-1.0, 0.5]] and found.attrs["dof"] == 1
    with pytest.raises(ShapeError, match="1 observations less 1 means leave no degree of freedom"):
        noise_covariance(residuals_of([[3.0, 1.0]]), "full")
    with pytest.raises(ShapeError, match="x must be residuals"):
        noise_covariance(xr.DataArray([1.0, 2.0], dims="neuroid"))
    with pytest.raises(ShapeError, match="x must be residuals"):
        noise_covariance(xr.DataArray(np.ones((2, 3, 4)), dims=("run", "time", "neuroid")))


@pytest.mark.parametrize("dof", [0.0, 4.5])
def test_degrees_of_freedom_are_above_0_and_at_most_the_residuals(rng, dof):
    x = residuals_of(rng.standard_normal((4, 2)))
    with pytest.raises(InvalidValueError, match="dof must be more than 0 and at most the 4 residuals"):
        noise_covariance(x, dof=dof)
    one, four = (noise_covariance(x, "full", dof=d) for d in (1, 4))
    np.testing.assert_allclose(one, 4 * four, rtol=1e-12)


def test_a_covariance_with_a_variance_of_0_is_not_inverted():
    dims = ("neuroid", "neuroid_b")
    found = noise_precision(xr.DataArray([[2.0, 1.0], [1.0, 1.0]], dims=dims))
    np.testing.assert_allclose(found, [[1.0, -1.0], [-1.0, 2.0]], rtol=1e-12)
    with pytest.raises(InvalidValueError, match="1 of 2 variances are 0"):
        noise_precision(xr.DataArray([[1.0, 0.0], [0.0, 0.0]], dims=dims))


@pytest.mark.parametrize("block", [1, 2, 3, 5, 8])
def test_inverses_by_blocks_are_inverses(rng, monkeypatch, block):
    monkeypatch.setattr(shrinkage, "BLOCK", block)
    x = rng.standard_normal((30, 5)) * [1e-3, 1.0, 40.0, 3.0, 0.2]
    covariance = x.T @ x
    found = shrinkage.inverse(covariance.copy(), "")
    np.testing.assert_allclose(found, np.linalg.inv(covariance), rtol=1e-9)
    np.testing.assert_allclose(found, found.T, rtol=1e-13)
    white = whiten(residuals_of(x).rename(time="stimulus"), residuals_of(x), method="full").values
    centred = x - x.mean(axis=0)
    expected = np.einsum("ru,uv,rv->r", x, np.linalg.inv(centred.T @ centred / 29), x)
    np.testing.assert_allclose((white**2).sum(axis=1), expected, rtol=1e-9)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_matrix_is_symmetric_up_to_a_share_of_its_largest_value(scale, sign):
    matrix = np.array([[1.0, 0.0], [0.0, 0.5]])
    for gap, symmetric in ((0.0, True), (1e-8, True), (1.1e-8, False)):
        matrix[0, 1] = gap
        assert precisions.is_symmetric(sign * scale * matrix) is symmetric


@pytest.mark.parametrize("block", [1, 2, 3, 5])
def test_every_entry_counts_for_symmetry(rng, monkeypatch, block):
    monkeypatch.setattr(precisions, "BLOCK", block)
    x = rng.standard_normal((5, 5))
    assert precisions.is_symmetric(x @ x.T) and precisions.is_symmetric(-1 - np.ones((5, 5)))
    for place in np.ndindex(5, 5):
        bent = x @ x.T
        bent[place] += 1e-3
        assert precisions.is_symmetric(bent) is (place[0] == place[1])


def test_a_precision_that_is_not_symmetric_is_refused_with_its_gap():
    noise = xr.DataArray([[2.0, 0.25], [0.75, 3.0]], dims=("neuroid", "neuroid_b"))
    patterns = xr.DataArray(np.ones((2, 2)), dims=("stimulus", "neuroid"))
    with pytest.raises(InvalidValueError, match=r"must be symmetric, as a precision is; it is off by 0\.5\."):
        precisions.precision_values(noise, patterns, "neuroid")


# Whitening under a covariance of stimuli


def covariance_of(values):
    values = np.asarray(values, dtype=float)
    names = [f"s{i}" for i in range(len(values))]
    dims = ("stimulus", "stimulus_b")[: values.ndim]
    return xr.DataArray(values, dims=dims, coords=dict.fromkeys(dims, names))


STIMULI = np.array(["s0", "s1", "s2"])


@pytest.mark.parametrize("scale", SCALES)
def test_a_covariance_of_stimuli_is_symmetric_up_to_a_share(scale):
    values = np.array([[2.0, 0.5, 0.0], [0.5, 1.0, 0.25], [0.0, 0.25, 1.0]])
    for gap in (0.0, 1e-10, 2e-9):
        bent = values.copy()
        bent[0, 2] = gap
        if gap < 1e-9:
            found = whitening.as_whitening(STIMULI, covariance_of(scale * bent)).noise
            np.testing.assert_allclose(found, scale * (bent + bent.T) / 2, rtol=1e-14)
        else:
            with pytest.raises(InvalidValueError, match="covariance must be symmetric"):
                whitening.as_whitening(STIMULI, covariance_of(scale * bent))


def test_zeros_are_symmetric_and_have_no_inverse():
    found = whitening.as_whitening(STIMULI, covariance_of(np.zeros((3, 3))))
    with pytest.raises(InvalidValueError, match="positive definite for differences of stimuli"):
        whitening.whitened(np.ones((1, 3)), np.ones(3, dtype=bool), found)
    with pytest.raises(InvalidValueError, match="1 variances are not positive"):
        whitening.as_whitening(STIMULI, covariance_of([1.0, 0.0, 2.0]))
    given = whitening.as_whitening(STIMULI, covariance_of([1.0, 3.0, 2.0])).noise
    assert given.tolist() == np.diag([1.0, 3.0, 2.0]).tolist()


@pytest.mark.parametrize("variance", [1.0, 4.0])
def test_the_length_of_a_whitened_rdm_is_that_of_its_second_moment(rng, variance):
    rows = rng.random((2, len(KNOWN)))
    noise = variance * np.eye(N)
    found = whitening.whitened(rows, KNOWN, whitening.Whitening(noise, noise))
    centring = np.eye(N) - 1 / N
    moments = [-0.5 * centring @ square(row) @ centring / variance for row in rows]
    expected = [[(a * b).sum() for b in moments] for a in moments]
    np.testing.assert_allclose(found @ found.T, expected, rtol=1e-10)


@pytest.mark.parametrize("n_missing", [1, 4, 9])
def test_the_table_for_missing_pairs_may_be_just_so_large(rng, monkeypatch, n_missing):
    known = KNOWN.copy()
    known[rng.permutation(len(known))[:n_missing]] = False
    assert square(known).any(axis=0).all()
    rows = rng.random((2, known.sum()))
    expected = whitening.whitened(rows, known)
    n_known = len(known) - n_missing
    largest = min(n_known**2, n_missing * len(known))
    monkeypatch.setattr(whitening, "MAX_TABLE", largest)
    np.testing.assert_array_equal(whitening.whitened(rows, known), expected)
    monkeypatch.setattr(whitening, "MAX_TABLE", largest - 1)
    with pytest.raises(InvalidValueError, match=f"^{n_missing} of 15 pairs of 6 stimuli are missing"):
        whitening.whitened(rows, known)


# Transforms and means


def test_roots_of_zeros_and_of_negative_values():
    rdms = rdms_of([[0.0, 4.0, 9.0], [1.0, 0.25, 0.0]])
    assert transform(rdms, "sqrt").values.tolist() == [[0, 2, 3], [1, 0.5, 0]]
    signed = rdms_of([[0.0, -4.0, 9.0]])
    assert transform(signed, "sqrt", negative="signed").values.tolist() == [[0, -2, 3]]
    assert transform(signed, "sqrt", negative="zero").values.tolist() == [[0, 0, 3]]
    assert transform(signed, "positive").values.tolist() == [[0, 0, 9]]
    with pytest.raises(InvalidValueError, match="1 dissimilarities are negative, the least is -4"):
        transform(signed, "sqrt")


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_scaled_rdms_by_hand(scale):
    rows = scale * np.array([[1.0, 2.0, 6.0], [5.0, 4.0, 3.0], [2.0, 2.0, 2.0], [-1.0, -1.0, -4.0]])
    found = transform(rdms_of(rows), "minmax")
    expected = [[0, 0.2, 1], [1, 0.5, 0], [np.nan] * 3, [1, 1, 0]]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert found.attrs["n_undefined"] == 1
    found = transform(rdms_of(rows), "zscore")
    root, two = np.sqrt(14 / 3), np.sqrt(2)
    expected = np.array([[-2, -1, 3], [1, 0, -1], [np.nan] * 3, [1, 1, -2]])
    expected = expected / np.array([root, np.sqrt(2 / 3), 1.0, two])[:, None]
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
    assert found.attrs["n_undefined"] == 1


@pytest.mark.parametrize("how", ["minmax", "zscore"])
def test_rdms_without_any_value_are_not_counted_as_constant(how):
    rows = [[1.0, 2.0, np.nan], [np.nan] * 3, [7.0, np.nan, 7.0], [np.nan] * 3, [3.0, 1.0, 2.0]]
    found = transform(rdms_of(rows), how)
    assert found.attrs["n_undefined"] == 1
    assert np.isnan(found.values).all(axis=1).tolist() == [False, True, True, True, False]
    mean = mean_rdm(rdms_of(rows), "subject", scale="zscore")
    assert mean.attrs["n_undefined"] == 1 and mean["n_rdms"].values.tolist() == [2, 2, 1]


def test_weights_of_0_leave_rdms_out_and_count_nowhere():
    rows = np.array([[1.0, 2.0, 3.0], [5.0, np.nan, 9.0], [2.0, np.nan, np.nan]])
    weights = xr.DataArray([0.0, 1.0, 3.0], dims="subject")
    found = mean_rdm(rdms_of(rows), weights=weights)
    np.testing.assert_array_equal(found, [11 / 4, np.nan, 9.0])
    assert found["n_rdms"].values.tolist() == [2, 0, 1]
    with pytest.raises(InvalidValueError, match="not all 0; the least is 0"):
        mean_rdm(rdms_of(rows), weights=0 * weights)
    with pytest.raises(InvalidValueError, match="non-negative and not all 0; the least is -1"):
        mean_rdm(rdms_of(rows), weights=weights - 1)
    for wrong in (weights[:2], weights.rename(subject="roi"), weights.values):
        with pytest.raises(ShapeError, match=r"weights must be a DataArray \('subject',\) of 3"):
            mean_rdm(rdms_of(rows), weights=wrong)


def test_an_rdm_of_zeros_has_no_size_and_no_part_in_the_mean():
    rows = [[3.0, 4.0, 0.0], [0.0, 0.0, 0.0], [1.0, 1.0, 1.0]]
    found = mean_rdm(rdms_of(rows), scale="rms")
    expected = (np.array([3.0, 4.0, 0.0]) / np.sqrt(25 / 3) + 1.0) / 2
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert found["n_rdms"].values.tolist() == [2, 2, 2] and found.attrs["n_undefined"] == 1


# Places


def test_two_stimuli_are_placed_at_once():
    found = mds(rdms_of([[2.0]])[0], n_axes=1, tolerance=0.0)
    np.testing.assert_allclose(np.sort(found.values[:, 0]), [-1, 1], rtol=1e-12)
    assert found.attrs["n_iterations"] < 10  # stress stays what it is: a step that gains nothing is the last


@pytest.mark.parametrize("scale", [2.0**-20, 2.0**20])
def test_the_scale_of_an_rdm_is_that_of_its_places_and_of_nothing_else(rng, scale):
    rdm = rdms_of(rng.random((1, 21)))[0]
    one, other = (mds(x, tolerance=1e-4) for x in (rdm, rdm * scale))
    assert one.attrs["n_iterations"] == other.attrs["n_iterations"] > 3
    np.testing.assert_allclose(other, scale * one, rtol=1e-6, atol=1e-9 * scale)
    assert other.attrs["stress"] == pytest.approx(one.attrs["stress"], rel=1e-9)

"""Noise covariance, precision and whitening: rsatoolbox, slow loops, what is singular, labels."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from neuroalign import rsa
from neuroalign.errors import InvalidValueError, LabelError, ShapeError
from neuroalign.rsa.noise import NOISE_METHODS, noise_covariance, noise_precision, whiten

THEIRS = {
    "full": "full",
    "diagonal": "diag",
    "shrinkage-diagonal": "shrinkage_diag",
    "shrinkage-identity": "shrinkage_eye",
}
SHRUNK = ["shrinkage-diagonal", "shrinkage-identity"]


def make_residuals(values, *, names=True):
    values = np.asarray(values)
    coords = {"neuroid": [f"v{i}" for i in range(values.shape[1])]} if names else {}
    return xr.DataArray(values, dims=("time", "neuroid"), coords=coords)


def make_responses(values, stimulus, run):
    return xr.DataArray(
        values,
        dims=("presentation", "neuroid"),
        coords={"stimulus": ("presentation", stimulus), "run": ("presentation", run)},
    )


def correlated(rng, n, u):
    mixing = np.eye(u) + 0.3 * rng.standard_normal((u, u))
    return rng.standard_normal((n, u)) @ mixing * rng.uniform(0.5, 3, u) + rng.standard_normal(u)


@pytest.fixture
def residuals(rng):
    return make_residuals(correlated(rng, 60, 8))


@pytest.mark.parametrize("method", list(NOISE_METHODS))
@pytest.mark.parametrize("dof", [None, 41])
@pytest.mark.parametrize("shape", [(60, 8), (12, 30)])
def test_covariance_equals_rsatoolbox(rng, method, dof, shape):
    from rsatoolbox.data.noise import cov_from_residuals

    if dof is not None and dof > shape[0]:
        dof = 9
    values = correlated(rng, *shape)
    expected = cov_from_residuals(values, dof=dof, method=THEIRS[method])
    found = noise_covariance(make_residuals(values), method, dof=dof)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)
    assert found.attrs["dof"] == (dof or shape[0] - 1) and found.attrs["n_residuals"] == shape[0]


@pytest.mark.parametrize("method", list(NOISE_METHODS))
def test_precision_equals_rsatoolbox(residuals, method):
    from rsatoolbox.data.noise import prec_from_residuals

    expected = prec_from_residuals(residuals.values, method=THEIRS[method])
    np.testing.assert_allclose(noise_precision(residuals, method), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("method", list(NOISE_METHODS))
def test_covariance_of_unbalanced_repetitions_equals_rsatoolbox(rng, method):
    from rsatoolbox.data import Dataset
    from rsatoolbox.data.noise import cov_from_unbalanced

    stimulus = np.array([*"aaabbbbccdddddee"])
    values = correlated(rng, 16, 5)
    theirs = cov_from_unbalanced(
        Dataset(values, obs_descriptors={"stimulus": stimulus}), "stimulus", method=THEIRS[method]
    )
    found = noise_covariance(make_responses(values, stimulus, np.ones(16)), method)
    np.testing.assert_allclose(found, theirs, rtol=1e-10, atol=1e-12)
    assert found.attrs["dof"] == 11


def test_repetitions_as_a_dim_are_the_same_as_presentations(rng):
    values = correlated(rng, 24, 5).reshape(4, 6, 5)
    dims = xr.DataArray(values, dims=("run", "stimulus", "neuroid"), coords={"stimulus": list("abcdef")})
    flat = make_responses(values.reshape(24, 5), list("abcdef") * 4, np.repeat(range(4), 6))
    np.testing.assert_allclose(noise_covariance(dims), noise_covariance(flat), rtol=1e-12)
    np.testing.assert_allclose(
        noise_covariance(dims.transpose("neuroid", "stimulus", "run")), noise_covariance(flat), rtol=1e-12
    )


def test_deviations_within_folds_are_a_slow_loop(rng):
    stimulus = np.array(list("aabbccaaabbc"))
    run = np.array([1] * 6 + [2] * 6)
    values = correlated(rng, 12, 3)
    rows = []
    for r in (1, 2):
        for s in "abc":
            mine = values[(run == r) & (stimulus == s)]
            rows += list(mine - mine.mean(axis=0))
    expected = np.array(rows).T @ np.array(rows) / (12 - 6)
    found = noise_covariance(make_responses(values, stimulus, run), "full", folds="run")
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    # Residuals have their own mean removed in every run.
    series = xr.DataArray(values, dims=("time", "neuroid"), coords={"run": ("time", run)})
    centred = np.concatenate([values[run == r] - values[run == r].mean(axis=0) for r in (1, 2)])
    np.testing.assert_allclose(
        noise_covariance(series, "full", folds="run"), centred.T @ centred / 10, rtol=1e-12
    )


def test_shrinkage_to_the_identity_is_the_definition_of_ledoit_and_wolf(rng):
    x = correlated(rng, 20, 6)
    x = x - x.mean(axis=0)
    s = x.T @ x / 20
    mean = np.trace(s) / 6
    spread = ((s - mean * np.eye(6)) ** 2).sum()
    uncertainty = sum(((np.outer(row, row) - s) ** 2).sum() for row in x) / 20**2
    intensity = min(uncertainty, spread) / spread
    found = noise_covariance(make_residuals(x), "shrinkage-identity", dof=20)
    np.testing.assert_allclose(found, intensity * mean * np.eye(6) + (1 - intensity) * s, rtol=1e-12)
    assert found.attrs["shrinkage"] == pytest.approx(intensity, rel=1e-12)


def test_shrinkage_to_the_diagonal_by_hand_and_its_difference_from_the_paper():
    # Two neuroids, three residuals of mean 0: products of the standardised ones are w = 1, 0, 0 (dof 2).
    x = np.array([[1.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
    w = np.array([1.0, 0.0, 0.0])
    assert (x.T @ x / 2).tolist() == [[1.0, 0.5], [0.5, 1.0]]
    # rsatoolbox: var(r) = n / dof^2 (sum w^2 / (n - 1) - (sum w / (n - 1))^2) = 3/4 (1/2 - 1/4) = 3/16;
    # r^2 = 1/4, so the intensity is 3/4. The paper: n / (n - 1)^3 sum (w - mean w)^2 = 3/8 * 2/3 = 1/4: 1.
    theirs, paper = 3 / 16, 3 / 8 * ((w - w.mean()) ** 2).sum()
    assert paper == pytest.approx(1 / 4)
    found = noise_covariance(make_residuals(x))
    assert found.attrs["shrinkage"] == pytest.approx(theirs / 0.25)
    np.testing.assert_allclose(found, [[1.0, 0.125], [0.125, 1.0]], rtol=1e-12)


@pytest.mark.parametrize("method", SHRUNK)
@pytest.mark.parametrize("shape", [(60, 8), (12, 30), (20, 30)])
def test_a_shrunk_precision_is_the_inverse_whichever_way_it_is_computed(rng, method, shape):
    x = make_residuals(correlated(rng, *shape))
    found, full = noise_precision(x, method).values, noise_covariance(x, method).values
    np.testing.assert_allclose(found @ full, np.eye(shape[1]), atol=1e-9)
    np.testing.assert_allclose(found, found.T, rtol=1e-9, atol=1e-12)


def test_a_given_covariance_is_inverted(residuals):
    full = noise_covariance(residuals)
    before = full.copy(deep=True)
    found = noise_precision(full)
    np.testing.assert_allclose(found @ full.rename(neuroid="neuroid_b", neuroid_b="c"), np.eye(8), atol=1e-9)
    np.testing.assert_allclose(found, noise_precision(residuals), rtol=1e-9)
    xr.testing.assert_identical(full, before)
    with pytest.raises(InvalidValueError, match="method, dof and folds belong to residuals"):
        noise_precision(full, "full")


@pytest.mark.parametrize(
    ("method", "n"), [(method, n) for method in NOISE_METHODS for n in (40, 9) if (method, n) != ("full", 9)]
)
def test_whitened_distances_are_those_under_the_precision(rng, method, n):
    x = make_residuals(correlated(rng, n, 15))
    patterns = xr.DataArray(
        rng.standard_normal((3, 5, 15)),
        dims=("run", "stimulus", "neuroid"),
        coords={"stimulus": list("abcde"), "neuroid": x.neuroid},
    )
    noise = noise_precision(x, method)
    expected = rsa.rdm(patterns, "crossnobis", noise=noise)
    for given_noise in (noise, x):
        white = whiten(patterns, given_noise, **({} if given_noise is noise else {"method": method}))
        assert white.dims == patterns.dims and "neuroid" not in white.coords
        np.testing.assert_allclose(rsa.rdm(white, "crossnobis"), expected, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("n", [40, 7])
def test_whitened_noise_has_identity_covariance(rng, n):
    x = make_residuals(correlated(rng, n, 12))
    root = np.linalg.cholesky(noise_covariance(x).values)
    white = whiten(xr.DataArray(root.T, dims=("stimulus", "neuroid"), coords=x.coords), x).values
    # Rows of root.T have the estimated covariance: sum of their outer products.
    np.testing.assert_allclose(white.T @ white, np.eye(12), atol=1e-9)


def test_order_of_neuroids_never_matters(residuals, rng):
    order = rng.permutation(8)
    patterns = xr.DataArray(
        rng.standard_normal((4, 8)),
        dims=("stimulus", "neuroid"),
        coords={"stimulus": list("abcd"), "neuroid": residuals.neuroid},
    )
    noise = noise_precision(residuals)
    shuffled = noise_precision(residuals[:, order])
    expected = rsa.rdm(patterns, "mahalanobis", noise=noise)
    np.testing.assert_allclose(rsa.rdm(patterns, "mahalanobis", noise=shuffled), expected, rtol=1e-9)
    for given_noise in (shuffled, residuals[:, order]):
        np.testing.assert_allclose(
            rsa.rdm(whiten(patterns, given_noise), "sqeuclidean", normalize="neuroids"), expected, rtol=1e-9
        )


@given(seed=st.integers(0, 500), n=st.integers(3, 30), u=st.integers(2, 12))
def test_a_shrunk_covariance_has_an_inverse_and_a_share_between_0_and_1(seed, n, u):
    x = make_residuals(np.random.default_rng(seed).standard_normal((n, u)))
    for method in SHRUNK:
        found = noise_covariance(x, method)
        assert 0 <= found.attrs["shrinkage"] <= 1
        assert np.linalg.eigvalsh(found.values).min() > -1e-12


def test_a_large_offset_and_float32_keep_the_covariance(rng):
    x = correlated(rng, 50, 6)
    moved = (x + 1e4).astype(np.float32)
    expected = np.cov(moved.astype(np.float64), rowvar=False)
    np.testing.assert_allclose(noise_covariance(make_residuals(moved), "full"), expected, rtol=1e-10)


def test_arguments_are_not_edited(residuals, rng):
    before = residuals.copy(deep=True)
    for method in NOISE_METHODS:
        noise_covariance(residuals, method)
        noise_precision(residuals, method)
        whiten(residuals.rename(time="stimulus").assign_coords(stimulus=range(60)), residuals, method=method)
    xr.testing.assert_identical(residuals, before)


def test_labels_and_scalars_come_along(residuals):
    found = noise_precision(residuals.assign_coords(subject="s1"))
    assert found.dims == ("neuroid", "neuroid_b") and found.subject.item() == "s1"
    assert found.neuroid_b.values.tolist() == residuals.neuroid.values.tolist()
    assert found.attrs["method"] == "shrinkage-diagonal"


def test_a_singular_covariance_is_refused_with_numbers_and_a_way_out(rng):
    few = make_residuals(rng.standard_normal((10, 12)))
    words = r"of 12 neuroids from 10 residuals \(9 degrees of freedom\) is singular: its rank is at most 9"
    with pytest.raises(InvalidValueError, match=words + ".*Pass method='shrinkage-diagonal'"):
        noise_precision(few, "full")
    twice = make_residuals(np.repeat(rng.standard_normal((30, 3)), 2, axis=1))
    with pytest.raises(InvalidValueError, match="is singular: it is not positive definite"):
        noise_precision(twice, "full")
    with pytest.raises(InvalidValueError, match="is singular: it is not positive definite"):
        whiten(twice.rename(time="stimulus").assign_coords(stimulus=range(30)), twice, method="full")
    still = few.copy(deep=True)
    still[:, 3] = 0.1
    # Shrunk to the identity, a neuroid without variance is given some; the others stay singular.
    for method in ("full", "diagonal", "shrinkage-diagonal"):
        with pytest.raises(InvalidValueError, match=r"1 of 12 neuroids have no variance. Leave them out"):
            noise_precision(still, method)
    with pytest.raises(InvalidValueError, match="is singular: 1 of 12 variances are 0"):
        noise_precision(noise_covariance(still, "full"))
    assert np.isfinite(noise_covariance(still)).all()


@pytest.mark.parametrize("method", ["shrinkage-diagonal", "shrinkage-identity"])
def test_two_residuals_cannot_be_shrunk_and_are_not_sent_to_shrinkage(rng, method):
    rows = make_residuals(rng.standard_normal((3, 12)))
    wanted = rf"its rank is at most 1. Pass more residuals \('{method}' shrinks .*\), method='diagonal'"
    with pytest.raises(InvalidValueError, match=wanted):
        noise_precision(rows[:2], method)
    for way_out in (noise_precision(rows[:2], "diagonal"), noise_precision(rows, method)):
        assert np.isfinite(way_out).all()


def test_neuroids_of_very_different_scale_are_not_singular(rng):
    x = rng.standard_normal((50, 4)) * np.array([1e-9, 1.0, 1e3, 1e9])
    found = noise_precision(make_residuals(x), "full").values
    correlation = np.corrcoef(x, rowvar=False)
    sd = x.std(axis=0, ddof=1)
    np.testing.assert_allclose(found * np.outer(sd, sd), np.linalg.inv(correlation), rtol=1e-9)


def test_what_is_no_residual_is_refused(residuals, rng):
    with pytest.raises(InvalidValueError, match="method must be one of 'full', 'diagonal'"):
        noise_covariance(residuals, "ledoit")
    with pytest.raises(
        InvalidValueError, match="dof must be more than 0 and at most the 60 residuals; got 0"
    ):
        noise_covariance(residuals, dof=0)
    with pytest.raises(InvalidValueError, match="at most the 60 residuals; got 61"):
        noise_covariance(residuals, dof=61)
    with pytest.raises(InvalidValueError, match="x must be finite; 1 of 480 values are not"):
        noise_covariance(residuals.where(np.arange(480).reshape(60, 8) != 7))
    with pytest.raises(InvalidValueError, match="dtype complex128"):
        noise_covariance(residuals * 1j)
    with pytest.raises(ShapeError, match="1 observations less 1 means leave no degree of freedom"):
        noise_covariance(residuals[:1])
    once = make_responses(rng.standard_normal((4, 3)), list("abab"), [1, 1, 2, 2])
    with pytest.raises(ShapeError, match=r"4 observations less 4 means .*Without folds=\.\.\."):
        noise_covariance(once, folds="run")
    with pytest.raises(
        LabelError, match="neither a dim nor a coordinate of its observations called 'session'"
    ):
        noise_covariance(once, folds="session")
    with pytest.raises(ShapeError, match="x must be residuals"):
        noise_covariance(residuals.expand_dims("subject"))
    with pytest.raises(LabelError, match="repeated: 'v0'"):
        noise_covariance(residuals.isel(neuroid=[0, 0, 1]))
    with pytest.raises(ShapeError, match="one of 'unit' or 'neuroid'"):
        noise_covariance(residuals.rename(neuroid="voxel"))
    with pytest.raises(ShapeError, match="are those of a covariance"):
        noise_covariance(noise_covariance(residuals))


def test_whiten_refuses_other_neuroids_and_an_indefinite_precision(residuals, rng):
    patterns = xr.DataArray(
        rng.standard_normal((4, 8)),
        dims=("stimulus", "neuroid"),
        coords={"stimulus": list("abcd"), "neuroid": [f"w{i}" for i in range(8)]},
    )
    with pytest.raises(LabelError, match="8 of 8 labels of 'neuroid' are not in noise"):
        whiten(patterns, residuals)
    with pytest.raises(LabelError, match="patterns have labels along 'neuroid' and noise have none"):
        whiten(patterns, make_residuals(residuals.values, names=False))
    with pytest.raises(ShapeError, match="patterns have 7 neuroids and noise has 8"):
        whiten(patterns[:, 1:], residuals)
    with pytest.raises(ShapeError, match=r"noise must be an xarray\.DataArray; got ndarray"):
        whiten(patterns, residuals.values)
    with pytest.raises(ShapeError, match="rename one of them"):
        whiten(patterns, residuals.rename(neuroid="unit"))
    noise = noise_precision(residuals).assign_coords(neuroid=patterns.neuroid.values)
    noise = noise.assign_coords(neuroid_b=patterns.neuroid.values)
    with pytest.raises(InvalidValueError, match="must be positive definite to whiten with"):
        whiten(patterns, noise - 1e6 * xr.DataArray(np.eye(8), dims=noise.dims))
    with pytest.raises(InvalidValueError, match="patterns must be finite; 4 of 32 values are not"):
        whiten(patterns.where(patterns.neuroid != "w0"), noise)


def test_the_precision_of_few_residuals_takes_little_more_memory_than_itself(rng):
    n, u = 100, 1500
    x = make_residuals(rng.standard_normal((n, u)).astype(np.float32), names=False)
    tracemalloc.start()
    noise_precision(x)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.reset_peak()
    whiten(x[:5].rename(time="stimulus").assign_coords(stimulus=range(5)), x)
    white = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    square, rows = 8 * u * u, 8 * n * u
    # Linear algebra outside numpy's allocator is not traced; what is traced must stay near the result.
    assert peak < 1.5 * square + 6 * rows
    assert white < square


def test_one_neuroid_or_uncorrelated_ones_are_shrunk_all_the_way():
    one = make_residuals([[1.0], [-1.0], [2.0], [-2.0]])
    for method in SHRUNK:
        found = noise_covariance(one, method)
        assert found.attrs["shrinkage"] == 1 and float(found[0, 0]) == pytest.approx(10 / 3)
    apart = make_residuals([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    np.testing.assert_allclose(noise_covariance(apart), np.eye(2) * 4 / 3, atol=1e-15)


def test_folds_are_a_dim_or_a_coordinate_whose_labels_are_all_there(rng):
    x = correlated(rng, 24, 3).reshape(2, 4, 3, 3)
    dims = xr.DataArray(
        x, dims=("run", "repetition", "stimulus", "neuroid"), coords={"stimulus": list("abc")}
    )
    slow = (x - x.mean(axis=1, keepdims=True)).reshape(24, 3)
    found = noise_covariance(dims, "full", folds="run")
    np.testing.assert_allclose(found, slow.T @ slow / (24 - 6), rtol=1e-12)
    flat = make_responses(x.reshape(24, 3), list("abc") * 8, [np.nan] + [1.0] * 23)
    with pytest.raises(LabelError, match="x: 1 of 24 labels of 'run' are missing"):
        noise_covariance(flat, folds="run")


def test_a_matrix_that_is_no_covariance_is_refused(residuals):
    full = noise_covariance(residuals)
    with pytest.raises(InvalidValueError, match=r"must be finite and square; got shape \(8, 7\)"):
        noise_precision(full[:, 1:])
    with pytest.raises(InvalidValueError, match="a covariance must be symmetric"):
        noise_precision(full + np.arange(8.0))

"""How few stimuli, neuroids, folds and pairs are enough: what is just taken has its number, less has none."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
import xarray as xr
from scipy.spatial.distance import pdist

from neuroalign import rsa
from neuroalign.errors import InvalidValueError, ShapeError
from neuroalign.rsa.regression import partial_compare, variance_partition
from neuroalign.rsa.searchlight import searchlight
from neuroalign.rsa.searchlight_reliability import searchlight_reliability
from neuroalign.rsa.second_moments import bures, riemannian
from neuroalign.rsa.transforms import subset
from neuroalign.rsa.weighted import sample_scores
from neuroalign.rsa.whitening import as_whitening
from neuroalign.schema import make_rdm


def patterns_of(values, *, folds=None):
    values = np.asarray(values, dtype=float)
    dims = ("run", "stimulus", "neuroid") if values.ndim == 3 else ("stimulus", "neuroid")
    names = [f"s{i}" for i in range(values.shape[-2])]
    coords = {"stimulus": names, "neuroid": np.arange(values.shape[-1])}
    return xr.DataArray(values, dims=dims, coords=coords | ({"run": range(len(values))} if folds else {}))


def models_of(rows, **dims):
    rows = np.asarray(rows, dtype=float)
    n = round((1 + np.sqrt(1 + 8 * rows.shape[-1])) / 2)
    dim, names = next(iter(dims.items()))
    return make_rdm(rows, [f"s{i}" for i in range(n)], dims=[dim], coords={dim: list(names)})


# RDMs


def test_two_stimuli_and_one_neuroid_have_a_distance():
    found = rsa.rdm(patterns_of([[3.0], [-1.0]]), "euclidean")
    assert found.values.tolist() == [4.0]
    with pytest.raises(ShapeError, match=r"euclidean needs at least 2 stimuli and 1 neuroid\(s\)"):
        rsa.rdm(patterns_of([[3.0]]), "euclidean")


def test_a_correlation_needs_two_neuroids():
    found = rsa.rdm(patterns_of([[1.0, 2.0], [5.0, 3.0], [0.0, 7.0]]), "correlation")
    np.testing.assert_allclose(found, [2.0, 0.0, 2.0], atol=1e-15)
    with pytest.raises(ShapeError, match=r"correlation needs at least 2 stimuli and 2 neuroid\(s\)"):
        rsa.rdm(patterns_of([[1.0], [5.0], [0.0]]), "correlation")


def test_two_folds_are_cross_validated_and_one_is_not():
    runs = np.array([[[1.0, 0.0], [4.0, 2.0]], [[2.0, 1.0], [3.0, 5.0]]])
    found = rsa.rdm(patterns_of(runs, folds=True), "crossnobis", normalize="none")
    a, b = runs[:, 0] - runs[:, 1]
    assert found.values.tolist() == [a @ b] == [11.0]
    with pytest.raises(ShapeError, match="needs at least 2 folds; 'run' has 1"):
        rsa.rdm(patterns_of(runs[:1], folds=True), "crossnobis")


def test_pairs_that_lack_a_fold_are_counted(rng):
    x = patterns_of(rng.standard_normal((3, 5, 4)), folds=True).stack(item=("run", "stimulus"))
    x = x.transpose("item", "neuroid").reset_index("item").rename(item="presentation")
    x = x.isel(presentation=np.setdiff1d(np.arange(15), [3, 9]))
    # Stimulus 3 is not in run 0, stimulus 4 not in run 1: 7 of 10 pairs hold one of them.
    found = rsa.rdm(x, "crossnobis")
    assert found.attrs["n_incomplete"] == 7 and found.attrs["n_folds"] == 3


@pytest.mark.parametrize(("prior_lambda", "prior_weight"), [(0.0, 0.5), (2.0, 0.0), (2.0, 0.5)])
def test_a_prior_of_the_poisson_distance_may_be_0(prior_lambda, prior_weight):
    x = np.array([[1.0, 4.0], [2.0, 3.0]])
    options = {"prior_lambda": prior_lambda, "prior_weight": prior_weight}
    found = rsa.rdm(patterns_of(x), "poisson", normalize="none", **options)
    rates = (x + prior_lambda * prior_weight) / (1 + prior_weight)
    expected = ((rates[0] - rates[1]) * (np.log(rates[0]) - np.log(rates[1]))).sum()
    assert found.item() == pytest.approx(expected, rel=1e-12)
    for name in options:
        with pytest.raises(InvalidValueError, match=f"{name} must be finite and not negative; got -0.5"):
            rsa.rdm(patterns_of(x), "poisson", **{name: -0.5})


def test_two_stimuli_of_an_rdm_are_a_subset_and_one_is_not():
    rdms = models_of([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], subject="ab")
    found = subset(rdms, ["s2", "s0"])
    assert found.values.tolist() == [[2.0], [5.0]]
    with pytest.raises(ShapeError, match=r"an RDM needs at least 2 stimuli; got \['s2'\]"):
        subset(rdms, ["s2"])


# Windows


def test_a_window_of_one_row_is_that_row_and_two_windows_are_enough():
    series = xr.DataArray(
        np.arange(12.0).reshape(6, 2), dims=("time", "neuroid"), coords={"time": np.arange(6.0)}
    )
    assert rsa.window_patterns(series, 1).values.tolist() == series.values.tolist()
    found = rsa.window_patterns(series, 3, how="mean")
    assert found.values.tolist() == [[2.0, 3.0], [8.0, 9.0]] and found.attrs["n_dropped"] == 0
    assert found["onset"].values.tolist() == [0.0, 3.0]
    with pytest.raises(ShapeError, match="windows of 4 rows: 1 fit into 6 rows; an RDM needs at least 2"):
        rsa.window_patterns(series, 4)


# Comparisons


@pytest.mark.parametrize("method", ["cosine", "pearson", "spearman", "rho-a"])
def test_three_pairs_of_a_sample_are_compared_and_two_are_not(method):
    a, b = np.array([[1.0, 2.0, 9.0, 4.0, 9.0, 9.0]]), np.array([[3.0, 1.0, 9.0, 2.0, 9.0, 9.0]])
    # The sample holds stimuli 0 to 2, whose pairs are the first, second and fourth.
    x, y = a[0, [0, 1, 3]], b[0, [0, 1, 3]]
    expected = {
        "cosine": x @ y / np.sqrt((x @ x) * (y @ y)),
        "pearson": np.corrcoef(x, y)[0, 1],
        "spearman": -0.5,
        "rho-a": -0.5,
    }[method]
    found = sample_scores(a, b, np.array([1, 1, 1, 0]), method)
    np.testing.assert_allclose(found, [[expected]], rtol=1e-12)
    # Stimulus 0 twice and stimulus 1 once: one pair that comes twice.
    assert np.isnan(sample_scores(a, b, np.array([2, 1, 0, 0]), method)).all()


def test_second_moments_of_three_stimuli_are_compared_and_of_two_are_not(rng):
    x, y = rng.standard_normal((2, 3, 4))
    a, b = (pdist(z, "sqeuclidean")[None] for z in (x, y))
    known = np.ones(3, dtype=bool)
    x, y = (z - z.mean(axis=0) for z in (x, y))
    # Fidelity: the nuclear norm of X' Y at lengths 1.
    expected = np.linalg.norm(x.T @ y, "nuc") / (np.linalg.norm(x) * np.linalg.norm(y))
    np.testing.assert_allclose(bures(a, b, known), [[expected]], rtol=1e-10)
    assert np.isfinite(riemannian(a, b, known)).all()
    for compared in (bures, riemannian):
        assert np.isnan(compared(a[:, :1], b[:, :1], known[:1])).all()


def test_two_models_are_enough_for_a_partial_correlation(rng):
    x, y = rng.random((2, 10)), rng.random((1, 10))
    found = partial_compare(models_of(x, model="ab"), models_of(y, subject="p"), "pearson")
    r = np.corrcoef(np.concatenate([x, y]))
    first = (r[0, 2] - r[0, 1] * r[1, 2]) / np.sqrt((1 - r[0, 1] ** 2) * (1 - r[1, 2] ** 2))
    second = (r[1, 2] - r[0, 1] * r[0, 2]) / np.sqrt((1 - r[0, 1] ** 2) * (1 - r[0, 2] ** 2))
    np.testing.assert_allclose(found.values[:, 0], [first, second], rtol=1e-10)
    with pytest.raises(ShapeError, match="needs a second model to hold fixed; got 1"):
        partial_compare(models_of(x[:1], model="a"), models_of(y, subject="p"))


def test_as_many_models_as_pairs_explain_nothing_that_can_be_told(rng):
    models, data = rng.random((5, 6)), rng.random((3, 6))
    data[1, 2] = np.nan  # five pairs are left for five models
    groups = {"one": list("abc"), "two": list("de")}
    found = variance_partition(models_of(models, model="abcde"), models_of(data, subject="pqr"), groups)
    assert np.isnan(found["r2"].sel(subject="q")).all() and found.attrs["n_undefined"] == 1
    # A constant and five models fit six pairs.
    whole = found["r2"].sel(union="one + two", subject=["p", "r"])
    np.testing.assert_allclose(whole, 1.0, rtol=1e-9)


def test_signal_needs_two_folds():
    stimuli = np.array(["s0", "s1", "s2"])
    signal = make_rdm(np.array([1.0, 2.0, 3.0]), stimuli)
    found = as_whitening(stimuli, None, signal, 2)
    np.testing.assert_allclose(found.total, [[1, -1, -2], [-1, 1, -3], [-2, -3, 1]])
    np.testing.assert_allclose(as_whitening(stimuli, None, signal, 4).total[0], [1, -3, -6])
    with pytest.raises(InvalidValueError, match="n_folds must be an integer of at least 2; got 1"):
        as_whitening(stimuli, None, signal, 1)


# Searchlights


def slow(responses, models, around, **options):
    rows = [rsa.rdm(responses.isel(neuroid=sphere), **options) for sphere in around]
    return np.array([rsa.compare(models, row, "pearson").values[:, 0] for row in rows]).T


def test_a_searchlight_takes_three_stimuli(rng):
    responses = patterns_of(rng.standard_normal((3, 4)))
    models = models_of(rng.random((2, 3)), model="ab")
    around = [[0, 1, 2], [0, 1, 3], [1, 2, 3], [0, 2, 3]]
    found = searchlight(responses, models, neighbours=around, method="pearson")
    np.testing.assert_allclose(found, slow(responses, models, around), atol=1e-10)
    with pytest.raises(ShapeError, match="comparing RDMs needs at least 3 stimuli; got 2"):
        searchlight(responses[:2], models_of([[1.0]], model="a"), neighbours=around)


def test_spheres_of_min_neuroids_are_taken_and_smaller_ones_are_not(rng):
    responses = patterns_of(rng.standard_normal((5, 4)))
    models = models_of(rng.random((2, 10)), model="ab")
    around = [[0, 1, 2], [1, 2], [2], []]
    options = {"neighbours": around, "metric": "euclidean", "method": "pearson"}
    found = searchlight(responses, models, min_neuroids=2, **options)
    np.testing.assert_allclose(
        found[:, :2], slow(responses, models, around[:2], metric="euclidean"), atol=1e-10
    )
    assert np.isnan(found[:, 2:]).all() and found.attrs["n_undefined"] == 4
    assert found["n_neuroids"].values.tolist() == [3, 2, 1, 0]
    one = searchlight(responses, models, min_neuroids=1, **options)
    assert np.isnan(one.values).all(axis=0).tolist() == [False, False, False, True]
    # A correlation of patterns is one over neuroids.
    options["metric"] = "correlation"
    assert np.isnan(searchlight(responses, models, min_neuroids=1, **options)[:, 2:]).all()


@pytest.mark.parametrize("metric", ["crossnobis", "correlation-cv"])
def test_two_folds_are_enough_for_a_searchlight(rng, metric):
    truth = 3 * rng.standard_normal((4, 5))
    responses = patterns_of(truth + rng.standard_normal((2, 4, 5)), folds=True)
    models = models_of(rng.random((2, 6)), model="ab")
    around = [[0, 1, 2, 3, 4]] * 5
    found = searchlight(responses, models, neighbours=around, metric=metric, method="pearson")
    expected = slow(responses, models, around, metric=metric)
    assert np.isfinite(expected).all()
    np.testing.assert_allclose(found, expected, atol=1e-10)
    with pytest.raises(ShapeError, match="needs at least 2 folds with every stimulus; 'run' has 1"):
        searchlight(responses[:1], models, neighbours=around, metric=metric)


@pytest.mark.parametrize(("metric", "enough"), [("correlation", 2), ("crossnobis", 4)])
def test_halves_need_so_many_folds(rng, metric, enough):
    responses = patterns_of(rng.standard_normal((4, 5)) + rng.standard_normal((enough, 4, 5)), folds=True)
    options = {"neighbours": [[0, 1, 2, 3, 4]] * 5, "metric": metric}
    found = searchlight_reliability(responses, **options)
    halves = [responses[::2], responses[1::2]]
    if metric == "correlation":
        halves = [half.mean("run") for half in halves]
    a, b = (rsa.rdm(half, metric).values for half in halves)
    r = np.corrcoef(a, b)[0, 1]
    np.testing.assert_allclose(found["r"], r, rtol=1e-9)
    np.testing.assert_allclose(found["reliability"], 2 * r / (1 + r), rtol=1e-9)
    with pytest.raises(ShapeError, match=f"two halves need at least {enough} folds; got {enough - 1}"):
        searchlight_reliability(responses[:-1], **options)


def test_one_split_is_that_of_every_other_fold_even_with_a_generator(rng):
    responses = patterns_of(rng.standard_normal((4, 5)) + rng.standard_normal((6, 4, 5)), folds=True)
    options = {"neighbours": [[0, 1, 2, 3, 4]] * 5}
    plain = searchlight_reliability(responses, **options)
    for seed in range(3):
        xr.testing.assert_identical(
            searchlight_reliability(responses, rng=np.random.default_rng(seed), **options), plain
        )
    with pytest.raises(InvalidValueError, match="random halves need a numpy"):
        searchlight_reliability(responses, n_splits=2, **options)


def test_random_splits_are_averaged_sphere_by_sphere(rng):
    responses = patterns_of(rng.standard_normal((5, 4)) + rng.standard_normal((4, 5, 4)), folds=True)
    around = [[0, 1, 2], [1, 2, 3], [0, 1, 2, 3], [0, 3]]
    found = searchlight_reliability(
        responses, neighbours=around, metric="euclidean", n_splits=3, rng=np.random.default_rng(5)
    )
    again, r = np.random.default_rng(5), np.empty((3, 4))
    for k in range(3):
        order = again.permutation(4)
        means = [responses[order[start::2]].mean("run") for start in (0, 1)]
        for i, sphere in enumerate(around):
            rows = [rsa.rdm(half.isel(neuroid=sphere), "euclidean").values for half in means]
            r[k, i] = scipy.stats.pearsonr(*rows).statistic
    np.testing.assert_allclose(found["r"], r.mean(axis=0), rtol=1e-9)
    assert found.attrs["n_negative"] == (r.mean(axis=0) < 0).sum()

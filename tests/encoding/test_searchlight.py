"""Decoding and encoding searchlights: scikit-learn in a loop, permutations by hand, leaks, refusals."""

from __future__ import annotations

import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import Ridge, RidgeClassifier
from sklearn.linear_model import RidgeCV as SklearnRidgeCV
from sklearn.preprocessing import StandardScaler

from neuroalign import encoding
from neuroalign.encoding.sphere_decoding import blocks
from neuroalign.encoding.sphere_ridge import SphereRidge
from neuroalign.errors import InvalidValueError, LabelError, ShapeError
from neuroalign.stats import SCORES, fdr

N_ROWS, N_NEUROIDS, N_CLASSES = 48, 14, 4
RUN = np.repeat([1, 2, 3, 4], 12)
LABEL = np.tile(["face", "house", "cat", "shoe"], 12)
ROWS = [f"r{i:02d}" for i in range(N_ROWS)]
SPLITS = encoding.leave_one_run_out(RUN)
# Spheres of 2 to 14 neuroids: smaller and (with 36 training rows) never larger than the rows.
AROUND = [np.arange(max(0, i - i % 5), min(N_NEUROIDS, i + 2)) for i in range(N_NEUROIDS)]


@pytest.fixture
def responses(rng):
    values = rng.standard_normal((N_ROWS, N_NEUROIDS)) + 5.0
    values[:, :5] += 1.2 * rng.standard_normal((4, 5))[np.unique(LABEL, return_inverse=True)[1]]
    coords = {"stimulus": ROWS, "run": ("stimulus", RUN), "neuroid": [f"v{i}" for i in range(N_NEUROIDS)]}
    return xr.DataArray(values, dims=("stimulus", "neuroid"), coords=coords)


@pytest.fixture
def labels():
    return xr.DataArray(LABEL, dims="stimulus", coords={"stimulus": ROWS})


@pytest.fixture
def features(rng, responses):
    values = responses.values[:, :3] @ rng.standard_normal((3, 3)) + rng.standard_normal((N_ROWS, 3))
    return xr.DataArray(
        values, dims=("stimulus", "feature"), coords={"stimulus": ROWS, "feature": ["a", "b", "c"]}
    )


def slow(model, y, x, around, score):
    """One scaler and one estimator a sphere and fold."""
    found = []
    for sphere in around:
        folds = []
        for train, test in SPLITS:
            scaler = StandardScaler().fit(x[train][:, sphere])
            fitted = model.fit(scaler.transform(x[train][:, sphere]), y[train])
            folds.append(score(y[test], fitted.predict(scaler.transform(x[test][:, sphere]))))
        found.append(np.mean(folds, axis=0))
    return np.array(found).T


def accuracy(truth, predicted):
    return np.mean(truth == predicted)


# Equality with scikit-learn, one sphere at a time


@pytest.mark.parametrize("alpha", [0.1, 30.0])
def test_labels_are_decoded_as_by_a_ridge_classifier(responses, labels, alpha):
    found = encoding.searchlight(labels, responses, AROUND, splits=SPLITS, alphas=alpha)
    expected = slow(RidgeClassifier(alpha=alpha), LABEL, responses.values, AROUND, accuracy)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert found.dims == ("neuroid",) and found.attrs["chance"] == 0.25
    assert found.n_neuroids.values.tolist() == [len(sphere) for sphere in AROUND]
    assert found[:4].mean() > 0.5


@pytest.mark.parametrize("metric", ["pearson", "r2", "mse", "spearman"])
def test_numbers_are_decoded_as_by_ridge(responses, features, metric):
    found = encoding.searchlight(features, responses, AROUND, splits=SPLITS, alphas=3.0, metric=metric)
    expected = slow(Ridge(alpha=3.0), features.values, responses.values, AROUND, SCORES[metric])
    np.testing.assert_allclose(found, expected, atol=1e-10)
    assert found.dims == ("feature", "neuroid") and found["feature"].values.tolist() == ["a", "b", "c"]


def test_spheres_larger_than_the_rows_give_the_same(rng, features):
    wide = xr.DataArray(
        rng.standard_normal((N_ROWS, 80)), dims=("stimulus", "neuroid"), coords={"stimulus": ROWS}
    )
    around = [np.arange(80)] * 2 + [np.arange(i) for i in range(2, 80)]
    for alphas in (5.0, [1e-6, 1.0, 100.0]):
        found = encoding.searchlight(features, wide, around, splits=SPLITS, alphas=alphas)
        model = Ridge(alpha=5.0) if alphas == 5.0 else SklearnRidgeCV(alphas)
        some = [0, 20, 34, 35, 36, 37, 60]
        expected = slow(model, features.values, wide.values, [around[i] for i in some], SCORES["pearson"])
        np.testing.assert_allclose(found[:, some], expected, atol=1e-7)


def test_alphas_are_chosen_by_leaving_training_rows_out(responses, features):
    alphas = [0.01, 1.0, 100.0, 10_000.0]
    found = encoding.searchlight(features, responses, AROUND, splits=SPLITS, alphas=alphas)
    expected = slow(SklearnRidgeCV(alphas), features.values, responses.values, AROUND, SCORES["pearson"])
    np.testing.assert_allclose(found, expected, atol=1e-9)


@pytest.mark.parametrize("k", [3, 30])
def test_leave_one_out_errors_are_those_of_refits(rng, k):
    x, y = rng.standard_normal((12, k)), rng.standard_normal((12, 2))
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    solved = SphereRidge.of(x[None], x[None, :1])
    projected = solved.right.transpose(0, 2, 1) @ y
    for alpha in (1e-3, 1.0, 50.0):
        errors = []
        for i in range(12):
            rest = np.arange(12) != i
            errors.append(y[i] - Ridge(alpha=alpha).fit(x[rest], y[rest]).predict(x[i : i + 1])[0])
        np.testing.assert_allclose(solved._left_out(projected, y, alpha), np.square(errors).sum(), rtol=1e-6)


def test_any_estimator_is_fitted_to_each_sphere(responses, labels, features):
    model = LinearDiscriminantAnalysis()
    found = encoding.searchlight(labels, responses, AROUND[:4] + [[]] * 10, splits=SPLITS, model=model)
    expected = slow(model, LABEL, responses.values, AROUND[:4], accuracy)
    np.testing.assert_allclose(found[:4], expected, atol=1e-12)
    assert np.isnan(found[4:]).all() and found.attrs["n_undefined"] == 10
    ridge = encoding.searchlight(features, responses, AROUND, splits=SPLITS, model=Ridge(alpha=2.0))
    quick = encoding.searchlight(features, responses, AROUND, splits=SPLITS, alphas=2.0)
    np.testing.assert_allclose(ridge, quick, atol=1e-10)


def test_pooled_scores_are_of_all_test_rows_together(responses, features):
    found = encoding.searchlight(features, responses, AROUND, splits=SPLITS, alphas=1.0, convention="pooled")
    x, sphere = responses.values, AROUND[3]
    predicted = np.empty(features.shape)
    for train, test in SPLITS:
        scaler = StandardScaler().fit(x[train][:, sphere])
        fitted = Ridge(alpha=1.0).fit(scaler.transform(x[train][:, sphere]), features.values[train])
        predicted[test] = fitted.predict(scaler.transform(x[test][:, sphere]))
    np.testing.assert_allclose(found[:, 3], SCORES["pearson"](features.values, predicted), atol=1e-10)


def test_encoding_scores_are_the_means_over_each_sphere(responses, features):
    model = encoding.RidgeCV([1.0])
    found = encoding.searchlight(features, responses, AROUND, splits=SPLITS, direction="encode", model=model)
    own = encoding.evaluate(model, features, responses, splits=SPLITS).mean("fold").values
    np.testing.assert_allclose(found, [own[sphere].mean() for sphere in AROUND], atol=1e-12)
    dead = responses.copy(deep=True)
    dead[:, 0] = 3.0
    less = encoding.searchlight(features, dead, AROUND, splits=SPLITS, direction="encode", model=model)
    # The neuroid without a score is left out; the sphere of the first has too few left.
    np.testing.assert_allclose(less[1], own[AROUND[1][1:]].mean(), atol=1e-12)
    assert np.isnan(less[0]) and less.attrs["n_undefined"] == 1


# Laws


def test_chunks_and_the_order_of_rows_change_nothing(responses, labels, rng):
    whole = encoding.searchlight(labels, responses, AROUND, splits=SPLITS, alphas=1.0)
    for chunk in (1, 3):
        found = encoding.searchlight(
            labels, responses, AROUND, splits=SPLITS, alphas=1.0, chunk=chunk, progress=True
        )
        np.testing.assert_allclose(found, whole, atol=1e-12)
    mixed = responses.isel(stimulus=rng.permutation(N_ROWS))
    found = encoding.searchlight(labels, mixed, AROUND, splits=SPLITS, alphas=1.0)
    np.testing.assert_allclose(found, whole, atol=1e-12)


@pytest.mark.goal("R19", "fits of the room's own tests")
def test_test_rows_change_no_prediction_of_others(responses, labels):
    noisy = responses.copy(deep=True)
    noisy[RUN == 1] = 1e6
    one_fold = SPLITS[1:2]
    kept = [(train[RUN[train] != 1], test) for train, test in one_fold]
    whole = encoding.searchlight(labels, responses, AROUND, splits=kept, alphas=1.0)
    np.testing.assert_allclose(
        encoding.searchlight(labels, noisy, AROUND, splits=kept, alphas=1.0), whole, atol=1e-12
    )


@pytest.mark.goal("R19", "shuffled targets of the room's own tests")
def test_shuffled_labels_are_decoded_at_chance(rng, responses, labels):
    # Within runs, so that test and training rows stay balanced: else the mean is below chance.
    found = [
        encoding.searchlight(
            labels.copy(data=np.concatenate([rng.permutation(LABEL[:12]) for _ in range(4)])),
            responses,
            AROUND,
            splits=SPLITS,
            alphas=10.0,
        ).mean()
        for _ in range(30)
    ]
    assert np.mean(found) == pytest.approx(0.25, abs=0.02)


def test_the_arguments_are_not_edited(responses, features):
    before = [x.copy(deep=True) for x in (responses, features)]
    encoding.searchlight(features, responses, AROUND, splits=SPLITS)
    for x, copy in zip((responses, features), before, strict=True):
        xr.testing.assert_identical(x, copy)


def test_a_sphere_without_variance_is_nan_and_counted(responses, labels):
    dead = responses.copy(deep=True)
    dead[:, :6] = 2.5
    found = encoding.searchlight(labels, dead, AROUND, splits=SPLITS, alphas=1.0)
    few = [len(set(sphere.tolist()) - set(range(6))) < 2 for sphere in AROUND]
    np.testing.assert_array_equal(np.isnan(found.values), few)
    assert found.attrs["n_undefined"] == sum(few) > 0


def test_memory_does_not_grow_with_the_number_of_spheres(rng, labels):
    peaks = []
    for n in (500, 2000):
        x = xr.DataArray(
            rng.standard_normal((N_ROWS, n)), dims=("stimulus", "neuroid"), coords={"stimulus": ROWS}
        )
        around = [np.sort(np.arange(i, i + 20) % n) for i in range(n)]
        tracemalloc.start()
        encoding.searchlight(labels, x, around, splits=SPLITS, alphas=1.0, chunk=50)
        peaks.append(tracemalloc.get_traced_memory()[1] - 8 * 2 * x.size)
        tracemalloc.stop()
    # The operators of all spheres would take 28 and 110 MB.
    assert peaks[0] < 10e6 and peaks[1] < 12e6


# Tests


@pytest.mark.parametrize("alphas", [1.0, [0.1, 10.0, 1000.0]])
def test_permuted_labels_are_decoded_anew(responses, labels, alphas):
    found = encoding.searchlight_tests(
        labels, responses, AROUND, splits=SPLITS, n=19, rng=np.random.default_rng(3), alphas=alphas
    )
    rng, groups = np.random.default_rng(3), [np.flatnonzero(run == RUN) for run in (1, 2, 3, 4)]
    null = []
    for _ in range(19):
        order = np.concatenate([rows[rng.permutation(12)] for rows in groups])
        null.append(
            encoding.searchlight(
                labels.copy(data=LABEL[order]), responses, AROUND, splits=SPLITS, alphas=alphas
            ).values
        )
    null = np.array(null)
    observed = encoding.searchlight(labels, responses, AROUND, splits=SPLITS, alphas=alphas).values
    np.testing.assert_allclose(found["score"], observed, atol=1e-12)
    np.testing.assert_allclose(found["p"], (1 + (null >= observed - 1e-9).sum(axis=0)) / 20, atol=1e-12)
    largest = null.max(axis=1)[:, None]
    np.testing.assert_allclose(
        found["p_max"], (1 + (largest >= observed - 1e-9).sum(axis=0)) / 20, atol=1e-12
    )
    assert found.attrs["within"] == "run" and found.attrs["n_draws"] == 19


def test_every_feature_is_a_family_and_other_tails_hold(responses, features):
    found = encoding.searchlight_tests(
        features, responses, AROUND, splits=SPLITS, n=19, rng=np.random.default_rng(3), within=None
    )
    assert found["p_max"].dims == ("feature", "neuroid") and len(found.attrs["threshold"]) == 3
    one = encoding.searchlight_tests(
        features[:, 1:2], responses, AROUND, splits=SPLITS, n=19, rng=np.random.default_rng(3), within=None
    )
    np.testing.assert_allclose(one["p_max"][0], found["p_max"][1], atol=1e-12)


# What is refused


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"direction": "both"}, InvalidValueError, "direction must be one of 'decode', 'encode'"),
        ({"metric": "pearson"}, InvalidValueError, "metric of labels must be one of 'accuracy'"),
        ({"alphas": 0.0}, InvalidValueError, "alphas of a searchlight must be positive; got 0"),
        ({"convention": "mean"}, InvalidValueError, "convention must be one of"),
        ({"chunk": 0}, InvalidValueError, "chunk must be a positive integer; got 0"),
        ({"min_neuroids": 0}, InvalidValueError, "min_neuroids must be a positive integer; got 0"),
        ({"around": [[0, 1]]}, ShapeError, "one list a neuroid, 14; got 1"),
        ({"around": [[0, 14]] * 14}, InvalidValueError, "neighbours 0 must be positions from 0 to 13"),
        ({"around": [[0.5]] * 14}, ShapeError, "neighbours 0 must be integers"),
        ({"around": [[1, 1]] * 14}, LabelError, "neighbours 0 name a neuroid twice"),
        ({"splits": [([0, 4], [1])]}, InvalidValueError, "fold 0 is not trained on 3 of 4 classes"),
        ({"splits": [([0, 1], [1])]}, InvalidValueError, "trained and tested on"),
        ({"direction": "encode"}, ShapeError, "labels are for decoding"),
    ],
)
def test_wrong_arguments_are_refused_with_what_came(responses, labels, options, error, text):
    given = {"splits": SPLITS} | options
    with pytest.raises(error, match=text):
        encoding.searchlight(labels, responses, given.pop("around", AROUND), **given)


def test_wrong_arrays_are_refused_with_what_came(responses, labels, features, rng):
    with pytest.raises(ShapeError, match="features must be a DataArray of labels"):
        encoding.searchlight(features.T, responses, AROUND, splits=SPLITS)
    with pytest.raises(ShapeError, match=r"responses must be a DataArray \('stimulus', 'neuroid'\)"):
        encoding.searchlight(features, responses.T, AROUND, splits=SPLITS)
    with pytest.raises(LabelError, match="not in"):
        encoding.searchlight(labels[:-1], responses, AROUND, splits=SPLITS)
    with pytest.raises(InvalidValueError, match="metric of numbers must be one of"):
        encoding.searchlight(features, responses, AROUND, splits=SPLITS, metric="accuracy")
    with pytest.raises(InvalidValueError, match="at least 2 classes; got"):
        encoding.searchlight(labels.copy(data=["a"] * N_ROWS), responses, AROUND, splits=SPLITS)
    times = {"time": np.arange(N_ROWS) * 2.0}
    series = xr.DataArray(responses.values, dims=("time", "neuroid"), coords=times)
    scattered = [(np.arange(1, N_ROWS, 2), np.arange(0, N_ROWS, 2))]
    with pytest.raises(InvalidValueError, match="scattered in time"):
        encoding.searchlight(
            xr.DataArray(features.values, dims=("time", "feature"), coords=times),
            series,
            AROUND,
            splits=scattered,
        )
    tests = {"splits": SPLITS, "n": 9, "rng": rng}
    with pytest.raises(LabelError, match="neither responses nor features have a coordinate 'session'"):
        encoding.searchlight_tests(labels, responses, AROUND, within="session", **tests)
    with pytest.raises(ShapeError, match="no sphere has at least 99 neuroids that vary"):
        encoding.searchlight_tests(labels, responses, AROUND, min_neuroids=99, **tests)


def test_pooled_scores_need_rows_that_are_tested_once(responses, labels):
    twice = [*SPLITS, SPLITS[0]]
    with pytest.raises(
        InvalidValueError, match="some rows are tested in several folds; they cannot be pooled"
    ):
        encoding.searchlight(labels, responses, AROUND, splits=twice, convention="pooled")


def test_a_sphere_needs_a_positive_number_of_neuroids_to_be_encoded(responses, features):
    with pytest.raises(InvalidValueError, match="min_neuroids must be a positive integer; got 0"):
        encoding.searchlight(features, responses, AROUND, splits=SPLITS, direction="encode", min_neuroids=0)


def test_a_series_is_decoded_in_folds_of_whole_stretches(responses, features):
    times = {"time": 2.0 * np.arange(N_ROWS)}
    X, Y = (xr.DataArray(x.values, dims=("time", x.dims[1]), coords=times) for x in (features, responses))
    found = encoding.searchlight(X, Y, AROUND, splits=SPLITS)
    np.testing.assert_allclose(found, encoding.searchlight(features, responses, AROUND, splits=SPLITS))
    assert np.isfinite(found).any()


# Limits and ties


def linear(n_neuroids=5, n=12, t=2, seed=0):
    """Return numbers to decode and responses, in rows whose names are not in order."""
    rng = np.random.default_rng(seed)
    rows = {"stimulus": [f"r{(7 * i) % n:02d}" for i in range(n)]}
    X = xr.DataArray(rng.standard_normal((n, t)), dims=("stimulus", "feature"), coords=rows)
    values = rng.standard_normal((n, n_neuroids)) + X.values @ rng.standard_normal((t, n_neuroids))
    return X, xr.DataArray(values, dims=("stimulus", "neuroid"), coords=rows)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_the_least_number_of_neuroids_is_enough(size):
    X, Y = linear()
    around = [np.arange(k) for k in (1, 2, 3, 4, 0)]
    splits = [(np.arange(6), np.arange(6, 12)), (np.arange(6, 12), np.arange(6))]
    for direction in ("decode", "encode"):
        found = encoding.searchlight(
            X, Y, around, splits=splits, direction=direction, alphas=1.0, min_neuroids=size
        )
        known = np.isfinite(found.values if direction == "encode" else found.values[0])
        assert known.tolist() == [k >= size for k in (1, 2, 3, 4, 0)]


def test_two_classes_and_two_training_rows_are_enough():
    # One neuroid, standardised on two training rows: -1 and 1; a test row goes to the nearer class.
    label = xr.DataArray(list("abab"), dims="stimulus", coords={"stimulus": [0, 1, 2, 3]})
    Y = xr.DataArray(
        [[0.0, 1.0], [4.0, 1.0], [1.0, 1.0], [1.5, 2.0]],
        dims=("stimulus", "neuroid"),
        coords={"stimulus": [0, 1, 2, 3]},
    )
    found = encoding.searchlight(
        label, Y, [[0], [0]], splits=[([0, 1], [2, 3])], alphas=1.0, min_neuroids=1, chunk=1
    )
    assert found.values.tolist() == [0.5, 0.5] and found.attrs["chance"] == 0.5
    with pytest.raises(ShapeError, match="at least 2 training rows in every fold; got 1"):
        encoding.searchlight(label, Y, [[0], [0]], splits=[([0], [2, 3])], alphas=1.0)


def test_rows_of_folds_are_those_of_the_features_and_of_a_series_those_in_order_of_time(rng):
    X, Y = linear()
    around = [np.arange(3)] * 5
    splits = [(np.arange(7), np.arange(7, 12)), (np.arange(5, 12), np.arange(5))]
    found = encoding.searchlight(X, Y, around, splits=splits, alphas=2.0)
    expected = []
    for train, test in splits:
        mean, sd = Y.values[train, :3].mean(axis=0), Y.values[train, :3].std(axis=0)
        fitted = Ridge(2.0).fit((Y.values[train, :3] - mean) / sd, X.values[train])
        predicted = fitted.predict((Y.values[test, :3] - mean) / sd)
        expected.append(SCORES["pearson"](X.values[test], predicted))
    np.testing.assert_allclose(found[:, 0], np.mean(expected, axis=0), atol=1e-10)
    times = {"time": np.arange(12.0)}
    x, y = (xr.DataArray(a.values, dims=("time", a.dims[1]), coords=times) for a in (X, Y))
    order = rng.permutation(12)
    np.testing.assert_allclose(
        encoding.searchlight(x.isel(time=order), y, around, splits=splits, alphas=2.0), found, atol=1e-12
    )


def test_folds_without_a_score_are_left_out_and_features_without_any_are_nan():
    X, Y = linear(t=3)
    X[8:, 1], X[:, 2] = 0.5, 1.5
    splits = [(np.arange(8), np.arange(8, 12)), (np.arange(4, 12), np.arange(4))]
    around = [np.arange(3)] * 5
    found = encoding.searchlight(X, Y, around, splits=splits, alphas=1.0)
    one = encoding.searchlight(X, Y, around, splits=splits[1:], alphas=1.0)
    np.testing.assert_allclose(found[1], one[1], atol=1e-12)
    assert np.isnan(found[2]).all() and np.isfinite(found[:2]).all() and found.attrs["n_undefined"] == 5


def test_adjusted_p_are_those_of_each_map(responses, features):
    found = encoding.searchlight_tests(
        features, responses, AROUND, splits=SPLITS, n=9, rng=np.random.default_rng(3), alphas=1.0
    )
    for p, adjusted in zip(found["p"].values, found["p_fdr"].values, strict=True):
        np.testing.assert_allclose(adjusted, fdr(p), atol=1e-14)


@pytest.mark.parametrize("size", [10, 90])
def test_a_block_of_spheres_takes_about_as_much_as_it_may(size):
    n, trained = 60, [40, 45, 50]
    folds = [(np.arange(k), np.arange(k, n)) for k in trained]
    job = SimpleNamespace(around=[np.arange(size)] * 2000 + [np.empty(0)], folds=folds, n_rows=n)
    sizes = [len(part) for part in blocks(job, None)]
    # The responses thrice, what the folds keep of training rows twice, two Gram matrices: 8 bytes each.
    rank = min(size, n)
    one = 8 * (3 * size * n + 2 * rank * sum(trained) + rank * rank + n * n)
    assert sizes[0] == (16 * 1024 * 1024) // one
    assert set(sizes[:-1]) == {sizes[0]} and sum(sizes) == 2000
    assert [len(part) for part in blocks(job, 900)] == [900, 900, 200]
    assert next(blocks(job, 1)).tolist() == [0]


@pytest.mark.parametrize(("n", "k"), [(6, 3), (6, 6), (6, 9)])
@pytest.mark.parametrize("unit", [1e-4, 1.0, 1e4])
def test_sphere_ridge_is_ridge_below_at_and_above_as_many_neuroids_as_rows(n, k, unit):
    rng = np.random.default_rng(0)
    train, y = rng.standard_normal((2, n, k)) * unit, rng.standard_normal((n, 2))
    train, y = train - train.mean(axis=1, keepdims=True), y - y.mean(axis=0)
    test = rng.standard_normal((2, 4, k)) * unit
    alphas = np.array([30.0, 0.5]) * unit**2
    solved = SphereRidge.of(train, test)
    slow = np.array(
        [[Ridge(a).fit(x, y).predict(z) for x, z in zip(train, test, strict=True)] for a in alphas]
    )
    np.testing.assert_allclose(solved.operator(alphas[1]) @ y, slow[1], atol=1e-9)
    predicted, best = solved.chosen(y, alphas)
    errors = np.zeros((2, 2))
    for a, alpha in enumerate(alphas):
        for s, x in enumerate(train):
            for i in range(n):
                rest = np.arange(n) != i
                errors[a, s] += (
                    (Ridge(alpha).fit(x[rest], y[rest]).predict(x[i : i + 1])[0] - y[i]) ** 2
                ).sum()
    assert best.tolist() == errors.argmin(axis=0).tolist()
    np.testing.assert_allclose(predicted, slow[best, np.arange(2)], atol=1e-9)


@pytest.mark.parametrize("k", [2, 6])
def test_spheres_that_do_not_vary_in_training_predict_the_mean(k):
    y = np.array([[1.0], [-3.0], [2.0], [0.0]])
    solved = SphereRidge.of(np.zeros((1, 4, k)), np.ones((1, 3, k)))
    predicted, best = solved.chosen(y, np.array([10.0, 1.0]))
    assert best.tolist() == [0]
    np.testing.assert_allclose(predicted, np.zeros((1, 3, 1)), atol=1e-12)
    np.testing.assert_allclose(solved.operator(2.0) @ y, np.zeros((1, 3, 1)), atol=1e-12)

"""The kernels of decoding: scores by hand, folds that lack a class, blocks of times, fitted values."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, balanced_accuracy_score, roc_auc_score

from neuroalign.encoding import decoding_time, discriminants
from neuroalign.encoding.decoding_metrics import accuracy, auc, balanced_accuracy, chance_level
from neuroalign.encoding.decoding_time import Task, scores_in_time
from neuroalign.encoding.discriminants import decisions, default_decoder, fit_discriminants

TRUTH = np.array([0, 0, 0, 1, 1, 2, 2])


def task(x, splits, *, k=2, estimator=None, metric="balanced-accuracy", across=False):
    return Task(x, np.arange(k), splits, estimator, metric, across)


def data(counts, v=3, t=4, seed=0):
    """Return presentations (n, v, t) and classes with so many of each."""
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(len(counts)), counts)
    return rng.standard_normal((len(y), v, t)) + y[:, None, None], y


@pytest.mark.parametrize(("ours", "theirs"), [
    (accuracy, accuracy_score), (balanced_accuracy, balanced_accuracy_score),
])  # fmt: skip
def test_shares_of_right_answers_are_scikit_learns_at_each_time(ours, theirs, rng):
    predicted = rng.integers(0, 3, (7, 2, 5))
    found = ours(TRUTH, predicted, 3)
    assert found.shape == (2, 5)
    for i, j in np.ndindex(2, 5):
        assert found[i, j] == pytest.approx(theirs(TRUTH, predicted[:, i, j]))


def test_the_area_under_the_curve_is_scikit_learns_at_each_time(rng):
    values = rng.integers(0, 5, (7, 2, 5, 3)).astype(float)
    found = auc(TRUTH, values, 3)
    assert found.shape == (2, 5)
    for i, j in np.ndindex(2, 5):
        each = [roc_auc_score(np.equal(TRUTH, k), values[:, i, j, k]) for k in range(3)]
        assert found[i, j] == pytest.approx(np.mean(each))


def test_the_area_of_2_classes_is_that_of_the_second_alone():
    truth, second = np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8])
    assert auc(truth, np.stack([second, second], axis=1), 2) == 0.75
    assert auc(truth, np.stack([np.zeros(4), -second], axis=1), 2) == 0.25


@pytest.mark.parametrize(("metric", "expected"), [
    ("accuracy", 0.375), ("balanced-accuracy", 1 / 3), ("auc", 0.5),
])  # fmt: skip
def test_chance_is_the_score_of_the_most_frequent_training_class(metric, expected):
    assert chance_level(metric, np.array([2, 9, 4]), np.array([4, 3, 1]), 3) == expected


@pytest.mark.parametrize(("counts", "estimator", "known"), [
    ((4, 2), None, True), ((4, 1), None, False), ((4, 1), "own", True), ((4, 0), "own", False),
])  # fmt: skip
def test_the_default_decoder_needs_2_training_presentations_of_each_class_and_others_1(
    counts, estimator, known
):
    x, y = data((6, 4))
    train = np.r_[0 : counts[0], 6 : 6 + counts[1]]
    work = task(x, [(train, np.array([4, 5, 8, 9]))], estimator=estimator and LogisticRegression())
    assert np.isnan(scores_in_time(work, y)).tolist() == [[not known] * 4]


@pytest.mark.parametrize(
    ("metric", "known"), [("balanced-accuracy", False), ("auc", False), ("accuracy", True)]
)
def test_a_test_fold_without_a_class_has_an_accuracy_only(metric, known):
    x, y = data((6, 4))
    splits = [(np.r_[0:4, 6:9], np.array([4, 5])), (np.r_[0:4, 6:9], np.array([4, 9]))]
    found = scores_in_time(task(x, splits, metric=metric), y)
    assert np.isnan(found).tolist() == [[not known] * 4, [False] * 4]


@pytest.mark.parametrize("across", [False, True])
@pytest.mark.parametrize(("estimator", "lacking"), [(None, False), (None, True), ("own", True)])
def test_the_bar_counts_every_time_of_every_fold(across, estimator, lacking, monkeypatch):
    told = []

    class Bar:
        def __init__(self, total, **_):
            told.append(-total)

        def update(self, n):
            told.append(n)

        def close(self):
            pass

    monkeypatch.setattr(decoding_time, "tqdm", Bar)
    monkeypatch.setattr(decoding_time, "BLOCK", 170)
    x, y = data((8, 8))
    splits = [
        (np.r_[0:6, 8:14], np.r_[6:8, 14:16]),
        (np.r_[0:6, 8:14], np.array([6] if lacking else [6, 15])),
    ]
    scores_in_time(task(x, splits, estimator=estimator and LogisticRegression(), across=across), y)
    assert told[0] == -8
    assert sum(told[1:]) == 8


@pytest.mark.parametrize(("across", "n_test", "numbers"), [
    # 3 neuroids and 12 training rows take 3 (3 + 36) numbers a time; decisions n_test x 2 (x 5 times).
    (False, 4, 117), (True, 4, 117), (True, 20, 200), (False, 80, 160),
])  # fmt: skip
@pytest.mark.parametrize(("spare", "widths"), [(0, [2, 2, 1]), (-1, [1] * 5)])
def test_blocks_of_times_are_as_wide_as_the_limit_allows(across, n_test, numbers, spare, widths, monkeypatch):
    x, y = data((6 + n_test // 2, 6 + n_test // 2), t=5)
    half = len(y) // 2
    train, test = np.r_[0:6, half : half + 6], np.r_[6:half, half + 6 : len(y)]
    seen = []

    def fit(block, *rest):
        seen.append(block.shape[2])
        return fit_discriminants(block, *rest)

    monkeypatch.setattr(decoding_time, "fit_discriminants", fit)
    whole = scores_in_time(task(x, [(train, test)], across=across), y)
    assert seen == [5]
    seen.clear()
    monkeypatch.setattr(decoding_time, "BLOCK", 2 * numbers + spare)
    found = scores_in_time(task(x, [(train, test)], across=across), y)
    assert seen == widths
    np.testing.assert_array_equal(found, whole)


@pytest.mark.parametrize("across", [False, True])
def test_values_are_scored_at_their_own_or_at_every_time(across, rng):
    x, y = rng.standard_normal((12, 3, 4)), rng.standard_normal(12)
    train, test = np.arange(7), np.arange(7, 12)
    work = Task(x, None, [(train, test)], Ridge(0.1), "pearson", across)
    found = scores_in_time(work, y)[0]
    for i in range(4):
        fitted = Ridge(0.1).fit(x[train, :, i], y[train])
        for j in range(4) if across else [i]:
            expected = np.corrcoef(fitted.predict(x[test, :, j]), y[test])[0, 1]
            assert found[(i, j) if across else i] == pytest.approx(expected)


class Decided(BaseEstimator):
    def fit(self, x, y):
        return self

    def decision_function(self, x):
        return x[:, 0]


def test_decisions_of_2_classes_are_opposite():
    work = task(np.zeros((3, 2, 1)), [], estimator=Decided(), metric="auc")
    found = decoding_time._of_estimator(Decided(), np.array([[1.0, 9.0], [-2.0, 9.0], [0.5, 9.0]]), work)
    assert found.tolist() == [[-1.0, 1.0], [2.0, -2.0], [-0.5, 0.5]]


@pytest.mark.parametrize("k", [3, 4])
@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_discriminants_are_scikit_learns_to_the_constant(k, scale):
    x, y = data(np.arange(5, 5 + k), v=4)
    x = scale * (x + 7)
    found = decisions(fit_discriminants(x, y, k), x[:6], across=False)
    crossed = decisions(fit_discriminants(x, y, k), x[:6], across=True)
    assert (found.shape, crossed.shape) == ((6, 4, k), (6, 4, 4, k))
    for i in range(4):
        theirs = default_decoder(k).fit(x[:, :, i], y)
        np.testing.assert_allclose(found[:, i], theirs.decision_function(x[:6, :, i]), rtol=1e-6, atol=1e-8)
        for j in range(4):
            expected = theirs.decision_function(x[:6, :, j])
            np.testing.assert_allclose(crossed[:, i, j], expected, rtol=1e-6, atol=1e-8)


def test_a_class_without_variance_has_a_covariance_of_0():
    found, share = discriminants._shrunk_covariance(np.zeros((2, 3, 4)))
    assert not found.any()
    assert share == 0.0

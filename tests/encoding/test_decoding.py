"""Decoding in time: the fast decoder against scikit-learn, MNE as an oracle, leaks, groups, null."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest
import xarray as xr
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from neuroalign.encoding import decode, shuffled_splits, stratified_splits, temporal_decoding
from neuroalign.encoding.decoding_metrics import auc
from neuroalign.encoding.discriminants import decisions, default_decoder, fit_discriminants
from neuroalign.encoding.splits import leave_one_run_out
from neuroalign.errors import InvalidValueError, LabelError, ShapeError

LETTERS = np.array(["a", "b", "c"])


def make(n=48, v=6, t=5, k=2, seed=0, signal=1.0, runs=4):
    """Return responses with labels 'kind' in each of some runs, told apart from the second time on."""
    rng = np.random.default_rng(seed)
    kind = np.concatenate([rng.permutation(np.arange(n // runs) % k) for _ in range(runs)])
    pattern = rng.standard_normal((k, v))
    values = rng.standard_normal((n, v, t)) + 3.0
    values[:, :, 1:] += signal * pattern[kind][:, :, None]
    return xr.DataArray(
        values,
        dims=("presentation", "neuroid", "time"),
        coords={
            "time": np.arange(t) / 100,
            "kind": ("presentation", LETTERS[kind]),
            "run": ("presentation", np.repeat(np.arange(runs), n // runs)),
        },
    )


# the fast decoder


@pytest.mark.parametrize(
    ("n", "v", "k", "offset"),
    [(40, 6, 2, 0.0), (30, 12, 3, 5.0), (14, 30, 2, 1e4), (20, 1, 2, 0.0)],
    ids=["tall", "three classes", "wide with an offset", "one neuroid"],
)
def test_discriminants_of_all_times_are_scikit_learns_of_each(n, v, k, offset):
    rng = np.random.default_rng(1)
    y = np.concatenate([np.arange(k), np.arange(k), rng.integers(k, size=n - 2 * k)])
    x = rng.standard_normal((n, v, 4)) * rng.uniform(0.1, 5, v)[:, None] + offset
    x[:, :, 1:] += rng.standard_normal((k, v))[y][:, :, None]
    if v > 3:
        x[:, 2] = offset
    new = x[:5] + rng.standard_normal((5, v, 4))
    found = fit_discriminants(x, y, k)
    own, across = decisions(found, new, across=False), decisions(found, new, across=True)
    for time in range(4):
        lda = default_decoder(k).fit(x[:, :, time], y)
        for test_time in range(4):
            expected = lda[-1].decision_function(lda[:-1].transform(new[:, :, test_time]))
            values = across[:, time, test_time]
            values = values[:, 1] - values[:, 0] if k == 2 else values
            np.testing.assert_allclose(values, expected, rtol=1e-8, atol=1e-8 * np.abs(expected).max())
        np.testing.assert_allclose(own[:, time], across[:, time, time], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("metric", ["balanced-accuracy", "accuracy", "auc"])
@pytest.mark.parametrize("k", [2, 3])
def test_the_fast_way_scores_as_the_way_by_estimators(metric, k):
    responses = make(k=k)
    fast, slow = (
        temporal_decoding(responses, "kind", estimator, metric=metric)
        for estimator in (None, default_decoder(k))
    )
    np.testing.assert_allclose(fast.score, slow.score, atol=1e-12)
    diagonal = decode(responses, "kind", metric=metric)
    np.testing.assert_allclose(diagonal.score, np.diagonal(fast.score, axis1=1, axis2=2), atol=1e-12)


def test_blocks_of_times_change_nothing(monkeypatch):
    responses = make()
    whole = temporal_decoding(responses, "kind", metric="auc").score
    monkeypatch.setattr("neuroalign.encoding.decoding_time.BLOCK", 1)
    np.testing.assert_allclose(temporal_decoding(responses, "kind", metric="auc").score, whole, atol=1e-12)


def test_a_class_with_two_training_presentations_and_dead_neuroids_are_fitted_as_scikit_learn_does():
    rng = np.random.default_rng(3)
    x, y = rng.standard_normal((4, 3, 1)), np.array([0, 0, 1, 1])
    x[:, 1] = 0.0
    lda = default_decoder(2).fit(x[:, :, 0], y)
    new = rng.standard_normal((6, 3, 1))
    found = decisions(fit_discriminants(x, y, 2), new, across=False)[:, 0]
    np.testing.assert_allclose(found[:, 1] - found[:, 0], lda.decision_function(new[:, :, 0]), rtol=1e-7)


# oracles


def test_mnes_sliding_and_generalizing_estimators_agree():
    decoding = pytest.importorskip("mne.decoding", reason="the eeg extra is not installed")
    responses = make()
    model = make_pipeline(StandardScaler(), LogisticRegression())
    x, y = responses.values, responses["kind"].values
    splits = leave_one_run_out(responses["run"].values)
    for kind, ours in (
        (decoding.SlidingEstimator, decode(responses, "kind", model, metric="auc")),
        (decoding.GeneralizingEstimator, temporal_decoding(responses, "kind", model, metric="auc")),
    ):
        theirs = kind(model, scoring="roc_auc", verbose="ERROR")
        expected = decoding.cross_val_multiscore(theirs, x, y, cv=splits, verbose="ERROR")
        np.testing.assert_allclose(ours.score, expected, atol=1e-12)


@pytest.mark.parametrize("metric", ["balanced-accuracy", "auc"])
def test_scores_of_one_fold_are_scikit_learns(metric):
    responses = make(k=3, signal=0.5)
    splits = leave_one_run_out(responses["run"].values)[:1]
    found = decode(responses, "kind", LogisticRegression(), splits=splits, metric=metric).score[0]
    (train, test), x, y = splits[0], responses.values, responses["kind"].values
    for time in range(5):
        model = LogisticRegression().fit(x[train][:, :, time], y[train])
        if metric == "auc":
            values = model.decision_function(x[test][:, :, time])
            expected = np.mean([roc_auc_score(y[test] == c, values[:, i]) for i, c in enumerate("abc")])
        else:
            expected = balanced_accuracy_score(y[test], model.predict(x[test][:, :, time]))
        np.testing.assert_allclose(found[time], expected, atol=1e-12)


def test_auc_counts_ties_one_half():
    values = np.array([0.0, 0.0, 0.0, 1.0])
    assert auc(np.array([0, 1, 0, 1]), np.stack([-values, values], axis=1), 2) == 0.75


# what a fold must not know


class Spy(ClassifierMixin, BaseEstimator):
    """Keeps what it was fitted to."""

    seen: ClassVar[list[np.ndarray]] = []

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        Spy.seen.append(X.copy())
        return self

    def predict(self, X):
        return np.full(len(X), self.classes_[0])


@pytest.mark.goal("R19", "fits of the room's own tests")
def test_test_rows_replaced_by_noise_change_nothing_that_is_fitted():
    responses = make()
    splits = leave_one_run_out(responses["run"].values)[:1]
    changed = responses.copy(deep=True)
    changed[splits[0][1]] = 1e6 * np.random.default_rng(5).standard_normal(changed[splits[0][1]].shape)
    fitted = []
    for array in (responses, changed):
        Spy.seen = []
        decode(array, "kind", Spy(), splits=splits)
        train = splits[0][0]
        fast = fit_discriminants(array.values[train], (array["kind"].values[train] == "b").astype(int), 2)
        fitted.append((np.stack(Spy.seen), *fast))
    for a, b in zip(*fitted, strict=True):
        np.testing.assert_array_equal(a, b)


def test_standardising_over_all_presentations_would_leak_and_the_decoder_does_not():
    # The held-out run has its own gain and offset: scaled with all runs, training rows would change.
    responses = make(signal=0.0)
    shifted = responses.copy(deep=True)
    shifted[responses["run"].values == 0] = 1e3 + 50 * shifted[responses["run"].values == 0]
    splits = leave_one_run_out(responses["run"].values)
    Spy.seen = []
    decode(shifted, "kind", make_pipeline(StandardScaler(), Spy()), splits=splits[:1])
    for fitted in Spy.seen:
        np.testing.assert_allclose(fitted.mean(axis=0), 0, atol=1e-12)
        np.testing.assert_allclose(fitted.std(axis=0), 1, atol=1e-12)


def test_neighbours_on_both_sides_of_a_split_inflate_and_whole_blocks_do_not():
    rng = np.random.default_rng(0)
    blocks = np.repeat(np.arange(16), 10)
    values = np.empty((160, 20, 1))
    values[0] = rng.standard_normal((20, 1))
    for i in range(1, 160):
        values[i] = 0.95 * values[i - 1] + rng.standard_normal((20, 1))
    # Blocks of one label in a random order, and nothing in the responses but slow drifts.
    kind = rng.permutation(np.repeat(["a", "b"], 8))[blocks]
    drifts = xr.DataArray(values, dims=("presentation", "neuroid", "time"))
    scattered = decode(drifts, kind, splits=shuffled_splits(160, 8, rng=rng)).score.mean()
    whole = decode(drifts, kind, splits=stratified_splits(kind, 8, groups=blocks), groups=blocks).score.mean()
    assert scattered > 0.85
    assert abs(whole - 0.5) < 0.15


def test_splits_that_share_groups_are_refused_and_group_folds_taken():
    responses = make()
    item = np.arange(48) // 2
    splits = stratified_splits(responses["kind"].values, 4)
    with pytest.raises(InvalidValueError, match=r"groups of fold 0 are trained and tested on.*groups=\.\.\."):
        decode(responses, "kind", splits=splits, groups=np.tile(item[:24], 2))
    kept = stratified_splits(responses["kind"].values, 4, groups=item)
    for train, test in kept:
        assert not set(item[train]) & set(item[test])
    assert sorted(np.concatenate([test for _, test in kept])) == list(range(48))
    assert decode(responses, "kind", splits=kept, groups=item).attrs["n_folds"] == 4


# unbalanced classes, chance, counts


def test_guessing_the_larger_class_gains_nothing_by_default_and_chance_is_that_of_the_data():
    responses = make(signal=0.0).isel(presentation=slice(0, 40))
    kind = np.where(np.arange(40) % 5 == 0, "rare", "frequent")
    guess = DummyClassifier(strategy="most_frequent")
    groups = np.repeat(np.arange(4), 10)
    balanced = decode(responses, kind, guess, groups=groups)
    assert (balanced.score == 0.5).all() and balanced.attrs["chance"] == 0.5
    plain = decode(responses, kind, guess, groups=groups, metric="accuracy")
    assert (plain.score == 0.8).all() and plain.attrs["chance"] == pytest.approx(0.8)
    assert balanced.n_test.sel({"class": "rare"}).values.tolist() == [2, 2, 2, 2]
    assert balanced.n_train.sum("class").values.tolist() == [30] * 4


def test_a_fold_without_a_class_is_undefined_and_counted():
    responses = make()
    groups = np.repeat(np.arange(4), 12)
    kind = responses["kind"].values.copy()
    kind[groups == 1] = "a"
    found = decode(responses, kind, groups=groups)
    assert np.isnan(found.score[1]).all() and not np.isnan(found.score[[0, 2, 3]]).any()
    assert found.score.attrs["n_undefined"] == 5
    assert not np.isnan(decode(responses, kind, groups=groups, metric="accuracy").score).any()


# permutations


def test_permuted_labels_give_p_of_the_times_that_hold_the_labels():
    found = decode(make(signal=2.0), "kind", n_permutations=49, rng=np.random.default_rng(0))
    assert found.attrs["permuted"] == "labels within groups"
    assert found.p.values[0] > 0.05 and (found.p_max[1:] == 1 / 50).all()
    assert (found.p_max >= found.p).all() and (found.p_fdr >= found.p).all()
    np.testing.assert_allclose(found.null, 0.5, atol=0.05)
    again = decode(make(signal=2.0), "kind", n_permutations=49, rng=np.random.default_rng(0))
    xr.testing.assert_identical(found, again)


def test_the_null_of_permuted_labels_is_by_hand():
    responses, rng = make(n=24, t=2), np.random.default_rng(7)
    found = decode(responses, "kind", n_permutations=3, rng=np.random.default_rng(7))
    null = []
    for _ in range(3):
        order = np.concatenate([6 * run + rng.permutation(6) for run in range(4)])
        null.append(decode(responses, responses["kind"].values[order]).score.mean("fold").values)
    np.testing.assert_allclose(found.null, np.mean(null, axis=0), atol=1e-12)
    higher = (np.array(null).max(axis=1)[:, None] >= found.score.mean("fold").values).sum(axis=0)
    np.testing.assert_allclose(found.p_max, (1 + higher) / 4)


def test_labels_of_whole_blocks_are_permuted_as_blocks():
    responses = make().drop_vars("run")
    groups = np.repeat(np.arange(12), 4)
    kind = np.array(["a", "b"] * 6)[groups]
    splits = stratified_splits(kind, 3, groups=groups)
    found = decode(
        responses, kind, splits=splits, groups=groups, n_permutations=5, rng=np.random.default_rng(0)
    )
    # 12 blocks in 3 balanced folds of 4: 6 ** 3 arrangements are too few to stay within folds.
    assert found.attrs["permuted"] == "labels of whole groups"
    free = decode(responses, kind, splits=splits, n_permutations=2, rng=np.random.default_rng(0))
    assert free.attrs["permuted"] == "labels within folds"


def left_out(n, test):
    return np.setdiff1d(range(n), test), np.array(test)


class Prior(ClassifierMixin, BaseEstimator):
    """A decoder that knows nothing but which class is more frequent."""

    def fit(self, x, y):
        self.classes_ = np.unique(y)
        self.answer_ = self.classes_[np.argmax([(y == label).sum() for label in self.classes_])]
        return self

    def predict(self, x):
        return np.full(len(x), self.answer_)


@pytest.mark.parametrize(
    ("make_splits", "permuted"),
    [
        (lambda kind: stratified_splits(kind, 5), "labels within folds"),
        # Two of each class a fold, in order: balanced too, whoever made them.
        (lambda kind: [left_out(20, t) for t in np.arange(20).reshape(5, 4)], "labels within folds"),
        # Every presentation is its own fold: there is nothing to keep.
        (lambda kind: [left_out(20, [i]) for i in range(20)], "all labels"),
        # Four of each class, and six: such folds were not made from labels.
        (lambda kind: [(np.arange(8, 20), np.arange(8)), (np.arange(8), np.arange(8, 20))], "all labels"),
    ],
    ids=["stratified", "balanced", "single", "unequal"],
)
def test_permuted_labels_keep_the_shares_of_balanced_folds(make_splits, permuted):
    """Else a decoder that only knows frequencies is below chance for permuted labels, and p too small."""
    rng = np.random.default_rng(3)
    kind = np.array(["a", "b"] * 10)
    responses = make(n=20, v=2, t=1, signal=0.0).drop_vars("run")
    found = decode(
        responses, kind, Prior(), splits=make_splits(kind), metric="accuracy", n_permutations=99, rng=rng
    )
    if permuted == "labels within folds":
        # The folds stay as they were, so the score of such a decoder does too: every draw is a tie.
        assert (found.null == found.score.mean("fold")).all() and (found.p == 1).all()
    assert found.attrs["permuted"] == permuted


def test_within_runs_permuted_labels_keep_the_shares_of_folds_across_runs():
    responses = make(n=48, signal=0.0)
    kind = responses["kind"].values
    # Every other presentation of a class is in the other fold.
    fold = np.array([(kind[:i] == label).sum() % 2 for i, label in enumerate(kind)])
    splits = [left_out(48, np.flatnonzero(fold == k)) for k in range(2)]
    found = decode(responses, "kind", splits=splits, n_permutations=2, rng=np.random.default_rng(0))
    assert found.attrs["permuted"] == "labels within groups and folds"
    runs = decode(responses, "kind", n_permutations=2, rng=np.random.default_rng(0))
    assert runs.attrs["permuted"] == "labels within groups"


@pytest.mark.slow
def test_the_family_wise_error_over_time_is_held_under_the_null():
    wrong = 0
    for seed in range(100):
        found = decode(
            make(n=24, v=3, t=6, seed=seed, signal=0.0),
            "kind",
            n_permutations=39,
            rng=np.random.default_rng(seed),
        )
        wrong += bool((found.p_max <= 0.05).any())
    # .05 of 100 sets, and two standard errors.
    assert wrong <= 10


# dims


def test_repetitions_are_presentations_and_subjects_are_decoded_one_by_one():
    responses = make()
    stacked = xr.DataArray(
        responses.values.reshape(12, 4, 6, 5).transpose(0, 2, 1, 3),
        dims=("stimulus", "neuroid", "repetition", "time"),
        coords={"stimulus": np.arange(12), "repetition": np.arange(4)},
    )
    kind = responses["kind"].values
    found = decode(stacked, kind, groups="repetition")
    np.testing.assert_allclose(found.score, decode(responses, kind, groups=np.tile(np.arange(4), 12)).score)
    two = xr.concat([responses, make(seed=1).assign_coords(kind=responses["kind"])], "subject")
    two = two.assign_coords(subject=["s1", "s2"])
    both = decode(two, "kind", n_permutations=3, rng=np.random.default_rng(0))
    assert both.score.dims == ("subject", "fold", "time") and both.p_max.dims == ("subject", "time")
    np.testing.assert_allclose(both.score.sel(subject="s1"), decode(responses, "kind").score)


def test_windows_average_and_all_times_may_be_one_pattern():
    responses = make(t=6)
    found = decode(responses, "kind", window=0.02)
    np.testing.assert_allclose(found.time, [0.005, 0.025, 0.045])
    means = responses.values.reshape(48, 6, 3, 2).mean(axis=3)
    np.testing.assert_allclose(
        found.score, decode(responses.isel(time=slice(3)).copy(data=means), "kind").score
    )
    one = decode(responses, "kind", over=None)
    flat = responses.values.reshape(48, -1, 1)
    expected = decode(
        xr.DataArray(flat, dims=responses.dims, coords={"run": responses["run"]}), responses["kind"].values
    )
    assert one.score.dims == ("fold",)
    np.testing.assert_allclose(one.score, expected.score[:, 0])
    pattern = responses.mean("time")
    assert decode(pattern, "kind", over=None).score.dims == ("fold",)


def test_a_regressor_decodes_values():
    responses = make(n=80, k=3, signal=2.0)
    values = (responses["kind"].values == "b") * 1.0 + 0.1 * np.arange(80) / 80
    found = decode(responses, values, make_pipeline(StandardScaler(), Ridge()), metric="pearson")
    splits = leave_one_run_out(responses["run"].values)
    train, test = splits[0]
    model = make_pipeline(StandardScaler(), Ridge()).fit(responses.values[train][:, :, 2], values[train])
    expected = np.corrcoef(model.predict(responses.values[test][:, :, 2]), values[test])[0, 1]
    assert found.score[0, 2] == pytest.approx(expected)
    assert found.n_train.dims == ("fold",)


# errors


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        (
            {"labels": "shape"},
            LabelError,
            "no coordinate 'shape' along 'presentation'; there are 'kind', 'run'",
        ),
        ({"labels": ["a"] * 48}, InvalidValueError, "at least 2 classes; all are 'a'"),
        ({"labels": ["a"] * 47}, ShapeError, r"one for each of 48 rows; got \(47,\)"),
        (
            {"labels": [None, *["a", "b"] * 23, "a"]},
            InvalidValueError,
            "1 of 48 have none, the first is row 0",
        ),
        ({"metric": "f1"}, InvalidValueError, "metric must be one of 'balanced-accuracy'"),
        ({"metric": "r2"}, InvalidValueError, "scores values; pass a regressor"),
        ({"estimator": Ridge()}, InvalidValueError, "scores classes; pass a classifier"),
        ({"estimator": Spy(), "metric": "auc"}, InvalidValueError, "has neither decision_function nor"),
        ({"n_permutations": 3}, InvalidValueError, "n_permutations needs rng="),
        ({"over": "neuroid"}, InvalidValueError, "over must be 'time' or None"),
        ({"window": -1.0}, InvalidValueError, "window must be a positive number"),
        ({"window": 9.0}, ShapeError, "a window of 900 samples does not fit into 5"),
        ({"groups": "item"}, LabelError, "groups: responses have no coordinate 'item'"),
    ],
    ids=lambda value: None,
)
def test_what_cannot_be_decoded_is_refused(change, error, text):
    given = {"labels": "kind", **change}
    with pytest.raises(error, match=text):
        decode(make(), **given)


def test_responses_that_are_none_are_refused():
    responses = make()
    broken = responses.copy(deep=True)
    broken[3, 2, 1] = np.nan
    with pytest.raises(InvalidValueError, match=r"responses must be finite.*\(3, 2, 1\)"):
        decode(broken, "kind")
    with pytest.raises(ShapeError, match="need a dim 'presentation' or 'stimulus'"):
        decode(responses.rename(presentation="trial"), "kind")
    with pytest.raises(ShapeError, match=r"must be a DataArray \(presentation, neuroid, time\); got ndarray"):
        decode(responses.values, "kind")
    with pytest.raises(InvalidValueError, match=r"neither splits nor groups are given.*stratified_splits"):
        decode(responses.drop_vars("run"), "kind")
    with pytest.raises(InvalidValueError, match=r"must give one value a class, 3; got shape \(12, 4\)"):
        decode(make(k=3), "kind", PairwiseSVC(), metric="auc")


class PairwiseSVC(LinearSVC):
    """Has a decision value a pair of classes and one more."""

    def decision_function(self, X):
        return np.zeros((len(X), 4))


@pytest.mark.parametrize(
    ("labels", "n", "groups", "text"),
    [
        (["a", "a", "b"], 2, None, "'b' has 1"),
        (["a", "b"] * 4, 1, None, "n_splits must be an integer of at least 2"),
        (["a", "b"] * 4, 3, [0] * 4 + [1] * 4, "3 folds need as many groups; got 2"),
    ],
    ids=["rare class", "one fold", "few groups"],
)
def test_impossible_folds_are_refused(labels, n, groups, text):
    with pytest.raises(InvalidValueError, match=text):
        stratified_splits(labels, n, groups=groups)


def test_stratified_folds_have_the_classes_in_equal_shares():
    kind = np.array(["a"] * 20 + ["b"] * 10)
    for _, test in stratified_splits(kind, 5):
        assert [(kind[test] == name).sum() for name in "ab"] == [4, 2]


# the real data


def test_what_a_sentence_ends_with_is_decoded_late_across_people(data_root):
    pytest.importorskip("mne", reason="the eeg extra is not installed")
    from neuroalign import datasets

    eeg = datasets.load("n400_group_eeg", root=data_root)
    rows = eeg.stack(presentation=("subject", "stimulus"), create_index=False)
    found = decode(rows, "congruence", groups="subject", window=0.1).score.mean("fold")
    early, late = found.sel(time=slice(-0.2, 0.1)), found.sel(time=slice(0.3, 0.9))
    assert float(early.max()) < 0.65 < float(late.max())


def test_presentations_labels_groups_and_windows_of_another_form_are_refused():
    responses, kind = make(), make().kind.values
    with pytest.raises(ShapeError, match=r"responses have no dim 'time', only .*; pass over=None"):
        decode(responses.isel(time=0), "kind")
    with pytest.raises(LabelError, match="needs a coordinate 'time' with at least 2 samples"):
        decode(responses.drop_vars("time"), "kind", window=0.02)
    with pytest.raises(LabelError, match="needs a coordinate 'time' with at least 2 samples"):
        decode(responses.isel(time=[0]), "kind", window=0.02)
    with pytest.raises(ShapeError, match=r"labels must have shape \(n_presentations,\); got \(24, 2\)"):
        stratified_splits(kind.reshape(24, 2), 2)
    with pytest.raises(
        ShapeError, match=r"groups must be one for each of 48 presentations; got shape \(47,\)"
    ):
        stratified_splits(kind, 2, groups=np.arange(47))

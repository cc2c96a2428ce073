"""Cross-validated dissimilarities: slow loops, rsatoolbox, designs with gaps, the null, what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroalign import rsa
from neuroalign.errors import InvalidValueError, LabelError, ShapeError
from neuroalign.schema import align, square

CROSSVALIDATED = [name for name, metric in rsa.METRICS.items() if metric.crossvalidated]
N_RUNS, N_STIMULI, N_NEUROIDS = 4, 6, 15
NAMES = [f"s{i}" for i in range(N_STIMULI)]
PAIRS = [(i, j) for i in range(N_STIMULI) for j in range(i + 1, N_STIMULI)]


def make_dims(values, *, names=None):
    values = np.asarray(values)
    return xr.DataArray(
        values,
        dims=("run", "stimulus", "neuroid"),
        coords={"stimulus": names or [f"s{i}" for i in range(values.shape[1])]},
    )


def make_flat(values, stimulus, run):
    return xr.DataArray(
        values,
        dims=("presentation", "neuroid"),
        coords={"stimulus": ("presentation", list(stimulus)), "run": ("presentation", list(run))},
    )


def make_precision(n, seed=0):
    root = np.random.default_rng(seed).standard_normal((n, 3 * n))
    return root @ root.T / (3 * n)


def labelled(precision, **dims):
    return xr.DataArray(precision, dims=(*dims, "neuroid", "neuroid_b"), coords=dims)


def cross(a, b):
    """Return the mean of a_f . b_g over f != g, one product at a time."""
    n = len(a)
    return np.mean([a[f] @ b[g] for f in range(n) for g in range(n) if f != g])


def slow_crossnobis(x, y, precision=None):
    precision = np.eye(x.shape[1]) if precision is None else precision
    return cross((x - y) @ precision, x - y) / x.shape[1]


def slow_poisson(x, y):
    x, y = (x + 0.1) / 1.1, (y + 0.1) / 1.1
    return cross(x - y, np.log(x) - np.log(y)) / x.shape[1]


def slow_correlation(x, y):
    x, y = (part - part.mean(axis=1, keepdims=True) for part in (x, y))
    both = (cross(x, y) + cross(y, x)) / 2
    return 1 - both / np.sqrt(cross(x, x) * cross(y, y))


SLOW = {"crossnobis": slow_crossnobis, "poisson-cv": slow_poisson, "correlation-cv": slow_correlation}


@pytest.fixture
def runs(rng):
    signal = rng.gamma(2.0, 2.0, (N_STIMULI, N_NEUROIDS))
    return make_dims(signal + rng.random((N_RUNS, N_STIMULI, N_NEUROIDS)))


@pytest.mark.parametrize("metric", list(SLOW))
def test_a_metric_equals_its_formula_one_pair_of_folds_at_a_time(runs, metric):
    x = runs.values
    slow = [SLOW[metric](x[:, i], x[:, j]) for i, j in PAIRS]
    np.testing.assert_allclose(rsa.rdm(runs, metric), slow, rtol=1e-10)


def test_crossnobis_by_hand():
    # Differences (1, 0) and (3, 1) in the two runs: 1 * 3 + 0 * 1 = 3, over 2 neuroids.
    x = make_dims([[[1.0, 0.0], [0.0, 0.0]], [[3.0, 1.0], [0.0, 0.0]]])
    assert rsa.rdm(x, "crossnobis").values.tolist() == [1.5]
    assert rsa.rdm(x, "crossnobis", normalize="none").values.tolist() == [3.0]


def their_dataset(flat):
    from rsatoolbox.data import Dataset

    return Dataset(
        flat.values, obs_descriptors={"stimulus": flat.stimulus.values, "run": flat.run.values.astype(float)}
    )


def as_flat(runs):
    n_runs, n_stimuli, n_neuroids = runs.shape
    return make_flat(
        runs.values.reshape(-1, n_neuroids),
        list(runs.stimulus.values) * n_runs,
        np.repeat(range(n_runs), n_stimuli),
    )


@pytest.mark.parametrize("with_noise", [False, True])
def test_crossnobis_of_rsatoolbox_is_ours_with_ties_and_negatives(rng, with_noise):
    from rsatoolbox.rdm import calc_rdm

    x = np.round(rng.standard_normal((N_RUNS, N_STIMULI, N_NEUROIDS)))
    x[:, 1] = x[:, 0]
    noise = make_precision(N_NEUROIDS) if with_noise else None
    runs = make_dims(x)
    theirs = calc_rdm(
        their_dataset(as_flat(runs)), "crossnobis", descriptor="stimulus", cv_descriptor="run", noise=noise
    ).get_vectors()[0]
    found = rsa.rdm(runs, "crossnobis", noise=None if noise is None else labelled(noise))
    np.testing.assert_allclose(found, theirs, rtol=1e-10, atol=1e-12)
    assert theirs.min() < 0


def test_crossnobis_with_a_precision_a_fold_equals_rsatoolbox_and_a_slow_loop(runs):
    from rsatoolbox.rdm import calc_rdm

    noise = np.stack([make_precision(N_NEUROIDS, seed) for seed in range(N_RUNS)])
    theirs = calc_rdm(
        their_dataset(as_flat(runs)),
        "crossnobis",
        descriptor="stimulus",
        cv_descriptor="run",
        noise=list(noise),
    ).get_vectors()[0]
    found = rsa.rdm(as_flat(runs), "crossnobis", noise=labelled(noise, run=range(N_RUNS)))
    np.testing.assert_allclose(found, theirs, rtol=1e-9)
    covariances = [np.linalg.inv(one) for one in noise]
    d = runs.values[:, 2] - runs.values[:, 4]
    slow = [
        d[f] @ np.linalg.inv((covariances[f] + covariances[g]) / 2) @ d[g] / N_NEUROIDS
        for f in range(N_RUNS)
        for g in range(f)
    ]
    assert square(found.values)[2, 4] == pytest.approx(np.mean(slow), rel=1e-9)


def test_poisson_cv_of_rsatoolbox_is_the_last_fold_of_ours(rng):
    from rsatoolbox.rdm import calc_rdm

    x = rng.poisson(4.0, (3, 5, 8)).astype(float)
    theirs = calc_rdm(
        their_dataset(as_flat(make_dims(x))), "poisson_cv", descriptor="stimulus", cv_descriptor="run"
    ).get_vectors()[0]
    rates = (x + 0.1) / 1.1
    pairs = [(i, j) for i in range(5) for j in range(i + 1, 5)]
    a_fold = np.array(
        [
            [
                (np.delete(rates, f, 0).mean(0)[i] - np.delete(rates, f, 0).mean(0)[j])
                @ (np.log(rates[f, i]) - np.log(rates[f, j]))
                / 8
                for i, j in pairs
            ]
            for f in range(3)
        ]
    )
    # Version 0.3.2 overwrites the RDM in its loop over folds; the mean over folds is what is meant.
    np.testing.assert_allclose(theirs, a_fold[2], rtol=1e-10)
    np.testing.assert_allclose(rsa.rdm(make_dims(x), "poisson-cv"), a_fold.mean(axis=0), rtol=1e-10)


def test_poisson_cv_by_hand_is_not_what_rsatoolbox_returns():
    from rsatoolbox.rdm import calc_rdm

    # One neuron, rates without prior (4, 1), (2, 1), (1, 1): products of (x - y)_f and (log x - log y)_g
    # with log 2 = L over f != g: 3 L + 3 * 0 + 1 * 2 L + 1 * 0 + 0 + 0 = 5 L, over 6 ordered pairs.
    x = np.array([[[4.0], [1.0]], [[2.0], [1.0]], [[1.0], [1.0]]])
    found = rsa.rdm(make_dims(x), "poisson-cv", prior_weight=0)
    assert float(found[0]) == pytest.approx(5 * np.log(2) / 6, rel=1e-12)
    theirs = calc_rdm(
        their_dataset(as_flat(make_dims(x))), "poisson_cv", "stimulus", cv_descriptor="run", prior_weight=0
    )
    # Their last fold has no difference at all.
    assert theirs.get_vectors()[0].tolist() == [0.0]


# Decoding


def slow_decoding(x, y, precision):
    """Leave one fold out, one presentation a cell."""
    rates = []
    for own, other in ((x, y), (y, x)):
        hits = []
        for f in range(len(x)):
            m, o = np.delete(own, f, 0).mean(axis=0), np.delete(other, f, 0).mean(axis=0)
            hits.append((m - o) @ precision(f) @ (own[f] - (m + o) / 2) > 0)
        rates.append(np.mean(hits))
    return np.mean(rates)


@pytest.mark.parametrize("with_noise", [False, True])
def test_decoding_equals_a_slow_loop(rng, with_noise):
    x = 0.7 * rng.standard_normal((N_STIMULI, N_NEUROIDS)) + rng.standard_normal((5, N_STIMULI, N_NEUROIDS))
    noise = make_precision(N_NEUROIDS)

    def precision(held_out):
        train = np.delete(x, held_out, 0)
        deviations = (train - train.mean(axis=0)).reshape(-1, N_NEUROIDS)
        series = xr.DataArray(deviations, dims=("time", "neuroid"))
        from neuroalign.rsa.noise import noise_precision

        return noise_precision(series, dof=len(deviations) - N_STIMULI).values

    slow = [slow_decoding(x[:, i], x[:, j], (lambda f: noise) if with_noise else precision) for i, j in PAIRS]
    found = rsa.rdm(make_dims(x), "decoding", noise=labelled(noise) if with_noise else None)
    np.testing.assert_allclose(found, slow, atol=1e-12)
    assert 0.5 < found.mean() < 1


def test_decoding_equals_linear_discriminants_of_scikit_learn(rng):
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    from neuroalign.rsa.decoding import decoding
    from neuroalign.rsa.metrics import Options

    class_of, run = np.tile(np.repeat([0, 1], 6), 2), np.repeat([0, 1], 12)
    x = rng.standard_normal((24, 4)) + 0.6 * class_of[:, None]
    rates = []
    for held_out in (0, 1):
        train, test = run != held_out, run == held_out
        lda = LinearDiscriminantAnalysis(solver="lsqr").fit(x[train], class_of[train])
        hits = lda.predict(x[test]) == class_of[test]
        rates.append(hits.mean())
        # Both classes are equally frequent and noise is what they estimate: the same decisions.
        precision = np.linalg.inv(lda.covariance_)
        fold = np.where(test, 1, 0)
        both, _ = decoding(x, class_of, fold, Options(noise=precision))
        swapped = LinearDiscriminantAnalysis(solver="lsqr").fit(x[test], class_of[test])
        weights = precision @ np.diff(swapped.means_, axis=0)[0]
        other = (x[train] - swapped.means_.mean(axis=0)) @ weights > 0
        expected = (hits.mean() + (other == class_of[train]).mean()) / 2
        assert both[0] == pytest.approx(expected, abs=1e-12)
    assert 0.5 < np.mean(rates) < 1


def test_decoding_weighs_the_two_stimuli_equally():
    # a, three times a run, is always right; b, whose value changes side of a, never: 6 of 8, but one half.
    flat = make_flat([[1.0], [1.0], [1.0], [-1.0], [1.0], [1.0], [1.0], [3.0]], "aaabaaab", [1] * 4 + [2] * 4)
    assert rsa.rdm(flat, "decoding", noise=labelled(np.eye(1))).values.tolist() == [0.5]


def test_decoding_counts_a_tie_as_one_half():
    same = make_flat([[1.0]] * 4, "abab", [1, 1, 2, 2])
    assert rsa.rdm(same, "decoding", noise=labelled(np.eye(1))).values.tolist() == [0.5]


def test_decoding_never_sees_the_held_out_fold(rng):
    # Labels mean nothing: accuracy is at chance although there are many more neuroids than observations.
    x = rng.standard_normal((300, 5, 2, 40))
    stack = xr.DataArray(x, dims=("draw", "run", "stimulus", "neuroid"), coords={"stimulus": ["a", "b"]})
    found = rsa.rdm(stack, "decoding")
    assert float(found.mean()) == pytest.approx(0.5, abs=4 * float(found.std()) / np.sqrt(300))


# Laws


@pytest.mark.parametrize("metric", CROSSVALIDATED)
def test_presentations_and_dims_give_the_same_rdm_in_any_order(runs, rng, metric):
    expected = rsa.rdm(runs, metric)
    flat = as_flat(runs)
    np.testing.assert_allclose(rsa.rdm(flat, metric), expected, rtol=1e-10)
    np.testing.assert_allclose(
        rsa.rdm(runs.transpose("neuroid", "stimulus", "run"), metric), expected, rtol=1e-10
    )
    shuffled = rsa.rdm(flat.isel(presentation=rng.permutation(flat.sizes["presentation"])), metric)
    np.testing.assert_allclose(align(expected, shuffled)[1], expected, rtol=1e-9)
    repeated = flat.swap_dims(presentation="stimulus")
    np.testing.assert_allclose(rsa.rdm(repeated, metric), expected, rtol=1e-10)
    renamed = rsa.rdm(runs.rename(run="repetition"), metric, folds="repetition")
    np.testing.assert_array_equal(renamed, expected)
    assert renamed.attrs["folds"] == "repetition" and renamed.attrs["n_folds"] == N_RUNS


@pytest.mark.parametrize("metric", CROSSVALIDATED)
def test_stacked_rdms_never_mix_and_arguments_are_not_edited(runs, rng, metric):
    stack = xr.concat([runs, runs + rng.random(runs.shape), 2 * runs], "subject").assign_coords(
        subject=[1, 2, 3]
    )
    before = stack.copy(deep=True)
    found = rsa.rdm(stack, metric)
    assert found.dims == ("subject", "pair") and found.subject.values.tolist() == [1, 2, 3]
    for i in range(3):
        np.testing.assert_allclose(found[i], rsa.rdm(stack[i], metric), rtol=1e-12)
    xr.testing.assert_identical(stack, before)


@pytest.mark.parametrize("metric", ["crossnobis", "correlation-cv"])
def test_distances_keep_their_negative_values(rng, metric):
    x = rng.standard_normal((4, 8, 30)) + (0 if metric == "crossnobis" else rng.standard_normal(30))
    assert (rsa.rdm(make_dims(x), metric) < 0).any()


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), n_folds=st.integers(2, 5), with_noise=st.booleans())
def test_crossnobis_is_0_on_average_where_patterns_do_not_differ(seed, n_folds, with_noise):
    rng = np.random.default_rng(seed)
    root = rng.standard_normal((8, 8))
    x = 5 * rng.standard_normal(8) + rng.standard_normal((200, n_folds, 3, 8)) @ root
    stack = xr.DataArray(x, dims=("draw", "run", "stimulus", "neuroid"), coords={"stimulus": list("abc")})
    noise = labelled(np.linalg.inv(root.T @ root + np.eye(8))) if with_noise else None
    found = rsa.rdm(stack, "crossnobis", noise=noise).values.mean(axis=1)
    # Draws are independent; 5 standard errors of a mean that is 0.
    assert abs(found.mean()) < 5 * found.std() / np.sqrt(len(found))
    plain = ((x[:, :, 0] - x[:, :, 1]).mean(axis=1) ** 2).mean(axis=1)
    assert plain.mean() > 10 * abs(found.mean()) or not with_noise


def test_crossnobis_is_unbiased_where_patterns_do_differ(rng):
    signal = rng.standard_normal((2, 20))
    x = signal + 3 * rng.standard_normal((2000, 3, 2, 20))
    stack = xr.DataArray(x, dims=("draw", "run", "stimulus", "neuroid"), coords={"stimulus": list("ab")})
    found = rsa.rdm(stack, "crossnobis").values[:, 0]
    truth = ((signal[0] - signal[1]) ** 2).mean()
    assert found.mean() == pytest.approx(truth, abs=4 * found.std() / np.sqrt(2000))


def test_noise_lowers_neither_crossvalidated_correlation(rng):
    signal = rng.standard_normal((2, 300))
    x = signal + rng.standard_normal((300, 4, 2, 300))
    stack = xr.DataArray(x, dims=("draw", "run", "stimulus", "neuroid"), coords={"stimulus": list("ab")})
    truth = 1 - np.corrcoef(signal)[0, 1]
    assert float(rsa.rdm(stack, "correlation-cv").mean()) == pytest.approx(truth, abs=0.01)


@pytest.mark.parametrize("metric", ["crossnobis", "correlation-cv", "decoding"])
def test_a_large_offset_in_float32_keeps_five_digits(rng, metric):
    x = (1e3 + rng.standard_normal((4, 6, 100)) + rng.standard_normal((6, 100))).astype(np.float32)
    expected = rsa.rdm(make_dims(x.astype(np.float64) - 1e3), metric)
    np.testing.assert_allclose(rsa.rdm(make_dims(x), metric), expected, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("metric", ["crossnobis", "poisson-cv"])
def test_near_patterns_keep_their_digits_beside_distant_ones(rng, metric):
    x = np.repeat(1e3 * rng.random((1, 5, 20)), 3, axis=0)
    x[:, 1] = x[:, 0] * (1 + 1e-6 * rng.random((3, 1)))
    found = square(rsa.rdm(make_dims(x), metric).values)[0, 1]
    assert found == pytest.approx(SLOW[metric](x[:, 0], x[:, 1]), rel=1e-5)
    x[:, 1] = x[:, 0]
    assert square(rsa.rdm(make_dims(x), metric).values)[0, 1] == 0


def test_a_fold_effect_on_all_stimuli_leaves_crossnobis(runs, rng):
    moved = runs + xr.DataArray(10 * rng.standard_normal((N_RUNS, N_NEUROIDS)), dims=("run", "neuroid"))
    np.testing.assert_allclose(rsa.rdm(moved, "crossnobis"), rsa.rdm(runs, "crossnobis"), rtol=1e-9)


# Unbalanced designs


def drop(runs, cells):
    flat = as_flat(runs)
    gone = [(NAMES[s], r) for r, s in cells]
    keep = [(s, r) not in gone for s, r in zip(flat.stimulus.values, flat.run.values, strict=True)]
    return flat.isel(presentation=np.flatnonzero(keep))


@pytest.mark.parametrize("metric", list(SLOW))
def test_a_pair_is_estimated_from_the_folds_that_have_both(runs, metric):
    gaps = [(0, 2), (3, 2), (0, 5), (0, 1)]
    found = rsa.rdm(drop(runs, gaps), metric)
    full = square(align(rsa.rdm(runs, metric), found)[1].values)
    for i, j in PAIRS:
        folds = [f for f in range(N_RUNS) if (f, i) not in gaps and (f, j) not in gaps]
        slow = SLOW[metric](runs.values[folds, i], runs.values[folds, j])
        assert full[i, j] == pytest.approx(slow, rel=1e-9), (i, j)
    # Three stimuli have gaps, the other three make 3 whole pairs of 15.
    assert found.attrs["n_incomplete"] == 12 and found.attrs["n_undefined"] == 0
    assert rsa.rdm(runs, metric).attrs["n_incomplete"] == 0


@pytest.mark.parametrize("metric", CROSSVALIDATED)
def test_a_pair_with_fewer_than_two_shared_folds_is_nan_and_counted(runs, metric):
    gaps = [(0, 2), (1, 2), (2, 3), (3, 3)]
    found = rsa.rdm(drop(runs, gaps), metric)
    full = square(align(rsa.rdm(runs, metric), found)[1].values, diagonal=0)
    if metric == "decoding":
        # Here a stimulus needs training folds of its own only: every pair can be tested.
        assert found.attrs["n_undefined"] == 0
    else:
        assert np.isnan(full[2, 3]) and np.isnan(full).sum() == 2
        assert found.attrs["n_undefined"] == 1


def test_decoding_is_nan_where_a_stimulus_is_in_one_fold_only(runs):
    once = drop(runs, [(0, 2), (1, 2), (2, 2)])
    found = rsa.rdm(once, "decoding")
    assert found.attrs["n_undefined"] == 5
    assert found.attrs["n_incomplete"] == 5


def test_noise_a_fold_follows_the_folds_that_a_pair_has(runs):
    noise = np.stack([make_precision(N_NEUROIDS, seed) for seed in range(N_RUNS)])
    found = rsa.rdm(drop(runs, [(0, 2)]), "crossnobis", noise=labelled(noise, run=range(N_RUNS)))
    expected = rsa.rdm(
        as_flat(runs.isel(run=[1, 2, 3])).assign_coords(
            run=("presentation", np.repeat([1, 2, 3], N_STIMULI))
        ),
        "crossnobis",
        noise=labelled(noise[1:], run=[1, 2, 3]),
    )
    mine = square(align(expected, found)[1].values)[2]
    np.testing.assert_allclose(np.delete(mine, 2), np.delete(square(expected.values)[2], 2), rtol=1e-9)


def test_presentations_are_averaged_within_a_fold_however_many(rng):
    stimulus, run = list("aaabbabbbb"), [1, 1, 1, 1, 1, 2, 2, 2, 2, 2]
    x = rng.standard_normal((10, 4))
    means = np.stack(
        [
            [x[[s == n and r == f for s, r in zip(stimulus, run, strict=True)]].mean(0) for n in "ab"]
            for f in (1, 2)
        ]
    )
    found = rsa.rdm(make_flat(x, stimulus, run), "crossnobis")
    assert float(found[0]) == pytest.approx(slow_crossnobis(means[:, 0], means[:, 1]), rel=1e-10)


def test_unequal_numbers_of_presentations_by_hand_against_rsatoolbox():
    from rsatoolbox.rdm import calc_rdm

    # Differences of the means of a and b are 2, 4 and 6 in runs 1, 2 and 3; run 1 has a twice and b twice.
    # Ours: the mean of 2*4, 2*6, 4*6 = 44 / 3. rsatoolbox trains on the pooled presentations, in which run 1
    # counts double: 2 * 5, 4 * (2 * 2 + 6) / 3, 6 * (2 * 2 + 4) / 3, mean 118 / 9. Both are unbiased.
    flat = make_flat(
        [[2.0], [2.0], [0.0], [0.0], [4.0], [0.0], [6.0], [0.0]], "aabbabab", [1] * 4 + [2, 2, 3, 3]
    )
    assert float(rsa.rdm(flat, "crossnobis")[0]) == pytest.approx(44 / 3)
    theirs = calc_rdm(their_dataset(flat), "crossnobis", descriptor="stimulus", cv_descriptor="run")
    assert theirs.get_vectors()[0, 0] == pytest.approx(118 / 9)


@pytest.mark.parametrize("metric", list(SLOW))
def test_neuroids_that_a_stimulus_lacks_in_any_fold_are_left_out_of_its_pairs(runs, metric):
    x = runs.copy(deep=True)
    x[1, 2, :4] = np.nan
    x[3, 5, 3:6] = np.nan
    found = rsa.rdm(x, metric, missing="pairwise")
    full, lacks = square(found.values), np.isnan(x.values).any(axis=0)
    for i, j in PAIRS:
        both = ~(lacks[i] | lacks[j])
        slow = SLOW[metric](x.values[:, i][:, both], x.values[:, j][:, both])
        assert full[i, j] == pytest.approx(slow, rel=1e-9)
    assert found.attrs["n_left_out"] == 9


# Undefined and refused


def test_correlation_without_a_variance_between_folds_is_nan_and_counted(runs):
    x = runs.copy(deep=True)
    x[:, 1] = 0.1
    signs = np.array([1.0, -1.0, 1.0, -1.0])[:, None]
    x[:, 3] = signs * x[0, 3].values
    found = rsa.rdm(x, "correlation-cv")
    full = square(found.values)
    assert np.isnan(np.delete(full[1], 1)).all() and np.isnan(np.delete(full[3], 3)).all()
    assert found.attrs["n_undefined"] == 9


def test_folds_that_are_not_there_are_refused_with_what_there_is(runs):
    with pytest.raises(LabelError, match="neither a dim 'run' nor a coordinate 'run' along 'stimulus'"):
        rsa.rdm(runs.rename(run="repetition"), "crossnobis")
    with pytest.raises(LabelError, match=r"nor a coordinate 'session'.*Name the folds with folds="):
        rsa.rdm(as_flat(runs), "crossnobis", folds="session")
    with pytest.raises(ShapeError, match="needs at least 2 folds; 'run' has 1: 0"):
        rsa.rdm(runs[:1], "crossnobis")
    with pytest.raises(ShapeError, match="at least 2 stimuli"):
        rsa.rdm(runs[:, :1], "crossnobis")
    flat = as_flat(runs).assign_coords(run=("presentation", [np.nan] + [1.0] * 23))
    with pytest.raises(LabelError, match="1 of 24 labels of 'run' are missing"):
        rsa.rdm(flat, "crossnobis")
    with pytest.raises(LabelError, match="repeated: 's0'"):
        rsa.rdm(runs.isel(stimulus=[0, 0, 1]), "crossnobis")
    with pytest.raises(InvalidValueError, match="1 of 360 values are not, in 1 stimuli: 's2'"):
        x = runs.copy(deep=True)
        x[0, 2, 3] = np.nan
        rsa.rdm(x, "crossnobis")


def test_noise_of_other_folds_is_refused_with_their_names(runs):
    noise = np.stack([make_precision(N_NEUROIDS, seed) for seed in range(N_RUNS)])
    with pytest.raises(LabelError, match="patterns: 1 of 4 labels of 'run' are not in noise: 3"):
        rsa.rdm(as_flat(runs), "crossnobis", noise=labelled(noise[:3], run=range(3)))
    with pytest.raises(LabelError, match="noise: 1 of 5 labels of 'run' are not in patterns: 4"):
        rsa.rdm(as_flat(runs), "crossnobis", noise=labelled(noise[[0, 1, 2, 3, 3]], run=range(5)))
    with pytest.raises(LabelError, match="noise has no labels along 'run'"):
        rsa.rdm(runs, "crossnobis", noise=labelled(noise, run=range(4)).drop_vars("run"))
    with pytest.raises(ShapeError, match=r"noise must have dims .* or \('run', 'neuroid', 'neuroid_b'\)"):
        rsa.rdm(runs, "crossnobis", noise=labelled(noise, session=range(4)))
    with pytest.raises(ShapeError, match="decoding takes one precision, not one a fold"):
        rsa.rdm(as_flat(runs), "decoding", noise=labelled(noise, run=range(4)))
    noise[2] -= 10 * np.eye(N_NEUROIDS)
    with pytest.raises(InvalidValueError, match="a precision a fold must be positive definite"):
        rsa.rdm(as_flat(runs), "crossnobis", noise=labelled(noise, run=range(4)))


def test_the_order_of_folds_in_the_noise_never_matters(runs):
    noise = labelled(
        np.stack([make_precision(N_NEUROIDS, seed) for seed in range(N_RUNS)]), run=range(N_RUNS)
    )
    expected = rsa.rdm(as_flat(runs), "crossnobis", noise=noise)
    found = rsa.rdm(as_flat(runs), "crossnobis", noise=noise[[2, 0, 3, 1]])
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_labels_of_the_dim_of_folds_match_those_of_the_noise(runs):
    noise = labelled(np.stack([make_precision(N_NEUROIDS, seed) for seed in range(N_RUNS)]), run=list("wxyz"))
    named = runs.assign_coords(run=list("wxyz"))
    expected = rsa.rdm(named, "crossnobis", noise=noise)
    shuffled = named.isel(run=[3, 1, 0, 2])
    np.testing.assert_allclose(rsa.rdm(shuffled, "crossnobis", noise=noise), expected, rtol=1e-10)
    with pytest.raises(LabelError, match="need labels 'stimulus' along one dim"):
        rsa.rdm(runs.mean("stimulus").assign_coords(stimulus="a"), "crossnobis")


def test_a_precision_in_float32_is_used_in_float64(runs):
    noise = make_precision(N_NEUROIDS).astype(np.float32)
    expected = rsa.rdm(runs, "crossnobis", noise=labelled(noise.astype(np.float64)))
    np.testing.assert_allclose(rsa.rdm(runs, "crossnobis", noise=labelled(noise)), expected, rtol=1e-12)


def test_two_folds_of_mne_rsa_are_not_crossvalidated_by_hand():
    from mne_rsa import compute_rdm, compute_rdm_cv

    # Differences of a and b: (-3, -1) and (1, -1), product -3 + 1 = -2. mne-rsa 1.0 takes for training data
    # mean - (mean - test) / (F - 1), where the mean of the others is mean + (mean - test) / (F - 1): with two
    # folds it is the test data, and the result the mean of the plain distances, (10 + 2) / 2 = 6.
    x = np.array([[[0.0, 0.0], [3.0, 1.0]], [[2.0, 0.0], [1.0, 1.0]]])
    theirs = compute_rdm_cv(x, metric="sqeuclidean")
    assert theirs.tolist() == [6.0]
    assert theirs[0] == np.mean([compute_rdm(fold, metric="sqeuclidean")[0] for fold in x])
    assert rsa.rdm(make_dims(x), "crossnobis", normalize="none").values.tolist() == [-2.0]


# Digits, chunks and thresholds


@pytest.mark.parametrize("metric", ["crossnobis", "poisson-cv"])
def test_a_large_offset_costs_no_digit(rng, metric):
    offset = {"crossnobis": 100.0, "poisson-cv": 1e4}[metric]
    x = offset + rng.random((N_STIMULI, N_NEUROIDS)) + 0.1 * rng.random((3, N_STIMULI, N_NEUROIDS))
    slow = [SLOW[metric](x[:, i], x[:, j]) for i, j in PAIRS]
    np.testing.assert_allclose(rsa.rdm(make_dims(x), metric), slow, rtol=2e-13)


@pytest.mark.parametrize("metric", ["crossnobis", "poisson-cv"])
@pytest.mark.parametrize("chunk", [1, 3, 6, 9])
def test_near_patterns_keep_their_digits_in_any_chunks(rng, monkeypatch, metric, chunk):
    monkeypatch.setattr("neuroalign.rsa.crossvalidated.CHUNK", chunk)
    x = np.repeat(1e3 * (1 + rng.random((1, 10, 20))), 3, axis=0)
    near = [(0, 1), (2, 3), (4, 5), (6, 7), (8, 9)]
    for i, j in near:
        x[:, j] = x[:, i] * (1 + 1e-6 * (1 + rng.random((3, 1))))
    found = square(rsa.rdm(make_dims(x), metric).values)
    for i, j in near:
        assert found[i, j] == pytest.approx(SLOW[metric](x[:, i], x[:, j]), rel=1e-7)


@pytest.mark.parametrize("scale", [1e-170, 1e-9, 1e9, 1e160])
def test_the_correlation_between_folds_has_no_unit(runs, scale):
    np.testing.assert_allclose(
        rsa.rdm(runs * scale, "correlation-cv"), rsa.rdm(runs, "correlation-cv"), rtol=1e-10
    )


def test_a_variance_between_folds_that_is_rounding_is_none(rng):
    # Orthogonal patterns in the folds: their products are 0 but for the last digits.
    x = rng.standard_normal((80, N_NEUROIDS, 4))
    x = np.linalg.qr(x - x.mean(axis=1, keepdims=True))[0].transpose(2, 0, 1)
    found = rsa.rdm(make_dims(x), "correlation-cv")
    assert np.isnan(found).all()
    assert found.attrs["n_undefined"] == 80 * 79 // 2


def test_one_precision_holds_for_pairs_that_lack_folds(runs):
    noise = make_precision(N_NEUROIDS)
    gaps = [(0, 2), (3, 2), (0, 5)]
    found = rsa.rdm(drop(runs, gaps), "crossnobis", noise=labelled(noise))
    full = square(align(rsa.rdm(runs, "crossnobis"), found)[1].values)
    for i, j in PAIRS:
        folds = [f for f in range(N_RUNS) if (f, i) not in gaps and (f, j) not in gaps]
        x = runs.values[folds]
        assert full[i, j] == pytest.approx(slow_crossnobis(x[:, i], x[:, j], noise), rel=1e-9)


def test_decoding_takes_a_degree_of_freedom_for_each_stimulus_that_is_trained_on(rng, monkeypatch):
    from neuroalign.rsa import decoding
    from neuroalign.rsa.shrinkage import shrunk

    asked = []

    def spy(residuals, dof, method):
        asked.append((len(residuals), dof))
        return shrunk(residuals, dof, method)

    monkeypatch.setattr(decoding, "shrunk", spy)
    # Runs of 5, 4 and 6 observations; c is in the last run only.
    stimulus, run = "aabbb" + "abab" + "abbccc", [1] * 5 + [2] * 4 + [3] * 6
    found = rsa.rdm(make_flat(rng.standard_normal((15, 3)), stimulus, run), "decoding")
    assert asked == [(10, 10 - 3), (11, 11 - 3), (9, 9 - 2)]
    assert np.isnan(found).values.tolist() == [False, True, True]


def test_decoding_of_stimuli_that_are_never_tested_together_is_undefined():
    flat = make_flat([[0.0], [2.0], [0.1], [2.2]], "abab", [1, 1, 2, 2])
    assert rsa.rdm(flat, "decoding", noise=labelled(np.eye(1))).values.tolist() == [1.0]
    once = make_flat([[0.0], [2.0], [0.1]], "aba", [1, 1, 2])
    assert np.isnan(rsa.rdm(once, "decoding", noise=labelled(np.eye(1)))).all()

"""Explainable variance, split halves, extrapolated ceilings, normalised scores."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import curve_fit

from neuroalign import stats
from neuroalign.errors import InvalidValueError, LabelError, ShapeError
from neuroalign.stats.explainable import explainable_variance, normalized, split_half_ceiling
from neuroalign.stats.extrapolation import extrapolated_ceiling, fit_saturation


def simulate(rng, n_rows=150, n_neuroids=200, n_repetitions=4, noise=1.5):
    signal = stats.standardize(rng.standard_normal((n_rows, n_neuroids))) * np.sqrt((n_rows - 1) / n_rows)
    values = signal[..., None] + noise * rng.standard_normal((n_rows, n_neuroids, n_repetitions))
    return signal, xr.DataArray(
        values,
        dims=("time", "neuroid", "repetition"),
        coords={"neuroid": [f"v{i}" for i in range(n_neuroids)], "roi": ("neuroid", ["V1"] * n_neuroids)},
    )


def test_explainable_variance_equals_the_formula_of_the_field(rng):
    _, responses = simulate(rng, n_neuroids=5)
    data = responses.transpose("repetition", "time", "neuroid").values
    data = (data - data.mean(axis=1, keepdims=True)) / data.std(axis=1, keepdims=True)
    ev = 1 - np.var(data - data.mean(axis=0), axis=1, ddof=0).mean(axis=0)
    expected = ev - (1 - ev) / (len(data) - 1)
    z = responses.copy(data=stats.standardize(responses.values))
    np.testing.assert_allclose(explainable_variance(z).explainable_variance, expected, atol=1e-12)


@pytest.mark.parametrize("n_repetitions", [2, 5])
def test_explainable_variance_recovers_what_was_planted_within_its_standard_error(n_repetitions):
    rng = np.random.default_rng(0)
    signal, responses = simulate(rng, n_repetitions=n_repetitions, n_neuroids=400)
    found = explainable_variance(responses)
    power = signal.var(axis=0, ddof=1)[0]
    for name, planted in (
        ("signal_power", power),
        ("noise_power", 1.5**2),
        ("explainable_variance", power / (power + 1.5**2)),
    ):
        values = found[name].values
        error = values.std(ddof=1) / np.sqrt(len(values))
        assert abs(values.mean() - planted) < 2.5 * error, name
    # A root of a noisy ratio is a little low (measured: -.011 at 2 repetitions).
    ceiling = np.sqrt(power / (power + 1.5**2 / n_repetitions))
    np.testing.assert_allclose(found.ceiling.mean(), ceiling, atol=0.015)
    assert found.attrs["n_undefined"] == 0
    assert found.roi.values.tolist() == ["V1"] * 400


def test_the_ceiling_is_the_correlation_of_the_true_signal_with_the_mean():
    rng = np.random.default_rng(4)
    signal, responses = simulate(rng, n_neuroids=300)
    r = stats.pearson_r(responses.mean("repetition").values, signal)
    ceiling = explainable_variance(responses).ceiling.values
    difference = r - ceiling
    assert abs(difference.mean()) < 3 * difference.std(ddof=1) / np.sqrt(300)
    scores = xr.DataArray(r, dims="neuroid", coords={"neuroid": responses.neuroid})
    found = normalized(scores, explainable_variance(responses).ceiling)
    np.testing.assert_allclose(found.normalized.mean(), 1.0, atol=0.01)


def test_the_normalised_correlation_is_schoppes():
    rng = np.random.default_rng(5)
    signal, responses = simulate(rng, n_neuroids=3)
    prediction = signal + rng.standard_normal(signal.shape)
    mean, found = responses.mean("repetition").values, explainable_variance(responses)
    r = xr.DataArray(stats.pearson_r(mean, prediction), dims="neuroid", coords={"neuroid": found.neuroid})
    covariance = [np.cov(a, b)[0, 1] for a, b in zip(prediction.T, mean.T, strict=True)]
    expected = covariance / np.sqrt(prediction.var(axis=0, ddof=1) * found.signal_power.values)
    np.testing.assert_allclose(normalized(r, found.ceiling).normalized, expected, rtol=1e-10)


def test_repetitions_that_disagree_have_no_ceiling_and_are_counted():
    wave = np.array([1.0, -1.0, 2.0, -2.0])
    values = np.stack([np.stack([wave, -wave]), np.stack([wave, wave]), np.full((2, 4), 0.1)])
    responses = xr.DataArray(values, dims=("neuroid", "repetition", "stimulus"))
    found = explainable_variance(responses)
    np.testing.assert_allclose(found.explainable_variance, [-1.0, 1.0, np.nan])
    np.testing.assert_allclose(found.ceiling, [np.nan, 1.0, np.nan])
    assert found.attrs["n_undefined"] == 2


@settings(deadline=None, max_examples=30)
@given(st.floats(-5, 5), st.floats(0.1, 10))
def test_shift_and_scale_leave_the_explainable_variance(shift, scale):
    _, responses = simulate(np.random.default_rng(0), n_rows=20, n_neuroids=3)
    before = explainable_variance(responses)
    after = explainable_variance(scale * responses + shift)
    np.testing.assert_allclose(after.explainable_variance, before.explainable_variance, atol=1e-9)
    np.testing.assert_allclose(after.signal_power, scale**2 * before.signal_power, atol=1e-7)


def test_explainable_variance_ignores_the_order_of_rows_and_repetitions(rng):
    _, responses = simulate(rng, n_neuroids=4)
    moved = responses.isel(time=rng.permutation(150), repetition=rng.permutation(4)).transpose(
        "repetition", "neuroid", "time"
    )
    xr.testing.assert_allclose(explainable_variance(moved), explainable_variance(responses))


def test_what_holds_no_repetitions_is_refused(rng):
    _, responses = simulate(rng, n_neuroids=2)
    with pytest.raises(LabelError, match="responses lack the dims 'repetition'"):
        explainable_variance(responses.isel(repetition=0))
    with pytest.raises(ShapeError, match="at least 2 along 'repetition'; got 1"):
        explainable_variance(responses.isel(repetition=[0]))
    with pytest.raises(InvalidValueError, match=r"responses must be finite.*\(2, 5, 1\)"):
        bad = responses.copy(deep=True)
        bad[5, 1, 2] = np.nan
        explainable_variance(bad)


def test_split_halves_agree_with_the_explainable_variance():
    rng = np.random.default_rng(6)
    _, responses = simulate(rng, n_neuroids=100)
    halves = split_half_ceiling(responses, n=10, rng=np.random.default_rng(0))
    np.testing.assert_allclose(
        halves.ceiling.mean(), explainable_variance(responses).ceiling.mean(), atol=0.01
    )
    np.testing.assert_allclose(
        halves.reliability,
        stats.split_half(
            responses.transpose("repetition", "time", "neuroid").values, n=10, rng=np.random.default_rng(0)
        ),
    )
    opposed = xr.DataArray([[1.0, -1.0], [2.0, -2.0], [3.0, -3.0]], dims=("time", "repetition"))
    found = split_half_ceiling(opposed, n=2, rng=rng)
    assert np.isnan(found.ceiling)
    assert found.attrs["n_undefined"] == 1


@settings(deadline=None, max_examples=30)
@given(st.floats(0.05, 0.95), st.floats(0.5, 15))
def test_a_saturating_curve_is_recovered(v0, tau):
    x = np.arange(2, 20)
    found = fit_saturation(x, v0 * (1 - np.exp(-x / tau)))
    np.testing.assert_allclose(found, [v0, tau], rtol=1e-5)


def test_the_fit_equals_scipys_curve_fit(rng):
    x = np.arange(2, 16)
    values = 0.6 * (1 - np.exp(-x / 4))[:, None] + 0.02 * rng.standard_normal((14, 6))
    v0, tau = fit_saturation(x, values)
    for j in range(6):
        expected, _ = curve_fit(lambda x, a, b: a * (1 - np.exp(-x / b)), x, values[:, j], p0=[0.5, 3.0])
        np.testing.assert_allclose([v0[j], tau[j]], expected, rtol=1e-4)


def test_a_curve_that_does_not_bend_has_no_ceiling():
    x = np.arange(2.0, 12.0)
    curves = np.stack(
        [0.01 * x, -0.3 * (1 - np.exp(-x / 3)), np.full(10, 0.4), 3 * (1 - np.exp(-x / 5))], axis=1
    )
    v0, tau = fit_saturation(x, curves)
    np.testing.assert_allclose(v0, [np.nan, np.nan, 0.4, np.nan], rtol=1e-6)
    assert np.isnan(tau).tolist() == [True, True, False, True]
    np.testing.assert_allclose(fit_saturation(x, curves[:, 3], maximum=5.0), [3.0, 5.0], rtol=1e-6)
    with pytest.raises(InvalidValueError, match="at least 3 different positive sizes; got"):
        fit_saturation([0.0, 1.0, 2.0], [0.1, 0.2, 0.3])


def test_extrapolation_recovers_the_planted_ceiling_from_noisy_subsets():
    rng = np.random.default_rng(7)
    noise = np.random.default_rng(8)

    def ceiling(who):
        return np.array([0.5, 0.8]) * (1 - np.exp(-len(who) / np.array([3.0, 5.0]))) + 0.02 * (
            noise.standard_normal(2)
        )

    found = extrapolated_ceiling(ceiling, 15, rng=rng, n=60)
    assert found.v0.dims == ("item_0",)
    np.testing.assert_allclose(found.v0, [0.5, 0.8], atol=0.03)
    np.testing.assert_allclose(found.tau, [3.0, 5.0], rtol=0.15)
    assert (found.lower.values < [0.5, 0.8]).all()
    assert (found.upper.values > [0.5, 0.8]).all()
    assert found.attrs["n_undefined"] == 0
    assert found.ceiling.sizes == {"size": 14, "item_0": 2}


def test_subsets_hold_each_subject_once_and_the_same_seed_draws_the_same():
    seen = []

    def ceiling(who):
        seen.append(who.tolist())
        return 0.5 * (1 - np.exp(-len(who) / 2))

    first = extrapolated_ceiling(ceiling, 6, rng=np.random.default_rng(0), n=5, n_subsets=3, sizes=[6, 2, 4])
    assert [len(who) for who in seen] == [2] * 3 + [4] * 3 + [6] * 3
    assert all(len(set(who)) == len(who) and max(who) < 6 for who in seen)
    again = extrapolated_ceiling(ceiling, 6, rng=np.random.default_rng(0), n=5, n_subsets=3, sizes=[2, 4, 6])
    xr.testing.assert_identical(first, again)


def test_too_few_subjects_or_sizes_are_refused(rng):
    with pytest.raises(InvalidValueError, match="at least 4 subjects; got 3"):
        extrapolated_ceiling(len, 3, rng=rng)
    with pytest.raises(InvalidValueError, match=r"3 different integers from 2 to 6; got \[2, 7, 3\]"):
        extrapolated_ceiling(len, 6, rng=rng, sizes=[2, 7, 3])
    with pytest.raises(InvalidValueError, match="3 different positive sizes"):
        fit_saturation([2, 3, 3], [0.1, 0.2, 0.2])
    with pytest.raises(ShapeError, match=r"values must have shape \(3, ...\); got \(2,\)"):
        fit_saturation([2, 3, 4], [0.1, 0.2])


def test_normalised_scores_keep_the_raw_ones_and_count_what_has_no_ceiling():
    scores = xr.DataArray(
        [[0.3, 0.2, 0.5, np.nan], [0.1, 0.2, 0.3, 0.4]],
        dims=("fold", "neuroid"),
        coords={"neuroid": list("abcd"), "roi": ("neuroid", list("LLRR"))},
        attrs={"metric": "pearson"},
    )
    ceiling = xr.DataArray([0.5, 0.0, -0.2, np.nan], dims="neuroid", coords={"neuroid": list("dbca")})
    found = normalized(scores, ceiling)
    np.testing.assert_array_equal(found.raw, scores)
    np.testing.assert_allclose(found.normalized, [[np.nan] * 4, [np.nan] * 3 + [0.8]])
    assert (found.attrs["n_no_ceiling"], found.attrs["n_undefined"], found.attrs["metric"]) == (
        3,
        7,
        "pearson",
    )
    assert found.roi.values.tolist() == list("LLRR")
    with pytest.raises(LabelError, match="not in ceiling: 'd'"):
        normalized(scores, ceiling[1:])
    with pytest.raises(ShapeError, match="ceiling has the dim 'subject'"):
        normalized(scores, xr.DataArray([1.0], dims="subject"))
    with pytest.raises(ShapeError, match="differ along 'neuroid': 4 and 3"):
        normalized(scores, ceiling[1:].drop_vars("neuroid"))


def test_a_ceiling_without_labels_goes_by_place():
    scores = xr.DataArray([0.3, 0.2], dims="neuroid", coords={"neuroid": ["a", "b"]})
    found = normalized(scores, xr.DataArray([0.6, 0.8], dims="neuroid"))
    np.testing.assert_allclose(found.normalized, [0.5, 0.25])


def test_arrays_without_names_and_impossible_maxima_are_refused(rng):
    with pytest.raises(ShapeError, match="responses must be a DataArray; got ndarray"):
        explainable_variance(rng.standard_normal((3, 4, 2)))
    for maximum in (0.0, np.nan):
        with pytest.raises(InvalidValueError, match=f"maximum must be positive and finite; got {maximum}"):
            extrapolated_ceiling(len, 6, rng=rng, maximum=maximum)


def test_commonalities_need_a_score_of_every_union():
    with pytest.raises(ShapeError, match=r"3 sets have 7 unions; got scores of shape \(3,\)"):
        stats.commonalities(np.array([0.5, 0.4, 0.6]), 3)


# The areas of a Venn diagram of three sets, by the sets that share each.
AREAS = {(0,): 0.1, (1,): 0.2, (2,): 0.05, (0, 1): 0.03, (0, 2): -0.02, (1, 2): 0.07, (0, 1, 2): 0.15}


def test_commonalities_are_the_areas_of_a_venn_diagram():
    unions = stats.all_unions(3)
    assert unions == [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)]
    scores = np.array([sum(area for of, area in AREAS.items() if set(of) & set(u)) for u in unions])
    expected = np.array([AREAS[union] for union in unions])
    np.testing.assert_allclose(stats.commonalities(scores, 3), expected, atol=1e-12)
    # Neuroids and folds are apart, and of other units.
    weights = np.array([[1.0, 1e-9], [-2.0, 1e9], [0.0, 3.0]])
    found = stats.commonalities(scores[:, None, None] * weights, 3)
    np.testing.assert_allclose(found, expected[:, None, None] * weights, rtol=1e-9)
    np.testing.assert_allclose(found.sum(axis=0), scores[-1] * weights, rtol=1e-9)


def test_commonalities_of_one_set_of_two_and_of_what_is_unknown():
    assert stats.all_unions(1) == [(0,)]
    np.testing.assert_allclose(stats.commonalities(np.array([0.3]), 1), [0.3])
    # The first alone is all less the second; what both share is what is left.
    np.testing.assert_allclose(stats.commonalities(np.array([0.5, 0.25, 0.625]), 2), [0.375, 0.125, 0.125])
    found = stats.commonalities(np.array([[0.5, 0.5], [np.nan, 0.25], [0.625, 0.625]]), 2)
    np.testing.assert_allclose(found, [[np.nan, 0.375], [0.125, 0.125], [np.nan, 0.125]])
    for shape in ((6,), (8,), (7 - 4, 7), ()):
        with pytest.raises(ShapeError, match="3 sets have 7 unions; got scores of shape"):
            stats.commonalities(np.zeros(shape), 3)


def two_repetitions(first, second):
    return xr.DataArray(np.stack([first, second]), dims=("repetition", "stimulus"))


def test_powers_of_two_repetitions_by_hand():
    # Sums of squares about the mean are 11 and 11, that of the mean 1, 0, 4, 3 is 10: all over 3.
    found = explainable_variance(two_repetitions([2.0, 0.0, 4.0, 4.0], [0.0, 0.0, 4.0, 2.0]))
    assert float(found.signal_power) == pytest.approx(2 * 10 / 3 - 11 / 3)
    assert float(found.noise_power) == pytest.approx(11 / 3 - 3)
    assert float(found.explainable_variance) == pytest.approx(9 / 11)
    assert float(found.ceiling) == pytest.approx(np.sqrt(0.9))
    assert found.attrs == {"over": "repetition", "n_repetitions": 2, "n_undefined": 0}


def test_repetitions_that_share_exactly_nothing_have_a_signal_of_0_and_no_ceiling():
    responses = two_repetitions([1.0, -1.0, 1.0, -1.0], [1.0, 1.0, -1.0, -1.0])
    found = explainable_variance(responses)
    assert (float(found.signal_power), float(found.noise_power)) == (0.0, 4 / 3)
    assert float(found.explainable_variance) == 0.0 and np.isnan(found.ceiling)
    assert found.attrs["n_undefined"] == 1
    halves = split_half_ceiling(responses, n=3, rng=np.random.default_rng(0))
    assert float(halves.reliability) == 0.0 and np.isnan(halves.ceiling)
    assert halves.attrs == {"over": "repetition", "n_splits": 3, "n_undefined": 1}


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_what_varies_by_rounding_only_has_no_power(rng, scale):
    values = rng.standard_normal((3, 4, 5))
    values[:, :, 1] = 0.0
    values[:, :, 2] = np.array([0.1 + 0.2, 0.3, 0.3, 0.1 + 0.2])
    values[:2, :, 3] = 0.7  # one of three repetitions varies
    responses = xr.DataArray(scale * values, dims=("repetition", "time", "neuroid"))
    found = explainable_variance(responses)
    for name in ("explainable_variance", "signal_power", "noise_power", "ceiling"):
        assert np.isnan(found[name].values[[1, 2]]).all()
    assert np.isfinite(found.signal_power.values[[0, 3, 4]]).all()
    mean, each = (
        (scale * values).mean(axis=0).var(axis=0, ddof=1),
        (scale * values).var(axis=1, ddof=1).mean(axis=0),
    )
    signal = (3 * mean - each) / 2
    np.testing.assert_allclose(found.signal_power[[0, 3, 4]], signal[[0, 3, 4]], rtol=1e-9)
    np.testing.assert_allclose(found.noise_power[[0, 3, 4]], (each - signal)[[0, 3, 4]], rtol=1e-9)


def test_a_ceiling_of_two_dims_is_spread_over_the_scores():
    scores = xr.DataArray(np.arange(1.0, 13.0).reshape(2, 3, 2), dims=("fold", "neuroid", "layer"))
    ceiling = xr.DataArray([[2.0, 0.0, 4.0], [0.5, -1.0, np.nan]], dims=("layer", "neuroid"))
    found = normalized(scores, ceiling)
    for fold, neuroid, layer in np.ndindex(2, 3, 2):
        bar, value = ceiling.values[layer, neuroid], found.normalized.values[fold, neuroid, layer]
        np.testing.assert_equal(value, scores.values[fold, neuroid, layer] / bar if bar > 0 else np.nan)
    assert (found.attrs["n_no_ceiling"], found.attrs["n_undefined"]) == (3, 6)


def test_three_sizes_fit_a_curve_and_two_do_not():
    x = np.array([2.0, 5.0, 9.0])
    curves = np.stack([0.4 * (1 - np.exp(-x / 3)), 0.9 * (1 - np.exp(-x / 30))], axis=1).reshape(3, 2, 1)
    v0, tau = fit_saturation(x, curves)
    assert v0.shape == (2, 1)
    np.testing.assert_allclose([v0.ravel(), tau.ravel()], [[0.4, 0.9], [3, 30]], rtol=1e-5)
    with pytest.raises(InvalidValueError, match="at least 3 different positive sizes"):
        fit_saturation(x[:2], curves[:2])
    with pytest.raises(InvalidValueError, match="positive sizes; got"):
        fit_saturation([-1.0, 2.0, 5.0], curves)
    with pytest.raises(ShapeError, match=r"values must have shape \(3, ...\); got \(\)"):
        fit_saturation(x, 0.3)


def test_the_slowest_bend_that_is_seen_is_twenty_times_the_largest_size():
    x = np.array([4.0, 8.0, 12.0, 16.0])
    taus = np.array([0.5, 100.0, 300.0, 340.0, 2000.0])
    v0, tau = fit_saturation(x, 0.9 * (1 - np.exp(-x[:, None] / taus)))
    np.testing.assert_allclose(tau, [0.5, 100.0, 300.0, np.nan, np.nan], rtol=1e-3)
    np.testing.assert_allclose(v0, [0.9, 0.9, 0.9, np.nan, np.nan], rtol=1e-3)
    # Settled before the smallest size: the scale is at its lower end, from .02 of that on.
    for x in (np.array([4.0, 8.0, 16.0]), np.arange(20.0, 30.0)):
        v0, tau = fit_saturation(x, np.full((len(x), 4), [0.5, 0.25, 0.4, 0.9]))
        np.testing.assert_allclose(v0, [0.5, 0.25, 0.4, 0.9])
        assert (tau >= 0.02 * x[0]).all() and (tau <= 0.06 * x[0]).all()


def test_a_ceiling_may_be_its_maximum_and_not_0():
    x = [2.0, 3.0, 4.0]
    for maximum, expected in ((0.5, 0.5), (0.499, np.nan), (0.501, 0.5)):
        v0, tau = fit_saturation(x, [0.5] * 3, maximum=maximum)
        np.testing.assert_equal(float(v0), expected)
        assert np.isnan(tau) == np.isnan(expected)
    assert np.isnan(fit_saturation(x, [0.0] * 3)).all()
    assert np.isnan(fit_saturation(x, [0.1, np.nan, 0.2])).all()


def test_four_subjects_are_enough_for_an_extrapolation():
    def ceiling(who):
        return np.array([[0.5, 0.25, 0.75]]) * (1 - np.exp(-len(who) / 1.5)) + 0.01 * who[0]

    found = extrapolated_ceiling(ceiling, 4, rng=np.random.default_rng(0), n=5, n_subsets=6)
    assert found["size"].values.tolist() == [2, 3, 4] and found.v0.dims == ("item_0", "item_1")
    rng = np.random.default_rng(0)
    values = np.array([[ceiling(np.sort(rng.permutation(4)[:size])) for _ in range(6)] for size in (2, 3, 4)])
    np.testing.assert_allclose(found.ceiling, values.mean(axis=1))
    np.testing.assert_allclose([found.v0, found.tau], fit_saturation([2, 3, 4], values.mean(axis=1)))
    few = extrapolated_ceiling(ceiling, 9, rng=np.random.default_rng(0), n=2, n_subsets=2, sizes=[3, 4, 9])
    assert few["size"].values.tolist() == [3, 4, 9]
    for sizes in ([1, 4, 9], [3, 4, 10], [3, 4], [3, 4, 4]):
        with pytest.raises(InvalidValueError, match="at least 3 different integers from 2 to 9"):
            extrapolated_ceiling(ceiling, 9, rng=np.random.default_rng(0), sizes=sizes)

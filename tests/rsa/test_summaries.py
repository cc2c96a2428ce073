"""What follows from scores and draws by hand: variances, tests, flips, maxima; folds in every sample."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import scipy.stats
import xarray as xr

from neuroalign import stats
from neuroalign.rsa.draws import draw
from neuroalign.rsa.folds import Part, held_out
from neuroalign.rsa.resampling import BOOTSTRAPS, Resampling
from neuroalign.rsa.summary import summarised

TAILS = ["greater", "less", "two-sided"]


def result_of(scores, *, seed=-1, alternative="greater", bootstrap="none", n_stimuli=9, **variables):
    """Scores (model, subject) as ``infer`` hands them over."""
    scores = np.asarray(scores, dtype=float)
    names = {"model": list("abcd")[: len(scores)]}
    attrs = {
        "n_subjects": scores.shape[1],
        "n_stimuli": n_stimuli,
        "bootstrap": bootstrap,
        "alternative": alternative,
        "level": 0.9,
        "seed": seed,
    }
    values = {"score": (("model", "subject"), scores), "estimate": ("model", np.nanmean(scores, axis=1))}
    return xr.Dataset(values | variables, coords=names, attrs=attrs)


def p_of(observed, null, tail):
    """The share of patterns, the observed one among them, that are as extreme."""
    above = np.mean([value >= observed - 1e-12 for value in null])
    below = np.mean([value <= observed + 1e-12 for value in null])
    return {"greater": above, "less": below, "two-sided": min(1.0, 2 * min(above, below))}[tail]


def p_max_of(observed, null, tail):
    side = {"greater": lambda x: x, "less": lambda x: -x, "two-sided": np.abs}[tail]
    largest = side(np.asarray(null)).max(axis=1)
    return [np.mean(largest >= side(value) - 1e-12) for value in observed]


@pytest.mark.parametrize("tail", TAILS)
def test_tests_over_subjects_are_student_and_all_flips(rng, tail):
    scores = rng.standard_normal((3, 5)) + np.array([[0.9], [0.1], [-0.8]])
    found = summarised(result_of(scores, alternative=tail))
    variance = scores.var(axis=1, ddof=1) / 5
    np.testing.assert_allclose(found["variance"], variance, rtol=1e-12)
    assert found.attrs["dof"] == 4
    expected = scipy.stats.ttest_1samp(scores, 0, axis=1, alternative=tail)
    np.testing.assert_allclose(found["zero_t"], expected.statistic, rtol=1e-12)
    np.testing.assert_allclose(found["zero_p"], expected.pvalue, rtol=1e-10)
    half = scipy.stats.t.ppf(0.95, 4) * np.sqrt(variance)
    np.testing.assert_allclose(found["interval"], [scores.mean(1) - half, scores.mean(1) + half], rtol=1e-10)
    signs = np.array(list(itertools.product([1, -1], repeat=5)))
    means = signs @ scores.T / 5
    expected = [p_of(own, column, tail) for own, column in zip(scores.mean(1), means.T, strict=True)]
    np.testing.assert_allclose(found["zero_p_flip"], expected, rtol=1e-12)
    np.testing.assert_allclose(
        found["zero_p_flip_max"], p_max_of(scores.mean(axis=1), means, tail), rtol=1e-12
    )


def test_differences_of_models_are_paired_and_change_sign(rng):
    scores = rng.standard_normal((3, 6)) + np.array([[1.0], [0.2], [0.0]])
    found = summarised(result_of(scores))
    signs = np.array(list(itertools.product([1, -1], repeat=6)))
    pairs = list(itertools.combinations(range(3), 2))
    null = signs @ np.array([scores[i] - scores[j] for i, j in pairs]).T / 6
    largest = p_max_of([(scores[i] - scores[j]).mean() for i, j in pairs], null, "two-sided")
    for column, (i, j) in enumerate(pairs):
        apart = scores[i] - scores[j]
        expected = scipy.stats.ttest_rel(scores[i], scores[j])
        for a, b, sign in ((i, j, 1.0), (j, i, -1.0)):
            assert found["pairwise_t"][a, b] == pytest.approx(sign * expected.statistic, rel=1e-10)
            assert found["pairwise_p"][a, b] == pytest.approx(expected.pvalue, rel=1e-9)
            assert found["variance_difference"][a, b] == pytest.approx(apart.var(ddof=1) / 6, rel=1e-10)
            flips = p_of(apart.mean(), null[:, column], "two-sided")
            assert found["pairwise_p_flip"][a, b] == pytest.approx(flips, rel=1e-12)
            assert found["pairwise_p_flip_max"][a, b] == pytest.approx(largest[column], rel=1e-12)
    assert np.isnan(np.diag(found["pairwise_t"])).all()


def test_one_model_has_no_pairs():
    found = summarised(result_of([[0.2, 0.4, 0.1, 0.5]]))
    assert "model_b" not in found.dims and not [name for name in found if str(name).startswith("pairwise")]
    assert found["zero_p_flip"].item() == 1 / 16


def test_a_subject_without_a_score_is_left_out_and_one_score_has_no_variance():
    scores = np.array([[0.3, np.nan, 0.1, 0.6], [np.nan, np.nan, 0.7, np.nan], [0.2, 0.1, 0.5, 0.4]])
    found = summarised(result_of(scores))
    known = scores[0, [0, 2, 3]]
    np.testing.assert_allclose(
        found["variance"], [known.var(ddof=1) / 3, np.nan, scores[2].var(ddof=1) / 4], rtol=1e-12
    )
    assert np.isnan(found["zero_t"]).values.tolist() == [False, True, False]
    # Of one score all flips are two; of three, eight.
    np.testing.assert_allclose(found["zero_p_flip"], [1 / 8, 1 / 2, 1 / 16], rtol=1e-12)


@pytest.mark.parametrize(("n_subjects", "seed", "there"), [(12, -1, True), (13, -1, False), (13, 0, True)])
def test_more_subjects_than_can_be_listed_need_a_seed_for_flips(rng, n_subjects, seed, there):
    scores = rng.standard_normal((2, n_subjects)) + np.array([[0.4], [0.0]])
    found = summarised(result_of(scores, seed=seed))
    assert ("zero_p_flip" in found) is there and ("pairwise_p_flip_max" in found) is there
    if there:
        exact = scipy.stats.ttest_1samp(scores, 0, axis=1, alternative="greater").pvalue
        np.testing.assert_allclose(found["zero_p_flip"], exact, atol=0.03)


def drawn_result(rng, bootstrap, *, n_repeats, n_models=3, alternative="greater"):
    """A result with 40 draws of 5 subjects and 9 stimuli, of which the variances differ by kind."""
    kinds = 3 if bootstrap == "both" else 1
    spread = np.array([1.0, 0.6, 0.5])[:kinds, None]
    estimates = 0.2 + 0.1 * spread * rng.standard_normal((40, 1, kinds, n_models))
    ceilings = 0.5 + 0.1 * spread * rng.standard_normal((40, 1, kinds, 2))
    estimates = estimates + 0.03 * rng.standard_normal((40, n_repeats, kinds, n_models))
    ceilings = ceilings + 0.03 * rng.standard_normal((40, n_repeats, kinds, 2))
    return result_of(
        0.2 + 0.3 * rng.random((n_models, 5)),
        bootstrap=bootstrap,
        alternative=alternative,
        draw_estimate=(("draw", "repeat", "kind", "model"), estimates),
        draw_ceiling=(("draw", "repeat", "kind", "bound"), ceilings),
        draw_redrawn=("draw", np.arange(40) % 3),
        noise_ceiling=("bound", [0.5, 0.6]),
    )


def corrected(values, bootstrap):
    """The variance of draws (draw, repeat, kind) at infinitely many repeats, corrected for the bootstrap."""
    n_repeats = values.shape[1]
    own = values.mean(axis=1).var(axis=0, ddof=1)
    if n_repeats > 1:
        single = np.mean([values[:, r].var(axis=0, ddof=1) for r in range(n_repeats)], axis=0)
        own = (n_repeats * own - single) / (n_repeats - 1)
    if bootstrap == "both":
        return float(stats.dual_variance(*own, 5, 9))
    return float(own[0] * {"subject": 5 / 4, "stimulus": 9 / 8}[bootstrap])


@pytest.mark.parametrize("bootstrap", BOOTSTRAPS)
@pytest.mark.parametrize("n_repeats", [1, 2, 4])
def test_variances_of_draws_by_hand(rng, bootstrap, n_repeats):
    given = drawn_result(rng, bootstrap, n_repeats=n_repeats)
    found = summarised(given)
    draws, ceilings = given["draw_estimate"].values, given["draw_ceiling"].values
    estimate = given["estimate"].values
    least = {"both": 4, "subject": 4, "stimulus": 8}[bootstrap]
    dof = stats.effective_dof(least, 40)
    assert found.attrs["dof"] == pytest.approx(dof) and found.attrs["n_draws"] == 40
    assert found.attrs["n_redrawn"] == 39
    variance = [corrected(draws[..., m], bootstrap) for m in range(3)]
    np.testing.assert_allclose(found["variance"], variance, rtol=1e-10)
    np.testing.assert_allclose(found["zero_t"], estimate / np.sqrt(variance), rtol=1e-10)
    for m, bound in itertools.product(range(3), range(2)):
        apart = corrected(draws[..., m] - ceilings[..., bound], bootstrap)
        assert found["variance_ceiling"][m, bound] == pytest.approx(apart, rel=1e-10)
    t = (estimate - 0.5) / np.sqrt(found["variance_ceiling"][:, 0])
    np.testing.assert_allclose(found["ceiling_t"], t, rtol=1e-10)
    for a, b in ((0, 1), (0, 2), (1, 2)):
        apart = corrected(draws[..., a] - draws[..., b], bootstrap)
        assert found["variance_difference"][a, b] == pytest.approx(apart, rel=1e-10)
        assert found["pairwise_t"][a, b] == pytest.approx((estimate[a] - estimate[b]) / np.sqrt(apart))
    half = scipy.stats.t.ppf(0.95, dof) * np.sqrt([corrected(ceilings[..., i], bootstrap) for i in range(2)])
    np.testing.assert_allclose(
        found["ceiling_interval"],
        [0.5 * np.array([1, 1.2]) - half, 0.5 * np.array([1, 1.2]) + half],
        rtol=1e-9,
    )
    # The shape of the draws is that of the first kind, over repeats.
    kept = draws[:, :, 0].mean(axis=1)
    peer = stats.resampled_tests(estimate, np.array(variance), kept, dof=dof, tail="greater", level=0.9)
    np.testing.assert_allclose(found["zero_p_bootstrap"], peer.p_bootstrap, rtol=1e-10)
    np.testing.assert_allclose(found["interval_bootstrap"], [peer.lower_bootstrap, peer.upper_bootstrap])
    kept = (draws[:, :, 0] - ceilings[:, :, 0, :1]).mean(axis=1)
    peer = stats.resampled_tests(
        estimate - 0.5, found["variance_ceiling"][:, 0].values, kept, dof=dof, level=0.9
    )
    np.testing.assert_allclose(found["ceiling_p_bootstrap"], peer.p_bootstrap, rtol=1e-10)


def test_undefined_draws_are_counted_model_by_model_and_left_out(rng):
    given = drawn_result(rng, "subject", n_repeats=2)
    given["draw_estimate"][3, 1, 0, 1] = np.nan
    given["draw_estimate"][7, :, 0, 1] = np.nan
    given["draw_estimate"][9, 0, 0, 2] = np.nan
    found = summarised(given)
    assert found["n_undefined_draws"].values.tolist() == [0, 2, 1]


@pytest.mark.parametrize("tail", TAILS)
def test_permutations_have_a_maximum_on_the_side_of_the_tail(rng, tail):
    scores = rng.standard_normal((3, 4)) * 0.2 + [[0.5], [-0.5], [0.1]]
    null = rng.standard_normal((19, 3)) * [0.2, 0.3, 0.4]
    null[4] = 0.0
    given = result_of(scores, alternative=tail, permutation_estimate=(("permutation", "model"), null))
    found = summarised(given)
    own = scores.mean(axis=1)
    everything = np.concatenate([null, own[None]])
    # The observed scores count as one draw each.
    expected = [
        p_of(value, everything[:, m], "greater" if tail == "two-sided" else tail)
        for m, value in enumerate(own)
    ]
    if tail == "two-sided":
        below = [p_of(value, everything[:, m], "less") for m, value in enumerate(own)]
        expected = np.minimum(1.0, 2 * np.minimum(expected, below))
    np.testing.assert_allclose(found["permutation_p"], expected, rtol=1e-12)
    side = {"greater": lambda x: x, "less": lambda x: -x, "two-sided": np.abs}[tail]
    largest = side(null).max(axis=1)
    np.testing.assert_allclose(
        found["permutation_p_max"], [(1 + (largest >= side(value)).sum()) / 20 for value in own], rtol=1e-12
    )
    assert found.attrs["n_permutations"] == 19


@pytest.mark.parametrize("bootstrap", BOOTSTRAPS)
def test_each_kind_of_sample_draws_its_own_factor_and_keeps_the_other(rng, bootstrap):
    truth = rng.random(45)
    data = truth + rng.random((4, 45))
    parts = [Part("fixed", truth[None]), Part("fixed", rng.random((1, 45)))]
    run = Resampling(parts, data, "pearson", (2, 1), 2, "best", True)
    drawn = draw(3, first=0, seed=3, sizes=(4, 10), resampled=bootstrap, folds=(2, 1), n_repeats=2)
    found = run.resampled(drawn, bootstrap, False)
    shares, counts = drawn.shares(), drawn.counts()
    kinds = BOOTSTRAPS if bootstrap == "both" else (bootstrap,)
    assert found["kind"].values.tolist() == list(kinds)
    for i, r, (at, kind) in itertools.product(range(3), range(2), enumerate(kinds)):
        expected = held_out(
            parts,
            data,
            np.ones(10, dtype=int) if kind == "subject" else counts[i],
            np.ones(4, dtype=int) if kind == "stimulus" else shares[i],
            (drawn.subject_order[i, r], drawn.stimulus_order[i, r]),
            (2, 1),
            "pearson",
        )
        np.testing.assert_allclose(found["draw_estimate"][i, r, at], expected[0], rtol=1e-12)
        np.testing.assert_allclose(found["draw_ceiling"][i, r, at], expected[1], rtol=1e-12)

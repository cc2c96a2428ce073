"""Tests of whole maps against slow loops over patterns of signs and against scipy."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import xarray as xr
from scipy import stats as scipy_stats

from neuroalign import stats
from neuroalign.errors import InvalidValueError, ShapeError
from neuroalign.stats import maps as module

ORIENTED = {"greater": lambda t: t, "less": np.negative, "two-sided": np.abs}


def labelled(values):
    names = [f"s{i}" for i in range(len(values))]
    dims = ("subject", "neuroid") if values.ndim == 2 else ("subject", "model", "neuroid")
    return xr.DataArray(values, dims=dims, coords={"subject": names})


def t_of(values):
    return scipy_stats.ttest_1samp(values, 0.0, axis=0, nan_policy="omit").statistic


def slow(values, tail, statistic):
    """p of each place and p of the maximum, over all patterns of signs."""
    take = ORIENTED[tail]
    score = t_of if statistic == "t" else (lambda v: np.nanmean(v, axis=0))
    observed = take(np.asarray(score(values)))
    signs = itertools.product([1.0, -1.0], repeat=len(values))
    drawn = np.array([take(np.asarray(score(values * np.array(s)[:, None]))) for s in signs])
    largest = drawn.max(axis=1)
    slack = 1e-9 * np.abs(observed)
    p = (drawn >= observed - slack).mean(axis=0)
    return p, np.array([(largest >= one - s).mean() for one, s in zip(observed, slack, strict=True)])


@pytest.fixture
def scores():
    rng = np.random.default_rng(5)
    return rng.standard_normal((6, 7)) * rng.uniform(0.3, 3, 7) + np.array([1.5, 0, 0, 0.4, -1.0, 0, 0])


@pytest.mark.parametrize("statistic", ["t", "mean"])
@pytest.mark.parametrize("tail", ["greater", "less", "two-sided"])
def test_p_is_that_of_a_slow_loop_over_all_signs(scores, statistic, tail):
    found = stats.map_tests(labelled(scores), statistic=statistic, tail=tail)
    np.testing.assert_allclose(found["t"], t_of(scores), rtol=1e-10)
    np.testing.assert_allclose(found["mean"], scores.mean(axis=0), rtol=1e-12)
    p, p_max = slow(scores, tail, statistic)
    np.testing.assert_allclose(found["p_max"], p_max, rtol=1e-12)
    if tail != "two-sided":
        np.testing.assert_allclose(found["p"], p, rtol=1e-12)
    assert (found["n_subjects"] == 6).all()


def test_subjects_without_a_score_are_left_out_where_they_have_none(scores):
    scores[1, 2] = scores[4, 2] = scores[:5, 3] = np.nan
    found = stats.map_tests(labelled(scores))
    assert found["n_subjects"].values.tolist() == [6, 6, 4, 1, 6, 6, 6]
    columns = [one[~np.isnan(one)] for one in scores.T]
    expected = [t_of(one) if len(one) > 1 else np.nan for one in columns]
    np.testing.assert_allclose(found["t"], expected, rtol=1e-10)
    assert np.isnan(found["p"].values).tolist() == [i == 3 for i in range(7)]
    assert found.attrs["n_undefined"] == 1
    assert np.isnan(found["p_max"].values).tolist() == [i == 3 for i in range(7)]


def test_a_place_where_all_scores_are_0_is_undefined_and_one_where_all_agree_is_infinite(scores):
    scores[:, 0], scores[:, 1] = 0.0, 2.5
    found = stats.map_tests(labelled(scores))
    assert np.isnan(found["t"][0]) and np.isinf(found["t"][1])
    assert float(found["p"][1]) == 1 / 2**6
    assert float(found["p_max"][1]) == 1 / 2**6


@pytest.mark.parametrize("n_held", [1, 64, 130, 10**6])
def test_blocks_of_places_change_nothing(scores, monkeypatch, n_held):
    whole = stats.map_tests(labelled(scores))
    monkeypatch.setattr(module, "N_HELD", n_held)
    xr.testing.assert_allclose(stats.map_tests(labelled(scores)), whole, rtol=1e-12)


def test_many_subjects_need_draws_and_every_block_sees_the_same(monkeypatch):
    scores = np.random.default_rng(1).standard_normal((14, 9)) + 0.4
    with pytest.raises(InvalidValueError):
        stats.map_tests(labelled(scores))
    whole = stats.map_tests(labelled(scores), n=400, rng=np.random.default_rng(3))
    exact = slow_fraction(scores)
    np.testing.assert_allclose(whole["p"], exact, atol=4 * np.sqrt(0.25 / 400))
    assert set(np.round(whole["p"].values * 401).tolist()) <= set(range(1, 402))
    monkeypatch.setattr(module, "N_HELD", 1000)
    parts = stats.map_tests(labelled(scores), n=400, rng=np.random.default_rng(3))
    xr.testing.assert_allclose(parts, whole, rtol=1e-12)
    np.testing.assert_array_equal(parts["p_max"], whole["p_max"])


def slow_fraction(scores):
    signs = np.array(list(itertools.product([1.0, -1.0], repeat=len(scores))))
    return (signs @ scores >= scores.sum(axis=0) - 1e-9).mean(axis=0)


def test_every_label_of_another_dim_is_a_family_of_its_own(scores):
    other = scores[:, ::-1] * 2 - 0.5
    both = labelled(np.stack([scores, other], axis=1))
    found = stats.map_tests(both)
    for i, one in enumerate((scores, other)):
        xr.testing.assert_allclose(
            found.isel(model=i).drop_vars("model", errors="ignore"), stats.map_tests(labelled(one))
        )


def test_chance_is_taken_off_and_two_subjects_are_the_fewest(scores):
    xr.testing.assert_allclose(
        stats.map_tests(labelled(scores + 0.25), chance=0.25), stats.map_tests(labelled(scores))
    )
    assert stats.map_tests(labelled(scores[:2]))["p"].values.min() >= 1 / 4
    with pytest.raises(ShapeError, match="maps need at least 2 of 'subject'; got 1"):
        stats.map_tests(labelled(scores[:1]))
    with pytest.raises(InvalidValueError, match="chance must be finite; got nan"):
        stats.map_tests(labelled(scores), chance=np.nan)
    with pytest.raises(ShapeError, match=r"maps must be a DataArray with the dims 'subject' and 'neuroid'"):
        stats.map_tests(scores)


@pytest.mark.parametrize(
    ("n", "level", "place"),
    [(19, 0.05, 0), (39, 0.05, 1), (38, 0.05, 0), (18, 0.05, None), (99, 0.29, 28), (4, 0.5, 1)],
)
def test_the_threshold_of_a_map_is_a_largest_statistic_of_its_draws(n, level, place):
    rng = np.random.default_rng(n)
    largest = rng.permutation(2 * n).reshape(n, 2).astype(float)
    tests = stats.BlockTests(np.zeros((1, 2)), np.ones((1, 2)), np.ones((1, 2)), largest)
    found = tests.threshold(level)
    if place is None:
        assert found == [np.inf, np.inf]
        return
    assert found == np.sort(largest, axis=0)[::-1][place].tolist()
    for i, bar in enumerate(found):
        above, at = (stats.p_value(value, largest[:, i]) for value in (bar + 0.5, bar))
        assert above <= level + 1e-9 < at


def test_at_a_level_of_one_any_value_passes():
    largest = np.arange(8.0).reshape(4, 2)
    tests = stats.BlockTests(np.zeros((1, 2)), np.ones((1, 2)), np.ones((1, 2)), largest)
    assert tests.threshold(1.0) == [-np.inf, -np.inf]
    # Just below 1 the smallest statistic of all draws is the bar.
    assert tests.threshold(0.99) == [0.0, 1.0]


def by_blocks(places, cuts, n_items, **options):
    """Tests of maps whose statistic is the correlation of an order with places (k, m, n_items)."""
    blocks = np.split(places, cuts)
    return stats.block_tests(
        [lambda order, block=block: block[..., order] @ np.arange(n_items) for block in blocks],
        n_items,
        permute=lambda rng: rng.permutation(n_items),
        **options,
    )


@pytest.mark.parametrize("tail", ["greater", "less", "two-sided"])
@pytest.mark.parametrize("cuts", [[], [2], [1, 4]])
def test_tests_of_blocks_are_those_of_a_slow_loop(tail, cuts):
    places = np.random.default_rng(0).standard_normal((5, 2, 6)) * np.arange(1, 6)[:, None, None] - 0.3
    places[3, 1] = np.nan
    found = by_blocks(places, cuts, 6, n=29, rng=np.random.default_rng(1), tail=tail)
    rng = np.random.default_rng(1)
    orders = [rng.permutation(6) for _ in range(29)]
    observed = places @ np.arange(6.0)
    drawn = np.array([places[..., order] @ np.arange(6.0) for order in orders])
    np.testing.assert_allclose(found.observed, observed)
    take = ORIENTED[tail]
    largest = np.nanmax(take(drawn), axis=1)
    np.testing.assert_allclose(found.largest, largest)
    for i, j in np.ndindex(5, 2):
        if (i, j) == (3, 1):
            assert np.isnan([found.p[i, j], found.p_max[i, j]]).all()
            continue
        one, null = observed[i, j], drawn[:, i, j]
        up, down = (1 + (null >= one).sum()) / 30, (1 + (null <= one).sum()) / 30
        p = {"greater": up, "less": down, "two-sided": min(1, 2 * min(up, down))}[tail]
        assert found.p[i, j] == pytest.approx(p)
        assert found.p_max[i, j] == pytest.approx((1 + (largest[:, j] >= take(one)).sum()) / 30)


def test_blocks_leave_the_generator_where_one_block_leaves_it():
    places = np.random.default_rng(0).standard_normal((4, 1, 5))
    ends = []
    for cuts in ([], [1, 3]):
        rng = np.random.default_rng(2)
        by_blocks(places, cuts, 5, n=7, rng=rng)
        ends.append(rng.random())
    assert ends[0] == ends[1]
    with pytest.raises(ShapeError, match="at least one block of places; got none"):
        stats.block_tests([], 5, n=7, permute=lambda rng: rng.permutation(5), rng=np.random.default_rng(0))
    with pytest.raises(InvalidValueError, match="tail must be one of"):
        by_blocks(places, [], 5, n=7, rng=np.random.default_rng(0), tail="both")


@pytest.mark.parametrize("statistic", ["t", "mean"])
@pytest.mark.parametrize("scale", [1e-9, 1e9])
def test_the_unit_of_scores_changes_no_test(scores, statistic, scale):
    scores[2, 5] = np.nan
    scores[:, 6] = [0.1, -0.1, 0.1, 0.1, -0.1, 0.1]  # one pattern of signs makes all of them the same
    one = stats.map_tests(labelled(scores), statistic=statistic)
    other = stats.map_tests(labelled(scale * scores), statistic=statistic)
    np.testing.assert_allclose(other["mean"], scale * one["mean"])
    for name in ("t", "p", "p_fdr", "p_max"):
        np.testing.assert_allclose(other[name], one[name], rtol=1e-9)


@pytest.mark.parametrize("statistic", ["t", "mean"])
@pytest.mark.parametrize("n_held", [1, 200, 10**6])
def test_a_place_without_a_test_is_in_no_maximum(scores, statistic, n_held, monkeypatch):
    monkeypatch.setattr(module, "N_HELD", n_held)
    without = np.delete(scores, 3, axis=1)
    scores[1:, 3] = np.nan
    found, rest = (stats.map_tests(labelled(x), statistic=statistic) for x in (scores, without))
    for name in ("mean", "t", "p", "p_fdr", "p_max"):
        np.testing.assert_allclose(np.delete(found[name].values, 3), rest[name], rtol=1e-12)
        assert np.isnan(found[name].values[3])
    none = stats.map_tests(labelled(np.full((3, 1), np.nan)), statistic=statistic)
    assert all(np.isnan(none[name].values).all() for name in ("mean", "t", "p", "p_fdr", "p_max"))
    assert none["n_subjects"].values.tolist() == [0]


def test_two_subjects_have_the_t_of_two():
    found = stats.map_tests(labelled(np.array([[1.0, -2.0, 5.0], [3.0, 4.0, 5.0]])))
    # Means 2, 1, 5; deviations sqrt(2) and sqrt(18) over sqrt(2).
    np.testing.assert_allclose(found["t"], [2 / 1, 1 / 3, np.inf])
    # Of four patterns the data's own is the greatest of the first place, 3 - 1 comes after 3 + 1.
    np.testing.assert_allclose(found["p"], [1 / 4, 1 / 2, 1 / 4])
    small = stats.map_tests(labelled(np.full((2, 1), 1e-200)))
    assert np.isnan(small["t"]).all()  # squares underflow


def test_thirteen_subjects_are_drawn_and_twelve_are_not():
    values = np.random.default_rng(9).standard_normal((13, 2)) + 0.5
    twelve = stats.map_tests(labelled(values[:12]), n=5, rng=np.random.default_rng(0))
    assert np.round(twelve["p"].values * 2**12, 9).tolist() == np.round(twelve["p"].values * 2**12).tolist()
    thirteen = stats.map_tests(labelled(values), n=5, rng=np.random.default_rng(0))
    assert set(np.round(thirteen["p"].values * 6, 9).tolist()) <= {1, 2, 3, 4, 5, 6}
    with pytest.raises(InvalidValueError, match="13 subjects have more patterns"):
        stats.map_tests(labelled(values), n=5)


@pytest.mark.parametrize(("n_subjects", "n_draws"), [(4, 15), (12, 4095), (13, 30)])
def test_no_more_is_held_than_is_allowed_and_no_less(n_subjects, n_draws, monkeypatch):
    held = []

    def counted(values, **options):
        null = stats.sign_flips(values, **options)
        held.append(null.shape)
        return null

    monkeypatch.setattr(module, "sign_flips", counted)
    monkeypatch.setattr(module, "N_HELD", 2 * n_draws)
    values = np.random.default_rng(0).standard_normal((n_subjects, 5))
    stats.map_tests(labelled(values), n=30, rng=np.random.default_rng(0))
    assert held == [(n_draws, 2), (n_draws, 2), (n_draws, 1)]

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

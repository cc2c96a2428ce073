"""Diagnostics: edges, ties and gaps by a slow loop over alphas, conditioning by hand, constant columns."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import xarray as xr
from sklearn.base import BaseEstimator
from sklearn.linear_model import LinearRegression

from neuroalign.encoding.diagnostics import diagnostics
from neuroalign.encoding.ridge import AlphaEdgeWarning, RidgeCV
from neuroalign.errors import InvalidValueError, ShapeError

ALPHAS = [0.1, 1.0, 10.0, 100.0, 1000.0]


def make(n=60, p=4, t=12, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p))
    return X, X @ rng.standard_normal((p, t)) * np.linspace(0, 2, t) + rng.standard_normal((n, t))


def diagnose(model, X, Y, **options):
    return diagnostics(model, X, Y, edge_tolerance=1.0, **options)


def test_edges_and_gaps_equal_a_slow_loop_over_the_alphas():
    X, Y = make()
    found = diagnose(RidgeCV(ALPHAS, edge_tolerance=1.0), X, Y)
    scores = np.stack([RidgeCV([alpha], edge_tolerance=1.0).fit(X, Y).cv_scores_ for alpha in ALPHAS])
    ordered = np.sort(scores, axis=0)
    np.testing.assert_allclose(found.gap, ordered[-1] - ordered[-2], atol=1e-12)
    np.testing.assert_allclose(found.cv_score, ordered[-1], atol=1e-12)
    best = scores.argmax(axis=0)
    np.testing.assert_array_equal(found.alpha, np.array(ALPHAS)[best])
    np.testing.assert_array_equal(found.edge, 1 * (best == 4) - 1 * (best == 0))
    assert found.attrs["edge_share_low"] == (best == 0).mean()
    assert found.attrs["edge_share_high"] == (best == 4).mean()
    assert not found.tied.any()


def test_a_fitted_model_is_taken_as_it_is_and_an_unfitted_one_stays_so():
    X, Y = make()
    model = RidgeCV(ALPHAS, edge_tolerance=1.0)
    fresh = diagnose(model, X, Y)
    assert not hasattr(model, "alpha_")
    xr.testing.assert_identical(diagnose(model.fit(X, Y), X, Y), fresh)
    with pytest.raises(ShapeError, match="fitted to 4 features and 12 targets; X and Y have 4 and 3"):
        diagnose(model, X, Y[:, :3])


def test_alphas_next_to_each_other_are_tied():
    X, Y = make()
    near = [1.0, 1.0 + 1e-9, 100.0]
    found = diagnose(RidgeCV(near, edge_tolerance=1.0), X, Y)
    low = found.alpha.values < 50
    assert found.tied.values[low].all()
    assert found.attrs["tie_share"] == found.tied.values.mean()
    without = diagnose(RidgeCV(near, edge_tolerance=1.0), X, Y, tie_tolerance=None)
    assert "tied" not in without
    assert "tie_share" not in without.attrs


def test_one_warning_names_the_shares_at_both_edges():
    X, Y = make()
    with pytest.warns(
        AlphaEdgeWarning, match=r"of 12 targets 100% chose the smallest .*\(1000\) and 0% the"
    ) as said:
        diagnostics(RidgeCV([1e3, 1e4, 1e5], edge_tolerance=0.5), X, X @ np.ones((4, 12)))
    assert len(said) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = diagnostics(RidgeCV([10.0]), X, Y)
    assert not found.edge.any()
    assert np.isnan(found.gap).all()


def test_conditioning_by_hand():
    X = np.kron(np.ones((5, 1)), np.array([[1.0, 1, 7], [1, -1, 7], [-1, 1, 7], [-1, -1, 7]])) * [
        10.0,
        0.5,
        1,
    ]
    Y = np.random.default_rng(0).standard_normal((20, 2))
    options = {"tie_tolerance": None}
    found = diagnose(RidgeCV(ALPHAS, edge_tolerance=1.0), X, Y, **options)
    assert found.attrs["condition_number"] == pytest.approx(20)
    assert found.attrs["rank"] == 2
    assert found.constant_feature.values.tolist() == [False, False, True]
    assert found.attrs["n_constant_features"] == 1
    twice = diagnose(RidgeCV(ALPHAS, edge_tolerance=1.0), np.concatenate([X, X[:, :1]], axis=1), Y, **options)
    assert twice.attrs["rank"] == 2
    off = X + np.array([100, 0, 0])
    centred = diagnose(RidgeCV(ALPHAS, edge_tolerance=1.0), off, Y, **options)
    raw = diagnose(RidgeCV(ALPHAS, edge_tolerance=1.0, fit_intercept=False), off, Y, **options)
    assert centred.attrs["condition_number"] == pytest.approx(20)
    expected = np.linalg.cond(off[:, :2])
    assert raw.attrs["condition_number"] == pytest.approx(expected)


def test_a_constant_target_is_counted_and_has_no_say_in_the_shares():
    X, Y = make()
    Y[:, 3] = 0.1
    found = diagnose(RidgeCV(ALPHAS, edge_tolerance=1.0), X, Y)
    assert found.constant_target.values.nonzero()[0].tolist() == [3]
    assert found.attrs["n_constant_targets"] == found.attrs["n_undefined"] == 1
    assert found.edge[3] == 0
    assert np.isnan(found.gap[3])
    assert not found.tied[3]
    rest = diagnose(RidgeCV(ALPHAS, edge_tolerance=1.0), X, np.delete(Y, 3, axis=1))
    for share in ("edge_share_low", "edge_share_high", "tie_share"):
        assert found.attrs[share] == rest.attrs[share]
    nothing = diagnose(RidgeCV(ALPHAS, edge_tolerance=1.0), X, Y[:, 3])
    assert np.isnan(nothing.attrs["edge_share_low"])


def test_labels_come_along():
    X, Y = make(t=2)
    times = {"time": 1.0 * np.arange(60)}
    x = xr.DataArray(X, dims=("time", "unit"), coords=times | {"band": ("unit", list("aabb"))})
    y = xr.DataArray(
        Y, dims=("time", "neuroid"), coords=times | {"neuroid": ["u", "v"], "roi": ("neuroid", ["A", "B"])}
    )
    found = diagnose(RidgeCV(ALPHAS, edge_tolerance=1.0), x, y, tie_tolerance=None)
    assert found.band.dims == ("feature",)
    assert found.sel(neuroid="v").roi == "B"


def test_what_cannot_be_diagnosed_is_refused():
    X, Y = make()
    with pytest.raises(InvalidValueError, match="grid 'alphas', such as RidgeCV; got a LinearRegression"):
        diagnostics(LinearRegression(), X, Y)
    with pytest.raises(ShapeError, match="same rows; got 60 and 59"):
        diagnostics(RidgeCV(), X, Y[1:])


class Scored(BaseEstimator):
    """Has the scores of a table, a row an alpha; a tie goes to the larger alpha."""

    def __init__(self, alphas, table=None, fit_intercept=True):
        self.alphas, self.table, self.fit_intercept = alphas, table, fit_intercept

    def fit(self, X, Y):
        alphas = sorted(self.alphas, reverse=True)
        scores = np.array([self.table[alpha] for alpha in alphas])
        best = np.argmax(np.where(np.isnan(scores), -np.inf, scores), axis=0)
        self.alpha_, self.cv_scores_ = np.array(alphas)[best], scores[best, np.arange(len(best))]
        return self


TABLE = {
    1.0: [0.5, 0.25, np.nan, -1.0, 0.0],
    2.0: [0.25, 0.25, np.nan, -0.5, -4.0],
    4.0: [-1.0, 0.0, np.nan, -3.0, 0.0],
}


@pytest.mark.parametrize(("tolerance", "tied"), [
    (0.0, [False, True, False, False, True]),
    (0.4999, [False, True, False, False, True]),
    (0.5, [True, True, False, True, True]),
])  # fmt: skip
def test_gaps_and_ties_by_hand(tolerance, tied):
    X, Y = make(t=5)
    found = diagnose(Scored([1.0, 2.0, 4.0], TABLE), X, Y, tie_tolerance=tolerance)
    np.testing.assert_array_equal(found.gap, [0.25, 0.0, np.nan, 0.5, 0.0])
    assert found.tied.values.tolist() == tied
    assert found.alpha.values.tolist() == [1.0, 2.0, 4.0, 2.0, 4.0]
    assert found.edge.values.tolist() == [-1, 0, 0, 0, 1]
    assert found.attrs["tie_share"] == sum(tied) / 4
    assert (found.attrs["edge_share_low"], found.attrs["edge_share_high"]) == (0.25, 0.25)
    assert found.attrs["n_undefined"] == 1


def test_one_alpha_has_no_edge_and_no_gap():
    X, Y = make(t=5)
    found = diagnostics(Scored([1.0], TABLE), X, Y, edge_tolerance=0.0)
    assert found.edge.values.tolist() == [0] * 5
    assert np.isnan(found.gap).all()
    assert not found.tied.any()


@pytest.mark.parametrize(("tolerance", "warned"), [(0.5, False), (0.4999, True)])
def test_a_share_of_just_the_tolerance_at_the_edges_is_not_warned_of(tolerance, warned):
    X, Y = make(t=5)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        diagnostics(Scored([1.0, 2.0, 4.0], TABLE), X, Y, edge_tolerance=tolerance, tie_tolerance=None)
    assert [str(each.message)[:52] for each in caught] == [
        "of 4 targets 25% chose the smallest alpha of the gri"
    ] * warned


@pytest.mark.parametrize(("least", "rank"), [(4, 1), (8, 1), (8.000001, 2), (64, 2)])
def test_the_rank_counts_singular_values_above_the_larger_size_times_rounding(least, rank):
    X = np.zeros((8, 2))
    X[0, 0], X[1, 1] = 2.0, 2 * least * np.finfo(float).eps
    found = diagnose(Scored([1.0], TABLE, fit_intercept=False), X, make(8, t=5)[1], tie_tolerance=None)
    assert found.attrs["rank"] == rank
    assert found.attrs["condition_number"] == pytest.approx(1 if rank == 1 else X[0, 0] / X[1, 1])


@pytest.mark.parametrize(("intercept", "condition"), [(True, 3.0), (False, 3 * np.sqrt(26))])
def test_conditioning_is_of_the_features_that_are_fitted(intercept, condition):
    # Columns of deviations 3 and 1; the mean of the first is 5 times its deviation, the last is constant.
    signs = np.array([[1.0, 1.0], [-1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]])
    X = np.column_stack([3 * (signs[:, 0] + 5), signs[:, 1], np.full(4, 7.0)])
    found = diagnose(Scored([1.0], TABLE, fit_intercept=intercept), X, make(4, t=5)[1], tie_tolerance=None)
    assert (found.attrs["rank"], found.attrs["n_constant_features"]) == (2, 1)
    assert found.attrs["condition_number"] == pytest.approx(condition)

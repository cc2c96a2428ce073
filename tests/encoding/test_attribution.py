"""Product measure and variance partitioning: sums, closed forms, himalaya as an oracle, undefined values."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.neighbors import KNeighborsRegressor

from neuroalign import stats
from neuroalign.encoding import RidgeCV, contiguous_splits, evaluate
from neuroalign.encoding.attribution import product_measure, split_scores
from neuroalign.encoding.banded import BandedRidgeCV
from neuroalign.encoding.bands import take_bands, with_bands
from neuroalign.encoding.partitioning import union_scores, variance_partitioning
from neuroalign.encoding.stacking import StackingCV
from neuroalign.errors import InvalidValueError, LabelError, NeuroalignError, ShapeError

N = 80
SPLITS = contiguous_splits(N, 4)
MODELS = {
    "ridge": RidgeCV([1.0, 10.0], edge_tolerance=1),
    "banded": BandedRidgeCV([1.0, 10.0], n_candidates=2, edge_tolerance=1),
    "stacking": StackingCV(Ridge()),
}


@pytest.fixture
def X(rng):
    bands = ["sound", "sound", "words", "words", "words", "layer"]
    return xr.DataArray(
        rng.standard_normal((N, 6)) + 1,
        dims=("time", "feature"),
        coords={"time": 2.0 * np.arange(N), "band": ("feature", bands)},
    )


@pytest.fixture
def Y(X, rng):
    values = X.values @ rng.standard_normal((6, 4)) + rng.standard_normal((N, 4)) + 7
    coords = {"time": X.time, "neuroid": list("pqrs"), "roi": ("neuroid", ["L", "L", "R", "R"])}
    return xr.DataArray(values, dims=("time", "neuroid"), coords=coords)


@pytest.mark.parametrize("metric", ["r2", "pearson"])
@pytest.mark.parametrize("name", list(MODELS))
def test_contributions_and_offset_sum_to_the_score_of_evaluate(name, metric, X, Y):
    found = split_scores(MODELS[name], X, Y, splits=SPLITS, metric=metric)
    joint = evaluate(with_bands(MODELS[name], X), X, Y, splits=SPLITS, metric=metric)
    np.testing.assert_allclose(found["joint"], joint, atol=1e-12)
    total = found["contribution"].sum("band") + found["offset"]
    np.testing.assert_allclose(total, joint, atol=1e-12)
    assert found["band"].values.tolist() == ["sound", "words", "layer"]
    assert found["roi"].values.tolist() == ["L", "L", "R", "R"]
    assert found.attrs["n_undefined"] == 0
    assert (found["offset"] <= 0).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(["r2", "pearson"]), st.floats(-3.0, 3.0))
def test_parts_of_any_sizes_sum_to_the_score(seed, metric, intercept):
    rng = np.random.default_rng(seed)
    parts = rng.standard_normal((4, 20, 3)) * rng.uniform(0.1, 5, (4, 1, 3)) + rng.standard_normal((4, 1, 3))
    y = parts.sum(axis=0) + rng.standard_normal((20, 3))
    shares, offset = product_measure(y, parts, intercept=intercept, metric=metric)
    expected = stats.SCORES[metric](y, parts.sum(axis=0) + intercept)
    np.testing.assert_allclose(shares.sum(axis=0) + offset, expected, atol=1e-9)


def test_contributions_equal_himalayas_split_scores(rng):
    from himalaya.backend import set_backend
    from himalaya.scoring import correlation_score_split, r2_score_split

    set_backend("numpy")
    parts = rng.standard_normal((3, 50, 6))
    parts -= parts.mean(axis=1, keepdims=True)
    y = parts.sum(axis=0) + rng.standard_normal((50, 6))
    y -= y.mean(axis=0)
    np.testing.assert_allclose(product_measure(y, parts)[0], r2_score_split(y, parts), atol=1e-12)
    np.testing.assert_allclose(
        product_measure(y, parts, metric="pearson")[0], correlation_score_split(y, parts), atol=1e-12
    )


def test_parts_without_correlation_contribute_their_own_score(rng):
    basis = np.linalg.qr(np.column_stack([np.ones(30), rng.standard_normal((30, 3))]))[0][:, 1:]
    parts = basis.T[:2, :, None] * np.array([3.0, 1.0])[:, None, None]
    y = parts.sum(axis=0) + 2.0 * basis[:, 2:]
    shares, offset = product_measure(y, parts)
    np.testing.assert_allclose(shares[:, 0], [9 / 14, 1 / 14], atol=1e-12)
    np.testing.assert_allclose(offset, 0, atol=1e-12)


def test_a_wrong_mean_costs_the_offset_and_no_band():
    y = np.array([[1.0], [-1.0], [3.0], [-3.0]])
    right, none = product_measure(y, y[None])
    shares, offset = product_measure(y, y[None], intercept=2.0)
    np.testing.assert_allclose([right[0], none], [[1.0], [0.0]], atol=1e-12)
    np.testing.assert_allclose(shares, right)
    np.testing.assert_allclose(offset, [-4 * 2.0**2 / 20])


def test_undefined_split_scores_are_nan_and_counted(X, Y):
    constant = Y.copy(deep=True)
    constant[SPLITS[1][1], 2] = 4.2
    for metric in ("r2", "pearson"):
        found = split_scores(RidgeCV([1.0]), X, constant, splits=SPLITS, metric=metric)
        assert found.attrs["n_undefined"] == 1
        assert np.isnan(found["contribution"][1, :, 2]).all()
        assert np.isnan(found["offset"][1, 2])
        assert int(np.isnan(found["contribution"]).sum()) == 3


def test_split_scores_ignore_the_order_of_rows_and_features(X, Y, rng):
    expected = split_scores(RidgeCV([1.0]), X, Y, splits=SPLITS)
    moved = X.isel(time=rng.permutation(N), feature=rng.permutation(6))
    found = split_scores(RidgeCV([1.0]), moved, Y.isel(time=rng.permutation(N)), splits=SPLITS)
    np.testing.assert_allclose(
        found["contribution"].sel(band=expected["band"]), expected["contribution"], atol=1e-10
    )


def test_blocks_of_targets_change_no_contribution(X, Y, monkeypatch):
    whole = split_scores(RidgeCV([1.0]), X, Y, splits=SPLITS)
    monkeypatch.setattr("neuroalign.encoding.attribution.BLOCK", 3)
    xr.testing.assert_allclose(split_scores(RidgeCV([1.0]), X, Y, splits=SPLITS), whole)


def test_what_has_no_split_scores_is_refused(X, Y):
    with pytest.raises(NeuroalignError, match=r"KNeighborsRegressor has no coef_.*union_scores"):
        split_scores(KNeighborsRegressor(), X, Y, splits=SPLITS)
    with pytest.raises(InvalidValueError, match="metric must be one of 'r2', 'pearson'"):
        split_scores(Ridge(), X, Y, splits=SPLITS, metric="mse")
    with pytest.raises(LabelError, match="bands are unknown"):
        split_scores(Ridge(), X.drop_vars("band"), Y, splits=SPLITS)
    with pytest.raises(ShapeError, match="parts must be"):
        product_measure(np.zeros((3, 2)), np.zeros((2, 3, 1)))
    scattered = [(np.arange(0, N, 2), np.arange(1, N, 2))]
    with pytest.raises(InvalidValueError, match="scattered in time"):
        split_scores(Ridge(), X, Y, splits=scattered)


@pytest.mark.parametrize("name", list(MODELS))
def test_the_score_of_a_union_is_that_of_its_features_alone(name, X, Y):
    found = union_scores(MODELS[name], X, Y, splits=SPLITS)
    assert found["union"].values.tolist() == [
        "sound",
        "words",
        "layer",
        "sound + words",
        "sound + layer",
        "words + layer",
        "sound + words + layer",
    ]
    part = take_bands(X, ["sound", "layer"])
    alone = evaluate(with_bands(MODELS[name], part), part, Y, splits=SPLITS, metric="r2")
    np.testing.assert_allclose(found.sel(union="sound + layer"), alone, atol=1e-12)
    assert found.dims == ("union", "fold", "neuroid")
    assert found["roi"].values.tolist() == ["L", "L", "R", "R"]


def test_components_sum_to_the_joint_score_and_are_averages_of_folds(X, Y):
    scores = union_scores(Ridge(), X, Y, splits=SPLITS)
    found = variance_partitioning(scores)
    np.testing.assert_allclose(found["variance"].sum("component"), found["joint"], atol=1e-12)
    np.testing.assert_allclose(found["joint"], scores.sel(union="sound + words + layer"), atol=1e-12)
    averaged = variance_partitioning(scores.mean("fold"))
    np.testing.assert_allclose(averaged["variance"], found["variance"].mean("fold"), atol=1e-12)
    pooled = union_scores(Ridge(), X, Y, splits=SPLITS, convention="pooled")
    assert variance_partitioning(pooled)["variance"].dims == ("component", "neuroid")


def regions(n_bands, seed=0):
    """Return the R2 of every union of sets, like areas of a diagram, and that of every overlap."""
    rng = np.random.default_rng(seed)
    names = list("abcd")[:n_bands]
    cells = [tuple(n for i, n in enumerate(names) if code >> i & 1) for code in range(1, 2**n_bands)]
    area = {cell: rng.uniform(0, 0.1, 3) for cell in cells}
    unions = {" + ".join(u): sum(area[c] for c in cells if set(c) & set(u)) for u in cells}
    return unions, area


@pytest.mark.parametrize("n_bands", [2, 3, 4])
def test_overlaps_of_sets_are_recovered(n_bands):
    unions, area = regions(n_bands)
    found = variance_partitioning(unions)
    for cell, expected in area.items():
        got = found["variance"].sel(component=" & ".join(cell))
        np.testing.assert_allclose(got, expected, atol=1e-12)
        member = found["member"].values[list(found["component"].values).index(" & ".join(cell))]
        assert [n for n, inside in zip(found["band"].values, member, strict=True) if inside] == list(cell)
    assert found.attrs["n_negative"] == 0


def test_three_bands_equal_the_formulas_written_out():
    a, b, c, ab, ac, bc, abc = 0.30, 0.25, 0.20, 0.40, 0.38, 0.35, 0.45
    found = variance_partitioning(
        {"b + a": ab, "a": a, "b": b, "c": c, "a + c": ac, "b + c": bc, "a + b + c": abc}
    )
    get = lambda name: float(found["variance"].sel(component=name))  # noqa: E731
    assert get("a") == pytest.approx(abc - bc)
    assert get("b") == pytest.approx(abc - ac)
    assert get("c") == pytest.approx(abc - ab)
    assert get("a & b") == pytest.approx(ac + bc - c - abc)
    assert get("a & c") == pytest.approx(ab + bc - b - abc)
    assert get("b & c") == pytest.approx(ab + ac - a - abc)
    assert get("a & b & c") == pytest.approx(a + b + c - ab - ac - bc + abc)
    assert float(found["joint"]) == abc


def test_least_squares_on_all_rows_has_a_closed_form(rng):
    common, own_a, own_b, noise = np.linalg.qr(np.column_stack([np.ones(40), rng.standard_normal((40, 4))]))[
        0
    ].T[1:]
    X = {"a": np.column_stack([common, own_a]), "b": np.column_stack([common, own_b])}
    X["a + b"] = np.column_stack([common, own_a, own_b])
    y = (2 * common + 1 * own_a + 3 * own_b + np.sqrt(6) * noise)[:, None]
    scores = {name: stats.r2(y, LinearRegression().fit(x, y).predict(x)) for name, x in X.items()}
    found = variance_partitioning(scores)["variance"].values[:, 0]
    np.testing.assert_allclose(found, [1 / 20, 9 / 20, 4 / 20], atol=1e-12)


def test_a_suppressor_has_negative_shared_variance_that_is_kept():
    found = variance_partitioning({"a": 0.3, "b": 0.0, "a + b": 0.5})
    assert found["variance"].values.round(12).tolist() == [0.5, 0.2, -0.2]
    assert found.attrs["n_negative"] == 1


def test_undefined_unions_are_nan_and_counted(X, Y):
    constant = Y.copy(deep=True)
    constant[SPLITS[1][1], 2] = 4.2
    scores = union_scores(Ridge(), X, constant, splits=SPLITS)
    assert scores.attrs["n_undefined"] == 7
    found = variance_partitioning(scores)
    assert found.attrs["n_undefined"] == 1
    assert int(np.isnan(found["variance"]).sum()) == 7


def test_what_is_no_set_of_unions_is_refused(X, Y):
    with pytest.raises(LabelError, match=r"scores of 1 unions are missing: 'a \+ b'"):
        variance_partitioning({"a": 0.1, "b": 0.2})
    with pytest.raises(LabelError, match="scores hold 4 unions of 2 bands; 3 were expected"):
        variance_partitioning({"a": 0.1, "b": 0.2, "a + b": 0.3, "b + a": 0.3})
    with pytest.raises(ShapeError, match="between 2 to 4 bands; got 1"):
        variance_partitioning({"a": 0.1})
    with pytest.raises(ShapeError, match="scores differ in shape"):
        variance_partitioning({"a": [0.1], "b": [0.2], "a + b": 0.3})
    with pytest.raises(InvalidValueError, match="metric must be one of 'r2', 'explained_variance'"):
        union_scores(Ridge(), X, Y, splits=SPLITS, metric="pearson")
    with pytest.raises(ShapeError, match="between 2 to 4 bands; got 6"):
        union_scores(Ridge(), X.assign_coords(band=("feature", list("abcdef"))), Y, splits=SPLITS)
    bad = X.assign_coords(band=("feature", ["a & b", "c"] * 3))
    with pytest.raises(LabelError, match="must not hold"):
        union_scores(Ridge(), bad, Y, splits=SPLITS)


def test_scores_without_unions_and_scores_that_cannot_be_split_are_refused():
    with pytest.raises(ShapeError, match="at least 2 feature spaces; got none"):
        variance_partitioning({})
    with pytest.raises(
        ShapeError, match=r"labels along 'union', or a mapping of union to scores; got \('union',\)"
    ):
        variance_partitioning(xr.DataArray([0.1, 0.2, 0.3], dims="union"))
    with pytest.raises(ShapeError, match="a mapping of union to scores; got list"):
        variance_partitioning([0.1, 0.2, 0.3])
    with pytest.raises(InvalidValueError, match=r"metric must be one of .*; got 'spearman'"):
        product_measure([[1.0], [2.0]], [[[1.0], [2.0]]], metric="spearman")


def test_a_constant_prediction_explains_nothing_and_has_no_correlation():
    y = np.array([[0.0], [2.0], [4.0]])
    parts = np.stack([np.ones((3, 1)), np.full((3, 1), 0.5)])
    shares, offset = product_measure(y, parts, intercept=1.5)
    assert (shares.tolist(), offset.tolist()) == ([[0.0], [0.0]], [-3 / 8])
    shares, offset = product_measure(y, parts, intercept=1.5, metric="pearson")
    assert np.isnan(shares).all()
    assert np.isnan(offset).all()


@pytest.mark.parametrize("metric", ["r2", "pearson"])
def test_a_constant_target_has_no_score_to_split(metric):
    y = np.array([[1.0, 0.0], [1.0, 2.0], [1.0, 4.0]])
    shares, offset = product_measure(y, y[None] * [1.0, 0.5] + [0.0, 1.0], metric=metric)
    assert np.isnan(shares).tolist() == [[True, False]]
    assert np.isnan(offset).tolist() == [True, False]
    # Halves of the deviations -2, 0, 2: 1 less the squares of 1, 0 and 1 over 8; the means agree.
    assert shares[0, 1] == pytest.approx({"r2": 0.75, "pearson": 1.0}[metric])
    assert offset[1] == 0.0

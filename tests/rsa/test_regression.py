"""Partial correlation, regression and variance partitioning of RDMs."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression

from neuroalign import datasets
from neuroalign.errors import InvalidValueError, LabelError, ShapeError
from neuroalign.rsa.regression import partial_compare, regress, variance_partition
from neuroalign.schema import align, make_rdm

NAMES = [f"s{i}" for i in range(9)]
N_PAIRS = 36
GROUPS = {"a": ["m0"], "b": ["m1", "m2"], "c": ["m3"]}


def make(values, dim="subject", letter="u"):
    coords = {dim: [f"{letter}{i}" for i in range(len(values))]}
    return make_rdm(np.asarray(values), NAMES, dims=[dim], coords=coords)


@pytest.fixture
def models(rng):
    values = rng.random((4, N_PAIRS))
    values[1] += values[0]  # correlated, as models are
    return make(values, "model", "m")


@pytest.fixture
def data(models, rng):
    mixed = np.array([[1.0, 2, 0, 0.5], [0, 1, 1, 1], [2, -1, 0, 0]]) @ models.values
    return make(mixed + rng.random((3, N_PAIRS)))


def slow_r2(x, y):
    design = np.column_stack([np.ones(len(y)), *x])
    rest = y - design @ np.linalg.pinv(design) @ y
    return 1 - rest @ rest / ((y - y.mean()) @ (y - y.mean()))


@pytest.mark.parametrize(("method", "theirs"), [("pearson", "partial"), ("spearman", "partial-spearman")])
def test_partial_correlation_equals_mne_rsa(models, data, method, theirs):
    mne_rsa = pytest.importorskip("mne_rsa", reason="mne-rsa is not installed")

    expected = mne_rsa.rsa(list(data.values), list(models.values), metric=theirs)
    np.testing.assert_allclose(partial_compare(models, data, method), np.transpose(expected), atol=1e-10)


@pytest.mark.parametrize("method", ["pearson", "spearman"])
def test_partial_correlation_is_that_of_residuals(models, data, method):
    turn = scipy.stats.rankdata if method == "spearman" else np.asarray

    def rest(y, others):
        design = np.column_stack([np.ones(N_PAIRS), *(turn(x) for x in others)])
        return turn(y) - design @ np.linalg.lstsq(design, turn(y), rcond=None)[0]

    found = partial_compare(models, data, method)
    for i in range(4):
        others = np.delete(models.values, i, axis=0)
        for j in range(3):
            expected = np.corrcoef(rest(models.values[i], others), rest(data.values[j], others))[0, 1]
            assert float(found[i, j]) == pytest.approx(expected, abs=1e-10)


def test_partial_correlation_of_three_by_the_formula(models, data):
    r = np.corrcoef(np.vstack([models.values[:2], data.values[:1]]))
    expected = (r[0, 2] - r[0, 1] * r[1, 2]) / np.sqrt((1 - r[0, 1] ** 2) * (1 - r[1, 2] ** 2))
    assert float(partial_compare(models[:2], data, "pearson")[0, 0]) == pytest.approx(expected, abs=1e-12)
    held = partial_compare(models[:1], data, "pearson", given=models[1:2])
    assert float(held[0, 0]) == pytest.approx(expected, abs=1e-12)


def test_a_model_that_adds_nothing_to_those_held_fixed_is_undefined(models, data):
    found = partial_compare(models[:2], data, "pearson", given=models[1:3])
    assert np.isfinite(found[0]).all()
    assert np.isnan(found[1]).all()
    assert found.attrs["n_undefined"] == 3


@pytest.mark.parametrize("ranks", [False, True])
def test_regression_equals_scikit_learn(models, data, ranks):
    x, y = models.values, data.values
    if ranks:
        x, y = (scipy.stats.rankdata(rows, axis=1) for rows in (x, y))
    for non_negative in (False, True):
        found = regress(models, data, non_negative=non_negative, ranks=ranks)
        for j, target in enumerate(y):
            fit = LinearRegression(positive=non_negative).fit(x.T, target)
            np.testing.assert_allclose(found["weight"][:, j], fit.coef_, atol=1e-8)
            assert float(found["intercept"][j]) == pytest.approx(fit.intercept_, abs=1e-7)
            assert float(found["r2"][j]) == pytest.approx(fit.score(x.T, target), abs=1e-10)
    assert (found["weight"] >= 0).all()
    assert (found["weight"] == 0).any()


def test_regression_equals_mne_rsa(models, data):
    mne_rsa = pytest.importorskip("mne_rsa", reason="mne-rsa is not installed")

    expected = mne_rsa.rsa(list(data.values), list(models.values), metric="regression")
    np.testing.assert_allclose(regress(models, data)["weight"], np.transpose(expected), atol=1e-10)


@pytest.mark.parametrize("non_negative", [False, True])
def test_non_negative_regression_meets_its_optimality_conditions(models, data, non_negative):
    found = regress(models, data, non_negative=non_negative)
    x = models.values - models.values.mean(axis=1, keepdims=True)
    rest = data.values - data.values.mean(axis=1, keepdims=True) - found["weight"].values.T @ x
    slope = x @ rest.T
    active = found["weight"].values > 0 if non_negative else np.ones(slope.shape, dtype=bool)
    np.testing.assert_allclose(slope[active], 0, atol=1e-10)
    assert (slope[~active] <= 1e-10).all()


@given(scale=st.floats(1e-6, 1e6), shift=st.floats(-10, 10))
@settings(max_examples=20, deadline=None)
def test_weights_follow_the_scale_of_a_model_and_r2_does_not(scale, shift):
    rng = np.random.default_rng(0)
    x, y = make(rng.random((2, N_PAIRS)), "model", "m"), make(rng.random((2, N_PAIRS)))
    before, after = regress(x, y), regress(x * [[scale], [1.0]] + [[shift * scale], [0.0]], y)
    np.testing.assert_allclose(after["weight"] * [[scale], [1.0]], before["weight"], rtol=1e-6)
    np.testing.assert_allclose(after["r2"], before["r2"], atol=1e-9)


def test_shares_of_variance_are_those_of_inclusion_and_exclusion_by_hand(models, data):
    found = variance_partition(models, data, GROUPS)
    sets = {"a": [0], "b": [1, 2], "c": [3]}
    for j, y in enumerate(data.values):

        def r2(letters, y=y):
            return slow_r2([models.values[k] for g in letters for k in sets[g]], y) if letters else 0.0

        abc = r2("abc")
        expected = {
            "a": abc - r2("bc"),
            "b": abc - r2("ac"),
            "c": abc - r2("ab"),
            "a & b": r2("ac") + r2("bc") - r2("c") - abc,
            "a & c": r2("ab") + r2("bc") - r2("b") - abc,
            "b & c": r2("ab") + r2("ac") - r2("a") - abc,
            "a & b & c": r2("a") + r2("b") + r2("c") - r2("ab") - r2("ac") - r2("bc") + abc,
        }
        for name, value in expected.items():
            assert float(found["variance"].sel(component=name)[j]) == pytest.approx(value, abs=1e-10)
        assert float(found["r2"].sel(union="a + b + c")[j]) == pytest.approx(abc, abs=1e-10)


@pytest.mark.parametrize("options", [{}, {"ranks": True}, {"non_negative": True}])
def test_components_add_up_to_every_union(models, data, options):
    found = variance_partition(models, data, GROUPS, **options)
    for union in found["union"].values:
        inside = found["member"].sel(group=union.split(" + ")).any("group")
        np.testing.assert_allclose(
            found["variance"].where(inside, 0).sum("component"), found["r2"].sel(union=union), atol=1e-10
        )


def test_a_suppressor_gives_negative_shared_variance(rng):
    # The second model is the noise of the first and no part of the data: together they explain everything,
    # apart .5 and 0, so that .5 + 0 - 1 is what they share.
    z = np.linalg.qr(rng.standard_normal((N_PAIRS, 3)) - 0)[0].T
    z = np.linalg.qr((z - z.mean(axis=1, keepdims=True)).T)[0].T
    models = make([z[0] + z[1], z[1]], "model", "m")
    found = variance_partition(models, make(z[:1]), {"model": ["m0"], "noise": ["m1"]})
    np.testing.assert_allclose(found["variance"][:, 0], [1.0, 0.5, -0.5], atol=1e-12)


def test_collinear_models_share_everything_and_are_named(models, data):
    twice = xr.concat([models, models[:1].assign_coords(model=["copy"])], "model")
    found = variance_partition(twice, data, {"one": ["m0", "m1"], "other": ["copy"]})
    assert found.attrs["collinear"] == "m0, copy"
    np.testing.assert_allclose(found["variance"].sel(component="other"), 0, atol=1e-12)
    assert variance_partition(models, data, GROUPS).attrs["collinear"] == ""


@pytest.mark.parametrize("call", [regress, partial_compare])
def test_collinear_and_constant_models_are_refused_by_name(models, data, call):
    third = (models[0] + 2 * models[2]).expand_dims(model=["sum"])
    with pytest.raises(
        InvalidValueError, match=r"models: 3 of 5 RDMs.*'m0', 'm2', 'sum'. Leave some out"
    ) as e:
        call(
            xr.concat([models, third], "model"),
            data,
            **({"method": "pearson"} if call is partial_compare else {}),
        )
    assert "'m1'" not in str(e.value)
    constant = models.copy(deep=True)
    constant[3] = 2.0
    with pytest.raises(InvalidValueError, match=r"models: 1 of 4 RDMs are constant.*: 'm3'"):
        call(constant, data)


CALLS = {
    "partial": lambda models, data: partial_compare(models, data, "spearman"),
    "weight": lambda models, data: regress(models, data)["weight"],
    "r2": lambda models, data: regress(models, data, non_negative=True, ranks=True)["r2"].expand_dims("x"),
    "variance": lambda models, data: variance_partition(models, data, GROUPS)["variance"],
}


@pytest.mark.parametrize("call", list(CALLS))
def test_stimulus_order_never_matters(models, data, rng, call):
    order = make_rdm(np.zeros(N_PAIRS), rng.permutation(NAMES))
    expected = CALLS[call](models, data)
    np.testing.assert_allclose(CALLS[call](align(order, models)[1], data), expected, atol=1e-10)
    np.testing.assert_allclose(CALLS[call](models, align(order, data)[1]), expected, atol=1e-10)


@pytest.mark.parametrize("call", list(CALLS))
def test_a_nan_in_one_subject_changes_nothing_in_another(models, data, call):
    missing = data.copy(deep=True)
    missing[1, [3, 8]] = np.nan
    before, found = CALLS[call](models, data), CALLS[call](models, missing)
    np.testing.assert_allclose(found[:, [0, 2]], before[:, [0, 2]], atol=1e-12)
    everyone = CALLS[call](models.where(missing[1].notnull().values), data)
    np.testing.assert_allclose(found[:, 1], everyone[:, 1], atol=1e-12)


@pytest.mark.parametrize("call", list(CALLS))
def test_a_constant_subject_is_undefined_and_counted(models, data, call):
    constant = data.copy(deep=True)
    constant[1] = 0.5
    found = CALLS[call](models, constant)
    assert np.isnan(found[:, 1]).all()
    assert np.isfinite(found[:, [0, 2]]).all()
    assert regress(models, constant).attrs["n_undefined"] == 1
    assert variance_partition(models, constant, GROUPS).attrs["n_undefined"] == 1
    assert partial_compare(models, constant).attrs["n_undefined"] == 4


@pytest.mark.parametrize("call", list(CALLS))
def test_nothing_is_edited(models, data, call):
    before = models.copy(deep=True), data.copy(deep=True)
    CALLS[call](models, data)
    xr.testing.assert_identical(models, before[0])
    xr.testing.assert_identical(data, before[1])


def test_fewer_pairs_than_models_are_undefined(models, data):
    missing = data.copy(deep=True)
    missing[0, 4:] = np.nan
    found = regress(models, missing)
    assert np.isnan(found["r2"][0])
    assert found["n_pairs"].values.tolist() == [4, N_PAIRS, N_PAIRS]
    assert np.isnan(variance_partition(models, missing, GROUPS)["variance"][:, 0]).all()


def test_another_dim_than_subject_may_be_asked_for(models, data):
    layers = data.rename(subject="layer")
    assert regress(models, layers, over="layer")["weight"].dims == ("model", "layer")
    assert partial_compare(models, layers, over="layer").dims == ("model", "layer")
    with pytest.raises(ShapeError, match=r"data must have dims \('subject', 'pair'\)"):
        regress(models, layers)


def test_groups_that_are_none_are_refused(models, data):
    with pytest.raises(LabelError, match="no model is called 'z'; there are 'm0', 'm1'"):
        variance_partition(models, data, {"a": ["m0"], "b": ["z"]})
    with pytest.raises(LabelError, match="'m0' is named more than once"):
        variance_partition(models, data, {"a": ["m0"], "b": ["m0", "m1"]})
    with pytest.raises(ShapeError, match="2 to 8 non-empty sets"):
        variance_partition(models, data, {"a": ["m0"]})
    with pytest.raises(ShapeError, match="2 to 8 non-empty sets"):
        variance_partition(models, data, {"a": ["m0"], "b": []})
    with pytest.raises(ShapeError, match="second model to hold fixed"):
        partial_compare(models[:1], data)
    with pytest.raises(InvalidValueError, match="method must be one of 'pearson', 'spearman'; got 'tau-a'"):
        partial_compare(models, data, "tau-a")


def test_animacy_explains_human_it_beyond_early_vision(data_root):
    models = datasets.load("kriegeskorte92", what="models", root=data_root)
    human = datasets.load("kriegeskorte92", what="human_it", root=data_root).mean("session")
    names = models.model.values.tolist()
    found = variance_partition(models, human, {"animacy": [names[0]], "vision": names[4:]})
    x = models.values
    expected = [slow_r2(x[[0, *range(4, 8)]], y) - slow_r2(x[4:], y) for y in human.values]
    np.testing.assert_allclose(found["variance"].sel(component="animacy"), expected, atol=1e-10)
    alone = found["variance"].mean("subject")
    assert float(alone.sel(component="animacy")) > 3 * float(alone.sel(component="vision"))


# Limits and units


def test_three_pairs_are_enough_for_one_model_and_two_are_not(data):
    x = np.full(N_PAIRS, np.nan)
    x[[2, 5, 30]] = [1.0, 2.0, 4.0]
    model = make(x[None], "model", "m")
    y = data.copy(deep=True)
    y[0, [2, 5, 30]] = [1.0, 3.0, 2.0]
    y[1, 5] = np.nan
    found = regress(model, y)
    # Deviations (-4, -1, 5) / 3 and (-1, 1, 0): weight (3 / 3) / (42 / 9), r2 (3 / 3)^2 / (42 / 9 * 2).
    assert float(found["weight"][0, 0]) == pytest.approx(9 / 42, rel=1e-12)
    assert float(found["intercept"][0]) == pytest.approx(2 - 9 / 42 * 7 / 3, rel=1e-12)
    assert float(found["r2"][0]) == pytest.approx(9 / 84, rel=1e-12)
    assert found["n_pairs"].values.tolist() == [3, 0, 3]
    assert np.isnan(found["weight"][0, 1]) and found.attrs["n_undefined"] == 1


@pytest.mark.parametrize("scale", [1e-9, 1e-6, 1e9])
@pytest.mark.parametrize("method", ["pearson", "spearman"])
def test_a_partial_correlation_has_no_unit(models, data, method, scale):
    expected = partial_compare(models, data, method)
    np.testing.assert_allclose(partial_compare(models, data * scale, method), expected, rtol=1e-8)
    np.testing.assert_allclose(partial_compare(models * scale, data, method), expected, rtol=1e-8)


def test_a_model_that_is_a_sum_of_those_held_fixed_is_undefined_in_any_unit(models, data):
    total = (2 * models[:1] + models[2:3].values).assign_coords(model=["sum"])
    held = models[[0, 2]]
    for scale in (1e-9, 1.0, 1e9):
        assert np.isnan(partial_compare(total * scale, data, "pearson", given=held)).all()
        near = total + 1e-5 * models[3:4].values
        found = partial_compare(near * scale, data, "pearson", given=held)
        np.testing.assert_allclose(
            found, partial_compare(models[3:4], data, "pearson", given=held), rtol=1e-4, atol=1e-9
        )


def test_pairs_that_the_fixed_model_lacks_are_left_out(models, data):
    held = models[1:2].copy(deep=True)
    held[0, [0, 7, 9]] = np.nan
    found = partial_compare(models[:1], data, "pearson", given=held)
    keep = held.notnull().values[0]
    expected = partial_compare(models[:1].where(keep), data.where(keep), "pearson", given=models[1:2])
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    r = np.corrcoef(np.vstack([models.values[:2, keep], data.values[:1, keep]]))
    by_hand = (r[0, 2] - r[0, 1] * r[1, 2]) / np.sqrt((1 - r[0, 1] ** 2) * (1 - r[1, 2] ** 2))
    assert float(found[0, 0]) == pytest.approx(by_hand, abs=1e-12)


@pytest.mark.parametrize("row", [0.5, 0.7])
@pytest.mark.parametrize("non_negative", [False, True])
def test_a_constant_model_explains_nothing_and_is_named(models, data, non_negative, row):
    x = models.copy(deep=True)
    x[0] = row
    groups = {"nothing": ["m0"], "some": ["m1", "m3"]}
    found = variance_partition(x, data, groups, non_negative=non_negative)
    assert found.attrs["collinear"] == "m0"
    np.testing.assert_allclose(found["r2"].sel(union="nothing"), 0.0, atol=1e-12)
    np.testing.assert_allclose(found["r2"].sel(union="nothing + some"), found["r2"].sel(union="some"))


@pytest.mark.parametrize("scale", [1e-9, 1e9])
@pytest.mark.parametrize("non_negative", [False, True])
def test_shares_of_variance_have_no_unit(models, data, non_negative, scale):
    expected = variance_partition(models, data, GROUPS, non_negative=non_negative)["r2"]
    for x, y in ((models * scale, data), (models, data * scale)):
        found = variance_partition(x, y, GROUPS, non_negative=non_negative)["r2"]
        np.testing.assert_allclose(found, expected, rtol=1e-8)


def test_r2_of_nonnegative_weights_by_hand():
    from neuroalign.rsa.linear_models import least_squares, r2_of

    x, y = (
        np.array([[1.0, -1, 0, 0], [0, 0, 3, -3]]),
        np.array([[2.0, -2, -1, 1], [3, 3, 3, 3], [5, 3, 9, 3]]),
    )
    # Free, weights 2 and -1/3 leave nothing; not negative, the second is 0 and leaves 2 of 10. The third row
    # is (0, -2, 4, -2) about its mean: weights 1 and 1, and (-1, -1, 1, 1) is left, 4 of 24.
    np.testing.assert_allclose(r2_of(x, y, False), [1.0, np.nan, 1 - 4 / 24], atol=1e-14)
    np.testing.assert_allclose(r2_of(x, y, True), [0.8, np.nan, 1 - 4 / 24], atol=1e-14)
    centred = y - y.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(least_squares(x, centred, True), [[2, 0], [0, 0], [1, 1]], atol=1e-14)
    np.testing.assert_allclose(least_squares(x, centred, False), [[2, -1 / 3], [0, 0], [1, 1]], atol=1e-14)


def test_as_many_models_as_pairs_are_dependent_only_where_they_are():
    from neuroalign.rsa.linear_models import collinear, dependent

    rows = np.array([[1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    assert dependent(rows[:3]).tolist() == [False] * 3
    assert dependent(rows).tolist() == [True] * 4  # about their means they sum to 0
    assert dependent(np.vstack([rows[:2], rows[:1], rows[2:3]])).tolist() == [True, False, True, False]
    assert dependent(np.vstack([rows[:2], np.full(4, 2.0)])).tolist() == [False, False, True]
    assert dependent(np.vstack([rows, [1, 5, 2, 7]])).all()
    lacking = np.where(np.eye(3, 4, 1) > 0, np.nan, rows[:3])
    assert collinear(lacking, ranks=False).tolist() == [True, True, True]
    assert collinear(np.full((2, 4), np.nan), ranks=True).tolist() == [False, False]

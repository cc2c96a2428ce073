"""Models with parameters: closed forms, optimisers, rsatoolbox, held-out scores by a slow loop, leakage."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.optimize
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from neuroalign.errors import InvalidValueError, LabelError, ShapeError
from neuroalign.rsa import models as kinds
from neuroalign.rsa.compare import compare, compare_rows
from neuroalign.rsa.folds import Part, held_out
from neuroalign.rsa.inference import infer
from neuroalign.rsa.weighted import sample_scores
from neuroalign.schema import make_rdm, square

N_STIMULI, N_SUBJECTS = 14, 6
NAMES = [f"s{i}" for i in range(N_STIMULI)]
N_PAIRS = N_STIMULI * (N_STIMULI - 1) // 2
LINEAR = ("cosine", "pearson", "whitened-cosine", "whitened-pearson")
ONES = np.ones(N_STIMULI, dtype=int)


def parts_of(values, labels="pqrstu"):
    return make_rdm(values, NAMES, dims=["component"], coords={"component": list(labels[: len(values)])})


@pytest.fixture
def components():
    return parts_of(np.random.default_rng(1).random((3, N_PAIRS)))


@pytest.fixture
def data(components):
    rng = np.random.default_rng(2)
    truth = np.array([2.0, 1.0, 0.0]) @ components.values
    rows = truth + 0.5 * rng.random((N_SUBJECTS, N_PAIRS))
    return make_rdm(rows, NAMES, dims=["subject"], coords={"subject": list("abcdef")})


def mean_score(weights, components, data, method):
    return compare_rows((weights @ components.values)[None], data.values, method).mean()


@pytest.mark.parametrize("method", LINEAR)
def test_free_weights_maximise_the_mean_score(components, data, method):
    weights = kinds.fit(kinds.weighted(components, "w", nonnegative=False), data, method)
    best = mean_score(weights.values, components, data, method)
    loss = lambda w: -mean_score(w, components, data, method)  # noqa: E731
    found = scipy.optimize.minimize(
        loss, np.ones(3), method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-13}
    )
    assert best == pytest.approx(-found.fun, abs=1e-7)


@pytest.mark.parametrize("method", LINEAR)
def test_nonnegative_weights_are_the_best_of_those(components, data, method):
    negative = parts_of(np.concatenate([components.values[:2], 2.0 - data.values.mean(axis=0)[None]]))
    weights = kinds.fit(kinds.weighted(negative, "w"), data, method).values
    assert (weights >= 0).all()
    best = mean_score(weights, negative, data, method)
    for other in np.random.default_rng(0).dirichlet(np.ones(3), size=200):
        assert mean_score(other, negative, data, method) <= best + 1e-12


@pytest.mark.parametrize(("method", "theirs"), [("cosine", "cosine"), ("pearson", "corr")])
def test_weights_are_those_of_rsatoolbox(components, data, method, theirs):
    from rsatoolbox.model import ModelWeighted
    from rsatoolbox.model.fitter import fit_regress, fit_regress_nn
    from rsatoolbox.rdm import RDMs

    peer = ModelWeighted("w", components.values)
    for nonnegative, fitter in ((False, fit_regress), (True, fit_regress_nn)):
        expected = fitter(peer, RDMs(data.values), method=theirs)
        found = kinds.fit(kinds.weighted(components, "w", nonnegative=nonnegative), data, method).values
        np.testing.assert_allclose(found / np.linalg.norm(found), expected, atol=1e-9)


@pytest.mark.parametrize("method", ["cosine", "whitened-pearson"])
def test_interpolation_finds_the_best_place_on_the_line(components, data, method):
    weights = kinds.fit(kinds.interpolated(components, "i"), data, method).values
    assert weights.sum() == pytest.approx(1.0)
    assert (weights > 0).sum() <= 2
    assert weights[0] == 0 or weights[2] == 0
    best = mean_score(weights, components, data, method)
    for i in range(2):
        for t in np.linspace(0, 1, 101):
            other = np.zeros(3)
            other[i], other[i + 1] = 1 - t, t
            assert mean_score(other, components, data, method) <= best + 1e-12


@pytest.mark.parametrize("method", ["spearman", "tau-a", "cosine", "bures"])
def test_select_takes_the_rdm_with_the_best_mean_score(components, data, method):
    weights = kinds.fit(kinds.select(components, "s"), data, method).values
    means = compare_rows(components.values, data.values, method).mean(axis=1)
    assert weights.tolist() == np.eye(3)[np.nanargmax(means)].tolist() if np.isfinite(means).any() else True


@given(st.integers(0, 10_000))
def test_scaling_a_component_scales_its_weight(seed):
    rng = np.random.default_rng(seed)
    rows, subjects = rng.random((3, N_PAIRS)), rng.random((2, N_PAIRS))
    scales = np.array([1.0, 10.0, 0.01])
    for kind in ("weighted", "nonnegative"):
        one = kinds.fit_rows(kind, rows, subjects, ONES, np.ones(2), "pearson")
        other = kinds.fit_rows(kind, rows * scales[:, None], subjects, ONES, np.ones(2), "pearson")
        np.testing.assert_allclose(one, other * scales, atol=1e-9)


@pytest.mark.parametrize("kind", ["select", "weighted", "nonnegative", "interpolated"])
@pytest.mark.parametrize("method", ["whitened-cosine", "spearman"])
def test_weights_do_not_know_what_is_left_out(components, data, kind, method):
    rng = np.random.default_rng(3)
    counts = np.where(np.arange(N_STIMULI) < 9, rng.integers(1, 3, N_STIMULI), 0)
    shares = np.array([1, 2, 1, 0, 0, 1])
    i, j = np.triu_indices(N_STIMULI, 1)
    unseen = (counts[i] == 0) | (counts[j] == 0)
    fitted = kinds.fit_rows(kind, components.values, data.values, counts, shares, method)
    other = data.values.copy()
    other[:, unseen] = rng.random((N_SUBJECTS, unseen.sum())) * 100
    other[[3, 4]] = rng.random((2, N_PAIRS)) * 100
    elsewhere = components.values.copy()
    elsewhere[:, unseen] = -7.0
    again = kinds.fit_rows(kind, elsewhere, other, counts, shares, method)
    np.testing.assert_array_equal(fitted, again)


def slow_held_out(part, data, counts, shares, orders, folds, method):
    """Return the mean held-out score by copying rows and stimuli, without a weight anywhere."""

    def split(order, drawn, k):
        present = [i for i in order if drawn[i]]
        if k == 1:
            return [(present, present)]
        return [([p for n, p in enumerate(present) if n % k != i], present[i::k]) for i in range(k)]

    def restrict(rows, items):
        index = np.repeat(sorted(items), counts[sorted(items)])
        full = square(rows, diagonal=np.nan)[:, index][:, :, index]
        return full[:, *np.triu_indices(len(index), 1)]

    means = []
    for train, test in split(orders[1], counts, folds[1]):
        for own, left in split(orders[0], shares, folds[0]):
            seen = restrict(data[np.repeat(sorted(own), shares[sorted(own)])], train)
            x, known = restrict(part.components, train), None
            known = ~np.isnan(x[0])
            x, y = x[:, known], seen[:, known]
            if method == "pearson":
                x, y = x - x.mean(axis=1, keepdims=True), y - y.mean(axis=1, keepdims=True)
            y = (y / np.linalg.norm(y, axis=1, keepdims=True)).mean(axis=0)
            weights = np.linalg.lstsq(x.T, y, rcond=None)[0]
            predicted = restrict((weights @ part.components)[None], test)
            target = restrict(data[np.repeat(sorted(left), shares[sorted(left)])], test)
            means.append(compare_rows(predicted, target, method).mean())
    return np.mean(means)


@pytest.mark.parametrize("method", ["cosine", "pearson"])
@pytest.mark.parametrize("folds", [(3, 1), (1, 2), (2, 2)])
def test_held_out_scores_are_those_of_a_slow_loop(components, data, method, folds):
    rng = np.random.default_rng(4)
    counts = np.bincount(rng.integers(N_STIMULI, size=N_STIMULI), minlength=N_STIMULI)
    shares = np.bincount(rng.integers(N_SUBJECTS, size=N_SUBJECTS), minlength=N_SUBJECTS)
    orders = rng.permutation(N_SUBJECTS), rng.permutation(N_STIMULI)
    part = Part("weighted", components.values)
    found, _, _ = held_out([part], data.values, counts, shares, orders, folds, method)
    expected = slow_held_out(part, data.values, counts, shares, orders, folds, method)
    assert found[0] == pytest.approx(expected, abs=1e-10)


def test_a_fixed_model_in_folds_over_subjects_scores_as_without(components, data):
    models = make_rdm(components.values, NAMES, dims=["model"], coords={"model": list("pqr")})
    found = infer(
        models, data, method="pearson", bootstrap=None, folds={"subject": 3}, rng=np.random.default_rng(0)
    )
    plain = infer(models, data, method="pearson", bootstrap=None)
    np.testing.assert_allclose(found["score"], plain["score"], atol=1e-12)
    np.testing.assert_allclose(found["estimate"], plain["estimate"], atol=1e-12)


def test_a_true_sum_comes_near_the_ceiling_and_noise_gains_nothing(components, data):
    rng = np.random.default_rng(5)
    noise = parts_of(rng.random((6, N_PAIRS)))
    found = infer(
        [kinds.weighted(components, "true"), kinds.weighted(noise, "noise", nonnegative=False),
         kinds.select(components, "select"), kinds.interpolated(components, "line"),
         kinds.fixed(components[0].drop_vars("component"), "one")],
        data, method="pearson", folds={"subject": 2, "stimulus": 2}, n=12, rng=rng,
    )  # fmt: skip
    estimate = found["estimate"].to_series()
    assert estimate["true"] > 0.95 * float(found["noise_ceiling"][0])
    assert estimate["noise"] < 0.2
    assert estimate["one"] <= estimate["true"]
    assert found["draw_estimate"].shape == (12, 2, 3, 5)
    assert float(found["zero_p"][0]) < 0.001


def test_rank_methods_score_the_fitted_sum(components, data):
    found = infer(
        [kinds.weighted(components, "sum")],
        data,
        method="spearman",
        bootstrap="subject",
        folds={"subject": 3},
        n=6,
        rng=np.random.default_rng(0),
    )
    assert float(found["estimate"][0]) > 0.8
    assert np.isfinite(found["draw_ceiling"]).all() or found["draw_ceiling"].isnull().sum() < 4


def test_in_sample_prediction_is_the_weighted_sum(components, data):
    model = kinds.weighted(components, "sum")
    weights = kinds.fit(model, data, "pearson")
    predicted = kinds.predict(model, weights)
    np.testing.assert_allclose(predicted, weights.values @ components.values)
    assert predicted.dims == ("pair",)
    assert float(compare(predicted, data, "pearson").mean()) > 0.8


def test_a_ridge_shrinks_and_a_huge_one_leaves_the_correlations(components, data):
    small, large = (
        kinds.fit(kinds.weighted(components, "w", nonnegative=False, ridge=r), data, "pearson").values
        for r in (0.0, 1e8)
    )
    assert np.linalg.norm(large) < 1e-6 * np.linalg.norm(small)
    centred = components.values - components.values.mean(axis=1, keepdims=True)
    y = data.values - data.values.mean(axis=1, keepdims=True)
    y = (y / np.linalg.norm(y, axis=1, keepdims=True)).mean(axis=0)
    slopes = centred @ y / (centred**2).sum(axis=1)
    np.testing.assert_allclose(large * 1e8, slopes, rtol=1e-6)


def test_fitted_models_are_refused_without_folds_with_gaps_and_in_permutations(components, data):
    rng, model = np.random.default_rng(0), kinds.select(components, "best")
    with pytest.raises(InvalidValueError, match="'best' have parameters: scores on the data"):
        infer([model], data, rng=rng)
    with pytest.raises(InvalidValueError, match="permutation tests are of fixed models; 'best' are fitted"):
        infer([model], data, rng=rng, folds={"subject": 2}, n_permutations=9)
    missing = data.copy(deep=True)
    missing[0, 0] = np.nan
    with pytest.raises(InvalidValueError, match="'best': fitting needs RDMs without missing pairs"):
        infer([model], missing, rng=rng, folds={"subject": 2})
    with pytest.raises(InvalidValueError, match="best: fitting needs RDMs without missing pairs"):
        kinds.fit(model, missing)


def test_models_of_the_wrong_make_are_refused(components, data):
    with pytest.raises(ShapeError, match=r"a fixed model is made of dims \('pair',\)"):
        kinds.fixed(components, "f")
    with pytest.raises(ShapeError, match=r"a select model is made of dims \('component', 'pair'\)"):
        kinds.select(components[0], "s")
    with pytest.raises(ShapeError, match="at least 2 RDMs; got 1"):
        kinds.interpolated(components[:1], "i")
    with pytest.raises(InvalidValueError, match="ridge must be at least 0"):
        kinds.weighted(components, "w", ridge=-1.0)
    with pytest.raises(LabelError, match=r"names come twice: \['x'\]"):
        infer([kinds.select(components, "x")] * 2, data)
    with pytest.raises(ShapeError, match="models must be RDMs"):
        infer([components], data)
    with pytest.raises(ShapeError, match=r"weights must be \(component: 3\)"):
        kinds.predict(kinds.select(components, "s"), xr.DataArray([1.0], dims=("component",)))


def test_the_order_of_a_models_stimuli_never_matters(components, data):
    order = np.random.default_rng(1).permutation(N_STIMULI)
    i, j = np.triu_indices(N_STIMULI, 1)
    moved = make_rdm(
        square(components.values)[:, order[i], order[j]], np.array(NAMES)[order], dims=["component"]
    )
    one = kinds.fit(kinds.weighted(components, "w"), data)
    np.testing.assert_allclose(one, kinds.fit(kinds.weighted(moved, "w"), data), atol=1e-12)
    found = [
        infer([kinds.weighted(c, "w")], data, method="pearson", bootstrap="subject", n=2,
              folds={"stimulus": 2}, rng=np.random.default_rng(0))["draw_estimate"].values
        for c in (components, moved)
    ]  # fmt: skip
    np.testing.assert_allclose(*found, atol=1e-12)


def test_a_sum_that_fits_nothing_has_no_score(data):
    against = parts_of(3.0 - data.values.mean(axis=0)[None])
    weights = kinds.fit(kinds.weighted(against, "w"), data, "pearson")
    assert weights.values.tolist() == [0.0]
    scores = sample_scores(weights.values[None] @ against.values, data.values, ONES, "pearson")
    assert np.isnan(scores).all()


def test_components_without_labels_are_weighted_by_position(components):
    bare = components.drop_vars("component")
    weights = xr.DataArray([2.0, 0.0, 1.0], dims="component")
    predicted = kinds.predict(kinds.weighted(bare, "sum"), weights)
    np.testing.assert_allclose(predicted, 2 * bare.values[0] + bare.values[2])


# Closed forms


FEW = ["s1", "s2", "s3"]


def few(values, dim="component"):
    return make_rdm(np.asarray(values, dtype=float), FEW, dims=[dim])


def few_fit(kind, rows, data, method="cosine", **options):
    return kinds.fit(getattr(kinds, kind)(few(rows), "m", **options), few(data, "subject"), method).values


def test_weights_by_hand():
    # The data have length 5, so their mean direction is (.6, .8, 0); components have lengths 2, 4 and 1.
    rows, data = [[2, 0, 0], [0, 4, 0], [0, 0, 1]], [[3, 4, 0], [6, 8, 0]]
    np.testing.assert_allclose(few_fit("weighted", rows, data), [0.3, 0.2, 0.0], atol=1e-14)
    assert few_fit("select", rows, data).tolist() == [0.0, 1.0, 0.0]


@pytest.mark.parametrize("ridge", [0.0, 0.25, 1.0])
@pytest.mark.parametrize("nonnegative", [False, True])
def test_a_ridge_by_hand(nonnegative, ridge):
    # Components of length 1 at right angles: each weight is divided by 1 + ridge, then by its length.
    found = few_fit("weighted", [[2, 0, 0], [0, 4, 0]], [[3, 4, 0]], ridge=ridge, nonnegative=nonnegative)
    np.testing.assert_allclose(found, np.array([0.3, 0.2]) / (1 + ridge), rtol=1e-12)


@pytest.mark.parametrize("ridge", [0.0, 0.1, 2.0])
def test_a_nonnegative_ridge_is_that_of_rows_added_to_the_design(components, data, ridge):
    x = components.values * np.array([[1.0], [-1.0], [3.0]])
    found = kinds.fit_rows("nonnegative", x, data.values, ONES, np.ones(6), "cosine", ridge)
    length = np.linalg.norm(x, axis=1)
    y = (data.values / np.linalg.norm(data.values, axis=1, keepdims=True)).mean(axis=0)
    design = np.concatenate([(x / length[:, None]).T, np.sqrt(ridge) * np.eye(3)])
    expected = scipy.optimize.nnls(design, np.concatenate([y, np.zeros(3)]))[0] / length
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
    assert (found[[0, 2]] > 0).all() and found[1] == 0


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([[4, 0, 0], [0, 2, 0]], [3 / 4, 4 / 2]),  # between the two, in the ratio of .6 to .8 of their units
        ([[0, 0, 1], [3, 4, 1]], [0, 1]),  # at the end of the line
        ([[3, 4, 0], [0, 0, 1]], [1, 0]),  # at its beginning
        ([[3, 4, 0], [3, 4, 0], [3, 4, 0]], [1, 0, 0]),  # the first of equal ones
        ([[0, 0, 1], [3, 4, 0], [3, 4, 0]], [0, 1, 0]),
        ([[1, 0, 0], [0, 0, 2], [4, 0, 0], [0, 2, 0]], [0, 0, 3 / 4, 4 / 2]),  # the best pair of neighbours
    ],
    ids=["between", "end", "beginning", "equal", "equal later", "neighbours"],
)
def test_the_best_place_between_two_by_hand(rows, expected):
    found = few_fit("interpolated", rows, [[3, 4, 0]])
    np.testing.assert_allclose(found, np.array(expected) / np.sum(expected), atol=1e-14)
    assert found.sum() == pytest.approx(1.0)


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
@pytest.mark.parametrize("kind", ["weighted", "interpolated"])
def test_weights_follow_the_unit_of_the_components_and_not_of_the_data(scale, kind):
    rows, data = np.array([[4.0, 1, 0], [0, 2, 1]]), np.array([[3.0, 4, 1], [3, 1, 1]])
    expected = few_fit(kind, rows, data)
    assert (expected > 0).all()
    of_rows = few_fit(kind, rows * scale, data)
    np.testing.assert_allclose(of_rows, expected / (scale if kind == "weighted" else 1), rtol=1e-7)
    np.testing.assert_allclose(few_fit(kind, rows, data * scale), expected, rtol=1e-7)


def test_a_constant_component_has_no_weight():
    rows, data = [[5, 5, 5], [1, 2, 3]], [[1, 2, 4]]
    # (1, 2, 3) has length sqrt 2 about its mean, and the correlation 3 / sqrt(2 * 14 / 3) with (1, 2, 4).
    r = 3 / np.sqrt(28 / 3)
    for nonnegative in (False, True):
        found = few_fit("weighted", rows, data, "pearson", nonnegative=nonnegative)
        np.testing.assert_allclose(found, [0.0, r / np.sqrt(2)], atol=1e-12)
    found = few_fit("interpolated", rows, data, "pearson")
    assert found[1] > 0 and found.sum() == pytest.approx(1.0)
    assert few_fit("select", rows, data, "pearson").tolist() == [0.0, 1.0]


def test_constant_components_alone_have_no_place_on_their_line():
    rows, data = [[5, 5, 5], [1, 1, 1]], [[1, 2, 4]]
    assert np.isnan(few_fit("interpolated", rows, data, "pearson")).all()
    assert np.isnan(few_fit("select", rows, data, "pearson")).all()
    for nonnegative in (False, True):
        found = few_fit("weighted", rows, data, "pearson", nonnegative=nonnegative)
        assert found.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("kind", ["select", "weighted", "nonnegative", "interpolated"])
def test_a_subject_who_was_not_drawn_may_lack_pairs(components, data, kind):
    missing = data.values.copy()
    missing[1, 4] = np.nan
    shares = np.array([1, 0, 2, 1, 0, 1])
    found = kinds.fit_rows(kind, components.values, missing, ONES, shares, "pearson")
    kept = np.repeat(data.values, shares, axis=0)
    expected = kinds.fit_rows(kind, components.values, kept, ONES, np.ones(5), "pearson")
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_missing_pairs_of_components_and_data_are_counted(components, data):
    x, y = components.copy(deep=True), data.copy(deep=True)
    x[0, :2], y[3, 5:8] = np.nan, np.nan
    with pytest.raises(InvalidValueError, match=r"5 are missing \(NaN\)"):
        kinds.fit(kinds.weighted(x, "w"), y)
    with pytest.raises(InvalidValueError, match=r"2 are missing \(NaN\)"):
        kinds.fit(kinds.weighted(x, "w"), data)


def test_the_fewest_components_that_a_model_takes(components):
    assert kinds.interpolated(components[:2], "i").rdms.sizes["component"] == 2
    assert kinds.fixed(components[:1], "f").rdms.dims == ("component", "pair")
    assert kinds.fixed(components[0], "f").rdms.sizes["component"] == 1
    with pytest.raises(
        ShapeError, match=r"made of dims \('pair',\); got \('component', 'pair'\) of \(2, 91\)"
    ):
        kinds.fixed(components[:2], "f")
    for kind in (kinds.select, kinds.weighted):
        assert kind(components[:1], "one").rdms.sizes["component"] == 1


@pytest.mark.parametrize(
    "weights", [xr.DataArray(np.ones(3), dims="weight"), xr.DataArray(np.ones(2), dims="component")]
)
def test_weights_of_another_shape_predict_nothing(components, weights):
    with pytest.raises(ShapeError, match=r"weights must be \(component: 3\)"):
        kinds.predict(kinds.weighted(components, "w"), weights)

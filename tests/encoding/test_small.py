"""Many small ridge problems: scikit-learn one by one and brute force as oracles, ways in, edges."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression, Ridge, RidgeCV

from neuroalign.encoding import AlphaEdgeWarning
from neuroalign.encoding.batches import LIMITS
from neuroalign.encoding.small import BatchedRidge
from neuroalign.errors import InvalidValueError, ShapeError

ALPHAS = np.logspace(-2, 4, 7)
SIZES = [12, 40, 5, 33, 13, 80, 3, 20, 21]


def make(sizes=SIZES, p=20, seed=0, noise=2.0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((90, p)) * np.linspace(0.5, 2, p) + 3
    rows = [rng.choice(90, size, replace=False) for size in sizes]
    weights = rng.standard_normal((len(sizes), p)) / np.sqrt(p)
    return (
        X,
        [X[r] @ w + noise * rng.standard_normal(len(r)) + 5 for r, w in zip(rows, weights, strict=True)],
        rows,
    )


def batched(alphas=ALPHAS, **kwargs):
    return BatchedRidge(alphas, edge_tolerance=1.0, **kwargs)


def brute_force(x, y, alpha, fit_intercept):
    """Return the R2 of predictions of each row by a fit to all others."""
    predictions = np.empty(len(y))
    for i in range(len(y)):
        rest = np.arange(len(y)) != i
        x_mean, y_mean = (x[rest].mean(axis=0), y[rest].mean()) if fit_intercept else (0.0, 0.0)
        left = x[rest] - x_mean
        weights = np.linalg.solve(left.T @ left + alpha * np.eye(x.shape[1]), left.T @ (y[rest] - y_mean))
        predictions[i] = (x[i] - x_mean) @ weights + y_mean
    return 1 - ((y - predictions) ** 2).sum() / ((y - y.mean()) ** 2).sum()


@pytest.mark.parametrize("p", [4, 20, 60], ids=["tall", "mixed", "wide"])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_leave_one_out_equals_brute_force(p, fit_intercept):
    X, Y, rows = make(p=p)
    alphas = np.array([0.01, 3.0, 1000.0])
    model = batched(alphas, fit_intercept=fit_intercept).fit(X, Y, rows=rows)
    np.testing.assert_array_equal(model.alphas_, alphas[::-1])
    slow = [
        [brute_force(X[r], y, alpha, fit_intercept) for alpha in model.alphas_]
        for r, y in zip(rows, Y, strict=True)
    ]
    np.testing.assert_allclose(model.scores_, slow, rtol=1e-8, atol=1e-8)
    np.testing.assert_array_equal(model.alpha_, model.alphas_[np.argmax(slow, axis=1)])
    np.testing.assert_allclose(model.cv_scores_, np.max(slow, axis=1), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("p", [4, 20, 60], ids=["tall", "mixed", "wide"])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_a_batch_equals_scikit_learn_one_by_one(p, fit_intercept):
    sizes = [12, 40, 7, 33, 13, 80, 20, 21]
    X, Y, rows = make(sizes, p=p)
    model = batched(fit_intercept=fit_intercept).fit(X, Y, rows=rows)
    predictions = model.predict(X)
    for c, (r, y) in enumerate(zip(rows, Y, strict=True)):
        theirs = RidgeCV(ALPHAS, fit_intercept=fit_intercept).fit(X[r], y)
        assert model.alpha_[c] == theirs.alpha_
        np.testing.assert_allclose(model.coef_[c], theirs.coef_, atol=1e-8)
        np.testing.assert_allclose(model.intercept_[c], theirs.intercept_, atol=1e-8)
        error = (1 - model.cv_scores_[c]) * y.var()
        assert error == pytest.approx(-theirs.best_score_, rel=1e-7)
        np.testing.assert_allclose(predictions[c], theirs.predict(X), atol=1e-8)


def test_a_fixed_alpha_is_taken_and_scored():
    X, Y, rows = make()
    model = BatchedRidge(3.0).fit(X, Y, rows=rows)
    assert (model.alpha_ == 3.0).all()
    assert model.edge_share_ == 0.0
    for c, (r, y) in enumerate(zip(rows, Y, strict=True)):
        np.testing.assert_allclose(model.coef_[c], Ridge(alpha=3.0).fit(X[r], y).coef_, atol=1e-9)
    assert model.cv_scores_[0] == pytest.approx(brute_force(X[rows[0]], Y[0], 3.0, True))


@pytest.mark.parametrize("sizes", [[15], [30]], ids=["wide", "tall"])
def test_a_tiny_alpha_is_the_shortest_least_squares(sizes):
    X, Y, rows = make(sizes, noise=0.1)
    x, y = X[rows[0]], Y[0]
    model = batched(1e-10).fit(X, Y, rows=rows)
    predictions = np.empty(len(y))
    for i in range(len(y)):
        rest = np.arange(len(y)) != i
        mean = x[rest].mean(axis=0)
        weights = np.linalg.pinv(x[rest] - mean) @ (y[rest] - y[rest].mean())
        predictions[i] = (x[i] - mean) @ weights + y[rest].mean()
    slow = 1 - ((y - predictions) ** 2).sum() / ((y - y.mean()) ** 2).sum()
    assert model.cv_scores_[0] == pytest.approx(slow, abs=1e-8)


def test_shared_rows_lists_and_one_array_give_the_same():
    X, Y, rows = make([30] * 6)
    a = batched().fit(X, Y, rows=rows)
    b = batched().fit([X[r] for r in rows], Y)
    c = batched().fit(np.stack([X[r] for r in rows]), np.stack(Y))
    for other in (b, c):
        np.testing.assert_array_equal(a.coef_, other.coef_)
        np.testing.assert_array_equal(a.scores_, other.scores_)
    each = a.predict(np.stack([X[r] for r in rows]))
    np.testing.assert_allclose(each, [a.predict(X)[c, r] for c, r in enumerate(rows)], atol=1e-12)


@pytest.mark.parametrize(("limit", "padding"), [(1, 1.0), (4000, 2.0), (10**8, 100.0)])
def test_batches_and_padding_change_nothing(monkeypatch, limit, padding):
    X, Y, rows = make()
    before = batched(device="cpu").fit(X, Y, rows=rows)
    monkeypatch.setitem(LIMITS, "cpu", limit)
    monkeypatch.setattr("neuroalign.encoding.batches.PADDING", padding)
    after = batched(device="cpu").fit(X, Y, rows=rows)
    np.testing.assert_array_equal(after.alpha_, before.alpha_)
    np.testing.assert_allclose(after.coef_, before.coef_, atol=1e-10)
    np.testing.assert_allclose(after.scores_, before.scores_, rtol=1e-9, atol=1e-9)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000))
def test_order_of_rows_and_contexts_changes_nothing(seed):
    X, Y, rows = make(seed=seed)
    rng = np.random.default_rng(seed)
    contexts = rng.permutation(len(Y))
    orders = [rng.permutation(len(Y[c])) for c in contexts]
    a = batched().fit(X, Y, rows=rows)
    b = batched().fit(
        X,
        [Y[c][o] for c, o in zip(contexts, orders, strict=True)],
        rows=[rows[c][o] for c, o in zip(contexts, orders, strict=True)],
    )
    np.testing.assert_array_equal(a.alpha_[contexts], b.alpha_)
    np.testing.assert_allclose(a.coef_[contexts], b.coef_, atol=1e-10)


@pytest.mark.parametrize("unit", [1e-8, 1e8])
def test_units_of_the_features_change_nothing_where_alpha_follows(unit):
    X, Y, rows = make()
    a, b = batched().fit(X, Y, rows=rows), batched(ALPHAS * unit**2).fit(X * unit, Y, rows=rows)
    np.testing.assert_allclose(b.coef_ * unit, a.coef_, atol=1e-8)
    np.testing.assert_allclose(b.scores_, a.scores_, rtol=1e-7, atol=1e-7)


def test_rows_may_come_twice():
    X, Y, rows = make([10])
    twice = batched(2.0).fit(X, [np.tile(Y[0], 2)], rows=[np.tile(rows[0], 2)])
    once = batched(1.0).fit(X, Y, rows=rows)
    np.testing.assert_allclose(twice.coef_, once.coef_, atol=1e-10)


@pytest.mark.goal("R19", "fits of the room's own tests")
def test_noise_in_rows_and_contexts_that_are_not_its_own_changes_nothing_fitted():
    X, Y, rows = make()
    before = batched().fit(X, Y, rows=rows)
    rng = np.random.default_rng(9)
    others = np.setdiff1d(np.arange(90), rows[1])
    X[others] = rng.standard_normal((len(others), 20)) * 100
    noisy = [y if c == 1 else rng.standard_normal(len(y)) for c, y in enumerate(Y)]
    after = batched().fit(X, noisy, rows=rows)
    np.testing.assert_allclose(after.coef_[1], before.coef_[1], atol=1e-12)
    assert after.alpha_[1] == before.alpha_[1]
    np.testing.assert_allclose(after.scores_[1], before.scores_[1], atol=1e-12)


@pytest.mark.parametrize("p", [4, 60], ids=["tall", "wide"])
def test_a_constant_context_is_nan_counted_and_gets_the_largest_alpha(p):
    X, Y, rows = make(p=p)
    Y[3] = np.full(len(Y[3]), 0.1)
    model = batched().fit(X, Y, rows=rows)
    assert np.isnan(model.cv_scores_).tolist() == [c == 3 for c in range(len(Y))]
    assert model.n_undefined_ == 1
    assert model.alpha_[3] == ALPHAS.max()
    np.testing.assert_array_equal(model.coef_[3], 0)
    assert model.intercept_[3] == pytest.approx(0.1)


def test_2_rows_have_a_score_only_without_intercept():
    X, Y, rows = make([2])
    model = batched().fit(X, Y, rows=rows)
    assert np.isnan(model.cv_scores_).all()
    assert model.alpha_.tolist() == [ALPHAS.max()]
    scores = batched(fit_intercept=False).fit(X, Y, rows=rows).scores_
    assert scores[0, 0] == pytest.approx(brute_force(X[rows[0]], Y[0], ALPHAS.max(), False))


@pytest.mark.parametrize("p", [3, 60], ids=["tall", "wide"])
def test_constant_features_predict_the_mean_of_the_other_rows(p):
    y = np.array([1.0, 2.0, 4.0, 8.0])
    model = batched(1.0).fit(np.ones((1, 4, p)), y[None])
    others = (y.sum() - y) / 3
    assert model.cv_scores_[0] == pytest.approx(1 - ((y - others) ** 2).sum() / ((y - y.mean()) ** 2).sum())
    np.testing.assert_allclose(model.coef_, 0, atol=1e-12)


def test_alpha_0_is_least_squares_and_a_row_that_determines_its_own_fit_has_no_score():
    X, Y, rows = make([30, 40], p=5)
    model = batched([0.0, 1e-12]).fit(X, Y, rows=rows)
    for c, (r, y) in enumerate(zip(rows, Y, strict=True)):
        np.testing.assert_allclose(model.coef_[c], LinearRegression().fit(X[r], y).coef_, atol=1e-9)
    X[:, 4] = 0.0
    X[rows[0][0], 4] = 1.0
    alone = batched([0.0, 1.0]).fit(X, Y[:1], rows=rows[:1])
    assert np.isnan(alone.scores_).tolist() == [[False, True]]
    assert alone.alpha_.tolist() == [1.0]


def test_alpha_0_without_full_rank_is_refused_with_the_context():
    X, Y, rows = make([60, 30, 50], p=20)
    batched([0.0, 1.0]).fit(X, Y, rows=rows)
    X[rows[1], 7] = 1.0
    rows[0] = np.setdiff1d(np.arange(90), rows[1])
    with pytest.raises(InvalidValueError, match="context 1 has rank 19 of 20 features"):
        batched([0.0, 1.0]).fit(X, Y, rows=rows)
    with pytest.raises(InvalidValueError, match="context 0 has rank 9 of 20 features"):
        batched(0.0).fit(*make([10])[:2], rows=make([10])[2])


def test_alphas_at_the_edge_are_warned_of_with_their_share():
    X, Y, rows = make()
    with pytest.warns(AlphaEdgeWarning, match="100% of 9 contexts chose an alpha at an edge of the grid"):
        BatchedRidge([1e7, 1e8]).fit(X, Y, rows=rows)


def test_arguments_are_not_edited_and_parameters_can_be_cloned():
    X, Y, rows = make()
    before = X.copy(), [y.copy() for y in Y], [r.copy() for r in rows]
    X.setflags(write=False)
    model = batched([1.0, 2.0]).fit(X, Y, rows=rows)
    np.testing.assert_array_equal(X, before[0])
    for a, b in zip([*Y, *rows], [*before[1], *before[2]], strict=True):
        np.testing.assert_array_equal(a, b)
    assert clone(model).get_params() == model.get_params()
    with pytest.raises(NotFittedError):
        clone(model).predict(X)


def test_wrong_contexts_are_refused_with_their_number():
    X, Y, rows = make()
    with pytest.raises(ShapeError, match="the same contexts, at least one; got 9 and 8"):
        batched().fit(X, Y[1:], rows=rows)
    with pytest.raises(ShapeError, match="the same contexts, at least one; got 0 and 0"):
        batched().fit(X, [], rows=[])
    with pytest.raises(ShapeError, match="context 2: X and Y must have the same rows; got 5 and 4"):
        batched().fit(X, [*Y[:2], Y[2][1:], *Y[3:]], rows=rows)
    with pytest.raises(ShapeError, match="context 0 needs at least 2 rows; got 1"):
        batched().fit(X, [[1.0]], rows=[[3]])
    with pytest.raises(InvalidValueError, match=r"rows\[0\] must be 0 to 89; got -1 to 3"):
        batched().fit(X, [[1.0, 2.0]], rows=[[3, -1]])
    with pytest.raises(InvalidValueError, match=r"rows\[0\] must be 0 to 89; got 3 to 90"):
        batched().fit(X, [[1.0, 2.0]], rows=[[3, 90]])
    with pytest.raises(InvalidValueError, match=r"rows\[0\] must be row numbers"):
        batched().fit(X, [[1.0, 2.0]], rows=[[True, False]])
    with pytest.raises(ShapeError, match=r"got widths \[19, 20\]"):
        batched().fit([X, X[:, 1:]], [X[:, 0], X[:, 1]])
    with pytest.raises(ShapeError, match="X must have 3 dimension"):
        batched().fit(X, Y)
    with pytest.raises(InvalidValueError, match=r"Y\[1\] must be finite.*position 2"):
        batched().fit(X, [[1.0, 2.0], [1.0, 2.0, np.nan]], rows=[[0, 1], [0, 1, 2]])
    with pytest.raises(InvalidValueError, match="non-negative and finite"):
        batched([-1.0]).fit(X, Y, rows=rows)


def test_wrong_rows_to_predict_are_refused():
    X, Y, rows = make()
    model = batched().fit(X, Y, rows=rows)
    with pytest.raises(ShapeError, match="the 20 features of fit; got 19"):
        model.predict(X[:, 1:])
    with pytest.raises(ShapeError, match="the 9 contexts of fit; got 2"):
        model.predict(np.zeros((2, 3, 20)))


@pytest.mark.goal("R15", "batched ridge")
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device is visible")
@pytest.mark.parametrize("p", [4, 20, 60], ids=["tall", "mixed", "wide"])
def test_a_gpu_finds_the_same(p):
    X, Y, rows = make(p=p)
    cpu, gpu = (batched(device=device).fit(X, Y, rows=rows) for device in ("cpu", "cuda"))
    np.testing.assert_array_equal(cpu.alpha_, gpu.alpha_)
    np.testing.assert_allclose(cpu.coef_, gpu.coef_, atol=1e-9)
    np.testing.assert_allclose(cpu.scores_, gpu.scores_, rtol=1e-9, atol=1e-9)

"""The kernels of ridge one by one: sizes and ties at which a way is taken, counts by hand, slow sums."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

from neuroalign import stats
from neuroalign.encoding import RidgeCV, batches, choosing, contiguous_splits, fitting, folds
from neuroalign.encoding.checks import checked_alphas, checked_data, checked_folds
from neuroalign.encoding.choosing import LEAST_ALPHAS, Wishes, choose
from neuroalign.encoding.compression import compress
from neuroalign.encoding.dual import applies, centred_eigen
from neuroalign.encoding.small import BatchedRidge
from neuroalign.errors import InvalidValueError, ShapeError

FOLDS = [
    (np.arange(3, 10), np.arange(3)),
    (np.r_[0:3, 7:10], np.arange(3, 7)),
    (np.arange(7), np.arange(7, 10)),
]
FLOATS = (np.float64, np.float64)


def plan(n=10, p=4, t=6, splits=FOLDS, n_alphas=3, dtypes=FLOATS, **wishes):
    return choose(n, p, t, splits, np.logspace(3, 0, n_alphas), dtypes, Wishes(device="cpu", **wishes))


def slow_ridge(alpha, **options):
    return Ridge(alpha=alpha, solver="svd", **options)


def product(a, b, c):
    """Return the operations of the product of an (a, b) and a (b, c) matrix."""
    return 2 * a * b * c


# What checks accept and refuse


def test_2_rows_are_enough_and_1_is_not():
    x, y, one = checked_data([[1.0], [2.0]], [3.0, 4.0])
    assert (x.tolist(), y.tolist(), one) == ([[1.0], [2.0]], [[3.0], [4.0]], True)
    assert not checked_data([[1.0], [2.0]], [[3.0], [4.0]])[2]
    with pytest.raises(ShapeError, match="at least 2 rows; got 1"):
        checked_data([[1.0]], [3.0])


def test_alpha_0_is_one_and_a_negative_one_is_none():
    assert checked_alphas([0.0, 2.0]).tolist() == [2.0, 0.0]
    with pytest.raises(InvalidValueError, match="got -1e-300 at position 1"):
        checked_alphas([1.0, -1e-300])


def test_one_candidate_needs_no_folds_and_two_do():
    assert checked_folds(None, 6, n_candidates=1) == []
    with pytest.raises(InvalidValueError, match="cannot choose among 2 candidates"):
        checked_folds(None, 6, n_candidates=2)


# How a problem is solved


@pytest.mark.parametrize(("p", "kernel"), [(9, False), (10, False), (11, True)])
def test_the_kernel_form_is_taken_for_more_features_than_rows(p, kernel):
    found = plan(p=p)
    assert (found.kernel, found.why["solver"]) == (kernel, f"{p} features, 10 rows")


@pytest.mark.parametrize("asked", ["primal", "kernel"])
@pytest.mark.parametrize("p", [4, 30])
def test_a_form_that_is_asked_for_is_taken(asked, p):
    found = plan(p=p, solver=asked)
    assert (found.kernel, found.why["solver"]) == (asked == "kernel", "asked for")


@pytest.mark.parametrize(("asked", "dtypes", "expected", "why"), [
    ("auto", (np.float32, np.float16), "float32", "data are float32 and float16"),
    ("auto", (np.float32, np.float64), "float64", "data are float32 and float64"),
    ("float32", (np.float64, np.float64), "float32", "asked for"),
])  # fmt: skip
def test_a_precision_that_is_asked_for_is_taken_else_that_of_the_data(asked, dtypes, expected, why):
    found = plan(dtype=asked, dtypes=dtypes)
    assert (found.dtype, found.why["dtype"]) == (expected, why)


@pytest.mark.parametrize(("block", "expected"), [(1, 1), (5, 5), (7, 6), (None, 6)])
def test_a_block_is_never_wider_than_the_targets(block, expected):
    found = plan(target_block=block)
    assert found.block == expected
    assert found.why["target_block"] == ("asked for" if block else "cpu, 6 targets")


@pytest.mark.parametrize("block", [0, -1, 1.0, True])
def test_a_block_of_no_target_is_refused(block):
    with pytest.raises(InvalidValueError, match="target_block must be a positive integer"):
        plan(target_block=block)


@pytest.mark.parametrize(("tf32", "why"), [(False, "off"), (True, "asked for; no CUDA device")])
def test_a_processor_has_no_tf32(tf32, why):
    found = plan(tf32=tf32)
    assert (found.tf32, found.why["tf32_selection"], found.why["device"]) == (False, why, "asked for")


@pytest.mark.parametrize("compress", [True, False, "auto"])
def test_alphas_are_compressed_from_8_on(compress):
    few, enough = (plan(n_alphas=n, compress=compress) for n in (LEAST_ALPHAS - 1, LEAST_ALPHAS))
    assert LEAST_ALPHAS == 8
    assert few.tolerance is None
    assert enough.tolerance == (None if compress is False else choosing.TOLERANCE)
    if compress is not False:
        assert few.why["compression"] == "7 alphas, fewer than 8"


def test_one_decomposition_needs_no_compressed_alphas():
    found = plan(p=30, n_alphas=9, decomposition="one")
    assert (found.one, found.tolerance, found.why["decomposition"]) == (True, None, "asked for")
    several = plan(p=30, n_alphas=9, decomposition="folds")
    assert (several.one, several.tolerance) == (False, choosing.TOLERANCE)


@pytest.mark.parametrize(("n", "t", "n_alphas"), [(10, 7, 3), (10, 300, 20)])
def test_operations_of_both_ways_are_counted_product_by_product(n, t, n_alphas):
    one, several = choosing._costs(n, t, FOLDS, n_alphas, 10.0)
    # Decompose all rows, rotate the targets there and back; then each alpha, on its fold's block.
    shared = 10.0 * n**3 + 2 * product(n, n, t)
    assert one == shared + n_alphas * (
        product(n, n, t) + sum(product(m, n, m) + m**3 + product(m, m, t) for m in (3, 4, 3))
    )
    # For the weights as above; and each fold decomposed, its test rows and targets rotated, its predictions.
    assert several == shared + sum(
        10.0 * r**3 + product(m, r, r) + product(r, r, t) + n_alphas * product(m, r, t)
        for r, m in ((7, 3), (6, 4), (7, 3))
    )


@pytest.mark.parametrize("offset", [-1, 0, 1])
def test_the_way_of_fewer_operations_is_taken_and_a_tie_goes_to_one_decomposition(monkeypatch, offset):
    monkeypatch.setattr(choosing, "_costs", lambda *_: (1000.0 + offset, 1000.0))
    found = plan(p=30)
    assert found.one == (offset <= 0)
    assert (
        found.why["decomposition"]
        == "about 1.0e+03 operations from one decomposition, 1.0e+03 from one a fold"
    )


@pytest.mark.parametrize(("p", "size"), [(4, 8), (30, 8), (30, 4)])
@pytest.mark.parametrize("n_alphas", [3, 8, 12])
def test_the_memory_of_a_decomposition_a_fold_is_counted_by_array(p, size, n_alphas):
    n, k, m, block = 10, 3, 4, 5
    q = min(n, p)
    basis = {3: 0, 8: 8, 12: 10}[n_alphas]
    dtype = {8: np.float64, 4: np.float32}[size]
    found = plan(p=p, n_alphas=n_alphas, target_block=block, decomposition="folds", dtypes=(dtype, dtype))
    doubles = [(q, q)] * 4
    arrays = [(n, p), (q, q)] + [(q, q), (m, q), (basis * m, q)] * k
    # Two products a fold, targets and residuals, the rotated and compressed ones, two of weights.
    arrays += [(q, block)] * 2 * k + [(n, block)] * 2 + [(q + m, block)] * (basis + 2) + [(p, block)] * 2
    assert found.peak_bytes == 8 * sum(a * b for a, b in doubles) + size * sum(a * b for a, b in arrays)


def test_the_memory_of_one_decomposition_is_counted_by_array():
    n, p, block, n_alphas = 10, 30, 5, 9
    arrays = [(n, p), (n, n), *[(m, m) for m in (3, 4, 3)] * n_alphas, *[(n, block)] * 3]
    found = plan(p=p, n_alphas=n_alphas, target_block=block, decomposition="one")
    assert found.peak_bytes == 8 * 4 * n * n + 8 * sum(a * b for a, b in arrays)
    assert str(found).endswith(f"about {found.peak_bytes / 1e6:,.1f} MB")


# Compressed alphas


@pytest.mark.parametrize(("n_alphas", "rank", "compressed"), [
    (7, 1, False), (8, 1, True), (8, 6, True), (8, 7, False), (12, 10, True), (12, 11, False),
])  # fmt: skip
def test_a_basis_must_save_2_of_at_least_8_predictions(n_alphas, rank, compressed):
    sizes = 2.0 ** -torch.arange(rank, dtype=torch.float64)
    inverse = torch.zeros(n_alphas, rank + 3, dtype=torch.float64)
    inverse[:rank, :rank] = torch.diag(sizes)
    found = compress(inverse, torch.ones(rank + 3, dtype=torch.float64), 1e-12)
    assert (found is not None) == compressed
    if compressed:
        assert len(found.functions) == rank
        torch.testing.assert_close(found.combine @ found.functions, inverse, rtol=0, atol=1e-14)


def test_an_error_of_just_the_tolerance_is_allowed():
    inverse = torch.zeros(9, 5, dtype=torch.float64)
    inverse[:4, :4] = torch.diag(torch.tensor([8.0, 4.0, 2.0, 1.0]))
    weights = torch.ones(5, dtype=torch.float64)
    assert compress(inverse, weights, 4.0).error == 4.0
    ranks = [len(compress(inverse, weights, tolerance).functions) for tolerance in (4.0, 3.999, 2.0, 1.0)]
    assert ranks == [1, 2, 2, 3]


@pytest.mark.parametrize("relative", [False, True])
@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_the_error_of_a_basis_and_what_it_lacks_are_those_of_what_it_gives(relative, scale):
    values, alphas = torch.linspace(0.1, 50, 40).double(), torch.logspace(-1, 4, 15).double()
    inverse, weights = 1 / (values + alphas[:, None]), scale * (1 + values.sqrt())
    basis = compress(inverse, weights, 1e-3 * (1.0 if relative else scale), relative=relative)
    left = inverse - basis.combine @ basis.functions
    torch.testing.assert_close(basis.missed, left, rtol=0, atol=1e-15)
    size = (inverse * weights).norm(dim=1) if relative else torch.ones(15)
    assert basis.error == pytest.approx(float(((left * weights).norm(dim=1) / size).max()), rel=1e-6)
    assert 2 <= len(basis.functions) <= 8


# One decomposition for all folds


@pytest.mark.parametrize(("splits", "alpha", "expected"), [
    (FOLDS, 1e-300, True),
    (FOLDS, 0.0, False),
    (FOLDS[:2], 1.0, False),
    ([(np.arange(5, 10), np.arange(5)), (np.arange(5), np.arange(5, 10))], 1.0, True),
    ([(np.arange(0), np.arange(10))], 1.0, False),
    ([*FOLDS[:2], (np.arange(1, 7), np.arange(7, 10))], 1.0, False),
    ([FOLDS[0], FOLDS[1], (np.r_[0:6, 9], np.arange(6, 9))], 1.0, False),
])  # fmt: skip
def test_one_decomposition_serves_at_least_2_folds_that_partition_the_rows(splits, alpha, expected):
    assert applies(splits, 10, np.array([10.0, alpha])) == expected


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_the_eigenvectors_of_a_centred_kernel_are_orthogonal_to_the_constant(scale, rng):
    x = rng.standard_normal((9, 4)) + 5
    centred = x - x.mean(axis=0)
    found = centred_eigen(torch.from_numpy(scale * x @ x.T), intercept=True, dtype=torch.float64)
    assert found.vectors.shape == (9, 8)
    np.testing.assert_allclose(found.vectors.sum(dim=0), 0, atol=1e-12)
    rebuilt = (found.vectors * found.values) @ found.vectors.T
    np.testing.assert_allclose(rebuilt, scale * centred @ centred.T, atol=scale * 1e-11)


def test_without_an_intercept_every_eigenvector_is_kept(rng):
    x = rng.standard_normal((7, 3)) + 5
    found = centred_eigen(torch.from_numpy(x @ x.T), intercept=False, dtype=torch.float64)
    np.testing.assert_allclose((found.vectors * found.values) @ found.vectors.T, x @ x.T, atol=1e-11)


# Folds


@pytest.mark.parametrize(("rows", "expected"), [
    ([2, 3, 4], slice(2, 5)), ([5], slice(5, 6)), ([2, 4], None), ([4, 3], None), ([], None),
])  # fmt: skip
def test_rows_that_follow_one_another_are_a_slice(rows, expected):
    found = folds.row_index(np.array(rows, dtype=int), torch.zeros(9))
    assert found == expected if expected else found.tolist() == rows


def test_rows_are_the_same_in_any_order():
    a, b, c = (torch.tensor(rows) for rows in ([3, 1, 7], [7, 3, 1], [3, 1]))
    assert folds._samerow_index(a, b)
    assert not folds._samerow_index(a, c)
    assert not folds._samerow_index(a, torch.tensor([3, 1, 6]))
    assert folds._samerow_index(slice(1, 3), slice(1, 3))
    assert not folds._samerow_index(slice(1, 3), slice(1, 4))
    assert not folds._samerow_index(slice(1, 3), torch.tensor([1, 2]))


@pytest.mark.parametrize("chunk", [1, 3, 4, 8, 20])
def test_a_gram_matrix_does_not_depend_on_its_chunks(chunk, monkeypatch, rng):
    monkeypatch.setattr(folds, "CHUNK", chunk)
    x = rng.standard_normal((8, 7))
    np.testing.assert_allclose(folds.gram(torch.from_numpy(x)), x.T @ x, atol=1e-12)


@pytest.mark.parametrize(("spare", "held"), [(0, 3), (-1, 0)])
def test_gram_matrices_of_folds_are_kept_while_they_fit(spare, held, monkeypatch, rng):
    monkeypatch.setattr(folds, "MOST_BYTES", 3 * 4 * 4 * 8 + spare)
    x = rng.standard_normal((10, 4))
    found = folds.fold_grams(torch.from_numpy(x), FOLDS)
    assert len(found.held) == held
    np.testing.assert_allclose(found.total, x.T @ x, atol=1e-12)
    for each, (_, test) in zip(found.held, FOLDS, strict=False):
        np.testing.assert_allclose(each, x[test].T @ x[test], atol=1e-12)


@pytest.mark.parametrize("splits", [
    FOLDS[:2], [*FOLDS, FOLDS[0]], [(train[1:], test) for train, test in FOLDS],
], ids=["a row untested", "rows tested twice", "purged"])  # fmt: skip
def test_gram_matrices_of_folds_that_do_not_partition_the_rows_are_not_summed(splits, rng):
    x = rng.standard_normal((10, 4))
    found = folds.fold_grams(torch.from_numpy(x), splits)
    assert found.held == []
    np.testing.assert_allclose(found.total, x.T @ x, atol=1e-12)


def test_targets_that_vary_by_rounding_are_constant_at_any_scale():
    columns = np.array([0.0, 0.1, -0.1, 1e9 / 3, -1e-9 / 3])
    flat = np.tile(columns, (7, 1))
    flat[0, 1:] = np.nextafter(flat[0, 1:], 1e300)
    varying = np.outer(np.arange(7.0), [1.0, -1.0, 1e-9, 1e9]) + np.array([0, 0, 1e-7, 1e12])
    held = folds.held_targets(torch.from_numpy(np.hstack([flat, varying])), slice(0, 7))
    assert held.constant.tolist() == [True] * 5 + [False] * 4
    np.testing.assert_allclose(held.mean, np.hstack([flat, varying]).mean(axis=0), rtol=1e-14)


def test_squares_that_no_row_holds_are_kept_apart(rng):
    y = rng.standard_normal((9, 3)) * [1, 10, 100] + 5
    reflect = np.linalg.qr(rng.standard_normal((9, 4)))[0]
    held = folds.held_targets(torch.from_numpy(y), slice(0, 9), torch.from_numpy(reflect))
    centred = y - y.mean(axis=0)
    np.testing.assert_allclose(held.truth, reflect.T @ centred, atol=1e-10)
    np.testing.assert_allclose(
        held.rest, ((centred - reflect @ reflect.T @ centred) ** 2).sum(axis=0), rtol=1e-9
    )


@pytest.mark.parametrize("solver", ["primal", "kernel"])
@pytest.mark.parametrize("p", [3, 40])
@pytest.mark.parametrize("kind", ["twice", "overlapping", "unpurged and purged", "few to train on"])
def test_folds_of_any_kind_are_scored_as_by_a_slow_loop(solver, p, kind, rng):
    n, t = 36, 5
    X = rng.standard_normal((n, p)) + 3
    Y = X @ rng.standard_normal((p, t)) / np.sqrt(p) + rng.standard_normal((n, t)) + np.arange(t)
    apart = contiguous_splits(n, 3)
    mixed = rng.permutation(n).reshape(4, 9)
    splits = {
        "twice": [*apart, *[(np.setdiff1d(np.arange(n), test), test) for test in mixed]],
        "overlapping": [(np.arange(20), np.arange(20, 30)), (np.r_[0:5, 12:36], np.arange(5, 12))],
        "unpurged and purged": [apart[0], *contiguous_splits(n, 3, purge=2)[1:]],
        "few to train on": [(test, train) for train, test in apart],
    }[kind]
    alphas = [0.5, 7.0, 100.0]
    slow = np.mean([
        [stats.r2(Y[test], slow_ridge(a).fit(X[train], Y[train]).predict(X[test])) for a in alphas]
        for train, test in splits
    ], axis=0)  # fmt: skip
    model = RidgeCV(alphas, cv=splits, solver=solver, edge_tolerance=1.0).fit(X, Y)
    np.testing.assert_allclose(model.cv_scores_, slow.max(axis=0), rtol=1e-8)
    np.testing.assert_array_equal(model.alpha_, np.array(alphas)[slow.argmax(axis=0)])


@pytest.mark.parametrize("solver", ["primal", "kernel"])
@pytest.mark.parametrize("scale", [1e-9, 1e9])
def test_units_of_features_and_targets_change_no_score(solver, scale, rng):
    X, Y = rng.standard_normal((30, 4)) + 2, rng.standard_normal((30, 3)) - 3
    Y[:, 0] += X[:, 0]
    alphas = np.array([0.1, 10.0])
    options = {"cv": 3, "solver": solver, "edge_tolerance": 1.0}
    plain = RidgeCV(alphas, **options).fit(X, Y)
    scaled = RidgeCV(alphas * scale**2, **options).fit(scale * X, Y)
    np.testing.assert_allclose(scaled.cv_scores_, plain.cv_scores_, rtol=1e-9)
    np.testing.assert_allclose(scale * scaled.coef_, plain.coef_, rtol=1e-9)
    targets = RidgeCV(alphas, **options).fit(X, scale * Y)
    np.testing.assert_allclose(targets.cv_scores_, plain.cv_scores_, rtol=1e-9)
    np.testing.assert_allclose(targets.intercept_, scale * plain.intercept_, rtol=1e-9)


# From arrays to weights


@pytest.mark.parametrize("solver", ["primal", "kernel"])
@pytest.mark.parametrize("value", [0.0, 0.1, -0.1, 1e9 / 3, 1e-9 / 3])
def test_a_constant_target_has_weights_of_exactly_0(solver, value, rng):
    n = 23
    Y = np.column_stack([np.full(n, value), rng.standard_normal(n)])
    model = RidgeCV([1.0, 10.0], cv=4, solver=solver, edge_tolerance=1.0).fit(rng.standard_normal((n, 3)), Y)
    assert model.coef_[0].tolist() == [0.0] * 3
    assert model.intercept_[0] == pytest.approx(value, rel=1e-15)
    assert np.isnan(model.cv_scores_).tolist() == [True, False]
    assert model.alpha_[0] == 10.0


def test_folds_of_some_rows_need_2_training_rows_and_a_test_row():
    rows = np.array([0, 1, 5, 8])
    splits = [
        (np.array([0, 1, 2]), np.array([5, 6])),
        (np.array([0, 2, 3]), np.array([5])),
        (np.array([5, 8, 0]), np.array([2, 3])),
        (np.array([5, 8, 1]), np.array([0, 9])),
    ]
    found = fitting._restricted(splits, rows, 10)
    assert [(train.tolist(), test.tolist()) for train, test in found] == [([0, 1], [2]), ([2, 3, 1], [0])]


@pytest.mark.parametrize(("columns", "expected"), [
    ([4], [(4, 5)]), ([0, 1, 2], [(0, 3)]), ([0, 2, 3, 7], [(0, 1), (2, 4), (7, 8)]),
])  # fmt: skip
def test_columns_are_read_in_runs(columns, expected):
    assert [(run.start, run.stop) for run in fitting._runs(np.array(columns))] == expected


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("given", [np.float32, np.float64])
def test_values_less_their_mean_are_rounded_once(dtype, given):
    x = (1e6 + np.arange(12.0).reshape(4, 3) / 7).astype(given)
    mean = x.mean(axis=0, dtype=np.float64)
    found = fitting._shifted(x, mean, np.dtype(dtype))
    assert (found.dtype, found.flags["C_CONTIGUOUS"]) == (dtype, True)
    exact = x.astype(np.float64) - mean
    np.testing.assert_allclose(found, exact, atol=0.1 if given == dtype == np.float32 else 1e-7)


def test_one_decomposition_is_asked_for_where_rows_that_are_missing_empty_a_fold(rng):
    X, Y = rng.standard_normal((24, 30)), rng.standard_normal((24, 4))
    Y[:8, 1] = np.nan
    Y[3, 2:] = np.nan
    options = {"edge_tolerance": 1.0, "solver": "kernel", "missing": "group", "cv": contiguous_splits(24, 3)}
    model = RidgeCV([1.0, 10.0], decomposition="one", **options).fit(X, Y)
    for j, rows in enumerate([np.arange(24), np.arange(8, 24), np.r_[0:3, 4:24], np.r_[0:3, 4:24]]):
        alone = Ridge(alpha=model.alpha_[j], solver="svd").fit(X[rows], Y[rows, j])
        np.testing.assert_allclose(model.coef_[j], alone.coef_, atol=1e-9)
        np.testing.assert_allclose(model.intercept_[j], alone.intercept_, atol=1e-9)


@pytest.mark.parametrize("t", [3, 5])
def test_one_alpha_for_targets_with_and_without_missing_rows_is_that_of_the_best_sum(t, rng):
    X = rng.standard_normal((30, 6))
    Y = X @ rng.standard_normal((6, t)) + 4 * rng.standard_normal((30, t))
    Y[:7, 0] = np.nan
    alphas, splits = [100.0, 10.0, 1.0], contiguous_splits(30, 3)
    options = {"cv": splits, "missing": "group", "edge_tolerance": 1.0}
    each = [RidgeCV([alpha], **options).fit(X, Y).cv_scores_ for alpha in alphas]
    model = RidgeCV(alphas, shared_alpha=True, **options).fit(X, Y)
    assert set(model.alpha_) == {alphas[int(np.argmax(np.sum(each, axis=1)))]}


# Batches of small problems


@pytest.mark.parametrize(("sizes", "p", "limit", "expected"), [
    # Of 6 rows and 1 feature each context holds 6 + 1 numbers; 5 rows times 1.2 are just 6, 4 are fewer.
    ([6, 5, 4], 1, 21, [[0, 1], [2]]),
    ([4, 6, 5, 6], 1, 14, [[3, 1], [2], [0]]),
    ([6, 6, 6], 1, 13, [[2], [1], [0]]),
    ([6, 6, 6], 1, 20, [[2, 1], [0]]),
    # Of 4 rows and 4 features: 16 + 16. Of 2 rows and 4 features: 8 + 4.
    ([4, 4, 4], 4, 64, [[2, 1], [0]]),
    ([4, 4, 4], 4, 63, [[2], [1], [0]]),
    ([2, 2, 2], 4, 24, [[2, 1], [0]]),
    ([2, 2, 2], 4, 23, [[2], [1], [0]]),
    ([9], 3, 1, [[0]]),
])  # fmt: skip
def test_batches_hold_contexts_of_like_size_up_to_the_limit(sizes, p, limit, expected):
    assert [part.tolist() for part in batches._batches(sizes, p, limit)] == expected


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("p", [2, 9])
def test_leave_one_out_of_contexts_of_unequal_sizes_with_an_offset(intercept, p, rng):
    X = rng.standard_normal((20, p)) + 2
    rows = [np.arange(5), np.arange(3, 10), np.arange(6)]
    targets = [rng.standard_normal(len(r)) + 4 for r in rows]
    alphas = [3.0, 0.5]
    model = BatchedRidge(alphas, fit_intercept=intercept, edge_tolerance=1.0).fit(X, targets, rows=rows)
    for c, (r, y) in enumerate(zip(rows, targets, strict=True)):
        slow = []
        for alpha in alphas:
            out = [
                Ridge(alpha=alpha, fit_intercept=intercept, solver="svd")
                .fit(X[r[k]], y[k])
                .predict(X[r[~k]])[0]
                for k in ~np.eye(len(r), dtype=bool)
            ]
            slow.append(1 - ((y - out) ** 2).sum() / ((y - y.mean()) ** 2).sum())
        np.testing.assert_allclose(model.scores_[c], slow, rtol=1e-9)


@pytest.mark.parametrize(("least", "rank"), [(4, 1), (8, 1), (8.000001, 2), (16, 2)])
def test_a_rank_counts_singular_values_above_the_larger_size_times_rounding(least, rank):
    x = torch.zeros(3, 8, 2, dtype=torch.float64)
    x[:, 0, 0] = 1.0
    x[:2, 1, 1] = 1.0
    x[2, 1, 1] = least * batches.EPS
    batch = batches.Batch(x, *[torch.zeros(0)] * 5, intercept=False)
    if rank == 2:
        batches._refuse_zero_alpha(batch, np.array([4, 5, 6]))
    else:
        with pytest.raises(InvalidValueError, match="context 6 has rank 1 of 2 features"):
            batches._refuse_zero_alpha(batch, np.array([4, 5, 6]))

"""Ranks of many rows at once: mid-ranks in samples, keys and their mending, packed sorts, normalisers."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.stats import kendalltau, rankdata

from neuroalign.rsa import rank_batches, ranking
from neuroalign.rsa.compare import compare_rows, unit_rows
from neuroalign.rsa.rank_methods import centred_mid_ranks, kendall, mid_ranks
from neuroalign.rsa.weighted import (
    explicit,
    mean_known,
    pair_weights,
    pool,
    sample_scores,
    unit_features,
    weighted_mid_ranks,
)

N = 5
PAIRS = list(itertools.combinations(range(N), 2))
# No stimulus comes once in the first three; one of them holds each stimulus as often.
SAMPLES = [(2, 0, 2, 3, 2), (2, 2, 2, 2, 2), (0, 3, 2, 2, 4), (1, 0, 2, 1, 1), (1, 1, 1, 1, 1)]


def resampled(row, counts):
    """The pairs of a sample one by one; none of two copies."""
    drawn = [i for i, count in enumerate(counts) for _ in range(count)]
    place = {pair: p for p, pair in enumerate(PAIRS)}
    return np.array([row[place[i, j]] for i, j in itertools.combinations(drawn, 2) if i != j])


# Samples of stimuli


@pytest.mark.parametrize("method", ["cosine", "pearson", "spearman", "rho-a", "tau-a", "tau-b"])
@pytest.mark.parametrize("counts", SAMPLES)
def test_a_sample_is_compared_as_if_its_pairs_stood_there_as_often(rng, counts, method):
    a, b = rng.integers(0, 6, (2, len(PAIRS))), rng.integers(0, 6, (3, len(PAIRS)))
    a, b = a.astype(float), b.astype(float)
    expected = compare_rows(
        np.array([resampled(row, counts) for row in a]),
        np.array([resampled(row, counts) for row in b]),
        method,
    )
    np.testing.assert_allclose(sample_scores(a, b, np.array(counts), method), expected, atol=1e-12)


@pytest.mark.parametrize("counts", SAMPLES)
def test_an_explicit_sample_holds_each_pair_as_often_as_it_came(rng, counts):
    rows = rng.random((2, len(PAIRS)))
    found = explicit(rows, np.array(counts), "tau-a")
    np.testing.assert_array_equal(found, [resampled(row, counts) for row in rows])


@pytest.mark.parametrize("counts", SAMPLES)
def test_pooled_ranks_are_those_of_the_sample(rng, counts):
    rows = rng.integers(0, 5, (3, len(PAIRS))).astype(float)
    weights = pair_weights(np.array(counts))
    shares = np.array([[1.0, 2.0, 0.0], [0.0, 1.0, 1.0]])
    found = pool(rows, shares, np.array(counts), "tau-a")
    ranks = np.full(rows.shape, np.nan)
    for i, row in enumerate(rows):
        place = np.repeat(np.arange(len(PAIRS)), weights)
        ranks[i, place] = rankdata(row[place])
    np.testing.assert_allclose(found, shares @ ranks / shares.sum(axis=1, keepdims=True), rtol=1e-12)
    assert np.isnan(found).all(axis=0).tolist() == (weights == 0).tolist()


@pytest.mark.parametrize("method", ["cosine", "pearson", "whitened-cosine", "whitened-pearson", "spearman"])
@pytest.mark.parametrize("pooling", ["best", "plain"])
def test_pairs_that_were_not_drawn_have_no_part_in_a_pool(rng, method, pooling):
    rows, counts = rng.random((3, len(PAIRS))), np.array([2, 0, 1, 1, 3])
    absent = pair_weights(counts) == 0
    shares = np.ones((1, 3))
    holed = rows.copy()
    holed[1, absent] = np.nan
    found = pool(rows, shares, counts, method, pooling)
    assert np.isnan(found[:, absent]).all() and np.isfinite(found[:, ~absent]).all()
    np.testing.assert_array_equal(pool(holed, shares, counts, method, pooling), found)


def test_a_plain_pool_is_the_mean_of_rows_of_mean_square_1(rng):
    rows, counts = 1.0 + rng.random((3, len(PAIRS))), np.array([2, 0, 1, 1, 3])
    weights = pair_weights(counts)
    shares = np.array([[2.0, 1.0, 3.0]])
    known = weights > 0
    size = np.sqrt((rows**2 * weights).sum(axis=1) / weights.sum())
    expected = shares[0] @ (rows / size[:, None]) / 6
    np.testing.assert_allclose(pool(rows, shares, counts, "cosine")[0, known], expected[known], rtol=1e-12)
    centred = rows - (rows @ weights / weights.sum())[:, None]
    size = np.sqrt((centred**2 * weights).sum(axis=1) / weights.sum())
    expected = shares[0] @ (centred / size[:, None]) / 6
    np.testing.assert_allclose(pool(rows, shares, counts, "pearson")[0, known], expected[known], rtol=1e-12)
    mean = rows @ weights / weights.sum()
    expected = shares[0] @ (rows / mean[:, None]) / 6
    np.testing.assert_allclose(pool(rows, shares, counts, "bures")[0, known], expected[known], rtol=1e-12)
    found = pool(rows, shares, counts, "riemannian")[0, known]
    np.testing.assert_allclose(found, (shares[0] @ rows / 6)[known], rtol=1e-12)


@pytest.mark.parametrize("method", ["cosine", "pearson", "bures", "whitened-cosine"])
def test_a_row_without_length_is_left_out_of_a_pool(rng, method):
    rows, counts = rng.random((3, len(PAIRS))), np.ones(N, dtype=int)
    rows[1] = 0.0
    found = pool(rows, np.ones((1, 3)), counts, method)
    np.testing.assert_allclose(found, pool(rows[[0, 2]], np.ones((1, 2)), counts, method), rtol=1e-12)
    assert np.isnan(pool(rows[1:2], np.ones((1, 1)), counts, method)).all()


@pytest.mark.parametrize("method", ["cosine", "pearson", "spearman", "rho-a", "whitened-cosine"])
def test_a_constant_row_is_undefined_beside_others(rng, method):
    rows = rng.random((3, len(PAIRS)))
    rows[1] = 0.0
    counts = np.array([2, 0, 1, 1, 3])
    found = unit_features(rows, counts, method)
    assert np.isnan(found).any(axis=1).tolist() == [False, True, False]
    scores = sample_scores(rows, rows, counts, method)
    assert np.isnan(scores).tolist() == [[False, True, False], [True, True, True], [False, True, False]]
    if method != "rho-a":
        np.testing.assert_allclose(np.diag(scores)[[0, 2]], 1.0, rtol=1e-12)


def test_ranks_in_a_sample_are_those_of_entries_that_stand_there_so_often():
    rows, weights = np.array([[5.0, 1.0, 5.0, 3.0], [1.0, 2.0, 3.0, 4.0]]), np.array([2, 1, 3, 2])
    # 1; 3 3; 5 5 5 5 5: ranks 1, 2.5, 6. And 1 1; 2; 3 3 3; 4 4.
    assert weighted_mid_ranks(rows, weights).tolist() == [[6.0, 1.0, 6.0, 2.5], [1.5, 3.0, 5.0, 7.5]]
    assert weighted_mid_ranks(rows[1:], weights).tolist() == [[1.5, 3.0, 5.0, 7.5]]


def test_means_of_what_is_known_are_nan_where_nothing_is():
    x = np.array([[1.0, np.nan, 4.0], [np.nan, np.nan, np.nan], [np.nan, 5.0, np.nan]])
    found = mean_known(x, np.array([1.0, 0.0, 3.0]))
    np.testing.assert_array_equal(found, [13 / 4, np.nan, np.nan])


# Mid-ranks and Kendall's tau


def test_mid_ranks_of_rows_with_and_without_ties():
    rows = np.array([[3.0, 1.0, 3.0, 2.0, 3.0], [1.0, 1.0, 5.0, 4.0, 4.0], [9.0, 9.0, 9.0, 9.0, 9.0]])
    assert mid_ranks(rows).tolist() == [[4, 1, 4, 2, 4], [1.5, 1.5, 5, 3.5, 3.5], [3, 3, 3, 3, 3]]
    assert mid_ranks(np.array([[2.0, 9.0, 4.0]])).tolist() == [[1, 3, 2]]
    assert centred_mid_ranks(rows)[2].tolist() == [0.0] * 5
    assert centred_mid_ranks(rows)[0].tolist() == [1, -2, 1, -1, 1]


@pytest.mark.parametrize("variant", ["a", "b"])
def test_kendall_counts_pairs_of_entries(rng, variant):
    a, b = rng.integers(0, 4, (2, 9)).astype(float), rng.integers(0, 3, (3, 9)).astype(float)
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            signs = [np.sign((x[p] - x[q]) * (y[p] - y[q])) for p, q in itertools.combinations(range(9), 2)]
            expected = np.sum(signs) / 36 if variant == "a" else kendalltau(x, y).statistic
            assert kendall(a, b, variant=variant)[i, j] == pytest.approx(expected, abs=1e-14)
    assert np.isnan(kendall(np.ones((1, 9)), b, variant=variant)).all()


# Orders by keys


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_keys_span_sixteen_bits_and_never_put_a_larger_value_first(rng, scale):
    rows = scale * (rng.random((3, 200)) * [[1.0], [50.0], [3.0]] + [[0.0], [700.0], [-40.0]])
    keys = ranking._keys(rows)
    assert keys.dtype == np.uint16
    assert keys.min(axis=1).tolist() == [0, 0, 0] and (keys.max(axis=1) >= 65534).all()
    for row, key in zip(rows, keys, strict=True):
        assert (np.diff(key[np.argsort(row)].astype(int)) >= 0).all()
        # Keys are linear in the values.
        share = (row - row.min()) / np.ptp(row)
        np.testing.assert_allclose(key, 65535 * share, atol=1.001)


def test_every_small_disorder_is_mended_within_its_row():
    orders = np.array(list(itertools.permutations(range(4))))[::-1]
    # Rows fall from one to the next: across their borders nothing is in order.
    rows = orders + 10.0 * np.arange(len(orders))[::-1, None]
    ordered, order = rows.copy(), np.tile(np.arange(4), (len(rows), 1)) + 4 * np.arange(len(rows))[:, None]
    strict = ranking._mend(ordered, order)
    np.testing.assert_array_equal(ordered, np.sort(rows, axis=1))
    np.testing.assert_array_equal(rows.reshape(-1)[order], np.sort(rows, axis=1))
    assert strict.all()


def test_rows_with_ties_or_nan_are_told_apart_from_those_without():
    rows = np.array(
        [
            [1.0, 2.0, 3.0, 4.0],
            [1.0, 1.0, 3.0, 4.0],
            [1.0, 3.0, 2.0, 4.0],
            [2.0, 1.0, 4.0, 4.0],
            [1.0, np.nan, 2.0, 3.0],
            [4.0, 3.0, 2.0, 1.0],
            [2.0, 3.0, 2.0, 4.0],  # a tie that only mending brings together
        ]
    )
    order = np.arange(rows.size).reshape(rows.shape)
    assert ranking._mend(rows.copy(), order).tolist() == [True, False, True, False, False, True, False]


@pytest.mark.parametrize("few", [3, 9, 10, 20_000])
@pytest.mark.parametrize("method", ["spearman", "rho-a"])
def test_rank_scores_are_those_of_compare_whichever_way_rows_are_sorted(rng, monkeypatch, few, method):
    monkeypatch.setattr(ranking, "FEW_PAIRS", few)
    rows, models = rng.random((5, 10)), rng.integers(0, 4, (2, 10)).astype(float)
    rows[1, 3] = rows[1, 8]
    rows[3] = rng.integers(0, 3, 10)
    found = ranking.rank_scores(rows, models, unit_rows(models, method), method)
    np.testing.assert_allclose(found, compare_rows(rows, models, method), atol=1e-12)
    _, strict = ranking._order(rows)
    assert strict.tolist() == [True, False, True, False, True]


# Whole numbers in samples


@pytest.mark.parametrize("largest", [5, 2**26, 2**27, 2**28, 2**31, 2**40, 2**58, 2**59, 2**60])
@pytest.mark.parametrize("n", [2, 5, 8, 9])
def test_packed_sorts_are_sorts(rng, largest, n):
    values = np.stack(
        [rng.choice(np.unique(rng.integers(0, largest, 40) + np.arange(40)), n, False) for _ in range(3)]
    )
    values[1, 0] = largest
    order, ordered = rank_batches._sorted(values)
    np.testing.assert_array_equal(ordered, np.sort(values, axis=1))
    np.testing.assert_array_equal(np.take_along_axis(values, order, axis=1), ordered)


def test_normalisers_are_0_where_a_row_is_constant():
    left, right = np.array([0.0, 4.0]), np.array([9.0, 0.0, 1.0])
    n = 6.0  # doubled ranks: four times (n^3 - n) / 12
    found = rank_batches.normaliser(left, right, n, "rho-a")
    assert found.tolist() == [[0.0, 0.0, 0.0], [70.0, 0.0, 70.0]]
    assert rank_batches.normaliser(left, right, n, "spearman").tolist() == [[0, 0, 0], [6, 0, 2]]


def test_a_share_of_nothing_is_nan():
    found = rank_batches.divided(np.array([[3.0, 4.0, 5.0]]), np.array([2.0, 0.0, -1.0]))
    np.testing.assert_array_equal(found, [[1.5, np.nan, np.nan]])


@pytest.mark.parametrize("active", [list(range(10)), [0, 2, 3, 7, 9]])
def test_doubled_ranks_are_twice_the_mid_ranks_of_a_sample(rng, active):
    rows = rng.integers(0, 5, (3, 10)).astype(float)
    weights = rng.integers(1, 5, len(active))
    found = rank_batches.Codes(rows, 3).doubled_ranks(weights, np.array(active))
    expected = [rankdata(np.repeat(row[active], weights))[np.cumsum(weights) - 1] for row in rows]
    np.testing.assert_array_equal(found, 2 * np.array(expected))


@pytest.mark.parametrize("method", ["spearman", "rho-a"])
def test_bounds_of_ranked_means_are_those_of_slow_pools(rng, method):
    rows = rng.integers(0, 6, (4, 10)).astype(float)
    rows[2] = 1.0  # a constant RDM takes no part
    weights, shares = rng.integers(1, 4, 10), np.array([1, 2, 1, 0])
    doubled = rank_batches.Codes(rows, 4).doubled_ranks(weights, np.arange(10))
    n = weights.sum()
    weighted = (doubled - (n + 1)) * weights
    squares = (weighted * (doubled - (n + 1))).sum(axis=1)
    found = rank_batches.ranked_bounds(doubled, weighted, squares, weights, shares, method)
    stretched = np.repeat(rows, weights, axis=1)
    ranks = rankdata(stretched, axis=1)
    lower, upper = [], []
    for s in (0, 1):
        without = shares * (np.arange(4) != s)
        for pooled, into in ((without @ ranks, lower), (shares @ ranks, upper)):
            into.append(compare_rows(pooled[None], stretched[s][None], method)[0, 0])
    np.testing.assert_allclose(found, [np.mean(lower), np.mean(upper)], atol=1e-12)
    nobody = rank_batches.ranked_bounds(doubled, weighted, squares, weights, np.array([0, 0, 3, 0]), method)
    assert np.isnan(nobody).all()

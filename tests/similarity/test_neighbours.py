"""Neighbourhoods, matching of units, predictivity."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from neuroalign import similarity
from neuroalign.errors import InvalidValueError, ShapeError
from neuroalign.similarity import matching


def related(n=41, d=6, e=5, seed=0, noise=0.5):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, d))
    return x, x @ rng.standard_normal((d, e)) + noise * rng.standard_normal((n, e))


def neighbours(x, k, metric="cosine"):
    distance = cdist(x, x, metric)
    np.fill_diagonal(distance, np.inf)
    return [set(row) for row in np.argsort(distance, axis=1)[:, :k].tolist()]


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("n", [20, 150])
def test_overlaps_are_those_of_sorted_distances(metric, n):
    x, y = related(n)
    both = list(zip(neighbours(x, 5, metric), neighbours(y, 5, metric), strict=True))
    shared = np.mean([len(a & b) / 5 for a, b in both])
    overlap = np.mean([len(a & b) / len(a | b) for a, b in both])
    assert float(similarity.mutual_knn(x, y, k=5, metric=metric)) == pytest.approx(shared, abs=1e-12)
    assert float(similarity.jaccard(x, y, k=5, metric=metric)) == pytest.approx(overlap, abs=1e-12)


def platonic_neighbours(z, k):
    """Nearest neighbours as in the published code: a full sort of inner products of unit patterns."""
    z = torch.nn.functional.normalize(torch.from_numpy(z), dim=1)
    return (z @ z.T).fill_diagonal_(-1e8).argsort(dim=1, descending=True)[:, :k]


def test_mutual_neighbours_agree_with_the_published_algorithm():
    x, y = related(100)
    masks = [torch.zeros(100, 100).scatter_(1, platonic_neighbours(z, 10), 1.0) for z in (x, y)]
    theirs = ((masks[0] * masks[1]).sum(dim=1) / 10).mean().item()
    assert float(similarity.mutual_knn(x, y)) == pytest.approx(theirs, abs=1e-6)


def slow_cknna(x, y, k, definition):
    def near(z):
        gram = z @ z.T
        np.fill_diagonal(gram, -np.inf)
        mask = np.zeros(gram.shape)
        np.put_along_axis(mask, np.argsort(-gram, axis=1)[:, :k], 1.0, axis=1)
        return mask

    def align(a, b):
        mask, k, l = near(a) * near(b), a @ a.T, b @ b.T  # noqa: E741
        if definition == "paper":
            return (mask * (k - k.mean(1, keepdims=True)) * (l - l.mean(1, keepdims=True))).sum()
        k, l, n = mask * k, mask * l, len(a)  # noqa: E741
        return np.trace(k @ l) + k.sum() * l.sum() / ((n - 1) * (n - 2)) - 2 * (k @ l).sum() / (n - 2)

    return align(x, y) / np.sqrt(align(x, x) * align(y, y))


@pytest.mark.parametrize("definition", ["paper", "released"])
@pytest.mark.parametrize("n, k", [(20, 4), (150, 10)])
def test_cknna_is_its_definition(definition, n, k):
    x, y = related(n)
    found = similarity.cknna(x, y, k=k, definition=definition)
    assert float(found) == pytest.approx(slow_cknna(x, y, k, definition), abs=1e-12)


def test_released_cknna_of_all_neighbours_is_unbiased_cka():
    x, y = related(20)
    whole = float(similarity.cka(x, y, estimator="unbiased"))
    assert float(similarity.cknna(x, y, k=19, definition="released")) == pytest.approx(whole, abs=1e-12)


def test_the_two_cknna_differ():
    x, y = related(60)
    first, second = (float(similarity.cknna(x, y, definition=name)) for name in ("paper", "released"))
    assert abs(first - second) > 0.01


def test_second_order_cosine_is_its_definition():
    x, y = related(30)
    cosine = [1 - cdist(z, z, "cosine") for z in (x, y)]
    values = []
    for i, (a, b) in enumerate(zip(neighbours(x, 4), neighbours(y, 4), strict=True)):
        near = sorted(a | b)
        u, v = (c[i, near] for c in cosine)
        values.append(u @ v / np.linalg.norm(u) / np.linalg.norm(v))
    assert float(similarity.second_order_cosine(x, y, k=4)) == pytest.approx(np.mean(values), abs=1e-12)


def test_stimuli_tied_at_the_last_place_are_neighbours_in_part():
    # From the middle of 0, 1, 2 both others are as near: half a neighbour each.
    x = np.array([[0.0], [1.0], [2.0]])
    y = np.array([[0.0], [1.0], [5.0]])
    assert float(similarity.mutual_knn(x, x, k=1, metric="euclidean")) == 1.0
    assert float(similarity.mutual_knn(x, y, k=1, metric="euclidean")) == pytest.approx((1 + 0.5 + 1) / 3)
    assert float(similarity.jaccard(x, y, k=1, metric="euclidean")) == pytest.approx((1 + 0.5 / 1.5 + 1) / 3)


@pytest.mark.parametrize("measure", [similarity.mutual_knn, similarity.jaccard, similarity.cknna])
def test_the_order_of_tied_stimuli_does_not_matter(measure, rng):
    x, y = rng.integers(0, 3, (2, 30, 3)).astype(float)
    x[:, 0] += 1
    y[:, 0] += 1
    order = rng.permutation(30)
    assert float(measure(x, y, k=4)) == pytest.approx(float(measure(x[order], y[order], k=4)), abs=1e-12)


def test_patterns_of_zeros_are_left_out_and_counted():
    x, y = related(20)
    x[3] = 0
    y[[3, 7]] = 0
    found = similarity.mutual_knn(x, y, k=3)
    kept = np.delete(np.arange(20), [3, 7])
    assert found.attrs["n_left_out"] == 2
    assert float(found) == float(similarity.mutual_knn(x[kept], y[kept], k=3))


def test_all_others_as_neighbours_say_nothing_and_say_so():
    x, y = related(10)
    with pytest.warns(similarity.DegenerateWarning, match="1 by construction: all 9 other stimuli"):
        assert float(similarity.mutual_knn(x, y, k=9)) == 1
    with pytest.raises(InvalidValueError, match="k must be an integer from 1 to n_stimuli - 1 = 9; got 10"):
        similarity.mutual_knn(x, y)
    with pytest.raises(InvalidValueError, match="k must be an integer from 2 to"):
        similarity.cknna(x, y, k=1)
    with pytest.raises(InvalidValueError, match="metric must be one of 'cosine', 'euclidean'"):
        similarity.jaccard(x, y, k=2, metric="l1")
    with pytest.raises(InvalidValueError, match="definition must be one of 'paper', 'released'"):
        similarity.cknna(x, y, k=2, definition="code")


def test_matching_is_the_best_of_all_permutations():
    x, y = related(20, 4, 4)
    r = np.corrcoef(x.T, y.T)[:4, 4:]
    best = max(np.mean([r[i, j] for i, j in enumerate(order)]) for order in itertools.permutations(range(4)))
    assert float(similarity.hard_matching(x, y)) == pytest.approx(best, abs=1e-12)
    assert float(similarity.soft_matching(x, y)) == pytest.approx(best, abs=1e-12)
    sizes = max(
        np.mean([abs(r[i, j]) for i, j in enumerate(order)]) for order in itertools.permutations(range(4))
    )
    assert float(similarity.hard_matching(x, y, absolute=True)) == pytest.approx(sizes, abs=1e-12)


@pytest.mark.parametrize("widths", [(2, 3), (4, 6), (3, 3), (1, 5)], ids=str)
def test_copies_and_the_linear_program_solve_the_same_transport(widths):
    cost = np.random.default_rng(0).random(widths)
    assert matching._transport(cost) == pytest.approx(matching._linear_program(cost), abs=1e-10)


def test_soft_matching_of_one_and_two_units_by_hand():
    # One unit meets both halves: the mean of its two correlations.
    x = np.array([[1.0], [0.0], [-1.0], [0.0]])
    y = np.column_stack([x[:, 0], [0.0, 1.0, 0.0, -1.0]])
    assert float(similarity.soft_matching(x, y)) == pytest.approx(0.5)
    assert float(similarity.soft_matching_distance(x, y)) == pytest.approx(np.sqrt((0 + 4) / 2))
    assert float(similarity.hard_matching(x, y)) == pytest.approx(1.0)


def test_too_many_units_for_a_linear_program_are_refused(monkeypatch):
    monkeypatch.setattr(matching, "MOST_COPIES", 1)
    monkeypatch.setattr(matching, "MOST_ENTRIES", 10)
    x, y = related(20, 4, 5)
    with pytest.raises(InvalidValueError, match="linear program of 20 unknowns; up to 10 are solved"):
        similarity.soft_matching(x, y)


def test_constant_units_count_as_zero_in_matching():
    x, y = related(20, 3, 3)
    wide = np.column_stack([x, np.ones(20)])
    found = similarity.soft_matching(wide, np.column_stack([x, np.zeros(20)]))
    assert float(found) == pytest.approx(0.75) and found.attrs["n_constant_x"] == 1
    assert np.isnan(similarity.hard_matching(np.ones((20, 2)), y))


def slow_leave_one_out(x, y, alphas):
    """Ridge by refitting without each row, the penalty chosen by the errors."""
    a, scale = x - x.mean(0), None
    size = np.linalg.svd(a, compute_uv=False)
    scale, losses = (size**2).mean(), []
    for alpha in alphas:
        total = np.zeros(y.shape[1])
        for i in range(len(x)):
            kept = np.delete(np.arange(len(x)), i)
            offset, target = x[kept].mean(0), y[kept].mean(0)
            b = np.linalg.solve(
                (x[kept] - offset).T @ (x[kept] - offset) + alpha * scale * np.eye(x.shape[1]),
                (x[kept] - offset).T @ (y[kept] - target),
            )
            total += (y[i] - target - (x[i] - offset) @ b) ** 2
        losses.append((total / ((y - y.mean(0)) ** 2).sum(0)).sum())
    return alphas[int(np.argmin(losses))] * scale


def test_ridge_takes_the_penalty_that_refitting_would():
    x, y = related(25, 6, 3, noise=2.0)
    alphas = (1e-3, 0.1, 1.0, 10.0)
    penalty = slow_leave_one_out(x, y, alphas)
    a = x - x.mean(0)
    b = np.linalg.solve(a.T @ a + penalty * np.eye(6), a.T @ (y - y.mean(0)))
    found = similarity.ridge_predict(x, y, x[:4] + 1, alphas=alphas)
    assert np.allclose(found, y.mean(0) + (x[:4] + 1 - x.mean(0)) @ b, atol=1e-10)


def test_ridge_refuses_what_does_not_fit_together():
    x, y = related(12, 4, 3)
    nan = y.copy()
    nan[3, 1] = np.nan
    for given, error, text in (
        ((x, y[:11], x), ShapeError, "features and targets must have the same rows; got 12 and 11"),
        ((x, y, x[:, :3]), ShapeError, "features and new must have the same columns; got 4 and 3"),
        ((x[:, :0], y, x[:, :0]), ShapeError, r"features must have rows and columns; got shape \(12, 0\)"),
        ((x[:0], y[:0], x), ShapeError, r"got shape \(0, 4\)"),
        ((x, y[:, 0], x), ShapeError, r"targets must have 2 dimension\(s\); got shape \(12,\)"),
        ((x, nan, x), InvalidValueError, r"targets must be finite; 1 of 36 .* position \(3, 1\)"),
        ((x, y, 1j * x), InvalidValueError, "new must be real numbers; got dtype complex128"),
    ):
        with pytest.raises(error, match=text):
            similarity.ridge_predict(*given)
    half = similarity.ridge_predict(x, y.astype(np.float16), x)
    assert half.dtype == np.float64
    assert np.array_equal(half, similarity.ridge_predict(x, y.astype(np.float16).astype(float), x))


def test_predictivity_is_one_way():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((80, 6))
    y = x[:, :2]
    assert float(similarity.linear_predictivity(x, y)) > 0.999
    back = float(similarity.linear_predictivity(x, y, direction="y -> x"))
    assert back == float(similarity.linear_predictivity(y, x)) < 0.6
    both = float(similarity.linear_predictivity(x, y, direction="mean"))
    assert both == pytest.approx((back + float(similarity.linear_predictivity(x, y))) / 2)


def test_predictivity_never_sees_the_stimuli_that_it_predicts():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((60, 50)), rng.standard_normal((60, 3))
    seen = []

    def predict(features, targets, new):
        seen.append((features, new))
        return np.zeros((len(new), targets.shape[1]))

    found = similarity.linear_predictivity(x, y, predict=predict, score="r2")
    assert float(found) == pytest.approx(-np.mean(len(y) * y.mean(0) ** 2 / ((y - y.mean(0)) ** 2).sum(0)))
    assert all(not (new[:, None] == train[None]).all(-1).any() for train, new in seen) and len(seen) == 5
    assert abs(float(similarity.linear_predictivity(x, y))) < 0.3


def test_predictivity_counts_units_without_a_score_and_refuses_bad_folds():
    x, y = related(30)
    found = similarity.linear_predictivity(x, np.column_stack([y, np.ones(30)]))
    assert found.attrs["n_undefined_units"] == 1
    assert float(found) == pytest.approx(float(similarity.linear_predictivity(x, y)), abs=0.05)
    with pytest.raises(InvalidValueError, match="n_folds must be an integer from 2 to n_stimuli / 2 = 15"):
        similarity.linear_predictivity(x, y, n_folds=16)
    with pytest.raises(InvalidValueError, match="direction must be one of"):
        similarity.linear_predictivity(x, y, direction="both")
    with pytest.raises(InvalidValueError, match="score must be one of"):
        similarity.linear_predictivity(x, y, score="r")
    with pytest.raises(ShapeError, match=r"predict must return shape \(6, 5\)"):
        similarity.linear_predictivity(x, y, predict=lambda a, b, c: c)


def test_a_flat_and_a_twisted_ring_share_all_neighbours_and_not_their_shape():
    # Seen from above the twisted ring is a figure of eight; 1.2 keeps its strands apart where they cross.
    angle = 2 * np.pi * np.arange(61) / 61
    flat = np.stack([np.cos(angle), np.sin(angle), np.zeros(61)], axis=1)
    twisted = np.stack([np.cos(angle), np.sin(angle) * np.cos(angle), 1.2 * np.sin(angle)], axis=1)
    options = {"k": 2, "metric": "euclidean"}
    assert float(similarity.mutual_knn(flat, twisted, **options)) == pytest.approx(1.0, abs=1e-12)
    assert float(similarity.jaccard(flat, twisted, **options)) == pytest.approx(1.0, abs=1e-12)
    assert float(similarity.cka(flat, twisted)) < 0.99
    assert float(similarity.shape_distance(flat, twisted)) > 0.2
    rng = np.random.default_rng(0)
    assert float(similarity.mutual_knn(flat, twisted[rng.permutation(61)], **options)) < 0.2

"""Folds: how many, who is in which, and the bounds of test sets by a slow loop."""

from __future__ import annotations

import numpy as np
import pytest

from neuroalign.errors import InvalidValueError
from neuroalign.rsa.folds import Part, check_folds, held_out
from neuroalign.schema import square

N_STIMULI, N_SUBJECTS = 9, 5
N_PAIRS = 36


@pytest.fixture
def rows(rng):
    return rng.random(N_PAIRS) + rng.random((N_SUBJECTS, N_PAIRS))


@pytest.fixture
def parts(rng):
    return [Part("fixed", rng.random((1, N_PAIRS))) for _ in range(2)]


@pytest.mark.parametrize(
    ("folds", "expected"),
    [
        (None, (1, 1)),
        ({}, (1, 1)),
        ({"subject": 1}, (1, 1)),
        ({"stimulus": np.int64(3)}, (1, 3)),
        ({"stimulus": 2, "subject": 4}, (4, 2)),
    ],
    ids=str,
)
def test_folds_that_are_not_named_are_one(folds, expected):
    assert check_folds(folds) == expected


@pytest.mark.parametrize("k", [0, -1, True, 2.0, "2"], ids=repr)
def test_folds_that_are_no_number_are_refused(k):
    with pytest.raises(InvalidValueError, match="folds over stimulus must be a positive integer"):
        check_folds({"stimulus": k})


def correlation(a, b, stimuli):
    """Return the correlation of two RDMs over the pairs of distinct stimuli in a list."""
    i, j = np.triu_indices(len(stimuli), 1)
    keep = stimuli[i] != stimuli[j]
    return np.corrcoef(*(square(z)[stimuli[i], stimuli[j]][keep] for z in (a, b)))[0, 1]


def pooled(rows, who, stimuli):
    """Return the mean of some subjects' RDMs, standardised over the pairs of a list of stimuli."""
    i, j = np.triu_indices(len(stimuli), 1)
    keep = stimuli[i] != stimuli[j]
    z = []
    for row in rows[who]:
        own = square(row)[stimuli[i], stimuli[j]][keep]
        z.append((row - own.mean()) / own.std())
    return np.mean(z, axis=0)


def slow(parts, rows, counts, shares, orders, folds):
    """Return means, bounds and scores by copying subjects and stimuli."""

    def cut(order, drawn, k):
        present = [i for i in order if drawn[i]]
        if k == 1:
            return [(present, present)]
        return [([p for n, p in enumerate(present) if n % k != i], present[i::k]) for i in range(k)]

    def copies(items, drawn):
        return np.repeat(sorted(items), drawn[sorted(items)])

    means, bounds = [], []
    scores = {(m, s): [] for m in range(len(parts)) for s in range(len(rows))}
    for _, test in cut(orders[1], counts, folds[1]):
        stimuli = copies(test, counts)
        for train, left in cut(orders[0], shares, folds[0]):
            who = copies(left, shares)
            table = [[correlation(p.components[0], rows[s], stimuli) for s in who] for p in parts]
            means.append(np.mean(table, axis=1))
            for m, p in enumerate(parts):
                for s in set(who.tolist()):
                    scores[m, s].append(correlation(p.components[0], rows[s], stimuli))
            everyone = copies(np.flatnonzero(shares), shares)
            whole = pooled(rows, everyone, stimuli)
            if folds[0] == 1:
                # Each subject who was drawn once, against all copies of the others.
                own = np.flatnonzero(shares)
                lower = [
                    correlation(rows[s], pooled(rows, everyone[everyone != s], stimuli), stimuli) for s in own
                ]
                upper = [correlation(rows[s], whole, stimuli) for s in own]
            else:
                others = pooled(rows, copies(train, shares), stimuli)
                lower = [correlation(rows[s], others, stimuli) for s in who]
                upper = [correlation(rows[s], whole, stimuli) for s in who]
            bounds.append([np.mean(lower), np.mean(upper)])
    table = [
        [np.mean(found) if (found := scores[m, s]) else np.nan for s in range(len(rows))]
        for m in range(len(parts))
    ]
    return np.mean(means, axis=0), np.mean(bounds, axis=0), np.array(table)


@pytest.mark.parametrize("folds", [(1, 1), (1, 2), (2, 1), (3, 2)], ids=str)
def test_scores_and_bounds_of_test_sets_are_those_of_a_slow_loop(rows, parts, rng, folds):
    counts, shares = np.array([1, 2, 1, 0, 1, 3, 1, 1, 1]), np.array([1, 2, 1, 0, 1])
    orders = rng.permutation(N_SUBJECTS), rng.permutation(N_STIMULI)
    found = held_out(parts, rows, counts, shares, orders, folds, "pearson")
    expected = slow(parts, rows, counts, shares, orders, folds)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-12)
    assert np.isnan(found[2][:, 3]).all() and np.isfinite(np.delete(found[2], 3, axis=1)).all()


def test_bounds_that_are_not_asked_for_are_undefined(rows, parts, rng):
    orders = rng.permutation(N_SUBJECTS), rng.permutation(N_STIMULI)
    counts, shares = np.ones(N_STIMULI, dtype=int), np.ones(N_SUBJECTS, dtype=int)
    means, bounds, _ = held_out(parts, rows, counts, shares, orders, (2, 1), "pearson", ceiling=False)
    assert np.isfinite(means).all() and np.isnan(bounds).tolist() == [True, True]

"""Compressed alphas: within their tolerance, and never seen in what is reported."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from neuroalign.encoding.compression import LEAST_ALPHAS, compress
from neuroalign.encoding.folds import designs, folds
from neuroalign.encoding.refinement import refine
from neuroalign.encoding.ridge import RidgeCV
from neuroalign.encoding.rotations import decompose, project, rotation_scores
from neuroalign.encoding.splits import contiguous_splits

VALUES = torch.linspace(0.1, 50, 40, dtype=torch.float64)


def grid(n, low=-1, high=4):
    return torch.logspace(low, high, n, dtype=torch.float64)


def data(n=200, p=30, t=40, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) * np.exp(-np.arange(p) / 10)
    signal = X @ rng.standard_normal((p, t))
    return X, signal / signal.std(axis=0) + rng.uniform(0.3, 3, t) * rng.standard_normal((n, t))


@pytest.mark.parametrize("tolerance", [1e-2, 1e-5, 1e-9])
@pytest.mark.parametrize("relative", [False, True])
def test_every_alpha_is_within_the_tolerance(tolerance, relative):
    inverse, weights = 1 / (VALUES + grid(30)[:, None]), VALUES.sqrt()
    basis = compress(inverse, weights, tolerance, relative=relative)
    missed = ((inverse - basis.combine @ basis.functions) * weights).norm(dim=1)
    if relative:
        missed = missed / (inverse * weights).norm(dim=1)
    assert float(missed.max()) <= tolerance * (1 + 1e-6) + 1e-14
    assert len(basis.functions) < 30


def test_a_smaller_tolerance_takes_a_higher_rank():
    inverse = 1 / (VALUES + grid(30)[:, None])
    ranks = [len(compress(inverse, VALUES, tolerance).functions) for tolerance in (1e-1, 1e-3, 1e-6)]
    assert ranks == sorted(set(ranks))


def test_few_alphas_or_a_full_rank_are_not_compressed():
    few = 1 / (VALUES + grid(LEAST_ALPHAS - 1)[:, None])
    assert compress(few, VALUES, 1e-1) is None
    assert compress(1 / (VALUES + grid(8)[:, None]), VALUES, 1e-15) is None


@pytest.mark.parametrize("scoring", ["r2", "pearson", "neg_mse"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n_test", [20, 50])
def test_compressed_alphas_select_as_all_alphas_do_and_scores_are_exact(scoring, dtype, n_test):
    X, Y = (each.astype(dtype) for each in data())
    options = {"cv": contiguous_splits(200, 200 // n_test), "scoring": scoring, "edge_tolerance": 1}
    options |= {"alphas": np.logspace(-1, 4, 20), "device": "cpu"}
    a = RidgeCV(**options).fit(X, Y)
    b = RidgeCV(**options, compress=False).fit(X, Y)
    assert max(a.report_["alpha_ranks"]) < 18
    assert b.report_["alpha_ranks"] == []
    np.testing.assert_array_equal(a.alpha_, b.alpha_)
    # A product of fewer columns rounds otherwise: in float32 by some 1e-7 of a score of about 1.
    close = {"rtol": 1e-12} if dtype == "float64" else {"rtol": 1e-6, "atol": 2e-7}
    np.testing.assert_allclose(a.cv_scores_, b.cv_scores_, **close)
    np.testing.assert_allclose(a.coef_, b.coef_, rtol=1e-12)


def concentrated(X, n_targets, noise, seed=0):
    """Targets along single directions of the features, which a basis for any target serves worst."""
    rng = np.random.default_rng(seed)
    along = np.linalg.svd(X - X.mean(axis=0), full_matrices=False)[0][:, :n_targets] * np.sqrt(len(X))
    return along + noise * rng.standard_normal(along.shape)


@pytest.mark.parametrize("scoring", ["r2", "pearson", "neg_mse"])
@pytest.mark.parametrize("tolerance", [1e-1, 1e-2, 1e-3])
@pytest.mark.parametrize("noise", [0.05, 1.0])
def test_a_loose_basis_selects_as_all_alphas_do(monkeypatch, scoring, tolerance, noise):
    X, Y = data(t=60, seed=3)
    Y = np.concatenate([Y, concentrated(X, 30, noise)], axis=1)
    alphas = np.logspace(-1, 3, 40)
    options = {"edge_tolerance": 1, "device": "cpu", "scoring": scoring}
    exact = RidgeCV(alphas, compress=False, **options).fit(X, Y)
    monkeypatch.setattr("neuroalign.encoding.choosing.TOLERANCE", tolerance)
    loose = RidgeCV(alphas, **options).fit(X, Y)
    assert max(loose.report_["alpha_ranks"]) <= 12
    np.testing.assert_array_equal(loose.alpha_, exact.alpha_)
    np.testing.assert_allclose(loose.cv_scores_, exact.cv_scores_, rtol=1e-10)


@pytest.mark.parametrize("scoring", ["r2", "pearson", "neg_mse"])
def test_compressed_scores_are_off_by_no_more_than_they_say(scoring):
    X, Y = data(t=60, seed=4)
    Y = np.concatenate([Y, concentrated(X, 30, 0.1), concentrated(X, 30, 1.0)], axis=1)
    X, Y = (torch.from_numpy(each - each.mean(axis=0)) for each in (X, Y))
    alphas = np.logspace(4, -1, 30)
    for part, fold in zip(*_parts(X, Y), strict=True):
        truth, none = _scores(part, fold, alphas, scoring, None)
        assert none is None
        for tolerance in (1e-1, 1e-3, 1e-5):
            found, slack = _scores(part, fold, alphas, scoring, tolerance)
            assert (np.abs(found - truth) <= slack + 1e-12).all()
            assert (slack > 0).any()


def _parts(X, Y):
    parts = list(designs(X, contiguous_splits(len(X), 5)))
    return parts, folds(X, Y, parts)


def _scores(part, fold, alphas, scoring, tolerance):
    rotation = decompose(part, alphas, tolerance=tolerance, relative=scoring == "pearson")
    projected = project(rotation, fold.cross)
    found = rotation_scores(rotation, fold, projected, scoring)
    if found.slack is None:
        return found.scores.numpy(), None
    return found.scores.numpy(), found.slack.numpy()


@pytest.mark.parametrize("scoring", ["r2", "neg_mse"])
@pytest.mark.parametrize("place", [0, 10, 29])
def test_scores_around_an_exact_one_are_nearer_and_off_by_no_more_than_they_say(scoring, place):
    X, Y = data(t=60, seed=4)
    Y = np.concatenate([Y, concentrated(X, 30, 0.1), concentrated(X, 30, 1.0)], axis=1)
    X, Y = (torch.from_numpy(each - each.mean(axis=0)) for each in (X, Y))
    alphas = np.logspace(4, -1, 30)
    best = torch.full((Y.shape[1],), place)
    for part, fold in zip(*_parts(X, Y), strict=True):
        truth, _ = _scores(part, fold, alphas, scoring, None)
        for tolerance in (1e-1, 1e-2, 1e-4):
            rotation = decompose(part, alphas, tolerance=tolerance)
            projected = project(rotation, fold.cross)
            scored = rotation_scores(rotation, fold, projected, scoring)
            found = refine(rotation, fold, projected, scored, best, scoring)
            own, around, slack = (each.numpy() for each in found)
            np.testing.assert_allclose(own, truth[place], rtol=1e-9, atol=1e-9)
            np.testing.assert_allclose(around[place], own, rtol=1e-9, atol=1e-9)
            assert (np.abs(around - truth) <= slack + 1e-9).all()
            near = slice(max(place - 2, 0), place + 3)
            rough = np.abs(scored.scores.numpy() - truth)[near].mean()
            assert np.abs(around - truth)[near].mean() < rough


def test_one_alpha_for_all_targets_is_the_best_mean_of_exact_scores():
    X, Y = data(t=60, seed=5)
    options = {"alphas": np.logspace(0, 2, 40), "shared_alpha": True, "edge_tolerance": 1, "device": "cpu"}
    a, b = RidgeCV(**options).fit(X, Y), RidgeCV(**options, compress=False).fit(X, Y)
    np.testing.assert_array_equal(a.alpha_, b.alpha_)
    np.testing.assert_allclose(a.cv_scores_, b.cv_scores_, rtol=1e-12)


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("scale", [1e-9, 1e9])
def test_the_unit_of_the_targets_changes_no_score(scale, compressed):
    X, Y = data(t=6)
    Y = Y + 1.0
    options = {"cv": contiguous_splits(200, 4), "scoring": "pearson", "alphas": np.logspace(-1, 4, 20)}
    options |= {"device": "cpu", "compress": compressed, "dtype": "float64"}
    a, b = (RidgeCV(**options).fit(X, y) for y in (Y, Y * scale))
    np.testing.assert_array_equal(a.alpha_, b.alpha_)
    np.testing.assert_allclose(a.cv_scores_, b.cv_scores_, rtol=1e-9)

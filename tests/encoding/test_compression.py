"""Compressed alphas: within their tolerance, and never seen in what is reported."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from neuroalign.encoding.compression import LEAST_ALPHAS, compress
from neuroalign.encoding.ridge import RidgeCV
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
    np.testing.assert_allclose(a.cv_scores_, b.cv_scores_, rtol=1e-12)
    np.testing.assert_allclose(a.coef_, b.coef_, rtol=1e-12)


def test_a_near_tie_is_decided_without_compression(monkeypatch):
    X, Y = data(t=60, seed=3)
    alphas = np.logspace(0, 1, 40)
    options = {"edge_tolerance": 1, "device": "cpu", "scoring": "pearson"}
    exact = RidgeCV(alphas, compress=False, **options).fit(X, Y)
    monkeypatch.setitem(
        __import__("neuroalign.encoding.choosing", fromlist=["x"]).TOLERANCES, "float64", 1e-4
    )
    loose = RidgeCV(alphas, **options).fit(X, Y)
    assert max(loose.report_["alpha_ranks"]) <= 5
    np.testing.assert_allclose(loose.cv_scores_, exact.cv_scores_, rtol=1e-4)
    # Neighbours of the best alpha are near ties here; a third alpha may tie as well.
    assert (loose.alpha_ == exact.alpha_).mean() > 0.9

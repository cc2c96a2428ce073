"""R19: what is fitted never sees a test row, and targets that mean nothing score 0."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from laws import data, estimators, fitted, noise, series
from sklearn.base import BaseEstimator, clone

from neuroalign import encoding, localization

ESTIMATORS = estimators()
N, P, T = 80, 6, 4
SPLITS = encoding.contiguous_splits(N, 4, purge=2)


class Kept(BaseEstimator):
    """A model that remembers every one of its fits."""

    fits: list = []  # noqa: RUF012  (shared by clones on purpose)

    def __init__(self, model=None):
        self.model = model

    def fit(self, X, Y):
        self.fitted_ = clone(self.model).fit(X, Y)
        Kept.fits.append((fitted(self.fitted_), np.array(X), np.array(Y)))
        return self

    def predict(self, X):
        return self.fitted_.predict(X)


def fits_of(model, X, Y, splits):
    Kept.fits = []
    encoding.evaluate(Kept(model), X, Y, splits=splits)
    return Kept.fits


@pytest.mark.parametrize("name", list(ESTIMATORS))
def test_test_rows_replaced_by_noise_change_nothing_fitted(name, tried):
    X, Y = data(N, P, T)
    model, bad, n = ESTIMATORS[name](P), [], 0
    for fold, (train, test) in enumerate(SPLITS):
        outside = np.setdiff1d(np.arange(N), train)
        noisy = [x.copy() for x in (X, Y)]
        for x in noisy:
            x[outside] = 1e4 * noise(len(outside), x.shape[1], seed=fold)
        labelled = [[series(x, "feature"), series(y, "neuroid")] for x, y in ((X, Y), noisy)]
        (first, *seen), (second, *other) = (fits_of(model, *pair, [(train, test)])[0] for pair in labelled)
        pairs = {**{k: (v, second[k]) for k, v in first.items()}, "rows": (seen[0], other[0])}
        pairs["targets"] = (seen[1], other[1])
        bad += [
            f"fold {fold}: {k}" for k, (a, b) in pairs.items() if not np.array_equal(a, b, equal_nan=True)
        ]
        n += len(pairs)
    tried("R19", "parts of fitted models, test rows replaced by noise", n, bad)


@pytest.mark.parametrize("name", list(ESTIMATORS))
def test_targets_of_shuffled_rows_score_0(name, tried):
    """Scores of targets are independent given the features; a fold's mean score is taken as one draw."""
    X, bad = series(noise(N, P), "feature"), []
    rng = np.random.default_rng(1)
    Y = series(np.stack([rng.permutation(noise(N, 1, seed=i)[:, 0]) for i in range(60)], axis=1), "neuroid")
    found = encoding.evaluate(ESTIMATORS[name](P), X, Y, splits=encoding.contiguous_splits(N, 4))
    # A target whose weights are all 0 has a constant prediction and no score: it is counted and says nothing.
    means = found.mean("fold", skipna=True)
    known = means.values[np.isfinite(means.values)]
    error = known.std(ddof=1) / np.sqrt(len(known))
    # Means of folds anticorrelate a little with their training rows: the score may be below 0, never above.
    if not (known.mean() < 3 * error and known.mean() > -0.15):
        bad.append(f"{known.mean():.3f} with a standard error of {error:.3f}")
    tried("R19", "estimators on shuffled targets (60 each), within 3 standard errors of 0", 1, bad)


def test_contexts_of_batched_ridge_know_nothing_of_each_other(tried):
    X, Y = noise(3, 20, 4), noise(3, 20, seed=1)
    model = encoding.BatchedRidge([1.0, 10.0], edge_tolerance=1)
    first = fitted(clone(model).fit(X, Y))
    other = X.copy(), Y.copy()
    other[0][1:], other[1][1:] = 1e4 * noise(2, 20, 4, seed=2), 1e4 * noise(2, 20, seed=3)
    second = fitted(clone(model).fit(*other))
    names = [k for k, v in first.items() if v.ndim and len(v) == 3]
    bad = [k for k in names if not np.allclose(first[k][0], second[k][0], rtol=1e-10, equal_nan=True)]
    tried("R19", "contexts of batched ridge, the others replaced by noise", len(names), bad)


def test_standardising_is_of_training_rows_only(tried):
    X, Y = data(N, P, T)
    train, test = SPLITS[1]
    far = X.copy()
    far[test] += 1e3
    (_, seen, _), (_, moved, _) = (
        fits_of(encoding.OLS(), series(x, "feature"), series(Y, "neuroid"), [(train, test)])[0]
        for x in (X, far)
    )
    bad = [] if np.array_equal(seen, moved) else ["test rows moved the scaler"]
    np.testing.assert_allclose(seen.mean(axis=0), 0, atol=1e-10)
    np.testing.assert_allclose(seen.std(axis=0), 1, atol=1e-10)
    tried("R19", "scalers, test rows far from the training rows", 1, bad)


def localizer_data(seed=0):
    stimuli = pd.DataFrame(
        {
            "stimulus": [f"s{i:02d}" for i in range(32)],
            "condition": np.tile(["sentence", "nonword"], 16),
            "run": np.repeat([0, 1, 2, 3], 8),
        }
    )
    values = noise(32, 40, seed=seed)
    values[np.ix_(stimuli["condition"] == "sentence", range(8))] += 1.0
    coords = {"stimulus": stimuli["stimulus"].to_numpy()}
    return stimuli, xr.Dataset({"h.0": xr.DataArray(values, dims=("stimulus", "unit"), coords=coords)})


def test_units_are_selected_without_the_runs_that_measure_them(tried):
    """Units chosen in one run: those that another run's noise would choose are not among them by more."""
    stimuli, layers = localizer_data()
    train = (stimuli["run"] < 2).to_numpy()
    sides = [
        stimuli.loc[train & (stimuli["condition"] == c), "stimulus"].tolist() for c in ("sentence", "nonword")
    ]
    noisy = layers.copy(deep=True)
    noisy["h.0"].values[~train] = 1e4 * noise(int((~train).sum()), 40, seed=4)
    masks = [localization.localize(one, *sides, k=5)["mask"].values for one in (layers, noisy)]
    bad = [] if np.array_equal(*masks) else ["the runs that measure changed the selection"]
    tried("R19", "selected units, held-out runs replaced by noise", 40, bad)


def test_held_out_selectivity_of_noise_is_0(tried):
    values = []
    for seed in range(12):
        stimuli, layers = localizer_data(seed)
        layers["h.0"].values[:] = noise(32, 40, seed=100 + seed)
        found = localization.cross_validated_selectivity(layers, stimuli, "sentence", "nonword", k=5)
        values.append(float(found["mask_d"].mean()))
    error = np.std(values, ddof=1) / np.sqrt(len(values))
    bad = [] if abs(np.mean(values)) < 3 * error else [f"{np.mean(values):.2f}, standard error {error:.2f}"]
    tried("R19", "held-out selectivity of noise (localizers), within 3 standard errors of 0", 12, bad)

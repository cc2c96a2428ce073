"""Rows of ``encoding``."""

import numpy as np
import pandas as pd
import xarray as xr
from battery import Row
from made import activations, located, names, noise, rng, series, subjects_series

from neuroalign import encoding as enc

ROOMS = ("encoding",)
ALPHAS = [0.1, 10.0]
BANDS = ["a", "a", "b"]


def raw():
    X = noise(24, 3)
    return {"X": X, "Y": X @ noise(3, 2, seed=1) + noise(24, 2, seed=2)}


def timed(bands=False):
    X = series(40, 3, dim="feature")
    if bands:
        X = X.assign_coords(band=("feature", BANDS))
    values = X.values @ noise(3, 2, seed=1) + noise(40, 2, seed=2)
    Y = xr.DataArray(
        values,
        dims=("time", "neuroid"),
        coords={"time": X["time"], "run": X["run"], "neuroid": names(2, "n")},
    )
    return {"X": X, "Y": Y}


def fitted(model, X, Y, **more):
    model.fit(X, Y, **more)
    found = {name: getattr(model, name) for name in ("coef_", "predict") if hasattr(model, name)}
    found["predict"] = model.predict(X)
    return {**found, "n_undefined": getattr(model, "n_undefined_", 0)}


def estimator(name, make, *, shift=("X", "Y"), tolerance=1e-7, data=raw):
    def call(X, Y):
        found = fitted(make(np.shape(X)[-1]), X, Y)
        # Predictions move with the mean of Y and coefficients do not.
        return {**found, "predict": found["predict"] - np.mean(np.asarray(Y, dtype=np.float64), axis=0)}

    axes = {"X": ("time", "feature"), "Y": ("time", "target")}
    return Row(f"encoding.{name}", data, call, axes, shift=shift, tolerance=tolerance)


def bands_of(n):
    return ["a"] * (n - n // 2) + ["b"] * (n // 2)


def splits(x, n=2):
    return enc.contiguous_splits(len(x), n)


def ridge():
    return enc.RidgeCV([1.0], cv=2, edge_tolerance=1.0)


def labelled_trials():
    kind = np.array(["a", "b"] * 8)
    values = noise(16, 4, 2) + 2.0 * (kind == "a")[:, None, None]
    return {
        "responses": xr.DataArray(
            values,
            dims=("presentation", "neuroid", "time"),
            coords={
                "kind": ("presentation", kind),
                "run": ("presentation", np.repeat([1, 2], 8)),
                "time": [0.0, 0.1],
            },
        )
    }


def predictions():
    Y = series(30, 3)
    return {"predictions": Y + 0.5 * noise(30, 3, seed=3), "responses": Y}


def words():
    return pd.DataFrame({"stimulus": names(12), "onset": 0.5 * np.arange(12) + 0.1})


def plain():
    return enc.OLS()


def around(x):
    n = x.sizes["neuroid"]
    return [np.arange(max(0, i - 1), min(n, i + 2)) for i in range(n)]


def sphere_data():
    Y = located(24, 5)
    return {"features": activations(24, 2, seed=1), "responses": Y}


def parts():
    y = noise(12, 2)
    return {"y": y, "parts": 0.4 * y + 0.1 * noise(2, 12, 2, seed=1)}


def band_scores():
    return {
        "scores": xr.DataArray(
            [[0.3, 0.2], [0.2, 0.4], [0.5, 0.45]],
            dims=("union", "neuroid"),
            coords={"union": ["a", "b", "a + b"], "neuroid": names(2, "n")},
        )
    }


TWO = {"X": None, "Y": None}
TABLE = [
    estimator("OLS", lambda n: enc.OLS()),
    estimator("PLSCV", lambda n: enc.PLSCV([1, 2], cv=2)),
    estimator("RidgeCV", lambda n: enc.RidgeCV(ALPHAS, cv=2, edge_tolerance=1.0)),
    estimator("KernelRidgeCV", lambda n: enc.KernelRidgeCV(ALPHAS, cv=2, edge_tolerance=1.0)),
    estimator("NonNegativeRidgeCV", lambda n: enc.NonNegativeRidgeCV(ALPHAS, cv=2, edge_tolerance=1.0)),
    estimator(
        "BandedRidgeCV",
        lambda n: enc.BandedRidgeCV(ALPHAS, bands=bands_of(n), cv=2, n_candidates=3, edge_tolerance=1.0),
    ),
    estimator(
        "BatchedRidge",
        lambda n: enc.BatchedRidge(ALPHAS, edge_tolerance=1.0),
        data=lambda: {"X": noise(3, 12, 4), "Y": noise(3, 12, seed=1)},
    ),
    estimator("StackingCV", lambda n: enc.StackingCV(ridge(), bands=bands_of(n), cv=2)),
    estimator(
        "TemporalResponseFunction",
        lambda n: enc.TemporalResponseFunction(0.0, 0.01, fs=100.0, alphas=ALPHAS, cv=2, edge_tolerance=1.0),
    ),
    Row(
        "encoding.BandReduction",
        lambda: {"X": noise(20, 4)},
        lambda X: enc.BandReduction(1, bands=bands_of(X.shape[1])).fit(X).transform(X),
        {"X": ("time", "feature")},
        shift=("X",),
        tolerance=1e-6,
    ),
    Row(
        "encoding.TimeSeriesDesign",
        timed,
        lambda X, Y: (
            (design := enc.TimeSeriesDesign.of(X, Y).zscore("both").delay([1])) and (design.X, design.Y)
        ),
        TWO,
        shift=("X", "Y"),
        ordered=True,
        documented={"Y:all NaN": "silent NaN: a neuroid may be NaN in the whole of a run that it was not in"},
    ),
    Row(
        "encoding.band_of",
        lambda: {"X": timed(bands=True)["X"]},
        enc.band_of,
        {"X": None},
        labels=True,
        ordered=True,
    ),
    Row(
        "encoding.take_bands",
        lambda: {"X": timed(bands=True)["X"]},
        lambda X: enc.take_bands(X, ["a"]),
        {"X": None},
        labels=True,
        ordered=True,
    ),
    Row(
        "encoding.join_bands",
        lambda: {"sound": series(20, 2, dim="feature"), "words": series(20, 3, dim="feature", seed=1)},
        lambda sound, words: enc.join_bands({"sound": sound, "words": words}),
        {"sound": None, "words": None},
        labels=True,
    ),
    Row(
        "encoding.best_hrf",
        timed,
        lambda X, Y: enc.best_hrf(
            plain(), X, Y, train=np.arange(len(X)), hrfs=[enc.SPM, enc.GLOVER], n_splits=2
        ),
        TWO,
        ordered=True,
    ),
    Row("encoding.convolve", lambda: {"X": timed()["X"]}, enc.convolve, {"X": None}, ordered=True),
    Row(
        "encoding.delay",
        lambda: {"X": timed()["X"]},
        lambda X: enc.delay(X, [0, 1]),
        {"X": None},
        ordered=True,
    ),
    Row(
        "encoding.lag", lambda: {"X": timed()["X"]}, lambda X: enc.lag(X, 0.0, 2.0), {"X": None}, ordered=True
    ),
    Row(
        "encoding.cross_validated_predictions",
        timed,
        lambda X, Y: enc.cross_validated_predictions(plain(), X, Y, splits=splits(X)),
        TWO,
        ordered=True,
    ),
    Row(
        "encoding.evaluate",
        timed,
        lambda X, Y: enc.evaluate(ridge(), X, Y, splits=splits(X)),
        TWO,
        shift=("X", "Y"),
        ordered=True,
        tolerance=1e-7,
    ),
    Row(
        "encoding.split_scores",
        lambda: timed(bands=True),
        lambda X, Y: enc.split_scores(ridge(), X, Y, splits=splits(X)),
        TWO,
        shift=("X", "Y"),
        ordered=True,
        tolerance=1e-7,
    ),
    Row(
        "encoding.union_scores",
        lambda: timed(bands=True),
        lambda X, Y: enc.union_scores(plain(), X, Y, splits=splits(X)),
        TWO,
        shift=("X", "Y"),
        ordered=True,
        tolerance=1e-7,
    ),
    Row(
        "encoding.with_bands",
        lambda: {"X": timed(bands=True)["X"]},
        lambda X: list(enc.with_bands(enc.BandedRidgeCV(), X).bands),
        {"X": None},
        labels=True,
        ordered=True,
    ),
    Row(
        "encoding.decode",
        labelled_trials,
        lambda responses: enc.decode(responses, "kind"),
        {"responses": None},
        tolerance=1e-6,
    ),
    Row(
        "encoding.temporal_decoding",
        labelled_trials,
        lambda responses: enc.temporal_decoding(responses, "kind"),
        {"responses": None},
        tolerance=1e-6,
    ),
    Row(
        "encoding.diagnostics",
        raw,
        lambda X, Y: enc.diagnostics(enc.RidgeCV(ALPHAS, cv=2, edge_tolerance=1.0), X, Y),
        {"X": ("time", "feature"), "Y": ("time", "target")},
        tolerance=1e-7,
    ),
    Row(
        "encoding.drift_basis", lambda: {"times": 2.0 * np.arange(10)}, enc.drift_basis, {"times": ("time",)}
    ),
    Row(
        "encoding.remove_drifts",
        lambda: {"x": noise(10, 3), "basis": enc.drift_basis(2.0 * np.arange(10))},
        enc.remove_drifts,
        {"x": ("time", "neuroid"), "basis": ("time", "drift")},
        shift=("x",),
    ),
    Row(
        "encoding.group_mean",
        lambda: {"series": subjects_series()},
        enc.group_mean,
        {"series": None},
        shift=("series",),
        ordered=True,
    ),
    Row(
        "encoding.leave_one_subject_out",
        lambda: {"series": subjects_series()},
        enc.leave_one_subject_out,
        {"series": None},
        shift=("series",),
        ordered=True,
    ),
    Row(
        "encoding.predict_held_out",
        timed,
        lambda X, Y: enc.predict_held_out(
            enc.TemporalResponseFunction(0.0, 2.0, alphas=ALPHAS, cv=2, edge_tolerance=1.0),
            X,
            Y,
            splits=splits(X),
        ),
        TWO,
        ordered=True,
    ),
    Row(
        "encoding.product_measure",
        parts,
        enc.product_measure,
        {"y": ("time", "neuroid"), "parts": ("band", "time", "neuroid")},
    ),
    Row(
        "encoding.score_tests",
        predictions,
        lambda predictions, responses: enc.score_tests(predictions, responses, n=9, rng=rng()),
        {"predictions": None, "responses": None},
        shift=("predictions", "responses"),
        ordered=True,
        random=True,
        documented={"one NaN": "counted: a neuroid with NaN has no score; n_undefined counts"},
        columns=("predictions", "responses"),
    ),
    Row(
        "encoding.searchlight",
        sphere_data,
        lambda features, responses: enc.searchlight(
            features, responses, around(responses), splits=splits(responses)
        ),
        {"features": None, "responses": None},
        ordered=True,
        tolerance=1e-7,
    ),
    Row(
        "encoding.searchlight_tests",
        sphere_data,
        lambda features, responses: enc.searchlight_tests(
            features, responses, around(responses), splits=splits(responses), n=5, rng=rng(), within=None
        ),
        {"features": None, "responses": None},
        ordered=True,
        random=True,
        tolerance=1e-7,
    ),
    Row(
        "encoding.simplex_weights",
        lambda: {"Q": np.array([[[1.0, 0.2], [0.2, 3.0]]])},
        enc.simplex_weights,
        {"Q": ("neuroid", "a", "b")},
    ),
    Row(
        "encoding.to_trs",
        lambda: {"activations": activations()},
        lambda activations: enc.to_trs(activations, words(), 2.0 * np.arange(4), tr=2.0),
        {"activations": None},
        documented={
            "non-ASCII labels": "refused: the words' labels are other ones then",
            "labels are numbers": "refused: the words' labels are other ones then",
        },
    ),
    Row("encoding.variance_partitioning", band_scores, enc.variance_partitioning, {"scores": None}),
    Row("encoding.GLOVER", lambda: {"times": np.arange(5.0)}, enc.GLOVER, {"times": ("time",)}),
    Row("encoding.SPM", lambda: {"times": np.arange(5.0)}, enc.SPM, {"times": ("time",)}),
]
EXEMPT = {
    "encoding.AlphaEdgeWarning": "a warning",
    "encoding.DoubleGamma": "takes numbers; its calls are the rows GLOVER and SPM",
    "encoding.contiguous_splits": "takes a number of rows, or an array of which only the length counts",
    "encoding.convolve_events": "takes a table of events; tests/encoding/test_hrf.py",
    "encoding.group_splits": "takes labels of rows; tests/encoding/test_splits.py",
    "encoding.hrf_library": "takes nothing",
    "encoding.hrf_rows": "takes numbers",
    "encoding.leave_one_run_out": "takes labels of rows; tests/encoding/test_splits.py",
    "encoding.nested_splits": "takes row numbers; tests/encoding/test_splits.py",
    "encoding.purge_splits": "takes row numbers; tests/encoding/test_splits.py",
    "encoding.shuffled_splits": "takes a number",
    "encoding.stratified_splits": "takes labels of rows; tests/encoding/test_splits.py",
}

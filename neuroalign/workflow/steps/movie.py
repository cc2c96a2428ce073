"""Figure 16: voxels encoded from a movie: pixels, motion energy, both as bands of one model."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from scipy.stats import spearmanr
from tqdm.auto import tqdm

from ... import datasets, encoding, io
from ...seeds import generator
from ...stimuli import motion_energy, pixels
from ..paths import Paths
from ..sections import Movie
from .common import write_values

__all__ = ["movie"]

PUBLISHED = "prf_r2"
BOTH, BACKWARDS = "both", "backwards"


def movie(paths: Paths) -> None:
    """Write the values of figure 16: a row a voxel, and a row a set of features, of delays, of folds."""
    section, seed = paths.study.movie or Movie(), paths.study.seed
    series = datasets.load(section.responses)
    seen = datasets.load(section.responses, what="stimulus")
    spaces = _spaces(seen, section)
    # The same frames in the wrong order: what slow drifts and the movie's own statistics can predict.
    backwards = _spaces(seen.copy(data=seen.values[::-1]), section)["pixels"]
    jobs = {name: _delayed(space, section.delays) for name, space in spaces.items()}
    jobs[BACKWARDS] = _delayed(backwards, section.delays)
    jobs[BOTH] = _delayed(encoding.join_bands(spaces), section.delays)
    splits = encoding.contiguous_splits(series.sizes["time"], section.n_folds, purge=section.purge)
    voxels: dict[str, np.ndarray] = {}
    edges = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", encoding.AlphaEdgeWarning)  # counted, said in the caption
        for name in tqdm([name for name in jobs if name != BOTH], desc="feature spaces", unit="space"):
            voxels[f"r {name}"], edges[name] = _scored(_ridge(section), jobs[name], series, splits)
        predicted = encoding.cross_validated_predictions(
            _banded(section, seed), jobs[BOTH], series, splits=splits
        )
        shares = encoding.split_scores(_banded(section, seed), jobs[BOTH], series, splits=splits, metric="r2")
        known = _known(spaces["pixels"], series, section)
    tests = encoding.score_tests(
        predicted, series, n=section.n_permutations, rng=generator(seed, "movie", "permutation")
    )
    voxels[f"r {BOTH}"] = tests["score"].values
    voxels |= {name: tests[name].values for name in ("p", "p_fdr", "p_max")}
    for band in shares["band"].values.tolist():
        voxels[f"share {band}"] = shares["contribution"].sel(band=band).mean("fold").values
    table = _voxel_rows(series, voxels)
    summaries = [_summary(name, voxels[f"r {name}"], series) for name in jobs]
    summaries += known
    notes = _notes(series, section, tests, edges, spaces)
    inputs = {"responses": io.content_digest(series), "movie": io.content_digest(seen)}
    rows = pd.concat([table, pd.DataFrame(summaries)], ignore_index=True)
    write_values(paths, 16, rows, inputs=inputs, section=section, notes=notes)


def _spaces(seen: xr.DataArray, section: Movie) -> dict[str, xr.DataArray]:
    found = {"pixels": pixels(seen, rows=section.rows, columns=section.columns)}
    found["motion energy"] = motion_energy(seen, n_directions=section.n_directions)
    return {name: space.drop_vars(set(space.coords) - {"time", "run"}) for name, space in found.items()}


def _delayed(features: xr.DataArray, delays: tuple[int, ...]) -> xr.DataArray:
    return encoding.delay(features - features.mean("time"), delays, runs=1)


def _alphas(section: Movie) -> list[float]:
    return np.logspace(section.alphas.low, section.alphas.high, section.alphas.n).tolist()


def _ridge(section: Movie, purge: int | None = None) -> encoding.RidgeCV:
    inner = section.purge if purge is None else purge
    return encoding.RidgeCV(_alphas(section), cv=section.n_folds - 1, purge=inner, device="cpu")


def _banded(section: Movie, seed: int) -> encoding.BandedRidgeCV:
    return encoding.BandedRidgeCV(
        _alphas(section),
        cv=section.n_folds - 1,
        purge=section.purge,
        n_candidates=section.n_candidates,
        seed=seed,
        device="cpu",
    )


def _scored(model: Any, design: xr.DataArray, series: xr.DataArray, splits: Any) -> tuple[np.ndarray, float]:
    """Return r (neuroid,), averaged over folds, and the share of penalties at an edge of the grid."""
    found = encoding.evaluate(model, design, series, splits=splits)
    edge = float(np.isin(found["alpha"].values, [min(model.alphas), max(model.alphas)]).mean())
    return found.mean("fold").values, edge


def _voxel_rows(series: xr.DataArray, voxels: dict[str, np.ndarray]) -> pd.DataFrame:
    places = {name: series[name].values for name in ("prf_x", "prf_y", PUBLISHED)}
    return pd.DataFrame({"kind": "voxel", "name": series["neuroid"].values, **places, **voxels})


def _summary(name: str, r: np.ndarray, series: xr.DataArray, **more: Any) -> dict[str, Any]:
    """Return mean and 90th percentile of r over voxels, and its agreement with the published R2."""
    published = series[PUBLISHED].values
    both = np.isfinite(published) & np.isfinite(r)
    return {
        "kind": "summary",
        "name": name,
        "mean r": float(np.nanmean(r)),
        "90th percentile of r": float(np.nanquantile(r, 0.9)),
        "spearman with published": float(spearmanr(r[both], published[both]).statistic),
        "n": int(np.isfinite(r).sum()),
        **more,
    }


def _known(space: xr.DataArray, series: xr.DataArray, section: Movie) -> list[dict[str, Any]]:
    """Return how pixels do with other delays, and without a purge, as they are often reported."""
    rows = []
    splits = encoding.contiguous_splits(series.sizes["time"], section.n_folds)
    for delays in section.other_delays:
        design = _delayed(space, delays)
        r, _ = _scored(_ridge(section, purge=0), design, series, splits)
        rows.append(_summary(f"pixels, delays {delays[0]} to {delays[-1]}, no purge", r, series))
    return rows


def _notes(
    series: xr.DataArray,
    section: Movie,
    tests: xr.Dataset,
    edges: dict[str, float],
    spaces: dict[str, xr.DataArray],
) -> dict[str, Any]:
    return {
        "responses": section.responses,
        "n_voxels": series.sizes["neuroid"],
        "n_constant": series.attrs["n_constant"],
        "n_published": int(np.isfinite(series[PUBLISHED].values).sum()),
        "n_times": series.sizes["time"],
        "tr": series.attrs["tr"],
        "n_features": {name: space.shape[1] for name, space in spaces.items()},
        "n_fdr": int((tests["p_fdr"] < 0.05).sum()),
        "n_max": int((tests["p_max"] < 0.05).sum()),
        "block": int(tests.attrs["block"]),
        "edge_share": edges,
        "cite": series.attrs["cite"],
    }

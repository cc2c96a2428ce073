"""Figure 19: searchlights in one person's brain, and in simulated brains with planted regions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ... import datasets, encoding, io, rsa, stats
from ...errors import FileError
from ...schema import make_rdm
from ...seeds import generator
from ..paths import Paths
from ..sections import Searchlight
from .common import write_values
from .searchlight_simulation import planted_surface, planted_volume

__all__ = ["searchlight"]

# What is neither a face nor a house nor scrambled is a small object.
KINDS = {"face": "face", "house": "house", "scrambledpix": "scrambled"}
REST = "rest"
# Mean and slope of each run, and the mean of each condition less the run's.
N_DRIFTS = 2


def searchlight(paths: Paths) -> None:
    """Write the maps as images, and the values of figure 19: a row a voxel, vertex, or point of a curve."""
    section, seed = paths.study.searchlight or Searchlight(), paths.study.seed
    series = datasets.load(section.responses, image=section.image)
    measured = {"inputs": {"responses": io.content_digest(series)}, "params": section.model_dump(mode="json")}
    maps, notes = object_maps(series, section, seed)
    tables = [_table("voxel", _kept(maps, paths, "objects", seed, **measured))]
    maps, curve, said = planted_volume(section, seed)
    simulated: dict[str, Any] = {"inputs": {}, "params": section.planted.model_dump(mode="json")}
    tables += [_table("simulated voxel", _kept(maps, paths, "planted", seed, **simulated)), curve]
    notes["planted"] = said
    maps, said = planted_surface(section, seed)
    io.save_gifti(maps, paths.map("surface", "func.gii"), hemisphere="left", seed=seed, **simulated)
    shown = maps.isel(neuroid=maps.sel(map="near").values == 1)
    tables.append(_table("simulated vertex", shown.assign_coords(neuroid=shown["vertex"].astype(str))))
    notes["surface"] = said
    notes["simulated"] = True
    rows = pd.concat(tables, ignore_index=True)
    write_values(paths, 19, rows, inputs=measured["inputs"], section=section, notes=notes)


def object_maps(series: xr.DataArray, section: Searchlight, seed: int) -> tuple[xr.DataArray, dict[str, Any]]:
    """Return maps (map, neuroid) of one person, and what the caption says of them.

    Parameters
    ----------
    series : DataArray (time, neuroid)
        With ``run`` and ``condition`` along time.
    section : Searchlight
    seed : int
    """
    signal = series.mean("time")
    series = stats.prepare_series(series)
    varies = np.isfinite(series.values).all(axis=0)
    series, signal = series.isel(neuroid=varies), signal.isel(neuroid=varies)
    patterns, residuals, dof = block_patterns(series)
    around = rsa.spheres(patterns, section.radius)
    common: dict[str, Any] = {"neighbours": around, "metric": "crossnobis", "method": section.method}
    common |= {"noise": residuals, "dof": dof}
    n, labels = section.n_permutations, patterns["condition"]
    conditions = patterns.assign_coords(stimulus=("presentation", labels.values))
    model = category_model(labels.values)
    tests = rsa.searchlight_tests(
        conditions,
        model,
        n=n,
        rng=generator(seed, "searchlight", "within runs"),
        permute="within folds",
        **common,
    )
    shuffled = _shuffled(labels.values, patterns["run"].values, generator(seed, "searchlight", "shuffled"))
    control = rsa.searchlight(
        conditions.assign_coords(stimulus=("presentation", labels.values[shuffled])), model, **common
    )
    halves = rsa.searchlight_reliability(
        conditions, n_splits=section.n_splits, rng=generator(seed, "searchlight", "halves"), **common
    )
    rows = patterns.drop_vars("stimulus").rename(presentation="stimulus")
    rows = rows.assign_coords(stimulus=patterns["stimulus"].values)
    decoded = encoding.searchlight_tests(
        rows["condition"].drop_vars(["run", "condition"]),
        rows,
        around,
        splits=encoding.leave_one_run_out(rows["run"].values),
        n=n,
        rng=generator(seed, "searchlight", "decoding"),
        alphas=section.alpha,
    )
    maps = {
        "model": tests["score"],
        "model p_max": tests["p_max"],
        "model p_fdr": tests["p_fdr"],
        "shuffled": control,
        "ceiling": halves["ceiling"],
        "decoding": decoded["score"],
        "decoding p_max": decoded["p_max"],
        "decoding p_fdr": decoded["p_fdr"],
        "size": tests["n_neuroids"],
        "signal": signal,
    }
    return _stacked(maps, series), _notes(tests, decoded, halves, control, series, around, dof)


def block_patterns(series: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray, float]:
    """Return the mean volume of each condition and run, what is left of the volumes, and its freedom.

    Returns
    -------
    patterns : DataArray (presentation, neuroid)
        Labels "run/condition"; coordinates ``run`` and ``condition``.
    residuals : DataArray (time, neuroid)
        Less the mean of the condition (rest is one) in the run.
    dof : float
        Volumes less means and slopes.
    """
    run, condition = series["run"].values, series["condition"].values
    cells = pd.MultiIndex.from_arrays([run, condition])
    code, found = pd.factorize(cells)
    means = np.stack([series.values[code == i].mean(axis=0) for i in range(len(found))])
    neuroids = {str(name): c.variable for name, c in series.coords.items() if c.dims == ("neuroid",)}
    residuals = series.copy(data=series.values - means[code])
    shown = [i for i, (_, name) in enumerate(found) if name != REST]
    coords: dict[str, Any] = {"stimulus": [f"{found[i][0]}/{found[i][1]}" for i in shown]}
    coords |= {"run": [found[i][0] for i in shown], "condition": [found[i][1] for i in shown]}
    coords = {name: ("presentation", values) for name, values in coords.items()}
    patterns = xr.DataArray(means[shown], dims=("presentation", "neuroid"), coords={**coords, **neuroids})
    # One mean of each run is that of its line.
    dof = len(series) - len(found) - (N_DRIFTS - 1) * len(np.unique(run))
    return patterns, residuals, float(dof)


def category_model(conditions: np.ndarray) -> xr.DataArray:
    """Return the RDM that is 0 within and 1 between faces, houses, scrambled pictures and small objects."""
    names = sorted(set(conditions.tolist()))
    kinds = np.array([KINDS.get(name, "small object") for name in names])
    a, b = np.triu_indices(len(names), 1)
    return make_rdm((kinds[a] != kinds[b]).astype(np.float64), names)


def _shuffled(conditions: np.ndarray, run: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return an order of the presentations that exchanges labels within runs."""
    order = np.arange(len(conditions))
    for name in np.unique(run):
        rows = np.flatnonzero(run == name)
        order[rows] = rows[stats.shuffle(len(rows), rng)]
    return order


def _stacked(maps: dict[str, xr.DataArray], series: xr.DataArray) -> xr.DataArray:
    """Return maps (map, neuroid) with where the neuroids lie."""
    coords = {str(k): c.variable for k, c in series.coords.items() if c.dims == ("neuroid",)}
    coords["map"] = xr.Variable("map", list(maps))
    values = np.stack([one.values.astype(np.float64) for one in maps.values()])
    attrs = {name: series.attrs[name] for name in ("affine", "shape")}
    return xr.DataArray(values, dims=("map", "neuroid"), coords=coords, attrs=attrs)


def _notes(
    tests: xr.Dataset,
    decoded: xr.Dataset,
    halves: xr.Dataset,
    control: xr.DataArray,
    series: xr.DataArray,
    around: list[np.ndarray],
    dof: float,
) -> dict[str, Any]:
    def found(made: xr.Dataset) -> dict[str, Any]:
        return {
            "n_max": int((made["p_max"] < 0.05).sum()),
            "n_fdr": int((made["p_fdr"] < 0.05).sum()),
            "threshold": made.attrs["threshold"][0],
            "mean": float(made["score"].mean()),
            "largest": float(made["score"].max()),
            "n_undefined": int(made.attrs["n_undefined"]),
        }

    return {
        "n_voxels": series.sizes["neuroid"],
        "n_constant": series.attrs["n_constant"],
        "n_runs": len(np.unique(series["run"].values)),
        "sizes": [min(map(len, around)), float(np.mean([len(s) for s in around])), max(map(len, around))],
        "dof": dof,
        "model": found(tests),
        "decoding": {**found(decoded), "chance": decoded.attrs["chance"]},
        "shuffled": {"mean": float(control.mean()), "largest": float(control.max())},
        "ceiling": {"median": float(halves["ceiling"].median()), "n_negative": halves.attrs["n_negative"]},
        "cite": series.attrs["cite"],
    }


def _kept(maps: xr.DataArray, paths: Paths, name: str, seed: int, **made: Any) -> xr.DataArray:
    """Write maps as an image and return what is read back from it, so that the figure draws the file."""
    path = paths.map(name)
    io.save_nifti(maps, path, seed=seed, **made)
    back = io.read_nifti(path).rename(map="map").assign_coords(map=maps["map"].values)
    inside = back.sel(neuroid=maps["neuroid"].values)
    if inside.attrs != maps.attrs or not np.allclose(inside, maps.values, rtol=1e-6, equal_nan=True):
        raise FileError(f"{path} does not hold the maps that were written; is the disk full?")
    return inside


def _table(kind: str, maps: xr.DataArray) -> pd.DataFrame:
    """Return a row a neuroid: its place and one column a map."""
    return io.map_table(maps).rename(columns={"neuroid": "name"}).assign(kind=kind)

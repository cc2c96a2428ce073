"""Simulated brains with planted regions: what a searchlight finds of them, and what it should not find."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from tqdm.auto import tqdm

from ... import datasets, rsa, stats
from ...schema import make_rdm, square
from ...seeds import generator
from ..sections import PlantedRegions, Searchlight

__all__ = ["planted_surface", "planted_volume"]

N_KINDS, N_A_KIND = 3, 4
STIMULI = [f"{kind}{i}" for kind in "abc" for i in range(N_A_KIND)]
# The region that carries the model, and the one that carries something else: each stimulus' own pattern.
TARGET, OTHER = "categories", "stimuli"
N_POINTS = 60
# On the surface: mm of the region around its middle vertex (inflated), how many vertices a disc has,
# mm of what is drawn, and how much stronger the signal is than in the volume, where there are more subjects.
PATCH, N_NEAREST, NEAR, SURFACE_SNR = 14.0, 30, 70.0, 20.0
MIDDLE = 5000


def planted_volume(section: Searchlight, seed: int) -> tuple[xr.DataArray, pd.DataFrame, dict[str, Any]]:
    """Return maps (map, neuroid) over subjects, hit and false-positive rates by threshold, and counts."""
    spec = section.planted
    places = datasets.volume_places(spec.shape, voxel=spec.voxel)
    subjects = [
        _volume(spec, places, generator(seed, "searchlight", "subject", i)) for i in range(spec.n_subjects)
    ]
    around = rsa.spheres(places, spec.radius)
    models = _models(spec, seed)
    maps = xr.concat(
        [
            _scored(one, models[i], around, section)
            for i, one in enumerate(tqdm(subjects, desc="simulated subjects"))
        ],
        "subject",
    ).assign_coords(subject=np.arange(spec.n_subjects))
    tests = stats.map_tests(maps.isel(model=0, drop=True))
    roi = subjects[0]["roi"].values
    inside = roi == TARGET
    # A sphere that reaches into the region is neither a hit nor a false positive.
    outside = ~np.array([inside[sphere].any() for sphere in around])
    nulls = [stats.map_tests(maps.isel(model=i, drop=True)) for i in range(1, maps.sizes["model"])]
    wrong = [bool((null["p_max"] < 0.05).any()) for null in nulls]
    curve = _curves(tests, nulls, maps.isel(model=0, drop=True), inside, outside)
    found = {
        "truth": xr.DataArray(np.select([inside, roi == OTHER], [1.0, 2.0]), dims="neuroid"),
        "mean": tests["mean"],
        "t": tests["t"],
        "p_max": tests["p_max"],
        "p_fdr": tests["p_fdr"],
    }
    said = {
        "n_voxels": len(roi),
        "n_planted": int(inside.sum()),
        "hits": float((tests["p_max"].values < 0.05)[inside].mean()),
        "n_outside": int(outside.sum()),
        "n_false": int((tests["p_max"].values < 0.05)[outside].sum()),
        "n_other": int((tests["p_max"].values < 0.05)[roi == OTHER].sum()),
        "size_other": int((roi == OTHER).sum()),
        "n_null": len(wrong),
        "null_rate": float(np.mean(wrong)),
        "mean_inside": float(tests["mean"].values[inside].mean()),
    }
    return _stacked(found, places), curve, said


def planted_surface(section: Searchlight, seed: int) -> tuple[xr.DataArray, dict[str, Any]]:
    """Return maps (map, neuroid) of one simulated subject on the left fsaverage5 surface, and counts."""
    from nilearn.datasets import load_fsaverage

    spec = section.planted
    meshes = load_fsaverage("fsaverage5")
    mesh, inflated = (meshes[name].parts["left"] for name in ("white_matter", "inflated"))
    xyz, faces = np.asarray(mesh.coordinates, dtype=np.float64), np.asarray(mesh.faces)
    n = len(xyz)
    # Inflated, places on either side of a sulcus are not near to each other.
    flat = np.asarray(inflated.coordinates, dtype=np.float64)
    away = np.linalg.norm(flat - flat[MIDDLE], axis=1)
    region = np.flatnonzero(away <= PATCH)
    places = xr.DataArray(
        xyz,
        dims=("neuroid", "axis"),
        coords={"vertex": ("neuroid", np.arange(n))},
        attrs={"n_vertices": n},
    )
    brain = datasets.planted(
        places,
        {TARGET: _one_hot(N_KINDS)},
        regions={TARGET: region},
        snr=SURFACE_SNR * spec.snr,
        n_runs=spec.n_runs,
        rng=generator(seed, "searchlight", "surface"),
    )
    around = rsa.surface_neighbours(faces, nearest=N_NEAREST, xyz=xyz)
    tests = rsa.searchlight_tests(
        brain["responses"],
        _category_rdm(),
        neighbours=around,
        metric="crossnobis",
        method=section.method,
        n=spec.n_permutations,
        rng=generator(seed, "searchlight", "surface tests"),
    )
    found = {
        "score": tests["score"],
        "p_max": tests["p_max"],
        "truth": xr.DataArray((away <= PATCH).astype(np.float64), dims="neuroid"),
        "near": xr.DataArray((away <= NEAR).astype(np.float64), dims="neuroid"),
    }
    significant = tests["p_max"].values < 0.05
    reached = np.array([np.isin(disc, region).any() for disc in around])
    far = np.flatnonzero(~reached)
    said = {
        "n_vertices": n,
        "n_planted": len(region),
        "hits": float(significant[region].mean()),
        "n_far": len(far),
        "n_false": int(significant[far].sum()),
        "n_nearest": N_NEAREST,
        "snr": SURFACE_SNR * spec.snr,
        "threshold": tests.attrs["threshold"][0],
    }
    return _stacked(found, places), said


def _volume(spec: PlantedRegions, places: xr.DataArray, rng: np.random.Generator) -> xr.Dataset:
    """Return one subject: the region of the model on the left, the other on the right, both off the edge."""
    half = np.array(spec.shape) * spec.voxel / 2
    middle = np.array([half[0] / 2.2, 0.0, 0.0])
    return datasets.planted(
        places,
        {TARGET: _one_hot(N_KINDS), OTHER: _one_hot(len(STIMULI))},
        regions={TARGET: (-middle, spec.region_radius), OTHER: (middle, spec.region_radius)},
        snr=spec.snr,
        n_runs=spec.n_runs,
        smoothing=spec.smoothing,
        n_residuals=120,
        rng=rng,
    )


def _one_hot(n_kinds: int) -> xr.DataArray:
    codes = np.arange(len(STIMULI)) * n_kinds // len(STIMULI)
    return xr.DataArray(np.eye(n_kinds)[codes], dims=("stimulus", "feature"), coords={"stimulus": STIMULI})


def _category_rdm() -> xr.DataArray:
    kind = np.repeat(np.arange(N_KINDS), N_A_KIND)
    a, b = np.triu_indices(len(STIMULI), 1)
    return make_rdm((kind[a] != kind[b]).astype(np.float64), STIMULI)


def _models(spec: PlantedRegions, seed: int) -> list[xr.DataArray]:
    """Return each subject's models: the planted one, and the same with stimuli in random orders."""
    planted = square(_category_rdm().values)
    a, b = np.triu_indices(len(STIMULI), 1)
    found = []
    for i in range(spec.n_subjects):
        rng = generator(seed, "searchlight", "null models", i)
        orders = [
            np.arange(len(STIMULI)),
            *(stats.shuffle(len(STIMULI), rng) for _ in range(spec.n_null)),
        ]
        rows = np.stack([planted[order[a], order[b]] for order in orders])
        found.append(make_rdm(rows, STIMULI, dims=["model"]))
    return found


def _scored(
    brain: xr.Dataset, models: xr.DataArray, around: list[np.ndarray], section: Searchlight
) -> xr.DataArray:
    return rsa.searchlight(
        brain["responses"],
        models,
        neighbours=around,
        metric="crossnobis",
        method=section.method,
        noise=brain["residuals"],
    )


def _curves(
    tests: xr.Dataset, nulls: list[xr.Dataset], maps: xr.DataArray, inside: np.ndarray, outside: np.ndarray
) -> pd.DataFrame:
    """Return hit and false-positive rates of places as the threshold falls, averaged over maps of a kind."""
    groups = {"subjects together": [tests["t"].values], "one subject": list(maps.values)}
    groups["models in random order"] = [null["t"].values for null in nulls]
    rows = []
    for name, each in groups.items():
        rates = []
        for values in each:
            levels = np.quantile(values[outside], np.linspace(0, 1, N_POINTS))[::-1]
            hits = [(values[inside] > level).mean() for level in levels]
            false = [(values[outside] > level).mean() for level in levels]
            rates.append(np.array([[*hits, 1.0], [*false, 1.0]]))
        hits, false = np.mean(rates, axis=0)
        rows.append(pd.DataFrame({"kind": "curve", "name": name, "hits": hits, "false": false}))
    return pd.concat(rows, ignore_index=True)


def _stacked(maps: dict[str, xr.DataArray], places: xr.DataArray) -> xr.DataArray:
    coords = {str(k): c.variable for k, c in places.coords.items() if c.dims == ("neuroid",)}
    coords["map"] = xr.Variable("map", list(maps))
    values = np.stack([np.asarray(one.values, dtype=np.float64) for one in maps.values()])
    return xr.DataArray(values, dims=("map", "neuroid"), coords=coords, attrs=dict(places.attrs))

"""Small good inputs of the contract table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from neuroalign.schema import make_rdm


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return rng(seed).standard_normal(shape)


def names(n: int, letter: str = "s") -> list[str]:
    return [f"{letter}{i:02d}" for i in range(n)]


def responses(
    n: int = 12, units: int = 5, *, seed: int = 0, dim: str = "neuroid", rows: str = "stimulus", **coords: Any
) -> xr.DataArray:
    """Noise (rows, dim) with labels along both."""
    known = {rows: names(n) if rows == "stimulus" else 2.0 * np.arange(n), dim: names(units, dim[0])}
    return xr.DataArray(noise(n, units, seed=seed), dims=(rows, dim), coords={**known, **coords})


def activations(n: int = 12, units: int = 5, *, seed: int = 0) -> xr.DataArray:
    return responses(n, units, seed=seed, dim="unit")


def rdms(n: int = 7, k: int | None = None, *, dim: str = "subject", seed: int = 0) -> xr.DataArray:
    """Positive dissimilarities (dim, pair) or (pair,) of noise about one truth."""
    pairs = n * (n - 1) // 2
    truth = 1.0 + rng(99).random(pairs)
    if k is None:
        return make_rdm(truth + rng(seed).random(pairs), names(n))
    values = truth + rng(seed).random((k, pairs))
    return make_rdm(values, names(n), dims=[dim], coords={dim: names(k, dim[0])})


def located(n: int = 8, units: int = 6, *, seed: int = 0) -> xr.DataArray:
    """Responses of neuroids on a line."""
    line = {axis: ("neuroid", np.arange(units) * float(axis == "x")) for axis in "xyz"}
    return responses(n, units, seed=seed, **line)


def in_runs(
    runs: int = 3, n: int = 6, units: int = 5, *, seed: int = 0, extra: Sequence[int] = ()
) -> xr.DataArray:
    """Patterns (run, stimulus, neuroid) of a signal and noise; times behind where ``extra`` is a size."""
    signal = noise(n, units, *extra, seed=seed)
    values = signal + 0.5 * noise(runs, n, units, *extra, seed=seed + 1)
    dims = ("run", "stimulus", "neuroid", *["time"] * len(extra))
    coords: dict[str, Any] = {"run": np.arange(runs), "stimulus": names(n)}
    if extra:
        coords["time"] = np.arange(extra[0]) / 10
    return xr.DataArray(values, dims=dims, coords=coords)


def series(
    n: int = 40, neuroids: int = 4, *, seed: int = 0, dim: str = "neuroid", runs: int = 2
) -> xr.DataArray:
    """A series (time, dim) of some runs."""
    run = np.repeat(np.arange(runs), n // runs)
    return responses(n, neuroids, seed=seed, dim=dim, rows="time", run=("time", run))


def subjects_series(n: int = 30, subjects: int = 4) -> xr.DataArray:
    """One region's series of several subjects about a common one."""
    common = noise(n, 1, seed=7)
    values = common + 0.5 * noise(n, subjects, seed=8)
    coords = {
        "time": 2.0 * np.arange(n),
        "subject": ("neuroid", names(subjects)),
        "roi": ("neuroid", ["IFG"] * subjects),
    }
    return xr.DataArray(values, dims=("time", "neuroid"), coords=coords)


def scores(subjects: int = 8, places: int = 4, *, seed: int = 0, dim: str = "neuroid") -> xr.DataArray:
    values = 0.5 + noise(subjects, places, seed=seed)
    return xr.DataArray(
        values, dims=("subject", dim), coords={"subject": names(subjects), dim: names(places, dim[0])}
    )


def courses(subjects: int = 6, by: float = 0.0, n: int = 40) -> xr.DataArray:
    times = np.arange(n) / 40
    bumps = [np.exp(-(((times - 0.4 - by - 0.01 * i) / 0.1) ** 2)) for i in range(subjects)]
    return xr.DataArray(bumps, dims=("subject", "time"), coords={"subject": names(subjects), "time": times})

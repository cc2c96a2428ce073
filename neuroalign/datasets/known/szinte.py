"""Moving-bar retinotopy: V1 of one person, the aperture movie, and published receptive fields.

Row i of the series and of the movie is the volume whose acquisition began 1.317 i seconds after the scan did.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ...errors import FileError, choice
from ...io.parsing import parsing
from ...schema import check
from ..sources import Source

__all__ = ["CONSTANT", "PARAMETERS", "series", "stimulus"]

TR, N_TIMES, N_VOXELS = 1.317, 150, 2365
N_X, N_Y = 80, 45
SUBJECT, ROI = "sub-1", "V1"
PARAMETERS = ("x", "y", "sd", "baseline", "amplitude", "r2")
CONSTANT = ("drop", "keep")
BOLD, FITS = "mask-v1_bold.tsv.gz", "gauss_parameters.tsv"
MOVIE, GRID = "dm_gazecenter.npz", "grid_coordinates.tsv"


def series(source: Source, *, constant: str = "drop") -> xr.DataArray:
    """Return the BOLD series (time 150, neuroid 2308) with the published receptive field of each voxel.

    Values are float64, in the units of the file (each voxel's mean is near 0). The file says nothing of where
    the voxels lie in the brain: there is no x, y, z in mm.

    Parameters
    ----------
    source : Source
    constant : {"drop", "keep"}
        57 of the 2,365 voxels are 0 throughout. They are left out, or kept; ``attrs["n_constant"]`` counts
        them, and ``attrs["excluded"]`` names those that were left out.

    Returns
    -------
    DataArray (time, neuroid)
        Coordinates time in seconds, run (all 1), neuroid ("voxel-0195", the file's number), subject, roi, and
        the published fit of a Gaussian receptive field: ``prf_x``, ``prf_y`` (centre) and ``prf_sd`` in
        degrees of visual angle (x to the right, y up), ``prf_baseline``, ``prf_amplitude``, and ``prf_r2``,
        which 1,279 voxels have (NaN elsewhere). All are NaN where a voxel is constant.

    Raises
    ------
    InvalidValueError
        If ``constant`` is another word.
    FileError
        If a file is not the one in the manifest, or does not hold what is expected.
    """
    if constant not in CONSTANT:
        raise choice(constant, CONSTANT, name="constant")
    columns = ["time", *map(str, range(N_VOXELS))]
    values = _table(source, BOLD, columns, N_TIMES)[:, 1:]
    fits = _table(source, FITS, ["source", *PARAMETERS], N_VOXELS, missing=("r2",))
    flat = np.ptp(values, axis=0) == 0
    fits = np.where(flat[:, None], np.nan, fits[:, 1:])
    names = np.array([f"voxel-{i:04d}" for i in range(N_VOXELS)])
    kept = np.ones(N_VOXELS, dtype=bool) if constant == "keep" else ~flat
    coords: dict[str, Any] = {
        "time": TR * np.arange(N_TIMES),
        "run": ("time", np.ones(N_TIMES, dtype=np.int64)),
        "neuroid": names[kept],
        "subject": ("neuroid", np.full(kept.sum(), SUBJECT)),
        "roi": ("neuroid", np.full(kept.sum(), ROI)),
        **{f"prf_{name}": ("neuroid", fits[kept, i]) for i, name in enumerate(PARAMETERS)},
    }
    attrs = source.attrs(
        units="the file's own",
        tr=TR,
        n_constant=int(flat.sum()),
        excluded=dict.fromkeys(names[~kept].tolist(), "constant series"),
    )
    bold = xr.DataArray(values[:, kept], dims=("time", "neuroid"), coords=coords, attrs=attrs, name="bold")
    return check(bold, "series")


def stimulus(source: Source) -> xr.DataArray:
    """Return the aperture movie (time 150, y 45, x 80): how bright each place was during each volume.

    A bar crosses the screen from right to left, top to bottom, left to right and bottom to top, with rests
    between; it moves one step a volume. Values are those of the file (0 to 9, without a unit); the fixation
    mark in the middle is never quite 0.

    Returns
    -------
    DataArray (time, y, x)
        Times as in ``series``, run (all 1); x and y in degrees of visual angle from fixation, x to the right
        in ascending order, y up in descending order: the first row is the top of the screen.
    """
    grid = _table(source, GRID, ["x", "y"], N_X * N_Y).reshape(N_X, N_Y, 2)
    x, y = grid[:, 0, 0], grid[0, :, 1]
    if (grid[..., 0] != x[:, None]).any() or (grid[..., 1] != y).any():
        raise FileError(f"{GRID}: the positions are not a grid of {N_X} columns and {N_Y} rows.")
    return xr.DataArray(
        np.swapaxes(_movie(source), 1, 2),
        dims=("time", "y", "x"),
        coords={
            "time": TR * np.arange(N_TIMES),
            "run": ("time", np.ones(N_TIMES, dtype=np.int64)),
            "y": y,
            "x": x,
        },
        attrs=source.attrs(units="brightness, 0 to 9", tr=TR, x="degrees", y="degrees"),
        name="stimulus",
    )


def _movie(source: Source) -> np.ndarray:
    """Return the movie as the file has it (time, x, y)."""
    full = source.file(MOVIE)
    with parsing(f"{full} is not the archive with arr_0 that was expected"), np.load(full) as found:
        movie = found["arr_0"].astype(np.float64)
    if movie.shape != (N_TIMES, N_X, N_Y) or not np.isfinite(movie).all():
        raise FileError(
            f"{full} must hold finite numbers of shape {(N_TIMES, N_X, N_Y)}; got shape {movie.shape}."
        )
    return movie


def _table(
    source: Source, path: str, columns: list[str], n_rows: int, *, missing: tuple[str, ...] = ()
) -> np.ndarray:
    """Return a table's numbers (n_rows, n_columns), checked; NaN is allowed in columns named ``missing``."""
    full = source.file(path)
    with parsing(f"{full} is not a table of numbers"):
        table = pd.read_csv(full, sep="\t", compression="gzip" if path.endswith(".gz") else None)
        values = table.to_numpy(dtype=np.float64)
    if list(table.columns) != columns or len(table) != n_rows:
        raise FileError(
            f"{full} must have {n_rows} rows and the {len(columns)} columns {columns[:3]} ...; got "
            f"{len(table)} rows and {list(table.columns[:3])} ... ({len(table.columns)} columns)."
        )
    if not np.isfinite(table.drop(columns=list(missing)).to_numpy(dtype=np.float64)).all():
        raise FileError(f"{full} must hold finite numbers; some are not.")
    return values

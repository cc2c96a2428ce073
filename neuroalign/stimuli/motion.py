"""Features of a stimulus movie: block-averaged pixels and motion energy.

Frequencies in time are in cycles per frame. A movie with one frame a volume has one cycle per frame where it
repeats every volume; a bar that moves one step a volume drifts at step x spatial frequency cycles per frame.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import xarray as xr

from ..arrays import as_float
from ..errors import InvalidValueError, LabelError, ShapeError, choice, listing
from ..schema import labels
from ._gabors import centres, pair_energy, spatial_bank, time_kernel

__all__ = ["COMPRESSIONS", "motion_energy", "pixels"]

COMPRESSIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "none": lambda energy: energy,
    "sqrt": np.sqrt,
    "log": np.log1p,
}
STEP_TOLERANCE = 1e-3


def pixels(movie: xr.DataArray, *, rows: int, columns: int) -> xr.DataArray:
    """Return a movie at a coarser grid, each feature the mean of a block of pixels.

    Parameters
    ----------
    movie : DataArray (time, y, x)
        Positions in degrees of visual angle.
    rows, columns : int
        Of the coarser grid; they must divide the movie's.

    Returns
    -------
    DataArray (time, feature)
        float64, row by row. Coordinates along feature: the label, ``x`` and ``y`` (middle of the block), and
        ``band`` ("pixels"); along time those of the movie.

    Raises
    ------
    ShapeError
        If the dims are other ones, or the blocks would not be whole.
    LabelError
        If positions or times are missing.
    InvalidValueError
        If a value is not finite or positions are not evenly spaced.

    Examples
    --------
    >>> movie = xr.DataArray(
    ...     np.arange(8.0).reshape(1, 2, 4), dims=("time", "y", "x"),
    ...     coords={"time": [0.0], "y": [0.5, -0.5], "x": [-1.5, -0.5, 0.5, 1.5]})
    >>> found = pixels(movie, rows=1, columns=2)
    >>> found.values.tolist(), found.x.values.tolist()
    ([[2.5, 4.5]], [-1.0, 1.0])
    """
    values, y, x = _checked(movie)
    for n, whole, name in ((rows, len(y), "rows"), (columns, len(x), "columns")):
        if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1 or whole % n:
            good = [d for d in range(1, whole + 1) if whole % d == 0]
            raise ShapeError(f"{name} must divide the movie's {whole} {name}: one of {good}; got {n!r}.")
    blocks = values.reshape(len(values), rows, len(y) // rows, columns, len(x) // columns)
    ys, xs = y.reshape(rows, -1).mean(axis=1), x.reshape(columns, -1).mean(axis=1)
    places = {"x": np.tile(xs, rows), "y": np.repeat(ys, columns)}
    names = [f"pixel/x{a:+.2f}/y{b:+.2f}" for a, b in zip(*places.values(), strict=True)]
    return _features(movie, blocks.mean(axis=(2, 4)).reshape(len(values), -1), names, "pixels", places)


def motion_energy(
    movie: xr.DataArray,
    *,
    spatial_frequencies: Sequence[float] = (0.25, 0.5, 1.0),
    temporal_frequencies: Sequence[float] = (0.0, 0.125, 0.25),
    n_directions: int = 8,
    wavelengths: float = 0.6,
    frames: float = 2.0,
    spacing: float = 2.5,
    compression: str = "sqrt",
    runs: Any = None,
) -> xr.DataArray:
    r"""Return how strongly a movie drives a pyramid of spatiotemporal Gabor filters: motion energy.

    The filter pair of centre (x0, y0), spatial frequency f, direction of motion d and temporal frequency w is

    .. math::
        g(x, y, t) = e^{-(u^2 + v^2) / 2 \sigma^2}\; e^{-t^2 / 2 \tau^2}\;
        \begin{matrix} \cos \\ \sin \end{matrix}\, 2 \pi (f (u \cos d + v \sin d) - w t),
        \quad u = x - x_0,\ v = y - y_0

    and its energy is the sum of the squared responses of the two, whatever the phase of the pattern. Filters
    do not respond to uniform light, and those of w > 0 not to what stands still: the Gaussian's share is
    subtracted from the cosine in space and, where w > 0, in time. They are scaled so that a grating of
    amplitude A that fills the window and drifts with the filter's own frequencies has energy A squared.

    Filters are centred in time: row t looks 3 tau frames back and ahead, so that a hemodynamic delay
    is left to ``encoding.delay``. Beyond the first and last frame of a run that frame is taken to stand
    still. Light beyond the edge of the screen is not seen: a filter near it loses that part of its window.

    Parameters
    ----------
    movie : DataArray (time, y, x)
        Positions in degrees of visual angle, y up (in either order); each run's frames in order of time and
        evenly spaced.
    spatial_frequencies : sequence of float
        Cycles per degree, above 0 and at most half a cycle per pixel.
    temporal_frequencies : sequence of float
        Cycles per frame, from 0 to 0.5. With one frame a volume of 1.317 s, 0.125 is 0.095 Hz. A filter of w
        and f prefers the speed w / f degrees per frame.
    n_directions : int
        Even; directions are multiples of 360 / n degrees, 0 to the right, 90 up. At temporal frequency 0
        opposite directions are the same orientation, of which the first half stands for both.
    wavelengths : float
        Standard deviation of the window in space, sigma, in wavelengths 1 / f.
    frames : float
        Standard deviation of the window in time, tau, in frames. The filters' bandwidth is 1 / (2 pi tau).
    spacing : float
        Distance of neighbouring centres in sigma, on a grid around the middle of the screen that ends at
        least one sigma from its edges.
    compression : {"sqrt", "log", "none"}
        Square root of the energy; log(1 + energy), which depends on the movie's unit; or the energy.
    runs : array (n_times,) or scalar, optional
        The run of each frame. Where None, the coordinate ``run`` of the movie; one run where it has none.

    Returns
    -------
    DataArray (time, feature)
        float64, not negative. Coordinates along feature: the label, ``spatial_frequency``, ``direction`` in
        degrees, ``temporal_frequency``, ``x``, ``y``, ``spatial_sd`` in degrees, ``band`` ("motion energy");
        along time those of the movie.

    Raises
    ------
    ShapeError
        If the dims are other ones or the runs have another length.
    LabelError
        If positions or times are missing.
    InvalidValueError
        If a value is not finite, positions or times are not evenly spaced, or a frequency is out of range.

    References
    ----------
    Adelson & Bergen 1985, J Opt Soc Am A 2:284; Nishimoto et al. 2011, Curr Biol 21:1641 (whose pyramid has
    windows of its own, a zero spatial frequency, and logarithms).

    Examples
    --------
    >>> x, t = np.linspace(-4, 4, 33), np.arange(24.0)
    >>> wave = np.cos(2 * np.pi * (0.5 * x - 0.25 * t[:, None, None])) * np.ones((1, 33, 1))
    >>> movie = xr.DataArray(wave, dims=("time", "y", "x"), coords={"time": t, "y": x, "x": x})
    >>> found = motion_energy(movie, spatial_frequencies=[0.5], temporal_frequencies=[0, 0.25])
    >>> best = found.isel(feature=int(found.values[12].argmax()))
    >>> float(best.direction), float(best.temporal_frequency)
    (0.0, 0.25)
    """
    values, y, x = _checked(movie)
    if compression not in COMPRESSIONS:
        raise choice(compression, COMPRESSIONS, name="compression")
    if (
        isinstance(n_directions, bool)
        or not isinstance(n_directions, int)
        or n_directions < 2
        or n_directions % 2
    ):
        raise InvalidValueError(f"n_directions must be an even number of at least 2; got {n_directions!r}.")
    for value, name in ((wavelengths, "wavelengths"), (frames, "frames"), (spacing, "spacing")):
        if not np.isfinite(value) or value <= 0:
            raise InvalidValueError(f"{name} must be positive; got {value!r}.")
    fineness = max(abs(y[1] - y[0]), abs(x[1] - x[0]))
    spatial = _frequencies(spatial_frequencies, "spatial_frequencies", 0.5 / fineness, zero=False)
    temporal = _frequencies(temporal_frequencies, "temporal_frequencies", 0.5, zero=True)
    parts = _parts(movie, runs)
    flat = values.reshape(len(values), -1)
    columns: list[np.ndarray] = []
    made: list[tuple[float, ...]] = []
    kernels = [time_kernel(w, frames) for w in temporal]
    for f in spatial:
        places = centres(y, x, wavelengths / f, spacing)
        for step in range(n_directions // 2):
            direction = 360.0 * step / n_directions
            bank = spatial_bank(y, x, places, f, direction, wavelengths / f)
            seen = np.tensordot(flat, bank, axes=(1, 0))
            for kernel in kernels:
                for way, sign in ((direction, 1), (direction + 180, -1))[: 2 if kernel.frequency else 1]:
                    columns.append(pair_energy(seen, kernel, sign, parts))
                    made += [(f, way, kernel.frequency, px, py, wavelengths / f) for py, px in places]
    energy = COMPRESSIONS[compression](np.concatenate(columns, axis=1))
    keys = ("spatial_frequency", "direction", "temporal_frequency", "x", "y", "spatial_sd")
    coords = dict(zip(keys, np.array(made).T, strict=True))
    names = [f"motion/f{f:g}/d{d:g}/w{w:g}/x{px:+.2f}/y{py:+.2f}" for f, d, w, px, py, _ in made]
    return _features(movie, energy, names, "motion energy", coords, compression=compression)


def _frequencies(values: Sequence[float], name: str, largest: float, *, zero: bool) -> list[float]:
    found = as_float(values, name=name, ndim=1)
    low = found < 0 if zero else found <= 0
    bad = np.flatnonzero(low | (found > largest * (1 + 1e-9)))
    if bad.size or not found.size or len(np.unique(found)) != len(found):
        start = "from 0" if zero else "above 0"
        raise InvalidValueError(
            f"{name} must be different numbers {start} to {largest:g} (half a cycle per sample); got "
            f"{found.tolist()}."
        )
    return [float(f) for f in found]


def _parts(movie: xr.DataArray, runs: Any) -> list[np.ndarray]:
    """Return the rows of each run, checked to be in order of time and evenly spaced."""
    if runs is None:
        runs = movie["run"].values if "run" in movie.coords else 0
    known = np.asarray(runs)
    known = np.full(movie.sizes["time"], known) if known.ndim == 0 else known
    if known.shape != (movie.sizes["time"],):
        raise ShapeError(f"runs must have shape ({movie.sizes['time']},); got {known.shape}.")
    times = as_float(labels(movie, on="time", name="movie"), name="time")
    parts = [np.flatnonzero(known == run) for run in dict.fromkeys(known.tolist())]
    for rows in parts:
        steps = np.diff(times[rows])
        if steps.size and (steps.min() <= 0 or np.ptp(steps) > STEP_TOLERANCE * steps.min()):
            raise InvalidValueError(
                f"frames of run {known[rows[0]]!r} must be in order of time and evenly spaced; steps go from "
                f"{steps.min():g} to {steps.max():g} s."
            )
    return parts


def _checked(movie: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a movie's values (time, y, x), and its y and x."""
    if not isinstance(movie, xr.DataArray) or movie.dims != ("time", "y", "x"):
        raise ShapeError(
            f"movie must be a DataArray (time, y, x); got {getattr(movie, 'dims', type(movie).__name__)}."
        )
    missing = [name for name in ("time", "y", "x") if name not in movie.coords]
    if missing:
        raise LabelError(f"movie lacks the coordinates {listing(missing)}: seconds and degrees.")
    places = []
    for name in ("y", "x"):
        values = as_float(movie[name].values, name=name)
        steps = np.diff(values)
        if len(values) < 2 or np.ptp(steps) > STEP_TOLERANCE * abs(steps).max() or not steps[0]:
            raise InvalidValueError(f"{name} must be at least 2 evenly spaced positions in degrees.")
        places.append(values)
    return as_float(movie.values, name="movie"), places[0], places[1]


def _features(
    movie: xr.DataArray, values: np.ndarray, names: list[str], band: str, coords: dict[str, Any], **more: Any
) -> xr.DataArray:
    along = {str(name): c.variable for name, c in movie.coords.items() if c.dims == ("time",)}
    own = {name: ("feature", column) for name, column in coords.items()}
    bands = ("feature", np.full(len(names), band))
    return xr.DataArray(
        values,
        dims=("time", "feature"),
        coords={**along, "feature": names, **own, "band": bands},
        attrs={**movie.attrs, "features": band, **more},
        name=band.replace(" ", "_"),
    )

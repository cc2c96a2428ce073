"""Whether the selected units score higher than random ones, whatever the score: brain alignment of a mask."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr
from tqdm.auto import tqdm

from ..errors import InvalidValueError
from ..stats import p_value
from .controls import random_masks

__all__ = ["mask_alignment"]


def mask_alignment(
    score: Callable[[xr.DataArray], float],
    mask: xr.DataArray,
    n_controls: int,
    rng: np.random.Generator,
    *,
    kind: str = "layer-matched",
    magnitude: xr.DataArray | None = None,
    exclude: xr.DataArray | None = None,
    tail: str = "greater",
    progress: bool = True,
) -> xr.Dataset:
    """Return the score of a mask against random masks of the same size and layer profile.

    Parameters
    ----------
    score : callable
        From a mask (unit,) to a number, such as how well encoding or RSA with its units predicts responses.
        It is never told which mask is the selected one.
    mask : DataArray (unit,) of bool
    n_controls : int
        With R random masks p cannot go below 1 / (1 + R), and it is a little small where ``mask`` is a large
        share of the units (see ``random_masks``).
    rng : numpy.random.Generator
    kind, magnitude, exclude
        See ``random_masks``.
    tail : {"greater", "less", "two-sided"}
    progress : bool

    Returns
    -------
    xarray.Dataset
        ``score``; ``null`` (draw,), the random masks' scores; ``p``; and ``z``, (score - mean of the null)
        over the null's standard deviation, NaN where that is 0. A draw whose score is NaN counts as one at
        least as extreme in p, is left out of z and counted in ``attrs["n_undefined"]``.
    """
    drawn = random_masks(mask, kind, n_controls, rng=rng, magnitude=magnitude, exclude=exclude)
    if not mask.any():
        raise InvalidValueError(f"mask selects none of its {mask.size} units; there is nothing to score.")
    observed = float(score(mask.drop_attrs()))
    plain = drawn.drop_vars("n_unmatched", errors="ignore").drop_attrs()
    draws = tqdm(plain, desc="random masks", unit="mask", disable=not progress, mininterval=1)
    null = np.array([float(score(draw)) for draw in draws])
    known = null[~np.isnan(null)]
    spread = known.std(ddof=1) if known.size > 1 else 0.0
    values: dict[str, Any] = {
        "score": observed,
        "null": ("draw", null),
        "p": float(p_value(observed, null, tail=tail)),
        "z": (observed - known.mean()) / spread if spread > 0 else np.nan,
    }
    attrs = {"kind": kind, "tail": tail, "n_units": int(mask.sum()), "n_undefined": null.size - known.size}
    return xr.Dataset(values, attrs=attrs)

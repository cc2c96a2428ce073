"""Two masks of the same units: matched by (layer, site, index), never by order."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from ..errors import LabelError, ShapeError
from ..schema import align, check

__all__ = ["align_masks"]


def align_masks(first: xr.DataArray, second: xr.DataArray) -> np.ndarray:
    """Return the values (n_units,) of ``second`` in the order of ``first``.

    Raises
    ------
    ShapeError
        If the masks are not about the same units.
    """
    tables = [pd.DataFrame({"unit": _units(check(m, "mask")), "value": m.values}) for m in (first, second)]
    try:
        _, matched = align(*tables, on="unit", names=("the first mask", "the second"))
    except LabelError as error:
        raise ShapeError(f"the masks are not about the same units: {error}") from error
    return matched["value"].to_numpy()


def _units(mask: xr.DataArray) -> list[tuple]:
    return list(zip(*(mask[name].values.tolist() for name in ("layer", "site", "index")), strict=True))

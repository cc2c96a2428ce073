"""The model RDMs of a section own: square tables, and columns of the stimulus table."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from ... import datasets, rsa
from ...errors import LabelError, listing
from ...schema import align, make_rdm, rdm_stimuli
from ..sections import Own

__all__ = ["model_rdms"]


def model_rdms(section: Own, data: xr.DataArray) -> xr.DataArray | None:
    """Return the model RDMs (model, pair) of the data's stimuli; stimuli that were excluded are left out."""
    about = datasets.read_description(section.data)
    shown = rdm_stimuli(data).tolist()
    out = set(about.exclude.stimuli)
    found: dict[str, xr.DataArray] = {}
    for name, path in section.models.items():
        whole = datasets.read_rdm_table(path)
        kept = [one for one in rdm_stimuli(whole).tolist() if one not in out]
        found[name] = align(data, rsa.subset(whole, kept), names=("the data", path))[1]
    if section.columns:
        table = datasets.read_described(section.data, what="stimuli")
        missing = [name for name in section.columns if name not in table]
        if missing:
            raise LabelError(
                f"own.columns: {listing(missing)} are no columns of the stimulus table; it has "
                f"{listing(table.columns, limit=20)}."
            )
        rows = table.set_index("stimulus").loc[shown]
        found |= {name: _column_rdm(rows[name]) for name in section.columns}
    if not found:
        return None
    values = np.stack([one.values for one in found.values()])
    return make_rdm(values, shown, dims=("model",), coords={"model": list(found)})


def _column_rdm(column: pd.Series) -> xr.DataArray:
    """Return how stimuli differ in a column: 0 or 1 of text, the distance of numbers."""
    values = column.to_numpy()
    a, b = np.triu_indices(len(values), 1)
    numeric = pd.api.types.is_numeric_dtype(column)
    differ = np.abs(values[a] - values[b]) if numeric else (values[a] != values[b])
    return make_rdm(np.asarray(differ, dtype=np.float64), column.index.to_numpy())

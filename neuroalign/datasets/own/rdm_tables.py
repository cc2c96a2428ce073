"""RDMs as people keep them: a square table with names along both sides."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from ...errors import FileError, LabelError, NeuroalignError, listing
from ...schema import make_rdm, triangle
from ...stimuli.tables import parse_table

__all__ = ["read_rdm_table"]


def read_rdm_table(path: str | Path) -> xr.DataArray:
    r"""Return the RDM (pair,) of a square table: first column ``stimulus``, then one column a stimulus.

    Rows and columns are matched by name, so that their orders may differ. ``n/a`` is a missing pair.

    Parameters
    ----------
    path : path
        Ends in ``.tsv`` or ``.csv``.

    Raises
    ------
    FileError
        If the file is missing, a cell is no number, or the matrix is not symmetric with a diagonal of 0.
    LabelError
        If names of rows and columns differ or repeat.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "size.tsv"
    ...     _ = path.write_text("stimulus\tcat\tdog\ndog\t2\t0\ncat\t0\t2\n")
    ...     read_rdm_table(path).values.tolist()
    [2.0]
    """
    path = Path(path)
    table = parse_table(path)
    if table.columns[0] != "stimulus":
        raise LabelError(f"{path}: the first column must be 'stimulus'; got {listing(table.columns[:1])}.")
    rows, columns = [str(name) for name in table["stimulus"]], [str(name) for name in table.columns[1:]]
    twice = sorted({name for name in rows if rows.count(name) > 1})
    if twice:
        raise LabelError(f"{path}: rows are repeated: {listing(twice)}.")
    odd = sorted(set(rows) ^ set(columns))
    if odd:
        raise LabelError(
            f"{path}: rows and columns must have the same names; {listing(odd)} are only in one."
        )
    values = table.set_index(pd.Index(rows)).loc[columns, columns].replace("n/a", np.nan)
    try:
        matrix = values.to_numpy(dtype=np.float64)
        found = make_rdm(triangle(matrix), columns)
    except ValueError as error:
        said = str(error) if isinstance(error, NeuroalignError) else f"cells must be numbers: {error}."
        raise FileError(f"{path}: {said}") from error
    return found.assign_attrs(path=path.name)

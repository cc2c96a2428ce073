"""Rows of the contract table, and how the call of a cell ends.

A cell is one array argument of one public function under one fault. It ends well in one of these ways:

refused   a NeuroalignError whose text says what came
same      the result of the good input (or of the same numbers in float64)
counted   NaN with a count that the good result does not have, or NaN that the docstring speaks of
finite    another result without NaN
empty     a result without a value
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import re
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse
import xarray as xr

from neuroalign.errors import NeuroalignError

ENDED: dict[tuple[str, str], str] = {}


@dataclass(frozen=True)
class Row:
    """One public function: a good call of it, and which of its arguments are arrays.

    ``arrays`` maps an argument to the names of its axes (raw arrays) or to None (labelled arrays).
    ``shift`` names arguments whose mean changes nothing; ``ordered`` says that rows are a sequence, so that
    another order of one array alone is another question; ``random`` that draws follow the rows' order;
    ``labels`` that values are passed on unread; ``apart`` that arguments have rows of their own. ``leader``
    names the argument whose order of rows the draws follow, the first where empty; ``columns`` arguments
    whose columns are matched by label. ``documented`` maps a fault, or ``argument:fault``, to
    ``outcome: why`` (or ``outcome/outcome: why``): what the docstring promises beside the usual endings.
    """

    name: str
    make: Callable[[], dict[str, Any]]
    call: Callable[..., Any]
    arrays: Mapping[str, tuple[str, ...] | None]
    shift: tuple[str, ...] = ()
    ordered: bool = False
    random: bool = False
    labels: bool = False
    apart: bool = False
    leader: str = ""
    columns: tuple[str, ...] = ()
    tolerance: float = 1e-9
    documented: Mapping[str, str] = field(default_factory=dict)

    @property
    def room(self) -> str:
        return self.name.split(".")[0]

    def axes(self, argument: str, value: Any) -> tuple[str, ...]:
        named = self.arrays[argument]
        return tuple(map(str, value.dims)) if named is None else named


@dataclass(frozen=True)
class Ending:
    """How a call ended, and what it gave or said."""

    kind: str
    said: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)
    counts: Mapping[str, float] = field(default_factory=dict)


def function(name: str) -> Any:
    room, _, rest = name.split(":")[0].rpartition(".")
    return getattr(importlib.import_module(f"neuroalign.{room}"), rest)


@cache
def template(row_name: str) -> dict[str, Any]:
    """The good arguments of a row; not to be edited."""
    from table import TABLE

    return TABLE[row_name].make()


@cache
def good(row_name: str) -> Ending:
    from table import TABLE

    row = TABLE[row_name]
    return run(row, dict(template(row_name)))


def run(row: Row, arguments: dict[str, Any]) -> Ending:
    """Return how the call ends; foreign warnings and exceptions and edited arguments are told."""
    before = {key: digest(value) for key, value in arguments.items()}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            ending = told(row.call(**arguments))
        except NeuroalignError as error:
            ending = Ending("refused", str(error))
        except Exception as error:  # what the battery is there to find
            ending = Ending("foreign", f"{type(error).__name__}: {error}")
    strangers = [item for item in caught if not _ours(item)]
    if strangers and ending.kind != "foreign":
        ending = Ending("warned", f"{strangers[0].category.__name__}: {strangers[0].message}")
    edited = [key for key, value in arguments.items() if digest(value) != before[key]]
    return Ending("edited", f"arguments edited in place: {edited}") if edited else ending


def _ours(item: warnings.WarningMessage) -> bool:
    return item.category.__module__.startswith("neuroalign")


def told(result: Any) -> Ending:
    values: dict[str, Any] = {}
    counts: dict[str, float] = {}
    _flatten(result, "", values, counts)
    return Ending("gave", values=values, counts=counts)


def _flatten(result: Any, name: str, values: dict[str, Any], counts: dict[str, float]) -> None:
    if isinstance(result, xr.Dataset):
        for key, value in result.data_vars.items():
            _flatten(value, f"{name}{key}", values, counts)
        _count_all(result.attrs, name, counts)
    elif isinstance(result, xr.DataArray):
        values[name] = sorted_by_label(result)
        _count(name, result.values, counts)
        _count_all(result.attrs, name, counts)
    elif isinstance(result, pd.DataFrame):
        for key in result.columns:
            _flatten(result[key].to_numpy(), f"{name}{key}", values, counts)
    elif scipy.sparse.issparse(result):
        values[name] = result.toarray()
    elif isinstance(result, Mapping):
        for key, value in result.items():
            _flatten(value, f"{name}{key}", values, counts)
    elif is_dataclass(result):
        for one in fields(result):
            _flatten(getattr(result, one.name), f"{name}{one.name}", values, counts)
    elif isinstance(result, list | tuple):
        for i, value in enumerate(result):
            _flatten(value, f"{name}.{i}", values, counts)
    elif result is not None:
        values[name] = np.asarray(result)
        _count(name, values[name], counts)


def _count_all(attrs: Mapping[Any, Any], name: str, counts: dict[str, float]) -> None:
    for key, value in attrs.items():
        if isinstance(value, int | float | np.number | np.ndarray | list):
            _count(f"{name}{key}", np.asarray(value), counts, last=str(key))


def _count(name: str, value: np.ndarray, counts: dict[str, float], last: str = "") -> None:
    told = re.sub(r".*\.", "", last or name)
    if told.startswith("n_") and value.dtype.kind in "iufb":
        counts[name] = float(np.nansum(value))


def sorted_by_label(x: xr.DataArray) -> xr.DataArray:
    """Return a result with rows in the order of their labels, so that orders of rows can be compared."""
    if "pair" in x.dims and {"stimulus_a", "stimulus_b"} <= set(x.coords):
        pairs = list(zip(x["stimulus_a"].values, x["stimulus_b"].values, strict=True))
        x = x.isel(pair=sorted(range(len(pairs)), key=lambda i: sorted(map(str, pairs[i]))))
    for dim in x.dims:
        if dim in ("stimulus", "time") and dim in x.coords:
            found = x[dim].values
            text = found.dtype.kind == "O" and all(isinstance(label, str) for label in found)
            comparable = text if found.dtype.kind == "O" else not (found != found).any()
            x = x.isel({dim: np.argsort(found, kind="stable")}) if comparable else x
    return x


def _emptied(ending: Ending, reference: Ending) -> bool:
    """Whether the parts that are not the reference's hold no value."""
    pairs = [(np.asarray(v), np.asarray(reference.values.get(k, np.nan))) for k, v in ending.values.items()]
    return any(a.size == 0 < b.size for a, b in pairs) and all(
        a.size == 0 or (a.shape == b.shape and np.array_equal(a.astype(str), b.astype(str))) for a, b in pairs
    )


def same(ending: Ending, reference: Ending, tolerance: float) -> str:
    """Return an empty text where two results have the same values, or where they first differ."""
    if set(ending.values) != set(reference.values):
        return f"parts {sorted(set(ending.values) ^ set(reference.values))} differ"
    for key, value in reference.values.items():
        a, b = np.asarray(ending.values[key]), np.asarray(value)
        if a.shape != b.shape:
            return f"{key or 'result'}: shape {a.shape} against {b.shape}"
        if "c" in (a.dtype.kind, b.dtype.kind) and a.dtype.kind != b.dtype.kind:
            return f"{key or 'result'}: {a.dtype} against {b.dtype}"
        if a.dtype.kind not in "fiub" or b.dtype.kind not in "fiub":
            continue  # labels, which sorting and renaming change
        a, b = a.astype(np.float64), b.astype(np.float64)
        scale = float(np.max(np.abs(b), initial=0.0, where=np.isfinite(b)))
        if not np.allclose(a, b, rtol=tolerance, atol=tolerance * max(scale, 1e-300), equal_nan=True):
            known = np.isfinite(a) & np.isfinite(b)
            gap = np.max(np.abs(np.where(known, a, 0.0) - np.where(known, b, 0.0)), initial=0.0)
            n = int((np.isnan(a) != np.isnan(b)).sum())
            return f"{key or 'result'}: off by {gap:.3g} of {scale:.3g}, {n} NaN in one only"
    return ""


def describe(row: Row, ending: Ending, reference: Ending, tolerance: float) -> Ending:
    """Return the ending with its kind, for a call that gave something."""
    if ending.kind != "gave":
        return ending
    if reference.kind == "gave" and not same(ending, reference, tolerance):
        return Ending("same")
    numbers = {k: np.asarray(v) for k, v in ending.values.items() if np.asarray(v).dtype.kind == "f"}
    everything = [np.asarray(v) for v in ending.values.values()]
    if (everything and all(value.size == 0 for value in everything)) or _emptied(ending, reference):
        return Ending("empty")
    infinite = [k for k, v in numbers.items() if np.isinf(v).any() and not _had(reference, k, np.isinf)]
    if infinite:
        return Ending("infinite", f"infinite values in {infinite}")
    undefined = [k for k, v in numbers.items() if np.isnan(v).sum() > _had(reference, k, np.isnan)]
    difference = same(ending, reference, tolerance) if reference.kind == "gave" else ""
    if not undefined:
        return Ending("finite", difference)
    risen = [k for k, n in ending.counts.items() if n > reference.counts.get(k, 0.0)]
    if risen or _speaks_of_nan(row):
        return Ending("counted", f"NaN in {undefined}; counted in {risen or 'the docstring'}")
    return Ending("silent NaN", f"NaN in {undefined} without a count")


def _had(reference: Ending, key: str, test: Callable[[np.ndarray], np.ndarray]) -> int:
    value = np.asarray(reference.values.get(key, np.zeros(0)))
    return int(test(value).sum()) if value.dtype.kind == "f" else 0


def _speaks_of_nan(row: Row) -> bool:
    """NaN of a raw array has no attributes to be counted in: there the docstring has to say what it means."""
    result = good(row.name).values
    labelled = any(isinstance(value, xr.DataArray) for value in result.values())
    return not labelled and "NaN" in (inspect.getdoc(function(row.name)) or "")


def digest(value: Any) -> str:
    """Return a digest of an argument: its values, type and labels."""
    if isinstance(value, xr.DataArray):
        parts = [digest(value.values), str(value.dims), str(sorted(value.attrs))]
        parts += [f"{key}{digest(coord.values)}" for key, coord in sorted(value.coords.items(), key=str)]
        return "".join(parts)
    if isinstance(value, xr.Dataset):
        return "".join(digest(value[key]) for key in value.data_vars)
    if isinstance(value, np.ndarray):
        body = repr(value.tolist()).encode() if value.dtype.kind == "O" else value.tobytes()
        return f"{value.dtype}{value.shape}{hashlib.sha256(body).hexdigest()}"
    if isinstance(value, pd.DataFrame):
        return "".join(f"{key}{digest(value[key].to_numpy())}" for key in value.columns)
    if isinstance(value, Mapping):
        return "".join(f"{key}{digest(one)}" for key, one in value.items())
    if isinstance(value, list | tuple):
        return "".join(digest(one) for one in value)
    return repr(value) if isinstance(value, str | int | float | bool | None) else type(value).__name__


def summary() -> str:
    """Return two Markdown tables of the cells that ran: by fault, and by function."""
    kinds = sorted(set(ENDED.values()))
    lines = [
        f"{len(ENDED)} cells: " + ", ".join(f"{n} {k}" for k, n in Counter(ENDED.values()).most_common())
    ]
    for title, of in (("fault", lambda cell: cell[1]), ("function", lambda cell: cell[0].split("(")[0])):
        lines += ["", f"| {title} | " + " | ".join(kinds) + " |", "| --- |" + " --- |" * len(kinds)]
        for name in sorted({of(cell) for cell in ENDED}):
            n = Counter(kind for cell, kind in ENDED.items() if of(cell) == name)
            lines.append(f"| {name} | " + " | ".join(str(n[kind]) for kind in kinds) + " |")
    return "\n".join(lines) + "\n"

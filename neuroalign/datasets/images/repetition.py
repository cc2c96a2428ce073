"""The repetition time, as header, sidecar and caller state it, and the time axis of several runs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import FileError, InvalidValueError, LabelError, ShapeError
from ...io.files import read_json
from ...io.parsing import parsing

__all__ = ["header_time", "repetition_time", "run_labels", "sidecar_time", "time_coords"]

UNITS = {"sec": 1.0, "msec": 1e-3, "usec": 1e-6, "unknown": 1.0}
# Relative: headers hold float32, and some programs round to a tenth of a millisecond.
TOLERANCE = 1e-4
# Seconds. A longer one in a header is most often milliseconds without their unit.
LONGEST = 60.0


def header_time(image: Any, *, name: str) -> float | None:
    """Return the seconds between volumes that a header states; None where it states none (or 0)."""
    header = image.header
    zooms = tuple(header.get_zooms()) if hasattr(header, "get_zooms") else ()
    if len(zooms) < 4:
        return None
    with parsing(f"{name}: the header states an unknown unit of time"):
        unit = header.get_xyzt_units()[1] if hasattr(header, "get_xyzt_units") else "unknown"
    # The shortest number that float32 stores so: 0.8, not 0.800000012.
    value = float(str(np.float32(zooms[3])))
    if not math.isfinite(value) or value < 0:
        raise InvalidValueError(f"{name}: the repetition time in the header is {value:g}. Mend the header.")
    if value == 0:
        return None
    if unit not in UNITS:
        raise InvalidValueError(f"{name}: the fourth axis is no time, its unit is {unit!r}.")
    return round(value * UNITS[unit], 9)


def sidecar_time(path: Path | None) -> float | None:
    """Return RepetitionTime in the JSON file beside an image (``bold.json`` of ``bold.nii.gz``)."""
    if path is None:
        return None
    stem = path.name.removesuffix(".gz")
    for extension in (".nii", ".func.gii", ".gii"):
        if stem.endswith(extension):
            stem = stem.removesuffix(extension).removesuffix(".dtseries")
            break
    beside = path.with_name(f"{stem}.json")
    if not beside.is_file():
        return None
    found = read_json(beside)
    value = found.get("RepetitionTime") if isinstance(found, dict) else None
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise FileError(f"{beside}: RepetitionTime must be a positive number of seconds; got {value!r}.")
    return float(value)


def repetition_time(stated: Mapping[str, Mapping[str, float | None]], tr: float | None) -> float:
    """Return the repetition time in seconds that all agree on.

    Parameters
    ----------
    stated : mapping
        Of each file's name: what its header and its sidecar state, None where they do not.
    tr : float, optional
        What the caller states.

    Raises
    ------
    InvalidValueError
        If nobody states one, or two of them disagree by more than 1e-4 of it.

    Examples
    --------
    >>> repetition_time({"bold.nii.gz": {"header": 2.0, "sidecar": None}}, None)
    2.0
    """
    if tr is not None and (
        isinstance(tr, bool) or not isinstance(tr, int | float | np.number) or not 0 < tr < math.inf
    ):
        raise InvalidValueError(f"tr must be a positive number of seconds; got {tr!r}.")
    said = [("tr", "argument", float(tr))] if tr is not None else []
    for source in ("sidecar", "header"):
        for name, values in stated.items():
            value = values.get(source)
            if value is not None:
                said.append((name, source, value))
    if not said:
        raise InvalidValueError(
            f"no repetition time: neither the header nor a sidecar of {', '.join(stated)} states one above "
            "0. Pass tr=... in seconds."
        )
    best = said[0][2]
    if any(abs(value - best) > TOLERANCE * best for _, _, value in said):
        words = "; ".join(
            f"tr={value:g}" if source == "argument" else f"{name}: {source} {value:g} s"
            for name, source, value in said
        )
        raise InvalidValueError(
            f"the repetition times disagree: {words}. Mend the wrong one, in the header or the sidecar."
        )
    if said[0][1] == "header" and best > LONGEST:
        raise InvalidValueError(
            f"{said[0][0]}: the header states a repetition time of {best:g} s; is it milliseconds? Pass "
            f"tr={best:g} to confirm it, or mend the header's unit."
        )
    return best


def run_labels(runs: Sequence[Any] | None, n_runs: int) -> list[Any]:
    """Return one label a run: 1, 2, ... where None."""
    if runs is None:
        return list(range(1, n_runs + 1))
    if isinstance(runs, str):
        raise ShapeError(f"runs must be a list; got the string {runs!r}. Pass [{runs!r}].")
    found = np.asarray(runs)
    if found.shape != (n_runs,):
        raise ShapeError(f"runs must name each of {n_runs} runs; got {len(list(runs))} labels.")
    if found.dtype.kind not in "iuU":
        raise LabelError(f"runs must be whole numbers or text, all of one kind; got {list(runs)!r}.")
    if len(np.unique(found)) != n_runs:
        raise LabelError(f"runs must name each run once; got {list(runs)!r}.")
    return found.tolist()


def time_coords(
    lengths: Sequence[int], tr: float, runs: Sequence[Any], *, start: float = 0.0
) -> dict[str, Any]:
    """Return time, run and time_in_run of runs one after another, as if no time passed between them.

    Examples
    --------
    >>> coords = time_coords([2, 3], 2.0, [1, 2])
    >>> coords["time"].tolist(), coords["time_in_run"][1].tolist()
    ([0.0, 2.0, 4.0, 6.0, 8.0], [0.0, 2.0, 0.0, 2.0, 4.0])
    """
    within = np.concatenate([start + tr * np.arange(n) for n in lengths])
    before = np.repeat(tr * np.cumsum([0, *lengths[:-1]]), lengths)
    return {
        "time": before + within,
        "run": ("time", np.repeat(np.asarray(runs), lengths)),
        "time_in_run": ("time", within),
    }

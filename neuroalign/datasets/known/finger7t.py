"""7T fMRI of five finger presses: patterns a run of seven people, three models (Ejaz et al. 2015)."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from ...errors import FileError, choice
from ...io.matlab import check_matlab
from ...io.parsing import parsing
from ...schema import make_rdm
from ..sources import Source

__all__ = ["FINGERS", "MODELS", "SUBJECTS", "models", "responses"]

FILE = "data_recipe_finger7T.mat"
FINGERS = ("thumb", "index", "middle", "ring", "little")
SUBJECTS = tuple(f"s{i + 1}" for i in range(7))
MODELS = ("Muscle", "Naturalstats", "somatotopy")
N_RUNS = (7, 8)


def responses(source: Source, *, subject: str = SUBJECTS[0]) -> xr.DataArray:
    """Return one person's patterns (presentation, neuroid): one a finger and run, 35 or 40 in all.

    Voxels (1,589 to 1,946) of the left primary motor and somatosensory cortex differ between people, who are
    therefore loaded one by one. Values are regression coefficients divided by their noise: with them
    crossnobis distances need no noise precision.

    Parameters
    ----------
    source : Source
    subject : str
        One of ``SUBJECTS``, in the order of the file.

    Returns
    -------
    DataArray (presentation, neuroid)
        Along ``presentation``: ``stimulus`` (one of ``FINGERS``) and ``run`` (from 1); ``subject`` is a
        single label.
    """
    if subject not in SUBJECTS:
        raise choice(subject, SUBJECTS, name="subject")
    place = SUBJECTS.index(subject)
    found = _read(source, ["Y", "condVec", "partVec"])
    values, finger, run = (_entry(found[key], place) for key in ("Y", "condVec", "partVec"))
    _check_design(values, finger, run, subject)
    stimulus = np.array(FINGERS)[finger.astype(int) - 1]
    run = run.astype(int)
    return xr.DataArray(
        values.astype(np.float64),
        dims=("presentation", "neuroid"),
        coords={
            "presentation": [f"run-{r}/{s}" for r, s in zip(run, stimulus, strict=True)],
            "stimulus": ("presentation", stimulus),
            "run": ("presentation", run),
            "neuroid": [f"{subject}/voxel-{i + 1:04d}" for i in range(values.shape[1])],
            "subject": subject,
        },
        attrs=source.attrs(units="noise-normalised coefficient", region="M1/S1"),
        name="responses",
    )


def models(source: Source) -> xr.DataArray:
    """Return the 3 model RDMs (model, pair 10) in the order of the file; each has a scale of its own.

    ``Muscle``: activity of hand muscles; ``Naturalstats``: how fingers move together in everyday life;
    ``somatotopy``: distance between the fingers' places on a map. All are squared distances.
    """
    structs = np.atleast_1d(_read(source, ["Model"])["Model"])
    names = tuple(str(_field(struct, "name")) for struct in structs)
    if names != MODELS:
        raise FileError(f"{FILE}: the models {MODELS} were expected; got {names}.")
    values = np.array(
        [_triangle(_field(struct, "RDM"), name) for struct, name in zip(structs, names, strict=True)]
    )
    attrs = source.attrs(units="squared distance, each model's own")
    return make_rdm(values, FINGERS, dims=("model",), coords={"model": list(MODELS)}, attrs=attrs)


def _read(source: Source, variables: list[str]) -> dict[str, Any]:
    import scipy.io

    full = source.file(FILE)
    check_matlab(full)
    with parsing(f"{full} is not the MATLAB file with {', '.join(variables)} that was expected"):
        found = scipy.io.loadmat(full, simplify_cells=True, variable_names=variables)
        return {name: found[name] for name in variables}


def _entry(cells: Any, place: int) -> np.ndarray:
    if len(cells) != len(SUBJECTS):
        raise FileError(f"{FILE}: {len(SUBJECTS)} people were expected; got {len(cells)}.")
    return np.asarray(cells[place])


def _check_design(values: np.ndarray, finger: np.ndarray, run: np.ndarray, subject: str) -> None:
    """Refuse what is not one finite pattern a finger and run."""
    found = sorted(zip(run.tolist(), finger.tolist(), strict=False))
    wanted = [[(r + 1, f + 1) for r in range(n) for f in range(len(FINGERS))] for n in N_RUNS]
    if values.ndim != 2 or found not in wanted or len(values) != len(run) or not np.isfinite(values).all():
        raise FileError(
            f"{FILE}: {subject} must have one finite pattern for each of 5 fingers and 7 or 8 runs; got "
            f"shape {values.shape} and {len(set(found))} different fingers and runs."
        )


def _field(struct: Any, key: str) -> Any:
    return struct.get(key) if isinstance(struct, dict) else getattr(struct, key, None)


def _triangle(matrix: Any, name: str) -> np.ndarray:
    full = np.asarray(matrix, dtype=np.float64)
    n = len(FINGERS)
    if full.shape != (n, n) or not np.isfinite(full).all():
        raise FileError(f"{FILE}: the RDM of {name} must be finite numbers ({n}, {n}); got {full.shape}.")
    if not np.allclose(full, full.T, rtol=0, atol=1e-12) or np.abs(np.diag(full)).max() > 1e-12:
        raise FileError(f"{FILE}: the RDM of {name} must be symmetric with a zero diagonal.")
    return full[np.triu_indices(n, 1)]

"""92 object images: RDMs of human and monkey IT, judges, models (Kriegeskorte 2008, Mur 2013)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ...errors import FileError
from ...io.matlab import check_matlab
from ...io.parsing import parsing
from ...schema import make_rdm
from ..sources import Source

__all__ = ["LABELS", "MODELS", "behaviour", "human_it", "models", "published", "stimuli"]

N_IMAGES, N_JUDGES = 92, 16
LABELS = tuple(f"image-{i + 1:02d}" for i in range(N_IMAGES))
SUBJECTS = ("BE", "KO", "SN", "TI")
SESSIONS = (1, 2)
# Our name of each model and the file's, in the file's order.
MODELS = {
    "animacy": "animacy",
    "FaceBody": "FaceBodyManmadeNatobj",
    "monkeyIT": "monkeyIT",
    "EVA": "EVA",
    "HMAX": "HMAX",
    "V1": "V1",
    "Silhouette": "Silhouette",
    "RADON": "RADON",
}
SPECIES = {"human": "hITvisStim_316vx", "monkey": "mIT_674neurons"}
# Our name of each category flag and the file's; its random halves of the images are left out.
CATEGORIES = {
    "animate": "animate",
    "human": "human",
    "body": "body",
    "face": "face",
    "natural_object": "natObj",
    "artificial_object": "artiObj",
    "monkey_or_ape": "monkeyape",
}
BRAIN, JUDGES, MODEL_FILE = "92_brainRDMs.mat", "92_behavRDMs.mat", "92_modelRDMs.mat"
SUPPLEMENT = "Kriegeskorte_Neuron2008_supplementalData.mat"


def human_it(source: Source) -> xr.DataArray:
    """Return the human IT RDMs (subject 4, session 2, pair 4186): one minus the correlation of two patterns.

    Subjects BE, KO, SN and TI, sessions 1 and 2, which are not averaged.
    """
    structs = _read(source, BRAIN, "RDMs")
    if np.shape(structs) != (len(SUBJECTS), len(SESSIONS)):
        raise FileError(f"{BRAIN}: RDMs must have shape (4, 2); got {np.shape(structs)}.")
    values = [
        [
            _triangle(_named(structs[i, j], f"hIT | {subject} | Session: {session}", BRAIN), BRAIN)
            for j, session in enumerate(SESSIONS)
        ]
        for i, subject in enumerate(SUBJECTS)
    ]
    coords = {"subject": list(SUBJECTS), "session": list(SESSIONS)}
    attrs = source.attrs(units="1 - Pearson r", region="IT", species="human")
    return make_rdm(np.array(values), LABELS, dims=("subject", "session"), coords=coords, attrs=attrs)


def models(source: Source) -> xr.DataArray:
    """Return the 8 model RDMs (model, pair 4186) in the order of the file; each has a scale of its own."""
    structs = _read(source, MODEL_FILE, "Models")
    values = [
        _triangle(_named(struct, theirs, MODEL_FILE), MODEL_FILE)
        for struct, theirs in zip(_several(structs, len(MODELS), MODEL_FILE), MODELS.values(), strict=True)
    ]
    attrs = source.attrs(units="each model's own")
    return make_rdm(np.array(values), LABELS, dims=("model",), coords={"model": list(MODELS)}, attrs=attrs)


def behaviour(source: Source) -> xr.DataArray:
    """Return 16 people's similarity judgements of the images as RDMs (subject, pair 4186).

    Distances on the screen where a person arranged the images, scaled by the authors; only ratios count.
    """
    names = [f"subject{i + 1}" for i in range(N_JUDGES)]
    structs = _several(_read(source, JUDGES, "rdms_behav_92"), N_JUDGES, JUDGES)
    values = [
        _triangle(_named(struct, f"simJudge | {name}", JUDGES), JUDGES)
        for struct, name in zip(structs, names, strict=True)
    ]
    attrs = source.attrs(units="scaled arrangement distance")
    return make_rdm(np.array(values), LABELS, dims=("subject",), coords={"subject": names}, attrs=attrs)


def published(source: Source) -> xr.DataArray:
    """Return the mean RDMs of human and monkey IT as published in 2008, (species 2, pair 4186).

    Human: 316 visually responsive voxels, the mean of the RDMs that ``human_it`` returns. Monkey: 674 cells.
    """
    structs = _several(_read(source, SUPPLEMENT, "RDMs_mIT_hIT_fig1"), len(SPECIES), SUPPLEMENT)
    found = {_get(struct, "name"): struct for struct in structs}
    values = []
    for theirs in SPECIES.values():
        vector = np.asarray(_named(found.get(theirs), theirs, SUPPLEMENT), dtype=np.float64)
        if vector.shape != (N_IMAGES * (N_IMAGES - 1) // 2,) or not np.isfinite(vector).all():
            raise FileError(f"{SUPPLEMENT}: {theirs} must be 4186 finite numbers; got shape {vector.shape}.")
        values.append(vector)
    coords, attrs = {"species": list(SPECIES)}, source.attrs(units="1 - Pearson r", region="IT")
    return make_rdm(np.array(values), LABELS, dims=("species",), coords=coords, attrs=attrs)


def stimuli(source: Source) -> pd.DataFrame:
    """Return the stimulus table (92 rows): label, category in words, and one boolean column per category.

    The photographs, whose rights are unknown, are never returned.
    """
    structs = _several(_read(source, SUPPLEMENT, "stimuli_92objs"), N_IMAGES, SUPPLEMENT)
    names = [str(name) for name in _read(source, SUPPLEMENT, "categoryLabels")]
    flags = np.asarray(_read(source, SUPPLEMENT, "categoryVectors"))
    if flags.shape != (N_IMAGES, len(names)) or not set(CATEGORIES.values()) <= set(names):
        raise FileError(f"{SUPPLEMENT}: the categories are not those of the 92 images.")
    columns = {ours: flags[:, names.index(theirs)] == 1 for ours, theirs in CATEGORIES.items()}
    words = [str(_get(struct, "category")) for struct in structs]
    table = pd.DataFrame({"stimulus": LABELS, "category": words, **columns})
    table.attrs.update(source.attrs())
    return table


def _read(source: Source, path: str, variable: str) -> Any:
    import scipy.io

    full = source.file(path)
    check_matlab(full)
    with parsing(f"{full} is not the MATLAB file with {variable!r} that was expected"):
        return scipy.io.loadmat(full, simplify_cells=True, variable_names=[variable])[variable]


def _several(structs: Any, n: int, path: str) -> Any:
    if len(structs) != n:
        raise FileError(f"{path}: {n} entries were expected; got {len(structs)}.")
    return structs


def _get(struct: Any, key: str) -> Any:
    """Return a field of a MATLAB struct: scipy gives a dict in a list, but an object in a cell array."""
    return struct.get(key) if isinstance(struct, Mapping) else getattr(struct, key, None)


def _named(struct: Any, name: str, path: str) -> Any:
    found = _get(struct, "name")
    if found != name:
        raise FileError(f"{path}: the RDM named {name!r} was expected; got {found!r}.")
    return _get(struct, "RDM")


def _triangle(matrix: Any, path: str) -> np.ndarray:
    """Return the upper triangle row by row, after checking that the rest of the matrix says the same."""
    full = np.asarray(matrix, dtype=np.float64)
    if full.shape != (N_IMAGES, N_IMAGES):
        raise FileError(f"{path}: an RDM must have shape (92, 92); got {full.shape}.")
    if not np.isfinite(full).all() or (full != full.T).any() or np.diag(full).any():
        raise FileError(f"{path}: an RDM must be finite and symmetric with a zero diagonal.")
    return full[np.triu_indices(N_IMAGES, 1)]

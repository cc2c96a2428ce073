"""``load``: a data set by name, checked against the manifest, labelled, with licence and citation."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import InvalidValueError, choice, listing
from .known import alice, finger7t, haxby, kriegeskorte, language, language_parcels, n400, szinte
from .sources import open_source

__all__ = ["LOADERS", "load"]

# The first of each set is what ``load`` returns where ``what`` is None.
LOADERS: dict[str, dict[str, Callable[..., Any]]] = {
    "alice_fmri": {
        "series": alice.series,
        "words": alice.words,
        "regressors": alice.regressors,
        "motion": alice.motion,
        "predictors": alice.predictors,
    },
    "kriegeskorte92": {
        "human_it": kriegeskorte.human_it,
        "models": kriegeskorte.models,
        "behaviour": kriegeskorte.behaviour,
        "published": kriegeskorte.published,
        "stimuli": kriegeskorte.stimuli,
    },
    "finger7t": {"responses": finger7t.responses, "models": finger7t.models},
    "haxby_slice": {"series": haxby.series, "events": haxby.events},
    "szinte_prf_v1": {"series": szinte.series, "stimulus": szinte.stimulus},
    "n400_group_eeg": {"evoked": n400.evoked},
    "language_parcels": {
        "volume": language_parcels.volume,
        "surface": language_parcels.surface,
        "labels": language_parcels.labels,
    },
    "langloc_stimuli": {"stimuli": language.langloc},
    "blimp": {"pairs": language.blimp},
    "syntaxgym": {"regions": language.suite_regions, "predictions": language.suite_predictions},
}


def load(name: str, *, what: str | None = None, root: str | Path | None = None, **selectors: Any) -> Any:
    """Return one part of a data set as a labelled array or a table.

    Every file that is used is checked against the manifest (length and SHA-256) before it is parsed.

    Parameters
    ----------
    name : str
        A key of ``LOADERS``.
    what : str, optional
        The part; a key of ``LOADERS[name]``, the first of them where None.
    root : path, optional
        The folder that holds one folder per data set. Where None: the environment variable NEUROALIGN_DATA,
        else NEUROALIGN_CACHE, else the user's cache folder (where ``fetch`` downloads to).
    **selectors
        What the part can be narrowed by, such as ``subjects=["s18"]`` or, of a set whose people have voxels
        of their own, ``subject="s2"``; see the function in ``LOADERS``.

    Returns
    -------
    xarray.DataArray or pandas.DataFrame
        ``attrs`` holds dataset, title, licence, cite, repository, commit, digest (one SHA-256 over names and
        digests of the files used), n_files and, where known, units and excluded.

    Raises
    ------
    InvalidValueError
        If the name, the part, a selector or its value is unknown; lists what there is.
    FileError
        If a file is missing or is not the one in the manifest; says how to get it.

    Examples
    --------
    >>> from neuroalign import datasets
    >>> bold = datasets.load("alice_fmri", rois=["LATL", "LPTL"])  # doctest: +SKIP
    >>> bold.dims, bold.attrs["licence"]  # doctest: +SKIP
    (('time', 'neuroid'), 'CC-BY-4.0')
    """
    if name not in LOADERS:
        if str(name).endswith((".yaml", ".yml")):
            raise InvalidValueError(f"load takes names; for the description {name} call read_described.")
        raise choice(name, LOADERS, name="data set")
    parts = LOADERS[name]
    if what is not None and what not in parts:
        raise choice(what, parts, name=f"what of {name!r}")
    what = what or next(iter(parts))
    _refuse_unknown_selectors(parts[what], selectors, f"{name!r}, what={what!r}")
    return parts[what](open_source(name, root), **selectors)


def _refuse_unknown_selectors(loader: Callable[..., Any], selectors: dict[str, Any], where: str) -> None:
    known = [
        key for key, item in inspect.signature(loader).parameters.items() if item.kind == item.KEYWORD_ONLY
    ]
    unknown = [key for key in selectors if key not in known]
    if unknown and not known:
        raise InvalidValueError(f"{where} takes no selector; got {listing(unknown)}.")
    if unknown:
        raise choice(unknown[0], known, name=f"selector of {where}")

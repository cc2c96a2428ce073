"""What a task loses when units are silenced, against many size-matched random masks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import xarray as xr
from tqdm.auto import tqdm

from .. import io
from ..errors import LabelError, NeuroalignError, listing
from ..extraction import LanguageModel, lesion
from ..stats import bootstrap, p_value
from .controls import CONTROL_KINDS, random_masks

__all__ = ["lesion_effect", "lesion_scores", "summarize_lesions"]

INTACT = "intact"


class Task(Protocol):
    """Anything that prepares a model and then scores it, item by item; above 0 is right."""

    def prepare(self, model: LanguageModel) -> Callable[[], xr.DataArray]:
        """Return a function that gives a DataArray (item,)."""


def lesion_scores(
    model: LanguageModel,
    masks: Mapping[str, xr.DataArray],
    task: Task,
    *,
    mode: str = "zero",
    values: xr.DataArray | None = None,
    work: str | Path | None = None,
    progress: bool = True,
) -> xr.DataArray:
    """Return the task's item scores, intact and under every mask.

    Parameters
    ----------
    model : LanguageModel
        Bit-identical afterwards.
    masks : mapping of name to DataArray (unit,) of bool
    task : Task
        Such as ``MinimalPairs``.
    mode, values
        Of ``extraction.lesion``.
    work : path, optional
        Folder for one small file a mask: a run that was killed goes on where it stopped. A file that was made
        with another model, mask or task is not used but made again.
    progress : bool

    Returns
    -------
    DataArray (mask, item)
        The first mask is ``"intact"``.
    """
    if INTACT in masks:
        raise LabelError(
            f"a mask cannot be called {INTACT!r}: that is the name of the model without a lesion."
        )
    score: Callable[[], xr.DataArray] | None = None
    rows = []
    for name in tqdm([INTACT, *masks], desc="lesions", unit="mask", disable=not progress, mininterval=1):
        key = _key(model, masks.get(name), task, mode, values)
        row = _stored(work, name, key)
        if row is None:
            score = score or task.prepare(model)
            row = _score(model, masks.get(name), score, mode=mode, values=values)
            if work is not None:
                io.save(row, _path(work, name), params=key)
        rows.append(row)
    return xr.concat(rows, dim=pd.Index([INTACT, *masks], name="mask"), combine_attrs="drop_conflicts")


def _score(
    model: LanguageModel, mask: xr.DataArray | None, score: Callable[[], xr.DataArray], **options: Any
) -> xr.DataArray:
    if mask is None:
        return score()
    with lesion(model, mask, **options):
        return score()


def _key(
    model: LanguageModel,
    mask: xr.DataArray | None,
    task: Task,
    mode: str,
    values: xr.DataArray | None,
) -> dict[str, Any]:
    units = None
    if mask is not None:
        other = set(mask.coords) - {"layer", "site", "index"}
        units = io.content_digest(mask.drop_vars(other).drop_attrs().rename("mask"))
    return {
        "model": model.digest,
        "dtype": model.dtype,
        "lesions": list(model.lesions),
        "mask": units,
        "task": getattr(task, "digest", None) or repr(task),
        "mode": mode,
        "values": None if values is None else io.content_digest(values.reset_coords(drop=True).drop_attrs()),
    }


def _path(work: str | Path, name: str) -> Path:
    return Path(work) / f"{name.replace('/', '-')}.nc"


def _stored(work: str | Path | None, name: str, key: dict[str, Any]) -> xr.DataArray | None:
    if work is None or not _path(work, name).exists():
        return None
    try:
        found = io.load(_path(work, name))
    except NeuroalignError:
        return None
    made = found.attrs.pop("provenance")
    return found if isinstance(found, xr.DataArray) and made["params"] == key else None


def lesion_effect(
    model: LanguageModel,
    mask: xr.DataArray,
    task: Task,
    n_controls: int,
    rng: np.random.Generator,
    *,
    magnitude: xr.DataArray | None = None,
    kinds: tuple[str, ...] | None = None,
    **options: Any,
) -> tuple[pd.DataFrame, xr.DataArray]:
    """Return the effect of silencing a mask against size-matched random masks, and all item scores.

    Parameters
    ----------
    model, task
        See ``lesion_scores``; its other options are passed on.
    mask : DataArray (unit,) of bool
    n_controls : int
        Random masks of each kind; with R of them p cannot go below 1 / (1 + R).
    rng : numpy.random.Generator
    magnitude : DataArray (unit,), optional
        Mean absolute activations; without it there are no norm-matched controls.
    kinds : tuple of str, optional
        Of ``CONTROL_KINDS``.

    Returns
    -------
    DataFrame, DataArray (mask, item)
        See ``summarize_lesions`` and ``lesion_scores``.
    """
    possible = tuple(k for k in CONTROL_KINDS if magnitude is not None or k != "norm-matched")
    masks, groups = {"selected": mask}, {}
    for kind in kinds or possible:
        drawn = random_masks(mask, kind, n_controls, rng=rng, magnitude=magnitude)
        groups[kind] = [f"{kind}-{i:03d}" for i in range(n_controls)]
        masks |= dict(zip(groups[kind], drawn, strict=True))
    scores = lesion_scores(model, masks, task, **options)
    return summarize_lesions(scores, ["selected"], groups, rng=rng), scores


def summarize_lesions(
    scores: xr.DataArray,
    named: list[str],
    controls: Mapping[str, list[str]],
    *,
    rng: np.random.Generator,
    n_bootstrap: int = 2000,
) -> pd.DataFrame:
    """Return accuracy and effect of every mask, and p of the named ones against each kind of control.

    Parameters
    ----------
    scores : DataArray (mask, item)
        Of ``lesion_scores``; an item above 0 is right, a tie is wrong.
    named : list of str
        Masks with a bootstrap interval (over items) of their paired effect.
    controls : mapping of kind to list of str
        Names of the random masks of each kind.
    rng : numpy.random.Generator
    n_bootstrap : int

    Returns
    -------
    DataFrame
        A row a mask: mask, kind, accuracy, effect (accuracy - intact accuracy; negative is a loss), low and
        high (95 % interval of the effect, named masks only), and ``p_<kind>``: the share of random masks
        whose loss is at least as large, (1 + n) / (1 + R).
    """
    random = [name for group in controls.values() for name in group]
    both = sorted(set(named) & set(random))
    if both:
        raise LabelError(f"{len(both)} masks are both named and controls: {listing(both)}.")
    wanted = [INTACT, *named, *random]
    missing = [name for name in wanted if name not in scores["mask"].values]
    if missing:
        raise LabelError(f"scores lack the masks {listing(missing)}.")
    right = scores.sel(mask=wanted) > 0
    accuracy = right.mean("item").to_series()
    effect = accuracy - accuracy[INTACT]
    kind_of = {name: kind for kind, group in controls.items() for name in group}
    rows = []
    for name in wanted:
        row: dict[str, Any] = {"mask": name, "kind": kind_of.get(name, "named"), "accuracy": accuracy[name]}
        row |= {"effect": effect[name], "low": np.nan, "high": np.nan}
        if name in named:
            change = right.sel(mask=name).values.astype(float) - right.sel(mask=INTACT).values
            found = bootstrap(_mean_of(change), change.size, n=n_bootstrap, rng=rng)
            row |= {"low": float(found.lower), "high": float(found.upper)}
            for kind, group in controls.items():
                row[f"p_{kind}"] = float(p_value(effect[name], effect[group].to_numpy(), tail="less"))
        rows.append(row)
    return pd.DataFrame(rows)


def _mean_of(values: np.ndarray) -> Callable[[np.ndarray], float]:
    return lambda chosen: float(values[chosen].mean())

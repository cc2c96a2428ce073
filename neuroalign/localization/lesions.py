"""What a task loses when units are silenced, against many size-matched random masks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from tqdm.auto import tqdm

from .. import io
from ..errors import InvalidValueError, LabelError, NeuroalignError, listing
from ..extraction import LanguageModel, lesion
from ..seeds import generator
from ..stats import bootstrap, p_value
from .controls import CONTROL_KINDS, random_masks
from .tasks import Task, item_values, outcome_of, prepare_task

__all__ = ["lesion_effect", "lesion_scores", "summarize_lesions"]

INTACT = "intact"


def lesion_scores(
    model: LanguageModel,
    masks: Mapping[str, xr.DataArray],
    task: Task,
    *,
    mode: str = "zero",
    values: np.ndarray | xr.DataArray | None = None,
    target: str = "state",
    seed: int | None = None,
    masks_per_batch: int = 1,
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
    mode, values, target
        Of ``extraction.lesion``.
    seed : int, optional
        For ``mode="resample"``: every mask sees the same draws, so that masks are paired. Sentences that are
        read together, such as those with a common beginning, get the values of the same other stimulus.
    masks_per_batch : int
        So many masks are in force at once, each on its own copy of the sentences. Sentences' log
        probabilities are the same to float32 rounding (1e-6 of their size). Masks must then have the same
        units in the same order, and the task must take ``n_masks``. It is for devices that small batches
        leave idle: on one CPU thread two masks at once took 1.2 times as long, four 1.4 times or more.
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
    if isinstance(masks_per_batch, bool) or not isinstance(masks_per_batch, int) or masks_per_batch < 1:
        raise InvalidValueError(f"masks_per_batch must be a positive integer; got {masks_per_batch!r}.")
    if (mode == "resample") != (seed is not None):
        raise InvalidValueError(
            f"mode='resample' needs a seed, and other modes none; got mode={mode!r}, seed={seed!r}."
        )
    for name, mask in masks.items():
        _refuse_other_model(model, name, mask)
    keys = {name: _key(model, masks.get(name), task, mode, values, target, seed) for name in (INTACT, *masks)}
    found = {name: row for name, key in keys.items() if (row := _stored(work, name, key)) is not None}
    prepared: dict[int, Callable[[], xr.DataArray]] = {}
    with tqdm(total=len(keys), desc="lesions", unit="mask", disable=not progress, mininterval=1) as bar:
        bar.update(len(found))
        for names in _groups([name for name in keys if name not in found], masks_per_batch):
            if len(names) not in prepared:
                prepared[len(names)] = prepare_task(task, model, len(names))
            together = [masks[name] for name in names if name != INTACT]
            options: dict[str, Any] = {"mode": mode, "values": values, "target": target, "seed": seed}
            rows = _score(model, together, prepared[len(names)], **options)
            for name, row in zip(names, rows, strict=True):
                found[name] = row
                if work is not None:
                    io.save(row, _path(work, name), params=keys[name])
            bar.update(len(names))
    rows = [found[name] for name in keys]
    return xr.concat(rows, dim=pd.Index(list(keys), name="mask"), combine_attrs="drop_conflicts")


def _refuse_other_model(model: LanguageModel, name: str, mask: xr.DataArray) -> None:
    made_for = mask.attrs.get("model_digest")
    if made_for is not None and made_for != model.digest:
        raise InvalidValueError(
            f"mask {name!r} was made for the model {str(made_for)[:12]}, but this one is "
            f"{model.digest[:12]}. Pass mask.drop_attrs() to silence these units of another model on purpose."
        )


def _groups(names: list[str], size: int) -> list[list[str]]:
    """Return names in groups of at most ``size``, as equal as can be; the intact model is by itself."""
    alone = [[name] for name in names if name == INTACT]
    rest = [name for name in names if name != INTACT]
    edges = np.linspace(0, len(rest), -(-len(rest) // size) + 1).round().astype(int)
    return alone + [rest[start:stop] for start, stop in pairwise(edges)]


def _score(
    model: LanguageModel,
    masks: list[xr.DataArray],
    score: Callable[[], xr.DataArray],
    *,
    seed: int | None,
    **options: Any,
) -> list[xr.DataArray]:
    """Return the scores (item,) under each of the masks; without a mask those of the intact model."""
    if not masks:
        return [score()]
    rng = None if seed is None else generator(seed, "lesion", "resample")
    with lesion(model, masks, rng=rng, **options):
        found = score()
    return [found] if len(masks) == 1 else list(found.transpose("mask", "item"))


def _key(
    model: LanguageModel,
    mask: xr.DataArray | None,
    task: Task,
    mode: str,
    values: np.ndarray | xr.DataArray | None,
    target: str,
    seed: int | None,
) -> dict[str, Any]:
    units = None
    if mask is not None:
        other = set(mask.coords) - {"layer", "site", "index"}
        units = io.content_digest(mask.drop_vars(other).drop_attrs().rename("mask"))
    return {
        **({} if target == "state" else {"target": target}),
        **({} if seed is None or mask is None else {"seed": seed}),
        "model": model.digest,
        "dtype": model.dtype,
        "lesions": list(model.lesions),
        "mask": units,
        "task": getattr(task, "digest", None) or repr(task),
        "mode": mode,
        "values": None if values is None else _values_digest(values),
    }


def _values_digest(values: np.ndarray | xr.DataArray) -> str:
    plain = values if isinstance(values, xr.DataArray) else xr.DataArray(values)
    return io.content_digest(plain.reset_coords(drop=True).drop_attrs())


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
    outcome: str | None = None,
) -> pd.DataFrame:
    """Return accuracy (or mean) and effect of every mask, and p of the named ones against the controls.

    Parameters
    ----------
    scores : DataArray (mask, item)
        Of ``lesion_scores``; higher is better.
    named : list of str
        Masks with a bootstrap interval (over items) of their paired effect.
    controls : mapping of kind to list of str
        Names of the random masks of each kind.
    rng : numpy.random.Generator
    n_bootstrap : int
    outcome : {"accuracy", "mean"}, optional
        ``accuracy``: the share of items above 0 (a tie is wrong). ``mean``: the mean score. Where None, what
        the scores' ``attrs["outcome"]`` says, else ``accuracy``.

    Returns
    -------
    DataFrame
        A row a mask: mask, kind, ``accuracy`` (or ``mean``), effect (that minus the intact model's; negative
        is a loss), low and high (95 % interval of the effect, named masks only), and ``p_<kind>``: the share
        of random masks whose loss is at least as large, (1 + n) / (1 + R).
    """
    random = [name for group in controls.values() for name in group]
    both = sorted(set(named) & set(random))
    if both:
        raise LabelError(f"{len(both)} masks are both named and controls: {listing(both)}.")
    wanted = [INTACT, *named, *random]
    missing = [name for name in wanted if name not in scores["mask"].values]
    if missing:
        raise LabelError(f"scores lack the masks {listing(missing)}.")
    outcome = outcome_of(scores, outcome)
    items = item_values(scores.sel(mask=wanted), outcome)
    level = items.mean("item").to_series()
    effect = level - level[INTACT]
    kind_of = {name: kind for kind, group in controls.items() for name in group}
    rows = []
    for name in wanted:
        row: dict[str, Any] = {"mask": name, "kind": kind_of.get(name, "named"), outcome: level[name]}
        row |= {"effect": effect[name], "low": np.nan, "high": np.nan}
        if name in named:
            change = items.sel(mask=name).values - items.sel(mask=INTACT).values
            found = bootstrap(_mean_of(change), change.size, n=n_bootstrap, rng=rng)
            row |= {"low": float(found.lower), "high": float(found.upper)}
            for kind, group in controls.items():
                row[f"p_{kind}"] = float(p_value(effect[name], effect[group].to_numpy(), tail="less"))
        rows.append(row)
    return pd.DataFrame(rows)


def _mean_of(values: np.ndarray) -> Callable[[np.ndarray], float]:
    return lambda chosen: float(values[chosen].mean())

"""What ``neuroalign rsa`` does: files of responses, activations or RDMs in, a table of comparisons out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from .. import io, rsa
from ..errors import FileError
from ..schema import align, rdm_stimuli
from ..seeds import generator
from .rsa_files import data_rdms, model_rdms

__all__ = ["compare_files"]


def compare_files(
    data: Path,
    models: Sequence[str],
    *,
    metric: str,
    model_metric: str,
    method: str,
    roi: str | None,
    resample: str,
    draws: int,
    permutations: int,
    out: Path,
    as_json: bool,
    seed: int,
) -> Iterator[str]:
    """Compare model RDMs with each subject's, save table, RDMs and figure, and say what was found, by line.

    With one RDM of the data there is neither a noise ceiling nor a test over people; intervals are then over
    new stimuli only.
    """
    if out.suffix != ".tsv":
        raise FileError(f"--out must end in .tsv; got {str(out)!r}.")
    own = data_rdms(data, metric=metric, roi=roi)
    found = model_rdms(models, metric=model_metric)
    moved = xr.concat(
        [align(own, one, names=(str(data), str(one["model"].item())))[1] for one in found],
        "model",
        combine_attrs="drop",
    )
    alone = own.sizes["subject"] == 1
    result = rsa.infer(
        moved,
        own,
        method=method,
        bootstrap="stimulus" if alone else resample,
        n=draws,
        n_permutations=permutations,
        ceiling=not alone,
        rng=generator(seed, "rsa"),
        progress=True,
    )
    table = _table(result)
    _save(out, table, own, moved, result, seed)
    if as_json:
        yield json.dumps(_plain(table), indent=1)
        return
    yield from _said(data, own, result, metric=metric, out=out)


def _table(result: xr.Dataset) -> pd.DataFrame:
    """Return a row a model, a row a model and subject, and a row a bound of the noise ceiling."""
    rows: list[dict[str, Any]] = []
    for name in result["model"].values.tolist():
        one = result.sel(model=name)
        low, high = one["interval"].values
        mean = {"value": float(one["estimate"]), "low": low, "high": high}
        tests = {"p": float(one["permutation_p"]), "p_fdr": float(one["permutation_p_fdr"])}
        rows.append({"kind": "model", "name": name, "subject": "mean", **mean, **tests})
        rows += [
            {"kind": "model", "name": name, "subject": str(s["subject"].values), "value": float(s)}
            for s in one["score"]
        ]
    if "noise_ceiling" in result:
        rows += [
            {"kind": "ceiling", "name": bound, "subject": "mean", "value": float(value)}
            for bound, value in zip(("lower", "upper"), result["noise_ceiling"].values, strict=True)
        ]
    columns = ["kind", "name", "subject", "value", "low", "high", "p", "p_fdr"]
    return pd.DataFrame(rows).reindex(columns=columns)


def _plain(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of the means for a program; what is undefined is null."""
    rows = table[table["subject"] == "mean"].to_dict("records")
    return [{str(k): None if isinstance(v, float) and np.isnan(v) else v for k, v in r.items()} for r in rows]


def _save(
    out: Path, table: pd.DataFrame, own: xr.DataArray, models: xr.DataArray, result: xr.Dataset, seed: int
) -> None:
    """Write the table, the RDMs, the figure and its caption beside each other."""
    from .rsa_figure import draw_comparison

    io.write_table(table, out)
    params = {key: _plain_number(value) for key, value in result.attrs.items()}
    io.save(xr.Dataset({"data": own, "models": models}), out.with_suffix(".nc"), seed=seed, params=params)
    best = result["estimate"].to_series().sort_values(ascending=False).index.tolist()
    draw_comparison(out.with_suffix(""), own, models, result, best)


def _plain_number(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _said(data: Path, own: xr.DataArray, result: xr.Dataset, *, metric: str, out: Path) -> Iterator[str]:
    n = own.sizes["subject"]
    made = "RDMs as they are" if own.attrs.get("given") else f"{metric} RDMs of patterns"
    n_stimuli, method = len(rdm_stimuli(own)), result.attrs["metric"]
    yield f"{data}: {n} subject(s), {n_stimuli} stimuli, {made}; compared by {method}"
    if "noise_ceiling" in result:
        low, high = result["noise_ceiling"].values
        yield f"noise ceiling: {low:.3f} to {high:.3f}"
    else:
        yield "noise ceiling: none, the data have one RDM; intervals are over new stimuli only"
    width = max(len(str(name)) for name in result["model"].values)
    for name in result["model"].values.tolist():
        one = result.sel(model=name)
        low, high = one["interval"].values
        yield (
            f"  {name:<{width}}  {float(one['estimate']):+.3f} [{low:+.3f}, {high:+.3f}]  "
            f"p = {float(one['permutation_p']):.3g}, q = {float(one['permutation_p_fdr']):.3g}"
        )
    undefined = int(result["n_undefined_draws"].sum())
    if undefined:
        yield f"{undefined} scores of bootstrap draws are undefined and left out"
    yield "intervals: 95 %, bootstrap; p: orders of the stimuli; q: FDR over models"
    stem = out.with_suffix("")
    yield f"saved: {out}, {stem}.nc (RDMs), {stem}.pdf, {stem}.png, {stem}.json (caption)"

"""Figure 6: model RDMs against the RDMs of people who saw the same images."""

from __future__ import annotations

import pandas as pd
import xarray as xr

from ... import datasets, rsa
from ...seeds import generator
from ..config import Objects
from ..paths import Paths
from .common import write_values

__all__ = ["objects"]


def objects(paths: Paths) -> None:
    """Write the values of figure 6: every model's score for every subject, ceilings, intervals, p."""
    section = paths.study.objects or Objects()
    subjects = datasets.load(section.responses)
    models = datasets.load(section.responses, what="models")
    averaged = subjects.mean("session", keep_attrs=True)
    rows: list[dict] = []
    for method in section.methods:
        rng = generator(paths.study.seed, "objects", method)
        found = rsa.evaluate(
            models,
            averaged,
            method,
            n_bootstrap=section.n_bootstrap,
            n_permutations=section.n_permutations,
            rng=rng,
        )
        rows += _rows(found, method)
    inputs = {"subjects": subjects.attrs["digest"], "models": models.attrs["digest"]}
    notes = {"n_subjects": averaged.sizes["subject"], "licence": subjects.attrs["licence"]}
    notes |= {"cite": subjects.attrs["cite"], "n_permutations": section.n_permutations}
    write_values(paths, 6, pd.DataFrame(rows), inputs=inputs, section=section, notes=notes)


def _rows(found: xr.Dataset, method: str) -> list[dict]:
    rows = []
    for model in found["model"].values:
        one = found.sel(model=model)
        low, high = one["interval"].values
        extra = {"low": low, "high": high, "p": float(one["p"]), "p_fdr": float(one["p_fdr"])}
        rows.append(_row(method, model, "mean", float(one["estimate"]), **extra))
        rows += [_row(method, model, str(s["subject"].values), float(s)) for s in one["score"]]
    lower, upper = found["noise_ceiling"].values
    rows.append(_row(method, "noise ceiling", "lower", float(lower)))
    rows.append(_row(method, "noise ceiling", "upper", float(upper)))
    return rows


def _row(method: str, model: str, subject: str, value: float, **extra: float) -> dict:
    empty = dict.fromkeys(("low", "high", "p", "p_fdr"), float("nan"))
    return {"method": method, "model": str(model), "subject": subject, "value": value, **empty, **extra}

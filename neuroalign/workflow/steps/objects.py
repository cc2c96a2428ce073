"""Figures 6, 14 and 15: people's RDMs, model RDMs against them, and which differences hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pandas as pd
import xarray as xr
from tqdm.auto import tqdm

from ... import datasets, io, rsa
from ...datasets.known import finger7t
from ...schema import rdm_stimuli
from ...seeds import generator
from ..paths import Paths
from ..sections import Objects
from .common import write_values

__all__ = ["objects"]


class People(NamedTuple):
    """Model RDMs (model, pair), RDMs (subject, pair), each stimulus's category, and words for captions."""

    models: xr.DataArray
    data: xr.DataArray
    categories: dict[str, str]
    beside: str
    notes: dict[str, Any]


def objects(paths: Paths) -> None:
    """Write the values of figures 6 (scores), 14 (RDMs and their maps) and 15 (inference)."""
    section = paths.study.objects or Objects()
    people = PEOPLE[section.responses]()
    inputs = {"subjects": people.data.attrs["digest"], "models": people.models.attrs["digest"]}
    notes = people.notes | {
        "n_subjects": people.data.sizes["subject"],
        "n_models": people.models.sizes["model"],
        "n_permutations": section.n_permutations,
        "licence": people.data.attrs["licence"],
        "cite": people.data.attrs["cite"],
    }
    rows: list[dict] = []
    for method in section.methods:
        found = rsa.evaluate(
            people.models,
            people.data,
            method,
            n_bootstrap=section.n_bootstrap,
            n_permutations=section.n_permutations,
            rng=generator(paths.study.seed, "objects", method),
        )
        rows += _rows(found, method)
    write_values(paths, 6, pd.DataFrame(rows), inputs=inputs, section=section, notes=notes)
    table, stress = _maps(people)
    write_values(paths, 14, table, inputs=inputs, section=section, notes=notes | {"stress": stress})
    tables, facts = [], {}
    for method in tqdm(section.methods, desc="inference", unit="comparator"):
        found = rsa.infer(
            people.models,
            people.data,
            method=method,
            bootstrap=section.resample,
            n=section.n_draws,
            n_permutations=section.n_permutations,
            rng=generator(paths.study.seed, "objects", "inference", method),
        )
        io.save(found.drop_attrs(deep=True), paths.inference(method), inputs=inputs, seed=paths.study.seed)
        tables.append(_inferred(found, method))
        facts[method] = {"n_undefined": int(found["n_undefined_draws"].sum())}
    write_values(paths, 15, pd.concat(tables), inputs=inputs, section=section, notes=notes | {"draws": facts})


def _images() -> People:
    subjects = datasets.load("kriegeskorte92")
    table = datasets.load("kriegeskorte92", what="stimuli")
    return People(
        datasets.load("kriegeskorte92", what="models"),
        subjects.mean("session", keep_attrs=True),
        dict(zip(table["stimulus"], table["category"], strict=True)),
        "monkeyIT",
        {
            "stimuli": "92 object images",
            "region": "human IT",
            "rdms": "correlation distance, two sessions averaged",
            "squared": False,
            "remark": "The model 'monkeyIT' is another brain, not a theory. No photograph is shown.",
        },
    )


def _fingers() -> People:
    names = list(finger7t.SUBJECTS)
    rdms = [rsa.rdm(datasets.load("finger7t", subject=name), "crossnobis") for name in names]
    data = xr.concat(rdms, pd.Index(names, name="subject"), coords="minimal", compat="override")
    models = datasets.load("finger7t", what="models")
    fingers = rdm_stimuli(data, name="data").tolist()
    return People(
        models,
        data.assign_attrs(models.attrs),
        dict(zip(fingers, fingers, strict=True)),
        "Naturalstats",
        {
            "stimuli": "presses of five fingers",
            "region": "M1/S1",
            "rdms": "crossnobis distance over seven or eight runs",
            "squared": True,
            "remark": "There are ten pairs and 120 orders of the fingers, which are not resampled.",
        },
    )


PEOPLE: dict[str, Callable[[], People]] = {"kriegeskorte92": _images, "finger7t": _fingers}


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


def _maps(people: People) -> tuple[pd.DataFrame, dict[str, float]]:
    """Return the mean RDM and the model beside it, pair by pair, and the stimuli's places in the plane."""
    rdms = {
        people.notes["region"]: rsa.mean_rdm(people.data, "subject"),
        people.beside: people.models.sel(model=people.beside),
    }
    tables, stress = [], {}
    for name, one in rdms.items():
        pairs = {"a": one["stimulus_a"].values, "b": one["stimulus_b"].values, "value": one.values}
        tables.append(pd.DataFrame(pairs).assign(rdm=name, what="dissimilarity"))
        # Cross-validated distances are squared, and may be negative, which no distance in the plane is.
        how = "sqrt" if people.notes["squared"] else "positive"
        places = rsa.mds(
            rsa.transform(one, how, negative="zero") if how == "sqrt" else rsa.transform(one, how)
        )
        stress[name] = float(places.attrs["stress"])
        x, y = places.values.T
        tables.append(
            pd.DataFrame({"a": places["stimulus"].values, "x": x, "y": y}).assign(rdm=name, what="place")
        )
    table = pd.concat(tables, ignore_index=True)
    return table.assign(category=[people.categories[name] for name in table["a"]]), stress


def _inferred(found: xr.Dataset, method: str) -> pd.DataFrame:
    """Return estimates, scores, intervals, corrected p and draws, a value a row."""
    low, high = found["interval"].transpose("bound", "model").values
    draws = found["draw_estimate"].isel(kind=0).mean("repeat", skipna=False).transpose("draw", "model")
    parts = {
        "estimate": found["estimate"],
        "score": found["score"],
        "low": found["estimate"].copy(data=low),
        "high": found["estimate"].copy(data=high),
        "p_fdr against 0": found["zero_p_fdr"],
        "p_fdr of permutation": found["permutation_p_fdr"],
        "p_fdr pairwise": found["pairwise_p_fdr"],
        "noise ceiling": found["noise_ceiling"].rename(bound="model"),
        "draw": draws,
    }
    tables = []
    for quantity, values in parts.items():
        other = [dim for dim in values.dims if dim != "model"]
        table = (
            values.drop_vars(set(values.coords) - {*values.dims}).rename("value").to_dataframe().reset_index()
        )
        table["other"] = table[other[0]].astype(str) if other else ""
        tables.append(table[["model", "other", "value"]].assign(quantity=quantity, method=method))
    return pd.concat(tables, ignore_index=True)

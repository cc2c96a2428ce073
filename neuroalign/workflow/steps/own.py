"""Figure 21: your own data, region by region, against model RDMs and the layers of a network."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from tqdm.auto import tqdm

from ... import datasets, io, rsa, stats
from ...errors import InvalidValueError, LabelError, ShapeError, listing
from ...extraction import extract
from ...schema import align, make_rdm, rdm_stimuli
from ...seeds import generator
from ..paths import TWINS, Paths
from ..sections import Own
from ..sources import LayerFile
from .common import load_network, write_values
from .own_models import model_rdms

__all__ = ["own_activations", "own_rdms", "own_rsa"]

WHOLE = "all"
# Neuroids of a region beyond which a full precision would not fit in memory beside the rest.
MOST = 6000


def own_activations(paths: Paths) -> None:
    """Write the activations of the described stimuli in the trained and the untrained network."""
    section = _section(paths)
    table = datasets.read_described(section.data, what="stimuli")
    if "text" not in table:
        raise LabelError(
            f"{section.data}: network: true needs a column 'text' in the stimulus table; it has "
            f"{listing(table.columns, limit=20)}."
        )
    for twin in TWINS:
        extract(
            load_network(paths.study, twin),
            table,
            pool=section.pool,
            batch_size=paths.study.model.batch_size,
            out=paths.activations("own", twin),
        )


def own_rdms(paths: Paths) -> None:
    """Write the RDMs (roi, subject, pair) of the described data."""
    section = _section(paths)
    found: dict[str, dict[str, xr.DataArray]] = {}
    facts: dict[str, Any] = {}
    names = datasets.described_subjects(section.data)
    for subject in tqdm(names, desc="subjects", unit="subject"):
        rdms, about = _subject_rdms(section, subject)
        for roi, one in rdms.items():
            found.setdefault(roi, {})[subject] = one
        facts[subject] = about
    rois = list(section.rois or found)
    missing = [roi for roi in rois if roi not in found]
    if missing:
        raise LabelError(f"own.rois: {listing(missing)} are none of {listing(found, limit=20)}.")
    joined = _joined({roi: found[roi] for roi in rois}, names, _order(section))
    joined.attrs = {"facts": facts, **next(iter(next(iter(found.values())).values())).attrs}
    io.save(joined, paths.own_rdms, seed=paths.study.seed, params=section.model_dump(mode="json"))


def own_rsa(paths: Paths) -> None:
    """Write the values of figure 21: scores of models and layers by region, ceilings, chance, mean RDMs."""
    section, seed = _section(paths), paths.study.seed
    data = _loaded(paths)
    inputs = {"rdms": io.content_digest(data)}
    rows: list[dict[str, Any]] = []
    undefined = 0
    models = model_rdms(section, data)
    for roi in tqdm(data["roi"].values.tolist(), desc="regions", unit="region"):
        own = data.sel(roi=roi, drop=True).dropna("subject", how="all")
        if own.sizes["subject"] < 2:
            raise ShapeError(
                f"region {roi!r}: a noise ceiling needs at least 2 subjects; got {own.sizes['subject']}."
            )
        rows += _mean_rows(roi, own)
        rows += _ceiling_rows(roi, own, section.method)
        if models is not None:
            some, n = _model_rows(roi, models, own, section, generator(seed, "own", roi, "models"))
            rows, undefined = rows + some, undefined + n
        if section.network:
            for twin in TWINS:
                file = LayerFile(paths.activations("own", twin))
                inputs[f"activations, {twin}"] = io.layers_digest(file.path)
                rows += _layer_rows(roi, file, own, section, twin, generator(seed, "own", roi, "layers"))
    table = pd.DataFrame(rows)
    for kind in ("model", "layer"):
        tested = (table["kind"] == kind) & (table["subject"] == "mean") & (table["network"] != "untrained")
        table.loc[tested, "p_fdr"] = stats.fdr(table.loc[tested, "p"].to_numpy(float))
    write_values(paths, 21, table, inputs=inputs, section=section, notes=_notes(section, data, undefined))


def _loaded(paths: Paths) -> xr.DataArray:
    found = io.load(paths.own_rdms)
    if not isinstance(found, xr.DataArray):
        raise ShapeError(f"{paths.own_rdms} must hold RDMs (roi, subject, pair); it holds a Dataset.")
    return found


def _section(paths: Paths) -> Own:
    if paths.study.own is None:
        raise InvalidValueError(f"study {paths.study.name!r} has no section own.")
    return paths.study.own


def _subject_rdms(section: Own, subject: str) -> tuple[dict[str, xr.DataArray], dict[str, Any]]:
    """Return a subject's RDM of every region, and facts for the caption."""
    kind = datasets.read_description(section.data).kind
    if kind == "rdm":
        found = datasets.read_described(section.data, subject=subject)
        return {WHOLE: found.isel(subject=0, drop=True)}, {"metric": "given"}
    residuals = None
    if kind in ("bids", "volumes", "surfaces"):
        fitted = datasets.read_described(section.data, what="estimates", subject=subject, progress=False)
        patterns, residuals = fitted["betas"].assign_attrs(fitted.attrs), fitted.get("residuals")
        dof = float(sum(fitted.attrs["dof"])) if residuals is not None else None
    else:
        patterns, dof = datasets.read_described(section.data, subject=subject, progress=False), None
    patterns = _windowed(patterns, section)
    metric = _metric(patterns, section)
    facts: dict[str, Any] = {"metric": metric, "n_undefined": int(patterns.attrs.get("n_undefined", 0))}
    noisy = metric == "crossnobis" and section.noise != "none" and residuals is not None
    facts |= {"noise": section.noise if noisy else "none", "n_neuroids": {}}
    rdms = {}
    for roi, inside in _regions(patterns, section).items():
        own = patterns.isel(neuroid=inside)
        noise = None
        if noisy and residuals is not None:
            noise = _precision(residuals.isel(neuroid=inside), section, dof, roi)
        rdms[roi] = rsa.rdm(_plain(own, metric), metric, noise=noise)
        facts["n_neuroids"][roi] = int(inside.sum())
    facts |= {key: patterns.attrs.get(key) for key in ("dataset", "title", "licence", "cite", "excluded")}
    facts["n_runs"] = int(np.unique(patterns["run"].values).size) if "run" in patterns.coords else 0
    return rdms, facts


def _windowed(patterns: xr.DataArray, section: Own) -> xr.DataArray:
    """Return responses without time: the mean over the window of epochs."""
    if "time" not in patterns.dims:
        if section.window is not None:
            raise InvalidValueError("own.window belongs to responses in time; these have none.")
        return patterns
    if section.window is None:
        raise InvalidValueError(
            f"own: responses have times from {float(patterns['time'][0]):g} to "
            f"{float(patterns['time'][-1]):g} s; say with window: [from, to] which are averaged."
        )
    times = patterns["time"].values
    inside = (times >= section.window[0]) & (times <= section.window[1])
    if not inside.any():
        raise InvalidValueError(
            f"own.window {section.window} holds no time of {times[0]:g} to {times[-1]:g} s."
        )
    return patterns.isel(time=inside).mean("time", keep_attrs=True)


def _metric(patterns: xr.DataArray, section: Own) -> str:
    """Return the metric; by itself crossnobis where every stimulus comes in at least two runs."""
    if section.metric != "auto":
        return section.metric
    if "run" not in patterns.coords or "presentation" not in patterns.dims:
        return "correlation"
    pairs = pd.DataFrame({"stimulus": patterns["stimulus"].values, "run": patterns["run"].values})
    return "crossnobis" if pairs.groupby("stimulus")["run"].nunique().min() > 1 else "correlation"


def _plain(patterns: xr.DataArray, metric: str) -> xr.DataArray:
    return patterns if patterns.dims[-1] == "neuroid" else patterns.transpose(..., "neuroid")


def _regions(patterns: xr.DataArray, section: Own) -> dict[str, np.ndarray]:
    """Return which neuroids lie in each region, in the order in which the data have them."""
    if "roi" not in patterns.coords:
        return {WHOLE: np.ones(patterns.sizes["neuroid"], dtype=bool)}
    rois = patterns["roi"].values.astype(str)
    names = [roi for roi in dict.fromkeys(rois.tolist()) if section.rois is None or roi in section.rois]
    return {name: rois == name for name in names}


def _precision(residuals: xr.DataArray, section: Own, dof: float | None, roi: str) -> xr.DataArray:
    if residuals.sizes["neuroid"] > MOST:
        raise ShapeError(
            f"region {roi!r} has {residuals.sizes['neuroid']:,} neuroids; a noise precision of more than "
            f"{MOST:,} does not fit. Name parcels in the description, or set own.noise: none."
        )
    return rsa.noise_precision(residuals, section.noise, dof=dof, folds="time_run")


def _order(section: Own) -> list[str]:
    """Return the stimuli in the order of their table; none where there is no table."""
    if datasets.read_description(section.data).stimuli is None:
        return []
    return datasets.read_described(section.data, what="stimuli")["stimulus"].tolist()


def _joined(found: dict[str, dict[str, xr.DataArray]], subjects: list[str], order: list[str]) -> xr.DataArray:
    """Return RDMs (roi, subject, pair) in one order of the stimuli, NaN where a subject lacks a region."""
    first = next(iter(next(iter(found.values())).values()))
    there = set(rdm_stimuli(first).tolist())
    if there <= set(order):
        first = rsa.subset(first, [name for name in order if name in there])
    values = np.full((len(found), len(subjects), first.sizes["pair"]), np.nan)
    for i, some in enumerate(found.values()):
        for subject, one in some.items():
            values[i, subjects.index(subject)] = align(first, one, names=("the first subject", subject))[
                1
            ].values
    coords = {"roi": list(found), "subject": subjects}
    return make_rdm(values, rdm_stimuli(first), dims=("roi", "subject"), coords=coords)


def _model_rows(
    roi: str, models: xr.DataArray, own: xr.DataArray, section: Own, rng: np.random.Generator
) -> tuple[list[dict[str, Any]], int]:
    found = rsa.infer(
        models,
        own,
        method=section.method,
        bootstrap=section.resample,
        n=section.n_draws,
        n_permutations=section.n_permutations,
        rng=rng,
    )
    rows = []
    for name in found["model"].values.tolist():
        one = found.sel(model=name)
        low, high = one["interval"].values
        null = np.nanpercentile(one["permutation_estimate"].values, [5, 95])
        where = {"roi": roi, "kind": "model", "name": name}
        rows.append(
            _row(**where, value=float(one["estimate"]), low=low, high=high, p=float(one["permutation_p"]))
            | {"null_low": null[0], "null_high": null[1], "subject": "mean"}
        )
        rows += [_row(**where, subject=str(s["subject"].values), value=float(s)) for s in one["score"]]
    return rows, int(found["n_undefined_draws"].sum())


def _layer_rows(
    roi: str, file: LayerFile, own: xr.DataArray, section: Own, twin: str, rng: np.random.Generator
) -> list[dict[str, Any]]:
    """Return the score of every layer, tested by orders of the stimuli that all layers share."""
    last = len(file) - 1
    depths = sorted({*range(0, len(file), section.layer_step), last})
    shown = rdm_stimuli(own)
    rdms = []
    for depth in depths:
        layer = file[file.names[depth]]
        taken = layer.isel(stimulus=pd.Index(layer["stimulus"].values).get_indexer(shown))
        rdms.append(rsa.rdm(taken.astype(np.float64), section.layer_metric).values)
    layers = make_rdm(np.stack(rdms), shown, dims=("model",), coords={"model": depths})
    found = rsa.evaluate(layers, own, section.method, n_permutations=section.n_permutations, rng=rng)
    rows = []
    for depth in depths:
        one = found.sel(model=depth)
        where = {"roi": roi, "kind": "layer", "name": file.names[depth], "network": twin, "depth": depth}
        rows.append(_row(**where, subject="mean", value=float(one["estimate"]), p=float(one["p"])))
        rows += [_row(**where, subject=str(s["subject"].values), value=float(s)) for s in one["score"]]
    return rows


def _ceiling_rows(roi: str, own: xr.DataArray, method: str) -> list[dict[str, Any]]:
    low, high = rsa.noise_ceiling(own, method).values
    return [
        _row(roi=roi, kind="ceiling", name=name, value=float(value))
        for name, value in (("lower", low), ("upper", high))
    ]


def _mean_rows(roi: str, own: xr.DataArray) -> list[dict[str, Any]]:
    mean = rsa.mean_rdm(own, "subject")
    pairs = zip(mean["stimulus_a"].values, mean["stimulus_b"].values, mean.values, strict=True)
    return [_row(roi=roi, kind="rdm", name=str(a), other=str(b), value=float(value)) for a, b, value in pairs]


def _row(**given: Any) -> dict[str, Any]:
    texts = dict.fromkeys(("roi", "kind", "name", "other", "network", "subject"), "")
    numbers = dict.fromkeys(
        ("depth", "value", "low", "high", "null_low", "null_high", "p", "p_fdr"), float("nan")
    )
    return {**texts, **numbers, **given}


def _notes(section: Own, data: xr.DataArray, undefined: int) -> dict[str, Any]:
    facts = data.attrs["facts"]
    first = next(iter(facts.values()))
    about = datasets.read_description(section.data)
    sizes = {
        roi: [one["n_neuroids"].get(roi, 0) for one in facts.values() if "n_neuroids" in one]
        for roi in data["roi"].values.tolist()
    }
    return {
        "n_subjects": data.sizes["subject"],
        "n_stimuli": len(rdm_stimuli(data)),
        "n_runs": sorted({one.get("n_runs", 0) for one in facts.values()}),
        "kind": about.kind,
        "metric": first["metric"],
        "noise": first.get("noise", "none"),
        "n_neuroids": {roi: [min(some), max(some)] for roi, some in sizes.items() if some},
        "n_constant": sum(one.get("n_undefined", 0) for one in facts.values()),
        "n_undefined_draws": undefined,
        "excluded": about.exclude.model_dump(),
        "licence": about.licence,
        "cite": about.cite,
        "data": about.title,
        "simulated": section.simulated,
    }

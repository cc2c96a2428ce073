"""Figures 12 and 13: topological RSA of digits networks, of brains, and of toys of known topology."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from tqdm import tqdm

from ... import datasets, rsa
from ...datasets.known import finger7t
from ...rsa import topology
from ...seeds import generator
from ..digits import LAYERS, digit_activations
from ..paths import Paths
from ..sections import Topology
from .common import write_values

__all__ = ["topological_rsa"]

NETWORKS, KNOWN = 12, 13
NEAR = (0.0, 0.075)


def topological_rsa(paths: Paths) -> None:
    """Write the values of figure 12 (digits networks) and of figure 13 (toys of known topology, brains)."""
    section = paths.study.topology or Topology()
    seed = paths.study.seed
    table, notes = _networks(section, seed)
    write_values(paths, NETWORKS, table, inputs={}, section=section, notes=notes)
    parts, facts, inputs = [_curves()], _rings(), {}
    map_rows, found = _circle(section, seed)
    parts.append(map_rows)
    for name in tqdm(section.brains, desc="brains", disable=not section.brains):
        rdms, over, digest = BRAINS[name]()
        parts.append(_brain(name, rdms, over, section, seed))
        inputs[name] = digest
    facts |= found | {"brains": list(section.brains)}
    write_values(paths, KNOWN, pd.concat(parts), inputs=inputs, section=section, notes=facts)


def _networks(section: Topology, seed: int) -> tuple[pd.DataFrame, dict[str, Any]]:
    activations, accuracy = digit_activations(
        section.n_networks, n_images=section.n_images, epochs=section.epochs, seed=seed
    )
    cells = topology.grid(section.step)
    rows, silent = [], 0
    jobs = [(metric, noise) for metric in section.metrics for noise in section.noise]
    for metric, noise in tqdm(jobs, desc="metrics and noise levels"):
        measured = _measured(activations, noise, generator(seed, "topology", "noise", str(noise)))
        found = topology.model_selection(
            rsa.rdm(measured, metric),
            over="seed",
            classes="layer",
            cells=cells,
            n_bootstrap=section.n_bootstrap,
            resample=section.resample,
            rng=generator(seed, "topology", "bootstrap", metric, str(noise)),
            progress=True,
        )
        silent += found.attrs["n_undefined"] + found.attrs["n_unchosen"]
        rows.append(_rows(found, data="digits networks", metric=metric, noise=noise))
    notes = {
        "n_networks": section.n_networks,
        "n_layers": len(LAYERS),
        "n_images": section.n_images,
        "n_bootstrap": section.n_bootstrap,
        "resampled": section.resample,
        "n_undefined_draws": silent,
        "digit_accuracy": [round(float(accuracy.min()), 3), round(float(accuracy.max()), 3)],
    }
    return pd.concat(rows), notes


def _measured(activations: xr.DataArray, noise: float, rng: np.random.Generator) -> xr.DataArray:
    """Return activations with simulated noise, in units of each layer's own spread over images."""
    spread = np.sqrt(activations.astype(np.float64).var("stimulus").mean("unit"))
    drawn = xr.DataArray(rng.standard_normal(activations.shape), dims=activations.dims)
    return (activations + noise * spread * drawn).transpose(*activations.dims)


def _rows(found: xr.Dataset, **about: Any) -> pd.DataFrame:
    """Return accuracies by cell and by summary, with intervals where there are some."""
    nothing = np.full((2, found.sizes["cell"] + found.sizes["summary"]), np.nan)
    cells = {"kind": "cell", "name": found["family"].values, "value": found["accuracy"].values}
    by_cell = pd.DataFrame(cells | {"lower": found["lower"].values, "upper": found["upper"].values})
    by_summary = pd.DataFrame(
        {
            "kind": "summary",
            "name": found["summary"].values,
            "value": found["summary_accuracy"].values,
            "gain": found["gain"].values,
        }
    )
    for table, part, size in ((by_cell, "accuracy", 0), (by_summary, "summary", 1)):
        ends = found[f"{part}_interval"].values if f"{part}_interval" in found else nothing[:, : len(table)]
        table["low"], table["high"] = ends
        if size and "gain_interval" in found:
            table["gain_low"], table["gain_high"] = found["gain_interval"].values
    chosen = [found[f"chosen_{end}"].sel(choice="all").values for end in ("lower", "upper")]
    over = str(found["chosen_lower"].dims[1])
    by_choice = pd.DataFrame(
        {"kind": "chosen", "name": found[over].values.astype(str), "lower": chosen[0], "upper": chosen[1]}
    )
    table = pd.concat([by_cell, by_summary, by_choice])
    return table.assign(**about, chance=found.attrs["chance"])


def _curves() -> pd.DataFrame:
    """Return where the four toy curves lie by each summary of their RDMs."""
    curves = topology.toy_curves()
    rdms = rsa.rdm(curves, "euclidean")
    graded = topology.geo_topological(rdms, *NEAR)
    z = (rdms - rdms.mean("pair")) / rdms.std("pair")
    summaries = {
        "raw": rdms,
        "z-scored": z.assign_attrs(rdms.attrs),
        "rank": topology.geo_topological(rdms),
        "RGTM": graded,
        "RGDM": topology.geodesic(graded, rank=True, unreachable="raise"),
    }
    parts = [_points(curves)]
    for name, summary in summaries.items():
        vectors = summary.values - summary.values.mean(axis=0)
        distances = np.sqrt(((vectors[:, None] - vectors[None]) ** 2).mean(axis=-1))
        places = _classical_mds(distances)
        parts.append(
            pd.DataFrame(
                {
                    "kind": "place",
                    "name": name,
                    "of": curves["curve"].values,
                    "x": places[:, 0],
                    "y": places[:, 1],
                }
            )
        )
    return pd.concat(parts).assign(data="toy curves")


def _points(curves: xr.DataArray) -> pd.DataFrame:
    x, y, z = np.moveaxis(curves.values, -1, 0)
    names = np.repeat(curves["curve"].values, curves.sizes["stimulus"])
    return pd.DataFrame({"kind": "point", "name": names, "x": x.ravel(), "y": y.ravel(), "z": z.ravel()})


def _classical_mds(distances: np.ndarray) -> np.ndarray:
    """Return places (n, 2) whose distances are as near as those of a plane can be (Torgerson 1952)."""
    n = len(distances)
    centre = np.eye(n) - 1 / n
    values, vectors = np.linalg.eigh(-centre @ distances**2 @ centre / 2)
    places = vectors[:, [-1, -2]] * np.sqrt(np.maximum(values[[-1, -2]], 0.0))
    return places * np.where(places[np.abs(places).argmax(axis=0), [0, 1]] < 0, -1.0, 1.0)


def _rings() -> dict[str, Any]:
    """Return how well a flat and a twisted ring agree (Pearson) by hops, ranks and weighted paths."""
    rdms = rsa.rdm(topology.toy_rings(), "euclidean")
    summaries = {
        "hops": topology.geodesic(rdms, edges="k-nearest", k=2, weighted=False),
        "rank": topology.geo_topological(rdms),
        "weighted": topology.geodesic(rdms, edges="k-nearest", k=2),
    }
    return {"rings": {name: round(float(np.corrcoef(s.values)[0, 1]), 4) for name, s in summaries.items()}}


def _circle(section: Topology, seed: int) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return the AGTDM map of two coordinates of points on a noisy circle (simulated), and its test."""
    rng = generator(seed, "topology", "circle")
    angle = 2 * np.pi * rng.random(50)
    places = np.stack([np.cos(angle), np.sin(angle)]) + 0.1 * rng.standard_normal((2, 50))
    x, y = (xr.DataArray(p, dims="stimulus", coords={"stimulus": np.arange(50)}) for p in places)
    found = topology.agtdm(x, y, n_permutations=section.n_permutations, rng=rng, progress=True)
    table = found["map"].to_dataframe(name="value").reset_index(drop=True)
    points = pd.DataFrame({"kind": "observation", "x": places[0], "y": places[1]})
    numbers = ("statistic", "p", "distance_correlation", "p_distance_correlation")
    facts = {"agtdm": {name: float(found[name]) for name in numbers}}
    facts["agtdm"]["n_permutations"] = section.n_permutations
    return pd.concat([table.assign(kind="dependence"), points]).assign(data="simulated circle"), facts


def _brain(name: str, rdms: xr.DataArray, over: str, section: Topology, seed: int) -> pd.DataFrame:
    """Return how often a person is found from RDMs of another session, by every summary."""
    few = name == "finger7t"  # five stimuli cannot be resampled
    found = topology.model_selection(
        rdms,
        over=over,
        classes="subject",
        cells=topology.grid(section.step),
        n_bootstrap=0 if few else section.n_bootstrap,
        resample="stimulus",
        rng=generator(seed, "topology", "brain", name),
        progress=True,
    )
    return _rows(found, data=name)


def _images() -> tuple[xr.DataArray, str, str]:
    rdms = datasets.load("kriegeskorte92")
    return rdms, "session", rdms.attrs["digest"]


def _fingers() -> tuple[xr.DataArray, str, str]:
    """Return RDMs (half, subject, pair) of the even and of the odd runs."""
    halves, digest = [], ""
    for subject in finger7t.SUBJECTS:
        responses = datasets.load("finger7t", subject=subject)
        digest = responses.attrs["digest"]
        odd = responses["run"].values % 2 == 1
        both = [_mean_patterns(responses.isel(presentation=rows)) for rows in (odd, ~odd)]
        patterns = xr.concat(both, "half").assign_coords(half=["odd", "even"])
        halves.append(rsa.rdm(patterns, "euclidean", normalize="neuroids"))
    names = list(finger7t.SUBJECTS)
    rdms = xr.concat(halves, "subject", coords="minimal", compat="override", combine_attrs="override")
    return rdms.assign_coords(subject=names), "half", digest


def _mean_patterns(responses: xr.DataArray) -> xr.DataArray:
    """Return each finger's mean pattern (stimulus, neuroid)."""
    return responses.groupby("stimulus").mean("presentation")


BRAINS = {"kriegeskorte92": _images, "finger7t": _fingers}

"""Draw figure 12 from its table of values: ``python figure.py TABLE``."""

from __future__ import annotations

import sys

import pandas as pd

from neuroalign import plotting
from neuroalign.plotting import topology as panels

CONTROLS = ("raw", "z-scored", "rank")
WITH = {"both": "networks and images", "subject": "networks", "stimulus": "images"}


def main(path: str) -> None:
    plotting.draw_values(path, drawn, text=("data", "metric", "kind", "name"))


def drawn(table: pd.DataFrame, about: dict) -> tuple:
    return draw(table), "Which layer of a digits network is an RDM of?", caption(table, about)


def draw(table: pd.DataFrame) -> object:
    metrics, noises = list(dict.fromkeys(table["metric"])), list(dict.fromkeys(table["noise"]))
    figure, axes = plotting.figure(1 + len(metrics), len(noises), height=52 * (1 + len(metrics)))
    cells = table[(table["kind"] == "cell") & (table["metric"] == metrics[0])]
    limits = (cells["value"].min(), cells["value"].max())
    for ax, noise in zip(axes[0], noises, strict=True):
        part = cells[cells["noise"] == noise]
        image = panels.accuracy_map(
            ax, part["lower"], part["upper"], part["value"], limits=limits, family=part["name"].to_numpy()
        )
        chosen = picked(table, "chosen", metrics[0], noise).groupby(["lower", "upper"]).size()
        for (lower, upper), count in chosen.items():
            ax.plot(lower, upper, "o", color="none", markeredgecolor="red", markersize=2 + count**0.5)
        ax.set_title(f"{metrics[0]}, noise {noise:g}")
    figure.colorbar(image, ax=axes[0].tolist(), label="accuracy", shrink=0.8)
    for row, metric in zip(axes[1:], metrics, strict=True):
        for ax, noise in zip(row, noises, strict=True):
            bars(ax, picked(table, "summary", metric, noise))
            ax.set(title=f"{metric}, noise {noise:g}", ylabel="accuracy" if ax is row[0] else "")
    plotting.panel_letters(axes.ravel())
    return figure


def picked(table: pd.DataFrame, kind: str, metric: str, noise: float) -> pd.DataFrame:
    return table[(table["kind"] == kind) & (table["metric"] == metric) & (table["noise"] == noise)]


def bars(ax: object, part: pd.DataFrame) -> None:
    part = part.set_index("name")
    families = [name for name in panels.FAMILY_COLOURS if pd.notna(part["value"].get(f"family: {name}"))]
    names = dict(zip(CONTROLS, CONTROLS, strict=True)) | {f"family: {f}": f for f in families}
    names |= {"chosen": "chosen (l, u)"} if pd.notna(part["value"]["chosen"]) else {}
    marks = {f: part["value"][f"chosen: {f}"] for f in families if pd.notna(part["value"][f"chosen: {f}"])}
    panels.accuracy_bars(
        ax,
        {shown: part["value"][name] for name, shown in names.items()},
        chance=part["chance"].iloc[0],
        intervals={shown: (part["low"][name], part["high"][name]) for name, shown in names.items()},
        marks=marks,
        colours=panels.FAMILY_COLOURS | {"chosen (l, u)": plotting.COLOURS["black"]},
    )


def gains(table: pd.DataFrame) -> str:
    """Say where the interval of the gain over the rank RDM lies above 0, below 0, or holds it."""
    part = table[(table["kind"] == "summary") & (table["name"] == "chosen")]
    words = []
    for row in part.itertuples():
        verdict = "gain" if row.gain_low > 0 else "loss" if row.gain_high < 0 else "no difference shown"
        words.append(
            f"{row.metric}, noise {row.noise:g}: {row.gain:+.2f} [{row.gain_low:+.2f}, {row.gain_high:+.2f}], {verdict}"
        )
    return "; ".join(words)


def caption(table: pd.DataFrame, about: dict) -> str:
    notes = about["notes"]
    chance = table["chance"].dropna().iloc[0]
    low, high = notes["digit_accuracy"]
    return (
        f"Layer identification in {notes['n_networks']} small networks that were trained on scikit-learn's digits and "
        f"differ in their seed ({notes['n_layers']} layers of 64 units; {low:.2f} to {high:.2f} of held-out digits named "
        f"correctly), from RDMs of {notes['n_images']} held-out images. Noise is SIMULATED, in units of a layer's own "
        f"spread. One network is left out, each of its RDMs goes to the nearest mean of the others' (chance {chance:.2f}, "
        "dashed). Top: accuracy for every pair of thresholds of the geo-topological transform, white lines between "
        "families, (0, 1) at the upper left is the rank RDM; red circles, pairs chosen inside the training networks. "
        "Below: raw, z-scored and rank RDMs as controls; mean accuracy of each family's pairs (bars) and with the pair "
        f"chosen inside the training networks (diamonds). Lines: 95 % bootstrap interval of the bars over {WITH[notes['resampled']]} "
        f"({notes['n_bootstrap']} draws; a draw holds fewer distinct ones, so the interval may lie below the bar). "
        "Raw Euclidean RDMs carry the scale of a layer as well: what they have over z-scored ones is scale, not geometry. "
        f"Gain of chosen thresholds over the rank RDM: {gains(table)}."
    )


if __name__ == "__main__":
    main(*sys.argv[1:])

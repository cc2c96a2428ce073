"""Draw figure 13 from its table of values: ``python known.py TABLE``."""

from __future__ import annotations

import sys

import pandas as pd
from figure import bars

from neuroalign import plotting
from neuroalign.plotting import topology as panels

COLOURS = {"two loops": plotting.COLOURS["vermillion"], "ring": plotting.COLOURS["blue"]}
# curve -> (topology, marker of its geometry, where it is drawn)
CURVES = {
    "flat 8": ("two loops", "s", (0.0, 0.0)),
    "twisted 8": ("ring", "s", (2.5, 0.0)),
    "untangled flat 8": ("two loops", "o", (0.0, -2.1)),
    "untangled twisted 8": ("ring", "o", (2.5, -2.1)),
}
PLACES = {
    "raw": "Raw RDM",
    "z-scored": "Z-scored RDM",
    "rank": "Rank RDM",
    "RGTM": "RGTM, l = 0, u = .075",
    "RGDM": "RGDM, l = 0, u = .075",
}
BRAINS = {"kriegeskorte92": "92 images: whose RDM?", "finger7t": "Fingers: whose RDM?"}


def main(path: str) -> None:
    plotting.draw_values(path, drawn, text=("data", "kind", "name", "of"))


def drawn(table: pd.DataFrame, about: dict) -> tuple:
    return draw(table), "Topological RSA where the truth is known, and of brains", caption(table, about)


def draw(table: pd.DataFrame) -> object:
    figure, axes = plotting.figure(3, 3, height=165)
    flat = list(axes.ravel())
    curves(flat[0], table[table["kind"] == "point"])
    for ax, (name, title) in zip(flat[1:6], PLACES.items(), strict=True):
        part = table[(table["kind"] == "place") & (table["name"] == name)]
        kinds = [CURVES[curve] for curve in part["of"]]
        colours, markers = [COLOURS[kind[0]] for kind in kinds], [kind[1] for kind in kinds]
        panels.places(ax, part["x"], part["y"], colours=colours, markers=markers)
        ax.set_title(title)
    dependence(figure, flat[6], table[table["kind"] == "dependence"])
    given = [name for name in BRAINS if (table["data"] == name).any()]
    for ax, name in zip(flat[7:], given, strict=False):
        bars(ax, table[(table["data"] == name) & (table["kind"] == "summary")])
        ax.set(title=BRAINS[name], ylabel="accuracy")
    for ax in flat[7 + len(given) :]:
        figure.delaxes(ax)
    plotting.panel_letters(flat[: 7 + len(given)])
    return figure


def curves(ax: object, points: pd.DataFrame) -> None:
    for name, (topology, _, (right, up)) in CURVES.items():
        part = points[points["name"] == name]
        closed = pd.concat([part, part.iloc[:1]])
        # Seen from the side: height moves a point up.
        x, y = closed["x"] + right, closed["y"] + 0.8 * closed["z"] + up
        ax.plot(x, y, ".-", color=COLOURS[topology], markersize=3, linewidth=0.7)
        ax.text(right, up - 0.75, name, ha="center", va="top", fontsize=6)
    ax.set(aspect="equal", title="Four closed curves", xlim=(-1.2, 3.7), ylim=(-3.1, 0.9))
    ax.axis("off")


def dependence(figure: object, ax: object, part: pd.DataFrame) -> None:
    n = round(len(part) ** 0.5)
    first, second = part.iloc[::n], part.iloc[:n]
    values = part["value"].to_numpy().reshape(n, n)
    image = panels.dependence_map(ax, first["lower_x"], second["lower_y"], values)
    figure.colorbar(image, ax=ax, label="distance correlation", shrink=0.8)
    ax.set_title("AGTDM of a simulated circle")


def caption(table: pd.DataFrame, about: dict) -> str:
    notes = about["notes"]
    rings, test = notes["rings"], notes["agtdm"]
    text = (
        "Four closed curves of 50 points (toy data): the 8 crosses itself (two loops, red) or passes itself in space (a "
        "ring, blue); their untangled twins have the left loop turned over. Planes: classical MDS of the distances "
        "between the curves' summaries, squares 8-shaped, circles untangled. RDMs, raw, z-scored and ranked, group "
        "by geometry; the geo-topological matrix (RGTM) and the geodesics on its graph (RGDM) by topology. A flat and a "
        f"twisted ring of 60 points agree (Pearson r) by {rings['hops']:.3f} in hops on the graph of two nearest, "
        f"{rings['rank']:.3f} in rank RDMs, {rings['weighted']:.3f} in paths weighted by distance. AGTDM: distance "
        "correlation of every two geo-topological transforms of the coordinates of 50 points on a noisy circle "
        f"(SIMULATED); the largest (circle) is {test['statistic']:.2f}, p = {test['p']:.3f} "
        f"({test['n_permutations']} permutations, the maximum taken in each); plain distance correlation "
        f"{test['distance_correlation']:.2f}, p = {test['p_distance_correlation']:.3f}."
    )
    if "kriegeskorte92" in notes["brains"]:
        text += (
            " 92 images (IT): which of four people is a session's RDM of, by the nearest RDM of the other session; lines, 95 % "
            "bootstrap interval over images; two sessions do not suffice to choose thresholds inside the training data."
        )
    if "finger7t" in notes["brains"]:
        text += " Fingers (M1/S1): which of seven people is an RDM of five fingers of, odd against even runs; ten pairs, no interval."
    if notes["brains"]:
        text += " Bars: controls, then means over each family's thresholds; dashed line, chance."
    return text


if __name__ == "__main__":
    main(*sys.argv[1:])

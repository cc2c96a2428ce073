"""Draw figure 3 from its table of values: ``python figure.py TABLE``."""

from __future__ import annotations

import sys

import pandas as pd

from neuroalign import plotting
from neuroalign.plotting import COLOURS, GREY

NETWORKS = {"trained": COLOURS["blue"], "untrained": COLOURS["orange"]}
DOWNSAMPLE = {"average": "averaged", "sum": "summed", "lanczos": "Lanczos-filtered"}
ROWS = ("group mean", "left-out listener")


def main(path: str) -> None:
    plotting.draw_values(path, drawn, text=("network", "layer", "roi", "score"))


def drawn(table: pd.DataFrame, about: dict) -> tuple:
    return draw(table), plotting.titled("Encoding of the story by layer", about), caption(table, about)


def draw(table: pd.DataFrame) -> object:
    rois = list(dict.fromkeys(table["roi"]))
    figure, axes = plotting.figure(2, len(rois), height=95, sharex=True, sharey="row")
    for row, score in enumerate(ROWS):
        for ax, roi in zip(axes[row], rois, strict=True):
            panel(ax, table[(table["roi"] == roi) & (table["score"] == score)])
            ax.set_title(roi if row == 0 else "")
            ax.set_xlabel("layer (block)" if row == 1 else "")
        axes[row, 0].set_ylabel(f"r, {score}")
    handles, names = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=len(names))
    return figure


def panel(ax: object, table: pd.DataFrame) -> None:
    lines, bands = {}, {}
    for name in NETWORKS:
        part = table[table["network"] == name].sort_values("depth")
        lines[name] = part["value"].to_numpy()
        bands[name] = (part["low"].to_numpy(float), part["high"].to_numpy(float))
        depth = part["depth"].to_numpy()
    plotting.layer_lines(ax, depth, lines, colours=NETWORKS, bands=bands)
    base, ceiling = (table.loc[table["network"] == name].iloc[0] for name in ("baseline", "ceiling"))
    ax.axhline(base["value"], color=COLOURS["vermillion"], linestyle="--", label="low-level baseline")
    ax.axhline(ceiling["value"], color=GREY, linewidth=2, alpha=0.6, label="noise ceiling")
    ax.axhline(0, color="black", linewidth=0.5)


def caption(table: pd.DataFrame, about: dict) -> str:
    notes, params = about["notes"], about["provenance"]["params"]
    mean = table[table["depth"] >= 0].groupby(["score", "network", "depth"])["value"].mean()
    parts = []
    for score in ROWS:
        base = table[(table["network"] == "baseline") & (table["score"] == score)]["value"].mean()
        top = table[(table["network"] == "ceiling") & (table["score"] == score)]["value"].mean()
        tops = ", ".join(
            f"{name} {mean[score, name].max():.2f} (layer {mean[score, name].idxmax()})" for name in NETWORKS
        )
        parts.append(f"{score}: {tops}, baseline {base:.2f}, ceiling {top:.2f}")
    gain = table[table["score"] == "gain over baseline"]
    above = {n: (gain[gain["network"] == n]["low"] > 0).sum() for n in NETWORKS}
    total = (gain["network"] == "trained").sum()
    text = (
        f"{notes['network']}: cross-validated correlation of ridge predictions with six regions ({plotting.responses(about)}, "
        f"{notes['n_times']} volumes; {params['n_folds']} contiguous test blocks, {params['purge']} "
        f"volumes purged on either side; word activations {DOWNSAMPLE[params['downsample']]} in each volume, delays "
        f"{params['delays']} volumes; one penalty a target, chosen inside the training rows). Top, the mean over "
        "listeners; bottom, weights fitted to the mean of the other listeners and scored on the listener left out "
        f"(band: 95 % bootstrap interval over listeners). Dashed, low-level baseline ({baseline(params)}); grey, "
        "noise ceiling: inter-subject correlation (bottom), square root of the split-half reliability (top); "
        "orange, the untrained twin. Mean over regions at the best layer (chosen on these same data, so a little "
        f"high): {'; '.join(parts)}. The gain over the baseline has an interval above 0 in {above['trained']} of "
        f"{total} layers x regions for the trained and {above['untrained']} for the untrained network, "
        "uncorrected for their number. "
        f"{100 * notes['upper_edge']:.0f} % of penalties are at the upper edge of the grid (nothing to predict), "
        f"{100 * notes['lower_edge']:.0f} % at the lower."
    )
    return text + truth(notes) + excluded(notes)


def baseline(params: dict) -> str:
    return "word rate and sound power" if params["responses"] == "alice_fmri" else "word rate and letter rate"


def truth(notes: dict) -> str:
    known = notes["truth"]
    if not known:
        return ""
    planted = ", ".join(
        f"{roi} {layer} at {known['snr'][roi]:g}" for roi, layer in known["planted_layer"].items()
    )
    return f" Planted layer and signal-to-noise ratio: {planted}."


def excluded(notes: dict) -> str:
    return "".join(f" Left out: {who} ({why})." for who, why in notes["excluded"].items())


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Draw figure 21 from its table of values: ``python figure.py TABLE``."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd

from neuroalign import plotting
from neuroalign.schema import make_rdm

TEXT = ("roi", "kind", "name", "other", "network", "subject")
COLUMNS, FEW = 4, 16  # panels a row; stimuli whose names are written
COLOURS = {"trained": plotting.COLOURS["blue"], "untrained": plotting.COLOURS["vermillion"]}


def main(path: str) -> None:
    plotting.draw_values(path, drawn, text=TEXT)


def drawn(table: pd.DataFrame, about: dict) -> tuple:
    rois = list(dict.fromkeys(table["roi"]))
    kinds = [kind for kind in ("rdm", "model", "layer") if (table["kind"] == kind).any()]
    n_columns = min(len(rois), COLUMNS)
    n_rows = -(-len(rois) // n_columns)
    heights = {"rdm": 42, "model": 55, "layer": 48}
    ratios = [heights[kind] for kind in kinds for _ in range(n_rows)]
    figure, axes = plotting.figure(len(kinds) * n_rows, n_columns, height=sum(ratios), height_ratios=ratios)
    used, handles = [], {}
    for k, kind in enumerate(kinds):
        block = axes[k * n_rows : (k + 1) * n_rows].ravel()
        for ax, roi in zip(block, rois, strict=False):
            PANELS[kind](ax, table[table["roi"] == roi], about)
            used.append(ax)
        for ax in block[len(rois) :]:
            ax.set_visible(False)
        if kind != "rdm":
            share(block[: len(rois)])
            handles |= dict(zip(*block[0].get_legend_handles_labels()[::-1], strict=True))
    plotting.panel_letters(used)
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=4)
    title = f"{about['study']}: representational geometry by region"
    return figure, title, caption(table, about)


def share(axes: list) -> None:
    """Give panels of one kind the same range, which no correlation leaves whatever its interval."""
    low, high = min(ax.get_ylim()[0] for ax in axes), max(ax.get_ylim()[1] for ax in axes)
    for ax in axes:
        ax.set_ylim(max(low, -1.05), max(min(high, 1), 0.2) + 0.2)
        if ax is not axes[0]:
            ax.set_ylabel("")


def map_panel(ax: object, part: pd.DataFrame, about: dict) -> None:
    pairs = part[part["kind"] == "rdm"]
    stimuli = [pairs["name"].iloc[0], *pairs["other"][pairs["name"] == pairs["name"].iloc[0]]]
    rdm = make_rdm(pairs["value"].to_numpy(float), stimuli)
    rdm.attrs["metric"] = about["notes"]["metric"]
    plotting.rdm_map(ax, rdm)
    if len(stimuli) <= FEW:
        ax.set_yticks(range(len(stimuli)), stimuli, fontsize=5)
        ax.tick_params(axis="y", length=0)
    ax.set_title(f"{part['roi'].iloc[0]}: mean RDM")


def model_panel(ax: object, part: pd.DataFrame, about: dict) -> None:
    rows = part[part["kind"] == "model"]
    mean = rows[rows["subject"] == "mean"].set_index("name")
    dots = {name: rows[(rows["name"] == name) & (rows["subject"] != "mean")]["value"] for name in mean.index}
    intervals = {name: (max(row["low"], -1), min(row["high"], 1)) for name, row in mean.iterrows()}
    plotting.bars_with_dots(ax, mean["value"].to_dict(), dots, intervals=intervals)
    band(ax, part)
    for x, (_, row) in enumerate(mean.iterrows()):
        label = "shuffled labels (5th to 95th percentile)" if x == 0 else None
        ax.fill_between(
            [x - 0.42, x + 0.42],
            row["null_low"],
            row["null_high"],
            color=plotting.COLOURS["vermillion"],
            alpha=0.25,
            linewidth=0,
            zorder=1,
            label=label,
        )
        if row["p_fdr"] < 0.05:
            ax.text(x, 0.98, "*", ha="center", va="top", fontsize=9, transform=ax.get_xaxis_transform())
    ax.set(ylabel=score(about), title=f"{part['roi'].iloc[0]}: models")


def layer_panel(ax: object, part: pd.DataFrame, about: dict) -> None:
    rows = part[(part["kind"] == "layer") & (part["subject"] == "mean")]
    lines, bands = {}, {}
    for network, some in rows.groupby("network", sort=False):
        some = some.sort_values("depth")
        depth = some["depth"].to_numpy(float)
        lines[network] = some["value"].to_numpy(float)
        people = part[(part["kind"] == "layer") & (part["network"] == network) & (part["subject"] != "mean")]
        each = people.pivot_table(index="subject", columns="depth", values="value")[depth].to_numpy()
        bands[network] = (np.nanmin(each, axis=0), np.nanmax(each, axis=0))
    plotting.layer_lines(ax, depth, lines, bands=bands, colours=COLOURS)
    band(ax, part)
    ax.axhline(0, color="black", linewidth=0.6)
    ax.set(ylabel=score(about), title=f"{part['roi'].iloc[0]}: layers")


PANELS = {"rdm": map_panel, "model": model_panel, "layer": layer_panel}


def band(ax: object, part: pd.DataFrame) -> None:
    ceiling = part[part["kind"] == "ceiling"].set_index("name")["value"]
    if ceiling.notna().all():
        plotting.ceiling_band(ax, ceiling["lower"], ceiling["upper"])


def score(about: dict) -> str:
    method = about["provenance"]["params"]["method"]
    return f"RDM similarity ({method})"


def caption(table: pd.DataFrame, about: dict) -> str:
    notes, params = about["notes"], about["provenance"]["params"]
    sizes = "; ".join(
        f"{roi} {low:,}" + (f" to {high:,}" if high > low else "")
        for roi, (low, high) in notes["n_neuroids"].items()
    )
    ceilings = table[table["kind"] == "ceiling"].pivot_table(
        index="roi", columns="name", values="value", sort=False
    )
    said = "; ".join(f"{roi} {row['lower']:.2f} to {row['upper']:.2f}" for roi, row in ceilings.iterrows())
    normalised = {"none": "not noise-normalised"}.get(
        notes["noise"], f"noise-normalised with residuals ({notes['noise']})"
    )
    metric = "RDMs as given" if notes["metric"] == "given" else f"RDMs: {notes['metric']}"
    if notes["metric"] == "crossnobis":
        metric += f", {normalised}"
    runs = [n for n in notes["n_runs"] if n]
    text = [
        f"{'SIMULATED DATA. ' if notes['simulated'] else ''}{notes['data']}: {notes['n_subjects']} people, "
        f"{notes['n_stimuli']} stimuli" + (f", {'/'.join(map(str, runs))} runs" if runs else "") + ".",
        f"{metric}" + (f"; neuroids a person: {sizes}." if sizes else "."),
    ]
    if (table["kind"] == "model").any():
        over = {"both": "people and stimuli", "subject": "people", "stimulus": "stimuli"}[params["resample"]]
        text.append(
            f"Models: bars, mean over people; dots, people; lines, 95 % interval over new {over}, drawn from -1 to 1 at most "
            f"({params['n_draws']:,} draws). Vermillion: the control, 5th to 95th percentile of the score when the "
            f"labels of the stimuli are shuffled. Stars: p < .05 by {params['n_permutations']:,} such orders, one-sided, "
            "FDR over all models and regions."
        )
    if (table["kind"] == "layer").any():
        tested = table[
            (table["kind"] == "layer") & (table["network"] == "trained") & (table["subject"] == "mean")
        ]
        best = tested.loc[tested.groupby("roi", sort=False)["value"].idxmax()]
        words = "; ".join(
            f"{row['roi']} {row['name']} {row['value']:.2f} (FDR p = {row['p_fdr']:.3f})"
            for _, row in best.iterrows()
        )
        text.append(
            f"Layers: mean and range over people, trained and with random weights (the control); {params['layer_metric']} "
            f"RDMs of the {params['pool']} token. Best layer by region (chosen on the same data, so optimistic): {words}."
        )
    text.append(f"Grey band: noise ceiling, leave-one-out lower to pooled upper bound ({said}).")
    excluded = [
        f"{what[:-1]} {name} ({why})"
        for what, some in notes["excluded"].items()
        for name, why in some.items()
    ]
    text.append(f"Left out: {', '.join(excluded)}." if excluded else "")
    text.append(
        f"{notes['n_constant']} neuroids without variance were left out." if notes["n_constant"] else ""
    )
    if notes["n_undefined_draws"]:
        text.append(f"{notes['n_undefined_draws']} draws gave no score.")
    text.append(f"Data: {notes['cite']}; licence: {notes['licence']}.")
    return " ".join(part for part in text if part)


if __name__ == "__main__":
    main(*sys.argv[1:])

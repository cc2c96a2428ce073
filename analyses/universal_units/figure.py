"""Draw figure 23 from its table of values: ``python figure.py TABLE``."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd

from neuroalign import plotting

BLUE, ORANGE, GREEN, RED = (plotting.COLOURS[name] for name in ("blue", "orange", "green", "vermillion"))
GREY = plotting.GREY
TEXT = ("kind", "network", "other", "twin", "layer", "other_layer", "quantity", "words")


def main(path: str) -> None:
    plotting.draw_values(path, drawn, text=TEXT)


def drawn(table: pd.DataFrame, about: dict) -> tuple:
    names = about["notes"]["names"]
    figure, axes = plotting.figure(2, 3, height=130)
    flat = axes.ravel()
    correlations(flat[0], table, names)
    layers(figure, flat[1], table, names)
    depth(flat[2], table, names)
    chosen(flat[3], about["notes"], names)
    digits(flat[4], table)
    stitching(flat[5], table)
    plotting.panel_letters(flat)
    return figure, "Units that respond alike in different networks", caption(table, about)


def short(name: str) -> str:
    """Return a network's name as axes have room for."""
    return name.split("-")[0] if name.lower().startswith("smol") else name.replace("all-", "").split("-L")[0]


def correlations(ax: object, table: pd.DataFrame, names: list[str]) -> None:
    rows = table[(table["kind"] == "histogram") & (table["network"] == names[0])]
    shown = (
        ("trained", "r", BLUE, "-", "trained"),
        ("trained", "baseline", BLUE, ":", "trained, rotated"),
        ("untrained", "r", GREY, "-", "untrained"),
        ("untrained", "baseline", GREY, ":", "untrained, rotated"),
    )
    for twin, quantity, colour, line, label in shown:
        one = rows[(rows["twin"] == twin) & (rows["quantity"] == quantity)]
        edges = np.append(one["x"].to_numpy(float), 1.0)
        ax.stairs(100 * one["value"].to_numpy(float), edges, color=colour, linestyle=line, label=label)
    ax.set(xlim=(-0.3, 1), xlabel="r with the best partner, held-out words")
    ax.set(ylabel=f"% of {short(names[0])} units", title=f"Best partners in {short(names[1])}")
    ax.set(yscale="log", ylim=(0.005, 20_000))
    ax.set_yticks([0.01, 0.1, 1, 10, 100], ["0.01", "0.1", "1", "10", "100"])
    ax.minorticks_off()
    legend(ax, "upper right")


def layers(figure: object, ax: object, table: pd.DataFrame, names: list[str]) -> None:
    rows = table[(table["kind"] == "layers") & (table["network"] == names[0]) & (table["twin"] == "trained")]
    wide = rows.assign(layer=rows["layer"].astype(float), other=rows["other_layer"].astype(float))
    wide = wide.pivot(index="layer", columns="other", values="value")
    reach = float(np.abs(wide.to_numpy()).max())
    shown = ax.imshow(wide.to_numpy(), cmap="RdBu_r", vmin=-reach, vmax=reach, origin="lower", aspect="auto")
    ax.set_xticks(range(wide.shape[1]), [f"{k:.0f}" for k in wide.columns])
    ax.set_yticks(range(wide.shape[0]), [f"{k:.0f}" for k in wide.index])
    ax.set(xlabel=f"{short(names[1])} block", ylabel=f"{short(names[0])} block", title="Excess by layers")
    figure.colorbar(shown, ax=ax, label="mean excess r")


def depth(ax: object, table: pd.DataFrame, names: list[str]) -> None:
    rows = table[(table["kind"] == "layer") & (table["quantity"] == "share")]
    for name, colour in zip(names, (BLUE, ORANGE), strict=True):
        for twin, line in (("trained", "-"), ("untrained", ":")):
            one = rows[(rows["network"] == name) & (rows["twin"] == twin)]
            one = one.assign(block=one["layer"].astype(float)).sort_values("block")
            x = one["block"].to_numpy()
            label = f"{short(name)}, {twin}"
            ax.plot(x / x.max(), 100 * one["value"], line, color=colour, marker=".", label=label)
    ax.set(xlabel="depth (0: first block read, 1: last)", ylabel="% universal units", title="By depth")
    legend(ax, "upper right")


def chosen(ax: object, notes: dict, names: list[str]) -> None:
    bars = [
        (twin, quantity, notes[twin][names[0]][f"{quantity}_selected"], notes[twin][names[0]][quantity])
        for twin in ("trained", "untrained")
        for quantity in ("r", "baseline")
    ]
    x = np.arange(len(bars))
    ax.bar(x - 0.2, [bar[2] for bar in bars], 0.38, color=ORANGE, label="words that chose")
    ax.bar(x + 0.2, [bar[3] for bar in bars], 0.38, color=BLUE, label="held-out words")
    ax.set_xticks(x, ["trained", "trained,\nrotated", "untrained", "untrained,\nrotated"], rotation=30)
    ax.axhline(0, color="black", linewidth=0.6)
    ax.set(ylabel="mean r with the best partner", title="What choosing adds")
    legend(ax, "upper right")


def digits(ax: object, table: pd.DataFrame) -> None:
    rows = table[table["kind"] == "digits"]
    for twin, colour in (("trained", GREEN), ("untrained", GREY)):
        wide = (
            rows[rows["twin"] == twin].pivot(index="layer", columns="quantity", values="value").sort_index()
        )
        x = np.arange(1, len(wide) + 1)
        ax.plot(x, wide["r"], "-", color=colour, marker=".", label=twin)
        ax.plot(x, wide["baseline"], ":", color=colour, marker=".", label=f"{twin}, rotated")
    ax.set(xlabel="layer", ylabel="r with the best partner", title="Digits networks", ylim=(0, 1.4))
    ax.set_yticks(np.arange(0, 1.01, 0.25))
    legend(ax, "upper right")


LINES = (
    ("within", "own decoder", "black", "-"),
    ("relative", "relative", BLUE, "-"),
    ("relative (own penalty)", "relative, own penalty", BLUE, ":"),
    ("absolute", "units as they are", ORANGE, "-"),
    ("rotated", "units rotated", GREY, "-"),
    ("shuffled", "anchors shuffled", RED, "--"),
)


def stitching(ax: object, table: pd.DataFrame) -> None:
    rows = table[(table["kind"] == "digits") & (table["twin"] == "trained")]
    wide = rows.pivot(index="layer", columns="quantity", values="value").sort_index()
    x = np.arange(1, len(wide) + 1)
    for key, label, colour, line in LINES:
        ax.plot(x, wide[f"stitching_{key}"], line, color=colour, marker=".", label=label)
    ax.axhline(wide["stitching_chance"].iloc[0], color="black", linewidth=0.6, linestyle=":")
    ax.set(xlabel="layer", ylabel="accuracy (10 digits)", title="Decoders passed on", ylim=(0, 2))
    ax.set_yticks(np.arange(0, 1.01, 0.25))
    legend(ax, "upper right")


def legend(ax: object, place: str) -> None:
    """Put a legend in, without giving it room of the axes."""
    ax.legend(loc=place, handlelength=1.5, borderaxespad=0).set_in_layout(False)


def caption(table: pd.DataFrame, about: dict) -> str:
    notes, params = about["notes"], about["provenance"]["params"]
    names = notes["names"]
    trained, untrained, seeds = notes["trained"], notes["untrained"], notes["digits"]
    first, second = (trained[name] for name in names)
    pair = table[(table["kind"] == "pair") & (table["twin"] == "trained")].iloc[0]
    rows = table[(table["kind"] == "digits") & (table["twin"] == "trained")]
    wide = rows.pivot(index="layer", columns="quantity", values="value").sort_index()
    low, high = wide["stitching_relative"].min(), wide["stitching_relative"].max()
    p = wide["matched_rotation_p_fdr"].round(2).tolist()
    sets = wide["n_sets"].astype(int).tolist()
    return (
        f"a to d: {first['n_units']:,} units ({params['site']}) of {names[0]} (every "
        f"{params['layer_step']} blocks) and {second['n_units']:,} of {names[1]}, on the words of one story: "
        f"{trained['n_choosing']} words choose each unit's best partner in the other network, "
        f"{trained['n_held_out']} later ones evaluate it ({params['pool']} over a word's tokens; the first word left "
        "out). Rotated: partners in a network whose layers are each rotated at random; excess is the difference. "
        "Untrained: both networks with random weights. With so few words a best partner is partly chance (d), and a "
        f"stricter study needs more. b: partners within one layer alone, trained networks. "
        f"Universal (c: excess above {params['threshold']:g}): {first['share']:.2%} of {names[0]} "
        f"({untrained[names[0]]['share']:.2%} untrained), {second['share']:.2%} of {names[1]} "
        f"({untrained[names[1]]['share']:.2%}); undefined (constant) units: {first['n_undefined']} and "
        f"{second['n_undefined']}. Mutual best pairs: {trained['mutual']['n_pairs']:,} of mean r "
        f"{trained['mutual']['r']:.2f}, held out {trained['mutual']['held_out']:.2f} (untrained "
        f"{untrained['mutual']['n_pairs']:,}, {untrained['mutual']['held_out']:.2f}); the best held out, r = "
        f"{pair['value']:.2f}, is driven by: {pair['words']}. e, f: {seeds['n_networks']} networks trained on digits "
        f"from different seeds (accuracy {min(seeds['accuracy_trained']):.2f} to {max(seeds['accuracy_trained']):.2f}), "
        f"{seeds['n_images']} images, half choose and half evaluate; mean over seeds. Units matched one to one against "
        f"{params['n_permutations']} rotations, first two seeds, p corrected over layers (FDR), layers 1 to "
        f"{len(wide)}: {', '.join(f'{value:g}' for value in p)}; sets of units mutual in {seeds['n_in_sets']} seeds: "
        f"{', '.join(map(str, sets))}. f: a ridge decoder trained on one seed reads the next through cosines "
        f"to {seeds['n_anchors']} anchors ({low:.2f} to {high:.2f} correct; dotted line: chance), units z-scored by the "
        "anchors and one fixed penalty; own penalty: chosen inside the first network. There is no noise ceiling: networks "
        "answer the same each time."
    )


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Draw figure 18 from its table of values: ``python figure.py TABLE``."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import xarray as xr

from neuroalign import plotting

COLOURS = plotting.COLOURS
CONDITIONS = {"congruent": COLOURS["blue"], "incongruent": COLOURS["vermillion"]}
EFFECTS = {"clear": COLOURS["purple"], "noise": COLOURS["green"], "noise - clear": "black"}
MODELS = {"congruence": COLOURS["vermillion"], "listening": COLOURS["sky"], "interaction": COLOURS["green"]}
KINDS = {"peak": "peak", "fractional-peak": "half of\nthe peak", "fractional-area": "half of\nthe area"}
LATENCIES = EFFECTS | {"congruence r": MODELS["congruence"]}
MICROVOLT = "µV"
ALPHA = 0.05


def main(path: str) -> None:
    plotting.draw_values(path, drawn, text=("kind", "part", "name"))


def drawn(table: pd.DataFrame, about: dict) -> tuple:
    params = about["provenance"]["params"]
    figure, axes = plotting.figure(3, 3, height=165)
    limits = np.array([table.loc[table["kind"] == "wave", side] for side in ("low", "high")])
    for ax, how in zip(axes[0], ("clear", "noise"), strict=False):
        waves(ax, table, how, params["window"], (limits.min() - 0.3, limits.max() + 0.3))
    effects(axes[0, 2], table, params["window"])
    sensors = table[table["kind"] == "sensor"]
    scale = plotting.colour_scale(sensors["value"].to_numpy(float), diverging=True)
    for ax, how in zip(axes[1], ("clear", "noise"), strict=False):
        topography(ax, sensors[sensors["part"] == how], how, scale)
    latencies(axes[1, 2], table[table["kind"] == "latency"])
    scores = table[table["kind"] == "score"]
    limits = (
        scores["low"].min(),
        max(scores["high"].max(), table.loc[table["kind"] == "ceiling", "high"].max()),
    )
    for ax, method in zip(axes[2], params["methods"][:2], strict=False):
        models(ax, table, method, params["window"], limits)
    generalisation(axes[2, 2], table[table["kind"] == "generalisation"])
    plotting.panel_letters(axes.ravel())
    return figure, "The sentence N400 in waves and in RDMs", caption(table, about)


def picked(table: pd.DataFrame, kind: str, part: str = "", name: str | None = None) -> pd.DataFrame:
    rows = table[(table["kind"] == kind) & (table["part"].fillna("") == part)]
    return rows if name is None else rows[rows["name"] == name]


def curves(rows: pd.DataFrame, names: dict) -> tuple:
    """Return times, and mean and band of each name (a mapping of what is shown to what is in the table)."""
    parts = {shown: rows[rows["name"] == name] for shown, name in names.items()}
    times = next(iter(parts.values()))["time"].to_numpy(float)
    lines = {shown: part["value"].to_numpy(float) for shown, part in parts.items()}
    bands = {
        shown: (part["low"].to_numpy(float), part["high"].to_numpy(float)) for shown, part in parts.items()
    }
    return times, lines, bands


def bars(table: pd.DataFrame, part: str) -> list:
    rows = picked(table, "cluster", part)
    return list(rows[["name", "low", "high", "p"]].itertuples(index=False, name=None))


def waves(ax: object, table: pd.DataFrame, how: str, window: list, limits: tuple) -> None:
    names = {name: f"{name}/{how}" for name in CONDITIONS}
    times, lines, bands = curves(picked(table, "wave"), names)
    plotting.time_courses(ax, times, lines, colours=CONDITIONS, bands=bands, shaded=window)
    ax.set(title=f"Waves, {how}", ylabel=MICROVOLT, ylim=limits)
    ax.legend(loc="upper left", handlelength=1)


def effects(ax: object, table: pd.DataFrame, window: list) -> None:
    times, lines, bands = curves(picked(table, "effect"), {name: name for name in EFFECTS})
    styles = {"noise - clear": ":"}
    plotting.time_courses(ax, times, lines, colours=EFFECTS, bands=bands, styles=styles, shaded=window)
    low, high = ax.get_ylim()
    ax.set_ylim(low, high + 0.25 * (high - low))
    plotting.cluster_bars(ax, bars(table, "waves"), colours=EFFECTS, alpha=ALPHA)
    ax.set(title="Incongruent - congruent", ylabel=MICROVOLT)
    ax.legend(loc="upper left", handlelength=1, ncols=2, columnspacing=1)


def topography(ax: object, rows: pd.DataFrame, how: str, scale: object) -> None:
    coords = {"neuroid": rows["name"].to_numpy()}
    coords |= {axis: ("neuroid", rows[axis].to_numpy(float)) for axis in "xyz"}
    values = xr.DataArray(rows["value"].to_numpy(float), dims="neuroid", coords=coords)
    marked = rows["p"].to_numpy(float) <= ALPHA
    plotting.topography(ax, values, marked=marked, scale=scale, label=MICROVOLT, bar=how == "noise")
    ax.set_title(f"Effect, {how}")


def latencies(ax: object, rows: pd.DataFrame) -> None:
    """Draw latencies with their bootstrap intervals, a row a kind and what it is of."""
    rows = rows[rows["name"] != "noise - clear"]
    y, ticks = 0.0, []
    for kind, shown in KINDS.items():
        for name in rows["name"].unique():
            row = rows[(rows["part"] == kind) & (rows["name"] == name)].iloc[0]
            label = {"clear": "effect, clear", "noise": "effect, noise"}.get(name, name)
            ax.plot([row["low"], row["high"]], [y, y], color=LATENCIES[name], linewidth=1.2)
            ax.plot(
                row["value"],
                y,
                "o",
                color=LATENCIES[name],
                markersize=3.5,
                label=label if not ticks else None,
            )
            y -= 1
        ticks.append((y + 2, shown))
        y -= 0.7
    ax.set_yticks([at for at, _ in ticks], [shown for _, shown in ticks])
    ax.set(title="Latencies", xlabel="time (s)", ylim=(y, 5))
    ax.legend(loc="upper left", handlelength=1, fontsize=6)


def models(ax: object, table: pd.DataFrame, method: str, window: list, limits: tuple) -> None:
    times, lines, bands = curves(picked(table, "score", method), {name: name for name in MODELS})
    rows = picked(table, "ceiling", method)
    ceiling = tuple(rows[side].to_numpy(float) for side in ("time", "low", "high"))
    styles = {"interaction": ":"}
    bands.pop("interaction")
    plotting.time_courses(
        ax, times, lines, colours=MODELS, bands=bands, styles=styles, ceiling=ceiling, shaded=window
    )
    ax.set_ylim(limits[0] - 0.03, limits[1] + 0.3 * (limits[1] - limits[0]))
    plotting.cluster_bars(ax, bars(table, method), colours=MODELS, alpha=ALPHA)
    what = {"pearson": "r", "spearman": "Spearman r", "cosine": "cosine"}[method]
    ax.set(title=f"Model RDMs, {method}", ylabel=f"mean {what}")
    ax.legend(loc="upper left", handlelength=1, ncols=2, columnspacing=1)


def generalisation(ax: object, rows: pd.DataFrame) -> None:
    times = np.unique(rows["time"].to_numpy(float))
    shape = (len(times),) * 2
    values, p = (rows[name].to_numpy(float).reshape(shape) for name in ("value", "p"))
    plotting.time_map(ax, values, times, outlined=np.nan_to_num(p, nan=1.0) <= ALPHA, label="mean r")
    ax.set(title="Others' RDMs", xlabel="others, time (s)", ylabel="one, time (s)")


def number(p: float) -> str:
    return f"= {p:.4f}".replace("0.", ".", 1) if p >= 0.0001 else "< .0001"


def window_text(table: pd.DataFrame, where: str, part: str, name: str, unit: str) -> str:
    row = picked(table, where, part, name).iloc[0]
    return (
        f"{row['value']:.2f}{unit} (95 % interval {row['low']:.2f} to {row['high']:.2f}, "
        f"t({int(row['n']) - 1}) = {row['t']:.2f}, p {number(row['p'])})"
    )


def clusters_text(table: pd.DataFrame, part: str) -> str:
    rows = picked(table, "cluster", part)
    rows = rows[rows["p"] <= ALPHA]
    said = [
        f"{row['name']} {row['low']:.2f} to {row['high']:.2f} s (p {number(row['p'])})"
        for _, row in rows.iterrows()
    ]
    return "; ".join(said) or "none"


def caption(table: pd.DataFrame, about: dict) -> str:
    notes, params = about["notes"], about["provenance"]["params"]
    window, baseline = params["window"], params["baseline"]
    main, *others = params["methods"]
    delays = "; ".join(
        f"{' '.join(KINDS[row['part']].split())} {row['value'] * 1000:.0f} ms ({row['low'] * 1000:.0f} to {row['high'] * 1000:.0f}; "
        f"jackknife t({int(row['n']) - 1}) = {row['t']:.2f}, p {number(row['p'])})"
        for _, row in table[(table["kind"] == "latency") & (table["name"] == "noise - clear")].iterrows()
    )
    control = "".join(
        f" Control, by rank ({method}): {window_text(table, 'window', method, 'congruence', '')}."
        for method in others
    )
    return (
        f"Averaged EEG of {notes['n_subjects']} people who heard sentences whose last word fitted or not, clear or in noise "
        f"({notes['n_sensors']} sensors, {notes['n_trials'][0]} to {notes['n_trials'][1]} trials a condition; in noise those "
        f"answered rightly). a-c: mean of {', '.join(notes['sensors'])}; bands: 95 % bootstrap intervals over people "
        f"({params['n_bootstrap']:,} draws), grey column: {window[0]:g} to {window[1]:g} s. Effect there, clear: "
        f"{window_text(table, 'window', 'effect', 'clear', ' ' + MICROVOLT)}; noise: "
        f"{window_text(table, 'window', 'effect', 'noise', ' ' + MICROVOLT)}. Bars below: clusters over time, full where "
        f"p is at most .05, pale below .5 (t over people, formed at p = {params['forming']:g} two-sided; {params['n_flips']:,} "
        "sign flips of people, largest mass over all times and curves of a panel); they do not say when an effect begins "
        f"or ends. In c: {clusters_text(table, 'waves')}. d, e: mean of that window; large dots are sensors of a cluster over sensors and time "
        f"(p at most .05, both maps one family): {clusters_text(table, 'sensors')}; the dots are the data, the colours between them a spline. "
        f"f: latencies between {params['search'][0]:g} and {params['search'][1]:g} s of the mean over people, with 95 % bootstrap intervals; noise less "
        f"clear: {delays}. g, h: RDMs of four conditions ({params['metric']} distance over sensors, at every sample, not "
        f"cross-validated) of each person against model RDMs; mean and band over people, clusters as in c over the three "
        "models. The models' Pearson r add up to 0 at every time (six pairs, two crossed factors), so that the "
        f"interaction is no third finding but the control of what is left. Grey band: noise ceiling over people, every {params['step']:g} s. "
        f"Congruence at {window[0]:g} to {window[1]:g} s: {window_text(table, 'window', main, 'congruence', '')}, largest "
        f"{notes['peak_r']:.2f} at {notes['peak_time']:.3f} s. Control, before the word ({baseline[0]:g} to {baseline[1]:g} s): "
        f"{window_text(table, 'baseline', main, 'congruence', '')}.{control} i: a person's RDM at one time against the mean "
        f"RDM of the others at another (bins of {params['step']:g} s, {main}); outlined: clusters above 0 over both times, p at "
        f"most .05. Four conditions can be told apart by three splits only: all tests are over people, not over sentences. "
        f"Data: {notes['cite']}"
    )


if __name__ == "__main__":
    main(*sys.argv[1:])

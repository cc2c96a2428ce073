"""Draw figure 16 from its table of values: ``python figure.py TABLE``."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import xarray as xr

from neuroalign import plotting

SPACES = ("pixels", "motion energy", "both", "backwards")
SHADES = dict(zip(SPACES, ("blue", "orange", "green", "vermillion"), strict=True))
COLOURS = {name: plotting.COLOURS[shade] for name, shade in SHADES.items()}
COLOURS["backwards"] = plotting.GREY


def main(path: str) -> None:
    plotting.draw_values(path, drawn, text=("kind", "name"))


def drawn(table: pd.DataFrame, about: dict) -> tuple:
    voxels = table[table["kind"] == "voxel"]
    figure, axes = plotting.figure(2, 3, height=125)
    flat = axes.ravel()
    plotting.prf_map(flat[0], of(voxels, "r pixels"), label="r, pixels", radius=10)
    flat[0].set_title("Where receptive fields are")
    published, reached = of(voxels, "prf_r2"), of(voxels, "r pixels")
    plotting.ceiling_scatter(
        flat[1], reached**2, published, labels=("published R², fitted", "r², held out"), density=False
    )
    flat[1].set_title("Pixels and the published fit")
    plotting.two_scores(
        flat[2],
        of(voxels, "r pixels"),
        of(voxels, "r motion energy"),
        names=("r, pixels", "r, motion energy"),
        legend=(1.45, 0.3, 0.4, 0.4),
        draw=plotting.flat_map,
        x="prf_x",
        y="prf_y",
    )
    flat[2].set(title="Two feature spaces", xlim=(-10, 10), ylim=(-10, 10), aspect="equal")
    flat[2].set(xlabel="horizontal position (degrees)", ylabel="vertical position (degrees)")
    scores(flat[3], voxels)
    shares(flat[4], voxels)
    summaries(flat[5], table[table["kind"] == "summary"])
    plotting.panel_letters(flat)
    return figure, "V1 encoded from the movie that was seen", caption(table, about)


def of(voxels: pd.DataFrame, name: str) -> xr.DataArray:
    """Return a column as an array over voxels, with their receptive fields."""
    coords = {"neuroid": voxels["name"].to_numpy()}
    coords |= {place: ("neuroid", voxels[place].to_numpy(float)) for place in ("prf_x", "prf_y")}
    return xr.DataArray(voxels[name].to_numpy(float), dims="neuroid", coords=coords, name=name)


def scores(ax: object, voxels: pd.DataFrame) -> None:
    groups = {name: voxels[f"r {name}"].dropna().to_numpy() for name in SPACES}
    bins = np.linspace(-0.7, 1.0, 35)
    for name, values in groups.items():
        ax.hist(values, bins, histtype="step", color=COLOURS[name], label=name)
    ax.axvline(0, ymax=0.7, color="black", linewidth=0.6)
    ax.set(xlabel="held-out r", ylabel="voxels", title="All voxels", ylim=(0, 1.6 * ax.get_ylim()[1]))
    ax.legend(loc="upper left", ncols=2, handlelength=1, columnspacing=1)


def shares(ax: object, voxels: pd.DataFrame) -> None:
    first, second = (voxels[f"share {name}"].to_numpy(float) for name in ("pixels", "motion energy"))
    good = voxels["p_fdr"].to_numpy(float) < 0.05
    ax.scatter(first[~good], second[~good], s=2, color=plotting.GREY, linewidth=0, label="q at least .05")
    ax.scatter(
        first[good], second[good], s=2, color=plotting.COLOURS["blue"], linewidth=0, label="q below .05"
    )
    ax.axhline(0, color="black", linewidth=0.6)
    ax.axvline(0, color="black", linewidth=0.6)
    (left, right), (low, high) = (np.nanquantile(share, [0.01, 1]) for share in (first, second))
    ax.set(xlim=(left, right), ylim=(low, high + 0.25 * (high - low)), title="Shares of R² in one model")
    ax.set(xlabel="pixels", ylabel="motion energy")
    ax.legend(markerscale=2, loc="upper right")


def summaries(ax: object, rows: pd.DataFrame) -> None:
    y = np.arange(len(rows))[::-1]
    names = [name.replace(", delays", ",\ndelays") for name in rows["name"]]
    ax.barh(
        y,
        rows["mean r"],
        color=[COLOURS.get(name, plotting.COLOURS["sky"]) for name in rows["name"]],
        height=0.6,
    )
    ax.set_yticks(y, names)
    ax.axvline(0, color="black", linewidth=0.6)
    ax.set(xlabel="mean r over voxels", title="Features, delays, folds")


def caption(table: pd.DataFrame, about: dict) -> str:
    notes, params = about["notes"], about["provenance"]["params"]
    rows = table[table["kind"] == "summary"].set_index("name")
    delays = params["delays"]
    said = "; ".join(
        f"{name} {row['mean r']:.3f} (90th percentile {row['90th percentile of r']:.2f}, Spearman with the published R² "
        f"{row['spearman with published']:.2f})"
        for name, row in rows.iterrows()
    )
    edges = ", ".join(f"{name} {share:.0%}" for name, share in notes["edge_share"].items())
    return (
        f"{notes['n_voxels']:,} voxels of V1 of one person who watched moving bars ({notes['n_times']} volumes of "
        f"{notes['tr']:g} s; {notes['n_constant']} voxels without variance left out). Ridge with an alpha for every voxel on "
        f"{notes['n_features']['pixels']} pixels or {notes['n_features']['motion energy']:,} motion-energy filters at delays of "
        f"{min(delays)} to {max(delays)} volumes; both: banded ridge, {params['n_candidates']} candidate weights. "
        f"{params['n_folds']} contiguous folds, {params['purge']} volumes left out beside each; choices are made inside the "
        "training rows. Control (backwards): pixels of the same frames in reverse order. There is no noise ceiling: one run, "
        "nothing was shown twice; the published fit (b) was made on the very volumes that it is scored on, of "
        f"{notes['n_published']:,} voxels. e, product measure: the two shares add up to the R² of the joint model. "
        f"{notes['n_fdr']:,} voxels are predicted by both (block permutation, blocks of {notes['block']} volumes, "
        f"{params['n_permutations']:,} draws, FDR q < .05), {notes['n_max']:,} by the maximum over voxels: "
        f"a fold of {notes['n_times'] // params['n_folds']} volumes holds few blocks, so the test of a single voxel has "
        f"little power, and folds that trained each other count as dependent. Mean r: {said}. "
        f"Penalties at an edge of the grid: {edges}. Data: {notes['cite']}"
    )


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Draw figure 19 from its table of values: ``python figure.py TABLE``."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import xarray as xr

from neuroalign import plotting
from neuroalign.io.images import nifti_image

BLUE, ORANGE, GREEN = (plotting.COLOURS[name] for name in ("blue", "orange", "green"))
CURVES = {
    "subjects together": BLUE,
    "one subject": plotting.COLOURS["sky"],
    "models in random order": plotting.GREY,
}
LEVEL = 0.05


def main(path: str) -> None:
    plotting.draw_values(path, drawn, text=("kind", "name"))


def drawn(table: pd.DataFrame, about: dict) -> tuple:
    figure, axes = plotting.figure(2, 3, height=118)
    flat = axes.ravel()
    voxels = table[table["kind"] == "voxel"]
    slice_map(flat[0], voxels, "model", "correlation with the model")
    flat[0].set_title("Category model")
    slice_map(flat[1], voxels, "decoding", "accuracy")
    flat[1].set_title("Eight-way decoding")
    scores(flat[2], voxels, about["notes"])
    volume(flat[3], table[table["kind"] == "simulated voxel"])
    curves(flat[4], table[table["kind"] == "curve"])
    surface(flat[5], table[table["kind"] == "simulated vertex"])
    plotting.panel_letters(flat)
    return figure, "Searchlights: one person's objects, and planted regions", caption(about)


def of(rows: pd.DataFrame, name: str, places: str = "ijk") -> xr.DataArray:
    """Return a column as an array over neuroids, with the grid that their positions lie on."""
    coords = {"neuroid": rows["name"].to_numpy()}
    coords |= {axis: ("neuroid", rows[axis].to_numpy(int)) for axis in places}
    values = xr.DataArray(rows[name].to_numpy(float), dims="neuroid", coords=coords, name=name)
    return values.assign_attrs(grid(rows)) if places == "ijk" else values


def grid(rows: pd.DataFrame) -> dict:
    """Return the affine and shape that indices and positions in mm imply, which have the same axes."""
    affine = np.eye(4)
    for axis, (index, place) in enumerate(zip("ijk", "xyz", strict=True)):
        i, x = rows[index].to_numpy(float), rows[place].to_numpy(float)
        # Of one slice the thickness does not show.
        slope = np.polyfit(i, x, 1)[0] if np.ptp(i) else 3.75
        affine[axis, axis], affine[axis, 3] = slope, x.mean() - slope * i.mean()
    return {"affine": affine.tolist(), "shape": [int(rows[index].max()) + 2 for index in "ijk"]}


def slice_map(ax: object, rows: pd.DataFrame, name: str, label: str) -> None:
    values = of(rows, name)
    scale = plotting.colour_scale(values)
    kept = values.where(rows[f"{name} p_fdr"].to_numpy(float) < LEVEL)
    below = nifti_image(of(rows, "signal"), fill=0.0)
    if not np.isfinite(kept.values).any():
        ax.set(xticks=[], yticks=[], xlabel="no place below .05")
        kept = values
    plotting.stat_map(ax, kept, background=below, direction="z", cuts=[0.0], scale=scale, label=label)


def scores(ax: object, rows: pd.DataFrame, notes: dict) -> None:
    bins = np.linspace(-0.6, 1.0, 33)
    for name, colour, said in (
        ("model", BLUE, "labels as they were"),
        ("shuffled", plotting.GREY, "shuffled once"),
        ("ceiling", ORANGE, "ceiling"),
    ):
        ax.hist(rows[name].dropna(), bins, histtype="step", color=colour, label=said)
    ax.axvline(notes["model"]["threshold"], color="black", linewidth=0.8, linestyle="--", ymax=0.68)
    ax.set(xlabel="correlation with the model", ylabel="spheres", title="All spheres, category model")
    ax.set_ylim(0, 1.55 * ax.get_ylim()[1])
    ax.legend(loc="upper left")


def volume(ax: object, rows: pd.DataFrame) -> None:
    values = of(rows, "mean")
    scale = plotting.colour_scale(values)
    kept = values.where(rows["p_max"].to_numpy(float) < LEVEL)
    below = nifti_image(of(rows, "truth") + 0.4, fill=0.0, **grid(rows))
    cuts = [-3.0, 0.0, 3.0]
    plotting.stat_map(
        ax, kept, background=below, direction="z", cuts=cuts, scale=scale, label="mean correlation"
    )
    ax.set_title("Simulated volume: found")


def curves(ax: object, rows: pd.DataFrame) -> None:
    for name, colour in CURVES.items():
        one = rows[rows["name"] == name]
        ax.plot(one["false"], one["hits"], color=colour, label=name)
    ax.plot([0, 1], [0, 1], color="black", linewidth=0.6, linestyle=":")
    ax.set(xlabel="false positives (share outside)", ylabel="hits (share of the region)")
    ax.set(title="Simulated volume: every threshold", xlim=(-0.02, 1.02), ylim=(0, 1.5), yticks=[0, 0.5, 1])
    ax.legend(loc="upper left")


def surface(ax: object, rows: pd.DataFrame) -> None:
    values = of(rows, "score", places=("vertex",))
    plotting.surface_map(ax, values, hemisphere="left", label="correlation with the model")
    ax.set_title("Simulated surface")


def caption(about: dict) -> str:
    notes, params = about["notes"], about["provenance"]["params"]
    model, decoding, planted, surface = (notes[name] for name in ("model", "decoding", "planted", "surface"))
    smallest, mean, largest = notes["sizes"]
    simulated = params["planted"]
    return (
        f"a to c, {notes['n_voxels']} voxels of one slice of one person ({notes['n_runs']} runs, eight categories, mean volume "
        f"of each block; spheres of {params['radius']:g} mm hold {smallest} to {largest} voxels, {mean:.0f} on average). a, "
        f"{params['method'].title()} correlation of crossnobis distances between runs (noise covariance of each sphere from "
        f"residuals, shrunk, {notes['dof']:g} degrees of freedom) with a model that tells faces, houses, scrambled pictures and "
        f"small objects apart, where q is below .05 (labels permuted within runs, {params['n_permutations']} draws, FDR); "
        f"grey: mean volume. {model['n_fdr']} spheres are significant so, {model['n_max']} by the maximum over the map; mean {model['mean']:.2f}. b, ridge from the sphere's voxels, leaving one run out, where q is "
        f"below .05 in the same way (chance {decoding['chance']:.3f}): {decoding['n_fdr']} spheres, {decoding['n_max']} by the "
        f"maximum (accuracy above {decoding['threshold']:.2f}); mean accuracy {decoding['mean']:.2f}, largest {decoding['largest']:.2f}. c, a's scores before any threshold, the control with labels "
        f"shuffled once within runs (mean {notes['shuffled']['mean']:.2f}; one draw, which spheres that overlap share), and the ceiling from the reliability of the "
        f"sphere's RDM over halves of the runs ({params['n_splits']} splits, Spearman-Brown, median "
        f"{notes['ceiling']['median']:.2f}; {notes['ceiling']['n_negative']} spheres have none; cross-validated, it is a little "
        f"low); dashed, the threshold by the maximum. d, SIMULATED: mean over {simulated['n_subjects']} subjects where p is below .05 (sign "
        f"flips over subjects of the maximal t); below it in greys, the region that carries the model (left) and one with "
        f"patterns of its own for each stimulus (right), snr {simulated['snr']:g}. {planted['hits']:.0%} of {planted['n_planted']} "
        f"planted voxels are found, {planted['n_false']} of {planted['n_outside']} spheres that do not reach the region and "
        f"{planted['n_other']} of {planted['size_other']} of the other region; with models in random orders "
        f"{planted['null_rate']:.1%} of {planted['n_null']} maps have any significant sphere. e, hits and false positives as the "
        f"threshold falls; control: the models in random orders. f, SIMULATED: one subject on the left fsaverage5 surface "
        f"({surface['n_nearest']} nearest vertices along edges, snr {surface['snr']:g}), {surface['hits']:.0%} of the planted "
        f"vertices and {surface['n_false']} of {surface['n_far']} discs off the region are significant (permuted stimuli, "
        f"maximum over {surface['n_vertices']:,} vertices). In simulation there is no ceiling beside the truth. Data: "
        f"{notes['cite']}"
    )


if __name__ == "__main__":
    main(*sys.argv[1:])

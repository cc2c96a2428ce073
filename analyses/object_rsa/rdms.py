"""Draw figure 14 from its table of values: ``python rdms.py TABLE``."""

from __future__ import annotations

import sys

import pandas as pd
import xarray as xr

from neuroalign import plotting
from neuroalign.schema import make_rdm


def main(path: str) -> None:
    plotting.draw_values(path, drawn, text=("a", "b", "rdm", "what", "category"))


def drawn(table: pd.DataFrame, about: dict) -> tuple:
    notes = about["notes"]
    names = list(dict.fromkeys(table["rdm"]))
    many = table["a"].nunique() > table["category"].nunique()
    figure, axes = plotting.figure(2, 2, height=150)
    for row, name in zip(axes, names, strict=True):
        pairs = table[(table["rdm"] == name) & (table["what"] == "dissimilarity")]
        places = table[(table["rdm"] == name) & (table["what"] == "place")]
        stimuli = places["a"].tolist()
        categories = dict(zip(places["a"], places["category"], strict=True))
        rdm = make_rdm(pairs["value"].to_numpy(), stimuli)
        plotting.rdm_map(row[0], rdm, categories=categories, scale="percentile")
        found = xr.DataArray(
            places[["x", "y"]].to_numpy(),
            dims=("stimulus", "axis"),
            coords={"stimulus": stimuli},
            attrs={"stress": notes["stress"][name]},
        )
        plotting.mds_map(row[1], found, categories=categories if many else None, names=not many)
        row[0].set_title(f"{name}: RDM", pad=12)
        row[1].set_title(f"{name}: MDS")
    plotting.panel_letters(axes.ravel())
    return figure, f"RDMs of {names[0]} and of {names[1]}", caption(names, notes)


def caption(names: list[str], notes: dict) -> str:
    stress = ", ".join(f"{name} {value:.2f}" for name, value in notes["stress"].items())
    what = "roots of the dissimilarities, which are squared" if notes["squared"] else "dissimilarities"
    return (
        f"Above, the mean RDM of {notes['n_subjects']} people ({names[0]}; {notes['rdms']}), {notes['stimuli']}; below, "
        f"{names[1]}. Left, percentiles of the dissimilarities: structure, no sizes, as a rank RDM has it. Right, the "
        f"stimuli where their distances in the plane come nearest to the {what} (metric MDS; stress {stress}: "
        "the part of the dissimilarities that two dimensions do not hold, which is large where it is above .2); axes have "
        f"no direction. Negative dissimilarities are 0 there. {notes['remark']} Data: {notes['cite']}"
    )


if __name__ == "__main__":
    main(*sys.argv[1:])

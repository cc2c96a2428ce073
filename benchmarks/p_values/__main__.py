from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from neuroalign import plotting
from neuroalign.io import write_table
from neuroalign.plotting import COLOURS, GREY

from . import __doc__ as about
from .rates import AT_MOST, EXACT, N_SETS, SEED, functions, measure

PATH = Path(__file__).parents[2] / "docs" / "calibration" / "functions.tsv"
CAPTION = (
    "SIMULATED null data sets. Rates of p <= .05 with exact 95 % binomial intervals; grey, the band for "
    "tests whose p is uniform; dashed, the limit for others, that the table names."
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.p_values", description=about)
    parser.add_argument("n_sets", nargs="?", type=int, help="null data sets; 10,000, kept, where not given")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="functions, or parts of their names")
    parser.add_argument("--seed", type=int, help="other sets; the rates are only printed")
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    known = functions()
    names = [n for n in known if options.only is None or any(part in n for part in options.only)]
    seed = SEED if options.seed is None else options.seed
    found = measure(options.n_sets or N_SETS, names=names, seed=seed, workers=options.workers)
    print(found.drop(columns=["null sets", "not exact because"]).to_string(index=False))
    if options.n_sets is None and options.seed is None:
        if PATH.exists():
            kept = pd.read_csv(PATH, sep="\t", keep_default_na=False)
            others = kept[kept["function"].isin([name for name in known if name not in names])]
            found = pd.concat([others, found])
        order = {name: i for i, name in enumerate(known)}
        found = found.sort_values("function", key=lambda name: name.map(order), kind="stable")
        write_table(found, PATH)
        draw(found)


def draw(rates: pd.DataFrame) -> None:
    """Draw every rate with its interval, beside the table."""
    y, inexact = np.arange(len(rates))[::-1], rates["not exact because"].astype(bool)
    colour = np.where(inexact, COLOURS["orange"], COLOURS["blue"])
    with plotting.style():
        figure, axes = plotting.figure(height=12 + 3.4 * len(rates))
        ax = axes[0, 0]
        ax.axvspan(*EXACT, color=GREY, alpha=0.3, linewidth=0)
        ax.axvline(AT_MOST, color="black", linewidth=0.6, linestyle="--")
        ax.hlines(y, rates["low"], rates["high"], color=colour, linewidth=1)
        ax.scatter(rates["rate"], y, color=colour, s=9, zorder=3)
        ax.set_yticks(y, rates["function"] + ": " + rates["test"])
        ax.tick_params(axis="y", labelsize="small")
        for name, shade in (("p is uniform", "blue"), ("not exact", "orange")):
            ax.scatter([], [], color=COLOURS[shade], s=9, label=name)
        ax.legend(loc="upper left")
        ax.set(xlabel="false-positive rate at .05", xlim=(0, 0.065), ylim=(-1, len(rates)))
        ax.set_title(f"True nulls (SIMULATED, {rates['sets'].max():,} sets each)")
        plotting.save_figure(figure, PATH.with_suffix(""), caption=CAPTION)


if __name__ == "__main__":
    main()

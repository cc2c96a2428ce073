"""False-positive rates of the tests of encoding scores on autocorrelated series.

``python -m benchmarks.encoding_calibration`` makes null data sets (10,000 for each autocorrelation where no
number is given; seed 20260101, chosen before any run), tests each at .05 and prints the rates with exact
binomial intervals (Clopper & Pearson 1934). Without a number the table is kept in
``docs/calibration-encoding`` and the page and its figure are made anew; ``--page`` only makes the page;
``--out`` writes the table elsewhere.

A null data set is a prediction and a response of 300 rows: unrelated AR(1) series of the same coefficient.
Tested, against a positive correlation with 199 draws, each set with the block length of its own:

- ``one stretch``: rows move anywhere;
- ``5 folds``: the average r of 5 folds of 60 rows, in which rows stay; ``pooled``: one r of all rows.
- ``cross-validated ridge``: predictions of ``RidgeCV`` (11 alphas) on 2, 10 or 60 unrelated AR(1) features,
  fitted to the responses of the other folds, 200 responses a design; block lengths are those of the whole
  family.

Beside them what is often done: the two-sided parametric p of r, which takes rows for independent, and
Fisher's combination of the 5 folds' p; and cross-validated predictions whose folds are taken for independent.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from textwrap import fill

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from scipy.signal import lfilter
from scipy.stats import binomtest, chi2, pearsonr
from threadpoolctl import threadpool_limits
from tqdm.auto import tqdm

from neuroalign import plotting
from neuroalign.encoding import RidgeCV, contiguous_splits, cross_validated_predictions
from neuroalign.encoding.inference import score_tests
from neuroalign.io import write_table, write_text
from neuroalign.plotting import COLOURS, GREY
from neuroalign.seeds import generator
from neuroalign.stats.autocorrelation import TOLERANCE, block_lengths

from .calibration import table

__all__ = ["null_rates", "null_set", "write_page"]

FOLDER = Path(__file__).parents[1] / "docs" / "calibration-encoding"

SEED = 20260101
N_SETS, BATCH = 10_000, 2000
N_ROWS, N_FOLDS, N_DRAWS = 300, 5, 199
COEFFICIENTS = (0.0, 0.5, 0.8)
ALPHA = 0.05
# Of independent rows the tests must keep to this band; of autocorrelated ones to the limit.
EXACT, AT_MOST = (0.044, 0.056), 0.065
SHADES = dict(zip(COEFFICIENTS, ("blue", "orange", "green"), strict=True))
# Test, and its arguments.
TESTS = {
    "blocks, one stretch": {"method": "block"},
    "blocks, 5 folds": {"method": "block", "folds": True},
    "blocks, 5 folds pooled": {"method": "block", "folds": True, "convention": "pooled"},
    "rotations, one stretch": {"method": "circular"},
    "rotations, 5 folds": {"method": "circular", "folds": True},
    "rotations, 5 folds pooled": {"method": "circular", "folds": True, "convention": "pooled"},
}
# Predictions of ridge with an alpha for every target, fitted to the responses of the other folds.
FITTED = {
    "cross-validated ridge": {},
    "cross-validated ridge, pooled": {"convention": "pooled"},
    "cross-validated ridge, folds taken for independent": {"cross_validated": False},
}
WIDTHS, PER_DESIGN, PURGE = (2, 10, 60), 200, 10
BOUNDED = ("cross-validated ridge", "cross-validated ridge, pooled")
INVALID = (
    "parametric p of r",
    "Fisher's combination of 5 folds",
    "cross-validated ridge, folds taken for independent",
)


def null_rates(n_sets: int = N_SETS, *, seed: int = SEED) -> pd.DataFrame:
    """Return how often each test refuses a true null, with its 95 % binomial interval."""
    rows = []
    for coefficient in COEFFICIENTS:
        wrong: dict[str, int] = defaultdict(int)
        blocks: dict[str, list[np.ndarray]] = defaultdict(list)
        starts = range(0, n_sets, BATCH)
        for start in tqdm(starts, desc=f"null sets, AR({coefficient:g})", unit="batch", mininterval=2):
            rng = generator(seed, f"AR({coefficient:g})", start)
            x, y = null_set(coefficient, min(BATCH, n_sets - start), rng)
            for name, p, block in _p_values(x, y, rng):
                wrong[name] += int((p <= ALPHA).sum())
                blocks[name].append(block)
        for name in (*TESTS, *INVALID[:2]):
            median = float(np.median(np.concatenate(blocks[name])))
            rows.append(_rate(coefficient, name, wrong[name], n_sets, median))
    return pd.concat([pd.DataFrame(rows), fitted_rates(n_sets, seed=seed)], ignore_index=True)


def fitted_rates(n_sets: int = N_SETS, *, seed: int = SEED) -> pd.DataFrame:
    """Return the same of predictions that were cross-validated on the responses."""
    return pd.DataFrame([row for c in COEFFICIENTS for row in _fitted_rates(c, n_sets, seed)])


def _fitted_rates(coefficient: float, n_sets: int, seed: int) -> list[dict[str, object]]:
    """Return the rates where predictions are those of cross-validated ridge on unrelated features."""
    rng = generator(seed, f"AR({coefficient:g})", "fitted")
    wrong: dict[str, int] = defaultdict(int)
    blocks = []
    n_designs = -(-n_sets // PER_DESIGN)
    for design in tqdm(range(n_designs), desc=f"ridge, AR({coefficient:g})", unit="design", mininterval=2):
        n_features = WIDTHS[design % len(WIDTHS)]
        n_targets = min(PER_DESIGN, n_sets - design * PER_DESIGN)
        series = null_set(coefficient, -(-(n_features + n_targets) // 2), rng)
        both = np.concatenate(series, axis=1)
        X = _labelled(both[:, :n_features]).rename(neuroid="feature")
        Y = _labelled(both[:, n_features : n_features + n_targets])
        splits = contiguous_splits(N_ROWS, N_FOLDS, purge=PURGE if coefficient else 0)
        model = RidgeCV(np.logspace(0, 5, 11), cv=4, device="cpu", edge_tolerance=1)
        predicted = cross_validated_predictions(model, X, Y, splits=splits)
        for name, given in FITTED.items():
            found = score_tests(predicted, Y, n=N_DRAWS, rng=rng, **given)
            wrong[name] += int((found["p"] <= ALPHA).sum())
        blocks.append(found.attrs["block"])
    median = float(np.median(blocks))
    return [_rate(coefficient, name, wrong[name], n_sets, median) for name in FITTED]


def null_set(coefficient: float, n_sets: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return predictions and responses (n_rows, n_sets): unrelated stationary AR(1) series."""
    noise = rng.standard_normal((N_ROWS, 2 * n_sets))
    noise[0] /= np.sqrt(1 - coefficient**2)
    series = lfilter([1], [1, -coefficient], noise, axis=0)
    return series[:, :n_sets], series[:, n_sets:]


def _p_values(
    x: np.ndarray, y: np.ndarray, rng: np.random.Generator
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield each test's p and block length (NaN where it has none) of all sets.

    Sets with one block length are tested as the neuroids of one call, with the same permutations.
    """
    fold = np.repeat(np.arange(N_FOLDS), N_ROWS // N_FOLDS)
    for name, given in TESTS.items():
        folds = fold if given.get("folds") else np.zeros(N_ROWS)
        each = block_lengths(x, y, runs=folds) if given["method"] == "block" else np.ones(x.shape[1])
        p = np.empty(x.shape[1])
        options = {"method": given["method"], "convention": given.get("convention", "folds"), "folds": folds}
        # Here predictions are series of their own: no response had a part in them.
        options["cross_validated"] = False
        for block in np.unique(each):
            sets = np.flatnonzero(each == block)
            pair = (_labelled(x[:, sets]), _labelled(y[:, sets]))
            p[sets] = score_tests(*pair, n=N_DRAWS, rng=rng, block=int(block), **options)["p"]
        yield name, p, each if given["method"] == "block" else np.full(x.shape[1], np.nan)
    none = np.full(x.shape[1], np.nan)
    yield INVALID[0], pearsonr(x, y, axis=0).pvalue, none
    of_folds = [pearsonr(x[fold == k], y[fold == k], axis=0).pvalue for k in range(N_FOLDS)]
    yield INVALID[1], chi2.sf(-2 * np.log(of_folds).sum(axis=0), 2 * N_FOLDS), none


def _labelled(series: np.ndarray) -> xr.DataArray:
    return xr.DataArray(series, dims=("time", "neuroid"), coords={"time": np.arange(len(series))})


def _rate(coefficient: float, name: str, count: int, n_sets: int, block: float) -> dict[str, object]:
    interval = binomtest(count, n_sets).proportion_ci()
    rate = count / n_sets
    exact = coefficient == 0 and name not in BOUNDED
    # The spread of cross-validated scores is an upper bound, so their rate has no lower one.
    low, high = EXACT if exact else (0.0, EXACT[1] if coefficient == 0 else AT_MOST)
    kept = "yes" if low <= rate <= high else "no"
    band = f"{low:.3f} to {high:.3f}" if exact else f"at most {high:.3f}"
    return {
        "AR": f"{coefficient:g}",
        "test": name,
        "sets": n_sets,
        "median block": "" if np.isnan(block) else f"{block:g}",
        "rate": rate,
        "low": interval.low,
        "high": interval.high,
        "band": "" if name in INVALID else band,
        "kept": "" if name in INVALID else kept,
    }


def write_page(folder: Path = FOLDER) -> None:
    """Write the page and its figure from the table that stands in the folder."""
    rates = pd.read_csv(folder / "rates.tsv", sep="\t", dtype={"AR": str, "median block": str}).fillna("")
    outside = rates[rates["kept"] == "no"]
    tested = int((rates["kept"] != "").sum())
    verdict = (
        f"{len(outside)} of {tested} rates leave their band: "
        + ", ".join(f"{row.test} at AR {row.AR} {row.rate:.4f}" for row in outside.itertuples())
        if len(outside)
        else f"All {tested} rates are in their band"
    )
    with plotting.style():
        figure, axes = plotting.figure(1, 2, height=80, width_ratios=[1.3, 1])
        _draw(axes[0, 0], rates[~rates["test"].isin(INVALID)], "Permutation tests", 0.08)
        axes[0, 0].axvspan(*EXACT, color=GREY, alpha=0.3, linewidth=0)
        axes[0, 0].axvline(AT_MOST, color="black", linewidth=0.6, linestyle="--")
        _draw(axes[0, 1], rates[rates["test"].isin(INVALID)], "Taken for independent", 1.0)
        axes[0, 1].axvline(ALPHA, color="black", linewidth=0.6, linestyle="--")
        plotting.panel_letters(axes[0])
        figure.savefig(folder / "calibration.png", dpi=200)
        figure.savefig(folder / "calibration.pdf")
    said = __doc__.split("A null data set is ")[1].strip() if __doc__ else ""
    write_text(
        "# Calibration of encoding tests\n\n"
        "How often `encoding.score_tests` refuses a true null at .05. Written by "
        "`python -m benchmarks.encoding_calibration`.\n\n"
        f"A null data set (SIMULATED, seed {SEED}, chosen before any run) is {said}\n\n"
        f"Blocks are those of `stats.autocorrelation.block_length`, tolerance {TOLERANCE:g}.\n\n"
        "![False-positive rates](calibration.png)\n\n"
        "a, false-positive rates with exact 95 % binomial intervals; grey, the band for independent rows; "
        "dashed, the limit for autocorrelated ones. b, tests that "
        "take rows, or folds that trained each other, for independent; dashed, .05.\n\n"
        f"{verdict}.\n\n{table(rates)}",
        folder / "index.md",
    )


def _draw(ax: Axes, rates: pd.DataFrame, title: str, largest: float) -> None:
    names = list(dict.fromkeys(rates["test"]))
    for i, (coefficient, shade) in enumerate(SHADES.items()):
        part = rates[rates["AR"] == f"{coefficient:g}"]
        y = -np.array([names.index(name) for name in part["test"]]) + 0.2 * (1 - i)
        ax.hlines(y, part["low"], part["high"], color=COLOURS[shade], linewidth=1)
        ax.scatter(part["rate"], y, color=COLOURS[shade], s=9, zorder=3, label=f"AR({coefficient:g})")
    ax.set_yticks(-np.arange(len(names)), [fill(name, 24) for name in names])
    ax.legend(loc="upper left" if largest < 1 else "lower right")
    ax.set(xlabel="false-positive rate at .05", xlim=(0, largest), title=title)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.encoding_calibration", description=__doc__)
    parser.add_argument("n", nargs="?", type=int, help="data sets for each autocorrelation")
    parser.add_argument("--page", action="store_true", help="only the page and figure, from the table")
    parser.add_argument("--fitted", action="store_true", help="only cross-validated ridge; the rest stays")
    parser.add_argument("--out", type=Path, help="a file for the table (.md or .tsv)")
    options = parser.parse_args()
    if not options.page:
        with threadpool_limits(1):
            if options.fitted:
                rows = fitted_rates(options.n or N_SETS)
                if options.n is None:
                    old = pd.read_csv(FOLDER / "rates.tsv", sep="\t", dtype={"AR": str, "median block": str})
                    rows = pd.concat(
                        [old[~old["test"].isin(rows["test"])].fillna(""), rows], ignore_index=True
                    )
            else:
                rows = null_rates(options.n or N_SETS)
        print(table(rows))
        if options.out:
            tsv = options.out.suffix == ".tsv"
            write_text(rows.to_csv(sep="\t", index=False) if tsv else table(rows), options.out)
        elif options.n is None:
            write_table(rows, FOLDER / "rates.tsv")
    if options.page or (options.n is None and options.out is None):
        write_page()


if __name__ == "__main__":
    main()

"""Family-wise false positives of searchlight maps: how often a map of nothing has any significant place.

``python -m benchmarks.searchlight_calibration`` makes null data sets (10,000 where no number is given; seed
20260301, chosen before any run), tests each map at .05 after the maximum over its places, and prints the
rates with exact binomial intervals (Clopper & Pearson 1934). Without a number the table is kept in
``docs/calibration/searchlight.tsv``; ``--out`` writes it elsewhere.

A null data set (SIMULATED) is a volume of 4 x 4 x 3 voxels of 3 mm, noise smoothed at 5 mm, 4 runs of 8
stimuli; spheres are the 7 nearest voxels. Tested, each with 99 draws that 100 data sets share:

- ``RSA, stimuli``: a random model against crossnobis distances, labels of stimuli permuted;
- ``RSA, within runs``: a model of two categories, labels permuted in each run for itself;
- ``decoding, within runs``: the same two categories by ridge, leaving one run out;
- ``subjects, sign flips``: maps of 8 subjects (smoothed noise), the maximal t of all patterns of signs.

Beside the family-wise rate, the share of single places below .05 without correction.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from scipy.stats import binomtest
from threadpoolctl import threadpool_limits
from tqdm.auto import tqdm

from neuroalign import datasets, encoding, rsa, stats
from neuroalign.encoding import sphere_decoding
from neuroalign.io import write_table, write_text
from neuroalign.rsa.searchlight_tests import permutations
from neuroalign.rsa.sphere_jobs import prepare
from neuroalign.schema import make_rdm
from neuroalign.seeds import generator

from .calibration import table

__all__ = ["null_rates"]

PLACE = Path(__file__).parents[1] / "docs" / "calibration" / "searchlight.tsv"

SEED = 20260301
N_SETS, BATCH, N_DRAWS, N_SUBJECTS, N_RUNS = 10_000, 100, 99, 8, 4
SHAPE, N_NEAREST, SMOOTHING = (4, 4, 3), 7, 5.0
STIMULI = list("abcdefgh")
LEVEL, AT_MOST = 0.05, 0.06


def null_rates(n_sets: int = N_SETS, *, seed: int = SEED) -> pd.DataFrame:
    """Return how often each test finds something in a map of nothing, with its 95 % binomial interval."""
    found: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
    for start in tqdm(range(0, n_sets, BATCH), desc="null sets", unit="batch", mininterval=2):
        rng = generator(seed, "searchlight", start)
        for name, tests in _tests(min(BATCH, n_sets - start), rng).items():
            found.setdefault(name, []).append(tests)
    return pd.DataFrame(
        [_rate(name, *map(np.hstack, zip(*each, strict=True))) for name, each in found.items()]
    )


def _tests(n_sets: int, rng: np.random.Generator) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return p and p_max (n_places, n_sets) of each test; the sets lie side by side as one brain."""
    places = datasets.volume_places(SHAPE, ellipsoid=False)
    one = rsa.nearest_neighbours(places, N_NEAREST)
    around = [sphere + i * len(one) for i in range(n_sets) for sphere in one]
    kinds = xr.DataArray(
        np.repeat(np.eye(2), 4, axis=0), dims=("stimulus", "feature"), coords={"stimulus": STIMULI}
    )

    def noise(n_runs: int) -> np.ndarray:
        drawn = datasets.planted(
            places, {"r": kinds}, regions={"r": [0]}, snr=0.0, smoothing=SMOOTHING, n_runs=n_runs, rng=rng
        )
        return drawn["responses"].values

    # Sets are runs of one long simulation, put side by side: (N_RUNS, n_stimuli, n_sets * n_places).
    values = noise(n_sets * N_RUNS).reshape(n_sets, N_RUNS, len(STIMULI), -1)
    values = np.moveaxis(values, 0, 2).reshape(N_RUNS, len(STIMULI), -1)
    brain = xr.DataArray(values, dims=("run", "stimulus", "neuroid"), coords={"stimulus": STIMULI})
    a, b = np.triu_indices(len(STIMULI), 1)
    code = np.repeat([0, 1], 4)
    anything = make_rdm(rng.random(len(a)), STIMULI)
    categories = make_rdm((code[a] != code[b]).astype(np.float64), STIMULI)
    maps = noise(N_SUBJECTS * n_sets)[:, 0].reshape(N_SUBJECTS, n_sets, -1)
    labelled = xr.DataArray(
        maps, dims=("subject", "set", "neuroid"), coords={"subject": np.arange(N_SUBJECTS)}
    )
    flips = stats.map_tests(labelled)
    return {
        "RSA, stimuli": _rsa(brain, anything, around, n_sets, "stimuli", rng),
        "RSA, within runs": _rsa(brain, categories, around, n_sets, "within folds", rng),
        "decoding, within runs": _decoding(brain, code, around, n_sets, rng),
        "subjects, sign flips": (flips["p"].values.T, flips["p_max"].values.T),
    }


def _rsa(
    brain: xr.DataArray,
    model: xr.DataArray,
    around: list[np.ndarray],
    n_sets: int,
    permute: str,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    job = prepare(
        brain,
        model,
        radius=None,
        neighbours=around,
        metric="crossnobis",
        method="spearman",
        noise=None,
        noise_method="shrinkage-diagonal",
        dof=None,
        folds="run",
        min_neuroids=2,
    )
    of_block, n_items, draw = permutations(job, permute)
    return _sets(of_block(np.stack(around)), n_items, draw, n_sets, rng)


def _decoding(
    brain: xr.DataArray, code: np.ndarray, around: list[np.ndarray], n_sets: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    n_rows, run = N_RUNS * len(code), np.repeat(np.arange(N_RUNS), len(code))
    rows = {"stimulus": np.arange(n_rows)}
    job = sphere_decoding.prepare(
        xr.DataArray(np.tile(code, N_RUNS), dims="stimulus", coords=rows),
        xr.DataArray(brain.values.reshape(n_rows, -1), dims=("stimulus", "neuroid"), coords=rows),
        around,
        splits=encoding.leave_one_run_out(run),
        model=None,
        alphas=10.0,
        metric=None,
        standardize=True,
        convention="folds",
        min_neuroids=2,
    )

    def draw(drawn: np.random.Generator) -> np.ndarray:
        starts = range(0, n_rows, len(code))
        return np.concatenate([start + stats.shuffle(len(code), drawn) for start in starts])

    return _sets(job.statistic(np.stack(around)), n_rows, draw, n_sets, rng)


def _sets(
    statistic: Any, n_items: int, draw: Any, n_sets: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return p and p_max (n_places, n_sets): a set is a map of its own."""
    found = stats.block_tests(
        [lambda order: statistic(order).reshape(n_sets, -1).T], n_items, n=N_DRAWS, permute=draw, rng=rng
    )
    return found.p, found.p_max


def _rate(name: str, p: np.ndarray, p_max: np.ndarray) -> dict[str, object]:
    wrong = (p_max <= LEVEL).any(axis=0)
    count, n_sets = int(wrong.sum()), len(wrong)
    interval = binomtest(count, n_sets).proportion_ci()
    rate = count / n_sets
    return {
        "test": name,
        "sets": n_sets,
        "family-wise rate": rate,
        "low": interval.low,
        "high": interval.high,
        "band": f"at most {AT_MOST:.3f}",
        "kept": "yes" if rate <= AT_MOST else "no",
        "rate of single places": float((p <= LEVEL).mean()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.searchlight_calibration", description=__doc__)
    parser.add_argument("n", nargs="?", type=int, help="null data sets")
    parser.add_argument("--out", type=Path, help="a file for the table (.md or .tsv)")
    options = parser.parse_args()
    with threadpool_limits(1):
        rows = null_rates(options.n or N_SETS)
    print(table(rows))
    if options.out:
        tsv = options.out.suffix == ".tsv"
        write_text(rows.to_csv(sep="\t", index=False) if tsv else table(rows), options.out)
    elif options.n is None:
        write_table(rows, PLACE)


if __name__ == "__main__":
    main()

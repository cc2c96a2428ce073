"""How often cluster tests find something where there is nothing.

``python -m benchmarks.cluster_calibration`` makes null data sets (10,000 where no number is given; seed
20240601, chosen before any run), tests each at .05 and prints the share with any cluster, or any sample for
TFCE, at p of at most .05, with its exact binomial interval (Clopper & Pearson 1934). Without a number the
table is kept as ``docs/calibration/cluster.tsv``.

A null set: 20 subjects, AR(1) noise over 100 times (coefficient .9), its deviation different from subject to
subject; six sensors of 40 times, neighbours in a row that share half of their variance; two models of 100
times. 99 sign flips; TFCE in steps of .25. Beside the tests what is often done: the uncorrected t test of
every sample.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from scipy.signal import lfilter
from scipy.stats import binomtest, ttest_1samp
from tqdm.auto import tqdm

from neuroalign.io import write_table
from neuroalign.seeds import generator
from neuroalign.stats import cluster_test

__all__ = ["null_set", "rates"]

PATH = Path(__file__).parents[1] / "docs" / "calibration" / "cluster.tsv"
SEED = 20240601
N_SETS, N_FLIPS, ALPHA, AT_MOST = 10_000, 99, 0.05, 0.060
N_SUBJECTS, BURN_IN, COEFFICIENT = 20, 30, 0.9
TIMES_ONLY, WITH_SENSORS = (1, 100), (6, 40)
TESTS: dict[str, dict] = {
    "time, forming p .05": {},
    "time, forming p .01": {"forming": 0.01},
    "time, TFCE": {"threshold": "tfce", "step": 0.25},
    "sensors and time": {"sensors": True},
    "two models, joint": {"models": True},
}
UNCORRECTED = "no correction: any sample's t test"


def rates(n_sets: int = N_SETS, *, seed: int = SEED) -> pd.DataFrame:
    """Return how often each test finds something in null data, with its 95 % binomial interval."""
    wrong: Counter[str] = Counter()
    for i in tqdm(range(n_sets), desc="null sets", mininterval=2):
        rng = generator(seed, "clusters", i)
        plain, sensors, models = (null_set(shape, rng) for shape in (TIMES_ONLY, WITH_SENSORS, (2, 100)))
        models = models.rename(neuroid="model")
        for name, options in TESTS.items():
            kept = {key: value for key, value in options.items() if key not in ("sensors", "models")}
            if "sensors" in options:
                kept["adjacency"] = np.eye(6, k=1) + np.eye(6, k=-1)
            values = sensors if "sensors" in options else models if "models" in options else plain
            p = cluster_test(values, n=N_FLIPS, rng=rng, **kept)["p"]
            wrong[name] += bool((p <= ALPHA).any())
        wrong[UNCORRECTED] += bool((ttest_1samp(plain.values, 0).pvalue <= ALPHA).any())
    rows = []
    for name in (*TESTS, UNCORRECTED):
        ends = binomtest(wrong[name], n_sets).proportion_ci(method="exact")
        rate = wrong[name] / n_sets
        kept = "" if name == UNCORRECTED else "yes" if rate <= AT_MOST else "no"
        rows.append((name, n_sets, rate, ends.low, ends.high, AT_MOST, kept))
    return pd.DataFrame(rows, columns=["test", "sets", "rate", "low", "high", "at most", "kept"])


def null_set(shape: tuple[int, int], rng: np.random.Generator) -> xr.DataArray:
    """Return noise (subject, neuroid, time): autocorrelated, shared by sensors, of unequal size."""
    n_places, n_times = shape
    size = (N_SUBJECTS, n_places, n_times + BURN_IN)
    rough = rng.standard_normal(size) + rng.standard_normal(size)[:, :1]
    noise = lfilter([1], [1, -COEFFICIENT], rough, axis=-1)[..., BURN_IN:]
    noise *= rng.gamma(2.0, size=(N_SUBJECTS, 1, 1))
    coords = {
        "subject": np.arange(N_SUBJECTS),
        "neuroid": np.arange(n_places),
        "time": np.arange(n_times) / 100,
    }
    found = xr.DataArray(noise, dims=("subject", "neuroid", "time"), coords=coords)
    return found.isel(neuroid=0, drop=True) if n_places == 1 else found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cluster_calibration", description=__doc__)
    parser.add_argument("n_sets", nargs="?", type=int, help="null data sets; 10,000, kept, where not given")
    n_sets = parser.parse_args().n_sets
    found = rates(n_sets or N_SETS)
    print(found.to_string(index=False))
    if n_sets is None:
        write_table(found, PATH)


if __name__ == "__main__":
    main()

"""R20: the committed rates stand in their bands; the long form measures smaller versions of them anew."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
import pytest
from scipy.stats import binomtest, chi2_contingency

ROOT = Path(__file__).parents[2]
RATES, SEEDS = ROOT / "docs/calibration/rates.tsv", ROOT / "docs/calibration/seeds.tsv"
ENCODING = ROOT / "docs/calibration-encoding/rates.tsv"
CLUSTER, MAPS = ROOT / "docs/calibration/cluster.tsv", ROOT / "docs/calibration/searchlight.tsv"
FUNCTIONS = ROOT / "docs/calibration/functions.tsv"
SETS = 2_000
# Rates that lie outside of their band, each with the page's reason.
KNOWN = {
    (
        "subject",
        "t test, pairwise",
        20240601,
    ): "exact for normal scores only; of the sets of all eleven seeds 0.0521",
    ("subject", "sign flips against 0", 20240604): "too few; of the sets of all eleven seeds 0.0455",
    ("subject", "sign flips against 0", 20240610): "too few; of the sets of all eleven seeds 0.0455",
}


def table(path):
    return pd.read_csv(path, sep="\t", keep_default_na=False)


def band(text):
    """Return the ends of "0.044 to 0.056" or "at most 0.060"; None where a row claims nothing."""
    if not text:
        return None
    if text.startswith("at most"):
        return 0.0, float(text.split()[-1])
    low, high = text.split(" to ")
    return float(low), float(high)


def outside(rate, ends):
    return not ends[0] - 1e-12 <= float(rate) <= ends[1] + 1e-12


def test_rates_of_inference_are_in_their_bands(tried):
    rows = pd.concat([table(RATES).assign(seed=20240601), table(SEEDS)])
    bad, known = [], []
    for row in rows.to_dict("records"):
        key = row["null"], row["test"], int(row["seed"])
        out = outside(row["rate"], band(row["band"]))
        assert out == (row["kept"] == "no"), f"the column 'kept' of {key} is not what the rate says"
        known += [key] if out and key in KNOWN else []
        bad += [f"{key}: {row['rate']}"] if out and key not in KNOWN else []
    assert sorted(known) == sorted(KNOWN), "a known exception is none any more: take it off the list"
    note = f"{len(KNOWN)} of them known exceptions, see the page"
    tried("R20", "committed rates of rsa.infer, 10,000 sets each", len(rows), bad, note=note)


def test_the_rate_over_all_seeds_of_every_test_over_subjects_is_in_its_band(tried):
    """One seed of 10,000 sets may be an unlucky one: what is claimed is the rate of all eleven."""
    rates = table(RATES)
    rows = pd.concat([rates[rates["null"] == "subject"].assign(seed=20240601), table(SEEDS)])
    rows = rows[rows["test"].isin(table(SEEDS)["test"])].astype({"rate": float, "sets": int})
    bad = []
    for name, seeds in rows.groupby("test"):
        n, wrong = seeds["sets"], (seeds["rate"] * seeds["sets"]).round().astype(int)
        assert len(seeds) == seeds["seed"].nunique() == 11
        rate = wrong.sum() / n.sum()
        bad += [f"{name}: {rate:.4f}"] if outside(rate, (0.044, 0.056)) else []
        # Seeds that differ by more than chance would say that the draws are not what they should be.
        p = chi2_contingency([wrong, n - wrong]).pvalue
        bad += [f"{name}: the seeds differ, p = {p:.5f}"] if p < 0.001 else []
    tried("R20", "rates of 110,000 sets, eleven seeds together", rows["test"].nunique(), bad)


@pytest.mark.parametrize(
    ("path", "rate", "ends", "claims"),
    [
        (ENCODING, "rate", "band", lambda row: row["band"]),
        (CLUSTER, "rate", "at most", lambda row: row["kept"]),
        (MAPS, "family-wise rate", "band", lambda row: row["band"]),
        (FUNCTIONS, "rate", "band", lambda row: row["band"]),
    ],
    ids=["encoding", "clusters", "searchlights", "functions"],
)
def test_rates_of_series_clusters_maps_and_functions_are_in_their_bands(path, rate, ends, claims, tried):
    rows = [row for row in table(path).to_dict("records") if claims(row)]
    bad = []
    for row in rows:
        text = str(row[ends])
        limits = band(text if " " in text else f"at most {text}")
        bad += [f"{row['test']}: {row[rate]}"] if outside(row[rate], limits) else []
        assert row["kept"] == ("no" if outside(row[rate], limits) else "yes")
        assert int(row["sets"]) == 10_000
    tried("R20", f"committed rates of {path.parent.name}/{path.name}", len(rows), bad)


def test_the_pages_say_what_the_tables_say():
    page = (RATES.parent / "index.md").read_text(encoding="utf-8")
    out = sum(row["kept"] == "no" for row in table(RATES).to_dict("records"))
    assert f"{out} of {len(table(RATES))} rates leave their band" in page
    for path in (RATES, SEEDS):
        for row in table(path).to_dict("records"):
            assert f"| {row['test']} | {row['sets']} | {float(row['rate']):.4f} |" in page
    numbers = [pd.read_csv(path, sep="\t") for path in (RATES, SEEDS)]
    assert calibration().table(calibration().over_seeds(*numbers).drop(columns="null")) in page


def calibration():
    sys.path.insert(0, str(ROOT))
    from benchmarks import calibration

    return calibration


def measured(name, n_sets):
    sys.path.insert(0, str(ROOT))
    from benchmarks import (
        calibration,
        cluster_calibration,
        encoding_calibration,
        p_values,
        searchlight_calibration,
    )

    functions = {
        "rsa.infer": (calibration.null_rates, "rate", "band"),
        "encoding.score_tests": (encoding_calibration.null_rates, "rate", "band"),
        "stats.cluster_test": (cluster_calibration.rates, "rate", "at most"),
        "searchlight tests": (searchlight_calibration.null_rates, "family-wise rate", "band"),
        "public functions": (p_values.measure, "rate", "band"),
    }
    function, rate, ends = functions[name]
    return function(n_sets, seed=7), rate, ends


@pytest.mark.long
@pytest.mark.parametrize(
    "name",
    ["rsa.infer", "encoding.score_tests", "stats.cluster_test", "searchlight tests", "public functions"],
)
def test_rates_measured_anew_do_not_contradict_their_bands(name, tried):
    """A rate of .05 of 2,000 sets has a standard error of .005: what a 99.9 % interval excludes fails."""
    rows, rate, ends = measured(name, SETS)
    rows = [row for row in rows.fillna("").to_dict("records") if row["kept"] != ""]
    bad = []
    for row in rows:
        text = str(row[ends])
        low, high = band(text if " " in text else f"at most {text}")
        n = int(row["sets"])
        interval = binomtest(round(float(row[rate]) * n), n).proportion_ci(0.999)
        if interval.high < low or interval.low > high:
            bad.append(f"{row['test']}: {float(row[rate]):.4f}")
    tried("R20", f"null sets of {name}, measured anew", SETS * len(rows), bad)

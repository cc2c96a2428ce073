"""False-positive rates and power of the inference on RDMs.

``python -m benchmarks.calibration`` makes null data sets (10,000 where no number is given; seed 20240601,
chosen before any run), tests each at .05 and prints the rates with exact binomial intervals (Clopper &
Pearson 1934); ``--power`` compares the power with rsatoolbox's at equal draws on 200 sets with an effect.
Without a number the table is kept in ``docs/calibration`` and the page and its figure are made anew;
``--seeds`` repeats the tests over subjects with ten further seeds; ``--page`` only makes the page; ``--out``
writes the table elsewhere.

Null data sets, 8 subjects, 14 stimuli, two models:

- ``subject``: every subject's RDM is of patterns of its own, unrelated to the models, so that scores are
  independent over subjects with mean 0. Tested: t test over subjects, bootstrap over subjects, permutation.
- ``stimulus``: subjects share the patterns of the stimuli, unrelated to the models: over new stimuli the
  models score 0 in the mean, over new subjects they do not. Tested: permutation of stimuli, and the bootstrap
  over both.
"""

from __future__ import annotations

import argparse
import warnings
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from scipy.stats import binomtest, chi2_contingency, ttest_1samp
from threadpoolctl import threadpool_limits
from tqdm.auto import tqdm

from neuroalign import plotting
from neuroalign.io import write_table, write_text
from neuroalign.plotting import COLOURS, GREY
from neuroalign.rsa import compare
from neuroalign.rsa.inference import infer
from neuroalign.schema import make_rdm
from neuroalign.seeds import generator
from neuroalign.stats import p_value, sign_flips

__all__ = ["null_rates", "over_seeds", "power", "seed_rates", "table", "write_page"]

FOLDER = Path(__file__).parents[1] / "docs" / "calibration"

SEED = 20240601
N_SEEDS = 10
N_SETS, N_POWER = 10_000, 200
N_SUBJECTS, N_STIMULI, N_UNITS = 8, 14, 20
N_DRAWS, N_PERMUTATIONS = 199, 199
# Share of the data's patterns in model 0, chosen on other seeds for a power of about three in four.
EFFECT = 1.0
METHOD, ALPHA = "pearson", 0.05
# Exact tests must keep to this band, bootstrap tests to its upper end; they may be conservative.
EXACT, AT_MOST = (0.044, 0.056), 0.060
# Test, its null data sets, and whether it is exact.
TESTS = {
    ("subject", "t test against 0"): True,
    ("subject", "t test, pairwise"): True,
    ("subject", "sign flips against 0"): True,
    ("subject", "sign flips, pairwise"): True,
    ("subject", "sign flips, max over models"): True,
    ("subject", "permutation of stimuli"): True,
    ("subject", "permutation of stimuli, max over models"): True,
    ("subject", "bootstrap over subjects: t against 0"): False,
    ("subject", "bootstrap over subjects: t pairwise"): False,
    ("subject", "bootstrap over subjects: draws against 0"): False,
    ("subject", "bootstrap over subjects: draws pairwise"): False,
    ("subject", "bootstrap over subjects: draws, max over models"): False,
    ("stimulus", "permutation of stimuli"): True,
    ("stimulus", "permutation of stimuli, max over models"): True,
    ("stimulus", "bootstrap over both: t against 0"): False,
    ("stimulus", "bootstrap over both: t pairwise"): False,
    ("stimulus", "bootstrap over both: draws against 0"): False,
    ("stimulus", "bootstrap over both: draws pairwise"): False,
    ("stimulus", "bootstrap over both: draws, max over models"): False,
}


def null_rates(n_sets: int = N_SETS, *, seed: int = SEED) -> pd.DataFrame:
    """Return how often each test refuses a true null, with its 95 % binomial interval."""
    wrong: dict[tuple[str, str], int] = defaultdict(int)
    for kind in ("subject", "stimulus"):
        for i in tqdm(range(n_sets), desc=f"null sets, {kind}", unit="set", mininterval=2):
            rng = generator(seed, kind, i)
            models, data = _null_set(kind, rng)
            for name, p in _p_values(kind, models, data, rng):
                wrong[kind, name] += bool(p <= ALPHA)
    return pd.DataFrame([_rate(key, wrong[key], n_sets) for key in TESTS])


def power(n_sets: int = N_POWER, *, seed: int = SEED) -> pd.DataFrame:
    """Return how often an effect is found by us and by rsatoolbox, at equal numbers of draws."""
    found: dict[str, int] = defaultdict(int)
    for i in tqdm(range(n_sets), desc="sets with an effect", unit="set", mininterval=2):
        rng = generator(seed, "power", i)
        models, data = _null_set("stimulus", rng, related=EFFECT)
        ours = infer(models, data, method=METHOD, bootstrap="both", n=N_DRAWS, rng=rng)
        found["neuroalign, t against 0"] += bool(ours["zero_p"][0] <= ALPHA)
        found["neuroalign, draws against 0"] += bool(ours["zero_p_bootstrap"][0] <= ALPHA)
        found["neuroalign, t pairwise"] += bool(ours["pairwise_p"][0, 1] <= ALPHA)
        zero, zero_draws, pair = _of_rsatoolbox(models, data, seed + i)
        found["rsatoolbox, t against 0"] += bool(zero <= ALPHA)
        found["rsatoolbox, draws against 0"] += bool(zero_draws <= ALPHA)
        found["rsatoolbox, t pairwise"] += bool(pair <= ALPHA)
    rows = []
    for name, count in sorted(found.items()):
        interval = binomtest(count, n_sets).proportion_ci()
        rows.append(
            {
                "test": name,
                "sets": n_sets,
                "power": count / n_sets,
                "low": interval.low,
                "high": interval.high,
            }
        )
    return pd.DataFrame(rows)


def seed_rates(n_seeds: int = N_SEEDS, n_sets: int = N_SETS) -> pd.DataFrame:
    """Return the rates of the tests over subjects for the seeds that follow ``SEED``, one row each.

    One set of null data can be an unlucky one; this says how much rates vary from seed to seed. The p values
    are scipy's, which those of ``infer`` equal.
    """
    rows = []
    for seed in tqdm(range(SEED + 1, SEED + 1 + n_seeds), desc="seeds", unit="seed"):
        scores = []
        for i in range(n_sets):
            models, data = _null_set("subject", generator(seed, "subject", i))
            scores.append(compare(models, data, METHOD).values)
        first, second = np.stack(scores, axis=1)
        apart = first - second
        p = {
            "t test against 0": ttest_1samp(first, 0, axis=1, alternative="greater").pvalue,
            "t test, pairwise": ttest_1samp(apart, 0, axis=1).pvalue,
            "sign flips against 0": p_value(first.mean(axis=1), sign_flips(first.T)),
            "sign flips, pairwise": p_value(apart.mean(axis=1), sign_flips(apart.T), tail="two-sided"),
        }
        rows += [
            _rate(("subject", name), int((found <= ALPHA).sum()), n_sets) | {"seed": seed}
            for name, found in p.items()
        ]
    return pd.DataFrame(rows)


def over_seeds(rates: pd.DataFrame, seeds: pd.DataFrame) -> pd.DataFrame:
    """Return the rates of the tests over subjects on the sets of all seeds together, the first one's too.

    ``apart`` is the p value of the hypothesis that the seeds have one rate (chi-squared test).
    """
    rows = []
    for name, further in seeds.groupby("test", sort=False):
        first = rates[(rates["null"] == "subject") & (rates["test"] == name)]
        every = pd.concat([first, further])
        wrong = (every["rate"] * every["sets"]).round().astype(int)
        right = every["sets"] - wrong
        row = _rate(("subject", str(name)), int(wrong.sum()), int(every["sets"].sum()))
        rows.append(row | {"apart": chi2_contingency([wrong, right]).pvalue})
    return pd.DataFrame(rows)


def table(rows: pd.DataFrame) -> str:
    """Return a Markdown table."""
    cells = [rows.columns.tolist(), ["---"] * rows.shape[1]]
    cells += [
        [f"{x:.4f}" if isinstance(x, float) else str(x) for x in row] for row in rows.itertuples(index=False)
    ]
    return "".join(f"| {' | '.join(row)} |\n" for row in cells)


def _null_set(kind: str, rng: np.random.Generator, related: float = 0.0) -> tuple[xr.DataArray, xr.DataArray]:
    """Return two models and the subjects' RDMs; with ``related``, model 0 shares that much with the data."""
    shared = rng.standard_normal((N_STIMULI, N_UNITS))
    own = rng.standard_normal((N_SUBJECTS, N_STIMULI, N_UNITS))
    patterns = own if kind == "subject" else shared + own
    features = rng.standard_normal((2, N_STIMULI, N_UNITS))
    features[0] = features[0] + related * shared
    return _rdms(features, "model"), _rdms(patterns, "subject")


def _rdms(patterns: np.ndarray, dim: str) -> xr.DataArray:
    labels = np.arange(N_STIMULI)
    i, j = np.triu_indices(N_STIMULI, 1)
    values = ((patterns[:, i] - patterns[:, j]) ** 2).sum(axis=2)
    return make_rdm(values, labels, dims=[dim], coords={dim: np.arange(len(patterns))})


def _p_values(
    kind: str, models: xr.DataArray, data: xr.DataArray, rng: np.random.Generator
) -> Iterator[tuple[str, float]]:
    """Yield the tests of one set: against 0 of model 0, of the two models, and the smallest over models."""
    plain = infer(models, data, method=METHOD, bootstrap=None, n_permutations=N_PERMUTATIONS, rng=rng)
    yield "permutation of stimuli", float(plain["permutation_p"][0])
    yield "permutation of stimuli, max over models", float(plain["permutation_p_max"].min())
    if kind == "subject":
        yield "t test against 0", float(plain["zero_p"][0])
        yield "t test, pairwise", float(plain["pairwise_p"][0, 1])
        yield "sign flips against 0", float(plain["zero_p_flip"][0])
        yield "sign flips, pairwise", float(plain["pairwise_p_flip"][0, 1])
        yield "sign flips, max over models", float(plain["zero_p_flip_max"].min())
    bootstrap = "subject" if kind == "subject" else "both"
    name = f"bootstrap over {'subjects' if kind == 'subject' else 'both'}"
    found = infer(models, data, method=METHOD, bootstrap=bootstrap, n=N_DRAWS, rng=rng)
    yield f"{name}: t against 0", float(found["zero_p"][0])
    yield f"{name}: t pairwise", float(found["pairwise_p"][0, 1])
    yield f"{name}: draws against 0", float(found["zero_p_bootstrap"][0])
    yield f"{name}: draws pairwise", float(found["pairwise_p_bootstrap"][0, 1])
    yield f"{name}: draws, max over models", float(found["zero_p_max"].min())


def _rate(key: tuple[str, str], count: int, n_sets: int) -> dict[str, object]:
    kind, name = key
    interval = binomtest(count, n_sets).proportion_ci()
    rate, exact = count / n_sets, TESTS[key]
    kept = EXACT[0] <= rate <= EXACT[1] if exact else rate <= AT_MOST
    band = f"{EXACT[0]:.3f} to {EXACT[1]:.3f}" if exact else f"at most {AT_MOST:.3f}"
    return {
        "null": kind,
        "test": name,
        "sets": n_sets,
        "rate": rate,
        "low": interval.low,
        "high": interval.high,
        "band": band,
        "kept": "yes" if kept else "no",
    }


def _of_rsatoolbox(models: xr.DataArray, data: xr.DataArray, seed: int) -> tuple[float, float, float]:
    from rsatoolbox.inference import evaluate as peer
    from rsatoolbox.model import ModelFixed
    from rsatoolbox.rdm import RDMs

    np.random.seed(seed % 2**32)  # noqa: NPY002  (the peer draws from the global generator)
    each = [ModelFixed(str(i), row) for i, row in enumerate(models.values)]
    with mock.patch.object(peer.tqdm, "trange", range), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = peer.eval_dual_bootstrap(each, RDMs(data.values), method="corr", N=N_DRAWS)
    draws = found.evaluations[:, 0, 0, 0, 0]
    percentile = ((draws <= 0).sum() + 1) / len(draws)
    return float(found.test_zero()[0]), float(percentile), float(found.test_pairwise()[0, 1])


def write_page(folder: Path = FOLDER) -> None:
    """Write the page and its figure from the tables that stand in the folder."""
    rates = pd.read_csv(folder / "rates.tsv", sep="\t")
    powers = pd.read_csv(folder / "power.tsv", sep="\t")
    seeds = pd.read_csv(folder / "seeds.tsv", sep="\t")
    pooled = over_seeds(rates, seeds)
    every = f"{pooled['sets'].max():,}"
    outside = rates[rates["kept"] == "no"]
    verdict = (
        f"{len(outside)} of {len(rates)} rates leave their band: "
        f"{', '.join(f'{t} {r:.4f}' for t, r in zip(outside['test'], outside['rate'], strict=True))}. "
        if len(outside)
        else "All rates are in their band. "
    )
    with plotting.style():
        figure, axes = plotting.figure(1, 2, height=95, width_ratios=[1.3, 1])
        _draw_rates(axes[0, 0], rates)
        _draw_power(axes[0, 1], powers)
        plotting.panel_letters(axes[0])
        figure.savefig(folder / "calibration.png", dpi=200)
        figure.savefig(folder / "calibration.pdf")
    said = __doc__.split("Null data sets, ")[1].strip() if __doc__ else ""
    write_text(
        "# Calibration\n\n"
        "How often the tests of `rsa.infer` refuse a true null at .05, and how often they find an effect, "
        "beside rsatoolbox 0.3.2 at equal draws. Written by `make calibrate`.\n\n"
        f"Null data sets (SIMULATED, seed {SEED}, chosen before any run), {said}\n\n"
        "![False-positive rates and power](calibration.png)\n\n"
        "a, false-positive rates with exact 95 % binomial intervals; grey, the band for exact tests; dashed, "
        "the limit for bootstrap tests, which may be conservative. b, power with its interval.\n\n"
        f"{verdict}The t tests are exact for normal scores only, sign flips for any that are symmetric.\n\n"
        f"## False positives\n\n{table(rates)}\n"
        f"## Tests over subjects, all seeds together\n\n"
        f"The band's half width is 2.8 standard errors of a rate of .05 of {N_SETS:,} sets, so that one seed "
        f"can leave it by chance: the tests over subjects were repeated with {seeds['seed'].nunique()} "
        f"further seeds (below), and what is claimed of them is their rate on all {every} sets, those of the "
        "first seed among them. Sign flips take all 256 patterns of 8 subjects, so that they test at "
        f"12 / 256 = .0469 where .05 is asked for: of {N_SETS:,} sets such a test falls short of .044 once "
        "in twelve times. `apart`: p value for one rate in all seeds (chi-squared test).\n\n"
        f"{table(pooled[['test', 'sets', 'rate', 'low', 'high', 'band', 'kept', 'apart']])}\n"
        f"## Power\n\n{table(powers)}\n"
        f"## Tests over subjects with other seeds\n\n"
        f"{table(seeds[['seed', 'test', 'sets', 'rate', 'low', 'high']])}",
        folder / "index.md",
    )


def _draw_rates(ax: Axes, rates: pd.DataFrame) -> None:
    y = np.arange(len(rates))[::-1]
    exact = [TESTS[key] for key in zip(rates["null"], rates["test"], strict=True)]
    colour = np.where(exact, COLOURS["blue"], COLOURS["orange"])
    ax.axvspan(*EXACT, color=GREY, alpha=0.3, linewidth=0)
    ax.axvline(AT_MOST, color="black", linewidth=0.6, linestyle="--")
    ax.hlines(y, rates["low"], rates["high"], color=colour, linewidth=1)
    ax.scatter(rates["rate"], y, color=colour, s=9, zorder=3)
    ax.set_yticks(y, [f"{test} ({null})" for null, test in zip(rates["null"], rates["test"], strict=True)])
    for name, shade in (("exact (t: if normal)", "blue"), ("bootstrap", "orange")):
        ax.scatter([], [], color=COLOURS[shade], s=9, label=name)
    ax.legend(loc="center left")
    ax.set(xlabel="false-positive rate at .05", xlim=(0, None), title="True nulls")


def _draw_power(ax: Axes, powers: pd.DataFrame) -> None:
    y = np.arange(len(powers))[::-1]
    ours = powers["test"].str.startswith("neuroalign")
    colour = np.where(ours, COLOURS["blue"], GREY)
    ax.hlines(y, powers["low"], powers["high"], color=colour, linewidth=1)
    ax.scatter(powers["power"], y, color=colour, s=9, zorder=3)
    ax.set_yticks(y, powers["test"])
    ax.set(xlabel="power", xlim=(0, 1), title="An effect")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.calibration", description=__doc__)
    parser.add_argument("n", nargs="?", type=int, help="data sets")
    parser.add_argument("--power", action="store_true", help="power beside rsatoolbox's instead")
    parser.add_argument(
        "--seeds", action="store_true", help="tests over subjects with ten further seeds instead"
    )
    parser.add_argument("--page", action="store_true", help="only the page and figure, from the tables")
    parser.add_argument("--out", type=Path, help="a file for the table (.md or .tsv)")
    options = parser.parse_args()
    if not options.page:
        with threadpool_limits(1):
            if options.seeds:
                rows = seed_rates(n_sets=options.n or N_SETS)
            else:
                rows = power(options.n or N_POWER) if options.power else null_rates(options.n or N_SETS)
        print(table(rows))
        if options.out:
            tsv = options.out.suffix == ".tsv"
            write_text(rows.to_csv(sep="\t", index=False) if tsv else table(rows), options.out)
        elif options.n is None:
            write_table(rows, FOLDER / ("power.tsv" if options.power else "rates.tsv"))
    if options.page or (options.n is None and options.out is None):
        write_page()


if __name__ == "__main__":
    main()

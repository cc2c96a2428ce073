from __future__ import annotations

import numpy as np
import xarray as xr

from neuroalign import stats

from .rates import Null

# Two-sided p are even multiples of 1 / (1 + draws): .05 is one of 39 draws, and none of 99.
DRAWS, TWO_SIDED = 99, 39
TAILS = ("greater", "less", "two-sided")
SPREADS = np.array([0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 3.0])
TIMES = np.arange(0.0, 0.6, 0.02)
SMOOTH = np.hanning(9)[1:-1] / np.linalg.norm(np.hanning(9))
CORRELATED = 0.5 + 0.5 * np.eye(3)

DEPENDENT = "a bound over tests that depend on each other"
WITH_GAPS = "1,024 patterns or, where a score is missing, half of them, of which .05 is no multiple"
FROM_DRAWS = "an approximation from 99 draws of 8 subjects"


def _scores(n_subjects: int, n_places: int, rng: np.random.Generator) -> np.ndarray:
    """Return scores (n_subjects, n_places), symmetric about 0, of subjects whose spread differs."""
    noise = rng.standard_t(4, (n_subjects, n_places)) + rng.standard_normal((n_subjects, 1))
    return noise * rng.choice(SPREADS, (n_subjects, 1)) * np.linspace(0.2, 2.0, n_places)


def _map(values: np.ndarray) -> xr.DataArray:
    return xr.DataArray(values, dims=("subject", "neuroid"), coords={"subject": np.arange(len(values))})


def _map_tests(rng: np.random.Generator) -> dict[str, float]:
    few, many = 0.5 + _scores(10, 5, rng), 0.5 + _scores(14, 5, rng)
    few[rng.random(few.shape) < 0.05] = np.nan
    one = stats.map_tests(_map(few), chance=0.5)
    two = stats.map_tests(_map(few), chance=0.5, statistic="mean", tail="two-sided")
    drawn = stats.map_tests(_map(many), chance=0.5, tail="less", n=DRAWS, rng=rng)
    return {
        "p, all patterns": float(one["p"][0]),
        "p_max, all patterns, smallest": float(one["p_max"].min()),
        "p_fdr, all patterns, smallest": float(one["p_fdr"].min()),
        "p, all patterns, two-sided": float(two["p"][0]),
        "p_max of means, all patterns, two-sided, smallest": float(two["p_max"].min()),
        "p, drawn, less": float(drawn["p"][0]),
        "p_max, drawn, less, smallest": float(drawn["p_max"].min()),
        "p_fdr, drawn, less, smallest": float(drawn["p_fdr"].min()),
    }


def _block_tests(rng: np.random.Generator) -> dict[str, float]:
    # Three places in two blocks, that share part of what they measure, and two maps.
    y = rng.standard_exponential((12, 2))
    places = (rng.standard_normal((12, 3)) + rng.standard_normal((12, 1))) * [1.0, 2.0, 4.0] + 5.0
    blocks = [lambda order, x=x: x.T @ y[order] for x in (places[:, :2], places[:, 2:])]
    found = {}
    for tail in TAILS:
        n = TWO_SIDED if tail == "two-sided" else DRAWS
        tests = stats.block_tests(blocks, 12, n=n, permute=_order, rng=rng, tail=tail)
        found[f"p, {tail}"] = float(tests.p[0, 0])
        found[f"p_max, {tail}, smallest"] = float(tests.p_max[:, 0].min())
    return found


def _order(rng: np.random.Generator) -> np.ndarray:
    return stats.shuffle(12, rng)


def _mean_tests(rng: np.random.Generator) -> dict[str, float]:
    return _of_means(rng.multivariate_normal(np.zeros(3), CORRELATED, 8).T * [[0.1], [0.5], [2.0]], rng)


def _mean_tests_missing(rng: np.random.Generator) -> dict[str, float]:
    scores = rng.multivariate_normal(np.zeros(3), CORRELATED, 8).T
    for model in scores:
        model[rng.permutation(8)[: rng.integers(4)]] = np.nan
    return _of_means(scores, rng)


def _of_means(scores: np.ndarray, rng: np.random.Generator) -> dict[str, float]:
    names = {"model": list("abc"), "subject": np.arange(scores.shape[1])}
    array = xr.DataArray(scores, dims=("model", "subject"), coords=names)
    found = {}
    for tail in ("greater", "two-sided"):
        tests = stats.mean_tests(array, n=DRAWS, rng=rng, tail=tail)
        found |= {f"{name}, {tail}": float(tests[name][0]) for name in ("p", "p_bootstrap")}
        smallest = ("p_fdr", "p_holm", "p_max")
        found |= {f"{name}, {tail}, smallest": float(tests[name].min()) for name in smallest}
    return found


def _latency_difference(rng: np.random.Generator) -> dict[str, float]:
    one, two = _waves(12, rng)
    found = {
        kind: stats.latency_difference(one, two, kind=kind)
        for kind in ("peak", "fractional-area", "fractional-peak")
    }
    found["onset"] = stats.latency_difference(one, two, kind="onset", threshold=0.4)
    return {f"p, {kind}": float(tests["p"]) for kind, tests in found.items()}


def _waves(n_subjects: int, rng: np.random.Generator) -> list[xr.DataArray]:
    """Return waves of two conditions: each subject's own latency and height, and smooth noise."""
    own = 0.3 + 0.03 * rng.standard_normal((n_subjects, 1))
    delay = own + 0.02 * rng.standard_normal((2, n_subjects, 1))
    height = rng.uniform(0.7, 1.5, (n_subjects, 1))
    white = rng.standard_normal((2, n_subjects, len(TIMES) + len(SMOOTH) - 1))
    noise = np.lib.stride_tricks.sliding_window_view(white, len(SMOOTH), axis=2) @ SMOOTH
    waves = height * np.exp(-(((TIMES - delay) / 0.1) ** 2)) + 0.15 * noise
    coords = {"subject": np.arange(n_subjects), "time": TIMES}
    return [xr.DataArray(x, dims=("subject", "time"), coords=coords) for x in waves]


def _sign_flips(rng: np.random.Generator) -> dict[str, float]:
    found = {}
    for name, values, n in (
        ("all patterns", _scores(10, 4, rng), None),
        ("drawn", _scores(14, 4, rng), DRAWS),
    ):
        null, observed = stats.sign_flips(values, n=n, rng=rng), values.mean(axis=0)
        for tail in TAILS[:2] if n else TAILS:
            found[f"p_value, {name}, {tail}"] = float(stats.p_value(observed, null, tail=tail)[0])
        found[f"max_p, {name}, smallest"] = float(stats.max_p(observed, null).min())
        both = stats.max_p(observed, null, two_sided=True)
        found[f"max_p, {name}, two-sided, smallest"] = float(both.min())
    return found


def _permutation(rng: np.random.Generator) -> dict[str, float]:
    x, y = rng.standard_exponential(12) + 3.0, rng.standard_t(3, (12, 3)) * [1.0, 2.0, 4.0] - 2.0

    def statistic(order: np.ndarray) -> np.ndarray:
        return x[order] @ y

    null, observed = stats.permutation(statistic, DRAWS, permute=_order, rng=rng), statistic(np.arange(12))
    p = stats.p_value(observed, null)
    few = stats.p_value(observed, null[:TWO_SIDED], tail="two-sided")
    return {
        "p_value, greater": float(p[0]),
        "p_value, less": float(stats.p_value(observed, null, tail="less")[0]),
        "p_value, two-sided": float(few[0]),
        "max_p, smallest": float(stats.max_p(observed, null).min()),
        "max_p, two-sided, smallest": float(stats.max_p(observed, null, two_sided=True).min()),
        "fdr, smallest": float(stats.fdr(p).min()),
        "holm, smallest": float(stats.holm(p).min()),
    }


OF_MEANS = {
    **{f"p_bootstrap, {tail}": FROM_DRAWS for tail in ("greater", "two-sided")},
    **{f"p_max, {tail}, smallest": FROM_DRAWS for tail in ("greater", "two-sided")},
    **{f"p_{name}, {tail}, smallest": DEPENDENT for name in ("fdr", "holm") for tail in TAILS},
}

NULLS: list[Null] = [
    Null(
        "stats.map_tests",
        "scores symmetric about chance, heavy tails, subjects of unlike spread, some missing",
        _map_tests,
        {
            "p, all patterns, two-sided": WITH_GAPS,
            "p_max of means, all patterns, two-sided, smallest": WITH_GAPS,
            "p_fdr, all patterns, smallest": DEPENDENT,
            "p_fdr, drawn, less, smallest": f"{DEPENDENT}; with 99 draws p is a multiple of .01",
        },
    ),
    Null("stats.block_tests", "three places in two blocks, items unrelated to two maps", _block_tests),
    Null(
        "stats.mean_tests", "normal scores of 8 subjects, three models that correlate", _mean_tests, OF_MEANS
    ),
    Null(
        "stats.mean_tests, scores missing",
        "the same, each model without the scores of up to 3 of the 8 subjects",
        _mean_tests_missing,
        OF_MEANS,
    ),
    Null(
        "stats.latency_difference",
        "two conditions whose waves have one distribution of latencies, 12 subjects",
        _latency_difference,
    ),
    Null("stats.sign_flips", "symmetric scores, heavy tails, subjects of unlike spread", _sign_flips),
    Null(
        "stats.permutation",
        "exchangeable rows unrelated to three columns",
        _permutation,
        {"fdr, smallest": DEPENDENT, "holm, smallest": DEPENDENT},
    ),
]

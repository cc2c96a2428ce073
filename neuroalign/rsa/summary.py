"""Variances, intervals and tests from the draws of an inference."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from .. import stats
from ..seeds import generator

__all__ = ["RECORDED", "summarised"]

# What was drawn and what came of it; everything else follows from it and from the estimates.
RECORDED = (
    "draw_estimate",
    "draw_ceiling",
    "draw_subject",
    "draw_stimulus",
    "draw_redrawn",
    "draw_subject_order",
    "draw_stimulus_order",
    "permutation_estimate",
)
# Patterns of signs drawn where there are too many to list; p cannot go below 1 / (1 + N_FLIPS).
N_FLIPS = 9_999
TESTS = ("t", "p", "p_fdr", "p_holm", "p_bootstrap", "p_max")


def summarised(found: xr.Dataset) -> xr.Dataset:
    """Return a Dataset of estimates and draws with variances, intervals and tests added; see ``infer``."""
    found = found.copy()
    if "draw_estimate" in found:
        found = _with_tests(found, found["draw_estimate"].values, found.get("draw_ceiling"))
        undefined = np.isnan(found["draw_estimate"].values).any(axis=(1, 2)).sum(axis=0)
        found["n_undefined_draws"] = ("model", undefined)
        found.attrs["n_draws"] = found.sizes["draw"]
        found.attrs["n_redrawn"] = int(found["draw_redrawn"].sum())
    else:
        found = _with_flips(_with_tests(found, None, None))
    if "permutation_estimate" in found:
        found = _with_permutations(found)
    return found


def _with_tests(found: xr.Dataset, draws: np.ndarray | None, ceilings: xr.DataArray | None) -> xr.Dataset:
    attrs = found.attrs
    estimate = found["estimate"].values
    tail = attrs["alternative"]
    has_score = ~np.isnan(found["score"].values)
    one = _tested(found, estimate, _values(found, draws), has_score, tail)
    variables: dict[str, Any] = {
        "variance": ("model", one[0]),
        "interval": (("bound", "model"), np.stack([one[1].lower, one[1].upper])),
        **{f"zero_{name}": ("model", getattr(one[1], name)) for name in TESTS},
    }
    if draws is not None:
        ends = np.stack([one[1].lower_bootstrap, one[1].upper_bootstrap])
        variables["interval_bootstrap"] = (("bound", "model"), ends)
    if len(estimate) > 1:
        variables.update(_pairwise(found, estimate, draws, has_score))
        found = found.assign_coords(model_b=("model_b", found["model"].values))
    if ceilings is not None or "subject_ceiling" in found:
        variables.update(_against_ceiling(found, estimate, draws, ceilings, has_score))
        found = found.assign_coords(end=["lower", "upper"])
    if draws is None:
        variables = {
            name: value for name, value in variables.items() if not name.endswith(("_bootstrap", "_max"))
        }
    found = found.assign(variables)
    found.attrs["dof"] = float(_dof(found, np.ones((1, attrs["n_subjects"]), dtype=bool), draws)[0])
    return found


def _pairwise(
    found: xr.Dataset, estimate: np.ndarray, draws: np.ndarray | None, has_score: np.ndarray
) -> dict[str, tuple[Any, ...]]:
    k = len(estimate)
    a, b = np.triu_indices(k, 1)
    values = _values(found, draws)
    variance, tests = _tested(
        found,
        estimate[a] - estimate[b],
        values[..., a] - values[..., b],
        has_score[a] & has_score[b],
        "two-sided",
    )
    dims = ("model", "model_b")

    spreads = {
        f"pairwise_{name}": (dims, _square(getattr(tests, name), k, -1.0 if name == "t" else 1.0))
        for name in TESTS
    }
    return {"variance_difference": (dims, _square(variance, k)), **spreads}


def _against_ceiling(
    found: xr.Dataset,
    estimate: np.ndarray,
    draws: np.ndarray | None,
    ceilings: xr.DataArray | None,
    has_score: np.ndarray,
) -> dict[str, tuple[Any, ...]]:
    values = _values(found, draws)
    bounds = found["subject_ceiling"].values.T if ceilings is None else ceilings.values
    apart = values[..., :, None] - bounds[..., None, :]
    variance = np.stack([_variance(found, apart[..., i], has_score) for i in range(2)], axis=1)
    ceiling = found["noise_ceiling"].values
    kept = apart[:, :, 0, :, 0].mean(axis=1) if draws is not None else None
    level, whole = found.attrs["level"], np.ones((2, has_score.shape[1]), dtype=bool)
    dof = _dof(found, has_score, draws)
    tests = stats.resampled_tests(estimate - ceiling[0], variance[:, 0], kept, dof=dof, level=level)
    spread, dof = _variance(found, bounds, whole), _dof(found, whole, draws)
    own = stats.resampled_tests(ceiling, spread, None, dof=dof, level=level)
    return {
        "variance_ceiling": (("model", "bound"), variance),
        "ceiling_interval": (("end", "bound"), np.stack([own.lower, own.upper])),
        **{f"ceiling_{name}": ("model", getattr(tests, name)) for name in TESTS},
    }


def _tested(
    found: xr.Dataset, estimate: np.ndarray, values: np.ndarray, has_score: np.ndarray, tail: str
) -> tuple[np.ndarray, stats.ResampledTests]:
    """Return variances and tests of k estimates from draws (draw, repeat, kind, k) or subjects by subject.

    ``has_score`` (k, n_subjects) says which subjects each estimate is of.
    """
    variance = _variance(found, values, has_score)
    kept = values[:, :, 0].mean(axis=1) if values.ndim == 4 else None
    dof = _dof(found, has_score, kept)
    return variance, stats.resampled_tests(
        estimate, variance, kept, dof=dof, tail=tail, level=found.attrs["level"]
    )


def _values(found: xr.Dataset, draws: np.ndarray | None) -> np.ndarray:
    return found["score"].values.T if draws is None else draws


def _variance(found: xr.Dataset, values: np.ndarray, has_score: np.ndarray) -> np.ndarray:
    """Return the corrected variances (k,) from draws (draw, repeat, kind, k) or subjects (subject, k)."""
    # One subject has no variance over subjects; it is NaN or 0 whatever it is corrected by.
    n_subjects, n_stimuli = np.maximum(has_score.sum(axis=1), 2), found.attrs["n_stimuli"]
    if values.ndim == 2:
        return _over_draws(values) / np.maximum((~np.isnan(values)).sum(axis=0), 1)
    own = _over_draws(values.mean(axis=1))
    n_repeats = values.shape[1]
    if n_repeats > 1:
        # Assignments to folds add variance; from that of 1 and of n repeats follows that of infinitely many.
        single = np.mean([_over_draws(values[:, i]) for i in range(n_repeats)], axis=0)
        own = (n_repeats * own - single) / (n_repeats - 1)
    if found.attrs["bootstrap"] == "both":
        both, subject, stimulus = own
        return stats.dual_variance(both, subject, stimulus, n_subjects, n_stimuli)
    items = n_subjects if found.attrs["bootstrap"] == "subject" else n_stimuli
    return own[0] * items / (items - 1)


def _over_draws(values: np.ndarray) -> np.ndarray:
    """Return the variance over the first dim of what is not NaN; NaN below two values."""
    known = ~np.isnan(values)
    count = known.sum(axis=0)
    mean = np.where(known, values, 0.0).sum(axis=0) / np.maximum(count, 1)
    squares = (np.where(known, values - mean, 0.0) ** 2).sum(axis=0)
    return np.where(count > 1, squares / np.maximum(count - 1, 1), np.nan)


def _with_permutations(found: xr.Dataset) -> xr.Dataset:
    null, observed = found["permutation_estimate"].values, found["estimate"].values
    tail = found.attrs["alternative"]
    p = stats.p_value(observed, null, tail=tail)
    found["permutation_p"] = ("model", p)
    found["permutation_p_fdr"] = ("model", stats.fdr(p))
    found["permutation_p_max"] = ("model", _largest(observed, null, tail))
    found.attrs["n_permutations"] = len(null)
    return found


def _dof(found: xr.Dataset, has_score: np.ndarray, draws: np.ndarray | None) -> np.ndarray:
    """Return the smallest number of sampled items less one (k,), fewer where the variance is of draws."""
    n_subjects = has_score.sum(axis=1)
    n_stimuli = np.full_like(n_subjects, found.attrs["n_stimuli"])
    sampled = {"both": np.minimum(n_subjects, n_stimuli), "stimulus": n_stimuli}
    dof = np.maximum(sampled.get(found.attrs["bootstrap"], n_subjects) - 1, 1)
    return dof if draws is None else stats.effective_dof(dof, len(draws))


def _with_flips(found: xr.Dataset) -> xr.Dataset:
    """Return a Dataset with exact tests of the subjects' own scores, where signs can be flipped."""
    attrs = found.attrs
    if attrs["n_subjects"] > stats.ENUMERATED and attrs["seed"] < 0:
        return found
    scores, tail = found["score"].values.T, attrs["alternative"]
    k = scores.shape[1]
    found = found.assign(
        {f"zero_{name}": ("model", p) for name, p in _flipped(scores, tail, attrs["seed"]).items()}
    )
    if k > 1:
        a, b = np.triu_indices(k, 1)
        tests = _flipped(scores[:, a] - scores[:, b], "two-sided", attrs["seed"])
        dims = ("model", "model_b")
        found = found.assign({f"pairwise_{name}": (dims, _square(p, k)) for name, p in tests.items()})
    return found


def _flipped(values: np.ndarray, tail: str, seed: int) -> dict[str, np.ndarray]:
    rng = generator(seed, "sign-flip") if seed >= 0 else None
    null = stats.sign_flips(values, n=N_FLIPS, rng=rng)
    observed = _mean(values)
    return {"p_flip": stats.p_value(observed, null, tail=tail), "p_flip_max": _largest(observed, null, tail)}


def _largest(observed: np.ndarray, null: np.ndarray, tail: str) -> np.ndarray:
    sign = -1.0 if tail == "less" else 1.0
    return stats.max_p(sign * observed, sign * null, two_sided=tail == "two-sided")


def _mean(values: np.ndarray) -> np.ndarray:
    known = ~np.isnan(values)
    count = known.sum(axis=0)
    return np.where(known, values, 0.0).sum(axis=0) / np.where(count, count, np.nan)


def _square(x: np.ndarray, k: int, sign: float = 1.0) -> np.ndarray:
    """Return values of pairs of k models as (k, k), NaN on the diagonal."""
    full = np.full((k, k), np.nan)
    full[np.triu_indices(k, 1)] = x
    return np.where(np.isnan(full), sign * full.T, full)

"""Variances, intervals and tests from the draws of an inference."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from .. import stats

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
    elif found.attrs["n_subjects"] > 1:
        found = _with_tests(found, None, None)
    if "permutation_estimate" in found:
        found = _with_permutations(found)
    return found


def _with_tests(found: xr.Dataset, draws: np.ndarray | None, ceilings: xr.DataArray | None) -> xr.Dataset:
    attrs = found.attrs
    dof = _dof(attrs)
    estimate = found["estimate"].values
    tail = attrs["alternative"]
    one = _tested(found, estimate, _values(found, draws), dof, tail)
    variables: dict[str, Any] = {
        "variance": ("model", one[0]),
        "interval": (("bound", "model"), np.stack([one[1].lower, one[1].upper])),
        **{f"zero_{name}": ("model", getattr(one[1], name)) for name in TESTS},
    }
    if draws is not None:
        ends = np.stack([one[1].lower_bootstrap, one[1].upper_bootstrap])
        variables["interval_bootstrap"] = (("bound", "model"), ends)
    if len(estimate) > 1:
        variables.update(_pairwise(found, estimate, draws, dof))
        found = found.assign_coords(model_b=("model_b", found["model"].values))
    if ceilings is not None or "subject_ceiling" in found:
        variables.update(_against_ceiling(found, estimate, draws, ceilings, dof))
        found = found.assign_coords(end=["lower", "upper"])
    if draws is None:
        variables = {
            name: value for name, value in variables.items() if not name.endswith(("_bootstrap", "_max"))
        }
    found = found.assign(variables)
    found.attrs["dof"] = dof
    return found


def _pairwise(
    found: xr.Dataset, estimate: np.ndarray, draws: np.ndarray | None, dof: int
) -> dict[str, tuple[Any, ...]]:
    k = len(estimate)
    a, b = np.triu_indices(k, 1)
    values = _values(found, draws)
    variance, tests = _tested(
        found, estimate[a] - estimate[b], values[..., a] - values[..., b], dof, "two-sided"
    )
    dims = ("model", "model_b")

    def spread(x: np.ndarray, sign: float = 1.0) -> np.ndarray:
        full = np.full((k, k), np.nan)
        full[a, b], full[b, a] = x, sign * x
        return full

    spreads = {
        f"pairwise_{name}": (dims, spread(getattr(tests, name), -1.0 if name == "t" else 1.0))
        for name in TESTS
    }
    return {"variance_difference": (dims, spread(variance)), **spreads}


def _against_ceiling(
    found: xr.Dataset, estimate: np.ndarray, draws: np.ndarray | None, ceilings: xr.DataArray | None, dof: int
) -> dict[str, tuple[Any, ...]]:
    values = _values(found, draws)
    bounds = found["subject_ceiling"].values.T if ceilings is None else ceilings.values
    apart = values[..., :, None] - bounds[..., None, :]
    variance = np.stack([_variance(found, apart[..., i]) for i in range(2)], axis=1)
    ceiling = found["noise_ceiling"].values
    kept = apart[:, :, 0, :, 0].mean(axis=1) if draws is not None else None
    tests = stats.resampled_tests(
        estimate - ceiling[0], variance[:, 0], kept, dof=dof, level=found.attrs["level"]
    )
    own = stats.resampled_tests(ceiling, _variance(found, bounds), None, dof=dof, level=found.attrs["level"])
    return {
        "variance_ceiling": (("model", "bound"), variance),
        "ceiling_interval": (("end", "bound"), np.stack([own.lower, own.upper])),
        **{f"ceiling_{name}": ("model", getattr(tests, name)) for name in TESTS},
    }


def _tested(
    found: xr.Dataset, estimate: np.ndarray, values: np.ndarray, dof: int, tail: str
) -> tuple[np.ndarray, stats.ResampledTests]:
    """Return variances and tests of k estimates from draws (draw, repeat, kind, k) or subjects by subject."""
    variance = _variance(found, values)
    kept = values[:, :, 0].mean(axis=1) if values.ndim == 4 else None
    return variance, stats.resampled_tests(
        estimate, variance, kept, dof=dof, tail=tail, level=found.attrs["level"]
    )


def _values(found: xr.Dataset, draws: np.ndarray | None) -> np.ndarray:
    return found["score"].values.T if draws is None else draws


def _variance(found: xr.Dataset, values: np.ndarray) -> np.ndarray:
    """Return the corrected variances (k,) from draws (draw, repeat, kind, k) or subjects (subject, k)."""
    n_subjects, n_stimuli = found.attrs["n_subjects"], found.attrs["n_stimuli"]
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
    sign = -1.0 if tail == "less" else 1.0
    found["permutation_p"] = ("model", p)
    found["permutation_p_fdr"] = ("model", stats.fdr(p))
    found["permutation_p_max"] = (
        "model",
        stats.max_p(sign * observed, sign * null, two_sided=tail == "two-sided"),
    )
    found.attrs["n_permutations"] = len(null)
    return found


def _dof(attrs: dict[str, Any]) -> int:
    sizes = {"subject": attrs["n_subjects"], "stimulus": attrs["n_stimuli"]}
    if attrs["bootstrap"] == "both":
        return min(sizes.values()) - 1
    return sizes.get(attrs["bootstrap"], attrs["n_subjects"]) - 1

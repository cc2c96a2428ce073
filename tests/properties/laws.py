"""How laws are tried, and the labelled data and estimators that they are tried on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from neuroalign import encoding
from neuroalign.schema import make_rdm

ALPHAS = np.logspace(-1, 4, 6)
BANDED = ("BandedRidgeCV", "StackingCV")
SEEDS = st.integers(0, 10**6)
# Labels as people have them: any text that a file can hold.
LABELS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=8)

# Texts of very different lengths, and the words of a story.
TEXTS = ["a quiet cat", "rain", "the river rises again and again", "no", "five", "six", "seven"]
STIMULI = pd.DataFrame(
    {"stimulus": [f"s{i}" for i in range(7)], "text": TEXTS, "condition": ["a", "b"] * 3 + ["a"], "run": 1}
)
WORDS = pd.DataFrame({"stimulus": [f"w{i}" for i in range(10)], "text": " ".join(TEXTS[:3]).split()})


def law(n: int = 20) -> settings:
    """The same examples in every run, none kept on disk, no limit of time on a busy machine."""
    return settings(
        max_examples=n,
        derandomize=True,
        database=None,
        deadline=None,
        phases=(Phase.explicit, Phase.generate, Phase.shrink),
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def patterns(values: np.ndarray, dim: str = "unit", *, labels: Sequence[Any] | None = None) -> xr.DataArray:
    """Values (..., stimulus, dim) with labels along both; leading dims are runs."""
    values = np.asarray(values)
    labels = [f"s{i:02d}" for i in range(values.shape[-2])] if labels is None else labels
    dims = ("run", "stimulus", dim)[3 - values.ndim :]
    coords = {"stimulus": list(labels), dim: np.arange(values.shape[-1])}
    return xr.DataArray(values, dims=dims, coords=coords)


def rdms(n: int, k: int, *, seed: int = 0, dim: str = "subject") -> xr.DataArray:
    """Euclidean distances (dim, pair) of noise."""
    x = noise(k, n, 4, seed=seed)
    i, j = np.triu_indices(n, 1)
    values = np.sqrt(((x[:, i] - x[:, j]) ** 2).sum(axis=-1))
    return make_rdm(values, [f"s{a:02d}" for a in range(n)], dims=[dim], coords={dim: np.arange(k)})


def rotation(n: int, seed: int = 0) -> np.ndarray:
    return np.linalg.qr(noise(n, n, seed=seed))[0]


def data(
    n: int = 60, p: int = 6, t: int = 5, *, seed: int = 0, gain: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Features (n, p) and targets (n, t) that they predict half of."""
    X = noise(n, p, seed=seed)
    return X, gain * X @ noise(p, t, seed=seed + 1) / np.sqrt(p) + noise(n, t, seed=seed + 2)


def series(values: np.ndarray, dim: str) -> xr.DataArray:
    coords = {"time": 1.0 * np.arange(len(values)), dim: np.arange(values.shape[1])}
    return xr.DataArray(values, dims=("time", dim), coords=coords)


def bands_of(p: int) -> list[str]:
    return ["a"] * (p - p // 2) + ["b"] * (p // 2)


def estimators() -> dict[str, Callable[..., Any]]:
    """Every estimator of two arrays (rows, features) and (rows, targets), made for p features."""
    quiet = {"alphas": ALPHAS, "cv": 3, "edge_tolerance": 1.0}
    inner = encoding.RidgeCV(**quiet)
    return {
        "OLS": lambda p: encoding.OLS(),
        "RidgeCV": lambda p: encoding.RidgeCV(**quiet),
        "RidgeCV, kernel": lambda p: encoding.RidgeCV(**quiet, solver="kernel"),
        "KernelRidgeCV": lambda p: encoding.KernelRidgeCV(**quiet),
        "BandedRidgeCV": lambda p: encoding.BandedRidgeCV(bands=bands_of(p), n_candidates=6, **quiet),
        "StackingCV": lambda p: encoding.StackingCV(inner, bands=bands_of(p), cv=3),
        "PLSCV": lambda p: encoding.PLSCV([1, 2, 3], cv=3),
        "NonNegativeRidgeCV": lambda p: encoding.NonNegativeRidgeCV(**quiet),
        "TemporalResponseFunction": lambda p: encoding.TemporalResponseFunction(0.0, 0.02, fs=100.0, **quiet),
    }


def fitted(model: Any) -> dict[str, np.ndarray]:
    """Every array or number that a fit left behind, by name."""
    found = {}
    for name, value in vars(model).items():
        if not name.endswith("_") or name.startswith("_"):
            continue
        try:
            array = np.asarray(value, dtype=np.float64)
        except (TypeError, ValueError):
            continue
        found[name] = array
    return found

"""Ridge on a GPU: ``python -m benchmarks.ridge_gpu``; ``--device cpu`` tries the script at a small size.

10,000 rows, 4,000 features, 80,000 targets, 5 folds, 10 alphas, float32: strict, and with TF32 products for
the selection of alphas; wall time with the transfers of features, targets and weights, and less the time that
the same transfers take by themselves; peak of device memory; himalaya's RidgeCV and KernelRidgeCV
(torch_cuda) beside it, its arrays moved beforehand.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import himalaya.kernel_ridge
import himalaya.ridge
import numpy as np
import torch
from himalaya.backend import set_backend

from neuroalign.arrays import pick_device
from neuroalign.encoding import RidgeCV
from neuroalign.seeds import generator

SIZES = {"cuda": (10_000, 4_000, 80_000), "cpu": (600, 200, 1_000)}
ALPHAS = np.logspace(1, 6, 10)
N_FOLDS = 5
# Seconds strict and with TF32 selection, bytes on the device, and himalaya's time over ours.
FLOORS = (5.0, 2.0, 16e9, 4.0)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ridge_gpu", description=__doc__)
    parser.add_argument("--device", choices=sorted(SIZES), default="cuda")
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    pick_device(options.device)
    print(f"{_name(options.device)}, torch {torch.__version__}")
    X, Y = data(*SIZES[options.device])
    moving = _best(lambda: transfers(X, Y, options.device), options)
    ours = {}
    for tf32 in (False, True):
        model = RidgeCV(ALPHAS, cv=N_FOLDS, device=options.device, tf32=tf32, edge_tolerance=1)
        ours[tf32] = _best(lambda model=model: model.fit(X, Y), options)
        label = "TF32 selection" if tf32 else "strict float32"
        print(f"ours, {label}: {ours[tf32]:.3g} s, {max(ours[tf32] - moving, 0):.3g} s without transfers")
    if options.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        RidgeCV(ALPHAS, cv=N_FOLDS, device="cuda", edge_tolerance=1).fit(X, Y)
        print(f"peak on the device: {torch.cuda.max_memory_allocated() / 1e9:.3g} GB")
    theirs = {name: _best(fit, options) for name, fit in peers(X, Y, options.device).items()}
    for name, seconds in theirs.items():
        print(f"himalaya {name}: {seconds:.3g} s, {seconds / ours[False]:.3g} times ours")
    print(f"floors at full size: {FLOORS[0]} s, {FLOORS[1]} s, {FLOORS[2] / 1e9:g} GB, {FLOORS[3]} times")


def data(n: int, p: int, t: int) -> tuple[np.ndarray, np.ndarray]:
    """Return features of falling variance, and targets that half depend on them."""
    rng = generator(0, "benchmarks", "ridge_gpu")
    X = rng.standard_normal((n, p), dtype=np.float32) * np.exp(-2 * np.arange(p, dtype=np.float32) / p)
    Y = rng.standard_normal((n, t), dtype=np.float32)
    weights = rng.standard_normal((p, t), dtype=np.float32) / np.float32(np.linalg.norm(X[0]))
    Y += (torch.from_numpy(X) @ torch.from_numpy(weights)).numpy()
    return X, Y


def transfers(X: np.ndarray, Y: np.ndarray, device: str) -> None:
    """Move features and targets to the device, and as many numbers as there are weights back."""
    torch.from_numpy(X).to(device)
    block = 4096
    weights = torch.empty(X.shape[1], block, device=device)
    for start in range(0, Y.shape[1], block):
        torch.from_numpy(np.ascontiguousarray(Y[:, start : start + block])).to(device)
        weights.cpu()


def peers(X: np.ndarray, Y: np.ndarray, device: str) -> dict[str, Callable[[], Any]]:
    """Return the peer's fits, primal and kernel."""
    backend = set_backend("torch_cuda" if device == "cuda" else "torch")
    x, y = backend.asarray(X), backend.asarray(Y)
    options = {"alphas": ALPHAS, "fit_intercept": True, "cv": N_FOLDS}
    batches = {"n_targets_batch": 10_000, "n_alphas_batch": 2}
    return {
        "RidgeCV": lambda: himalaya.ridge.RidgeCV(**options, solver_params=batches).fit(x, y),
        "KernelRidgeCV": lambda: himalaya.kernel_ridge.KernelRidgeCV(**options, solver_params=batches).fit(
            x, y
        ),
    }


def _best(call: Callable[[], Any], options: argparse.Namespace) -> float:
    """Return the shortest of several wall times, after a run to warm up."""
    call()
    seconds = []
    for _ in range(options.runs):
        _wait(options.device)
        start = time.perf_counter()
        call()
        _wait(options.device)
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def _name(device: str) -> str:
    return torch.cuda.get_device_name() if device == "cuda" else "CPU (small size: no figure to quote)"


if __name__ == "__main__":
    main()

"""Memory of a ridge fit whose targets and weights are on disk: ``python -m benchmarks.ridge_memory``.

200,000 targets, 3,000 rows and 1,000 features in float32 fit within 2 GB of anonymous memory; ``--scale 0.1``
takes a tenth of the targets. Pages of a memory-mapped file are the system's to drop: they are not
counted.

``--against`` fits 20,000 targets in memory with himalaya and neuroalign, each in a process of its own, and
prints the peak beyond features and targets: weights count on both sides.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import torch

from neuroalign.encoding import RidgeCV
from neuroalign.seeds import generator

N_ROWS, N_FEATURES, N_TARGETS = 3000, 1000, 200_000
LIMIT_BYTES = 2_000_000_000
BLOCK = 1000
N_COMPARED = 20_000
SIDES = ("neuroalign", "himalaya numpy", "himalaya torch")
AT_MOST = 1 / 5
EVERY_SECONDS = 0.05


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ridge_memory", description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the 200,000 targets")
    parser.add_argument("--folder", default=None, help="where targets and weights are written; 3.2 GB")
    parser.add_argument("--against", action="store_true", help="himalaya's peak beside ours")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.side:
        print(peak_in_memory(options.side))
        return
    if options.against:
        against()
        return
    n_targets = round(N_TARGETS * options.scale)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        extra, seconds = measure(Path(folder), n_targets)
    print(
        f"{n_targets:,} targets, {N_ROWS:,} rows, {N_FEATURES:,} features: {extra / 1e6:,.0f} MB of "
        f"anonymous memory at most beyond the start, {seconds:,.0f} CPU seconds"
    )
    assert extra < LIMIT_BYTES


def measure(folder: Path, n_targets: int) -> tuple[int, float]:
    """Return the peak of anonymous memory beyond that before the fit, in bytes, and CPU seconds."""
    rng = generator(0, "benchmarks", "ridge_memory")
    X = rng.standard_normal((N_ROWS, N_FEATURES), dtype=np.float32)
    Y = np.memmap(folder / "targets", dtype=np.float32, mode="w+", shape=(N_ROWS, n_targets))
    for start in range(0, n_targets, BLOCK):
        weights = rng.standard_normal((N_FEATURES, min(BLOCK, n_targets - start)), dtype=np.float32) / 30
        Y[:, start : start + BLOCK] = X @ weights + rng.standard_normal((N_ROWS, weights.shape[1]))
    coef = np.memmap(folder / "weights", dtype=np.float32, mode="w+", shape=(n_targets, N_FEATURES))
    before, started = anonymous_bytes(), time.process_time()
    with Peak() as peak:
        RidgeCV(np.logspace(1, 6, 10), device="cpu", edge_tolerance=1).fit(X, Y, coef_out=coef)
    return peak.bytes - before, time.process_time() - started


def against() -> None:
    """Print the peak of every side, and hold ours against the best of the peer's."""
    extra = {}
    for side in SIDES:
        command = [sys.executable, "-m", "benchmarks.ridge_memory", "--side", side]
        found = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
        extra[side] = int(found.stdout.split()[-1])
        print(f"{side}: {extra[side] / 1e6:,.0f} MB beyond features and targets")
    ratio = extra[SIDES[0]] / min(extra[side] for side in SIDES[1:])
    print(f"ours / theirs: {ratio:.2f}")
    assert ratio < AT_MOST


def peak_in_memory(side: str) -> int:
    """Return the peak of anonymous memory while one side fits, beyond that before, in bytes."""
    rng = generator(0, "benchmarks", "ridge_memory")
    X = rng.standard_normal((N_ROWS, N_FEATURES), dtype=np.float32)
    Y = rng.standard_normal((N_ROWS, N_COMPARED), dtype=np.float32)
    alphas = np.logspace(1, 6, 10)
    if side == SIDES[0]:
        fit = RidgeCV(alphas, device="cpu", edge_tolerance=1).fit
    else:
        import himalaya.ridge
        from himalaya.backend import set_backend

        backend = set_backend(side.split()[1])
        X, Y = backend.asarray(X), backend.asarray(Y)
        fit = himalaya.ridge.RidgeCV(alphas=alphas, fit_intercept=True, cv=5).fit
    before = anonymous_bytes()
    with Peak() as peak:
        fit(X, Y)
    return peak.bytes - before


def anonymous_bytes() -> int:
    """Return this process's resident anonymous memory (Linux)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("/proc/self/status has no RssAnon: this needs Linux 4.5 or later")


class Peak:
    """The largest anonymous memory while the block runs, looked at every 50 ms."""

    def __enter__(self) -> Peak:
        self.bytes, self._stop = anonymous_bytes(), threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(EVERY_SECONDS):
            self.bytes = max(self.bytes, anonymous_bytes())


if __name__ == "__main__":
    main()

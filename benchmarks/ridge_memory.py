"""Memory of a ridge fit.

3,000 rows and 1,000 features in float32, 10 alphas, 5 folds; each fit in a process of its own. Peaks are of
anonymous memory beyond that before the fit, so features and targets do not count and weights in memory do (80
MB on both sides). Targets on disk are a memory-map; its pages are the system's to drop and are not counted.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import threading
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


def run() -> str:
    """Return a table of all peaks; raises where a limit is not kept."""
    own = _in_own_process("--disk")
    sides = {side: _in_own_process("--side", side) for side in SIDES}
    share = sides[SIDES[0]] / min(sides[side] for side in SIDES[1:])
    sizes = f"{N_COMPARED:,} targets in memory"
    rows = [(f"{N_TARGETS:,} targets on disk, weights to disk", "neuroalign", own)]
    rows += [(sizes, side, sides[side]) for side in SIDES]
    table = "| Sizes | Who | Peak beyond the start, MB |\n| --- | --- | --- |\n"
    table += "".join(f"| {what} | {who} | {n / 1e6:,.0f} |\n" for what, who, n in rows)
    assert own < LIMIT_BYTES, table
    assert share < AT_MOST, table
    return f"{table}\nOurs of the best of the peer's: {share:.2f} (floor: at most {AT_MOST:g}).\n"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ridge_memory", description=__doc__)
    parser.add_argument("--disk", action="store_true", help="only the fit with targets on disk")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the 200,000 targets on disk")
    parser.add_argument("--side", choices=SIDES, help="only one side of the comparison")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.side:
        print(peak_in_memory(options.side))
    elif options.disk:
        with tempfile.TemporaryDirectory() as folder:
            print(peak_on_disk(Path(folder), round(N_TARGETS * options.scale)))
    else:
        print(run())


def _in_own_process(*options: str) -> int:
    command = [sys.executable, "-m", "benchmarks.ridge_memory", *options]
    found = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
    return int(found.stdout.split()[-1])


def peak_on_disk(folder: Path, n_targets: int) -> int:
    """Return the peak of anonymous memory while targets are fitted from disk to disk, in bytes."""
    rng = generator(0, "benchmarks", "ridge_memory")
    X = rng.standard_normal((N_ROWS, N_FEATURES), dtype=np.float32)
    Y = np.memmap(folder / "targets", dtype=np.float32, mode="w+", shape=(N_ROWS, n_targets))
    for start in range(0, n_targets, BLOCK):
        weights = rng.standard_normal((N_FEATURES, min(BLOCK, n_targets - start)), dtype=np.float32) / 30
        Y[:, start : start + BLOCK] = X @ weights + rng.standard_normal((N_ROWS, weights.shape[1]))
    coef = np.memmap(folder / "weights", dtype=np.float32, mode="w+", shape=(n_targets, N_FEATURES))
    before = anonymous_bytes()
    with Peak() as peak:
        RidgeCV(np.logspace(1, 6, 10), device="cpu", edge_tolerance=1).fit(X, Y, coef_out=coef)
    return peak.bytes - before


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

"""Time and memory of unit correlations.

Best partners of every unit of one network among all units of another (``similarity.best_partners``, both
directions, float64 sums), activations in float32 on disk; each run in a process of its own. Peaks are of
anonymous memory beyond that before the call, so that pages of the files, which are the system's to drop, do
not count. Beside it numpy's corrcoef at a size at which it fits.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from neuroalign.seeds import generator
from neuroalign.similarity import best_partners

from .ridge_memory import Peak, anonymous_bytes
from .timing import cpu_seconds

__all__ = ["run"]

# (units of each network, stimuli, who)
RUNS = ((4096, 512, "neuroalign"), (4096, 512, "numpy"), (36_864, 256, "neuroalign"))
LIMIT_BYTES = 6_000_000_000
MEMORY = 1_000_000_000
BLOCK = 64


def run() -> str:
    """Return a table of times and peaks; raises where the limit is not kept."""
    table = "| Units | Stimuli | Who | CPU seconds | Peak beyond the start, MB |\n"
    table += "| --- | --- | --- | --- | --- |\n"
    for n_units, n_stimuli, who in RUNS:
        seconds, peak = _in_own_process(n_units, n_stimuli, who)
        sizes = f"{n_units:,} x {n_units:,} | {n_stimuli:,}"
        table += f"| {sizes} | {who} | {seconds:.1f} | {peak / 1e6:,.0f} |\n"
        assert peak < LIMIT_BYTES, table
    full = 8 * RUNS[-1][0] ** 2 / 1e9
    return f"{table}\nAll correlations of the last row would take {full:.1f} GB; the floor is 6 GB.\n"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.units", description=__doc__)
    parser.add_argument("--units", type=int, help="of each network; all sizes where not given")
    parser.add_argument("--stimuli", type=int, default=256)
    parser.add_argument("--who", choices=("neuroalign", "numpy"), default="neuroalign")
    options = parser.parse_args()
    if options.units is None:
        print(run())
        return
    with threadpool_limits(1), tempfile.TemporaryDirectory() as folder:
        print(*measured(Path(folder), options.units, options.stimuli, options.who))


def measured(folder: Path, n_units: int, n_stimuli: int, who: str) -> tuple[float, int]:
    """Return CPU seconds and the peak of anonymous memory, in bytes, of one run."""
    rng = generator(0, "benchmarks", "units", n_units)
    x, y = (_on_disk(folder / name, (n_stimuli, n_units), rng) for name in ("x", "y"))
    if who == "numpy":
        both = np.hstack([x, y]).T.astype(np.float64)

        def call() -> None:
            r = np.asarray(np.corrcoef(both))[:n_units, n_units:]
            r.argmax(axis=1)
            r.argmax(axis=0)

    else:

        def call() -> None:
            best_partners(x, y, memory=MEMORY)

    before = anonymous_bytes()
    with Peak() as peak:
        seconds = cpu_seconds(call)
    return seconds, peak.bytes - before


def _on_disk(path: Path, shape: tuple[int, int], rng: np.random.Generator) -> np.memmap:
    found = np.memmap(path, dtype=np.float32, mode="w+", shape=shape)
    for start in range(0, shape[0], BLOCK):
        stop = min(start + BLOCK, shape[0])
        found[start:stop] = rng.standard_normal((stop - start, shape[1]), dtype=np.float32)
    return found


def _in_own_process(n_units: int, n_stimuli: int, who: str) -> tuple[float, int]:
    options = ("--units", str(n_units), "--stimuli", str(n_stimuli), "--who", who)
    command = [sys.executable, "-m", "benchmarks.units", *options]
    found = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
    seconds, peak = found.stdout.split()[-2:]
    return float(seconds), int(peak)


if __name__ == "__main__":
    main()

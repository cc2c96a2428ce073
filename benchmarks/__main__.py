"""Run all benchmarks and write ``docs/benchmarks.md``; with names, run those and print their tables only."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from threadpoolctl import threadpool_limits

from neuroalign.io import write_text

from . import (
    banded,
    comparators,
    dissimilarities,
    extraction,
    inference,
    lesions,
    rdms,
    ridge,
    searchlight,
    small_ridge,
)
from .results import page

BENCHMARKS = {
    "extraction": extraction,
    "lesions": lesions,
    "rdms": rdms,
    "dissimilarities": dissimilarities,
    "comparators": comparators,
    "inference": inference,
    "searchlight": searchlight,
    "ridge": ridge,
    "banded": banded,
    "small_ridge": small_ridge,
}
PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"
N_THREADS = 1


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", nargs="*", help=f"of {', '.join(BENCHMARKS)}; all where none is given")
    names = parser.parse_args().name
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"no benchmark is called {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    torch.set_num_threads(N_THREADS)
    with threadpool_limits(N_THREADS):
        found = {BENCHMARKS[name]: BENCHMARKS[name].run() for name in names or BENCHMARKS}
    text = page(found, threads=N_THREADS)
    print(text)
    if not names:
        write_text(text, PAGE)


if __name__ == "__main__":
    main()

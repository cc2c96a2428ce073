"""Run all benchmarks, or those that are named, and write their sections of ``docs/benchmarks.md``."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from threadpoolctl import threadpool_limits

from neuroalign.io import read_text, write_text

from . import (
    banded,
    comparators,
    dissimilarities,
    evoked,
    extraction,
    inference,
    lesions,
    rdms,
    ridge,
    ridge_memory,
    searchlight,
    similarity,
    small_ridge,
    units,
    workflow_overhead,
)
from .results import page, section, title_of

BENCHMARKS = {
    "extraction": extraction,
    "lesions": lesions,
    "rdms": rdms,
    "dissimilarities": dissimilarities,
    "comparators": comparators,
    "inference": inference,
    "searchlight": searchlight,
    "evoked": evoked,
    "ridge": ridge,
    "ridge_memory": ridge_memory,
    "banded": banded,
    "small_ridge": small_ridge,
    "similarity": similarity,
    "units": units,
    "workflow_overhead": workflow_overhead,
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
    sections = [section(module, results) for module, results in found.items()]
    print("\n".join(sections))
    order = [title_of(module) for module in BENCHMARKS.values()]
    write_text(page(sections, old=read_text(PAGE), order=order), PAGE)


if __name__ == "__main__":
    main()

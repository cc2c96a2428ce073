"""What the workflow itself costs.

A unit of work is one job: one step of one study, that is of one network on one data set, with layers and
people looped inside. Many studies (networks x data sets) are one workflow that takes ours as a module once a
study, as docs/how-to/cluster.md shows; here every study asks for all analyses of a language network, over
several networks and seeds. Planning is a dry run to its end: start of Python and Snakemake, every
configuration checked, all rules read, the graph of jobs built. It is on one thread, so that CPU seconds are
what it takes on a machine with nothing else to do. The floor is 60 s for 10,000 units.

``python -m benchmarks.workflow_overhead --study config/demo.yaml`` runs a study on one core and compares its
wall time with the sum of its steps'; the floor is 10 % more.
"""

from __future__ import annotations

import argparse
import json
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from neuroalign.workflow.run_command import find_snakefile

__all__ = ["plan", "run", "study_overhead"]

UNITS = (10, 1_000, 10_000)
LIMIT_SECONDS = 60
NETWORKS = ("smollm2-135m", "all-minilm-l6-v2")
STORY = {"responses": "simulated", "simulation": {"planted_depth": 0.5}}
SMALL = {"story": STORY}
DEEP = {
    "localizer": {"stimuli": "embedded"},
    "lesions": {"pairs": "embedded"},
    **{name: {} for name in ("presets", "sweep", "paradigms", "dissociation", "bands")},
    **SMALL,
}

HEAD = """\
import json
from pathlib import Path

STUDIES = json.loads(Path("studies.json").read_text())


rule everything:
    input:
        [f"results/{study['name']}/report.html" for study in STUDIES],
"""
MODULE = """

module study{i}:
    snakefile:
        {snakefile!r}
    config:
        STUDIES[{i}]


use rule * from study{i} as study{i}_*
"""


def run() -> str:
    """Return a table of times; raises where the floor is not met."""
    table = "| Units asked for | Studies | Jobs planned | CPU seconds | Milliseconds a job |\n"
    table += "| --- | --- | --- | --- | --- |\n"
    for n_units in UNITS:
        n_studies, n_jobs, seconds = plan(n_units)
        table += (
            f"| {n_units:,} | {n_studies:,} | {n_jobs:,} | {seconds:.1f} | {1e3 * seconds / n_jobs:.1f} |\n"
        )
        assert seconds <= LIMIT_SECONDS, table
    return table


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.workflow_overhead", description=__doc__)
    parser.add_argument("--units", type=int, help="to plan; all sizes where not given")
    parser.add_argument("--study", type=Path, help="run this study on one core instead, in a new folder")
    options = parser.parse_args()
    if options.study is not None:
        wall, steps, n_steps = study_overhead(options.study)
        print(f"{n_steps} steps: {steps:.1f} s; the run: {wall:.1f} s; overhead {wall / steps - 1:.1%}")
    elif options.units is not None:
        n_studies, n_jobs, seconds = plan(options.units)
        print(f"{n_studies} studies, {n_jobs:,} jobs, {seconds:.1f} CPU seconds")
    else:
        print(run())


def plan(n_units: int) -> tuple[int, int, float]:
    """Plan at least so many units; return the studies, the jobs and the CPU seconds of a dry run."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        n_studies = write_many(folder, n_units)
        call = [sys.executable, "-m", "snakemake", "--dry-run", "--quiet", "rules", "--cores", "1"]
        before = _cpu_of_children()
        said = subprocess.run(call, cwd=folder, capture_output=True, text=True, check=True)  # noqa: S603
        seconds = _cpu_of_children() - before
    n_jobs = int(re.findall(r"^total +(\d+)", said.stdout + said.stderr, re.MULTILINE)[0])
    assert n_jobs >= n_units, (n_jobs, n_units)
    return n_studies, n_jobs, seconds


def write_many(folder: Path, n_units: int) -> int:
    """Write a workflow of many studies and return how many; a small one has 9 jobs, a deep one 43."""
    sections, jobs = (SMALL, 9) if n_units < 43 else (DEEP, 43)
    n_studies = -(-n_units // jobs)
    studies = [
        {
            "name": f"study{i}",
            "title": f"Study {i}",
            "seed": i,
            "model": {"name": NETWORKS[0], "untrained_seed": i},
            **sections,
        }
        for i in range(n_studies)
    ]
    (folder / "studies.json").write_text(json.dumps(studies))
    text = HEAD + "".join(MODULE.format(i=i, snakefile=str(find_snakefile())) for i in range(n_studies))
    (folder / "Snakefile").write_text(text)
    return n_studies


def study_overhead(config: Path) -> tuple[float, float, int]:
    """Run a study on one core; return its wall time, the sum of its steps' wall times, and their number.

    It runs in a copy of the study's folder.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = shutil.copytree(config.parent, Path(name) / "study")
        call = [sys.executable, "-m", "neuroalign", "run", config.name, "--cores", "1"]
        start = time.perf_counter()
        subprocess.run(call, cwd=folder, check=True, capture_output=True)  # noqa: S603
        wall = time.perf_counter() - start
        files = sorted(folder.glob("results/*/benchmarks/*.tsv"))
        steps = [float(path.read_text().splitlines()[1].split("\t")[0]) for path in files]
    return wall, sum(steps), len(steps)


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()

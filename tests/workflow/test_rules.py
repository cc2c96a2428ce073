"""The rules themselves: what each must say, Snakemake's linter, and the picture of what waits for what."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from neuroalign.workflow.calls import results_root
from neuroalign.workflow.config import load_study
from neuroalign.workflow.paths import FIGURES, Paths

ROOT = Path(__file__).parents[2]

CONFIGS = sorted(path.name for path in (ROOT / "config").glob("*.yaml"))


def rules_of(text: str) -> list[str]:
    return [part for part in re.split(r"(?m)^ *rule\b", text)[1:] if "shell:" in part]


@pytest.mark.parametrize(
    "path",
    [ROOT / "Snakefile", ROOT / "analyses/extraction.smk", *sorted(ROOT.glob("analyses/*/rules.smk"))],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_every_rule_says_what_it_needs_and_where_it_logs(path):
    rules = rules_of(path.read_text())
    assert rules
    for rule in rules:
        for word in ("log:", "benchmark:", "threads:", "mem_mb=", "gpu=", "runtime=", "shell:"):
            assert re.search(rf"(?m)^ +{word}", rule), f"{path}: no {word} in\n{rule}"


@pytest.mark.slow
@pytest.mark.parametrize("config", ["demo.yaml", "language_network.yaml"])
def test_snakemake_lint_finds_nothing(tmp_path, config):
    call = ["--lint", "--snakefile", str(ROOT / "Snakefile"), "--configfile", str(ROOT / "config" / config)]
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", *call],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0 and "Congratulations, your workflow is in a good condition!" in said, said


@pytest.mark.parametrize("config", CONFIGS)
def test_every_section_that_a_study_asks_for_has_its_rules_included(config):
    paths = Paths(load_study(ROOT / "config" / config))
    assert paths.analyses() == sorted({FIGURES[n][1] for n in paths.figures()})
    assert all((ROOT / "analyses" / folder / "rules.smk").is_file() for folder in paths.analyses())


@pytest.mark.parametrize(
    ("output", "root"),
    [
        ("results/mine/figures/figure6.tsv", "results"),
        ("results/shared/activations/a.nc", "results"),
        ("below/results/mine/report.html", "below/results"),
        ("results/results/mine/report.html", "results/results"),
        (".snakemake/storage/fs/volume/results/mine/report.html", ".snakemake/storage/fs/volume/results"),
    ],
)
def test_results_are_found_where_snakemake_has_moved_them(output, root):
    paths = Paths(load_study({"name": "mine", "title": "Mine", "objects": {}}))
    assert results_root(output, paths) == Path(root)


def test_study_called_results_is_not_taken_for_the_folder():
    paths = Paths(load_study({"name": "results", "title": "Mine", "objects": {}}))
    assert results_root("results/results/report.html", paths) == Path("results")


DOT = """
0[label = "all", color = "0"];
1[label = "report", color = "0"];
2[label = "figure1", color = "0"];
3[label = "localizer", color = "0"];
4[label = "extract_a_trained", color = "0"];
5[label = "extract_a_untrained", color = "0"];
1 -> 0
2 -> 1
3 -> 1
3 -> 2
4 -> 3
5 -> 3
"""


def test_rule_graph_joins_twins_and_leaves_out_what_other_arrows_say(tmp_path):
    drawing = runpy.run_path(str(ROOT / "docs" / "make_rulegraph.py"))
    twins = "extract_a\ntrained, untrained"
    graph = drawing["reduced"](drawing["read"](DOT))
    assert graph == {"report": {"figure1"}, "figure1": {"localizer"}, "localizer": {twins}, twins: set()}
    drawing["draw"](graph, tmp_path / "graph.png")
    assert (tmp_path / "graph.png").stat().st_size > 1000

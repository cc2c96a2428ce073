"""The step of figure 17 on a tiny network and simulated listeners: its parts, tests and figure."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from neuroalign import io
from neuroalign.workflow.config import load_study
from neuroalign.workflow.paths import Paths
from neuroalign.workflow.steps import STEPS, extract_activations

ROOT = Path(__file__).resolve().parents[2]
PARTS = ["low-level", "lexical", "model", "low-level & lexical", "low-level & model", "lexical & model"]
ALL = "low-level & lexical & model"
PLANTED, SILENT = "LPTL", "LIFG"


@pytest.fixture(scope="module")
def made(tiny_llama, tmp_path_factory):
    study = {
        "name": "tiny",
        "title": "Tiny",
        "model": {"name": str(tiny_llama)},
        "story": {
            "responses": "simulated",
            "context": 40,
            "stride": 20,
            "delays": [1, 2],
            "alphas": {"low": 0, "high": 5, "n": 6},
            "n_folds": 4,
            "n_bootstrap": 50,
            "simulation": {"planted_depth": 0.6, "n_subjects": 3, "snr": {PLANTED: 5.0, SILENT: 0.0}},
        },
        "bands": {"n_candidates": 3, "n_permutations": 99},
    }
    paths = Paths(load_study(study), tmp_path_factory.mktemp("bands") / "results")
    for twin in ("trained", "untrained"):
        extract_activations(paths, "story", twin)
    for step in ("prepare-story", "story-bands"):
        STEPS[step](paths)
    return paths


def table(paths):
    return io.read_table(paths.figure(17, "tsv"), text=("network", "roi", "component", "score"))


def test_parts_sum_to_the_joint_score_in_every_region_and_network(made):
    group = table(made).query("score == 'group mean' and component != 'ceiling'")
    wide = group.pivot(index=["network", "roi"], columns="component", values="value")
    assert len(wide) == 4
    assert set(wide.columns) == {*PARTS, ALL, "joint"}
    assert (wide[[*PARTS, ALL]].sum(axis=1) - wide["joint"]).abs().max() < 1e-6


def test_the_driven_region_is_predicted_and_the_silent_one_is_not(made):
    found = table(made)
    joint = found.query("component == 'joint' and score == 'group mean' and network == 'trained'")
    by_region = joint.set_index("roi")["value"]
    assert by_region[PLANTED] > 0.05 > by_region[SILENT]
    tests = found.query("component == 'test' and network == 'trained'").set_index(["roi", "score"])["value"]
    assert tests[PLANTED, "p (maximum)"] < 0.05
    assert tests[SILENT, "p (maximum)"] > 0.05


def test_listeners_have_intervals_and_every_region_a_ceiling(made):
    found = table(made)
    own = found.query("score == 'left-out listener' and component not in ('ceiling', 'test')")
    assert (own["n"] == 3).all()
    assert (own["low"] <= own["value"]).all() and (own["value"] <= own["high"]).all()
    ceilings = found.query("component == 'ceiling'")
    assert len(ceilings) == 4
    assert ceilings["value"].dropna().between(0, 1).all()


def test_the_figure_is_drawn_and_names_its_control_and_its_ceiling(made):
    script = ROOT / "analyses/story_encoding/bands.py"
    subprocess.run([sys.executable, script, made.figure(17, "tsv")], check=True)
    caption = io.read_json(made.figure(17, "json"))["caption"]
    for word in ("untrained twin", "noise ceiling", "SIMULATED", "maximum over regions"):
        assert word in caption, word

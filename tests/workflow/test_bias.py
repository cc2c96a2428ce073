"""The step of figure 25 on few small networks: equal accuracy, unequal variance, its table, the figure."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from neuroalign import io
from neuroalign.errors import InvalidValueError
from neuroalign.workflow.boolean_networks import (
    FEATURES,
    feature_values,
    shown_inputs,
    train_networks,
)
from neuroalign.workflow.config import load_study
from neuroalign.workflow.paths import Paths
from neuroalign.workflow.steps.bias import MAIN, NONE, RELATIONS, TASKS, bias

ROOT = Path(__file__).resolve().parents[2]
SMALL = {"n_networks": 2, "n_each": 8, "n_units": 48, "n_steps": 300, "rate": 0.004, "n_bootstrap": 100}
TEXT = ("kind", "measure", "task", "feature", "option")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    paths = Paths(load_study({"name": "t", "title": "T", "bias": SMALL}), tmp_path_factory.mktemp("results"))
    bias(paths)
    return paths


@pytest.fixture(scope="module")
def table(made):
    return io.read_table(made.figure(25, "tsv"), text=TEXT)


def value(table, measure, feature, *, task=MAIN, option=NONE, kind="mean"):
    keys = {"kind": kind, "measure": measure, "task": task, "feature": feature, "option": option}
    rows = table[np.all([table[name] == wanted for name, wanted in keys.items()], axis=0)]
    assert len(rows) == 1
    return rows["value"].item()


def test_shown_inputs_are_held_out_balanced_and_independent_in_all_features():
    train, held_out, shown = shown_inputs(8, seed=0)
    as_set = [{tuple(row) for row in rows.tolist()} for rows in (train, held_out, shown)]
    assert not as_set[0] & as_set[1] and as_set[2] <= as_set[1]
    assert len(as_set[0] | as_set[1]) == 4096
    kinds = np.stack([feature_values(shown, name) for name in FEATURES], axis=1)
    np.testing.assert_array_equal(kinds.T @ kinds, len(shown) * np.eye(4))
    assert not kinds.sum(axis=0).any()


def test_networks_trained_together_do_not_see_one_another():
    given = {"n_each": 2, "n_units": 8, "n_steps": 20, "rate": 0.01, "seed": 3, "progress": False}
    alone = train_networks({"a": ("easy 1", "hard 1")}, 1, **given)["a"]
    together = train_networks({"b": ("hard 1", "hard 2"), "a": ("easy 1", "hard 1")}, 2, **given)["a"]
    np.testing.assert_allclose(together.activations[0], alone.activations[0], atol=1e-4)


def test_both_outputs_are_right_and_their_variance_is_not_equal(table):
    accuracy = table[(table["kind"] == "network") & (table["measure"] == "accuracy")]
    assert (accuracy[accuracy["task"] != "untrained"]["value"] > 0.98).all()
    easy, hard = (value(table, "variance", name) for name in TASKS[MAIN])
    assert easy > 2 * hard > 0.02
    assert value(table, "variance", "hard 2") < 0.02
    for task in ("two easy", "two hard"):
        one, other = (value(table, "variance", name, task=task) for name in TASKS[task])
        assert max(one, other) < 1.5 * min(one, other)


def test_rsa_follows_the_variance_and_decoding_does_not(table):
    for option in ("euclidean", "correlation", "crossnobis", "z-scored"):
        easy, hard = (value(table, "rsa", name, option=option) for name in TASKS[MAIN])
        assert easy > 1.8 * hard
    easy, hard = (value(table, "rsa", name, option="whitened") for name in TASKS[MAIN])
    assert easy == pytest.approx(hard, rel=0.25) and easy < 0.25
    for name in TASKS[MAIN]:
        assert value(table, "decoding", name) > 0.95
    assert abs(value(table, "decoding", "hard 1", task="untrained") - 0.5) < 0.15


def test_every_relation_is_there_and_networks_that_share_more_are_more_alike(table):
    found = {name: value(table, "between", NONE, task=name, option="euclidean") for name in RELATIONS}
    assert found[MAIN] > found["shares easy"] > found["shares neither"]
    assert found[MAIN] > found["shares hard"] > found["shares neither"]


def test_tests_are_exact_and_ceilings_are_above_the_models(table):
    tests = table[table["kind"] == "test"]
    assert set(tests["measure"]) >= {"variance", "rsa", "decoding", "gdv", "generalisation", "parallelism"}
    # Four patterns of signs of two networks, and that of the data.
    assert tests["p"].min() >= 0.4 and (tests["q"] >= tests["p"]).all()
    for row in table[table["kind"] == "ceiling"].itertuples():
        assert row.low <= row.high
        assert value(table, "rsa", "easy 1", option=row.option) < row.high


def test_the_figure_is_drawn_and_its_caption_says_that_data_are_simulated(made):
    script = ROOT / "analyses/representation_bias/figure.py"
    subprocess.run([sys.executable, script, made.figure(25, "tsv")], check=True)
    assert made.figure(25, "png").exists() and made.figure(25, "pdf").exists()
    about = io.read_json(made.figure(25, "json"))
    assert about["notes"]["simulated"] is True and "(simulated)" in about["title"]
    for word in ("SIMULATED", "Noise ceiling", "untrained", "exact sign flips", "FDR over 12 measures"):
        assert word in about["caption"]


def test_a_wrong_section_is_refused():
    with pytest.raises(InvalidValueError, match=r"bias\.n_networks"):
        load_study({"name": "t", "title": "T", "bias": {"n_networks": 1}})
    assert load_study(ROOT / "config/representation_bias.yaml").bias.n_networks == 8

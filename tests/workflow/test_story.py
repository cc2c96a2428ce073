"""Figures 3, 4 and 5 in a small form: a story on a tiny network, simulated listeners, a planted layer."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

from neuroalign import io
from neuroalign.errors import FileError
from neuroalign.workflow.config import load_study
from neuroalign.workflow.paths import FIGURES, Paths
from neuroalign.workflow.reporting.analyses import words_for
from neuroalign.workflow.reporting.facts import Facts
from neuroalign.workflow.steps import STEPS, extract_activations, write_moments

ROOT = Path(__file__).resolve().parents[2]
DRIVEN, SILENT = "LPTL", "LIFG"
TEXT = ("network", "layer", "roi", "score", "set")
N_LAYERS, N_CONTROLS, N_SUBJECTS = 3, 4, 3


@pytest.fixture(scope="module")
def made(tiny_llama, tmp_path_factory) -> Paths:
    study = {
        "name": "tiny",
        "title": "Tiny",
        "model": {"name": str(tiny_llama)},
        "localizer": {"fraction": 0.1, "n_random": 2},
        "story": {
            "responses": "simulated",
            "context": 40,
            "stride": 20,
            "delays": [1, 2],
            "alphas": {"low": 0, "high": 5, "n": 6},
            "n_folds": 4,
            "n_bootstrap": 50,
            "n_unit_controls": N_CONTROLS,
            "simulation": {"planted_depth": 0.6, "n_subjects": 3, "snr": {DRIVEN: 5.0, SILENT: 0.0}},
        },
    }
    paths = Paths(load_study(study), tmp_path_factory.mktemp("story") / "results")
    for twin in ("trained", "untrained"):
        extract_activations(paths, "story", twin)
        extract_activations(paths, "localizer", twin)
        write_moments(paths, twin)
    for step in ("localizer", "prepare-story", "encode", "story-rsa", "unit-alignment"):
        STEPS[step](paths)
    return paths


def table(paths, number):
    return io.read_table(paths.figure(number, "tsv"), text=TEXT)


def provenance(paths, number):
    return io.read_json(paths.figure(number, "provenance.json"))


def test_every_layer_of_both_networks_is_scored_beside_baseline_and_ceiling(made):
    found = table(made, 3)
    layers = found.query("score == 'left-out listener' and roi == @DRIVEN").groupby("network").size()
    assert layers.to_dict() == {"trained": N_LAYERS, "untrained": N_LAYERS, "baseline": 1, "ceiling": 1}
    gain = found[found["score"] == "gain over baseline"]
    assert (gain.loc[gain["network"] == "baseline", "value"] == 0).all()
    own = found.query("score == 'left-out listener' and network != 'ceiling'")
    assert (own["n"] == N_SUBJECTS).all()
    assert (own["low"] <= own["value"]).all() and (own["value"] <= own["high"]).all()


def test_the_driven_region_is_predicted_and_the_silent_one_is_not(made):
    group = table(made, 3).query("score == 'group mean' and network == 'trained'")
    notes = provenance(made, 3)["notes"]
    found = group.set_index(["roi", "layer"])["value"]
    planted = notes["truth"]["planted_layer"][DRIVEN]
    chance = 3 / np.sqrt(notes["n_times"])  # three standard errors of a correlation with white noise
    assert found[DRIVEN].idxmax() == planted
    assert found[DRIVEN, planted] > chance
    assert abs(found[SILENT].mean()) < chance


def test_windows_have_listeners_baselines_and_a_ceiling_in_order(made):
    found = table(made, 4)
    assert set(found["network"]) == {"trained", "untrained", "baseline", "ceiling"}
    assert "distance in time" in set(found.loc[found["network"] == "baseline", "layer"])
    ceiling = found[found["network"] == "ceiling"].set_index("layer")["value"]
    assert ceiling["lower"] <= ceiling["upper"]
    models = found[found["network"] != "ceiling"]
    assert models["value"].between(-1, 1).all()
    assert (models["low"] <= models["value"]).all() and (models["value"] <= models["high"]).all()


def test_language_units_have_their_random_sets_and_p(made):
    found = table(made, 5)
    sets = found[found["set"] != "ceiling"].groupby(["roi", "score"])["set"].nunique()
    assert (sets == 1 + N_CONTROLS).all()
    p = found.loc[found["set"] == "language", "p"]
    assert p.between(1 / (1 + N_CONTROLS), 1).all()
    assert found.loc[found["set"] != "language", "p"].isna().all()
    random = found[found["set"].str.startswith("random")].groupby(["roi", "score"])["value"].apply(list)
    for row in found[found["set"] == "language"].itertuples():
        at_least = sum(value >= row.value - 1e-12 for value in random[row.roi, row.score])
        assert row.p == pytest.approx((1 + at_least) / (1 + N_CONTROLS))


@pytest.mark.parametrize("number", [1, 3, 4, 5])
def test_the_figure_is_drawn_and_its_caption_names_the_control(made, number, monkeypatch):
    script = ROOT / "analyses" / FIGURES[number][1] / "figure.py"
    arguments = [str(script), *(["1"] if number == 1 else []), str(made.figure(number, "tsv"))]
    monkeypatch.setattr(sys, "argv", arguments)
    runpy.run_path(str(script), run_name="__main__")
    caption = io.read_json(made.figure(number, "json"))["caption"]
    assert "nan" not in caption
    assert ("random" if number in (1, 5) else "untrained") in caption
    assert ("SIMULATED" in caption) == (number != 1)
    assert all(made.figure(number, kind).stat().st_size > 5000 for kind in ("pdf", "png"))


@pytest.mark.parametrize("number", [1, 3, 4, 5])
def test_the_report_has_a_question_a_headline_and_a_method(made, number):
    about = provenance(made, number)
    params = about["provenance"]["params"]
    words = words_for(number, Facts(table(made, number), about["notes"], params))
    assert not words.missing
    said = f"{words.question} {words.headline} {words.method}"
    assert "tiny-llama" in said and "nan" not in said.replace("finance", "")


def test_a_file_of_another_kind_is_refused(made, tmp_path):
    other = Paths(made.study, tmp_path / "results")
    target = io.make_folder(other.responses.parent) / other.responses.name
    series = io.load(made.responses)["series"]
    io.save(series, target)
    with pytest.raises(FileError, match="must hold series and baseline; remove it"):
        STEPS["encode"](other)


def test_the_same_step_writes_the_same_bytes(made):
    before = made.figure(4, "tsv").read_bytes()
    STEPS["story-rsa"](made)
    assert made.figure(4, "tsv").read_bytes() == before
    assert np.isfinite(table(made, 4)["value"]).all()

"""Figures 6, 14 and 15 on both data sets, with few draws: their values and their drawings."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

from neuroalign import io
from neuroalign.workflow.config import load_study
from neuroalign.workflow.paths import Paths
from neuroalign.workflow.steps import STEPS

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = {6: "figure", 14: "rdms", 15: "inference"}
TEXT = ("method", "model", "subject", "other", "quantity", "a", "b", "rdm", "what", "category")
SMALL = {"n_permutations": 40, "n_bootstrap": 40, "n_draws": 60}
# Spearman: of the images from rsatoolbox 0.3.2, of the fingers to two digits.
KNOWN = {
    "kriegeskorte92": (
        {"animacy": 0.386220, "monkeyIT": 0.296325, "V1": 0.026514},
        (0.372313, 0.665721),
        1e-6,
    ),
    "finger7t": ({"Naturalstats": 0.84, "Muscle": 0.78, "somatotopy": 0.56}, (0.86, 0.89), 6e-3),
}


@pytest.fixture(scope="module", params=sorted(KNOWN))
def paths(request, data_root, tmp_path_factory) -> Paths:
    section = {"responses": request.param, "methods": ["spearman"], **SMALL}
    section["resample"] = "both" if request.param == "kriegeskorte92" else "subject"
    study = load_study({"name": "people", "title": "People", "objects": section})
    found = Paths(study, tmp_path_factory.mktemp(request.param) / "results")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NEUROALIGN_DATA", str(data_root))
        STEPS["objects"](found)
    return found


def values(paths: Paths, number: int):
    return io.read_table(paths.figure(number, "tsv"), text=TEXT)


def test_scores_and_ceiling_are_the_known_ones(paths):
    scores, ceiling, tolerance = KNOWN[paths.study.objects.responses]
    table = values(paths, 6)
    mean = table[table["subject"] == "mean"].set_index("model")["value"]
    for model, value in scores.items():
        assert mean[model] == pytest.approx(value, abs=tolerance)
    bounds = table[table["model"] == "noise ceiling"].set_index("subject")["value"]
    np.testing.assert_allclose(bounds[["lower", "upper"]], ceiling, atol=max(tolerance, 1e-6) * 1.1)


def test_inference_tests_the_scores_of_figure_6(paths):
    table, six = values(paths, 15), values(paths, 6)
    estimate = table[table["quantity"] == "estimate"].set_index("model")["value"]
    mean = six[six["subject"] == "mean"].set_index("model")["value"]
    np.testing.assert_allclose(estimate, mean[estimate.index], atol=1e-12)
    low, high = (table[table["quantity"] == name].set_index("model")["value"] for name in ("low", "high"))
    assert (low < estimate).all() and (estimate < high).all()
    draws = table[table["quantity"] == "draw"]
    assert (draws.groupby("model").size() == SMALL["n_draws"]).all()
    assert io.load(paths.inference("spearman")).sizes["draw"] == SMALL["n_draws"]


def test_maps_hold_every_pair_and_every_stimulus(paths):
    for _, part in values(paths, 14).groupby("rdm"):
        n = (part["what"] == "place").sum()
        assert (part["what"] == "dissimilarity").sum() == n * (n - 1) // 2
        assert part.loc[part["what"] == "place", ["x", "y"]].notna().all(axis=None)


@pytest.mark.parametrize("number", SCRIPTS)
def test_drawing_leaves_figure_and_caption(paths, number, monkeypatch):
    script = ROOT / "analyses" / "object_rsa" / f"{SCRIPTS[number]}.py"
    monkeypatch.setattr(sys, "argv", [str(script), str(paths.figure(number, "tsv"))])
    runpy.run_path(str(script), run_name="__main__")
    caption = json.loads(paths.figure(number, "json").read_text())["caption"]
    assert "nan" not in caption.replace("finger", "") and len(caption) > 200
    assert all(paths.figure(number, kind).stat().st_size > 5000 for kind in ("pdf", "png"))

"""Figures 7 to 11 in a small form: their steps, run in this process on a tiny network, and their drawings."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from neuroalign import io
from neuroalign.errors import FileError, InvalidValueError
from neuroalign.workflow import step_command
from neuroalign.workflow.config import load_study
from neuroalign.workflow.paths import FIGURES, PARTS, Paths
from neuroalign.workflow.reporting.analyses import words_for
from neuroalign.workflow.reporting.facts import Facts
from neuroalign.workflow.steps import STEPS, extract_activations, score_part, write_moments
from neuroalign.workflow.steps.lesioning import read_masks
from neuroalign.workflow.steps.lesions import lesioning
from neuroalign.workflow.steps.presets import read_moments
from neuroalign.workflow.steps.sweep import read_scores

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = {7: "presets", 8: "presets", 9: "sweep", 10: "paradigms", 11: "dissociation"}
TEXT = ("network", "layer", "preset", "quantity", "other", "mask", "kind", "group", "by", "task")
N_UNITS = 3 * 32


@pytest.fixture(scope="module")
def paths(tiny_llama, tmp_path_factory) -> Paths:
    study = {
        "name": "tiny",
        "title": "Tiny",
        "model": {"name": str(tiny_llama)},
        "localizer": {"fraction": 0.1, "n_random": 2},
        "lesions": {"per_paradigm": 2, "n_controls": 3, "n_bootstrap": 50},
        "presets": {"n_random": 2},
        "sweep": {"fractions": [0.05, 0.2], "n_controls": 3},
        "paradigms": {"per_paradigm": 3},
        "dissociation": {"n_sums": 12, "n_sequences": 8, "n_controls": 3, "n_permutations": 99},
    }
    found = Paths(load_study(study), tmp_path_factory.mktemp("deep") / "results")
    for twin in ("trained", "untrained"):
        extract_activations(found, "localizer", twin)
        write_moments(found, twin)
    for step in ("localizer", "lesions", "presets", "sweep", "paradigms", "dissociation"):
        STEPS[step](found)
    return found


def values(paths: Paths, number: int):
    return io.read_table(paths.figure(number, "tsv"), text=TEXT)


def notes(paths: Paths, number: int) -> dict:
    return io.read_json(paths.figure(number, "provenance.json"))["notes"]


def test_unit_map_has_every_unit_of_both_networks(paths):
    table = values(paths, 7)
    assert table.groupby("network").size().to_dict() == {"trained": N_UNITS, "untrained": N_UNITS}
    assert (table.groupby("network")["selected"].sum() == round(0.1 * N_UNITS)).all()
    chosen = table[(table["network"] == "trained") & (table["selected"] == 1)]
    assert (
        chosen["t"].min() >= table.loc[(table["network"] == "trained") & (table["selected"] == 0), "t"].max()
    )


def test_presets_are_all_there_and_agree_with_themselves(paths):
    table = values(paths, 8)
    assert set(table["preset"]) == {"default", "brainscore", "naacl2025", "topolm", "token-matched"}
    equal = table[table["quantity"] == "dice_equal"].pivot_table(
        index="preset", columns="other", values="value"
    )
    assert "topolm" not in equal.index
    np.testing.assert_array_equal(np.diag(equal), 1)
    np.testing.assert_array_equal(equal, equal.T)
    assert notes(paths, 8)["replaced"] == ["brainscore selects 4096 units, but there are 96: 10 % are taken"]


def test_token_matched_control_reads_no_more_stimuli_than_there_are(paths):
    n_stimuli = notes(paths, 8)["n_stimuli"]
    assert 0 < n_stimuli["token-matched"] <= n_stimuli["default"]


def test_every_size_has_its_controls(paths):
    table = values(paths, 9)
    counts = table[~table["kind"].isin(["named"])].groupby(["fraction", "kind"]).size()
    assert (counts == 3).all() and len(counts) == 3 * 3
    sizes = table[table["kind"] == "uniform"].groupby("fraction")["n_units"].unique()
    assert [list(size) for size in sizes] == [[round(f * N_UNITS)] for f in (0.05, 0.1, 0.2)]


def test_the_localizer_s_own_size_is_figure_2(paths):
    curve, first = values(paths, 9), values(paths, 2).set_index("mask")
    own = curve[curve["fraction"] == 0.1].set_index("mask")
    np.testing.assert_array_equal(own["effect"], first.loc[own.index, "effect"])


def test_paradigms_add_up_to_the_whole_effect(paths):
    table, said = values(paths, 10), notes(paths, 10)
    for by in ("field", "paradigm"):
        own = table[table["by"] == by]
        assert own["n_items"].sum() == said["n_items"]
        mean = np.average(own["effect"], weights=own["n_items"])
        assert mean == pytest.approx(said["language"] - said["intact"], abs=1e-12)


def test_random_masks_by_field_are_those_of_figure_2(paths):
    table = values(paths, 10)
    random = table[table["by"] == "field, random masks"]
    assert set(random["mask"]) == {"language", "uniform", "layer-matched", "norm-matched"}
    own = random[random["mask"] == "language"]
    whole = values(paths, 2).set_index("mask").loc["language", "effect"]
    assert np.average(own["effect"], weights=own["n_items"]) == pytest.approx(whole, abs=1e-12)


def test_scoring_in_parts_is_scoring_at_once(paths, tmp_path):
    apart = Paths(paths.study, tmp_path / "results")
    for path in (paths.masks, paths.lesion_scores, paths.figure(2, "tsv")):
        target = apart.results / path.relative_to(paths.results)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    for what in ("lesions", "sweep", "paradigms", "dissociation"):
        for part in range(PARTS):
            score_part(apart, what, part)
        made = {f: f.stat().st_mtime_ns for f in apart.folder.glob("work/**/*.nc")}
        STEPS[what](apart)
        assert made == {f: f.stat().st_mtime_ns for f in apart.folder.glob("work/**/*.nc")}
    for number in (2, 9, 10, 11):
        assert apart.figure(number, "tsv").read_bytes() == paths.figure(number, "tsv").read_bytes()


def test_both_tasks_are_under_the_same_masks(paths):
    table, said = values(paths, 11), notes(paths, 11)
    masks = table.groupby("task")["mask"].agg(list)
    assert masks["pairs"] == masks["sequences"]
    assert said["n_items"] == {"pairs": len(io.load(paths.task_scores("pairs"))["item"]), "sequences": 16}
    assert said["interaction"]["low"] <= said["interaction"]["interaction"] <= said["interaction"]["high"]


@pytest.mark.parametrize("number", SCRIPTS)
def test_drawing_leaves_figure_and_caption(paths, number, monkeypatch):
    script = ROOT / "analyses" / FIGURES[number][1] / f"{SCRIPTS[number]}.py"
    monkeypatch.setattr(sys, "argv", [str(script), str(number), str(paths.figure(number, "tsv"))])
    runpy.run_path(str(script), run_name="__main__")
    caption = json.loads(paths.figure(number, "json").read_text())["caption"]
    assert "tiny-llama" in caption and "nan" not in caption
    assert all(paths.figure(number, kind).stat().st_size > 5000 for kind in ("pdf", "png"))


@pytest.mark.parametrize("number", [2, *SCRIPTS])
def test_the_report_has_a_question_a_headline_and_a_method(paths, number):
    about = io.read_json(paths.figure(number, "provenance.json"))
    facts = Facts(values(paths, number), about["notes"], about["provenance"]["params"])
    words = words_for(number, facts)
    assert not words.missing
    said = f"{words.question} {words.headline} {words.method}"
    assert "nan" not in said
    assert any(word in said for word in ("random", "untrained"))


# Masks of other networks


def with_masks(paths: Paths, folder: Path, change, **lesions) -> Paths:
    """The study with its localizer's masks changed."""
    study = paths.study.model_copy(update={"lesions": paths.study.lesions.model_copy(update=lesions)})
    found = Paths(study, folder / "results")
    io.save(change(io.load(paths.masks)).drop_attrs(), found.masks)
    return found


def test_outliers_and_units_without_a_norm_match_are_masked_apart(paths, tmp_path):
    def change(found):
        language = np.flatnonzero(found["mask"])
        outlier, magnitude = np.zeros(N_UNITS, dtype=bool), found["magnitude"].values.copy()
        outlier[[language[0], np.flatnonzero(~found["mask"])[0]]] = True
        magnitude[language[1]] = 1e6
        return found.assign(
            outlier=found["outlier"].copy(data=outlier), magnitude=found["magnitude"].copy(data=magnitude)
        )

    apart = with_masks(paths, tmp_path, change, n_controls_without_outliers=2)
    (one,) = lesioning(apart, None)
    n = int(io.load(apart.masks)["mask"].sum())
    sizes = {name: int(mask.sum()) for name, mask in one.masks.items()}
    assert sizes["language"] == n and sizes["language without outliers"] == n - 1
    assert sizes["outliers alone"] == 2 and sizes["language with a norm match"] < n
    drawn = [name for name in sizes if name.endswith(("-000", "-001", "-002"))]
    kinds = {name[:-4] for name in drawn}
    assert len(kinds) == 4 and len(drawn) == 3 * 3 + 2
    own = io.load(apart.masks)
    extra = (kinds - set(apart.study.lesions.kinds)).pop()
    for i in range(2):
        mask = one.masks[f"{extra}-{i:03d}"]
        assert int(mask.sum()) == n - 1 and not (mask.values & (own["mask"] | own["outlier"]).values).any()


def test_controls_without_norms_have_no_norm_match(paths, tmp_path):
    apart = with_masks(paths, tmp_path, lambda found: found, kinds=("uniform",))
    masks = lesioning(apart, None)[0].masks
    assert {name.rpartition("-")[0] for name in masks if name.startswith("uniform")} == {"uniform"}
    assert not any(name.startswith(("norm-matched", "layer-matched")) for name in masks)


def test_files_of_another_kind_and_unknown_parts_are_refused(paths, tmp_path):
    other = Paths(paths.study, tmp_path / "results")
    array = xr.DataArray(np.zeros(2), dims="unit")
    for path, value, read, said in (
        (other.masks, array, lambda: read_masks(other), "must hold the localizer's Dataset"),
        (other.lesion_scores, array.to_dataset(name="a"), lambda: read_scores(other), "must hold scores"),
        (
            other.moments("default", "trained"),
            array,
            lambda: read_moments(other, "default", "trained"),
            "must hold moments, a Dataset",
        ),
    ):
        io.save(value, path)
        with pytest.raises(FileError, match=said):
            read()
    with pytest.raises(InvalidValueError, match=r"what must be one of 'lesions'.*; got 'figures'"):
        score_part(other, "figures", 0)


def test_steps_that_take_more_than_paths_are_called_with_it(paths, tmp_path, monkeypatch):
    threads = []
    monkeypatch.setattr(step_command, "_set_threads", threads.append)
    apart = Paths(paths.study, tmp_path / "results")
    study = json.dumps(paths.study.model_dump(mode="json", exclude_unset=True))
    options = {"study": study, "results": apart.results, "twin": "untrained", "part": 1, "threads": 2}
    step_command.run_step("extract", what="localizer", **options)
    step_command.run_step("moments", what="", **options)
    made, known = (io.load(one.moments("default", "untrained")) for one in (apart, paths))
    xr.testing.assert_allclose(made.drop_attrs(), known.drop_attrs())
    apart.masks.write_bytes(paths.masks.read_bytes())
    step_command.run_step("lesion-part", what="lesions", **options)
    done = {path.stem for path in apart.lesion_work.glob("*.nc")}
    assert "intact" in done and 0 < len(done) < len(lesioning(apart, None)[0].masks)
    assert threads == [2, 2, 2]
    with pytest.raises(InvalidValueError, match="step must be one of 'extract', 'moments', 'lesion-part'"):
        step_command.run_step("extrct", what="", **options)

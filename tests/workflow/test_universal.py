"""The step of figure 23 on two made-up networks that share units, and the figure drawn from its table."""

from __future__ import annotations

import importlib
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from neuroalign import io, stimuli
from neuroalign.errors import InvalidValueError
from neuroalign.workflow.config import load_study
from neuroalign.workflow.paths import Paths

ROOT = Path(__file__).resolve().parents[2]
SMALL = {"n_networks": 3, "n_images": 160, "epochs": 3, "n_rotations": 1, "n_permutations": 9}
N_SHARED, N_UNITS = 5, 12


def network(shared, seed):
    """Two layers of sparse units, of which the first ones of the second layer are shared."""
    rng = np.random.default_rng(seed)
    n = len(shared)
    own = np.maximum(rng.standard_normal((n, 2 * N_UNITS)), 0)
    own[:, N_UNITS : N_UNITS + N_SHARED] = shared + 0.1 * rng.standard_normal(shared.shape)
    return xr.DataArray(
        own,
        dims=("stimulus", "unit"),
        coords={
            "stimulus": stimuli.story()["stimulus"].to_numpy()[1:],
            "layer": ("unit", np.repeat([0, 4], N_UNITS)),
            "index": ("unit", np.tile(np.arange(N_UNITS), 2)),
        },
    )


def read(paths, words, twin):
    rng = np.random.default_rng(0 if twin == "trained" else 1)
    names = ("One", "Two")
    shared = np.maximum(rng.standard_normal((2, len(words) - 1, N_SHARED)), 0)
    if twin == "trained":
        shared[1] = shared[0]
    return {name: network(part, i) for i, (name, part) in enumerate(zip(names, shared, strict=True))}, {}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    study = load_study({"name": "t", "title": "T", "universal": SMALL})
    paths = Paths(study, tmp_path_factory.mktemp("results"))
    module = importlib.import_module("neuroalign.workflow.steps.universal")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_read", read)
        module.universal(paths)
    return paths


def table(paths) -> pd.DataFrame:
    text = ("kind", "network", "other", "twin", "layer", "other_layer", "quantity", "words")
    return io.read_table(paths.figure(23, "tsv"), text=text)


def one(rows: pd.DataFrame, **where: str) -> float:
    for key, value in where.items():
        rows = rows[rows[key] == value]
    return rows["value"].item()


def test_the_shared_layer_has_the_excess_and_the_other_has_none(made):
    rows = table(made)
    assert one(rows, kind="layer", network="One", twin="trained", layer="4", quantity="excess") > 0.1
    assert abs(one(rows, kind="layer", network="One", twin="trained", layer="0", quantity="excess")) < 0.06
    assert abs(one(rows, kind="layer", network="One", twin="untrained", layer="4", quantity="excess")) < 0.06
    between = rows[(rows["kind"] == "layers") & (rows["twin"] == "trained") & (rows["network"] == "Two")]
    best = between.loc[between["value"].idxmax()]
    assert (best["layer"], best["other_layer"]) == ("4", "4")


def test_the_shared_units_are_the_best_pairs_and_have_words(made):
    pairs = table(made).query("kind == 'pair' and twin == 'trained'").iloc[:N_SHARED]
    assert (pairs["layer"] == "4").all() and (pairs["unit"] == pairs["other_unit"]).all()
    assert (pairs["value"] > 0.9).all() and pairs["words"].str.len().min() > 0


def test_histograms_sum_to_one(made):
    rows = table(made).query("kind == 'histogram'")
    sums = rows.groupby(["network", "twin", "quantity"])["value"].sum()
    np.testing.assert_allclose(sums, 1.0, atol=1e-9)


def test_digits_networks_are_measured_in_every_layer(made):
    rows = table(made).query("kind == 'digits'")
    assert set(rows["layer"]) == {f"layer {i}" for i in range(1, 7)}
    assert one(rows, twin="trained", layer="layer 1", quantity="stitching_within") > 0.4
    assert one(rows, twin="trained", layer="layer 1", quantity="matched") > 0.2


def test_the_figure_is_drawn_and_its_caption_says_what_there_is_not(made):
    script = ROOT / "analyses/universal_units/figure.py"
    subprocess.run([sys.executable, script, made.figure(23, "tsv")], check=True)
    assert made.figure(23, "png").exists() and made.figure(23, "pdf").exists()
    caption = io.read_json(made.figure(23, "json"))["caption"]
    assert "There is no noise ceiling" in caption
    assert "492 words choose" in caption and "Rotated" in caption and "random weights" in caption


def test_the_study_in_the_repository_is_right():
    study = load_study(ROOT / "config/universal_units.yaml")
    assert Paths(study).figures() == [23]
    with pytest.raises(InvalidValueError, match="threshold"):
        load_study({"name": "t", "title": "T", "universal": {"threshold": 0}})


def test_units_of_two_networks_are_read_word_by_word(tiny_llama, tmp_path, monkeypatch):
    module = importlib.import_module("neuroalign.workflow.steps.universal")
    other = shutil.copytree(tiny_llama, tmp_path / "other-llama")
    section = {**SMALL, "networks": (str(tiny_llama), str(other)), "site": "block", "layer_step": 2}
    study = load_study({"name": "t", "title": "T", "universal": section | {"context": 64, "stride": 32}})
    monkeypatch.setattr(module, "_digits", lambda *_: (pd.DataFrame({"kind": ["digits"]}), {}))
    paths = Paths(study, tmp_path / "results")
    module.universal(paths)
    rows = table(paths)
    layers = rows[(rows["kind"] == "layer") & (rows["quantity"] == "excess")]
    assert set(layers["twin"]) == {"trained", "untrained"}
    assert sorted(layers.query("network == 'tiny-llama' and twin == 'trained'")["layer"]) == ["0", "2"]
    assert sorted(layers.query("network == 'other-llama' and twin == 'trained'")["layer"]) == ["0", "1", "2"]
    # The second network is the first: each of its units has a twin.
    where = {"kind": "layer", "network": "tiny-llama", "twin": "trained", "layer": "2", "quantity": "r"}
    assert one(rows, **where) == pytest.approx(1.0, abs=1e-5)

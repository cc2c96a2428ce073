"""The topological step, small: its two tables, the controls in them, the figures drawn from them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from neuroalign import io
from neuroalign.rsa import topology as t
from neuroalign.schema import make_rdm
from neuroalign.workflow.config import load_study
from neuroalign.workflow.digits import LAYERS, digit_activations
from neuroalign.workflow.paths import Paths
from neuroalign.workflow.steps.topology import BRAINS, topological_rsa

ROOT = Path(__file__).resolve().parents[2]
SMALL = {"n_networks": 4, "n_images": 20, "epochs": 2, "noise": (0.0, 1.0), "metrics": ("correlation",)}
SMALL |= {"step": 0.25, "n_bootstrap": 10, "n_permutations": 49}


def paths_of(folder, **section):
    return Paths(load_study({"name": "t", "title": "T", "topology": SMALL | section}), folder)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The step, with people of whom each has a geometry of their own in place of a data set."""
    rng = np.random.default_rng(0)
    rows = rng.random((4, 28)) + 0.01 * rng.standard_normal((3, 4, 28))
    coords = {"session": [1, 2, 3], "subject": list("abcd")}
    rdms = make_rdm(rows, [f"s{i}" for i in range(8)], dims=["session", "subject"], coords=coords)
    paths = paths_of(tmp_path_factory.mktemp("results"), brains=("finger7t",))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(BRAINS, "finger7t", lambda: (rdms, "session", "0" * 64))
        topological_rsa(paths)
    return paths


def table(paths, number):
    return io.read_table(paths.figure(number, "tsv"), text=("data", "metric", "kind", "name", "of"))


def test_every_noise_level_has_a_map_controls_families_and_chosen_thresholds(made):
    values = table(made, 12)
    assert set(values["data"]) == {"digits networks"}
    for _, part in values.groupby("noise"):
        assert (part["kind"] == "cell").sum() == t.grid(0.25).sizes["cell"]
        summary = part[part["kind"] == "summary"].set_index("name")
        assert summary.index[:3].tolist() == list(t.CONTROLS)
        assert {f"family: {name}" for name in t.FAMILIES} < set(summary.index)
        assert summary["value"].between(0, 1).all()
        assert summary.loc["rank", ["gain", "gain_low", "gain_high"]].tolist() == [0, 0, 0]
        assert (part["kind"] == "chosen").sum() == 4
        assert part["chance"].unique().round(6).tolist() == [round(1 / len(LAYERS), 6)]


def test_known_truth_is_in_the_second_table(made):
    values, notes = table(made, 13), io.read_json(made.figure(13, "provenance.json"))["notes"]
    where = values[values["kind"] == "place"]
    assert where["name"].unique().tolist() == ["raw", "z-scored", "rank", "RGTM", "RGDM"]
    for name, partner in (("raw", "twisted 8"), ("rank", "twisted 8"), ("RGDM", "untangled flat 8")):
        part = where[where["name"] == name].set_index("of")[["x", "y"]]
        distance = ((part - part.loc["flat 8"]) ** 2).sum(axis=1).drop("flat 8")
        assert distance.idxmin() == partner
    assert notes["rings"] == {"hops": 1.0, "rank": pytest.approx(0.735, abs=1e-3), "weighted": 0.9947}
    assert notes["agtdm"]["p"] <= 0.1


def test_people_with_geometries_of_their_own_are_found_every_time(made):
    values = table(made, 13)
    own = values[(values["data"] == "finger7t") & (values["kind"] == "summary")].set_index("name")
    assert own.loc[["raw", "z-scored", "rank"], "value"].tolist() == [1.0, 1.0, 1.0]
    assert own["chance"].unique().tolist() == [0.25]
    about = io.read_json(made.figure(13, "provenance.json"))
    assert about["provenance"]["inputs"]["finger7t"] == "0" * 64 and about["notes"]["brains"] == ["finger7t"]


@pytest.mark.parametrize(("script", "number"), [("figure", 12), ("known", 13)])
def test_the_figures_are_drawn_and_say_what_is_simulated(made, script, number):
    command = [sys.executable, ROOT / f"analyses/topological_rsa/{script}.py", made.figure(number, "tsv")]
    subprocess.run(list(map(str, command)), check=True)
    caption = io.read_json(made.figure(number, "json"))["caption"]
    assert "SIMULATED" in caption
    assert "nan" not in caption
    for extension in ("pdf", "png"):
        assert made.figure(number, extension).stat().st_size > 10_000


def test_a_network_depends_on_its_own_seed_only():
    options = {"n_images": 20, "epochs": 1, "seed": 3, "progress": False}
    two, scores = digit_activations(2, **options)
    three, more = digit_activations(3, **options)
    np.testing.assert_array_equal(three[:2], two)
    np.testing.assert_array_equal(more[:2], scores)
    assert not np.array_equal(two[0], two[1])
    assert two.dims == ("seed", "layer", "stimulus", "unit")
    assert np.bincount(two["digit"].values).tolist() == [2] * 10


@pytest.mark.parametrize(("name", "over", "shape"), [("kriegeskorte92", 2, 4), ("finger7t", 2, 7)])
def test_people_are_found_from_their_other_session(data_root, name, over, shape):
    rdms, dim, digest = BRAINS[name]()
    assert (rdms.sizes[dim], rdms.sizes["subject"]) == (over, shape)
    assert len(digest) == 64
    found = t.model_selection(rdms, over=dim, classes="subject", cells=t.grid(0.5))
    assert found["summary_accuracy"].sel(summary="rank") > found.attrs["chance"]

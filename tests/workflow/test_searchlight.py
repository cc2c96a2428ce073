"""The step of figure 19 on a simulated person: which spheres are found, maps as files, the figure."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from benchmarks.searchlight_calibration import null_rates
from neuroalign import datasets, io
from neuroalign.datasets.known.haxby import CATEGORIES
from neuroalign.workflow.config import load_study
from neuroalign.workflow.paths import Paths
from neuroalign.workflow.sections import Searchlight
from neuroalign.workflow.steps import searchlight_simulation
from neuroalign.workflow.steps.searchlight import block_patterns, category_model, object_maps, searchlight

ROOT = Path(__file__).resolve().parents[2]
PLANTED = {"shape": [8, 8, 5], "region_radius": 5, "snr": 0.3, "n_subjects": 7, "n_runs": 3, "n_null": 9}
PLANTED |= {"n_permutations": 39}
SMALL = {"radius": 5, "n_permutations": 39, "n_splits": 2, "planted": PLANTED}
N_RUNS, N_BLOCK = 4, 4
PLACES = datasets.volume_places((9, 8, 1), voxel=3.0)


def simulated():
    """Blocks of eight categories in runs; some voxels tell them apart."""
    rng = np.random.default_rng(0)
    kinds = xr.DataArray(np.eye(8), dims=("stimulus", "feature"), coords={"stimulus": list(CATEGORIES)})
    kinds[2:7, 2:7] = 0.2 + 0.1 * np.eye(5)
    brain = datasets.planted(
        PLACES, {"here": kinds}, regions={"here": ((6.0, 0.0, 0.0), 5.0)}, snr=6.0, n_runs=N_RUNS, rng=1
    )
    parts, run, condition = [], [], []
    for r in range(N_RUNS):
        for name in rng.permutation([*CATEGORIES, "rest"]):
            level = 0.0 if name == "rest" else brain["responses"].sel(stimulus=name).values[r]
            parts.append(level + rng.standard_normal((N_BLOCK, PLACES.sizes["neuroid"])))
            run += [r + 1] * N_BLOCK
            condition += [name] * N_BLOCK
    values = np.concatenate(parts) + 100.0
    coords = {str(k): c.variable for k, c in PLACES.coords.items()}
    coords |= {"time": 2.5 * np.arange(len(values)), "run": ("time", run), "condition": ("time", condition)}
    attrs = {**PLACES.attrs, "tr": 2.5, "cite": "nobody"}
    return xr.DataArray(values, dims=("time", "neuroid"), coords=coords, attrs=attrs), brain["roi"].values


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    series, _ = simulated()
    paths = Paths(
        load_study({"name": "t", "title": "T", "searchlight": SMALL}), tmp_path_factory.mktemp("results")
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("neuroalign.datasets.load", lambda name, image: series)
        patch.setattr(searchlight_simulation, "N_NEAREST", 7)
        searchlight(paths)
    return paths


def table(paths):
    return io.read_table(paths.figure(19, "tsv"), text=("kind", "name"))


def test_patterns_are_the_means_of_blocks_and_residuals_what_is_left():
    series, _ = simulated()
    patterns, residuals, dof = block_patterns(series)
    assert patterns.dims == ("presentation", "neuroid") and len(patterns) == 8 * N_RUNS
    frame = pd.DataFrame(series.values).groupby([series["run"].values, series["condition"].values])
    expected = frame.mean()
    for i in (0, 9, 30):
        key = (patterns["run"].values[i], patterns["condition"].values[i])
        np.testing.assert_allclose(patterns.values[i], expected.loc[key])
        assert patterns["stimulus"].values[i] == f"{key[0]}/{key[1]}"
    np.testing.assert_allclose(residuals.values, series.values - frame.transform("mean"), atol=1e-9)
    # 4 runs of 9 means, of which a run's slope takes one more.
    assert dof == len(series) - 4 * 9 - 4


def test_the_model_tells_faces_houses_scrambled_and_small_objects_apart():
    model = category_model(np.array(CATEGORIES))
    pairs = zip(model["stimulus_a"].values, model["stimulus_b"].values, model.values, strict=True)
    same = {frozenset((a, b)) for a, b, value in pairs if value == 0}
    small = ("bottle", "cat", "chair", "scissors", "shoe")
    assert same == {frozenset((a, b)) for a in small for b in small if a < b}


def test_the_spheres_that_know_are_found_and_shuffled_labels_are_not():
    series, roi = simulated()
    maps, notes = object_maps(series, Searchlight(**SMALL), seed=0)
    inside = roi == "here"
    decoding, model = maps.sel(map="decoding").values, maps.sel(map="model").values
    assert decoding[inside].mean() > 0.35 and notes["decoding"]["chance"] == 0.125
    assert (maps.sel(map="decoding p_max").values[inside] <= 0.05).mean() > 0.5
    assert model[inside].mean() > 0.5 > maps.sel(map="shuffled").values[inside].mean() + 0.2
    assert notes["n_voxels"] == PLACES.sizes["neuroid"] and notes["n_runs"] == N_RUNS


@pytest.mark.parametrize("name", ["objects", "planted"])
def test_volume_maps_are_images_that_read_back_as_the_table_says(made, name):
    image = nib.load(made.map(name))
    kind = {"objects": "voxel", "planted": "simulated voxel"}[name]
    rows = table(made)
    rows = rows[rows["kind"] == kind]
    record = io.read_json(made.map(name, "provenance.json"))
    np.testing.assert_allclose(image.affine, np.array(record["affine"]))
    assert list(image.shape[:3]) == record["shape"] and image.header.get_xyzt_units()[0] == "mm"
    assert image.shape[3] == len(record["maps"])
    ijk = tuple(rows[axis].to_numpy(int) for axis in "ijk")
    for i, column in enumerate(record["maps"]):
        np.testing.assert_allclose(image.dataobj[..., i][ijk], rows[column].to_numpy(np.float32), rtol=1e-5)
    inside = np.zeros(image.shape[:3], dtype=bool)
    inside[ijk] = True
    assert np.isnan(np.asarray(image.dataobj)[~inside]).all()
    assert rows["name"].tolist() == ["-".join(map(str, place)) for place in zip(*ijk, strict=True)]
    places = nib.affines.apply_affine(image.affine, np.stack(ijk, axis=1))
    np.testing.assert_allclose(places, rows[["x", "y", "z"]].to_numpy(float), atol=1e-6)


def test_the_surface_map_is_a_gifti_of_the_left_hemisphere(made):
    image = nib.load(made.map("surface", "func.gii"))
    assert [array.meta["Name"] for array in image.darrays] == ["score", "p_max", "truth", "near"]
    assert image.meta["AnatomicalStructurePrimary"] == "CortexLeft"
    assert {array.data.shape for array in image.darrays} == {(10_242,)}
    rows = table(made).query("kind == 'simulated vertex'")
    vertices = rows["vertex"].to_numpy(int)
    np.testing.assert_allclose(image.darrays[0].data[vertices], rows["score"].to_numpy(np.float32), rtol=1e-5)
    np.testing.assert_array_equal(np.flatnonzero(image.darrays[3].data), vertices)


def test_the_planted_region_is_found_and_the_other_one_is_not(made):
    said = io.read_json(made.figure(19, "provenance.json"))["notes"]["planted"]
    assert said["hits"] > 0.6 and said["n_false"] <= 1
    assert said["n_other"] <= said["size_other"] // 4
    curve = table(made).query("kind == 'curve'")
    together, random = (
        curve[curve["name"] == name] for name in ("subjects together", "models in random order")
    )
    assert _area(together) > 0.9 and abs(_area(random) - 0.5) < 0.25


def _area(rows):
    false, hits = rows["false"].to_numpy(float), rows["hits"].to_numpy(float)
    return np.trapezoid(np.r_[0.0, hits], np.r_[0.0, false])


def test_the_figure_is_drawn_and_its_caption_says_what_is_simulated(made):
    script = ROOT / "analyses/searchlight/figure.py"
    subprocess.run([sys.executable, script, made.figure(19, "tsv")], check=True)
    assert made.figure(19, "png").exists() and made.figure(19, "pdf").exists()
    said = io.read_json(made.figure(19, "json"))
    assert "SIMULATED" in said["caption"] and "shuffled" in said["caption"] and "ceiling" in said["caption"]
    assert said["notes"]["simulated"] is True


def test_a_few_null_sets_are_tested_and_counted():
    rates = null_rates(12)
    assert rates["sets"].tolist() == [12] * 4
    assert (rates["family-wise rate"] <= 0.3).all()
    assert rates["rate of single places"].between(0.0, 0.2).all()

"""The step of figure 16 on a simulated movie: which voxels are found, its table, the figure drawn from it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from neuroalign import io
from neuroalign.encoding import delay
from neuroalign.stimuli import pixels
from neuroalign.workflow.config import load_study
from neuroalign.workflow.paths import Paths
from neuroalign.workflow.steps.movie import movie

ROOT = Path(__file__).resolve().parents[2]
SMALL = {"rows": 2, "columns": 3, "n_directions": 2, "delays": (1, 2), "other_delays": ((0, 1),)}
SMALL |= {"alphas": {"low": 0, "high": 4, "n": 5}, "n_folds": 4, "purge": 3, "n_candidates": 3}
SMALL |= {"n_permutations": 99}
N_TIMES, N_DRIVEN, N_VOXELS = 160, 4, 40


def simulated():
    """A movie of noise and voxels of which some are driven by one of its places, two volumes later."""
    rng = np.random.default_rng(0)
    seconds = 1.5 * np.arange(N_TIMES)
    seen = xr.DataArray(
        rng.standard_normal((N_TIMES, 4, 6)),
        dims=("time", "y", "x"),
        coords={"time": seconds, "y": 0.75 - 0.5 * np.arange(4), "x": 0.5 * np.arange(6) - 1.25},
    )
    places = delay(pixels(seen, rows=2, columns=3), [2], runs=1).values[:, :N_DRIVEN]
    signal = np.hstack([2 * places, np.zeros((N_TIMES, N_VOXELS - N_DRIVEN))])
    published = np.r_[np.full(N_DRIVEN, 0.6), np.full(N_VOXELS - N_DRIVEN - 1, 0.05), np.nan]
    series = xr.DataArray(
        signal + rng.standard_normal(signal.shape),
        dims=("time", "neuroid"),
        coords={
            "time": seconds,
            "run": ("time", np.ones(N_TIMES, dtype=int)),
            "neuroid": [f"v{i}" for i in range(N_VOXELS)],
            "prf_x": ("neuroid", np.linspace(-5, 5, N_VOXELS)),
            "prf_y": ("neuroid", np.linspace(3, -3, N_VOXELS)),
            "prf_r2": ("neuroid", published),
        },
        attrs={"tr": 1.5, "n_constant": 0, "cite": "nobody"},
    )
    return series, seen


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    series, seen = simulated()
    paths = Paths(load_study({"name": "t", "title": "T", "movie": SMALL}), tmp_path_factory.mktemp("results"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "neuroalign.datasets.load",
            lambda name, what="series": seen if what == "stimulus" else series,
        )
        movie(paths)
    return paths


def table(paths):
    return io.read_table(paths.figure(16, "tsv"), text=("kind", "name"))


def test_the_driven_voxels_are_predicted_and_no_others(made):
    voxels = table(made).query("kind == 'voxel'")
    driven = np.arange(N_VOXELS) < N_DRIVEN
    assert (voxels["r pixels"][driven] > 0.4).all()
    assert (voxels["p_max"][driven] < 0.05).all()
    silent = voxels[~driven]
    assert abs(silent["r pixels"].mean()) < 0.1
    assert abs(voxels["r backwards"].mean()) < 0.1
    # 36 true nulls at .05: more than 5 below happen once in a hundred times.
    assert (silent["p"] < 0.05).sum() <= 5


def test_shares_are_of_the_joint_model_and_pixels_have_them(made):
    voxels = table(made).query("kind == 'voxel'").iloc[:N_DRIVEN]
    assert (voxels["share pixels"] > 2 * voxels["share motion energy"].abs()).all()
    assert (voxels["share pixels"] < 1).all()


def test_every_set_of_features_has_a_summary_and_the_control_is_among_them(made):
    summary = table(made).query("kind == 'summary'").set_index("name")
    assert summary.index.tolist() == [
        "pixels",
        "motion energy",
        "backwards",
        "both",
        "pixels, delays 0 to 1, no purge",
    ]
    voxels = table(made).query("kind == 'voxel'")
    assert summary.loc["pixels", "mean r"] == pytest.approx(voxels["r pixels"].mean(), abs=1e-6)
    assert summary.loc["pixels", "spearman with published"] > 0.5


def test_the_figure_is_drawn_and_its_caption_says_what_there_is_not(made):
    script = ROOT / "analyses/v1_encoding/figure.py"
    subprocess.run([sys.executable, script, made.figure(16, "tsv")], check=True)
    assert made.figure(16, "png").exists() and made.figure(16, "pdf").exists()
    caption = io.read_json(made.figure(16, "json"))["caption"]
    assert "There is no noise ceiling" in caption
    assert "reverse order" in caption

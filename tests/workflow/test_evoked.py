"""The step of figure 18 on simulated people with a planted effect, and the known values of the real ones."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from scipy.stats import ttest_1samp

from neuroalign import datasets, io, rsa, stats
from neuroalign.errors import InvalidValueError
from neuroalign.workflow.config import load_study
from neuroalign.workflow.paths import Paths
from neuroalign.workflow.steps.evoked import _models, evoked

ROOT = Path(__file__).resolve().parents[2]
SMALL = {"step": 0.1, "n_flips": 199, "n_bootstrap": 50, "window": (0.4, 0.6), "baseline": (-0.2, -0.02)}
CONDITIONS = ["congruent/clear", "incongruent/clear", "congruent/noise", "incongruent/noise"]
SENSORS = ["Cz", "CPz", "Pz", "C3", "C4", "Fz", "Oz", "Fpz"]
TEXT = ("kind", "part", "name")


def simulated(n=10):
    """Noise, and a negative bump of incongruent words over three sensors: at .45 s, in noise at .55 s."""
    rng = np.random.default_rng(0)
    times = np.arange(-10, 51) / 50
    angles, turn = np.deg2rad([0, 30, 60, 45, 45, 45, 80, 85]), np.deg2rad([0, 270, 270, 180, 0, 90, 270, 90])
    places = np.column_stack([np.sin(angles) * np.cos(turn), np.sin(angles) * np.sin(turn), np.cos(angles)])
    shape = (n, len(CONDITIONS), len(SENSORS), len(times))
    values = 0.5 * rng.standard_normal(shape) + np.linspace(-2, 2, 8)[:, None]
    for i, (condition, middle) in enumerate(zip(CONDITIONS, [0, 0.45, 0, 0.55], strict=True)):
        if middle:
            bump = -6 * np.exp(-0.5 * ((times - middle) / 0.08) ** 2)
            values[:, i, :3] += bump
        assert condition.split("/")[0] == ("incongruent" if middle else "congruent")
    words = [condition.split("/") for condition in CONDITIONS]
    coords = {
        "subject": [f"p{i}" for i in range(n)],
        "stimulus": CONDITIONS,
        "neuroid": SENSORS,
        "time": times,
        "congruence": ("stimulus", [word[0] for word in words]),
        "listening": ("stimulus", [word[1] for word in words]),
        "n_trials": (("subject", "stimulus"), np.full((n, 4), 20)),
        **{axis: ("neuroid", places[:, i]) for i, axis in enumerate("xyz")},
    }
    dims = ("subject", "stimulus", "neuroid", "time")
    return xr.DataArray(values, dims=dims, coords=coords, attrs={"cite": "nobody"})


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    paths = Paths(
        load_study({"name": "t", "title": "T", "evoked": SMALL}), tmp_path_factory.mktemp("results")
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("neuroalign.datasets.load", lambda name: simulated())
        evoked(paths)
    return paths


def rows(paths, kind, **wanted):
    found = io.read_table(paths.figure(18, "tsv"), text=TEXT)
    found = found[found["kind"] == kind]
    for column, value in wanted.items():
        found = found[found[column] == value]
    return found


def test_the_planted_effect_has_a_cluster_where_it_is_and_the_baseline_has_none(made):
    for how, middle in (("clear", 0.45), ("noise", 0.55)):
        clusters = rows(made, "cluster", part="waves", name=how)
        best = clusters.sort_values("p").iloc[0]
        assert best["p"] < 0.01 and best["low"] < middle < best["high"] and best["value"] < 0
    sure = rows(made, "cluster").query("p <= .05 and part != 'generalisation'")
    assert (sure["low"] > 0.1).all()


def test_the_sensors_with_the_effect_are_marked_and_no_others(made):
    sensors = rows(made, "sensor", part="clear").set_index("name")
    assert (sensors.loc[SENSORS[:3], "p"] < 0.05).all() and (sensors.loc[SENSORS[:3], "value"] < -2).all()
    assert sensors.loc[SENSORS[5:], "value"].abs().max() < 1


def test_the_model_of_the_effect_wins_and_the_three_add_up_to_nothing(made):
    window = rows(made, "window", part="pearson").set_index("name")["value"]
    assert window["congruence"] > 0.4 and window["congruence"] == window.max()
    scores = rows(made, "score", part="pearson").pivot(index="time", columns="name", values="value")
    np.testing.assert_allclose(scores.sum(axis=1), 0, atol=1e-6)
    ceiling = rows(made, "ceiling", part="pearson")
    assert (ceiling["low"] < ceiling["high"]).all() and len(ceiling) == 13


def test_latencies_and_their_difference_are_those_planted(made):
    found = rows(made, "latency", part="fractional-area").set_index("name")
    assert found.loc["clear", "value"] == pytest.approx(0.45, abs=0.03)
    difference = found.loc["noise - clear"]
    assert difference["value"] == pytest.approx(0.1, abs=0.03) and difference["p"] < 0.01
    assert difference["low"] < 0.1 < difference["high"]


def test_people_share_their_rdms_while_the_effect_lasts_only(made):
    table = rows(made, "generalisation")
    same = table[table["time"] == table["time_other"]].set_index("time")["value"]
    during, before = same[(same.index > 0.4) & (same.index < 0.6)], same[same.index < 0]
    assert during.min() > 0.4 and before.mean() < 0.5 * during.mean()


def test_the_figure_is_drawn_and_its_caption_says_what_was_tested(made):
    script = ROOT / "analyses/n400/figure.py"
    subprocess.run([sys.executable, script, made.figure(18, "tsv")], check=True)
    assert made.figure(18, "png").exists() and made.figure(18, "pdf").exists()
    caption = io.read_json(made.figure(18, "json"))["caption"]
    for said in (
        "10 people",
        "199 sign flips",
        "noise ceiling",
        "Control",
        "do not say when",
        "not over sentences",
    ):
        assert said in caption


def test_a_window_that_runs_backwards_is_refused():
    with pytest.raises(InvalidValueError, match="window must run from an earlier to a later time"):
        load_study({"name": "t", "title": "T", "evoked": {"window": (0.6, 0.4)}})


def test_known_values_of_the_real_n400_are_reproduced(data_root):
    eeg = datasets.load("n400_group_eeg", root=data_root)
    window = slice(0.4, 0.6)
    waves = eeg.sel(neuroid=["Cz", "CPz", "Pz"], time=window).mean(["neuroid", "time"])
    effect = waves.sel(stimulus="incongruent/clear") - waves.sel(stimulus="congruent/clear")
    assert float(effect.mean()) == pytest.approx(-1.99, abs=0.005)
    test = ttest_1samp(effect, 0)
    assert test.df == 25 and -3.345 < test.statistic < -3.325
    scores = rsa.time_course(_models(eeg)[0], rsa.movie(eeg, "correlation"), "pearson")
    mean = scores.mean("subject")
    peak = mean.isel(time=mean.argmax("time"))
    assert float(peak) == pytest.approx(0.35, abs=0.005) and 0.4 < float(peak["time"]) < 0.6
    assert float(mean.sel(time=window).mean()) == pytest.approx(0.23, abs=0.005)
    found = stats.cluster_test(scores, n=999, rng=np.random.default_rng(0))
    best = found.isel(cluster=0)
    assert float(best["p_cluster"]) < 0.01 and 0.3 < float(best["peak_time"]) < 0.65
    sure = found["p"].sel(time=slice(-0.2, 0)) <= 0.05
    assert not sure.any()

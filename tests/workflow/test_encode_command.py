"""``neuroalign encode`` on simulated arrays: what it finds and saves, and the mistakes that people make."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from typer.testing import CliRunner

from neuroalign import io
from neuroalign.encoding import RidgeCV, contiguous_splits, delay, evaluate
from neuroalign.workflow.cli import app
from neuroalign.workflow.encode_command import ALPHAS

N_TIMES, N_DRIVEN, N_NEUROIDS = 200, 2, 6


def call(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def saved(x, path):
    io.save(x, path, params={}, seed=None, inputs={})
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Words that drive two of six neuroids two rows later, sound that drives none."""
    folder, rng = tmp_path_factory.mktemp("encode"), np.random.default_rng(0)
    time = {"time": 2.0 * np.arange(N_TIMES)}
    words, sound = (
        xr.DataArray(rng.standard_normal((N_TIMES, 3)), dims=("time", "feature"), coords=time)
        for _ in range(2)
    )
    driven = delay(words, [2], runs=1).values[:, :N_DRIVEN]
    values = rng.standard_normal((N_TIMES, N_NEUROIDS))
    values[:, :N_DRIVEN] += 2 * driven
    names = [f"v{i}" for i in range(N_NEUROIDS)]
    bold = xr.DataArray(values, dims=("time", "neuroid"), coords={**time, "neuroid": names})
    return {
        "folder": folder,
        "words": saved(words, folder / "words.nc"),
        "sound": saved(sound, folder / "sound.nc"),
        "bold": saved(bold, folder / "bold.nc"),
        "runs": saved(bold.assign_coords(run=("time", np.repeat([1, 2], 100))), folder / "runs.nc"),
    }


def test_ridge_is_that_of_the_library(files):
    out = files["folder"] / "scores.nc"
    found = call(
        "encode", files["bold"], files["words"], "--delays", "1,2", "--permutations", "99", "--out", out
    )
    assert found.exit_code == 0, found.output
    scores = io.load(out)
    words, bold = io.load(files["words"]), io.load(files["bold"])
    X = delay(words - words.mean("time"), [1, 2], runs=1)
    expected = evaluate(
        RidgeCV(ALPHAS, purge=2, edge_tolerance=1), X, bold, splits=contiguous_splits(N_TIMES, 5, purge=2)
    ).mean("fold")
    np.testing.assert_allclose(scores["score"], expected, atol=1e-6)
    assert (scores["p_max"].values[:N_DRIVEN] < 0.05).all()
    assert "RidgeCV on cpu; 5 contiguous folds, 2 rows left out beside each" in found.stdout
    assert "above chance: " in found.stdout
    table = io.read_table(out.with_suffix(".tsv"), text=("neuroid",))
    assert table["neuroid"].tolist() == scores["neuroid"].values.tolist()


def test_several_features_are_bands_and_runs_are_left_out_in_turn(files):
    out = files["folder"] / "banded.nc"
    given = (f"language={files['words']}", files["sound"])
    found = call(
        "encode",
        files["runs"],
        *given,
        "--delays",
        "2",
        "--candidates",
        "3",
        "--permutations",
        "19",
        "--out",
        out,
    )
    assert found.exit_code == 0, found.output
    assert "features language (3), sound (3), at delays 2" in found.stdout
    assert "BandedRidgeCV on cpu; one of 2 runs left out in turn" in found.stdout
    assert (io.load(out)["score"].values[:N_DRIVEN] > 0.6).all()


def test_rows_that_are_stimuli_need_no_delays(files):
    folder = files["folder"]
    rows = {"stimulus": [f"s{i}" for i in range(N_TIMES)]}
    words, bold = (
        io.load(files[name]).drop_vars("time").rename(time="stimulus") for name in ("words", "bold")
    )
    responses = saved(bold.assign_coords(rows), folder / "stimulus_responses.nc")
    features = saved(words.assign_coords(rows)[::-1], folder / "stimulus_features.nc")
    found = call("encode", responses, features, "--permutations", "19", "--out", folder / "stimuli.nc")
    assert found.exit_code == 0, found.output
    assert "5 folds of stimuli drawn at random" in found.stdout


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("bold", "words"), "say at which delays features are read"),
        (("bold", "words", "--delays", "one"), "--delays must be whole numbers such as 1,2,3,4; got 'one'"),
        (
            ("bold", "words", "words", "--delays", "1"),
            "feature spaces need different names; 'words' comes twice",
        ),
        (
            ("words", "bold", "--delays", "1"),
            "the second dim of responses must be 'neuroid'; it is 'feature'",
        ),
        (("bold", "words", "--delays", "1", "--device", "tpu"), "device"),
        (("bold", "words", "--delays", "300"), "not more than the largest delay 300"),
    ],
)
def test_mistakes_are_one_message(files, arguments, text):
    given = [files.get(argument, argument) for argument in arguments]
    found = call("encode", *given, "--out", files["folder"] / "wrong.nc")
    assert found.exit_code == 2
    assert found.stderr.startswith("neuroalign: ") and "Traceback" not in found.output
    assert text in found.stderr
    assert not (files["folder"] / "wrong.nc").exists()


def test_a_file_that_is_not_there_is_named(files):
    found = call("encode", files["bold"], files["folder"] / "none.nc", "--delays", "1")
    assert found.exit_code == 2
    assert "none.nc" in found.stderr


def changed(files, name, change):
    """A file beside the others, with what is in one of them changed."""
    return saved(change(io.load(files[name])), files["folder"] / f"changed_{name}.nc")


def by_stimulus(x):
    return x.drop_vars("time").rename(time="stimulus").assign_coords(stimulus=np.arange(N_TIMES))


@pytest.mark.parametrize(
    ("responses", "features", "options", "text"),
    [
        (
            None,
            lambda x: x.expand_dims("layer"),
            ("--delays", "1"),
            "features 'changed_words' must be an array",
        ),
        (
            None,
            lambda x: xr.Dataset({"a": x}),
            ("--delays", "1"),
            "must be an array (time or stimulus, columns)",
        ),
        (
            None,
            by_stimulus,
            ("--delays", "1"),
            "rows of the responses are 'time', those of 'changed_words' are",
        ),
        (by_stimulus, by_stimulus, ("--delays", "1,2"), "rows are stimuli, which have no delays; got [1, 2]"),
        (
            lambda x: x.assign_coords(run=("time", np.ones(N_TIMES, int)))[:-2],
            None,
            ("--delays", "1"),
            "2 times of the features are not in the responses: 396.0, 398.0",
        ),
    ],
    ids=["dims", "dataset", "rows", "delays", "times"],
)
def test_files_that_do_not_go_together_are_one_message(files, responses, features, options, text):
    given = [
        files[name] if change is None else changed(files, name, change)
        for name, change in (("bold", responses), ("words", features))
    ]
    found = call("encode", *given, *options, "--out", files["folder"] / "wrong.nc")
    assert found.exit_code == 2 and text in found.stderr and "Traceback" not in found.output
    assert not (files["folder"] / "wrong.nc").exists()


def test_responses_without_variance_have_no_score_and_that_is_said(files):
    flat = changed(files, "bold", lambda x: by_stimulus(x * 0 + 3))
    words, out = changed(files, "words", by_stimulus), files["folder"] / "flat.nc"
    found = call("encode", flat, words, "--permutations", "19", "--out", out)
    assert found.exit_code == 0, found.output
    assert "no neuroid has a score: all 6 are constant" in found.stdout
    assert np.isnan(io.load(out)["score"]).all()
    still = changed(files, "bold", lambda x: x * 0 + 3)
    found = call("encode", still, files["words"], "--delays", "1", "--permutations", "19")
    assert found.exit_code == 2 and "needs a finite series that varies; none of 6 does" in found.stderr


def test_penalties_within_their_range_are_not_spoken_of(files):
    rng = np.random.default_rng(1)
    driven = changed(files, "bold", lambda x: x[:, :2] + 3 * rng.standard_normal((N_TIMES, 2)))
    given = ("--delays", "0,1,2,3,4,5,6,7,8,9", "--permutations", "19", "--folds", "2")
    found = call("encode", driven, files["words"], *given, "--out", files["folder"] / "inner.nc")
    assert found.exit_code == 0, found.output
    assert "above chance" in found.stdout and "folds: " not in found.stdout

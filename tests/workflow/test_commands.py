"""``neuroalign localize`` and ``neuroalign lesion`` on a tiny network, and the mistakes that people make."""

from __future__ import annotations

import numpy as np
import pytest
from typer.testing import CliRunner

from neuroalign import io, stimuli
from neuroalign.workflow.cli import app


def call(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def mask(tiny_llama, tmp_path_factory):
    out = tmp_path_factory.mktemp("mask") / "mask.nc"
    found = call("localize", tiny_llama, "--fraction", "0.1", "--out", out)
    assert found.exit_code == 0, found.output
    return out, found.stdout


def test_localize_says_what_it_found_and_the_twin_beside_it(mask, tiny_llama):
    out, said = mask
    lines = said.splitlines()
    assert lines[0] == "embedded: 192 stimuli, sentence over nonword, preset default"
    assert all(f"of {96} units" in line and "on held-out runs" in line for line in lines[1:3])
    assert lines[3].startswith(f"saved: {out}")
    assert len(lines) == 4


def test_saved_mask_is_that_of_the_library(mask, tiny_llama):
    from neuroalign.extraction import load_model
    from neuroalign.localization import localize, preset, preset_moments

    chosen = preset("default", fraction=0.1)
    moments = preset_moments(load_model(str(tiny_llama)), stimuli.localizer(), chosen, progress=False)
    expected = localize(moments, "sentence", "nonword", preset=chosen)
    found = io.load(mask[0])
    np.testing.assert_array_equal(found["mask"], expected["mask"])
    np.testing.assert_allclose(found["t"], expected["t"], rtol=1e-10)
    assert {"magnitude", "outlier", "d", "p"} <= set(found)


def test_lesion_compares_with_three_kinds_of_random_masks(mask, tiny_llama, tmp_path):
    out = tmp_path / "lesion.tsv"
    arguments = ("lesion", tiny_llama, mask[0], "--per-paradigm", "2", "--controls", "3", "--out", out)
    found = call(*arguments, "--folder", tmp_path / "work")
    assert found.exit_code == 0, found.output
    table = io.read_table(out, text=("mask", "kind"))
    assert table["kind"].value_counts().to_dict() == {
        "uniform": 3,
        "layer-matched": 3,
        "norm-matched": 3,
        "named": 2,
    }
    assert f"intact {table['accuracy'][0]:.3f}" in found.stdout
    assert found.stdout.count("(cannot go below 0.250)") == 3
    again = call(*arguments, "--folder", tmp_path / "work")
    assert again.stdout == found.stdout


def test_lesion_refuses_the_mask_of_another_network(mask, tiny_llama, tmp_path):
    found = call("lesion", "all-minilm-l6-v2", mask[0], "--per-paradigm", "1", "--controls", "1")
    assert found.exit_code == 2
    assert found.stderr.startswith("neuroalign: ") and "mask" in found.stderr


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--preset", "brainscor"), "preset must be one of"),
        (("--fraction", "0.1", "--k", "3"), "exactly one of"),
        (("--k", "97"), "97"),
        (("--positive", "sentense"), "lacks the conditions 'sentense'"),
        (("--positive", "nonword"), "positive and negative must differ"),
        (("--stimuli", "absent.tsv"), "absent.tsv"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_mistakes_of_localize_are_one_message(tiny_llama, tmp_path, arguments, text):
    out = tmp_path / "mask.nc"
    found = call("localize", tiny_llama, "--no-twin", "--out", out, *arguments)
    assert found.exit_code == 2, found.output
    last = found.stderr.splitlines()[-1]  # after a progress bar, where there was one
    assert last.startswith("neuroalign: ") and text in last
    assert not out.exists()


def test_mistakes_of_lesion_are_one_message(tiny_llama, tmp_path):
    io.save(io_dataset(), tmp_path / "other.nc")
    for path, text in (
        (tmp_path / "absent.nc", "does not exist"),
        (tmp_path / "other.nc", "must hold a mask"),
    ):
        found = call("lesion", tiny_llama, path)
        assert found.exit_code == 2 and text in found.stderr, found.output


def io_dataset():
    import xarray as xr

    return xr.Dataset({"t": ("unit", np.zeros(3))})


@pytest.mark.parametrize("command", ["localize", "lesion"])
def test_help_has_an_example(command):
    found = call(command, "--help")
    assert found.exit_code == 0 and "Example: neuroalign" in found.stdout

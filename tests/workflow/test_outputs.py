import numpy as np
import pandas as pd
import pytest
import xarray as xr

from neuroalign import io
from neuroalign.workflow.config import load_study
from neuroalign.workflow.outputs import remove_damaged
from neuroalign.workflow.paths import Paths
from neuroalign.workflow.sections import Objects
from neuroalign.workflow.steps.common import write_values


@pytest.fixture
def paths(tmp_path):
    found = Paths(
        load_study({"name": "mine", "title": "Mine", "localizer": {}, "objects": {}}), tmp_path / "results"
    )
    io.save(xr.DataArray(np.arange(3.0), dims="unit"), found.masks)
    write_values(found, 6, pd.DataFrame({"a": [1.0, 2.0]}), inputs={}, section=Objects())
    out = found.activations("localizer", "trained")
    io.make_folder(out.parent)
    with io.layer_writer(out, {"l0": 2}, np.array(["a", "b"]), {"key": "k"}) as writer:
        writer.write(np.arange(2), {"l0": np.ones((2, 2), dtype=np.float32)})
    return found


def test_sound_outputs_and_missing_ones_are_left_alone(paths):
    assert remove_damaged(paths) == []
    assert paths.masks.exists()


@pytest.mark.parametrize("which", ["masks", "table", "layers"])
def test_an_output_cut_short_or_changed_is_removed(paths, which):
    path = {
        "masks": paths.masks,
        "table": paths.figure(6, "tsv"),
        "layers": paths.activations("localizer", "trained"),
    }[which]
    path.write_bytes(path.read_bytes()[:-9])
    assert remove_damaged(paths) == [path]
    assert not path.exists()
    assert remove_damaged(paths) == []


def test_a_table_without_its_digest_is_not_trusted(paths):
    paths.figure(6, "provenance.json").write_text("{}")
    assert remove_damaged(paths) == [paths.figure(6, "tsv")]

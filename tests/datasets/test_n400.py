"""The averaged EEG of the sentence N400: labels, units, selectors."""

from __future__ import annotations

import numpy as np
import pytest

from neuroalign import datasets
from neuroalign.errors import FileError, InvalidValueError

mne = pytest.importorskip("mne", reason="the eeg extra is not installed")


@pytest.fixture(scope="module")
def two(data_root):
    return datasets.load("n400_group_eeg", root=data_root, subjects=["p13", "p02"])


def test_n400_has_the_documented_dims_and_labels(two):
    assert dict(two.sizes) == {"subject": 2, "stimulus": 4, "neuroid": 64, "time": 615}
    assert two["subject"].values.tolist() == ["p13", "p02"]
    assert two["congruence"].values.tolist() == ["congruent", "incongruent"] * 2
    assert two["listening"].values.tolist() == ["clear", "clear", "noise", "noise"]
    assert two["n_trials"].values.tolist() == [[10, 10, 38, 30], [27, 25, 33, 22]]
    assert np.isfinite(two.values).all() and two.attrs["n_files"] == 2


def test_n400_times_are_samples_of_512_hz_around_the_word(two):
    np.testing.assert_allclose(np.diff(two["time"]), 1 / 512, rtol=1e-9)
    assert two["time"].values[[0, 102, -1]].tolist() == [-102 / 512, 0.0, 1.0]


def test_n400_values_are_those_of_the_file_in_microvolts(two, data_root):
    path = data_root / "n400_group_eeg/group_data/sentence_n400_p13-ave.fif"
    one = mne.read_evokeds(path, condition="Noise/Violation/Correct", verbose="ERROR")
    np.testing.assert_allclose(two.sel(subject="p13", stimulus="incongruent/noise"), one.data * 1e6)
    assert two["neuroid"].values.tolist() == one.ch_names
    # Averages of EEG are some microvolts large.
    assert 0.5 < float(np.abs(two).mean()) < 10


def test_n400_is_referenced_to_the_mean_of_the_mastoids(two):
    np.testing.assert_allclose(two.sel(neuroid=["TP9", "TP10"]).mean("neuroid"), 0, atol=1e-6)


def test_n400_electrodes_lie_where_a_head_has_them_in_mm(two):
    place = {
        name: [float(two[axis].sel(neuroid=name)) for axis in "xyz"] for name in ("Cz", "Oz", "T7", "T8")
    }
    assert abs(place["Cz"][0]) < 5 and place["Cz"][2] > 100
    assert place["Oz"][1] < -50 and place["T7"][0] < -50 < 50 < place["T8"][0]


def test_n400_refuses_unknown_people_and_a_damaged_file(data_root, tmp_path):
    with pytest.raises(InvalidValueError, match=r"each of subjects must be one of 'p01'.*got 'p27'"):
        datasets.load("n400_group_eeg", root=data_root, subjects=["p27"])
    folder = tmp_path / "n400_group_eeg/group_data"
    folder.mkdir(parents=True)
    (folder / "sentence_n400_p01-ave.fif").write_bytes(b"no FIF")
    with pytest.raises(FileError, match=r"sentence_n400_p01-ave\.fif"):
        datasets.load("n400_group_eeg", root=tmp_path, subjects=["p01"])

"""MNE's Epochs and Evoked as labelled responses, from objects and files, and back."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from neuroalign import datasets, rsa
from neuroalign.datasets import from_mne, read_epochs, to_mne
from neuroalign.errors import FileError, InvalidValueError, LabelError, ShapeError

mne = pytest.importorskip("mne", reason="the eeg extra is not installed")

NAMES = ("Fz", "Cz", "Pz", "Oz", "T7", "T8")
N, RATE = 12, 100.0
EVENTS = {"cat": 1, "dog": 2, "car": 7}


def made(seed=0, *, names=NAMES, n_times=40, rate=RATE, events=None, metadata=True, montage=True):
    """Epochs of EEG whose values are known, with an eye channel and metadata."""
    rng = np.random.default_rng(seed)
    info = mne.create_info([*names, "EOG"], rate, ["eeg"] * len(names) + ["eog"])
    codes = np.tile([2, 1, 7], N // 3)
    table = pd.DataFrame(
        {
            "image": [f"image-{i % 4}" for i in range(N)],
            "animate": codes != 7,
            "rt": rng.uniform(300, 900, N),
            "time": np.arange(N),
        }
    )
    epochs = mne.EpochsArray(
        1e-6 * rng.standard_normal((N, len(names) + 1, n_times)),
        info,
        np.column_stack([100 * np.arange(N), np.zeros(N, int), codes]),
        tmin=-0.1,
        event_id=events or EVENTS,
        metadata=table if metadata else None,
        baseline=None,
        verbose="ERROR",
    )
    return epochs.set_montage("standard_1020", verbose="ERROR") if montage else epochs


def test_single_trials_are_the_epochs_in_microvolts_with_their_labels():
    epochs = made()
    before = epochs.get_data(copy=True)
    found = from_mne(epochs, subject="p1")
    assert found.dims == ("presentation", "neuroid", "time") and found.shape == (N, 6, 40)
    np.testing.assert_allclose(found.values, before[:, :6] * 1e6, rtol=1e-12)
    assert found["stimulus"].values[:3].tolist() == ["dog", "cat", "car"]
    assert found["image"].values[:5].tolist() == ["image-0", "image-1", "image-2", "image-3", "image-0"]
    assert found["animate"].dtype == bool and found["metadata_time"].values.tolist() == list(range(N))
    assert found["trial"].values.tolist() == list(range(N)) and found["subject"].item() == "p1"
    np.testing.assert_allclose(found["time"].values, np.arange(-10, 30) / 100, atol=1e-12)
    assert found["units"].values.tolist() == ["microvolt"] * 6 and found.attrs["sfreq"] == RATE
    assert (epochs.get_data(copy=False) == before).all()


def test_averages_are_those_of_mne_and_of_a_loop():
    epochs = made()
    found = from_mne(epochs, average=True)
    assert found["stimulus"].values.tolist() == ["cat", "dog", "car"]
    assert found["n_trials"].values.tolist() == [4, 4, 4]
    data, codes = epochs.get_data(copy=True)[:, :6], epochs.events[:, 2]
    for name, code in EVENTS.items():
        slow = sum(data[i] for i in range(N) if codes[i] == code) / (codes == code).sum()
        np.testing.assert_allclose(found.sel(stimulus=name), slow * 1e6, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(found.sel(stimulus=name), epochs[name].average().data * 1e6, rtol=1e-9)
    # Columns with one value a stimulus stay, the others go.
    assert found["animate"].values.tolist() == [True, True, False] and "rt" not in found.coords


def test_metadata_name_the_stimuli_and_other_picks_are_taken_by_kind_or_name():
    found = from_mne(made(), by="image", average=True, picks=["EOG", "Cz"])
    assert found["stimulus"].values.tolist() == [f"image-{i}" for i in range(4)]
    assert found["neuroid"].values.tolist() == ["Cz", "EOG"]
    assert found["channel_type"].values.tolist() == ["eeg", "eog"]
    assert from_mne(made(), picks="eog").sizes["neuroid"] == 1
    volts = from_mne(made(), units="SI")
    np.testing.assert_allclose(volts * 1e6, from_mne(made()))
    assert set(volts["units"].values.tolist()) == {"V"}


def test_bad_channels_and_rejected_epochs_are_left_out_and_counted():
    epochs = made()
    epochs.info["bads"] = ["Pz"]
    epochs.drop([0, 5], reason="blink", verbose="ERROR")
    found = from_mne(epochs["cat", "dog"], subject="p1")
    assert "Pz" not in found["neuroid"].values and (found.attrs["n_bads"], found.attrs["bads"]) == (1, "Pz")
    # Of those that were not asked for, none counts as rejected.
    assert found.attrs["n_dropped"] == 2 and found["trial"].values.tolist() == [1, 3, 4, 6, 7, 9, 10]
    with pytest.raises(InvalidValueError, match=r"picks: 'Pz' are marked as bad"):
        from_mne(epochs, picks=["Pz", "Cz"])
    with pytest.raises(ShapeError, match="no channel is left"):
        epochs.info["bads"] = list(NAMES)
        from_mne(epochs)


def test_places_are_in_mm_in_the_frame_of_the_head():
    found = from_mne(made())
    right = {name: float(found["x"].sel(neuroid=name)) for name in ("T7", "T8", "Cz")}
    assert right["T7"] < -60 and right["T8"] > 60 and abs(right["Cz"]) < 5
    assert from_mne(made(montage=False)).attrs["n_without_place"] == 6


def test_meg_is_in_its_units_and_its_places_are_moved_from_the_device_to_the_head():
    info = mne.create_info(["M1", "M2", "M3"], RATE, ["mag", "grad", "mag"])
    turn = np.array([[0.0, -1, 0, 0.01], [1, 0, 0, 0.02], [0, 0, 1, 0.03], [0, 0, 0, 1]])
    info["dev_head_t"] = mne.transforms.Transform("meg", "head", turn)
    info["chs"][0]["loc"][:3] = [0.1, 0.0, 0.05]
    info["chs"][1]["loc"][:3] = [0.0, 0.1, 0.05]
    evoked = mne.EvokedArray(np.full((3, 5), 1e-13), info, comment="tone", nave=7, verbose="ERROR")
    found = from_mne(evoked)
    assert found["units"].values.tolist() == ["fT", "fT/cm", "fT"]
    np.testing.assert_allclose(found.values[0, :, 0], [100.0, 1.0, 100.0])
    assert found["n_trials"].values.tolist() == [7]
    # (0.1, 0, 0.05) turned by 90 degrees about z is (0, 0.1, 0.05); then moved.
    places = np.stack([found[axis].values for axis in "xyz"], axis=1)
    np.testing.assert_allclose(places[:2], [[10, 120, 80], [-90, 20, 80]], atol=1e-4)
    assert np.isnan(places[2]).all() and found.attrs["n_without_place"] == 1
    back = from_mne(to_mne(found))
    np.testing.assert_allclose(back.values, found.values)
    np.testing.assert_allclose(np.stack([back[axis].values for axis in "xyz"], axis=1), places, atol=1e-4)


def test_there_and_back_gives_the_same_averages():
    found = from_mne(made(), average=True)
    evoked = to_mne(found)
    assert [one.comment for one in evoked] == ["cat", "dog", "car"] and evoked[0].nave == 4
    again = from_mne(evoked)
    np.testing.assert_allclose(again.values, found.values, rtol=1e-12)
    for name in ("x", "y", "z", "time"):
        np.testing.assert_allclose(again[name].values, found[name].values, atol=1e-4)
    assert again["n_trials"].values.tolist() == [4, 4, 4]


def test_evoked_are_aligned_by_channel_name():
    one = made().average("eeg")
    one.comment = "first"
    other = one.copy().reorder_channels(list(reversed(NAMES)))
    other.comment = "second"
    found = from_mne([one, other])
    np.testing.assert_allclose(found[0], found[1])


# pandas warns of a call that mne makes.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_epochs_on_disk_are_read_and_left_unloaded(tmp_path):
    path = tmp_path / "a-epo.fif"
    made().save(path, verbose="ERROR")
    lazy = mne.read_epochs(path, preload=False, verbose="ERROR")
    found = from_mne(lazy)
    assert not lazy.preload
    np.testing.assert_allclose(found, from_mne(made()), rtol=1e-5, atol=1e-5)


def test_the_noise_covariance_of_a_baseline_is_that_of_its_deviations():
    found = from_mne(made())
    baseline = found.sel(time=slice(None, 0))
    covariance = rsa.noise_covariance(baseline, "full")
    values = np.moveaxis(baseline.values, 1, 2)
    rows = []
    for stimulus in EVENTS:
        mine = values[found["stimulus"].values == stimulus].reshape(-1, 6)
        rows.append(mine - mine.mean(axis=0))
    stacked = np.concatenate(rows)
    np.testing.assert_allclose(covariance.values, stacked.T @ stacked / (len(stacked) - 3), rtol=1e-9)
    noise = rsa.noise_precision(baseline)
    patterns = found.sel(time=slice(0.1, None)).mean("time")
    assert rsa.rdm(patterns, "mahalanobis", noise=noise).sizes["pair"] == 3


def files(tmp_path, people, kind="epo"):
    paths = []
    for i, epochs in enumerate(people):
        paths.append(tmp_path / f"sub-{i + 1:02d}_task-cats_{kind}.fif")
        epochs.save(paths[-1], verbose="ERROR")
    return paths


def test_several_people_get_a_dim_with_counts_of_their_own(tmp_path):
    people = [made(seed) for seed in range(3)]
    people[1].drop([0], reason="blink", verbose="ERROR")
    found = read_epochs(files(tmp_path, people), average=True)
    assert found.dims == ("subject", "stimulus", "neuroid", "time")
    assert found["subject"].values.tolist() == ["01", "02", "03"]
    assert found["n_trials"].values.tolist() == [[4, 4, 4], [4, 3, 4], [4, 4, 4]]
    assert found["n_dropped"].values.tolist() == [0, 1, 0]
    assert found["animate"].values.tolist() == [True, True, False]
    for i, one in enumerate(people):
        np.testing.assert_allclose(found[i], from_mne(one, average=True), rtol=1e-5, atol=1e-5)
    assert found.attrs["place_spread_mm"] == 0.0
    single = read_epochs(tmp_path / "sub-02_task-cats_epo.fif", subjects=["me"])
    assert single.dims[0] == "presentation" and single["subject"].item() == "me"


def test_people_with_other_channels_are_refused_by_name_unless_the_common_are_asked_for(tmp_path):
    people = [made(0), made(1, names=(*NAMES[:4], "C3", "C4")[::-1])]
    paths = files(tmp_path, people)
    with pytest.raises(
        LabelError, match=r"'01' lacks 'C3', 'C4'; '02' lacks 'T7', 'T8'\. .*channels='common'"
    ):
        read_epochs(paths, average=True)
    found = read_epochs(paths, average=True, channels="common")
    assert found["neuroid"].values.tolist() == list(NAMES[:4])
    assert found.attrs["n_channels_dropped"] == 4 and found.attrs["channels_dropped"] == "C3, C4, T7, T8"
    second = from_mne(people[1], average=True).sel(neuroid=list(NAMES[:4]))
    np.testing.assert_allclose(found[1], second, rtol=1e-5, atol=1e-5)


def test_people_with_other_stimuli_are_refused_unless_the_common_are_asked_for(tmp_path):
    people = [made(0), made(1)["cat", "dog"]]
    paths = files(tmp_path, people)
    with pytest.raises(LabelError, match=r"people differ in stimuli: '02' lacks 'car'"):
        read_epochs(paths, average=True)
    found = read_epochs(paths, average=True, stimuli="common")
    assert found["stimulus"].values.tolist() == ["cat", "dog"] and found.attrs["n_stimuli_dropped"] == 1


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"n_times": 30}, r"'01' and '02' have other times: 40 samples at 100 Hz .* and 30 samples"),
        ({"rate": 200.0}, r"40 samples at 100 Hz from -0\.1 to 0\.29 s and 40 samples at 200 Hz"),
    ],
    ids=["length", "rate"],
)
def test_epochs_of_unequal_length_or_rate_are_refused_with_both_named(tmp_path, other, words):
    with pytest.raises(ShapeError, match=words):
        read_epochs(files(tmp_path, [made(0), made(1, **other)]), average=True)


def test_files_that_cannot_be_read_and_people_without_labels_are_refused(tmp_path):
    broken = tmp_path / "sub-01_epo.fif"
    broken.write_bytes(b"no FIF")
    with pytest.raises(FileError, match=r"sub-01_epo\.fif cannot be read"):
        read_epochs(broken)
    with pytest.raises(FileError, match="does not exist"):
        read_epochs(tmp_path / "absent-epo.fif")
    other = tmp_path / "raw.vhdr"
    other.write_text("x")
    with pytest.raises(FileError, match=r"must end in -epo\.fif"):
        read_epochs(other)
    good = files(tmp_path, [made(0)])
    with pytest.raises(LabelError, match=r"'raw\.vhdr' have no sub-<label>"):
        read_epochs([*good, other])
    with pytest.raises(LabelError, match="one label of its own a path"):
        read_epochs([*good, *good])
    with pytest.raises(ShapeError, match="pass average=True"):
        read_epochs(good)


def test_epochs_of_eeglab_are_read(tmp_path):
    from scipy.io import savemat

    epochs = made(metadata=False)
    values = 1e6 * epochs.get_data(picks="eeg")
    places = [{"labels": name, "X": 0.0, "Y": 0.0, "Z": 1.0} for name in NAMES]
    events = [
        {"type": {1: "cat", 2: "dog", 7: "car"}[code], "latency": 40.0 * i + 11, "epoch": i + 1}
        for i, code in enumerate(epochs.events[:, 2].tolist())
    ]
    each = [
        {"event": i + 1, "eventtype": event["type"], "eventlatency": 0.0} for i, event in enumerate(events)
    ]
    content = {
        "nbchan": 6.0,
        "trials": float(N),
        "pnts": 40.0,
        "srate": RATE,
        "xmin": -0.1,
        "xmax": 0.29,
        "data": np.moveaxis(values, 0, 2),
        "chanlocs": np.array(places),
        "event": np.array(events),
        "epoch": np.array(each),
        "chaninfo": {"nosedir": "+X"},
        "setname": "x",
        "filename": "x.set",
        "icawinv": np.zeros((0, 0)),
        "icasphere": np.zeros((0, 0)),
        "icaweights": np.zeros((0, 0)),
        "icaact": np.zeros((0, 0)),
        "ref": "common",
        "comments": "",
    }
    path = tmp_path / "sub-01.set"
    savemat(path, {"EEG": content}, appendmat=False)
    found = read_epochs(path)
    np.testing.assert_allclose(found.values, from_mne(epochs).values, rtol=1e-5, atol=1e-5)
    assert found["stimulus"].values[:3].tolist() == ["dog", "cat", "car"]


def test_values_that_are_not_finite_are_refused_or_kept_and_counted():
    epochs = made()
    epochs._data[3, 1, 5] = np.nan
    with pytest.raises(InvalidValueError, match=r"1 of 2880 values are not, in 'Cz' and 1 of 12"):
        from_mne(epochs)
    found = from_mne(epochs, nan="keep", average=True)
    assert found.attrs["n_undefined"] == 1 and np.isnan(found.sel(stimulus="dog", neuroid="Cz").values[5])
    epochs._data[3, 1, 5] = np.inf
    with pytest.raises(InvalidValueError, match="must be finite"):
        from_mne(epochs, nan="keep")


def test_wrong_arguments_say_what_came_and_what_there_is():
    epochs = made()
    with pytest.raises(LabelError, match=r"no column 'word'; they have 'image', 'animate', 'rt', 'time'"):
        from_mne(epochs, by="word")
    with pytest.raises(LabelError, match=r"picks: 'Xz' are neither channels nor kinds"):
        from_mne(epochs, picks=["Xz"])
    with pytest.raises(InvalidValueError, match=r"units must be one of 'usual', 'SI'; got 'mV'"):
        from_mne(epochs, units="mV")
    with pytest.raises(ShapeError, match=r"x must be mne Epochs, Evoked.*got ndarray"):
        from_mne(np.zeros(3))
    with pytest.raises(LabelError, match="Evoked have no metadata"):
        from_mne(epochs.average(), by="image")
    epochs.metadata = epochs.metadata.assign(image=[None, *["b"] * (N - 1)])
    with pytest.raises(LabelError, match=r"1 of 12 epochs have no 'image'"):
        from_mne(epochs, by="image")
    with pytest.raises(InvalidValueError, match="'cat', 'kitten' share a code"):
        from_mne(made(events={"cat": 1, "kitten": 1, "dog": 2, "car": 7}))
    empty = made()
    empty.drop(range(N), verbose="ERROR")
    with pytest.raises(ShapeError, match="all 12 were dropped"):
        from_mne(empty)


def test_evoked_that_do_not_belong_together_are_refused():
    one = made().average("eeg")
    one.comment = "first"
    with pytest.raises(LabelError, match="repeated: 'first'"):
        from_mne([one, one])
    other = one.copy().crop(0.0, 0.2)
    other.comment = "second"
    with pytest.raises(ShapeError, match=r"'first' and 'second' have other times"):
        from_mne([one, other])
    fewer = one.copy().drop_channels(["Cz"])
    fewer.comment = "second"
    with pytest.raises(LabelError, match=r"differ in the channels 'Cz'"):
        from_mne([one, fewer])
    error = made().standard_error("eeg")
    with pytest.raises(InvalidValueError, match="is a standard error, not an average"):
        from_mne(error)


def test_the_way_back_refuses_people_units_and_times_that_it_does_not_know():
    found = from_mne(made(), average=True)
    with pytest.raises(ShapeError, match=r"responses.sel\(subject=...\)"):
        to_mne(found.expand_dims(subject=["p1"]))
    with pytest.raises(InvalidValueError, match=r"units must be among .*; got 'percent'"):
        to_mne(found.assign_coords(units=("neuroid", ["percent"] * 6)))
    with pytest.raises(InvalidValueError, match="evenly spaced"):
        to_mne(found.isel(time=[0, 1, 2, 5]))
    with pytest.raises(InvalidValueError, match="got 'None'"):
        to_mne(found.drop_vars("units"))


def test_a_missing_mne_is_said_with_the_line_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "mne", None)
    with pytest.raises(FileError, match=r"pip install 'neuroalign\[eeg\]'"):
        from_mne(None)
    with pytest.raises(FileError, match=r"pip install 'neuroalign\[eeg\]'"):
        read_epochs("a-epo.fif")


def test_the_n400_files_give_what_the_data_set_gives(data_root):
    people = ["p13", "p02"]
    known = datasets.load("n400_group_eeg", root=data_root, subjects=people)
    folder = data_root / "n400_group_eeg/group_data"
    found = read_epochs([folder / f"sentence_n400_{name}-ave.fif" for name in people], subjects=people)
    ours = found.sel(stimulus=["Control", "Violation", "Noise/Control/Correct", "Noise/Violation/Correct"])
    np.testing.assert_allclose(ours.values, known.values, rtol=1e-12)
    assert (ours["n_trials"].values == known["n_trials"].values).all()
    for name in ("x", "y", "z", "time"):
        np.testing.assert_allclose(ours[name].values, known[name].values, rtol=1e-9)
    back = to_mne(known.sel(subject="p02"))
    np.testing.assert_allclose(back[1].data * 1e6, known.values[1, 1], rtol=1e-12)
    assert isinstance(known, xr.DataArray) and back[1].comment == "incongruent/clear"


def test_fif_file_whose_tags_lead_in_a_circle_is_refused(tmp_path):
    """mne would follow them for ever."""
    path = tmp_path / "x-epo.fif"
    made().save(path, verbose="ERROR")
    content = bytearray(path.read_bytes())
    content[48:52] = (0).to_bytes(4, "big")
    content[36 + 12 : 36 + 16] = (20).to_bytes(4, "big")
    size = int.from_bytes(content[8:12], "big")
    content[16 + size + 12 : 16 + size + 16] = (16 + size).to_bytes(4, "big")
    path.write_bytes(content)
    with pytest.raises(FileError, match=r"x-epo.fif is damaged: its tags lead back to byte"):
        read_epochs(path)


def test_eeglab_file_with_an_unknown_code_is_refused_before_scipy_reads_it(tmp_path):
    from scipy.io import savemat

    path = tmp_path / "x.set"
    savemat(path, {"data": np.arange(40.0)}, appendmat=False)
    content = bytearray(path.read_bytes())
    at = content.rindex((9).to_bytes(4, "little") + (320).to_bytes(4, "little"))
    content[at] = 8
    path.write_bytes(content)
    with pytest.raises(FileError, match=r"x.set is a damaged MATLAB 5 file"):
        read_epochs(path)


def test_one_path_has_one_subject_and_lists_are_not_empty(tmp_path):
    path = files(tmp_path, [made(0)])[0]
    assert read_epochs(path, subjects=["p7"])["subject"].item() == "p7"
    with pytest.raises(LabelError, match="one path has one label; got 'p1', 'p2'"):
        read_epochs(path, subjects=["p1", "p2"])
    with pytest.raises(ShapeError, match="paths: there is none"):
        read_epochs([], average=True)
    with pytest.raises(InvalidValueError, match=r"stimuli must be one of .*; got 'any'"):
        read_epochs([path], average=True, stimuli="any")


def test_people_whose_channels_are_others_are_refused(tmp_path):
    other = made(1).copy().drop_channels(["EOG"]).set_channel_types(dict.fromkeys(NAMES, "ecog"))
    with pytest.raises(LabelError, match="'01' and '02' have channels of other channel_type; pass picks"):
        read_epochs(files(tmp_path, [made(0), other]), average=True)
    renamed = made(1).rename_channels(dict(zip(NAMES, ("F1", "F2", "C1", "C2", "P1", "P2"), strict=True)))
    (tmp_path / "more").mkdir()
    with pytest.raises(LabelError, match="people have no channels in common"):
        read_epochs(files(tmp_path / "more", [made(0), renamed]), average=True, channels="common")


def test_the_baseline_that_was_taken_off_is_said():
    epochs = made().apply_baseline((None, 0.0), verbose="ERROR")
    found = from_mne(epochs)
    assert found.attrs["baseline"] == pytest.approx([-0.1, 0.0])
    np.testing.assert_allclose(found.sel(time=slice(-0.11, 0.001)).mean("time"), 0, atol=1e-9)
    assert "baseline" not in from_mne(made()).attrs


def test_a_single_sample_needs_a_sampling_rate_to_go_back():
    one = from_mne(made(), average=True).isel(time=[10])
    (back,) = to_mne(one.isel(stimulus=[0]))
    np.testing.assert_allclose(back.data[:, 0] * 1e6, one.values[0, :, 0])
    with pytest.raises(InvalidValueError, match=r"has no sampling rate; set responses.attrs\['sfreq'\]"):
        to_mne(one.drop_attrs())


def test_channels_of_no_brain_are_refused_and_places_in_other_frames_unknown():
    with pytest.raises(ShapeError, match="no channel records a brain; their kinds are 'eog'"):
        from_mne(made().pick("eog", verbose="ERROR"))
    epochs = made()
    with epochs.info._unlock():
        epochs.info["chs"][2]["coord_frame"] = mne._fiff.constants.FIFF.FIFFV_COORD_MRI
    found = from_mne(epochs)
    assert np.isnan(found["x"]).values.tolist() == [False, False, True, False, False, False]
    assert found.attrs["n_without_place"] == 1

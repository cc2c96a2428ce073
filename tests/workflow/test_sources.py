from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from neuroalign import datasets, io, stimuli
from neuroalign.errors import FileError, LabelError, ShapeError
from neuroalign.workflow.sections import Lesions, Localizer, Simulation, Story
from neuroalign.workflow.sources import (
    LayerFile,
    localizer_stimuli,
    low_level_features,
    minimal_pairs,
    own_series,
    story_words,
)

SIMULATED = Story(responses="simulated", simulation=Simulation())


@pytest.fixture
def table():
    return pd.DataFrame(
        {
            "stimulus": ["a1", "a2", "b1", "b2"],
            "text": ["NA", "a cat sat", "007", "blick dap"],
            "condition": ["word", "word", "other", "other"],
            "run": [1, 2, 1, 2],
        }
    )


def test_embedded_localizer_is_the_one_that_ships():
    found = localizer_stimuli(Localizer())
    pd.testing.assert_frame_equal(found, stimuli.localizer())
    assert found["condition"].value_counts().to_dict() == {"sentence": 96, "nonword": 96}


def test_localizer_from_a_file_keeps_every_text_as_it_stands(tmp_path, table):
    io.write_table(table, tmp_path / "mine.tsv")
    section = Localizer(stimuli=str(tmp_path / "mine.tsv"), positive="word", negative="other")
    found = localizer_stimuli(section)
    assert found["text"].tolist() == ["NA", "a cat sat", "007", "blick dap"]
    assert found["run"].tolist() == [1, 2, 1, 2]


def test_localizer_of_a_data_set_is_loaded_by_name(data_root):
    found = localizer_stimuli(Localizer(stimuli="langloc_stimuli"))
    pd.testing.assert_frame_equal(found, datasets.load("langloc_stimuli", root=data_root))


def test_condition_that_is_missing_is_named_with_those_that_are_there(tmp_path, table):
    path = tmp_path / "mine.tsv"
    io.write_table(table, path)
    with pytest.raises(LabelError) as caught:
        localizer_stimuli(Localizer(stimuli=str(path), positive="word"))
    assert str(caught.value) == f"{path} lacks the conditions 'nonword'; it has 'other', 'word'."


@pytest.mark.parametrize("column", ["text", "condition", "run"])
def test_column_that_the_localizer_lacks_is_named_with_the_file(tmp_path, table, column):
    path = tmp_path / "mine.tsv"
    io.write_table(table.drop(columns=column), path)
    with pytest.raises(LabelError) as caught:
        localizer_stimuli(Localizer(stimuli=str(path), positive="word", negative="other"))
    assert str(path) in str(caught.value) and repr(column) in str(caught.value)


def test_localizer_file_that_is_not_there_is_named():
    with pytest.raises(FileError, match=r"absent\.tsv does not exist"):
        localizer_stimuli(Localizer(stimuli="absent.tsv"))


@pytest.mark.parametrize("n", [1, 4, 10, 99])
def test_minimal_pairs_are_the_first_of_every_paradigm(n):
    whole = stimuli.minimal_pairs()
    found = minimal_pairs(Lesions(per_paradigm=n))
    expected = [
        pair
        for paradigm in dict.fromkeys(whole["paradigm"])
        for pair in whole.loc[whole["paradigm"] == paradigm, "pair"].tolist()[:n]
    ]
    assert sorted(found["pair"]) == sorted(expected)
    assert found["pair"].tolist() == whole.loc[whole["pair"].isin(expected), "pair"].tolist()
    assert found.index.tolist() == list(range(len(expected)))


def test_minimal_pairs_are_all_of_them_where_no_number_is_given():
    pd.testing.assert_frame_equal(minimal_pairs(Lesions()), stimuli.minimal_pairs())


def test_minimal_pairs_from_a_file_keep_every_text_as_it_stands(tmp_path):
    pairs = pd.DataFrame(
        {
            "pair": ["001", "002", "003"],
            "paradigm": ["x", "x", "y"],
            "field": ["n/a", "f", "f"],
            "good": ["NA", "A cat sleeps.", "1"],
            "bad": ["null", "A cat sleep.", "2"],
        }
    )
    io.write_table(pairs, tmp_path / "pairs.tsv")
    found = minimal_pairs(Lesions(pairs=str(tmp_path / "pairs.tsv"), per_paradigm=1))
    assert found.values.tolist() == pairs.iloc[[0, 2]].values.tolist()


def test_minimal_pairs_of_blimp_are_as_many_as_asked_for(data_root):
    found = minimal_pairs(Lesions(pairs="blimp", per_paradigm=2))
    assert found["paradigm"].value_counts().unique().tolist() == [2]
    assert found["paradigm"].nunique() == 67 and found["pair"].is_unique


def test_words_of_a_simulated_story_are_the_embedded_ones():
    pd.testing.assert_frame_equal(story_words(SIMULATED), stimuli.story())


def test_words_of_a_data_set_are_loaded_by_name(data_root):
    found = story_words(Story(responses="alice_fmri"))
    assert len(found) == 2127 and {"stimulus", "text", "onset", "offset"} <= set(found.columns)


def test_own_words_are_read_from_their_file(tmp_path):
    words = pd.DataFrame(
        {"stimulus": ["w0", "w1"], "text": ["null", "cat"], "onset": [0.0, 0.5], "offset": [0.4, 0.9]}
    )
    io.write_table(words, tmp_path / "words.tsv")
    section = Story(responses="mine.nc", words=str(tmp_path / "words.tsv"))
    pd.testing.assert_frame_equal(story_words(section), words, check_dtype=False)
    io.write_table(words.drop(columns="onset"), tmp_path / "words.tsv")
    with pytest.raises(LabelError, match=r"words\.tsv lacks the column 'onset'"):
        story_words(section)


def test_word_rate_agrees_with_the_one_shipped_with_alice(data_root):
    words = datasets.load("alice_fmri", what="words", root=data_root)
    shipped = datasets.load("alice_fmri", what="regressors", root=data_root)
    shipped = shipped.sel(regressor="word_rate").mean("subject")
    found = low_level_features(words, shipped["time"].values, 2.0).sel(feature="word rate")
    assert np.corrcoef(found.values, shipped.values)[0, 1] > 0.98


def by_hand(words, times, weights):
    """Each word is an impulse at the start of its tenth of a second; the response is summed word by word."""
    lag = np.arange(0, 400) * 0.1
    kernel = datasets.spm_hrf(0.1)
    kernel = np.pad(kernel, (0, max(0, lag.size - kernel.size)))[: lag.size]
    total = np.zeros(times.size)
    for onset, weight in zip(words["onset"], weights, strict=True):
        step = int(np.floor(onset / 0.1 + 1e-9))
        since = np.round(times / 0.1).astype(int) - step
        inside = (since >= 0) & (since < lag.size)
        total[inside] += weight * kernel[since[inside]]
    return (total - total.mean()) / total.std()


def test_low_level_features_equal_a_sum_over_words():
    onset = np.array([0.25, 1.05, 3.45, 7.75, 12.15, 12.65])
    words = pd.DataFrame({"text": ["It's", "a", "long-ish", "day,", "Zoë", "007!"], "onset": onset})
    times = np.arange(20) * 2.0
    found = low_level_features(words, times, 2.0)
    assert found.dims == ("time", "feature")
    assert found["feature"].values.tolist() == ["word rate", "letter rate"]
    rates = [by_hand(words, times, weights) for weights in (np.ones(6), [3, 1, 7, 3, 3, 3])]
    np.testing.assert_allclose(found.values, np.stack(rates, axis=1), atol=1e-6)


def test_low_level_features_do_not_depend_on_where_time_begins():
    words = stimuli.story()
    times = np.arange(170) * 2.0
    shifted = low_level_features(words.assign(onset=words["onset"] + 100.0), times + 100.0, 2.0)
    np.testing.assert_allclose(shifted.values, low_level_features(words, times, 2.0).values, atol=0.05)
    assert shifted["time"].values.tolist() == (times + 100.0).tolist()


@pytest.fixture
def series(rng):
    return xr.DataArray(
        rng.normal(size=(6, 2)),
        dims=("time", "neuroid"),
        coords={
            "time": np.arange(6) * 2.0,
            "neuroid": ["s1/A", "s2/A"],
            "subject": ("neuroid", ["s1", "s2"]),
            "roi": ("neuroid", ["A", "A"]),
        },
        name="series",
    )


def test_own_series_is_the_one_that_was_saved(tmp_path, series):
    io.save(series, tmp_path / "mine.nc")
    found = own_series(tmp_path / "mine.nc")
    xr.testing.assert_equal(found, series)
    assert found["subject"].values.tolist() == ["s1", "s2"]


@pytest.mark.parametrize(
    ("edit", "error", "text"),
    [
        (
            lambda x: x.drop_vars(["subject", "roi"]),
            FileError,
            "neuroids need the coordinates subject and roi; 'subject', 'roi' missing.",
        ),
        (
            lambda x: x.drop_vars("roi"),
            FileError,
            "neuroids need the coordinates subject and roi; 'roi' missing.",
        ),
        (lambda x: x.T, ShapeError, "must have dims ('time', 'neuroid')"),
        (lambda x: x.drop_vars("time"), LabelError, "lacks the coordinates 'time'"),
        (
            lambda x: x.to_dataset(name="a"),
            ShapeError,
            "must hold one series (time, neuroid); it holds a Dataset.",
        ),
    ],
)
def test_own_series_of_another_shape_is_refused(tmp_path, series, edit, error, text):
    io.save(edit(series), tmp_path / "mine.nc")
    with pytest.raises(error) as caught:
        own_series(tmp_path / "mine.nc")
    assert str(caught.value).startswith(str(tmp_path / "mine.nc")) and text in str(caught.value)


def test_own_series_that_is_damaged_is_refused(tmp_path, series):
    io.save(series, tmp_path / "mine.nc")
    content = (tmp_path / "mine.nc").read_bytes()
    (tmp_path / "mine.nc").write_bytes(content[: len(content) // 2])
    with pytest.raises(FileError, match=r"mine\.nc is damaged"):
        own_series(tmp_path / "mine.nc")


@pytest.fixture
def layer_file(tmp_path, rng):
    layers = {f"h.{i}": rng.normal(size=(3, 4)).astype(np.float32) for i in (2, 0, 1)}
    path = tmp_path / "layers.nc"
    labels = np.array(["s1", "s2", "s3"])
    widths = dict.fromkeys(layers, 4)
    with io.layer_writer(path, widths, labels, attrs={}) as writer:
        writer.write(np.arange(3), layers)
    return path, layers


def test_layer_file_is_a_mapping_in_the_order_of_writing(layer_file):
    path, layers = layer_file
    file = LayerFile(path)
    assert isinstance(file, Mapping) and len(file) == 3 and list(file) == list(layers)
    for name, values in file.items():
        np.testing.assert_array_equal(values.values, layers[name])
    assert "h.0" in file and "h.9" not in file
    with pytest.raises(LabelError, match=r"has no layer 'h\.9'; it has 'h\.0', 'h\.1', 'h\.2'"):
        file["h.9"]


def test_layer_file_reads_a_layer_when_it_is_asked_for_and_not_before(layer_file, monkeypatch):
    path, _ = layer_file
    asked = []
    read = io.read_layer
    monkeypatch.setattr(io, "read_layer", lambda path, layer: asked.append(layer) or read(path, layer))
    file = LayerFile(path)
    assert list(file) == ["h.2", "h.0", "h.1"] and "h.0" in file and "h.9" not in file and asked == []
    assert file["h.0"].shape == (3, 4) and asked == ["h.0"]


def test_layer_file_that_is_not_there_is_refused_at_once(tmp_path):
    with pytest.raises(FileError, match=r"absent\.nc does not exist"):
        LayerFile(tmp_path / "absent.nc")


def test_unknown_story_is_refused_with_the_names_of_those_that_are_known():
    with pytest.raises(
        ValueError, match=r"responses must be simulated, alice_fmri or a .nc file; got 'alice'"
    ):
        Story(responses="alice")

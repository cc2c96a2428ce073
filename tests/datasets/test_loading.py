"""What the loaders return from the real files: shapes, labels and known values."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.signal
import scipy.stats
import xarray as xr

from neuroalign import datasets, io, schema
from neuroalign.errors import FileError, InvalidValueError, ShapeError

# Leave-one-out correlation of 27 listeners, 6 mm, linearly detrended and z-scored: measured on the shared
# files before this package was written; given to three digits, hence the tolerance.
ISC = {"LATL": 0.324, "RATL": 0.212, "LPTL": 0.395, "LIPL": 0.277, "LPreM": 0.248, "LIFG": 0.166}
PARTS = [(name, what) for name, parts in datasets.LOADERS.items() for what in parts]
SHAPES = {
    ("alice_fmri", "series"): {"time": 362, "neuroid": 162},
    ("alice_fmri", "regressors"): {"time": 362, "subject": 27, "regressor": 2},
    ("alice_fmri", "motion"): {"time": 372, "subject": 27, "parameter": 6},
    ("alice_fmri", "predictors"): {"time": 362, "predictor": 12},
    ("kriegeskorte92", "human_it"): {"subject": 4, "session": 2, "pair": 4186},
    ("kriegeskorte92", "models"): {"model": 8, "pair": 4186},
    ("kriegeskorte92", "behaviour"): {"subject": 16, "pair": 4186},
    ("kriegeskorte92", "published"): {"species": 2, "pair": 4186},
    ("finger7t", "responses"): {"presentation": 40, "neuroid": 1946},
    ("finger7t", "models"): {"model": 3, "pair": 10},
    ("n400_group_eeg", "evoked"): {"subject": 26, "stimulus": 4, "neuroid": 64, "time": 615},
    ("szinte_prf_v1", "series"): {"time": 150, "neuroid": 2308},
    ("szinte_prf_v1", "stimulus"): {"time": 150, "y": 45, "x": 80},
    ("haxby_slice", "series"): {"time": 1452, "neuroid": 530},
}
TABLES = {
    ("alice_fmri", "words"): (2127, ["stimulus", "text", "onset", "offset"]),
    ("langloc_stimuli", "stimuli"): (480, ["stimulus", "item", "condition", "run", "text"]),
    ("blimp", "pairs"): (67000, ["pair", "paradigm", "field", "good", "bad"]),
    ("syntaxgym", "regions"): (
        22844,
        ["stimulus", "suite", "item", "condition", "region", "content"],
    ),
    ("haxby_slice", "events"): (96, ["stimulus", "run", "condition", "onset", "duration", "time"]),
}


@pytest.mark.parametrize(("part", "shape"), SHAPES.items())
def test_arrays_have_the_documented_dims_and_are_finite(data_root, part, shape):
    x = datasets.load(part[0], what=part[1], root=data_root)
    assert dict(x.sizes) == shape and list(x.dims) == list(shape)
    assert x.dtype == np.float64
    assert np.isfinite(x.values).all()


@pytest.mark.parametrize(("part", "size"), TABLES.items())
def test_tables_have_the_documented_rows_and_columns(data_root, part, size):
    table = datasets.load(part[0], what=part[1], root=data_root)
    assert (len(table), list(table.columns)) == size
    assert table.iloc[:, 0].is_unique
    assert not table.isna().any(axis=None)


@pytest.mark.parametrize(("name", "what"), PARTS)
def test_everything_carries_licence_citation_and_a_digest_of_its_files(data_root, name, what):
    attrs = datasets.load(name, what=what, root=data_root).attrs
    entry = datasets.manifest()[name]
    for key in ("title", "licence", "cite", "repository", "commit"):
        assert attrs[key] == getattr(entry, key)
    assert attrs["dataset"] == name
    assert len(attrs["digest"]) == 64 and attrs["n_files"] >= 1


def test_the_digest_is_that_of_the_lines_sha256sum_prints(data_root):
    path = "kriegeskorte92", "92_brainRDMs.mat"
    sha256 = hashlib.sha256((data_root / path[0] / path[1]).read_bytes()).hexdigest()
    expected = hashlib.sha256(f"{sha256}  {path[1]}\n".encode()).hexdigest()
    assert datasets.load("kriegeskorte92", root=data_root).attrs["digest"] == expected


@pytest.mark.parametrize(("name", "what"), PARTS)
def test_the_first_part_is_the_default(data_root, name, what):
    if what != next(iter(datasets.LOADERS[name])):
        with pytest.raises(AssertionError):
            _same(datasets.load(name, root=data_root), datasets.load(name, what=what, root=data_root))
    else:
        _same(datasets.load(name, root=data_root), datasets.load(name, what=what, root=data_root))


def _same(a, b):
    assert type(a) is type(b)
    if isinstance(a, xr.DataArray):
        xr.testing.assert_identical(a, b)
    else:
        pd.testing.assert_frame_equal(a, b)


def test_loaded_arrays_survive_saving(data_root, tmp_path):
    bold = datasets.load("alice_fmri", root=data_root, subjects=["s18"])
    io.save(bold, tmp_path / "x.nc")
    back = io.load(tmp_path / "x.nc")
    assert back.attrs.pop("provenance")
    xr.testing.assert_identical(bold, back)


# Alice


def test_alice_series_is_a_series_with_the_labels_of_subject_and_region(data_root):
    bold = schema.check(datasets.load("alice_fmri", root=data_root), "series")
    assert bold["neuroid"].values[:7].tolist() == [*(f"s18/{roi}" for roi in ISC), "s22/LATL"]
    assert bold["subject"].values[6] == "s22" and bold["roi"].values[6] == "LATL"
    assert (bold["run"] == 1).all()
    assert bold["time"].values[[0, 1, -1]].tolist() == [0.0, 2.0, 722.0]


def test_alice_values_are_those_of_the_file(data_root):
    for radius in ("6mm", "10mm"):
        path = data_root / "alice_fmri/alice_data_shared" / radius / "s22-timecourses.txt"
        rows = [[float(word) for word in line.split()] for line in path.read_text().splitlines()]
        bold = datasets.load("alice_fmri", root=data_root, radius=radius, subjects=["s22"])
        assert bold.values.tolist() == rows


def test_alice_selectors_select_by_label_in_the_order_asked(data_root):
    whole = datasets.load("alice_fmri", root=data_root)
    part = datasets.load("alice_fmri", root=data_root, subjects=["s30", "s18"], rois=["LIFG", "LATL"])
    wanted = ["s30/LIFG", "s30/LATL", "s18/LIFG", "s18/LATL"]
    assert part["neuroid"].values.tolist() == wanted
    np.testing.assert_array_equal(part.values, whole.sel(neuroid=wanted).values)
    assert part.attrs["n_files"] == 2


def test_alice_leave_one_out_correlation_has_the_known_values(data_root):
    bold = datasets.load("alice_fmri", root=data_root)
    for roi, expected in ISC.items():
        x = scipy.stats.zscore(scipy.signal.detrend(bold.values[:, bold["roi"].values == roi], axis=0))
        assert x.shape[1] == 27
        others = [np.delete(x, i, axis=1).mean(axis=1) for i in range(27)]
        isc = np.mean([np.corrcoef(x[:, i], others[i])[0, 1] for i in range(27)])
        assert isc == pytest.approx(expected, abs=0.005)


@pytest.mark.parametrize("what", ["series", "regressors", "motion"])
def test_alice_names_the_constant_subject_and_leaves_it_out(data_root, what):
    x = datasets.load("alice_fmri", what=what, root=data_root)
    assert "s33" not in x["subject"].values
    assert len(np.unique(x["subject"].values)) == 27
    assert x.attrs["excluded"] == {"s33": "constant series"}
    with pytest.raises(InvalidValueError, match=r"'s33' is excluded: constant series"):
        datasets.load("alice_fmri", what=what, root=data_root, subjects=["s18", "s33"])


def test_alice_word_times_agree_with_the_shipped_word_rate_at_lag_zero(data_root):
    words = datasets.load("alice_fmri", what="words", root=data_root)
    rate = datasets.load("alice_fmri", what="regressors", root=data_root).sel(regressor="word_rate")
    assert words["onset"].iloc[0] == pytest.approx(0.0589, abs=1e-3)
    assert (words["offset"] > words["onset"]).all() and words["onset"].is_monotonic_increasing
    step = 0.1
    counts = np.bincount((words["offset"] / step).astype(int), minlength=7240)[:7240]
    rebuilt = datasets.convolve_hrf(counts, step)[::20]
    r = [np.corrcoef(np.roll(rebuilt, lag)[10:-10], rate.values[10:-10, 0])[0, 1] for lag in (-1, 0, 1)]
    assert r[1] > 0.985
    assert max(r[0], r[2]) < 0.9


def test_alice_word_rate_matches_the_first_predictor_without_its_ten_dropped_rows(data_root):
    predictors = datasets.load("alice_fmri", what="predictors", root=data_root)
    rate = datasets.load("alice_fmri", what="regressors", root=data_root).sel(regressor="word_rate")
    assert predictors["predictor"].values[[0, -1]].tolist() == ["rate_conv", "trigrampos_conv_orth"]
    np.testing.assert_array_equal(predictors["time"], rate["time"])
    x, y = predictors.values[10:-10, 0], rate.values[:, 0]
    r = [abs(np.corrcoef(x, y[10 + lag : len(y) - 10 + lag])[0, 1]) for lag in (-1, 0, 1)]
    assert r[1] > 0.97
    assert max(r[0], r[2]) < 0.9


def test_alice_motion_begins_with_the_dropped_volumes(data_root):
    motion = datasets.load("alice_fmri", what="motion", root=data_root)
    bold = datasets.load("alice_fmri", root=data_root, subjects=["s18"])
    assert motion["time"].values[0] == -20.0
    assert motion.sel(time=bold["time"]).sizes["time"] == 362
    # SPM registers to the first volume.
    assert (abs(motion.isel(time=0)) < 1e-12).all()


# 92 images


def test_published_human_and_monkey_rdms_correlate_as_known(data_root):
    rdms = datasets.load("kriegeskorte92", what="published", root=data_root)
    human, monkey = rdms.sel(species="human").values, rdms.sel(species="monkey").values
    assert scipy.stats.pearsonr(human, monkey)[0] == pytest.approx(0.4912, abs=5e-5)
    assert scipy.stats.spearmanr(human, monkey)[0] == pytest.approx(0.4389, abs=5e-5)


def test_the_mean_session_rdm_is_the_published_one(data_root):
    sessions = datasets.load("kriegeskorte92", root=data_root)
    published = datasets.load("kriegeskorte92", what="published", root=data_root).sel(species="human")
    np.testing.assert_allclose(sessions.mean(["subject", "session"]), published, atol=1e-6)


def test_the_monkey_model_is_the_published_monkey_rdm(data_root):
    models = datasets.load("kriegeskorte92", what="models", root=data_root)
    published = datasets.load("kriegeskorte92", what="published", root=data_root).sel(species="monkey")
    assert scipy.stats.spearmanr(models.sel(model="monkeyIT"), published)[0] == pytest.approx(1.0, abs=1e-9)


def test_every_rdm_of_the_92_images_has_the_same_labels(data_root):
    stimuli = datasets.load("kriegeskorte92", what="stimuli", root=data_root)
    assert stimuli["stimulus"].tolist() == [f"image-{i:02d}" for i in range(1, 93)]
    for what in ("human_it", "models", "behaviour", "published"):
        rdm = schema.check(datasets.load("kriegeskorte92", what=what, root=data_root), "rdm")
        assert schema.rdm_stimuli(rdm).tolist() == stimuli["stimulus"].tolist()


def test_category_flags_agree_with_the_words_and_the_animacy_model(data_root):
    stimuli = datasets.load("kriegeskorte92", what="stimuli", root=data_root)
    models = datasets.load("kriegeskorte92", what="models", root=data_root)
    assert stimuli["category"].value_counts().to_dict() == {
        "natural inanimate": 23,
        "artificial inanimate": 21,
        **dict.fromkeys(("human bodypart", "human face", "nonhuman bodypart", "nonhuman face"), 12),
    }
    for flag, word in (("face", "face"), ("body", "body"), ("natural_object", "natural")):
        assert (stimuli[flag] == stimuli["category"].str.contains(word)).all()
    animate = stimuli["animate"].to_numpy()
    i, j = np.triu_indices(92, 1)
    np.testing.assert_array_equal(models.sel(model="animacy").values, animate[i] != animate[j])
    assert models["model"].values.tolist() == [
        *("animacy", "FaceBody", "monkeyIT", "EVA", "HMAX", "V1", "Silhouette", "RADON")
    ]


def test_the_photographs_are_never_returned(data_root):
    stimuli = datasets.load("kriegeskorte92", what="stimuli", root=data_root)
    assert not any(isinstance(value, np.ndarray) for value in stimuli.to_numpy().ravel())


# Language localizer and minimal pairs


def test_localizer_stimuli_are_240_sentences_and_240_nonword_strings_of_12_words(data_root):
    table = datasets.load("langloc_stimuli", root=data_root)
    assert table["condition"].value_counts().to_dict() == {"sentence": 240, "nonword": 240}
    assert (table["text"].str.split(" ").str.len() == 12).all()
    assert table["text"].is_unique
    assert (table.groupby(["run", "condition"])["item"].agg(sorted).map(tuple) == tuple(range(1, 25))).all()
    assert table["run"].unique().tolist() == list(range(1, 11))
    first = table.iloc[0]
    assert first["stimulus"] == "set1-run1-01-S"
    assert first["text"] == "just the barest suggestion of a heel is found on teenage pumps"


def test_localizer_case_is_an_argument(data_root):
    original = datasets.load("langloc_stimuli", root=data_root, case="original")
    lower = datasets.load("langloc_stimuli", root=data_root)
    assert original["text"].iloc[0].startswith("JUST THE BAREST")
    assert (original["text"].str.lower() == lower["text"]).all()
    with pytest.raises(InvalidValueError, match="case must be one of 'lower', 'original'; got 'upper'"):
        datasets.load("langloc_stimuli", root=data_root, case="upper")


def test_blimp_takes_the_first_pairs_of_each_paradigm(data_root):
    table = datasets.load("blimp", root=data_root, per_paradigm=4)
    assert len(table) == 268 and table["paradigm"].nunique() == 67
    assert table["pair"].iloc[:4].tolist() == [f"adjunct_island/{i}" for i in range(4)]
    assert table["good"].iloc[0] == "Who should Derek hug after shocking Richard?"
    assert table["bad"].iloc[0] == "Who should Derek hug Richard after shocking?"


def test_blimp_reads_only_the_paradigms_that_were_asked_for(data_root):
    table = datasets.load("blimp", root=data_root, paradigms=["wh_island", "causative"])
    assert table["paradigm"].unique().tolist() == ["wh_island", "causative"]
    assert len(table) == 2000 and table.attrs["n_files"] == 2


def test_blimp_names_the_pairs_that_are_twice_the_same_text(data_root):
    attrs = datasets.load("blimp", root=data_root, paradigms=["passive_1", "causative"]).attrs
    assert attrs["identical"] == ["passive_1/324", "passive_1/810"]


@pytest.mark.parametrize("n", [0, 1001, 2.0, True, "4"])
def test_blimp_refuses_a_number_of_pairs_that_there_is_not(data_root, n):
    with pytest.raises(InvalidValueError, match="per_paradigm must be an integer from 1 to 1000"):
        datasets.load("blimp", root=data_root, per_paradigm=n)


# Names


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (("alice",), "data set must be one of 'alice_fmri', 'kriegeskorte92', .*; got 'alice'"),
        (("haxby",), "data set must be one of 'alice_fmri', .*; got 'haxby'"),
        (("alice_fmri", {"what": "bold"}), "what of 'alice_fmri' must be one of 'series', 'words'"),
        (
            ("alice_fmri", {"radiu": 6}),
            "selector of 'alice_fmri', what='series' must be one of 'radius', 'subj",
        ),
        (("alice_fmri", {"what": "words", "rois": []}), "what='words' takes no selector; got 'rois'"),
    ],
)
def test_unknown_names_list_what_there_is(call, message):
    name, options = call[0], call[1] if len(call) > 1 else {}
    with pytest.raises(InvalidValueError, match=message):
        datasets.load(name, root="nowhere", **options)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"radius": "8mm"}, InvalidValueError, "radius must be one of '6mm', '10mm'; got '8mm'"),
        ({"rois": ["V1"]}, InvalidValueError, "each of rois must be one of 'LATL', .*; got 'V1'"),
        ({"subjects": ["s01"]}, InvalidValueError, "each of subjects must be one of 's18', .*; got 's01'"),
        ({"subjects": "s18"}, ShapeError, r"subjects must be a list; got the string 's18'. Pass \['s18'\]"),
        ({"subjects": []}, InvalidValueError, "got an empty list. Pass None for all"),
        ({"rois": ["LATL", "LATL"]}, InvalidValueError, "got the repeated 'LATL'"),
    ],
)
def test_selectors_of_the_series_are_checked(data_root, options, error, message):
    with pytest.raises(error, match=message):
        datasets.load("alice_fmri", root=data_root, **options)


@pytest.mark.parametrize("variable", ["NEUROALIGN_DATA", "NEUROALIGN_CACHE"])
def test_the_root_comes_from_the_environment(data_root, monkeypatch, variable):
    for name in ("NEUROALIGN_DATA", "NEUROALIGN_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, str(data_root))
    assert len(datasets.load("langloc_stimuli")) == 480


def test_a_missing_folder_says_what_was_expected_and_both_ways_out(tmp_path, monkeypatch):
    monkeypatch.setenv("NEUROALIGN_DATA", str(tmp_path))
    with pytest.raises(FileError) as caught:
        datasets.load("kriegeskorte92")
    for words in (str(tmp_path / "kriegeskorte92"), "6 files", "NEUROALIGN_DATA", "fetch('kriegeskorte92')"):
        assert words in str(caught.value)


def test_importing_the_room_loads_nothing_heavy():
    heavy = ("torch", "sklearn", "nilearn", "matplotlib", "pooch", "requests", "scipy.stats")
    code = f"import sys, neuroalign.datasets; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_manifest_is_shipped_beside_the_code():
    assert (Path(datasets.__file__).parent / "manifest.json").is_file()
    assert set(datasets.LOADERS) <= set(datasets.manifest())


def test_syntaxgym_has_31_suites_whose_predictions_belong_to_six_circuits(data_root):
    regions = datasets.load("syntaxgym", root=data_root)
    predictions = datasets.load("syntaxgym", what="predictions", root=data_root)
    assert regions["suite"].nunique() == 31 and set(regions["suite"]) == set(predictions["suite"])
    assert regions.groupby("suite")["item"].nunique().sum() == 799
    assert predictions["field"].nunique() == 6 and len(predictions) == 32
    cleft = regions[(regions["suite"] == "subordination_src-src") & (regions["item"] == 1)]
    sentence = " ".join(cleft.loc[cleft["condition"] == "sub_no-matrix", "content"])
    assert sentence.startswith("As the doctor who wore a white lab jacket studied the book")


def test_syntaxgym_reads_only_the_suites_that_were_asked_for(data_root):
    table = datasets.load("syntaxgym", root=data_root, suites=["cleft"])
    assert set(table["suite"]) == {"cleft"} and table.attrs["n_files"] == 1

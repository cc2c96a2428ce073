"""Damaged files and hostile manifests are refused before a parser opens anything."""

from __future__ import annotations

import json
import shutil
import sys

import numpy as np
import pytest
import scipy.io

from neuroalign import datasets, io
from neuroalign.datasets import sources
from neuroalign.datasets.known import kriegeskorte, language, n400
from neuroalign.errors import FileError, NeuroalignError, UnsafeError

MAT = "kriegeskorte92/92_brainRDMs.mat"


class ParserCalled(BaseException):
    """No Exception, which readers turn into a FileError."""


@pytest.fixture
def copy(data_root, tmp_path):
    """A copy of one file below a fresh root."""

    def make(path: str):
        target = tmp_path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(data_root / path, target)
        return target

    return make


@pytest.fixture
def no_parser(monkeypatch):
    def refuse(*args, **kwargs):
        raise ParserCalled("a parser was called")

    monkeypatch.setattr(scipy.io, "loadmat", refuse)
    monkeypatch.setattr(np, "loadtxt", refuse)
    monkeypatch.setattr(language.io, "read_text", refuse)


def test_the_parser_guard_of_these_tests_works(copy, no_parser, tmp_path):
    copy(MAT)
    with pytest.raises(ParserCalled, match="a parser was called"):
        datasets.load("kriegeskorte92", root=tmp_path)


@pytest.mark.parametrize(
    ("path", "options"),
    [
        (MAT, {}),
        ("blimp/data/causative.jsonl", {"paradigms": ["causative"]}),
        ("alice_fmri/alice_data_shared/6mm/s18-timecourses.txt", {"subjects": ["s18"]}),
        ("langloc_stimuli/langloc_fmri_run1_stim_set1.csv", {}),
    ],
)
@pytest.mark.parametrize("fault", ["flip", "cut", "grow", "remove"])
def test_a_damaged_file_is_refused_before_it_is_parsed(
    tmp_path, copy, path, options, fault, monkeypatch, rng
):
    target = copy(path)
    content = bytearray(target.read_bytes())
    content[int(rng.integers(len(content)))] ^= 1 << int(rng.integers(8))
    damaged = {"flip": bytes(content), "cut": bytes(content[:-1]), "grow": bytes(content) + b"\n"}
    monkeypatch.setattr(scipy.io, "loadmat", None)
    monkeypatch.setattr(np, "loadtxt", None)
    monkeypatch.setattr(language.csv, "reader", None)
    if fault == "remove":
        target.unlink()
    else:
        target.write_bytes(damaged[fault])
    message = {"flip": "has SHA-256", "cut": "bytes were|were expected", "grow": "were expected"}
    with pytest.raises(FileError, match=message.get(fault, "is missing")) as caught:
        datasets.load(path.split("/")[0], root=tmp_path, **options)
    assert str(target) in str(caught.value) and "NEUROALIGN_DATA" in str(caught.value)


def test_a_link_that_leads_out_of_the_folder_is_refused(data_root, tmp_path):
    (tmp_path / "kriegeskorte92").mkdir()
    (tmp_path / MAT).symlink_to(data_root / MAT)
    with pytest.raises(UnsafeError, match="link that leads out"):
        datasets.load("kriegeskorte92", root=tmp_path)


def hostile(monkeypatch, tmp_path, **changes):
    """Put a manifest of one data set in place of the shipped one."""
    item = {"bytes": 3, "sha256": "0" * 64, "upstream": "a.csv", **changes.pop("item", {})}
    entry = {
        **{"title": "t", "repository": "owner/name", "commit": "0" * 40, "licence": "l", "cite": "c"},
        **{"files": {changes.pop("path", "a.csv"): item}, **changes},
    }
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps({"datasets": {"langloc_stimuli": entry}}))
    monkeypatch.setattr(sources, "MANIFEST", path)


@pytest.mark.parametrize("path", ["../evil", "/etc/passwd", "a/../../b", "a\\b", ""])
@pytest.mark.parametrize("where", ["path", "upstream"])
def test_a_manifest_that_climbs_out_of_its_folder_is_refused(monkeypatch, tmp_path, path, where):
    hostile(monkeypatch, tmp_path, **({"path": path} if where == "path" else {"item": {"upstream": path}}))
    for call in (datasets.load, datasets.fetch):
        with pytest.raises(UnsafeError, match="leaves its folder"):
            call("langloc_stimuli", root=tmp_path)


@pytest.mark.parametrize("item", [{"sha256": "0"}, {"sha256": None}, {"bytes": -1}, {"bytes": "3"}])
def test_a_manifest_without_proper_digests_is_refused(monkeypatch, tmp_path, item):
    hostile(monkeypatch, tmp_path, item=item)
    with pytest.raises(FileError, match="is not a data manifest"):
        datasets.load("langloc_stimuli", root=tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"repository": "../../x"},
        {"repository": "evil.com/a/b"},
        {"commit": "main"},
        {"commit": "0" * 39 + "/"},
    ],
)
def test_a_manifest_with_an_odd_repository_or_commit_is_not_downloaded_from(monkeypatch, tmp_path, change):
    hostile(monkeypatch, tmp_path, **change)
    with pytest.raises(UnsafeError, match="owner/name and a commit of 40 hex digits"):
        datasets.fetch("langloc_stimuli", root=tmp_path, progress=False)


# Files that have the digest of a (changed) manifest but not the content that the loaders expect.


def source_of(tmp_path, name: str, files: dict[str, bytes]) -> sources.Source:
    entries = {}
    for path, content in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)
        digest = io.file_digest(tmp_path / path)
        entries[path] = io.FileEntry(path=path, n_bytes=len(content), sha256=digest, upstream=None)
    entry = io.SetEntry(name, "t", "o/n", "0" * 40, "l", "c", entries)
    return sources.Source(entry, tmp_path)


def models_file(tmp_path, *, name="animacy", change=None) -> bytes:
    rdms = []
    for theirs in [name, *list(kriegeskorte.MODELS.values())[1:]]:
        full = np.ones((92, 92)) - np.eye(92)
        rdms.append({"RDM": full, "name": theirs})
    if change is not None:
        change(rdms[0]["RDM"])
    structs = np.empty((1, len(rdms)), dtype=[("RDM", object), ("name", object)])
    for i, rdm in enumerate(rdms):
        structs[0, i] = (rdm["RDM"], rdm["name"])
    scipy.io.savemat(tmp_path / "m.mat", {"Models": structs})
    return (tmp_path / "m.mat").read_bytes()


def test_models_of_a_made_file_are_read(tmp_path):
    source = source_of(tmp_path, "k", {kriegeskorte.MODEL_FILE: models_file(tmp_path)})
    assert (kriegeskorte.models(source) == 1).all()


@pytest.mark.parametrize(
    "where",
    [(0, 1, 2.0), (3, 3, 1.0), (0, 1, np.nan)],
    ids=["asymmetric", "diagonal", "undefined"],
)
def test_an_rdm_must_be_symmetric_finite_and_zero_on_the_diagonal(tmp_path, where):
    i, j, value = where

    def change(rdm):
        rdm[i, j] = value

    source = source_of(tmp_path, "k", {kriegeskorte.MODEL_FILE: models_file(tmp_path, change=change)})
    with pytest.raises(FileError, match="finite and symmetric with a zero diagonal"):
        kriegeskorte.models(source)


def test_models_in_another_order_are_refused(tmp_path):
    source = source_of(tmp_path, "k", {kriegeskorte.MODEL_FILE: models_file(tmp_path, name="V1")})
    with pytest.raises(FileError, match="named 'animacy' was expected; got 'V1'"):
        kriegeskorte.models(source)


@pytest.mark.parametrize("content", [b"", b"no matlab file", b"\x00" * 200])
def test_what_is_no_matlab_file_is_a_file_error(tmp_path, content):
    source = source_of(tmp_path, "k", {kriegeskorte.MODEL_FILE: content})
    with pytest.raises(FileError):
        kriegeskorte.models(source)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"1 2\n3 4\n", r"of shape \(2,\)"),
        (b"1\nnan\n", "must hold finite numbers"),
        (b"1\nx\n", "is not a table of numbers"),
        (b"1\n2 3\n", "is not a table of numbers"),
    ],
)
def test_a_table_of_other_numbers_is_a_file_error(tmp_path, content, message):
    source = source_of(tmp_path, "a", {"x.txt": content})
    with pytest.raises(FileError, match=message):
        sources.read_numbers(source, "x.txt", (2,))


@pytest.mark.parametrize(
    "line",
    ['{"UID": "p"', '{"UID": "p"}', '{"UID": "p", "pairID": "x"}', "[]", '"text"', "null", ""],
)
def test_what_is_no_minimal_pair_is_a_file_error(tmp_path, line):
    source = source_of(tmp_path, "blimp", {"data/p.jsonl": line.encode()})
    with pytest.raises(NeuroalignError, match=r"p\.jsonl"):
        language.blimp(source)


@pytest.mark.parametrize("row", ["1,A,S", "x" + ",A" * 12 + ",S", "1" + ",A" * 12 + ",X"])
def test_what_is_no_localizer_row_is_a_file_error(tmp_path, row):
    path = "langloc_fmri_run1_stim_set1.csv"
    source = source_of(tmp_path, "langloc_stimuli", {path: f"header\n{row}\n".encode()})
    with pytest.raises(FileError, match="a row must be a number, 12 words and S or N"):
        language.langloc(source)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("[]", "is no test suite: TypeError"),
        ('{"items": []}', "is no test suite: KeyError"),
        (
            '{"meta": {"metric": "mean"}, "items": [], "predictions": []}',
            "the metric must be 'sum'; got 'mean'",
        ),
        ("{", r"x\.json"),
    ],
)
def test_what_is_no_test_suite_is_a_file_error(tmp_path, content, text):
    source = source_of(tmp_path, "syntaxgym", {"suites/x.json": content.encode()})
    with pytest.raises(FileError, match=text):
        language.suite_regions(source)


def test_a_suite_without_predictions_is_a_file_error(tmp_path):
    source = source_of(tmp_path, "syntaxgym", {"suites/x.json": b'{"meta": {"metric": "sum"}, "items": []}'})
    assert len(language.suite_regions(source)) == 0
    with pytest.raises(FileError, match="is no test suite: KeyError 'predictions'"):
        language.suite_predictions(source)


def structs(rows: list[dict], shape: tuple[int, ...] | None = None) -> np.ndarray:
    """Records as MATLAB writes an array of structs."""
    found = np.empty(len(rows), dtype=[(key, object) for key in rows[0]])
    for i, row in enumerate(rows):
        found[i] = tuple(row.values())
    return found.reshape(shape or (1, -1))


def matlab(tmp_path, path: str, **variables) -> sources.Source:
    scipy.io.savemat(tmp_path / "made.mat", variables)
    return source_of(tmp_path, "kriegeskorte92", {path: (tmp_path / "made.mat").read_bytes()})


NAMED = [{"RDM": np.zeros((92, 92)), "name": name} for name in kriegeskorte.MODELS.values()]
PICTURES = structs([{"category": "x"}] * 92)


@pytest.mark.parametrize(
    ("read", "path", "variables", "said"),
    [
        (
            "human_it",
            "BRAIN",
            {"RDMs": structs(NAMED, (4, 2))[:3]},
            r"must have shape \(4, 2\); got \(3, 2\)",
        ),
        ("models", "MODEL_FILE", {"Models": structs(NAMED[:7])}, "8 entries were expected; got 7"),
        (
            "models",
            "MODEL_FILE",
            {"Models": structs([{**NAMED[0], "RDM": np.eye(3)}, *NAMED[1:]])},
            r"an RDM must have shape \(92, 92\); got \(3, 3\)",
        ),
        (
            "published",
            "SUPPLEMENT",
            {
                "RDMs_mIT_hIT_fig1": structs(
                    [{"RDM": np.ones(9), "name": n} for n in kriegeskorte.SPECIES.values()]
                )
            },
            r"hITvisStim_316vx must be 4186 finite numbers; got shape \(9,\)",
        ),
        (
            "stimuli",
            "SUPPLEMENT",
            {"stimuli_92objs": PICTURES, "categoryLabels": ["a", "b"], "categoryVectors": np.ones((92, 2))},
            "the categories are not those of the 92 images",
        ),
    ],
    ids=["people", "models", "size", "published", "categories"],
)
def test_a_matlab_file_of_other_things_is_a_file_error(tmp_path, read, path, variables, said):
    source = matlab(tmp_path, getattr(kriegeskorte, path), **variables)
    with pytest.raises(FileError, match=said):
        getattr(kriegeskorte, read)(source)


def test_a_localizer_of_fewer_rows_is_a_file_error(tmp_path):
    content = b"header\n1" + b",A" * 12 + b",S\n"
    source = source_of(tmp_path, "langloc_stimuli", {"langloc_fmri_run1_stim_set1.csv": content})
    with pytest.raises(FileError, match="48 rows were expected; got 1"):
        language.langloc(source)


def evoked_file(tmp_path, *, names, n_times=615) -> bytes:
    mne = pytest.importorskip("mne", reason="the eeg extra is not installed")
    info = mne.create_info(list(names), 512.0, "eeg")
    made = [
        mne.EvokedArray(np.ones((len(names), n_times)), info, comment=theirs, verbose="ERROR")
        for theirs in n400.CONDITIONS.values()
    ]
    mne.write_evokeds(tmp_path / "made-ave.fif", made, overwrite=True, verbose="ERROR")
    return (tmp_path / "made-ave.fif").read_bytes()


def test_averages_of_other_electrodes_and_times_are_a_file_error(tmp_path):
    names = [f"E{i}" for i in range(64)]
    path = "group_data/sentence_n400_{}-ave.fif"
    good, turned = (evoked_file(tmp_path, names=n) for n in (names, names[::-1]))
    short = evoked_file(tmp_path, names=names, n_times=600)
    contents = {
        path.format(who): one for who, one in zip(("p01", "p02", "p03"), (good, turned, short), strict=True)
    }
    source = source_of(tmp_path, "n400_group_eeg", contents)
    assert float(n400.evoked(source, subjects=["p01"]).mean()) == pytest.approx(1e6)
    with pytest.raises(FileError, match="the electrodes of p02 are not those of p01"):
        n400.evoked(source, subjects=["p01", "p02"])
    with pytest.raises(FileError, match=r"must hold finite values \(4, 64, 615\); got shape \(4, 64, 600\)"):
        n400.evoked(source, subjects=["p03"])


def test_a_missing_mne_is_said_by_the_averages(tmp_path, monkeypatch):
    source = source_of(tmp_path, "n400_group_eeg", {"group_data/sentence_n400_p01-ave.fif": b"x"})
    monkeypatch.setitem(sys.modules, "mne", None)
    with pytest.raises(FileError, match=r"needs the package mne, which is missing: .*'neuroalign\[eeg\]'"):
        n400.evoked(source, subjects=["p01"])

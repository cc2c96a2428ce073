"""``fetch`` and ``available`` with a fake in place of the network."""

from __future__ import annotations

import hashlib
import json
import logging
from pathlib import Path

import pooch
import pytest
import requests

from neuroalign import datasets
from neuroalign.datasets import fetching, sources
from neuroalign.errors import FileError, InvalidValueError

COMMIT = "a" * 40
CONTENT = {"a b.txt": b"first", "deep/er/b.bin": bytes(range(256)), "c.txt": b""}


@pytest.fixture
def one_set(monkeypatch, tmp_path):
    """A manifest of one data set with three files and a note that has no address."""
    files = {
        path: {"bytes": len(body), "sha256": hashlib.sha256(body).hexdigest(), "upstream": f"up/{path}"}
        for path, body in CONTENT.items()
    }
    files["SOURCE.md"] = {"bytes": 1, "sha256": "0" * 64}
    entry = {
        **{"title": "t", "repository": "owner/na.me", "commit": COMMIT, "licence": "l", "cite": "c"},
        **{"files": files, "modality": ["fmri", "eeg"]},
    }
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps({"datasets": {"toy": entry}}))
    monkeypatch.setattr(sources, "MANIFEST", path)
    monkeypatch.setattr(fetching, "MANIFEST", path)
    return tmp_path / "root"


class Network:
    """Serves the files; counts the requests; fails where it is told to."""

    def __init__(self, monkeypatch, broken=None, content=CONTENT):
        self.urls, self.broken, self.content = [], broken, content
        monkeypatch.setattr(pooch, "retrieve", self.retrieve)

    def retrieve(self, url, *, known_hash, fname, path, progressbar):
        self.urls.append(url)
        name = url.split("/up/")[1].replace("%20", " ")
        if name == self.broken:
            raise requests.exceptions.ConnectionError("no route to host")
        body = self.content[name]
        if "sha256:" + hashlib.sha256(body).hexdigest() != known_hash:
            raise ValueError("SHA256 hash of downloaded file does not match the known hash")
        (Path(path) / fname).write_bytes(body)
        return str(Path(path) / fname)


def test_fetch_downloads_every_file_with_an_address(one_set, monkeypatch):
    network = Network(monkeypatch)
    folder = datasets.fetch("toy", root=one_set, progress=False)
    assert folder == one_set / "toy"
    found = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert found == CONTENT
    assert network.urls[0] == f"https://raw.githubusercontent.com/owner/na.me/{COMMIT}/up/a%20b.txt"


def test_fetch_keeps_files_that_are_right_and_replaces_others(one_set, monkeypatch):
    network = Network(monkeypatch)
    folder = datasets.fetch("toy", root=one_set, progress=False)
    (folder / "deep/er/b.bin").write_bytes(bytes(256))
    network.urls.clear()
    datasets.fetch("toy", root=one_set, progress=False)
    assert [url.rsplit("/", 1)[1] for url in network.urls] == ["b.bin"]
    assert (folder / "deep/er/b.bin").read_bytes() == CONTENT["deep/er/b.bin"]


def test_fetch_goes_on_after_an_interruption(one_set, monkeypatch):
    Network(monkeypatch, broken="deep/er/b.bin")
    with pytest.raises(FileError) as caught:
        datasets.fetch("toy", root=one_set, progress=False)
    for words in ("deep/er/b.bin", f"{COMMIT}/up/deep/er/b.bin", "no route to host", "NEUROALIGN_DATA"):
        assert words in str(caught.value)
    files = [path for path in one_set.rglob("*") if path.is_file()]
    assert files == [one_set / "toy" / "a b.txt"]
    network = Network(monkeypatch)
    datasets.fetch("toy", root=one_set, progress=False)
    assert len(network.urls) == 2


def test_fetch_refuses_a_file_with_another_digest_and_leaves_the_old_one(one_set, monkeypatch):
    target = one_set / "toy" / "a b.txt"
    target.parent.mkdir(parents=True)
    target.write_bytes(b"older")
    Network(monkeypatch, content={**CONTENT, "a b.txt": b"other"})
    with pytest.raises(FileError, match="does not match the known hash"):
        datasets.fetch("toy", root=one_set, progress=False)
    assert target.read_bytes() == b"older"
    assert list(target.parent.iterdir()) == [target]


def test_fetch_through_pooch_itself_checks_the_digest(one_set, monkeypatch):
    served = dict(CONTENT)

    def downloader(url, output_file, pooch_object, **kwargs):
        Path(output_file).write_bytes(served[url.split("/up/")[1].replace("%20", " ")])

    monkeypatch.setattr(pooch.core, "choose_downloader", lambda url, progressbar=False: downloader)
    folder = datasets.fetch("toy", root=one_set, progress=False)
    assert (folder / "deep/er/b.bin").read_bytes() == CONTENT["deep/er/b.bin"]
    (folder / "a b.txt").unlink()
    served["a b.txt"] = b"tampered"
    with pytest.raises(FileError, match=r"a b\.txt could not be downloaded.*hash"):
        datasets.fetch("toy", root=one_set, progress=False)
    assert not (folder / "a b.txt").exists()


def test_fetch_shows_a_bar_on_standard_error_only_when_asked(one_set, monkeypatch, capsys):
    Network(monkeypatch)
    datasets.fetch("toy", root=one_set, progress=True)
    shown = capsys.readouterr()
    assert "toy" in shown.err and "3/3" in shown.err and shown.out == ""
    datasets.fetch("toy", root=one_set, progress=False)
    assert capsys.readouterr().err == ""


def test_fetch_leaves_the_level_of_poochs_log_as_it_was(one_set, monkeypatch):
    logger = pooch.get_logger()
    monkeypatch.setattr(logger, "level", logging.INFO)
    Network(monkeypatch, broken="c.txt")
    with pytest.raises(FileError):
        datasets.fetch("toy", root=one_set, progress=False)
    assert logger.level == logging.INFO


def test_fetch_into_a_place_that_cannot_be_written_is_a_file_error(one_set, monkeypatch):
    Network(monkeypatch)
    one_set.mkdir()
    (one_set / "toy").write_text("a file where the folder should be")
    with pytest.raises(FileError, match="could not be written"):
        datasets.fetch("toy", root=one_set, progress=False)


def test_fetch_lists_the_data_sets_that_it_knows():
    with pytest.raises(InvalidValueError, match=r"data set must be one of 'alice_fmri', .*; got 'mnist'"):
        datasets.fetch("mnist")


def test_fetch_goes_where_load_looks(one_set, monkeypatch):
    Network(monkeypatch)
    monkeypatch.delenv("NEUROALIGN_DATA", raising=False)
    monkeypatch.setenv("NEUROALIGN_CACHE", str(one_set))
    assert datasets.fetch("toy", progress=False) == sources.open_source("toy").folder
    monkeypatch.delenv("NEUROALIGN_CACHE")
    assert sources.find_root() == Path(pooch.os_cache("neuroalign"))


def test_available_says_what_is_there(one_set, monkeypatch):
    Network(monkeypatch)
    before = datasets.available(root=one_set).iloc[0]
    assert (before["n_files"], before["n_bytes"], before["modality"]) == (3, 261, "fmri, eeg")
    assert not before["present"] and not before["loader"]
    datasets.fetch("toy", root=one_set, progress=False)
    assert datasets.available(root=one_set)["present"].all()
    (one_set / "toy" / "a b.txt").write_bytes(b"")
    assert not datasets.available(root=one_set)["present"].any()


def test_available_lists_the_shipped_manifest(tmp_path):
    table = datasets.available(root=tmp_path)
    assert table["name"].tolist() == sorted(datasets.manifest())
    assert set(table["name"][table["loader"]]) == set(datasets.LOADERS)
    assert (table["n_files"] > 0).all() and not table["present"].any()


def test_every_data_set_of_the_manifest_has_a_loader():
    assert set(datasets.LOADERS) == set(datasets.manifest())


@pytest.mark.parametrize("name", sorted(datasets.manifest()))
def test_information_says_what_a_set_holds_without_its_files(tmp_path, name):
    found = datasets.information(name, root=tmp_path)
    entry = datasets.manifest()[name]
    assert (found["licence"], found["cite"]) == (entry.licence, entry.cite)
    assert found["n_files"] > 0 and not found["present"] and found["folder"] == str(tmp_path / name)
    assert list(found["parts"]) == list(datasets.LOADERS[name])
    assert all(part["returns"].endswith(".") for part in found["parts"].values())
    json.dumps(found)


@pytest.mark.parametrize("name", sorted(datasets.manifest()))
def test_the_first_part_of_every_set_is_loaded_by_name(data_root, name):
    found = datasets.load(name, root=data_root)
    assert found.attrs["dataset"] == name and found.attrs["licence"] and found.attrs["cite"]


def test_information_names_parts_selectors_and_exclusions(tmp_path):
    found = datasets.information("alice_fmri", root=tmp_path)
    assert found["excluded"] == {"s33": "constant series"}
    assert found["parts"]["series"]["selectors"] == {"radius": "6mm", "subjects": None, "rois": None}
    assert "(time 362, neuroid)" in found["parts"]["series"]["returns"]
    with pytest.raises(InvalidValueError, match="got 'alice'"):
        datasets.information("alice")

import pytest

from neuroalign import io
from neuroalign.errors import FileError, InvalidValueError, UnsafeError

CONTENT = b"hello"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "a.txt").write_bytes(CONTENT)
    return tmp_path


def manifest(folder, path="a.txt", **changes):
    digest = io.file_digest(folder / "set" / "a.txt")
    file = {"bytes": len(CONTENT), "sha256": digest, "upstream": "data/a.txt"} | changes
    entry = {
        "title": "t",
        "repository": "r/r",
        "commit": "c",
        "licence": "l",
        "cite": "c",
        "files": {path: file},
    }
    io.write_json({"datasets": {"set": entry}}, folder / "manifest.json")
    return io.read_manifest(folder / "manifest.json")


def test_a_right_file_is_found(folder):
    entry = manifest(folder)["set"]
    assert io.verify_file(folder / "set", entry, "a.txt").read_bytes() == CONTENT


def test_a_wrong_length_digest_or_absence_is_named(folder):
    entry = manifest(folder)["set"]
    (folder / "set" / "a.txt").write_bytes(b"hellO")
    with pytest.raises(FileError, match=r"set: .*a\.txt has SHA-256 .*, expected 2cf24dba"):
        io.verify_file(folder / "set", entry, "a.txt")
    (folder / "set" / "a.txt").write_bytes(b"hell")
    with pytest.raises(FileError, match="has 4 bytes; 5 were expected"):
        io.verify_file(folder / "set", entry, "a.txt")
    (folder / "set" / "a.txt").unlink()
    with pytest.raises(FileError, match="is missing"):
        io.verify_file(folder / "set", entry, "a.txt")
    with pytest.raises(InvalidValueError, match=r"file of 'set' must be one of 'a.txt'"):
        io.verify_file(folder / "set", entry, "b.txt")


@pytest.mark.parametrize("path", ["../a.txt", "/etc/passwd", "a/../../b", "", "a\\b"])
def test_a_path_that_leaves_its_folder_is_refused(folder, path):
    with pytest.raises(UnsafeError, match="leaves its folder"):
        manifest(folder, path=path)
    with pytest.raises(UnsafeError, match="leaves its folder"):
        manifest(folder, upstream=path or "/")


def test_a_link_that_leads_out_is_refused(folder, tmp_path_factory):
    entry = manifest(folder)["set"]
    outside = tmp_path_factory.mktemp("outside") / "a.txt"
    outside.write_bytes(CONTENT)
    (folder / "set" / "a.txt").unlink()
    (folder / "set" / "a.txt").symlink_to(outside)
    with pytest.raises(UnsafeError, match="is a link that leads out"):
        io.verify_file(folder / "set", entry, "a.txt")


@pytest.mark.parametrize("changes", [{"sha256": "xyz"}, {"sha256": 3}, {"bytes": -1}, {"bytes": "5"}])
def test_a_malformed_entry_is_refused(folder, changes):
    with pytest.raises(FileError, match="is not a data manifest"):
        manifest(folder, **changes)


@pytest.mark.parametrize("text", ["[]", "{}", '{"datasets": 3}', '{"datasets": {"a": {}}}', "{"])
def test_what_is_no_manifest_is_refused(tmp_path, text):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(FileError):
        io.read_manifest(tmp_path / "manifest.json")


def test_an_empty_file_is_one_of_no_bytes(folder):
    (folder / "set" / "a.txt").write_bytes(b"")
    entry = manifest(folder, bytes=0)["set"]
    assert entry.files["a.txt"].n_bytes == 0
    assert io.verify_file(folder / "set", entry, "a.txt") == folder / "set" / "a.txt"
    (folder / "set" / "a.txt").write_bytes(b"x")
    with pytest.raises(FileError, match="has 1 bytes; 0 were expected"):
        io.verify_file(folder / "set", entry, "a.txt")

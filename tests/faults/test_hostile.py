"""Files made to do harm: nothing in them is run, nothing outside is read or written, there is no network."""

from __future__ import annotations

import ast
import gzip
import hashlib
import json
import pickle
import socket
import sys
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import h5netcdf
import nibabel as nib
import numpy as np
import pytest
import xarray as xr
from judging import attempt
from writers import TABLE, entry

import neuroalign
from neuroalign import datasets, io, stimuli
from neuroalign.datasets.known import szinte
from neuroalign.datasets.sources import Source, find_set
from neuroalign.errors import FileError, NeuroalignError, UnsafeError
from neuroalign.io.frames import append_guard
from neuroalign.io.labelled import MARK
from neuroalign.workflow.config import load_study

# More than any machine has, and what a refusal may take.
HUGE, MOST_BYTES = 3 * 10**12, 50e6
OPENED: list[str] = []
WATCHED: list[str] = []


def _watch(event: str, args: tuple) -> None:
    if WATCHED and event == "open" and isinstance(args[0], str | bytes | Path):
        path = str(Path(args[0] if isinstance(args[0], str | Path) else args[0].decode()))
        OPENED.extend(path for folder in WATCHED if path.startswith(folder))


sys.addaudithook(_watch)


@pytest.fixture
def outside(tmp_path) -> Iterator[Path]:
    """A folder with a secret; nothing may open a file there or make one."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "secret.tsv").write_text("stimulus\nsecret\n")
    OPENED.clear()
    WATCHED.append(str(folder))
    yield folder
    WATCHED.clear()
    assert OPENED == []
    assert [path.name for path in folder.iterdir()] == ["secret.tsv"]


@pytest.fixture
def canary(tmp_path, monkeypatch) -> Iterator[Path]:
    """A file that hostile code would make; meanwhile there is no network either."""
    calls = []

    def refuse(*args: Any, **_: Any) -> None:
        calls.append(args)
        raise OSError("no network")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse, raising=False)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    yield tmp_path / "canary"
    assert not (tmp_path / "canary").exists(), "the code was run"
    assert calls == [], "the network was asked"


class Evil:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return open, (str(self.path), "w")


# Every reader of a file, by the extension that it would be given.
READERS: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "load": ("x.nc", io.load),
    "stored_digest": ("x.nc", io.stored_digest),
    "read_layer": ("x.nc", lambda path: io.read_layer(path, "h.0")),
    "layer_names": ("x.nc", io.layer_names),
    "read_nifti": ("x.nii", io.read_nifti),
    "read_nifti, compressed": ("x.nii.gz", io.read_nifti),
    "read_json": ("x.json", io.read_json),
    "read_manifest": ("x.json", io.read_manifest),
    "load_study": ("x.yaml", load_study),
    "described": ("x.yaml", datasets.described_subjects),
    "stimuli": ("x.tsv", stimuli.read_table),
    "RDM table": ("x.tsv", datasets.read_rdm_table),
    "epochs": ("x-epo.fif", datasets.read_epochs),
    "volumes": ("x.nii.gz", lambda path: datasets.read_patterns([path], ["a"], progress=False)),
}


def pickles(canary: Path) -> dict[str, bytes]:
    """Return what holds a pickle, by its kind."""
    from io import BytesIO

    plain = pickle.dumps(Evil(canary))
    npy, npz, pt = BytesIO(), BytesIO(), BytesIO()
    np.save(npy, np.array([Evil(canary)], dtype=object), allow_pickle=True)
    with zipfile.ZipFile(npz, "w") as file:
        file.writestr("arr_0.npy", npy.getvalue())
    with zipfile.ZipFile(pt, "w") as file:
        file.writestr("archive/data.pkl", plain)
        file.writestr("archive/version", "3\n")
    return {"pickle": plain, "npy": npy.getvalue(), "npz": npz.getvalue(), "pt": pt.getvalue()}


@pytest.mark.parametrize("name", READERS)
def test_a_pickle_is_never_opened(name, tmp_path, canary, tried):
    file, read = READERS[name]
    bad = []
    for kind, content in pickles(canary).items():
        packed = gzip.compress(content) if file.endswith(".gz") else content
        (tmp_path / file).write_bytes(packed)
        try:
            read(tmp_path / file)
            bad.append(f"{name} took a {kind}")
        except NeuroalignError:
            pass
    tried("R9", "pickles given to readers", 4, bad)


def movie(tmp_path: Path, content: bytes) -> Any:
    """Read an archive as the one data set does that comes as npz."""
    (tmp_path / "movie.npz").write_bytes(content)

    class Source:
        def file(self, _: str) -> Path:
            return tmp_path / "movie.npz"

    return szinte._movie(Source())


def test_an_archive_of_a_data_set_is_read_without_pickles(tmp_path, canary, tried):
    bad = []
    for kind, content in pickles(canary).items():
        said = attempt(lambda content=content: movie(tmp_path, content))
        if not said or said.startswith("FOREIGN"):
            bad.append(f"{kind}: {said}")
    tried("R9", "pickles given to readers", 4, bad)


TAGS = ("python/object/apply:builtins.open", "python/object/new:builtins.open", "python/name:os.system")


@pytest.mark.parametrize("read", ["load_study", "described"])
@pytest.mark.parametrize("tag", [*TAGS, "python/module:antigravity"])
def test_a_yaml_tag_is_never_resolved(read, tag, tmp_path, canary, tried):
    bad = []
    for key in ("name", "title", "kind"):
        (tmp_path / "x.yaml").write_text(f"{key}: !!{tag} [{canary}, w]\n")
        said = attempt(lambda: READERS[read][1](tmp_path / "x.yaml"))
        if "is not YAML" not in said or said.startswith("FOREIGN"):
            bad.append(f"{tag}: {said!r}")
    tried("R9", "YAML tags that make objects", 3, bad)


OUT = ("../outside/secret.tsv", "a/../../outside/secret.tsv", "/etc/passwd", "..\\secret.tsv", "a\0b", "")


@pytest.mark.parametrize("where", ["path", "upstream", "name"])
def test_a_manifest_that_leaves_its_folder_is_refused(where, tmp_path, outside, tried):
    bad = []
    for path in OUT:
        words = dict.fromkeys(("title", "repository", "commit", "licence", "cite"), "x")
        file = {"sha256": "0" * 64, "bytes": 1, "upstream": path if where == "upstream" else None}
        files = {path if where == "path" else "a.tsv": file}
        io.write_json(
            {"datasets": {path if where == "name" else "tiny": {**words, "files": files}}}, tmp_path / "m"
        )
        try:
            io.read_manifest(tmp_path / "m")
            bad.append(f"{where} {path!r} was taken")
        except UnsafeError:
            pass
    tried("R9", "manifests whose paths lead out", len(OUT), bad)


@pytest.mark.parametrize("link", ["file", "folder", "dangling"])
def test_a_link_that_leads_out_is_neither_read_nor_written_through(link, tmp_path, outside, tried):
    root = tmp_path / "root"
    (root / "tiny" / "sub-01").mkdir(parents=True)
    about = entry(0)
    if link == "folder":
        (root / "tiny" / "sub-01").rmdir()
        (root / "tiny" / "sub-01").symlink_to(outside)
    else:
        target = outside / ("secret.tsv" if link == "file" else "bold.tsv")
        (root / "tiny" / "sub-01" / "bold.tsv").symlink_to(target)
    bad = []
    for call in (
        lambda: io.verify_file(root / "tiny", about, "sub-01/bold.tsv"),
        lambda: TABLE["data set"].write(root, 0),
    ):
        try:
            call()
            bad.append(f"{link}: went through")
        except UnsafeError as error:
            assert "link that leads out" in str(error)
    tried("R9", "links that lead out", 2, bad)


@pytest.mark.parametrize("how", ["pattern", "absolute", "link"])
def test_a_description_that_leaves_its_root_is_refused(how, tmp_path, outside, tried):
    root = tmp_path / "root"
    root.mkdir()
    (root / "s1.nc").symlink_to(outside / "secret.tsv")
    file = {"pattern": "../outside/secret.tsv", "absolute": str(outside / "secret.tsv"), "link": "s1.nc"}[how]
    (root / "d.yaml").write_text(f"name: x\ntitle: T\nkind: labelled\nfile: {file}\n")
    try:
        datasets.read_described(root / "d.yaml")
        bad = [f"{file} was read"]
    except UnsafeError:
        bad = []
    tried("R9", "descriptions that lead out", 1, bad)


ABSOLUTE = Path(gettempdir()) / "neuroalign-evil.npy"
MEMBERS = ("../outside/evil.npy", str(ABSOLUTE), "../../evil.npy")


def test_members_of_an_archive_are_never_unpacked(tmp_path, outside, tried):
    from io import BytesIO

    bad = []
    for member in MEMBERS:
        held, archive = BytesIO(), BytesIO()
        np.save(held, np.zeros((2, 2)))
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr(member, held.getvalue())
        before = set(tmp_path.rglob("*")) | {tmp_path / "movie.npz"}
        said = attempt(lambda archive=archive: movie(tmp_path, archive.getvalue()))
        if not said or said.startswith("FOREIGN") or set(tmp_path.rglob("*")) != before or ABSOLUTE.exists():
            bad.append(f"{member}: {said}")
    tried("R9", "archives whose members lead out", len(MEMBERS), bad)


# Calls that unpack, unpickle or run what a file holds; none is in the package.
FORBIDDEN = {
    *("extractall", "unpack_archive", "read_pickle", "to_pickle", "Unpickler", "unsafe_load", "full_load"),
    *("eval", "exec", "system", "popen", "import_module", "run_path", "run_module"),
}
# Rooms and modules of the package are imported by name, from tables of its own.
ALLOWED = {"import_module": "__init__.py"}


def test_no_module_unpacks_unpickles_or_runs_what_a_file_holds(tried):
    bad, n_calls = [], 0
    package = Path(neuroalign.__file__).parent
    for path in sorted(package.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = {alias.name.split(".")[0] for alias in node.names}
                module = (getattr(node, "module", "") or "").split(".")[0]
                if {"pickle", "dill", "joblib", "marshal", "shelve", "tarfile"} & (names | {module}):
                    bad.append(f"{path.name}:{node.lineno} imports {names}")
            if not isinstance(node, ast.Call):
                continue
            n_calls += 1
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            plain = isinstance(node.func, ast.Name) or name not in (
                "eval",
                "exec",
            )  # module.eval() is torch's
            if name in FORBIDDEN and plain and ALLOWED.get(name) != path.name:
                bad.append(f"{path.name}:{node.lineno} calls {name}")
            for word in node.keywords:
                if word.arg in ("allow_pickle", "shell") and getattr(word.value, "value", True):
                    bad.append(f"{path.name}:{node.lineno} passes {word.arg}")
    tried("R9", "calls of the package, none of which unpacks, unpickles or runs a file", n_calls, bad)


def huge_npz(path: Path) -> None:
    """An array of a terabyte in the header, of 8 bytes in the file."""
    head = {"descr": "<f8", "fortran_order": False, "shape": (HUGE,)}
    with zipfile.ZipFile(path, "w") as file, file.open("arr_0.npy", "w") as member:
        np.lib.format.write_array_header_1_0(member, head)
        member.write(bytes(8))


def huge_labelled(path: Path) -> None:
    """A variable that is nowhere in the file, with every digest in order."""
    with h5netcdf.File(path, "w") as file:
        file.dimensions = {"x": HUGE}
        file.create_variable("__array__", ("x",), "float64", chunks=(1000,), fillvalue=0.0)
    content = path.read_bytes()
    path.write_bytes(content + MARK + hashlib.sha256(content).digest())


def huge_layers(path: Path) -> None:
    """The same among activations."""
    with h5netcdf.File(path, "w") as file:
        file.dimensions = {"stimulus": 2, "unit": HUGE}
        file.create_variable("stimulus", ("stimulus",), "int64", data=np.arange(2))
        file.create_variable("n_tokens", ("stimulus",), "int64", data=np.arange(2))
        file.create_variable("h.0", ("stimulus", "unit"), "float32", chunks=(1, 1000), fillvalue=0.0)
        head = '{"attrs":{},"labels":"","layers":{"h.0":""}}'
        file.attrs["neuroalign_layers"] = head
        file.attrs["neuroalign_digest"] = hashlib.sha256(head.encode()).hexdigest()
    with open(path, "r+b") as file:
        append_guard(file, {})


def huge_image(path: Path) -> None:
    """A header of 64 TB, and one kilobyte of values."""
    image = nib.Nifti1Image(np.zeros((2, 2, 2)), np.eye(4))
    header = bytearray(image.to_bytes())
    header[40:56] = np.array([4, 20_000, 20_000, 20_000, 1, 1, 1, 1], dtype="<i2").tobytes()
    content = bytes(header) + bytes(1024)
    path.write_bytes(gzip.compress(content) if path.name.endswith(".gz") else content)


def long_label(path: Path) -> None:
    """One label of 4 MB among 10,000 short ones, which fixed-width text makes 160 GB."""
    labels = np.array(["a"] * 9999 + ["b" * 4_000_000], dtype=object)
    with h5netcdf.File(path, "w") as file:
        file.dimensions = {"x": labels.size}
        import h5py

        file.create_variable("x", ("x",), h5py.string_dtype(), data=labels)
        file.attrs["neuroalign_kind"] = '["Dataset",null]'
        file.attrs["neuroalign_attrs"], file.attrs["neuroalign_provenance"] = '{"":{}}', "{}"
        file.attrs["neuroalign_digest"] = "0"
    content = path.read_bytes()
    path.write_bytes(content + MARK + hashlib.sha256(content).digest())


def known_movie(path: Path) -> Any:
    """Read an archive in the place of the data set's own: its digest is another one."""
    about = find_set("szinte_prf_v1")
    source = Source(about, path.parent / "m")
    place = source.folder / szinte.MOVIE
    if path.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        content = path.read_bytes()
        place.write_bytes(content)
        file = replace(about.files[szinte.MOVIE], n_bytes=len(content))
        source.entry = replace(about, files={szinte.MOVIE: file})
    return szinte._movie(source)


BOMBS: dict[str, tuple[str, Callable[[Path], None], Callable[[Path], Any]]] = {
    "npz": ("x.npz", huge_npz, known_movie),
    "labelled": ("x.nc", huge_labelled, io.load),
    "labelled, digest": ("x.nc", huge_labelled, io.stored_digest),
    "layers": ("x.nc", huge_layers, lambda path: io.read_layer(path, "h.0")),
    "NIfTI": ("x.nii", huge_image, io.read_nifti),
    "NIfTI, compressed": ("x.nii.gz", huge_image, io.read_nifti),
    "patterns": ("x.nii", huge_image, READERS["volumes"][1]),
    "patterns, compressed": ("x.nii.gz", huge_image, READERS["volumes"][1]),
    "one long label": ("x.nc", long_label, io.load),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_huge_declared_shape_takes_no_memory(name, tmp_path, tried):
    file, make, read = BOMBS[name]
    (tmp_path / "m").mkdir()
    make(tmp_path / file)
    attempt(lambda: read(tmp_path / "none" / file))  # what is imported on the way takes memory too
    tracemalloc.start()
    try:
        said = attempt(lambda: read(tmp_path / file))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    bad = [] if peak < MOST_BYTES else [f"{name}: {peak / 1e6:.0f} MB"]
    if name != "labelled, digest" and (not said or said.startswith("FOREIGN")):
        bad.append(f"{name}: {said!r}")
    tried("R9", "files that declare more than they hold", 1, bad)


def model_folder(folder: Path, canary: Path, kind: str) -> Path:
    """Return a model repository that asks for its own code."""
    folder.mkdir()
    auto_map = dict.fromkeys(("AutoConfig", "AutoModel", "AutoModelForCausalLM", "AutoTokenizer"), "own.Own")
    size = {"vocab_size": 8, "n_positions": 8, "n_embd": 4, "n_layer": 1, "n_head": 1}
    known = {
        "model_type": "own" if kind == "unknown type" else "gpt2",
        "architectures": ["GPT2LMHeadModel"],
        **size,
    }
    asks = {"auto_map": auto_map} if kind != "tokenizer" else {}
    (folder / "config.json").write_text(json.dumps({**known, **asks}))
    tokenizer = {"tokenizer_class": "OwnTokenizer", "auto_map": {"AutoTokenizer": ["own.Own", None]}}
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer))
    (folder / "own.py").write_text(f"open({str(canary)!r}, 'w').close()\n")
    if kind == "pickled weights":
        (folder / "pytorch_model.bin").write_bytes(pickles(canary)["pt"])
    return folder


@pytest.mark.parametrize("untrained", [False, True], ids=["trained", "untrained"])
@pytest.mark.parametrize("kind", ["unknown type", "known type", "pickled weights", "tokenizer"])
def test_a_model_that_asks_for_its_own_code_is_refused(kind, untrained, tmp_path, canary, tried):
    from neuroalign.extraction import load_model

    folder = model_folder(tmp_path / "model", canary, kind)
    try:
        load_model(folder, untrained=untrained, device="cpu")
        bad = [f"{kind} was loaded"]
    except (UnsafeError, FileError):
        bad = []
    tried("R9", "model repositories that ask for their own code", 1, bad)


def test_a_good_file_is_still_read(tmp_path):
    """The refusals above are of what is hostile, not of everything."""
    values = np.arange(szinte.N_TIMES * szinte.N_X * szinte.N_Y, dtype=np.uint8)
    np.savez(tmp_path / "good.npz", values.reshape(szinte.N_TIMES, szinte.N_X, szinte.N_Y))
    assert movie(tmp_path, (tmp_path / "good.npz").read_bytes()).shape[0] == szinte.N_TIMES
    io.save(xr.DataArray(["a" * 2000, "b"], dims="x"), tmp_path / "x.nc")
    assert io.load(tmp_path / "x.nc").values.tolist() == ["a" * 2000, "b"]

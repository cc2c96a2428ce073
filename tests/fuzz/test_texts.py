"""Any text whatever to the readers that are written here: hypothesis looks for one that breaks them."""

from __future__ import annotations

import json
import signal
from contextlib import contextmanager

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from seeds import DESCRIPTION, EVENTS, GRID, RDM, STIMULI, STUDY

from neuroalign import io
from neuroalign.datasets import read_description, read_events, read_rdm_table
from neuroalign.datasets.images.repetition import sidecar_time
from neuroalign.errors import NeuroalignError
from neuroalign.stimuli import read_table, read_textgrid
from neuroalign.workflow.config import load_study

SECONDS = 5
RELAXED = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@contextmanager
def bounded():
    """Bound the CPU time of one example, so that a hang is a failure."""

    def alarm(*_):
        raise TimeoutError("an example took too long")

    before = signal.signal(signal.SIGPROF, alarm)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def attempt(read, path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
    with bounded():
        try:
            return read(path)
        except NeuroalignError as error:
            assert str(error).strip()
            return None


READ = {
    "words.tsv": (read_table, STIMULI),
    "words.csv": (read_table, STIMULI.replace("\t", ",")),
    "x_events.tsv": (read_events, EVENTS),
    "plain.tsv": (io.read_table, EVENTS),
    "rdm.tsv": (read_rdm_table, RDM),
    "a.TextGrid": (read_textgrid, GRID),
    "study.yaml": (load_study, STUDY),
    "mine.yaml": (read_description, DESCRIPTION),
    "manifest.json": (io.read_manifest, '{"datasets": {}}'),
}


@pytest.mark.parametrize("name", list(READ))
def test_any_text_or_bytes_are_read_or_refused(name, tmp_path, tried):
    read, example = READ[name]
    pieces = st.sampled_from(
        [*example.splitlines(keepends=True), "\t", "\n", '"', "n/a", "1e999", "&a [*a]", "- "]
    )
    texts = st.one_of(
        st.text(max_size=60),
        st.binary(max_size=60),
        st.lists(st.one_of(pieces, st.text(max_size=8)), max_size=12).map("".join),
    )
    seen = []

    @RELAXED
    @given(texts)
    def law(content):
        seen.append(1)
        attempt(read, tmp_path / name, content)

    law()
    tried("fuzz", "hypothesis: any text", len(seen))


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=6), st.just("a/../b")),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=6), inner, max_size=4)
    ),
    max_leaves=8,
)
FILE = st.fixed_dictionaries({}, optional=dict.fromkeys(("bytes", "sha256", "upstream"), JSON))
KEYS = ("title", "repository", "commit", "licence", "cite")
SET = st.fixed_dictionaries(
    {"files": st.one_of(JSON, st.dictionaries(st.text(max_size=6), st.one_of(FILE, JSON), max_size=2))},
    optional=dict.fromkeys(KEYS, JSON),
)


@RELAXED
@given(
    value=st.one_of(
        JSON, st.fixed_dictionaries({"datasets": st.dictionaries(st.text(max_size=6), st.one_of(SET, JSON))})
    )
)
def test_any_json_is_a_manifest_or_refused_and_no_path_leaves_its_folder(tmp_path, value):
    found = attempt(io.read_manifest, tmp_path / "manifest.json", json.dumps(value))
    for entry in (found or {}).values():
        assert not [path for path in entry.files if ".." in path.split("/") or path.startswith("/")]


@RELAXED
@given(value=JSON)
def test_any_repetition_time_is_a_positive_number_or_refused(tmp_path, value):
    beside = tmp_path / "bold.json"
    found = attempt(
        lambda _: sidecar_time(tmp_path / "bold.nii.gz"), beside, json.dumps({"RepetitionTime": value})
    )
    assert found is None or 0 < found < float("inf")


SCALARS = [
    "~",
    "1",
    "01",
    "0b_",
    "0x_",
    "1_0",
    "190:20:30",
    "2001-99-99",
    "2001-01-01",
    ".nan",
    ".inf",
    "1e9",
    "yes",
]
SCALARS += [
    "!!int ''",
    "!!float x",
    "!!bool perhaps",
    "!!timestamp x",
    "!!set {a}",
    "!!omap [a]",
    "!!binary é",
]
SCALARS += [
    "!!python/object/apply:os.system [id]",
    "*missing",
    "<<: 1",
    "[a, [b]]",
    "{a: {b: c}}",
    "? [a]",
    "=",
    "''",
]


@pytest.mark.parametrize("scalar", SCALARS)
@pytest.mark.parametrize(
    ("read", "text"), [(load_study, STUDY), (read_description, DESCRIPTION)], ids=["study", "data"]
)
def test_any_kind_of_yaml_value_in_any_place_is_read_or_refused(read, text, scalar, tmp_path):
    lines = text.splitlines()
    for number, line in enumerate(lines):
        key, sign, _ = line.partition(":")
        if sign:
            changed = [*lines[:number], f"{key}: {scalar}", *lines[number + 1 :]]
            attempt(read, tmp_path / "x.yaml", "\n".join(changed))


@RELAXED
@given(
    value=st.dictionaries(
        st.sampled_from([*"abc", "name", "title", "kind", "root", "images", "own", "story", "seed"]), JSON
    )
)
def test_any_mapping_is_a_study_and_a_description_or_refused(tmp_path, value):
    for read in (load_study, read_description):
        attempt(read, tmp_path / "x.yaml", yaml.safe_dump(value, allow_unicode=True))

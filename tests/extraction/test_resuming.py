from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from neuroalign.errors import InvalidValueError
from neuroalign.extraction import extract, extract_words, reading
from neuroalign.io import remove_leftovers
from neuroalign.io.layers import LayerWriter, layer_names, read_layer

PARTIAL, JOURNAL = ".neuroalign-x.nc.partial.nc", ".neuroalign-x.nc.partial.journal"


class Interrupted(Exception):
    pass


@pytest.fixture
def counted(monkeypatch):
    """Counts the batches that are read; raises an error after so many of them."""
    state = {"n": 0, "limit": None, "error": Interrupted()}
    opened = reading.Passages.opened

    def counting(self):
        from contextlib import contextmanager

        @contextmanager
        def inner():
            with opened(self) as read:

                def count(chosen):
                    if state["n"] == state["limit"]:
                        raise state["error"]
                    state["n"] += 1
                    return read(chosen)

                yield count

        return inner()

    monkeypatch.setattr(reading.Passages, "opened", counting)
    return state


def interrupted(counted, after, call):
    counted.update(n=0, limit=after)
    with pytest.raises(type(counted["error"])):
        call()
    counted.update(n=0, limit=None)


@pytest.mark.parametrize("after", [1, 3])
@pytest.mark.parametrize("error", [Interrupted(), KeyboardInterrupt()])
def test_interrupted_extraction_goes_on_and_ends_with_the_same_bytes(
    network, stimuli, tmp_path, counted, after, error
):
    def call(folder, **options):
        return extract(network, stimuli, batch_size=2, out=tmp_path / folder / "x.nc", progress=False)

    whole = call("whole").read_bytes()
    counted["error"] = error
    interrupted(counted, after, lambda: call("other"))
    assert sorted(file.name for file in (tmp_path / "other").iterdir()) == [JOURNAL, PARTIAL]
    assert call("other").read_bytes() == whole
    assert counted["n"] == 4 - after
    assert [file.name for file in (tmp_path / "other").iterdir()] == ["x.nc"]


def test_words_are_gone_on_with_too(decoder, story, tmp_path, counted):
    def call(folder):
        out = tmp_path / folder / "x.nc"
        return extract_words(
            decoder, story, context=24, stride=9, batch_size=3, pool="mean", out=out, progress=False
        )

    whole = call("whole").read_bytes()
    n_batches = counted["n"]
    interrupted(counted, n_batches - 1, lambda: call("other"))
    assert call("other").read_bytes() == whole and counted["n"] == 1


@pytest.mark.parametrize(
    "changed",
    [
        {"pool": "mean"},
        {"max_tokens": 5},
        {"layers": 0},
        {"site": "mlp_out"},
        {"batch_size": 3},
    ],
)
def test_what_another_extraction_left_is_never_used(model, stimuli, tmp_path, counted, changed):
    def call(folder, options):
        out = tmp_path / folder / "x.nc"
        return extract(model, stimuli, out=out, progress=False, **{"batch_size": 2, **options})

    whole = call("whole", changed).read_bytes()
    n_batches = counted["n"]
    interrupted(counted, 3, lambda: call("other", {}))
    assert call("other", changed).read_bytes() == whole and counted["n"] == n_batches
    assert [file.name for file in (tmp_path / "other").iterdir()] == ["x.nc"]


def left(model, stimuli, folder, counted, after=3):
    out = folder / "x.nc"
    interrupted(counted, after, lambda: extract(model, stimuli, batch_size=2, out=out, progress=False))
    return out, folder / PARTIAL, folder / JOURNAL


def cut_line(partial, journal):
    journal.write_bytes(journal.read_bytes()[:-20])


def flip_value(partial, journal):
    content = bytearray(partial.read_bytes())
    values = np.frombuffer(content, dtype=np.uint8)
    content[values.size - 40] ^= 1
    partial.write_bytes(bytes(content))


def sealed(partial, journal):
    said = b'{"sealed":true}'
    line = hashlib.sha256(said).hexdigest().encode() + b" " + said + b"\n"
    journal.write_bytes(journal.read_bytes() + line)


def no_values(partial, journal):
    partial.unlink()


def no_header(partial, journal):
    journal.write_bytes(b"")


@pytest.mark.parametrize(
    ("harm", "n_read"), [(cut_line, 2), (flip_value, None), (sealed, 4), (no_values, 4), (no_header, 4)]
)
def test_only_what_was_completely_written_is_used(build, stimuli, tmp_path, counted, harm, n_read):
    model = build["gpt2"]()
    whole = extract(model, stimuli, batch_size=2, out=tmp_path / "whole.nc", progress=False).read_bytes()
    out, partial, journal = left(model, stimuli, tmp_path, counted)
    harm(partial, journal)
    assert extract(model, stimuli, batch_size=2, out=out, progress=False).read_bytes() == whole
    assert counted["n"] == n_read if n_read is not None else 2 <= counted["n"] <= 4


def test_halved_batches_are_gone_on_with(build, stimuli, tmp_path, counted, monkeypatch):
    model, pooled = build["gpt2"](), reading._pooled

    def small(taken, local, n_rows, *, total):
        if n_rows > 2:
            raise RuntimeError("out of memory")
        return pooled(taken, local, n_rows, total=total)

    monkeypatch.setattr(reading, "_pooled", small)
    whole = extract(model, stimuli, batch_size=4, out=tmp_path / "whole.nc", progress=False).read_bytes()
    out = tmp_path / "x.nc"
    interrupted(counted, 3, lambda: extract(model, stimuli, batch_size=4, out=out, progress=False))
    assert extract(model, stimuli, batch_size=4, out=out, progress=False).read_bytes() == whole
    assert counted["n"] == 2


def test_two_writers_of_one_path_do_not_meet(build, stimuli, tmp_path, monkeypatch):
    model, out, write = build["gpt2"](), tmp_path / "x.nc", LayerWriter.write
    alone = extract(model, stimuli, batch_size=2, out=tmp_path / "alone.nc", progress=False).read_bytes()
    inner = []

    def writing(self, *args, **options):
        monkeypatch.setattr(LayerWriter, "write", write)
        inner.append(extract(model, stimuli, batch_size=2, out=out, progress=False).read_bytes())
        write(self, *args, **options)

    monkeypatch.setattr(LayerWriter, "write", writing)
    assert extract(model, stimuli, batch_size=2, out=out, progress=False).read_bytes() == alone == inner[0]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["alone.nc", "x.nc"]


def test_what_can_be_gone_on_with_is_no_leftover(build, stimuli, tmp_path, counted):
    _, partial, journal = left(build["gpt2"](), stimuli, tmp_path, counted)
    assert remove_leftovers(tmp_path) == []
    journal.unlink()
    assert remove_leftovers(tmp_path) == [partial]


def test_refused_options_leave_nothing(build, stimuli, tmp_path):
    with pytest.raises(InvalidValueError, match="batch_size must be"):
        extract(build["gpt2"](), stimuli, batch_size=0, out=tmp_path / "x.nc", progress=False)
    assert list(tmp_path.iterdir()) == []


SCRIPT = """
import importlib.util, sys, time
from pathlib import Path
spec = importlib.util.spec_from_file_location("made", sys.argv[1])
made = importlib.util.module_from_spec(spec)
spec.loader.exec_module(made)
import torch
torch.set_num_threads(1)
torch.manual_seed(0)
from neuroalign.extraction import extract
from neuroalign.io.layers import LayerWriter
write = LayerWriter.write
def slow(self, *args, **options):
    print("batch", flush=True)
    write(self, *args, **options)
    time.sleep(0.2)
LayerWriter.write = slow
table = made.pd.DataFrame({"stimulus": range(7), "text": made.SENTENCES})
extract(made.gpt2(), table, batch_size=1, out=Path(sys.argv[2]), progress=False)
"""


def test_killed_process_is_gone_on_with_and_ends_with_the_same_bytes(build, stimuli, tmp_path, counted):
    torch.manual_seed(0)
    model, out = build["gpt2"](), tmp_path / "killed" / "x.nc"
    table = stimuli.assign(stimulus=range(7))
    whole = extract(model, table, batch_size=1, out=tmp_path / "whole.nc", progress=False).read_bytes()
    call = [sys.executable, "-c", SCRIPT, str(Path(__file__).parent / "conftest.py"), str(out)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    with subprocess.Popen(call, stdout=subprocess.PIPE, text=True, env=environment) as process:
        for _ in range(4):
            assert process.stdout.readline().strip() == "batch"
        time.sleep(0.1)
        process.send_signal(signal.SIGKILL)
    assert not out.exists() and process.returncode == -signal.SIGKILL
    counted["n"] = 0
    assert extract(model, table, batch_size=1, out=out, progress=False).read_bytes() == whole
    assert 2 <= counted["n"] <= 4
    assert [file.name for file in out.parent.iterdir()] == ["x.nc"]
    assert np.isfinite(read_layer(out, layer_names(out)[0]).values).all()

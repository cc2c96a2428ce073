"""The smallest study that runs through several rules of the real Snakefile, and what is done to its runs.

``tables``: RDMs of three people against two model RDMs (own_rdms, own_rsa, figure21, report). ``network``:
the same with the layers of a tiny random network beside them, a job that can run next to own_rdms.
"""

from __future__ import annotations

import contextlib
import copy
import fcntl
import json
import os
import re
import runpy
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

from neuroalign import io
from neuroalign.workflow.config import load_study
from neuroalign.workflow.outputs import sound_outputs
from neuroalign.workflow.paths import Paths
from neuroalign.workflow.records import Record

ROOT = Path(__file__).resolve().parents[2]
OWN_DATA = runpy.run_path(str(ROOT / "tests/workflow/own_data.py"))
RULES = ["own_rdms", "own_rsa", "figure21", "report"]
A_HANG = 1800  # seconds: many times what a loaded machine takes
STUDY = {
    "name": "tiny",
    "title": "A tiny study",
    "seed": 3,
    "own": {
        "data": "people.yaml",
        "models": {"category": "category.tsv", "length": "length.tsv"},
        "n_draws": 40,
        "n_permutations": 100,
        "simulated": True,
    },
}
PEOPLE = {"name": "people", "title": "Three people", "kind": "rdm", "file": "person-{subject}.tsv"}
# A shell in the background ignores Ctrl-C, and its children with it.
START = (
    "import runpy, signal\n"
    "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    "runpy.run_module('neuroalign', run_name='__main__', alter_sys=True)\n"
)
# What Snakemake imports is imported once; every plan is made by a fork of it.
PLANNER = (
    "import json, os, sys\n"
    "from snakemake.cli import main\n"
    "for line in sys.stdin:\n"
    "    call, said = json.loads(line)\n"
    "    child = os.fork()\n"
    "    if not child:\n"
    "        file = os.open(said, os.O_WRONLY | os.O_CREAT)\n"
    "        os.dup2(file, 1), os.dup2(file, 2)\n"
    "        try:\n"
    "            main(call)\n"
    "        except SystemExit as error:\n"
    "            sys.stdout.flush(), sys.stderr.flush()\n"
    "            os._exit(error.code if isinstance(error.code, int) else int(error.code is not None))\n"
    "        os._exit(0)\n"
    "    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)\n"
)


class Clone:
    """The repository's workflow, copied: nobody edits it meanwhile. Folders of runs are made beside it."""

    def __init__(self, root: Path, model: Path | None = None) -> None:
        self.root, self.model = root, model

    @property
    def environment(self) -> dict[str, str]:
        own = {"PYTHONPATH": str(self.root), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
        return {**os.environ, **own}

    def folder(self, path: Path, **changed: object) -> Path:
        """Write the study and its data below ``path``."""
        path.mkdir(parents=True, exist_ok=True)
        models = OWN_DATA["models"]()
        for name, matrix in models.items():
            matrix.to_csv(path / f"{name}.tsv", sep="\t", index_label="stimulus")
        rng = np.random.default_rng(0)
        for i in range(3):
            noise = np.triu(rng.normal(0, 0.3, models["length"].shape), 1)
            people = models["length"] + noise + noise.T
            people.to_csv(path / f"person-{i}.tsv", sep="\t", index_label="stimulus")
        about = dict(PEOPLE)
        if self.model is not None:
            rows = [f"{word}\tThis is about a {word}.\n" for word in OWN_DATA["WORDS"]]
            (path / "stimuli.tsv").write_text("".join(["stimulus\ttext\n", *rows]))
            about["stimuli"] = "stimuli.tsv"
        (path / "people.yaml").write_text(yaml.safe_dump(about))
        self.configure(path, **changed)
        return path

    def configure(self, path: Path, **changed: object) -> Path:
        """Write the study with values changed (``own__n_draws=50``) and return its path."""
        study = copy.deepcopy(STUDY)
        if self.model is not None:
            study["own"]["network"] = True
            study["model"] = {"name": str(self.model)}
        for name, value in changed.items():
            section, _, key = name.partition("__")
            if key:
                study[section][key] = value
            else:
                study[section] = value
        (path / "study.yaml").write_text(yaml.safe_dump(study))
        return path / "study.yaml"

    def start(self, command: str, folder: Path, *, cores: int = 1) -> Run:
        call = [sys.executable, "-c", START, command, str(folder / "study.yaml")]
        call += ["--cores", str(cores), "--directory", str(folder)]
        return Run(call, cwd=self.root, env=self.environment)

    def run(self, command: str, folder: Path, *, cores: int = 1) -> Run:
        """Run to the end."""
        found = self.start(command, folder, cores=cores)
        found.end()
        return found

    def in_order(self, folder: Path, first: str, *, cores: int = 1) -> list[str]:
        """Run one rule, then the rest on so many cores; return the rules as they were done."""
        call = [sys.executable, "-m", "snakemake", *self.snakemake(folder), first]
        alone = Run(call, cwd=self.root, env=self.environment)
        assert alone.end() == 0, alone.said
        rest = self.run("run", folder, cores=cores)
        assert rest.process.returncode == 0, rest.said
        return alone.finished + rest.finished

    def snakemake(self, folder: Path) -> list[str]:
        """The arguments with which Snakemake runs the study of a folder."""
        call = ["--snakefile", str(self.root / "Snakefile"), "--configfile", str(folder / "study.yaml")]
        call += ["--directory", str(folder), "--cores", "1"]
        return [*call, "--workflow-profile", str(self.root / "profiles" / "default")]


class Run:
    """A command in a process group of its own; what it says is kept with the time at which it was said."""

    def __init__(self, call: list[str], *, cwd: Path, env: dict[str, str]) -> None:
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            call, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, process_group=0
        )
        self.lines: list[tuple[float, str]] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append((time.monotonic() - self.began, line.decode()))

    @property
    def said(self) -> str:
        return "".join(line for _, line in self.lines)

    @property
    def finished(self) -> list[str]:
        """The rules of the jobs that are done."""
        return [
            name for name in re.findall(r"Finished jobid: \d+ \(Rule: (\w+)\)", self.said) if name != "all"
        ]

    def at(self, words: str) -> list[float]:
        """When it said something, in seconds since it began."""
        return [when for when, line in self.lines if words in line]

    def wait_for(self, words: str) -> bool:
        """Wait until something is said; return whether it was before the end."""
        while not self.at(words):
            if self.process.poll() is not None:
                return False
            time.sleep(0.01)
        return True

    def signal(self, number: int) -> None:
        """Send a signal to the whole group and wait until the last process of it is gone."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)
        self.end()

    def end(self) -> int:
        code = self.process.wait(A_HANG)
        self._reader.join(A_HANG)  # ends when the last process that could write is gone
        assert not self._reader.is_alive(), f"a process of the group lives on:\n{self.said[-3000:]}"
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


class Planner:
    """Makes dry runs of studies."""

    def __init__(self, clone: Clone, scratch: Path) -> None:
        self.clone, self.said = clone, scratch / "plan.txt"
        self.process = subprocess.Popen(
            [sys.executable, "-c", PLANNER],
            cwd=clone.root,
            env=clone.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            process_group=0,
        )

    def said_to(self, call: list[str]) -> str:
        """What Snakemake says to some arguments."""
        self.said.unlink(missing_ok=True)
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps([call, str(self.said)]) + "\n")
        self.process.stdin.flush()
        code, said = self.process.stdout.readline().strip(), self.said.read_text()
        assert code == "0", said
        return said

    def planned(self, folder: Path) -> set[str]:
        """The rules that a run would do now."""
        said = self.said_to([*self.clone.snakemake(folder), "--dry-run"])
        table = re.search(r"Job stats:\njob +count\n[- ]+\n(.*?)\n\n", said, re.DOTALL)
        rows = [] if table is None else table[1].splitlines()
        return {line.split()[0] for line in rows} - {"all", "total"}

    def made_sound(self, folder: Path) -> list[str]:
        """Do and return what ``neuroalign run`` does and says before Snakemake starts."""
        study = load_study(yaml.safe_load((folder / "study.yaml").read_text()))
        record = Record.read(Paths(study, folder / "results"), folder)
        with pytest.MonkeyPatch.context() as patch:  # the same Snakemake, started once
            patch.setattr(subprocess, "run", self._answered)
            return list(sound_outputs(record, self.clone.snakemake(folder), was_killed=False))

    def _answered(self, call: list[str], **_: object) -> subprocess.CompletedProcess:
        return subprocess.CompletedProcess(call, 0, stdout=self.said_to(call), stderr="")

    def close(self) -> None:
        self.process.communicate("", timeout=60)


class Whole:
    """The study run once without a disturbance, on one core, and how long its parts took."""

    def __init__(self, clone: Clone, folder: Path) -> None:
        self.clone, self.folder = clone, folder / "undisturbed"
        self.seconds = json.loads((folder / "seconds.json").read_text())


def undisturbed(factory, *, network: bool = False) -> Whole:
    """Return the undisturbed run, made once for all tests."""
    folder = once(factory, "network" if network else "tables", _undisturbed)
    return Whole(Clone(folder / "clone", folder / "model" if network else None), folder)


def _undisturbed(folder: Path) -> None:
    for name in ("neuroalign", "analyses", "profiles"):
        shutil.copytree(ROOT / name, folder / "clone" / name)
    shutil.copy2(ROOT / "Snakefile", folder / "clone")
    model = folder / "model" if folder.name == "network" else None
    if model is not None:
        make_network(model)
    clone = Clone(folder / "clone", model)
    run = clone.run("run", clone.folder(folder / "undisturbed"))
    assert run.process.returncode == 0, run.said
    assert set(run.finished) == {*RULES, *(["own_activations"] if model else [])}, run.said
    first = run.at("Execute")[0]
    job = (run.lines[-1][0] - first) / len(run.finished)
    seconds = {"dag": run.at("Building DAG")[0], "plan": first - run.at("Building DAG")[0], "job": job}
    (folder / "seconds.json").write_text(json.dumps(seconds))


def make_network(folder: Path) -> None:
    """Write a tiny random Llama and a tokenizer of the study's words."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
    from transformers.utils import logging

    logging.disable_progress_bar()
    words = ["<pad>", "This", "is", "about", "a", ".", *OWN_DATA["WORDS"]]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token=words[0]))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    end = {"pad_token": "<pad>", "eos_token": "<pad>"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **end).save_pretrained(folder)
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = LlamaConfig(vocab_size=len(words), max_position_embeddings=64, pad_token_id=0, **sizes)
    torch.manual_seed(0)
    LlamaForCausalLM(config).save_pretrained(folder)


def once(factory, name: str, make: Callable[[Path], object]) -> Path:
    """Return a folder that was made once for all test processes of this run of the tests."""
    base = factory.getbasetemp()
    base = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base
    folder, lock = base / name, base / f"{name}.lock"
    with lock.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        if not (folder / "made").exists():
            folder.mkdir(exist_ok=True)
            make(folder)
            (folder / "made").touch()
    return folder


def stamps(folder: Path) -> dict[str, int]:
    files = (path for path in (folder / "results").rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in files}


def differences(folder: Path, whole: Path) -> list[str]:
    """Where the results of a run are not those of the undisturbed one, byte by byte, or something is left."""
    left = [path for name in ("locks", "incomplete") for path in (folder / ".snakemake" / name).rglob("*")]
    left += list(folder.rglob(".neuroalign-*"))
    found = [f"{path.relative_to(folder)} is left over" for path in left if path.is_file()]
    files = sorted(stamps(folder))
    if files != sorted(stamps(whole)):
        found.append(f"other files: {sorted(set(files) ^ set(stamps(whole)))}")
    for name in (name for name in files if (whole / name).exists()):
        kind = name.split("/")[2]
        if kind in ("logs", "benchmarks"):  # how long it took
            continue
        if not _same(folder / name, whole / name):
            found.append(f"{name} has other bytes")
    return found


def _same(one: Path, other: Path) -> bool:
    if one.name == "report.html":
        return _same_but_for_seconds(one.read_text(), other.read_text())
    if one.name == "digests.json":
        return io.read_json(one)["outputs"].keys() == io.read_json(other)["outputs"].keys()
    if one.suffix == ".nc" and "activations" not in one.parts:
        io.load(one)  # refuses content without its digest
    return one.read_bytes() == other.read_bytes()


def _same_but_for_seconds(one: str, other: str) -> bool:
    """Whether two reports are equal but for the seconds and megabytes of the steps."""
    if one.count("\n") != other.count("\n"):
        return False
    pairs = [(a, b) for a, b in zip(one.splitlines(), other.splitlines(), strict=True) if a != b]
    plain = re.compile(r"[\d.,]+|n/a")
    return len(pairs) <= len(RULES) + 2 and all(plain.sub("#", a) == plain.sub("#", b) for a, b in pairs)


def under_old_stamp(path: Path, content: bytes) -> None:
    """Write a file as if nobody had."""
    found = path.stat()
    path.write_bytes(content)
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


def swap(one: Path, other: Path) -> None:
    """Let two files change places, each with its stamps."""
    between = one.with_name("between")
    one.rename(between)
    other.rename(one)
    between.rename(other)


class Chain:
    """Runs of one folder, each cut off by a signal and gone on with by ``neuroalign resume``."""

    def __init__(self, whole: Whole, folder: Path) -> None:
        self.clone, self.folder, self.seconds = whole.clone, whole.clone.folder(folder), whole.seconds
        self.command = "run"
        self.done: dict[str, dict[str, int]] = {}
        self.wrong: list[str] = []

    def disturb(self, number: int, moment: str, rng: np.random.Generator) -> bool:
        """Send a signal at a moment; return whether the run had not ended before."""
        run = self.clone.start(self.command, self.folder, cores=int(rng.integers(1, 3)))
        words, seconds = self._moment(moment)
        if words is None or run.wait_for(words):
            time.sleep(rng.uniform(0, seconds))
        is_alive = run.process.poll() is None
        run.signal(number)
        self._judge(run)
        if not is_alive and run.process.returncode != 0:
            self.wrong.append(f"it failed by itself:\n{run.said[-2000:]}")
        self.command = "resume"
        return is_alive

    def finish(self) -> Run:
        run = self.clone.run(self.command, self.folder, cores=2)
        self._judge(run)
        if run.process.returncode != 0:
            self.wrong.append(f"resume failed:\n{run.said[-2000:]}")
        return run

    def _moment(self, name: str) -> tuple[str | None, float]:
        """What is waited for, and the longest time after it: as long as it took in the undisturbed run."""
        return {
            "before Snakemake": (None, self.seconds["dag"]),
            "while planning": ("Building DAG", self.seconds["plan"]),
            "in a job": ("Execute", self.seconds["job"]),
            "after a job": ("Finished jobid", self.seconds["job"] / 4),
        }[name]

    def _judge(self, run: Run) -> None:
        """Nothing that was done is done again, or written."""
        again = sorted(set(run.finished) & set(self.done))
        if again:
            self.wrong.append(f"done again: {again}")
        now = stamps(self.folder)
        for rule, files in self.done.items():
            changed = [name for name, when in files.items() if now.get(name) != when]
            if changed:
                self.wrong.append(f"{rule}: written again: {changed}")
        for rule in run.finished:
            self.done[rule] = {name: now[name] for name in FILES[rule] if name in now}


FILES = {
    "own_activations": [],
    "own_rdms": ["results/tiny/own_rdms.nc"],
    "own_rsa": [f"results/tiny/figures/figure21.{kind}" for kind in ("tsv", "provenance.json")],
    "figure21": [f"results/tiny/figures/figure21.{kind}" for kind in ("pdf", "png", "json")],
    "report": ["results/tiny/report.html"],
}
KILL, TERM, INTERRUPT = signal.SIGKILL, signal.SIGTERM, signal.SIGINT
MOMENTS = ("before Snakemake", "while planning", "in a job", "after a job")

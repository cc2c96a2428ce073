"""Outputs cut short under their old stamps, files that changed places, edited values: all noticed."""

from __future__ import annotations

import os
import shutil
from itertools import combinations
from pathlib import Path

import pytest
import yaml
from tiny_study import Planner, differences, stamps, swap, under_old_stamp, undisturbed

from neuroalign.workflow.config import load_study
from neuroalign.workflow.outputs import damaged_outputs
from neuroalign.workflow.paths import Paths
from neuroalign.workflow.records import Record

pytestmark = pytest.mark.slow

DRAWN = {"figure21", "report"}
SCORED = {"own_rsa", *DRAWN}
ALL = {"own_rdms", *SCORED}
FIGURES = "results/tiny/figures/figure21"
REPORT = "results/tiny/report.html"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return undisturbed(tmp_path_factory)


@pytest.fixture(scope="module")
def planner(whole, tmp_path_factory):
    found = Planner(whole.clone, tmp_path_factory.mktemp("plans"))
    yield found
    found.close()


@pytest.fixture
def again(whole, tmp_path):
    """A copy of the finished study, time stamps and all."""
    return shutil.copytree(whole.folder, tmp_path / "again")


def shortened(path):
    content = path.read_bytes()
    under_old_stamp(path, content[: len(content) * 2 // 3])


def one_byte_changed(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    under_old_stamp(path, bytes(content))


def emptied(path):
    under_old_stamp(path, b"")


OUTPUTS = {
    "results/tiny/own_rdms.nc": ALL,
    f"{FIGURES}.tsv": SCORED,
    f"{FIGURES}.provenance.json": SCORED,
    f"{FIGURES}.pdf": DRAWN,
    f"{FIGURES}.png": DRAWN,
    f"{FIGURES}.json": DRAWN,
    REPORT: {"report"},
}


@pytest.mark.goal("R7", "outputs damaged under their old time stamps")
@pytest.mark.parametrize("name", OUTPUTS, ids=[name.split("/")[-1] for name in OUTPUTS])
def test_output_cut_short_is_removed_and_its_steps_are_planned(planner, again, name):
    shortened(again / name)
    assert f"{again / name} was damaged; it is removed and made again." in planner.made_sound(again)
    assert not (again / name).exists()
    assert planner.planned(again) == OUTPUTS[name]


@pytest.mark.goal("R7", "outputs damaged under their old time stamps")
@pytest.mark.parametrize("name", OUTPUTS, ids=[name.split("/")[-1] for name in OUTPUTS])
@pytest.mark.parametrize("damage", [one_byte_changed, emptied])
def test_damaged_output_is_noticed(again, name, damage):
    damage(again / name)
    assert again / name in noticed(again)


@pytest.mark.goal("R7", "outputs that changed places")
@pytest.mark.parametrize("two", list(combinations(OUTPUTS, 2)), ids=lambda two: "-".join(map(ending, two)))
def test_outputs_that_changed_places_are_noticed(again, two):
    swap(*(again / name for name in two))
    assert {again / name for name in two} <= noticed(again)


def noticed(again):
    study = load_study(yaml.safe_load((again / "study.yaml").read_text()))
    paths = Paths(study, again / "results")
    return set(damaged_outputs(paths, Record.read(paths, again)))


def ending(name):
    return Path(name).name.split(".", 1)[1]


def edited(again, name):
    path = again / name
    changed = path.read_bytes().replace(b"1.0", b"2.0").replace(b"\t5", b"\t6")
    assert changed != path.read_bytes()
    under_old_stamp(path, changed)


SOURCES = {
    "two people's files change places": (
        lambda again: swap(again / "person-0.tsv", again / "person-1.tsv"),
        [
            "'person-0.tsv', 'person-1.tsv' changed since the last run.",
            "7 file(s) that came of these are made again.",
        ],
        ALL,
    ),
    "a model edited under its old stamp": (
        lambda again: edited(again, "category.tsv"),
        [
            "'category.tsv' changed since the last run.",
            "6 file(s) that came of this are made again.",
        ],
        SCORED,
    ),
    "a person's file touched": (lambda again: os.utime(again / "person-0.tsv"), [], set()),
    "nothing": (lambda again: None, [], set()),
}


@pytest.mark.goal("R7", "inputs edited, touched, swapped")
@pytest.mark.parametrize("what", SOURCES)
def test_changed_input_reruns_what_was_made_from_it_and_no_more(planner, again, what):
    change, said, rules = SOURCES[what]
    change(again)
    assert planner.made_sound(again) == said
    assert planner.planned(again) == rules
    # the next start has nothing more to say
    assert planner.made_sound(again) == []


@pytest.mark.goal("R7", "one value of the configuration changed")
@pytest.mark.parametrize(
    ("changed", "rules"),
    [({"title": "Another"}, {"report"}), ({"own__n_draws": 41}, SCORED)],
    ids=["title", "draws"],
)
def test_changed_value_reruns_what_depends_on_it_and_no_more(whole, planner, again, changed, rules):
    whole.clone.configure(again, **changed)
    assert planner.made_sound(again) == []
    assert planner.planned(again) == rules


def test_damaged_array_is_made_again_to_the_byte(whole, again, tried):
    """From a command to the end; every step is done again, on two cores."""
    before = stamps(again)
    shortened(again / "results/tiny/own_rdms.nc")
    run = whole.clone.run("run", again, cores=2)
    assert run.process.returncode == 0 and set(run.finished) == ALL, run.said[-3000:]
    assert "own_rdms.nc was damaged; it is removed and made again." in run.said
    after = stamps(again)
    assert all(after[name] > before[name] for name in OUTPUTS)
    tried("R13", "all steps made again on 2 cores", 1, differences(again, whole.folder))

from __future__ import annotations

import shutil

import pytest

from neuroalign.errors import FileError, InvalidValueError
from neuroalign.workflow import paths as paths_module
from neuroalign.workflow.config import load_study
from neuroalign.workflow.paths import FIGURES, Paths, code_digest

BASE = {
    "name": "mine",
    "title": "My study",
    "model": {"name": "some/model"},
    "localizer": {},
    "lesions": {},
    "story": {"responses": "simulated", "simulation": {}},
}


def paths(**changed) -> Paths:
    """Paths of the base study with sections changed: ``model__dtype="float64"``."""
    value = {key: dict(item) if isinstance(item, dict) else item for key, item in BASE.items()}
    for name, item in changed.items():
        section, _, key = name.partition("__")
        if key:
            value[section][key] = item
        elif item is None:
            del value[section]
        else:
            value[section] = item
    return Paths(load_study(value))


@pytest.mark.parametrize(
    "change",
    [
        {"localizer__stimuli": "mine.tsv"},
        {"localizer__pool": "mean"},
        {"localizer__max_tokens": 5},
        {"model__name": "other/model"},
        {"model__revision": "abc"},
        {"model__dtype": "float64"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_localizer_activations_change_their_name_with_what_decides_their_values(change):
    for twin in ("trained", "untrained"):
        assert paths(**change).activations("localizer", twin) != paths().activations("localizer", twin)


@pytest.mark.parametrize(
    "change",
    [
        {"story__pool": "last"},
        {"story__context": 256},
        {"story__stride": 64},
        {"model__name": "other/model"},
        {"story": {"responses": "alice_fmri"}},
        {"story": {"responses": "mine.nc", "words": "mine.tsv"}},
    ],
    ids=str,
)
def test_story_activations_change_their_name_with_what_decides_their_values(change):
    for twin in ("trained", "untrained"):
        assert paths(**change).activations("story", twin) != paths().activations("story", twin)


def test_seed_of_the_twin_changes_the_untrained_activations_only():
    changed = paths(model__untrained_seed=1)
    for what in ("localizer", "story"):
        assert changed.activations(what, "trained") == paths().activations(what, "trained")
        assert changed.activations(what, "untrained") != paths().activations(what, "untrained")


@pytest.mark.parametrize(
    "change",
    [
        {"model__batch_size": 1},
        {"seed": 5},
        {"title": "Other"},
        {"lesions": None},
        {"lesions__n_controls": 3},
        {"localizer__fraction": 0.5},
        {"localizer__positive": "word"},
        {"localizer__n_random": 3},
        {"localizer__absolute": True},
        {"story__n_folds": 3},
        {"story__delays": [1]},
        {"story__layer_step": 2},
        {"story__window": 3},
        {"story__downsample": "sum"},
        {"story__simulation": {"n_subjects": 3}},
        {"objects": {}},
    ],
    ids=str,
)
def test_activations_keep_their_name_whatever_else_changes(change):
    for what in ("localizer", "story"):
        for twin in ("trained", "untrained"):
            assert paths(**change).activations(what, twin) == paths().activations(what, twin)


def test_two_studies_that_ask_for_the_same_share_their_activations_and_nothing_else():
    one, two = paths(), paths(name="yours", title="Yours", seed=9)
    assert one.activations("story", "trained") == two.activations("story", "trained")
    for get in ("folder", "report", "masks", "responses", "lesion_work"):
        assert getattr(one, get) != getattr(two, get)
    assert one.figure(1, "tsv") != two.figure(1, "tsv")
    assert one.log("encode") != two.log("encode") and one.benchmark("encode") != two.benchmark("encode")


def test_every_activation_file_of_a_study_has_its_own_name():
    names = [
        paths().activations(what, twin) for what in ("localizer", "story") for twin in paths_module.TWINS
    ]
    assert len(set(names)) == 4


def test_activation_names_are_plain_whatever_the_model_is_called():
    name = paths(model__name="/some where/Ünï cödé/Llama 3.1: (8B)").activations("story", "trained").name
    assert name.startswith("story-simulated-llama-3-1-8b-trained-") and name.endswith(".nc")


def test_activations_that_a_study_does_not_ask_for_have_no_name():
    with pytest.raises(KeyError, match="story"):
        paths(story=None).activations("story", "trained")
    with pytest.raises(KeyError, match="images"):
        paths().activations("images", "trained")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, [1, 2, 3, 4, 5]),
        ({"objects": {}}, [1, 2, 3, 4, 5, 6, 14, 15]),
        ({"lesions": None}, [1, 3, 4, 5]),
        ({"story": None}, [1, 2]),
        ({"lesions": None, "localizer": None}, [3, 4]),
        ({"lesions": None, "localizer": None, "story": None, "objects": {}}, [6, 14, 15]),
        ({"story": None, "presets": {}}, [1, 2, 7, 8]),
        ({"story": None, "sweep": {}, "paradigms": {}, "dissociation": {}}, [1, 2, 9, 10, 11]),
    ],
    ids=str,
)
def test_figures_are_those_that_the_sections_ask_for(change, expected):
    assert paths(**change).figures() == expected


def test_every_figure_is_drawn_by_a_script_that_is_there():
    root = paths_module.PACKAGE.parent
    for _, folder in FIGURES.values():
        assert (root / "analyses" / folder / "figure.py").is_file()
        assert (root / "analyses" / folder / "rules.smk").is_file()


def test_everything_generated_stands_below_results(tmp_path):
    all_of_it = Paths(paths().study, tmp_path / "results")
    files = [all_of_it.report, all_of_it.masks, all_of_it.responses, all_of_it.lesion_work]
    files += [all_of_it.figure(1, "pdf"), all_of_it.log("x"), all_of_it.benchmark("x")]
    files += [all_of_it.activations("story", "untrained")]
    assert all(file.is_relative_to(tmp_path / "results") for file in files)


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A copy of the package, so that its files can be edited."""
    ignored = shutil.ignore_patterns("__pycache__", "data")
    copy = shutil.copytree(paths_module.PACKAGE, tmp_path / "neuroalign", ignore=ignored)
    monkeypatch.setattr(paths_module, "PACKAGE", copy)
    return copy


def edit(path):
    path.write_bytes(path.read_bytes() + b"\n# edited\n")


def test_code_digest_of_a_copy_is_the_same(package):
    assert code_digest("rsa") == code_digest("rsa")


@pytest.mark.parametrize("room", ["rsa", "stats", "localization", "extraction", "plotting"])
def test_code_digest_changes_when_a_file_of_the_room_changes(package, room):
    before = code_digest(room)
    edit(sorted((package / room).rglob("*.py"))[-1])
    assert code_digest(room) != before


@pytest.mark.parametrize("base", ["errors.py", "schema.py", "arrays.py", "seeds.py", "io/files.py"])
def test_code_digest_changes_when_the_base_changes(package, base):
    before = code_digest("rsa")
    edit(package / base)
    assert code_digest("rsa") != before


def test_code_digest_changes_with_a_single_file_that_is_named(package):
    before = code_digest("workflow/steps/report.py")
    edit(package / "workflow/steps/report.py")
    assert code_digest("workflow/steps/report.py") != before


def test_code_digest_keeps_when_another_room_changes(package):
    before = code_digest("rsa", "workflow/steps/story.py")
    edit(package / "encoding/ridge.py")
    edit(package / "workflow/steps/report.py")
    assert code_digest("rsa", "workflow/steps/story.py") == before


def test_code_digest_changes_when_a_file_is_added_removed_or_renamed(package):
    digests = [code_digest("rsa")]
    (package / "rsa/new.py").write_text("")
    digests.append(code_digest("rsa"))
    (package / "rsa/new.py").rename(package / "rsa/newer.py")
    digests.append(code_digest("rsa"))
    assert len(set(digests)) == 3
    (package / "rsa/newer.py").unlink()
    assert code_digest("rsa") == digests[0]


def test_own_files_that_are_absent_are_all_named(tmp_path):
    mine = paths(localizer__stimuli="mine.tsv", lesions__pairs="pairs.csv")
    with pytest.raises(FileError, match=r"'mine\.tsv', 'pairs\.csv'; paths are taken from"):
        mine.check_sources(tmp_path)
    (tmp_path / "mine.tsv").touch()
    with pytest.raises(FileError, match=r"not there: 'pairs\.csv';"):
        mine.check_sources(tmp_path)
    (tmp_path / "pairs.csv").touch()
    mine.check_sources(tmp_path)


def test_a_misspelt_name_is_refused_before_anything_runs(tmp_path):
    mine = paths(localizer__stimuli="embeded", lesions__pairs="pairs.xlsx")
    with pytest.raises(InvalidValueError) as caught:
        mine.check_sources(tmp_path)
    assert "got 'embeded'. Did you mean 'embedded'? lesions.pairs must be" in str(caught.value)
    assert str(caught.value).endswith("or a table (.tsv, .csv); got 'pairs.xlsx'.")


def test_packaged_names_are_no_files_to_look_for(tmp_path):
    mine = paths()
    assert mine.sources("model", "localizer", "pairs", "words", "responses") == []
    mine.check_sources(tmp_path)

from __future__ import annotations

import json
from pathlib import Path

import pytest

from neuroalign.errors import FileError, InvalidValueError
from neuroalign.workflow import sections
from neuroalign.workflow.config import Study, load_study, section_digest, study_schema
from neuroalign.workflow.sections import (
    ALONE,
    Alphas,
    Bands,
    Dissociation,
    Lesions,
    Localizer,
    Model,
    Movie,
    Objects,
    Paradigms,
    Presets,
    Simulation,
    Story,
    Sweep,
    Topology,
)

CONFIGS = sorted((Path(__file__).parents[2] / "config").glob("*.yaml"))
SIMULATED = {"responses": "simulated", "simulation": {}}


def study(**changed) -> dict:
    return {"name": "mine", "title": "My study", "localizer": {}, **changed}


def refused(value) -> list[str]:
    """The lines of the refusal, without the first that counts them."""
    with pytest.raises(InvalidValueError) as caught:
        load_study(value)
    first, *lines = str(caught.value).splitlines()
    assert first == f"the configuration has {len(lines)} error(s):"
    return [line.strip() for line in lines]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_shipped_config_loads(path):
    found = load_study(path)
    assert found.name == path.stem and found.title


def test_shipped_configs_were_found():
    assert {"demo", "alice", "langloc", "kriegeskorte92"} <= {path.stem for path in CONFIGS}


@pytest.mark.parametrize(
    ("value", "line"),
    [
        (study(localiser={}), "localiser: unknown key; did you mean 'localizer'?"),
        (
            study(localizer={"stimulus": "x"}),
            "localizer.stimulus: unknown key; did you mean 'stimuli'?",
        ),
        (
            study(story=SIMULATED | {"alphas": {"lo": 1}}),
            "story.alphas.lo: unknown key; did you mean 'low'?",
        ),
        (
            study(story={"responses": "simulated", "simulation": {"n_subject": 3}}),
            "story.simulation.n_subject: unknown key; did you mean 'n_subjects'?",
        ),
        (study(lesions={"control": 3}), "lesions.control: unknown key; did you mean 'n_controls'?"),
        (study(model={"nam": "x"}), "model.nam: unknown key; did you mean 'name'?"),
        (study(objects={"method": []}), "objects.method: unknown key; did you mean 'methods'?"),
    ],
)
def test_misspelt_key_names_the_nearest_key(value, line):
    assert refused(value) == [line]


def test_key_like_no_other_lists_the_known_keys_of_its_section():
    assert refused(study(model={"xyzzy": 1})) == [
        "model.xyzzy: unknown key; known keys are batch_size, dtype, name, revision, untrained_seed."
    ]


def test_all_errors_are_listed_at_once_with_their_paths():
    value = study(
        seed=-1,
        model={"batch_size": 0, "dtype": "float8"},
        localizer={"fraction": 2, "poool": "last"},
        lesions={"n_controls": "many"},
    )
    del value["title"]
    paths = [line.split(":")[0] for line in refused(value)]
    assert sorted(paths) == [
        "lesions.n_controls",
        "localizer.fraction",
        "localizer.poool",
        "model.batch_size",
        "model.dtype",
        "seed",
        "title",
    ]


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        (study(seed="x"), ["seed", "valid integer", "got 'x'"]),
        (study(seed=1.5), ["seed", "valid integer", "got 1.5"]),
        (study(title=3), ["title", "valid string", "got 3"]),
        (study(localizer=[1]), ["localizer", "got [1]"]),
        (study(localizer={"fraction": 0}), ["localizer.fraction", "greater than 0", "got 0"]),
        (
            study(localizer={"pool": "middle"}),
            ["localizer.pool", "'last', 'mean' or 'first'", "got 'middle'"],
        ),
        (study(lesions={"kinds": ["uniform", "odd"]}), ["lesions.kinds.1", "got 'odd'"]),
        (study(story=SIMULATED | {"n_folds": 1}), ["story.n_folds", "greater than or equal to 2", "got 1"]),
        (study(story=SIMULATED | {"delays": [1, -2]}), ["story.delays.1", "got -2"]),
        (study(objects={"responses": "haxby"}), ["objects.responses", "'kriegeskorte92'", "got 'haxby'"]),
        (study(name="My Study"), ["name", "pattern", "got 'My Study'"]),
        (study(name="../up"), ["name", "pattern", "got '../up'"]),
    ],
)
def test_wrong_values_are_refused_with_path_rule_and_value(value, parts):
    lines = refused(value)
    assert len(lines) == 1 and lines[0].startswith(f"{parts[0]}: ")
    assert all(part in lines[0] for part in parts[1:])


def test_missing_keys_are_named():
    assert refused({"localizer": {}}) == ["name: is missing.", "title: is missing."]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (
            {"name": "a", "title": "A", "lesions": {}},
            "lesions need a section localizer: it selects the units.",
        ),
        (
            {"name": "a", "title": "A", "localizer": {}, "sweep": {}},
            "sweep needs a section lesions: it names the pairs and the controls.",
        ),
        (
            {"name": "a", "title": "A"},
            "a study needs at least one of the sections " + ", ".join(ALONE) + ".",
        ),
        (study(story={}), "story: responses: simulated needs a section simulation."),
        (
            study(story={"responses": "alice_fmri", "simulation": {}}),
            "story: a section simulation needs responses: simulated.",
        ),
        (
            study(story=SIMULATED | {"context": 64, "stride": 64}),
            "story: stride must be below context; got 64 and 64.",
        ),
        (
            study(story={"responses": "mine.nc"}),
            "story: your own responses (a .nc file) and your own words (a table) need one another.",
        ),
        (
            study(story={"responses": "alice_fmri", "words": "mine.tsv"}),
            "story: your own responses (a .nc file) and your own words (a table) need one another.",
        ),
        (
            study(story=SIMULATED | {"alphas": {"low": 3, "high": 3}}),
            "story.alphas: low must be below high; got 3.0 and 3.0.",
        ),
    ],
)
def test_sections_that_do_not_fit_together_are_refused(value, text):
    assert refused(value) == [text]


def test_yaml_object_tag_is_refused_and_nothing_is_executed(tmp_path):
    canary, path = tmp_path / "canary", tmp_path / "study.yaml"
    path.write_text(
        f"name: mine\ntitle: !!python/object/apply:os.system ['touch {canary}']\nlocalizer: {{}}\n"
    )
    with pytest.raises(FileError, match="is not YAML: could not determine a constructor for the tag"):
        load_study(path)
    assert not canary.exists()


@pytest.mark.parametrize(
    ("content", "error", "text"),
    [
        (b"name: [1, 2", FileError, "is not YAML: while parsing a flow sequence"),
        (b"name: \xff\xfe", FileError, "could not be read: 'utf-8' codec"),
        (b"- name\n- title\n", InvalidValueError, "must be a mapping of keys to values; got list."),
        (b"just words\n", InvalidValueError, "must be a mapping of keys to values; got str."),
        (b"", InvalidValueError, "must be a mapping of keys to values; got NoneType."),
    ],
)
def test_file_that_is_no_configuration_is_refused_by_name(tmp_path, content, error, text):
    path = tmp_path / "study.yaml"
    path.write_bytes(content)
    with pytest.raises(error) as caught:
        load_study(path)
    assert str(path) in str(caught.value) and text in str(caught.value)


def test_missing_file_and_folder_are_named(tmp_path):
    with pytest.raises(FileError, match=r"absent\.yaml could not be read: No such file or directory"):
        load_study(tmp_path / "absent.yaml")
    with pytest.raises(FileError, match="could not be read: Is a directory"):
        load_study(tmp_path)


def test_file_and_mapping_give_the_same_study(tmp_path):
    value = study(seed=3, lesions={"n_controls": 4, "kinds": ["uniform"]})
    path = tmp_path / "study.yaml"
    path.write_text(json.dumps(value))
    assert load_study(path) == load_study(value)


def test_study_survives_a_round_through_json():
    value = load_study(study(story=SIMULATED, lesions={}, objects={}))
    assert load_study(json.loads(value.model_dump_json())) == value


def test_study_cannot_be_edited():
    value = load_study(study())
    with pytest.raises(ValueError, match="frozen"):
        value.seed = 3


OTHER = {
    Model: {
        "name": "other",
        "revision": "abc",
        "dtype": "float64",
        "batch_size": 7,
        "untrained_seed": 1,
    },
    Localizer: {
        "stimuli": "other",
        "positive": "a",
        "negative": "b",
        "pool": "mean",
        "max_tokens": 3,
        "absolute": True,
        "fraction": 0.5,
        "n_random": 3,
    },
    Lesions: {
        "pairs": "blimp",
        "per_paradigm": 3,
        "prefix": None,
        "n_controls": 3,
        "n_controls_without_outliers": 3,
        "kinds": ("uniform",),
        "outlier_factor": 3.0,
        "n_bootstrap": 3,
    },
    Presets: {"names": ("topolm",), "n_random": 3},
    Sweep: {"fractions": (0.5,), "n_controls": 3},
    Paradigms: {"per_paradigm": 3},
    Dissociation: {"n_sums": 4, "n_sequences": 4, "n_controls": 3, "n_permutations": 3},
    Alphas: {"low": -1.0, "high": 9.0, "n": 3},
    Simulation: {"planted_depth": 0.1, "snr": {"LATL": 1.0}, "n_subjects": 3, "phi": 0.1, "tr": 1.0},
    Story: {
        "responses": "x.nc",
        "words": "x.tsv",
        "radius": "10mm",
        "context": 600,
        "stride": 64,
        "pool": "last",
        "downsample": "sum",
        "delays": (1,),
        "alphas": Alphas(n=3),
        "n_folds": 3,
        "purge": 3,
        "layer_step": 3,
        "window": 3,
        "method": "pearson",
        "n_unit_controls": 3,
        "n_bootstrap": 3,
        "simulation": Simulation(),
    },
    Topology: {
        "n_networks": 5,
        "n_images": 20,
        "epochs": 3,
        "noise": (0.5,),
        "metrics": ("euclidean",),
        "step": 0.5,
        "n_bootstrap": 3,
        "resample": "subject",
        "n_permutations": 3,
        "brains": ("finger7t",),
    },
    Bands: {"depth": 0.1, "n_candidates": 3, "n_permutations": 3},
    Movie: {
        "responses": "other",
        "rows": 3,
        "columns": 4,
        "n_directions": 4,
        "delays": (1,),
        "other_delays": ((1,),),
        "alphas": Alphas(n=3),
        "n_folds": 3,
        "purge": 3,
        "n_candidates": 3,
        "n_permutations": 3,
    },
    Objects: {
        "resample": "subject",
        "n_draws": 3,
        "responses": "other",
        "methods": ("cosine",),
        "n_permutations": 3,
        "n_bootstrap": 3,
    },
}


@pytest.mark.parametrize("section", OTHER, ids=lambda section: section.__name__)
def test_section_digest_changes_with_each_field(section):
    assert set(OTHER[section]) == set(section.model_fields)
    plain = Story(responses="simulated", simulation=Simulation()) if section is Story else section()
    if section is Story:
        plain = plain.model_copy(update={"simulation": None})
    digests = [section_digest(plain)]
    digests += [section_digest(plain.model_copy(update={k: v})) for k, v in OTHER[section].items()]
    assert len(set(digests)) == len(digests) and all(len(digest) == 8 for digest in digests)
    assert section_digest(plain.model_copy()) == digests[0]


def test_section_digest_tells_order_and_absence_apart():
    given = [
        section_digest(Model(), None),
        section_digest(None, Model()),
        section_digest(Model()),
        section_digest(Model(), 0),
        section_digest(Model(), "0"),
    ]
    assert len(set(given)) == len(given)


def test_schema_is_json_and_forbids_keys_that_it_does_not_know():
    schema = json.loads(json.dumps(study_schema()))
    parts = {section.__name__ for section in OTHER}
    assert parts <= set(schema["$defs"])
    assert set(schema["$defs"]) == {name for name in sections.__all__ if name not in ("Section", "Study")}
    assert set(schema["properties"]) == set(Study.model_fields)
    assert all(part["additionalProperties"] is False for part in [schema, *schema["$defs"].values()])


STORY = {"responses": "simulated", "simulation": {}}


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"story": {**STORY, "alphas": {"low": float("nan")}}}, "story.alphas.low: Input should be a finite"),
        ({"story": {**STORY, "delays": []}}, "story.delays: at least one value is needed"),
        ({"story": {**STORY, "delays": [1, 1]}}, "story.delays: every value must stand once; repeated: 1"),
        ({"lesions": {"kinds": ["uniform", "uniform"]}}, "every value must stand once; repeated: uniform"),
        ({"lesions": {"n_controls": True}}, "lesions.n_controls: Input should be a valid integer"),
        (
            {"localizer": {"positive": "a", "negative": "a"}},
            "positive and negative must differ; both are 'a'",
        ),
        (
            {"story": {"responses": "alice"}},
            "responses must be simulated, alice_fmri or a .nc file; got 'alice'",
        ),
        ({"name": "shared"}, "the name shared is taken"),
    ],
    ids=str,
)
def test_what_no_study_can_mean_is_refused(change, text):
    with pytest.raises(InvalidValueError) as error:
        load_study({"name": "mine", "title": "Mine", "localizer": {}, **change})
    assert text in str(error.value)


def test_a_key_that_stands_twice_is_refused(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("name: mine\ntitle: a\nseed: 1\nseed: 2\nlocalizer: {}\n")
    with pytest.raises(FileError, match="the key 'seed' stands twice"):
        load_study(path)

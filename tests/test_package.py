import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import neuroalign

ROOT = Path(__file__).resolve().parents[1]
HEAVY = ("torch", "nilearn", "sklearn", "matplotlib", "xarray", "pandas", "transformers", "scipy")


def loaded(code: str) -> set[str]:
    script = f"{code}\nimport sys\nprint([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(eval(done.stdout))  # noqa: S307


def test_importing_the_package_loads_nothing_heavy():
    assert loaded("import neuroalign") == set()


def test_reading_a_configuration_loads_nothing_heavy():
    assert loaded("import neuroalign.workflow.config, neuroalign.workflow.paths") == set()


def test_the_command_line_starts_without_the_stack():
    assert not loaded("import neuroalign.workflow.cli") & {"torch", "matplotlib", "sklearn", "nilearn"}


def test_rooms_are_attributes():
    assert neuroalign.schema.NOUNS
    assert {"rsa", "encoding"} <= set(dir(neuroalign))
    with pytest.raises(AttributeError, match="its rooms are arrays, "):
        _ = neuroalign.nothing


def test_version_and_licence_are_the_same_everywhere():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert cited["version"] == neuroalign.__version__
    assert "version" in project["dynamic"] and "version" not in project  # read from the package
    assert cited["license"] == project["license"] == "BSD-3-Clause"
    assert (ROOT / "LICENSE").read_text(encoding="utf-8").startswith("BSD 3-Clause License")


def test_citation_has_what_its_format_requires():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= set(cited)
    assert cited["cff-version"] == "1.2.0" and cited["type"] == "software"
    assert all("name" in one or "family-names" in one for one in cited["authors"])
    known = {"abstract", "keywords", "license", "type", "version", "date-released", "doi", "url"}
    known |= {"repository-code", "preferred-citation", "references"}
    assert set(cited) <= known | {"cff-version", "message", "title", "authors"}


def test_packages_of_the_extras_are_named_once_for_messages():
    from neuroalign.workflow.guarding import EXTRAS

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(EXTRAS.values()) <= set(project["optional-dependencies"])

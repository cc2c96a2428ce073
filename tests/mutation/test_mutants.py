"""Mutants are one change of one place, found again by their text, and only where results are made."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import Counter
from pathlib import Path

import mutants
import pytest
from mutants import ROOMS, Mutant, find, mutated, sample

SOURCE = '''
"""A module."""
BLOCK = 2 + 3


def mean(values, axis: int = 0, *, low: float = 1 - 1):
    """Return a - b."""
    if values.size < 2:
        raise ValueError(f"{values.size - 1} is too few" + "1" * 2)
    first = values[1:]
    text = "a" + "b"
    total = first.sum(axis=0) - -low
    return total / values.var(ddof=1)
'''
EXPECTED = {
    ("bound", "values.size < 2", "values.size <= 2"),
    ("bound", "1:", "2:"),
    ("sign", "first.sum(axis=0) - -low", "first.sum(axis=0) + -low"),
    ("sign", "-low", "low"),
    ("axis", "first.sum(axis=0)", "first.sum(axis=1)"),
    ("sign", "total / values.var(ddof=1)", "total * values.var(ddof=1)"),
    ("axis", "values.var(ddof=1)", "values.var(ddof=0)"),
}


@pytest.fixture
def module(tmp_path, monkeypatch):
    path = tmp_path / "neuroalign" / "room" / "means.py"
    path.parent.mkdir(parents=True)
    path.write_text(SOURCE)
    monkeypatch.setattr(mutants, "PACKAGE", tmp_path / "neuroalign")
    return "neuroalign.room.means"


def test_signs_bounds_and_axes_are_found_and_words_are_not(module):
    found = find(module)
    assert {(m.kind, m.before, m.after) for m in found} == EXPECTED
    assert {m.room for m in found} == {"room"}


def test_a_mutant_differs_from_the_source_in_its_one_place(module):
    whole = ast.unparse(ast.parse(SOURCE))
    for mutant in find(module):
        text = ast.unparse(mutated(mutant))
        changed = [
            pair for pair in zip(whole.split("\n"), text.split("\n"), strict=True) if pair[0] != pair[1]
        ]
        assert len(changed) == 1
        assert changed[0][0].replace(mutant.before, mutant.after) == changed[0][1]


def test_a_mutant_of_an_older_source_is_refused(module):
    with pytest.raises(LookupError, match="is not in the source any more"):
        mutated(Mutant(module, 3, 0, "sign", "a - b", "a + b"))


def test_a_sample_is_the_same_for_a_seed_and_even_over_rooms():
    drawn = sample(50, 3)
    assert drawn == sample(50, 3) != sample(50, 4)
    assert Counter(mutant.room for mutant in drawn) == dict.fromkeys(ROOMS, 10)
    assert len(set(drawn)) == 50
    for mutant in drawn[::7]:
        mutated(mutant)


def test_an_installed_mutant_is_what_is_imported():
    """A p of 1 / (1 + R) becomes a division by R - 1; another process imports the package with the mutant."""
    code = (
        f"import sys; sys.path.insert(0, {str(Path(mutants.__file__).parent)!r})\n"
        "from mutants import find, install\n"
        "found = [m for m in find('neuroalign.stats.permutations') if m.before.endswith('(1 + len(null))')]\n"
        "install(found[0])\n"
        "import numpy as np\n"
        "from neuroalign.stats import p_value\n"
        "print(float(p_value(5.0, np.zeros(3))))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) == 4.0  # 1 * (1 + 3) instead of 1 / (1 + 3)


def test_the_page_lists_survivors_with_what_was_made_of_them(monkeypatch, tmp_path):
    import check

    judged = tmp_path / "judged.tsv"
    judged.write_text("module\tbefore\tafter\tjudgement\nneuroalign.rsa.x\ta | b\ta - b\tthe same for sets\n")
    monkeypatch.setattr(check, "JUDGED", judged)
    base = {"line": 1, "kind": "sign", "tests": 1, "seconds": 1.0, "by": ""}
    rows = [
        {
            **base,
            "room": "rsa",
            "module": "neuroalign.rsa.x",
            "before": "a | b",
            "after": "a - b",
            "verdict": "survived",
        },
        {
            **base,
            "room": "io",
            "module": "neuroalign.io.y",
            "before": "n + 1",
            "after": "n - 1",
            "verdict": "no test",
        },
        {
            **base,
            "room": "io",
            "module": "neuroalign.io.y",
            "before": "n + 2",
            "after": "n - 2",
            "verdict": "caught",
        },
        {
            **base,
            "room": "io",
            "module": "neuroalign.io.y",
            "before": "n + 3",
            "after": "n - 3",
            "verdict": "timed out",
        },
    ]
    text = check.page(rows, 7)
    assert "**2 of 4 were caught (50.0%).**" in text and "seed 7" in text
    assert "| io | 3 | 2 |" in text and "| rsa | 1 | 0 |" in text
    assert r"| rsa.x | `a \| b` | `a - b` | the same for sets |" in text
    assert "| io.y | `n + 1` | `n - 1` | not judged |" in text

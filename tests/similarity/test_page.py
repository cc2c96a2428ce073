"""The page of the room: its code runs, and the numbers that it works out by hand are right."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from neuroalign.similarity import MEASURES, products

PAGE = Path(__file__).parents[2] / "docs" / "similarity.md"


def test_the_code_on_the_page_runs():
    scope: dict = {}
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert len(blocks) == 3
    for code in blocks:
        exec(code, scope)  # noqa: S102


def test_the_page_names_every_measure():
    text = PAGE.read_text(encoding="utf-8")
    assert [name for name in MEASURES if f"`{name}`" not in text] == []


def test_the_two_medians_by_hand():
    x = np.array([[0.0], [1.0], [3.0]])
    assert products.rbf_scale(x, 1.0, "median") == pytest.approx(2.0)
    assert products.rbf_scale(x, 1.0, "median-all") == pytest.approx(1.0)


def test_the_whitened_unit_by_hand():
    from neuroalign.similarity import shape_distance

    x = np.array([[-2.0], [0.0], [2.0]])
    found = shape_distance(x, np.array([[0.0], [0.0], [1.0]]), alpha=0.0, kind="euclidean")
    other = np.array([-1, -1, 2]) / np.sqrt(6)
    assert float(found) == pytest.approx(np.linalg.norm(np.array([-1, 0, 1]) / np.sqrt(2) - other))

"""The page of the room: its blocks run, and its table is what they give."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("torch")
PAGE = Path(__file__).parents[2] / "docs" / "spatial.md"


@pytest.mark.slow
def test_the_blocks_of_the_page_run_and_its_table_is_theirs():
    text = PAGE.read_text(encoding="utf-8")
    names: dict = {}
    for code in re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL):
        exec(code, names)  # noqa: S102
    rows = dict(re.findall(r"^\| ([a-z, ]+?) \| (\.\d+ \| \.\d+) \|$", text, flags=re.MULTILINE))
    assert rows.keys() == names["rates"]["torus"].keys()
    for name, said in rows.items():
        for edges, value in zip(("torus", "edges"), said.split(" | "), strict=True):
            assert names["rates"][edges][name] == pytest.approx(float(value), abs=0.011), (name, edges)

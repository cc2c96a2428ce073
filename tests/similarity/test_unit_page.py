"""The code on the page about units runs."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "units.md"


def test_the_code_on_the_page_runs():
    scope: dict = {}
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert len(blocks) == 6
    for code in blocks:
        exec(code, scope)  # noqa: S102
    assert int(scope["pairs"].sizes["pair"]) == 80
    assert scope["found"].attrs["share"] > 0.9
    assert float(scope["stitched"]["relative"]) > float(scope["stitched"]["rotated"])

"""The page about geometry runs, and says what is so; the room loads nothing heavy."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

PAGE = Path(__file__).parents[2] / "docs/geometry.md"


def test_the_page_runs_and_finds_what_it_says():
    names: dict = {}
    for code in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL):
        exec(code, names)  # noqa: S102
    shape, colour = names["shares"].alone.values
    assert shape > 3 * colour > 0 and (names["shares"].p_alone == 0.01).all()
    np.testing.assert_allclose(names["shares"].alone, names["shares"].unique, atol=1e-9)
    assert float(names["separation"].p) == 0.01
    plain, unbiased = (names["curve"].sel(estimator=name).values for name in ("plain", "unbiased"))
    assert plain[0] < 20 < plain[2] and np.allclose(unbiased, 80, rtol=0.15)
    assert 1 <= float(names["signal_only"]) < 3
    assert float(names["surface"].low) < 2.2 and float(names["surface"].high) > 1.8
    assert names["parallel"].score[0] > 0.8 and names["parallel"].score[2] < 0
    assert float(names["across"].accuracy[0]) == 1
    assert (names["shattered"].accuracy[:2] > 0.98).all()
    assert float(names["energy"].p) == 0.01 and np.isnan(names["mixing"].explained_by)
    assert float(names["aligned"].alignment) == pytest.approx(1)
    assert float(names["moved"].mean_continuity[-1]) == pytest.approx(0.9, abs=0.03)
    assert (names["moved"].p_continuity > 0.01).all()
    assert float(names["timescales"].timescale.median()) == pytest.approx(12, rel=0.2)


def test_the_room_loads_nothing_heavy():
    code = (
        "import sys, neuroalign.geometry; "
        "sys.exit(bool({'torch', 'sklearn', 'matplotlib', 'nilearn'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

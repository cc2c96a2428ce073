"""The page about responses in time runs, and says what is so."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

PAGE = Path(__file__).parents[1] / "docs/time.md"


@pytest.mark.slow
def test_the_page_runs_and_finds_what_it_says(data_root, tmp_path, monkeypatch):
    pytest.importorskip("mne", reason="the eeg extra is not installed")
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    for code in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL):
        exec(code, names)  # noqa: S102
    assert float(names["significant"].min()) > 0.1 and 0.35 < float(names["significant"].mean()) < 0.65
    assert float(names["accuracy"].max()) > 0.7 and float(names["other"].score.mean("fold").max()) > 0.7
    np.testing.assert_allclose(names["found"].null, 0.5, atol=0.05)
    late = names["generalisation"].p_max.sel(time_train=0.5, time_test=0.5, method="nearest")
    assert float(late) < 0.05
    assert names["course"].dims == ("model", "subject", "time")
    estimate = names["peaks"].estimate
    assert (np.diff(estimate) >= 0).all() and sorted(set(estimate.tolist())) == [2, 5, 8, 11]
    assert names["tests"].p_max.values[-1] == 1 / 200 and names["tests"].p.values[0] > 0.01
    envelope = names["weights"].sel(neuroid=7, feature="envelope")
    assert float(envelope["lag"][int(np.argmax(envelope.values))]) == pytest.approx(0.1)
    envelope_r, onset_r = names["reconstruction"]
    assert envelope_r > 0.3 > 0.1 > abs(onset_r)
    for name in ("generalisation", "response_functions"):
        assert (tmp_path / f"{name}.png").stat().st_size > 10_000

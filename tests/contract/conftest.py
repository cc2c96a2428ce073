"""What the tests of this folder share lies beside them; the table of cells is written at the end of a run."""

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write how every cell that ran has ended to the file that NEUROALIGN_CONTRACT_TABLE names."""
    target = os.environ.get("NEUROALIGN_CONTRACT_TABLE")
    if target:
        from battery import ENDED, summary

        if ENDED:
            Path(target).write_text(summary(), encoding="utf-8")

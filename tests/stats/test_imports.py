"""The rooms of statistics load no torch."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize("room", ["stats", "rsa"])
def test_the_room_loads_without_torch(room):
    code = f"import sys, neuroalign.{room}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

"""What the tests of this folder share lies in ``laws.py``; the contract's table and a tiny network help."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
for folder in (HERE.parent / "localization", HERE.parent / "contract", HERE):
    sys.path.insert(0, str(folder))


@pytest.fixture(autouse=True)
def _threads_as_before() -> Iterator[None]:
    """Tests of threads leave torch as they found it."""
    import torch

    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)

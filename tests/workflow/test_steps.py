"""Steps are found by name, load only what they use, and work with the threads of their rule."""

from __future__ import annotations

import subprocess
import sys

import pytest

from neuroalign.workflow import steps
from neuroalign.workflow.steps import STEPS


@pytest.mark.parametrize("name", list(STEPS))
def test_every_step_is_a_function_of_the_paths(name):
    assert callable(STEPS[name])
    assert STEPS[name].__doc__
    assert STEPS[name] is STEPS[name]


def test_steps_that_take_more_are_found_by_name_and_others_are_not():
    assert steps.extract_activations.__name__ == "extract_activations"
    assert "extract" not in STEPS and len(STEPS) == len(set(STEPS))
    with pytest.raises(AttributeError, match="has no attribute 'extract_nothing'"):
        steps.extract_nothing  # noqa: B018
    with pytest.raises(KeyError):
        STEPS["nothing"]


def said(code: str) -> str:
    """What a new process prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_step_of_tables_loads_neither_torch_nor_scikit_learn():
    heavy = "[m for m in ('torch', 'sklearn', 'nilearn', 'mne', 'matplotlib') if m in sys.modules]"
    assert (
        said(f"import sys\nfrom neuroalign.workflow.steps import STEPS\nSTEPS['own-rdms']\nprint({heavy})")
        == "[]"
    )


@pytest.mark.parametrize("first", ["", "import torch\n"])
@pytest.mark.parametrize("threads", [1, 2])
def test_threads_hold_for_what_is_loaded_and_for_what_comes_later(first, threads):
    code = (
        f"{first}from neuroalign.workflow.step_command import _set_threads\n_set_threads({threads})\n"
        "import torch, numpy\nfrom threadpoolctl import threadpool_info\n"
        "print({torch.get_num_threads(), *(pool['num_threads'] for pool in threadpool_info())})"
    )
    assert said(code) == f"{{{threads}}}"

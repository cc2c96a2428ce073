"""The gallery's scripts run, show every public function of plotting, and are what its page shows."""

from __future__ import annotations

import functools
import importlib.util
import inspect
import re
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from neuroalign import plotting

DOCS = Path(__file__).parents[1] / "docs"
SCRIPTS = sorted((DOCS / "gallery").glob("*.py"))


@pytest.fixture(scope="module")
def gallery():
    spec = importlib.util.spec_from_file_location("make_gallery", DOCS / "make_gallery.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def drawn(monkeypatch):
    """Names of the functions that drew; each must return the axis it was given, alone or with a table."""
    names = []

    def watched(function):
        @functools.wraps(function)
        def call(ax, *arguments, **options):
            found = function(ax, *arguments, **options)
            if isinstance(found, tuple):
                assert found[0] is ax and isinstance(found[1], pd.DataFrame) and len(found) == 2
            else:
                assert found is ax
            names.append(function.__name__)
            return found

        return call

    for name in plotting.__all__:
        function = getattr(plotting, name)
        if inspect.isroutine(function) and next(iter(inspect.signature(function).parameters), "") == "ax":
            monkeypatch.setattr(plotting, name, watched(function))
    return names


def with_insets(ax):
    """The axis, and what stands in it: colour bars, legends of two scores."""
    return [ax, *(one for child in ax.child_axes for one in with_insets(child))]


@pytest.mark.parametrize("path", SCRIPTS, ids=[path.stem for path in SCRIPTS])
def test_a_script_draws_a_figure_of_which_nothing_is_cut(gallery, drawn, path):
    figure = gallery.figure_of(path)
    assert isinstance(figure, Figure) and figure.axes and (drawn or path.stem == "topology")
    FigureCanvasAgg(figure).draw()
    width, height = figure.bbox.size
    for ax in (one for outer in figure.axes for one in with_insets(outer)):
        if ax.get_visible() and (box := ax.get_tightbbox()) is not None:
            assert box.x0 > -1 and box.y0 > -1 and box.x1 < width + 1 and box.y1 < height + 1, ax


def test_every_public_function_of_plotting_has_an_example():
    text = "\n".join(path.read_text(encoding="utf-8") for path in SCRIPTS)
    functions = [name for name in plotting.__all__ if inspect.isroutine(getattr(plotting, name))]
    assert len(functions) > 30
    assert [name for name in functions if not re.search(rf"\bplotting\.{name}\b", text)] == []


def test_every_figure_says_that_its_data_are_simulated():
    for path in SCRIPTS:
        assert "SIMULATED" in path.read_text(encoding="utf-8").split('"""')[1]


def test_the_page_is_what_the_scripts_make_of_it_and_every_figure_is_there(gallery):
    shown = (DOCS / "gallery/index.md").read_text(encoding="utf-8")
    assert shown == gallery.page(), "run: python docs/make_gallery.py"
    for path in SCRIPTS:
        assert path.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    assert {path.stem for path in (DOCS / "gallery").glob("*.png")} == {path.stem for path in SCRIPTS}

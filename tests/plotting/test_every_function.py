"""What holds of every public function that draws, and of the look that they share."""

from __future__ import annotations

import inspect
import itertools
import re

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb

from neuroalign import plotting
from neuroalign.plotting import outlines

# What does not draw into one axis: it returns a figure, a file, colours, words, or values.
OTHERS = {
    *("category_colours", "code_scale", "colour_scale", "draw_values", "figure", "panel_letters"),
    *("preferred_layer", "responses", "save_figure", "style", "titled"),
}
FUNCTIONS = [name for name in plotting.__all__ if inspect.isroutine(getattr(plotting, name))]
DRAWING = [name for name in FUNCTIONS if name not in OTHERS]

# Machado, Oliveira & Fernandes 2009, IEEE Trans Vis Comput Graph 15:1291, severity 1, of linear RGB.
BLINDNESS = {
    "none": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
}


def test_names_that_do_not_draw_are_all_public():
    assert set(FUNCTIONS) >= OTHERS and len(DRAWING) > 20


@pytest.mark.parametrize("name", DRAWING)
def test_what_draws_takes_an_axis_then_data_and_returns_the_axis(name):
    signature = inspect.signature(getattr(plotting, name))
    first, second = list(signature.parameters.values())[:2]
    assert (first.name, first.annotation) == ("ax", "Axes")
    assert second.kind is second.POSITIONAL_OR_KEYWORD and second.default is second.empty
    # ``Drawn`` is the axis and the table of what was drawn.
    assert signature.return_annotation in ("Axes", "Drawn")


@pytest.mark.parametrize("name", DRAWING)
def test_what_draws_has_options_by_name_alone(name):
    """Data come first (two or three arrays at most); what changes the look has a default or a name."""
    parameters = list(inspect.signature(getattr(plotting, name)).parameters.values())
    given = [p for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert all(p.default is p.empty for p in given) and len(given) <= 4


def linear(colour):
    rgb = np.array(to_rgb(colour))
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def lab(rgb):
    """CIE L*a*b* of linear sRGB, white D65."""
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    x, y, z = np.array(to_xyz) @ rgb / [0.9505, 1.0, 1.089]
    f = [np.cbrt(v) if v > 216 / 24389 else (24389 / 27 * v + 16) / 116 for v in (x, y, z)]
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("kind", BLINDNESS)
def test_colours_of_the_palette_are_told_apart(kind):
    seen = {
        name: lab(np.clip(np.array(BLINDNESS[kind]) @ linear(c), 0, 1))
        for name, c in plotting.COLOURS.items()
    }
    apart = {pair: np.linalg.norm(seen[pair[0]] - seen[pair[1]]) for pair in itertools.combinations(seen, 2)}
    assert min(apart.values()) > 10, min(apart, key=apart.get)


def test_red_and_green_of_equal_lightness_would_not_pass():
    red, green = (
        lab(np.clip(np.array(BLINDNESS["deuteranopia"]) @ linear(c), 0, 1)) for c in ("#c05a50", "#6f8030")
    )
    assert np.linalg.norm(red - green) < 25 < np.linalg.norm(lab(linear("#c05a50")) - lab(linear("#6f8030")))


def test_letters_of_a_pdf_are_editable_and_no_smaller_than_readable(tmp_path):
    with plotting.style():
        assert mpl.rcParams["pdf.fonttype"] == 42 and mpl.rcParams["svg.fonttype"] == "none"
        sizes = [mpl.rcParams[name] for name in ("font.size", "axes.labelsize", "legend.fontsize")]
        assert min(sizes) >= 6.5
        figure, axes = plotting.figure(width="one column", height=40)
        axes[0, 0].set_xlabel("noise ceiling")
        pdf, _, _ = plotting.save_figure(figure, tmp_path / "figure", caption="")
    content = pdf.read_bytes()
    assert b"/FontFile2" in content and b"/Type3" not in content
    width = float(re.search(rb"/MediaBox \[ ?0 0 ([\d.]+)", content)[1])
    assert width / 72 * 25.4 == pytest.approx(85, abs=0.1)


def test_an_outline_goes_around_cells_and_not_between_them():
    _, axes = plotting.figure()
    inside = np.zeros((3, 4), dtype=bool)
    inside[1, 1:3] = True
    ax = outlines.draw_outline(axes[0, 0], inside, [0, 1, 2, 3], [0, 1, 2, 3, 4])
    assert isinstance(ax, Axes)
    sides = {tuple(map(tuple, side)) for side in ax.collections[0].get_segments()}
    assert sides == {
        *(((1, 1), (2, 1)), ((2, 1), (3, 1)), ((1, 2), (2, 2)), ((2, 2), (3, 2))),
        *(((1, 1), (1, 2)), ((3, 1), (3, 2))),
    }


def test_what_touches_the_border_is_closed_and_nothing_draws_nothing():
    _, axes = plotting.figure(1, 2)
    full = outlines.draw_outline(axes[0, 0], np.ones((2, 2)), [0, 1, 2], [0, 1, 2])
    assert len(full.collections[0].get_segments()) == 8
    assert not outlines.draw_outline(axes[0, 1], np.zeros((2, 2)), [0, 1, 2], [0, 1, 2]).collections


@pytest.mark.parametrize(
    ("centres", "borders"), [([2.0], [1.5, 2.5]), ([0, 1], [-0.5, 0.5, 1.5]), ([0, 1, 3], [-0.5, 0.5, 2, 4])]
)
def test_borders_lie_between_centres(centres, borders):
    assert outlines.cell_borders(centres).tolist() == borders

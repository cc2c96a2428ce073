"""The panels of topological RSA: what stands where."""

from __future__ import annotations

import numpy as np
import pytest

from neuroalign import plotting
from neuroalign.plotting import topology as panels
from neuroalign.rsa import topology


@pytest.fixture
def ax():
    return plotting.figure(1, 1)[1][0, 0]


def test_the_map_has_lower_thresholds_along_x_and_leaves_the_rest_empty(ax):
    cells = topology.grid(0.25)
    values = 10 * cells["lower"].values + cells["upper"].values
    image = panels.accuracy_map(
        ax, cells["lower"], cells["upper"], values, limits=(0, 11), family=cells["family"].values
    )
    drawn = np.ma.filled(image.get_array(), np.nan)
    assert drawn[4, 0] == 1.0  # u = 1, l = 0
    assert drawn[3, 2] == 5.75  # u = .75, l = .5
    assert np.isnan(drawn[0, 1:]).all()
    assert ax.lines  # borders between families


def test_bars_carry_chance_intervals_and_marks(ax):
    panels.accuracy_bars(
        ax,
        {"raw": 0.5, "rank": 0.7},
        chance=0.25,
        intervals={"rank": (0.6, 0.8), "raw": (np.nan, np.nan)},
        marks={"rank": 0.65},
    )
    assert [bar.get_height() for bar in ax.patches] == [0.5, 0.7]
    plain = [list(line.get_ydata()) for line in ax.lines]
    assert [0.6, 0.8] in plain
    assert [0.65] in plain
    assert [0.25, 0.25] in plain
    assert len(plain) == 3


def test_places_share_one_scale(ax):
    panels.places(ax, [0, 2], [1, 0], colours=["red", "blue"], markers=["o", "s"])
    assert ax.get_xlim() == ax.get_ylim() == (-2.5, 2.5)
    assert [line.get_marker() for line in ax.lines] == ["o", "s"]


def test_the_largest_cell_of_a_dependence_map_is_marked(ax):
    values = np.zeros((6, 6))
    values[4, 1] = 0.5
    values[0, 0] = np.nan
    lower = [0, 0, 0, 1 / 3, 1 / 3, 2 / 3]
    panels.dependence_map(ax, lower, lower, values)
    mark = ax.lines[0]
    assert (list(mark.get_xdata()), list(mark.get_ydata())) == ([4], [1])
    assert [label.get_text() for label in ax.get_xticklabels()] == ["0.00", "0.33", "0.67"]

"""Time courses, cluster bars, heads and maps of two times: what is drawn where."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from matplotlib.colors import to_rgb

from neuroalign import plotting
from neuroalign.errors import LabelError, ShapeError
from neuroalign.plotting.courses import cluster_bars, time_courses, time_map, topography

TIMES = np.linspace(-0.2, 1.0, 13)
COLOURS = {"a": "red", "b": "blue"}


@pytest.fixture
def ax():
    with plotting.style():
        yield plotting.figure(1, 1, width="one column", height=50)[1][0, 0]


def head(values, **coords):
    angles = np.deg2rad([0, 45, 45, 45, 90, 90])
    turn = np.deg2rad([0, 0, 90, 180, 90, 270])
    places = 95 * np.column_stack(
        [np.sin(angles) * np.cos(turn), np.sin(angles) * np.sin(turn), np.cos(angles)]
    )
    named = {axis: ("neuroid", places[:, i]) for i, axis in enumerate("xyz")}
    labels = ["Cz", "C4", "Fz", "C3", "Fpz", "Oz"]
    return xr.DataArray(values, dims="neuroid", coords={"neuroid": labels, **named, **coords}, name="effect")


def test_lines_bands_ceiling_and_window_stand_where_they_should(ax):
    lines = {"a": np.sin(TIMES), "b": np.cos(TIMES)}
    bands = {"a": (lines["a"] - 0.1, lines["a"] + 0.1)}
    ceiling = (TIMES[::2], np.full(7, 0.5), np.full(7, 0.8))
    time_courses(ax, TIMES, lines, colours=COLOURS, bands=bands, ceiling=ceiling, shaded=(0.4, 0.6))
    drawn = {line.get_label(): line for line in ax.lines}
    for name, values in lines.items():
        np.testing.assert_array_equal(drawn[name].get_xydata(), np.column_stack([TIMES, values]))
    extents = sorted(c.get_datalim(ax.transData).bounds[1:4:2] for c in ax.collections)
    np.testing.assert_allclose(extents, [(np.sin(-0.2) - 0.1, np.sin(1) - np.sin(-0.2) + 0.2), (0.5, 0.3)])
    assert ax.get_xlim() == (-0.2, 1.0) and len(ax.patches) == 1
    with pytest.raises(ShapeError, match=r"line 'a' must have 13 values, one a time; got \(3,\)"):
        time_courses(ax, TIMES, {"a": np.zeros(3)}, colours=COLOURS)


def test_bars_are_below_the_lines_in_rows_of_their_own_and_pale_where_unsure(ax):
    ax.plot([0, 1], [-2, 3])
    low, high = ax.get_ylim()
    cluster_bars(ax, [("a", 0.1, 0.3, 0.01), ("b", 0.5, 0.6, 0.2), ("a", 0.7, 0.8, 0.05)], colours=COLOURS)
    bars = ax.lines[1:]
    assert [bar.get_xdata()[0] for bar in bars] == [0.1, 0.5, 0.7]
    assert [bar.get_alpha() for bar in bars] == [1.0, 0.3, 1.0]
    assert [to_rgb(bar.get_color()) for bar in bars] == [to_rgb(c) for c in ("red", "blue", "red")]
    rows = [bar.get_ydata()[0] for bar in bars]
    assert rows[0] == rows[2] > rows[1] and all(ax.get_ylim()[0] < row < low for row in rows)
    assert ax.get_ylim()[1] == high


def test_a_head_has_its_nose_up_and_its_values_at_the_sensors(ax):
    values = np.array([0.0, 2.0, 1.0, -2.0, 1.5, -1.0])
    drawn, table = topography(ax, head(values), marked=[True, *[False] * 5], label="µV")
    assert drawn is ax and table["effect"].tolist() == values.tolist()
    picture, edge = ax.images[0].get_array(), ax.images[0].get_extent()[1]

    def at(x, y):
        n = picture.shape[0]
        return picture[round((y + edge) / (2 * edge) * (n - 1)), round((x + edge) / (2 * edge) * (n - 1))]

    assert at(0, 0) == pytest.approx(0, abs=0.1)
    assert at(0.5, 0) == pytest.approx(2, abs=0.15) and at(-0.5, 0) == pytest.approx(-2, abs=0.15)
    assert at(0, 1.0) == pytest.approx(1.5, abs=0.2) and at(0, -1.0) == pytest.approx(-1, abs=0.2)
    assert np.ma.getmaskarray(picture)[0, 0] or np.isnan(picture[0, 0])
    marked = max(ax.collections, key=lambda c: c.get_sizes()[0])
    np.testing.assert_allclose(marked.get_offsets(), [[0, 0]], atol=1e-9)


def test_a_sensor_without_a_value_is_an_empty_dot_and_moves_no_colour(ax):
    values = np.array([0.0, 2.0, np.nan, -2.0, 1.5, -1.0])
    topography(ax, head(values))
    assert np.isfinite(ax.images[0].get_array().filled(np.nan)[60, 60])
    empty = [c for c in ax.collections if len(c.get_offsets()) and not len(c.get_facecolor())]
    np.testing.assert_allclose(empty[0].get_offsets(), [[0, 0.5]], atol=1e-6)


def test_a_head_without_places_or_with_other_marks_is_refused(ax):
    with pytest.raises(LabelError, match="have no known place"):
        topography(ax, head(np.arange(6.0)).drop_vars("z"))
    with pytest.raises(ShapeError, match="marked must have 6 booleans"):
        topography(ax, head(np.arange(6.0)), marked=[True])


def test_a_map_of_two_times_has_its_first_time_below_left_and_outlines(ax):
    values = np.arange(16.0).reshape(4, 4) - 7
    times = np.array([0.0, 0.1, 0.2, 0.3])
    time_map(ax, values, times, outlined=values > 4, label="r")
    image = ax.images[0]
    np.testing.assert_array_equal(image.get_array(), values)
    assert image.origin == "lower"
    np.testing.assert_allclose(image.get_extent(), (-0.05, 0.35, -0.05, 0.35))
    assert image.norm.vmin == -8 and len(ax.collections) == 1
    with pytest.raises(ShapeError, match=r"values must be \(3, 3\)"):
        time_map(ax, values, times[:3])

"""Maps in a glass brain, on slices, on the surface, and flat: what is drawn where, and in which colour."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from matplotlib.text import Text

from neuroalign import plotting
from neuroalign.errors import InvalidValueError, LabelError, NeuroalignError, ShapeError
from neuroalign.plotting import scales, surfaces
from neuroalign.plotting.brains import flat_map, glass_brain, stat_map
from neuroalign.plotting.surfaces import surface_map

AFFINE = np.array([[8.0, 0, 0, -84], [0, 8, 0, -120], [0, 0, 8, -72], [0, 0, 0, 1]])
SHAPE = (22, 26, 22)


@pytest.fixture
def ax():
    with plotting.style():
        yield plotting.figure(1, 1, width="one column", height=40)[1][0, 0]


def volume(values, name="r"):
    ijk = np.argwhere(np.ones((4, 5, 3))) + 8
    n = len(values)
    coords = {axis: ("neuroid", ijk[:n, i]) for i, axis in enumerate("ijk")}
    attrs = {"affine": AFFINE.tolist(), "shape": list(SHAPE)}
    labels = [f"v{i}" for i in range(n)]
    return xr.DataArray(values, dims="neuroid", coords={"neuroid": labels, **coords}, attrs=attrs, name=name)


def surface(values, vertices, **coords):
    own = {"vertex": ("neuroid", np.asarray(vertices)), "neuroid": [f"n{v}" for v in range(len(vertices))]}
    return xr.DataArray(values, dims="neuroid", coords={**own, **coords}, name="r2")


def overlays(ax):
    """The images that nilearn drew of the map, without what is masked."""
    ax.figure.draw_without_rendering()
    found = [image.get_array() for part in ax.figure.axes if part is not ax for image in part.get_images()]
    return [np.ma.compressed(np.ma.masked_invalid(image)) for image in found if np.ma.isMaskedArray(image)]


def draw_volume(draw, ax, values, **options):
    more = {"views": "x"} if draw is glass_brain else {"direction": "ortho"}
    return draw(ax, values, **more, **options)


@pytest.mark.parametrize("draw", [glass_brain, stat_map])
def test_the_parts_of_a_volume_stay_within_the_axis_that_the_layout_moves(draw, rng):
    with plotting.style():
        drawn, axes = plotting.figure(1, 2, height=40)
        axes[0, 0].set(ylabel="a label\nof three\nlines", title="a title")
        _, table = draw_volume(draw, axes[0, 1], volume(rng.uniform(0.1, 1, 60)))
        drawn.draw_without_rendering()
        box = axes[0, 1].get_position()
        parts = [part for part in drawn.axes if part not in axes]
        assert len(parts) == (1 if draw is glass_brain else 3)
        for part in parts:
            found = part.get_position()
            assert box.x0 - 1e-6 <= found.x0 and found.x1 <= box.x1 + 1e-6
            assert box.y0 - 1e-6 <= found.y0 and found.y1 <= box.y1 + 1e-6
    assert len(table) == 60 and list(table.columns) == ["neuroid", "i", "j", "k", "r"]


def test_slices_show_the_values_of_voxels_and_no_mixtures_of_them(ax, rng):
    values = volume(rng.uniform(0.1, 1, 60))
    _, table = stat_map(ax, values)
    drawn = np.concatenate(overlays(ax))
    assert drawn.size and np.isin(drawn.astype(np.float32), values.values.astype(np.float32)).all()
    np.testing.assert_array_equal(table["r"], values.values)


def test_every_code_is_drawn_on_slices_also_code_0(ax):
    scale = scales.code_scale(["red", "green", "blue"], ["V1", "V2", "V3"])
    stat_map(ax, volume(np.arange(60) % 3.0), scale=scale)
    assert set(np.concatenate(overlays(ax)).tolist()) == {1.0, 2.0, 3.0}
    assert [text.get_text() for text in bar(ax).get_yticklabels()] == ["V1", "V2", "V3"]


def test_a_glass_brain_keeps_the_sign_of_the_largest_value(ax):
    glass_brain(ax, volume(np.r_[np.full(30, -0.9), np.full(30, 0.2)]), views="x")
    found = np.concatenate(overlays(ax))
    # Seen from the side every line of sight meets a voxel of -0.9 first or last, and its size decides.
    assert found.min() == pytest.approx(-0.9) and found.max() <= 0.2 + 1e-6


def bar(ax):
    return next(child for child in ax.child_axes)


@pytest.mark.parametrize("draw", [glass_brain, stat_map, flat_map])
def test_undefined_values_are_not_drawn_and_stay_in_the_table(ax, draw, rng):
    values = volume(rng.uniform(0.1, 1, 60))
    values[:10] = np.nan
    before = values.copy(deep=True)
    _, table = flat_map(ax, values) if draw is flat_map else draw_volume(draw, ax, values)
    assert table["r"].isna().sum() == 10
    assert bar(ax).get_ylabel() == "r"
    xr.testing.assert_identical(values, before)


def test_a_template_lies_below_where_it_is_asked_for(ax):
    stat_map(ax, volume(np.linspace(0.1, 1, 60)), background="mni152", direction="z", cuts=[0], label="score")
    assert bar(ax).get_ylabel() == "score"
    part = next(part for part in ax.figure.axes if part is not ax)
    assert len(part.get_images()) == 2


@pytest.mark.parametrize("draw", [glass_brain, stat_map, flat_map])
@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        (volume(np.full(60, np.nan)), InvalidValueError, "no value of the map is finite"),
        (
            volume(np.ones(60)).expand_dims("layer"),
            ShapeError,
            r"one map \(neuroid,\) is drawn; got .*Select one",
        ),
        (np.ones(60), ShapeError, "got ndarray"),
    ],
    ids=["undefined", "two dims", "no labels"],
)
def test_what_is_no_single_map_is_refused(ax, draw, values, error, message):
    with pytest.raises(error, match=message):
        draw(ax, values)


def test_codes_have_no_glass_brain(ax):
    scale = scales.code_scale(["red", "green"])
    with pytest.raises(
        InvalidValueError, match=r"shows the largest value, and codes have none\. Use stat_map"
    ):
        glass_brain(ax, volume(np.ones(60)), scale=scale)


def test_an_unknown_direction_is_refused(ax):
    with pytest.raises(InvalidValueError, match="direction must be one of 'ortho', 'x', 'y', 'z'; got 'w'"):
        stat_map(ax, volume(np.ones(60)), direction="w")


# Surfaces


@pytest.mark.parametrize(
    ("view", "hemisphere", "right", "up"),
    [
        # From the left one sees the front of the brain on the left; y runs to the front, x to the right.
        ("lateral", "left", (0, -1, 0), (0, 0, 1)),
        ("lateral", "right", (0, 1, 0), (0, 0, 1)),
        ("medial", "left", (0, 1, 0), (0, 0, 1)),
        ("medial", "right", (0, -1, 0), (0, 0, 1)),
        ("dorsal", "left", (1, 0, 0), (0, 1, 0)),
        ("ventral", "left", (-1, 0, 0), (0, 1, 0)),
        ("posterior", "right", (1, 0, 0), (0, 0, 1)),
        ("anterior", "right", (-1, 0, 0), (0, 0, 1)),
    ],
)
def test_views_are_those_of_the_one_who_looks_from_there(view, hemisphere, right, up):
    found = surfaces._directions(view, hemisphere)
    np.testing.assert_array_equal(found[0], right)
    np.testing.assert_array_equal(found[1], up)


def test_a_triangle_has_a_value_that_one_of_its_corners_has():
    nan = np.nan
    corners = np.array([[1, 2, 9], [9, 1, nan], [nan, 4, nan], [nan, nan, nan], [3, 3, 1.0]])
    np.testing.assert_array_equal(surfaces._middle(corners), [2, 1, 4, nan, 3])


def coloured(ax):
    """Triangles that are not grey."""
    colours = ax.collections[0].get_facecolors()[:, :3]
    return colours[np.ptp(colours, axis=1) > 0.02]


def test_a_lone_vertex_is_seen_on_the_side_where_it_lies(ax):
    corners, _, _ = surfaces._fsaverage("inflated", "left")
    outermost = int(corners[:, 0].argmin())
    _, table = surface_map(ax, surface([0.4, np.nan], [outermost, 0]), hemisphere="left")
    assert 5 <= len(coloured(ax)) <= 6 and len(table) == 2
    assert ax.collections[0].get_rasterized()
    other = plotting.figure()[1][0, 0]
    surface_map(other, surface([0.4, np.nan], [outermost, 0]), hemisphere="left", view="medial")
    assert len(coloured(other)) == 0


def test_only_one_hemisphere_is_drawn(ax):
    sides = ("neuroid", ["left", "right", "right"])
    _, table = surface_map(ax, surface([0.1, 0.2, 0.3], [5, 5, 6], hemisphere=sides), hemisphere="right")
    assert table["r2"].tolist() == [0.2, 0.3]


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        (surface([0.1], [10242]), {}, "1 vertices lie outside of the surface of 10242"),
        (surface([0.1, 0.2], [3, 3]), {}, r"1 places hold several neuroids, the first is vertex \[3\]"),
        (surface([0.1], [3]).drop_vars("vertex"), {}, "a surface needs the coordinate 'vertex'"),
        (surface([np.nan], [3]), {}, "no value of the map is finite"),
        (surface([0.1], [3]), {"view": "below"}, "view must be one of 'lateral', .*; got 'below'"),
        (surface([0.1], [3]), {"mesh": "flat"}, "mesh must be one of 'inflated', .*; got 'flat'"),
        (surface([0.1], [3]), {"hemisphere": "L"}, "hemisphere must be one of 'left', 'right'; got 'L'"),
    ],
)
def test_what_does_not_fit_the_surface_is_refused(ax, values, options, message):
    with pytest.raises(NeuroalignError, match=message):
        surface_map(ax, values, **{"hemisphere": "left", **options})


# Flat maps and scales


def test_neuroids_without_places_fill_a_square_in_their_order(ax, rng):
    values = volume(rng.uniform(0, 1, 11))
    flat_map(ax, values)
    image = ax.images[0].get_array()
    assert image.shape == (3, 4, 4)
    np.testing.assert_allclose(image.reshape(-1, 4)[:11], scales.colour_scale(values).colours(values))
    assert (image.reshape(-1, 4)[11:] == 0).all()


def test_two_coordinates_are_axes_and_the_largest_values_lie_on_top(ax):
    values = volume([0.5, np.nan, 0.9, 0.1])
    flat_map(ax, values, x="i", y="k")
    dots = ax.collections[0]
    np.testing.assert_array_equal(dots.get_offsets()[:, 1], values["k"].values[[1, 3, 0, 2]])
    np.testing.assert_allclose(dots.get_facecolors()[0][:3], [230 / 255] * 3)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("i", "k")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"x": "i"}, "either both coordinates x and y, or neither"),
        ({"x": "i", "y": "depth"}, "values have no coordinate 'depth' along neuroid"),
    ],
)
def test_a_flat_map_needs_both_coordinates(ax, options, message):
    with pytest.raises(LabelError, match=message):
        flat_map(ax, volume([0.1, 0.2]), **options)


def test_a_scale_spans_the_finite_values_or_the_limits():
    found = scales.colour_scale([0.2, np.nan, 0.6, np.inf])
    assert (found.low, found.high) == (0.2, 0.6)
    signed = scales.colour_scale([0.2, -0.6], diverging=True)
    assert (signed.low, signed.high) == (-0.6, 0.6)
    np.testing.assert_allclose(signed.colours(0.0)[:3], 0.967, atol=0.01)
    same = scales.colour_scale([0.3, 0.3])
    assert same.low < 0.3 < same.high
    np.testing.assert_array_equal(found.colours(5.0), found.colours(0.6))
    with pytest.raises(
        InvalidValueError, match="limits must be two different numbers in order; got \\(1, 0\\)"
    ):
        scales.colour_scale([0.1], limits=(1, 0))
    with pytest.raises(InvalidValueError, match="no value of the map is finite"):
        scales.colour_scale([np.nan])


def test_a_bar_of_many_names_leaves_some_out(ax):
    scale = scales.code_scale([str(g) for g in np.linspace(0, 1, 30)], [f"layer {i}" for i in range(30)])
    flat_map(ax, volume(np.arange(30.0)), scale=scale)
    names = [text.get_text() for text in bar(ax).get_yticklabels()]
    assert names == [f"layer {i}" for i in range(0, 30, 3)]


@pytest.mark.parametrize("draw", [stat_map, flat_map])
def test_no_letter_is_smaller_than_the_style_allows(ax, draw):
    draw(ax, volume(np.linspace(0.1, 1, 60)))
    ax.figure.draw_without_rendering()
    shown = [text for text in ax.figure.findobj(Text) if text.get_text() and text.get_visible()]
    assert shown and min(text.get_fontsize() for text in shown) >= 6.5

"""Preferred layers, two scores as one colour, scores against ceilings, and the visual field."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.colors import to_rgb
from matplotlib.text import Text

from neuroalign import plotting
from neuroalign.errors import InvalidValueError, LabelError, ShapeError
from neuroalign.plotting.maps import CORNERS, N_STEPS, layer_preference, preferred_layer, two_scores
from neuroalign.plotting.scatters import ceiling_scatter, prf_map
from neuroalign.plotting.surfaces import surface_map

NAN = np.nan


@pytest.fixture
def ax():
    with plotting.style():
        yield plotting.figure(1, 1, width="one column", height=50)[1][0, 0]


def one(values, name=None, **coords):
    labels = [f"v{i}" for i in range(len(values))]
    return xr.DataArray(values, dims="neuroid", coords={"neuroid": labels, **coords}, name=name)


def layers(values, **coords):
    values = np.asarray(values, dtype=float)
    own = {
        "layer": [f"block {i}" for i in range(len(values))],
        "neuroid": [f"v{i}" for i in range(values.shape[1])],
    }
    return xr.DataArray(values, dims=("layer", "neuroid"), coords={**own, **coords})


SCORES = layers([[0.1, 0.4, NAN, 0.2, NAN], [0.3, 0.2, NAN, 0.2, 0.05], [0.2, NAN, NAN, -0.1, NAN]])


def test_the_best_layer_its_margin_and_ties_are_those_by_hand():
    found = preferred_layer(SCORES)
    np.testing.assert_array_equal(found.code, [1, 0, NAN, 0, 1])
    np.testing.assert_array_equal(found.best, [0.3, 0.4, NAN, 0.2, 0.05])
    np.testing.assert_allclose(found.margin, [0.1, 0.2, NAN, 0.0, NAN])
    assert found.tied.values.tolist() == [False, False, False, True, False]
    assert (found.attrs["n_undefined"], found.attrs["n_tied"]) == (1, 1)
    assert found.attrs["layers"] == ["block 0", "block 1", "block 2"]


def test_neuroids_below_the_least_score_have_no_layer():
    found = preferred_layer(SCORES, least=0.25)
    np.testing.assert_array_equal(found.code, [1, 0, NAN, NAN, NAN])
    assert found.attrs["n_undefined"] == 3


def test_one_layer_is_the_best_without_a_margin():
    found = preferred_layer(SCORES[:1])
    np.testing.assert_array_equal(found.code, [0, 0, NAN, 0, NAN])
    assert np.isnan(found.margin).all() and not found.tied.any()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.floats(-3, 3))
def test_a_shift_of_all_scores_changes_no_preference(seed, shift):
    scores = layers(np.random.default_rng(seed).standard_normal((4, 6)))
    a, b = preferred_layer(scores), preferred_layer(scores + shift)
    np.testing.assert_array_equal(a.code, b.code)
    np.testing.assert_allclose(a.margin, b.margin, atol=1e-12)


def test_layers_have_colours_in_their_order_and_names_in_the_table(ax):
    _, table = layer_preference(ax, SCORES)
    assert table["layer"].tolist()[:2] == ["block 1", "block 0"]
    assert table["layer"].isna().tolist() == [False, False, True, False, False]
    assert list(table.columns) == ["neuroid", "layer", "best", "margin", "tied"]
    names = [text.get_text() for text in ax.child_axes[0].get_yticklabels()]
    assert names == ["block 0", "block 1", "block 2"] and ax.child_axes[0].get_ylabel() == "best layer"


@pytest.mark.parametrize("kind", ["layers", "two"])
def test_a_surface_has_the_table_of_its_own_hemisphere(ax, kind):
    coords = {"vertex": ("neuroid", [4, 4, 8]), "hemisphere": ("neuroid", ["right", "left", "left"])}
    options = {"draw": surface_map, "hemisphere": "left"}
    if kind == "layers":
        _, table = layer_preference(ax, layers([[0.1, 0.2, 0.5], [0.4, 0.1, 0.6]], **coords), **options)
        assert table["layer"].tolist() == ["block 0", "block 1"] and table["best"].tolist() == [0.2, 0.6]
    else:
        first, second = one([0.1, 0.2, 0.3], "a", **coords), one([0.6, 0.5, 0.4], "b", **coords)
        _, table = two_scores(ax, first, second, **options)
        assert table["a"].tolist() == [0.2, 0.3] and table["b"].tolist() == [0.5, 0.4]


def test_scores_of_other_dims_have_no_preference():
    with pytest.raises(
        ShapeError, match=r"scores must be a DataArray \(layer, neuroid\); got \('neuroid', 'layer'\)"
    ):
        preferred_layer(SCORES.T)
    with pytest.raises(ShapeError, match="got ndarray"):
        preferred_layer(SCORES.values)


def test_the_corners_of_two_scores_have_the_four_colours(ax):
    first = one([0.0, 1.0, 0.0, 1.0, NAN], "pixels")
    second = one([0.0, 0.0, 1.0, 1.0, 0.5], "motion")
    _, table = two_scores(ax, first, second[::-1])
    drawn = ax.images[0].get_array().reshape(-1, 4)[:5]
    np.testing.assert_allclose(drawn[:4, :3], [to_rgb(colour) for colour in CORNERS], atol=1e-9)
    assert drawn[4, 3] == 0
    np.testing.assert_array_equal(table["pixels"], first)
    np.testing.assert_array_equal(table["motion"], second)
    assert table.attrs == {"n_undefined": 1, "n_beyond": 0}


def test_the_legend_of_two_scores_has_the_first_along_x(ax):
    two_scores(ax, one([0.0, 0.5], "pixels"), one([0.3, 0.0], "motion"))
    legend = ax.child_axes[0]
    assert (legend.get_xlabel(), legend.get_ylabel()) == ("pixels", "motion")
    square = legend.images[0].get_array()
    assert square.shape == (N_STEPS, N_STEPS, 3)
    np.testing.assert_allclose(square[0, -1], to_rgb(CORNERS[1]))
    np.testing.assert_allclose(square[-1, 0], to_rgb(CORNERS[2]))
    assert legend.images[0].origin == "lower" and legend.get_xlim() == (0.0, 0.5)


def test_scores_beyond_the_limits_are_counted_and_have_the_colour_of_the_end(ax):
    first, second = one([-0.5, 2.0, 0.5], "a"), one([0.5, 0.5, 0.5], "b")
    _, table = two_scores(ax, first, second, limits=(0, 1))
    assert table.attrs["n_beyond"] == 2 and table["a"].tolist() == [-0.5, 2.0, 0.5]


@pytest.mark.parametrize(
    ("first", "second", "options", "error", "message"),
    [
        (
            one([0.1, 0.2], "a"),
            one([0.1], "b"),
            {},
            LabelError,
            "first: 1 of 2 labels of 'neuroid' are not in second",
        ),
        (one([0.1], "a"), one([0.1], "a"), {}, LabelError, r"two scores need two names; both are 'a'"),
        (one([0.1], "a"), one([0.1], "b"), {"limits": (1, 1)}, InvalidValueError, r"in order; got \(1, 1\)"),
        (one([-0.1], "a"), one([-0.1], "b"), {}, InvalidValueError, r"in order; got \(0.0, 0.0\)"),
        (one([NAN], "a"), one([0.1], "b"), {}, InvalidValueError, "no value of the map is finite"),
    ],
)
def test_two_scores_that_cannot_be_drawn_are_refused(ax, first, second, options, error, message):
    with pytest.raises(error, match=message):
        two_scores(ax, first, second, **options)


def test_scores_stand_against_their_ceilings_with_the_line_of_equality(ax):
    score, ceiling = one([0.1, 0.5, NAN, 0.9]), one([0.2, 0.6, 0.4, 0.8])[::-1]
    _, table = ceiling_scatter(ax, score, ceiling)
    np.testing.assert_allclose(ax.collections[0].get_offsets(), [[0.2, 0.1], [0.6, 0.5], [0.8, 0.9]])
    line = ax.lines[0]
    np.testing.assert_array_equal(line.get_xdata(), line.get_ydata())
    assert ax.get_xlim() == ax.get_ylim() and ax.texts[0].get_text() == "1 undefined"
    assert table.attrs["n_undefined"] == 1
    np.testing.assert_array_equal(table["ceiling"], [0.2, 0.6, 0.4, 0.8])
    assert list(table.columns) == ["neuroid", "score", "ceiling"]


def test_many_neuroids_are_counted_in_hexagons(ax, rng):
    x = rng.uniform(0, 1, 2000)
    ceiling_scatter(ax, one(0.8 * x), one(x))
    cells = ax.collections[0]
    assert cells.get_array().sum() == 2000
    ticks = [text.get_text() for text in ax.child_axes[0].get_yticklabels()]
    assert ticks[0] == "1" and all(text.replace(",", "").isdigit() for text in ticks)
    few = plotting.figure()[1][0, 0]
    ceiling_scatter(few, one(x[:50]), one(x[:50]), density=True)
    assert few.collections[0].get_array().sum() == 50


def test_a_score_without_any_ceiling_is_refused(ax):
    with pytest.raises(InvalidValueError, match="no neuroid has both a score and a ceiling"):
        ceiling_scatter(ax, one([NAN, 0.1]), one([0.1, NAN]))
    with pytest.raises(LabelError, match="are not in ceiling"):
        ceiling_scatter(ax, one([0.1, 0.2]), one([0.1]))


def fields(values):
    x, y = np.linspace(-6, 6, len(values)), np.linspace(3, -3, len(values))
    return one(values, "r", prf_x=("neuroid", x), prf_y=("neuroid", y))


def test_receptive_fields_lie_where_they_look(ax):
    values = fields([0.5, NAN, 0.9, 0.1])
    _, table = prf_map(ax, values, screen=(8, 4))
    order = [1, 3, 0, 2]
    expected = np.stack([values["prf_x"].values[order], values["prf_y"].values[order]], axis=1)
    np.testing.assert_allclose(ax.collections[0].get_offsets(), expected)
    assert ax.get_xlim() == ax.get_ylim() and ax.get_xlim()[1] > np.hypot(6, 3)
    assert [patch.radius for patch in ax.patches] == [2, 4, 6]
    frame = ax.lines[-1]
    assert (max(frame.get_xdata()), max(frame.get_ydata())) == (4, 2)
    assert table.attrs["n_beyond"] == 0 and len(table) == 4


def test_fields_beyond_the_radius_are_counted(ax):
    _, table = prf_map(ax, fields([0.5, 0.2, 0.9, 0.1]), radius=5)
    assert table.attrs["n_beyond"] == 2 and "2 neuroids beyond 5 degrees" in ax.get_xlabel()
    assert ax.get_xlim() == (-5, 5)


def test_a_field_without_a_place_is_refused(ax):
    with pytest.raises(LabelError, match="values have no coordinate 'prf_x' along neuroid"):
        prf_map(ax, one([0.1], "r"))
    with pytest.raises(InvalidValueError, match="no value of the map is finite"):
        prf_map(ax, fields([NAN, NAN]))


def test_no_letter_is_smaller_than_the_style_allows_and_panels_do_not_overlap(rng):
    with plotting.style():
        drawn, axes = plotting.figure(1, 3, height=60)
        values = fields(rng.uniform(0, 1, 2000))
        two_scores(axes[0, 0], values, (0.5 * values).rename("half"))
        ceiling_scatter(axes[0, 1], values, values + 0.1)
        prf_map(axes[0, 2], values)
        plotting.panel_letters(axes.ravel())
        drawn.draw_without_rendering()
        shown = [text for text in drawn.findobj(Text) if text.get_text() and text.get_visible()]
        assert min(text.get_fontsize() for text in shown) >= 6.5
        boxes = [ax.get_tightbbox() for ax in axes.ravel()]
        for left, right in itertools.pairwise(boxes):
            assert left.x1 <= right.x0 + 1

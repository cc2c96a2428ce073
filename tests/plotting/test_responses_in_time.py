"""Lines over lags and maps of training by test time: what is drawn is what was given."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from matplotlib.colors import to_hex

from neuroalign import plotting
from neuroalign.errors import InvalidValueError, LabelError, ShapeError
from neuroalign.plotting import generalisation_map, response_function_lines
from neuroalign.plotting.style import COLOURS

LAGS = np.array([-0.1, 0.0, 0.1, 0.2])


@pytest.fixture
def ax():
    with plotting.style():
        yield plotting.figure()[1][0, 0]


def functions(rng, *shape, dims):
    coords = {"lag": LAGS}
    if "feature" in dims:
        coords["feature"] = ["sound", "words"]
    return xr.DataArray(rng.standard_normal((*shape, 4)), dims=(*dims, "lag"), coords=coords)


def scores(values=None, times=(0.1, 0.2, 0.3)):
    values = np.arange(9.0).reshape(3, 3) / 10 if values is None else values
    return xr.DataArray(
        values, dims=("time_train", "time_test"), coords={"time_train": list(times), "time_test": list(times)}
    )


def curves(ax):
    return [line for line in ax.lines if len(line.get_xdata()) == 4]


def test_a_line_a_feature_over_lags_in_seconds(ax, rng):
    given = functions(rng, 2, dims=("feature",))
    assert response_function_lines(ax, given, label="microvolt") is ax
    assert [line.get_label() for line in curves(ax)] == ["sound", "words"]
    for line, values in zip(curves(ax), given.values, strict=True):
        np.testing.assert_array_equal(line.get_xdata(), LAGS)
        np.testing.assert_array_equal(line.get_ydata(), values)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("lag (s)", "microvolt")


def test_subjects_become_mean_and_standard_error(ax, rng):
    given = functions(rng, 5, 2, dims=("subject", "feature"))
    response_function_lines(ax, given)
    np.testing.assert_allclose(curves(ax)[1].get_ydata(), given.values[:, 1].mean(axis=0))
    error = given.values[:, 0].std(axis=0, ddof=1) / np.sqrt(5)
    corners = ax.collections[0].get_paths()[0].vertices
    middle = given.values[:, 0].mean(axis=0)
    np.testing.assert_allclose(corners[:, 1].max(), (middle + error).max())
    np.testing.assert_allclose(corners[:, 1].min(), (middle - error).min())


def test_one_line_needs_no_name_and_colours_may_be_given(ax, rng):
    response_function_lines(ax, functions(rng, dims=()))
    assert len(curves(ax)) == 1
    response_function_lines(
        ax, functions(rng, 2, dims=("feature",)), colours={"sound": COLOURS["green"], "words": "#000000"}
    )
    assert to_hex(curves(ax)[1].get_color()).upper() == COLOURS["green"]


def test_functions_that_are_none_are_refused(ax, rng):
    given = functions(rng, 2, dims=("feature",))
    with pytest.raises(ShapeError, match="one more at most"):
        response_function_lines(ax, given.expand_dims("neuroid"))
    with pytest.raises(LabelError, match="need a coordinate 'lag'"):
        response_function_lines(ax, given.drop_vars("lag"))
    with pytest.raises(ShapeError, match="20 lines are more than the 8 colours"):
        response_function_lines(
            ax, xr.DataArray(np.zeros((20, 4)), dims=("neuroid", "lag"), coords={"lag": LAGS})
        )


def test_a_map_shows_training_time_upwards_and_chance_in_white(ax):
    given = scores()
    assert generalisation_map(ax, given.transpose("time_test", "time_train"), chance=0.5) is ax
    mesh = ax.collections[0]
    np.testing.assert_array_equal(np.asarray(mesh.get_array()).reshape(3, 3), given.values)
    assert mesh.get_clim() == (0.0, 1.0)
    np.testing.assert_allclose(mesh.cmap(mesh.norm(0.5))[:3], 1.0, atol=0.04)
    np.testing.assert_allclose([*ax.get_xlim(), *ax.get_ylim()], [0.05, 0.35] * 2)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("test time (s)", "training time (s)")


def test_significant_times_are_outlined_and_limits_hold(ax):
    given = scores()
    generalisation_map(ax, given, chance=0.4, significant=given > 0.5, limits=(0.3, 0.6))
    assert ax.collections[0].get_clim() == pytest.approx((0.2, 0.6))
    sides = {tuple(np.round(side, 3).ravel().tolist()) for side in ax.collections[1].get_segments()}
    # The last row of cells, by hand: below, above, and both ends.
    assert sides == {
        *((x, 0.25, round(x + 0.1, 3), 0.25) for x in (0.05, 0.15, 0.25)),
        *((x, 0.35, round(x + 0.1, 3), 0.35) for x in (0.05, 0.15, 0.25)),
        (0.05, 0.25, 0.05, 0.35),
        (0.35, 0.25, 0.35, 0.35),
    }
    n = len(ax.collections)
    generalisation_map(ax, given, chance=0.4, significant=given > 5)
    assert len(ax.collections) == n + 1


def test_scores_that_are_no_map_are_refused(ax):
    given = scores()
    with pytest.raises(ShapeError, match="scores must have dims"):
        generalisation_map(ax, given.expand_dims("fold"), chance=0.5)
    with pytest.raises(ShapeError, match="significant must have dims"):
        generalisation_map(ax, given, chance=0.5, significant=given[0] > 0)
    with pytest.raises(LabelError, match="need the coordinates"):
        generalisation_map(ax, given.drop_vars("time_train"), chance=0.5)
    with pytest.raises(InvalidValueError, match="no score is finite"):
        generalisation_map(ax, given * np.nan, chance=0.5)

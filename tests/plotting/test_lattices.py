"""Maps of units on a lattice."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from neuroalign import plotting
from neuroalign.errors import InvalidValueError, ShapeError


@pytest.fixture
def ax():
    return plotting.figure()[1][0, 0]


def test_every_unit_is_a_square_of_its_colour(ax):
    values = xr.DataArray([[0.0, 1.0, np.nan], [2.0, 3.0, 4.0]], dims=("row", "column"), name="t")
    scale = plotting.colour_scale(values)
    _, table = plotting.lattice_map(ax, values, scale=scale)
    drawn = ax.images[0].get_array()
    assert np.allclose(drawn, scale.colours(values.values))
    assert table["t"].tolist()[:2] == [0.0, 1.0]
    assert table["row"].tolist() == [0, 0, 0, 1, 1, 1]


def test_an_outline_goes_around_and_not_between(ax):
    inside = np.zeros((4, 4), dtype=bool)
    inside[1:3, 1:4] = True
    plotting.lattice_map(ax, xr.DataArray(np.ones((4, 4)), dims=("row", "column")), outlined=inside)
    sides = ax.collections[0].get_segments()
    assert len(sides) == 2 * (2 + 3)
    corners = np.concatenate(sides)
    assert corners.min(axis=0).tolist() == [0.5, 0.5]
    assert corners.max(axis=0).tolist() == [3.5, 2.5]


def test_bad_maps_are_refused(ax):
    with pytest.raises(ShapeError, match=r"DataArray \(row, column\); got \(3,\)"):
        plotting.lattice_map(ax, xr.DataArray(np.zeros(3), dims="unit"))
    with pytest.raises(ShapeError, match=r"map's shape \(2, 2\); got \(3, 2\)"):
        plotting.lattice_map(
            ax, xr.DataArray(np.zeros((2, 2)), dims=("row", "column")), outlined=np.ones((3, 2))
        )
    with pytest.raises(InvalidValueError, match="no value of the map is finite"):
        plotting.lattice_map(ax, xr.DataArray(np.full((2, 2), np.nan), dims=("row", "column")))

"""Positions to voxels and vertices: what lies at the edge of a grid, on it and just off it."""

import numpy as np
import pytest
import xarray as xr

from neuroalign.errors import InvalidValueError, LabelError, ShapeError
from neuroalign.io.grids import OFF_CENTRE, as_affine, as_shape, on_hemisphere, vertices_of, voxels_of

SHAPE = (4, 3, 2)
TILTED = np.array([[2.0, 0.5, 0, -10], [0, -3, 0.25, 20], [0.5, 0, 4, 5], [0, 0, 0, 1]])


def at(places, names="ijk"):
    places = np.asarray(places, dtype=float)
    coords = {name: ("neuroid", column) for name, column in zip(names, places.T, strict=True)}
    return xr.DataArray(np.zeros(len(places)), dims="neuroid", coords=coords)


@pytest.mark.parametrize(
    ("change", "fits"),
    [
        ({}, True),
        ({(3, 3): 2.0}, False),
        ({(3, 0): 1e-6}, False),
        ({(0, 0): 0.0, (0, 1): 0.0}, False),  # no inverse
        ({(0, 0): 1e-3, (0, 1): 0.0}, True),
        ({(0, 0): -2.0}, True),  # left-handed
    ],
)
def test_an_affine_has_an_inverse_and_ends_in_0_0_0_1(change, fits):
    affine = TILTED.copy()
    for place, value in change.items():
        affine[place] = value
    if fits:
        assert as_affine(affine.tolist()).tolist() == affine.tolist()
    else:
        with pytest.raises(ShapeError, match=r"affine must be an invertible \(4, 4\) matrix"):
            as_affine(affine)
    with pytest.raises(ShapeError, match=r"affine must be an invertible \(4, 4\) matrix"):
        as_affine(affine[:3])


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 5, 2), [7, 1, 1]])
def test_a_shape_is_three_sizes_of_one_or_more(shape):
    assert as_shape(shape) == tuple(shape)
    for wrong in (shape[:2], [*shape, 1], [0, *shape[1:]], [*shape[:2], -1]):
        with pytest.raises(ShapeError, match="shape must be three positive numbers"):
            as_shape(wrong)


def test_every_voxel_of_the_grid_is_found_by_its_indices_and_by_its_position():
    voxels = np.argwhere(np.ones(SHAPE))[::-1]
    positions = np.array([TILTED[:3, :3] @ voxel + TILTED[:3, 3] for voxel in voxels])
    for values in (at(voxels), at(positions, "xyz"), at(positions + 0.01, "xyz")):
        np.testing.assert_array_equal(voxels_of(values, TILTED, SHAPE), voxels)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("names", ["ijk", "xyz"])
def test_the_first_and_last_voxel_of_each_axis_lie_inside_and_their_neighbours_outside(axis, names):
    for place, inside in ((0, True), (SHAPE[axis] - 1, True), (-1, False), (SHAPE[axis], False)):
        voxels = np.array([[1, 1, 1], [0, 0, 0]])
        voxels[1, axis] = place
        if inside:
            np.testing.assert_array_equal(voxels_of(at(voxels, names), np.eye(4), SHAPE), voxels)
        else:
            said = rf"1 of 2 voxels lie outside of the volume \(4, 3, 2\); the first is \{voxels[1].tolist()}"
            with pytest.raises(ShapeError, match=said):
                voxels_of(at(voxels, names), np.eye(4), SHAPE)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("side", [1, -1])
def test_a_position_may_lie_a_fiftieth_of_a_voxel_off_and_an_index_nothing(axis, side):
    for off, inside in ((OFF_CENTRE, True), (1.001 * OFF_CENTRE, False), (0.5, False)):
        place = np.zeros((2, 3))
        place[1] = 1
        place[0, axis] = side * off
        if inside:
            assert voxels_of(at(place, "xyz"), np.eye(4), SHAPE).tolist() == [[0, 0, 0], [1, 1, 1]]
        else:
            with pytest.raises(
                InvalidValueError, match="must be the middle of a voxel of the grid; 1 of 2 are not"
            ):
                voxels_of(at(place, "xyz"), np.eye(4), SHAPE)
        with pytest.raises(InvalidValueError, match="must be whole numbers; 1 of 2 are not"):
            voxels_of(at(place), np.eye(4), SHAPE)


def test_places_that_come_twice_are_counted_and_neighbours_are_not():
    voxels = [[0, 0, 0], [0, 0, 1], [1, 0, 0], [0, 1, 0]]
    assert voxels_of(at(voxels), np.eye(4), SHAPE).tolist() == voxels
    twice = [*voxels, [1, 0, 0], [0, 0, 1], [0, 0, 1]]
    with pytest.raises(LabelError, match=r"2 places hold several neuroids, the first is voxel \[0, 0, 1\]"):
        voxels_of(at(twice), np.eye(4), SHAPE)


def test_vertices_run_from_0_to_one_below_the_number():
    for vertices in ([0], [4, 0, 3, 1, 2]):
        assert vertices_of(at(np.array(vertices)[:, None], ["vertex"]), 5).tolist() == vertices
    for vertices, said in (
        ([0, 5], "1 vertices lie outside of the surface of 5; the first is 5"),
        ([-1, 7, 3], "2 vertices lie outside of the surface of 5; the first is -1"),
    ):
        with pytest.raises(ShapeError, match=said):
            vertices_of(at(np.array(vertices)[:, None], ["vertex"]), 5)
    with pytest.raises(InvalidValueError, match="vertices must be whole numbers"):
        vertices_of(at(np.array([[0.0], [0.5]]), ["vertex"]), 5)
    with pytest.raises(ShapeError, match="'vertex' must be a coordinate along neuroid"):
        vertices_of(at(np.zeros((2, 1)), ["vertex"]).assign_coords(vertex=1), 5)


def test_the_hemisphere_of_every_neuroid_chooses_and_one_of_all_does_not():
    values = at(np.arange(4)[:, None], ["vertex"])
    sides = values.assign_coords(hemisphere=("neuroid", ["right", "left", "right", "right"]))
    assert on_hemisphere(sides, "left")["vertex"].values.tolist() == [1]
    assert on_hemisphere(sides, "right")["vertex"].values.tolist() == [0, 2, 3]
    for plain in (values, values.assign_coords(hemisphere="right")):
        assert on_hemisphere(plain, "left")["vertex"].values.tolist() == [0, 1, 2, 3]

"""Neighbours of sensors from their places, and what stands in the way."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from neuroalign.datasets import sensor_adjacency, sensor_plane
from neuroalign.errors import InvalidValueError, LabelError, ShapeError


def on_sphere(n: int, *, centre=(0.0, 0.0, 40.0), radius=90.0, seed=0) -> xr.DataArray:
    """Places on the upper half of a sphere, as (neuroid, axis) in mm."""
    rng = np.random.default_rng(seed)
    rays = rng.standard_normal((n, 3))
    rays[:, 2] = np.abs(rays[:, 2])
    places = np.asarray(centre) + radius * rays / np.linalg.norm(rays, axis=1, keepdims=True)
    return xr.DataArray(places, dims=("neuroid", "axis"), coords={"neuroid": [f"E{i:02d}" for i in range(n)]})


def test_distance_is_what_a_double_loop_says():
    places = on_sphere(20)
    found = sensor_adjacency(places, method="distance", max_distance_mm=60.0)
    for i in range(20):
        for j in range(20):
            near = i != j and np.sqrt(((places.values[i] - places.values[j]) ** 2).sum()) <= 60.0
            assert bool(found.values[i, j]) == near
    assert found.attrs["n_isolated"] == int((~found.values.any(axis=0)).sum())


def test_a_square_with_a_middle_has_the_triangles_that_are_drawn_by_hand():
    # Five sensors around the top of a sphere: four at its sides, each beside two others and the top.
    angle = np.deg2rad(50)
    sides = [(np.sin(angle), 0), (0, np.sin(angle)), (-np.sin(angle), 0), (0, -np.sin(angle))]
    places = np.array([(0.0, 0.0, 1.0), *[(x, y, np.cos(angle)) for x, y in sides]]) * 90
    given = xr.DataArray(places, dims=("neuroid", "axis"), coords={"neuroid": list("tabcd")})
    expected = np.array(
        [[0, 1, 1, 1, 1], [1, 0, 1, 0, 1], [1, 1, 0, 1, 0], [1, 0, 1, 0, 1], [1, 1, 0, 1, 0]], dtype=bool
    )
    assert (sensor_adjacency(given).values == expected).all()


@pytest.mark.parametrize("method", ["delaunay", "distance"])
def test_adjacency_is_symmetric_labelled_and_follows_its_sensors(method):
    places = on_sphere(24)
    found = sensor_adjacency(places, method=method, max_distance_mm=80.0)
    order = np.random.default_rng(1).permutation(24)
    moved = sensor_adjacency(places[order], method=method, max_distance_mm=80.0)
    assert (found.values == found.values.T).all() and not found.values.diagonal().any()
    names = found["neuroid"].values
    assert (moved.sel(neuroid=names, neuroid_b=names).values == found.values).all()


def test_a_triangulation_ignores_where_the_head_stands_and_how_large_it_is():
    near = on_sphere(30, centre=(0, 0, 0))
    assert (sensor_adjacency(near).values == sensor_adjacency(3 * near + 100).values).all()


def test_sensors_at_one_place_are_neighbours_and_share_theirs():
    places = on_sphere(12)
    twice = xr.concat([places, places[:1].assign_coords(neuroid=["twin"])], "neuroid")
    found = sensor_adjacency(twice)
    assert found.sel(neuroid="E00", neuroid_b="twin")
    others = [name for name in places["neuroid"].values if name != "E00"]
    assert (found.sel(neuroid="E00", neuroid_b=others) == found.sel(neuroid="twin", neuroid_b=others)).all()


def test_the_limit_drops_long_edges_of_a_triangulation():
    places = on_sphere(30)
    apart = np.linalg.norm(places.values[:, None] - places.values[None], axis=-1)
    found = sensor_adjacency(places, max_distance_mm=50.0)
    assert (found.values == (sensor_adjacency(places).values & (apart <= 50.0))).all()


def test_sensors_in_a_plane_are_triangulated_there():
    x, y = np.meshgrid(np.arange(3.0), np.arange(2.0))
    flat = np.column_stack([x.ravel(), y.ravel() * 1.1 + 0.1 * x.ravel(), np.zeros(6)])
    found = sensor_adjacency(xr.DataArray(flat, dims=("neuroid", "axis"), coords={"neuroid": list("abcdef")}))
    assert found.sel(neuroid="a", neuroid_b="b") and found.sel(neuroid="a", neuroid_b="d")
    assert not found.sel(neuroid="a", neuroid_b="c")


def test_most_edges_are_those_of_mne(data_root):
    mne = pytest.importorskip("mne", reason="the eeg extra is not installed")
    from neuroalign import datasets

    responses = datasets.load("n400_group_eeg", root=data_root, subjects=["p01"])
    found = sensor_adjacency(responses)
    path = data_root / "n400_group_eeg/group_data/sentence_n400_p01-ave.fif"
    info = mne.read_evokeds(path, verbose="ERROR")[0].info
    with mne.utils.use_log_level("ERROR"):
        theirs, names = mne.channels.find_ch_adjacency(info, "eeg")
    theirs = theirs.toarray() > 0
    np.fill_diagonal(theirs, False)
    ours = found.sel(neuroid=names, neuroid_b=names).values
    assert (ours & theirs).sum() / (ours | theirs).sum() > 0.85
    assert ours.sum(axis=1).mean() == pytest.approx(theirs.sum(axis=1).mean(), abs=0.3)
    assert found.sel(neuroid="Cz", neuroid_b="CPz") and not found.sel(neuroid="Cz", neuroid_b="Oz")


def with_places(n: int = 6) -> xr.DataArray:
    places = on_sphere(n)
    coords = {axis: ("neuroid", places.values[:, i]) for i, axis in enumerate("xyz")}
    return xr.DataArray(
        np.zeros((2, n)), dims=("stimulus", "neuroid"), coords={"neuroid": places["neuroid"], **coords}
    )


def test_sensors_without_a_place_are_named_with_the_way_out():
    responses = with_places()
    responses["x"].values[[1, 4]] = np.nan
    with pytest.raises(LabelError, match=r"2 of 6 have no known place: 'E01', 'E04'\..*set_montage"):
        sensor_adjacency(responses)
    with pytest.raises(LabelError, match=r"6 of 6 have no known place"):
        sensor_adjacency(responses.drop_vars("x"))


def test_channels_of_two_kinds_and_wrong_choices_are_refused():
    mixed = with_places().assign_coords(channel_type=("neuroid", ["mag"] * 3 + ["grad"] * 3))
    with pytest.raises(InvalidValueError, match=r"2 kinds, 'grad', 'mag'.*sel\("):
        sensor_adjacency(mixed)
    assert sensor_adjacency(mixed[:, :3], method="distance", max_distance_mm=500.0).values.sum() == 6
    with pytest.raises(InvalidValueError, match="needs max_distance_mm"):
        sensor_adjacency(with_places(), method="distance")
    with pytest.raises(InvalidValueError, match=r"max_distance_mm must be positive.*-1"):
        sensor_adjacency(with_places(), max_distance_mm=-1.0)
    with pytest.raises(InvalidValueError, match=r"method must be one of 'distance', 'delaunay'; got 'knn'"):
        sensor_adjacency(with_places(), method="knn")
    with pytest.raises(ShapeError, match=r"4 places or more; got 3"):
        sensor_adjacency(with_places(3))
    with pytest.raises(ShapeError, match="a dim 'neuroid'"):
        sensor_adjacency(xr.DataArray(np.zeros(3), dims="unit"))
    line = xr.DataArray(
        np.outer(np.arange(5.0), [1.0, 2.0, 3.0]),
        dims=("neuroid", "axis"),
        coords={"neuroid": list("abcde")},
    )
    with pytest.raises(InvalidValueError, match="lie on a line"):
        sensor_adjacency(line)


def test_a_plane_of_sensors_keeps_angles_from_the_top_whatever_the_centre():
    angles, turn = np.deg2rad([0, 30, 60, 90, 90, 90, 120]), np.deg2rad([0, 10, 200, 0, 90, 180, 300])
    places = 90 * np.column_stack(
        [np.sin(angles) * np.cos(turn), np.sin(angles) * np.sin(turn), np.cos(angles)]
    )
    names = [f"E{i}" for i in range(7)]
    x = xr.DataArray(
        np.zeros(7),
        dims="neuroid",
        coords={"neuroid": names, **{a: ("neuroid", places[:, i] + 5 * i) for i, a in enumerate("xyz")}},
    )
    plane = sensor_plane(x)
    np.testing.assert_allclose(np.hypot(*plane.values.T), angles / (np.pi / 2), atol=1e-9)
    np.testing.assert_allclose(plane.sel(neuroid="E4"), [0, 1], atol=1e-9)
    near = sensor_adjacency(x)
    assert (near.values == near.values.T).all() and not near.values.diagonal().any()
    assert near.attrs["n_isolated"] == 0
    with pytest.raises(LabelError, match="have no known place"):
        sensor_plane(x.drop_vars("z"))


def test_too_few_sensors_have_no_plane_and_no_neighbours():
    with pytest.raises(ShapeError, match="a head needs at least 4 sensors; got 3"):
        sensor_plane(with_places(3))
    with pytest.raises(ShapeError, match="neighbours need at least 2 sensors; got 1"):
        sensor_adjacency(with_places(1), method="distance", max_distance_mm=9.0)

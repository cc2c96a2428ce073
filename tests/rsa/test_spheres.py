"""Neighbours at borders, blocks of spheres by their size, noise of a sphere, the range of every kernel."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy.sparse.csgraph import shortest_path

from neuroalign import rsa
from neuroalign.errors import InvalidValueError, LabelError, ShapeError
from neuroalign.rsa import neighbours, sphere_jobs
from neuroalign.rsa.neighbours import nearest_neighbours, spheres, surface_neighbours
from neuroalign.rsa.noise import noise_precision
from neuroalign.rsa.searchlight import searchlight
from neuroalign.schema import make_rdm

N_STIMULI, N_NEUROIDS = 5, 8
STIMULI = [f"s{i}" for i in range(N_STIMULI)]
AROUND = [[0, 1, 2], [1, 3, 5], [2, 3, 4], [0, 3, 6], [4, 5], [5, 6], [1, 2, 6, 7], []]


def lists(found):
    return [one.tolist() for one in found]


# Who lies around whom


def line(*places):
    return np.array([[place, 0.0, 0.0] for place in places])


def chain(n):
    return np.array([[i, i + 1] for i in range(n - 1)])


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_the_border_is_inside_and_what_is_beyond_is_not(scale):
    # 0.1 + 0.2 is a little more than 0.3.
    xyz = scale * line(0.0, 0.1, 0.1 + 0.2, 0.7)
    expected = [[0, 1, 2], [0, 1, 2], [0, 1, 2], [3]]
    assert lists(spheres(xyz, 0.3 * scale)) == expected
    assert lists(surface_neighbours(chain(4), radius=0.3 * scale, xyz=xyz)) == expected
    assert lists(spheres(xyz, 0.29 * scale)) == [[0, 1], [0, 1, 2], [1, 2], [3]]
    assert lists(surface_neighbours(chain(4), radius=0.29 * scale, xyz=xyz)) == [
        [0, 1],
        [0, 1, 2],
        [1, 2],
        [3],
    ]


@pytest.mark.parametrize("radius", [0, -2.0])
def test_a_radius_is_positive(radius):
    for found in (spheres, lambda xyz, r: surface_neighbours(chain(2), radius=r, xyz=xyz)):
        with pytest.raises(InvalidValueError, match="radius must be positive, in mm"):
            found(line(0.0, 1.0), radius)


def test_places_may_be_a_labelled_table():
    values = np.array([[0.0, 0.0, 0.0], [0.0, 3.0, 0.0], [0.0, 0.0, 5.0]])
    table = xr.DataArray(values, dims=("neuroid", "xyz"))
    assert lists(spheres(table, 4)) == lists(spheres(values, 4)) == [[0, 1], [0, 1], [2]]
    with pytest.raises(ShapeError, match=r"xyz must have shape \(n_neuroids, 3\); got \(3, 2\)"):
        spheres(values[:, :2], 4)


@pytest.mark.parametrize("k", [1, 3, 7])
def test_k_from_one_to_all_are_the_nearest(rng, k):
    xyz = 50.0 + rng.standard_normal((7, 3))
    distance = np.linalg.norm(xyz[:, None] - xyz[None], axis=-1)
    expected = [sorted(row) for row in np.argsort(distance, axis=1)[:, :k].tolist()]
    assert lists(nearest_neighbours(xyz, k)) == expected
    for wrong in (0, 8):
        with pytest.raises(InvalidValueError, match=f"an integer from 1 to 7; got {wrong}"):
            nearest_neighbours(xyz, wrong)


@pytest.mark.parametrize("held", [1, 7, 16, 4_000_000])
@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e3])
def test_the_nearest_on_a_mesh_are_found_however_far_they_are(rng, monkeypatch, held, scale):
    monkeypatch.setattr(neighbours, "N_HELD", held)
    # Steps that grow: the first reach finds few neighbours of the last vertices.
    xyz = scale * line(*np.cumsum(1.7 ** np.arange(7.0)))
    edges = chain(7)[[3, 0, 5, 1, 4, 2]]
    dense = np.zeros((7, 7))
    dense[edges[:, 0], edges[:, 1]] = np.linalg.norm(xyz[edges[:, 0]] - xyz[edges[:, 1]], axis=1)
    distance = shortest_path(dense, directed=False)
    for k in (2, 5, 7):
        expected = [sorted(row) for row in np.argsort(distance, axis=1)[:, :k].tolist()]
        assert lists(surface_neighbours(edges, nearest=k, xyz=xyz)) == expected
    limit = 4.0 * scale
    expected = [np.flatnonzero(row <= limit).tolist() for row in distance]
    assert lists(surface_neighbours(edges, radius=limit, xyz=xyz)) == expected


def test_a_part_of_a_mesh_that_is_smaller_gives_what_it_has():
    xyz = line(0.0, 1.0, 2.0, 50.0, 51.0)
    edges = [[0, 1], [1, 2], [3, 4]]
    found = lists(surface_neighbours(edges, nearest=3, xyz=xyz))
    assert found == [[0, 1, 2], [0, 1, 2], [0, 1, 2], [3, 4], [3, 4]]
    with pytest.raises(InvalidValueError, match="an integer from 1 to 5; got 6"):
        surface_neighbours(edges, nearest=6, xyz=xyz)


@pytest.mark.parametrize("rings", [1, 2, 3])
def test_rings_are_steps_on_a_chain(rings):
    expected = [list(range(max(0, i - rings), min(6, i + rings + 1))) for i in range(6)]
    assert lists(surface_neighbours(chain(6), rings=rings)) == expected
    assert lists(surface_neighbours(chain(6), rings=rings, n_vertices=7)) == [*expected, [6]]
    assert lists(surface_neighbours(chain(6), rings=rings, n_vertices=2)) == expected


def test_vertices_of_faces_are_those_that_have_places():
    xyz = line(0.0, 1.0, 2.0)
    assert lists(surface_neighbours([[0, 1, 2]], rings=1, xyz=xyz)) == [[0, 1, 2]] * 3
    with pytest.raises(InvalidValueError, match="faces must name vertices from 0 to 2; got 0 to 3"):
        surface_neighbours([[0, 1, 3]], rings=1, xyz=xyz)
    with pytest.raises(InvalidValueError, match="faces must name vertices from 0 to 2; got -1 to 2"):
        surface_neighbours([[-1, 1, 2]], rings=1, xyz=xyz)
    with pytest.raises(InvalidValueError, match="rings must be a positive integer; got 0"):
        surface_neighbours([[0, 1, 2]], rings=0)
    for options in ({}, {"rings": 1, "radius": 1.0}, {"radius": 1.0, "nearest": 2}):
        with pytest.raises(InvalidValueError, match="either rings or radius or nearest"):
            surface_neighbours([[0, 1, 2]], xyz=xyz, **options)


# What a searchlight takes


def make_responses(values):
    dims = ("run", "stimulus", "neuroid")[-values.ndim :]
    coords = {"stimulus": STIMULI, "neuroid": np.arange(values.shape[-1])}
    return xr.DataArray(
        values, dims=dims, coords=coords | ({"run": range(len(values))} if len(dims) > 2 else {})
    )


@pytest.fixture
def responses(rng):
    return make_responses(rng.standard_normal((N_STIMULI, N_NEUROIDS)))


@pytest.fixture
def models(rng):
    return make_rdm(rng.random((2, 10)), STIMULI, dims=["model"], coords={"model": ["a", "b"]})


@pytest.mark.parametrize(
    ("wrong", "error", "text"),
    [
        ([0, 1, 1], LabelError, "neighbours 2 name neuroid 1 twice"),
        ([1, 0, 1], LabelError, "neighbours 2 name neuroid 1 twice"),
        ([7, 7], LabelError, "neighbours 2 name neuroid 7 twice"),
        ([0, 8], InvalidValueError, "positions from 0 to 7; got 0 to 8"),
        ([-1, 2], InvalidValueError, "positions from 0 to 7; got -1 to 7"),
        ([[0, 1], [2, 3]], ShapeError, r"neighbours 2 must be integers \(n,\)"),
        ([0.0, 1.0], ShapeError, r"neighbours 2 must be integers \(n,\)"),
    ],
)
def test_spheres_name_each_neuroid_once_and_none_that_is_not_there(responses, models, wrong, error, text):
    around = [*AROUND[:2], wrong, *AROUND[3:]]
    with pytest.raises(error, match=text):
        searchlight(responses, models, neighbours=around)


def test_spheres_in_any_order_and_borders_between_equal_neuroids_are_fine(responses, models):
    # The last of one sphere is the first of the next.
    around = [[0, 1], [1, 2], [2, 1], [1, 5, 3], [3, 0], [0, 7], [7, 6], [6, 0]]
    found = searchlight(responses, models, neighbours=around, metric="euclidean", method="pearson")
    expected = [
        rsa.compare(models, rsa.rdm(responses.isel(neuroid=sphere), "euclidean"), "pearson").values[:, 0]
        for sphere in around
    ]
    np.testing.assert_allclose(found, np.transpose(expected), atol=1e-10)


def job_of(responses, models, *, noise=None, metric="euclidean", method="pearson", **options):
    options = {"noise_method": "shrinkage-diagonal", "dof": None, "folds": None, "min_neuroids": 1} | options
    return sphere_jobs.prepare(
        responses,
        models,
        radius=None,
        neighbours=AROUND,
        metric=metric,
        method=method,
        noise=noise,
        **options,
    )


@pytest.mark.parametrize("kind", ["none", "residuals", "precision", "variances", "runs"])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_blocks_hold_as_many_spheres_of_one_size_as_fit(rng, monkeypatch, responses, models, kind, n):
    residuals = xr.DataArray(
        rng.standard_normal((20, N_NEUROIDS)),
        dims=("time", "neuroid"),
        coords={"neuroid": np.arange(N_NEUROIDS)},
    )
    noise, n_columns, options = None, N_STIMULI, {}
    if kind == "runs":
        responses = make_responses(responses.values + rng.standard_normal((3, N_STIMULI, N_NEUROIDS)))
        n_columns, options = 3 * N_STIMULI, {"metric": "crossnobis"}
    elif kind != "none":
        options = {"metric": "mahalanobis"}
        noise = {
            "residuals": residuals,
            "precision": noise_precision(residuals),
            "variances": residuals.var("time"),
        }[kind]
    job = job_of(responses, models, noise=noise, **options)
    # Patterns and seven tables of pairs; three copies of residuals; two matrices of neuroids.
    size = 3
    entries = size * n_columns + 7 * 10
    entries += {"residuals": 3 * 20 * size + 2 * size**2, "precision": 2 * size**2}.get(kind, 0)
    for slack, expected in ((0, n), (-1, max(n - 1, 1))):
        monkeypatch.setattr(sphere_jobs, "BLOCK_BYTES", 8 * entries * n + slack)
        found = [block.tolist() for block in sphere_jobs.blocks(job, None)]
        of_size = [block for block in found if len(AROUND[block[0]]) == size]
        assert of_size == [[0, 1, 2, 3][i : i + expected] for i in range(0, 4, expected)]
        assert sorted(i for block in found for i in block) == [0, 1, 2, 3, 4, 5, 6]
    assert [b.tolist() for b in sphere_jobs.blocks(job, 3)] == [[4, 5], [0, 1, 2], [3], [6]]


@pytest.mark.parametrize("chunk", [1, 2, 3, 100])
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_one_sphere_or_one_thread_at_a_time_changes_nothing(responses, models, chunk, n_jobs):
    found = searchlight(responses, models, neighbours=AROUND, chunk=chunk, n_jobs=n_jobs, min_neuroids=2)
    np.testing.assert_allclose(found, searchlight(responses, models, neighbours=AROUND), atol=1e-14)
    assert np.isnan(found.values).all(axis=0).tolist() == [False] * 7 + [True]


def test_a_neuroid_of_variance_0_takes_its_spheres_out(responses, models):
    variances = xr.DataArray(
        [4.0, 0.25, 1.0, 9.0, 1.0, 0.0, 2.0, 1.0], dims="neuroid", coords={"neuroid": np.arange(N_NEUROIDS)}
    )
    options = {"neighbours": AROUND, "metric": "mahalanobis", "method": "pearson"}
    found = searchlight(responses, models, noise=variances, **options)
    out = [5 in sphere or not sphere for sphere in AROUND]
    assert np.isnan(found.values).all(axis=0).tolist() == out
    for i in np.flatnonzero(~np.array(out)):
        scaled = (responses / np.sqrt(variances.where(variances > 0, 1.0))).isel(neuroid=AROUND[i])
        expected = rsa.compare(models, rsa.rdm(scaled, "sqeuclidean"), "pearson").values[:, 0]
        np.testing.assert_allclose(found[:, i], expected, atol=1e-10)
    with pytest.raises(InvalidValueError, match="variances must not be negative; the smallest is -1"):
        searchlight(responses, models, noise=variances - 1, **options)


@pytest.mark.parametrize("n", [2, 3, 9])
@pytest.mark.parametrize("dof", [None, 1.5])
def test_few_residuals_are_enough_where_they_are_shrunk(rng, responses, models, n, dof):
    values = rng.standard_normal((n, N_NEUROIDS)) + 30.0
    values[:, 6] = 1.0  # without noise
    residuals = xr.DataArray(values, dims=("time", "neuroid"), coords={"neuroid": np.arange(N_NEUROIDS)})
    # Two residuals say that all correlations are 1 or -1, and leave no doubt that would shrink them.
    how = "diagonal" if n == 2 else "shrinkage-diagonal"
    options = {"neighbours": AROUND, "metric": "mahalanobis", "method": "pearson", "noise_method": how}
    found = searchlight(responses, models, noise=residuals, dof=dof, **options)
    for i, sphere in enumerate(AROUND):
        if 6 in sphere or not sphere:
            assert np.isnan(found[:, i]).all()
            continue
        precision = noise_precision(residuals.isel(neuroid=sphere), how, dof=dof)
        expected = rsa.rdm(responses.isel(neuroid=sphere), "mahalanobis", noise=precision)
        np.testing.assert_allclose(
            found[:, i], rsa.compare(models, expected, "pearson").values[:, 0], atol=1e-9
        )
    with pytest.raises(ShapeError, match="residuals need at least 2 rows; got 1"):
        searchlight(responses, models, noise=residuals[:1], **options)
    with pytest.raises(InvalidValueError, match=f"dof must be more than 0 and at most the {n} residuals"):
        searchlight(responses, models, noise=residuals, dof=n + 0.5, **options)


@pytest.mark.parametrize("metric", ["crossnobis", "correlation-cv", "correlation", "cosine", "sqeuclidean"])
@pytest.mark.parametrize("scale", [2.0**-600, 2.0**-30, 2.0**30, 2.0**600])
def test_the_scale_of_responses_never_matters(rng, models, metric, scale):
    runs = 2 * rng.standard_normal((N_STIMULI, N_NEUROIDS)) + rng.standard_normal((3, N_STIMULI, N_NEUROIDS))
    values = runs if metric in sphere_jobs.CROSSVALIDATED else runs.mean(axis=0)
    options = {"neighbours": AROUND, "metric": metric, "method": "pearson", "min_neuroids": 3}
    one, other = (searchlight(make_responses(v), models, **options) for v in (values, scale * values))
    assert np.isfinite(one[:, [0, 1, 2, 3, 6]]).all()
    np.testing.assert_allclose(other, one, rtol=1e-9)
    assert other.attrs == one.attrs


def test_spheres_in_which_patterns_have_no_direction_are_counted(rng, models):
    values = rng.standard_normal((N_STIMULI, N_NEUROIDS))
    values[2, [0, 1, 2]] = 0.5
    values[3, [2, 3, 4]] = -1.0
    values[4, [2, 3, 4]] = 3.0
    found = searchlight(make_responses(values), models, neighbours=AROUND, min_neuroids=3, method="pearson")
    assert found.attrs["n_partial"] == 2
    expected = rsa.rdm(make_responses(values).isel(neuroid=AROUND[0]))
    assert int(np.isnan(expected).sum()) == 4
    np.testing.assert_allclose(found[:, 0], rsa.compare(models, expected, "pearson").values[:, 0], atol=1e-10)

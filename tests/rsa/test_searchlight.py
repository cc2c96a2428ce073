"""Searchlight: the numbers of rdm and compare on every sphere, spheres and discs, memory, what is refused."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist
from scipy.stats import spearmanr

from neuroalign import rsa
from neuroalign.errors import InvalidValueError, LabelError, ShapeError
from neuroalign.rsa.compare import METHODS, compare_rows, unit_rows
from neuroalign.rsa.metrics import Options
from neuroalign.rsa.neighbours import spheres, surface_neighbours
from neuroalign.rsa.noise import noise_precision
from neuroalign.rsa.ranking import rank_scores
from neuroalign.rsa.searchlight import searchlight
from neuroalign.rsa.sphere_kernels import KERNELS
from neuroalign.schema import make_rdm

N_STIMULI = 9
STIMULI = [f"s{i}" for i in range(N_STIMULI)]
# The squares of a 4 x 4 x 3 grid, 2 mm apart, of which one corner is cut off: border spheres differ in size.
GRID = 2.0 * np.stack(np.meshgrid(range(4), range(4), range(3), indexing="ij"), -1).reshape(-1, 3)[:-5]
NAMES = [f"v{i:02d}" for i in range(len(GRID))]


def make_responses(values, **coords):
    axes = {axis: ("neuroid", GRID[: values.shape[-1], i]) for i, axis in enumerate("xyz")}
    own = {"stimulus": STIMULI, "neuroid": NAMES[: values.shape[-1]], **axes, **coords}
    return xr.DataArray(values, dims=("stimulus", "neuroid"), coords=own)


@pytest.fixture
def responses(rng):
    return make_responses(
        3.0 + rng.standard_normal((N_STIMULI, len(GRID))), roi=("neuroid", ["V1"] * len(GRID))
    )


@pytest.fixture
def models(rng):
    rows = rng.standard_normal((3, N_STIMULI * (N_STIMULI - 1) // 2))
    rows[1] = np.sign(rows[1]) + 2
    return make_rdm(rows, STIMULI, dims=["model"], coords={"model": ["a", "ties", "c"]})


@pytest.fixture
def runs(rng):
    x = rng.standard_normal((N_STIMULI, len(GRID))) + rng.standard_normal((4, N_STIMULI, len(GRID)))
    return xr.concat([make_responses(one) for one in x], "run").assign_coords(run=[3, 1, 4, 2])


@pytest.fixture
def residuals(rng):
    values = rng.standard_normal((60, len(GRID))) @ rng.standard_normal((len(GRID), len(GRID)))
    return xr.DataArray(values, dims=("time", "neuroid"), coords={"neuroid": NAMES})


def slow(responses, models, around, method, **options):
    """One ``rdm`` and one ``compare`` a sphere, with the noise of its own neuroids."""
    columns = []
    for sphere in around:
        some = dict(options)
        noise = some.get("noise")
        if noise is not None and "neuroid_b" in noise.dims:
            some["noise"] = noise.isel(neuroid=sphere, neuroid_b=sphere)
        elif noise is not None:
            some["noise"] = noise_precision(noise.isel(neuroid=sphere))
        rdm = rsa.rdm(responses.isel(neuroid=sphere), **some)
        columns.append(rsa.compare(models, rdm, method).values[:, 0])
    return np.array(columns).T


# Equality with one sphere at a time


@pytest.mark.parametrize("method", ["spearman", "pearson", "cosine", "rho-a", "tau-a", "whitened-cosine"])
@pytest.mark.parametrize("metric", ["correlation", "cosine", "euclidean", "sqeuclidean"])
def test_every_sphere_has_the_score_of_its_own_rdm(responses, models, metric, method):
    found = searchlight(responses, models, radius=3, metric=metric, method=method)
    around = spheres(GRID, 3)
    np.testing.assert_allclose(found, slow(responses, models, around, method, metric=metric), atol=1e-10)
    assert found.dims == ("model", "neuroid")
    assert found.n_neuroids.values.tolist() == [len(sphere) for sphere in around]
    assert (found.attrs["n_undefined"], found.attrs["metric"]) == (0, method)


def test_kendall_and_bures_are_those_of_compare(responses, models):
    for method in ("tau-b", "bures"):
        found = searchlight(responses, models[:1], radius=3, metric="sqeuclidean", method=method)
        expected = slow(responses, models[:1], spheres(GRID, 3), method, metric="sqeuclidean")
        np.testing.assert_allclose(found, expected, atol=1e-10)
        assert method in METHODS


@pytest.mark.parametrize("method", ["spearman", "cosine"])
def test_mahalanobis_takes_the_precision_of_each_spheres_residuals(responses, models, residuals, method):
    found = searchlight(responses, models, radius=3, metric="mahalanobis", method=method, noise=residuals)
    expected = slow(responses, models, spheres(GRID, 3), method, metric="mahalanobis", noise=residuals)
    np.testing.assert_allclose(found, expected, atol=1e-10)


def crossnobis_by_hand(x, precision):
    """x (n_folds, n_stimuli, n_neuroids): the mean over ordered pairs of different folds."""
    n_folds, n_stimuli, _ = x.shape
    found = []
    for i in range(n_stimuli):
        for j in range(i + 1, n_stimuli):
            d = x[:, i] - x[:, j]
            products = [d[f] @ precision @ d[g] for f in range(n_folds) for g in range(n_folds) if f != g]
            found.append(np.mean(products))
    return np.array(found)


@pytest.mark.parametrize("kind", ["none", "residuals", "variances", "precision"])
def test_crossnobis_is_the_mean_over_pairs_of_folds(runs, models, residuals, kind):
    noise = {
        "none": None,
        "residuals": residuals,
        "variances": residuals.var("time"),
        "precision": noise_precision(residuals),
    }[kind]
    found = searchlight(runs, models, radius=3, metric="crossnobis", noise=noise)
    for i, sphere in enumerate(spheres(GRID, 3)):
        precision = {
            "none": lambda sphere: np.eye(len(sphere)),
            "residuals": lambda sphere: noise_precision(residuals[:, sphere]).values,
            "variances": lambda sphere: np.diag(1 / residuals.values[:, sphere].var(axis=0)),
            "precision": lambda sphere: noise.values[np.ix_(sphere, sphere)],
        }[kind](sphere)
        rdm = crossnobis_by_hand(runs.values[:, :, sphere], precision)
        expected = [spearmanr(rdm, model).statistic for model in models.values]
        np.testing.assert_allclose(found[:, i], expected, atol=1e-10)


def test_crossnobis_is_that_of_rdm_in_either_layout(runs, models, residuals):
    expected = slow(runs, models, spheres(GRID, 3), "pearson", metric="crossnobis", noise=residuals)
    flat = runs.stack(presentation=("run", "stimulus"), create_index=False)
    for layout in (runs, flat.isel(presentation=slice(None, None, -1))):
        found = searchlight(
            layout, models, radius=3, metric="crossnobis", method="pearson", noise=residuals, folds="run"
        )
        np.testing.assert_allclose(found, expected, atol=1e-10)


def test_crossnobis_of_noise_is_0_on_average_and_leans_to_no_model(rng):
    x = rng.standard_normal((4, N_STIMULI, 400))
    axes = {axis: ("neuroid", np.arange(400.0) if axis == "x" else np.zeros(400)) for axis in "xyz"}
    runs = xr.DataArray(x, dims=("run", "stimulus", "neuroid"), coords={"stimulus": STIMULI, **axes})
    model = make_rdm(np.ones(36) + np.arange(36) / 1e6, STIMULI)
    # With a model that is nearly constant the cosine is the mean distance in units of their spread.
    found = searchlight(runs, model, radius=2, metric="crossnobis", method="cosine")
    assert abs(found.mean()) < 0.05 and found.min() < -0.2


def test_presentations_of_a_stimulus_are_averaged(runs, models):
    flat = runs.stack(presentation=("run", "stimulus"), create_index=False)
    found = searchlight(flat, models, radius=3)
    np.testing.assert_allclose(found, searchlight(runs.mean("run"), models, radius=3), atol=1e-12)


# Laws


def test_neither_chunks_nor_threads_change_a_number(responses, models):
    whole = searchlight(responses, models, radius=3)
    for options in ({"chunk": 1}, {"chunk": 7}, {"n_jobs": 3, "chunk": 5}, {"progress": True}):
        np.testing.assert_allclose(searchlight(responses, models, radius=3, **options), whole, rtol=1e-13)


def test_order_of_stimuli_and_neuroids_never_matters(responses, models, residuals, rng):
    options = {"radius": 3.0, "metric": "mahalanobis", "noise": residuals}
    whole = searchlight(responses, models, **options)
    shuffled = responses.isel(
        stimulus=rng.permutation(N_STIMULI), neuroid=rng.permutation(responses.sizes["neuroid"])
    )
    found = searchlight(shuffled, models, **options)
    np.testing.assert_allclose(found.sel(neuroid=whole.neuroid), whole, atol=1e-12)


def test_coordinates_of_neuroids_and_models_stay(responses, models):
    found = searchlight(responses.assign_coords(subject="s1"), models, radius=3)
    assert set(found.coords) == {"model", "neuroid", "x", "y", "z", "roi", "subject", "n_neuroids"}
    one = searchlight(responses, models[0], radius=3)
    assert one.dims == ("neuroid",)
    np.testing.assert_allclose(one, found[0], rtol=1e-13)


def test_the_arguments_are_not_edited(responses, models, residuals):
    before = [x.copy(deep=True) for x in (responses, models, residuals)]
    for metric, noise in (("correlation", None), ("euclidean", None), ("mahalanobis", residuals)):
        searchlight(responses, models, radius=3, metric=metric, noise=noise)
    for x, copy in zip((responses, models, residuals), before, strict=True):
        xr.testing.assert_identical(x, copy)


@pytest.mark.parametrize("metric", ["correlation", "sqeuclidean"])
def test_a_large_offset_keeps_the_digits(responses, models, metric):
    found = searchlight(responses + 1e6, models, radius=3, metric=metric, method="pearson")
    np.testing.assert_allclose(
        found, searchlight(responses, models, radius=3, metric=metric, method="pearson"), atol=1e-8
    )


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_values_near_the_ends_of_the_range_neither_vanish_nor_overflow(responses, models, scale):
    for metric in ("correlation", "cosine", "euclidean"):
        found = searchlight(responses * scale, models, radius=3, metric=metric)
        np.testing.assert_allclose(found, searchlight(responses, models, radius=3, metric=metric), atol=1e-12)


@pytest.mark.parametrize("metric", ["euclidean", "sqeuclidean", "crossnobis"])
@pytest.mark.parametrize("n_neuroids", [4, 300])
def test_near_stimuli_keep_their_digits_or_are_computed_alone(rng, metric, n_neuroids):
    kernel, n_folds = KERNELS[metric], 3 if metric == "crossnobis" else 1
    vouched = 0
    for apart in np.logspace(-6, 0, 25):
        x = rng.standard_normal((n_neuroids, n_folds, N_STIMULI))
        x[:, :, 1] = x[:, :, 0] + apart * rng.standard_normal((n_neuroids, n_folds))
        table = kernel.prepare(x)
        found, doubtful = kernel.rows(table.reshape(1, n_neuroids, -1).copy(), n_folds, None)
        patterns = table.transpose(1, 2, 0)
        expected, _ = kernel.alone(patterns if n_folds > 1 else patterns[0], Options())
        if not doubtful[0]:
            vouched += 1
            # Six digits cancel at most. Contrasts of two folds may be near 0, those within a fold are not.
            own = ((patterns[:, 1] - patterns[:, 0]) ** 2).sum() / n_folds
            close = {"rtol": 0, "atol": 1e-9 * own} if metric == "crossnobis" else {"rtol": 1e-9}
            np.testing.assert_allclose(found[0, 0], expected[0], **close)
    assert 8 < vouched < 25


# What is undefined


def test_a_pattern_without_direction_is_left_out_of_its_spheres_only(responses, models):
    x = responses.copy(deep=True)
    around = spheres(GRID, 3)
    x[4, around[0]] = 0.7
    found = searchlight(x, models, radius=3, method="pearson")
    np.testing.assert_allclose(found, slow(x, models, around, "pearson", metric="correlation"), atol=1e-10)
    assert found.attrs["n_partial"] == sum(set(sphere) <= set(around[0]) for sphere in around) >= 1
    assert found.attrs["n_undefined"] == 0


def test_constant_and_small_spheres_are_nan_and_counted(responses, models):
    x = responses.copy(deep=True)
    around = [np.arange(4), np.arange(4, 9), np.array([20]), np.array([], dtype=int)]
    around += [np.arange(5)] * (len(GRID) - 4)
    x[:, :4] = x[0, :4]
    with_direction = searchlight(x, models, neighbours=around, metric="sqeuclidean")
    assert np.isnan(with_direction[:, 0]).all() and not np.isnan(with_direction[:, 1]).any()
    assert np.isnan(with_direction[:, 2:4]).all()
    assert with_direction.attrs["n_undefined"] == 3 * 3
    assert not np.isnan(
        searchlight(x, models, neighbours=around, metric="sqeuclidean", min_neuroids=1)[:, 2]
    ).any()
    few = searchlight(x, models, neighbours=around, min_neuroids=5)
    assert np.isnan(few.values).all(axis=0)[:4].tolist() == [True, False, True, True]


def test_spheres_with_a_neuroid_without_noise_are_nan(responses, models, residuals):
    dead = residuals.copy(deep=True)
    dead[:, 7] = 2.5
    around = spheres(GRID, 3)
    for noise in (dead, dead.var("time")):
        found = searchlight(responses, models, radius=3, metric="mahalanobis", noise=noise)
        np.testing.assert_array_equal(np.isnan(found.values[0]), [7 in sphere for sphere in around])


def test_a_model_with_nan_is_compared_over_its_pairs(responses, models):
    models = models.copy(deep=True)
    models[0, [3, 8]] = np.nan
    found = searchlight(responses, models, radius=3)
    expected = slow(responses, models, spheres(GRID, 3), "spearman", metric="correlation")
    np.testing.assert_allclose(found, expected, atol=1e-10)


def test_ties_among_dissimilarities_get_mid_ranks(rng, models):
    # Multiples of 9: the means over 9 stimuli are whole numbers, so that rounding breaks no tie.
    x = make_responses(9.0 * rng.integers(0, 3, (N_STIMULI, len(GRID))))
    found = searchlight(x, models, radius=2.5, metric="sqeuclidean")
    for i, sphere in enumerate(spheres(GRID, 2.5)):
        squares = pdist(x.values[:, sphere], "sqeuclidean")
        assert len(np.unique(squares)) < len(squares)
        expected = [spearmanr(squares, model).statistic for model in models.values]
        np.testing.assert_allclose(found[:, i], expected, atol=1e-10)


# Ranks


@given(st.integers(0, 10_000), st.sampled_from(["plain", "ties", "nan", "constant", "outlier", "negative"]))
@settings(max_examples=60, deadline=None)
def test_rank_scores_are_those_of_compare(seed, kind):
    rng = np.random.default_rng(seed)
    rows, models = rng.standard_normal((5, 45)), np.abs(rng.standard_normal((2, 45)).round(1))
    if kind == "ties":
        rows = rows.round(1)
    elif kind == "nan":
        rows[2, [0, 7]] = np.nan
    elif kind == "constant":
        rows[3] = 0.25
    elif kind == "outlier":
        rows[0, 5] = 1e15
    elif kind == "negative":
        rows -= 10
    for method in ("spearman", "rho-a"):
        found = rank_scores(rows, models, unit_rows(models, method), method)
        np.testing.assert_allclose(found, compare_rows(rows, models, method), atol=1e-12)


def test_ranks_of_many_pairs_are_sorted_by_48_bits(rng):
    rows, models = rng.random((2, 30_000)), rng.random((1, 30_000))
    found = rank_scores(rows, models, unit_rows(models, "spearman"), "spearman")
    expected = [[spearmanr(row, models[0]).statistic] for row in rows]
    np.testing.assert_allclose(found, expected, atol=1e-12)


# Neighbours


def test_spheres_hold_what_is_within_the_radius_and_its_border(rng):
    places = rng.uniform(0, 10, (80, 3))
    places[1] = places[0] + [0.1 + 0.2, 0, 0]
    found = spheres(places, 0.3)
    distance = np.linalg.norm(places[:, None] - places, axis=-1)
    assert 1 in found[0] and 0 in found[1]
    for radius in (2.0, 5.0):
        for i, sphere in enumerate(spheres(places, radius)):
            assert sphere.tolist() == np.flatnonzero(distance[i] <= radius).tolist()


def test_spheres_read_the_coordinates_of_neuroids(responses):
    for one, other in zip(spheres(responses, 2), spheres(GRID, 2), strict=True):
        np.testing.assert_array_equal(one, other)
    assert {len(sphere) for sphere in spheres(responses, 2)} == {3, 4, 5, 6, 7}
    with pytest.raises(LabelError, match=r"along 'neuroid'; missing: y, z"):
        spheres(responses.drop_vars(["y", "z"]), 2)


# A strip of six triangles over the vertices 0 to 7, two rows of four.
STRIP = [[0, 1, 4], [1, 5, 4], [1, 2, 5], [2, 6, 5], [2, 3, 6], [3, 7, 6]]


def test_rings_are_steps_along_edges():
    first = surface_neighbours(np.array(STRIP), rings=1)
    assert first[0].tolist() == [0, 1, 4] and first[5].tolist() == [1, 2, 4, 5, 6]
    second = surface_neighbours(STRIP, rings=2)
    assert second[0].tolist() == [0, 1, 2, 4, 5]
    assert [len(ring) for ring in surface_neighbours(STRIP, rings=9)] == [8] * 8


def test_edges_give_the_rings_of_their_faces():
    edges = sorted({tuple(sorted((t[i], t[(i + 1) % 3]))) for t in STRIP for i in range(3)})
    for one, other in zip(
        surface_neighbours(edges, rings=2), surface_neighbours(STRIP, rings=2), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_discs_are_distances_along_edges_never_across():
    places = np.array([[x, y, 0.0] for y in (0.0, 1.0) for x in range(4)])
    found = surface_neighbours(STRIP, radius=1.0, xyz=places)
    assert found[0].tolist() == [0, 1, 4]
    assert surface_neighbours(STRIP, radius=2.0, xyz=places)[0].tolist() == [0, 1, 2, 4, 5]
    # Vertex 0 and 5 are 1.41 apart, but no edge joins them: 2 along edges.
    assert 5 not in surface_neighbours(STRIP, radius=1.99, xyz=places)[0]


def test_vertices_without_edges_and_at_one_place_are_kept():
    assert [ring.tolist() for ring in surface_neighbours([[0, 1]], rings=1, n_vertices=3)] == [
        [0, 1],
        [0, 1],
        [2],
    ]
    places = np.zeros((3, 3))
    assert surface_neighbours([[0, 1]], radius=1, xyz=places)[0].tolist() == [0, 1]


def test_discs_of_a_mesh_equal_dijkstra_written_out(rng):
    places, faces = rng.uniform(0, 5, (30, 3)), rng.integers(0, 30, (40, 3))
    distance = np.full((30, 30), np.inf)
    np.fill_diagonal(distance, 0)
    for face in faces:
        for a, b in ((0, 1), (1, 2), (2, 0)):
            length = np.linalg.norm(places[face[a]] - places[face[b]])
            distance[face[a], face[b]] = distance[face[b], face[a]] = length
    for k in range(30):
        distance = np.minimum(distance, distance[:, k, None] + distance[k])
    for i, disc in enumerate(surface_neighbours(faces, radius=3, xyz=places)):
        assert disc.tolist() == np.flatnonzero(distance[i] <= 3).tolist()


# Memory


def test_memory_does_not_grow_with_the_number_of_spheres(rng):
    n_stimuli, n_pairs = 60, 1770
    model = make_rdm(rng.random(n_pairs), np.arange(n_stimuli))
    peaks = []
    for n in (1000, 4000):
        x = xr.DataArray(
            rng.standard_normal((n_stimuli, n)),
            dims=("stimulus", "neuroid"),
            coords={"stimulus": np.arange(n_stimuli)},
        )
        around = [np.arange(i, i + 20) % n for i in range(n)]
        tracemalloc.start()
        searchlight(x, model, neighbours=around)
        peaks.append(tracemalloc.get_traced_memory()[1] - 8 * 4 * x.size)
        tracemalloc.stop()
    # A stack of RDMs would take 14 and 57 MB. What is left over grows by lists of neighbours and checks.
    assert peaks[0] < 12e6 and peaks[1] < 16e6


# Peers


def test_rsatoolbox_and_mne_rsa_give_the_same_map(rng, capsys):
    mne_rsa = pytest.importorskip("mne_rsa", reason="mne-rsa is a test dependency")
    from rsatoolbox.inference import eval_fixed
    from rsatoolbox.model import ModelFixed
    from rsatoolbox.util.searchlight import evaluate_models_searchlight, get_searchlight_RDMs

    x = rng.standard_normal((N_STIMULI, len(GRID)))
    model = rng.random(36)
    around = spheres(GRID, 3)
    ours = searchlight(make_responses(x), make_rdm(model, STIMULI), radius=3)
    patches = mne_rsa.searchlight(x.shape, spatial_radius=around)
    theirs = mne_rsa.rsa_array(x, model, patches=patches, rsa_metric="spearman")
    np.testing.assert_allclose(ours, theirs, atol=1e-10)
    rdms = get_searchlight_RDMs(x, np.arange(len(GRID)), around, np.arange(N_STIMULI), verbose=False)
    found = evaluate_models_searchlight(rdms, ModelFixed("m", model), eval_fixed, method="spearman")
    np.testing.assert_allclose(ours, [one.evaluations.item() for one in found], atol=1e-10)
    capsys.readouterr()


# What is refused


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({}, InvalidValueError, "either radius .mm. or neighbours"),
        ({"radius": 3, "neighbours": []}, InvalidValueError, "one of them only"),
        ({"radius": -1.0}, InvalidValueError, "radius must be positive, in mm; got -1.0"),
        ({"radius": 3, "metric": "poisson"}, InvalidValueError, "metric of a searchlight must be one of"),
        ({"radius": 3, "method": "kendall"}, InvalidValueError, "method must be one of"),
        ({"radius": 3, "folds": "run"}, InvalidValueError, r"folds belong to .crossnobis.*got .correlation"),
        ({"radius": 3, "metric": "mahalanobis"}, InvalidValueError, "mahalanobis needs noise"),
        ({"radius": 3, "chunk": 0}, InvalidValueError, "chunk must be a positive integer; got 0"),
        ({"radius": 3, "n_jobs": -1}, InvalidValueError, "n_jobs must be a positive integer; got -1"),
        ({"neighbours": [[0, 1]]}, ShapeError, "one list a neuroid, 43; got 1"),
        ({"neighbours": [[0, 43]] * 43}, InvalidValueError, "positions from 0 to 42; got 0 to 43"),
        ({"neighbours": [[0, 1]] * 42 + [[5, 2, 5]]}, LabelError, "neighbours 42 name neuroid 5 twice"),
        ({"neighbours": [[0.5, 1]] * 43}, ShapeError, "neighbours 0 must be integers"),
    ],
)
def test_wrong_arguments_are_refused_with_what_came(responses, models, options, error, text):
    with pytest.raises(error, match=text):
        searchlight(responses, models, **options)


def test_wrong_arrays_are_refused_with_what_came(responses, models, runs, residuals):
    bad = responses.copy(deep=True)
    bad[2, 5] = np.nan
    with pytest.raises(InvalidValueError, match=r"1 of 43 neuroids have values that are not: 'v05'"):
        searchlight(bad, models, radius=3)
    with pytest.raises(ShapeError, match="one subject"):
        searchlight(runs, models, radius=3)
    with pytest.raises(ShapeError, match="one subject"):
        searchlight(responses.rename(neuroid="unit"), models, neighbours=[[0, 1]] * 43)
    with pytest.raises(LabelError, match="not in models"):
        searchlight(responses.assign_coords(stimulus=[*STIMULI[1:], "new"]), models, radius=3)
    with pytest.raises(ShapeError, match="at least 3 stimuli; got 2"):
        searchlight(responses[:2], models, radius=3)
    with pytest.raises(ShapeError, match="at least 2 folds with every stimulus"):
        searchlight(runs[:1], models, radius=3, metric="crossnobis")
    with pytest.raises(InvalidValueError, match="noise belongs to 'mahalanobis' and 'crossnobis'"):
        searchlight(responses, models, radius=3, noise=residuals)
    mahalanobis = {"radius": 3.0, "metric": "mahalanobis"}
    with pytest.raises(ShapeError, match="noise must be residuals"):
        searchlight(responses, models, noise=residuals.values, **mahalanobis)
    with pytest.raises(LabelError):
        searchlight(
            responses,
            models,
            noise=residuals.assign_coords(neuroid=[f"w{i}" for i in range(43)]),
            **mahalanobis,
        )
    with pytest.raises(InvalidValueError, match=r"noise covariance .* is singular"):
        searchlight(responses, models, noise=residuals[:4], noise_method="full", **mahalanobis)
    with pytest.raises(InvalidValueError, match="noise_method must be one of 'full'"):
        searchlight(responses, models, noise=residuals, noise_method="shrink", **mahalanobis)


def test_wrong_meshes_are_refused_with_what_came():
    with pytest.raises(InvalidValueError, match="either rings or radius"):
        surface_neighbours(STRIP)
    with pytest.raises(InvalidValueError, match="rings must be a positive integer; got 0"):
        surface_neighbours(STRIP, rings=0)
    with pytest.raises(ShapeError, match="distances along edges need xyz"):
        surface_neighbours(STRIP, radius=2)
    with pytest.raises(ShapeError, match="faces must be integers"):
        surface_neighbours(np.array(STRIP, dtype=float), rings=1)
    with pytest.raises(InvalidValueError, match="vertices from 0 to 3; got 0 to 7"):
        surface_neighbours(STRIP, radius=2, xyz=np.zeros((4, 3)))
    with pytest.raises(ShapeError, match=r"xyz must have shape \(n_neuroids, 3\)"):
        spheres(np.zeros((4, 2)), 2)


def test_models_of_three_dims_are_refused(responses, models):
    with pytest.raises(
        ShapeError, match=r"models must have dims \(pair,\) or \(model, pair\); got \('group'"
    ):
        searchlight(responses, models.expand_dims(group=["g"]), radius=3)


@pytest.mark.parametrize(
    ("values", "options", "error", "text"),
    [
        (-np.ones(43), {}, InvalidValueError, "variances must not be negative; the smallest is -1"),
        (np.ones((1, 43)), {}, ShapeError, "residuals need at least 2 rows; got 1"),
        (None, {"dof": 0}, InvalidValueError, "dof must be more than 0 and at most the 60 residuals; got 0"),
        (
            None,
            {"dof": 61},
            InvalidValueError,
            "dof must be more than 0 and at most the 60 residuals; got 61",
        ),
        (None, {"dof": np.inf}, InvalidValueError, "at most the 60 residuals; got inf"),
    ],
)
def test_noise_that_is_none_is_refused_with_numbers(
    responses, models, residuals, values, options, error, text
):
    noise = residuals
    if values is not None:
        coords = {"neuroid": NAMES}
        noise = xr.DataArray(values, dims=("time", "neuroid")[-values.ndim :], coords=coords)
    with pytest.raises(error, match=text):
        searchlight(responses, models, radius=3, metric="mahalanobis", noise=noise, **options)

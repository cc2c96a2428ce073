"""Searchlights over runs: cross-validated correlation, reliability, tests with the maximum, k nearest."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import xarray as xr

from neuroalign import datasets, io, rsa, stats
from neuroalign.errors import InvalidValueError, LabelError, ShapeError
from neuroalign.rsa.neighbours import nearest_neighbours, spheres, surface_neighbours
from neuroalign.schema import make_rdm

N_STIMULI, N_RUNS = 7, 4
STIMULI = [f"s{i}" for i in range(N_STIMULI)]
PLACES = datasets.volume_places((4, 4, 3), voxel=2.0, ellipsoid=False)
N = PLACES.sizes["neuroid"]


@pytest.fixture
def runs(rng):
    values = rng.standard_normal((N_STIMULI, N)) + rng.standard_normal((N_RUNS, N_STIMULI, N))
    coords = {name: c.variable for name, c in PLACES.coords.items()}
    return xr.DataArray(
        values,
        dims=("run", "stimulus", "neuroid"),
        coords={**coords, "run": [3, 1, 4, 2], "stimulus": STIMULI},
        attrs=PLACES.attrs,
    )


@pytest.fixture
def models(rng):
    rows = rng.standard_normal((2, N_STIMULI * (N_STIMULI - 1) // 2))
    rows[1] = np.sign(rows[1]) + 2
    return make_rdm(rows, STIMULI, dims=["model"], coords={"model": ["a", "ties"]})


@pytest.fixture
def residuals(rng):
    values = rng.standard_normal((50, N)) @ rng.standard_normal((N, N))
    return xr.DataArray(values, dims=("time", "neuroid"), coords={"neuroid": PLACES["neuroid"].values})


def slow(runs, models, around, method, metric, noise=None):
    """One ``rdm`` and one ``compare`` a sphere."""
    columns = []
    for sphere in around:
        options = {} if noise is None else {"noise": rsa.noise_precision(noise[:, sphere])}
        rdm = rsa.rdm(runs.isel(neuroid=sphere), metric, **options)
        columns.append(rsa.compare(models, rdm, method).values[:, 0])
    return np.array(columns).T


# Cross-validated correlation


@pytest.mark.parametrize("method", ["spearman", "pearson", "rho-a", "tau-a"])
def test_cross_validated_correlation_is_that_of_rdm_and_compare(runs, models, method):
    strong = runs + 3 * runs.mean("run")
    found = rsa.searchlight(strong, models, radius=3, metric="correlation-cv", method=method)
    expected = slow(strong, models, spheres(PLACES, 3), method, "correlation-cv")
    np.testing.assert_allclose(found, expected, atol=1e-10)
    assert np.isfinite(expected).all()


def test_a_variance_between_runs_that_is_negative_leaves_pairs_out_and_is_counted(rng, models, runs):
    noise = runs.copy(data=rng.standard_normal(runs.shape))
    found = rsa.searchlight(noise, models, radius=2, metric="correlation-cv", method="pearson")
    expected = slow(noise, models, spheres(PLACES, 2), "pearson", "correlation-cv")
    np.testing.assert_allclose(found, expected, atol=1e-10)
    assert found.attrs["n_partial"] > 0
    assert found.attrs["n_undefined"] == np.isnan(expected).sum()


def test_runs_may_be_a_dim_or_a_coordinate_of_presentations(runs, models, residuals):
    flat = runs.stack(presentation=("run", "stimulus"), create_index=False)
    mixed = flat.isel(presentation=np.random.default_rng(1).permutation(flat.sizes["presentation"]))
    for metric, noise in (("correlation-cv", None), ("crossnobis", residuals)):
        options = {"radius": 3, "metric": metric, "method": "pearson", "noise": noise}
        np.testing.assert_allclose(
            rsa.searchlight(mixed, models, **options), rsa.searchlight(runs, models, **options), atol=1e-10
        )


def test_spheres_at_the_edge_hold_fewer_voxels_and_small_ones_are_nan(runs, models):
    found = rsa.searchlight(runs, models, radius=2, metric="crossnobis", min_neuroids=6)
    sizes = np.array([len(sphere) for sphere in spheres(PLACES, 2)])
    assert found.n_neuroids.values.tolist() == sizes.tolist() and len(set(sizes.tolist())) > 2
    np.testing.assert_array_equal(np.isnan(found.values), np.tile(sizes < 6, (2, 1)))
    assert found.attrs["n_undefined"] == 2 * (sizes < 6).sum() > 0


# Permutation tests


def slow_tests(score, n, draw, rng):
    """Observed scores and a null by hand; a draw that is undefined counts as extreme."""
    observed = score(None)
    null = np.stack([score(draw(rng)) for _ in range(n)])
    p = (1 + (~(null < observed - 1e-12)).sum(axis=0)) / (1 + n)
    largest = null.max(axis=2)
    p_max = (1 + (~(largest[:, :, None] < observed - 1e-12)).sum(axis=0)) / (1 + n)
    return observed, p, p_max


@pytest.mark.parametrize(
    ("metric", "method"), [("correlation", "spearman"), ("crossnobis", "cosine"), ("euclidean", "tau-a")]
)
def test_permuted_stimuli_are_those_of_the_models_put_in_another_order(runs, models, metric, method):
    x = runs if metric == "crossnobis" else runs.mean("run")
    around = spheres(PLACES, 3)
    found = rsa.searchlight_tests(
        x, models, radius=3, metric=metric, method=method, n=19, rng=np.random.default_rng(5)
    )

    def score(order):
        moved = models if order is None else make_rdm(_moved(models.values, order), STIMULI, dims=["model"])
        return rsa.searchlight(x, moved, neighbours=around, metric=metric, method=method).values

    observed, p, p_max = slow_tests(
        score, 19, lambda rng: rng.permutation(N_STIMULI), np.random.default_rng(5)
    )
    np.testing.assert_allclose(found["score"], observed, atol=1e-10)
    np.testing.assert_allclose(found["p"], p, atol=1e-12)
    np.testing.assert_allclose(found["p_max"], p_max, atol=1e-12)


def _moved(rows, order):
    a, b = np.triu_indices(N_STIMULI, 1)
    full = np.zeros((len(rows), N_STIMULI, N_STIMULI))
    full[:, a, b] = full[:, b, a] = rows
    return full[:, order[a], order[b]]


@pytest.mark.parametrize("metric", ["crossnobis", "correlation-cv"])
def test_labels_permuted_within_folds_are_new_responses(runs, models, residuals, metric):
    strong = runs + 2 * runs.mean("run")
    noise = residuals if metric == "crossnobis" else None
    options = {"metric": metric, "method": "pearson", "noise": noise}
    found = rsa.searchlight_tests(
        strong, models, radius=3, permute="within folds", n=9, rng=np.random.default_rng(5), **options
    )

    def score(order):
        x = strong.values.reshape(N_RUNS * N_STIMULI, -1)
        x = x if order is None else x[order]
        return rsa.searchlight(strong.copy(data=x.reshape(strong.shape)), models, radius=3, **options).values

    def draw(rng):
        return np.concatenate([f * N_STIMULI + rng.permutation(N_STIMULI) for f in range(N_RUNS)])

    observed, p, p_max = slow_tests(score, 9, draw, np.random.default_rng(5))
    np.testing.assert_allclose(found["score"], observed, atol=1e-10)
    np.testing.assert_allclose(found["p"], p, atol=1e-12)
    np.testing.assert_allclose(found["p_max"], p_max, atol=1e-12)


@pytest.mark.parametrize("permute", ["stimuli", "within folds"])
def test_chunks_change_no_p(runs, models, permute):
    options = {"radius": 3, "metric": "crossnobis", "n": 19, "permute": permute}
    whole = rsa.searchlight_tests(runs, models, rng=np.random.default_rng(1), **options)
    parts = rsa.searchlight_tests(runs, models, rng=np.random.default_rng(1), chunk=3, **options)
    for name in ("p", "p_max", "p_fdr"):
        np.testing.assert_allclose(parts[name], whole[name], atol=1e-12)
    assert parts.attrs["threshold"] == pytest.approx(whole.attrs["threshold"])


def test_the_threshold_is_where_the_corrected_p_reaches_05(runs, models):
    found = rsa.searchlight_tests(
        runs, models, radius=3, metric="crossnobis", n=59, rng=np.random.default_rng(1)
    )
    for i, threshold in enumerate(found.attrs["threshold"]):
        above = found["score"].values[i] > threshold + 1e-12
        np.testing.assert_array_equal(above, found["p_max"].values[i] <= 0.05)
    few = rsa.searchlight_tests(
        runs, models, radius=3, metric="crossnobis", n=9, rng=np.random.default_rng(1)
    )
    assert few.attrs["threshold"] == [np.inf, np.inf]


def test_a_planted_region_is_found_and_little_else():
    kinds = xr.DataArray(
        np.repeat(np.eye(3), 4, axis=0), dims=("stimulus", "feature"), coords={"stimulus": np.arange(12)}
    )
    places = datasets.volume_places((8, 8, 6), voxel=3.0)
    found = datasets.planted(
        places,
        {"here": kinds},
        regions={"here": ((4.5, 4.5, 1.5), 6.0)},
        snr=0.5,
        smoothing=5.0,
        n_residuals=150,
        rng=3,
    )
    model = rsa.rdm(kinds.rename(feature="unit"), "euclidean")
    tests = rsa.searchlight_tests(
        found["responses"],
        model,
        radius=5,
        metric="crossnobis",
        noise=found["residuals"],
        n=199,
        rng=np.random.default_rng(0),
    )
    inside = found["roi"].values == "here"
    significant = tests["p_max"].values < 0.05
    assert significant[inside].mean() > 0.8
    # A sphere outside may reach into the region: what lies farther off than the radius may not be found.
    reached = np.array([inside[sphere].any() for sphere in spheres(places, 5)])
    assert not significant[~reached].any()
    assert (tests["p_fdr"].values[inside] < 0.05).all()


def test_tests_of_a_large_map_hold_one_block_at_a_time(rng):
    n, n_stimuli, n_draws = 3000, 12, 200
    x = xr.DataArray(
        rng.standard_normal((n_stimuli, n)),
        dims=("stimulus", "neuroid"),
        coords={"stimulus": range(n_stimuli)},
    )
    model = make_rdm(rng.random(66), np.arange(n_stimuli))
    around = [np.arange(i, i + 10) % n for i in range(n)]
    around = [np.sort(sphere) for sphere in around]
    tracemalloc.start()
    rsa.searchlight_tests(x, model, neighbours=around, n=n_draws, rng=rng, chunk=100)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # All draws of all spheres would be 4.8 MB; lists of neighbours, tables and results are what is left.
    assert peak < 4.5e6


# Reliability


@pytest.mark.parametrize("metric", ["crossnobis", "correlation"])
@pytest.mark.parametrize("method", ["pearson", "spearman", "cosine"])
def test_reliability_is_that_of_the_rdms_of_two_halves(runs, metric, method):
    found = rsa.searchlight_reliability(runs, radius=3, metric=metric, method=method)
    for i, sphere in enumerate(spheres(PLACES, 3)):
        halves = [runs.isel(run=half, neuroid=sphere) for half in ([0, 2], [1, 3])]
        rdms = [rsa.rdm(half if metric == "crossnobis" else half.mean("run"), metric) for half in halves]
        r = rsa.compare(*rdms, method).item()
        assert found["r"].values[i] == pytest.approx(r, abs=1e-10)
        assert found["reliability"].values[i] == pytest.approx(2 * r / (1 + r), abs=1e-10)
    assert found.attrs["n_negative"] == (found["r"] < 0).sum()
    np.testing.assert_array_equal(np.isnan(found["ceiling"]), found["reliability"] < 0)


def test_reliability_is_the_same_from_presentations_in_any_order(runs):
    flat = runs.stack(presentation=("run", "stimulus"), create_index=False)
    # Other first stimuli in every run, so that either half meets them in an order of its own.
    mixed = flat.isel(presentation=np.concatenate([7 * f + np.roll(np.arange(7), f) for f in range(4)]))
    for metric in ("crossnobis", "correlation"):
        one, other = (rsa.searchlight_reliability(x, radius=3, metric=metric)["r"] for x in (runs, mixed))
        np.testing.assert_allclose(one, other, atol=1e-10)


@pytest.mark.parametrize(("sd", "least"), [(1.0, -0.02), (2.0, 0.02)])
def test_the_true_rdm_reaches_the_ceiling_and_with_much_noise_more(rng, sd, least):
    n_runs, n_neuroids = 8, 40
    signal = rng.standard_normal((10, n_neuroids))
    true = make_rdm(_sqeuclidean(signal), np.arange(10))
    options = {"neighbours": [np.arange(n_neuroids)] + [np.empty(0, int)] * (n_neuroids - 1)}
    options |= {"metric": "crossnobis", "method": "pearson"}
    reached, reliability = [], []
    for _ in range(20):
        noisy = signal + sd * rng.standard_normal((n_runs, 10, n_neuroids))
        x = xr.DataArray(noisy, dims=("run", "stimulus", "neuroid"), coords={"stimulus": np.arange(10)})
        reached.append(rsa.searchlight(x, true, **options).values[0])
        found = rsa.searchlight_reliability(x, **options, n_splits=4, rng=rng)
        reliability.append(found["reliability"].values[0])
    beyond = np.mean(reached) - np.sqrt(np.mean(reliability))
    assert least < beyond < least + 0.12


def _sqeuclidean(x):
    a, b = np.triu_indices(len(x), 1)
    return ((x[a] - x[b]) ** 2).sum(axis=1)


# Neighbours


def test_the_nearest_are_those_of_a_full_sort(rng):
    places = rng.uniform(0, 10, (50, 3))
    distance = np.linalg.norm(places[:, None] - places, axis=-1)
    for i, found in enumerate(nearest_neighbours(places, 7)):
        assert found.tolist() == np.sort(np.argsort(distance[i], kind="stable")[:7]).tolist()


def test_of_equal_distances_the_lower_positions_are_taken():
    line = np.array([[float(i), 0, 0] for i in range(5)])
    assert [found.tolist() for found in nearest_neighbours(line, 2)] == [
        [0, 1],
        [0, 1],
        [1, 2],
        [2, 3],
        [3, 4],
    ]
    edges = np.array([[i, i + 1] for i in range(4)])
    on_mesh = surface_neighbours(edges, nearest=2, xyz=line)
    assert [found.tolist() for found in on_mesh] == [[0, 1], [0, 1], [1, 2], [2, 3], [3, 4]]


def test_the_nearest_on_a_mesh_are_by_distance_along_edges(rng):
    places, faces = rng.uniform(0, 5, (40, 3)), rng.integers(0, 40, (45, 3))
    distance = np.full((40, 40), np.inf)
    np.fill_diagonal(distance, 0)
    for face in faces:
        for a, b in ((0, 1), (1, 2), (2, 0)):
            if a != b:
                length = np.linalg.norm(places[face[a]] - places[face[b]])
                distance[face[a], face[b]] = distance[face[b], face[a]] = length
    np.fill_diagonal(distance, 0)
    for k in range(40):
        distance = np.minimum(distance, distance[:, k, None] + distance[k])
    for i, found in enumerate(surface_neighbours(faces, nearest=6, xyz=places)):
        n = min(6, int(np.isfinite(distance[i]).sum()))
        assert found.tolist() == np.sort(np.argsort(distance[i], kind="stable")[:n]).tolist()


def test_a_surface_searchlight_goes_to_gifti_and_back(tmp_path, rng):
    import nibabel as nib

    # An icosahedron: every vertex has five neighbours.
    phi = (1 + 5**0.5) / 2
    xyz = np.array([[0, s, t * phi] for s in (-1, 1) for t in (-1, 1)])
    xyz = np.concatenate([xyz, xyz[:, [1, 2, 0]], xyz[:, [2, 0, 1]]])
    distance = np.linalg.norm(xyz[:, None] - xyz, axis=-1)
    edges = np.argwhere(np.isclose(distance, 2.0))
    around = surface_neighbours(edges, rings=1)
    assert {len(sphere) for sphere in around} == {6}
    x = xr.DataArray(
        rng.standard_normal((4, N_STIMULI, 12)),
        dims=("run", "stimulus", "neuroid"),
        coords={"stimulus": STIMULI, "vertex": ("neuroid", np.arange(12))},
    )
    model = make_rdm(rng.random(21), STIMULI)
    found = rsa.searchlight(x, model, neighbours=around, metric="crossnobis")
    np.testing.assert_allclose(
        found, slow(x, model.expand_dims("model"), around, "spearman", "crossnobis")[0], atol=1e-10
    )
    path = io.save_gifti(found, tmp_path / "map.func.gii", hemisphere="left", n_vertices=12)[0]
    image = nib.load(path)
    np.testing.assert_array_equal(image.darrays[0].data, found.values.astype(np.float32))
    assert image.meta["AnatomicalStructurePrimary"] == "CortexLeft"
    assert image.darrays[0].meta["Name"] == "similarity"


# Maps of subjects


def slow_map_tests(values):
    n = len(values)
    signs = np.array([[1 - 2 * (i >> s & 1) for s in range(n)] for i in range(2**n)])
    t = []
    for row in signs:
        flipped = values * row[:, None]
        t.append(flipped.mean(axis=0) / (flipped.std(axis=0, ddof=1) / np.sqrt(n)))
    t = np.array(t)
    p = (t >= t[0] - 1e-9).mean(axis=0)
    p_max = (t.max(axis=1)[:, None] >= t[0] - 1e-9).mean(axis=0)
    return t[0], p, p_max


def test_maps_of_subjects_are_tested_by_all_flips_of_whole_maps(rng, monkeypatch):
    values = rng.standard_normal((7, 9)) + np.r_[1.5, np.zeros(8)]
    maps = xr.DataArray(values + 0.25, dims=("subject", "neuroid"), coords={"subject": list("abcdefg")})
    t, p, p_max = slow_map_tests(values)
    for held in (10**6, 200):
        monkeypatch.setattr("neuroalign.stats.maps.N_HELD", held)
        found = stats.map_tests(maps, chance=0.25)
        np.testing.assert_allclose(found["t"], t, atol=1e-10)
        np.testing.assert_allclose(found["p"], p, atol=1e-12)
        np.testing.assert_allclose(found["p_max"], p_max, atol=1e-12)
    means = stats.map_tests(maps, chance=0.25, statistic="mean")
    np.testing.assert_allclose(means["p"], p, atol=1e-12)
    np.testing.assert_allclose(means["mean"], values.mean(axis=0), atol=1e-12)


def test_two_maps_are_two_families_and_missing_subjects_are_counted(rng):
    values = rng.standard_normal((6, 2, 5))
    values[2, 0, 3] = np.nan
    values[:5, 1, 4] = np.nan
    maps = xr.DataArray(
        values, dims=("subject", "model", "neuroid"), coords={"subject": range(6), "model": ["a", "b"]}
    )
    found = stats.map_tests(maps)
    assert found["p_max"].dims == ("model", "neuroid")
    assert found["n_subjects"].values[0, 3] == 5 and np.isnan(found["p"].values[1, 4])
    assert found.attrs["n_undefined"] == 1
    alone = stats.map_tests(maps.sel(model="a"))
    np.testing.assert_allclose(alone["p_max"], found["p_max"].sel(model="a"), atol=1e-12)


def test_many_subjects_need_draws_and_blocks_see_the_same(rng, monkeypatch):
    maps = xr.DataArray(
        rng.standard_normal((14, 6)), dims=("subject", "neuroid"), coords={"subject": range(14)}
    )
    with pytest.raises(InvalidValueError, match="pass n, how many are drawn, and rng"):
        stats.map_tests(maps)
    whole = stats.map_tests(maps, n=99, rng=np.random.default_rng(2))
    monkeypatch.setattr("neuroalign.stats.maps.N_HELD", 200)
    parts = stats.map_tests(maps, n=99, rng=np.random.default_rng(2))
    np.testing.assert_allclose(parts["p_max"], whole["p_max"], atol=1e-12)


# What is refused


def test_wrong_arguments_are_refused_with_what_came(runs, models, rng):
    tests = {"n": 9, "rng": rng, "radius": 3.0}
    with pytest.raises(
        InvalidValueError, match="permute must be one of 'stimuli', 'within folds'; got 'runs'"
    ):
        rsa.searchlight_tests(runs, models, metric="crossnobis", permute="runs", **tests)
    with pytest.raises(InvalidValueError, match="belongs to the metrics crossnobis, correlation-cv; got"):
        rsa.searchlight_tests(runs.mean("run"), models, permute="within folds", **tests)
    with pytest.raises(ShapeError, match="no sphere has at least 99 neuroids"):
        rsa.searchlight_tests(runs, models, metric="crossnobis", min_neuroids=99, **tests)
    with pytest.raises(InvalidValueError, match="n must be a positive integer; got 0"):
        rsa.searchlight_tests(runs, models, metric="crossnobis", **(tests | {"n": 0}))
    with pytest.raises(InvalidValueError, match="tail must be one of"):
        rsa.searchlight_tests(runs, models, metric="crossnobis", tail="upper", **tests)
    with pytest.raises(InvalidValueError, match="method must be one of 'cosine', 'pearson', 'spearman'"):
        rsa.searchlight_reliability(runs, radius=3, method="tau-a")
    with pytest.raises(ShapeError, match="two halves need at least 4 folds; got 3"):
        rsa.searchlight_reliability(runs[:3], radius=3, metric="crossnobis")
    with pytest.raises(LabelError, match="neither a dim nor a coordinate 'session'"):
        rsa.searchlight_reliability(runs, radius=3, folds="session")
    with pytest.raises(InvalidValueError, match=r"random halves need a numpy\.random\.Generator"):
        rsa.searchlight_reliability(runs, radius=3, n_splits=5)
    with pytest.raises(InvalidValueError, match=f"an integer from 1 to {N}; got 0"):
        nearest_neighbours(PLACES, 0)
    with pytest.raises(ShapeError, match="nearest: distances along edges need xyz"):
        surface_neighbours([[0, 1, 2]], nearest=2)
    with pytest.raises(ShapeError, match="dims 'subject' and 'neuroid'"):
        stats.map_tests(runs)
    with pytest.raises(InvalidValueError, match="statistic must be one of 't', 'mean'"):
        stats.map_tests(runs.mean("stimulus"), over="run", statistic="z")
    with pytest.raises(ShapeError, match="at least 2 of 'run'; got 1"):
        stats.map_tests(runs.mean("stimulus")[:1], over="run")
    with pytest.raises(ShapeError, match="at least one block"):
        stats.block_tests([], 3, n=9, permute=lambda rng: rng.permutation(3), rng=rng)


def test_reliability_leaves_out_pairs_that_a_half_does_not_define(runs, rng):
    noise = runs.copy(data=rng.standard_normal(runs.shape))
    halves = [noise.isel(run=[0, 2]), noise.isel(run=[1, 3])]
    around = spheres(PLACES, 2)
    expected = []
    for sphere in around:
        rows = [rsa.rdm(half.isel(neuroid=sphere), "correlation-cv") for half in halves]
        expected.append(rsa.compare(rows[0], rows[1], "spearman").item())
    found = rsa.searchlight_reliability(noise, radius=2, metric="correlation-cv", method="spearman")
    assert 0 < np.isnan(expected).sum() < len(around)
    np.testing.assert_allclose(found["r"], expected, atol=1e-10)

"""All measures alike: invariances, labels, bad input; tables; tests against chance."""

from __future__ import annotations

import subprocess
import sys
import warnings

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroalign import similarity
from neuroalign.errors import InvalidValueError, LabelError, ShapeError
from neuroalign.similarity import DISTANCES, MEASURES
from neuroalign.similarity.measures import OF_UNITS, ONE_WAY, UNCENTRED

NAMES = list(MEASURES)
LINEAR = ("cca", "cca-r2", "shape-whitened")
WITH_K = ("mutual-knn", "jaccard", "second-order-cosine", "cknna")
SCALED = ("bures-distance", "soft-matching-distance")


def related(n=30, d=5, e=4, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, d)) * np.linspace(1, 2, d) + 0.5
    return x, x @ rng.standard_normal((d, e)) + rng.standard_normal((n, e))


def labelled(x, dims=("stimulus", "unit")):
    return xr.DataArray(x, dims=dims, coords={"stimulus": [f"s{i:03}" for i in range(len(x))]})


def value(name, x, y):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", similarity.DegenerateWarning)
        return float(MEASURES[name](x, y, **({"k": 4} if name in WITH_K else {})))


seeds = st.integers(0, 2**32 - 1)
law = settings(max_examples=4, deadline=None)


@pytest.mark.parametrize("name", NAMES)
@law
@given(seed=seeds)
def test_permuting_units_and_stimuli_changes_nothing(name, seed):
    rng = np.random.default_rng(seed)
    x, y = related(seed=seed)
    before = value(name, labelled(x), labelled(y))
    moved = labelled(x[:, rng.permutation(5)]).isel(stimulus=rng.permutation(30))
    assert value(name, moved, labelled(y)) == pytest.approx(before, abs=1e-9)
    assert value(name, labelled(x), labelled(y).isel(stimulus=rng.permutation(30))) == pytest.approx(
        before, abs=1e-9
    )


@pytest.mark.parametrize("name", [name for name in NAMES if name not in OF_UNITS])
@law
@given(seed=seeds)
def test_rotating_units_changes_nothing(name, seed):
    rng = np.random.default_rng(seed)
    x, y = related(seed=seed)
    turn = np.linalg.qr(rng.standard_normal((5, 5)))[0]
    assert value(name, x @ turn, y) == pytest.approx(value(name, x, y), abs=1e-9)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in (*SCALED, "shape-half")])
@law
@given(seed=seeds, scale=st.sampled_from([1e-3, 7.0, 1e4]))
def test_one_scale_for_all_units_changes_nothing(name, seed, scale):
    x, y = related(seed=seed)
    assert value(name, scale * x, y) == pytest.approx(value(name, x, y), abs=1e-9)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in UNCENTRED])
@law
@given(seed=seeds)
def test_an_offset_of_every_unit_changes_nothing(name, seed):
    x, y = related(seed=seed)
    offset = np.random.default_rng(seed).uniform(-100, 100, 5)
    assert value(name, x + offset, y) == pytest.approx(value(name, x, y), abs=1e-8)


@pytest.mark.parametrize("name", LINEAR)
@law
@given(seed=seeds)
def test_invertible_linear_maps_change_no_cca(name, seed):
    x, y = related(seed=seed)
    mixed = x @ (np.eye(5) + 0.3 * np.random.default_rng(seed).standard_normal((5, 5)))
    assert value(name, mixed, y) == pytest.approx(value(name, x, y), abs=1e-6)


def test_the_scale_decides_how_much_an_alpha_between_whitens():
    x, y = related()
    far = [similarity.shape_distance(scale * x, y, alpha=0.5) for scale in (1e-6, 1.0, 1e6)]
    assert max(map(float, far)) - min(map(float, far)) > 0.01


def test_linear_maps_change_what_they_should():
    x, y = related()
    mixed = x * [1.0, 10.0, 100.0, 1.0, 1.0]
    for name in ("cka", "procrustes", "mutual-knn", "procrustes-angular", "shape-half"):
        assert abs(value(name, mixed, y) - value(name, x, y)) > 0.01


@pytest.mark.parametrize("name", NAMES)
def test_a_representation_is_most_alike_to_itself(name):
    x, _ = related()
    best = 0.0 if name in DISTANCES else 1.0
    assert value(name, x, x) == pytest.approx(best, abs=1e-3 if name.startswith("predict") else 1e-9)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ONE_WAY])
def test_changing_places_changes_nothing(name):
    x, y = related()
    assert value(name, x, y) == pytest.approx(value(name, y, x), abs=1e-9)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in OF_UNITS])
def test_more_units_than_stimuli_are_as_good_as_their_gram_matrix(name):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((12, 40)), rng.standard_normal((12, 30))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", similarity.DegenerateWarning)
        table = similarity.compare([x], [y], name, **({"k": 4} if name in WITH_K else {}))
    assert table.item() == pytest.approx(value(name, x, y), abs=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_a_constant_representation_is_undefined_and_counted(name):
    x, y = related()
    flat = np.tile([0.1, 0.0, 3.0], (30, 1))
    if name in ("alignment", *SCALED):
        assert np.isfinite(value(name, flat, y))
        return
    options = {"k": 4} if name in WITH_K else {}
    found = MEASURES[name](x, flat, **options)
    assert np.isnan(found) and found.attrs["n_undefined"] == 1 and found.attrs["n_constant_y"] == 3


@pytest.mark.parametrize("name", [name for name in NAMES if name not in UNCENTRED and "matching" not in name])
def test_dead_units_change_nothing_and_are_counted(name):
    x, y = related()
    dead = np.column_stack([x, np.zeros(30), np.full(30, 0.1)])
    # Ridge penalties are relative to the mean over all components, so dead units move the grid.
    near = 0.05 if name.startswith("predictivity") else 1e-9
    assert value(name, dead, y) == pytest.approx(value(name, x, y), abs=near)
    assert MEASURES[name](dead, y).attrs["n_constant_x"] == 2


@pytest.mark.parametrize("name", NAMES)
def test_bad_input_is_refused_with_its_place(name):
    x, y = related()
    measure = MEASURES[name]
    bad = x.copy()
    bad[3, 2] = np.nan
    with pytest.raises(InvalidValueError, match=r"x must be finite; 1 of 150 .* at position \(3, 2\)"):
        measure(bad, y)
    with pytest.raises(ShapeError, match="same stimuli; got 30 and 29"):
        measure(x, y[:-1])
    with pytest.raises(ShapeError, match=r"has 1 stimuli; at least"):
        measure(x[:1], y[:1])
    with pytest.raises(ShapeError, match=r"has 2 stimuli; at least"):
        measure(x[:2], y[:2])
    with pytest.raises(ShapeError, match="y has no units"):
        measure(x, y[:, :0])
    with pytest.raises(ShapeError, match="y has no stimulus labels and the other has"):
        measure(labelled(x), y)
    with pytest.raises(LabelError, match="1 of 30 labels of 'stimulus' are not in y"):
        measure(labelled(x), labelled(y).isel(stimulus=slice(1, None)))
    with pytest.raises(ShapeError, match="must have 2 dimension"):
        measure(x[0], y)
    with pytest.raises(InvalidValueError, match="must be real numbers"):
        measure(x.astype(complex), y)


@pytest.mark.parametrize("name", NAMES)
def test_inputs_are_not_edited_and_integers_and_float32_are_taken(name):
    rng = np.random.default_rng(0)
    x, y = rng.integers(-5, 6, (2, 20, 4))
    x.flags.writeable = y.flags.writeable = False
    other = value(name, x.astype(np.float32), np.asfortranarray(y, dtype=np.float64))
    assert value(name, x, y) == pytest.approx(other, abs=1e-12)


def test_a_dim_of_neuroids_and_other_orders_of_dims_are_taken():
    x, y = related()
    responses = labelled(y, ("stimulus", "neuroid"))
    assert float(similarity.cka(labelled(x), responses.T)) == float(similarity.cka(x, y))
    with pytest.raises(ShapeError, match="x must have a dim 'stimulus'"):
        similarity.cka(xr.DataArray(x, dims=("a", "b")), labelled(y))
    with pytest.raises(LabelError, match="no labels along 'stimulus'"):
        similarity.cka(xr.DataArray(x, dims=("stimulus", "b")), labelled(y))


def test_tables_have_the_names_of_both_sides():
    x, y = related()
    layers = {"low": labelled(x), "high": labelled(y).isel(stimulus=slice(None, None, -1))}
    table = similarity.compare(layers, [labelled(y)], "procrustes")
    assert table.dims == ("x", "y") and table["x"].values.tolist() == ["low", "high"]
    assert np.allclose(table.values[:, 0], [float(similarity.procrustes(x, y)), 1.0])
    own = similarity.compare(xr.Dataset({"low": labelled(x), "high": labelled(y, ("stimulus", "other"))}))
    assert np.allclose(own, own.T) and np.allclose(np.diag(own), 1) and own.attrs["measure"] == "cka"
    assert own.attrs["n_stimuli"] == 30 and own.attrs["n_undefined"] == 0


def test_one_way_tables_are_not_mirrored():
    x, y = related()
    table = similarity.compare([x, y], measure="predictivity")
    assert table.values[0, 1] == pytest.approx(float(similarity.linear_predictivity(x, y)), abs=1e-9)
    assert table.values[1, 0] == pytest.approx(float(similarity.linear_predictivity(y, x)), abs=1e-9)
    own = similarity.compare([x, y], measure=lambda a, b: a.sum() - b.sum())
    assert own.values[0, 1] == pytest.approx(-own.values[1, 0]) and own.attrs["measure"] == "<lambda>"


def test_tables_keep_shared_stimuli_only_where_asked():
    x, y = related()
    short = labelled(y).isel(stimulus=slice(5, None))
    with pytest.raises(LabelError, match='how="inner"'):
        similarity.compare([labelled(x)], [short])
    table = similarity.compare([labelled(x)], [short], how="inner")
    assert table.attrs["n_stimuli"] == 25
    assert table.item() == pytest.approx(float(similarity.cka(x[5:], y[5:])), abs=1e-12)


def test_tables_count_what_is_degenerate_and_undefined():
    x, y = np.random.default_rng(0).standard_normal((2, 8, 9))
    with pytest.warns(similarity.DegenerateWarning, match="1 of 2 comparisons: cca: 7 of 7"):
        table = similarity.compare([x], [y, np.ones((8, 2))], "cca")
    assert table.attrs["n_degenerate"] == 1 and table.attrs["n_undefined"] == 1


def test_wrong_tables_are_refused():
    x, _ = related()
    with pytest.raises(InvalidValueError, match="measure must be one of 'cka', 'cka-unbiased'"):
        similarity.compare([x], measure="CKA")
    with pytest.raises(ShapeError, match="xs holds no representation"):
        similarity.compare({})
    with pytest.raises(ShapeError, match="mapping of names to arrays"):
        similarity.compare(x)
    with pytest.raises(ShapeError, match=r"some have not \(positions 1\)"):
        similarity.compare([labelled(x), x])
    with pytest.raises(ShapeError, match="same stimuli; got 29, 30 of them"):
        similarity.compare([x, x[1:]])


def test_a_relation_is_found_and_has_its_baselines():
    rng = np.random.default_rng(0)
    x, y = related(40)
    found = similarity.test(x, y, n=99, rng=rng, untrained=rng.standard_normal((40, 6)))
    assert float(found["p"]) == 0.01
    assert float(found["estimate"]) == pytest.approx(float(similarity.cka(x, y)), abs=1e-12)
    assert float(found["shuffled"]) == pytest.approx(float(found["null"].mean()))
    assert float(found["shuffled"]) < 0.3
    assert float(found["gain"]) == pytest.approx(float(found["estimate"] - found["untrained"]))
    assert float(found["gain_lower"]) > 0
    assert found.attrs["n_undefined_draws"] == 0 and found.attrs["tail"] == "greater"


def test_distances_are_tested_at_the_lower_end():
    x, y = related(40)
    found = similarity.test(x, y, "procrustes-angular", n=49, rng=np.random.default_rng(0))
    assert float(found["p"]) == 0.02 and found.attrs["tail"] == "less"
    own = similarity.test(
        x,
        y,
        lambda a, b: float(similarity.shape_distance(a, b)),
        n=49,
        rng=np.random.default_rng(0),
        distance=True,
    )
    assert np.allclose(own["null"], found["null"], atol=1e-9)


def test_a_test_depends_on_labels_and_seed_only():
    x, y = related()
    order = np.random.default_rng(1).permutation(30)
    twin = labelled(x[:, ::-1] ** 2)
    first, second = (
        similarity.test(
            labelled(x),
            other,
            "procrustes",
            n=19,
            rng=np.random.default_rng(0),
            untrained=twin.isel(stimulus=order),
        )
        for other in (labelled(y), labelled(y).isel(stimulus=order))
    )
    xr.testing.assert_equal(first, second)


def test_copies_of_stimuli_lift_a_plain_bootstrap():
    x, y = np.random.default_rng(0).standard_normal((2, 40, 5))
    for name, options in (("mutual-knn", {"k": 3}), ("cka", {})):
        plain = similarity.test(x, y, name, n=60, rng=np.random.default_rng(0), repeats="keep", **options)
        assert plain["lower"] > plain["estimate"] * 0.95
        found = similarity.test(x, y, name, n=60, rng=np.random.default_rng(0), **options)
        assert found["lower"] < found["estimate"] < found["upper"]


@pytest.mark.slow
def test_intervals_without_copies_hold_the_population_value():
    rng = np.random.default_rng(1)
    mix = rng.standard_normal((4, 4))

    def draw(n):
        x = rng.standard_normal((n, 4))
        return x, x @ mix + 1.5 * rng.standard_normal((n, 4))

    truth, held = float(similarity.cka(*draw(100_000))), {"drop": 0, "keep": 0}
    for _ in range(60):
        x, y = draw(60)
        for repeats in held:
            found = similarity.test(x, y, "cka-unbiased", n=100, rng=rng, repeats=repeats)
            held[repeats] += bool(found["lower"] <= truth <= found["upper"])
    assert held["drop"] >= 53  # of 60; 57 expected


def test_draws_with_too_few_stimuli_are_counted():
    x, y = related(12)
    found = similarity.test(x, y, "mutual-knn", n=60, rng=np.random.default_rng(0), k=8)
    assert 0 < found.attrs["n_undefined_draws"] < 60


def test_wrong_tests_are_refused():
    x, y = related()
    rng = np.random.default_rng(0)
    with pytest.raises(InvalidValueError, match="repeats must be one of 'drop', 'keep'"):
        similarity.test(x, y, n=9, rng=rng, repeats="no")
    with pytest.raises(InvalidValueError, match="level must be between 0 and 1"):
        similarity.test(x, y, n=9, rng=rng, level=95)
    with pytest.raises(InvalidValueError, match="rng must be a numpy"):
        similarity.test(x, y, n=9, rng=0)
    with pytest.raises(ShapeError, match="got 30 in x, 30 in y, 29 in untrained"):
        similarity.test(x, y, n=9, rng=rng, untrained=x[1:])
    with pytest.raises(ShapeError, match="all have stimulus labels, or none"):
        similarity.test(x, y, n=9, rng=rng, untrained=labelled(x))


@pytest.mark.parametrize("name", ["cka", "mutual-knn", "procrustes-angular"])
def test_unrelated_representations_are_rarely_significant(name):
    rng = np.random.default_rng(0)
    options = {"k": 3} if name in WITH_K else {}
    p = [
        float(similarity.test(*rng.standard_normal((2, 12, 3)), name, n=19, rng=rng, **options)["p"])
        for _ in range(60)
    ]
    assert np.mean(np.array(p) <= 0.05) <= 0.13  # 0.05 expected; the 99.5th percentile of 60 trials


def test_importing_the_room_loads_no_heavy_package():
    heavy = ("torch", "sklearn", "matplotlib")
    code = f"import neuroalign.similarity, sys; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

"""AGTDM: a slow map, plain distance correlation by peers' formula, null, power, what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy.spatial.distance import cdist
from scipy.stats import kstest, rankdata

from neuroalign.errors import InvalidValueError, LabelError, ShapeError
from neuroalign.rsa import topology


def make(values, labels=None):
    values = np.asarray(values, dtype=float)
    dims = ("stimulus", "unit")[: values.ndim]
    return xr.DataArray(values, dims=dims, coords={"stimulus": labels or list(range(len(values)))})


def u_centred(full):
    """Székely & Rizzo 2014, equation 2.5, entry by entry."""
    n = len(full)
    out = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            if i != j:
                out[i, j] = full[i, j] - full[i].sum() / (n - 2) - full[:, j].sum() / (n - 2)
                out[i, j] += full.sum() / ((n - 1) * (n - 2))
    return out


def r_star(a, b):
    a, b = u_centred(a), u_centred(b)
    return np.sum(a * b) / np.sqrt(np.sum(a * a) * np.sum(b * b))


def graded(full, lower, upper):
    upper_triangle = np.triu_indices(len(full), 1)
    ranks = rankdata(full[upper_triangle].round(12))
    ranks = (ranks - ranks.min()) / np.ptp(ranks)
    low, high = np.quantile(ranks, [lower, upper])
    if high - low < 1e-9:
        row = (ranks > low + 1e-9).astype(float)
    else:
        row = np.clip((ranks - low) / (high - low), 0, 1)
    out = np.zeros(full.shape)
    out[upper_triangle] = row
    return out + out.T


@pytest.mark.parametrize("shape", [(), (3,)])
@pytest.mark.parametrize("n_thresholds", [2, 4])
def test_the_map_is_the_slow_one(rng, shape, n_thresholds):
    x, y = rng.standard_normal((12, *shape)), rng.standard_normal((12, 2))
    found = topology.agtdm(make(x), make(y), n_thresholds=n_thresholds)
    distances = [cdist(v.reshape(12, -1), v.reshape(12, -1)) for v in (x, y)]
    cells = list(zip(found["lower_x"].values, found["upper_x"].values, strict=True))
    expected = [[r_star(graded(distances[0], *c), graded(distances[1], *d)) for d in cells] for c in cells]
    np.testing.assert_allclose(found["map"], expected, atol=1e-10)
    assert float(found["statistic"]) == pytest.approx(np.max(expected))
    assert float(found["map"][int(found["best_x"]), int(found["best_y"])]) == float(found["statistic"])
    assert float(found["distance_correlation"]) == pytest.approx(r_star(*distances))


def test_eight_thresholds_give_a_28_by_28_map(rng):
    found = topology.agtdm(make(rng.standard_normal(10)), make(rng.standard_normal(10)))
    assert found["map"].shape == (28, 28)
    assert (found["lower_x"] < found["upper_x"]).all()
    np.testing.assert_allclose(np.unique(found["upper_y"]), np.arange(1, 8) / 7)


def test_tied_values_make_steps_and_constant_transforms_are_nan_and_counted(rng):
    x, y = np.repeat([0.0, 1.0, 5.0], 5), rng.standard_normal(15)
    found = topology.agtdm(make(x), make(y), n_permutations=20, rng=rng)
    distances = [cdist(v[:, None], v[:, None]) for v in (x, y)]
    for cell, (lower, upper) in enumerate(zip(found["lower_x"].values, found["upper_x"].values, strict=True)):
        step = graded(distances[0], lower, upper)
        here = found["map"][cell, 3]
        if np.ptp(step[np.triu_indices(15, 1)]) == 0:
            assert np.isnan(found["map"][cell]).all()
        else:
            other = graded(distances[1], float(found["lower_y"][3]), float(found["upper_y"][3]))
            assert float(here) == pytest.approx(r_star(step, other))
    assert found.attrs["n_undefined"] == int(np.isnan(found["map"]).sum()) > 0
    assert np.isfinite(found["p"])


def test_a_constant_variable_has_no_dependence_and_no_p(rng):
    found = topology.agtdm(make(np.ones(10)), make(rng.standard_normal(10)), n_permutations=9, rng=rng)
    assert np.isnan(found["map"]).all()
    assert np.isnan([found["statistic"], found["distance_correlation"], found["p"]]).all()
    assert (int(found["best_x"]), found.attrs["n_undefined"]) == (-1, 784)


def test_a_variable_depends_on_itself_by_1(rng):
    x = make(rng.standard_normal((20, 3)))
    found = topology.agtdm(x, 3 * x + 2)
    np.testing.assert_allclose(np.diag(found["map"]), 1.0, atol=1e-12)
    assert float(found["distance_correlation"]) == pytest.approx(1.0)


def test_labels_decide_and_order_does_not(rng):
    x, y = make(rng.standard_normal((14, 2))), make(rng.standard_normal(14))
    before = topology.agtdm(x, y)
    order = rng.permutation(14)
    after = topology.agtdm(x.T, y[order])
    np.testing.assert_allclose(after["map"], before["map"], atol=1e-10)
    swapped = topology.agtdm(y, x)
    np.testing.assert_allclose(swapped["map"].values.T, before["map"], atol=1e-10)


def test_rotations_and_scales_of_either_change_nothing(rng):
    x, y = rng.standard_normal((14, 3)), make(rng.standard_normal(14))
    turn = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    before, after = (topology.agtdm(make(v), y)["map"] for v in (x, 5 * x @ turn + 7))
    np.testing.assert_allclose(after, before, atol=1e-9)


def p_values(draw, n_sets, n, *, seed, n_permutations=99):
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(n_sets):
        x, y = draw(rng, n)
        one = topology.agtdm(make(x), make(y), n_permutations=n_permutations, rng=rng)
        found.append((float(one["p"]), float(one["p_distance_correlation"])))
    return np.array(found)


def independent(rng, n):
    return rng.standard_normal((n, 2)), rng.exponential(size=n)


def test_p_is_uniform_under_independence():
    p = p_values(independent, 300, 20, seed=11)
    for column in p.T:
        # p takes the values 1/100 ... 1: spread over their steps it is uniform.
        spread = column - np.random.default_rng(0).random(300) / 100
        assert kstest(spread, "uniform").pvalue > 0.01
        assert 0.02 <= (column <= 0.05).mean() <= 0.085


def circle(rng, n):
    angle = 2 * np.pi * rng.random(n)
    x, y = np.cos(angle), np.sin(angle)
    return x + 0.1 * rng.standard_normal(n), y + 0.1 * rng.standard_normal(n)


def quadratic(rng, n):
    x = rng.uniform(-1, 1, n)
    return x, x**2 + 0.2 * rng.standard_normal(n)


def linear(rng, n):
    x = rng.standard_normal(n)
    return x, 0.5 * x + rng.standard_normal(n)


@pytest.mark.parametrize(
    ("dependence", "least", "least_more"), [(circle, 0.8, 0.6), (quadratic, 0.8, -0.05), (linear, 0.5, -0.3)]
)
def test_power_beside_plain_distance_correlation(dependence, least, least_more):
    """Much more power on a circle; on a line the search over thresholds costs some."""
    ours, plain = (p_values(dependence, 60, 40, seed=7) <= 0.05).mean(axis=0)
    assert ours >= least
    assert ours - plain >= least_more


def test_the_same_generator_gives_the_same_p(rng):
    x, y = make(rng.standard_normal(12)), make(rng.standard_normal(12))
    first, second = (topology.agtdm(x, y, n_permutations=50, rng=np.random.default_rng(3)) for _ in range(2))
    xr.testing.assert_identical(first, second)


@pytest.mark.parametrize(
    ("x", "y", "options", "error", "text"),
    [
        (range(10), range(3), {}, LabelError, "not in"),
        (range(3), range(3), {}, ShapeError, "at least 4 observations; got 3"),
        (range(5), range(5), {"n_thresholds": 1}, InvalidValueError, "at least 2; got 1"),
        (range(5), range(5), {"n_permutations": 9}, InvalidValueError, "rng: a permutation test needs"),
        ([0, 1, 2, np.nan], range(4), {}, InvalidValueError, "x must be finite"),
    ],
)
def test_what_has_no_dependence_is_refused(x, y, options, error, text):
    with pytest.raises(error, match=text):
        topology.agtdm(make(list(x)), make(list(y)), **options)


@pytest.mark.parametrize("n", [4, 5])
def test_four_observations_are_enough(rng, n):
    x, y = rng.random((2, n))
    found = topology.agtdm(make(x), make(y), n_thresholds=2)
    a, b = (np.abs(np.subtract.outer(z, z)) for z in (x, y))
    assert found["distance_correlation"] == pytest.approx(r_star(a, b), rel=1e-10)
    assert found["map"].shape == (1, 1)
    with pytest.raises(ShapeError, match="needs at least 4 observations; got 3"):
        topology.agtdm(make(x[:3]), make(y[:3]))
    with pytest.raises(InvalidValueError, match="n_thresholds must be an integer of at least 2; got 1"):
        topology.agtdm(make(x), make(y), n_thresholds=1)


@pytest.mark.parametrize("scale", [1e-30, 1e-9, 1e9, 1e30])
def test_units_of_either_variable_never_matter(rng, scale):
    x, y = rng.standard_normal((2, 12, 3))
    one = topology.agtdm(make(x), make(x + y), n_thresholds=4)
    other = topology.agtdm(make(scale * x), make(x + y), n_thresholds=4)
    for name in ("map", "statistic", "distance_correlation"):
        np.testing.assert_allclose(other[name], one[name], rtol=1e-7, atol=1e-9)

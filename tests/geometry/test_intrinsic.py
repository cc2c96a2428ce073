"""Intrinsic dimension: planted manifolds, the formula by hand, invariances, interval, bad input."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy.stats import ortho_group
from sklearn.neighbors import NearestNeighbors

from neuroalign.errors import InvalidValueError, ShapeError
from neuroalign.geometry import intrinsic_dimension


def labelled(values, *leading):
    dims = (*leading, "stimulus", "unit")
    return xr.DataArray(values, dims=dims, coords={"stimulus": [f"s{i}" for i in range(values.shape[-2])]})


@pytest.mark.parametrize("method", ["fit", "likelihood"])
@pytest.mark.parametrize("d", [1, 2, 5])
def test_a_planted_dimension_is_found_in_many_units(d, method):
    rng = np.random.default_rng(d)
    flat = rng.random((1500, d)) @ rng.standard_normal((d, 40))
    found = intrinsic_dimension(labelled(flat), method=method)
    assert float(found.dimension) == pytest.approx(d, rel=0.1)


def test_a_curved_surface_has_its_own_dimension_and_not_that_of_its_space():
    rng = np.random.default_rng(0)
    sphere = rng.standard_normal((1500, 3))
    sphere /= np.linalg.norm(sphere, axis=1, keepdims=True)
    assert float(intrinsic_dimension(labelled(sphere)).dimension) == pytest.approx(2, rel=0.1)


def test_it_is_the_formula_on_ratios_of_neighbours(rng):
    x = rng.standard_normal((600, 4))
    apart = NearestNeighbors(n_neighbors=3).fit(x).kneighbors(x)[0]
    ratios = np.sort(apart[:, 2] / apart[:, 1])
    likelihood = intrinsic_dimension(labelled(x), method="likelihood").dimension
    assert float(likelihood) == pytest.approx(599 / np.log(ratios).sum(), rel=1e-9)
    kept = 480
    y = -np.log(1 - np.arange(1, kept + 1) / 600)
    slope = (np.log(ratios[:kept]) * y).sum() / (np.log(ratios[:kept]) ** 2).sum()
    assert float(intrinsic_dimension(labelled(x), discard=0.2).dimension) == pytest.approx(slope, rel=1e-9)


def test_rotating_scaling_shifting_and_reordering_changes_nothing(rng):
    x = rng.standard_normal((80, 5))
    moved = (1e3 * x @ ortho_group.rvs(5, random_state=2) + 50)[rng.permutation(80)]
    one, other = (float(intrinsic_dimension(labelled(v)).dimension) for v in (x, moved))
    assert one == pytest.approx(other, rel=1e-6)


def test_the_interval_holds_the_estimate_and_mostly_the_truth():
    rng = np.random.default_rng(4)
    clouds = labelled(rng.random((40, 300, 2)), "layer")
    found = intrinsic_dimension(clouds, method="likelihood", n_bootstrap=100, rng=rng)
    assert ((found.low < found.dimension) & (found.dimension < found.high)).all()
    # 40 intervals at 95 %, somewhat too narrow: fewer than 30 would be a mistake.
    assert int(((found.low < 2) & (found.high > 2)).sum()) >= 30


def test_bad_input_is_refused(rng):
    x = rng.standard_normal((12, 3))
    x[5] = x[2]
    with pytest.raises(InvalidValueError, match="2 stimuli have the same pattern as another one: 's2', 's5'"):
        intrinsic_dimension(labelled(x))
    with pytest.raises(ShapeError, match="at least 10 labels"):
        intrinsic_dimension(labelled(x[:9]))
    with pytest.raises(InvalidValueError, match="discard must be at least 0 and below 1; got 1"):
        intrinsic_dimension(labelled(x), discard=1)
    with pytest.raises(InvalidValueError, match="method must be one of 'fit', 'likelihood'"):
        intrinsic_dimension(labelled(x), method="mle")

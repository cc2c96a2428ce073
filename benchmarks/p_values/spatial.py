from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import xarray as xr

from neuroalign import spatial, stats

from .rates import Null

SHAPE, N_DRAWS = (8, 8), 99
N_UNITS = SHAPE[0] * SHAPE[1]
# A two-sided p, twice the smaller of two, is at most .05 with exactly that probability where the draws and
# the map are a multiple of 40.
N_TWO_SIDED = 119
GRAPH = spatial.lattice(SHAPE)
KERNEL = spatial.gaussian_kernel(spatial.lattice_positions(SHAPE), fwhm=2.0)
# Above about one smoothed value in six.
BAR = 9.0
# Maps that are laid over one another by shifts: as wide as in the guide, and without edges.
WIDE = (12, 12)
TORUS = spatial.lattice(WIDE, periodic=True)
TORUS_KERNEL = spatial.gaussian_kernel(spatial.lattice_positions(WIDE), fwhm=3.0, periodic=WIDE)


def _skewed(rng: np.random.Generator, n_maps: int = 1) -> np.ndarray:
    """Draw maps of skewed values that are correlated between maps and have no order in space."""
    return 5.0 + rng.gamma(2.0, size=(n_maps, N_UNITS)) + 0.7 * rng.gamma(2.0, size=N_UNITS)


def _closed(test: Callable[..., xr.Dataset], rng: np.random.Generator) -> dict[str, float]:
    """Test maps of normal and of skewed values against a normal distribution of the statistic."""
    maps = np.stack([3.0 + rng.standard_normal(N_UNITS), _skewed(rng)[0]])
    found, raw = test(maps, GRAPH), test(maps[0], GRAPH, standardise=False)
    normal, random = found["p_normal"].values, found["p_random"].values
    return {
        "p_normal": float(normal[0]),
        "p_random": float(random[0]),
        "p_random, skewed values": float(random[1]),
        "p_normal, weights as they come": float(raw["p_normal"]),
        "p_random, weights as they come": float(raw["p_random"]),
    }


def _shuffled(test: Callable[..., xr.Dataset], tail: str, rng: np.random.Generator) -> dict[str, float]:
    maps = _skewed(rng, 2)
    draws = spatial.shuffled(maps, N_TWO_SIDED, rng=rng)
    found, null = test(maps, GRAPH)["statistic"], test(draws, GRAPH)["statistic"]
    return {f"p, {each}": float(stats.p_value(found, null, tail=each)[0]) for each in (tail, "two-sided")}


def _smoothed(rng: np.random.Generator) -> dict[str, float]:
    raw = _skewed(rng)[0]
    maps = spatial.smooth(raw, KERNEL)
    draws = spatial.smooth(spatial.shuffled(raw, N_DRAWS, rng=rng), KERNEL)
    found, null = (spatial.moran(x, GRAPH)["statistic"] for x in (maps, draws))
    return {"p": float(stats.p_value(found, null))}


def _cluster(rng: np.random.Generator) -> dict[str, float]:
    raw = _skewed(rng)[0]
    maps = spatial.smooth(raw, KERNEL)
    draws = spatial.smooth(spatial.shuffled(raw, N_DRAWS, rng=rng), KERNEL)
    sizes = spatial.cluster_sizes(spatial.clusters(maps, GRAPH, threshold=BAR))
    largest = spatial.largest_cluster(draws, GRAPH, threshold=BAR).values
    if not sizes.size:
        return {"p, smallest": 1.0}
    p = stats.p_value(sizes, np.repeat(largest[:, None], len(sizes), axis=1))
    return {"p, smallest": float(p.min())}


def _local(rng: np.random.Generator) -> dict[str, float]:
    values = _skewed(rng)[0]
    found = {
        "moran": (spatial.local_moran(values, GRAPH)["statistic"], "greater"),
        "geary": (spatial.local_geary(values, GRAPH), "less"),
    }
    tests = {}
    for name, (statistic, tail) in found.items():
        null = spatial.local_null(values, GRAPH, N_DRAWS, statistic=name, rng=rng)
        p = stats.p_value(statistic, null, tail=tail)
        tests |= {f"p of {name}": float(p[9]), f"p of {name}, a corner": float(p[0])}
    return tests


def _torus(rng: np.random.Generator) -> dict[str, float]:
    one, other = spatial.smooth(rng.standard_normal((2, 144)), TORUS_KERNEL).values
    draws = spatial.torus_shifts(one, WIDE, N_DRAWS, rng=rng).values
    return _alike(one, other, draws)


def _spectral(rng: np.random.Generator) -> dict[str, float]:
    one, other = spatial.smooth(rng.standard_normal((2, 144)), TORUS_KERNEL).values
    draws = spatial.spectral_randomisations(one, TORUS, N_DRAWS, rng=rng).values
    return _alike(one, other, draws)


def _alike(one: np.ndarray, other: np.ndarray, draws: np.ndarray) -> dict[str, float]:
    r = stats.pearson_r(np.repeat(other[:, None], len(draws), axis=1), draws.T)
    found = spatial.bivariate_moran(one, other, TORUS)
    null = spatial.bivariate_moran(draws, other, TORUS)
    return {
        "p of the size of r": float(stats.p_value(abs(stats.pearson_r(other, one)), abs(r))),
        "p of the bivariate Moran's I": float(stats.p_value(found, null)),
    }


NULLS = [
    Null("spatial.moran", "values in random places, normal or skewed", partial(_closed, spatial.moran)),
    Null("spatial.geary", "values in random places, normal or skewed", partial(_closed, spatial.geary)),
    Null(
        "spatial.shuffled, Moran's I",
        "two correlated maps of skewed values in random places",
        partial(_shuffled, spatial.moran, "greater"),
    ),
    Null(
        "spatial.shuffled, Geary's C",
        "two correlated maps of skewed values in random places",
        partial(_shuffled, spatial.geary, "less"),
    ),
    Null("spatial.shuffled, smoothed maps", "skewed values in random places, smoothed", _smoothed),
    Null(
        "spatial.largest_cluster",
        "skewed values in random places, smoothed",
        _cluster,
        {"p, smallest": "sizes are whole numbers: ties"},
    ),
    Null("spatial.local_null", "skewed values in random places", _local),
    Null("spatial.torus_shifts", "two unrelated smooth maps on a torus", _torus),
    Null("spatial.spectral_randomisations", "two unrelated smooth maps on a torus", _spectral),
]

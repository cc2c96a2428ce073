"""Local Moran and Geary: by hand, over all orders, and against esda."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from neuroalign import spatial, stats
from neuroalign.errors import InvalidValueError

QUEEN = spatial.lattice((5, 6), neighbours="queen")
X = np.random.default_rng(0).gamma(2.0, size=30)


def pysal(graph):
    weights = pytest.importorskip("libpysal.weights")
    return weights.WSP(csr_matrix(graph)).to_W(silence_warnings=True)


@pytest.mark.filterwarnings("ignore")
def test_local_statistics_are_those_of_esda():
    esda = pytest.importorskip("esda")
    found = spatial.local_moran(X, QUEEN)
    theirs = esda.Moran_Local(X, pysal(QUEEN), permutations=0)
    assert found.statistic.values == pytest.approx(theirs.Is, abs=1e-10)
    assert np.array_equal(found.quadrant.values, theirs.q)
    # esda's moments belong to n where its statistic has n - 1.
    assert found.expected.values == pytest.approx(theirs.EIc * 29 / 30, abs=1e-10)
    assert found.variance.values == pytest.approx(theirs.VIc * (29 / 30) ** 2, abs=1e-10)
    geary = esda.Geary_Local(pysal(QUEEN), permutations=0).fit(X).localG
    assert spatial.local_geary(X, QUEEN).values == pytest.approx(geary, abs=1e-10)


def test_local_statistics_add_up_to_the_global_ones():
    n = len(X)
    for standardise in (True, False):
        s0 = 30 if standardise else QUEEN.sum()
        local = spatial.local_moran(X, QUEEN, standardise=standardise).statistic.sum()
        whole = spatial.moran(X, QUEEN, standardise=standardise).statistic
        assert float(local) * n / (n - 1) / s0 == pytest.approx(float(whole))
        local = spatial.local_geary(X, QUEEN, standardise=standardise).sum()
        whole = spatial.geary(X, QUEEN, standardise=standardise).statistic
        assert float(local) * (n - 1) / (2 * n * s0) == pytest.approx(float(whole))


def test_local_moments_are_those_over_all_orders_of_the_others():
    rng = np.random.default_rng(1)
    w = rng.random((6, 6)) * (1 - np.eye(6))
    x = rng.standard_normal(6)
    found = spatial.local_moran(x, w)
    for i in range(6):
        others = np.delete(x, i)
        every = [np.insert(np.array(order), i, x[i]) for order in itertools.permutations(others)]
        values = spatial.local_moran(np.array(every), w).statistic.values[:, i]
        assert float(found.expected[i]) == pytest.approx(values.mean(), abs=1e-12)
        assert float(found.variance[i]) == pytest.approx(values.var(), abs=1e-12)


@pytest.mark.parametrize("statistic", ["moran", "geary"])
def test_draws_keep_a_units_value_and_move_the_others(statistic):
    maps = np.stack([X, X[::-1] ** 2])
    null = spatial.local_null(maps, QUEEN, 4000, statistic=statistic, rng=np.random.default_rng(2))
    assert null.dims == ("draw", "map", "unit")
    if statistic == "moran":
        found = spatial.local_moran(maps, QUEEN)
        assert null.mean("draw").values == pytest.approx(found.expected.values, abs=0.06)
        assert null.var("draw").values == pytest.approx(found.variance.values, rel=0.15)
    else:
        z = (maps - maps.mean(1, keepdims=True)) / maps.std(1, keepdims=True)
        # The mean of (z_i - z_j)^2 over the others, whatever the weights are.
        expected = (30 * z**2 + 30) / 29
        assert null.mean("draw").values == pytest.approx(expected, rel=0.1)


def test_local_p_is_small_where_a_blob_is():
    x = np.zeros((12, 12))
    x[2:6, 2:6] = 3.0
    x = (x + 0.3 * np.random.default_rng(3).standard_normal((12, 12))).ravel()
    graph = spatial.lattice((12, 12), neighbours="queen")
    null = spatial.local_null(x, graph, 999, rng=np.random.default_rng(4))
    found = spatial.local_moran(x, graph)
    p = stats.fdr(stats.p_value(found.statistic, null)).reshape(12, 12)
    assert (p[3:5, 3:5] < 0.05).all()
    assert (p[8:, 8:] > 0.05).all()
    assert (found.quadrant.values.reshape(12, 12)[3:5, 3:5] == 1).all()


def test_undefined_units_are_nan_and_counted():
    graph = spatial.lattice((5,)).toarray()
    graph[4, 3] = 0  # the last unit is a neighbour, but has none
    found = spatial.local_moran([1.0, 2.0, 4.0, 3.0, 0.0], graph)
    assert np.isnan(found.statistic.values).tolist() == [False] * 4 + [True]
    assert int(found.quadrant[4]) == 0
    assert found.attrs["n_undefined"] == 1
    null = spatial.local_null([1.0, 2.0, 4.0, 3.0, 0.0], graph, 9, rng=np.random.default_rng(0))
    assert np.isnan(null.values[:, 4]).all()
    assert not np.isnan(null.values[:, :4]).any()
    assert null.attrs["n_undefined"] == 1
    maps = np.array([[1.0, 2.0, np.nan, 3.0, 5.0], [2.0] * 5])
    found = spatial.local_geary(maps, spatial.lattice((5,)), missing="omit")
    assert np.isnan(found.values).tolist() == [[False, False, True, False, False], [True] * 5]
    null = spatial.local_null(maps, spatial.lattice((5,)), 3, missing="omit", rng=np.random.default_rng(0))
    assert (np.isnan(null.values) == np.isnan(found.values)).all()
    assert null.attrs == found.attrs == {"n_missing": 1, "n_islands": 0, "n_undefined": 6}


@pytest.mark.parametrize(
    ("n", "options", "text"),
    [
        (0, {}, "n must be a positive integer; got 0"),
        (9, {"statistic": "getis"}, "statistic must be one of 'moran', 'geary'; got 'getis'"),
        (9, {"rng": 3}, "rng must be a numpy.random.Generator; got int"),
    ],
)
def test_bad_draws_are_refused(n, options, text):
    with pytest.raises(InvalidValueError, match=text):
        spatial.local_null(X, QUEEN, n, **{"rng": np.random.default_rng(0), **options})

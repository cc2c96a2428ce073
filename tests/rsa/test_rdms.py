"""RDMs: closed forms, scipy and rsatoolbox, laws, what is undefined, what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import pdist

from neuroalign import rsa
from neuroalign.errors import InvalidValueError, LabelError, ShapeError
from neuroalign.schema import align, square

SCIPY = ["correlation", "cosine", "euclidean", "sqeuclidean"]
PLAIN = [name for name, metric in rsa.METRICS.items() if not metric.crossvalidated]


def make_patterns(values, *, unit="unit", dims=()):
    values = np.asarray(values)
    names = [f"s{i:02d}" for i in range(values.shape[-2])]
    return xr.DataArray(values, dims=(*dims, "stimulus", unit), coords={"stimulus": names})


def make_noise(n_units, *, unit="unit", seed=5):
    root = np.random.default_rng(seed).standard_normal((n_units, 2 * n_units))
    return xr.DataArray(root @ root.T / n_units, dims=(unit, f"{unit}_b"))


def arguments(metric, n_units=30):
    return {"noise": make_noise(n_units)} if metric == "mahalanobis" else {}


@pytest.fixture
def patterns(rng):
    return make_patterns(rng.standard_normal((12, 30)))


@pytest.mark.parametrize("metric", SCIPY)
def test_rdm_equals_scipy(patterns, metric):
    found = rsa.rdm(patterns, metric)
    np.testing.assert_allclose(found, pdist(patterns.values, metric), rtol=1e-10)
    assert found.dims == ("pair",)
    assert (found.stimulus_a.values[0], found.stimulus_b.values[-1]) == ("s00", "s11")


@pytest.mark.parametrize("unit", ["unit", "neuroid"])
def test_euclidean_of_rsatoolbox_is_ours_divided_by_neuroids(patterns, unit):
    from rsatoolbox.data import Dataset
    from rsatoolbox.rdm import calc_rdm

    theirs = calc_rdm(Dataset(patterns.values), method="euclidean").get_vectors()[0]
    ours = rsa.rdm(patterns.rename(unit=unit), "sqeuclidean", normalize="neuroids")
    np.testing.assert_allclose(ours, theirs, rtol=1e-10)
    root = rsa.rdm(patterns, "euclidean", normalize="neuroids")
    np.testing.assert_allclose(root**2, theirs, rtol=1e-10)


def test_correlation_of_rsatoolbox_is_ours(patterns):
    from rsatoolbox.data import Dataset
    from rsatoolbox.rdm import calc_rdm

    theirs = calc_rdm(Dataset(patterns.values), method="correlation").get_vectors()[0]
    np.testing.assert_allclose(rsa.rdm(patterns), theirs, rtol=1e-10)


@pytest.mark.parametrize("metric", PLAIN)
def test_permuting_stimuli_permutes_the_rdm(patterns, rng, metric):
    patterns, more = np.abs(patterns), arguments(metric)
    whole = rsa.rdm(patterns, metric, **more)
    shuffled = rsa.rdm(patterns.isel(stimulus=rng.permutation(12)), metric, **more)
    np.testing.assert_allclose(align(whole, shuffled)[1], whole, rtol=1e-11)


@given(st.floats(-100, 100), st.floats(0.01, 100), st.integers(0, 20))
def test_shift_and_scale_of_each_pattern_leave_the_correlation_distance(shift, scale, seed):
    x = np.random.default_rng(seed).standard_normal((5, 9))
    rows = np.arange(1.0, 6.0)[:, None]
    np.testing.assert_allclose(
        rsa.rdm(make_patterns(x * scale * rows + shift * rows)), rsa.rdm(make_patterns(x)), atol=1e-9
    )


@pytest.mark.parametrize("metric", ["correlation", "euclidean", "sqeuclidean"])
def test_a_large_offset_in_float32_keeps_five_digits(rng, metric):
    x = (1e3 + rng.standard_normal((20, 200))).astype(np.float32)
    expected = pdist(x.astype(np.float64), metric)
    np.testing.assert_allclose(rsa.rdm(make_patterns(x), metric), expected, rtol=1e-5)


def test_equal_patterns_are_at_distance_0_and_near_ones_keep_their_digits(rng):
    x = 1e3 * rng.standard_normal((6, 50))
    x[1] = x[0]
    x[3] = x[2] + 1e-4
    found = square(rsa.rdm(make_patterns(x), "euclidean").values)
    assert found[0, 1] == 0
    assert found[2, 3] == pytest.approx(np.sqrt(50) * 1e-4, rel=1e-6)


def test_leading_dims_keep_their_coordinates_and_never_mix(rng):
    x = rng.standard_normal((2, 3, 6, 8))
    stack = make_patterns(x, dims=("subject", "layer")).assign_coords(subject=["a", "b"])
    found = rsa.rdm(stack)
    assert found.dims == ("subject", "layer", "pair")
    assert found.subject.values.tolist() == ["a", "b"]
    np.testing.assert_array_equal(found[1, 2], rsa.rdm(stack[1, 2]))


def test_dims_are_found_by_name(patterns):
    np.testing.assert_allclose(rsa.rdm(patterns.transpose("unit", "stimulus")), rsa.rdm(patterns), rtol=1e-12)


@pytest.mark.parametrize(("metric", "row"), [("correlation", 0.1), ("cosine", 0.0)])
def test_a_pattern_without_direction_is_nan_and_counted(patterns, metric, row):
    x = patterns.copy(deep=True)
    x[4] = row
    found = rsa.rdm(x, metric)
    full = square(found.values)
    assert np.isnan(np.delete(full[4], 4)).all()
    assert np.isnan(found).sum() == 11
    assert found.attrs["n_undefined"] == 1


def test_rdm_does_not_edit_its_argument(patterns):
    patterns = np.abs(patterns)
    before = patterns.copy(deep=True)
    for metric in PLAIN:
        more = arguments(metric)
        given_noise = {name: value.copy(deep=True) for name, value in more.items()}
        rsa.rdm(patterns, metric, **more)
        for name, value in given_noise.items():
            xr.testing.assert_identical(more[name], value)
    xr.testing.assert_identical(patterns, before)


@pytest.mark.parametrize("dtype", [np.int8, bool, np.float16])
def test_other_real_dtypes_are_counted_in_float64(rng, dtype):
    x = (rng.random((6, 40)) > 0.5).astype(dtype)
    np.testing.assert_allclose(rsa.rdm(make_patterns(x)), pdist(x.astype(float), "correlation"), rtol=1e-10)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_value_that_is_not_finite_is_refused_with_its_stimulus(patterns, bad):
    x = patterns.copy(deep=True)
    x[3, 2] = bad
    with pytest.raises(InvalidValueError, match="1 of 360 values are not, in 1 stimuli: 's03'"):
        rsa.rdm(x)


def test_wrong_patterns_are_refused_with_what_came(patterns):
    with pytest.raises(InvalidValueError, match="real numbers; got dtype complex128"):
        rsa.rdm(patterns * 1j)
    with pytest.raises(ShapeError, match="at least 2 stimuli"):
        rsa.rdm(patterns[:1])
    with pytest.raises(ShapeError, match=r"2 unit\(s\)"):
        rsa.rdm(patterns[:, :1])
    with pytest.raises(ShapeError, match="at least 2 stimuli"):
        rsa.rdm(patterns[:, :0], "euclidean")
    with pytest.raises(ShapeError, match="one of 'unit' or 'neuroid'"):
        rsa.rdm(patterns.rename(unit="voxel"))
    with pytest.raises(LabelError, match="repeated: 's00'"):
        rsa.rdm(patterns.isel(stimulus=[0, 0, 1]))
    with pytest.raises(InvalidValueError, match="metric must be one of 'correlation'"):
        rsa.rdm(patterns, "corr")
    with pytest.raises(InvalidValueError, match="belongs to the metrics 'euclidean', 'sqeuclidean'"):
        rsa.rdm(patterns, normalize="neuroids")
    with pytest.raises(ShapeError, match=r"xarray\.DataArray; got ndarray"):
        rsa.rdm(patterns.values)


@pytest.mark.parametrize("row", [0.0, 1e4])
def test_mahalanobis_of_rsatoolbox_and_of_scipy(patterns, row):
    from rsatoolbox.data import Dataset
    from rsatoolbox.rdm import calc_rdm

    noise = make_noise(30)
    theirs = calc_rdm(Dataset(patterns.values), method="mahalanobis", noise=noise.values).get_vectors()[0]
    found = rsa.rdm(patterns + row, "mahalanobis", noise=noise)
    np.testing.assert_allclose(found, theirs, rtol=1e-10)
    np.testing.assert_allclose(np.sqrt(30 * found), pdist(patterns.values, "mahalanobis", VI=noise.values))
    whole = rsa.rdm(patterns + row, "mahalanobis", noise=noise, normalize="none")
    np.testing.assert_allclose(whole, 30 * theirs, rtol=1e-10)


def test_a_semidefinite_precision_gives_no_negative_distance(rng):
    direction = rng.standard_normal(6)
    direction /= np.linalg.norm(direction)
    noise = xr.DataArray(np.eye(6) - np.outer(direction, direction), dims=("unit", "unit_b"))
    x = rng.standard_normal((4, 6))
    x[1] = x[0] + 3 * direction
    found = rsa.rdm(make_patterns(x), "mahalanobis", noise=noise)
    assert 0 <= float(found[0]) < 1e-12 and (found[1:] > 0.01).all()


@pytest.mark.parametrize("prior", [{}, {"prior_lambda": 2.0, "prior_weight": 0.5}])
def test_poisson_of_rsatoolbox_is_ours_on_counts_with_ties(rng, prior):
    from rsatoolbox.data import Dataset
    from rsatoolbox.rdm import calc_rdm

    counts = rng.poisson(3.0, (9, 14))
    counts[1] = counts[0]
    theirs = calc_rdm(Dataset(counts.astype(float)), method="poisson", **prior).get_vectors()[0]
    found = rsa.rdm(make_patterns(counts), "poisson", **prior)
    np.testing.assert_allclose(found, theirs, rtol=1e-10, atol=1e-12)
    assert float(found[0]) == 0


def test_poisson_by_hand():
    # Without a prior: (4 - 1)(log 4 - log 1) / 2 neuroids, the second of which does not differ.
    found = rsa.rdm(make_patterns([[4.0, 2.0], [1.0, 2.0]]), "poisson", prior_weight=0)
    assert float(found[0]) == pytest.approx(3 * np.log(4) / 2, rel=1e-12)


@given(st.integers(0, 200))
def test_poisson_is_symmetric_and_positive_and_near_patterns_keep_their_digits(seed):
    rng = np.random.default_rng(seed)
    x = 1e3 * rng.random((4, 10))
    x[1] = x[0] * (1 + 1e-5)
    found = square(rsa.rdm(make_patterns(x), "poisson").values)
    assert (found[np.triu_indices(4, 1)] > 0).all()
    rates = (x[:2] + 0.1) / 1.1
    slow = ((rates[1] - rates[0]) * np.log1p((rates[1] - rates[0]) / rates[0])).mean()
    assert found[0, 1] == pytest.approx(slow, rel=1e-6)


@pytest.mark.parametrize("metric", PLAIN)
def test_presentations_of_a_stimulus_are_averaged_however_many(rng, metric):
    stimulus = np.array(list("abacbaaddc"))
    x = rng.random((10, 6))
    flat = xr.DataArray(x, dims=("presentation", "unit"), coords={"stimulus": ("presentation", stimulus)})
    means = np.stack([x[stimulus == name].mean(axis=0) for name in "abcd"])
    expected = xr.DataArray(means, dims=("stimulus", "unit"), coords={"stimulus": list("abcd")})
    found = rsa.rdm(flat, metric, **arguments(metric, 6))
    np.testing.assert_allclose(found, rsa.rdm(expected, metric, **arguments(metric, 6)), rtol=1e-10)
    assert found.stimulus_b.values[:3].tolist() == ["b", "c", "d"]
    shuffled = rsa.rdm(flat.isel(presentation=rng.permutation(10)), metric, **arguments(metric, 6))
    np.testing.assert_allclose(align(found, shuffled)[1], found, rtol=1e-10)


def test_unbalanced_average_of_rsatoolbox_is_ours(rng):
    from rsatoolbox.data import Dataset
    from rsatoolbox.rdm import calc_rdm

    stimulus = np.array(list("aaabbcdddd"))
    x = rng.standard_normal((10, 6))
    theirs = calc_rdm(
        Dataset(x, obs_descriptors={"stimulus": stimulus}), method="correlation", descriptor="stimulus"
    )
    flat = xr.DataArray(x, dims=("presentation", "unit"), coords={"stimulus": ("presentation", stimulus)})
    np.testing.assert_allclose(rsa.rdm(flat), theirs.get_vectors()[0], rtol=1e-10)


PAIRWISE = {
    "correlation": lambda x, y: 1 - np.corrcoef(x, y)[0, 1],
    "cosine": lambda x, y: 1 - x @ y / np.sqrt((x @ x) * (y @ y)),
    "euclidean": lambda x, y: np.sqrt(((x - y) ** 2).sum()),
    "sqeuclidean": lambda x, y: ((x - y) ** 2).sum(),
    "poisson": lambda x, y: ((x - y) * (np.log(x + 0.1) - np.log(y + 0.1))).mean() / 1.1,
}


@pytest.mark.parametrize("metric", list(PAIRWISE))
def test_neuroids_that_either_pattern_lacks_are_left_out_of_that_pair(rng, metric):
    x = rng.random((7, 20))
    x[rng.random(x.shape) < 0.1] = np.nan
    x[5] = rng.random(20)
    found = square(rsa.rdm(make_patterns(x, unit="neuroid"), metric, missing="pairwise").values)
    for i in range(7):
        for j in range(i + 1, 7):
            both = np.isfinite(x[i]) & np.isfinite(x[j])
            assert found[i, j] == pytest.approx(PAIRWISE[metric](x[i, both], x[j, both]), rel=1e-9)


def test_missing_neuroids_of_one_pattern_change_no_other_pair_and_are_counted(patterns):
    expected = rsa.rdm(patterns, "sqeuclidean", normalize="neuroids")
    x = patterns.copy(deep=True)
    x[3, :5] = np.nan
    found = rsa.rdm(x, "sqeuclidean", normalize="neuroids", missing="pairwise")
    untouched = (found.stimulus_a != "s03") & (found.stimulus_b != "s03")
    np.testing.assert_allclose(found[untouched], expected[untouched], rtol=1e-12)
    assert found.attrs["n_left_out"] == 11 and found.attrs["n_undefined"] == 0
    complete = rsa.rdm(patterns, "sqeuclidean", normalize="neuroids", missing="pairwise")
    np.testing.assert_allclose(complete, expected, rtol=1e-12)
    assert complete.attrs["n_left_out"] == 0


def test_a_pair_that_shares_too_few_neuroids_is_nan_and_counted():
    x = make_patterns([[1.0, 2.0, np.nan], [np.nan, 1.0, 3.0], [1.0, 5.0, 2.0]])
    assert np.isnan(rsa.rdm(x, missing="pairwise")).values.tolist() == [True, False, False]
    assert rsa.rdm(x, missing="pairwise").attrs["n_undefined"] == 1
    assert rsa.rdm(x, "sqeuclidean", missing="pairwise").values.tolist() == [1.0, 9.0, 17.0]
    nothing = make_patterns([[np.nan, np.nan], [1.0, 2.0], [2.0, 2.0]])
    assert np.isnan(rsa.rdm(nothing, "euclidean", missing="pairwise")).sum() == 2


def test_missing_neuroids_of_rsatoolbox_are_no_distance_by_hand():
    from rsatoolbox.data import Dataset
    from rsatoolbox.rdm.calc_unbalanced import calc_rdm_unbalanced

    # Both patterns are 1 where both are known: their distance is 0. rsatoolbox 0.3.2 takes the squared
    # lengths over each pattern's own neuroids, 1 and (1 + 100) / 2, less twice the shared product 1: 49.5.
    x = np.array([[1.0, np.nan], [1.0, 10.0]])
    theirs = calc_rdm_unbalanced(Dataset(x), method="euclidean").get_vectors()[0, 0]
    ours = rsa.rdm(make_patterns(x), "sqeuclidean", normalize="neuroids", missing="pairwise")
    assert (theirs, float(ours[0])) == (pytest.approx(49.5), 0.0)


def test_presentations_that_lack_a_neuroid_do_not_enter_its_mean():
    flat = xr.DataArray(
        [[1.0, 2.0], [3.0, np.nan], [0.0, 0.0]],
        dims=("presentation", "neuroid"),
        coords={"stimulus": ("presentation", ["a", "a", "b"])},
    )
    found = rsa.rdm(flat, "sqeuclidean", missing="pairwise")
    assert found.values.tolist() == [8.0]
    assert found.attrs["n_left_out"] == 0


def test_two_stimuli_are_one_pair():
    assert rsa.rdm(make_patterns([[1.0, 2.0], [3.0, 2.0]]), "euclidean").values.tolist() == [2.0]


def test_choices_that_do_not_belong_to_a_metric_are_refused(patterns):
    noise = make_noise(30)
    with pytest.raises(InvalidValueError, match="normalize must be one of None, 'neuroids', 'none'"):
        rsa.rdm(patterns, "euclidean", normalize="units")
    with pytest.raises(InvalidValueError, match="missing must be one of 'refuse', 'pairwise'; got 'drop'"):
        rsa.rdm(patterns, missing="drop")
    with pytest.raises(InvalidValueError, match="mahalanobis needs a noise precision"):
        rsa.rdm(patterns, "mahalanobis")
    with pytest.raises(InvalidValueError, match="noise belongs to the metrics 'mahalanobis', 'crossnobis'"):
        rsa.rdm(patterns, "euclidean", noise=noise)
    with pytest.raises(InvalidValueError, match="folds belong to the metrics 'crossnobis'"):
        rsa.rdm(patterns, "euclidean", folds="run")
    with pytest.raises(InvalidValueError, match="missing='pairwise' is not defined with a noise precision"):
        rsa.rdm(patterns, "mahalanobis", noise=noise, missing="pairwise")
    with pytest.raises(InvalidValueError, match="1 of 360 values are not, in 1 stimuli: 's00'"):
        x = patterns.copy(deep=True)
        x[0, 0] = np.inf
        rsa.rdm(x, missing="pairwise")
    with pytest.raises(InvalidValueError, match=r"in 1 stimuli: 's00'\. Pass missing='pairwise'"):
        rsa.rdm(patterns.where(patterns.stimulus != "s00"))


def test_rates_that_are_negative_or_zero_are_refused(patterns):
    with pytest.raises(InvalidValueError, match="counts or rates, which are not negative; the smallest is -"):
        rsa.rdm(patterns, "poisson")
    with pytest.raises(InvalidValueError, match="the prior adds nothing to them"):
        rsa.rdm(patterns * 0, "poisson", prior_weight=0)
    with pytest.raises(InvalidValueError, match=r"prior_lambda must be finite and not negative; got -1"):
        rsa.rdm(np.abs(patterns), "poisson", prior_lambda=-1)


def test_a_noise_that_is_no_precision_of_these_neuroids_is_refused(patterns):
    noise = make_noise(30)
    with pytest.raises(ShapeError, match=r"xarray\.DataArray .*; got ndarray"):
        rsa.rdm(patterns, "mahalanobis", noise=noise.values)
    with pytest.raises(ShapeError, match=r"with 30 units; got .* of shape \(29, 29\)"):
        rsa.rdm(patterns, "mahalanobis", noise=make_noise(29))
    with pytest.raises(ShapeError, match=r"noise must have dims \('unit', 'unit_b'\)"):
        rsa.rdm(patterns, "mahalanobis", noise=noise.rename(unit="neuroid"))
    with pytest.raises(InvalidValueError, match="noise must be symmetric"):
        rsa.rdm(patterns, "mahalanobis", noise=noise + np.arange(30))
    with pytest.raises(InvalidValueError, match="noise must be finite; 30 of 900"):
        rsa.rdm(patterns, "mahalanobis", noise=noise.where(np.arange(30) > 0))
    with pytest.raises(InvalidValueError, match="dtype complex128"):
        rsa.rdm(patterns, "mahalanobis", noise=noise * 1j)
    with pytest.raises(InvalidValueError, match="noise is no precision: it gives a squared distance of -"):
        rsa.rdm(patterns, "mahalanobis", noise=-noise)
    named = patterns.assign_coords(unit=[f"u{i}" for i in range(30)])
    with pytest.raises(LabelError, match="patterns have labels along 'unit' and noise have none"):
        rsa.rdm(named, "mahalanobis", noise=noise)
    with pytest.raises(LabelError, match="'unit' and 'unit_b' must be the same in the same order"):
        rsa.rdm(named, "mahalanobis", noise=noise.assign_coords(unit=named.unit.values))
    half = noise.assign_coords(unit=range(30), unit_b=range(30))
    with pytest.raises(LabelError, match="labels of 'unit' are string in patterns"):
        rsa.rdm(named, "mahalanobis", noise=half)


# Digits: what patterns share costs none, whatever the units


def slow_pairs(x, distance):
    return [distance(x[i], x[j]) for i in range(len(x)) for j in range(i + 1, len(x))]


@pytest.mark.parametrize("metric", ["sqeuclidean", "mahalanobis"])
def test_a_large_offset_costs_no_digit_of_a_distance(rng, metric):
    x = 300.0 + rng.standard_normal((7, 20))
    noise = make_noise(20)
    weight = noise.values / 20 if metric == "mahalanobis" else np.eye(20)
    expected = slow_pairs(x, lambda a, b: (a - b) @ weight @ (a - b))
    more = {"noise": noise} if metric == "mahalanobis" else {}
    np.testing.assert_allclose(rsa.rdm(make_patterns(x), metric, **more), expected, rtol=2e-13)


def test_a_large_offset_costs_no_digit_of_a_divergence(rng):
    x = 1e4 + rng.random((7, 20))
    rates = (x + 0.1) / 1.1
    expected = slow_pairs(rates, lambda a, b: ((a - b) * (np.log(a) - np.log(b))).mean())
    np.testing.assert_allclose(rsa.rdm(make_patterns(x), "poisson"), expected, rtol=2e-13)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("metric", ["sqeuclidean", "mahalanobis"])
def test_near_patterns_keep_their_digits_under_any_unit(rng, metric, scale):
    x = scale * rng.standard_normal((9, 50))
    for k in (0, 2, 4, 6):  # four near pairs
        x[k + 1] = x[k] + 1e-8 * scale * rng.random(50)
    noise = make_noise(50)
    weight = noise.values if metric == "mahalanobis" else np.eye(50)
    more = {"noise": noise} if metric == "mahalanobis" else {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("neuroalign.rsa.metrics.CHUNK", 3)  # so that the last of them is in a chunk of its own
        found = square(rsa.rdm(make_patterns(x), metric, normalize="none", **more).values)
    for k in (0, 2, 4, 6):
        d = x[k] - x[k + 1]
        assert found[k, k + 1] == pytest.approx(d @ weight @ d, rel=1e-6)


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_a_negative_eigenvalue_is_rounding_up_to_a_billionth_of_the_largest_distance(scale):
    # Distances 1, 2 + d and 1 + d along (1, 0), (1, 1) and (0, 1), d the second eigenvalue.
    x = make_patterns(scale * np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
    for small, refused in ((-0.9e-9, False), (-1.2e-9, True)):
        noise = xr.DataArray(np.diag([1.0, small]), dims=("unit", "unit_b"))
        if refused:
            with pytest.raises(InvalidValueError, match="noise is no precision"):
                rsa.rdm(x, "mahalanobis", noise=noise)
        else:
            found = rsa.rdm(x, "mahalanobis", noise=noise, normalize="none").values / scale**2
            np.testing.assert_allclose(found, [1.0, 0.0, 1.0], rtol=1e-8)


def test_equal_patterns_have_no_distance_under_a_precision():
    found = rsa.rdm(make_patterns(np.ones((3, 4))), "mahalanobis", noise=make_noise(4))
    assert found.values.tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("n_rows", [1, 5, 6, 12, 13])
def test_blocks_of_rows_change_no_number(patterns, monkeypatch, n_rows):
    x = patterns.copy(deep=True)
    x[[4, 11]] = 2.0
    whole = rsa.rdm(x)
    monkeypatch.setattr("neuroalign.rsa.metrics.BLOCK_BYTES", 8 * 30 * n_rows)
    found = rsa.rdm(x)
    np.testing.assert_allclose(found, whole, rtol=1e-13)
    assert found.attrs["n_undefined"] == 2
    assert int(np.isnan(found).sum()) == 11 + 10


def test_a_neuroid_that_all_presentations_lack_is_lacking():
    flat = xr.DataArray(
        [[1.0, np.nan], [3.0, np.nan], [0.0, 5.0]],
        dims=("presentation", "neuroid"),
        coords={"stimulus": ("presentation", ["a", "a", "b"])},
    )
    found = rsa.rdm(flat, "sqeuclidean", missing="pairwise")
    assert found.values.tolist() == [4.0]
    assert found.attrs["n_left_out"] == 1


@pytest.mark.parametrize("name", ["unit", "stimulus"])
def test_patterns_without_units_or_stimuli_are_refused_alike(patterns, name):
    message = r"patterns need a dim 'stimulus' and one of 'unit' or 'neuroid'; got dims"
    with pytest.raises(ShapeError, match=message):
        rsa.rdm(patterns.drop_vars("stimulus").rename({name: "other"}))

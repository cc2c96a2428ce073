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


def make_patterns(values, *, unit="unit", dims=()):
    values = np.asarray(values)
    names = [f"s{i:02d}" for i in range(values.shape[-2])]
    return xr.DataArray(values, dims=(*dims, "stimulus", unit), coords={"stimulus": names})


@pytest.fixture
def patterns(rng):
    return make_patterns(rng.standard_normal((12, 30)))


@pytest.mark.parametrize("metric", list(rsa.METRICS))
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


@pytest.mark.parametrize("metric", list(rsa.METRICS))
def test_permuting_stimuli_permutes_the_rdm(patterns, rng, metric):
    whole = rsa.rdm(patterns, metric)
    shuffled = rsa.rdm(patterns.isel(stimulus=rng.permutation(12)), metric)
    np.testing.assert_allclose(align(whole, shuffled)[1], whole, rtol=1e-12)


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
    before = patterns.copy(deep=True)
    for metric in rsa.METRICS:
        rsa.rdm(patterns, metric)
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
    with pytest.raises(InvalidValueError, match="belongs to the euclidean metrics"):
        rsa.rdm(patterns, normalize="neuroids")
    with pytest.raises(ShapeError, match=r"xarray\.DataArray; got ndarray"):
        rsa.rdm(patterns.values)

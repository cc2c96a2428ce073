import numpy as np
import pytest
import xarray as xr

from neuroalign import stats
from neuroalign.errors import LabelError


def series(subjects=("a", "b", "c"), rois=("x", "y")):
    n = len(subjects) * len(rois)
    coords = {
        "time": [0.0, 2.0, 4.0],
        "subject": ("neuroid", np.repeat(subjects, len(rois))),
        "roi": ("neuroid", np.tile(rois, len(subjects))),
    }
    return xr.DataArray(np.arange(3.0 * n).reshape(3, n), dims=("time", "neuroid"), coords=coords)


def test_by_subject_goes_by_label_whatever_the_order():
    one, other = series(), series().isel(neuroid=[5, 2, 0, 4, 1, 3])
    found = stats.by_subject(other).sel(subject=["a", "b", "c"], roi=["x", "y"])
    assert found.equals(stats.by_subject(one))
    assert found.sel(subject="b", roi="y").values.tolist() == one.values[:, 3].tolist()


def test_by_subject_leaves_a_missing_region_undefined_and_refuses_a_repeated_one():
    found = stats.by_subject(series().isel(neuroid=[0, 1, 2]))
    assert np.isnan(found.sel(subject="b", roi="y")).all()
    with pytest.raises(LabelError, match="come twice"):
        stats.by_subject(series().isel(neuroid=[0, 0]))


def test_the_mean_of_others_leaves_out_the_subject_and_what_is_undefined():
    values = np.array([[1.0, np.nan], [3.0, 5.0], [5.0, np.nan]])
    found = stats.mean_of_others(values)
    assert found[:, 0].tolist() == [4.0, 3.0, 2.0]
    assert found[[0, 2], 1].tolist() == [5.0, 5.0]
    assert np.isnan(found[1, 1])


def test_a_column_that_varies_by_rounding_only_is_constant():
    x = np.array([[0.1 + 0.2, 1.0], [0.3, 2.0]])
    assert stats.is_constant(x).tolist() == [True, False]


def test_a_bootstrap_says_what_it_holds():
    found = stats.bootstrap(lambda i: np.nan, 3, n=5, rng=np.random.default_rng(0))
    assert isinstance(found, stats.Bootstrap)
    assert int(found.n_undefined) == 5
    assert np.isnan(found.lower)


def test_the_mean_of_others_by_hand_in_two_dims():
    values = np.array(
        [[[1.0, 2.0, 3.0]], [[5.0, np.nan, 7.0]], [[0.0, 4.0, np.nan]], [[2.0, np.nan, np.nan]]]
    )
    expected = [[[7 / 3, 4.0, 7.0]], [[1.0, 3.0, 3.0]], [[8 / 3, 2.0, 5.0]], [[2.0, 3.0, 5.0]]]
    np.testing.assert_allclose(stats.mean_of_others(values), expected)
    assert np.isnan(stats.mean_of_others(values[:1])).all()

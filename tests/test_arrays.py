import numpy as np
import pytest
import torch

from neuroalign import arrays
from neuroalign.errors import InvalidValueError, ShapeError


def test_as_float_converts_integers_and_booleans_without_touching_them():
    x = np.array([[1, 2], [3, 4]])
    out = arrays.as_float(x, name="x", ndim=2)
    assert out.dtype == np.float64
    assert x.dtype == np.int64
    assert arrays.as_float(np.array([True]), name="x").tolist() == [1.0]


def test_as_float_says_where_the_first_bad_value_is():
    with pytest.raises(
        InvalidValueError, match=r"x must be finite; 2 of 4 values are not.*nan at position \(0, 1\)"
    ):
        arrays.as_float([[0.0, np.nan], [np.inf, 1.0]], name="x")


@pytest.mark.parametrize("bad", [np.array([1j]), np.array(["a"]), np.array([None])])
def test_as_float_refuses_what_is_no_real_number(bad):
    with pytest.raises(InvalidValueError, match="x must be real numbers; got dtype"):
        arrays.as_float(bad, name="x")


def test_as_float_refuses_other_dimensions():
    with pytest.raises(ShapeError, match=r"x must have 1 or 2 dimension\(s\); got shape \(1, 1, 1\)"):
        arrays.as_float(np.zeros((1, 1, 1)), name="x", ndim=(1, 2))


def test_arrays_survive_the_way_to_torch_and_back():
    x = np.arange(6.0).reshape(2, 3).T
    x.flags.writeable = False
    moved = arrays.to_torch(x)
    moved += 1
    assert np.array_equal(arrays.to_numpy(moved), x + 1)
    assert arrays.to_numpy(torch.ones(2, dtype=torch.bfloat16)).dtype == np.float32
    assert x[0, 0] == 0


def test_auto_takes_a_gpu_only_where_there_is_one():
    assert arrays.pick_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


def test_a_gpu_that_is_not_there_is_an_error():
    with pytest.raises(
        InvalidValueError, match=r"device 'cuda:99' was asked for, but \d+ CUDA devices are visible"
    ):
        arrays.pick_device("cuda:99")
    with pytest.raises(InvalidValueError, match="device must be"):
        arrays.pick_device("gpu")


def test_dtypes_go_by_name():
    assert arrays.torch_dtype("bfloat16") is torch.bfloat16
    with pytest.raises(InvalidValueError, match="dtype must be one of"):
        arrays.torch_dtype("float8")


def test_threads_are_those_of_torch():
    assert arrays.n_threads() == torch.get_num_threads()


def parts(rng, sizes, n_units=5):
    """Groups of values with a mean of 1,000 and a sd of 0.5, and their moments by two passes."""
    values = [1000 + 0.5 * rng.normal(size=(size, n_units)) for size in sizes]
    moments = [(len(x), x.mean(0), ((x - x.mean(0)) ** 2).sum(0)) for x in values]
    return np.concatenate(values), tuple(np.array(column) for column in zip(*moments, strict=True))


def test_merged_moments_are_those_of_all_values(rng):
    values, moments = parts(rng, [3, 1, 40, 7])
    n, mean, m2 = arrays.merge_moments(*moments)
    assert n == 51
    np.testing.assert_allclose(mean, values.mean(0), rtol=1e-14)
    np.testing.assert_allclose(m2, ((values - values.mean(0)) ** 2).sum(0), rtol=1e-10)


def test_groups_without_values_are_neutral_whatever_they_hold(rng):
    _, (n, mean, m2) = parts(rng, [3, 4])
    nothing = np.full((1, 5), np.nan)
    padded = np.append(0, n), np.concatenate([nothing, mean]), np.concatenate([nothing, m2])
    for found, expected in zip(arrays.merge_moments(*padded), arrays.merge_moments(n, mean, m2), strict=True):
        np.testing.assert_array_equal(found, expected)
    n, mean, m2 = arrays.merge_moments(np.zeros(2, dtype=int), np.zeros((2, 1)), np.ones((2, 1)))
    assert n == 0 and np.isnan(mean).all() and m2.tolist() == [0.0]


def test_moments_are_merged_for_many_groups_at_once(rng):
    pairs = [parts(rng, [2, 5])[1], parts(rng, [4, 1])[1]]
    together = arrays.merge_moments(*(np.stack(column, axis=1) for column in zip(*pairs, strict=True)))
    for k, pair in enumerate(pairs):
        for found, expected in zip(together, arrays.merge_moments(*pair), strict=True):
            np.testing.assert_array_equal(found[k], expected)


def test_moments_of_other_shapes_are_refused():
    with pytest.raises(ShapeError, match=r"moments must be n .*; got \(2,\), \(2, 3\), \(2, 4\)"):
        arrays.merge_moments(np.ones(2), np.ones((2, 3)), np.ones((2, 4)))

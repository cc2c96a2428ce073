"""CKA and its kin: closed forms, slow definitions, peers, and where peers differ."""

from __future__ import annotations

import itertools
import tracemalloc
from fractions import Fraction

import ckatorch
import numpy as np
import pytest
import repsim
import torch
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist, squareform

from neuroalign import similarity
from neuroalign.errors import InvalidValueError, ShapeError
from neuroalign.similarity import gram_sums, products


def related(n=41, d=6, e=5, seed=0, noise=0.5):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, d))
    return x, x @ rng.standard_normal((d, e)) + noise * rng.standard_normal((n, e))


def centring(n):
    return np.eye(n) - 1 / n


def slow_biased(k, l):  # noqa: E741
    h = centring(len(k))
    return np.trace(k @ h @ l @ h)


def slow_unbiased(k, l):  # noqa: E741
    """Song et al. 2012 by counting: the mean over ordered quadruples of distinct stimuli."""
    n, total, count = len(k), 0.0, 0
    for i, j, q, r in itertools.permutations(range(n), 4):
        total += k[i, j] * (l[i, j] + l[q, r] - 2 * l[i, q])
        count += 1
    return total / count


def ratio(h, k, l):  # noqa: E741
    return h(k, l) / np.sqrt(h(k, k) * h(l, l))


def rbf(x, sigma):
    return np.exp(-squareform(pdist(x, "sqeuclidean")) / (2 * sigma**2))


def test_cka_of_four_stimuli_by_hand():
    # Centred, x = (-1, -1, 1, 1) and y = (-1, 1, -1, 1) / 2 + (x): x'y = 4, |x|^2 = 4, |y|^2 = 5.
    x = np.array([[0.0], [0.0], [2.0], [2.0]])
    y = np.array([[-1.5], [-0.5], [0.5], [1.5]])
    assert float(similarity.cka(x, y)) == pytest.approx(16 / (4 * 5))


@pytest.mark.parametrize("n", [12, 41, 200])
def test_linear_cka_from_units_and_from_stimuli_is_the_definition(n):
    x, y = related(n, 30, 20)
    assert float(similarity.cka(x, y)) == pytest.approx(ratio(slow_biased, x @ x.T, y @ y.T), abs=1e-12)


def test_unbiased_cka_is_the_mean_over_quadruples():
    x, y = related(9, 3, 4)
    expected = ratio(slow_unbiased, x @ x.T, y @ y.T)
    assert float(similarity.cka(x, y, estimator="unbiased")) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("estimator", ["biased", "unbiased"])
def test_rbf_cka_is_the_definition(estimator):
    x, y = related(10)
    k, l = rbf(x, np.median(pdist(x))), rbf(y, np.median(pdist(y)))  # noqa: E741
    slow = {"biased": slow_biased, "unbiased": slow_unbiased}[estimator]
    found = similarity.cka(x, y, kernel="rbf", estimator=estimator)
    assert float(found) == pytest.approx(ratio(slow, k, l), abs=1e-12)


@pytest.mark.parametrize("sizes", [(41, 6, 5), (150, 300, 40)], ids=str)
def test_cka_agrees_with_repsim(sizes):
    x, y = related(*sizes)
    for ours, kernel in (("linear", "linear"), ("rbf", "rbf")):
        theirs = repsim.cka([x, y], kernel, "gretton")[0, 1]
        assert float(similarity.cka(x, y, kernel=ours)) == pytest.approx(theirs, abs=1e-10)


@pytest.mark.parametrize("unbiased", [False, True])
@pytest.mark.parametrize("n", [41, 151])
def test_cka_agrees_with_ckatorch(n, unbiased):
    x, y = related(n, 40, 30)
    theirs = ckatorch.cka_base(torch.from_numpy(x), torch.from_numpy(y), unbiased=unbiased).item()
    ours = similarity.cka(x, y, estimator="unbiased" if unbiased else "biased")
    assert float(ours) == pytest.approx(theirs, abs=1e-10)


def test_the_median_of_all_entries_is_that_of_ckatorch_for_odd_numbers():
    x, y = related(41)
    theirs = ckatorch.cka_base(torch.from_numpy(x), torch.from_numpy(y), kernel="rbf").item()
    assert float(similarity.cka(x, y, kernel="rbf", heuristic="median-all")) == pytest.approx(
        theirs, abs=1e-10
    )
    assert abs(float(similarity.cka(x, y, kernel="rbf")) - theirs) > 1e-5


@pytest.mark.parametrize("n", [3, 4, 7, 8])
def test_the_median_of_all_entries_counts_the_diagonal(n):
    x = np.random.default_rng(0).standard_normal((n, 2))
    whole = np.sqrt(np.median(squareform(pdist(x, "sqeuclidean"))))
    assert products.rbf_scale(x, 2.0, "median-all") == pytest.approx(2 * whole, abs=1e-12)
    assert products.rbf_scale(x, 2.0, "median") == pytest.approx(2 * np.median(pdist(x)), abs=1e-12)


def test_repsim_divides_an_unbiased_number_by_biased_ones():
    # Deviation: repsim's "song" is HSIC_u(K, L) / sqrt(HSIC_b(K, K) HSIC_b(L, L)): not an unbiased ratio.
    x, y = related()
    theirs = repsim.cka([x, y], "linear", "song")[0, 1]
    parts, biased = repsim.hsic([x, y], "linear", "song"), repsim.hsic([x, y], "linear", "gretton")
    assert theirs == pytest.approx(parts[0, 1] / np.sqrt(biased[0, 0] * biased[1, 1]), abs=1e-12)
    ours = float(similarity.cka(x, y, estimator="unbiased"))
    assert ours == pytest.approx(parts[0, 1] / np.sqrt(parts[0, 0] * parts[1, 1]), abs=1e-10)
    assert theirs < 0.9 * ours


def test_rv2_is_repsims_lange_where_its_denominator_is_lange_too():
    x, y = related()
    parts = repsim.hsic([x, y], "linear", "lange")
    assert float(similarity.rv2(x, y)) == pytest.approx(
        parts[0, 1] / np.sqrt(parts[0, 0] * parts[1, 1]), abs=1e-10
    )


@pytest.mark.parametrize("size", [8, 20])
def test_minibatch_cka_agrees_with_ckatorch(size):
    x, y = related(40)
    theirs = ckatorch.cka_batch(
        torch.from_numpy(x.reshape(-1, size, 6)), torch.from_numpy(y.reshape(-1, size, 5))
    ).item()
    found = similarity.minibatch_cka(x, y, batch_size=size)
    assert float(found) == pytest.approx(theirs, abs=1e-10)
    assert found.attrs["n_left_out"] == 0


def test_one_minibatch_is_unbiased_cka_and_the_rest_is_counted():
    x, y = related(20)
    whole = similarity.cka(x, y, estimator="unbiased")
    assert float(similarity.minibatch_cka(x, y, batch_size=20)) == pytest.approx(float(whole), abs=1e-12)
    assert similarity.minibatch_cka(x, y, batch_size=6).attrs["n_left_out"] == 2


def test_minibatches_of_labelled_rows_do_not_depend_on_their_order(rng):
    x, y = related(24)
    a, b = labelled(x), labelled(y)
    order = rng.permutation(24)
    first = similarity.minibatch_cka(a, b, batch_size=6)
    second = similarity.minibatch_cka(a.isel(stimulus=order), b, batch_size=6)
    assert float(first) == pytest.approx(float(second), abs=1e-12)


@pytest.mark.parametrize("estimator", ["biased", "unbiased"])
@pytest.mark.parametrize("cut", [(1, 2, 40), (50,), (3, 4)], ids=str)
def test_streamed_cka_is_cka_whatever_the_batches(estimator, cut):
    x, y = related(100)
    x, y = x + 1e4, y - 3.0
    streamed = similarity.StreamedCKA(estimator)
    for rows in np.split(np.arange(100), cut):
        streamed.update(x[rows], y[rows])
    whole = float(similarity.cka(x, y, estimator=estimator))
    assert float(streamed.value()) == pytest.approx(whole, abs=1e-9)
    assert streamed.value().attrs["n_stimuli"] == 100


def test_streamed_cka_refuses_other_units_and_no_rows():
    streamed = similarity.StreamedCKA()
    with pytest.raises(ShapeError, match="0 stimuli came in; at least 3"):
        streamed.value()
    streamed.update(np.ones((2, 3)), np.ones((2, 4)))
    with pytest.raises(ShapeError, match=r"must have \(3, 4\) units"):
        streamed.update(np.ones((2, 3)), np.ones((2, 5)))
    with pytest.raises(InvalidValueError, match="estimator must be one of 'biased', 'unbiased', 'minibatch'"):
        similarity.StreamedCKA("debiased")


@pytest.mark.parametrize("estimator", ["biased", "unbiased"])
def test_streaming_a_constant_representation_is_undefined(estimator):
    streamed = similarity.StreamedCKA(estimator)
    for _ in range(3):
        streamed.update(np.full((5, 2), 0.1), np.arange(10.0).reshape(5, 2))
    assert np.isnan(streamed.value()) and streamed.value().attrs["n_undefined"] == 1


def test_alignment_without_centring_is_ruled_by_an_offset():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 50, 4))
    k, l = x @ x.T, y @ y.T  # noqa: E741
    expected = (k * l).sum() / np.linalg.norm(k) / np.linalg.norm(l)
    assert float(similarity.kernel_alignment(x, y)) == pytest.approx(expected, abs=1e-12)
    assert float(similarity.kernel_alignment(x + 100, y + 100)) > 0.999
    assert float(similarity.cka(x + 100, y + 100)) < 0.3


def test_centred_alignment_and_rv_are_biased_cka():
    x, y = related()
    cka = float(similarity.cka(x, y))
    assert float(similarity.kernel_alignment(x, y, centre=True)) == cka
    assert float(similarity.rv(x, y)) == cka


def test_uncentred_rbf_alignment_is_the_definition():
    x, y = related(15)
    k, l = rbf(x, 2.0), rbf(y, 2.0)  # noqa: E741
    found = similarity.kernel_alignment(x, y, kernel="rbf", bandwidth=2.0, heuristic="fixed")
    assert float(found) == pytest.approx((k * l).sum() / np.linalg.norm(k) / np.linalg.norm(l), abs=1e-12)


def test_adjusted_rv_is_zero_on_average_over_all_orders():
    x, y = related(5, 2, 3)
    every = [similarity.rv(x, y[list(order)]) for order in itertools.permutations(range(5))]
    found = similarity.rv_adjusted(x, y)
    chance = float(np.mean(every))
    assert found.attrs["chance"] == pytest.approx(chance, abs=1e-12)
    assert float(found) == pytest.approx((float(similarity.rv(x, y)) - chance) / (1 - chance), abs=1e-12)


def test_a_wide_rbf_kernel_is_the_linear_one():
    x, y = related()
    wide = similarity.cka(x, y, kernel="rbf", bandwidth=1e4)
    assert float(wide) == pytest.approx(float(similarity.cka(x, y)), abs=1e-6)


def test_unbiased_cka_of_unrelated_wide_features_is_near_zero_where_biased_is_not():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 40, 400))
    assert float(similarity.cka(x, y)) > 0.9
    assert abs(float(similarity.cka(x, y, estimator="unbiased"))) < 0.1


@pytest.mark.parametrize("estimator", ["biased", "unbiased"])
@pytest.mark.parametrize("n", [12, 60])
def test_the_loss_is_the_metric(estimator, n):
    x, y = related(n, 20, 10)
    loss = similarity.cka_loss(torch.from_numpy(x), torch.from_numpy(y), estimator=estimator)
    assert 1 - loss.item() == pytest.approx(float(similarity.cka(x, y, estimator=estimator)), abs=1e-12)
    single = similarity.cka_loss(
        torch.from_numpy(x).float(), torch.from_numpy(y).float(), estimator=estimator
    )
    assert single.dtype == torch.float32
    assert 1 - single.item() == pytest.approx(float(similarity.cka(x, y, estimator=estimator)), abs=1e-6)


@pytest.mark.parametrize("estimator", ["biased", "unbiased"])
@pytest.mark.parametrize("n", [6, 14])
def test_the_gradient_of_the_loss_is_that_of_finite_differences(estimator, n):
    x, y = (torch.from_numpy(z).requires_grad_() for z in related(n, 5, 4))
    assert torch.autograd.gradcheck(lambda a, b: similarity.cka_loss(a, b, estimator=estimator), (x, y))


def test_training_with_the_loss_raises_cka():
    x, y = (torch.from_numpy(z) for z in np.random.default_rng(0).standard_normal((2, 30, 4)))
    x.requires_grad_()
    start = similarity.cka_loss(x, y).item()
    for _ in range(40):
        (slope,) = torch.autograd.grad(similarity.cka_loss(x, y), x)
        x = (x - 20 * slope).detach().requires_grad_()
    assert similarity.cka_loss(x, y).item() < 0.5 * start


def test_the_loss_refuses_what_the_metric_refuses():
    with pytest.raises(ShapeError, match=r"at least 4; got \(3, 2\) and \(3, 2\)"):
        similarity.cka_loss(torch.ones(3, 2), torch.ones(3, 2), estimator="unbiased")
    with pytest.raises(InvalidValueError, match="estimator must be one of"):
        similarity.cka_loss(torch.ones(5, 2), torch.ones(5, 2), estimator="both")


def test_features_of_a_gram_matrix_have_that_gram_matrix():
    x, y = related()
    features = similarity.features_of_gram(x @ x.T)
    assert features.shape == (41, 6)
    assert float(similarity.procrustes(features, y)) == pytest.approx(
        float(similarity.procrustes(x, y)), abs=1e-10
    )
    for dtype, digits in ((np.float32, 5), (np.float16, 2)):
        x3 = np.random.default_rng(3).standard_normal((6, 3)).astype(dtype)
        low = similarity.features_of_gram((x3 @ x3.T).astype(dtype))
        np.testing.assert_allclose(low @ low.T, x3.astype(float) @ x3.T.astype(float), atol=10.0**-digits)
    named = similarity.features_of_gram(rbf(x, 1.0), stimuli=np.arange(41))
    assert isinstance(named, xr.DataArray)
    with pytest.raises(InvalidValueError, match="1 negative eigenvalues"):
        similarity.features_of_gram(np.diag([1.0, -1.0]))
    with pytest.raises(InvalidValueError, match="symmetric"):
        similarity.features_of_gram(np.array([[1.0, 2.0], [0.0, 1.0]]))
    with pytest.raises(ShapeError, match="square"):
        similarity.features_of_gram(np.ones((2, 3)))


@pytest.mark.parametrize("scale", [1e-90, 1e90])
def test_sizes_whose_powers_leave_the_range_of_floats_change_nothing(scale):
    x, y = related()
    assert float(similarity.cka(scale * x, y)) == pytest.approx(float(similarity.cka(x, y)), abs=1e-12)


MEASURES = {
    "cka": lambda x, y: similarity.cka(x, y),
    "unbiased": lambda x, y: similarity.cka(x, y, estimator="unbiased"),
    "rv2": similarity.rv2,
    "rv_adjusted": similarity.rv_adjusted,
}


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "int16", "uint8", ">f4", "bool"])
@pytest.mark.parametrize("sizes", [(40, 300, 30), (700, 20, 30)], ids=["from stimuli", "from units"])
def test_every_dtype_is_centred_and_summed_as_float64(sizes, dtype):
    x, y = related(*sizes)
    x, y = (x > 0, y > 0) if dtype == "bool" else (20 * x + 128, 5 * y + 64)
    x, y = x.astype(dtype), y.astype(dtype)
    for name, measure in MEASURES.items():
        expected = float(measure(x.astype(np.float64), y.astype(np.float64)))
        assert float(measure(x, y)) == pytest.approx(expected, abs=1e-13), name


@pytest.mark.parametrize("sizes", [(12, 270, 9), (90, 4, 3)], ids=["from stimuli", "from units"])
@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_linear_cka_is_that_of_exact_sums_whatever_the_means(sizes, offset):
    x, y = related(*sizes)
    x, y = x / x.std() + offset, y / y.std() - offset
    whole = [[[Fraction(value) for value in unit] for unit in z.T.tolist()] for z in (x, y)]
    middle = [[[value - sum(unit) / len(unit) for value in unit] for unit in units] for units in whole]
    a, b = (np.array(units, dtype=np.longdouble).T for units in middle)
    k, l = a @ a.T, b @ b.T  # noqa: E741
    expected = float((k * l).sum() / np.sqrt((k * k).sum() * (l * l).sum()))
    assert float(similarity.cka(x, y)) == pytest.approx(expected, abs=1e-10)
    assert float(similarity.cka(x, y)) == pytest.approx(expected, abs=1e-13 * (1 + offset))


@pytest.mark.parametrize("name", [*MEASURES, "kernel_alignment"])
@pytest.mark.parametrize("dtype", ["float64", "float32", "int16"])
@pytest.mark.parametrize("sizes", [(700, 1500, 900), (1500, 300, 200)], ids=["from stimuli", "from units"])
def test_beside_the_inputs_one_gram_matrix_and_a_block_are_held(sizes, dtype, name):
    n, d, e = sizes
    rng = np.random.default_rng(0)
    x, y = ((100 * rng.standard_normal((n, units))).astype(dtype) for units in (d, e))
    x[:, : d // 2] = 0  # dead units are no reason for a copy either
    measure = {**MEASURES, "kernel_alignment": similarity.kernel_alignment}[name]
    if name == "rv2":  # labelled, in one order
        x, y = labelled(x), labelled(y)
    measure(x[:9], y[:9])
    tracemalloc.start()
    measure(x, y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    width = min(n, d + e)
    assert peak < 8 * (width**2 + 1.3 * max(256 * width, 2**18))


def test_wrong_choices_are_listed():
    x, y = related()
    with pytest.raises(InvalidValueError, match="kernel must be one of 'linear', 'rbf'; got 'poly'"):
        similarity.cka(x, y, kernel="poly")
    with pytest.raises(InvalidValueError, match="heuristic must be one of"):
        similarity.cka(x, y, heuristic="mean")
    with pytest.raises(InvalidValueError, match="bandwidth must be positive and finite; got 0"):
        similarity.cka(x, y, kernel="rbf", bandwidth=0)
    with pytest.raises(InvalidValueError, match="batch_size must be an integer from 4 to the 41 stimuli"):
        similarity.minibatch_cka(x, y, batch_size=3)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(4, 30), d=st.integers(1, 40), e=st.integers(1, 40))
def test_both_ways_to_the_products_are_those_of_whole_gram_matrices(seed, n, d, e):
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((n, d)), rng.standard_normal((n, e))
    k, l = x @ x.T, y @ y.T  # noqa: E741
    assert np.allclose(
        gram_sums.linear_inner(x, y), [(k * k).sum(), (k * l).sum(), (l * l).sum()], rtol=1e-12
    )
    h = centring(n)
    k, l = h @ k @ h, h @ l @ h  # noqa: E741
    found = gram_sums.linear_products(x, y)
    assert np.allclose(found.inner, [(k * k).sum(), (k * l).sum(), (l * l).sum()], rtol=1e-10)
    assert np.allclose(found.diagonals, [np.diag(k), np.diag(l)], rtol=1e-10)
    assert np.allclose([k.sum(1), l.sum(1)], found.rows, atol=1e-10)


def labelled(x, name="unit"):
    return xr.DataArray(x, dims=("stimulus", name), coords={"stimulus": [f"s{i:03}" for i in range(len(x))]})

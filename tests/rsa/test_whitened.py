"""Whitened comparison: the dense covariance written out, CKA, rsatoolbox, missing pairs, signal."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist

from neuroalign import rsa
from neuroalign.errors import InvalidValueError, LabelError, ShapeError
from neuroalign.rsa import whitening as module
from neuroalign.rsa.compare import compare_rows
from neuroalign.rsa.whitening import Whitening, as_whitening, whitened
from neuroalign.schema import align, make_rdm

N = 7
NAMES = [f"s{i}" for i in range(N)]
N_PAIRS = N * (N - 1) // 2
WHITENED = ["whitened-cosine", "whitened-pearson"]


def make(values, dim="rdm", names=NAMES):
    return make_rdm(np.asarray(values), names, dims=[dim])


def labelled(values, names=NAMES):
    values = np.asarray(values)
    dims = ("stimulus", "stimulus_b")[: values.ndim]
    return xr.DataArray(values, dims=dims, coords={dim: list(names) for dim in dims})


def contrasts(n=N):
    i, j = np.triu_indices(n, 1)
    return np.eye(n)[i] - np.eye(n)[j]


def dense(covariance, distances=None, n_folds=None):
    """The covariance of all distances, pairs x pairs, as Diedrichsen et al. write it."""
    c = contrasts(len(covariance))
    noise = c @ covariance @ c.T
    if distances is None:
        return noise * noise
    full = np.zeros(covariance.shape)
    full[np.triu_indices(len(covariance), 1)] = distances
    full += full.T
    signal = c @ (-0.5 * full) @ c.T
    return 4 / n_folds * signal * noise + 2 / (n_folds * (n_folds - 1)) * noise * noise


def slow(a, b, v, method, known=None):
    known = np.ones(len(v), dtype=bool) if known is None else known
    a, b, inverse = a[:, known], b[:, known], np.linalg.inv(v[np.ix_(known, known)])
    if method == "whitened-pearson":
        a, b = (x - x.mean(axis=1, keepdims=True) for x in (a, b))
    product = a @ inverse @ b.T
    lengths = [np.sqrt(np.einsum("ip,pq,iq->i", x, inverse, x)) for x in (a, b)]
    return product / np.outer(*lengths)


@pytest.fixture
def covariance(rng):
    factor = rng.standard_normal((N, 3 * N))
    return factor @ factor.T / (3 * N)


@pytest.fixture
def rows(rng):
    return rng.standard_normal((3, N_PAIRS)), rng.integers(0, 3, (4, N_PAIRS)).astype(float)


@pytest.mark.parametrize("method", WHITENED)
@pytest.mark.parametrize("form", ["identity", "diagonal", "full"])
def test_whitened_comparison_equals_the_dense_covariance(rows, covariance, method, form):
    given_, used = {
        "identity": (None, np.eye(N)),
        "diagonal": (labelled(np.diag(covariance)), np.diag(np.diag(covariance))),
        "full": (labelled(covariance), covariance),
    }[form]
    found = rsa.compare(make(rows[0]), make(rows[1]), method, covariance=given_)
    np.testing.assert_allclose(found, slow(*rows, dense(used), method), atol=1e-12)


@pytest.mark.parametrize("method", WHITENED)
def test_whitened_comparison_equals_rsatoolbox_within_its_conjugate_gradients(rows, covariance, method):
    from rsatoolbox.rdm import RDMs
    from rsatoolbox.rdm import compare as their_compare

    theirs = {"whitened-cosine": "cosine_cov", "whitened-pearson": "corr_cov"}[method]
    expected = their_compare(RDMs(rows[0]), RDMs(rows[1]), method=theirs, sigma_k=covariance)
    found = rsa.compare(make(rows[0]), make(rows[1]), method, covariance=labelled(covariance))
    np.testing.assert_allclose(found, expected, atol=1e-4)  # their relative tolerance is 1e-5


@given(seed=st.integers(0, 10_000), n_units=st.integers(1, 12))
@settings(max_examples=40, deadline=None)
def test_whitened_cosine_of_independent_patterns_is_linear_cka(seed, n_units):
    patterns = np.random.default_rng(seed).standard_normal((2, N, n_units))
    rdms = make([pdist(x, "sqeuclidean") for x in patterns])
    x, y = patterns - patterns.mean(axis=1, keepdims=True)
    cka = np.sum((x.T @ y) ** 2) / (np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y))
    assert float(rsa.compare(rdms, rdms, "whitened-cosine")[0, 1]) == pytest.approx(cka, abs=1e-12)


@pytest.mark.parametrize("method", WHITENED)
def test_only_differences_of_stimuli_and_no_scale_matter_in_the_covariance(rows, covariance, rng, method):
    shift = rng.standard_normal(N)
    other = 3.7 * covariance + shift[:, None] + shift[None, :]
    found = [rsa.compare(*map(make, rows), method, covariance=labelled(s)) for s in (covariance, other)]
    np.testing.assert_allclose(found[1], found[0], atol=1e-12)


@pytest.mark.parametrize("method", WHITENED)
def test_the_covariance_is_aligned_by_label_on_both_dims(rows, covariance, rng, method):
    expected = rsa.compare(*map(make, rows), method, covariance=labelled(covariance))
    first, second = rng.permutation(N), rng.permutation(N)
    shuffled = labelled(covariance).isel(stimulus=first, stimulus_b=second)
    found = rsa.compare(*map(make, rows), method, covariance=shuffled)
    np.testing.assert_allclose(found, expected, atol=1e-14)
    order = make_rdm(np.zeros(N_PAIRS), rng.permutation(NAMES))
    turned = [align(order, make(x))[1] for x in rows]
    np.testing.assert_allclose(rsa.compare(*turned, method, covariance=shuffled), expected, atol=1e-12)


@pytest.mark.parametrize("method", WHITENED)
@pytest.mark.parametrize("missing", [[4], [0, 5, 11, 20], list(range(2, 16)), [0, 1, 2, 3, 4, 5, 14]])
def test_missing_pairs_take_the_block_of_the_known_ones(rows, covariance, method, missing):
    # One pair, four, most of them (the block is then factored), a whole stimulus and one pair more.
    known = ~np.isin(np.arange(N_PAIRS), missing)
    a, b = (np.where(known, x, np.nan) for x in rows)
    found = rsa.compare(make(a), make(b), method, covariance=labelled(covariance))
    np.testing.assert_allclose(found, slow(*rows, dense(covariance), method, known), atol=1e-10)


def test_missing_pairs_equal_rsatoolbox(rows):
    from rsatoolbox.rdm import RDMs
    from rsatoolbox.rdm import compare as their_compare

    a, b = (np.where(np.isin(np.arange(N_PAIRS), [3, 8]), np.nan, x) for x in rows)
    expected = their_compare(RDMs(a), RDMs(b), method="cosine_cov")
    np.testing.assert_allclose(rsa.compare(make(a), make(b), "whitened-cosine"), expected, atol=1e-10)


def test_the_pairs_of_each_comparison_have_their_own_covariance(rows, covariance):
    a, b = rows[0].copy(), rows[1].copy()
    a[1, [2, 9]], b[3, [4]] = np.nan, np.nan
    found = rsa.compare(make(a), make(b), "whitened-cosine", covariance=labelled(covariance))
    whole = slow(*rows, dense(covariance), "whitened-cosine")
    np.testing.assert_allclose(found[[0, 2], :3], whole[[0, 2], :3], atol=1e-12)
    known = ~np.isin(np.arange(N_PAIRS), [2, 4, 9])
    expected = slow(rows[0][1:2], rows[1][3:], dense(covariance), "whitened-cosine", known)
    np.testing.assert_allclose(found[1, 3], expected[0, 0], atol=1e-12)


def test_too_many_missing_pairs_are_refused_rather_than_approximated(rows, monkeypatch):
    monkeypatch.setattr(module, "MAX_TABLE", 10)
    a = np.where(np.arange(N_PAIRS) == 4, np.nan, rows[0])
    with pytest.raises(InvalidValueError, match=r"1 of 21 pairs of 7 stimuli are missing.*rsa.subset"):
        rsa.compare(make(a), make(rows[1]), "whitened-cosine")


@pytest.mark.parametrize("method", WHITENED)
@pytest.mark.parametrize("missing", [[], [1, 8], list(range(4, 18))])
def test_signal_adds_its_term_to_the_covariance(rows, covariance, rng, method, missing):
    true = pdist(rng.standard_normal((N, 9)), "sqeuclidean")
    known = ~np.isin(np.arange(N_PAIRS), missing)
    a, b = (np.where(known, x, np.nan) for x in rows)
    found = rsa.compare(
        make(a),
        make(b),
        method,
        covariance=labelled(covariance),
        signal=make_rdm(true, NAMES),
        n_folds=4,
    )
    expected = slow(*rows, dense(covariance, true, 4), method, known)
    np.testing.assert_allclose(found, expected, atol=1e-10)


def test_no_signal_is_as_if_none_was_given(rows, covariance):
    zero = make_rdm(np.zeros(N_PAIRS), NAMES)
    found = [
        rsa.compare(*map(make, rows), "whitened-cosine", covariance=labelled(covariance), **more)
        for more in ({}, {"signal": zero, "n_folds": 3})
    ]
    np.testing.assert_allclose(found[1], found[0], atol=1e-12)


def test_the_covariance_with_signal_is_that_of_simulated_crossnobis_distances():
    rng = np.random.default_rng(3)
    n, n_units, n_folds, n_draws = 4, 40, 3, 6000
    factor = rng.standard_normal((n, 6))
    covariance = factor @ factor.T / 6
    truth = 0.7 * rng.standard_normal((n, n_units))
    noise = np.linalg.cholesky(covariance) @ rng.standard_normal((n_draws, n_folds, n, n_units))
    differences = contrasts(n) @ (truth + noise)
    total = differences.sum(axis=1)
    own = np.einsum("dfpu,dfpu->dp", differences, differences)
    distances = (np.einsum("dpu,dpu->dp", total, total) - own) / (n_folds * (n_folds - 1) * n_units)
    expected = dense(covariance, pdist(truth, "sqeuclidean") / n_units, n_folds) / n_units
    error = np.abs(np.cov(distances.T) - expected).max() / np.abs(expected).max()
    # The largest entry has a relative standard error of sqrt(2 / 6000) = .018.
    assert error < 0.07


def test_the_embedding_is_one_to_one_and_needs_no_table_of_pairs(rng):
    n = 60
    n_pairs = n * (n - 1) // 2
    units = whitened(np.eye(n_pairs)[:50], np.ones(n_pairs, dtype=bool))
    assert units.shape == (50, n_pairs)
    assert np.linalg.matrix_rank(units) == 50


@pytest.mark.parametrize("method", WHITENED)
def test_stacks_larger_than_a_chunk_give_the_same(rows, covariance, monkeypatch, method):
    whole = compare_rows(*rows, method, whitening=Whitening(covariance, covariance))
    monkeypatch.setattr(module, "CHUNK", 1)
    np.testing.assert_allclose(
        compare_rows(*rows, method, whitening=Whitening(covariance, covariance)), whole, atol=1e-14
    )


def test_riemannian_takes_the_covariance(rng, covariance):
    from rsatoolbox.rdm import RDMs
    from rsatoolbox.rdm import compare as their_compare

    values = np.array([pdist(x, "sqeuclidean") for x in rng.standard_normal((3, N, 15))])
    expected = their_compare(RDMs(values[:1]), RDMs(values[1:]), method="neg_riem_dist", sigma_k=covariance)
    found = rsa.compare(make(values[:1]), make(values[1:]), "riemannian", covariance=labelled(covariance))
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_a_covariance_that_is_none_is_refused(rows, covariance):
    a, b = map(make, rows)

    def compare(**given_):
        return rsa.compare(a, b, "whitened-cosine", **given_)

    with pytest.raises(ShapeError, match=r"must be a DataArray with dims .*; got ndarray"):
        compare(covariance=covariance)
    with pytest.raises(ShapeError, match=r"got \('a', 'b'\)"):
        compare(covariance=xr.DataArray(covariance, dims=("a", "b")))
    with pytest.raises(
        LabelError, match=r"1 of 7 labels of 'stimulus' are not in covariance \(stimulus\): 's6'"
    ):
        compare(covariance=labelled(covariance, [*NAMES[:6], "z"]))
    with pytest.raises(InvalidValueError, match="symmetric"):
        compare(covariance=labelled(np.triu(covariance)))
    with pytest.raises(InvalidValueError, match="2 variances are not positive"):
        compare(covariance=labelled([1.0, 2, 0, 1, -1, 1, 1]))
    with pytest.raises(InvalidValueError, match=r"positive definite for differences of stimuli.*Shrink"):
        compare(covariance=labelled(np.ones((N, N))))
    with pytest.raises(InvalidValueError, match="covariance must be finite; 1 of 49"):
        compare(covariance=labelled(np.where(np.arange(49).reshape(N, N) == 24, np.nan, covariance)))
    with pytest.raises(
        InvalidValueError, match=r"covariance belongs to whitened-cosine.*; the method is 'pearson'"
    ):
        rsa.compare(a, b, "pearson", covariance=labelled(covariance))


def test_a_signal_that_is_none_is_refused(rows):
    a, b = map(make, rows)
    true = make_rdm(np.ones(N_PAIRS), NAMES)
    with pytest.raises(InvalidValueError, match="signal and n_folds belong together"):
        rsa.compare(a, b, "whitened-cosine", signal=true)
    with pytest.raises(InvalidValueError, match="n_folds must be an integer of at least 2; got 1"):
        rsa.compare(a, b, "whitened-cosine", signal=true, n_folds=1)
    with pytest.raises(InvalidValueError, match="signal: with the covariance it gives no positive definite"):
        rsa.compare(a, b, "whitened-cosine", signal=-5 * true, n_folds=3)
    with pytest.raises(InvalidValueError, match="signal belongs to whitened-cosine, whitened-pearson"):
        rsa.compare(a, b, "riemannian", signal=true, n_folds=3)


def test_nothing_given_means_independent_patterns():
    assert as_whitening(np.array(NAMES)) is None

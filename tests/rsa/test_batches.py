"""Many samples at once: numbers under any unit, offset and block size, and what is done one by one."""

from __future__ import annotations

import numpy as np
import pytest

from neuroalign.rsa.batches import Ceilings, Scorer, pooled_bounds
from neuroalign.rsa.weighted import LINEAR, RANKED, sample_scores

N_STIMULI, N_SUBJECTS, N_MODELS = 7, 4, 3
N_PAIRS = 21
COUNTS = np.array(
    [[1, 1, 1, 1, 1, 1, 1], [2, 0, 1, 3, 0, 1, 0], [0, 4, 1, 1, 1, 0, 0], [1, 2, 0, 0, 2, 2, 1]]
)
SHARES = np.array([[1, 1, 1, 1], [2, 0, 1, 1], [0, 3, 1, 0], [1, 1, 2, 0]])


@pytest.fixture
def data(rng):
    return rng.random(N_PAIRS) + rng.random((N_SUBJECTS, N_PAIRS))


@pytest.fixture
def models(rng):
    return rng.random((N_MODELS, N_PAIRS))


def one_by_one(models, data, counts, shares, method, pooling="best"):
    scores = [sample_scores(models, data, c, method) for c in counts]
    bounds = [pooled_bounds(data, c, s, method, pooling) for c, s in zip(counts, shares, strict=True)]
    return np.array(scores), np.array(bounds)


def check(models, data, method, *, counts=COUNTS, shares=SHARES, pooling="best", atol=1e-12):
    scores, (bounds,) = Scorer(models, data, method, pooling).over_stimuli(counts, [shares])
    expected = one_by_one(models, data, counts, shares, method, pooling)
    np.testing.assert_allclose(scores, expected[0], rtol=0, atol=atol)
    np.testing.assert_allclose(bounds, expected[1], rtol=0, atol=atol)


@pytest.mark.parametrize("method", [*LINEAR, *RANKED])
@pytest.mark.parametrize("scale", [1e-180, 1e-9, 1e9, 1e150])
def test_no_number_depends_on_the_unit(models, data, method, scale):
    near, (bounds,) = Scorer(models, data, method).over_stimuli(COUNTS, [SHARES])
    far, (far_bounds,) = Scorer(models * scale, data / scale**0.9, method).over_stimuli(COUNTS, [SHARES])
    np.testing.assert_allclose(far, near, atol=1e-12)
    np.testing.assert_allclose(far_bounds, bounds, atol=1e-12)


@pytest.mark.parametrize("method", ["pearson", "whitened-pearson"])
def test_an_offset_that_all_pairs_share_costs_no_digit(models, data, method):
    check(models + 50.0, data + 50.0, method, atol=1e-13)


@pytest.mark.parametrize("pooling", ["best", "plain"])
@pytest.mark.parametrize("method", LINEAR)
@pytest.mark.parametrize("per_table", [1, 2, 5, 8, 100])
def test_no_number_depends_on_the_size_of_the_table(monkeypatch, models, data, method, pooling, per_table):
    monkeypatch.setattr("neuroalign.rsa.batches.TABLE", per_table * N_PAIRS)
    check(models, data, method, pooling=pooling)


@pytest.mark.parametrize("method", ["cosine", "pearson", "whitened-cosine", "whitened-pearson"])
def test_the_table_is_kept_where_it_fits(monkeypatch, models, data, method):
    # 10 products of subjects, 12 of models and subjects, 3 of models, and those of all 7 rows and of ones.
    n_products = 25 + (8 if method == "whitened-pearson" else 0)
    for size, fits in ((n_products * N_PAIRS, True), (n_products * N_PAIRS - 1, False)):
        monkeypatch.setattr("neuroalign.rsa.batches.TABLE", size)
        products = Scorer(models, data, method)._products
        assert (products.whole is not None) == fits
        assert len(products.left) == len(products.right) == n_products


def doubtful(models, data, method, counts):
    """Return which samples are done one by one, because digits were lost in what is done together."""
    return Scorer(models, data, method)._products.of(counts)[3].tolist()


@pytest.fixture
def flat(models, data, rng):
    """Models and data of which the first hardly vary over the first four stimuli: by a ten thousandth."""
    i, j = np.triu_indices(N_STIMULI, 1)
    where = (i < 4) & (j < 4)
    models[0, where] = 0.9 + 1e-4 * rng.random(where.sum())
    data[0, where] = 1.9 + 1e-4 * rng.random(where.sum())
    return models, data


FLAT = np.array([[1, 1, 1, 1, 0, 0, 0], [2, 1, 1, 2, 0, 0, 0], [1, 1, 1, 1, 1, 1, 1]])


@pytest.mark.parametrize("pooling", ["best", "plain"])
@pytest.mark.parametrize("method", LINEAR)
def test_a_sample_in_which_an_rdm_hardly_varies_keeps_its_digits(flat, method, pooling):
    check(*flat, method, counts=FLAT, shares=SHARES[:3], pooling=pooling, atol=1e-11)


@pytest.mark.parametrize("times", [1, 30, 1000])
@pytest.mark.parametrize("method", LINEAR)
def test_only_samples_that_lose_digits_are_done_one_by_one(flat, method, times):
    lost = method.endswith("pearson")
    assert doubtful(*flat, method, times * FLAT) == [lost, lost, False]
    assert doubtful(*(x[1:] for x in flat), method, times * FLAT) == [False] * 3


@pytest.mark.parametrize("method", LINEAR)
def test_an_rdm_of_nothing_is_not_done_one_by_one(models, data, method):
    models[1], data[2] = 0.0, 0.0
    assert doubtful(models, data, method, COUNTS[:1]) == [False]


@pytest.mark.parametrize("row", [0.0, 0.7])
@pytest.mark.parametrize("method", [*LINEAR, *RANKED])
def test_a_constant_rdm_has_no_score_where_its_method_has_none(models, data, method, row):
    models[1], data[2] = row, row
    check(models, data, method)
    scores, _ = Scorer(models, data, method).over_stimuli(COUNTS[:1], [])
    defined = row > 0 and method.endswith("cosine")
    assert np.isfinite(scores[0, 1]).all() == np.isfinite(scores[0, :, 2]).all() == defined
    assert np.isfinite(scores[0][np.ix_([0, 2], [0, 1, 3])]).all()


def test_bounds_of_two_subjects_by_hand():
    # Correlation c between two: alone, each meets the other; pooled, it meets the mean of both.
    c = 0.28
    both = Ceilings(np.array([[[1.0, c], [c, 1.0]]]), None)
    lower, upper = both.bounds(np.array([[1, 1]]))[0]
    assert (lower, upper) == (pytest.approx(c), pytest.approx((1 + c) / np.sqrt(2 + 2 * c)))
    # The first twice: the pool is 2 a + b, of squared length 5 + 4 c.
    lower, upper = both.bounds(np.array([[2, 1]]))[0]
    assert lower == pytest.approx(c)
    assert upper == pytest.approx(((2 + c) + (2 * c + 1)) / 2 / np.sqrt(5 + 4 * c))


def test_bounds_of_three_subjects_with_shares_by_hand():
    a, b, c = 0.5, 0.2, -0.1  # of 0 and 1, of 0 and 2, of 1 and 2
    similar = np.array([[1.0, a, b], [a, 1.0, c], [b, c, 1.0]])
    shares = np.array([[3, 1, 2], [0, 1, 2]])
    found = Ceilings(np.stack([similar, similar]), None).bounds(shares)
    for (lower, upper), share in zip(found, shares, strict=True):
        drawn = np.flatnonzero(share)
        rests = [np.where(np.arange(3) == s, 0, share) for s in drawn]
        slow = [similar[s] @ r / np.sqrt(r @ similar @ r) for s, r in zip(drawn, rests, strict=True)]
        assert lower == pytest.approx(np.mean(slow))
        assert upper == pytest.approx((similar[drawn] @ share / np.sqrt(share @ similar @ share)).mean())


def test_a_stretch_weighs_subjects_in_the_pool():
    similar = np.array([[[1.0, 0.5, 0.2], [0.5, 1.0, -0.1], [0.2, -0.1, 1.0]]])
    stretch, shares = np.array([[1.5, 0.25, 2.0]]), np.array([[2, 4, 1]])
    found = Ceilings(similar, stretch).bounds(shares)
    np.testing.assert_allclose(found, Ceilings(similar, None).bounds(shares * stretch), rtol=1e-13)


@pytest.mark.parametrize("share", [1, 3, 3_000_000])
def test_copies_of_one_subject_have_no_lower_bound(share):
    # The similarity of a subject with itself is 1 up to its last digit.
    for own in (1.0, np.nextafter(1, 0), np.nextafter(1, 2)):
        similar = np.array([[[own, 0.3], [0.3, 1.0]]])
        lower, upper = Ceilings(similar, None).bounds(np.array([[share, 0]]))[0]
        assert np.isnan(lower) and upper == pytest.approx(1.0)


def test_an_undefined_subject_counts_in_no_bound():
    similar = np.full((1, 3, 3), np.nan)
    similar[0, :2, :2] = [[1.0, 0.4], [0.4, 1.0]]
    found = Ceilings(similar, None).bounds(np.array([[1, 1, 5]]))[0]
    np.testing.assert_allclose(found, [0.4, 1.4 / np.sqrt(2.8)], rtol=1e-13)
    everyone = Ceilings(np.full((1, 2, 2), np.nan), None).bounds(np.array([[1, 1]]))
    assert np.isnan(everyone).all()


@pytest.mark.parametrize("method", ["pearson", "whitened-cosine", "spearman", "tau-a"])
def test_samples_of_subjects_have_the_scores_of_all_stimuli(models, data, method):
    scorer = Scorer(models, data, method)
    scores, bounds = scorer.over_subjects(SHARES)
    whole = np.ones((len(SHARES), N_STIMULI), dtype=int)
    expected = one_by_one(models, data, whole, SHARES, method)
    np.testing.assert_allclose(scores, expected[0][0], atol=1e-12)
    np.testing.assert_allclose(bounds, expected[1], atol=1e-12)
    scores, bounds = scorer.over_subjects(SHARES, ceiling=False)
    assert np.isfinite(scores).all() and bounds.shape == (4, 2) and np.isnan(bounds).all()


@pytest.mark.parametrize("method", ["pearson", "spearman", "tau-a"])
def test_several_samples_of_subjects_are_bounded_in_one_call(models, data, method):
    scorer = Scorer(models, data, method)
    _, (one, two) = scorer.over_stimuli(COUNTS, [SHARES, SHARES[::-1]])
    np.testing.assert_allclose(one, one_by_one(models, data, COUNTS, SHARES, method)[1], atol=1e-12)
    np.testing.assert_allclose(two, one_by_one(models, data, COUNTS, SHARES[::-1], method)[1], atol=1e-12)
    _, (nothing,) = scorer.over_stimuli(COUNTS, [SHARES], ceiling=False)
    assert np.isnan(nothing).all()

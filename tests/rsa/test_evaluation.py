"""Ceilings and evaluation: a slow loop, rsatoolbox, the 92 images, the listeners' windows."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
import xarray as xr

from neuroalign import datasets, rsa, stats
from neuroalign.errors import InvalidValueError, LabelError, ShapeError
from neuroalign.schema import make_rdm

NAMES = [f"s{i}" for i in range(10)]


@pytest.fixture
def data(rng):
    truth = rng.random(45)
    return make_rdm(
        truth + rng.random((5, 45)), NAMES, dims=["subject"], coords={"subject": ["a", "b", "c", "d", "e"]}
    )


@pytest.fixture
def models(data, rng):
    values = np.stack([data.values.mean(axis=0), rng.random(45)])
    return make_rdm(values, NAMES, dims=["model"], coords={"model": ["true", "random"]})


PEERS = {
    "cosine": "cosine",
    "pearson": "corr",
    "spearman": "spearman",
    "rho-a": "rho-a",
    "tau-a": "tau-a",
    "tau-b": "tau-b",
    "whitened-cosine": "cosine_cov",
    "whitened-pearson": "corr_cov",
}


@pytest.mark.filterwarnings("ignore:Noise ceiling for tau")
@pytest.mark.parametrize("method", list(PEERS))
def test_noise_ceiling_equals_rsatoolbox(data, method):
    from rsatoolbox.inference.noise_ceiling import boot_noise_ceiling
    from rsatoolbox.rdm import RDMs

    expected = boot_noise_ceiling(RDMs(data.values), method=PEERS[method])
    np.testing.assert_allclose(rsa.noise_ceiling(data, method, pooling="plain"), expected, atol=1e-10)


@pytest.mark.parametrize("method", ["whitened-cosine", "whitened-pearson"])
def test_the_plain_pool_of_whitened_rdms_is_no_upper_bound(method, rng):
    # Subject "b" is nearly additive: long before whitening, short after it. Pooled by plain lengths it counts
    # for little, and the best pool scores higher than what was called the upper bound.
    x = rng.standard_normal((3, 10))
    i, j = np.triu_indices(10, 1)
    rows = np.stack([rng.random(45), 50 * (x[1, i] ** 2 + x[1, j] ** 2) + rng.random(45), rng.random(45)])
    data = make_rdm(rows, NAMES, dims=["subject"], coords={"subject": ["a", "b", "c"]})
    best, plain = (
        rsa.noise_ceiling(data, method, pooling=how).sel(bound="upper") for how in ("best", "plain")
    )
    assert float(best) > float(plain) + 0.001


@pytest.mark.parametrize("method", ["bures", "riemannian"])
def test_second_moments_have_a_ceiling(rng, method):
    x = rng.standard_normal((4, 10, 30)) + rng.standard_normal((10, 30))
    i, j = np.triu_indices(10, 1)
    rows = ((x[:, i] - x[:, j]) ** 2).sum(axis=2)
    data = make_rdm(rows, NAMES, dims=["subject"], coords={"subject": ["a", "b", "c", "d"]})
    lower, upper = rsa.noise_ceiling(data, method).values
    assert lower < upper <= 1


def test_noise_ceiling_refuses_an_unknown_pooling(data):
    with pytest.raises(InvalidValueError, match="pooling must be one of 'best', 'plain'; got 'mean'"):
        rsa.noise_ceiling(data, pooling="mean")


def test_no_model_beats_the_upper_bound_of_correlation(data, rng):
    upper = float(rsa.noise_ceiling(data, "pearson").sel(bound="upper"))
    pooled = stats.standardize(data.values, axis=1).mean(axis=0)
    for _ in range(50):
        model = make_rdm((pooled + 0.1 * rng.standard_normal(45))[None], NAMES, dims=["model"])
        assert float(rsa.compare(model, data, "pearson").mean()) <= upper + 1e-12


def test_noise_ceiling_a_subject_averages_to_the_ceiling(data):
    whole = rsa.noise_ceiling(data, "spearman")
    parts = rsa.noise_ceiling(data, "spearman", per_subject=True)
    assert parts.dims == ("bound", "subject")
    np.testing.assert_allclose(parts.mean("subject"), whole)


def test_a_missing_pair_is_pooled_over_those_who_have_it(data):
    missing = data.copy(deep=True)
    missing[0, 7] = np.nan
    z = np.array([stats.standardize(row[~np.isnan(row)]) for row in missing.values[:1]])
    others = stats.standardize(data.values[1:], axis=1)
    pooled = (np.insert(z[0], 7, 0.0) + others.sum(axis=0)) / np.where(np.arange(45) == 7, 4, 5)
    found = rsa.noise_ceiling(missing, "pearson", per_subject=True)
    expected = np.corrcoef(data.values[2], pooled)[0, 1]
    assert float(found.sel(bound="upper", subject="c")) == pytest.approx(expected, abs=1e-12)


def test_a_constant_subject_is_counted_and_left_out(data):
    constant = data.copy(deep=True)
    constant[1] = 1.0
    found = rsa.noise_ceiling(constant, "pearson", per_subject=True)
    assert np.isnan(found.sel(subject="b")).all()
    assert found.attrs["n_undefined"] == 1
    assert np.isfinite(rsa.noise_ceiling(constant, "pearson")).all()


def test_noise_ceiling_refuses_one_subject_and_repeated_subjects(data):
    with pytest.raises(ShapeError, match="at least 2 along 'subject'; got 1"):
        rsa.noise_ceiling(data[:1])
    with pytest.raises(LabelError, match="repeated: 'a'"):
        rsa.noise_ceiling(data.isel(subject=[0, 0, 1]))
    with pytest.raises(ShapeError, match=r"must have dims \('subject', 'pair'\)"):
        rsa.noise_ceiling(data.rename(subject="session"))


def test_evaluate_equals_a_slow_loop(models, data):
    found = rsa.evaluate(models, data, "spearman")
    for i, model in enumerate(models.values):
        slow = [scipy.stats.spearmanr(model, row)[0] for row in data.values]
        np.testing.assert_allclose(found["score"][i], slow, atol=1e-12)
        assert float(found["estimate"][i]) == pytest.approx(np.mean(slow))


def test_evaluate_tells_a_true_model_from_a_random_one(models, data):
    found = rsa.evaluate(models, data, n_bootstrap=200, n_permutations=199, rng=np.random.default_rng(0))
    assert float(found["p"].sel(model="true")) == 1 / 200
    assert float(found["p"].sel(model="random")) > 1 / 200
    low, high = found["interval"].sel(model="true").values
    assert low < float(found["estimate"].sel(model="true")) < high
    assert found["p_fdr"].attrs["n_tests"] == 2


def test_permutation_of_stimuli_is_calibrated_on_unrelated_models(data, rng):
    names = [f"m{i}" for i in range(300)]
    x = rng.standard_normal((300, 10, 4))
    unrelated = rsa.rdm(
        xr.DataArray(x, dims=("model", "stimulus", "unit"), coords={"model": names, "stimulus": NAMES}),
        "euclidean",
    )
    p = rsa.evaluate(unrelated, data, n_permutations=199, rng=rng)["p"]
    # Models share the orders but not their values; 300 of them have a standard error of .013.
    assert 0.01 <= float((p <= 0.05).mean()) <= 0.10


def test_evaluate_is_decided_by_its_generator(models, data):
    def draw():
        rng = np.random.default_rng(5)
        return rsa.evaluate(models, data, n_bootstrap=20, n_permutations=20, rng=rng)

    xr.testing.assert_identical(draw(), draw())


def test_the_null_is_the_same_by_the_fast_and_the_slow_way(models, data):
    from neuroalign.rsa.evaluation import _null

    missing = data.values.copy()
    fast = _null(models.values, missing, "spearman", 9, np.random.default_rng(1))
    missing = np.concatenate(
        [missing, np.full((1, 45), np.nan)]
    )  # a subject with nothing, who counts nowhere
    slow = _null(models.values, missing, "spearman", 9, np.random.default_rng(1))
    np.testing.assert_allclose(fast, slow, atol=1e-12)


def test_evaluate_refuses_draws_without_a_generator(models, data):
    with pytest.raises(InvalidValueError, match="rng: a bootstrap or permutation test needs"):
        rsa.evaluate(models, data, n_bootstrap=10)


# Known values of the 92 images: four subjects, sessions averaged; computed with rsatoolbox 0.3.2.
KNOWN = {
    "pearson": (
        [0.387142, 0.281614, 0.333537, 0.259091, 0.152076, 0.024999, 0.115889, 0.036525],
        [0.394410, 0.680413],
    ),
    "spearman": (
        [0.386220, 0.276596, 0.296325, 0.245389, 0.159868, 0.026514, 0.096570, 0.038094],
        [0.372313, 0.665721],
    ),
    "tau-a": (
        [0.223028, 0.136915, 0.200864, 0.166116, 0.107260, 0.017927, 0.064688, 0.025876],
        [0.253944, 0.476654],
    ),
}


@pytest.mark.parametrize("method", list(KNOWN))
def test_the_eight_models_score_what_is_known_on_human_it(data_root, method):
    models = datasets.load("kriegeskorte92", what="models", root=data_root)
    human = datasets.load("kriegeskorte92", what="human_it", root=data_root).mean("session")
    found = rsa.evaluate(models, human, method)
    estimates, ceiling = KNOWN[method]
    np.testing.assert_allclose(found["estimate"], estimates, atol=1e-5)
    np.testing.assert_allclose(found["noise_ceiling"], ceiling, atol=1e-5)


def test_human_and_monkey_it_agree_as_published(data_root):
    both = datasets.load("kriegeskorte92", what="published", root=data_root)
    assert float(rsa.compare(both, both, "pearson")[0, 1]) == pytest.approx(0.4912, abs=5e-5)
    assert float(rsa.compare(both, both, "spearman")[0, 1]) == pytest.approx(0.4389, abs=5e-5)


def test_windows_of_the_story_have_the_known_ceiling(data_root):
    series = stats.prepare_series(datasets.load("alice_fmri", root=data_root))
    rdms = []
    for subject in np.unique(series.subject):
        patterns = rsa.window_patterns(series[:, series.subject.values == subject], 12)
        rdms.append(rsa.rdm(patterns).assign_coords(subject=subject))
    found = rsa.noise_ceiling(xr.concat(rdms, "subject"), "spearman")
    # 30 windows of 12 volumes, correlation distance over (time x region) of z-scored series: .30 to .38.
    np.testing.assert_allclose(found, [0.298, 0.380], atol=0.001)


# The smallest data


def test_ceilings_of_two_subjects_and_three_stimuli_by_hand():
    # Correlation of (1, 2, 3) and (1, 3, 2) is .5; with the mean of both at length 1 it is sqrt(3) / 2.
    data = make_rdm(
        np.array([[1.0, 2, 3], [1, 3, 2]]), NAMES[:3], dims=["subject"], coords={"subject": ["a", "b"]}
    )
    for method in ("pearson", "spearman"):
        found = rsa.noise_ceiling(data, method)
        np.testing.assert_allclose(found, [0.5, np.sqrt(3) / 2], atol=1e-12)
    models = make_rdm(
        np.array([[1.0, 2, 3], [3, 1, 2]]), NAMES[:3], dims=["model"], coords={"model": ["m", "n"]}
    )
    found = rsa.evaluate(models, data, "pearson")
    np.testing.assert_allclose(found["score"], [[1.0, 0.5], [-0.5, -1.0]], atol=1e-12)
    np.testing.assert_allclose(found["estimate"], [0.75, -0.75], atol=1e-12)


def test_two_stimuli_and_one_subject_are_refused(data):
    pair = make_rdm(np.ones((3, 1)), NAMES[:2], dims=["subject"], coords={"subject": ["a", "b", "c"]})
    with pytest.raises(ShapeError, match="comparing RDMs needs at least 3 stimuli"):
        rsa.noise_ceiling(pair)
    with pytest.raises(ShapeError, match="at least 2 along 'subject'; got 1"):
        rsa.evaluate(data[:2].rename(subject="model"), data[:1])


def test_a_model_without_any_score_has_no_estimate(models, data):
    x = models.copy(deep=True)
    x[1] = 3.0
    found = rsa.evaluate(x, data, "pearson")
    assert np.isfinite(found["estimate"][0]) and np.isnan(found["estimate"][1])
    assert found.attrs["n_undefined"] == 5
    y = data.copy(deep=True)
    y[2] = 0.5
    found = rsa.evaluate(models, y, "pearson")
    kept = found["score"].isel(subject=[0, 1, 3, 4])
    np.testing.assert_allclose(found["estimate"], kept.mean("subject"), rtol=1e-12)
    assert np.isnan(found["score"][:, 2]).all()

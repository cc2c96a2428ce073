"""Inference: weights against explicit resampling, rsatoolbox on the same draws, merging, refusals."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from neuroalign import io, stats
from neuroalign.errors import InvalidValueError, ShapeError
from neuroalign.rsa.batches import Scorer, pooled_bounds
from neuroalign.rsa.compare import compare_rows
from neuroalign.rsa.draws import draw
from neuroalign.rsa.evaluation import noise_ceiling
from neuroalign.rsa.inference import infer, merge_draws
from neuroalign.rsa.rank_batches import ranked_bounds
from neuroalign.rsa.weighted import explicit, pool, sample_scores, weighted_mid_ranks
from neuroalign.schema import make_rdm, square

PEERS = {
    "cosine": "cosine",
    "pearson": "corr",
    "whitened-cosine": "cosine_cov",
    "whitened-pearson": "corr_cov",
    "spearman": "spearman",
    "rho-a": "rho-a",
    "tau-a": "tau-a",
    "tau-b": "tau-b",
}
FAST = list(PEERS)[:6]
N_STIMULI, N_SUBJECTS = 10, 6
NAMES = [f"s{i}" for i in range(N_STIMULI)]


def sets(rng, *, ties: bool = False):
    """Return 3 models, of which one has ties, and data of 6 subjects."""
    truth = rng.random(45)
    rows = truth + rng.random((N_SUBJECTS, 45))
    models = np.stack([truth, rng.random(45), rng.random(45) > 0.5]).astype(float)
    if ties:
        rows, models = rows.round(1), models.round(1)
    data = make_rdm(rows, NAMES, dims=["subject"], coords={"subject": list("abcdef")})
    return make_rdm(models, NAMES, dims=["model"], coords={"model": ["true", "other", "ties"]}), data


@pytest.fixture
def models():
    return sets(np.random.default_rng(0))[0]


@pytest.fixture
def data():
    return sets(np.random.default_rng(0))[1]


def counts_of(rng, n: int = 12):
    """Return samples of stimuli, the first of which holds each once and the second one of them six times."""
    found = np.stack(
        [np.bincount(rng.integers(N_STIMULI, size=N_STIMULI), minlength=N_STIMULI) for _ in range(n)]
    )
    found[0] = 1
    found[1] = [6, 1, 1, 1, 1, 0, 0, 0, 0, 0]
    return found


def by_hand(a, b, drawn, method):
    """Return the score of two RDMs over the pairs of distinct stimuli in a list of drawn stimuli."""
    i, j = np.triu_indices(len(drawn), 1)
    keep = drawn[i] != drawn[j]
    x, y = (square(z)[drawn[i], drawn[j]][keep] for z in (a, b))
    if method == "cosine":
        return x @ y / np.sqrt((x @ x) * (y @ y))
    if method == "rho-a":
        x, y = (scipy.stats.rankdata(z) - (len(z) + 1) / 2 for z in (x, y))
        return 12 * x @ y / (len(x) ** 3 - len(x))
    if method.startswith("whitened"):
        i, j = i[keep], j[keep]
        x, y = (z - z.mean() if method == "whitened-pearson" else z for z in (x, y))
        same = lambda p, q: (p[:, None] == q[None]).astype(float)  # noqa: E731
        contrasts = same(i, i) - same(i, j) - same(j, i) + same(j, j)
        inverse = np.linalg.inv(contrasts**2)
        return x @ inverse @ y / np.sqrt((x @ inverse @ x) * (y @ inverse @ y))
    score = {"pearson": scipy.stats.pearsonr, "spearman": scipy.stats.spearmanr}[method]
    return score(x, y)[0]


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("method", FAST)
def test_weights_are_explicit_resampling(rng, method, ties):
    models, data = (x.values for x in sets(rng, ties=ties))
    counts = counts_of(rng)
    scores, _ = Scorer(models, data, method).over_stimuli(counts, [])
    for count, found in zip(counts, scores, strict=True):
        drawn = np.repeat(np.arange(N_STIMULI), count)
        slow = [[by_hand(a, b, drawn, method) for b in data] for a in models]
        np.testing.assert_allclose(found, slow, atol=1e-10)
        np.testing.assert_allclose(sample_scores(models, data, count, method), slow, atol=1e-10)
        table = compare_rows(explicit(models, count, method), explicit(data, count, method), method)
        np.testing.assert_allclose(table, slow, atol=1e-10)


@pytest.mark.parametrize("pooling", ["best", "plain"])
@pytest.mark.parametrize("method", FAST)
def test_ceilings_from_products_of_subjects_are_those_of_pooled_rdms(rng, method, pooling):
    data = sets(rng, ties=True)[1].values
    counts = counts_of(rng)
    shares = np.stack([np.bincount(rng.integers(6, size=6), minlength=6) for _ in counts])
    _, (fast,) = Scorer(data[:1], data, method, pooling).over_stimuli(counts, [shares])
    slow = [pooled_bounds(data, c, s, method, pooling) for c, s in zip(counts, shares, strict=True)]
    np.testing.assert_allclose(fast, slow, atol=1e-11)


def record_peer(data, models, method, n):
    """Return rsatoolbox's dual bootstrap and the draws that it made."""
    import rsatoolbox.inference.evaluate as peer
    from rsatoolbox.model import ModelFixed
    from rsatoolbox.rdm import RDMs

    drawn, original = {"subject": [], "stimulus": []}, peer.bootstrap_sample

    def spy(*args, **kwargs):
        sample, subjects, stimuli = original(*args, **kwargs)
        drawn["subject"].append(subjects)
        drawn["stimulus"].append(stimuli)
        return sample, subjects, stimuli

    np.random.seed(3)  # noqa: NPY002  (the peer draws from the global generator)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(peer, "bootstrap_sample", spy)
        each = [ModelFixed(str(i), row) for i, row in enumerate(models)]
        found = peer.eval_dual_bootstrap(each, RDMs(data), method=PEERS[method], N=n)
    return found, {name: np.array(index) for name, index in drawn.items()}


@pytest.mark.filterwarnings("ignore:Noise ceiling for tau")
@pytest.mark.parametrize("method", list(PEERS))
def test_recorded_draws_give_the_numbers_of_rsatoolbox(rng, method):
    models, data = sets(rng)
    models = models[:2]
    theirs, draws = record_peer(data.values, models.values, method, 12)
    ours = infer(models, data, method=method, draws=draws, pooling="plain")
    draws_of = ours["draw_estimate"].isel(repeat=0).transpose("draw", "model", "kind")
    np.testing.assert_allclose(draws_of, theirs.evaluations[:, :, 0, 0], atol=1e-10)
    bounds = ours["draw_ceiling"].isel(repeat=0).transpose("bound", "draw", "kind")
    np.testing.assert_allclose(bounds, theirs.noise_ceiling[:, :, 0], atol=1e-10)
    np.testing.assert_allclose(ours["variance"], theirs.model_var, atol=1e-10)
    np.testing.assert_allclose(ours["variance_difference"][0, 1], theirs.diff_var[0], atol=1e-10)
    np.testing.assert_allclose(ours["variance_ceiling"], theirs.noise_ceil_var, atol=1e-10)


@pytest.mark.parametrize("bootstrap", ["subject", "stimulus"])
def test_one_factor_has_the_variance_of_rsatoolbox(rng, bootstrap):
    from rsatoolbox.inference import eval_bootstrap_pattern, eval_bootstrap_rdm
    from rsatoolbox.model import ModelFixed
    from rsatoolbox.rdm import RDMs

    models, data = sets(rng)
    models = models[:2]
    # The peer's draws follow from the global generator: the same integers are drawn again here.
    size = {"subject": N_SUBJECTS, "stimulus": N_STIMULI}[bootstrap]
    np.random.seed(5)  # noqa: NPY002
    index = np.array([np.random.randint(0, size, size=size) for _ in range(15)])  # noqa: NPY002
    np.random.seed(5)  # noqa: NPY002
    call = {"subject": eval_bootstrap_rdm, "stimulus": eval_bootstrap_pattern}[bootstrap]
    each = [ModelFixed(str(i), row) for i, row in enumerate(models.values)]
    theirs = call(each, RDMs(data.values), method="corr", N=15)
    ours = infer(models, data, method="pearson", bootstrap=bootstrap, draws={bootstrap: index})
    np.testing.assert_allclose(ours["draw_estimate"][:, 0, 0], theirs.evaluations, atol=1e-12)
    np.testing.assert_allclose(ours["variance"], theirs.model_var, atol=1e-12)


def test_without_a_bootstrap_the_test_is_the_t_test_over_subjects(models, data):
    found = infer(models, data, method="pearson", bootstrap=None)
    expected = scipy.stats.ttest_1samp(found["score"], 0, axis=1, alternative="greater")
    np.testing.assert_allclose(found["zero_p"], expected.pvalue, atol=1e-12)
    paired = scipy.stats.ttest_rel(found["score"][0], found["score"][1])
    assert float(found["pairwise_p"][0, 1]) == pytest.approx(paired.pvalue)
    assert float(found["pairwise_t"][0, 1]) == pytest.approx(paired.statistic)
    lower = noise_ceiling(data, "pearson", per_subject=True).sel(bound="lower")
    against = scipy.stats.ttest_rel(found["score"][1], lower)
    assert float(found["ceiling_p"][1]) == pytest.approx(against.pvalue)
    assert "zero_p_bootstrap" not in found


def test_without_a_bootstrap_signs_of_subjects_are_flipped_too(models, data):
    found = infer(models, data, method="pearson", bootstrap=None)
    scores = found["score"].values.T
    expected = stats.p_value(scores.mean(axis=0), stats.sign_flips(scores))
    np.testing.assert_allclose(found["zero_p_flip"], expected)
    apart = scores[:, :1] - scores[:, 1:2]
    paired = stats.p_value(apart.mean(axis=0), stats.sign_flips(apart), tail="two-sided")
    assert float(found["pairwise_p_flip"][0, 1]) == float(found["pairwise_p_flip"][1, 0]) == float(paired[0])
    assert np.isnan(found["pairwise_p_flip"].values.diagonal()).all()
    assert (found["zero_p_flip_max"] >= found["zero_p_flip"]).all()


def test_signs_of_many_subjects_are_drawn_from_the_generator(models):
    rng = np.random.default_rng(3)
    many = make_rdm(
        rng.random((13, models.sizes["pair"])), NAMES, dims=["subject"], coords={"subject": np.arange(13)}
    )
    without = infer(models, many, method="pearson", bootstrap=None)
    assert "zero_p_flip" not in without
    one, two = (
        infer(models, many, method="pearson", bootstrap=None, rng=np.random.default_rng(0)) for _ in range(2)
    )
    np.testing.assert_array_equal(one["zero_p_flip"], two["zero_p_flip"])
    np.testing.assert_allclose(one["zero_p_flip"], one["zero_p"], atol=0.05)


def test_estimates_and_ceiling_are_those_of_the_data_as_they_are(models, data):
    found = infer(models, data, method="whitened-pearson", n=5, rng=np.random.default_rng(0))
    np.testing.assert_allclose(found["score"], compare_rows(models.values, data.values, "whitened-pearson"))
    np.testing.assert_allclose(found["noise_ceiling"], noise_ceiling(data, "whitened-pearson"), atol=1e-12)


@pytest.mark.parametrize("method", ["pearson", "spearman"])
def test_the_order_of_stimuli_never_matters(models, data, method):
    order = np.random.default_rng(1).permutation(N_STIMULI)
    i, j = np.triu_indices(N_STIMULI, 1)
    moved = make_rdm(
        square(models.values)[:, order[i], order[j]],
        np.array(NAMES)[order],
        dims=["model"],
        coords={"model": models["model"].values},
    )
    one, two = (infer(m, data, method=method, n=20, rng=np.random.default_rng(0)) for m in (models, moved))
    np.testing.assert_allclose(one["draw_estimate"], two["draw_estimate"], atol=1e-12)


@pytest.mark.parametrize("folds", [None, {"subject": 3}])
def test_two_halves_of_the_draws_merge_to_the_whole(models, data, folds, tmp_path):
    def run(**choices):
        return infer(models, data, method="pearson", rng=np.random.default_rng(4), folds=folds, **choices)

    n_permutations = 0 if folds else 8
    data_kept = run(n=12, n_permutations=n_permutations)
    first = run(n=5, n_permutations=n_permutations and 5)
    second = run(n=7, first=5, n_permutations=n_permutations and 3)
    io.save(first, tmp_path / "first.nc")
    merged = merge_draws(second, io.load(tmp_path / "first.nc"))
    assert merged.attrs == data_kept.attrs
    assert set(merged) == set(data_kept)
    for name in ("draw_subject", "draw_stimulus", "draw_redrawn"):
        np.testing.assert_array_equal(merged[name], data_kept[name])
    # A matrix product of another size may round its last digit another way.
    xr.testing.assert_allclose(merged, data_kept, rtol=1e-11, atol=1e-13)


def test_recorded_draws_of_a_result_give_the_result_again(models, data):
    whole = infer(models, data, n=6, rng=np.random.default_rng(2))
    again = infer(models, data, draws=whole)
    for name in ("draw_estimate", "draw_ceiling", "zero_p_bootstrap", "variance_difference"):
        np.testing.assert_array_equal(whole[name], again[name])
    one = infer(models, data, n=1, first=3, rng=np.random.default_rng(2))
    np.testing.assert_array_equal(one["draw_stimulus"][0], whole["draw_stimulus"][3])


def test_merging_refuses_other_analyses_and_repeated_draws(models, data):
    def run(seed=0, **choices):
        return infer(models, data, n=3, rng=np.random.default_rng(seed), **choices)

    with pytest.raises(InvalidValueError, match="draw 0, 1, 2 come twice: pass first="):
        merge_draws(run(), run())
    with pytest.raises(InvalidValueError, match="has seed"):
        merge_draws(run(), run(1))
    with pytest.raises(InvalidValueError, match="result 1 has metric 'pearson', the first 'spearman'"):
        merge_draws(run(), run(method="pearson"))
    with pytest.raises(InvalidValueError, match="at least 2 results; got 1"):
        merge_draws(run())


def test_degenerate_samples_are_drawn_again_and_counted():
    drawn = draw(400, first=0, seed=1, sizes=(3, 6), resampled="both")
    assert min(len(set(row)) for row in drawn.stimulus.tolist()) >= 3
    # 6 of 6 stimuli drawn: fewer than 3 distinct ones in (6 + 15 * 62) of 46,656 samples.
    assert drawn.redrawn.sum() == pytest.approx(400 * 936 / 46656, abs=8)
    assert drawn.redrawn.sum() > 0


def test_subjects_are_drawn_not_rows(models, data):
    found = infer(models, data, method="pearson", bootstrap="subject", n=30, rng=np.random.default_rng(0))
    for i in range(30):
        subjects = found["draw_subject"].values[i]
        expected = found["score"].values[:, subjects].mean(axis=1)
        np.testing.assert_allclose(found["draw_estimate"][i, 0, 0], expected, atol=1e-12)


def test_a_model_that_a_sample_leaves_constant_is_counted_not_zero(data):
    category = (np.array(NAMES) >= "s8").astype(float)  # two of ten stimuli: often not drawn
    i, j = np.triu_indices(N_STIMULI, 1)
    categories = (category[i] != category[j]).astype(float)
    model = make_rdm(categories[None], NAMES, dims=["model"], coords={"model": ["category"]})
    for method, n in (("pearson", 200), ("spearman", 200), ("rho-a", 200), ("tau-a", 40)):
        found = infer(model, data[:3], method=method, n=n, rng=np.random.default_rng(0))
        drawn = found["draw_stimulus"].values
        n_constant = sum(len({int(s >= 8) for s in row}) == 1 for row in drawn)
        assert n_constant > 0
        assert int(found["n_undefined_draws"][0]) == n_constant
        constant = np.array([len({int(s >= 8) for s in row}) == 1 for row in drawn])
        assert np.isnan(found["draw_estimate"].values[constant][:, 0, [0, 2]]).all()
        assert np.isfinite(found["draw_estimate"].values[~constant]).all()
        assert np.isfinite(found["zero_p_bootstrap"]).all()


def test_one_distinct_subject_has_no_lower_bound(models, data):
    draws = {"subject": np.zeros((2, 6), dtype=int), "stimulus": np.tile(np.arange(10), (2, 1))}
    draws["subject"][1] = np.arange(6)
    for method in ("pearson", "spearman", "tau-a"):
        bounds = infer(models, data, method=method, draws=draws)["draw_ceiling"].sel(kind="both")[:, 0]
        assert np.isnan(bounds[0, 0])
        assert float(bounds[0, 1]) == pytest.approx(1.0, abs=1e-12) or method == "tau-a"
        assert np.isfinite(bounds[1]).all()


def test_missing_pairs_take_the_slow_path_and_change_no_other_subject(models, data):
    missing = data.copy(deep=True)
    missing[0, 3] = np.nan
    whole, some = (
        infer(models, x, method="pearson", n=4, rng=np.random.default_rng(0)) for x in (data, missing)
    )
    np.testing.assert_allclose(some["score"][:, 1:], whole["score"][:, 1:], atol=1e-12)
    assert np.isfinite(some["draw_estimate"]).all()
    keep = ~np.isnan(missing.values[0])
    expected = np.corrcoef(models.values[0, keep], data.values[0, keep])[0, 1]
    assert float(some["score"][0, 0]) == pytest.approx(expected)


@pytest.mark.parametrize("method", ["bures", "tau-a"])
def test_methods_without_a_fast_path_are_inferred_too(rng, method):
    x = rng.standard_normal((8, 10, 12))
    i, j = np.triu_indices(10, 1)
    rows = ((x[:, i] - x[:, j]) ** 2).sum(axis=2)
    data = make_rdm(rows[:5], NAMES, dims=["subject"], coords={"subject": list("abcde")})
    models = make_rdm(rows[5:], NAMES, dims=["model"], coords={"model": list("xyz")})
    found = infer(models, data, method=method, n=3, rng=rng)
    assert np.isfinite(found["draw_estimate"]).all()
    assert (found["noise_ceiling"][0] <= found["noise_ceiling"][1]).all()
    with pytest.raises(InvalidValueError, match="riemannian is undefined for samples in which a stimulus"):
        infer(models, data, method="riemannian", n=3, rng=rng)


def test_the_best_pool_of_whitened_rdms_beats_the_plain_one_and_any_neighbour(data, rng):
    counts = np.ones(N_STIMULI, dtype=int)
    rows = data.values
    best, plain = (pool(rows, np.ones((1, 6)), counts, "whitened-cosine", how) for how in ("best", "plain"))
    mean = lambda rdm: sample_scores(rdm, rows, counts, "whitened-cosine").mean()  # noqa: E731
    assert mean(best) >= mean(plain) - 1e-14
    for _ in range(20):
        assert mean(best + 0.02 * rng.standard_normal(best.shape)) <= mean(best) + 1e-12


def test_permutations_agree_with_a_slow_loop_and_correct_over_models(models, data):
    found = infer(
        models, data, method="pearson", bootstrap=None, n_permutations=99, rng=np.random.default_rng(0)
    )
    null = found["permutation_estimate"].values
    observed = found["estimate"].values
    np.testing.assert_allclose(found["permutation_p"], (1 + (null >= observed).sum(axis=0)) / 100)
    largest = null.max(axis=1)[:, None]
    np.testing.assert_allclose(found["permutation_p_max"], (1 + (largest >= observed).sum(axis=0)) / 100)
    assert float(found["permutation_p"][0]) == 0.01
    assert (found["permutation_p_max"] >= found["permutation_p"]).all()


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"bootstrap": "rows"}, "bootstrap must be one of 'both', 'subject', 'stimulus', None; got 'rows'"),
        ({"method": "cosin"}, "method must be one of"),
        ({"pooling": "mean"}, "pooling must be one of 'best', 'plain'"),
        ({"alternative": "up"}, "alternative must be one of"),
        ({"n": 0}, "n must be an integer of at least 1; got 0"),
        ({"rng": None}, "rng: draws, folds and permutations need"),
        ({"draws": {"subject": np.zeros((2, 6), dtype=int)}}, "bootstrap='both' needs 'stimulus'"),
        ({"draws": {"subject": np.full((2, 6), 6), "stimulus": np.zeros((2, 10), int)}}, "positions 0 to 5"),
        ({"folds": {"voxel": 2}}, r"folds are over 'subject' and 'stimulus'; got \['voxel'\]"),
        ({"folds": {"stimulus": 4}}, "4 folds over stimulus need at least 12; got 10"),
        ({"folds": {"stimulus": 2}}, r"at least 12 stimuli \(twice the 6 distinct ones .* got 10"),
    ],
    ids=str,
)
def test_wrong_choices_are_refused(models, data, choices, message):
    with pytest.raises((InvalidValueError, ShapeError), match=message):
        infer(models, data, **{"rng": np.random.default_rng(0), **choices})


def test_too_few_subjects_or_stimuli_are_refused_with_numbers(models, data):
    rng = np.random.default_rng(0)
    with pytest.raises(ShapeError, match="at least 2 subjects; got 1"):
        infer(models, data[:1], rng=rng)
    few = make_rdm(data.values[:, :10], NAMES[:5], dims=["subject"], coords={"subject": list("abcdef")})
    some = make_rdm(models.values[:, :10], NAMES[:5], dims=["model"], coords={"model": list("xyz")})
    with pytest.raises(ShapeError, match=r"at least 6 stimuli .*; got 5"):
        infer(some, few, rng=rng)
    assert infer(some, few, bootstrap="subject", n=5, rng=rng).sizes["draw"] == 5
    one = infer(models, data[:1], bootstrap="stimulus", ceiling=False, n=20, rng=rng)
    assert "noise_ceiling" not in one
    assert np.isfinite(one["zero_p"]).all()


def test_one_model_has_no_pairs(models, data):
    found = infer(models[:1], data, n=5, rng=np.random.default_rng(0))
    assert "pairwise_p" not in found
    assert np.isfinite(found["zero_p_max"]).all()


def test_intervals_hold_the_estimate_and_agree_with_the_tests(models, data):
    found = infer(
        models, data, method="pearson", n=400, rng=np.random.default_rng(0), alternative="two-sided"
    )
    for name in ("interval", "interval_bootstrap"):
        assert (found[name][0] < found["estimate"]).all()
        assert (found[name][1] > found["estimate"]).all()
    for name, p in (("interval", "zero_p"), ("interval_bootstrap", "zero_p_bootstrap")):
        excludes = (found[name][0] > 0) | (found[name][1] < 0)
        clear = abs(found[p] - 0.05) > 0.01
        np.testing.assert_array_equal(excludes[clear], (found[p] < 0.05)[clear])


@given(st.lists(st.integers(0, 5), min_size=4, max_size=30), st.data())
def test_weighted_mid_ranks_are_the_ranks_of_repeated_entries(values, source):
    weights = source.draw(st.lists(st.integers(1, 4), min_size=len(values), max_size=len(values)))
    row, repeats = np.array(values, dtype=float), np.array(weights)
    expected = scipy.stats.rankdata(np.repeat(row, repeats))[np.cumsum(repeats) - 1]
    found = weighted_mid_ranks(row[None], repeats.astype(float))[0]
    np.testing.assert_allclose(found, expected)


def test_the_dual_variance_is_that_of_a_linear_statistic(rng):
    # A mean over subjects and stimuli of additive effects: the exact variance is known.
    n_subjects, n_stimuli = 8, 12
    a, b = rng.standard_normal(n_subjects), rng.standard_normal(n_stimuli)
    subject, stimulus = a.var() / n_subjects, b.var() / n_stimuli
    found = stats.dual_variance(subject + stimulus, subject, stimulus, n_subjects, n_stimuli)
    exact = a.var(ddof=1) / n_subjects + b.var(ddof=1) / n_stimuli
    assert float(found) == pytest.approx(min(exact, subject + stimulus))


def test_numbers_do_not_depend_on_chunks(models, data, monkeypatch):
    whole = infer(models, data, method="whitened-cosine", n=9, rng=np.random.default_rng(0))
    monkeypatch.setattr("neuroalign.rsa.resampling.CHUNK", 2)
    monkeypatch.setattr("neuroalign.rsa.batches.TABLE", 45 * 4)
    parts = infer(models, data, method="whitened-cosine", n=9, rng=np.random.default_rng(0))
    np.testing.assert_allclose(whole["draw_estimate"], parts["draw_estimate"], atol=1e-13)


def test_a_large_offset_loses_no_digits(models, data):
    far_models, far_data = models + 1e6, data + 1e6
    for method in ("pearson", "whitened-pearson"):
        near, far = (
            infer(m, d, method=method, n=10, rng=np.random.default_rng(0))
            for m, d in ((models, data), (far_models, far_data))
        )
        np.testing.assert_allclose(near["draw_estimate"], far["draw_estimate"], atol=1e-7)


def test_inputs_are_never_edited(models, data):
    before = models.copy(deep=True), data.copy(deep=True)
    for method in ("whitened-pearson", "spearman", "tau-b"):
        infer(models, data, method=method, n=3, rng=np.random.default_rng(0))
    xr.testing.assert_identical(models, before[0])
    xr.testing.assert_identical(data, before[1])


RECORDED = {"subject": np.zeros((3, 6), dtype=int), "stimulus": np.zeros((3, 10), dtype=int)}


@pytest.mark.parametrize(
    ("draws", "message"),
    [
        ({"subject": np.zeros((2, 6), int)}, "draws: 2 of one factor, 3 of stimulus"),
        ({"subject": np.zeros((3, 5), int)}, r"draws: subject must have shape \(draws, 6\); got \(3, 5\)"),
        ({"stimulus": np.zeros(10, int)}, r"draws: stimulus must have shape \(draws, 10\); got \(10,\)"),
        ({"stimulus": np.full((3, 10), 10)}, "draws: stimulus must hold positions 0 to 9"),
        ({"stimulus": np.zeros((3, 10))}, "draws: stimulus must hold positions 0 to 9"),
    ],
    ids=["numbers", "subjects", "dims", "range", "dtype"],
)
def test_recorded_draws_of_another_form_are_refused(models, data, draws, message):
    with pytest.raises((InvalidValueError, ShapeError), match=message):
        infer(models, data, draws={**RECORDED, **draws})


def test_recorded_draws_with_folds_hold_the_orders_too(models, data):
    folds = {"subject": 2}
    whole = infer(models, data, method="pearson", n=4, folds=folds, rng=np.random.default_rng(2))
    again = infer(models, data, method="pearson", draws=whole, folds=folds)
    for name in ("draw_estimate", "draw_ceiling", "zero_p_bootstrap", "estimate"):
        np.testing.assert_array_equal(whole[name], again[name])
    with pytest.raises(InvalidValueError, match=r"folds need 'subject_order' of shape \(3, 2, 6\)"):
        infer(models, data, draws=RECORDED, folds=folds, rng=np.random.default_rng(2))


def test_held_out_scores_come_without_a_ceiling_and_are_the_same(models, data):
    choices = {"method": "pearson", "bootstrap": "subject", "n": 3, "folds": {"subject": 2}}
    one, two = (
        infer(models, data, ceiling=c, rng=np.random.default_rng(0), **choices) for c in (True, False)
    )
    assert "noise_ceiling" in one and "noise_ceiling" not in two
    np.testing.assert_allclose(one["draw_estimate"], two["draw_estimate"], rtol=1e-12)


def test_samples_that_can_hardly_fill_the_folds_are_refused():
    with pytest.raises(ShapeError, match="a bootstrap over subjects needs at least 7 subjects; got 6"):
        draw(1, first=0, seed=0, sizes=(6, 20), resampled="both", folds=(7, 1))
    # All 20 of 20 drawn: 2 in 100 million samples.
    message = "draw 2: 10000 samples of 20 subjects and 6 stimuli had fewer than 20 distinct subjects or 3"
    with pytest.raises(ShapeError, match=message):
        draw(1, first=2, seed=0, sizes=(20, 6), resampled="subject", folds=(20, 1))


def test_results_of_other_data_are_not_merged(models, data):
    def run(first, rdms):
        return infer(models, rdms, n=2, first=first, rng=np.random.default_rng(0))

    with pytest.raises(InvalidValueError, match="result 1 has another 'score' than the first: the data"):
        merge_draws(run(0, data), run(2, data + 0.5 * data[::-1].values))


def test_data_of_other_dims_and_folds_that_are_no_number_are_refused(models, data):
    with pytest.raises(ShapeError, match=r"must have dims \('subject', 'pair'\); got \('rdm', 'pair'\)"):
        infer(models, data.rename(subject="rdm"), n=2, rng=np.random.default_rng(0))
    with pytest.raises(InvalidValueError, match="folds over subject must be a positive integer; got 0"):
        infer(models, data, folds={"subject": 0}, n=2, rng=np.random.default_rng(0))
    with pytest.raises(ShapeError, match=r"models must have dims \('model', 'pair'\); got \('rdm', 'pair'\)"):
        infer(models.rename(model="rdm"), data, n=2, rng=np.random.default_rng(0))


def test_one_model_is_tested_by_flips_and_has_no_pairs(models, data):
    found = infer(models[:1], data, bootstrap=None)
    assert "pairwise_p_flip" not in found
    # All six scores of the true model are positive: only all flips kept reach the mean, 1 of 64.
    assert (found["score"] > 0).all() and float(found["zero_p_flip"][0]) == 1 / 64


@pytest.mark.parametrize("times", [1, 5])
@pytest.mark.parametrize("method", ["pearson", "spearman", "rho-a"])
def test_a_sample_of_two_stimuli_has_no_score(models, data, method, times):
    counts = np.array([times, times, *[0] * 8])
    assert np.isnan(sample_scores(models.values, data.values, counts, method)).all()


@pytest.mark.parametrize("method", ["spearman", "rho-a"])
def test_bounds_depend_on_the_shares_of_subjects_only(data, method):
    weights = np.ones(45, dtype=np.int64)
    doubled = (2 * scipy.stats.rankdata(data.values, axis=1)).astype(np.int64)
    centred = doubled - 46.0
    shares = np.array([1, 2, 1, 0, 1, 1])
    options = (doubled, centred, (centred**2).sum(axis=1), weights)
    one, two = (ranked_bounds(*options, shares * scale, method) for scale in (1, 2**50))
    np.testing.assert_allclose(one, two, rtol=1e-12)
    assert 0 < one[0] < one[1] <= 1


# The smallest data and what a choice costs


def test_two_subjects_are_enough_for_a_ceiling_and_tests(models, data):
    found = infer(models, data[:2], method="pearson", bootstrap=None)
    expected = scipy.stats.ttest_1samp(found["score"], 0, axis=1, alternative="greater")
    np.testing.assert_allclose(found["zero_p"], expected.pvalue, atol=1e-12)
    lower = np.corrcoef(data.values[:2])[0, 1]
    np.testing.assert_allclose(found["noise_ceiling"], [lower, (1 + lower) / np.sqrt(2 + 2 * lower)])
    assert infer(models, data[:2], n=3, rng=np.random.default_rng(0)).sizes["draw"] == 3


@pytest.mark.parametrize("bootstrap", [None, "subject", "both"])
def test_one_subject_is_refused_but_for_new_stimuli_without_a_ceiling(models, data, bootstrap):
    message = "tests over subjects need at least 2 subjects; got 1. For one, pass bootstrap='stimulus'"
    with pytest.raises(ShapeError, match=message):
        infer(models, data[:1], bootstrap=bootstrap, ceiling=False, n=2, rng=np.random.default_rng(0))
    with pytest.raises(ShapeError, match=message):
        infer(models, data[:1], bootstrap="stimulus", n=2, rng=np.random.default_rng(0))


@pytest.mark.parametrize(("n", "draws_signs"), [(12, False), (13, True)])
def test_up_to_12_subjects_take_no_number_from_the_generator(models, n, draws_signs):
    rows = np.random.default_rng(1).random((n, 45))
    many = make_rdm(rows, NAMES, dims=["subject"], coords={"subject": np.arange(n)})
    rng = np.random.default_rng(0)
    found = infer(models, many, method="pearson", bootstrap=None, rng=rng)
    assert "zero_p_flip" in found
    assert (found.attrs["seed"] >= 0) == draws_signs
    assert (rng.integers(2**40) == np.random.default_rng(0).integers(2**40)) != draws_signs


def test_the_fewest_subjects_and_stimuli_that_fill_the_folds(models, data):
    rng = np.random.default_rng(0)
    found = infer(
        models, data, method="pearson", bootstrap=None, folds={"stimulus": 3, "subject": 6}, rng=rng
    )
    assert np.isfinite(found["score"]).all()
    nine = make_rdm(data.values[:, :36], NAMES[:9], dims=["subject"], coords={"subject": list("abcdef")})
    of_nine = make_rdm(models.values[:, :36], NAMES[:9], dims=["model"], coords={"model": list("xyz")})
    found = infer(of_nine, nine, method="pearson", bootstrap=None, folds={"stimulus": 3}, rng=rng)
    assert np.isfinite(found["score"]).all()
    with pytest.raises(ShapeError, match="4 folds over stimulus need at least 12; got 9"):
        infer(of_nine, nine, bootstrap=None, folds={"stimulus": 4}, rng=rng)
    with pytest.raises(ShapeError, match="7 folds over subject need at least 7; got 6"):
        infer(models, data, bootstrap=None, folds={"subject": 7}, rng=rng)


def test_one_fold_is_no_fold(models, data):
    found = infer(models, data, method="pearson", bootstrap=None, folds={"subject": 1, "stimulus": 1})
    xr.testing.assert_identical(found, infer(models, data, method="pearson", bootstrap=None))


def test_recorded_draws_bring_their_seed_also_where_it_is_0(models, data):
    folds = {"subject": 2}
    whole = infer(models, data, method="pearson", n=2, folds=folds, rng=np.random.default_rng(2))
    zero = whole.assign_attrs(seed=0)
    assert infer(models, data, method="pearson", draws=zero, folds=folds).attrs["seed"] == 0
    with pytest.raises(InvalidValueError, match="rng: draws, folds and permutations need"):
        infer(models, data, method="pearson", draws=whole.assign_attrs(seed=-1), folds=folds)


def test_permutations_are_numbered_from_first_and_depend_on_their_number(models, data):
    def run(n, first):
        return infer(
            models, data, method="pearson", bootstrap=None, n_permutations=n, first=first,
            rng=np.random.default_rng(0),
        )["permutation_estimate"]  # fmt: skip

    whole, part = run(6, 0), run(2, 3)
    assert whole.permutation.values.tolist() == [0, 1, 2, 3, 4, 5]
    assert part.permutation.values.tolist() == [3, 4]
    np.testing.assert_allclose(part, whole[3:5], atol=1e-13)


def test_three_results_merge_and_the_third_is_checked_too(models, data):
    def run(first, seed=0):
        return infer(models, data, method="pearson", n=2, first=first, rng=np.random.default_rng(seed))

    merged = merge_draws(run(4), run(0), run(2))
    assert merged.draw.values.tolist() == [0, 1, 2, 3, 4, 5]
    with pytest.raises(InvalidValueError, match="result 2 has seed"):
        merge_draws(run(0), run(2), run(4, seed=1))
    with pytest.raises(InvalidValueError, match="draw 2 come twice"):
        merge_draws(run(1), run(2).isel(draw=[0]))
    with pytest.raises(InvalidValueError, match="result 1 has another 'score' than the first"):
        merge_draws(run(0), run(2).isel(model=[0, 1]))


def test_a_subject_without_a_score_leaves_a_degree_of_freedom_less(models, data):
    data = data.copy(deep=True)
    data[2] = 0.5  # an RDM without variance correlates with nothing
    found = infer(models, data, method="pearson", bootstrap=None, ceiling=False)
    scores = found["score"].values
    assert np.isnan(scores[:, 2]).all() and np.isfinite(np.delete(scores, 2, axis=1)).all()
    known = np.delete(scores, 2, axis=1)
    expected = scipy.stats.ttest_1samp(known, 0, axis=1, alternative="greater").pvalue
    np.testing.assert_allclose(found["zero_p"], expected, rtol=1e-9)
    pair = scipy.stats.ttest_rel(known[0], known[1]).pvalue
    assert float(found["pairwise_p"][0, 1]) == pytest.approx(pair, rel=1e-9)


def test_draws_of_a_subject_without_a_score_are_corrected_by_the_others_number(models, data):
    """The variance of draws of 5 subjects is 5 / 4 too small, whoever else was in the study."""
    data = data.copy(deep=True)
    data[2] = 0.5
    options = {"method": "pearson", "bootstrap": "subject", "n": 4000, "ceiling": False}
    found = infer(models, data, rng=np.random.default_rng(0), **options)
    known = np.delete(found["score"].values, 2, axis=1)
    np.testing.assert_allclose(found["variance"], known.var(axis=1, ddof=1) / 5, rtol=0.25)
    half = scipy.stats.t.ppf(0.975, stats.effective_dof(4, 4000)) * np.sqrt(found["variance"].values)
    np.testing.assert_allclose(found["interval"].sel(bound="upper") - found["estimate"], half, rtol=1e-9)

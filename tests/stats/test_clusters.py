"""Cluster tests: clusters by hand, a slow search, mne's test, TFCE, laws of labels, rates on null data."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import scipy.signal
import scipy.sparse
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter1d

from neuroalign import stats
from neuroalign.errors import InvalidValueError, LabelError, ShapeError
from neuroalign.stats.adjacency import neighbour_pairs
from neuroalign.stats.cluster_labels import enhanced, find_clusters, spread


def scores(values, **coords):
    """Values (subject, time), or (subject, neuroid, time), as labelled scores."""
    values = np.asarray(values, dtype=float)
    dims = ("subject", "time") if values.ndim == 2 else ("subject", "neuroid", "time")
    made = {"subject": np.arange(len(values)), "time": np.arange(values.shape[-1]) / 100}
    if values.ndim == 3:
        made["neuroid"] = [f"E{i}" for i in range(values.shape[1])]
    return xr.DataArray(values, dims=dims, coords=made | coords)


def chain(n):
    near = np.zeros((n, n), dtype=bool)
    near[np.arange(n - 1), np.arange(1, n)] = True
    return near | near.T


def smooth(shape, seed, width=3):
    return gaussian_filter1d(np.random.default_rng(seed).standard_normal(shape), width, axis=-1)


def flood(mask, near):
    """Labels of the connected parts of a mask (place, time), by walking from sample to sample."""
    label, n = np.zeros(mask.shape, dtype=int), 0
    for start in zip(*np.nonzero(mask), strict=True):
        if label[start]:
            continue
        n += 1
        todo = [start]
        while todo:
            place, time = todo.pop()
            if label[place, time]:
                continue
            label[place, time] = n
            beside = [(place, t) for t in (time - 1, time + 1) if 0 <= t < mask.shape[1]]
            beside += [(p, time) for p in np.flatnonzero(near[place])]
            todo += [at for at in beside if mask[at] and not label[at]]
    return label


def partition(label):
    """The parts of a labelling, whatever their numbers."""
    return {tuple(np.flatnonzero(label.reshape(-1) == k)) for k in np.unique(label[label > 0])}


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), n_places=st.integers(1, 6), share=st.floats(0.1, 0.8))
def test_clusters_are_those_of_a_walk_from_sample_to_sample(seed, n_places, share):
    rng = np.random.default_rng(seed)
    masks = rng.random((3, n_places, 9)) < share
    values = rng.random(masks.shape)
    near = np.triu(rng.random((n_places, n_places)) < 0.4, 1)
    near |= near.T
    found = find_clusters(values, masks, np.argwhere(np.triu(near)))
    label = spread(found, np.arange(1, len(found.owner) + 1), masks.shape)
    for i, mask in enumerate(masks):
        assert partition(label[i]) == partition(flood(mask, near))
    for k, (owner, mass, size) in enumerate(zip(found.owner, found.mass, found.size, strict=True), start=1):
        assert mass == pytest.approx(values[label == k].sum()) and size == (label == k).sum()
        assert (np.nonzero(label == k)[0] == owner).all()


def test_masses_and_p_of_three_subjects_by_hand():
    # Means 2, 2, 0, -2 above 1.5; of the 8 patterns of signs the data's own and its mirror are heaviest.
    values = (
        np.array([[1, 2, 1, -2], [2, 2, -1, -2], [3, 2, 0, -2]], dtype=float) + 1e-3 * np.arange(3)[:, None]
    )
    found = stats.cluster_test(scores(values), statistic="mean", threshold=1.5)
    assert found["label"].values.tolist() == [1, 1, 0, 2]
    np.testing.assert_allclose(found["mass"], [4.002, -1.999], atol=1e-9)
    assert found["p_cluster"].values.tolist() == [0.25, 0.25]
    np.testing.assert_array_equal(found["p"], [0.25, 0.25, np.nan, 0.25])
    assert found["start"].values.tolist() == [0.0, 0.03] and found["stop"].values.tolist() == [0.01, 0.03]
    assert found.attrs["n_clusters"] == 2 and found.attrs["n_draws"] == 7 and found.attrs["exact"]


@pytest.mark.parametrize("tail", ["greater", "less", "two-sided"])
@pytest.mark.parametrize("weights", ["sum", "size"])
def test_p_is_that_of_every_pattern_of_signs_made_one_by_one(tail, weights):
    values = smooth((6, 40), 1)
    values[:, 10:20] += 0.3
    values[:, 28:34] -= 0.25
    bar = 1.8

    def heaviest(x):
        t = x.mean(0) / (x.std(0, ddof=1) / np.sqrt(len(x)))
        most = [0.0]
        for side in {"greater": [1], "less": [-1], "two-sided": [1, -1]}[tail]:
            label = flood((side * t >= bar)[None], np.zeros((1, 1)))[0]
            for k in range(1, label.max() + 1):
                most.append((side * t[label == k]).sum() if weights == "sum" else (label == k).sum())
        return max(most)

    null = np.array([heaviest(values * np.array(s)[:, None]) for s in product([1, -1], repeat=6)])
    found = stats.cluster_test(scores(values), threshold=bar, tail=tail, weights=weights)
    weight = np.abs(found["mass"]) if weights == "sum" else found["size"]
    expected = (null >= weight.values[:, None] * (1 - 1e-9)).mean(axis=1)
    np.testing.assert_allclose(found["p_cluster"], expected, atol=1e-12)
    np.testing.assert_allclose(np.sort(found["null_maximum"]), np.sort(null[1:]), atol=1e-9)


def test_the_default_threshold_is_students_quantile():
    values = smooth((9, 30), 2)
    two, one = (
        stats.cluster_test(scores(values), tail=tail).attrs["threshold"] for tail in ("two-sided", "less")
    )
    assert two == pytest.approx(2.306004, abs=1e-6) and one == pytest.approx(1.859548, abs=1e-6)
    strict = stats.cluster_test(scores(values), forming=0.01).attrs["threshold"]
    assert strict == pytest.approx(3.355387, abs=1e-6)


@pytest.mark.parametrize("sensors", [1, 5])
def test_clusters_masses_and_p_are_mnes(sensors):
    mne = pytest.importorskip("mne", reason="the eeg extra is not installed")
    values = smooth((10, sensors, 60), 3)
    values[:, :2, 20:40] += 0.2
    near = chain(sensors)
    data = values.transpose(0, 2, 1) if sensors > 1 else values[:, 0]
    adjacency = scipy.sparse.csr_array(near) if sensors > 1 else None
    t, parts, p, null = mne.stats.permutation_cluster_1samp_test(
        data,
        threshold=2.262,
        n_permutations=1024,
        adjacency=adjacency,
        out_type="mask",
        seed=0,
        verbose="ERROR",
    )
    found = stats.cluster_test(scores(values), adjacency=near, threshold=2.262)
    t = t.reshape(60, sensors).T
    np.testing.assert_allclose(found["statistic"], t, rtol=1e-9)
    masks = [part.reshape(60, sensors).T if sensors > 1 else _slice(part) for part in parts]
    order = np.argsort([-abs(t[mask].sum()) for mask in masks], kind="stable")
    np.testing.assert_allclose(found["mass"], [t[masks[i]].sum() for i in order], rtol=1e-9)
    assert partition(found["label"].values) == {tuple(np.flatnonzero(mask.reshape(-1))) for mask in masks}
    # mne leaves one half of the mirrored patterns out and counts the data's own another way.
    np.testing.assert_allclose(found["p_cluster"], p[order], atol=2 / 512)
    assert len(null) in (511, 512)


def _slice(part):
    mask = np.zeros((1, 60), dtype=bool)
    mask[0, part[0] if isinstance(part, tuple) else part] = True
    return mask


def test_p_of_draws_is_that_of_all_patterns_within_monte_carlo_error(monkeypatch):
    values = smooth((12, 2, 40), 4)
    values[:, 0, 10:20] += 0.15
    every = stats.cluster_test(scores(values))
    monkeypatch.setattr("neuroalign.stats.flips.ENUMERATED", 11)
    drawn = stats.cluster_test(scores(values), n=4000, rng=np.random.default_rng(0))
    np.testing.assert_allclose(drawn["p_cluster"], every["p_cluster"], atol=0.03)
    assert drawn.attrs["n_draws"] == 4000 and drawn["null_maximum"].dims == ("draw",)
    with pytest.raises(InvalidValueError, match="pass n, how many are drawn, and rng"):
        stats.cluster_test(scores(values))


def test_tfce_of_a_step_and_of_a_ramp_by_hand():
    # A plateau of 3 samples at height 2: at every level up to 2 the extent is 3.
    plateau = np.array([[[0, 2, 2, 2, 0]]], dtype=float)
    found = enhanced(plateau, None, step=0.01, extent=0.5, height=2.0)
    np.testing.assert_allclose(found[0, 0], [0, *[np.sqrt(3) * 8 / 3] * 3, 0], rtol=0.01)
    # Beside a sample of height 1, extent 2 up to 1 and 1 from there.
    ramp = np.array([[[1.0, 2.0]]])
    found = enhanced(ramp, None, step=0.001, extent=1.0, height=1.0)
    np.testing.assert_allclose(found[0, 0], [1.0, 1.0 + 1.5], rtol=0.01)


def test_tfce_p_is_mnes():
    mne = pytest.importorskip("mne", reason="the eeg extra is not installed")
    values = smooth((10, 4, 30), 5)
    values[:, :2, 10:20] += 0.35
    near = chain(4)
    _, _, p, _ = mne.stats.permutation_cluster_1samp_test(
        values.transpose(0, 2, 1),
        threshold={"start": 0.2, "step": 0.2},
        n_permutations=1024,
        adjacency=scipy.sparse.csr_array(near),
        seed=0,
        verbose="ERROR",
    )
    found = stats.cluster_test(scores(values), adjacency=near, threshold="tfce", step=0.2)
    np.testing.assert_allclose(found["p"], p.reshape(30, 4).T, atol=2 / 512)
    assert found["p"].min() < 0.1 and "cluster" not in found.dims and found.attrs["threshold"] == "tfce"


@pytest.mark.parametrize("threshold", [None, "tfce"])
def test_order_of_subjects_places_times_and_chunks_is_nothing(threshold, monkeypatch):
    x = scores(smooth((7, 5, 20), 6))
    near = xr.DataArray(
        chain(5),
        dims=("neuroid", "neuroid_b"),
        coords=dict.fromkeys(("neuroid", "neuroid_b"), x["neuroid"].values),
    )
    found = stats.cluster_test(x, adjacency=near, threshold=threshold)
    rng = np.random.default_rng(0)
    mixed = x.isel(
        subject=rng.permutation(7), neuroid=rng.permutation(5), time=rng.permutation(20)
    ).transpose("time", "subject", "neuroid")
    turned = near.isel(neuroid=rng.permutation(5), neuroid_b=rng.permutation(5))
    monkeypatch.setattr("neuroalign.stats.cluster_null.CHUNK", 300)
    again = stats.cluster_test(mixed, adjacency=turned, threshold=threshold).reindex_like(found["p"])
    np.testing.assert_allclose(again["p"], found["p"], rtol=1e-12)
    np.testing.assert_allclose(np.sort(again["null_maximum"]), np.sort(found["null_maximum"]), rtol=1e-9)


def test_families_are_joint_over_models_or_one_each():
    rng = np.random.default_rng(7)
    values = gaussian_filter1d(rng.standard_normal((10, 3, 50)), 2, axis=-1)
    values[:, 1, 20:30] += 0.25
    x = scores(values).rename(neuroid="model")
    joint, apart = (stats.cluster_test(x, family=family) for family in ("joint", "separate"))
    assert joint["null_maximum"].dims == ("draw",) and apart["null_maximum"].dims == ("draw", "model")
    np.testing.assert_allclose(joint["null_maximum"], apart["null_maximum"].max("model"))
    np.testing.assert_array_equal(joint["label"], apart["label"])
    assert (joint["p_cluster"] >= apart["p_cluster"] - 1e-12).all()
    for model in x["model"].values:
        alone = stats.cluster_test(x.sel(model=model, drop=True))
        part = apart["p_cluster"][apart["cluster_model"] == model]
        np.testing.assert_allclose(np.sort(part), np.sort(alone["p_cluster"]))
    assert apart["critical"].dims == ("model",)


def test_a_difference_of_conditions_is_paired_by_label():
    one, other = scores(smooth((8, 30), 8)), scores(smooth((8, 30), 9))
    expected = stats.cluster_test(one - other)
    found = stats.cluster_test(one, other.isel(subject=slice(None, None, -1), time=slice(None, None, -1)))
    xr.testing.assert_allclose(found, expected)
    with pytest.raises(LabelError, match="other"):
        stats.cluster_test(one, other.isel(subject=slice(1, None)))


def test_flipping_all_scores_turns_signs_and_keeps_p():
    x = scores(smooth((8, 40), 10))
    found, turned = stats.cluster_test(x), stats.cluster_test(-x)
    np.testing.assert_allclose(turned["mass"], -found["mass"])
    np.testing.assert_allclose(turned["p_cluster"], found["p_cluster"])
    up = stats.cluster_test(x, tail="greater")
    assert (up["sign"] == 1).all() and (up["mass"] > 0).all()


def test_missing_scores_are_refused_or_left_out_and_counted():
    values = smooth((8, 30), 11)
    holed = values.copy()
    holed[3, 10:14] = np.nan
    with pytest.raises(InvalidValueError, match=r"4 of 240 are not, of 3\. Pass missing='omit'"):
        stats.cluster_test(scores(holed))
    found = stats.cluster_test(scores(holed), missing="omit")
    rest = np.delete(values, 3, axis=0)[:, 10:14]
    t = rest.mean(0) / (rest.std(0, ddof=1) / np.sqrt(7))
    np.testing.assert_allclose(found["statistic"][10:14], t)
    assert found.attrs["n_missing"] == 4 and found.attrs["n_undefined"] == 0


def test_samples_at_which_subjects_do_not_differ_are_undefined_and_in_no_cluster():
    values = smooth((8, 30), 12) + 1.0
    values[:, 12:15] = 3.0
    values[:, 20] = 0.0
    for threshold in (None, "tfce"):
        found = stats.cluster_test(scores(values), threshold=threshold)
        assert found.attrs["n_undefined"] == 4
        assert np.isnan(found["statistic"][[12, 13, 14, 20]]).all() and np.isnan(found["p"][20])
    found = stats.cluster_test(scores(values))
    assert (found["label"][[12, 13, 14, 20]] == 0).all() and found["label"][11] != found["label"][15]


def test_no_cluster_gives_an_empty_table():
    values = np.tile([[1.0], [-1.0]], (4, 10)) + smooth((8, 10), 13) * 1e-3
    found = stats.cluster_test(scores(values))
    assert found.sizes["cluster"] == 0 and found.attrs["n_clusters"] == 0
    assert (found["label"] == 0).all() and np.isnan(found["p"]).all() and found["start"].size == 0


def test_maps_over_two_times_take_one_as_places():
    values = gaussian_filter1d(smooth((9, 12, 12), 14, 2), 2, axis=1)
    values[:, 3:8, 3:8] += 0.3
    x = scores(values).rename(neuroid="time_train")
    x = x.assign_coords(time_train=x["time"].values)
    near = xr.DataArray(
        chain(12),
        dims=("time_train", "time_train_b"),
        coords={"time_train": x["time"].values, "time_train_b": x["time"].values},
    )
    found = stats.cluster_test(x, adjacency=near)
    assert found["p_cluster"][0] < 0.05 and 0.02 < found["peak_time_train"][0] < 0.09


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"statistic": "F"}, InvalidValueError, "statistic must be one of 't', 'mean'; got 'F'"),
        ({"statistic": "mean"}, InvalidValueError, "statistic 'mean' has no default threshold"),
        ({"threshold": -1.0}, InvalidValueError, "threshold must be positive; got -1.0"),
        ({"threshold": "fdr"}, InvalidValueError, "threshold must be a number, 'tfce' or None; got 'fdr'"),
        ({"threshold": "tfce", "step": 0.0}, InvalidValueError, "step must be positive; got 0.0"),
        ({"threshold": "tfce", "step": 1e-6}, InvalidValueError, "more than 10,000 thresholds"),
        ({"forming": 1.0}, InvalidValueError, "forming must be between 0 and 1; got 1.0"),
        ({"family": "one"}, InvalidValueError, "family must be one of 'joint', 'separate'"),
        ({"adjacency": chain(3)}, ShapeError, r"adjacency must be \(2, 2\), as there are 2 of 'neuroid'"),
        ({"adjacency": np.array([[0, 1], [0, 0]])}, InvalidValueError, "adjacency must be symmetric"),
    ],
)
def test_what_cannot_be_tested_is_refused(change, error, text):
    with pytest.raises(error, match=text):
        stats.cluster_test(scores(smooth((6, 2, 10), 15)), **change)


def test_shapes_and_labels_that_do_not_fit_are_refused():
    x = scores(smooth((6, 2, 10), 16))
    with pytest.raises(ShapeError, match="values need a dim 'subject'"):
        stats.cluster_test(x.mean("subject"))
    with pytest.raises(ShapeError, match="clusters need a dim 'time' or an adjacency"):
        stats.cluster_test(x.isel(time=0))
    with pytest.raises(ShapeError, match="needs at least 2; got 1"):
        stats.cluster_test(x.isel(subject=[0]))
    with pytest.raises(InvalidValueError, match="times must be evenly spaced"):
        stats.cluster_test(x.isel(time=[0, 1, 3, 4]))
    near = xr.DataArray(
        chain(2), dims=("neuroid", "neuroid_b"), coords={d: ["E0", "E7"] for d in ("neuroid", "neuroid_b")}
    )
    with pytest.raises(LabelError, match=r"2 are in one only: 'E1', 'E7'"):
        stats.cluster_test(x, adjacency=near)


@pytest.mark.slow
@pytest.mark.parametrize("threshold", [None, "tfce"])
def test_one_null_set_in_twenty_has_a_cluster(threshold):
    """AR(1) noise of 20 subjects; of 10,000 sets five tests found something in .045 to .050.

    That is ``docs/calibration/cluster.tsv``, made by ``benchmarks.cluster_calibration``.
    """
    rng = np.random.default_rng(17)
    n_sets = 300
    found = 0
    for _ in range(n_sets):
        noise = scipy.signal.lfilter([1], [1, -0.9], rng.standard_normal((20, 120)), axis=-1)[:, 20:]
        test = stats.cluster_test(scores(noise), threshold=threshold, n=99, rng=rng)
        found += bool((test["p"] <= 0.05).any())
    assert abs(found / n_sets - 0.05) < 3 * np.sqrt(0.05 * 0.95 / n_sets)


def test_dims_without_labels_go_by_place_and_must_have_one_size():
    one, two = (scores(smooth((6, 2, 10), seed)).drop_vars(["neuroid", "time"]) for seed in (17, 18))
    found = stats.cluster_test(one, other=two, threshold=1.0)
    expected = stats.cluster_test(one - two, threshold=1.0)
    assert len(found["p_cluster"]) > 0
    for name in ("p_cluster", "mass"):
        np.testing.assert_array_equal(found[name], expected[name])
    with pytest.raises(ShapeError, match="other has 9 along 'time'; values have 10"):
        stats.cluster_test(one, other=two.isel(time=slice(9)))


def test_an_adjacency_of_other_places_is_refused():
    x = scores(smooth((6, 2, 10), 16))
    with pytest.raises(ShapeError, match=r"dims such as \(neuroid, neuroid_b\); got \('neuroid', 'other'\)"):
        stats.cluster_test(x, adjacency=xr.DataArray(chain(2), dims=("neuroid", "other")))
    with pytest.raises(ShapeError, match="adjacency is of 'voxel', which values do not have; their dims are"):
        stats.cluster_test(x, adjacency=xr.DataArray(chain(2), dims=("voxel", "voxel_b")))
    with pytest.raises(
        ShapeError, match="adjacency is of 'neuroid', which values do not have; their dims are"
    ):
        stats.cluster_test(x.isel(neuroid=0, drop=True), adjacency=chain(2))


def of_mean(values, threshold, **options):
    return stats.cluster_test(scores(values), statistic="mean", threshold=threshold, **options)


def test_two_subjects_are_enough_for_clusters_by_hand():
    # Means 2, 2, 0, -3, -1; of four patterns + -: -1, 0, 1, 0, 1 and its mirror stay below 1.5.
    values = [[1.0, 2.0, 1.0, -3.0, 0.0], [3.0, 2.0, -1.0, -3.0, -2.0]]
    found = of_mean(values, 1.5)
    assert found["statistic"].values.tolist()[0] == 2.0 and found["label"].values.tolist() == [1, 0, 0, 0, 0]
    # Subjects agree at the second and the fourth sample: there is no statistic.
    assert np.isnan(found["statistic"].values).tolist() == [False, True, False, True, False]
    assert found.attrs["n_undefined"] == 2 and found.attrs["n_draws"] == 3
    assert sorted(found["null_maximum"].values.tolist()) == [0.0, 0.0, 2.0]
    assert found["p_cluster"].values.tolist() == [0.5] and float(found["critical"]) == 2.0


def test_a_cluster_by_hand_has_its_size_peak_and_times():
    base = np.array([0.0, 2.0, 3.0, 2.5, 0.0, -2.0, -4.0, 0.0, 1.5, 0.0])
    spread = 0.01 * np.array([[-1.0], [0.0], [1.0]])
    x = scores(base + spread, time=0.5 + 0.25 * np.arange(10))
    found = stats.cluster_test(x, statistic="mean", threshold=1.5)
    assert found["label"].values.tolist() == [0, 1, 1, 1, 0, 2, 2, 0, 3, 0]
    np.testing.assert_allclose(found["mass"], [7.5, -6.0, 1.5])
    assert found["size"].values.tolist() == [3, 2, 1] and found["sign"].values.tolist() == [1, -1, 1]
    np.testing.assert_allclose(found["peak"], [3.0, -4.0, 1.5])
    assert found["peak_time"].values.tolist() == [1.0, 2.0, 2.5]
    assert found["start"].values.tolist() == [0.75, 1.75, 2.5]
    assert found["stop"].values.tolist() == [1.25, 2.0, 2.5]
    assert found["cluster"].values.tolist() == [1, 2, 3]
    one = stats.cluster_test(x, statistic="mean", threshold=1.5, tail="less")
    assert one["label"].values.tolist() == [0, 0, 0, 0, 0, 1, 1, 0, 0, 0]
    np.testing.assert_allclose([one["mass"][0], one["peak"][0]], [-6.0, -4.0])
    by_size = stats.cluster_test(x, statistic="mean", threshold=1.5, weights="size")
    assert sorted(by_size["null_maximum"].values.tolist())[-1] == 3.0


def test_a_sample_at_the_threshold_is_in_and_a_threshold_is_above_0():
    values = np.array([[1.0, 1.0, 2.0], [3.0, 2.0, 5.0]])
    found = of_mean(values, 2.0)
    assert (found["label"].values > 0).tolist() == [True, False, True]
    above = of_mean(values, np.nextafter(2.0, 3.0))
    assert (above["label"].values > 0).tolist() == [False, False, True]
    for threshold in (0.0, -2.0, np.inf, np.nan):
        with pytest.raises(InvalidValueError, match=f"threshold must be positive; got {threshold}"):
            of_mean(values, threshold)
    assert (of_mean(values, 1e-12)["label"].values > 0).all()


@pytest.mark.parametrize("scale", [2.0**-30, 2.0**30])  # exact, as a t may be exactly at a level
@pytest.mark.parametrize("threshold", [None, "tfce"])
def test_the_unit_of_scores_changes_no_cluster(scale, threshold):
    values = smooth((5, 16), 20) + 0.2
    values[:, 8] = [0.1, 0.1, -0.1, 0.1, -0.1]  # under one pattern of signs all are the same
    values[:, 9] = 0.3
    one, other = (stats.cluster_test(scores(by * values), threshold=threshold) for by in (1.0, scale))
    for name in ("statistic", "p", "null_maximum"):
        np.testing.assert_allclose(other[name], one[name], rtol=1e-6)
    assert np.isinf(one["null_maximum"].values).any() and np.isnan(one["statistic"].values[9])


def slow_tfce(t, near, step):
    """Of one map (place, time): its positive part, level by level."""
    total = np.zeros(t.shape)
    for i in range(1, int(t.max() / step) + 1 if t.max() > 0 else 1):
        label = flood(t >= i * step, near)
        for k in range(1, label.max() + 1):
            total[label == k] += (label == k).sum() ** 0.5 * (i * step) ** 2 * step
    return total


@pytest.mark.parametrize("tail", ["greater", "less", "two-sided"])
def test_tfce_is_that_of_every_pattern_of_signs_made_one_by_one(tail, monkeypatch):
    values = smooth((5, 2, 3, 5), 21, 1)
    values[:, 0, :2, 1:4] += 0.4
    values[:, 1, 1, 3] = 0.25
    near, step = chain(3), 1.5
    sides = {"greater": [1], "less": [-1], "two-sided": [1, -1]}[tail]

    def both(x):
        deviation = x.std(0, ddof=1)
        known = deviation > 1e-12
        t = np.where(known, x.mean(0) / (np.where(known, deviation, 1.0) / np.sqrt(5)), 0.0)
        t[1, 1, 3] = 0.0  # where subjects do not differ
        return np.array([[slow_tfce(side * one, near, step) for side in sides] for one in t])

    signs = [np.array(s)[:, None, None, None] for s in product([1, -1], repeat=5)]
    null = np.array([both(values * s).max(axis=(1, 2, 3)) for s in signs])
    expected = np.tensordot(both(values), sides, axes=(1, 0))
    expected[1, 1, 3] = np.nan
    made = {"subject": range(5), "neuroid": list("abc"), "time": np.arange(5) / 10}
    x = xr.DataArray(values, dims=("subject", "model", "neuroid", "time"), coords=made)
    for family, chunk in (("joint", 10), ("joint", 93), ("separate", 10**6)):
        monkeypatch.setattr("neuroalign.stats.cluster_null.CHUNK", chunk)
        monkeypatch.setattr("neuroalign.stats.clusters.CHUNK", chunk)
        found = stats.cluster_test(x, adjacency=near, threshold="tfce", step=step, tail=tail, family=family)
        np.testing.assert_allclose(found["enhanced"], expected, atol=1e-9)
        largest = null if family == "separate" else np.repeat(null.max(axis=1, keepdims=True), 2, axis=1)
        p = (largest[:, :, None, None] >= np.abs(expected) * (1 - 1e-9)).mean(axis=0)
        np.testing.assert_allclose(found["p"], np.where(np.isnan(expected), np.nan, p), atol=1e-12)
        kept = np.sort(largest[1:] if family == "separate" else largest[1:, 0], axis=0)
        np.testing.assert_allclose(np.sort(found["null_maximum"], axis=0), kept, atol=1e-9)
        # Of 31 draws in order the 95th percentile is the 30th: .95 x 30 = 28.5 steps from the first.
        np.testing.assert_allclose(found["critical"], kept[29], atol=1e-9)


def test_tfce_of_whole_steps_by_hand():
    # Levels .5, 1, 1.5 and 2, which the plateau reaches: squares .25 + 1 + 2.25 + 4, times the step.
    values = np.array([[[0.0, 2.0, 2.0, 2.0, 0.0, 1.0, 0.4]], [[1.0, 0.5, 0.0, -3.0, 0.0, 2.0, 2.0]]])
    found = enhanced(values, None, step=0.5, extent=0.5, height=2.0)
    plateau, low = 7.5 * 0.5, 1.25 * 0.5
    np.testing.assert_allclose(found[0, 0], [0, *[np.sqrt(3) * plateau] * 3, 0, low, 0])
    pair = np.sqrt(2) * 0.25 * 0.5
    top = np.sqrt(2) * plateau
    np.testing.assert_allclose(found[1, 0], [pair + 0.5, pair, 0, 0, 0, top, top])
    # Places that are neighbours share an extent.
    joined = enhanced(values.transpose(1, 0, 2), np.array([[0, 1]]), step=1.0, extent=1.0, height=1.0)
    np.testing.assert_allclose(joined[0], [[0, 9, 9, 9, 0, 3, 0], [1, 0, 0, 0, 0, 7, 7]])


@pytest.mark.parametrize("seed", range(3))
def test_what_is_not_above_0_is_not_enhanced_by_rounding(seed):
    values = np.random.default_rng(seed).standard_normal((40, 3, 25))
    values[values < 0.2] = 0.0
    values[::2, :, ::3] *= -1
    found = enhanced(values, np.array([[0, 1], [1, 2]]), step=0.03, extent=0.37, height=1.7)
    assert (found[values <= 0] == 0).all() and (found[values > 0.03] > 0).all()


def test_as_many_thresholds_as_are_allowed_and_one_more(monkeypatch):
    monkeypatch.setattr("neuroalign.stats.cluster_null.MOST_LEVELS", 4)
    values = np.array([[1.0, 0.5], [3.0, 0.0]])
    found = of_mean(values, "tfce", step=0.5)
    np.testing.assert_allclose(found["enhanced"], [3.75, 0.0])
    with pytest.raises(
        InvalidValueError, match=r"step 0\.5 is too small for a statistic of 2\.25: more than 4"
    ):
        of_mean(values + np.array([[0.0], [0.5]]), "tfce", step=0.5)
    for step in (0.0, -0.5, np.nan):
        with pytest.raises(InvalidValueError, match=f"step must be positive; got {step}"):
            of_mean(values, "tfce", step=step)


@pytest.mark.parametrize(("n_subjects", "exact"), [(4, True), (5, True), (6, False)])
def test_all_patterns_are_taken_of_as_many_subjects_as_can_be_listed(n_subjects, exact, monkeypatch):
    for module in ("flips", "clusters"):
        monkeypatch.setattr(f"neuroalign.stats.{module}.ENUMERATED", 5)
    x = scores(smooth((n_subjects, 12), 22))
    found = stats.cluster_test(x, n=9, rng=np.random.default_rng(0))
    assert found.attrs["exact"] == exact
    assert found.attrs["n_draws"] == (2**n_subjects - 1 if exact else 9) == found.sizes["draw"]


def test_a_single_score_at_a_sample_is_no_statistic():
    values = smooth((4, 8), 23)
    values[1:, 2] = np.nan
    values[2:, 5] = np.nan
    values[:, 6] = np.nan
    found = stats.cluster_test(scores(values), missing="omit", threshold=0.1)
    assert np.isnan(found["statistic"].values).tolist() == [i in (2, 6) for i in range(8)]
    two = values[:2, 5]
    assert float(found["statistic"][5]) == pytest.approx(two.mean() / (two.std(ddof=1) / np.sqrt(2)))
    assert (found.attrs["n_missing"], found.attrs["n_undefined"]) == (9, 2)
    values[3, 0] = np.inf
    with pytest.raises(InvalidValueError, match=r"must be finite; 1 of 32 are not, of 3\.$"):
        stats.cluster_test(scores(values), missing="omit")
    with pytest.raises(InvalidValueError, match=r"10 of 32 are not, of 0, 1, 2, 3\. Pass missing='omit'"):
        stats.cluster_test(scores(values))


@pytest.mark.parametrize("step", [1e-6, 1.0, 1e6])
def test_times_may_differ_by_the_share_of_a_step_that_is_allowed(step, monkeypatch):
    monkeypatch.setattr("neuroalign.stats.cluster_maps.UNEVEN", 0.5)
    values = smooth((3, 4), 24)
    # Steps 3, 5 and 4 differ by half of their mean, 3, 5.25 and 4 by more.
    stats.cluster_test(scores(values, time=step * np.array([0.0, 3.0, 8.0, 12.0])))
    with pytest.raises(InvalidValueError, match="times must be evenly spaced; steps are "):
        stats.cluster_test(scores(values, time=step * np.array([0.0, 3.0, 8.25, 12.25])))
    stats.cluster_test(scores(values[:, :1]), threshold=1.0)  # a single time has no step


def test_neighbours_are_the_pairs_of_a_symmetric_matrix():
    near = np.array([[5, 0, -1, 0], [0, 0, 2, 0], [-3, 1, 0, 0], [0, 0, 0, 0]])
    x = xr.DataArray(np.zeros((2, 4)), dims=("subject", "neuroid"))
    for matrix in (near, scipy.sparse.csr_array(near), near.astype(bool)):
        dim, pairs = neighbour_pairs(matrix, x)
        assert dim == "neuroid" and pairs.tolist() == [[0, 2], [1, 2]]
    three = xr.DataArray(np.zeros((4, 4, 1)), dims=("neuroid", "neuroid_b", "more"))
    with pytest.raises(
        ShapeError, match=r"dims such as \(neuroid, neuroid_b\); got \('neuroid', 'neuroid_b', 'm"
    ):
        neighbour_pairs(three, x)
    with pytest.raises(ShapeError, match=r"adjacency must be \(4, 4\), .*; got \(4, 3\)"):
        neighbour_pairs(near[:, :3], x)


def test_places_alone_are_one_time_each():
    values = np.array([[1.0, 2.0, 0.0, 3.0], [3.0, 2.5, 0.5, 4.0], [2.0, 2.0, -0.5, 3.5]])
    x = xr.DataArray(
        values, dims=("subject", "neuroid"), coords={"subject": list("abc"), "neuroid": list("wxyz")}
    )
    near = np.zeros((4, 4), dtype=bool)
    near[0, 3] = near[3, 0] = True
    found = stats.cluster_test(x, adjacency=near, statistic="mean", threshold=1.5)
    assert found["label"].values.tolist() == [1, 2, 0, 1]
    np.testing.assert_allclose(found["mass"], [5.5, 6.5 / 3])
    assert found["peak_neuroid"].values.tolist() == ["z", "x"] and found["size"].values.tolist() == [2, 1]

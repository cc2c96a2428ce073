"""Long tables of reading times as responses: exclusions by hand, residuals, and a planted predictor."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from neuroalign.datasets import reading_times
from neuroalign.encoding import RidgeCV, contiguous_splits, evaluate
from neuroalign.errors import InvalidValueError, LabelError, ShapeError


def simulated(n_words=200, n_people=4, seed=0) -> tuple[pd.DataFrame, np.ndarray]:
    """People who read slower where surprisal is high and words are long; the weights differ by person."""
    rng = np.random.default_rng(seed)
    surprisal, length = rng.gamma(3, 2, n_words), rng.integers(2, 12, n_words)
    rows = []
    for person in range(n_people):
        weight = 8 + 4 * person
        times = 220 + weight * surprisal + 6 * length + 25 * rng.standard_normal(n_words)
        rows += [(f"p{person}", f"w{i:03d}", times[i], length[i], i, surprisal[i]) for i in range(n_words)]
    columns = ["subject", "stimulus", "rt", "length", "position", "surprisal"]
    return pd.DataFrame(rows, columns=columns).sample(frac=1, random_state=seed), surprisal


def test_cells_hold_the_values_of_their_labels_in_any_order_of_rows():
    table, _ = simulated(n_words=12, n_people=3)
    found = reading_times(table, coords=["length", "position"])
    assert found.dims == ("stimulus", "neuroid") and found.shape == (12, 3)
    for row in table.itertuples():
        assert float(found.sel(stimulus=row.stimulus, neuroid=row.subject)) == row.rt
        assert int(found["length"].sel(stimulus=row.stimulus)) == row.length
    assert found.attrs["n_undefined"] == 0 and found["n_used"].values.tolist() == [12] * 3


def test_exclusions_are_made_in_order_and_counted_by_person():
    values = {
        "p1": [50.0, 80.0, 300.0, 320.0, 3000.0, 3001.0],
        "p2": [np.nan, 200.0, 210.0, 190.0, 205.0, 900.0],
    }
    table = pd.DataFrame(
        [(who, f"w{i}", rt) for who, times in values.items() for i, rt in enumerate(times)],
        columns=["subject", "stimulus", "rt"],
    )
    found = reading_times(table, min_ms=80, max_ms=3000, sd=1.5)
    counts = {
        name: found[name].values.tolist()
        for name in ("n_missing", "n_below", "n_above", "n_beyond_sd", "n_used")
    }
    # p1: 50 and 3001 go, the ends stay; of 80, 300, 320, 3000 the last lies 1.498 sd from the mean.
    # p2: of 200, 210, 190, 205, 900 the last lies 1.79 sd from it.
    rest = np.array([80.0, 300, 320, 3000])
    assert abs(3000 - rest.mean()) / rest.std(ddof=1) < 1.5
    assert counts == {
        "n_missing": [0, 1],
        "n_below": [1, 0],
        "n_above": [1, 0],
        "n_beyond_sd": [0, 1],
        "n_used": [4, 4],
    }
    assert found.attrs["n_undefined"] == 4 and np.isnan(found.sel(stimulus="w5")).all()
    assert reading_times(table)["n_used"].values.tolist() == [6, 5]


def test_logs_are_natural_and_outliers_are_then_judged_on_logs():
    table = pd.DataFrame({"subject": "p1", "stimulus": list("abcde"), "rt": [100.0, 110, 120, 130, 5000]})
    np.testing.assert_allclose(reading_times(table, log=True)[:, 0], np.log(table["rt"]))
    logs = np.log(table["rt"])
    away = np.abs(logs - logs.mean()) / logs.std(ddof=1)
    found = reading_times(table, log=True, sd=1.7)
    assert (
        np.isnan(found[:, 0]).values.tolist() == (away > 1.7).tolist()
        and found.attrs["units"] == "log millisecond"
    )


def test_repetitions_get_a_dim_and_repeats_are_refused_or_averaged():
    rows = [("p1", "a", 1, 100.0), ("p1", "a", 2, 140.0), ("p1", "b", 1, 200.0), ("p2", "a", 2, 90.0)]
    table = pd.DataFrame(rows, columns=["subject", "stimulus", "reading", "rt"])
    found = reading_times(table, repetition="reading")
    assert found.dims == ("stimulus", "neuroid", "repetition")
    np.testing.assert_array_equal(found.sel(neuroid="p1"), [[100, 140], [200, np.nan]])
    np.testing.assert_array_equal(found.sel(neuroid="p2"), [[np.nan, 90], [np.nan, np.nan]])
    with pytest.raises(LabelError, match=r"1 cells have several rows.*repetition=.*repeats='mean'"):
        reading_times(table)
    np.testing.assert_array_equal(reading_times(table, repeats="mean"), [[120, 90], [200, np.nan]])


def test_several_measures_stand_side_by_side_with_counts_of_their_own():
    table = pd.DataFrame(
        {
            "subject": ["p1", "p1", "p2", "p2"],
            "stimulus": list("abab"),
            "ffd": [1.0, 2, 3, 4],
            "gaze": [10.0, 900, 30, 40],
        }
    )
    found = reading_times(table, value=["ffd", "gaze"], max_ms=500)
    assert found["neuroid"].values.tolist() == ["p1/ffd", "p2/ffd", "p1/gaze", "p2/gaze"]
    assert found["measure"].values.tolist() == ["ffd", "ffd", "gaze", "gaze"]
    assert found["n_above"].values.tolist() == [0, 0, 1, 0]
    np.testing.assert_array_equal(found.sel(stimulus="b"), [2, 4, np.nan, 40])


def test_residuals_are_those_of_the_normal_equations_person_by_person():
    table, _ = simulated(n_words=40)
    plain, rest = reading_times(table), reading_times(table, nuisance=["length", "position"])
    rows = table.drop_duplicates("stimulus").set_index("stimulus").loc[plain["stimulus"].values]
    design = np.column_stack([np.ones(40), rows["length"], rows["position"]])
    for person in plain["neuroid"].values:
        own = plain.sel(neuroid=person).values
        weights = np.linalg.solve(design.T @ design, design.T @ own)
        np.testing.assert_allclose(rest.sel(neuroid=person), own - design @ weights, atol=1e-8)
    # A nuisance that repeats another changes nothing.
    twice = reading_times(
        table.assign(again=2 * table["length"] + 1), nuisance=["length", "position", "again"]
    )
    np.testing.assert_allclose(twice, rest, atol=1e-8)
    assert rest.attrs["nuisance"] == "length, position"


def test_a_planted_surprisal_is_recovered_by_ridge_and_a_shuffled_one_is_not():
    table, surprisal = simulated()
    table = table.sort_values("stimulus", kind="stable")
    responses = reading_times(table, min_ms=80, max_ms=3000, nuisance=["length"], coords=["surprisal"])
    order = np.random.default_rng(1).permutation(len(surprisal))
    features = np.column_stack([responses["surprisal"].values, responses["surprisal"].values[order]])

    def scored(columns):
        activations = xr.DataArray(
            features[:, columns], dims=("stimulus", "unit"), coords={"stimulus": responses["stimulus"].values}
        )
        model = RidgeCV([1.0], cv=4, device="cpu")
        splits = contiguous_splits(responses.sizes["stimulus"], 5)
        fitted = model.fit(activations.values, responses.values)
        return evaluate(model, activations, responses, splits=splits).mean("fold"), fitted.coef_

    found, weights = scored([0])
    weights_planted = [8 + 4 * int(name[1]) for name in responses["neuroid"].values]
    assert (found > 0.5).all()
    np.testing.assert_allclose(weights[:, 0], weights_planted, atol=1.5)
    assert (np.abs(scored([1])[0]) < 0.2).all()


BASE = pd.DataFrame(
    {"subject": ["p1"] * 3, "stimulus": list("abc"), "rt": [100.0, 200.0, 300.0], "length": [1, 2, 3]}
)


@pytest.mark.parametrize(
    ("table", "given", "error", "words"),
    [
        (BASE, {"value": "gaze"}, LabelError, "lacks the columns 'gaze'; it has 'subject', 'stimulus', 'rt'"),
        (BASE.assign(rt="1"), {}, InvalidValueError, "rt must be numbers"),
        (BASE.assign(rt=np.inf), {}, InvalidValueError, "rt: some values are infinite"),
        (BASE.assign(stimulus=["a", None, "c"]), {}, LabelError, "1 of 3 rows have no 'stimulus'"),
        (
            BASE,
            {"min_ms": 300, "max_ms": 80},
            InvalidValueError,
            "min_ms must be below max_ms; got 300 and 80",
        ),
        (BASE, {"sd": 0}, InvalidValueError, "sd must be positive and finite; got 0"),
        (BASE.assign(rt=[0.0, 1, 2]), {"log": True}, InvalidValueError, "1 values are not positive"),
        (BASE, {"nuisance": ["length", "rt"]}, ShapeError, "'p1' has 3 values, too few to take 2 nuisance"),
        (
            BASE.assign(length=["x", "y", "z"]),
            {"nuisance": ["length"]},
            InvalidValueError,
            "length must be numbers",
        ),
        (BASE.assign(length=[1, np.nan, 2]), {"nuisance": ["length"]}, InvalidValueError, "'length' are not"),
        (BASE, {"repeats": "last"}, InvalidValueError, "repeats must be one of 'refuse', 'mean'"),
        (BASE[:0], {}, ShapeError, "table has no rows"),
        (BASE.to_numpy(), {}, ShapeError, "must be a DataFrame; got ndarray"),
    ],
    ids=range(13),
)
def test_a_wrong_table_or_choice_is_refused(table, given, error, words):
    with pytest.raises(error, match=words):
        reading_times(table, **given)


def test_a_coordinate_that_varies_within_a_stimulus_is_refused():
    table = pd.DataFrame(
        {"subject": ["p1", "p2"], "stimulus": ["a", "a"], "rt": [1.0, 2.0], "screen": [1, 2]}
    )
    with pytest.raises(LabelError, match=r"'screen' varies within the stimuli 'a'"):
        reading_times(table, coords=["screen"])


def test_the_table_is_not_edited():
    table, _ = simulated(n_words=20)
    before = table.copy()
    reading_times(table, min_ms=250, sd=1.0, log=True, nuisance=["length"])
    pd.testing.assert_frame_equal(table, before)

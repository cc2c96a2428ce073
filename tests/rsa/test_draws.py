"""Draws of subjects and stimuli: limits, streams, and what recorded draws must hold."""

from __future__ import annotations

import numpy as np
import pytest

from neuroalign.errors import InvalidValueError, ShapeError
from neuroalign.rsa.draws import draw, recorded


@pytest.mark.parametrize(
    ("sizes", "resampled", "folds"),
    [
        ((2, 6), "both", (1, 1)),
        ((2, 3), "subject", (1, 1)),
        ((1, 6), "stimulus", (1, 1)),
        ((3, 6), "subject", (3, 1)),
        ((2, 12), "both", (1, 2)),
        ((3, 12), "both", (2, 2)),
    ],
    ids=str,
)
def test_the_fewest_that_can_be_resampled_are(sizes, resampled, folds):
    found = draw(5, first=0, seed=0, sizes=sizes, resampled=resampled, folds=folds, n_repeats=2)
    assert found.subject.shape == (5, sizes[0]) and found.stimulus.shape == (5, sizes[1])
    assert found.subject_order.shape == (5, 2, sizes[0]) and found.stimulus_order.shape == (5, 2, sizes[1])
    for i in range(5):
        assert len(set(found.subject[i])) >= folds[0] and len(set(found.stimulus[i])) >= 3 * folds[1]
        for order in (*found.subject_order[i], *found.stimulus_order[i]):
            assert sorted(order) == list(range(len(order)))
    if resampled == "subject":
        assert (found.stimulus == np.arange(sizes[1])).all()
    if resampled == "stimulus":
        assert (found.subject == np.arange(sizes[0])).all()


@pytest.mark.parametrize(
    ("sizes", "resampled", "folds", "message"),
    [
        ((1, 6), "both", (1, 1), "at least 2 subjects; got 1"),
        ((1, 6), "subject", (1, 1), "at least 2 subjects; got 1"),
        ((2, 6), "subject", (3, 1), "at least 3 subjects; got 2"),
        ((2, 5), "both", (1, 1), r"at least 6 stimuli \(twice the 3 distinct ones .* got 5"),
        ((1, 5), "stimulus", (1, 1), "at least 6 stimuli .* got 5"),
        ((2, 17), "both", (1, 3), r"at least 18 stimuli \(twice the 9 distinct ones .* got 17"),
    ],
    ids=str,
)
def test_one_fewer_are_refused(sizes, resampled, folds, message):
    with pytest.raises(ShapeError, match=message):
        draw(1, first=0, seed=0, sizes=sizes, resampled=resampled, folds=folds)


def test_draws_are_drawn_again_until_they_hold_enough():
    # Of 4 draws from 4, 4 distinct ones come in 24 of 256 samples: 9.67 are thrown away on average.
    found = draw(300, first=0, seed=3, sizes=(4, 6), resampled="subject", folds=(4, 1))
    assert (np.sort(found.subject, axis=1) == np.arange(4)).all()
    assert found.redrawn.mean() == pytest.approx(256 / 24 - 1, abs=4 * 10.2 / np.sqrt(300))


def test_a_draw_depends_on_its_number_only():
    whole = draw(7, first=0, seed=5, sizes=(4, 8), resampled="both", n_repeats=1)
    part = draw(3, first=2, seed=5, sizes=(4, 8), resampled="both", n_repeats=1)
    assert part.number.tolist() == [2, 3, 4]
    for name in ("subject", "stimulus", "redrawn", "subject_order", "stimulus_order"):
        np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[2:5])
    assert len({tuple(row) for row in whole.stimulus}) == 7


def test_shares_and_counts_say_how_often_each_comes():
    drawn = recorded(
        {"subject": np.array([[0, 0, 2], [1, 1, 1]]), "stimulus": np.array([[3, 0, 0, 1], [2, 2, 3, 1]])},
        sizes=(3, 4),
        resampled="both",
    )
    assert drawn.shares().tolist() == [[2, 0, 1], [0, 3, 0]]
    assert drawn.counts().tolist() == [[2, 1, 0, 1], [0, 1, 2, 1]]
    assert drawn.number.tolist() == [0, 1] and drawn.redrawn.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("index", "error", "message"),
    [
        (np.array([[-1, 0, 1]]), InvalidValueError, "subject must hold positions 0 to 2"),
        (np.array([[3, 0, 1]]), InvalidValueError, "subject must hold positions 0 to 2"),
        (np.zeros((0, 3), int), ShapeError, r"subject must have shape \(draws, 3\); got \(0, 3\)"),
        (np.zeros((1, 2), int), ShapeError, r"subject must have shape \(draws, 3\); got \(1, 2\)"),
        (np.zeros((1, 3, 3), int), ShapeError, r"subject must have shape \(draws, 3\); got \(1, 3, 3\)"),
    ],
    ids=["below", "above", "none", "width", "dims"],
)
def test_recorded_positions_are_checked(index, error, message):
    with pytest.raises(error, match=message):
        recorded({"subject": index}, sizes=(3, 4), resampled="subject")
    fine = recorded({"subject": np.array([[0, 2, 1]])}, sizes=(3, 4), resampled="subject")
    assert fine.stimulus.tolist() == [[0, 1, 2, 3]]


@pytest.mark.parametrize("resampled", ["subject", "stimulus"])
def test_a_factor_that_is_not_resampled_is_not_read(resampled):
    given = {"subject": np.array([[1, 1, 1]]), "stimulus": np.array([[2, 2, 2, 0]])}
    found = recorded(given, sizes=(3, 4), resampled=resampled)
    assert found.subject.tolist() == ([[1, 1, 1]] if resampled == "subject" else [[0, 1, 2]])
    assert found.stimulus.tolist() == ([[2, 2, 2, 0]] if resampled == "stimulus" else [[0, 1, 2, 3]])
    with pytest.raises(InvalidValueError, match=f"bootstrap='{resampled}' needs '{resampled}'"):
        recorded({k: v for k, v in given.items() if k != resampled}, sizes=(3, 4), resampled=resampled)


def test_recorded_orders_must_have_their_shape():
    given = {"subject": np.zeros((2, 3), int), "subject_order": np.tile([2, 0, 1], (2, 1, 1))}
    given["stimulus_order"] = np.tile([3, 0, 1, 2], (2, 1, 1))
    found = recorded(given, sizes=(3, 4), resampled="subject", n_repeats=1)
    np.testing.assert_array_equal(found.subject_order, given["subject_order"])
    np.testing.assert_array_equal(found.stimulus_order, given["stimulus_order"])
    with pytest.raises(InvalidValueError, match=r"folds need 'subject_order' of shape \(2, 2, 3\)"):
        recorded(given, sizes=(3, 4), resampled="subject", n_repeats=2)
    assert recorded(given, sizes=(3, 4), resampled="subject").subject_order.shape == (2, 0, 3)

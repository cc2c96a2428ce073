"""Drifts: closed forms of each kind, how many there are at the limits, what is left at any scale."""

from __future__ import annotations

import numpy as np
import pytest

from neuroalign.encoding.drifts import drift_basis, remove_drifts
from neuroalign.errors import InvalidValueError, ShapeError


def gram_polynomials(times, order):
    """Return orthonormal polynomials by their three-term recurrence, in extended precision."""
    t = np.asarray(times, dtype=np.longdouble)
    t = (t - t.mean()) / np.abs(t - t.mean()).max()
    found = [np.full(len(t), 1 / np.sqrt(np.longdouble(len(t))))]
    for k in range(order):
        new = t * found[k] - (t * found[k] ** 2).sum() * found[k]
        if k:
            new = new - (t * found[k] * found[k - 1]).sum() * found[k - 1]
        found.append(new / np.sqrt((new**2).sum()))
    return np.stack(found, axis=1).astype(np.float64)


@pytest.mark.parametrize("start", [0.0, 1000.0, -37.0])
@pytest.mark.parametrize("scale", [1e-3, 2.0, 1e4])
@pytest.mark.parametrize("order", [0, 1, 2, 9, 16])
def test_polynomials_keep_all_digits_at_any_order_unit_and_origin(start, scale, order):
    times = start + scale * np.r_[0:40, 43, 45:60]
    found = drift_basis(times, kind="polynomial", order=order)
    np.testing.assert_allclose(found, gram_polynomials(times, order), atol=2e-11)


def test_a_line_has_order_1_whatever_order_is_given():
    times = 2.0 * np.arange(7)
    np.testing.assert_array_equal(drift_basis(times, order=4), drift_basis(times, kind="polynomial", order=1))


@pytest.mark.parametrize("start", [0.0, 500.0, -19.0])
@pytest.mark.parametrize(("n", "step", "cutoff", "highest"), [
    (20, 2.0, 16.0, 5), (20, 2.0, 16.01, 4), (20, 2.0, 15.99, 5), (20, 2.0, 80.0, 1), (20, 2.0, 80.1, 0),
    (7, 0.1, 0.2, 7), (50, 0.72, 7.2, 10), (20, 2.0, 4.3, 18),
])  # fmt: skip
def test_cosines_go_up_to_twice_the_duration_over_the_cutoff(start, n, step, cutoff, highest):
    times = start + step * np.arange(n)
    if highest >= n - 1:
        with pytest.raises(ShapeError, match=f"{n} rows are fitted exactly by {n} drifts"):
            drift_basis(times, kind="cosine", cutoff=cutoff)
        return
    found = drift_basis(times, kind="cosine", cutoff=cutoff)
    i, k = np.arange(n)[:, None], np.arange(highest + 1)
    expected = np.where(k, np.sqrt(2 / n), np.sqrt(1 / n)) * np.cos(np.pi * k * (i + 0.5) / n)
    np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize(("kind", "choice"), [
    ("polynomial", {"order": 0}), ("cosine", {"cutoff": 1e6}),
])  # fmt: skip
def test_2_rows_have_a_constant_and_no_line(kind, choice):
    np.testing.assert_allclose(drift_basis([3.0, 5.0], kind=kind, **choice), [[0.5**0.5]] * 2)
    with pytest.raises(ShapeError, match="2 rows are fitted exactly by 2 drifts"):
        drift_basis([3.0, 5.0])
    with pytest.raises(ShapeError, match="1 rows hold no drift"):
        drift_basis([3.0], kind=kind, **choice)


@pytest.mark.parametrize("order", [1, 2, 5])
def test_a_run_needs_one_row_more_than_drifts(order):
    assert drift_basis(np.arange(order + 2.0), kind="polynomial", order=order).shape == (order + 2, order + 1)
    with pytest.raises(ShapeError, match=f"{order + 1} rows are fitted exactly by {order + 1} drifts"):
        drift_basis(np.arange(order + 1.0), kind="polynomial", order=order)


@pytest.mark.parametrize(("choice", "text"), [
    ({"kind": "cosine", "cutoff": 0.0}, "cutoff must be positive and finite"),
    ({"kind": "cosine", "cutoff": -1.0}, "cutoff must be positive and finite"),
    ({"kind": "cosine", "cutoff": np.inf}, "cutoff must be positive and finite"),
    ({"kind": "polynomial", "order": -1}, "order must be a non-negative integer"),
    ({"kind": "polynomial", "order": True}, "order must be a non-negative integer"),
])  # fmt: skip
def test_an_order_or_a_cutoff_that_is_none_is_refused(choice, text):
    with pytest.raises(InvalidValueError, match=text):
        drift_basis(np.arange(9.0), **choice)


def test_rows_at_one_time_have_no_drift():
    with pytest.raises(InvalidValueError, match=r"all 4 rows are at 2\.5 s"):
        drift_basis([2.5] * 4)


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_what_is_left_is_the_residual_of_least_squares_and_a_drift_is_0(scale, rng):
    times = 2.0 * np.arange(12)
    line = np.column_stack([np.ones(12), times])
    x = np.column_stack([scale * rng.standard_normal(12) + 3 * scale, scale * (5 - times), np.zeros(12)])
    rest = remove_drifts(x, drift_basis(times))
    expected = x[:, 0] - line @ np.linalg.lstsq(line, x[:, 0], rcond=None)[0]
    np.testing.assert_allclose(rest[:, 0], expected, atol=1e-13 * scale)
    assert not rest[:, 1:].any()


def test_rows_of_series_and_drifts_must_agree():
    basis = drift_basis(np.arange(4.0))
    assert remove_drifts(np.ones((4, 1)), basis).tolist() == [[0.0]] * 4
    for x in (np.ones((3, 2)), np.ones((0, 2))):
        with pytest.raises(ShapeError, match="x and basis need the same rows"):
            remove_drifts(x, basis)


def test_an_offset_costs_no_digit_of_what_is_left():
    x = np.array([3.0, -1.0, 4.0, 1.0, -5.0, 9.0, 2.0, -6.0])[:, None]
    basis = drift_basis(np.arange(8.0))
    np.testing.assert_allclose(remove_drifts(x + 2.0**40, basis), remove_drifts(x, basis), atol=1e-10)

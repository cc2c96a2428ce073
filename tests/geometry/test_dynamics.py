"""Residual-stream dynamics: by hand, a random walk against its null, planted turns, dead units, bad input."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import xarray as xr

from neuroalign.errors import InvalidValueError, ShapeError
from neuroalign.geometry import stream_dynamics


def stream(values):
    values = np.asarray(values, dtype=float)
    coords = {"layer": [f"block {i}" for i in range(len(values))], "stimulus": range(values.shape[1])}
    return xr.DataArray(values, dims=("layer", "stimulus", "unit"), coords=coords)


def test_every_measure_is_the_one_of_its_formula(rng):
    x = rng.standard_normal((4, 9, 5))
    found = stream_dynamics(stream(x))
    steps = np.diff(x, axis=0)
    r = [[np.corrcoef(x[i, :, u], x[i + 1, :, u])[0, 1] for u in range(5)] for i in range(3)]
    np.testing.assert_allclose(found.continuity, r, atol=1e-12)
    np.testing.assert_allclose(found.speed, np.linalg.norm(steps, axis=2))
    np.testing.assert_allclose(
        found.relative_speed, np.linalg.norm(steps, axis=2) / np.linalg.norm(x[:-1], axis=2)
    )
    np.testing.assert_allclose(found.acceleration, np.linalg.norm(np.diff(steps, axis=0), axis=2))
    cosine = [
        [a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a, b in zip(s, t, strict=True)]
        for s, t in itertools.pairwise(steps)
    ]
    np.testing.assert_allclose(found.turn_cosine, cosine)
    assert found.continuity["step"].values.tolist() == ["block 0", "block 1", "block 2"]
    assert found.turn_cosine["turn"].values.tolist() == ["block 0", "block 1"]


def test_a_straight_line_turns_nowhere_and_a_zigzag_always(rng):
    start, way = rng.standard_normal((2, 6, 4))
    straight = np.stack([start + i * way for i in range(4)])
    zigzag = np.stack([start + (i % 2) * way for i in range(4)])
    np.testing.assert_allclose(stream_dynamics(stream(straight)).turn_cosine, 1)
    np.testing.assert_allclose(stream_dynamics(stream(straight)).acceleration, 0, atol=1e-12)
    np.testing.assert_allclose(stream_dynamics(stream(zigzag)).turn_cosine, -1)


def test_a_random_walk_is_continuous_and_yet_inside_its_null():
    rng = np.random.default_rng(1)
    walk = rng.standard_normal((5, 60, 30)).cumsum(axis=0)
    found = stream_dynamics(stream(walk), n_null=99, rng=rng)
    # sqrt(k / (k + 1)) of a walk of k steps that adds one more.
    expected = np.sqrt(np.arange(1, 5) / np.arange(2, 6))
    np.testing.assert_allclose(found.mean_continuity, expected, atol=0.05)
    np.testing.assert_allclose(found.null_turn_cosine.mean("walk"), 0, atol=0.01)
    assert found.null_continuity.dims == ("walk", "step")


def test_p_of_random_walks_is_uniform():
    rng, p = np.random.default_rng(5), []
    for _ in range(40):
        walk = rng.standard_normal((3, 20, 10)).cumsum(axis=0)
        found = stream_dynamics(stream(walk), n_null=39, rng=rng)
        p.append([float(found.p_continuity[1]), float(found.p_turn_cosine[0])])
    # Of 40 true nulls 2 are at or below .05; more than 7 happen less than once in 500 times.
    assert ((np.array(p) <= 0.05).sum(axis=0) <= 7).all()
    assert (np.abs(np.mean(p, axis=0) - 0.5) < 0.16).all()


@pytest.mark.parametrize("null", ["directions", "steps"])
def test_blocks_that_take_back_what_was_added_are_found(null):
    rng = np.random.default_rng(2)
    added = rng.standard_normal((40, 25))
    x = np.stack([np.zeros((40, 25)), added, 0.3 * added, added]) + 5 * rng.standard_normal((40, 25))
    found = stream_dynamics(stream(x), n_null=49, null=null, rng=rng)
    assert (found.mean_turn_cosine < -0.9).all() and (found.p_turn_cosine == 0.04).all()


def test_steps_that_all_stimuli_share_are_in_the_null_of_steps_only():
    rng = np.random.default_rng(3)
    drift = rng.standard_normal(25)
    x = np.stack([i * drift + 0.3 * rng.standard_normal((40, 25)).cumsum(axis=0) * 0.1 for i in range(4)])
    by_direction = stream_dynamics(stream(x), n_null=49, rng=rng)
    by_step = stream_dynamics(stream(x), n_null=49, null="steps", rng=rng)
    assert (by_direction.p_turn_cosine == 0.04).all()
    np.testing.assert_allclose(by_step.null_turn_cosine.mean("walk"), by_step.mean_turn_cosine, atol=0.05)


def test_rotating_all_layers_alike_changes_no_measure_of_states(rng):
    from scipy.stats import ortho_group

    x, turn = rng.standard_normal((4, 8, 5)), ortho_group.rvs(5, random_state=1)
    one, other = stream_dynamics(stream(x)), stream_dynamics(stream(3 * x @ turn))
    for name in ("relative_speed", "turn_cosine", "state_cosine"):
        np.testing.assert_allclose(one[name], other[name])
    np.testing.assert_allclose(3 * one.speed, other.speed)
    assert not np.allclose(one.continuity, other.continuity)


def test_dead_units_and_steps_of_no_length_are_undefined_and_counted(rng):
    x = rng.standard_normal((4, 8, 3))
    x[:, :, 0] = 0.7
    x[1, :, 1] = 2.0
    found = stream_dynamics(stream(x), n_null=5, rng=rng)
    assert np.isnan(found.continuity[:, 0]).all() and np.isnan(found.continuity[:2, 1]).all()
    assert found.attrs["n_undefined"] == 5 and found.attrs["n_dead"] == 1
    assert np.isfinite(found.mean_continuity).all()
    still = stream_dynamics(stream(np.repeat(x[:1], 3, axis=0)))
    assert np.isnan(still.turn_cosine).all() and (still.speed == 0).all()
    assert still.attrs["n_undefined_turn_cosine"] == 8 and still.attrs["n_undefined_state_cosine"] == 0
    x[1:3, 0] = 0.0
    found = stream_dynamics(stream(x))
    for name, n in (("relative_speed", 2), ("turn_cosine", 2), ("state_cosine", 3)):
        assert found.attrs[f"n_undefined_{name}"] == np.isnan(found[name]).sum() == n, name


def test_bad_input_is_refused(rng):
    x = stream(rng.standard_normal((4, 8, 3)))
    with pytest.raises(ShapeError, match="with at least 3 layers; got"):
        stream_dynamics(x[:2])
    with pytest.raises(ShapeError, match="'layer', 'stimulus', 'unit'"):
        stream_dynamics(x[0])
    with pytest.raises(InvalidValueError, match="null must be one of 'directions', 'steps'"):
        stream_dynamics(x, null="walk")
    with pytest.raises(InvalidValueError, match="must be finite"):
        stream_dynamics(x.where(x > -1))

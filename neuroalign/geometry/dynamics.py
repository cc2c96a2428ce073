"""How a residual stream moves from block to block: continuity, speed, turns; a random walk as null."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from ..errors import ShapeError, choice
from ..stats import p_value, permutation
from .inputs import as_patterns, count, is_dead

__all__ = ["stream_dynamics"]

NULLS = ("directions", "steps")


def stream_dynamics(
    activations: xr.DataArray,
    *,
    n_null: int = 0,
    null: str = "directions",
    rng: np.random.Generator | None = None,
) -> xr.Dataset:
    r"""Return how the state of each stimulus moves through the layers of a network with a residual stream.

    With :math:`x_l` the state after block l, the step :math:`v_l = x_{l+1} - x_l`, what block l + 1 adds:

    - ``continuity`` (step, unit): Pearson's correlation over stimuli of a unit's activation before and after
      the step;
    - ``speed`` (step, stimulus): :math:`|v_l|`; ``relative_speed``: :math:`|v_l| / |x_l|`;
    - ``acceleration`` (turn, stimulus): :math:`|v_{l+1} - v_l|`;
    - ``turn_cosine`` (turn, stimulus): the cosine of two steps in a row: 1 straight on, 0 at right angles,
      negative where a block takes back what the one before it added;
    - ``state_cosine`` (step, stimulus): the cosine of the states before and after.

    What a unit holds stays in the stream unless it is overwritten: states that add random steps are
    continuous as well. The null therefore starts at the same states and walks with

    - ``directions``: steps of the same lengths in directions drawn at random, uniform over all;
    - ``steps``: the network's own steps, given to other stimuli at random, anew at every step: units keep
      their scales, and what all stimuli share stays.

    Only for layers that share one residual stream: units must mean the same in all layers.

    Parameters
    ----------
    activations : DataArray (layer, stimulus, unit)
        Finite, layers in order; at least 3 layers and 3 stimuli (or tokens, under that name).
    n_null : int
        Walks; none where 0.
    null : {"directions", "steps"}
    rng : numpy.random.Generator, optional

    Returns
    -------
    Dataset
        As above; ``step`` and ``turn`` are labelled by the layer that they start from. NaN for a unit that is
        constant before or after, a state or step of length 0; ``attrs`` counts the NaN of ``continuity``
        (``n_undefined``), and ``n_undefined_<name>`` those of ``relative_speed``, ``turn_cosine`` and
        ``state_cosine``. With walks, for the means over units or stimuli ``mean_continuity``,
        ``mean_state_cosine`` (step,) and ``mean_turn_cosine`` (turn,) (NaN left out): ``null_<name>`` (walk,
        ...) and ``p_<name>`` (two-sided).

    Raises
    ------
    ShapeError
        If dims are other ones, or there are too few layers or stimuli.
    InvalidValueError
        If a value is not finite.

    References
    ----------
    Fernando & Guitchounts 2025, arXiv 2502.12131 (correlation of units over layers, velocity). The null walks
    are ours.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> walk = rng.standard_normal((4, 50, 20)).cumsum(axis=0)
    >>> stream = xr.DataArray(walk, dims=("layer", "stimulus", "unit"), coords={"layer": range(4)})
    >>> found = stream_dynamics(stream)
    >>> found.continuity.mean("unit").values.round(1).tolist(), abs(float(found.turn_cosine.mean())) < 0.05
    ([0.7, 0.8, 0.9], True)
    """
    if null not in NULLS:
        raise choice(null, NULLS, name="null")
    n_null = count(n_null, "n_null", least=0)
    patterns = as_patterns(activations, least=3)
    if patterns.leading != ("layer",) or len(patterns.values) < 3:
        raise ShapeError(
            f"activations must have dims ('layer', 'stimulus', 'unit') with at least 3 layers; got "
            f"{dict(activations.sizes)}."
        )
    # Means are taken out of no state: where 0 is decides speeds of no kind, and the cosine of states.
    measured, layers = _measured(patterns.values), _layers(patterns.array)
    coords = {
        key: patterns.array[key] for key in ("stimulus", "unit", "neuroid") if key in patterns.array.coords
    }
    out = {}
    for name, values in measured.items():
        first = "step" if len(values) == len(patterns.values) - 1 else "turn"
        dims = (first, patterns.unit if name == "continuity" else "stimulus")
        own = {first: layers[: len(values)]} | {key: coords[key] for key in dims if key in coords}
        out[name] = xr.DataArray(values, dims=dims, coords=own)
    if n_null:
        out |= _tested(patterns.values, measured, layers, n_null, null, rng)
    attrs = {
        "n_undefined": int(np.isnan(measured["continuity"]).sum()),
        "n_dead": int(np.all([is_dead(x) for x in patterns.values], axis=0).sum()),
        "null": null,
    }
    for name in ("relative_speed", "turn_cosine", "state_cosine"):
        attrs[f"n_undefined_{name}"] = int(np.isnan(measured[name]).sum())
    return xr.Dataset(out, attrs=attrs)


def _layers(array: xr.DataArray) -> np.ndarray:
    return array["layer"].values if "layer" in array.coords else np.arange(array.sizes["layer"])


def _measured(x: np.ndarray) -> dict[str, np.ndarray]:
    """Return all measures of states (n_layers, n_stimuli, n_units)."""
    steps = np.diff(x, axis=0)
    speed, size = _length(steps), _length(x)
    return {
        "continuity": _continuity(x),
        "speed": speed,
        "relative_speed": _over(speed, size[:-1]),
        "acceleration": _length(np.diff(steps, axis=0)),
        "turn_cosine": _over((steps[:-1] * steps[1:]).sum(axis=-1), speed[:-1] * speed[1:]),
        "state_cosine": _over((x[:-1] * x[1:]).sum(axis=-1), size[:-1] * size[1:]),
    }


def _continuity(x: np.ndarray) -> np.ndarray:
    dead = np.stack([is_dead(layer) for layer in x])
    z = x - x.mean(axis=1, keepdims=True)
    length = np.where(dead, np.nan, np.sqrt((z**2).sum(axis=1)))
    return np.clip((z[:-1] * z[1:]).sum(axis=1) / (length[:-1] * length[1:]), -1.0, 1.0)


def _length(x: np.ndarray) -> np.ndarray:
    return np.sqrt((x**2).sum(axis=-1))


def _over(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    return np.where(bottom > 0, top / np.where(bottom > 0, bottom, 1.0), np.nan)


def _tested(
    x: np.ndarray, measured: dict[str, np.ndarray], layers: np.ndarray, n: int, null: str, rng: Any
) -> dict[str, xr.DataArray]:
    steps = np.diff(x, axis=0)
    walk = _random_directions if null == "directions" else _other_stimuli

    def drawn(seed: np.ndarray) -> np.ndarray:
        moved = walk(steps, np.random.default_rng(seed))
        return _means(_measured(np.concatenate([x[:1], x[:1] + moved.cumsum(axis=0)])))

    draws = permutation(drawn, n, permute=lambda rng: rng.integers(2**63, size=2), rng=rng)
    p, observed = p_value(_means(measured), draws, tail="two-sided"), _means(measured)
    n_steps, out, start = len(steps), {}, 0
    for name, stop in (("continuity", n_steps), ("state_cosine", n_steps), ("turn_cosine", n_steps - 1)):
        place = slice(start, start + stop)
        dim = "step" if stop == n_steps else "turn"
        coords = {dim: layers[:stop]}
        out[f"mean_{name}"] = xr.DataArray(observed[place], dims=dim, coords=coords)
        out[f"p_{name}"] = xr.DataArray(p[place], dims=dim, coords=coords)
        out[f"null_{name}"] = xr.DataArray(draws[:, place], dims=("walk", dim), coords=coords)
        start += stop
    return out


def _means(measured: dict[str, np.ndarray]) -> np.ndarray:
    """Return the means of three measures, one after the other; NaN where nothing is defined."""
    parts = []
    for name in ("continuity", "state_cosine", "turn_cosine"):
        known = ~np.isnan(measured[name])
        total = np.where(known, measured[name], 0.0).sum(axis=1)
        parts.append(_over(total, known.sum(axis=1).astype(float)))
    return np.concatenate(parts)


def _random_directions(steps: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    drawn = rng.standard_normal(steps.shape)
    return drawn * (_length(steps) / _length(drawn))[..., None]


def _other_stimuli(steps: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.stack([step[rng.permutation(len(step))] for step in steps])

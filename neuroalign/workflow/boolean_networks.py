"""Small networks that compute features of binary inputs: easy ones (a bit) and hard ones (a parity)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from ..arrays import to_numpy
from ..seeds import generator

__all__ = ["FEATURES", "Networks", "feature_values", "shown_inputs", "train_networks"]

# Feature -> the input bits whose product it is: one bit is linear, the parity of three is not.
FEATURES = {"easy 1": (0,), "easy 2": (1,), "hard 1": (2, 3, 4), "hard 2": (5, 6, 7)}
N_BITS = 12
BATCH = 256
EVERY = 50


class Networks(NamedTuple):
    """Trained networks with the same architecture, all features of each that it was trained on.

    Attributes
    ----------
    activations : array (n_networks, n_shown, n_units)
        Of the last hidden layer, after the ReLU, of the inputs that are shown.
    accuracy : array (n_networks, n_outputs)
        On all held-out inputs, at the end.
    curve : array (n_times, n_networks, n_outputs)
        On all held-out inputs, during training.
    steps : array (n_times,)
    """

    activations: np.ndarray
    accuracy: np.ndarray
    curve: np.ndarray
    steps: np.ndarray


def feature_values(inputs: np.ndarray, name: str) -> np.ndarray:
    """Return a feature (n_inputs,) of inputs (n_inputs, 12) of -1 and 1: -1 or 1.

    Examples
    --------
    >>> feature_values(-np.ones((1, 12)), "hard 1").tolist()
    [-1.0]
    """
    return inputs[:, FEATURES[name]].prod(axis=1)


def shown_inputs(n_each: int, *, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the inputs for training, those held out, and held-out ones that are shown (n, 12).

    Shown are ``n_each`` of each of the 16 combinations of the four features, so that these are independent
    and balanced. A quarter of all 4,096 inputs is held out, of each combination.

    Examples
    --------
    >>> train, held_out, shown = shown_inputs(2, seed=0)
    >>> len(train), len(held_out), len(shown)
    (3072, 1024, 32)
    """
    inputs = np.array(list(product((-1.0, 1.0), repeat=N_BITS)))
    kinds = np.stack([feature_values(inputs, name) for name in FEATURES], axis=1)
    rng = generator(seed, "bias", "inputs")
    train, held_out, shown = [], [], []
    for kind in np.unique(kinds, axis=0):
        rows = rng.permutation(np.flatnonzero((kinds == kind).all(axis=1)))
        quarter = len(rows) // 4
        train.append(rows[quarter:])
        held_out.append(rows[:quarter])
        shown.append(rows[: min(n_each, quarter)])
    # In random order, so that consecutive folds are no combinations.
    parts = [rng.permutation(np.concatenate(rows)) for rows in (train, held_out, shown)]
    return inputs[parts[0]], inputs[parts[1]], inputs[parts[2]]


def train_networks(
    tasks: Mapping[str, Sequence[str]],
    n_networks: int,
    *,
    n_each: int,
    n_units: int,
    n_steps: int,
    rate: float,
    seed: int,
    progress: bool = True,
) -> dict[str, Networks]:
    """Return networks of each task that differ in their seed, and untrained ones, named ``untrained``.

    12 inputs, two hidden layers with ReLU, one logistic output a feature; Adam on the summed cross-entropy,
    256 inputs a step. All networks are trained side by side; none sees another. A network's initial weights
    and its order of inputs depend on its task and number alone.

    Parameters
    ----------
    tasks : mapping of name to two features of ``FEATURES``
    n_networks : int
        Of each task.
    n_each : int
        See ``shown_inputs``.
    n_units, n_steps : int
        Of each hidden layer; of the training.
    rate : float
        Adam's learning rate.
    seed : int
        Of the study.
    progress : bool
        Whether a bar is shown.
    """
    train, held_out, shown = shown_inputs(n_each, seed=seed)
    names = [name for name in tasks for _ in range(n_networks)]
    streams = [generator(seed, "bias", name, i) for name in tasks for i in range(n_networks)]
    weights = _initial(streams, n_units)
    before = _hidden(weights, shown)
    wanted = [np.stack([_targets(x, tasks[name]) for name in names]) for x in (train, held_out)]
    curve, steps = [], []
    for step in _training(weights, train, wanted[0], streams, n_steps, rate, progress):
        curve.append(_accuracy(weights, held_out, wanted[1]))
        steps.append(step)
    after, curves = _hidden(weights, shown), np.array(curve)
    found = {}
    for k, name in enumerate(tasks):
        own = slice(k * n_networks, (k + 1) * n_networks)
        found[name] = Networks(after[own], curves[-1, own], curves[:, own], np.array(steps))
    first = slice(0, n_networks)
    found["untrained"] = Networks(before[first], curves[0, first], curves[:1, first], np.array(steps[:1]))
    return found


def _targets(inputs: np.ndarray, features: Sequence[str]) -> np.ndarray:
    return np.stack([feature_values(inputs, name) > 0 for name in features], axis=1).astype(np.float32)


def _initial(streams: list[np.random.Generator], n_units: int) -> list[Any]:
    """Return weights and biases (n_networks, n_in, n_out) with He's variance, biases 0."""
    import torch

    sizes = [(N_BITS, n_units), (n_units, n_units), (n_units, 2)]
    found: list[Any] = []
    for n_in, n_out in sizes:
        drawn = np.stack([rng.standard_normal((n_in, n_out)) for rng in streams]) * np.sqrt(2 / n_in)
        found.append(torch.tensor(drawn, dtype=torch.float32, requires_grad=True))
        found.append(torch.zeros((len(streams), 1, n_out), requires_grad=True))
    return found


def _forward(weights: list[Any], x: Any) -> tuple[Any, Any]:
    """Return the last hidden layer and the outputs of all networks, (n_networks, n_inputs, n_units or 2)."""
    hidden = x
    for weight, bias in zip(weights[:-2:2], weights[1:-2:2], strict=True):
        hidden = (hidden @ weight + bias).relu()
    return hidden, hidden @ weights[-2] + weights[-1]


def _training(
    weights: list[Any],
    inputs: np.ndarray,
    wanted: np.ndarray,
    streams: list[np.random.Generator],
    n_steps: int,
    rate: float,
    progress: bool,
) -> Any:
    """Train in place, and yield the number of steps done: at 0, every 50 and at the end."""
    import torch
    from torch.nn.functional import binary_cross_entropy_with_logits as loss

    optimizer = torch.optim.Adam(weights, lr=rate)
    x, y = torch.tensor(inputs, dtype=torch.float32), torch.tensor(wanted)
    rows = torch.arange(len(streams))[:, None]
    for step in tqdm(range(n_steps + 1), desc="training", disable=not progress):
        if step % EVERY == 0 or step == n_steps:
            yield step
        if step == n_steps:
            return
        drawn = torch.tensor(np.stack([rng.integers(len(inputs), size=BATCH) for rng in streams]))
        optimizer.zero_grad()
        outputs = _forward(weights, x[drawn])[1]
        # Summed over networks, so that each has the gradient of its own mean.
        (loss(outputs, y[rows, drawn], reduction="none").mean(dim=1).sum()).backward()
        optimizer.step()


def _accuracy(weights: list[Any], inputs: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    import torch

    with torch.no_grad():
        outputs = to_numpy(_forward(weights, torch.tensor(inputs, dtype=torch.float32))[1])
    return ((outputs > 0) == (wanted > 0)).mean(axis=1)


def _hidden(weights: list[Any], inputs: np.ndarray) -> np.ndarray:
    import torch

    with torch.no_grad():
        return to_numpy(_forward(weights, torch.tensor(inputs, dtype=torch.float32))[0]).astype(np.float64)

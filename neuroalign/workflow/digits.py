"""Small networks trained on scikit-learn's digits: what they hold for images they never saw."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import xarray as xr
from tqdm import tqdm

from ..arrays import to_numpy
from ..seeds import generator

__all__ = ["LAYERS", "digit_activations"]

LAYERS = tuple(f"layer {i}" for i in range(1, 7))
N_UNITS = 64
BATCH = 64


def digit_activations(
    n_networks: int, *, n_images: int, epochs: int, seed: int, progress: bool = True
) -> tuple[xr.DataArray, np.ndarray]:
    """Return the activations of networks that differ in their seed only, and how well they name digits.

    Each network (64 pixels, six dense layers of 64 units with ReLU, 10 outputs; Adam at 0.002) has initial
    weights and an order of images of its own. The images shown are of the held-out quarter, as many of each
    digit as of any other. Layers have one width, so that none averages noise over more units.

    Parameters
    ----------
    n_networks, epochs : int
    n_images : int
        A multiple of 10, at most 400.
    seed : int
        Of the study.
    progress : bool
        Whether a bar is shown.

    Returns
    -------
    activations : DataArray (seed, layer, stimulus, unit)
        After the ReLU; ``digit`` is a coordinate of the stimuli.
    accuracy : array (n_networks,)
        Share of all held-out images that are named correctly.
    """
    images, digits, held_out = _images(seed)
    shown = _balanced(digits, held_out, n_images)
    values, accuracy = [], []
    for i in tqdm(range(n_networks), desc="digits networks", disable=not progress):
        rng = generator(seed, "digits", "network", i)
        network = _trained(images[~held_out], digits[~held_out], epochs, rng)
        accuracy.append(
            float((_run(network, images[held_out])[-1].argmax(axis=1) == digits[held_out]).mean())
        )
        values.append(_run(network, images[shown])[:-1])
    activations = xr.DataArray(
        np.array(values),
        dims=("seed", "layer", "stimulus", "unit"),
        coords={
            "seed": np.arange(n_networks),
            "layer": list(LAYERS),
            "stimulus": [f"digit-{i:04d}" for i in shown],
            "digit": ("stimulus", digits[shown]),
        },
        name="activations",
    )
    return activations, np.array(accuracy)


def _images(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the images (n, 64) from 0 to 1, their digits, and which quarter is held out."""
    from sklearn.datasets import load_digits

    found = load_digits()
    images = (found.data / 16.0).astype(np.float32)
    order = generator(seed, "digits", "split").permutation(len(images))
    held_out = np.zeros(len(images), dtype=bool)
    held_out[order[: len(images) // 4]] = True
    return images, found.target, held_out


def _balanced(digits: np.ndarray, held_out: np.ndarray, n_images: int) -> np.ndarray:
    rows = [np.flatnonzero(held_out & (digits == digit))[: n_images // 10] for digit in range(10)]
    return np.concatenate(rows)


def _trained(images: np.ndarray, digits: np.ndarray, epochs: int, rng: np.random.Generator) -> list[Any]:
    """Return a trained network as stages, each a layer with its ReLU; the last gives the outputs."""
    import torch
    from torch import nn

    width = images.shape[1]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(rng.integers(2**31)))
        sizes = [width, *([N_UNITS] * len(LAYERS))]
        stages = [nn.Sequential(nn.Linear(a, b), nn.ReLU()) for a, b in itertools.pairwise(sizes)]
        stages.append(nn.Linear(N_UNITS, 10))
    network = nn.Sequential(*stages)
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-3)
    x, y = torch.from_numpy(images), torch.from_numpy(digits)
    for _ in range(epochs):
        order = torch.from_numpy(rng.permutation(len(x)))
        for rows in order.split(BATCH):
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(x[rows]), y[rows]).backward()
            optimizer.step()
    return stages


def _run(stages: list[Any], images: np.ndarray) -> list[np.ndarray]:
    """Return what every stage gives, arrays (n_images, n_units)."""
    import torch

    found, x = [], torch.from_numpy(images)
    with torch.no_grad():
        for stage in stages:
            x = stage(x)
            found.append(to_numpy(x))
    return found

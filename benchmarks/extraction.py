"""Extraction of all blocks of a language model.

Bare forward: the network without its output layer and without hooks on the same batches, tokenised
beforehand; ours includes the tokenizer, the digests and, with a file, writing it. Loop over single stimuli:
keeps the last token of every hidden state. Moments are those by condition and run, no activations kept.
The localizer's statistics (t, p, d and mask of every unit) are timed against the bare forward of the same
stimuli, as many as a published localizer has: the embedded ones five times, under names of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import torch
import xarray as xr

from neuroalign.extraction import LanguageModel, extract, extract_moments
from neuroalign.io import read_layer
from neuroalign.localization import group_moments, localize
from neuroalign.stimuli import localizer

from .networks import BATCH_SIZE, LABEL, network, padded_batches
from .results import Result
from .timing import in_turn

__all__ = ["run"]

N_RUNS, N_RUNS_SLOW = 5, 3
N_COPIES = 5  # of 96 stimuli: 480, the number of a published localizer


def run() -> list[Result]:
    """Time extraction into memory and to a file, and the localizer's statistics."""
    model, stimuli = network(), localizer().query("run <= 4")
    sizes = f"{LABEL}, {model.n_layers} blocks, {len(stimuli)} stimuli, batches of {BATCH_SIZE}"
    bare, ours = _bare(model, stimuli), _ours(model, stimuli)
    activations = ours()
    return [
        _memory(sizes, bare, ours),
        _file(sizes, bare, model, stimuli, activations),
        _one_at_a_time(sizes, ours, model, stimuli, activations),
        _moments(sizes, bare, model, stimuli, activations),
        *_statistics(model, bare, stimuli, activations),
    ]


def _bare(model: LanguageModel, stimuli: pd.DataFrame) -> Callable[[], None]:
    batches = padded_batches(model.tokenizer(stimuli["text"].tolist())["input_ids"])
    body = model.module.base_model

    def forward() -> None:
        with torch.inference_mode():
            for batch in batches:
                body(input_ids=batch.ids, attention_mask=batch.mask, use_cache=False)

    return forward


def _ours(
    model: LanguageModel, stimuli: pd.DataFrame, out: Path | None = None
) -> Callable[[], xr.Dataset | Path]:
    def extraction() -> xr.Dataset | Path:
        if out is not None:
            out.unlink(missing_ok=True)
        return extract(model, stimuli, batch_size=BATCH_SIZE, out=out, progress=False)

    return extraction


def _memory(sizes: str, bare: Callable[[], Any], ours: Callable[[], Any]) -> Result:
    turns = in_turn(bare, ours, n_runs=N_RUNS)
    return Result("extract into memory", sizes, "bare forward", "ours / bare", turns, "", at_most=1.10)


def _file(
    sizes: str,
    bare: Callable[[], Any],
    model: LanguageModel,
    stimuli: pd.DataFrame,
    activations: xr.Dataset,
) -> Result:
    with TemporaryDirectory() as folder:
        out = Path(folder) / "activations.nc"
        turns = in_turn(bare, _ours(model, stimuli, out), n_runs=N_RUNS)
        for layer in activations:
            np.testing.assert_array_equal(read_layer(out, str(layer)), activations[layer])
    same = "file and memory identical"
    return Result("extract to a file", sizes, "bare forward", "ours / bare", turns, same, at_most=1.15)


def _one_at_a_time(
    sizes: str,
    ours: Callable[[], Any],
    model: LanguageModel,
    stimuli: pd.DataFrame,
    activations: xr.Dataset,
) -> Result:
    def loop() -> np.ndarray:
        return _last_tokens(model, stimuli["text"].tolist())

    # The last hidden state is left out: it is after the final norm, the last block's output is not.
    expected, found = loop()[:-1], np.stack([activations[layer] for layer in activations][:-1])
    error = np.abs(found - expected).max() / np.abs(expected).max()
    assert error < 1e-5
    return Result(
        "extract into memory",
        sizes,
        "loop over single stimuli",
        "loop / ours",
        in_turn(ours, loop, n_runs=N_RUNS_SLOW),
        f"largest difference {error:.0e} of the largest value",
        at_least=1.35,
    )


def _last_tokens(model: LanguageModel, texts: list[str]) -> np.ndarray:
    """Return the last token's hidden states (n_layers, n_stimuli, n_units), one stimulus after the other."""
    found = []
    with torch.inference_mode():
        for text in texts:
            inputs = model.tokenizer(text, return_tensors="pt")
            states = model.module.base_model(
                **inputs, use_cache=False, output_hidden_states=True
            ).hidden_states
            found.append(torch.stack([state[0, -1] for state in states[1:]]))
    return torch.stack(found, dim=1).numpy()


def _moments(
    sizes: str,
    bare: Callable[[], Any],
    model: LanguageModel,
    stimuli: pd.DataFrame,
    activations: xr.Dataset,
) -> Result:
    def ours() -> xr.Dataset:
        return extract_moments(model, stimuli, batch_size=BATCH_SIZE, progress=False)

    found, expected = ours()["mean"].values, group_moments(activations, stimuli)["mean"].values
    error = np.abs(found - expected).max() / np.abs(expected).max()
    assert error < 1e-10
    turns = in_turn(bare, ours, n_runs=N_RUNS)
    same = f"largest difference of means {error:.0e} of the largest"
    return Result("extract_moments", sizes, "bare forward", "ours / bare", turns, same, at_most=1.10)


def _statistics(
    model: LanguageModel, bare: Callable[[], Any], stimuli: pd.DataFrame, activations: xr.Dataset
) -> Iterator[Result]:
    copies = [stimuli.assign(stimulus=stimuli["stimulus"] + f", {i}") for i in range(N_COPIES)]
    many = pd.concat(copies, ignore_index=True)
    tiled = xr.concat(
        [activations.assign_coords(stimulus=c["stimulus"].to_numpy()) for c in copies], "stimulus"
    )
    sides = [many.loc[many["condition"] == name, "stimulus"] for name in ("sentence", "nonword")]
    moments = group_moments(tiled, many)

    def forward() -> None:
        for _ in copies:
            bare()

    sizes = f"{LABEL}, {model.n_layers} blocks, {len(many)} stimuli, batches of {BATCH_SIZE}"
    for what, found, (positive, negative) in (
        ("activations", tiled, sides),
        ("moments", moments, ["sentence", "nonword"]),
    ):
        turns = in_turn(forward, partial(localize, found, positive, negative), n_runs=N_RUNS_SLOW)
        against = "bare forward of the same stimuli"
        name = f"localizer statistics from {what}"
        yield Result(name, sizes, against, "statistics / bare", turns, "", at_most=0.01)

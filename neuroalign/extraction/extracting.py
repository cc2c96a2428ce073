"""Activations of stimuli that are read one by one: sentences, word lists, passages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from .models import LanguageModel
from .reading import text_request
from .running import Request, fulfil
from .structure import resolve_layers
from .tokens import texts_of, tokenise

__all__ = ["extract", "request_for"]


def extract(
    model: LanguageModel,
    stimuli: pd.DataFrame,
    layers: Any = None,
    *,
    site: str = "block",
    pool: str = "last",
    max_tokens: int | None = None,
    batch_size: int = 32,
    out: str | Path | None = None,
    progress: bool = True,
) -> xr.Dataset | Path:
    """Return the activations of every stimulus in every layer.

    Rows stand in the order of the stimuli, and neither the batch size nor the tokenizer's padding side
    changes them. The network is left after the deepest layer that was asked for; the output layer is not run.

    Parameters
    ----------
    model : LanguageModel
    stimuli : DataFrame
        Columns stimulus (unique) and text.
    layers : None, "all", int, str, or a sequence of int and str
        See ``resolve_layers``.
    site : {"block", "attn_out", "mlp_out", "mlp_act", "resid_pre"}
        The block's output, which for the last block is before the final norm; what the attention or the MLP
        adds to the residual stream; the input of the MLP's last linear map (after the nonlinearity and the
        gate, so of its own width); or the block's input. Found by watching what a block computes; see
        ``extract_attention`` for attention patterns.
    pool : {"last", "mean", "first"}
        Last token, or mean over tokens, of those that the tokenizer did not add itself ([CLS], [SEP], <s>);
        or the first token of all, which is [CLS] in most encoders.
    max_tokens : int, optional
        Keep the first tokens only; special tokens count and are kept.
    batch_size : int
        Stimuli at once; halved when they do not fit in memory.
    out : path, optional
        Write to this file, layer by layer, and do not hold all in memory. If it exists with the same key,
        nothing is run. What an interrupted run wrote is gone on with, batch by batch, and the file ends the
        same, byte for byte, if the batch size is.
    progress : bool

    Returns
    -------
    Dataset or path
        One variable (stimulus, unit) a layer, float32, and the coordinate n_tokens (stimulus,): the tokens
        read, special ones included. ``attrs["key"]`` is one SHA-256 of all that decides the values. Where
        layers differ in width their dims are ``unit_0``, ``unit_1``, ... With ``out`` the path; read it with
        ``io.read_layer``.

    Raises
    ------
    LabelError
        If labels repeat, or the model lacks a layer, or the structure of a block lacks the site.
    InvalidValueError
        If a text is blank or longer than the model reads.
    FileError
        If ``out`` exists and holds other activations; says what differs.

    Examples
    --------
    >>> model = load_model("smollm2-135m")  # doctest: +SKIP
    >>> table = pd.DataFrame({"stimulus": ["a", "b"], "text": ["A quiet room.", "Rain."]})  # doctest: +SKIP
    >>> extract(model, table, layers=-1)["model.layers.29"].shape  # doctest: +SKIP
    (2, 576)
    """
    request = request_for(model, stimuli, layers, site=site, pool=pool, max_tokens=max_tokens)
    return fulfil(request, out, batch_size=batch_size, progress=progress)


def request_for(
    model: LanguageModel,
    stimuli: pd.DataFrame,
    layers: Any,
    *,
    site: str,
    pool: str,
    max_tokens: int | None,
    **parameters: Any,
) -> Request:
    """Return the request for stimuli that are read one by one; see ``extract``."""
    names = resolve_layers(model, layers)
    found, texts = texts_of(stimuli)
    passages = tokenise(model, found, texts, pool=pool, max_tokens=max_tokens)
    return text_request(
        model,
        names,
        (found, texts),
        passages,
        n_tokens=np.array([passage.ids.size for passage in passages]),
        site=site,
        pool=pool,
        max_tokens=None if max_tokens is None else int(max_tokens),
        **parameters,
    )

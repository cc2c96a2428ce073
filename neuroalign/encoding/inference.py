"""Tests of encoding scores that stay valid on autocorrelated series: permuted blocks, circular shifts."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from ..arrays import as_float
from ..errors import InvalidValueError, LabelError, ShapeError, choice
from ..schema import align, labels
from ..stats import (
    block_shuffle,
    circular_shift,
    fdr,
    max_p,
    p_value,
    permutation,
    shuffle,
)
from ..stats.autocorrelation import block_length
from .evaluation import CONVENTIONS, ROWS
from .products import TERMS, Terms, of_orders, of_rotations, terms

__all__ = ["METHODS", "score_tests"]

METHODS = ("block", "circular")
# Largest standard deviation of a cross-validated score under the null, over that of a permuted one.
SHARED_SPREAD = 2**0.5
# What is large where a result is extreme.
ORIENTED: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "greater": np.positive,
    "less": np.negative,
    "two-sided": np.abs,
}


def score_tests(
    predictions: xr.DataArray,
    responses: xr.DataArray,
    *,
    n: int,
    rng: np.random.Generator,
    method: str = "block",
    block: int | None = None,
    metric: str = "pearson",
    convention: str = "folds",
    tail: str = "greater",
    folds: Any = None,
    runs: Any = None,
    cross_validated: bool | None = None,
    chunk: int = 512,
) -> xr.Dataset:
    r"""Return the score of every neuroid's held-out predictions with permutation p-values.

    The rows of the predictions are permuted, in blocks that keep their autocorrelation, within test folds and
    runs; each permutation serves all neuroids, so that the largest score of a permutation is one draw of the
    family's maximum. Models are not fitted again: what is tested is whether predictions and responses are
    related in time. A parametric p of r takes rows for independent: of unrelated AR(.8) series it refuses a
    third at .05.

    Where the rows of each fold trained the other folds' models, folds are not independent: a chance relation
    of two folds counts twice, once in the predictions of either. With predictions linear in the responses,
    :math:`\hat y_f = \sum_{g \ne f} K_{fg} y_g`, the sum of products is :math:`\sum_{f < g} y_f' (K_{fg} +
    K_{gf}') y_g`, whose variance under the null is up to twice that of the permuted sum, for
    :math:`|A + B|^2 \le 2 |A|^2 + 2 |B|^2`. Permuted scores are then spread by :math:`\sqrt 2` around their
    mean (``cross_validated``); without that a tenth of true nulls are refused at .05.

    Parameters
    ----------
    predictions : DataArray (time, neuroid) or (stimulus, neuroid)
        Held-out predictions with times in increasing order, as ``cross_validated_predictions`` returns them.
    responses : DataArray (time, neuroid) or (stimulus, neuroid)
        Aligned to the predictions by label. A neuroid with NaN, here or in the predictions, has no score.
    n : int
        Permutations. Beside the arrays themselves, memory is that of ``n`` x ``chunk`` numbers and of a few
        blocks of ``chunk`` neuroids, whatever the number of neuroids.
    rng : numpy.random.Generator
    method : {"block", "circular"}
        Blocks in random order, after a rotation by a random offset; or a rotation alone, which keeps
        autocorrelations that are too long for blocks, but has only as many draws as a run has rows.
    block : int, optional
        Rows in a block, or the least number of rows of a rotation; at most half of the shortest run. Where
        None, blocks are as long as the autocorrelation of predictions and responses asks for
        (``stats.autocorrelation.block_length``), at most half of the shortest run; rotations are by at
        least 1 row, for without those by few rows, which resemble the data, the test refuses too many true
        nulls; and stimuli move one by one.
    metric : {"pearson", "spearman", "r2", "explained_variance"}
        As in ``stats.SCORES``.
    convention : {"folds", "pooled"}
        The average of fold scores, over folds that have one; or one score of all rows together. Rows move
        within their fold and run in either case, so that agreement of the folds' means, which a pooled score
        counts, has no say in its p.
    tail : {"greater", "less", "two-sided"}
    folds, runs : str or array (n_times,), optional
        The fold and the run of each row, or the name of a coordinate of the predictions; the coordinates
        ``fold`` and ``run`` where None, and one of each where there are none.
    cross_validated : bool, optional
        Whether the rows of each fold trained the other folds' models. Where None: yes, if there are several
        folds. False is for predictions that no response of these rows had a part in, such as those of a model
        of other people or of another session.
    chunk : int
        Neuroids at a time.

    Returns
    -------
    Dataset (neuroid,)
        ``score``; ``p``; ``p_fdr``, adjusted over neuroids; ``p_max``, against the largest score of each
        permutation, which controls the family-wise error; ``n_undefined_folds``. NaN where no fold has a
        score; ``attrs["n_undefined"]`` counts these neuroids. Also in ``attrs``: method, block in rows
        and where it is from, draws, and the generator's state before the first draw.

    Raises
    ------
    LabelError
        If rows or neuroids differ, or a named coordinate is missing.
    ShapeError
        If dims or sizes are other ones.
    InvalidValueError
        If times do not increase, a block is longer than half of a run, a value is infinite, or a choice is
        unknown.

    References
    ----------
    Nichols & Holmes 2002, Hum Brain Mapp 15:1 (maximum); Phipson & Smyth 2010 (p); Adolf et al. 2014, Front
    Neuroinform 8:72 (blocks of fMRI rows); Lancaster et al. 2018, Physics Reports 748:1 (circular shifts).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> signal, noise = rng.standard_normal((2, 60, 2))
    >>> Y = xr.DataArray(signal, dims=("time", "neuroid"), coords={"time": 2.0 * np.arange(60)})
    >>> found = score_tests(Y.copy(data=np.stack([signal[:, 0], noise[:, 1]], axis=1)), Y, n=99, rng=rng)
    >>> found.p.values.tolist(), found.attrs["block"]
    ([0.01, 0.88], 1)
    """
    _check_choices(method=method, metric=metric, convention=convention, tail=tail)
    responses = _aligned(predictions, responses)
    fold, run = _codes(predictions, folds, "fold", "folds"), _codes(predictions, runs, "run", "runs")
    if predictions.dims[0] == "stimulus":
        # Stimuli have no order in time: those of a fold are put together, to move among one another.
        order = np.lexsort((run, fold))
        predictions, responses = predictions.isel(stimulus=order), responses.isel(stimulus=order)
        fold, run = fold[order], run[order]
    rows = _Rows.of(fold, run)
    block, source = _block(block, predictions, responses, rows, method)
    state = rng.bit_generator.state if isinstance(rng, np.random.Generator) else None
    groups = rows.of_folds if convention == "folds" else [np.arange(len(rows.segment))]
    several = len(rows.of_folds) > 1
    shared = several if cross_validated is None else bool(cross_validated) and several
    found = _tests(
        lambda part: terms(*_read(predictions[:, part], responses[:, part]), metric, groups),
        _columns(predictions.sizes["neuroid"], chunk),
        permute=lambda draws: _permute(rows, method, block, draws),
        kernel=of_rotations if method == "circular" else of_orders,
        starts=rows.starts,
        n=n,
        rng=rng,
        tail=tail,
        spread=SHARED_SPREAD if shared else 1.0,
    )
    attrs = {
        "method": method,
        "block": block,
        "block_from": source,
        "n_draws": int(n),
        "metric": metric,
        "convention": CONVENTIONS[convention],
        "tail": tail,
        "n_folds": len(rows.of_folds),
        "cross_validated": int(shared),
        "n_segments": len(rows.starts),
        "rng_state": json.dumps(state, default=lambda value: value.tolist()),
    }
    return _labelled(found, predictions, responses, attrs)


class _Rows(NamedTuple):
    """Rows of time: the stretch (n_times,) in which each may move, where stretches start, rows of folds."""

    segment: np.ndarray
    starts: np.ndarray
    of_folds: list[np.ndarray]

    @classmethod
    def of(cls, fold: np.ndarray, run: np.ndarray) -> _Rows:
        border = (np.diff(fold) != 0) | (np.diff(run) != 0)
        segment = np.concatenate([[0], np.cumsum(border)])
        starts = np.flatnonzero(np.concatenate([[True], border]))
        return cls(segment, starts, [np.flatnonzero(fold == k) for k in np.unique(fold)])


def _tests(
    terms_of: Callable[[slice], Terms],
    columns: list[slice],
    *,
    permute: Callable[[np.random.Generator], np.ndarray],
    kernel: Callable[[Terms, np.ndarray], Callable[[np.ndarray], np.ndarray]],
    starts: np.ndarray,
    n: int,
    rng: np.random.Generator,
    tail: str,
    spread: float,
) -> dict[str, np.ndarray]:
    """Return scores, p, p_max and counts; every block of columns sees the same permutations."""
    parts: dict[str, list[np.ndarray]] = {"score": [], "p": [], "p_max": [], "n_undefined_folds": []}
    largest: Any = -np.inf
    for i, part in enumerate(columns):
        these = terms_of(part)
        score = kernel(these, starts)
        observed = np.where(np.isnan(these.offset), np.nan, score(np.arange(len(these.a))))
        same = rng if i == len(columns) - 1 else copy.deepcopy(rng)
        null = permutation(score, n, permute=permute, rng=same)
        if spread != 1:
            middle = null.mean(axis=0)
            null = middle + spread * (null - middle)
        parts["score"].append(observed)
        parts["p"].append(p_value(observed, null, tail=tail))
        parts["n_undefined_folds"].append(these.n_undefined)
        made = ~np.isnan(observed)
        largest = np.maximum(largest, ORIENTED[tail](null[:, made]).max(axis=1, initial=-np.inf))
    for observed in parts["score"]:
        null = np.broadcast_to(largest[:, None], (n, len(observed)))
        parts["p_max"].append(max_p(ORIENTED[tail](observed), null))
    return {name: np.concatenate(each) for name, each in parts.items()}


def _permute(rows: _Rows, method: str, block: int, rng: np.random.Generator) -> np.ndarray:
    orders = []
    for start, stop in zip(rows.starts, [*rows.starts[1:], len(rows.segment)], strict=True):
        length = int(stop - start)
        if method == "circular":
            orders.append(start + circular_shift(length, rng, minimum=block))
        elif block == 1:
            orders.append(start + shuffle(length, rng))
        else:
            orders.append(start + block_shuffle(length, block, rng))
    return np.concatenate(orders)


def _read(predictions: xr.DataArray, responses: xr.DataArray) -> tuple[np.ndarray, np.ndarray]:
    """Return some neuroids' values in float64; NaN is left to be counted."""
    found = []
    for array, name in ((predictions, "predictions"), (responses, "responses")):
        values = as_float(array.values, name=name, finite=False)
        if np.isinf(values).any():
            row, column = np.argwhere(np.isinf(values))[0]
            raise InvalidValueError(
                f"{name} must not be infinite; got {values[row, column]} at row {row} of neuroid "
                f"{array['neuroid'].values[column].item()!r}."
            )
        found.append(values)
    return found[0], found[1]


def _aligned(predictions: Any, responses: Any) -> xr.DataArray:
    """Return the responses with the rows and neuroids of the predictions, after checking both."""
    for array, name in ((predictions, "predictions"), (responses, "responses")):
        dims = getattr(array, "dims", ())
        if not isinstance(array, xr.DataArray) or dims not in [(dim, "neuroid") for dim in ROWS]:
            raise ShapeError(
                f"{name} must be a DataArray (time, neuroid) or (stimulus, neuroid); got "
                f"{dims or type(array).__name__}."
            )
        if array.size == 0:
            raise ShapeError(f"{name} must have rows and neuroids; got shape {array.shape}.")
    dim = str(predictions.dims[0])
    names = ["predictions", "responses"]
    times = labels(predictions, on=dim, name="predictions")
    if dim == "time" and (np.diff(as_float(times, name="times of predictions")) <= 0).any():
        raise InvalidValueError(
            "predictions: times must increase, so that blocks are neighbours in time; sort them by "
            'predictions.sortby("time").'
        )
    # Rows and neuroids are taken only where they must move, so that a memory-map stays one.
    if not np.array_equal(labels(responses, on=dim, name="responses"), times):
        responses = align(predictions, responses, on=dim, names=names)[1]
    if "neuroid" in predictions.coords and "neuroid" in responses.coords:
        if not np.array_equal(predictions["neuroid"], responses["neuroid"]):
            responses = align(predictions, responses, on="neuroid", names=names)[1]
    elif predictions.sizes["neuroid"] != responses.sizes["neuroid"]:
        raise ShapeError(
            "predictions and responses must have the same neuroids; got "
            f"{predictions.sizes['neuroid']} and {responses.sizes['neuroid']}."
        )
    return responses


def _codes(predictions: xr.DataArray, given: Any, default: str, name: str) -> np.ndarray:
    """Return the number of the fold or run of each row."""
    dim, n = str(predictions.dims[0]), len(predictions)
    if given is None and default not in predictions.coords:
        return np.zeros(n, dtype=np.int64)
    given = default if given is None else given
    if isinstance(given, str):
        if given not in predictions.coords or predictions[given].dims != (dim,):
            raise LabelError(f"{name}: predictions have no coordinate {given!r} along {dim!r}.")
        given = predictions[given].values
    values = np.asarray(given)
    if values.shape != (n,):
        raise ShapeError(f"{name} must have shape ({n},), one a row; got {values.shape}.")
    return np.unique(values, return_inverse=True)[1]


def _block(
    block: Any, predictions: xr.DataArray, responses: xr.DataArray, rows: _Rows, method: str
) -> tuple[int, str]:
    """Return the rows in a block, or the least rotation, and where that is from."""
    lengths = np.diff([*rows.starts, len(rows.segment)])
    source = "default" if block is None else "given"
    if block is None and method == "block" and predictions.dims[0] == "time":
        block = block_length(predictions.values, responses.values, runs=rows.segment)
        cut = 1 < block == lengths.min() // 2
        source = "autocorrelation, cut to half of the shortest run" if cut else "autocorrelation"
    block = 1 if block is None else block
    if isinstance(block, bool) or not isinstance(block, int | np.integer) or block < 1:
        raise InvalidValueError(f"block must be a positive integer; got {block!r}.")
    if 2 * block > lengths.min():
        raise InvalidValueError(
            f"block must be at most half of the shortest run; got {block} rows for the {lengths.min()} rows "
            f"of stretch {lengths.argmin()}. Rows move within folds and runs: pass a shorter block, or fewer "
            "folds."
        )
    return int(block), source


def _check_choices(**given: str) -> None:
    allowed = {"method": METHODS, "metric": TERMS, "convention": CONVENTIONS, "tail": ORIENTED}
    for name, value in given.items():
        if value not in allowed[name]:
            raise choice(value, allowed[name], name=name)


def _columns(n: int, chunk: int) -> list[slice]:
    if isinstance(chunk, bool) or not isinstance(chunk, int | np.integer) or chunk < 1:
        raise InvalidValueError(f"chunk must be a positive integer; got {chunk!r}.")
    return [slice(start, start + int(chunk)) for start in range(0, n, int(chunk))]


def _labelled(
    found: dict[str, np.ndarray], predictions: xr.DataArray, responses: xr.DataArray, attrs: dict[str, Any]
) -> xr.Dataset:
    coords = dict(_neuroid_coords(predictions)) | dict(_neuroid_coords(responses))
    arrays = {name: xr.DataArray(values, dims=("neuroid",), coords=coords) for name, values in found.items()}
    arrays["p_fdr"] = fdr(arrays["p"])
    n_undefined = int(np.isnan(found["score"]).sum())
    order = ("score", "p", "p_fdr", "p_max", "n_undefined_folds")
    return xr.Dataset({name: arrays[name] for name in order}, attrs={**attrs, "n_undefined": n_undefined})


def _neuroid_coords(array: xr.DataArray) -> Iterator[tuple[str, Any]]:
    return ((str(name), c.variable) for name, c in array.coords.items() if c.dims == ("neuroid",))

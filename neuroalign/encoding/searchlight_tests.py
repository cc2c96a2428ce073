"""Permutation tests of decoding searchlights, with the maximum over the map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from tqdm import tqdm

from .. import stats
from ..errors import LabelError, ShapeError
from .sphere_decoding import blocks, labelled, prepare

__all__ = ["searchlight_tests"]


def searchlight_tests(
    features: xr.DataArray,
    responses: xr.DataArray,
    around: Sequence[Any],
    *,
    splits: Any,
    n: int,
    rng: np.random.Generator,
    within: str | None = "run",
    tail: str = "greater",
    model: Any = None,
    alphas: Any = 100.0,
    metric: str | None = None,
    standardize: bool = True,
    convention: str = "folds",
    min_neuroids: int = 2,
    chunk: int | None = None,
    progress: bool = False,
) -> xr.Dataset:
    """Return a decoding searchlight's scores with permutation p-values, one family a map, for one subject.

    The labels are permuted in training and test rows and the whole cross-validation is repeated. With one
    alpha a sphere's predictions are a matrix times its targets, which is made once for all permutations.

    Parameters
    ----------
    features, responses, around, splits, model, metric, standardize, convention, min_neuroids
        As in ``searchlight`` with ``direction="decode"``. An estimator of its own is fitted again under
        every permutation.
    n : int
        Permutations.
    rng : numpy.random.Generator
    within : str, optional
        The coordinate of the rows (of ``responses``, or else of ``features``) within whose values labels are
        exchangeable: the run. None: all rows are, which those of one run seldom are.
    tail : {"greater", "less", "two-sided"}
    alphas : float or sequence of float
        One makes permutations quick; of several, each permutation chooses anew.
    chunk : int, optional
        Spheres computed at once; where None as many as take about 16 MB.
    progress : bool
        Whether a bar is shown.

    Returns
    -------
    Dataset (neuroid,), or (feature, neuroid) of decoded numbers
        ``score``; ``p``; ``p_fdr``, adjusted over the neuroids of a map; ``p_max``, against the largest score
        of each permutation over the map. NaN where there is no score; ``attrs["n_undefined"]`` counts them;
        scores above ``attrs["threshold"]`` (of each map) have ``p_max`` of at most .05.

    Raises
    ------
    LabelError
        If there is no coordinate of that name along the rows.
    ShapeError
        If no sphere can be computed; else as ``searchlight``.

    References
    ----------
    Nichols & Holmes 2002, Hum Brain Mapp 15:1 (maximum); Etzel & Braver 2013, Proc. 3rd Int Workshop Pattern
    Recognit Neuroimaging, 94 (labels within runs, in training and test rows).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> label, run = np.tile(["face", "house"], 20), np.repeat([1, 2, 3, 4], 10)
    >>> values = rng.standard_normal((40, 6)) + 2.0 * (label == "face")[:, None] * (np.arange(6) < 3)
    >>> rows = {"stimulus": np.arange(40), "run": ("stimulus", run)}
    >>> from neuroalign.encoding import leave_one_run_out
    >>> found = searchlight_tests(
    ...     xr.DataArray(label, dims="stimulus", coords=rows),
    ...     xr.DataArray(values, dims=("stimulus", "neuroid"), coords=rows),
    ...     [np.array([i]) for i in range(6)], min_neuroids=1, splits=leave_one_run_out(run), n=99, rng=rng)
    >>> (found.p_max < 0.05).values.tolist()
    [True, True, True, False, False, False]
    """
    job = prepare(
        features,
        responses,
        around,
        splits=splits,
        model=model,
        alphas=alphas,
        metric=metric,
        standardize=standardize,
        convention=convention,
        min_neuroids=min_neuroids,
    )
    groups = _groups(within, job.columns, responses)
    parts = list(blocks(job, chunk))
    if not parts:
        raise ShapeError(
            f"no sphere has at least {min_neuroids} neuroids that vary; there is nothing to test."
        )

    def draw(drawn: np.random.Generator) -> np.ndarray:
        order = np.empty(job.n_rows, dtype=np.intp)
        for rows in groups:
            order[rows] = rows[stats.shuffle(len(rows), drawn)]
        return order

    with tqdm(parts, disable=not progress, desc="searchlight", unit="block") as bar:
        of_blocks = (job.statistic(np.stack([job.around[i] for i in part])) for part in bar)
        found = stats.block_tests(of_blocks, job.n_rows, n=n, permute=draw, rng=rng, tail=tail)
    places = np.concatenate(parts)
    full = {}
    for name, values in (("score", found.observed), ("p", found.p), ("p_max", found.p_max)):
        full[name] = np.full((len(job.around), job.n_scored), np.nan)
        full[name][places] = values
    full["p_fdr"] = np.stack([stats.fdr(column) for column in full["p"].T], axis=1)
    attrs = {**job.attrs, "within": within or "all rows", "n_draws": int(n), "tail": tail}
    attrs |= {"threshold": found.threshold(0.05), "n_undefined": int(np.isnan(full["score"]).sum())}
    order = ("score", "p", "p_fdr", "p_max")
    arrays = {name: labelled(full[name], job, responses, name, {}).drop_attrs() for name in order}
    return xr.Dataset(arrays, attrs=attrs)


def _groups(within: str | None, features: xr.DataArray, responses: xr.DataArray) -> list[np.ndarray]:
    """Return the rows of each group, in the order of the features."""
    dim = str(features.dims[0])
    if within is None:
        return [np.arange(features.sizes[dim])]
    for array in (responses, features):
        if within in array.coords and array[within].dims == (dim,):
            found = array[within].sel({dim: features[dim].values}).values
            return [np.flatnonzero(found == name) for name in dict.fromkeys(found.tolist())]
    raise LabelError(
        f"neither responses nor features have a coordinate {within!r} along {dim!r}. Name what labels are "
        "exchangeable within, or pass within=None."
    )

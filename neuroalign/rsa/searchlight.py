"""Searchlight: how well models explain the RDM of the neuroids around each neuroid."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import xarray as xr
from tqdm import tqdm

from .sphere_jobs import Job, blocks, check_chunk, labelled, prepare

__all__ = ["searchlight"]


def searchlight(
    responses: xr.DataArray,
    models: xr.DataArray,
    *,
    radius: float | None = None,
    neighbours: Sequence[Any] | None = None,
    metric: str = "correlation",
    method: str = "spearman",
    noise: xr.DataArray | None = None,
    noise_method: str = "shrinkage-diagonal",
    dof: float | None = None,
    folds: str | None = None,
    min_neuroids: int = 2,
    chunk: int | None = None,
    n_jobs: int = 1,
    progress: bool = False,
) -> xr.DataArray:
    """Return how similar model RDMs are to the RDM of the neuroids around each neuroid, for one subject.

    The numbers are those of ``rdm`` and ``compare`` on the neuroids of each sphere. No stack of RDMs is held:
    memory does not grow with the number of spheres, apart from the lists of neighbours and the result.

    Parameters
    ----------
    responses : DataArray (stimulus, neuroid), or in another layout that ``rdm`` takes
        With repeated presentations, or a dim or coordinate that holds the fold; one subject.
    models : DataArray (pair,) or (model, pair)
        RDMs of the same stimuli, aligned by label; the leading dim may have any name.
    radius : float, optional
        In mm, of spheres around each neuroid; needs coordinates x, y, z along ``neuroid``. See ``spheres``.
    neighbours : sequence of array of int, optional
        Instead of ``radius``: for each neuroid the positions of those around it, in the order of
        ``responses``; see ``surface_neighbours``. An empty one is skipped (NaN).
    metric : str
        ``"correlation"``, ``"cosine"``, ``"euclidean"``, ``"sqeuclidean"``, ``"mahalanobis"``,
        ``"crossnobis"`` or ``"correlation-cv"``, as in ``rdm``. Division by the number of
        neuroids would change no comparison.
    method : str
        As in ``compare``.
    noise : DataArray, optional
        For ``mahalanobis`` (which needs it) and ``crossnobis``: residuals (any dim, neuroid), of which each
        sphere's precision is estimated as in ``noise_precision``; variances (neuroid,), for univariate
        normalisation; or a precision (neuroid, neuroid_b), of which each sphere takes its block (its
        precision given the other neuroids). Aligned by the labels of ``neuroid``.
    noise_method, dof
        Of the precision from residuals; see ``noise_precision``.
    folds : str, optional
        For ``crossnobis`` and ``correlation-cv``: the dim or coordinate that holds the fold, ``"run"`` where
        None. Every stimulus must be in every fold.
    min_neuroids : int
        Spheres with fewer neuroids are NaN; at least 2 under correlations.
    chunk : int, optional
        Spheres computed at once; where None as many as take about 8 MB.
    n_jobs : int
        Threads. Set the threads of the linear algebra to 1 where there are several.
    progress : bool
        Whether a bar is shown.

    Returns
    -------
    DataArray (model, neuroid) or (neuroid,)
        float64 with the coordinates of the neuroids and ``n_neuroids``, the sizes of the spheres. NaN where a
        sphere is too small, has a neuroid without noise variance, or the comparison is undefined (a constant
        RDM); ``attrs["n_undefined"]`` counts the NaN values. A stimulus whose pattern has no direction in a
        sphere is left out of that sphere's comparison; ``attrs["n_partial"]`` counts such spheres.

    Raises
    ------
    ShapeError
        If dims are other ones, there are fewer than 3 stimuli, or the neighbours are not one a neuroid.
    LabelError
        If the stimuli differ, or x, y, z are missing.
    InvalidValueError
        If a value is not finite, a choice is unknown, an argument does not belong to the metric, a neighbour
        is out of range, or a sphere's noise covariance is singular.

    References
    ----------
    Kriegeskorte, Goebel & Bandettini 2006, PNAS 103:3863; Walther et al. 2016, NeuroImage 137:188
    (crossnobis).

    Examples
    --------
    >>> from neuroalign.rsa import rdm
    >>> responses = xr.DataArray(
    ...     np.random.default_rng(0).standard_normal((6, 4)), dims=("stimulus", "neuroid"),
    ...     coords={"stimulus": list("abcdef"), "x": ("neuroid", [0.0, 1.0, 2.0, 9.0]),
    ...             "y": ("neuroid", np.zeros(4)), "z": ("neuroid", np.zeros(4))})
    >>> found = searchlight(responses, rdm(responses[:, :3]), radius=1)
    >>> found.values.round(3).tolist()[1], found.n_neuroids.values.tolist(), found.attrs["n_undefined"]
    (1.0, [2, 3, 2, 1], 1)
    """
    check_chunk(chunk=chunk, n_jobs=n_jobs)
    job = prepare(
        responses,
        models,
        radius=radius,
        neighbours=neighbours,
        metric=metric,
        method=method,
        noise=noise,
        noise_method=noise_method,
        dof=dof,
        folds=folds,
        min_neuroids=min_neuroids,
    )
    scores, n_partial = _run(job, chunk, n_jobs, progress)
    attrs = {"metric": method, "dissimilarity": metric, "n_partial": n_partial}
    return labelled(scores, job.models, responses, job.sizes, attrs)


def _run(job: Job, chunk: int | None, n_jobs: int, progress: bool) -> tuple[np.ndarray, int]:
    scores = np.full((len(job.around), len(job.work.models)), np.nan)
    parts = list(blocks(job, chunk))

    def one(block: np.ndarray) -> int:
        scores[block], n_partial = job.work.scores(np.stack([job.around[i] for i in block]))
        return n_partial

    n_partial = 0
    with (
        tqdm(total=sum(map(len, parts)), disable=not progress, desc="searchlight", unit="sphere") as bar,
        ThreadPoolExecutor(n_jobs) as pool,
    ):
        for block, n in zip(parts, map(one, parts) if n_jobs == 1 else pool.map(one, parts), strict=True):
            n_partial += n
            bar.update(len(block))
    return scores, n_partial

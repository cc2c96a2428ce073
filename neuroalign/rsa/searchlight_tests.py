"""Permutation tests of searchlight maps, with the maximum over the map."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import xarray as xr
from tqdm import tqdm

from .. import stats
from ..errors import InvalidValueError, ShapeError, choice
from ..schema import square
from .compare import compare_rows, unit_rows
from .evaluation import BY_PAIR
from .sphere_jobs import CROSSVALIDATED, Job, blocks, check_chunk, labelled, prepare

__all__ = ["permutations", "searchlight_tests"]

PERMUTED = ("stimuli", "within folds")


def searchlight_tests(
    responses: xr.DataArray,
    models: xr.DataArray,
    *,
    n: int,
    rng: np.random.Generator,
    permute: str = "stimuli",
    tail: str = "greater",
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
    progress: bool = False,
) -> xr.Dataset:
    """Return a searchlight's scores with permutation p-values, one family a model's map, for one subject.

    Each permutation serves all spheres, so that its largest score over the map is one draw of the family's
    maximum. Spheres are computed block by block; what is held is the null distribution of one block.

    Parameters
    ----------
    responses, models, radius, neighbours, metric, method, noise, noise_method, dof, folds, min_neuroids
        As in ``searchlight``.
    n : int
        Permutations.
    rng : numpy.random.Generator
    permute : {"stimuli", "within folds"}
        What is exchangeable where nothing is represented. ``"stimuli"``: the labels of the stimuli, the same
        in all folds; distances are not computed anew. Few stimuli, or a model that does not tell many of
        them apart, have few distinct orders: 8 stimuli, of which 5 are one category and the others three
        more, have 56, so that p cannot be small. ``"within folds"``, of cross-validated metrics: the labels
        of the stimuli in each fold for itself, so that a sphere without any information is the null; a
        sphere that tells the stimuli apart in another way than the model does is not.
    tail : {"greater", "less", "two-sided"}
    chunk : int, optional
        Spheres computed at once; where None as many as take about 8 MB.
    progress : bool
        Whether a bar is shown.

    Returns
    -------
    Dataset (model, neuroid) or (neuroid,)
        ``score``; ``p``; ``p_fdr``, adjusted over the neuroids of a map; ``p_max``, against the largest score
        of each permutation over the map, which controls the family-wise error of one model. With several
        models, adjust once more. NaN where there is no score; ``attrs["n_undefined"]`` counts them;
        scores above
        ``attrs["threshold"]`` (of each model) have ``p_max`` of at most .05.

    Raises
    ------
    InvalidValueError
        If a choice is unknown, or labels are to be permuted within folds that the metric does not have; else
        as ``searchlight``.

    References
    ----------
    Nichols & Holmes 2002, Hum Brain Mapp 15:1 (maximum); Phipson & Smyth 2010 (p); Nili et al. 2014
    (permutation of stimuli).

    Examples
    --------
    >>> from neuroalign.rsa import rdm
    >>> axes = {"x": np.arange(40.0), "y": np.zeros(40), "z": np.zeros(40)}
    >>> responses = xr.DataArray(
    ...     np.random.default_rng(0).standard_normal((9, 40)), dims=("stimulus", "neuroid"),
    ...     coords={"stimulus": list("abcdefghi"), **{k: ("neuroid", v) for k, v in axes.items()}})
    >>> found = searchlight_tests(
    ...     responses, rdm(responses[:, :5]), radius=2, n=99, rng=np.random.default_rng(1))
    >>> np.flatnonzero(found.p_max < 0.05).tolist()
    [2, 3, 4, 5, 6]
    """
    check_chunk(chunk=chunk)
    if permute not in PERMUTED:
        raise choice(permute, PERMUTED, name="permute")
    if permute == "within folds" and metric not in CROSSVALIDATED:
        raise InvalidValueError(
            f"permute='within folds' belongs to the metrics {', '.join(CROSSVALIDATED)}; got {metric!r}. "
            "Permute stimuli."
        )
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
    statistic, n_items, draw = permutations(job, permute)
    parts = list(blocks(job, chunk))
    if not parts:
        raise ShapeError(f"no sphere has at least {min_neuroids} neuroids; there is nothing to test.")
    with tqdm(parts, disable=not progress, desc="searchlight", unit="block") as bar:
        of_blocks = (statistic(np.stack([job.around[i] for i in part])) for part in bar)
        found = stats.block_tests(of_blocks, n_items, n=n, permute=draw, rng=rng, tail=tail)
    attrs = {"metric": method, "dissimilarity": metric, "permuted": permute, "n_draws": int(n), "tail": tail}
    return _tested(found, np.concatenate(parts), job, responses, attrs)


Statistic = Callable[[np.ndarray], np.ndarray]


def permutations(
    job: Job, permute: str
) -> tuple[Callable[[np.ndarray], Statistic], int, Callable[[np.random.Generator], np.ndarray]]:
    """Return what maps a block of spheres to its statistic, the number of items, and how orders are drawn."""
    n_folds, n_stimuli = job.work.values.shape[1:]
    if permute == "stimuli":
        return lambda sphere: _of_stimuli(job, sphere), n_stimuli, lambda rng: stats.shuffle(n_stimuli, rng)

    def draw(rng: np.random.Generator) -> np.ndarray:
        return np.concatenate([f * n_stimuli + stats.shuffle(n_stimuli, rng) for f in range(n_folds)])

    return lambda sphere: _of_presentations(job, sphere), n_folds * n_stimuli, draw


def _of_stimuli(job: Job, sphere: np.ndarray) -> Statistic:
    """Return what maps an order of the models' stimuli to the scores (n_spheres, n_models)."""
    work = job.work
    rows, _ = work.rows(work.gather(sphere))
    n_stimuli = work.values.shape[2]
    position, (a, b) = square(np.arange(work.n_pairs)), np.triu_indices(n_stimuli, 1)
    whole = work.method in BY_PAIR and not (np.isnan(rows).any() or np.isnan(work.models).any())
    # Ranks, means and lengths do not depend on the order of pairs: transform once, permute what comes out.
    left, right = (unit_rows(x, work.method) if whole else x for x in (rows, work.models))

    def statistic(order: np.ndarray) -> np.ndarray:
        moved = right[:, position[order[a], order[b]]]
        return np.clip(left @ moved.T, -1.0, 1.0) if whole else compare_rows(left, moved, work.method)

    return statistic


def _of_presentations(job: Job, sphere: np.ndarray) -> Statistic:
    """Return what maps an order of the presentations, within folds, to the scores (n_spheres, n_models)."""
    block = job.work.gather(sphere)
    return lambda order: job.work.compared(job.work.rows(block, order)[0])


def _tested(
    found: stats.BlockTests, places: np.ndarray, job: Job, responses: xr.DataArray, attrs: dict[str, Any]
) -> xr.Dataset:
    """Return the tests of the spheres that were computed, put where they belong; NaN elsewhere."""
    full = {}
    for name, values in (("score", found.observed), ("p", found.p), ("p_max", found.p_max)):
        full[name] = np.full((len(job.around), len(job.work.models)), np.nan)
        full[name][places] = values
    full["p_fdr"] = np.stack([stats.fdr(column) for column in full["p"].T], axis=1)
    n_undefined = int(np.isnan(full["score"]).sum())
    arrays = {
        name: labelled(full[name], job.models, responses, job.sizes, {}).drop_attrs().rename(name)
        for name in ("score", "p", "p_fdr", "p_max")
    }
    attrs = {**attrs, "threshold": found.threshold(0.05), "n_undefined": n_undefined}
    return xr.Dataset(arrays, attrs=attrs)

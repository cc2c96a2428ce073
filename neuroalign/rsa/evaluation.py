"""Fixed models against subjects: scores, noise ceiling, interval, permutation test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr

from .. import stats
from ..errors import InvalidValueError, ShapeError, choice
from ..schema import check, labels, n_stimuli_of_pairs, rdm_stimuli, square
from .compare import aligned, as_rows, check_method, compare_rows, unit_rows
from .weighted import pool

__all__ = ["evaluate", "noise_ceiling", "permuted_means"]

# Methods whose transform of an RDM treats every pair alike, so that it commutes with an order of the stimuli.
BY_PAIR = ("cosine", "pearson", "spearman", "rho-a")
POOLING = ("best", "plain")


def noise_ceiling(
    rdms: xr.DataArray,
    method: str = "spearman",
    *,
    over: str = "subject",
    per_subject: bool = False,
    pooling: str = "best",
) -> xr.DataArray:
    """Return how well the best model could do: leave-one-out lower and pooled upper bound.

    Lower: each subject's RDM against the pool of the others'. Upper: against the pool of all. The pool is the
    mean of the RDMs scaled to unit length, as the method measures it, or ranked (``spearman``, ``rho-a``),
    which is the RDM with the highest mean score; a pair is pooled over the subjects that have it. No such RDM
    is known in closed form for the other methods, so that their upper bound may be passed: the pool is the
    mean of the ranks for ``tau-a`` and ``tau-b``, of RDMs scaled to mean 1 for ``bures``, of RDMs as they are
    for ``riemannian``.

    Parameters
    ----------
    rdms : DataArray (<over>, pair)
        One RDM a subject: average sessions first.
    method : str
        As in ``compare``.
    over : str
        The dim of the subjects, with unique labels.
    per_subject : bool
        Whether the bounds of each subject are returned, (bound, <over>), instead of their mean.
    pooling : {"best", "plain"}
        ``plain`` scales RDMs for the whitened methods to unit length before whitening, as rsatoolbox 0.3.2
        does; a model may then pass the upper bound.

    Returns
    -------
    DataArray (bound,)
        ``lower`` and ``upper``. A subject whose bound is undefined (a constant RDM) is left out of the mean
        and counted in ``attrs["n_undefined"]``.

    Raises
    ------
    ShapeError
        If the dims are other ones, or there is one subject.
    LabelError
        If a subject comes twice.

    References
    ----------
    Nili et al. 2014, PLoS Comput Biol 10:e1003553; pooling as in rsatoolbox 0.3.2
    but for the whitened methods (see ``pooling``).

    Examples
    --------
    >>> from neuroalign.schema import make_rdm
    >>> rdms = make_rdm(
    ...     np.array([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]]), ["s1", "s2", "s3"],
    ...     dims=["subject"], coords={"subject": ["a", "b"]})
    >>> noise_ceiling(rdms).values.round(6).tolist()
    [1.0, 1.0]
    """
    check_method(method)
    if pooling not in POOLING:
        raise choice(pooling, POOLING, name="pooling")
    rows, subjects = _subject_rows(rdms, over)
    stimuli = np.ones(n_stimuli_of_pairs(rows.shape[1]), dtype=np.int64)
    lower, upper = stats.noise_ceiling(
        rows,
        pool=lambda some: pool(some, np.ones((1, len(some))), stimuli, method, pooling)[0],
        score=lambda own, pooled: compare_rows(own[None], pooled[None], method)[0, 0],
    )
    bounds = xr.DataArray(
        np.stack([lower, upper]),
        dims=("bound", over),
        coords={"bound": ["lower", "upper"], over: subjects},
        attrs={"metric": method, "n_undefined": int((np.isnan(lower) | np.isnan(upper)).sum())},
        name="noise_ceiling",
    )
    return bounds if per_subject else bounds.mean(over, keep_attrs=True)


def evaluate(
    models: xr.DataArray,
    data: xr.DataArray,
    method: str = "spearman",
    *,
    n_bootstrap: int = 0,
    n_permutations: int = 0,
    rng: np.random.Generator | None = None,
    level: float = 0.95,
) -> xr.Dataset:
    """Return how well fixed model RDMs predict each subject's RDM, with the noise ceiling.

    Parameters
    ----------
    models : DataArray (model, pair)
    data : DataArray (subject, pair)
        One RDM a subject; at least two subjects, unique labels.
    method : str
        As in ``compare``.
    n_bootstrap : int
        Draws of subjects for the interval of the mean score; it generalises to new subjects, not to new
        stimuli.
    n_permutations : int
        Orders of the stimuli under which the mean score is recomputed, for a test of no relation.
    rng : numpy.random.Generator, optional
        Needed for either.
    level : float
        Of the interval.

    Returns
    -------
    Dataset
        ``score`` (model, subject); ``estimate`` (model,), its mean over the subjects for whom it is defined;
        ``noise_ceiling`` (bound,); where asked for ``interval`` (bound, model), and ``p`` and ``p_fdr``
        (model,), one-sided and corrected over models. ``attrs["n_undefined"]`` counts undefined scores.

    Raises
    ------
    ShapeError
        If dims are other ones, or there are fewer than two subjects or three stimuli.
    LabelError
        If the stimuli differ, or a model or subject comes twice.
    InvalidValueError
        If draws are asked for without ``rng``.

    Examples
    --------
    >>> from neuroalign.schema import make_rdm
    >>> data = make_rdm(
    ...     np.array([[1.0, 2.0, 3.0], [1.0, 3.0, 2.0]]), ["s1", "s2", "s3"],
    ...     dims=["subject"], coords={"subject": ["a", "b"]})
    >>> evaluate(data[:1].rename(subject="model"), data)["estimate"].values.round(6).tolist()
    [0.75]
    """
    check_method(method)
    if (n_bootstrap or n_permutations) and rng is None:
        raise InvalidValueError("rng: a bootstrap or permutation test needs a numpy.random.Generator.")
    models, data = aligned(models, data, ("models", "data"))
    model_rows, names = _rows(models, "model", "models")
    rows, subjects = _subject_rows(data, "subject")
    scores = compare_rows(model_rows, rows, method)
    found = xr.Dataset(
        {
            "score": (("model", "subject"), scores),
            "estimate": (("model",), _mean(scores)),
            "noise_ceiling": noise_ceiling(data, method),
        },
        coords={"model": names, "subject": subjects},
        attrs={"metric": method, "n_undefined": int(np.isnan(scores).sum())},
    )
    if n_bootstrap and rng is not None:
        found["interval"] = _interval(scores, n_bootstrap, rng, level)
    if n_permutations and rng is not None:
        null = _null(model_rows, rows, method, n_permutations, rng)
        found["p"] = ("model", stats.p_value(found["estimate"].values, null))
        found["p_fdr"] = stats.fdr(found["p"])
    return found


def _interval(scores: np.ndarray, n: int, rng: np.random.Generator, level: float) -> xr.DataArray:
    drawn = stats.bootstrap(lambda i: _mean(scores[:, i]), scores.shape[1], n=n, rng=rng, level=level)
    attrs = {
        "level": level,
        "n_draws": n,
        "resampled": "subject",
        "n_undefined": int(drawn.n_undefined.sum()),
    }
    return xr.DataArray(np.stack([drawn.lower, drawn.upper]), dims=("bound", "model"), attrs=attrs)


def permuted_means(models: np.ndarray, data: np.ndarray, method: str) -> Callable[[np.ndarray], np.ndarray]:
    """Return what maps an order of the models' stimuli to the mean scores (n_models,) under it."""
    n_stimuli = n_stimuli_of_pairs(models.shape[1])
    position = square(np.arange(models.shape[1]))
    rows, columns = np.triu_indices(n_stimuli, 1)
    whole = method in BY_PAIR and not (np.isnan(models).any() or np.isnan(data).any())
    # Ranks, means and lengths do not depend on the order of pairs: transform once, permute what comes out.
    left, right = (unit_rows(x, method) for x in (models, data)) if whole else (models, data)

    def statistic(order: np.ndarray) -> np.ndarray:
        moved = left[:, position[order[rows], order[columns]]]
        return _mean(moved @ right.T if whole else compare_rows(moved, right, method))

    return statistic


def _null(models: np.ndarray, data: np.ndarray, method: str, n: int, rng: np.random.Generator) -> np.ndarray:
    """Return the mean scores (n, n_models) under orders of the models' stimuli, the same order for all."""
    n_stimuli = n_stimuli_of_pairs(models.shape[1])
    statistic = permuted_means(models, data, method)
    return stats.permutation(statistic, n, permute=lambda rng: stats.shuffle(n_stimuli, rng), rng=rng)


def _mean(x: np.ndarray) -> np.ndarray:
    """Return the mean over the last dim of what is not NaN; NaN where nothing is left."""
    known = ~np.isnan(x)
    count = known.sum(axis=-1)
    return np.where(count > 0, np.where(known, x, 0.0).sum(axis=-1) / np.maximum(count, 1), np.nan)


def _subject_rows(rdms: xr.DataArray, over: str) -> tuple[np.ndarray, Any]:
    rows, subjects = _rows(rdms, over, "rdms")
    if len(rows) < 2:
        raise ShapeError(f"a noise ceiling needs at least 2 along {over!r}; got {len(rows)}.")
    return rows, subjects


def _rows(rdms: xr.DataArray, dim: str, name: str) -> tuple[np.ndarray, Any]:
    check(rdms, "rdm", name=name)
    if rdms.dims != (dim, "pair"):
        raise ShapeError(
            f"{name} must have dims ({dim!r}, 'pair'); got {rdms.dims}. Average or select the others first."
        )
    found = labels(rdms, on=dim, name=name)
    if len(rdm_stimuli(rdms, name=name)) < 3:
        raise ShapeError(f"{name}: comparing RDMs needs at least 3 stimuli.")
    return as_rows(rdms, name)[0], found

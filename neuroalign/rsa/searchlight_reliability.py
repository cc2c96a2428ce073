"""How reliable the RDM of each sphere is over runs, and so how well a model can do there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from ..errors import InvalidValueError, LabelError, ShapeError, choice
from ..stats import spearman_brown
from .compare import compare_rows, unit_rows
from .sphere_jobs import CROSSVALIDATED, Job, blocks, check_chunk, prepare

__all__ = ["searchlight_reliability"]

# Comparators that are correlations.
METHODS = ("cosine", "pearson", "spearman")


def searchlight_reliability(
    responses: xr.DataArray,
    *,
    folds: str = "run",
    radius: float | None = None,
    neighbours: Sequence[Any] | None = None,
    metric: str = "correlation",
    method: str = "pearson",
    noise: xr.DataArray | None = None,
    noise_method: str = "shrinkage-diagonal",
    dof: float | None = None,
    n_splits: int = 1,
    rng: np.random.Generator | None = None,
    min_neuroids: int = 2,
    chunk: int | None = None,
) -> xr.Dataset:
    r"""Return how alike the RDMs of two halves of the folds are in each sphere, and the ceiling of models.

    With r the correlation of the halves' RDMs, the reliability of the RDM of all folds is
    :math:`2 r / (1 + r)` (Spearman 1910; Brown 1910), and a model that is the true RDM correlates with it by
    the root of that in the mean. For cross-validated metrics that is a little low where noise is strong: the
    noise of a product of f folds falls faster than 1 / f, so that half of them are worse than the formula
    takes them for, and a model may lie above the ceiling.

    Parameters
    ----------
    responses, radius, neighbours, metric, noise, noise_method, dof, min_neuroids, chunk
        As in ``searchlight``. Cross-validated metrics need at least 2 folds in each half.
    folds : str
        The dim or coordinate that holds the fold.
    method : {"pearson", "spearman", "cosine"}
        Comparators for which the formula holds.
    n_splits : int
        Random halves that r is averaged over; where 1, every other fold is in either half.
    rng : numpy.random.Generator, optional
        Needed for more than one.

    Returns
    -------
    Dataset (neuroid,)
        ``r``, ``reliability``, and ``ceiling``, its root. NaN where an RDM is undefined, ``ceiling`` also
        where the reliability is negative; ``attrs["n_undefined"]`` counts undefined r,
        ``attrs["n_negative"]`` negative ones.

    Raises
    ------
    LabelError
        If there are no folds of that name.
    ShapeError
        If there are too few folds.
    InvalidValueError
        If a choice is unknown, or splits are to be drawn without ``rng``.

    Examples
    --------
    >>> signal, noise = np.random.default_rng(0).standard_normal((2, 6, 30))
    >>> runs = xr.DataArray(
    ...     signal + 0.1 * np.random.default_rng(1).standard_normal((4, 6, 30)),
    ...     dims=("run", "stimulus", "neuroid"), coords={"run": [1, 2, 3, 4], "stimulus": list("abcdef")})
    >>> around = [np.arange(30)] * 30
    >>> bool(searchlight_reliability(runs, neighbours=around, metric="crossnobis")["ceiling"][0] > 0.95)
    True
    """
    if method not in METHODS:
        raise choice(method, METHODS, name="method")
    check_chunk(chunk=chunk, n_splits=n_splits)
    if n_splits > 1 and rng is None:
        raise InvalidValueError("rng: random halves need a numpy.random.Generator.")
    if not responses.size:
        raise ShapeError(f"responses are empty; their sizes are {dict(responses.sizes)}.")
    which, dim = _folds_of(responses, folds)
    least = 2 if metric in CROSSVALIDATED else 1
    options: dict[str, Any] = {
        "radius": radius,
        "neighbours": neighbours,
        "metric": metric,
        "method": method,
        "noise": noise,
    }
    options |= {"noise_method": noise_method, "dof": dof, "min_neuroids": min_neuroids}
    options["folds"] = folds if metric in CROSSVALIDATED else None
    r = np.full((n_splits, responses.sizes["neuroid"]), np.nan)
    sizes = np.zeros(0)
    for k in range(n_splits):
        jobs: list[Job] = []
        for half in _halves(which, rng if n_splits > 1 else None, least):
            part = responses.isel({dim: np.flatnonzero(np.isin(which, half))})
            part = part.mean(folds) if dim == folds and metric not in CROSSVALIDATED else part
            jobs.append(prepare(part, None, stimuli=jobs[0].stimuli if jobs else None, **options))
        sizes = jobs[0].sizes
        for block in blocks(jobs[0], chunk):
            sphere = np.stack([jobs[0].around[i] for i in block])
            rows = [job.work.rows(job.work.gather(sphere))[0] for job in jobs]
            r[k, block] = _alike(rows[0], rows[1], method)
    mean = r.mean(axis=0)
    reliability = spearman_brown(mean)
    with np.errstate(invalid="ignore"):
        found = {"r": mean, "reliability": reliability, "ceiling": np.sqrt(reliability)}
    coords = {name: c.variable for name, c in responses.coords.items() if c.dims in ((), ("neuroid",))}
    coords["n_neuroids"] = xr.Variable("neuroid", sizes)
    attrs = {"metric": method, "dissimilarity": metric, "folds": folds, "n_splits": n_splits}
    attrs |= {"n_undefined": int(np.isnan(mean).sum()), "n_negative": int((mean < 0).sum())}
    return xr.Dataset({name: ("neuroid", values) for name, values in found.items()}, coords, attrs)


def _folds_of(responses: xr.DataArray, folds: str) -> tuple[np.ndarray, str]:
    """Return the fold of each item along the dim that carries folds, and that dim."""
    if folds in responses.dims:
        n = responses.sizes[folds]
        return (responses[folds].values if folds in responses.coords else np.arange(n)), folds
    if folds not in responses.coords or len(responses[folds].dims) != 1:
        raise LabelError(
            f"responses have neither a dim nor a coordinate {folds!r} along one dim; they have dims "
            f"{responses.dims}. Name the folds with folds=..."
        )
    return responses[folds].values, str(responses[folds].dims[0])


def _halves(which: np.ndarray, rng: np.random.Generator | None, least: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the folds of either half: every other one, or at random; of an odd number the first has more."""
    found = np.array(list(dict.fromkeys(which.tolist())))
    if len(found) < 2 * least:
        raise ShapeError(f"two halves need at least {2 * least} folds; got {len(found)}.")
    if rng is not None:
        found = found[rng.permutation(len(found))]
    return found[::2], found[1::2]


def _alike(a: np.ndarray, b: np.ndarray, method: str) -> np.ndarray:
    """Return the similarity (n,) of each row of a (n, n_pairs) with its own of b."""
    known = ~(np.isnan(a) | np.isnan(b)).any(axis=1)
    found = np.full(len(a), np.nan)
    left, right = (unit_rows(rows[known], method) for rows in (a, b))
    found[known] = np.clip(np.einsum("sp,sp->s", left, right), -1.0, 1.0)
    for i in np.flatnonzero(~known):
        found[i] = compare_rows(a[i : i + 1], b[i : i + 1], method)[0, 0]
    return found

"""Searchlight: how well models explain the RDM of the neuroids around each neuroid."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from tqdm import tqdm

from ..errors import InvalidValueError, LabelError, ShapeError, choice, listing
from ..schema import align, check
from .compare import as_rows, check_method, compare_rows, unit_rows
from .designs import Design, arrange, fold_means, presentation_means
from .metrics import Options
from .neighbours import spheres
from .ranking import RANK_METHODS, rank_scores
from .sphere_kernels import KERNELS, Kernel
from .sphere_noise import SphereNoise, sphere_noise

__all__ = ["searchlight"]

# What a block of spheres may take: more of it no longer stays in a core's cache.
BLOCK_BYTES = 8 << 20


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
    metric : {"correlation", "cosine", "euclidean", "sqeuclidean", "mahalanobis", "crossnobis"}
        As in ``rdm``. Division by the number of neuroids would change no comparison.
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
        For ``crossnobis``: the dim or coordinate that holds the fold, ``"run"`` where None. Every stimulus
        must be in every fold.
    min_neuroids : int
        Spheres with fewer neuroids are NaN; at least 2 under ``correlation``.
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
    kernel = _check_choices(metric, method, folds, noise, chunk, n_jobs)
    if (radius is None) == (neighbours is None):
        raise InvalidValueError("a searchlight needs either radius (mm) or neighbours, and one of them only.")
    values, stimuli = _values(responses, (folds or "run") if metric == "crossnobis" else None)
    models, rows = _model_rows(models, stimuli)
    around = spheres(responses, radius) if neighbours is None else neighbours  # type: ignore[arg-type]
    around = _checked(around, len(values))
    normal = None if noise is None else sphere_noise(noise, responses, noise_method, dof)
    if normal is not None and normal.deviation is not None:
        values = values / normal.deviation[:, None, None]
        kernel = KERNELS["sqeuclidean"] if metric == "mahalanobis" else kernel
    ranked = method in RANK_METHODS and not np.isnan(rows).any()
    unit = unit_rows(rows, method) if ranked else None
    work = _Work(kernel, values, kernel.prepare(values).reshape(len(values), -1), normal, rows, unit, method)
    least = max(min_neuroids, 2 if metric == "correlation" else 1)
    scores, n_partial = _run(work, _usable(around, least, normal), chunk, n_jobs, progress)
    attrs = {"metric": method, "dissimilarity": metric, "n_partial": n_partial}
    return _labelled(scores, models, responses, around, attrs)


@dataclass(frozen=True)
class _Work:
    """What each block needs: ``values`` (n_neuroids, n_folds, n_stimuli), ``table`` for the kernel."""

    kernel: Kernel
    values: np.ndarray
    table: np.ndarray
    noise: SphereNoise | None
    models: np.ndarray
    unit: np.ndarray | None
    method: str

    def scores(self, sphere: np.ndarray) -> tuple[np.ndarray, int]:
        """Return the scores (n_spheres, n_models) of spheres (n_spheres, n_neuroids); how many lack pairs."""
        n_folds = self.values.shape[1]
        precision = None if self.noise is None else self.noise.precision(sphere)
        apply = None if precision is None else lambda x: np.matmul(precision, x)
        rows, doubtful = self.kernel.rows(self.table.take(sphere, axis=0, mode="clip"), n_folds, apply)
        for i in np.flatnonzero(doubtful):
            x = self.values[sphere[i]].transpose(1, 2, 0)
            options = Options(noise=None if precision is None else precision[i])
            rows[i], _ = self.kernel.alone(x if self.kernel is KERNELS["crossnobis"] else x[0], options)
        n_partial = int(np.isnan(rows[doubtful]).any(axis=1).sum())
        if self.unit is not None:
            return rank_scores(rows, self.models, self.unit, self.method), n_partial
        return compare_rows(rows, self.models, self.method), n_partial


def _run(
    work: _Work, around: list[np.ndarray], chunk: int | None, n_jobs: int, progress: bool
) -> tuple[np.ndarray, int]:
    scores = np.full((len(around), len(work.models)), np.nan)
    blocks = _blocks(around, chunk, work.table.shape[1], work.models.shape[1], work.noise)

    def one(block: np.ndarray) -> int:
        scores[block], n_partial = work.scores(np.stack([around[i] for i in block]))
        return n_partial

    n_partial = 0
    with (
        tqdm(total=sum(map(len, blocks)), disable=not progress, desc="searchlight") as bar,
        ThreadPoolExecutor(n_jobs) as pool,
    ):
        for block, n in zip(blocks, map(one, blocks) if n_jobs == 1 else pool.map(one, blocks), strict=True):
            n_partial += n
            bar.update(len(block))
    return scores, n_partial


def _blocks(
    around: list[np.ndarray], chunk: int | None, n_columns: int, n_pairs: int, noise: SphereNoise | None
) -> list[np.ndarray]:
    """Return the spheres that are not empty in blocks of one size each."""
    sizes = np.array([len(sphere) for sphere in around])
    found: list[np.ndarray] = []
    for size in np.unique(sizes[sizes > 0]):
        entries = size * n_columns + 7 * n_pairs + (0 if noise is None else noise.n_entries(int(size)))
        n = chunk or max(1, BLOCK_BYTES // int(8 * entries))
        same = np.flatnonzero(sizes == size)
        found += [same[start : start + n] for start in range(0, len(same), n)]
    return found


def _usable(around: list[np.ndarray], least: int, noise: SphereNoise | None) -> list[np.ndarray]:
    """Return the spheres with those emptied that are too small or hold a neuroid without noise variance."""
    empty = np.empty(0, dtype=np.intp)
    still = np.zeros(0, dtype=bool) if noise is None else noise.still
    return [
        empty if len(sphere) < least or (still.any() and still[sphere].any()) else sphere for sphere in around
    ]


def _check_choices(
    metric: str, method: str, folds: str | None, noise: Any, chunk: int | None, n_jobs: int
) -> Kernel:
    if metric not in KERNELS:
        raise choice(metric, KERNELS, name="metric of a searchlight")
    check_method(method)
    for name, given in (("chunk", chunk), ("n_jobs", n_jobs)):
        if given is not None and (not isinstance(given, int | np.integer) or given < 1):
            raise InvalidValueError(f"{name} must be a positive integer; got {given!r}.")
    if folds is not None and metric != "crossnobis":
        raise InvalidValueError(
            f"folds belong to 'crossnobis'; got {metric!r}. Average over {folds!r} first."
        )
    if noise is not None and metric not in ("mahalanobis", "crossnobis"):
        raise InvalidValueError(f"noise belongs to 'mahalanobis' and 'crossnobis'; the metric is {metric!r}.")
    if noise is None and metric == "mahalanobis":
        raise InvalidValueError("mahalanobis needs noise: residuals, variances or a precision.")
    return KERNELS[metric]


def _values(responses: xr.DataArray, folds: str | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the patterns (n_neuroids, n_folds, n_stimuli) and the labels of the stimuli, checked."""
    design = arrange(responses, folds)
    if design.unit != "neuroid" or design.leading:
        raise ShapeError(
            "a searchlight takes the neuroids of one subject, (stimulus, neuroid) or with folds; got dims "
            f"{responses.dims}."
        )
    if len(design.stimuli) < 3:
        raise ShapeError(f"comparing RDMs needs at least 3 stimuli; got {len(design.stimuli)}.")
    _refuse_non_finite(design, responses)
    if folds is None:
        means = presentation_means(design.values[0], design)[None].astype(np.float64)
    else:
        means, present = fold_means(design.values[0], design)
        if len(means) < 2 or not present.all():
            raise ShapeError(
                f"crossnobis in a searchlight needs at least 2 folds with every stimulus; {folds!r} has "
                f"{len(means)}, and {int((~present).sum())} of their stimuli are missing."
            )
    return np.ascontiguousarray(means.transpose(2, 0, 1)), design.stimuli


def _refuse_non_finite(design: Design, responses: xr.DataArray) -> None:
    bad = ~np.isfinite(design.values).all(axis=(0, 1))
    if bad.any():
        names = responses["neuroid"].values if "neuroid" in responses.coords else np.arange(len(bad))
        raise InvalidValueError(
            f"responses must be finite; {int(bad.sum())} of {len(bad)} neuroids have values that are not: "
            f"{listing(names[bad])}. Leave them out."
        )


def _model_rows(models: xr.DataArray, stimuli: np.ndarray) -> tuple[xr.DataArray, np.ndarray]:
    """Return the models in the order of the stimuli, and as rows (n_models, n_pairs)."""
    check(models, "rdm", name="models")
    if len(models.dims) > 2:
        raise ShapeError(f"models must have dims (pair,) or (model, pair); got {models.dims}.")
    template = xr.DataArray(np.zeros(len(stimuli)), dims="stimulus", coords={"stimulus": stimuli})
    models = align(template, models, names=["responses", "models"])[1]
    return models, as_rows(models, "models")[0]


def _checked(neighbours: Sequence[Any], n_neuroids: int) -> list[np.ndarray]:
    if len(neighbours) != n_neuroids:
        raise ShapeError(f"neighbours must be one list a neuroid, {n_neuroids}; got {len(neighbours)}.")
    around = [np.asarray(sphere) for sphere in neighbours]
    around = [sphere.astype(np.intp) if sphere.size == 0 else sphere for sphere in around]
    for i, sphere in enumerate(around):
        if sphere.ndim != 1 or sphere.dtype.kind not in "iu":
            raise ShapeError(
                f"neighbours {i} must be integers (n,); got {sphere.dtype} of shape {sphere.shape}."
            )
    every = np.concatenate([sphere.astype(np.intp) for sphere in around])
    if every.size and (every.min() < 0 or every.max() >= n_neuroids):
        raise InvalidValueError(
            f"neighbours must be positions from 0 to {n_neuroids - 1}; got {every.min()} to {every.max()}."
        )
    owner = np.repeat(np.arange(n_neuroids), [len(sphere) for sphere in around])
    # Sorted spheres, which is what the package makes, are seen to name each neuroid once without a sort.
    if not ((np.diff(every) > 0) | (np.diff(owner) > 0)).all():
        place = np.sort(owner * n_neuroids + every)
        twice = place[1:][np.diff(place) == 0]
        if twice.size:
            raise LabelError(
                f"neighbours {twice[0] // n_neuroids} name neuroid {twice[0] % n_neuroids} twice."
            )
    return around


def _labelled(
    scores: np.ndarray,
    models: xr.DataArray,
    responses: xr.DataArray,
    around: list[np.ndarray],
    attrs: dict[str, Any],
) -> xr.DataArray:
    leading = models.dims[:-1]
    coords = {name: c.variable for name, c in responses.coords.items() if c.dims in ((), ("neuroid",))}
    coords |= {
        name: c.variable for name, c in models.coords.items() if c.dims and set(c.dims) <= set(leading)
    }
    sizes = np.array([len(sphere) for sphere in around])
    return xr.DataArray(
        scores.T if leading else scores[:, 0],
        dims=(*leading, "neuroid"),
        coords={**coords, "n_neuroids": ("neuroid", sizes)},
        attrs={**attrs, "n_undefined": int(np.isnan(scores).sum())},
        name="similarity",
    )

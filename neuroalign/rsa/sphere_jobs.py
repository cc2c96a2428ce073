"""What a searchlight computes on a block of spheres, and what it checks before it starts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from ..errors import InvalidValueError, LabelError, ShapeError, choice, listing
from ..schema import align, check
from .compare import as_rows, check_method, compare_rows, unit_rows
from .designs import Design, arrange, fold_means, presentation_means
from .metrics import Options
from .neighbours import spheres
from .ranking import RANK_METHODS, rank_scores
from .searchlight_cv import CORRELATION_CV
from .sphere_kernels import KERNELS, Kernel
from .sphere_noise import SphereNoise, sphere_noise

__all__ = [
    "CROSSVALIDATED",
    "METRICS",
    "Gathered",
    "Job",
    "Work",
    "blocks",
    "check_chunk",
    "labelled",
    "prepare",
]

METRICS: dict[str, Kernel] = {**KERNELS, "correlation-cv": CORRELATION_CV}
CROSSVALIDATED = ("crossnobis", "correlation-cv")

# What a block of spheres may take: more of it no longer stays in a core's cache.
BLOCK_BYTES = 8 << 20


class Gathered(NamedTuple):
    """A block of spheres (n_spheres, n_neuroids) and their patterns.

    ``patterns`` (n_spheres, n_neuroids, n_folds * n_stimuli); ``precision``
    (n_spheres, n_neuroids, n_neuroids) is that of each sphere's noise, or None.
    """

    sphere: np.ndarray
    patterns: np.ndarray
    precision: np.ndarray | None


@dataclass(frozen=True)
class Work:
    """What each block needs: ``values`` (n_neuroids, n_folds, n_stimuli), ``table`` for the kernel.

    ``models`` (n_models, n_pairs), and ``unit``, their unit rows where ranks are compared.
    """

    kernel: Kernel
    values: np.ndarray
    table: np.ndarray
    noise: SphereNoise | None
    models: np.ndarray
    unit: np.ndarray | None
    method: str

    @property
    def n_pairs(self) -> int:
        """How many pairs of stimuli there are."""
        n_stimuli = self.values.shape[2]
        return n_stimuli * (n_stimuli - 1) // 2

    def gather(self, sphere: np.ndarray) -> Gathered:
        """Return the patterns and the precision of each sphere."""
        precision = None if self.noise is None else self.noise.precision(sphere)
        return Gathered(sphere, self.table.take(sphere, axis=0, mode="clip"), precision)

    def rows(self, block: Gathered, order: np.ndarray | None = None) -> tuple[np.ndarray, int]:
        """Return RDMs (n_spheres, n_pairs), and how many lack pairs.

        The memory of the block's patterns is used, unless ``order`` (n_folds * n_stimuli,) puts other
        patterns in their places.
        """
        n_folds, precision = self.values.shape[1], block.precision
        apply = None if precision is None else lambda x: np.matmul(precision, x)
        patterns = block.patterns if order is None else block.patterns.take(order, axis=2)
        rows, doubtful = self.kernel.rows(patterns, n_folds, apply)
        for i in np.flatnonzero(doubtful):
            x = self.values[block.sphere[i]]
            if order is not None:
                x = x.reshape(len(x), -1)[:, order].reshape(x.shape)
            x = x.transpose(1, 2, 0)
            options = Options(noise=None if precision is None else precision[i])
            rows[i], _ = self.kernel.alone(x if n_folds > 1 else x[0], options)
        return rows, int(np.isnan(rows[doubtful]).any(axis=1).sum())

    def compared(self, rows: np.ndarray) -> np.ndarray:
        """Return the scores (n_spheres, n_models) of RDMs (n_spheres, n_pairs)."""
        if self.unit is not None:
            return rank_scores(rows, self.models, self.unit, self.method)
        return compare_rows(rows, self.models, self.method)

    def scores(self, sphere: np.ndarray) -> tuple[np.ndarray, int]:
        """Return the scores (n_spheres, n_models) of spheres (n_spheres, n_neuroids); how many lack pairs."""
        rows, n_partial = self.rows(self.gather(sphere))
        return self.compared(rows), n_partial


class Job(NamedTuple):
    """A searchlight that is checked; in ``around`` the spheres that are not usable are empty."""

    work: Work
    around: list[np.ndarray]
    sizes: np.ndarray
    models: xr.DataArray | None
    stimuli: np.ndarray


def prepare(
    responses: xr.DataArray,
    models: xr.DataArray | None,
    *,
    radius: float | None,
    neighbours: Sequence[Any] | None,
    metric: str,
    method: str,
    noise: xr.DataArray | None,
    noise_method: str,
    dof: float | None,
    folds: str | None,
    min_neuroids: int,
    stimuli: np.ndarray | None = None,
) -> Job:
    """Return what ``searchlight`` computes, after checking its arguments.

    ``stimuli`` is their order in the RDMs; that of ``responses`` where None.
    """
    kernel = _check_choices(metric, method, folds, noise)
    if (radius is None) == (neighbours is None):
        raise InvalidValueError("a searchlight needs either radius (mm) or neighbours, and one of them only.")
    values, found = _values(responses, (folds or "run") if metric in CROSSVALIDATED else None, metric)
    if stimuli is not None:
        values, found = _reordered(values, found, stimuli), stimuli
    rows = np.empty((0, len(found) * (len(found) - 1) // 2))
    if models is not None:
        models, rows = _model_rows(models, found)
    around = spheres(responses, radius) if neighbours is None else neighbours  # type: ignore[arg-type]
    around = _checked(around, len(values))
    normal = None if noise is None else sphere_noise(noise, responses, noise_method, dof)
    if normal is not None and normal.deviation is not None:
        values = values / normal.deviation[:, None, None]
        kernel = KERNELS["sqeuclidean"] if metric == "mahalanobis" else kernel
    ranked = method in RANK_METHODS and not np.isnan(rows).any()
    unit = unit_rows(rows, method) if ranked and len(rows) else None
    work = Work(kernel, values, kernel.prepare(values).reshape(len(values), -1), normal, rows, unit, method)
    least = max(min_neuroids, 2 if metric in ("correlation", "correlation-cv") else 1)
    sizes = np.array([len(sphere) for sphere in around])
    return Job(work, _usable(around, least, normal), sizes, models, found)


def blocks(job: Job, chunk: int | None) -> Iterator[np.ndarray]:
    """Yield the numbers of the spheres that are not empty in blocks of one size each."""
    work, sizes = job.work, np.array([len(sphere) for sphere in job.around])
    n_columns, n_pairs = work.table.shape[1], work.n_pairs
    for size in np.unique(sizes[sizes > 0]):
        entries = (
            size * n_columns + 7 * n_pairs + (0 if work.noise is None else work.noise.n_entries(int(size)))
        )
        n = chunk or max(1, BLOCK_BYTES // int(8 * entries))
        same = np.flatnonzero(sizes == size)
        for start in range(0, len(same), n):
            yield same[start : start + n]


def check_chunk(**given: int | None) -> None:
    """Refuse a number of spheres or threads that is none."""
    for name, value in given.items():
        if value is not None and (not isinstance(value, int | np.integer) or value < 1):
            raise InvalidValueError(f"{name} must be a positive integer; got {value!r}.")


def _usable(around: list[np.ndarray], least: int, noise: SphereNoise | None) -> list[np.ndarray]:
    """Return the spheres with those emptied that are too small or hold a neuroid without noise variance."""
    empty = np.empty(0, dtype=np.intp)
    still = np.zeros(0, dtype=bool) if noise is None else noise.still
    return [
        empty if len(sphere) < least or (still.any() and still[sphere].any()) else sphere for sphere in around
    ]


def _check_choices(metric: str, method: str, folds: str | None, noise: Any) -> Kernel:
    if metric not in METRICS:
        raise choice(metric, METRICS, name="metric of a searchlight")
    check_method(method)
    if folds is not None and metric not in CROSSVALIDATED:
        raise InvalidValueError(
            f"folds belong to 'crossnobis' and 'correlation-cv'; got {metric!r}. Average over {folds!r} "
            "first."
        )
    if noise is not None and metric not in ("mahalanobis", "crossnobis"):
        raise InvalidValueError(f"noise belongs to 'mahalanobis' and 'crossnobis'; the metric is {metric!r}.")
    if noise is None and metric == "mahalanobis":
        raise InvalidValueError("mahalanobis needs noise: residuals, variances or a precision.")
    return METRICS[metric]


def _values(responses: xr.DataArray, folds: str | None, metric: str) -> tuple[np.ndarray, np.ndarray]:
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
                f"{metric} in a searchlight needs at least 2 folds with every stimulus; {folds!r} has "
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


def _reordered(values: np.ndarray, found: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return values (n_neuroids, n_folds, n_stimuli) with the stimuli in another order."""
    template = xr.DataArray(np.zeros(len(wanted)), dims="stimulus", coords={"stimulus": wanted})
    place = xr.DataArray(np.arange(len(found)), dims="stimulus", coords={"stimulus": found})
    return values[:, :, align(template, place, names=["responses", "half"])[1].values]


def labelled(
    scores: np.ndarray,
    models: xr.DataArray | None,
    responses: xr.DataArray,
    sizes: np.ndarray,
    attrs: dict[str, Any],
) -> xr.DataArray:
    """Return scores (n_neuroids, n_models) with the coordinates of neuroids and models."""
    coords = {name: c.variable for name, c in responses.coords.items() if c.dims in ((), ("neuroid",))}
    leading: tuple[Any, ...] = ()
    if models is not None:
        leading = models.dims[:-1]
        own = (name for name, c in models.coords.items() if c.dims and set(c.dims) <= set(leading))
        coords |= {name: models.coords[name].variable for name in own}
    return xr.DataArray(
        scores.T if leading else scores[:, 0],
        dims=(*leading, "neuroid"),
        coords={**coords, "n_neuroids": ("neuroid", sizes)},
        attrs={**attrs, "n_undefined": int(np.isnan(scores).sum())},
        name="similarity",
    )

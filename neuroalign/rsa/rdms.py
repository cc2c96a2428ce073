"""Representational dissimilarity matrices from labelled patterns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from ..errors import InvalidValueError, ShapeError, choice, listing
from ..schema import make_rdm
from . import crossvalidated, decoding, metrics
from .designs import Design, arrange, fold_means, presentation_means
from .metrics import Options
from .missing import over_shared_units
from .precisions import precision_values

__all__ = ["METRICS", "Metric", "rdm"]

NORMALIZE = (None, "neuroids", "none")
MISSING = ("refuse", "pairwise")


class Metric(NamedTuple):
    """A kernel and what may be asked of it.

    ``divides`` is what ``normalize=None`` means, None where there is nothing to divide; ``noise`` whether a
    precision is ``"refused"``, ``"optional"`` or ``"needed"``; ``least`` the fewest units.
    """

    kernel: Callable[..., tuple[np.ndarray, int]]
    crossvalidated: bool = False
    divides: str | None = None
    noise: str = "refused"
    least: int = 1


METRICS: dict[str, Metric] = {
    "correlation": Metric(metrics.correlation, least=2),
    "cosine": Metric(metrics.cosine),
    "euclidean": Metric(metrics.euclidean, divides="none"),
    "sqeuclidean": Metric(metrics.sqeuclidean, divides="none"),
    "mahalanobis": Metric(metrics.mahalanobis, divides="neuroids", noise="needed"),
    "crossnobis": Metric(crossvalidated.crossnobis, True, divides="neuroids", noise="optional"),
    "poisson": Metric(metrics.poisson, divides="neuroids"),
    "poisson-cv": Metric(crossvalidated.poisson_cv, True, divides="neuroids"),
    "correlation-cv": Metric(crossvalidated.correlation_cv, True, least=2),
    "decoding": Metric(decoding.decoding, True, noise="optional"),
}


def rdm(
    patterns: xr.DataArray,
    metric: str = "correlation",
    *,
    normalize: str | None = None,
    noise: xr.DataArray | None = None,
    folds: str | None = None,
    missing: str = "refuse",
    prior_lambda: float = 1.0,
    prior_weight: float = 0.1,
) -> xr.DataArray:
    r"""Return the dissimilarities of all pairs of stimuli.

    For patterns x and y over u units, with means :math:`\bar x` and :math:`\bar y` over units:

    - ``correlation``: :math:`1 - (x-\bar x)\cdot(y-\bar y) / (|x-\bar x| |y-\bar y|)`, 0 to 2;
    - ``cosine``: :math:`1 - x \cdot y / (|x| |y|)`, 0 to 2. It depends on where 0 is: on raw responses that
      share a large mean it says little about how they differ;
    - ``euclidean``: :math:`|x - y|`, in the units of the patterns;
    - ``sqeuclidean``: :math:`|x - y|^2`;
    - ``mahalanobis``: :math:`(x-y)^T P (x-y) / u` with a noise precision P. It is squared and divided by u,
      as in rsatoolbox; scipy's is :math:`\sqrt{u d}`;
    - ``poisson``: :math:`(\lambda_x-\lambda_y) \cdot (\log\lambda_x-\log\lambda_y) / u`, the symmetrised
      Kullback-Leibler divergence, with rates :math:`\lambda = (x + l w) / (1 + w)` under a gamma prior.

    Cross-validated over F folds, with the mean over the F (F - 1) ordered pairs of folds f, g, f not g:

    - ``crossnobis``: :math:`(x-y)_f^T P (x-y)_g / u`. It is unbiased: 0 on average where two patterns do not
      differ, hence negative at times, and no root is taken. Without ``noise`` P is the identity;
    - ``poisson-cv``: :math:`(\lambda_x-\lambda_y)_f \cdot (\log\lambda_x-\log\lambda_y)_g / u`;
    - ``correlation-cv``: :math:`1 - c_{xy} / \sqrt{c_{xx} c_{yy}}` with covariances between folds,
      :math:`c_{xy} = (x-\bar x)_f \cdot (y-\bar y)_g`, each averaged over pairs of folds, so that noise
      lowers neither. It may leave 0 to 2, and is NaN where a variance between folds is not positive;
    - ``decoding``: accuracy, 0 to 1 and .5 at chance, of telling held-out observations of x from those of y
      by the linear discriminant :math:`(m_x-m_y)^T P (z - (m_x+m_y)/2) > 0`, one fold held out at a time;
      hits are averaged within a stimulus, then over the two. Without ``noise`` P comes from the training
      folds: the deviations from the class means, shrunk to their diagonal.

    All sums are in float64, and a Gram matrix is formed of centred patterns only.

    Parameters
    ----------
    patterns : DataArray (..., stimulus, unit) or (..., stimulus, neuroid)
        Activations or responses; the dims are found by name, and every other dim gives RDMs of its own. The
        array is not edited. In place of ``stimulus`` there may be another dim (such as ``presentation``) with
        a coordinate ``stimulus`` whose labels repeat: observations of a stimulus are averaged, for the
        cross-validated metrics within a fold (``decoding`` averages the training observations only).
    metric : str
        A key of ``METRICS``; the names are scipy's where it has them.
    normalize : {None, "neuroids", "none"}
        ``"neuroids"`` divides by the number u of neuroids (``euclidean``: by its root), ``"none"`` does not.
        None is ``"none"`` for ``euclidean`` and ``sqeuclidean`` and ``"neuroids"`` for ``mahalanobis``,
        ``crossnobis``, ``poisson`` and ``poisson-cv``, as the formulas above. rsatoolbox's ``euclidean`` is
        ``sqeuclidean`` with ``"neuroids"``. The other metrics have nothing to divide.
    noise : DataArray (neuroid, neuroid_b), optional
        A noise precision, see ``noise_precision``, matched by the labels of the neuroids. For ``crossnobis``
        also (<folds>, neuroid, neuroid_b), the precision of each fold's means: two folds are then compared
        under the inverse of the mean of their two covariances, as in rsatoolbox.
    folds : str, optional
        The dim, or the coordinate along the observations, that holds the fold; ``"run"`` where None. Only
        for the cross-validated metrics. A pair of stimuli is estimated from the folds that have both;
        ``attrs["n_incomplete"]`` counts the pairs that lack a fold.
    missing : {"refuse", "pairwise"}
        Whether NaN is refused, or marks a neuroid that a stimulus lacks (of a stimulus with folds: lacks in
        any fold). Such neuroids are left out of the stimulus's pairs, and ``attrs["n_left_out"]`` counts
        these pairs. Distances over fewer neuroids compare with others only where they are divided by their
        number. Not with ``noise`` and not for ``decoding``.
    prior_lambda, prior_weight : float
        Of the Poisson metrics: the prior's rate l, and its weight w in observations.

    Returns
    -------
    DataArray (..., pair)
        The upper triangle row by row, with ``stimulus_a`` and ``stimulus_b`` and the coordinates of the
        leading dims; stimuli in the order in which they first come. A pattern without a direction (constant
        over units under ``correlation``, all 0 under ``cosine``) has NaN pairs and ``attrs["n_undefined"]``
        counts such patterns. Cross-validated or with ``missing="pairwise"`` it counts the NaN pairs, those of
        fewer than two shared folds or too few shared neuroids among them.

    Raises
    ------
    ShapeError
        If a dim is missing, there is one stimulus, one fold, no unit, or (correlations) one unit, or the
        noise is of another shape.
    LabelError
        If stimulus labels are missing or, along ``stimulus``, repeated; if there are no labels of the folds;
        if the labels of the noise are others.
    InvalidValueError
        If a value is NaN, infinite, complex or (Poisson metrics) negative, a choice is unknown or does not
        belong to the metric, or the noise is no precision.

    References
    ----------
    Kriegeskorte, Mur & Bandettini 2008, Front Syst Neurosci 2:4. Walther et al. 2016, NeuroImage 137:188
    (crossnobis). Schütt et al. 2023, eLife 12:e82566 (Poisson).

    Examples
    --------
    >>> patterns = xr.DataArray(
    ...     [[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [3.0, 2.0, 1.0]],
    ...     dims=("stimulus", "unit"), coords={"stimulus": ["s1", "s2", "s3"]})
    >>> rdm(patterns).values.round(6).tolist()
    [0.0, 2.0, 2.0]
    >>> runs = xr.DataArray(
    ...     [[[1.0, 0.0], [0.0, 0.0]], [[3.0, 1.0], [0.0, 0.0]]],
    ...     dims=("run", "stimulus", "neuroid"), coords={"stimulus": ["a", "b"]})
    >>> rdm(runs, "crossnobis").values.tolist()
    [1.5]
    """
    if metric not in METRICS:
        raise choice(metric, METRICS, name="metric")
    spec = METRICS[metric]
    divides = _check_choices(spec, metric, normalize, noise, folds, missing)
    folds = (folds or "run") if spec.crossvalidated else None
    design = arrange(patterns, folds)
    _check_sizes(design, patterns, metric, folds)
    _check_values(design, allow_nan=missing == "pairwise")
    if noise is not None:
        precision = precision_values(
            noise, patterns, design.unit, folds=folds, fold_labels=design.folds if folds else None
        )
    options = Options(
        noise=None if noise is None else precision,
        scale=divides == "neuroids",
        prior_lambda=prior_lambda,
        prior_weight=prior_weight,
    )
    if metric == "decoding" and options.noise is not None and options.noise.ndim == 3:
        raise ShapeError("decoding takes one precision, not one a fold.")
    _check_prior(prior_lambda, prior_weight)
    n = len(design.stimuli)
    values = np.empty((len(design.values), n * (n - 1) // 2))
    counts = np.zeros(3, dtype=int)
    for i, x in enumerate(design.values):
        values[i], *found = _one(x, design, spec, options, missing)
        counts += found
    attrs = {"metric": metric, "normalize": divides or "none", f"n_{design.unit}s": design.values.shape[2]}
    attrs["n_undefined"] = int(counts[0])
    if spec.crossvalidated:
        attrs |= {"folds": folds, "n_folds": len(design.folds), "n_incomplete": int(counts[1])}
    if missing == "pairwise":
        attrs |= {"missing": missing, "n_left_out": int(counts[2])}
    if noise is not None:
        attrs["noise"] = str(noise.attrs.get("method", "given"))
    return make_rdm(
        values.reshape(*design.shape, -1),
        design.stimuli,
        dims=design.leading,
        coords=design.coords,
        attrs=attrs,
    )


def _one(
    x: np.ndarray, design: Design, spec: Metric, options: Options, missing: str
) -> tuple[np.ndarray, int, int, int]:
    """Return one RDM, and how many of it are undefined, lack a fold, left neuroids out."""
    if spec.kernel is decoding.decoding:
        present = fold_means(x[:, :1], design)[1]
        values, n_undefined = decoding.decoding(x.astype(np.float64), design.stimulus, design.fold, options)
        return values, n_undefined, _n_incomplete(present), 0
    if spec.crossvalidated:
        means, present = fold_means(x, design)
    else:
        means, present = presentation_means(x, design)[None], np.ones((1, len(design.stimuli)), dtype=bool)

    def kernel(some: np.ndarray, there: np.ndarray) -> tuple[np.ndarray, int]:
        if spec.crossvalidated:
            return crossvalidated.over_fold_sets(spec.kernel, some, there, options)
        return spec.kernel(some[0], options)

    if missing == "refuse":
        return *kernel(means, present), _n_incomplete(present), 0
    values, n_left_out = over_shared_units(
        lambda stimuli, units: kernel(means[:, stimuli][:, :, units], present[:, stimuli])[0],
        np.isnan(means).any(axis=0),
        least=spec.least,
    )
    return values, int(np.isnan(values).sum()), _n_incomplete(present), n_left_out


def _n_incomplete(present: np.ndarray) -> int:
    """Return how many pairs of stimuli lack a fold that is there for other stimuli."""
    n_stimuli, n_whole = present.shape[1], int(present.all(axis=0).sum())
    return n_stimuli * (n_stimuli - 1) // 2 - n_whole * (n_whole - 1) // 2


def _check_choices(
    spec: Metric, metric: str, normalize: str | None, noise: Any, folds: str | None, missing: str
) -> str | None:
    """Return what is divided by: ``"neuroids"``, ``"none"``, or None where there is nothing to divide."""
    if normalize not in NORMALIZE:
        raise choice(normalize, NORMALIZE, name="normalize")
    if missing not in MISSING:
        raise choice(missing, MISSING, name="missing")
    if normalize == "neuroids" and spec.divides is None:
        having = [name for name, other in METRICS.items() if other.divides]
        raise InvalidValueError(
            f"normalize='neuroids' belongs to the metrics {listing(having, limit=20)}; got {metric!r}."
        )
    if folds is not None and not spec.crossvalidated:
        having = [name for name, other in METRICS.items() if other.crossvalidated]
        raise InvalidValueError(
            f"folds belong to the metrics {listing(having, limit=20)}; got {metric!r}. Average over "
            f"{folds!r} first, or take one of these."
        )
    if noise is None and spec.noise == "needed":
        raise InvalidValueError(
            f"{metric} needs a noise precision, see noise_precision; without noise it is 'sqeuclidean'."
        )
    if noise is not None and spec.noise == "refused":
        having = [name for name, other in METRICS.items() if other.noise != "refused"]
        raise InvalidValueError(
            f"noise belongs to the metrics {listing(having, limit=20)}; got {metric!r}. To whiten "
            "patterns beforehand see whiten."
        )
    if missing == "pairwise" and (noise is not None or metric == "decoding"):
        raise InvalidValueError(
            "missing='pairwise' is not defined with a noise precision, nor for decoding: leaving a neuroid "
            "out changes the precision of the others. Drop the neuroids first."
        )
    return normalize or spec.divides


def _check_sizes(design: Design, patterns: xr.DataArray, metric: str, folds: str | None) -> None:
    n_stimuli, n_units, least = len(design.stimuli), design.values.shape[2], METRICS[metric].least
    if n_stimuli < 2 or n_units < least or patterns.size == 0:
        raise ShapeError(
            f"{metric} needs at least 2 stimuli and {least} {design.unit}(s); got shape {patterns.shape} "
            f"of dims {patterns.dims}."
        )
    if folds is not None and len(design.folds) < 2:
        raise ShapeError(
            f"{metric} is cross-validated and needs at least 2 folds; {folds!r} has 1: "
            f"{listing(design.folds)}."
        )


def _check_values(design: Design, *, allow_nan: bool) -> None:
    values = design.values
    bad = np.isinf(values) if allow_nan else ~np.isfinite(values)
    if bad.any():
        stimuli = design.stimuli[np.unique(design.stimulus[bad.any(axis=(0, 2))])]
        way_out = (
            "" if np.isinf(values).any() else " Pass missing='pairwise' to leave them out of their pairs."
        )
        raise InvalidValueError(
            f"patterns must be finite; {int(bad.sum())} of {bad.size} values are not, in {len(stimuli)} "
            f"stimuli: {listing(stimuli)}.{way_out}"
        )


def _check_prior(prior_lambda: float, prior_weight: float) -> None:
    for name, value in (("prior_lambda", prior_lambda), ("prior_weight", prior_weight)):
        if not (np.isfinite(value) and value >= 0):
            raise InvalidValueError(f"{name} must be finite and not negative; got {value!r}.")

"""What a decoding searchlight checks and computes on a block of spheres."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from sklearn.base import clone

from ..arrays import as_float
from ..errors import InvalidValueError, LabelError, ShapeError, choice
from ..schema import align, labels
from ..stats import SCORES, is_constant
from .checks import checked_alphas
from .evaluation import CONVENTIONS, ROWS
from .sphere_ridge import SphereRidge
from .splits import Splits, check_splits, is_shuffled

__all__ = ["Decoding", "blocks", "checked_around", "labelled", "prepare"]

ACCURACY = "accuracy"
# What a block of spheres may take.
BLOCK_BYTES = 16 << 20

Statistic = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Decoding:
    """A decoding searchlight that is checked.

    ``values`` (n_rows, n_neuroids); ``targets`` (n_rows, n_targets), columns of -1 and 1 where ``classes``
    says what is predicted, with ``codes`` (n_rows,) the right ones; ``shift`` and ``scale`` (n_folds,
    n_neuroids) of the training rows. In ``around`` the spheres that are too small are empty.
    """

    values: np.ndarray
    targets: np.ndarray
    codes: np.ndarray | None
    classes: np.ndarray | None
    columns: xr.DataArray
    around: list[np.ndarray]
    sizes: np.ndarray
    folds: Splits
    shift: np.ndarray
    scale: np.ndarray
    model: Any
    alphas: np.ndarray
    metric: str
    pooled: bool
    attrs: dict[str, Any]

    @property
    def n_rows(self) -> int:
        """How many rows there are."""
        return len(self.values)

    @property
    def n_scored(self) -> int:
        """How many scores a sphere has: 1 of labels, one a feature of numbers."""
        return 1 if self.classes is not None else self.targets.shape[1]

    def statistic(self, sphere: np.ndarray) -> Statistic:
        """Return what maps an order of the targets' rows to scores (b, n_scored) of spheres (b, k)."""
        predictors = [self._predictor(k, sphere) for k in range(len(self.folds))]

        def scores(order: np.ndarray) -> np.ndarray:
            found = [predict(order) for predict in predictors]
            tests = [order[test] for _, test in self.folds]
            if self.pooled:
                return self._scored(np.concatenate(tests), np.concatenate(found, axis=1))
            each = np.stack([self._scored(*pair) for pair in zip(tests, found, strict=True)])
            known = ~np.isnan(each)
            count = known.sum(axis=0)
            total = np.where(known, each, 0.0).sum(axis=0)
            return np.where(count > 0, total / np.maximum(count, 1), np.nan)

        return scores

    def _predictor(self, k: int, sphere: np.ndarray) -> Statistic:
        """Return what maps an order of the targets' rows to predictions (b, n_test, n_targets) in a fold."""
        train, test = self.folds[k]
        x = self.values[:, sphere].transpose(1, 0, 2)
        x = (x - self.shift[k][sphere][:, None]) / self.scale[k][sphere][:, None]
        if self.model is not None:
            return lambda order: self._one_by_one(x[:, train], x[:, test], order[train])
        solved = SphereRidge.of(x[:, train], x[:, test])
        operator = solved.operator(float(self.alphas[0])) if len(self.alphas) == 1 else None

        def predict(order: np.ndarray) -> np.ndarray:
            y = self.targets[order[train]]
            mean = y.mean(axis=0)
            if operator is None:
                return solved.chosen(y - mean, self.alphas)[0] + mean
            flat = operator.reshape(-1, len(train)) @ (y - mean)
            return flat.reshape(len(sphere), len(test), -1) + mean

        return predict

    def _one_by_one(self, train: np.ndarray, test: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return the predictions of an estimator that is fitted to each sphere; of labels, 1 at the class."""
        y = self.targets[rows] if self.codes is None else self.codes[rows]
        found = []
        for x, held_out in zip(train, test, strict=True):
            predicted = np.asarray(clone(self.model).fit(x, y).predict(held_out))
            if self.classes is not None:
                predicted = np.equal.outer(predicted, np.arange(len(self.classes))).astype(np.float64)
            found.append(predicted.reshape(len(held_out), -1))
        return np.stack(found)

    def _scored(self, rows: np.ndarray, predictions: np.ndarray) -> np.ndarray:
        """Return scores (b, n_scored) of predictions (b, n_rows, n_targets)."""
        if self.codes is not None:
            hits = predictions.argmax(axis=2) == self.codes[rows]
            return hits.mean(axis=1)[:, None]
        found = predictions.transpose(1, 0, 2)
        truth = np.broadcast_to(self.targets[rows][:, None], found.shape)
        return SCORES[self.metric](truth, found)


def prepare(
    features: xr.DataArray,
    responses: xr.DataArray,
    around: Sequence[Any],
    *,
    splits: Any,
    model: Any,
    alphas: Any,
    metric: str | None,
    standardize: bool,
    convention: str,
    min_neuroids: int,
) -> Decoding:
    """Return a decoding searchlight, after checking what ``searchlight`` was given."""
    if convention not in CONVENTIONS:
        raise choice(convention, CONVENTIONS, name="convention")
    features, responses = _aligned(features, responses)
    values = as_float(responses.values, name="responses")
    targets, codes, classes, metric = _targets(features, metric)
    penalties = checked_alphas(alphas)
    if penalties.min() <= 0:
        raise InvalidValueError(f"alphas of a searchlight must be positive; got {penalties.min():g}.")
    folds = check_splits(splits, len(values))
    least = min(len(train) for train, _ in folds)
    if least < 2:
        raise ShapeError(f"a searchlight needs at least 2 training rows in every fold; got {least}.")
    if features.dims[0] == "time":
        _refuse_shuffled(folds)
    if classes is not None and codes is not None:
        _refuse_untrained(folds, codes, classes)
    if convention == "pooled" and len(np.unique(np.concatenate([t for _, t in folds]))) != sum(
        len(t) for _, t in folds
    ):
        raise InvalidValueError("splits: some rows are tested in several folds; they cannot be pooled.")
    found = checked_around(around, values.shape[1])
    sizes = np.array([len(sphere) for sphere in found])
    shift = np.stack([values[train].mean(axis=0) for train, _ in folds])
    scale = np.stack([_deviation(values[train], standardize) for train, _ in folds])
    attrs: dict[str, Any] = {"metric": metric, "convention": CONVENTIONS[convention], "direction": "decode"}
    attrs |= {"n_folds": len(folds), "standardized": int(standardize)}
    if classes is not None:
        attrs["chance"] = 1.0 / len(classes)
    return Decoding(
        values,
        targets,
        codes,
        classes,
        features,
        _usable(found, ~is_constant(values), min_neuroids),
        sizes,
        folds,
        shift,
        scale,
        model,
        penalties,
        metric,
        convention == "pooled",
        attrs,
    )


def blocks(job: Decoding, chunk: int | None) -> Iterator[np.ndarray]:
    """Yield the numbers of the spheres that are not empty in blocks of one size each."""
    if chunk is not None and (not isinstance(chunk, int | np.integer) or chunk < 1):
        raise InvalidValueError(f"chunk must be a positive integer; got {chunk!r}.")
    sizes = np.array([len(sphere) for sphere in job.around])
    n_train = sum(len(train) for train, _ in job.folds)
    for size in np.unique(sizes[sizes > 0]):
        rank = min(int(size), job.n_rows)
        entries = 3 * size * job.n_rows + 2 * rank * n_train + rank**2 + job.n_rows * job.n_rows
        n = chunk or max(1, BLOCK_BYTES // int(8 * entries))
        same = np.flatnonzero(sizes == size)
        for start in range(0, len(same), n):
            yield same[start : start + n]


def checked_around(around: Sequence[Any], n_neuroids: int) -> list[np.ndarray]:
    """Return the neighbours as arrays of positions, or refuse what is none."""
    if len(around) != n_neuroids:
        raise ShapeError(f"around must be one list a neuroid, {n_neuroids}; got {len(around)}.")
    found = []
    for i, sphere in enumerate(around):
        places = np.asarray(sphere)
        places = places.astype(np.intp) if places.size == 0 else places
        if places.ndim != 1 or places.dtype.kind not in "iu":
            raise ShapeError(
                f"around: neighbours {i} must be integers (n,); got {places.dtype} of shape {places.shape}."
            )
        if places.size and (places.min() < 0 or places.max() >= n_neuroids):
            raise InvalidValueError(
                f"around: neighbours {i} must be positions from 0 to {n_neuroids - 1}; got {places.min()} to "
                f"{places.max()}."
            )
        if len(np.unique(places)) != len(places):
            raise LabelError(f"around: neighbours {i} name a neuroid twice.")
        found.append(places)
    return found


def labelled(
    values: np.ndarray, job: Decoding, responses: xr.DataArray, name: str, attrs: dict[str, Any]
) -> xr.DataArray:
    """Return scores (n_neuroids, n_scored) with the coordinates of neuroids and features."""
    coords = {key: c.variable for key, c in responses.coords.items() if c.dims in ((), ("neuroid",))}
    coords["n_neuroids"] = xr.Variable("neuroid", job.sizes)
    dims: tuple[str, ...] = ("neuroid",)
    if job.classes is None:
        other = str(job.columns.dims[1])
        dims = (other, "neuroid")
        coords |= {key: c.variable for key, c in job.columns.coords.items() if c.dims == (other,)}
    attrs = {**attrs, "n_undefined": int(np.isnan(values).sum())}
    found = values[:, 0] if job.classes is not None else values.T
    return xr.DataArray(found, dims=dims, coords=coords, attrs=attrs, name=name)


def _aligned(features: Any, responses: Any) -> tuple[xr.DataArray, xr.DataArray]:
    dims: tuple[Any, ...] = getattr(features, "dims", ())
    if not isinstance(features, xr.DataArray) or len(dims) not in (1, 2) or dims[0] not in ROWS:
        raise ShapeError(
            f"features must be a DataArray of labels (stimulus,) or of numbers (stimulus, feature), or over "
            f"time; got {dims or type(features).__name__}."
        )
    dim = str(dims[0])
    if not isinstance(responses, xr.DataArray) or responses.dims != (dim, "neuroid"):
        raise ShapeError(
            f"responses must be a DataArray ({dim!r}, 'neuroid'); got "
            f"{getattr(responses, 'dims', type(responses).__name__)}."
        )
    features, responses = align(features, responses, on=dim, names=["features", "responses"])
    if dim == "time":
        order = np.argsort(labels(features, on="time"), kind="stable")
        features, responses = features.isel(time=order), responses.isel(time=order)
    return features, responses


def _targets(
    features: xr.DataArray, metric: str | None
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None, str]:
    """Return targets (n_rows, n_targets), codes and classes of labels, and the metric."""
    if features.ndim == 2:
        metric = metric or "pearson"
        if metric not in SCORES:
            raise choice(metric, SCORES, name="metric of numbers")
        if not features.size:
            raise ShapeError(f"features are empty; their sizes are {dict(features.sizes)}.")
        return as_float(features.values, name="features"), None, None, metric
    if metric not in (None, ACCURACY):
        raise choice(metric, [ACCURACY], name="metric of labels")
    classes, codes = np.unique(features.values, return_inverse=True)
    if len(classes) < 2:
        raise InvalidValueError(f"labels must be of at least 2 classes; got {classes.tolist()}.")
    return 2.0 * np.equal.outer(codes, np.arange(len(classes))) - 1.0, codes, classes, ACCURACY


def _deviation(x: np.ndarray, standardize: bool) -> np.ndarray:
    """Return standard deviations of the columns, infinity where one does not vary, to give 0."""
    sd = x.std(axis=0) if standardize else np.ones(x.shape[1])
    return np.where(is_constant(x), np.inf, sd)


def _usable(around: list[np.ndarray], varies: np.ndarray, least: int) -> list[np.ndarray]:
    """Return the spheres with those emptied that hold too few neuroids that vary."""
    if isinstance(least, bool) or not isinstance(least, int | np.integer) or least < 1:
        raise InvalidValueError(f"min_neuroids must be a positive integer; got {least!r}.")
    empty = np.empty(0, dtype=np.intp)
    return [sphere if varies[sphere].sum() >= least else empty for sphere in around]


def _refuse_untrained(folds: Splits, codes: np.ndarray, classes: np.ndarray) -> None:
    for k, (train, _) in enumerate(folds):
        absent = np.setdiff1d(np.arange(len(classes)), codes[train])
        if absent.size:
            raise InvalidValueError(
                f"splits: fold {k} is not trained on {absent.size} of {len(classes)} classes, such as "
                f"{classes[absent[0]]!r}. Pass folds whose training rows hold every class."
            )


def _refuse_shuffled(folds: Splits) -> None:
    for k, (_, test) in enumerate(folds):
        if is_shuffled(test):
            raise InvalidValueError(
                f"splits: the {len(test)} test rows of fold {k} are scattered in time, so that a series is "
                "tested on neighbours of its training rows. Use contiguous_splits or leave_one_run_out."
            )

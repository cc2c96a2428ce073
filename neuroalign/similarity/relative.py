"""Stimuli described by their likeness to anchor stimuli; decoders that pass from network to network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import xarray as xr

from ..errors import InvalidValueError, LabelError, ShapeError, listing
from ..schema import align
from ..schema import labels as stimulus_labels
from ..seeds import generator
from ..stats import p_value, permutation
from .inputs import as_matrix
from .predictivity import ridge_predict

__all__ = ["relative_representation", "stitching_test"]

Solver = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def relative_representation(
    x: xr.DataArray, anchors: Sequence[Any] | np.ndarray | xr.DataArray, *, standardize: bool = False
) -> xr.DataArray:
    r"""Return the cosine of every stimulus with every anchor.

    .. math:: r_{ia} = \frac{x_i \cdot x_a}{|x_i| |x_a|}

    Rotations and one scale of the units change nothing, so that networks whose spaces differ by them have the
    same relative representation.

    Parameters
    ----------
    x : DataArray (stimulus, unit)
    anchors : sequence of labels, or DataArray (stimulus, unit)
        Labels of stimuli in x; or the activations of anchors that are not in x, of the same units. Networks
        to be compared need the same anchors in the same order.
    standardize : bool
        Whether each unit is first z-scored by the anchors' mean and standard deviation (units constant over
        the anchors are left out and counted). Not in the original; the result is then invariant to offsets
        and scales of single units, and no longer to rotations.

    Returns
    -------
    DataArray (stimulus, anchor)
        -1 to 1; NaN where a stimulus or anchor is 0 in all units. ``attrs``: ``n_anchors``, ``n_undefined``
        (stimuli without), ``n_constant`` units left out.

    Raises
    ------
    LabelError
        If x has no labels, or an anchor is not in x or repeated.
    ShapeError
        If anchors have other units, or there are fewer than 2.
    InvalidValueError
        If a value is not finite.

    References
    ----------
    Moschella et al. 2023, ICLR ("Relative representations enable zero-shot latent space communication"),
    equation 2.

    Examples
    --------
    >>> x = xr.DataArray(
    ...     [[1.0, 0], [0, 2], [1, 1]], dims=("stimulus", "unit"), coords={"stimulus": ["a", "b", "c"]}
    ... )
    >>> relative_representation(x, ["a", "b"]).values.round(3).tolist()
    [[1.0, 0.0], [0.0, 1.0], [0.707, 0.707]]
    """
    if not isinstance(x, xr.DataArray):
        raise ShapeError(
            f"x must be a DataArray (stimulus, unit), since anchors go by label; got {type(x).__name__}."
        )
    values, labels, at = as_matrix(x, "x", least=1), x["stimulus"].values, None
    if isinstance(anchors, xr.DataArray):
        chosen, names = as_matrix(anchors, "anchors", least=2), stimulus_labels(anchors, name="anchors")
        if chosen.shape[1] != values.shape[1]:
            raise ShapeError(f"anchors have {chosen.shape[1]} units and x has {values.shape[1]}.")
    else:
        at = _positions(anchors, labels, "x")
        chosen, names = values[at], labels[at]
    values, chosen, n_constant = _standardized(values, chosen) if standardize else (values, chosen, 0)
    found = _cosines(values, chosen)
    attrs = {
        "n_anchors": len(names),
        "n_undefined": int(np.isnan(found).all(axis=1).sum()),
        "n_constant": n_constant,
    }
    coords = {"stimulus": labels, "anchor": names}
    return xr.DataArray(found, dims=("stimulus", "anchor"), coords=coords, attrs=attrs, name="relative")


def stitching_test(
    a: xr.DataArray,
    b: xr.DataArray,
    target: xr.DataArray,
    *,
    anchors: Sequence[Any] | np.ndarray,
    train: Sequence[Any] | np.ndarray,
    standardize: bool = False,
    solver: Solver | None = None,
    n: int = 99,
    seed: int = 0,
) -> xr.Dataset:
    """Return how well a decoder trained on network a reads network b, through relative representations.

    A linear decoder is trained on the relative representation of a over the training stimuli and tested on
    that of b over the others. Beside it: the decoder trained on b itself (what could be had), the one that
    gets the units of b as they are (``absolute``) or randomly rotated (``rotated``), and the relative one
    whose anchors in b are in random order (``shuffled``, the null of p).

    Parameters
    ----------
    a, b : DataArray (stimulus, unit)
        The same stimuli; units may differ in number.
    target : DataArray (stimulus,)
        Classes (strings, booleans or integers) or real numbers. Scores are accuracies or correlations.
    anchors : sequence of labels
        Stimuli that are anchors in both networks (parallel anchors); at least 2.
    train : sequence of labels
        Stimuli that train the decoder; all others that are no anchors test it. Anchors may be among them.
    standardize : bool
        See ``relative_representation``.
    solver : callable, optional
        From training features (n, a), training targets (n, b) and test features (m, a) to predictions (m, b);
        ``ridge_predict`` where None. Classes are coded as one column each and read out by the largest.
    n : int
        Random rotations and random orders of anchors.
    seed : int

    Returns
    -------
    Dataset
        ``relative`` (a -> b), ``within`` (b -> b, relative), ``within_absolute`` (b -> b, units),
        ``absolute`` (a -> b, NaN where the networks differ in width), ``rotated`` (mean over rotations of b
        into the width of a), ``shuffled`` (mean over orders), ``p`` of relative against shuffled orders,
        ``chance`` (the largest class's share of the test stimuli, or 0), ``null`` (permutation,),
        ``null_rotated`` (permutation,). ``attrs``: ``n_train``, ``n_test``, ``n_anchors``, ``score``,
        ``n_classes`` (0 for numbers), ``n_undefined`` scores.

    Raises
    ------
    LabelError
        If stimuli differ, or anchors or training stimuli are unknown or repeated.
    ShapeError
        If there are fewer than 2 anchors, or fewer than 2 stimuli to train or to test.
    InvalidValueError
        If a stimulus is 0 in all units, or a class is not among the training stimuli.

    References
    ----------
    Moschella et al. 2023, ICLR, section 5 (zero-shot stitching).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> names = [f"s{i}" for i in range(80)]
    >>> x = rng.standard_normal((80, 6))
    >>> turn = np.linalg.qr(rng.standard_normal((6, 6)))[0]
    >>> a, b = (xr.DataArray(z, dims=("stimulus", "unit"), coords={"stimulus": names}) for z in (x, x @ turn))
    >>> target = xr.DataArray(x[:, 0] > 0, dims="stimulus", coords={"stimulus": names})
    >>> found = stitching_test(a, b, target, anchors=names[:12], train=names[:40])
    >>> bool(found["relative"] == found["within"]), bool(found["absolute"] < found["relative"])
    (True, True)
    """
    a, b, target = align(a, b, target, names=["a", "b", "target"])
    x, y = as_matrix(a, "a"), as_matrix(b, "b")
    labels = a["stimulus"].values
    at, rows = _positions(anchors, labels, "a"), _positions(train, labels, "a")
    test = np.setdiff1d(np.arange(len(labels)), np.concatenate([at, rows]))
    if len(test) < 2:
        raise ShapeError(f"{len(test)} stimuli are neither anchors nor trained on; at least 2 must test.")
    coded, classes = _coded(target, rows)
    relative = [_relative(z, at, standardize, name) for z, name in ((x, "a"), (y, "b"))]
    solve = ridge_predict if solver is None else solver

    def score(features: np.ndarray, new: np.ndarray) -> float:
        found = np.asarray(solve(features[rows], coded[rows], new[test]), dtype=np.float64)
        if classes is not None:
            return float((found.argmax(axis=1) == coded[test].argmax(axis=1)).mean())
        return _r(found[:, 0], coded[test, 0])

    orders = permutation(
        lambda order: score(relative[0], relative[1][:, order]),
        n,
        permute=lambda rng: rng.permutation(len(at)),
        rng=generator(seed, "stitching", "anchors"),
    )
    rotated = permutation(
        lambda draw: score(x, y @ _into(y.shape[1], x.shape[1], np.random.default_rng(draw.tolist()))),
        n,
        permute=lambda rng: rng.integers(2**32, size=4),
        rng=generator(seed, "stitching", "rotation"),
    )
    estimate = score(relative[0], relative[1])
    scores = {
        "relative": estimate,
        "within": score(relative[1], relative[1]),
        "within_absolute": score(y, y),
        "absolute": score(x, y) if x.shape[1] == y.shape[1] else float("nan"),
        "rotated": _mean(rotated),
        "shuffled": _mean(orders),
        "chance": 0.0 if classes is None else float(coded[test].mean(axis=0).max()),
        "p": float(p_value(estimate, orders)),
    }
    nulls = {"null": ("permutation", orders), "null_rotated": ("permutation", rotated)}
    attrs: dict[str, Any] = {"n_train": len(rows), "n_test": len(test), "n_anchors": len(at), "n": int(n)}
    attrs |= {"score": "pearson" if classes is None else "accuracy", "standardize": int(standardize)}
    attrs |= {"n_classes": 0 if classes is None else len(classes)}
    attrs |= {"n_undefined": int(np.isnan([*orders, *rotated, estimate]).sum())}
    return xr.Dataset(scores | nulls, attrs=attrs)


def _positions(wanted: Sequence[Any] | np.ndarray, labels: np.ndarray, name: str) -> np.ndarray:
    where = {label: i for i, label in enumerate(labels.tolist())}
    asked: list[Any] = np.asarray(wanted).tolist()
    missing = [label for label in asked if label not in where]
    if missing:
        raise LabelError(f"{len(missing)} of {len(asked)} stimuli are not in {name}: {listing(missing)}.")
    if len(set(asked)) < len(asked):
        repeated = [label for label in dict.fromkeys(asked) if asked.count(label) > 1]
        raise LabelError(f"stimuli are named more than once: {listing(repeated)}.")
    rows = Counter(labels.tolist())
    repeated = [label for label in asked if rows[label] > 1]
    if repeated:
        raise LabelError(
            f"{name}: {len(repeated)} of the {len(asked)} stimuli asked for have repeated labels: "
            f"{listing(repeated)}. Give each row a label of its own."
        )
    if len(asked) < 2:
        raise ShapeError(f"at least 2 stimuli are needed, as anchors or to train; got {len(asked)}.")
    return np.array([where[label] for label in asked])


def _standardized(values: np.ndarray, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    from ..stats import is_constant

    keep = ~is_constant(chosen, axis=0)
    mean, spread = chosen[:, keep].mean(axis=0), chosen[:, keep].std(axis=0)
    return (values[:, keep] - mean) / spread, (chosen[:, keep] - mean) / spread, int((~keep).sum())


def _cosines(values: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    unit = []
    for z in (values, chosen):
        length = np.sqrt(np.einsum("ij,ij->i", z, z))
        unit.append(z / np.where(length > 0, length, np.nan)[:, None])
    return np.clip(unit[0] @ unit[1].T, -1.0, 1.0)


def _relative(x: np.ndarray, at: np.ndarray, standardize: bool, name: str) -> np.ndarray:
    values, chosen, _ = _standardized(x, x[at]) if standardize else (x, x[at], 0)
    found = _cosines(values, chosen)
    if np.isnan(found).any():
        stimulus = int(np.argwhere(np.isnan(found))[0, 0])
        raise InvalidValueError(
            f"{name}: a stimulus or anchor is 0 in all units, so it has no direction (row {stimulus}). "
            "Leave it out."
        )
    return found


def _coded(target: xr.DataArray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Return targets (n, columns) and their classes, or None for real numbers."""
    values = target.values
    if values.ndim != 1:
        raise ShapeError(f"target must be (stimulus,); got dims {target.dims}.")
    if values.dtype.kind == "f":
        if not np.isfinite(values).all():
            bad = target["stimulus"].values[~np.isfinite(values)]
            raise InvalidValueError(f"target is not finite for {listing(bad)}.")
        return values.astype(np.float64)[:, None], None
    classes, at = np.unique(values, return_inverse=True)
    unseen = np.setdiff1d(np.arange(len(classes)), at[rows])
    if len(unseen):
        raise InvalidValueError(f"no training stimulus is of class {listing(classes[unseen])}.")
    return np.eye(len(classes))[at], classes


def _into(width: int, wanted: int, rng: np.random.Generator) -> np.ndarray:
    """Return a random orthogonal map (width, wanted), or orthonormal rows or columns where they differ."""
    q, r = np.linalg.qr(rng.standard_normal((max(width, wanted), min(width, wanted))))
    q = q * np.where(np.diag(r) < 0, -1.0, 1.0)
    return q if width >= wanted else q.T


def _r(a: np.ndarray, b: np.ndarray) -> float:
    from ..stats import pearson_r

    return float(pearson_r(a, b))


def _mean(values: np.ndarray) -> float:
    return float(np.nanmean(values)) if not np.isnan(values).all() else float("nan")

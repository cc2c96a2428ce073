"""All measures by name, and tables of one measure over many representations."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from ..errors import ShapeError, choice, listing
from ..schema import align
from .alignment import cka, kernel_alignment, rv, rv2, rv_adjusted
from .correlations import cca, pwcca, svcca
from .inputs import DegenerateWarning, as_matrix, centred, compact
from .matching import hard_matching, soft_matching, soft_matching_distance
from .neighbours import cknna, jaccard, mutual_knn, second_order_cosine
from .predictivity import linear_predictivity
from .shapes import bures_distance, procrustes, shape_distance

__all__ = ["DISTANCES", "MEASURES", "Measure", "compare", "measure_of", "quietly", "reduced"]

Measure = Callable[..., Any]

MEASURES: dict[str, Measure] = {
    "cka": cka,
    "cka-unbiased": partial(cka, estimator="unbiased"),
    "cka-rbf": partial(cka, kernel="rbf"),
    "cka-rbf-unbiased": partial(cka, kernel="rbf", estimator="unbiased"),
    "alignment": kernel_alignment,
    "alignment-centred": partial(kernel_alignment, centre=True),
    "rv": rv,
    "rv-adjusted": rv_adjusted,
    "rv2": rv2,
    "cca": cca,
    "cca-r2": partial(cca, summary="r2"),
    "svcca": svcca,
    "pwcca": pwcca,
    "procrustes": procrustes,
    "procrustes-angular": shape_distance,
    "shape-half": partial(shape_distance, alpha=0.5),
    "shape-whitened": partial(shape_distance, alpha=0.0),
    "bures-distance": bures_distance,
    "mutual-knn": mutual_knn,
    "jaccard": jaccard,
    "second-order-cosine": second_order_cosine,
    "cknna": cknna,
    "hard-matching": hard_matching,
    "soft-matching": soft_matching,
    "soft-matching-distance": soft_matching_distance,
    "predictivity": linear_predictivity,
    "predictivity-both": partial(linear_predictivity, direction="mean"),
}
# Lower is more alike.
DISTANCES = frozenset(
    {"procrustes-angular", "shape-half", "shape-whitened", "bures-distance", "soft-matching-distance"}
)
# Values that differ when the arguments change places.
ONE_WAY = frozenset({"pwcca", "predictivity"})
# Values that turn on single units: these may not be rotated away.
OF_UNITS = frozenset(
    {"pwcca", "hard-matching", "soft-matching", "soft-matching-distance", "predictivity", "predictivity-both"}
)
# Values that an offset common to all patterns changes.
UNCENTRED = frozenset({"alignment", "mutual-knn", "jaccard", "second-order-cosine", "cknna"})


def compare(
    xs: Any, ys: Any | None = None, measure: str | Measure = "cka", *, how: str = "exact", **options: Any
) -> xr.DataArray:
    """Return one measure between every two of several representations, such as layers or models.

    Parameters
    ----------
    xs : mapping of name to array, Dataset, or sequence of arrays (n_stimuli, n_units)
        Such as the layers of a network. Labelled ones, all of them then, are aligned by stimulus.
    ys : the same, optional
        The other side; ``xs`` with itself where None.
    measure : str or callable
        A key of ``MEASURES``, or a function of two arrays (n_stimuli, n_units) that returns a number.
    how : {"exact", "inner"}
        Whether representations of other stimuli are refused, or the stimuli kept that all have.
    **options
        Passed to the measure, such as ``k=5``.

    Returns
    -------
    DataArray (x, y)
        Coordinates are the names, or positions in a sequence. ``attrs``: ``measure``, ``n_stimuli``,
        ``n_undefined`` (NaN entries), ``n_degenerate`` (entries with a ``DegenerateWarning``, which is given
        once for all).

    Raises
    ------
    ShapeError, LabelError
        If stimuli differ, or only some are labelled.
    InvalidValueError
        If the measure is unknown or a value is not finite.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> layers = {"in": rng.standard_normal((30, 4)), "out": rng.standard_normal((30, 6))}
    >>> compare(layers, measure="procrustes").sizes["x"]
    2
    """
    function, name = measure_of(measure)
    names_x, list_x = _named(xs, "xs")
    names_y, list_y = (names_x, list_x) if ys is None else _named(ys, "ys")
    matrices = [
        reduced(matrix, name) for matrix in _matrices([*list_x, *([] if ys is None else list_y)], how)
    ]
    first = matrices[: len(list_x)]
    second = first if ys is None else matrices[len(list_x) :]
    mirrored = ys is None and isinstance(measure, str) and measure not in ONE_WAY
    values = np.full((len(first), len(second)), np.nan)
    n_degenerate, said = 0, ""
    for i, x in enumerate(first):
        for j, y in enumerate(second):
            if mirrored and j < i:
                values[i, j] = values[j, i]
                continue
            values[i, j], message = quietly(function, x, y, **options)
            n_degenerate, said = n_degenerate + bool(message), said or message
    if n_degenerate:
        warnings.warn(f"{n_degenerate} of {values.size} comparisons: {said}", DegenerateWarning, stacklevel=2)
    attrs = {"measure": name, "n_stimuli": len(first[0]), "n_undefined": int(np.isnan(values).sum())}
    attrs |= {"n_degenerate": n_degenerate} | {key: value for key, value in options.items() if _plain(value)}
    coords = {"x": names_x, "y": names_y}
    return xr.DataArray(values, dims=("x", "y"), coords=coords, attrs=attrs, name="similarity")


def measure_of(measure: str | Measure) -> tuple[Measure, str]:
    """Return a measure's function and name, or refuse a name that is none of ``MEASURES``."""
    if callable(measure):
        return measure, getattr(measure, "__name__", type(measure).__name__)
    if measure not in MEASURES:
        raise choice(measure, MEASURES, name="measure")
    return MEASURES[measure], measure


def reduced(x: np.ndarray, name: str) -> np.ndarray:
    """Return ``x``, with no more units than stimuli where the measure ignores rotations of units."""
    if name not in MEASURES or name in OF_UNITS or x.shape[1] <= len(x):
        return x
    middle = centred(x)
    if not middle.any():
        return x
    return compact(x if name in UNCENTRED else middle)


def quietly(function: Measure, x: np.ndarray, y: np.ndarray, **options: Any) -> tuple[float, str]:
    """Return a measure's value, and what its ``DegenerateWarning`` said ("" where there was none)."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DegenerateWarning)
        value = float(function(x, y, **options))
    said = ""
    for item in caught:
        if issubclass(item.category, DegenerateWarning):
            said = str(item.message)
        else:
            warnings.warn_explicit(item.message, item.category, item.filename, item.lineno)
    return value, said


def _named(xs: Any, name: str) -> tuple[list[Any], list[Any]]:
    if isinstance(xs, xr.Dataset):
        found: dict[Any, Any] = {str(key): xs[key] for key in xs.data_vars}
    elif isinstance(xs, Mapping):
        found = dict(xs)
    elif isinstance(xs, Sequence) and not isinstance(xs, str):
        found = dict(enumerate(xs))
    else:
        raise ShapeError(
            f"{name} must be a mapping of names to arrays, a Dataset or a sequence of arrays; got "
            f"{type(xs).__name__}."
        )
    if not found:
        raise ShapeError(f"{name} holds no representation.")
    return list(found), list(found.values())


def _matrices(arrays: list[Any], how: str) -> list[np.ndarray]:
    labelled = [isinstance(array, xr.DataArray) for array in arrays]
    if any(labelled) and not all(labelled):
        plain = [i for i, known in enumerate(labelled) if not known]
        raise ShapeError(
            f"some representations have stimulus labels and some have not (positions {listing(plain)}). "
            "Label all, or none."
        )
    names = [f"representation {i}" for i in range(len(arrays))]
    if all(labelled):
        arrays = list(align(*arrays, names=names, how=how))
    matrices = [as_matrix(array, name) for array, name in zip(arrays, names, strict=True)]
    sizes = sorted({len(matrix) for matrix in matrices})
    if len(sizes) > 1:
        raise ShapeError(f"representations must have the same stimuli; got {listing(sizes)} of them.")
    return matrices


def _plain(value: Any) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)

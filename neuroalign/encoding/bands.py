"""Feature spaces ("bands"): which feature belongs to which, as the coordinate ``band`` of the features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from sklearn.base import clone

from ..arrays import as_float
from ..errors import InvalidValueError, LabelError, ShapeError, listing
from ..schema import align

__all__ = ["ROWS", "band_of", "columns_of", "join_bands", "take_bands", "with_bands"]

ROWS = ("time", "stimulus")


def join_bands(spaces: Mapping[str, xr.DataArray], *, how: str = "exact") -> xr.DataArray:
    """Return feature spaces side by side, each feature labelled with the space that it comes from.

    Values are not changed: whoever fits decides on the scale of each space. ``evaluate`` standardises the
    features on its training rows.

    Parameters
    ----------
    spaces : mapping of str to DataArray (time, feature) or (stimulus, feature)
        The second dim may have any name. Rows are aligned by label to the first space.
    how : {"exact", "inner"}
        ``"inner"`` keeps the rows that all spaces have.

    Returns
    -------
    DataArray (time, feature) or (stimulus, feature)
        float64, with the coordinate ``band`` and those coordinates of the features that all spaces have; one
        called ``feature`` becomes ``feature_label``. Coordinates of the rows are those of the first space.

    Raises
    ------
    ShapeError
        If there is no space, a space has other dims, or none of its own features.
    LabelError
        If rows differ, or have no labels.
    InvalidValueError
        If a name is empty or no string, or a value is not finite.

    Examples
    --------
    >>> sound = xr.DataArray([[1.0], [2.0]], dims=("time", "feature"), coords={"time": [0.0, 2.0]})
    >>> words = xr.DataArray([[3.0, 4.0], [5.0, 6.0]], dims=("time", "feature"), coords={"time": [2.0, 0.0]})
    >>> X = join_bands({"sound": sound, "words": words})
    >>> X.values.tolist(), X["band"].values.tolist()
    ([[1.0, 5.0, 6.0], [2.0, 3.0, 4.0]], ['sound', 'words', 'words'])
    """
    if not spaces:
        raise ShapeError("spaces must hold at least one feature space; got none.")
    for name, space in spaces.items():
        _check_space(name, space)
    dim = str(next(iter(spaces.values())).dims[0])
    aligned = align(*spaces.values(), on=dim, how=how, names=list(spaces))
    values = [as_float(space.values, name=name) for name, space in zip(spaces, aligned, strict=True)]
    coords: dict[str, Any] = {str(k): c.variable for k, c in aligned[0].coords.items() if c.dims == (dim,)}
    coords |= _shared_coords(aligned)
    coords["band"] = ("feature", np.repeat(list(spaces), [part.shape[1] for part in values]))
    return xr.DataArray(np.concatenate(values, axis=1), dims=(dim, "feature"), coords=coords, name="features")


def band_of(X: Any, bands: Any = None, *, n_features: int | None = None) -> np.ndarray:
    """Return the band of each feature, (n_features,) of str: ``bands`` where given, else X's coordinate.

    Parameters
    ----------
    X : array (n_rows, n_features)
        Labelled, or plain where ``bands`` is given.
    bands : sequence (n_features,) of str, optional
        Where ``X`` has the coordinate too, both must agree.
    n_features : int, optional
        Of ``X``, where it has been read already.

    Raises
    ------
    LabelError
        If there are neither labels nor a coordinate, they differ, or one is missing or empty.
    ShapeError
        If the number of labels is not that of the features.

    Examples
    --------
    >>> band_of(np.zeros((4, 3)), ["a", "a", "b"]).tolist()
    ['a', 'a', 'b']
    """
    given = _own_labels(X)
    width = np.shape(X)[-1] if n_features is None else n_features
    found = given if bands is None else _as_labels(bands, width)
    if found is None:
        raise LabelError(
            "bands are unknown: X has no coordinate 'band' on its features. Pass bands=[...], one label a "
            'feature, or bands="one" to treat all features as one band.'
        )
    if found.shape != (width,):
        raise ShapeError(f"bands must be one label for each of {width} features; got shape {found.shape}.")
    if bands is not None and given is not None and not np.array_equal(given, found):
        at = int(np.flatnonzero(given != found)[0])
        raise LabelError(
            f"bands and X's coordinate 'band' differ, first at feature {at}: {str(found[at])!r} and "
            f"{str(given[at])!r}."
        )
    return found


def columns_of(labels: np.ndarray) -> dict[str, np.ndarray]:
    """Return the positions of each band's features, bands in the order in which they first come.

    >>> {name: at.tolist() for name, at in columns_of(np.array(["b", "a", "b"])).items()}
    {'b': [0, 2], 'a': [1]}
    """
    return {name: np.flatnonzero(labels == name) for name in dict.fromkeys(labels.tolist())}


def take_bands(X: xr.DataArray, names: Sequence[str]) -> xr.DataArray:
    """Return the features of some bands, in the order of ``X``.

    >>> X = xr.DataArray([[1.0, 2.0]], dims=("time", "feature"), coords={"band": ("feature", ["a", "b"])})
    >>> take_bands(X, ["b"]).values.tolist()
    [[2.0]]
    """
    labels = band_of(X)
    missing = [name for name in names if name not in labels]
    if missing:
        raise LabelError(f"no feature is in band {listing(missing)}; there are {listing(np.unique(labels))}.")
    return X.isel({X.dims[1]: np.flatnonzero(np.isin(labels, list(names)))})


def with_bands(model: Any, X: Any) -> Any:
    """Return the model told the band of each feature, where it asks for ``bands`` and X has the coordinate.

    A clone; the model itself where it has no such parameter, or was given labels already.

    >>> X = xr.DataArray([[1.0, 2.0]], dims=("time", "feature"), coords={"band": ("feature", ["a", "b"])})
    >>> from neuroalign.encoding.stacking import StackingCV
    >>> with_bands(StackingCV(), X).bands
    ['a', 'b']
    """
    known = _own_labels(X)
    if known is None or model.get_params(deep=False).get("bands", "none") is not None:
        return model
    return clone(model).set_params(bands=known.tolist())


def _check_space(name: Any, space: Any) -> None:
    if not isinstance(name, str) or not name.strip():
        raise InvalidValueError(f"a feature space needs a name; got {name!r}.")
    if not isinstance(space, xr.DataArray) or space.ndim != 2 or space.dims[0] not in ROWS:
        raise ShapeError(
            f"{name} must be a DataArray of 2 dims whose first is one of {ROWS}; got "
            f"{getattr(space, 'dims', type(space).__name__)}."
        )
    if not space.shape[1]:
        raise ShapeError(f"{name} has no features; got shape {space.shape}.")


def _shared_coords(spaces: Sequence[xr.DataArray]) -> dict[str, Any]:
    """Return the coordinates of the features that every space has, one after the other."""
    found = [{str(k): c.values for k, c in x.coords.items() if c.dims == x.dims[1:]} for x in spaces]
    own = [x.dims[1] for x in spaces]
    named = [
        {"feature_label" if k in (dim, "feature") else k: values for k, values in some.items()}
        for some, dim in zip(found, own, strict=True)
    ]
    shared = [key for key in named[0] if all(key in some for some in named) and key != "band"]
    return {key: ("feature", np.concatenate([some[key] for some in named])) for key in shared}


def _own_labels(X: Any) -> np.ndarray | None:
    if not isinstance(X, xr.DataArray) or X.ndim != 2 or "band" not in X.coords:
        return None
    if X["band"].dims != X.dims[1:]:
        raise LabelError(f"coordinate 'band' must lie on the features {X.dims[1]!r}; got {X['band'].dims}.")
    return _as_labels(X["band"].values, X.shape[1])


def _as_labels(bands: Any, n_features: int) -> np.ndarray:
    if isinstance(bands, str):
        if bands != "one":
            raise LabelError(f'bands must be one label a feature, or "one"; got {bands!r}.')
        return np.full(n_features, "one")
    values = list(np.asarray(bands, dtype=object).ravel())
    bad = [i for i, value in enumerate(values) if not isinstance(value, str) or not value.strip()]
    if bad:
        raise LabelError(
            f"bands must be names; {len(bad)} of {len(values)} are none, the first at position {bad[0]}: "
            f"{values[bad[0]]!r}."
        )
    return np.array(values, dtype=str)

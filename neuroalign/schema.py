"""The nouns of the project, their dims and coordinates; ``check`` and ``align``.

Labels decide, order never does. Every noun is plain xarray with plain coordinates, never a MultiIndex.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from .errors import InvalidValueError, LabelError, ShapeError, choice, listing

__all__ = [
    "NOUNS",
    "Noun",
    "align",
    "check",
    "labels",
    "make_mask",
    "make_rdm",
    "n_stimuli_of_pairs",
    "rdm_stimuli",
    "square",
    "triangle",
]

SCORE_DIMS = ("model", "layer", "subject", "neuroid", "roi", "fold", "time", "rdm", "rdm_a", "rdm_b", "bound")


@dataclass(frozen=True)
class Noun:
    """Dims that must be there in this order, dims that may follow, and coordinates that must be there."""

    dims: tuple[str, ...]
    optional: tuple[str, ...] = ()
    coords: tuple[str, ...] = ()


NOUNS: dict[str, Noun] = {
    "activations": Noun(("stimulus", "unit"), coords=("stimulus",)),
    "responses": Noun(("stimulus", "neuroid"), ("repetition", "time"), ("stimulus",)),
    "series": Noun(("time", "neuroid"), coords=("time",)),
    "rdm": Noun(("pair",), coords=("stimulus_a", "stimulus_b")),
    "mask": Noun(("unit",), coords=("layer", "site", "index")),
    "scores": Noun((), SCORE_DIMS),
}


def check(x: xr.DataArray, noun: str, *, name: str | None = None) -> xr.DataArray:
    """Return ``x`` unchanged if it is what the noun says, else raise.

    Parameters
    ----------
    x : xarray.DataArray
    noun : str
        A key of ``NOUNS``. An ``rdm`` may have any dims before ``pair``; ``scores`` any of the score dims.
    name : str, optional
        What the error calls it; the noun where None.

    Raises
    ------
    ShapeError
        If the dims are other ones.
    LabelError
        If a coordinate is missing, or the labels of a stimulus are missing or not unique.
    """
    if noun not in NOUNS:
        raise choice(noun, NOUNS, name="noun")
    name, spec = name or noun, NOUNS[noun]
    if not isinstance(x, xr.DataArray):
        raise ShapeError(f"{name} must be an xarray.DataArray; got {type(x).__name__}.")
    _check_dims(x, noun, spec, name)
    missing = [coord for coord in spec.coords if coord not in x.coords]
    if missing:
        raise LabelError(f"{name} lacks the coordinates {listing(missing)}; it has {listing(x.coords)}.")
    if "stimulus" in x.dims:
        labels(x, on="stimulus", name=name)
    if noun == "rdm":
        rdm_stimuli(x, name=name)
    return x


def _check_dims(x: xr.DataArray, noun: str, spec: Noun, name: str) -> None:
    dims = tuple(str(dim) for dim in x.dims)
    if noun == "rdm":
        good = dims[-1:] == ("pair",)
    elif noun == "scores":
        good = set(dims) <= set(spec.optional)
    else:
        rest = dims[len(spec.dims) :]
        good = dims[: len(spec.dims)] == spec.dims and set(rest) <= set(spec.optional)
    if not good:
        extra = f" (then any of {listing(spec.optional, limit=20)})" if spec.optional else ""
        raise ShapeError(f"{name} must have dims {spec.dims}{extra}; got {dims} of shape {x.shape}.")


def labels(x: Any, *, on: str = "stimulus", name: str = "array") -> np.ndarray:
    """Return the labels of ``x`` along ``on``, after checking that there are some and that none repeats.

    ``x`` is a DataArray or Dataset with a coordinate ``on``, an RDM (labels of its pairs, where ``on`` is
    ``stimulus``), or a DataFrame with a column ``on``.
    """
    if isinstance(x, pd.DataFrame):
        if on not in x.columns:
            raise LabelError(f"{name} has no column {on!r}; it has {listing(x.columns)}.")
        found = x[on].to_numpy()
    elif isinstance(x, xr.DataArray | xr.Dataset):
        if on == "stimulus" and "pair" in x.dims and on not in x.dims:
            return rdm_stimuli(x, name=name)
        if on not in x.dims or on not in x.coords:
            raise LabelError(f"{name} has no labels along {on!r}; its dims are {tuple(x.dims)}.")
        found = x[on].values
    else:
        raise ShapeError(f"{name} must be a DataArray, Dataset or DataFrame; got {type(x).__name__}.")
    _refuse_bad_labels(found, on, name)
    return found


def _refuse_bad_labels(found: np.ndarray, on: str, name: str) -> None:
    index = pd.Index(found)
    if index.hasnans:
        raise LabelError(f"{name}: {int(index.isna().sum())} of {len(index)} labels of {on!r} are missing.")
    if not index.is_unique:
        repeated = index[index.duplicated()].unique()
        raise LabelError(f"{name}: {len(repeated)} labels of {on!r} are repeated: {listing(repeated)}.")


def align(
    *arrays: Any, on: str = "stimulus", how: str = "exact", names: Sequence[str] | None = None
) -> tuple[Any, ...]:
    """Return the arrays with the same labels along ``on``, in the order of the first.

    Parameters
    ----------
    *arrays : DataArray, Dataset, RDM or DataFrame
        None of them is edited.
    on : str
        The dim (or column) whose labels are matched.
    how : {"exact", "inner"}
        ``"exact"`` raises where the label sets differ; ``"inner"`` keeps the labels that all share.
    names : sequence of str, optional
        What the errors call the arrays.

    Raises
    ------
    LabelError
        If labels are missing, repeated, of another type, or have nothing in common.
    """
    if how not in ("exact", "inner"):
        raise choice(how, ("exact", "inner"), name="how")
    names = names or [f"array {i + 1}" for i in range(len(arrays))]
    found = [labels(x, on=on, name=name) for x, name in zip(arrays, names, strict=True)]
    keep = pd.Index(found[0])
    for other, name in zip(found[1:], names[1:], strict=True):
        index = pd.Index(other)
        _refuse_other_type(keep, index, on, names[0], name)
        if how == "exact":
            _refuse_difference(keep, index, on, names[0], name)
        keep = keep[keep.isin(index)]
    if len(found[0]) and not len(keep):
        raise LabelError(f"{', '.join(names)} share no label of {on!r}.")
    return tuple(_take(x, old, keep, on) for x, old in zip(arrays, found, strict=True))


def _refuse_other_type(a: pd.Index, b: pd.Index, on: str, name_a: str, name_b: str) -> None:
    kind_a, kind_b = (pd.api.types.infer_dtype(index, skipna=False) for index in (a, b))
    if len(a) and len(b) and kind_a != kind_b:
        raise LabelError(
            f"labels of {on!r} are {kind_a} in {name_a} ({a[0]!r}) and {kind_b} in {name_b} ({b[0]!r}); "
            "convert one of them first."
        )


def _refuse_difference(a: pd.Index, b: pd.Index, on: str, name_a: str, name_b: str) -> None:
    for one, other, name_one, name_other in ((a, b, name_a, name_b), (b, a, name_b, name_a)):
        missing = one[~one.isin(other)]
        if len(missing):
            raise LabelError(
                f"{name_one}: {len(missing)} of {len(one)} labels of {on!r} are not in {name_other}: "
                f'{listing(missing)}. Pass how="inner" to drop them.'
            )


def _take(x: Any, old: np.ndarray, keep: pd.Index, on: str) -> Any:
    order = pd.Index(old).get_indexer(keep)
    if isinstance(x, pd.DataFrame):
        return x.iloc[order]
    if on in x.dims:
        return x.isel({on: order})
    return _take_pairs(x, order)


def _take_pairs(rdm: xr.DataArray, order: np.ndarray) -> xr.DataArray:
    n = n_stimuli_of_pairs(rdm.sizes["pair"])
    position = np.zeros((n, n), dtype=np.intp)
    rows, columns = np.triu_indices(n, 1)
    position[rows, columns] = position[columns, rows] = np.arange(rows.size)
    stimuli = rdm_stimuli(rdm)[order]
    a, b = np.triu_indices(len(order), 1)
    taken = rdm.isel(pair=position[order[a], order[b]])
    return taken.assign_coords(stimulus_a=("pair", stimuli[a]), stimulus_b=("pair", stimuli[b]))


def n_stimuli_of_pairs(n_pairs: int, *, name: str = "rdm") -> int:
    """Return n with n (n - 1) / 2 pairs, or refuse a number of pairs that no n has."""
    n = (1 + int(np.sqrt(1 + 8 * n_pairs) + 0.5)) // 2
    if n * (n - 1) // 2 != n_pairs:
        raise ShapeError(f"{name}: {n_pairs} pairs are not n (n - 1) / 2 for any number of stimuli n.")
    return n


def make_rdm(
    values: np.ndarray,
    stimuli: Sequence[Any] | np.ndarray,
    *,
    dims: Sequence[str] = (),
    coords: Mapping[str, Any] | None = None,
    attrs: Mapping[str, Any] | None = None,
) -> xr.DataArray:
    """Return an RDM array (..., pair) with the pair labels ``stimulus_a`` and ``stimulus_b``.

    Parameters
    ----------
    values : array (..., n_pairs)
        Upper triangles row by row (of a square matrix: ``triangle(matrix)``); NaN marks an undefined pair.
    stimuli : sequence (n_stimuli,)
        Unique labels.
    dims, coords, attrs
        Names of the leading dims, their coordinates, and attributes.
    """
    values, stimuli = _numbers(values, "values"), np.asarray(stimuli)
    _refuse_bad_labels(stimuli, "stimulus", "stimuli")
    n = len(stimuli)
    if values.shape[-1:] != (n * (n - 1) // 2,) or values.ndim != len(dims) + 1:
        hint = " Pass triangle(matrix) for a square matrix." if values.shape[-2:] == (n, n) else ""
        raise ShapeError(
            f"{n} stimuli have {n * (n - 1) // 2} pairs, after {len(dims)} leading dims {tuple(dims)}; got "
            f"values of shape {values.shape}.{hint}"
        )
    a, b = np.triu_indices(n, 1)
    pairs = {"stimulus_a": ("pair", stimuli[a]), "stimulus_b": ("pair", stimuli[b])}
    return xr.DataArray(
        values, dims=(*dims, "pair"), coords={**(coords or {}), **pairs}, attrs=dict(attrs or {}), name="rdm"
    )


def rdm_stimuli(rdm: xr.DataArray | xr.Dataset, *, name: str = "rdm") -> np.ndarray:
    """Return the stimulus labels (n_stimuli,) of an RDM, checked to be a whole triangle."""
    if "pair" not in rdm.dims:
        raise ShapeError(f"{name} must have the dim 'pair'; got {tuple(rdm.dims)}.")
    if not {"stimulus_a", "stimulus_b"} <= set(rdm.coords):
        raise LabelError(f"{name} lacks the pair labels 'stimulus_a' and 'stimulus_b'; see schema.make_rdm.")
    n = n_stimuli_of_pairs(rdm.sizes["pair"], name=name)
    first, second = rdm["stimulus_a"].values, rdm["stimulus_b"].values
    if n < 2:
        raise ShapeError(f"{name} has no pair; an RDM needs at least 2 stimuli.")
    stimuli = np.concatenate([first[:1], second[: n - 1]])
    _refuse_bad_labels(stimuli, "stimulus", name)
    a, b = np.triu_indices(n, 1)
    if (first != stimuli[a]).any() or (second != stimuli[b]).any():
        raise LabelError(f"{name}: pairs are not the upper triangle of {n} stimuli, row by row.")
    return stimuli


def square(values: np.ndarray, *, diagonal: float = 0.0) -> np.ndarray:
    """Return upper triangles (..., n_pairs) as symmetric matrices (..., n, n); values are passed on."""
    values = _numbers(values, "values")
    n = n_stimuli_of_pairs(values.shape[-1])
    rows, columns = np.triu_indices(n, 1)
    full = np.full((*values.shape[:-1], n, n), diagonal, dtype=values.dtype)
    full[..., rows, columns] = values
    full[..., columns, rows] = values
    return full


def triangle(matrices: np.ndarray, *, tolerance: float = 1e-8) -> np.ndarray:
    """Return the upper triangles (..., n_pairs), row by row, of square dissimilarity matrices.

    Parameters
    ----------
    matrices : array (..., n_stimuli, n_stimuli)
        Symmetric with a diagonal of 0 (or NaN, as some programs leave it); NaN marks an undefined pair.
    tolerance : float
        Of both, as a share of the largest absolute value.

    Raises
    ------
    ShapeError
        If they are not square, or of one stimulus.
    InvalidValueError
        If a matrix is not symmetric or a stimulus differs from itself, with the place.

    Examples
    --------
    >>> triangle([[0, 1, 2], [1, 0, 3], [2, 3, 0]]).tolist()
    [1.0, 2.0, 3.0]
    """
    full = _numbers(matrices, "matrices").astype(np.float64)
    if full.ndim < 2 or full.shape[-1] != full.shape[-2] or full.shape[-1] < 2:
        raise ShapeError(f"matrices must be square, of at least 2 stimuli; got shape {full.shape}.")
    if np.isinf(full).any():
        n_infinite = int(np.isinf(full).sum())
        raise InvalidValueError(f"dissimilarities must be finite or NaN; {n_infinite} are infinite.")
    flipped = np.swapaxes(full, -1, -2)
    largest = np.nanmax(np.abs(full), initial=0.0)
    one_sided = np.isnan(full) != np.isnan(flipped)
    wrong = np.argwhere((np.abs(full - flipped) > tolerance * largest) | one_sided)
    if len(wrong):
        at = tuple(wrong[0].tolist())
        raise InvalidValueError(
            f"dissimilarity matrices must be symmetric; {len(wrong)} entries are not, the first at {at}: "
            f"{full[at]:g} against {flipped[at]:g}. Average a matrix with its transpose if that is meant."
        )
    own = np.diagonal(full, axis1=-2, axis2=-1)
    wrong = np.argwhere(np.abs(own) > tolerance * largest)
    if len(wrong):
        at = tuple(wrong[0].tolist())
        raise InvalidValueError(
            f"a stimulus must have dissimilarity 0 to itself; {len(wrong)} entries of the diagonal are not "
            f"0, the first at {at}: {own[at]:g}. A similarity matrix is no RDM."
        )
    rows, columns = np.triu_indices(full.shape[-1], 1)
    return full[..., rows, columns]


def _numbers(values: Any, name: str) -> np.ndarray:
    array = np.asarray(values)
    if array.dtype.kind not in "fiub" or np.ma.is_masked(values):
        what = "a masked array" if np.ma.is_masked(values) else f"dtype {array.dtype}"
        raise InvalidValueError(f"{name} must be real numbers, none of them masked; got {what}.")
    return array


def make_mask(
    selected: np.ndarray, *, layer: np.ndarray, site: np.ndarray | str, index: np.ndarray, **attrs: Any
) -> xr.DataArray:
    """Return a unit mask: booleans along a flat ``unit`` dim with coordinates layer, site and index.

    Layers differ in width, so the dim is flat.

    Parameters
    ----------
    selected : array (n_units,) of bool
    layer, index : array (n_units,)
        The layer's name, and the unit's position in that layer.
    site : array (n_units,) or str
        Where in the layer the unit is read, such as ``"block"``.
    **attrs
        How it was selected.
    """
    selected = np.asarray(selected)
    if selected.dtype != np.bool_ or selected.ndim != 1:
        raise ShapeError(
            f"a mask must be booleans (n_units,); got {selected.dtype} of shape {selected.shape}."
        )
    layer, index = np.asarray(layer), np.asarray(index)
    site = np.full(selected.shape, site) if isinstance(site, str) else np.asarray(site)
    for key, coord in (("layer", layer), ("site", site), ("index", index)):
        if coord.shape != selected.shape:
            raise ShapeError(f"mask: {key} must have shape {selected.shape}; got {coord.shape}.")
    coords = {"layer": ("unit", layer), "site": ("unit", site), "index": ("unit", index)}
    return xr.DataArray(selected, dims=("unit",), coords=coords, attrs=attrs, name="mask")

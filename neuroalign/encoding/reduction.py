"""Fewer features a band: principal components or random projections, fitted to training rows only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import PCA
from sklearn.random_projection import SparseRandomProjection
from sklearn.utils.validation import check_is_fitted, validate_data

from ..arrays import as_float
from ..errors import InvalidValueError, LabelError, choice, listing
from ..seeds import generator
from ..stats import is_constant
from .bands import band_of, columns_of

__all__ = ["REDUCTIONS", "BandReduction"]

REDUCTIONS = ("pca", "sparse-projection")


class BandReduction(TransformerMixin, BaseEstimator):
    """Reduces each band of features by itself, to a number of components or a share of variance.

    In a ``Pipeline`` before a ridge ``evaluate`` fits it to the training rows of each fold. PCA is exact
    (full singular value decomposition) and centres the features; a sparse random projection (Li, Hastie &
    Church 2006, density 1 / sqrt(features)) keeps distances in expectation and knows nothing of the rows.

    Parameters
    ----------
    n_components : int, float, None or mapping of str to these
        How many components a band gets; or between 0 and 1 the least share of its variance on the training
        rows that they hold (PCA only); None leaves a band as it is. A mapping has an entry a band.
    bands : sequence (n_features,) of str, optional
        The band of each feature. Where None: the coordinate ``band`` of a DataArray, else all are one band.
    method : {"pca", "sparse-projection"}
    labelled : bool
        Whether ``transform`` returns a DataArray with the coordinate ``band``, for a banded model after it.
    seed : int
        Of the random projection; each band has a stream of its own, so that another band changes nothing.

    Attributes
    ----------
    bands_ : array (n_components_out,) of str
        The band of each output, bands in the order in which they first come.
    transformers_ : dict of str to transformer or None
        scikit-learn's, a band.
    n_features_in_ : int

    Raises
    ------
    InvalidValueError
        If a band cannot have as many components, or an argument is out of range.
    LabelError
        If a mapping lacks a band or names an unknown one.

    References
    ----------
    Li, Hastie & Church 2006, KDD, 287 (very sparse random projections).

    Examples
    --------
    >>> X = np.random.default_rng(0).standard_normal((50, 6))
    >>> reduction = BandReduction(2, bands=["a", "a", "a", "b", "b", "b"]).fit(X)
    >>> reduction.transform(X).shape, reduction.bands_.tolist()
    ((50, 4), ['a', 'a', 'b', 'b'])
    """

    def __init__(
        self,
        n_components: Any = 0.95,
        *,
        bands: Any = None,
        method: str = "pca",
        labelled: bool = False,
        seed: int = 0,
    ) -> None:
        self.n_components = n_components
        self.bands = bands
        self.method = method
        self.labelled = labelled
        self.seed = seed

    def fit(self, X: Any, y: Any = None) -> BandReduction:
        """Fit the reduction of each band to the rows of ``X`` (n_rows, n_features); ``y`` is not used."""
        if self.method not in REDUCTIONS:
            raise choice(self.method, REDUCTIONS, name="method")
        labels = self._labels(X)
        x = self._read(X, ensure_min_samples=2)
        self.columns_ = columns_of(band_of(X, labels, n_features=x.shape[1]))
        wanted = _wanted(self.n_components, list(self.columns_))
        self.transformers_ = {
            band: self._fitted(band, wanted[band], x[:, at]) for band, at in self.columns_.items()
        }
        counts = [
            len(at) if self.transformers_[band] is None else self.transformers_[band].n_components_
            for band, at in self.columns_.items()
        ]
        self.bands_ = np.repeat(list(self.columns_), counts)
        return self

    def transform(self, X: Any) -> Any:
        """Return the components (n_rows, n_components_out), bands side by side."""
        check_is_fitted(self)
        x = self._read(X, reset=False)
        parts = []
        for band, at in self.columns_.items():
            fitted = self.transformers_[band]
            parts.append(x[:, at] if fitted is None else fitted.transform(x[:, at]))
        values = np.concatenate(parts, axis=1)
        if not self.labelled:
            return values
        row = str(X.dims[0]) if isinstance(X, xr.DataArray) else "row"
        coords: dict[str, Any] = {"band": ("feature", self.bands_)}
        if isinstance(X, xr.DataArray):
            coords |= {str(k): c.variable for k, c in X.coords.items() if c.dims == (row,)}
        return xr.DataArray(values, dims=(row, "feature"), coords=coords)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return names such as ``"sound0"``: the band and the number of the component in it."""
        check_is_fitted(self)
        numbers = np.concatenate([np.arange((self.bands_ == band).sum()) for band in self.columns_])
        pairs = zip(self.bands_, numbers, strict=True)
        return np.array([f"{band}{number}" for band, number in pairs], dtype=object)

    def _read(self, X: Any, **options: Any) -> np.ndarray:
        """Return the rows as scikit-learn checks them, with what it refuses as an error of this package."""
        if np.ma.is_masked(X):
            as_float(X, name="X")  # refuses what a mask hides
        try:
            return validate_data(self, X, dtype=np.float64, **options)
        except ValueError as error:
            raise InvalidValueError(f"X of shape {np.shape(X)}: {error}") from error

    def _labels(self, X: Any) -> Any:
        labelled = isinstance(X, xr.DataArray) and "band" in X.coords
        return "one" if self.bands is None and not labelled else self.bands

    def _fitted(self, band: str, wanted: Any, x: np.ndarray) -> Any:
        if wanted is None:
            return None
        if is_constant(x).all():
            raise InvalidValueError(
                f"band {band!r}: its {x.shape[1]} features are constant over the {len(x)} rows and have no "
                f"component. Leave the band out, or as it is with n_components={{{band!r}: None}}."
            )
        share = isinstance(wanted, float | np.floating)
        if self.method == "pca":
            most = min(x.shape)
            if not share and wanted > most:
                raise InvalidValueError(
                    f"band {band!r} has {x.shape[1]} features in {x.shape[0]} rows, so at most {most} "
                    f"components; {wanted} were asked for. Pass n_components={{{band!r}: ...}} (None: all)."
                )
            return PCA(float(wanted) if share else int(wanted), svd_solver="full").fit(x)
        if share:
            raise InvalidValueError(
                f"a random projection has no share of variance; got n_components {wanted!r} for band "
                f"{band!r}."
            )
        if wanted > x.shape[1]:
            raise InvalidValueError(
                f"band {band!r} has {x.shape[1]} features; {wanted} projections would not reduce it. Pass "
                "None to leave a band as it is."
            )
        draw = int(generator(self.seed, "sparse-projection", band).integers(2**31))
        return SparseRandomProjection(int(wanted), random_state=draw, dense_output=True).fit(x)


def _wanted(n_components: Any, bands: list[str]) -> dict[str, Any]:
    """Return what each band is reduced to: an int, a float between 0 and 1, or None."""
    if isinstance(n_components, Mapping):
        unknown, lacking = (
            [b for b in n_components if b not in bands],
            [b for b in bands if b not in n_components],
        )
        if unknown or lacking:
            raise LabelError(
                f"n_components must have an entry a band ({listing(bands)}); it lacks "
                f"{listing(lacking) or 'none'} and has the unknown {listing(unknown) or 'none'}."
            )
        wanted = dict(n_components)
    else:
        wanted = dict.fromkeys(bands, n_components)
    for band, value in wanted.items():
        whole = isinstance(value, int | np.integer) and not isinstance(value, bool) and value >= 1
        share = isinstance(value, float | np.floating) and 0 < value < 1
        if not (value is None or whole or share):
            raise InvalidValueError(
                f"n_components must be a positive integer, a share between 0 and 1, or None; got {value!r} "
                f"for band {band!r}."
            )
    return wanted

"""The noise precision of each sphere: from residuals, from variances, or a block of one that is given."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from ..arrays import as_float
from ..errors import InvalidValueError, ShapeError, choice
from .precisions import precision_values, unit_order
from .shrinkage import NOISE_METHODS, precision, shrunk

__all__ = ["SphereNoise", "sphere_noise"]


@dataclass(frozen=True)
class SphereNoise:
    """Residuals (n, n_neuroids), or a precision (n_neuroids, n_neuroids), or deviations (n_neuroids,).

    ``still`` marks the neuroids without noise variance.
    """

    still: np.ndarray
    method: str = ""
    dof: float = 0.0
    residuals: np.ndarray | None = None
    whole: np.ndarray | None = None
    deviation: np.ndarray | None = None

    def precision(self, sphere: np.ndarray) -> np.ndarray | None:
        """Return the precisions (n_spheres, n_neuroids, n_neuroids) of spheres (n_spheres, n_neuroids)."""
        if self.whole is not None:
            return self.whole[sphere[:, :, None], sphere[:, None, :]]
        if self.residuals is None:
            return None
        rows = [self.residuals[:, one] for one in sphere]
        return np.stack([precision(shrunk(x, self.dof, self.method)) for x in rows])

    def n_entries(self, size: int) -> int:
        """Return how many numbers a sphere of this size takes."""
        n = 0 if self.residuals is None else 3 * len(self.residuals) * size
        return n + (0 if self.deviation is not None else 2 * size * size)


def sphere_noise(noise: xr.DataArray, responses: xr.DataArray, method: str, dof: float | None) -> SphereNoise:
    """Return the noise, checked and in the order of the neuroids of the responses."""
    if not isinstance(noise, xr.DataArray) or "neuroid" not in noise.dims or noise.ndim > 2:
        raise ShapeError(
            "noise must be residuals (any dim, neuroid), variances (neuroid,) or a precision "
            f"(neuroid, neuroid_b); got {getattr(noise, 'dims', type(noise).__name__)}."
        )
    if method not in NOISE_METHODS:
        raise choice(method, NOISE_METHODS, name="noise_method")
    if "neuroid_b" in noise.dims:
        whole = precision_values(noise, responses, "neuroid")
        return SphereNoise(np.zeros(len(whole), dtype=bool), whole=whole)
    order = unit_order(noise, responses, "neuroid")
    values = as_float(noise.transpose(..., "neuroid").values, name="noise")
    values = values if order is None else values[..., order]
    if values.ndim == 1:
        if values.min() < 0:
            raise InvalidValueError(
                f"noise: variances must not be negative; the smallest is {values.min():g}."
            )
        return SphereNoise(values == 0, deviation=np.where(values > 0, np.sqrt(values), 1.0))
    if len(values) < 2:
        raise ShapeError(f"noise: residuals need at least 2 rows; got {len(values)}.")
    natural = len(values) - 1
    dof = natural if dof is None else dof
    if not (np.isfinite(dof) and 0 < dof <= len(values)):
        raise InvalidValueError(
            f"dof must be more than 0 and at most the {len(values)} residuals; got {dof!r}."
        )
    values = values - values.mean(axis=0)
    return SphereNoise((values == 0).all(axis=0), method=method, dof=float(dof), residuals=values)

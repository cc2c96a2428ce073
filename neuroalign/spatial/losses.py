"""Is a layer smooth in space? As a measure of activations and as a loss, from the same formulas."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from scipy.sparse import csr_array

from ..arrays import as_float
from ..errors import InvalidValueError, ShapeError, choice
from .graphs import as_positions, distances
from .inputs import ROUNDING
from .kernels import correlation, energies, morans, response_correlations

if TYPE_CHECKING:
    import torch

__all__ = ["KINDS", "SpatialLoss", "spatial_smoothness", "spatial_smoothness_loss"]

KINDS = ("topolm", "dirichlet", "moran")


def spatial_smoothness(
    activations: Any, positions: Any, *, kind: str = "topolm", radius: float | None = None
) -> xr.DataArray:
    r"""Return how smoothly the units of a layer are laid out, by one of three measures.

    - ``topolm``: Pearson's r, over pairs of units, of how their responses correlate over the rows and of
      their inverse distance 1 / (d + 1). 1 where near units respond alike and far ones do not.
    - ``moran``: the mean over rows of Moran's I of the row as a map.
    - ``dirichlet``: the mean over rows of the map's Dirichlet energy, divided by its sum of squares and by
      S0 / n: Geary's C times n / (n - 1). 0 where smooth, about 1 in random places.

    Parameters
    ----------
    activations : array (n_rows, n_units)
        Rows are stimuli or tokens.
    positions : array (n_units, n_axes)
    kind : {"topolm", "dirichlet", "moran"}
    radius : float, optional
        Only pairs of units so near each other count; weights are 1. All pairs where None (``topolm`` only).

    Returns
    -------
    DataArray ()
        For ``topolm`` units that are constant over the rows are left out, for the others rows that are
        constant over units; ``attrs["n_constant"]`` counts them. NaN where fewer than three pairs, or no row,
        are left, or all pairs are alike.

    Raises
    ------
    ShapeError
        If the numbers of units differ.
    InvalidValueError
        If values are not finite, positions repeat, the kind is unknown, or it needs a radius; or if a unit
        has no neighbour within the radius, for the kinds of maps.

    References
    ----------
    Margalit et al. 2024, Neuron 112:2435 (TDANN). Rathi et al. 2025, ICLR (TopoLM).

    Examples
    --------
    >>> from neuroalign import spatial
    >>> rows = np.random.default_rng(0).standard_normal((50, 100))
    >>> places = spatial.lattice_positions((10, 10))
    >>> smooth = spatial.smooth(rows, spatial.gaussian_kernel(places, fwhm=4.0))
    >>> [abs(round(float(spatial.spatial_smoothness(x, places)), 1)) for x in (rows, smooth.values)]
    [0.0, 0.9]
    """
    rows = as_float(activations, name="activations", ndim=2)
    pairs = _Pairs(positions, kind, radius, len(rows[0]) if len(rows) else 0)
    value, n_constant = _smoothness(rows, pairs, pairs.weights)
    return xr.DataArray(float(value), attrs={"kind": kind, "n_constant": n_constant}, name="smoothness")


def spatial_smoothness_loss(
    activations: torch.Tensor, positions: Any, *, kind: str = "topolm", radius: float | None = None
) -> torch.Tensor:
    """Return the loss that makes a layer smooth in space: 1 - r, 1 - Moran's I, or the Dirichlet energy.

    In training make a ``SpatialLoss`` once: it holds what depends on the positions only.

    Parameters
    ----------
    activations : Tensor (n_rows, n_units)
        Sums are taken in float64 (in float32 on devices without it); the loss has the dtype that came.
    positions, kind, radius
        See ``spatial_smoothness``. A factor that others write before the loss (such as a half) belongs to
        its weight.

    Returns
    -------
    Tensor ()
        NaN, without a useful gradient, where the measure is. Errors are those of ``spatial_smoothness``.

    Examples
    --------
    >>> import torch
    >>> from neuroalign import spatial
    >>> x = torch.randn(30, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    >>> places = spatial.lattice_positions((4, 4))
    >>> loss = spatial_smoothness_loss(x, places, kind="moran", radius=1.0)
    >>> abs(float(loss) - 1 + float(spatial_smoothness(x.numpy(), places, kind="moran", radius=1.0))) < 1e-12
    True
    """
    return SpatialLoss(positions, kind=kind, radius=radius)(activations)


class SpatialLoss:
    """The loss of ``spatial_smoothness_loss`` for positions that stay the same.

    Parameters
    ----------
    positions, kind, radius
        See ``spatial_smoothness``.
    """

    def __init__(self, positions: Any, *, kind: str = "topolm", radius: float | None = None) -> None:
        self.pairs = _Pairs(positions, kind, radius)

    def __call__(self, activations: torch.Tensor) -> torch.Tensor:
        """Return the loss of activations (n_rows, n_units)."""
        import torch

        pairs = self.pairs
        if activations.ndim != 2 or activations.shape[1] != pairs.n_units or not len(activations):
            raise ShapeError(
                f"activations must be (n_rows, {pairs.n_units} units); got {tuple(activations.shape)}."
            )
        exact = torch.float32 if activations.device.type == "mps" else torch.float64
        edges = pairs.weights.tocoo()
        weights = torch.sparse_coo_tensor(
            np.stack([edges.row, edges.col]), edges.data, edges.shape, check_invariants=False
        ).to(device=activations.device, dtype=exact)
        value, _ = _smoothness(activations.to(exact), pairs, weights)
        return (value if pairs.kind == "dirichlet" else 1 - value).to(activations.dtype)


class _Pairs:
    """What depends on the positions only: pairs of units, their nearness, and the weights of neighbours."""

    def __init__(self, positions: Any, kind: str, radius: float | None, n_units: int | None = None) -> None:
        if kind not in KINDS:
            raise choice(kind, KINDS, name="kind")
        places = as_positions(positions)
        self.kind, self.n_units = kind, len(places)
        if n_units is not None and n_units != self.n_units:
            raise ShapeError(f"activations have {n_units} units, positions are of {self.n_units}.")
        if kind != "topolm" and radius is None:
            raise InvalidValueError(f"kind {kind!r} needs a radius: which units are neighbours.")
        self.weights = csr_array((self.n_units, self.n_units))
        if radius is not None:
            self.weights = distances(places, radius=radius)
        n_alone = int((self.weights.sum(axis=1) == 0).sum())
        if kind != "topolm" and n_alone:
            raise InvalidValueError(
                f"{n_alone} units have no neighbour within {radius}; take a larger radius."
            )
        if radius is None:
            self.one, self.other = np.triu_indices(self.n_units, 1)
        else:
            one, other = self.weights.nonzero()
            self.one, self.other = one[one < other], other[one < other]
        apart = np.sqrt(((places[self.one] - places[self.other]) ** 2).sum(axis=1))
        self.nearness = 1 / (apart + 1)


def _smoothness(rows: Any, pairs: _Pairs, weights: Any) -> tuple[Any, int]:
    """Return the measure and how many units (or rows) were left out, for arrays or tensors."""
    over = 0 if pairs.kind == "topolm" else 1
    middle = rows - rows.mean(over) if over == 0 else rows - rows.mean(1)[:, None]
    undefined = _largest(middle, over) <= ROUNDING * _largest(rows, over)
    n_undefined = int(undefined.sum())
    if pairs.kind == "topolm":
        dead = undefined if isinstance(undefined, np.ndarray) else undefined.cpu().numpy()
        keep = ~(dead[pairs.one] | dead[pairs.other])
        near = pairs.nearness[keep]
        if keep.sum() < 3 or np.ptp(near) == 0:
            return rows.sum() * np.nan, n_undefined
        # Kept units only: a constant one would make the gradient NaN.
        at = np.cumsum(~dead) - 1
        responses = response_correlations(rows[:, ~undefined], at[pairs.one[keep]], at[pairs.other[keep]])
        if not isinstance(responses, np.ndarray):
            near = responses.new_tensor(near)
        return correlation(responses, near), n_undefined
    maps = middle[~undefined]
    if not len(maps):
        return rows.sum() * np.nan, n_undefined
    total = float(pairs.weights.sum())
    if pairs.kind == "moran":
        return morans(maps, maps, weights, total).mean(), n_undefined
    degrees = 2 * pairs.weights.sum(axis=0)
    if not isinstance(maps, np.ndarray):
        degrees = maps.new_tensor(degrees)
    energy = energies(maps, weights, degrees) / (maps * maps).sum(-1)
    return (pairs.n_units / total * energy).mean(), n_undefined


def _largest(values: Any, axis: int) -> Any:
    return abs(values).max(axis=axis) if isinstance(values, np.ndarray) else abs(values).amax(axis)

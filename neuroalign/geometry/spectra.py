"""Whether the principal components of patterns show a graph over their stimuli."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from ..stats import p_value, permutation, shuffle
from .graphs import as_graph, embedding
from .inputs import as_patterns, centred, count

__all__ = ["spectral_alignment"]


def spectral_alignment(
    activations: xr.DataArray,
    graph: Any,
    n_dims: int = 2,
    *,
    n_permutations: int = 0,
    rng: np.random.Generator | None = None,
) -> xr.Dataset:
    r"""Return how far the first principal components of node patterns are a graph's spectral embedding.

    With U the first k principal components of the patterns over nodes (orthonormal, n_nodes x k) and V the k
    eigenvectors of the graph's Laplacian after the constant one,

    .. math:: |U^T V|_F^2 / k

    the mean squared cosine of the angles between the two subspaces: 1 where a plot of the components shows
    the graph as its spectral embedding does, up to rotation; k / (n_nodes - 1) is the mean for random ones.

    Parameters
    ----------
    activations : DataArray (..., stimulus, unit)
        One pattern a node.
    graph : as in ``dirichlet_energy``
        Connected.
    n_dims : int
        k. It must not cut through equal eigenvalues of the graph; the error says which numbers do not.
    n_permutations : int
        Of the patterns over nodes, for p; none where 0.
    rng : numpy.random.Generator, optional

    Returns
    -------
    Dataset (...)
        ``alignment``, 0 to 1; NaN where patterns have fewer than k components, counted in
        ``attrs["n_undefined"]``. ``share`` of the variance in these components. With permutations ``p``
        (greater) and ``attrs["chance"]``, k / (n_nodes - 1).

    Raises
    ------
    ShapeError, LabelError, InvalidValueError
        As ``dirichlet_energy``; if the graph is not connected or the embedding is not unique.

    References
    ----------
    Park et al. 2025, ICLR (components of in-context means and the spectral embedding).

    Examples
    --------
    >>> ring = [(i, (i + 1) % 8) for i in range(8)]
    >>> angle = 2 * np.pi * np.arange(8) / 8
    >>> circle = xr.DataArray(
    ...     np.stack([np.cos(angle), np.sin(angle)], axis=1), dims=("stimulus", "unit"),
    ...     coords={"stimulus": np.arange(8)})
    >>> round(float(spectral_alignment(circle, ring).alignment), 6)
    1.0
    """
    n_dims, n_permutations = count(n_dims, "n_dims"), count(n_permutations, "n_permutations", least=0)
    patterns = as_patterns(activations)
    known = as_graph(graph, patterns)
    target = embedding(known, n_dims)
    found = [_components(x, n_dims) for x in patterns.values]
    shape = [patterns.array.sizes[dim] for dim in patterns.leading]

    def alignment(order: np.ndarray) -> list[float]:
        return [float(((u[order].T @ target) ** 2).sum() / n_dims) for u, _ in found]

    n = len(target)
    values = np.array(alignment(np.arange(n)))
    out = {
        "alignment": patterns.labelled(values.reshape(shape)),
        "share": patterns.labelled(np.array([share for _, share in found]).reshape(shape)),
    }
    if n_permutations:
        null = permutation(alignment, n_permutations, permute=lambda rng: shuffle(n, rng), rng=rng)  # type: ignore[arg-type]
        out["p"] = patterns.labelled(p_value(values, null).reshape(shape))
    attrs = {"n_dims": n_dims, "chance": n_dims / (n - 1), "n_undefined": int(np.isnan(values).sum())}
    return xr.Dataset(out, attrs=known.counts() | attrs)


def _components(x: np.ndarray, k: int) -> tuple[np.ndarray, float]:
    """Return the first k principal components (n_nodes, k), orthonormal, and their share of the variance."""
    left, singular, _ = np.linalg.svd(centred(x), full_matrices=False)
    if len(singular) < k or singular[k - 1] <= 1e-10 * singular[0]:
        return np.full((len(x), k), np.nan), float("nan")
    power = singular**2
    return left[:, :k], float(power[:k].sum() / power.sum())

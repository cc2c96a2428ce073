"""Whether patterns follow a graph over their stimuli: Dirichlet energy, and neighbours mixed as a null."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from ..arrays import as_float
from ..errors import InvalidValueError, choice
from ..schema import align
from ..stats import p_value, permutation, shuffle
from .graphs import Graph, as_graph
from .inputs import Patterns, as_patterns, centred, count

__all__ = ["dirichlet_energy", "neighbour_mixing"]

NORMALIZE = ("variance", "none")
AMOUNTS = tuple(np.linspace(0.0, 0.5, 11).round(10).tolist())


def dirichlet_energy(
    activations: xr.DataArray,
    graph: Any,
    *,
    normalize: str = "variance",
    n_permutations: int = 0,
    rng: np.random.Generator | None = None,
) -> xr.Dataset:
    r"""Return how much patterns differ along the edges of a graph over their stimuli.

    - ``none``: :math:`E = \sum_{(i, j)} w_{ij} |x_i - x_j|^2 = \operatorname{tr} X^T L X`, each edge counted
      once, with L = degrees - weights. It grows with the scale of the patterns and the number of edges, so
      that layers cannot be compared.
    - ``variance``: the mean over edges (by weight) over the mean over all pairs of nodes. 1 is what nodes in
      random places have on average, exactly; 0 is the least. It is Geary's C of many variables: shifting,
      rotating and scaling the patterns changes nothing.

    Islands (nodes without an edge) are left out of both and counted: they have no energy, and would only add
    to the variance.

    Parameters
    ----------
    activations : DataArray (..., stimulus, unit)
        One pattern a node, such as the mean over a token's appearances in a context. Leading entries (layer,
        context length) are measured for themselves.
    graph : DataArray (stimulus, stimulus_b), or sequence of (a, b) or (a, b, weight)
        Undirected.
    normalize : {"variance", "none"}
    n_permutations : int
        Of the patterns over nodes (islands stay out), for p: is the graph there at all? See
        ``neighbour_mixing`` for a stronger null.
    rng : numpy.random.Generator, optional

    Returns
    -------
    Dataset (...)
        ``energy``; NaN where nodes do not differ at all, with ``variance`` only, counted in
        ``attrs["n_undefined"]``. With permutations ``p`` (less) and ``null`` (permutation, ...). ``attrs``:
        numbers of nodes, edges, islands, components.

    Raises
    ------
    ShapeError, LabelError
        If dims or labels are missing or differ.
    InvalidValueError
        If values are not finite, weights negative, or there is no edge.

    References
    ----------
    Park et al. 2025, ICLR, arXiv 2501.00070 (energy of in-context representations, ``none`` up to a factor of
    2 for edges counted twice).

    Examples
    --------
    >>> line = xr.DataArray(
    ...     [[0.0], [1.0], [2.0]], dims=("stimulus", "unit"), coords={"stimulus": list("abc")})
    >>> edges = [("a", "b"), ("b", "c")]
    >>> float(dirichlet_energy(line, edges, normalize="none").energy)
    2.0
    >>> float(dirichlet_energy(line, edges).energy)
    0.5
    """
    if normalize not in NORMALIZE:
        raise choice(normalize, NORMALIZE, name="normalize")
    n_permutations = count(n_permutations, "n_permutations", least=0)
    patterns = as_patterns(activations)
    known = as_graph(graph, patterns)
    grams, net = _grams(patterns.values, known), _without_islands(known)
    shape = [patterns.array.sizes[dim] for dim in patterns.leading]
    energy = np.array([_energy(gram, net, normalize) for gram in grams])
    out = {"energy": patterns.labelled(energy.reshape(shape))}
    if n_permutations:
        null = permutation(
            lambda order: [_energy(gram[np.ix_(order, order)], net, normalize) for gram in grams],
            n_permutations,
            permute=lambda rng: shuffle(net.shape[0], rng),
            rng=rng,  # type: ignore[arg-type]
        )
        out["p"] = patterns.labelled(p_value(energy, null, tail="less").reshape(shape))
        last = np.moveaxis(null.reshape(n_permutations, *shape), 0, -1)
        out["null"] = patterns.labelled(last, ["permutation"]).transpose("permutation", ...)
    attrs = {"normalize": normalize, "n_undefined": int(np.isnan(energy).sum())}
    return xr.Dataset(out, attrs=known.counts() | attrs)


def neighbour_mixing(
    activations: xr.DataArray,
    graph: Any,
    *,
    reference: xr.DataArray | None = None,
    amounts: Sequence[float] = AMOUNTS,
    n_draws: int = 200,
    rng: np.random.Generator,
) -> xr.Dataset:
    r"""Return how much mixing of neighbours would by itself give the Dirichlet energy of patterns.

    A network that reads a walk on a graph meets neighbours one after the other; attention to the token before
    then mixes their patterns, and the means of tokens come to lie like the graph, with no knowledge of it.
    The null has nodes with patterns that have nothing to do with the graph (those of ``reference``, given to
    nodes at random) and mixes each with its neighbours,

    .. math:: x_i = (1 - a) z_i + a \sum_j w_{ij} z_j / \sum_j w_{ij}

    for amounts a from 0 (patterns at random) upwards. One round with a = 1/2 is an equal share of the token
    and of the one before. An energy below that of every plausible amount is not explained by one round of
    mixing. Energies are normalised by the variance, so that mixing is not credited for shrinking patterns.

    Parameters
    ----------
    activations : DataArray (..., stimulus, unit)
        One pattern a node.
    graph : as in ``dirichlet_energy``
    reference : DataArray (stimulus, unit), optional
        Patterns of the same nodes without the context, for all leading entries; the patterns themselves where
        None (in which the graph survives in the spread over units only).
    amounts : sequence of float
        From 0 to 1. Above 1/2 a node is more its neighbours than itself, and on a graph whose nodes fall in
        two sets without edges inside (a grid) energy rises again.
    n_draws : int
        Of the random places; each serves all amounts.
    rng : numpy.random.Generator

    Returns
    -------
    Dataset
        ``energy`` (...); ``null`` (draw, ..., amount); ``p`` (..., amount): share of draws with an energy as
        low; ``mean_null`` (..., amount); ``explained_by`` (...): the amount at which the mean of the null
        meets the energy, by linear interpolation where it first does. NaN where no amount does, counted in
        ``attrs["n_beyond"]``; 0 where the energy is not below that of unmixed patterns. Where nodes do not
        differ at all the energy, and where those of ``reference`` do not the null, is NaN, p and
        ``explained_by`` with it, counted in ``attrs["n_undefined"]``.

    Raises
    ------
    ShapeError, LabelError, InvalidValueError
        As ``dirichlet_energy``; if an amount is not between 0 and 1 or amounts do not rise.

    References
    ----------
    Arditi 2026, "In-context learning of representations can be explained by induction circuits", ICLR blog
    posts; Park et al. 2025, ICLR.

    Examples
    --------
    >>> ring = [(i, (i + 1) % 8) for i in range(8)]
    >>> angle = 2 * np.pi * np.arange(8) / 8
    >>> circle = xr.DataArray(
    ...     np.stack([np.cos(angle), np.sin(angle)], axis=1), dims=("stimulus", "unit"),
    ...     coords={"stimulus": np.arange(8)})
    >>> noise = circle.copy(data=np.random.default_rng(0).standard_normal((8, 2)))
    >>> found = neighbour_mixing(circle, ring, reference=noise, rng=np.random.default_rng(1))
    >>> found.energy.item() < found.mean_null.sel(amount=0.3).item() < found.mean_null.sel(amount=0).item()
    True
    """
    steps = as_float(amounts, name="amounts", ndim=1)
    if not len(steps) or (steps < 0).any() or (steps > 1).any() or (np.diff(steps) <= 0).any():
        raise InvalidValueError(f"amounts must rise, from 0 at least to 1 at most; got {list(amounts)}.")
    n_draws = count(n_draws, "n_draws")
    patterns = as_patterns(activations)
    known = as_graph(graph, patterns)
    net = _without_islands(known)
    energy = np.array([_energy(gram, net, "variance") for gram in _grams(patterns.values, known)])
    sources = _grams(_reference(reference, patterns), known)
    near = net.multiply(1 / net.sum(axis=1)[:, None]).tocsr()
    mixers = [(1 - a) * np.eye(net.shape[0]) + a * near.toarray() for a in steps]

    def drawn(order: np.ndarray) -> list[list[float]]:
        placed = [gram[np.ix_(order, order)] for gram in sources]
        return [[_energy(m @ gram @ m.T, net, "variance") for m in mixers] for gram in placed]

    null = permutation(drawn, n_draws, permute=lambda rng: shuffle(net.shape[0], rng), rng=rng)
    if len(sources) < len(energy):
        null = np.repeat(null, len(energy), axis=1)
    p = p_value(np.repeat(energy[:, None], len(steps), axis=1), null, tail="less")
    means = null.mean(axis=0)
    undefined = np.isnan(energy) | np.isnan(means).any(axis=1)
    p = np.where(undefined[:, None], np.nan, p)
    amount = np.array([_meeting(steps, curve, value) for curve, value in zip(means, energy, strict=True)])
    shape, coords = [patterns.array.sizes[dim] for dim in patterns.leading], {"amount": steps}
    last = np.moveaxis(null.reshape(n_draws, *shape, -1), 0, -1)
    out = {
        "energy": patterns.labelled(energy.reshape(shape)),
        "explained_by": patterns.labelled(amount.reshape(shape)),
        "mean_null": patterns.labelled(means.reshape(*shape, -1), ["amount"], coords=coords),
        "p": patterns.labelled(p.reshape(*shape, -1), ["amount"], coords=coords),
        "null": patterns.labelled(last, ["amount", "draw"], coords=coords).transpose("draw", ...),
    }
    attrs = {"n_undefined": int(undefined.sum()), "n_beyond": int((np.isnan(amount) & ~undefined).sum())}
    return xr.Dataset(out, attrs=known.counts() | attrs)


def _reference(reference: xr.DataArray | None, patterns: Patterns) -> np.ndarray:
    if reference is None:
        return patterns.values
    own = as_patterns(reference, on=patterns.on, name="reference")
    if own.leading:
        raise InvalidValueError(f"reference must have no dims but nodes and units; got {own.array.dims}.")
    on = patterns.on
    taken = align(patterns.array, own.array, on=on, names=["activations", "reference"])[1]
    return as_patterns(taken, on=on, name="reference").values


def _grams(values: np.ndarray, graph: Graph) -> list[np.ndarray]:
    """Return the inner products of the patterns of all nodes that have edges, centred and on one scale."""
    found = []
    for x in values:
        x = centred(x[~graph.islands])
        found.append(x @ x.T)
    return found


def _without_islands(graph: Graph) -> Any:
    keep = np.flatnonzero(~graph.islands)
    return graph.adjacency[keep][:, keep].tocoo().tocsr()


def _energy(gram: np.ndarray, net: Any, normalize: str) -> float:
    """Return the energy from inner products (n, n) of the nodes."""
    edges = net.tocoo()
    own = np.diag(gram)
    apart = own[edges.row] + own[edges.col] - 2 * gram[edges.row, edges.col]
    total = float((edges.data * np.maximum(apart, 0.0)).sum() / 2)
    if normalize == "none":
        return total
    n = len(gram)
    pairs = (n * own.sum() - gram.sum()) / (n * (n - 1) / 2)
    return total / (edges.data.sum() / 2) / pairs if pairs > 0 else float("nan")


def _meeting(steps: np.ndarray, curve: np.ndarray, value: float) -> float:
    """Return where a curve over steps first comes down to a value."""
    if np.isnan(value):
        return float("nan")
    below = np.flatnonzero(curve <= value)
    if not len(below):
        return float("nan")
    k = int(below[0])
    if k == 0:
        return float(steps[0])
    part = (curve[k - 1] - value) / (curve[k - 1] - curve[k])
    return float(steps[k - 1] + part * (steps[k] - steps[k - 1]))

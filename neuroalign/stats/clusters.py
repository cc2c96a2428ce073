"""Cluster-based permutation tests over time and sensors, with sign flips over subjects."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from scipy.stats import t as t_distribution

from ..errors import InvalidValueError, choice
from .cluster_labels import spread
from .cluster_maps import Maps, difference, prepared
from .cluster_null import CHUNK, SIDES, Rule, clusters_of, enhanced_maps, null_maxima, statistics, weight_of
from .flips import ENUMERATED, sign_flips
from .permutations import TAILS, p_value

__all__ = ["cluster_test"]

STATISTICS = ("t", "mean")
WEIGHTS = ("sum", "size")
FAMILIES = ("joint", "separate")
LEVEL = 0.95
# Sums over the same samples under signs that mirror each other differ by rounding: they are ties.
TIES = 1e-10


def cluster_test(
    values: xr.DataArray,
    other: xr.DataArray | None = None,
    *,
    adjacency: Any = None,
    threshold: float | str | None = None,
    forming: float = 0.05,
    statistic: str = "t",
    tail: str = "two-sided",
    weights: str = "sum",
    family: str = "joint",
    missing: str = "raise",
    n: int | None = None,
    rng: np.random.Generator | None = None,
    step: float = 0.1,
    extent: float = 0.5,
    height: float = 2.0,
) -> xr.Dataset:
    r"""Return clusters of samples at which the mean over subjects is not 0, with family-wise p-values.

    Samples whose statistic passes a threshold and that are neighbours, in time or in space, make a cluster; a
    cluster's weight is compared with the largest weight of any cluster when subjects' signs are flipped
    (``sign_flips``: all patterns of up to 12 subjects, else ``n``). Under flips the sum of squares stays, so

    .. math:: t = m / \sqrt{(q - m^2) / (s - 1)}

    with m the mean under the flips, q the mean square and s subjects, needs one matrix product.

    A small p says that subjects' values are not symmetric about 0 somewhere: the test is about the largest
    cluster as a whole. It says neither that each of its samples has an effect, nor when or where an effect
    begins or ends, and two clusters' borders tell nothing about a difference of latencies (Sassenhagen &
    Draschkow 2019); see ``latencies``.

    Parameters
    ----------
    values : DataArray (subject, ...)
        Scores whose null is 0 (an RSA score, a difference), with ``time``, evenly spaced, or the dim that
        ``adjacency`` names, or both. Clusters are formed inside those two; each label of any other dim
        (model, roi, or neuroid without adjacency) has a map of its own.
    other : DataArray, optional
        The other condition of the same subjects, aligned by label in every dim: ``values - other`` is tested.
    adjacency : DataArray (d, d_b), sparse or dense matrix (d, d), optional
        Which places are neighbours, symmetric; see ``datasets.sensor_adjacency``. A DataArray is aligned by
        label and may be of any dim; a bare matrix is of the neuroids in their order.
    threshold : float, "tfce", optional
        Of the statistic, positive; Student's quantile at a p of ``forming`` where None (halved for two
        sides). "tfce" is threshold-free cluster enhancement: each sample has a p of its own.
    forming : float
        The p at which samples join a cluster where ``threshold`` is None; not the level of the test.
    statistic : {"t", "mean"}
        ``mean`` needs a threshold.
    tail : {"greater", "less", "two-sided"}
        Two-sided, clusters above and below 0 are found apart and compared with the largest of either.
    weights : {"sum", "size"}
        A cluster's mass, the sum of its statistic, or how many samples it has.
    family : {"joint", "separate"}
        Whether the maps of further dims (models) are one family of tests or one each.
    missing : {"raise", "omit"}
        NaN is refused, or that subject is left out at that sample; counted in ``attrs["n_missing"]``.
    n : int, optional
        Flips drawn; needed for more than 12 subjects, as is ``rng``.
    rng : numpy.random.Generator, optional
    step, extent, height : float
        Of TFCE: the step of thresholds, and the exponents E and H.

    Returns
    -------
    Dataset
        Over the dims of ``values`` without ``subject``: ``statistic``, NaN where subjects do not differ;
        ``label``, 0 outside clusters, 1 for the heaviest; ``p`` of the sample's cluster, NaN outside. Over
        ``cluster``: ``mass``, ``size``, ``p_cluster``, ``peak`` (largest statistic) and as coordinates the
        ``sign``, the labels of further dims, and ``start``, ``stop``, ``peak_time``. ``null_maximum``
        (draw,), with the further dims where families are separate, and its 95th percentile ``critical``.
        With TFCE there are no clusters: ``enhanced``, signed, and ``p`` of every sample. ``attrs`` has counts
        (``n_clusters``, ``n_undefined``, ``n_draws``, ...).

    Raises
    ------
    ShapeError
        If a dim is missing, or there are fewer than two subjects.
    LabelError
        If subjects, times or places differ or repeat.
    InvalidValueError
        If times are uneven, values NaN and not omitted, the threshold not positive, or a choice unknown.

    References
    ----------
    Maris & Oostenveld 2007, J Neurosci Methods 164:177; Smith & Nichols 2009, NeuroImage 44:83 (TFCE);
    Sassenhagen & Draschkow 2019, Psychophysiology 56:e13335.

    Examples
    --------
    >>> noise = np.random.default_rng(0).standard_normal((10, 50))
    >>> noise[:, 20:30] += 2
    >>> scores = xr.DataArray(
    ...     noise, dims=("subject", "time"), coords={"subject": range(10), "time": np.arange(50) / 100})
    >>> found = cluster_test(scores)
    >>> found["p_cluster"].values[0].round(4), float(found["start"][0]), float(found["stop"][0])
    (np.float64(0.002), 0.2, 0.29)
    """
    for value, allowed, name in (
        (statistic, STATISTICS, "statistic"),
        (tail, TAILS, "tail"),
        (weights, WEIGHTS, "weights"),
        (family, FAMILIES, "family"),
        (missing, ("raise", "omit"), "missing"),
    ):
        if value not in allowed:
            raise choice(value, allowed, name=name)
    maps = prepared(values if other is None else difference(values, other), adjacency, missing)
    bar = _threshold(threshold, forming, statistic, tail, maps)
    rule = Rule(statistic, bar, SIDES[tail], weights, step, extent, height)
    n_subjects = len(maps.values)
    null = null_maxima(_signs(n_subjects, n, rng), maps, rule)
    if family == "joint":
        null = np.broadcast_to(null.max(axis=1, keepdims=True), null.shape)
    observed = statistics(np.ones((1, n_subjects)), maps, statistic)[0]
    found = _tfce(observed, null, maps, rule) if bar is None else _tested(observed, null, maps, rule)
    attrs = {
        "statistic": statistic,
        "threshold": "tfce" if bar is None else float(bar.min()),
        "tail": tail,
        "weights": weights,
        "family": family,
        "n_subjects": n_subjects,
        "n_draws": len(null),
        "exact": n_subjects <= ENUMERATED,
        "n_clusters": found.sizes.get("cluster", 0),
        "n_undefined": int((~maps.defined).sum()),
        "n_missing": int((n_subjects - maps.count).sum()),
    }
    return found.assign(_null(null, maps, family)).assign_attrs(attrs)


def _threshold(
    threshold: float | str | None, forming: float, statistic: str, tail: str, maps: Maps
) -> np.ndarray | None:
    """Return the threshold of each sample (n_maps, n_places, n_times), None for TFCE."""
    if isinstance(threshold, str):
        if threshold != "tfce":
            raise InvalidValueError(f"threshold must be a number, 'tfce' or None; got {threshold!r}.")
        return None
    if threshold is None:
        if statistic != "t":
            raise InvalidValueError(
                f"statistic {statistic!r} has no default threshold: pass a number, or 'tfce'."
            )
        if not 0 < forming < 1:
            raise InvalidValueError(f"forming must be between 0 and 1; got {forming!r}.")
        bar: np.ndarray = t_distribution.isf(forming / len(SIDES[tail]), np.maximum(maps.count - 1, 1))
        return bar
    if not np.isfinite(threshold) or threshold <= 0:
        raise InvalidValueError(f"threshold must be positive; got {threshold!r}.")
    return np.full(maps.count.shape, float(threshold))


def _signs(n_subjects: int, n: int | None, rng: np.random.Generator | None) -> np.ndarray:
    """Return the patterns of signs (n_draws, n_subjects): the flipped means of one subject's 1 at a time."""
    return np.sign(sign_flips(np.eye(n_subjects), n=n, rng=rng))


def _tested(observed: np.ndarray, null: np.ndarray, maps: Maps, rule: Rule) -> xr.Dataset:
    """Return the observed clusters, heaviest first, with their p-values, and the maps of both."""
    sides = [clusters_of(observed, rule.threshold, side, maps.edges) for side in rule.sides]
    weights = np.concatenate([weight_of(found, rule.weights) for found in sides])
    order = np.argsort(-weights, kind="stable")
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(1, len(order) + 1)
    of_side = np.split(rank, [len(sides[0].owner)])
    label = np.zeros(observed.shape, dtype=np.int64)
    for found, ranks in zip(sides, of_side, strict=False):
        label += spread(found, ranks, observed.shape)

    def joined(parts: list[np.ndarray]) -> np.ndarray:
        return np.concatenate(parts)[order]

    sign = joined([np.full(len(found.owner), s) for s, found in zip(rule.sides, sides, strict=True)])
    owner = joined([found.owner for found in sides])
    p = np.array([p_value((1 - TIES) * weights[i], null[:, m]) for i, m in zip(order, owner, strict=True)])
    made = xr.Dataset(
        {
            **_maps(observed, maps),
            "label": maps.template.copy(data=label.reshape(maps.template.shape)),
            "p": maps.template.copy(data=np.r_[np.nan, p][label].reshape(maps.template.shape)),
            "mass": ("cluster", sign * joined([found.mass for found in sides])),
            "size": ("cluster", joined([found.size for found in sides])),
            "p_cluster": ("cluster", p.astype(np.float64)),
        },
        coords={"cluster": np.arange(1, len(order) + 1), "sign": ("cluster", sign)},
    )
    return made.assign(peak=("cluster", _peaks(observed, label))).assign_coords(
        _places(observed, label, maps)
    )


def _tfce(observed: np.ndarray, null: np.ndarray, maps: Maps, rule: Rule) -> xr.Dataset:
    """Return the enhanced map and the p of every sample."""
    each = [side * enhanced_maps(side * observed, maps, rule) for side in rule.sides]
    total = np.sum(each, axis=0)
    p = np.full(observed.shape, np.nan)
    block = max(1, CHUNK // len(null))
    for m, (values, known) in enumerate(zip(total, maps.defined, strict=True)):
        at = np.flatnonzero(known)
        size = (1 - TIES) * np.abs(values.reshape(-1)[at])
        parts = [size[start : start + block] for start in range(0, len(size), block)]
        tested = [p_value(part, np.broadcast_to(null[:, m, None], (len(null), len(part)))) for part in parts]
        p[m].reshape(-1)[at] = np.concatenate(tested) if tested else []
    shape = maps.template.shape
    made = {"enhanced": maps.template.copy(data=np.where(maps.defined, total, np.nan).reshape(shape))}
    return xr.Dataset({**_maps(observed, maps), **made, "p": maps.template.copy(data=p.reshape(shape))})


def _maps(observed: np.ndarray, maps: Maps) -> dict[str, xr.DataArray]:
    known = np.where(maps.defined, observed, np.nan)
    return {"statistic": maps.template.copy(data=known.reshape(maps.template.shape))}


def _peaks(observed: np.ndarray, label: np.ndarray) -> np.ndarray:
    return observed.reshape(-1)[_peak_samples(observed, label)]


def _peak_samples(observed: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Return where each cluster's largest statistic is, as a position in the flat maps."""
    flat, size = label.reshape(-1), np.abs(observed.reshape(-1))
    inside = np.flatnonzero(flat)
    # By cluster, and inside a cluster the largest first.
    order = inside[np.lexsort((-size[inside], flat[inside]))]
    return order[np.unique(flat[order], return_index=True)[1]]


def _places(observed: np.ndarray, label: np.ndarray, maps: Maps) -> dict[str, Any]:
    """Return coordinates along ``cluster``: the map it is in, when it begins and ends, where its peak is."""
    peak = np.unravel_index(_peak_samples(observed, label), maps.template.shape)
    coords: dict[str, Any] = {}
    for dim, at in zip(maps.template.dims, peak, strict=True):
        known = dim in maps.template.coords
        values = maps.template[dim].values if known else np.arange(maps.template.sizes[dim])
        coords[f"{'cluster' if dim in maps.further else 'peak'}_{dim}"] = ("cluster", values[at])
        if dim == "time":
            flat, times = label.reshape(-1), np.arange(label.size) % label.shape[-1]
            first, last = np.full((2, len(at) + 1), label.shape[-1])
            last[:] = -1
            np.minimum.at(first, flat, times)
            np.maximum.at(last, flat, times)
            coords |= {"start": ("cluster", values[first[1:]]), "stop": ("cluster", values[last[1:]])}
    return coords


def _null(null: np.ndarray, maps: Maps, family: str) -> dict[str, Any]:
    """Return the largest weights under the flips and their 95th percentile."""
    dims = () if family == "joint" else maps.further
    shape = tuple(maps.template.sizes[dim] for dim in dims)
    kept = (null[:, 0] if family == "joint" else null).reshape(len(null), *shape)
    critical = np.quantile(kept, LEVEL, axis=0, method="higher")
    return {"null_maximum": (("draw", *dims), kept), "critical": (dims, critical)}

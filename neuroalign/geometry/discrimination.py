"""How far classes of stimuli stand apart, in one number that does not grow with the number of units."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from scipy.spatial.distance import pdist, squareform

from ..stats import p_value, permutation, shuffle
from .inputs import as_patterns, classes_of, count, is_dead

__all__ = ["discrimination_value"]


def discrimination_value(
    activations: xr.DataArray,
    classes: Any,
    *,
    n_permutations: int = 0,
    rng: np.random.Generator | None = None,
) -> xr.Dataset:
    r"""Return the generalized discrimination value of classes of stimuli.

    Units are z-scored over the stimuli (population standard deviation) and halved. With d the Euclidean
    distance, K classes and D units,

    .. math:: \frac{1}{\sqrt D} \left[ \frac{1}{K} \sum_k \overline{d}_{kk}
              - \frac{2}{K (K - 1)} \sum_{k < l} \overline{d}_{kl} \right]

    with the mean distance of two different stimuli of class k, and of two stimuli of classes k and l. 0 says
    that classes do not matter; two classes of equal size that are a point each reach -1, and K such classes,
    one-hot, :math:`-\sqrt{K / (2 (K - 1))}`. Shifting, scaling and reordering units changes nothing;
    rotating them does, for the z-score is a unit's own.

    A dead (constant) unit has no z-score. It is dropped and not counted in D: counted, it would draw the
    value towards 0.

    Parameters
    ----------
    activations : DataArray (..., stimulus, unit) or (..., stimulus, neuroid)
        Finite. Every entry of the leading dims (layer, seed) is measured for itself.
    classes : str or DataArray (stimulus,)
        The class of each stimulus: a coordinate by its name, or labels, aligned. At least 2 classes of at
        least 2 stimuli.
    n_permutations : int
        Of the classes over stimuli, for p; none where 0.
    rng : numpy.random.Generator, optional
        Of the permutations.

    Returns
    -------
    Dataset (...)
        ``gdv``; ``intra`` and ``inter``, its two terms; ``n_dimensions``, D; NaN where every unit is dead,
        counted in ``attrs["n_undefined"]``. With permutations ``p`` (share of draws at least as negative)
        and ``null`` (permutation, ...).

    Raises
    ------
    ShapeError, LabelError
        If dims or labels are missing or differ.
    InvalidValueError
        If a value is not finite, there is one class, or a class has one stimulus.

    References
    ----------
    Schilling, Maier, Gerum, Metzner & Krauss 2021, Neural Networks 139:278. All n x n distances are held.

    Examples
    --------
    >>> patterns = xr.DataArray(
    ...     [[0.0, 5.0], [0.0, 5.0], [1.0, 5.0], [1.0, 5.0]], dims=("stimulus", "unit"),
    ...     coords={"stimulus": list("abcd"), "kind": ("stimulus", ["x", "x", "y", "y"])})
    >>> found = discrimination_value(patterns, "kind")
    >>> float(found.gdv), int(found.n_dimensions)
    (-1.0, 1)
    """
    n_permutations = count(n_permutations, "n_permutations", least=0)
    patterns = as_patterns(activations, least=4)
    codes, names = classes_of(patterns, classes, least=2)
    found = patterns.each(lambda x: _terms(_distances(x), codes))
    intra, inter = found[..., 0], found[..., 1]
    dimensions = patterns.each(lambda x: (~is_dead(x)).sum()).astype(int)
    out = {
        "gdv": patterns.labelled(intra - inter),
        "intra": patterns.labelled(intra),
        "inter": patterns.labelled(inter),
        "n_dimensions": patterns.labelled(dimensions),
    }
    if n_permutations:
        null = _null(patterns.values, codes, n_permutations, rng)
        null = null.reshape(n_permutations, *intra.shape)
        out["p"] = patterns.labelled(p_value(intra - inter, null, tail="less"))
        out["null"] = patterns.labelled(np.moveaxis(null, 0, -1), ["permutation"]).transpose(
            "permutation", ...
        )
    attrs = {
        "n_stimuli": len(codes),
        "n_classes": len(names),
        "n_units": patterns.values.shape[-1],
        "n_undefined": int(np.isnan(intra).sum()),
    }
    return xr.Dataset(out, attrs=attrs)


def _distances(x: np.ndarray) -> np.ndarray:
    """Return distances (n, n) of halved z-scores, divided by the root of the number of live units."""
    live = x[:, ~is_dead(x)]
    if not live.shape[1]:
        return np.full((len(x), len(x)), np.nan)
    z = 0.5 * (live - live.mean(axis=0)) / live.std(axis=0)
    return squareform(pdist(z)) / np.sqrt(live.shape[1])


def _terms(distances: np.ndarray, codes: np.ndarray) -> tuple[float, float]:
    """Return the mean distance within classes and that between classes, each class and pair alike."""
    member = np.eye(codes.max() + 1)[codes]
    sums, n = member.T @ distances @ member, member.sum(axis=0)
    apart = np.triu_indices(len(n), 1)
    return float((np.diag(sums) / (n * (n - 1))).mean()), float((sums / np.outer(n, n))[apart].mean())


def _null(values: np.ndarray, codes: np.ndarray, n: int, rng: Any) -> np.ndarray:
    """Return the values (n, n_leading) under permuted classes; one order serves all leading entries."""
    distances = [_distances(x) for x in values]

    def statistic(order: np.ndarray) -> list[float]:
        terms = [_terms(each, codes[order]) for each in distances]
        return [intra - inter for intra, inter in terms]

    return permutation(statistic, n, permute=lambda rng: shuffle(len(codes), rng), rng=rng)

"""Model-selection accuracy: which region or layer is an RDM of, by the nearest centroid of others'."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import xarray as xr
from tqdm import tqdm

from ... import stats
from ...errors import InvalidValueError, ShapeError, choice, listing
from ...schema import check, labels, n_stimuli_of_pairs, square
from ...stats import is_constant
from .centroids import accuracies, chosen_cells, summarize, weighted_mean
from .families import FAMILIES, grid
from .geodesics import filled, geodesic_rows, rounded
from .transforms import between, rdm_rows, thresholds, unit_ranks

__all__ = ["CONTROLS", "RESAMPLED", "SUMMARIES", "model_selection"]

CONTROLS = ("raw", "z-scored", "rank")
SUMMARIES = ("rgtm", "rgdm")
RESAMPLED = ("subject", "stimulus", "both")
RANK = CONTROLS.index("rank")
N_SUMMARIES = len(CONTROLS) + 2 * len(FAMILIES) + 1


def model_selection(
    rdms: xr.DataArray,
    *,
    over: str = "subject",
    classes: str = "roi",
    cells: xr.Dataset | None = None,
    summary: str = "rgtm",
    n_bootstrap: int = 0,
    resample: str = "subject",
    rng: np.random.Generator | None = None,
    level: float = 0.95,
    progress: bool = False,
) -> xr.Dataset:
    """Return how often the class of a held-out subject's RDMs is found, for every pair of thresholds.

    One subject (or network seed) is left out; each class (region, layer) has the mean of the others'
    summary vectors as its centroid; each RDM of the one left out is assigned to the nearest centroid
    (Euclidean). Where centroids tie, a hit counts one over their number. Chance is one over the classes.

    The thresholds are also *chosen*: inside the training subjects only, each of them left out in turn, the
    cell with the highest accuracy is taken and then applied to the subject left out. Among equally good
    cells the one nearest to the rank RDM is taken (the widest, then the lowest). The accuracy of the best
    cell of the map, picked after the fact, is not an estimate of anything and is not returned.

    Parameters
    ----------
    rdms : DataArray (<over>, <classes>, pair)
        The first two dims in any order, both labelled; no NaN.
    over, classes : str
        Dims of what is left out, and of what is to be found. At least two of each; choosing thresholds
        needs at least three along ``over`` and is NaN below.
    cells : Dataset (cell,), optional
        Of ``grid``; at step 0.05 where None.
    summary : {"rgtm", "rgdm"}
        What is compared: the geo-topological transform, or the ranked geodesics on its graph (edges below 1,
        a pair without a path as far as the farthest). ``rgdm`` cannot be resampled over stimuli: two copies
        of a stimulus would be joined by a path.
    n_bootstrap : int
        Draws for the intervals; 0 for none.
    resample : {"subject", "stimulus", "both"}
        What is drawn with replacement. Copies of a subject are left out together, so that none is assigned
        by its own copy. Pairs of copies of one stimulus are left out; ranks and thresholds are those of the
        drawn pairs. Fewer distinct stimuli or subjects make harder problems, so draws tend to lie below
        the estimate.
    rng : numpy.random.Generator, optional
        Needed for intervals.
    level : float
        Of the intervals.
    progress : bool
        Whether a bar is shown.

    Returns
    -------
    Dataset
        ``accuracy`` (cell,) with ``lower``, ``upper`` and ``family``. ``summary_accuracy`` (summary,): the
        controls ``raw``, ``z-scored`` and ``rank``; ``family: ...``, the mean over a family's cells;
        ``chosen`` and ``chosen: ...`` from all cells or from a family's. ``gain`` (summary,): the same less
        that of ``rank``. ``subject_accuracy`` (summary, <over>). ``chosen_lower`` and ``chosen_upper``
        (choice, <over>), choice being ``all`` or a family. With draws the intervals ``accuracy_interval``
        (bound, cell), ``summary_interval`` and ``gain_interval`` (bound, summary). ``attrs["chance"]``, and
        ``attrs["n_undefined"]``, how many draws have no value (one distinct subject, or fewer than 3
        distinct stimuli); ``attrs["n_unchosen"]`` counts those of two distinct subjects, in which
        thresholds alone cannot be chosen.

    Raises
    ------
    ShapeError
        If dims are other ones or too short.
    LabelError
        If labels are missing or repeated.
    InvalidValueError
        If a pair is NaN, an RDM is constant, a choice is unknown, or draws are asked for without ``rng``.

    References
    ----------
    Lin & Kriegeskorte, The topology and geometry of neural representations.

    Examples
    --------
    >>> from neuroalign.schema import make_rdm
    >>> rng = np.random.default_rng(0)
    >>> truth = rng.random((2, 15))
    >>> rdms = make_rdm(
    ...     truth + 0.05 * rng.random((4, 2, 15)), list("abcdef"), dims=["subject", "roi"],
    ...     coords={"subject": ["s1", "s2", "s3", "s4"], "roi": ["V1", "IT"]})
    >>> found = model_selection(rdms, cells=grid(0.25))
    >>> float(found["summary_accuracy"].sel(summary="chosen")), found.attrs["chance"]
    (1.0, 0.5)
    """
    if summary not in SUMMARIES:
        raise choice(summary, SUMMARIES, name="summary")
    _check_draws(n_bootstrap, resample, summary, rng)
    rdms = _checked(rdms, over, classes)
    cells = grid() if cells is None else cells
    rows, shape = rdm_rows(rdms, "rdms"), rdms.shape[:2]
    gram = _grams(rows, shape, cells, summary)
    found = _estimates(gram, rdms, cells)
    found = found.assign_attrs(summary=summary, chance=1 / shape[1])
    if n_bootstrap and rng is not None:
        grams = _drawn_grams(gram, rows, shape, cells, n_bootstrap if resample != "subject" else 0, rng)
        bar = tqdm(total=n_bootstrap + 1, disable=not progress, desc="bootstrap")
        with bar:
            drawn = stats.bootstrap(
                lambda i: _draw(next(grams), i, resample, cells, bar),
                shape[0],
                n=n_bootstrap,
                rng=rng,
                level=level,
            )
        found = _with_intervals(found, drawn, resample)
    return found


def _evaluated(gram: np.ndarray, weights: np.ndarray, cells: xr.Dataset) -> tuple[Any, Any, Any]:
    """Return accuracies by cell (c,) and by summary and subject (n_summaries, s), and the chosen cells."""
    chosen = chosen_cells(gram[len(CONTROLS) :], weights, cells)
    found = summarize(accuracies(gram, weights), weights, chosen, cells["family"].values, len(CONTROLS))
    return (*found, chosen)


def _estimates(gram: np.ndarray, rdms: xr.DataArray, cells: xr.Dataset) -> xr.Dataset:
    over, weights = rdms.dims[0], np.ones(rdms.shape[0])
    by_cell, by_subject, chosen = _evaluated(gram, weights, cells)
    means = by_subject.mean(axis=1)
    limits = {
        name: np.where(chosen >= 0, cells[name].values[np.maximum(chosen, 0)], np.nan)
        for name in ("lower", "upper")
    }
    return xr.Dataset(
        {
            "accuracy": ("cell", by_cell),
            "summary_accuracy": ("summary", means),
            "gain": ("summary", means - means[RANK]),
            "subject_accuracy": (("summary", over), by_subject),
            "chosen_lower": (("choice", over), limits["lower"]),
            "chosen_upper": (("choice", over), limits["upper"]),
        },
        coords={
            **{name: ("cell", cells[name].values) for name in ("lower", "upper", "family")},
            "summary": [
                *CONTROLS,
                *(f"family: {name}" for name in FAMILIES),
                "chosen",
                *(f"chosen: {name}" for name in FAMILIES),
            ],
            "choice": ["all", *FAMILIES],
            over: rdms[over].values,
        },
    )


def _draw(
    gram: np.ndarray | None, drawn: np.ndarray, resample: str, cells: xr.Dataset, bar: Any
) -> np.ndarray:
    """Return accuracies of cells and of summaries, and gains, of one bootstrap draw; NaN if it has none."""
    bar.update()
    n = len(drawn)
    if gram is None:
        return np.full(len(cells["family"]) + 2 * N_SUMMARIES, np.nan)
    weights = np.ones(n)
    if resample != "stimulus":
        drawn, counts = np.unique(drawn, return_counts=True)
        gram, weights = gram[:, drawn][:, :, :, drawn], counts.astype(np.float64)
    by_cell, by_subject, _ = _evaluated(gram, weights, cells)
    means = weighted_mean(by_subject, weights)
    return np.concatenate([by_cell, means, means - means[RANK]])


def _drawn_grams(
    gram: np.ndarray, rows: np.ndarray, shape: Any, cells: xr.Dataset, n: int, rng: np.random.Generator
) -> Iterator[np.ndarray | None]:
    """Yield the Gram matrices of all stimuli, then of ``n`` draws of stimuli, or those of all for ever.

    A draw with fewer than 3 distinct stimuli, or in which an RDM is constant, is None.
    """
    yield gram  # stats.bootstrap takes the estimate first
    n_stimuli = n_stimuli_of_pairs(rows.shape[1])
    for _ in range(n):
        order = rng.integers(n_stimuli, size=n_stimuli)
        some = _resampled(rows, order)
        few = len(np.unique(order)) < 3
        yield None if few or is_constant(some, axis=1).any() else _grams(some, shape, cells, "rgtm")
    while not n:
        yield gram


def _resampled(rows: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Return the pairs of drawn stimuli (n, n_drawn_pairs); none of two copies."""
    position = square(np.arange(rows.shape[1]))
    a, b = (order[index] for index in np.triu_indices(len(order), 1))
    apart = a != b
    return rows[:, position[a[apart], b[apart]]]


def _grams(rows: np.ndarray, shape: Any, cells: xr.Dataset, summary: str) -> np.ndarray:
    """Return the Gram matrices (controls + c, s, r, s, r) of all summary vectors, centred on their mean."""
    ranks = unit_ranks(rows)
    lower, upper = cells["lower"].values, cells["upper"].values
    shares, at = np.unique(np.r_[lower, upper], return_inverse=True)
    limits = thresholds(ranks, shares)
    found = np.empty((len(CONTROLS) + len(lower), len(rows), len(rows)))
    for i, vectors in enumerate((rows, _z_scored(rows), ranks)):
        found[i] = _gram(vectors)
    for i, (low, high) in enumerate(
        zip(at[: len(lower)], at[len(lower) :], strict=True), start=len(CONTROLS)
    ):
        vectors = between(ranks, limits[low], limits[high])
        found[i] = _gram(vectors if summary == "rgtm" else _ranked_geodesics(vectors))
    return found.reshape(-1, *shape, *shape)


def _gram(vectors: np.ndarray) -> np.ndarray:
    centred = vectors - vectors.mean(axis=0)
    return centred @ centred.T


def _z_scored(rows: np.ndarray) -> np.ndarray:
    return (rows - rows.mean(axis=1, keepdims=True)) / rows.std(axis=1, keepdims=True)


def _ranked_geodesics(vectors: np.ndarray) -> np.ndarray:
    """Return ranked path lengths; all pairs of an RDM without any order of lengths are 0."""
    values, _ = geodesic_rows(vectors)
    return np.nan_to_num(unit_ranks(rounded(filled(values))), nan=0.0)


def _with_intervals(found: xr.Dataset, drawn: stats.Bootstrap, resample: str) -> xr.Dataset:
    n_cells = found.sizes["cell"]
    ends = np.stack([drawn.lower, drawn.upper])
    unchosen = drawn.n_undefined[n_cells + list(found["summary"].values).index("chosen")]
    n_undefined = int(drawn.n_undefined[0])
    attrs = {
        "level": drawn.level,
        "n_draws": len(drawn.draws),
        "resampled": resample,
        "n_undefined": n_undefined,
        "n_unchosen": int(unchosen) - n_undefined,
    }
    return found.assign(
        accuracy_interval=(("bound", "cell"), ends[:, :n_cells]),
        summary_interval=(("bound", "summary"), ends[:, n_cells : n_cells + N_SUMMARIES]),
        gain_interval=(("bound", "summary"), ends[:, n_cells + N_SUMMARIES :]),
        bound=["lower", "upper"],
    ).assign_attrs(attrs)


def _check_draws(n: int, resample: str, summary: str, rng: np.random.Generator | None) -> None:
    if resample not in RESAMPLED:
        raise choice(resample, RESAMPLED, name="resample")
    if n and rng is None:
        raise InvalidValueError("rng: a bootstrap needs a numpy.random.Generator.")
    if n and summary == "rgdm" and resample != "subject":
        raise InvalidValueError(
            f"summary='rgdm' can only be resampled over subjects; got resample={resample!r}. Two copies of a "
            "stimulus would be joined by a path."
        )


def _checked(rdms: xr.DataArray, over: str, classes: str) -> xr.DataArray:
    check(rdms, "rdm", name="rdms")
    if set(rdms.dims) != {over, classes, "pair"} or rdms.ndim != 3:
        raise ShapeError(f"rdms must have dims ({over!r}, {classes!r}, 'pair'); got {rdms.dims}.")
    rdms = rdms.transpose(over, classes, "pair")
    for dim in (over, classes):
        found = labels(rdms, on=dim, name="rdms")
        if len(found) < 2:
            raise ShapeError(f"rdms: at least 2 along {dim!r} are needed; got {listing(found)}.")
    rows = rdm_rows(rdms, "rdms")
    if rows.shape[1] < 3:
        raise ShapeError("rdms: model selection needs at least 3 stimuli.")
    undefined = np.isnan(rows).any(axis=1)
    constant = is_constant(np.where(np.isnan(rows), 0.0, rows), axis=1) & ~undefined
    for bad, what in ((undefined, "have NaN pairs"), (constant, "are constant and have no ranks")):
        if bad.any():
            which = [
                f"{rdms[over].values[i]} {rdms[classes].values[j]}"
                for i, j in np.argwhere(bad.reshape(rdms.shape[:2]))
            ]
            raise InvalidValueError(
                f"rdms: {len(which)} of {len(rows)} RDMs {what}: {listing(which)}. Drop them first."
            )
    return rdms

"""Searchlight: what is decoded from the neuroids of each sphere, or the mean encoding score of these."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from tqdm import tqdm

from ..errors import InvalidValueError, ShapeError, choice
from .evaluation import evaluate
from .ridge import RidgeCV
from .sphere_decoding import Decoding, blocks, checked_around, labelled, prepare

__all__ = ["searchlight"]

DIRECTIONS = ("decode", "encode")


def searchlight(
    features: xr.DataArray,
    responses: xr.DataArray,
    around: Sequence[Any],
    *,
    splits: Any,
    direction: str = "decode",
    model: Any = None,
    alphas: Any = (1.0, 10.0, 100.0, 1000.0),
    metric: str | None = None,
    standardize: bool = True,
    convention: str = "folds",
    min_neuroids: int = 2,
    chunk: int | None = None,
    progress: bool = False,
) -> xr.DataArray:
    """Return a map of held-out scores, of what lies around each neuroid.

    - ``"decode"``: labels or features are predicted from all neuroids of a sphere together. Information that
      no neuroid has alone counts.
    - ``"encode"``: each neuroid is predicted from the features, as in ``evaluate``, and a sphere's score is
      the mean of its neuroids' scores: the encoding map, smoothed by the sphere. No model joins neuroids.

    In every fold neuroids (``decode``) or features (``encode``) are standardised by the training rows.

    Parameters
    ----------
    features : DataArray (stimulus,) or (time,), or (stimulus, feature) or (time, feature)
        Labels of any type (one dim; ``decode`` only), or numbers (two dims).
    responses : DataArray (stimulus, neuroid) or (time, neuroid)
        Aligned to the features by label. Presentations have labels of their own, such as "run-1/face".
    around : sequence of array of int
        For each neuroid the positions of those around it, in the order of ``responses``; see
        ``rsa.spheres`` and ``rsa.surface_neighbours``. An empty one is skipped (NaN).
    splits : list of (train, test)
        Row numbers in the order of ``features``, such as ``leave_one_run_out(runs)``; of times, in order of
        time. A run that is tested must not be trained on.
    direction : {"decode", "encode"}
    model : estimator, optional
        Of scikit-learn; fitted to each sphere and fold one by one, which is slow (``decode``), or for several
        targets (``encode``). Where None: ridge, which ``decode`` solves for many spheres at once, with
        labels as columns of -1 and 1 of which the largest prediction wins; ``RidgeCV(alphas)`` to encode.
    alphas : float or sequence of float
        Of the ridge, positive (scikit-learn's convention). Of several, each sphere and fold takes that of the
        smallest leave-one-out error over all targets on its training rows (``decode``).
    metric : str, optional
        ``"accuracy"`` of labels; of numbers a key of ``stats.SCORES``, ``"pearson"`` where None.
    standardize : bool
        Where not, columns are only centred.
    convention : {"folds", "pooled"}
        The mean of the folds' scores, over folds that have one; or one score of all test rows.
    min_neuroids : int
        Spheres with fewer neuroids that vary are NaN.
    chunk : int, optional
        Spheres computed at once; where None as many as take about 16 MB.
    progress : bool
        Whether a bar is shown.

    Returns
    -------
    DataArray (neuroid,), or (feature, neuroid) of decoded numbers
        float64, with the coordinates of the neuroids and ``n_neuroids``, the sizes of the spheres. NaN where
        a sphere is too small or no fold has a score; ``attrs["n_undefined"]`` counts them. Of labels
        ``attrs["chance"]`` is 1 / n_classes, which holds where classes are balanced in every fold.

    Raises
    ------
    ShapeError
        If dims are other ones, or there is not one list of neighbours a neuroid.
    LabelError
        If the rows differ or a sphere names a neuroid twice.
    InvalidValueError
        If a value is not finite, an alpha is not positive, a choice is unknown or does not belong to labels
        or numbers, splits overlap, or a fold is not trained on every class.

    References
    ----------
    Kriegeskorte, Goebel & Bandettini 2006, PNAS 103:3863; Etzel, Zacks & Braver 2013, NeuroImage 78:261 (what
    a searchlight of decoders does not say: a significant sphere does not place the information at its
    centre).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> label = np.tile(["face", "house"], 20)
    >>> values = rng.standard_normal((40, 6)) + 2.0 * (label == "face")[:, None] * (np.arange(6) < 3)
    >>> rows = {"stimulus": np.arange(40)}
    >>> around = [np.array([i, i + 1]) for i in range(5)] + [np.array([5])]
    >>> from neuroalign.encoding import contiguous_splits
    >>> searchlight(
    ...     xr.DataArray(label, dims="stimulus", coords=rows),
    ...     xr.DataArray(values, dims=("stimulus", "neuroid"), coords=rows),
    ...     around, splits=contiguous_splits(40, 4)).values.round(2).tolist()
    [0.85, 0.92, 0.8, 0.48, 0.62, nan]
    """
    if direction not in DIRECTIONS:
        raise choice(direction, DIRECTIONS, name="direction")
    if direction == "encode":
        return _encoded(
            features,
            responses,
            around,
            splits=splits,
            model=model,
            alphas=alphas,
            metric=metric or "pearson",
            standardize=standardize,
            convention=convention,
            min_neuroids=min_neuroids,
        )
    job = prepare(
        features,
        responses,
        around,
        splits=splits,
        model=model,
        alphas=alphas,
        metric=metric,
        standardize=standardize,
        convention=convention,
        min_neuroids=min_neuroids,
    )
    return labelled(_scores(job, chunk, progress), job, responses, "score", job.attrs)


def _scores(job: Decoding, chunk: int | None, progress: bool) -> np.ndarray:
    """Return scores (n_neuroids, n_scored)."""
    found = np.full((len(job.around), job.n_scored), np.nan)
    order = np.arange(job.n_rows)
    parts = list(blocks(job, chunk))
    with tqdm(total=sum(map(len, parts)), disable=not progress, desc="searchlight", unit="sphere") as bar:
        for part in parts:
            found[part] = job.statistic(np.stack([job.around[i] for i in part]))(order)
            bar.update(len(part))
    return found


def _encoded(
    features: xr.DataArray,
    responses: xr.DataArray,
    around: Sequence[Any],
    *,
    model: Any,
    alphas: Any,
    min_neuroids: int,
    **options: Any,
) -> xr.DataArray:
    """Return the mean of the neuroids' own scores (neuroid,) over each sphere; NaN neuroids are left out."""
    from scipy.sparse import csr_array

    if not isinstance(features, xr.DataArray) or features.ndim != 2:
        raise ShapeError(
            "direction='encode' needs features (stimulus, feature) of numbers; labels are for decoding. Got "
            f"{getattr(features, 'dims', type(features).__name__)}."
        )
    if isinstance(min_neuroids, bool) or not isinstance(min_neuroids, int | np.integer) or min_neuroids < 1:
        raise InvalidValueError(f"min_neuroids must be a positive integer; got {min_neuroids!r}.")
    around = checked_around(around, responses.sizes["neuroid"])
    scores = evaluate(
        RidgeCV(np.atleast_1d(alphas).tolist()) if model is None else model, features, responses, **options
    )
    own = scores.mean("fold").values if "fold" in scores.dims else scores.values
    sizes = np.array([len(sphere) for sphere in around])
    members = np.concatenate([sphere.astype(np.intp) for sphere in around])
    starts = np.concatenate([[0], np.cumsum(sizes)])
    inside = csr_array((np.ones(len(members)), members, starts), shape=(len(around), len(own)))
    known = ~np.isnan(own)
    count = inside @ known.astype(np.float64)
    total = inside @ np.where(known, own, 0.0)
    found = np.where(count >= min_neuroids, total / np.maximum(count, 1.0), np.nan)
    coords = {name: c.variable for name, c in responses.coords.items() if c.dims in ((), ("neuroid",))}
    attrs = {**scores.attrs, "direction": "encode", "n_undefined": int(np.isnan(found).sum())}
    coords["n_neuroids"] = xr.Variable("neuroid", sizes)
    return xr.DataArray(found, dims="neuroid", coords=coords, attrs=attrs, name="score")

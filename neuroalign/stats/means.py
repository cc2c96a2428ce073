"""Means over subjects of any scores: bootstrap intervals and tests against 0 and of pairs."""

from __future__ import annotations

import numpy as np
import xarray as xr

from ..arrays import as_float
from ..errors import ShapeError
from ..schema import labels
from .bootstraps import bootstrap
from .resampled import resampled_tests

__all__ = ["mean_tests"]

TESTS = ("t", "p", "p_fdr", "p_holm", "p_bootstrap", "p_max")


def mean_tests(
    scores: xr.DataArray,
    *,
    n: int,
    rng: np.random.Generator,
    over: str = "subject",
    tail: str = "greater",
    level: float = 0.95,
) -> xr.Dataset:
    """Return means over subjects with intervals and tests, one family over all other dims.

    Subjects are resampled, so that the results are about new subjects. A subject with NaN is left out of that
    mean, which has a degree of freedom less; one without any score is not resampled. Draws of very few
    subjects are few different ones: of three true nulls over 5 subjects the smallest two-sided ``p_max`` is
    at most .05 in .085 of sets, over 8 in .054.

    Parameters
    ----------
    scores : DataArray (..., <over>)
        One score a subject: of models, of parts of variance, of regression weights.
    n : int
        Draws.
    rng : numpy.random.Generator
    over : str
        The dim that is resampled, with unique labels; at least 2.
    tail : {"greater", "less", "two-sided"}
    level : float

    Returns
    -------
    Dataset (...)
        ``estimate``, ``variance`` of the mean over subjects, ``interval`` and ``interval_bootstrap`` (bound,
        ...), ``t``, ``p``, ``p_fdr``, ``p_holm``, ``p_bootstrap``, ``p_max``; see ``resampled_tests``.
        ``attrs``: ``n_undefined`` scores that are NaN, ``n_untested`` means without a test (scores that do
        not differ).

    Raises
    ------
    ShapeError
        If the dim is missing or has one label.

    Examples
    --------
    >>> scores = xr.DataArray(
    ...     [[0.3, 0.4, 0.2, 0.5], [0.1, -0.1, 0.0, 0.0]], dims=("model", "subject"),
    ...     coords={"model": ["a", "b"], "subject": list("wxyz")})
    >>> mean_tests(scores, n=50, rng=np.random.default_rng(0))["p"].values.round(3).tolist()
    [0.006, 0.5]
    """
    if over not in scores.dims:
        raise ShapeError(f"scores have no dim {over!r}; got {scores.dims}.")
    labels(scores, on=over, name="scores")
    moved = scores.transpose(..., over)
    shape, n_items = moved.shape[:-1], moved.shape[-1]
    values = as_float(moved.values, name="scores", missing=True)
    if not values.size:
        raise ShapeError(f"scores are empty; their sizes are {dict(moved.sizes)}.")
    values = values.reshape(-1, n_items)
    n_undefined = int(np.isnan(values).sum())
    # Subjects without any score would only make the draws differ in how many subjects they are of.
    scored = ~np.isnan(values).all(axis=0)
    if scored.sum() > 1:
        values, n_items = values[:, scored], int(scored.sum())
    drawn = bootstrap(lambda i: _mean(values[:, i]), n_items, n=n, rng=rng, level=level)
    known = (~np.isnan(values)).sum(axis=1)
    centred = np.where(np.isnan(values), 0.0, values - drawn.estimate[:, None])
    variance = np.where(known > 1, (centred**2).sum(axis=1) / np.maximum((known - 1) * known, 1), np.nan)
    # A mean of fewer subjects has fewer degrees of freedom; one of one subject has no variance, and no test.
    dof = np.maximum(known - 1, 1)
    tests = resampled_tests(drawn.estimate, variance, drawn.draws, dof=dof, tail=tail, level=level)
    template = moved.isel({over: 0}, drop=True)
    found = {name: template.copy(data=getattr(tests, name).reshape(shape)) for name in TESTS}
    found["estimate"] = template.copy(data=drawn.estimate.reshape(shape))
    found["variance"] = template.copy(data=variance.reshape(shape))
    bound = xr.DataArray(["lower", "upper"], dims=("bound",))
    for name, ends in (
        ("interval", (tests.lower, tests.upper)),
        ("interval_bootstrap", (tests.lower_bootstrap, tests.upper_bootstrap)),
    ):
        each = [template.copy(data=end.reshape(shape)) for end in ends]
        found[name] = xr.concat(each, dim="bound").assign_coords(bound=bound)
    attrs = {"resampled": over, "n_draws": n, "tail": tail, "level": float(level), "dof": n_items - 1}
    counts = {"n_undefined": n_undefined, "n_untested": int(np.isnan(tests.p).sum())}
    return xr.Dataset(found, attrs={**attrs, **counts})


def _mean(values: np.ndarray) -> np.ndarray:
    known = ~np.isnan(values)
    count = known.sum(axis=1)
    return np.where(count > 0, np.where(known, values, 0.0).sum(axis=1) / np.maximum(count, 1), np.nan)

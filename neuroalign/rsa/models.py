"""Models of RDMs: fixed, the best of several, weighted sums, interpolations; and how they are fitted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy.optimize import nnls

from ..arrays import as_float
from ..errors import InvalidValueError, LabelError, ShapeError
from ..schema import align, check, labels, n_stimuli_of_pairs
from .compare import aligned, as_rows, check_method
from .weighted import LINEAR, linear_features, mean_known, sample_scores

__all__ = ["KINDS", "Model", "fit", "fit_rows", "fixed", "interpolated", "predict", "select", "weighted"]

# What ranks, tau and second moments are fitted as: a sum of RDMs has no closed form for them.
FITTED_AS = {"bures": "cosine", "riemannian": "cosine"}


@dataclass(frozen=True)
class Model:
    """A family of RDMs that is one model; made by ``fixed``, ``select``, ``weighted``, ``interpolated``.

    Attributes
    ----------
    name : str
    kind : str
        A key of ``KINDS``.
    rdms : DataArray (component, pair)
    ridge : float
        For weighted sums.
    """

    name: str
    kind: str
    rdms: xr.DataArray
    ridge: float = 0.0


def fixed(rdm: xr.DataArray, name: str) -> Model:
    """Return a model that is one RDM (pair,)."""
    return _model(rdm, name, "fixed")


def select(rdms: xr.DataArray, name: str) -> Model:
    """Return a model that is the one of its RDMs (component, pair) that scores best on training data."""
    return _model(rdms, name, "select")


def weighted(rdms: xr.DataArray, name: str, *, nonnegative: bool = True, ridge: float = 0.0) -> Model:
    """Return a model that is a weighted sum of RDMs (component, pair), fitted on training data.

    Parameters
    ----------
    rdms : DataArray (component, pair)
    name : str
    nonnegative : bool
        Squared distances over disjoint sets of units add with weights that are not negative.
    ridge : float
        Penalty on squared weights of components scaled to length 1.
    """
    if not (np.isfinite(ridge) and ridge >= 0):
        raise InvalidValueError(f"ridge must be at least 0 and finite; got {ridge!r}.")
    return _model(rdms, name, "nonnegative" if nonnegative else "weighted", float(ridge))


def interpolated(rdms: xr.DataArray, name: str) -> Model:
    """Return a model on the line through its RDMs (component, pair), from one to the next in their order."""
    return _model(rdms, name, "interpolated")


def fit(model: Model, data: xr.DataArray, method: str = "pearson") -> xr.DataArray:
    r"""Return the weights that a model takes on data: in-sample, for the use in held-out data.

    With data RDMs scaled to unit length as the method measures it and averaged to y, and components X,

    - ``select``: 1 for the RDM with the highest mean score, 0 for the others;
    - ``weighted``: the least-squares weights of y on X, which maximise the mean score of a cosine;
      ``nonnegative``: those at least 0;
    - ``interpolated``: t and 1 - t for the two neighbours, and the t, with the highest mean score.

    Sums are fitted as correlations for rank methods and Kendall's tau, as cosines for ``bures`` and
    ``riemannian``.

    Parameters
    ----------
    model : Model
    data : DataArray (subject, pair)
    method : str
        As in ``compare``.

    Returns
    -------
    DataArray (component,)

    Examples
    --------
    >>> from neuroalign.schema import make_rdm
    >>> parts = make_rdm(np.array([[1.0, 2.0, 3.0], [1.0, 0.0, 0.0]]), ["s1", "s2", "s3"], dims=["component"])
    >>> data = (2 * parts[0] + parts[1]).expand_dims(subject=["a"]).transpose("subject", "pair")
    >>> found = fit(weighted(parts, "sum"), data, "cosine")
    >>> float((found[0] / found[1]).round(6))
    2.0
    """
    check_method(method)
    rdms, data = aligned(model.rdms, data, (model.name, "data"))
    components, rows = as_rows(rdms, model.name)[0], as_rows(data, "data")[0]
    if np.isnan(components).any() or np.isnan(rows).any():
        n_missing = int(np.isnan(components).sum() + np.isnan(rows).sum())
        raise InvalidValueError(
            f"{model.name}: fitting needs RDMs without missing pairs; {n_missing} are missing (NaN)."
        )
    counts = np.ones(n_stimuli_of_pairs(rows.shape[1]), dtype=np.int64)
    weights = fit_rows(model.kind, components, rows, counts, np.ones(len(rows)), method, model.ridge)
    coords = {"component": rdms["component"].values} if "component" in rdms.coords else {}
    return xr.DataArray(weights, dims=("component",), coords=coords, name="weights")


def predict(model: Model, weights: xr.DataArray) -> xr.DataArray:
    """Return the RDM (pair,) of a model with weights (component,); NaN where a component lacks the pair.

    Weights are matched by label where both they and the model's components have labels.
    """
    if weights.dims != ("component",) or weights.sizes["component"] != model.rdms.sizes["component"]:
        raise ShapeError(
            f"weights must be (component: {model.rdms.sizes['component']}); got {dict(weights.sizes)}."
        )
    if "component" in weights.coords and "component" in model.rdms.coords:
        names = (model.name, "weights")
        weights = align(model.rdms.isel(pair=0, drop=True), weights, on="component", names=names)[1]
    components = as_float(model.rdms.values, name=model.name, missing=True)
    values = as_float(weights.values, name="weights") @ components
    return model.rdms.isel(component=0, drop=True).copy(data=values)


def fit_rows(
    kind: str,
    components: np.ndarray,
    data: np.ndarray,
    counts: np.ndarray,
    shares: np.ndarray,
    method: str,
    ridge: float = 0.0,
) -> np.ndarray:
    """Return a model's weights (n_components,) from a sample: only what was drawn is read.

    Parameters
    ----------
    kind : str
        A key of ``KINDS``.
    components, data : array (n_components, n_pairs), (n_subjects, n_pairs)
    counts, shares : array (n_stimuli,), (n_subjects,)
        How often each stimulus and subject was drawn; 0 leaves it out.
    """
    drawn = shares > 0
    return KINDS[kind](components, data[drawn], counts, shares[drawn], method, ridge)


def _fixed(components: np.ndarray, *_: object) -> np.ndarray:
    return np.ones(1)


def _select(
    components: np.ndarray,
    data: np.ndarray,
    counts: np.ndarray,
    shares: np.ndarray,
    method: str,
    ridge: float,
) -> np.ndarray:
    means = mean_known(sample_scores(components, data, counts, method), shares)
    if np.isnan(means).all():
        return np.full(len(components), np.nan)
    return np.eye(len(components))[np.nanargmax(means)]


def _free(
    components: np.ndarray,
    data: np.ndarray,
    counts: np.ndarray,
    shares: np.ndarray,
    method: str,
    ridge: float,
) -> np.ndarray:
    gram, target, lengths = _normal(components, data, counts, shares, method)
    weights = np.linalg.lstsq(gram + ridge * np.eye(len(gram)), target, rcond=None)[0]
    return weights / lengths


def _nonnegative(
    components: np.ndarray,
    data: np.ndarray,
    counts: np.ndarray,
    shares: np.ndarray,
    method: str,
    ridge: float,
) -> np.ndarray:
    gram, target, lengths = _normal(components, data, counts, shares, method)
    values, vectors = np.linalg.eigh(gram + ridge * np.eye(len(gram)))
    kept = values > values[-1] * 1e-12
    if not kept.any():  # no component varies, and nnls leaves the weights of a system without rows unwritten
        return np.zeros(len(components))
    root = np.sqrt(values[kept])
    left = root[:, None] * vectors[:, kept].T
    return nnls(left, (vectors[:, kept].T @ target) / root)[0] / lengths


def _interpolated(
    components: np.ndarray,
    data: np.ndarray,
    counts: np.ndarray,
    shares: np.ndarray,
    method: str,
    ridge: float,
) -> np.ndarray:
    r"""Maximise :math:`((1 - t) h_a + t h_b) / |(1 - t) a + t b|`, which has one stationary point."""
    gram, target, lengths = _normal(components, data, counts, shares, method)
    gram, target = gram * np.outer(lengths, lengths), target * lengths
    best, weights = -np.inf, np.full(len(components), np.nan)
    for i in range(len(components) - 1):
        slope = target[i + 1] - target[i]
        start, along, across = gram[i, i], 2 * (gram[i, i + 1] - gram[i, i]), 0.0
        across = gram[i, i] + gram[i + 1, i + 1] - 2 * gram[i, i + 1]
        below = slope * along / 2 - target[i] * across
        stationary = (target[i] * along / 2 - slope * start) / below if below else 0.0
        for t in (0.0, 1.0, float(np.clip(stationary, 0.0, 1.0))):
            square = start + along * t + across * t * t
            score = (target[i] + slope * t) / np.sqrt(square) if square > 0 else -np.inf
            if score > best:
                best, weights = score, np.zeros(len(components))
                weights[i], weights[i + 1] = 1 - t, t
    return weights


def _normal(
    components: np.ndarray, data: np.ndarray, counts: np.ndarray, shares: np.ndarray, method: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the normal equations of components of length 1 on the mean of data of length 1, and lengths."""
    how = method if method in LINEAR else FITTED_AS.get(method, "pearson")
    features = linear_features(np.concatenate([components, data]), counts, how)
    lengths = np.sqrt(np.einsum("rp,rp->r", features, features))
    lengths = np.where(lengths > 0, lengths, 1.0)
    features = features / lengths[:, None]
    left, right = features[: len(components)], features[len(components) :]
    target = left @ (shares @ right) / shares.sum()
    return left @ left.T, target, lengths[: len(components)]


def _model(rdms: xr.DataArray, name: str, kind: str, ridge: float = 0.0) -> Model:
    check(rdms, "rdm", name=name)
    if kind == "fixed":
        rdms = rdms.expand_dims("component") if rdms.dims == ("pair",) else rdms
    if rdms.dims != ("component", "pair") or (kind == "fixed" and len(rdms) != 1):
        wanted = "('pair',)" if kind == "fixed" else "('component', 'pair')"
        raise ShapeError(f"{name}: a {kind} model is made of dims {wanted}; got {rdms.dims} of {rdms.shape}.")
    if kind == "interpolated" and len(rdms) < 2:
        raise ShapeError(f"{name}: an interpolated model needs at least 2 RDMs; got 1.")
    if "component" in rdms.coords:
        labels(rdms, on="component", name=name)
    return Model(name, kind, rdms, ridge)


def as_models(models: xr.DataArray | Sequence[Model]) -> list[Model]:
    """Return models from RDMs (model, pair), each a fixed model, or from a sequence of models."""
    if isinstance(models, xr.DataArray):
        check(models, "rdm", name="models")
        if models.dims != ("model", "pair"):
            raise ShapeError(f"models must have dims ('model', 'pair'); got {models.dims}.")
        each = labels(models, on="model", name="models")
        return [fixed(models.isel(model=i, drop=True), str(name)) for i, name in enumerate(each)]
    found: list[Model] = [models] if isinstance(models, Model) else list(models)
    if not found or not all(isinstance(model, Model) for model in found):
        raise ShapeError("models must be RDMs (model, pair) or a sequence of rsa.models.Model.")
    names = [model.name for model in found]
    if len(set(names)) < len(names):
        raise LabelError(f"models: names come twice: {sorted({n for n in names if names.count(n) > 1})}.")
    return found


KINDS: dict[str, Callable[..., np.ndarray]] = {
    "fixed": _fixed,
    "select": _select,
    "weighted": _free,
    "nonnegative": _nonnegative,
    "interpolated": _interpolated,
}

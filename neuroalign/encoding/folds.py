"""Folds of a ridge problem and their scores: the kernel that the ridge solvers of this room share.

With training rows X (n, p) and Y (n, t), centred on their means, the predictions of test rows at alpha are
``rows @ inverse(gram + alpha) @ cross``, where

- primal: ``gram = X'X`` (p, p), ``cross = X'Y``, ``rows = X_test``;
- kernel: ``gram = XX'`` (n, n), ``cross = Y``, ``rows = X_test X'``; nothing of size (p, p) is formed.

Both are handled alike below, with q for p or n. Sums over training rows are those over all rows less those
over the rows left out, and centring is a rank-one term: X and Y are not copied for a fold. Gram matrices,
their decompositions and sums of squares are in float64, products with targets in the dtype of the data.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .rotations import ROUNDING, decompose, eigen, project, rotation_scores, weights_at

if TYPE_CHECKING:
    import torch

    from .splits import Splits

__all__ = [
    "Design",
    "Fold",
    "Grams",
    "designs",
    "fold_grams",
    "fold_scores",
    "folds",
    "folds_and_total",
    "gram",
    "held_targets",
    "kernel_designs",
    "ridge_weights",
    "row_index",
]

# Targets a tile: the predictions of a tile and their errors stay in the processor's cache.
TILE = 512
CHUNK = 512
MOST_BYTES = 2**28


class Design(NamedTuple):
    """A fold without its targets; q is n_features (primal) or the number of training rows (kernel).

    ``rows`` are the m test rows less their own mean, and one row more: the root of the number of test rows
    times the difference of the test and the training mean. A sum of squares over these m + 1 rows is that
    over the test rows. Where there are more test rows than q, ``rows`` holds the triangular factor of the
    centred test rows and ``reflect`` the orthogonal one, so that m is never above q.
    """

    gram: torch.Tensor  # (q, q) float64, of the centred training rows
    rows: torch.Tensor  # (m + 1, q)
    n_test: int
    dual: bool  # kernel form
    train: Any  # row numbers, or a slice
    test: Any
    out: Any  # the rows that are not trained on, or None where sums are over the training rows themselves
    n_train: int
    x_train: torch.Tensor | None  # (p,) float64: training mean, 0 without an intercept; None in kernel form
    x_test: torch.Tensor | None  # (p,) float64: test mean
    reflect: torch.Tensor | None  # (n_test, m)
    intercept: bool


class Fold(NamedTuple):
    """A design with a block of t targets: everything that its scores need."""

    gram: torch.Tensor  # (q, q) float64
    cross: torch.Tensor  # (q, t)
    rows: torch.Tensor  # (m + 1, q)
    truth: torch.Tensor  # (m + 1, t): test targets as the rows are
    rest: torch.Tensor  # (t,) float64: squares of the centred test targets that no row holds
    y_mean: torch.Tensor  # (t,) float64: what predictions add; 0 without an intercept
    constant: torch.Tensor  # (t,) bool: test targets without variance
    n_test: int
    dual: bool

    def take(self, columns: Any) -> Fold:
        """Return the fold of some of the targets, a slice or column numbers."""
        return self._replace(
            cross=self.cross[:, columns],
            truth=self.truth[:, columns],
            rest=self.rest[columns],
            y_mean=self.y_mean[columns],
            constant=self.constant[columns],
        )


def designs(
    X: torch.Tensor, splits: Splits, *, intercept: bool = True, grams: Grams | None = None
) -> Iterator[Design]:
    """Yield the primal designs of X (n, p), which should be centred on the mean of all rows.

    Each holds a (p, p) matrix in float64; a solver may take them one at a time. ``grams`` are those of
    ``fold_grams``, where they are known.
    """
    grams = Grams(gram(X), []) if grams is None else grams
    sums = X.sum(dim=0, dtype=grams.total.dtype)
    for i, (train, test) in enumerate(splits):
        held = grams.held[i] if grams.held else None
        yield _primal(X, grams.total, held, sums, train, test, intercept)


def fold_grams(X: torch.Tensor, splits: Splits) -> Grams:
    """Return X'X, as the sum over folds where these partition the rows and their matrices fit in 256 MB."""
    tested = np.concatenate([test for _, test in splits])
    whole = all(len(train) + len(test) == len(X) for train, test in splits)
    small = 8 * len(splits) * X.shape[1] ** 2 <= MOST_BYTES
    if not (whole and small and len(tested) == len(np.unique(tested)) == len(X)):
        return Grams(gram(X), [])
    held = [gram(X[row_index(test, X)]) for _, test in splits]
    return Grams(sum(held[1:], start=held[0]), held)


def kernel_designs(
    K: torch.Tensor, splits: Splits, *, intercept: bool = True, dtype: torch.dtype | None = None
) -> Iterator[Design]:
    """Yield the kernel designs of K (n, n) in float64; products with targets will be in ``dtype``."""
    for train, test in splits:
        yield _dual(K, train, test, intercept, dtype or K.dtype)


def folds(X: torch.Tensor | None, Y: torch.Tensor, parts: list[Design]) -> list[Fold]:
    """Return the folds of a block of targets Y (n, t), which should be centred on the mean of all rows.

    ``X`` is that of ``designs``; kernel designs do not read it. X'Y is formed once for all folds.
    """
    return folds_and_total(X, Y, parts)[0]


def folds_and_total(
    X: torch.Tensor | None, Y: torch.Tensor, parts: list[Design]
) -> tuple[list[Fold], torch.Tensor | None]:
    """Return the folds, and X'Y of all rows where it was formed on the way."""
    held = [held_targets(Y, part.test, part.reflect) for part in parts]
    left = [_left_out(X, Y, part, test) for part, test in zip(parts, held, strict=True)]
    total = _total(X, Y, parts, left)
    sums = Y.sum(dim=0, dtype=held[0].mean.dtype)
    found = [_with_targets(*each, X, Y, total, sums) for each in zip(parts, held, left, strict=True)]
    return found, total


def fold_scores(
    fold: Fold, alphas: np.ndarray, scoring: str, *, scale: torch.Tensor | None = None
) -> torch.Tensor:
    """Return the scores (n_alphas, n_targets) of one fold in float64, NaN where test rows are constant.

    Parameters
    ----------
    fold : Fold
        With any number of targets: they are scored in tiles.
    alphas : array (n_alphas,)
        Not negative; at alpha 0 directions without variance get 0, as a pseudo-inverse does.
    scoring : {"r2", "pearson", "neg_mse"}
    scale : tensor (n_features,), optional
        What the features are multiplied by: the square root of the weight of each feature's band; 0 turns a
        feature off. For primal folds; a kernel fold is built from a weighted Gram matrix instead.
    """
    import torch

    rotation = decompose(fold, alphas, scale=scale)
    scores = []
    for start in range(0, fold.cross.shape[1], TILE):
        part = fold.take(slice(start, start + TILE))
        scores.append(rotation_scores(rotation, part, project(rotation, part.cross, scale), scoring).scores)
    return torch.cat(scores, dim=1)


def ridge_weights(
    gram: torch.Tensor, cross: torch.Tensor, alphas: torch.Tensor, *, scale: torch.Tensor | None = None
) -> torch.Tensor:
    """Return weights (q, t) that solve ``gram + alpha`` for ``cross`` (q, t), each target at its own alpha.

    With ``scale`` the weights are those of the features before they were scaled.
    """
    found = eigen(gram, dtype=cross.dtype, scale=scale)
    weights = weights_at(found, project(found, cross, scale), alphas)
    return weights if scale is None else weights * scale.to(weights.dtype)[:, None]


def gram(X: torch.Tensor) -> torch.Tensor:
    """Return X'X (p, p) in float64 from X (n, p) in any precision; only one half is computed."""
    import torch

    n, p = X.shape
    found = torch.zeros(p, p, dtype=torch.float64, device=X.device)
    for row in range(0, n, CHUNK):
        part = X[row : row + CHUNK].to(torch.float64)
        for start in range(0, p, CHUNK):
            stop = min(start + CHUNK, p)
            found[start:stop, :stop].addmm_(part[:, start:stop].T, part[:, :stop])
    return found.tril() + found.tril(-1).T


class Grams(NamedTuple):
    """X'X (p, p) of all rows, and of each fold's test rows where these partition the rows (else empty)."""

    total: torch.Tensor
    held: list[torch.Tensor]


class Held(NamedTuple):
    """The targets of test rows: centred, and reflected where ``Design.rows`` are."""

    truth: torch.Tensor  # (m, t)
    rest: torch.Tensor  # (t,)
    mean: torch.Tensor  # (t,)
    constant: torch.Tensor  # (t,)


def _primal(
    X: torch.Tensor,
    total: torch.Tensor,
    left_out: torch.Tensor | None,
    sums: torch.Tensor,
    train: Any,
    test: Any,
    intercept: bool,
) -> Design:
    import torch

    n = len(X)
    left = np.setdiff1d(np.arange(n), train)
    direct = len(left) > len(train)
    out, rows = row_index(left, X), row_index(train, X)
    if direct:
        matrix, sums = gram(X[rows]), X[rows].sum(dim=0, dtype=total.dtype)
    else:
        left_out = gram(X[out]) if left_out is None else left_out
        matrix, sums = total - left_out, sums - X[out].sum(dim=0, dtype=total.dtype)
    mean = sums / len(train) if intercept else torch.zeros_like(sums)
    matrix = matrix - len(train) * mean * mean[:, None]
    held = X[row_index(test, X)]
    centre = held.mean(dim=0, dtype=total.dtype)
    varying, reflect = _compact(_centred(held, centre))
    level = ((centre - mean) * len(test) ** 0.5).to(X.dtype)
    return Design(
        gram=matrix,
        rows=torch.cat([varying, level[None]]),
        n_test=len(test),
        dual=False,
        train=rows,
        test=row_index(test, X),
        out=None if direct else out,
        n_train=len(train),
        x_train=mean,
        x_test=centre,
        reflect=reflect,
        intercept=intercept,
    )


def _dual(K: torch.Tensor, train: Any, test: Any, intercept: bool, dtype: torch.dtype) -> Design:
    import torch

    rows, held = row_index(train, K), row_index(test, K)
    matrix, cross = K[rows][:, rows], K[held][:, rows]
    if intercept:
        mean = matrix.mean(dim=0)
        matrix = matrix - mean - mean[:, None] + mean.mean()
        cross = cross - cross.mean(dim=1, keepdim=True) - mean + mean.mean()
    centre = cross.mean(dim=0)
    varying, reflect = _compact(_centred(cross, centre))
    return Design(
        gram=matrix,
        rows=torch.cat([varying, centre[None] * len(test) ** 0.5]).to(dtype),
        n_test=len(test),
        dual=True,
        train=rows,
        test=held,
        out=row_index(np.setdiff1d(np.arange(len(K)), train), K),
        n_train=len(train),
        x_train=None,
        x_test=None,
        reflect=None if reflect is None else reflect.to(dtype),
        intercept=intercept,
    )


def _compact(rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Return the rows, or their triangular and orthogonal factors where there are more rows than columns."""
    import torch

    if len(rows) <= rows.shape[1]:
        return rows, None
    reflect, triangle = torch.linalg.qr(rows.to(torch.float64))
    return triangle.to(rows.dtype), reflect.to(rows.dtype)


def held_targets(Y: torch.Tensor, test: Any, reflect: torch.Tensor | None = None) -> Held:
    """Return the targets of test rows, centred on their own mean."""
    import torch

    y = Y[test]
    mean = y.mean(dim=0, dtype=torch.float64)
    largest, smallest = y.amax(dim=0).to(mean.dtype), y.amin(dim=0).to(mean.dtype)
    spread = torch.maximum(largest - mean, mean - smallest)
    constant = spread <= ROUNDING * torch.maximum(largest.abs(), smallest.abs())
    centred = y - mean.to(y.dtype)
    if reflect is None:
        return Held(centred, torch.zeros_like(mean), mean, constant)
    truth = reflect.T @ centred
    rest = (centred * centred).sum(dim=0, dtype=mean.dtype) - (truth * truth).sum(dim=0, dtype=mean.dtype)
    return Held(truth, rest.clamp(min=0.0), mean, constant)


def _left_out(X: torch.Tensor | None, Y: torch.Tensor, part: Design, held: Held) -> torch.Tensor | None:
    """Return X'Y of the rows that are not trained on, from the factors of the test rows where there are."""
    if X is None or part.dual or part.out is None:
        return None
    if part.reflect is None or part.x_test is None or not _samerow_index(part.out, part.test):
        return X[part.out].T @ Y[part.out]
    means = part.n_test * part.x_test[:, None] * held.mean
    return part.rows[:-1].T @ held.truth + means.to(Y.dtype)


def _total(
    X: torch.Tensor | None, Y: torch.Tensor, parts: list[Design], left: list[Any]
) -> torch.Tensor | None:
    """Return X'Y of all rows: the sum of the parts where each row is left out once."""
    import torch

    if X is None or all(each is None for each in left):
        return None
    if all(each is not None for each in left):
        counts = torch.zeros(len(Y), dtype=torch.long, device=Y.device)
        for part in parts:
            counts[part.out] += 1
        if bool((counts == 1).all()):
            return torch.stack(left).sum(dim=0)
    return X.T @ Y


def _with_targets(
    part: Design,
    held: Held,
    left: torch.Tensor | None,
    X: torch.Tensor | None,
    Y: torch.Tensor,
    total: torch.Tensor | None,
    sums: torch.Tensor,
) -> Fold:
    import torch

    if part.out is None:
        sums = Y[part.train].sum(dim=0, dtype=sums.dtype)
    else:
        sums = sums - Y[part.out].sum(dim=0, dtype=sums.dtype)
    mean = sums / part.n_train if part.intercept else torch.zeros_like(sums)
    if part.dual:
        cross = Y[part.train] - mean.to(Y.dtype)
    else:
        assert X is not None and part.x_train is not None  # noqa: S101 - for the type checker
        cross = X[part.train].T @ Y[part.train] if total is None or left is None else total - left
        cross = cross - ((part.n_train * part.x_train)[:, None] * mean).to(Y.dtype)
    level = ((held.mean - mean) * part.n_test**0.5).to(Y.dtype)
    truth = torch.cat([held.truth, level[None]])
    return Fold(part.gram, cross, part.rows, truth, held.rest, mean, held.constant, part.n_test, part.dual)


def _centred(x: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
    """Return x less its mean; a column that varies by rounding only is exactly 0."""
    import torch

    centred = x - mean.to(x.dtype)
    flat = centred.abs().amax(dim=0) <= ROUNDING * x.abs().amax(dim=0)
    return torch.where(flat, 0.0, centred)


def row_index(rows: Any, like: torch.Tensor) -> Any:
    """Return row numbers as a slice where they are consecutive, which takes a view, else as a tensor."""
    import torch

    rows = np.asarray(rows)
    if len(rows) and (np.diff(rows) == 1).all():
        return slice(int(rows[0]), int(rows[-1]) + 1)
    return torch.as_tensor(rows, dtype=torch.long, device=like.device)


def _samerow_index(a: Any, b: Any) -> bool:
    import torch

    if isinstance(a, slice) or isinstance(b, slice):
        return isinstance(a, slice) and isinstance(b, slice) and a == b
    return len(a) == len(b) and bool(torch.equal(a.sort()[0], b.sort()[0]))

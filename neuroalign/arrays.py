"""The only place that moves arrays between numpy and torch, picks the device and holds the dtype policy.

Policy: results may be stored in float32; means, sums of squares and scores accumulate in float64. Draws are
made with numpy on the CPU and then moved.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import InvalidValueError, ShapeError, choice

if TYPE_CHECKING:
    import torch

__all__ = [
    "DTYPES",
    "as_float",
    "merge_moments",
    "n_threads",
    "pick_device",
    "to_numpy",
    "to_torch",
    "torch_dtype",
]

DTYPES = ("float16", "bfloat16", "float32", "float64")


def as_float(
    values: Any,
    *,
    name: str,
    ndim: int | tuple[int, ...] | None = None,
    dtype: Any = np.float64,
    finite: bool = True,
    missing: bool = False,
) -> np.ndarray:
    """Return ``values`` as a float array, or refuse them with what came and where.

    Parameters
    ----------
    values : array_like
        Numbers; booleans and integers are converted. Never edited; the same memory is returned where it
        already is of the dtype asked for.
    name : str
        What the error calls them.
    ndim : int or tuple of int, optional
        Numbers of dimensions that are allowed.
    dtype : numpy dtype
        Of the result.
    finite : bool
        Whether NaN and infinity are refused.
    missing : bool
        Whether NaN is let through all the same: infinity alone is refused.

    Raises
    ------
    ShapeError
        If the number of dimensions is another one.
    InvalidValueError
        If the values are complex, no numbers, not finite, or hidden by the mask of a masked array.
    """
    if np.ma.is_masked(values):
        raise InvalidValueError(
            f"{name} is a masked array that hides {np.ma.count_masked(values)} of {values.size} values; "
            "fill them (with NaN where NaN is allowed) or leave these rows or columns out."
        )
    array = np.asarray(values)
    if array.dtype.kind not in "fiub":
        raise InvalidValueError(f"{name} must be real numbers; got dtype {array.dtype}.")
    allowed = (ndim,) if isinstance(ndim, int) else ndim
    if allowed is not None and array.ndim not in allowed:
        wanted = " or ".join(map(str, allowed))
        raise ShapeError(f"{name} must have {wanted} dimension(s); got shape {array.shape}.")
    array = array.astype(dtype, copy=False)
    if finite and not np.isfinite(array).all():
        bad = np.argwhere(np.isinf(array) if missing else ~np.isfinite(array))
        if not len(bad):
            return array
        where, what = tuple(int(i) for i in bad[0]), "finite or NaN" if missing else "finite"
        raise InvalidValueError(
            f"{name} must be {what}; {len(bad)} of {array.size} values are not, "
            f"the first is {array[where]} at position {where if len(where) != 1 else where[0]}."
        )
    return array


def merge_moments(
    n: np.ndarray, mean: np.ndarray, m2: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return count, mean and centred sum of squares of several groups taken together.

    ``N = sum n``, ``mean = sum n mean / N``, ``m2 = sum m2 + sum n (mean_g - mean)^2``, in float64: moments
    computed apart are those of the whole. Means are taken relative to the largest group's, so that equal
    means stay equal.

    Parameters
    ----------
    n : array (n_groups, ...)
        Observations in each group. A group with none is neutral, whatever its mean and m2 are.
    mean, m2 : array (n_groups, ..., n_units)
        Means, and sums of squared differences from them. NaN and infinity go on into the result.

    Returns
    -------
    n : array (...,)
    mean, m2 : array (..., n_units)
        Without any observation the mean is NaN and m2 is 0.

    References
    ----------
    Chan, Golub & LeVeque (1983), The American Statistician 37, 242-247, equation 2.1, for any number of
    groups.

    Examples
    --------
    >>> merge_moments(np.array([2, 1]), np.array([[1.0], [4.0]]), np.array([[2.0], [0.0]]))
    (np.int64(3), array([2.]), array([8.]))
    """
    n = np.asarray(n)
    mean, m2 = (as_float(x, name=name, finite=False) for x, name in ((mean, "mean"), (m2, "m2")))
    if n.ndim < 1 or mean.shape[:-1] != n.shape or m2.shape != mean.shape:
        raise ShapeError(
            "moments must be n (n_groups, ...), mean and m2 (n_groups, ..., n_units); got "
            f"{n.shape}, {mean.shape}, {m2.shape}."
        )
    weight = n[..., None].astype(np.float64)
    mean, m2 = np.where(weight > 0, mean, 0.0), np.where(weight > 0, m2, 0.0)
    total = weight.sum(0)
    with np.errstate(invalid="ignore"):
        start = np.take_along_axis(mean, n.argmax(0)[None, ..., None], axis=0)[0]
        together = start + (weight * (mean - start)).sum(0) / total
    return n.sum(0), together, m2.sum(0) + (weight * (mean - np.where(total > 0, together, 0.0)) ** 2).sum(0)


def to_numpy(tensor: torch.Tensor) -> np.ndarray:
    """Return a tensor's values as a numpy array on the CPU; bfloat16, which numpy lacks, as float32."""
    import torch

    tensor = tensor.detach()
    if tensor.dtype == torch.bfloat16:
        tensor = tensor.float()
    return tensor.cpu().numpy()


def to_torch(array: np.ndarray, *, device: Any = "cpu", dtype: Any = None) -> torch.Tensor:
    """Return an array as a tensor on ``device``; a read-only array is copied, never written through."""
    import torch

    array = np.ascontiguousarray(array)
    if not array.flags.writeable:
        array = array.copy()
    return torch.from_numpy(array).to(device=device, dtype=dtype)


def torch_dtype(name: str) -> torch.dtype:
    """Return the torch dtype of a name in ``DTYPES``."""
    import torch

    if name not in DTYPES:
        raise choice(name, DTYPES, name="dtype")
    return getattr(torch, name)


def pick_device(device: str = "auto") -> torch.device:
    """Return the torch device that a name stands for.

    ``"auto"`` takes a CUDA device where there is one, else the CPU. Asking for a GPU where there is none is
    an error, not a slower run.
    """
    import torch

    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(device)
    except RuntimeError as error:
        raise InvalidValueError(f"device must be 'auto', 'cpu' or 'cuda[:n]'; got {device!r}.") from error
    if found.type == "cuda" and (found.index or 0) >= torch.cuda.device_count():
        raise InvalidValueError(
            f"device {device!r} was asked for, but {torch.cuda.device_count()} CUDA devices are visible. "
            "Pass device='auto' to take what there is."
        )
    return found


def n_threads() -> int:
    """Return how many threads torch computes with (1 where torch is not installed)."""
    try:
        import torch
    except ImportError:
        return 1
    return torch.get_num_threads()

"""How a ridge problem is solved: form, decomposition, dtype, block of targets, device; and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..arrays import pick_device
from ..errors import InvalidValueError, choice
from .compression import LEAST_ALPHAS
from .dual import applies

if TYPE_CHECKING:
    from .splits import Splits

__all__ = ["DECOMPOSITIONS", "PRECISIONS", "SOLVERS", "SUMMED_TOLERANCES", "Plan", "Wishes", "choose"]

SOLVERS = ("auto", "primal", "kernel")
PRECISIONS = ("auto", "float32", "float64")
DECOMPOSITIONS = ("auto", "folds", "one")
BLOCKS = {"cpu": 512, "cuda": 4096}
# Largest expected error of a compressed prediction, as a share of a target's standard deviation: as cheap a
# basis as leaves few alphas a target to be compared exactly. Scores that are summed over targets are not
# compared exactly, so they need a smaller one.
TOLERANCE = 1e-2
SUMMED_TOLERANCES = {"float32": 1e-5, "float64": 1e-9}
# How many products of a matrix of the same size an eigendecomposition in float64 costs (measured, MKL).
EIGEN_COST = {"float32": 23.0, "float64": 10.0}


class Wishes(NamedTuple):
    """What was asked for; "auto" or None leaves it to ``choose``."""

    solver: str = "auto"
    decomposition: str = "auto"
    dtype: str = "auto"
    compress: Any = "auto"
    tf32: bool = False
    target_block: int | None = None
    device: str = "auto"


class Plan(NamedTuple):
    """What was chosen, and why."""

    kernel: bool
    one: bool  # one eigendecomposition for all folds
    dtype: str
    device: str
    block: int
    tolerance: float | None  # of compressed alphas
    tf32: bool
    why: dict[str, str]
    peak_bytes: int

    def __str__(self) -> str:
        form = "kernel" if self.kernel else "primal"
        return (
            f"{form} ({self.why['solver']}); {self.dtype}, blocks of {self.block:,} targets, {self.device}, "
            f"about {self.peak_bytes / 1e6:,.1f} MB"
        )

    def report(self) -> dict[str, Any]:
        """Return the choices, their reasons and the predicted peak of extra memory as one dict."""
        return {
            "solver": "kernel" if self.kernel else "primal",
            "decomposition": "one" if self.one else "folds",
            "dtype": self.dtype,
            "gram_dtype": "float64",
            "device": self.device,
            "target_block": self.block,
            "compression_tolerance": self.tolerance,
            "tf32_selection": self.tf32,
            "peak_bytes": self.peak_bytes,
            "why": dict(self.why),
        }


def choose(
    n: int,
    p: int | None,
    t: int,
    splits: Splits,
    alphas: np.ndarray,
    dtypes: tuple[Any, ...],
    wishes: Wishes,
) -> Plan:
    """Return the plan for n rows, p features (None: a precomputed kernel) and t targets."""
    _check(wishes)
    why = {}
    kernel, why["solver"] = _form(n, p, wishes.solver)
    dtype, why["dtype"] = _precision(dtypes, wishes.dtype)
    device = pick_device(wishes.device)
    why["device"] = "asked for" if wishes.device != "auto" else f"{device.type} is what there is"
    one, why["decomposition"] = _decomposition(n, t, splits, alphas, dtype, kernel, wishes.decomposition)
    tolerance, why["compression"] = _compression(len(alphas), one, wishes.compress)
    block = min(wishes.target_block or BLOCKS.get(device.type, BLOCKS["cpu"]), t)
    why["target_block"] = "asked for" if wishes.target_block else f"{device.type}, {t} targets"
    tf32 = bool(wishes.tf32) and device.type == "cuda"
    why["tf32_selection"] = "asked for" if tf32 else "off" if not wishes.tf32 else "asked for; no CUDA device"
    peak = _peak(n, p or n, block, splits, len(alphas), dtype, kernel, one)
    return Plan(kernel, one, dtype, str(device), block, tolerance, tf32, why, peak)


def _check(wishes: Wishes) -> None:
    named = (("solver", SOLVERS), ("dtype", PRECISIONS), ("decomposition", DECOMPOSITIONS))
    for name, allowed in named:
        if getattr(wishes, name) not in allowed:
            raise choice(getattr(wishes, name), allowed, name=name)
    if not (isinstance(wishes.compress, bool) or wishes.compress == "auto"):
        raise InvalidValueError(f"compress must be 'auto', True or False; got {wishes.compress!r}.")
    block = wishes.target_block
    if block is not None and (
        isinstance(block, bool) or not isinstance(block, int | np.integer) or block < 1
    ):
        raise InvalidValueError(f"target_block must be a positive integer or None; got {block!r}.")


def _form(n: int, p: int | None, asked: str) -> tuple[bool, str]:
    if p is None:
        return True, f"a precomputed kernel of {n} rows"
    if asked != "auto":
        return asked == "kernel", "asked for"
    return p > n, f"{p} features, {n} rows"


def _precision(dtypes: tuple[Any, ...], asked: str) -> tuple[str, str]:
    if asked != "auto":
        return asked, "asked for"
    single = all(np.dtype(each) in (np.float16, np.float32) for each in dtypes)
    names = " and ".join(str(np.dtype(each)) for each in dtypes)
    return ("float32" if single else "float64"), f"data are {names}"


def _decomposition(
    n: int, t: int, splits: Splits, alphas: np.ndarray, dtype: str, kernel: bool, asked: str
) -> tuple[bool, str]:
    possible = kernel and applies(splits, n, alphas)
    if asked == "one" and not possible:
        raise InvalidValueError(
            "decomposition='one' needs the kernel form, folds that partition the rows without a purge, and "
            "no alpha of 0. Pass decomposition='auto' or 'folds'."
        )
    if asked != "auto":
        return asked == "one", "asked for"
    if not possible:
        return False, "primal form" if not kernel else "folds do not partition the rows, or alpha is 0"
    one, many = _costs(n, t, splits, len(alphas), EIGEN_COST[dtype])
    return one <= many, f"about {one:.1e} operations from one decomposition, {many:.1e} from one a fold"


def _costs(n: int, t: int, splits: Splits, n_alphas: int, eigen: float) -> tuple[float, float]:
    """Return multiplications and additions of the two ways in kernel form, in the dtype of the data."""
    one = eigen * n**3 + 4.0 * n**2 * t + n_alphas * 2.0 * n**2 * t
    many = eigen * n**3 + 4.0 * n**2 * t
    for train, test in splits:
        held, rows = float(len(test)), float(len(train))
        one += n_alphas * (2 * held**2 * n + held**3 + 2 * held**2 * t)
        many += eigen * rows**3 + 2 * held * rows**2 + 2 * t * rows**2 + n_alphas * 2 * held * rows * t
    return one, many


def _compression(n_alphas: int, one: bool, asked: Any) -> tuple[float | None, str]:
    if asked is False:
        return None, "asked for none"
    if one:
        return None, "one decomposition serves all folds"
    if n_alphas < LEAST_ALPHAS:
        return None, f"{n_alphas} alphas, fewer than {LEAST_ALPHAS}"
    return TOLERANCE, "where a fold's alphas have a lower rank"


def _peak(
    n: int, p: int, block: int, splits: Splits, n_alphas: int, dtype: str, kernel: bool, one: bool
) -> int:
    """Return about how many bytes are held at most, beyond the data and the weights."""
    size, k = np.dtype(dtype).itemsize, len(splits)
    q = n if kernel else p
    held = max(len(test) for _, test in splits)
    matrices = 8 * 4 * q * q + size * (n * p + q * q)
    if one:
        matrices += size * n_alphas * sum(len(test) ** 2 for _, test in splits)
        work = 3 * n * block
    else:
        basis = min(n_alphas, 10) if n_alphas >= LEAST_ALPHAS else 0
        matrices += size * k * (q * q + (1 + basis) * held * q)
        work = (2 * k * q + 2 * n + (basis + 2) * (q + held) + 2 * p) * block
    return int(matrices + size * work)

"""What every output carries: version, inputs' digests, parameters, seed, threads, device."""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping
from functools import cache
from typing import Any

from .. import __version__
from ..arrays import n_threads

__all__ = ["provenance"]

PACKAGES = ("numpy", "scipy", "xarray", "torch", "transformers", "scikit-learn", "nilearn", "pandas")


def provenance(
    *,
    inputs: Mapping[str, str] | None = None,
    params: Mapping[str, Any] | None = None,
    seed: int | None = None,
    device: str = "cpu",
) -> dict[str, Any]:
    """Return where a result comes from. No time stamp: the same run gives the same bytes.

    Parameters
    ----------
    inputs : mapping of str to str, optional
        Name of each input and its digest.
    params : mapping, optional
        Every parameter that decided the result.
    seed : int, optional
    device : str
        Where it was computed.
    """
    return {
        "neuroalign": __version__,
        "python": platform.python_version(),
        "machine": f"{platform.machine()} {sys.platform}",
        "versions": dict(_versions()),
        "inputs": dict(inputs or {}),
        "params": dict(params or {}),
        "seed": seed,
        "threads": n_threads(),
        "device": device,
    }


@cache
def _versions() -> tuple[tuple[str, str], ...]:
    """Return the installed packages that decide numbers; asked for once a process."""
    from importlib.metadata import PackageNotFoundError, version

    found = []
    for package in PACKAGES:
        try:
            found.append((package, version(package)))
        except PackageNotFoundError:
            continue
    return tuple(found)

"""Data sets by name, downloaded by name, and simulated responses of known truth."""

from .fetching import available, fetch
from .hemodynamics import convolve_hrf, spm_hrf
from .loading import LOADERS, load
from .simulation import ceilings, simulate
from .sources import manifest

__all__ = [
    "LOADERS",
    "available",
    "ceilings",
    "convolve_hrf",
    "fetch",
    "load",
    "manifest",
    "simulate",
    "spm_hrf",
]

"""Ask whether a network represent the world as a brain does.

Rooms are loaded when first touched, so that ``import neuroalign`` stays light: it loads neither torch,
nilearn, scikit-learn, matplotlib, xarray nor pandas.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_ROOMS = (
    "arrays",
    "datasets",
    "encoding",
    "errors",
    "extraction",
    "geometry",
    "io",
    "localization",
    "plotting",
    "rsa",
    "schema",
    "seeds",
    "similarity",
    "spatial",
    "stats",
    "stimuli",
    "workflow",
)

__all__ = ["__version__", *_ROOMS]


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module 'neuroalign' has no attribute {name!r}; its rooms are {', '.join(_ROOMS)}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_ROOMS])

"""Topological RSA: geo-topological transforms, geodesics, model selection, dependence, toy curves."""

from .curves import CURVES, toy_curves, toy_rings
from .dependence import agtdm
from .families import FAMILIES, family, grid
from .geodesics import EDGES, geodesic
from .selection import CONTROLS, model_selection
from .transforms import KINDS, geo_topological

__all__ = [
    "CONTROLS",
    "CURVES",
    "EDGES",
    "FAMILIES",
    "KINDS",
    "agtdm",
    "family",
    "geo_topological",
    "geodesic",
    "grid",
    "model_selection",
    "toy_curves",
    "toy_rings",
]

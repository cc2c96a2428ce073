"""The shape of one representation: classes, features, dimensions, abstraction, graphs, motion, timescales."""

from .abstraction import parallelism_score
from .dimensionality import dimension_curve, participation_ratio
from .discrimination import discrimination_value
from .dynamics import stream_dynamics
from .energy import dirichlet_energy, neighbour_mixing
from .features import variance_explained
from .generalisation import cross_condition_generalisation, shattering_dimensionality
from .intrinsic import intrinsic_dimension
from .spectra import spectral_alignment
from .timescales import unit_timescales

__all__ = [
    "cross_condition_generalisation",
    "dimension_curve",
    "dirichlet_energy",
    "discrimination_value",
    "intrinsic_dimension",
    "neighbour_mixing",
    "parallelism_score",
    "participation_ratio",
    "shattering_dimensionality",
    "spectral_alignment",
    "stream_dynamics",
    "unit_timescales",
    "variance_explained",
]

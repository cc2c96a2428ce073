"""Where units lie: graphs, spatial autocorrelation, smoothing, clusters, surrogate maps, losses."""

from .autocorrelation import bivariate_moran, dirichlet_energy, geary, moran
from .clusters import cluster_sizes, clusters, largest_cluster
from .graphs import components, distances, islands, lattice, lattice_positions, mesh, row_standardise
from .local import local_geary, local_moran, local_null
from .losses import SpatialLoss, spatial_smoothness, spatial_smoothness_loss
from .nulls import shuffled, spectral_randomisations, torus_shifts
from .smoothing import fwhm, gaussian_kernel, heat_kernel, smooth

__all__ = [
    "SpatialLoss",
    "bivariate_moran",
    "cluster_sizes",
    "clusters",
    "components",
    "dirichlet_energy",
    "distances",
    "fwhm",
    "gaussian_kernel",
    "geary",
    "heat_kernel",
    "islands",
    "largest_cluster",
    "lattice",
    "lattice_positions",
    "local_geary",
    "local_moran",
    "local_null",
    "mesh",
    "moran",
    "row_standardise",
    "shuffled",
    "smooth",
    "spatial_smoothness",
    "spatial_smoothness_loss",
    "spectral_randomisations",
    "torus_shifts",
]

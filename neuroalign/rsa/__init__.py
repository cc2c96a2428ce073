"""Representational similarity analysis: RDMs, their comparison, noise ceilings, evaluation of models."""

from . import models, topology
from .compare import METHODS, compare
from .dynamics import movie, time_course
from .evaluation import evaluate, noise_ceiling
from .generalisation import cross_temporal_distance, temporal_generalisation
from .inference import infer, merge_draws
from .merging import merge_rdms, rescale_rdms, union_rdms
from .neighbours import nearest_neighbours, spheres, surface_neighbours
from .noise import NOISE_METHODS, noise_covariance, noise_precision, whiten
from .rdms import METRICS, rdm
from .regression import partial_compare, regress, variance_partition
from .scaling import mds
from .searchlight import searchlight
from .searchlight_reliability import searchlight_reliability
from .searchlight_tests import searchlight_tests
from .transforms import TRANSFORMS, mean_rdm, subset, transform
from .windows import window_patterns

__all__ = [
    "METHODS",
    "METRICS",
    "NOISE_METHODS",
    "TRANSFORMS",
    "compare",
    "cross_temporal_distance",
    "evaluate",
    "infer",
    "mds",
    "mean_rdm",
    "merge_draws",
    "merge_rdms",
    "models",
    "movie",
    "nearest_neighbours",
    "noise_ceiling",
    "noise_covariance",
    "noise_precision",
    "partial_compare",
    "rdm",
    "regress",
    "rescale_rdms",
    "searchlight",
    "searchlight_reliability",
    "searchlight_tests",
    "spheres",
    "subset",
    "surface_neighbours",
    "temporal_generalisation",
    "time_course",
    "topology",
    "transform",
    "union_rdms",
    "variance_partition",
    "whiten",
    "window_patterns",
]

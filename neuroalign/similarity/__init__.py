"""How alike two representations are: one tested definition a name, conventions stated."""

from .alignment import cka, features_of_gram, kernel_alignment, rv, rv2, rv_adjusted
from .correlations import canonical_correlations, cca, pwcca, svcca
from .inputs import DegenerateWarning
from .joint_clusters import cluster_units
from .losses import cka_loss
from .matching import hard_matching, soft_matching, soft_matching_distance
from .measures import DISTANCES, MEASURES, compare
from .neighbours import cknna, jaccard, mutual_knn, second_order_cosine
from .predictivity import linear_predictivity, ridge_predict
from .relative import relative_representation, stitching_test
from .shapes import bures_distance, procrustes, shape_distance, shape_mean
from .streaming import StreamedCKA, minibatch_cka
from .testing import test
from .unit_correlation import StreamedUnitCorrelation, best_partners, unit_correlation
from .unit_matching import MATCHINGS, match_units, matching_test
from .unit_prediction import sparse_prediction
from .universal import excess_correlation, mutual_sets

__all__ = [
    "DISTANCES",
    "MATCHINGS",
    "MEASURES",
    "DegenerateWarning",
    "StreamedCKA",
    "StreamedUnitCorrelation",
    "best_partners",
    "bures_distance",
    "canonical_correlations",
    "cca",
    "cka",
    "cka_loss",
    "cknna",
    "cluster_units",
    "compare",
    "excess_correlation",
    "features_of_gram",
    "hard_matching",
    "jaccard",
    "kernel_alignment",
    "linear_predictivity",
    "match_units",
    "matching_test",
    "minibatch_cka",
    "mutual_knn",
    "mutual_sets",
    "procrustes",
    "pwcca",
    "relative_representation",
    "ridge_predict",
    "rv",
    "rv2",
    "rv_adjusted",
    "second_order_cosine",
    "shape_distance",
    "shape_mean",
    "soft_matching",
    "soft_matching_distance",
    "sparse_prediction",
    "stitching_test",
    "svcca",
    "test",
    "unit_correlation",
]

"""The only inference code: scores, permutations, bootstrap, correction, ceilings, isc."""

from .autocorrelation import ar1, block_length, block_lengths, effective_n, integrated_time
from .bootstraps import Bootstrap, bootstrap
from .ceilings import mean_of_others, noise_ceiling, spearman_brown, split_half
from .clusters import cluster_test
from .commonality import all_unions, commonalities
from .correction import fdr, holm, max_p
from .explainable import explainable_variance, normalized, split_half_ceiling
from .extrapolation import extrapolated_ceiling, fit_saturation
from .flips import ENUMERATED, sign_flips
from .intersubject import by_subject, isc
from .latencies import latencies, latency_difference
from .maps import BlockTests, block_tests, map_tests
from .means import mean_tests
from .permutations import block_shuffle, circular_shift, p_value, permutation, shuffle
from .preparation import detrend_linear, prepare_series, standardize
from .resampled import ResampledTests, dual_variance, effective_dof, resampled_tests
from .scores import SCORES, explained_variance, is_constant, mse, pearson_r, r2, spearman

__all__ = [
    "ENUMERATED",
    "SCORES",
    "BlockTests",
    "Bootstrap",
    "ResampledTests",
    "all_unions",
    "ar1",
    "block_length",
    "block_lengths",
    "block_shuffle",
    "block_tests",
    "bootstrap",
    "by_subject",
    "circular_shift",
    "cluster_test",
    "commonalities",
    "detrend_linear",
    "dual_variance",
    "effective_dof",
    "effective_n",
    "explainable_variance",
    "explained_variance",
    "extrapolated_ceiling",
    "fdr",
    "fit_saturation",
    "holm",
    "integrated_time",
    "is_constant",
    "isc",
    "latencies",
    "latency_difference",
    "map_tests",
    "max_p",
    "mean_of_others",
    "mean_tests",
    "mse",
    "noise_ceiling",
    "normalized",
    "p_value",
    "pearson_r",
    "permutation",
    "prepare_series",
    "r2",
    "resampled_tests",
    "shuffle",
    "sign_flips",
    "spearman",
    "spearman_brown",
    "split_half",
    "split_half_ceiling",
    "standardize",
]

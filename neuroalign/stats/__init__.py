"""The only inference code: scores, permutations, bootstrap, correction, ceilings, isc."""

from .bootstraps import Bootstrap, bootstrap
from .ceilings import mean_of_others, noise_ceiling, spearman_brown, split_half
from .correction import fdr
from .intersubject import by_subject, isc
from .permutations import block_shuffle, circular_shift, p_value, permutation, shuffle
from .preparation import detrend_linear, prepare_series, standardize
from .scores import SCORES, explained_variance, is_constant, mse, pearson_r, r2, spearman

__all__ = [
    "SCORES",
    "Bootstrap",
    "block_shuffle",
    "bootstrap",
    "by_subject",
    "circular_shift",
    "detrend_linear",
    "explained_variance",
    "fdr",
    "is_constant",
    "isc",
    "mean_of_others",
    "mse",
    "noise_ceiling",
    "p_value",
    "pearson_r",
    "permutation",
    "prepare_series",
    "r2",
    "shuffle",
    "spearman",
    "spearman_brown",
    "split_half",
    "standardize",
]

"""Encoding models: time-aware designs, splits, ridge and its kin, feature spaces, evaluation, inference."""

from .attribution import product_measure, split_scores
from .banded import BandedRidgeCV
from .bands import band_of, join_bands, take_bands, with_bands
from .best_hrf import best_hrf
from .decoding import decode, temporal_decoding
from .delays import delay
from .design import TimeSeriesDesign
from .diagnostics import diagnostics
from .downsampling import METHODS, to_trs
from .drifts import DRIFTS, drift_basis, remove_drifts
from .evaluation import cross_validated_predictions, evaluate
from .groups import group_mean, leave_one_subject_out
from .held_out import predict_held_out
from .hrf import GLOVER, HRFS, SPM, DoubleGamma, convolve, convolve_events, hrf_library, hrf_rows
from .inference import score_tests
from .kernel import KernelRidgeCV
from .lags import lag
from .linear import OLS
from .nesting import group_splits, nested_splits, purge_splits
from .nonnegative import NonNegativeRidgeCV
from .partitioning import union_scores, variance_partitioning
from .pls import PLSCV
from .presentations import stratified_splits
from .reduction import REDUCTIONS, BandReduction
from .response_functions import TemporalResponseFunction
from .ridge import AlphaEdgeWarning, RidgeCV
from .searchlight import searchlight
from .searchlight_tests import searchlight_tests
from .simplex import simplex_weights
from .small import BatchedRidge
from .splits import contiguous_splits, leave_one_run_out, shuffled_splits
from .stacking import StackingCV

__all__ = [
    "DRIFTS",
    "GLOVER",
    "HRFS",
    "METHODS",
    "OLS",
    "PLSCV",
    "REDUCTIONS",
    "SPM",
    "AlphaEdgeWarning",
    "BandReduction",
    "BandedRidgeCV",
    "BatchedRidge",
    "DoubleGamma",
    "KernelRidgeCV",
    "NonNegativeRidgeCV",
    "RidgeCV",
    "StackingCV",
    "TemporalResponseFunction",
    "TimeSeriesDesign",
    "band_of",
    "best_hrf",
    "contiguous_splits",
    "convolve",
    "convolve_events",
    "cross_validated_predictions",
    "decode",
    "delay",
    "diagnostics",
    "drift_basis",
    "evaluate",
    "group_mean",
    "group_splits",
    "hrf_library",
    "hrf_rows",
    "join_bands",
    "lag",
    "leave_one_run_out",
    "leave_one_subject_out",
    "nested_splits",
    "predict_held_out",
    "product_measure",
    "purge_splits",
    "remove_drifts",
    "score_tests",
    "searchlight",
    "searchlight_tests",
    "shuffled_splits",
    "simplex_weights",
    "split_scores",
    "stratified_splits",
    "take_bands",
    "temporal_decoding",
    "to_trs",
    "union_scores",
    "variance_partitioning",
    "with_bands",
]

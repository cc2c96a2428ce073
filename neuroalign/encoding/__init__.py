"""Encoding models: delays, downsampling, splits, ridge with an alpha for every target, evaluation."""

from .delays import delay
from .downsampling import METHODS, to_trs
from .evaluation import evaluate
from .groups import group_mean, leave_one_subject_out
from .ridge import AlphaEdgeWarning, RidgeCV
from .splits import contiguous_splits, leave_one_run_out, shuffled_splits

__all__ = [
    "METHODS",
    "AlphaEdgeWarning",
    "RidgeCV",
    "contiguous_splits",
    "delay",
    "evaluate",
    "group_mean",
    "leave_one_run_out",
    "leave_one_subject_out",
    "shuffled_splits",
    "to_trs",
]

"""Representational similarity analysis: RDMs, their comparison, noise ceilings, evaluation of models."""

from .compare import METHODS, compare
from .evaluation import evaluate, noise_ceiling
from .rdms import METRICS, rdm
from .windows import window_patterns

__all__ = ["METHODS", "METRICS", "compare", "evaluate", "noise_ceiling", "rdm", "window_patterns"]

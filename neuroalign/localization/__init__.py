"""Which units of a network prefer one condition, how well that holds up, and what is lost without them."""

from .contrasts import localize, unit_magnitude, welch_t
from .controls import CONTROL_KINDS, outlier_units, random_masks, unmatched_units
from .lesions import lesion_effect, lesion_scores, summarize_lesions
from .reliability import dice, held_out_selectivity, layer_profile, split_half
from .selection import select_units
from .tasks import MinimalPairs

__all__ = [
    "CONTROL_KINDS",
    "MinimalPairs",
    "dice",
    "held_out_selectivity",
    "layer_profile",
    "lesion_effect",
    "lesion_scores",
    "localize",
    "outlier_units",
    "random_masks",
    "select_units",
    "split_half",
    "summarize_lesions",
    "unit_magnitude",
    "unmatched_units",
    "welch_t",
]

"""Which units of a network prefer one condition, how well that holds up, and what is lost without them."""

from .alignment import mask_alignment
from .conditions import CONTRASTS, Contrast, contrast_stimuli, match_tokens
from .contrasts import effect_sizes, localize, unit_magnitude, welch_t
from .controls import CONTROL_KINDS, outlier_units, random_masks, unmatched_units
from .effects import double_dissociation, lesion_effects_by
from .formulas import Formula, parse_formula
from .lesions import lesion_effect, lesion_scores, summarize_lesions
from .moments import group_moments, join_sites
from .overlap import agreeing_units, agreement, dice
from .presets import PRESETS, Preset, preset
from .reading import preset_moments
from .reliability import cross_validated_selectivity, held_out_selectivity, layer_profile, split_half
from .selection import select_units
from .suites import SyntaxGym
from .tasks import MinimalPairs, Perplexity, Task, perplexity

__all__ = [
    "CONTRASTS",
    "CONTROL_KINDS",
    "PRESETS",
    "Contrast",
    "Formula",
    "MinimalPairs",
    "Perplexity",
    "Preset",
    "SyntaxGym",
    "Task",
    "agreeing_units",
    "agreement",
    "contrast_stimuli",
    "cross_validated_selectivity",
    "dice",
    "double_dissociation",
    "effect_sizes",
    "group_moments",
    "held_out_selectivity",
    "join_sites",
    "layer_profile",
    "lesion_effect",
    "lesion_effects_by",
    "lesion_scores",
    "localize",
    "mask_alignment",
    "match_tokens",
    "outlier_units",
    "parse_formula",
    "perplexity",
    "preset",
    "preset_moments",
    "random_masks",
    "select_units",
    "split_half",
    "summarize_lesions",
    "unit_magnitude",
    "unmatched_units",
    "welch_t",
]

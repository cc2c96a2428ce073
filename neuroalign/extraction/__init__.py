"""Activations of networks: hooks, sites, pooling, moments, word alignment, safe loading, lesions."""

from .attention import extract_attention
from .extracting import extract
from .images import extract_arrays
from .lesions import lesion
from .models import PACKAGED, LanguageModel, load_model, wrap
from .moments import extract_moments
from .probabilities import PreparedSentences, prepare_sentences, sentence_log_probs, token_log_probs
from .sites import SITES
from .structure import layers, resolve_layers
from .words import extract_words

__all__ = [
    "PACKAGED",
    "SITES",
    "LanguageModel",
    "PreparedSentences",
    "extract",
    "extract_arrays",
    "extract_attention",
    "extract_moments",
    "extract_words",
    "layers",
    "lesion",
    "load_model",
    "prepare_sentences",
    "resolve_layers",
    "sentence_log_probs",
    "token_log_probs",
    "wrap",
]

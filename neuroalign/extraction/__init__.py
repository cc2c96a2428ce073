"""Activations of language models: hooks, pooling, token-to-word alignment, safe loading, lesions."""

from .extracting import extract
from .lesions import lesion
from .models import PACKAGED, LanguageModel, load_model, wrap
from .probabilities import PreparedSentences, prepare_sentences, sentence_log_probs
from .structure import layers, resolve_layers
from .words import extract_words

__all__ = [
    "PACKAGED",
    "LanguageModel",
    "PreparedSentences",
    "extract",
    "extract_words",
    "layers",
    "lesion",
    "load_model",
    "prepare_sentences",
    "resolve_layers",
    "sentence_log_probs",
    "wrap",
]

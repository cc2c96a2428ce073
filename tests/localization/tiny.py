"""A tiny random Llama, masks of it, and a slow second way to its log probabilities."""

from __future__ import annotations

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from neuroalign.extraction import wrap
from neuroalign.schema import make_mask


def tokenizer():
    """One token a byte: nothing has to be trained."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: i for i, letter in enumerate(["<|endoftext|>", *letters])}
    coder = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    coder.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    coder.decoder = decoders.ByteLevel()
    end = {"pad_token": "<|endoftext|>", "eos_token": "<|endoftext|>"}
    return PreTrainedTokenizerFast(tokenizer_object=coder, **end)


def build(seed=0, dtype=torch.float32):
    config = LlamaConfig(
        vocab_size=257,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=128,
        pad_token_id=0,
    )
    torch.manual_seed(seed)
    module = LlamaForCausalLM(config)
    with torch.no_grad():
        for weight in module.parameters():
            weight.add_(0.2 * torch.randn(weight.shape))
    return wrap(module.to(dtype).eval(), tokenizer(), name="tiny", digest=f"weights-{seed}")


def mask_of(model, rng, n=6):
    layer = np.concatenate([np.full(width, name) for name, width in model.widths.items()])
    index = np.concatenate([np.arange(width) for width in model.widths.values()])
    chosen = np.zeros(layer.size, dtype=bool)
    chosen[rng.choice(layer.size, n, replace=False)] = True
    return make_mask(chosen, layer=layer, site="block", index=index)


def slow_log_prob(model, sentence, prefix):
    """One sentence alone, no padding, no shared tokens: softmax in float64, summed token by token."""
    ids = model.tokenizer(prefix or "", add_special_tokens=False)["input_ids"]
    start = max(1, len(ids))
    ids = ids + model.tokenizer(sentence, add_special_tokens=False)["input_ids"]
    with torch.inference_mode():
        logits = model.module(input_ids=torch.tensor([ids])).logits[0].double().numpy()
    total = 0.0
    for position in range(start, len(ids)):
        row = logits[position - 1]
        total += row[ids[position]] - row.max() - np.log(np.exp(row - row.max()).sum())
    return total

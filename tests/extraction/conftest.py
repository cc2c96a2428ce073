"""Tiny random networks and tokenizers, made here: nothing is read from disk or net."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    BertConfig,
    BertModel,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    T5Config,
    T5Model,
)

from neuroalign.extraction import LanguageModel, wrap

SENTENCES = [
    "The quiet cat sleeps on the warm stone.",
    "Rain falls, and the river rises again!",
    "Nobody knows why Zoë left the café so early.",
    "A dog barks.",
    "The river that the cat crossed was wide, cold and loud in the night.",
    "Stone.",
    "The quiet cat sleeps on the cold stone.",
]

END_OF_TEXT = dict.fromkeys(("pad_token", "eos_token"), "<|endoftext|>")
OF_BERT = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}


def byte_level_tokenizer() -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **END_OF_TEXT)


def word_piece_tokenizer() -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.WordPiece(**{"unk_token": OF_BERT["unk_token"]}))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    trainer = trainers.WordPieceTrainer(vocab_size=120, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(SENTENCES, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **OF_BERT)


def _shaken(module: torch.nn.Module) -> torch.nn.Module:
    """Larger weights than the initial ones, norms and biases too, so that every part shows in the result."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in module.parameters():
            weight.add_(0.15 * torch.randn(weight.shape, generator=generator))
    return module.eval()


def gpt2() -> LanguageModel:
    config = GPT2Config(vocab_size=320, n_embd=16, n_layer=3, n_head=2, n_positions=64)
    return wrap(_shaken(GPT2LMHeadModel(config)), byte_level_tokenizer(), name="tiny-gpt2")


def llama() -> LanguageModel:
    config = LlamaConfig(
        vocab_size=320,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
        pad_token_id=0,
    )
    return wrap(_shaken(LlamaForCausalLM(config)), byte_level_tokenizer(), name="tiny-llama")


def bert() -> LanguageModel:
    config = BertConfig(
        vocab_size=120,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=3,
        num_attention_heads=2,
        max_position_embeddings=64,
    )
    return wrap(_shaken(BertModel(config)), word_piece_tokenizer(), name="tiny-bert")


def t5(stack: str | None = None) -> LanguageModel:
    config = T5Config(
        vocab_size=320,
        d_model=16,
        d_kv=6,
        d_ff=24,
        num_layers=2,
        num_decoder_layers=3,
        num_heads=2,
        feed_forward_proj="gated-gelu",
        decoder_start_token_id=0,
    )
    return wrap(_shaken(T5Model(config)), byte_level_tokenizer(), name="tiny-t5", stack=stack)


BUILDERS: dict[str, Callable[..., LanguageModel]] = {"gpt2": gpt2, "llama": llama, "bert": bert}


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """Networks this small are slower on two threads, much slower where the cores are shared."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def build() -> dict[str, Callable[..., LanguageModel]]:
    return BUILDERS


@pytest.fixture(scope="session", params=list(BUILDERS))
def model(request: pytest.FixtureRequest) -> LanguageModel:
    torch.manual_seed(0)
    return BUILDERS[request.param]()


@pytest.fixture(scope="session", params=["gpt2", "llama"])
def decoder(request: pytest.FixtureRequest) -> LanguageModel:
    torch.manual_seed(0)
    return BUILDERS[request.param]()


EVERY = {**BUILDERS, "t5 encoder": t5, "t5 decoder": partial(t5, "decoder")}


@pytest.fixture(scope="session", params=list(EVERY))
def network(request: pytest.FixtureRequest) -> LanguageModel:
    """Every kind of transformer, encoder-decoders too."""
    torch.manual_seed(0)
    return EVERY[request.param]()


@pytest.fixture
def stimuli() -> pd.DataFrame:
    return pd.DataFrame({"stimulus": [f"s{i}" for i in range(len(SENTENCES))], "text": SENTENCES})


@pytest.fixture
def story() -> pd.DataFrame:
    words = " ".join(SENTENCES).split()
    onset = np.arange(len(words)) * 0.4
    labels = [f"w{i:03d}" for i in range(len(words))]
    return pd.DataFrame({"stimulus": labels, "text": words, "onset": onset, "offset": onset + 0.3})


def n_hooks(module: torch.nn.Module) -> int:
    return sum(len(part._forward_hooks) + len(part._forward_pre_hooks) for part in module.modules())


@pytest.fixture
def hook_count() -> Callable[[LanguageModel], int]:
    return lambda model: n_hooks(model.module)


@pytest.fixture
def block_outputs() -> Callable[[LanguageModel, list[int]], dict[str, np.ndarray]]:
    """A slow second implementation: one sequence, no padding, every block's whole output."""

    def run(model: LanguageModel, ids: list[int]) -> dict[str, np.ndarray]:
        found: dict[str, np.ndarray] = {}

        def keep(name: str) -> Callable:
            def hook(_module: object, _inputs: object, output: object) -> None:
                state = output[0] if isinstance(output, tuple) else output
                found[name] = state[0].double().numpy()

            return hook

        handles = [model.module.get_submodule(n).register_forward_hook(keep(n)) for n in model.widths]
        with torch.no_grad():
            model.module(input_ids=torch.tensor([ids]))
        for handle in handles:
            handle.remove()
        return found

    return run

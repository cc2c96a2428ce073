"""Reading a GGUF file once where transformers reads it three times."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Iterator

__all__ = ["one_parse"]

_LOCK = threading.RLock()


@contextlib.contextmanager
def one_parse() -> Iterator[None]:
    """Let transformers parse a GGUF file's header once, inside this block.

    transformers asks ``gguf`` for the same header for the configuration, the tokenizer and the weights (2.8 s
    each for SmolLM2), and for the same table of tensor names once a module (397 times, 2.5 s). Both are pure
    functions of the file, so they are remembered until the block ends. That halves the loading time.
    """
    try:
        import gguf
    except ImportError:
        yield
        return
    with _LOCK:
        reader, names = gguf.GGUFReader, gguf.get_tensor_name_map
        gguf.GGUFReader, gguf.get_tensor_name_map = functools.cache(reader), functools.cache(names)
        try:
            yield
        finally:
            gguf.GGUFReader, gguf.get_tensor_name_map = reader, names

"""Nonword lists with exactly as many tokens as given sentences: what made ``data/localizer.tsv``.

To make the file again (SmolLM2's tokenizer; see ``data/README.md``)::

    vocabulary = tokenizer.get_vocab()
    sentences, _ = contrast(localizer())
    table = localizer_table(sentences["text"], lambda text: len(tokenizer.tokenize(text)), vocabulary)
    io.write_table(table, "localizer.tsv")
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

import numpy as np
import pandas as pd

from ..errors import InvalidValueError
from ..seeds import generator
from .sets import minimal_pairs, story

__all__ = ["known_words", "localizer_table", "nonword_lists"]

N_RUNS = 8
MAX_DRAWS = 200_000
PARTS = {
    "onset": "b bl br c ch cl cr d dr dw f fl fr g gl gr h j k l m n p pl pr qu r s sh sk sl sm sn sp st str "
    "sw t th thr tr tw v w wh y z",
    "nucleus": "a a a e e e i i i o o o u u ai ea ee oa oo ou",
    "short": "a e i o u",
    "middle": "b bb ck ct d dd ff g l lb ld lf ll lm lt m mb mp n nd ng nk nt p pp r rb rd rf rm rn rt sk "
    "sp ss st t tt v z zz",
    "coda": "b ck d ff ft g k l lf lk lm lp lt m mp n nd ng nk nt p pt r rb rk rm rn rp rt sh sk sp ss st t "
    "th x zz",
}
OFFENSIVE = (
    "anal anus ass coon cum cunt dick dyk fag fuck gook homo kik nig piss poo puss rap sex shit slut spaz "
    "spic tit turd twat wank whor"
)
# Rare words and names that the vocabulary does not hold as one token, found in large lists of English words.
RARE = (
    "baduk bedog bedolt colmar dalam dermal dilip dinin fracker frater glidden hegar karal madog mankin "
    "mugan pardesh patton preener remax shavar sitar sniffin surman tenent thetop thevar thoral trodden "
    "veber yandel"
)
ENDINGS = "s es ed d er r ing y ly en n el le et ish ment ness"


def localizer_table(
    sentences: Iterable[str], count_tokens: Callable[[str], int], vocabulary: Iterable[str], *, seed: int = 0
) -> pd.DataFrame:
    """Return the localizer: the sentences, then a nonword list for each, with runs and counts.

    Parameters
    ----------
    sentences : iterable of str
        In the order of the items; item i belongs to run ``(i - 1) % 8 + 1``.
    count_tokens, seed
        See ``nonword_lists``.
    vocabulary : iterable of str
        See ``known_words``.

    Returns
    -------
    pandas.DataFrame
        See ``localizer``.
    """
    sentences = list(sentences)
    lists = nonword_lists(sentences, count_tokens, known=known_words(vocabulary, sentences), seed=seed)
    rows = [
        (f"{condition}-{item:03d}", item, condition, (item - 1) % N_RUNS + 1, text)
        for condition, texts in (("sentence", sentences), ("nonword", lists))
        for item, text in enumerate(texts, 1)
    ]
    table = pd.DataFrame(rows, columns=["stimulus", "item", "condition", "run", "text"])
    table.insert(4, "n_words", table["text"].map(lambda text: len(text.split())))
    table.insert(5, "n_tokens", table["text"].map(count_tokens))
    return table


def nonword_lists(
    sentences: Sequence[str], count_tokens: Callable[[str], int], *, known: Collection[str], seed: int = 0
) -> list[str]:
    """Return one list of nonwords a sentence, with exactly as many tokens.

    A list for n tokens has n // 2 nonwords of two tokens each, one of them of three where n is odd: the most
    words that can be had when every nonword takes at least two. No nonword is used twice.

    Parameters
    ----------
    sentences : sequence of str
    count_tokens : callable
        The number of tokens of a text, without special tokens. Words must be tokenized one by one, each with
        the space before it, as byte-level BPE does; this is checked.
    known : collection of str
        Lower-case words that are no nonwords; nor are their inflections and compounds.
    seed : int

    Raises
    ------
    InvalidValueError
        If a sentence has fewer than two tokens, no fitting nonword is found, or the tokens of a list are not
        those of its words.

    Examples
    --------
    >>> lists = nonword_lists(["a cat sat"], lambda text: 2 * len(text.split()), known={"cat"})
    >>> len(lists[0].split())
    3
    """
    rng = generator(seed, "nonwords")
    known, used = frozenset(known), set[str]()
    lists = []
    for sentence in sentences:
        n_tokens = count_tokens(sentence)
        words: list[str] = []
        for place, size in enumerate(_sizes(n_tokens, rng)):
            word = _draw(rng, count_tokens, " " * bool(place), size, known | used)
            used.add(word)
            words.append(word)
        text = " ".join(words)
        if count_tokens(text) != n_tokens:
            raise InvalidValueError(f"{text!r} has {count_tokens(text)} tokens; its words have {n_tokens}.")
        lists.append(text)
    return lists


def _sizes(n_tokens: int, rng: np.random.Generator) -> list[int]:
    if n_tokens < 2:
        raise InvalidValueError(f"a sentence must have at least 2 tokens; got {n_tokens}.")
    sizes = [2] * (n_tokens // 2)
    sizes[int(rng.integers(len(sizes)))] += n_tokens % 2
    return sizes


def _draw(
    rng: np.random.Generator, count_tokens: Callable[[str], int], gap: str, size: int, known: Collection[str]
) -> str:
    for _ in range(MAX_DRAWS):
        word = _nonword(rng)
        if count_tokens(gap + word) == size and not is_known(word, known):
            return word
    raise InvalidValueError(f"no nonword of {size} tokens was found in {MAX_DRAWS} draws.")


def _nonword(rng: np.random.Generator) -> str:
    """Return two or three syllables, put together from parts of English ones; one alone is often a word."""

    def pick(name: str) -> str:
        parts = PARTS[name].split()
        return parts[int(rng.integers(len(parts)))]

    word = pick("onset") + pick("nucleus")
    for _ in range(int(rng.integers(1, 3))):
        word += pick("middle") + pick("short")
    word += pick("coda")
    return word if not any(part in word for part in OFFENSIVE.split()) else _nonword(rng)


def is_known(word: str, known: Collection[str]) -> bool:
    """Return whether a word is known, begins or ends with a known one, or is an inflection of one.

    Known words at the edges have at least four letters, inflected ones three.

    Examples
    --------
    >>> [is_known(word, {"walk", "bake"}) for word in ("walk", "walkust", "glawalk", "baking", "blick")]
    [True, True, True, True, False]
    """
    stems = {word, *(word.removesuffix(ending) for ending in ENDINGS.split())}
    stems |= {stem + "e" for stem in stems} | {stem[:-1] for stem in stems if stem[-2:-1] == stem[-1:]}
    edges = {edge for cut in range(4, len(word)) for edge in (word[:cut], word[-cut:])}
    return any(len(part) > 2 and part in known for part in stems | edges)


def known_words(vocabulary: Iterable[str], sentences: Iterable[str]) -> frozenset[str]:
    """Return the words no nonword may be: those of the texts of the project and of a tokenizer's vocabulary.

    Parameters
    ----------
    vocabulary : iterable of str
        Tokens of a byte-level BPE, in which a token that begins with ``Ġ`` or a space begins a word. Such a
        token counts as a word where it has letters only.
    sentences : iterable of str
        More texts; the story and the minimal pairs count anyway.
    """
    pairs = minimal_pairs()
    texts = [*sentences, *story()["text"], *pairs["good"], *pairs["bad"]]
    words = {word.strip('.,:?"').lower() for text in texts for word in text.split()} | {*RARE.split()}
    tokens = {token[1:].lower() for token in vocabulary if token[:1] in ("Ġ", " ")}
    return frozenset(words | {token for token in tokens if token.isascii() and token.isalpha()})

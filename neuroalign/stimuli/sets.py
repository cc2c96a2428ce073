"""The stimulus sets that come with the package: a language localizer, a story, minimal pairs."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from .tables import check_columns, check_table, parse_table

__all__ = ["localizer", "minimal_pairs", "story"]

DATA = Path(__file__).parent / "data"
ABOUT = {
    "source": "written for neuroalign",
    "licence": "CC0-1.0",
    "citation": "The neuroalign developers. Stimulus texts of neuroalign.",
}


def localizer() -> pd.DataFrame:
    """Return the language localizer: 96 sentences and 96 nonword lists with equally many tokens.

    The nonword list of an item has exactly as many SmolLM2 tokens as its sentence. A nonword takes two tokens
    or more where a word takes about one, so a list has about half as many words as its sentence: tokens and
    words cannot both be matched, and ``n_words`` says what came out. All is lower case without punctuation.

    Returns
    -------
    pandas.DataFrame
        192 rows; columns ``stimulus`` (``sentence-001``, ``nonword-001``), ``item`` (1..96, one sentence and
        one list each), ``condition`` (``sentence`` or ``nonword``), ``run`` (1..8, twelve items each),
        ``n_words``, ``n_tokens`` (of SmolLM2, no special tokens), ``text``. Licence and citation are in
        ``attrs``.

    Examples
    --------
    >>> table = localizer()
    >>> table.groupby("condition")["n_tokens"].sum().nunique()
    1
    """
    columns = ("item", "condition", "run", "n_words", "n_tokens", "text")
    return _embedded("localizer", columns)


def story() -> pd.DataFrame:
    """Return a short story, "Postage", one row a word, with the times of an even reading.

    The times are computed from the text (letters, commas, sentence ends), not recorded: about 170 words per
    minute, 5.8 minutes in all.

    Returns
    -------
    pandas.DataFrame
        985 rows in reading order; columns ``stimulus`` (``w0000``..), ``text`` (the word with its
        punctuation; single spaces give the running text), ``onset`` and ``offset`` (seconds from the start),
        ``sentence`` (0..81). Licence and citation are in ``attrs``.

    Examples
    --------
    >>> " ".join(story()["text"][:5])
    'On the first Monday of'
    """
    return _embedded("story", ("text", "onset", "offset", "sentence"))


def minimal_pairs() -> pd.DataFrame:
    """Return 160 pairs of sentences, one acceptable and one not, that differ in as little as possible.

    Returns
    -------
    pandas.DataFrame
        16 paradigms of ten pairs; columns ``pair`` (``npi_scope-01``), ``paradigm``, ``field``
        (``morphology``, ``syntax`` or ``semantics``), ``good``, ``bad``. Licence and citation are in
        ``attrs``.

    Examples
    --------
    >>> pairs = minimal_pairs().set_index("pair")
    >>> pairs.loc["transitivity-01", ["good", "bad"]].tolist()
    ['The chef stirred the soup.', 'The chef vanished the soup.']
    """
    path = DATA / "minimal_pairs.tsv"
    table = parse_table(path)
    check_columns(table, ("pair", "paradigm", "field", "good", "bad"), name=str(path))
    table.attrs.update(ABOUT, name="minimal_pairs")
    return table


def _embedded(name: str, columns: tuple[str, ...]) -> pd.DataFrame:
    path = DATA / f"{name}.tsv"
    table = check_table(parse_table(path), columns, name=str(path))
    table.attrs.update(ABOUT, name=name)
    return table

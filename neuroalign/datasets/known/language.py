"""Sentences: the language localizer (Fedorenko et al. 2010), BLiMP (Warstadt et al. 2020), SyntaxGym."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from ... import io
from ...errors import FileError, InvalidValueError, choice, listing
from ..sources import Source, pick

__all__ = ["CASES", "CONDITIONS", "blimp", "langloc", "suite_predictions", "suite_regions"]

CASES: dict[str, Callable[[str], str]] = {"lower": str.lower, "original": str}
CONDITIONS = {"S": "sentence", "N": "nonword"}
# The six circuits of Hu et al. 2020, table 1, by the beginning of a suite's name.
CIRCUITS = {
    "center_embed": "center embedding",
    "cleft": "long-distance dependencies",
    "fgd": "long-distance dependencies",
    "mvrr": "garden-path effects",
    "npi": "licensing",
    "npz": "garden-path effects",
    "number": "agreement",
    "reflexive": "licensing",
    "subordination": "gross syntactic state",
}
N_SETS, N_RUNS, N_ROWS, N_WORDS, N_PAIRS = 5, 2, 48, 12, 1000


def langloc(source: Source, *, case: str = "lower") -> pd.DataFrame:
    """Return the language localizer: 240 sentences and 240 strings of nonwords, 12 words each.

    Parameters
    ----------
    source : Source
    case : {"lower", "original"}
        The files are in capitals, which a model reads as other words.

    Returns
    -------
    pandas.DataFrame
        stimulus ("set1-run1-01-S", unique), item (1 to 24 within file and condition), condition ("sentence"
        or "nonword"), run (1 to 10, one a file: set 1 run 1, set 1 run 2, set 2 run 1, ...), text.

    Notes
    -----
    The files' header is shifted by one column: "stim1" is the item's number and "stim14" the condition.
    """
    if case not in CASES:
        raise choice(case, CASES, name="case")
    rows = []
    for run in range(N_SETS * N_RUNS):
        a_set, a_run = run // N_RUNS + 1, run % N_RUNS + 1
        path = f"langloc_fmri_run{a_run}_stim_set{a_set}.csv"
        for item, *tokens, letter in _langloc_rows(source.file(path)):
            label = f"set{a_set}-run{a_run}-{int(item):02d}-{letter}"
            rows.append((label, int(item), CONDITIONS[letter], run + 1, CASES[case](" ".join(tokens))))
    table = pd.DataFrame(rows, columns=["stimulus", "item", "condition", "run", "text"])
    table.attrs.update(source.attrs(case=case))
    return table


def _langloc_rows(path: Path) -> list[list[str]]:
    try:
        rows = list(csv.reader(io.read_text(path).splitlines()))[1:]
    except csv.Error as error:
        raise FileError(f"{path} is not a table of words: {error}.") from error
    for row in rows:
        whole = len(row) == N_WORDS + 2 and row[0].isdecimal() and len(row[0]) < 10 and row[-1] in CONDITIONS
        if not whole:
            raise FileError(
                f"{path}: a row must be a number, 12 words and S or N; got {listing(row, limit=14)}."
            )
    if len(rows) != N_ROWS:
        raise FileError(f"{path}: {N_ROWS} rows were expected; got {len(rows)}.")
    return rows


def blimp(
    source: Source, *, paradigms: Sequence[str] | None = None, per_paradigm: int | None = None
) -> pd.DataFrame:
    """Return minimal pairs: an acceptable sentence and an unacceptable one that differs as little as can be.

    Parameters
    ----------
    source : Source
    paradigms : sequence of str, optional
        Of the 67; all where None. Only their files are read.
    per_paradigm : int, optional
        The first so many of each by pairID (1 to 1000); all where None.

    Returns
    -------
    pandas.DataFrame
        pair ("adjunct_island/0", unique), paradigm, field, good, bad. ``attrs["identical"]`` names the pairs
        whose two sentences are the same text (7 of the 67,000), which no model can tell apart.

    Notes
    -----
    As in the files, the field of principle_A_case_2 is spelt "syntax/semantics", elsewhere
    "syntax_semantics".
    """
    n = N_PAIRS if per_paradigm is None else per_paradigm
    if isinstance(n, bool) or not isinstance(n, int) or not 1 <= n <= N_PAIRS:
        raise InvalidValueError(f"per_paradigm must be an integer from 1 to {N_PAIRS}; got {per_paradigm!r}.")
    paths = source.matching(r"data/(\w+)\.jsonl")
    rows = []
    for paradigm in pick(paradigms, list(paths), name="paradigms"):
        rows += _blimp_rows(source.file(paths[paradigm]), paradigm)[:n]
    table = pd.DataFrame(rows, columns=["pair", "paradigm", "field", "good", "bad"])
    same = table["pair"][table["good"] == table["bad"]]
    table.attrs.update(source.attrs(identical=same.tolist(), per_paradigm=n))
    return table


def _blimp_rows(path: Path, paradigm: str) -> list[tuple[str, ...]]:
    try:
        records: list[dict[str, Any]] = [json.loads(line) for line in io.read_text(path).splitlines()]
        records.sort(key=lambda record: int(record["pairID"]))
        keys = ("field", "sentence_good", "sentence_bad")
        rows = [(f"{paradigm}/{record['pairID']}", *(record[key] for key in keys)) for record in records]
        names = {record["UID"] for record in records}
    except (ValueError, KeyError, OverflowError, RecursionError, TypeError) as error:
        raise FileError(f"{path} is not a table of minimal pairs: {type(error).__name__} {error}.") from error
    if names != {paradigm} or [int(record["pairID"]) for record in records] != list(range(N_PAIRS)):
        raise FileError(f"{path}: the pairs 0 to {N_PAIRS - 1} of {paradigm!r} were expected.")
    return [(pair, paradigm, *rest) for pair, *rest in rows]


def suite_regions(source: Source, *, suites: Sequence[str] | None = None) -> pd.DataFrame:
    """Return the sentences of the SyntaxGym suites, one row a region.

    Parameters
    ----------
    source : Source
    suites : sequence of str, optional
        Of the 31; all where None. Only their files are read.

    Returns
    -------
    pandas.DataFrame
        stimulus ("cleft/1/np_match/2", unique), suite, item (number), condition, region (number from 1),
        content, which may be empty. A sentence is its contents joined by single spaces.

    Notes
    -----
    Suites with a metric other than the sum over a region's tokens are refused; there is none.
    """
    rows = [row for suite, path in _suites(source, suites) for row in _regions(suite, path)]
    table = pd.DataFrame(rows, columns=["stimulus", "suite", "item", "condition", "region", "content"])
    table.attrs.update(source.attrs())
    return table


def suite_predictions(source: Source, *, suites: Sequence[str] | None = None) -> pd.DataFrame:
    """Return the predictions of the SyntaxGym suites: suite, prediction (number from 1), field, formula.

    ``field`` is the circuit of Hu et al. 2020 that the suite belongs to.
    """
    rows = [row for suite, path in _suites(source, suites) for row in _predictions(suite, path)]
    table = pd.DataFrame(rows, columns=["suite", "prediction", "field", "formula"])
    table.attrs.update(source.attrs())
    return table


def _suites(source: Source, suites: Sequence[str] | None) -> Iterator[tuple[str, Path]]:
    paths = source.matching(r"suites/([\w-]+)\.json")
    for suite in pick(suites, list(paths), name="suites"):
        yield suite, source.file(paths[suite])


def _regions(suite: str, path: Path) -> list[tuple]:
    rows = []
    with _reading(path) as content:
        if content["meta"]["metric"] != "sum":
            raise FileError(f"{path}: the metric must be 'sum'; got {content['meta']['metric']!r}.")
        for item in content["items"]:
            for condition in item["conditions"]:
                for region in condition["regions"]:
                    number = int(region["region_number"])
                    place = (int(item["item_number"]), str(condition["condition_name"]), number)
                    label = "/".join(map(str, (suite, *place)))
                    rows.append((label, suite, *place, str(region["content"])))
    return rows


def _predictions(suite: str, path: Path) -> list[tuple]:
    field = next((CIRCUITS[name] for name in CIRCUITS if suite.startswith(name)), "other")
    with _reading(path) as content:
        return [(suite, n + 1, field, str(row["formula"])) for n, row in enumerate(content["predictions"])]


@contextmanager
def _reading(path: Path) -> Iterator[Any]:
    """Give the content of a suite; what is not as expected in it becomes a FileError that names the file."""
    try:
        yield io.read_json(path)
    except (KeyError, OverflowError, TypeError, ValueError) as error:
        raise FileError(f"{path} is no test suite: {type(error).__name__} {error}.") from error

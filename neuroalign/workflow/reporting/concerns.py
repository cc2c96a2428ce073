"""What a reader should know before trusting a number: edges of grids, what was left out, what is undefined.

Read from the notes of each figure's provenance, its parameters and its table; nothing is judged here that
these do not say.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ..config import Study
from .facts import joined, share
from .figures import Figure

__all__ = ["Concern", "Warned", "concerns", "together"]

# Notes that count something that is not in the result, by what the name begins with, and in words.
COUNTS = {
    "n_undefined_draws": "Bootstrap draws that were undefined and left out",
    "n_undefined": "Undefined values (n/a)",
    "n_unchosen": "Draws that chose nothing and were left out",
    "n_constant": "Neuroids without variance, left out",
    "n_unmatched": "Units without a partner in the matched controls",
    "n_left_out_max": "Units missing from a matched control, at most",
    "n_dropped": "Rows left out",
    "n_missing": "Missing values",
    "n_negative": "Estimates that are negative, and n/a",
}
EDGES = {
    "upper_edge": "at the upper edge of the grid",
    "lower_edge": "at the lower edge of the grid",
    "edge_share": "at an edge of the grid",
}
# Parameters that are numbers of random draws behind a p.
DRAWS = ("n_controls", "n_unit_controls", "n_permutations", "n_flips")
MAIN = ("value", "effect", "accuracy", "score")


class Concern(NamedTuple):
    """One thing to know; of a figure, or of the whole study (``figure`` is None)."""

    figure: int | None
    text: str


def concerns(
    study: Study, figures: Sequence[Figure], missing: Mapping[int, Sequence[str]] | None = None
) -> list[Concern]:
    """Return what to know of a study, the whole first, then figure by figure.

    Parameters
    ----------
    study : Study
    figures : sequence of Figure
    missing : mapping of figure to str, optional
        Sentences of the summary that could not be made, and what they lacked.
    """
    found = [Concern(None, text) for text in _whole(study, figures)]
    for figure in figures:
        texts = [*_simulated(figure), *_notes(figure.notes), *_draws(figure.params), *_undefined(figure)]
        texts += _parameters(study, figure)
        texts += [
            f"The summary could not say everything: {lack}."
            for lack in (missing or {}).get(figure.number, ())
        ]
        found += [Concern(figure.number, text) for text in dict.fromkeys(texts)]
    return found


class Warned(NamedTuple):
    """One thing to know, and the figures of which it holds; none where it is of the whole study."""

    figures: tuple[int, ...]
    text: str


def together(found: Sequence[Concern]) -> list[Warned]:
    """Return each thing once, with every figure of which it holds, in the order of the first.

    Examples
    --------
    >>> together([Concern(1, "Left out: s3."), Concern(2, "Simulated."), Concern(4, "Left out: s3.")])
    [Warned(figures=(1, 4), text='Left out: s3.'), Warned(figures=(2,), text='Simulated.')]
    """
    figures: dict[str, list[int]] = {}
    for concern in found:
        held = figures.setdefault(concern.text, [])
        if concern.figure is not None:
            held.append(concern.figure)
    return [Warned(tuple(numbers), text) for text, numbers in figures.items()]


def _whole(study: Study, figures: Sequence[Figure]) -> Iterator[str]:
    if study.story is not None and study.localizer is None:
        yield (
            "Language units were not compared with random units (figure 5): the study has a section story "
            "and no section localizer."
        )
    for name in ("neuroalign", "python", "machine", "device", "threads", "seed", "versions"):
        values: dict[str, list[int]] = {}
        for figure in figures:
            values.setdefault(_plain(figure.provenance.get(name)), []).append(figure.number)
        if len(values) > 1:
            said = "; ".join(f"{value} (figures {joined(numbers)})" for value, numbers in values.items())
            yield f"Not all figures were made with the same {name}: {said}."
    if figures and figures[0].provenance.get("seed") != study.seed:
        used = figures[0].provenance.get("seed")
        yield f"The configuration has seed {study.seed}, the figures were made with {used}."


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {one}" for name, one in value.items())
    return str(value)


def _simulated(figure: Figure) -> Iterator[str]:
    if figure.simulated:
        yield "Holds simulated data: it shows what the method finds, and says nothing of brains."


def _notes(notes: Mapping[str, Any]) -> Iterator[str]:
    for name, value in notes.items():
        if name in EDGES:
            for what, part in (value if isinstance(value, Mapping) else {"": value}).items():
                if part > 0:
                    yield f"{share(part)} of ridge penalties{f' ({what})' if what else ''} are {EDGES[name]}."
        elif name == "excluded":
            yield from _excluded(value)
        elif name == "replaced":
            yield from (f"{text}." for text in value)
        elif (words := _counted(name)) is not None:
            for what, n in _leaves(value):
                if n:
                    yield f"{words}{f', {what}' if what else ''}: {n:,}."
        elif isinstance(value, Mapping) and name not in ("truth", "story"):
            for text in _notes(value):
                yield f"{name}: {text}"


def _counted(name: str) -> str | None:
    return next((words for start, words in COUNTS.items() if name.startswith(start)), None)


def _leaves(value: Any, within: str = "") -> Iterator[tuple[str, int]]:
    """Yield numbers of a note, with the names that lead to them."""
    if isinstance(value, Mapping):
        for name, one in value.items():
            yield from _leaves(one, f"{within}, {name}" if within else str(name))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield within, int(value)


def _excluded(value: Any) -> Iterator[str]:
    """Yield who was left out and why; exclusions may be grouped (subjects, runs, stimuli)."""
    for who, why in (value or {}).items():
        if isinstance(why, Mapping):
            for one, reason in why.items():
                yield f"Left out of the {who}: {one} ({reason})."
        else:
            yield f"Left out: {who} ({why})."


def _draws(params: Mapping[str, Any]) -> Iterator[str]:
    for name in DRAWS:
        n = params.get(name)
        if isinstance(n, int) and 1 / (1 + n) > 0.05:
            yield (
                f"With {name} = {n} no p can be below {1 / (1 + n):.3f}: nothing can be significant at .05. "
                "Read the distributions, or draw more."
            )


def _undefined(figure: Figure) -> Iterator[str]:
    for column in MAIN:
        if column in figure.header:
            cells = [row[figure.header.index(column)] for row in figure.cells]
            n = cells.count("n/a")
            if n:
                of = f"{len(cells):,} cells of the column {column}"
                yield f"{n:,} of {of} are n/a: undefined, or not of that row."


def _parameters(study: Study, figure: Figure) -> Iterator[str]:
    """Yield where a figure was made with other values than the section that has its parameters."""
    for name in type(study).model_fields:
        section = getattr(study, name)
        if not hasattr(section, "model_dump"):
            continue
        wanted = section.model_dump(mode="json")
        if wanted.keys() != figure.params.keys():
            continue
        for key, value in wanted.items():
            if value != figure.params[key]:
                yield (
                    f"Made with {name}.{key} = {figure.params[key]}, and the configuration says {value}: run "
                    "the study again."
                )

"""The look of every figure, and how a figure is saved: PDF and PNG, the same bytes for the same values."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.cbook import is_math_text
from matplotlib.figure import Figure
from matplotlib.mathtext import MathTextParser
from matplotlib.text import Text

from .. import io
from ..errors import choice

__all__ = ["COLOURS", "GREY", "MM", "draw_values", "figure", "panel_letters", "save_figure", "style"]

MM = 1 / 25.4
WIDTHS = {"one column": 85, "two columns": 180}
GREY = "#7f7f7f"

# Okabe & Ito's palette, safe for colour-blind readers.
COLOURS = {
    "blue": "#0072B2",
    "vermillion": "#D55E00",
    "green": "#009E73",
    "orange": "#E69F00",
    "sky": "#56B4E9",
    "purple": "#CC79A7",
    "yellow": "#F0E442",
    "black": "#000000",
}

SETTINGS: dict[str, Any] = {
    "axes.labelsize": 7,
    "axes.linewidth": 0.6,
    "axes.prop_cycle": cycler(color=list(COLOURS.values())),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 8,
    "figure.constrained_layout.use": True,
    "figure.dpi": 150,
    "font.family": "DejaVu Sans",
    "font.size": 7,
    "hatch.linewidth": 0.5,
    "legend.fontsize": 6.5,
    "legend.frameon": False,
    "lines.linewidth": 1.2,
    "pdf.fonttype": 42,
    "savefig.dpi": 300,
    "svg.fonttype": "none",
    "svg.hashsalt": "neuroalign",
    "xtick.labelsize": 6.5,
    "xtick.major.width": 0.6,
    "ytick.labelsize": 6.5,
    "ytick.major.width": 0.6,
}


@contextlib.contextmanager
def style() -> Iterator[None]:
    """Draw what stands in the block in the project's style; matplotlib's own settings return afterwards."""
    with mpl.rc_context(SETTINGS):
        yield


def figure(
    n_rows: int = 1, n_columns: int = 1, *, width: str = "two columns", height: float = 70, **options: Any
) -> tuple[Figure, Any]:
    """Return a figure and its axes (n_rows, n_columns), without pyplot's global state.

    Parameters
    ----------
    n_rows, n_columns : int
    width : {"one column", "two columns"}
        85 or 180 mm.
    height : float
        In mm.
    **options
        Of ``Figure.subplots``.
    """
    if width not in WIDTHS:
        raise choice(width, WIDTHS, name="width")
    drawn = Figure(figsize=(WIDTHS[width] * MM, height * MM), layout="constrained")
    axes = drawn.subplots(n_rows, n_columns, squeeze=False, **options)
    return drawn, axes


def panel_letters(axes: Iterable[Axes]) -> None:
    """Put a, b, c ... at the upper left of the axes, before their titles."""
    for letter, ax in zip("abcdefghijklmnopqrstuvwxyz", axes, strict=False):
        title = ax.get_title()
        ax.set_title("")
        ax.set_title(rf"$\mathbf{{{letter}}}$  {title if _is_text(title) else _escaped(title)}", loc="left")


def _escaped(text: str) -> str:
    return text.replace("$", r"\$")


def _is_text(text: str) -> bool:
    """Return whether matplotlib can draw a text: what stands between two dollar signs must be a formula."""
    if not is_math_text(text):
        return text.count("$") == text.count(r"\$")
    try:
        _parser().parse(text)
    except ValueError:
        return False
    return True


@cache
def _parser() -> MathTextParser:
    return MathTextParser("path")


def _show_no_formula_that_is_none(drawn: Figure) -> None:
    """Let labels such as "US$ or $x_" be drawn as they stand; matplotlib would refuse the whole figure."""
    for ax in drawn.axes:
        for axis in (ax.xaxis, ax.yaxis):
            axis.get_ticklabels(which="both")  # ticks have no text before
    for text in drawn.findobj(Text):
        if not _is_text(text.get_text()):
            text.set_parse_math(False)


def save_figure(
    drawn: Figure, stem: str | Path, *, caption: str, title: str = "", about: Mapping[str, Any] | None = None
) -> list[Path]:
    """Write a figure as ``stem.pdf`` and ``stem.png``, and its caption as ``stem.json``.

    The files carry no date: the same values give the same bytes.

    Parameters
    ----------
    drawn : matplotlib Figure
    stem : path
        Without an extension.
    caption : str
        What is seen, the controls, the noise ceiling, and "simulated" where data are.
    title : str
    about : mapping, optional
        Anything else that belongs to the figure.

    Returns
    -------
    list of Path
    """
    stem = Path(stem)
    _show_no_formula_that_is_none(drawn)
    files: dict[str | Path, bytes] = {}
    for extension, metadata in (
        ("pdf", {"CreationDate": None, "ModDate": None}),
        ("png", {"Software": None}),
    ):
        buffer = BytesIO()
        drawn.savefig(buffer, format=extension, metadata=metadata)
        files[stem.with_name(f"{stem.name}.{extension}")] = buffer.getvalue()
    said = {"title": title, "caption": caption, **(about or {})}
    files[stem.with_name(f"{stem.name}.json")] = io.json_bytes(said)
    io.write_files(files)
    return [Path(name) for name in files]


def draw_values(
    path: str | Path,
    draw: Callable[[pd.DataFrame, dict[str, Any]], tuple[Figure, str, str]],
    *,
    text: tuple[str, ...] = (),
) -> list[Path]:
    """Draw a figure from its table of values, and save it beside the table.

    Parameters
    ----------
    path : path
        The table, ``figure1.tsv``; ``figure1.provenance.json`` beside it says where the values come from.
    draw : callable
        From the table and that mapping to a figure, its title and its caption.
    text : tuple of str
        Columns of the table that are text.

    Returns
    -------
    list of Path
        See ``save_figure``.
    """
    path = Path(path)
    about = io.read_json(path.with_suffix(".provenance.json"))
    with style():
        drawn, title, caption = draw(io.read_table(path, text=text), about)
        return save_figure(drawn, path.with_suffix(""), title=title, caption=caption, about=about)

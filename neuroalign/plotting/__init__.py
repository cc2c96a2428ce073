"""One style; functions that take an axis and values and return the axis; one way of saving."""

from .captions import responses, titled
from .panels import bars_with_dots, ceiling_band, distributions, envelope, layer_lines
from .style import COLOURS, GREY, MM, draw_values, figure, panel_letters, save_figure, style

__all__ = [
    "COLOURS",
    "GREY",
    "MM",
    "bars_with_dots",
    "ceiling_band",
    "distributions",
    "draw_values",
    "envelope",
    "figure",
    "layer_lines",
    "panel_letters",
    "responses",
    "save_figure",
    "style",
    "titled",
]

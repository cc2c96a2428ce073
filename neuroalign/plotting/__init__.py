"""One style; functions that take an axis and values and return the axis; one way of saving."""

from .captions import responses, titled
from .models import bootstrap_distributions, model_bars
from .panels import bars_with_dots, ceiling_band, distributions, envelope, layer_lines
from .rdms import category_colours, mds_map, rdm_map
from .style import COLOURS, GREY, MM, draw_values, figure, panel_letters, save_figure, style

__all__ = [
    "COLOURS",
    "GREY",
    "MM",
    "bars_with_dots",
    "bootstrap_distributions",
    "category_colours",
    "ceiling_band",
    "distributions",
    "draw_values",
    "envelope",
    "figure",
    "layer_lines",
    "mds_map",
    "model_bars",
    "panel_letters",
    "rdm_map",
    "responses",
    "save_figure",
    "style",
    "titled",
]

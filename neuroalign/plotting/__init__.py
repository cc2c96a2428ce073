"""One style; functions that take an axis and values and return the axis; one way of saving."""

from .brains import flat_map, glass_brain, stat_map
from .captions import responses, titled
from .courses import cluster_bars, time_courses, time_map, topography
from .lattices import lattice_map
from .maps import layer_preference, preferred_layer, two_scores
from .models import bootstrap_distributions, model_bars
from .panels import bars_with_dots, ceiling_band, distributions, envelope, layer_lines
from .rdms import category_colours, mds_map, rdm_map
from .responses_in_time import generalisation_map, response_function_lines
from .scales import ColourScale, code_scale, colour_scale
from .scatters import ceiling_scatter, prf_map
from .style import COLOURS, GREY, MM, draw_values, figure, panel_letters, save_figure, style
from .surfaces import surface_map

__all__ = [
    "COLOURS",
    "GREY",
    "MM",
    "ColourScale",
    "bars_with_dots",
    "bootstrap_distributions",
    "category_colours",
    "ceiling_band",
    "ceiling_scatter",
    "cluster_bars",
    "code_scale",
    "colour_scale",
    "distributions",
    "draw_values",
    "envelope",
    "figure",
    "flat_map",
    "generalisation_map",
    "glass_brain",
    "lattice_map",
    "layer_lines",
    "layer_preference",
    "mds_map",
    "model_bars",
    "panel_letters",
    "preferred_layer",
    "prf_map",
    "rdm_map",
    "response_function_lines",
    "responses",
    "save_figure",
    "stat_map",
    "style",
    "surface_map",
    "time_courses",
    "time_map",
    "titled",
    "topography",
    "two_scores",
]

"""The contract table: a row for every public function that takes arrays, and why the others have none."""

from __future__ import annotations

import rows_base
import rows_encoding
import rows_geometry
import rows_localization
import rows_rsa
import rows_similarity
import rows_spatial
import rows_stats

PARTS = (
    rows_base,
    rows_stats,
    rows_rsa,
    rows_encoding,
    rows_localization,
    rows_similarity,
    rows_spatial,
    rows_geometry,
)
TABLE = {row.name: row for part in PARTS for row in part.TABLE}
EXEMPT = {name: why for part in PARTS for name, why in part.EXEMPT.items()}
ROOMS = tuple(room for part in PARTS for room in part.ROOMS)

# Defects that are known and not mended yet; a cell that ends well fails until its line here is deleted.
_WEIGHTS = "the message does not say how many weights are bad, nor where"
_UNCHECKED = "targets and sizes are not checked"
OPEN = {
    (
        "similarity.relative_representation(x)",
        "duplicate label",
    ): "an anchor that stands twice is taken twice",
    **{
        ("similarity.ridge_predict(features)", fault): _UNCHECKED
        for fault in ("no units", "no stimulus", "transposed")
    },
    **{
        ("similarity.ridge_predict(targets)", fault): _UNCHECKED
        for fault in (
            "one NaN",
            "one inf",
            "all NaN",
            "no stimulus",
            "bool",
            "float16",
            "complex",
            "text",
            "masked array",
            "transposed",
        )
    },
    ("spatial.fwhm(values)", "all constant"): "NaN of constant maps is not counted",
    ("spatial.local_null(values)", "all constant"): "NaN of constant maps is not counted",
    **{
        (f"spatial.{name}(graph)", fault): _WEIGHTS
        for name in ("components", "islands", "row_standardise", "heat_kernel")
        for fault in ("one NaN", "one inf", "all NaN")
    },
    ("spatial.gaussian_kernel(positions)", "no units"): "positions without axes reach numpy",
    **{
        (f"geometry.{name}(activations)", "duplicate label"): "the message does not name the repeated labels"
        for name in ("dirichlet_energy", "spectral_alignment", "neighbour_mixing")
    },
    ("geometry.neighbour_mixing(activations)", "all constant"): "NaN is not counted",
    ("geometry.stream_dynamics(activations)", "constant stimulus"): "NaN in turn_cosine is not counted",
}

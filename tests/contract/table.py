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
# By cell: {("room.function(argument)", "fault"): "what is wrong"}.
OPEN: dict[tuple[str, str], str] = {}

"""Saving

`save_figure` writes PDF, PNG and the caption; `draw_values` draws a figure from its
table of values, marks simulated responses in title and caption, and saves it beside the
table. SIMULATED values.
"""

import tempfile
from pathlib import Path

import pandas as pd

from neuroalign import io, plotting

about = {"notes": {"simulated": True, "responses": "simulated", "n_subjects": 8}}


def draw(table, about):
    drawn, axes = plotting.figure(width="one column", height=50)
    plotting.layer_lines(
        axes[0, 0],
        table["layer"],
        {"r": table["r"]},
        colours={"r": plotting.COLOURS["blue"]},
    )
    axes[0, 0].set(ylabel="held-out r", title=plotting.titled("Encoding", about))
    return (
        drawn,
        "Encoding by layer",
        f"Held-out r by layer. {plotting.responses(about)}.",
    )


with tempfile.TemporaryDirectory() as folder:
    table = Path(folder) / "figure1.tsv"
    io.write_table(
        pd.DataFrame({"layer": range(6), "r": [0.1, 0.2, 0.3, 0.35, 0.3, 0.2]}), table
    )
    io.write_json(about, table.with_suffix(".provenance.json"))
    print([path.name for path in plotting.draw_values(table, draw)])
    with plotting.style():
        figure, _, caption = draw(io.read_table(table), about)
        plotting.save_figure(figure, Path(folder) / "again", caption=caption)
print(caption)

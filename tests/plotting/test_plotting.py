from __future__ import annotations

import re

import matplotlib as mpl
import matplotlib.colors
import numpy as np
import pytest
from matplotlib.collections import FillBetweenPolyCollection, PathCollection

from neuroalign import io, plotting
from neuroalign.errors import FileError, InvalidValueError
from neuroalign.plotting import COLOURS, GREY


@pytest.fixture
def ax():
    with plotting.style():
        yield plotting.figure()[1][0, 0]


def drawn(height=50):
    """A figure with text, dots, a band and an accent."""
    with plotting.style():
        figure, axes = plotting.figure(1, 2, width="one column", height=height)
        plotting.layer_lines(axes[0, 0], [0, 1, 2], {"é": [1.0, 2.0, 0.5]}, colours={"é": COLOURS["blue"]})
        plotting.distributions(axes[0, 1], {"a": np.arange(9.0)}, colours={"a": GREY})
        plotting.panel_letters(axes[0])
    return figure


def save(folder, **options):
    with plotting.style():
        return plotting.save_figure(drawn(), folder / "figure1", caption="Caption", **options)


def test_saving_twice_gives_the_same_bytes_and_no_date(tmp_path, monkeypatch):
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    first = [path.read_bytes() for path in save(tmp_path / "a")]
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    second = [path.read_bytes() for path in save(tmp_path / "b")]
    assert first == second
    pdf, png, _ = first
    assert not re.search(rb"CreationDate|ModDate|D:\d{8}", pdf)
    assert not re.search(rb"tIME|tEXt|iTXt|Creation", png)


def test_saving_writes_pdf_png_and_caption_and_gives_their_paths(tmp_path):
    written = save(tmp_path / "new folder", title="Title")
    assert [path.name for path in written] == ["figure1.pdf", "figure1.png", "figure1.json"]
    assert sorted(path.name for path in (tmp_path / "new folder").iterdir()) == sorted(
        path.name for path in written
    )
    pdf, png, _ = (path.read_bytes() for path in written)
    assert pdf.startswith(b"%PDF") and png.startswith(b"\x89PNG")
    assert b"/Type3" not in pdf and b"/Subtype /Type0" in pdf


def test_stem_with_dots_keeps_them(tmp_path):
    with plotting.style():
        written = plotting.save_figure(drawn(), tmp_path / "fig.1.draft", caption="")
    assert [path.name for path in written] == ["fig.1.draft.pdf", "fig.1.draft.png", "fig.1.draft.json"]


def test_caption_file_holds_title_caption_and_what_else_belongs_to_it(tmp_path):
    about = {"notes": {"simulated": True, "n": np.int64(3)}, "missing": float("nan")}
    *_, caption = save(tmp_path, title="Ünits", about=about)
    assert io.read_json(caption) == {
        "title": "Ünits",
        "caption": "Caption",
        "notes": {"simulated": True, "n": 3},
        "missing": None,
    }


def test_pixels_are_300_to_the_inch(tmp_path):
    _, png, _ = save(tmp_path)
    width, height = (int.from_bytes(png.read_bytes()[i : i + 4], "big") for i in (16, 20))
    assert abs(width - 85 / 25.4 * 300) <= 1 and abs(height - 50 / 25.4 * 300) <= 1


def test_figure_that_cannot_be_written_names_its_path(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match=r"file/figure1\.pdf could not be written"):
        save(tmp_path / "file")


@pytest.mark.parametrize(("width", "mm"), [("one column", 85), ("two columns", 180)])
def test_figure_has_the_width_of_the_journal(width, mm):
    figure, axes = plotting.figure(2, 3, width=width, height=60)
    np.testing.assert_allclose(figure.get_size_inches() * 25.4, [mm, 60])
    assert axes.shape == (2, 3)


def test_unknown_width_is_refused_with_those_there_are():
    with pytest.raises(InvalidValueError) as caught:
        plotting.figure(width="wide")
    assert str(caught.value) == "width must be one of 'one column', 'two columns'; got 'wide'."


def test_figures_leave_nothing_in_pyplot():
    import matplotlib.pyplot as plt

    before = plt.get_fignums()
    drawn()
    assert plt.get_fignums() == before


@pytest.mark.parametrize("error", [None, ValueError("broken")])
def test_style_holds_inside_and_returns_what_was_there(error):
    with mpl.rc_context({"font.size": 33.0, "axes.spines.top": True}):
        before = mpl.rcParams.copy()
        try:
            with plotting.style():
                assert mpl.rcParams["font.size"] == 7 and mpl.rcParams["pdf.fonttype"] == 42
                assert mpl.rcParams["axes.spines.top"] is False
                mpl.rcParams["font.size"] = 50
                if error is not None:
                    raise error
        except ValueError as raised:
            assert raised is error
        assert mpl.rcParams == before


def test_colours_are_distinct_and_can_be_drawn():
    assert len({matplotlib.colors.to_rgb(colour) for colour in [*COLOURS.values(), GREY]}) == 9


def test_layer_lines_draw_one_line_a_name_and_a_band_where_given(ax):
    depth = np.arange(4)
    lines = {"trained": np.array([1.0, np.nan, 3.0, 4.0]), "untrained": depth * 0.5}
    bands = {"trained": (depth - 1.0, depth + 2.0)}
    colours = {"trained": COLOURS["blue"], "untrained": COLOURS["orange"]}
    found = plotting.layer_lines(ax, depth, lines, colours=colours, bands=bands, styles={"untrained": "--"})
    assert found is ax
    assert [line.get_label() for line in ax.lines] == ["trained", "untrained"]
    for line, (name, values) in zip(ax.lines, lines.items(), strict=True):
        np.testing.assert_array_equal(line.get_xdata(), depth)
        np.testing.assert_array_equal(line.get_ydata(), values)
        assert line.get_color() == colours[name]
    assert [line.get_linestyle() for line in ax.lines] == ["-", "--"]
    (band,) = ax.collections
    corners = band.get_paths()[0].vertices
    assert (corners[:, 1].min(), corners[:, 1].max()) == (-1.0, 5.0)
    assert ax.get_xlabel() == "layer (block)"


def test_envelope_is_a_band_with_its_label(ax):
    assert plotting.envelope(ax, [0, 1, 2], [0, 0, 1], [1, 2, 3], label="chance") is ax
    (band,) = ax.collections
    assert isinstance(band, FillBetweenPolyCollection) and band.get_label() == "chance"
    corners = band.get_paths()[0].vertices
    assert (corners[:, 0].max(), corners[:, 1].min(), corners[:, 1].max()) == (2, 0, 3)


def test_ceiling_band_reaches_over_the_axis_with_both_bounds(ax):
    assert plotting.ceiling_band(ax, 0.2, 0.5) is ax
    (patch,) = ax.patches
    box = patch.get_extents().transformed(ax.transData.inverted())
    np.testing.assert_allclose([box.y0, box.y1], [0.2, 0.5])
    assert patch.get_label() == "noise ceiling"


def test_ceiling_band_can_be_drawn_over_a_part_of_the_axis(ax):
    plotting.ceiling_band(ax, 0.2, 0.5, label=None, x=(1, 3))
    (band,) = ax.collections
    corners = band.get_paths()[0].vertices
    assert (corners[:, 0].min(), corners[:, 0].max()) == (1, 3)
    assert (corners[:, 1].min(), corners[:, 1].max()) == (0.2, 0.5)


def dots(ax):
    return [item.get_offsets().data for item in ax.collections if isinstance(item, PathCollection)]


def test_distributions_draw_every_value_and_median_with_percentiles(ax, rng):
    groups = {"many": rng.normal(size=21), "two": [1.0, 2.0], "one": [0.3]}
    colours = dict.fromkeys(groups, GREY)
    assert plotting.distributions(ax, groups, colours=colours) is ax
    found = dots(ax)
    assert len(found) == 3
    for x, (offsets, values) in enumerate(zip(found, groups.values(), strict=True)):
        np.testing.assert_array_equal(offsets[:, 1], values)
        assert (np.abs(offsets[:, 0] - x) <= 0.32).all()
    assert found[2][0, 0] == 2
    percentiles, median = ax.lines
    np.testing.assert_allclose(percentiles.get_ydata(), np.percentile(groups["many"], [5, 95]))
    np.testing.assert_allclose(median.get_ydata(), [np.median(groups["many"])] * 2)
    assert [label.get_text() for label in ax.get_xticklabels()] == list(groups)


def test_jitter_is_the_same_each_time_and_another_with_another_seed(rng):
    values = {"a": rng.normal(size=8)}
    places = []
    for seed in (0, 0, 1):
        ax = plotting.figure()[1][0, 0]
        plotting.distributions(ax, values, colours={"a": GREY}, seed=seed)
        places.append(dots(ax)[0])
    np.testing.assert_array_equal(places[0], places[1])
    assert not np.array_equal(places[0], places[2])


def test_bars_with_dots_draw_a_bar_and_an_interval_a_name_and_a_dot_a_subject(ax):
    estimates = {"x": 0.5, "y": -0.25}
    subjects = {"x": [0.4, 0.5, 0.6], "y": [-0.25]}
    found = plotting.bars_with_dots(ax, estimates, subjects, intervals={"x": (0.45, 0.55)})
    assert found is ax
    assert [bar.get_height() for bar in ax.patches] == [0.5, -0.25]
    for x, (offsets, values) in enumerate(zip(dots(ax), subjects.values(), strict=True)):
        np.testing.assert_array_equal(offsets[:, 1], values)
        np.testing.assert_allclose(offsets[:, 0].mean(), x)
    interval, zero = ax.lines
    assert list(interval.get_ydata()) == [0.45, 0.55] and list(zero.get_ydata()) == [0, 0]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["x", "y"]


def test_panel_letters_go_on_in_the_order_of_the_axes():
    _, axes = plotting.figure(2, 2)
    plotting.panel_letters(axes.ravel())
    shown = [re.sub(r"\$\\mathbf\{(.*?)\}\$", r"\1", ax.get_title(loc="left")) for ax in axes.ravel()]
    assert [letter.strip() for letter in shown] == ["a", "b", "c", "d"]

"""RDM maps, places of stimuli, models with tests, draws: what is drawn is what was given."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from matplotlib.collections import PathCollection
from matplotlib.colors import to_rgb

from neuroalign import plotting
from neuroalign.errors import InvalidValueError, LabelError, ShapeError
from neuroalign.plotting.models import bootstrap_distributions, model_bars
from neuroalign.plotting.rdms import category_colours, mds_map, rdm_map
from neuroalign.plotting.style import COLOURS
from neuroalign.schema import make_rdm, square

STIMULI = list("abcdef")
KINDS = {"a": "face", "b": "house", "c": "face", "d": "tool", "e": "house", "f": "face"}


@pytest.fixture
def ax():
    with plotting.style():
        yield plotting.figure()[1][0, 0]


@pytest.fixture
def rdm(rng):
    return make_rdm(rng.random(15), STIMULI, attrs={"metric": "correlation"})


@pytest.fixture
def found(rng):
    names = ["m1", "m2", "m3"]
    draws = rng.normal([0.1, 0.5, 0.3], 0.05, (40, 2, 3, 3))
    p = np.array([[np.nan, 0.001, 0.2], [0.001, np.nan, 0.01], [0.2, 0.01, np.nan]])
    return xr.Dataset(
        {
            "estimate": ("model", [0.1, 0.5, 0.3]),
            "score": (("model", "subject"), np.array([[0.0, 0.2], [0.4, 0.6], [0.3, 0.3]])),
            "interval": (("bound", "model"), np.array([[-0.1, 0.4, 0.2], [0.3, 0.6, 0.4]])),
            "noise_ceiling": ("bound", [0.55, 0.7]),
            "zero_p_fdr": ("model", [0.4, 0.001, 0.02]),
            "pairwise_p_fdr": (("model", "model_b"), p),
            "draw_estimate": (("draw", "repeat", "kind", "model"), draws),
        },
        coords={
            "model": names,
            "model_b": names,
            "subject": ["s1", "s2"],
            "kind": ["both", "subject", "stimulus"],
        },
        attrs={"metric": "spearman"},
    )


def image(ax):
    return np.ma.filled(ax.images[0].get_array(), np.nan)


def dots(ax, marker_size=None):
    return [c for c in ax.collections if isinstance(c, PathCollection)]


# RDMs


def test_a_map_shows_every_pair_twice_and_no_diagonal(ax, rdm):
    assert rdm_map(ax, rdm) is ax
    np.testing.assert_array_equal(image(ax), square(rdm.values, diagonal=np.nan))
    assert not ax.get_xticks().size and not ax.get_yticks().size


def test_categories_put_stimuli_in_order_and_are_marked(ax, rdm):
    rdm_map(ax, rdm, categories=KINDS)
    order = [0, 2, 5, 1, 4, 3]
    expected = square(rdm.values, diagonal=np.nan)[np.ix_(order, order)]
    np.testing.assert_array_equal(image(ax), expected)
    left, top = (edge for edge in ax.child_axes if edge.images)
    colours = [to_rgb(COLOURS[name]) for name in ("blue",) * 3 + ("vermillion",) * 2 + ("green",)]
    np.testing.assert_array_equal(left.images[0].get_array()[:, 0], colours)
    np.testing.assert_array_equal(top.images[0].get_array()[0], colours)
    assert [text.get_text() for text in left.get_yticklabels()] == ["face", "house", "tool"]
    assert left.get_yticks().tolist() == [1.0, 3.5, 5.0]
    borders = {float(line.get_ydata()[0]) for line in ax.lines if len(set(line.get_ydata())) == 1}
    assert borders == {2.5, 4.5}


@pytest.mark.parametrize(
    ("scale", "label"), [("value", "1 - Pearson r"), ("percentile", "percentile of 1 - Pearson r")]
)
def test_the_colour_bar_says_what_is_shown(ax, rdm, scale, label):
    rdm_map(ax, rdm, scale=scale)
    assert ax.child_axes[-1].get_ylabel() == label


def test_percentiles_are_mid_ranks_from_0_to_100_of_defined_pairs(ax):
    rdm_map(ax, make_rdm(np.array([7.0, 1.0, np.nan, 1.0, 3.0, 900.0]), list("abcd")), scale="percentile")
    shown = image(ax)[np.triu_indices(4, 1)]
    np.testing.assert_allclose(shown, [75, 12.5, np.nan, 12.5, 50, 100])


def test_limits_make_maps_comparable_and_labels_can_be_given(ax, rdm):
    rdm_map(ax, rdm, limits=(0.0, 2.0), label="r", bar=True)
    assert ax.images[0].get_clim() == (0.0, 2.0)
    assert ax.child_axes[-1].get_ylabel() == "r"


def test_a_map_does_not_edit_the_rdm(ax, rdm):
    before = rdm.copy(deep=True)
    rdm_map(ax, rdm, categories=KINDS, scale="percentile")
    xr.testing.assert_identical(rdm, before)


def test_wrong_maps_are_refused(ax, rdm):
    with pytest.raises(ShapeError, match=r"one RDM \(pair,\) is drawn"):
        rdm_map(ax, rdm.expand_dims("subject"))
    with pytest.raises(LabelError, match="2 stimuli have none: 'c', 'f'"):
        rdm_map(ax, rdm, categories={k: v for k, v in KINDS.items() if k not in "cf"})
    with pytest.raises(InvalidValueError, match="scale must be one of 'value', 'percentile'"):
        rdm_map(ax, rdm, scale="rank")


def test_category_colours_are_those_given_or_the_palette():
    assert category_colours(["x", "y"], {"y": "red", "x": "blue", "z": "green"}) == {"x": "blue", "y": "red"}
    with pytest.raises(InvalidValueError, match="none for the categories 'y'"):
        category_colours(["x", "y"], {"x": "blue"})
    with pytest.raises(InvalidValueError, match="9 categories are more than the 8 colours"):
        category_colours([str(i) for i in range(9)])


# Places


def test_places_are_drawn_by_category_with_stress_and_names(ax, rng):
    x = rng.standard_normal((6, 2))
    places = xr.DataArray(x, dims=("stimulus", "axis"), coords={"stimulus": STIMULI}, attrs={"stress": 0.234})
    mds_map(ax, places, categories=KINDS, names=True)
    shown = dots(ax)
    assert [one.get_label() for one in shown] == ["face", "house", "tool"]
    np.testing.assert_array_equal(shown[0].get_offsets(), x[[0, 2, 5]])
    assert ax.get_xlabel() == "stress 0.23" and ax.get_aspect() == 1
    assert [text.get_text() for text in ax.texts] == STIMULI
    with pytest.raises(ShapeError, match=r"places must have dims \(stimulus, axis 2\)"):
        mds_map(ax, places[:, :1])


# Models


def test_bars_carry_dots_intervals_ceiling_and_tests(ax, found):
    model_bars(ax, found)
    assert [bar.get_height() for bar in ax.patches[:3]] == [0.1, 0.5, 0.3]
    low, high = ax.get_ylim()
    above_0 = next(c for c in dots(ax) if (c.get_offsets()[:, 1] < -0.1).all())
    assert above_0.get_offsets()[:, 0].tolist() == [1, 2]
    assert low < above_0.get_offsets()[0, 1] and high > 0.7
    assert ax.get_ylabel() == "RDM similarity (spearman)"


def test_the_lattice_has_a_row_for_each_model_that_beats_others(ax, found):
    model_bars(ax, found)
    rows = [c for c in dots(ax) if (c.get_offsets()[:, 1] > 0.7).all()]
    wedges, ring = rows
    assert sorted(wedges.get_offsets()[:, 0]) == [0, 2] and ring.get_offsets()[:, 0].tolist() == [1]
    assert len(set(wedges.get_offsets()[:, 1]) | set(ring.get_offsets()[:, 1])) == 1


def test_order_moves_bars_and_their_tests_together(ax, found):
    model_bars(ax, found, order=["m3", "m1", "m2"])
    assert [bar.get_height() for bar in ax.patches[:3]] == [0.3, 0.1, 0.5]
    wedges, ring = (c for c in dots(ax) if (c.get_offsets()[:, 1] > 0.7).all())
    assert ring.get_offsets()[:, 0].tolist() == [2] and sorted(wedges.get_offsets()[:, 0]) == [0, 1]
    with pytest.raises(LabelError, match="order: 'm9' are none of 'm1', 'm2', 'm3'"):
        model_bars(ax, found, order=["m9"])


def test_a_stricter_level_or_no_pairs_leaves_the_lattice_out(ax, found):
    model_bars(ax, found, alpha=1e-4)
    assert not [c for c in dots(ax) if len(c.get_offsets()) and (c.get_offsets()[:, 1] > 0.7).all()]
    other = plotting.figure()[1][0, 0]
    model_bars(other, found, pairwise=False)
    assert not [c for c in dots(other) if (c.get_offsets()[:, 1] > 0.7).all()]


def test_what_rsa_evaluates_can_be_drawn(ax, rng):
    from neuroalign import rsa

    data = make_rdm(rng.random((4, 15)), STIMULI, dims=["subject"], coords={"subject": list("wxyz")})
    models = make_rdm(rng.random((2, 15)), STIMULI, dims=["model"], coords={"model": ["m", "n"]})
    result = rsa.evaluate(models, data, n_bootstrap=20, n_permutations=19, rng=rng)
    model_bars(ax, result)
    np.testing.assert_allclose([bar.get_height() for bar in ax.patches[:2]], result["estimate"])


# Draws


@pytest.mark.parametrize("kind", ["violin", "histogram"])
def test_draws_of_all_factors_are_shown_around_the_estimate(ax, found, kind):
    bootstrap_distributions(ax, found, kind=kind)
    rings = [c.get_offsets()[0] for c in dots(ax)]
    np.testing.assert_allclose(rings, [[0, 0.1], [1, 0.5], [2, 0.3]])
    lines = [line.get_ydata().tolist() for line in ax.lines[:3]]
    np.testing.assert_allclose(lines, found["interval"].T)
    assert [text.get_text() for text in ax.get_xticklabels()] == ["m1", "m2", "m3"]


def test_a_histogram_counts_every_draw_in_its_bin(ax, found):
    bootstrap_distributions(ax, found, kind="histogram", n_bins=10)
    draws = found["draw_estimate"].values[:, :, 0].mean(axis=1)
    edges = np.linspace(draws.min(), draws.max(), 11)
    counts = np.histogram(draws[:, 1], edges)[0]
    widths = [bar.get_width() for bar in ax.patches[10:20]]
    np.testing.assert_allclose(widths, 0.8 * counts / counts.max())


def test_undefined_draws_are_left_out_and_said(ax, found):
    found["draw_estimate"][:5, 0, 0, 2] = np.nan
    bootstrap_distributions(ax, found)
    assert [text.get_text() for text in ax.get_xticklabels()] == ["m1", "m2", "m3\n(n = 35)"]
    found["draw_estimate"][1:, 0, 0, 2] = np.nan
    with pytest.raises(InvalidValueError, match="model 'm3' has 0 defined draws"):
        bootstrap_distributions(ax, found)
    with pytest.raises(InvalidValueError, match="no draws 'draw_estimate'"):
        bootstrap_distributions(ax, found[["estimate"]])
    with pytest.raises(InvalidValueError, match="kind must be one of"):
        bootstrap_distributions(ax, found, kind="box")


def test_figures_with_all_panels_are_saved_without_a_warning(tmp_path, found, rdm):
    with plotting.style():
        figure, axes = plotting.figure(1, 3)
        rdm_map(axes[0, 0], rdm, categories=KINDS)
        model_bars(axes[0, 1], found)
        bootstrap_distributions(axes[0, 2], found)
        plotting.panel_letters(axes[0])
        written = plotting.save_figure(figure, tmp_path / "figure", caption="Caption")
    assert all(path.stat().st_size > 0 for path in written)

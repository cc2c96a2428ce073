"""Spatial losses: what the measures say by hand, loss and measure agree, gradients, training lowers it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import pearsonr

from neuroalign import spatial
from neuroalign.errors import InvalidValueError, ShapeError

torch = pytest.importorskip("torch")

PLACES = spatial.lattice_positions((4, 5))
ROWS = np.random.default_rng(0).standard_normal((12, 20))
KINDS = {"topolm": (None, 2.0), "dirichlet": (1.0, 1.5), "moran": (1.0, 1.5)}
CASES = [(kind, radius) for kind, radii in KINDS.items() for radius in radii]


@pytest.mark.parametrize("radius", [None, 2.0])
def test_topolm_is_the_correlation_over_pairs(radius):
    responses, near = [], []
    for i in range(20):
        for j in range(i):
            apart = np.linalg.norm(PLACES[i] - PLACES[j])
            if radius is None or apart <= radius:
                responses.append(pearsonr(ROWS[:, i], ROWS[:, j]).statistic)
                near.append(1 / (apart + 1))
    expected = pearsonr(responses, near).statistic
    assert float(spatial.spatial_smoothness(ROWS, PLACES, radius=radius)) == pytest.approx(expected)


def test_the_kinds_of_maps_are_morans_i_and_gearys_c():
    graph = spatial.lattice((4, 5))
    moran = spatial.moran(ROWS, graph, standardise=False).statistic.mean()
    found = spatial.spatial_smoothness(ROWS, PLACES, kind="moran", radius=1.0)
    assert float(found) == pytest.approx(float(moran))
    geary = spatial.geary(ROWS, graph, standardise=False).statistic.mean()
    found = spatial.spatial_smoothness(ROWS, PLACES, kind="dirichlet", radius=1.0)
    assert float(found) == pytest.approx(float(geary) * 20 / 19)


@pytest.mark.parametrize(("kind", "radius"), CASES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_loss_and_measure_agree(kind, radius, dtype):
    rows = torch.from_numpy(ROWS).to(dtype)
    loss = spatial.spatial_smoothness_loss(rows, PLACES, kind=kind, radius=radius)
    measure = float(spatial.spatial_smoothness(rows.numpy(), PLACES, kind=kind, radius=radius))
    assert loss.dtype == dtype
    assert float(loss) == pytest.approx(measure if kind == "dirichlet" else 1 - measure, abs=1e-6)


@pytest.mark.parametrize(("kind", "radius"), CASES)
def test_gradients_are_those_of_finite_differences(kind, radius):
    rows = torch.from_numpy(ROWS[:5, :12]).requires_grad_()
    loss = spatial.SpatialLoss(PLACES[:12], kind=kind, radius=radius)
    assert torch.autograd.gradcheck(loss, (rows,), eps=1e-6, atol=1e-6)


@pytest.mark.parametrize(("kind", "radius"), CASES)
def test_what_is_constant_is_left_out_counted_and_has_no_gradient(kind, radius):
    rows = ROWS.copy()
    (rows if kind != "topolm" else rows.T)[3] = 0.7
    found = spatial.spatial_smoothness(rows, PLACES, kind=kind, radius=radius)
    assert found.attrs["n_constant"] == 1
    tensor = torch.from_numpy(rows).requires_grad_()
    loss = spatial.spatial_smoothness_loss(tensor, PLACES, kind=kind, radius=radius)
    expected = float(found) if kind == "dirichlet" else 1 - float(found)
    assert float(loss.detach()) == pytest.approx(expected)
    loss.backward()
    assert torch.isfinite(tensor.grad).all()


@pytest.mark.parametrize("kind", list(KINDS))
def test_constant_activations_have_no_smoothness(kind):
    radius = KINDS[kind][0]
    found = spatial.spatial_smoothness(np.full((5, 20), 0.1), PLACES, kind=kind, radius=radius)
    assert np.isnan(found)
    loss = spatial.spatial_smoothness_loss(torch.full((5, 20), 0.1), PLACES, kind=kind, radius=radius)
    assert torch.isnan(loss)


def test_pairs_all_at_one_distance_have_no_correlation():
    assert np.isnan(spatial.spatial_smoothness(ROWS, PLACES, radius=1.0))


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_few_steps_down_the_gradient_make_activations_smoother(kind):
    loss = spatial.SpatialLoss(PLACES, kind=kind, radius=KINDS[kind][0])
    rows = torch.from_numpy(ROWS).requires_grad_()
    optimizer = torch.optim.Adam([rows], lr=0.05)
    first = float(loss(rows).detach())
    for _ in range(60):
        optimizer.zero_grad()
        loss(rows).backward()
        optimizer.step()
    assert float(loss(rows).detach()) < 0.7 * first


@pytest.mark.parametrize(
    ("rows", "places", "options", "text"),
    [
        (ROWS, PLACES[:5], {}, "activations have 20 units, positions are of 5"),
        (ROWS, PLACES, {"kind": "tdann"}, "kind must be one of 'topolm', 'dirichlet', 'moran'; got 'tdann'"),
        (ROWS, PLACES, {"kind": "moran"}, "kind 'moran' needs a radius"),
        (ROWS, PLACES * 2, {"kind": "moran", "radius": 1.0}, "20 units have no neighbour within 1.0"),
        (ROWS, np.zeros((20, 2)), {}, "positions are repeated; units 0 and 1 are both at"),
        (np.full((2, 20), np.nan), PLACES, {}, "activations must be finite"),
    ],
)
def test_bad_input_is_refused_with_reasons(rows, places, options, text):
    with pytest.raises((InvalidValueError, ShapeError), match=text):
        spatial.spatial_smoothness(rows, places, **options)


def test_a_loss_of_other_units_is_refused():
    with pytest.raises(ShapeError, match=r"\(n_rows, 20 units\); got \(3, 4\)"):
        spatial.spatial_smoothness_loss(torch.zeros(3, 4), PLACES)

"""Pixels and motion energy: gratings with known answers, a slow independent filter, laws, errors."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from neuroalign.errors import InvalidValueError, LabelError, NeuroalignError, ShapeError
from neuroalign.stimuli.motion import motion_energy, pixels

N_TIMES = 26
X = np.linspace(-6, 6, 49)
Y = np.linspace(5, -5, 41)


def movie_of(values, x=X, y=Y, **coords):
    values = np.broadcast_to(values, (len(values), len(y), len(x)))
    return xr.DataArray(
        values,
        dims=("time", "y", "x"),
        coords={"time": 1.5 * np.arange(len(values)), "y": y, "x": x, **coords},
    )


def grating(f=0.5, direction=0.0, w=0.125, phase=0.0, amplitude=1.0):
    """A grating of f cycles per degree that drifts towards ``direction`` with w cycles per frame."""
    angle = np.deg2rad(direction)
    along = X * np.cos(angle) + Y[:, None] * np.sin(angle)
    t = np.arange(N_TIMES)[:, None, None]
    return movie_of(amplitude * np.cos(2 * np.pi * (f * along - w * t) + phase))


def centre(found):
    """The filters nearest to the middle of the screen, at a frame whose window lies in the movie."""
    near = (np.abs(found.x) < 1e-9) & (np.abs(found.y) < 1e-9)
    return found.isel(time=13, feature=np.flatnonzero(near))


FREQUENCIES = {"spatial_frequencies": [0.25, 0.5, 1.0], "temporal_frequencies": [0.0, 0.125, 0.25]}
# With a spacing of the whole screen each frequency has one centre: the middle.
ONE = {**FREQUENCIES, "spacing": 50.0, "compression": "none"}


@pytest.mark.parametrize("f", [0.5, 1.0])
@pytest.mark.parametrize("direction", [0.0, 45.0, 90.0, 135.0, 180.0, 225.0, 270.0, 315.0])
@pytest.mark.parametrize("w", [0.125, 0.25])
def test_a_drifting_grating_drives_the_filter_of_its_own_direction_and_frequencies_most(f, direction, w):
    found = centre(motion_energy(grating(f, direction, w, amplitude=3.0), **ONE))
    best = found.isel(feature=int(found.values.argmax()))
    assert (best.spatial_frequency, best.direction, best.temporal_frequency) == (f, direction, w)
    # Amplitude 3 has energy 9: windows are nearly whole.
    assert float(best) == pytest.approx(9.0, rel=2e-2)
    opposite = found.values[
        (found.spatial_frequency == f)
        & (found.temporal_frequency == w)
        & (found.direction == (direction + 180) % 360)
    ]
    assert opposite.shape == (1,) and opposite[0] < 0.02 * float(best)


def test_the_energy_of_a_grating_does_not_depend_on_its_phase():
    phases = np.linspace(0, 2 * np.pi, 8, endpoint=False)
    own = []
    for phase in phases:
        found = centre(motion_energy(grating(phase=phase), **ONE))
        own.append(found.values.max())
    np.testing.assert_allclose(own, own[0], rtol=5e-3)


def test_the_energy_of_a_drifting_grating_is_constant_in_time():
    found = motion_energy(grating(), **ONE)
    best = found.isel(feature=int(found.values[13].argmax()))
    np.testing.assert_allclose(best[6:20], best[13], rtol=5e-3)


def test_what_stands_still_drives_only_zero_temporal_frequency(rng):
    found = motion_energy(movie_of(np.repeat(rng.standard_normal((1, 41, 49)), 9, axis=0)), **ONE)
    still = found.temporal_frequency.values == 0
    assert (found.values[:, still] > 1e-6).all()
    np.testing.assert_allclose(found.values[:, ~still], 0, atol=1e-25)


def test_uniform_light_drives_no_filter_also_where_it_flickers(rng):
    found = motion_energy(movie_of(rng.standard_normal((20, 1, 1))), **{**FREQUENCIES, "compression": "none"})
    np.testing.assert_allclose(found.values, 0, atol=1e-25)


def slow_energy(movie, t, *, f, direction, w, px, py, sd, tau):
    """The sum of squares of two three-dimensional filters, pixel by pixel and frame by frame."""
    half = int(np.ceil(3 * tau))
    angle = np.deg2rad(direction)
    space = {}
    v, u = np.meshgrid(movie.y.values - py, movie.x.values - px, indexing="ij")
    window = np.exp(-(u**2 + v**2) / (2 * sd**2))
    window /= window.sum()
    along = 2 * np.pi * f * (u * np.cos(angle) + v * np.sin(angle))
    for name, wave in (("cos", np.cos(along)), ("sin", np.sin(along))):
        space[name] = 2 * window * (wave - (window * wave).sum())
    steps = np.arange(-half, half + 1)
    bell = np.exp(-(steps**2) / (2 * tau**2))
    bell /= bell.sum()
    cosine, sine = bell * np.cos(2 * np.pi * w * steps), bell * np.sin(2 * np.pi * w * steps)
    if w:
        cosine = cosine - bell * cosine.sum()
    gain = sum(cosine * np.cos(2 * np.pi * w * steps)) + sum(sine * np.sin(2 * np.pi * w * steps))
    total = {"even": 0.0, "odd": 0.0}
    for step, c, s in zip(steps, cosine / gain, sine / gain, strict=True):
        frame = movie.values[min(max(t + step, 0), len(movie) - 1)]
        total["even"] += (frame * (space["cos"] * c + space["sin"] * s)).sum()
        total["odd"] += (frame * (space["sin"] * c - space["cos"] * s)).sum()
    return total["even"] ** 2 + total["odd"] ** 2


def test_energies_are_those_of_a_slow_independent_filter(rng):
    movie = movie_of(rng.standard_normal((12, 15, 21)), np.linspace(-5, 5, 21), np.linspace(-3.5, 3.5, 15))
    found = motion_energy(
        movie, spatial_frequencies=[0.3, 0.7], temporal_frequencies=[0, 0.2], frames=1.2, compression="none"
    )
    for t, i in zip(rng.integers(0, 12, 25), rng.integers(0, found.sizes["feature"], 25), strict=True):
        one = found.isel(feature=int(i))
        expected = slow_energy(
            movie,
            int(t),
            f=float(one.spatial_frequency),
            direction=float(one.direction),
            w=float(one.temporal_frequency),
            px=float(one.x),
            py=float(one.y),
            sd=0.6 / float(one.spatial_frequency),
            tau=1.2,
        )
        assert float(one[int(t)]) == pytest.approx(expected, rel=1e-9, abs=1e-15)


def small(rng, n=10):
    return movie_of(rng.standard_normal((n, 15, 21)), np.linspace(-5, 5, 21), np.linspace(-3.5, 3.5, 15))


SMALL = {"spatial_frequencies": [0.4], "temporal_frequencies": [0.0, 0.25]}


def by_filter(found, turn=lambda d: d, mirror=1):
    """Columns in the order of what they prefer, with directions turned and x mirrored."""
    keys = zip(
        found.temporal_frequency.values,
        np.round(turn(found.direction.values) % 360, 6),
        np.round(mirror * found.x.values, 6),
        np.round(found.y.values, 6),
        strict=True,
    )
    return found.values[:, sorted(range(found.sizes["feature"]), key=dict(enumerate(keys)).__getitem__)]


def test_a_reversed_movie_moves_the_other_way(rng):
    movie = small(rng)
    there = motion_energy(movie, **SMALL)
    back = motion_energy(movie.copy(data=movie.values[::-1]), **SMALL)
    moving = {"feature": there.temporal_frequency.values > 0}
    turned = by_filter(back.isel(moving), lambda d: d + 180)[::-1]
    np.testing.assert_allclose(by_filter(there.isel(moving)), turned, atol=1e-12)
    still = {"feature": there.temporal_frequency.values == 0}
    np.testing.assert_allclose(there.isel(still).values, back.isel(still).values[::-1], atol=1e-12)


def test_a_mirrored_movie_moves_the_mirrored_way(rng):
    movie = small(rng)
    moving = {"feature": motion_energy(movie, **SMALL).temporal_frequency.values > 0}
    there = motion_energy(movie, **SMALL).isel(moving)
    other = motion_energy(movie.copy(data=movie.values[:, :, ::-1]), **SMALL).isel(moving)
    np.testing.assert_allclose(by_filter(there), by_filter(other, lambda d: 180 - d, mirror=-1), atol=1e-12)


def test_the_order_of_rows_of_the_screen_does_not_matter(rng):
    movie = small(rng)
    a, b = motion_energy(movie, **SMALL), motion_energy(movie.isel(y=slice(None, None, -1)), **SMALL)
    np.testing.assert_allclose(by_filter(a), by_filter(b), atol=1e-12)


def test_a_run_knows_nothing_of_the_next(rng):
    movie = small(rng, 16).assign_coords(run=("time", np.repeat([1, 2], 8)))
    found = motion_energy(movie, **SMALL)
    for run in (1, 2):
        rows = np.flatnonzero(movie.run == run)
        np.testing.assert_allclose(found[rows], motion_energy(movie[rows], **SMALL), atol=1e-12)
    given = motion_energy(movie.drop_vars("run"), runs=movie.run.values, **SMALL)
    np.testing.assert_array_equal(given.values, found.values)
    assert found.run.values.tolist() == movie.run.values.tolist()


def test_compressions_are_functions_of_the_energy(rng):
    energy, root, log = (
        motion_energy(small(rng=np.random.default_rng(1)), compression=name, **SMALL).values
        for name in ("none", "sqrt", "log")
    )
    np.testing.assert_allclose(root, np.sqrt(energy))
    np.testing.assert_allclose(log, np.log(1 + energy))


def test_filters_are_labelled_and_lie_on_the_screen():
    found = motion_energy(grating())
    assert found.dims == ("time", "feature") and found.indexes["feature"].is_unique
    assert set(found.band.values) == {"motion energy"}
    assert (np.abs(found.x) <= 6 - found.spatial_sd + 1e-9).all()
    n_per_place = 4 + 2 * 8
    places = {
        f: len({*zip(part.x.values.tolist(), part.y.values.tolist(), strict=True)})
        for f, part in found.groupby("spatial_frequency")
    }
    # Room of 12 and 10 degrees less 2 sigma, in steps of 2.5 sigma; sigma is 0.6 wavelengths.
    assert places == {0.25: 2 * 1, 0.5: 4 * 3, 1.0: 8 * 6}
    assert found.sizes["feature"] == n_per_place * (2 + 12 + 48)
    assert found.attrs["compression"] == "sqrt" and (found >= 0).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"spatial_frequencies": [2.1]}, "spatial_frequencies must be different numbers above 0 to 2 "),
        ({"spatial_frequencies": [0.0]}, "above 0 to 2"),
        ({"spatial_frequencies": []}, r"got \[\]"),
        ({"temporal_frequencies": [0.6]}, "temporal_frequencies must be different numbers from 0 to 0.5"),
        ({"temporal_frequencies": [0.1, 0.1]}, r"got \[0.1, 0.1\]"),
        ({"n_directions": 3}, "n_directions must be an even number of at least 2; got 3"),
        ({"wavelengths": 0}, "wavelengths must be positive; got 0"),
        ({"frames": -1.0}, "frames must be positive"),
        ({"spacing": np.nan}, "spacing must be positive"),
        ({"compression": "cube"}, "compression must be one of 'none', 'sqrt', 'log'; got 'cube'"),
        ({"runs": [1, 2]}, r"runs must have shape \(26,\); got \(2,\)"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(NeuroalignError, match=message):
        motion_energy(grating(), **options)


@pytest.mark.parametrize("make", [motion_energy, lambda m: pixels(m, rows=1, columns=1)])
@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda m: m.values, ShapeError, r"movie must be a DataArray \(time, y, x\); got ndarray"),
        (lambda m: m.transpose("x", "y", "time"), ShapeError, "got .*'x', 'y', 'time'"),
        (lambda m: m.drop_vars("x"), LabelError, "movie lacks the coordinates 'x'"),
        (
            lambda m: m.assign_coords(x=X**3),
            InvalidValueError,
            "x must be at least 2 evenly spaced positions",
        ),
        (lambda m: m.where(m.time != 3.0), InvalidValueError, "movie must be finite; 2009 of"),
    ],
)
def test_what_is_no_movie_is_refused(make, change, error, message):
    with pytest.raises(error, match=message):
        make(change(grating()))


@pytest.mark.parametrize("times", [np.r_[np.arange(25.0), 30.0], np.arange(26.0)[::-1]])
def test_frames_out_of_order_are_refused(times):
    with pytest.raises(InvalidValueError, match="in order of time and evenly spaced"):
        motion_energy(grating().assign_coords(time=times))


def test_pixels_are_means_of_blocks(rng):
    movie = small(rng)
    found = pixels(movie, rows=5, columns=7)
    assert found.sizes == {"time": 10, "feature": 35} and set(found.band.values) == {"pixels"}
    for i in range(5):
        for j in range(7):
            block = movie.isel(y=slice(3 * i, 3 * i + 3), x=slice(3 * j, 3 * j + 3))
            one = found.isel(feature=7 * i + j)
            np.testing.assert_allclose(one, block.mean(("y", "x")), atol=1e-14)
            assert float(one.x) == pytest.approx(float(block.x.mean()))
            assert float(one.y) == pytest.approx(float(block.y.mean()))
    assert found.indexes["feature"].is_unique


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ({"rows": 4, "columns": 7}, r"rows must divide the movie's 15 rows: one of \[1, 3, 5, 15\]; got 4"),
        ({"rows": 5, "columns": 0}, r"columns must divide the movie's 21 columns: .*; got 0"),
        ({"rows": 5, "columns": 7.0}, "got 7.0"),
    ],
)
def test_blocks_must_be_whole(rng, size, message):
    with pytest.raises(ShapeError, match=message):
        pixels(small(rng), **size)


def test_nothing_is_edited_in_place(rng):
    movie = small(rng)
    before = movie.copy(deep=True)
    motion_energy(movie, **SMALL)
    pixels(movie, rows=3, columns=3)
    xr.testing.assert_identical(movie, before)

"""Planted regions: where the signal is, how strong, the noise around it, and what is refused."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
import xarray as xr

from neuroalign import io
from neuroalign.datasets import planted, volume_places
from neuroalign.errors import InvalidValueError, LabelError, ShapeError

STIMULI = list("abcdefgh")


def kinds(n=2):
    codes = np.arange(len(STIMULI)) % n
    return xr.DataArray(np.eye(n)[codes], dims=("stimulus", "feature"), coords={"stimulus": STIMULI})


@pytest.fixture(scope="module")
def places():
    return volume_places((7, 8, 5), voxel=3.0)


def test_the_voxels_of_an_ellipsoid_lie_where_the_affine_says(places):
    index = np.stack([places[name].values for name in "ijk"], axis=1)
    affine = np.array(places.attrs["affine"])
    np.testing.assert_allclose(nib.affines.apply_affine(affine, index), places.values)
    np.testing.assert_allclose(places.values.mean(axis=0), 0, atol=1e-12)
    half = (np.array([7, 8, 5]) - 1) / 2 * 3.0
    assert ((places.values / half) ** 2).sum(axis=1).max() <= 1 + 1e-9
    assert volume_places((7, 8, 5), ellipsoid=False).sizes["neuroid"] == 280


def test_a_map_of_the_regions_goes_to_nifti_and_back(places, tmp_path):
    found = planted(places, {"r": kinds()}, regions={"r": ((0, 0, 0), 4.0)}, snr=1.0, rng=0)
    inside = (found["roi"] == "r").astype(np.float64).assign_attrs(places.attrs).rename("region")
    path = io.save_nifti(inside, tmp_path / "truth.nii.gz")[0]
    back = io.read_nifti(path)
    assert back.attrs["affine"] == places.attrs["affine"] and back.attrs["shape"] == [7, 8, 5]
    known = back.isel(neuroid=np.isfinite(back.values))
    assert known["neuroid"].values.tolist() == inside["neuroid"].values.tolist()
    np.testing.assert_array_equal(known.values, inside.values)


def test_the_signal_has_the_variance_that_was_asked_for(places):
    inside = np.arange(60)
    found = planted(places, {"r": kinds(4)}, regions={"r": inside}, snr=4.0, n_runs=400, rng=1)
    x = found["responses"]
    signal = x.mean("run").values[:, inside]
    noise = (x - x.mean("run")).values
    assert noise.var() == pytest.approx(1.0, rel=0.02)
    # Variance over stimuli in the mean over neuroids, whose weights are drawn.
    assert signal.var(axis=0).mean() == pytest.approx(4.0, rel=0.25)
    outside = np.setdiff1d(np.arange(x.sizes["neuroid"]), inside)
    assert x.mean("run").values[:, outside].var() == pytest.approx(1 / 400, rel=0.1)
    # Stimuli of one kind have one pattern.
    np.testing.assert_allclose(signal[0], signal[4], atol=0.25)


def test_smoothed_noise_keeps_its_variance_and_neighbours_are_alike(places):
    found = planted(
        places, {"r": kinds()}, regions={"r": [0]}, snr=0.0, smoothing=6.0, n_residuals=2000, rng=2
    )
    rest = found["residuals"].values
    assert rest.var(axis=0).mean() == pytest.approx(1.0, rel=0.05)
    sigma = 6.0 / np.sqrt(8 * np.log(2))
    place = {label: i for i, label in enumerate(places["neuroid"].values.tolist())}
    r = np.corrcoef(rest[:, place["3-3-2"]], rest[:, place["3-4-2"]])[0, 1]
    # Of two equal Gaussians at a distance d: exp(-d^2 / 4 sigma^2).
    assert r == pytest.approx(np.exp(-9.0 / (4 * sigma**2)), abs=0.06)


def test_another_region_changes_no_noise_and_a_seed_gives_the_same_data(places):
    one = planted(places, {"r": kinds()}, regions={"r": [0, 1]}, snr=1.0, rng=5)
    both = planted(
        places,
        {"r": kinds(), "q": kinds(4)},
        regions={"r": [0, 1], "q": [9]},
        snr={"r": 1.0, "q": 2.0},
        rng=5,
    )
    same = both["responses"].isel(neuroid=np.arange(one.sizes["neuroid"]) != 9)
    np.testing.assert_array_equal(same, one["responses"].isel(neuroid=np.arange(one.sizes["neuroid"]) != 9))
    again = planted(places, {"r": kinds()}, regions={"r": [0, 1]}, snr=1.0, rng=5)
    xr.testing.assert_identical(one, again)
    drawn = planted(places, {"r": kinds()}, regions={"r": [0, 1]}, snr=1.0, rng=np.random.default_rng(0))
    assert (drawn["responses"].values != one["responses"].values).any()


def test_what_was_planted_is_said(places):
    found = planted(places, {"r": kinds()}, regions={"r": ((0, 0, 0), 4.0)}, snr=0.5, rng=0)
    assert found.attrs["simulated"] is True and found["responses"].attrs["simulated"] is True
    assert found.attrs["truth"] == {
        "snr": {"r": 0.5},
        "size": {"r": int((found["roi"] == "r").sum())},
        "smoothing": 0.0,
    }
    assert found["responses"].attrs["shape"] == [7, 8, 5]


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"regions": {"q": [0]}}, LabelError, "must have the same names"),
        ({"regions": {"r": []}}, InvalidValueError, "region 'r' must hold neuroids"),
        ({"regions": {"r": ((99, 0, 0), 2)}}, InvalidValueError, "region 'r' must hold neuroids"),
        ({"snr": -1.0}, InvalidValueError, "snr of 'r' must be finite and not negative; got -1.0"),
        ({"snr": {"q": 1.0}}, InvalidValueError, "snr of 'r' must be .* got None"),
        ({"n_runs": 0}, InvalidValueError, "n_runs must be"),
        ({"smoothing": np.nan}, InvalidValueError, "smoothing must be finite"),
        ({"features": {"r": kinds() * 0}}, InvalidValueError, "the same for all stimuli"),
        ({"features": {"r": kinds()[:, 0]}}, ShapeError, r"features of 'r' must be a DataArray"),
    ],
)
def test_wrong_arguments_are_refused_with_what_came(places, change, error, text):
    given = {"features": {"r": kinds()}, "regions": {"r": [0, 1]}, "snr": 1.0, "rng": 0} | change
    with pytest.raises(error, match=text):
        planted(places, given.pop("features"), **given)


def test_overlaps_other_stimuli_and_wrong_places_are_refused(places):
    two = {"r": kinds(), "q": kinds()}
    with pytest.raises(InvalidValueError, match="region 'q' overlaps one before it in 1 places"):
        planted(places, two, regions={"r": [0, 1], "q": [1]}, snr=1.0, rng=0)
    other = {"r": kinds(), "q": kinds().assign_coords(stimulus=list("stuvwxyz"))}
    with pytest.raises(LabelError, match="other stimuli"):
        planted(places, other, regions={"r": [0], "q": [1]}, snr=1.0, rng=0)
    with pytest.raises(ShapeError, match="3 columns; got 2"):
        planted(places[:, :2], {"r": kinds()}, regions={"r": [0]}, snr=1.0, rng=0)
    with pytest.raises(InvalidValueError, match="shape must be three positive integers"):
        volume_places((3, 0, 2))
    with pytest.raises(InvalidValueError, match="voxel must be positive"):
        volume_places((3, 3, 2), voxel=0)


def test_places_that_are_no_table_and_no_region_are_refused(places):
    for wrong, said in ((places.values, "got ndarray"), (places.T, r"got \('axis', 'neuroid'\)")):
        with pytest.raises(ShapeError, match=rf"places must be a DataArray \(neuroid, axis\) .*; {said}"):
            planted(wrong, {"r": kinds()}, regions={"r": [0]}, snr=1.0, rng=0)
    with pytest.raises(LabelError, match="at least one region is needed; got none"):
        planted(places, {}, regions={}, snr=1.0, rng=0)

"""The moving-bar data: labels, geometry of the screen, damaged files, and what ridge finds in them."""

from __future__ import annotations

import gzip
import io as bytes_io

import numpy as np
import pytest
import scipy.stats

from neuroalign import datasets, io, schema
from neuroalign.datasets import sources
from neuroalign.datasets.known import szinte
from neuroalign.encoding import RidgeCV, contiguous_splits, delay, evaluate
from neuroalign.errors import FileError, InvalidValueError
from neuroalign.stats import SCORES
from neuroalign.stimuli.motion import pixels


@pytest.fixture(scope="module")
def bold(data_root):
    return datasets.load("szinte_prf_v1", root=data_root)


@pytest.fixture(scope="module")
def movie(data_root):
    return datasets.load("szinte_prf_v1", what="stimulus", root=data_root)


def test_the_series_has_a_published_receptive_field_a_voxel(bold):
    schema.check(bold, "series")
    assert dict(bold.sizes) == {"time": 150, "neuroid": 2308}
    assert bold.dtype == np.float64 and np.isfinite(bold.values).all()
    np.testing.assert_allclose(bold["time"], 1.317 * np.arange(150))
    assert (bold["run"] == 1).all() and set(bold["subject"].values) == {"sub-1"}
    assert set(bold["roi"].values) == {"V1"}
    assert int(np.isfinite(bold["prf_r2"]).sum()) == 1279
    for name in ("x", "y", "sd", "baseline", "amplitude"):
        assert np.isfinite(bold[f"prf_{name}"]).all()


def test_constant_voxels_are_named_and_left_out_or_kept(bold, data_root):
    whole = datasets.load("szinte_prf_v1", root=data_root, constant="keep")
    assert whole.sizes["neuroid"] == 2365 and whole.attrs["excluded"] == {}
    assert bold.attrs["n_constant"] == whole.attrs["n_constant"] == 57
    flat = whole["neuroid"].values[(whole == whole[0]).all("time").values]
    assert bold.attrs["excluded"] == dict.fromkeys(flat.tolist(), "constant series")
    assert set(whole["neuroid"].values) - set(bold["neuroid"].values) == set(flat)
    assert np.isnan(whole["prf_x"].sel(neuroid=flat)).all()
    np.testing.assert_array_equal(whole.sel(neuroid=bold["neuroid"]).values, bold.values)
    with pytest.raises(InvalidValueError, match="constant must be one of 'drop', 'keep'; got 'no'"):
        datasets.load("szinte_prf_v1", root=data_root, constant="no")


def test_values_are_those_of_the_file(bold, data_root):
    lines = gzip.decompress((data_root / "szinte_prf_v1" / szinte.BOLD).read_bytes()).decode().splitlines()
    header, row = lines[0].split("\t"), lines[8].split("\t")
    for name in ("voxel-0000", "voxel-0197", "voxel-2364"):
        place = header.index(str(int(name.split("-")[1])))
        assert float(bold.sel(neuroid=name)[7]) == float(row[place])


def test_the_bar_moves_left_down_right_and_up(movie):
    assert movie.dims == ("time", "y", "x") and movie.shape == (150, 45, 80)
    assert (np.diff(movie.x) > 0).all() and (np.diff(movie.y) < 0).all()
    bright = movie.where(movie > 4, 0)
    x = (bright * movie.x).sum(("y", "x")) / bright.sum(("y", "x"))
    y = (bright * movie.y).sum(("y", "x")) / bright.sum(("y", "x"))
    for frames, axis, sign in (
        (slice(12, 40), x, -1),
        (slice(54, 68), y, -1),
        (slice(82, 110), x, 1),
        (slice(124, 138), y, 1),
    ):
        steps = np.diff(axis[frames]) * sign
        # One step a volume: 0.6 degrees, but for pixels' rounding and the fixation mark.
        assert (steps > 0.2).all() and 0.5 < steps.mean() < 0.7
    np.testing.assert_array_equal(movie.time, 1.317 * np.arange(150))


def test_the_screen_is_the_right_way_round(bold, movie):
    """Voxels answer to light in their published field more than in its mirror images."""
    best = bold.isel(neuroid=np.argsort(-np.nan_to_num(bold["prf_r2"].values))[:200])
    light = datasets.convolve_hrf(movie, movie.attrs["tr"])
    found = {}
    for flip in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
        x, y = flip[0] * best["prf_x"], flip[1] * best["prf_y"]
        seen = light.sel(x=x, y=y, method="nearest").transpose("time", "neuroid")
        found[flip] = np.nanmean(SCORES["pearson"](best.values, seen.values))
    assert found[1, 1] == pytest.approx(0.71, abs=0.01)
    assert max(found[1, -1], found[-1, 1], found[-1, -1]) < 0.55


@pytest.mark.parametrize(
    ("delays", "mean_r", "rho"), [((2, 3, 4, 5, 6), 0.27, 0.77), ((0, 1, 2, 3, 4), 0.41, 0.83)]
)
def test_ridge_on_the_aperture_finds_the_known_accuracy(bold, movie, delays, mean_r, rho):
    # Known before this package was written: mean r .27 and .41, and a rank correlation with the published R2
    # of about .8 over the 1,279 voxels that have one; rho as measured here, to two digits.
    features = delay(pixels(movie, rows=15, columns=20), delays)
    assert features.sizes == {"time": 150, "feature": 1500}
    model = RidgeCV(edge_tolerance=1.0)
    scores = evaluate(model, features, bold, splits=contiguous_splits(150, 5)).mean("fold")
    assert float(scores.mean()) == pytest.approx(mean_r, abs=0.005)
    known = np.isfinite(bold["prf_r2"].values)
    assert known.sum() == 1279
    found = scipy.stats.spearmanr(scores.values[known], bold["prf_r2"].values[known])[0]
    assert found == pytest.approx(rho, abs=0.005) and found == pytest.approx(0.8, abs=0.05)


def source_of(tmp_path, files):
    entries = {}
    for path, content in files.items():
        (tmp_path / path).write_bytes(content)
        digest = io.file_digest(tmp_path / path)
        entries[path] = io.FileEntry(path=path, n_bytes=len(content), sha256=digest, upstream=None)
    return sources.Source(io.SetEntry("szinte_prf_v1", "t", "o/n", "0" * 40, "l", "c", entries), tmp_path)


GOOD_GRID = "x\ty\n" + "".join(f"{x}.5\t{-y}.25\n" for x in range(80) for y in range(45))


def archive(array, name="arr_0"):
    buffer = bytes_io.BytesIO()
    np.savez(buffer, **{name: array})
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("grid", "content", "message"),
    [
        (GOOD_GRID.replace("3.5\t-7.25", "3.6\t-7.25"), b"", "not a grid of 80 columns and 45 rows"),
        (GOOD_GRID.replace("x\ty", "y\tx"), b"", r"must have 3600 rows and the 2 columns"),
        (GOOD_GRID.replace("3.5\t-7.25", "3.5\tright"), b"", "is not a table of numbers"),
        (GOOD_GRID.replace("3.5\t-7.25", "3.5\tnan"), b"", "must hold finite numbers"),
        (GOOD_GRID, b"no archive", "is not the archive with arr_0"),
        (GOOD_GRID, archive(np.zeros(3), "x"), "is not the archive with arr_0"),
        (GOOD_GRID, archive(np.array([None])), "is not the archive with arr_0"),
        (GOOD_GRID, archive(np.zeros((150, 45, 80))), r"shape \(150, 80, 45\); got shape \(150, 45, 80\)"),
    ],
)
def test_a_movie_of_another_kind_is_a_file_error(tmp_path, grid, content, message):
    source = source_of(tmp_path, {szinte.GRID: grid.encode(), szinte.MOVIE: content})
    with pytest.raises(FileError, match=message):
        szinte.stimulus(source)


@pytest.mark.parametrize(
    "content", [b"", b"no gzip", gzip.compress(b"time\t0\n0\t1\n", mtime=0)], ids=["empty", "text", "gzip"]
)
def test_a_series_of_another_kind_is_a_file_error(tmp_path, content):
    with pytest.raises(FileError, match=r"is not a table of numbers|must have 150 rows"):
        szinte.series(source_of(tmp_path, {szinte.BOLD: content}))

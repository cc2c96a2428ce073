"""R8: images on another grid or damaged are refused with both grids, unless resampling is asked for."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from neuroalign import datasets
from neuroalign.errors import NeuroalignError

SHAPE, TR = (4, 5, 3), 2.0
AFFINE = np.array([[-3.0, 0, 0, 30], [0, 3, 0, -20], [0, 0, 4, 5], [0, 0, 0, 1]])
LABELS = np.random.default_rng(1).integers(0, 3, SHAPE).astype(np.int16)


def nifti(data, affine=AFFINE):
    made = nib.Nifti1Image(np.asarray(data), AFFINE)
    if np.asarray(data).ndim == 4:
        made.header.set_zooms((*made.header.get_zooms()[:3], TR))
        made.header.set_xyzt_units("mm", "sec")
    if affine is not AFFINE:
        # Past all that nibabel would refuse to take.
        made._affine = np.asarray(affine)
    return made


def bold(n=6, affine=AFFINE, shape=SHAPE, seed=0):
    return nifti(np.random.default_rng(seed).normal(100, 10, (*shape, n)).astype(np.float32), affine)


def changed(**cells):
    affine = AFFINE.copy()
    for where, value in cells.items():
        affine[int(where[1]), int(where[2])] = value
    return affine


GRIDS = {
    "shifted by half a voxel": changed(a03=31.5),
    "shifted by 2 % of a voxel": changed(a03=30.06),
    "flipped": np.array([[3.0, 0, 0, 21], [0, 3, 0, -20], [0, 0, 4, 5], [0, 0, 0, 1]]),
    "axes exchanged": np.array([[0, 3.0, 0, 21], [-3, 0, 0, -8], [0, 0, 4, 5], [0, 0, 0, 1]]),
    "turned": AFFINE @ np.array([[0.96, -0.28, 0, 0], [0.28, 0.96, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]),
    "other voxel size": np.array([[-2.0, 0, 0, 28.8], [0, 2, 0, -18.3], [0, 0, 3, 6.2], [0, 0, 0, 1]]),
    "outside": changed(a03=1030),
    "singular": changed(a00=0.0),
    "NaN": changed(a11=np.nan),
    "infinite": changed(a23=np.inf),
}
MEANINGLESS = ("singular", "NaN", "infinite")
MASK = np.zeros(SHAPE, dtype=np.uint8)
MASK[1:3, 1:4, 1:] = 1
QUIET = {"progress": False}


def volumes(**more):
    return datasets.read_volumes(bold(), **more, **QUIET)


def betas(affine=AFFINE):
    return [
        nifti(np.random.default_rng(i).normal(0, 1, SHAPE), affine if i == 1 else AFFINE) for i in range(3)
    ]


def patterns(images=None, **more):
    return datasets.read_patterns(images or betas(), ["a", "b", "c"], **more, **QUIET)


# Where an image on another grid may stand, and whether it may be resampled.
PLACES = {
    "mask of a series": (lambda a, **m: volumes(mask=nifti(MASK, a), **m), True),
    "parcels of a series": (lambda a, **m: volumes(parcels=nifti(LABELS, a), **m), True),
    "second run": (lambda a, **m: datasets.read_volumes([bold(), bold(affine=a)], **m, **QUIET), False),
    "mask of patterns": (lambda a, **m: patterns(mask=nifti(MASK, a), **m), True),
    "parcels of patterns": (lambda a, **m: patterns(parcels=nifti(LABELS, a), **m), True),
    "second pattern": (lambda a, **m: patterns(betas(a), **m), False),
    "regions": (lambda a, **m: datasets.read_regions([bold()], nifti(LABELS, a), **m, **QUIET), True),
}


def ending(call, *args, **more):
    try:
        return call(*args, **more), ""
    except NeuroalignError as error:
        return None, str(error)
    except Exception as error:  # what the test is there to find
        return None, f"foreign {type(error).__name__}: {error}"


@pytest.mark.parametrize("place", list(PLACES))
def test_another_grid_is_refused_with_both_grids(place, tried):
    call, _ = PLACES[place]
    bad = []
    for grid, affine in GRIDS.items():
        found, said = ending(call, affine)
        if found is not None or said.startswith("foreign"):
            bad.append(f"{grid}: {said or 'was read'}")
        # What has no meaning is no grid that could be compared: its own is named.
        n = 1 if grid in MEANINGLESS else 2
        if said and (said.count("shape (4, 5, 3)") < n or said.count("affine [") < n):
            bad.append(f"{grid}: the error does not name both grids: {said}")
    tried("R8", "images on another grid, each place that takes one", len(GRIDS), bad)


@pytest.mark.parametrize("place", list(PLACES))
def test_resampling_is_done_only_where_it_is_asked_for_and_has_a_meaning(place, tried):
    call, may = PLACES[place]
    bad = []
    for grid, affine in GRIDS.items():
        found, said = ending(call, affine, resample=True)
        meant = may and grid not in (*MEANINGLESS, "outside")
        if said.startswith("foreign") or (found is not None) != meant:
            bad.append(f"{grid}: {said or 'was read'}")
    tried("R8", "images on another grid, resampling asked for", len(GRIDS), bad)


def slow_labels(affine):
    """The label of each voxel of the images: that of the nearest voxel of the parcels, by a loop."""
    found, back = np.zeros(SHAPE, dtype=int), np.linalg.inv(affine)
    for voxel in np.ndindex(*SHAPE):
        near = np.round(back @ AFFINE @ [*voxel, 1])[:3].astype(int)
        if all(0 <= at < n for at, n in zip(near, SHAPE, strict=True)):
            found[voxel] = LABELS[tuple(near)]
    return found


@pytest.mark.parametrize("grid", ["flipped", "axes exchanged", "other voxel size"])
def test_resampled_parcels_name_the_voxels_that_they_lie_on(grid, tried):
    """Voxel i, j, k of the parcels is another one of the images: names go by place, never by index."""
    affine = GRIDS[grid]
    expected = slow_labels(affine)
    found = datasets.read_regions(
        [bold()], nifti(LABELS, affine), {1: "one", 2: "two"}, resample=True, **QUIET
    )
    names = {0: "", 1: "one", 2: "two"}
    said = dict(zip(found["neuroid"].values.tolist(), found["roi"].values.tolist(), strict=True))
    bad = [
        f"voxel {voxel}: {said.get('-'.join(map(str, voxel)), '')!r}"
        for voxel in np.ndindex(*SHAPE)
        if said.get("-".join(map(str, voxel)), "") != names[int(expected[voxel])]
    ]
    tried("R8", "voxels of parcels from another grid, named by their place", expected.size, bad)


def spoilt(mask, where, value):
    found = mask.astype(np.float64)
    found[where] = value
    return found


MASKS = {
    "empty": np.zeros(SHAPE),
    "two": spoilt(MASK, (1, 1, 1), 2),
    "a probability": spoilt(MASK, (1, 1, 1), 0.5),
    "negative": spoilt(MASK, (0, 0, 0), -1),
    "one NaN": spoilt(MASK, (0, 0, 0), np.nan),
    "all NaN": np.full(SHAPE, np.nan),
    "one infinity": spoilt(MASK, (0, 0, 0), np.inf),
    "other shape": np.ones((4, 5, 2)),
    "four dims": np.ones((*SHAPE, 2)),
    "two dims": np.ones((4, 5)),
}


@pytest.mark.parametrize("as_image", [False, True], ids=["array", "image"])
@pytest.mark.parametrize("read", [volumes, patterns], ids=["series", "patterns"])
def test_a_mask_that_is_none_is_refused(read, as_image, tried):
    bad = []
    for kind, mask in MASKS.items():
        found, said = ending(read, mask=nifti(mask) if as_image else mask)
        if found is not None or said.startswith("foreign") or len(said) < 30:
            bad.append(f"{kind}: {said or 'was read'}")
    tried("R8", "masks that are empty, not binary, NaN, of another shape", len(MASKS), bad)


def test_images_of_other_dims_are_refused(tried):
    cases = {
        "3-D for 4-D": lambda: datasets.read_volumes(nifti(np.ones(SHAPE)), **QUIET),
        "one volume": lambda: datasets.read_volumes(bold(1), **QUIET),
        "5-D": lambda: datasets.read_volumes(nifti(np.ones((*SHAPE, 2, 2))), **QUIET),
        "2-D": lambda: datasets.read_volumes(nifti(np.ones((4, 5))), **QUIET),
        "a run of another shape": lambda: datasets.read_volumes([bold(), bold(shape=(4, 5, 2))], **QUIET),
        "a pattern of another shape": lambda: patterns([*betas()[:2], nifti(np.ones((4, 5, 2)))]),
        "4-D among patterns": lambda: patterns([*betas()[:2], bold()]),
        "more patterns than stimuli": lambda: patterns([*betas(), *betas()]),
        "fewer patterns than stimuli": lambda: patterns(betas()[:2]),
        "all constant": lambda: datasets.read_volumes(nifti(np.ones((*SHAPE, 4))), **QUIET),
        "all NaN": lambda: datasets.read_volumes(nifti(np.full((*SHAPE, 4), np.nan)), **QUIET),
    }
    bad = []
    for kind, call in cases.items():
        found, said = ending(call)
        if found is not None or said.startswith("foreign") or len(said) < 30:
            bad.append(f"{kind}: {said or 'was read'}")
    tried("R8", "images of other dims or without a value", len(cases), bad)


@pytest.mark.parametrize("call", ["check_events", "condition_betas", "single_trial_betas"])
def test_volumes_that_do_not_match_their_events_are_refused(call, tried):
    series = volumes(mask=MASK)
    events = pd.DataFrame({"onset": [0.0, 4.0], "duration": [2.0, 2.0], "trial_type": ["a", "b"]})
    function = getattr(datasets, call)
    order = (lambda s, e: function(e, s)) if call == "check_events" else lambda s, e: function(s, e, **QUIET)
    cases = {
        "an event after the last volume": events.assign(onset=[0.0, 30.0]),
        "an event before the first volume": events.assign(onset=[-3.0, 4.0]),
        "an event that outlasts the run": events.assign(duration=[2.0, 60.0]),
        "an event without a time": events.assign(onset=[0.0, np.nan]),
        "a duration below 0": events.assign(duration=[2.0, -1.0]),
        "another run": events.assign(run=[1, 2]),
    }
    bad = []
    for kind, table in cases.items():
        found, said = ending(order, series, table)
        if found is not None or said.startswith("foreign") or len(said) < 30:
            bad.append(f"{kind}: {said or 'was taken'}")
    found, said = ending(order, series.isel(time=[0, 1, 3, 4, 5]), events)
    bad += [f"a missing volume: {said or 'was taken'}"] if found is not None or "foreign" in said else []
    tried("R8", "events that do not match the volumes", len(cases) + 1, bad)


def test_nan_in_a_voxel_is_counted_and_left_where_it_is_or_dropped(tried):
    values = np.random.default_rng(0).normal(100, 10, (*SHAPE, 6))
    values[1, 1, 1, 2] = np.nan
    kept = datasets.read_volumes(nifti(values), mask=MASK, **QUIET)
    dropped = datasets.read_volumes(nifti(values), mask=MASK, missing="drop", **QUIET)
    bad = [] if int(np.isnan(kept).sum()) == 1 and kept.attrs["n_nan"] == 1 else ["kept, but not as it was"]
    whole = dropped.sizes["neuroid"] == kept.sizes["neuroid"] - 1 and not np.isnan(dropped).any()
    bad += [] if whole else ["not dropped whole"]
    tried("R8", "voxels with NaN inside the mask", 2, bad)

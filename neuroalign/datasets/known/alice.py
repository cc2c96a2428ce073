"""Alice in Wonderland, chapter 1: fMRI of listeners in six language regions (Brennan et al. 2016).

Time zero is the start of the story. The scan began 20 s earlier: the annotation and the movement file count
from there, while the first 10 volumes (20 s) were dropped from the series, the regressors and here from the
predictors. Row i of those is therefore the volume whose acquisition began 2 i seconds after the story did.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from ... import stimuli as stimulus_tables
from ...errors import InvalidValueError, choice
from ...schema import check
from ..sources import Source, pick, read_numbers

__all__ = ["EXCLUDED", "PREDICTORS", "ROIS", "motion", "predictors", "regressors", "series", "words"]

TR, N_TIMES, N_DROPPED = 2.0, 362, 10
LEAD = TR * N_DROPPED
ROIS = ("LATL", "RATL", "LPTL", "LIPL", "LPreM", "LIFG")
RADII = ("6mm", "10mm")
EXCLUDED = {"s33": "constant series"}
REGRESSORS = {"word_rate": "rate", "sound_power": "sndpwr"}
PARAMETERS = ("trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z")
PREDICTORS = (
    "rate_conv",
    "frq_conv_orth",
    "break_conv_orth",
    "tdp_conv_orth",
    "tdx_conv_orth",
    "bup_conv_orth",
    "bux_conv_orth",
    "cfgsurp_conv_orth",
    "bigramlex_conv_orth",
    "trigramlex_conv_orth",
    "bigrampos_conv_orth",
    "trigrampos_conv_orth",
)
DATA = "alice_data_shared"
PREDICTOR_FILE = f"{DATA}/sept18-generic-predictors-under-hrf-with-logfrqhal.txt"
TEXTGRID = "alice_stim_shared/DownTheRabbitHoleFinal_exp120_pad_1.TextGrid"


def series(
    source: Source,
    *,
    radius: str = "6mm",
    subjects: Sequence[str] | None = None,
    rois: Sequence[str] | None = None,
) -> xr.DataArray:
    """Return the BOLD series (time 362, neuroid), one neuroid per subject and region, as in the files.

    Values are float64 in the scanner's arbitrary units, neither detrended nor standardised. ``time`` is in
    seconds from the start of the story: row i began to be acquired at 2 i s. Subject s33, whose series is
    constant, is left out and named in ``attrs["excluded"]``.

    Parameters
    ----------
    source : Source
    radius : {"6mm", "10mm"}
        Of the regions' spheres.
    subjects, rois : sequence of str, optional
        All where None.

    Returns
    -------
    xarray.DataArray (time, neuroid)
        Coordinates time, run (all 1), neuroid ("s18/LATL"), subject, roi.

    Raises
    ------
    InvalidValueError
        If a selector is unknown, or s33 is asked for.
    FileError
        If a file is not the one in the manifest.
    """
    if radius not in RADII:
        raise choice(radius, RADII, name="radius")
    paths = source.matching(rf"{DATA}/{radius}/(s\d+)-timecourses\.txt")
    taken, regions = _subjects(paths, subjects), pick(rois, ROIS, name="rois")
    columns = [ROIS.index(roi) for roi in regions]
    values = [read_numbers(source, paths[subject], (N_TIMES, len(ROIS)))[:, columns] for subject in taken]
    coords = {
        "time": _times(N_TIMES),
        "run": ("time", np.ones(N_TIMES, dtype=np.int64)),
        "neuroid": [f"{subject}/{roi}" for subject in taken for roi in regions],
        "subject": ("neuroid", np.repeat(taken, len(regions))),
        "roi": ("neuroid", np.tile(regions, len(taken))),
    }
    attrs = source.attrs(units="arbitrary scanner units", tr=TR, radius=radius, excluded=dict(EXCLUDED))
    bold = xr.DataArray(np.hstack(values), dims=("time", "neuroid"), coords=coords, attrs=attrs, name="bold")
    return check(bold, "series")


def words(source: Source) -> pd.DataFrame:
    """Return the 2,127 words: stimulus label, text, onset and offset in seconds from the story's start."""
    table = stimulus_tables.words_from_textgrid(source.file(TEXTGRID), shift=-LEAD)
    table.attrs.update(source.attrs(units="onset and offset in seconds from the story's start"))
    return table


def regressors(source: Source, *, subjects: Sequence[str] | None = None) -> xr.DataArray:
    """Return word rate and sound power under the HRF, (time 362, subject, regressor), as shipped.

    Subjects differ by at most 2 percent of a standard deviation; the files of s24 and s35 are the same.
    """
    paths = {key: source.matching(rf"{DATA}/(s\d+)-{word}\.txt") for key, word in REGRESSORS.items()}
    taken = _subjects(paths["word_rate"], subjects)
    values = [[read_numbers(source, paths[key][s], (N_TIMES,)) for key in REGRESSORS] for s in taken]
    coords = {"time": _times(N_TIMES), "subject": taken, "regressor": list(REGRESSORS)}
    return xr.DataArray(
        np.moveaxis(np.array(values), -1, 0),
        dims=("time", "subject", "regressor"),
        coords=coords,
        attrs=source.attrs(units="arbitrary", tr=TR, excluded=dict(EXCLUDED)),
        name="regressors",
    )


def motion(source: Source, *, subjects: Sequence[str] | None = None) -> xr.DataArray:
    """Return the movement parameters (time 372, subject, parameter) that SPM8 estimated.

    Translations in mm, rotations in radians. The 10 volumes before the story are still there: time runs from
    -20 s. ``motion.sel(time=series.time)`` gives the rows of the series.
    """
    paths = source.matching(rf"{DATA}/(s\d+)-rp_.*\.txt")
    taken = _subjects(paths, subjects)
    n_times = N_TIMES + N_DROPPED
    values = [read_numbers(source, paths[subject], (n_times, len(PARAMETERS))) for subject in taken]
    return xr.DataArray(
        np.stack(values, axis=1),
        dims=("time", "subject", "parameter"),
        coords={"time": _times(n_times) - LEAD, "subject": taken, "parameter": list(PARAMETERS)},
        attrs=source.attrs(units="mm (trans), radians (rot)", tr=TR, excluded=dict(EXCLUDED)),
        name="motion",
    )


def predictors(source: Source) -> xr.DataArray:
    """Return the 12 linguistic predictors under the HRF, (time 362, predictor), without the first 10 rows."""
    values = read_numbers(source, PREDICTOR_FILE, (N_TIMES + N_DROPPED, len(PREDICTORS)))
    return xr.DataArray(
        values[N_DROPPED:],
        dims=("time", "predictor"),
        coords={"time": _times(N_TIMES), "predictor": list(PREDICTORS)},
        attrs=source.attrs(units="arbitrary", tr=TR),
        name="predictors",
    )


def _times(n_times: int) -> np.ndarray:
    return TR * np.arange(n_times)


def _subjects(paths: dict[str, str], asked: Sequence[str] | None) -> list[str]:
    kept = [subject for subject in paths if subject not in EXCLUDED]
    for subject in () if asked is None or isinstance(asked, str) else asked:
        if subject in EXCLUDED:
            raise InvalidValueError(
                f"subject {subject!r} is excluded: {EXCLUDED[subject]}. Leave it out; the others are {kept}."
            )
    return pick(asked, kept, name="subjects")

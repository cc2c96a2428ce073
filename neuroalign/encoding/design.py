"""A time series design: features, responses and the borders of runs that everything done to them respects."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from ..errors import InvalidValueError, LabelError, ShapeError, choice, listing
from ..schema import align, labels
from ..stats import is_constant, standardize
from .delays import delay
from .drifts import drift_basis, remove_drifts
from .hrf import convolve
from .nesting import group_splits, nested_splits
from .runs import border_of, check_features, check_missing, common_step, rows_of_runs, run_by_run
from .splits import Splits, contiguous_splits, leave_one_run_out

__all__ = ["TimeSeriesDesign"]

SIDES = {"X": ("X",), "Y": ("Y",), "both": ("X", "Y")}


@dataclass(frozen=True, eq=False)
class TimeSeriesDesign:
    """Features and responses of one time series, and what its folds must know.

    Make one with ``TimeSeriesDesign.of(X, Y)``. Every method returns a new design; nothing is computed across
    the border of a run. ``X``, ``Y`` and the splits go to ``evaluate`` as they are:
    ``evaluate(model, design.X, design.Y, splits=design.contiguous(5))``.

    Attributes
    ----------
    X : DataArray (time, feature)
    Y : DataArray (time, neuroid)
        Rows of both in order of time, with the same coordinate ``border``.
    border : str
        The coordinate of time whose values are the runs.
    tr : float
        Seconds between rows, the same in all runs.
    max_delay : int
        Rows that the features have been delayed by, at most.
    hrf_seconds : float
        How long a response outlasts its cause.
    whole_runs : tuple of str
        What was computed from all rows of a run together, such as ``"z-scores of Y"``.

    Examples
    --------
    >>> X = xr.DataArray(
    ...     np.arange(40.0).reshape(20, 2), dims=("time", "feature"),
    ...     coords={"time": 2.0 * np.arange(20), "run": ("time", ["a"] * 10 + ["b"] * 10)})
    >>> design = TimeSeriesDesign.of(X, X.rename(feature="neuroid")).zscore("both").delay([1, 2]).trim(2)
    >>> design.X.shape, design.purge, [len(test) for _, test in design.leave_one_run_out()]
    ((16, 4), 2, [8, 8])
    """

    X: xr.DataArray
    Y: xr.DataArray
    border: str
    tr: float
    max_delay: int = 0
    hrf_seconds: float = 0.0
    whole_runs: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, X: xr.DataArray, Y: xr.DataArray, *, border: str = "run", hrf_seconds: float = 0.0
    ) -> TimeSeriesDesign:
        """Return the design of features and responses, aligned by time and put in its order.

        Parameters
        ----------
        X : DataArray (time, feature)
            Finite; times in seconds, evenly spaced within a run; the second dim may have any name.
        Y : DataArray (time, neuroid)
            Aligned to ``X`` by label. A neuroid may be NaN in the whole of a run, never in parts of it.
        border : str
            The coordinate of time, of ``X`` or ``Y``, whose values are the runs; ``"story"`` where stories
            were scanned apart. A scalar coordinate says that all rows are one run.
        hrf_seconds : float
            How long a response outlasts its cause, for the purge: 0 for electrophysiology, some 20 s for
            fMRI whose features are delayed and not convolved. ``convolve`` raises it to the response's
            length.

        Raises
        ------
        LabelError
            If times differ, are missing or repeated, the border is unknown, or ``X`` and ``Y`` differ in it.
        ShapeError
            If the dims are other ones.
        InvalidValueError
            If times are not even, runs have other steps or come twice, or a value is not finite.
        """
        if not isinstance(Y, xr.DataArray) or Y.dims != ("time", "neuroid"):
            raise ShapeError(f"Y must be a DataArray (time, neuroid); got {getattr(Y, 'dims', type(Y))}.")
        check_features(X)
        if not np.isfinite(hrf_seconds) or hrf_seconds < 0:
            raise InvalidValueError(f"hrf_seconds must be finite and not negative; got {hrf_seconds!r}.")
        X, Y = align(X, Y, on="time", names=["X", "Y"])
        order = np.argsort(labels(X, on="time"), kind="stable")
        X, Y = X.isel(time=order), Y.isel(time=order)
        runs = border_of(X, Y, border)
        X, Y = (array.assign_coords({border: ("time", runs)}) for array in (X, Y))
        step = common_step(X["time"].values.astype(np.float64), runs)
        check_missing(Y, runs)
        return cls(X=X, Y=Y, border=border, tr=step, hrf_seconds=float(hrf_seconds))

    @property
    def runs(self) -> np.ndarray:
        """The run of each row (n_times,)."""
        return self.X[self.border].values

    @property
    def purge(self) -> int:
        """Rows to leave out on either side of a test block: the largest delay and the response's length."""
        return self.max_delay + math.ceil(self.hrf_seconds / self.tr - 1e-9)

    def delay(self, delays: Sequence[int]) -> TimeSeriesDesign:
        """Return the design with its features at each delay, side by side; see ``encoding.delay``.

        The first rows of a run have no row before them and get 0: z-score or centre first, or ``trim``.

        Raises
        ------
        ShapeError
            If a run has no more rows than the largest delay.
        InvalidValueError
            If a delay is negative or repeated, or the features are delayed already.
        """
        if "delay" in self.X.coords:
            raise InvalidValueError(
                f"the features are delayed already, by {self.X.attrs.get('delays')}; give all delays at once."
            )
        delayed = delay(self.X, delays, runs=self.runs)
        return replace(self, X=delayed, max_delay=self.max_delay + int(max(delays)))

    def convolve(self, hrf: Any = "spm", *, slice_time_ref: float = 0.5) -> TimeSeriesDesign:
        """Return the design with its features convolved with a response; see ``encoding.convolve``."""
        if "hrf_length" in self.X.attrs:
            raise InvalidValueError("the features are convolved already; start from the design before it.")
        convolved = convolve(self.X, hrf, runs=self.runs, slice_time_ref=slice_time_ref)
        seconds = max(self.hrf_seconds, float(convolved.attrs["hrf_length"]))
        return replace(self, X=convolved, hrf_seconds=seconds)

    def detrend(
        self, which: str = "Y", *, kind: str = "linear", order: int = 2, cutoff: float = 128.0
    ) -> TimeSeriesDesign:
        """Return the design without the slow drifts of each run; see ``encoding.drifts.drift_basis``.

        Parameters
        ----------
        which : {"X", "Y", "both"}
        kind : {"linear", "polynomial", "cosine"}
        order : int
            Of polynomials.
        cutoff : float
            Seconds, of cosines.

        Raises
        ------
        ShapeError
            If a run has no more rows than there are drifts.
        """

        def rest(block: np.ndarray, rows: np.ndarray) -> np.ndarray:
            name, times = f"run {self.runs[rows].tolist()[0]!r}", self.X["time"].values[rows]
            return remove_drifts(block, drift_basis(times, kind=kind, order=order, cutoff=cutoff, name=name))

        return self._within_runs(which, rest, f"{kind} drifts")

    def zscore(self, which: str = "Y", *, within: str = "run") -> TimeSeriesDesign:
        """Return the design with mean 0 and standard deviation 1 in each run.

        Scaling over all runs is refused: training rows would be scaled by test rows. ``evaluate`` scales
        features by their training rows (``standardize=True``).

        Parameters
        ----------
        which : {"X", "Y", "both"}
        within : {"run"}

        Returns
        -------
        TimeSeriesDesign
            ``attrs["zscored"]`` of the arrays is ``"within run"``. In a run where it is constant a feature
            becomes 0 and a neuroid NaN; ``attrs["n_constant"]`` counts (run, column) of these.
        """
        if within != "run":
            raise InvalidValueError(
                f'within must be "run"; got {within!r}. Scaling over all rows lets training rows know the '
                "mean and variance of test rows; evaluate(..., standardize=True) takes those of the "
                "training rows."
            )
        found = self._within_runs(which, lambda block, rows: _standardized(block), "z-scores")
        for side in SIDES[which]:
            array, before = getattr(found, side), getattr(self, side)
            n_constant = sum(
                int(is_constant(before.values[rows].astype(np.float64)).sum())
                for rows in rows_of_runs(self.runs).values()
            )
            array = array if side == "Y" else array.fillna(0.0)
            found = replace(found, **{side: array.assign_attrs(zscored="within run", n_constant=n_constant)})
        return found

    def trim(self, first: int = 0, last: int = 0) -> TimeSeriesDesign:
        """Return the design without the first and last rows of every run.

        Raises
        ------
        ShapeError
            If a run has no more rows than are trimmed.
        InvalidValueError
            If a number is negative or no integer.
        """
        for value, name in ((first, "first"), (last, "last")):
            if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 0:
                raise InvalidValueError(f"{name} must be a non-negative integer; got {value!r}.")
        kept = []
        for run, rows in rows_of_runs(self.runs).items():
            if len(rows) <= first + last:
                raise ShapeError(
                    f"run {run!r} has {len(rows)} rows, not more than the {first} + {last} to trim."
                )
            kept.append(rows[first : len(rows) - last])
        rows = np.concatenate(kept)
        return replace(self, X=self.X.isel(time=rows), Y=self.Y.isel(time=rows))

    def leave_one_run_out(self) -> Splits:
        """Return one fold a run."""
        return leave_one_run_out(self.runs)

    def contiguous(self, n_splits: int, *, allow_shared: bool = False) -> Splits:
        """Return folds that test one block of rows each, with ``purge`` rows of its runs left out beside it.

        Parameters
        ----------
        n_splits : int
        allow_shared : bool
            Whether a fold may cut a run whose rows were detrended or z-scored together, so that training and
            test rows share what was estimated. Refused unless asked for.
        """
        return self._checked(contiguous_splits(self.runs, n_splits, purge=self.purge), allow_shared)

    def by_group(
        self, coordinate: str = "story", n_splits: int | None = None, *, allow_shared: bool = False
    ) -> Splits:
        """Return folds that test whole groups of rows (one each where ``n_splits`` is None), purged.

        Parameters
        ----------
        coordinate : str
            Of time, such as ``"story"``.
        n_splits : int, optional
        allow_shared : bool
            As in ``contiguous``.
        """
        groups = self._groups(coordinate)
        n_splits = len(np.unique(groups)) if n_splits is None else n_splits
        return self._checked(group_splits(groups, n_splits, runs=self.runs, purge=self.purge), allow_shared)

    def nested(
        self,
        train: Any,
        n_splits: int,
        *,
        coordinate: str | None = None,
        relative: bool = False,
        allow_shared: bool = False,
    ) -> Splits:
        """Return inner folds of the training rows of a fold, purged; see ``encoding.nested_splits``.

        Parameters
        ----------
        train : array of int
        n_splits : int
        coordinate : str, optional
            Groups that are tested whole (the border for runs); contiguous blocks where None.
        relative : bool
            Whether rows are numbered by their position in ``train``.
        allow_shared : bool
            As in ``contiguous``.
        """
        groups = None if coordinate is None else self._groups(coordinate)
        choices: dict[str, Any] = {"groups": groups, "runs": self.runs, "purge": self.purge}
        splits = self._checked(nested_splits(train, n_splits, **choices), allow_shared)
        return nested_splits(train, n_splits, **choices, relative=True) if relative else splits

    def _within_runs(
        self, which: str, function: Callable[[np.ndarray, np.ndarray], np.ndarray], what: str
    ) -> TimeSeriesDesign:
        if which not in SIDES:
            raise choice(which, SIDES, name="which")
        changed: dict[str, Any] = {}
        for side in SIDES[which]:
            array = getattr(self, side)
            changed[side] = array.copy(data=run_by_run(array.values, self.runs, function))
        done = tuple(f"{what} of {side}" for side in SIDES[which])
        return replace(self, **changed, whole_runs=tuple(dict.fromkeys((*self.whole_runs, *done))))

    def _groups(self, coordinate: str) -> np.ndarray:
        for array in (self.X, self.Y):
            if coordinate in array.coords and array[coordinate].dims == ("time",):
                return array[coordinate].values
        raise LabelError(
            f"no coordinate {coordinate!r} of time; X has {listing(self.X.coords)}, Y has "
            f"{listing(self.Y.coords)}."
        )

    def _checked(self, splits: Splits, allow_shared: bool) -> Splits:
        if allow_shared or not self.whole_runs:
            return splits
        for k, (train, test) in enumerate(splits):
            both = sorted(set(self.runs[train].tolist()) & set(self.runs[test].tolist()), key=str)
            if both:
                raise InvalidValueError(
                    f"fold {k} cuts the run {both[0]!r}, and {', '.join(self.whole_runs)} were computed from "
                    "all its rows: training and test rows share them. Use leave_one_run_out(), let evaluate "
                    "standardise the features, or pass allow_shared=True."
                )
        return splits


def _standardized(block: np.ndarray) -> np.ndarray:
    return standardize(block) if block.size else block

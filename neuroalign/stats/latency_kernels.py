"""When waves peak, cross a threshold, or have had half of their area: kernels on raw arrays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

__all__ = ["KINDS", "Measure"]


@dataclass(frozen=True)
class Measure:
    """What is measured; the arguments of ``latencies`` on raw arrays.

    Attributes
    ----------
    kind : str
        Of ``KINDS``.
    times : array (n_times,)
        Evenly spaced, in order.
    inside : array (n_times,) of bool
        The window.
    sign : int
        1, or -1 for waves that go down.
    fraction, threshold : float
    least : int
        Samples that a wave stays above the threshold.
    interpolate : bool
    """

    kind: str
    times: np.ndarray
    inside: np.ndarray
    sign: int = 1
    fraction: float = 0.5
    threshold: float = np.nan
    least: int = 1
    interpolate: bool = True

    def __call__(self, waves: np.ndarray) -> np.ndarray:
        """Return the latency and the amplitude (2, ...) of waves (..., n_times); NaN where there is none."""
        flat = self.sign * waves.reshape(-1, waves.shape[-1])
        latency, amplitude = KINDS[self.kind](flat, self)
        return np.stack([latency, self.sign * amplitude]).reshape(2, *waves.shape[:-1])


def _peak(waves: np.ndarray, how: Measure) -> tuple[np.ndarray, np.ndarray]:
    """Return time and height of the largest local maximum above 0 inside the window."""
    at, found = _largest(waves, how.inside)
    rows, step = np.arange(len(waves)), how.times[1] - how.times[0]
    left, top, right = (waves[rows, at + i] for i in (-1, 0, 1))
    time, height = how.times[at], top
    if how.interpolate:
        # The vertex of the parabola through the three samples around the maximum.
        curve = left - 2 * top + right
        offset = np.where(curve < 0, 0.5 * (left - right) / np.where(curve < 0, curve, 1.0), 0.0)
        time, height = time + offset * step, top - 0.25 * (left - right) * offset
    return np.where(found, time, np.nan), np.where(found, height, np.nan)


def _fractional_peak(waves: np.ndarray, how: Measure) -> tuple[np.ndarray, np.ndarray]:
    """Return when a wave last passes a share of its peak before the peak, and the height of the peak."""
    at, found = _largest(waves, how.inside)
    _, height = _peak(waves, how)
    bar = how.fraction * np.where(found, height, 1.0)
    before = np.arange(waves.shape[1]) < at[:, None]
    below = (waves < bar[:, None]) & before & how.inside
    found &= below.any(axis=1)
    last = waves.shape[1] - 1 - below[:, ::-1].argmax(axis=1)
    time = _crossing(waves, np.where(found, last, 0), bar, how.times)
    return np.where(found, time, np.nan), height


def _onset(waves: np.ndarray, how: Measure) -> tuple[np.ndarray, np.ndarray]:
    """Return when a wave first passes the threshold inside the window and stays above it."""
    above = waves >= how.threshold
    n_times = waves.shape[1]
    total = np.cumsum(np.pad(above, ((0, 0), (1, 0))), axis=1)
    stays = np.zeros_like(above)
    stays[:, : n_times - how.least + 1] = (total[:, how.least :] - total[:, : -how.least]) == how.least
    starts = np.zeros_like(above)
    starts[:, 1:] = stays[:, 1:] & ~above[:, :-1] & how.inside[1:] & how.inside[:-1]
    first = starts.argmax(axis=1)
    # A wave that is above the threshold when the window opens began before it.
    found = starts.any(axis=1) & ~above[:, how.inside.argmax()]
    time = _crossing(waves, np.where(found, first - 1, 0), np.full(len(waves), how.threshold), how.times)
    return np.where(found, time, np.nan), np.full(len(waves), np.nan)


def _fractional_area(waves: np.ndarray, how: Measure) -> tuple[np.ndarray, np.ndarray]:
    """Return when a share of the area above 0 inside the window has passed, by trapezoids."""
    part, times = np.maximum(waves[:, how.inside], 0.0), how.times[how.inside]
    area = np.zeros_like(part)
    np.cumsum((part[:, 1:] + part[:, :-1]) / 2, axis=1, out=area[:, 1:])
    goal = how.fraction * area[:, -1]
    after = (area < goal[:, None]).sum(axis=1)
    found = area[:, -1] > 0
    time = _crossing(area, np.maximum(after - 1, 0), goal, times)
    return np.where(found, time, np.nan), np.full(len(waves), np.nan)


def _largest(waves: np.ndarray, inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where the largest local maximum above 0 of each wave is, and whether there is one."""
    peaks = np.zeros(waves.shape, dtype=bool)
    peaks[:, 1:-1] = (waves[:, 1:-1] > waves[:, :-2]) & (waves[:, 1:-1] >= waves[:, 2:])
    peaks &= inside & (waves > 0)
    found = np.asarray(peaks.any(axis=1))
    at = np.where(peaks, waves, -np.inf).argmax(axis=1)
    return np.where(found, at, 1), found


def _crossing(waves: np.ndarray, before: np.ndarray, bar: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Return when each wave passes the bar between a sample and the next, on a straight line."""
    rows = np.arange(len(waves))
    low, high = waves[rows, before], waves[rows, before + 1]
    rise = high - low
    share = np.where(rise > 0, (bar - low) / np.where(rise > 0, rise, 1.0), 0.0)
    return times[before] + np.clip(share, 0.0, 1.0) * (times[1] - times[0])


KINDS: dict[str, Callable[[np.ndarray, Measure], tuple[np.ndarray, np.ndarray]]] = {
    "peak": _peak,
    "onset": _onset,
    "fractional-area": _fractional_area,
    "fractional-peak": _fractional_peak,
}

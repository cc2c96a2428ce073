"""Gabor filters in space and windows in time that make motion energy together; see ``motion``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Kernel", "centres", "pair_energy", "spatial_bank", "time_kernel"]

# Half the length of a window in time, in its standard deviations: beyond, it is below 1 percent.
WINDOW = 3.0


@dataclass(frozen=True)
class Kernel:
    """Cosine and sine windows in time (2 half + 1,), from the earliest frame that is seen to the latest."""

    frequency: float
    cosine: np.ndarray
    sine: np.ndarray


def time_kernel(w: float, frames: float) -> Kernel:
    """Return the windows of temporal frequency w (cycles per frame), of gain 1 for a drifting grating."""
    half = int(np.ceil(WINDOW * frames))
    t = np.arange(-half, half + 1.0)
    window = np.exp(-(t**2) / (2 * frames**2))
    window /= window.sum()
    if w == 0:
        return Kernel(0.0, window, np.zeros_like(window))
    angle = 2 * np.pi * w * t
    cosine = window * (np.cos(angle) - window @ np.cos(angle))
    sine = window * np.sin(angle)
    # Gain 1 for a grating that drifts at w, of which the two see the parts that are even and odd in time.
    gain = cosine @ np.cos(angle) + sine @ np.sin(angle)
    return Kernel(w, cosine / gain, sine / gain)


def spatial_bank(
    y: np.ndarray, x: np.ndarray, places: list[tuple[float, float]], f: float, direction: float, sd: float
) -> np.ndarray:
    """Return cosine and sine Gabors (n_pixels, 2, n_places) that see no uniform light, with gain 1 at f."""
    angle = np.deg2rad(direction)
    bank = np.empty((len(y) * len(x), 2, len(places)))
    for i, (py, px) in enumerate(places):
        v, u = np.meshgrid(y - py, x - px, indexing="ij")
        window = np.exp(-(u**2 + v**2) / (2 * sd**2))
        window = (window / window.sum()).ravel()
        phase = (2 * np.pi * f * (u * np.cos(angle) + v * np.sin(angle))).ravel()
        for j, wave in enumerate((np.cos(phase), np.sin(phase))):
            # The factor 2 undoes the mean 1/2 of a squared wave.
            bank[:, j, i] = 2 * window * (wave - window @ wave)
    return bank


def pair_energy(seen: np.ndarray, kernel: Kernel, sign: int, parts: list[np.ndarray]) -> np.ndarray:
    """Return the energy (n_times, n_places) of one direction, each run by itself.

    cos(a - b) = cos a cos b + sin a sin b and sin(a - b) = sin a cos b - cos a sin b, with a in space and b
    in time: two filters in space and two in time make the pair of either direction.
    """
    energy = np.empty((len(seen), seen.shape[2]))
    half = len(kernel.cosine) // 2
    for rows in parts:
        padded = np.pad(seen[rows], ((half, half), (0, 0), (0, 0)), mode="edge")
        windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1, axis=0)
        even, odd = windows @ kernel.cosine, sign * (windows @ kernel.sine)
        energy[rows] = (even[:, 0] + odd[:, 1]) ** 2 + (even[:, 1] - odd[:, 0]) ** 2
    return energy


def centres(y: np.ndarray, x: np.ndarray, sd: float, spacing: float) -> list[tuple[float, float]]:
    """Return centres (y, x) on a grid around the middle of the screen, at least one sd from its edges."""
    axes = []
    for values in (y, x):
        room = max(np.ptp(values) - 2 * sd, 0.0)
        n = int(room / (spacing * sd) + 1e-9)
        middle = (values.max() + values.min()) / 2
        axes.append(middle + spacing * sd * (np.arange(n + 1) - n / 2))
    return [(float(py), float(px)) for py in axes[0] for px in axes[1]]

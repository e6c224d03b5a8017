"""Structural similarity of 8-bit pictures: 11x11 Gaussian window of sigma 1.5, K1 0.01, K2 0.03, valid windows only."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engine.errors import Code, PellucidError
from engine.metrics.scored import Protocol, Scored, comparable, planes, without_border

WINDOW = 11
SIGMA = 1.5
C1 = (0.01 * 255.0) ** 2
C2 = (0.03 * 255.0) ** 2
BAND = 128
"""Windows' rows taken at a time, so that memory does not grow with the picture."""

Plane = npt.NDArray[np.float64]


def ssim(result: Scored, truth: Scored, protocol: Protocol, border: int = 0) -> float:
    """Mean over all windows, and over the channels for `rgb`, after cutting `border` pixels off each side."""
    first, second = (without_border(pixels, border) for pixels in comparable(result, truth))
    height, width = first.shape[:2]
    if min(height, width) < WINDOW:
        raise PellucidError(
            Code.IMAGE_UNSUPPORTED,
            f"SSIM needs at least {WINDOW} x {WINDOW} pixels inside the border, and {width} x {height} are left.",
        )
    taps = _gaussian()
    total, count = 0.0, 0
    for top in range(0, height - WINDOW + 1, BAND):
        rows = slice(top, min(top + BAND, height - WINDOW + 1) + WINDOW - 1)
        for one, other in zip(planes(first[rows], protocol), planes(second[rows], protocol), strict=True):
            similarity = _similarity(one, other, taps)
            total += float(similarity.sum())
            count += similarity.size
    return total / count


def _similarity(one: Plane, other: Plane, taps: Plane) -> Plane:
    mean_one, mean_other = _windowed(one, taps), _windowed(other, taps)
    variance_one = _windowed(one * one, taps) - mean_one**2
    variance_other = _windowed(other * other, taps) - mean_other**2
    covariance = _windowed(one * other, taps) - mean_one * mean_other
    similarity: Plane = ((2.0 * mean_one * mean_other + C1) * (2.0 * covariance + C2)) / (
        (mean_one**2 + mean_other**2 + C1) * (variance_one + variance_other + C2)
    )
    return similarity


def _gaussian() -> Plane:
    distances = np.arange(WINDOW, dtype=np.float64) - WINDOW // 2
    taps = np.exp(-0.5 * (distances / SIGMA) ** 2)
    normalised: Plane = taps / taps.sum()
    return normalised


def _windowed(plane: Plane, taps: Plane) -> Plane:
    """The weighted mean of every whole window: (h, w) -> (h - 10, w - 10)."""
    height, width = plane.shape[0] - WINDOW + 1, plane.shape[1] - WINDOW + 1
    across = np.asarray(sum(tap * plane[:, at : at + width] for at, tap in enumerate(taps)))
    return np.asarray(sum(tap * across[at : at + height] for at, tap in enumerate(taps)))

"""Structural similarity of 8-bit pictures: 11x11 Gaussian window of sigma 1.5, K1 0.01, K2 0.03, valid windows only."""

from __future__ import annotations

from collections.abc import Sequence

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
    return ssim_of_each([result], truth, protocol, border)[0]


def ssim_of_each(results: Sequence[Scored], truth: Scored, protocol: Protocol, border: int = 0) -> list[float]:
    """Of several results of one picture: what concerns the truth alone is worked out once."""
    *ours, theirs = (without_border(pixels, border) for pixels in comparable(*results, truth))
    height, width = theirs.shape[:2]
    if min(height, width) < WINDOW:
        raise PellucidError(
            Code.IMAGE_UNSUPPORTED,
            f"SSIM needs at least {WINDOW} x {WINDOW} pixels inside the border, and {width} x {height} are left.",
        )
    taps = _gaussian()
    totals, count = [0.0] * len(ours), 0
    for top in range(0, height - WINDOW + 1, BAND):
        rows = slice(top, min(top + BAND, height - WINDOW + 1) + WINDOW - 1)
        true_planes = planes(theirs[rows], protocol)
        true_moments = [_mean_and_variance(plane, taps) for plane in true_planes]
        for number, picture in enumerate(ours):
            for one, other, moments in zip(planes(picture[rows], protocol), true_planes, true_moments, strict=True):
                totals[number] += float(_similarity(one, other, moments, taps).sum())
        count += sum(mean.size for mean, _ in true_moments)
    return [total / count for total in totals]


def _mean_and_variance(plane: Plane, taps: Plane) -> tuple[Plane, Plane]:
    mean = _windowed(plane, taps)
    return mean, _windowed(plane * plane, taps) - mean**2


def _similarity(one: Plane, other: Plane, moments_of_other: tuple[Plane, Plane], taps: Plane) -> Plane:
    (mean_one, variance_one), (mean_other, variance_other) = _mean_and_variance(one, taps), moments_of_other
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

"""Peak signal-to-noise ratio of 8-bit pictures, in dB."""

from __future__ import annotations

import math

from engine.metrics.scored import Protocol, Scored, comparable, planes, without_border

BAND = 256
"""Rows taken at a time, so that memory does not grow with the picture."""


def psnr(result: Scored, truth: Scored, protocol: Protocol, border: int = 0) -> float:
    """20 log10(255 / sqrt(MSE)) over what `protocol` looks at, after cutting `border` pixels off each side.

    Infinite for equal pictures. `rgb` takes the mean over all samples of all channels at once.
    """
    first, second = (without_border(pixels, border) for pixels in comparable(result, truth))
    total, count = 0.0, 0
    for top in range(0, first.shape[0], BAND):
        ours, theirs = planes(first[top : top + BAND], protocol), planes(second[top : top + BAND], protocol)
        for one, other in zip(ours, theirs, strict=True):
            total += float(((one - other) ** 2).sum())
            count += one.size
    if total == 0.0:
        return math.inf
    return 20.0 * math.log10(255.0 / math.sqrt(total / count))

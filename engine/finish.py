"""From the network's rows to the file's rows: mix with the original, resize, join alpha, round. Row by row, so that no
step needs memory for the whole result.

Every step takes (rows, width, channels) float32, 0..1, from top to bottom in pieces of any height, and hands what is
complete to the next one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.image.resample import RowResampler, Rows
from engine.tiling.source import Source

Sink = Callable[[Rows], None]


def to_grey(onward: Sink) -> Sink:
    """One channel: the mean of the three that a network makes of a grey picture."""
    return lambda rows: onward(rows.mean(axis=2, keepdims=True))


def resize(onward: Sink, height: int, width: int, new_height: int, new_width: int) -> Sink:
    """The network's size to the size that was asked for."""
    if (height, width) == (new_height, new_width):
        return onward
    resampler = RowResampler(height, width, new_height, new_width)

    def push(rows: Rows) -> None:
        resized = resampler.push(rows)
        if len(resized):
            onward(resized)

    return push


def mix_original(onward: Sink, original: Source, scale: int, strength: float) -> Sink:
    """`strength` of the network's rows and the rest of the original, (3, height, width), enlarged by `scale`."""
    if strength == 1.0:
        return onward
    _, height, width = original.shape
    enlarger = RowResampler(height, width, height * scale, width * scale, "bicubic")
    read = 0
    waiting = np.empty((0, width * scale, 3), np.float32)

    def push(rows: Rows) -> None:
        nonlocal read, waiting
        while len(waiting) < len(rows):
            bottom = min(read + _ORIGINAL_ROWS, height)
            plain = enlarger.push(original[:, read:bottom, :].transpose(1, 2, 0))
            waiting = np.concatenate([waiting, plain])
            read = bottom
        plain, waiting = waiting[: len(rows)], waiting[len(rows) :].copy()
        onward(strength * rows + (1.0 - strength) * plain)

    return push


_ORIGINAL_ROWS = 64
"""Source rows enlarged at a time."""


def join_alpha(onward: Sink, alpha: npt.NDArray[Any]) -> Sink:
    """Adds the finished alpha plane as the last channel: (height, width) float32 0..1, or the steps of 8 or 16 bits
    that the rows will be rounded to, which then come out as they are. It may be a mapped file."""
    top = 0
    steps = np.float32(1 if alpha.dtype.kind == "f" else np.iinfo(alpha.dtype).max)

    def push(rows: Rows) -> None:
        nonlocal top
        plane = alpha[top : top + len(rows), :, None] / steps
        top += len(rows)
        onward(np.concatenate([rows, plane], axis=2))

    return push

"""Resizing rows as they stream by: separable, antialiased, float32, with memory for a few rows only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.float32]
"""(rows, width, channels), float32."""

Filter = Literal["bicubic", "lanczos"]


@dataclass(frozen=True, slots=True)
class Taps:
    """For every output position along one axis: which inputs it takes, and how much of each.

    index: (length, taps), inside the picture; weight: (length, taps), float32, each row sums to 1.
    """

    index: npt.NDArray[np.intp]
    weight: npt.NDArray[np.float32]

    @property
    def last(self) -> npt.NDArray[np.intp]:
        """Highest input each output needs, never falling."""
        return np.maximum.accumulate(self.index.max(axis=1))


def make_taps(length: int, new_length: int, kind: Filter) -> Taps:
    """Taps that turn `length` samples into `new_length`. Pixel centres map to pixel centres; when shrinking, the
    filter is stretched by the factor (antialiased); at the border the picture is mirrored, edge repeated."""
    kernel, radius = _KERNELS[kind]
    ratio = length / new_length
    stretch = max(ratio, 1.0)
    centre = (np.arange(new_length) + 0.5) * ratio - 0.5
    first = np.floor(centre - radius * stretch).astype(np.intp) + 1
    count = int(np.ceil(2 * radius * stretch)) + 1
    position = first[:, None] + np.arange(count)
    weight = kernel((centre[:, None] - position) / stretch)
    weight /= weight.sum(axis=1, keepdims=True)
    used = np.abs(weight).max(axis=0) > 0
    period = np.mod(position[:, used], 2 * length)
    index = np.where(period < length, period, 2 * length - 1 - period)
    return Taps(index, weight[:, used].astype(np.float32))


def _cubic(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Keys' kernel with a = -0.5."""
    x = np.abs(x)
    near = (1.5 * x - 2.5) * x * x + 1.0
    far = ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))


def _lanczos(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0.0)


_KERNELS: dict[Filter, tuple[Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]], int]] = {
    "bicubic": (_cubic, 2),
    "lanczos": (_lanczos, 3),
}


class RowResampler:
    """Takes the rows of a picture from top to bottom in pieces of any height, and gives the rows of the resized one."""

    def __init__(self, height: int, width: int, new_height: int, new_width: int, kind: Filter = "lanczos") -> None:
        self._vertical = make_taps(height, new_height, kind)
        self._horizontal = make_taps(width, new_width, kind) if width != new_width else None
        self._last = self._vertical.last
        self._first = np.minimum.accumulate(self._vertical.index.min(axis=1)[::-1])[::-1]
        self._kept: Rows | None = None
        self._kept_top = 0
        self._next = 0

    def push(self, rows: Rows) -> Rows:
        """Give the next input rows; get the output rows that are now complete, possibly none."""
        rows = self._widen(rows)
        kept = rows if self._kept is None else np.concatenate([self._kept, rows])
        bottom = self._kept_top + len(kept)
        end = int(np.searchsorted(self._last, bottom, side="left"))
        out = np.zeros((max(end - self._next, 0), *kept.shape[1:]), np.float32)
        for tap in range(self._vertical.index.shape[1]):
            index = self._vertical.index[self._next : end, tap] - self._kept_top
            out += self._vertical.weight[self._next : end, tap, None, None] * kept[index]
        self._next = max(end, self._next)
        top = int(self._first[self._next]) if self._next < len(self._first) else bottom
        drop = max(top - self._kept_top, 0)
        self._kept = kept[drop:].copy()
        self._kept_top += drop
        return out

    def _widen(self, rows: Rows) -> Rows:
        if self._horizontal is None:
            return rows
        taps = self._horizontal
        out = np.zeros((len(rows), len(taps.index), rows.shape[2]), np.float32)
        for tap in range(taps.index.shape[1]):
            out += taps.weight[None, :, tap, None] * rows[:, taps.index[:, tap]]
        return out


def resample(picture: Rows, new_height: int, new_width: int, kind: Filter = "lanczos") -> Rows:
    """A whole picture (height, width, channels) at a new size."""
    height, width = picture.shape[:2]
    if (height, width) == (new_height, new_width):
        return picture
    return RowResampler(height, width, new_height, new_width, kind).push(picture)

"""Windows of a picture as float32 planes, made when a tile asks for them, so that no float copy of the whole exists."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from engine.tiling.plan import Tile

Planes = npt.NDArray[np.float32]
"""(3, height, width) float32."""

_LARGEST = {np.dtype(np.uint8): 255.0, np.dtype(np.uint16): 65535.0, np.dtype(np.float32): 1.0}


class Source(Protocol):
    """What tiles are cut from: a (3, height, width) float32 array, or anything that slices like one."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __getitem__(self, window: Any, /) -> Any:
        """source[:, top:bottom, left:right] -> (3, rows, columns) float32, 0..1."""
        ...


class InterleavedSource:
    """A decoded picture (height, width, 1 or 3) of uint8, uint16 or float32, seen as float32 planes.

    Whole numbers become 0..1; float samples stay as they are; grey is repeated in all three planes.
    """

    def __init__(self, colour: npt.NDArray[np.generic]) -> None:
        if colour.ndim != 3 or colour.shape[2] not in (1, 3):
            raise ValueError(f"a picture has the shape (height, width, 1 or 3), not {colour.shape}")
        if colour.dtype not in _LARGEST:
            raise ValueError(f"samples are uint8, uint16 or float32, not {colour.dtype}")
        self._colour = colour
        self.pixels: npt.NDArray[np.uint8] | None = (
            colour.view(np.uint8) if colour.dtype == np.uint8 and colour.shape[2] == 3 else None
        )
        """The picture itself, (height, width, 3), where it is one of whole steps of 8 bits."""
        self._largest = _LARGEST[colour.dtype]

    @property
    def shape(self) -> tuple[int, ...]:
        return (3, self._colour.shape[0], self._colour.shape[1])

    def __getitem__(self, window: tuple[slice, slice, slice], /) -> Planes:
        planes, rows, columns = window
        part = self._colour[rows, columns].transpose(2, 0, 1)
        values: Planes = np.divide(part, np.float32(self._largest), dtype=np.float32, order="C")
        if len(values) == 1:
            values = np.repeat(values, 3, axis=0)
        return np.asarray(values[planes])


def read_tile(source: Source, tile: Tile, wrap: bool) -> Planes:
    """The pixels a tile reads, (3, rows, columns) contiguous; outside the picture reflected, or from its other side."""
    _, height, width = source.shape
    rows, columns = tile.rows, tile.columns
    if rows.read_start >= 0 and rows.read_stop <= height and columns.read_start >= 0 and columns.read_stop <= width:
        inside = source[:, rows.read_start : rows.read_stop, columns.read_start : columns.read_stop]
        return np.ascontiguousarray(inside, dtype=np.float32)
    window = np.empty((3, rows.read, columns.read), dtype=np.float32)
    row_runs = list(_runs(_positions(rows.read_start, rows.read_stop, height, wrap)))
    column_runs = list(_runs(_positions(columns.read_start, columns.read_stop, width, wrap)))
    for top, row_indices in row_runs:
        for left, column_indices in column_runs:
            part = source[:, _ascending(row_indices), _ascending(column_indices)]
            if row_indices[0] > row_indices[-1]:
                part = part[:, ::-1]
            if column_indices[0] > column_indices[-1]:
                part = part[:, :, ::-1]
            window[:, top : top + len(row_indices), left : left + len(column_indices)] = part
    return window


def read_pixels(pixels: npt.NDArray[np.uint8], tile: Tile, wrap: bool) -> npt.NDArray[np.uint8]:
    """The same of (height, width, 3) pixels, as they are: (rows, columns, 3) contiguous."""
    height, width, _ = pixels.shape
    rows, columns = tile.rows, tile.columns
    if rows.read_start >= 0 and rows.read_stop <= height and columns.read_start >= 0 and columns.read_stop <= width:
        return np.ascontiguousarray(pixels[rows.read_start : rows.read_stop, columns.read_start : columns.read_stop])
    return pixels[
        np.ix_(
            _positions(rows.read_start, rows.read_stop, height, wrap),
            _positions(columns.read_start, columns.read_stop, width, wrap),
        )
    ]


def _positions(start: int, stop: int, length: int, wrap: bool) -> npt.NDArray[np.int64]:
    """Where the pixels start..stop of the continued axis lie in the picture; reflection does not repeat the edge."""
    positions = np.arange(start, stop)
    if wrap:
        return positions % length
    if length == 1:
        return np.zeros_like(positions)
    period = 2 * (length - 1)
    positions = positions % period
    return np.minimum(positions, period - positions)


def _runs(positions: npt.NDArray[np.int64]) -> Iterator[tuple[int, list[int]]]:
    """(place, positions) of each stretch that goes up or down by one, so that it can be read as a slice."""
    begin = 0
    values = positions.tolist()
    for i in range(1, len(values) + 1):
        if i < len(values):
            step = values[i] - values[i - 1]
            if abs(step) == 1 and (i - begin < 2 or step == values[i - 1] - values[i - 2]):
                continue
        yield begin, values[begin:i]
        begin = i


def _ascending(indices: list[int]) -> slice:
    low, high = min(indices[0], indices[-1]), max(indices[0], indices[-1])
    return slice(low, high + 1)

"""The halvings of a picture, each half as large as the one before, in one mapped file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from engine.whole_file import take_room

Pixels = npt.NDArray[np.uint8]
"""(height, width, channels), channels 1, 3 or 4."""
SMALLEST = 512
"""Pixels: no halving is made of a picture whose longer side is this or less."""
STRIP = 128
"""Rows of a halving that are made at once: the scratch memory stays small."""


def level_sizes(width: int, height: int) -> list[tuple[int, int]]:
    """(width, height) of every level, the picture itself first."""
    sizes = [(width, height)]
    while max(sizes[-1]) > SMALLEST:
        width, height = (width + 1) // 2, (height + 1) // 2
        sizes.append((width, height))
    return sizes


def levels_bytes(width: int, height: int, channels: int) -> int:
    """Size of the file that holds all levels but the first."""
    return sum(w * h for w, h in level_sizes(width, height)[1:]) * channels


def create_levels(path: Path, width: int, height: int, channels: int) -> None:
    """A black file of the right size. Raises OSError when the disk has no room for it."""
    with path.open("wb") as file:
        take_room(file, max(1, levels_bytes(width, height, channels)))


def map_pixels(path: Path, width: int, height: int, channels: int, *, writable: bool = False) -> Pixels:
    mapped: Pixels = np.memmap(path, np.uint8, "r+" if writable else "r", 0, (height, width, channels))
    return mapped


def map_levels(path: Path, width: int, height: int, channels: int, *, writable: bool = False) -> list[Pixels]:
    """All levels but the first, views of one mapping."""
    flat: npt.NDArray[np.uint8] = np.memmap(path, np.uint8, "r+" if writable else "r")
    levels: list[Pixels] = []
    offset = 0
    for w, h in level_sizes(width, height)[1:]:
        size = w * h * channels
        levels.append(flat[offset : offset + size].reshape(h, w, channels))
        offset += size
    return levels


def shrink_rows(picture: Pixels, levels: list[Pixels], top: int, bottom: int) -> None:
    """Bring the halvings of rows `top` to `bottom` up to date: each pixel is the mean of the four (or the two, or the
    one, at an odd edge) it stands for, rounded half up."""
    source = picture
    for level in levels:
        top, bottom = top // 2, (bottom + 1) // 2
        for start in range(top, bottom, STRIP):
            end = min(bottom, start + STRIP)
            level[start:end] = halve(source[2 * start : 2 * end])
        source = level


def halve(pixels: Pixels) -> Pixels:
    """Mean of each 2x2 block, rounded half up; an odd last row or column counts twice."""
    height, width, channels = pixels.shape
    if height % 2 or width % 2:
        pixels = np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    rows = pixels[0::2].astype(np.uint16)
    rows += pixels[1::2]
    pairs = rows.reshape(rows.shape[0], -1, 2, channels)
    total = pairs[:, :, 0] + pairs[:, :, 1]
    total += 2
    total >>= 2
    return total.astype(np.uint8)

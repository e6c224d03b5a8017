"""Which picture, which part of it, which way round: everything about a sample follows from (seed, its number).

No generator is kept and none advances, so the samples are the same for any number of workers or processes, and going
on after a break means to go on counting.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from engine.wire_training import AugmentConfig

_ORDER, _POOL, _DRAW = range(3)
"""Separate streams of one seed."""


@dataclass(frozen=True, slots=True)
class Draw:
    """One sample before its pixels are looked at. `top` and `left` are shares of the room there is: 0 <= x < 1."""

    number: int
    """Names the sample: its degradation follows from it as well."""
    picture: int
    top: float
    left: float
    horizontal_flip: bool
    vertical_flip: bool
    transpose: bool

    def place(self, room: tuple[int, int], step: int = 1) -> tuple[int, int]:
        """Top left corner on a grid of `step`, when `room` = (rows, columns) is what the crop leaves over."""
        rows, columns = room[0] // step + 1, room[1] // step + 1
        return int(self.top * rows) * step, int(self.left * columns) * step


@dataclass(frozen=True, slots=True)
class Sampler:
    """Every picture once in an epoch, in an order of its own for each epoch, without an end."""

    seed: int
    pictures: int
    augment: AugmentConfig
    crops_per_picture: int = 1
    shuffle_pool: int = 0

    def draw(self, number: int) -> Draw:
        if self.shuffle_pool > 1:
            pool, place = divmod(number, self.shuffle_pool)
            mixed = _permutation(self.seed, _POOL, pool, self.shuffle_pool)
            number = pool * self.shuffle_pool + int(mixed[place])
        epoch, place = divmod(number // self.crops_per_picture, self.pictures)
        picture = int(_permutation(self.seed, _ORDER, epoch, self.pictures)[place])
        values = _stream(self.seed, _DRAW, number).random(5)
        return Draw(
            number=number,
            picture=picture,
            top=float(values[0]),
            left=float(values[1]),
            horizontal_flip=bool(values[2] < self.augment.horizontal_flip),
            vertical_flip=bool(values[3] < self.augment.vertical_flip),
            transpose=bool(values[4] < self.augment.transpose),
        )


def turn(pixels: npt.NDArray[np.uint8], draw: Draw) -> npt.NDArray[np.uint8]:
    """Flip and transpose (h, w, c) as drawn; the same for a picture and its partner."""
    if draw.horizontal_flip:
        pixels = pixels[:, ::-1]
    if draw.vertical_flip:
        pixels = pixels[::-1]
    if draw.transpose:
        pixels = pixels.transpose(1, 0, 2)
    return pixels


def _stream(seed: int, purpose: int, number: int) -> np.random.Generator:
    key = np.array([seed, purpose], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=np.array([0, 0, 0, number], dtype=np.uint64)))


@lru_cache(maxsize=8)
def _permutation(seed: int, purpose: int, number: int, length: int) -> npt.NDArray[np.int64]:
    return _stream(seed, purpose, number).permutation(length)

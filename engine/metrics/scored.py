"""The only thing a metric accepts: an 8-bit picture. Floats become one here, if they show the range they claim.

A network with a tanh head gives -1..1. Scored as if it were 0..1, it loses half its values and some 15 dB, silently.
That cannot happen through this door: a float picture names its range, and is refused when its samples contradict it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from engine.errors import Code, PellucidError
from engine.image.buffer import ImageBuffer
from engine.models.card import ValueRange

Protocol = Literal["rgb", "y"]
"""rgb: every channel, whole picture. y: BT.601 luma, without a border as wide as the scale."""

OVERSHOOT = 0.1
"""Networks step a little over the ends of their range beside sharp edges; this much, in units of 0..1, is normal."""
OVERSHOOT_SHARE = 0.01
"""Share of samples that may lie further out than that."""


@dataclass(frozen=True, slots=True)
class Scored:
    """`pixels`: (height, width, 1 or 3) uint8, RGB or grey, 0..255."""

    pixels: npt.NDArray[np.uint8]

    def __post_init__(self) -> None:
        if self.pixels.dtype != np.uint8:
            raise PellucidError(
                Code.RANGE_MISMATCH,
                f"A picture of {self.pixels.dtype} samples cannot be scored, because its range is not known.",
                "Give 8-bit samples, or floats with the range they were declared with.",
            )
        if self.pixels.ndim != 3 or self.pixels.shape[2] not in (1, 3) or 0 in self.pixels.shape:
            raise PellucidError(
                Code.IMAGE_UNSUPPORTED,
                f"An array of shape {self.pixels.shape} is no picture that can be scored.",
                "It must be (height, width, 1 or 3).",
            )

    @property
    def height(self) -> int:
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        return int(self.pixels.shape[1])

    @classmethod
    def from_float(cls, pixels: npt.NDArray[np.floating], declared: ValueRange, name: str = "The picture") -> Scored:
        """(height, width, 1 or 3) floats in the range `declared`, rounded to 8 bits; refused when they show another."""
        if pixels.size == 0 or not bool(np.isfinite(pixels).all()):
            raise PellucidError(Code.BAD_OUTPUT, f"{name} has samples that are not numbers.", name=name)
        unit = np.asarray(pixels, np.float64)
        lowest, highest = float(unit.min()), float(unit.max())
        if declared == "-1..1":
            if lowest >= 0.0 and highest > 0.0:
                # Half of the range unused: far more often a picture in 0..1 than one without a single dark sample.
                raise _range_mismatch(name, declared, lowest, highest)
            unit = unit * 0.5 + 0.5
        outside = float(np.mean((unit < -OVERSHOOT) | (unit > 1.0 + OVERSHOOT)))
        if outside > OVERSHOOT_SHARE:
            raise _range_mismatch(name, declared, lowest, highest)
        return cls(np.rint(np.clip(unit, 0.0, 1.0) * 255.0).astype(np.uint8))

    @classmethod
    def from_image(cls, image: ImageBuffer, name: str = "The picture") -> Scored:
        """The colours of a decoded picture, rounded to 8 bits; alpha is not scored."""
        colour = image.colour
        if colour.dtype == np.uint8:
            return cls(colour.astype(np.uint8, copy=False))
        if colour.dtype == np.uint16:
            return cls(((colour.astype(np.uint32) + 128) // 257).astype(np.uint8))
        return cls.from_float(colour.astype(np.float32, copy=False), "0..1", name)


def _range_mismatch(name: str, declared: str, lowest: float, highest: float) -> PellucidError:
    return PellucidError(
        Code.RANGE_MISMATCH,
        f"{name} is declared to lie in {declared}, but its samples go from {lowest:.3g} to {highest:.3g}.",
        "Correct the value range in the model's card.",
        name=name,
        declared=declared,
        lowest=lowest,
        highest=highest,
    )


def comparable(*pictures: Scored) -> list[npt.NDArray[np.uint8]]:
    """The samples of all, of one shape: a grey picture beside a colour one counts as three equal channels."""
    last = pictures[-1]
    for picture in pictures:
        if (picture.height, picture.width) != (last.height, last.width):
            raise PellucidError(
                Code.USAGE,
                f"A picture of {picture.width} x {picture.height} pixels cannot be compared with one of "
                f"{last.width} x {last.height}.",
            )
    channels = max(picture.pixels.shape[2] for picture in pictures)
    return [np.broadcast_to(picture.pixels, (last.height, last.width, channels)) for picture in pictures]


def luma(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """(h, w, 1 or 3) uint8 -> (h, w) float64, 16..235: the BT.601 studio-swing luma, not rounded. Grey is R = G = B."""
    samples = pixels.astype(np.float64)
    if pixels.shape[2] == 1:
        return np.asarray(16.0 + samples[:, :, 0] * (219.0 / 255.0))
    return np.asarray(16.0 + samples @ (np.array([65.481, 128.553, 24.966]) / 255.0))


def planes(pixels: npt.NDArray[np.uint8], protocol: Protocol) -> list[npt.NDArray[np.float64]]:
    """What a protocol looks at, as (h, w) float64 planes: each channel, or the luma."""
    if protocol == "y":
        return [luma(pixels)]
    return [pixels[:, :, channel].astype(np.float64) for channel in range(pixels.shape[2])]


def without_border(pixels: npt.NDArray[np.uint8], border: int) -> npt.NDArray[np.uint8]:
    """The picture without `border` pixels on each side."""
    height, width = pixels.shape[:2]
    if border < 0 or min(height, width) <= 2 * border:
        raise PellucidError(
            Code.USAGE, f"A border of {border} pixels leaves nothing of a picture of {width} x {height} pixels."
        )
    return pixels[border : height - border, border : width - border]

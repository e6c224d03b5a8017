"""A decoded picture: its samples, and everything its file said about them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Metadata:
    """What a file carries beside its pixels, kept byte for byte unless noted."""

    icc: bytes | None = None
    exif: bytes | None = None
    """TIFF-structured EXIF without the `Exif\\0\\0` prefix; orientation 1, because it is applied to the pixels."""
    xmp: bytes | None = None
    dpi: tuple[float, float] | None = None
    cicp: bytes | None = None
    """What a PNG says of colours that no ICC profile can tell of, those of HDR: four code points of ITU-T H.273."""


@dataclass(frozen=True, slots=True)
class ImageBuffer:
    """Upright pixels with their meaning decided once, by the file.

    colour: (height, width, 1 or 3), uint8, uint16 or float32 (float: 0..1, may exceed it); grey stays one channel.
    alpha: (height, width), same dtype, straight (not premultiplied), or None.
    """

    colour: npt.NDArray[np.generic]
    alpha: npt.NDArray[np.generic] | None = None
    metadata: Metadata = field(default_factory=Metadata)
    format: str = ""
    """Lower-case id of the file format it came from: png, jpeg, webp, bmp, tiff, gif, avif, heic, raw, ..."""
    several: bool = False
    """Whether the file held more pictures, frames or pages, of which this is the first."""

    @property
    def height(self) -> int:
        return int(self.colour.shape[0])

    @property
    def width(self) -> int:
        return int(self.colour.shape[1])

    @property
    def is_grey(self) -> bool:
        return bool(self.colour.shape[2] == 1)

    @property
    def bits(self) -> int:
        """Bits a sample: 8, 16 or 32 (float)."""
        return int(self.colour.dtype.itemsize) * 8

    def with_pixels(self, colour: npt.NDArray[np.generic], alpha: npt.NDArray[np.generic] | None) -> Self:
        return replace(self, colour=colour, alpha=alpha)

"""Between a file's colours and a network's: profiles, number ranges, rounding."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from engine.errors import Code, PellucidError
from engine.image import exif
from engine.image.buffer import ImageBuffer

Pixels = npt.NDArray[Any]

_PERCEPTUAL, _RELATIVE = 0, 1


@functools.cache
def srgb_profile() -> bytes:
    """An ICC profile of sRGB, the same bytes on every call and machine."""
    import imagecodecs

    profile = bytearray(imagecodecs.cms_profile("srgb"))
    profile[24:36] = (2000).to_bytes(2, "big") + b"\0\1\0\1\0\0\0\0\0\0"  # the day of making would differ every day
    profile[84:100] = bytes(16)  # and so would its checksum
    return bytes(profile)


def to_srgb(buffer: ImageBuffer) -> ImageBuffer:
    """The same picture in sRGB, its samples as deep as before; a picture without a profile is taken to be sRGB already,
    and one whose colours no profile can tell of (HDR) stays what it is.

    Grey stays one channel. The result carries no profile: that is what sRGB means everywhere.
    """
    profile = buffer.metadata.icc
    if profile is None or buffer.metadata.cicp is not None:
        return buffer
    colours: Literal["gray", "rgb"] = "gray" if profile[16:20] == b"GRAY" else "rgb"
    source = buffer.colour
    if colours == "gray" and not buffer.is_grey:
        source = source[..., :1]
    elif colours == "rgb" and buffer.is_grey:
        source = np.repeat(source, 3, axis=2)
    converted = _transform(source, profile, colours)
    if buffer.is_grey:
        converted = converted[..., 1:2]
    metadata = replace(
        buffer.metadata,
        icc=None,
        exif=exif.declare_srgb(buffer.metadata.exif) if buffer.metadata.exif else None,
    )
    return replace(buffer, colour=np.ascontiguousarray(converted), metadata=metadata)


def for_the_eye(buffer: ImageBuffer) -> ImageBuffer:
    """The picture as a window shows it, which knows no profiles: in sRGB as far as that can be had. Grey stays as it
    is, as the window leaves it where it decodes a grey picture itself."""
    if buffer.is_grey:
        return buffer
    try:
        return to_srgb(buffer)
    except PellucidError:  # a damaged profile is no reason to show nothing
        return buffer


def cmyk_to_srgb(ink: Pixels, profile: bytes | None) -> tuple[Pixels, bytes]:
    """(height, width, 4) uint8 or uint16 ink, 0 none, to RGB of the same depth.

    Returns it with its profile: sRGB's when the file's own profile led there, b"" when inks were simply subtracted.
    """
    if profile is not None and profile[16:20] == b"CMYK":
        try:
            return _transform(ink, profile, "cmyk"), srgb_profile()
        except PellucidError:
            pass  # a damaged profile is no reason to lose the picture
    top = int(np.iinfo(ink.dtype).max)
    paper: Pixels = top - ink.astype(np.uint64 if ink.dtype == np.uint16 else np.uint32)
    return ((paper[..., :3] * paper[..., 3:] + top // 2) // top).astype(ink.dtype), b""


def _transform(samples: Pixels, profile: bytes, colours: Literal["gray", "rgb", "cmyk"]) -> Pixels:
    """(height, width, n) in `profile` to (height, width, 3) in sRGB, same dtype."""
    import imagecodecs

    source = np.ascontiguousarray(samples[..., 0] if colours == "gray" else samples)
    try:
        return np.asarray(
            imagecodecs.cms_transform(
                source,
                profile,
                srgb_profile(),
                colorspace=colours,
                outcolorspace="rgb",
                intent=_PERCEPTUAL if colours == "cmyk" else _RELATIVE,
            )
        ).reshape(*samples.shape[:2], 3)
    except (imagecodecs.CmsError, RuntimeError, ValueError) as error:
        raise PellucidError(
            Code.IMAGE_CORRUPT,
            "The picture's ICC profile is damaged or does not fit its colours, so it cannot be converted to sRGB.",
            "Keep the profile (--profile keep) or save the picture again.",
        ) from error


def to_network(buffer: ImageBuffer) -> npt.NDArray[np.float32]:
    """(3, height, width) float32, 0..1, contiguous; grey is repeated, floats outside 0..1 are clipped."""
    return samples_to_network(buffer.colour)


def samples_to_network(samples: Pixels) -> npt.NDArray[np.float32]:
    """(height, width, 1 or 3) of any depth to (3, height, width) float32, 0..1, contiguous."""
    height, width, channels = samples.shape
    planes = np.empty((3, height, width), np.float32)
    moved = samples.transpose(2, 0, 1)
    if samples.dtype.kind == "f":
        np.clip(moved, 0.0, 1.0, out=planes)
    else:
        np.multiply(moved, np.float32(1.0 / np.iinfo(samples.dtype).max), out=planes, casting="unsafe")
    if channels == 1:
        planes[1:] = planes[0]
    return planes


def from_network(
    planes: npt.NDArray[np.float32], like: ImageBuffer, bits: Literal[0, 8, 16, 32] = 0
) -> npt.NDArray[Any]:
    """(3, height, width) float32 to (height, width, 1 or 3): grey as the mean of three where `like` is grey.

    bits: 8, 16, or 32 for float; 0: as `like`. Whole numbers are rounded to the nearest, what lies outside is clipped.
    """
    rows = planes.transpose(1, 2, 0)
    if like.is_grey:
        rows = rows.mean(axis=2, keepdims=True, dtype=np.float32)
    return round_samples(rows, bits or like.bits)


def round_samples(rows: npt.NDArray[np.float32], bits: int) -> npt.NDArray[Any]:
    """0..1 float32 to whole steps of 8 or 16 bits, rounded to the nearest and clipped; 32 leaves floats as they are."""
    if bits == 32:
        return np.ascontiguousarray(rows, np.float32)
    top = np.float32((1 << bits) - 1)
    scaled = np.multiply(rows, top, order="C")
    np.clip(scaled, 0, top, out=scaled)
    np.rint(scaled, out=scaled)
    return scaled.astype(np.uint8 if bits == 8 else np.uint16)

"""The first page of a TIFF file: 8 and 16 bits, float, grey, RGB, palette, CMYK, with or without alpha."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
import numpy.typing as npt

from engine.errors import Code, PellucidError
from engine.image.buffer import Metadata
from engine.image.colour import cmyk_to_srgb
from engine.image.headers import Damaged, Header
from engine.image.sniff import RAW_PHOTOMETRIC

Pixels = npt.NDArray[Any]

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _SEPARATED, _YCBCR = 0, 1, 2, 3, 5, 6
_JPEG_COMPRESSIONS = (6, 7, 34892, 33007)
_TAGS_OF_RAW: Final = (0x014A, 0xC612)
"""SubIFDs, where cameras put the sensor's samples, and DNGVersion."""
_COPY_OR_MASK: Final = 1 | 4
_PAGES_LOOKED_AT: Final = 16
_LARGEST_BLOCK = 1 << 28
"""Pixels in one strip or tile beyond the page itself: a guard against hostile headers."""


@dataclass(frozen=True, slots=True)
class FirstPage:
    header: Header
    decode: Callable[[], Pixels]
    """(height, width, 1 to 4): grey or RGB, straight alpha last; uint8, uint16 or float32."""
    orientation: int
    icc: bytes | None
    """ICC profile of what `decode` gives, where it is not the file's own."""
    maybe_raw: bool
    """Whether it may only be the thumbnail of a camera's file."""


def open_first_page(path: Path, open_file: Callable[[], BinaryIO]) -> FirstPage:
    """`open_file` opens the file, or its bytes, as often as it is called; only `decode` reads pixels."""
    import tifffile

    with open_file() as handle, tifffile.TiffFile(handle) as file:
        page = file.pages.first
        width, height = int(page.imagewidth), int(page.imagelength)
        photometric, samples = int(page.photometric), int(page.samplesperpixel)
        sample_bits = page.bitspersample
        kind = int(page.sampleformat)
        extra = [int(value) for value in page.extrasamples]
        icc = page.tags.valueof(34675)
        xmp = page.tags.valueof(700)
        dpi = _resolution(page)
        orientation = page.tags.valueof(274, default=1)
        compression = int(page.compression)
        _check_blocks(page, handle.seek(0, os.SEEK_END))
        several = _has_another_page(file)
        maybe_raw = photometric in RAW_PHOTOMETRIC or any(tag in page.tags for tag in _TAGS_OF_RAW)
    if width < 1 or height < 1 or samples < 1:
        raise Damaged("it says no size")
    colours = {_RGB: 3, _YCBCR: 3, _SEPARATED: 4}.get(photometric, 1)
    known = photometric in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _SEPARATED) or (
        photometric == _YCBCR and compression in _JPEG_COMPRESSIONS
    )
    if not known or samples < colours or not isinstance(sample_bits, int):
        raise _unsupported(path, f"colour kind {photometric} with {samples} samples a pixel")
    is_float = kind == 3
    if not ((is_float and sample_bits in (16, 32, 64)) or (kind == 1 and sample_bits in (1, 2, 4, 8, 16, 32))):
        raise _unsupported(path, f"{sample_bits}-bit samples of kind {kind}")
    has_alpha = samples > colours and bool(extra) and extra[0] in (1, 2)
    bits = 32 if is_float else 16 if sample_bits >= 16 and photometric != _PALETTE else 8
    if photometric == _SEPARATED and is_float:
        bits = 16
    header = Header(width, height, bits, has_alpha, Metadata(_bytes(icc), None, _bytes(xmp), dpi), several=several)

    def decode() -> Pixels:
        with open_file() as handle, tifffile.TiffFile(handle) as file:
            page = file.pages.first
            array = page.asarray(maxworkers=1)
            palette = page.colormap
            planar = int(page.planarconfig) == 2 and samples > 1
        if planar:
            array = np.moveaxis(array.reshape(samples, height, width), 0, -1)
        array = array.reshape(height, width, samples)
        return _meaning(array, photometric, colours, sample_bits, palette, extra[0] if has_alpha else 0, _bytes(icc))

    profile = cmyk_to_srgb(np.zeros((1, 1, 4), np.uint8), _bytes(icc))[1] if photometric == _SEPARATED else None
    return FirstPage(header, decode, orientation if orientation in range(1, 9) else 1, profile, maybe_raw)


def _meaning(
    array: Pixels,
    photometric: int,
    colours: int,
    sample_bits: int,
    palette: Pixels | None,
    alpha_kind: int,
    icc: bytes | None,
) -> Pixels:
    """Raw samples to grey or RGB with straight alpha last; uint8, uint16 or float32."""
    if photometric == _PALETTE:
        if palette is None:
            raise Damaged("its palette is missing")
        table = np.asarray(palette).T
        if int(array[..., 0].max()) >= len(table):
            raise Damaged("its palette is too short")
        eight_bits = table >> 8 if int(table.max(initial=0)) > 255 else table  # some programs forget to scale it
        return np.ascontiguousarray(eight_bits.astype(np.uint8)[array[..., 0]])
    if array.dtype.kind == "f":
        array = array.astype(np.float32)
    elif sample_bits == 32:
        array = (array >> 16).astype(np.uint16)
    elif sample_bits < 8:
        array = (array.astype(np.uint16) * 255 // ((1 << sample_bits) - 1)).astype(np.uint8)
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    top = 1.0 if array.dtype == np.float32 else np.iinfo(array.dtype).max
    colour, alpha = array[..., :colours], array[..., colours : colours + 1] if alpha_kind else None
    if photometric == _WHITE_IS_ZERO:
        colour = (top - colour).astype(array.dtype)
    if photometric == _SEPARATED:
        if array.dtype == np.float32:
            colour = _sixteen_bits(colour)
            alpha = _sixteen_bits(alpha) if alpha is not None else None
        colour = cmyk_to_srgb(colour, icc)[0]
    if alpha is None:
        return np.ascontiguousarray(colour)
    if alpha_kind == 1 and photometric != _SEPARATED:
        colour = _unmultiply(colour, alpha, float(top))
    return np.concatenate([colour, alpha], axis=2)


def _sixteen_bits(samples: Pixels) -> Pixels:
    return np.rint(np.clip(samples, 0.0, 1.0) * np.float32(65535)).astype(np.uint16)


def _unmultiply(colour: Pixels, alpha: Pixels, top: float) -> Pixels:
    """Premultiplied to straight colour."""
    straight = colour.astype(np.float32) * (np.float32(top) / np.maximum(alpha.astype(np.float32), top * 1e-6))
    straight[np.broadcast_to(alpha == 0, straight.shape)] = 0
    if colour.dtype == np.float32:
        return straight
    return np.rint(np.clip(straight, 0, top)).astype(colour.dtype)


def _check_blocks(page: Any, length: int) -> None:
    """Every strip or tile must lie inside the file; tifffile would read what is missing as black."""
    offsets, counts = page.dataoffsets, page.databytecounts
    if len(offsets) != len(counts) or not offsets:
        raise Damaged("its strips are not listed")
    if any(count < 1 or offset < 8 or offset + count > length for offset, count in zip(offsets, counts, strict=True)):
        raise Damaged("it ends before its last pixel")
    block = int(page.tilewidth or 0) * int(page.tilelength or 0) if page.is_tiled else 0
    if block > max(_LARGEST_BLOCK, int(page.imagewidth) * int(page.imagelength)):
        raise Damaged("its tiles are larger than the picture")
    if int(page.compression) == 1:
        stored = int(page.imagewidth) * int(page.imagelength) * int(page.samplesperpixel)
        if isinstance(page.bitspersample, int) and sum(counts) * 8 < stored * page.bitspersample:
            raise Damaged("it holds fewer pixels than it says")


def _has_another_page(file: Any) -> bool:
    """Smaller copies of the first page and masks do not count."""
    for number in range(1, _PAGES_LOOKED_AT):
        try:
            kind = int(file.pages[number].subfiletype)
        except Exception:  # there is none, or it is damaged, which is no matter of the first
            return False
        if not kind & _COPY_OR_MASK:
            return True
    return False


def _resolution(page: Any) -> tuple[float, float] | None:
    unit = page.tags.valueof(296, default=2)
    across, down = page.tags.valueof(282), page.tags.valueof(283)
    factor = {2: 1.0, 3: 2.54}.get(int(unit)) if isinstance(unit, int) else None
    if factor is None or not isinstance(across, tuple) or not isinstance(down, tuple):
        return None
    if not (across[0] and across[1] and down[0] and down[1]):
        return None
    return (across[0] / across[1] * factor, down[0] / down[1] * factor)


def _bytes(value: object) -> bytes | None:
    return bytes(value) if isinstance(value, (bytes, bytearray, np.ndarray)) and len(value) else None


def _unsupported(path: Path, what: str) -> PellucidError:
    return PellucidError(
        Code.IMAGE_UNSUPPORTED,
        f"{path.name} is a TIFF of {what}, which Pellucid does not read.",
        "Save it as RGB or grey with 8, 16 or 32 (float) bits.",
        path=str(path),
    )

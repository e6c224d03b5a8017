"""Formats whose encoders want the whole picture: its rows wait in a file beside the target, mapped to be encoded."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from engine.image import exif
from engine.image.bands import Rows
from engine.image.buffer import Metadata

Pixels = npt.NDArray[Any]
Encoder = Callable[[Pixels, int, Metadata, int], bytes]
"""(height, width, 1 to 4) uint8, quality, metadata, threads -> the bytes of a file."""


class WholeStream:
    """`raw` is an empty file, open for reading and writing, that takes the rows; `file` takes the result."""

    def __init__(
        self,
        file: BinaryIO,
        raw: BinaryIO,
        shape: tuple[int, int, int],
        encode: Encoder,
        quality: int,
        metadata: Metadata,
        threads: int,
    ) -> None:
        self._file, self._raw, self._shape = file, raw, shape
        self._encode, self._quality, self._metadata, self._threads = encode, quality, metadata, threads

    def write_rows(self, rows: Rows) -> None:
        # written, not mapped: a full disk is an error here, and a crash through a mapping
        self._raw.write(np.ascontiguousarray(rows).data)

    def finish(self) -> None:
        self._raw.flush()
        pixels: Pixels = np.memmap(self._raw, np.uint8, "r", shape=self._shape)
        try:
            self._file.write(self._encode(pixels, self._quality, self._metadata, self._threads))
        finally:
            del pixels

    def close(self) -> None:
        # closing writes what is still buffered, which fails on a full disk a second time
        with suppress(OSError):
            self._raw.close()


def encode_jpeg(pixels: Pixels, quality: int, metadata: Metadata, threads: int) -> bytes:
    """Colour at full resolution from quality 90 on, at half below."""
    import imagecodecs

    picture = pixels[..., 0] if pixels.shape[2] == 1 else pixels
    data = imagecodecs.jpeg8_encode(picture, level=quality, subsampling="444" if quality >= 90 else "420")
    return with_jpeg_metadata(bytes(data), metadata)


def with_jpeg_metadata(data: bytes, metadata: Metadata) -> bytes:
    """JPEG data as an encoder left it, with segments for EXIF, XMP, ICC and resolution put before its own."""
    at = 2
    if data[2:4] == b"\xff\xe0":  # the encoder's own JFIF header gives way to ours
        at += 2 + struct.unpack_from(">H", data, 4)[0]
    unit, across, down = 0, 1, 1
    if metadata.dpi:
        unit, across, down = 1, *(max(1, min(round(value), 65_535)) for value in metadata.dpi)
    parts = [data[:2], _segment(0xE0, b"JFIF\0\1\2" + struct.pack(">BHHBB", unit, across, down, 0, 0))]
    if metadata.exif and len(metadata.exif) <= LARGEST_JPEG_EXIF:
        parts.append(_segment(0xE1, b"Exif\0\0" + metadata.exif))
    if metadata.xmp and len(metadata.xmp) <= LARGEST_JPEG_XMP:
        parts.append(_segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + metadata.xmp))
    profile = metadata.icc or b""
    pieces = [profile[start : start + _ICC_PIECE] for start in range(0, len(profile), _ICC_PIECE)]
    parts += [
        _segment(0xE2, b"ICC_PROFILE\0" + bytes([number, len(pieces)]) + piece)
        for number, piece in enumerate(pieces[:255], 1)
    ]
    return b"".join([*parts, data[at:]])


LARGEST_JPEG_EXIF = 65_533 - 6
LARGEST_JPEG_XMP = 65_533 - 29
_ICC_PIECE = 65_533 - 14


def _segment(kind: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, kind, len(body) + 2) + body


def encode_webp(pixels: Pixels, quality: int, metadata: Metadata, threads: int) -> bytes:
    """Quality 100 is lossless."""
    import imagecodecs

    data = imagecodecs.webp_encode(
        _as_colour(pixels), level=float(quality), lossless=quality >= 100, numthreads=min(threads, 2)
    )
    return with_webp_metadata(bytes(data), pixels.shape[1], pixels.shape[0], metadata)


def with_webp_metadata(data: bytes, width: int, height: int, metadata: Metadata) -> bytes:
    """A still WebP as an encoder left it, with chunks for ICC, EXIF and XMP in the order the container wants."""
    if not (metadata.icc or metadata.exif or metadata.xmp):
        return data
    chunks: list[tuple[bytes, bytes]] = []
    at = 12
    while at + 8 <= len(data):
        (length,) = struct.unpack_from("<I", data, at + 4)
        chunks.append((data[at : at + 4], data[at + 8 : at + 8 + length]))
        at += 8 + length + (length & 1)
    picture = [chunk for chunk in chunks if chunk[0] in (b"ALPH", b"VP8 ", b"VP8L")]
    kind, body = picture[-1]
    alpha = len(picture) == 2 or (kind == b"VP8L" and bool(body[4] & 0x10))
    flags = 0x20 * bool(metadata.icc) | 0x10 * alpha | 0x08 * bool(metadata.exif) | 0x04 * bool(metadata.xmp)
    canvas = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    wanted = [
        (b"VP8X", bytes([flags, 0, 0, 0]) + canvas),
        (b"ICCP", metadata.icc),
        *picture,
        (b"EXIF", metadata.exif),
        (b"XMP ", metadata.xmp),
    ]
    parts = [name + struct.pack("<I", len(value)) + value + b"\0" * (len(value) & 1) for name, value in wanted if value]
    content = b"WEBP" + b"".join(parts)
    return b"RIFF" + struct.pack("<I", len(content)) + content


def encode_avif(pixels: Pixels, quality: int, metadata: Metadata, threads: int) -> bytes:
    """Colour at full resolution from quality 90 on, at half below. EXIF goes in without its orientation entry:
    Pillow would take that out itself, and write all the rest anew to do so."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(_as_colour(pixels))).save(
        file,
        "AVIF",
        quality=quality,
        subsampling="4:4:4" if quality >= 90 else "4:2:0",
        max_threads=threads,
        icc_profile=metadata.icc or b"",
        exif=exif.without_orientation(metadata.exif) if metadata.exif else b"",
        xmp=metadata.xmp or b"",
    )
    return file.getvalue()


def _as_colour(pixels: Pixels) -> Pixels:
    """RGB or RGBA of any picture."""
    channels = pixels.shape[2]
    if channels >= 3:
        return pixels
    return np.concatenate([np.repeat(pixels[..., :1], 3, axis=2), pixels[..., 1:]], axis=2)

"""Reading a written file back before it is called done."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np

from engine.errors import Code, PellucidError

SMALL_BYTES: Final = 1 << 24
"""Pictures of at most this many bytes of samples are decoded whole; larger ones are checked piece by piece."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What a file must turn out to be."""

    kind: str
    width: int
    height: int
    channels: int
    """1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha."""
    bits: int
    icc: bytes | None

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.uint16 if self.bits == 16 else np.uint8)

    @property
    def row_bytes(self) -> int:
        return self.width * self.channels * self.bits // 8


def verify_file(path: Path, expected: Expected, name: str) -> None:
    """Raises PellucidError unless the file is whole and holds what it should; `name` is what people know it by."""
    try:
        problem = _find_problem(path, expected)
    except PellucidError as error:
        problem = error.message
    except MemoryError:
        return  # that there is too little to look at a result is no fault of the result's
    except Exception as error:  # a damaged file makes parsers raise whatever they trip over
        problem = f"{error}."
    if problem:
        raise PellucidError(
            Code.BAD_OUTPUT,
            f"{name} was written, but reading it back shows that it is not right: {problem}",
            "Try again; if it happens twice, check the drive.",
            path=str(path),
        )


def _find_problem(path: Path, expected: Expected) -> str:
    if expected.row_bytes * expected.height > SMALL_BYTES and expected.kind in ("png", "tiff"):
        with path.open("rb") as file:
            return _check_png(file, expected) if expected.kind == "png" else _check_tiff(path, file, expected)
    from engine.image.decode import probe_image, read_image

    if expected.row_bytes * expected.height > SMALL_BYTES:
        facts = probe_image(path)
        found = (facts.format, facts.width, facts.height, facts.bits)
        icc = expected.icc
        alpha_lost = facts.alpha and expected.channels in (1, 3)
    else:
        picture = read_image(path, max_megapixels=float("inf"))
        found = (picture.format, picture.width, picture.height, picture.bits)
        icc = picture.metadata.icc
        # WebP drops an alpha plane that is opaque everywhere; nothing is lost by it
        alpha_lost = (picture.alpha is not None) != (expected.channels in (2, 4)) and (
            expected.kind != "webp" or picture.alpha is not None
        )
    wanted = (expected.kind, expected.width, expected.height, expected.bits)
    if found != wanted:
        return f"it is {found} instead of {wanted}."
    if alpha_lost:
        return "its transparency is not the source's."
    if icc != expected.icc:
        return "its colour profile is not the source's."
    return ""


def _check_png(file: BinaryIO, expected: Expected) -> str:
    """Header, checksums of all chunks, profile, and that the pixels inflate to exactly as many bytes as they must."""
    if file.read(8) != b"\x89PNG\r\n\x1a\n":
        return "it is no PNG."
    inflater = zlib.decompressobj()
    pixels = 0
    icc = None
    first = True
    while True:
        head = file.read(8)
        if len(head) < 8:
            return "it ends before its last chunk."
        length, kind = struct.unpack(">I4s", head)
        body = file.read(length)
        if file.read(4) != struct.pack(">I", zlib.crc32(body, zlib.crc32(kind))):
            return "a checksum is wrong."
        if first:
            colour = {1: 0, 2: 4, 3: 2, 4: 6}[expected.channels]
            if body != struct.pack(">IIBBBBB", expected.width, expected.height, expected.bits, colour, 0, 0, 0):
                return "its header is wrong."
            first = False
        elif kind == b"iCCP":
            icc = zlib.decompress(body.split(b"\0", 1)[1][1:])
        elif kind == b"IDAT":
            pending = body
            while pending:
                try:
                    pixels += len(inflater.decompress(pending, 1 << 20))
                except zlib.error:
                    return "its pixels do not inflate."
                pending = inflater.unconsumed_tail
        elif kind == b"IEND":
            break
    if not inflater.eof or pixels != expected.height * (1 + expected.row_bytes):
        return "its pixels are not all there."
    return "" if icc == expected.icc else "its colour profile is not the source's."


def _check_tiff(path: Path, file: BinaryIO, expected: Expected) -> str:
    """Header, profile, and that each strip inflates to exactly as many bytes as it must."""
    import tifffile

    with tifffile.TiffFile(path) as tiff:
        page: Any = tiff.pages.first
        found = (page.imagewidth, page.imagelength, page.samplesperpixel, page.bitspersample)
        icc = page.tags.valueof(34675)
        offsets, lengths, strip_rows = page.dataoffsets, page.databytecounts, page.rowsperstrip
    if found != (expected.width, expected.height, expected.channels, expected.bits):
        return "its header is wrong."
    if (bytes(icc) if icc is not None else None) != expected.icc:
        return "its colour profile is not the source's."
    rows = 0
    for offset, length in zip(offsets, lengths, strict=True):
        file.seek(offset)
        wanted = min(strip_rows, expected.height - rows)
        try:
            pixels = zlib.decompress(file.read(length))
        except zlib.error:
            return "its pixels do not inflate."
        if len(pixels) != wanted * expected.row_bytes:
            return "its pixels are not all there."
        rows += wanted
    return "" if rows == expected.height else "its pixels are not all there."

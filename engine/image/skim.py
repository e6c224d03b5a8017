"""Enough of a picture file to know its header, without reading its pixels: what counts when thousands are measured.

The functions that skim give bytes that the reader of `headers` with the same name takes for the file: everything it
looks at is there, the pixels are not. What is wrong with the file raises `Damaged` there, or is left to whoever reads
it whole.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Final

from engine.image import exif
from engine.image.headers import LARGEST_METADATA, Damaged, Header, read_jpeg, read_png, read_webp
from engine.image.item_boxes import measure_primary_item
from engine.image.sniff import LARGEST_BRANDS, image_format
from engine.image.tiff_pages import open_first_page

_MAGIC: Final = 12
"""Bytes that tell PNG, JPEG, WebP and TIFF from all others; files of boxes have a longer beginning."""
_TAIL: Final = 256 << 10
"""How much of a PNG's end is looked at: several times the largest EXIF that a camera writes."""
_END: Final = struct.pack(">I", 0) + b"IEND" + struct.pack(">I", zlib.crc32(b"IEND"))
_NO_PIXELS: Final = struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))


def measure_upright(path: Path) -> tuple[int, int] | None:
    """(height, width) of the upright picture in a PNG, JPEG, WebP, TIFF, AVIF or HEIC file; None where only the whole
    file tells, or tells what is wrong with it."""
    if not path.is_file():
        return None
    try:
        with path.open("rb") as file:
            head = file.read(_MAGIC)
            if head[4:8] == b"ftyp":
                head += file.read(LARGEST_BRANDS - _MAGIC)
            kind = image_format(head)
            file.seek(0)
            if kind in ("avif", "heic"):
                return measure_primary_item(file)
            if kind == "tiff":
                return _measure_tiff(path)
            if kind not in _SKIMMED:
                return None
            skim, read = _SKIMMED[kind]
            header = read(skim(file))
    except Exception:  # parsers raise whatever damaged bytes make them trip over
        return None
    return _upright(header, exif.orientation(header.metadata.exif))


def _measure_tiff(path: Path) -> tuple[int, int] | None:
    page = open_first_page(path, lambda: path.open("rb"))
    return None if page.maybe_raw else _upright(page.header, page.orientation)


def _upright(header: Header, orientation: int) -> tuple[int, int]:
    return (header.width, header.height) if orientation >= 5 else (header.height, header.width)


def skim_png(file: BinaryIO) -> bytes:
    """Every chunk before the pixels, one empty chunk for the pixels, and of what stands behind them, at the end of the
    file, EXIF and the mark of the end, which a cut file lacks. To step through the pixels would be to read them."""
    kept = [file.read(8)]
    while len(head := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        if kind == b"IDAT":
            kept += [_NO_PIXELS, _last_chunks(file)]
            break
        if length > LARGEST_METADATA:
            break
        kept += [head, file.read(length + 4)]
        if kind == b"IEND":
            break
    return b"".join(kept)


def _last_chunks(file: BinaryIO) -> bytes:
    here, end = file.tell(), file.seek(0, os.SEEK_END)
    file.seek(max(here, end - _TAIL))
    tail = file.read()
    found = tail.rfind(b"eXIf")
    exif = b""
    if found >= 4:
        (length,) = struct.unpack_from(">I", tail, found - 4)
        chunk = tail[found - 4 : found + 8 + length]
        # Its sum tells a chunk from pixels that happen to spell its name.
        if len(chunk) == length + 12 and struct.unpack(">I", chunk[-4:])[0] == zlib.crc32(chunk[4:-4]):
            exif = chunk
    return exif + (_END if _END in tail else b"")


def skim_jpeg(file: BinaryIO) -> bytes:
    """Every segment up to the first scan, and the end marker behind it."""
    kept = [file.read(2)]
    while len(head := file.read(4)) == 4 and head[0] == 0xFF and head[1] != 0xFF:
        length = struct.unpack_from(">H", head, 2)[0]
        kept += [head, file.read(max(0, length - 2))]
        if head[1] == 0xDA:
            kept.append(b"\xff\xd9")
            break
    return b"".join(kept)


def skim_webp(file: BinaryIO) -> bytes:
    """Every chunk, of those with pixels no more than their first bytes."""
    length = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(12)
    end = struct.unpack_from("<I", head, 4)[0] + 8
    if end > length:
        raise Damaged("it is shorter than it says")
    chunks = b""
    at = 12
    while at + 8 <= end:
        file.seek(at)
        kind, inner = struct.unpack("<4sI", file.read(8))
        if at + 8 + inner > length:
            raise Damaged("it ends inside a chunk")
        body = file.read(min(inner, LARGEST_METADATA if kind in (b"ICCP", b"EXIF", b"XMP ") else 10))
        chunks += struct.pack("<4sI", kind, len(body)) + body + bytes(len(body) & 1)
        at += 8 + inner + (inner & 1)
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WEBP" + chunks


_SKIMMED: Final[dict[str, tuple[Callable[[BinaryIO], bytes], Callable[[bytes], Header]]]] = {
    "png": (skim_png, read_png),
    "jpeg": (skim_jpeg, read_jpeg),
    "webp": (skim_webp, read_webp),
}

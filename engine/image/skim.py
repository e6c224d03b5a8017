"""Enough of a picture file to know its header, without reading its pixels: what counts when thousands are measured.

Each function gives bytes that the reader of `headers` with the same name takes for the file: everything it looks at is
there, the pixels are not. What is wrong with the file raises `Damaged` there, or is left to whoever reads it whole.
"""

from __future__ import annotations

import os
import struct
import zlib
from typing import BinaryIO, Final

from engine.image.headers import LARGEST_METADATA

_TAIL: Final = 256 << 10
"""How much of a PNG's end is looked at: several times the largest EXIF that a camera writes."""
_END: Final = struct.pack(">I", 0) + b"IEND" + struct.pack(">I", zlib.crc32(b"IEND"))
_NO_PIXELS: Final = struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))


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

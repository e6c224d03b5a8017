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

_NO_PIXELS: Final = struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))


def skim_png(file: BinaryIO) -> bytes:
    """Every chunk but the pixels, which become one empty chunk."""
    kept = [file.read(8)]
    seen_pixels = False
    while len(head := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        if kind == b"IDAT":
            if not seen_pixels:
                kept.append(_NO_PIXELS)
            seen_pixels = True
            file.seek(length + 4, os.SEEK_CUR)
        elif length > LARGEST_METADATA:
            break
        else:
            kept += [head, file.read(length + 4)]
        if kind == b"IEND":
            break
    return b"".join(kept)


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

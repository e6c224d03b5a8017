"""Which format a file is, by its first bytes and structure, never by its name."""

from __future__ import annotations

import struct

from engine.image import exif

RAW_PHOTOMETRIC = (32803, 34892)
"""Colour filter array and linear raw: what marks a camera's TIFF as raw."""
LARGEST_BRANDS = 256
"""Bytes at the beginning of a file of boxes that are looked at for its kind."""


def image_format(data: bytes) -> str:
    """Id of the format (png, jpeg, webp, gif, bmp, tiff, avif, heic, raw), or "" when it is none of them."""
    head = data[:16]
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if head.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head[:6] in (b"GIF87a", b"GIF89a"):
        return "gif"
    if head[:2] == b"BM" and len(data) >= 26:
        return "bmp"
    if head[4:8] == b"ftyp":
        return _boxed_format(data)
    if head.startswith((b"FUJIFILMCCD-RAW", b"IIU\0", b"IIRO", b"IIRS", b"MMOR", b"\0MRM")):
        return "raw"
    if head[:2] in (b"II", b"MM") and head[6:14] == b"HEAPCCDR":  # Canon's CIFF, which ends in .crw
        return "raw"
    if head[:4] in (b"II*\0", b"MM\0*"):
        return "raw" if head[8:10] == b"CR" or _holds_raw(data) else "tiff"
    if head[:4] in (b"II+\0", b"MM\0+"):
        return "tiff"
    return ""


def _boxed_format(data: bytes) -> str:
    """ISO base media files, by their major brand and, where that is generic, their compatible ones."""
    (size,) = struct.unpack_from(">I", data)
    box = data[8 : min(size, LARGEST_BRANDS)]
    brands = [box[0:4]] + [box[at : at + 4] for at in range(8, len(box) - 3, 4)]
    for brand in brands:
        if brand in (b"avif", b"avis"):
            return "avif"
        if brand in (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis"):
            return "heic"
        if brand == b"crx ":
            return "raw"
    return ""


def _holds_raw(data: bytes) -> bool:
    """Whether IFD0 or one of its sub-directories holds a sensor's samples."""
    structure = exif.parse(data)
    if structure is None:
        return False
    main = structure.tags(structure.first)
    if 0xC612 in main:  # DNGVersion
        return True
    offsets: list[int] = []
    if (tag := main.get(0x014A)) and tag.type in (exif.LONG, 13) and tag.count <= 16:
        offsets = list(struct.unpack(f"{structure.order}{tag.count}I", tag.value))
    directories = [main, *(structure.tags(offset) for offset in offsets)]
    return any(
        (tag := directory.get(0x0106)) is not None and tag.integer(structure.order) in RAW_PHOTOMETRIC
        for directory in directories
    )

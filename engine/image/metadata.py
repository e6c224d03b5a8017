"""What a result says about itself: its source's metadata, true for the new pixels."""

from __future__ import annotations

import re
from dataclasses import replace

from engine.image import exif
from engine.image.buffer import Metadata


def correct_metadata(metadata: Metadata, width: int, height: int) -> Metadata:
    """The same metadata for upright pixels of `width` x `height`: orientation 1, stated dimensions true, stale
    thumbnails gone. ICC profile and resolution are untouched; so is all the rest of EXIF and XMP."""
    return replace(
        metadata,
        exif=exif.correct(metadata.exif, width, height) if metadata.exif else None,
        xmp=correct_xmp(metadata.xmp, width, height) if metadata.xmp else None,
    )


def correct_xmp(xmp: bytes, width: int, height: int) -> bytes:
    """The packet with orientation 1, the dimensions where they are stated, and without thumbnails."""
    for name, value in (
        (rb"tiff:Orientation", b"1"),
        (rb"tiff:ImageWidth", b"%d" % width),
        (rb"tiff:ImageLength", b"%d" % height),
        (rb"exif:PixelXDimension", b"%d" % width),
        (rb"exif:PixelYDimension", b"%d" % height),
    ):
        xmp = re.sub(rb"(" + name + rb"\s*=\s*[\"'])\s*\d+", rb"\g<1>" + value, xmp)
        xmp = re.sub(rb"(<" + name + rb">)\s*\d+", rb"\g<1>" + value, xmp)
    return _without_thumbnails(xmp)


def _without_thumbnails(xmp: bytes) -> bytes:
    opening, closing = b"<xmp:Thumbnails", b"</xmp:Thumbnails>"
    kept = []
    while (start := xmp.find(opening)) >= 0:
        head = xmp.find(b">", start)
        end = head + 1 if xmp[head - 1 : head] == b"/" else xmp.find(closing, start) + len(closing)
        if head < 0 or end < head:
            break
        kept.append(xmp[:start])
        xmp = xmp[end:]
    return b"".join([*kept, xmp])

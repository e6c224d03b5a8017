"""What a result says about itself: its source's metadata, true for the new pixels."""

from __future__ import annotations

import re
from dataclasses import replace

from engine.image import exif
from engine.image.buffer import Metadata


def correct_metadata(metadata: Metadata, width: int, height: int) -> Metadata:
    """The same metadata for upright pixels of `width` x `height`: orientation 1, stated dimensions true, stale
    thumbnails gone. ICC profile and resolution are untouched; so is all the rest of EXIF and XMP. What calls itself
    EXIF but holds nothing is dropped."""
    return replace(
        metadata,
        exif=exif.correct(metadata.exif, width, height) if metadata.exif and exif.holds_tags(metadata.exif) else None,
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
        alone = head > 0 and xmp[head - 1 : head] == b"/"
        last = head + 1 - len(closing) if alone else xmp.find(closing, start)
        if head < 0 or last < 0:
            break
        end = last + len(closing)
        kept.append(xmp[:start])
        xmp = xmp[end:]
    return b"".join([*kept, xmp])

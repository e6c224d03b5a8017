"""Writing TIFF strip by strip, deflated with horizontal prediction on as many cores as are given.

A classic TIFF begins with the EXIF it carries, byte for byte: EXIF is itself a TIFF structure, so every offset in it,
those inside maker notes too, stays true. Files that could pass 4 GB are BigTIFF, with the EXIF written anew.
"""

from __future__ import annotations

import struct
import zlib
from typing import BinaryIO, Final

import numpy as np

from engine.image import exif
from engine.image.bands import BandCutter, OrderedWork, Rows
from engine.image.buffer import Metadata
from engine.image.exif import LONG, RATIONAL, SHORT, UNDEFINED, Tag

STRIP_BYTES: Final = 1 << 20
LARGEST_CLASSIC: Final = 3_900_000_000
"""Raw bytes of pixels; above it the file is BigTIFF."""

_LONG8: Final = 16


class TiffStream:
    """Feeds a file that is open for writing and can seek. Rows come from top to bottom; `finish` writes the end."""

    def __init__(
        self, file: BinaryIO, width: int, height: int, channels: int, bits: int, metadata: Metadata, threads: int
    ) -> None:
        self._file = file
        self._width, self._height, self._channels, self._bits = width, height, channels, bits
        self._metadata = metadata
        self._source = exif.parse(metadata.exif) if metadata.exif else None
        self._order = self._source.order if self._source else "<"
        self._sample = np.dtype(f"{self._order}u{bits // 8}")
        stride = width * channels * (bits // 8)
        self._big = stride * height + len(metadata.icc or b"") + len(metadata.exif or b"") > LARGEST_CLASSIC
        self._strip_rows = min(height, max(1, STRIP_BYTES // stride))
        self._offsets: list[int] = []
        self._lengths: list[int] = []
        self._cutter = BandCutter(self._strip_rows, lambda band: self._work.submit(deflate_strip, band, self._sample))
        self._work = OrderedWork(threads, self._write_strip)
        if self._source and not self._big:
            file.write(self._source.data)
        else:
            file.write(bytes(16))
        self._pad()

    def write_rows(self, rows: Rows) -> None:
        self._cutter.push(np.array(rows, order="C"))

    def finish(self) -> None:
        self._cutter.finish()
        self._work.drain()
        tags = self._own_tags()
        if self._source:
            own = {tag.number for tag in tags}
            tags += [tag for tag in exif.descriptive_tags(self._source) if tag.number not in own]
            tags += self._exif_pointers(self._source)
        directory = self._write_directory(tags)
        mark = b"II" if self._order == "<" else b"MM"
        self._file.seek(0)
        if self._big:
            self._file.write(mark + struct.pack(self._order + "HHHQ", 43, 8, 0, directory))
        else:
            self._file.write(mark + struct.pack(self._order + "HI", 42, directory))
        self._file.seek(0, 2)

    def close(self) -> None:
        self._work.close()

    def _write_strip(self, strip: bytes) -> None:
        self._offsets.append(self._file.tell())
        self._lengths.append(len(strip))
        self._file.write(strip)

    def _pad(self) -> None:
        if self._file.tell() % 2:
            self._file.write(b"\0")

    def _own_tags(self) -> list[Tag]:
        colours = 1 if self._channels <= 2 else 3
        across, down = self._metadata.dpi or (72.0, 72.0)
        tags = [
            self._numbers(256, LONG, [self._width]),
            self._numbers(257, LONG, [self._height]),
            self._numbers(258, SHORT, [self._bits] * self._channels),
            self._numbers(259, SHORT, [8]),  # deflate
            self._numbers(262, SHORT, [1 if colours == 1 else 2]),
            self._numbers(273, _LONG8 if self._big else LONG, self._offsets),
            self._numbers(274, SHORT, [1]),
            self._numbers(277, SHORT, [self._channels]),
            self._numbers(278, LONG, [self._strip_rows]),
            self._numbers(279, _LONG8 if self._big else LONG, self._lengths),
            self._rational(282, across),
            self._rational(283, down),
            self._numbers(284, SHORT, [1]),
            self._numbers(296, SHORT, [2 if self._metadata.dpi else 1]),
            self._numbers(317, SHORT, [2]),  # each sample less the one to its left
            self._numbers(339, SHORT, [1] * self._channels),
        ]
        if self._channels > colours:
            tags.append(self._numbers(338, SHORT, [2]))  # straight alpha
        if self._metadata.xmp:
            tags.append(Tag(700, 1, len(self._metadata.xmp), self._metadata.xmp))
        if self._metadata.icc:
            tags.append(Tag(34675, UNDEFINED, len(self._metadata.icc), self._metadata.icc))
        return tags

    def _exif_pointers(self, source: exif.Structure) -> list[Tag]:
        """To the directories as they lie at the start of a classic file; in a BigTIFF they are written here."""
        main = source.tags(source.first)
        pointers = []
        for number in (exif.EXIF_POINTER, exif.GPS_POINTER):
            offset = source.pointer(number, main)
            tags = source.tags(offset)
            if not tags:
                continue
            if self._big:
                kept = [tag for tag in tags.values() if tag.number != exif.INTEROP_POINTER]
                interop = source.tags(source.pointer(exif.INTEROP_POINTER, tags))
                if interop:
                    kept.append(self._numbers(exif.INTEROP_POINTER, LONG, [self._write_directory([*interop.values()])]))
                offset = self._write_directory(kept)
            pointers.append(self._numbers(number, _LONG8 if self._big else LONG, [offset]))
        return pointers

    def _numbers(self, number: int, kind: int, values: list[int]) -> Tag:
        code = {SHORT: "H", LONG: "I", _LONG8: "Q"}[kind]
        return Tag(number, kind, len(values), struct.pack(f"{self._order}{len(values)}{code}", *values))

    def _rational(self, number: int, value: float) -> Tag:
        return Tag(number, RATIONAL, 1, struct.pack(self._order + "II", max(1, round(value * 10_000)), 10_000))

    def _write_directory(self, tags: list[Tag]) -> int:
        """Values first, then the directory; returns its offset."""
        room, entry, count = (8, "HHQ", "Q") if self._big else (4, "HHI", "H")
        written = bytearray(struct.pack(self._order + count, len(tags)))
        for tag in sorted(tags, key=lambda tag: tag.number):
            written += struct.pack(self._order + entry, tag.number, tag.type, tag.count)
            if len(tag.value) <= room:
                written += tag.value.ljust(room, b"\0")
            else:
                self._pad()
                written += struct.pack(self._order + ("Q" if self._big else "I"), self._file.tell())
                self._file.write(tag.value)
        self._pad()
        offset = self._file.tell()
        self._file.write(written + bytes(room))
        return offset


def deflate_strip(rows: Rows, sample: np.dtype[np.unsignedinteger]) -> bytes:
    """(rows, width, channels) as one strip: each sample less its left neighbour, in the file's byte order, deflated."""
    differences = np.array(rows)
    differences[:, 1:] -= rows[:, :-1]
    deflater = zlib.compressobj(1, zlib.DEFLATED, 15, 9, zlib.Z_RLE)
    return deflater.compress(np.ascontiguousarray(differences, sample).data) + deflater.flush()

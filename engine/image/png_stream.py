"""Writing PNG row by row: filtered and deflated in bands, on as many cores as are given, in memory for a few bands.

Each band is deflated by itself and ends on a byte boundary, so the bands put together are one zlib stream. The deflate
strategy is run-length matching: after prediction a photograph has no long repeats worth searching, so it is both
faster than the usual levels and about as small as level 6.
"""

from __future__ import annotations

import struct
import zlib
from typing import BinaryIO, Final

import numpy as np
import numpy.typing as npt

from engine.image.bands import BandCutter, OrderedWork, Rows
from engine.image.buffer import Metadata

Bytes = npt.NDArray[np.uint8]

BAND_BYTES: Final = 1 << 20
"""Raw bytes of a band: large enough that its own code tables cost nothing, small enough to keep cores busy."""
BLOCK_BYTES: Final = 1 << 17
"""Rows are filtered in blocks that stay in a core's cache."""

_COLOUR_TYPES: Final = {1: 0, 2: 4, 3: 2, 4: 6}


class PngStream:
    """Feeds a file that is open for writing. Rows come from top to bottom; `finish` writes the end."""

    def __init__(
        self, file: BinaryIO, width: int, height: int, channels: int, bits: int, metadata: Metadata, threads: int
    ) -> None:
        self._file = file
        self._sample = np.dtype(">u2" if bits == 16 else "u1")
        self._stride = width * channels * self._sample.itemsize
        self._step = channels * self._sample.itemsize
        self._above = np.zeros(self._stride, np.uint8)
        self._checksum = 1
        self._opening = b"\x78\x01"  # of the zlib stream: goes before the first band
        self._cutter = BandCutter(max(1, BAND_BYTES // self._stride), self._submit)
        self._work = OrderedWork(threads, self._write_band)
        header = struct.pack(">IIBBBBB", width, height, bits, _COLOUR_TYPES[channels], 0, 0, 0)
        file.write(b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + b"".join(_metadata_chunks(metadata)))

    def write_rows(self, rows: Rows) -> None:
        self._cutter.push(np.array(rows, self._sample, order="C").view(np.uint8).reshape(len(rows), self._stride))

    def finish(self) -> None:
        self._cutter.finish()
        self._work.drain()
        # an empty last block, then the checksum of everything
        self._file.write(_chunk(b"IDAT", self._opening + b"\x03\x00" + struct.pack(">I", self._checksum)))
        self._file.write(_chunk(b"IEND", b""))

    def close(self) -> None:
        self._work.close()

    def _submit(self, band: Bytes) -> None:
        self._work.submit(deflate_band, band, self._above, self._step)
        self._above = band[-1].copy()

    def _write_band(self, band: tuple[bytes, int, int]) -> None:
        deflated, checksum, length = band
        self._file.write(_chunk(b"IDAT", self._opening + deflated))
        self._opening = b""
        self._checksum = combine_adler32(self._checksum, checksum, length)


def deflate_band(rows: Bytes, above: Bytes, step: int) -> tuple[bytes, int, int]:
    """Filters and deflates raw rows; `above` is the row before them, `step` the bytes of a pixel.

    Returns the deflated bytes, ending on a byte boundary, and the Adler-32 and length of what they inflate to.
    """
    deflater = zlib.compressobj(1, zlib.DEFLATED, -15, 9, zlib.Z_RLE)
    parts = []
    checksum, length = 1, 0
    block_rows = max(1, BLOCK_BYTES // rows.shape[1])
    for top in range(0, len(rows), block_rows):
        block = rows[top : top + block_rows]
        filtered = filter_rows(block, np.concatenate([above[None], block[:-1]]), step)
        checksum = zlib.adler32(filtered.data, checksum)
        length += filtered.nbytes
        parts.append(deflater.compress(filtered.data))
        above = block[-1]
    parts.append(deflater.flush(zlib.Z_FULL_FLUSH))
    return b"".join(parts), checksum, length


def filter_rows(rows: Bytes, above: Bytes, step: int) -> Bytes:
    """Each row with the PNG filter (sub, up, average or Paeth) that leaves least on a sample of it, number first.

    rows, above: (n, stride) uint8, the latter the row before each of the former. Returns (n, 1 + stride) uint8.
    """
    count, stride = rows.shape
    out = np.empty((count, stride + 1), np.uint8)
    chosen = _choose_filters(rows, above, step)
    out[:, 0] = chosen
    for number in np.unique(chosen).tolist():
        which = np.flatnonzero(chosen == number)
        if len(which) == count:
            out[:, 1:] = _apply(number, rows, above, step)
        else:
            out[which, 1:] = _apply(number, rows[which], above[which], step)
    return out


_SAMPLED_PIXELS: Final = 32
_SAMPLE_EVERY: Final = 8


def _choose_filters(rows: Bytes, above: Bytes, step: int) -> Bytes:
    """Numbers of the filters, one a row: the smallest sum of absolute residues over every eighth run of pixels."""
    run = _SAMPLED_PIXELS * step
    runs = rows.shape[1] // (run * _SAMPLE_EVERY)
    if runs >= 2:
        used = runs * run * _SAMPLE_EVERY
        shape = (len(rows) * runs, run * _SAMPLE_EVERY)
        current = np.ascontiguousarray(rows[:, :used].reshape(shape)[:, :run])
        upper = np.ascontiguousarray(above[:, :used].reshape(shape)[:, :run])
    else:
        current, upper = rows, above
    costs = []
    for number in _FILTERS:
        residue = _apply(number, current, upper, step)[:, step if runs >= 2 else 0 :]
        size = np.minimum(residue, np.negative(residue))
        costs.append(size.sum(axis=1, dtype=np.uint32).reshape(len(rows), -1).sum(axis=1))
    chosen: Bytes = np.asarray(_FILTERS, np.uint8)[np.argmin(costs, axis=0)]
    return chosen


_SUB, _UP, _AVERAGE, _PAETH = 1, 2, 3, 4
_FILTERS: Final = (_PAETH, _SUB, _UP, _AVERAGE)


def _apply(number: int, rows: Bytes, above: Bytes, step: int) -> Bytes:
    """Residues of one filter, modulo 256."""
    if number == _UP:
        return rows - above
    left = np.zeros_like(rows)
    left[:, step:] = rows[:, :-step]
    if number == _SUB:
        return rows - left
    if number == _AVERAGE:
        return rows - ((left & above) + ((left ^ above) >> 1))
    corner = np.zeros_like(rows)
    corner[:, step:] = above[:, :-step]
    # Paeth without leaving 8 bits: with p = above - corner and q = left - corner the distances of the three candidates
    # are |p|, |q| and |p + q|. Same signs: the corner is never nearest. Opposite signs: |p + q| is ||p| - |q||.
    to_left = np.maximum(above, corner) - np.minimum(above, corner)
    to_above = np.maximum(left, corner) - np.minimum(left, corner)
    to_corner = np.maximum(to_left, to_above) - np.minimum(to_left, to_above)
    same_side = (above > corner) == (left > corner)
    to_corner |= _mask(same_side)
    nearer = np.minimum(to_left, to_above)
    prediction = above ^ ((above ^ left) & _mask(to_left <= to_above))
    prediction ^= (prediction ^ corner) & _mask(to_corner < nearer)
    return rows - prediction


def _mask(condition: npt.NDArray[np.bool_]) -> Bytes:
    """0 where False, 255 where True."""
    return np.negative(condition.view(np.uint8))


def combine_adler32(first: int, second: int, second_length: int) -> int:
    """Adler-32 of two byte strings put together, from those of each."""
    base = 65521
    low = (first & 0xFFFF) + (second & 0xFFFF) - 1
    high = (first >> 16) + (second >> 16) + (second_length % base) * ((first & 0xFFFF) - 1)
    return (high % base) << 16 | low % base


def _metadata_chunks(metadata: Metadata) -> list[bytes]:
    chunks = []
    if metadata.cicp:
        chunks.append(_chunk(b"cICP", metadata.cicp))
    if metadata.icc:
        chunks.append(_chunk(b"iCCP", b"icc\0\0" + zlib.compress(metadata.icc, 9)))
    if metadata.dpi:
        across, down = (max(1, min(round(value / 0.0254), 0x7FFFFFFF)) for value in metadata.dpi)
        chunks.append(_chunk(b"pHYs", struct.pack(">IIB", across, down, 1)))
    if metadata.exif:
        chunks.append(_chunk(b"eXIf", metadata.exif))
    if metadata.xmp:
        chunks.append(_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + metadata.xmp))
    return chunks


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(body, zlib.crc32(kind)))

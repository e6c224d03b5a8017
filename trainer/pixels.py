"""Decoded pictures as 8-bit RGB, kept in one mapped file that every loader process shares.

The file has a place for each picture that fits the budget; the first process that needs a picture decodes it into its
place. Two that do so at once write the same bytes. The disk space is reserved when the file is made, so that a full
disk is noticed then and not as a crash in the middle of a write to mapped memory. The operating system may drop the
pages under pressure, so the cache never takes memory that something else needs.
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from engine.errors import Code, PellucidError
from engine.image.decode import probe_image, read_image
from engine.image.skim import measure_upright

Pixels = npt.NDArray[np.uint8]
"""(height, width, 3) uint8, RGB."""

_HEADER = np.dtype([("ready", "<u4"), ("height", "<u4"), ("width", "<u4"), ("reserved", "<u4")])


def _free_bytes(folder: Path) -> int:
    """Of the disk that a folder lies on, or will lie on."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free


def read_pixels(path: Path) -> Pixels:
    """Upright 8-bit RGB: grey becomes three equal channels, 16 bits and floats are rounded, alpha is left out."""
    colour = read_image(path).colour
    if colour.dtype == np.uint16:
        colour = ((colour.astype(np.uint32) + 128) // 257).astype(np.uint8)
    elif colour.dtype != np.uint8:
        colour = np.rint(np.clip(np.nan_to_num(colour.astype(np.float32)), 0.0, 1.0) * 255.0).astype(np.uint8)
    if colour.shape[2] == 1:
        colour = np.repeat(colour, 3, axis=2)
    return np.ascontiguousarray(colour, dtype=np.uint8)


def picture_size(path: Path) -> tuple[int, int]:
    """(height, width) of the upright picture, as `read_pixels` gives it. The pixels of PNG, JPEG, WebP, TIFF,
    AVIF and HEIC files are passed over; other files are read whole, though not decoded."""
    if (size := measure_upright(path)) is not None:
        return size
    facts = probe_image(path)
    return facts.height, facts.width


class PixelCache:
    """Pixels by the number of a picture. Without a file (budget 0, or no room) every picture is decoded each time.

    `misses_room`: whether the disk had less room than it was allowed to take and would have filled.
    """

    def __init__(
        self, paths: Sequence[Path], sizes: Sequence[tuple[int, int]], file: Path | None, misses_room: bool = False
    ) -> None:
        """`sizes`: (height, width) of each, in either order of the sides; (0, 0): not cached."""
        self._paths = list(paths)
        self._file = file
        self.misses_room = misses_room
        starts, end = [], len(paths) * _HEADER.itemsize
        for height, width in sizes:
            starts.append(end if height * width else -1)
            end += (height * width * 3 + 63) // 64 * 64
        self._starts, self._length = starts, end
        self._map: mmap.mmap | None = None
        self._headers: npt.NDArray[np.void] | None = None

    @classmethod
    def create(
        cls, paths: Sequence[Path], sizes: Sequence[tuple[int, int]], budget: int, file: Path, spare: int = 0
    ) -> PixelCache:
        """Reserve `file` for as many pictures, in their order, as fit into `budget` bytes and leave `spare` bytes of
        the disk free."""
        allowed = budget
        with contextlib.suppress(OSError):
            file.unlink(missing_ok=True)  # of a process that was killed: its place is free to take
            budget = min(budget, max(0, _free_bytes(file.parent) - spare))
        misses_room = budget < min(allowed, sum(height * width * 3 for height, width in sizes))
        kept: list[tuple[int, int]] = []
        left = budget
        for height, width in sizes:
            fits = height * width * 3 <= left
            left -= height * width * 3 if fits else 0
            kept.append((height, width) if fits else (0, 0))
        if not any(height for height, _ in kept):
            return cls(paths, kept, None, misses_room)
        cache = cls(paths, kept, file, misses_room)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("wb") as handle:
                if hasattr(os, "posix_fallocate"):
                    os.posix_fallocate(handle.fileno(), 0, cache._length)
                else:
                    handle.truncate(cache._length)
        except OSError as error:
            # No room for a cache is no reason not to train.
            file.unlink(missing_ok=True)
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            return cls(paths, [(0, 0)] * len(kept), None, misses_room or full)
        return cache

    @property
    def cached(self) -> int:
        """How many pictures have a place."""
        return sum(start >= 0 for start in self._starts) if self._file is not None else 0

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_map": None, "_headers": None}

    def pixels(self, number: int) -> Pixels:
        """A read-only view, or a fresh array."""
        if self._file is None or self._starts[number] < 0:
            return self._decode(number)
        mapped, headers = self._open()
        header = headers[number]
        if not header["ready"]:
            decoded = self._decode(number)
            place = np.frombuffer(mapped, np.uint8, decoded.size, self._starts[number])
            place[:] = decoded.reshape(-1)
            header["height"], header["width"] = decoded.shape[:2]
            header["ready"] = 1
            return decoded
        height, width = int(header["height"]), int(header["width"])
        return np.frombuffer(mapped, np.uint8, height * width * 3, self._starts[number]).reshape(height, width, 3)

    def remove(self) -> None:
        """Delete the file; processes that have it mapped keep their pages until they end."""
        self._headers = None
        self._map = None
        if self._file is not None:
            self._file.unlink(missing_ok=True)

    def _open(self) -> tuple[mmap.mmap, npt.NDArray[np.void]]:
        if self._map is None or self._headers is None:
            assert self._file is not None
            with self._file.open("r+b") as handle:
                self._map = mmap.mmap(handle.fileno(), self._length)
            self._headers = np.frombuffer(self._map, _HEADER, len(self._paths))
        return self._map, self._headers

    def _decode(self, number: int) -> Pixels:
        path = self._paths[number]
        pixels = read_pixels(path)
        start = self._starts[number]
        if start >= 0:
            following = next((s for s in self._starts[number + 1 :] if s >= 0), self._length)
            if pixels.size > following - start:
                raise PellucidError(
                    Code.FILE_UNREADABLE,
                    f"{path} has another size than when the training started.",
                    "Leave the pictures alone while a training reads them.",
                    path=str(path),
                )
        return pixels

"""Pixels on their way to a window: raw uint8 files that both processes map, so that no message ever carries them."""

from __future__ import annotations

import math
import os
import re
import shutil
import tempfile
import threading
import weakref
from collections import deque
from itertools import count
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import psutil

from engine.image.buffer import ImageBuffer, Metadata
from engine.image.colour import for_the_eye
from engine.partial import machine_tag
from engine.whole_file import take_room

Pixels8 = npt.NDArray[np.uint8]
"""(height, width, 3 or 4) uint8, straight alpha last."""

LARGEST_SHOWN = 64_000_000
"""Pixels of a growing result that are shown; a larger one is shown thinned out."""


def eight_bit(samples: npt.NDArray[Any]) -> Pixels8:
    """(height, width, 1 to 4) uint8, uint16 or float32 (0..1) to what a window draws: grey becomes three channels."""
    channels = samples.shape[2]
    if channels < 3:
        samples = np.concatenate([np.repeat(samples[:, :, :1], 3, axis=2), samples[:, :, 1:]], axis=2)
    if samples.dtype == np.uint8:
        return cast(Pixels8, samples)
    if samples.dtype == np.uint16:
        return ((samples.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)
    steps: Pixels8 = np.rint(np.clip(samples, 0, 1) * 255).astype(np.uint8)
    return steps


_FOLDER = re.compile(r"pellucid-(?P<machine>[0-9a-f]{8})-(?P<process>\d+)-.+")


def own_folder() -> tempfile.TemporaryDirectory[str]:
    """A folder for the files of this process. Those of processes that were killed are removed: they may be large."""
    for folder in Path(tempfile.gettempdir()).glob("pellucid-*-*"):
        match = _FOLDER.fullmatch(folder.name)
        if match and match["machine"] == machine_tag() and not psutil.pid_exists(int(match["process"])):
            shutil.rmtree(folder, ignore_errors=True)
    # Windows removes nothing that a window still shows: it waits for the next process.
    return tempfile.TemporaryDirectory(prefix=f"pellucid-{machine_tag()}-{os.getpid()}-", ignore_cleanup_errors=True)


class MappedFiles:
    """The files of one worker, for any of its threads. The last few stay, and those of pictures that still grow; a
    window that has mapped one keeps it however long."""

    def __init__(self, folder: Path, kept: int = 8) -> None:
        self._folder = folder
        self._kept = kept
        self._numbers = count()
        self._lock = threading.Lock()
        self._files: list[Path] = []
        """Oldest first."""
        self._growing: list[Path] = []
        self._grown: deque[Path] = deque()
        """No longer growing, not taken in yet: whoever lets go of a picture may be in the middle of anything."""

    def keep(self, pixels: Pixels8) -> Path:
        """A new file with these pixels."""
        path = self._next(grows=False)
        path.write_bytes(np.ascontiguousarray(pixels).data)
        return path

    def reserve(self, picture: GrowingPicture, size: int) -> Path:
        """A new file of `size` zero bytes, which is not deleted while `picture` is held by anybody.

        Raises OSError when the disk has no room for it: a window that maps what has no room would die of it.
        """
        path = self._next(grows=True)
        weakref.finalize(picture, self._grown.append, path)
        try:
            with path.open("wb") as file:
                take_room(file, size)
        except OSError:
            path.unlink(missing_ok=True)
            raise
        return path

    def _next(self, *, grows: bool) -> Path:
        with self._lock:
            while self._grown:
                path = self._grown.popleft()
                self._growing.remove(path)
                self._files.append(path)
            while len(self._files) >= self._kept:
                try:
                    self._files[0].unlink(missing_ok=True)
                except OSError:
                    break  # Windows keeps what is mapped: next time
                self._files.pop(0)
            path = self._folder / f"{next(self._numbers)}.raw"
            (self._growing if grows else self._files).append(path)
            return path


class GrowingPicture:
    """A result that a window watches as its rows come, in sRGB. `height` and `width` are those of the shown, thinned
    picture; `metadata` is what tells of the samples' colours.

    Making one and adding to it raise OSError when the disk is full.
    """

    def __init__(
        self, files: MappedFiles, height: int, width: int, channels: int, metadata: Metadata | None = None
    ) -> None:
        self._colours = Metadata(icc=metadata.icc, cicp=metadata.cicp) if metadata else Metadata()
        self._step = max(1, math.ceil(math.sqrt(height * width / LARGEST_SHOWN)))
        self.height, self.width = -(-height // self._step), -(-width // self._step)
        self.channels = 4 if channels in (2, 4) else 3
        self.path = files.reserve(self, self.height * self.width * self.channels)
        self._rows = 0

    def add(self, samples: npt.NDArray[Any]) -> tuple[int, int]:
        """The next rows of the result, (rows, width, 1 to 4); which rows of the shown picture are now there."""
        first = -self._rows % self._step
        top = (self._rows + first) // self._step
        shown = eight_bit(self._in_srgb(samples[first :: self._step, :: self._step]))
        self._rows += len(samples)
        # Written, not mapped: a full disk is an error here, where a mapping would end the process.
        with self.path.open("r+b") as file:
            file.seek(top * self.width * self.channels)
            file.write(np.ascontiguousarray(shown).data)
        return top, top + len(shown)

    def _in_srgb(self, samples: npt.NDArray[Any]) -> npt.NDArray[Any]:
        if self._colours.icc is None or samples.shape[2] < 3 or not samples.size:
            return samples
        colour = for_the_eye(ImageBuffer(samples[:, :, :3], metadata=self._colours)).colour
        return np.concatenate([colour, samples[:, :, 3:]], axis=2)

"""The finished transparency of a picture, kept on the disk for temporary files until its colours are finished too."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from engine.errors import Code, PellucidError
from engine.image.colour import round_samples
from engine.image.resample import Rows
from engine.whole_file import is_full

_DTYPES: Final = {8: np.uint8, 16: np.uint16, 32: np.float32}


class AlphaPlane:
    """(height, width), as deep as the result is: steps of 8 or 16 bits, or with 32 float32 in 0..1. Its file has no
    name, and is gone when this is closed or the process ends.

    Raises DISK_FULL or FILE_UNWRITABLE for the folder of temporary files.
    """

    def __init__(self, height: int, width: int, bits: int) -> None:
        self._shape, self._bits = (height, width), bits
        with _told():
            self._file = tempfile.TemporaryFile(prefix="pellucid-alpha-")  # noqa: SIM115 - closed at the exit

    def append(self, rows: Rows) -> None:
        """The next rows from the top, (rows, width, 1 or more) float32: alpha is the first channel."""
        # Written, not mapped: a full disk is an error here, where a mapping would end the process.
        with _told():
            self._file.write(round_samples(np.clip(rows[:, :, 0], 0, 1), self._bits).data)

    def finished(self) -> npt.NDArray[Any]:
        with _told():
            self._file.flush()
        return np.memmap(self._file, _DTYPES[self._bits], "r", shape=self._shape)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Closing writes what is still buffered, which fails on a full disk a second time.
        with suppress(OSError):
            self._file.close()


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        folder = tempfile.gettempdir() if tempfile.tempdir else "for temporary files"
        if is_full(error):
            raise PellucidError(
                Code.DISK_FULL,
                f"The disk is full: the transparency of the picture could not be kept in the folder {folder}.",
                "Free some space there, or name a folder with more room in the environment variable TMPDIR.",
                path=folder,
            ) from error
        raise PellucidError(
            Code.FILE_UNWRITABLE,
            f"The transparency of the picture cannot be kept in the folder {folder}: {error.strerror or error}.",
            "Name a folder that can be written to in the environment variable TMPDIR.",
            path=folder,
        ) from error

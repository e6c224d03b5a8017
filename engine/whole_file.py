"""A file that is there whole, or as it was before: written beside its place, synced and renamed."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from engine.errors import Code, PellucidError
from engine.partial import name_partial, sweep_partials


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """`write` fills a hidden file in the same folder, which then takes the place of `path`.

    After any fault, or an interrupt, nothing of it is left and the old file stays; what a killed process has left is
    removed by the next one. Raises DISK_FULL or FILE_UNWRITABLE.
    """
    sweep_partials(path.parent)
    partial = path.with_name(name_partial())
    try:
        try:
            write(partial)
            with partial.open("r+b") as file:
                os.fsync(file.fileno())
            partial.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                partial.unlink()
            raise
        sync_folder(path.parent)
    except OSError as error:
        raise unwritable(path, error) from error


def make_folder(folder: Path) -> None:
    """With all above it. Raises DISK_FULL or FILE_UNWRITABLE."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(folder, error) from error


def take_room(file: BinaryIO, size: int) -> None:
    """Make the new, empty file `size` zero bytes long, with room on the disk for all of them, where the system knows
    how to: a process that maps a file and writes where there is no room is ended by the system (SIGBUS).

    Raises OSError when the disk has not that much room.
    """
    if size and hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, size)
    else:
        file.truncate(size)


def sync_folder(folder: Path) -> None:
    """Make a rename in it survive a power cut, where the system and the disk know how to."""
    if os.name != "posix":
        return
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def is_full(error: OSError) -> bool:
    """Whether the disk has no room, or the user none on it."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def unwritable(path: Path, error: OSError) -> PellucidError:
    """The sentence for a file or folder that could not be written."""
    if is_full(error):
        return PellucidError(
            Code.DISK_FULL,
            f"The disk is full: {path} could not be written.",
            "Free some space, then try again; nothing saved earlier is lost.",
            path=str(path),
        )
    return PellucidError(
        Code.FILE_UNWRITABLE,
        f"{path} cannot be written: {error.strerror or error}.",
        "Check that its folder exists and may be written to, or choose another.",
        path=str(path),
    )

"""A disk that is quickly full."""

from __future__ import annotations

import errno
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def mounted_small_disk(place: Path) -> Iterator[Path]:
    """A disk of 8 MiB in memory at the new folder `place`."""
    place.mkdir()
    if sys.platform != "linux" or mount("-t", "tmpfs", "-o", "size=8m", "tmpfs", str(place)):
        pytest.skip("only the superuser of a Linux may mount a disk")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def mount(*words: str) -> int:
    try:
        return subprocess.run(["mount", *words], capture_output=True, check=False).returncode
    except FileNotFoundError:
        return 1


def fill(place: Path) -> Path:
    """Take every byte that is left."""
    file = place / "ballast"
    with file.open("wb", buffering=0) as handle:
        for size in (1 << 16, 1):
            try:
                while True:
                    handle.write(b"x" * size)
            except OSError as error:
                assert error.errno == errno.ENOSPC
    return file

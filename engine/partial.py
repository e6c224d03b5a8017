"""Hidden files that hold a picture until it is whole, and the removal of those that a killed process has left."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import secrets
import time
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import psutil

_NAME = re.compile(r"\.pellucid-(?P<machine>[0-9a-f]{8})-(?P<process>\d+)-[0-9a-f]{12}(\.rows)?\.part")


def name_partial() -> str:
    """A new name: it tells this machine and process, so that another one can see whether its owner still lives."""
    return f".pellucid-{machine_tag()}-{os.getpid()}-{secrets.token_hex(6)}.part"


_SWEEP_SECONDS = 60


def sweep_partials(folder: Path) -> None:
    """Removes the partial files of processes of this machine that are gone; those of others may be at work.

    Looks through the same folder once a minute at most: 3,000 results in one folder are 3,000 looks at 3,000 names,
    which a network drive takes its time for.
    """
    _sweep(str(folder.absolute()), int(time.monotonic() / _SWEEP_SECONDS))


@lru_cache(maxsize=64)
def _sweep(folder: str, _minute: int) -> None:
    with suppress(OSError):
        for entry in os.scandir(folder):
            match = _NAME.fullmatch(entry.name)
            if match and match["machine"] == machine_tag() and not psutil.pid_exists(int(match["process"])):
                with suppress(OSError):
                    Path(entry.path).unlink()


def machine_tag() -> str:
    """Eight digits that tell this machine from others that see the same folder, and one container from another."""
    return hashlib.sha256(platform.node().encode()).hexdigest()[:8]

"""How much memory this process may still take: free memory, the limits of a container, and the process's own limit.
And how to get back what a failed run held."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path
from typing import TypeVar

import psutil

_CGROUP = Path("/sys/fs/cgroup")
_Failure = TypeVar("_Failure", bound=BaseException)


def let_go(failure: _Failure) -> _Failure:
    """The failure alone: an exception holds the frames that it came through, and these hold whatever the failed run had
    allocated, so that none of it would be free for another attempt."""
    link: BaseException | None = failure
    while link is not None:
        traceback.clear_frames(link.__traceback__)
        before = link.__cause__ or link.__context__
        link.__traceback__ = link.__cause__ = link.__context__ = None
        link = before
    return failure


def available_memory() -> int:
    """Bytes."""
    free = [int(psutil.virtual_memory().available)]
    if sys.platform == "linux":
        limit, used = _number(_CGROUP / "memory.max"), _number(_CGROUP / "memory.current")
        if limit is not None and used is not None:
            free.append(limit - used + (_inactive_file_pages() or 0))
    if sys.platform != "win32":
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        if limit != resource.RLIM_INFINITY:
            free.append(limit - int(psutil.Process().memory_info().vms))
    return max(0, min(free))


def _number(path: Path) -> int | None:
    """The number a control file holds; None where there is no such file, or it says "max"."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _inactive_file_pages() -> int | None:
    """Bytes of cached files in this container, which give way to programs."""
    try:
        lines = (_CGROUP / "memory.stat").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith("inactive_file ")), None)

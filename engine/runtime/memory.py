"""How much memory this process may still take: free memory, the limits of a container, and the process's own limit."""

from __future__ import annotations

import sys
from pathlib import Path

import psutil

_CGROUP = Path("/sys/fs/cgroup")


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

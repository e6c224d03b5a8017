"""A training in the background gives way to everything that somebody waits for."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

DETACHED_NICENESS = 10
"""A process of niceness 10 gets about a tenth of the time when another one wants all of it."""

_AUTOGROUP = Path("/proc/self/autogroup")


def give_way(niceness: int) -> None:
    """Lower the priority of this process and of all that it will start: 0 changes nothing, 19 leaves only idle time.

    Linux shares the processors among sessions first, and niceness counts only within one (autogroup). A process that
    leads a session, as a detached one does, therefore makes the session nice as well.
    """
    if niceness <= 0:
        return
    import psutil

    process = psutil.Process()
    if sys.platform == "win32":
        process.nice(psutil.IDLE_PRIORITY_CLASS if niceness >= 15 else psutil.BELOW_NORMAL_PRIORITY_CLASS)
        return
    if process.nice() < niceness:
        process.nice(niceness)
    if os.getsid(0) == os.getpid():
        # Absent where the kernel has no autogroups; refused in some containers. Then niceness has to do.
        with contextlib.suppress(OSError):
            _AUTOGROUP.write_text(str(niceness))

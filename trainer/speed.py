"""What makes training on a processor fast, done before torch is imported.

Two habits of the C library and of OpenMP cost half the time otherwise: large tensors are handed back to the system and
page-faulted in again at every operation, and threads that wait spin, which starves the loader processes.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys


def cores() -> int:
    """Processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def prepare_process() -> None:
    """Call before torch is imported; settings that the user has made stay."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("GOMP_SPINCOUNT", "0")
    os.environ.setdefault("KMP_BLOCKTIME", "0")
    # A GPU's deterministic matrix products need their workspace fixed; it is read once.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    if sys.platform == "linux":
        keep_freed_memory()


def keep_freed_memory() -> None:
    """Tell glibc not to give tensors back to the system; does nothing with another C library."""
    trim_threshold, mmap_threshold = -1, -3
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(mmap_threshold, 2**30)
        libc.mallopt(trim_threshold, 2**31 - 1)

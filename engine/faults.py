"""Failures that nobody foresaw: told in a sentence, their trace kept in a file that can be sent along with a report."""

from __future__ import annotations

import traceback
from contextlib import suppress
from pathlib import Path

import platformdirs

from engine.errors import Code, PellucidError


def record_fault(fault: BaseException) -> PellucidError:
    """Write the trace down, and make an error with a sentence of it."""
    path = Path(platformdirs.user_log_dir("pellucid", appauthor=False)) / "last-fault.txt"
    trace = "".join(traceback.format_exception(fault))
    hint = trace
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(trace, encoding="utf-8")
        hint = f"Its trace is in {path}; please report it."
    return PellucidError(Code.INTERNAL, f"Pellucid has a fault: {type(fault).__name__}: {fault}.", hint)

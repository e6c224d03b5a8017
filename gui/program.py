"""How Pellucid starts itself again: as one of its own processes, or as the command line.

From source a Python interpreter runs a module. An installed Pellucid has no interpreter beside it: the program is
started again, and the front door (`gui.__main__`) finds `--process MODULE` first among its words.
"""

from __future__ import annotations

import sys
from pathlib import Path

PROCESS_OPTION = "--process"
PROCESSES = ("engine.worker", "engine.selftest", "gui.imaging.process", "gui.selftest_window")
"""What may stand behind it. The process that trains is started by the command line, `pellucid train`."""


def is_frozen() -> bool:
    """Whether this is an installed Pellucid, one program that brings everything along."""
    return bool(getattr(sys, "frozen", False))


def process_command(module: str) -> list[str]:
    """The words that start one of PROCESSES."""
    if is_frozen():
        return [_frozen_program(), PROCESS_OPTION, module]
    return [*_interpreter(), module]


def command_line() -> list[str]:
    """The words that start `pellucid`, to be followed by a command."""
    return [_frozen_program()] if is_frozen() else [*_interpreter(), "gui"]


def window_command() -> list[str]:
    """The words that open the window."""
    return [sys.executable] if is_frozen() else command_line()


def _interpreter() -> list[str]:
    """-P: a folder named `engine` where the user happens to be is not ours."""
    return [sys.executable, "-P", "-m"]


def _frozen_program() -> str:
    """On Windows the window is a program without a console; its twin beside it can be talked to."""
    program = Path(sys.executable)
    return str(program.with_name("pellucid.exe")) if sys.platform == "win32" else str(program)

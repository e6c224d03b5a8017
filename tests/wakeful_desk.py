"""A computer that can be asked to stay awake, made of scripts: it tells what holds it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from engine import awake


class Desk:
    """A folder of programs in the places of the system's, and what became of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.log = folder / "log"
        self.log.touch()
        (folder / "cat").symlink_to("/bin/cat")

    def put(self, name: str, body: str) -> None:
        """`body` finds its words in "$@"; the log is what it writes to "$LOG"."""
        file = self.folder / name
        file.write_text(f'#!/bin/sh\nLOG="{self.log}"\necho "+ {name} $$ $*" >> "$LOG"\n{body}\n')
        file.chmod(0o755)

    def put_inhibitor(self, name: str) -> None:
        """As the real ones: runs the command at the end of its words, noisily, and ends with it."""
        self.put(
            name,
            f'echo noise; echo noise >&2; while [ "$1" != cat ]; do shift; done\n"$@"; echo "- {name} $$" >> "$LOG"',
        )

    @property
    def started(self) -> list[str]:
        return [line.split()[1] for line in self._lines("+ ")]

    @property
    def processes(self) -> list[int]:
        return [int(line.split()[2]) for line in self._lines("+ ")]

    @property
    def held(self) -> bool:
        return any(psutil.pid_exists(process) for process in self.processes)

    def words(self, name: str) -> list[str]:
        return next(line.split()[3:] for line in self._lines(f"+ {name} "))

    def _lines(self, beginning: str) -> list[str]:
        return [line for line in self.log.read_text().splitlines() if line.startswith(beginning)]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    made = Desk(tmp_path / "desk")
    monkeypatch.setenv("PATH", str(made.folder))
    monkeypatch.delenv("XDG_CURRENT_DESKTOP", raising=False)
    return made


@pytest.fixture
def on_linux(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(awake, "sys", SimpleNamespace(platform="linux"))


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)

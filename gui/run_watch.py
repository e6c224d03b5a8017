"""Hears when a training ends, whatever page is shown: one question a few seconds, nothing is read while it runs."""

from __future__ import annotations

from pathlib import Path

import msgspec
from PySide6.QtCore import QObject, Qt, QTimer, Signal

from engine import wire_training as training
from gui.run_tail import is_alive, run_folders
from gui.state import run as runs

WATCH_MS = 3000
LAST_BYTES = 1 << 16
"""Of the events: in them stands how a run ended."""
BEGUN = training.Continued(time=0.0, iteration=0)
"""A run that had a process is not new, whatever can be read of it."""


class RunWatch(QObject):
    ended = Signal(str, str)
    """Folder and runs.Status of a training whose process is gone."""

    def __init__(self, root: Path, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.root = root
        self._alive: set[Path] = set()
        self._timer = QTimer(self)
        self._timer.setInterval(WATCH_MS)
        self._timer.setTimerType(Qt.TimerType.VeryCoarseTimer)
        self._timer.timeout.connect(self.look)

    def start(self) -> None:
        self.look()
        self._timer.start()

    def look(self) -> None:
        before, self._alive = self._alive, {folder for folder in run_folders(self.root) if is_alive(folder)}
        for folder in sorted(before - self._alive):
            if folder.parent == self.root and folder.is_dir():
                self.ended.emit(str(folder), last_status(folder))


def last_status(folder: Path) -> runs.Status:
    """How a run stands that no process works on any more."""
    run = runs.reduce(runs.fresh(), BEGUN)
    try:
        with (folder / training.EVENTS_FILE).open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - LAST_BYTES))
            lines = file.read().split(b"\n")
    except OSError:
        lines = []
    for line in lines:
        try:
            run = runs.reduce(run, training.decode_event(line))
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue  # The first line is torn by the cut, the last one perhaps by a crash.
    return runs.status_of(run, alive=False)

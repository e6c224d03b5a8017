"""Follows run folders: reads new events in short slices, sees whether the trainer lives, leaves commands."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections import deque
from pathlib import Path

import msgspec
from PySide6.QtCore import QObject, QTimer, Signal

from engine import wire_training as training
from gui.state import run as runs
from gui.state.run import Run

POLL_MS = 250
SLICE_SECONDS = 0.008
CHUNK = 1 << 18
SILENT_SECONDS = 45.0
"""Without a heartbeat for so long the trainer is thought dead where its lock cannot be asked."""


def run_folders(root: Path) -> list[Path]:
    """Folders below `root` that hold a run, the one begun last first: an order that does not change while they run."""
    try:
        found = [(_begun(path), path) for path in root.iterdir() if (path / training.CONFIG_FILE).is_file()]
    except OSError:
        return []
    return [path for _time, path in sorted(found, reverse=True)]


def _begun(path: Path) -> float:
    """The configuration is written once, when the run is made."""
    with contextlib.suppress(OSError):
        return (path / training.CONFIG_FILE).stat().st_mtime
    return 0.0


def is_alive(folder: Path) -> bool:
    """Whether a trainer works on it: the lock is held as long as its process lives."""
    try:
        with (folder / training.LOCK_FILE).open("rb") as file:
            text = file.read(4096)
            if sys.platform == "win32":
                return time.time() - training.decode_lock(text).heartbeat < SILENT_SECONDS
            import fcntl

            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                return True
            fcntl.flock(file, fcntl.LOCK_UN)
            return False
    except (OSError, msgspec.DecodeError):
        return False


def send_command(folder: Path, command: training.Command) -> None:
    """Leave a numbered command. Raises OSError when the folder cannot be written."""
    control = folder / training.CONTROL_FOLDER
    control.mkdir(exist_ok=True)
    part = control / f".{os.getpid()}.{time.monotonic_ns()}.part"
    part.write_bytes(training.encode_command(command))
    numbers = [int(path.stem) for path in control.glob("*.json") if path.stem.isdigit()]
    number = max(numbers, default=0)
    try:
        while True:
            number += 1
            target = control / f"{number:08}.json"
            if hasattr(os, "link"):
                with contextlib.suppress(FileExistsError):
                    os.link(part, target)
                    return
            elif not target.exists():
                part.rename(target)
                return
    finally:
        part.unlink(missing_ok=True)


class RunTail(QObject):
    """One run, read from its first event on; `changed` comes at most once a slice."""

    changed = Signal(object)
    """Run"""

    def __init__(self, folder: Path, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.folder = folder
        self.run: Run = runs.fresh()
        self.alive = False
        self._offset = 0
        self._torn = b""
        self._pending: list[bytes] = []

    @property
    def status(self) -> runs.Status:
        return runs.status_of(self.run, alive=self.alive)

    def read(self, deadline: float) -> bool:
        """Take in new events until `deadline` (time.monotonic). True: there are more."""
        before = self.run
        was_alive, self.alive = self.alive, is_alive(self.folder)
        more = True
        while more and time.monotonic() < deadline:
            if not self._pending:
                more = self._read_chunk()
            while self._pending and time.monotonic() < deadline:
                self._take(self._pending.pop())
        if self.run is not before or self.alive != was_alive:
            self.changed.emit(self.run)
        return more or bool(self._pending)

    def _read_chunk(self) -> bool:
        """False: there is no more for now. A torn last line waits until it is whole."""
        try:
            with (self.folder / training.EVENTS_FILE).open("rb") as file:
                if file.seek(0, os.SEEK_END) < self._offset:
                    self.run, self._offset, self._torn = runs.fresh(), 0, b""
                file.seek(self._offset)
                data = file.read(CHUNK)
        except OSError:
            return False
        self._offset += len(data)
        *lines, self._torn = (self._torn + data).split(b"\n")
        self._pending = [line for line in reversed(lines) if line]
        return bool(self._pending)

    def _take(self, line: bytes) -> None:
        try:
            event = training.decode_event(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return
        self.run = runs.reduce(self.run, event)


class TailReader(QObject):
    """Reads any number of runs in turn: a few milliseconds a turn of the event loop for all of them together."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._tails: list[RunTail] = []
        self._due: deque[RunTail] = deque()
        self._awake = False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._turn)

    def add(self, tail: RunTail) -> None:
        """Its first slice is read at once, so that a short run is there when it is first shown."""
        self._tails.append(tail)
        if tail.read(time.monotonic() + SLICE_SECONDS):
            self._due.append(tail)
        if self._awake:
            self._timer.start(0 if self._due else POLL_MS)

    def remove(self, tail: RunTail) -> None:
        self._tails.remove(tail)
        if tail in self._due:
            self._due.remove(tail)

    def follow(self) -> None:
        self._awake = True
        self._timer.start(0)

    def rest(self) -> None:
        self._awake = False
        self._timer.stop()

    def _turn(self) -> None:
        """Whatever has more to tell comes again after the others; when all is told, all are asked a little later."""
        deadline = time.monotonic() + SLICE_SECONDS
        if not self._due:
            self._due.extend(self._tails)
        while self._due and time.monotonic() < deadline:
            tail = self._due.popleft()
            if tail.read(deadline):
                self._due.append(tail)
        if self._awake:
            self._timer.start(0 if self._due else POLL_MS)

"""A child process that speaks JSON lines, watched without blocking the window, and how it ended as a value."""

from __future__ import annotations

import contextlib
import os
import signal as signals
import sys
from collections import deque
from dataclasses import dataclass
from typing import Literal

from PySide6.QtCore import QCoreApplication, QElapsedTimer, QObject, QProcess, QProcessEnvironment, QTimer, Signal

SLICE_MS = 8
"""Longest stretch of reading before the window gets its turn."""
LONGEST_LINE = 8 << 20
LARGEST_BACKLOG = 64 << 20
FLOOD_LINES = 2000
"""A second, kept up for FLOOD_SECONDS: a child with a hundred times as much to say as any job is out of its mind."""
FLOOD_SECONDS = 3
KEPT_LINES = 20
GONE_MS = 30_000
"""A killed process is gone in a moment, but later on a computer that has no time for it. Whoever does not wait for that
leaves it to the destructor of Qt, which waits as long, and complains."""

Ending = Literal[
    "ended", "crashed", "not-started", "never-ready", "wrong-version", "garbage", "flood", "stopped", "deaf"
]


@dataclass(frozen=True)
class Outcome:
    """How a child process ended."""

    ending: Ending
    exit_code: int | None = None
    signal: str = ""
    detail: str = ""
    last_lines: tuple[str, ...] = ()
    """Of its standard error: what it had to say for itself."""

    def sentence(self) -> str:
        """For people: what happened and, where it is known, why."""
        match self.ending:
            case "not-started":
                return _tr("The restoring process could not be started: {detail}.").format(detail=self.detail)
            case "never-ready":
                return _tr("The restoring process did not get ready in {detail} seconds, so it was ended.").format(
                    detail=self.detail
                )
            case "wrong-version":
                return _tr(
                    "The restoring process speaks another version ({detail}) than this window: reinstall Pellucid."
                ).format(detail=self.detail)
            case "garbage":
                return _tr("The restoring process wrote what is no message ({detail}), so it was ended.").format(
                    detail=self.detail
                )
            case "flood":
                return _tr("The restoring process wrote without end, so it was ended.")
            case "deaf":
                return _tr(
                    "The restoring process did not answer to Cancel for {detail} seconds, so it was ended."
                ).format(detail=self.detail)
            case "stopped":
                return _tr("The restoring process was stopped.")
            case "crashed" if self.signal in ("SIGKILL", "SIGTERM"):
                return _tr(
                    "The restoring process was ended from outside ({signal}), most often because memory ran out."
                ).format(signal=self.signal)
            case "crashed":
                return _tr("The restoring process crashed ({signal}).").format(signal=self.signal or self.exit_code)
            case "ended":
                return _tr("The restoring process ended by itself with code {code}.").format(code=self.exit_code)


def _tr(text: str) -> str:
    return QCoreApplication.translate("Outcome", text)


class LineProcess(QObject):
    """Starts a program, hands on its standard output line by line in short slices, and says once how it ended."""

    line = Signal(bytes)
    ended = Signal(object)
    """Outcome, after the last line was handed on."""

    def __init__(self, program: list[str], parent: QObject | None = None, nice: int = 0) -> None:
        """`nice`: how much it gives way to the window and to other programs, 0 to 19, where the system knows that."""
        super().__init__(parent)
        self._nice = nice
        self._process = QProcess(self)
        self._process.setProgram(program[0])
        self._process.setArguments(program[1:])
        environment = QProcessEnvironment.systemEnvironment()
        environment.insert("PYTHONUNBUFFERED", "1")
        environment.insert("PYTHONIOENCODING", "utf-8")
        self._process.setProcessEnvironment(environment)
        self._process.readyReadStandardOutput.connect(self._read)
        self._process.readyReadStandardError.connect(self._read_errors)
        self._process.started.connect(self._give_way)
        self._process.finished.connect(self._finished)
        self._process.errorOccurred.connect(self._error)
        self._backlog = bytearray()
        self._errors: deque[str] = deque(maxlen=KEPT_LINES)
        self._torn_error = b""
        self._outcome: Outcome | None = None
        self._verdict: Outcome | None = None
        self._said = False
        self._lines = 0
        self._flood_seconds = 0
        self._second = QElapsedTimer()
        self._second.start()
        self._turn = QTimer(self)
        self._turn.setSingleShot(True)
        self._turn.setInterval(0)
        self._turn.timeout.connect(self._deliver)

    @property
    def pid(self) -> int:
        return int(self._process.processId())

    def start(self) -> None:
        self._process.start()

    def write(self, data: bytes) -> None:
        self._process.write(data)

    def close_input(self) -> None:
        self._process.closeWriteChannel()

    def end(self, verdict: Outcome) -> None:
        """Kill it, for the reason given in `verdict`."""
        if self._verdict is None:
            self._verdict = verdict
        self._backlog.clear()
        if self._process.state() == QProcess.ProcessState.NotRunning:
            self._finish(verdict)
        else:
            self._process.kill()

    def wait(self, milliseconds: int) -> bool:
        """For the end of the application only: it blocks."""
        return self._process.waitForFinished(milliseconds)

    def end_for_good(self) -> None:
        """For the end of the application only: kill it, and wait until it is gone."""
        self.end(Outcome("stopped"))
        self.wait(GONE_MS)

    def rest(self) -> list[bytes]:
        """Whole lines that were not handed on yet: for the end of the application only, after `wait`."""
        self._turn.stop()
        *lines, _torn = bytes(self._backlog + self._process.readAllStandardOutput().data()).split(b"\n")
        self._backlog.clear()
        return lines

    def last_lines(self) -> tuple[str, ...]:
        return tuple(self._errors)

    def _give_way(self) -> None:
        """At its start it has one thread, from which the others inherit."""
        if self._nice and hasattr(os, "setpriority"):
            with contextlib.suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, self.pid, min(19, os.getpriority(os.PRIO_PROCESS, 0) + self._nice))

    def _read(self) -> None:
        data = self._process.readAllStandardOutput().data()
        if self._verdict is not None:
            return
        self._backlog += data
        if len(self._backlog) > LARGEST_BACKLOG:
            self.end(Outcome("flood", last_lines=self.last_lines()))
        elif not self._turn.isActive():
            self._turn.start()

    def _read_errors(self) -> None:
        data = self._torn_error + self._process.readAllStandardError().data()
        *lines, self._torn_error = data.split(b"\n")
        self._torn_error = self._torn_error[-4096:]
        self._errors.extend(line.decode("utf-8", "replace").rstrip()[-500:] for line in lines if line.strip())

    def _deliver(self) -> None:
        clock = QElapsedTimer()
        clock.start()
        start = 0
        while self._verdict is None and clock.elapsed() < SLICE_MS:
            end = self._backlog.find(b"\n", start)
            if end < 0:
                break
            self._lines += 1
            self.line.emit(bytes(self._backlog[start:end]))
            start = end + 1
        self._watch_rate()
        if self._verdict is None:
            del self._backlog[:start]
            if b"\n" in self._backlog:
                self._turn.start()
                return
            if len(self._backlog) > LONGEST_LINE:
                self.end(Outcome("garbage", detail=_tr("a line without end"), last_lines=self.last_lines()))
        if self._outcome is not None:
            self._finish(self._outcome)

    def _watch_rate(self) -> None:
        if self._second.elapsed() < 1000:
            return
        seconds = self._second.restart() / 1000
        self._flood_seconds = self._flood_seconds + 1 if self._lines / seconds > FLOOD_LINES else 0
        self._lines = 0
        if self._flood_seconds >= FLOOD_SECONDS:
            self.end(Outcome("flood", last_lines=self.last_lines()))

    def _finished(self, code: int, status: QProcess.ExitStatus) -> None:
        self._read()
        self._read_errors()
        if self._torn_error.strip():
            self._errors.append(self._torn_error.decode("utf-8", "replace").rstrip()[-500:])
        crashed = status == QProcess.ExitStatus.CrashExit
        self._outcome = Outcome(
            "crashed" if crashed else "ended",
            None if crashed else code,
            _signal_name(code) if crashed else "",
            last_lines=self.last_lines(),
        )
        if self._verdict is not None or not self._turn.isActive():
            self._deliver()

    def _error(self, error: QProcess.ProcessError) -> None:
        if error == QProcess.ProcessError.FailedToStart:
            self._finish(Outcome("not-started", detail=self._process.errorString()))

    def _finish(self, outcome: Outcome) -> None:
        if not self._said:
            self._said = True
            self.ended.emit(self._verdict or outcome)


def _signal_name(number: int) -> str:
    if sys.platform == "win32":
        return f"0x{number & 0xFFFFFFFF:08X}"
    try:
        return signals.Signals(number).name
    except ValueError:
        return str(number)

"""Short commands of Pellucid's own command line, run beside the window: `models list --json`, `doctor --json`, ..."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import shiboken6
from PySide6.QtCore import QCoreApplication, QObject, QProcess, QTimer

from gui.process import KEPT_LINES
from gui.program import command_line

SECONDS = 120
START_SECONDS = 600
"""Until a training has begun: importing torch on a busy machine with a cold disk takes minutes."""
Finished = Callable[[int, bytes, str], None]
"""Gets the exit code (-1: it did not start, crashed or took too long), its output, and its last words of complaint."""


def command_program() -> list[str]:
    return command_line()


def run_command(
    words: list[str],
    finished: Finished,
    parent: QObject,
    program: list[str] | None = None,
    seconds: float = SECONDS,
) -> QProcess:
    """Start it; `finished` is called once, later, at the latest after `seconds`. It ends with `parent`."""
    process = QProcess(parent)
    command = program or command_program()
    process.setProgram(command[0])
    process.setArguments([*command[1:], *words])
    limit = QTimer(process)
    limit.setSingleShot(True)
    limit.timeout.connect(process.kill)
    limit.start(int(seconds * 1000))

    def ended(code: int, status: QProcess.ExitStatus) -> None:
        if not shiboken6.isValid(process):
            return  # The page went away with the command still running: nobody waits for its answer.
        limit.stop()
        out = process.readAllStandardOutput().data()
        complaint = bytes(process.readAllStandardError().data()).decode("utf-8", "replace").strip().splitlines()
        process.deleteLater()
        good = status == QProcess.ExitStatus.NormalExit
        if not good and not complaint:
            complaint = [QCoreApplication.translate("Commands", "It took too long, or was ended from outside.")]
        finished(code if good else -1, bytes(out), "\n".join(complaint[-KEPT_LINES:]))

    def failed(error: QProcess.ProcessError) -> None:
        if error == QProcess.ProcessError.FailedToStart:
            limit.stop()
            text = process.errorString()
            process.deleteLater()
            finished(-1, b"", text)

    process.finished.connect(ended)
    process.errorOccurred.connect(failed)
    process.start()
    return process


def failure_sentence(output: bytes) -> str:
    """The message of a command that failed under --json; "" when there is none."""
    try:
        last = msgspec.json.decode(output.strip().splitlines()[-1]) if output.strip() else {}
    except msgspec.DecodeError:
        return ""
    if not isinstance(last, dict):
        return ""
    return f"{last.get('message', '')} {last.get('hint', '')}".strip()

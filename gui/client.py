"""The window's side of the worker: sends requests, hands on events, and turns every bad end into a value."""

from __future__ import annotations

import contextlib
from typing import Literal

import msgspec
from PySide6.QtCore import QObject, QTimer, Signal

from engine import wire
from gui.process import LineProcess, Outcome
from gui.program import process_command

State = Literal["off", "starting", "ready", "broken", "stopped"]
"""broken: it starts no more until the user wants another try; stopped: never again."""
READY_SECONDS = 60.0
"""Importing on a slow disk with a cold cache takes long; a minute is never."""
CANCEL_SECONDS = 15.0
"""The worker looks at Cancel between tiles; the largest tile of the slowest net takes less."""
TOLERATED_GARBAGE = 5
"""Lines: a library that prints to standard output is a nuisance, no reason to lose a job."""
PROGRESS_MS = 100
FAILED_STARTS = 3
GIVE_WAY = 5
"""Niceness: the worker keeps every core busy, and the window must get its turn at once."""


def worker_program() -> list[str]:
    return process_command("engine.worker")


class WorkerClient(QObject):
    """One worker process: started by the first request, restarted after a crash, given up after three bad starts."""

    happened = Signal(object)
    """wire.Event; Crashed is made here."""
    returned = Signal(str)
    """A job that the dead worker had not in hand: it can be sent again."""
    suspected = Signal(object)
    """Crashed, of a job that the dead worker had in hand beside others: any of them may have been its end."""
    state_changed = Signal(str)
    ended = Signal(object)
    """Outcome of a worker that ended though nobody asked it to."""

    def __init__(
        self,
        program: list[str] | None = None,
        *,
        ready_seconds: float = READY_SECONDS,
        cancel_seconds: float = CANCEL_SECONDS,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._program = program or worker_program()
        self._ready_seconds = ready_seconds
        self._cancel_seconds = cancel_seconds
        self._process: LineProcess | None = None
        self._state: State = "off"
        self._unsent: list[wire.Request] = []
        self._open: dict[str, bool] = {}
        """Restore jobs without a terminal message, in sending order; True: the worker has it in hand."""
        self._looked_at: set[str] = set()
        """Previews and sources that the worker has in hand."""
        self._cancelling: dict[str, QTimer] = {}
        self._progress: dict[str, wire.Progress] = {}
        self._garbage = 0
        self._bad_starts = 0
        self.ready: wire.Ready | None = None
        self.last_outcome: Outcome | None = None
        self._ready_timer = QTimer(self)
        self._ready_timer.setSingleShot(True)
        self._ready_timer.timeout.connect(self._never_ready)
        self._progress_timer = QTimer(self)
        self._progress_timer.setSingleShot(True)
        self._progress_timer.setInterval(PROGRESS_MS)
        self._progress_timer.timeout.connect(self._hand_on_progress)

    @property
    def state(self) -> State:
        return self._state

    @property
    def pid(self) -> int:
        return self._process.pid if self._process else 0

    def start(self) -> None:
        """Start the worker ahead of the first request; nothing happens when it runs."""
        if self._process is not None or self._state in ("broken", "stopped"):
            return
        process = LineProcess(self._program, self, GIVE_WAY)
        process.line.connect(self._line)
        process.ended.connect(self._ended)
        self._process = process
        self._garbage = 0
        self._set_state("starting")
        self._ready_timer.start(int(self._ready_seconds * 1000))
        process.start()

    def try_again(self) -> None:
        """After `broken`: the user wants another attempt."""
        self._bad_starts = 0
        if self._state == "broken":
            self._set_state("off")
        self.start()

    def send(self, request: wire.Request) -> None:
        if isinstance(request, wire.RestoreRequest):
            self._open[request.job] = False
        if isinstance(request, wire.Cancel) and self._withdraw(request.job):
            return
        if self._state == "ready" and self._process is not None:
            self._process.write(wire.encode(request))
            self._watch_cancel(request)
            return
        if isinstance(request, wire.PreviewRequest):
            self._unsent = [
                old for old in self._unsent if not (isinstance(old, wire.PreviewRequest) and old.view == request.view)
            ]
        self._unsent.append(request)
        self.start()

    def stop(self, milliseconds: int = 2000) -> list[wire.Restored]:
        """At the end of the application: ask, wait a little, kill. Blocks. What was put in its place meanwhile."""
        process, self._process = self._process, None
        self._ready_timer.stop()
        self._set_state("stopped")
        if process is None:
            return []
        lines: list[bytes] = []
        process.ended.disconnect(self._ended)
        process.line.disconnect(self._line)
        process.line.connect(lines.append)
        process.write(wire.encode(wire.Shutdown()))
        process.close_input()
        finished = process.wait(milliseconds)
        lines += process.rest()
        if not finished:
            process.end_for_good()
        events = []
        for line in lines:
            with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError):
                events.append(wire.decode_event(line))
        return [event for event in events if isinstance(event, wire.Restored)]

    def _withdraw(self, job: str) -> bool:
        """Cancel what has not left this process."""
        kept = [old for old in self._unsent if getattr(old, "job", None) != job]
        if len(kept) == len(self._unsent):
            return False
        self._unsent = kept
        if self._open.pop(job, None) is not None:
            self.happened.emit(wire.Cancelled(job=job))
        return True

    def _watch_cancel(self, request: wire.Request) -> None:
        if not isinstance(request, wire.Cancel) or request.job not in self._open or request.job in self._cancelling:
            return
        timer = QTimer(self)
        timer.setSingleShot(True)
        timer.timeout.connect(self._deaf)
        timer.start(int(self._cancel_seconds * 1000))
        self._cancelling[request.job] = timer

    def _deaf(self) -> None:
        if self._process is not None:
            self._process.end(
                Outcome("deaf", detail=f"{self._cancel_seconds:g}", last_lines=self._process.last_lines())
            )

    def _never_ready(self) -> None:
        if self._process is not None:
            self._process.end(
                Outcome("never-ready", detail=f"{self._ready_seconds:g}", last_lines=self._process.last_lines())
            )

    def _line(self, line: bytes) -> None:
        try:
            event = wire.decode_event(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            self._garbage += 1
            if self._garbage > TOLERATED_GARBAGE and self._process is not None:
                text = line[:60].decode("utf-8", "replace")
                self._process.end(Outcome("garbage", detail=text, last_lines=self._process.last_lines()))
            return
        if isinstance(event, wire.Ready):
            self._begin(event)
        elif isinstance(event, wire.InHand):
            self._note_hand(event)
        elif isinstance(event, wire.Progress):
            self._progress[event.job] = event
            if not self._progress_timer.isActive():
                self._progress_timer.start()
        else:
            self._hand_on(event)

    def _begin(self, ready: wire.Ready) -> None:
        self._ready_timer.stop()
        if ready.protocol != wire.PROTOCOL:
            if self._process is not None:
                self._process.end(Outcome("wrong-version", detail=f"{ready.protocol}"))
            return
        self.ready = ready
        self._set_state("ready")
        self.happened.emit(ready)
        unsent, self._unsent = self._unsent, []
        for request in unsent:
            self.send(request)

    def _hand_on_progress(self) -> None:
        progress, self._progress = self._progress, {}
        for event in progress.values():
            self.happened.emit(event)

    def _note_hand(self, event: wire.InHand) -> None:
        if event.job in self._open:
            self._open[event.job] = event.held
        elif event.held:
            self._looked_at.add(event.job)

    def _hand_on(self, event: wire.Event) -> None:
        if isinstance(event, wire.Accepted) and event.job in self._open:
            self._open[event.job] = True
        if isinstance(event, wire.Terminal | wire.PreviewReady | wire.SourceReady):
            self._looked_at.discard(event.job)
        if isinstance(event, wire.Terminal):
            self._progress.pop(event.job, None)
            if self._open.pop(event.job, None) is not None:
                self._bad_starts = 0
            timer = self._cancelling.pop(event.job, None)
            if timer is not None:
                timer.stop()
                timer.deleteLater()
        self.happened.emit(event)

    def _ended(self, outcome: Outcome) -> None:
        self._hand_on_progress()
        self._ready_timer.stop()
        was_ready = self._state == "ready"
        process, self._process = self._process, None
        if process is not None:
            process.deleteLater()
        self.last_outcome = outcome
        cancelled = set(self._cancelling)
        for timer in self._cancelling.values():
            timer.stop()
            timer.deleteLater()
        self._cancelling.clear()
        self._bad_starts += 1
        hopeless = outcome.ending in ("wrong-version", "not-started") or self._bad_starts >= FAILED_STARTS
        jobs, self._open = self._open, {}
        waiting = {request.job for request in self._unsent if isinstance(request, wire.RestoreRequest)}
        self._unsent = []
        looked_at, self._looked_at = self._looked_at, set()
        suspects = _suspects(jobs, waiting, was_ready and not looked_at)
        if outcome.ending == "deaf":
            # We have ended it: because of those, whatever else it had in hand.
            suspects &= cancelled
        alone = len(suspects) + len(looked_at) == 1
        self._set_state("broken" if hopeless else "off")
        self.ended.emit(outcome)
        for job in jobs:
            if job in cancelled:
                self.happened.emit(wire.Cancelled(job=job))
            elif job in suspects:
                crashed = wire.Crashed(
                    job=job, exit_code=outcome.exit_code, signal=outcome.signal, last_lines=list(outcome.last_lines)
                )
                (self.happened if alone else self.suspected).emit(crashed)
            else:
                self.returned.emit(job)

    def _set_state(self, state: State) -> None:
        if state != self._state:
            self._state = state
            self.state_changed.emit(state)


def _suspects(jobs: dict[str, bool], waiting: set[str], was_given_them: bool) -> set[str]:
    """The jobs a dead worker may have died of: those it had in hand, else the first it was given."""
    in_hand = {job for job, held in jobs.items() if held}
    if in_hand or not was_given_them:
        return in_hand
    given = [job for job in jobs if job not in waiting]
    return set(given[:1])

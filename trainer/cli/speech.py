"""What a training says, as people read it."""

from __future__ import annotations

import errno
import math
import time

import msgspec

from engine.cli.output import Output
from engine.wire_training import (
    Event,
    Finished,
    ModelSaved,
    Paused,
    Predicted,
    Progress,
    RolledBack,
    RunCrashed,
    RunFailed,
    RunStarted,
    StageStarted,
    Stopped,
    Validated,
    Warned,
)

SPOKEN_SECONDS = 10.0
"""People get a line of progress this often; programs get every event."""


class Speaker:
    """Turns events into lines for people, or passes them to programs as they are."""

    def __init__(self, out: Output) -> None:
        self._out = out
        self._next = 0.0
        self.state = "running"
        self.iteration = 0
        self.scores: dict[str, float] = {}
        self._total = 0
        self.is_read = True

    def hear(self, event: Event) -> None:
        """A reader who goes away, as `head` does, costs the words and not the training."""
        self._note(event)
        if self.is_read:
            try:
                self._tell(event)
            except OSError as error:
                # Windows has another word for it than a broken pipe.
                if error.errno not in (errno.EPIPE, errno.EINVAL):
                    raise
                self.is_read = False

    def _note(self, event: Event) -> None:
        match event:
            case RunStarted():
                self._total = event.iterations
            case Progress():
                self.iteration = event.iteration
            case Validated():
                self.scores = event.metrics
            case Finished():
                self.state, self.iteration = "finished", event.iteration
            case Stopped():
                self.state, self.iteration = "stopped", event.iteration
            case RunFailed() | RunCrashed():
                self.state = "failed"
            case _:
                pass

    def _tell(self, event: Event) -> None:
        self._out.line({str(name): value for name, value in msgspec.to_builtins(event).items()})
        match event:
            case RunStarted():
                self._out.say(
                    f"{'Going on at' if event.resumed else 'Starting at'} iteration {event.iteration} of "
                    f"{event.iterations}: {event.parameters:,} parameters, {counted(event.pictures)}, {event.device}, "
                    f"{event.precision}, {event.threads} threads, {event.workers} loader processes"
                )
            case StageStarted():
                self._out.say(f"Stage {event.name}: {event.iterations} iterations")
            case Progress():
                if time.monotonic() >= self._next:
                    self._next = time.monotonic() + SPOKEN_SECONDS
                    self._out.say(progress_line(event, self._total))
            case Validated():
                self._out.say(validation_line(event))
            case ModelSaved() if event.kind == "stage":
                self._out.say(f"Model: {event.path}")
            case Predicted():
                self._out.say(f"It will take about {spoken_time(event.seconds_left)}.")
            case Warned():
                self._out.say(event.text)
            case RolledBack():
                self._out.say(
                    f"{event.reason} Rolled back from iteration {event.abandoned} to {event.iteration}; "
                    f"the learning rate is now {event.learning_rate_factor:g} of the planned one."
                )
            case Paused():
                self._out.say(f"Paused at iteration {event.iteration}.")
            case Finished():
                self._out.say(f"Finished after {event.iteration} iterations.")
            case Stopped():
                self._out.say(f"{event.reason} Saved at iteration {event.iteration}.")
            case _:
                pass


def progress_line(event: Progress, total: int) -> str:
    losses = "  ".join(f"{name} {value:.4g}" for name, value in event.losses.items())
    return (
        f"{event.iteration:>8}/{total}  {losses}  rate {event.learning_rate:.2e}  "
        f"{event.iterations_per_second:.2f} it/s  waiting {event.loader_wait:.0%}  "
        f"left {spoken_time(event.seconds_left)}"
    )


def validation_line(event: Validated) -> str:
    scores = "  ".join(
        f"{name} {value:.4f} ({value - event.baseline.get(name, math.nan):+.4f} to bicubic)"
        for name, value in event.metrics.items()
    )
    return f"{event.iteration:>8}  validation ({event.protocol}): {scores}{'  best so far' if event.best else ''}"


def counted(pictures: int) -> str:
    return "1 picture" if pictures == 1 else f"{pictures} pictures"


def spoken_time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 172800 else f"{seconds / 86400:.1f} days"

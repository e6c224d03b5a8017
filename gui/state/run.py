"""One training as its events tell it, from the first to the last, after any crash, roll-back and resumption."""

from __future__ import annotations

from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec.structs import replace

from engine import wire_training as training

Numbers = npt.NDArray[np.float64]
Status = Literal["new", "running", "paused", "finished", "stopped", "failed", "crashed"]
Tone = Literal["muted", "good", "bad", "warning"]
KEPT_SENTENCES = 500
METRICS_OF = ("psnr", "ssim", "st-lpips")


class Series:
    """A curve that grows at its end and may be cut back: x rises. Appending costs the same at any length."""

    def __init__(self) -> None:
        self._points: Numbers = np.empty((2, 256))
        self._length = 0

    def __len__(self) -> int:
        return self._length

    @property
    def x(self) -> Numbers:
        return self._points[0, : self._length]

    @property
    def y(self) -> Numbers:
        return self._points[1, : self._length]

    def append(self, x: float, y: float) -> None:
        if self._length == self._points.shape[1]:
            self._points = np.concatenate([self._points, np.empty_like(self._points)], axis=1)
        self._points[:, self._length] = (x, y)
        self._length += 1

    def cut_after(self, x: float) -> None:
        """Forget what lies beyond `x`: the run went back to it."""
        self._length = int(np.searchsorted(self.x, x, side="right"))


class Preview(msgspec.Struct, frozen=True):
    iteration: int
    path: str
    """Relative to the run folder."""
    panels: tuple[str, ...]


class Saved(msgspec.Struct, frozen=True):
    """A model file of the run, relative to its folder."""

    path: str
    kind: Literal["best", "last", "stage"]
    stage: int


class Sentence(msgspec.Struct, frozen=True):
    """Something that happened; `kind` and `facts` make the words, in the language of the window."""

    time: float
    kind: str
    facts: tuple[str, ...] = ()
    tone: Tone = "muted"


class Run(msgspec.Struct, frozen=True, kw_only=True):
    status: Status = "new"
    iteration: int = 0
    iterations: int = 0
    images: int = 0
    stage: str = ""
    device: str = ""
    precision: str = ""
    parameters: int = 0
    pictures: int = 0
    speed: float = 0.0
    """Iterations a second."""
    memory_mb: float = 0.0
    learning_rate: float = 0.0
    seconds_left: float | None = None
    curves: dict[str, Series] = {}
    """Name -> values over the iteration. They grow in place: an older Run sees them grow as well."""
    metrics: dict[str, float] = {}
    baseline: dict[str, float] = {}
    best_iteration: int = 0
    previews: dict[str, tuple[Preview, ...]] = {}
    """Picture -> its previews, oldest first."""
    sentences: tuple[Sentence, ...] = ()
    models: tuple[str, ...] = ()
    """Paths relative to the run folder, newest last."""
    saved: tuple[Saved, ...] = ()
    """The same with what they are."""


def reduce(run: Run, event: training.Event) -> Run:
    match event:
        case training.RunStarted():
            _cut(run, event.iteration)
            started = replace(
                run,
                status="running",
                iteration=event.iteration,
                iterations=event.iterations,
                images=event.images,
                device=event.device,
                precision=event.precision,
                parameters=event.parameters,
                pictures=event.pictures,
            )
            return _say(started, event, "resumed" if event.resumed else "started", f"{event.iteration}", event.device)
        case training.StageStarted():
            return _say(replace(run, stage=event.name or event.kind), event, "stage", event.name or event.kind)
        case training.Predicted():
            return replace(run, seconds_left=event.seconds_left, memory_mb=event.memory_mb)
        case training.Progress():
            for name, value in event.losses.items():
                _curve(run, name).append(event.iteration, value)
            _curve(run, "learning rate").append(event.iteration, event.learning_rate)
            _curve(run, "iterations per second").append(event.iteration, event.iterations_per_second)
            _curve(run, "memory MB").append(event.iteration, event.memory_mb)
            return replace(
                run,
                status="running",
                iteration=event.iteration,
                images=event.images,
                speed=event.iterations_per_second,
                memory_mb=event.memory_mb,
                learning_rate=event.learning_rate,
                seconds_left=event.seconds_left,
            )
        case training.Validated():
            for name, value in event.metrics.items():
                _curve(run, name).append(event.iteration, value)
            best = event.iteration if event.best else run.best_iteration
            return replace(run, metrics=event.metrics, baseline=event.baseline, best_iteration=best)
        case training.PreviewWritten():
            old = tuple(p for p in run.previews.get(event.picture, ()) if p.iteration < event.iteration)
            fresh = Preview(event.iteration, event.path, tuple(event.panels))
            return replace(run, previews={**run.previews, event.picture: (*old, fresh)})
        case training.ModelSaved():
            models = (*(path for path in run.models if path != event.path), event.path)
            saved = (*(s for s in run.saved if s.path != event.path), Saved(event.path, event.kind, event.stage))
            return replace(run, models=models, saved=saved)
        case training.NonFinite():
            return _say(run, event, "nonfinite", f"{event.iteration}", f"{event.in_a_row}", tone="warning")
        case training.RolledBack():
            _cut(run, event.iteration)
            back = replace(run, iteration=event.iteration)
            return _say(back, event, "rolled-back", f"{event.iteration}", event.reason, tone="warning")
        case training.Warned():
            return _say(run, event, "warned", event.text, tone="warning")
        case training.Paused():
            paused = replace(run, status="paused", iteration=event.iteration)
            return _say(paused, event, "paused", f"{event.iteration}")
        case training.Continued():
            continued = replace(run, status="running", iteration=event.iteration)
            return _say(continued, event, "continued", f"{event.iteration}")
        case training.Finished():
            done = replace(run, status="finished", iteration=event.iteration, seconds_left=None)
            return _say(done, event, "finished", f"{event.iteration}", tone="good")
        case training.Stopped():
            stopped = replace(run, status="stopped", iteration=event.iteration, seconds_left=None)
            return _say(stopped, event, "stopped", f"{event.iteration}", event.reason)
        case training.RunFailed():
            failed = replace(run, status="failed", seconds_left=None)
            return _say(failed, event, "failed", f"{event.message} {event.hint}".strip(), tone="bad")
        case training.RunCrashed():
            crashed = replace(run, status="crashed", seconds_left=None)
            return _say(crashed, event, "crashed", event.message, tone="bad")
        case _:
            return run


def status_of(run: Run, *, alive: bool) -> Status:
    """What is true now: a run that was running and has no process any more has crashed without a word."""
    if not alive and run.status in ("running", "paused"):
        return "crashed"
    return run.status


def _curve(run: Run, name: str) -> Series:
    return run.curves.setdefault(name, Series())


def _cut(run: Run, iteration: int) -> None:
    for series in run.curves.values():
        series.cut_after(iteration)


def _say(run: Run, event: training.Event, kind: str, *facts: str, tone: Tone = "muted") -> Run:
    sentence = Sentence(event.time, kind, facts, tone)
    return replace(run, sentences=(*run.sentences[-KEPT_SENTENCES:], sentence))


def fresh() -> Run:
    """A run of which nothing is known yet, with curves of its own."""
    return Run(curves={})

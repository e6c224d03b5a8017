"""Batches, prepared ahead by processes of their own, the same whatever their number.

A batch is a function of its position: position p of a run with batch B holds the samples p*B .. p*B + B - 1, of which
each of several training processes takes its own equal slice.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.process import BaseProcess
from typing import Self, cast

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torch.utils.data import Sampler as TorchSampler

from engine.degrade.plan import Plan
from engine.errors import Code, PellucidError
from kernels.library import cpu_library
from trainer.damage import RecipeDamage
from trainer.pixels import PixelCache, Pixels
from trainer.sampling import Draw, Sampler, turn


@dataclass(frozen=True, slots=True)
class Batch:
    """`target` (n, crop, crop, 3) and `damaged` (n, crop/scale, crop/scale, 3), uint8.

    With a plan the damage is still to be done: `target` is then the plain crop with its context, `damaged` is empty.
    """

    position: int
    target: Tensor
    damaged: Tensor
    plan: Plan | None = None
    problems: list[str] = field(default_factory=list)
    """Pictures that could not be read, each as a sentence; others stand in for them."""

    def pin_memory(self) -> Self:
        """Into memory that a GPU fetches by itself; the loader asks for it by this name."""
        return replace(self, target=self.target.pin_memory(), damaged=self.damaged.pin_memory())


@dataclass(frozen=True, slots=True)
class BatchSource(Dataset[Batch]):
    """What a loader process needs to make any batch."""

    cache: PixelCache
    """Targets, then (for pairs) their damaged partners in the same order."""
    sampler: Sampler
    crop: int
    scale: int
    batch: int
    damage: RecipeDamage | None
    """None: the damaged pictures are files."""
    damage_here: bool = True
    """False: the trainer does the damage on its device."""
    rank: int = 0
    processes: int = 1

    def __getitem__(self, position: int) -> Batch:
        share = self.batch // self.processes
        first = position * self.batch + self.rank * share
        draws = [self.sampler.draw(first + place) for place in range(share)]
        problems: list[str] = []
        pairs = [self._cut(draw, problems) for draw in draws]
        targets = np.stack([target for target, _ in pairs])
        plan = None
        if self.damage is None:
            damaged = np.stack([small for _, small in pairs if small is not None])
        elif self.damage_here:
            targets, damaged = self.damage(targets, [draw.number for draw in draws])
        else:
            damaged = np.empty(0, np.uint8)
            plan = self.damage.plan([draw.number for draw in draws], targets.shape[1], targets.shape[2])
        return Batch(position, torch.from_numpy(targets), torch.from_numpy(damaged), plan, problems)

    def _cut(self, draw: Draw, problems: list[str]) -> tuple[Pixels, Pixels | None]:
        """The crop of one sample, and its partner's for pairs; the next readable picture where one is broken."""
        pictures = self.sampler.pictures
        for attempt in range(min(pictures, 20)):
            number = (draw.picture + attempt) % pictures
            try:
                return self._cut_from(number, draw)
            except PellucidError as error:
                problems.append(error.message)
        raise PellucidError(
            Code.FILE_UNREADABLE,
            f"Twenty pictures in a row cannot be read; the last fault: {problems[-1]}",
            "Check the folder: pellucid dataset check DIR.",
        )

    def _cut_from(self, number: int, draw: Draw) -> tuple[Pixels, Pixels | None]:
        target = self.cache.pixels(number)
        side = self.crop if self.damage is None else self.crop + 2 * self.damage.context
        room = (target.shape[0] - side, target.shape[1] - side)
        if self.damage is not None:
            top, left = draw.place(room)
            return np.ascontiguousarray(turn(target[top : top + side, left : left + side], draw)), None
        damaged = self.cache.pixels(self.sampler.pictures + number)
        top, left = draw.place(room, self.scale)
        small, small_top, small_left = side // self.scale, top // self.scale, left // self.scale
        part = damaged[small_top : small_top + small, small_left : small_left + small]
        return (
            np.ascontiguousarray(turn(target[top : top + side, left : left + side], draw)),
            np.ascontiguousarray(turn(part, draw)),
        )


@dataclass(frozen=True, slots=True)
class _Failed:
    code: Code
    message: str
    hint: str


@dataclass(frozen=True, slots=True)
class _Guarded(Dataset[Batch | _Failed]):
    """An expected failure travels as a value: torch would turn it into a page of traceback."""

    source: BatchSource

    def __getitem__(self, position: int) -> Batch | _Failed:
        try:
            return self.source[position]
        except PellucidError as error:
            return _Failed(error.code, error.message, error.hint)


class _From(TorchSampler[int]):
    """start, start + 1, ... without an end."""

    def __init__(self, start: int) -> None:
        self.start = start

    def __iter__(self) -> Iterator[int]:
        position = self.start
        while True:
            yield position
            position += 1


class Loader:
    """Batches from position `start` on; counts the seconds that the trainer waited for them."""

    def __init__(
        self,
        source: BatchSource,
        start: int,
        workers: int,
        prefetch: int = 4,
        pin_memory: bool = False,
        close_in_workers: Sequence[int] = (),
    ) -> None:
        """`close_in_workers`: file descriptors that must not live on in a loader process, such as the run's lock."""
        self.waited = 0.0
        if workers and source.damage is not None and source.damage_here:
            # Loaded once, here: processes that are forked share it, whatever is installed over it later.
            cpu_library()
        self._batches = iter(
            DataLoader(
                _Guarded(source),
                batch_size=None,
                sampler=_From(start),
                num_workers=workers,
                prefetch_factor=prefetch if workers else None,
                worker_init_fn=_WorkerStart(tuple(close_in_workers), os.getpid()) if workers else None,
                pin_memory=pin_memory,
                generator=torch.Generator(),  # the ambient one would be drawn from at every start
                multiprocessing_context=("fork" if sys.platform == "linux" else "spawn") if workers else None,
            )
        )

    def next(self) -> Batch:
        begin = time.perf_counter()
        try:
            batch = cast(Batch | _Failed, next(self._batches))
        except (EOFError, OSError) as error:
            if not self._has_dead_process():
                raise
            raise LoaderDied("it was gone before it had handed over its batch") from error
        self.waited += time.perf_counter() - begin
        if isinstance(batch, _Failed):
            raise PellucidError(batch.code, batch.message, batch.hint)
        return batch

    def _has_dead_process(self) -> bool:
        """Waits a moment: the pipe of a killed process closes shortly before the process counts as dead."""
        processes = cast(list[BaseProcess], getattr(self._batches, "_workers", []))
        deadline = time.monotonic() + 2.0
        while all(process.is_alive() for process in processes):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        return bool(processes)

    def close(self) -> None:
        """End the loader processes."""
        shutdown = cast(Callable[[], None] | None, getattr(self._batches, "_shutdown_workers", None))
        if shutdown is not None:
            shutdown()


@dataclass(frozen=True, slots=True)
class _WorkerStart:
    """Runs first in a loader process: one thread, no signals of the terminal, gone when the trainer is gone."""

    close: tuple[int, ...]
    parent: int

    def __call__(self, number: int) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if sys.platform == "linux":
            for descriptor in self.close:
                os.close(descriptor)
            import ctypes

            kill_with_parent = 1  # PR_SET_PDEATHSIG
            ctypes.CDLL(None).prctl(kill_with_parent, signal.SIGKILL)
            if os.getppid() != self.parent:
                os._exit(1)
        torch.set_num_threads(1)


class LoaderDied(RuntimeError):
    """A loader process died with a batch half handed over."""


def is_loader_death(error: BaseException) -> bool:
    """Whether a loader process has died: ours, or torch's word for it, which comes by signal at any point."""
    text = str(error)
    if isinstance(error, LoaderDied):
        return True
    return isinstance(error, RuntimeError) and "DataLoader worker" in text and ("killed" in text or "exited" in text)


def choose_workers(wanted: int, device: str) -> int:
    """Loader processes: as wanted, or by the machine: on a CPU one, beside a card most of the cores."""
    if wanted >= 0:
        return wanted
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return 1 if device == "cpu" else max(1, min(12, cores - 2))

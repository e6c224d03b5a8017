"""Work on row bands that several threads do and one file takes in order, with only a few bands in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

Result = TypeVar("Result")
Rows = npt.NDArray[Any]


class OrderedWork(Generic[Result]):
    """Runs jobs on `threads` threads; `take` gets their results in the order the jobs were given, on the thread that
    gives them. `window`: how many jobs may have been given and not been taken; one more than threads when None, for
    results that weigh much."""

    def __init__(self, threads: int, take: Callable[[Result], None], window: int | None = None) -> None:
        self._window = window or threads + 1
        self._take = take
        self._pool = ThreadPoolExecutor(threads, "bands")
        self._running: deque[Future[Result]] = deque()

    def submit(self, job: Callable[..., Result], *arguments: object) -> None:
        """Waits for the oldest job while the window is full."""
        while self._running and (len(self._running) >= self._window or self._running[0].done()):
            self._take(self._running.popleft().result())
        self._running.append(self._pool.submit(job, *arguments))

    def drain(self) -> None:
        while self._running:
            self._take(self._running.popleft().result())

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)


class BandCutter:
    """Rows in pieces of any height become bands of one height; the last may be lower."""

    def __init__(self, band_rows: int, onward: Callable[[Rows], None]) -> None:
        self._band_rows = band_rows
        self._onward = onward
        self._waiting: list[Rows] = []
        self._count = 0

    def push(self, rows: Rows) -> None:
        self._waiting.append(rows)
        self._count += len(rows)
        while self._count >= self._band_rows:
            self._cut(self._band_rows)

    def finish(self) -> None:
        if self._count:
            self._cut(self._count)

    def _cut(self, count: int) -> None:
        rows = self._waiting[0] if len(self._waiting) == 1 else np.concatenate(self._waiting)
        self._waiting = [rows[count:]] if len(rows) > count else []
        self._count -= count
        self._onward(rows[:count])

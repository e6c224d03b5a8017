"""Several GPUs as one session: every tile goes to the one that has the least to do."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

from engine.models.card import Card
from engine.models.model import Weights
from engine.runtime.session import Batch, Interruptible, PackedTile, PacksPixels, Session, SessionInfo, Talkative


class Member(Session, PacksPixels, Interruptible, Talkative, Protocol):
    def serves(self, card: Card) -> bool: ...


class FleetSession:
    """The members hold the same model in the same precision. Faster ones get more tiles, because they finish sooner."""

    def __init__(self, members: Sequence[Member]) -> None:
        self._members = list(members)
        self._busy = [0.0] * len(self._members)
        self._lock = threading.Lock()

    @property
    def info(self) -> SessionInfo:
        infos = [member.info for member in self._members]
        backends = sorted({info.backend for info in infos})
        return replace(
            infos[0],
            backend=" + ".join(backends),
            device=",".join(info.device for info in infos),
            streams=sum(info.streams for info in infos),
            # One shape for all: the smallest fits everywhere.
            read_side=min(info.read_side for info in infos),
        )

    def serves(self, card: Card) -> bool:
        return all(member.serves(card) for member in self._members)

    def run(self, batch: Batch) -> Batch:
        """(n, 3, h, w) -> (n, 3, h * scale, w * scale). Thread-safe."""
        with self._least_busy(len(batch)) as member:
            return np.asarray(member.run(batch))

    def run_packed(self, window: npt.NDArray[np.uint8]) -> PackedTile:
        with self._least_busy(1) as member:
            return member.run_packed(window)

    def set_weights(self, weights: Weights) -> None:
        for member in self._members:
            member.set_weights(weights)

    def interrupt(self) -> None:
        for member in self._members:
            member.interrupt()

    def take_notices(self) -> list[str]:
        return [text for member in self._members for text in member.take_notices()]

    def close(self) -> None:
        for member in self._members:
            member.close()

    @contextlib.contextmanager
    def _least_busy(self, tiles: int) -> Iterator[Member]:
        with self._lock:
            loads = [busy / member.info.streams for busy, member in zip(self._busy, self._members, strict=True)]
            place = loads.index(min(loads))
            self._busy[place] += tiles
        try:
            yield self._members[place]
        finally:
            with self._lock:
                self._busy[place] -= tiles

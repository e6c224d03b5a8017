"""Several GPUs as one session: every tile goes to the one that has the least to do."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from engine.errors import DeviceLost
from engine.models.card import Card
from engine.models.model import Weights
from engine.runtime.session import (
    Batch,
    Interruptible,
    Losable,
    PackedTile,
    PacksPixels,
    Session,
    SessionInfo,
    Talkative,
)

Result = TypeVar("Result")


class Member(Session, PacksPixels, Interruptible, Losable, Talkative, Protocol):
    def serves(self, card: Card) -> bool: ...


@dataclass(slots=True, eq=False)
class _Place:
    member: Member
    busy: int = 0
    """Tiles it has to do."""


class FleetSession:
    """The members hold the same model in the same precision. Faster ones get more tiles, because they finish sooner.
    One whose device is lost gets none any more, and the others do its tiles."""

    def __init__(self, members: Sequence[Member]) -> None:
        self._members = list(members)
        """All that were opened, and are closed at the end."""
        self._places = [_Place(member) for member in members]
        """Those that serve."""
        self._notices: list[str] = []
        self._lock = threading.Lock()

    @property
    def info(self) -> SessionInfo:
        infos = [member.info for member in self._serving()]
        backends = sorted({info.backend for info in infos})
        return replace(
            infos[0],
            backend=" + ".join(backends),
            device=",".join(info.device for info in infos),
            streams=sum(info.streams for info in infos),
            # One shape for all: the smallest fits everywhere.
            read_side=min(info.read_side for info in infos),
        )

    def check(self) -> None:
        """Raises DeviceLost when none is left that works."""
        for member in self._serving():
            try:
                member.check()
            except DeviceLost as loss:
                self._part_with(member, loss)

    def serves(self, card: Card) -> bool:
        return all(member.serves(card) for member in self._members)

    def run(self, batch: Batch) -> Batch:
        """(n, 3, h, w) -> (n, 3, h * scale, w * scale). Thread-safe."""
        return self._by_one(len(batch), lambda member: np.asarray(member.run(batch)))

    def run_packed(self, window: npt.NDArray[np.uint8]) -> PackedTile:
        return self._by_one(1, lambda member: member.run_packed(window))

    def set_weights(self, weights: Weights) -> None:
        for member in self._serving():
            try:
                member.set_weights(weights)
            except DeviceLost as loss:
                self._part_with(member, loss)

    def interrupt(self) -> None:
        for member in self._serving():
            member.interrupt()

    def take_notices(self) -> list[str]:
        with self._lock:
            taken, self._notices = self._notices, []
        return taken + [text for member in self._members for text in member.take_notices()]

    def close(self) -> None:
        for member in self._members:
            member.close()

    def _serving(self) -> list[Member]:
        with self._lock:
            return [place.member for place in self._places]

    def _by_one(self, tiles: int, work: Callable[[Member], Result]) -> Result:
        while True:
            with self._least_busy(tiles) as member:
                try:
                    return work(member)
                except DeviceLost as loss:
                    self._part_with(member, loss)

    @contextlib.contextmanager
    def _least_busy(self, tiles: int) -> Iterator[Member]:
        with self._lock:
            place = min(self._places, key=lambda place: place.busy / place.member.info.streams)
            place.busy += tiles
        try:
            yield place.member
        finally:
            with self._lock:
                place.busy -= tiles

    def _part_with(self, member: Member, loss: DeviceLost) -> None:
        """Go on without it. The last one stays: with it everything is lost, and `loss` is raised."""
        with self._lock:
            others = [place for place in self._places if place.member is not member]
            if not others:
                raise loss
            if len(others) < len(self._places):
                self._notices.append(f"{loss.message} The work goes on without it.")
            self._places = others

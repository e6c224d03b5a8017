"""The queue of pictures to restore: what is waiting, what runs, what became of the rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Literal

import msgspec
from msgspec.structs import replace

from engine import wire
from engine.undecodable import from_ascii_json, may_hold_escapes, to_ascii_json

ItemState = Literal["waiting", "sent", "running", "done", "skipped", "failed", "cancelled", "crashed"]
FINISHED: frozenset[ItemState] = frozenset({"done", "skipped", "failed", "cancelled", "crashed"})
RETRYABLE: frozenset[ItemState] = frozenset({"failed", "cancelled", "crashed", "skipped", "done"})
UNFINISHED: frozenset[ItemState] = frozenset({"waiting", "sent", "running"})


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One picture. `job` names it for ever; sizes are pixels of the upright picture, 0 until known."""

    job: str
    source: str
    root: str = ""
    state: ItemState = "waiting"
    options: wire.RestoreOptions | None = None
    """Set when only this picture shall be restored so; None: as the panel says when its turn comes."""
    folder: str | None = None
    """The same for where the result goes; as `settings.Settings.output_folder`."""
    target: str = ""
    width: int = 0
    height: int = 0
    out_width: int = 0
    out_height: int = 0
    fraction: float = 0.0
    """Share of the tiles that are done, 0..1."""
    megapixels_per_second: float = 0.0
    seconds_left: float | None = None
    seconds: float = 0.0
    backend: str = ""
    device: str = ""
    precision: str = ""
    model: str = ""
    notices: tuple[str, ...] = ()
    code: str = ""
    message: str = ""
    hint: str = ""
    crash: wire.Crashed | None = None
    alone: bool = False
    """To be sent only while no other is with the worker: it has ended one, or another beside it has."""


class Queue(msgspec.Struct, frozen=True, kw_only=True):
    items: tuple[Item, ...] = ()
    paused: bool = False


class Added(msgspec.Struct, frozen=True):
    items: tuple[Item, ...]


class Removed(msgspec.Struct, frozen=True):
    jobs: frozenset[str]


class Moved(msgspec.Struct, frozen=True):
    """Put these, in their order, before the item that now stands at `row` (len(items): at the end)."""

    jobs: frozenset[str]
    row: int


class Sent(msgspec.Struct, frozen=True):
    """The request went to the worker."""

    job: str
    options: wire.RestoreOptions
    folder: str


class Requeued(msgspec.Struct, frozen=True):
    """Wait (again): a retry, or a request that its worker did not live to begin, or perhaps died of (`alone`)."""

    jobs: frozenset[str]
    alone: bool = False


class Withdrawn(msgspec.Struct, frozen=True):
    """Cancelled by the user before a worker saw it."""

    jobs: frozenset[str]


class PausedByUser(msgspec.Struct, frozen=True):
    paused: bool


class FinishedCleared(msgspec.Struct, frozen=True):
    pass


QueueMessage = Added | Removed | Moved | Sent | Requeued | Withdrawn | PausedByUser | FinishedCleared | wire.Event


def reduce(queue: Queue, message: QueueMessage) -> Queue:
    """The queue after `message`; the same object when nothing changed."""
    match message:
        case Added(items):
            known = {item.job for item in queue.items}
            fresh = tuple(item for item in items if item.job not in known)
            return replace(queue, items=queue.items + fresh) if fresh else queue
        case Removed(jobs):
            return replace(queue, items=tuple(item for item in queue.items if item.job not in jobs))
        case Moved(jobs, row):
            before = [item for item in queue.items[:row] if item.job not in jobs]
            moved = [item for item in queue.items if item.job in jobs]
            after = [item for item in queue.items[row:] if item.job not in jobs]
            return replace(queue, items=(*before, *moved, *after))
        case PausedByUser(paused):
            return replace(queue, paused=paused)
        case FinishedCleared():
            return replace(queue, items=tuple(item for item in queue.items if item.state not in FINISHED))
        case Requeued(jobs, alone):
            return _change(
                queue,
                jobs,
                RETRYABLE | {"sent", "running"},
                lambda item: replace(_fresh(item), alone=alone or (item.alone and item.state in UNFINISHED)),
            )
        case Withdrawn(jobs):
            return _change(queue, jobs, frozenset({"waiting"}), lambda item: replace(item, state="cancelled"))
        case Sent(job, options, folder):
            return _change(
                queue,
                {job},
                frozenset({"waiting"}),
                lambda item: replace(item, state="sent", options=options, folder=folder),
            )
        case wire.Accepted():
            return _change(queue, {message.job}, UNFINISHED, lambda item: _accept(item, message))
        case wire.Progress():
            return _change(queue, {message.job}, UNFINISHED, lambda item: _advance(item, message))
        case wire.Notice():
            return _change(
                queue, {message.job}, UNFINISHED, lambda item: replace(item, notices=(*item.notices, message.text))
            )
        case wire.Restored():
            return _change(queue, {message.job}, UNFINISHED, lambda item: _finish(item, message))
        case wire.Skipped():
            return _change(
                queue,
                {message.job},
                UNFINISHED,
                lambda item: replace(
                    item, state="skipped", target=message.target, message=message.reason, seconds_left=None
                ),
            )
        case wire.Failed():
            return _change(
                queue,
                {message.job},
                UNFINISHED,
                lambda item: replace(
                    item,
                    state="failed",
                    code=message.code,
                    message=message.message,
                    hint=message.hint,
                    seconds_left=None,
                ),
            )
        case wire.Cancelled():
            return _change(
                queue, {message.job}, UNFINISHED, lambda item: replace(item, state="cancelled", seconds_left=None)
            )
        case wire.Crashed():
            return _change(
                queue,
                {message.job},
                UNFINISHED,
                lambda item: replace(item, state="crashed", crash=message, seconds_left=None),
            )
        case _:
            return queue


def next_to_send(queue: Queue, in_flight: int) -> Item | None:
    """The picture whose turn it is, or None: paused, nothing waits, or `in_flight` are with the worker already, or one
    that shall be there alone."""
    if queue.paused:
        return None
    busy = [item for item in queue.items if item.state in ("sent", "running")]
    chosen = next((item for item in queue.items if item.state == "waiting"), None)
    if chosen is None or len(busy) >= (1 if chosen.alone or any(item.alone for item in busy) else in_flight):
        return None
    return chosen


def find(queue: Queue, job: str) -> Item | None:
    return next((item for item in queue.items if item.job == job), None)


Goal = tuple[str, str, wire.RestoreOptions]
"""Source, folder of the results, options: who wants the same goal twice wants it once."""


def unfinished(queue: Queue) -> tuple[Item, ...]:
    return tuple(item for item in queue.items if item.state in UNFINISHED)


def new_and_repeated(queue: Queue, items: Iterable[Item], goal: Callable[[Item], Goal]) -> tuple[list[Item], list[str]]:
    """Those of `items` whose goal is no unfinished picture's, each goal once; and the jobs that have the others'."""
    items = tuple(items)
    sources = {item.source for item in items}
    holders = {goal(item): item.job for item in unfinished(queue) if item.source in sources}
    fresh: list[Item] = []
    repeated: list[str] = []
    for item in items:
        holder = holders.setdefault(goal(item), item.job)
        if holder == item.job:
            fresh.append(item)
        else:
            repeated.append(holder)
    return fresh, repeated


def to_keep(items: tuple[Item, ...], goal: Callable[[Item], Goal]) -> tuple[Item, ...]:
    """Unfinished pictures as they are kept for the next start: each goal once.

    Next time each follows the panel, as whoever closes the window over a slow model may choose another. Only a picture
    that is wanted in several ways keeps them, so that it is not made twice in one way and never in the other.
    """
    times = Counter(item.source for item in items)
    kept: dict[Goal | str, Item] = {}
    for item in items:
        kept.setdefault(goal(item) if times[item.source] > 1 else item.job, item)
    ways = Counter(item.source for item in kept.values())
    return tuple(
        _with_own(item, goal(item)) if ways[item.source] > 1 else item if item.state == "waiting" else _fresh(item)
        for item in kept.values()
    )


def _with_own(item: Item, goal: Goal) -> Item:
    _source, folder, options = goal
    return replace(_fresh(item), options=options, folder=folder)


class Totals(msgspec.Struct, frozen=True):
    total: int
    finished: int
    failed: int
    fraction: float
    """Share of the whole queue, 0..1, by pictures."""
    seconds_left: float | None
    """For all that is unfinished, from the pixels and the rate of what ran so far; None: not known yet."""


def totals(queue: Queue) -> Totals:
    """One pass: it is asked at every step of every picture."""
    finished = failed = waiting = known = 0
    partly = took = rest = 0.0
    running = False
    for item in queue.items:
        state = item.state
        if state == "waiting":
            waiting += 1
        elif state in FINISHED:
            finished += 1
            failed += state in ("failed", "crashed")
            if state == "done":
                known, took = known + 1, took + item.seconds
        else:
            partly += item.fraction
            if state == "sent":
                waiting += 1
            elif item.seconds_left is not None:
                running, rest = True, rest + item.seconds_left
                if 0.02 < item.fraction < 1.0:
                    known, took = known + 1, took + item.seconds_left / (1.0 - item.fraction)
    total = len(queue.items)
    fraction = (finished + partly) / total if total else 0.0
    left: float | None = None
    if waiting and known:
        left = rest + waiting * took / known
    elif running and not waiting:
        left = rest
    return Totals(total, finished, failed, min(fraction, 1.0), left)


def _change(queue: Queue, jobs: Iterable[str], allowed: frozenset[ItemState], change: Callable[[Item], Item]) -> Queue:
    wanted = frozenset(jobs)
    items = tuple(change(item) if item.job in wanted and item.state in allowed else item for item in queue.items)
    same = all(new is old for new, old in zip(items, queue.items, strict=True))
    return queue if same else replace(queue, items=items)


def _fresh(item: Item) -> Item:
    return Item(job=item.job, source=item.source, root=item.root, width=item.width, height=item.height)


def _accept(item: Item, message: wire.Accepted) -> Item:
    return replace(
        item,
        state="running",
        width=message.width,
        height=message.height,
        out_width=message.out_width,
        out_height=message.out_height,
        backend=message.backend,
        device=message.device,
        precision=message.precision,
        model=message.model,
        target=message.target,
    )


def _advance(item: Item, message: wire.Progress) -> Item:
    return replace(
        item,
        state="running",
        fraction=min(1.0, message.tiles_done / max(1, message.tiles)),
        megapixels_per_second=message.megapixels_per_second,
        seconds_left=message.seconds_left,
    )


def _finish(item: Item, message: wire.Restored) -> Item:
    return replace(
        item,
        state="done",
        fraction=1.0,
        seconds_left=None,
        target=message.target,
        out_width=message.width,
        out_height=message.height,
        seconds=message.seconds,
        megapixels_per_second=message.megapixels_per_second,
        backend=message.backend,
        precision=message.precision,
        model=message.model,
    )


class Journal(msgspec.Struct, frozen=True):
    """What is kept on disk, so that a crash or a power cut loses no queue."""

    items: tuple[Item, ...]
    format: int = 1


def to_journal(items: tuple[Item, ...]) -> bytes:
    journal = Journal(items)
    try:
        return msgspec.json.encode(journal)
    except UnicodeEncodeError:  # Names that are no UTF-8: only those pictures go the slow way.
        return b'{"items":[%b],"format":%d}' % (b",".join(map(_written, journal.items)), journal.format)


def from_journal(data: bytes) -> tuple[Item, ...]:
    """The pictures that were unfinished, all waiting again. Raises msgspec.DecodeError when `data` is damaged."""
    try:
        journal = msgspec.json.decode(data, type=Journal)
    except msgspec.DecodeError:
        if not may_hold_escapes(data):
            raise
        journal = from_ascii_json(data, Journal)
    # Options without a folder are what older versions noted of pictures that were being restored.
    return tuple(
        _fresh(item) if item.folder is None else replace(_fresh(item), options=item.options, folder=item.folder)
        for item in journal.items
    )


def _written(item: Item) -> bytes:
    try:
        return msgspec.json.encode(item)
    except UnicodeEncodeError:
        return to_ascii_json(item)

"""Where a picture is cut: a pure plan of integers, testable without a pixel.

One axis at a time. A tile *reads* a span of the picture and keeps its *core*; the cores of an axis partition it, and
every core has at least `halo` pixels of context on each side, except where the picture ends: there a tile ends too, so
that a network pads it exactly as it would pad the whole picture. All reads of an axis have the same length (the last
tile is never mostly padding, and a backend meets one shape), and start on the grid of `multiple`.

Where the picture is no multiple of `multiple` long it is continued by reflection, or from its other side when it wraps
around; a wrapped picture is continued by `halo` on all sides as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

SMALLEST_CORE = 16
"""Input pixels: no automatic plan, and no division after running out of memory, makes the side of a core smaller."""

_BYTES_PER_OUTPUT_PIXEL = 12
"""Three float32: a finished tile waits in this form until its row of tiles is complete."""


@dataclass(frozen=True, slots=True)
class Span:
    """Half-open ranges of input pixels on one axis: the core [start, stop) inside the read [read_start, read_stop).

    A read may reach outside the picture by what reflection or wrapping adds.
    """

    start: int
    stop: int
    read_start: int
    read_stop: int

    @property
    def core(self) -> int:
        return self.stop - self.start

    @property
    def read(self) -> int:
        return self.read_stop - self.read_start


@dataclass(frozen=True, slots=True)
class Tile:
    rows: Span
    columns: Span

    @property
    def read_pixels(self) -> int:
        return self.rows.read * self.columns.read


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of a picture: its length, what may be read (`first` to `last`), and how it is cut."""

    length: int
    first: int
    last: int
    halo: int
    multiple: int
    spans: tuple[Span, ...]
    read: int
    """Length of every read."""
    core: int
    """Length of the longest core."""

    def read_around(self, start: int, stop: int) -> Span:
        """The span that a core of any place and size needs: its halo, clipped to the picture, on the grid."""
        low = max(self.first, _align_down(start - self.halo, self.multiple))
        high = min(self.last, _align_up(stop + self.halo, self.multiple))
        return Span(start, stop, low, high)


@dataclass(frozen=True, slots=True)
class Plan:
    """How a picture is cut into tiles, row by row."""

    rows: Axis
    columns: Axis
    wrap: bool

    def __len__(self) -> int:
        return len(self.rows.spans) * len(self.columns.spans)

    def tiles(self) -> Iterator[Tile]:
        for rows in self.rows.spans:
            for columns in self.columns.spans:
                yield Tile(rows, columns)

    @property
    def read_pixels(self) -> int:
        """What the network has to work through."""
        return sum(span.read for span in self.rows.spans) * sum(span.read for span in self.columns.spans)

    @property
    def useful_share(self) -> float:
        """Pixels of the picture for each pixel the network works through."""
        return self.rows.length * self.columns.length / self.read_pixels

    def quarter(self, tile: Tile) -> list[Tile]:
        """The same core in two to four smaller tiles, or [] when it cannot be made usefully smaller."""
        rows = _halve(self.rows, tile.rows)
        columns = _halve(self.columns, tile.columns)
        parts = [Tile(row, column) for row in rows for column in columns]
        if len(parts) == 1 or max(part.read_pixels for part in parts) >= 0.9 * tile.read_pixels:
            return []
        return parts


def plan_tiles(
    height: int,
    width: int,
    *,
    halo: int,
    multiple: int = 1,
    wrap: bool = False,
    tile: int = 0,
    scale: int = 4,
    streams: int = 1,
    memory: int = 0,
    bytes_per_pixel: float = 0.0,
    best_side: int = 0,
    read_side: int = 0,
) -> Plan:
    """Cuts a picture of `height` x `width` pixels.

    tile: side of a core in input pixels; the halo comes on top. 0: chosen to finish soonest on `streams` tiles at a
    time, among the plans that take at most `memory` bytes (0: no limit) when a running tile takes `bytes_per_pixel`
    for each pixel it reads, and whose reads are at most `best_side` long (0: no limit). read_side: every tile reads
    exactly that many pixels on each axis where the picture is longer, and the whole axis where it is not.
    """
    if min(height, width) < 1:
        raise ValueError(f"a picture of {width} x {height} pixels cannot be cut")
    if min(halo, tile, memory, best_side, read_side) < 0 or min(multiple, scale, streams) < 1:
        raise ValueError("halo, tile, memory and sides are 0 or more; multiple, scale and streams 1 or more")
    if tile:
        rows, columns = (
            _cut(length, _count_for(length, tile, halo, multiple, wrap), halo, multiple, wrap)
            for length in (height, width)
        )
        return Plan(rows, columns, wrap)
    if read_side:
        rows, columns = (_cut_to(length, read_side, halo, multiple, wrap) for length in (height, width))
        return Plan(rows, columns, wrap)
    return _choose(height, width, halo, multiple, wrap, scale, streams, memory, bytes_per_pixel, best_side)


def plan_bytes(plan: Plan, *, scale: int, streams: int, bytes_per_pixel: float) -> int:
    """Peak memory of running a plan: the running tiles, and the finished ones that wait for their row."""
    running = min(streams, len(plan))
    read = plan.rows.read * plan.columns.read
    waiting = plan.rows.core * plan.columns.length
    if len(plan.rows.spans) > 1:
        waiting += (running + 1) * plan.rows.core * plan.columns.core
    return int(running * read * bytes_per_pixel) + waiting * scale * scale * _BYTES_PER_OUTPUT_PIXEL


def _choose(
    height: int,
    width: int,
    halo: int,
    multiple: int,
    wrap: bool,
    scale: int,
    streams: int,
    memory: int,
    bytes_per_pixel: float,
    best_side: int,
) -> Plan:
    all_rows = list(_cuts(height, halo, multiple, wrap, best_side))
    best: Plan | None = None
    best_cost = (0, 0, 0)
    for columns in _cuts(width, halo, multiple, wrap, best_side):
        for rows in all_rows:
            plan = Plan(rows, columns, wrap)
            used = plan_bytes(plan, scale=scale, streams=streams, bytes_per_pixel=bytes_per_pixel)
            over = max(0, used - memory) if memory else 0
            rounds = -(-len(plan) // streams)
            read = rows.read * columns.read
            # Within the memory first; then the soonest end, the last round being as long as any other; then less work.
            cost = (over, rounds * read, len(plan) * read)
            if best is None or cost < best_cost:
                best, best_cost = plan, cost
    assert best is not None, "every axis can be left whole"
    return best


def _cuts(length: int, halo: int, multiple: int, wrap: bool, best_side: int) -> Iterator[Axis]:
    """The axis whole, in two, in three, ... down to the smallest core, in coarser steps where there are many."""
    floor = max(SMALLEST_CORE, multiple)
    most = max(1, length // floor)
    fewest = 1
    if best_side:
        core = max(floor, best_side - 2 * _align_up(halo, multiple))
        fewest = min(most, _count_for(length, core, halo, multiple, wrap))
    count = fewest
    while count <= most:
        yield _cut(length, count, halo, multiple, wrap)
        count += 1 + count // 16


def _count_for(length: int, core: int, halo: int, multiple: int, wrap: bool) -> int:
    """How many tiles an axis needs so that none reads more than `core` and a halo on both sides."""
    first, last = _bounds(length, halo, multiple, wrap)
    margin = 2 * _align_up(halo, multiple)
    stride = _align_up(core, multiple)
    return max(1, -(-(last - first - margin) // stride))


def _cut_to(length: int, side: int, halo: int, multiple: int, wrap: bool) -> Axis:
    """Reads of `side` pixels, or of as many more as a large halo needs; the axis whole when it is no longer."""
    first, last = _bounds(length, halo, multiple, wrap)
    margin = 2 * _align_up(halo, multiple)
    side = max(_align_down(side, multiple), margin + _align_up(SMALLEST_CORE, multiple))
    count = max(1, -(-(last - first - margin) // (side - margin)))
    return _cut(length, count, halo, multiple, wrap, side)


def _cut(length: int, count: int, halo: int, multiple: int, wrap: bool, side: int = 0) -> Axis:
    """`count` reads of equal length (`side`; 0: no longer than needed), their starts spread evenly; the cuts lie in the
    middle of each overlap."""
    first, last = _bounds(length, halo, multiple, wrap)
    whole = last - first
    margin = 2 * _align_up(halo, multiple)
    read = min(whole, side or _align_up(-(-(whole + margin * (count - 1)) // count), multiple))
    room = whole - read
    count = min(count, room // multiple + 1)
    starts = [first + _align_down(room * i // max(1, count - 1), multiple) for i in range(count)]
    cuts = [(this + read + following) // 2 for this, following in pairwise(starts)]
    edges = [0, *cuts, length]
    spans = tuple(Span(edges[i], edges[i + 1], start, start + read) for i, start in enumerate(starts))
    return Axis(length, first, last, halo, multiple, spans, read, max(span.core for span in spans))


def _bounds(length: int, halo: int, multiple: int, wrap: bool) -> tuple[int, int]:
    margin = _align_up(halo, multiple) if wrap else 0
    return -margin, _align_up(length + margin, multiple)


def _halve(axis: Axis, span: Span) -> list[Span]:
    if span.core < 2 * SMALLEST_CORE:
        return [axis.read_around(span.start, span.stop)]
    middle = (span.start + span.stop) // 2
    return [axis.read_around(span.start, middle), axis.read_around(middle, span.stop)]


def _align_up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple


def _align_down(value: int, multiple: int) -> int:
    return value // multiple * multiple

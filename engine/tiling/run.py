"""Restores a picture tile by tile: several tiles at a time, rows of the result handed out as soon as they are final.

What goes wrong with one tile is mended at that tile: out of memory divides it, down to another session; a broken result
(not a number, or one flat colour that the source does not have) repeats it in higher precision. Where a device is lost,
another session makes the rest. Rows that were handed out stay good whatever comes later.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.errors import Cancelled, Code, DeviceLost, OutOfMemory, PellucidError
from engine.runtime.memory import available_memory, let_go
from engine.runtime.session import Interruptible, PacksPixels, Session, SessionInfo
from engine.tiling.plan import Plan, Span, Tile, plan_tiles
from engine.tiling.source import InterleavedSource, Planes, Source, read_pixels, read_tile

Pixels = npt.NDArray[np.uint8]
"""(height, width, 3)."""

OnBand = Callable[[int, int, npt.NDArray[Any]], None]
"""(top, bottom, rows): rows `top` to `bottom` of the result, (bottom - top, width * scale, 3) float32, not clipped to
0..1, or uint8 from 0 to 255 where that was allowed. In order from the top, without gaps, in the calling thread. The
array may be a view of planes: cheap to round to whole numbers first and to make contiguous after."""

_ROWS_A_BAND = 256
_POLL_SECONDS = 0.05
_FEWEST_PIXELS_TO_JUDGE = 64
_DEFAULT_MEMORY = 640 << 20
_USEFUL_SHARE = 0.9


@dataclass(frozen=True, slots=True)
class TilingSettings:
    """tile: side of a tile's core in input pixels, 0: chosen. halo, feather: None: the session's. wrap: the picture
    repeats, its borders meet. memory: bytes for running tiles and rows in waiting, 0: chosen."""

    tile: int = 0
    halo: int | None = None
    feather: int | None = None
    wrap: bool = False
    memory: int = 0


@dataclass(frozen=True, slots=True)
class TilingReport:
    """What happened on the way. `bad_precisions`: those in which the model gave a broken tile; remember them."""

    plan: Plan
    divided: int
    fallback: SessionInfo | None
    bad_precisions: tuple[str, ...]


def plan_for(height: int, width: int, info: SessionInfo, settings: TilingSettings) -> Plan:
    """The plan that `restore_tiles` follows.

    When nobody says how much memory to take, it is 640 MiB, or as much more (to a quarter of what is free) as it takes
    to make nine tenths of the work useful: a network with a large halo pays for small tiles many times over.
    """
    if settings.memory or settings.tile or info.read_side:
        return _plan_within(height, width, info, settings, settings.memory or _DEFAULT_MEMORY)
    free = available_memory() // 4
    most = _plan_within(height, width, info, settings, free)
    share = min(_USEFUL_SHARE, most.useful_share)
    memory = min(_DEFAULT_MEMORY, free)
    while memory < free:
        plan = _plan_within(height, width, info, settings, memory)
        if plan.useful_share >= share:
            return plan
        memory = int(memory * 1.25)
    return most


def _plan_within(height: int, width: int, info: SessionInfo, settings: TilingSettings, memory: int) -> Plan:
    return plan_tiles(
        height,
        width,
        halo=info.halo if settings.halo is None else settings.halo,
        multiple=info.multiple,
        wrap=settings.wrap,
        tile=settings.tile,
        scale=info.scale,
        streams=info.streams,
        memory=max(1, memory - info.streams * info.fixed_bytes),
        bytes_per_pixel=info.bytes_per_pixel,
        best_side=info.best_side,
        read_side=info.read_side,
    )


def restore_tiles(
    source: Source,
    session: Session,
    *,
    on_band: OnBand,
    settings: TilingSettings = TilingSettings(),
    on_tile: Callable[[int, int], None] | None = None,
    on_notice: Callable[[str], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    fallback: Callable[[], Session] | None = None,
    stronger: Callable[[], Session] | None = None,
    packed: bool = False,
) -> TilingReport:
    """Restores `source` and hands its rows to `on_band`.

    on_tile: (tiles done, tiles) in the calling thread. on_notice: a sentence for the user, from any thread.
    cancelled: asked between tiles, from any thread; while it blocks, no new tile starts (that is how to pause).
    fallback: opens the session for tiles that no division made small enough, and for all that is left when the device
    of `session` is lost. stronger: opens the session in the next higher precision. Both are opened when first needed
    and closed at the end; `session` stays open. packed: rows may come as uint8, rounded, where source and session can
    do that; all of them do then.

    Raises Cancelled, OutOfMemory when even the fallback has too little, and PellucidError(BAD_OUTPUT) when a tile stays
    broken: a black picture is never a success.
    """
    _, height, width = source.shape
    plan = plan_for(height, width, session.info, settings)
    feather = session.info.feather if settings.feather is None else settings.feather
    job = _Job(source, session, plan, on_notice, cancelled, fallback, stronger)
    scale = session.info.scale
    joiner: _Joiner | _PackedJoiner = _Joiner(plan, _feather_that_fits(plan, feather), scale)
    pixels = source.pixels if isinstance(source, InterleavedSource) else None
    if packed and not feather and pixels is not None and isinstance(session, PacksPixels):
        job.pixels = pixels
        joiner = _PackedJoiner(scale)
    try:
        _run(job, joiner, on_band, on_tile)
    except MemoryError as error:
        raise OutOfMemory(
            f"The memory of this computer is too small for a row of {plan.columns.length * scale} pixels.",
            "Close other programs, or choose a smaller tile.",
        ) from error
    finally:
        job.close()
    return TilingReport(plan, job.divided, job.fallback_info, job.bad_precisions)


def _feather_that_fits(plan: Plan, feather: int) -> int:
    """Two tiles may share pixels, three may not, and no tile has more than its halo to share."""
    cores = [span.core for axis in (plan.rows, plan.columns) for span in axis.spans if len(axis.spans) > 1]
    return max(0, min([feather, plan.rows.halo, *(core // 2 for core in cores)]))


def _run(
    job: _Job, joiner: _Joiner | _PackedJoiner, on_band: OnBand, on_tile: Callable[[int, int], None] | None
) -> None:
    plan = job.plan
    # One more than compute side by side: it cuts the next tile and crops the last while the streams are busy.
    workers = min(job.session.info.streams + 1, len(plan))
    waiting = enumerate(plan.tiles())
    submitted: deque[Future[npt.NDArray[Any]]] = deque()
    restore = job.restore if job.pixels is None else job.restore_packed
    done = 0
    pool = ThreadPoolExecutor(workers, thread_name_prefix="tile")

    def submit_ahead(finished: int) -> None:
        # A whole row must be able to wait for its last tile, and the streams go on with the next row meanwhile.
        while finished + len(submitted) < len(plan.columns.spans) + workers:
            following = next(waiting, None)
            if following is None:
                return
            number, tile = following
            submitted.append(pool.submit(restore, number, joiner.kept(tile), tile))

    try:
        for rows in plan.rows.spans:
            parts: list[npt.NDArray[Any]] = []
            for _ in plan.columns.spans:
                submit_ahead(len(parts))
                parts.append(_wait(submitted.popleft(), job))
                done += 1
                if on_tile is not None:
                    on_tile(done, len(plan))
            submit_ahead(len(parts))
            job.check_cancelled()
            for top, band in joiner.join(rows, parts):
                on_band(top, top + len(band), band)
    except BaseException:
        job.stop()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _wait(future: Future[npt.NDArray[Any]], job: _Job) -> npt.NDArray[Any]:
    while True:
        try:
            return future.result(timeout=_POLL_SECONDS)
        except NotYet:
            if future.done():
                raise  # the tile itself timed out
            job.check_cancelled()


class _Job:
    """One call of `restore_tiles`: what its worker threads share."""

    def __init__(
        self,
        source: Source,
        session: Session,
        plan: Plan,
        on_notice: Callable[[str], None] | None,
        cancelled: Callable[[], bool] | None,
        fallback: Callable[[], Session] | None,
        stronger: Callable[[], Session] | None,
    ) -> None:
        self.source = source
        self.session = session
        self.plan = plan
        self.divided = 0
        self.pixels: Pixels | None = None
        """The source as it is, when tiles travel packed."""
        self._on_notice = on_notice
        self._cancelled = cancelled
        self._fallback = _Spare(fallback)
        self._stronger = _Spare(stronger)
        self._stopped = threading.Event()
        self._lost = False
        """Whether the session's device does nothing any more."""
        self._lock = threading.Lock()
        self._said: set[str] = set()
        self._bad: dict[str, None] = {}

    @property
    def fallback_info(self) -> SessionInfo | None:
        return self._fallback.info

    @property
    def _serving_info(self) -> SessionInfo:
        return self._fallback.info if self._lost and self._fallback.info else self.session.info

    @property
    def bad_precisions(self) -> tuple[str, ...]:
        return tuple(self._bad)

    def stop(self) -> None:
        """No tile starts any more, and running ones end early where the session can do that."""
        self._stopped.set()
        for session in (self.session, self._fallback.opened, self._stronger.opened):
            if session is not None:
                _interrupt(session)

    def close(self) -> None:
        self._fallback.close()
        self._stronger.close()

    def check_cancelled(self) -> None:
        if self._stopped.is_set() or (self._cancelled is not None and self._cancelled()):
            raise Cancelled

    def restore(self, number: int, kept: Tile, tile: Tile) -> Planes:
        """One tile of the plan -> its kept part, (3, rows * scale, columns * scale) float32."""
        result = self._attempt(number, kept, tile)
        if isinstance(result, np.ndarray):
            return result
        parts = self.plan.quarter(kept)
        with self._lock:
            self.divided += 1
        if parts:
            self._say(
                "divided",
                f"Memory ran out at tile {number + 1} of {len(self.plan)}, so it is restored in smaller parts.",
            )
        scale = self.session.info.scale
        whole = np.empty((3, kept.rows.core * scale, kept.columns.core * scale), dtype=np.float32)
        self._restore_parts(number, kept, tile, kept, parts, whole, result)
        return whole

    def _attempt(self, number: int, part: Tile, tile: Tile) -> Planes | OutOfMemory | MemoryError:
        """A tile or a part of it; or that memory was short, and then nothing is kept of the attempt: what comes next
        needs its memory."""
        try:
            return self._restore_by_whom_there_is(number, part, tile)
        except (OutOfMemory, MemoryError) as shortage:
            return let_go(shortage)

    def _restore_by_whom_there_is(self, number: int, part: Tile, tile: Tile) -> Planes:
        """By the session, or by the spare one once the session's device is lost."""
        if not self._lost:
            try:
                return self._restore_at(number, part, tile, self.session)
            except DeviceLost as loss:
                if (spare := self._fallback.open()) is None:
                    raise
                self._lost = True
                self._say(
                    "lost",
                    f"{loss.message} So {spare.info.backend} on {spare.info.device} restores the rest. Start Pellucid "
                    "again to use it again.",
                )
        spare = self._fallback.open()
        assert spare is not None
        return self._restore_at(number, part, tile, spare)

    def restore_packed(self, number: int, kept: Tile, tile: Tile) -> Pixels:
        """One tile, (rows * scale, columns * scale, 3); what does not work packed is done as floats and rounded."""
        self.check_cancelled()
        assert self.pixels is not None
        serves = not self._lost and self.session.info.precision not in self._bad
        if serves and isinstance(self.session, PacksPixels):
            window = read_pixels(self.pixels, tile, self.plan.wrap)
            try:
                packed = self.session.run_packed(window)
            except (OutOfMemory, MemoryError, DeviceLost):
                pass  # met again below, where tiles are divided and given to another session
            else:
                result = _core_of_pixels(packed.pixels, tile, self.session.info.scale)
                if packed.finite and not _may_be_flat(_core_of_pixels(window, tile, 1), result):
                    return result
        planes = self.restore(number, kept, tile)
        scaled = np.multiply(planes.transpose(1, 2, 0), np.float32(255), order="C")
        return np.rint(np.clip(scaled, 0, 255, out=scaled), out=scaled).astype(np.uint8)

    def _restore_parts(
        self,
        number: int,
        kept: Tile,
        tile: Tile,
        failed: Tile,
        parts: list[Tile],
        whole: Planes,
        shortage: OutOfMemory | MemoryError,
    ) -> None:
        """Fills `failed`'s place in `whole` from its parts, each divided again when it fails too."""
        scale = self.session.info.scale
        if not parts:
            spare = None if self._lost else self._fallback.open()
            if spare is None:
                raise OutOfMemory(
                    f"{_memory_of(self._serving_info)} is too small even for a tile of "
                    f"{failed.columns.read} x {failed.rows.read} pixels.",
                    "Close other programs, or choose another device.",
                    tile=number,
                ) from shortage
            self._say(
                "fallback",
                f"{_memory_of(self.session.info)} is too small, so {spare.info.backend} on {spare.info.device} "
                "restores what does not fit.",
            )
            _place(whole, kept, failed, self._restore_at(number, failed, tile, spare), scale)
            return
        for part in parts:
            result = self._attempt(number, part, tile)
            if isinstance(result, np.ndarray):
                _place(whole, kept, part, result, scale)
            else:
                self._restore_parts(number, kept, tile, part, self.plan.quarter(part), whole, result)

    def _restore_at(self, number: int, part: Tile, tile: Tile, session: Session) -> Planes:
        """Runs a tile, or a part of it, and repeats it in higher precision when the result is broken."""
        self.check_cancelled()
        window = read_tile(self.source, part, self.plan.wrap)
        own = _core(window, part, 1)
        precision = session.info.precision
        if precision in self._bad and (better := self._better()) is not None:
            session = better
        result = _core(session.run(window[np.newaxis])[0], part, session.info.scale)
        fault = find_fault(own, result)
        if fault and session.info.precision == precision and (better := self._better()) is not None:
            self._bad[precision] = None
            self._say(
                "precision",
                f"The model gave {fault} in {precision} at tile {number + 1} of {len(self.plan)}, so this and the "
                f"following tiles are computed in {better.info.precision}.",
            )
            self.check_cancelled()
            session = better
            result = _core(session.run(window[np.newaxis])[0], part, session.info.scale)
            fault = find_fault(own, result)
        if fault:
            if not np.isfinite(window).all():
                raise PellucidError(
                    Code.IMAGE_CORRUPT,
                    f"The picture holds samples that are no numbers, near column {tile.columns.start} and row "
                    f"{tile.rows.start}.",
                    tile=number,
                )
            raise PellucidError(
                Code.BAD_OUTPUT,
                f"The model gave {fault} at tile {number + 1} of {len(self.plan)}, computed in "
                f"{session.info.precision} by {session.info.backend}.",
                "The model file may be damaged, or not made for pictures like this one.",
                tile=number,
            )
        return result

    def _better(self) -> Session | None:
        """The session in higher precision, unless it would be on a device that is lost."""
        return None if self._lost else self._stronger.open()

    def _say(self, about: str, text: str) -> None:
        with self._lock:
            known = about in self._said
            self._said.add(about)
        if not known and self._on_notice is not None:
            self._on_notice(text)


def _memory_of(info: SessionInfo) -> str:
    return "The memory of this computer" if info.device == "cpu" else f"The memory of {info.device}"


def _interrupt(session: Session) -> None:
    if isinstance(session, Interruptible):
        session.interrupt()


class _Spare:
    """A session that is opened when first needed, by whichever thread comes first."""

    def __init__(self, factory: Callable[[], Session] | None) -> None:
        self._factory = factory
        self._lock = threading.Lock()
        self.opened: Session | None = None
        self.info: SessionInfo | None = None

    def open(self) -> Session | None:
        with self._lock:
            if self.opened is None and self._factory is not None:
                self.opened = self._factory()
                self.info = self.opened.info
            return self.opened

    def close(self) -> None:
        with self._lock:
            if self.opened is not None:
                self.opened.close()
                self.opened = None


def find_fault(source: Planes, result: Planes) -> str:
    """What is wrong with a tile's result, or "": (3, h, w) against (3, h * scale, w * scale), both 0..1.

    A result of one flat colour is wrong when more than a hundredth of the source differs from that colour by more than
    16/255: flat skies stay flat, and a speck that was removed is no fault.
    """
    low, high = result.min(axis=(1, 2)), result.max(axis=(1, 2))
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        return "values that are no numbers"
    if (high - low).max() > 1 / 1024 or source[0].size < _FEWEST_PIXELS_TO_JUDGE:
        return ""
    flat = ((high + low) / 2)[:, np.newaxis, np.newaxis]
    differing = (np.abs(source - flat) > 16 / 255).any(axis=0)
    return "a single flat colour" if differing.mean() > 0.01 else ""


def _may_be_flat(source: Pixels, result: Pixels) -> bool:
    """Whether `find_fault` could call the result flat: a few samples tell for nearly every tile."""
    steps = max(1, len(result) // 16), max(1, result.shape[1] // 16)
    if (np.ptp(result[:: steps[0], :: steps[1]], axis=(0, 1)) > 1).any():
        return False
    if np.ptp(result, axis=(0, 1)).max() > 1:
        return False
    before, after = (
        np.divide(pixels.transpose(2, 0, 1), np.float32(255), dtype=np.float32)
        # Rounding may have added the step that makes a difference: one colour stands for all.
        for pixels in (source, np.broadcast_to(result[:1, :1], result.shape))
    )
    return find_fault(before, after) != ""


class _PackedJoiner:
    """Joins finished tiles that are packed already, without blending."""

    def __init__(self, scale: int) -> None:
        self._scale = scale

    def kept(self, tile: Tile) -> Tile:
        return tile

    def join(self, rows: Span, parts: list[Pixels]) -> Iterator[tuple[int, Pixels]]:
        """Yields (top, (n, width * scale, 3))."""
        for top in range(0, len(parts[0]), _ROWS_A_BAND):
            pieces = [part[top : top + _ROWS_A_BAND] for part in parts]
            yield rows.start * self._scale + top, pieces[0] if len(pieces) == 1 else np.concatenate(pieces, axis=1)


class _Joiner:
    """Joins finished tiles to rows of the result; across each cut the two tiles may be blended over `2 * feather`."""

    def __init__(self, plan: Plan, feather: int, scale: int) -> None:
        self._plan = plan
        self._feather = feather
        self._scale = scale
        self._carry: Planes | None = None
        """The lower rows of the row of tiles before, already weighted, to which the next row is added."""

    def kept(self, tile: Tile) -> Tile:
        """The tile with its core grown by what is blended."""
        return Tile(self._grow(tile.rows, self._plan.rows.length), self._grow(tile.columns, self._plan.columns.length))

    def _grow(self, span: Span, length: int) -> Span:
        start = span.start - self._feather if span.start > 0 else span.start
        stop = span.stop + self._feather if span.stop < length else span.stop
        return Span(start, stop, span.read_start, span.read_stop)

    def join(self, rows: Span, parts: list[Planes]) -> Iterator[tuple[int, Planes]]:
        """Yields (top, (n, width * scale, 3)) of all rows that are final once this row of tiles is."""
        for top, planes in self._bands(rows, parts):
            yield top, planes.transpose(1, 2, 0)

    def _bands(self, rows: Span, parts: list[Planes]) -> Iterator[tuple[int, Planes]]:
        kept = self._grow(rows, self._plan.rows.length)
        shared = 2 * self._feather * self._scale
        above = shared if rows.start > 0 else 0
        below = shared if rows.stop < self._plan.rows.length else 0
        count = kept.core * self._scale
        if above:
            assert self._carry is not None
            fading_in = _ramp(above)[:, np.newaxis]
            yield kept.start * self._scale, self._carry + self._across(parts, 0, above) * fading_in
        for top in range(above, count - below, _ROWS_A_BAND):
            band = self._across(parts, top, min(top + _ROWS_A_BAND, count - below))
            yield kept.start * self._scale + top, band
        if below:
            self._carry = self._across(parts, count - below, count) * (1 - _ramp(below))[:, np.newaxis]

    def _across(self, parts: list[Planes], top: int, bottom: int) -> Planes:
        """Rows `top` to `bottom` of a row of tiles, side by side."""
        if len(parts) == 1:
            return parts[0][:, top:bottom]
        shared = 2 * self._feather * self._scale
        if not shared:
            return np.concatenate([part[:, top:bottom] for part in parts], axis=2)
        joined = np.empty((3, bottom - top, self._plan.columns.length * self._scale), dtype=np.float32)
        left = 0
        ramp = _ramp(shared)
        for number, part in enumerate(parts):
            piece = part[:, top:bottom]
            if number:
                joined[:, :, left : left + shared] *= 1 - ramp
                joined[:, :, left : left + shared] += piece[:, :, :shared] * ramp
                left += shared
                piece = piece[:, :, shared:]
            joined[:, :, left : left + piece.shape[2]] = piece
            left += piece.shape[2] - (shared if number < len(parts) - 1 else 0)
        return joined


def _ramp(count: int) -> npt.NDArray[np.float32]:
    """Weights of the tile that begins, at the centres of `count` pixels; the tile that ends has one minus these."""
    return ((np.arange(count) + 0.5) / count).astype(np.float32)


def _core(planes: Planes, tile: Tile, scale: int) -> Planes:
    """Cuts the halo off; a copy where the halo is large, so that the whole can be freed."""
    top = (tile.rows.start - tile.rows.read_start) * scale
    left = (tile.columns.start - tile.columns.read_start) * scale
    core = planes[:, top : top + tile.rows.core * scale, left : left + tile.columns.core * scale]
    return core.copy() if core.size < 0.8 * planes.size else core


def _core_of_pixels(pixels: Pixels, tile: Tile, scale: int) -> Pixels:
    top = (tile.rows.start - tile.rows.read_start) * scale
    left = (tile.columns.start - tile.columns.read_start) * scale
    return pixels[top : top + tile.rows.core * scale, left : left + tile.columns.core * scale]


def _place(whole: Planes, kept: Tile, part: Tile, result: Planes, scale: int) -> None:
    top = (part.rows.start - kept.rows.start) * scale
    left = (part.columns.start - kept.columns.start) * scale
    whole[:, top : top + result.shape[1], left : left + result.shape[2]] = result

"""Many jobs, one after the other, without waiting for each other's files: while one picture is in the network, the next
is being decoded and the one before is being written. One bad file never stops the rest.

Three threads: the opener, the caller of `run` (the network), and the writer. Every job that was submitted ends in
exactly one terminal event. While there is work that is not paused, the computer stays awake.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial

from engine.awake import Awake
from engine.errors import Cancelled as CancelledByUser
from engine.errors import Code, OutOfMemory, PellucidError
from engine.faults import record_fault
from engine.image.resample import Rows
from engine.mapped import GrowingPicture, MappedFiles
from engine.restore import AlreadyThere, Job, Restorer, Result, Samples, run_network
from engine.runtime.session import SessionInfo
from engine.wire import (
    Accepted,
    BandReady,
    Cancelled,
    Event,
    Failed,
    InHand,
    Notice,
    Progress,
    Restored,
    RestoreRequest,
    Skipped,
    Terminal,
)

PROGRESS_SECONDS = 0.1
"""Between two progress events of a job; also how often a paused job looks whether it may go on."""

_PIECE_BYTES = 16 << 20
_PIECES_WAITING = 4


@dataclass(slots=True)
class _Work:
    """An open job on its way through the network and onto the disk."""

    job: Job
    info: SessionInfo
    result: Result
    shown: GrowingPicture | None
    started: float
    """On the queue's clock of working time."""
    stopped: threading.Event = field(default_factory=threading.Event)
    """Set when the writer has failed: no further tile is worth computing."""

    @property
    def name(self) -> str:
        return self.job.request.job


_Piece = tuple[_Work, Rows | None]
"""Rows to write, or None: the picture is complete."""


class RestoreQueue:
    """Give it requests from any thread; `run` works them off in the calling thread."""

    def __init__(
        self, restorer: Restorer, emit: Callable[[Event], None], *, show_in: MappedFiles | None = None
    ) -> None:
        """`emit` is called from several threads, never from two at once. What it raises ends the queue: every other job
        is cancelled (and told so), and `run` raises it. `show_in`: where results can be watched."""
        self._restorer = restorer
        self._emit = emit
        self._emitting = threading.Lock()
        self._show_in = show_in
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._waiting: OrderedDict[str, RestoreRequest] = OrderedDict()
        self._known: set[str] = set()
        self._cancelled: set[str] = set()
        self._open: set[str] = set()
        self._closed = False
        self._paused = False
        self._holds = 0
        self._rested = 0.0
        self._rests_since: float | None = None
        self._runs = False
        self._awake = Awake("It restores pictures.")
        self._fault: BaseException | None = None
        self._opened: queue.Queue[Job | None] = queue.Queue(maxsize=1)
        self._pieces: queue.Queue[_Piece | None] = queue.Queue(maxsize=_PIECES_WAITING)

    def submit(self, request: RestoreRequest) -> None:
        self._restorer.expect(request.source)
        with self._changed:
            if request.job in self._known:
                raise PellucidError(Code.PROTOCOL, f"The job {request.job} has been given twice.")
            self._known.add(request.job)
            self._waiting[request.job] = request
            self._keep_awake()
            self._changed.notify_all()

    def cancel(self, job: str) -> None:
        """A waiting job ends at once, a running one after its tile; a finished one is not touched."""
        with self._changed:
            if self._waiting.pop(job, None) is not None:
                self._keep_awake()
                self._send(Cancelled(job=job))
            elif job in self._open:
                self._cancelled.add(job)
                self._changed.notify_all()

    def cancel_all(self) -> None:
        with self._changed:
            for job in [*self._waiting, *self._open]:
                self.cancel(job)

    def pause(self) -> None:
        """No new tile starts until `resume`."""
        with self._changed:
            self._paused = True
            self._note_rest()
            self._keep_awake()

    def resume(self) -> None:
        with self._changed:
            self._paused = False
            self._note_rest()
            self._keep_awake()
            self._changed.notify_all()

    @contextmanager
    def hold(self) -> Iterator[None]:
        """No new tile starts within: something else is more urgent."""
        with self._changed:
            self._holds += 1
            self._note_rest()
        try:
            yield
        finally:
            with self._changed:
                self._holds -= 1
                self._note_rest()
                self._changed.notify_all()

    def close(self) -> None:
        """No more jobs will come: `run` returns when all have ended."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def run(self) -> None:
        """Work until closed and empty. Raises what `emit` has raised first, once everything has ended."""
        opener = threading.Thread(target=self._open_jobs, name="opener", daemon=True)
        writer = threading.Thread(target=self._write_pieces, name="writer", daemon=True)
        with self._lock:
            self._runs = True
            self._keep_awake()
        opener.start()
        writer.start()
        try:
            while (job := self._opened.get()) is not None:
                self._run_network(job)
        except BaseException:
            # An interrupt in this thread ends the others too, and what they hold is cleaned up.
            self.close()
            self.cancel_all()
            while opener.is_alive():
                with suppress(queue.Empty):
                    if (job := self._opened.get(timeout=PROGRESS_SECONDS)) is not None:
                        self._end(Cancelled(job=job.request.job))
            raise
        finally:
            self._pieces.put(None)
            writer.join()
            self._awake.close()
        if self._fault is not None:
            raise self._fault

    # The opener's thread.

    def _open_jobs(self) -> None:
        try:
            while (request := self._take()) is not None:
                self._open_job(request)
        except BaseException as fault:
            self._stop(fault)
        finally:
            # The caller's thread waits for it.
            self._opened.put(None)

    def _open_job(self, request: RestoreRequest) -> None:
        self._send(InHand(job=request.job))
        try:
            opened = self._restorer.open(request)
        except Exception as failure:
            self._end(failed(request.job, failure))
            return
        if isinstance(opened, AlreadyThere):
            self._end(Skipped(job=request.job, target=str(opened.target), reason="The result is already there."))
        else:
            self._send(InHand(job=request.job, held=False))
            self._opened.put(opened)

    def _take(self) -> RestoreRequest | None:
        with self._changed:
            while not self._waiting:
                if self._closed:
                    return None
                self._changed.wait()
            job, request = self._waiting.popitem(last=False)
            self._open.add(job)
            return request

    # The caller's thread.

    def _run_network(self, job: Job) -> None:
        name, options = job.request.job, job.request.options
        work: _Work | None = None
        try:
            self.check(name)
            self._send(InHand(job=name))
            notices: list[str] = []
            session = self._restorer.session_for(job.model, options, bulk=True, notice=notices.append)
            work = _Work(job, session.info, Result(job), self._shown(job), self._clock())
            self._send(_accepted(work))
            for text in (*notices, *work.result.notices):
                self._send(Notice(job=name, text=text))
            size = job.width, job.height
            rows_onward = partial(self._hand_over, work)
            watch = _Watch(self, work)
            run_network(job.image, job.model, session, options, size, watch, rows_onward, bits=job.bits)
            self._pieces.put((work, None))
        except BaseException as failure:
            if work is not None:
                self._abandon(work)
            # When the writer failed it has told why; this end came of it.
            self._end(failed(name, failure))
            if not isinstance(failure, Exception):
                raise

    def _shown(self, job: Job) -> GrowingPicture | None:
        if self._show_in is None:
            return None
        channels = job.image.colour.shape[2] + (job.image.alpha is not None)
        try:
            return GrowingPicture(self._show_in, job.height, job.width, channels, job.image.metadata)
        except OSError:
            # The disk for temporary files is full, say: the result comes all the same, only nobody sees it grow.
            return None

    def _hand_over(self, work: _Work, rows: Rows) -> None:
        """In pieces of bounded size, so that a fast network never runs far ahead of a slow disk."""
        step = max(1, _PIECE_BYTES // max(1, rows[0].nbytes))
        for top in range(0, len(rows), step):
            if work.stopped.is_set():
                raise CancelledByUser
            self._pieces.put((work, rows[top : top + step]))

    def _abandon(self, work: _Work) -> None:
        """Wait until the writer holds nothing of this job, then remove what it has written."""
        self._pieces.join()
        work.result.abort()

    # The writer's thread.

    def _write_pieces(self) -> None:
        while (piece := self._pieces.get()) is not None:
            try:
                self._write_piece(*piece)
            except BaseException as fault:
                # It goes on taking pieces: the caller's thread waits until they are gone.
                self._stop(fault)
            finally:
                self._pieces.task_done()

    def _write_piece(self, work: _Work, rows: Rows | None) -> None:
        if work.stopped.is_set():
            return
        try:
            self.check(work.name, wait=False)
            if rows is None:
                self._finish(work)
            else:
                self._show(work, work.result.write(rows))
        except Exception as failure:
            work.stopped.set()
            with suppress(OSError):
                work.result.abort()
            self._end(failed(work.name, failure))

    def _show(self, work: _Work, samples: Samples) -> None:
        if (shown := work.shown) is None:
            return
        try:
            top, bottom = shown.add(samples)
        except OSError:
            work.shown = None
            return
        self._send(
            BandReady(
                job=work.name,
                pixels=str(shown.path),
                width=shown.width,
                height=shown.height,
                channels=shown.channels,
                top=top,
                bottom=bottom,
            )
        )

    def _finish(self, work: _Work) -> None:
        target = work.result.commit()
        job, seconds = work.job, self.seconds_of(work)
        self._end(
            Restored(
                job=work.name,
                target=str(target),
                width=job.width,
                height=job.height,
                seconds=seconds,
                megapixels_per_second=job.image.width * job.image.height / 1e6 / seconds,
                backend=work.info.backend,
                precision=work.info.precision,
                model=job.model.card.name,
            )
        )

    # From any thread.

    def check(self, job: str, *, wait: bool = True) -> None:
        """Raises Cancelled when the job is no longer wanted; first waits while the queue is paused or held."""
        with self._changed:
            while wait and (self._paused or self._holds) and job not in self._cancelled:
                self._changed.wait()
            if job in self._cancelled:
                raise CancelledByUser

    def seconds_of(self, work: _Work) -> float:
        """How long it has been worked on, without rests; never 0."""
        return max(1e-3, self._clock() - work.started)

    def _clock(self) -> float:
        """Seconds on a clock that stands still while the queue is paused or held."""
        with self._lock:
            now = time.perf_counter()
            return now - self._rested - (0.0 if self._rests_since is None else now - self._rests_since)

    def _note_rest(self) -> None:
        """Under the lock, whenever a rest may begin or end."""
        now = time.perf_counter()
        if self._paused or self._holds:
            if self._rests_since is None:
                self._rests_since = now
        elif self._rests_since is not None:
            self._rested += now - self._rests_since
            self._rests_since = None

    def _keep_awake(self) -> None:
        """Under the lock, whenever there may be work now, or none."""
        if self._runs and not self._paused and (self._waiting or self._open):
            self._awake.hold()
        else:
            self._awake.release()

    def _send(self, event: Event) -> None:
        try:
            with self._emitting:
                self._emit(event)
        except Exception as fault:
            self._stop(fault)

    def _stop(self, fault: BaseException) -> None:
        """Nobody listens any more, or a thread of ours has a fault: nothing further is begun."""
        with self._changed:
            if self._fault is not None:
                return
            self._fault = fault
            self.close()
            self.cancel_all()

    def _end(self, event: Terminal) -> None:
        with self._lock:
            if event.job not in self._open:
                return
            self._open.discard(event.job)
            self._cancelled.discard(event.job)
            self._keep_awake()
        self._restorer.end(event.job)
        self._send(event)


class _Watch:
    """What a running job tells the queue."""

    def __init__(self, owner: RestoreQueue, work: _Work) -> None:
        self._owner = owner
        self._work = work
        self._told = 0.0

    def tile_done(self, done: int, tiles: int) -> None:
        now = time.perf_counter()
        if now - self._told < PROGRESS_SECONDS and done < tiles:
            return
        self._told = now
        image, seconds = self._work.job.image, self._owner.seconds_of(self._work)
        self._owner._send(
            Progress(
                job=self._work.name,
                tiles_done=done,
                tiles=tiles,
                megapixels_per_second=image.width * image.height / 1e6 * done / tiles / seconds,
                seconds_left=seconds * (tiles - done) / done,
            )
        )

    def notice(self, text: str) -> None:
        self._owner._send(Notice(job=self._work.name, text=text))

    def cancelled(self) -> bool:
        try:
            self._owner.check(self._work.name)
        except CancelledByUser:
            return True
        return self._work.stopped.is_set()


def _accepted(work: _Work) -> Accepted:
    job = work.job
    return Accepted(
        job=work.name,
        width=job.image.width,
        height=job.image.height,
        out_width=job.width,
        out_height=job.height,
        backend=work.info.backend,
        device=work.info.device,
        precision=work.info.precision,
        model=job.model.card.name,
        target=str(job.target),
    )


def failed(job: str, failure: BaseException) -> Failed | Cancelled:
    """The terminal event that tells what ended a job."""
    if isinstance(failure, CancelledByUser | KeyboardInterrupt):
        return Cancelled(job=job)
    if isinstance(failure, MemoryError):
        failure = OutOfMemory("Memory ran out.", "Close other programs, or ask for a smaller size.")
    if not isinstance(failure, PellucidError):
        failure = record_fault(failure)
    return Failed(job=job, code=failure.code, message=failure.message, hint=failure.hint)

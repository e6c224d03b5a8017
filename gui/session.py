"""Restoring, as the window sees it: the queue, its worker, its journal on disk, and previews."""

from __future__ import annotations

import contextlib
import os
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import msgspec
from msgspec.structs import replace
from PySide6.QtCore import QElapsedTimer, QObject, QStandardPaths, QTimer, Signal
from PySide6.QtGui import QImage

from engine import wire
from gui import sentences
from gui import settings as settings_file
from gui.client import WorkerClient
from gui.naming import is_picture, pictures_below, results_place
from gui.settings import Settings
from gui.state import queue as queues
from gui.state.queue import Item, Queue, QueueMessage

IN_FLIGHT = 2
"""One runs, one is being opened: the worker never waits for the window."""
JOURNAL_MS = 400
PASTED = "pasted"
"""Folder of pasted pictures, below that of the journal."""
WALK_SECONDS = 1.0
"""What is still to be found in dropped folders when the window closes is looked for so long, then given up."""
PREVIEW_MS = 30
"""A slider moves faster than anybody sees: requests are spaced by this. The first goes at once, the last one always."""


class RestoreSession(QObject):
    queue_changed = Signal(object)
    band_came = Signal(object)
    preview_came = Signal(object)
    preview_failed = Signal(object)
    source_came = Signal(object)
    job_ended = Signal(object)
    """A wire.Terminal, after the queue took it in."""
    worker_changed = Signal(str)
    worker_ended = Signal(object)
    refused = Signal(list)
    """Paths that are no pictures."""
    results_left_out = Signal(list)
    """Pictures of a folder that are results of others there."""
    repeated = Signal(list)
    """Jobs of the list that were added once more, to be done in the same way, and stay one."""
    leftovers_changed = Signal()
    added = Signal(list)
    """Jobs that were just added."""
    all_done = Signal(object)
    """queues.Totals, when the last picture ended."""

    def __init__(
        self, settings: Settings, folder: Path, client: WorkerClient | None = None, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self.settings = settings
        self.default_model = ""
        """What an empty model name stands for, as the window shows it; empty: the worker chooses."""
        self.queue = Queue()
        self.client = client or WorkerClient(parent=self)
        self._folder = folder
        self._journal = folder / "queue.json"
        self.leftovers = self._read_journal()
        """What a crash, a power cut or a closed window left undone. It stays in the journal until the user has chosen,
        whatever else is queued; a picture whose drive is not there now may be wanted when it is."""
        self._walks: list[_Walk] = []
        self._names: dict[str, str] = {}
        """Picture -> what its present attempt is called towards the worker: words of an older one are not mixed up."""
        self._pictures: dict[str, str] = {}
        """The reverse."""
        self._previews: dict[str, wire.PreviewRequest] = {}
        self._preview_jobs: set[str] = set()
        self._source_jobs: set[str] = set()
        self.client.happened.connect(self._happened)
        self.client.returned.connect(self._returned)
        self.client.suspected.connect(self._suspected)
        self.client.state_changed.connect(self._worker_changed)
        self.client.ended.connect(self.worker_ended)
        self._walk_timer = _timer(self, 0, self._walk)
        self._journal_timer = _timer(self, JOURNAL_MS, self.write_journal)
        self._preview_timer = _timer(self, 0, self._send_previews)
        self._preview_clock = QElapsedTimer()
        self._stopped = False

    def take_up_leftovers(self) -> None:
        leftovers, self.leftovers = self.leftovers, ()
        self._add_items(leftovers)
        self.pause(False)

    def forget_leftovers(self) -> None:
        self.leftovers = ()
        self.write_journal()

    def add_paths(self, paths: Iterable[str]) -> None:
        """Files at once, folders bit by bit."""
        refused: list[str] = []
        files: list[str] = []
        for path in paths:
            if os.path.isdir(path):  # noqa: PTH112 - the path comes as text and stays text
                self._walks.append(_Walk(path, self.settings.output_folder))
            elif is_picture(path) and os.path.isfile(path):  # noqa: PTH113
                files.append(path)
            else:
                refused.append(path)
        if files:
            self.add_items([_item(path) for path in files])
        if self._walks and not self._walk_timer.isActive():
            self._walk_timer.start()
        if refused:
            self.refused.emit(refused)

    def add_image(self, image: QImage) -> bool:
        """A pasted picture, kept in a file of its own. False: it could not be written."""
        folder = self._folder / PASTED
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / time.strftime("pasted %Y-%m-%d %H-%M-%S.png")
        number = 1
        while path.exists():
            number += 1
            path = folder / time.strftime(f"pasted %Y-%m-%d %H-%M-%S ({number}).png")
        if not image.save(str(path)):
            return False
        self.add_paths([str(path)])
        return True

    def add_items(self, items: Iterable[Item]) -> None:
        repeated = self._add_items(items)
        if repeated:
            self.repeated.emit(repeated)

    def _add_items(self, items: Iterable[Item]) -> list[str]:
        """Jobs of the list that are one with some of `items`."""
        fresh, repeated = queues.new_and_repeated(self.queue, items, self._goal)
        if fresh:
            self._take_off_offer(fresh)
            self.apply(queues.Added(tuple(fresh)))
            self.added.emit([item.job for item in fresh])
        return repeated

    def _goal(self, item: Item) -> queues.Goal:
        options = self._named(item.options or self.settings.options)
        return item.source, self.settings.output_folder if item.folder is None else item.folder, options

    def _take_off_offer(self, items: Iterable[Item]) -> None:
        """What is in the list is no leftover any more."""
        if not self.leftovers:
            return
        goals = {self._goal(item) for item in items}
        kept = tuple(item for item in self.leftovers if self._goal(item) not in goals)
        if len(kept) < len(self.leftovers):
            self.leftovers = kept
            self.leftovers_changed.emit()

    def remove(self, jobs: frozenset[str]) -> None:
        self.cancel(jobs)
        self.apply(queues.Removed(jobs))

    def cancel(self, jobs: frozenset[str]) -> None:
        for item in self.queue.items:
            if item.job in jobs and item.state in ("sent", "running"):
                self.client.send(wire.Cancel(job=self._names.get(item.job, "")))
        self.apply(queues.Withdrawn(jobs))

    def retry(self, jobs: frozenset[str]) -> None:
        if self.client.state == "broken":
            self.client.try_again()
        self.apply(queues.Requeued(jobs & {i.job for i in self.queue.items if i.state in queues.RETRYABLE}))
        self.pause(False)

    def pause(self, paused: bool) -> None:
        if paused != self.queue.paused and self.client.state == "ready":
            self.client.send(wire.Pause() if paused else wire.Resume())
        self.apply(queues.PausedByUser(paused))

    def apply(self, message: QueueMessage) -> None:
        """Take in `message`, tell the views, and send what can be sent."""
        changed = queues.reduce(self.queue, message)
        if changed is not self.queue:
            self.queue = changed
            self.queue_changed.emit(changed)
            if not (isinstance(message, wire.Progress) or self._journal_timer.isActive() or self._stopped):
                self._journal_timer.start()
        self._send_next()

    def ask_preview(self, view: str, source: str, region: wire.Region, options: wire.RestoreOptions) -> str:
        """The job's name. A newer request for the same view makes this one obsolete."""
        job = uuid.uuid4().hex
        options = self._named(options)
        self._previews[view] = wire.PreviewRequest(job=job, view=view, source=source, region=region, options=options)
        if not self._preview_timer.isActive():
            rested = self._preview_clock.elapsed() if self._preview_clock.isValid() else PREVIEW_MS
            self._preview_timer.start(max(0, PREVIEW_MS - rested))
        return job

    def ask_source(self, source: str, longest: int = 0) -> str:
        job = uuid.uuid4().hex
        self._source_jobs.add(job)
        self.client.send(wire.SourceRequest(job=job, source=source, longest=longest))
        return job

    def write_journal(self, *, sync: bool = False) -> None:
        """`sync`: not while people look at the window, as the disk may be busy."""
        try:
            unfinished = self.leftovers + queues.unfinished(self.queue)
            if unfinished:
                kept = queues.to_keep(unfinished, self._goal)
                settings_file.write_whole(self._journal, queues.to_journal(kept), sync=sync)
            else:
                self._journal.unlink(missing_ok=True)
        except OSError:
            return  # A full or read-only disk must not stop the restoring: the queue is only not kept.

    def stop(self) -> None:
        """At the end of the application. Blocks for moments; nothing is taken in or written any more."""
        self._stopped = True
        self._walk_timer.stop()
        self._preview_timer.stop()
        self._journal_timer.stop()
        deadline = time.monotonic() + WALK_SECONDS
        while self._walks and time.monotonic() < deadline:
            self._walk()
        # First of all: whoever ends the session of the desktop may not wait for the worker.
        self.write_journal(sync=True)
        before = self.queue
        for event in self.client.stop():
            if (job := self._pictures.get(event.job)) is not None:
                self.queue = queues.reduce(self.queue, replace(event, job=job))
        if self.queue is not before:
            self.write_journal(sync=True)

    def _read_journal(self) -> tuple[Item, ...]:
        """A damaged journal is moved aside."""
        try:
            return queues.to_keep(queues.from_journal(self._journal.read_bytes()), self._goal)
        except FileNotFoundError:
            return ()
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            with contextlib.suppress(OSError):
                self._journal.replace(self._journal.with_suffix(".damaged"))
            return ()

    def _send_previews(self) -> None:
        previews, self._previews = self._previews, {}
        self._preview_clock.start()
        for request in previews.values():
            self._preview_jobs.add(request.job)
            self.client.send(request)

    def _walk(self) -> None:
        walk = self._walks[0]
        found = next(walk.pictures, None)
        if found is None:
            self._walks.pop(0)
            if walk.repeated:
                self.repeated.emit(walk.repeated)
            if walk.results:
                self.results_left_out.emit([path for path, _original in walk.results])
        else:
            walk.repeated += self._add_items(_item(path, walk.folder) for path in found)
        if self._walks and not self._stopped:
            self._walk_timer.start()

    def _send_next(self) -> None:
        while (
            self.client.state not in ("broken", "stopped")
            and not self._stopped
            and (item := queues.next_to_send(self.queue, IN_FLIGHT)) is not None
        ):
            _source, folder, options = self._goal(item)
            target, root = results_place(folder, *self.place_of(item))
            self._take_off_offer([item])
            self.queue = queues.reduce(self.queue, queues.Sent(item.job, options, folder))
            self.queue_changed.emit(self.queue)
            name = self._rename(item.job)
            self.client.send(
                wire.RestoreRequest(job=name, source=item.source, target=target, root=root, options=options)
            )

    def _named(self, options: wire.RestoreOptions) -> wire.RestoreOptions:
        return options if options.model else replace(options, model=self.default_model)

    def place_of(self, item: Item) -> tuple[str, str]:
        """The file whose neighbourhood the result belongs to, and the folder that was dropped, if one was.

        A pasted picture lies in a place of ours that nobody looks into: its result goes to the user's pictures.
        """
        if Path(item.source).parent != self._folder / PASTED:
            return item.source, item.root
        home = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.PicturesLocation) or str(Path.home())
        return str(Path(home) / Path(item.source).name), ""

    def _rename(self, job: str) -> str:
        self._pictures.pop(self._names.get(job, ""), None)
        name = uuid.uuid4().hex
        self._names[job], self._pictures[name] = name, job
        return name

    def _returned(self, name: str) -> None:
        job = self._pictures.get(name)
        if job is not None:
            self.apply(queues.Requeued(frozenset({job})))

    def _suspected(self, crashed: wire.Crashed) -> None:
        """It is tried again with no other beside it; who ends a worker then has ended it."""
        item = queues.find(self.queue, self._pictures.get(crashed.job, ""))
        if item is not None and item.alone:
            self._happened(crashed)
        elif item is not None:
            self.apply(queues.Requeued(frozenset({item.job}), alone=True))

    def _happened(self, event: wire.Event) -> None:
        job = getattr(event, "job", "")
        if job in self._source_jobs:
            self._source_jobs.discard(job)
            self.source_came.emit(event)
        elif isinstance(event, wire.PreviewReady):
            self._preview_jobs.discard(event.job)
            self.preview_came.emit(event)
        elif job in self._preview_jobs:
            if isinstance(event, wire.Terminal):
                self._preview_jobs.discard(job)
                if isinstance(event, wire.Failed):
                    self.preview_failed.emit(event)
        elif job in self._pictures and not isinstance(event, wire.Ready):
            self._restoring(replace(event, job=self._pictures[job]))

    def _restoring(self, event: wire.Event) -> None:
        """News of a picture of the queue, under the picture's own name."""
        if isinstance(event, wire.BandReady):
            self.band_came.emit(event)
        else:
            event = sentences.failure(event) if isinstance(event, wire.Failed) else event
            self.apply(event)
            if isinstance(event, wire.Terminal):
                self.job_ended.emit(event)
                if not any(item.state in queues.UNFINISHED for item in self.queue.items):
                    self.all_done.emit(queues.totals(self.queue))

    def _worker_changed(self, state: str) -> None:
        if state == "off":
            self._preview_jobs.clear()
            QTimer.singleShot(0, self._send_next)
        elif state == "ready" and self.queue.paused:
            self.client.send(wire.Pause())  # before the pictures that were given to it while it started
        self.worker_changed.emit(state)

    def with_options(self, options: wire.RestoreOptions) -> None:
        self.settings = replace(self.settings, options=options)


class _Walk:
    """One dropped folder, whose pictures come bit by bit."""

    def __init__(self, folder: str, left_out: str) -> None:
        self.folder = folder
        self.results: list[tuple[str, str]] = []
        """Pictures that are results of others there, with their originals."""
        self.repeated: list[str] = []
        """Jobs of the list that are one with pictures of the folder."""
        self.pictures: Iterator[list[str]] = pictures_below(folder, left_out=left_out, results=self.results)


def _item(path: str, root: str = "") -> Item:
    return Item(job=uuid.uuid4().hex, source=os.path.abspath(path), root=root)  # noqa: PTH100 - keeps links as named


def _timer(parent: QObject, milliseconds: int, call: Callable[[], None]) -> QTimer:
    timer = QTimer(parent)
    timer.setSingleShot(True)
    timer.setInterval(milliseconds)
    timer.timeout.connect(call)
    return timer

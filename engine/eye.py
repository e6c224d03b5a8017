"""What a window wants to see at once: a region restored before the whole is, and pictures it cannot decode itself.

The newest wish for a view wins: older ones for the same view end as cancelled, also in the middle. While a wish is
being worked on, the queue starts no new tile, so that the eye never waits for a long job.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from engine.errors import Cancelled as CancelledByUser
from engine.errors import Code, PellucidError
from engine.image.buffer import ImageBuffer
from engine.image.colour import for_the_eye
from engine.image.decode import read_image
from engine.image.resample import resample
from engine.mapped import MappedFiles, Pixels8, eight_bit
from engine.queue import RestoreQueue, failed
from engine.restore import Restorer, Unwatched, restore_pixels
from engine.wire import Cancelled, Event, InHand, PreviewReady, PreviewRequest, Region, SourceReady, SourceRequest

Wish = PreviewRequest | SourceRequest


class Eye:
    """Give it wishes from any thread; its own thread answers them."""

    def __init__(
        self, restorer: Restorer, emit: Callable[[Event], None], files: MappedFiles, queue: RestoreQueue
    ) -> None:
        self._restorer = restorer
        self._send = emit
        self._files = files
        self._queue = queue
        self._changed = threading.Condition()
        self._waiting: OrderedDict[str, Wish] = OrderedDict()
        self._stale: set[str] = set()
        self._current: Wish | None = None
        self._closed = False
        self._last: tuple[tuple[str, int, float], ImageBuffer] | None = None
        self._thread = threading.Thread(target=self._work, name="eye", daemon=True)
        self._thread.start()

    def submit(self, wish: Wish) -> None:
        with self._changed:
            for older in [*self._waiting.values(), self._current]:
                if isinstance(older, PreviewRequest) and isinstance(wish, PreviewRequest) and older.view == wish.view:
                    self.cancel(older.job)
            self._waiting[wish.job] = wish
            self._changed.notify_all()

    def cancel(self, job: str) -> None:
        with self._changed:
            if self._waiting.pop(job, None) is not None:
                self._send(Cancelled(job=job))
            elif self._current is not None and self._current.job == job:
                self._stale.add(job)

    def close(self) -> None:
        """End what is waiting and running, and wait for it."""
        with self._changed:
            self._closed = True
            for job in [*self._waiting, *([self._current.job] if self._current else [])]:
                self.cancel(job)
            self._changed.notify_all()
        self._thread.join()

    def _work(self) -> None:
        while (wish := self._take()) is not None:
            with self._queue.hold():
                self._send(InHand(job=wish.job))
                try:
                    self._send(self._answer(wish))
                except Exception as failure:
                    self._send(failed(wish.job, failure))
            with self._changed:
                self._current = None
                self._stale.discard(wish.job)

    def _take(self) -> Wish | None:
        with self._changed:
            while not self._waiting:
                if self._closed:
                    return None
                self._changed.wait()
            # Previews first: a list of thumbnails can wait.
            previews = [job for job, wish in self._waiting.items() if isinstance(wish, PreviewRequest)]
            self._current = self._waiting.pop(previews[0] if previews else next(iter(self._waiting)))
            return self._current

    def _answer(self, wish: Wish) -> PreviewReady | SourceReady:
        return self._preview(wish) if isinstance(wish, PreviewRequest) else self._source(wish)

    def _preview(self, wish: PreviewRequest) -> PreviewReady:
        started = time.perf_counter()
        image = self._read(wish.source, wish.options.max_megapixels)
        region = _inside(wish.region, image)
        model = self._restorer.model_for(wish.options)
        session = self._restorer.session_for(model, wish.options)
        # Context around the region, so that it looks exactly as it will in the whole picture.
        margin = session.info.halo if wish.options.halo is None else wish.options.halo
        around, offset_x, offset_y = _grown(region, margin, image)
        watch = _StaleWatch(self._stale, wish.job)
        restored = restore_pixels(_cut(image, around), model, session, wish.options, watch)
        scale = session.info.scale
        x, y = offset_x * scale, offset_y * scale
        pixels = _samples(for_the_eye(restored))[y : y + region.height * scale, x : x + region.width * scale]
        if wish.job in self._stale:
            raise CancelledByUser
        height, width, channels = pixels.shape
        return PreviewReady(
            job=wish.job,
            view=wish.view,
            pixels=str(self._files.keep(pixels)),
            width=width,
            height=height,
            channels=channels,
            region=region,
            scale=scale,
            seconds=time.perf_counter() - started,
        )

    def _source(self, wish: SourceRequest) -> SourceReady:
        image = for_the_eye(self._read(wish.source, wish.max_megapixels))
        pixels = _samples(image)
        if 0 < wish.longest < max(image.height, image.width):
            factor = wish.longest / max(image.height, image.width)
            size = max(1, round(image.height * factor)), max(1, round(image.width * factor))
            shrunk = resample(pixels.astype(np.float32), *size, "bicubic")
            pixels = np.rint(np.clip(shrunk, 0, 255)).astype(np.uint8)
        height, width, channels = pixels.shape
        return SourceReady(
            job=wish.job,
            pixels=str(self._files.keep(pixels)),
            width=width,
            height=height,
            channels=channels,
            full_width=image.width,
            full_height=image.height,
        )

    def _read(self, source: str, max_megapixels: float) -> ImageBuffer:
        """The picture decoded last stays, because the eye lingers."""
        path = Path(source)
        try:
            facts = path.stat()
        except OSError as error:
            raise PellucidError(Code.FILE_MISSING, f"{source} cannot be opened: {error.strerror}.") from error
        key = (source, facts.st_size, facts.st_mtime)
        if self._last is None or self._last[0] != key:
            self._last = None
            self._last = (key, read_image(path, max_megapixels=max_megapixels))
        return self._last[1]


def _inside(region: Region, image: ImageBuffer) -> Region:
    left, top = max(0, region.x), max(0, region.y)
    right, bottom = min(image.width, region.x + region.width), min(image.height, region.y + region.height)
    if left >= right or top >= bottom:
        raise PellucidError(Code.USAGE, f"The region {region.width} x {region.height} lies outside the picture.")
    return Region(left, top, right - left, bottom - top)


def _grown(region: Region, margin: int, image: ImageBuffer) -> tuple[Region, int, int]:
    """The region with `margin` pixels around it where there are any, and where the region begins inside it."""
    left, top = max(0, region.x - margin), max(0, region.y - margin)
    right = min(image.width, region.x + region.width + margin)
    bottom = min(image.height, region.y + region.height + margin)
    return Region(left, top, right - left, bottom - top), region.x - left, region.y - top


def _cut(image: ImageBuffer, region: Region) -> ImageBuffer:
    rows, columns = slice(region.y, region.y + region.height), slice(region.x, region.x + region.width)
    return replace(
        image, colour=image.colour[rows, columns], alpha=None if image.alpha is None else image.alpha[rows, columns]
    )


def _samples(image: ImageBuffer) -> Pixels8:
    if image.alpha is None:
        return eight_bit(image.colour)
    return eight_bit(np.concatenate([image.colour, image.alpha[:, :, None]], axis=2))


class _StaleWatch(Unwatched):
    """Ends a preview that a newer one has overtaken."""

    def __init__(self, stale: set[str], job: str) -> None:
        self._stale = stale
        self._job = job

    def cancelled(self) -> bool:
        return self._job in self._stale

"""The window's side of the picture process: asks for thumbnails, decoded pictures and halvings, by callback."""

from __future__ import annotations

import contextlib
import itertools
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import msgspec
from PySide6.QtCore import QObject, Signal

from gui.imaging import messages
from gui.imaging.picture import Picture
from gui.imaging.pyramid import create_levels
from gui.process import LineProcess, Outcome
from gui.program import process_command

Answered = Callable[[messages.Reply], None]
IN_FLIGHT = 8
"""Requests the process holds at once; the rest waits here, where it can be reordered."""


def picture_program() -> list[str]:
    return process_command("gui.imaging.process")


class PictureClient(QObject):
    """One picture process, started when first needed and again after a crash.

    A file that was being read when the process died is answered `Unreadable`, and the rest goes on.
    """

    thumbnail_made = Signal(str, object)
    """Key and ThumbnailMade or Unreadable."""

    def __init__(self, folder: Path, program: list[str] | None = None, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._program = program or picture_program()
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = Path(tempfile.mkdtemp(prefix="view-", dir=folder))
        self._process: LineProcess | None = None
        self._answers: dict[str, Answered] = {}
        self._given: dict[str, messages.Request] = {}
        self._waiting: list[messages.Request] = []
        self._numbers = itertools.count()
        self._stopped = False

    def thumbnail(self, key: str, path: str, side: int) -> None:
        self._ask(
            messages.Thumbnail(key=f"t{next(self._numbers)}", path=path, side=side),
            lambda reply: self.thumbnail_made.emit(key, reply),
        )

    def decode(self, path: str, done: Callable[[Picture | None, str], None]) -> None:
        """`done` gets the picture, or None and why; it is not called when a newer request made this one obsolete."""
        number = next(self._numbers)
        pixels, levels = self._folder / f"{number}.raw", self._folder / f"{number}.levels"

        def answer(reply: messages.Reply) -> None:
            if isinstance(reply, messages.Decoded):
                picture = Picture(pixels, reply.width, reply.height, reply.channels, levels)
                done(picture, "")
            elif isinstance(reply, messages.Unreadable):
                done(None, reply.reason)
            _unlink(pixels, levels)

        self._waiting = [request for request in self._waiting if not isinstance(request, messages.Decode)]
        self._ask(messages.Decode(key=f"d{number}", path=path, pixels=str(pixels), levels=str(levels)), answer)

    def follow(self, pixels: str, width: int, height: int, channels: int) -> GrowingPicture:
        """A picture that another process is writing: tell it of new rows by `GrowingPicture.rows_came`."""
        levels = self._folder / f"{next(self._numbers)}.levels"
        create_levels(levels, width, height, channels)
        picture = Picture(Path(pixels), width, height, channels, levels)
        picture.ready_rows = 0
        return GrowingPicture(self, picture, pixels, str(levels))

    def shrink(self, growing: GrowingPicture, top: int, bottom: int, done: Callable[[], None]) -> None:
        picture = growing.picture
        self._ask(
            messages.Shrink(
                key=f"s{next(self._numbers)}",
                pixels=growing.pixels,
                levels=growing.levels,
                width=picture.width,
                height=picture.height,
                channels=picture.channels,
                top=top,
                bottom=bottom,
            ),
            lambda _reply: done(),
        )

    def stop(self) -> None:
        """At the end of the application. Blocks for a moment."""
        self._stopped = True
        process, self._process = self._process, None
        if process is not None:
            process.ended.disconnect(self._ended)
            process.end(Outcome("stopped"))
            process.wait(3000)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _ask(self, request: messages.Request, answer: Answered) -> None:
        if self._stopped:
            return
        self._answers[request.key] = answer
        if isinstance(request, messages.Thumbnail):
            self._waiting.append(request)
        else:
            self._give(request)
        self._give_more()

    def _give_more(self) -> None:
        while self._waiting and len(self._given) < IN_FLIGHT:
            self._give(self._waiting.pop(0))

    def _give(self, request: messages.Request) -> None:
        if self._process is None:
            process = LineProcess(self._program, self)
            process.line.connect(self._line)
            process.ended.connect(self._ended)
            self._process = process
            process.start()
        self._given[request.key] = request
        self._process.write(messages.encode(request))

    def _line(self, line: bytes) -> None:
        try:
            reply = messages.decode_reply(line)
        except msgspec.DecodeError:
            return
        self._given.pop(reply.key, None)
        answer = self._answers.pop(reply.key, None)
        if answer is not None:
            answer(reply)
        self._give_more()

    def _ended(self, outcome: Outcome) -> None:
        """What it was working on cannot be known exactly: all that it held is answered, the rest is asked anew."""
        process, self._process = self._process, None
        if process is not None:
            process.deleteLater()
        given, self._given = self._given, {}
        for key in given:
            answer = self._answers.pop(key, None)
            if answer is not None:
                answer(messages.Unreadable(key=key, reason=outcome.sentence()))
        if outcome.ending != "not-started":
            self._give_more()


class GrowingPicture:
    """A result that appears band by band."""

    def __init__(self, client: PictureClient, picture: Picture, pixels: str, levels: str) -> None:
        self._client = client
        self.picture = picture
        self.pixels = pixels
        self.levels = levels

    def rows_came(self, top: int, bottom: int, shown: Callable[[], None]) -> None:
        """`shown` is called when the rows can be drawn at every zoom."""

        def done() -> None:
            self.picture.ready_rows = max(self.picture.ready_rows, bottom)
            shown()

        self._client.shrink(self, top, bottom, done)


def _unlink(*paths: Path) -> None:
    for path in paths:
        with contextlib.suppress(OSError):
            path.unlink()

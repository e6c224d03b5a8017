"""The window's side of the picture process: asks for thumbnails, decoded pictures and halvings, by callback."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import tempfile
import weakref
from collections.abc import Callable
from pathlib import Path

import msgspec
import psutil
from PySide6.QtCore import QCoreApplication, QObject, Signal

from engine.partial import machine_tag
from engine.undecodable import holds_undecodable, spell_out
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
        _remove_orphans(folder)
        self._folder = Path(tempfile.mkdtemp(prefix=f"view-{machine_tag()}-{os.getpid()}-", dir=folder))
        self._process: LineProcess | None = None
        self._answers: dict[str, Answered] = {}
        self._given: dict[str, messages.Request] = {}
        self._waiting: list[messages.Request] = []
        self._numbers = itertools.count()
        self._followed: list[tuple[weakref.ref[GrowingPicture], Path]] = []
        """Pictures of others and the files of their halvings, which go when nobody asks for fresh rows any more."""
        self._outdated: list[Path] = []
        """Files to delete. Windows deletes none that is still shown: those are tried again."""
        self._stopped = False

    def thumbnail(self, key: str, path: str, side: int) -> None:
        self._ask(
            messages.Thumbnail(key=f"t{next(self._numbers)}", path=path, side=side),
            lambda reply: self.thumbnail_made.emit(key, reply),
        )

    def decode(self, path: str, done: Callable[[Picture | None, str], None]) -> None:
        """`done` gets the picture, or None and why; it is not called when a newer request made this one obsolete."""
        self._delete_outdated()
        number = next(self._numbers)
        pixels, levels = self._folder / f"{number}.raw", self._folder / f"{number}.levels"

        def answer(reply: messages.Reply) -> None:
            if isinstance(reply, messages.Decoded):
                picture = Picture(pixels, reply.width, reply.height, reply.channels, levels)
                done(picture, "")
            elif isinstance(reply, messages.Unreadable):
                done(None, reply.reason)
            self._outdated += (pixels, levels)
            self._delete_outdated()

        self._waiting = [request for request in self._waiting if not isinstance(request, messages.Decode)]
        self._ask(messages.Decode(key=f"d{number}", path=path, pixels=str(pixels), levels=str(levels)), answer)

    def follow(self, pixels: str, width: int, height: int, channels: int) -> GrowingPicture:
        """A picture that another process is writing: tell it of new rows by `GrowingPicture.rows_came`."""
        self._delete_outdated()
        levels = self._folder / f"{next(self._numbers)}.levels"
        try:
            create_levels(levels, width, height, channels)
            picture = Picture(Path(pixels), width, height, channels, levels)
        except (OSError, ValueError):
            self._outdated.append(levels)
            raise
        picture.ready_rows = 0
        growing = GrowingPicture(self, picture, pixels, str(levels))
        self._followed.append((weakref.ref(growing), levels))
        return growing

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
            process.end_for_good()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _delete_outdated(self) -> None:
        self._outdated += [levels for growing, levels in self._followed if growing() is None]
        self._followed = [(growing, levels) for growing, levels in self._followed if growing() is not None]
        self._outdated = [path for path in self._outdated if not _deleted(path)]

    def _ask(self, request: messages.Request, answer: Answered) -> None:
        if self._stopped:
            return
        if not isinstance(request, messages.Shrink) and holds_undecodable(request.path):
            # Qt opens no file of such a name.
            answer(messages.Unreadable(key=request.key, reason=spell_out(request.path)))
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
                answer(messages.Unreadable(key=key, reason=_why_unread(outcome)))
        if outcome.ending != "not-started":
            self._give_more()


class GrowingPicture:
    """A result that appears band by band. Its halvings' file is deleted once nobody holds this; `picture` lives on."""

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


def _why_unread(outcome: Outcome) -> str:
    """For people: how the process ended that was reading a picture for the eye; the restoring knows nothing of it."""
    signal, code = outcome.signal, outcome.exit_code
    match outcome.ending:
        case "not-started":
            text = _tr("The process that reads pictures for the screen could not be started: {detail}.")
            return text.format(detail=outcome.detail)
        case "crashed" if signal in ("SIGKILL", "SIGTERM"):
            text = _tr(
                "The process that reads pictures for the screen was ended from outside ({signal}), most often because "
                "memory ran out."
            )
            return text.format(signal=signal)
        case "crashed":
            return _tr("The process that reads pictures for the screen crashed ({signal}).").format(signal=signal)
        case "ended":
            return _tr("The process that reads pictures for the screen ended by itself with code {code}.").format(
                code=code
            )
        case _:
            return _tr("The process that reads pictures for the screen wrote without end, so it was ended.")


def _tr(text: str) -> str:
    return QCoreApplication.translate("PictureClient", text)


def _deleted(path: Path) -> bool:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return False
    return True


_VIEW_FOLDER = re.compile(r"view-(?P<machine>[0-9a-f]{8})-(?P<process>\d+)-.+")


def _remove_orphans(folder: Path) -> None:
    """Folders of windows of this machine that were killed: they may hold gigabytes."""
    for view in folder.glob("view-*"):
        match = _VIEW_FOLDER.fullmatch(view.name)
        if match and match["machine"] == machine_tag() and not psutil.pid_exists(int(match["process"])):
            shutil.rmtree(view, ignore_errors=True)

"""The run folder: who works on it, what has happened, what was asked for, what was saved.

Layout and messages are in `engine.wire_training`. One process at a time owns a run: it holds the lock file locked for
as long as it lives, so a crash, a `kill -9` or a power cut frees the run by itself.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, Self

import msgspec
import psutil

from engine.errors import Code, PellucidError
from engine.whole_file import sync_folder, unwritable, write_whole
from engine.wire_training import (
    CHECKPOINTS_FOLDER,
    CONFIG_FILE,
    CONTROL_FOLDER,
    EVENTS_FILE,
    LOCK_FILE,
    MODELS_FOLDER,
    PREVIEWS_FOLDER,
    RESERVE_FILE,
    Command,
    Event,
    LockInfo,
    TrainingConfig,
    decode_command,
    decode_event,
    decode_lock,
    encode_command,
    encode_event,
    encode_lock,
    format_config,
    parse_config,
)

if TYPE_CHECKING:
    from trainer.checkpoint import State

HEARTBEAT_SECONDS = 2.0
RESERVE_BYTES = 256 << 10
"""Space set aside while a run is at work, so that a full disk can still be told of in its events."""
LOCK_SECONDS = 2.0
"""How long to wait for a lock that may only be looked at, or belong to a process that is just dying."""


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Paths of a run, and what can be read from them without owning the run."""

    path: Path

    @property
    def checkpoints(self) -> Path:
        return self.path / CHECKPOINTS_FOLDER

    @property
    def models(self) -> Path:
        return self.path / MODELS_FOLDER

    @property
    def previews(self) -> Path:
        return self.path / PREVIEWS_FOLDER

    @property
    def events_file(self) -> Path:
        return self.path / EVENTS_FILE

    @property
    def control(self) -> Path:
        return self.path / CONTROL_FOLDER

    @property
    def lock_file(self) -> Path:
        return self.path / LOCK_FILE

    @property
    def reserve_file(self) -> Path:
        return self.path / RESERVE_FILE

    def exists(self) -> bool:
        return (self.path / CONFIG_FILE).is_file()

    def create(self, config: TrainingConfig) -> None:
        """Make the folder and write the configuration, once and for all."""
        if self.exists():
            raise PellucidError(
                Code.USAGE,
                f"{self.path} already holds a run.",
                f"Go on with it by: pellucid train --resume {self.path}; or choose another folder with --run.",
                path=str(self.path),
            )
        self._make_folders()
        text = format_config(config).encode()
        write_whole(self.path / CONFIG_FILE, lambda temporary: temporary.write_bytes(text))

    def _make_folders(self) -> None:
        try:
            for folder in (self.path, self.checkpoints, self.models, self.previews, self.control):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise unwritable(Path(error.filename or self.path), error) from error

    def config(self) -> TrainingConfig:
        path = self.path / CONFIG_FILE
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError as error:
            raise PellucidError(
                Code.FILE_MISSING,
                f"{self.path} is not a run: it has no {CONFIG_FILE}.",
                "List runs with: pellucid runs list.",
                path=str(self.path),
            ) from error
        except (OSError, UnicodeDecodeError) as error:
            raise PellucidError(Code.FILE_UNREADABLE, f"{path} cannot be read: {error}.", path=str(path)) from error
        return parse_config(text, str(path))

    def owner(self) -> LockInfo | None:
        """Who works on the run at this moment; None: nobody."""
        try:
            with self.lock_file.open("rb") as file:
                text = file.read(4096)
                if not _is_locked(file):
                    return None
        except OSError:
            return None
        try:
            return decode_lock(text)
        except msgspec.DecodeError:
            return LockInfo(pid=0, started=0.0, host="", device="", heartbeat=0.0)

    def events(self, offset: int = 0) -> Iterator[tuple[Event, int]]:
        """Each whole event from byte `offset` on, with the offset behind it. Lines that are none are passed over."""
        try:
            with self.events_file.open("rb") as file:
                file.seek(offset)
                for line in file:
                    if not line.endswith(b"\n"):
                        return
                    offset += len(line)
                    with contextlib.suppress(msgspec.DecodeError):
                        yield decode_event(line), offset
        except FileNotFoundError:
            return

    def send(self, command: Command) -> int:
        """Leave a command for the process that works on the run; returns its number."""
        try:
            self.control.mkdir(exist_ok=True)
            while True:
                number = max((int(path.stem) for path in self._command_files()), default=0) + 1
                target = self.control / f"{number:08}.json"
                temporary = self.control / f".{number:08}.{os.getpid()}.{threading.get_ident()}.part"
                temporary.write_bytes(encode_command(command))
                try:
                    # A hard link fails where another process took the number meanwhile; a rename would overwrite.
                    if hasattr(os, "link"):
                        os.link(temporary, target)
                        temporary.unlink()
                    else:
                        temporary.rename(target)
                    return number
                except FileExistsError:
                    temporary.unlink(missing_ok=True)
        except OSError as error:
            raise unwritable(self.control, error) from error

    def _command_files(self) -> list[Path]:
        return sorted(path for path in self.control.glob("*.json") if path.stem.isdigit())

    def take_commands(self) -> list[tuple[int, Command | None]]:
        """Commands in their order, each removed; None for a file that is no command."""
        taken: list[tuple[int, Command | None]] = []
        for path in self._command_files():
            try:
                command: Command | None = decode_command(path.read_bytes())
            except (msgspec.DecodeError, OSError):
                command = None
            path.unlink(missing_ok=True)
            taken.append((int(path.stem), command))
        return taken

    def drop_stale_commands(self) -> None:
        """Remove what was asked of an earlier process."""
        born = psutil.Process().create_time()
        for path in self._command_files():
            with contextlib.suppress(OSError):
                if path.stat().st_mtime < born - 1.0:
                    path.unlink()

    def checkpoint_files(self) -> list[Path]:
        """Numbered checkpoints, newest first."""
        return sorted(
            (path for path in self.checkpoints.glob("*.safetensors") if path.stem.isdigit()),
            key=lambda path: int(path.stem),
            reverse=True,
        )

    def best_checkpoint(self, stage: int) -> Path:
        """Weights and score of the best validation of a stage."""
        return self.checkpoints / f"best-{stage}.safetensors"

    def load_latest(self, at_most: int | None = None) -> tuple[State | None, list[str]]:
        """The newest whole checkpoint (of iteration `at_most`), and a sentence for each damaged one on the way to it.

        None where there is no checkpoint. Where there are some and all are damaged, or one cannot be judged, it raises:
        to begin anew would overwrite what may still be saved by hand.
        """
        from trainer.checkpoint import load_checkpoint

        problems: list[str] = []
        for path in self.checkpoint_files():
            if at_most is not None and int(path.stem) > at_most:
                continue
            try:
                return load_checkpoint(path), problems
            except PellucidError as error:
                if error.code != Code.MODEL_CORRUPT:
                    raise
                problems.append(error.message)
        if problems:
            raise PellucidError(
                Code.MODEL_CORRUPT,
                f"None of the run's checkpoints can be read. {problems[0]}",
                f"Nothing was changed. Begin a new run with a model of {self.models} as model.start.",
                path=str(self.checkpoints),
            )
        return None, problems

    def save(self, iteration: int, state: State, keep: int, good: int | None = None) -> Path:
        """Write a numbered checkpoint; then drop old ones down to `keep`, but never the newest up to iteration `good`.
        When the disk is full, older ones but the newest make room once."""
        from trainer.checkpoint import save_checkpoint

        path = self.checkpoints / f"{iteration:08}.safetensors"
        try:
            save_checkpoint(path, state)
        except PellucidError as error:
            older = self._droppable(self.checkpoint_files(), 1, good)
            if error.code != Code.DISK_FULL or not older:
                raise
            for old in older:
                old.unlink(missing_ok=True)
            save_checkpoint(path, state)
        for old in self._droppable([path, *(other for other in self.checkpoint_files() if other != path)], keep, good):
            old.unlink(missing_ok=True)
        return path

    @staticmethod
    def _droppable(files: list[Path], keep: int, good: int | None) -> list[Path]:
        """`files`: the most wanted first."""
        refuge = None if good is None else next((path for path in files if int(path.stem) <= good), None)
        return [path for path in files[max(keep, 1) :] if path != refuge]

    def clear_up(self, iteration: int) -> None:
        """Before work begins at an iteration: put damaged later checkpoints aside, make the folders that are missing,
        and remove what a crash left half-written."""
        for path in self.checkpoint_files():
            if int(path.stem) > iteration:
                path.replace(path.with_suffix(".damaged"))
        self._make_folders()
        for folder in (self.checkpoints, self.models, self.previews, self.control):
            for path in folder.glob(".*"):
                if path.suffix in (".part", ".tmp"):
                    path.unlink(missing_ok=True)

    def drop_later(self, iteration: int) -> None:
        """Remove the checkpoints beyond an iteration that a roll-back has returned to."""
        for path in self.checkpoint_files():
            if int(path.stem) > iteration:
                path.unlink(missing_ok=True)


class RunOwner:
    """The one process that works on a run: holds the lock, shows signs of life, appends events."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self._device = ""
        self._lock: BinaryIO | None = None
        self._events: BinaryIO | None = None
        self._stop = threading.Event()
        self._beating: threading.Thread | None = None
        self._process = os.getpid()

    def __enter__(self) -> Self:
        path = self.folder.lock_file
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o644)
            self._lock = os.fdopen(descriptor, "r+b", buffering=0)
        except OSError as error:
            raise unwritable(path, error) from error
        patience = time.monotonic() + LOCK_SECONDS
        while not (owned := _try_lock(self._lock)) and time.monotonic() < patience:
            time.sleep(0.05)
        if not owned:
            self._lock.close()
            owner = self.folder.owner()
            raise PellucidError(
                Code.USAGE,
                f"The run {self.folder.path} is already being worked on"
                + (f" by process {owner.pid} on {owner.host}." if owner and owner.pid else "."),
                f"Follow it with: pellucid watch {self.folder.path}",
                path=str(self.folder.path),
            )
        self._started = psutil.Process().create_time()
        self._beat()
        self._open_events()
        self._set_space_aside()
        self._beating = threading.Thread(target=self._keep_beating, name="heartbeat", daemon=True)
        self._beating.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._beating is not None:
            self._beating.join()
        with contextlib.suppress(OSError):
            self.folder.reserve_file.unlink(missing_ok=True)
        if self._events is not None:
            self._events.close()
        if self._lock is not None:
            self._lock.close()

    @property
    def descriptors(self) -> list[int]:
        """Open files that no child may keep."""
        return [file.fileno() for file in (self._lock, self._events) if file is not None]

    def tell_device(self, device: str) -> None:
        self._device = device
        self._beat()

    def append(self, event: Event) -> None:
        """One line, written at once. A full disk costs the event when even the space set aside is gone, never the run:
        saving will tell."""
        line = encode_event(event)
        try:
            if self._write(line):
                return
        except OSError as error:
            if not self.folder.reserve_file.exists():
                print(f"pellucid: an event could not be written: {error}", file=sys.stderr)
                return
        with contextlib.suppress(OSError):
            self.folder.reserve_file.unlink(missing_ok=True)
            self._write(line)

    def _write(self, line: bytes) -> bool:
        """Whether the whole line is there; a part of it is taken away again."""
        assert self._events is not None
        written = self._events.write(line)
        if written is not None and written < len(line):
            self._repair()
            return False
        return True

    def _set_space_aside(self) -> None:
        """As real blocks where the system can promise them; where not, a full disk costs the last event."""
        with contextlib.suppress(OSError), self.folder.reserve_file.open("wb") as file:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, RESERVE_BYTES)
            else:
                file.write(b"\0" * RESERVE_BYTES)

    def sync(self) -> None:
        """Make everything appended so far survive a power cut."""
        if self._events is not None:
            with contextlib.suppress(OSError):
                os.fsync(self._events.fileno())
        sync_folder(self.folder.path)

    def _open_events(self) -> None:
        try:
            self._events = self.folder.events_file.open("ab", buffering=0)
        except OSError as error:
            raise unwritable(self.folder.events_file, error) from error
        self._repair()

    def _repair(self) -> None:
        """A crash may have left half a line: complete it if it is a whole event, else cut it off."""
        with self.folder.events_file.open("r+b") as file:
            size = file.seek(0, os.SEEK_END)
            start = size
            tail = b""
            while start > 0 and b"\n" not in tail:
                step = min(4096, start)
                start -= step
                file.seek(start)
                tail = file.read(step) + tail
            torn = tail.rpartition(b"\n")[2]
            if not torn:
                return
            try:
                decode_event(torn)
            except msgspec.DecodeError:
                file.truncate(size - len(torn))
            else:
                file.seek(size)
                file.write(b"\n")

    def _keep_beating(self) -> None:
        while not self._stop.wait(HEARTBEAT_SECONDS):
            with contextlib.suppress(OSError):
                self._beat()

    def _beat(self) -> None:
        assert self._lock is not None
        info = LockInfo(
            pid=os.getpid(),
            started=self._started,
            host=socket.gethostname(),
            device=self._device,
            heartbeat=time.time(),
        )
        self._lock.seek(0)
        self._lock.write(encode_lock(info))


if sys.platform == "win32":
    import msvcrt

    _LOCKED_BYTE = 1 << 20
    """Windows forbids others to read a locked range, so a byte far behind the text is locked."""

    def _try_lock(file: BinaryIO) -> bool:
        file.seek(_LOCKED_BYTE)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _is_locked(file: BinaryIO) -> bool:
        if not _try_lock(file):
            return True
        file.seek(_LOCKED_BYTE)
        msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)
        return False

else:
    import fcntl

    def _try_lock(file: BinaryIO) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def _is_locked(file: BinaryIO) -> bool:
        """A shared lock is tried and given back at once; another reader does not disturb it."""
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
        fcntl.flock(file, fcntl.LOCK_UN)
        return False

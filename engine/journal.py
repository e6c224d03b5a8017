"""The list of what is still to do, on disk: a queue that was cut off by a crash or a power cut can go on.

One JSON object a line: a request when it is taken in, the name of its job when it has ended. Every process has a file
of its own in the user's state folder; it disappears when nothing is left to do. Paths in it are absolute, so that any
process can go on from anywhere. Whoever goes on takes the file over first, by giving it a name of its own: of several
that try at once, one succeeds.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import msgspec
import platformdirs
import psutil

from engine.models.library import looks_like_path
from engine.partial import machine_tag
from engine.whole_file import make_folder, unwritable, write_whole
from engine.wire import RestoreRequest

_NAME = re.compile(r"restore-queue(-(?P<machine>[0-9a-f]{8})-(?P<process>\d+)-[0-9a-f]{8})?\.jsonl")
"""Without machine and process: of earlier releases."""

_CLOCK_SECONDS = 10.0
"""By how much a clock may have been set while a process was at work."""

_ABANDONED_SECONDS = 24 * 3600.0
"""A journal of another machine, or of this one under another name, in which nothing was written for so long."""


class _Taken(msgspec.Struct, frozen=True, tag="taken"):
    request: RestoreRequest


class _Ended(msgspec.Struct, frozen=True, tag="ended"):
    job: str


def _encode(entry: _Taken | _Ended) -> bytes:
    # In ASCII, where a file's name that is no UTF-8 survives as an escape; msgspec itself takes no such name.
    return json.dumps(msgspec.to_builtins(entry)).encode("ascii")


def _decode(line: bytes) -> _Taken | _Ended:
    """Raises ValueError for a torn or damaged line."""
    return msgspec.convert(json.loads(line), _Taken | _Ended)


def journal_folder() -> Path:
    return Path(platformdirs.user_state_dir("pellucid", appauthor=False))


@dataclass(frozen=True, slots=True)
class Unfinished:
    """What queues that were cut off have left, as one queue with new names of jobs, and the files that tell it, which
    are this process's now."""

    requests: tuple[RestoreRequest, ...] = ()
    files: tuple[Path, ...] = ()


class Journal:
    """Written as the queue runs. Every line is on the disk before its job begins or its end is told."""

    def __init__(self, folder: Path, requests: Iterable[RestoreRequest], instead_of: Unfinished = Unfinished()) -> None:
        """`instead_of`: its files are removed as soon as this one has taken their place. Raises DISK_FULL or
        FILE_UNWRITABLE."""
        requests = list(requests)
        self._left = {request.job for request in requests}
        self._path = folder / _own_name()
        lines = _lines(*(_Taken(_from_anywhere(request)) for request in requests))
        make_folder(folder)
        write_whole(self._path, lambda partial: partial.write_bytes(lines))
        try:
            self._file = self._path.open("ab")
        except OSError as error:
            raise unwritable(self._path, error) from error
        for file in instead_of.files:
            _remove(file)

    @property
    def left(self) -> frozenset[str]:
        """The jobs that have not ended."""
        return frozenset(self._left)

    def end(self, job: str) -> None:
        """Raises OSError where that cannot be written down."""
        self._left.discard(job)
        self._file.write(_lines(_Ended(job)))
        self._file.flush()
        os.fsync(self._file.fileno())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._file.close()
        if not self._left:
            _remove(self._path)


def take_over(folder: Path) -> Unfinished:
    """What is left of queues whose processes are gone, the oldest first; those at work are not touched. No other
    process gets the same while this one lives."""
    found: list[tuple[float, Path]] = []
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return Unfinished()
    for entry in entries:
        with suppress(OSError):
            match, written = _NAME.fullmatch(entry.name), entry.stat().st_mtime
            if match and not _at_work(match, written):
                found.append((written, Path(entry.path)))
    wanted: dict[RestoreRequest, None] = {}
    files = []
    for _, path in sorted(found):
        with suppress(OSError):
            file = _claim(path)
            # Twice in two files: the process that was to go on was cut off before it could remove the older one.
            wanted |= dict.fromkeys(msgspec.structs.replace(request, job="") for request in read_journal(file))
            files.append(file)
    named = (msgspec.structs.replace(request, job=str(number)) for number, request in enumerate(wanted, 1))
    return Unfinished(tuple(named), tuple(files))


def _claim(file: Path) -> Path:
    """The journal under a name of this process. Raises FileNotFoundError when another one was quicker."""
    own = file.with_name(_own_name())
    try:
        # First it becomes young: one that is older than the process it is named after looks abandoned.
        os.utime(file)
        file.rename(own)
    except FileNotFoundError:
        raise
    except OSError:
        return file  # in a folder that cannot be written the work can be done all the same
    return own


def read_journal(file: Path) -> list[RestoreRequest]:
    """The requests that had not ended, in order; a torn or damaged line is passed over."""
    waiting: dict[str, RestoreRequest] = {}
    for line in file.read_bytes().splitlines():
        try:
            entry = _decode(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(entry, _Taken):
            waiting[entry.request.job] = entry.request
        else:
            waiting.pop(entry.job, None)
    return list(waiting.values())


def _at_work(name: re.Match[str], written: float) -> bool:
    """Whether the process that writes a journal of this name still lives. `written`: when it last wrote."""
    if name["process"] is None:
        return False
    if name["machine"] != machine_tag():
        return time.time() - written < _ABANDONED_SECONDS
    process = int(name["process"])
    if process == os.getpid():
        # This process asks before it begins: that one had its number earlier.
        return False
    try:
        # Numbers are given again, after a start of the machine the very same: whoever is younger than the journal's
        # last line has not written it.
        return bool(psutil.Process(process).create_time() <= written + _CLOCK_SECONDS)
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:
        return True


def _from_anywhere(request: RestoreRequest) -> RestoreRequest:
    """The same request for a process with another current folder."""
    options = msgspec.structs.replace(
        request.options,
        model=_model_from_anywhere(request.options.model),
        partner=_model_from_anywhere(request.options.partner),
    )
    return msgspec.structs.replace(
        request,
        source=str(Path(request.source).absolute()),
        target=str(Path(request.target).absolute()),
        root=str(Path(request.root).absolute()) if request.root else "",
        options=options,
    )


def _model_from_anywhere(name: str) -> str:
    return str(Path(name).absolute()) if looks_like_path(name) else name


def _own_name() -> str:
    return f"restore-queue-{machine_tag()}-{os.getpid()}-{secrets.token_hex(4)}.jsonl"


def _lines(*entries: _Taken | _Ended) -> bytes:
    return b"".join(_encode(entry) + b"\n" for entry in entries)


def _remove(file: Path) -> None:
    # Windows removes nothing that another program has open.
    with suppress(OSError):
        file.unlink(missing_ok=True)

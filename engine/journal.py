"""The list of what is still to do, on disk: a queue that was cut off by a crash or a power cut can go on.

One JSON object a line: a request when it is taken in, the name of its job when it has ended. The file lies in the
user's state folder and disappears when the queue has ended well.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Self

import msgspec
import platformdirs

from engine.wire import RestoreRequest


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


def journal_path() -> Path:
    return Path(platformdirs.user_state_dir("pellucid", appauthor=False)) / "restore-queue.jsonl"


class Journal:
    """Written as the queue runs. Every line is on the disk before its job begins or its end is told."""

    def __init__(self, path: Path, requests: Iterable[RestoreRequest]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._file = path.open("wb")
        self._write(*(_Taken(request) for request in requests))

    def end(self, job: str) -> None:
        self._write(_Ended(job))

    def _write(self, *entries: _Taken | _Ended) -> None:
        self._file.write(b"".join(_encode(entry) + b"\n" for entry in entries))
        self._file.flush()
        os.fsync(self._file.fileno())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, failure: type[BaseException] | None, *_: object) -> None:
        self._file.close()
        if failure is None:
            self._path.unlink(missing_ok=True)


def unfinished(path: Path) -> list[RestoreRequest]:
    """What a queue that was cut off had not ended; a torn or damaged line is passed over."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError:
        return []
    waiting: dict[str, RestoreRequest] = {}
    for line in lines:
        try:
            entry = _decode(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(entry, _Taken):
            waiting[entry.request.job] = entry.request
        else:
            waiting.pop(entry.job, None)
    return list(waiting.values())

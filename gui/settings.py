"""What the user has chosen, in one settings.json: typed, versioned, written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from typing import Literal

import msgspec
import platformdirs

from engine.wire import RestoreOptions

APPLICATION = "pellucid"
SCHEMA = 1
RESULTS_FOLDER = "Pellucid"

Theme = Literal["system", "light", "dark"]
Language = Literal["system", "en", "de", "zh_CN"]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """A key that is not known (from a newer version) is left out; a value that does not fit is an error."""

    schema: int = SCHEMA
    theme: Theme = "system"
    language: Language = "system"
    output_folder: str = RESULTS_FOLDER
    """Where results go: a folder; a name without a path: a folder of that name beside the originals; empty: right
    beside them."""
    options: RestoreOptions = RestoreOptions()
    start_at_once: bool = False
    """Begin when pictures are dropped. Off at first: nobody expects files to be written before they said so."""
    notify: bool = True
    runs_folder: str = ""
    """Where trainings live; empty: the usual place."""
    recent_runs: tuple[str, ...] = ()


def config_folder() -> Path:
    return platformdirs.user_config_path(APPLICATION, appauthor=False)


def state_folder() -> Path:
    return platformdirs.user_state_path(APPLICATION, appauthor=False)


def cache_folder() -> Path:
    return platformdirs.user_cache_path(APPLICATION, appauthor=False)


def runs_folder(settings: Settings) -> Path:
    if settings.runs_folder:
        return Path(settings.runs_folder)
    return platformdirs.user_data_path(APPLICATION, appauthor=False) / "runs"


def load(path: Path) -> tuple[Settings, str]:
    """The settings, and the name of the file that a damaged one was moved to ("" when all is well).

    A damaged file never keeps the window from opening: it is kept aside, and the defaults are used.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return Settings(), ""
    except OSError:
        return Settings(), str(path)
    try:
        return msgspec.json.decode(data, type=Settings), ""
    except (msgspec.DecodeError, UnicodeDecodeError):
        aside = path.with_name(path.name + ".damaged")
        with contextlib.suppress(OSError):
            path.replace(aside)
        return Settings(), str(aside)


def save(settings: Settings, path: Path, *, sync: bool = True) -> None:
    """Raises OSError when the folder cannot be written. `sync`: as for `write_whole`."""
    write_whole(path, msgspec.json.format(msgspec.json.encode(settings), indent=2) + b"\n", sync=sync)


def write_whole(path: Path, data: bytes, *, sync: bool = True) -> None:
    """Replace `path` by `data`: after a crash at any instant the old or the new content is there, never half.

    sync: wait until the disk has it, so that this holds for a power cut as well. On a busy disk that takes a quarter
    of a second: nothing for a window that people look at.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise

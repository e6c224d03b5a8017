"""Compiled engines, kept between starts: one file for the engine, one beside it that says what it is.

An entry is found by all that it depends on. What cannot be read, is not what its checksum says or belongs to another
version is never used: it is thrown away and built again. The folder is the user's alone, and keeps to a size.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import msgspec

from engine.errors import PellucidError
from engine.runtime.cache_folder import cache_folder
from engine.whole_file import write_whole

LARGEST_SIZE = 2 << 30
"""Bytes of all engines together; those used longest ago go first."""


class EngineKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All that an engine depends on. Weights are not part of it: engines are refitted."""

    structure: str
    """Architecture and arguments."""
    precision: str
    side: int
    batch: int
    library: str
    """Name and version of what built it."""
    gpu: str
    """Name and capability."""
    layout: int = 1
    """Raised when the same network is described to the library in another way."""

    @property
    def name(self) -> str:
        return hashlib.sha256(msgspec.json.encode(self)).hexdigest()[:32]


class _Facts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    key: EngineKey
    checksum: str = ""
    refused: str = ""
    """Why an engine of this key is not to be used: its results differed from torch's."""


@dataclass(frozen=True, slots=True)
class EngineCache:
    folder: Path

    @staticmethod
    def of_user() -> EngineCache:
        return EngineCache(cache_folder() / "engines")

    def load(self, key: EngineKey) -> bytes | None:
        """The engine, or None when there is none that can be trusted."""
        facts = self._facts(key)
        if facts is None or not facts.checksum:
            return None
        path = self._engine(key)
        try:
            engine = path.read_bytes()
        except OSError:
            engine = b""
        if hashlib.sha256(engine).hexdigest() != facts.checksum:
            self.forget(key)
            return None
        with contextlib.suppress(OSError):
            os.utime(path)
        return engine

    def store(self, key: EngineKey, engine: bytes) -> bool:
        """Whether it is kept. A full disk is no failure: the engine will be built again."""
        try:
            self._write(self._engine(key), engine)
            self._write(self._sidecar(key), msgspec.json.encode(_Facts(key, hashlib.sha256(engine).hexdigest())))
        except (OSError, PellucidError):
            self.forget(key)
            return False
        self._shrink(keep=self._engine(key))
        return True

    def refuse(self, key: EngineKey, reason: str) -> None:
        """Remembers that this engine gives wrong results here, so that it is not built again at every start."""
        with contextlib.suppress(OSError, PellucidError):
            self._engine(key).unlink(missing_ok=True)
            self._write(self._sidecar(key), msgspec.json.encode(_Facts(key, refused=reason)))

    def refusal(self, key: EngineKey) -> str:
        """Why not to build this engine, or ""."""
        facts = self._facts(key)
        return "" if facts is None else facts.refused

    def refusals(self) -> list[str]:
        """Every reason that is remembered."""
        found = []
        for path in self._files():
            if path.suffix == ".json":
                with contextlib.suppress(OSError, ValueError):
                    found.append(msgspec.json.decode(path.read_bytes(), type=_Facts).refused)
        return sorted({reason for reason in found if reason})

    def forget(self, key: EngineKey) -> None:
        for path in (self._engine(key), self._sidecar(key)):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)

    def clear(self) -> int:
        """Bytes that were freed."""
        freed = 0
        for path in self._files():
            with contextlib.suppress(OSError):
                size = path.stat().st_size
                path.unlink()
                freed += size
        return freed

    def size(self) -> int:
        """Bytes of all engines."""
        sizes = 0
        for path in self._files():
            with contextlib.suppress(OSError):
                sizes += path.stat().st_size
        return sizes

    def _facts(self, key: EngineKey) -> _Facts | None:
        try:
            facts = msgspec.json.decode(self._sidecar(key).read_bytes(), type=_Facts)
        except FileNotFoundError:
            return None
        except (OSError, ValueError):
            self.forget(key)
            return None
        if facts.key != key:
            self.forget(key)
            return None
        return facts

    def _engine(self, key: EngineKey) -> Path:
        return self.folder / f"{key.name}.engine"

    def _sidecar(self, key: EngineKey) -> Path:
        return self.folder / f"{key.name}.json"

    def _files(self) -> list[Path]:
        if not self.folder.is_dir():
            return []
        return [path for path in self.folder.iterdir() if path.suffix in (".engine", ".json")]

    def _write(self, path: Path, content: bytes) -> None:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_whole(path, lambda partial: partial.write_bytes(content))

    def _shrink(self, keep: Path) -> None:
        engines = sorted(
            (path for path in self._files() if path.suffix == ".engine"), key=lambda path: path.stat().st_mtime
        )
        total = sum(path.stat().st_size for path in engines)
        for path in engines:
            if total <= LARGEST_SIZE:
                return
            if path != keep:
                total -= path.stat().st_size
                path.unlink(missing_ok=True)
                path.with_suffix(".json").unlink(missing_ok=True)

"""Pictures that a training is better off without are moved beside their folder, never deleted, and can come back."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path

SUFFIX = " (set aside)"

Moves = tuple[tuple[Path, Path], ...]
"""(from, to) of each file that was moved."""


def set_aside(folder: Path, files: Iterable[str]) -> Moves:
    """Move `files`, as far as they lie below `folder`, into a folder beside it, at the same place as before.

    Raises OSError when a file cannot be moved; what was moved until then is moved back.
    """
    aside = folder.with_name(folder.name + SUFFIX)
    moved: list[tuple[Path, Path]] = []
    try:
        for file in dict.fromkeys(files):
            old = Path(file)
            if not old.is_relative_to(folder):
                continue
            new = aside / old.relative_to(folder)
            new.parent.mkdir(parents=True, exist_ok=True)
            while new.exists():
                new = new.with_name(f"{new.stem} again{new.suffix}")
            old.rename(new)
            moved.append((old, new))
    except OSError:
        put_back(tuple(moved))
        raise
    return tuple(moved)


def put_back(moves: Moves) -> None:
    """Undo. Raises OSError when a file cannot be moved; empty folders are taken away."""
    for old, new in reversed(moves):
        if not old.exists():
            old.parent.mkdir(parents=True, exist_ok=True)
            new.rename(old)
    for folder in sorted({new.parent for _old, new in moves}, key=lambda path: -len(path.parts)):
        here = folder
        while here.name and (here.name.endswith(SUFFIX) or any(p.name.endswith(SUFFIX) for p in here.parents)):
            with contextlib.suppress(OSError):
                here.rmdir()
            here = here.parent

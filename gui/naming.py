"""Which files are pictures, and what a result will be called: shown before anything is written."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

from engine.wire import RestoreOptions
from engine.wire_results import WRITTEN_SUFFIXES, PicturesOfTree, may_be_result_name

PICTURE_SUFFIXES = frozenset(
    f".{name}"
    for name in (
        *("png", "apng", "jpg", "jpeg", "jfif", "jpe", "webp", "tif", "tiff", "bmp", "dib", "gif"),
        *("heic", "heif", "hif", "avif"),
        *("dng", "cr2", "cr3", "crw", "nef", "nrw", "arw", "srf", "sr2", "raf", "orf", "rw2", "pef"),
        *("srw", "raw", "rwl", "3fr", "fff", "iiq", "erf", "mef", "mos", "kdc", "dcr", "mrw"),
    )
)
"""Those that the engine searches folders for, and no others: what it cannot read is told at once, not when its turn
comes. Written down here as well, because the window does not load what reads pictures."""
SUFFIX_OF = {"png": ".png", "jpeg": ".jpg", "webp": ".webp", "tiff": ".tif", "avif": ".avif"}


MODEL_SUFFIXES = frozenset((".safetensors", ".pth", ".pt", ".ckpt", ".bin", ".param"))


def is_model(path: str) -> bool:
    """By its name; what it really is, the import finds out."""
    return os.path.splitext(path)[1].lower() in MODEL_SUFFIXES  # noqa: PTH122 - as text, like the pictures


def is_picture(path: str) -> bool:
    return os.path.splitext(path)[1].lower() in PICTURE_SUFFIXES  # noqa: PTH122 - called for every file of a folder


def result_name(options: RestoreOptions, source: str, model: str, scale: float, width: int = 0, height: int = 0) -> str:
    """The file name of the result; an unknown field stays as it was typed, so that the mistake can be seen."""
    path = Path(source)
    fields = {
        "name": path.stem,
        "model": model,
        "scale": f"{scale:g}",
        "alpha": "" if options.alpha is None else f"{options.alpha:g}",
        "width": str(width) if width else "…",
        "height": str(height) if height else "…",
        "date": date.today().isoformat(),
    }
    name = options.name
    for field, value in fields.items():
        name = name.replace("{" + field + "}", value)
    own = path.suffix if path.suffix.lower() in WRITTEN_SUFFIXES else ".png"
    return name + SUFFIX_OF.get(options.format, own)


def results_place(folder: str, source: str, root: str = "") -> tuple[str, str]:
    """(target, root) of a restore request: `folder` is a folder, a name (beside the originals) or empty (right there).

    source: the picture; root: the folder that was dropped, or empty. What lay in folders below it stays in folders.
    """
    if not folder:
        return os.path.dirname(source), ""  # noqa: PTH120 - paths stay the text they came as
    return os.path.join(root or os.path.dirname(source), folder), root  # noqa: PTH118, PTH120


def pictures_below(
    folder: str, slice_seconds: float = 0.005, left_out: str = "", results: list[tuple[str, str]] | None = None
) -> Iterator[list[str]]:
    """All pictures below `folder`, in order of their names; gives what it found at least every `slice_seconds`,
    so that a window can walk a large tree between two frames. Links to folders are not followed, nor are folders
    of the name `left_out`: there lie the results of last time.

    results: takes up the pictures that by name and place are results of others, with the file names of these; without
    it they are pictures like the rest. One that only the whole tree shows to be none comes last.
    """
    tree = PicturesOfTree()
    pending = [folder]
    doubtful: list[str] = []
    found: list[str] = []
    started = time.monotonic()
    while pending:
        here = pending.pop()
        try:
            with os.scandir(here) as entries:
                ordered = sorted(entries, key=lambda entry: entry.name)
        except OSError:
            continue
        folders: list[str] = []
        for entry in ordered:
            if entry.name.startswith("."):
                continue
            try:
                if entry.is_dir(follow_symlinks=False):
                    if entry.name != left_out:
                        folders.append(entry.path)
                elif is_picture(entry.name) and entry.is_file():
                    tree.add(entry.path)
                    may_be_result = results is not None and may_be_result_name(entry.name)
                    (doubtful if may_be_result else found).append(entry.path)
            except OSError:
                continue
            if time.monotonic() - started > slice_seconds:
                yield found
                found, started = [], time.monotonic()
        pending += reversed(folders)
    for path in doubtful:
        original = tree.original_of(path)
        if original and results is not None:
            results.append((path, original))
        else:
            found.append(path)
        if time.monotonic() - started > slice_seconds:
            yield found
            found, started = [], time.monotonic()
    yield found

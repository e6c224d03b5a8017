"""Which low-quality picture belongs to which true one: by file name, with the habits of the usual test sets."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from engine.errors import Code, PellucidError
from engine.evaluate.report import Failed

PICTURES = frozenset([".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".avif", ".heic", ".heif"])

_ROLE_AND_SCALE = re.compile(r"(?:[_\-. ]?(?:lr|hr|lq|hq|gt|sr)?x\d+|[_\-. ](?:lr|hr|lq|hq|gt|sr))$")


@dataclass(frozen=True, slots=True)
class Pair:
    """`truth`: None where there is no ground truth at all."""

    name: str
    source: Path
    truth: Path | None


@dataclass(frozen=True, slots=True)
class Pairs:
    pairs: tuple[Pair, ...]
    unmatched: tuple[Failed, ...] = ()
    unused_truths: tuple[str, ...] = ()
    """Ground truths that no low-quality picture asked for."""


def find_pairs(lq: Path, gt: Path | None) -> Pairs:
    """Pictures of folder `lq`, each with its truth from folder `gt`.

    Stems are equal, or equal without endings such as x4, LRx4, _LR, _GT and without regard to case.
    """
    sources = _pictures(lq)
    if gt is None:
        return Pairs(tuple(Pair(path.name, path, None) for path in sources))
    truths = _pictures(gt)
    pairs, unmatched = [], []
    exact, loose = _by_key(truths, _stem), _by_key(truths, _bare_stem)
    rivals = _by_key(sources, _bare_stem)
    for source in sources:
        found = exact.get(_stem(source))
        if found is None:
            found = loose.get(_bare_stem(source), [])
            if len(found) == 1 and len(rivals[_bare_stem(source)]) > 1:
                others = ", ".join(path.name for path in rivals[_bare_stem(source)])
                unmatched.append(Failed(source.name, f"{others} all fit the one ground truth {found[0].name}."))
                continue
        if len(found) == 1:
            pairs.append(Pair(source.name, source, found[0]))
        elif found:
            names = ", ".join(path.name for path in found)
            unmatched.append(Failed(source.name, f"Several ground truths in {gt} fit {source.name}: {names}."))
        else:
            unmatched.append(Failed(source.name, f"There is no ground truth for {source.name} in {gt}."))
    if not pairs:
        raise PellucidError(
            Code.FILE_MISSING,
            f"No picture in {lq} has a ground truth in {gt}: {unmatched[0].message}",
            "Both folders must hold pictures of the same names; endings such as x4, LRx4, _LR and _GT may differ.",
        )
    used = {pair.truth for pair in pairs}
    return Pairs(tuple(pairs), tuple(unmatched), tuple(path.name for path in truths if path not in used))


def _pictures(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise PellucidError(Code.FILE_MISSING, f"There is no folder {folder}.", "", path=str(folder))
    try:
        entries = sorted(folder.iterdir(), key=lambda path: _in_counting_order(path.name))
    except OSError as error:
        raise PellucidError(Code.FILE_UNREADABLE, f"The folder {folder} cannot be read: {error.strerror}.") from error
    pictures = [
        path for path in entries if path.suffix.lower() in PICTURES and not path.name.startswith(".") and path.is_file()
    ]
    if not pictures:
        raise PellucidError(Code.FILE_MISSING, f"There is no picture in the folder {folder}.", "", path=str(folder))
    return pictures


def _in_counting_order(name: str) -> list[tuple[int, str]]:
    """img2 before img10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d{1,18})", name)]


def _by_key(paths: Iterable[Path], key: Callable[[Path], str]) -> dict[str, list[Path]]:
    table: dict[str, list[Path]] = defaultdict(list)
    for path in paths:
        table[key(path)].append(path)
    return dict(table)


def _stem(path: Path) -> str:
    return unicodedata.normalize("NFC", path.stem)


def _bare_stem(path: Path) -> str:
    """Without the endings that name a role or a scale; never empty."""
    stem = _stem(path).casefold()
    while (shorter := _ROLE_AND_SCALE.sub("", stem)) not in ("", stem):
        stem = shorter
    return stem

"""Where results go, and which files are pictures: names from a template, mirrored folders, nothing lost unasked."""

from __future__ import annotations

import errno
import os
import re
import unicodedata
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

from engine.errors import Code, PellucidError
from engine.image.formats import EXTENSIONS, WRITTEN
from engine.partial import name_partial
from engine.wire import Existing
from engine.wire_results import PicturesOfTree

FIELDS: Final = ("name", "model", "scale", "alpha", "width", "height", "date")
_FOLDERS_OF_SYSTEMS: Final = ("$recycle.bin", "system volume information", "lost+found", "@eadir", "#recycle")
"""Of Windows, Linux and network storage: rubbish and thumbnails."""
LONGEST_NAME: Final = 255
"""Bytes of a file name that all common file systems take, but for encrypted ones: `longest_name` asks."""
_SHORTEST_LIMIT: Final = 64
"""What claims to take less is not believed."""
_ROOM_FOR_NUMBER: Final = len(" (9999)")
_FORBIDDEN: Final = re.compile(r'[\x00-\x1f/\\:*?"<>|]')
_REFUSED_BY_SOME: Final = re.compile(r'[\x00-\x1f\\:*?"<>|\udc80-\udcff]')
"""Legal on Linux; the last are bytes that are no UTF-8."""
_RESERVED: Final = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?", re.IGNORECASE)


def choose_format(wanted: str, target: Path, own: str, transparent: bool) -> str:
    """The format to write: `wanted`; for "same" what the name of `target` says where it is the name of a file, or the
    source's `own` where that can be written and holds what the picture has: JPEG never for a transparent picture."""
    named = _format_of_file(target)
    if wanted != "same":
        if wanted not in WRITTEN:
            raise PellucidError(
                Code.USAGE,
                f'"{wanted}" is no format that can be written.',
                f"Choose one of: same, {', '.join(WRITTEN)}.",
                format=wanted,
            )
        if named and named != wanted:
            raise PellucidError(
                Code.USAGE,
                f"{target.name} is the name of a {WRITTEN[named].title} file; {WRITTEN[wanted].title} was asked for.",
                "Change one of the two.",
                path=str(target),
                format=wanted,
            )
        return wanted
    if named:
        return named
    if own not in WRITTEN or (transparent and not WRITTEN[own].alpha):
        return "png"
    return own


@dataclass(frozen=True, slots=True)
class Place:
    """Where a result goes. `skipped`: something is there already, and it shall be left alone."""

    path: Path
    skipped: bool = False
    notices: tuple[str, ...] = ()
    """Sentences about a name that could not be what it should."""


def output_path(
    source: Path,
    target: Path,
    *,
    root: Path | None,
    format: str,  # noqa: A002
    template: str,
    fields: Mapping[str, str],
    existing: Existing,
    reserved: Iterable[Path] = (),
    others: Container[Path] = (),
) -> Place:
    """The file that the result of `source` goes to.

    target: a folder, or a file when its name ends in the extension of a format that can be written (and no folder has
    that name). root: the folder that was dropped; the source's place below it is mirrored below `target`. fields:
    values of model, scale, alpha, width, height; name and date are known here. reserved: places promised to
    jobs that run. others: originals, and results of other originals, that "overwrite" and "skip" do not mean; the name
    of a file that was asked for by name means itself. Where a drive takes two names for one, they are one.
    The source itself is overwritten only when `target` names that very file and `existing` is "overwrite".
    What the file system of `target` takes in no name becomes _, or is refused in the name of a file that was asked for.
    """
    explicit = bool(_format_of_file(target))
    notices: tuple[str, ...] = ()
    if explicit:
        wanted = target
        if refused := _refused_letters(target.parent, [target.name]):
            raise PellucidError(
                Code.FILE_UNWRITABLE,
                f"{target} cannot be written: that drive takes no {_spelt(refused)} in the name of a file.",
                "Choose another name.",
                path=str(target),
            )
    else:
        named = output_name(source, format, template, fields, longest_name(target))
        inner = _mirrored_folder(source, root) / named
        if refused := _refused_letters(target, inner.parts):
            inner = Path(*(part.translate(dict.fromkeys(map(ord, refused), "_")) for part in inner.parts))
            notices = (
                f"The drive of {target} takes no {_spelt(refused)} in names of files: the result has _ instead.",
            )
        wanted = target / inner

    def is_taken(path: Path) -> bool:
        return any(is_one_place(place, path) for place in reserved) or (not explicit and path.absolute() in others)

    if existing == "overwrite":
        if not is_taken(wanted) and (explicit or not _same_file(wanted, source)):
            return Place(wanted, notices=notices)
        return Place(_next(wanted, lambda path: is_taken(path) or os.path.lexists(path)), notices=notices)
    if existing == "skip":
        if is_taken(wanted) or (not explicit and _same_file(wanted, source)):
            wanted = _next(wanted, is_taken)
        return Place(wanted, skipped=os.path.lexists(wanted), notices=notices)
    if is_taken(wanted) or os.path.lexists(wanted):
        wanted = _next(wanted, lambda path: is_taken(path) or os.path.lexists(path))
    return Place(wanted, notices=notices)


def spelt_alike(path: Path) -> str:
    """Equal for paths that some drive or other may take for one: it ignores case, or how an accent is written."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", str(path)).casefold())


def is_one_place(one: Path, other: Path) -> bool:
    """Whether a file at one of the two would be found at the other. The drive is asked, where they are spelt alike."""
    if one == other:
        return True
    if spelt_alike(one) != spelt_alike(other):
        return False
    differing = [parts for parts in zip(one.parts, other.parts, strict=True) if parts[0] != parts[1]]
    folder, name = _existing(one.parent), name_partial()
    asked, found = (folder / (name + "".join(parts)) for parts in zip(*differing, strict=True))
    try:
        os.close(os.open(asked, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    except OSError:
        return True  # a longer name than the drive takes, say: better a number too many than a picture too few
    try:
        return os.path.lexists(found)
    finally:
        asked.unlink()


def _refused_letters(folder: Path, names: Sequence[str]) -> str:
    """Letters of `names` that the file system of `folder` takes in no name: FAT and its kin, what Linux allows."""
    letters = sorted(set(_REFUSED_BY_SOME.findall("".join(names))))
    folder = _existing(folder) if letters else folder
    return "".join(letter for letter in letters if _is_refused(folder / f"{name_partial()}{letter}"))


def longest_name(folder: Path) -> int:
    """Bytes that the name of a file in this folder may have: an encrypted home takes 143."""
    if not hasattr(os, "pathconf"):
        return LONGEST_NAME
    try:
        longest = os.pathconf(_existing(folder), "PC_NAME_MAX")
    except (OSError, ValueError):
        return LONGEST_NAME
    return min(longest, LONGEST_NAME) if longest >= _SHORTEST_LIMIT else LONGEST_NAME


def _existing(folder: Path) -> Path:
    """The folder, or what is above it: it will be made there, on the same drive in all likelihood."""
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    return folder


def _is_refused(name: Path) -> bool:
    try:
        os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        name.unlink()
    except OSError as error:
        # Some network drives say ENOENT, though the folder is there. What else may be wrong has a sentence later.
        return error.errno in (errno.EINVAL, errno.EILSEQ, errno.ENOENT)
    return False


def _spelt(letters: str) -> str:
    return " ".join(letter if letter.isprintable() else ascii(letter).strip("'") for letter in letters)


def output_name(source: Path, kind: str, template: str, fields: Mapping[str, str], longest: int = LONGEST_NAME) -> str:
    """The template with its fields filled in and the extension of `kind`, at most `longest` bytes even if numbered.

    Only known fields are replaced, once: braces and percent signs in the source's own name stay as they are.
    """
    check_template(template)
    extension = WRITTEN[kind].extension
    if EXTENSIONS.get(source.suffix.lower()) == kind and source.suffix.lower() != ".apng":
        extension = source.suffix
    values = {"date": date.today().isoformat()} | {field: _safe(value) for field, value in fields.items()}
    room = longest - _ROOM_FOR_NUMBER - len(os.fsencode(extension))
    stem = _fill(template, values | {"name": source.stem})
    excess = len(os.fsencode(stem)) - room
    if excess > 0:
        # the source's name gives way first, so that what tells two results apart stays
        kept = len(os.fsencode(source.stem)) - -(-excess // max(1, template.count("{name}")))
        stem = shorten(_fill(template, values | {"name": shorten(source.stem, max(kept, 1))}), room)
    if not stem or stem.startswith(".") or _RESERVED.fullmatch(stem):
        stem = f"_{stem}"
    return stem + extension


def _fill(template: str, values: Mapping[str, str]) -> str:
    pieces = re.split(r"\{([a-z]+)\}", template)
    return "".join(values.get(piece, "") if index % 2 else piece for index, piece in enumerate(pieces)).strip()


def check_template(template: str) -> None:
    """Refuses a template with unknown fields or characters that no file name may have."""
    for field in re.findall(r"\{([a-z]+)\}", template):
        if field not in FIELDS:
            raise PellucidError(
                Code.USAGE,
                f'The name template "{template}" has the unknown field {{{field}}}.',
                f"Fields are: {', '.join('{' + name + '}' for name in FIELDS)}.",
                template=template,
            )
    if not template.strip() or _FORBIDDEN.search(template):
        raise PellucidError(
            Code.USAGE,
            f'The name template "{template}" cannot be a file name.',
            'It must not be empty or hold / \\ : * ? " < > | or control characters.',
            template=template,
        )


def shorten(text: str, limit: int) -> str:
    """At most `limit` bytes of the text, cut between characters."""
    data = os.fsencode(text)
    if len(data) <= limit:
        return text
    while limit > 0 and data[limit] & 0xC0 == 0x80:
        limit -= 1
    return os.fsdecode(data[:limit]).rstrip()


def numbered(path: Path, number: int) -> Path:
    """`name.png` with 2 is `name (2).png`."""
    suffix = f" ({number}){path.suffix}"
    return path.with_name(shorten(path.stem, LONGEST_NAME - len(os.fsencode(suffix))) + suffix)


@dataclass(frozen=True, slots=True)
class Sources:
    """What a command works on."""

    pictures: list[tuple[Path, Path | None]]
    """Each with the folder that it was found through, None for a file named itself."""
    left_out: list[tuple[str, str]]
    """Pictures of folders that are results of others there: path, and file name of the original."""


def collect_sources(paths: Sequence[str | os.PathLike[str]]) -> Sources:
    """All pictures that `paths` name.

    Folders are searched to any depth, in the order people sort names (2 before 10), without hidden files; what counts
    there is the extension, and results of other pictures that lie there are left out. A file named itself is taken
    whatever it is called, even when it is not there: opening it will say so, and stop no other. Each file comes once.
    """
    found: dict[str, tuple[Path, Path | None]] = {}
    results: dict[str, tuple[str, str]] = {}
    for named in map(Path, paths):
        if not named.is_dir():
            found.setdefault(str(named.absolute()), (named, None))
            continue
        tree, files = PicturesOfTree(), list(_pictures_below(named))
        for file in files:
            tree.add(str(file))
        for file in files:
            if original := tree.original_of(str(file)):
                results.setdefault(str(file.absolute()), (str(file), original))
            else:
                found.setdefault(str(file.absolute()), (file, named))
    left_out = [facts for path, facts in results.items() if path not in found]
    return Sources(list(found.values()), left_out)


def _pictures_below(folder: Path) -> Iterator[Path]:
    def pass_over(error: OSError) -> None:
        """A folder of the system somewhere below is no reason to restore nothing."""
        if error.filename == str(folder):
            _raise_unreadable(error)

    for place, folders, files in os.walk(folder, onerror=pass_over):
        shown = (name for name in folders if not name.startswith(".") and name.lower() not in _FOLDERS_OF_SYSTEMS)
        folders[:] = sorted(shown, key=natural_key)
        for name in sorted(files, key=natural_key):
            if not name.startswith(".") and Path(name).suffix.lower() in EXTENSIONS:
                yield Path(place, name)


def _raise_unreadable(error: OSError) -> None:
    raise PellucidError(
        Code.FILE_UNREADABLE,
        f"The folder {error.filename} cannot be read: {error.strerror}.",
        "Check its permissions.",
        path=str(error.filename),
    ) from error


def natural_key(name: str) -> tuple[list[tuple[int, int, str]], str]:
    """Sorts numbers in names by value and letters without case."""
    pieces = re.findall(r"[0-9]+|[^0-9]+", name.casefold())
    return [(0, int(piece), "") if piece.isdecimal() else (1, 0, piece) for piece in pieces], name


def _mirrored_folder(source: Path, root: Path | None) -> Path:
    if root is None:
        return Path()
    try:
        return source.absolute().parent.relative_to(root.absolute())
    except ValueError:
        return Path()


def _next(path: Path, is_taken: Callable[[Path], bool]) -> Path:
    """The first of its numbered names that is not taken."""
    number = 2
    while is_taken(candidate := numbered(path, number)):
        number += 1
    return candidate


def _format_of_file(target: Path) -> str:
    """Id of the written format that the name of a file asks for; "" for a folder or any other name."""
    kind = EXTENSIONS.get(target.suffix.lower(), "")
    return kind if kind in WRITTEN and not target.is_dir() else ""


def _same_file(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False


def _safe(text: str) -> str:
    """A field's value as part of a file name: without folders, without what file systems refuse."""
    return _FORBIDDEN.sub("-", text)

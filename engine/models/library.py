"""The library: a folder of model files of the user's, the models that come with the program, and the classical ones.

The user's folder is the platform's place for user data, or where the environment variable PELLUCID_LIBRARY says.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import platformdirs

from engine.errors import Code, PellucidError
from engine.models.arch.architecture import nearest_name_hint
from engine.models.card import Card
from engine.models.classical import CLASSICAL_MODELS
from engine.models.files import FOREIGN, check_name, read_card, read_model, unreadable, weights_hash, write_model
from engine.models.foreign import ENDINGS, name_from, read_any_model
from engine.models.model import Model

PREFERRED = "photo-compact"
BUNDLED_FOLDER = Path(__file__).parent / "bundled"


@dataclass(frozen=True, slots=True)
class Entry:
    """One model of the library, known from its header alone."""

    card: Card
    path: Path | None
    """None: a classical model."""
    bundled: bool
    """Came with the program: cannot be renamed or removed."""
    weights_hash: str = ""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file in the library's folder that is no model."""

    path: Path
    problem: str


def library_folder() -> Path:
    """The user's folder; it may not exist yet."""
    chosen = os.environ.get("PELLUCID_LIBRARY", "")
    return Path(chosen) if chosen else Path(platformdirs.user_data_dir("pellucid", appauthor=False)) / "models"


def list_models() -> tuple[Entry, ...]:
    """The user's models, then the bundled ones that none of these hides, then the classical ones, by name in each."""
    found: dict[str, Entry] = {}
    for entry in _entries():
        if isinstance(entry, Entry):
            found.setdefault(entry.card.name.casefold(), entry)
    return tuple(found.values())


def list_unreadable() -> tuple[Unreadable, ...]:
    """Files in the library's folder that cannot be listed, each with the reason."""
    return tuple(entry for entry in _entries() if isinstance(entry, Unreadable))


def _entries() -> Iterator[Entry | Unreadable]:
    for folder, bundled in ((library_folder(), False), (BUNDLED_FOLDER, True)):
        for path in _files_in(folder):
            try:
                card, digest = read_card(path)
            except PellucidError as error:
                yield Unreadable(path, error.message)
                continue
            if card is None:
                yield Unreadable(path, f"{path} has no Pellucid card; import it.")
            else:
                yield Entry(card, path, bundled, digest)
    for model in CLASSICAL_MODELS:
        yield Entry(model.card, None, True)


def _files_in(folder: Path) -> list[Path]:
    try:
        return sorted(
            (path for path in folder.iterdir() if path.suffix == ".safetensors" and not path.name.startswith(".")),
            key=lambda path: path.stem.casefold(),
        )
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise unreadable(folder, error) from error


def find_entry(name: str) -> Entry:
    """The model of this name in the library, whatever its capitals."""
    entries = list_models()
    for entry in entries:
        if entry.card.name.casefold() == name.casefold():
            return entry
    raise PellucidError(
        Code.MODEL_MISSING,
        f'There is no model "{name}".',
        nearest_name_hint(name, tuple(entry.card.name for entry in entries)),
        model=name,
    )


def find_model(name_or_path: str | Path) -> Model:
    """A model by its name in the library, or by the path of any model file."""
    text = str(name_or_path)
    if isinstance(name_or_path, Path) or looks_like_path(text):
        return read_any_model(Path(text))
    return load(find_entry(text))


def looks_like_path(text: str) -> bool:
    """Whether a model's file is meant rather than its name in the library, which may well have a dot."""
    path = Path(text)
    return path.suffix.lower() in ENDINGS or path.parent != Path()


def stamp_of(text: str) -> tuple[int, ...]:
    """Changes when another model may be meant by the same name or path than before: what was loaded is stale then.
    Every change of the library is a rename in its folder, which the folder's time tells."""
    try:
        status = (Path(text) if looks_like_path(text) else library_folder()).stat()
    except OSError:
        return ()
    return status.st_mtime_ns, status.st_size


def find_by_hash(digest: str) -> Entry | None:
    """The model whose weights have this hash: the other half of a pair, or a parent."""
    if not digest:
        return None
    return next((entry for entry in list_models() if entry.weights_hash == digest), None)


def load(entry: Entry) -> Model:
    if entry.path is None:
        return next(model for model in CLASSICAL_MODELS if model.card.name == entry.card.name)
    return read_model(entry.path)


def default_model() -> Model:
    """What is used when nobody chose: the preferred model, else the best network here, else lanczos."""
    return load(default_entry())


def default_entry() -> Entry:
    """Networks that run without torch come first; among them bundled, measured, then fast ones."""
    entries = list_models()
    networks = [entry for entry in entries if entry.path is not None and entry.card.architecture != FOREIGN]
    for entry in networks:
        if entry.card.name == PREFERRED:
            return entry
    if networks:
        return min(
            networks, key=lambda entry: (not entry.bundled, not entry.card.scores, entry.card.parameters, entry.path)
        )
    return next(entry for entry in entries if entry.card.name == "lanczos")


def import_model(path: Path, name: str | None = None, *, replace: bool = False) -> Entry:
    """Copy a model of any kind into the library as a file of ours. The name is free, or with `replace` the user's."""
    model = read_any_model(path)
    if name is not None:
        check_name(name)
    chosen = name or (model.card.name if path.suffix == ".safetensors" else name_from(path))
    taken = next((entry for entry in list_models() if entry.card.name.casefold() == chosen.casefold()), None)
    if taken is not None and replace:
        target = _users_own(taken, "replaced")
    else:
        _check_free(chosen)
        target = _file_for(chosen)
    card = msgspec.structs.replace(model.card, name=chosen)
    write_model(Model(card, model.weights), target)
    return Entry(card, target, bundled=False, weights_hash=weights_hash(model.weights))


def rename(name: str, new_name: str) -> Entry:
    """Give a model of the user's another name, on its card and as its file's name."""
    entry = find_entry(name)
    path = _users_own(entry, "renamed")
    check_name(new_name)
    if new_name.casefold() != entry.card.name.casefold():
        _check_free(new_name)
    model = read_model(path)
    card = msgspec.structs.replace(model.card, name=new_name)
    target = _file_for(new_name)
    write_model(Model(card, model.weights), target)
    if not (target.exists() and path.exists() and target.samefile(path)):
        _unlink(path)
    return Entry(card, target, bundled=False, weights_hash=entry.weights_hash)


def remove(name: str) -> Entry:
    """Delete a model of the user's."""
    entry = find_entry(name)
    _unlink(_users_own(entry, "removed"))
    return entry


def _users_own(entry: Entry, done: str) -> Path:
    if entry.path is None or entry.bundled:
        raise PellucidError(
            Code.USAGE,
            f"The model {entry.card.name} comes with the program and cannot be {done}.",
            model=entry.card.name,
        )
    return entry.path


def _check_free(name: str) -> None:
    taken = any(entry.card.name.casefold() == name.casefold() for entry in list_models())
    if taken or _file_for(name).exists():
        raise PellucidError(
            Code.USAGE, f'There is already a model "{name}".', "Choose another name, or remove that one.", model=name
        )


def _file_for(name: str) -> Path:
    return library_folder() / f"{name}.safetensors"


def _unlink(path: Path) -> None:
    try:
        path.unlink()
    except OSError as error:
        raise PellucidError(
            Code.FILE_UNWRITABLE,
            f"{path} cannot be deleted: {error.strerror or error}.",
            "Check the folder's permissions.",
            path=str(path),
        ) from error

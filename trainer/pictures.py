"""Which pictures a folder holds, and what each is for: the layouts that data sets come in.

pairs     GT|HR|... beside LQ|LR|LRx4|...: the same names, or names with x4 behind them
div2k     DIV2K_train_HR, DIV2K_valid_HR, DIV2K_train_LR_bicubic/X4/0001x4.png
bsds500   images/train, images/test (both trained on), images/val
ffhq      00000 .. 69000 folders or one flat folder of five-digit names; numbers from 60000 on are for validation
plain     anything else: every picture at any depth
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from engine.errors import Code, PellucidError

RAW_SUFFIXES = (".dng", ".nef", ".cr2", ".cr3", ".arw", ".raf", ".orf")
SUFFIXES = frozenset(
    [".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".avif", ".heic", ".heif"]
).union(RAW_SUFFIXES)
TARGET_FOLDERS = ("gt", "hr", "target", "sharp", "clean", "original")
DAMAGED_FOLDERS = ("lq", "lr", "lrx{scale}", "lr_x{scale}", "lr_bicubic", "x{scale}", "input", "damaged")

Layout = Literal["plain", "pairs", "div2k", "bsds500", "ffhq"]


@dataclass(frozen=True, slots=True)
class Picture:
    """A sharp picture, and its damaged partner in a paired layout."""

    target: Path
    damaged: Path | None = None

    @property
    def name(self) -> str:
        return self.target.stem


@dataclass(frozen=True, slots=True)
class PictureSet:
    folder: Path
    layout: Layout
    train: list[Picture]
    validation: list[Picture]
    """Pictures that the layout itself keeps apart; in every other layout a folder is used for what it was named for."""

    @property
    def all(self) -> list[Picture]:
        return self.train + self.validation


def find_pictures(folder: Path, scale: int) -> PictureSet:
    """Look at names only; opens nothing. Raises when the folder is missing or holds no picture."""
    folder = folder.expanduser()
    if not folder.is_dir():
        raise PellucidError(Code.FILE_MISSING, f"There is no folder {folder}.", path=str(folder))
    try:
        found = _div2k(folder, scale) or _bsds500(folder) or _pairs(folder, scale) or _ffhq(folder) or _plain(folder)
    except PermissionError as error:
        raise PellucidError(
            Code.FILE_UNREADABLE, f"The folder {error.filename} may not be read.", path=str(folder)
        ) from error
    if not found.all:
        raise PellucidError(
            Code.FILE_MISSING,
            f"The folder {folder} holds no pictures.",
            "Pictures are files that end in .png, .jpg, .webp, .tif, .bmp, .avif, .heic or a camera's raw format.",
            path=str(folder),
        )
    return found


def pictures_to_validate(folder: Path, scale: int) -> list[Picture]:
    """What a folder that is named for validation stands for: what its layout keeps apart, or all of it."""
    found = find_pictures(folder, scale)
    return found.validation or found.train


def without_repeats(pictures: Sequence[Picture]) -> list[Picture]:
    """Each file once, however many names lead to it."""
    once: dict[Path, Picture] = {}
    for picture in pictures:
        once.setdefault(picture.target.resolve(), picture)
    return list(once.values())


def origin(picture: Picture) -> Path:
    """What a picture was made from. `pellucid degrade --pairs --count N` writes N versions NAME-0000, NAME-0001, ... of
    each picture, with the plan of its damage beside the damaged one: they share the origin NAME. Any other picture is
    its own."""
    version = re.fullmatch(r"(.+)-\d{4}", picture.target.stem)
    if version and picture.damaged is not None and picture.damaged.with_suffix(".json").is_file():
        return picture.target.with_name(version[1])
    return picture.target


def list_pictures(folder: Path) -> list[Path]:
    """Every picture file below `folder`, hidden ones left out, in a fixed order."""
    return sorted(_walk(folder), key=lambda path: path.relative_to(folder).as_posix())


def _walk(folder: Path) -> Iterator[Path]:
    for entry in folder.iterdir():
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            if not entry.is_symlink():
                yield from _walk(entry)
        elif entry.suffix.lower() in SUFFIXES:
            yield entry


def _plain(folder: Path) -> PictureSet:
    return PictureSet(folder, "plain", [Picture(path) for path in list_pictures(folder)], [])


def _pairs(folder: Path, scale: int) -> PictureSet | None:
    subfolders = {entry.name.lower(): entry for entry in sorted(folder.iterdir()) if entry.is_dir()}
    target = next((subfolders[name] for name in TARGET_FOLDERS if name in subfolders), None)
    wanted = [name.format(scale=scale) for name in DAMAGED_FOLDERS]
    damaged = next((subfolders[name] for name in wanted if name in subfolders), None)
    if target is None or damaged is None:
        return None
    return PictureSet(folder, "pairs", pair_up(target, damaged, scale), [])


def _div2k(folder: Path, scale: int) -> PictureSet | None:
    train, valid = folder / "DIV2K_train_HR", folder / "DIV2K_valid_HR"
    if not train.is_dir() and not valid.is_dir():
        return None
    sets = []
    for target in (train, valid):
        damaged = folder / target.name.replace("_HR", "_LR_bicubic") / f"X{scale}"
        sets.append(pair_up(target, damaged, scale) if target.is_dir() else [])
    return PictureSet(folder, "div2k", *sets)


def _bsds500(folder: Path) -> PictureSet | None:
    for root in (folder, folder / "data", folder / "BSDS500" / "data", folder / "BSR" / "BSDS500" / "data"):
        images = root / "images"
        if all((images / part).is_dir() for part in ("train", "test", "val")):
            train = [Picture(path) for part in ("train", "test") for path in list_pictures(images / part)]
            return PictureSet(folder, "bsds500", train, [Picture(path) for path in list_pictures(images / "val")])
    return None


def _ffhq(folder: Path) -> PictureSet | None:
    root = next(
        (folder / name for name in ("images1024x1024", "thumbnails128x128") if (folder / name).is_dir()), folder
    )
    paths = list_pictures(root)
    if not paths or not all(re.fullmatch(r"\d{5}", path.stem) for path in paths):
        return None
    in_thousands = all(re.fullmatch(r"\d\d000", path.parent.name) for path in paths)
    if root == folder and not in_thousands:
        return None
    train = [Picture(path) for path in paths if int(path.stem) < 60000]
    return PictureSet(folder, "ffhq", train, [Picture(path) for path in paths if int(path.stem) >= 60000])


def pair_up(target: Path, damaged: Path, scale: int) -> list[Picture]:
    """Each sharp picture with the damaged one of its name; without a partner it stands alone."""
    partners: dict[str, Path] = {}
    if damaged.is_dir():
        for path in list_pictures(damaged):
            partners[path.relative_to(damaged).with_suffix("").as_posix()] = path
    pictures = []
    for path in list_pictures(target):
        key = path.relative_to(target).with_suffix("").as_posix()
        names = (key, f"{key}x{scale}", f"{key}_x{scale}", f"{key}_LR", f"{key}_lr", f"{key}_lq")
        pictures.append(Picture(path, next((partners[name] for name in names if name in partners), None)))
    return pictures

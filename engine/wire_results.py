"""Which pictures of a folder are results of others there: whoever restores a folder once more does not want to enlarge
the enlarged.

Standard library only: the window, which walks dropped folders itself, and the command line leave out the same ones.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import PurePath
from typing import Final

WRITTEN_SUFFIXES: Final = frozenset((".png", ".jpg", ".jpeg", ".jfif", ".jpe", ".webp", ".tif", ".tiff", ".avif"))
"""Of the formats that a result can have as its original has it; the others become PNG."""
_SUFFIXES_OF_FORMATS: Final = frozenset((".png", ".jpg", ".webp", ".tif", ".avif"))
"""Those that a result gets whose format is not its original's."""
_SCALE_AT_END: Final = re.compile(r"_x(?:0|[1-9][0-9]{0,3})(?:\.[0-9]*[1-9])?(?: \((?:[2-9]|[1-9][0-9]{1,3})\))?\Z")
"""As results are called unless told otherwise: photo_model_x4, photo_model_x1.5 (2)."""


class PicturesOfTree:
    """The pictures below one folder, as far as they have been found."""

    def __init__(self) -> None:
        self._places: dict[str, list[tuple[tuple[str, ...], str]]] = {}
        """By name without suffix: the folders, part by part, and the suffixes."""

    def add(self, path: str) -> None:
        folder, name = os.path.split(path)
        stem, suffix = os.path.splitext(name)  # noqa: PTH122 - called for every picture of a tree
        self._places.setdefault(stem, []).append((PurePath(folder).parts, suffix))

    def original_of(self, path: str) -> str:
        """The file name of the picture that `path`, by its name and place, was made of; "" where it is an original."""
        folder, name = os.path.split(path)
        stem, suffix = os.path.splitext(name)  # noqa: PTH122
        parts = PurePath(folder).parts
        for original in possible_originals(stem):
            for original_parts, original_suffix in self._places.get(original, ()):
                if _fits(suffix, original_suffix) and _is_output_folder(parts, original_parts):
                    return original + original_suffix
        return ""


def may_be_result_name(name: str) -> bool:
    """Whether the file name is one that a result can have: what lies around it decides."""
    stem, _suffix = os.path.splitext(name)  # noqa: PTH122
    return next(possible_originals(stem), None) is not None


def possible_originals(stem: str) -> Iterator[str]:
    """Names that the original can have, if `stem` is the name of a result, all without suffix."""
    if (scale := _SCALE_AT_END.search(stem)) is not None:
        # The name of a model stands between, and either of the two may hold more of these marks.
        yield from (stem[:at] for at in range(1, scale.start() - 1) if stem[at] == "_")


def _fits(suffix: str, original_suffix: str) -> bool:
    own = suffix == original_suffix and suffix.lower() in WRITTEN_SUFFIXES
    return own or suffix in _SUFFIXES_OF_FORMATS


def _is_output_folder(folder: tuple[str, ...], original_folder: tuple[str, ...]) -> bool:
    """Whether it is the original's own, or one that the folders below some place above the original are mirrored in:
    photos/out/2020/may of photos/2020/may."""
    more = len(folder) - len(original_folder)
    if more < 0:
        return False
    common = 0
    while common < len(original_folder) and folder[common] == original_folder[common]:
        common += 1
    return folder[common + more :] == original_folder[common:]


def tell_left_out(left_out: Sequence[tuple[str, str]]) -> str:
    """The sentence about (path, file name of its original) of each that was left out."""
    path, original = left_out[0]
    name = os.path.basename(path)  # noqa: PTH119 - text, as it came
    if len(left_out) == 1:
        return f"{name} is left out: by its name it is a result of {original}. Name it itself to take it all the same."
    return (
        f"{len(left_out)} pictures are left out: by their names they are results of others there, as {name} of "
        f"{original}. Name one itself to take it all the same."
    )

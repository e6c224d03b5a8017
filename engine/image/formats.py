"""What each file format can hold. Plain tables and the questions asked of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from engine.errors import Code, PellucidError

WrittenFormat = Literal["png", "jpeg", "webp", "tiff", "avif"]


@dataclass(frozen=True, slots=True)
class Written:
    """A format that results can be written in."""

    extension: str
    largest_side: int
    sixteen_bits: bool
    alpha: bool
    title: str
    largest_megapixels: float | None = None


WRITTEN: Final[dict[str, Written]] = {
    "png": Written(".png", 0x7FFFFFFF, True, True, "PNG"),
    "jpeg": Written(".jpg", 65_535, False, False, "JPEG"),
    "webp": Written(".webp", 16_383, False, True, "WebP"),
    "tiff": Written(".tif", 0x7FFFFFFF, True, True, "TIFF"),
    # by the standard 65,536 a side; most programs open no more than this
    "avif": Written(".avif", 32_768, False, True, "AVIF", 268.4),
}

_RAW_EXTENSIONS: Final = (
    *(".dng", ".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".srf", ".sr2", ".raf", ".orf", ".rw2", ".pef"),
    *(".srw", ".raw", ".rwl", ".3fr", ".fff", ".iiq", ".erf", ".mef", ".mos", ".kdc", ".dcr", ".mrw"),
)

EXTENSIONS: Final[dict[str, str]] = {
    ".png": "png",
    ".apng": "png",
    ".jpg": "jpeg",
    ".jpeg": "jpeg",
    ".jpe": "jpeg",
    ".jfif": "jpeg",
    ".webp": "webp",
    ".tif": "tiff",
    ".tiff": "tiff",
    ".bmp": "bmp",
    ".dib": "bmp",
    ".gif": "gif",
    ".avif": "avif",
    ".heic": "heic",
    ".heif": "heic",
    ".hif": "heic",
    **dict.fromkeys(_RAW_EXTENSIONS, "raw"),
}
"""File name extensions that folders are searched for. What a file is, its content decides."""


def choose_bits(kind: str, wanted: int, source_bits: int) -> Literal[8, 16]:
    """Bits a sample to write: as wanted, or for 0 as the source has them, as far as the format goes."""
    bits = wanted or source_bits
    return 16 if bits >= 16 and WRITTEN[kind].sixteen_bits else 8


def check_limits(kind: str, width: int, height: int) -> None:
    """Refuses a picture that the format cannot hold, before any work is done."""
    facts = WRITTEN[kind]
    if max(width, height) > facts.largest_side:
        raise PellucidError(
            Code.IMAGE_TOO_LARGE,
            f"{facts.title} holds at most {facts.largest_side:,} pixels a side; the result has {width} x {height}.",
            "Write PNG or TIFF instead, or choose a smaller size.",
            format=kind,
            width=width,
            height=height,
        )
    if facts.largest_megapixels is not None and width * height > facts.largest_megapixels * 1e6:
        raise PellucidError(
            Code.IMAGE_TOO_LARGE,
            f"{facts.title} files above {facts.largest_megapixels:g} megapixels do not open in most programs; "
            f"the result has {width * height / 1e6:,.1f}.",
            "Write PNG or TIFF instead, or choose a smaller size.",
            format=kind,
            width=width,
            height=height,
        )

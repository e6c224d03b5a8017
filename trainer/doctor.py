"""Looks at a data set before hours are spent on it: what is wrong, where, and what to do about it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from engine.errors import PellucidError
from engine.image.decode import read_image
from trainer.pictures import Picture, find_pictures, origin, pictures_to_validate, without_repeats
from trainer.pixels import Pixels, read_pixels

Kind = Literal[
    "unreadable", "too-small", "no-partner", "wrong-scale", "duplicate", "grey", "alpha", "heavy-jpeg", "leak"
]

ADVICE: dict[Kind, str] = {
    "unreadable": "Remove these files or get fresh copies; training passes them over.",
    "too-small": "Remove them, or train with a smaller crop; training leaves them out.",
    "no-partner": "Add the missing files, or train with data.source = recipe, which makes the damage itself.",
    "wrong-scale": "Make the damaged picture exactly the scale times smaller, or remove the pair.",
    "duplicate": "Keep one of each: a picture that comes twice counts twice.",
    "grey": "Remove them unless grey pictures are what you want: they teach nothing about colour.",
    "alpha": "Flatten them on a background: training ignores the alpha channel.",
    "heavy-jpeg": "Shrink them to half their size, or use less compressed ones: a network learns the blocks as detail.",
    "leak": "Remove them from training: validation would measure memory, not skill.",
}
FATAL: frozenset[Kind] = frozenset({"unreadable", "no-partner", "wrong-scale", "leak"})

NEAR_HASH = 8
"""Of 63 bits: hashes this near are looked at closer."""
NEAR_THUMBNAIL = 8.0
"""Mean difference of 32x32 thumbnails, of 255, up to which two pictures are the same one."""
THUMBNAIL = 32
LOW_QUALITY = 75
"""JPEG quality below which compression counts as heavy."""
BLOCKY = 1.25
"""How much larger steps may be across the borders of 8x8 blocks than elsewhere."""


@dataclass(frozen=True, slots=True)
class Finding:
    kind: Kind
    path: str
    text: str

    @property
    def fatal(self) -> bool:
        return self.kind in FATAL


@dataclass(frozen=True, slots=True)
class Report:
    folder: str
    layout: str
    pictures: int
    megapixels: float
    smallest_side: int
    usable: int
    """Pictures that are whole and large enough."""
    findings: list[Finding] = field(default_factory=list)

    @property
    def healthy(self) -> bool:
        """Nothing that training would stumble over or that would make its scores untrue."""
        return self.usable > 0 and not any(finding.fatal for finding in self.findings)

    def by_kind(self) -> dict[Kind, list[Finding]]:
        kinds: dict[Kind, list[Finding]] = {}
        for finding in self.findings:
            kinds.setdefault(finding.kind, []).append(finding)
        return kinds


@dataclass(slots=True)
class _Seen:
    """What is remembered of each readable picture."""

    paths: list[Path] = field(default_factory=list)
    origins: list[Path] = field(default_factory=list)
    hashes: list[int] = field(default_factory=list)
    mirrored: list[int] = field(default_factory=list)
    thumbnails: list[npt.NDArray[np.float32]] = field(default_factory=list)

    def add(self, picture: Picture, thumbnail: npt.NDArray[np.float32]) -> None:
        self.paths.append(picture.target)
        self.origins.append(origin(picture))
        self.thumbnails.append(thumbnail)
        self.hashes.append(perceptual_hash(thumbnail))
        self.mirrored.append(perceptual_hash(thumbnail[:, ::-1]))


def examine(
    folders: Sequence[Path],
    crop: int,
    scale: int,
    validation: Sequence[Path] = (),
    pairs: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Report:
    """Open every picture of the training folders. `crop` includes the context; `validation`: folders it must not share
    pictures with; `pairs`: damaged partners are wanted, not only checked where they are."""
    found = [find_pictures(folder, scale) for folder in folders]
    pictures = without_repeats([picture for some in found for picture in some.train])
    findings: list[Finding] = []
    seen = _Seen()
    digests: dict[str, Picture] = {}
    pixels_total, smallest, usable = 0, 0, 0
    for number, picture in enumerate(pictures):
        progress(number, len(pictures))
        path = picture.target
        try:
            pixels = read_pixels(path)
        except PellucidError as error:
            findings.append(Finding("unreadable", str(path), error.message))
            continue
        height, width = pixels.shape[:2]
        pixels_total += height * width
        smallest = min(smallest or height, height, width)
        usable += min(height, width) >= crop
        findings += _look_at_picture(path, pixels, crop)
        findings += _look_at_pair(picture, pixels, scale, pairs)
        digest = hashlib.sha256(pixels.tobytes()).hexdigest()
        known = digests.setdefault(digest, picture)
        if known is picture:
            seen.add(picture, thumbnail_of(pixels))
        elif origin(known) != origin(picture):
            findings.append(Finding("duplicate", str(path), f"The same pixels as {known.target}."))
    findings += _near_duplicates(seen)
    findings += _leaks(seen, validation, scale, {picture.target.resolve() for picture in pictures})
    named, layouts = ", ".join(map(str, folders)), ", ".join(dict.fromkeys(some.layout for some in found))
    return Report(named, layouts, len(pictures), pixels_total / 1e6, smallest, usable, findings)


def _look_at_picture(path: Path, pixels: Pixels, crop: int) -> Iterable[Finding]:
    height, width = pixels.shape[:2]
    if min(height, width) < crop:
        yield Finding(
            "too-small", str(path), f"{width}x{height} is smaller than the {crop}x{crop} that training cuts out."
        )
    sample = pixels[:: max(1, height // 512), :: max(1, width // 512)].astype(np.int16)
    if int((sample.max(2) - sample.min(2)).max(initial=0)) <= 2:
        yield Finding("grey", str(path), "It has no colours.")
    buffer_alpha = _alpha(path)
    if buffer_alpha:
        yield Finding("alpha", str(path), "Parts of it are transparent.")
    quality = jpeg_quality(path)
    if quality is not None and quality < LOW_QUALITY:
        yield Finding("heavy-jpeg", str(path), f"It is a JPEG of quality {quality}.")
    elif quality is None and (step := blockiness(pixels)) > BLOCKY:
        yield Finding("heavy-jpeg", str(path), f"It was a JPEG once: steps at 8x8 blocks are {step:.2f} times larger.")


def _alpha(path: Path) -> bool:
    """Whether anything is transparent; formats without alpha are not opened again."""
    if path.suffix.lower() in (".jpg", ".jpeg", ".jpe", ".jfif", ".bmp"):
        return False
    alpha = read_image(path).alpha
    if alpha is None:
        return False
    opaque = 1.0 if alpha.dtype.kind == "f" else float(np.iinfo(alpha.dtype).max)  # type: ignore[type-var]
    return bool((alpha.astype(np.float64) < opaque).any())


def _look_at_pair(picture: Picture, pixels: Pixels, scale: int, wanted: bool) -> Iterable[Finding]:
    if picture.damaged is None:
        if wanted:
            yield Finding("no-partner", str(picture.target), "There is no damaged picture of this name.")
        return
    try:
        damaged = read_pixels(picture.damaged)
    except PellucidError as error:
        yield Finding("unreadable", str(picture.damaged), error.message)
        return
    height, width = damaged.shape[:2]
    if (height * scale, width * scale) != pixels.shape[:2]:
        yield Finding(
            "wrong-scale",
            str(picture.damaged),
            f"{width}x{height} is not {scale} times smaller than {pixels.shape[1]}x{pixels.shape[0]}.",
        )


def _near_duplicates(seen: _Seen) -> Iterable[Finding]:
    for number, path in enumerate(seen.paths):
        for other in _near(seen, number, seen.hashes[:number]):
            if seen.origins[number] == seen.origins[other]:
                continue
            how = _same(seen.thumbnails[number], seen.thumbnails[other])
            if how:
                yield Finding("duplicate", str(path), f"{how} {seen.paths[other]}.")
                break


def _near(seen: _Seen, number: int, others: Sequence[int]) -> list[int]:
    """Places in `others` whose hash is near that of picture `number`, mirrored or not."""
    if not others:
        return []
    values = np.array(others, dtype=np.uint64)
    distance = np.minimum(
        np.bitwise_count(values ^ np.uint64(seen.hashes[number])),
        np.bitwise_count(values ^ np.uint64(seen.mirrored[number])),
    )
    return [int(place) for place in np.flatnonzero(distance <= NEAR_HASH)]


def _same(one: npt.NDArray[np.float32], other: npt.NDArray[np.float32]) -> str:
    """What two thumbnails have to do with each other; empty: nothing."""
    if float(np.abs(one - other).mean()) <= NEAR_THUMBNAIL:
        return "The same picture as"
    if float(np.abs(one[:, ::-1] - other).mean()) <= NEAR_THUMBNAIL:
        return "The mirror image of"
    return ""


def _leaks(seen: _Seen, validation: Sequence[Path], scale: int, own: set[Path]) -> Iterable[Finding]:
    for folder in validation:
        for picture in pictures_to_validate(folder, scale):
            if picture.target.resolve() in own:
                yield Finding("leak", str(picture.target), "It is trained on and validated with.")
                continue
            try:
                thumbnail = thumbnail_of(read_pixels(picture.target))
            except PellucidError as error:
                yield Finding("unreadable", str(picture.target), error.message)
                continue
            place = len(seen.paths)
            seen.add(picture, thumbnail)
            for other in _near(seen, place, seen.hashes[:place]):
                how = _same(thumbnail, seen.thumbnails[other])
                if how:
                    yield Finding("leak", str(seen.paths[other]), f"{how} {picture.target}, which validates.")
                    break
            for remembered in (seen.paths, seen.origins, seen.hashes, seen.mirrored, seen.thumbnails):
                remembered.pop()


def thumbnail_of(pixels: Pixels) -> npt.NDArray[np.float32]:
    """(32, 32) float32 luma, 0..255, averaged over areas."""
    grey = Image.fromarray(pixels).convert("L").resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX)
    return np.asarray(grey, dtype=np.float32)


def perceptual_hash(thumbnail: npt.NDArray[np.float32]) -> int:
    """63 bits: which of the 8x8 lowest cosine coefficients but the mean lie above their median. Resizing, compression
    and changed brightness turn few of them."""
    n = THUMBNAIL
    basis = np.cos(np.pi * (np.arange(n) + 0.5)[None] * np.arange(8)[:, None] / n)
    low = (basis @ thumbnail @ basis.T).reshape(-1)[1:]
    bits = low > np.median(low)
    return int(sum(1 << place for place, bit in enumerate(bits) if bit))


_STANDARD_LUMINANCE_MEAN = 57.625
"""Mean of the example luminance table of the JPEG standard, which is quality 50."""


def jpeg_quality(path: Path) -> int | None:
    """Quality 1..100 by the size of the luminance table, on the scale that libjpeg's users know; None: no JPEG."""
    try:
        with Image.open(path) as image:
            tables = getattr(image, "quantization", None) if image.format == "JPEG" else None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    if not tables:
        return None
    scale = 100.0 * float(np.mean(tables[min(tables)])) / _STANDARD_LUMINANCE_MEAN
    quality = 100.0 - scale / 2.0 if scale <= 100.0 else 5000.0 / scale
    return int(min(100, max(1, round(quality))))


def blockiness(pixels: Pixels) -> float:
    """How much more the picture jumps across the borders of 8x8 blocks than at the other seven places; about 1 for an
    untouched picture. A jump is a step that its two neighbours do not announce, so slopes and edges of any size, and
    pictures that were enlarged, do not count."""
    luma = pixels.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    if min(luma.shape) < 64:
        return 1.0
    ratios = []
    for plane in (luma, luma.T):
        steps = np.diff(plane, axis=1)
        jumps = np.abs(steps[:, 1:-1] - (steps[:, :-2] + steps[:, 2:]) / 2)
        places = (np.arange(jumps.shape[1]) + 1) % 8
        means = np.array([float(np.minimum(jumps[:, places == place], 24.0).mean()) for place in range(8)])
        others = float(np.sort(means[:7])[-2])
        ratios.append(float(means[7]) / others if others > 0.05 else 1.0)
    return sum(ratios) / 2

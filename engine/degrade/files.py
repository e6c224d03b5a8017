"""Pictures in files become damaged pictures in files: several at work at once, told in order, in bounded memory."""

from __future__ import annotations

import sys
import unicodedata
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Condition, Event, Lock
from typing import Any

import numpy as np

from engine.degrade.draw import draw_plan
from engine.degrade.execute import degrade_batch
from engine.degrade.plan import Plan
from engine.degrade.recipe import Recipe
from engine.degrade.sheet import Bytes, summary
from engine.errors import Cancelled, Code, PellucidError
from engine.image.bands import OrderedWork
from engine.image.buffer import ImageBuffer, Metadata
from engine.image.decode import probe_image, read_image
from engine.image.encode import write_image
from engine.runtime.memory import available_memory
from engine.whole_file import make_folder, write_whole
from kernels.degrade import pixels_of, planes_of

_BYTES_A_PIXEL = 160
"""Of a source that is being damaged: its bytes, the floats of source, target and result, and what the kernels need."""
_AHEAD = 8
"""Jobs for each thread that may have ended before one that came earlier: a large picture keeps no thread waiting."""


@dataclass(frozen=True)
class Order:
    """What to make of every picture, and where to put it."""

    folder: Path
    recipe: Recipe
    replay: Plan | None
    """A plan that settles everything, in place of the recipe and the seed."""
    seed: int
    count: int
    """Versions of each picture."""
    pairs: bool
    """Inputs and targets, flipped and sharpened as the recipe says, in two folders."""
    overwrite: bool


@dataclass(frozen=True)
class Result:
    """What was written of a source, or why nothing was."""

    source: Path
    record: dict[str, Any] = field(default_factory=dict)
    failure: PellucidError | None = None


def degrade_files(
    files: Sequence[tuple[Path, Path]], order: Order, threads: int, take: Callable[[Result], None]
) -> None:
    """Damage each file and write results below the order's folder.

    files: each with the name, relative to that folder, which its results get. `take` gets the results on this thread,
    file by file and version by version, whatever ends first. A source that cannot be used is told once; of a version
    that fails, the others know nothing. When `take` raises, or an interrupt comes, what has begun to be written is
    finished, nothing else is begun, and the exception goes on.
    """
    workers = min(threads, max(1, len(files) * order.count))
    room, stopping = _Room(available_memory() // 2 // _BYTES_A_PIXEL), Event()
    last_failure: PellucidError | None = None

    def hand_on(result: Result) -> None:
        nonlocal last_failure
        if result.failure is None or result.failure is not last_failure:
            take(result)
        last_failure = result.failure

    taken: dict[str, Path] = {}
    work = OrderedWork(workers, hand_on, window=_AHEAD * workers)
    try:
        for path, name in files:
            source = _Source(path, order, room)
            for version in range(order.count):
                stem = name.with_suffix("") if order.count == 1 else name.with_name(f"{name.stem}-{version:04d}")
                if (other := taken.setdefault(_file_of(stem), path)) != path:
                    work.submit(Result, path, {}, _same_result(path, other, order.folder / stem))
                    break
                sample = sample_number(name.as_posix(), version)
                work.submit(_Job(source, order, stem, sample, room, stopping, threads // workers).run)
        work.drain()
    finally:
        stopping.set()
        work.close()


def sample_number(name: str, version: int) -> int:
    """The number that names version 0, 1, … of a picture: from the file's name alone, so that other files beside it
    change nothing."""
    return zlib.crc32(unicodedata.normalize("NFC", name).encode("utf-8", "surrogatepass")) << 20 | version


def read_picture(path: Path) -> tuple[Bytes, Metadata]:
    """(height, width, 3) uint8 and the profile: grey becomes RGB, more bits are rounded to 8, alpha is left out."""
    image = read_image(path)
    colour = image.colour
    if colour.dtype == np.uint16:
        levels = ((colour.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)
    elif colour.dtype == np.uint8:
        levels = colour.astype(np.uint8, copy=False)
    else:
        levels = np.rint(np.clip(colour.astype(np.float64), 0.0, 1.0) * 255).astype(np.uint8)
    profile = None if image.is_grey else image.metadata.icc  # a grey profile does not fit three channels
    return np.ascontiguousarray(np.broadcast_to(levels, (*levels.shape[:2], 3))), Metadata(icc=profile)


def write_picture(path: Path, picture: Bytes, metadata: Metadata, threads: int = 0) -> None:
    """As PNG. threads: for compressing, 0 for as many as pay."""
    make_folder(path.parent)
    write_image(ImageBuffer(picture, metadata=metadata), path, "png", overwrite=True, threads=threads)


def refuse_existing(file: Path, source: Path, overwrite: bool) -> None:
    """Raises where `file` is there already and may not be replaced, as a source never may."""
    if not file.exists():
        return
    if source.exists() and file.samefile(source):
        raise PellucidError(
            Code.FILE_UNWRITABLE, f"{file} is the source itself.", "Choose another folder with -o.", path=str(file)
        )
    if not overwrite:
        raise PellucidError(
            Code.FILE_UNWRITABLE, f"{file} is there already.", "Add --overwrite to replace it.", path=str(file)
        )


class _Room:
    """Lets in as many pixels at a time as memory holds; a picture that is larger than that comes in alone."""

    def __init__(self, pixels: int) -> None:
        self._pixels = pixels
        self._taken = 0
        self._changed = Condition()

    @contextmanager
    def hold(self, pixels: int) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: self._taken == 0 or self._taken + pixels <= self._pixels)
            self._taken += pixels
        try:
            yield
        finally:
            with self._changed:
                self._taken -= pixels
                self._changed.notify_all()


class _Source:
    """A picture that is read by the first of its versions to come, and forgotten with the last."""

    def __init__(self, path: Path, order: Order, room: _Room) -> None:
        self.path = path
        self._order = order
        self._room = room
        self._one_reads = Lock()
        self._picture: tuple[Bytes, Metadata] | None = None
        self._failure: PellucidError | None = None

    def read(self) -> tuple[Bytes, Metadata]:
        """Raises the same error for every version of a picture that cannot be damaged at all."""
        with self._one_reads:
            if self._failure is not None:
                raise self._failure
            if self._picture is None:
                try:
                    facts = probe_image(self.path)
                    with self._room.hold(facts.width * facts.height):
                        picture = read_picture(self.path)
                    self._check_size(*picture[0].shape[:2])
                    self._picture = picture
                except PellucidError as failure:
                    self._failure = failure
                    raise
            return self._picture

    def _check_size(self, height: int, width: int) -> None:
        plan = self._order.replay
        if plan is None:
            draw_plan(self._order.recipe, self._order.seed, [], height, width)
        elif (height, width) != plan.source_size:
            raise PellucidError(
                Code.CONFIG,
                f"{self.path} has {width} x {height} pixels, and the plan is for {plan.source_size[1]} x "
                f"{plan.source_size[0]}.",
                "Use the picture that the plan was drawn for, or one of its size.",
                path=str(self.path),
            )


@dataclass(frozen=True)
class _Job:
    """One result: where it comes from, where it goes (`stem` is relative to the folder), which sample it is."""

    source: _Source
    order: Order
    stem: Path
    sample: int
    room: _Room
    stopping: Event
    compressing: int
    """Threads for writing a PNG."""

    def run(self) -> Result:
        try:
            self._go_on()
            picture, metadata = self.source.read()
            with self.room.hold(picture.shape[0] * picture.shape[1]):
                return Result(self.source.path, self._damage(picture, metadata))
        except PellucidError as failure:
            return Result(self.source.path, failure=failure)
        except MemoryError:
            return Result(self.source.path, failure=_too_large(self.source.path))

    def _damage(self, picture: Bytes, metadata: Metadata) -> dict[str, Any]:
        """Write one damaged picture, its plan, and its target where pairs are asked for."""
        order = self.order
        inputs = order.folder / "input" if order.pairs else order.folder
        result, plan_file = (inputs / self.stem.with_name(self.stem.name + end) for end in (".png", ".json"))
        target_file = order.folder / "target" / self.stem.with_name(self.stem.name + ".png")
        for file in (result, plan_file, target_file) if order.pairs else (result, plan_file):
            refuse_existing(file, self.source.path, order.overwrite)
        self._go_on()
        plan = order.replay
        if plan is None:
            plan = draw_plan(order.recipe, order.seed, [self.sample], *picture.shape[:2], orient=order.pairs)
        damaged, target = degrade_batch(planes_of(picture[None]), plan, threads=1)
        self._go_on()
        if order.pairs:
            write_picture(target_file, pixels_of(target)[0], metadata, self.compressing)
        written_plan = plan.to_json(0) + b"\n"
        make_folder(plan_file.parent)
        write_whole(plan_file, lambda partial: partial.write_bytes(written_plan))
        write_picture(result, pixels_of(damaged)[0], metadata, self.compressing)
        operations = plan.describe(0)
        record = {
            "source": str(self.source.path),
            "written": str(result),
            "plan": str(plan_file),
            "sample": int(plan.samples[0]),
        }
        if order.pairs:
            record["target"] = str(target_file)
        return {**record, "summary": summary(operations), "operations": operations}

    def _go_on(self) -> None:
        if self.stopping.is_set():
            raise Cancelled


def _file_of(stem: Path) -> str:
    """What no two results may share: on Windows and macOS, names that differ by case alone are one file, on macOS those
    too that spell an accent differently."""
    name = unicodedata.normalize("NFC", str(stem)) if sys.platform == "darwin" else str(stem)
    return name.lower() if sys.platform in ("win32", "darwin") else name


def _same_result(path: Path, other: Path, stem: Path) -> PellucidError:
    return PellucidError(
        Code.FILE_UNWRITABLE,
        f"{path} and {other} would get the same result, {stem}.png.",
        "Rename one of them, or run them into different folders.",
        path=str(path),
    )


def _too_large(path: Path) -> PellucidError:
    return PellucidError(
        Code.OUT_OF_MEMORY,
        f"There is not enough memory to damage {path}.",
        "Close other programs, or use fewer --threads or a smaller picture.",
        path=str(path),
    )

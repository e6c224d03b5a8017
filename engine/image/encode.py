"""Writing pictures: row by row into a file beside the target, checked, then renamed, so the target is always whole."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Protocol, Self

import numpy as np
import numpy.typing as npt

from engine.errors import Code, PellucidError
from engine.image.bands import Rows
from engine.image.buffer import ImageBuffer, Metadata
from engine.image.colour import round_samples
from engine.image.colour_codes import name_of_colours
from engine.image.formats import WRITTEN, check_limits, choose_bits
from engine.image.icc import colour_profile_of_grey
from engine.image.metadata import correct_metadata
from engine.image.naming import numbered
from engine.image.png_stream import PngStream
from engine.image.tiff_stream import TiffStream
from engine.image.transparency import composite
from engine.image.verify import Expected, verify_file
from engine.image.whole_stream import (
    LARGEST_JPEG_EXIF,
    LARGEST_JPEG_XMP,
    WholeStream,
    encode_avif,
    encode_jpeg,
    encode_webp,
)
from engine.partial import name_partial, sweep_partials
from engine.whole_file import sync_folder, unwritable


class _Stream(Protocol):
    def write_rows(self, rows: Rows) -> None: ...

    def finish(self) -> None: ...

    def close(self) -> None: ...


class RowWriter:
    """A picture on its way to disk. Leaving a `with` block without `commit` removes everything that was written."""

    def __init__(
        self,
        target: Path,
        overwrite: bool,
        part: Path,
        file: BinaryIO,
        raw: Path | None,
        stream: _Stream,
        expected: Expected,
        flatten: bool,
        notices: tuple[str, ...],
    ) -> None:
        self.target = target
        self.notices = notices
        """Sentences about what the format could not hold."""
        self._overwrite = overwrite
        self._part, self._file, self._raw, self._stream = part, file, raw, stream
        self._expected = expected
        self._flatten = flatten
        self._rows = 0
        self._open = True

    def write_rows(self, rows: Rows) -> None:
        """The next rows from the top: (rows, width, channels) of the dtype that `bits` asked for, alpha last."""
        expected = self._expected
        channels = expected.channels + self._flatten
        if rows.shape[1:] != (expected.width, channels) or rows.dtype != expected.dtype:
            raise ValueError(
                f"rows are {rows.shape} {rows.dtype}, not (n, {expected.width}, {channels}) {expected.dtype}"
            )
        if self._rows + len(rows) > expected.height:
            raise ValueError(f"more rows than the {expected.height} that were announced")
        self._rows += len(rows)
        with self._undone_on_error():
            self._stream.write_rows(composite(rows) if self._flatten else rows)

    def commit(self) -> Path:
        """Ends the file, reads it back, and gives it its name; returns that name.

        Without `overwrite` it is the next free one if another file took the name meanwhile.
        """
        if self._rows != self._expected.height:
            raise ValueError(f"{self._rows} rows were written, not {self._expected.height}")
        with self._undone_on_error():
            self._stream.finish()
            self._stream.close()
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            verify_file(self._part, self._expected, self.target.name)
            final = _publish(self._part, self.target, self._overwrite)
        self._open = False
        self._remove_raw()
        sync_folder(final.parent)
        return final

    def abort(self) -> None:
        """Removes what was written. Harmless after `commit` and when called twice."""
        if not self._open:
            return
        self._open = False
        self._stream.close()
        # closing writes what is still buffered, which fails on a full disk a second time
        with suppress(OSError):
            self._file.close()
        with suppress(OSError):
            self._part.unlink(missing_ok=True)
        self._remove_raw()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abort()

    def _remove_raw(self) -> None:
        if self._raw is not None:
            with suppress(OSError):
                self._raw.unlink(missing_ok=True)

    @contextmanager
    def _undone_on_error(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.abort()
            raise unwritable(self.target, error) from error
        except BaseException:
            self.abort()
            raise


def open_writer(
    path: str | os.PathLike[str],
    kind: str,
    *,
    width: int,
    height: int,
    channels: int,
    alpha: bool = False,
    bits: int = 8,
    quality: int = 92,
    metadata: Metadata | None = None,
    overwrite: bool = False,
    threads: int = 0,
) -> RowWriter:
    """Starts a file of format `kind` for `path`, through a hidden file beside it that ends in `.part`.

    channels: 1 grey or 3 RGB; with `alpha`, `write_rows` takes one more; bits: 8 or 16.
    metadata is corrected for the size here. JPEG has no alpha: such rows are laid on white, and `notices` says so.
    quality: 1 to 100, for JPEG, WebP (100 is lossless) and AVIF. threads: for compressing, 0 for as many as pay.
    """
    target = Path(path)
    check_limits(kind, width, height)
    if choose_bits(kind, bits, 8) != bits or channels not in (1, 3):
        raise PellucidError(
            Code.USAGE,
            f"{WRITTEN[kind].title} cannot hold {channels} channels of {bits} bits.",
            "Write PNG or TIFF for 16 bits.",
            format=kind,
        )
    flatten = alpha and not WRITTEN[kind].alpha
    stored = channels + (alpha and not flatten)
    kept, notices = _fitting_metadata(kind, stored, correct_metadata(metadata or Metadata(), width, height))
    if flatten:
        notices.insert(0, "JPEG holds no transparency: the picture was laid on white.")
    expected = Expected(kind, width, height, stored, bits, kept.icc)
    threads = threads or min(4, os.cpu_count() or 1)
    part = target.with_name(name_partial())
    raw_path = part.with_suffix(".rows.part") if kind in _WHOLE_ENCODERS else None
    file: BinaryIO | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        sweep_partials(target.parent)
        file = part.open("xb", buffering=1 << 20)
        stream: _Stream
        if kind == "png":
            stream = PngStream(file, width, height, stored, bits, kept, threads)
        elif kind == "tiff":
            stream = TiffStream(file, width, height, stored, bits, kept, threads)
        else:
            assert raw_path is not None
            raw = raw_path.open("x+b", buffering=1 << 20)
            stream = WholeStream(file, raw, (height, width, stored), _WHOLE_ENCODERS[kind], quality, kept, threads)
    except OSError as error:
        if file is not None:
            file.close()
            part.unlink(missing_ok=True)
        raise unwritable(target, error) from error
    return RowWriter(target, overwrite, part, file, raw_path, stream, expected, flatten, tuple(notices))


_WHOLE_ENCODERS = {"jpeg": encode_jpeg, "webp": encode_webp, "avif": encode_avif}


def write_image(
    buffer: ImageBuffer,
    path: str | os.PathLike[str],
    kind: str,
    *,
    quality: int = 92,
    bits: int = 0,
    overwrite: bool = True,
    threads: int = 0,
) -> Path:
    """Writes a whole picture; bits: 8 or 16, 0 for as many as the buffer has and the format holds."""
    depth = choose_bits(kind, bits, buffer.bits)
    planes = [buffer.colour] + ([buffer.alpha[..., None]] if buffer.alpha is not None else [])
    with open_writer(
        path,
        kind,
        width=buffer.width,
        height=buffer.height,
        channels=buffer.colour.shape[2],
        alpha=buffer.alpha is not None,
        bits=depth,
        quality=quality,
        metadata=buffer.metadata,
        overwrite=overwrite,
        threads=threads,
    ) as writer:
        for top in range(0, buffer.height, _ROWS_AT_ONCE):
            rows = np.concatenate([plane[top : top + _ROWS_AT_ONCE] for plane in planes], axis=2)
            writer.write_rows(_to_depth(rows, depth))
        return writer.commit()


_ROWS_AT_ONCE = 64


def _to_depth(rows: Rows, bits: int) -> npt.NDArray[Any]:
    """Samples of any depth as 8 or 16 bits, rounded to the nearest."""
    if rows.dtype.kind == "f":
        return round_samples(rows, bits)
    if rows.dtype.itemsize * 8 == bits:
        return rows
    if bits == 16:
        return rows.astype(np.uint16) * np.uint16(257)
    return ((rows.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _fitting_metadata(kind: str, channels: int, metadata: Metadata) -> tuple[Metadata, list[str]]:
    """What the format can hold of it, and a sentence for each thing that it cannot."""
    notices = []
    title = WRITTEN[kind].title
    if metadata.cicp and kind != "png":
        colours = name_of_colours(metadata.cicp)
        metadata = replace(metadata, cicp=None)
        notices.append(f"The colours are {colours}, which only a PNG result can say: in {title} they will look wrong.")
    if metadata.icc and metadata.icc[16:20] == b"GRAY" and (channels >= 3 or kind in ("webp", "avif")):
        metadata = replace(metadata, icc=colour_profile_of_grey(metadata.icc))
        if metadata.icc is None:
            notices.append(f"The grey colour profile was left out: {title} stores this picture as RGB.")
    if kind == "jpeg" and metadata.exif and len(metadata.exif) > LARGEST_JPEG_EXIF:
        metadata = replace(metadata, exif=None)
        notices.append("The EXIF data was left out: it is larger than a JPEG file can hold.")
    if kind == "jpeg" and metadata.xmp and len(metadata.xmp) > LARGEST_JPEG_XMP:
        metadata = replace(metadata, xmp=None)
        notices.append("The XMP data was left out: it is larger than a JPEG file can hold.")
    return metadata, notices


def _publish(part: Path, target: Path, overwrite: bool) -> Path:
    """Gives the finished file its name without a moment in which something else could be lost."""
    if overwrite:
        part.replace(target)
        return target
    name = target
    for attempt in range(2, 10_000):
        try:
            _rename_to_new(part, name)
            return name
        except FileExistsError:
            name = numbered(target, attempt)
    raise PellucidError(
        Code.FILE_UNWRITABLE,
        f"{target} and 9,998 numbered names after it are taken.",
        "Choose another name or folder.",
        path=str(target),
    )


def _rename_to_new(part: Path, name: Path) -> None:
    """Renames, or raises FileExistsError."""
    try:
        os.link(part, name)
    except FileExistsError:
        raise
    except OSError:
        # a file system without hard links: reserve the name, then rename over the reservation
        os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        try:
            part.replace(name)
        except OSError:
            with suppress(OSError):
                name.unlink()  # an empty file would pass for a result
            raise
    else:
        with suppress(OSError):  # the result is there: a second name for it, left behind, is no failure
            part.unlink()

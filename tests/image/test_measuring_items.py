"""AVIF and HEIC are measured by their tables: as large as they are when they are read, without their pixels."""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from engine.errors import PellucidError
from engine.image.decode import probe_image, read_image
from engine.image.skim import measure_upright

HEIGHT, WIDTH = 128, 192
KINDS = ("avif", "heic")


def noise(height: int, width: int, channels: int = 3) -> Image.Image:
    return Image.fromarray(np.random.default_rng(8).integers(0, 256, (height, width, channels), np.uint8))


@cache
def saved(kind: str, height: int = HEIGHT, width: int = WIDTH, channels: int = 3, orientation: int = 1) -> bytes:
    """As the libraries write it."""
    tags = Image.Exif()
    tags[0x0112] = orientation
    file = io.BytesIO()
    if kind == "avif":
        noise(height, width, channels).save(file, "AVIF", quality=90, speed=10, exif=tags.tobytes())
    else:
        pillow_heif.from_pillow(noise(height, width, channels)).save(file, quality=90, exif=tags.tobytes())
    return file.getvalue()


def box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def full(kind: bytes, version: int, flags: int, *parts: bytes) -> bytes:
    return box(kind, struct.pack(">I", version << 24 | flags), *parts)


def extent(height: int, width: int) -> bytes:
    return full(b"ispe", 0, 0, struct.pack(">II", width, height))


def turned(quarters: int) -> bytes:
    return box(b"irot", bytes([quarters]))


MIRRORED = box(b"imir", b"\0")
CUT_OUT = box(b"clap", struct.pack(">8I", 64, 1, 32, 1, 0, 1, 0, 1))


@dataclass(frozen=True)
class Item:
    kind: bytes
    content: bytes
    properties: Sequence[tuple[bytes, bool]]
    """Box, and whether a reader has to understand it."""


@cache
def coded(kind: str, height: int = HEIGHT, width: int = WIDTH) -> tuple[bytes, bytes, bytes]:
    """(kind of item, configuration box, coded picture), out of a file with a picture and no metadata."""
    file = io.BytesIO()
    if kind == "avif":
        noise(height, width).save(file, "AVIF", quality=60, speed=10)
    else:
        pillow_heif.from_pillow(noise(height, width)).save(file, quality=60)
    data = file.getvalue()
    name = b"av1C" if kind == "avif" else b"hvcC"
    at = data.index(name) - 4
    setup = data[at : at + struct.unpack_from(">I", data, at)[0]]
    at = data.index(b"mdat") - 4
    return (b"av01" if kind == "avif" else b"hvc1"), setup, data[at + 8 : at + struct.unpack_from(">I", data, at)[0]]


def picture(kind: str, *more: tuple[bytes, bool], height: int = HEIGHT, width: int = WIDTH) -> Item:
    item_kind, setup, content = coded(kind, height, width)
    channels = full(b"pixi", 0, 0, b"\3\x08\x08\x08")
    return Item(item_kind, content, [(extent(height, width), False), (channels, False), (setup, True), *more])


def assemble(
    kind: str, items: Sequence[Item], primary: int = 1, references: bytes = b"", wide: bool = False, late: bool = False
) -> bytes:
    """A file of these items, numbered from 1. wide: with the larger numbers of the tables' later versions. late: the
    tables behind the pixels."""
    brand = b"avif" if kind == "avif" else b"heic"
    head = box(b"ftyp", brand, bytes(4), b"mif1", brand, b"miaf")
    number = ">I" if wide else ">H"
    shared = [entry for item in items for entry in item.properties]
    owners, place = [], 1
    for identity, item in enumerate(items, 1):
        count = len(item.properties)
        flags = [essential for _, essential in item.properties]
        form, top = (">H", 0x8000) if wide else (">B", 0x80)
        places = [struct.pack(form, place + step | (top if flag else 0)) for step, flag in enumerate(flags)]
        owners.append(struct.pack(number, identity) + bytes([count]) + b"".join(places))
        place += count
    listed = [
        full(b"infe", 3 if wide else 2, 0, struct.pack(number + "H", identity, 0), item.kind, b"\0")
        for identity, item in enumerate(items, 1)
    ]

    def meta(first: int) -> bytes:
        located, at = [], first
        for identity, item in enumerate(items, 1):
            # construction method 0, data reference 0, one extent
            located.append(struct.pack(number + "HHHII", identity, 0, 0, 1, at, len(item.content)))
            at += len(item.content)
        count = struct.pack(">I" if wide else ">H", len(items))
        return full(
            b"meta",
            0,
            0,
            full(b"hdlr", 0, 0, bytes(4), b"pict", bytes(13)),
            full(b"pitm", int(wide), 0, struct.pack(number, primary)),
            full(b"iloc", 2 if wide else 1, 0, b"\x44\x00", count, *located),
            full(b"iinf", int(wide), 0, count, *listed),
            references,
            box(
                b"iprp",
                box(b"ipco", *(entry for entry, _ in shared)),
                full(b"ipma", int(wide), int(wide), struct.pack(">I", len(items)), *owners),
            ),
        )

    pixels = box(b"mdat", *(item.content for item in items))
    if late:
        return head + pixels + meta(len(head) + 8)
    return head + meta(len(head) + len(meta(0)) + 8) + pixels


def refer(kind: bytes, source: int, *targets: int) -> bytes:
    entry = box(kind, struct.pack(f">HH{len(targets)}H", source, len(targets), *targets))
    return full(b"iref", 0, 0, entry)


class CountedReads(io.FileIO):
    taken = 0

    def readinto(self, buffer: Any) -> int | None:
        got = super().readinto(buffer)
        CountedReads.taken += got or 0
        return got


def measured_as_read(path: Path) -> tuple[int, int]:
    """The size by the tables, which is that of the pixels."""
    size = measure_upright(path)
    image = read_image(path)
    assert size == (image.height, image.width)
    facts = probe_image(path)
    assert size == (facts.height, facts.width)
    return size


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_is_measured_upright(kind: str, orientation: int, tmp_path: Path) -> None:
    path = tmp_path / f"p.{kind}"
    path.write_bytes(saved(kind, orientation=orientation))
    size = measured_as_read(path)
    if kind == "avif":  # the other library writes the turn as a remark, which readers of HEIC leave alone
        assert size == ((WIDTH, HEIGHT) if orientation >= 5 else (HEIGHT, WIDTH))


@pytest.mark.parametrize("kind", KINDS)
def test_little_is_read(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / f"p.{kind}"
    path.write_bytes(saved(kind, 512, 512))
    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", lambda self, _mode: io.BufferedReader(CountedReads(self)))
        CountedReads.taken = 0
        assert measure_upright(path) == (512, 512)
        assert 0 < CountedReads.taken < path.stat().st_size / 4


@pytest.mark.parametrize("kind", KINDS)
def test_transparency_is_another_item_and_changes_no_size(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"p.{kind}"
    path.write_bytes(saved(kind, channels=4))
    assert measured_as_read(path) == (HEIGHT, WIDTH)
    assert read_image(path).alpha is not None


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("quarters", range(4))
@pytest.mark.parametrize("kind", KINDS)
def test_turned_by_its_tables(kind: str, quarters: int, late: bool, wide: bool, tmp_path: Path) -> None:
    path = tmp_path / f"p.{kind}"
    item = picture(kind, (turned(quarters), True), (MIRRORED, True))
    path.write_bytes(assemble(kind, [item], wide=wide, late=late))
    assert measured_as_read(path) == ((WIDTH, HEIGHT) if quarters % 2 else (HEIGHT, WIDTH))


@pytest.mark.parametrize("kind", KINDS)
def test_a_thumbnail_and_other_pictures_are_not_meant(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"p.{kind}"
    small, large = picture(kind, height=64, width=96), picture(kind, (turned(1), True))
    path.write_bytes(assemble(kind, [small, large, large], primary=2, references=refer(b"thmb", 1, 2)))
    assert measured_as_read(path) == (WIDTH, HEIGHT)


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_of_tiles_is_as_large_as_all_of_them(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"p.{kind}"
    tile = picture(kind)
    height, width = HEIGHT, 2 * WIDTH - 30
    plan = struct.pack(">BBBBHH", 0, 0, 0, 1, width, height)
    channels = full(b"pixi", 0, 0, b"\3\x08\x08\x08")
    grid = Item(b"grid", plan, [(extent(height, width), False), (channels, False), (turned(3), True)])
    path.write_bytes(assemble(kind, [tile, tile, grid], primary=3, references=refer(b"dimg", 3, 1, 2)))
    assert measured_as_read(path) == (width, height)


def test_the_tables_count_and_not_the_camera_data(tmp_path: Path) -> None:
    """Some programs turn a picture and leave what the camera had said."""
    data = saved("avif", orientation=6)
    at = data.index(b"irot") + 4
    (tmp_path / "p.avif").write_bytes(data[:at] + b"\0" + data[at + 1 :])
    assert measured_as_read(tmp_path / "p.avif") == (HEIGHT, WIDTH)


UNCLEAR = {
    "a cut-out": lambda kind: assemble(kind, [picture(kind, (CUT_OUT, True))]),
    "two extents": lambda kind: assemble(kind, [picture(kind, (extent(64, 96), False))]),
    "turned twice": lambda kind: assemble(kind, [picture(kind, (turned(1), True), (turned(1), True))]),
    "something new that matters": lambda kind: assemble(kind, [picture(kind, (box(b"bend", b"\1"), True))]),
    "one of several sizes": lambda kind: assemble(kind, [picture(kind, (box(b"lsel", b"\0\0"), True))]),
    "no extent": lambda kind: assemble(kind, [Item(*coded(kind)[::2], [(coded(kind)[1], True)])]),
    "put together otherwise": lambda kind: assemble(kind, [Item(b"iovl", b"", [(extent(9, 9), False)])]),
    "an item that is not there": lambda kind: assemble(kind, [picture(kind)], primary=7),
    "moving pictures": lambda kind: assemble(kind, [picture(kind)]) + box(b"moov"),
    "two tables": lambda kind: assemble(kind, [picture(kind)]) + full(b"meta", 0, 0),
    "a property that is not there": lambda kind: assemble(kind, [picture(kind)]).replace(b"ipco", b"ipcx"),
    "no picture at all": lambda kind: assemble(kind, [picture(kind)]).replace(b"pict", b"soun"),
    "an extent of nothing": lambda kind: assemble(kind, [Item(coded(kind)[0], b"", [(extent(0, 9), False)])]),
}


@pytest.mark.parametrize("case", UNCLEAR)
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_unclear_is_left_to_who_decodes_it(kind: str, case: str, tmp_path: Path) -> None:
    path = tmp_path / f"p.{kind}"
    path.write_bytes(UNCLEAR[case](kind))
    assert measure_upright(path) is None


@pytest.mark.parametrize("kind", KINDS)
def test_a_cut_file_is_left_to_who_says_so(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"p.{kind}"
    whole = saved(kind)
    for length in [*range(0, 700, 7), len(whole) // 2, len(whole) - 1]:
        path.write_bytes(whole[:length])
        assert measure_upright(path) is None
        with pytest.raises(PellucidError):
            probe_image(path)


@pytest.mark.parametrize("kind", KINDS)
def test_tables_of_random_damage_never_break_the_reader(kind: str, tmp_path: Path) -> None:
    """And what is said at all is a size."""
    path = tmp_path / f"p.{kind}"
    whole = bytearray(assemble(kind, [picture(kind, (turned(1), True))]))
    random = np.random.default_rng(2)
    for _ in range(300):
        broken = whole.copy()
        for at in random.integers(12, 420, 3):
            broken[at] = random.integers(256)
        path.write_bytes(broken)
        size = measure_upright(path)
        assert size is None or min(size) > 0

"""The size of the picture in an AVIF or HEIC file, from its boxes: ISO/IEC 14496-12 (boxes) and 23008-12 (items).

A file of boxes holds items: pictures, their tiles, thumbnails, metadata. One is the primary item, and a table says
which properties each item has: its extent (`ispe`), and how it is turned (`irot`, `imir`). Where anything is out of the
ordinary, nothing is said: those who decode files know their ways.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import BinaryIO, Final

from engine.image.headers import Damaged

LARGEST_META: Final = 4 << 20
"""Bytes of tables that are looked at; the largest grids take some thousands."""
_PICTURES: Final = (b"av01", b"hvc1", b"grid")
"""Kinds of items: coded pictures, and one put together from tiles."""
_UNDERSTOOD: Final = (b"ispe", b"irot", b"imir", b"av1C", b"hvcC", b"pixi", b"colr")
"""Properties that are known to change the size or not to. Of others, those that a reader has to understand."""
_TURNS: Final = (b"irot", b"imir")
_CHANGES_EXTENT: Final = (b"clap", b"a1op", b"lsel")
"""A cut-out; a choice among pictures of several sizes."""


def measure_primary_item(file: BinaryIO) -> tuple[int, int] | None:
    """(height, width) of the upright primary picture; None where only its decoder can tell. Raises Damaged, or whatever
    broken bytes make it trip over."""
    meta = _find_meta(file)
    if meta is None:
        return None
    listed = list(_boxes(meta, 4))
    tables = dict(listed)
    if len(tables) != len(listed) or tables[b"hdlr"][8:12] != b"pict":
        return None
    wide = tables[b"pitm"][0] > 0
    primary = int.from_bytes(tables[b"pitm"][4 : 8 if wide else 6], "big")
    if _kind_of_item(tables[b"iinf"], primary) not in _PICTURES:
        return None
    properties = list(_properties(list(_boxes(tables[b"iprp"], 0)), primary))
    kinds = [kind for kind, _, _ in properties]
    if kinds.count(b"ispe") != 1 or any(kinds.count(kind) > 1 for kind in _TURNS):
        return None
    height = width = quarters = 0
    for kind, body, essential in properties:
        if kind in _CHANGES_EXTENT or (essential and kind not in _UNDERSTOOD) or (kind in _TURNS and not essential):
            return None
        if kind == b"ispe":
            width, height = struct.unpack_from(">II", body, 4)
        elif kind == b"irot":
            quarters = body[0] & 3
    if not height or not width:
        return None
    return (width, height) if quarters & 1 else (height, width)


def _find_meta(file: BinaryIO) -> bytes | None:
    """The body of the one `meta` box of a file without moving pictures, which has all of its boxes."""
    end = file.seek(0, os.SEEK_END)
    found: bytes | None = None
    at, has_pixels = 0, False
    while at < end:
        file.seek(at)
        head = file.read(16)
        size, kind = struct.unpack_from(">I4s", head)
        header = 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", head, 8)
            header = 16
        elif size == 0:  # to the end of the file
            size = end - at
        if size < header or at + size > end:
            raise Damaged("it is shorter than it says")
        if kind == b"moov" or (kind == b"meta" and (found is not None or size > LARGEST_META)):
            return None
        if kind == b"meta":
            file.seek(at + header)
            found = file.read(size - header)
        has_pixels |= kind == b"mdat"
        at += size
    return found if has_pixels else None


def _boxes(data: bytes, at: int) -> Iterator[tuple[bytes, bytes]]:
    """(kind, body) of the boxes in a box's body, from `at` on. Boxes in tables have sizes of 32 bits."""
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        if size < 8 or at + size > len(data):
            raise Damaged("its tables are out of order")
        yield kind, data[at + 8 : at + size]
        at += size


def _kind_of_item(table: bytes, item: int) -> bytes:
    """From `iinf`; nothing where it does not say."""
    for kind, body in _boxes(table, 8 if table[0] else 6):
        version = body[0]
        if kind == b"infe" and version in (2, 3):
            identity, _, item_kind = struct.unpack_from(">HH4s" if version == 2 else ">IH4s", body, 4)
            if identity == item:
                return bytes(item_kind)
    return b""


def _properties(tables: list[tuple[bytes, bytes]], item: int) -> Iterator[tuple[bytes, bytes, bool]]:
    """(kind, body, essential) of an item's properties, from `iprp`: the properties of all, and who has which."""
    known = [box for kind, body in tables if kind == b"ipco" for box in _boxes(body, 0)]
    for kind, body in tables:
        if kind != b"ipma":
            continue
        version, wide = body[0], bool(body[3] & 1)
        (count,) = struct.unpack_from(">I", body, 4)
        at = 8
        for _ in range(count):
            (identity,) = struct.unpack_from(">H" if version == 0 else ">I", body, at)
            at += 2 if version == 0 else 4
            places = struct.unpack_from(f">{body[at]}{'H' if wide else 'B'}", body, at + 1)
            at += 1 + body[at] * (2 if wide else 1)
            if identity != item:
                continue
            top = 0x8000 if wide else 0x80
            for place in places:
                if place & ~top:  # 0: none
                    yield *known[(place & ~top) - 1], bool(place & top)

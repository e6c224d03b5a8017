"""EXIF as it lies in files: a TIFF structure of tags, read, edited in place and written.

Edits are made in place wherever the value has room, so that maker notes, GPS, dates and everything else stay byte for
byte where other programs expect them. Nothing here raises on damaged data: what cannot be read is left alone.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

ORIENTATION: Final = 0x0112
IMAGE_WIDTH: Final = 0x0100
IMAGE_LENGTH: Final = 0x0101
EXIF_POINTER: Final = 0x8769
GPS_POINTER: Final = 0x8825
INTEROP_POINTER: Final = 0xA005
PIXEL_WIDTH: Final = 0xA002
PIXEL_HEIGHT: Final = 0xA003
COLOUR_SPACE: Final = 0xA001
THUMBNAIL_OFFSET: Final = 0x0201
THUMBNAIL_LENGTH: Final = 0x0202
STRIP_OFFSETS: Final = 0x0111
STRIP_LENGTHS: Final = 0x0117

SHORT: Final = 3
LONG: Final = 4
RATIONAL: Final = 5
UNDEFINED: Final = 7

TYPE_BYTES: Final = dict(enumerate([1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4], 1))

_DESCRIPTIVE: Final = frozenset(
    # what IFD0 says about the photograph, not about how its pixels are stored
    [
        *(0x010E, 0x010F, 0x0110, 0x0112, 0x011A, 0x011B, 0x0128, 0x0131, 0x0132, 0x013B, 0x013C, 0x4746, 0x4749),
        *(0x8298, 0x83BB, 0x9C9B, 0x9C9C, 0x9C9D, 0x9C9E, 0x9C9F, 0xC4A5, 0xEA1C),
    ]
)
_POINTERS: Final = (EXIF_POINTER, GPS_POINTER, INTEROP_POINTER)


@dataclass(frozen=True, slots=True)
class Tag:
    """One entry of a directory: `value` holds its bytes in the byte order of the structure it came from."""

    number: int
    type: int
    count: int
    value: bytes
    at: int = 0
    """Where the 12 bytes of the entry lie in their structure."""
    value_at: int = 0
    """Where its value lies."""

    def integer(self, order: str) -> int | None:
        """The first value of a whole-number tag."""
        code = {1: "B", SHORT: "H", LONG: "I", 13: "I", 16: "Q"}.get(self.type)
        if code is None or self.count < 1:
            return None
        return int(struct.unpack_from(order + code, self.value)[0])


@dataclass(frozen=True, slots=True)
class Structure:
    """A TIFF structure (classic, not BigTIFF), read without copying."""

    data: bytes
    order: str
    """"<" or ">": byte order as `struct` names it."""
    first: int
    """Offset of IFD0."""

    def tags(self, offset: int) -> dict[int, Tag]:
        """The directory at `offset`; entries that point outside the data are left out."""
        return {tag.number: tag for tag in self._entries(offset)}

    def _entries(self, offset: int) -> Iterator[Tag]:
        data, order = self.data, self.order
        if not 8 <= offset <= len(data) - 2:
            return
        (count,) = struct.unpack_from(order + "H", data, offset)
        for at in range(offset + 2, min(offset + 2 + 12 * count, len(data) - 11), 12):
            number, kind, length = struct.unpack_from(order + "HHI", data, at)
            size = TYPE_BYTES.get(kind, 0) * length
            if size == 0:
                continue
            start = at + 8 if size <= 4 else struct.unpack_from(order + "I", data, at + 8)[0]
            if start + size <= len(data):
                yield Tag(number, kind, length, data[start : start + size], at, start)

    def next_directory_at(self, offset: int) -> int:
        """Where the pointer to the following directory lies, or 0."""
        if not 8 <= offset <= len(self.data) - 2:
            return 0
        (count,) = struct.unpack_from(self.order + "H", self.data, offset)
        at = int(offset + 2 + 12 * count)
        return at if at + 4 <= len(self.data) else 0

    def pointer(self, number: int, directory: dict[int, Tag]) -> int:
        """Offset of the directory that `number` points to, or 0."""
        tag = directory.get(number)
        return (tag.integer(self.order) or 0) if tag else 0


def parse(data: bytes) -> Structure | None:
    """The structure in `data`, or None when it is none."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(data[:4])
    if order is None or len(data) < 14:
        return None
    (first,) = struct.unpack_from(order + "I", data, 4)
    return Structure(data, order, first)


def strip_prefix(data: bytes) -> bytes:
    """EXIF without the `Exif\\0\\0` that JPEG puts before it."""
    return data[6:] if data[:6] in (b"Exif\0\0", b"Exif\0\xff") else data


def holds_tags(data: bytes) -> bool:
    structure = parse(data)
    return structure is not None and bool(structure.tags(structure.first))


def orientation(data: bytes | None) -> int:
    """1 to 8; 1 where nothing (or nonsense) is said."""
    structure = parse(data) if data else None
    if structure is None:
        return 1
    tag = structure.tags(structure.first).get(ORIENTATION)
    value = (tag.integer(structure.order) or 1) if tag else 1
    return value if 1 <= value <= 8 else 1


def resolution(data: bytes | None) -> tuple[float, float] | None:
    """Dots per inch of IFD0."""
    structure = parse(data) if data else None
    if structure is None:
        return None
    tags = structure.tags(structure.first)
    unit = tags.get(0x0128)
    factor = {2: 1.0, 3: 2.54}.get(unit.integer(structure.order) or 0 if unit else 2)
    values = [tags.get(0x011A), tags.get(0x011B)]
    if factor is None or any(value is None or value.type != RATIONAL for value in values):
        return None
    pairs = [struct.unpack_from(structure.order + "II", value.value) for value in values if value]
    if any(above == 0 or below == 0 for above, below in pairs):
        return None
    return (pairs[0][0] / pairs[0][1] * factor, pairs[1][0] / pairs[1][1] * factor)


def correct(data: bytes, width: int, height: int) -> bytes:
    """The same EXIF for upright pixels of `width` x `height`: orientation 1, dimensions true where they are stated, the
    thumbnail gone. Everything else stays byte for byte where it was."""
    structure = parse(data)
    if structure is None:
        return data
    edited = bytearray(data)
    main = structure.tags(structure.first)
    details = structure.tags(structure.pointer(EXIF_POINTER, main))
    _set_integer(edited, structure.order, main.get(ORIENTATION), 1)
    _set_integer(edited, structure.order, main.get(IMAGE_WIDTH), width)
    _set_integer(edited, structure.order, main.get(IMAGE_LENGTH), height)
    _set_integer(edited, structure.order, details.get(PIXEL_WIDTH), width)
    _set_integer(edited, structure.order, details.get(PIXEL_HEIGHT), height)
    return bytes(_drop_thumbnail(edited, structure))


def without_orientation(data: bytes) -> bytes:
    """The same EXIF without its orientation entry: the entries after it move up, every value stays where it was."""
    structure = parse(data)
    tag = structure.tags(structure.first).get(ORIENTATION) if structure else None
    link = structure.next_directory_at(structure.first) if structure else 0
    if structure is None or tag is None or not link:
        return data
    (count,) = struct.unpack_from(structure.order + "H", data, structure.first)
    edited = bytearray(data)
    edited[tag.at : link - 8] = edited[tag.at + 12 : link + 4]
    edited[link - 8 : link + 4] = bytes(12)
    struct.pack_into(structure.order + "H", edited, structure.first, count - 1)
    return bytes(edited)


def declare_srgb(data: bytes) -> bytes:
    """The same EXIF with ColorSpace, where it is stated, set to sRGB."""
    structure = parse(data)
    if structure is None:
        return data
    edited = bytearray(data)
    details = structure.tags(structure.pointer(EXIF_POINTER, structure.tags(structure.first)))
    _set_integer(edited, structure.order, details.get(COLOUR_SPACE), 1)
    return bytes(edited)


def _set_integer(data: bytearray, order: str, tag: Tag | None, value: int) -> None:
    """Writes a single SHORT or LONG into its entry; a SHORT too small for the value becomes a LONG, which has room."""
    if tag is None or tag.count != 1 or tag.type not in (SHORT, LONG):
        return
    kind = LONG if value > 0xFFFF else tag.type
    struct.pack_into(order + "H", data, tag.at + 2, kind)
    struct.pack_into(order + ("I" if kind == LONG else "H2x"), data, tag.at + 8, value)


def _drop_thumbnail(data: bytearray, structure: Structure) -> bytearray:
    """Unlinks IFD1 and wipes its picture; the picture is cut off when it lies at the end, as it nearly always does."""
    link = structure.next_directory_at(structure.first)
    if not link:
        return data
    (offset,) = struct.unpack_from(structure.order + "I", data, link)
    tags = structure.tags(offset)
    struct.pack_into(structure.order + "I", data, link, 0)
    for start_tag, length_tag in ((THUMBNAIL_OFFSET, THUMBNAIL_LENGTH), (STRIP_OFFSETS, STRIP_LENGTHS)):
        start = structure.pointer(start_tag, tags)
        length = structure.pointer(length_tag, tags)
        if not (start and length) or start + length > len(data) or start < 8:
            continue
        if _holds_other_values(structure, start, start + length):
            continue  # overlapping by mistake or malice: the rest of the EXIF is worth more
        if start + length >= len(data) - 1:
            del data[start:]
        else:
            data[start : start + length] = bytes(length)
    return data


def _holds_other_values(structure: Structure, start: int, end: int) -> bool:
    """Whether any directory that stays, or a value of one, lies between the two offsets."""
    for offset in _directories(structure):
        tags = structure.tags(offset)
        spans = [(offset, structure.next_directory_at(offset) + 4)]
        spans += [(tag.value_at, tag.value_at + len(tag.value)) for tag in tags.values()]
        if any(first < end and start < last for first, last in spans):
            return True
    return False


def _directories(structure: Structure) -> Iterator[int]:
    main = structure.tags(structure.first)
    details = structure.pointer(EXIF_POINTER, main)
    yield structure.first
    for offset in (
        details,
        structure.pointer(GPS_POINTER, main),
        structure.pointer(INTEROP_POINTER, structure.tags(details)),
    ):
        if offset:
            yield offset


def extract(structure: Structure) -> bytes | None:
    """EXIF of its own from a TIFF file: what the file says about the photograph, with its Exif and GPS directories.

    Returns None when there is nothing worth keeping.
    """
    main = structure.tags(structure.first)
    kept = {number: tag for number, tag in main.items() if number in _DESCRIPTIVE and len(tag.value) < _LARGEST_VALUE}
    details = structure.tags(structure.pointer(EXIF_POINTER, main))
    places = structure.tags(structure.pointer(GPS_POINTER, main))
    interop = structure.tags(structure.pointer(INTEROP_POINTER, details))
    if not details and not places and set(kept) <= {ORIENTATION, 0x011A, 0x011B, 0x0128}:
        return None
    return write(
        structure.order, list(kept.values()), list(details.values()), list(places.values()), list(interop.values())
    )


_LARGEST_VALUE: Final = 1 << 20


def descriptive_tags(structure: Structure) -> list[Tag]:
    """The tags of IFD0 that a TIFF file made from this EXIF should carry beside its own."""
    main = structure.tags(structure.first)
    return [tag for number, tag in main.items() if number in _DESCRIPTIVE and number not in _WRITTEN_BY_TIFF]


_WRITTEN_BY_TIFF: Final = frozenset([ORIENTATION, 0x011A, 0x011B, 0x0128])


def write(order: str, main: list[Tag], details: list[Tag], places: list[Tag], interop: list[Tag]) -> bytes:
    """A classic TIFF structure from the tags of its four directories; the pointers between them are made anew."""

    def without_pointers(tags: list[Tag]) -> list[Tag]:
        return [tag for tag in tags if tag.number not in _POINTERS]

    main, details = without_pointers(main), without_pointers(details)
    data = bytearray((b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8))
    main_pointers = [EXIF_POINTER] * bool(details or interop) + [GPS_POINTER] * bool(places)
    main += [Tag(number, LONG, 1, b"\0\0\0\0") for number in main_pointers]
    details += [Tag(INTEROP_POINTER, LONG, 1, b"\0\0\0\0")] * bool(interop)
    at = _append_directory(data, order, main)
    for number, tags in ((EXIF_POINTER, details), (GPS_POINTER, places)):
        if number in main_pointers:
            struct.pack_into(order + "I", data, at[number] + 8, len(data))
            inner = _append_directory(data, order, tags)
            if number == EXIF_POINTER and interop:
                struct.pack_into(order + "I", data, inner[INTEROP_POINTER] + 8, len(data))
                _append_directory(data, order, without_pointers(interop))
    return bytes(data)


def _append_directory(data: bytearray, order: str, tags: list[Tag]) -> dict[int, int]:
    """Appends a directory and its values at an even offset; returns where each entry lies."""
    tags = sorted(tags, key=lambda tag: tag.number)
    start = len(data)
    data += struct.pack(order + "H", len(tags)) + bytes(12 * len(tags) + 4)
    places = {}
    for index, tag in enumerate(tags):
        at = start + 2 + 12 * index
        places[tag.number] = at
        struct.pack_into(order + "HHI", data, at, tag.number, tag.type, tag.count)
        if len(tag.value) <= 4:
            data[at + 8 : at + 8 + len(tag.value)] = tag.value
        else:
            struct.pack_into(order + "I", data, at + 8, len(data))
            data += tag.value + b"\0" * (len(tag.value) % 2)
    if len(data) % 2:
        data += b"\0"
    return places

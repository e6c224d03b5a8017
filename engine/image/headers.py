"""What the containers PNG, JPEG and WebP say before any pixel is decoded: size, depth, metadata.

Each walker checks the container's structure to its end, so that truncated files are known before they are decoded.
`Damaged` is raised for everything that does not fit; the caller knows the file's name and makes a sentence of it.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field
from typing import Final

from engine.image import exif
from engine.image.buffer import Metadata
from engine.image.colour_codes import COLOUR_CHUNKS, read_png_colours

LARGEST_METADATA: Final = 64 << 20
"""Bytes that one compressed profile or text may grow to."""


class Damaged(Exception):
    """The bytes are not what their format promises; the argument says how, as the end of a sentence."""


@dataclass(frozen=True, slots=True)
class Header:
    """width, height: of the stored pixels, before orientation. bits: of a sample as it will be decoded (8, 16, 32)."""

    width: int
    height: int
    bits: int
    alpha: bool
    metadata: Metadata = field(default_factory=Metadata)
    pixels: bytes = b""
    """The file reduced to what a decoder needs for the first picture, where that differs from the file."""
    several: bool = False
    """Whether the file holds more pictures than this one: frames or pages."""


def read_png(data: bytes) -> Header:
    """Metadata before or after the pixels; checksums of all chunks verified."""
    kept = [data[:8]]
    metadata: dict[str, bytes] = {}
    colours: dict[bytes, bytes] = {}
    dpi = None
    at = 8
    seen_pixels = several = False
    width = height = depth = colour = 0
    transparent = False
    while True:
        if at + 12 > len(data):
            raise Damaged("it ends before its last chunk")
        (length,) = struct.unpack_from(">I", data, at)
        kind = data[at + 4 : at + 8]
        end = at + 12 + length
        if end > len(data):
            raise Damaged("it ends inside a chunk")
        body = memoryview(data)[at + 8 : end - 4]
        if zlib.crc32(memoryview(data)[at + 4 : end - 4]) != struct.unpack_from(">I", data, end - 4)[0]:
            raise Damaged("a chunk's checksum is wrong")
        if at == 8:
            if kind != b"IHDR" or length != 13:
                raise Damaged("its first chunk is no header")
            width, height, depth, colour = struct.unpack_from(">IIBB", body)
            if (colour, depth) not in _PNG_KINDS or not width or not height:
                raise Damaged("its header makes no sense")
        if kind in (b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS"):
            kept.append(data[at:end])
            seen_pixels |= kind == b"IDAT"
            transparent |= kind == b"tRNS"
        elif kind == b"acTL" and length == 8:
            several = int.from_bytes(body[:4], "big") > 1
        elif kind in COLOUR_CHUNKS:
            colours.setdefault(kind, bytes(body))
        elif kind == b"iCCP" and b"\0" in bytes(body[:80]):
            metadata["icc"] = _inflate(bytes(body).split(b"\0", 1)[1][1:])
        elif kind == b"eXIf":
            metadata["exif"] = exif.strip_prefix(bytes(body))
        elif kind == b"iTXt" and bytes(body[:18]) == b"XML:com.adobe.xmp\0":
            compressed = length > 18 and body[18] == 1
            text = bytes(body[20:]).split(b"\0", 2)[-1]
            metadata["xmp"] = _inflate(text) if compressed else text
        elif kind in (b"zTXt", b"tEXt"):
            name, _, text = bytes(body).partition(b"\0")
            if name == b"Raw profile type exif" and "exif" not in metadata:
                metadata["exif"] = exif.strip_prefix(_hex_profile(_inflate(text[1:]) if kind == b"zTXt" else text))
        elif kind == b"pHYs" and length == 9:
            across, down, unit = struct.unpack(">IIB", body)
            if unit == 1 and across and down:
                dpi = (across * 0.0254, down * 0.0254)
        if kind == b"IEND":
            break
        at = end
    if not seen_pixels:
        raise Damaged("it holds no pixels")
    if colour == 3 and not any(chunk[4:8] == b"PLTE" for chunk in kept):
        raise Damaged("its palette is missing")
    icc, cicp = read_png_colours(colours, metadata.get("icc") or None, grey=colour in (0, 4))
    return Header(
        width,
        height,
        16 if depth == 16 else 8,
        colour in (4, 6) or transparent,
        Metadata(icc, metadata.get("exif") or None, metadata.get("xmp") or None, dpi, cicp),
        b"".join(kept),
        several,
    )


_PNG_KINDS: Final = frozenset(
    (colour, depth)
    for colour, depths in {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}.items()
    for depth in depths
)


def _inflate(data: bytes) -> bytes:
    """Nothing where the text is damaged or a bomb: metadata is not worth losing the picture for."""
    decoder = zlib.decompressobj()
    try:
        result = decoder.decompress(data, LARGEST_METADATA)
    except zlib.error:
        return b""
    return result if decoder.eof else b""


def _hex_profile(text: bytes) -> bytes:
    """ImageMagick's way to store EXIF in PNG: name, length, then hexadecimal lines."""
    try:
        return bytes.fromhex(b"".join(text.split()[2:]).decode("ascii"))
    except (UnicodeDecodeError, ValueError):
        return b""


def read_jpeg(data: bytes) -> Header:
    """All segments up to the pixels, then the end marker."""
    at = 2
    kept = [data[:2]]
    profile: dict[int, bytes] = {}
    raw_exif = xmp = b""
    density = None
    frame: tuple[int, int, int] | None = None
    while True:
        while data[at : at + 2] == b"\xff\xff":
            at += 1
        if at + 4 > len(data):
            raise Damaged("it ends before its pixels")
        mark, kind, length = struct.unpack_from(">BBH", data, at)
        end = at + 2 + length
        if mark != 0xFF or kind in (0x00, 0xD8, 0xD9) or 0xD0 <= kind <= 0xD7 or length < 2:
            raise Damaged("its segments do not follow each other")
        if end > len(data):
            raise Damaged("it ends inside a segment")
        body = data[at + 4 : end]
        if 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC):
            if len(body) < 6:
                raise Damaged("its frame header is too short")
            depth, height, width, channels = struct.unpack_from(">BHHB", body)
            if depth != 8:
                raise Damaged(f"it has {depth} bits a sample, and only 8 are known")
            frame = (width, height, channels)
        if kind == 0xE1 and body[:6] in (b"Exif\0\0", b"Exif\0\xff"):
            raw_exif = raw_exif or body[6:]
        elif kind == 0xE1 and body.startswith(b"http://ns.adobe.com/xap/1.0/\0"):
            xmp = xmp or body[29:]
        elif kind == 0xE2 and body.startswith(b"ICC_PROFILE\0") and len(body) > 14:
            profile[body[12]] = body[14:]
        elif kind == 0xE0 and body.startswith(b"JFIF\0") and len(body) >= 12:
            unit, across, down = struct.unpack_from(">BHH", body, 7)
            if unit in (1, 2) and across and down:
                factor = 1.0 if unit == 1 else 2.54
                density = (across * factor, down * factor)
        if kind in (0xE0, 0xEE) or not (0xE0 <= kind <= 0xEF or kind == 0xFE):
            kept.append(data[at:end])
        at = end
        if kind == 0xDA:
            break
    if frame is None or 0 in frame:
        raise Damaged("it says no size")
    if data.rfind(b"\xff\xd9") < at:
        raise Damaged("it ends before its last pixel")
    kept.append(data[at:])
    icc = b"".join(profile[index] for index in sorted(profile))
    metadata = Metadata(icc or None, raw_exif or None, xmp or None, density or exif.resolution(raw_exif))
    return Header(frame[0], frame[1], 8, False, metadata, b"".join(kept))


def read_webp(data: bytes) -> Header:
    """The canvas; of an animation the first frame is taken."""
    (length,) = struct.unpack_from("<I", data, 4)
    if length + 8 > len(data):
        raise Damaged("it is shorter than it says")
    at = 12
    size: tuple[int, int] | None = None
    alpha = pixels = False
    frames = 0
    metadata: dict[bytes, bytes] = {}
    while at + 8 <= length + 8:
        kind = data[at : at + 4]
        (inner,) = struct.unpack_from("<I", data, at + 4)
        body = data[at + 8 : at + 8 + min(inner, LARGEST_METADATA)]
        if at + 8 + inner > len(data):
            raise Damaged("it ends inside a chunk")
        if kind == b"VP8X" and inner >= 10:
            size = (int.from_bytes(body[4:7], "little") + 1, int.from_bytes(body[7:10], "little") + 1)
            alpha = bool(body[0] & 0x10)
        elif kind == b"VP8 " and inner >= 10:
            pixels = True
            across, down = struct.unpack_from("<HH", body, 6)
            size = size or (across & 0x3FFF, down & 0x3FFF)
        elif kind == b"VP8L" and inner >= 5:
            pixels = True
            (bits,) = struct.unpack_from("<I", body, 1)
            size = size or ((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
            alpha = alpha or bool(bits >> 28 & 1)
        elif kind == b"ANMF":
            pixels = True
            frames += 1
        elif kind in (b"ICCP", b"EXIF", b"XMP "):
            metadata[kind] = body
        at += 8 + inner + (inner & 1)
    if size is None or 0 in size or not pixels:
        raise Damaged("it holds no pixels")
    raw_exif = exif.strip_prefix(metadata.get(b"EXIF", b""))
    return Header(
        *size,
        8,
        alpha,
        Metadata(
            metadata.get(b"ICCP") or None, raw_exif or None, metadata.get(b"XMP ") or None, exif.resolution(raw_exif)
        ),
        several=frames > 1,
    )

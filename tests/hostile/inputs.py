"""Corrupt, truncated, fuzzed and hostile inputs, the same ones every time.

A case is `must_fail` when no reader may accept it; a flipped byte in the middle of a picture may well leave a picture,
so fuzzed cases may be accepted, but must end in a sentence otherwise.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import random
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pillow_heif
from PIL import Image


@dataclass(frozen=True)
class Case:
    """`content`: what lies in the file `name`, or a function that makes what lies at that path."""

    name: str
    content: bytes | Callable[[Path], object]
    must_fail: bool = True


# ---------------------------------------------------------------------------------------------------------- pictures


def _photo(mode: str) -> Image.Image:
    y, x = np.mgrid[0:40, 0:56]
    rng = np.random.default_rng(7)
    waves = np.stack([127 + 90 * np.sin(x / 5 + k) * np.cos(y / 7) for k in range(4)], axis=2)
    pixels = np.clip(waves + rng.normal(0, 8, waves.shape), 0, 255).astype(np.uint8)
    if mode == "I;16":
        return Image.fromarray(pixels[..., 0].astype(np.uint16) * 257)
    if mode == "F":
        return Image.fromarray(pixels[..., 0].astype(np.float32) / 255)
    if mode in ("P", "1"):
        return Image.fromarray(np.ascontiguousarray(pixels[..., :3])).convert(mode)
    return Image.fromarray(np.ascontiguousarray(pixels[..., : {"L": 1, "RGB": 3, "RGBA": 4}[mode]].squeeze()))


def valid_pictures() -> dict[str, bytes]:
    """One small good file for each format and kind, with the metadata that parsers trip over."""
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "a description " * 20
    wanted: list[tuple[str, str, str, dict[str, object]]] = [
        ("rgb.png", "PNG", "RGB", {"exif": exif, "dpi": (300, 300)}),
        ("deep.png", "PNG", "I;16", {}),
        ("palette.png", "PNG", "P", {"transparency": 3}),
        ("plain.jpg", "JPEG", "RGB", {"exif": exif, "quality": 90}),
        ("progressive.jpg", "JPEG", "RGB", {"progressive": True, "quality": 80}),
        ("grey.jpg", "JPEG", "L", {}),
        ("lossy.webp", "WEBP", "RGBA", {"exif": exif}),
        ("lossless.webp", "WEBP", "RGB", {"lossless": True}),
        ("plain.bmp", "BMP", "RGB", {}),
        ("deflate.tiff", "TIFF", "RGB", {"compression": "tiff_adobe_deflate"}),
        ("float.tiff", "TIFF", "F", {}),
        ("plain.gif", "GIF", "P", {}),
    ]
    files = {}
    for name, kind, mode, options in wanted:
        data = io.BytesIO()
        _photo(mode).save(data, kind, **options)
        files[name] = data.getvalue()
    data = io.BytesIO()
    _photo("RGB").save(data, "AVIF")
    files["plain.avif"] = data.getvalue()
    data = io.BytesIO()
    pillow_heif.from_pillow(_photo("RGB")).save(data)
    files["plain.heic"] = data.getvalue()
    return files


def pictures() -> Iterator[Case]:
    for name, data in valid_pictures().items():
        stem, kind = name.split(".")
        for label, length in (("magic", 9), ("tenth", len(data) // 10), ("half", len(data) // 2)):
            yield Case(f"truncated-{label}-{stem}.{kind}", data[:length])
        yield Case(f"truncated-last-{stem}.{kind}", data[:-1], must_fail=False)
        for seed in range(6):
            yield Case(f"fuzzed-{seed}-{stem}.{kind}", _fuzz(data, seed), must_fail=False)
        yield Case(f"zeroed-{stem}.{kind}", data[: len(data) // 4] + bytes(len(data) * 3 // 4), must_fail=False)
        noise = random.Random(name).randbytes(400)
        yield Case(f"magic-and-noise-{stem}.{kind}", data[:12] + noise)
    yield from _hostile_png()
    yield from _hostile_jpeg()
    yield from _hostile_others()
    yield from _odd_paths()


def _fuzz(data: bytes, seed: int) -> bytes:
    """Some bytes changed, a piece cut out or doubled, a number made huge."""
    rng = random.Random(seed * 7919 + len(data))
    out = bytearray(data)
    for _ in range(rng.choice((1, 4, 24))):
        at = rng.randrange(len(out))
        match rng.randrange(4):
            case 0:
                out[at] ^= 1 << rng.randrange(8)
            case 1:
                out[at : at + 4] = rng.choice((b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", bytes(4), b"\x80\0\0\0"))
            case 2:
                del out[at : at + rng.randrange(1, 30)]
            case _:
                out[at:at] = out[at : at + rng.randrange(1, 30)]
    return bytes(out)


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _png(
    width: int, height: int, *, depth: int = 8, colour: int = 2, rows: bytes | None = None, **more: object
) -> bytes:
    header = struct.pack(
        ">IIBBBBB", width, height, depth, colour, 0, int(more.get("filter", 0)), int(more.get("lace", 0))
    )
    body = zlib.compress(rows if rows is not None else (b"\0" + bytes(3 * 8)) * 8)
    before = more.get("before", b"")
    assert isinstance(before, bytes)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + before + _chunk(b"IDAT", body) + _chunk(b"IEND", b"")


def _hostile_png() -> Iterator[Case]:
    bomb = zlib.compress(bytes(200_000_000), 9)
    good = _png(8, 8)
    yield Case("huge-sides.png", _png(2**31 - 1, 2**31 - 1))
    yield Case("wide-line.png", _png(2**31 - 1, 1))
    yield Case("gigapixel.png", _png(60000, 60000))
    yield Case("negative-sides.png", _png(2**32 - 8, 8))
    yield Case("no-width.png", _png(0, 8))
    yield Case("no-height.png", _png(8, 0))
    yield Case("depth-3.png", _png(8, 8, depth=3))
    yield Case("colour-5.png", _png(8, 8, colour=5))
    yield Case("lace-9.png", _png(8, 8, lace=9), must_fail=False)
    yield Case("too-few-rows.png", _png(8, 8, rows=b"\0" + bytes(24)))
    yield Case("filter-9.png", _png(8, 8, rows=(b"\x09" + bytes(24)) * 8))
    yield Case("rows-bomb.png", b"".join((good[:33], _chunk(b"IDAT", bomb), good[-12:])), must_fail=False)
    yield Case("no-palette.png", _png(8, 8, colour=3, rows=(b"\0" + bytes(8)) * 8))
    yield Case("no-data.png", good[:33] + _chunk(b"IEND", b""))
    yield Case("two-headers.png", good[:33] + good[8:], must_fail=False)
    yield Case("wrong-crc.png", good[:29] + b"\0\0\0\0" + good[33:])
    yield Case("endless-chunk.png", good[:33] + b"\xff\xff\xff\xffIDAT" + bytes(20))
    yield Case("text-bomb.png", _png(8, 8, before=_chunk(b"zTXt", b"Comment\0\0" + bomb)), must_fail=False)
    yield Case("profile-bomb.png", _png(8, 8, before=_chunk(b"iCCP", b"p\0\0" + bomb)), must_fail=False)
    yield Case(
        "xmp-bomb.png", _png(8, 8, before=_chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + bomb)), must_fail=False
    )
    yield Case("many-chunks.png", _png(8, 8, before=_chunk(b"tEXt", b"k\0v") * 20_000), must_fail=False)
    yield Case("exif-loop.png", _png(8, 8, before=_chunk(b"eXIf", _looping_exif())), must_fail=False)


def _looping_exif() -> bytes:
    """A directory whose follower and whose sub-directory are itself."""
    entries = struct.pack("<HHII", 0x8769, 4, 1, 8) + struct.pack("<HHII", 0x0112, 3, 0xFFFFFFFF, 8)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", 2) + entries + struct.pack("<I", 8)


def _hostile_jpeg() -> Iterator[Case]:
    good = valid_pictures()["grey.jpg"]
    frame = good.index(b"\xff\xc0")
    scan = good.index(b"\xff\xda")

    def sides(height: int, width: int) -> bytes:
        return good[: frame + 5] + struct.pack(">HH", height, width) + good[frame + 9 :]

    exif = b"Exif\0\0" + _looping_exif()
    yield Case("huge.jpg", sides(65535, 65535))
    yield Case("no-height.jpg", sides(0, 56))
    yield Case("no-width.jpg", sides(40, 0))
    yield Case("scan-alone.jpg", b"\xff\xd8" + good[scan:])
    yield Case("no-scan.jpg", good[:scan] + b"\xff\xd9")
    yield Case("no-tables.jpg", b"\xff\xd8" + good[frame:])
    yield Case(
        "exif-loop.jpg", b"\xff\xd8\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + good[2:], must_fail=False
    )
    profile = b"\xff\xe2" + struct.pack(">H", 2 + 14 + 10) + b"ICC_PROFILE\0\x09\x02" + bytes(10)
    yield Case("profile-9-of-2.jpg", b"\xff\xd8" + profile + good[2:], must_fail=False)
    yield Case("many-markers.jpg", b"\xff\xd8" + b"\xff\xe5\x00\x03x" * 50_000 + good[2:], must_fail=False)
    yield Case("zero-marker.jpg", b"\xff\xd8\xff\xe0\x00\x00" + good[2:], must_fail=False)
    yield Case("components-200.jpg", good[: frame + 9] + b"\xc8" + good[frame + 10 :])


def _tiff(entries: list[tuple[int, int, int, int]], *, following: int = 0, tail: bytes = b"") -> bytes:
    body = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + body + struct.pack("<I", following) + tail


def _hostile_others() -> Iterator[Case]:
    files = valid_pictures()
    size = [
        (256, 3, 1, 8),
        (257, 3, 1, 8),
        (258, 3, 1, 8),
        (259, 3, 1, 1),
        (262, 3, 1, 1),
        (277, 3, 1, 1),
        (278, 3, 1, 8),
    ]
    good = [*size, (273, 4, 1, 200), (279, 4, 1, 64)]
    tail = bytes(200)
    yield Case("strip-outside.tiff", _tiff([*size, (273, 4, 1, 2**31), (279, 4, 1, 64)]))
    yield Case("strip-endless.tiff", _tiff([*size, (273, 4, 1, 200), (279, 4, 1, 2**32 - 1)], tail=tail))
    yield Case("huge.tiff", _tiff([(256, 4, 1, 2**31), (257, 4, 1, 2**31), *good[2:]], tail=tail))
    yield Case("samples-65535.tiff", _tiff([*good[:5], (277, 3, 1, 65535), *good[6:]], tail=tail))
    yield Case("bits-77.tiff", _tiff([*good[:2], (258, 3, 1, 77), *good[3:]], tail=tail))
    yield Case("compression-9999.tiff", _tiff([*good[:3], (259, 3, 1, 9999), *good[4:]], tail=tail))
    yield Case("count-endless.tiff", _tiff([*size, (273, 4, 2**32 - 1, 200), (279, 4, 2**32 - 1, 64)], tail=tail))
    yield Case("follows-itself.tiff", _tiff(good, following=8, tail=bytes(400)), must_fail=False)
    yield Case("no-tags.tiff", _tiff([]))
    yield Case("directory-outside.tiff", b"II*\0\xff\xff\xff\x7f" + bytes(20))
    yield Case("big-outside.tiff", b"II+\0\x08\0\0\0" + struct.pack("<Q", 2**63) + bytes(20))
    yield Case("tile-nothing.tiff", _tiff([*size, (322, 3, 1, 0), (323, 3, 1, 0), (324, 4, 1, 200), (325, 4, 1, 64)]))
    nan = np.full((8, 8), np.nan, np.float32)
    data = io.BytesIO()
    Image.fromarray(nan).save(data, "TIFF")
    yield Case("not-numbers.tiff", data.getvalue())

    bmp = files["plain.bmp"]
    for name, at, value in (
        ("negative-width.bmp", 18, -56),
        ("huge.bmp", 18, 2**31 - 1),
        ("least-height.bmp", 22, -(2**31)),
        ("data-outside.bmp", 10, 2**31 - 1),
        ("header-size-3.bmp", 14, 3),
    ):
        yield Case(name, bmp[:at] + struct.pack("<i", value) + bmp[at + 4 :])
    yield Case("bits-7.bmp", bmp[:28] + b"\x07\0" + bmp[30:])
    yield Case("compression-99.bmp", bmp[:30] + b"\x63\0\0\0" + bmp[34:])

    gif = files["plain.gif"]
    yield Case("huge.gif", gif[:6] + b"\xff\xff\xff\xff" + gif[10:])
    yield Case("no-frame.gif", gif[:13] + b";")
    yield Case("nothing-wide.gif", gif[:6] + b"\0\0\0\0" + gif[10:])
    picture = gif.index(b",", 13 + 3 * 2 ** ((gif[10] & 7) + 1))
    yield Case("huge-frame.gif", gif[: picture + 5] + b"\xff\xff\xff\xff" + gif[picture + 9 :])

    canvas = b"VP8X" + struct.pack("<I", 10) + bytes(4) + b"\xff\xff\xff" * 2
    yield Case("huge.webp", b"RIFF" + struct.pack("<I", 4 + len(canvas)) + b"WEBP" + canvas)
    yield Case("endless.webp", files["lossy.webp"][:4] + b"\xff\xff\xff\xff" + files["lossy.webp"][8:], must_fail=False)
    yield Case("nothing.webp", b"RIFF\x04\0\0\0WEBP")
    yield Case("only-type.avif", files["plain.avif"][:32])
    yield Case("box-of-nothing.avif", files["plain.avif"][:32] + b"\0\0\0\0meta" + bytes(64))
    yield Case("endless-box.heic", files["plain.heic"][:24] + b"\0\0\0\x01meta" + b"\xff" * 64)

    for name, content in (
        ("empty.png", b""),
        ("one-byte.jpg", b"\xff"),
        ("words.png", b"I am not a picture.\n" * 50),
        ("page.jpg", b"<!DOCTYPE html><html><body><script>alert(1)</script></body></html>"),
        ("vector.svg", b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect/></svg>'),
        ("program.png", b"\x7fELF\x02\x01\x01" + bytes(200)),
        ("archive.webp", b"PK\x03\x04" + bytes(200)),
        ("document.tiff", b"%PDF-1.7\n" + bytes(200)),
        ("postscript.jpg", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n"),
        ("zeros.bmp", bytes(4096)),
        ("ones.gif", b"\xff" * 4096),
        ("noise.png", random.Random(1).randbytes(4096)),
        ("icon.ico", b"\0\0\1\0\1\0" + bytes(16)),
        ("layers.psd", b"8BPS\0\1" + bytes(100)),
        ("raw.dng", b"II*\0" + random.Random(2).randbytes(900)),
        ("raw.cr2", b"II*\0\x10\0\0\0CR\2\0" + random.Random(3).randbytes(900)),
    ):
        yield Case(name, content)


def _odd_paths() -> Iterator[Case]:
    """Paths that are no files."""
    yield Case("folder.png", lambda path: path.mkdir())
    yield Case("loop.png", lambda path: path.symlink_to(path))
    yield Case("dangling.png", lambda path: path.symlink_to(path.with_name("nowhere")))
    yield Case("pipe.png", os.mkfifo)
    yield Case("zeros-without-end.png", lambda path: path.symlink_to("/dev/zero"))
    yield Case("missing.png", lambda path: None)


# ------------------------------------------------------------------------------------------------------------- models


def valid_model() -> bytes:
    """A whole compact network with 4 features, as its file lies on disk."""
    from engine.models.arch.compact import COMPACT, CompactArgs, parameter_shapes
    from engine.models.files import _safetensors_parts, make_card

    args = CompactArgs(features=4, convolutions=1, scale=2)
    rng = np.random.default_rng(5)
    tensors = {name: rng.normal(0, 0.1, shape).astype(np.float32) for name, shape in parameter_shapes(args).items()}
    import msgspec

    from engine.models.files import CARD_KEY

    card = msgspec.json.encode(make_card("small", COMPACT, args)).decode()
    return b"".join(_safetensors_parts(tensors, {"format": "pt", CARD_KEY: card}))


def _reheaded(data: bytes, change: Callable[[dict[str, object]], object]) -> bytes:
    """The same tensors under a changed header."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    change(header)
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data[8 + length :]


def _with_card(data: bytes, change: Callable[[dict[str, object]], object]) -> bytes:
    from engine.models.files import CARD_KEY

    def through(header: dict[str, object]) -> None:
        metadata = header["__metadata__"]
        assert isinstance(metadata, dict)
        card = json.loads(metadata[CARD_KEY])
        change(card)
        metadata[CARD_KEY] = json.dumps(card)

    return _reheaded(data, through)


def models(proof: Path) -> Iterator[Case]:
    """`proof`: a file that exists only if a model's file has run code."""
    good = valid_model()
    yield from _hostile_safetensors(good)
    yield from _lying_cards(good)
    yield from _pickles(proof)
    yield from _ncnn()
    yield Case("empty.pth", b"")
    yield Case("words.safetensors", b"These are no weights.")
    yield Case("noise.pt", random.Random(4).randbytes(3000))
    yield Case("folder.safetensors", lambda path: path.mkdir())
    yield Case("pipe.pth", os.mkfifo)
    yield Case("loop.safetensors", lambda path: path.symlink_to(path))
    yield Case("zeros-without-end.pth", lambda path: path.symlink_to("/dev/zero"))
    yield Case("picture.safetensors", valid_pictures()["rgb.png"])
    yield Case("graph.onnx", b"\x08\x07\x12\x07pytorch" + bytes(100))
    yield Case("missing.safetensors", lambda path: None)


def _hostile_safetensors(good: bytes) -> Iterator[Case]:
    length = int.from_bytes(good[:8], "little")
    body = good[8 + length :]

    def headed(text: bytes, claimed: int | None = None) -> bytes:
        return (len(text) if claimed is None else claimed).to_bytes(8, "little") + text + body

    yield Case("header-endless.safetensors", headed(good[8 : 8 + length], 2**63))
    yield Case("header-past-the-end.safetensors", headed(good[8 : 8 + length], len(good) * 2))
    yield Case("header-nothing.safetensors", headed(b"", 0))
    yield Case("header-deep.safetensors", headed(b"[" * 100_000))
    yield Case("header-deep-metadata.safetensors", headed(b'{"__metadata__":' + b'{"a":' * 50_000))
    yield Case("header-deep-tensor.safetensors", headed(b'{"a":{"shape":' + b"[" * 50_000 + b"]" * 50_000 + b"}}"))
    yield Case("header-latin.safetensors", headed(b'{"\xe9": 1}'))
    yield Case("header-list.safetensors", headed(b"[]"))
    yield Case("header-null.safetensors", headed(b"null"))
    yield Case("no-tensors.safetensors", headed(b"{}"))

    def tensor(**changes: object) -> bytes:
        def change(header: dict[str, object]) -> None:
            entry = header["body.0.weight"]
            assert isinstance(entry, dict)
            entry.update(changes)

        return _reheaded(good, change)

    yield Case("kind-pickle.safetensors", tensor(dtype="PICKLE"))
    yield Case("kind-number.safetensors", tensor(dtype=7))
    yield Case("shape-huge.safetensors", tensor(shape=[2**40, 2**40]))
    yield Case("shape-overflow.safetensors", tensor(shape=[2**63, 2, 3, 3]))
    yield Case("shape-negative.safetensors", tensor(shape=[-4, 3, 3, 3]))
    yield Case("shape-other.safetensors", tensor(shape=[3, 4, 3, 3]))
    yield Case("shape-text.safetensors", tensor(shape="4x3x3x3"))
    yield Case("offsets-outside.safetensors", tensor(data_offsets=[0, 2**50]))
    yield Case("offsets-backwards.safetensors", tensor(data_offsets=[432, 0]))
    yield Case("offsets-negative.safetensors", tensor(data_offsets=[-432, 0]))
    yield Case("offsets-overlapping.safetensors", tensor(data_offsets=[1, 433]))
    yield Case("offsets-real.safetensors", tensor(data_offsets=[0.5, 1e308]))
    yield Case("tensor-missing.safetensors", _reheaded(good, lambda header: header.pop("body.2.bias")))
    yield Case(
        "tensor-renamed.safetensors",
        _reheaded(good, lambda header: header.update({"body.99.weight": header.pop("body.0.weight")})),
    )
    nan = np.full(len(body) // 4, np.nan, np.float32).tobytes()
    yield Case("not-numbers.safetensors", good[: 8 + length] + nan)
    for part in (4, 8, 8 + length // 2, 8 + length, 8 + length + len(body) // 2, len(good) - 1):
        yield Case(f"truncated-{part}.safetensors", good[:part])
    yield Case("longer.safetensors", good + bytes(100), must_fail=False)
    for seed in range(16):
        # The header only: a changed weight is a weight.
        yield Case(f"fuzzed-{seed}.safetensors", good[:8] + _fuzz(good[8 : 8 + length], seed) + body, must_fail=False)


def _lying_cards(good: bytes) -> Iterator[Case]:
    from engine.models.files import CARD_KEY

    for name, text in (
        ("broken", "{"),
        ("empty", ""),
        ("list", "[]"),
        ("deep", "[" * 60_000),
        ("deep-arguments", '{"name":"a","architecture":"compact","arguments":' + '{"a":' * 60_000),
        ("nan", '{"name":"a","architecture":"compact","scale":NaN}'),
        ("endless-number", '{"name":"a","architecture":"compact","scale":' + "9" * 5000 + "}"),
    ):

        def change(header: dict[str, object], text: str = text) -> None:
            metadata = header["__metadata__"]
            assert isinstance(metadata, dict)
            metadata[CARD_KEY] = text

        yield Case(f"card-{name}.safetensors", _reheaded(good, change))
    changes: dict[str, dict[str, object]] = {
        "path-as-architecture": {"architecture": "../../etc/passwd"},
        "code-as-architecture": {"architecture": "__import__('os').system('true')"},
        "other-architecture": {"architecture": "swinir", "arguments": {}},
        "endless-network": {"arguments": {"features": 10**9, "convolutions": 10**9, "scale": 4}},
        "negative-network": {"arguments": {"features": -4, "convolutions": 1, "scale": 2}},
        "text-network": {"arguments": {"features": "many", "convolutions": 1, "scale": 2}},
        "unknown-argument": {"arguments": {"features": 4, "convolutions": 1, "scale": 2, "hook": "os.system"}},
        "scale-0": {"scale": 0},
        "scale-other": {"scale": 16},
        "scale-text": {"scale": "2; rm -rf /"},
        "range-tanh": {"output_range": "-1..1"},
        "range-255": {"output_range": "0..255"},
        "wrong-count": {"parameters": 17},
        "unknown-key": {"exec": "print(1)"},
        "path-as-name": {"name": "../../../evil"},
        "rooted-name": {"name": "/tmp/evil"},
        "nothing-as-name": {"name": ""},
        "zero-byte-name": {"name": "a\0b"},
        "newline-name": {"name": "a\nb"},
        "long-name": {"name": "a" * 100_000},
        "number-as-name": {"name": 5},
        "negative-halo": {"halo": -8},
        "endless-halo": {"halo": 10**12},
    }
    for name, change_to in changes.items():
        yield Case(f"card-{name}.safetensors", _with_card(good, lambda card, to=change_to: card.update(to)))


class _Call:
    """Pickles into a call."""

    def __init__(self, function: object, *arguments: object) -> None:
        self._made_of = (function, arguments)

    def __reduce__(self) -> tuple[object, ...]:
        return self._made_of


def _pickles(proof: Path) -> Iterator[Case]:
    import builtins
    import subprocess

    touch = f"open({str(proof)!r}, 'w')"
    payloads: dict[str, bytes] = {}
    for protocol in (0, 2, 4):
        payloads[f"system-{protocol}"] = pickle.dumps(_Call(os.system, f"touch {proof}"), protocol)
    payloads["eval"] = pickle.dumps(_Call(builtins.eval, touch))
    payloads["exec"] = pickle.dumps(_Call(builtins.exec, touch))
    payloads["open"] = pickle.dumps(_Call(open, str(proof), "w"))
    payloads["popen"] = pickle.dumps(_Call(subprocess.Popen, ["touch", str(proof)]))
    payloads["in-a-table"] = pickle.dumps({"params": {"conv.weight": _Call(os.system, f"touch {proof}")}})
    payloads["getattr"] = pickle.dumps(_Call(getattr, _Call(__import__, "os"), "system"))
    payloads["instance"] = b"(S'touch %s'\nios\nsystem\n." % str(proof).encode()
    payloads["object"] = b"(cos\nsystem\nS'touch %s'\no." % str(proof).encode()
    payloads["nested-load"] = b"cpickle\nloads\n(C\x05AAAAAtR."
    payloads["torch-jit"] = b"ctorch.jit\nload\n(S'x'\ntR."
    payloads["build-on-class"] = b"ccollections\nOrderedDict\n}S'__class__'\ncos\n_wrap_close\nsb."
    payloads["extension"] = b"\x80\x02\x82\x01."
    payloads["persistent"] = b"\x80\x02P../../etc/passwd\n."
    payloads["deep"] = b"\x80\x02" + b"]" * 200_000 + b"a" * 199_999 + b"."
    payloads["deep-tuples"] = b"\x80\x02)" + b"\x85" * 200_000 + b"."
    payloads["doubling"] = b"\x80\x02]q\x00" + b"(h\x00h\x00h\x00h\x00e" * 40 + b"."
    payloads["endless-bytes"] = b"\x80\x04\x8e" + struct.pack("<Q", 2**60) + b"x."
    payloads["endless-number"] = b"\x80\x02\x8b" + struct.pack("<i", 2**31 - 1) + b"1."
    payloads["negative-length"] = b"\x80\x02\x8b" + struct.pack("<i", -5) + b"1."
    payloads["endless-frame"] = b"\x80\x04\x95" + struct.pack("<Q", 2**62) + b"N."
    payloads["endless-memo"] = b"\x80\x02Nr\xff\xff\xff\xff."
    payloads["no-stop"] = b"\x80\x02}"
    payloads["empty-stack"] = b"\x80\x02R."
    payloads["nothing"] = pickle.dumps(None)
    payloads["words"] = pickle.dumps({"weight": "not a tensor"})
    payloads["numbers"] = pickle.dumps([1, 2, 3])
    for name, payload in payloads.items():
        yield Case(f"pickle-{name}.pth", payload)
        if name not in ("deep", "deep-tuples"):
            yield Case(f"archive-{name}.pth", _archive({"a/data.pkl": payload, "a/version": b"3\n"}))
    good = pickle.dumps({"a": 1})
    yield Case("archive-empty.pth", _archive({}))
    yield Case("archive-no-data.pth", _archive({"a/other": b"1"}))
    yield Case("archive-outside.pth", _archive({"../../evil/data.pkl": good}))
    yield Case("archive-bomb.pth", _archive({"a/data.pkl": bytes(300_000_000)}, zipfile.ZIP_DEFLATED))
    yield Case("archive-many.pth", _archive({f"a/data/{number}": b"" for number in range(20_000)}))
    whole = _archive({"a/data.pkl": good, "a/data/0": bytes(400)})
    for part in (30, len(whole) // 2, len(whole) - 10):
        yield Case(f"archive-truncated-{part}.pth", whole[:part])
    yield from _lying_tensors()


def _archive(members: dict[str, bytes], how: int = zipfile.ZIP_STORED) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", how) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return data.getvalue()


def _lying_tensors() -> Iterator[Case]:
    """Archives whose tensors reach outside of what is stored."""

    def tensor(*, count: str, offset: str, shape: str, stride: str, kind: bytes = b"FloatStorage") -> bytes:
        storage = b"(X\x07\0\0\0storagectorch\n" + kind + b"\nX\x01\0\0\0" + b"0X\x03\0\0\0cpu" + _int(count) + b"tQ"
        made = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + _int(offset) + _tuple(shape) + _tuple(stride)
        pickled = b"\x80\x02}X\x06\0\0\0weight" + made + b"\x89ccollections\nOrderedDict\n)RtRs."
        return _archive({"a/data.pkl": pickled, "a/data/0": bytes(64), "a/version": b"3\n"})

    def _int(text: str) -> bytes:
        return b"I" + text.encode() + b"\n"

    def _tuple(text: str) -> bytes:
        return b"(" + b"".join(_int(part) for part in text.split(",") if part) + b"t"

    yield Case("tensor-outside.pth", tensor(count="16", offset="0", shape="400,400", stride="400,1"))
    yield Case("tensor-offset.pth", tensor(count="16", offset="1000000", shape="4,4", stride="4,1"))
    yield Case("tensor-before.pth", tensor(count="16", offset="-8", shape="4,4", stride="4,1"))
    yield Case("tensor-strides.pth", tensor(count="16", offset="0", shape="4,4", stride="1000000,1"))
    yield Case("tensor-backwards.pth", tensor(count="16", offset="0", shape="4,4", stride="-4,-1"))
    yield Case("tensor-one-value.pth", tensor(count="16", offset="0", shape="1000000,1000000", stride="0,0"))
    yield Case("tensor-negative.pth", tensor(count="16", offset="0", shape="-4,-4", stride="4,1"))
    yield Case("tensor-storage-lies.pth", tensor(count="1000000", offset="0", shape="1000,1000", stride="1000,1"))
    yield Case("tensor-overflow.pth", tensor(count="16", offset="0", shape=f"{2**62},{2**62}", stride="1,1"))
    yield Case("tensor-kind.pth", tensor(count="16", offset="0", shape="4,4", stride="4,1", kind=b"load"))
    # A whole and harmless tensor, but of no network that is known.
    yield Case("tensor-unknown-network.pth", tensor(count="16", offset="0", shape="4,4", stride="4,1"))


def _ncnn() -> Iterator[Case]:
    head = "7767517\n3 3\n"
    lines = "Input data 0 1 data\nConvolution conv 1 1 data a 0=4 1=3 4=1 5=1 6=108\nPReLU act 1 1 a b 0=4\n"
    for name, text in (
        ("empty", ""),
        ("wrong-magic", "1234567\n" + lines),
        ("lying-counts", "7767517\n999999999 999999999\n" + lines),
        ("negative-counts", "7767517\n-3 -3\n" + lines),
        ("no-weights", head + lines),
        ("huge-layer", head + lines.replace("6=108", f"6={2**60}").replace("0=4", f"0={2**40}")),
        ("negative-layer", head + lines.replace("6=108", "6=-108")),
        ("not-a-number", head + lines.replace("6=108", "6=nan")),
        ("infinite", head + lines.replace("6=108", "6=1e999")),
        ("unknown-layer", head + lines.replace("PReLU", "SystemCall")),
        ("endless-inputs", head + lines.replace("act 1 1", "act 999999999 1")),
        ("words", head + "ceci n'est pas un calque\n" * 20),
        ("endless-list", head + "Input data 0 1 data -23300=999999999,1\n"),
    ):

        def write(path: Path, text: str = text) -> None:
            path.write_text(text)
            if "no-weights" not in path.name:
                path.with_suffix(".bin").write_bytes(random.Random(path.name).randbytes(500))

        yield Case(f"ncnn-{name}.param", write)
    yield Case("alone.bin", bytes(400))


# ------------------------------------------------------------------------------------------------ recipes and configs


def recipes() -> Iterator[Case]:
    stage = '[[stages]]\nkind = "blur"\nsize = 7\nsigma = [0.2, 3.0]\n'
    head = 'name = "a"\nscale = 4\n'
    for name, text in (
        ("empty", ""),
        ("broken", "name = "),
        ("twice", head + head + stage),
        ("unknown-key", head + 'colour = "red"\n' + stage),
        ("unknown-stage", head + stage.replace("blur", "explode")),
        ("unknown-stage-key", head + stage + "strength = 3\n"),
        ("sigma-backwards", head + stage.replace("[0.2, 3.0]", "[3.0, 0.2]")),
        ("sigma-negative", head + stage.replace("[0.2, 3.0]", "[-3.0, 0.2]")),
        ("sigma-nan", head + stage.replace("[0.2, 3.0]", "[nan, nan]")),
        ("sigma-infinite", head + stage.replace("[0.2, 3.0]", "[0.2, inf]")),
        ("sigma-text", head + stage.replace("[0.2, 3.0]", '"wide"')),
        ("sigma-table", head + stage.replace("[0.2, 3.0]", "{ low = 1 }")),
        ("sigma-date", head + stage.replace("[0.2, 3.0]", "1979-05-27")),
        ("size-even", head + stage.replace("size = 7", "size = 8")),
        ("size-huge", head + stage.replace("size = 7", "size = 1000000001")),
        ("size-negative", head + stage.replace("size = 7", "size = -7")),
        ("size-endless", head + stage.replace("size = 7", "size = " + "9" * 5000)),
        ("probability-2", head + stage + "probability = 2.0\n"),
        ("scale-0", 'name = "a"\nscale = 0\n' + stage),
        ("scale-text", 'name = "a"\nscale = "4"\n' + stage),
        ("scale-huge", 'name = "a"\nscale = 1000000\n' + stage),
        ("stages-number", head + "stages = 5\n"),
        ("stages-text", head + 'stages = "blur"\n'),
        ("deep-list", head + "x = " + "[" * 20_000 + "]" * 20_000),
        ("deep-table", head + "x = " + "{a=" * 20_000 + "1" + "}" * 20_000),
        ("deep-key", head + ".".join(["a"] * 20_000) + " = 1\n"),
        ("deep-sequence", head + _nested_sequence(600)),
        ("quality-900", head + '[[stages]]\nkind = "jpeg"\nquality = [30, 900]\n'),
        ("quality-real", head + '[[stages]]\nkind = "jpeg"\nquality = [30.5, 95.25]\n'),
        ("noise-unknown", head + '[[stages]]\nkind = "noise"\nchoices = [{ type = "static", sigma = 3 }]\n'),
        ("noise-no-choices", head + '[[stages]]\nkind = "noise"\nchoices = []\n'),
        (
            "weights-none",
            head + '[[stages]]\nkind = "noise"\nchoices = [{ type = "gaussian", sigma = 3, weight = 0 }]\n',
        ),
        ("filters-unknown", head + '[[stages]]\nkind = "resize"\nof = "target"\nfilters = "magic"\n'),
        ("carriage", head.replace("\n", "\r") + stage),
        ("zero-bytes", head + "\0\0\0" + stage),
        ("json", '{"name": "a", "scale": 4}'),
        ("lone-surrogate", 'name = "\\ud800"\n' + stage),
    ):
        yield Case(f"{name}.toml", text.encode("utf-8", "surrogatepass"))
    yield Case("latin.toml", b'name = "caf\xe9"\n')
    yield Case("wide.toml", (head + stage).encode("utf-16"))
    yield Case("noise.toml", random.Random(6).randbytes(2000))
    yield Case("large.toml", (head + "# " + "x" * 30_000_000 + "\n" + stage).encode(), must_fail=False)
    yield Case("folder.toml", lambda path: path.mkdir())
    yield Case("pipe.toml", os.mkfifo)
    yield Case("loop.toml", lambda path: path.symlink_to(path))
    yield Case("zeros-without-end.toml", lambda path: path.symlink_to("/dev/zero"))
    yield Case("missing.toml", lambda path: None)
    good = (head + stage).encode()
    for seed in range(10):
        yield Case(f"fuzzed-{seed}.toml", _fuzz(good, seed), must_fail=False)


def _nested_sequence(depth: int) -> str:
    lines, table = [], "stages"
    for _ in range(depth):
        lines += [f"[[{table}]]", 'kind = "sequence"']
        table += ".stages"
    return "\n".join([*lines, f"[[{table}]]", 'kind = "round"', ""])


def trainings() -> Iterator[Case]:
    for name, text in (
        ("broken", "[model\n"),
        ("unknown-table", "[modle]\n"),
        ("unknown-key", "[model]\narchitectur = 'compact'\n"),
        ("number-as-table", "model = 5\n"),
        ("list-as-table", "model = [1, 2]\n"),
        ("deep-list", "x = " + "[" * 20_000 + "]" * 20_000),
        ("deep-table", "model = " + "{a=" * 20_000 + "1" + "}" * 20_000),
        ("deep-key", ".".join(["model"] * 20_000) + " = 1\n"),
        ("endless-number", "seed = " + "9" * 5000 + "\n"),
        ("huge-number", "seed = 999999999999999999999999\n"),
        ("not-a-number", "[data]\nbatch = nan\n"),
        ("infinite", "[data]\nbatch = inf\n"),
        ("negative", "[data]\nbatch = -4\n"),
        ("date", "[data]\nbatch = 1979-05-27T07:32:00Z\n"),
        ("text-as-number", "[data]\nbatch = 'many'\n"),
        ("zero-bytes", "[data]\0\n"),
        ("json", "{}"),
    ):
        yield Case(f"{name}.toml", text.encode())
    yield Case("latin.toml", b'name = "caf\xe9"\n')
    yield Case("folder.toml", lambda path: path.mkdir())
    yield Case("pipe.toml", os.mkfifo)
    yield Case("loop.toml", lambda path: path.symlink_to(path))
    yield Case("zeros-without-end.toml", lambda path: path.symlink_to("/dev/zero"))
    yield Case("missing.toml", lambda path: None)


# ----------------------------------------------------------------------------------------------------------- messages


def messages() -> Iterator[Case]:
    from engine.wire import PreviewRequest, Region, RestoreOptions, RestoreRequest, Size, encode

    good = encode(
        RestoreRequest(job="1", source="a.png", target="out", options=RestoreOptions(alpha=0.5, size=Size(scale=2.0)))
    )
    also_good = encode(PreviewRequest(job="2", view="v", source="a.png", region=Region(x=0, y=0, width=9, height=9)))
    for seed in range(20):
        yield Case(f"noise-{seed}", random.Random(seed).randbytes(random.Random(seed).randrange(1, 300)))
    for seed in range(20):
        yield Case(f"fuzzed-{seed}", _fuzz(good, seed), must_fail=False)
        yield Case(f"fuzzed-preview-{seed}", _fuzz(also_good, seed), must_fail=False)
    for length in range(0, len(good) - 1, 24):
        yield Case(f"truncated-{length}", good[:length])
    request = '{"type":"RestoreRequest","job":"1","source":"a","target":"b","options":%s}'
    for name, text in (
        ("nothing", ""),
        ("null", "null"),
        ("number", "5"),
        ("text", '"Cancel"'),
        ("list", "[]"),
        ("no-type", "{}"),
        ("unknown-type", '{"type":"Explode","job":"1"}'),
        ("type-number", '{"type":5,"job":"1"}'),
        ("type-null", '{"type":null}'),
        ("type-last-unknown", '{"job":"1","type":"Exec"}'),
        ("unknown-key", '{"type":"Cancel","job":"1","code":"import os"}'),
        ("missing-key", '{"type":"RestoreRequest","job":"1"}'),
        ("wrong-kind", '{"type":"Cancel","job":5}'),
        ("event-as-request", '{"type":"Accepted","job":"1"}'),
        ("two-messages", '{"type":"Pause"}{"type":"Pause"}'),
        ("comment", '{"type":"Pause"} // and on'),
        ("trailing-comma", '{"type":"Cancel","job":"1",}'),
        ("single-quotes", "{'type':'Pause'}"),
        ("nan", request % '{"alpha":NaN}'),
        ("infinite", request % '{"alpha":Infinity}'),
        ("endless-real", request % '{"alpha":1e999}'),
        ("endless-whole", request % ('{"tile":' + "9" * 10_000 + "}")),
        ("real-as-whole", request % '{"tile":1.5}'),
        ("text-as-whole", request % '{"tile":"16"}'),
        ("bits-7", request % '{"bits":7}'),
        ("format-exe", request % '{"format":"exe"}'),
        ("existing-delete", request % '{"existing":"delete"}'),
        ("precision-int4", request % '{"precision":"int4"}'),
        ("size-unknown", request % '{"size":{"type":"Size","depth":3}}'),
        ("fit-three", request % '{"size":{"type":"Size","fit":[1,2,3]}}'),
        ("deep-list", "[" * 200_000),
        ("deep-table", '{"type":' * 100_000),
        ("deep-value", '{"type":"Cancel","job":' + "[" * 200_000 + "]" * 200_000 + "}"),
        ("deep-unknown", '{"type":"Cancel","job":"1","x":' + '{"a":' * 100_000),
        ("deep-before-type", '{"job":' + "[" * 200_000 + "]" * 200_000 + ',"type":"Cancel"}'),
        ("lone-surrogate", '{"type":"\\ud800","job":"1"}'),
        ("cut-escape", '{"type":"Cancel","job":"\\u12'),
        ("control", '{"type":"Cancel","job":"a\nb"}'),
        ("byte-order-mark", '\ufeff{"type":"Pause"}'),
        ("long", '{"type":"Cancel","job":' + '"a' * 2_000_000),
    ):
        yield Case(name, text.encode())
    yield Case("not-utf8", b'{"type":"Cancel","job":"\xff\xfe"}')
    yield Case("utf-16", '{"type":"Pause"}'.encode("utf-16"))
    yield Case("pickle", pickle.dumps({"type": "Pause"}))


def options() -> Iterator[Case]:
    """Requests that are well-formed, and ask for what must not be done. `@` stands for a good picture's path."""
    for name, text in (
        ("scale-0", '{"size":{"type":"Size","scale":0}}'),
        ("scale-negative", '{"size":{"type":"Size","scale":-2}}'),
        ("scale-endless", '{"size":{"type":"Size","scale":1e300}}'),
        ("scale-tiny", '{"size":{"type":"Size","scale":1e-300}}'),
        ("width-negative", '{"size":{"type":"Size","width":-5}}'),
        ("width-0", '{"size":{"type":"Size","width":0}}'),
        ("width-endless", '{"size":{"type":"Size","width":1000000000000}}'),
        ("fit-0", '{"size":{"type":"Size","fit":[0,0]}}'),
        ("two-sizes", '{"size":{"type":"Size","scale":2,"width":9}}'),
        ("strength-9", '{"strength":9.0}'),
        ("strength-negative", '{"strength":-1.0}'),
        ("alpha-endless", '{"alpha":1e300}'),
        ("quality-900", '{"quality":900,"format":"jpeg"}'),
        ("quality-negative", '{"quality":-1,"format":"jpeg"}'),
        ("tile-negative", '{"tile":-64}'),
        ("tile-1", '{"tile":1}'),
        ("tile-endless", '{"tile":1000000000000}'),
        ("halo-negative", '{"halo":-8}'),
        ("halo-endless", '{"halo":1000000000}'),
        ("name-outside", '{"name":"../../../evil"}'),
        ("name-rooted", '{"name":"/tmp/pellucid-evil"}'),
        ("name-unknown-field", '{"name":"{password}"}'),
        ("name-attribute", '{"name":"{name.__class__.__mro__}"}'),
        ("name-broken", '{"name":"{"}'),
        ("name-empty", '{"name":""}'),
        ("name-zero-byte", '{"name":"a\\u0000b"}'),
        ("name-long", '{"name":"' + "n" * 5000 + '"}'),
        ("megapixels-0", '{"max_megapixels":0}'),
        ("megapixels-negative", '{"max_megapixels":-1}'),
        ("model-missing", '{"model":"no such model"}'),
        ("model-outside", '{"model":"../../../../etc/passwd"}'),
        ("model-zero-byte", '{"model":"a\\u0000b"}'),
        ("model-long", '{"model":"' + "m" * 5000 + '"}'),
        ("backend-unknown", '{"backend":"quantum"}'),
        ("device-unknown", '{"device":"toaster"}'),
    ):
        yield Case(name, text.encode(), must_fail=False)

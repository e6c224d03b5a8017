"""Corrupt, truncated and hostile files: one sentence each, in bounded time, and no picture from half a file."""

from __future__ import annotations

import io
import os
import struct
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from engine.errors import Code, PellucidError
from engine.image.decode import probe_image, read_image

RNG = np.random.default_rng(11)
PIXELS = RNG.integers(0, 256, (40, 56, 3), dtype=np.uint8)

Case = tuple[str, bytes]


def encoded(kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(PIXELS).save(file, kind, **options)
    return file.getvalue()


def tiff(**options: object) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, PIXELS, photometric="rgb", **options)
    return file.getvalue()


def whole_files() -> dict[str, bytes]:
    files = {
        "png": encoded("PNG"),
        "png16": bytes(imagecodecs.png_encode(PIXELS.astype(np.uint16) * 257)),
        "jpeg": encoded("JPEG", quality=95),
        "progressive": encoded("JPEG", progressive=True),
        "webp": encoded("WebP"),
        "lossless-webp": encoded("WebP", lossless=True),
        "bmp": encoded("BMP"),
        "gif": encoded("GIF"),
        "tiff": tiff(),
        "deflated-tiff": tiff(compression="zlib"),
        "lzw-tiff": tiff(compression="lzw"),
        "avif": encoded("AVIF"),
    }
    try:
        import pillow_heif

        file = io.BytesIO()
        pillow_heif.from_pillow(Image.fromarray(PIXELS)).save(file)
        files["heic"] = file.getvalue()
    except (RuntimeError, ValueError, OSError):
        pass
    return files


WHOLE = whole_files()


def truncated() -> Iterator[Case]:
    for name, data in WHOLE.items():
        for share in (0.03, 0.2, 0.45, 0.7, 0.9, 0.99):
            yield f"{name}-cut-at-{share}", data[: int(len(data) * share)]


def png(*chunks: tuple[bytes, bytes]) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )


def png_header(width: int, height: int, depth: int = 8, colour: int = 2, interlace: int = 0) -> bytes:
    return struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace)


def made_up() -> Iterator[Case]:
    end = (b"IEND", b"")
    few = zlib.compress(bytes(50))
    yield "nothing", b""
    yield "one-byte", b"\x89"
    yield "text", b"This is not a picture.\n" * 100
    yield "zeros", bytes(4096)
    yield "html", b"<!DOCTYPE html><html><body>404</body></html>"
    yield "svg", b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'
    yield "pdf", b"%PDF-1.7\n" + bytes(100)
    yield "zip", b"PK\x03\x04" + bytes(100)
    yield "elf", b"\x7fELF" + bytes(100)
    yield "pickle", b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94"
    for name, magic in {"png": b"\x89PNG\r\n\x1a\n", "jpeg": b"\xff\xd8\xff", "gif": b"GIF89a", "bmp": b"BM"}.items():
        yield f"{name}-magic-only", magic
        yield f"{name}-magic-and-zeros", magic + bytes(500)
        yield f"{name}-magic-and-ones", magic + b"\xff" * 500
        yield f"{name}-magic-and-noise", magic + RNG.bytes(500)
    for name, magic in {
        "webp": b"RIFF\xf4\x01\x00\x00WEBPVP8 ",
        "webp-huge": b"RIFF\xff\xff\xff\xffWEBPVP8L",
        "tiff": b"II*\0\x08\0\0\0",
        "tiff-big-endian": b"MM\0*\0\0\0\x08",
        "bigtiff": b"II+\0\x08\0\0\0\x10\0\0\0\0\0\0\0",
        "avif": b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf",
        "heic": b"\0\0\0\x1cftypheic\0\0\0\0heicmif1miaf",
        "cr3": b"\0\0\0\x1cftypcrx \0\0\0\0crx isom    ",
        "cr2": b"II*\0\x10\0\0\0CR\2\0",
        "raf": b"FUJIFILMCCD-RAW ",
    }.items():
        yield f"{name}-and-zeros", magic + bytes(500)
        yield f"{name}-and-ones", magic + b"\xff" * 500
        yield f"{name}-and-noise", magic + RNG.bytes(500)
    yield "png-without-pixels", png((b"IHDR", png_header(8, 8)), end)
    yield "png-of-no-width", png((b"IHDR", png_header(0, 8)), (b"IDAT", few), end)
    yield "png-of-no-height", png((b"IHDR", png_header(8, 0)), (b"IDAT", few), end)
    yield "png-of-bad-depth", png((b"IHDR", png_header(8, 8, 3)), (b"IDAT", few), end)
    yield "png-of-bad-colour", png((b"IHDR", png_header(8, 8, 8, 5)), (b"IDAT", few), end)
    yield "png-with-few-pixels", png((b"IHDR", png_header(400, 400)), (b"IDAT", few), end)
    yield "png-with-few-deep-pixels", png((b"IHDR", png_header(400, 400, 16)), (b"IDAT", few), end)
    yield "png-with-wrong-pixels", png((b"IHDR", png_header(8, 8)), (b"IDAT", b"\x78\x01garbage"), end)
    yield "png-without-palette", png((b"IHDR", png_header(8, 8, 8, 3)), (b"IDAT", zlib.compress(b"\0" * 70)), end)
    yield "png-bomb", png((b"IHDR", png_header(0x7FFFFFFF, 0x7FFFFFFF)), (b"IDAT", few), end)
    yield "png-bomb-of-zeros", png((b"IHDR", png_header(60000, 60000, 1, 0)), (b"IDAT", few), end)
    yield "gif-bomb", b"GIF89a\xff\xff\xff\xff\x80\0\0" + bytes(6) + b",\0\0\0\0\xff\xff\xff\xff\0\x02\x02L\x01\0;"
    yield "bmp-bomb", b"BM" + struct.pack("<IIIIiiHHIIiiII", 200, 0, 54, 40, 99999, 99999, 1, 24, 0, 0, 0, 0, 0, 0)
    yield (
        "jpeg-bomb",
        (
            b"\xff\xd8\xff\xc0\0\x11\x08\xff\xff\xff\xff\x03\x01\x11\0\x02\x11\1\x03\x11\1"
            b"\xff\xda\0\x0c\x03\x01\0\x02\x11\x03\x11\0\x3f\0\0\xff\xd9"
        ),
    )
    yield "tiff-bomb", tiff_of({256: 100_000, 257: 100_000, 258: 8, 262: 1, 273: 8, 277: 1, 278: 100_000, 279: 10})
    yield "tiff-without-strips", tiff_of({256: 10, 257: 10, 258: 8, 262: 1, 277: 1})
    yield "tiff-of-no-size", tiff_of({256: 0, 257: 0, 258: 8, 262: 1, 273: 8, 277: 1, 278: 1, 279: 10})
    yield "tiff-strip-outside", tiff_of({256: 4, 257: 4, 258: 8, 262: 1, 273: 9_999, 277: 1, 278: 4, 279: 16})
    yield "tiff-strip-too-short", tiff_of({256: 40, 257: 40, 258: 8, 262: 1, 273: 8, 277: 1, 278: 40, 279: 20})
    yield "tiff-of-odd-depth", tiff_of({256: 4, 257: 4, 258: 12345, 262: 1, 273: 8, 277: 1, 278: 4, 279: 16})
    yield "tiff-of-many-samples", tiff_of({256: 4, 257: 4, 258: 8, 262: 1, 273: 8, 277: 65535, 278: 4, 279: 16})
    yield (
        "tiff-of-odd-compression",
        tiff_of({256: 4, 257: 4, 258: 8, 259: 60_000, 262: 1, 273: 8, 277: 1, 278: 4, 279: 16}),
    )
    nan = io.BytesIO()
    tifffile.imwrite(nan, np.full((4, 4), np.nan, np.float32))
    yield "tiff-of-nan", nan.getvalue()
    yield "png-with-wrong-checksum", WHOLE["png"][:60] + b"\x00\x01\x02" + WHOLE["png"][63:]


def tiff_of(tags: dict[int, int]) -> bytes:
    """One directory of single numbers, nothing else."""
    entries = b"".join(struct.pack("<HHII", number, 4, 1, value) for number, value in sorted(tags.items()))
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + entries + bytes(4)


REFUSED = [*truncated(), *made_up()]


def test_there_are_enough_hostile_inputs() -> None:
    assert len(REFUSED) >= 150
    assert len({data for _, data in REFUSED}) > 0.9 * len(REFUSED)


@pytest.mark.parametrize("data", [pytest.param(data, id=name) for name, data in REFUSED])
def test_what_is_no_whole_picture_is_refused_in_a_sentence(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "hostile file.png"
    path.write_bytes(data)
    began = time.process_time()
    with pytest.raises(PellucidError) as caught:
        read_image(path)
    assert time.process_time() - began < 5
    assert path.name in caught.value.message
    assert caught.value.message.endswith(".")
    assert "Traceback" not in str(caught.value)
    assert caught.value.code in (Code.IMAGE_CORRUPT, Code.IMAGE_UNSUPPORTED, Code.IMAGE_TOO_LARGE)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("name", sorted(WHOLE))
def test_flipped_bytes_give_a_picture_or_a_sentence(name: str, tmp_path: Path) -> None:
    """Some damage cannot be noticed; none may raise anything else or change the size it says."""
    path = tmp_path / "p"
    for seed in range(40):
        random = np.random.default_rng(seed)
        data = bytearray(WHOLE[name])
        for at in random.integers(0, min(len(data), 600 if seed % 2 else len(data)), 1 + seed % 5):
            data[at] = random.integers(0, 256)
        path.write_bytes(data)
        began = time.process_time()
        try:
            facts = probe_image(path)
            image = read_image(path, max_megapixels=2)
        except PellucidError as error:
            assert error.message.endswith(".")
        else:
            assert (image.width, image.height) == (facts.width, facts.height)
            assert np.isfinite(image.colour).all()
        assert time.process_time() - began < 5


def test_missing_files_folders_and_pipes_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(PellucidError) as missing:
        read_image(tmp_path / "no.png")
    assert missing.value.code is Code.FILE_MISSING
    with pytest.raises(PellucidError, match="is a folder") as folder:
        read_image(tmp_path)
    assert folder.value.code is Code.FILE_UNREADABLE
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(PellucidError, match="not a regular file"):
            read_image(tmp_path / "pipe")
    with pytest.raises(PellucidError) as strange:
        read_image("nul\0byte.png")
    assert strange.value.code is Code.FILE_UNREADABLE


def test_a_damaged_profile_or_text_does_not_cost_the_picture(tmp_path: Path) -> None:
    data = WHOLE["png"]
    at = data.index(b"IDAT") - 4
    bomb = zlib.compress(bytes(200 << 20), 9)
    for kind, body in ((b"iCCP", b"x\0\0" + b"garbage"), (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + bomb)):
        chunk = struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        path = tmp_path / "p.png"
        path.write_bytes(data[:at] + chunk + data[at:])
        image = read_image(path)
        np.testing.assert_array_equal(image.colour, PIXELS)
        assert (image.metadata.icc, image.metadata.xmp) == (None, None)

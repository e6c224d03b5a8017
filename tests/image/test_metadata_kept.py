"""Metadata survives and stays true: orientation 1, dimensions right, no stale thumbnail, everything else as it was.

exiftool is the referee where it is installed, Pillow everywhere.
"""

from __future__ import annotations

import io
import json
import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from engine.image import exif, tiff_stream
from engine.image.buffer import ImageBuffer, Metadata
from engine.image.colour import srgb_profile
from engine.image.decode import read_image
from engine.image.encode import write_image
from engine.image.metadata import correct_metadata, correct_xmp

KINDS = ["png", "jpeg", "webp", "tiff", "avif"]
NAMES = {"png": "PNG", "jpeg": "JPEG", "webp": "WebP", "tiff": "TIFF", "avif": "AVIF"}
MAKER_NOTE = b"Maker\0" + bytes(range(1, 200))
XMP = (
    b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
    b'xmlns:tiff="http://ns.adobe.com/tiff/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/" '
    b'xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:xmp="http://ns.adobe.com/xap/1.0/" '
    b'tiff:Orientation="6" exif:PixelXDimension="48"><tiff:ImageWidth>48</tiff:ImageWidth>'
    b"<dc:creator><rdf:Seq><rdf:li>M\xc3\xa9lanie</rdf:li></rdf:Seq></dc:creator>"
    b"<xmp:Thumbnails><rdf:Alt><rdf:li>AAAA</rdf:li></rdf:Alt></xmp:Thumbnails></rdf:Description></rdf:RDF></x:xmpmeta>"
    b'<?xpacket end="w"?>'
)
ICC = struct.pack(">I", len(srgb_profile()) + 70_000) + srgb_profile()[4:] + bytes(70_000)
"""Longer than one JPEG segment: such profiles are cut into pieces."""


def thumbnail() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (16, 12), (1, 2, 3)).save(file, "JPEG")
    return file.getvalue()


def camera_exif(order: str = "<", orientation: int = 6) -> bytes:
    """EXIF as cameras write it: maker note, GPS, dates, and a thumbnail in IFD1."""

    def numbers(number: int, kind: int, *values: int) -> exif.Tag:
        return exif.Tag(
            number, kind, len(values), struct.pack(f"{order}{len(values)}{'H' if kind == 3 else 'I'}", *values)
        )

    def text(number: int, value: bytes) -> exif.Tag:
        return exif.Tag(number, 2, len(value) + 1, value + b"\0")

    def rationals(number: int, *values: int) -> exif.Tag:
        return exif.Tag(number, 5, len(values) // 2, struct.pack(f"{order}{len(values)}I", *values))

    main = [text(0x10F, b"ACME"), text(0x110, b"Model 7"), numbers(0x112, 3, orientation), text(0x8298, b"(c) me")]
    main += [
        rationals(0x11A, 240, 1),
        rationals(0x11B, 240, 1),
        numbers(0x128, 3, 2),
        text(0x132, b"2020:01:02 03:04:05"),
    ]
    main += [numbers(0x100, 3, 48), numbers(0x101, 3, 32)]
    details = [numbers(0xA002, 3, 48), numbers(0xA003, 4, 32), text(0x9003, b"2020:01:02 03:04:05")]
    details += [numbers(0xA001, 3, 65535), exif.Tag(0x927C, 7, len(MAKER_NOTE), MAKER_NOTE)]
    places = [text(1, b"N"), rationals(2, 48, 1, 5, 1, 3, 1), text(3, b"E"), rationals(4, 11, 1, 30, 1, 0, 1)]
    data = bytearray(exif.write(order, main, details, places, [text(1, b"R98")]))
    structure = exif.parse(bytes(data))
    assert structure is not None
    small = thumbnail()
    link = structure.next_directory_at(structure.first)
    struct.pack_into(order + "I", data, link, len(data))
    start = len(data) + 2 + 3 * 12 + 4
    data += struct.pack(order + "H", 3)
    for number, value in ((0x103, 6), (0x201, start), (0x202, len(small))):
        data += struct.pack(order + "HHII", number, 4, 1, value)
    return bytes(data + bytes(4) + small)


def source(kind: str = "png", orientation: int = 6, order: str = "<") -> bytes:
    """A 48 x 32 file that Pillow wrote, with everything in it."""
    file = io.BytesIO()
    across, down = np.meshgrid(np.arange(48), np.arange(32))
    picture = Image.fromarray(np.dstack([across * 5, down * 7, across * 2 + down]).astype(np.uint8))
    options: dict[str, object] = {"icc_profile": ICC, "xmp": XMP}
    if kind == "png":
        from PIL import PngImagePlugin

        info = PngImagePlugin.PngInfo()
        info.add_itxt("XML:com.adobe.xmp", XMP.decode())
        options = {"icc_profile": ICC, "pnginfo": info, "dpi": (240, 240)}
    prefix = b"Exif\0\0" if kind in ("jpeg", "webp", "png") else b""
    picture.save(file, NAMES[kind], exif=prefix + camera_exif(order, orientation), **options)
    return file.getvalue()


def enlarged(image: ImageBuffer, times: int) -> ImageBuffer:
    colour = image.colour.repeat(times, axis=0).repeat(times, axis=1)
    return image.with_pixels(colour, None)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("source_kind", ["png", "jpeg", "webp"])
def test_everything_survives_and_is_true(source_kind: str, kind: str, order: str, tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(source(source_kind, order=order))
    image = read_image(tmp_path / "in")
    assert (image.width, image.height) == (32, 48)
    path = write_image(enlarged(image, 3), tmp_path / "out", kind)
    with Image.open(path) as written:
        assert written.info["icc_profile"] == ICC
        kept = written.getexif()
        assert kept.get(0x112, 1) == 1
        assert (kept[0x10F], kept[0x110], kept[0x8298]) == ("ACME", "Model 7", "(c) me")
        details, places = kept.get_ifd(0x8769), kept.get_ifd(0x8825)
        assert (details[0xA002], details[0xA003]) == (96, 144)
        assert details[0x9003] == "2020:01:02 03:04:05"
        assert details[0x927C] == MAKER_NOTE
        assert [float(value) for value in places[2]] == [48, 5, 3]
        xmp = written.info.get("xmp") or written.info.get("XML:com.adobe.xmp") or written.tag_v2[700]
        xmp = xmp.encode() if isinstance(xmp, str) else xmp
        assert b'tiff:Orientation="1"' in xmp
        assert b"<tiff:ImageWidth>96<" in xmp
        assert b'exif:PixelXDimension="96"' in xmp
        assert b"M\xc3\xa9lanie" in xmp
        assert b"Thumbnails" not in xmp
        if kind in ("png", "jpeg", "tiff"):
            assert [round(float(value)) for value in written.info["dpi"]] == [240, 240]
    assert thumbnail() not in path.read_bytes()
    again = read_image(path)
    assert again.metadata.icc == ICC
    assert (again.width, again.height) == (96, 144)


def test_source_tiff_exif_survives(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(source("tiff"))
    image = read_image(tmp_path / "in")
    assert (image.width, image.height) == (32, 48)
    for kind in KINDS:
        with Image.open(write_image(enlarged(image, 2), tmp_path / kind, kind)) as written:
            kept = written.getexif()
            assert (kept.get(0x112, 1), kept[0x10F]) == (1, "ACME")
            assert kept.get_ifd(0x8769)[0x9003] == "2020:01:02 03:04:05"
            assert kept.get_ifd(0x8769)[0x927C] == MAKER_NOTE
            assert float(kept.get_ifd(0x8825)[2][0]) == 48
            assert written.info["icc_profile"] == ICC


def exiftool(path: Path) -> dict[str, object]:
    result = subprocess.run(
        ["exiftool", "-j", "-G1", "-n", "-a", str(path)], capture_output=True, text=True, check=True, timeout=60
    )
    return dict(json.loads(result.stdout)[0])


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool is not installed")
@pytest.mark.parametrize("kind", [*KINDS, "bigtiff"])
def test_exiftool_agrees(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if kind == "bigtiff":
        monkeypatch.setattr(tiff_stream, "LARGEST_CLASSIC", 100)
    (tmp_path / "in").write_bytes(source("jpeg"))
    written = exiftool(write_image(enlarged(read_image(tmp_path / "in"), 3), tmp_path / "out", kind.replace("big", "")))
    # exiftool names the groups of a BigTIFF differently
    told = {key.split(":")[1] if kind == "bigtiff" else key: value for key, value in written.items() if ":" in key}
    if kind == "bigtiff":
        groups = ("IFD0:", "ExifIFD:", "GPS:", "InteropIFD:", "XMP-tiff:", "XMP-dc:")
        told = {group + name: value for group in groups for name, value in told.items()}
    assert told.get("IFD0:Orientation", 1) == 1
    assert told["IFD0:Make"] == "ACME"
    assert told["ExifIFD:DateTimeOriginal"] == "2020:01:02 03:04:05"
    assert (told["ExifIFD:ExifImageWidth"], told["ExifIFD:ExifImageHeight"]) == (96, 144)
    if kind == "bigtiff":  # where exiftool 12 mistakes the GPS directory for another
        with tifffile.TiffFile(tmp_path / "out") as file:
            assert file.is_bigtiff
            assert file.pages.first.tags.valueof(34853)["GPSLatitude"] == (48, 1, 5, 1, 3, 1)
    else:
        assert told["GPS:GPSLatitude"] == pytest.approx(48 + 5 / 60 + 3 / 3600)
        assert told["InteropIFD:InteropIndex"] == "R98"
    assert told["XMP-tiff:Orientation"] == 1
    assert told["XMP-dc:Creator"] == "Mélanie"
    assert not [key for key in told if key.startswith("IFD1:") or "Thumbnail" in key]
    assert not [key for key in told if key.endswith(("Warning", "Error")) and "maker" not in str(told[key]).lower()]


def test_exif_is_edited_in_place() -> None:
    data = camera_exif()
    corrected = exif.correct(data, 70_000, 50)
    cut = len(data) - len(thumbnail())
    assert len(corrected) == cut
    changed = [at for at in range(cut) if corrected[at] != data[at]]
    # orientation, two widths (each with its type), two heights, and the link to IFD1
    assert 0 < len(changed) <= 2 + 2 * 4 + 2 * 3 + 4
    kept = Image.Exif()
    kept.load(corrected)
    assert (kept[0x100], kept[0x101], kept.get_ifd(0x8769)[0xA002]) == (70_000, 50, 70_000)


def test_a_thumbnail_that_overlaps_other_values_is_only_unlinked() -> None:
    data = bytearray(camera_exif())
    structure = exif.parse(bytes(data))
    assert structure is not None
    (directory,) = struct.unpack_from("<I", data, structure.next_directory_at(structure.first))
    struct.pack_into("<I", data, structure.tags(directory)[0x201].at + 8, 8)
    corrected = exif.correct(bytes(data), 10, 10)
    kept = Image.Exif()
    kept.load(corrected)
    assert kept[0x10F] == "ACME"
    assert kept.get_ifd(0x8769)[0x927C] == MAKER_NOTE


def test_damaged_exif_never_raises() -> None:
    data = camera_exif()
    random = np.random.default_rng(5)
    for _ in range(400):
        damaged = bytearray(data[: int(random.integers(0, len(data)))] if random.random() < 0.4 else data)
        for at in random.integers(0, max(len(damaged), 1), 4):
            if len(damaged) > 8:
                damaged[at] = int(random.integers(0, 256))
        exif.correct(bytes(damaged), 100, 100)
        exif.declare_srgb(bytes(damaged))
        exif.without_orientation(bytes(damaged))
        assert 1 <= exif.orientation(bytes(damaged)) <= 8
        exif.resolution(bytes(damaged))
        if structure := exif.parse(bytes(damaged)):
            exif.extract(structure)


def test_a_picture_with_damaged_exif_is_still_written(tmp_path: Path) -> None:
    colour = np.zeros((16, 16, 3), np.uint8)
    for kind in KINDS:
        for raw in (b"nonsense", b"II*\0\xff\xff\xff\xff" + bytes(10), b"MM\0*\0\0\0\x08\xff\xff" + bytes(300)):
            path = write_image(ImageBuffer(colour, None, Metadata(exif=raw)), tmp_path / "p", kind)
            assert read_image(path).width == 16


def test_correcting_twice_changes_nothing_more() -> None:
    once = correct_metadata(Metadata(ICC, camera_exif(), XMP), 96, 144)
    assert correct_metadata(once, 96, 144) == once


def test_xmp_without_statements_stays_byte_for_byte() -> None:
    packet = b'<x:xmpmeta><rdf:Description dc:title="tiff"/></x:xmpmeta>'
    assert correct_xmp(packet, 5, 5) == packet
    unfinished = b"<xmp:Thumbnails>" * 10
    assert correct_xmp(unfinished, 5, 5) == unfinished


def test_metadata_too_large_for_jpeg_is_left_out_with_a_sentence(tmp_path: Path) -> None:
    from engine.image.encode import open_writer

    metadata = Metadata(None, camera_exif() + bytes(70_000), XMP + b" " * 70_000)
    with open_writer(tmp_path / "p", "jpeg", width=4, height=4, channels=3, metadata=metadata) as writer:
        assert len(writer.notices) == 2
        writer.write_rows(np.zeros((4, 4, 3), np.uint8))
        writer.commit()

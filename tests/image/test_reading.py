"""Reading: every kind of file becomes the samples that an independent decoder, or the file's maker, says it holds."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms, ImageFile

from engine.errors import Code, PellucidError
from engine.image.buffer import ImageBuffer
from engine.image.decode import probe_image, read_image
from engine.image.sniff import image_format

RNG = np.random.default_rng(7)
COLOUR = RNG.integers(0, 256, (13, 21, 3), dtype=np.uint8)
GREY = RNG.integers(0, 256, (13, 21), dtype=np.uint8)
ALPHA = RNG.integers(0, 256, (13, 21), dtype=np.uint8)
DEEP = RNG.integers(0, 65536, (13, 21, 3), dtype=np.uint16)
DEEP_ALPHA = RNG.integers(0, 65536, (13, 21), dtype=np.uint16)


def saved(path: Path, image: Image.Image, kind: str, **options: object) -> Path:
    image.save(path, kind, **options)
    return path


def assert_agrees_with_probe(path: Path, image: ImageBuffer) -> None:
    facts = probe_image(path)
    assert (facts.width, facts.height) == (image.width, image.height)
    assert (facts.format, facts.bits, facts.alpha) == (image.format, image.bits, image.alpha is not None)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "WebP"])
def test_lossless_colour_is_read_exactly(kind: str, tmp_path: Path) -> None:
    options = {"lossless": True} if kind == "WebP" else {}
    path = saved(tmp_path / "p", Image.fromarray(COLOUR), kind, **options)
    image = read_image(path)
    assert image.format == kind.lower()
    assert image.alpha is None
    np.testing.assert_array_equal(image.colour, COLOUR)
    assert_agrees_with_probe(path, image)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
def test_grey_stays_one_channel(kind: str, tmp_path: Path) -> None:
    path = saved(tmp_path / "p", Image.fromarray(GREY), kind)
    image = read_image(path)
    np.testing.assert_array_equal(image.colour[..., 0], GREY)
    assert image.is_grey
    assert_agrees_with_probe(path, image)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WebP"])
def test_alpha_is_read_exactly_and_straight(kind: str, tmp_path: Path) -> None:
    options = {"lossless": True, "exact": True} if kind == "WebP" else {}
    path = saved(tmp_path / "p", Image.fromarray(np.dstack([COLOUR, ALPHA])), kind, **options)
    image = read_image(path)
    np.testing.assert_array_equal(image.colour, COLOUR)
    np.testing.assert_array_equal(image.alpha, ALPHA)
    assert_agrees_with_probe(path, image)


def test_one_bit_becomes_black_and_white(tmp_path: Path) -> None:
    bits = GREY > 127
    for kind in ("PNG", "TIFF", "BMP"):
        path = saved(tmp_path / kind, Image.fromarray(bits), kind)
        np.testing.assert_array_equal(read_image(path).colour[..., 0], bits * 255)


def test_white_is_zero_is_inverted(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "p.tif", GREY, photometric="miniswhite")
    np.testing.assert_array_equal(read_image(tmp_path / "p.tif").colour[..., 0], 255 - GREY)


@pytest.mark.parametrize("kind", ["PNG", "GIF", "TIFF", "BMP"])
def test_palettes_are_resolved(kind: str, tmp_path: Path) -> None:
    image = Image.fromarray(COLOUR).quantize(16)
    path = saved(tmp_path / "p", image, kind)
    np.testing.assert_array_equal(read_image(path).colour, np.asarray(image.convert("RGB")))


def test_palette_transparency_becomes_alpha(tmp_path: Path) -> None:
    image = Image.fromarray(COLOUR).quantize(8)
    levels = bytes([0, 64, 128, 255, 255, 255, 255, 30])
    path = saved(tmp_path / "p", image, "PNG", transparency=levels)
    read = read_image(path)
    np.testing.assert_array_equal(read.alpha, np.frombuffer(levels, np.uint8)[np.asarray(image)])
    np.testing.assert_array_equal(read.colour, np.asarray(image.convert("RGB")))
    assert_agrees_with_probe(path, read)


def test_gif_gives_its_first_frame_with_transparency(tmp_path: Path) -> None:
    frames = [Image.fromarray(COLOUR).quantize(8), Image.fromarray(255 - COLOUR).quantize(8)]
    frames[0].save(tmp_path / "p.gif", save_all=True, append_images=frames[1:], transparency=3, disposal=2)
    read = read_image(tmp_path / "p.gif")
    with Image.open(tmp_path / "p.gif") as reference:
        wanted = np.asarray(reference.convert("RGBA"))
    np.testing.assert_array_equal(read.alpha, wanted[..., 3])
    np.testing.assert_array_equal(read.colour[wanted[..., 3] > 0], wanted[..., :3][wanted[..., 3] > 0])


@pytest.mark.parametrize("kind", ["PNG", "GIF", "WebP", "TIFF", "AVIF"])
def test_it_is_known_whether_a_file_holds_more_pictures(kind: str, tmp_path: Path) -> None:
    frames = [Image.fromarray(COLOUR), Image.fromarray(255 - COLOUR)]
    saved(tmp_path / "one", frames[0], kind)
    saved(tmp_path / "two", frames[0], kind, save_all=True, append_images=frames[1:])
    assert not read_image(tmp_path / "one").several
    assert read_image(tmp_path / "two").several


def test_a_damaged_second_frame_does_not_cost_the_first(tmp_path: Path) -> None:
    frames = [Image.fromarray(colour).quantize(8) for colour in (COLOUR, 255 - COLOUR)]
    path = saved(tmp_path / "p", frames[0], "GIF", save_all=True, append_images=frames[1:])
    data = path.read_bytes()
    second = data.rindex(b"\x21\xf9\x04")
    for rest in (b"", b"\x2c", b"\x2c\0\0\0\0\xff\xff\xff\xff\7", b"\x21\xf9\x04\0", b"\x21\xff\xff"):
        path.write_bytes(data[:second] + rest)
        assert read_image(path).colour.shape == COLOUR.shape


def test_smaller_copies_and_masks_are_no_pictures_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "p.tif"
    with tifffile.TiffWriter(path) as writer:
        writer.write(COLOUR)
        writer.write(COLOUR[::2, ::2], subfiletype=1)
        writer.write(GREY > 99, subfiletype=4)
    assert not read_image(path).several
    tifffile.imwrite(path, COLOUR, append=True)
    assert read_image(path).several


@pytest.mark.parametrize("grey", [False, True])
def test_a_transparent_colour_becomes_alpha(grey: bool, tmp_path: Path) -> None:
    samples = GREY // 64 * 64 if grey else COLOUR
    key = 64 if grey else tuple(int(value) for value in COLOUR[4, 5])
    path = saved(tmp_path / "p", Image.fromarray(samples), "PNG", transparency=key)
    read = read_image(path)
    hit = samples == 64 if grey else (samples == COLOUR[4, 5]).all(axis=2)
    assert hit.any()
    np.testing.assert_array_equal(read.alpha == 0, hit)


def png_with(chunk: bytes, data: bytes) -> bytes:
    """The PNG with one more chunk before its pixels."""
    at = data.index(b"IDAT") - 4
    kind, body = chunk[:4], chunk[4:]
    whole = struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return data[:at] + whole + data[at:]


def plain_png(samples: np.ndarray) -> bytes:
    """(height, width, channels) uint16 as the simplest PNG there is: no filter, one chunk of pixels."""
    height, width, channels = samples.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    header = struct.pack(">IIBBBBB", width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in parts
    )


def test_sixteen_bits_are_kept_in_png(tmp_path: Path) -> None:
    for samples in (DEEP, DEEP[..., :1], np.dstack([DEEP, DEEP_ALPHA]), np.dstack([DEEP[..., :1], DEEP_ALPHA])):
        path = tmp_path / "p.png"
        path.write_bytes(plain_png(samples))
        read = read_image(path)
        assert read.bits == 16
        colours = 1 if samples.shape[2] < 3 else 3
        np.testing.assert_array_equal(read.colour, samples[..., :colours])
        if samples.shape[2] in (2, 4):
            np.testing.assert_array_equal(read.alpha, samples[..., -1])
        assert_agrees_with_probe(path, read)


def test_a_transparent_colour_of_sixteen_bits_becomes_alpha(tmp_path: Path) -> None:
    path = tmp_path / "p.png"
    path.write_bytes(png_with(b"tRNS" + DEEP[2, 3].astype(">u2").tobytes(), imagecodecs.png_encode(DEEP)))
    read = read_image(path)
    assert read.alpha is not None
    assert (read.alpha[2, 3], int((read.alpha == 65535).sum())) == (0, read.alpha.size - 1)
    np.testing.assert_array_equal(read.colour, DEEP)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("compression", [None, "zlib", "lzw"])
@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_tiff_kinds_are_read_exactly(dtype: type, compression: str | None, planar: str, tmp_path: Path) -> None:
    samples = (DEEP / 60000).astype(np.float32) if dtype is np.float32 else (DEEP >> (0 if dtype is np.uint16 else 8))
    samples = samples.astype(dtype)
    stored = np.moveaxis(samples, -1, 0) if planar == "separate" else samples
    path = tmp_path / "p.tif"
    tifffile.imwrite(path, stored, photometric="rgb", planarconfig=planar, compression=compression)
    read = read_image(path)
    assert read.colour.dtype == dtype
    np.testing.assert_array_equal(read.colour, samples)
    assert_agrees_with_probe(path, read)


@pytest.mark.parametrize("layout", [{"tile": (16, 16)}, {"bigtiff": True}, {"byteorder": ">"}, {"predictor": True}])
def test_tiff_layouts_are_read_exactly(layout: dict[str, object], tmp_path: Path) -> None:
    options = dict(layout) | ({"compression": "zlib"} if "predictor" in layout else {})
    tifffile.imwrite(tmp_path / "p.tif", DEEP, photometric="rgb", **options)
    np.testing.assert_array_equal(read_image(tmp_path / "p.tif").colour, DEEP)


def test_premultiplied_tiff_becomes_straight(tmp_path: Path) -> None:
    alpha = np.maximum(ALPHA, 40)
    multiplied = np.rint(COLOUR * (alpha[..., None] / 255.0)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "p.tif", np.dstack([multiplied, alpha]), photometric="rgb", extrasamples=["ASSOCALPHA"])
    read = read_image(tmp_path / "p.tif")
    np.testing.assert_array_equal(read.alpha, alpha)
    error = np.abs(read.colour.astype(int) - COLOUR)
    assert (error <= 0.5 * 255 / alpha[..., None] + 0.51).all()


def test_jpeg_equals_pillow(tmp_path: Path) -> None:
    for image in (Image.fromarray(COLOUR), Image.fromarray(GREY)):
        path = saved(tmp_path / "p.jpg", image, "JPEG", progressive=True)
        with Image.open(path) as reference:
            np.testing.assert_array_equal(np.squeeze(read_image(path).colour), np.asarray(reference))


def test_cmyk_jpeg_without_profile_is_plain_subtraction(tmp_path: Path) -> None:
    flat = Image.new("CMYK", (16, 16), (255, 0, 0, 0))
    path = saved(tmp_path / "p.jpg", flat, "JPEG", quality=100)
    read = read_image(path)
    assert np.abs(read.colour.astype(int) - (0, 255, 255)).max() <= 2
    assert read.metadata.icc is None


def cmyk_profile() -> bytes | None:
    for place in ("/usr/share/color/icc/ghostscript/default_cmyk.icc", "/usr/share/color/icc/FOGRA39L_coated.icc"):
        if Path(place).exists():
            return Path(place).read_bytes()
    return None


@pytest.mark.skipif(cmyk_profile() is None, reason="no CMYK profile is installed on this machine")
def test_cmyk_jpeg_goes_through_its_profile(tmp_path: Path) -> None:
    profile = cmyk_profile()
    assert profile is not None
    flat = Image.new("CMYK", (16, 16), (200, 30, 60, 10))
    path = saved(tmp_path / "p.jpg", flat, "JPEG", quality=100, icc_profile=profile)
    wanted = ImageCms.profileToProfile(flat, io.BytesIO(profile), ImageCms.createProfile("sRGB"), outputMode="RGB")
    assert wanted is not None
    read = read_image(path)
    assert np.abs(read.colour.astype(int) - np.asarray(wanted)).max() <= 4
    assert read.metadata.icc != profile


def test_cmyk_tiff_of_sixteen_bits_stays_deep(tmp_path: Path) -> None:
    ink = RNG.integers(0, 65536, (5, 6, 4), dtype=np.uint16)
    tifffile.imwrite(tmp_path / "p.tif", ink, photometric="separated")
    read = read_image(tmp_path / "p.tif")
    paper = 1 - ink / 65535.0
    wanted = paper[..., :3] * paper[..., 3:] * 65535
    assert read.bits == 16
    assert np.abs(read.colour - wanted).max() <= 0.51


@pytest.mark.parametrize("depth", [8, 10, 12])
def test_avif_is_read_at_its_depth(depth: int, tmp_path: Path) -> None:
    ramp = np.linspace(0, (1 << depth) - 1, 64 * 32).reshape(32, 64, 1).repeat(3, axis=2)
    samples = ramp.astype(np.uint8 if depth == 8 else np.uint16)
    path = tmp_path / "p.avif"
    path.write_bytes(imagecodecs.avif_encode(samples, level=100, bitspersample=depth))
    read = read_image(path)
    assert read.bits == (8 if depth == 8 else 16)
    assert np.abs(read.colour / np.iinfo(read.colour.dtype).max - ramp / ((1 << depth) - 1)).max() < 0.02
    assert_agrees_with_probe(path, read)


def test_heic_is_read(tmp_path: Path) -> None:
    import pillow_heif

    across, down = np.meshgrid(np.arange(64), np.arange(48))
    smooth = np.dstack([across * 3, down * 4, 255 - across * 2]).astype(np.uint8)
    path = tmp_path / "p.heic"
    try:
        pillow_heif.from_pillow(Image.fromarray(smooth)).save(path, quality=95)
    except (RuntimeError, ValueError, OSError) as error:
        pytest.skip(f"this build of libheif cannot write HEIC: {error}")
    read = read_image(path)
    assert read.format == "heic"
    assert np.abs(read.colour.astype(int) - smooth).max() <= 8
    assert_agrees_with_probe(path, read)


def test_camera_raw_is_read_or_says_what_to_install(tmp_path: Path) -> None:
    sensor = RNG.integers(0, 4096, (64, 96), dtype=np.uint16)
    path = tmp_path / "p.tif"  # the name must not matter
    tags = [(50706, "B", 4, (1, 4, 0, 0), True), (33421, "H", 2, (2, 2), True), (33422, "B", 4, (0, 1, 1, 2), True)]
    tifffile.imwrite(path, sensor, photometric=32803, extratags=tags)
    try:
        import rawpy  # noqa: F401
    except ImportError:
        with pytest.raises(PellucidError, match="package that opens them is not installed") as caught:
            read_image(path)
        assert caught.value.code is Code.IMAGE_UNSUPPORTED
        assert "pellucid[raw]" in caught.value.hint
    else:
        read = read_image(path)
        assert (read.format, read.bits, read.width, read.height) == ("raw", 16, 96, 64)


@pytest.mark.parametrize(
    "head",
    [b"II\x1a\0\0\0HEAPCCDR\2\0\1\0", b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", b"IIU\0\x18\0\0\0", b"\0MRM\0\0"],
)
def test_camera_raw_that_is_no_tiff_is_known_by_its_header(head: bytes) -> None:
    assert image_format(head + bytes(64)) == "raw"


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WebP", "TIFF", "AVIF"])
def test_orientation_is_applied_once(kind: str, orientation: int, tmp_path: Path) -> None:
    corners = np.zeros((32, 48, 3), np.uint8)
    corners[:16, :24], corners[:16, 24:], corners[16:, :24] = (250, 0, 0), (0, 250, 0), (0, 0, 250)
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path / "p", Image.fromarray(corners), kind, exif=exif, quality=95)
    with Image.open(path) as reference:
        from PIL import ImageOps

        wanted = np.asarray(ImageOps.exif_transpose(reference).convert("RGB")).astype(int)
    read = read_image(path)
    assert read.colour.shape == wanted.shape
    assert np.abs(read.colour.astype(int) - wanted).max() <= 3
    facts = probe_image(path)
    assert (facts.width, facts.height, facts.upright) == (read.width, read.height, orientation == 1)
    kept = Image.Exif()
    kept.load(read.metadata.exif or b"")
    assert kept.get(0x0112, 1) == 1


def test_the_name_does_not_decide_what_a_file_is(tmp_path: Path) -> None:
    for name in ("photo.jpg", "photo", "photo.txt"):
        path = saved(tmp_path / name, Image.fromarray(COLOUR), "PNG")
        assert read_image(path).format == "png"


@pytest.mark.parametrize(
    "name",
    ["写真 と 絵.png", "🌄🎉.png", "100% #1 {name} %s.png", " two  spaces .png", "é̂" * 40 + ".png", "x" * 251 + ".png"],
)
def test_any_name_is_read(name: str, tmp_path: Path) -> None:
    np.testing.assert_array_equal(read_image(saved(tmp_path / name, Image.fromarray(COLOUR), "PNG")).colour, COLOUR)


def test_very_long_paths_are_read(tmp_path: Path) -> None:
    folder = tmp_path
    while len(str(folder)) < 1500:
        folder = folder / ("ordner" * 30)
    folder.mkdir(parents=True)
    np.testing.assert_array_equal(read_image(saved(folder / "p.png", Image.fromarray(COLOUR), "PNG")).colour, COLOUR)


def test_bombs_are_refused_before_they_are_decoded(tmp_path: Path) -> None:
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")]
    data = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in parts
    )
    path = tmp_path / "bomb.png"
    path.write_bytes(data)
    with pytest.raises(PellucidError, match=r"3,600\.0 megapixels; the limit is 500") as caught:
        read_image(path)
    assert caught.value.code is Code.IMAGE_TOO_LARGE
    assert "--max-megapixels 3600" in caught.value.hint


def test_the_limit_can_be_raised_and_lowered(tmp_path: Path) -> None:
    path = saved(tmp_path / "p.png", Image.fromarray(COLOUR), "PNG")
    with pytest.raises(PellucidError, match="megapixels"):
        read_image(path, max_megapixels=0.0002)
    assert read_image(path, max_megapixels=0.0003).width == 21


def test_pillows_globals_are_left_alone(tmp_path: Path) -> None:
    before = (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES)
    for kind in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WebP", "AVIF"):
        read_image(saved(tmp_path / kind, Image.fromarray(COLOUR), kind))
    after = (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES)
    assert after == before

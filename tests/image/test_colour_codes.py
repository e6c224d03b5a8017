"""Colours that a file tells of in numbers of its own, not in a profile, look the same in the result, whatever its
format."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from engine.image.buffer import ImageBuffer
from engine.image.colour import to_srgb
from engine.image.decode import read_image
from engine.image.encode import open_writer, write_image
from engine.image.formats import WRITTEN

Floats = npt.NDArray[np.float64]

SRGB = (0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
P3 = (0.3127, 0.3290, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060)
ADOBE = (0.3127, 0.3290, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
WIDE = (0.3457, 0.3585, 0.7347, 0.2653, 0.1596, 0.8404, 0.0366, 0.0001)
"""Of ProPhoto: another white, and a green that no screen shows."""

HDR_PQ, HDR_HLG = bytes([9, 16, 0, 1]), bytes([9, 18, 0, 1])


def gamma(value: float) -> tuple[bytes, bytes]:
    return b"gAMA", struct.pack(">I", round(value * 100_000))


def primaries(*chromaticities: float) -> tuple[bytes, bytes]:
    return b"cHRM", struct.pack(">8I", *(round(value * 100_000) for value in chromaticities))


def png(path: Path, pixels: npt.NDArray[np.uint8], *chunks: tuple[bytes, bytes], icc: bytes | None = None) -> Path:
    info = PngInfo()
    for kind, body in chunks:
        info.add(kind, body)
    Image.fromarray(pixels).save(path, "PNG", pnginfo=info, icc_profile=icc)
    return path


def some_colours() -> npt.NDArray[np.uint8]:
    """(25, 25, 3), none so vivid that sRGB could not show it."""
    steps = np.linspace(115, 165, 25).round().astype(np.uint8)
    red, green = np.meshgrid(steps, steps)
    return np.dstack([red, green, np.full_like(red, 140)])


def xyz_of_rgb(chromaticities: tuple[float, ...]) -> Floats:
    """The textbook's matrix, under the own white."""
    white, red, green, blue = np.reshape(chromaticities, (4, 2))
    columns = np.array([[x, y, 1 - x - y] for x, y in (red, green, blue)]).T
    own_white = np.array([white[0], white[1], 1 - white.sum()]) / white[1]
    return columns * (np.linalg.inv(columns) @ own_white)


def expected_srgb(pixels: npt.NDArray[np.uint8], exponent: float, chromaticities: tuple[float, ...]) -> Floats:
    """(height, width, 3) 0..255, worked out in float64 without any profile; the white is that of sRGB."""
    light = (pixels / 255.0) ** exponent
    linear = light @ (np.linalg.inv(xyz_of_rgb(SRGB)) @ xyz_of_rgb(chromaticities)).T
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.abs(linear) ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("chromaticities", [SRGB, P3, ADOBE])
@pytest.mark.parametrize("encoded", [1 / 2.2, 1 / 1.8, 1.0])
def test_gamma_and_primaries_become_a_profile_that_shows_what_they_mean(
    encoded: float, chromaticities: tuple[float, ...], tmp_path: Path
) -> None:
    pixels = some_colours()
    image = read_image(png(tmp_path / "a.png", pixels, gamma(encoded), primaries(*chromaticities)))
    np.testing.assert_array_equal(image.colour, pixels)
    if encoded == 1 / 2.2 and chromaticities == SRGB:
        assert image.metadata.icc is None
        return
    wanted = expected_srgb(pixels, 1 / encoded, chromaticities)
    assert np.abs(to_srgb(image).colour - wanted).max() < 1.1
    assert image.metadata.icc is not None
    profile = ImageCms.ImageCmsProfile(io.BytesIO(image.metadata.icc))
    through_pillow = ImageCms.profileToProfile(Image.fromarray(pixels), profile, ImageCms.createProfile("sRGB"))
    assert through_pillow is not None
    assert np.abs(np.asarray(through_pillow) - wanted).max() < 1.6


def test_another_white_stays_white(tmp_path: Path) -> None:
    white = np.full((4, 4, 3), 255, np.uint8)
    image = read_image(png(tmp_path / "a.png", white, gamma(1 / 1.8), primaries(*WIDE)))
    assert to_srgb(image).colour.min() >= 254


def test_what_means_srgb_gets_no_profile(tmp_path: Path) -> None:
    colour, grey = some_colours(), some_colours()[..., 0]
    nearly = primaries(0.31269, 0.32899, 0.63999, 0.33001, 0.3, 0.6, 0.15, 0.05999)
    for chunks in (
        [],
        [gamma(0.45455)],
        [gamma(0.4545), nearly],
        [primaries(*SRGB)],
        [(b"sRGB", b"\0"), gamma(1.0), primaries(*P3)],
        [(b"cICP", bytes([1, 13, 0, 1])), gamma(1.0)],
    ):
        assert read_image(png(tmp_path / "a.png", colour, *chunks)).metadata.icc is None
        assert read_image(png(tmp_path / "a.png", grey, *chunks)).metadata.icc is None


def test_the_chunk_that_counts_most_wins(tmp_path: Path) -> None:
    pixels, own = some_colours(), ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    rest = [gamma(1.0), primaries(*ADOBE)]
    p3 = (b"cICP", bytes([12, 8, 0, 1]))
    plain = read_image(png(tmp_path / "a.png", pixels, *rest)).metadata.icc
    assert read_image(png(tmp_path / "b.png", pixels, *rest, icc=own)).metadata.icc == own
    image = read_image(png(tmp_path / "c.png", pixels, p3, *rest, icc=own))
    assert image.metadata.icc not in (None, own, plain)
    assert np.abs(to_srgb(image).colour - expected_srgb(pixels, 1.0, P3)).max() < 1.1
    hdr = read_image(png(tmp_path / "d.png", pixels, (b"cICP", HDR_PQ), icc=own)).metadata
    assert (hdr.icc, hdr.cicp) == (own, HDR_PQ)


@pytest.mark.parametrize("kind", WRITTEN)
@pytest.mark.parametrize("grey", [False, True])
def test_every_format_shows_the_result_as_the_source_was_shown(kind: str, grey: bool, tmp_path: Path) -> None:
    pixels = np.full((16, 16, 3), (150, 130, 170), np.uint8)[..., slice(0, 1) if grey else slice(None)]
    path = png(tmp_path / "a.png", pixels[..., 0] if grey else pixels, gamma(1.0), primaries(*P3))
    image = read_image(path)
    shown = to_srgb(image).colour.astype(float)
    assert np.abs(shown - image.colour).max() > 20  # without its profile it would look quite different
    result = read_image(write_image(image, tmp_path / f"r{WRITTEN[kind].extension}", kind, quality=100))
    assert np.abs(to_srgb(result).colour - shown).max() <= 3


@pytest.mark.parametrize("cicp", [HDR_PQ, HDR_HLG])
def test_hdr_stays_hdr_in_png_and_is_told_elsewhere(cicp: bytes, tmp_path: Path) -> None:
    image = read_image(png(tmp_path / "a.png", some_colours(), (b"cICP", cicp)))
    assert to_srgb(image) is image
    for kind in WRITTEN:
        path = tmp_path / f"r{WRITTEN[kind].extension}"
        with open_writer(path, kind, width=25, height=25, channels=3, metadata=image.metadata) as writer:
            told = any("HDR" in text for text in writer.notices)
        assert told == (kind != "png")
    again = read_image(write_image(image, tmp_path / "r.png", "png"))
    assert again.metadata.cicp == cicp
    np.testing.assert_array_equal(again.colour, image.colour)


@pytest.mark.parametrize(
    "chunks",
    [
        [gamma(0.0), primaries(*SRGB)],
        [(b"gAMA", b"\xff\xff\xff\xff")],
        [(b"gAMA", b"\0\1"), (b"cHRM", b"short"), (b"cICP", b"")],
        [(b"cHRM", bytes(32))],
        [primaries(0.3127, 0.329, 0.1, 0.1, 0.2, 0.2, 0.3, 0.3)],
        [(b"cHRM", b"\xff" * 32), gamma(1.0)],
        [primaries(0.3127, 0.00001, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)],
    ],
)
def test_nonsense_about_colours_does_not_cost_the_picture(chunks: list[tuple[bytes, bytes]], tmp_path: Path) -> None:
    image = read_image(png(tmp_path / "a.png", some_colours(), *chunks))
    to_srgb(image)
    assert isinstance(read_image(write_image(image, tmp_path / "r.jpg", "jpeg")), ImageBuffer)


def avif(path: Path, pixels: npt.NDArray[np.uint8], primaries: int, transfer: int, icc: bytes | None = None) -> Path:
    Image.fromarray(pixels).save(path, "AVIF", quality=100, subsampling="4:4:4", icc_profile=icc)
    data = path.read_bytes()
    at = data.index(b"colrnclx") + 8
    path.write_bytes(data[:at] + struct.pack(">HH", primaries, transfer) + data[at + 4 :])
    return path


def heic(path: Path, pixels: npt.NDArray[np.uint8], primaries: int, transfer: int, icc: bytes | None = None) -> Path:
    import pillow_heif

    codes = {"color_primaries": primaries, "transfer_characteristics": transfer, "full_range_flag": 1}
    picture = Image.fromarray(pixels)
    if icc:
        picture.info["icc_profile"] = icc
    try:
        pillow_heif.from_pillow(picture).save(path, quality=-1, chroma=444, matrix_coefficients=0, **codes)
    except (RuntimeError, ValueError, OSError) as error:
        pytest.skip(f"this build of libheif cannot write HEIC: {error}")
    return path


@pytest.mark.parametrize("write", [avif, heic])
def test_code_points_of_avif_and_heic_count(write: Callable[..., Path], tmp_path: Path) -> None:
    pixels, own = some_colours(), ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for primaries, transfer in ((1, 13), (2, 2), (1, 1), (6, 6)):
        metadata = read_image(write(tmp_path / "a", pixels, primaries, transfer)).metadata
        assert (metadata.icc, metadata.cicp) == (None, None)
    wide = read_image(write(tmp_path / "a", pixels, 12, 8))
    assert np.abs(to_srgb(wide).colour - expected_srgb(pixels, 1.0, P3)).max() < 4  # the samples are lossy
    for transfer in (16, 18):
        hdr = read_image(write(tmp_path / "a", pixels, 9, transfer)).metadata
        assert (hdr.icc, hdr.cicp) == (None, bytes([9, transfer, 0, 1]))
    if write is avif:
        assert read_image(write(tmp_path / "a", pixels, 9, 16, own)).metadata.icc == own

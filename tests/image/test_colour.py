"""Colours between file and network: nothing is cut, nothing shifts that was not asked to."""

from __future__ import annotations

import io
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image, ImageCms

from engine.errors import PellucidError
from engine.image.buffer import ImageBuffer, Metadata
from engine.image.colour import from_network, round_samples, srgb_profile, to_network, to_srgb
from engine.image.decode import read_image
from engine.image.encode import open_writer, write_image

RNG = np.random.default_rng(3)
# Display P3: its primaries, sRGB's curve
WIDE = bytes(
    imagecodecs.cms_profile(
        "rgb",
        whitepoint=(0.3127, 0.3290, 1.0),
        primaries=(0.680, 0.320, 1.0, 0.265, 0.690, 1.0, 0.150, 0.060, 1.0),
        gamma=2.2,
    )
)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_way_to_the_network_and_back_changes_nothing(dtype: type, channels: int) -> None:
    top = np.iinfo(dtype).max
    every = np.arange(top + 1, dtype=dtype).reshape(256, -1, 1)
    buffer = ImageBuffer(np.repeat(every, channels, axis=2))
    planes = to_network(buffer)
    assert (planes.dtype, planes.shape[0], planes.flags.c_contiguous) == (np.float32, 3, True)
    np.testing.assert_allclose(planes[1], every[..., 0] / np.float64(top), atol=1e-7)
    np.testing.assert_array_equal(from_network(planes, buffer), buffer.colour)


def test_rounding_is_to_the_nearest_and_clips() -> None:
    values = np.array([0.0, 0.49 / 255, 0.51 / 255, 254.51 / 255, 1.2, -0.3], np.float32).reshape(1, -1, 1)
    assert round_samples(values, 8).ravel().tolist() == [0, 0, 1, 255, 255, 0]
    random = RNG.random((50, 50, 3)).astype(np.float32)
    assert np.abs(round_samples(random, 16) - random.astype(np.float64) * 65535).max() <= 0.505


def test_grey_is_the_mean_of_what_the_network_gives() -> None:
    planes = np.stack([np.full((4, 5), value, np.float32) for value in (0.2, 0.4, 0.9)])
    grey = from_network(planes, ImageBuffer(np.zeros((1, 1, 1), np.uint8)))
    assert grey.shape == (4, 5, 1)
    assert (grey == round(0.5 * 255)).all()


def test_floats_outside_the_range_are_clipped_for_the_network() -> None:
    buffer = ImageBuffer(np.array([[[-1.0, 0.5, 7.0]]], np.float32))
    assert to_network(buffer).ravel().tolist() == [0.0, 0.5, 1.0]


def test_conversion_to_srgb_agrees_with_littlecms_through_pillow() -> None:
    colour = RNG.integers(0, 256, (40, 50, 3), dtype=np.uint8)
    wanted = ImageCms.profileToProfile(
        Image.fromarray(colour),
        io.BytesIO(WIDE),
        ImageCms.createProfile("sRGB"),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
    )
    converted = to_srgb(ImageBuffer(colour, None, Metadata(icc=WIDE)))
    assert converted.metadata.icc is None
    assert np.abs(converted.colour.astype(int) - np.asarray(wanted)).max() <= 1
    assert np.abs(converted.colour.astype(int) - colour).max() > 20


def test_sixteen_bits_stay_deep_through_srgb() -> None:
    ramp = np.linspace(10_000, 50_000, 4096).astype(np.uint16)[None, :, None].repeat(3, axis=2)
    converted = to_srgb(ImageBuffer(ramp, None, Metadata(icc=WIDE)))
    assert converted.bits == 16
    assert len(np.unique(converted.colour[..., 1])) > 3000


def test_srgb_to_srgb_changes_nothing() -> None:
    for dtype, tolerance in ((np.uint8, 0), (np.uint16, 30)):
        colour = RNG.integers(0, np.iinfo(dtype).max + 1, (30, 30, 3), dtype=dtype)
        converted = to_srgb(ImageBuffer(colour, None, Metadata(icc=srgb_profile())))
        assert np.abs(converted.colour.astype(int) - colour).max() <= tolerance


def test_grey_stays_grey_through_srgb() -> None:
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    for profile in (bytes(imagecodecs.cms_profile("gray", gamma=1.8)), srgb_profile()):
        converted = to_srgb(ImageBuffer(grey, None, Metadata(icc=profile)))
        assert converted.is_grey
        assert (np.diff(converted.colour.ravel().astype(int)) >= 0).all()
    brighter = to_srgb(ImageBuffer(grey, None, Metadata(icc=bytes(imagecodecs.cms_profile("gray", gamma=1.0)))))
    assert brighter.colour[8, 0, 0] == pytest.approx(188, abs=2)  # linear 0.5 in sRGB


def test_a_damaged_profile_is_said_in_a_sentence() -> None:
    for profile in (b"nonsense" * 30, WIDE[:200], b""):
        with pytest.raises(PellucidError, match="ICC profile"):
            to_srgb(ImageBuffer(np.zeros((4, 4, 3), np.uint8), None, Metadata(icc=profile)))


def test_the_srgb_profile_is_the_same_every_time_and_valid() -> None:
    srgb_profile.cache_clear()
    first = srgb_profile()
    srgb_profile.cache_clear()
    assert srgb_profile() == first
    ImageCms.ImageCmsProfile(io.BytesIO(first))


def test_a_grey_profile_becomes_one_of_the_same_greys_in_a_colour_file(tmp_path: Path) -> None:
    profile = bytes(imagecodecs.cms_profile("gray", gamma=1.4))
    grey = ImageBuffer(np.full((16, 16, 1), 99, np.uint8), None, Metadata(icc=profile))
    assert read_image(write_image(grey, tmp_path / "p.png", "png")).metadata.icc == profile
    shown = to_srgb(grey).colour[0, 0, 0]
    assert abs(int(shown) - 99) > 10
    for kind in ("webp", "avif"):
        assert (
            np.abs(to_srgb(read_image(write_image(grey, tmp_path / "p", kind, quality=100))).colour - shown).max() <= 2
        )


@pytest.mark.parametrize("profile", [b"\0" * 16 + b"GRAYLab " + b"\0" * 110, b"\0" * 16 + b"GRAYXYZ " + b"\xff" * 110])
def test_a_grey_profile_of_another_kind_is_left_out_of_a_colour_file_and_told(profile: bytes, tmp_path: Path) -> None:
    kept = Metadata(icc=profile)
    with open_writer(tmp_path / "p.webp", "webp", width=9, height=9, channels=1, metadata=kept) as writer:
        assert writer.notices == ("The grey colour profile was left out: WebP stores this picture as RGB.",)

"""PSNR and SSIM against scikit-image and a few lines of numpy; and the doors that keep wrong ranges out."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.color import rgb2ycbcr
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from engine.errors import Code, PellucidError
from engine.image.buffer import ImageBuffer
from engine.metrics.psnr import psnr
from engine.metrics.scored import Scored, luma
from engine.metrics.ssim import ssim, ssim_of_each


def _pair(height: int, width: int, channels: int, seed: int) -> tuple[Scored, Scored]:
    """A smooth picture and a noisy one."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    phase = rng.uniform(0, 6, channels)
    truth = 127 + 100 * np.sin(x[..., None] / 9 + y[..., None] / 17 + phase)
    noisy = truth + rng.normal(0, 12, truth.shape)
    return Scored(np.clip(noisy, 0, 255).astype(np.uint8)), Scored(np.clip(truth, 0, 255).astype(np.uint8))


@pytest.mark.parametrize(("height", "width", "channels"), [(64, 80, 3), (33, 47, 3), (300, 21, 3), (40, 40, 1)])
def test_psnr_rgb_equals_scikit_image(height: int, width: int, channels: int) -> None:
    result, truth = _pair(height, width, channels, 1)
    expected = peak_signal_noise_ratio(truth.pixels, result.pixels, data_range=255)
    assert psnr(result, truth, "rgb") == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("height", "width", "channels"), [(64, 80, 3), (33, 47, 3), (300, 21, 3), (40, 40, 1)])
def test_ssim_rgb_equals_scikit_image(height: int, width: int, channels: int) -> None:
    result, truth = _pair(height, width, channels, 2)
    expected = structural_similarity(
        truth.pixels,
        result.pixels,
        channel_axis=2,
        data_range=255,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    assert ssim(result, truth, "rgb") == pytest.approx(expected, abs=1e-7)


def test_luma_is_that_of_bt601_studio_swing() -> None:
    pixels = np.random.default_rng(3).integers(0, 256, (20, 30, 3), np.uint8)
    assert np.abs(luma(pixels) - rgb2ycbcr(pixels)[..., 0]).max() < 1e-9
    assert luma(np.full((1, 1, 3), 255, np.uint8))[0, 0] == pytest.approx(235)
    assert luma(np.zeros((1, 1, 3), np.uint8))[0, 0] == pytest.approx(16)


def test_grey_has_the_luma_of_equal_channels() -> None:
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    assert np.abs(luma(grey) - luma(np.repeat(grey, 3, axis=2))).max() < 1e-9


@pytest.mark.parametrize("border", [0, 2, 4])
def test_the_y_protocol_cuts_the_border_and_scores_luma(border: int) -> None:
    result, truth = _pair(50, 61, 3, 4)
    inner = (slice(border, 50 - border), slice(border, 61 - border))
    ours, theirs = rgb2ycbcr(result.pixels)[..., 0][inner], rgb2ycbcr(truth.pixels)[..., 0][inner]
    assert psnr(result, truth, "y", border) == pytest.approx(
        20 * math.log10(255 / math.sqrt(np.mean((ours - theirs) ** 2))), abs=1e-9
    )
    expected = structural_similarity(
        theirs, ours, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    assert ssim(result, truth, "y", border) == pytest.approx(expected, abs=1e-9)


def test_grey_beside_colour_scores_as_three_equal_channels() -> None:
    result, truth = _pair(40, 40, 1, 5)
    as_colour = Scored(np.repeat(result.pixels, 3, axis=2))
    for protocol in ("rgb", "y"):
        assert psnr(as_colour, truth, protocol) == pytest.approx(psnr(result, truth, protocol), abs=1e-9)
        assert ssim(as_colour, truth, protocol) == pytest.approx(ssim(result, truth, protocol), abs=1e-9)


@pytest.mark.parametrize("protocol", ["rgb", "y"])
def test_several_results_of_one_picture_score_as_each_alone(protocol: Literal["rgb", "y"]) -> None:
    rng = np.random.default_rng(6)
    truth, *results = (Scored(rng.integers(0, 256, (150, 40, 3), np.uint8)) for _ in range(4))
    assert ssim_of_each(results, truth, protocol, 2) == [ssim(result, truth, protocol, 2) for result in results]


def test_equal_pictures_score_infinite_psnr_and_ssim_one() -> None:
    _, truth = _pair(30, 30, 3, 6)
    assert psnr(truth, truth, "y", 4) == math.inf
    assert ssim(truth, truth, "rgb") == pytest.approx(1.0, abs=1e-12)


def test_pictures_taller_than_a_band_score_like_short_ones() -> None:
    """Rows are taken in bands; the sum must not see where they end."""
    result, truth = _pair(700, 16, 1, 7)
    expected = structural_similarity(
        truth.pixels[..., 0],
        result.pixels[..., 0],
        data_range=255,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    assert ssim(result, truth, "rgb") == pytest.approx(expected, abs=1e-9)
    assert psnr(result, truth, "rgb") == pytest.approx(
        peak_signal_noise_ratio(truth.pixels, result.pixels, data_range=255), abs=1e-9
    )


@given(st.integers(0, 2**32 - 1), st.integers(11, 40), st.integers(11, 40))
def test_scores_do_not_depend_on_which_picture_comes_first(seed: int, height: int, width: int) -> None:
    rng = np.random.default_rng(seed)
    one, other = (Scored(rng.integers(0, 256, (height, width, 3), np.uint8)) for _ in range(2))
    assert psnr(one, other, "rgb") == psnr(other, one, "rgb")
    assert ssim(one, other, "rgb") == pytest.approx(ssim(other, one, "rgb"), abs=1e-12)
    assert -1.0 <= ssim(one, other, "y") <= 1.0


def test_tanh_output_cannot_be_scored_as_if_it_were_0_to_1() -> None:
    truth = _pair(40, 40, 3, 8)[1]
    tanh = truth.pixels / 127.5 - 1.0
    with pytest.raises(PellucidError, match=r"declared to lie in 0\.\.1, but its samples go from -0\.\d+ to") as caught:
        Scored.from_float(tanh, "0..1")
    assert caught.value.code is Code.RANGE_MISMATCH
    assert psnr(Scored.from_float(tanh, "-1..1"), truth, "rgb") == math.inf


def test_0_to_1_output_cannot_be_scored_as_if_it_were_tanh() -> None:
    truth = _pair(40, 40, 3, 9)[1]
    with pytest.raises(PellucidError, match=r"declared to lie in -1\.\.1"):
        Scored.from_float(truth.pixels / 255.0, "-1..1")


@pytest.mark.parametrize("declared", ["0..1", "-1..1"])
def test_floats_of_0_to_255_are_refused_under_any_range(declared: str) -> None:
    with pytest.raises(PellucidError) as caught:
        Scored.from_float(_pair(40, 40, 3, 10)[1].pixels.astype(np.float32), declared)
    assert caught.value.code is Code.RANGE_MISMATCH


def test_a_little_overshoot_beside_edges_is_normal_and_clipped() -> None:
    pixels = np.full((20, 20, 3), 0.5)
    pixels[0, 0], pixels[0, 1] = -0.05, 1.07
    scored = Scored.from_float(pixels, "0..1")
    assert scored.pixels[0, 0].tolist() == [0, 0, 0]
    assert scored.pixels[0, 1].tolist() == [255, 255, 255]
    assert scored.pixels[5, 5].tolist() == [128, 128, 128]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_samples_that_are_not_numbers_are_refused(bad: float) -> None:
    pixels = np.full((20, 20, 3), 0.5)
    pixels[3, 3, 0] = bad
    with pytest.raises(PellucidError, match="not numbers"):
        Scored.from_float(pixels, "0..1")


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint16, np.int32, np.bool_])
def test_only_8_bit_samples_are_scored_without_a_range(dtype: type[np.generic]) -> None:
    with pytest.raises(PellucidError, match="range is not known"):
        Scored(np.zeros((8, 8, 3), dtype))


def test_deep_and_float_pictures_are_rounded_to_8_bits() -> None:
    levels = np.arange(256, dtype=np.uint16).reshape(16, 16, 1)
    assert np.array_equal(Scored.from_image(ImageBuffer(levels * 257)).pixels, levels.astype(np.uint8))
    exact = np.rint(np.arange(65536) / 257.0)
    sixteen = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1)
    assert np.array_equal(Scored.from_image(ImageBuffer(sixteen)).pixels.ravel(), exact)
    floats = (levels / 255.0).astype(np.float32)
    assert np.array_equal(Scored.from_image(ImageBuffer(floats)).pixels, levels.astype(np.uint8))


def test_pictures_of_other_sizes_are_refused_with_both_sizes() -> None:
    one, other = Scored(np.zeros((20, 30, 3), np.uint8)), Scored(np.zeros((20, 31, 3), np.uint8))
    for metric in (psnr, ssim):
        with pytest.raises(PellucidError, match=r"30 x 20 .* 31 x 20"):
            metric(one, other, "rgb")


def test_a_picture_smaller_than_the_window_or_border_is_refused() -> None:
    small = Scored(np.zeros((10, 30, 3), np.uint8))
    with pytest.raises(PellucidError, match="SSIM needs at least 11 x 11"):
        ssim(small, small, "rgb")
    with pytest.raises(PellucidError, match="leaves nothing"):
        psnr(small, small, "y", 5)

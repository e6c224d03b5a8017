"""The yardstick itself against torch, SciPy and the formulas' own properties."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import special
from torch.nn import functional

from kernels.ops import Blur, Filter, Noise

TORCH_MODES = {
    Filter.NEAREST: "nearest-exact",
    Filter.AREA: "area",
    Filter.BILINEAR: "bilinear",
    Filter.BICUBIC: "bicubic",
}


@pytest.fixture
def picture():
    return np.random.default_rng(0).random((3, 31, 44))


@pytest.mark.parametrize("kind", Blur)
@pytest.mark.parametrize("size", [3, 9, 21])
def test_blur_is_torchs_convolution_with_a_reflected_border(reference, picture, kind, size):
    kernel = reference.blur_kernel(kind, size, 2.0, 1.1, 0.4, 0.8, 1.7)
    assert abs(kernel.sum() - 1) < 1e-12
    padded = functional.pad(torch.from_numpy(picture)[None], (size // 2,) * 4, mode="reflect")
    weights = torch.from_numpy(kernel)[None, None].repeat(3, 1, 1, 1)
    expected = functional.conv2d(padded, weights, groups=3)[0].numpy()
    assert np.abs(reference.blur(picture, kernel) - expected).max() < 1e-12


def test_blur_of_an_impulse_is_the_kernel(reference):
    impulse = np.zeros((3, 41, 41))
    impulse[:, 20, 20] = 1
    kernel = reference.blur_kernel(Blur.GAUSSIAN, 21, 3.0, 1.0, 0.6, 0, 0)
    result = reference.blur(impulse, kernel)
    assert np.abs(result[0, 10:31, 10:31] - kernel[::-1, ::-1]).max() < 1e-15
    # The long axis points 0.6 rad clockwise from the right, y downwards: more weight down-right than up-right.
    assert kernel[14, 16] > kernel[6, 16]


def test_the_bessel_function_is_scipys(reference):
    x = np.linspace(0, 250, 999)
    assert np.abs(reference.bessel_j1(x) - special.j1(x)).max() < 1e-12


@pytest.mark.parametrize("kind", TORCH_MODES)
@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("new", [(12, 17), (31, 60), (80, 90), (3, 2)])
def test_resize_is_torchs(reference, picture, kind, antialias, new):
    if antialias and kind in (Filter.NEAREST, Filter.AREA):
        antialias = False
    options = {"antialias": True} if antialias else {}
    expected = functional.interpolate(torch.from_numpy(picture)[None], size=new, mode=TORCH_MODES[kind], **options)
    result = reference.resize(picture, *new, kind, antialias)
    assert np.abs(result - expected[0].numpy()).max() < 1e-9


@pytest.mark.parametrize("kind", [Filter.BILINEAR, Filter.BICUBIC])
def test_resize_by_a_scale_is_torchs(reference, picture, kind):
    expected = functional.interpolate(torch.from_numpy(picture)[None], scale_factor=0.37, mode=TORCH_MODES[kind])
    _, height, width = expected[0].shape
    result = reference.resize(picture, height, width, kind, False, 0.37, 0.37)
    assert np.abs(result - expected[0].numpy()).max() < 1e-9


def test_antialiased_lanczos_is_pillows(reference, picture):
    from PIL import Image

    image = Image.fromarray(picture[0].astype(np.float32), "F")
    expected = np.asarray(image.resize((17, 12), Image.Resampling.LANCZOS))
    assert np.abs(reference.resize(picture[:1], 12, 17, Filter.LANCZOS, True)[0] - expected).max() < 1e-5


def test_sharpening_is_the_formula_with_torchs_convolution(reference, picture):
    from engine.degrade.torch_pipeline import sharpen_dense

    large = np.random.default_rng(3).random((3, 64, 80))
    expected = sharpen_dense(torch.from_numpy(large.astype(np.float32))[None])[0].numpy()
    result = reference.sharpen(large, 50, 0.5, 10.0)
    assert np.abs(result - expected).mean() < 1e-6


def test_normal_fields_are_normal_and_differ_between_samples_and_stages(reference):
    fields = [reference.normal_field((3, 24, 24), 1, sample, stage).ravel() for sample in (0, 1) for stage in (1, 2)]
    assert abs(np.concatenate(fields).std() - 1) < 0.03
    correlation = np.corrcoef(fields) - np.eye(4)
    assert np.abs(correlation).max() < 4.5 / np.sqrt(3 * 24 * 24)


def test_counted_levels_are_the_next_power_of_two(reference):
    levels = np.arange(100) / 255
    picture = np.resize(levels, (3, 10, 10))
    assert reference.counted_levels(picture, Noise.COLOUR) == 128
    assert reference.counted_levels(np.zeros((3, 4, 4)), Noise.COLOUR) == 1

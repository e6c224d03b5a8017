"""No halo: what lies under transparent pixels never shows in an enlarged edge."""

from __future__ import annotations

import time

import numpy as np
import pytest
from PIL import Image

from engine.image.transparency import (
    alpha_from_network,
    alpha_to_network,
    bleed_colours,
    composite,
    uniform_alpha,
)


def disc(size: int, hidden: int) -> tuple[np.ndarray, np.ndarray]:
    """An orange disc with a soft edge; `hidden` is the value of every channel where alpha is 0."""
    down, across = np.mgrid[0:size, 0:size] - (size - 1) / 2
    alpha = np.clip((size / 3 - np.hypot(down, across)) / 2 + 0.5, 0, 1)
    alpha = np.rint(alpha * 255).astype(np.uint8)
    colour = np.full((size, size, 3), (230, 120, 30), np.uint8)
    colour[alpha == 0] = hidden
    return colour, alpha


def enlarge(samples: np.ndarray) -> np.ndarray:
    planes = [
        np.asarray(Image.fromarray(plane.astype(np.float32)).resize((len(plane) * 4,) * 2, Image.Resampling.BICUBIC))
        for plane in np.moveaxis(samples, -1, 0)
    ]
    return np.clip(np.rint(np.stack(planes, axis=-1)), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("hidden", [0, 255])
@pytest.mark.parametrize("background", [0.0, 1.0])
def test_an_enlarged_edge_has_no_halo(hidden: int, background: float) -> None:
    colour, alpha = disc(48, hidden)
    large_alpha = enlarge(alpha[..., None])
    ideal = composite(np.dstack([np.full_like(enlarge(colour), (230, 120, 30)), large_alpha]), background)
    bled = composite(np.dstack([enlarge(bleed_colours(colour, alpha)), large_alpha]), background)
    naive = composite(np.dstack([enlarge(colour), large_alpha]), background)
    assert np.abs(bled.astype(int) - ideal).max() <= 1
    if hidden != background * 255:
        assert np.abs(naive.astype(int) - ideal).max() > 10  # the test can fail


def test_visible_colours_stay_exactly() -> None:
    random = np.random.default_rng(0)
    for dtype in (np.uint8, np.uint16, np.float32):
        colour = (random.random((37, 53, 3)) * (1 if dtype is np.float32 else np.iinfo(dtype).max)).astype(dtype)
        alpha = np.where(random.random((37, 53)) < 0.5, 0, colour[..., 0]).astype(dtype)
        bled = bleed_colours(colour, alpha)
        assert bled.dtype == dtype
        np.testing.assert_array_equal(bled[alpha > 0], colour[alpha > 0])


def test_hidden_colours_come_from_their_surroundings() -> None:
    colour = np.zeros((64, 64, 1), np.uint8)
    alpha = np.zeros((64, 64), np.uint8)
    colour[:, :2], alpha[:, :2] = 40, 255
    colour[:, -2:], alpha[:, -2:] = 200, 255
    bled = bleed_colours(colour, alpha)[..., 0]
    assert bled.min() >= 40
    assert bled.max() <= 200
    assert abs(int(bled[32, 3]) - 40) < 8
    assert abs(int(bled[32, 60]) - 200) < 8


def test_nothing_to_bleed_changes_nothing() -> None:
    colour = np.random.default_rng(1).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    for value in (0, 255, 7):
        assert bleed_colours(colour, np.full((9, 7), value, np.uint8)) is colour
    for shape in ((1, 1), (1, 9), (7, 1), (2, 3)):
        alpha = np.zeros(shape, np.uint8)
        alpha[0, 0] = 255
        small = np.full((*shape, 3), 5, np.uint8)
        np.testing.assert_array_equal(bleed_colours(small, alpha), small)


def test_bleeding_is_fast() -> None:
    colour, alpha = disc(1000, 0)
    began = time.process_time()
    bleed_colours(colour, alpha)
    assert time.process_time() - began < 3


@pytest.mark.parametrize("bits", [8, 16])
def test_alpha_passes_the_network_as_grey(bits: int) -> None:
    dtype = np.uint8 if bits == 8 else np.uint16
    alpha = np.random.default_rng(2).integers(0, 1 << bits, (20, 30)).astype(dtype)
    planes = alpha_to_network(alpha)
    assert (planes.shape, planes.dtype) == ((3, 20, 30), np.float32)
    np.testing.assert_array_equal(alpha_from_network(planes, bits), alpha)


def test_uniform_alpha_is_known() -> None:
    assert uniform_alpha(np.full((5, 5), 255, np.uint8)) == 1.0
    assert uniform_alpha(np.full((5, 5), 13107, np.uint16)) == pytest.approx(0.2)
    assert uniform_alpha(np.eye(5, dtype=np.uint8)) is None


def test_compositing_equals_float64() -> None:
    samples = np.random.default_rng(4).integers(0, 256, (30, 30, 4), dtype=np.uint8)
    weight = samples[..., 3:] / 255.0
    for ground in (0.0, 1.0):
        wanted = samples[..., :3] * weight + 255 * ground * (1 - weight)
        assert np.abs(composite(samples, ground) - wanted).max() <= 0.501

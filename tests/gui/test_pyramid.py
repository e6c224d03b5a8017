"""Halvings equal the mean of what they stand for, also when rows come one band at a time."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gui.imaging.pyramid import create_levels, halve, level_sizes, map_levels, map_pixels, shrink_rows


def noise(height: int, width: int, channels: int) -> np.ndarray:
    return np.random.default_rng(7).integers(0, 256, (height, width, channels), np.uint8)


@pytest.mark.parametrize("size", [(8, 6), (7, 9), (1, 5), (2, 1), (1, 1)])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_halving_is_the_rounded_mean_of_four(size: tuple[int, int], channels: int) -> None:
    pixels = noise(*size, channels)
    height, width = (size[0] + 1) // 2, (size[1] + 1) // 2
    wanted = np.empty((height, width, channels))
    for y in range(height):
        for x in range(width):
            rows = [min(2 * y + dy, size[0] - 1) for dy in (0, 1)]
            columns = [min(2 * x + dx, size[1] - 1) for dx in (0, 1)]
            wanted[y, x] = np.floor(np.mean([pixels[r, c] for r in rows for c in columns], axis=0) + 0.5)
    np.testing.assert_array_equal(halve(pixels), wanted)


def test_an_even_halving_equals_pillows_reduction_within_rounding() -> None:
    pixels = noise(64, 48, 3)
    theirs = np.asarray(Image.fromarray(pixels).reduce(2)).astype(int)
    assert np.abs(halve(pixels).astype(int) - theirs).max() <= 1


def test_levels_end_when_they_fit() -> None:
    assert level_sizes(2001, 600) == [(2001, 600), (1001, 300), (501, 150)]
    assert level_sizes(512, 3) == [(512, 3)]


@pytest.mark.parametrize("bands", [(0, 1301), (0, 256, 512, 700, 1301), (0, 2, 1000, 1300, 1301)])
def test_bands_in_any_division_give_the_same_levels(tmp_path: Path, bands: tuple[int, ...]) -> None:
    pixels = noise(1301, 733, 3)
    (tmp_path / "p").write_bytes(pixels.tobytes())
    create_levels(tmp_path / "l", 733, 1301, 3)
    mapped = map_pixels(tmp_path / "p", 733, 1301, 3)
    levels = map_levels(tmp_path / "l", 733, 1301, 3, writable=True)
    for top, bottom in itertools.pairwise(bands):
        shrink_rows(mapped, levels, top, bottom)
    np.testing.assert_array_equal(levels[0], halve(pixels))
    np.testing.assert_array_equal(levels[1], halve(halve(pixels)))

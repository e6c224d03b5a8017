"""The steps between network and file, fed row by row, do what they say for the whole picture."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from engine.finish import join_alpha, mix_original, resize, to_grey
from engine.image.resample import Rows
from engine.tiling.source import InterleavedSource

RNG = np.random.default_rng(7)


class Collector:
    def __init__(self) -> None:
        self.pieces: list[Rows] = []

    def __call__(self, rows: Rows) -> None:
        self.pieces.append(rows)

    @property
    def picture(self) -> Rows:
        return np.concatenate(self.pieces)


def feed(sink: object, picture: Rows, piece: int = 7) -> None:
    for top in range(0, len(picture), piece):
        sink(picture[top : top + piece])


@pytest.mark.parametrize("strength", [0.0, 0.25, 0.9])
def test_strength_mixes_with_the_bicubic_original(strength: float) -> None:
    source = RNG.integers(0, 256, (23, 17, 3), np.uint8)
    network = RNG.random((92, 68, 3), np.float32)
    seen = Collector()
    feed(mix_original(seen, InterleavedSource(source), 4, strength), network)
    planes = [Image.fromarray((source[..., c] / np.float32(255)).astype(np.float32)) for c in range(3)]
    plain = np.stack([np.asarray(p.resize((68, 92), Image.Resampling.BICUBIC)) for p in planes], axis=2)
    inside = slice(12, -12)
    expected = strength * network + (1 - strength) * plain
    np.testing.assert_allclose(seen.picture[inside, inside], expected[inside, inside], atol=2e-6)


def test_full_strength_passes_rows_through_untouched() -> None:
    seen = Collector()
    assert mix_original(seen, InterleavedSource(np.zeros((2, 2, 3), np.uint8)), 4, 1.0) is seen


def test_alpha_rows_meet_their_colour_rows() -> None:
    colour, alpha = RNG.random((31, 5, 3), np.float32), RNG.random((31, 5), np.float32)
    seen = Collector()
    feed(join_alpha(seen, alpha), colour, piece=4)
    np.testing.assert_array_equal(seen.picture, np.dstack([colour, alpha]))


def test_grey_is_the_mean_of_three_channels() -> None:
    picture = RNG.random((9, 4, 3), np.float32)
    seen = Collector()
    feed(to_grey(seen), picture)
    np.testing.assert_allclose(seen.picture[..., 0], picture.mean(axis=2))


def test_resize_to_the_same_size_is_no_step_at_all() -> None:
    seen = Collector()
    assert resize(seen, 8, 8, 8, 8) is seen

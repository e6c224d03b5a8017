"""Streamed resizing equals Pillow's, whatever the pieces it is fed in."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from engine.image.resample import Filter, RowResampler, resample

PILLOW: dict[Filter, Image.Resampling] = {
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


@pytest.mark.parametrize("kind", ["bicubic", "lanczos"])
@pytest.mark.parametrize(("height", "width"), [(244, 188), (30, 20), (100, 47), (61, 47)])
def test_equals_pillow_away_from_the_border(kind: Filter, height: int, width: int) -> None:
    picture = np.random.default_rng(0).random((61, 47, 1), np.float32)
    expected = np.asarray(Image.fromarray(picture[..., 0]).resize((width, height), PILLOW[kind]))
    # Pillow renormalises at the border, we mirror: compare where no tap reaches outside.
    y, x = (max(4 * new // old, 7) if new != old else 0 for new, old in ((height, 61), (width, 47)))
    inside = (slice(y, height - y), slice(x, width - x))
    np.testing.assert_allclose(resample(picture, height, width, kind)[..., 0][inside], expected[inside], atol=1e-6)


@given(height=st.integers(1, 40), new_height=st.integers(1, 90), new_width=st.integers(1, 30), piece=st.integers(1, 45))
def test_any_pieces_give_the_same_rows(height: int, new_height: int, new_width: int, piece: int) -> None:
    picture = np.random.default_rng(height).random((height, 11, 3), np.float32)
    stream = RowResampler(height, 11, new_height, new_width)
    rows = np.concatenate([stream.push(picture[top : top + piece]) for top in range(0, height, piece)])
    np.testing.assert_array_equal(rows, RowResampler(height, 11, new_height, new_width).push(picture))
    assert rows.shape == (new_height, new_width, 3)


@given(height=st.integers(1, 20), new_height=st.integers(1, 60))
def test_a_flat_picture_stays_flat(height: int, new_height: int) -> None:
    flat = np.full((height, 5, 1), 0.3, np.float32)
    np.testing.assert_allclose(resample(flat, new_height, 9), 0.3, atol=1e-6)

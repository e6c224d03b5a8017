"""Bicubic and Lanczos, against float64 arithmetic, Pillow, and the score that everybody's bicubic has."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine.models.classical import CLASSICAL_MODELS, enlarge, find_classical, imresize, resize
from engine.models.files import check_model


def cubic(x: np.ndarray) -> np.ndarray:
    x = np.abs(x)
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x <= 1, near, np.where(x <= 2, far, 0))


def lanczos(x: np.ndarray) -> np.ndarray:
    return np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0)


def reference_matrix(length: int, new_length: int, scale: float, kernel: object) -> np.ndarray:
    """Dense float64 resampling, one output at a time, mirrored borders, antialiased when it shrinks."""
    matrix = np.zeros((new_length, length))
    stretch = max(1.0, 1 / scale)
    for i in range(new_length):
        centre = (i + 0.5) / scale - 0.5
        for j in range(int(np.floor(centre - 4 * stretch)), int(np.ceil(centre + 4 * stretch)) + 1):
            mirrored = j % (2 * length)
            mirrored = mirrored if mirrored < length else 2 * length - 1 - mirrored
            matrix[i, mirrored] += kernel(np.array((j - centre) / stretch))
    return matrix / matrix.sum(1, keepdims=True)


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (19, 37), (40, 131)])
@pytest.mark.parametrize("scale", [1.5, 2, 3, 4, 0.5])
@pytest.mark.parametrize("kind", ["bicubic", "lanczos"])
def test_resizing_equals_float64_arithmetic(kind: str, scale: float, size: tuple[int, int]) -> None:
    picture = np.random.default_rng(0).random((2, 3, *size), dtype=np.float32)
    result = enlarge(picture, scale, kind)
    new = [max(1, round(side * scale)) for side in size]
    kernel = cubic if kind == "bicubic" else lanczos
    down = reference_matrix(size[0], new[0], new[0] / size[0], kernel)
    across = reference_matrix(size[1], new[1], new[1] / size[1], kernel)
    expected = down @ picture.astype(np.float64) @ across.T
    assert result.shape == expected.shape and result.dtype == np.float32
    assert np.abs(result - expected).max() <= 2e-6


@pytest.mark.parametrize("kind", ["bicubic", "lanczos"])
def test_away_from_the_border_it_is_what_pillow_does(kind: str) -> None:
    picture = np.random.default_rng(1).random((40, 50), dtype=np.float32)
    filters = {"bicubic": Image.Resampling.BICUBIC, "lanczos": Image.Resampling.LANCZOS}
    theirs = np.asarray(Image.fromarray(picture).resize((200, 160), filters[kind]))
    ours = resize(picture, 160, 200, kind)
    assert np.abs(ours - theirs)[16:-16, 16:-16].max() <= 2e-6


@pytest.mark.parametrize("size", [(32, 48), (33, 47), (5, 3), (101, 64)])
@pytest.mark.parametrize("divisor", [2, 3, 4])
def test_imresize_keeps_the_ratio_for_sides_that_are_no_multiple(divisor: int, size: tuple[int, int]) -> None:
    picture = np.random.default_rng(2).random((3, *size), dtype=np.float32)
    result = imresize(picture, 1 / divisor)
    new = [-(-side // divisor) for side in size]
    down = reference_matrix(size[0], new[0], 1 / divisor, cubic)
    across = reference_matrix(size[1], new[1], 1 / divisor, cubic)
    assert result.shape == (3, *new)
    assert np.abs(result - down @ picture.astype(np.float64) @ across.T).max() <= 2e-6


def test_a_constant_picture_stays_constant() -> None:
    for kind in ("bicubic", "lanczos"):
        result = enlarge(np.full((1, 3, 9, 300), 0.7, np.float32), 4, kind)
        assert np.abs(result - 0.7).max() <= 1e-6


def test_the_same_size_is_the_same_picture() -> None:
    picture = np.random.default_rng(3).random((3, 5, 6), dtype=np.float32)
    assert np.array_equal(resize(picture, 5, 6, "lanczos"), picture)


def test_the_classical_models_are_valid_models() -> None:
    assert [model.card.name for model in CLASSICAL_MODELS] == ["bicubic", "lanczos"]
    for model in CLASSICAL_MODELS:
        check_model(model)
        assert find_classical(model.card.name) is model
    assert find_classical("nearest") is None


def luma(picture: np.ndarray) -> np.ndarray:
    """(h, w, 3) 0..255 -> BT.601 luma, 16..235."""
    return (picture.reshape(-1, 3) @ np.array([65.481, 128.553, 24.966]) / 255 + 16).reshape(picture.shape[:2])


@pytest.mark.parametrize(("dataset", "low", "high"), [("Set5", 28.42, 28.44), ("Set14", 26.0, 26.1)])
def test_bicubic_scores_what_bicubic_scores(dataset: str, low: float, high: float) -> None:
    folder = Path(__file__).parents[3] / "shared" / "data" / "bench" / dataset
    if not folder.is_dir():
        pytest.skip(f"{dataset} does not lie beside the checkout")
    scores = []
    for small in sorted((folder / "LRx4").glob("*.png")):
        lr = np.asarray(Image.open(small).convert("RGB"), np.float32)
        hr = np.asarray(
            Image.open(next((folder / "HR").glob(f"{small.stem.split('x')[0]}*"))).convert("RGB"), np.float64
        )
        hr = hr[: lr.shape[0] * 4, : lr.shape[1] * 4]
        up = enlarge(lr.transpose(2, 0, 1), 4, "bicubic").transpose(1, 2, 0).clip(0, 255).round()
        error = (luma(up.astype(np.float64)) - luma(hr))[4:-4, 4:-4]
        scores.append(20 * np.log10(255 / np.sqrt((error**2).mean())))
    assert low <= np.mean(scores) <= high

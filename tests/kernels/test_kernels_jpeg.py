from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image, features

from kernels.degrade import degrade
from kernels.ops import OP, Opcode

pytestmark = pytest.mark.skipif(
    not features.check("libjpeg_turbo"), reason="this Pillow codes with another library than libjpeg-turbo"
)


def through_pillow(pixels: Any, quality: int, subsampling: int) -> Any:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "jpeg", quality=quality, subsampling=subsampling)
    return np.asarray(Image.open(stream))


def photograph(height: int, width: int, seed: int) -> Any:
    """Smooth colour with edges and some noise, (height, width, 3) uint8."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    planes = [128 + 100 * np.sin(x / (5 + 3 * c) + c) * np.cos(y / (7 - c)) for c in range(3)]
    picture = np.stack(planes, -1) + rng.normal(0, 8, (height, width, 3))
    picture[height // 3 :, : width // 3] = rng.integers(0, 256, 3)
    return np.clip(picture, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize(("height", "width"), [(33, 50), (16, 48), (97, 71)])
def test_every_quality_equals_pillow_to_the_last_byte(height: int, width: int, subsampling: int, op: Any) -> None:
    pixels = photograph(height, width, height)
    planes = np.ascontiguousarray(pixels.transpose(2, 0, 1) / np.float32(255))
    plan = np.array([[op(Opcode.JPEG, (q, subsampling))] for q in range(1, 101)], OP)
    ours = degrade([planes] * 100, plan, 0, range(100))
    for quality, result in enumerate(ours, start=1):
        theirs = through_pillow(pixels, quality, subsampling).transpose(2, 0, 1) / np.float32(255)
        np.testing.assert_array_equal(result, theirs, err_msg=f"quality {quality}")


@pytest.mark.parametrize("variant", ["scalar", "avx2", "avx512", "emulated"])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
def test_noise_of_any_small_size_equals_pillow(subsampling: int, variant: str, op: Any, run: Any, has: Any) -> None:
    has(variant)
    rng = np.random.default_rng(subsampling)
    sizes = [(1, 1), (1, 2), (2, 1), (3, 3), (5, 4), (4, 5), (8, 8), (1, 40), (15, 2), (17, 33), (7, 9)]
    sizes += [tuple(rng.integers(1, 60, 2)) for _ in range(12)]
    for height, width in sizes:
        pixels = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        quality = int(rng.integers(1, 101))
        planes = np.ascontiguousarray(pixels.transpose(2, 0, 1) / np.float32(255))
        ours = run(planes, op(Opcode.JPEG, (quality, subsampling)), variant=variant)
        theirs = through_pillow(pixels, quality, subsampling).transpose(2, 0, 1) / np.float32(255)
        np.testing.assert_array_equal(ours, theirs, err_msg=f"{height} x {width}, quality {quality}")


def test_each_picture_of_a_batch_has_its_own_quality(op: Any) -> None:
    pixels = photograph(40, 40, 1)
    planes = np.ascontiguousarray(pixels.transpose(2, 0, 1) / np.float32(255))
    qualities = list(range(10, 90, 5))
    batch = degrade(
        np.repeat(planes[None], len(qualities), 0),
        np.array([[op(Opcode.JPEG, (q, 2))] for q in qualities], OP),
        0,
        range(len(qualities)),
    )
    assert len({b.tobytes() for b in batch}) == len(qualities)
    error = [float(np.abs(b - planes).mean()) for b in batch]
    assert error[0] > error[-1] * 1.5


def test_pixels_are_clamped_and_rounded_before_coding(op: Any, run: Any) -> None:
    pixels = photograph(24, 31, 5)
    planes = (pixels.transpose(2, 0, 1) / np.float32(255)).astype(np.float32)
    shaken = np.ascontiguousarray(planes + np.float32(0.4 / 255))
    shaken[planes == 1] = 1.3
    coded = [run(np.ascontiguousarray(p), op(Opcode.JPEG, (60, 2))) for p in (planes, shaken)]
    np.testing.assert_array_equal(*coded)

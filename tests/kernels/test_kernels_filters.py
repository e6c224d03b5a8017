from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as functional
from PIL import Image

from kernels.degrade import blur_taps
from kernels.ops import Filter, Opcode

torch.set_num_threads(1)

BLURS = {
    "round": ((0, 21), (2.0, 2.0)),
    "upright": ((0, 21), (3.0, 0.7)),
    "tilted": ((0, 21), (3.0, 0.7, 0.5)),
    "wide and tilted": ((0, 63), (9.0, 4.0, -2.0)),
    "generalised": ((1, 13), (3.0, 1.0, 0.5, 0.7)),
    "plateau": ((2, 9), (2.0, 1.0, 1.0, 1.5)),
    "sinc": ((3, 21), (0, 0, 0, 0, 1.5)),
    "small sinc": ((3, 7), (0, 0, 0, 0, 2.5)),
    "small": ((0, 3), (0.3, 0.4, 1.0)),
    "almost nothing": ((0, 21), (0.2, 0.2)),
}


def reflected(planes: torch.Tensor, reach_y: int, reach_x: int) -> torch.Tensor:
    """Mirrors (n, c, h, w) without repeating the edge, as often as needed: numpy's "reflect"."""
    padded = np.pad(planes.numpy(), ((0, 0), (0, 0), (reach_y, reach_y), (reach_x, reach_x)), "reflect")
    return torch.from_numpy(padded)


def convolved(picture: Any, taps: Any) -> Any:
    """In float64: torch's own float32 sums are farther from the truth than ours (2.5e-6 at 63 x 63 taps)."""
    planes = torch.from_numpy(np.asarray(picture, np.float64))[:, None]
    reach = taps.shape[0] // 2
    kernel = torch.from_numpy(taps.astype(np.float64))[None, None]
    return functional.conv2d(reflected(planes, reach, reach), kernel)[:, 0].numpy()


def elliptic_taps(name: str) -> Any:
    """Taps in float64 numpy, from the formulas in kernels/ops.py."""
    from scipy.special import j1

    (kind, size), f = BLURS[name]
    sigma_x, sigma_y, angle, beta, cutoff = (*f, 0, 0, 0)[:5]
    y, x = np.mgrid[-(size // 2) : size // 2 + 1, -(size // 2) : size // 2 + 1].astype(np.float64)
    if kind == 3:
        r = np.hypot(x, y)
        r[size // 2, size // 2] = 1
        taps = cutoff * j1(cutoff * r) / (2 * np.pi * r)
        taps[size // 2, size // 2] = cutoff**2 / (4 * np.pi)
    else:
        sigma_x, sigma_y, angle, beta = (np.float64(np.float32(v)) for v in (sigma_x, sigma_y, angle, beta))
        c, s = np.cos(angle), np.sin(angle)
        q = ((c * x + s * y) / sigma_x) ** 2 + ((c * y - s * x) / sigma_y) ** 2
        taps = [np.exp(-q / 2), np.exp(-(q**beta) / 2), 1 / (1 + q**beta)][kind]
    return taps / taps.sum()


@pytest.mark.parametrize("name", BLURS)
def test_taps_equal_the_formula_in_float64(name: str, op: Any) -> None:
    taps = blur_taps(op(Opcode.BLUR, *BLURS[name]))
    np.testing.assert_allclose(taps, elliptic_taps(name), atol=4e-8, rtol=2e-7)


@pytest.mark.parametrize("name", BLURS)
def test_blur_equals_torch(name: str, op: Any, run: Any, picture: Any) -> None:
    record = op(Opcode.BLUR, *BLURS[name])
    np.testing.assert_allclose(run(picture, record), convolved(picture, blur_taps(record)), atol=2e-6, rtol=0)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 9), (2, 2), (5, 3), (12, 70)])
def test_blur_mirrors_pictures_smaller_than_its_reach(height: int, width: int, op: Any, run: Any) -> None:
    picture = np.random.default_rng(1).random((3, height, width), dtype=np.float32)
    record = op(Opcode.BLUR, (0, 21), (3.0, 1.7, 0.4))
    np.testing.assert_allclose(run(picture, record), convolved(picture, blur_taps(record)), atol=2e-6, rtol=0)


def test_an_impulse_shows_the_taps(op: Any, run: Any) -> None:
    picture = np.zeros((3, 31, 31), np.float32)
    picture[:, 15, 15] = 1
    record = op(Opcode.BLUR, (0, 21), (4.0, 1.0, 0.3))
    np.testing.assert_array_equal(run(picture, record)[0][5:26, 5:26], blur_taps(record)[::-1, ::-1])


@pytest.mark.parametrize("tolerance", [1e-4, 1e-3, 1e-2, 0.1])
def test_low_rank_stays_within_its_tolerance(tolerance: float, op: Any, run: Any, picture: Any) -> None:
    for name in ("tilted", "wide and tilted", "sinc"):
        i, f = BLURS[name]
        exact = run(picture, op(Opcode.BLUR, i, f))
        low = run(picture, op(Opcode.BLUR, i, (*f, *[0] * (5 - len(f)), tolerance)))
        assert np.abs(low - exact).max() <= tolerance + 2e-6
    assert not np.array_equal(low, exact) or tolerance < 1e-2


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("kind", [Filter.NEAREST, Filter.AREA, Filter.BILINEAR, Filter.BICUBIC])
def test_resize_equals_torch(kind: Filter, antialias: bool, op: Any, run: Any, picture: Any) -> None:
    mode = {0: "nearest-exact", 1: "area", 2: "bilinear", 3: "bicubic"}[kind]
    extra = {} if kind <= Filter.AREA else {"align_corners": False, "antialias": antialias}
    for size in [(20, 30), (45, 61), (90, 100), (13, 61), (3, 4), (1, 1), (44, 62), (136, 7)]:
        ours = run(picture, op(Opcode.RESIZE, (*size, kind, antialias)))
        theirs = functional.interpolate(torch.from_numpy(picture)[None], size=size, mode=mode, **extra)[0].numpy()
        np.testing.assert_allclose(ours, theirs, atol=1e-5, rtol=0, err_msg=str(size))


@pytest.mark.parametrize("factor", [0.15, 0.31, 0.5, 0.77, 1.25, 1.5])
@pytest.mark.parametrize("kind", [Filter.BILINEAR, Filter.BICUBIC])
def test_resize_by_a_factor_equals_torch(kind: Filter, factor: float, op: Any, run: Any, picture: Any) -> None:
    factor = float(np.float32(factor))
    mode = {2: "bilinear", 3: "bicubic"}[kind]
    theirs = functional.interpolate(torch.from_numpy(picture)[None], scale_factor=factor, mode=mode)[0].numpy()
    ours = run(picture, op(Opcode.RESIZE, (*theirs.shape[1:], kind, 0), (factor, factor)))
    np.testing.assert_allclose(ours, theirs, atol=1e-5, rtol=0)


def test_antialiased_lanczos_equals_pillow(op: Any, run: Any, picture: Any) -> None:
    for height, width in [(20, 30), (90, 100), (13, 61), (3, 4)]:
        ours = run(picture, op(Opcode.RESIZE, (height, width, Filter.LANCZOS, 1)))
        theirs = [np.asarray(Image.fromarray(p).resize((width, height), Image.Resampling.LANCZOS)) for p in picture]
        np.testing.assert_allclose(ours, theirs, atol=1e-5, rtol=0)


def test_plain_lanczos_equals_its_formula(op: Any, run: Any, picture: Any) -> None:
    def matrix(source: int, target: int) -> Any:
        place = (np.arange(target) + 0.5) * (source / target) - 0.5
        base = np.floor(place).astype(int)
        rows = np.zeros((target, source))
        for k in range(-2, 4):
            weight = np.sinc(place - base - k) * np.sinc((place - base - k) / 3)
            np.add.at(rows, (np.arange(target), np.clip(base + k, 0, source - 1)), weight)
        return rows / rows.sum(1, keepdims=True)

    for height, width in [(20, 30), (90, 100), (45, 61)]:
        ours = run(picture, op(Opcode.RESIZE, (height, width, Filter.LANCZOS, 0)))
        theirs = matrix(45, height) @ picture.astype(np.float64) @ matrix(61, width).T
        np.testing.assert_allclose(ours, theirs, atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", list(Filter))
def test_resize_keeps_a_constant_and_the_same_size(kind: Filter, op: Any, run: Any, picture: Any) -> None:
    flat = np.full((3, 37, 41), 0.625, np.float32)
    for antialias in (0, 1):
        for size in [(3, 2), (64, 64), (37, 5)]:
            got = run(flat, op(Opcode.RESIZE, (*size, kind, antialias)))
            np.testing.assert_allclose(got, 0.625, atol=3e-7, rtol=0)
        same = run(picture, op(Opcode.RESIZE, (45, 61, kind, antialias)))
        np.testing.assert_allclose(same, picture, atol=2e-7, rtol=0)


@pytest.mark.parametrize("radius", [5, 14, 50])
def test_sharpening_equals_the_dense_form_in_torch(radius: int, op: Any, run: Any, picture: Any) -> None:
    count = radius | 1
    sigma = 0.3 * ((count - 1) * 0.5 - 1) + 0.8
    line = np.exp(-0.5 * ((np.arange(count) - count // 2) / sigma) ** 2)
    taps = torch.from_numpy(np.outer(line, line) / line.sum() ** 2)[None, None]
    planes = torch.from_numpy(picture).double()[:, None]
    reach = count // 2
    residual = planes - functional.conv2d(reflected(planes, reach, reach), taps)
    mask = (residual.abs() * 255 > 10).double()
    soft = functional.conv2d(reflected(mask, reach, reach), taps)
    dense = (soft * (planes + 0.5 * residual).clamp(0, 1) + (1 - soft) * planes)[:, 0].numpy()
    near_threshold = ((residual.abs() * 255 - 10).abs() < 1e-3).any()
    difference = np.abs(run(picture, op(Opcode.USM, (radius,), (0.5, 10.0))) - dense)
    assert difference.max() < (1e-3 if near_threshold else 2e-6)


def test_sharpening_leaves_a_flat_picture_alone(op: Any, run: Any) -> None:
    flat = np.full((3, 20, 70), 0.25, np.float32)
    np.testing.assert_array_equal(run(flat, op(Opcode.USM, (50,), (0.5, 10.0))), flat)


def test_moves_are_numpys(op: Any, run: Any, picture: Any) -> None:
    for horizontal in (0, 1):
        for vertical in (0, 1):
            for transpose in (0, 1):
                expected = picture[:, :: -1 if vertical else 1, :: -1 if horizontal else 1]
                expected = expected.transpose(0, 2, 1) if transpose else expected
                got = run(picture, op(Opcode.FLIP, (horizontal, vertical, transpose)))
                np.testing.assert_array_equal(got, expected)
    np.testing.assert_array_equal(run(picture, op(Opcode.CROP, (3, 4, 10, 20))), picture[:, 3:13, 4:24])
    dropped = picture.copy()
    dropped[:, 3:13, 4:24] = 0.25
    np.testing.assert_array_equal(run(picture, op(Opcode.DROPOUT, (3, 4, 10, 20), (0.25,))), dropped)


def test_clamp_and_round_ends_on_the_8_bit_grid_exactly(op: Any, run: Any) -> None:
    grid = np.tile(np.arange(256, dtype=np.float32) / np.float32(255), (3, 2, 1))
    np.testing.assert_array_equal(run(grid, op(Opcode.CLAMP_ROUND)), grid)
    values = np.random.default_rng(2).uniform(-0.5, 1.5, (3, 64, 64)).astype(np.float32)
    expected = np.clip(np.rint(np.clip(values, 0, 1) * np.float32(255)), 0, 255).astype(np.float32) / np.float32(255)
    np.testing.assert_array_equal(run(values, op(Opcode.CLAMP_ROUND)), expected)


def test_an_empty_plan_copies(run: Any, picture: Any, op: Any) -> None:
    np.testing.assert_array_equal(run(picture), picture)
    np.testing.assert_array_equal(run(picture, op(Opcode.END), op(Opcode.JPEG, (1, 2))), picture)

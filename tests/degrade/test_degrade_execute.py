from __future__ import annotations

import tomllib
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from engine.degrade import recipe as rc
from engine.degrade.draw import draw_plan
from engine.degrade.execute import degrade_batch, joined
from engine.degrade.plan import Plan
from engine.errors import Code, PellucidError
from kernels.library import runnable_variants
from kernels.ops import Opcode

GOLDEN = tomllib.loads(Path(__file__).with_name("golden.toml").read_text("utf-8"))


def pictures(count, height, width):
    """Stripes, edges and integer noise; the same bytes on every machine."""
    n, y, x = np.mgrid[0 : 3 * count, 0:height, 0:width]
    words = (x * 2654435761 + y * 40503 + n * 97003 + x * y * 7) % 65521
    levels = (x * 3 + y * 2 + n * 31) % 256 // 2 + (x // 9 + y // 7) % 2 * 80 + words % 41
    return (levels.reshape(count, 3, height, width) / 255).astype(np.float32)


def as_bytes(planes):
    return np.rint(np.asarray(planes) * 255).astype(np.uint8)


def small(stages, rest=""):
    return rc.parse_recipe(f'name = "small"\n{rest}\n{stages}')


@pytest.mark.parametrize("name", rc.bundled_recipes())
@pytest.mark.parametrize("size", [(64, 64), (65, 47), (31, 90), (4, 5)])
def test_shapes_and_values_are_what_was_promised(name, size):
    images = pictures(6, *size)
    before = images.copy()
    for row in range(6):
        plan = draw_plan(rc.load_recipe(name), 3, [row], *size)
        low, target = degrade_batch(images[row : row + 1], plan)
        assert low.shape == (1, 3, *plan.input_sizes[0])
        assert target.shape == (1, 3, *plan.target_sizes[0])
        assert low.dtype == target.dtype == np.float32
        assert np.isfinite(low).all()
        assert np.array_equal(as_bytes(low) / np.float32(255), low), "the input lies on the 8-bit grid"
        assert 0 <= target.min() <= target.max() <= 1
    assert np.array_equal(images, before)


@pytest.mark.parametrize("name", rc.bundled_recipes())
def test_bytes_do_not_depend_on_batch_order_threads_or_instruction_set(name):
    recipe, images = rc.load_recipe(name), pictures(7, 64, 64)
    plan = draw_plan(recipe, 5, np.arange(7), 64, 64)
    low, target = degrade_batch(images, plan)
    for variant in runnable_variants():
        again = degrade_batch(images, plan, threads=2, variant=variant.name.lower())
        assert np.array_equal(again[0], low)
        assert np.array_equal(again[1], target)
    order = np.array([6, 2, 0, 5, 1, 4, 3])
    turned = degrade_batch(np.ascontiguousarray(images[order]), plan.take(order), threads=1)
    assert np.array_equal(turned[0], low[order])
    for row in (0, 4):
        alone = degrade_batch(images[row : row + 1], draw_plan(recipe, 5, [row], 64, 64), threads=1)
        assert np.array_equal(alone[0][0], low[row])
        assert np.array_equal(alone[1][0], target[row])


@pytest.mark.parametrize("name", rc.bundled_recipes())
def test_a_recipe_makes_the_same_bytes_as_ever(name):
    """Golden checksums: a change here changes what every model is trained on, and must be meant."""
    images = pictures(8, 96, 96)
    plan = draw_plan(rc.load_recipe(name), 20261121, np.arange(8), 96, 96)
    low, target = degrade_batch(images, plan)
    sums = [f"{zlib.crc32(as_bytes(row).tobytes()):08x}" for row in low]
    assert {"input": sums, "target": f"{zlib.crc32(as_bytes(target).tobytes()):08x}"} == GOLDEN[name]


@pytest.mark.parametrize("name", ["real-esrgan", "bsrgan", "blind-face-first-order", "esrgan-augment"])
def test_a_whole_plan_follows_the_float64_reference(name, reference):
    """Without Poisson noise, whose draws the reference makes otherwise. Rounding may tip an 8-bit level, and a level
    may tip a coefficient, so the mean is what must be small."""
    images = pictures(12, 48, 48)
    plan = draw_plan(rc.load_recipe(name), 1, np.arange(12), 48, 48)
    plain = (plan.damage["opcode"] == Opcode.POISSON_NOISE).sum(1) == 0
    assert plain.sum() >= 2
    rows = np.flatnonzero(plain)[:4]
    for row in rows:
        low, target = degrade_batch(images[row : row + 1], plan.take([row]))
        expected = reference.run(images[row], plan.shared[row])
        if plan.sharpen_target:
            expected = reference.run(expected, plan.sharpen[row])
        assert np.abs(target[0] - expected).mean() < 1e-5
        damaged = reference.run(expected, plan.damage[row], plan.seed, int(plan.samples[row]))
        assert np.abs(low[0] - damaged).mean() < 0.3 / 255


def test_the_target_is_plain_sharpened_or_as_the_recipe_says():
    images = pictures(4, 64, 64)
    recipe = rc.load_recipe("real-esrgan")
    plan = draw_plan(recipe, 2, np.arange(4), 64, 64)
    low, told = degrade_batch(images, plan)
    low_plain, plain = degrade_batch(images, plan, target="plain")
    low_sharp, sharp = degrade_batch(images, plan, target="sharpened")
    assert np.array_equal(told, sharp)
    assert not np.array_equal(plain, sharp)
    assert np.array_equal(low, low_plain)
    assert np.array_equal(low, low_sharp)
    flipped = (plan.shared["opcode"] == Opcode.FLIP).any(1)
    assert 0 < flipped.sum() < 4
    for row in range(4):
        expected = images[row, :, :, ::-1] if flipped[row] else images[row]
        assert np.array_equal(plain[row], expected)


def test_a_plan_read_from_json_makes_the_same_bytes():
    images = pictures(3, 61, 50)
    recipe = rc.load_recipe("real-esrgan-compatible")
    for row in range(3):
        plan = draw_plan(recipe, 2, [row], 61, 50)
        low, target = degrade_batch(images[row : row + 1], plan)
        again = degrade_batch(images[row : row + 1], Plan.from_json(plan.to_json(0)))
        assert np.array_equal(again[0], low)
        assert np.array_equal(again[1], target)


def test_webp_runs_on_the_host_between_native_stretches():
    text = '[[stages]]\nkind = "noise"\nchoices = [{ type = "gaussian", sigma = 20 }]\n'
    text += '[[stages]]\nkind = "webp"\nquality = [10, 30]\nprobability = 0.5\n'
    recipe = small(text + '[[stages]]\nkind = "jpeg"\nquality = 95\nsubsampling = "4:4:4"\n')
    images = pictures(12, 48, 64)
    plan = draw_plan(recipe, 1, np.arange(12), 48, 64)
    coded = (plan.damage["opcode"] == Opcode.HOST_CODEC).any(1)
    assert 0 < coded.sum() < 12
    low, _ = degrade_batch(images, plan)
    without = draw_plan(small(text.split('[[stages]]\nkind = "webp"')[0] + recipe_jpeg()), 1, np.arange(12), 48, 64)
    bare, _ = degrade_batch(images, without)
    assert low.shape == (12, 3, 12, 16)
    for row in range(12):
        assert np.array_equal(low[row], degrade_batch(images[row : row + 1], plan.take([row]))[0][0])
        if coded[row]:
            assert np.abs(low[row] - bare[row]).mean() > 1e-3


def recipe_jpeg():
    return '[[stages]]\nkind = "jpeg"\nquality = 95\nsubsampling = "4:4:4"\n'


def test_tensors_go_in_and_tensors_come_out():
    images = pictures(4, 64, 64)
    text = '[[stages]]\nkind = "webp"\nquality = 50\n'
    for recipe in (rc.load_recipe("bsrgan"), small(text)):
        plan = draw_plan(recipe, 2, np.arange(4), 64, 64)
        low, target = degrade_batch(torch.from_numpy(images), plan)
        expected = degrade_batch(images, plan)
        assert isinstance(low, torch.Tensor)
        assert np.array_equal(low.numpy(), expected[0])
        assert np.array_equal(target.numpy(), expected[1])


def test_pictures_that_do_not_fit_their_plan_are_refused():
    plan = draw_plan(rc.load_recipe("bicubic"), 0, [0], 64, 64)
    with pytest.raises(PellucidError, match="shape"):
        degrade_batch(pictures(1, 64, 60), plan)
    with pytest.raises(PellucidError, match="square"):
        images = pictures(40, 16, 24)
        degrade_batch(images, draw_plan(rc.load_recipe("esrgan-augment"), 0, np.arange(40), 16, 24))


def test_broken_pixels_are_refused_with_the_sample():
    images = pictures(3, 32, 32)
    images[1, 0, 5, 5] = np.nan
    plan = draw_plan(rc.load_recipe("bicubic"), 0, [0, 1, 2], 32, 32)
    with pytest.raises(PellucidError) as caught:
        degrade_batch(images, plan)
    assert caught.value.code is Code.IMAGE_UNSUPPORTED
    assert "sample 1" in caught.value.message


def test_an_empty_batch_comes_back_empty():
    plan = draw_plan(rc.load_recipe("real-esrgan"), 0, [], 64, 64)
    low, target = degrade_batch(pictures(0, 64, 64), plan)
    assert len(low) == len(target) == 0


def test_joined_rows_are_the_rows_one_after_the_other():
    plan = draw_plan(rc.load_recipe("bsrgan"), 0, np.arange(9), 67, 64)
    both = joined(plan.shared, plan.damage)
    for row in range(9):
        kept = [record.tobytes() for part in (plan.shared, plan.damage) for record in part[row] if record["opcode"]]
        assert [record.tobytes() for record in both[row] if record["opcode"]] == kept
        assert both["opcode"][row, len(kept)] == Opcode.END


@given(
    height=st.integers(4, 97),
    width=st.integers(4, 97),
    sample=st.integers(0, 2**62),
    name=st.sampled_from(rc.bundled_recipes()),
)
def test_any_size_and_sample_gives_a_finite_picture_of_the_right_size(height, width, sample, name):
    plan = draw_plan(rc.load_recipe(name), 1, [sample], height, width)
    low, target = degrade_batch(pictures(1, height, width), plan, threads=1)
    assert low.shape[2:] == tuple(plan.input_sizes[0])
    assert target.shape[2:] == tuple(plan.target_sizes[0])
    assert np.isfinite(low).all()
    assert 0 <= low.min() <= low.max() <= 1

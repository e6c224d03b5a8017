from __future__ import annotations

import os
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels.degrade import degrade, degrade_and_tell, plan_size
from kernels.errors import KernelInputError
from kernels.library import Variant, runnable_variants
from kernels.ops import OP, Blur, Filter, Noise, Opcode, Subsampling

VARIANTS = ("scalar", "avx2", "avx512", "emulated")


def random_record(rng: Any, height: int, width: int, stage: int) -> Any:
    """One valid record for a picture of this size."""
    made = np.zeros((), OP)
    code = Opcode(rng.choice([k for k in Opcode if k not in (Opcode.END, Opcode.HOST_CODEC)]))
    made["opcode"], made["stage"] = code, stage
    i: tuple[Any, ...] = ()
    f: tuple[Any, ...] = ()
    match code:
        case Opcode.BLUR:
            i = (rng.choice(list(Blur)), 2 * rng.integers(1, 14) + 1)
            round_one = rng.random() < 0.4
            sigma = rng.uniform(0.2, 5)
            f = (sigma, sigma if round_one else rng.uniform(0.2, 5), rng.uniform(-4, 4), rng.uniform(0.5, 4))
            f = (*f, rng.uniform(0.6, 3.1), rng.choice([0, 0, 1e-3, 1e-1]))
        case Opcode.RESIZE:
            size = rng.integers(1, 98, 2)
            i = (*size, rng.choice(list(Filter)), rng.integers(0, 2))
            f = rng.choice([0, 0.3, 1.2], 2)
        case Opcode.GAUSSIAN_NOISE:
            i = (rng.choice(list(Noise)),)
            f = (rng.uniform(0, 0.3), *rng.uniform(-1, 1, 6))
        case Opcode.POISSON_NOISE:
            i = (rng.integers(0, 2), rng.choice([0, *(1 << k for k in range(9))]))
            f = (rng.uniform(0, 3),)
        case Opcode.JPEG:
            i = (rng.integers(1, 101), rng.choice(list(Subsampling)))
        case Opcode.USM:
            i = (rng.integers(2, 60),)
            f = (rng.uniform(0, 2), rng.uniform(0, 20))
        case Opcode.DROPOUT | Opcode.CROP:
            y, x = rng.integers(0, height), rng.integers(0, width)
            i = (y, x, rng.integers(1, height - y + 1), rng.integers(1, width - x + 1))
            f = (rng.random() if code == Opcode.DROPOUT else 0,)
        case Opcode.FLIP:
            i = rng.integers(0, 2, 3)
    made["i"][: len(i)] = i
    made["f"][: len(f)] = f
    return made


def random_plan(rng: Any, height: int, width: int, length: int) -> Any:
    """A row of `length` valid records, the last of them CLAMP_ROUND."""
    row = np.zeros(length, OP)
    for k in range(length - 1):
        row[k] = random_record(rng, height, width, k)
        height, width = plan_size(row[k : k + 1], height, width)
    row[length - 1]["opcode"] = Opcode.CLAMP_ROUND
    return row


def random_batch(seed: int, count: int, length: int = 7) -> tuple[list[Any], Any]:
    rng = np.random.default_rng(seed)
    pictures = [rng.random((3, *rng.integers(1, 98, 2)), dtype=np.float32) for _ in range(count)]
    return pictures, np.stack([random_plan(rng, *p.shape[1:], length) for p in pictures])


def checksums(pictures: Any) -> list[int]:
    return [zlib.crc32(np.ascontiguousarray(p).tobytes()) for p in pictures]


@pytest.fixture(scope="module")
def batch() -> tuple[list[Any], Any, list[int]]:
    pictures, plan = random_batch(1, 24)
    return pictures, plan, checksums(degrade(pictures, plan, 5, range(24), threads=1, variant="scalar"))


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_instruction_set_and_the_device_code_make_the_same_bytes(variant: str, batch: Any, has: Any) -> None:
    has(variant)
    pictures, plan, expected = batch
    results, ran = degrade_and_tell(pictures, plan, 5, range(24), threads=1, variant=variant)
    assert ran.name.lower().startswith(variant)
    assert checksums(results) == expected


@pytest.mark.parametrize("threads", [1, 2, 5, 40])
def test_the_number_of_threads_does_not_show(threads: int, batch: Any) -> None:
    pictures, plan, expected = batch
    assert checksums(degrade(pictures, plan, 5, range(24), threads=threads)) == expected


def test_batch_split_and_order_do_not_show(batch: Any) -> None:
    pictures, plan, expected = batch
    order = np.random.default_rng(0).permutation(24)
    got = {}
    for part in np.split(order, [1, 6, 17]):
        results = degrade([pictures[s] for s in part], plan[part], 5, part, threads=2)
        got.update(zip(part.tolist(), checksums(results), strict=True))
    assert [got[s] for s in range(24)] == expected


def test_seeds_may_differ_within_a_batch(op: Any) -> None:
    flat = np.full((3, 3, 20, 20), 0.5, np.float32)
    plan = np.array([[op(Opcode.GAUSSIAN_NOISE, (0,), (0.1,))]] * 3, OP)
    together = degrade(flat, plan, [1, 2, 1 << 63], [0, 0, 0])
    alone = [degrade(flat[:1], plan[:1], s, [0])[0] for s in (1, 2, 1 << 63)]
    assert checksums(together) == checksums(alone)
    assert len(set(checksums(alone))) == 3


def test_the_best_variant_runs_unless_another_is_forced(op: Any, picture: Any) -> None:
    plan = np.array([[op(Opcode.CLAMP_ROUND)]], OP)
    assert degrade_and_tell([picture], plan, 0, [0])[1] == runnable_variants()[-1]
    for variant in runnable_variants():
        assert degrade_and_tell([picture], plan, 0, [0], variant=variant.name.lower())[1] == variant
    assert Variant.SCALAR in runnable_variants()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_makes_threads_of_its_own(batch: Any) -> None:
    pictures, plan, expected = batch
    degrade(pictures, plan, 5, range(24), threads=2)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            same = checksums(degrade(pictures, plan, 5, range(24), threads=2)) == expected
            os.write(writer, b"same" if same else b"other")
        finally:
            os._exit(0)
    os.close(writer)
    watchdog = threading.Timer(60, os.kill, (child, 9))
    watchdog.start()
    answer = os.read(reader, 16)
    os.waitpid(child, 0)
    watchdog.cancel()
    os.close(reader)
    assert answer == b"same"


def test_calls_from_several_threads_do_not_disturb_each_other(batch: Any) -> None:
    pictures, plan, expected = batch
    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(degrade, pictures, plan, 5, range(24), None, 2) for _ in range(8)]
        assert all(checksums(call.result()) == expected for call in calls)


@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 4), length=st.integers(1, 8))
def test_any_plan_on_any_size_ends_finite_on_the_8_bit_grid(seed: int, count: int, length: int) -> None:
    pictures, plan = random_batch(seed, count, length)
    before = checksums(pictures)
    results = degrade(pictures, plan, seed, range(count), threads=1)
    assert checksums(pictures) == before
    for s, result in enumerate(results):
        assert result.shape == (3, *plan_size(plan[s], *pictures[s].shape[1:]))
        levels = np.rint(result * 255)
        np.testing.assert_array_equal(result, levels.astype(np.float32) / np.float32(255))
        assert levels.min() >= 0
        assert levels.max() <= 255
    for variant in runnable_variants():
        assert checksums(degrade(pictures, plan, seed, range(count), threads=1, variant=variant.name.lower())) == (
            checksums(results)
        )


@given(seed=st.integers(0, 2**32 - 1))
def test_the_device_code_follows_any_plan(seed: int) -> None:
    pictures, plan = random_batch(seed, 2, 4)
    expected = checksums(degrade(pictures, plan, seed, range(2), threads=1))
    assert checksums(degrade(pictures, plan, seed, range(2), variant="emulated")) == expected


@given(raw=st.binary(min_size=64, max_size=64 * 3))
def test_records_of_random_bytes_are_refused_or_run(raw: bytes) -> None:
    plan = np.frombuffer(raw[: len(raw) // 64 * 64], OP).reshape(1, -1)
    picture = np.full((3, 9, 11), 0.5, np.float32)
    try:
        size = plan_size(plan[0], 9, 11)
    except KernelInputError:
        return
    if size[0] * size[1] < 1 << 16:
        assert np.isfinite(degrade([picture], plan, 0, [0], threads=1)[0]).all()


@given(
    code=st.integers(1, 11),
    i=st.lists(st.integers(-3, 130), min_size=4, max_size=4),
    f=st.lists(st.floats(width=32), min_size=8, max_size=8),
)
def test_parameters_out_of_range_are_refused_or_run(code: int, i: list[int], f: list[float]) -> None:
    plan = np.zeros((1, 1), OP)
    plan["opcode"], plan["i"], plan["f"] = code, i, f
    try:
        plan_size(plan[0], 9, 11)
    except KernelInputError:
        return
    assert np.isfinite(degrade([np.full((3, 9, 11), 0.5, np.float32)], plan, 0, [0], threads=1)[0]).all()

"""The CUDA kernels on a real GPU: the same bytes as the CPU's, from the same plans. Needs torch and numpy alone."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from kernels.degrade import degrade, degrade_and_tell, plan_size
from kernels.errors import KernelError, KernelInputError
from kernels.library import Variant, cuda_devices
from kernels.ops import OP, Blur, Filter, Noise, Opcode

pytestmark = pytest.mark.gpu


@pytest.fixture(autouse=True)
def gpu() -> None:
    if not torch.cuda.is_available():
        pytest.skip("torch sees no CUDA device here")
    try:
        cuda_devices()
    except KernelError as error:
        pytest.skip(str(error))


def record(opcode: Opcode, i: Any = (), f: Any = (), stage: int = 0) -> Any:
    made = np.zeros((), OP)
    made["opcode"], made["stage"] = opcode, stage
    made["i"][: len(i)] = i
    made["f"][: len(f)] = f
    return made


def single_operations() -> Iterator[Any]:
    for i, f in [
        ((Blur.GAUSSIAN, 21), (2.0, 2.0)),
        ((Blur.GAUSSIAN, 21), (3.0, 0.7, 0.5)),
        ((Blur.GAUSSIAN, 63), (9.0, 4.0, 1.0)),
        ((Blur.GAUSSIAN, 21), (3.0, 2.0, 0.5, 0, 0, 1e-2)),
        ((Blur.GENERALISED, 13), (3.0, 1.0, 0.5, 0.7)),
        ((Blur.PLATEAU, 9), (2.0, 1.0, 1.0, 1.5)),
        ((Blur.SINC, 21), (0, 0, 0, 0, 1.5)),
        ((Blur.GAUSSIAN, 3), (0.3, 0.4, 1.0)),
    ]:
        yield record(Opcode.BLUR, i, f)
    for kind in Filter:
        for antialias in (0, 1):
            for size in ((31, 47), (150, 160), (7, 200)):
                yield record(Opcode.RESIZE, (*size, kind, antialias))
    for noise in Noise:
        yield record(Opcode.GAUSSIAN_NOISE, (noise,), (0.1, 1, 0.5, 0.8, -0.3, 0.2, 0.5), 3)
    for noise in (Noise.COLOUR, Noise.GREY):
        for levels in (0, 1, 64, 256):
            yield record(Opcode.POISSON_NOISE, (noise, levels), (1.3,), 4)
    for quality in (1, 30, 75, 100):
        for subsampling in range(3):
            yield record(Opcode.JPEG, (quality, subsampling))
    for radius in (5, 50):
        yield record(Opcode.USM, (radius,), (0.5, 10.0))
    yield record(Opcode.DROPOUT, (3, 4, 20, 30), (0.25,))
    for turn in ((1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 1)):
        yield record(Opcode.FLIP, turn)
    yield record(Opcode.CLAMP_ROUND)
    yield record(Opcode.CROP, (3, 4, 50, 41))


def checksums(pictures: Any) -> list[int]:
    return [zlib.crc32(np.ascontiguousarray(p).tobytes()) for p in pictures]


def on_gpu(pictures: list[Any], plan: Any, seed: int, samples: Any) -> list[Any]:
    tensors = [torch.from_numpy(p).cuda() for p in pictures]
    results, ran = degrade_and_tell(tensors, plan, seed, samples)
    assert ran == Variant.CUDA
    return [r.cpu().numpy() for r in results]


@pytest.mark.parametrize("size", [(97, 113), (64, 64), (1, 1), (5, 3), (400, 400)])
def test_every_operation_makes_the_bytes_of_the_cpu(size: tuple[int, int]) -> None:
    picture = np.random.default_rng(0).random((3, *size), dtype=np.float32)
    rows = []
    for made in single_operations():
        try:
            plan_size(made.reshape(1), *size)
        except KernelInputError:
            continue  # a region outside this small picture
        rows.append(made)
    plan = np.array(rows, OP)[:, None]
    pictures = [picture] * len(rows)
    expected = checksums(degrade(pictures, plan, 9, range(len(rows))))
    got = checksums(on_gpu(pictures, plan, 9, range(len(rows))))
    wrong = [str(rows[k]) for k in range(len(rows)) if got[k] != expected[k]]
    assert not wrong


def mixed_batch(count: int) -> tuple[list[Any], Any]:
    """Ragged pictures; each sample has the operations in an order of its own, and ends in 100 x 100."""
    rng = np.random.default_rng(count)
    pictures = [rng.random((3, *rng.integers(60, 400, 2)), dtype=np.float32) for _ in range(count)]
    plan = np.zeros((count, 10), OP)
    for s in range(count):
        stages = [
            record(Opcode.BLUR, (Blur.GAUSSIAN, 21), (rng.uniform(0.2, 3), rng.uniform(0.2, 3), rng.uniform(-3, 3))),
            record(Opcode.BLUR, (Blur.SINC, 13), (0, 0, 0, 0, rng.uniform(1, 3))),
            record(Opcode.RESIZE, (*rng.integers(40, 300, 2), rng.integers(1, 5), rng.integers(0, 2))),
            record(Opcode.GAUSSIAN_NOISE, (rng.integers(0, 2),), (rng.uniform(0, 0.1),)),
            record(Opcode.POISSON_NOISE, (rng.integers(0, 2), 0), (rng.uniform(0, 2),)),
            record(Opcode.JPEG, (rng.integers(30, 96), 2)),
            record(Opcode.USM, (50,), (0.5, 10.0)),
        ]
        for k, which in enumerate(rng.permutation(len(stages))):
            plan[s, k] = stages[which]
            plan[s, k]["stage"] = k
        plan[s, 7] = record(Opcode.RESIZE, (100, 100, Filter.BICUBIC, 1))
        plan[s, 8] = record(Opcode.CLAMP_ROUND)
    return pictures, plan


def test_a_ragged_batch_of_mixed_plans_makes_the_bytes_of_the_cpu() -> None:
    pictures, plan = mixed_batch(24)
    expected = checksums(degrade(pictures, plan, 5, range(24)))
    assert checksums(on_gpu(pictures, plan, 5, range(24))) == expected
    assert checksums(on_gpu(pictures[7:9], plan[7:9], 5, [7, 8])) == expected[7:9]


def test_work_follows_the_current_stream() -> None:
    pictures, plan = mixed_batch(6)
    expected = checksums(degrade(pictures, plan, 5, range(6)))
    stream = torch.cuda.Stream()
    results = []
    with torch.cuda.stream(stream):
        for _ in range(20):
            tensors = [torch.from_numpy(p).to("cuda", non_blocking=True) for p in pictures]
            results = degrade(tensors, plan, 5, range(6))
    stream.synchronize()
    assert checksums(r.cpu().numpy() for r in results) == expected


def test_pictures_of_two_places_are_refused() -> None:
    pictures, plan = mixed_batch(2)
    with pytest.raises(KernelInputError, match="one device"):
        degrade([torch.from_numpy(pictures[0]).cuda(), torch.from_numpy(pictures[1])], plan, 0, [0, 1])

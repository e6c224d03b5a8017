"""The CUDA kernels on a real GPU: the bytes of the CPU, from the same plans. The cases stand in check_kernels.py."""

from __future__ import annotations

import tomllib
import zlib
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from kernels.degrade import degrade
from kernels.errors import KernelError, KernelInputError
from kernels.library import cuda_devices
from tests.gpu.programs import load

pytestmark = pytest.mark.gpu
GOLDEN = Path(__file__).parents[1] / "degrade" / "golden.toml"


@pytest.fixture(autouse=True)
def gpu() -> None:
    if not torch.cuda.is_available():
        pytest.skip("torch sees no CUDA device here")
    try:
        cuda_devices()
    except KernelError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def cases() -> ModuleType:
    return load("check_kernels")


@pytest.mark.parametrize("size", [(97, 113), (64, 64), (1, 1), (5, 3), (1, 70), (400, 400)])
def test_every_operation_makes_the_bytes_of_the_cpu(size: tuple[int, int], cases: Any) -> None:
    assert not cases.wrong_operations(size, cases.on_gpu)


def test_a_ragged_batch_of_mixed_plans_makes_the_bytes_of_the_cpu(cases: Any) -> None:
    assert not cases.wrong_samples(24, cases.on_gpu)


def test_a_part_of_a_batch_makes_the_bytes_of_the_whole(cases: Any) -> None:
    pictures, plan = cases.mixed_batch(24)
    expected = cases.checksums(degrade(pictures[7:9], plan[7:9], 5, [7, 8]))
    assert cases.checksums(cases.on_gpu(pictures[7:9], plan[7:9], 5, [7, 8])) == expected


@pytest.mark.parametrize("name", sorted(tomllib.loads(GOLDEN.read_text("utf-8"))))
def test_a_recipe_makes_its_golden_bytes(name: str) -> None:
    """The checksums that every CPU makes: see test_degrade_execute.py, which draws the same pictures."""
    from engine.degrade.draw import draw_plan
    from engine.degrade.execute import degrade_batch
    from engine.degrade.recipe import load_recipe

    n, y, x = np.mgrid[0:24, 0:96, 0:96]
    words = (x * 2654435761 + y * 40503 + n * 97003 + x * y * 7) % 65521
    levels = (x * 3 + y * 2 + n * 31) % 256 // 2 + (x // 9 + y // 7) % 2 * 80 + words % 41
    images = (levels.reshape(8, 3, 96, 96) / 255).astype(np.float32)
    plan = draw_plan(load_recipe(name), 20261121, np.arange(8), 96, 96)
    low, target = (made.cpu().numpy() for made in degrade_batch(torch.from_numpy(images).cuda(), plan))
    golden = tomllib.loads(GOLDEN.read_text("utf-8"))[name]
    assert [checksum(row) for row in low] == golden["input"]
    assert checksum(target) == golden["target"]


def checksum(planes: Any) -> str:
    return f"{zlib.crc32(np.rint(planes * 255).astype(np.uint8).tobytes()):08x}"


def test_work_follows_the_current_stream(cases: Any) -> None:
    pictures, plan = cases.mixed_batch(6)
    expected = cases.checksums(degrade(pictures, plan, 5, range(6)))
    stream = torch.cuda.Stream()
    results = []
    with torch.cuda.stream(stream):
        for _ in range(20):
            tensors = [torch.from_numpy(p).to("cuda", non_blocking=True) for p in pictures]
            results = degrade(tensors, plan, 5, range(6))
    stream.synchronize()
    assert cases.checksums(r.cpu().numpy() for r in results) == expected


def test_pictures_of_two_places_are_refused(cases: Any) -> None:
    pictures, plan = cases.mixed_batch(2)
    with pytest.raises(KernelInputError, match="one device"):
        degrade([torch.from_numpy(pictures[0]).cuda(), torch.from_numpy(pictures[1])], plan, 0, [0, 1])

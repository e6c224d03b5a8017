"""Runs every operation of the kernels on a GPU and compares the bytes with the CPU's. Needs torch and numpy alone.

    python tests/gpu/check_kernels.py                       # on a machine with an NVIDIA GPU
    compute-sanitizer --tool memcheck python tests/gpu/check_kernels.py --small
    compute-sanitizer --tool racecheck python tests/gpu/check_kernels.py --small
    python tests/gpu/check_kernels.py --emulated --small    # the same kernel bodies, run by the CPU

`test_kernels_gpu.py` takes its cases from here; as a program it does without pytest.
"""

from __future__ import annotations

import argparse
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from kernels.degrade import degrade, degrade_and_tell, plan_size
from kernels.errors import KernelInputError
from kernels.library import Variant
from kernels.ops import OP, Blur, Filter, Noise, Opcode

Run = Callable[[list[Any], Any, int, Any], list[Any]]
"""(pictures (3, h, w), records, seed, sample numbers) -> results as numpy arrays."""


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
        ((Blur.GAUSSIAN, 63), (9.0, 8.0, 0.5, 0, 0, 1e-3)),
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
    for radius in (5, 50, 127):
        yield record(Opcode.USM, (radius,), (0.5, 10.0))
    yield record(Opcode.DROPOUT, (3, 4, 20, 30), (0.25,))
    for turn in ((1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 1)):
        yield record(Opcode.FLIP, turn)
    yield record(Opcode.CLAMP_ROUND)
    yield record(Opcode.CROP, (3, 4, 50, 41))


def mixed_batch(count: int, largest: int = 400) -> tuple[list[Any], Any]:
    """Ragged pictures; each sample has the operations in an order of its own, and ends in 100 x 100."""
    rng = np.random.default_rng(count)
    pictures = [rng.random((3, *rng.integers(60, largest, 2)), dtype=np.float32) for _ in range(count)]
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


def checksums(pictures: Any) -> list[int]:
    return [zlib.crc32(np.ascontiguousarray(p).tobytes()) for p in pictures]


def on_gpu(pictures: list[Any], plan: Any, seed: int, samples: Any) -> list[Any]:
    import torch

    tensors = [torch.from_numpy(p).cuda() for p in pictures]
    results, ran = degrade_and_tell(tensors, plan, seed, samples)
    if ran != Variant.CUDA:
        raise AssertionError(f"{ran.name} ran where CUDA was meant")
    return [r.cpu().numpy() for r in results]


def emulated(pictures: list[Any], plan: Any, seed: int, samples: Any) -> list[Any]:
    results: list[Any] = degrade(pictures, plan, seed, samples, variant="emulated")
    return results


def wrong_operations(size: tuple[int, int], run: Run) -> list[str]:
    """Every single operation on one picture of this size; returns those whose bytes are not the CPU's."""
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
    got = checksums(run(pictures, plan, 9, range(len(rows))))
    return [f"{size}: {rows[k]}" for k in range(len(rows)) if got[k] != expected[k]]


def wrong_samples(count: int, run: Run, largest: int = 400) -> list[str]:
    """A ragged batch of shuffled plans; returns the samples whose bytes are not the CPU's."""
    pictures, plan = mixed_batch(count, largest)
    expected = checksums(degrade(pictures, plan, 5, range(count)))
    got = checksums(run(pictures, plan, 5, range(count)))
    return [f"sample {s} of {count}" for s in range(count) if got[s] != expected[s]]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--emulated", action="store_true", help="run the kernel bodies on the CPU")
    parser.add_argument("--small", action="store_true", help="small pictures and batches, for the sanitizers")
    options = parser.parse_args()
    run = emulated if options.emulated else on_gpu
    sizes = [(97, 113), (1, 1), (5, 3)] if options.small else [(97, 113), (64, 64), (1, 1), (5, 3), (1, 70), (400, 400)]
    wrong = [words for size in sizes for words in wrong_operations(size, run)]
    wrong += wrong_samples(*((4, run, 100) if options.small else (24, run, 400)))
    for words in wrong:
        print("differs:", words)
    operations = sum(1 for _ in single_operations())
    where = "emulated" if options.emulated else "on the GPU"
    print(f"{operations} operations at {len(sizes)} sizes and a mixed batch {where}: {len(wrong)} differ from the CPU")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

"""The degradation on a GPU: pictures a second, each operation against the memory's speed, and torch on the same GPU.

    python tests/gpu/bench_kernels.py --json bench.json

Needs torch, numpy and msgspec; where msgspec is missing, plans drawn elsewhere do:

    python tests/gpu/bench_kernels.py --save-plans plans.npz      # on a machine that has it
    python tests/gpu/bench_kernels.py --plans plans.npz

Times are of the clock around work that a synchronisation ends, so drawing, planning and launching count. "Necessary"
bytes: every operation reads its picture once and writes its result once, in float32; what a kernel moves beyond that is
its own fault and lowers its share. `--emulated` runs everything on the CPU with little work, to see that it runs.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from engine.degrade.torch_pipeline import TorchPipeline
from kernels.degrade import degrade
from kernels.ops import OP, Blur, Filter, Noise, Opcode

SEED = 1
PLANS = 1024


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, nargs="+", default=[16, 64, 256])
    parser.add_argument("--size", type=int, default=400)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement (default 3)")
    parser.add_argument("--json", metavar="FILE", help="write the figures there too")
    parser.add_argument("--plans", metavar="FILE", help="plans from --save-plans, instead of drawing them")
    parser.add_argument("--save-plans", metavar="FILE")
    parser.add_argument("--emulated", action="store_true", help="a dry run on the CPU")
    options = parser.parse_args()
    if options.save_plans:
        sharpen, damage = draw(0, PLANS, options.size)
        np.savez_compressed(options.save_plans, sharpen=sharpen, damage=damage, size=options.size)
        return 0
    device = torch.device("cpu" if options.emulated else "cuda")
    if options.emulated:
        options.batches, options.size, options.seconds = [2], 96, 0.1
    machine = Machine(device, options.seconds, torch.cuda.get_device_name() if not options.emulated else "emulated")
    facts: dict[str, Any] = {"device": machine.name, "torch": torch.__version__, "size": options.size}
    facts["copy_gb_s"], facts["fma_gflop_s"] = machine.copy_rate(), machine.product_rate()
    print(json.dumps(facts))
    facts["whole"], facts["operations"] = [], []
    plans = read_plans(options)
    for batch in options.batches:
        facts["whole"].append(bench_whole(machine, batch, options.size, plans, facts["copy_gb_s"]))
        print(json.dumps(facts["whole"][-1]))
    batch = options.batches[min(1, len(options.batches) - 1)]
    for name, plan, flops in operations(batch, options.size):
        line = bench_operation(machine, name, plan, flops, batch, options.size, facts)
        facts["operations"].append(line)
        print(json.dumps(line))
    if options.json:
        Path(options.json).write_text(json.dumps(facts, indent=1) + "\n", "utf-8")
    return 0


class Machine:
    """A device, how to wait for it, and how fast it copies and multiplies."""

    def __init__(self, device: torch.device, seconds: float, name: str) -> None:
        self.device, self.seconds, self.name = device, seconds, name

    def wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def time(self, action: Callable[[], Any]) -> float:
        """Seconds of one call among many: the median of rounds that a synchronisation ends."""
        for _ in range(2):
            action()
        self.wait()
        start = time.perf_counter()
        action()
        self.wait()
        calls = max(1, int(self.seconds / 5 / max(time.perf_counter() - start, 1e-6)))
        rounds = []
        for _ in range(5):
            start = time.perf_counter()
            for _ in range(calls):
                action()
            self.wait()
            rounds.append((time.perf_counter() - start) / calls)
        return statistics.median(rounds)

    def copy_rate(self) -> float:
        """GB/s read and written by a copy of a tensor larger than the caches."""
        count = 1 << (28 if self.device.type == "cuda" else 22)
        source = torch.empty(count, device=self.device)
        target = torch.empty_like(source)
        return 8 * count / self.time(lambda: target.copy_(source)) / 1e9

    def product_rate(self) -> float:
        """GFLOP/s of a float32 matrix product without tensor cores."""
        torch.backends.cuda.matmul.allow_tf32 = False
        side = 8192 if self.device.type == "cuda" else 512
        a = torch.rand(side, side, device=self.device)
        return 2 * side**3 / self.time(lambda: a @ a) / 1e9


def draw(first: int, count: int, size: int) -> tuple[Any, Any]:
    """Records (sharpening of the target, damage) of samples first.. of the recipe real-esrgan, without flips."""
    from engine.degrade.draw import compile_recipe
    from engine.degrade.recipe import load_recipe

    plan = compile_recipe(load_recipe("real-esrgan")).draw(
        SEED, np.arange(first, first + count), size, size, orient=False
    )
    return plan.sharpen, plan.damage


def read_plans(options: argparse.Namespace) -> tuple[Any, Any] | None:
    if options.plans is None:
        return None
    with np.load(options.plans) as file:
        if int(file["size"]) != options.size:
            raise SystemExit(f"{options.plans} is for pictures of {file['size']} pixels, not of {options.size}")
        return file["sharpen"], file["damage"]


def pictures(batch: int, size: int, device: torch.device) -> torch.Tensor:
    """(batch, 3, size, size) with smooth parts, edges and texture, on the 8-bit grid."""
    random = np.random.default_rng(1)
    y, x = np.mgrid[0:size, 0:size].astype(np.float32) / size
    one = np.empty((8, 3, size, size), np.float32)
    for plane in one.reshape(-1, size, size):
        a, b, c, d = random.uniform(2, 40, 4)
        plane[:] = 0.5 + 0.2 * np.sin(a * x + b * y * y) + 0.2 * np.sign(np.sin(c * x - d * y))
        plane += random.normal(0, 0.03, plane.shape)
    tensor = torch.from_numpy(np.rint(one.clip(0, 1) * 255) / np.float32(255)).to(device)
    return tensor.repeat(-(-batch // 8), 1, 1, 1)[:batch].contiguous()


def run_plans(images: torch.Tensor, plan: Any, numbers: Any) -> torch.Tensor:
    if images.device.type == "cuda":
        return degrade(images, plan, SEED, numbers)
    return degrade(images, plan, SEED, numbers, variant="emulated")


def bench_whole(
    machine: Machine, batch: int, size: int, plans: tuple[Any, Any] | None, copy_rate: float
) -> dict[str, Any]:
    """The recipe real-esrgan, sharpened targets made too, against torch as published and as repaired."""
    images = pictures(batch, size, machine.device)
    state: dict[str, Any] = {"number": 0, "drawn": plans, "first": 0}

    def native() -> Any:
        at = state["number"] * batch
        if plans is None and (state["drawn"] is None or at + batch > state["first"] + PLANS):
            state["drawn"], state["first"] = draw(at, max(PLANS, batch), size), at
        sharpen, damage = state["drawn"]
        rows = np.arange(at - state["first"], at - state["first"] + batch) % len(damage)
        state["number"] += 1
        target = run_plans(images, sharpen[rows], at + np.arange(batch))
        return run_plans(target, damage[rows], at + np.arange(batch)), target

    ways: dict[str, Callable[[], Any]] = {"native": native}
    for name, repaired in (("torch_public", False), ("torch_repaired", True)):
        pipeline = TorchPipeline(machine.device, repaired=repaired)
        ways[name] = lambda pipeline=pipeline: pipeline(images)
    seconds = {name: machine.time(way) for name, way in ways.items()}
    rates = {f"{name}_per_second": batch / taken for name, taken in seconds.items()}
    sharpen, damage = state["drawn"]
    count = min(len(damage), PLANS)
    needed = sum(necessary_bytes(row, size) for part in (sharpen, damage) for row in part[:count]) / count
    return {
        "batch": batch,
        **{name: float(f"{rate:.5g}") for name, rate in rates.items()},
        "against_public": round(seconds["torch_public"] / seconds["native"], 2),
        "against_repaired": round(seconds["torch_repaired"] / seconds["native"], 2),
        "necessary_mb_per_picture": round(needed / 1e6, 2),
        "share_of_copy_rate": round(needed * batch / seconds["native"] / 1e9 / copy_rate, 4),
    }


def necessary_bytes(row: Any, size: int) -> float:
    height = width = size
    total = 0.0
    for step in row:
        if step["opcode"] == Opcode.END:
            break
        before = height * width
        if step["opcode"] == Opcode.RESIZE:
            height, width = int(step["i"][0]), int(step["i"][1])
        total += 12.0 * (before + height * width)
    return total


def operations(batch: int, size: int) -> list[tuple[str, Any, float]]:
    """(name, records, floating-point operations a picture of the filters; 0 where such do not count)."""

    def plan(opcode: Opcode, i: Any = (), f: Any = ()) -> Any:
        made = np.zeros((batch, 1), OP)
        made["opcode"], made["stage"] = opcode, 1
        made["i"][:, 0, : len(i)], made["f"][:, 0, : len(f)] = i, f
        return made

    values = 3 * size * size
    small = max(1, size * 23 // 40)
    # A pair of mirrored taps is an addition and a fused product: three operations.
    return [
        ("blur 7", plan(Opcode.BLUR, (Blur.GAUSSIAN, 7), (3, 1, 1)), 1.5 * 49 * values),
        ("blur 21", plan(Opcode.BLUR, (Blur.GAUSSIAN, 21), (3, 2, 1)), 1.5 * 441 * values),
        ("blur 21, round", plan(Opcode.BLUR, (Blur.GAUSSIAN, 21), (3, 3)), 1.5 * 42 * values),
        ("sharpen", plan(Opcode.USM, (50,), (0.5, 10)), 1.5 * 4 * 51 * values),
        (f"area to {small}", plan(Opcode.RESIZE, (small, small, Filter.AREA, 0)), 0),
        (f"bicubic, antialiased, to {small}", plan(Opcode.RESIZE, (small, small, Filter.BICUBIC, 1)), 0),
        ("gaussian noise", plan(Opcode.GAUSSIAN_NOISE, (Noise.COLOUR,), (0.05,)), 0),
        ("poisson noise", plan(Opcode.POISSON_NOISE, (Noise.COLOUR, 0), (1.0,)), 0),
        ("jpeg 4:2:0", plan(Opcode.JPEG, (60, 2)), 0),
        ("clamp and round", plan(Opcode.CLAMP_ROUND), 0),
    ]


def bench_operation(
    machine: Machine, name: str, plan: Any, flops: float, batch: int, size: int, facts: dict[str, Any]
) -> dict[str, Any]:
    images, numbers = pictures(batch, size, machine.device), np.arange(batch)
    seconds = machine.time(lambda: run_plans(images, plan, numbers))
    rate = sum(necessary_bytes(row, size) for row in plan) / seconds / 1e9
    line = {"operation": name, "batch": batch, "microseconds_per_picture": round(seconds / batch * 1e6, 2)}
    line.update({"gb_s": round(rate, 1), "share_of_copy_rate": round(rate / facts["copy_gb_s"], 4)})
    if flops:
        gflops = flops * batch / seconds / 1e9
        line.update({"gflop_s": round(gflops), "share_of_product_rate": round(gflops / facts["fma_gflop_s"], 4)})
    return line


if __name__ == "__main__":
    sys.exit(main())

"""`pellucid bench degrade`: the native degradation against torch in the same run, stage by stage and as a whole.

Figures are CPU time of one core (threads=1, the opponents interleaved), because wall time on a shared machine says
little; the whole pipeline is also timed by the clock on the threads asked for.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.cli.frame import DONE, Subparsers
from engine.cli.output import Output
from engine.errors import Code, PellucidError

_COLUMNS = ("stage", "torch ms", "native ms", "ratio", "GFLOP/s", "of the ceiling")


def add_degrade_bench_parser(subparsers: Subparsers) -> None:
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "degrade",
        help="degradation: every stage and the whole, against torch",
        description="Time the native degradation against torch, stage by stage and as a whole, in one run.",
    )
    parser.add_argument("--batch", type=int, default=16, metavar="N", help="pictures a batch (default 16)")
    parser.add_argument("--size", type=int, default=400, metavar="PIXELS", help="side of the sources (default 400)")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="rounds of every stage (default 5)")
    parser.add_argument("--draws", type=int, default=40, metavar="N", help="batches of the whole pipeline (default 40)")
    parser.add_argument(
        "--threads", type=int, default=0, metavar="N", help="for the clock (default: all cores; 1: skip)"
    )
    parser.add_argument(
        "--no-public", action="store_true", help="leave out the public pipeline as it is, which is slow"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, output: Output) -> int:
    for option in ("batch", "rounds", "draws"):
        if getattr(arguments, option) < 1:
            raise PellucidError(Code.USAGE, f"--{option} must be at least 1.", "Try: pellucid bench degrade --help")
    if arguments.size < 64:
        raise PellucidError(Code.USAGE, "--size must be at least 64.", "Try: pellucid bench degrade --help")
    try:
        import torch
    except ImportError as error:
        raise PellucidError(
            Code.BACKEND_UNAVAILABLE, "The comparison needs torch, which is not installed.", "Install pellucid[train]."
        ) from error
    from kernels.degrade import usable_threads

    torch.manual_seed(0)
    torch.set_num_threads(1)
    images = pictures(arguments.batch, arguments.size)
    ceiling = matmul_rate()
    output.line({"ceiling_gflops": round(ceiling, 1), "measure": "float32 matrix product of torch, one core"})
    output.say(f"Ceiling: {ceiling:.0f} GFLOP/s, the float32 matrix product of torch on one core.")
    rows = []
    for name, figures in bench_stages(images, arguments.rounds):
        rate = figures["gflop"] / figures["native_ms"] * 1e3 if figures["gflop"] else None
        share = rate / ceiling if rate else None
        output.line({"stage": name, **_rounded({**figures, "gflops": rate, "ceiling_share": share})})
        rows.append((name, figures["torch_ms"], figures["native_ms"], figures["ratio"], rate, share))
    output.table(rows, _COLUMNS)
    threads = arguments.threads or usable_threads()
    for batch in (16, 1024):
        rate = bench_draws(batch)
        output.line({"draw": batch, "plans_per_core_second": round(rate)})
        output.say(f"Plans drawn for batches of {batch}: {rate:.0f} samples a second of one core.")
    whole = bench_whole(images, arguments.draws, threads, with_public=not arguments.no_public)
    whole["exact_ceiling_share"] = whole["exact_gflops"] / ceiling
    output.line({"whole": _rounded(whole), "batch": arguments.batch, "size": arguments.size, "draws": arguments.draws})
    output.table([(name, value) for name, value in whole.items()], ("whole pipeline, pictures a second", ""))
    return DONE


def pictures(batch: int, size: int) -> npt.NDArray[np.float32]:
    """(batch, 3, size, size) float32 pictures with smooth parts, edges and texture, the same at every call."""
    random = np.random.default_rng(1)
    y, x = np.mgrid[0:size, 0:size].astype(np.float32) / size
    result = np.empty((batch, 3, size, size), np.float32)
    for picture in result:
        for plane in picture:
            a, b, c, d = random.uniform(2, 40, 4)
            plane[:] = 0.5 + 0.2 * np.sin(a * x + b * y * y) + 0.2 * np.sign(np.sin(c * x - d * y))
            plane += random.normal(0, 0.03, plane.shape)
    levels: npt.NDArray[np.float32] = np.rint(result.clip(0, 1) * 255)
    return levels / np.float32(255)


def matmul_rate() -> float:
    """GFLOP/s of a float32 matrix product on one core: what the machine can do at best."""
    import torch

    a, b = torch.rand(1024, 1024), torch.rand(1024, 1024)
    a @ b
    rates = []
    for _ in range(8):
        start = time.process_time()
        a @ b
        rates.append(2 * 1024**3 / (time.process_time() - start) / 1e9)
    return max(rates)


def bench_stages(images: npt.NDArray[np.float32], rounds: int) -> list[tuple[str, dict[str, float]]]:
    """(name, figures) of every stage: milliseconds of one core a batch, medians of interleaved rounds."""
    import torch
    from torch.nn import functional

    from engine.degrade import torch_pipeline as opponent
    from kernels.degrade import degrade
    from kernels.ops import OP, Blur, Filter, Noise, Opcode, Subsampling

    count, _, size, _ = images.shape
    tensor = torch.from_numpy(images)
    samples = np.arange(count)
    jpeg = opponent.DifferentiableJpeg(torch.device("cpu"))
    random = np.random.default_rng(0)
    small = size * 23 // 40
    planes = 3 * size * size * count
    sizes = random.integers(3, 11, count) * 2 + 1

    def record(opcode: Opcode, i: tuple[int, ...] = (), f: tuple[float, ...] = ()) -> npt.NDArray[np.void]:
        plan = np.zeros((count, 2), OP)
        plan["opcode"][:, 0], plan["stage"][:, 0] = opcode, 1
        plan["i"][:, 0, : len(i)], plan["f"][:, 0, : len(f)] = i, f
        return plan

    def blurs(dense: bool, tolerance: float) -> npt.NDArray[np.void]:
        plan = record(Opcode.BLUR, (Blur.GAUSSIAN, 21))
        if not dense:
            plan["i"][:, 0, 1] = sizes
        plan["f"][:, 0, 0] = np.linspace(0.5, 3, count)
        plan["f"][:, 0, 1] = np.linspace(3, 1, count)
        plan["f"][:, 0, 2] = np.linspace(-3, 3, count)
        plan["f"][:, 0, 5] = tolerance
        return plan

    def resized(height: int, mode: str, antialias: bool) -> Callable[[], Any]:
        options = {"antialias": antialias} if mode != "area" else {}
        return lambda: functional.interpolate(tensor, size=(height, height), mode=mode, **options)

    kernels = opponent.draw_kernels(random, count, (0.2, 3.0))
    quality = torch.linspace(30, 95, count)
    jpegs = record(Opcode.JPEG, (0, Subsampling.S420))
    jpegs["i"][:, 0, 0] = np.linspace(30, 95, count)
    mean_square = float(np.mean(sizes.astype(float) ** 2))
    # name, torch, native plan, floating-point operations of the native way (0: not a matter of such operations): of two
    # taps that mirror each other one addition and one fused product, which is 1.5 a tap.
    stages: list[tuple[str, Callable[[], Any], npt.NDArray[np.void], float]] = [
        ("blur 21, every tap", lambda: opponent.blur(tensor, kernels), blurs(True, 0), 1.5 * 441 * planes),
        ("blur 7..21, true size", lambda: opponent.blur(tensor, kernels), blurs(False, 0), 1.5 * mean_square * planes),
        ("blur 7..21, low rank 1e-4", lambda: opponent.blur(tensor, kernels), blurs(False, 1e-4), 0),
        ("sharpen, against dense", lambda: opponent.sharpen_dense(tensor), record(Opcode.USM, (50,), (0.5, 10)), 0),
        (
            "sharpen, against separable",
            lambda: opponent.sharpen_separable(tensor),
            record(Opcode.USM, (50,), (0.5, 10)),
            1.5 * 4 * 51 * planes,
        ),
        (
            "gaussian noise",
            lambda: opponent.gaussian_noise(tensor, (1, 30), 0.4),
            record(Opcode.GAUSSIAN_NOISE, (Noise.COLOUR,), (0.05,)),
            0,
        ),
        (
            "poisson noise",
            lambda: opponent.poisson_noise(tensor, (0.05, 3), 0.4),
            record(Opcode.POISSON_NOISE, (Noise.COLOUR, 256), (1.0,)),
            0,
        ),
        (
            "poisson noise, counted levels",
            lambda: opponent.poisson_noise(tensor, (0.05, 3), 0.4),
            record(Opcode.POISSON_NOISE, (Noise.COLOUR, 0), (1.0,)),
            0,
        ),
        ("jpeg 4:2:0", lambda: jpeg(tensor, quality), jpegs, 0),
    ]
    for name, filter_ in (("area", Filter.AREA), ("bilinear", Filter.BILINEAR), ("bicubic", Filter.BICUBIC)):
        for antialias in (False, True) if name != "area" else (False,):
            words = f"{name}, antialiased" if antialias else name
            for height in (small, size * 5 // 4):
                plan = record(Opcode.RESIZE, (height, height, filter_, int(antialias)))
                stages.append((f"{words}, {size} to {height}", resized(height, name, antialias), plan, 0))
    results = []
    with torch.no_grad():
        for name, torch_way, plan, operations in stages:
            torch_times, native_times = [], []
            torch_way()
            degrade(images, plan, 0, samples, threads=1)
            for _ in range(rounds):
                torch_times.append(_cpu_ms(torch_way))
                native_times.append(_cpu_ms(partial(degrade, images, plan, 0, samples, threads=1)))
            torch_ms, native_ms = statistics.median(torch_times), statistics.median(native_times)
            figures = {"torch_ms": torch_ms, "native_ms": native_ms, "ratio": torch_ms / native_ms}
            results.append((name, {**figures, "gflop": operations / 1e9}))
    return results


def bench_draws(batch: int, samples: int = 8192) -> float:
    """Samples a second of one core that the second-order recipe is drawn for, batch by batch."""
    from engine.degrade.draw import compile_recipe
    from engine.degrade.recipe import load_recipe

    compiled = compile_recipe(load_recipe("real-esrgan"))
    compiled.draw(0, np.arange(batch), 400, 400)
    start = time.process_time()
    for first in range(0, samples, batch):
        compiled.draw(0, np.arange(first, first + batch), 400, 400)
    return samples / (time.process_time() - start)


def bench_whole(images: npt.NDArray[np.float32], draws: int, threads: int, *, with_public: bool) -> dict[str, float]:
    """Pictures a second of one core (CPU time, mean of the draws, interleaved), ratios, and the clock on `threads`."""
    import msgspec
    import torch

    from engine.degrade.draw import compile_recipe
    from engine.degrade.execute import degrade_batch
    from engine.degrade.recipe import Blur, load_recipe
    from engine.degrade.torch_pipeline import TorchPipeline

    count, _, size, _ = images.shape
    tensor, device = torch.from_numpy(images), torch.device("cpu")
    exact = load_recipe("real-esrgan")
    low_rank = msgspec.structs.replace(
        exact,
        stages=tuple(
            msgspec.structs.replace(stage, tolerance=1e-4) if isinstance(stage, Blur) else stage
            for stage in exact.stages
        ),
    )

    def native(recipe: Any, sharpen: bool, cores: int) -> Callable[[int], Any]:
        if not sharpen:
            recipe = msgspec.structs.replace(recipe, sharpen=None)
        compiled = compile_recipe(recipe)

        def step(number: int) -> Any:
            plan = compiled.draw(1, np.arange(number * count, (number + 1) * count), size, size)
            return degrade_batch(images, plan, threads=cores)

        return step

    def torch_way(*, repaired: bool, sharpen: bool = True) -> Callable[[int], Any]:
        pipeline = TorchPipeline(device, repaired=repaired, sharpen=sharpen)
        return lambda number: pipeline(tensor)

    ways = {
        "repaired": torch_way(repaired=True),
        "unsharpened": torch_way(repaired=True, sharpen=False),
        "exact": native(exact, True, 1),
        "exact_unsharpened": native(exact, False, 1),
        "low_rank": native(low_rank, True, 1),
        "low_rank_unsharpened": native(low_rank, False, 1),
    }
    public = torch_way(repaired=False) if with_public else None
    public_draws = max(2, draws // 10)
    spent = dict.fromkeys(ways, 0.0)
    public_spent = 0.0
    for way in ways.values():
        way(draws)
    for number in range(draws):
        for name, way in ways.items():
            spent[name] += _cpu_ms(partial(way, number))
        if public is not None and number * public_draws % draws < public_draws:
            public_spent += _cpu_ms(partial(public, number))
    rates = {name: count * draws / milliseconds * 1e3 for name, milliseconds in spent.items()}
    result = {f"{name}_per_core_second": rate for name, rate in rates.items()}
    if public is not None:
        result["public_per_core_second"] = count * public_draws / public_spent * 1e3
        for name in ("exact", "low_rank"):
            result[f"{name}_against_public"] = rates[name] / result["public_per_core_second"]
    for name in ("exact", "low_rank"):
        result[f"{name}_against_repaired"] = rates[name] / rates["repaired"]
        result[f"{name}_against_repaired_unsharpened"] = rates[f"{name}_unsharpened"] / rates["unsharpened"]
    result["exact_gflops"] = sum(_plan_gflop(exact, size, count, number) for number in range(draws)) / (
        spent["exact"] / 1e3
    )
    if threads > 1:
        torch.set_num_threads(threads)
        clocked = {
            "repaired": torch_way(repaired=True),
            "unsharpened": torch_way(repaired=True, sharpen=False),
            "exact": native(exact, True, threads),
            "exact_unsharpened": native(exact, False, threads),
            "low_rank": native(low_rank, True, threads),
        }
        taken = dict.fromkeys(clocked, 0.0)
        for number in range(draws):
            for name, way in clocked.items():
                taken[name] += _wall_seconds(partial(way, number))
        wall = {name: count * draws / seconds for name, seconds in taken.items()}
        if public is not None:
            seconds = sum(_wall_seconds(partial(public, number)) for number in range(public_draws))
            wall["public"] = count * public_draws / seconds
            result[f"exact_against_public_{threads}_threads"] = wall["exact"] / wall["public"]
        result[f"exact_against_repaired_{threads}_threads"] = wall["exact"] / wall["repaired"]
        result[f"exact_against_repaired_unsharpened_{threads}_threads"] = (
            wall["exact_unsharpened"] / wall["unsharpened"]
        )
        result |= {f"{name}_per_second_{threads}_threads": rate for name, rate in wall.items()}
        torch.set_num_threads(1)
    return result


def _plan_gflop(recipe: Any, size: int, count: int, number: int) -> float:
    """The additions and products of the filters of a batch, run exactly, in 10^9; all else is left out."""
    from engine.degrade.draw import draw_plan
    from kernels.ops import Blur, Opcode

    plan = draw_plan(recipe, 1, np.arange(number * count, (number + 1) * count), size, size)
    total = 0.0
    for row in range(count):
        height, width = (int(side) for side in plan.target_sizes[row])
        for part in (plan.sharpen, plan.damage):
            for record in part[row]:
                i, f = record["i"], record["f"]
                taps = 0
                if record["opcode"] == Opcode.RESIZE:
                    height, width = int(i[0]), int(i[1])
                elif record["opcode"] == Opcode.BLUR:
                    is_product = i[0] == Blur.GAUSSIAN and (f[0] == f[1] or f[2] == 0)
                    taps = 2 * int(i[1]) if is_product else int(i[1]) ** 2
                elif record["opcode"] == Opcode.USM:
                    taps = 4 * (int(i[0]) | 1)
                total += 1.5 * taps * 3 * height * width
    return total / 1e9


def _cpu_ms(action: Callable[[], Any]) -> float:
    start = time.process_time()
    action()
    return (time.process_time() - start) * 1e3


def _wall_seconds(action: Callable[[], Any]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def _rounded(figures: dict[str, Any]) -> dict[str, Any]:
    return {key: float(f"{value:.4g}") if isinstance(value, float) else value for key, value in figures.items()}

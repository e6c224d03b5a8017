"""Training on a GPU: recorded steps beside plain ones, PSNR and GAN, going on exactly, and how fast it all is.

    python tests/gpu/check_training.py                        # on a machine with an NVIDIA GPU: a few minutes
    python tests/gpu/check_training.py --json figures.json    # and write the figures down
    python tests/gpu/check_training.py --dry-run              # small and on the CPU, to see that it runs

Needs torch, numpy and msgspec; the part with a whole run folder also psutil, pillow and safetensors, the part with
damage on the GPU the compiled kernels. What is missing is said and left out. `test_training_gpu.py`
takes its cases from here.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from engine.wire_training import (
    DiscriminatorConfig,
    GanConfig,
    LossConfig,
    ModelConfig,
    OptimizerConfig,
    ScheduleConfig,
    StageConfig,
)
from trainer.generator import build_generator
from trainer.steps import Compute, GanStep, PsnrStep, build_step

STEPS = 12
LOSS_BOUND = 0.03
"""Largest relative difference of the losses of recorded and plain steps in bfloat16."""
TARGET_STEPS_A_SECOND, TARGET_RATIO = 150.0, 3.0
S0_ITERATIONS = 115_000


class LeftOut(Exception):
    """Something a part needs is not here."""


@dataclass(frozen=True)
class Machine:
    """Dry: the CPU, small networks, few steps; nothing it measures means anything."""

    dry: bool

    @property
    def device(self) -> torch.device:
        return torch.device("cpu" if self.dry else "cuda:0")

    @property
    def model(self) -> ModelConfig:
        """S0's network."""
        return ModelConfig(architecture="msrresnet-16", arguments={"features": 8, "blocks": 1} if self.dry else {})

    @property
    def batch(self) -> int:
        return 2 if self.dry else 16

    @property
    def crop(self) -> int:
        return 32 if self.dry else 192

    def compute(self, *, graphs: bool = False, bf16: bool = True) -> Compute:
        return Compute(self.device, bf16=bf16, channels_last=True, graphs=graphs and not self.dry, seed=1)

    def batches(self, count: int) -> list[tuple[Tensor, Tensor]]:
        random = torch.Generator().manual_seed(7)
        side = self.crop // 4
        pairs = []
        for _ in range(count):
            small = torch.rand(self.batch, 3, side, side, generator=random)
            sharp = functional.interpolate(small, scale_factor=4, mode="bicubic").clamp(0, 1)
            made = [
                (picture * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous() for picture in (sharp, small)
            ]
            pairs.append((made[0], made[1]) if self.dry else (made[0].pin_memory(), made[1].pin_memory()))
        return pairs

    def wait(self) -> None:
        if not self.dry:
            torch.cuda.synchronize()


def psnr_stage(iterations: int = STEPS, learning_rate: float = 2e-4) -> StageConfig:
    optimizer = OptimizerConfig(learning_rate=learning_rate, betas=(0.9, 0.999))
    return StageConfig(iterations=iterations, optimizer=optimizer, schedule=ScheduleConfig(kind="constant"))


def gan_stage(loss: str, kind: str, dry: bool, iterations: int = STEPS) -> StageConfig:
    judge = DiscriminatorConfig(kind=kind, features=4 if dry else 24, dense=8 if dry else 100, norm="instance")
    losses = [LossConfig(kind="l1", weight=1.0)]
    return StageConfig(
        iterations=iterations,
        losses=losses,
        gan=GanConfig(loss=loss, discriminator=judge),
        schedule=ScheduleConfig(kind="constant"),
    )


GAMES = (("", ""), ("vanilla", "unet-sn"), ("relativistic", "vgg"), ("hinge", "patch"), ("wgan-gp", "patch"))


def stage_of(machine: Machine, game: tuple[str, str]) -> StageConfig:
    loss, kind = game
    return gan_stage(loss, kind, machine.dry) if loss else psnr_stage()


def make_step(machine: Machine, stage: StageConfig, compute: Compute) -> PsnrStep:
    return build_step(build_generator(machine.model, 1), stage, compute, machine.crop)


# --------------------------------------------------------------------------------------------------------------- parts


def check_recorded_steps(machine: Machine, game: tuple[str, str]) -> None:
    """Recorded and plain steps see the same losses and end near each other; the recording was really used."""
    stage = stage_of(machine, game)
    plain, recorded = (make_step(machine, stage, machine.compute(graphs=graphs)) for graphs in (False, True))
    for target, damaged in machine.batches(STEPS):
        one, other = plain.run(target, damaged), recorded.run(target, damaged)
        assert one.finite and other.finite
        for name in ("total", "discriminator"):
            if name in one.losses:
                expected, found = one.losses[name], other.losses[name]
                assert abs(found - expected) <= LOSS_BOUND * max(abs(expected), 0.05), (name, expected, found)
    assert not recorded.notices, recorded.notices
    if not machine.dry:
        assert recorded._teach._result is not None, "nothing was recorded"
        if isinstance(recorded, GanStep) and stage.gan is not None and stage.gan.loss != "wgan-gp":
            assert recorded._teach_judge._result is not None, "the discriminator was not recorded"


def check_going_on(machine: Machine, game: tuple[str, str]) -> None:
    """With deterministic algorithms: six steps, a state carried over, and six more are twelve, to the last bit."""
    stage, batches = stage_of(machine, game), machine.batches(STEPS)
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        straight = make_step(machine, stage, machine.compute())
        for batch in batches:
            straight.run(*batch)
        first = make_step(machine, stage, machine.compute())
        for batch in batches[: STEPS // 2]:
            first.run(*batch)
        second = make_step(machine, stage, machine.compute())
        second.load_state_dict(first.state_dict())
        for batch in batches[STEPS // 2 :]:
            second.run(*batch)
    finally:
        torch.use_deterministic_algorithms(before)
    differences = [
        float((one - other).detach().abs().max())
        for one, other in zip(straight.generator.parameters(), second.generator.parameters(), strict=True)
    ]
    # torch has no deterministic backward pass of bilinear enlarging in every version: near is then all there is.
    assert max(differences) < 1e-4, max(differences)


def check_bfloat16_learns(machine: Machine) -> None:
    """One batch is learnt by heart, in bfloat16 as in float32."""
    losses = {}
    for bf16 in (False, True):
        step = make_step(machine, psnr_stage(200, 2e-3), machine.compute(graphs=True, bf16=bf16))
        batch = machine.batches(1)[0]
        first = step.run(*batch).losses["total"]
        for _ in range(60 if machine.dry else 199):
            last = step.run(*batch).losses["total"]
        losses[bf16] = last / first
    assert losses[False] < 0.9 and losses[True] < 0.9, losses


def check_a_whole_run(machine: Machine) -> None:
    """Two stages in a run folder, stopped in the middle and gone on with, with damage in the loader processes."""
    try:
        from PIL import Image

        from engine.wire_training import DataConfig, SaveConfig, SpeedConfig, TrainingConfig, ValidationConfig
        from kernels.errors import KernelError
        from kernels.library import cpu_library
        from trainer.rundir import RunFolder
        from trainer.train import Training, Wishes

        cpu_library()
    except (ImportError, KernelError) as error:
        raise LeftOut(str(error)) from error
    with tempfile.TemporaryDirectory() as place:
        pictures = Path(place) / "pictures"
        pictures.mkdir()
        random = np.random.default_rng(3)
        for number in range(6):
            small = random.integers(0, 256, (20, 20, 3), dtype=np.uint8)
            Image.fromarray(small).resize((256, 256), Image.Resampling.BICUBIC).save(pictures / f"{number}.png")
        run = RunFolder(Path(place) / "run")
        run.create(
            TrainingConfig(
                model=machine.model,
                data=DataConfig(train=[str(pictures)], recipe="real-esrgan", batch=4, crop=64, workers=2),
                stages=[psnr_stage(10), gan_stage("vanilla", "unet-sn", machine.dry, 10)],
                validation=ValidationConfig(every=10, limit=1, previews=1),
                save=SaveConfig(every=5),
                speed=SpeedConfig(device=str(machine.device)),
            )
        )
        wishes = Wishes()

        def stop_in_the_second_stage(event: Any) -> None:
            if getattr(event, "iteration", 0) >= 15:
                wishes.stop = "It was time."

        assert Training(run, run.config(), stop_in_the_second_stage, wishes).run() == "stopped"
        heard: list[Any] = []
        assert Training(run, run.config(), heard.append, Wishes()).run() == "finished"
        assert heard[0].resumed and heard[0].iteration >= 15
        warned = [event.text for event in heard if type(event).__name__ == "Warned" and "not recorded" in event.text]
        assert not warned, warned
        assert len(list(run.models.glob("*.safetensors"))) >= 2


# --------------------------------------------------------------------------------------------------------------- speed


def time_steps(machine: Machine, step: Callable[[], object], seconds: float) -> float:
    """Steps a second: the median of five stretches, after a warm-up."""
    for _ in range(2 if machine.dry else 20):
        step()
    machine.wait()
    rates = []
    for _ in range(5):
        begun, count = time.perf_counter(), 0
        while time.perf_counter() - begun < seconds / 5:
            step()
            count += 1
        machine.wait()
        rates.append(count / (time.perf_counter() - begun))
    return statistics.median(rates)


def plain_loop(machine: Machine, pipeline: bool) -> Callable[[], object]:
    """Eager float32 as one would write it; with `pipeline` the pictures are damaged by torch operations, 400x400."""
    network = build_generator(machine.model, 1).to(machine.device)
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-4)
    averages = [value.detach().clone() for value in network.parameters()]
    damage: Any = None
    if pipeline:
        from engine.degrade.torch_pipeline import TorchPipeline

        damage = TorchPipeline(machine.device, repaired=False, sharpen=True)
    side = (160 if machine.dry else 400) if pipeline else machine.crop
    sharp = torch.rand(machine.batch, 3, side, side, device=machine.device)
    small = torch.rand(machine.batch, 3, machine.crop // 4, machine.crop // 4, device=machine.device)

    def step() -> object:
        low, high = small, sharp
        if damage is not None:
            low, high = damage(sharp)
            low = low[:, :, : machine.crop // 4, : machine.crop // 4].contiguous()
            high = high[:, :, : machine.crop, : machine.crop].contiguous()
        optimizer.zero_grad()
        loss = functional.l1_loss(network(low), high)
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            for average, value in zip(averages, network.parameters(), strict=True):
                average.mul_(0.999).add_(value, alpha=0.001)
        return loss.item()

    return step


def our_loop(machine: Machine, *, graphs: bool) -> Callable[[], object]:
    """Steps on batches that lie in pinned memory, as a loader gives them."""
    step = make_step(machine, psnr_stage(10**9), machine.compute(graphs=graphs))
    batches, place = machine.batches(4), 0

    def go() -> object:
        nonlocal place
        place = (place + 1) % len(batches)
        return step.run(*batches[place])

    return go


def our_loop_with_damage(machine: Machine) -> Callable[[], object]:
    """The same with S0's damage done on the GPU: second order, sharpened targets, context of 64 pixels."""
    try:
        from kernels.errors import KernelError
        from kernels.library import cpu_library, cuda_library
        from trainer.damage import RecipeDamage

        (cpu_library if machine.dry else cuda_library)()
    except (ImportError, KernelError) as error:
        raise LeftOut(str(error)) from error
    context = 8 if machine.dry else 64
    damage = RecipeDamage.load("real-esrgan", 4, 1, "sharpened", context)
    step = make_step(machine, psnr_stage(10**9), machine.compute(graphs=True))
    side = machine.crop + 2 * context
    crops = torch.randint(0, 256, (machine.batch, side, side, 3), dtype=torch.uint8)
    crops = crops if machine.dry else crops.pin_memory()
    number = 0

    def go() -> object:
        nonlocal number
        plan = damage.plan(list(range(number, number + machine.batch)), side, side)
        number += machine.batch
        return step.run(*damage.on_device(crops.to(machine.device, non_blocking=True), plan))

    return go


def busy_share(machine: Machine, step: Callable[[], object]) -> float:
    """Share of the clock during which the GPU computed something."""
    if machine.dry:
        return 0.0
    from torch.profiler import ProfilerActivity, profile

    for _ in range(10):
        step()
    machine.wait()
    with profile(activities=[ProfilerActivity.CUDA]) as watched:
        begun = time.perf_counter()
        for _ in range(30):
            step()
        machine.wait()
        seconds = time.perf_counter() - begun
    spans = sorted(
        (event.time_range.start, event.time_range.end)
        for event in watched.events()
        if event.device_type == torch.autograd.DeviceType.CUDA
    )
    busy = end = 0.0
    for start, stop in spans:
        busy += max(0.0, stop - max(start, end))
        end = max(end, stop)
    return busy / 1e6 / seconds


def measure(machine: Machine, seconds: float = 5.0) -> dict[str, Any]:
    """S0's network: steps a second by every way, and what follows from them."""
    seconds = 0.2 if machine.dry else seconds
    figures: dict[str, Any] = {
        "device": "dry run" if machine.dry else torch.cuda.get_device_name(0),
        "torch": torch.__version__,
        "network": "msrresnet-16",
        "batch": machine.batch,
        "damaged_crop": machine.crop // 4,
    }
    figures["plain_fp32"] = time_steps(machine, plain_loop(machine, pipeline=False), seconds)
    figures["ours_one_by_one"] = time_steps(machine, our_loop(machine, graphs=False), seconds)
    recorded = our_loop(machine, graphs=True)
    figures["ours_recorded"] = time_steps(machine, recorded, seconds)
    figures["busy_share"] = busy_share(machine, recorded)
    figures["ratio"] = figures["ours_recorded"] / figures["plain_fp32"]
    figures["s0_minutes"] = S0_ITERATIONS / figures["ours_recorded"] / 60
    figures["plain_fp32_with_public_damage"] = time_steps(machine, plain_loop(machine, pipeline=True), seconds)
    try:
        damaging = our_loop_with_damage(machine)
        figures["ours_with_damage_on_the_gpu"] = time_steps(machine, damaging, seconds)
        figures["ratio_with_damage"] = figures["ours_with_damage_on_the_gpu"] / figures["plain_fp32_with_public_damage"]
    except LeftOut as reason:
        figures["ours_with_damage_on_the_gpu"] = f"left out: {reason}"
    figures["targets"] = {"steps_a_second": TARGET_STEPS_A_SECOND, "ratio": TARGET_RATIO}
    return figures


def parts(machine: Machine) -> list[tuple[str, Callable[[], None]]]:
    listed: list[tuple[str, Callable[[], None]]] = []
    for game in GAMES:
        name = "-".join(game) if game[0] else "psnr"
        listed.append((f"recorded steps, {name}", lambda game=game: check_recorded_steps(machine, game)))
        listed.append((f"going on, {name}", lambda game=game: check_going_on(machine, game)))
    listed.append(("bfloat16 learns", lambda: check_bfloat16_learns(machine)))
    listed.append(("a whole run", lambda: check_a_whole_run(machine)))
    return listed


def main() -> int:
    parser = argparse.ArgumentParser(description="Prove and measure training on an NVIDIA GPU.")
    parser.add_argument("--dry-run", action="store_true", help="small networks on the CPU")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    parser.add_argument("--only-speed", action="store_true")
    arguments = parser.parse_args()
    if not arguments.dry_run and not torch.cuda.is_available():
        print("torch sees no CUDA device here; try --dry-run", file=sys.stderr)
        return 2
    machine, failed = Machine(arguments.dry_run), 0
    for name, part in [] if arguments.only_speed else parts(machine):
        begun = time.perf_counter()
        try:
            part()
            verdict = "kept"
        except LeftOut as reason:
            verdict = f"left out: {reason}"
        except Exception as error:  # the other parts shall be heard as well
            verdict, failed = f"BROKEN: {type(error).__name__}: {error}", failed + 1
        print(f"{name}: {verdict} ({time.perf_counter() - begun:.1f} s)", flush=True)
    figures = measure(machine)
    print(json.dumps(figures, indent=2))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

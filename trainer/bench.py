"""How fast a configuration trains, beside a straightforward loop of the same network, batch and crop, in one run.

Two processes take turns. One trains as `pellucid train` does: loader processes, native damage, the precision and layout
of the configuration. The other is what one would write first: eager float32, torch's defaults, the pictures damaged by
torch operations as public training code does it; it is given its crops decoded, for nothing. Processor time counts
everything that a side's processes burn, the loader's too; it says more than the clock on a machine with other work.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal, cast

import msgspec
import psutil

from engine.errors import Code, PellucidError
from engine.wire_training import TrainingConfig, format_config, parse_config

Side = Literal["pellucid", "plain", "repaired"]
"""`plain` damages as public code does; `repaired` without its two worst costs: one separable unsharp mask, no pool."""

PUBLIC_CROP = 400
"""Side of the sharp picture that the public pipeline damages, whatever the network sees of it in the end."""
PUBLIC_LARGEST = 256
"""Side of the crop that it hands on."""
DAMAGES = ("real-esrgan", "bicubic")


@dataclass(frozen=True, slots=True)
class Stretch:
    """Some iterations of one side."""

    iterations: int
    cpu_seconds: float
    wall_seconds: float
    waited_seconds: float
    """Of the wall time, waiting for a batch; the plain loop damages in line and never waits."""


@dataclass(frozen=True, slots=True)
class Rate:
    """Medians over the rounds."""

    side: Side
    per_cpu_second: float
    per_second: float
    loader_wait: float


def opponents(config: TrainingConfig) -> list[Side]:
    """Which plain loops there are for this configuration's damage."""
    damage = "pairs" if config.data.source == "pairs" else config.data.recipe
    if damage not in DAMAGES:
        raise PellucidError(
            Code.USAGE,
            f"There is no plain loop for the damage {damage}.",
            f"Choose a configuration whose data.recipe is {' or '.join(DAMAGES)}.",
        )
    if config.stages[0].gan is not None or any(loss.kind not in ("l1", "l2") for loss in config.stages[0].losses):
        raise PellucidError(
            Code.USAGE,
            "The plain loop knows L1 and L2 alone.",
            "Choose a configuration whose first stage has no GAN and no other loss.",
        )
    if config.data.recipe == "real-esrgan" and config.data.crop > PUBLIC_LARGEST:
        raise PellucidError(
            Code.USAGE, f"The public pipeline gives crops of {PUBLIC_LARGEST} at most, not {config.data.crop}."
        )
    return ["plain", "repaired"] if config.data.recipe == "real-esrgan" else ["plain"]


def compare(config: TrainingConfig, rounds: int, seconds: float, tell: Callable[[Side, Stretch], None]) -> list[Rate]:
    """Let the sides take turns for `rounds`, each turn about `seconds` long; `tell` hears each stretch."""
    sides: list[Side] = ["pellucid", *opponents(config)]
    with tempfile.TemporaryDirectory() as folder:
        config = _with_pictures(config, Path(folder))
        file = Path(folder) / "config.toml"
        file.write_text(format_config(config), encoding="utf-8")
        contestants = [_Contestant(side, file, seconds) for side in sides]
        try:
            for contestant in contestants:
                contestant.warm_up()
            for _ in range(rounds):
                for contestant in contestants:
                    stretch = contestant.run()
                    tell(contestant.side, stretch)
            return [contestant.rate() for contestant in contestants]
        finally:
            for contestant in contestants:
                contestant.end()


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


def _with_pictures(config: TrainingConfig, folder: Path) -> TrainingConfig:
    """The configuration with drawn pictures where it names none, and without validation."""
    replace = msgspec.structs.replace
    data = config.data
    if not data.train:
        import numpy as np
        from PIL import Image

        random = np.random.default_rng(1)
        for number in range(16):
            small = random.integers(0, 256, (40, 40, 3), dtype=np.uint8)
            picture = np.asarray(Image.fromarray(small).resize((640, 640), Image.Resampling.BICUBIC)).astype(np.int16)
            picture += random.integers(-12, 13, picture.shape, dtype=np.int16)
            Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(folder / f"{number}.png")
        data = replace(data, train=[str(folder)])
    return replace(config, data=data, validation=replace(config.validation, folders=[], every=0))


class _Contestant:
    """One side's process, which works on request."""

    def __init__(self, side: Side, config: Path, seconds: float) -> None:
        self.side = side
        self._seconds = seconds
        self._iterations = 1
        self._stretches: list[Stretch] = []
        self._process = subprocess.Popen(
            [sys.executable, "-m", "trainer.bench", side, str(config)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def warm_up(self) -> None:
        """Let everything be built and chosen, and find out how many iterations fill a turn."""
        first, second = (8, 8) if _has_gpu() else (2, 1)  # a GPU chooses its algorithms and records its steps first
        self._ask(first)
        stretch = self._ask(second)
        self._iterations = max(1, round(self._seconds / (stretch.wall_seconds / stretch.iterations)))

    def run(self) -> Stretch:
        stretch = self._ask(self._iterations)
        self._stretches.append(stretch)
        return stretch

    def _ask(self, iterations: int) -> Stretch:
        requests, answers = cast(IO[str], self._process.stdin), cast(IO[str], self._process.stdout)
        try:
            requests.write(f"{iterations}\n")
            requests.flush()
            answer = json.loads(answers.readline())
        except (BrokenPipeError, ValueError) as error:
            raise PellucidError(
                Code.INTERNAL, f"The process of {self.side} ended before it had answered.", "Its words are above."
            ) from error
        return Stretch(iterations, *answer)

    def rate(self) -> Rate:
        def median(value: Callable[[Stretch], float]) -> float:
            return statistics.median(value(stretch) for stretch in self._stretches)

        return Rate(
            self.side,
            median(lambda stretch: stretch.iterations / stretch.cpu_seconds),
            median(lambda stretch: stretch.iterations / stretch.wall_seconds),
            median(lambda stretch: stretch.waited_seconds / stretch.wall_seconds),
        )

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()


# --------------------------------------------------------------------------------------- inside a contestant's process


def _serve(step: Callable[[], float], settle: Callable[[], None]) -> None:
    """Answer each number of iterations read from standard input with CPU, wall and waiting seconds."""
    for line in sys.stdin:
        settle()
        cpu, wall, waited = _cpu_seconds(), time.perf_counter(), 0.0
        for _ in range(int(line)):
            waited += step()
        wall = time.perf_counter() - wall
        # What the loader prepared ahead was paid for before, and is prepared again now: that belongs to this turn.
        settle()
        print(json.dumps([_cpu_seconds() - cpu, wall, waited]), flush=True)


def _cpu_seconds() -> float:
    """Of this process and its children."""
    own = psutil.Process()
    return sum(sum(process.cpu_times()[:2]) for process in [own, *own.children(recursive=True)])


def _train_as_pellucid(config: TrainingConfig, folder: Path) -> None:
    from trainer.speed import prepare_process

    prepare_process()
    import torch

    from trainer.data import gather_pictures, make_damage, make_source
    from trainer.devices import make_compute
    from trainer.generator import build_generator
    from trainer.loader import Loader, choose_workers
    from trainer.processes import Processes
    from trainer.steps import build_step

    compute = make_compute(config, Processes())
    step = build_step(build_generator(config.model, config.seed), config.stages[0], compute, config.data.crop)
    on_device = config.data.damage_on == "device"
    damage = make_damage(config) if on_device else None
    source = make_source(config, gather_pictures(config), folder / "pixels.cache", not on_device)
    on_card = compute.device.type == "cuda"
    loader = Loader(source, 0, choose_workers(config.data.workers, compute.device.type), config.data.prefetch, on_card)

    def run_step() -> float:
        batch = loader.next()
        target, damaged = batch.target, batch.damaged
        if batch.plan is not None and damage is not None:
            target, damaged = damage.on_device(target.to(compute.device, non_blocking=True), batch.plan)
        step.run(target, damaged)
        waited, loader.waited = loader.waited, 0.0
        return waited

    def settle() -> None:
        """Until the device has done everything and the loader has prepared all that it may."""
        if on_card:
            torch.cuda.synchronize()
        before = -1.0
        while (now := _cpu_seconds()) - before > 0.005:
            before = now
            time.sleep(0.25)

    _serve(run_step, settle)


def _train_plainly(config: TrainingConfig, side: Side) -> None:
    """No setting of any library is touched: this is what one gets by writing it down."""
    import numpy as np
    import torch
    from torch import Tensor
    from torch.nn import functional

    from engine.degrade.torch_pipeline import TorchPipeline
    from trainer.data import gather_pictures
    from trainer.generator import build_generator
    from trainer.pixels import read_pixels

    stage, data, scale = config.stages[0], config.data, config.model.scale
    device = torch.device("cuda" if config.speed.device != "cpu" and torch.cuda.is_available() else "cpu")
    network = build_generator(config.model, config.seed).to(device)
    optimizer = torch.optim.Adam(network.parameters(), lr=stage.optimizer.learning_rate, betas=stage.optimizer.betas)
    averages = {name: value.detach().clone() for name, value in network.named_parameters()}
    distance = functional.l1_loss if stage.losses[0].kind == "l1" else functional.mse_loss
    random = np.random.default_rng(config.seed)
    second_order = data.recipe == "real-esrgan"
    side_length = data.crop
    if second_order:
        side_length = PUBLIC_CROP if side == "plain" else data.crop + 2 * data.context
    pipeline = TorchPipeline(device, repaired=side == "repaired", sharpen=True)
    pictures = [read_pixels(picture.target) for picture in gather_pictures(config).train[:16]]
    crops = []
    for number in range(4 * data.batch):
        picture = pictures[number % len(pictures)]
        top, left = (int(random.integers(0, max(1, length - side_length + 1))) for length in picture.shape[:2])
        part = picture[top : top + side_length, left : left + side_length]
        part = np.pad(part, [(0, side_length - part.shape[0]), (0, side_length - part.shape[1]), (0, 0)], "reflect")
        crops.append(torch.from_numpy(part.copy()).permute(2, 0, 1).float() / 255.0)

    def damaged_batch() -> tuple[Tensor, Tensor]:
        chosen = random.choice(len(crops), data.batch, replace=False)
        sharp = torch.stack([crops[int(place)] for place in chosen]).to(device)
        if not second_order:
            small = functional.interpolate(sharp, scale_factor=1 / scale, mode="bicubic", antialias=True)
            return (small * 255).round().clip(0, 255) / 255, sharp
        low, high = pipeline(sharp)
        length = data.crop // scale
        top, left = (int(random.integers(0, side - length + 1)) for side in low.shape[2:])
        high = high[:, :, top * scale : (top + length) * scale, left * scale : (left + length) * scale]
        return low[:, :, top : top + length, left : left + length].contiguous(), high.contiguous()

    def run_step() -> float:
        low, high = damaged_batch()
        optimizer.zero_grad()
        loss = distance(network(low), high)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if stage.ema:
            with torch.no_grad():
                for name, value in network.named_parameters():
                    averages[name].mul_(stage.ema).add_(value, alpha=1 - stage.ema)
        loss.item()
        return 0.0

    def settle() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize()

    _serve(run_step, settle)


def main(words: list[str]) -> int:
    side, file = cast(Side, words[0]), Path(words[1])
    config = parse_config(file.read_text(encoding="utf-8"), file.name)
    if side == "pellucid":
        _train_as_pellucid(config, file.parent)
    else:
        _train_plainly(config, side)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

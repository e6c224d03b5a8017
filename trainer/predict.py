"""What a training will take, measured by three real steps of each stage before it starts."""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch

from engine.wire_training import TrainingConfig
from trainer.config import stage_name
from trainer.data import TrainingPictures, gather_pictures, make_source
from trainer.devices import make_compute
from trainer.generator import build_generator, describe_generator
from trainer.loader import choose_workers
from trainer.processes import Processes
from trainer.replay import WARM_UP
from trainer.steps import build_step

STEPS = 3
"""The first one warms up and is not counted; where steps are recorded, those up to the recording are not either."""


@dataclass(frozen=True, slots=True)
class StagePrediction:
    name: str
    iterations: int
    seconds_per_iteration: float


@dataclass(frozen=True, slots=True)
class Prediction:
    device: str
    precision: str
    parameters: int
    pictures: int
    notices: list[str]
    stages: list[StagePrediction]
    loader_seconds: float
    """To prepare one batch, in one process."""
    workers: int
    memory_mb: float
    """Most memory of the process, or of the card, during the steps."""
    available_mb: float

    @property
    def seconds(self) -> float:
        """The whole run, without validation: whichever of trainer and loader is slower."""
        feeding = self.loader_seconds / max(self.workers, 1)
        return sum(
            stage.iterations
            * (max(stage.seconds_per_iteration, feeding) if self.workers else stage.seconds_per_iteration + feeding)
            for stage in self.stages
        )

    @property
    def fits(self) -> bool:
        return self.memory_mb <= self.available_mb


def predict(config: TrainingConfig) -> Prediction:
    """Runs three steps of every stage on real batches; writes nothing that stays."""
    compute = make_compute(config, Processes())
    pictures = gather_pictures(config)
    facts = describe_generator(config.model)
    available = _available_mb(compute.device)
    if compute.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(compute.device)
    batches, loader_seconds = _time_loader(config, pictures)
    stages = []
    for number, stage in enumerate(config.stages):
        step = build_step(build_generator(config.model, config.seed), stage, compute, config.data.crop)
        seconds = []
        for number_of_step in range(STEPS + (WARM_UP if compute.graphs else 0)):
            target, damaged = batches[number_of_step % STEPS]
            begun = time.perf_counter()
            step.run(target, damaged)
            seconds.append(time.perf_counter() - begun)
        step.close()
        per_step = sum(seconds[1 - STEPS :]) / (STEPS - 1)
        stages.append(StagePrediction(stage_name(config, number), stage.iterations, per_step))
    return Prediction(
        device=torch.cuda.get_device_name(compute.device) if compute.device.type == "cuda" else "cpu",
        precision="bf16" if compute.bf16 else "fp32",
        parameters=facts.parameters,
        pictures=len(pictures.train),
        notices=pictures.notices,
        stages=stages,
        loader_seconds=loader_seconds,
        workers=choose_workers(config.data.workers, compute.device.type),
        memory_mb=_peak_mb(compute.device),
        available_mb=available,
    )


def _time_loader(
    config: TrainingConfig, pictures: TrainingPictures
) -> tuple[list[tuple[torch.Tensor, torch.Tensor]], float]:
    """Three batches, and how long the last two took."""
    with tempfile.TemporaryDirectory() as folder:
        source = make_source(config, pictures, Path(folder) / "pixels.cache")
        batches, seconds = [], 0.0
        for position in range(STEPS):
            begun = time.perf_counter()
            batch = source[position]
            batches.append((batch.target, batch.damaged))
            if position:
                seconds += time.perf_counter() - begun
        source.cache.remove()
    return batches, seconds / (STEPS - 1)


def _peak_mb(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved(device) / 2**20
    if sys.platform == "win32":
        return float(psutil.Process().memory_info().peak_wset) / 2**20
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def _available_mb(device: torch.device) -> float:
    """What this process may still take, with what it has."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free / 2**20
    own = psutil.Process().memory_info().rss
    return float(psutil.virtual_memory().available + own) / 2**20

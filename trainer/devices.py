"""What a training computes on, in which numbers, and shared by how many processes."""

from __future__ import annotations

import psutil
import torch

from engine.errors import Code, PellucidError
from engine.wire_training import TrainingConfig
from trainer.processes import Processes
from trainer.speed import cores
from trainer.steps import Compute


def choose_device(wanted: str, processes: Processes) -> torch.device:
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(wanted)
    except RuntimeError as error:
        raise PellucidError(Code.CONFIG, f"speed.device = {wanted} is no device.", key="speed.device") from error
    if device.type == "cuda":
        if not torch.cuda.is_available():
            raise PellucidError(
                Code.BACKEND_UNAVAILABLE, f"speed.device = {wanted}, but torch finds no CUDA device.", device=wanted
            )
        index = device.index if device.index is not None else processes.local_rank
        if index >= torch.cuda.device_count():
            raise PellucidError(
                Code.BACKEND_UNAVAILABLE,
                f"speed.device = {wanted} would be CUDA device {index}, but there are {torch.cuda.device_count()}.",
                device=wanted,
            )
        device = torch.device("cuda", index)
        torch.cuda.set_device(device)
    return device


def computes_bf16(device: torch.device) -> bool:
    """Whether bf16 is arithmetic here, not emulation."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def make_compute(config: TrainingConfig, processes: Processes) -> Compute:
    speed = config.speed
    device = choose_device(speed.device, processes)
    if device.type == "cpu":
        torch.set_num_threads(speed.threads or max(1, cores() // processes.count))
    torch.use_deterministic_algorithms(speed.deterministic)
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = not speed.deterministic
        torch.backends.cuda.matmul.allow_tf32 = True
        torch.backends.cudnn.allow_tf32 = True
    bf16 = speed.precision == "bf16" or (speed.precision == "auto" and computes_bf16(device))
    # Several processes talk inside a step, and a recording that is checked draws on random streams once more.
    graphs = device.type == "cuda" and speed.cuda_graphs and processes.count == 1
    return Compute(
        device,
        bf16,
        speed.channels_last,
        speed.compile,
        graphs and not speed.compile and not speed.deterministic,
        processes.rank,
        processes.count,
        seed=config.seed,
    )


def check_shares(config: TrainingConfig, processes: int) -> None:
    """Every process takes the same part of a batch, in equal pieces, or gradients would not mean what they say."""
    for stage in config.stages:
        parts = processes * stage.accumulate
        if config.data.batch % parts:
            raise PellucidError(
                Code.CONFIG,
                f"A batch of {config.data.batch} pictures cannot be shared evenly by {processes} processes"
                + (f" in {stage.accumulate} parts each." if stage.accumulate > 1 else "."),
                f"Start as many processes as divide it, or a run whose data.batch is a multiple of {parts}.",
                key="data.batch",
            )


def memory_mb(device: torch.device) -> float:
    """Most of the card's memory taken so far, or what the process has now."""
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved(device) / 2**20
    return float(psutil.Process().memory_info().rss) / 2**20

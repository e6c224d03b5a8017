"""Two processes under torchrun train what one trains with the same whole batch, but for the order of additions."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch

from engine.errors import PellucidError
from engine.wire_training import (
    CheckpointSaved,
    Event,
    Finished,
    OptimizerConfig,
    RunStarted,
    ScheduleConfig,
    StageConfig,
)
from tests.trainer.tiny import gan_stage, tiny_config
from trainer.devices import check_shares
from trainer.rundir import RunFolder
from trainer.worker import work

BOUND = 2e-6
"""Largest difference of any weight after the run, weights being of the size 0.1."""


def launch(run: Path, processes: int = 2, restarts: int = 0) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    command.append(f"--max-restarts={restarts}")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    return subprocess.Popen(
        [*command, "-m", "trainer.worker", str(run)],
        env=environment,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )


def final(run: RunFolder) -> dict[str, Any]:
    state, _ = run.load_latest()
    assert state is not None
    return state


def furthest(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    return max(float((value - other[name]).abs().max()) for name, value in one.items())


def slow_schedule(stage: StageConfig) -> StageConfig:
    # Adam divides by the gradient's own size, so the first steps would turn rounding into signs: keep them small.
    optimizer = OptimizerConfig(learning_rate=1e-4, epsilon=1e-4)
    gan = stage.gan
    if gan is not None:
        gan = msgspec.structs.replace(gan, optimizer=optimizer)
    return msgspec.structs.replace(stage, optimizer=optimizer, gan=gan, schedule=ScheduleConfig(kind="constant"))


@pytest.mark.parametrize(
    "game", [pytest.param("", marks=pytest.mark.slow), "relativistic", pytest.param("wgan-gp", marks=pytest.mark.slow)]
)
def test_two_processes_equal_one(game: str, photos: Path, tmp_path: Path) -> None:
    kind = "patch" if game == "wgan-gp" else "unet-sn"
    stage = slow_schedule(gan_stage(6, game, kind) if game else StageConfig(iterations=6, accumulate=2))
    config = tiny_config(photos, stages=[stage], recipe="real-esrgan", workers=0)
    config = msgspec.structs.replace(config, speed=msgspec.structs.replace(config.speed, precision="fp32"))
    one, two = RunFolder(tmp_path / "one"), RunFolder(tmp_path / "two")
    one.create(config)
    two.create(config)
    assert work(one.path) == 0
    process = launch(two.path)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    starts = [event for event, _ in two.events() if isinstance(event, RunStarted)]
    assert [event.processes for event in starts] == [2]
    assert isinstance([event for event, _ in two.events()][-1], Finished)
    for part in ("generator", "discriminator"):
        if part in final(one)["step"]:
            assert furthest(final(one)["step"][part], final(two)["step"][part]) < BOUND
    assert final(one)["place"]["position"] == final(two)["place"]["position"]


@pytest.mark.slow
def test_a_process_that_is_killed_is_restarted_and_all_go_on_together(photos: Path, tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    run.create(tiny_config(photos, stages=[StageConfig(iterations=100_000)]))
    agent = launch(run.path, restarts=1)
    try:
        wait_for(run, lambda events: any(isinstance(e, CheckpointSaved) and e.iteration >= 6 for e in events))
        first = next(event for event, _ in run.events() if isinstance(event, RunStarted))
        os.kill(first.pid, signal.SIGKILL)
        wait_for(run, lambda events: sum(isinstance(event, RunStarted) for event in events) == 2)
        second = [event for event, _ in run.events() if isinstance(event, RunStarted)][-1]
        assert second.resumed
        assert second.iteration >= 6
        assert second.processes == 2
    finally:
        agent.terminate()
        agent.communicate(timeout=60)
    assert run.owner() is None


def wait_for(run: RunFolder, wanted: Callable[[list[Event]], bool]) -> None:
    deadline = time.monotonic() + 120
    while not wanted([event for event, _ in run.events()]):
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.1)


@pytest.mark.parametrize(("batch", "accumulate", "processes"), [(4, 1, 3), (4, 4, 2), (6, 1, 4)])
def test_a_batch_that_cannot_be_shared_evenly_is_refused(batch: int, accumulate: int, processes: int) -> None:
    config = tiny_config(Path("photos"), stages=[StageConfig(accumulate=accumulate)], batch=batch)
    with pytest.raises(PellucidError, match=f"{batch} pictures cannot be shared evenly by {processes} processes"):
        check_shares(config, processes)


@pytest.mark.parametrize(("batch", "accumulate", "processes"), [(4, 2, 2), (4, 4, 1), (6, 1, 3)])
def test_a_batch_that_can_be_shared_is_not(batch: int, accumulate: int, processes: int) -> None:
    check_shares(tiny_config(Path("photos"), stages=[StageConfig(accumulate=accumulate)], batch=batch), processes)

"""Training on a real GPU. Without one: the same checks run dry on the CPU, so that they stay able to run."""

from __future__ import annotations

import pytest
import torch

from tests.gpu.programs import load
from tests.one_thread import one_thread

__all__ = ["one_thread"]

checks = load("check_training")
on_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device here")


def run_part(machine: object, name: str) -> None:
    try:
        dict(checks.parts(machine))[name]()
    except checks.LeftOut as reason:
        pytest.skip(str(reason))


NAMES = [name for name, _ in checks.parts(checks.Machine(dry=True))]


@pytest.mark.gpu
@on_gpu
@pytest.mark.parametrize("name", NAMES)
def test_training_on_the_gpu_keeps_its_promises(name: str) -> None:
    run_part(checks.Machine(dry=False), name)


@pytest.mark.parametrize("name", NAMES)
def test_the_checks_run_dry(name: str) -> None:
    run_part(checks.Machine(dry=True), name)


def test_the_measurement_runs_dry() -> None:
    figures = checks.measure(checks.Machine(dry=True))
    for name in ("plain_fp32", "ours_one_by_one", "ours_recorded", "plain_fp32_with_public_damage"):
        assert figures[name] > 0, name

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch.optim import lr_scheduler as torch_schedules

from engine.wire_training import ScheduleConfig
from trainer.schedules import learning_rate_factor

BASE, LENGTH = 2e-4, 90


def torch_curve(build: Callable[[torch.optim.Optimizer], torch_schedules.LRScheduler]) -> list[float]:
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=BASE)
    schedule = build(optimizer)
    rates = []
    for _ in range(LENGTH):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return rates


CURVES: list[tuple[ScheduleConfig, Callable[[torch.optim.Optimizer], torch_schedules.LRScheduler]]] = [
    (ScheduleConfig(kind="constant"), lambda o: torch_schedules.ConstantLR(o, 1.0)),
    (
        ScheduleConfig(kind="cosine", minimum=0.05),
        lambda o: torch_schedules.CosineAnnealingLR(o, LENGTH, eta_min=0.05 * BASE),
    ),
    (
        ScheduleConfig(kind="cosine-restarts", period=20, minimum=0.01),
        lambda o: torch_schedules.CosineAnnealingWarmRestarts(o, 20, eta_min=0.01 * BASE),
    ),
    (
        ScheduleConfig(kind="cosine-restarts", period=10, period_growth=2),
        lambda o: torch_schedules.CosineAnnealingWarmRestarts(o, 10, T_mult=2),
    ),
    (
        ScheduleConfig(kind="multistep", milestones=[10, 30, 70], factor=0.5),
        lambda o: torch_schedules.MultiStepLR(o, [10, 30, 70], 0.5),
    ),
    (ScheduleConfig(kind="step", period=25, factor=0.1), lambda o: torch_schedules.StepLR(o, 25, 0.1)),
    (
        ScheduleConfig(kind="constant", warmup=15, warmup_start=0.1),
        lambda o: torch_schedules.LinearLR(o, 0.1, 1.0, 15),
    ),
]


@pytest.mark.parametrize(("config", "build"), CURVES, ids=lambda value: getattr(value, "kind", ""))
def test_curves_equal_those_of_torch(
    config: ScheduleConfig, build: Callable[[torch.optim.Optimizer], torch_schedules.LRScheduler]
) -> None:
    ours = [BASE * learning_rate_factor(config, iteration, LENGTH) for iteration in range(LENGTH)]
    assert ours == pytest.approx(torch_curve(build), rel=1e-9, abs=1e-15)


def test_warm_up_multiplies_the_curve_beneath_it() -> None:
    plain, warmed = ScheduleConfig(kind="cosine"), ScheduleConfig(kind="cosine", warmup=10)
    for iteration in range(10):
        expected = learning_rate_factor(plain, iteration, 100) * iteration / 10
        assert learning_rate_factor(warmed, iteration, 100) == pytest.approx(expected)
    assert learning_rate_factor(warmed, 10, 100) == learning_rate_factor(plain, 10, 100)

"""The learning rate as a function of the iteration: no state, so nothing to save and nothing to forget."""

from __future__ import annotations

import math

from engine.wire_training import ScheduleConfig


def learning_rate_factor(schedule: ScheduleConfig, iteration: int, length: int) -> float:
    """Factor of the base rate in step `iteration` (0-based) of a stage of `length` iterations.

    The warm-up multiplies the schedule, which runs beneath it from iteration 0.
    """
    return _warmup(schedule, iteration) * _decay(schedule, iteration, length)


def _warmup(schedule: ScheduleConfig, iteration: int) -> float:
    if iteration >= schedule.warmup:
        return 1.0
    return schedule.warmup_start + (1.0 - schedule.warmup_start) * iteration / schedule.warmup


def _decay(schedule: ScheduleConfig, iteration: int, length: int) -> float:
    match schedule.kind:
        case "constant":
            return 1.0
        case "cosine":
            period = schedule.period or length
            return _cosine(schedule.minimum, min(iteration, period) / period)
        case "cosine-restarts":
            position, period = iteration, schedule.period
            while position >= period:
                position -= period
                period *= schedule.period_growth
            return _cosine(schedule.minimum, position / period)
        case "multistep":
            return float(schedule.factor ** sum(iteration >= milestone for milestone in schedule.milestones))
        case "step":
            return float(schedule.factor ** (iteration // schedule.period))


def _cosine(minimum: float, progress: float) -> float:
    return minimum + (1.0 - minimum) * (1.0 + math.cos(math.pi * progress)) / 2.0

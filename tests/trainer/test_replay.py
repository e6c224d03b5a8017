"""Recorded steps do what steps done one by one do; a recording that does not is dropped.

There is no GPU here: the recorder below keeps the work and does it again on the tensors it was recorded on, which is
what a CUDA graph does as far as anyone can see from outside.
"""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from engine.wire_training import StageConfig
from tests.trainer.tiny import TINY_MODEL, gan_stage
from trainer import steps
from trainer.generator import build_generator
from trainer.replay import WARM_UP, Replay
from trainer.steps import Compute, GanStep, PsnrStep, build_step

STEPS = 7


class FakeRecorder:
    """Only the tensors of the first result are ever seen; a replay fills them anew. Gradients are put, not added."""

    def __init__(self, network: Callable[[], torch.nn.Module], spoil: Callable[[Tensor], Tensor] = lambda x: x) -> None:
        self.recorded = self.replayed = 0
        self._network, self._spoil = network, spoil

    def warm_up(self, work: Callable[[], Any]) -> Any:
        return work()

    def record(self, work: Callable[[], Any]) -> Any:
        self.recorded += 1
        self._work = work
        state = {name: value.clone() for name, value in self._network().state_dict().items()}
        self._result = work()
        self._network().load_state_dict(state)  # recording does nothing
        return self._result

    def replay(self) -> None:
        self.replayed += 1
        for parameter in self._network().parameters():
            parameter.grad = None
        for place, value in zip(tensors(self._result), tensors(self._work()), strict=True):
            place.copy_(value)
        self._result[0].copy_(self._spoil(self._result[0]))


def tensors(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    return [tensor for item in value for tensor in tensors(item)] if isinstance(value, (list, tuple)) else []


def batches() -> list[tuple[Tensor, Tensor]]:
    random = torch.Generator().manual_seed(5)
    sharp = [torch.randint(0, 256, (4, 32, 32, 3), dtype=torch.uint8, generator=random) for _ in range(STEPS)]
    return [(picture, picture[:, ::4, ::4].contiguous()) for picture in sharp]


def train(
    stage: StageConfig, monkeypatch: pytest.MonkeyPatch, recorders: list[FakeRecorder] | None, **spoiling: Any
) -> tuple[PsnrStep, list[dict[str, float]]]:
    def next_recorder(compute: Compute) -> FakeRecorder | None:
        if recorders is None:
            return None
        name = "generator" if not recorders else "discriminator"
        recorders.append(FakeRecorder(lambda: getattr(step, name), **spoiling))
        return recorders[-1]

    monkeypatch.setattr(steps.Compute, "recorder", next_recorder)
    step = build_step(build_generator(TINY_MODEL, 1), stage, Compute(torch.device("cpu"), seed=1), 32)
    return step, [step.run(*batch).losses for batch in batches()]


@pytest.mark.parametrize(
    "stage",
    [
        StageConfig(iterations=STEPS),
        StageConfig(iterations=STEPS, accumulate=2),
        gan_stage(STEPS, "relativistic", "patch"),
    ],
    ids=["psnr", "accumulated", "gan"],
)
def test_recorded_steps_train_the_same_weights(stage: StageConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, expected = train(stage, monkeypatch, None)
    recorders: list[FakeRecorder] = []
    recorded, losses = train(stage, monkeypatch, recorders)
    assert losses == expected
    assert [recorder.recorded for recorder in recorders] == [1] * (1 if stage.gan is None else 2)
    assert all(recorder.replayed == STEPS - WARM_UP + 1 for recorder in recorders)
    assert not recorded.notices
    for one, other in zip(plain.generator.parameters(), recorded.generator.parameters(), strict=True):
        assert torch.equal(one, other)
    if isinstance(plain, GanStep):
        assert isinstance(recorded, GanStep)
        for one, other in zip(plain.discriminator.parameters(), recorded.discriminator.parameters(), strict=True):
            assert torch.equal(one, other)


@pytest.mark.parametrize("spoil", [lambda x: x * 1.1, lambda x: x * float("nan")], ids=["wrong", "not a number"])
def test_a_recording_that_computes_something_else_is_dropped(
    spoil: Callable[[Tensor], Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = StageConfig(iterations=STEPS)
    _, expected = train(stage, monkeypatch, None)
    recorders: list[FakeRecorder] = []
    step, losses = train(stage, monkeypatch, recorders, spoil=spoil)
    assert losses == expected
    assert recorders[0].replayed == 1
    assert len(step.notices) == 1
    assert "not recorded" in step.notices[0]


def test_work_that_cannot_be_recorded_is_done_one_by_one() -> None:
    class Refusing(FakeRecorder):
        def record(self, work: Callable[[], Any]) -> Any:
            raise RuntimeError("operation not permitted when stream is capturing\nand more")

    told: list[str] = []
    layer = torch.nn.Linear(1, 1)
    replay = Replay(lambda x: (x * 2, None), lambda: None, told.append, Refusing(lambda: layer))
    values = [replay(torch.tensor([float(number)]))[0].item() for number in range(6)]
    assert values == [0, 2, 4, 6, 8, 10]
    assert told == [
        "Steps are not recorded on this GPU and take longer: operation not permitted when stream is capturing."
    ]


@pytest.mark.parametrize("stage", [StageConfig(iterations=STEPS), gan_stage(STEPS)], ids=["psnr", "gan"])
def test_a_closed_step_is_gone_at_once_and_its_memory_with_it(
    stage: StageConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorders: list[FakeRecorder] = []
    step, _ = train(stage, monkeypatch, recorders)
    seen = [weakref.ref(step), weakref.ref(step.generator), *(weakref.ref(recorder) for recorder in recorders)]
    for recorder in recorders:
        recorder._network = lambda: torch.nn.Identity()  # the closure of this test, not of the step
    gc.disable()
    try:
        step.close()
        del step, recorder
        recorders.clear()
        monkeypatch.undo()  # what stands in for `recorder` knows the step too
        assert [reference() for reference in seen] == [None] * len(seen)
    finally:
        gc.enable()

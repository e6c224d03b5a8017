from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
import torch

from engine.wire_training import (
    Event,
    NonFinite,
    OptimizerConfig,
    RolledBack,
    RunFailed,
    SafetyConfig,
    StageConfig,
    TrainingConfig,
    Validated,
)
from tests.trainer.tiny import gan_stage, tiny_config
from trainer import steps
from trainer.rundir import RunFolder
from trainer.watchdog import Watchdog
from trainer.worker import work

STILL = (0.0, 0.0, 0.0)


def test_lasting_colour_drift_is_named_by_channel_and_direction() -> None:
    watchdog = Watchdog(SafetyConfig(colour_drift=5.0))
    sentence = None
    for _ in range(600):
        sentence = sentence or watchdog.see_step({}, (0.0, 0.04, -0.001))
    assert sentence is not None
    assert "green" in sentence
    assert "more" in sentence


def test_shifts_that_average_out_are_no_drift() -> None:
    watchdog = Watchdog(SafetyConfig(colour_drift=5.0))
    for number in range(2000):
        assert watchdog.see_step({}, (0.2 * (-1) ** number, 0.0, 0.0)) is None


def test_a_discriminator_that_is_always_right_is_noticed_after_some_patience() -> None:
    watchdog = Watchdog(SafetyConfig(patience=10))
    sure = {"accuracy_real": 1.0, "accuracy_fake": 1.0}
    assert all(watchdog.see_step(sure, STILL) is None for _ in range(9))
    assert "discriminator" in (watchdog.see_step(sure, STILL) or "")
    watchdog.reset()
    for number in range(100):
        assert watchdog.see_step(sure if number % 5 else {"accuracy_real": 0.5, "accuracy_fake": 1.0}, STILL) is None


def test_a_fall_of_validation_is_measured_against_its_best() -> None:
    watchdog = Watchdog(SafetyConfig(validation_drop=1.0))
    assert [watchdog.see_validation(value) for value in (20.0, 25.0, 24.2, None)] == [None] * 4
    assert "24.0" not in (watchdog.see_validation(23.9) or "")
    assert "25.00 dB" in (watchdog.see_validation(23.9) or "")


def test_a_network_that_stands_still_below_bicubic_is_told_once_and_the_way_out_with_it() -> None:
    watchdog = Watchdog(SafetyConfig())
    told = [watchdog.see_standstill(psnr, 28.43) for psnr in (26.1, 26.25827, 26.25827, 26.25827, 26.25827)]
    assert [sentence is not None for sentence in told] == [False, False, False, True, False]
    assert "26.26 dB" in (told[3] or "")
    assert "lower learning rate" in (told[3] or "")


def test_a_network_that_moves_or_beats_bicubic_does_not_stand_still() -> None:
    watchdog = Watchdog(SafetyConfig())
    assert not any(watchdog.see_standstill(26.0 + 0.002 * number, 28.43) for number in range(20))
    assert not any(watchdog.see_standstill(29.0, 28.43) for _ in range(20))
    assert watchdog.see_standstill(None, 28.43) is None
    assert watchdog.see_standstill(26.0, None) is None


def test_its_memory_survives_a_checkpoint() -> None:
    one, two = Watchdog(SafetyConfig()), Watchdog(SafetyConfig())
    for _ in range(50):
        one.see_step({}, (0.01, 0.02, 0.03))
    one.see_validation(30.0)
    two.load_state_dict(msgspec.json.decode(msgspec.json.encode(one.state_dict())))
    assert one.state_dict() == two.state_dict()


def test_close_to_a_limit_is_no_place_to_return_to() -> None:
    watchdog = Watchdog(SafetyConfig(validation_drop=2.0, patience=10, colour_drift=5.0))
    watchdog.see_validation(30.0)
    assert watchdog.is_calm(30.0)
    assert watchdog.is_calm(28.5)
    assert not watchdog.is_calm(28.3)
    for _ in range(9):
        watchdog.see_step({"accuracy_real": 1.0, "accuracy_fake": 1.0}, STILL)
    assert not watchdog.is_calm(30.0)
    watchdog.see_step({"accuracy_real": 0.5, "accuracy_fake": 0.5}, STILL)
    assert watchdog.is_calm(30.0)
    for _ in range(400):
        assert watchdog.see_step({}, (4.5 / 255, 0.0, 0.0)) is None
    assert not watchdog.is_calm(30.0)


def run(config: TrainingConfig, folder: Path) -> tuple[int, list[Event]]:
    run_folder = RunFolder(folder)
    run_folder.create(config)
    heard: list[Event] = []
    return work(folder, heard.append), heard


def poison(monkeypatch: pytest.MonkeyPatch, bad: set[int]) -> None:
    """Make the loss NaN in the steps numbered so, counted over the whole process."""
    count = 0
    honest = steps.WeightedLosses.forward

    def forward(self: steps.WeightedLosses, output: torch.Tensor, target: torch.Tensor) -> dict[str, torch.Tensor]:
        nonlocal count
        count += 1
        values = honest(self, output, target)
        return {name: value * float("nan") for name, value in values.items()} if count in bad else values

    monkeypatch.setattr(steps.WeightedLosses, "forward", forward)


@pytest.mark.parametrize("gan", [False, True])
def test_single_bad_steps_are_left_out_and_counted(
    gan: bool, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison(monkeypatch, {3, 5, 6})
    config = tiny_config(photos, stages=[gan_stage(9) if gan else StageConfig(iterations=9)])
    code, events = run(config, tmp_path / "run")
    assert code == 0
    bad = [(event.iteration, event.in_a_row) for event in events if isinstance(event, NonFinite)]
    assert bad == [(3, 1), (5, 1), (6, 2)]
    assert not any(isinstance(event, RolledBack) for event in events)


def test_too_many_bad_steps_roll_back_with_half_the_rate(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison(monkeypatch, {5, 6, 7})
    stage = StageConfig(iterations=9, optimizer=OptimizerConfig(learning_rate=1e-3))
    config = msgspec.structs.replace(
        tiny_config(photos, stages=[stage]), safety=SafetyConfig(nonfinite_limit=3, rollbacks=2)
    )
    code, events = run(config, tmp_path / "run")
    assert code == 0
    (back,) = [event for event in events if isinstance(event, RolledBack)]
    assert (back.iteration, back.abandoned, back.learning_rate_factor) == (3, 7, 0.5)
    assert "not a number" in back.reason
    state, _ = RunFolder(tmp_path / "run").load_latest()
    assert state is not None
    assert state["step"]["rate_factor"] == 0.5
    assert state["place"]["position"] == 9 + 4  # the batches of the abandoned steps do not come again


def test_losses_that_are_no_numbers_cost_no_more_than_the_newest_checkpoint_unless_they_come_again(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison(monkeypatch, {7, 8, 9, 10, 11, 12})
    config = tiny_config(photos, stages=[StageConfig(iterations=9)])
    config = msgspec.structs.replace(
        config,
        validation=msgspec.structs.replace(config.validation, every=5),
        save=msgspec.structs.replace(config.save, every=1),
        safety=SafetyConfig(nonfinite_limit=3, rollbacks=2),
    )
    code, events = run(config, tmp_path / "run")
    assert code == 0
    assert [event.iteration for event in events if isinstance(event, RolledBack)] == [6, 5]


@pytest.mark.parametrize("bad", [set(), {7}, {8}], ids=["numbers only", "a step before", "the very step"])
def test_a_collapse_rolls_back_to_before_it_and_is_never_taken_for_the_best(
    bad: set[int], photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checkpoints are written between the collapse and the validation that finds it. A single loss that is no number,
    just before, is no reason to trust the newest of them."""
    poison(monkeypatch, bad)
    count = 0
    honest = steps.PsnrStep.run

    def collapse(self: steps.PsnrStep, target: torch.Tensor, damaged: torch.Tensor) -> steps.StepResult:
        nonlocal count
        count += 1
        if count == 5:
            with torch.no_grad():
                for network in (self.generator, self.best_network):
                    for parameter in network.parameters():
                        parameter.mul_(-3.0)
        return honest(self, target, damaged)

    monkeypatch.setattr(steps.PsnrStep, "run", collapse)
    config = tiny_config(photos, stages=[StageConfig(iterations=12, ema=0.0)])
    config = msgspec.structs.replace(
        config,
        validation=msgspec.structs.replace(config.validation, every=4),
        save=msgspec.structs.replace(config.save, every=1),
        safety=SafetyConfig(colour_drift=0.0),
    )
    code, events = run(config, tmp_path / "run")
    assert code == 0
    (back,) = [event for event in events if isinstance(event, RolledBack)]
    assert (back.iteration, back.abandoned) == (4, 8)
    scores = {event.iteration: event.metrics["psnr"] for event in events if isinstance(event, Validated)}
    assert scores[12] > scores[4] - 1.0
    state, problems = RunFolder(tmp_path / "run").load_latest()
    assert state is not None
    assert not problems
    assert state["watchdog"]["best"] > scores[4] - 1.0


def test_a_run_that_keeps_failing_ends_in_a_sentence_on_its_last_good_checkpoint(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    poison(monkeypatch, set(range(5, 1000)))
    config = msgspec.structs.replace(
        tiny_config(photos, stages=[StageConfig(iterations=50)]), safety=SafetyConfig(nonfinite_limit=2, rollbacks=2)
    )
    code, events = run(config, tmp_path / "run")
    assert code == 1
    assert sum(isinstance(event, RolledBack) for event in events) == 2
    last = events[-1]
    assert isinstance(last, RunFailed)
    assert "not a number" in last.message
    assert "iteration 3" in last.message
    assert "not a number" in capsys.readouterr().err
    state, problems = RunFolder(tmp_path / "run").load_latest()
    assert state is not None
    assert not problems
    assert all(torch.isfinite(value).all() for value in state["step"]["generator"].values())


def test_a_run_that_diverges_for_real_is_caught(photos: Path, tmp_path: Path) -> None:
    stage = StageConfig(iterations=300, optimizer=OptimizerConfig(learning_rate=1e12))
    config = msgspec.structs.replace(
        tiny_config(photos, stages=[stage]), safety=SafetyConfig(nonfinite_limit=3, rollbacks=1, colour_drift=0.0)
    )
    code, events = run(config, tmp_path / "run")
    assert code == 1
    assert isinstance(events[-1], RunFailed)

from __future__ import annotations

import copy
from collections.abc import Mapping

import numpy as np
import pytest
import torch

from engine.wire_training import GanConfig, LossConfig, ModelConfig, OptimizerConfig, ScheduleConfig, StageConfig
from tests.trainer.tiny import TINY_MODEL, gan_stage
from trainer.ema import AveragedWeights
from trainer.generator import build_generator
from trainer.steps import Compute, GanStep, PsnrStep, build_step

CPU = Compute(torch.device("cpu"), channels_last=True)
State = dict[str, torch.Tensor]


def batch(count: int = 4, crop: int = 32, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    small = torch.randint(0, 256, (count, crop // 4, crop // 4, 3), generator=generator, dtype=torch.uint8)
    large = small.repeat_interleave(4, 1).repeat_interleave(4, 2)
    noise = torch.randint(0, 30, large.shape, generator=generator, dtype=torch.uint8)
    return (large // 2 + noise), small // 2


def copied(network: torch.nn.Module) -> State:
    return copy.deepcopy(network.state_dict())


def same(before: Mapping[str, torch.Tensor], after: Mapping[str, torch.Tensor]) -> bool:
    return all(torch.equal(value, after[name]) for name, value in before.items())


GAMES = [("vanilla", "unet-sn"), ("relativistic", "vgg"), ("wgan-gp", "patch"), ("hinge", "unet-sn"), ("lsgan", "vgg")]


@pytest.mark.parametrize(("loss", "kind"), GAMES)
def test_the_generators_part_leaves_the_discriminator_untouched(loss: str, kind: str) -> None:
    step = GanStep(build_generator(TINY_MODEL, 1), gan_stage(10, loss, kind), CPU, 32)
    step._discriminator_part = lambda pairs, losses: True
    judge, maker = copied(step.discriminator), copied(step.generator)
    step.run(*batch())
    assert same(judge, step.discriminator.state_dict())
    assert not same(maker, step.generator.state_dict())
    assert all(parameter.grad is None for parameter in step.discriminator.parameters())
    assert all(parameter.requires_grad for parameter in step.discriminator.parameters())


@pytest.mark.parametrize(("loss", "kind"), GAMES)
def test_the_discriminators_part_leaves_the_generator_untouched(loss: str, kind: str) -> None:
    step = GanStep(build_generator(TINY_MODEL, 1), gan_stage(10, loss, kind), CPU, 32)
    made, truth = torch.rand(4, 3, 32, 32), torch.rand(4, 3, 32, 32)
    judge, maker = copied(step.discriminator), copied(step.generator)
    losses: dict[str, float] = {}
    assert step._discriminator_part([(made, truth)], losses)
    assert same(maker, step.generator.state_dict())
    assert not same(judge, step.discriminator.state_dict())
    assert all(parameter.grad is None for parameter in step.generator.parameters())
    assert 0.0 <= losses["accuracy_real"] <= 1.0


def test_at_first_only_the_discriminator_learns_if_wanted() -> None:
    stage = StageConfig(iterations=10, gan=GanConfig(start_after=2))
    step = GanStep(build_generator(TINY_MODEL, 1), stage, CPU, 32)
    maker = copied(step.generator)
    step.run(*batch())
    step.run(*batch())
    assert same(maker, step.generator.state_dict())
    step.run(*batch())
    assert not same(maker, step.generator.state_dict())


def test_the_average_follows_its_closed_form() -> None:
    torch.manual_seed(0)
    network = torch.nn.Linear(3, 2)
    average = AveragedWeights(network, 0.9)
    history = [network.weight.detach().double().clone()]
    for _ in range(150):
        with torch.no_grad():
            network.weight.normal_()
        history.append(network.weight.detach().double().clone())
        average.update(network)
    decays = [min(0.9, n / (n + 9)) for n in range(1, 151)]
    expected = history[0] * np.prod(decays)
    for n in range(1, 151):
        expected += history[n] * (1 - decays[n - 1]) * np.prod(decays[n:])
    assert torch.allclose(average.network.weight.double(), expected, atol=1e-6)


def test_the_average_copies_buffers() -> None:
    network = torch.nn.BatchNorm2d(2)
    average = AveragedWeights(network, 0.999)
    network(torch.rand(4, 2, 3, 3))
    average.update(network)
    assert torch.equal(average.network.running_mean, network.running_mean)


def run_steps(stage: StageConfig, compute: Compute, steps: int) -> State:
    step = build_step(build_generator(TINY_MODEL, 1), stage, compute, 32)
    for number in range(steps):
        step.run(*batch(seed=number))
    return copied(step.generator)


def furthest(one: State, other: State) -> float:
    return max(float((value - other[name]).abs().max()) for name, value in one.items())


@pytest.mark.parametrize("gan", [False, True])
def test_a_batch_in_parts_is_the_same_step(gan: bool) -> None:
    whole = gan_stage(5) if gan else StageConfig(iterations=5)
    parts = copy.copy(whole)
    parts = StageConfig(iterations=5, gan=whole.gan, accumulate=4)
    assert furthest(run_steps(whole, CPU, 3), run_steps(parts, CPU, 3)) < 2e-6


def test_the_memory_layout_changes_nothing_but_rounding() -> None:
    stage = StageConfig(iterations=5)
    plain = Compute(torch.device("cpu"), channels_last=False)
    assert furthest(run_steps(stage, CPU, 3), run_steps(stage, plain, 3)) < 2e-6


def test_clipping_bounds_the_gradient_that_the_optimizer_sees() -> None:
    optimizer = OptimizerConfig(clip_norm=1e-3)
    step = PsnrStep(build_generator(TINY_MODEL, 1), StageConfig(iterations=5, optimizer=optimizer), CPU)
    result = step.run(*batch())
    assert result.gradient_norm > 1e-3
    gradients = [parameter.grad for parameter in step.generator.parameters() if parameter.grad is not None]
    assert float(torch.nn.utils.get_total_norm(gradients)) == pytest.approx(1e-3, rel=1e-3)


def test_an_adam_step_is_torchs_adam_step() -> None:
    optimizer = OptimizerConfig(learning_rate=1e-3, betas=(0.9, 0.999), weight_decay=0.01)
    stage = StageConfig(iterations=9, optimizer=optimizer, schedule=ScheduleConfig(kind="constant"), ema=0.0)
    compute = Compute(torch.device("cpu"), channels_last=False)
    step = PsnrStep(build_generator(TINY_MODEL, 1), stage, compute)
    other = build_generator(TINY_MODEL, 1)
    reference = torch.optim.Adam(other.parameters(), lr=1e-3, betas=(0.9, 0.999), weight_decay=0.01, foreach=False)
    for number in range(4):
        target, damaged = batch(seed=number)
        step.run(target, damaged)
        reference.zero_grad()
        output = other(damaged.permute(0, 3, 1, 2) / 255)
        (output - target.permute(0, 3, 1, 2) / 255).abs().mean().backward()
        reference.step()
    assert furthest(copied(step.generator), copied(other)) < 1e-6


@pytest.mark.parametrize("gan", [False, True])
def test_a_step_that_is_not_a_number_changes_nothing(gan: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = gan_stage(5) if gan else StageConfig(iterations=5)
    step = build_step(build_generator(TINY_MODEL, 1), stage, CPU, 32)
    step.run(*batch())
    state = copy.deepcopy(step.state_dict())
    monkeypatch.setattr(step, "losses", lambda output, target: {"l1": output.mean() * float("nan")})
    result = step.run(*batch())
    assert not result.finite
    after = step.state_dict()
    for part in ("generator", "discriminator"):
        if part in state:
            assert same(state[part], after[part])
    assert same(state["average"]["network"], after["average"]["network"])
    assert after["iteration"] == state["iteration"] + 1


def test_the_schedule_and_the_roll_back_factor_reach_the_optimizer() -> None:
    schedule = ScheduleConfig(kind="step", period=1, factor=0.5)
    stage = StageConfig(iterations=9, optimizer=OptimizerConfig(learning_rate=1.0e-3), schedule=schedule)
    step = PsnrStep(build_generator(TINY_MODEL, 1), stage, CPU)
    rates = [step.run(*batch()).learning_rate for _ in range(3)]
    step.rate_factor = 0.5
    rates.append(step.run(*batch()).learning_rate)
    assert rates == pytest.approx([1e-3, 5e-4, 2.5e-4, 0.5 * 1.25e-4])


TINY_NETWORKS: dict[str, dict[str, int | float | str | bool | list[int]]] = {
    "compact-16": {"features": 16, "convolutions": 2},
    "msrresnet-16": {"features": 16, "blocks": 2},
    "srresnet": {"features": 16, "blocks": 2, "head": "tanh"},
    "rrdbnet-23": {"features": 16, "growth": 8, "blocks": 1},
    "swinir-78": {"embed": 24, "depths": [2], "heads": [2], "mlp_hidden": 48},
    "shufflemixer": {},
    "latticenet": {},
}


@pytest.mark.parametrize("architecture", TINY_NETWORKS)
def test_each_generator_overfits_one_batch(architecture: str) -> None:
    """It learns to undo a negative, which its own skip connection gets all wrong."""
    model = ModelConfig(architecture=architecture, arguments=TINY_NETWORKS[architecture])
    stage = StageConfig(
        iterations=150,
        losses=[LossConfig(kind="l1")],
        optimizer=OptimizerConfig(learning_rate=3e-3, clip_norm=1.0),
        schedule=ScheduleConfig(kind="cosine"),
    )
    step = PsnrStep(build_generator(model, 1), stage, CPU)
    _, damaged = batch(count=1, crop=32)
    target = damaged.repeat_interleave(4, 1).repeat_interleave(4, 2)
    values = [step.run(target, 255 - damaged).losses["total"] for _ in range(150)]
    assert values[-1] < 0.4 * values[0]


def test_bf16_goes_the_same_way_as_fp32() -> None:
    stage = StageConfig(iterations=30, optimizer=OptimizerConfig(learning_rate=1e-3))
    results = []
    for bf16 in (False, True):
        step = PsnrStep(build_generator(TINY_MODEL, 1), stage, Compute(torch.device("cpu"), bf16=bf16))
        results.append([step.run(*batch()).losses["total"] for _ in range(30)][-1])
    assert results[1] == pytest.approx(results[0], rel=0.05)


def test_fresh_weights_follow_from_the_seed_and_leave_the_ambient_stream_alone() -> None:
    torch.manual_seed(9)
    before = torch.get_rng_state()
    one, two, other = (build_generator(TINY_MODEL, seed) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert same(one.state_dict(), two.state_dict())
    assert not same(one.state_dict(), other.state_dict())


def test_the_colour_shift_is_told_by_channel() -> None:
    step = PsnrStep(build_generator(TINY_MODEL, 1), StageConfig(iterations=5), CPU)
    target, damaged = batch()
    redder = target.clone()
    redder[..., 0] += 51
    plain = step.run(target, damaged)
    step.load_state_dict(PsnrStep(build_generator(TINY_MODEL, 1), StageConfig(iterations=5), CPU).state_dict())
    shifted = step.run(redder, damaged)
    differences = np.array(plain.colour_shift) - np.array(shifted.colour_shift)
    assert differences == pytest.approx([0.2, 0.0, 0.0], abs=1e-5)

"""One training step: a batch in, gradients, and a change of the weights, unless something is not a number.

`PsnrStep` pulls the generator towards the true pictures; `GanStep` also plays it against a discriminator. Both are
used alike: `run` makes one step and tells what it saw, `state_dict` holds everything that the next step depends on.
"""

from __future__ import annotations

import contextlib
import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.nn.parallel import DistributedDataParallel

from engine.wire_training import GanConfig, OptimizerConfig, ScheduleConfig, StageConfig
from trainer.adversarial import discriminator_loss, generator_loss, gradient_penalty
from trainer.discriminators import build_discriminator
from trainer.ema import AveragedWeights
from trainer.generator import Generator
from trainer.losses import WeightedLosses
from trainer.muon import Muon, is_kernel
from trainer.replay import CudaRecorder, Recorder, Replay
from trainer.schedules import learning_rate_factor

State = dict[str, Any]
"""Nested dictionaries and lists of tensors, numbers and strings."""


@dataclass(frozen=True, slots=True)
class Compute:
    """Where and in which numbers a step computes."""

    device: torch.device
    bf16: bool = False
    channels_last: bool = True
    compile: bool = False
    graphs: bool = False
    """Record the work of a step on the GPU once and repeat it."""
    rank: int = 0
    processes: int = 1
    seed: int = 0

    def place(self, network: nn.Module) -> nn.Module:
        if self.channels_last:
            return network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]
        return network.to(self.device)

    def picture(self, pixels: Tensor) -> Tensor:
        """(n, h, w, 3) uint8 -> (n, 3, h, w) float32 in 0..1 on the device."""
        picture = pixels.to(self.device, non_blocking=True).permute(0, 3, 1, 2).float() / 255.0
        return picture if self.channels_last else picture.contiguous()

    def autocast(self) -> AbstractContextManager[Any]:
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.bf16)

    def recorder(self) -> Recorder | None:
        return CudaRecorder() if self.graphs else None

    def prepare(self, network: nn.Module) -> Callable[..., Tensor]:
        """The same network as something to call in a training step: compiled, shared between processes, or itself."""
        ready: nn.Module = network
        if self.processes > 1:
            devices = [self.device.index] if self.device.type == "cuda" else None
            with warnings.catch_warnings():
                # Newer versions of torch have another word for it, older ones do not know that word.
                warnings.simplefilter("ignore", FutureWarning)
                ready = DistributedDataParallel(network, device_ids=devices, broadcast_buffers=False)
        if self.compile:
            return cast(Callable[..., Tensor], torch.compile(ready))
        return ready


@dataclass(frozen=True, slots=True)
class StepResult:
    losses: dict[str, float]
    """Weighted values by name, means over the batch of this process; `total` is the generator's sum."""
    gradient_norm: float
    """2-norm over all parameters of the generator, before clipping."""
    learning_rate: float
    finite: bool
    """False: something was not a number, and the weights are as they were."""
    colour_shift: tuple[float, float, float]
    """Mean of output minus target for each channel, in 0..1."""


class Step(Protocol):
    iteration: int
    """Steps made in this stage, those left out for a non-finite value included."""
    rate_factor: float
    """What the schedule's rate is multiplied by: 1 until a roll-back."""
    average: AveragedWeights | None
    notices: list[str]
    """Sentences for the user, emptied by who tells them."""

    def run(self, target: Tensor, damaged: Tensor) -> StepResult:
        """(n, h, w, 3) uint8 each."""
        ...

    @property
    def best_network(self) -> Generator:
        """What is validated and exported: the average where there is one."""
        ...

    def close(self) -> None:
        """Let go of the device's memory: a step and what it repeats refer to each other, and would keep it long."""
        ...

    def state_dict(self) -> State: ...

    def load_state_dict(self, state: State) -> None: ...


class Learner:
    """A network and what changes it: one optimizer, or two that share its parameters."""

    def __init__(self, network: nn.Module, config: OptimizerConfig, schedule: ScheduleConfig, length: int) -> None:
        self.network = network
        self.config = config
        self._schedule = schedule
        self._length = length
        self._parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
        kernels = [parameter for parameter in self._parameters if config.kind == "muon" and is_kernel(parameter)]
        taken = {id(kernel) for kernel in kernels}
        others = [parameter for parameter in self._parameters if id(parameter) not in taken]
        self._optimizers: list[torch.optim.Optimizer] = []
        if others:
            kind = torch.optim.Adam if config.kind == "adam" else torch.optim.AdamW
            rate, decay = config.learning_rate, config.weight_decay
            adam = kind(others, lr=rate, betas=config.betas, eps=config.epsilon, weight_decay=decay, fused=True)
            self._optimizers.append(adam)
        if kernels:
            self._optimizers.append(Muon(kernels, config.learning_rate, config.momentum, config.weight_decay))

    def rate(self, iteration: int, factor: float) -> float:
        return self.config.learning_rate * factor * learning_rate_factor(self._schedule, iteration, self._length)

    def zero(self) -> None:
        for optimizer in self._optimizers:
            optimizer.zero_grad(set_to_none=True)

    def gradient_norm(self) -> Tensor:
        gradients = [parameter.grad for parameter in self._parameters if parameter.grad is not None]
        return torch.nn.utils.get_total_norm(gradients)

    def apply(self, norm: float, rate: float) -> None:
        """Clip, then change the weights. The gradients must be finite."""
        limit = self.config.clip_norm
        if limit and norm > limit:
            gradients = [parameter.grad for parameter in self._parameters if parameter.grad is not None]
            torch._foreach_mul_(gradients, limit / (norm + 1e-6))
        for optimizer in self._optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.step()

    def state_dict(self) -> State:
        if len(self._optimizers) == 1:
            return self._optimizers[0].state_dict()
        return {f"optimizer{number}": optimizer.state_dict() for number, optimizer in enumerate(self._optimizers)}

    def load_state_dict(self, state: State) -> None:
        for number, optimizer in enumerate(self._optimizers):
            optimizer.load_state_dict(state if len(self._optimizers) == 1 else state[f"optimizer{number}"])
            # A moment must lie in memory as its parameter does, or the fused update pairs up the wrong numbers.
            for parameter, moments in optimizer.state.items():
                for name, value in moments.items():
                    if isinstance(value, Tensor) and value.shape == parameter.shape:
                        moments[name] = torch.empty_like(parameter).copy_(value)


class PsnrStep:
    """Losses against the true picture alone."""

    def __init__(self, generator: Generator, stage: StageConfig, compute: Compute) -> None:
        self.stage = stage
        self.compute = compute
        self.iteration = 0
        self.rate_factor = 1.0
        self.generator = cast(Generator, compute.place(generator)).train()
        self.losses = cast(WeightedLosses, compute.place(WeightedLosses(stage.losses)))
        self.average = AveragedWeights(self.generator, stage.ema) if stage.ema else None
        self._forward = compute.prepare(self.generator)
        self._learner = Learner(self.generator, stage.optimizer, stage.schedule, stage.iterations)
        self.notices: list[str] = []
        self._teach = Replay(self._generator_work, self._learner.zero, self.notices.append, compute.recorder())

    @property
    def best_network(self) -> Generator:
        return cast(Generator, self.average.network) if self.average is not None else self.generator

    def run(self, target: Tensor, damaged: Tensor) -> StepResult:
        outcome, _ = self._generator_part(target, damaged)
        self.iteration += 1
        return outcome

    def close(self) -> None:
        self._teach.close()

    def _other_terms(self, output: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Losses beside those of the stage."""
        return {}

    def _generator_part(self, target: Tensor, damaged: Tensor) -> tuple[StepResult, list[tuple[Tensor, Tensor]]]:
        """One update of the generator. Also gives the pairs (output, target), detached."""
        learner = self._learner
        told, (names, pairs) = self._teach(target, damaged)
        numbers = _numbers(names, told)
        norm = numbers.pop("norm")
        rate = learner.rate(self.iteration, self.rate_factor)
        finite = math.isfinite(norm) and math.isfinite(numbers["total"])
        if finite:
            learner.apply(norm, rate)
            if self.average is not None:
                self.average.update(self.generator)
        red, green, blue = (numbers.pop(f"shift{channel}") for channel in range(3))
        return StepResult(numbers, norm, rate, finite, (red, green, blue)), pairs

    def _generator_work(self, target: Tensor, damaged: Tensor) -> tuple[Tensor, tuple[list[str], Any]]:
        """What the device does of it: gradients. Gives every number worth knowing, their names, and the pairs."""
        parts = self.stage.accumulate
        values: dict[str, Tensor] = {}
        shift = torch.zeros(3, device=self.compute.device)
        pairs: list[tuple[Tensor, Tensor]] = []
        for number, (target_part, damaged_part) in enumerate(
            zip(target.chunk(parts), damaged.chunk(parts), strict=True)
        ):
            truth, picture = self.compute.picture(target_part), self.compute.picture(damaged_part)
            with self._sharing(self._forward, number == parts - 1):
                with self.compute.autocast():
                    output = self._forward(picture)
                    terms = self.losses(output, truth)
                    terms.update(self._other_terms(output, truth))
                total = torch.stack(list(terms.values())).sum() / parts
                total.backward()  # type: ignore[no-untyped-call]
            for name, term in {**terms, "total": total * parts}.items():
                values[name] = values.get(name, 0.0) + term.detach() / parts
            made = output.detach().float()
            shift += (made - truth).mean((0, 2, 3)) / parts
            pairs.append((made, truth))
        values.update({f"shift{channel}": shift[channel] for channel in range(3)})
        values["norm"] = self._learner.gradient_norm()
        return _stacked(values), (list(values), pairs)

    def _sharing(self, forward: Callable[..., Tensor], last: bool) -> AbstractContextManager[Any]:
        """Gradients travel between processes once a batch, with its last part."""
        if isinstance(forward, DistributedDataParallel) and not last:
            return cast(AbstractContextManager[Any], forward.no_sync())
        return contextlib.nullcontext()

    def state_dict(self) -> State:
        return {
            "iteration": self.iteration,
            "rate_factor": self.rate_factor,
            "generator": self.generator.state_dict(),
            "optimizer": self._learner.state_dict(),
            "average": self.average.state_dict() if self.average is not None else {},
        }

    def load_state_dict(self, state: State) -> None:
        self.iteration = state["iteration"]
        self.rate_factor = state["rate_factor"]
        self.generator.load_state_dict(state["generator"])
        self._learner.load_state_dict(state["optimizer"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])


class GanStep(PsnrStep):
    """An update of the generator, then of the discriminator, on the same batch."""

    def __init__(self, generator: Generator, stage: StageConfig, compute: Compute, crop: int) -> None:
        super().__init__(generator, stage, compute)
        assert stage.gan is not None
        self.gan: GanConfig = stage.gan
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(compute.seed + 1)
            discriminator = build_discriminator(self.gan.discriminator, crop)
        self.discriminator = compute.place(discriminator)
        self._judge = compute.prepare(self.discriminator)
        self._judge_learner = Learner(self.discriminator, self.gan.optimizer, stage.schedule, stage.iterations)
        # The penalty mixes pictures by numbers that are drawn outside, so that is done one by one.
        recorder = None if self.gan.loss == "wgan-gp" else compute.recorder()
        # A share of a few pictures that are told right may well flip by rounding: the first two numbers are checked.
        self._teach_judge = Replay(
            self._discriminator_work, self._judge_learner.zero, self.notices.append, recorder, checked=2
        )

    def run(self, target: Tensor, damaged: Tensor) -> StepResult:
        if self.iteration >= self.gan.start_after:
            with _frozen(self.discriminator):
                outcome, pairs = self._generator_part(target, damaged)
        else:
            outcome, pairs = self._only_look(target, damaged)
        finite, losses = outcome.finite, dict(outcome.losses)
        if finite:
            for _ in range(self.gan.discriminator_steps):
                finite = self._discriminator_part(pairs, losses) and finite
        self.iteration += 1
        return StepResult(losses, outcome.gradient_norm, outcome.learning_rate, finite, outcome.colour_shift)

    def close(self) -> None:
        super().close()
        self._teach_judge.close()

    def _other_terms(self, output: Tensor, target: Tensor) -> dict[str, Tensor]:
        real = target.new_zeros(())
        if self.gan.loss == "relativistic":
            with torch.no_grad():
                real = self.discriminator(target)
        fake = self.discriminator(output)
        return {"gan": self.gan.weight * generator_loss(self.gan.loss, real, fake)}

    def _only_look(self, target: Tensor, damaged: Tensor) -> tuple[StepResult, list[tuple[Tensor, Tensor]]]:
        """The generator's pictures without an update of it."""
        pairs = []
        with torch.no_grad():
            for target_part, damaged_part in zip(
                target.chunk(self.stage.accumulate), damaged.chunk(self.stage.accumulate), strict=True
            ):
                with self.compute.autocast():
                    output = self.generator(self.compute.picture(damaged_part))
                pairs.append((output.float(), self.compute.picture(target_part)))
        rate = self._learner.rate(self.iteration, self.rate_factor)
        return StepResult({"total": 0.0}, 0.0, rate, True, (0.0, 0.0, 0.0)), pairs

    def _discriminator_part(self, pairs: list[tuple[Tensor, Tensor]], losses: dict[str, float]) -> bool:
        """One update of the discriminator; adds what it saw to `losses`. False: not finite, nothing changed."""
        learner = self._judge_learner
        told, names = self._teach_judge(*(picture for pair in pairs for picture in pair))
        numbers = _numbers(names, told)
        norm = numbers.pop("norm")
        losses.update(numbers)
        finite = math.isfinite(norm) and math.isfinite(numbers["discriminator"])
        if finite:
            learner.apply(norm, learner.rate(self.iteration, self.rate_factor))
        return finite

    def _discriminator_work(self, *pictures: Tensor) -> tuple[Tensor, list[str]]:
        """What the device does of it. `pictures`: made, true, made, true, ..."""
        values: dict[str, Tensor] = {}
        pairs = list(zip(pictures[::2], pictures[1::2], strict=True))
        for number, (made, truth) in enumerate(pairs):
            with self._sharing(self._judge, number == len(pairs) - 1):
                with self.compute.autocast():
                    real = self._judge(truth)
                    fake = self._judge(made)
                total = discriminator_loss(self.gan.loss, real, fake)
                if self.gan.loss == "wgan-gp":
                    mix = self._mix(len(made), number * len(made))
                    penalty = self.gan.gradient_penalty * gradient_penalty(self.discriminator, truth, made, mix)
                    values["penalty"] = values.get("penalty", 0.0) + penalty.detach() / len(pairs)
                    total = total + penalty
                (total / len(pairs)).backward()  # type: ignore[no-untyped-call]
            real_share, fake_share = self._accuracies(real.detach().float(), fake.detach().float())
            for name, term in (
                ("discriminator", total.detach()),
                ("accuracy_real", real_share),
                ("accuracy_fake", fake_share),
            ):
                values[name] = values.get(name, 0.0) + term / len(pairs)
        values = {"discriminator": values.pop("discriminator"), "norm": self._judge_learner.gradient_norm(), **values}
        return _stacked(values), list(values)

    def _accuracies(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """Shares of real and of made pictures that are told right, by the threshold of the loss in use."""
        if self.gan.loss in ("relativistic", "wgan-gp"):
            return (real > fake.mean()).float().mean(), (fake < real.mean()).float().mean()
        threshold = 0.5 if self.gan.loss == "lsgan" else 0.0
        return (real > threshold).float().mean(), (fake < threshold).float().mean()

    def _mix(self, count: int, first: int) -> Tensor:
        """(count, 1, 1, 1) in 0..1, a function of the seed, the iteration and the place in the whole batch."""
        generator = torch.Generator().manual_seed((self.compute.seed * 1_000_003 + self.iteration) % 2**63)
        share = count * self.stage.accumulate
        values = torch.rand(share * self.compute.processes, generator=generator)
        begin = self.compute.rank * share + first
        return values[begin : begin + count].view(-1, 1, 1, 1).to(self.compute.device)

    def state_dict(self) -> State:
        return {
            **super().state_dict(),
            "discriminator": self.discriminator.state_dict(),
            "discriminator_optimizer": self._judge_learner.state_dict(),
        }

    def load_state_dict(self, state: State) -> None:
        super().load_state_dict(state)
        self.discriminator.load_state_dict(state["discriminator"])
        self._judge_learner.load_state_dict(state["discriminator_optimizer"])


def build_step(generator: Generator, stage: StageConfig, compute: Compute, crop: int) -> PsnrStep:
    return PsnrStep(generator, stage, compute) if stage.gan is None else GanStep(generator, stage, compute, crop)


@contextlib.contextmanager
def _frozen(network: nn.Module) -> Iterator[None]:
    """Look through a network without changing it: no gradients for it, no statistics, no power iterations."""
    was_training = network.training
    network.eval().requires_grad_(False)
    try:
        yield
    finally:
        network.train(was_training).requires_grad_(True)


def _stacked(values: dict[str, Tensor]) -> Tensor:
    return torch.stack([value.float() for value in values.values()])


def _numbers(names: list[str], told: Tensor) -> dict[str, float]:
    """All values in one transfer from the device. Over several processes: their mean, so that all decide alike."""
    if dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1:
        dist.all_reduce(told)
        told /= dist.get_world_size()
    return dict(zip(names, told.tolist(), strict=True))

"""The network that is trained: built from its configuration, its weights read from a model file where one is named."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import msgspec
import torch
from torch import Tensor, nn

from engine.errors import Code, PellucidError
from engine.models.arch import Architecture
from engine.models.files import read_model
from engine.models.model import Weights
from engine.models.presets import find_preset
from engine.wire_training import ModelConfig


@dataclass(frozen=True, slots=True)
class GeneratorFacts:
    """Which network a configuration means, before anything is built."""

    architecture: Architecture
    args: msgspec.Struct

    @property
    def parameters(self) -> int:
        return self.architecture.count_parameters(self.args)

    @property
    def multiple(self) -> int:
        """Sides of its input must be a multiple of this."""
        return self.architecture.multiple(self.args)


def describe_generator(config: ModelConfig) -> GeneratorFacts:
    preset = find_preset(config.architecture)
    arguments = preset.architecture.write_arguments(preset.args)
    if "scale" in arguments:
        arguments["scale"] = config.scale
    arguments.update(config.arguments)
    args = preset.architecture.read_arguments(arguments)
    if preset.architecture.scale(args) != config.scale:
        raise PellucidError(
            Code.CONFIG,
            f"{config.architecture} enlarges by {preset.architecture.scale(args)}, model.scale is {config.scale}.",
            architecture=config.architecture,
        )
    return GeneratorFacts(preset.architecture, args)


class Generator(nn.Module):
    """A network between pictures in 0..1, whatever range it works in itself. `network` has the community's names."""

    def __init__(self, facts: GeneratorFacts) -> None:
        super().__init__()
        self.network = facts.architecture.torch_module(facts.args)
        self._input_range, self._output_range = facts.architecture.ranges(facts.args)

    def forward(self, picture: Tensor) -> Tensor:
        if self._input_range == "-1..1":
            picture = picture * 2.0 - 1.0
        result = cast(Tensor, self.network(picture))
        if self._output_range == "-1..1":
            result = result * 0.5 + 0.5
        return result


def build_generator(config: ModelConfig, seed: int) -> Generator:
    """Fresh weights follow from `seed` alone; with `config.start` the weights of that file."""
    facts = describe_generator(config)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        generator = Generator(facts)
    if config.start:
        weights = read_start(config)
        generator.network.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in weights.items()})
    return generator


def read_start(config: ModelConfig) -> Weights:
    """The weights that the run starts from, those of its starting model; refused unless that has the network that is to
    be trained, or one whose weights can be made into its weights: fewer layers, another scale."""
    facts = describe_generator(config)
    model = read_model(Path(config.start).expanduser())
    weights: Weights | None = None
    if model.card.architecture == facts.architecture.id:
        args = facts.architecture.read_arguments(model.card.arguments)
        weights = model.weights if args == facts.args else facts.architecture.adapt(model.weights, args, facts.args)
    if weights is None:
        raise PellucidError(
            Code.MODELS_DIFFER,
            f"model.start = {config.start} is a {model.card.architecture} with {model.card.arguments}, but a "
            f"{facts.architecture.id} with {facts.architecture.write_arguments(facts.args)} is to be trained.",
            path=config.start,
        )
    return weights

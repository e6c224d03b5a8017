"""A training gone through without numbers: what would fail in its last stage is told before its first begins."""

from __future__ import annotations

import re

import torch
from torch import nn

from engine.errors import Code, PellucidError
from engine.wire_training import TrainingConfig
from trainer.damage import RecipeDamage
from trainer.data import make_damage
from trainer.discriminators import build_discriminator
from trainer.generator import Generator, describe_generator, read_start
from trainer.losses import WeightedLosses


def rehearse(config: TrainingConfig) -> None:
    """Raises for whatever the files and networks named in `config` cannot do. Pictures are not looked at.

    Networks are built on torch's meta device, which knows shapes and no values: even the largest takes no memory.
    """
    name = config.model.name
    if name != name.strip(" .") or re.search(r'[\x00-\x1f/\\:*?"<>|]', name):
        raise PellucidError(Code.CONFIG, f"model.name: {name!r} is no name for a file.", key="model.name")
    facts = describe_generator(config.model)
    if config.model.start:
        read_start(config.model)
    make_damage(config)
    if config.validation.recipe:
        RecipeDamage.load(config.validation.recipe, config.model.scale, config.seed, config.data.target)
    data = config.data
    with torch.device("meta"):
        generator = Generator(facts)
    for number, stage in enumerate(config.stages):
        part = data.batch // stage.accumulate
        damaged = torch.empty(part, 3, data.crop // config.model.scale, data.crop // config.model.scale, device="meta")
        target = torch.empty(part, 3, data.crop, data.crop, device="meta")
        _try("model", config.model.architecture, generator, damaged, data.crop)
        for place, loss in enumerate(stage.losses):
            network = WeightedLosses([loss]).to("meta")
            _try(f"stages.{number}.losses.{place}", loss.kind, network, target, data.crop, target)
        if stage.gan is not None:
            kind = stage.gan.discriminator.kind
            try:
                with torch.device("meta"):
                    judge = build_discriminator(stage.gan.discriminator, data.crop)
            except ValueError as error:
                raise _unfit(f"stages.{number}.gan.discriminator", kind, data.crop, error) from error
            _try(f"stages.{number}.gan.discriminator", kind, judge, target, data.crop)


def _try(key: str, kind: str, network: nn.Module, picture: torch.Tensor, crop: int, *more: torch.Tensor) -> None:
    try:
        network(picture, *more)
    except (RuntimeError, ValueError) as error:
        raise _unfit(key, kind, crop, error) from error


def _unfit(key: str, kind: str, crop: int, error: Exception) -> PellucidError:
    return PellucidError(
        Code.CONFIG,
        f"{key}: {kind} cannot work on crops of {crop} pixels.",
        "Set data.crop to a larger number that 16 divides.",
        key=key,
        reason=str(error).splitlines()[0],
    )

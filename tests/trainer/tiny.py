"""Tiny pictures and tiny trainings."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
from PIL import Image

from engine.wire_training import (
    DataConfig,
    DiscriminatorConfig,
    GanConfig,
    LossConfig,
    ModelConfig,
    OptimizerConfig,
    SaveConfig,
    SpeedConfig,
    StageConfig,
    TrainingConfig,
    ValidationConfig,
)

TINY_MODEL = ModelConfig(architecture="compact-16", arguments={"features": 8, "convolutions": 2})


def gan_stage(iterations: int, loss: str = "vanilla", kind: str = "unet-sn") -> StageConfig:
    gan = GanConfig(
        discriminator=DiscriminatorConfig(kind=kind, features=4, norm="instance"),
        loss=loss,
    )
    return StageConfig(iterations=iterations, gan=gan)


def draw_picture(number: int, height: int, width: int) -> Image.Image:
    """Soft blobs with some edges: different for every number."""
    random = np.random.default_rng(number)
    small = random.integers(0, 256, (5, 6, 3), dtype=np.uint8)
    picture = np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)).copy()
    top, left = int(random.integers(0, height // 2)), int(random.integers(0, width // 2))
    picture[top : top + height // 3, left : left + width // 3] //= 2
    return Image.fromarray(picture)


def tiny_config(
    folder: Path, *, stages: list[StageConfig] | None = None, validation: Path | None = None, **data: object
) -> TrainingConfig:
    """A training of seconds. Keywords replace fields of data."""
    settings = {"batch": 4, "crop": 32, "workers": 0, "cache_mb": 4, "recipe": "bicubic", **data}
    return TrainingConfig(
        name="tiny",
        model=TINY_MODEL,
        data=DataConfig(train=[str(folder)], **settings),
        stages=stages or [StageConfig(iterations=8, optimizer=OptimizerConfig(learning_rate=1e-3))],
        validation=ValidationConfig(folders=[str(validation)] if validation else [], every=0, previews=1, limit=2),
        save=SaveConfig(every=3),
        speed=SpeedConfig(device="cpu", threads=1, log_every=1),
    )


def tiny_copy(
    config: TrainingConfig, folder: Path, iterations: int = 4, features: dict[str, Path] | None = None
) -> TrainingConfig:
    """A preset with everything of its own but size: few features, small crops, a handful of iterations. `features`:
    weights of vgg16 and vgg19; without them perceptual losses are left out."""
    small: dict[str, dict[str, int | float | str | bool | list[int]]] = {
        "compact": {"features": 8, "convolutions": 2},
        "msrresnet": {"features": 8, "blocks": 2},
        "srresnet": {"features": 8, "blocks": 2},
        "rrdbnet": {"features": 8, "growth": 4, "blocks": 1},
        "swinir": {"embed": 12, "depths": [2], "heads": [2], "mlp_hidden": 24},
    }
    family = config.model.architecture.split("-")[0]
    replace = msgspec.structs.replace
    stages = []
    for stage in config.stages:
        gan = stage.gan
        if gan is not None:
            gan = replace(gan, discriminator=replace(gan.discriminator, features=4, dense=8), start_after=0)
        losses = [loss for loss in stage.losses if loss.kind != "perceptual"] or [LossConfig(kind="l2")]
        if features is not None:
            losses = [
                replace(loss, weights_file=str(features[loss.network])) if loss.kind == "perceptual" else loss
                for loss in stage.losses
            ]
        stages.append(replace(stage, iterations=iterations, losses=losses, gan=gan))
    return replace(
        config,
        model=replace(config.model, arguments={**config.model.arguments, **small[family]}, start=""),
        data=replace(config.data, train=[str(folder)], batch=2, crop=32, context=0, workers=1, cache_mb=4),
        stages=stages,
        validation=replace(config.validation, every=0, limit=1, previews=0),
        save=SaveConfig(every=3),
        speed=replace(config.speed, device="cpu", threads=1),
    )

"""What would fail late in a training is told before it starts."""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec
import pytest

from engine.errors import Code, PellucidError
from engine.wire_training import (
    DiscriminatorConfig,
    GanConfig,
    LossConfig,
    OptimizerConfig,
    StageConfig,
    TrainingConfig,
    check_config,
    config_from_tree,
    presets_folder,
)
from tests.trainer.tiny import gan_stage, tiny_config
from trainer.config import preset_names
from trainer.rehearsal import rehearse


def in_two_stages(second: StageConfig, **data: object) -> TrainingConfig:
    return tiny_config(Path("photos"), stages=[StageConfig(iterations=100_000), second], **data)


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_passes_without_the_files_that_the_user_brings(name: str) -> None:
    tree = tomllib.loads((presets_folder() / f"{name}.toml").read_text(encoding="utf-8"))
    tree["model"].pop("start", None)
    for stage in tree["stages"]:
        stage["losses"] = [loss for loss in stage["losses"] if loss["kind"] != "perceptual"] or [{"kind": "l1"}]
    rehearse(config_from_tree(tree, name))


@pytest.mark.parametrize(("kind", "crop"), [("unet-sn", 36), ("unet-sn", 4), ("vgg", 4), ("patch", 16)])
def test_a_discriminator_of_the_last_stage_that_cannot_see_such_crops_is_told(kind: str, crop: int) -> None:
    gan = GanConfig(discriminator=DiscriminatorConfig(kind=kind, features=8))
    with pytest.raises(PellucidError, match=rf"stages.1.gan.discriminator: {kind} cannot work on crops of {crop}"):
        rehearse(in_two_stages(StageConfig(gan=gan), crop=crop))


@pytest.mark.parametrize("kind", ["unet-sn", "vgg", "patch"])
def test_every_discriminator_sees_crops_of_32(kind: str) -> None:
    rehearse(in_two_stages(gan_stage(5, kind=kind), crop=32))


def test_weights_that_are_not_there_are_told_of(tmp_path: Path) -> None:
    loss = LossConfig(kind="perceptual", weights_file=str(tmp_path / "nosuch.pth"))
    with pytest.raises(PellucidError, match=r"nosuch\.pth are not there") as caught:
        rehearse(in_two_stages(StageConfig(losses=[loss])))
    assert caught.value.code is Code.FILE_MISSING


def test_a_recipe_of_another_name_is_told_of_with_the_nearest() -> None:
    with pytest.raises(PellucidError, match="bicubik"):
        rehearse(in_two_stages(StageConfig(), recipe="bicubik"))


@pytest.mark.parametrize("name", ["a/b", "a\\b", "con:", "..", " x", "tail.", "what?"])
def test_a_model_needs_a_name_that_a_file_can_have(name: str) -> None:
    config = tiny_config(Path("photos"))
    with pytest.raises(PellucidError, match=r"model\.name"):
        rehearse(msgspec.structs.replace(config, model=msgspec.structs.replace(config.model, name=name)))


@pytest.mark.parametrize("betas", [(2.0, 3.0), (0.9, 1.0), (-0.1, 0.9)])
def test_betas_out_of_range_are_told_with_their_place(betas: tuple[float, float]) -> None:
    plain = StageConfig(optimizer=OptimizerConfig(betas=betas))
    with pytest.raises(PellucidError, match=r"stages.1.optimizer.betas"):
        check_config(in_two_stages(plain), "x")
    judged = StageConfig(gan=GanConfig(optimizer=OptimizerConfig(betas=betas)))
    with pytest.raises(PellucidError, match=r"stages.1.gan.optimizer.betas"):
        check_config(in_two_stages(judged), "x")


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_endless_numbers_are_no_numbers_to_train_with(value: float) -> None:
    with pytest.raises(PellucidError, match=r"stages.0.losses.0.weight"):
        config_from_tree({"stages": [{"losses": [{"kind": "l1", "weight": value}]}]}, "x")

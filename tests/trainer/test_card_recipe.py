from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from safetensors.torch import save_file

from engine.degrade.recipe import load_recipe, recipe_json
from engine.models.files import read_model
from engine.wire_training import (
    DataConfig,
    GanConfig,
    LossConfig,
    ModelConfig,
    StageConfig,
    TrainingConfig,
    parse_config,
)
from tests.trainer.tiny import tiny_config
from trainer.card_recipe import identify_files, recipe_hash
from trainer.config import load_config, with_absolute_paths
from trainer.perceptual import CONVOLUTIONS, WIDTHS
from trainer.rundir import RunFolder
from trainer.worker import work

replace = msgspec.structs.replace

FILES = {
    "model.start": "one",
    "data.recipe": "two",
    "validation.recipe": "three",
    "stages.0.losses.0.weights_file": "four",
}
WHOLE = TrainingConfig(
    model=ModelConfig(start="start.safetensors"),
    data=DataConfig(train=["photos"]),
    stages=[
        StageConfig(losses=[LossConfig(kind="perceptual", weights_file="vgg.safetensors")], gan=GanConfig()),
        StageConfig(),
    ],
)

NOT_COUNTED = {
    "name",
    "description",
    "model.start",
    "model.name",
    "model.licence",
    "model.attribution",
    "data.train",
    "data.recipe",
    "data.damage_on",
    "data.workers",
    "data.prefetch",
    "data.cache_mb",
    "stages.0.name",
    "stages.1.name",
    "stages.1.hand_over",
    *(f"stages.{stage}.losses.0.{key}" for stage in (0, 1) for key in ("weights_file", "convention")),
}
"""Keys that do not change what comes out; whole sections are named in the tests."""
COUNTED_WHERE_VALIDATION_CHOSE = {
    f"validation.{key}" for key in ("source", "every", "limit", "crop", "protocol", "select")
}


def leaves(value: object, path: str = "") -> list[str]:
    """Every key of a configuration, as --set names it."""
    if isinstance(value, dict) and value and not path.endswith((".layers", ".arguments")):
        return [leaf for key, part in value.items() for leaf in leaves(part, f"{path}.{key}" if path else key)]
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [leaf for number, part in enumerate(value) for leaf in leaves(part, f"{path}.{number}")]
    return [path]


def with_another(value: Any, keys: list[str]) -> Any:
    """The same with one value changed; nothing checks that it is a sensible one."""
    if keys:
        if isinstance(value, list):
            number = int(keys[0])
            return [with_another(part, keys[1:]) if at == number else part for at, part in enumerate(value)]
        return replace(value, **{keys[0]: with_another(getattr(value, keys[0]), keys[1:])})
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return 2 if value == 4 else value + 1
    if isinstance(value, str):
        return {"compact-16": "compact-32", "recipe": "pairs"}.get(value, value + "x")
    if isinstance(value, dict):
        return {**value, "features": 24}
    return StageConfig() if value is None else [*value, 7]


def counted(best: bool) -> set[str]:
    first = recipe_hash(WHOLE, FILES, 1, best)
    keys = leaves(msgspec.to_builtins(WHOLE))
    return {key for key in keys if recipe_hash(with_another(WHOLE, key.split(".")), FILES, 1, best) != first}


@pytest.mark.parametrize("best", [False, True])
def test_every_key_counts_but_those_that_leave_the_weights_as_they_are(best: bool) -> None:
    keys = set(leaves(msgspec.to_builtins(WHOLE)))
    assert keys >= NOT_COUNTED
    expected = {key for key in keys - NOT_COUNTED if key.split(".")[0] not in ("validation", "save", "safety", "speed")}
    assert counted(best) == expected | (COUNTED_WHERE_VALIDATION_CHOSE if best else set())


@pytest.mark.parametrize("key", FILES)
def test_what_is_in_the_files_counts(key: str) -> None:
    assert recipe_hash(WHOLE, FILES, 1, True) != recipe_hash(WHOLE, FILES | {key: "another"}, 1, True)


def test_validation_counts_for_what_follows_the_best_of_a_stage() -> None:
    config = replace(WHOLE, stages=[replace(WHOLE.stages[0], hand_over="best"), WHOLE.stages[1]])
    other = replace(config, validation=replace(config.validation, select="ssim"))
    assert recipe_hash(config, FILES, 0, False) == recipe_hash(other, FILES, 0, False)
    assert recipe_hash(config, FILES, 1, False) != recipe_hash(other, FILES, 1, False)


def test_a_model_of_a_first_stage_knows_nothing_of_later_ones() -> None:
    alone = replace(WHOLE, stages=WHOLE.stages[:1])
    assert recipe_hash(alone, FILES, 0, False) == recipe_hash(WHOLE, FILES, 0, False)
    assert recipe_hash(WHOLE, FILES, 0, False) != recipe_hash(WHOLE, FILES, 1, False)


def make_vgg(path: Path, seed: int, more: dict[str, torch.Tensor]) -> Path:
    """The first two convolutions of a VGG16."""
    random = torch.Generator().manual_seed(seed)
    assert (CONVOLUTIONS["vgg16"][0], WIDTHS[0]) == (2, 64)
    tensors = {}
    for place, inputs in ((0, 3), (2, 64)):
        tensors[f"features.{place}.weight"] = torch.randn(64, inputs, 3, 3, generator=random)
        tensors[f"features.{place}.bias"] = torch.randn(64, generator=random)
    if path.suffix == ".pth":
        torch.save(tensors | more, path)
    else:
        save_file(tensors | more, path)
    return path


def test_the_same_preset_has_one_recipe_wherever_files_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def of(place: str, vgg: str, recipe: str = "real-esrgan", *assignments: str) -> str:
        folder = tmp_path / place
        folder.mkdir(exist_ok=True)
        monkeypatch.chdir(folder)
        weights = make_vgg(folder / vgg, 3, {} if place == "a" else {"classifier.0.bias": torch.zeros(3)})
        made = {"conv1_2": 1.0}
        config = with_absolute_paths(
            load_config(
                "photo-compact-vivid",
                [
                    f"stages.0.losses.1.weights_file={weights}",
                    f"stages.0.losses.1.layers={msgspec.json.encode(made).decode().replace(':', '=')}",
                    'stages.0.losses.1.convention="caffe"',
                    "model.start=photo-compact",
                    f"data.recipe={recipe}",
                    *assignments,
                ],
                [place],
            )
        )
        return recipe_hash(config, identify_files(config), 0, False)

    first = of("a", "vgg.safetensors")
    assert first.startswith("v2:")
    assert len(first) == 3 + 64
    copy = tmp_path / "copy.toml"
    plain = msgspec.json.decode(recipe_json(load_recipe("real-esrgan"))) | {"name": "mine", "scale": 2}
    from gui.state.recipe import as_toml

    copy.write_text(as_toml(plain), "utf-8")
    assert of("b", "other-name.pth", str(copy), "speed.threads=2", "save.every=7") == first
    make_vgg(tmp_path / "a" / "vgg.safetensors", 4, {})
    assert of("b", "other-name.pth", "bsrgan") != first


def test_other_features_are_another_recipe(tmp_path: Path) -> None:
    def of(seed: int, convention: str) -> str:
        loss = LossConfig(
            kind="perceptual",
            network="vgg16",
            weights_file=str(make_vgg(tmp_path / "vgg.safetensors", seed, {})),
            layers={"conv1_2": 1.0},
            convention=convention,  # type: ignore[arg-type]
        )
        config = TrainingConfig(stages=[StageConfig(losses=[loss])])
        return recipe_hash(config, identify_files(config), 0, False)

    assert of(1, "caffe") == of(1, "caffe")
    assert len({of(1, "caffe"), of(2, "caffe"), of(1, "torchvision")}) == 3


def test_a_run_that_goes_on_keeps_the_recipe_it_began_with(photos: Path, tmp_path: Path) -> None:
    """Even when the file that it began at has been replaced since."""
    first = RunFolder(tmp_path / "first")
    first.create(tiny_config(photos, stages=[StageConfig(iterations=1)]))
    assert work(first.path) == 0
    start = tmp_path / "start.safetensors"
    (first.models / "tiny.safetensors").rename(start)
    config = tiny_config(photos, stages=[StageConfig(iterations=6)])
    config = replace(config, model=replace(config.model, start=str(start)))
    run = RunFolder(tmp_path / "run")
    run.create(config)
    assert work(run.path) == 0
    model = run.models / "tiny.safetensors"
    recipe = read_model(model).card.recipe
    assert recipe == recipe_hash(config, identify_files(config), 0, False)
    model.rename(start)
    for path in run.checkpoint_files()[:1]:
        path.unlink()
    assert work(run.path) == 0
    assert read_model(model).card.recipe == recipe != recipe_hash(config, identify_files(config), 0, False)


def test_models_say_which_recipe_made_them(photos: Path, tmp_path: Path) -> None:
    config = tiny_config(photos, stages=[StageConfig(iterations=2), StageConfig(iterations=2)], validation=photos)
    run = RunFolder(tmp_path / "run")
    run.create(config)
    assert work(run.path) == 0
    files = identify_files(parse_config((run.path / "config.toml").read_text("utf-8"), "config.toml"))
    for number, name in ((0, "tiny-psnr"), (1, "tiny-psnr-2")):
        for best in (False, True):
            card = read_model(run.models / f"{name}{'-best' if best else ''}.safetensors").card
            assert card.recipe == recipe_hash(config, files, number, best)

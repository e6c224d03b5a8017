"""A vivid partner for a finished training: the configuration of a GAN stage that starts from its model."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import msgspec

from engine import wire_training as training
from engine.errors import PellucidError
from gui.state.run import Saved

PRESET = "my-photos-gan"
"""Its second stage is what is used."""


def vivid_config(folder: Path, model: Path, name: str, iterations: int, weights: str) -> training.TrainingConfig:
    """The configuration of the run in `folder` with one GAN stage instead of its own, starting from `model`.

    weights: a file of VGG16 features; empty: without the perceptual loss. Raises PellucidError for a configuration
    that cannot be read.
    """
    config = training.parse_config(
        (folder / training.CONFIG_FILE).read_text("utf-8"), str(folder / training.CONFIG_FILE)
    )
    tree: dict[str, Any] = msgspec.to_builtins(config)
    preset = tomllib.loads((training.presets_folder() / f"{PRESET}.toml").read_text("utf-8"))
    stage: dict[str, Any] = preset["stages"][-1]
    losses = [loss for loss in stage["losses"] if weights or loss["kind"] != "perceptual"]
    for loss in losses:
        if loss["kind"] == "perceptual":
            loss["weights_file"] = weights
    tree |= {"name": name, "stages": [{**stage, "iterations": iterations, "losses": losses}]}
    tree["model"] = {**tree["model"], "start": str(model), "name": ""}
    tree["safety"] = {**tree["safety"], **preset.get("safety", {})}
    return training.config_from_tree(tree, name)


def pair_of(folder: Path, saved: tuple[Saved, ...]) -> tuple[Path, Path] | None:
    """(faithful, vivid) models of a run with a GAN stage; None when it has none, or no model of it yet."""
    try:
        config = training.parse_config((folder / training.CONFIG_FILE).read_text("utf-8"), training.CONFIG_FILE)
    except (OSError, UnicodeDecodeError, PellucidError):
        return None
    first = next((number for number, stage in enumerate(config.stages) if stage.gan is not None), None)
    vivid = [model.path for model in saved if first is not None and model.stage >= first]
    if first is None or not vivid:
        return None
    ends = [model.path for model in saved if model.kind == "stage" and model.stage == first - 1]
    faithful = folder / ends[-1] if ends else Path(config.model.start).expanduser()
    return (faithful, folder / vivid[-1]) if faithful.is_file() else None

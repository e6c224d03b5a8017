"""What the card of a model calls its recipe: a hash of all in a configuration that makes the weights, and nothing else.

Who trains the same preset gets the same recipe, wherever files lie and whatever the machine is. Counted are:

* the seed, the network and its arguments, the scale;
* the starting model, the damage and the VGG weights by what is in those files, never by their names;
* what of [data] says how samples are cut, mixed, turned and damaged;
* the stages up to the one that the model ends;
* what of [validation] says how models are compared, but only where that chose the weights: for the best model of a
  stage, and for all that follows a stage with `hand_over = "best"`.

Not counted are names and words for people; the pictures, which the card credits; devices, precisions, threads and
loading, which at most round differently; saving; and [safety], which changes nothing until a run goes wrong.

A card of another rule does not begin with this one's name: those made before it was named are a bare hash of the whole
configuration, paths included.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from engine.degrade.recipe import load_recipe
from engine.models.files import weights_hash
from engine.wire_training import TrainingConfig
from trainer.generator import describe_generator, read_start
from trainer.perceptual import identify_features

RULE = "v2"

_HOW_DATA_IS_READ = ("train", "damage_on", "workers", "prefetch", "cache_mb")
_ONLY_OF_RECIPES = ("recipe", "target", "context")
"""Of [data]: without a meaning where the damaged pictures are files."""
_HOW_VALIDATION_IS_SHOWN = ("folders", "metrics", "previews", "preview_side")


def identify_files(config: TrainingConfig) -> dict[str, str]:
    """Key of the configuration -> identity of what is in the file that it names, for all that make the weights."""
    identities: dict[str, str] = {}
    if config.model.start:
        identities["model.start"] = weights_hash(read_start(config.model))
    if config.data.source == "recipe":
        identities["data.recipe"] = _identify_damage(config.data.recipe, config.model.scale)
    if config.validation.recipe:
        identities["validation.recipe"] = _identify_damage(config.validation.recipe, config.model.scale)
    for number, stage in enumerate(config.stages):
        for place, loss in enumerate(stage.losses):
            if loss.kind == "perceptual":
                identities[f"stages.{number}.losses.{place}.weights_file"] = identify_features(loss)
    return identities


def recipe_hash(config: TrainingConfig, identities: Mapping[str, str], stage: int, best: bool) -> str:
    """v2:SHA-256. identities: as `identify_files` gave them when the run began. stage: number of the one that makes the
    model. best: whether validation chose it among the models of that stage."""
    chosen = best or any(earlier.hand_over == "best" for earlier in config.stages[:stage])
    content = {
        "seed": config.seed,
        "model": _model(config, identities),
        "data": _data(config, identities),
        "stages": _stages(config, identities, stage),
        "validation": _validation(config, identities) if chosen else None,
    }
    return f"{RULE}:{hashlib.sha256(msgspec.json.encode(content, order='sorted')).hexdigest()}"


def _model(config: TrainingConfig, identities: Mapping[str, str]) -> dict[str, Any]:
    facts = describe_generator(config.model)
    return {
        "architecture": facts.architecture.id,
        "arguments": facts.architecture.write_arguments(facts.args),
        "scale": config.model.scale,
        "start": identities.get("model.start", ""),
    }


def _data(config: TrainingConfig, identities: Mapping[str, str]) -> dict[str, Any]:
    data = _without(msgspec.to_builtins(config.data), _HOW_DATA_IS_READ)
    if config.data.source == "pairs":
        return _without(data, _ONLY_OF_RECIPES)
    return data | {"recipe": identities["data.recipe"]}


def _stages(config: TrainingConfig, identities: Mapping[str, str], last: int) -> list[dict[str, Any]]:
    stages: list[dict[str, Any]] = [msgspec.to_builtins(stage) for stage in config.stages[: last + 1]]
    for number, stage in enumerate(stages):
        del stage["name"]
        for place, loss in enumerate(stage["losses"]):
            del loss["convention"]  # the identity of the file says it
            loss["weights_file"] = identities.get(f"stages.{number}.losses.{place}.weights_file", "")
    del stages[-1]["hand_over"]  # nothing follows
    return stages


def _validation(config: TrainingConfig, identities: Mapping[str, str]) -> dict[str, Any]:
    damage = identities.get("validation.recipe", identities.get("data.recipe", ""))
    return _without(msgspec.to_builtins(config.validation), _HOW_VALIDATION_IS_SHOWN) | {"recipe": damage}


def _without(table: dict[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    return {key: value for key, value in table.items() if key not in keys}


def _identify_damage(recipe: str, scale: int) -> str:
    """Of what is done to pictures, whatever it is called."""
    return msgspec.structs.replace(load_recipe(recipe), name="", description="", scale=scale).digest

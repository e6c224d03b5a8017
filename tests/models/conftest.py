"""Tiny networks with weights that matter, and a library folder of the test's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from engine.models.arch import Architecture
from engine.models.arch.compact import COMPACT, CompactArgs
from engine.models.files import make_card
from engine.models.model import Model

DrawWeights = Callable[..., dict[str, np.ndarray]]
MakeModel = Callable[..., Model]


@pytest.fixture
def draw_weights() -> DrawWeights:
    """(architecture, args, seed) -> weights that keep activations near one; biases, slopes and statistics show."""

    def draw(architecture: Architecture, args: msgspec.Struct, seed: int = 0) -> dict[str, np.ndarray]:
        random = np.random.default_rng(seed)
        weights: dict[str, np.ndarray] = {}
        for name, shape in architecture.parameter_shapes(args).items():
            if name.endswith("running_var"):
                value: Any = random.uniform(0.5, 2.0, shape)
            elif len(shape) > 1:
                value = random.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))
            else:
                value = random.uniform(-0.3, 0.3, shape)
            weights[name] = np.asarray(value, np.float32)
        return weights

    return draw


@pytest.fixture
def make_model(draw_weights: DrawWeights) -> MakeModel:
    """A tiny compact model, or one of the given architecture."""

    def make(
        name: str = "tiny",
        architecture: Architecture = COMPACT,
        args: msgspec.Struct | None = None,
        seed: int = 0,
        **facts: Any,
    ) -> Model:
        args = args or CompactArgs(features=8, convolutions=2, scale=2)
        return Model(make_card(name, architecture, args, **facts), draw_weights(architecture, args, seed))

    return make


@pytest.fixture
def library_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's library, in a folder whose name is not plain ASCII."""
    folder = tmp_path / "bibliothèque 模型 #1%"
    monkeypatch.setenv("PELLUCID_LIBRARY", str(folder))
    monkeypatch.setattr("engine.models.library.BUNDLED_FOLDER", tmp_path / "bundled")
    return folder

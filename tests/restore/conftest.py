"""A small network in an own library, and pictures to restore."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine.models.arch.compact import COMPACT, CompactArgs
from engine.models.card import Card
from engine.models.files import weights_hash, write_model
from engine.models.model import Model

Picture = Callable[..., Path]

ARGS = CompactArgs(features=8, convolutions=2)


def small_model(name: str, seed: int, **card: object) -> Model:
    """A compact net with four convolutions that stays near the enlarged input."""
    random = np.random.default_rng(seed)
    weights = {
        key: (random.normal(0, 0.05, shape)).astype(np.float32) for key, shape in COMPACT.parameter_shapes(ARGS).items()
    }
    facts = {
        "name": name,
        "architecture": "compact",
        "arguments": COMPACT.write_arguments(ARGS),
        "parameters": COMPACT.count_parameters(ARGS),
        **card,
    }
    return Model(Card(**facts), weights)


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Holds the pair `faithful` and `vivid`."""
    folder = tmp_path / "library"
    folder.mkdir()
    monkeypatch.setenv("PELLUCID_LIBRARY", str(folder))
    vivid = small_model("vivid", 2, role="gan")
    faithful = small_model("faithful", 1, role="psnr", partner=weights_hash(vivid.weights))
    for model in (faithful, vivid):
        write_model(model, folder / f"{model.card.name}.safetensors")
    return folder


@pytest.fixture
def picture(tmp_path: Path) -> Picture:
    """Makes a picture file: picture("a.png", width, height, mode)."""

    def make(name: str, width: int = 40, height: int = 30, mode: str = "RGB", seed: int = 0) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        smooth = Image.fromarray(np.random.default_rng(seed).integers(0, 256, (6, 8, 4), np.uint8), "RGBA")
        smooth.resize((width, height), Image.Resampling.BICUBIC).convert(mode).save(path)
        return path

    return make

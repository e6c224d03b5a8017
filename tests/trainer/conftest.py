"""Folders of tiny pictures, and one thread for every test."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from tests.one_thread import one_thread
from tests.trainer.tiny import draw_picture

__all__ = ["one_thread"]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Six sharp pictures of different sizes."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(6):
        draw_picture(number, 64 + 4 * number, 80 + 8 * number).save(folder / f"p{number}.png")
    return folder


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Five pairs, x4."""
    folder = tmp_path / "pairs"
    for name in ("GT", "LQ"):
        (folder / name).mkdir(parents=True)
    for number in range(5):
        picture = draw_picture(100 + number, 64, 80)
        picture.save(folder / "GT" / f"{number}.png")
        picture.resize((20, 16), Image.Resampling.BICUBIC).save(folder / "LQ" / f"{number}.png")
    return folder

"""What the window writes for looking at pictures does not pile up: not over a long queue, nor over killed windows."""

from __future__ import annotations

import gc
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from engine.partial import machine_tag
from gui.imaging import client as imaging
from gui.imaging.client import PictureClient

SIDE = 600
"""Pixels: just large enough to have one halving."""


@pytest.fixture
def looking(qapp: object, tmp_path: Path) -> Iterator[PictureClient]:
    client = PictureClient(tmp_path / "cache")
    yield client
    client.stop()


def write_pixels(path: Path) -> str:
    np.full((SIDE, SIDE, 3), 200, np.uint8).tofile(path)
    return str(path)


def halvings_in(folder: Path) -> list[Path]:
    return list(folder.glob("cache/view-*/*.levels"))


def test_the_halvings_of_pictures_that_nobody_follows_any_more_are_deleted(
    looking: PictureClient, tmp_path: Path
) -> None:
    pixels = write_pixels(tmp_path / "result.raw")
    for _picture in range(20):
        growing = looking.follow(pixels, SIDE, SIDE, 3)
    assert len(halvings_in(tmp_path)) <= 2
    assert Path(growing.levels).exists()


def test_a_followed_picture_keeps_its_halvings_while_others_come_and_go(
    qtbot: QtBot, looking: PictureClient, tmp_path: Path
) -> None:
    pixels = write_pixels(tmp_path / "result.raw")
    running = looking.follow(pixels, SIDE, SIDE, 3)
    for _preview in range(20):
        looking.follow(pixels, SIDE, SIDE, 3)
    shown: list[bool] = []
    running.rows_came(0, SIDE, lambda: shown.append(True))
    qtbot.waitUntil(lambda: bool(shown), timeout=10_000)
    assert (running.picture.arrays[1] == 200).all()


def test_a_picture_whose_pixels_are_gone_leaves_no_halvings(looking: PictureClient, tmp_path: Path) -> None:
    for _picture in range(5):
        with pytest.raises(OSError, match=r"gone\.raw"):
            looking.follow(str(tmp_path / "gone.raw"), SIDE, SIDE, 3)
    assert len(halvings_in(tmp_path)) <= 1


def test_what_the_system_will_not_delete_yet_is_tried_again(
    looking: PictureClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = write_pixels(tmp_path / "result.raw")
    with monkeypatch.context() as windows:
        windows.setattr(imaging, "_deleted", lambda _path: False)
        for _picture in range(5):
            looking.follow(pixels, SIDE, SIDE, 3)
        assert len(halvings_in(tmp_path)) == 5
    gc.collect()
    looking.follow(pixels, SIDE, SIDE, 3)
    assert len(halvings_in(tmp_path)) == 1


def test_folders_of_killed_windows_are_removed_and_those_of_others_stay(
    qapp: object, looking: PictureClient, tmp_path: Path
) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    cache = tmp_path / "cache"
    orphan, elsewhere = cache / f"view-{machine_tag()}-{ended.pid}-abc", cache / f"view-00000000-{ended.pid}-abc"
    for folder in (orphan, elsewhere):
        folder.mkdir()
        (folder / "1.levels").write_bytes(b"0")
    another = PictureClient(cache)
    another.stop()
    assert not orphan.exists()
    assert elsewhere.exists()
    assert len(list(cache.glob("view-*"))) == 2

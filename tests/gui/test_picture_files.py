"""What the window writes for looking at pictures does not pile up: not over a long queue, nor over killed windows."""

from __future__ import annotations

import gc
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import QProcess
from PySide6.QtGui import QColor
from pytestqt.qtbot import QtBot

from engine.partial import machine_tag
from gui.imaging import client as imaging
from gui.imaging.client import PictureClient
from gui.imaging.picture import Picture
from tests.small_disk import fill, mounted_small_disk

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


def test_a_full_disk_is_an_answer_and_ends_neither_process(qapp: object, qtbot: QtBot, tmp_path: Path) -> None:
    """The pixels of the picture find room, its halvings do not."""
    side = 1100
    Image.new("RGB", (side, side), "red").save(tmp_path / "red.png")
    with mounted_small_disk(tmp_path / "disk") as place:
        client = PictureClient(place)
        try:
            ballast = place / "ballast"
            ballast.write_bytes(bytes(4 << 20))
            answers: list[tuple[Picture | None, str]] = []
            client.decode(str(tmp_path / "red.png"), lambda picture, reason: answers.append((picture, reason)))
            qtbot.waitUntil(lambda: len(answers) == 1, timeout=15000)
            assert answers[0][0] is None
            assert "No space left on device" in answers[0][1]
            pixels = tmp_path / "red.raw"
            pixels.write_bytes(bytes(3 * side * side))
            fill(place)
            with pytest.raises(OSError, match="No space"):
                client.follow(str(pixels), side, side, 3)
            (place / "ballast").unlink()
            client.decode(str(tmp_path / "red.png"), lambda picture, reason: answers.append((picture, reason)))
            qtbot.waitUntil(lambda: len(answers) == 2, timeout=15000)
            assert answers[1][0] is not None
            assert answers[1][0].colour(side - 1, side - 1) == QColor("red")
            answers.clear()
        finally:
            client.stop()


def test_the_end_waits_for_a_process_that_is_slow_to_be_gone(
    qapp: object, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a computer whose processors others hold: else Qt complains of it when the window is taken apart."""
    client = PictureClient(tmp_path / "cache", [sys.executable, "-c", "input(); print('here', flush=True); input()"])
    client.decode(str(tmp_path / "red.png"), lambda _picture, _reason: None)
    assert client._process is not None
    with qtbot.waitSignal(client._process.line, timeout=15000):
        pass
    process = client._process._process
    late = f"(sleep 3.3; kill -9 {process.processId()}) &"
    monkeypatch.setattr(process, "kill", lambda: subprocess.run(["sh", "-c", late], check=True))
    client.stop()
    assert process.state() == QProcess.ProcessState.NotRunning


def test_when_its_process_dies_it_is_said_which_one_and_how(qapp: object, qtbot: QtBot, tmp_path: Path) -> None:
    ends = {
        "os.kill(os.getpid(), 11)": "The process that reads pictures for the screen crashed (SIGSEGV).",
        "os.kill(os.getpid(), 9)": "was ended from outside (SIGKILL), most often because memory ran out.",
        "sys.exit(3)": "The process that reads pictures for the screen ended by itself with code 3.",
    }
    for end, sentence in ends.items():
        client = PictureClient(tmp_path / "cache", [sys.executable, "-c", f"import os, sys; input(); {end}"])
        reasons: list[str] = []
        client.decode(str(tmp_path / "red.png"), lambda _picture, reason, reasons=reasons: reasons.append(reason))
        qtbot.waitUntil(lambda reasons=reasons: len(reasons) == 1, timeout=15000)
        assert sentence in reasons[0]
        assert "restoring" not in reasons[0]
        client.stop()
    client = PictureClient(tmp_path / "cache", [str(tmp_path / "none")])
    client.decode(str(tmp_path / "red.png"), lambda _picture, reason: reasons.append(reason))
    qtbot.waitUntil(lambda: len(reasons) == 2, timeout=15000)
    assert "could not be started" in reasons[1]
    client.stop()

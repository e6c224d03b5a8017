"""Pictures whose names are no UTF-8, as on old disks, are shown and restored, and hold up nobody else."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from PIL import Image
from pytestqt.qtbot import QtBot

from engine import wire
from gui.settings import Settings
from gui.state.queue import Item, Queue, from_journal, to_journal
from gui.window import Window

WAIT = 20_000
BAD = "v\udcfe.png"
"""The byte FE, as Python holds it."""


def bad_pictures(folder: Path, count: int) -> list[str]:
    made = []
    for number in range(count):
        path = folder / f"{number} {BAD}"
        try:
            with path.open("wb") as file:
                Image.new("RGB", (40, 30), (200, 40, 40)).save(file, "PNG")
        except (OSError, UnicodeError):
            pytest.skip("this file system takes no such names")
        made.append(str(path))
    return made


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names are text")
def test_they_are_restored_and_so_is_what_comes_after_them(
    qtbot: QtBot, open_window: Callable[..., Window], pictures: list[str], tmp_path: Path
) -> None:
    bad = bad_pictures(Path(pictures[0]).parent, 3)
    window = open_window()
    page = window.restore_page
    window.session.add_paths([*bad, pictures[0]])
    qtbot.waitUntil(lambda: [item.state for item in window.session.queue.items] == ["done"] * 4, timeout=WAIT)
    assert len(list((tmp_path / "out").iterdir())) == 4
    assert os.fsencode(window.session.queue.items[0].target).count(b"\xfe") == 1
    page.side.list.setCurrentIndex(page.side.model.index(1))
    qtbot.waitUntil(lambda: page._before is not None, timeout=WAIT)
    colour = page._before.colour(5, 5) if page._before else None
    assert colour is not None
    assert colour.red() == 200


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names are text")
def test_they_wait_in_the_journal_like_the_others(
    qtbot: QtBot, open_window: Callable[..., Window], pictures: list[str]
) -> None:
    bad = bad_pictures(Path(pictures[0]).parent, 1)
    settings = Settings(start_at_once=False)
    first = open_window(settings=settings)
    first.session.add_paths([pictures[1], *bad, pictures[0]])
    first.close()
    second = open_window(settings=settings)
    assert [item.source for item in second.session.leftovers] == [pictures[1], *bad, pictures[0]]


def test_a_journal_keeps_every_kind_of_name() -> None:
    names = ["/p/a.png", f"/p/{BAD}", "/p/ünï 😀.png", "/p/\ud800.png"]
    queue = Queue(items=tuple(Item(job=name, source=name) for name in names))
    assert [item.source for item in from_journal(to_journal(queue.items))] == names


@pytest.mark.parametrize("name", [BAD, f"ünï 😀 {BAD}", "\ud800"])
def test_a_message_carries_such_a_name_there_and_back(name: str) -> None:
    request = wire.RestoreRequest(job="a", source=name, target="out", options=wire.RestoreOptions(alpha=0.5))
    assert wire.decode_request(wire.encode(request)) == request
    event = wire.Failed(job="a", code="image-corrupt", message=f"{name} is damaged.")
    assert wire.decode_event(wire.encode(event)) == event
    assert wire.encode(event).count(b"\n") == 1


@pytest.mark.parametrize(
    "line",
    [
        b'{"type":"Cancel","job":"\\ud800"',
        b'{"type":"Cancel","job":"\\ud800","more":1}',
        b'{"type":"Cancel","job":NaN,"x":"\\ud800"}',
        b'{"type":"\\ud800","job":"1"}',
        b'{"type":"Cancel","job":"1","\\ud800":1}',
        b'{"type":"PreviewRequest","job":"\\ud800"}',
        b'{"x":"\\ud800","job":' + b"[" * 100_000,
        b'{"type":"Cancel","job":"\\ud800\xff"}',
    ],
)
def test_what_is_no_message_is_refused_also_with_such_a_name(line: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        wire.decode_request(line)

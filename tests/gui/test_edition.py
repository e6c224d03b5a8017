"""The edition that only restores offers no training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

import gui.window
from gui.settings import Settings
from gui.widgets.rail import RailButton


@pytest.mark.parametrize("trains", [True, False])
def test_pages_are_those_of_the_edition(
    trains: bool, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: Callable[[str], object] = lambda name: object() if trains else None  # noqa: E731
    monkeypatch.setattr(gui.window, "find_spec", found)
    window = gui.window.Window(Settings(), tmp_path / "config", tmp_path / "state", tmp_path / "cache")
    qtbot.addWidget(window)
    window.show()
    names = [button.text() for button in window.rail.findChildren(RailButton)]
    assert ("Train" in names and "Runs" in names) == trains
    assert len(names) == window.pages.count()
    window.rail.choose(window.pages.count() - 1)
    assert window.pages.currentWidget() is window.settings_page
    assert trains or not (window.train_page.isVisible() or window.runs_page.isVisible())
    window.close()

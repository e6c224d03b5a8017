"""What can be done with the result of a picture: open it, show where it lies, copy it."""

from __future__ import annotations

import os
from pathlib import Path

from PySide6.QtCore import QMimeData, QUrl
from PySide6.QtGui import QDesktopServices, QGuiApplication

from gui.imaging.picture import Picture
from gui.state.queue import Item, Queue

LARGEST_COPY = 50_000_000
"""Pixels that are copied to the clipboard: more would hold the window up."""


def newest_result(queue: Queue) -> Item | None:
    return next((item for item in reversed(queue.items) if item.state == "done"), None)


def open_result(item: Item | None) -> None:
    if item is not None and item.state == "done":
        QDesktopServices.openUrl(QUrl.fromLocalFile(item.target))


def open_folder_of(item: Item) -> None:
    """Of its result, or of the picture itself where there is none."""
    path = item.target if item.state == "done" and os.path.exists(item.target) else item.source  # noqa: PTH110
    QDesktopServices.openUrl(QUrl.fromLocalFile(str(Path(path).parent)))


def copy_result(item: Item, shown: Picture | None) -> None:
    """The file and, if it is not huge, its pixels, so that one can paste either."""
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(item.target)])
    if shown is not None and shown.width * shown.height <= LARGEST_COPY:
        data.setImageData(shown.levels[0].copy())
    QGuiApplication.clipboard().setMimeData(data)

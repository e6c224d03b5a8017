"""A picture on the screen: mapped pixels and their halvings, wrapped in QImages that copy nothing."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtGui import QColor, QImage

from gui.imaging.pyramid import Pixels, map_levels, map_pixels

FORMATS = {
    1: QImage.Format.Format_Grayscale8,
    3: QImage.Format.Format_RGB888,
    4: QImage.Format.Format_RGBA8888,
}


class Picture:
    """Level 0 is (height, width, channels) uint8 in one mapped file, the halvings lie in another.

    The mappings live as long as the picture: a file may be deleted under it (the pages stay on systems with inodes).
    """

    def __init__(self, pixels: Path, width: int, height: int, channels: int, levels: Path | None) -> None:
        self.width = width
        self.height = height
        self.channels = channels
        self.arrays: list[Pixels] = [map_pixels(pixels, width, height, channels)]
        if levels is not None:
            self.arrays += map_levels(levels, width, height, channels)
        self.levels = [_wrap(array) for array in self.arrays]
        self.ready_rows = height
        """Rows from the top that hold pixels already; less than `height` while the picture is being made."""

    def colour(self, x: int, y: int) -> QColor | None:
        """Of the pixel (x, y) of level 0, or None outside it."""
        if not (0 <= x < self.width and 0 <= y < self.ready_rows):
            return None
        value = self.arrays[0][y, x]
        if self.channels == 1:
            return QColor(int(value[0]), int(value[0]), int(value[0]))
        alpha = int(value[3]) if self.channels == 4 else 255
        return QColor(int(value[0]), int(value[1]), int(value[2]), alpha)


def _wrap(array: Pixels) -> QImage:
    height, width, channels = array.shape
    return QImage(array.data, width, height, width * channels, FORMATS[channels])


def from_rgba(data: bytes, width: int, height: int) -> QImage:
    """A thumbnail, copied."""
    return QImage(data, width, height, 4 * width, QImage.Format.Format_RGBA8888).copy()

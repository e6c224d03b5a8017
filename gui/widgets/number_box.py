"""A whole number to type or step, with room around it as other fields have."""

from __future__ import annotations

from PySide6.QtWidgets import QSpinBox, QWidget

MARGIN = 9
"""Pixels: a style sheet's padding does not reach the text inside."""


class NumberBox(QSpinBox):
    def __init__(self, low: int, high: int, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setRange(low, high)
        self.setGroupSeparatorShown(high > 9999)
        self.lineEdit().setTextMargins(MARGIN, 0, MARGIN, 0)

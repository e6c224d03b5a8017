"""A card around a radio button: a click anywhere on it chooses."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import QFrame, QRadioButton, QVBoxLayout, QWidget

from gui.theme import SPACE


class OptionCard(QFrame):
    def __init__(self, button: QRadioButton, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("card")
        self._button = button
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.column = QVBoxLayout(self)
        self.column.setContentsMargins(2 * SPACE, SPACE, 2 * SPACE, SPACE)
        self.column.setSpacing(2)
        self.column.addWidget(button)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if self._button.isEnabled():
            self._button.setChecked(True)
            self._button.setFocus()

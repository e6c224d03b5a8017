"""The pages, down the left side."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QEnterEvent, QFontMetricsF, QKeyEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QAbstractButton, QButtonGroup, QFrame, QVBoxLayout, QWidget

from gui import icons
from gui.theme import RAIL_WIDTH, SPACE, colour, sized

EDGE = 5
"""Pixels that a label leaves free at both sides; a longer one is written smaller."""


class RailButton(QAbstractButton):
    """Icon over label; the chosen one is tinted."""

    def __init__(self, name: str, text: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._name = name
        self.setText(text)
        self.setCheckable(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setCursor(Qt.CursorShape.PointingHandCursor)

    def sizeHint(self) -> QSize:
        return QSize(RAIL_WIDTH, 64)

    def enterEvent(self, event: QEnterEvent) -> None:
        self.update()

    def leaveEvent(self, event: object) -> None:
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        palette = self.palette()
        pill = QRectF(self.width() / 2 - 26, 6, 52, 30)
        painter.setPen(Qt.PenStyle.NoPen)
        if self.isChecked():
            painter.setBrush(colour(palette, "accent_soft"))
            painter.drawRoundedRect(pill, 15, 15)
        elif self.underMouse():
            painter.setBrush(colour(palette, "sunken"))
            painter.drawRoundedRect(pill, 15, 15)
        if self.hasFocus():
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(colour(palette, "accent"))
            painter.drawRoundedRect(pill.adjusted(0.5, 0.5, -0.5, -0.5), 15, 15)
        ink = colour(palette, "accent" if self.isChecked() else "muted")
        icons.draw(painter, self._name, QRectF(self.width() / 2 - 11, 10, 22, 22), ink)
        font = sized(self.font(), 0.9, strong=True)
        wide = QFontMetricsF(font).horizontalAdvance(self.text().replace("&", ""))
        room = (self.width() - 2 * EDGE) / max(wide, 1.0)
        painter.setFont(sized(self.font(), 0.9 * min(1.0, room), strong=self.isChecked()))
        painter.setPen(colour(palette, "text" if self.isChecked() else "muted"))
        painter.drawText(QRectF(0, 39, self.width(), 20), Qt.AlignmentFlag.AlignHCenter, self.text().replace("&", ""))
        painter.end()


class Rail(QFrame):
    chosen = Signal(int)

    def __init__(self, entries: list[tuple[str, str]], parent: QWidget | None = None) -> None:
        """`entries`: icon and label of each page; the last one stands at the bottom."""
        super().__init__(parent)
        self.setObjectName("rail")
        self.setFixedWidth(RAIL_WIDTH)
        self.setAccessibleName(self.tr("Pages"))
        self._group = QButtonGroup(self)
        self._group.setExclusive(True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 2 * SPACE, 0, 2 * SPACE)
        layout.setSpacing(SPACE // 2)
        for number, (name, label) in enumerate(entries):
            if number == len(entries) - 1:
                layout.addStretch(1)
            button = RailButton(name, label)
            button.setAccessibleName(self.tr("Page: {name}").format(name=label))
            self._group.addButton(button, number)
            layout.addWidget(button)
        self._group.idToggled.connect(lambda number, on: self.chosen.emit(number) if on else None)

    def choose(self, number: int) -> None:
        button = self._group.button(number)
        if button is not None:
            button.setChecked(True)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        step = {Qt.Key.Key_Up: -1, Qt.Key.Key_Down: 1}.get(Qt.Key(event.key()))
        if step is None:
            super().keyPressEvent(event)
            return
        button = self._group.button((self._group.checkedId() + step) % len(self._group.buttons()))
        if button is not None:
            button.setChecked(True)
            button.setFocus()

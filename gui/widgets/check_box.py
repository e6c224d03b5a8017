"""A check box whose empty square can be seen in both themes."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QCheckBox, QStyle, QStyleOptionButton

from gui import icons
from gui.theme import colour

SIDE = 16
GAP = 8


class CheckBox(QCheckBox):
    def sizeHint(self) -> QSize:
        text = self.fontMetrics().size(Qt.TextFlag.TextShowMnemonic, self.text())
        return QSize(SIDE + GAP + text.width() + 4, max(SIDE + 6, text.height() + 4))

    def hitButton(self, position: object) -> bool:
        return True

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        palette = self.palette()
        box = QRectF(1.5, (self.height() - SIDE) / 2 + 0.5, SIDE - 1, SIDE - 1)
        accent = colour(palette, "accent" if self.isEnabled() else "disabled")
        painter.setPen(QPen(accent if self.isChecked() or self.hasFocus() else colour(palette, "muted"), 1.3))
        painter.setBrush(accent if self.isChecked() else colour(palette, "surface"))
        painter.drawRoundedRect(box, 4, 4)
        if self.isChecked():
            icons.draw(painter, "check", box.adjusted(1, 1, -1, -1), colour(palette, "on_accent"), 3.2)
        if self.hasFocus():
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(colour(palette, "accent"), 1))
            painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), 4, 4)
        option = QStyleOptionButton()
        self.initStyleOption(option)
        place = self.rect().adjusted(SIDE + GAP, 0, 0, 0)
        flags = int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft) | int(Qt.TextFlag.TextShowMnemonic)
        enabled = bool(option.state & QStyle.StateFlag.State_Enabled)
        self.style().drawItemText(painter, place, flags, palette, enabled, self.text(), self.foregroundRole())
        painter.end()

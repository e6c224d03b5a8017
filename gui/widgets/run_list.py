"""The list of trainings: name, what it is doing, how far it is."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRectF, QSize, Qt
from PySide6.QtGui import QFontMetrics, QPainter, QPalette
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem

from gui.models.runs_model import RunRow, RunsModel
from gui.theme import colour, sized


class RunDelegate(QStyledItemDelegate):
    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:
        return QSize(200, 62)

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        row = index.data(RunsModel.ROW)
        if not isinstance(row, RunRow):
            return
        palette: QPalette = option.palette
        state: QStyle.StateFlag = option.state
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        box = QRectF(option.rect).adjusted(6, 2, -6, -2)
        painter.setPen(Qt.PenStyle.NoPen)
        selected = bool(state & QStyle.StateFlag.State_Selected)
        if selected or state & QStyle.StateFlag.State_MouseOver:
            painter.setBrush(colour(palette, "accent_soft" if selected else "sunken"))
            painter.drawRoundedRect(box, 8, 8)
        if state & QStyle.StateFlag.State_HasFocus:
            painter.setPen(colour(palette, "accent"))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(box.adjusted(0.5, 0.5, -0.5, -0.5), 8, 8)
        text = box.adjusted(12, 8, -12, -8)
        font = sized(option.font, 1.0, strong=True)
        painter.setFont(font)
        painter.setPen(colour(palette, "text"))
        name = QFontMetrics(font).elidedText(row.name, Qt.TextElideMode.ElideMiddle, int(text.width()))
        painter.drawText(text, Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft, name)
        font = sized(option.font, 0.9)
        painter.setFont(font)
        painter.setPen(colour(palette, row.tone))
        line = QFontMetrics(font).elidedText(row.line, Qt.TextElideMode.ElideRight, int(text.width()))
        painter.drawText(text.adjusted(0, 0, 0, -5), Qt.AlignmentFlag.AlignBottom | Qt.AlignmentFlag.AlignLeft, line)
        if 0 < row.fraction < 1:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(colour(palette, "border"))
            bar = QRectF(text.left(), box.bottom() - 8, text.width(), 3)
            painter.drawRoundedRect(bar, 1.5, 1.5)
            painter.setBrush(colour(palette, "accent"))
            painter.drawRoundedRect(QRectF(bar.left(), bar.top(), bar.width() * row.fraction, 3), 1.5, 1.5)
        painter.restore()

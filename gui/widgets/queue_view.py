"""The list of pictures: thumbnail, name, what is happening, and how far it is."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QFontMetrics, QImage, QKeyEvent, QPainter, QPainterPath, QPalette
from PySide6.QtWidgets import QAbstractItemView, QListView, QStyle, QStyledItemDelegate, QStyleOptionViewItem, QWidget

from gui import icons
from gui.models.queue_model import ITEM, THUMBNAIL
from gui.sentences import item_line
from gui.state.queue import Item
from gui.theme import colour, sized

ROW = 68
THUMB = 48
THUMB_SIDE = 144
"""Pixels asked of the picture process: sharp up to a scale of three."""


class QueueDelegate(QStyledItemDelegate):
    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:
        return QSize(200, ROW)

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        item = index.data(ITEM)
        if not isinstance(item, Item):
            return
        palette: QPalette = option.palette
        rect = QRectF(option.rect)
        state: QStyle.StateFlag = option.state
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        box = rect.adjusted(6, 2, -6, -2)
        painter.setPen(Qt.PenStyle.NoPen)
        if state & QStyle.StateFlag.State_Selected:
            painter.setBrush(colour(palette, "accent_soft"))
            painter.drawRoundedRect(box, 8, 8)
        elif state & QStyle.StateFlag.State_MouseOver:
            painter.setBrush(colour(palette, "sunken"))
            painter.drawRoundedRect(box, 8, 8)
        if state & QStyle.StateFlag.State_HasFocus:
            painter.setPen(colour(palette, "accent"))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(box.adjusted(0.5, 0.5, -0.5, -0.5), 8, 8)
        thumb = QRectF(box.left() + 8, box.top() + (box.height() - THUMB) / 2, THUMB, THUMB)
        _paint_thumbnail(painter, palette, thumb, index.data(THUMBNAIL))
        text = QRectF(thumb.right() + 12, box.top() + 9, box.right() - thumb.right() - 44, box.height() - 18)
        line, tone = item_line(item)
        name_font = sized(option.font, 1.0, strong=True)
        painter.setFont(name_font)
        painter.setPen(colour(palette, "text"))
        name = QFontMetrics(name_font).elidedText(str(index.data()), Qt.TextElideMode.ElideMiddle, int(text.width()))
        painter.drawText(text, Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft, name)
        line_font = sized(option.font, 0.9)
        painter.setFont(line_font)
        painter.setPen(colour(palette, tone))
        line = QFontMetrics(line_font).elidedText(line, Qt.TextElideMode.ElideRight, int(text.width()))
        below = text.adjusted(0, text.height() / 2 - 1, 0, -6 if item.state == "running" else 0)
        painter.drawText(below, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, line)
        if item.state in ("running", "sent"):
            bar = QRectF(text.left(), box.bottom() - 10, box.right() - text.left() - 12, 4)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(colour(palette, "border"))
            painter.drawRoundedRect(bar, 2, 2)
            painter.setBrush(colour(palette, "accent"))
            painter.drawRoundedRect(QRectF(bar.left(), bar.top(), bar.width() * item.fraction, bar.height()), 2, 2)
        mark = {"done": ("check", "good"), "failed": ("warning", "bad"), "crashed": ("warning", "bad")}.get(item.state)
        if mark is not None:
            square = QRectF(box.right() - 30, box.center().y() - 9, 18, 18)
            icons.draw(painter, mark[0], square, colour(palette, mark[1]), 2.0)
        painter.restore()


def _paint_thumbnail(painter: QPainter, palette: QPalette, rect: QRectF, image: object) -> None:
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(colour(palette, "sunken"))
    painter.drawRoundedRect(rect, 6, 6)
    if not isinstance(image, QImage) or image.isNull():
        icons.draw(painter, "restore", rect.adjusted(14, 14, -14, -14), colour(palette, "disabled"))
        return
    side = min(image.width(), image.height())
    source = QRectF((image.width() - side) / 2, (image.height() - side) / 2, side, side)
    painter.save()
    path = QPainterPath()
    path.addRoundedRect(rect, 6, 6)
    painter.setClipPath(path)
    painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
    painter.drawImage(rect, image, source)
    painter.restore()


class QueueView(QListView):
    remove_wanted = Signal()
    retry_wanted = Signal()
    shift_wanted = Signal(int)
    """Move the selected pictures up (-1) or down (+1)."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName(self.tr("Pictures"))
        self.setItemDelegate(QueueDelegate(self))
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setUniformItemSizes(True)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setMouseTracking(True)
        self.setDragDropMode(QAbstractItemView.DragDropMode.DragDrop)
        self.setDefaultDropAction(Qt.DropAction.MoveAction)
        self.setDragDropOverwriteMode(False)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)

    def dataChanged(
        self,
        first: QModelIndex | QPersistentModelIndex,
        last: QModelIndex | QPersistentModelIndex,
        roles: Sequence[int] = (),
    ) -> None:
        """A list view lays out all its rows anew; ours stay as high as they are, so only the changed ones are drawn."""
        QAbstractItemView.dataChanged(self, first, last, roles)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        alt = bool(event.modifiers() & Qt.KeyboardModifier.AltModifier)
        if event.key() in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace):
            self.remove_wanted.emit()
        elif alt and event.key() in (Qt.Key.Key_Up, Qt.Key.Key_Down):
            self.shift_wanted.emit(-1 if event.key() == Qt.Key.Key_Up else 1)
        elif _asks_for_menu(event) and self.currentIndex().isValid():
            self.customContextMenuRequested.emit(self.visualRect(self.currentIndex()).center())
        else:
            super().keyPressEvent(event)


def _asks_for_menu(event: QKeyEvent) -> bool:
    """Many keyboards have no menu key. Only under X11 and Wayland Qt does not know the other way."""
    shift = event.modifiers() == Qt.KeyboardModifier.ShiftModifier
    return sys.platform.startswith("linux") and shift and event.key() == Qt.Key.Key_F10

"""The choice of the model: a list of cards with a restored sample, the licence and the scores of each."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QFontMetrics, QImage, QPainter, QPainterPath, QPalette
from PySide6.QtWidgets import QComboBox, QStyle, QStyledItemDelegate, QStyleOptionViewItem, QWidget

from gui import icons
from gui.sentences import about
from gui.state.library import Model
from gui.theme import colour, sized

CARD_WIDTH = 400
CARD_HEIGHT = 84
SAMPLE = 64
MODEL = int(Qt.ItemDataRole.UserRole) + 1


class ModelBox(QComboBox):
    opened = Signal()
    """The cards are about to be looked at: time to make the samples."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName(self.tr("Model"))
        self._delegate = _CardDelegate(self)
        self.view().setItemDelegate(self._delegate)
        self.view().setMinimumWidth(CARD_WIDTH)
        self.view().setAccessibleName(self.tr("Models"))
        self.setMaxVisibleItems(6)

    def add(self, model: Model) -> None:
        self.addItem(f"{model.name}  ×{model.scale}", model.name)
        row = self.count() - 1
        self.setItemData(row, model, MODEL)
        self.setItemData(row, ", ".join([model.name, *card_lines(model)]), Qt.ItemDataRole.AccessibleTextRole)

    def set_sample(self, name: str, image: QImage) -> None:
        """What the model makes of the sample: left half before, right half after."""
        self._delegate.samples[name] = image
        self.view().viewport().update()

    def showPopup(self) -> None:
        self.opened.emit()
        super().showPopup()


def card_lines(model: Model) -> list[str]:
    """What a card says below the name: what it is for, then facts."""
    scores = [score for score in model.scores if score.alpha is None][:2]
    facts = [
        model.architecture,
        *(f"{score.metric.upper()} {about(score.value, 4)}" for score in scores),
        model.licence,
    ]
    return [line for line in (model.description, " · ".join(fact for fact in facts if fact)) if line]


class _CardDelegate(QStyledItemDelegate):
    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.samples: dict[str, QImage] = {}

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:
        return QSize(CARD_WIDTH, CARD_HEIGHT if isinstance(index.data(MODEL), Model) else 32)

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        model = index.data(MODEL)
        if not isinstance(model, Model):
            super().paint(painter, option, index)
            return
        palette: QPalette = option.palette
        state: QStyle.StateFlag = option.state
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        box = QRectF(option.rect).adjusted(4, 2, -4, -2)
        if state & QStyle.StateFlag.State_Selected:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(colour(palette, "accent_soft"))
            painter.drawRoundedRect(box, 8, 8)
        thumb = QRectF(box.left() + 8, box.center().y() - SAMPLE / 2, SAMPLE * 1.5, SAMPLE)
        _paint_sample(painter, palette, thumb, self.samples.get(model.name))
        text = QRectF(thumb.right() + 12, box.top() + 8, box.right() - thumb.right() - 20, box.height() - 16)
        font = sized(option.font, 1.0, strong=True)
        lines = [(f"{model.name}  ×{model.scale}", font, "text")]
        lines += [(line, sized(option.font, 0.9), "muted") for line in card_lines(model)]
        y = text.top()
        for line, face, ink in lines[:3]:
            metrics = QFontMetrics(face)
            painter.setFont(face)
            painter.setPen(colour(palette, ink))
            shown = metrics.elidedText(line, Qt.TextElideMode.ElideRight, int(text.width()))
            painter.drawText(QRectF(text.left(), y, text.width(), metrics.height()), 0, shown)
            y += metrics.height() + 4
        painter.restore()


def _paint_sample(painter: QPainter, palette: QPalette, rect: QRectF, image: QImage | None) -> None:
    path = QPainterPath()
    path.addRoundedRect(rect, 6, 6)
    painter.fillPath(path, colour(palette, "sunken"))
    if image is None:
        side = QRectF(rect.center().x() - 11, rect.center().y() - 11, 22, 22)
        icons.draw(painter, "models", side, colour(palette, "disabled"))
        return
    painter.save()
    painter.setClipPath(path)
    painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
    painter.drawImage(rect, image)
    painter.restore()

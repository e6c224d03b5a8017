"""Samples of damage: each original beside what the network is fed, as large as the room allows."""

from __future__ import annotations

import math

import msgspec
from PySide6.QtCore import QEvent, QRectF, QSize, Qt
from PySide6.QtGui import QFontMetrics, QFontMetricsF, QHelpEvent, QPainter, QPaintEvent, QPixmap
from PySide6.QtWidgets import QLabel, QToolTip, QWidget

from gui.theme import SPACE, colour, sized

Box = tuple[float, float, float, float]
CAPTION_LINES = 2
GAP = 2
"""Pixels between the two halves of a sample."""


class Sample(msgspec.Struct, frozen=True):
    """Boxes are left, top, width and height of both halves in the pixels of the sheet."""

    original: Box
    damaged: Box
    text: str


def parse_samples(rows: object) -> list[Sample]:
    """As `pellucid degrade --sheet --json` tells them. Raises msgspec.ValidationError."""
    return msgspec.convert(rows, list[Sample])


class SampleGrid(QLabel):
    """A label, so that a screen reader reads what happened to the samples; without samples it shows its text."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.setProperty("tone", "muted")
        self.setWordWrap(True)
        self.setMinimumSize(200, 200)
        self._sheet = QPixmap()
        self._samples: list[Sample] = []

    def is_empty(self) -> bool:
        return not self._samples

    def sheet(self) -> QPixmap:
        return self._sheet

    def show_samples(self, sheet: QPixmap, samples: list[Sample]) -> None:
        self._sheet, self._samples = sheet, samples
        self.setText("")
        self.setAccessibleDescription("; ".join(sample.text for sample in samples))
        self.update()

    def say(self, text: str) -> None:
        """Instead of samples."""
        self._sheet, self._samples = QPixmap(), []
        self.setAccessibleDescription("")
        self.setText(text)
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(720, 480)

    def cells(self) -> list[QRectF]:
        """Where each sample and its caption lie: the number of columns that makes them largest."""
        count = len(self._samples)
        best: tuple[float, int] = (0.0, 1)
        for columns in range(1, count + 1):
            side = self._side(columns, -(-count // columns))
            best = max(best, (side, columns))
        side, columns = best
        if side < 8:
            return []
        width, height = 2 * side + GAP, side + self._caption_height()
        rows = -(-count // columns)
        gap_x = (self.width() - columns * width) / max(1, columns - 1)
        gap_x = min(gap_x, 4.0 * SPACE)
        left = (self.width() - columns * width - (columns - 1) * gap_x) / 2
        gap_y = min((self.height() - rows * height) / max(1, rows - 1), 2.0 * SPACE)
        return [
            QRectF(left + n % columns * (width + gap_x), n // columns * (height + gap_y), width, height)
            for n in range(count)
        ]

    def _side(self, columns: int, rows: int) -> float:
        """Of one half, in whole pixels."""
        wide = ((self.width() - (columns - 1) * SPACE) / columns - GAP) / 2
        tall = (self.height() - (rows - 1) * SPACE) / rows - self._caption_height()
        return math.floor(min(wide, tall))

    def _caption_height(self) -> float:
        return CAPTION_LINES * QFontMetricsF(sized(self.font(), 0.85)).lineSpacing() + 4

    def paintEvent(self, event: QPaintEvent) -> None:
        if not self._samples:
            super().paintEvent(event)
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.setFont(sized(self.font(), 0.85))
        caption = self._caption_height()
        for cell, sample in zip(self.cells(), self._samples, strict=False):
            side = cell.height() - caption
            painter.drawPixmap(QRectF(cell.left(), cell.top(), side, side), self._sheet, QRectF(*sample.original))
            second = QRectF(cell.left() + side + GAP, cell.top(), side, side)
            painter.drawPixmap(second, self._sheet, QRectF(*sample.damaged))
            painter.setPen(colour(self.palette(), "muted"))
            place = QRectF(cell.left(), cell.top() + side + 3, cell.width(), caption - 4)
            painter.drawText(place, Qt.AlignmentFlag.AlignLeft, _in_lines(sample.text, painter.fontMetrics(), place))
        painter.end()

    def event(self, event: QEvent) -> bool:
        """The whole caption under the pointer: it rarely fits below its sample."""
        if isinstance(event, QHelpEvent) and self._samples:
            for cell, sample in zip(self.cells(), self._samples, strict=False):
                if cell.contains(event.pos()):
                    QToolTip.showText(event.globalPos(), sample.text, self)
                    return True
            QToolTip.hideText()
            return True
        return super().event(event)


def _in_lines(text: str, metrics: QFontMetrics, place: QRectF) -> str:
    """Cut at a word where more lines were needed than there is room for."""
    measure = metrics.horizontalAdvance
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}".strip()
        if not lines[-1] or measure(longer) <= place.width():
            lines[-1] = longer
        elif len(lines) < CAPTION_LINES:
            lines.append(word)
        else:
            while lines[-1] and measure(lines[-1] + "…") > place.width():
                lines[-1] = lines[-1].rpartition(" ")[0]
            lines[-1] += "…"
            break
    return "\n".join(lines)

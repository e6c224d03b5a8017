"""The slider between the faithful and the vivid model, with what was measured at each stop."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSlider, QWidget

from gui.theme import colour, sized

HANDLE = 9
MARGIN = 12
CURVE_HEIGHT = 26


class AlphaSlider(QSlider):
    """0..100 percent in steps of five; `curve` is what a score does along the way, drawn above the groove."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self.setRange(0, 100)
        self.setSingleStep(5)
        self.setPageStep(25)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(self.tr("Blend between faithful and vivid, percent"))
        self._curve: list[tuple[float, float]] = []
        self._label = ""
        self.setMouseTracking(True)

    def set_curve(self, curve: list[tuple[float, float]], label: str) -> None:
        """(alpha 0..1, score) in order of alpha; `label` names the score."""
        self._curve = curve
        self._label = label
        self.setToolTip("\n".join([label, *(f"{alpha:.2f}: {value:.3g}" for alpha, value in curve)]) if curve else "")
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(160, 26 + (CURVE_HEIGHT if self._curve else 0))

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()

    def mousePressEvent(self, event: object) -> None:
        """A click goes there at once: nobody expects a page step."""
        self.setSliderDown(True)
        self._follow(event.position().x())  # type: ignore[attr-defined]

    def mouseMoveEvent(self, event: object) -> None:
        if self.isSliderDown():
            self._follow(event.position().x())  # type: ignore[attr-defined]

    def mouseReleaseEvent(self, event: object) -> None:
        self.setSliderDown(False)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        palette = self.palette()
        accent = colour(palette, "accent") if self.isEnabled() else colour(palette, "disabled")
        y = self.height() - 13.0
        left, right = float(MARGIN), float(self.width() - MARGIN)
        x = left + (right - left) * self._share()
        painter.setPen(QPen(colour(palette, "border"), 4, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
        painter.drawLine(QPointF(left, y), QPointF(right, y))
        painter.setPen(QPen(accent, 4, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
        painter.drawLine(QPointF(left, y), QPointF(x, y))
        if self._curve:
            self._paint_curve(painter, left, right)
        painter.setPen(QPen(colour(palette, "surface"), 2))
        painter.setBrush(accent)
        painter.drawEllipse(QPointF(x, y), HANDLE, HANDLE)
        if self.hasFocus():
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(colour(palette, "text"), 1.5))
            painter.drawEllipse(QPointF(x, y), HANDLE + 2, HANDLE + 2)
        painter.end()

    def _paint_curve(self, painter: QPainter, left: float, right: float) -> None:
        values = [value for _alpha, value in self._curve]
        low, span = min(values), (max(values) - min(values)) or 1.0
        points = [
            QPointF(left + (right - left) * alpha, 4 + (CURVE_HEIGHT - 10) * (1 - (value - low) / span))
            for alpha, value in self._curve
        ]
        painter.setPen(QPen(colour(self.palette(), "muted"), 1.5))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawPolyline(points)
        painter.setBrush(colour(self.palette(), "muted"))
        painter.setPen(Qt.PenStyle.NoPen)
        for point in points:
            painter.drawEllipse(point, 2.2, 2.2)
        nearest = min(self._curve, key=lambda pair: abs(pair[0] - self._share()))
        painter.setPen(colour(self.palette(), "text"))
        painter.setFont(sized(self.font(), 0.85))
        painter.drawText(
            QRectF(left, 0, right - left, 14), Qt.AlignmentFlag.AlignRight, f"{self._label} {nearest[1]:.3g}"
        )

    def _share(self) -> float:
        span = self.maximum() - self.minimum()
        return (self.value() - self.minimum()) / span if span else 0.0

    def _follow(self, x: float) -> None:
        share = (x - MARGIN) / max(1.0, self.width() - 2 * MARGIN)
        self.setValue(round(self.minimum() + min(1.0, max(0.0, share)) * (self.maximum() - self.minimum())))

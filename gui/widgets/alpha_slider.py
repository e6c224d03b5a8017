"""The slider between the faithful and the vivid model, with what was measured at each stop."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSlider, QWidget

from gui.sentences import about, decimal
from gui.theme import colour, sized

HANDLE = 9
MARGIN = 12
CURVE_HEIGHT = 26
LABEL_HEIGHT = 16


@dataclass(frozen=True)
class Scores:
    label: str
    points: tuple[tuple[float, float], ...]
    """(alpha 0..1, score) in order of alpha."""


class AlphaSlider(QSlider):
    """0..100 percent in steps of five; above the groove is drawn what scores do along the way, a tick a measurement."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self.setRange(0, 100)
        self.setSingleStep(5)
        self.setPageStep(25)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(self.tr("Blend between faithful and vivid, percent"))
        self._curves: list[Scores] = []
        self.setMouseTracking(True)

    def set_curves(self, curves: list[Scores]) -> None:
        """What was measured along the way; at most two are drawn."""
        self._curves = [curve for curve in curves if curve.points][:2]
        lines = [
            f"{curve.label}: " + ", ".join(f"{decimal(alpha, 2)} → {about(value, 3)}" for alpha, value in curve.points)
            for curve in self._curves
        ]
        self.setToolTip("\n".join(lines))
        self.setAccessibleDescription("; ".join(lines))
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(160, 26 + (LABEL_HEIGHT + CURVE_HEIGHT if self._curves else 0))

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
        for number, curve in enumerate(self._curves):
            self._paint_curve(painter, (left, right), curve, number)
        painter.setPen(QPen(colour(palette, "surface"), 2))
        painter.setBrush(accent)
        painter.drawEllipse(QPointF(x, y), HANDLE, HANDLE)
        if self.hasFocus():
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(colour(palette, "text"), 1.5))
            painter.drawEllipse(QPointF(x, y), HANDLE + 2, HANDLE + 2)
        painter.end()

    def _paint_curve(self, painter: QPainter, ends: tuple[float, float], curve: Scores, number: int) -> None:
        """The first curve is a full line, the second a dashed one; each has its own height."""
        left, right = ends
        values = [value for _alpha, value in curve.points]
        low, span = min(values), (max(values) - min(values)) or 1.0
        top = LABEL_HEIGHT + 3.0
        points = [
            QPointF(left + (right - left) * alpha, top + (CURVE_HEIGHT - 10) * (1 - (value - low) / span))
            for alpha, value in curve.points
        ]
        ink = colour(self.palette(), ("accent", "warning")[number])
        style = (Qt.PenStyle.SolidLine, Qt.PenStyle.DashLine)[number]
        painter.setPen(QPen(ink, 1.5, style))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawPolyline(points)
        painter.setBrush(ink)
        painter.setPen(Qt.PenStyle.NoPen)
        for point in points:
            painter.drawEllipse(point, 2.4, 2.4)
        nearest = min(curve.points, key=lambda pair: abs(pair[0] - self._share()))
        painter.setPen(ink)
        painter.setFont(sized(self.font(), 0.85))
        side = (Qt.AlignmentFlag.AlignLeft, Qt.AlignmentFlag.AlignRight)[number]
        painter.drawText(QRectF(0, 0, self.width(), LABEL_HEIGHT), side, f"{curve.label} {about(nearest[1], 3)}")

    def _share(self) -> float:
        span = self.maximum() - self.minimum()
        return (self.value() - self.minimum()) / span if span else 0.0

    def _follow(self, x: float) -> None:
        share = (x - MARGIN) / max(1.0, self.width() - 2 * MARGIN)
        self.setValue(round(self.minimum() + min(1.0, max(0.0, share)) * (self.maximum() - self.minimum())))

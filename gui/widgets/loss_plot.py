"""Curves over the iterations: a band from least to most and a smooth line, fast at any number of points."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import shiboken6
from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import (
    QColor,
    QImage,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPolygonF,
    QWheelEvent,
)
from PySide6.QtWidgets import QLabel, QSizePolicy, QWidget

from gui.sentences import about, whole
from gui.state.run import Numbers
from gui.theme import colour, sized

LEFT, RIGHT, TOP, BOTTOM = 58, 14, 12, 28
CROWDED = 1.5
"""Points a column from which on they are shown as a band."""
RAGGED = 0.5
"""Columns a pixel from which on the band is filled column by column."""
HUES = ("#2f7fd1", "#d9822b", "#3f9d5a", "#b0559d", "#8a6d3b", "#d04a4a")
"""Told apart by people who see colours differently, on both backgrounds."""


@dataclass(frozen=True)
class Curve:
    name: str
    x: Numbers
    """Rising."""
    y: Numbers


class LossPlot(QLabel):
    """Wheel zooms along the iterations, dragging pans, a double click shows all; arrows, plus, minus and 0 do too.

    A label, so that a screen reader takes it for one: its description tells the last value of every curve.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(self.tr("Curves of the training"))
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(240, 160)
        self._curves: list[Curve] = []
        self._log = False
        self._smoothing = 0.9
        self._range: tuple[float, float] | None = None
        """Iterations that are shown; None: all."""
        self._pointer: QPointF | None = None
        self._held: float | None = None

    def sizeHint(self) -> QSize:
        return QSize(600, 260)

    def set_curves(self, curves: list[Curve]) -> None:
        self._curves = [curve for curve in curves if len(curve.x)]
        last = [f"{curve.name} {about(curve.y[-1], 4)}" for curve in self._curves]
        self.setAccessibleDescription(", ".join(last))
        self.update()

    def set_log(self, on: bool) -> None:
        self._log = on
        self.update()

    def set_smoothing(self, share: float) -> None:
        """0: no smoothing, towards 1: ever smoother."""
        self._smoothing = share
        self.update()

    def show_all(self) -> None:
        self._range = None
        self.update()

    def as_csv(self) -> str:
        """All points of all curves: name, iteration, value."""
        lines = ["curve,iteration,value"]
        for curve in self._curves:
            lines += [f"{curve.name},{x:.0f},{y!r}" for x, y in zip(curve.x.tolist(), curve.y.tolist(), strict=True)]
        return "\n".join(lines) + "\n"

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        palette = self.palette()
        area = QRectF(LEFT, TOP, max(1, self.width() - LEFT - RIGHT), max(1, self.height() - TOP - BOTTOM))
        painter.fillRect(self.rect(), colour(palette, "surface"))
        painter.setFont(sized(self.font(), 0.88))
        if not self._curves:
            painter.setPen(colour(palette, "muted"))
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, self.tr("No values yet"))
        else:
            shown = self._shown_range()
            reduced = [_columns(curve, shown, int(area.width()), self._smoothing) for curve in self._curves]
            low, high = _value_range(reduced, log=self._log)
            self._paint_axes(painter, area, shown, (low, high))
            painter.setClipRect(area)
            for number, columns in enumerate(reduced):
                self._paint_curve(painter, area, columns, (low, high), QColor(HUES[number % len(HUES)]))
            painter.setClipping(False)
            self._paint_legend(painter, area)
            if self._pointer is not None and area.contains(self._pointer):
                self._paint_readout(painter, area, shown)
        if self.hasFocus():
            painter.setPen(QPen(colour(palette, "accent"), 2))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(self.rect().adjusted(1, 1, -1, -1))
        painter.end()

    def _paint_axes(
        self, painter: QPainter, area: QRectF, shown: tuple[float, float], values: tuple[float, float]
    ) -> None:
        palette = self.palette()
        grid, ink = colour(palette, "border"), colour(palette, "muted")
        for tick in _ticks(*shown, 6):
            x = area.left() + (tick - shown[0]) / (shown[1] - shown[0]) * area.width()
            painter.setPen(grid)
            painter.drawLine(QPointF(x, area.top()), QPointF(x, area.bottom()))
            painter.setPen(ink)
            label = f"{about(tick / 1000, 6)}k" if tick >= 10000 else about(tick, 6)
            painter.drawText(QRectF(x - 40, area.bottom() + 5, 80, 16), Qt.AlignmentFlag.AlignHCenter, label)
        for tick in _log_ticks(*values) if self._log else _ticks(*values, 5):
            y = self._place(tick, values, area)
            painter.setPen(grid)
            painter.drawLine(QPointF(area.left(), y), QPointF(area.right(), y))
            painter.setPen(ink)
            box = QRectF(0, y - 9, LEFT - 8, 18)
            painter.drawText(box, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, about(tick, 3))

    def _paint_curve(
        self, painter: QPainter, area: QRectF, columns: _Columns, values: tuple[float, float], hue: QColor
    ) -> None:
        if not len(columns.x):
            return
        x = area.left() + columns.x
        band = QColor(hue)
        band.setAlpha(56)
        low, high = (self._places(side, values, area) for side in (columns.low, columns.high))
        if not columns.crowded:
            if columns.raw is not columns.mean:
                band.setAlpha(110)
                painter.setPen(QPen(band, 1))
                painter.drawPolyline(_polygon(x, self._places(columns.raw, values, area)))
        elif len(x) > area.width() * RAGGED:
            _paint_band(painter, area, columns.x, (low, high), band)
        else:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(band)
            painter.drawPolygon(_polygon(np.concatenate([x, x[::-1]]), np.concatenate([low, high[::-1]])))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(hue, 1.6))
        line = _polygon(x, self._places(columns.mean, values, area))
        if len(x) == 1:
            painter.setBrush(hue)
            painter.drawEllipse(line.first(), 3, 3)
        else:
            painter.drawPolyline(line)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)

    def _paint_legend(self, painter: QPainter, area: QRectF) -> None:
        """At the right: losses begin high at the left."""
        widths = [painter.fontMetrics().horizontalAdvance(curve.name) + 36 for curve in self._curves]
        x = max(area.left() + 10, area.right() + 9 - sum(widths))
        for number, (curve, width) in enumerate(zip(self._curves, widths, strict=True)):
            painter.fillRect(QRectF(x, area.top() + 11, 12, 3), QColor(HUES[number % len(HUES)]))
            painter.setPen(colour(self.palette(), "text"))
            painter.drawText(QPointF(x + 17, area.top() + 17), curve.name)
            x += width

    def _paint_readout(self, painter: QPainter, area: QRectF, shown: tuple[float, float]) -> None:
        assert self._pointer is not None
        palette = self.palette()
        at = shown[0] + (self._pointer.x() - area.left()) / area.width() * (shown[1] - shown[0])
        lines: list[tuple[str, QColor]] = []
        for number, curve in enumerate(self._curves):
            row = int(np.clip(np.searchsorted(curve.x, at), 0, len(curve.x) - 1))
            if row and at - curve.x[row - 1] < curve.x[row] - at:
                row -= 1
            lines.append((f"{curve.name} {about(curve.y[row], 4)}", QColor(HUES[number % len(HUES)])))
        painter.setPen(colour(palette, "muted"))
        painter.drawLine(QPointF(self._pointer.x(), area.top()), QPointF(self._pointer.x(), area.bottom()))
        metrics = painter.fontMetrics()
        width = max(metrics.horizontalAdvance(text) for text, _ink in [*lines, (whole(round(at)), QColor())]) + 20
        box = QRectF(self._pointer.x() + 10, area.top() + 26, width, 18 * (len(lines) + 1) + 8)
        if box.right() > area.right():
            box.moveRight(self._pointer.x() - 10)
        painter.setPen(colour(palette, "border"))
        painter.setBrush(colour(palette, "raised"))
        painter.drawRoundedRect(box, 6, 6)
        painter.setPen(colour(palette, "muted"))
        painter.drawText(QPointF(box.left() + 10, box.top() + 17), whole(round(at)))
        for number, (text, ink) in enumerate(lines):
            painter.setPen(ink)
            painter.drawText(QPointF(box.left() + 10, box.top() + 35 + 18 * number), text)

    def _place(self, value: float, values: tuple[float, float], area: QRectF) -> float:
        return float(self._places(np.array([value]), values, area)[0])

    def _places(self, y: Numbers, values: tuple[float, float], area: QRectF) -> Numbers:
        low, high = values
        if self._log:
            low, high = math.log10(low), math.log10(high)
            y = np.log10(np.maximum(y, 10.0 ** (low - 2)))
        return area.bottom() - (y - low) / (high - low) * area.height()

    def _full_range(self) -> tuple[float, float]:
        first = min(float(curve.x[0]) for curve in self._curves)
        last = max(float(curve.x[-1]) for curve in self._curves)
        return (first, last) if last > first else (first, first + 1)

    def _shown_range(self) -> tuple[float, float]:
        first, last = self._full_range()
        if self._range is None:
            return first, last
        low, high = self._range
        return max(first, low), min(last, high) if min(last, high) > max(first, low) else last

    def _zoom(self, factor: float, share: float) -> None:
        if not self._curves:
            return
        low, high = self._shown_range()
        first, last = self._full_range()
        anchor = low + (high - low) * share
        factor = min(factor, max(1.0, high - low))  # one iteration is the least that fills the plot
        low, high = anchor - (anchor - low) / factor, anchor + (high - anchor) / factor
        self._range = None if low <= first and high >= last else (max(first, low), min(last, high))
        self.update()

    def _pan(self, share: float) -> None:
        if self._range is None or not self._curves:
            return
        first, last = self._full_range()
        low, high = self._shown_range()
        step = share * (high - low)
        step = max(first - low, min(last - high, step))
        self._range = (low + step, high + step)
        self.update()

    def wheelEvent(self, event: QWheelEvent) -> None:
        share = (event.position().x() - LEFT) / max(1, self.width() - LEFT - RIGHT)
        self._zoom(1.25 ** (event.angleDelta().y() / 120), min(1.0, max(0.0, share)))
        event.accept()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self._held = event.position().x()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._pointer = event.position()
        if self._held is not None:
            self._pan((self._held - event.position().x()) / max(1, self.width() - LEFT - RIGHT))
            self._held = event.position().x()
        self.update()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        self._held = None

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        self.show_all()

    def leaveEvent(self, event: object) -> None:
        self._pointer = None
        self.update()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        match event.key():
            case Qt.Key.Key_Left | Qt.Key.Key_Right:
                self._pan(-0.1 if event.key() == Qt.Key.Key_Left else 0.1)
            case Qt.Key.Key_Plus | Qt.Key.Key_Equal:
                self._zoom(1.25, 0.5)
            case Qt.Key.Key_Minus:
                self._zoom(0.8, 0.5)
            case Qt.Key.Key_0:
                self.show_all()
            case _:
                event.ignore()


@dataclass(frozen=True)
class _Columns:
    """A curve, one value a pixel column: x in pixels from the left of the area."""

    x: Numbers
    low: Numbers
    high: Numbers
    raw: Numbers
    """Means as they are."""
    mean: Numbers
    """Means, smoothed."""
    crowded: bool
    """Several points share a column: then the band from least to most shows the raw values, else a line does."""


def _columns(curve: Curve, shown: tuple[float, float], width: int, smoothing: float) -> _Columns:
    """Least, most and smoothed mean of the finite points in each pixel column that has any."""
    first = max(0, int(np.searchsorted(curve.x, shown[0])) - 1)
    last = min(len(curve.x), int(np.searchsorted(curve.x, shown[1], side="right")) + 1)
    x, y = curve.x[first:last], curve.y[first:last]
    finite = np.isfinite(y)
    if not finite.all():
        x, y = x[finite], y[finite]
    if not len(x):
        empty: Numbers = np.empty(0)
        return _Columns(empty, empty, empty, empty, empty, False)
    scale = width / (shown[1] - shown[0])
    left, right = (math.floor((float(end) - shown[0]) * scale) for end in (x[0], x[-1]))
    # The neighbours outside, which the curve comes from and goes to, may be far away: a column each is enough.
    left = max(left, -1)
    right = max(left, min(right, width + 1))
    edges = shown[0] + np.arange(left, right + 1) / scale
    # One binary search a column instead of one division a point: a frame costs the same at any length.
    found = np.searchsorted(x, edges)
    found[0] = 0
    found = found[found < len(x)]
    starts: npt.NDArray[np.intp] = found[np.diff(found, prepend=-1) > 0]
    counts = np.diff(starts, append=len(x))
    mean = np.add.reduceat(y, starts) / counts
    places = (x[starts] - shown[0]) * scale
    return _Columns(
        places,
        np.minimum.reduceat(y, starts),
        np.maximum.reduceat(y, starts),
        mean,
        _smooth(mean, smoothing, places),
        len(x) > CROWDED * len(starts),
    )


def _smooth(values: Numbers, share: float, places: Numbers | None = None) -> Numbers:
    """Exponential running mean without the pull towards zero at its start; at most one value a pixel, so a loop.

    places: of the values, in pixels; None: one pixel apart. Values far apart are smoothed less, by the root of their
    distance: else a short training would lag behind itself, or not be smooth at all.
    """
    if share <= 0 or len(values) < 3:
        return values
    gaps = np.ones(len(values)) if places is None else np.diff(places, prepend=places[0] - 1)
    made = np.empty_like(values)
    level = weight = 0.0
    for number, (value, keep) in enumerate(zip(values.tolist(), np.power(share, np.sqrt(gaps)).tolist(), strict=True)):
        level = keep * level + (1 - keep) * value
        weight = keep * weight + (1 - keep)
        made[number] = level / weight
    return made


def _value_range(reduced: list[_Columns], *, log: bool) -> tuple[float, float]:
    """Least and most that is shown, with a little room; positive for a logarithmic axis."""
    low = min((float(columns.low.min()) for columns in reduced if len(columns.x)), default=0.0)
    high = max((float(columns.high.max()) for columns in reduced if len(columns.x)), default=1.0)
    if log:
        positive = [float(c.low[c.low > 0].min()) for c in reduced if len(c.x) and (c.low > 0).any()]
        low = min(positive, default=1e-6)
        high = max(high, low * 1.1)
        return low / 1.1, high * 1.1
    room = (high - low) * 0.06 or abs(high) * 0.1 or 1.0
    return low - room, high + room


def _ticks(low: float, high: float, wanted: int) -> list[float]:
    """Round numbers between `low` and `high`, about `wanted` of them."""
    raw = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * nice for nice in (1, 2, 5, 10) if power * nice >= raw)
    first = math.ceil(low / step)
    return [number * step for number in range(first, math.floor(high / step) + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1, 2, 5) if len(powers) < 4 else (1,)
    return [step * 10.0**power for power in powers for step in steps if low <= step * 10.0**power <= high]


def _paint_band(painter: QPainter, area: QRectF, columns: Numbers, ends: tuple[Numbers, Numbers], ink: QColor) -> None:
    """Fill each pixel column from its least to its most value. A polygon of as many corners takes eight times as long.

    columns: pixels from the left of the area; ends: places of the least (lower) and most (upper) value.
    """
    width, height = max(1, int(area.width())), max(1, int(area.height()))
    place = np.clip(columns, 0, width - 1).astype(np.intp)
    first, last = np.full(width, height), np.full(width, -1)
    first[place] = np.floor(ends[1] - area.top()).clip(0, height)
    last[place] = np.ceil(ends[0] - area.top()).clip(-1, height - 1)
    rows = np.arange(height)[:, None]
    share = ink.alpha() / 255
    shade = round(ink.red() * share) << 16 | round(ink.green() * share) << 8 | round(ink.blue() * share)
    filled = np.where((rows >= first) & (rows <= last), np.uint32(ink.alpha() << 24 | shade), np.uint32(0))
    image = QImage(filled.data, width, height, 4 * width, QImage.Format.Format_ARGB32_Premultiplied)
    painter.drawImage(QRectF(area.left(), area.top(), width, height), image)


def _polygon(x: Numbers, y: Numbers) -> QPolygonF:
    """Points as Qt wants them, filled without a loop."""
    polygon = QPolygonF()
    polygon.resize(len(x))
    memory = np.frombuffer(shiboken6.VoidPtr(polygon.data(), len(x) * 16, True), np.float64)  # type: ignore[call-overload, call-arg, arg-type]
    memory[0::2] = x
    memory[1::2] = y
    return polygon

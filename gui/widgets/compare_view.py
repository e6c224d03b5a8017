"""Before and after at any size: divider, side by side, flicker, loupe, regions. Draws from pyramids, copies nothing."""

from __future__ import annotations

import math
from dataclasses import dataclass

from PySide6.QtCore import QPoint, QPointF, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QContextMenuEvent,
    QFocusEvent,
    QFontMetricsF,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPainterPath,
    QPaintEvent,
    QPen,
    QResizeEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QAbstractSlider, QApplication, QSizePolicy, QWidget

from gui.imaging.picture import Picture
from gui.state import compare
from gui.state.compare import Compare, CompareMessage, Mode
from gui.theme import colour, sized

GRIP = 14
"""Pixels left and right of the divider that take hold of it."""
STEP = 60
"""View pixels an arrow key pans."""
ZOOM_STEP = 1.25
SHARP_ABOVE = 4.0
"""Device pixels per document pixel from which on single pixels are shown as squares."""
BAND_EDGE = 4
"""View pixels around new rows that change as well: the line above them, and what smooth scaling reaches."""
VEIL = 205
"""Of 255: how much a message covers what is below."""
LOUPE_SIDE = 180
LOUPE_ZOOM = 4.0


@dataclass(frozen=True)
class Overlay:
    """A restored region over the rest: `area` is (x, y, width, height) as shares of the document, 0..1."""

    picture: Picture
    area: QRectF


@dataclass(frozen=True)
class Pane:
    """One version of the picture. `under` is drawn where `picture` has no rows yet."""

    title: str
    picture: Picture | None = None
    under: Picture | None = None
    overlays: tuple[Overlay, ...] = ()


class CompareView(QAbstractSlider):
    """As a slider, its value is the divider's place in percent: that is what a screen reader can move."""

    region_chosen = Signal(QRectF)
    """A rectangle was drawn: shares of the document, 0..1."""
    view_changed = Signal()
    pixel_changed = Signal(str)
    """What lies under the pointer, as text."""
    menu_wanted = Signal(QPoint)
    """A menu was asked for at this place of the screen."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName(self.tr("Comparison: divider between before and after"))
        self.setAccessibleDescription(
            self.tr(
                "Arrow keys pan, plus and minus zoom, 0 fits, 1 shows 100 percent, comma and dot move the divider,"
                " D, S and F choose divider, side by side and flicker; hold the space bar to see the original,"
                " L is the loupe, R draws a region to try."
            )
        )
        self.setRange(0, 100)
        self.setValue(50)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(200, 160)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.state = Compare()
        self.panes: tuple[Pane, ...] = ()
        self.loupe = False
        self.selecting = False
        self.busy_area: QRectF | None = None
        """Where a region is being restored: drawn as a frame."""
        self._message = ""
        self._grab: QPointF | None = None
        self._divider_held = False
        self._corner: QPointF | None = None
        self._pointer: QPointF | None = None
        self._wipe = False
        self.valueChanged.connect(self._value_moved)

    # What is shown

    def show_panes(self, panes: tuple[Pane, ...], width: int, height: int, *, keep: bool) -> None:
        """`width`, `height`: the document, in pixels of the largest version. `keep`: stay where one looked."""
        self.panes = panes
        self._message = ""
        self._tell(compare.ViewResized(*self._cell_size()))
        self._tell(compare.DocumentShown(width, height, keep))

    def set_panes(self, panes: tuple[Pane, ...]) -> None:
        """Other versions of the same document."""
        recell = len(panes) != len(self.panes)
        self.panes = panes
        self._message = ""
        if recell:
            self._tell(compare.ViewResized(*self._cell_size()))
        self.update()

    def say(self, text: str) -> None:
        """Over what is shown, which fades, until other panes come: it is no longer what is asked for."""
        self._message = text
        self.update()

    def message(self) -> str:
        return self._message

    def update_rows(self, top: float, bottom: float) -> None:
        """Rows of the last pane are new: shares of the document's height. Only their part of the view is drawn."""
        if len(self._cells()) > 1 or self.loupe:
            self.update()
            return
        ratio, state = self._ratio(), self.state
        _x, first = compare.to_view(state, 0, top * state.document_height)
        _x, last = compare.to_view(state, 0, bottom * state.document_height)
        edge = math.floor(first / ratio) - BAND_EDGE
        self.update(QRect(0, edge, self.width(), math.ceil(last / ratio) + BAND_EDGE - edge))

    def choose_mode(self, mode: Mode) -> None:
        self._tell(compare.ModeChosen(mode))
        self._tell(compare.ViewResized(*self._cell_size()))

    def set_loupe(self, on: bool) -> None:
        self.loupe = on
        self.update()

    def set_selecting(self, on: bool) -> None:
        self.selecting = on
        self._corner = None
        self.setCursor(Qt.CursorShape.CrossCursor if on else Qt.CursorShape.ArrowCursor)
        self.update()

    def fit(self) -> None:
        self._tell(compare.Fitted())

    def actual_size(self) -> None:
        """One pixel of the document is one pixel of the screen."""
        self._tell(compare.ZoomSet(1.0))

    def zoom_by(self, factor: float) -> None:
        self._tell(compare.Zoomed(factor, self.state.view_width / 2, self.state.view_height / 2))

    def visible_area(self) -> QRectF:
        """Shares of the document that can be seen."""
        left, top, right, bottom = compare.visible(self.state)
        width, height = max(1, self.state.document_width), max(1, self.state.document_height)
        return QRectF(left / width, top / height, (right - left) / width, (bottom - top) / height)

    def sizeHint(self) -> QSize:
        return QSize(640, 480)

    def _tell(self, message: CompareMessage) -> None:
        before = self.state
        self.state = compare.reduce(before, message)
        if self.state != before:
            self.view_changed.emit()
        self.update()

    def _value_moved(self, value: int) -> None:
        if abs(self.state.split * 100 - value) >= 1:
            self._tell(compare.SplitMoved(value / 100))

    # Geometry, in device pixels

    def _ratio(self) -> float:
        return self.devicePixelRatioF()

    def _grid(self) -> tuple[int, int]:
        """(columns, rows) of the cells."""
        if self.state.mode != "side" or len(self.panes) < 2:
            return 1, 1
        count = len(self.panes)
        if count <= 3:
            return (count, 1) if self.width() >= self.height() else (1, count)
        columns = 2 if count <= 4 else 3
        return columns, -(-count // columns)

    def _cell_size(self) -> tuple[int, int]:
        columns, rows = self._grid()
        ratio = self._ratio()
        return max(1, int(self.width() * ratio / columns)), max(1, int(self.height() * ratio / rows))

    def _cells(self) -> list[QRect]:
        columns, _rows = self._grid()
        width, height = self._cell_size()
        count = len(self.panes) if columns * _rows > 1 else 1
        return [QRect(i % columns * width, i // columns * height, width, height) for i in range(count)]

    def _in_cell(self, position: QPointF) -> QPointF:
        """A widget point as a point of the cell it lies in."""
        width, height = self._cell_size()
        point = position * self._ratio()
        columns, rows = self._grid()
        column = min(columns - 1, int(point.x() // width))
        row = min(rows - 1, int(point.y() // height))
        return QPointF(point.x() - column * width, point.y() - row * height)

    def _document_at(self, position: QPointF) -> QPointF:
        point = self._in_cell(position)
        return QPointF(*compare.to_document(self.state, point.x(), point.y()))

    # Drawing

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        ratio = self._ratio()
        painter.scale(1 / ratio, 1 / ratio)
        everything = QRectF(0, 0, self.width() * ratio, self.height() * ratio)
        painter.fillRect(everything, colour(self.palette(), "canvas"))
        if self.panes:
            cells = self._cells()
            if len(cells) > 1:
                for cell, pane in zip(cells, self.panes, strict=True):
                    self._paint_pane(painter, pane, QRectF(cell), self.state)
                    self._paint_title(painter, pane.title, QRectF(cell), Qt.AlignmentFlag.AlignLeft)
                painter.setPen(QPen(colour(self.palette(), "border"), ratio))
                for cell in cells:
                    painter.drawRect(cell)
            else:
                self._paint_one(painter, everything)
            self._paint_frames(painter)
            if self.loupe and self._pointer is not None and self._corner is None:
                self._paint_loupe(painter, self._pointer)
        if self._message:
            veil = colour(self.palette(), "canvas")
            veil.setAlpha(VEIL)
            painter.fillRect(everything, veil)
            painter.save()
            painter.scale(ratio, ratio)
            painter.setFont(sized(self.font(), 1.1))
            painter.setPen(colour(self.palette(), "text"))
            place = QRectF(self.rect()).adjusted(40, 20, -40, -20)
            painter.drawText(place, int(Qt.AlignmentFlag.AlignCenter) | int(Qt.TextFlag.TextWordWrap), self._message)
            painter.restore()
        if self.hasFocus():
            painter.setPen(QPen(colour(self.palette(), "accent"), 2 * ratio))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(everything.adjusted(ratio, ratio, -ratio, -ratio))
        painter.end()

    def _paint_one(self, painter: QPainter, cell: QRectF) -> None:
        first, last = self.panes[0], self.panes[-1]
        if len(self.panes) == 1:
            self._paint_pane(painter, first, cell, self.state)
            return
        if self._wipe or self.state.mode == "flicker":
            shown = first if self._wipe or self.state.flicked else last
            self._paint_pane(painter, shown, cell, self.state)
            self._paint_title(painter, shown.title, cell, Qt.AlignmentFlag.AlignLeft)
            return
        x = round(cell.width() * self.state.split)
        left, right = QRectF(0, 0, x, cell.height()), QRectF(x, 0, cell.width() - x, cell.height())
        painter.save()
        painter.setClipRect(left)
        self._paint_pane(painter, first, cell, self.state)
        self._paint_title(painter, first.title, cell, Qt.AlignmentFlag.AlignLeft)
        painter.setClipRect(right)
        self._paint_pane(painter, last, cell, self.state)
        self._paint_title(painter, last.title, cell, Qt.AlignmentFlag.AlignRight)
        painter.restore()
        self._paint_divider(painter, x, cell)

    def _paint_pane(self, painter: QPainter, pane: Pane, cell: QRectF, state: Compare) -> None:
        painter.save()
        painter.setClipRect(cell, Qt.ClipOperation.IntersectClip)
        painter.translate(cell.topLeft())
        whole = QRectF(0, 0, state.document_width, state.document_height)
        if pane.under is not None and (pane.picture is None or pane.picture.ready_rows < pane.picture.height):
            _paint_picture(painter, pane.under, whole, state)
        if pane.picture is not None:
            _paint_picture(painter, pane.picture, whole, state)
            if 0 < pane.picture.ready_rows < pane.picture.height:
                done = pane.picture.ready_rows / pane.picture.height * state.document_height
                left, y = compare.to_view(state, 0, done)
                right, _y = compare.to_view(state, state.document_width, done)
                painter.setPen(QPen(colour(self.palette(), "accent"), 2 * self._ratio()))
                painter.drawLine(QPointF(left, y), QPointF(right, y))
        for overlay in pane.overlays:
            area = _scaled(overlay.area, state)
            _paint_picture(painter, overlay.picture, area, state)
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(QColor(255, 255, 255, 150), self._ratio()))
            painter.drawRect(_to_view_rect(area, state))
        painter.restore()

    def _paint_divider(self, painter: QPainter, x: int, cell: QRectF) -> None:
        ratio = self._ratio()
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(QColor(0, 0, 0, 90), 4 * ratio))
        painter.drawLine(QPointF(x, 0), QPointF(x, cell.height()))
        painter.setPen(QPen(QColor(255, 255, 255), 2 * ratio))
        painter.drawLine(QPointF(x, 0), QPointF(x, cell.height()))
        middle, radius = QPointF(x, cell.height() / 2), 15 * ratio
        painter.setPen(QPen(QColor(0, 0, 0, 60), 2 * ratio))
        painter.setBrush(QColor(255, 255, 255))
        painter.drawEllipse(middle, radius, radius)
        painter.setPen(QPen(QColor(40, 44, 50), 2 * ratio, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
        for side in (-1, 1):
            tip = middle + QPointF(side * 8 * ratio, 0)
            painter.drawLine(tip, tip + QPointF(-side * 4 * ratio, 4 * ratio))
            painter.drawLine(tip, tip + QPointF(-side * 4 * ratio, -4 * ratio))
        painter.restore()

    def _paint_title(self, painter: QPainter, title: str, cell: QRectF, side: Qt.AlignmentFlag) -> None:
        if not title:
            return
        ratio = self._ratio()
        painter.save()
        painter.scale(ratio, ratio)
        font = sized(self.font(), 0.92, strong=True)
        painter.setFont(font)
        width = QFontMetricsF(font).horizontalAdvance(title) + 20
        height = QFontMetricsF(font).height() + 8
        x = cell.left() / ratio + 12 if side == Qt.AlignmentFlag.AlignLeft else cell.right() / ratio - 12 - width
        box = QRectF(x, cell.top() / ratio + 12, width, height)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(18, 20, 23, 190))
        painter.drawRoundedRect(box, height / 2, height / 2)
        painter.setPen(QColor(255, 255, 255))
        painter.drawText(box, Qt.AlignmentFlag.AlignCenter, title)
        painter.restore()

    def _paint_frames(self, painter: QPainter) -> None:
        ratio = self._ratio()
        accent = colour(self.palette(), "accent")
        cell = QRectF(self._cells()[-1])
        painter.save()
        painter.setClipRect(cell)
        painter.translate(cell.topLeft())
        painter.setBrush(Qt.BrushStyle.NoBrush)
        if self.busy_area is not None:
            painter.setPen(QPen(accent, 1.5 * ratio, Qt.PenStyle.DashLine))
            painter.drawRect(_to_view_rect(_scaled(self.busy_area, self.state), self.state))
        painter.restore()
        if self._corner is not None and self._pointer is not None:
            painter.setPen(QPen(accent, 1.5 * ratio))
            tint = QColor(accent)
            tint.setAlpha(40)
            painter.setBrush(tint)
            painter.drawRect(QRectF(self._corner * ratio, self._pointer * ratio).normalized())

    def _paint_loupe(self, painter: QPainter, pointer: QPointF) -> None:
        """Every version at the same place, magnified, side by side next to the pointer."""
        ratio = self._ratio()
        centre = self._document_at(pointer)
        side = LOUPE_SIDE * ratio
        state = Compare(
            document_width=self.state.document_width,
            document_height=self.state.document_height,
            view_width=int(side),
            view_height=int(side),
            zoom=min(compare.LARGEST_ZOOM, max(self.state.zoom * LOUPE_ZOOM, 2.0 * ratio)),
            centre_x=centre.x(),
            centre_y=centre.y(),
        )
        shown = self.panes if len(self.panes) <= 2 else (self.panes[0], self.panes[-1])
        width = side * len(shown)
        x, y = pointer.x() * ratio + 24 * ratio, pointer.y() * ratio + 24 * ratio
        x = x if x + width < self.width() * ratio else pointer.x() * ratio - 24 * ratio - width
        y = y if y + side < self.height() * ratio else pointer.y() * ratio - 24 * ratio - side
        x, y = max(0.0, x), max(0.0, y)
        for number, pane in enumerate(shown):
            cell = QRectF(x + number * side, y, side, side)
            painter.fillRect(cell, colour(self.palette(), "canvas"))
            self._paint_pane(painter, pane, cell, state)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(QColor(255, 255, 255), 2 * ratio))
        painter.drawRect(QRectF(x, y, width, side))
        if len(shown) > 1:
            painter.drawLine(QPointF(x + side, y), QPointF(x + side, y + side))

    # What the user does

    def resizeEvent(self, event: QResizeEvent) -> None:
        self._tell(compare.ViewResized(*self._cell_size()))

    def wheelEvent(self, event: QWheelEvent) -> None:
        turns = event.angleDelta().y() / 120
        if event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
            self._tell(compare.Panned(turns * STEP * self._ratio(), 0))
        elif turns:
            point = self._in_cell(event.position())
            self._tell(compare.Zoomed(ZOOM_STEP**turns, point.x(), point.y()))
        event.accept()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self._pointer = event.position()
        if event.button() == Qt.MouseButton.MiddleButton:
            self._grab = event.position()
        elif event.button() == Qt.MouseButton.LeftButton:
            if self.selecting or event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
                self._corner = event.position()
            elif self._on_divider(event.position()):
                self._divider_held = True
            else:
                self._grab = event.position()
                self.setCursor(Qt.CursorShape.ClosedHandCursor)
        event.accept()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        position = event.position()
        self._pointer = position
        if self._divider_held:
            self._tell(compare.SplitMoved(position.x() / max(1, self.width())))
            self.setValue(round(self.state.split * 100))
        elif self._grab is not None:
            moved = (position - self._grab) * self._ratio()
            self._grab = position
            self._tell(compare.Panned(moved.x(), moved.y()))
        elif self._corner is None and not self.selecting:
            near = self._on_divider(position)
            self.setCursor(Qt.CursorShape.SplitHCursor if near else Qt.CursorShape.OpenHandCursor)
        if self._corner is not None or self.loupe:
            self.update()
        self.pixel_changed.emit(self._describe(position))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        self._grab = None
        self._divider_held = False
        if not self.selecting:
            self.setCursor(Qt.CursorShape.OpenHandCursor)
        if self._corner is not None:
            corner, self._corner = self._corner, None
            self._choose_region(corner, event.position())
        self.update()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        if self.state.fits:
            point = self._document_at(event.position())
            self._tell(compare.ZoomSet(1.0))
            self._tell(compare.Centred(point.x(), point.y()))
        else:
            self.fit()

    def leaveEvent(self, event: object) -> None:
        self._pointer = None
        self.pixel_changed.emit("")
        self.update()

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        self.menu_wanted.emit(event.globalPos())

    def keyPressEvent(self, event: QKeyEvent) -> None:
        step = STEP * self._ratio()
        pans = {
            Qt.Key.Key_Left: (step, 0.0),
            Qt.Key.Key_Right: (-step, 0.0),
            Qt.Key.Key_Up: (0.0, step),
            Qt.Key.Key_Down: (0.0, -step),
        }
        key = Qt.Key(event.key())
        if key in pans:
            self._tell(compare.Panned(*pans[key]))
        elif key in (Qt.Key.Key_Plus, Qt.Key.Key_Equal):
            self.zoom_by(ZOOM_STEP)
        elif key == Qt.Key.Key_Minus:
            self.zoom_by(1 / ZOOM_STEP)
        elif key in (Qt.Key.Key_Comma, Qt.Key.Key_Period):
            self.setValue(self.value() + (-2 if key == Qt.Key.Key_Comma else 2))
        elif key == Qt.Key.Key_Space:
            if not event.isAutoRepeat():
                self._wipe = True
                self.update()
        elif key == Qt.Key.Key_Escape and (self.selecting or self._corner is not None):
            self.set_selecting(False)
        else:
            event.ignore()

    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Space and not event.isAutoRepeat():
            self._wipe = False
            self.update()
        else:
            event.ignore()

    def focusInEvent(self, event: QFocusEvent) -> None:
        self.update()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        self._wipe = False
        self.update()

    def _on_divider(self, position: QPointF) -> bool:
        if self.state.mode != "divider" or len(self.panes) < 2:
            return False
        return abs(position.x() - self.state.split * self.width()) <= GRIP

    def _choose_region(self, corner: QPointF, other: QPointF) -> None:
        if (corner - other).manhattanLength() < QApplication.startDragDistance() or not self.state.document_width:
            return
        area = QRectF(self._document_at(corner), self._document_at(other)).normalized()
        area &= QRectF(0, 0, self.state.document_width, self.state.document_height)
        if area.isEmpty():
            return
        self.region_chosen.emit(
            QRectF(
                area.x() / self.state.document_width,
                area.y() / self.state.document_height,
                area.width() / self.state.document_width,
                area.height() / self.state.document_height,
            )
        )

    def _describe(self, position: QPointF) -> str:
        """Place and colours under the pointer."""
        if not self.panes or not self.state.document_width:
            return ""
        point = self._document_at(position)
        x, y = point.x() / self.state.document_width, point.y() / self.state.document_height
        if not (0 <= x < 1 and 0 <= y < 1):
            return ""
        parts = [f"{int(point.x())}, {int(point.y())}"]
        for pane in self.panes if len(self.panes) <= 2 else (self.panes[0], self.panes[-1]):
            value = _colour_of(pane, x, y)
            if value is not None:
                parts.append(f"{pane.title} {value.red()} {value.green()} {value.blue()}")
        return "   ".join(parts)


def _colour_of(pane: Pane, x: float, y: float) -> QColor | None:
    for overlay in reversed(pane.overlays):
        if overlay.area.contains(x, y):
            inside_x = (x - overlay.area.x()) / overlay.area.width()
            inside_y = (y - overlay.area.y()) / overlay.area.height()
            return overlay.picture.colour(int(inside_x * overlay.picture.width), int(inside_y * overlay.picture.height))
    for picture in (pane.picture, pane.under):
        if picture is not None:
            value = picture.colour(int(x * picture.width), int(y * picture.height))
            if value is not None:
                return value
    return None


def _scaled(area: QRectF, state: Compare) -> QRectF:
    """Shares of the document as document pixels."""
    return QRectF(
        area.x() * state.document_width,
        area.y() * state.document_height,
        area.width() * state.document_width,
        area.height() * state.document_height,
    )


def _to_view_rect(area: QRectF, state: Compare) -> QRectF:
    left, top = compare.to_view(state, area.left(), area.top())
    return QRectF(left, top, area.width() * state.zoom, area.height() * state.zoom)


def _paint_picture(painter: QPainter, picture: Picture, area: QRectF, state: Compare) -> None:
    """Draw the part of `picture` that can be seen; it covers `area` of the document.

    The source rectangle ends on whole pixels of the level, so that levels and neighbours meet without a shift.
    """
    if not picture.width or area.isEmpty():
        return
    scale_x, scale_y = area.width() * state.zoom / picture.width, area.height() * state.zoom / picture.height
    level = compare.level_for(min(scale_x, scale_y), len(picture.levels))
    image = picture.levels[level]
    share_x, share_y = area.width() / image.width(), area.height() / image.height()
    left, top, right, bottom = compare.visible(state)
    first_x = max(0, int((left - area.left()) / share_x) - 1)
    first_y = max(0, int((top - area.top()) / share_y) - 1)
    last_x = min(image.width(), int((right - area.left()) / share_x) + 2)
    last_y = min(_ready_rows(picture, image.height()), int((bottom - area.top()) / share_y) + 2)
    if last_x <= first_x or last_y <= first_y:
        return
    source = QRectF(first_x, first_y, last_x - first_x, last_y - first_y)
    target = QRectF(
        area.left() + first_x * share_x,
        area.top() + first_y * share_y,
        source.width() * share_x,
        source.height() * share_y,
    )
    drawn = max(scale_x, scale_y) * 2**level
    smooth = state.zoom < SHARP_ABOVE and abs(drawn - 1) > 1e-6
    painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, smooth)
    view = _to_view_rect(target, state)
    if not smooth and abs(drawn - 1) <= 1e-6:
        view = QRectF(round(view.x()), round(view.y()), view.width(), view.height())
    painter.drawImage(view, image, source)


def _ready_rows(picture: Picture, level_height: int) -> int:
    if picture.ready_rows >= picture.height:
        return level_height
    return int(picture.ready_rows / picture.height * level_height)


def rounded(rect: QRectF, radius: float) -> QPainterPath:
    path = QPainterPath()
    path.addRoundedRect(rect, radius, radius)
    return path

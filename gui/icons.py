"""The icons: thin lines on a 24 x 24 grid, drawn in the colour of the text, sharp at every scale."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QIcon, QIconEngine, QPainter, QPainterPath, QPalette, QPen, QPixmap
from PySide6.QtWidgets import QApplication

from gui.theme import colour

Stroke = list[tuple[float, float]]
LINES: dict[str, list[Stroke]] = {
    "restore": [[(4, 5), (20, 5), (20, 19), (4, 19), (4, 5)], [(4, 16), (9, 11), (13, 15), (15, 13), (20, 17)]],
    "models": [[(12, 3), (20, 7.5), (12, 12), (4, 7.5), (12, 3)], [(4, 12), (12, 16.5), (20, 12)],
               [(4, 16.5), (12, 21), (20, 16.5)]],
    "train": [[(3, 18), (8, 12), (12, 15), (20, 6)], [(15, 6), (20, 6), (20, 11)]],
    "runs": [[(4, 4), (4, 20), (20, 20)], [(7, 8), (10, 13), (13, 15), (20, 16.5)]],
    "open": [[(3, 19), (3, 5), (9, 5), (11, 8), (20, 8), (20, 19), (3, 19)]],
    "play": [[(8, 5), (18, 12), (8, 19), (8, 5)]],
    "pause": [[(9, 5), (9, 19)], [(15, 5), (15, 19)]],
    "stop": [[(6, 6), (18, 6), (18, 18), (6, 18), (6, 6)]],
    "close": [[(6, 6), (18, 18)], [(18, 6), (6, 18)]],
    "clear": [[(4, 7), (20, 7)], [(9, 7), (9, 4), (15, 4), (15, 7)], [(6, 7), (7, 20), (17, 20), (18, 7)]],
    "up": [[(6, 14), (12, 8), (18, 14)]],
    "down": [[(6, 10), (12, 16), (18, 10)]],
    "divider": [[(4, 5), (20, 5), (20, 19), (4, 19), (4, 5)], [(12, 2), (12, 22)]],
    "side": [[(3, 5), (11, 5), (11, 19), (3, 19), (3, 5)], [(13, 5), (21, 5), (21, 19), (13, 19), (13, 5)]],
    "flicker": [[(4, 8), (4, 4), (16, 4), (16, 8)], [(8, 8), (20, 8), (20, 20), (8, 20), (8, 8)]],
    "fit": [[(4, 9), (4, 4), (9, 4)], [(15, 4), (20, 4), (20, 9)], [(20, 15), (20, 20), (15, 20)],
            [(9, 20), (4, 20), (4, 15)]],
    "select": [[(4, 7), (4, 4), (7, 4)], [(10, 4), (14, 4)], [(17, 4), (20, 4), (20, 7)], [(20, 10), (20, 14)],
               [(20, 17), (20, 20), (17, 20)], [(14, 20), (10, 20)], [(7, 20), (4, 20), (4, 17)], [(4, 14), (4, 10)]],
    "try": [[(4, 8), (4, 4), (8, 4)], [(16, 4), (20, 4), (20, 8)], [(20, 16), (20, 20), (16, 20)],
            [(8, 20), (4, 20), (4, 16)], [(9.5, 8), (16, 12), (9.5, 16), (9.5, 8)]],
    "folder": [[(3, 19), (3, 5), (9, 5), (11, 8), (21, 8), (21, 19), (3, 19)]],
    "check": [[(5, 12.5), (10, 17), (19, 7)]],
    "warning": [[(12, 4), (21, 20), (3, 20), (12, 4)], [(12, 10), (12, 14.5)], [(12, 17), (12, 17.4)]],
    "drop": [[(12, 3), (12, 14)], [(7.5, 9.5), (12, 14), (16.5, 9.5)], [(4, 15), (4, 20), (20, 20), (20, 15)]],
}  # fmt: skip
ROUND: dict[str, list[tuple[float, float, float]]] = {
    "restore": [(9, 9, 1.4)],
    "loupe": [(10.5, 10.5, 6.5)],
    "settings": [(9, 7, 2.2), (15, 12, 2.2), (8, 17, 2.2)],
    "info": [(12, 12, 9)],
    "retry": [],
}
LINES["loupe"] = [[(15.5, 15.5), (21, 21)]]
LINES["settings"] = [
    [(3, 7), (6.8, 7)], [(11.2, 7), (21, 7)], [(3, 12), (12.8, 12)], [(17.2, 12), (21, 12)],
    [(3, 17), (5.8, 17)], [(10.2, 17), (21, 17)],
]  # fmt: skip
LINES["info"] = [[(12, 11), (12, 16.5)], [(12, 7.5), (12, 7.9)]]
LINES["retry"] = [[(20, 4), (20, 9), (15, 9)]]


def draw(painter: QPainter, name: str, rect: QRectF, ink: QColor, width: float = 1.6) -> None:
    """Draw the icon into the square `rect`; `width` is the stroke on the 24-pixel grid."""
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.translate(rect.topLeft())
    painter.scale(rect.width() / 24, rect.height() / 24)
    painter.setPen(QPen(ink, width, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap, Qt.PenJoinStyle.RoundJoin))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    for stroke in LINES.get(name, []):
        path = QPainterPath(QPointF(*stroke[0]))
        for point in stroke[1:]:
            path.lineTo(QPointF(*point))
        painter.drawPath(path)
    for x, y, radius in ROUND.get(name, []):
        painter.drawEllipse(QPointF(x, y), radius, radius)
    if name == "retry":
        painter.drawArc(QRectF(4, 4, 16, 16), 20 * 16, 300 * 16)
    painter.restore()


class _Engine(QIconEngine):
    """Takes the colour when it draws, so that a change of theme needs no new icons."""

    def __init__(self, name: str, token: str) -> None:
        super().__init__()
        self._name = name
        self._token = token

    def paint(self, painter: QPainter, rect: object, mode: QIcon.Mode, state: QIcon.State) -> None:
        palette = QApplication.palette()
        ink = colour(palette, self._token)
        if mode == QIcon.Mode.Disabled:
            ink = palette.color(QPalette.ColorGroup.Disabled, QPalette.ColorRole.ButtonText)
        elif state == QIcon.State.On:
            ink = colour(palette, "accent")
        draw(painter, self._name, QRectF(rect), ink)  # type: ignore[call-overload]

    def pixmap(self, size: QSize, mode: QIcon.Mode, state: QIcon.State) -> QPixmap:
        image = QPixmap(size)
        image.fill(Qt.GlobalColor.transparent)
        painter = QPainter(image)
        self.paint(painter, image.rect(), mode, state)
        painter.end()
        return image

    def clone(self) -> QIconEngine:
        return _Engine(self._name, self._token)


def icon(name: str, token: str = "text") -> QIcon:
    return QIcon(_Engine(name, token))


def application_icon() -> QIcon:
    """A clear pane over a coarse one: what the program does."""
    made = QIcon()
    for side in (16, 24, 32, 48, 64, 128, 256):
        image = QPixmap(side, side)
        image.fill(Qt.GlobalColor.transparent)
        painter = QPainter(image)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.scale(side / 64, side / 64)
        path = QPainterPath()
        path.addRoundedRect(QRectF(4, 4, 56, 56), 14, 14)
        painter.fillPath(path, QColor("#0a6c8f"))
        painter.setClipPath(path)
        for row in range(4):
            for column in range(2):
                shade = 150 + 26 * ((row * 3 + column * 5) % 4)
                painter.fillRect(QRectF(4 + 14 * column, 4 + 14 * row, 14, 14), QColor(40, shade - 30, shade))
        painter.setClipRect(QRectF(32, 0, 32, 64), Qt.ClipOperation.IntersectClip)
        painter.fillRect(QRectF(32, 4, 28, 56), QColor("#0a6c8f"))
        painter.setPen(QPen(QColor("#ffffff"), 3.2))
        painter.setBrush(QColor("#4fc3e0"))
        painter.drawEllipse(QPointF(32, 32), 15, 15)
        painter.setClipping(False)
        painter.setPen(QPen(QColor("#ffffff"), 3))
        painter.drawLine(QPointF(32, 4), QPointF(32, 60))
        painter.end()
        made.addPixmap(image)
    return made

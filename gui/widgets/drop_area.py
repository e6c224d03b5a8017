"""The empty page: says what to do and takes pictures from anywhere."""

from __future__ import annotations

from PySide6.QtCore import QRectF, Qt, Signal
from PySide6.QtGui import QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QLabel, QPushButton, QVBoxLayout, QWidget

from gui import icons
from gui.theme import SPACE, colour, sized


class DropArea(QWidget):
    open_wanted = Signal()
    folder_wanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._over = False
        title = QLabel(self.tr("Drop pictures here"))
        title.setFont(sized(self.font(), 1.9, strong=True))
        title.setAlignment(Qt.AlignmentFlag.AlignCenter)
        hint = QLabel(self.tr("Files or whole folders. Pasting works too."))
        hint.setProperty("tone", "muted")
        hint.setAlignment(Qt.AlignmentFlag.AlignCenter)
        open_button = QPushButton(self.tr("&Open pictures…"))
        open_button.setProperty("tone", "primary")
        self.open_button = open_button
        open_button.clicked.connect(self.open_wanted)
        folder_button = QPushButton(self.tr("Open a &folder…"))
        folder_button.setProperty("tone", "link")
        folder_button.clicked.connect(self.folder_wanted)
        formats = QLabel(self.tr("JPEG, PNG, WebP, TIFF, HEIC, AVIF and more. Everything stays on this computer."))
        formats.setProperty("tone", "muted")
        formats.setFont(sized(self.font(), 0.9))
        formats.setAlignment(Qt.AlignmentFlag.AlignCenter)
        formats.setWordWrap(True)
        layout = QVBoxLayout(self)
        layout.addStretch(5)
        layout.addSpacing(96)
        layout.addWidget(title)
        layout.addSpacing(SPACE)
        layout.addWidget(hint)
        layout.addSpacing(3 * SPACE)
        layout.addWidget(open_button, 0, Qt.AlignmentFlag.AlignHCenter)
        layout.addWidget(folder_button, 0, Qt.AlignmentFlag.AlignHCenter)
        layout.addStretch(4)
        layout.addWidget(formats)
        layout.addSpacing(3 * SPACE)
        self._title = title

    def set_over(self, over: bool) -> None:
        """Files are held over the window."""
        self._over = over
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        palette = self.palette()
        frame = QRectF(self.rect()).adjusted(24, 24, -24, -24)
        accent = colour(palette, "accent")
        pen = QPen(accent if self._over else colour(palette, "border"), 2, Qt.PenStyle.CustomDashLine)
        pen.setDashPattern([4, 4])
        painter.setPen(pen)
        painter.setBrush(colour(palette, "accent_soft") if self._over else colour(palette, "surface"))
        painter.drawRoundedRect(frame, 16, 16)
        middle = self._title.geometry().center()
        circle = QRectF(middle.x() - 40, self._title.geometry().top() - 100, 80, 80)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colour(palette, "surface") if self._over else colour(palette, "accent_soft"))
        painter.drawEllipse(circle)
        icons.draw(painter, "drop", circle.adjusted(22, 22, -22, -22), accent, 1.7)
        painter.end()

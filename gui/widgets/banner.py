"""A line of news at the top of the page, with at most two things to do about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QToolButton, QVBoxLayout, QWidget

from gui import icons
from gui.theme import SPACE, set_tone

BannerTone = Literal["calm", "warning", "bad"]
Choice = tuple[str, Callable[[], None]]


class Banner(QFrame):
    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("banner")
        self.setAccessibleName(self.tr("News"))
        self._text = QLabel()
        self._text.setWordWrap(True)
        self._text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._details = QLabel()
        self._details.setWordWrap(True)
        self._details.setProperty("tone", "muted")
        self._buttons = QHBoxLayout()
        words = QVBoxLayout()
        words.setSpacing(2)
        words.addWidget(self._text)
        words.addWidget(self._details)
        close = QToolButton()
        close.setProperty("tone", "flat")
        close.setIcon(icons.icon("close", "muted"))
        close.setAccessibleName(self.tr("Close this news"))
        close.setToolTip(self.tr("Close"))
        close.clicked.connect(self.hide)
        row = QHBoxLayout(self)
        row.setContentsMargins(2 * SPACE, SPACE, SPACE, SPACE)
        row.addLayout(words, 1)
        row.addLayout(self._buttons)
        row.addWidget(close, 0, Qt.AlignmentFlag.AlignTop)
        self.hide()

    def text(self) -> str:
        return "" if self.isHidden() else self._text.text()

    def tell(self, text: str, tone: BannerTone = "calm", details: str = "", choices: tuple[Choice, ...] = ()) -> None:
        self._text.setText(text)
        self._details.setText(details)
        self._details.setVisible(bool(details))
        while (taken := self._buttons.takeAt(0)) is not None:
            widget = taken.widget()
            if widget is not None:
                widget.hide()
                widget.deleteLater()
        for label, action in choices:
            button = QPushButton(label)
            button.clicked.connect(self.hide)
            button.clicked.connect(action)
            self._buttons.addWidget(button)
        set_tone(self, tone)
        self.show()

"""The bar above the picture: its name, the ways to compare, and to try a region of it."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QIcon, QKeySequence, QResizeEvent
from PySide6.QtWidgets import QButtonGroup, QFrame, QHBoxLayout, QPushButton, QSizePolicy, QToolButton, QWidget

from gui import icons
from gui.state.compare import Mode
from gui.theme import SPACE, set_tone, sized
from gui.widgets.compare_view import CompareView
from gui.widgets.elided_label import ElidedLabel

NAME_LETTERS = 10
"""So many letters of the picture's name have room before the widest button has words."""


class ViewTools(QFrame):
    mode_chosen = Signal(str)

    def __init__(self, view: CompareView, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("tools")
        row = QHBoxLayout(self)
        row.setContentsMargins(SPACE, SPACE, SPACE, SPACE)
        row.setSpacing(SPACE // 2)
        self.title = ElidedLabel()
        self.title.setFont(sized(self.font(), 1.1, strong=True))
        self.title.setTextFormat(Qt.TextFormat.PlainText)
        self.title.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        row.addWidget(self.title, 1)
        self.mode_buttons: dict[Mode, QToolButton] = {}
        group = QButtonGroup(self)
        modes: list[tuple[Mode, str, str]] = [
            ("divider", self.tr("Divider (D)"), "D"),
            ("side", self.tr("Side by side (S)"), "S"),
            ("flicker", self.tr("Flicker: hold the space bar to see the original (F)"), "F"),
        ]
        for mode, text, key in modes:
            button = tool_button(mode, text, key, checkable=True)
            button.toggled.connect(lambda on, mode=mode: self.mode_chosen.emit(mode) if on else None)
            group.addButton(button)
            self.mode_buttons[mode] = button
            row.addWidget(button)
        row.addSpacing(SPACE)
        self.loupe_button = tool_button("loupe", self.tr("Loupe (L)"), "L", checkable=True)
        self.loupe_button.toggled.connect(view.set_loupe)
        self.fit_button = tool_button("fit", self.tr("Fit (0)"), "0")
        self.fit_button.clicked.connect(view.fit)
        self.actual_button = QToolButton()
        self.actual_button.setProperty("tone", "flat")
        self.actual_button.setText("100 %")
        self.actual_button.setToolTip(self.tr("One picture pixel a screen pixel (1)"))
        self.actual_button.setAccessibleName(self.tr("Show at 100 percent"))
        self.actual_button.setShortcut(QKeySequence("1"))
        self.actual_button.clicked.connect(view.actual_size)
        self.region_button = tool_button("select", self.tr("Draw a region to try (R)"), "R", checkable=True)
        self.region_button.toggled.connect(view.set_selecting)
        self._try_words = self.tr("&Try visible region")
        self._try_width = 0
        """With its words."""
        self.try_button = QPushButton(self._try_words)
        self.try_button.setToolTip(self.tr("Restore only what can be seen, to judge the settings"))
        self.try_button.setAccessibleName(self._try_words.replace("&", ""))
        for widget in (self.loupe_button, self.fit_button, self.actual_button, self.region_button, self.try_button):
            row.addWidget(widget)
        self.mode_buttons["divider"].setChecked(True)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Where the words of the widest button find no room, it shows a picture of what it does."""
        button = self.try_button
        button.ensurePolished()
        if button.text():
            self._try_width = button.sizeHint().width()
        others = self.minimumSizeHint().width() - button.minimumSizeHint().width()
        name = NAME_LETTERS * self.title.fontMetrics().averageCharWidth()
        fits = others + name + self._try_width <= event.size().width()
        if fits != bool(button.text()):
            button.setText(self._try_words if fits else "")
            button.setIcon(QIcon() if fits else icons.icon("try"))
            set_tone(button, "" if fits else "picture")


def tool_button(name: str, text: str, key: str = "", *, checkable: bool = False) -> QToolButton:
    button = QToolButton()
    button.setProperty("tone", "flat")
    button.setIcon(icons.icon(name))
    button.setToolTip(text)
    button.setAccessibleName(text)
    button.setCheckable(checkable)
    button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    if key:
        button.setShortcut(QKeySequence(key))
    return button

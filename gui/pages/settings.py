"""Settings, what this computer can do, and about."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec.structs import replace
from PySide6.QtCore import QRectF, Qt, Signal, qVersion
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import (
    QComboBox,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QScrollArea,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from engine import wire
from gui import about, icons, sentences
from gui.commands import run_command
from gui.settings import Settings
from gui.theme import SPACE, colour, sized
from gui.widgets.check_box import CheckBox


class SettingsPage(QWidget):
    settings_changed = Signal(object)
    restart_wanted = Signal()

    def __init__(self, settings: Settings, parent: QWidget | None = None, program: list[str] | None = None) -> None:
        super().__init__(parent)
        self._settings = settings
        self._program = program
        self._ready: wire.Ready | None = None
        self.tabs = QTabWidget()
        self.tabs.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.tabs.tabBar().setAccessibleName(self.tr("Sections of the settings"))
        self.tabs.addTab(self._build_settings(), self.tr("Settings"))
        self.tabs.addTab(self._build_doctor(), self.tr("This computer"))
        self.tabs.addTab(self._build_about(), self.tr("About"))
        self.tabs.currentChanged.connect(self._tab_shown)
        page = QVBoxLayout(self)
        page.setContentsMargins(4 * SPACE, 2 * SPACE, 4 * SPACE, 2 * SPACE)
        page.addWidget(self.tabs)

    # Settings

    def _build_settings(self) -> QWidget:
        page = QWidget()
        column = QVBoxLayout(page)
        column.setContentsMargins(0, 2 * SPACE, 0, 0)
        card = QFrame()
        card.setObjectName("card")
        card.setMaximumWidth(640)
        grid = QGridLayout(card)
        grid.setContentsMargins(3 * SPACE, 3 * SPACE, 3 * SPACE, 3 * SPACE)
        grid.setVerticalSpacing(2 * SPACE)
        grid.setHorizontalSpacing(3 * SPACE)
        grid.setColumnStretch(1, 1)
        self.theme_box = self._choice(
            grid, self.tr("&Appearance"), "theme",
            [("system", self.tr("As the system")), ("light", self.tr("Light")), ("dark", self.tr("Dark"))],
        )  # fmt: skip
        self.language_box = self._choice(
            grid, self.tr("&Language"), "language",
            [("system", self.tr("As the system")), ("en", "English"), ("de", "Deutsch"), ("zh_CN", "简体中文")],
        )  # fmt: skip
        self._restart = QWidget()
        restart = QHBoxLayout(self._restart)
        restart.setContentsMargins(0, 0, 0, 0)
        when = QLabel(self.tr("The language changes when Pellucid is started again."))
        when.setProperty("tone", "muted")
        when.setWordWrap(True)
        self.restart_button = QPushButton(self.tr("Restart now"))
        self.restart_button.clicked.connect(self.restart_wanted)
        restart.addWidget(when, 1)
        restart.addWidget(self.restart_button)
        self._restart.hide()
        grid.addWidget(self._restart, grid.rowCount(), 1)
        self.backend_box = QComboBox()
        self.backend_box.addItem(self.tr("The fastest there is"), "")
        label = QLabel(self.tr("&Compute with"))
        label.setBuddy(self.backend_box)
        self.backend_box.setAccessibleName(self.tr("Compute with"))
        row = grid.rowCount()
        grid.addWidget(label, row, 0)
        grid.addWidget(self.backend_box, row, 1)
        self.backend_box.currentIndexChanged.connect(self._backend_chosen)
        self.precision_box = QComboBox()
        for name, text in (
            ("", self.tr("Automatic")),
            ("fp32", self.tr("Exact (fp32)")),
            ("bf16", "bf16"),
            ("fp16", "fp16"),
        ):
            self.precision_box.addItem(text, name)
        self.precision_box.setCurrentIndex(max(0, self.precision_box.findData(self._settings.options.precision)))
        self.precision_box.setAccessibleName(self.tr("Precision"))
        label = QLabel(self.tr("&Precision"))
        label.setBuddy(self.precision_box)
        row = grid.rowCount()
        grid.addWidget(label, row, 0)
        grid.addWidget(self.precision_box, row, 1)
        self.precision_box.currentIndexChanged.connect(
            lambda: self._options(precision=self.precision_box.currentData())
        )
        self.start_box = CheckBox(self.tr("&Start restoring as soon as pictures are dropped"))
        self.start_box.setChecked(self._settings.start_at_once)
        self.start_box.toggled.connect(lambda on: self._change(replace(self._settings, start_at_once=on)))
        self.notify_box = CheckBox(self.tr("&Notify when a long job is done"))
        self.notify_box.setChecked(self._settings.notify)
        self.notify_box.toggled.connect(lambda on: self._change(replace(self._settings, notify=on)))
        for box in (self.start_box, self.notify_box):
            grid.addWidget(box, grid.rowCount(), 0, 1, 2)
        column.addWidget(card)
        column.addSpacing(SPACE)
        private = QLabel(self.tr("Pellucid sends nothing to anybody: no telemetry, no update checks, no downloads."))
        private.setProperty("tone", "muted")
        private.setWordWrap(True)
        column.addWidget(private)
        column.addStretch(1)
        return page

    def _choice(self, grid: QGridLayout, text: str, field: str, entries: list[tuple[str, str]]) -> QComboBox:
        box = QComboBox()
        for value, shown in entries:
            box.addItem(shown, value)
        box.setCurrentIndex(max(0, box.findData(getattr(self._settings, field))))
        box.setAccessibleName(text.replace("&", ""))
        label = QLabel(text)
        label.setBuddy(box)
        row = grid.rowCount()
        grid.addWidget(label, row, 0)
        grid.addWidget(box, row, 1)
        box.currentIndexChanged.connect(lambda: self._choose(field, box.currentData()))
        return box

    def _choose(self, field: str, value: str) -> None:
        if field == "language":
            self._restart.show()
        self._change(msgspec.convert({**msgspec.structs.asdict(self._settings), field: value}, Settings))

    def set_backends(self, ready: wire.Ready) -> None:
        """What the worker can compute with; a backend that is not there says why."""
        self._ready = ready
        chosen = self._settings.options.backend
        self.backend_box.blockSignals(True)
        while self.backend_box.count() > 1:
            self.backend_box.removeItem(1)
        for report in ready.backends:
            devices = ", ".join(report.devices)
            text = f"{report.name} ({devices})" if devices else report.name
            self.backend_box.addItem(text if report.available else f"{report.name}: {report.reason}", report.name)
            if not report.available:
                model: Any = self.backend_box.model()
                model.item(self.backend_box.count() - 1).setEnabled(False)
        self.backend_box.setCurrentIndex(max(0, self.backend_box.findData(chosen)))
        self.backend_box.blockSignals(False)

    def take(self, settings: Settings) -> None:
        """Changed elsewhere: what is shown here stays, what is saved is whole."""
        self._settings = settings

    def _backend_chosen(self) -> None:
        self._options(backend=self.backend_box.currentData())

    def _options(self, **changes: str) -> None:
        self._change(replace(self._settings, options=replace(self._settings.options, **changes)))

    def _change(self, settings: Settings) -> None:
        self._settings = settings
        self.settings_changed.emit(settings)

    # Doctor

    def _build_doctor(self) -> QWidget:
        page = QWidget()
        column = QVBoxLayout(page)
        column.setContentsMargins(0, 2 * SPACE, 0, 0)
        head = QHBoxLayout()
        self._doctor_state = QLabel()
        self._doctor_state.setProperty("tone", "muted")
        self.doctor_button = QPushButton(self.tr("Check &again"))
        self.doctor_button.clicked.connect(self.examine)
        self.copy_button = QPushButton(self.tr("&Copy report"))
        self.copy_button.clicked.connect(self._copy_report)
        head.addWidget(self._doctor_state, 1)
        head.addWidget(self.doctor_button)
        head.addWidget(self.copy_button)
        column.addLayout(head)
        self._findings = QVBoxLayout()
        self._findings.setSpacing(SPACE)
        inside = QWidget()
        inner = QVBoxLayout(inside)
        inner.setContentsMargins(0, 0, SPACE, 0)
        inner.addLayout(self._findings)
        inner.addStretch(1)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setWidget(inside)
        scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        column.addWidget(scroll, 1)
        self._report = b""
        return page

    def _tab_shown(self, index: int) -> None:
        if index == 1 and not self._report:
            self.examine()

    def examine(self) -> None:
        """Ask `pellucid doctor`."""
        self._doctor_state.setText(self.tr("Looking at this computer…"))
        self.doctor_button.setEnabled(False)
        run_command(["doctor", "--json"], self._examined, self, self._program)

    def _examined(self, code: int, output: bytes, complaint: str) -> None:
        self.doctor_button.setEnabled(True)
        self._report = output
        while (taken := self._findings.takeAt(0)) is not None:
            widget = taken.widget()
            if widget is not None:
                widget.hide()
                widget.deleteLater()
        try:
            document = msgspec.json.decode(output)
        except msgspec.DecodeError:
            self._doctor_state.setText(self.tr("The examination failed: {reason}").format(reason=complaint[-300:]))
            return
        self._doctor_state.setText("")
        for finding in backends(document):
            self._findings.addWidget(_finding_card(finding))
        for title, rows in self._tables(document):
            self._findings.addWidget(_table_card(title, rows))

    def _tables(self, document: object) -> list[tuple[str, list[tuple[str, str]]]]:
        """Everything else that the doctor found, in its order: plain facts first, then what has parts of its own."""
        if not isinstance(document, dict):
            return []
        words = {
            "version": self.tr("Version"), "python": "Python", "system": self.tr("System"),
            "processor": self.tr("Processor"), "cores": self.tr("Cores"), "memory_gib": self.tr("Memory (GiB)"),
            "speed": self.tr("Speed"), "native_kernels": self.tr("Native code"), "packages": self.tr("Packages"),
            "library": self.tr("Model library"), "models": self.tr("Models"),
        }  # fmt: skip
        plain: list[tuple[str, str]] = []
        tables: list[tuple[str, list[tuple[str, str]]]] = []
        for key, value in document.items():
            title = words.get(str(key), str(key).replace("_", " ").capitalize())
            if key in ("backends", "display") or value in (None, "", [], {}):
                continue
            if isinstance(value, dict):
                tables.append((title, [(str(k), _flat(v) or self.tr("not installed")) for k, v in value.items()]))
            else:
                plain.append((title, _flat(value)))
        return [("", plain), *tables]

    def _copy_report(self) -> None:
        from PySide6.QtGui import QGuiApplication

        QGuiApplication.clipboard().setText(self._report.decode("utf-8", "replace"))

    # About

    def _build_about(self) -> QWidget:
        page = QWidget()
        column = QVBoxLayout(page)
        column.setContentsMargins(0, 3 * SPACE, 0, 0)
        head = QHBoxLayout()
        mark = QLabel()
        mark.setPixmap(icons.application_icon().pixmap(72, 72))
        words = QVBoxLayout()
        name = QLabel("Pellucid")
        name.setFont(sized(self.font(), 2.0, strong=True))
        version = QLabel(
            self.tr("Version {version}, Qt {qt}. Licence: Apache-2.0.").format(version=about.version(), qt=qVersion())
        )
        version.setProperty("tone", "muted")
        words.addWidget(name)
        words.addWidget(version)
        head.addWidget(mark)
        head.addSpacing(2 * SPACE)
        head.addLayout(words, 1)
        column.addLayout(head)
        column.addSpacing(2 * SPACE)
        column.addWidget(QLabel(self.tr("Made with these parts, each under its own licence:")))
        self.licences = QPlainTextEdit()
        self.licences.setReadOnly(True)
        self.licences.setAccessibleName(self.tr("Licences of all parts"))
        self.licences.setTabChangesFocus(True)
        column.addWidget(self.licences, 1)
        self.tabs.currentChanged.connect(self._about_shown)
        return page

    def _about_shown(self, index: int) -> None:
        if index == 2 and not self.licences.toPlainText():
            self.licences.setPlainText(about.notices())


Finding = tuple[str, str, str, str]
"""State ("good", "bad", "muted"), title, text, hint."""


def backends(document: object) -> list[Finding]:
    """What can compute here, and why the rest cannot."""
    rows = document.get("backends") if isinstance(document, dict) else None
    return [_backend(row) for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _backend(row: dict[str, Any]) -> Finding:
    there = row.get("available") is True
    return "good" if there else "muted", str(row.get("name", "")), _flat(row.get("devices")), str(row.get("reason", ""))


def _flat(value: object) -> str:
    if isinstance(value, dict):
        return "\n".join(f"{key}: {_flat(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        return ("\n" if any(isinstance(inner, dict) for inner in value) else ", ").join(_flat(inner) for inner in value)
    if isinstance(value, float):
        return sentences.about(value, 6)
    return "" if value is None else str(value)


def _table_card(title: str, rows: list[tuple[str, str]]) -> QFrame:
    card = QFrame()
    card.setObjectName("card")
    grid = QGridLayout(card)
    grid.setContentsMargins(2 * SPACE, SPACE + 4, 2 * SPACE, SPACE + 4)
    grid.setHorizontalSpacing(3 * SPACE)
    grid.setVerticalSpacing(SPACE // 2)
    grid.setColumnStretch(1, 1)
    if title:
        head = QLabel(title)
        head.setFont(sized(head.font(), 1.0, strong=True))
        grid.addWidget(head, 0, 0, 1, 2)
    for number, pair in enumerate(rows, 1):
        for column, text in enumerate(pair):
            label = QLabel(text)
            label.setTextFormat(Qt.TextFormat.PlainText)
            label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            label.setWordWrap(column == 1)
            label.setProperty("tone", "" if column else "muted")
            grid.addWidget(label, number, column, Qt.AlignmentFlag.AlignTop)
    return card


class _Mark(QWidget):
    """An icon that goes with the theme."""

    def __init__(self, name: str, token: str) -> None:
        super().__init__()
        self._name = name
        self._token = token
        self.setFixedSize(18, 18)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        icons.draw(painter, self._name, QRectF(self.rect()), colour(self.palette(), self._token))
        painter.end()


def _finding_card(finding: Finding) -> QFrame:
    tone, title, text, hint = finding
    card = QFrame()
    card.setObjectName("card")
    row = QHBoxLayout(card)
    row.setContentsMargins(2 * SPACE, SPACE + 2, 2 * SPACE, SPACE + 2)
    row.addWidget(
        _Mark(*{"good": ("check", "good"), "bad": ("warning", "bad")}.get(tone, ("info", "muted"))),
        0,
        Qt.AlignmentFlag.AlignTop,
    )
    words = QVBoxLayout()
    words.setSpacing(2)
    head = QLabel(title)
    head.setFont(sized(head.font(), 1.0, strong=True))
    words.addWidget(head)
    for line, style in ((text, "muted"), (hint, "")):
        if line:
            label = QLabel(line)
            label.setWordWrap(True)
            label.setTextFormat(Qt.TextFormat.PlainText)
            label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            label.setProperty("tone", style)
            words.addWidget(label)
    row.addLayout(words, 1)
    return card

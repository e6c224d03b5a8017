"""Which models shall be compared: a box to tick for each, no more than can be told apart side by side."""

from __future__ import annotations

from PySide6.QtWidgets import QDialog, QDialogButtonBox, QLabel, QScrollArea, QVBoxLayout, QWidget

from gui.state.library import Model
from gui.theme import SPACE
from gui.widgets.check_box import CheckBox

MOST = 5


class ModelChoice(QDialog):
    def __init__(self, models: list[Model], current: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Compare models"))
        self.setMinimumWidth(380)
        column = QVBoxLayout(self)
        column.setContentsMargins(3 * SPACE, 2 * SPACE, 3 * SPACE, 2 * SPACE)
        column.setSpacing(SPACE + 4)
        column.addWidget(QLabel(self.tr("Which models shall restore the visible region? Two to five.")))
        inside = QWidget()
        rows = QVBoxLayout(inside)
        rows.setContentsMargins(0, 0, 0, 0)
        self.boxes: dict[str, CheckBox] = {}
        first = [current, *(model.name for model in models if model.name != current)][:3]
        for model in models:
            box = CheckBox(f"{model.name}  ×{model.scale}")
            box.setChecked(model.name in first)
            box.toggled.connect(self._count)
            self.boxes[model.name] = box
            rows.addWidget(box)
        rows.addStretch(1)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setWidget(inside)
        column.addWidget(scroll, 1)
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel)
        self._ok = self.buttons.button(QDialogButtonBox.StandardButton.Ok)
        self._ok.setText(self.tr("Compare"))
        self._ok.setProperty("tone", "primary")
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        column.addWidget(self.buttons)
        self._count()

    def chosen(self) -> list[str]:
        return [name for name, box in self.boxes.items() if box.isChecked()]

    @classmethod
    def ask(cls, models: list[Model], current: str, parent: QWidget) -> list[str]:
        """Names of the chosen models; empty: none."""
        dialog = cls(models, current, parent)
        chosen = dialog.chosen() if dialog.exec() == QDialog.DialogCode.Accepted else []
        dialog.deleteLater()
        return chosen

    def _count(self) -> None:
        self._ok.setEnabled(2 <= len(self.chosen()) <= MOST)

"""What a vivid partner needs: a name, how long, and the features that judge texture."""

from __future__ import annotations

from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from gui.theme import SPACE
from gui.widgets.number_box import NumberBox

ITERATIONS = 40_000


class VividDialog(QDialog):
    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Continue as GAN"))
        self.setMinimumWidth(480)
        column = QVBoxLayout(self)
        column.setContentsMargins(3 * SPACE, 2 * SPACE, 3 * SPACE, 2 * SPACE)
        column.setSpacing(2 * SPACE)
        text = QLabel(
            self.tr(
                "A second training starts from this model and learns to invent texture. "
                "A slider then blends the two: faithful on one side, vivid on the other."
            )
        )
        text.setWordWrap(True)
        column.addWidget(text)
        form = QFormLayout()
        form.setSpacing(SPACE + 4)
        self.name_edit = QLineEdit(name)
        self.name_edit.setAccessibleName(self.tr("Name"))
        self.iterations_number = NumberBox(1, 10_000_000)
        self.iterations_number.setValue(ITERATIONS)
        self.iterations_number.setAccessibleName(self.tr("Iterations"))
        self.weights_edit = QLineEdit()
        self.weights_edit.setPlaceholderText(self.tr("optional: a .safetensors or .pth file"))
        self.weights_edit.setAccessibleName(self.tr("VGG16 weights"))
        choose = QPushButton(self.tr("Choose…"))
        choose.setAccessibleName(self.tr("Choose the file of the VGG weights"))
        choose.clicked.connect(self._choose)
        weights = QHBoxLayout()
        weights.addWidget(self.weights_edit, 1)
        weights.addWidget(choose)
        form.addRow(self.tr("&Name"), self.name_edit)
        form.addRow(self.tr("&Iterations"), self.iterations_number)
        form.addRow(self.tr("&VGG16 weights"), weights)
        column.addLayout(form)
        hint = QLabel(self.tr("Without these weights it works as well, but texture comes out coarser."))
        hint.setProperty("tone", "muted")
        hint.setWordWrap(True)
        column.addWidget(hint)
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel)
        start = self.buttons.button(QDialogButtonBox.StandardButton.Ok)
        start.setText(self.tr("Start training"))
        start.setProperty("tone", "primary")
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        column.addWidget(self.buttons)
        self.name_edit.textChanged.connect(lambda text: start.setEnabled(bool(text.strip())))

    @classmethod
    def ask(cls, name: str, parent: QWidget) -> tuple[str, int, str] | None:
        """(name, iterations, file of weights or empty); None: cancelled."""
        dialog = cls(name, parent)
        accepted = dialog.exec() == QDialog.DialogCode.Accepted
        answer = (
            dialog.name_edit.text().strip(),
            dialog.iterations_number.value(),
            dialog.weights_edit.text().strip(),
        )
        dialog.deleteLater()
        return answer if accepted else None

    def _choose(self) -> None:
        path, _filter = QFileDialog.getOpenFileName(
            self, self.tr("VGG weights"), "", self.tr("Weights") + " (*.safetensors *.pth *.pt)"
        )
        if path:
            self.weights_edit.setText(path)

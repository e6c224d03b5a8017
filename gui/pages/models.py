"""The model library: what each model is for, what it scored, and under which licence it may be used."""

from __future__ import annotations

from pathlib import Path

import msgspec
from PySide6.QtCore import QLocale, Qt, Signal
from PySide6.QtGui import QImage, QPixmap
from PySide6.QtWidgets import (
    QFileDialog,
    QFrame,
    QHBoxLayout,
    QInputDialog,
    QLabel,
    QMenu,
    QMessageBox,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from gui.commands import failure_sentence, run_command
from gui.naming import MODEL_SUFFIXES
from gui.sentences import about
from gui.state import library
from gui.state.library import Model
from gui.theme import SPACE, sized
from gui.widgets.banner import Banner

SAMPLE = (132, 88)


class ModelsPage(QWidget):
    models_changed = Signal(object)
    """tuple[Model, ...], whenever the list was read."""
    use_wanted = Signal(str)
    """Restore with this model from now on."""

    def __init__(self, parent: QWidget | None = None, program: list[str] | None = None) -> None:
        super().__init__(parent)
        self._program = program
        self._models: tuple[Model, ...] = ()
        self._folder = ""
        self._samples: dict[str, QImage] = {}
        self._sample_labels: dict[str, QLabel] = {}
        self.banner = Banner()
        title = QLabel(self.tr("Models"))
        title.setFont(sized(self.font(), 1.5, strong=True))
        self.import_button = QPushButton(self.tr("&Import a model…"))
        self.import_button.clicked.connect(self._import)
        self.reload_button = QPushButton(self.tr("&Refresh"))
        self.reload_button.clicked.connect(self.reload)
        head = QHBoxLayout()
        head.addWidget(title, 1)
        head.addWidget(self.reload_button)
        head.addWidget(self.import_button)
        self._state = QLabel(self.tr("Reading the library…"))
        self._state.setProperty("tone", "muted")
        self._cards = QVBoxLayout()
        self._cards.setSpacing(SPACE + 4)
        inside = QWidget()
        column = QVBoxLayout(inside)
        column.setContentsMargins(0, 0, SPACE, 0)
        column.addLayout(self._cards)
        column.addStretch(1)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setWidget(inside)
        scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        page = QVBoxLayout(self)
        page.setContentsMargins(4 * SPACE, 3 * SPACE, 3 * SPACE, 2 * SPACE)
        page.setSpacing(2 * SPACE)
        page.addLayout(head)
        page.addWidget(self.banner)
        page.addWidget(self._state)
        page.addWidget(scroll, 1)

    def reload(self) -> None:
        run_command(["models", "list", "--json"], self._read, self, self._program)

    def _read(self, code: int, output: bytes, complaint: str) -> None:
        try:
            found = library.parse(output) if code == 0 else None
        except msgspec.DecodeError as error:
            found, complaint = None, str(error)
        if found is None:
            self._state.setText(self.tr("The model library could not be read."))
            self._state.show()
            self.banner.tell(self.tr("The model library could not be read."), "bad", complaint)
            return
        models = self._models = found.models
        self._folder = found.folder
        self._state.setVisible(not models)
        self._state.setText(self.tr("There are no models yet. Import one, or train your own."))
        self._fill()
        self.models_changed.emit(models)

    def _fill(self) -> None:
        while (taken := self._cards.takeAt(0)) is not None:
            widget = taken.widget()
            if widget is not None:
                widget.hide()
                widget.deleteLater()
        self._sample_labels.clear()
        first = library.default(self._models)
        for model in self._models:
            self._cards.addWidget(self._card(model, is_default=model is first))

    def _card(self, model: Model, *, is_default: bool) -> QFrame:
        card = QFrame()
        card.setObjectName("card")
        card.setAccessibleName(model.name)
        row = QHBoxLayout(card)
        row.setContentsMargins(2 * SPACE, 2 * SPACE, 2 * SPACE, 2 * SPACE)
        row.setSpacing(2 * SPACE)
        sample = QLabel()
        sample.setFixedSize(*SAMPLE)
        sample.setAlignment(Qt.AlignmentFlag.AlignCenter)
        sample.setToolTip(self.tr("A sample: before on the left, after on the right"))
        self._sample_labels[model.name] = sample
        row.addWidget(sample, 0, Qt.AlignmentFlag.AlignTop)
        self._show_sample(model.name)
        words = QVBoxLayout()
        words.setSpacing(SPACE // 2)
        name = QLabel(model.name)
        name.setFont(sized(self.font(), 1.15, strong=True))
        name.setTextFormat(Qt.TextFormat.PlainText)
        words.addWidget(name)
        if model.description:
            words.addWidget(_text(model.description))
        words.addWidget(_text(self._facts(model, is_default), "muted"))
        for line in _scores(model)[:3]:
            words.addWidget(_text(line, "muted"))
        rights = [self.tr("Licence: {x}").format(x=model.licence or self.tr("not stated")), *model.attribution[:2]]
        if model.parameters:  # Plain interpolation is nobody's.
            words.addWidget(_text(" · ".join(rights), "muted"))
        if model.problem:
            words.addWidget(_text(model.problem, "bad"))
        words.addStretch(1)
        row.addLayout(words, 1)
        use = QPushButton(self.tr("Use"))
        use.setAccessibleName(self.tr("Use {name}").format(name=model.name))
        use.setEnabled(not model.problem)
        use.clicked.connect(lambda: self.use_wanted.emit(model.name))
        column = QVBoxLayout()
        column.addWidget(use)
        if model.path and not model.bundled:
            more = QPushButton(self.tr("More"))
            more.setAccessibleName(self.tr("More for {name}").format(name=model.name))
            menu = QMenu(more)
            menu.addAction(self.tr("Rename…"), lambda: self._ask_rename(model.name))
            menu.addAction(self.tr("Remove…"), lambda: self._ask_remove(model.name))
            more.setMenu(menu)
            column.addWidget(more)
        column.addStretch(1)
        row.addLayout(column)
        return card

    def set_sample(self, name: str, image: QImage) -> None:
        self._samples[name] = image
        self._show_sample(name)

    def _show_sample(self, name: str) -> None:
        label, image = self._sample_labels.get(name), self._samples.get(name)
        if label is None or image is None:
            return
        ratio = self.devicePixelRatioF()
        keep, smooth = Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation
        pixmap = QPixmap.fromImage(image).scaled(label.size() * ratio, keep, smooth)
        pixmap.setDevicePixelRatio(ratio)
        label.setPixmap(pixmap)

    def _ask_rename(self, name: str) -> None:
        new, ok = QInputDialog.getText(
            self, self.tr("Rename"), self.tr("New name of {name}:").format(name=name), text=name
        )
        if ok and new.strip() and new.strip() != name:
            self.manage(["rename", name, new.strip()])

    def _ask_remove(self, name: str) -> None:
        question = self.tr("Delete {name} from the library? Its file is gone then.").format(name=name)
        if QMessageBox.question(self, self.tr("Remove"), question) == QMessageBox.StandardButton.Yes:
            self.manage(["remove", name])

    def manage(self, words: list[str]) -> None:
        """`pellucid models WORDS`, then read the list again; a refusal is told."""

        def done(code: int, output: bytes, complaint: str) -> None:
            if code:
                self.banner.tell(failure_sentence(output) or complaint or self.tr("It did not work."), "bad")
            self.reload()

        run_command(["models", *words, "--json"], done, self, self._program)

    def _facts(self, model: Model, is_default: bool) -> str:
        parts = [f"×{model.scale}", model.architecture]
        if model.parameters:
            parts.append(self.tr("{n} parameters").format(n=QLocale().toString(model.parameters)))
        partner = library.partner_of(self._models, model) or library.faithful_of(self._models, model)
        if partner is not None:
            parts.append(self.tr("pairs with {name}").format(name=partner.name))
        if is_default:
            parts.append(self.tr("default on this computer"))
        return " · ".join(part for part in parts if part)

    def _import(self) -> None:
        patterns = " ".join(f"*{suffix}" for suffix in sorted(MODEL_SUFFIXES))
        paths, _filter = QFileDialog.getOpenFileNames(
            self, self.tr("Import a model"), "", self.tr("Models") + f" ({patterns})"
        )
        self.import_files(paths)

    def import_files(self, paths: list[str]) -> None:
        """Into the library, one after the other; a sentence for those that are refused."""
        halves = {Path(path).with_suffix("") for path in paths if path.endswith(".param")}
        whole = [path for path in paths if not (path.endswith(".bin") and Path(path).with_suffix("") in halves)]
        self._import_next(whole, [])

    def _import_next(self, paths: list[str], refused: list[str]) -> None:
        if not paths:
            return
        first, *rest = paths
        name = Path(first).name
        if not refused:
            self.banner.tell(self.tr("Importing {name}…").format(name=name))

        def done(code: int, output: bytes, complaint: str) -> None:
            if code:
                refused.append(name)
                text = self.tr("{name} was not imported.").format(name=", ".join(refused))
                self.banner.tell(text, "bad", failure_sentence(output) or complaint)
            elif not refused:
                self.banner.tell(self.tr("{name} is in the library.").format(name=name))
            self._import_next(rest, refused)
            self.reload()

        run_command(["models", "import", first, "--json"], done, self, self._program)

    def save_blend(self, model: str, partner: str, alpha: float) -> None:
        """Ask for a name and make a model of the blend."""
        name, ok = QInputDialog.getText(
            self, self.tr("Save as model"), self.tr("Name of the new model:"), text=f"{model}-{alpha:.2f}"
        )
        if not ok or not name.strip():
            return
        target = str(Path(self._folder) / f"{name.strip()}.safetensors")
        words = ["blend", model, partner, "--alpha", f"{alpha:g}", "-o", target, "--json"]

        def done(code: int, output: bytes, complaint: str) -> None:
            if code == 0:
                self.reload()
            else:
                QMessageBox.warning(
                    self, self.tr("Save as model"), failure_sentence(output) or complaint or self.tr("It did not work.")
                )

        run_command(words, done, self, self._program)


def _scores(model: Model) -> list[str]:
    """One line a data set."""
    found: dict[str, list[str]] = {}
    for score in model.scores:
        if score.alpha is None:
            found.setdefault(score.dataset, []).append(f"{score.metric.upper()} {about(score.value, 4)}")
    return [f"{' · '.join(values)} ({dataset})" for dataset, values in found.items()]


def _text(text: str, tone: str = "") -> QLabel:
    label = QLabel(text)
    label.setWordWrap(True)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    if tone:
        label.setProperty("tone", tone)
    return label

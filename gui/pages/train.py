"""A new training in four steps: what for, which pictures, what damage, how long. It speaks the command line's words."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from PySide6.QtCore import QLocale, QProcess, Qt, QTemporaryDir, QTimer, Signal
from PySide6.QtGui import QFontDatabase, QPixmap
from PySide6.QtWidgets import (
    QButtonGroup,
    QComboBox,
    QFileDialog,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QPlainTextEdit,
    QPushButton,
    QRadioButton,
    QScrollArea,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from engine import wire_training as training
from gui.commands import SECONDS, START_SECONDS, run_command
from gui.naming import pictures_below
from gui.run_tail import is_alive
from gui.sentences import clock, decimal, duration, pictures
from gui.set_aside import Moves, put_back, set_aside
from gui.settings import write_whole
from gui.state.library import Model
from gui.state.recipe import DAMAGES, Amounts, Damage, adjusted, as_toml, file_name, present
from gui.theme import SPACE, sized
from gui.widgets.alpha_slider import AlphaSlider
from gui.widgets.banner import Banner
from gui.widgets.number_box import NumberBox
from gui.widgets.option_card import OptionCard
from gui.widgets.sample_grid import SampleGrid, parse_samples

PURPOSES = ("my-photos", "my-photos-gan", "my-faces", "my-photos", "quick-try", "")
"""Preset of each purpose; the last one is "reproduce a paper", whose preset is chosen."""
PAPER = re.compile(r"s\d(-|$)")
"""The presets of the reference systems: s0, s1-gan and so on."""
ADAPT = 3
"""The purpose "my own pictures": starts from a finished model of the preset's network, and goes gently."""
ADAPT_ITERATIONS = 5000
ADAPT_RATE = 1e-4
SAMPLES = 12
SHEET_SOURCES = 6
FIRST_RECIPE = "real-esrgan"
RECIPES = "recipes"
"""Folder of changed recipes, beside the trainings that use them."""
SHEET_MS = 350
"""A slider has to rest for so long before samples are made."""
ESTIMATE_MS = 900


class TrainPage(QWidget):
    started = Signal(str)
    """A training runs in this folder."""

    def __init__(self, root: Path, parent: QWidget | None = None, program: list[str] | None = None) -> None:
        super().__init__(parent)
        self._root = root
        self._program = program
        self._running: dict[str, QProcess] = {}
        self._sheets = QTemporaryDir()
        self._seed = 0
        self._recipes_read = False
        self._recipe: dict[str, Any] = {}
        """The chosen recipe as its file says it."""
        self._models: tuple[Model, ...] = ()
        self._moved: Moves = ()
        self._checked_for = ""
        """Preset that the folders were last looked at for."""
        self._sheet_timer = _timer(self, SHEET_MS, self._draw_sheet)
        self._estimate_timer = _timer(self, ESTIMATE_MS, self.estimate)
        self._build()
        self._show_step(0)

    # Building

    def _build(self) -> None:
        page = QVBoxLayout(self)
        page.setContentsMargins(4 * SPACE, 3 * SPACE, 4 * SPACE, 2 * SPACE)
        page.setSpacing(2 * SPACE)
        self._title = QLabel()
        self._title.setFont(sized(self.font(), 1.5, strong=True))
        self._hint = QLabel()
        self._hint.setProperty("tone", "muted")
        self._hint.setWordWrap(True)
        self.banner = Banner()
        self.steps = QStackedWidget()
        self.steps.addWidget(self._build_purpose())
        self.steps.addWidget(self._build_pictures())
        self.steps.addWidget(self._build_damage())
        self.steps.addWidget(self._build_size())
        self.back_button = QPushButton(self.tr("&Back"))
        self.back_button.clicked.connect(lambda: self._show_step(self.steps.currentIndex() - 1))
        self.next_button = QPushButton()
        self.next_button.setProperty("tone", "primary")
        self.next_button.clicked.connect(self._next)
        self._where = QLabel()
        self._where.setProperty("tone", "muted")
        foot = QHBoxLayout()
        foot.addWidget(self._where, 1)
        foot.addWidget(self.back_button)
        foot.addWidget(self.next_button)
        page.addWidget(self._title)
        page.addWidget(self._hint)
        page.addWidget(self.banner)
        page.addWidget(self.steps, 1)
        page.addLayout(foot)

    def _build_purpose(self) -> QWidget:
        step = QWidget()
        column = QVBoxLayout(step)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(SPACE + 4)
        self.purposes = QButtonGroup(self)
        entries = [
            (
                self.tr("Photographs of every kind"),
                self.tr("A model that restores photographs, whatever happened to them. From the beginning."),
            ),
            (
                self.tr("Photographs, with a vivid partner"),
                self.tr("Then a second model that invents texture; a slider blends the two. Needs VGG16 weights."),
            ),
            (
                self.tr("Faces"),
                self.tr("A model for portraits that are blurred, small or badly compressed. Give it faces only."),
            ),
            (
                self.tr("My own pictures"),
                self.tr("Starts from a finished model and adapts it to pictures like yours: a few hundred are enough."),
            ),
            (
                self.tr("A quick try"),
                self.tr("A small model and clean pictures: minutes on any computer, to see how it works."),
            ),
            (
                self.tr("Reproduce a paper"),
                self.tr("The reference systems, with their networks, losses and schedules."),
            ),
        ]
        for number, (name, text) in enumerate(entries):
            button = QRadioButton(name)
            button.setFont(sized(self.font(), 1.05, strong=True))
            button.setAccessibleDescription(text)
            label = QLabel(text)
            label.setProperty("tone", "muted")
            label.setContentsMargins(24, 0, 0, 0)
            label.setWordWrap(True)
            card = OptionCard(button)
            if number == ADAPT:
                self._adapt_text = label
            card.column.addWidget(label)
            self.purposes.addButton(button, number)
            if number == len(entries) - 1:
                self.paper_box = QComboBox()
                self.paper_box.setAccessibleName(self.tr("Reference system"))
                for preset, description in presets():
                    if PAPER.match(preset):
                        self.paper_box.addItem(f"{preset}: {description}", preset)
                self.paper_box.setEnabled(False)
                row = QHBoxLayout()
                row.setContentsMargins(24, SPACE // 2, 0, SPACE // 2)
                row.addWidget(self.paper_box)
                card.column.addLayout(row)
                button.toggled.connect(self.paper_box.setEnabled)
            column.addWidget(card)
        self.purposes.button(0).setChecked(True)
        self.set_models(())
        column.addStretch(1)
        return _scrolled(step)

    def _build_pictures(self) -> QWidget:
        step = QWidget()
        column = QVBoxLayout(step)
        column.setContentsMargins(0, 0, 0, 0)
        self.folders = QListWidget()
        self.folders.setAccessibleName(self.tr("Folders of pictures"))
        self.folders.setObjectName("framed")
        self.folders.setMaximumHeight(112)
        self.add_button = QPushButton(self.tr("&Add a folder…"))
        self.add_button.clicked.connect(self._add_folder)
        self.remove_button = QPushButton(self.tr("&Remove"))
        self.remove_button.setEnabled(False)
        self.remove_button.clicked.connect(self._remove_folder)
        self.folders.itemSelectionChanged.connect(
            lambda: self.remove_button.setEnabled(bool(self.folders.selectedItems()))
        )
        row = QHBoxLayout()
        row.addWidget(self.add_button)
        row.addWidget(self.remove_button)
        row.addStretch(1)
        self._check_state = QLabel()
        self._check_state.setWordWrap(True)
        self.put_back_button = QPushButton(self.tr("&Put them back"))
        self.put_back_button.clicked.connect(self._put_back)
        self.put_back_button.hide()
        state = QHBoxLayout()
        state.addWidget(self._check_state, 1)
        state.addWidget(self.put_back_button)
        self._findings: dict[str, list[Finding]] = {}
        self._usable: dict[str, int] = {}
        """Pictures to train on, of each folder that was looked at."""
        """What was found, by folder."""
        self._finding_cards = QVBoxLayout()
        self._finding_cards.setSpacing(SPACE)
        inside = QWidget()
        inner = QVBoxLayout(inside)
        inner.setContentsMargins(0, 0, SPACE, 0)
        inner.addLayout(self._finding_cards)
        inner.addStretch(1)
        column.addWidget(self.folders)
        column.addLayout(row)
        column.addLayout(state)
        column.addWidget(_scrolled(inside), 1)
        return step

    def _build_damage(self) -> QWidget:
        step = QWidget()
        column = QVBoxLayout(step)
        column.setContentsMargins(0, 0, 0, 0)
        self.recipe_box = QComboBox()
        self.recipe_box.setAccessibleName(self.tr("Damage recipe"))
        self.recipe_box.currentIndexChanged.connect(self._read_recipe)
        self.again_button = QPushButton(self.tr("&Other samples"))
        self.again_button.clicked.connect(self._other_samples)
        row = QHBoxLayout()
        row.addWidget(self.recipe_box, 1)
        row.addWidget(self.again_button)
        self.samples = SampleGrid()
        self.samples.setAccessibleName(self.tr("Twelve samples of what the network will be fed"))
        amounts = QHBoxLayout()
        amounts.setContentsMargins(0, SPACE, 0, SPACE)
        amounts.setSpacing(3 * SPACE)
        self.amount_sliders: dict[Damage, AlphaSlider] = {}
        self._amount_texts: dict[Damage, QLabel] = {}
        words = {"blur": self.tr("Blur"), "noise": self.tr("Noise"), "jpeg": self.tr("Compression")}
        for damage in DAMAGES:
            part = QVBoxLayout()
            part.setSpacing(0)
            head = QHBoxLayout()
            label, value = QLabel(words[damage]), QLabel("100 %")
            value.setProperty("tone", "muted")
            slider = AlphaSlider()
            slider.setRange(0, 200)
            slider.setSingleStep(10)
            slider.setValue(100)
            slider.setAccessibleName(self.tr("{damage}, percent of the recipe").format(damage=words[damage]))
            slider.valueChanged.connect(self._amount_moved)
            head.addWidget(label)
            head.addStretch(1)
            head.addWidget(value)
            part.addLayout(head)
            part.addWidget(slider)
            amounts.addLayout(part, 1)
            self.amount_sliders[damage], self._amount_texts[damage] = slider, value
        column.addLayout(row)
        column.addLayout(amounts)
        column.addWidget(self.samples, 1)
        return step

    def _build_size(self) -> QWidget:
        step = QWidget()
        row = QHBoxLayout(step)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(3 * SPACE)
        card = QFrame()
        card.setObjectName("card")
        card.setMaximumWidth(420)
        form = QGridLayout(card)  # a form layout does not put a label beside the middle of a higher field
        form.setContentsMargins(2 * SPACE, 2 * SPACE, 2 * SPACE, 2 * SPACE)
        form.setSpacing(SPACE + 4)
        form.setColumnStretch(1, 1)
        self.name_edit = QLineEdit()
        self.iterations_number = NumberBox(1, 10_000_000)
        self.batch_number = NumberBox(1, 1024)
        self.crop_number = NumberBox(16, 1024)
        self.crop_number.setSingleStep(8)
        fields = (
            (self.tr("&Name"), self.name_edit),
            (self.tr("&Iterations of each stage"), self.iterations_number),
            (self.tr("&Pictures a step"), self.batch_number),
            (self.tr("Side of a &crop"), self.crop_number),
        )
        for place, (text, field) in enumerate(fields):
            label = QLabel(text)
            label.setBuddy(field)
            field.setAccessibleName(text.replace("&", ""))
            form.addWidget(label, place, 0)
            form.addWidget(field, place, 1)
        for number in (self.iterations_number, self.batch_number, self.crop_number):
            number.valueChanged.connect(self._size_changed)
        self.weights_edit = QLineEdit()
        self.weights_edit.setPlaceholderText(self.tr("a .safetensors or .pth file"))
        self.weights_edit.setAccessibleName(self.tr("VGG weights"))
        self._weights_label = QLabel(self.tr("&VGG weights"))
        self._weights_label.setBuddy(self.weights_edit)
        self.weights_button = QPushButton(self.tr("Choose…"))
        self.weights_button.setAccessibleName(self.tr("Choose the file of the VGG weights"))
        self.weights_button.clicked.connect(self._choose_weights)
        weights = QHBoxLayout()
        weights.addWidget(self.weights_edit, 1)
        weights.addWidget(self.weights_button)
        form.addWidget(self._weights_label, len(fields), 0)
        form.addLayout(weights, len(fields), 1)
        self._estimate = QLabel()
        self._estimate.setFont(sized(self.font(), 1.1, strong=True))
        self._estimate.setWordWrap(True)
        form.addWidget(self._estimate, len(fields) + 1, 0, 1, 2)
        self.config_text = QPlainTextEdit()
        self.config_text.setReadOnly(True)
        self.config_text.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self.config_text.setTabChangesFocus(True)
        self.config_text.setAccessibleName(self.tr("Configuration"))
        self.config_text.setPlaceholderText(self.tr("The whole configuration appears here with the estimate."))
        row.addWidget(card, 0, Qt.AlignmentFlag.AlignTop)
        row.addWidget(self.config_text, 1)
        return step

    # Steps

    def _show_step(self, number: int) -> None:
        titles = [
            (self.tr("What do you want to train?"), ""),
            (
                self.tr("Which pictures shall it learn from?"),
                self.tr(
                    "Sharp, clean pictures: the damage is made from them. Hundreds are a start, thousands are better."
                ),
            ),
            (
                self.tr("What damage shall it undo?"),
                self.tr("This is what the network will be fed."),
            ),
            (
                self.tr("How long may it take?"),
                self.tr("The training goes on when this window is closed, and can be paused and continued."),
            ),
        ]
        self.steps.setCurrentIndex(number)
        self._title.setText(titles[number][0])
        self._hint.setText(titles[number][1])
        self._hint.setVisible(bool(titles[number][1]))
        self._where.setText(self.tr("Step {n} of {all}").format(n=number + 1, all=self.steps.count()))
        self.back_button.setEnabled(number > 0)
        last = number == self.steps.count() - 1
        self.next_button.setText(self.tr("&Start training") if last else self.tr("&Next"))
        self.next_button.setEnabled(number != 1 or self.folders.count() > 0)
        if number == 1 and self._checked_for not in ("", self.preset()):
            for folder in self.picture_folders():
                self.check(folder)
        elif number == 2:
            self._enter_damage()
        elif last:
            self._enter_size()

    def _next(self) -> None:
        if self.steps.currentIndex() < self.steps.count() - 1:
            self._show_step(self.steps.currentIndex() + 1)
        else:
            self.start()

    def set_models(self, models: tuple[Model, ...]) -> None:
        """What the library holds: a finished model of the right network can be adapted."""
        self._models = models
        start = self._start_model()
        button = self.purposes.button(ADAPT)
        button.setEnabled(start is not None)
        if button.isChecked() and start is None:
            self.purposes.button(0).setChecked(True)
        text = self.tr("Starts from a finished model and adapts it to pictures like yours: a few hundred are enough.")
        self._adapt_text.setText(
            self.tr("There is no finished model to start from yet: train or import one of the network “compact”.")
            if start is None
            else text
        )

    def _start_model(self) -> Model | None:
        """The faithful model that "my own pictures" starts from."""
        fitting = [m for m in self._models if m.architecture == "compact" and m.path and not m.problem]
        faithful = [model for model in fitting if model.role != "gan"]
        return next((model for model in faithful if model.default), faithful[0] if faithful else None)

    def preset(self) -> str:
        return PURPOSES[self.purposes.checkedId()] or str(self.paper_box.currentData())

    def picture_folders(self) -> list[str]:
        return [self.folders.item(row).text() for row in range(self.folders.count())]

    def add_folder(self, folder: str) -> None:
        if folder not in self.picture_folders():
            self.folders.addItem(folder)
            self.next_button.setEnabled(True)
            self.check(folder)

    def wants_folders(self) -> bool:
        """The step that asks for pictures is shown: a folder that is dropped is meant for it."""
        return self.isVisible() and self.steps.currentIndex() == 1

    def _add_folder(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, self.tr("Folder of pictures"))
        if folder:
            self.add_folder(folder)

    def _remove_folder(self) -> None:
        for item in self.folders.selectedItems():
            self.folders.takeItem(self.folders.row(item))
            self._findings.pop(item.text(), None)
            self._usable.pop(item.text(), None)
        self.next_button.setEnabled(self.folders.count() > 0)
        self._show_findings()

    def check(self, folder: str) -> None:
        """What the dataset doctor says."""
        self._check_state.setText(self.tr("Looking at the pictures…"))

        def done(code: int, records: list[dict[str, Any]], complaint: str) -> None:
            summary = records[-1] if records else {}
            if "pictures" not in summary:
                self._check_state.setText(_complaint(records, complaint))
                return
            text = self.tr("{pictures}, {mp} megapixels.").format(
                pictures=pictures(summary["pictures"]),
                mp=QLocale().toString(float(summary.get("megapixels", 0)), "f", 1),
            )
            healthy = summary.get("healthy") is True
            verdict = self.tr("Nothing stands in the way.") if healthy else self.tr("Repair this before training.")
            self._usable[folder] = int(summary.get("usable", 0))
            if healthy and sum(self._usable.values()) < training.FEW_PICTURES:
                verdict += " " + self.tr("That is little, though: more pictures make a better model.")
            self._check_state.setText(f"{text} {verdict}")
            self._findings[folder] = gather(records[:-1])
            self._show_findings()

        # The crop with its context, the scale and the validation folders are those of the training that is meant.
        self._checked_for = self.preset()
        self._run(f"check {folder}", ["dataset", "check", folder, "--for", self.preset()], done)

    def _show_findings(self) -> None:
        while (taken := self._finding_cards.takeAt(0)) is not None:
            widget = taken.widget()
            if widget is not None:
                widget.hide()
                widget.deleteLater()
        for folder, findings in self._findings.items():
            for finding in findings:
                self._finding_cards.addWidget(self._finding_card(folder, finding))
        self.put_back_button.setVisible(bool(self._moved))

    def _finding_card(self, folder: str, finding: Finding) -> QFrame:
        card = QFrame()
        card.setObjectName("card")
        row = QHBoxLayout(card)
        row.setContentsMargins(2 * SPACE, SPACE + 2, 2 * SPACE, SPACE + 2)
        words = QVBoxLayout()
        words.setSpacing(2)
        title = QLabel(f"{self._kind_title(finding.kind)} ({len(finding.paths)})")
        title.setFont(sized(self.font(), 1.0, strong=True))
        words.addWidget(title)
        names = ", ".join(Path(path).name for path in finding.paths[:4]) + (" …" if len(finding.paths) > 4 else "")
        for text, tone in ((finding.advice, ""), (names, "muted")):
            label = QLabel(text)
            label.setWordWrap(True)
            label.setTextFormat(Qt.TextFormat.PlainText)
            label.setProperty("tone", tone)
            words.addWidget(label)
        label.setToolTip("\n".join(finding.lines[:40]))
        row.addLayout(words, 1)
        button = QPushButton(self.tr("Set aside"))
        button.setAccessibleName(self.tr("Set aside: {what}").format(what=self._kind_title(finding.kind)))
        button.setToolTip(self.tr("Move these files into a folder beside this one; they can be put back"))
        button.clicked.connect(lambda: self._set_aside(folder, finding))
        row.addWidget(button, 0, Qt.AlignmentFlag.AlignTop)
        return card

    def _kind_title(self, kind: str) -> str:
        return {
            "unreadable": self.tr("Unreadable files"),
            "too-small": self.tr("Too small"),
            "no-partner": self.tr("Without a damaged partner"),
            "wrong-scale": self.tr("Partner of the wrong size"),
            "duplicate": self.tr("Twice there"),
            "grey": self.tr("Grey pictures"),
            "alpha": self.tr("Transparent pictures"),
            "heavy-jpeg": self.tr("Heavily compressed"),
            "leak": self.tr("Also in the validation"),
        }.get(kind, kind)

    def _set_aside(self, folder: str, finding: Finding) -> None:
        try:
            self._moved += set_aside(Path(folder), finding.paths)
        except OSError as error:
            self.banner.tell(self.tr("The files could not be moved: {reason}").format(reason=error), "bad")
        self.check(folder)

    def _put_back(self) -> None:
        moved, self._moved = self._moved, ()
        try:
            put_back(moved)
        except OSError as error:
            self.banner.tell(self.tr("The files could not be moved: {reason}").format(reason=error), "bad")
        for folder in self.picture_folders():
            self.check(folder)

    def _enter_damage(self) -> None:
        wanted = self._preset_tree().get("data", {}).get("recipe", FIRST_RECIPE)
        if self._recipes_read:
            self._choose_recipe(wanted)
            return

        def done(code: int, records: list[dict[str, Any]], complaint: str) -> None:
            recipes = [record for record in records if "recipe" in record]
            if not recipes:
                self.banner.tell(_complaint(records, complaint), "bad")
                return
            self._recipes_read = True
            self.recipe_box.blockSignals(True)
            for record in recipes:
                self.recipe_box.addItem(f"{record['recipe']}: {record.get('description', '')}", record["recipe"])
            self.recipe_box.blockSignals(False)
            self._choose_recipe(wanted)

        self._run("recipes", ["degrade", "--list"], done)

    def _choose_recipe(self, name: str) -> None:
        row = self.recipe_box.findData(name)
        self.recipe_box.blockSignals(True)
        self.recipe_box.setCurrentIndex(max(0, row))
        self.recipe_box.blockSignals(False)
        self._read_recipe()

    def _read_recipe(self) -> None:
        """The recipe's own numbers: what the sliders multiply."""
        name = self.recipe_box.currentData()
        if name is None:
            return

        def done(code: int, records: list[dict[str, Any]], complaint: str) -> None:
            found = records[-1].get("recipe") if records else None
            self._recipe = found if isinstance(found, dict) else {}
            there = present(self._recipe)
            for damage, slider in self.amount_sliders.items():
                slider.setEnabled(damage in there)
                slider.blockSignals(True)
                slider.setValue(100)
                slider.blockSignals(False)
            self._show_amounts()
            self._draw_sheet()

        self._run("recipe", ["degrade", "--recipe", name, "--print"], done)

    def _amount_moved(self) -> None:
        self._show_amounts()
        self._sheet_timer.start()

    def _show_amounts(self) -> None:
        for damage, slider in self.amount_sliders.items():
            self._amount_texts[damage].setText(f"{slider.value()} %" if slider.isEnabled() else "–")

    def amounts(self) -> Amounts:
        return Amounts(**{damage: slider.value() / 100 for damage, slider in self.amount_sliders.items()})

    def recipe(self, folder: Path) -> str:
        """What the command line calls it: a bundled recipe's name, or a file below `folder` with changed amounts."""
        name = str(self.recipe_box.currentData() or "")
        changed = adjusted(self._recipe, self.amounts()) if self._recipe else {}
        if changed is self._recipe or not changed:
            return name
        path = folder / file_name(changed)
        write_whole(path, as_toml(changed).encode())
        return str(path)

    def _other_samples(self) -> None:
        self._seed += 1
        self._draw_sheet()

    def _draw_sheet(self) -> None:
        sources = _some_pictures(self.picture_folders())
        if self.recipe_box.currentData() is None or not sources:
            return
        try:
            recipe = self.recipe(Path(self._sheets.path()))
        except OSError as error:
            self.banner.tell(self.tr("The recipe could not be written: {reason}").format(reason=error), "bad")
            return
        if self.samples.is_empty():
            self.samples.say(self.tr("Damaging twelve samples…"))
        folder = Path(self._sheets.path()) / f"{Path(recipe).stem}-{self._seed}"
        words = ["degrade", *sources, "-o", str(folder), "--recipe", recipe, "--seed", str(self._seed)]

        def done(code: int, records: list[dict[str, Any]], complaint: str) -> None:
            sheet = QPixmap(str(folder / "sheet.png"))
            try:
                samples = parse_samples(records[-1].get("samples")) if records and not sheet.isNull() else []
            except msgspec.ValidationError:
                samples = []
            if samples:
                self.samples.show_samples(sheet, samples)
            else:
                self.samples.say(_complaint(records, complaint) or self.tr("The samples could not be made."))

        self._run("sheet", [*words, "--sheet", str(SAMPLES), "--overwrite"], done)

    def _enter_size(self) -> None:
        tree = self._preset_tree()
        data = tree.get("data", {})
        default = training.DataConfig()
        self.name_edit.setText(tree.get("name", self.preset()))
        self.iterations_number.setValue(max(stage.get("iterations", 1000) for stage in tree.get("stages", [{}])))
        self.batch_number.setValue(data.get("batch", default.batch))
        self.crop_number.setValue(data.get("crop", default.crop))
        perceptual = bool(self._perceptual_places(tree))
        for widget in (self._weights_label, self.weights_edit, self.weights_button):
            widget.setVisible(perceptual)
        if self.purposes.checkedId() == ADAPT:
            self.name_edit.setText("my-own-pictures")
            self.iterations_number.setValue(ADAPT_ITERATIONS)
        self._size_changed()

    def _size_changed(self) -> None:
        """The estimate belongs to other numbers now: measure anew as soon as they rest."""
        if self.steps.currentIndex() == self.steps.count() - 1:
            self._estimate.setText(self.tr("Training a few steps to measure…"))
            self._estimate_timer.start()

    def _choose_weights(self) -> None:
        path, _filter = QFileDialog.getOpenFileName(
            self, self.tr("VGG weights"), "", self.tr("Weights") + " (*.safetensors *.pth *.pt)"
        )
        if path:
            self.weights_edit.setText(path)
            self._size_changed()

    # Doing

    def estimate(self) -> None:
        """A dry run: the whole configuration, how long it takes here, and whether it fits."""
        self._estimate_timer.stop()
        self._estimate.setText(self.tr("Training a few steps to measure…"))

        def done(code: int, records: list[dict[str, Any]], complaint: str) -> None:
            result = records[-1] if records else {}
            if "config" not in result:
                self._estimate.setText(_complaint(records, complaint))
                return
            self.config_text.setPlainText(str(result["config"]))
            text = self.tr("About {time} on {device}, {memory} GB of memory.").format(
                time=duration(float(result.get("seconds", 0))),
                device=result.get("device", ""),
                memory=decimal(float(result.get("memory_mb", 0)) / 1024, 1),
            )
            when = clock(float(result.get("seconds", 0)))
            text += " " + self.tr("Begun now, it is finished {when}.").format(when=when)
            if result.get("fits") is False:
                text += " " + self.tr("It will not fit: choose fewer pictures a step or smaller crops.")
            self._estimate.setText(text)

        self._run("estimate", [*self.command(), "--dry-run"], done)

    def command(self) -> list[str]:
        """The words of the command line that this wizard has put together."""
        tree = self._preset_tree()
        words = ["train", self.preset()]
        for folder in self.picture_folders():
            words += ["--data", folder]
        values: list[tuple[str, object]] = [
            ("name", self.name_edit.text().strip() or self.preset()),
            ("data.batch", self.batch_number.value()),
            ("data.crop", self.crop_number.value()),
        ]
        if self.recipe_box.currentData():
            values.append(("data.recipe", self.recipe(self._root / RECIPES)))
        start = self._start_model() if self.purposes.checkedId() == ADAPT else None
        if start is not None:
            values += [("model.start", start.path), ("stages.0.optimizer.learning_rate", ADAPT_RATE)]
        values += [
            (f"stages.{n}.iterations", self.iterations_number.value()) for n in range(len(tree.get("stages", [{}])))
        ]
        if self.weights_edit.text().strip():
            values += [(f"{place}.weights_file", self.weights_edit.text()) for place in self._perceptual_places(tree)]
        for key, value in values:
            words += ["--set", f"{key}={training.format_value(value)}"]
        return words

    def start(self) -> None:
        folder = free_folder(self._root, self.name_edit.text().strip() or self.preset())
        try:
            command = self.command()
        except OSError as error:
            self.banner.tell(self.tr("The recipe could not be written: {reason}").format(reason=error), "bad")
            return
        self._estimate_timer.stop()
        self._end("estimate")
        self.next_button.setEnabled(False)
        self.banner.tell(self.tr("Starting the training…"))

        def done(code: int, records: list[dict[str, Any]], complaint: str) -> None:
            self.next_button.setEnabled(True)
            if code == 0 or is_alive(folder):
                self.banner.hide()
                self._show_step(0)
                self.started.emit(str(folder))
            else:
                self.banner.tell(_complaint(records, complaint), "bad")

        self._run("start", [*command, "--run", str(folder), "--detach"], done)

    def _preset_tree(self) -> dict[str, Any]:
        return dict(_read_preset(training.presets_folder() / f"{self.preset()}.toml"))

    def _perceptual_places(self, tree: dict[str, Any]) -> list[str]:
        return [
            f"stages.{n}.losses.{m}"
            for n, stage in enumerate(tree.get("stages", []))
            for m, loss in enumerate(stage.get("losses", []))
            if loss.get("kind") == "perceptual"
        ]

    def _run(self, task: str, words: list[str], done: Callable[[int, list[dict[str, Any]], str], None]) -> None:
        """One command a task: a newer one ends the older, whose answer nobody waits for any more."""
        self._end(task)

        def finished(code: int, output: bytes, complaint: str) -> None:
            if self._running.get(task) is process:
                del self._running[task]
                done(code, _records(output), complaint)

        seconds = START_SECONDS if task in ("start", "estimate") else SECONDS
        process = run_command([*words, "--json"], finished, self, self._program, seconds)
        self._running[task] = process

    def _end(self, task: str) -> None:
        older = self._running.pop(task, None)
        if older is not None:
            older.kill()


def free_folder(root: Path, name: str) -> Path:
    """A folder for a training of this name that is not there yet."""
    stem = re.sub(r"[^\w.-]+", "-", name).strip(".-") or "training"
    number, folder = 1, root / stem
    while folder.exists():
        number += 1
        folder = root / f"{stem}-{number}"
    return folder


def presets() -> list[tuple[str, str]]:
    """Name and description of every configuration that comes with Pellucid."""
    found = sorted(training.presets_folder().glob("*.toml"))
    return [(path.stem, str(_read_preset(path).get("description", ""))) for path in found]


class Finding(msgspec.Struct, frozen=True):
    """All files of one folder with the same trouble."""

    kind: str
    advice: str
    paths: tuple[str, ...]
    lines: tuple[str, ...]
    """What is wrong with each."""


def gather(records: list[dict[str, Any]]) -> list[Finding]:
    """What the dataset doctor found, by kind."""
    kinds: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        if "kind" in record:
            kinds.setdefault(str(record["kind"]), []).append(record)
    return [
        Finding(
            kind,
            str(found[0].get("advice", "")),
            tuple(str(record.get("path", "")) for record in found),
            tuple(f"{record.get('path', '')}: {record.get('text', '')}" for record in found),
        )
        for kind, found in kinds.items()
    ]


def _read_preset(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (OSError, tomllib.TOMLDecodeError):
        return {}


def _some_pictures(folders: list[str]) -> list[str]:
    """The first few pictures of the folders, without walking all of them."""
    found: list[str] = []
    for folder in folders:
        for some in pictures_below(folder):
            found += some
            if len(found) >= SHEET_SOURCES:
                return found[:SHEET_SOURCES]
    return found


def _records(output: bytes) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    for line in output.splitlines():
        try:
            record = msgspec.json.decode(line)
        except msgspec.DecodeError:
            continue
        if isinstance(record, dict):
            made.append(record)
    return made


def _complaint(records: list[dict[str, Any]], complaint: str) -> str:
    """The sentence of a command that failed, else its last words."""
    failed = next((record for record in reversed(records) if "message" in record), None)
    if failed is not None:
        return f"{failed['message']} {failed.get('hint', '')}".strip()
    return complaint.splitlines()[-1] if complaint else ""


def _timer(parent: QWidget, milliseconds: int, call: Callable[[], None]) -> QTimer:
    timer = QTimer(parent)
    timer.setSingleShot(True)
    timer.setInterval(milliseconds)
    timer.timeout.connect(call)
    return timer


def _scrolled(inside: QWidget) -> QScrollArea:
    scroll = QScrollArea()
    scroll.setWidgetResizable(True)
    scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    scroll.setWidget(inside)
    return scroll

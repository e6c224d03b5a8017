"""Trainings: curves, previews over time, what happened, and what can be done about it."""

from __future__ import annotations

import time
from pathlib import Path

from PySide6.QtCore import QEvent, QIODevice, QRectF, QSaveFile, Qt, QTimer, QUrl, Signal
from PySide6.QtGui import QDesktopServices, QPainter, QPixmap, QResizeEvent
from PySide6.QtWidgets import (
    QBoxLayout,
    QComboBox,
    QFileDialog,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QListView,
    QListWidget,
    QListWidgetItem,
    QMenu,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from engine import wire_training as training
from engine.errors import PellucidError
from gui.commands import START_SECONDS, failure_sentence, run_command
from gui.models.runs_model import RunRow, RunsModel
from gui.pages.train import free_folder
from gui.run_tail import RunTail, TailReader, is_alive, run_folders, send_command
from gui.run_watch import RunWatch
from gui.sentences import about, decimal, duration, pictures, whole
from gui.settings import write_whole
from gui.state.run import METRICS_OF, Run, Sentence
from gui.theme import SPACE, colour, sized
from gui.vivid import pair_of, vivid_config
from gui.widgets.alpha_slider import AlphaSlider
from gui.widgets.banner import Banner
from gui.widgets.check_box import CheckBox
from gui.widgets.elided_label import ElidedLabel
from gui.widgets.loss_plot import Curve, LossPlot
from gui.widgets.run_list import RunDelegate
from gui.widgets.view_tools import tool_button
from gui.widgets.vivid_dialog import VividDialog

LOOK_MS = 2000
"""How often the folder of runs is looked at while the page is shown."""
REDRAW_MS = 100
SIDE_WIDTHS = (200, 260)
"""Least and most, of the list."""
RUN_WIDTH = 670
"""What a training needs before the list gets more than its least."""
NAME_WIDTH = 160
"""Below that the buttons beside the name go below it."""
TONE = int(Qt.ItemDataRole.UserRole)
CAPTION = 20
"""Pixels above a preview for the names of its panels."""
CONFIGS = "configs"
"""Folder of configurations made here, beside the trainings."""


class RunsPage(QWidget):
    model_imported = Signal(str)
    """A model of a run went into the library, under this name."""
    new_wanted = Signal()
    training_ended = Signal(str, str)
    """Folder and state of a training that ended just now, whether this page is shown or not."""

    def __init__(self, root: Path, parent: QWidget | None = None, program: list[str] | None = None) -> None:
        super().__init__(parent)
        self._root = root
        self._program = program
        self._tails: dict[str, RunTail] = {}
        self._current: RunTail | None = None
        self._pair_key: object = None
        self._pair: tuple[Path, Path] | None = None
        """Of the run and the models `_pair_key` names: found out anew only when these change."""
        self._reader = TailReader(self)
        self._watch = RunWatch(root, self)
        self._watch.ended.connect(self.training_ended)
        self.model = RunsModel(self)
        self._look_timer = QTimer(self)
        self._look_timer.setInterval(LOOK_MS)
        self._look_timer.timeout.connect(self.look)
        self._redraw = QTimer(self)
        self._redraw.setSingleShot(True)
        self._redraw.setInterval(REDRAW_MS)
        self._redraw.timeout.connect(self._show_run)
        self._build()

    # Building

    def _build(self) -> None:
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        self._side = side = QFrame()
        side.setObjectName("list")
        column = QVBoxLayout(side)
        column.setContentsMargins(0, SPACE, 0, SPACE)
        title = QLabel(self.tr("Trainings"))
        title.setFont(sized(self.font(), 1.1, strong=True))
        title.setContentsMargins(2 * SPACE, SPACE // 2, 0, SPACE // 2)
        column.addWidget(title)
        self.list = QListView()
        self.list.setAccessibleName(self.tr("Trainings"))
        self.list.setModel(self.model)
        self.list.setItemDelegate(RunDelegate(self.list))
        self.list.setMouseTracking(True)
        self.list.selectionModel().currentChanged.connect(self._select)
        column.addWidget(self.list, 1)
        foot = QVBoxLayout()
        foot.setContentsMargins(2 * SPACE, 0, 2 * SPACE, SPACE)
        self.new_button = QPushButton(self.tr("&New training…"))
        self.new_button.clicked.connect(self.new_wanted)
        self.open_button = QPushButton(self.tr("&Other folder…"))
        self.open_button.setToolTip(self.tr("Show the trainings of another folder"))
        self.open_button.clicked.connect(self._choose_root)
        foot.addWidget(self.new_button)
        foot.addWidget(self.open_button)
        column.addLayout(foot)
        row.addWidget(side)
        self.stack = QStackedWidget()
        empty = QLabel(self.tr("No trainings yet.\nA training keeps running when this window is closed."))
        empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        empty.setProperty("tone", "muted")
        self.stack.addWidget(empty)
        self.stack.addWidget(self._build_run())
        row.addWidget(self.stack, 1)

    def _build_run(self) -> QWidget:
        inside = QWidget()
        column = QVBoxLayout(inside)
        column.setContentsMargins(3 * SPACE, 2 * SPACE, 3 * SPACE, 2 * SPACE)
        column.setSpacing(SPACE + 4)
        self.banner = Banner()
        column.addWidget(self.banner)
        self._head = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        names = QVBoxLayout()
        names.setSpacing(2)
        self._name = ElidedLabel()
        self._name.setFont(sized(self.font(), 1.5, strong=True))
        self._name.setTextFormat(Qt.TextFormat.PlainText)
        self._state = ElidedLabel()
        self._state.setProperty("tone", "muted")
        names.addWidget(self._name)
        names.addWidget(self._state)
        self._head.addLayout(names, 1)
        self.pause_button = QPushButton(self.tr("&Pause"))
        self.pause_button.clicked.connect(self._pause)
        self.stop_button = QPushButton(self.tr("&Stop"))
        self.stop_button.setToolTip(self.tr("Save, then end; it can be continued later"))
        self.stop_button.clicked.connect(lambda: self._send(training.StopRun()))
        self.save_button = QPushButton(self.tr("Sa&ve now"))
        self.save_button.clicked.connect(lambda: self._send(training.SaveNow()))
        self.use_button = QPushButton(self.tr("&Use this model"))
        self.use_button.setProperty("tone", "primary")
        self.use_button.clicked.connect(self._use)
        self.more_button = QPushButton(self.tr("&More"))
        self.more_button.setAccessibleName(self.tr("More that can be done with this training"))
        menu = QMenu(self.more_button)
        self.gan_action = menu.addAction(self.tr("Continue as GAN…"), self._ask_vivid)
        self.gan_action.setToolTip(self.tr("Train a vivid partner that starts from this model"))
        self.blend_action = menu.addAction(self.tr("Blend the pair"), self.blend)
        self.blend_action.setToolTip(self.tr("Put both models into the library and slide between them"))
        self.folder_action = menu.addAction(self.tr("Show the folder"), self._show_folder)
        menu.setToolTipsVisible(True)
        self.more_button.setMenu(menu)
        self._actions = QHBoxLayout()
        self._actions.setSpacing(SPACE)
        for button in (self.pause_button, self.stop_button, self.save_button, self.more_button, self.use_button):
            self._actions.addWidget(button)
        self._head.addLayout(self._actions)
        self._head.setAlignment(self._actions, Qt.AlignmentFlag.AlignLeft)
        column.addLayout(self._head)
        column.addLayout(self._build_tiles())
        column.addWidget(self._build_plot(), 3)
        lower = QHBoxLayout()
        lower.setSpacing(SPACE + 4)
        lower.addWidget(self._build_previews(), 3)
        lower.addWidget(self._build_sentences(), 2)
        column.addLayout(lower, 2)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        scroll.setWidget(inside)
        return scroll

    def _build_tiles(self) -> QGridLayout:
        grid = QGridLayout()
        grid.setSpacing(SPACE + 4)
        self._tiles: dict[str, QLabel] = {}
        entries = [
            ("progress", self.tr("Iteration")), ("left", self.tr("Time left")), ("speed", self.tr("Speed")),
            ("quality", self.tr("Validation")), ("memory", self.tr("Memory")),
        ]  # fmt: skip
        for number, (name, text) in enumerate(entries):
            card = QFrame()
            card.setObjectName("card")
            inner = QVBoxLayout(card)
            inner.setContentsMargins(SPACE + 4, SPACE + 2, SPACE + 4, SPACE + 2)
            inner.setSpacing(2)
            label = QLabel(text)
            label.setProperty("tone", "muted")
            label.setFont(sized(self.font(), 0.9))
            value = QLabel("–")
            value.setFont(sized(self.font(), 1.25, strong=True))
            inner.addWidget(label)
            inner.addWidget(value)
            self._tiles[name] = value
            grid.addWidget(card, 0, number)
            grid.setColumnStretch(number, 1)
        return grid

    def _build_plot(self) -> QFrame:
        card = QFrame()
        card.setObjectName("card")
        column = QVBoxLayout(card)
        column.setContentsMargins(SPACE, SPACE, SPACE, SPACE)
        row = QHBoxLayout()
        self.curve_box = QComboBox()
        self.curve_box.setAccessibleName(self.tr("Which curves"))
        self.curve_box.setMinimumWidth(120)
        self.curve_box.currentIndexChanged.connect(self._show_curves)
        self.log_box = CheckBox(self.tr("&Logarithmic"))
        self.smooth_slider = AlphaSlider()
        self.smooth_slider.setRange(0, 99)
        self.smooth_slider.setValue(90)
        self.smooth_slider.setMaximumWidth(120)
        self.smooth_slider.setAccessibleName(self.tr("Smoothing, percent"))
        self.overlay_box = CheckBox(self.tr("With &all trainings"))
        self.overlay_box.setToolTip(self.tr("Draw the same curve of every training in the list"))
        self.overlay_box.toggled.connect(self._overlay)
        self.export_button = tool_button("drop", self.tr("Export the curves…"))
        self.export_button.clicked.connect(self._export)
        self.plot = LossPlot()
        self.log_box.toggled.connect(self.plot.set_log)
        self.smooth_slider.valueChanged.connect(lambda value: self.plot.set_smoothing(value / 100))
        smooth = QLabel(self.tr("Smoothing"))
        smooth.setProperty("tone", "muted")
        row.addWidget(self.curve_box)
        row.addWidget(self.log_box)
        row.addWidget(self.overlay_box)
        row.addStretch(1)
        row.addWidget(smooth)
        row.addWidget(self.smooth_slider)
        row.addWidget(self.export_button)
        column.addLayout(row)
        column.addWidget(self.plot, 1)
        return card

    def _build_previews(self) -> QFrame:
        card = QFrame()
        card.setObjectName("card")
        column = QVBoxLayout(card)
        column.setContentsMargins(SPACE + 4, SPACE, SPACE + 4, SPACE)
        row = QHBoxLayout()
        self.picture_box = QComboBox()
        self.picture_box.setAccessibleName(self.tr("Preview picture"))
        self.picture_box.setMinimumWidth(140)
        self.picture_box.currentIndexChanged.connect(self._show_preview)
        self.time_slider = AlphaSlider()
        self.time_slider.setRange(0, 0)
        self.time_slider.setSingleStep(1)
        self.time_slider.setAccessibleName(self.tr("Preview over time"))
        self.time_slider.valueChanged.connect(self._show_preview)
        self._preview_text = QLabel()
        self._preview_text.setProperty("tone", "muted")
        row.addWidget(self.picture_box)
        row.addWidget(self.time_slider, 1)
        row.addWidget(self._preview_text)
        column.addLayout(row)
        self._preview = QLabel(self.tr("No previews yet"))
        self._preview.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._preview.setProperty("tone", "muted")
        self._preview.setMinimumHeight(120)
        self._preview.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Expanding)
        self._preview.installEventFilter(self)
        column.addWidget(self._preview, 1)
        return card

    def _build_sentences(self) -> QFrame:
        card = QFrame()
        card.setObjectName("card")
        column = QVBoxLayout(card)
        column.setContentsMargins(SPACE, SPACE, SPACE, SPACE)
        self.sentences = QListWidget()
        self.sentences.setAccessibleName(self.tr("What happened"))
        self.sentences.setWordWrap(True)
        self.sentences.setSelectionMode(QListWidget.SelectionMode.NoSelection)
        self._said = 0
        column.addWidget(self.sentences)
        return card

    def resizeEvent(self, event: QResizeEvent) -> None:
        least, most = SIDE_WIDTHS
        self._side.setFixedWidth(max(least, min(most, event.size().width() - RUN_WIDTH)))
        self._arrange()

    def changeEvent(self, event: QEvent) -> None:
        """What is coloured by hand goes with the theme."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            for row in range(self.sentences.count()):
                self._tint(self.sentences.item(row))
            self._show_preview()

    def _arrange(self) -> None:
        """Where there is little room, the buttons stand below the name."""
        room = self.width() - self._side.width() - 6 * SPACE
        beside = self._actions.sizeHint().width() + NAME_WIDTH <= room
        direction = QBoxLayout.Direction.LeftToRight if beside else QBoxLayout.Direction.TopToBottom
        if self._head.direction() != direction:
            self._head.setDirection(direction)

    # Following

    def showEvent(self, event: object) -> None:
        self.look()
        self._look_timer.start()
        self._reader.follow()

    def hideEvent(self, event: object) -> None:
        self._look_timer.stop()
        self._reader.rest()

    def watch(self) -> None:
        """From now on the ends of trainings are told."""
        self._watch.start()

    def set_root(self, root: Path) -> None:
        for path in list(self._tails):
            self._forget(path)
        self._current, self._root, self._watch.root = None, root, root
        self.look()

    def choose(self, folder: Path) -> None:
        """Show this run."""
        self.look()
        row = self.model.row_of(str(folder))
        if row >= 0:
            self.list.setCurrentIndex(self.model.index(row))

    def look(self) -> None:
        """Which runs there are now; every one is followed, so that its line is true."""
        folders = run_folders(self._root)
        for folder in folders:
            if str(folder) not in self._tails:
                tail = RunTail(folder, self)
                tail.changed.connect(lambda _run, tail=tail: self._changed(tail))
                self._tails[str(folder)] = tail
                self._reader.add(tail)
        for path in self._tails.keys() - {str(folder) for folder in folders}:
            self._forget(path)
        self._tails = {str(folder): self._tails[str(folder)] for folder in folders}
        self._show_list()
        if self._current is None and folders:
            self.list.setCurrentIndex(self.model.index(0))
        self.stack.setCurrentIndex(1 if folders else 0)

    def _forget(self, path: str) -> None:
        tail = self._tails.pop(path)
        self._reader.remove(tail)
        if tail is self._current:
            self._current = None
        tail.deleteLater()

    def _changed(self, tail: RunTail) -> None:
        self._show_list()
        if (tail is self._current or self.overlay_box.isChecked()) and not self._redraw.isActive():
            self._redraw.start()

    def _show_list(self) -> None:
        self.model.show([self._row(path, tail) for path, tail in self._tails.items()])

    def _row(self, path: str, tail: RunTail) -> RunRow:
        run, status = tail.run, tail.status
        fraction = run.iteration / run.iterations if run.iterations else 0.0
        tones = {"running": "accent", "finished": "good", "failed": "bad", "crashed": "bad"}
        return RunRow(path, tail.folder.name, self._status_line(run, status), tones.get(status, "muted"), fraction)

    def _status_line(self, run: Run, status: str) -> str:
        words = {
            "new": self.tr("Not started"),
            "running": self.tr("Running"),
            "paused": self.tr("Paused"),
            "finished": self.tr("Finished"),
            "stopped": self.tr("Stopped"),
            "failed": self.tr("Failed"),
            "crashed": self.tr("Ended without a word"),
        }
        parts = [words[status]]
        if status == "running" and run.seconds_left is not None:
            parts.append(self.tr("{time} left").format(time=duration(run.seconds_left)))
        elif run.iterations and status != "finished":
            parts.append(f"{run.iteration} / {run.iterations}")
        return " · ".join(parts)

    def _select(self) -> None:
        row = self.model.row(self.list.currentIndex())
        tail = self._tails.get(row.path) if row else None
        if tail is self._current:
            return
        self._current = tail
        self._said = 0
        self.sentences.clear()
        self.picture_box.clear()
        self.plot.show_all()
        self._show_run()

    def _show_run(self) -> None:
        tail = self._current
        if tail is None:
            return
        run, status = tail.run, tail.status
        self._name.setText(tail.folder.name)
        self._name.setToolTip(tail.folder.name)
        facts = [self._status_line(run, status), run.stage, f"{run.device} {run.precision}".strip()]
        if run.parameters:
            facts.append(self.tr("{n} parameters").format(n=whole(run.parameters)))
        if run.pictures:
            facts.append(pictures(run.pictures))
        self._state.setText(" · ".join(fact for fact in facts if fact))
        self._state.setToolTip(self._state.text())
        self._show_tiles(run)
        live = status in ("running", "paused")
        self.pause_button.setVisible(live or status in ("stopped", "crashed", "failed"))
        labels = {"running": self.tr("&Pause"), "paused": self.tr("&Go on")}
        self.pause_button.setText(labels.get(status, self.tr("&Continue")))
        self.stop_button.setVisible(live)
        self.save_button.setVisible(live)
        self.use_button.setEnabled(bool(run.models))
        self._arrange()
        if self._pair_key != (tail.folder, run.saved):
            self._pair_key, self._pair = (tail.folder, run.saved), pair_of(tail.folder, run.saved)
        pair = self._pair
        self.blend_action.setEnabled(pair is not None)
        self.gan_action.setEnabled(bool(run.models) and not live and pair is None)
        self._show_curve_names(run)
        self._show_curves()
        self._show_pictures(run)
        for sentence in run.sentences[self._said :]:
            self._add_sentence(sentence)
        self._said = len(run.sentences)

    def _show_tiles(self, run: Run) -> None:
        tiles = self._tiles
        tiles["progress"].setText(f"{whole(run.iteration)} / {whole(run.iterations)}" if run.iterations else "–")
        tiles["left"].setText(duration(run.seconds_left) if run.seconds_left is not None else "–")
        tiles["speed"].setText(self.tr("{n} it/s").format(n=about(run.speed, 3)) if run.speed else "–")
        tiles["memory"].setText(f"{decimal(run.memory_mb / 1024, 1)} GB" if run.memory_mb else "–")
        psnr, base = run.metrics.get("psnr"), run.baseline.get("psnr")
        text = f"{decimal(psnr, 2)} dB" if psnr is not None else "–"
        if psnr is not None and base is not None:
            text += f" ({'+' if psnr >= base else '−'}{decimal(abs(psnr - base), 2)})"
            tiles["quality"].setToolTip(self.tr("In brackets: against plain enlargement"))
        tiles["quality"].setText(text)

    def _show_curve_names(self, run: Run) -> None:
        losses = [name for name in run.curves if name not in (*METRICS_OF, *self._own_axis())]
        names = [name for name in (*METRICS_OF, *self._own_axis()) if name in run.curves]
        wanted = (["losses"] if losses else []) + names
        if wanted != [self.curve_box.itemData(row) for row in range(self.curve_box.count())]:
            chosen = self.curve_box.currentData()
            self.curve_box.blockSignals(True)
            self.curve_box.clear()
            shown = {"losses": self.tr("Losses"), "learning rate": self.tr("Learning rate"),
                     "iterations per second": self.tr("Iterations per second"), "memory MB": self.tr("Memory (MB)"),
                     "psnr": "PSNR (dB)", "ssim": "SSIM", "st-lpips": "ST-LPIPS"}  # fmt: skip
            for name in wanted:
                self.curve_box.addItem(shown.get(name, name), name)
            self.curve_box.setCurrentIndex(max(0, self.curve_box.findData(chosen)))
            self.curve_box.blockSignals(False)

    def _own_axis(self) -> tuple[str, ...]:
        return ("learning rate", "iterations per second", "memory MB")

    def _show_curves(self) -> None:
        tail, name = self._current, self.curve_box.currentData()
        if tail is None or name is None:
            self.plot.set_curves([])
            return
        if self.overlay_box.isChecked():
            single = "total" if name == "losses" else name
            curves = [
                Curve(other.folder.name, series.x, series.y)
                for other in self._tails.values()
                if (series := other.run.curves.get(single)) is not None
            ]
        elif name == "losses":
            left_out = {*METRICS_OF, *self._own_axis()}
            curves = [Curve(n, s.x, s.y) for n, s in tail.run.curves.items() if n not in left_out]
            if len(curves) == 2:
                curves = [curve for curve in curves if curve.name == "total"] or curves
        else:
            series = tail.run.curves[name]
            curves = [Curve(self.curve_box.currentText(), series.x, series.y)]
        self.plot.set_curves(curves)

    def _overlay(self) -> None:
        self._show_curves()

    def _show_pictures(self, run: Run) -> None:
        names = list(run.previews)
        if names != [self.picture_box.itemText(row) for row in range(self.picture_box.count())]:
            chosen = self.picture_box.currentText()
            self.picture_box.blockSignals(True)
            self.picture_box.clear()
            self.picture_box.addItems(names)
            self.picture_box.setCurrentIndex(max(0, self.picture_box.findText(chosen)))
            self.picture_box.blockSignals(False)
        at_end = self.time_slider.value() == self.time_slider.maximum()
        last = len(run.previews.get(self.picture_box.currentText(), ())) - 1
        self.time_slider.blockSignals(True)
        self.time_slider.setRange(0, max(0, last))
        if at_end:
            self.time_slider.setValue(max(0, last))
        self.time_slider.blockSignals(False)
        self.time_slider.setEnabled(last > 0)
        self._show_preview()

    def _show_preview(self) -> None:
        tail = self._current
        previews = tail.run.previews.get(self.picture_box.currentText(), ()) if tail else ()
        if tail is None or not previews:
            self._preview.setText(self.tr("No previews yet"))
            self._preview_text.setText("")
            return
        preview = previews[min(self.time_slider.value(), len(previews) - 1)]
        pixmap = QPixmap(str(tail.folder / preview.path))
        if pixmap.isNull():
            self._preview.setText(self.tr("The preview cannot be read."))
            return
        ratio = self.devicePixelRatioF()
        room = self._preview.size() * ratio
        room.setHeight(round(room.height() - CAPTION * ratio))
        shown = pixmap.scaled(room, Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation)
        self._preview.setPixmap(self._captioned(shown, preview.panels, ratio))
        self._preview_text.setText(whole(preview.iteration))

    def eventFilter(self, watched: object, event: object) -> bool:
        """The preview follows the room it has; it does not ask for more."""
        if watched is self._preview and isinstance(event, QResizeEvent):
            self._show_preview()
        return False

    def _captioned(self, strip: QPixmap, panels: tuple[str, ...], ratio: float) -> QPixmap:
        """`strip`, in device pixels, with the name of each of its equal panels above it."""
        words = {"damaged": self.tr("damaged"), "bicubic": self.tr("plainly enlarged"),
                 "output": self.tr("restored"), "target": self.tr("true")}  # fmt: skip
        made = QPixmap(strip.width(), strip.height() + round(CAPTION * ratio))
        made.fill(Qt.GlobalColor.transparent)
        painter = QPainter(made)
        painter.drawPixmap(0, round(CAPTION * ratio), strip)
        painter.scale(ratio, ratio)
        painter.setFont(sized(self.font(), 0.9))
        painter.setPen(colour(self.palette(), "muted"))
        width = strip.width() / ratio / max(1, len(panels))
        for number, name in enumerate(panels):
            place = QRectF(number * width, 0, width, CAPTION - 4)
            painter.drawText(place, Qt.AlignmentFlag.AlignCenter, words.get(name, name))
        painter.end()
        made.setDevicePixelRatio(ratio)
        return made

    def _add_sentence(self, sentence: Sentence) -> None:
        when = time.strftime("%H:%M", time.localtime(sentence.time))
        item = QListWidgetItem(f"{when}  {self._words(sentence)}")
        item.setData(TONE, "text" if sentence.tone == "muted" else sentence.tone)
        self._tint(item)
        self.sentences.insertItem(0, item)

    def _tint(self, item: QListWidgetItem) -> None:
        item.setForeground(colour(self.palette(), item.data(TONE)))

    def _words(self, sentence: Sentence) -> str:
        first, second = (*sentence.facts, "", "")[:2]
        match sentence.kind:
            case "started":
                return self.tr("Started on {device}.").format(device=second)
            case "resumed":
                return self.tr("Went on at iteration {n} on {device}.").format(n=first, device=second)
            case "stage":
                return self.tr("Stage {name} begins.").format(name=first)
            case "nonfinite":
                return self.tr("Iteration {n} was left out: its loss was no number ({row} in a row).").format(
                    n=first, row=second
                )
            case "rolled-back":
                return self.tr("Went back to iteration {n}: {reason}").format(n=first, reason=second)
            case "paused":
                return self.tr("Paused at iteration {n}.").format(n=first)
            case "continued":
                return self.tr("Goes on at iteration {n}.").format(n=first)
            case "finished":
                if first == "1":
                    return self.tr("Finished after 1 iteration.")
                return self.tr("Finished after {n} iterations.").format(n=first)
            case "stopped":
                return self.tr("Stopped at iteration {n}: {reason}").format(n=first, reason=second)
            case "crashed":
                return self.tr("Crashed: {reason}").format(reason=first)
            case _:
                return first

    # Doing

    def _pause(self) -> None:
        tail = self._current
        if tail is None:
            return
        if tail.status == "running":
            self._send(training.PauseRun())
        elif tail.status == "paused":
            self._send(training.ContinueRun())
        elif not is_alive(tail.folder):
            self.banner.tell(self.tr("The training goes on from its last checkpoint…"))
            self.pause_button.setEnabled(False)
            words = ["train", "--resume", str(tail.folder), "--detach", "--json"]
            run_command(words, self._resumed, self, self._program, START_SECONDS)

    def _resumed(self, code: int, output: bytes, complaint: str) -> None:
        self.pause_button.setEnabled(True)
        if code == 0:
            self.banner.hide()
        else:
            why = failure_sentence(output) or complaint
            self.banner.tell(self.tr("The training could not be continued."), "bad", why)

    def _send(self, command: training.Command) -> None:
        tail = self._current
        if tail is None:
            return
        try:
            send_command(tail.folder, command)
        except OSError as error:
            self.banner.tell(self.tr("The training cannot be told: {reason}").format(reason=error), "bad")

    def _use(self) -> None:
        """Copy the newest model of the run into the library."""
        tail = self._current
        if tail is None or not tail.run.models:
            return
        path = self._best_model(tail)
        name = tail.folder.name

        def done(code: int, output: bytes, complaint: str) -> None:
            if code == 0:
                self.model_imported.emit(name)
            else:
                self.banner.tell(self.tr("The model was not imported."), "bad", failure_sentence(output) or complaint)

        run_command(["models", "import", str(path), "--name", name, "--replace", "--json"], done, self, self._program)

    def _ask_vivid(self) -> None:
        tail = self._current
        if tail is None:
            return
        answer = VividDialog.ask(f"{tail.folder.name}-vivid", self)
        if answer is not None:
            self.continue_as_gan(*answer)

    def continue_as_gan(self, name: str, iterations: int, weights: str) -> None:
        """Start a training that makes the vivid partner of this one's model."""
        tail = self._current
        if tail is None or not tail.run.models:
            return
        folder = free_folder(self._root, name)
        try:
            config = vivid_config(tail.folder, self._best_model(tail), name, iterations, weights)
            text = training.format_config(config)
            path = self._root / CONFIGS / f"{folder.name}.toml"
            write_whole(path, text.encode())
        except (OSError, UnicodeDecodeError, PellucidError) as error:
            self.banner.tell(str(error), "bad")
            return
        self.banner.tell(self.tr("Starting the training…"))

        def done(code: int, output: bytes, complaint: str) -> None:
            if code == 0:
                self.banner.hide()
                self.choose(folder)
            else:
                self.banner.tell(
                    self.tr("The training could not be started."), "bad", failure_sentence(output) or complaint
                )

        words = ["train", str(path), "--run", str(folder), "--detach", "--json"]
        run_command(words, done, self, self._program, START_SECONDS)

    def blend(self) -> None:
        """Put both halves of the pair into the library and go to the slider between them."""
        tail = self._current
        pair = pair_of(tail.folder, tail.run.saved) if tail is not None else None
        if tail is None or pair is None:
            return
        faithful, vivid = pair
        name = tail.folder.name.removesuffix("-vivid")

        def imported(code: int, output: bytes, complaint: str) -> None:
            if code == 0:
                self.model_imported.emit(name)
            else:
                self.banner.tell(self.tr("The model was not imported."), "bad", failure_sentence(output) or complaint)

        def first(code: int, output: bytes, complaint: str) -> None:
            if code:
                imported(code, output, complaint)
            else:
                words = ["models", "import", str(faithful), "--name", name, "--replace", "--json"]
                run_command(words, imported, self, self._program)

        words = ["models", "import", str(vivid), "--name", f"{name}-vivid", "--replace", "--json"]
        run_command(words, first, self, self._program)

    def _best_model(self, tail: RunTail) -> Path:
        best = [path for path in tail.run.models if "best" in Path(path).name]
        return tail.folder / (best or list(tail.run.models))[-1]

    def _show_folder(self) -> None:
        if self._current is not None:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(self._current.folder)))

    def _export(self) -> None:
        path, _filter = QFileDialog.getSaveFileName(
            self, self.tr("Export curves"), "curves.csv", "CSV (*.csv);;PNG (*.png)"
        )
        if path:
            self.export(path)

    def export(self, path: str) -> bool:
        """The curves that are shown: a picture if the name ends in .png, else their points."""
        if path.lower().endswith(".png"):
            good = self.plot.grab().save(path)
        else:
            file = QSaveFile(path)
            good = file.open(QIODevice.OpenModeFlag.WriteOnly | QIODevice.OpenModeFlag.Text)
            good = good and file.write(self.plot.as_csv().encode()) >= 0 and file.commit()
        if not good:
            self.banner.tell(self.tr("{path} could not be written.").format(path=path), "bad")
        return good

    def _choose_root(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, self.tr("Folder of trainings"), str(self._root))
        if folder:
            self.set_root(Path(folder))

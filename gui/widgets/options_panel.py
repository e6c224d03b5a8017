"""Model, blend, strength, size and output: everything that decides how a picture is restored, in one column."""

from __future__ import annotations

from pathlib import PurePath

from msgspec.structs import replace
from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import (
    QComboBox,
    QFileDialog,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from engine.wire import RestoreOptions, Size
from gui.naming import result_name, results_place
from gui.sentences import about, decimal
from gui.settings import RESULTS_FOLDER, Settings
from gui.state import library
from gui.state.library import Model
from gui.theme import SIDE_WIDTH, SPACE, sized
from gui.widgets.alpha_slider import AlphaSlider, Scores
from gui.widgets.check_box import CheckBox
from gui.widgets.model_box import ModelBox
from gui.widgets.model_choice import ModelChoice
from gui.widgets.number_box import NumberBox

FORMATS = ("same", "png", "jpeg", "webp", "tiff", "avif")
LOSSY = ("same", "jpeg", "webp", "avif")
SCALES = (0.0, 1.0, 1.5, 2.0, 3.0, 4.0, 8.0)


class OptionsPanel(QScrollArea):
    options_changed = Signal(object)
    """RestoreOptions"""
    folder_changed = Signal(str)
    """Output folder; empty: beside the source."""
    save_blend_wanted = Signal()
    compare_wanted = Signal()
    """Several blends of the chosen region side by side."""
    models_wanted = Signal(list)
    """Names of models whose results are wanted side by side."""
    restore_all_wanted = Signal()
    """All pictures, those that are done as well, with the options as they are."""

    def __init__(self, settings: Settings, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._options = settings.options
        self._folder = settings.output_folder
        self._models: tuple[Model, ...] = ()
        self._source = ""
        self._place = ("", "")
        self._source_size = (0, 0)
        self.setWidgetResizable(True)
        self.setFixedWidth(SIDE_WIDTH)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        inside = QFrame()
        inside.setObjectName("panel")
        column = QVBoxLayout(inside)
        column.setContentsMargins(2 * SPACE, 2 * SPACE, 2 * SPACE, 2 * SPACE)
        column.setSpacing(SPACE)
        self._build_model(column)
        self._build_blend(column)
        self._build_size(column)
        self._build_output(column)
        column.addStretch(1)
        self.setWidget(inside)
        self._show()

    def _build_model(self, column: QVBoxLayout) -> None:
        column.addWidget(_heading(self.tr("Model")))
        self.model_box = ModelBox()
        self.model_box.currentIndexChanged.connect(self._model_chosen)
        column.addWidget(self.model_box)
        self._model_text = QLabel()
        self._model_text.setWordWrap(True)
        self._model_text.setProperty("tone", "muted")
        self._model_text.setFont(sized(self.font(), 0.92))
        column.addWidget(self._model_text)
        self.models_button = QPushButton(self.tr("Compare models…"))
        self.models_button.setProperty("tone", "link")
        self.models_button.setToolTip(self.tr("Show what several models make of the visible region side by side"))
        self.models_button.clicked.connect(self._compare_models)
        column.addWidget(self.models_button, 0, Qt.AlignmentFlag.AlignLeft)

    def _build_blend(self, column: QVBoxLayout) -> None:
        self._blend = QWidget()
        blend = QVBoxLayout(self._blend)
        blend.setContentsMargins(0, SPACE, 0, 0)
        blend.setSpacing(SPACE // 2)
        blend.addWidget(_heading(self.tr("Faithful or vivid")))
        self.alpha_slider = AlphaSlider()
        self.alpha_slider.valueChanged.connect(self._alpha_moved)
        blend.addWidget(self.alpha_slider)
        ends = QHBoxLayout()
        self._alpha_text = QLabel()
        for label, stretch in ((QLabel(self.tr("Faithful")), 0), (self._alpha_text, 1), (QLabel(self.tr("Vivid")), 0)):
            label.setProperty("tone", "muted")
            label.setAlignment(Qt.AlignmentFlag.AlignCenter)
            ends.addWidget(label, stretch)
        blend.addLayout(ends)
        deeds = QHBoxLayout()
        self.compare_button = QPushButton(self.tr("Compare blends"))
        self.compare_button.setProperty("tone", "link")
        self.compare_button.setToolTip(self.tr("Show five blends of the visible region side by side"))
        self.compare_button.clicked.connect(self.compare_wanted)
        self.save_blend_button = QPushButton(self.tr("Save…"))
        self.save_blend_button.setProperty("tone", "link")
        self.save_blend_button.setToolTip(self.tr("Save this blend as a model of its own"))
        self.save_blend_button.clicked.connect(self.save_blend_wanted)
        self.restore_all_button = QPushButton(self.tr("Restore all with this blend"))
        self.restore_all_button.setProperty("tone", "link")
        self.restore_all_button.setToolTip(
            self.tr("Restore every picture in the list with this blend, also the finished")
        )
        self.restore_all_button.clicked.connect(self.restore_all_wanted)
        deeds.addWidget(self.compare_button)
        deeds.addStretch(1)
        deeds.addWidget(self.save_blend_button)
        blend.addLayout(deeds)
        blend.addWidget(self.restore_all_button, 0, Qt.AlignmentFlag.AlignLeft)
        column.addWidget(self._blend)
        column.addSpacing(SPACE)
        row = QHBoxLayout()
        row.addWidget(_heading(self.tr("Strength")))
        row.addStretch(1)
        self._strength_text = QLabel()
        row.addWidget(self._strength_text)
        column.addLayout(row)
        self.strength_slider = AlphaSlider()
        self.strength_slider.setAccessibleName(self.tr("Strength, percent: less keeps more of the original"))
        self.strength_slider.setToolTip(self.tr("Less keeps more of the original picture, merely enlarged"))
        self.strength_slider.valueChanged.connect(self._strength_moved)
        column.addWidget(self.strength_slider)

    def _build_size(self, column: QVBoxLayout) -> None:
        column.addSpacing(SPACE)
        column.addWidget(_heading(self.tr("Size")))
        self.size_box = QComboBox()
        self.size_box.setAccessibleName(self.tr("Size of the result"))
        for scale in SCALES:
            self.size_box.addItem(self.tr("As the model makes it") if not scale else f"{scale:g} ×", scale)
        self.size_box.addItem(self.tr("Width in pixels"), "width")
        self.size_box.addItem(self.tr("Height in pixels"), "height")
        self.size_box.currentIndexChanged.connect(self._size_chosen)
        self.size_number = NumberBox(16, 200_000)
        self.size_number.setAccessibleName(self.tr("Pixels"))
        self.size_number.valueChanged.connect(self._size_chosen)
        row = QHBoxLayout()
        row.addWidget(self.size_box, 1)
        row.addWidget(self.size_number)
        column.addLayout(row)
        self._size_text = QLabel()
        self._size_text.setProperty("tone", "muted")
        column.addWidget(self._size_text)

    def _build_output(self, column: QVBoxLayout) -> None:
        column.addSpacing(SPACE)
        column.addWidget(_heading(self.tr("Output")))
        self.place_box = QComboBox()
        self.place_box.setAccessibleName(self.tr("Where the results go"))
        self.place_box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.place_box.activated.connect(self._place_chosen)
        column.addWidget(self.place_box)
        self.format_box = QComboBox()
        self.format_box.setAccessibleName(self.tr("Format"))
        names = {"same": self.tr("Format of the original"), "png": "PNG", "jpeg": "JPEG", "webp": "WebP"}
        for name in FORMATS:
            self.format_box.addItem(names.get(name, name.upper()), name)
        self.format_box.currentIndexChanged.connect(
            lambda: self._change(replace(self._options, format=self.format_box.currentData()))
        )
        self.quality_number = NumberBox(1, 100)
        self.quality_number.setSuffix(" %")
        self.quality_number.setToolTip(self.tr("Quality of lossy formats"))
        self.quality_number.setAccessibleName(self.tr("Quality of lossy formats"))
        self.quality_number.valueChanged.connect(lambda value: self._change(replace(self._options, quality=value)))
        row = QHBoxLayout()
        row.addWidget(self.format_box, 1)
        row.addWidget(self.quality_number)
        column.addLayout(row)
        self.name_edit = QLineEdit()
        self.name_edit.setAccessibleName(self.tr("File name"))
        self.name_edit.setToolTip(
            self.tr("Fields: {fields}").format(fields="{name} {model} {scale} {alpha} {width} {height} {date}")
        )
        self.name_edit.editingFinished.connect(self._name_typed)
        self.name_edit.textEdited.connect(lambda text: self._show_name(replace(self._options, name=text)))
        column.addWidget(self.name_edit)
        self._name_text = QLabel()
        self._name_text.setWordWrap(True)
        self._name_text.setProperty("tone", "muted")
        self._name_text.setTextFormat(Qt.TextFormat.PlainText)
        column.addWidget(self._name_text)
        self.existing_box = QComboBox()
        self.existing_box.setAccessibleName(self.tr("When a file of that name exists"))
        self.existing_box.addItem(self.tr("If it exists: add a number"), "number")
        self.existing_box.addItem(self.tr("If it exists: skip the picture"), "skip")
        self.existing_box.addItem(self.tr("If it exists: overwrite it"), "overwrite")
        self.existing_box.currentIndexChanged.connect(
            lambda: self._change(replace(self._options, existing=self.existing_box.currentData()))
        )
        column.addWidget(self.existing_box)
        self.metadata_box = CheckBox(self.tr("Keep &metadata"))
        self.metadata_box.toggled.connect(lambda on: self._change(replace(self._options, keep_metadata=on)))
        self.srgb_box = CheckBox(self.tr("Convert colours to &sRGB"))
        self.srgb_box.toggled.connect(lambda on: self._change(replace(self._options, profile="srgb" if on else "keep")))
        self.tta_box = CheckBox(self.tr("Cleaner, eight times slower"))
        self.tta_box.toggled.connect(lambda on: self._change(replace(self._options, tta=on)))
        self.tileable_box = CheckBox(self.tr("Texture that repeats"))
        self.tileable_box.toggled.connect(lambda on: self._change(replace(self._options, tileable=on)))
        column.addWidget(self.metadata_box)
        self.more_button = QPushButton()
        self.more_button.setProperty("tone", "link")
        self.more_button.setCheckable(True)
        self.more_button.toggled.connect(self._show_more)
        self._more = (self.srgb_box, self.tta_box, self.tileable_box)
        column.addWidget(self.more_button, 0, Qt.AlignmentFlag.AlignLeft)
        for box in self._more:
            column.addWidget(box)
        chosen = self._options
        self.more_button.setChecked(chosen.profile == "srgb" or chosen.tta or chosen.tileable)
        self._show_more(self.more_button.isChecked())

    @property
    def options(self) -> RestoreOptions:
        return self._options

    @property
    def model(self) -> Model | None:
        return library.find(self._models, self._options.model) or library.default(self._models)

    def scale(self) -> float:
        """How much larger the result is on both sides, as far as it is known."""
        size, model = self._options.size, self.model
        own = float(model.scale if model else 4)
        width, height = self._source_size
        if size.scale:
            return size.scale
        if size.width and width:
            return size.width / width
        if size.height and height:
            return size.height / height
        return own

    def take(self, options: RestoreOptions) -> None:
        """Chosen elsewhere."""
        self._change(options)

    def set_models(self, models: tuple[Model, ...]) -> None:
        """A chosen model that is gone makes place for the best there is; a pair that lost its half is none."""
        self._models = models
        options, first = self._options, library.default(models)
        gone = bool(options.model) and library.find(models, options.model) is None
        halved = bool(options.partner) and library.find(models, options.partner) is None
        if first is not None and (gone or halved):
            self._change(self._with_model(first if gone else library.find(models, options.model)))
        self._show()

    def _with_model(self, model: Model | None) -> RestoreOptions:
        partner = library.partner_of(self._models, model) if model else None
        return replace(
            self._options,
            model=model.name if model else "",
            partner=partner.name if partner else "",
            alpha=(self._options.alpha or 0.0) if partner else None,
        )

    def set_source(self, source: str, place: tuple[str, str], width: int, height: int) -> None:
        """The picture that is looked at, and where it counts as lying: for the preview of name and size."""
        self._source, self._place, self._source_size = source, place, (width, height)
        self._show_name(self._options)
        self._show_size()

    def set_alpha(self, alpha: float) -> None:
        self.alpha_slider.setValue(round(alpha * 100))

    def _change(self, options: RestoreOptions) -> None:
        if options != self._options:
            self._options = options
            self._show()
            self.options_changed.emit(options)

    def _show(self) -> None:
        """All controls as the options say, without an echo."""
        options = self._options
        controls = (self.model_box, self.alpha_slider, self.strength_slider, self.size_box, self.size_number,
                    self.format_box, self.quality_number, self.existing_box, self.metadata_box, self.srgb_box,
                    self.tta_box, self.tileable_box)  # fmt: skip
        blockers = [QSignalBlocker(control) for control in controls]
        self._show_models()
        model = self.model
        partner = library.partner_of(self._models, model) if model else None
        self._blend.setVisible(partner is not None or bool(options.partner))
        alpha = options.alpha or 0.0
        self.alpha_slider.setValue(round(alpha * 100))
        self._alpha_text.setText(decimal(alpha, 2))
        if model is not None:
            self.alpha_slider.set_curves(
                [Scores(m.upper(), tuple(library.scores_along(self._models, model, m))) for m in ("psnr", "st-lpips")]
            )
        self.strength_slider.setValue(round(options.strength * 100))
        self._strength_text.setText(f"{options.strength:.0%}")
        size = options.size
        kind: object = "width" if size.width else "height" if size.height else size.scale or 0.0
        self.size_box.setCurrentIndex(max(0, self.size_box.findData(kind)))
        self.size_number.setVisible(isinstance(kind, str))
        self.size_number.setValue(size.width or size.height or 3840)
        self.format_box.setCurrentIndex(max(0, self.format_box.findData(options.format)))
        self.quality_number.setValue(options.quality)
        self.quality_number.setVisible(options.format in LOSSY)
        if not self.name_edit.hasFocus():
            self.name_edit.setText(options.name)
        self.existing_box.setCurrentIndex(max(0, self.existing_box.findData(options.existing)))
        self.metadata_box.setChecked(options.keep_metadata)
        self.srgb_box.setChecked(options.profile == "srgb")
        self.tta_box.setChecked(options.tta)
        self.tileable_box.setChecked(options.tileable)
        self._show_place()
        del blockers
        self._show_name(options)
        self._show_size()

    def _show_models(self) -> None:
        shown = [model for model in self._models if model.role != "gan" or not _is_partner(model, self._models)]
        wanted = [model.name for model in shown]
        if [self.model_box.itemData(i) for i in range(self.model_box.count())] != (wanted or [""]):
            self.model_box.clear()
            for model in shown:
                self.model_box.add(model)
            if not shown:
                self.model_box.addItem(self.tr("Automatic"), "")
        current = self.model
        if current is not None:
            self.model_box.setCurrentIndex(max(0, self.model_box.findData(current.name)))
            licence = self.tr("Licence: {x}").format(x=current.licence) if current.licence else ""
            facts = [current.description, _facts(current), licence]
            self._model_text.setText("\n".join(fact for fact in facts if fact))
        else:
            self._model_text.setText(self.tr("The best model for this computer."))
        self.models_button.setVisible(len([model for model in self._models if not model.problem]) > 1)

    def _show_name(self, options: RestoreOptions) -> None:
        model, scale = self.model, self.scale()
        width, height = (round(side * scale) for side in self._source_size)
        name = result_name(options, self._source or "photo.jpg", model.name if model else "model", scale, width, height)
        folder, _root = results_place(self._folder, self._place[0] or self._source, self._place[1])
        where = f"{PurePath(folder).name}/" if folder and self._folder else ""
        self._name_text.setText(f"→ {where}{name}")
        self._name_text.setToolTip(str(PurePath(folder) / name) if folder else "")

    def _show_size(self) -> None:
        width, height = self._source_size
        scale = self.scale()
        if width:
            out_width, out_height = round(width * scale), round(height * scale)
            self._size_text.setText(f"{width} × {height}  →  {out_width} × {out_height}")
        self._size_text.setVisible(bool(width))

    def _model_chosen(self) -> None:
        self._change(self._with_model(library.find(self._models, self.model_box.currentData())))

    def _alpha_moved(self, value: int) -> None:
        model = self.model
        partner = library.partner_of(self._models, model) if model else None
        self._change(
            replace(
                self._options,
                alpha=value / 100,
                partner=partner.name if partner else self._options.partner,
            )
        )

    def _strength_moved(self, value: int) -> None:
        self._change(replace(self._options, strength=value / 100))

    def _size_chosen(self) -> None:
        kind, number = self.size_box.currentData(), self.size_number.value()
        if kind == "width":
            self._change(replace(self._options, size=Size(width=number)))
        elif kind == "height":
            self._change(replace(self._options, size=Size(height=number)))
        else:
            self._change(replace(self._options, size=Size(scale=kind or None)))

    def _name_typed(self) -> None:
        text = self.name_edit.text().strip() or RestoreOptions().name
        self.name_edit.setText(text)
        self._change(replace(self._options, name=text))

    def _show_more(self, on: bool) -> None:
        self.more_button.setText(self.tr("Fewer options") if on else self.tr("More options"))
        for box in self._more:
            box.setVisible(on)

    def _show_place(self) -> None:
        """Beside the originals in a folder, or right there, or in one folder for all, or another one."""
        box = self.place_box
        box.clear()
        named = self._folder if self._folder and not PurePath(self._folder).is_absolute() else RESULTS_FOLDER
        box.addItem(self.tr("Folder “{name}” beside the originals").format(name=named), named)
        box.addItem(self.tr("Beside the originals"), "")
        if PurePath(self._folder).is_absolute():
            box.addItem(self._folder, self._folder)
        box.addItem(self.tr("Choose a folder…"), None)
        box.setCurrentIndex(box.findData(self._folder))
        box.setToolTip(box.currentText())

    def _place_chosen(self) -> None:
        folder = self.place_box.currentData()
        if folder is None:
            start = self._folder if PurePath(self._folder).is_absolute() else ""
            folder = QFileDialog.getExistingDirectory(self, self.tr("Folder for the results"), start) or None
        if folder is None:
            self._show()
        else:
            self._take_folder(folder)

    def _compare_models(self) -> None:
        current = self.model
        usable = [model for model in self._models if not model.problem]
        chosen = ModelChoice.ask(usable, current.name if current else "", self)
        if len(chosen) > 1:
            self.models_wanted.emit(chosen)

    def _take_folder(self, folder: str) -> None:
        self._folder = folder
        self._show()
        self.folder_changed.emit(folder)


def _heading(text: str) -> QLabel:
    label = QLabel(text)
    label.setFont(sized(label.font(), 1.0, strong=True))
    return label


def _is_partner(model: Model, models: tuple[Model, ...]) -> bool:
    return library.faithful_of(models, model) is not None


def _facts(model: Model) -> str:
    parts = [f"×{model.scale}", model.architecture]
    parts += [f"{score.metric.upper()} {about(score.value, 4)} ({score.dataset})" for score in model.scores[:1]]
    return " · ".join(part for part in parts if part)

"""The page people come for: drop pictures, look, compare, restore."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import PurePath
from typing import Literal

from msgspec.structs import replace
from PySide6.QtCore import QPoint, QRectF, Qt, QTimer, Signal
from PySide6.QtGui import QImage, QResizeEvent
from PySide6.QtWidgets import (
    QFileDialog,
    QFrame,
    QHBoxLayout,
    QLabel,
    QMenu,
    QSizePolicy,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from engine import wire
from gui.imaging import messages
from gui.imaging.client import GrowingPicture, PictureClient
from gui.imaging.picture import Picture, from_rgba
from gui.model_samples import ModelSamples
from gui.naming import PICTURE_SUFFIXES
from gui.process import Outcome
from gui.results import copy_result, open_folder_of, open_result
from gui.sentences import decimal, item_details, item_line, size
from gui.session import RestoreSession
from gui.state import library
from gui.state import queue as queues
from gui.state.compare import Mode
from gui.state.library import Model
from gui.state.queue import Item
from gui.theme import SIDE_WIDTH, SPACE, sized
from gui.widgets.banner import Banner
from gui.widgets.compare_view import CompareView, Overlay, Pane
from gui.widgets.drop_area import DropArea
from gui.widgets.elided_label import ElidedLabel
from gui.widgets.options_panel import OptionsPanel
from gui.widgets.queue_column import QueueColumn
from gui.widgets.queue_view import THUMB_SIDE
from gui.widgets.view_tools import ViewTools

LIST_WIDTHS = (200, 292)
"""Least and most: in a small window the list gives room to the picture."""
PICTURE_WIDTH = 344
"""Pixels that the bar above the picture needs."""
PREVIEW_SIDE = 160
"""Source pixels: the visible region is previewed whole up to this side, beyond it its middle."""
BLENDS = (0.0, 0.25, 0.5, 0.75, 1.0)
STALE_MS = 300
"""So long the picture before may stay on the screen as if nothing was: what opens faster does not flicker."""
SETTLE_MS = 60
"""Selecting with the arrow keys runs through pictures; only the one where it rests is decoded."""


@dataclass(frozen=True)
class AskedWorker:
    """What the worker shall decode for the eye, as the window cannot."""

    job: str
    """Of the picture in the list."""
    part: Literal["before", "after", "thumbnail"]
    why: str = ""
    """The window cannot."""


class RestorePage(QWidget):
    options_changed = Signal(object)
    folder_changed = Signal(str)
    blend_wanted = Signal(str, str, float)
    """Model, partner and alpha to be saved as a model of their own."""
    sample_made = Signal(str, QImage)
    """A model's name, and what it makes of the sample: left before, right after."""

    def __init__(self, session: RestoreSession, pictures: PictureClient, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self.pictures = pictures
        self._models: tuple[Model, ...] = ()
        self._current = ""
        self._before: Picture | None = None
        self._after: Picture | None = None
        self._growing: dict[str, GrowingPicture] = {}
        self._overlays: dict[str, Overlay] = {}
        """Restored regions by view name: "live", or one of `_ways`."""
        self._ways: dict[str, str] = {}
        """What is compared side by side, models or blends: view name -> title, in the order they are shown."""
        self._preview_area: QRectF | None = None
        self._asked: dict[str, AskedWorker] = {}
        """By the job of the request."""
        self._follow = True
        """The running picture is shown until the user picks another."""
        self._settle = QTimer(self)
        self._settle.setSingleShot(True)
        self._settle.setInterval(SETTLE_MS)
        self._settle.timeout.connect(self._load)
        self._stale = QTimer(self)
        self._stale.setSingleShot(True)
        self._stale.setInterval(STALE_MS)
        self._stale.timeout.connect(lambda: self.view.say(self.tr("Opening…")))
        self._build()
        self._connect()
        self._show_queue(session.queue)

    # Building

    def _build(self) -> None:
        self.banner = Banner()
        self.drop_area = DropArea()
        self.view = CompareView()
        self.tools = ViewTools(self.view)
        self.panel = OptionsPanel(self.session.settings)
        self.side = QueueColumn(self.session)
        self.samples = ModelSamples(self.session, self)
        self.stack = QStackedWidget()
        self.stack.addWidget(self.drop_area)
        self.stack.addWidget(self._build_work())
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        news = QVBoxLayout()
        news.setContentsMargins(2 * SPACE, SPACE, 2 * SPACE, SPACE)
        news.addWidget(self.banner)
        self._news = QWidget()
        self._news.setLayout(news)
        column.addWidget(self._news)
        column.addWidget(self.stack, 1)
        self.banner.installEventFilter(self)
        self._news.setVisible(False)

    def _build_work(self) -> QWidget:
        work = QWidget()
        row = QHBoxLayout(work)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        row.addWidget(self.side)
        middle = QVBoxLayout()
        middle.setSpacing(0)
        middle.addWidget(self.tools)
        middle.addWidget(self.view, 1)
        middle.addWidget(self._build_status())
        row.addLayout(middle, 1)
        row.addWidget(self.panel)
        return work

    def _build_status(self) -> QWidget:
        bar = QFrame()
        bar.setObjectName("bar")
        row = QHBoxLayout(bar)
        row.setContentsMargins(2 * SPACE, SPACE // 2, 2 * SPACE, SPACE // 2)
        self._state_text = ElidedLabel()
        self._state_text.setTextFormat(Qt.TextFormat.PlainText)
        self._state_text.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self._pixel_text = QLabel()
        self._zoom_text = QLabel()
        for label in (self._state_text, self._pixel_text, self._zoom_text):
            label.setProperty("tone", "muted")
            label.setFont(sized(self.font(), 0.92))
        row.addWidget(self._state_text, 1)
        row.addWidget(self._pixel_text)
        row.addSpacing(SPACE)
        row.addWidget(self._zoom_text)
        return bar

    def _connect(self) -> None:
        session, panel, view = self.session, self.panel, self.view
        self.drop_area.open_wanted.connect(self.open_files)
        self.drop_area.folder_wanted.connect(self.open_folder)
        self.side.open_wanted.connect(self.open_files)
        self.side.start_wanted.connect(self.start_or_pause)
        self.tools.try_button.clicked.connect(lambda: self.try_area(self._visible_area()))
        self.side.list.selectionModel().currentChanged.connect(self._select)
        self.side.model.thumbnail_wanted.connect(
            lambda job, path: self.pictures.thumbnail(job, path, THUMB_SIDE), Qt.ConnectionType.QueuedConnection
        )
        self.pictures.thumbnail_made.connect(self._thumbnail)
        session.queue_changed.connect(self._show_queue)
        session.added.connect(self._added)
        session.refused.connect(self._refused)
        session.repeated.connect(self._repeated)
        session.results_left_out.connect(self._results_left_out)
        session.band_came.connect(self._band)
        session.preview_came.connect(self._preview)
        session.preview_failed.connect(self._preview_failed)
        session.source_came.connect(self._source)
        session.job_ended.connect(self._ended)
        session.worker_ended.connect(self._worker_ended)
        panel.options_changed.connect(self._options)
        panel.folder_changed.connect(self.folder_changed)
        panel.compare_wanted.connect(self.compare_blends)
        panel.models_wanted.connect(self.compare_models)
        panel.restore_all_wanted.connect(self._restore_all)
        panel.model_box.opened.connect(self.ask_samples)
        self.samples.made.connect(panel.model_box.set_sample)
        self.samples.made.connect(self.sample_made)
        panel.save_blend_wanted.connect(self._save_blend)
        self.tools.mode_chosen.connect(self._choose_mode)
        view.region_chosen.connect(self._region_drawn)
        view.menu_wanted.connect(self._result_menu)
        view.view_changed.connect(self._show_zoom)
        view.pixel_changed.connect(self._pixel_text.setText)

    def resizeEvent(self, event: QResizeEvent) -> None:
        least, most = LIST_WIDTHS
        self.side.setFixedWidth(max(least, min(most, event.size().width() - SIDE_WIDTH - PICTURE_WIDTH)))

    def eventFilter(self, watched: object, event: object) -> bool:
        """The strip of the banner takes no room while there is no news."""
        if watched is self.banner:
            self._news.setVisible(not self.banner.isHidden())
        return False

    # Doing

    def set_models(self, models: tuple[Model, ...]) -> None:
        self._models = models
        chosen = self.panel.options.model
        self.panel.set_models(models)
        shown = self.panel.model
        if shown is not None and chosen and library.find(models, chosen) is None:
            self.banner.tell(
                self.tr("The model {old} is gone; {new} takes its place.").format(old=chosen, new=shown.name), "warning"
            )
        self.session.default_model = shown.name if shown is not None else ""

    def open_files(self) -> None:
        patterns = " ".join(f"*{suffix}" for suffix in sorted(PICTURE_SUFFIXES))
        files, _filter = QFileDialog.getOpenFileNames(
            self, self.tr("Open pictures"), "", self.tr("Pictures") + f" ({patterns})"
        )
        if files:
            self.session.add_paths(files)

    def open_folder(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, self.tr("Open a folder of pictures"))
        if folder:
            self.session.add_paths([folder])

    def try_area(self, area: QRectF | None) -> None:
        """Restore only `area` (shares of the picture) with the options as they are."""
        item = queues.find(self.session.queue, self._current)
        if area is None or item is None or self._before is None:
            return
        self._preview_area = area
        self._overlays, self._ways = {}, {}
        self._ask("live", self.panel.options)

    def compare_blends(self) -> None:
        """The same region with five blends, side by side."""
        options = self.panel.options
        self._compare({self._blend_title(alpha): replace(options, alpha=alpha) for alpha in BLENDS})

    def compare_models(self, names: list[str]) -> None:
        """The same region by several models, side by side."""
        options = replace(self.panel.options, partner="", alpha=None)
        self._compare({name: replace(options, model=name) for name in names})

    def _compare(self, ways: dict[str, wire.RestoreOptions]) -> None:
        """Title -> options. The visible region is restored in each way."""
        area = self._preview_area or self._visible_area()
        item = queues.find(self.session.queue, self._current)
        if area is None or item is None:
            self.banner.tell(self.tr("Open a picture first: its visible region is what is compared."))
            return
        self._preview_area = area
        self._overlays = {}
        self._ways = {f"way {title}": title for title in ways}
        for title, options in ways.items():
            self._ask(f"way {title}", options)
        self.tools.mode_buttons["side"].setChecked(True)
        self._show_panes(keep=True)

    def _ask(self, view: str, options: wire.RestoreOptions) -> None:
        item = queues.find(self.session.queue, self._current)
        if item is None or self._before is None or self._preview_area is None:
            return
        self.view.busy_area = self._preview_area
        self.view.update()
        self.session.ask_preview(view, item.source, _region(self._preview_area, self._before), options)

    def _visible_area(self) -> QRectF | None:
        """What can be seen, cut down to a size that is restored in a moment."""
        if self._before is None:
            return None
        area = self.view.visible_area()
        width = min(area.width(), PREVIEW_SIDE / self._before.width)
        height = min(area.height(), PREVIEW_SIDE / self._before.height)
        middle = area.center()
        return QRectF(middle.x() - width / 2, middle.y() - height / 2, width, height)

    def start_or_pause(self) -> None:
        """Begin, hold, go on; when all is done: what is not done well again, else everything again."""
        queue = self.session.queue
        if any(item.state in queues.UNFINISHED for item in queue.items):
            self.session.pause(not queue.paused)
        else:
            self.session.retry(frozenset(item.job for item in queue.items if item.state != "done"))
            if all(item.state == "done" for item in queue.items):
                self.session.retry(frozenset(item.job for item in queue.items))

    def _restore_all(self) -> None:
        self.session.retry(frozenset(item.job for item in self.session.queue.items))

    def copy_result(self) -> None:
        item = queues.find(self.session.queue, self._current)
        if item is not None and item.state == "done":
            copy_result(item, self._after)
            self._state_text.setText(self.tr("The result is on the clipboard."))

    def _result_menu(self, where: QPoint) -> None:
        item = queues.find(self.session.queue, self._current)
        if item is None:
            return
        menu = QMenu(self)
        done = item.state == "done"
        for text, enabled, call in (
            (self.tr("Copy result"), done, self.copy_result),
            (self.tr("Open result"), done, lambda: open_result(item)),
            (self.tr("Show in folder"), True, lambda: open_folder_of(item)),
        ):
            action = menu.addAction(text, call)
            action.setEnabled(enabled)
        menu.exec(where)
        menu.deleteLater()

    def _save_blend(self) -> None:
        model = self.panel.model
        partner = library.partner_of(self._models, model) if model else None
        if model is not None and partner is not None:
            self.blend_wanted.emit(model.name, partner.name, self.panel.options.alpha or 0.0)

    # Hearing

    def _show_queue(self, queue: queues.Queue) -> None:
        had_rows = self.side.model.rowCount()
        self.side.show_queue(queue)
        turned = bool(queue.items) != bool(self.stack.currentIndex())
        self.stack.setCurrentIndex(1 if queue.items else 0)
        if not queue.items:
            self._current = ""
            self._clear_view()
        elif queues.find(queue, self._current) is None and (not had_rows or self._current):
            row = min(max(0, self.side.list.currentIndex().row()), len(queue.items) - 1)
            self.side.list.setCurrentIndex(self.side.model.index(row))
        if self.side.model.rowCount() < had_rows and not self.side.selected():
            # The row beside those that went, so that a key can be pressed again.
            self.side.list.setCurrentIndex(self.side.list.currentIndex())
        if turned:
            (self.side.start_button if queue.items else self.drop_area.open_button).setFocus()
        self._follow_running(queue)
        self._show_item()

    def _follow_running(self, queue: queues.Queue) -> None:
        running = next((item for item in queue.items if item.state == "running"), None)
        if self._follow and running is not None and running.job != self._current:
            self.side.choose(running.job)
            self._follow = True

    def _added(self, jobs: list[str]) -> None:
        if not self._current and jobs:
            self.side.choose(jobs[0])
        self._follow = True

    def _refused(self, paths: list[str]) -> None:
        self.banner.tell(self.tr("No pictures, so left out: {names}").format(names=_few_names(paths)), "warning")

    def _repeated(self, jobs: list[str]) -> None:
        items = [item for item in map(partial(queues.find, self.session.queue), jobs) if item is not None]
        if items:
            self.side.choose(items[0].job)
            names = _few_names([item.source for item in items])
            self.banner.tell(self.tr("In the list already: {names}").format(names=names))

    def _results_left_out(self, paths: list[str]) -> None:
        self.banner.tell(
            self.tr("Left out, as results of other pictures there: {names}").format(names=_few_names(paths)),
            choices=((self.tr("Take them too"), lambda: self.session.add_paths(paths)),),
        )

    def _select(self) -> None:
        item = self.side.model.item(self.side.list.currentIndex())
        if item is None or item.job == self._current:
            return
        self._current = item.job
        self._follow = item.state == "running"
        self._before = self._after = None  # What is on the screen until the picture comes is not this one.
        self._overlays, self._ways = {}, {}
        self._preview_area = self.view.busy_area = None
        self._settle.start()
        self._stale.start()
        self._show_item()

    def _load(self) -> None:
        """Bring the chosen picture on the screen: the original first, then its result."""
        item = queues.find(self.session.queue, self._current)
        if item is None:
            return
        job = item.job

        def came(picture: Picture | None, reason: str) -> None:
            if self._current == job:
                if picture is None:
                    self._asked[self.session.ask_source(item.source)] = AskedWorker(job, "before", reason)
                else:
                    self._show_before(job, picture)

        self.pictures.decode(item.source, came)

    def _show_before(self, job: str, picture: Picture) -> None:
        self._before, self._after = picture, None
        self._stale.stop()
        item = queues.find(self.session.queue, job)
        place = self.session.place_of(item) if item is not None else ("", "")
        self.panel.set_source(item.source if item else "", place, picture.width, picture.height)
        growing = self._growing.get(job)
        if growing is not None:
            self._after = growing.picture
        self._show_panes(keep=False)
        self._show_item()
        if growing is None and item is not None and item.state == "done":
            self._load_result(item)
        elif item is not None and item.state == "waiting" and self.session.queue.paused:
            self.try_area(self._visible_area())

    def _load_result(self, item: Item) -> None:
        def came(picture: Picture | None, reason: str) -> None:
            if self._current == item.job:
                if picture is None:
                    self._asked[self.session.ask_source(item.target)] = AskedWorker(item.job, "after", reason)
                else:
                    self._show_after(item.job, picture)

        self.pictures.decode(item.target, came)

    def _show_after(self, job: str, picture: Picture) -> None:
        if self._current == job:
            self._after = picture
            self._show_panes(keep=True)

    def _show_panes(self, *, keep: bool) -> None:
        before = self._before
        if before is None:
            self._clear_view()
            return
        panes = [Pane(self.tr("Before"), before)]
        if self._ways:
            panes += [
                Pane(title, None, before, (self._overlays[name],) if name in self._overlays else ())
                for name, title in self._ways.items()
            ]
        elif self._after is not None or self._overlays:
            panes.append(Pane(self.tr("After"), self._after, before, tuple(self._overlays.values())))
        if self._after is not None:
            width, height = self._after.width, self._after.height
        else:
            scale = max(1.0, self.panel.scale())
            width, height = round(before.width * scale), round(before.height * scale)
        same = (width, height) == (self.view.state.document_width, self.view.state.document_height)
        if keep and same:
            self.view.set_panes(tuple(panes))
        else:
            self.view.show_panes(tuple(panes), width, height, keep=keep)

    def _blend_title(self, alpha: float) -> str:
        ends = {0.0: self.tr("Faithful"), 1.0: self.tr("Vivid")}
        return f"{ends[alpha]} {decimal(alpha, 2)}" if alpha in ends else decimal(alpha, 2)

    def _choose_mode(self, mode: Mode) -> None:
        """Leaving side by side also leaves a comparison of models or blends."""
        self.view.choose_mode(mode)
        if mode != "side" and self._ways:
            self._overlays, self._ways = {}, {}
            self._show_panes(keep=True)

    def _clear_view(self) -> None:
        self._before = self._after = None
        self._overlays, self._ways = {}, {}
        self.view.busy_area = None
        self._stale.stop()
        self.view.show_panes((), 0, 0, keep=False)

    def _show_item(self) -> None:
        item = queues.find(self.session.queue, self._current)
        self.tools.title.setText(PurePath(item.source).name if item else "")
        self.tools.title.setToolTip(item_details(item) if item else "")
        if item is None:
            self._state_text.setText("")
            return
        line, _tone = item_line(item)
        where = f"{item.model} · {item.backend} {item.device} {item.precision}" if item.backend else ""
        shape = size(self._before.width, self._before.height) if self._before else ""
        notice = item.notices[-1] if item.notices else item.hint
        parts = [line] if item.state != "waiting" else []
        self._state_text.setText("   ".join(part for part in (*parts, shape, where, notice) if part))
        self._state_text.setToolTip(item_details(item))

    def _show_zoom(self) -> None:
        self._zoom_text.setText(f"{self.view.state.zoom:.0%}" if self.view.panes else "")

    def _thumbnail(self, job: str, reply: messages.Reply) -> None:
        if isinstance(reply, messages.ThumbnailMade):
            self.side.model.set_thumbnail(job, from_rgba(reply.rgba, reply.width, reply.height))
        elif (item := queues.find(self.session.queue, job)) is not None:
            self._asked[self.session.ask_source(item.source, THUMB_SIDE)] = AskedWorker(job, "thumbnail")

    def _source(self, event: wire.Event) -> None:
        asked = self._asked.pop(getattr(event, "job", ""), None)
        if asked is None:
            return
        if not isinstance(event, wire.SourceReady):
            if isinstance(event, wire.Failed):
                self._cannot_show(asked, event.message)
            return
        try:
            growing = self.pictures.follow(event.pixels, event.width, event.height, event.channels)
        except OSError:
            return
        if asked.part == "thumbnail":
            self.side.model.set_thumbnail(asked.job, growing.picture.levels[0].copy())
        elif asked.job == self._current:
            show = self._show_before if asked.part == "before" else self._show_after
            growing.rows_came(0, event.height, lambda: show(asked.job, growing.picture))

    def _cannot_show(self, asked: AskedWorker, reason: str) -> None:
        if asked.job != self._current:
            return
        if asked.part == "before":
            self._clear_view()
            self.view.say(reason)
        elif asked.part == "after":
            self.banner.tell(self.tr("The result cannot be shown. {reason}").format(reason=reason), "warning")

    def _band(self, band: wire.BandReady) -> None:
        growing = self._growing.get(band.job)
        if growing is None:
            try:
                growing = self.pictures.follow(band.pixels, band.width, band.height, band.channels)
            except (OSError, ValueError):
                return
            self._growing = {band.job: growing}
            if band.job == self._current and self._before is not None:
                self._after = growing.picture
                self._overlays, self._ways = {}, {}
                self._preview_area = self.view.busy_area = None
                self._show_panes(keep=True)
        drawn = growing.picture.ready_rows

        def shown() -> None:
            if growing.picture is self._after:
                self.view.update_rows(min(drawn, band.top) / band.height, band.bottom / band.height)

        growing.rows_came(band.top, band.bottom, shown)

    def _preview(self, event: wire.PreviewReady) -> None:
        if self.samples.asked_for(event.job) or self._before is None or self._preview_area is None:
            return
        try:
            growing = self.pictures.follow(event.pixels, event.width, event.height, event.channels)
        except (OSError, ValueError):
            return
        region, before = event.region, self._before
        area = QRectF(
            region.x / before.width,
            region.y / before.height,
            region.width / before.width,
            region.height / before.height,
        )

        def shown() -> None:
            wanted = event.view in self._ways if self._ways else event.view == "live"
            if not wanted:
                return
            self._overlays[event.view] = Overlay(growing.picture, area)
            self.view.busy_area = None
            self._show_panes(keep=True)
            self._state_text.setText(self.tr("Region restored in {time}").format(time=f"{decimal(event.seconds, 2)} s"))

        growing.picture.ready_rows = growing.picture.height
        if len(growing.picture.levels) == 1:
            shown()
        else:
            growing.rows_came(0, event.height, shown)

    def ask_samples(self) -> None:
        """For the cards of the models."""
        self.samples.ask(self._models)

    def _preview_failed(self, event: wire.Failed) -> None:
        if self.samples.asked_for(event.job):
            return
        self.view.busy_area = None
        self.view.update()
        self.banner.tell(event.message, "bad", event.hint)

    def _ended(self, event: wire.Terminal) -> None:
        item = queues.find(self.session.queue, event.job)
        if item is None:
            return
        if isinstance(event, wire.Restored):
            if event.job == self._current and event.job not in self._growing:
                self._load_result(item)
        else:
            self._growing.pop(event.job, None)
            if event.job == self._current and self._before is not None:
                self._after = None
                self._show_panes(keep=True)
        if isinstance(event, wire.Failed):
            name = PurePath(item.source).name
            text = event.message if name in event.message else f"{name}: {event.message}"
            self.banner.tell(text, "bad", event.hint)
        elif isinstance(event, wire.Crashed):
            line, _tone = item_line(item)
            self.banner.tell(
                f"{PurePath(item.source).name}: {line}",
                "bad",
                self.tr("The other pictures go on. ") + "\n".join(event.last_lines[-3:]),
                ((self.tr("Try again"), lambda: self.session.retry(frozenset({event.job}))),),
            )

    def _worker_ended(self, outcome: Outcome) -> None:
        self.view.busy_area = None
        self.view.update()
        unanswered, self._asked = self._asked, {}
        for asked in unanswered.values():
            if asked.part == "before":
                self._cannot_show(asked, self.tr("It cannot be shown. {reason}").format(reason=asked.why))
        if self.session.client.state == "broken":
            self.banner.tell(
                outcome.sentence(),
                "bad",
                "\n".join(outcome.last_lines[-4:]),
                ((self.tr("Try again"), self._try_again),),
            )
        elif not any(item.state == "crashed" for item in self.session.queue.items):
            self.banner.tell(outcome.sentence(), "warning", self.tr("It was started again; nothing is lost."))

    def _try_again(self) -> None:
        self.session.client.try_again()
        self.session.pause(False)

    def _options(self, options: wire.RestoreOptions) -> None:
        self.session.with_options(options)
        self.options_changed.emit(options)
        if self._preview_area is not None:
            self._ways = {}
            self._overlays = {name: shown for name, shown in self._overlays.items() if name == "live"}
            self._ask("live", options)
        elif self.sender() is self.panel and self._before is not None and self._moves_picture():
            self._preview_area = self._visible_area()
            self._ask("live", options)
        if self._after is None and self._before is not None:
            self._show_panes(keep=True)

    def _moves_picture(self) -> bool:
        """A slider is being moved: then the visible region follows it, live."""
        return any(
            slider.hasFocus() or slider.isSliderDown()
            for slider in (self.panel.alpha_slider, self.panel.strength_slider)
        )

    def _region_drawn(self, area: QRectF) -> None:
        self.tools.region_button.setChecked(False)
        self.try_area(area)


def _few_names(paths: list[str]) -> str:
    return ", ".join(PurePath(path).name for path in paths[:3]) + (" …" if len(paths) > 3 else "")


def _region(area: QRectF, picture: Picture) -> wire.Region:
    """Whole pixels of the source, at least 8 x 8, inside the picture."""
    width = min(picture.width, max(8, round(area.width() * picture.width)))
    height = min(picture.height, max(8, round(area.height() * picture.height)))
    x = min(picture.width - width, max(0, round(area.x() * picture.width)))
    y = min(picture.height - height, max(0, round(area.y() * picture.height)))
    return wire.Region(x=x, y=y, width=width, height=height)

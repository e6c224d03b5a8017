"""The list of pictures with what stands above and below it: how many there are, how far they are, and what to do."""

from __future__ import annotations

from PySide6.QtCore import QItemSelectionModel, QPoint, Signal
from PySide6.QtGui import QAction, QResizeEvent
from PySide6.QtWidgets import (
    QBoxLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QMenu,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from gui.models.queue_model import QueueModel
from gui.results import newest_result, open_folder_of, open_result
from gui.sentences import duration, pictures
from gui.session import RestoreSession
from gui.state import queue as queues
from gui.theme import SPACE, set_tone, sized
from gui.widgets.queue_view import QueueView
from gui.widgets.view_tools import tool_button


class QueueColumn(QFrame):
    open_wanted = Signal()
    start_wanted = Signal()
    """Or to pause, or to go on: as the button says."""

    def __init__(self, session: RestoreSession, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self.model = QueueModel(self)
        self._build()
        self._connect()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """In a narrow column the buttons stand one below the other."""
        self._arrange()

    def selected(self) -> frozenset[str]:
        chosen = (self.model.item(index) for index in self.list.selectedIndexes())
        return frozenset(item.job for item in chosen if item is not None)

    def choose(self, job: str) -> None:
        self.list.setCurrentIndex(self.model.index(self.model.row_of(job)))

    def show_queue(self, queue: queues.Queue) -> None:
        self.model.show(queue)
        totals = queues.totals(queue)
        self._count.setText(pictures(totals.total))
        unfinished = totals.total - totals.finished
        if unfinished and queue.paused:
            self.start_button.setText(self.tr("Go on") if _is_begun(queue) else self.tr("Restore"))
        elif unfinished:
            self.start_button.setText(self.tr("Pause"))
        else:
            self.start_button.setText(self.tr("Restore again"))
        self.start_button.setEnabled(bool(totals.total))
        results = bool(totals.total) and not unfinished and bool(newest_result(queue))
        self.results_button.setVisible(results)
        # Who is done wants to see what came of it, not to make everything once more by the button that stands out.
        set_tone(self.results_button, "primary" if results else "")
        set_tone(self.start_button, "" if results else "primary")
        if self.cancel_button.hasFocus() and not unfinished:
            self.start_button.setFocus()  # where it would go by itself is the far side of the window
        self.cancel_button.setVisible(unfinished > 0 and not (queue.paused and not _any_running(queue)))
        self._total_bar.setVisible(unfinished > 0 and totals.fraction > 0)
        self._total_bar.setRange(0, 1000)
        self._total_bar.setValue(round(totals.fraction * 1000))
        self.total_text.setText(self._total_line(queue, totals))
        self.clear_button.setEnabled(totals.finished > 0)
        self._arrange()

    # Building

    def _build(self) -> None:
        self.setObjectName("list")
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        head = QHBoxLayout()
        head.setContentsMargins(2 * SPACE, SPACE + 2, SPACE, SPACE)
        self._count = QLabel()
        self._count.setFont(sized(self.font(), 1.1, strong=True))
        head.addWidget(self._count, 1)
        self.add_button = tool_button("open", self.tr("Add pictures (Ctrl+O)"))
        self.clear_button = tool_button("clear", self.tr("Remove finished pictures"))
        head.addWidget(self.add_button)
        head.addWidget(self.clear_button)
        column.addLayout(head)
        self.list = QueueView()
        self.list.setModel(self.model)
        column.addWidget(self.list, 1)
        column.addWidget(self._build_foot())

    def _build_foot(self) -> QWidget:
        bar = QFrame()
        bar.setObjectName("bar")
        foot = QVBoxLayout(bar)
        foot.setContentsMargins(2 * SPACE, SPACE + 4, 2 * SPACE, SPACE + 4)
        foot.setSpacing(SPACE)
        self.total_text = QLabel()
        self.total_text.setProperty("tone", "muted")
        self._total_bar = QProgressBar()
        self._total_bar.setTextVisible(False)
        self._total_bar.setAccessibleName(self.tr("Progress of all pictures"))
        self.start_button = QPushButton()
        self.cancel_button = QPushButton(self.tr("Cancel all"))
        self.results_button = QPushButton(self.tr("Show results"))
        self.results_button.setToolTip(self.tr("Open the folder of the results"))
        self._buttons = QHBoxLayout()
        self._buttons.setSpacing(SPACE)
        self._buttons.addWidget(self.results_button)
        self._buttons.addWidget(self.start_button, 1)
        self._buttons.addWidget(self.cancel_button)
        foot.addWidget(self.total_text)
        foot.addWidget(self._total_bar)
        foot.addLayout(self._buttons)
        return bar

    def _connect(self) -> None:
        session = self.session
        self.add_button.clicked.connect(self.open_wanted)
        self.clear_button.clicked.connect(lambda: session.apply(queues.FinishedCleared()))
        self.start_button.clicked.connect(self.start_wanted)
        self.cancel_button.clicked.connect(lambda: session.cancel(frozenset(item.job for item in session.queue.items)))
        self.results_button.clicked.connect(self._show_results)
        self.list.remove_wanted.connect(lambda: session.remove(self.selected()))
        self.list.shift_wanted.connect(self._shift)
        self.list.customContextMenuRequested.connect(self._menu)
        self.list.doubleClicked.connect(lambda index: open_result(self.model.item(index)))
        self.model.moved.connect(lambda jobs, row: session.apply(queues.Moved(jobs, row)))

    def _arrange(self) -> None:
        shown = [b for b in (self.results_button, self.start_button, self.cancel_button) if not b.isHidden()]
        needed = sum(button.sizeHint().width() + SPACE for button in shown)
        fits = needed <= self.width() - 4 * SPACE + SPACE
        direction = QBoxLayout.Direction.LeftToRight if fits else QBoxLayout.Direction.TopToBottom
        if self._buttons.direction() != direction:
            self._buttons.setDirection(direction)

    # Doing

    def _show_results(self) -> None:
        item = newest_result(self.session.queue)
        if item is not None:
            open_folder_of(item)

    def _shift(self, step: int) -> None:
        jobs = self.selected()
        rows = [row for row, item in enumerate(self.session.queue.items) if item.job in jobs]
        if rows:
            row = max(0, rows[0] - 1) if step < 0 else min(len(self.session.queue.items), rows[-1] + 2)
            self.session.apply(queues.Moved(jobs, row))
            self._reselect(jobs)

    def _reselect(self, jobs: frozenset[str]) -> None:
        selection = self.list.selectionModel()
        for row, item in enumerate(self.session.queue.items):
            if item.job in jobs:
                selection.setCurrentIndex(self.model.index(row), QItemSelectionModel.SelectionFlag.Select)

    def _menu(self, where: QPoint) -> None:
        menu = QMenu(self)
        item = self.model.item(self.list.indexAt(where))
        jobs = self.selected()
        if item is None:
            return
        entries: list[tuple[str, bool, object]] = [
            (self.tr("Open result"), item.state == "done", lambda: open_result(item)),
            (self.tr("Show in folder"), True, lambda: open_folder_of(item)),
            (self.tr("Restore again"), item.state in queues.RETRYABLE, lambda: self.session.retry(jobs)),
            (self.tr("Restore next"), item.state == "waiting", lambda: self._to_front(jobs)),
            (self.tr("Cancel"), item.state in queues.UNFINISHED, lambda: self.session.cancel(jobs)),
            (self.tr("Remove from list"), True, lambda: self.session.remove(jobs)),
        ]
        for text, enabled, call in entries:
            action = QAction(text, menu)
            action.setEnabled(enabled)
            action.triggered.connect(call)
            menu.addAction(action)
        menu.exec(self.list.viewport().mapToGlobal(where))
        menu.deleteLater()

    def _to_front(self, jobs: frozenset[str]) -> None:
        rows = [row for row, item in enumerate(self.session.queue.items) if item.state == "waiting"]
        if rows:
            self.session.apply(queues.Moved(jobs, rows[0]))

    # Telling

    def _total_line(self, queue: queues.Queue, totals: queues.Totals) -> str:
        parts: list[str] = []
        if totals.finished == totals.total and totals.total:
            done = sum(item.state == "done" for item in queue.items)
            parts.append(self.tr("{n} restored").format(n=done))
        elif queue.paused and not _is_begun(queue):
            parts.append(self.tr("Ready when you are"))
        else:
            if queue.paused:
                parts.append(self.tr("Paused"))
            parts.append(self.tr("{done} of {total} done").format(done=totals.finished, total=totals.total))
            if totals.seconds_left is not None and not queue.paused:
                parts.append(self.tr("{time} left").format(time=duration(totals.seconds_left)))
        if totals.failed:
            parts.append(self.tr("{n} failed").format(n=totals.failed))
        return " · ".join(parts)


def _is_begun(queue: queues.Queue) -> bool:
    return any(item.state != "waiting" for item in queue.items)


def _any_running(queue: queues.Queue) -> bool:
    return any(item.state in ("sent", "running") for item in queue.items)

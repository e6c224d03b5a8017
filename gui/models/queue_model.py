"""The queue as a list model: rows come and go, thumbnails are asked for when they are first shown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

from PySide6.QtCore import (
    QAbstractListModel,
    QByteArray,
    QMimeData,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    Qt,
    Signal,
)
from PySide6.QtGui import QImage

from gui.models.rows import rewrite
from gui.sentences import item_details, item_line
from gui.state.queue import Item, Queue

ITEM = int(Qt.ItemDataRole.UserRole)
THUMBNAIL = ITEM + 1
JOBS = "application/x-pellucid-jobs"
Index = QModelIndex | QPersistentModelIndex


class QueueModel(QAbstractListModel):
    thumbnail_wanted = Signal(str, str)
    """Job and path, once a row is shown."""
    moved = Signal(frozenset, int)
    """Jobs were dragged before the row."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._items: list[Item] = []
        self._thumbnails: dict[str, QImage] = {}
        self._asked: set[str] = set()

    def show(self, queue: Queue) -> None:
        old, new = self._items, list(queue.items)
        rewrite(old, new, ([item.job for item in old], [item.job for item in new]), self)
        kept = {item.job for item in new}
        self._asked &= kept
        for job in self._thumbnails.keys() - kept:
            del self._thumbnails[job]

    def remove_rows(self, first: int, last: int) -> None:
        self.beginRemoveRows(QModelIndex(), first, last)
        self._items = self._items[:first] + self._items[last + 1 :]
        self.endRemoveRows()

    def insert_rows(self, first: int, rows: Sequence[Item]) -> None:
        self.beginInsertRows(QModelIndex(), first, first + len(rows) - 1)
        self._items = [*self._items[:first], *rows, *self._items[first:]]
        self.endInsertRows()

    def rows_changed(self, first: int, rows: Sequence[Item]) -> None:
        self._items[first : first + len(rows)] = rows
        self.dataChanged.emit(self.index(first), self.index(first + len(rows) - 1))

    def set_thumbnail(self, job: str, image: QImage) -> None:
        self._thumbnails[job] = image
        row = self.row_of(job)
        if row >= 0:
            self.dataChanged.emit(self.index(row), self.index(row), [THUMBNAIL])

    def row_of(self, job: str) -> int:
        return next((row for row, item in enumerate(self._items) if item.job == job), -1)

    def item(self, index: Index) -> Item | None:
        return self._items[index.row()] if index.isValid() and index.row() < len(self._items) else None

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own signature
        return 0 if parent.isValid() else len(self._items)

    def data(self, index: Index, role: int = int(Qt.ItemDataRole.DisplayRole)) -> object:
        item = self.item(index)
        if item is None:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return PurePath(item.source).name
        if role in (Qt.ItemDataRole.ToolTipRole, Qt.ItemDataRole.AccessibleDescriptionRole):
            return item_details(item)
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return f"{PurePath(item.source).name}: {item_line(item)[0]}"
        if role == ITEM:
            return item
        if role == THUMBNAIL:
            if item.job not in self._asked:
                self._asked.add(item.job)
                self.thumbnail_wanted.emit(item.job, item.source)
            return self._thumbnails.get(item.job)
        return None

    def flags(self, index: Index) -> Qt.ItemFlag:
        if not index.isValid():
            return Qt.ItemFlag.ItemIsDropEnabled
        return (
            Qt.ItemFlag.ItemIsEnabled
            | Qt.ItemFlag.ItemIsSelectable
            | Qt.ItemFlag.ItemIsDragEnabled
            | Qt.ItemFlag.ItemNeverHasChildren
        )

    def supportedDropActions(self) -> Qt.DropAction:
        return Qt.DropAction.MoveAction

    def mimeTypes(self) -> list[str]:
        return [JOBS]

    def mimeData(self, indexes: Sequence[QModelIndex]) -> QMimeData:
        data = QMimeData()
        jobs = [item.job for index in indexes if (item := self.item(index)) is not None]
        data.setData(JOBS, QByteArray("\n".join(jobs).encode()))
        return data

    def dropMimeData(self, data: QMimeData, action: Qt.DropAction, row: int, column: int, parent: Index) -> bool:
        if not data.hasFormat(JOBS) or action != Qt.DropAction.MoveAction:
            return False
        jobs = frozenset(bytes(data.data(JOBS).data()).decode().split("\n"))
        self.moved.emit(jobs, len(self._items) if row < 0 else row)
        return False

"""The trainings there are, as a list model."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from PySide6.QtCore import QAbstractListModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from gui.models.rows import rewrite

Index = QModelIndex | QPersistentModelIndex


class RunRow(msgspec.Struct, frozen=True):
    path: str
    name: str
    line: str
    """What it is doing, in words."""
    tone: str
    fraction: float


class RunsModel(QAbstractListModel):
    ROW = int(Qt.ItemDataRole.UserRole)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._rows: list[RunRow] = []

    def show(self, rows: list[RunRow]) -> None:
        known = {row.path: row for row in self._rows}
        kept = [old if (old := known.get(row.path)) == row and old is not None else row for row in rows]
        rewrite(self._rows, kept, ([row.path for row in self._rows], [row.path for row in kept]), self)

    def remove_rows(self, first: int, last: int) -> None:
        self.beginRemoveRows(QModelIndex(), first, last)
        self._rows = self._rows[:first] + self._rows[last + 1 :]
        self.endRemoveRows()

    def insert_rows(self, first: int, rows: Sequence[RunRow]) -> None:
        self.beginInsertRows(QModelIndex(), first, first + len(rows) - 1)
        self._rows = [*self._rows[:first], *rows, *self._rows[first:]]
        self.endInsertRows()

    def rows_changed(self, first: int, rows: Sequence[RunRow]) -> None:
        self._rows[first : first + len(rows)] = rows
        self.dataChanged.emit(self.index(first), self.index(first + len(rows) - 1))

    def row(self, index: Index) -> RunRow | None:
        return self._rows[index.row()] if index.isValid() and index.row() < len(self._rows) else None

    def row_of(self, path: str) -> int:
        return next((number for number, row in enumerate(self._rows) if row.path == path), -1)

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own signature
        return 0 if parent.isValid() else len(self._rows)

    def data(self, index: Index, role: int = int(Qt.ItemDataRole.DisplayRole)) -> object:
        row = self.row(index)
        if row is None:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return row.name
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return f"{row.name}: {row.line}"
        if role == Qt.ItemDataRole.ToolTipRole:
            return row.path
        if role == self.ROW:
            return row
        return None

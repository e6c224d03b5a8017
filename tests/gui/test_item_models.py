"""The list models keep Qt's contract through any change of the state under them."""

from __future__ import annotations

import random

from msgspec.structs import replace
from PySide6.QtGui import QImage
from PySide6.QtTest import QAbstractItemModelTester
from pytestqt.qtbot import QtBot

from gui.models.queue_model import ITEM, THUMBNAIL, QueueModel
from gui.models.runs_model import RunRow, RunsModel
from gui.state.queue import Item, Queue

FATAL = QAbstractItemModelTester.FailureReportingMode.Fatal


def shown(model: QueueModel) -> list[object]:
    return [model.data(model.index(row), ITEM) for row in range(model.rowCount())]


def test_any_sequence_of_queues_is_shown_exactly(qtbot: QtBot) -> None:
    model = QueueModel()
    QAbstractItemModelTester(model, FATAL)
    dice = random.Random(5)
    items = [Item(job=f"{n}", source=f"/p/{n}.png") for n in range(30)]
    for _round in range(300):
        chosen = dice.sample(items, dice.randrange(len(items)))
        if dice.random() < 0.5:
            chosen.sort(key=lambda item: int(item.job))
        chosen = [replace(item, fraction=dice.random()) if dice.random() < 0.3 else item for item in chosen]
        model.show(Queue(items=tuple(chosen)))
        assert shown(model) == chosen


def test_a_change_of_one_picture_is_told_as_one_row(qtbot: QtBot) -> None:
    model = QueueModel()
    items = tuple(Item(job=f"{n}", source=f"/p/{n}.png") for n in range(3))
    model.show(Queue(items=items))
    rows: list[int] = []
    model.dataChanged.connect(lambda top, bottom, _roles: rows.extend(range(top.row(), bottom.row() + 1)))
    model.show(Queue(items=(items[0], replace(items[1], fraction=0.5), items[2])))
    assert rows == [1]


def test_a_thumbnail_is_asked_for_once_when_first_shown(qtbot: QtBot) -> None:
    model = QueueModel()
    model.show(Queue(items=(Item(job="a", source="/p/a.png"), Item(job="b", source="/p/b.png"))))
    asked: list[str] = []
    model.thumbnail_wanted.connect(lambda job, _path: asked.append(job))
    for _time in range(3):
        model.data(model.index(0), THUMBNAIL)
    assert asked == ["a"]
    model.set_thumbnail("a", QImage(4, 4, QImage.Format.Format_RGB888))
    assert isinstance(model.data(model.index(0), THUMBNAIL), QImage)


def test_the_runs_model_keeps_its_contract(qtbot: QtBot) -> None:
    model = RunsModel()
    QAbstractItemModelTester(model, FATAL)
    dice = random.Random(2)
    for _round in range(100):
        paths = dice.sample("abcdefgh", dice.randrange(8))
        model.show([RunRow(path, path, f"{dice.randrange(3)}", "muted", 0.5) for path in paths])
        assert [model.data(model.index(row)) for row in range(model.rowCount())] == paths

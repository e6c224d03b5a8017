"""The smallest set of model signals that turns the rows a view shows into the rows it shall show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

Row = TypeVar("Row")
Shown = TypeVar("Shown", contravariant=True)


class RowSteps(Protocol[Shown]):
    def remove_rows(self, first: int, last: int) -> None: ...
    def insert_rows(self, first: int, rows: Sequence[Shown]) -> None: ...
    def rows_changed(self, first: int, rows: Sequence[Shown]) -> None: ...


def rewrite(
    old: Sequence[Row], new: Sequence[Row], keys: tuple[Sequence[str], Sequence[str]], to: RowSteps[Row]
) -> None:
    """`keys` name the rows of `old` and `new`. What stands between a common start and a common end is replaced;
    rows that stay where they are and differ are told as changed."""
    old_keys, new_keys = keys
    start = len(old_keys) if old_keys == new_keys else 0  # Nearly always: a row changed, none came or went.
    while start < len(old_keys) and start < len(new_keys) and old_keys[start] == new_keys[start]:
        start += 1
    end = 0
    limit = min(len(old_keys), len(new_keys)) - start
    while end < limit and old_keys[-1 - end] == new_keys[-1 - end]:
        end += 1
    if len(old_keys) - end > start:
        to.remove_rows(start, len(old_keys) - end - 1)
    if len(new_keys) - end > start:
        to.insert_rows(start, new[start : len(new) - end])
    changed = [row for row in range(start) if old[row] is not new[row]]
    shift = len(new) - len(old)
    changed += [row for row in range(len(new) - end, len(new)) if old[row - shift] is not new[row]]
    for row in changed:
        to.rows_changed(row, [new[row]])

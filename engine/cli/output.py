"""What a command prints: sentences and tables for people, or JSON lines for programs. Never both."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

from engine.errors import PellucidError


class Output:
    """Where a command's words go. With `json`, standard output carries JSON lines only, the last one the summary."""

    def __init__(self, *, json: bool, stream: TextIO | None = None, errors: TextIO | None = None) -> None:
        self.json = json
        self._stream = stream or sys.stdout
        self._errors = errors or sys.stderr

    @property
    def interactive(self) -> bool:
        """Whether a person watches: then progress may be drawn."""
        return not self.json and self._errors.isatty()

    def line(self, record: dict[str, Any]) -> None:
        """One JSON object on one line; nothing when people read.

        A file name that is no text, and what the stream has no bytes for, is written in escapes: `\\udcff` for the byte
        ff, as Python's os.fsencode reads it.
        """
        if self.json:
            text = json.dumps(record, ensure_ascii=False, allow_nan=False)
            if not _can_be_spelt(text, self._stream):
                text = json.dumps(record, allow_nan=False)
            print(text, file=self._stream, flush=True)

    def say(self, text: str) -> None:
        """A sentence for people; nothing when programs read."""
        if not self.json:
            _print(text, self._stream)

    def warn(self, text: str) -> None:
        """A sentence on standard error, for people and programs alike."""
        _print(text, self._errors)

    def table(self, rows: Iterable[Sequence[object]], headers: Sequence[str]) -> None:
        """Columns for people; nothing when programs read. Numbers stand right, text left."""
        if self.json:
            return
        cells = [[_cell(value) for value in row] for row in rows]
        widths = [max(len(row[column]) for row in [list(headers), *cells]) for column in range(len(headers))]
        numeric = [
            bool(cells)
            and all(row[column].lstrip("-").replace(".", "", 1).isdigit() or not row[column] for row in cells)
            for column in range(len(headers))
        ]
        for row in [list(headers), ["-" * width for width in widths], *cells]:
            parts = [
                text.rjust(width) if right else text.ljust(width)
                for text, width, right in zip(row, widths, numeric, strict=True)
            ]
            self.say("  ".join(parts).rstrip())

    def error(self, failure: PellucidError) -> None:
        """The sentence, its hint, and for programs the code."""
        self.line({"error": failure.code.value, "message": failure.message, "hint": failure.hint})
        if not self.json:
            self.warn(f"pellucid: {failure.message}")
            if failure.hint:
                self.warn(f"          {failure.hint}")


def _can_be_spelt(text: str, stream: TextIO) -> bool:
    try:
        text.encode(stream.encoding or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _print(text: str, stream: TextIO) -> None:
    """A character that the stream has no bytes for becomes an escape."""
    try:
        print(text, file=stream, flush=True)
    except UnicodeEncodeError:
        spelt = text.encode(stream.encoding, "backslashreplace").decode(stream.encoding)
        print(spelt, file=stream, flush=True)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 10 else f"{value:.2f}"
    return str(value)

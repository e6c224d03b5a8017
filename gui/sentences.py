"""What the windows say about a picture, a time or a size, in the user's language."""

from __future__ import annotations

from typing import Literal

from msgspec.structs import replace
from PySide6.QtCore import QCoreApplication, QDateTime, QLocale

from engine import wire
from gui.process import Outcome
from gui.state.queue import Item

Tone = Literal["muted", "good", "bad", "accent"]


def _tr(text: str) -> str:
    return QCoreApplication.translate("Sentences", text)


def duration(seconds: float) -> str:
    """For instance 8 s, 2 min 05 s, 1 h 10 min."""
    whole = max(0, round(seconds))
    if whole < 60:
        return _tr("{s} s").format(s=whole)
    if whole < 3600:
        return _tr("{m} min {s:02} s").format(m=whole // 60, s=whole % 60)
    return _tr("{h} h {m:02} min").format(h=whole // 3600, m=whole % 3600 // 60)


def clock(seconds: float) -> str:
    """When so many seconds will be over: today at 17:30, on Monday at 03:10, or on a date."""
    now = QDateTime.currentDateTime()
    then = now.addSecs(round(seconds))
    days = now.date().daysTo(then.date())
    time = QLocale().toString(then.time(), QLocale.FormatType.ShortFormat)
    if days == 0:
        return _tr("today at {time}").format(time=time)
    if days == 1:
        return _tr("tomorrow at {time}").format(time=time)
    if days < 7:
        return _tr("on {day} at {time}").format(day=QLocale().dayName(then.date().dayOfWeek()), time=time)
    return _tr("on {date}").format(date=QLocale().toString(then.date(), QLocale.FormatType.ShortFormat))


def whole(number: int) -> str:
    """With the marks of thousands of the user's language."""
    return QLocale().toString(number)


def pictures(number: int) -> str:
    return _tr("1 picture") if number == 1 else _tr("{n} pictures").format(n=whole(number))


def decimal(number: float, places: int) -> str:
    return QLocale().toString(number, "f", places)


def about(number: float, digits: int) -> str:
    """Rounded to so many digits that count."""
    return QLocale().toString(number, "g", digits)


def megapixels(width: int, height: int) -> str:
    return _tr("{n} MP").format(n=QLocale().toString(width * height / 1e6, "f", 1))


def size(width: int, height: int) -> str:
    return f"{width} × {height}"


def rate(megapixels_per_second: float) -> str:
    return _tr("{n} MP/s").format(n=QLocale().toString(megapixels_per_second, "g", 2))


def crash(crashed: wire.Crashed) -> str:
    """What a dead worker left behind, in one sentence."""
    ended = "crashed" if crashed.signal or crashed.exit_code is None else "ended"
    outcome = Outcome("crashed" if ended == "crashed" else "ended", crashed.exit_code, crashed.signal)
    return outcome.sentence()


def failure(failed: wire.Failed) -> wire.Failed:
    """As it is told here, where every picture was there when it was added."""
    if failed.code != "file-missing":
        return failed
    return replace(
        failed,
        message=_tr("The file is no longer there."),
        hint=_tr("It was moved or deleted, or its drive is not connected."),
    )


def item_line(item: Item) -> tuple[str, Tone]:
    """The second line of a picture in the list."""
    match item.state:
        case "waiting":
            return (size(item.width, item.height) if item.width else _tr("Waiting")), "muted"
        case "sent":
            return _tr("Opening…"), "muted"
        case "running":
            parts = [f"{item.fraction:.0%}"]
            if item.seconds_left is not None:
                parts.append(_tr("{time} left").format(time=duration(item.seconds_left)))
            if item.megapixels_per_second:
                parts.append(rate(item.megapixels_per_second))
            return " · ".join(parts), "accent"
        case "done":
            took = duration(item.seconds) if item.seconds >= 1 else _tr("under 1 s")
            return _tr("Done · {size} · {time}").format(size=size(item.out_width, item.out_height), time=took), "good"
        case "skipped":
            return _tr("Skipped: {reason}").format(reason=item.message), "muted"
        case "failed":
            return item.message, "bad"
        case "cancelled":
            return _tr("Cancelled"), "muted"
        case "crashed":
            return (crash(item.crash) if item.crash else _tr("The restoring process crashed.")), "bad"


def item_details(item: Item) -> str:
    """All that is known, for the tool tip and for screen readers."""
    line, _tone = item_line(item)
    parts = [item.source, line]
    if item.hint:
        parts.append(item.hint)
    if item.backend:
        parts.append(_tr("{model} on {backend} ({device}), {precision}").format(
            model=item.model, backend=item.backend, device=item.device or "?", precision=item.precision
        ))  # fmt: skip
    parts += item.notices
    if item.target and item.state in ("done", "skipped", "running"):
        parts.append(_tr("Result: {path}").format(path=item.target))
    if item.crash is not None and item.crash.last_lines:
        parts.append("\n".join(item.crash.last_lines[-6:]))
    return "\n".join(parts)

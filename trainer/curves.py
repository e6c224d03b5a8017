"""The story of a run, read from its events: what is valid of it, its curves as CSV, PNG or TensorBoard files."""

from __future__ import annotations

import csv
import io
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from PIL import Image, ImageDraw

from engine.whole_file import make_folder, write_whole
from engine.wire_training import (
    Continued,
    Event,
    Finished,
    Paused,
    Predicted,
    Progress,
    RolledBack,
    RunCrashed,
    RunFailed,
    RunStarted,
    StageStarted,
    Stopped,
    Validated,
    Warned,
)


@dataclass(slots=True)
class Story:
    """Everything valid that happened, void stretches taken out."""

    state: str = "new"
    """new, running, paused, finished, stopped, failed."""
    sentence: str = ""
    """Why it is in that state, where there is something to say."""
    iteration: int = 0
    iterations: int = 0
    started: RunStarted | None = None
    stages: list[StageStarted] = field(default_factory=list)
    progress: list[Progress] = field(default_factory=list)
    validations: list[Validated] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    seconds_left: float | None = None

    def add(self, event: Event) -> None:
        match event:
            case RunStarted():
                self._forget_after(event.iteration)
                self.started, self.iterations, self.state, self.sentence = event, event.iterations, "running", ""
            case RolledBack():
                self._forget_after(event.iteration)
                self.warnings.append(event.reason)
            case StageStarted():
                self.stages = [stage for stage in self.stages if stage.stage != event.stage]
                self.stages.append(event)
            case Progress():
                self.progress.append(event)
                self.iteration, self.seconds_left = event.iteration, event.seconds_left
            case Predicted():
                self.seconds_left = event.seconds_left
            case Validated():
                self.validations.append(event)
                self.iteration = max(self.iteration, event.iteration)
            case Warned():
                self.warnings.append(event.text)
            case Paused():
                self.state, self.iteration = "paused", event.iteration
            case Continued():
                self.state, self.iteration = "running", event.iteration
            case Finished():
                self.state, self.iteration, self.seconds_left = "finished", event.iteration, 0.0
            case Stopped():
                self.state, self.sentence, self.iteration = "stopped", event.reason, event.iteration
            case RunFailed():
                self.state, self.sentence = "failed", f"{event.message} {event.hint}".strip()
            case RunCrashed():
                self.state, self.sentence = "failed", event.message

    def _forget_after(self, iteration: int) -> None:
        self.progress = [event for event in self.progress if event.iteration <= iteration]
        self.validations = [event for event in self.validations if event.iteration <= iteration]
        self.stages = [event for event in self.stages if event.iteration <= iteration]
        self.iteration = iteration

    def series(self) -> dict[str, list[tuple[int, float]]]:
        """Name -> points (iteration, value): loss/..., validation/..., baseline/..., learning_rate, speed."""
        found: dict[str, list[tuple[int, float]]] = {}

        def put(name: str, iteration: int, value: float) -> None:
            found.setdefault(name, []).append((iteration, value))

        for event in self.progress:
            for name, value in event.losses.items():
                put(f"loss/{name}", event.iteration, value)
            put("learning_rate", event.iteration, event.learning_rate)
            put("gradient_norm", event.iteration, event.gradient_norm)
            put("iterations_per_second", event.iteration, event.iterations_per_second)
        for validation in self.validations:
            for name, value in validation.metrics.items():
                put(f"validation/{name}", validation.iteration, value)
            for name, value in validation.baseline.items():
                put(f"baseline/{name}", validation.iteration, value)
        return found


def read_story(events: Iterable[Event]) -> Story:
    story = Story()
    for event in events:
        story.add(event)
    return story


def write_csv(story: Story, path: Path) -> None:
    """One row an iteration, one column a series; empty where a series has no point."""
    series = story.series()
    names = sorted(series)
    rows: dict[int, dict[str, float]] = {}
    for name, points in series.items():
        for iteration, value in points:
            rows.setdefault(iteration, {})[name] = value
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["iteration", *names])
    for iteration in sorted(rows):
        writer.writerow(
            [iteration, *(repr(rows[iteration][name]) if name in rows[iteration] else "" for name in names)]
        )
    write_whole(path, lambda temporary: temporary.write_text(text.getvalue(), encoding="utf-8"))


PANEL = (900, 240)
MARGIN = (70, 16, 12, 28)
"""Left, top, right, bottom of a plot, in pixels."""


def write_png(story: Story, path: Path) -> None:
    """Total loss, validation scores with bicubic's as a grey line, learning rate: one panel below the other. Of long
    runs the mean is drawn over the single values."""
    series = story.series()
    scores = sorted(name for name in series if name.startswith("validation/"))
    wanted = ["loss/total", "loss/discriminator", *scores, "learning_rate"]
    panels = [name for name in wanted if series.get(name)]
    width, height = PANEL
    image = Image.new("RGB", (width, height * max(len(panels), 1)), "white")
    draw = ImageDraw.Draw(image)
    for number, name in enumerate(panels):
        baseline = series.get(name.replace("validation/", "baseline/")) if name.startswith("validation/") else None
        _plot(draw, number * height, name, series[name], baseline)
    write_whole(path, lambda temporary: image.save(temporary, "PNG"))


def _plot(
    draw: ImageDraw.ImageDraw,
    top: int,
    name: str,
    points: list[tuple[int, float]],
    baseline: list[tuple[int, float]] | None,
) -> None:
    left, above, right, below = MARGIN
    x0, x1 = left, PANEL[0] - right
    y0, y1 = top + above, top + PANEL[1] - below
    values = [value for _, value in points + (baseline or [])]
    low, high = min(values), max(values)
    largest = max(abs(low), abs(high))
    if high - low <= 1e-3 * largest:
        # As good as constant: a line in the middle, between two numbers that can be told apart.
        middle, room = (low + high) / 2, 0.05 * largest or 0.5
        low, high = middle - room, middle + room
    first, last = points[0][0], max(points[-1][0], points[0][0] + 1)

    def place(point: tuple[int, float]) -> tuple[float, float]:
        return (
            x0 + (x1 - x0) * (point[0] - first) / (last - first),
            y1 - (y1 - y0) * (point[1] - low) / (high - low),
        )

    draw.rectangle((x0, y0, x1, y1), outline="#cccccc")
    if baseline:
        draw.line([place(point) for point in baseline], fill="#999999", width=1)
    line = [place(point) for point in points]
    if len(line) > 2 * x1 - 2 * x0:
        # More points than can be told apart: each batch pale, and what they are in the mean.
        draw.line(line, fill="#c3d5f0", width=1)
        columns = (stretch_means(column, 100) for column in zip(*points, strict=True))
        draw.line([place((int(x), y)) for x, y in zip(*columns, strict=True)], fill="#1f5fbf", width=2)
    elif len(line) > 1:
        draw.line(line, fill="#1f5fbf", width=2)
    else:
        x, y = line[0]
        draw.ellipse((x - 2, y - 2, x + 2, y + 2), fill="#1f5fbf")
    draw.text((x0 + 6, y0 + 4), f"{name}   last {points[-1][1]:.5g}", fill="black")
    draw.text((4, y0), f"{high:.4g}", fill="#555555")
    draw.text((4, y1 - 10), f"{low:.4g}", fill="#555555")
    draw.text((x0, y1 + 6), str(first), fill="#555555")
    draw.text((x1 - 50, y1 + 6), str(points[-1][0]), fill="#555555")


def stretch_means(values: Sequence[float], count: int) -> list[float]:
    """`count` means of equal stretches; fewer values are spread out instead."""
    if len(values) <= count:
        repeats = count // len(values)
        return [value for value in values for _ in range(repeats)]
    edges = [round(place * len(values) / count) for place in range(count + 1)]
    return [sum(values[a:b]) / (b - a) for a, b in pairwise(edges)]


def tensorboard_file(story: Story, folder: Path) -> Path:
    """The event file of a run, named by its start as TensorBoard names them."""
    return folder / f"events.out.tfevents.{int(_begun(story))}.pellucid"


def _begun(story: Story) -> float:
    return story.started.time if story.started is not None else 0.0


def write_tensorboard(story: Story, path: Path) -> None:
    """One event file with every series as scalars."""
    begun = _begun(story)
    records = [_field(1, 1, struct.pack("<d", begun)) + _field(3, 2, b"brain.Event:2")]
    times = {event.iteration: event.time for event in story.progress}
    times.update({event.iteration: event.time for event in story.validations})
    for name, points in sorted(story.series().items()):
        for iteration, value in points:
            scalar = _field(1, 2, name.encode()) + _field(2, 5, struct.pack("<f", value))
            summary = _field(1, 2, scalar)
            event = (
                _field(1, 1, struct.pack("<d", times[iteration]))
                + _field(2, 0, _varint(iteration))
                + _field(5, 2, summary)
            )
            records.append(event)
    make_folder(path.parent)
    content = b"".join(_framed(record) for record in records)
    write_whole(path, lambda temporary: temporary.write_bytes(content))


def _varint(value: int) -> bytes:
    out = bytearray()
    while True:
        low, value = value & 0x7F, value >> 7
        out.append(low | (0x80 if value else 0))
        if not value:
            return bytes(out)


def _field(number: int, wire_type: int, payload: bytes) -> bytes:
    """A protocol-buffer field: 0 a varint, 1 eight bytes, 2 a length and bytes, 5 four bytes."""
    key = _varint(number << 3 | wire_type)
    return key + (_varint(len(payload)) if wire_type == 2 else b"") + payload


def _framed(record: bytes) -> bytes:
    """A TFRecord: length, its masked CRC-32C, the bytes, their masked CRC-32C."""
    length = struct.pack("<Q", len(record))
    return length + struct.pack("<I", _masked_crc(length)) + record + struct.pack("<I", _masked_crc(record))


def _crc_table() -> list[int]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


_CRC_TABLE = _crc_table()


def _masked_crc(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _CRC_TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF

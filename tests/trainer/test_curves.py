from __future__ import annotations

import csv
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine.wire_training import (
    Continued,
    Event,
    Finished,
    Paused,
    Progress,
    RolledBack,
    RunFailed,
    RunStarted,
    Validated,
)
from trainer.curves import (
    _masked_crc,
    read_story,
    stretch_means,
    tensorboard_file,
    write_csv,
    write_png,
    write_tensorboard,
)
from trainer.text_plot import BLOCKS, chart, draw_story


def started(iteration: int, resumed: bool = True) -> RunStarted:
    return RunStarted(
        time=1000.0, pid=1, version="0", resumed=resumed, iteration=iteration, images=0, iterations=100, device="cpu",
        precision="fp32", threads=1, workers=0, processes=1, parameters=1, pictures=1,
    )  # fmt: skip


def progress(iteration: int, loss: float) -> Progress:
    return Progress(
        time=1000.0 + iteration, stage=0, iteration=iteration, images=iteration, losses={"total": loss},
        learning_rate=1e-4, gradient_norm=1.0, iterations_per_second=2.0, loader_wait=0.0, memory_mb=1.0,
        seconds_left=9.0,
    )  # fmt: skip


def validated(iteration: int, psnr: float) -> Validated:
    return Validated(
        time=1.0, iteration=iteration, images=1, pictures=1, protocol="y", metrics={"psnr": psnr},
        baseline={"psnr": 20.0}, best=True,
    )  # fmt: skip


STORY: list[Event] = [
    started(0, False), progress(10, 0.5), progress(20, 0.4), validated(20, 21.0), progress(30, 9.0),
    started(20), progress(30, 0.3), progress(40, 7.0), validated(40, 1.0),
    RolledBack(time=1.0, iteration=30, abandoned=45, learning_rate_factor=0.5, reason="It went wrong."),
    progress(40, 0.2), validated(40, 22.0), Finished(time=1.0, iteration=40, seconds=1.0),
]  # fmt: skip


def test_stretches_that_became_void_are_taken_out() -> None:
    story = read_story(STORY)
    assert [(event.iteration, event.losses["total"]) for event in story.progress] == [
        (10, 0.5), (20, 0.4), (30, 0.3), (40, 0.2)
    ]  # fmt: skip
    assert [event.metrics["psnr"] for event in story.validations] == [21.0, 22.0]
    assert (story.state, story.iteration, story.warnings) == ("finished", 40, ["It went wrong."])


def test_a_failure_is_the_state_and_its_sentence() -> None:
    failure = RunFailed(time=1.0, iteration=3, code="config", message="No.", hint="Try.")
    story = read_story([started(0), failure])
    assert (story.state, story.sentence) == ("failed", "No. Try.")


def test_a_paused_run_stands_where_it_paused() -> None:
    paused = Paused(time=1.0, iteration=384)
    story = read_story([started(0, False), paused])
    assert (story.state, story.iteration) == ("paused", 384)
    story = read_story([started(0, False), paused, Continued(time=1.0, iteration=384)])
    assert (story.state, story.iteration) == ("running", 384)


def test_csv_has_a_row_an_iteration_and_a_column_a_series(tmp_path: Path) -> None:
    write_csv(read_story(STORY), tmp_path / "c.csv")
    with (tmp_path / "c.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["iteration"] for row in rows] == ["10", "20", "30", "40"]
    assert [row["loss/total"] for row in rows] == ["0.5", "0.4", "0.3", "0.2"]
    assert [row["validation/psnr"] for row in rows] == ["", "21.0", "", "22.0"]


def test_png_is_a_picture_with_something_on_it(tmp_path: Path) -> None:
    write_png(read_story(STORY), tmp_path / "c.png")
    with Image.open(tmp_path / "c.png") as image:
        assert image.size == (900, 720)
        assert len(image.getcolors(1 << 20) or []) > 3


def test_the_mean_of_a_long_noisy_curve_is_a_line_through_it(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).random(4000)
    write_png(read_story([started(0, False), *(progress(i, float(noise[i])) for i in range(4000))]), tmp_path / "c.png")
    with Image.open(tmp_path / "c.png") as image:
        panel = np.asarray(image)[:240, 80:880].astype(int)
    strong = (np.abs(panel - (0x1F, 0x5F, 0xBF)).sum(2) < 30).any(1).nonzero()[0]
    pale = (np.abs(panel - (0xC3, 0xD5, 0xF0)).sum(2) < 30).any(1).nonzero()[0]
    assert pale.max() - pale.min() > 150, "single values go from end to end"
    assert strong.max() - strong.min() < 60, "their mean does not"


def test_the_checksum_is_crc_32c() -> None:
    crc = 0xE3069283  # of "123456789", by the standard
    assert _masked_crc(b"123456789") == ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def read_fields(data: bytes) -> dict[int, bytes | int]:
    """A protocol-buffer message, one value a field: enough for a scalar event."""
    fields: dict[int, bytes | int] = {}
    place = 0

    def varint() -> int:
        nonlocal place
        value = shift = 0
        while True:
            byte = data[place]
            place += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                return value

    while place < len(data):
        key = varint()
        match key & 7:
            case 0:
                fields[key >> 3] = varint()
            case kind:
                length = {1: 8, 5: 4}.get(kind) or varint()
                fields[key >> 3] = data[place : place + length]
                place += length
    return fields


def test_tensorboard_files_hold_every_point(tmp_path: Path) -> None:
    story = read_story(STORY)
    path = tensorboard_file(story, tmp_path / "tb")
    write_tensorboard(story, path)
    data, place, points = path.read_bytes(), 0, []
    while place < len(data):
        (length,) = struct.unpack_from("<Q", data, place)
        event = read_fields(data[place + 12 : place + 12 + length])
        place += 16 + length
        if 5 in event:
            value = read_fields(read_fields(event[5])[1])
            points.append((value[1], event[2], struct.unpack("<f", value[2])[0]))
    assert place == len(data)
    totals = [(step, number) for name, step, number in points if name == b"loss/total"]
    assert totals == [(10, 0.5), (20, pytest.approx(0.4)), (30, pytest.approx(0.3)), (40, pytest.approx(0.2))]


def test_the_text_plot_says_how_it_stands() -> None:
    text = draw_story(read_story(STORY), width=60)
    assert "finished  40/100" in text
    assert "40% │" in text
    assert "loss/total 0.2" in text
    assert "bicubic" in text
    assert "! It went wrong." in text
    assert max(len(line) for line in text.splitlines()) <= 80


@pytest.mark.parametrize("lines", [1, 9, 14, 18, 60])
def test_the_text_plot_keeps_to_the_lines_there_are(lines: int) -> None:
    story = read_story(STORY)
    drawn = draw_story(story, 60, lines).split("\n")
    assert len(drawn) <= lines
    assert drawn[0].startswith("finished  40/100")
    assert (drawn[-1] == "! It went wrong.") == (lines >= 14), "lower charts, rather than none of the warnings"


def test_a_chart_falls_where_its_values_fall() -> None:
    lines = chart([3.0, 2.0, 1.0, 0.0], 4, 3, 0.0, 3.0)
    assert len(lines) == 3
    assert [line[:12].strip(" │") for line in lines] == ["3", "", "0"]
    tall = [sum(BLOCKS.index(line[12 + column]) for line in lines) for column in range(4)]
    assert tall == sorted(tall, reverse=True)
    assert tall[0] == 24
    assert tall[-1] == 1


def test_many_values_become_means_of_equal_stretches() -> None:
    assert stretch_means([1.0, 3.0, 5.0, 7.0], 2) == [2.0, 6.0]
    assert stretch_means([1.0, 2.0], 5) == [1.0, 1.0, 2.0, 2.0]

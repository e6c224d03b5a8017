"""A training is followed from its folder alone: from any point, after any crash, with a torn last line."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from engine import wire_training as training
from gui.run_tail import SLICE_SECONDS, RunTail, TailReader, is_alive, run_folders, send_command
from gui.run_watch import RunWatch
from gui.state import run as runs
from gui.widgets.loss_plot import Curve, LossPlot, _columns, _smooth


def started(iteration: int = 0, resumed: bool = False) -> training.RunStarted:
    return training.RunStarted(
        time=1.0, pid=1, version="0", resumed=resumed, iteration=iteration, images=0, iterations=100, device="cpu",
        precision="bf16", threads=1, workers=0, processes=1, parameters=9, pictures=3,
    )  # fmt: skip


def progress(iteration: int, loss: float = 0.5) -> training.Progress:
    return training.Progress(
        time=1.0, stage=0, iteration=iteration, images=iteration, losses={"total": loss}, learning_rate=1e-4,
        gradient_norm=1.0, iterations_per_second=2.0, loader_wait=0.0, memory_mb=100.0, seconds_left=5.0,
    )  # fmt: skip


def make(folder: Path, *events: training.Event) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / training.CONFIG_FILE).write_text(training.format_config(training.TrainingConfig()))
    with (folder / training.EVENTS_FILE).open("ab") as file:
        file.writelines(training.encode_event(event) for event in events)
    return folder


def test_points_beyond_a_roll_back_or_a_resumption_are_void() -> None:
    run = runs.fresh()
    events: list[training.Event] = [started(), *(progress(n) for n in range(1, 51))]
    events.append(training.RolledBack(time=1.0, iteration=20, abandoned=50, learning_rate_factor=0.5, reason="NaN"))
    events += [progress(n) for n in range(21, 31)]
    events += [started(25, resumed=True), progress(26)]
    for event in events:
        run = runs.reduce(run, event)
    assert run.curves["total"].x.tolist() == [*range(1, 26), 26]
    assert [sentence.kind for sentence in run.sentences] == ["started", "rolled-back", "resumed"]


def test_a_paused_run_stands_where_it_paused() -> None:
    run = runs.reduce(runs.reduce(runs.fresh(), started()), training.Paused(time=1.0, iteration=384))
    assert (run.status, run.iteration) == ("paused", 384)
    run = runs.reduce(run, training.Continued(time=1.0, iteration=384))
    assert (run.status, run.iteration) == ("running", 384)


def test_a_series_grows_and_is_cut_like_a_list() -> None:
    series, plain = runs.Series(), []
    for n in range(1000):
        series.append(n, n * n)
        plain.append((float(n), float(n * n)))
        if n % 300 == 299:
            series.cut_after(n - 50)
            plain = [pair for pair in plain if pair[0] <= n - 50]
    assert list(zip(series.x.tolist(), series.y.tolist(), strict=True)) == plain


def test_two_runs_do_not_share_their_curves() -> None:
    one = runs.reduce(runs.reduce(runs.fresh(), started()), progress(1))
    assert one.curves and not runs.fresh().curves


def test_events_are_followed_while_they_are_written_and_a_torn_line_waits(qtbot: QtBot, tmp_path: Path) -> None:
    folder = make(tmp_path / "run", started(), progress(1))
    tail, reader = RunTail(folder), TailReader()
    reader.add(tail)
    reader.follow()
    assert tail.run.iteration == 1
    line = training.encode_event(progress(2))
    with (folder / training.EVENTS_FILE).open("ab", buffering=0) as file:
        file.write(line[:20])
        tail.read(time.monotonic() + 1)
        assert tail.run.iteration == 1
        file.write(line[20:] + b"garbage\n" + training.encode_event(progress(3)))
    qtbot.waitUntil(lambda: tail.run.iteration == 3, timeout=5000)
    reader.rest()


def test_long_histories_are_read_in_short_slices_however_many_there_are(qtbot: QtBot, tmp_path: Path) -> None:
    events = [started(), *(progress(n) for n in range(1, 8001))]
    tails = [RunTail(make(tmp_path / f"run-{n}", *events)) for n in range(4)]
    reader, slices = TailReader(), []
    original = reader._turn

    def timed() -> None:
        before = time.thread_time()
        original()
        slices.append(time.thread_time() - before)

    reader._timer.timeout.disconnect()
    reader._timer.timeout.connect(timed)
    for tail in tails:
        reader.add(tail)
    assert all(0 < tail.run.iteration < 8000 for tail in tails), "the first slice of each is there at once"
    reader.follow()
    qtbot.waitUntil(lambda: all(tail.run.iteration == 8000 for tail in tails), timeout=20000)
    assert max(slices) < SLICE_SECONDS + 0.02
    reader.remove(tails[0])
    reader.rest()


@pytest.mark.skipif(sys.platform == "win32", reason="the lock is asked differently there")
def test_a_run_lives_as_long_as_its_lock_is_held(qtbot: QtBot, tmp_path: Path) -> None:
    import fcntl

    folder = make(tmp_path / "run", started(), progress(5))
    assert not is_alive(folder)
    tail = RunTail(folder)
    tail.read(time.monotonic() + 1)
    assert tail.status == "crashed"
    with (folder / training.LOCK_FILE).open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        tail.read(time.monotonic() + 1)
        assert tail.status == "running"
    assert not is_alive(folder)


def test_commands_are_numbered_and_whole(tmp_path: Path) -> None:
    folder = make(tmp_path / "run")
    for command in (training.PauseRun(), training.ContinueRun(), training.StopRun()):
        send_command(folder, command)
    files = sorted((folder / training.CONTROL_FOLDER).iterdir())
    assert [path.name for path in files] == ["00000001.json", "00000002.json", "00000003.json"]
    assert training.decode_command(files[2].read_bytes()) == training.StopRun()


def test_runs_are_listed_in_the_order_they_were_begun_and_other_folders_left_out(tmp_path: Path) -> None:
    old, new = make(tmp_path / "old", started()), make(tmp_path / "new", started())
    os.utime(old / training.CONFIG_FILE, (1, 1))
    (tmp_path / "other").mkdir()
    assert run_folders(tmp_path) == [new, old]
    assert run_folders(tmp_path / "none") == []


def test_pixel_columns_hold_the_least_the_most_and_the_mean() -> None:
    dice = np.random.default_rng(1)
    x, y = np.arange(5000.0), dice.normal(size=5000)
    y[17] = np.nan
    columns = _columns(Curve("c", x, y), (0.0, 4999.0), 100, 0.0)
    place = (x * (100 / 4999.0)).astype(int)
    for number, column in enumerate(sorted(set(place))):
        values = y[(place == column) & np.isfinite(y)]
        assert columns.low[number] == values.min()
        assert columns.high[number] == values.max()
        assert columns.mean[number] == pytest.approx(values.mean())


@pytest.mark.parametrize("shown", [(5000.2, 5000.3), (5000.0, 5000.0000001), (-9.0, -8.0), (20000.0, 20001.0)])
def test_a_curve_zoomed_into_the_gap_between_two_points_costs_no_more(shown: tuple[float, float]) -> None:
    x = np.arange(0.0, 10001.0, 1000.0)
    columns = _columns(Curve("c", x, x), shown, 900, 0.0)
    assert len(columns.x) <= 3
    inside = columns.x[(columns.x >= 0) & (columns.x <= 900)]
    assert len(inside) == (1 if shown[0] == 5000.0 else 0)


def test_the_curves_are_zoomed_to_single_iterations_and_no_further(qtbot: QtBot) -> None:
    plot = LossPlot()
    qtbot.addWidget(plot)
    plot.set_curves([Curve("c", np.array([0.0, 1e6]), np.array([1.0, 2.0]))])
    for _ in range(200):
        plot._zoom(1.25, 0.4)
    low, high = plot._shown_range()
    assert high - low == pytest.approx(1.0)


def test_smoothing_keeps_a_constant_and_starts_at_the_first_value() -> None:
    assert _smooth(np.full(50, 3.0), 0.9) == pytest.approx(np.full(50, 3.0))
    assert _smooth(np.array([5.0, 1.0, 1.0, 1.0]), 0.9)[0] == 5.0


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("values", [[], [1.0], [0.0, 0.0], [np.nan, np.nan], [1e-9, 1e9], [-1.0, -2.0, 3.0]])
def test_any_curve_can_be_drawn(qtbot: QtBot, values: list[float], log: bool) -> None:
    plot = LossPlot()
    qtbot.addWidget(plot)
    plot.resize(400, 300)
    plot.set_log(log)
    plot.set_curves([Curve("c", np.arange(float(len(values))), np.array(values, float))])
    assert not plot.grab().isNull()
    assert plot.as_csv().count("\n") == 1 + len(values)


def test_a_hundred_thousand_points_are_drawn_in_a_few_milliseconds(qtbot: QtBot) -> None:
    plot = LossPlot()
    qtbot.addWidget(plot)
    plot.resize(960, 400)
    plot.set_curves([Curve("c", np.arange(1e5), np.random.default_rng(0).normal(size=100_000))])
    plot.grab()
    took = []
    for _frame in range(9):
        before = time.thread_time()
        plot.grab()
        took.append(time.thread_time() - before)
    assert sorted(took)[4] < 0.04


@pytest.mark.skipif(sys.platform == "win32", reason="the lock is asked differently there")
@pytest.mark.parametrize(
    ("last", "status"),
    [
        (training.Finished(time=1.0, iteration=9, seconds=1.0), "finished"),
        (training.RunFailed(time=1.0, iteration=9, code="disk-full", message="No room.", hint=""), "failed"),
        (None, "crashed"),
    ],
)
def test_the_end_of_a_training_is_heard_without_reading_it(
    qtbot: QtBot, tmp_path: Path, last: training.Event | None, status: str
) -> None:
    import fcntl

    folder = make(tmp_path / "run", started(), *(progress(n) for n in range(1, 1000)))
    make(tmp_path / "over", started(), training.Finished(time=1.0, iteration=9, seconds=1.0))
    watch = RunWatch(tmp_path)
    heard: list[tuple[str, str]] = []
    watch.ended.connect(lambda path, how: heard.append((path, how)))
    with (folder / training.LOCK_FILE).open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        watch.look()
        watch.look()
        assert heard == []
        make(folder, *([last] if last else []))
    watch.look()
    watch.look()
    assert heard == [(str(folder), status)]

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from engine.errors import PellucidError
from engine.wire_training import (
    ContinueRun,
    PauseRun,
    StopRun,
    TrainingConfig,
    Warned,
    decode_event,
    decode_lock,
    encode_event,
)
from trainer import rundir
from trainer.rundir import RunFolder, RunOwner


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    run = RunFolder(tmp_path / "läuft 🎞")
    run.create(TrainingConfig(name="x"))
    return run


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rundir, "LOCK_SECONDS", 0.2)


def test_the_configuration_is_written_whole_and_never_again(folder: RunFolder) -> None:
    assert folder.config() == TrainingConfig(name="x")
    with pytest.raises(PellucidError, match="already holds a run"):
        folder.create(TrainingConfig())
    assert folder.config().name == "x"


def test_a_folder_that_is_no_run_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(PellucidError, match="is not a run"):
        RunFolder(tmp_path).config()


def test_one_process_at_a_time_owns_a_run(folder: RunFolder) -> None:
    assert folder.owner() is None
    with RunOwner(folder) as owner:
        owner.tell_device("cpu")
        info = folder.owner()
        assert info is not None
        assert (info.pid, info.device) == (os.getpid(), "cpu")
        assert info.started == pytest.approx(psutil.Process().create_time())
        with pytest.raises(PellucidError, match=f"process {os.getpid()}"), RunOwner(folder):
            pass
    assert folder.owner() is None


def test_a_killed_owner_frees_the_run(folder: RunFolder) -> None:
    code = (
        "import sys, time; from pathlib import Path; from trainer.rundir import *;"
        "owner = RunOwner(RunFolder(Path(sys.argv[1]))); owner.__enter__(); print('in', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(folder.path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "in\n"
    held = folder.owner()
    assert held is not None
    assert held.pid == process.pid
    process.kill()
    process.wait()
    process.stdout.close()
    assert folder.owner() is None
    with RunOwner(folder):
        pass


def test_the_heart_beats(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rundir, "HEARTBEAT_SECONDS", 0.05)
    with RunOwner(folder):
        first = decode_lock(folder.lock_file.read_bytes()).heartbeat
        deadline = time.monotonic() + 5
        while decode_lock(folder.lock_file.read_bytes()).heartbeat == first and time.monotonic() < deadline:
            time.sleep(0.02)
        assert decode_lock(folder.lock_file.read_bytes()).heartbeat > first
        assert folder.lock_file.stat().st_size == 512


def test_events_are_appended_and_read_from_any_offset(folder: RunFolder) -> None:
    with RunOwner(folder) as owner:
        for number in range(5):
            owner.append(Warned(time=number, text=f"n{number}"))
    events = list(folder.events())
    assert [event.text for event, _ in events if isinstance(event, Warned)] == ["n0", "n1", "n2", "n3", "n4"]
    assert [event.time for event, _ in folder.events(events[2][1])] == [3, 4]


@pytest.mark.parametrize("cut", range(1, 30, 4))
def test_a_torn_last_line_is_cut_off_and_a_whole_one_completed(folder: RunFolder, cut: int) -> None:
    whole, last = encode_event(Warned(time=1, text="a")), encode_event(Warned(time=2, text="b"))
    folder.events_file.write_bytes(whole + last[:-cut])
    assert [event.time for event, _ in folder.events()] == [1]
    with RunOwner(folder) as owner:
        owner.append(Warned(time=3, text="c"))
    expected = [1, 2, 3] if cut == 1 else [1, 3]
    assert [event.time for event, _ in folder.events()] == expected
    assert all(decode_event(line) for line in folder.events_file.read_bytes().splitlines())


def test_a_file_of_one_torn_line_becomes_empty(folder: RunFolder) -> None:
    folder.events_file.write_bytes(b'{"type":"Warned","ti')
    with RunOwner(folder):
        pass
    assert folder.events_file.read_bytes() == b""


def test_lines_that_are_no_event_are_passed_over(folder: RunFolder) -> None:
    good = encode_event(Warned(time=1, text="a"))
    folder.events_file.write_bytes(b"garbage\n" + good + b"\xff\xfe\n" + json.dumps({"type": "New"}).encode() + b"\n")
    assert [event.time for event, _ in folder.events()] == [1]


def test_commands_arrive_in_their_order_and_once(folder: RunFolder) -> None:
    numbers = [folder.send(command) for command in (PauseRun(), ContinueRun(), StopRun())]
    assert numbers == [1, 2, 3]
    (folder.control / "00000004.json").write_bytes(b"{}")
    assert folder.take_commands() == [(1, PauseRun()), (2, ContinueRun()), (3, StopRun()), (4, None)]
    assert folder.take_commands() == []


def test_commands_of_many_senders_do_not_overwrite_each_other(folder: RunFolder) -> None:
    threads = [threading.Thread(target=folder.send, args=(PauseRun(),)) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(folder.take_commands()) == 12


def test_what_was_asked_of_an_earlier_process_is_dropped(folder: RunFolder) -> None:
    folder.send(StopRun())
    os.utime(folder.control / "00000001.json", (1, 1))
    folder.send(PauseRun())
    folder.drop_stale_commands()
    assert [command for _, command in folder.take_commands()] == [PauseRun()]


def test_the_newest_whole_checkpoint_is_found_past_damaged_ones(folder: RunFolder) -> None:
    for iteration in (10, 20, 30):
        folder.save(iteration, {"at": iteration}, keep=3)
    path = folder.checkpoints / "00000030.safetensors"
    path.write_bytes(path.read_bytes()[:-3])
    state, problems = folder.load_latest()
    assert state == {"at": 20}
    assert len(problems) == 1
    assert "00000030" in problems[0]


def test_old_checkpoints_go_and_the_newest_stay(folder: RunFolder) -> None:
    for iteration in range(1, 6):
        folder.save(iteration, {"at": iteration}, keep=2)
    assert [int(path.stem) for path in folder.checkpoint_files()] == [5, 4]


def test_what_a_crash_left_half_written_is_cleared_away(folder: RunFolder) -> None:
    for iteration in (10, 20):
        folder.save(iteration, {"at": iteration}, keep=9)
    for name in (".00000030.safetensors.7.part", ".x.tmp"):
        (folder.checkpoints / name).write_bytes(b"half")
    folder.clear_up(20)
    assert sorted(path.name for path in folder.checkpoints.iterdir()) == [
        "00000010.safetensors",
        "00000020.safetensors",
    ]


def test_checkpoints_after_the_last_good_one_go_when_a_run_returns_to_it(folder: RunFolder) -> None:
    for iteration in (10, 20, 30):
        folder.save(iteration, {"at": iteration}, keep=9)
    assert folder.load_latest(at_most=25)[0] == {"at": 20}
    folder.drop_later(20)
    assert [int(path.stem) for path in folder.checkpoint_files()] == [20, 10]


def test_the_newest_checkpoint_up_to_the_last_good_validation_is_never_dropped(folder: RunFolder) -> None:
    for iteration in range(1, 9):
        folder.save(iteration, {"at": iteration}, keep=2, good=3)
    assert [int(path.stem) for path in folder.checkpoint_files()] == [8, 7, 3]


def test_a_damaged_checkpoint_is_put_aside_and_not_deleted(folder: RunFolder) -> None:
    for iteration in (10, 20):
        folder.save(iteration, {"at": iteration}, keep=9)
    (folder.checkpoints / "00000020.safetensors").write_bytes(b"")
    folder.clear_up(10)
    assert sorted(path.name for path in folder.checkpoints.iterdir()) == ["00000010.safetensors", "00000020.damaged"]


def test_a_run_whose_checkpoints_are_all_damaged_is_refused_and_left_as_it_is(folder: RunFolder) -> None:
    folder.save(10, {"at": 10}, keep=9)
    path = folder.checkpoints / "00000010.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(PellucidError, match="None of the run's checkpoints can be read"):
        folder.load_latest()
    assert path.exists()


def test_a_checkpoint_of_another_format_is_refused_and_no_older_one_used(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.save(10, {"at": 10}, keep=9)
    with monkeypatch.context() as patch:
        patch.setattr("trainer.checkpoint.FORMAT", 2)
        folder.save(20, {"at": 20}, keep=9)
    with pytest.raises(PellucidError, match="format 2"):
        folder.load_latest()


def test_a_checkpoint_that_cannot_be_reached_is_not_taken_for_damaged(folder: RunFolder) -> None:
    folder.save(10, {"at": 10}, keep=9)
    (folder.checkpoints / "00000020.safetensors").mkdir()
    with pytest.raises(PellucidError, match="cannot be read"):
        folder.load_latest()

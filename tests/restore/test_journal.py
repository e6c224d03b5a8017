"""A queue that is cut off can be read back, however its journal was cut, from anywhere, and no other one spoils it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import psutil
import pytest

from engine.errors import Code, PellucidError
from engine.journal import Journal, Unfinished, read_journal, take_over
from engine.wire import RestoreOptions, RestoreRequest

HERE = Path.cwd()
REQUESTS = [RestoreRequest(job=str(n), source=str(HERE / f"ä{n}\udcff.png"), target=str(HERE)) for n in range(5)]
"""Names as they come from old disks: the byte after the number is no UTF-8."""


def cut_off(folder: Path, ended: list[str], requests: list[RestoreRequest] = REQUESTS) -> Path:
    before = set(folder.glob("*.jsonl"))
    with pytest.raises(RuntimeError, match="power"), Journal(folder, requests) as journal:
        for job in ended:
            journal.end(job)
        raise RuntimeError("power cut")
    (made,) = set(folder.glob("*.jsonl")) - before
    return made


def sources(folder: Path) -> list[str]:
    return [request.source for request in take_over(folder).requests]


def of_process(journal: Path, process: int) -> Path:
    """The journal, had that process written it."""
    machine = journal.stem.split("-")[2]
    return journal.rename(journal.with_name(f"restore-queue-{machine}-{process}-00000000.jsonl"))


def test_what_had_not_ended_comes_back_in_order(tmp_path: Path) -> None:
    journal = cut_off(tmp_path, ["1", "3"])
    assert read_journal(journal) == [REQUESTS[0], REQUESTS[2], REQUESTS[4]]
    assert sources(tmp_path) == [REQUESTS[n].source for n in (0, 2, 4)]


def test_a_queue_that_ended_leaves_nothing_and_one_that_did_not_stays(tmp_path: Path) -> None:
    with Journal(tmp_path, REQUESTS) as journal:
        for request in REQUESTS[1:]:
            journal.end(request.job)
    assert sources(tmp_path) == [REQUESTS[0].source]
    with Journal(tmp_path, REQUESTS[:1], instead_of=take_over(tmp_path)) as journal:
        journal.end("0")
    assert not list(tmp_path.iterdir())


def test_a_journal_cut_at_any_byte_is_read_without_error(tmp_path: Path) -> None:
    path = cut_off(tmp_path, ["0", "1", "2"])
    whole = path.read_bytes()
    for length in range(0, len(whole), 13):
        path.write_bytes(whole[:length] + b"\xff\x00garbage")
        assert {request.job for request in read_journal(path)} <= {"0", "1", "2", "3", "4"}


def test_another_queue_spoils_no_older_journal_and_all_come_back_as_one(tmp_path: Path) -> None:
    os.utime(cut_off(tmp_path, ["0", "1", "2"]), (1e9, 1e9))
    other = RestoreRequest(job="3", source=str(HERE / "other.png"), target=str(HERE))
    with Journal(tmp_path, [other]) as journal:
        journal.end("3")
    cut_off(tmp_path, [], [other])
    left = take_over(tmp_path)
    assert [request.source for request in left.requests] == [REQUESTS[3].source, REQUESTS[4].source, other.source]
    assert [request.job for request in left.requests] == ["1", "2", "3"], "every job has a name of its own"
    cut_off_again = Journal(tmp_path, left.requests, instead_of=left)
    assert len(list(tmp_path.iterdir())) == 1
    cut_off_again._file.close()
    assert take_over(tmp_path).requests == left.requests


def test_what_stands_in_two_journals_is_done_once(tmp_path: Path) -> None:
    cut_off(tmp_path, ["0", "1", "2", "3"])
    cut_off(tmp_path, [], [msgspec.structs.replace(REQUESTS[4], job="1")])
    assert sources(tmp_path) == [REQUESTS[4].source]


def test_nothing_is_removed_before_the_new_journal_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cut_off(tmp_path, [])

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    left = take_over(tmp_path)
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(PellucidError) as caught:
        Journal(tmp_path, left.requests, instead_of=left)
    assert caught.value.code is Code.DISK_FULL
    assert take_over(tmp_path).requests == left.requests
    assert len(list(tmp_path.iterdir())) == 1


def test_a_process_at_work_keeps_its_journal_and_a_younger_one_of_its_number_does_not(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        journal = of_process(cut_off(tmp_path, []), process.pid)
        assert sources(tmp_path) == []
        before = psutil.Process(process.pid).create_time() - 100
        os.utime(journal, (before, before))
        assert len(sources(tmp_path)) == 5
        (taken,) = tmp_path.iterdir()
        journal = of_process(taken, process.pid)
        assert sources(tmp_path) == []
        process.communicate(b"\n")
    assert len(sources(tmp_path)) == 5


TAKES = """
import sys
from pathlib import Path
from engine.journal import take_over
print("ready", flush=True)
input()
print(len(take_over(Path(sys.argv[1])).requests), flush=True)
input()
"""


def test_of_several_that_go_on_at_once_one_gets_the_list(tmp_path: Path) -> None:
    words = [sys.executable, "-c", TAKES, str(tmp_path)]
    for _ in range(3):
        for file in tmp_path.iterdir():
            file.unlink()
        of_process(cut_off(tmp_path, []), 2**22 + 1)  # no process has this number
        takers = [
            subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
            for _ in range(3)
        ]
        for word in ("ready", None):
            heard = [taker.stdout.readline().strip() for taker in takers if taker.stdout]
            if word is None:
                assert sorted(heard) == ["0", "0", "5"]
            for taker in takers:
                assert taker.stdin
                taker.stdin.write("\n")
        for taker in takers:
            taker.communicate()
        assert len(sources(tmp_path)) == 5, "whoever has taken it is gone"


def test_whoever_is_a_moment_late_gets_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = cut_off(tmp_path, [])
    make_young = os.utime

    def then_another_takes_it(file: Path) -> None:
        make_young(file)
        file.rename(tmp_path / "taken")

    monkeypatch.setattr(os, "utime", then_another_takes_it)
    assert take_over(tmp_path) == Unfinished()
    assert not journal.exists()


def test_a_folder_that_cannot_be_written_lets_its_lists_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = cut_off(tmp_path, [])

    def refuse(*_: object) -> None:
        raise PermissionError(30, "Read-only file system")

    monkeypatch.setattr(os, "utime", refuse)
    assert take_over(tmp_path).files == (journal,)


def test_the_journal_of_an_earlier_release_is_read(tmp_path: Path) -> None:
    old = cut_off(tmp_path, ["0"]).rename(tmp_path / "restore-queue.jsonl")
    assert sources(tmp_path) == [request.source for request in REQUESTS[1:]]
    assert not old.exists()


def test_paths_are_the_same_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    options = RestoreOptions(model="mine.safetensors", partner="vivid")
    state = tmp_path / "state"
    cut_off(state, [], [RestoreRequest(job="1", source="in/a.png", target="out", root="in", options=options)])
    monkeypatch.chdir(tmp_path)
    (request,) = take_over(state).requests
    here = tmp_path / "here"
    assert [request.source, request.target, request.root] == [
        str(here / "in/a.png"),
        str(here / "out"),
        str(here / "in"),
    ]
    assert request.options == msgspec.structs.replace(options, model=str(here / "mine.safetensors"))


def test_a_journal_that_cannot_be_removed_is_no_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def held(*_: object, **__: object) -> None:
        raise PermissionError(13, "The process cannot access the file because it is being used by another process")

    monkeypatch.setattr(Path, "unlink", held)
    with Journal(tmp_path, REQUESTS[:1]) as journal:
        journal.end("0")
    assert sources(tmp_path) == []

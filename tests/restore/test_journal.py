"""A queue that is cut off can be read back, however its journal was cut."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.journal import Journal, unfinished
from engine.wire import RestoreRequest

REQUESTS = [RestoreRequest(job=str(n), source=f"ä{n}\udcff.png", target="out") for n in range(5)]
"""Names as they come from old disks: the byte after the number is no UTF-8."""


def cut_off(path: Path, ended: list[str]) -> None:
    with pytest.raises(RuntimeError, match="power"), Journal(path, REQUESTS) as journal:
        for job in ended:
            journal.end(job)
        raise RuntimeError("power cut")


def test_what_had_not_ended_comes_back_in_order(tmp_path: Path) -> None:
    cut_off(tmp_path / "j", ["1", "3"])
    assert unfinished(tmp_path / "j") == [REQUESTS[0], REQUESTS[2], REQUESTS[4]]


def test_a_queue_that_ended_well_leaves_nothing(tmp_path: Path) -> None:
    with Journal(tmp_path / "j", REQUESTS):
        pass
    assert not (tmp_path / "j").exists()
    assert unfinished(tmp_path / "j") == []


def test_a_journal_cut_at_any_byte_is_read_without_error(tmp_path: Path) -> None:
    path = tmp_path / "j"
    cut_off(path, ["0", "1", "2"])
    whole = path.read_bytes()
    for length in range(0, len(whole), 13):
        path.write_bytes(whole[:length] + b"\xff\x00garbage")
        jobs = [request.job for request in unfinished(path)]
        assert set(jobs) <= {"0", "1", "2", "3", "4"}

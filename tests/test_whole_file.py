"""Files are there whole, or as they were before."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from engine.errors import Code, PellucidError
from engine.partial import machine_tag
from engine.whole_file import make_folder, write_whole

ROOT = Path(__file__).parents[1]


def test_a_file_takes_its_place_with_the_rights_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(b"")
    write_whole(tmp_path / "a.csv", lambda partial: partial.write_bytes(b"whole"))
    assert (tmp_path / "a.csv").read_bytes() == b"whole"
    assert (tmp_path / "a.csv").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize(
    ("number", "code", "words"),
    [
        (errno.ENOSPC, Code.DISK_FULL, "The disk is full"),
        (errno.EDQUOT, Code.DISK_FULL, "The disk is full"),
        (errno.EACCES, Code.FILE_UNWRITABLE, "cannot be written"),
    ],
)
def test_a_failed_write_leaves_the_old_file_and_no_rubbish(number: int, code: Code, words: str, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("old")

    def fail(partial: Path) -> None:
        partial.write_bytes(b"half of it")
        raise OSError(number, "no")

    with pytest.raises(PellucidError, match=words) as caught:
        write_whole(path, fail)
    assert caught.value.code is code
    assert str(path) in caught.value.message
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_interrupt_leaves_the_old_file_and_no_rubbish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "t.csv"
    path.write_text("old")

    def interrupt(_descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_whole(path, lambda partial: partial.write_bytes(b"new"))
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at /proc")
def test_a_disk_that_cannot_sync_folders_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, sync = tmp_path / "t.csv", os.fsync

    def sync_files_only(descriptor: int) -> None:
        if Path(f"/proc/self/fd/{descriptor}").is_dir():
            raise OSError(errno.EINVAL, "no")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", sync_files_only)
    write_whole(path, lambda partial: partial.write_bytes(b"new"))
    assert path.read_bytes() == b"new"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no kill -9")
def test_what_a_killed_process_has_left_is_removed_by_the_next_one(tmp_path: Path) -> None:
    kill = "import os; os.kill(os.getpid(), 9)"
    program = f"from engine.whole_file import write_whole; from pathlib import Path\ndef die(p): p.touch(); {kill}\n"
    subprocess.run([sys.executable, "-c", f"{program}write_whole(Path({str(tmp_path / 'a')!r}), die)"], cwd=ROOT)
    assert [path.suffix for path in tmp_path.iterdir()] == [".part"]
    write_whole(tmp_path / "b", lambda partial: partial.write_bytes(b"whole"))
    assert list(tmp_path.iterdir()) == [tmp_path / "b"]


def test_a_name_as_long_as_names_may_be_is_written(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 251 + ".csv")
    write_whole(path, lambda partial: partial.write_bytes(b"whole"))
    assert path.read_bytes() == b"whole"


def test_a_folder_below_a_file_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PellucidError, match="cannot be written") as caught:
        make_folder(tmp_path / "file" / "below")
    assert caught.value.code is Code.FILE_UNWRITABLE


def test_a_folder_is_looked_through_once_a_minute_not_once_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, list_folder, now = [], os.scandir, time.monotonic()

    def count(folder: str) -> object:
        looks.append(folder)
        return list_folder(folder)

    monkeypatch.setattr(os, "scandir", count)
    for minutes in (0, 0.001, 0.002, 2, 2.001):
        monkeypatch.setattr(time, "monotonic", lambda after=minutes: now // 60 * 60 + 60 * after)
        write_whole(tmp_path / "a", lambda partial: partial.write_bytes(b""))
    assert looks == [str(tmp_path)] * 2
    left = tmp_path / f".pellucid-{machine_tag()}-{2**22 + 5}-0123456789ab.part"
    left.touch()
    monkeypatch.setattr(time, "monotonic", lambda: now + 600)
    write_whole(tmp_path / "a", lambda partial: partial.write_bytes(b""))
    assert not left.exists()

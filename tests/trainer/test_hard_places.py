"""Disks that are full, and folders that may not be written to: a sentence each time, and nothing saved is lost."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.errors import Code, PellucidError
from engine.wire_training import CheckpointSaved, Event, Finished, RunFailed, TrainingConfig
from tests.small_disk import fill, mount, mounted_small_disk
from tests.trainer.test_resume import check_identical, final_state, train
from tests.trainer.tiny import tiny_config
from trainer.rundir import RunFolder
from trainer.worker import work

MIB = 1 << 20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with mounted_small_disk(tmp_path / "disk") as place:
        yield place


def config_of_half_a_mebibyte(photos: Path) -> TrainingConfig:
    import msgspec

    config = tiny_config(photos)
    model = msgspec.structs.replace(config.model, arguments={"features": 32, "convolutions": 2})
    data = msgspec.structs.replace(config.data, cache_mb=0)
    return msgspec.structs.replace(config, model=model, data=data)


def when_saved_at(iteration: int, act: Callable[[], object]) -> Callable[[Event], None]:
    def hear(event: Event) -> None:
        if isinstance(event, CheckpointSaved) and event.iteration == iteration:
            act()

    return hear


def test_a_disk_that_fills_up_is_told_in_the_events_and_costs_nothing_that_was_saved(
    photos: Path, small_disk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = config_of_half_a_mebibyte(photos)
    undisturbed, run = RunFolder(tmp_path / "undisturbed"), RunFolder(small_disk / "run")
    undisturbed.create(config)
    run.create(config)
    assert work(run.path, when_saved_at(3, lambda: fill(small_disk))) == 1
    assert "disk is full" in capsys.readouterr().err
    last = [event for event, _ in run.events()][-1]
    assert isinstance(last, RunFailed)
    assert last.code == Code.DISK_FULL
    assert not list(run.path.rglob("*.part"))
    assert final_state(run)["place"]["iteration"] == 3
    # Not even a start is possible on a full disk, and the next one is as if nothing had happened.
    fill(small_disk)
    assert work(run.path) == 1
    (small_disk / "ballast").unlink()
    assert work(run.path) == 0
    assert isinstance([event for event, _ in run.events()][-1], Finished)
    assert not run.reserve_file.exists()
    assert train(undisturbed) == "finished"
    check_identical(final_state(undisturbed), final_state(run))


def test_a_disk_that_has_become_read_only_ends_in_a_sentence(
    photos: Path, small_disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = RunFolder(small_disk / "run")
    run.create(tiny_config(photos))
    train(run, 4)
    assert mount("-o", "remount,ro", str(small_disk)) == 0
    with pytest.raises(PellucidError, match="cannot be written: Read-only file system"):
        work(run.path)
    with pytest.raises(PellucidError, match="cannot be written: Read-only file system"):
        RunFolder(small_disk / "another").create(tiny_config(photos))
    done = subprocess.run(
        [sys.executable, "-m", "trainer.worker", str(run.path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("pellucid: ")
    assert done.stderr.count("\n") <= 2
    assert mount("-o", "remount,rw", str(small_disk)) == 0
    assert work(run.path) == 0


@pytest.mark.skipif(sys.platform == "win32", reason="limits of file sizes are a Unix notion")
def test_a_quota_on_the_size_of_files_ends_in_a_sentence_and_costs_nothing_that_was_saved(
    photos: Path, tmp_path: Path
) -> None:
    config = config_of_half_a_mebibyte(photos)
    undisturbed, run = RunFolder(tmp_path / "undisturbed"), RunFolder(tmp_path / "run")
    undisturbed.create(config)
    run.create(config)
    train(run, 4)
    program = (
        "import resource, runpy, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000));"
        "sys.argv[0] = 'worker'; runpy.run_module('trainer.worker', run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", program, str(run.path)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "cannot be written: File too large" in done.stderr
    assert "Traceback" not in done.stderr
    last = [event for event, _ in run.events()][-1]
    assert isinstance(last, RunFailed)
    assert final_state(run)["place"]["iteration"] == 4
    assert work(run.path) == 0
    assert train(undisturbed) == "finished"
    check_identical(final_state(undisturbed), final_state(run))

"""A detached training steps back for others, and what is installed beside it does not disturb it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from engine.wire_training import Progress, StageConfig
from tests.trainer.test_resume import start_worker, wait_for
from tests.trainer.tiny import tiny_config
from trainer.cli import main
from trainer.rundir import RunFolder

AUTOGROUP = Path("/proc/self/autogroup")
needs_autogroups = pytest.mark.skipif(not AUTOGROUP.exists(), reason="this kernel has no autogroups")


def told_niceness(autogroup: str) -> int | None:
    """None: the process belongs to no session's group, as what a machine's own init started does."""
    found = re.search(r"nice (-?\d+)", autogroup)
    return int(found[1]) if found else None


def niceness_of_session(pid: int) -> int | None:
    return told_niceness(Path(f"/proc/{pid}/autogroup").read_text(encoding="ascii"))


def give_way(niceness: int, own_session: bool) -> tuple[int, int | None]:
    """Niceness of a process and of its session after it has given way."""
    program = (
        f"import os; from trainer.priority import give_way; give_way({niceness});"
        "print(os.nice(0)); print(open('/proc/self/autogroup').read())"
    )
    told = subprocess.run(
        [sys.executable, "-c", program], start_new_session=own_session, capture_output=True, text=True, check=True
    ).stdout.split("\n", 1)
    return int(told[0]), told_niceness(told[1])


@needs_autogroups
def test_a_process_that_leads_its_session_makes_the_session_nice() -> None:
    assert give_way(7, own_session=True) == (7, 7)


@needs_autogroups
def test_a_process_in_a_session_of_others_leaves_the_session_alone() -> None:
    before = niceness_of_session(psutil.Process().pid)
    assert give_way(7, own_session=False) == (7, before)
    assert niceness_of_session(psutil.Process().pid) == before


@needs_autogroups
def test_no_niceness_changes_nothing() -> None:
    assert give_way(0, own_session=True) == (psutil.Process().nice(), 0)


@pytest.mark.skipif(sys.platform == "win32", reason="niceness is a Unix notion")
@pytest.mark.parametrize(("option", "expected"), [([], 10), (["--nice", "0"], 0)])
def test_a_detached_training_and_its_loader_are_nice(
    option: list[str], expected: int, photos: Path, tmp_path: Path
) -> None:
    run = RunFolder(tmp_path / "run")
    run.create(tiny_config(photos, stages=[StageConfig(iterations=100_000)], workers=1))
    assert main(["train", "--resume", str(run.path), "--detach", *option]) == 0
    wait_for(run, lambda event: isinstance(event, Progress))
    owner = run.owner()
    assert owner is not None
    worker = psutil.Process(owner.pid)
    try:
        family = [worker, *worker.children()]
        assert len(family) >= 2
        assert {process.nice() for process in family} == {expected}
        if AUTOGROUP.exists():
            assert {niceness_of_session(process.pid) for process in family} == {expected}
    finally:
        worker.kill()
        worker.wait(10)


@pytest.mark.skipif(sys.platform != "linux", reason="loader processes are forked on Linux only")
def test_loader_processes_share_the_kernels_that_the_trainer_loaded_first(
    photos: Path, pairs: Path, tmp_path: Path
) -> None:
    # Validation from files: the trainer itself would never damage a picture, and so never load the library.
    run = RunFolder(tmp_path / "run")
    stages = [StageConfig(iterations=100_000)]
    run.create(tiny_config(photos, validation=pairs, stages=stages, workers=2, recipe="real-esrgan"))
    process = start_worker(run.path)
    try:
        wait_for(run, lambda event: isinstance(event, Progress))
        family = [process.pid, *(child.pid for child in psutil.Process(process.pid).children())]
        mapped = {pid: mapped_kernels(pid) for pid in family}
        assert len(family) == 3
        assert all(mapped.values())
        # At the very same address: mapped before the fork, not by each process on its own.
        assert len({tuple(sorted(places)) for places in mapped.values()}) == 1
    finally:
        process.kill()
        process.communicate()


def mapped_kernels(pid: int) -> set[tuple[str, str]]:
    """(address, inode) of each mapped part of the kernels' library."""
    lines = Path(f"/proc/{pid}/maps").read_text(encoding="utf-8").splitlines()
    return {(line.split()[0], line.split()[4]) for line in lines if "libpellucid_cpu" in line}

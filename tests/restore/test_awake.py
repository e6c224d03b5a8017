"""Work keeps the computer awake: as long as it lasts and not while it is paused, and no program of it stays behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from engine import awake
from engine.awake import Awake
from engine.queue import RestoreQueue
from engine.restore import Restorer
from engine.wire import Accepted, Event, RestoreOptions, RestoreRequest
from tests.wakeful_desk import Desk, desk, on_linux, until

__all__ = ["desk", "on_linux"]
Picture = Callable[..., Path]
pytestmark = [pytest.mark.timeout(60), pytest.mark.skipif(sys.platform == "win32", reason="its programs are scripts")]

INHIBITORS = ("systemd-inhibit", "elogind-inhibit", "gnome-session-inhibit", "mate-session-inhibit", "kde-inhibit")


@pytest.mark.usefixtures("on_linux")
def test_all_that_is_there_holds_and_lets_go_without_a_word(desk: Desk, capfd: pytest.CaptureFixture[str]) -> None:
    for name in ("systemd-inhibit", "gnome-session-inhibit"):
        desk.put_inhibitor(name)
    with Awake("It works.", 0.0):
        until(lambda: len(desk.started) == 2)
        time.sleep(0.2)
        assert desk.held
    assert not desk.held, "neither running nor waiting to be reaped"
    assert sorted(desk.started) == ["gnome-session-inhibit", "systemd-inhibit"]
    assert desk.words("systemd-inhibit")[0] == "--what=idle", "whoever chooses Sleep gets it"
    words = desk.words("gnome-session-inhibit")
    assert words[words.index("--inhibit") + 1] == "suspend", "the screen may go dark"
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("on_linux")
def test_plasma_is_asked_in_its_own_way(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CURRENT_DESKTOP", "KDE")
    desk.put_inhibitor("systemd-inhibit")
    with Awake("It works.", 0.0):
        until(lambda: desk.started == ["systemd-inhibit"])
    # It gives what it runs a standard input of its own.
    desk.put("kde-inhibit", 'shift; "$@" < /dev/zero > /dev/null')
    with Awake("It works.", 0.0):
        until(lambda: len(desk.started) == 2)
        time.sleep(0.2)
        assert desk.held
    assert desk.started == ["systemd-inhibit", "kde-inhibit"]
    assert not desk.held


@pytest.mark.usefixtures("on_linux")
@pytest.mark.parametrize("body", ["exit 1", 'trap "" TERM; while :; do /bin/sleep 0.1; done'])
def test_a_program_that_fails_or_is_deaf_troubles_nobody(
    desk: Desk, body: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(awake, "PATIENCE_SECONDS", 0.05)
    desk.put("systemd-inhibit", body)
    (desk.folder / "elogind-inhibit").write_text("no program")
    (desk.folder / "elogind-inhibit").chmod(0o755)
    with Awake("It works.", 0.0):
        until(lambda: bool(desk.started))
        if body == "exit 1":
            until(lambda: not desk.held)  # reaped though the work goes on
    assert not desk.held
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("on_linux", "desk")
def test_where_there_is_nothing_the_work_is_done_all_the_same(capfd: pytest.CaptureFixture[str]) -> None:
    with Awake("It works.", 0.0):
        time.sleep(0.1)
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("on_linux")
def test_a_moment_of_work_starts_nothing_and_a_gap_ends_nothing(desk: Desk) -> None:
    desk.put_inhibitor("systemd-inhibit")
    with Awake("It works.", 0.5) as kept:
        kept.release()
        time.sleep(0.6)
        assert not desk.started
        kept.hold()
        until(lambda: bool(desk.started))
        for _ in range(3):
            kept.release()
            time.sleep(0.05)
            kept.hold()
        assert len(desk.started) == 1
        assert desk.held
        kept.release()
        until(lambda: not desk.held)
        kept.hold()
        until(lambda: len(desk.started) == 2)
    kept.hold()
    time.sleep(0.05)
    assert not desk.held, "closed for good"


HOLDS = """
import sys, time
from engine.awake import Awake
with Awake("It works.", 0.0):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks for the programs of Linux")
@pytest.mark.parametrize("name", INHIBITORS)
def test_nothing_is_held_for_a_process_that_was_killed(desk: Desk, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if name == "kde-inhibit":
        monkeypatch.setenv("XDG_CURRENT_DESKTOP", "KDE")
    desk.put_inhibitor(name)
    with subprocess.Popen([sys.executable, "-c", HOLDS], stdout=subprocess.DEVNULL) as process:
        until(lambda: bool(desk.started))
        (holder,) = desk.processes
        time.sleep(0.1)
        assert psutil.pid_exists(holder)
        process.send_signal(signal.SIGKILL)
    until(lambda: not psutil.pid_exists(holder) or psutil.Process(holder).status() == psutil.STATUS_ZOMBIE)
    until(lambda: f"- {name} {holder}" in desk.log.read_text())


def test_macos_is_told_whose_work_it_is(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(awake, "sys", SimpleNamespace(platform="darwin"))
    desk.put("caffeinate", "exec /bin/sleep 60")
    with Awake("It works.", 0.0):
        until(lambda: bool(desk.started))
        assert desk.words("caffeinate") == ["-i", "-w", str(os.getpid())]
        assert desk.held
    assert not desk.held


def test_windows_is_told_by_one_thread_from_the_beginning_to_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    import ctypes

    told: list[tuple[int, int]] = []
    kernel = SimpleNamespace(SetThreadExecutionState=lambda state: told.append((state, threading.get_ident())))
    monkeypatch.setattr(awake, "sys", SimpleNamespace(platform="win32"))
    monkeypatch.setattr(ctypes, "windll", SimpleNamespace(kernel32=kernel), raising=False)
    with Awake("It works.", 0.0):
        until(lambda: bool(told))
        assert [state for state, _ in told] == [0x80000001]
    assert [state for state, _ in told] == [0x80000001, 0x80000000]
    assert told[0][1] == told[1][1] != threading.get_ident()


@pytest.mark.usefixtures("on_linux", "library")
def test_a_queue_is_held_awake_while_it_works_and_not_while_it_is_paused_or_idle(
    desk: Desk, picture: Picture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.queue.Awake", partial(Awake, patience=0.0))
    desk.put_inhibitor("systemd-inhibit")
    go_on = {name: threading.Event() for name in ("1", "2")}

    def tell(event: Event) -> None:
        if isinstance(event, Accepted):
            go_on[event.job].wait(30)

    queue = RestoreQueue(Restorer(), tell)
    thread = threading.Thread(target=queue.run)
    thread.start()
    time.sleep(0.2)
    assert not desk.started, "no work, no hold"
    options = RestoreOptions(model="faithful", precision="fp32")
    for number in ("1", "2"):
        source = str(picture(f"{number}.png"))
        queue.submit(RestoreRequest(job=number, source=source, target=str(tmp_path / "out"), options=options))
    until(lambda: desk.held)
    queue.pause()
    until(lambda: not desk.held)
    queue.resume()
    until(lambda: desk.held)
    go_on["1"].set()
    time.sleep(0.2)
    assert desk.held, "another one waits"
    go_on["2"].set()
    until(lambda: not desk.held)
    queue.close()
    thread.join(30)
    assert not thread.is_alive()

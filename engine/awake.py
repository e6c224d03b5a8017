"""While there is work, the computer does not fall asleep for want of a user. The screen may go dark, and whoever closes
the lid or chooses Sleep gets it.

A courtesy: where no way is found, the work is done all the same and nothing is said. Ways end with the process that
took them, however it ends.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Self

PATIENCE_SECONDS = 2.0
"""No computer falls asleep as fast: work that is over sooner starts no programs, and a gap between two pictures ends
none."""

_ENDS_SECONDS = 1.0
"""For a program that was told to end."""


class Awake:
    """Holds idle sleep off from `hold` to `release`, any number of times, called from any thread; neither waits.

    As a context it holds at once, and has let go when it is left.
    """

    def __init__(self, why: str, patience: float = PATIENCE_SECONDS) -> None:
        """`why`: shown by the system to users who ask what keeps it awake."""
        self._why = why
        self._patience = patience
        self._changed = threading.Condition(threading.RLock())
        self._wanted = False
        self._closed = False
        self._thread: threading.Thread | None = None

    def hold(self) -> None:
        with self._changed:
            if self._wanted or self._closed:
                return
            self._wanted = True
            self._changed.notify_all()
            if self._thread is None:
                # Windows binds the hold to a thread; elsewhere nobody shall wait for programs to start and end.
                thread = threading.Thread(target=self._work, name="awake", daemon=True)
                with suppress(RuntimeError):  # no further thread can be had
                    thread.start()
                    self._thread = thread

    def release(self) -> None:
        with self._changed:
            self._wanted = False
            self._changed.notify_all()

    @contextmanager
    def let_go(self) -> Iterator[None]:
        """Not held within; afterwards as it was before."""
        with self._changed:
            held = self._wanted
            self.release()
        try:
            yield
        finally:
            if held:
                self.hold()

    def close(self) -> None:
        """Let go for good, and wait until that is done."""
        with self._changed:
            self._wanted, self._closed = False, True
            self._changed.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join()

    def __enter__(self) -> Self:
        self.hold()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: not self._wanted, self._patience)
                if not self._wanted:
                    self._thread = None
                    return
            with _held(self._why) as programs, self._changed:
                while self._wanted:
                    while not self._changed.wait_for(lambda: not self._wanted, PATIENCE_SECONDS):
                        for program in programs:
                            program.poll()  # one that found nobody to talk to is gone by now, wholly
                    self._changed.wait_for(lambda: self._wanted or self._closed, self._patience)


@contextmanager
def _held(why: str) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Idle sleep is held off within, by this thread or by the programs that are handed out."""
    if sys.platform == "win32":
        import ctypes

        continuous, system_required = 0x80000000, 0x00000001
        ctypes.windll.kernel32.SetThreadExecutionState(continuous | system_required)
        try:
            yield []
        finally:
            ctypes.windll.kernel32.SetThreadExecutionState(continuous)
    else:
        try:
            reading, writing = os.pipe()
        except OSError:  # too many files are open
            yield []
            return
        programs = _start(_mac_ways() if sys.platform == "darwin" else _linux_ways(why, reading), reading)
        os.close(reading)
        try:
            yield programs
        finally:
            os.close(writing)
            for program in programs:
                _end(program)


def _mac_ways() -> list[list[str]]:
    return [["caffeinate", "-i", "-w", str(os.getpid())]]


def _linux_ways(why: str, pipe: int) -> list[list[str]]:
    """Every desktop listens to a program of its own; those of others find nobody to talk to and end at once.

    Each runs `cat` and lets go when that ends: at the end of `pipe`, which is that of this process too.
    """
    # To idle alone: `sleep` would also refuse the user who wants it.
    logind = ["--what=idle", "--who=Pellucid", f"--why={why}", "--mode=block", "cat"]
    # GNOME and MATE tell idleness by themselves. Their "suspend" is not kept from the user, and the screen may go dark.
    session = ["--app-id", "pellucid", "--reason", why, "--inhibit", "suspend", "cat"]
    # Plasma takes logind's word for the screen's too. What its program runs gets another standard input.
    plasma = ["kde-inhibit", "--power", "cat", f"/dev/fd/{pipe}"]
    if "KDE" in os.environ.get("XDG_CURRENT_DESKTOP", "").split(":") and shutil.which(plasma[0]):
        return [plasma]
    return [
        ["systemd-inhibit", *logind],
        ["elogind-inhibit", *logind],
        ["gnome-session-inhibit", *session],
        ["mate-session-inhibit", *session],
    ]


def _start(ways: list[list[str]], pipe: int) -> list[subprocess.Popen[bytes]]:
    programs = []
    for way in ways:
        if shutil.which(way[0]) is None:
            continue
        # In a session of its own, out of reach of the terminal's interrupt: the work may go on after the first.
        with suppress(OSError):
            programs.append(
                subprocess.Popen(
                    way,
                    stdin=pipe,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    pass_fds=[pipe],
                    start_new_session=True,
                )
            )
    return programs


def _end(program: subprocess.Popen[bytes]) -> None:
    """With what it has started: a process that was forked off this one may hold the pipe open."""
    if sys.platform == "win32":
        return
    for word in (signal.SIGTERM, signal.SIGKILL):
        if program.poll() is None:
            with suppress(OSError):
                os.killpg(program.pid, word)
            with suppress(subprocess.TimeoutExpired):
                program.wait(_ENDS_SECONDS)

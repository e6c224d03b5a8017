"""Whatever a worker does, the window learns in a sentence what became of every job, and stays alive."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pytestqt.qtbot import QtBot

from engine import wire
from gui.client import GIVE_WAY, WorkerClient
from gui.process import Outcome

Fake = Callable[[str], list[str]]


class Ear:
    """Hears all that a client says."""

    def __init__(self, client: WorkerClient) -> None:
        self.events: list[wire.Event] = []
        self.outcomes: list[Outcome] = []
        self.returned: list[str] = []
        self.suspected: list[wire.Crashed] = []
        client.happened.connect(self.events.append)
        client.ended.connect(self.outcomes.append)
        client.returned.connect(self.returned.append)
        client.suspected.connect(self.suspected.append)

    def terminal(self, job: str) -> list[Any]:
        return [event for event in self.events if isinstance(event, wire.Terminal) and event.job == job]


def request(job: str = "a") -> wire.RestoreRequest:
    return wire.RestoreRequest(job=job, source="x.png", target="out")


@pytest.fixture
def clients(fake: Fake) -> Any:
    made: list[WorkerClient] = []

    def make(name: str, **patience: float) -> tuple[WorkerClient, Ear]:
        client = WorkerClient(fake(name), **patience)
        made.append(client)
        return client, Ear(client)

    yield make
    for client in made:
        client.stop(200)


def test_a_worker_that_never_gets_ready_is_ended_and_given_up_after_three_starts(qtbot: QtBot, clients: Any) -> None:
    client, ear = clients("never_ready", ready_seconds=0.3)
    for _attempt in range(3):
        client.start()
        qtbot.waitUntil(lambda: client.state in ("off", "broken"), timeout=20000)
    assert client.state == "broken"
    assert [outcome.ending for outcome in ear.outcomes] == ["never-ready"] * 3
    assert "0.3 seconds" in ear.outcomes[0].sentence()
    client.try_again()
    assert client.state == "starting"


def test_a_worker_that_dies_at_its_start_tells_its_code_and_last_words(qtbot: QtBot, clients: Any) -> None:
    client, ear = clients("dies_at_start")
    client.send(request())
    qtbot.waitUntil(lambda: bool(ear.outcomes), timeout=20000)
    assert (ear.outcomes[0].ending, ear.outcomes[0].exit_code) == ("ended", 3)
    assert "no module named openvino" in ear.outcomes[0].last_lines
    assert ear.returned == ["a"]
    assert not ear.terminal("a")


def test_half_a_line_before_a_crash_becomes_crashed_with_the_signal(qtbot: QtBot, clients: Any) -> None:
    client, ear = clients("half_a_line")
    client.send(request())
    qtbot.waitUntil(lambda: bool(ear.terminal("a")), timeout=20000)
    (crashed,) = ear.terminal("a")
    assert isinstance(crashed, wire.Crashed)
    assert crashed.signal == "SIGSEGV"
    assert "Segmentation fault" in crashed.last_lines
    assert "SIGSEGV" in ear.outcomes[0].sentence()


def test_garbage_is_borne_a_few_times_and_then_ends_the_worker(qtbot: QtBot, clients: Any) -> None:
    client, ear = clients("garbage")
    client.send(request())
    qtbot.waitUntil(lambda: bool(ear.terminal("a")), timeout=20000)
    assert ear.outcomes[0].ending == "garbage"
    assert "{garbage" in ear.outcomes[0].sentence()


def test_a_worker_that_leaves_in_peace_without_an_answer_still_ends_its_job(qtbot: QtBot, clients: Any) -> None:
    client, ear = clients("no_terminal")
    client.send(request())
    qtbot.waitUntil(lambda: bool(ear.terminal("a")), timeout=20000)
    (crashed,) = ear.terminal("a")
    assert isinstance(crashed, wire.Crashed)
    assert (crashed.exit_code, crashed.last_lines) == (0, ["thank you and good night"])


def test_a_worker_that_ignores_cancel_is_ended_and_the_job_is_cancelled(qtbot: QtBot, clients: Any) -> None:
    client, ear = clients("ignores_cancel", cancel_seconds=0.3)
    client.send(request("a"))
    client.send(request("b"))
    qtbot.waitUntil(lambda: len(ear.events) >= 3, timeout=20000)
    client.send(wire.Cancel(job="a"))
    qtbot.waitUntil(lambda: bool(ear.terminal("a")), timeout=20000)
    assert isinstance(ear.terminal("a")[0], wire.Cancelled)
    assert ear.outcomes[0].ending == "deaf"
    assert ear.returned == ["b"], "it had no part in that"


def test_a_flood_leaves_the_event_loop_its_turn(qtbot: QtBot, clients: Any) -> None:
    from PySide6.QtCore import QElapsedTimer, QTimer

    client, ear = clients("floods")
    gaps: list[int] = []
    clock = QElapsedTimer()
    clock.start()
    timer = QTimer()
    timer.timeout.connect(lambda: gaps.append(clock.restart()))
    timer.start(5)
    client.send(request())
    qtbot.waitUntil(lambda: client.state == "ready", timeout=20000)
    gaps.clear()
    qtbot.wait(400)
    assert len(gaps) > 5
    qtbot.waitUntil(lambda: bool(ear.outcomes), timeout=30000)
    assert ear.outcomes[0].ending == "flood"
    assert isinstance(ear.terminal("a")[0], wire.Crashed)


def test_another_protocol_version_is_refused_for_good(qtbot: QtBot, clients: Any) -> None:
    client, ear = clients("wrong_version")
    client.send(request())
    qtbot.waitUntil(lambda: client.state == "broken", timeout=20000)
    assert ear.outcomes[0].ending == "wrong-version"
    assert ear.returned == ["a"]


def test_a_program_that_is_not_there_is_said_in_a_sentence(qtbot: QtBot) -> None:
    client = WorkerClient(["/nowhere/python"])
    ear = Ear(client)
    client.start()
    qtbot.waitUntil(lambda: client.state == "broken", timeout=20000)
    assert ear.outcomes[0].sentence().startswith("The restoring process could not be started")


def test_killing_the_worker_blames_the_running_job_and_returns_the_waiting_one(qtbot: QtBot, clients: Any) -> None:
    client, ear = clients("half_a_line")
    client._program = [*client._program[:1], "-c", WAITS]
    client.send(request("a"))
    client.send(request("b"))
    qtbot.waitUntil(lambda: any(isinstance(event, wire.Accepted) for event in ear.events), timeout=20000)
    os.kill(client.pid, signal.SIGKILL)
    qtbot.waitUntil(lambda: bool(ear.outcomes), timeout=20000)
    assert [event.signal for event in ear.terminal("a")] == ["SIGKILL"]
    assert ear.returned == ["b"]
    assert "memory" in ear.outcomes[0].sentence()


@pytest.mark.parametrize(
    ("last_words", "crashed", "suspected", "returned"),
    [
        ("", ["a"], [], ["b"]),
        ("say(wire.InHand(job='b'))", [], ["a", "b"], []),
        ("say(wire.InHand(job='b')); say(wire.InHand(job='b', held=False))", ["a"], [], ["b"]),
        ("say(wire.InHand(job='a', held=False)); say(wire.InHand(job='b'))", ["b"], [], ["a"]),
        ("say(wire.InHand(job='a preview'))", [], ["a"], ["b"]),
        ("say(wire.InHand(job='a preview')); say(wire.Cancelled(job='a preview'))", ["a"], [], ["b"]),
        ("say(wire.InHand(job='a', held=False)); say(wire.InHand(job='a preview'))", [], [], ["a", "b"]),
    ],
)
def test_a_dead_worker_may_have_died_of_what_it_had_in_hand(
    qtbot: QtBot, clients: Any, last_words: str, crashed: list[str], suspected: list[str], returned: list[str]
) -> None:
    client, ear = clients("half_a_line")
    client._program = [*client._program[:1], "-c", f"{WAITS}    else: {last_words or 'pass'}; os.kill(os.getpid(), 11)"]
    client.send(request("a"))
    client.send(request("b"))
    qtbot.waitUntil(lambda: bool(ear.outcomes), timeout=20000)
    assert [event.job for event in ear.events if isinstance(event, wire.Crashed)] == crashed
    assert [event.job for event in ear.suspected] == suspected
    assert ear.returned == returned


@pytest.mark.skipif(sys.platform == "win32", reason="priorities are not numbers there")
def test_the_worker_gives_way_to_the_window(qtbot: QtBot, clients: Any) -> None:
    client, _ear = clients("good_worker")
    client.start()
    qtbot.waitUntil(lambda: client.state == "ready", timeout=20000)
    own = os.getpriority(os.PRIO_PROCESS, 0)
    assert os.getpriority(os.PRIO_PROCESS, client.pid) == min(19, own + GIVE_WAY)


def test_a_good_worker_is_restarted_by_the_next_request(qtbot: QtBot, clients: Any, pictures: list[str]) -> None:
    client, ear = clients("good_worker")
    client.start()
    qtbot.waitUntil(lambda: client.state == "ready", timeout=20000)
    os.kill(client.pid, signal.SIGKILL)
    qtbot.waitUntil(lambda: client.state == "off", timeout=20000)
    client.send(wire.RestoreRequest(job="a", source=pictures[0], target=str(Path(pictures[0]).parent)))
    qtbot.waitUntil(lambda: bool(ear.terminal("a")), timeout=10000)
    assert isinstance(ear.terminal("a")[0], wire.Restored)


def test_cancel_before_the_worker_is_ready_never_reaches_it(qtbot: QtBot, clients: Any) -> None:
    client, ear = clients("ignores_cancel", cancel_seconds=0.2)
    client.send(request())
    client.send(wire.Cancel(job="a"))
    assert [type(event) for event in ear.terminal("a")] == [wire.Cancelled]
    qtbot.waitUntil(lambda: client.state == "ready", timeout=20000)
    qtbot.wait(300)
    assert not ear.outcomes


WAITS = """
import sys, os
from engine import wire
def say(event):
    sys.stdout.buffer.write(wire.encode(event)); sys.stdout.buffer.flush()
say(wire.Ready(protocol=wire.PROTOCOL, version="0", pid=os.getpid()))
first = True
for line in sys.stdin.buffer:
    request = wire.decode_request(line)
    if first:
        first = False
        say(wire.Accepted(job=request.job, width=1, height=1, out_width=4, out_height=4, backend="f", device="",
                          precision="fp32", model="m", target="t"))
"""

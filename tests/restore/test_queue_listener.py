"""Whoever listens to a queue may fail: it ends then, says why, and never hangs. Nobody may see it grow: it goes on."""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.mapped import GrowingPicture, MappedFiles
from engine.queue import RestoreQueue
from engine.restore import Restorer
from engine.wire import (
    Accepted,
    BandReady,
    Cancelled,
    Event,
    Failed,
    Progress,
    Restored,
    RestoreOptions,
    RestoreRequest,
    Skipped,
)

Picture = Callable[..., Path]
TERMINAL = (Restored, Skipped, Failed, Cancelled)
pytestmark = [pytest.mark.timeout(60), pytest.mark.usefixtures("library")]


def run_to_its_end(queue: RestoreQueue) -> BaseException | None:
    """In a thread, so that a queue that hangs fails its test instead of stopping all tests; what it has raised."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            queue.run()
        except BaseException as fault:
            raised.append(fault)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(30)
    assert not thread.is_alive(), "the queue hangs"
    return raised[0] if raised else None


def fill(queue: RestoreQueue, sources: list[Path], target: Path) -> None:
    options = RestoreOptions(model="faithful", precision="fp32", existing="skip")
    for number, source in enumerate(sources):
        queue.submit(RestoreRequest(job=str(number), source=str(source), target=str(target), options=options))
    queue.close()


@pytest.mark.parametrize("deaf_to", [Failed, Skipped, Accepted, Progress, Restored])
def test_a_listener_that_fails_ends_the_queue_with_its_own_fault(
    picture: Picture, tmp_path: Path, deaf_to: type
) -> None:
    """Failed comes from the opener's thread here, as Skipped does; Restored from the writer's."""
    heard: list[Event] = []

    def tell(event: Event) -> None:
        heard.append(event)
        if isinstance(event, deaf_to):
            raise BrokenPipeError(f"at {type(event).__name__} of {event.job}")

    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "b_faithful_x4.png").touch()
    sources = [tmp_path / "missing.png", *(picture(name) for name in ("b.png", "c.png", "d.png", "e.png"))]
    queue = RestoreQueue(Restorer(), tell)
    fill(queue, sources, tmp_path / "out")
    fault = run_to_its_end(queue)
    assert isinstance(fault, BrokenPipeError)
    first = next(event for event in heard if isinstance(event, deaf_to))
    assert str(fault) == f"at {deaf_to.__name__} of {first.job}", "the first is the one that counts"
    ends = [event.job for event in heard if isinstance(event, TERMINAL)]
    assert sorted(ends) == ["0", "1", "2", "3", "4"], "every job has exactly one end, told or not"
    assert any(isinstance(event, Cancelled) for event in heard), "what had not begun is not begun"
    assert not [path for path in (tmp_path / "out").iterdir() if path.name.startswith(".")]


def test_a_writer_that_cannot_even_clean_up_stops_no_other(
    picture: Picture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from engine.restore import Result

    whole = Result.commit

    def commit(self: Result) -> Path:
        path = whole(self)
        if path.name.startswith("a"):
            raise OSError(5, "Input/output error")
        return path

    def abort(self: Result) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Result, "commit", commit)
    monkeypatch.setattr(Result, "abort", abort)
    heard: list[Event] = []
    queue = RestoreQueue(Restorer(), heard.append)
    fill(queue, [picture("a.png"), picture("b.png")], tmp_path / "out")
    assert run_to_its_end(queue) is None
    assert [(type(event), event.job) for event in heard if isinstance(event, TERMINAL)] == [
        (Failed, "0"),
        (Restored, "1"),
    ]


def test_a_pause_counts_as_no_time_of_work(picture: Picture, tmp_path: Path) -> None:
    """Else an hour's pause would make the rest look like hours."""
    heard: list[Event] = []
    held = threading.Event()

    def tell(event: Event) -> None:
        heard.append(event)
        if isinstance(event, Progress) and not held.is_set():
            held.set()
            queue.pause()
            threading.Timer(1.5, queue.resume).start()

    queue = RestoreQueue(Restorer(), tell)
    options = RestoreOptions(model="faithful", precision="fp32", tile=16)
    source = str(picture("a.png", 90, 90))
    queue.submit(RestoreRequest(job="1", source=source, target=str(tmp_path / "out"), options=options))
    queue.close()
    began = time.perf_counter()
    assert run_to_its_end(queue) is None
    took = time.perf_counter() - began
    (done,) = (event for event in heard if isinstance(event, Restored))
    assert took > 1.5
    assert done.seconds < took - 1.4
    last = [event for event in heard if isinstance(event, Progress)][-1]
    assert last.megapixels_per_second > 90 * 90 / 1e6 / (took - 1.4)


@pytest.mark.parametrize("method", ["__init__", "add"])
def test_a_result_that_cannot_be_shown_is_made_all_the_same(
    picture: Picture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(GrowingPicture, method, full)
    heard: list[Event] = []
    (tmp_path / "shown").mkdir()
    queue = RestoreQueue(Restorer(), heard.append, show_in=MappedFiles(tmp_path / "shown"))
    fill(queue, [picture("a.png")], tmp_path / "out")
    assert run_to_its_end(queue) is None
    assert [type(event) for event in heard if isinstance(event, TERMINAL)] == [Restored]
    assert not any(isinstance(event, BandReady) for event in heard)

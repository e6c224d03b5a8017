"""The queue as a value: every message leads to the state that a user would expect."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import wire
from gui.state import queue as queues
from gui.state.queue import Added, FinishedCleared, Item, Moved, PausedByUser, Queue, Removed, Requeued, Sent, Withdrawn

OPTIONS = wire.RestoreOptions()


def queue_of(*jobs: str) -> Queue:
    return queues.reduce(Queue(), Added(tuple(Item(job=job, source=f"/p/{job}.png") for job in jobs)))


def after(queue: Queue, *messages: queues.QueueMessage) -> Queue:
    for message in messages:
        queue = queues.reduce(queue, message)
    return queue


def accepted(job: str) -> wire.Accepted:
    return wire.Accepted(
        job=job, width=10, height=20, out_width=40, out_height=80, backend="b", device="d", precision="bf16",
        model="m", target="/o.png",
    )  # fmt: skip


def progress(job: str, done: int, left: float | None = None) -> wire.Progress:
    return wire.Progress(job=job, tiles_done=done, tiles=4, megapixels_per_second=1.5, seconds_left=left)


def restored(job: str) -> wire.Restored:
    return wire.Restored(
        job=job, target="/o.png", width=40, height=80, seconds=2.0, megapixels_per_second=1.0, backend="b",
        precision="bf16", model="m",
    )  # fmt: skip


def test_a_job_goes_from_waiting_to_done() -> None:
    queue = after(queue_of("a"), Sent("a", OPTIONS, "out"), accepted("a"), progress("a", 1, 3.0))
    item = queue.items[0]
    assert (item.state, item.fraction, item.seconds_left, item.out_height) == ("running", 0.25, 3.0, 80)
    item = after(queue, restored("a")).items[0]
    assert (item.state, item.fraction, item.seconds_left, item.target) == ("done", 1.0, None, "/o.png")


@pytest.mark.parametrize(
    ("message", "state"),
    [
        (wire.Failed(job="a", code="c", message="m", hint="h"), "failed"),
        (wire.Cancelled(job="a"), "cancelled"),
        (wire.Skipped(job="a", target="t", reason="r"), "skipped"),
        (wire.Crashed(job="a", exit_code=None, signal="SIGKILL"), "crashed"),
    ],
)
def test_a_terminal_message_ends_a_job_and_later_ones_change_nothing(message: wire.Terminal, state: str) -> None:
    queue = after(queue_of("a", "b"), Sent("a", OPTIONS, "out"), accepted("a"), message)
    assert [item.state for item in queue.items] == [state, "waiting"]
    assert after(queue, progress("a", 4), restored("a"), wire.Cancelled(job="a")) is queue


def test_the_next_picture_waits_while_paused_or_while_enough_are_with_the_worker() -> None:
    queue = queue_of("a", "b", "c")
    assert queues.next_to_send(queue, 2) is queue.items[0]
    queue = after(queue, Sent("a", OPTIONS, "out"), Sent("b", OPTIONS, "out"))
    assert queues.next_to_send(queue, 2) is None
    queue = after(queue, accepted("a"), restored("a"))
    assert queues.next_to_send(queue, 2) == queue.items[2]
    assert queues.next_to_send(after(queue, PausedByUser(True)), 2) is None


def test_a_retry_forgets_what_went_wrong() -> None:
    failed = after(queue_of("a"), Sent("a", OPTIONS, "out"), wire.Failed(job="a", code="c", message="m"))
    again = after(failed, Requeued(frozenset({"a"})))
    assert again.items[0] == queue_of("a").items[0]


def test_only_what_waits_can_be_withdrawn() -> None:
    queue = after(queue_of("a", "b"), Sent("a", OPTIONS, "out"), Withdrawn(frozenset({"a", "b"})))
    assert [item.state for item in queue.items] == ["sent", "cancelled"]


def test_a_suspect_goes_alone_until_it_has_ended() -> None:
    def sent(job: str) -> Sent:
        return Sent(job, OPTIONS, "out")

    def next_job() -> str | None:
        chosen = queues.next_to_send(queue, 2)
        return chosen and chosen.job

    queue = after(queue_of("a", "b", "c"), sent("a"), sent("b"), Requeued(frozenset("ab"), alone=True))
    assert next_job() == "a"
    queue = after(queue, sent("a"))
    assert next_job() is None
    queue = after(queue, Requeued(frozenset("a")))  # that worker did not live to begin it
    assert queue.items[0].alone
    queue = after(queue, sent("a"), wire.Cancelled(job="a"))
    assert next_job() == "b"
    queue = after(queue, sent("b"))
    assert next_job() is None
    queue = after(queue, wire.Crashed(job="b", exit_code=1), sent("c"), Requeued(frozenset("b")))
    assert next_job() == "b", "whoever tries it again starts afresh"


def test_clearing_keeps_what_is_unfinished() -> None:
    queue = after(
        queue_of("a", "b", "c"), Sent("a", OPTIONS, "out"), restored("a"), Sent("b", OPTIONS, "out"), FinishedCleared()
    )
    assert [item.job for item in queue.items] == ["b", "c"]


def test_an_added_job_is_not_added_twice_and_a_removed_one_is_gone() -> None:
    queue = queue_of("a", "b")
    assert after(queue, Added((Item(job="a", source="x"),))) is queue
    assert [item.job for item in after(queue, Removed(frozenset({"a"}))).items] == ["b"]


@given(st.data())
def test_moving_keeps_every_picture_once_and_the_order_of_the_moved_and_the_rest(data: st.DataObject) -> None:
    jobs = [f"j{n}" for n in range(data.draw(st.integers(1, 8)))]
    chosen = frozenset(data.draw(st.lists(st.sampled_from(jobs), unique=True)))
    row = data.draw(st.integers(0, len(jobs)))
    moved = [item.job for item in after(queue_of(*jobs), Moved(chosen, row)).items]
    assert sorted(moved) == sorted(jobs)
    assert [job for job in moved if job in chosen] == [job for job in jobs if job in chosen]
    assert [job for job in moved if job not in chosen] == [job for job in jobs if job not in chosen]
    before = sum(job not in chosen for job in jobs[:row])
    if chosen:
        assert moved.index(next(job for job in jobs if job in chosen)) == before


def test_the_time_left_counts_waiting_pictures_like_the_known_ones() -> None:
    queue = after(queue_of("a", "b", "c"), Sent("a", OPTIONS, "out"), accepted("a"), restored("a"))
    assert queues.totals(queue).seconds_left == pytest.approx(4.0)
    queue = after(queue, Sent("b", OPTIONS, "out"), accepted("b"), progress("b", 2, 1.0))
    assert queues.totals(queue).seconds_left == pytest.approx(1.0 + 2.0)
    assert queues.totals(queue).fraction == pytest.approx(1.5 / 3)


def test_the_journal_brings_back_the_unfinished_as_waiting() -> None:
    queue = after(
        queue_of("a", "b", "c"),
        Sent("a", OPTIONS, "out"),
        accepted("a"),
        restored("a"),
        Sent("b", OPTIONS, "out"),
        accepted("b"),
    )
    items = queues.from_journal(queues.to_journal(queues.unfinished(queue)))
    assert [(item.job, item.state, item.source) for item in items] == [
        ("b", "waiting", "/p/b.png"),
        ("c", "waiting", "/p/c.png"),
    ]


def goal(item: Item) -> queues.Goal:
    return item.source, "out" if item.folder is None else item.folder, item.options or OPTIONS


def test_the_journal_keeps_a_picture_once_for_each_way_it_is_wanted() -> None:
    slow = wire.RestoreOptions(model="slow")
    queue = after(queue_of("a", "b"), Sent("a", slow, "out"), Sent("b", slow, "out"))
    again = tuple(Item(job=f"{number}", source=source) for number, source in enumerate(["/p/a.png"] * 3 + ["/p/c.png"]))
    queue = after(queue, Added(again), Added((Item(job="z", source="/p/a.png", options=slow, folder="elsewhere"),)))
    kept = queues.from_journal(queues.to_journal(queues.to_keep(queues.unfinished(queue), goal)))
    assert [(item.source, item.options, item.folder) for item in kept] == [
        ("/p/a.png", slow, "out"),
        ("/p/b.png", None, None),  # wanted in one way: as the panel says by then
        ("/p/a.png", OPTIONS, "out"),
        ("/p/c.png", None, None),
        ("/p/a.png", slow, "elsewhere"),
    ]


def test_a_journal_of_an_older_version_brings_a_picture_once() -> None:
    items = b'{"job":"1","source":"/p/a.png","state":"running","options":{}},{"job":"2","source":"/p/a.png"}'
    kept = queues.to_keep(queues.from_journal(b'{"items":[%b],"format":1}' % items), goal)
    assert [(item.job, item.state, item.options) for item in kept] == [("1", "waiting", None)]


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"items": 3}', b"\xff\xfe"])
def test_a_damaged_journal_is_an_error_that_can_be_caught(data: bytes) -> None:
    with pytest.raises((msgspec.DecodeError, UnicodeDecodeError)):
        queues.from_journal(data)

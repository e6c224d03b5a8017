"""The worker process speaks the protocol: one terminal event a job, previews at once, and no words for nobody."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from engine.image.colour import to_srgb
from engine.image.decode import read_image
from engine.image.icc import power_curve, rgb_profile
from engine.wire import (
    PROTOCOL,
    Accepted,
    BandReady,
    Cancel,
    Cancelled,
    Event,
    Failed,
    InHand,
    Notice,
    Pause,
    PreviewReady,
    PreviewRequest,
    Progress,
    Ready,
    Region,
    Request,
    Restored,
    RestoreOptions,
    RestoreRequest,
    Resume,
    Shutdown,
    SourceReady,
    SourceRequest,
    decode_event,
    encode,
)

Picture = Callable[..., Path]
TERMINAL = (Restored, Failed, Cancelled)
pytestmark = pytest.mark.timeout(60)

OPTIONS = RestoreOptions(model="faithful", precision="fp32")


class Worker:
    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "engine.worker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.events: list[Event] = []

    def say(self, *requests: Request) -> None:
        assert self.process.stdin
        self.process.stdin.write(b"".join(encode(request) for request in requests))
        self.process.stdin.flush()

    def until(self, kind: type, job: str | None = None) -> Event:
        assert self.process.stdout
        for line in self.process.stdout:
            event = decode_event(line)
            self.events.append(event)
            if isinstance(event, kind) and (job is None or getattr(event, "job", None) == job):
                return event
        raise AssertionError(f"the worker ended without {kind.__name__}; it said {self.events[-3:]}")

    def end(self) -> None:
        assert self.process.stdout
        assert self.process.stdin
        self.process.stdin.close()
        self.events += [decode_event(line) for line in self.process.stdout]
        self.process.stdout.close()
        assert self.process.wait(30) == 0


@pytest.fixture
def worker(library: Path) -> Iterator[Worker]:
    worker = Worker()
    ready = worker.until(Ready)
    assert isinstance(ready, Ready)
    assert ready.protocol == PROTOCOL
    assert any(backend.available for backend in ready.backends)
    yield worker
    worker.process.kill()
    worker.process.wait()
    for stream in (worker.process.stdin, worker.process.stdout):
        assert stream
        stream.close()


def request(job: str, source: Path, target: Path, **options: object) -> RestoreRequest:
    import msgspec

    return RestoreRequest(
        job=job,
        source=str(source),
        target=str(target),
        options=msgspec.structs.replace(OPTIONS, **options),
    )


def test_a_job_is_told_from_acceptance_to_the_end(worker: Worker, picture: Picture, tmp_path: Path) -> None:
    worker.say(request("j", picture("a.png"), tmp_path / "o"))
    done = worker.until(Restored, "j")
    worker.end()
    assert isinstance(done, Restored)
    assert (done.width, done.height) == (160, 120)
    kinds = [type(event) for event in worker.events]
    assert kinds.index(Accepted) < kinds.index(Progress) < kinds.index(Restored)
    bands = [event for event in worker.events if isinstance(event, BandReady)]
    assert bands[0].top == 0
    assert bands[-1].bottom == 120
    assert all(one.bottom == other.top for one, other in pairwise(bands))
    assert sum(isinstance(event, TERMINAL) for event in worker.events) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="looks into the temporary folder of the tests")
def test_pixels_that_a_killed_worker_has_left_are_removed_by_the_next(worker: Worker) -> None:
    place = Path(os.environ["TMPDIR"])
    while not (made := list(place.glob("pellucid-*"))):
        time.sleep(0.01)  # it is ready a moment before
    (left,) = made
    (left / "0.raw").write_bytes(bytes(1000))
    Worker().end()
    assert list(place.glob("pellucid-*")) == [left], "its worker lives"
    worker.process.kill()
    worker.process.wait()
    Worker().end()
    assert not list(place.glob("pellucid-*"))


def test_every_job_gets_its_own_model_and_alpha(worker: Worker, picture: Picture, tmp_path: Path) -> None:
    source = picture("a.png")
    wanted: dict[str, dict[str, object]] = {
        "faithful": {},
        "vivid": {"model": "vivid"},
        "middle": {"alpha": 0.5},
        "faithful again": {},
    }
    worker.say(*(request(job, source, tmp_path / f"{job}.png", **options) for job, options in wanted.items()))
    pixels = {}
    for job in wanted:
        done = worker.until(Restored, job)
        assert isinstance(done, Restored)
        with Image.open(done.target) as image:
            pixels[job] = np.asarray(image)
    np.testing.assert_array_equal(pixels["faithful"], pixels["faithful again"])
    for one, other in (("faithful", "vivid"), ("faithful", "middle"), ("vivid", "middle")):
        assert (pixels[one] != pixels[other]).any()


def test_the_growing_result_is_the_result(worker: Worker, picture: Picture, tmp_path: Path) -> None:
    worker.say(request("j", picture("a.png"), tmp_path / "o.png"))
    done = worker.until(Restored, "j")
    band = next(event for event in worker.events if isinstance(event, BandReady))
    shown = np.fromfile(band.pixels, np.uint8).reshape(band.height, band.width, band.channels)
    assert isinstance(done, Restored)
    with Image.open(done.target) as image:
        np.testing.assert_array_equal(shown, np.asarray(image))


def test_a_preview_equals_that_region_of_the_whole(worker: Worker, picture: Picture, tmp_path: Path) -> None:
    source = picture("a.png", 64, 48)
    worker.say(request("whole", source, tmp_path / "o.png"))
    worker.until(Restored, "whole")
    region = Region(20, 10, 16, 12)
    worker.say(PreviewRequest(job="p", view="main", source=str(source), region=region, options=OPTIONS))
    preview = worker.until(PreviewReady, "p")
    assert isinstance(preview, PreviewReady)
    pixels = np.fromfile(preview.pixels, np.uint8).reshape(preview.height, preview.width, preview.channels)
    with Image.open(tmp_path / "o.png") as image:
        whole = np.asarray(image, int)
    assert np.abs(pixels.astype(int) - whole[40:88, 80:144]).max() <= 1


WIDE = rgb_profile("wide", (0.3127, 0.3290, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06), power_curve(1.8))


@pytest.mark.parametrize("profile", [WIDE, b"damaged" * 30])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_what_is_shown_is_in_srgb_like_the_picture_before(
    worker: Worker, tmp_path: Path, profile: bytes, mode: str
) -> None:
    colour = (150, 110, 90, 128)[: len(mode)]
    Image.new(mode, (40, 30), colour).save(tmp_path / "a.png", icc_profile=profile)
    worker.say(request("j", tmp_path / "a.png", tmp_path / "o.png"))
    worker.until(Restored, "j")
    band = next(event for event in worker.events if isinstance(event, BandReady))
    region = Region(0, 0, 20, 20)
    worker.say(PreviewRequest(job="p", view="v", source=str(tmp_path / "a.png"), region=region, options=OPTIONS))
    preview = worker.until(PreviewReady, "p")
    worker.say(SourceRequest(job="s", source=str(tmp_path / "a.png")))
    before = worker.until(SourceReady, "s")
    assert isinstance(preview, PreviewReady)
    assert isinstance(before, SourceReady)
    source, result = read_image(tmp_path / "a.png"), read_image(tmp_path / "o.png")
    if profile is WIDE:
        assert np.abs(to_srgb(result).colour.astype(int) - result.colour).max() > 10
        source, result = to_srgb(source), to_srgb(result)
    for shown, wanted in (
        (band, result.colour[60, 80]),
        (preview, result.colour[40, 40]),
        (before, source.colour[9, 9]),
    ):
        pixels = np.fromfile(shown.pixels, np.uint8).reshape(shown.height, shown.width, shown.channels)
        middle = pixels[shown.height // 2, shown.width // 2].astype(int)
        assert np.abs(middle[:3] - wanted.astype(int)).max() <= 1
        assert middle[3:].tolist() == [128] * (mode == "RGBA")


def test_the_newest_preview_wins(worker: Worker, picture: Picture) -> None:
    source = str(picture("a.png", 300, 300))
    previews = [
        PreviewRequest(job=f"p{n}", view="main", source=source, region=Region(0, 0, 300, 300), options=OPTIONS)
        for n in range(6)
    ]
    worker.say(*previews)
    worker.until(PreviewReady, "p5")
    overtaken = {event.job for event in worker.events if isinstance(event, Cancelled)}
    answered = {event.job for event in worker.events if isinstance(event, PreviewReady)}
    assert overtaken | answered == {f"p{n}" for n in range(6)}
    assert overtaken & answered == set()
    assert len(overtaken) >= 4


def test_a_picture_is_decoded_for_the_eye(worker: Worker, picture: Picture) -> None:
    worker.say(SourceRequest(job="s", source=str(picture("a.png", 80, 60, "LA")), longest=40))
    shown = worker.until(SourceReady, "s")
    assert isinstance(shown, SourceReady)
    assert (shown.width, shown.height, shown.channels) == (40, 30, 4)
    assert (shown.full_width, shown.full_height) == (80, 60)


def test_it_tells_what_it_has_in_hand_before_it_touches_it(worker: Worker, picture: Picture, tmp_path: Path) -> None:
    source = str(picture("a.png"))
    worker.say(request("j", Path(source), tmp_path / "o"))
    worker.until(Restored, "j")
    worker.say(request("missing", tmp_path / "missing.png", tmp_path / "o"))
    worker.until(Failed, "missing")
    worker.say(SourceRequest(job="s", source=source))
    worker.until(SourceReady, "s")
    told = {
        job: [
            event.held if isinstance(event, InHand) else type(event)
            for event in worker.events
            if getattr(event, "job", "") == job and not isinstance(event, Progress | BandReady | Notice)
        ]
        for job in ("j", "missing", "s")
    }
    assert told == {"j": [True, False, True, Accepted, Restored], "missing": [True, Failed], "s": [True, SourceReady]}


def test_garbage_is_answered_and_survived(worker: Worker, picture: Picture, tmp_path: Path) -> None:
    assert worker.process.stdin
    worker.process.stdin.write(b'{"type":"RestoreRequest"}\nnonsense\n\xff\xfe\n[1,2\n{"type":"Dance"}\n')
    worker.process.stdin.flush()
    for _ in range(5):
        failed = worker.until(Failed, "")
        assert isinstance(failed, Failed)
        assert failed.code == "protocol"
    worker.say(request("j", picture("a.png"), tmp_path / "o"))
    worker.until(Restored, "j")


def test_cancel_reaches_waiting_running_and_paused_jobs(worker: Worker, picture: Picture, tmp_path: Path) -> None:
    worker.say(Pause())
    worker.say(*(request(f"j{n}", picture(f"{n}.png"), tmp_path / "o", tile=16) for n in range(3)))
    worker.say(Cancel(job="j0"), Cancel(job="j2"))
    worker.until(Cancelled)
    worker.until(Cancelled)
    worker.say(Resume())
    worker.until(Restored, "j1")
    worker.end()
    ends = [event for event in worker.events if isinstance(event, TERMINAL)]
    assert sorted(event.job for event in ends) == ["j0", "j1", "j2"]
    assert {event.job for event in ends if isinstance(event, Cancelled)} == {"j0", "j2"}
    assert [p.name for p in (tmp_path / "o").iterdir()] == ["1_faithful_x4.png"]


@pytest.mark.parametrize("how", ["shutdown", "input ends", "terminate"])
def test_when_the_window_goes_the_worker_goes_and_leaves_nothing_half(
    worker: Worker, picture: Picture, tmp_path: Path, how: str
) -> None:
    worker.say(request("j", picture("a.png", 900, 900), tmp_path / "o", tile=32))
    worker.until(Progress, "j")
    if how == "shutdown":
        worker.say(Shutdown())
    elif how == "input ends":
        assert worker.process.stdin
        worker.process.stdin.close()
    else:
        worker.process.terminate()
    deadline = time.monotonic() + 20
    while worker.process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert worker.process.returncode is not None
    if how != "terminate":
        assert worker.process.returncode == 0
    assert [p for p in (tmp_path / "o").iterdir() if not p.name.startswith(".")] == []
    if how != "terminate":
        assert list((tmp_path / "o").iterdir()) == []


@pytest.mark.parametrize("code", [errno.EPIPE, errno.EINVAL, errno.EIO])
def test_a_worker_without_a_window_ends_however_the_system_says_so(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """EINVAL is how Windows tells of a pipe without a reader."""
    from engine import worker as module

    class Gone(Exception):
        pass

    def leave(status: int) -> None:
        assert status == 0
        raise Gone

    def write(_: bytes) -> int:
        raise OSError(code, os.strerror(code))

    voice = object.__new__(module._Voice)
    voice._out, voice._lock = SimpleNamespace(write=write), threading.Lock()
    monkeypatch.setattr(module.os, "_exit", leave)
    with pytest.raises(Gone):
        voice(Cancelled(job="1"))

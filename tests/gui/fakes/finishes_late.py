"""Begins the first picture, and puts its result in place when it is told to end; the others are cancelled."""

from __future__ import annotations

import os
import sys

from engine import wire


def say(event: wire.Event) -> None:
    sys.stdout.buffer.write(wire.encode(event))
    sys.stdout.buffer.flush()


jobs: list[str] = []
facts = {"backend": "fake", "precision": "fp32", "model": "fake", "target": "t.png"}
say(wire.Ready(protocol=wire.PROTOCOL, version="0", pid=os.getpid()))
for line in sys.stdin.buffer:
    request = wire.decode_request(line)
    if isinstance(request, wire.RestoreRequest):
        if not jobs:
            say(wire.Accepted(job=request.job, width=8, height=8, out_width=32, out_height=32, device="CPU", **facts))
        jobs.append(request.job)
    elif isinstance(request, wire.Shutdown):
        break
first, *others = jobs
for _ in range(50):
    say(wire.Progress(job=first, tiles_done=1, tiles=1, megapixels_per_second=1.0))
say(wire.Restored(job=first, width=32, height=32, seconds=1.0, megapixels_per_second=1.0, **facts))
for job in others:
    say(wire.Cancelled(job=job))

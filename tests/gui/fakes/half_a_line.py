"""Dies in the middle of a message, after it began a job."""

from __future__ import annotations

import os
import sys

from engine import wire


def say(event: wire.Event) -> None:
    sys.stdout.buffer.write(wire.encode(event))
    sys.stdout.buffer.flush()


def accept(request: wire.Request) -> str:
    """Begin a job; its name."""
    assert isinstance(request, wire.RestoreRequest)
    say(
        wire.Accepted(
            job=request.job,
            width=8,
            height=8,
            out_width=32,
            out_height=32,
            backend="fake",
            device="CPU",
            precision="fp32",
            model="fake",
            target=request.target,
        )
    )
    return request.job


say(wire.Ready(protocol=wire.PROTOCOL, version="0", pid=os.getpid()))
for line in sys.stdin.buffer:
    request = wire.decode_request(line)
    job = accept(request)
    whole = wire.encode(wire.Cancelled(job=job))
    sys.stdout.buffer.write(whole[: len(whole) // 2])
    sys.stdout.buffer.flush()
    print("Segmentation fault", file=sys.stderr, flush=True)
    os.kill(os.getpid(), 11)

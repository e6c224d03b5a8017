"""Opens a picture while the one before is at work, and dies of opening one that is called bad."""

from __future__ import annotations

import os
import queue
import sys
import threading

from engine import wire


def say(event: wire.Event) -> None:
    sys.stdout.buffer.write(wire.encode(event))
    sys.stdout.buffer.flush()


def listen() -> None:
    for line in sys.stdin.buffer:
        requests.put(wire.decode_request(line))


def take(seconds: float | None) -> wire.RestoreRequest | None:
    """The next picture, opened, if it comes in time."""
    while True:
        try:
            request = requests.get(timeout=seconds)
        except queue.Empty:
            return None
        if isinstance(request, wire.Shutdown):
            sys.exit(0)
        if isinstance(request, wire.RestoreRequest):
            break
    say(wire.InHand(job=request.job))
    if "bad" in request.source:
        os.kill(os.getpid(), 11)
    say(wire.InHand(job=request.job, held=False))
    return request


requests: queue.Queue[wire.Request] = queue.Queue()
threading.Thread(target=listen, daemon=True).start()
say(wire.Ready(protocol=wire.PROTOCOL, version="0", pid=os.getpid()))
opened = None
while True:
    request = opened or take(None)
    assert request is not None
    facts = {"backend": "fake", "precision": "fp32", "model": "fake", "target": request.target}
    say(wire.InHand(job=request.job))
    say(wire.Accepted(job=request.job, width=8, height=8, out_width=32, out_height=32, device="CPU", **facts))
    opened = take(0.3)
    say(wire.Restored(job=request.job, width=32, height=32, seconds=0.3, megapixels_per_second=1.0, **facts))

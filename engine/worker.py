"""The process that does the work for a window: requests come in on standard input, events go out on standard output,
one JSON object a line (`engine.wire`). `python -P -m engine.worker`.

It ends when it is told to, or when its input ends because the window is gone.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import msgspec

from engine.errors import PellucidError
from engine.eye import Eye
from engine.mapped import MappedFiles, own_folder
from engine.queue import RestoreQueue
from engine.restore import Restorer
from engine.runtime.choose import backend_reports
from engine.version import version
from engine.wire import (
    PROTOCOL,
    Cancel,
    Event,
    Failed,
    Pause,
    PreviewRequest,
    Ready,
    Request,
    RestoreRequest,
    Resume,
    Shutdown,
    SourceRequest,
    decode_request,
    encode,
)


class _Voice:
    """Standard output, one whole line at a time from any thread."""

    def __init__(self) -> None:
        # Whatever a library prints must not get between the messages.
        self._out = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0)
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        self._lock = threading.Lock()

    def __call__(self, event: Event) -> None:
        with self._lock:
            try:
                self._out.write(encode(event))
            except OSError:
                # The window is gone (on Windows that is no BrokenPipeError): there is nobody to work for.
                os._exit(0)


def main() -> int:
    say = _Voice()
    say(Ready(protocol=PROTOCOL, version=version(), pid=os.getpid(), backends=backend_reports()))
    with own_folder() as folder:
        files = MappedFiles(Path(folder))
        queue = RestoreQueue(Restorer(), say, show_in=files)
        eye = Eye(Restorer(), say, files, queue)
        listener = threading.Thread(target=_listen, args=(queue, eye, say), name="listener", daemon=True)
        listener.start()
        queue.run()
        eye.close()
    return 0


def _listen(queue: RestoreQueue, eye: Eye, say: _Voice) -> None:
    for line in sys.stdin.buffer:
        if not line.strip():
            continue
        try:
            request = decode_request(line)
        except msgspec.DecodeError as error:
            say(Failed(job="", code="protocol", message=f"The worker did not understand a request: {error}."))
            continue
        if isinstance(request, Shutdown):
            break
        try:
            _obey(request, queue, eye)
        except PellucidError as failure:
            say(Failed(job=getattr(request, "job", ""), code=failure.code, message=failure.message, hint=failure.hint))
    queue.close()
    queue.cancel_all()
    queue.resume()


def _obey(request: Request, queue: RestoreQueue, eye: Eye) -> None:
    match request:
        case RestoreRequest():
            queue.submit(request)
        case PreviewRequest() | SourceRequest():
            eye.submit(request)
        case Cancel(job=job):
            queue.cancel(job)
            eye.cancel(job)
        case Pause():
            queue.pause()
        case Resume():
            queue.resume()


if __name__ == "__main__":
    sys.exit(main())

"""A run begins: here, with its events spoken as they come, or in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from engine.cli.frame import DONE
from engine.cli.output import Output
from engine.errors import Code, PellucidError
from engine.wire_training import RunFailed, RunStarted
from trainer.cli.speech import Speaker
from trainer.priority import DETACHED_NICENESS


def worker_command(folder: Path, niceness: int) -> list[str]:
    """How the process that trains is started; a frozen application is its own interpreter."""
    manner = ["--nice", str(niceness)]
    if getattr(sys, "frozen", False):
        return [sys.executable, "train", "--resume", str(folder), *manner]
    return [sys.executable, "-m", "trainer.worker", str(folder), *manner]


def begin_detached(folder: Path, out: Output, niceness: int = DETACHED_NICENESS) -> int:
    from trainer.rundir import RunFolder

    run = RunFolder(folder)
    offset = run.events_file.stat().st_size if run.events_file.exists() else 0
    log = folder / "worker.log"
    options: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        options = {"creationflags": subprocess.DETACHED_PROCESS | subprocess.CREATE_NEW_PROCESS_GROUP}
    with log.open("ab") as errors:
        process = subprocess.Popen(
            worker_command(folder, niceness),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            **options,
        )
    # Wait until it has really begun: most faults show in its first seconds.
    while process.poll() is None:
        events = [event for event, _ in run.events(offset)]
        if any(isinstance(event, RunStarted) for event in events):
            out.say(f"Training as process {process.pid} in {folder}")
            out.say(f"Follow it: pellucid watch {folder}")
            out.line({"run": str(folder), "pid": process.pid, "state": "running"})
            process.returncode = 0  # it lives on without us
            return DONE
        time.sleep(0.1)
    events = [event for event, _ in run.events(offset)]
    if process.returncode == 0:
        out.line({"run": str(folder), "pid": process.pid, "state": "finished"})
        return DONE
    failed = next((event for event in reversed(events) if isinstance(event, RunFailed)), None)
    if failed is not None:
        raise PellucidError(Code(failed.code), failed.message, failed.hint)
    tail = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
    raise PellucidError(Code.INTERNAL, f"The training did not start: {' '.join(tail)}", f"See {log}.")


def train_here(folder: Path, out: Output) -> int:
    from trainer.worker import work

    speaker = Speaker(out)
    out.say(f"Run: {folder}")
    code = work(folder, speaker.hear)
    if not speaker.is_read:
        # Nothing more can be said, not even at the interpreter's end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return code
    out.line(
        {
            "run": str(folder),
            "state": speaker.state,
            "iteration": speaker.iteration,
            "models": sorted(str(path) for path in (folder / "models").glob("*.safetensors")),
            "validation": speaker.scores,
        }
    )
    return code

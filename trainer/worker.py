"""The process that trains: `python -m trainer.worker RUN`, or under torchrun several of them.

It goes on from the newest checkpoint, or begins. It ends with 0 when the run is finished or was asked to stop, with
130 or 143 when a signal stopped it (saved first), with 1 when it failed; the run's events say how, in every case but
a kill -9.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from engine.errors import Code, OutOfMemory, PellucidError
from engine.wire_training import Event, RunCrashed, RunFailed, TrainingConfig
from trainer.priority import give_way
from trainer.speed import prepare_process

if TYPE_CHECKING:
    from trainer.train import Wishes

FAILED = 1


def work(run: Path, listener: Callable[[Event], None] | None = None) -> int:
    """Train the run in this process until it ends; returns the exit code. `listener` hears every event."""
    prepare_process()
    from trainer.processes import joined_processes
    from trainer.rundir import RunFolder, RunOwner
    from trainer.train import Training, Wishes

    folder = RunFolder(run)
    config = folder.config()
    wishes = Wishes()
    with joined_processes(cuda=_has_cuda(config)) as processes, _signals(wishes) as caught:
        if not processes.leads:
            Training(folder, config, _say_nothing, wishes, processes).run()
            return 0
        with RunOwner(folder) as owner:
            folder.drop_stale_commands()

            def report(event: Event) -> None:
                owner.append(event)
                if listener is not None:
                    listener(event)

            training = Training(folder, config, report, wishes, processes, tuple(owner.descriptors), owner.tell_device)
            try:
                outcome = training.run()
            except BaseException as error:
                report(_ending(error, training.place.iteration))
                owner.sync()
                if isinstance(error, PellucidError):
                    print(f"pellucid: {error}", file=sys.stderr)
                    return FAILED
                if isinstance(error, KeyboardInterrupt):
                    return 128 + signal.SIGINT
                raise
            owner.sync()
            return 128 + caught[0] if caught and outcome == "stopped" else 0


def _ending(error: BaseException, iteration: int) -> Event:
    """The last event of a process that did not end well."""
    known = _as_known(error)
    if known is not None:
        return RunFailed(time=time.time(), iteration=iteration, code=known.code, message=known.message, hint=known.hint)
    text = "".join(traceback.format_exception(error))
    message = (
        "It was interrupted twice." if isinstance(error, KeyboardInterrupt) else f"{type(error).__name__}: {error}"
    )
    return RunCrashed(time=time.time(), iteration=iteration, message=message, traceback=text[-8000:])


def _as_known(error: BaseException) -> PellucidError | None:
    if isinstance(error, PellucidError):
        return error
    from engine.runtime.torch_network import is_shortage

    if isinstance(error, MemoryError) or is_shortage(error):
        return OutOfMemory(
            "The training ran out of memory.",
            "Set data.batch or data.crop lower, or stages.N.accumulate higher: see pellucid train --dry-run.",
        )
    return None


def _has_cuda(config: TrainingConfig) -> bool:
    if config.speed.device == "cpu" or "WORLD_SIZE" not in os.environ:
        return False
    import torch

    return torch.cuda.is_available()


def _say_nothing(event: Event) -> None:
    pass


@contextmanager
def _signals(wishes: Wishes) -> Iterator[list[int]]:
    """Turn the first SIGINT or SIGTERM into a wish to stop; a second one interrupts. Yields the signals caught."""
    caught: list[int] = []

    def hear(number: int, frame: FrameType | None) -> None:
        if caught:
            raise KeyboardInterrupt
        caught.append(number)
        wishes.stop = f"It received {signal.Signals(number).name}."

    previous = {number: signal.signal(number, hear) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield caught
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m trainer.worker", description="Train a run folder.")
    parser.add_argument("run", type=Path, help="a run folder that holds config.toml")
    parser.add_argument("--nice", type=int, default=0, help="how much it gives way to other programs, 0 to 19")
    arguments = parser.parse_args()
    give_way(arguments.nice)
    try:
        code = work(arguments.run)
    except PellucidError as error:
        print(f"pellucid: {error}", file=sys.stderr)
        code = 2 if error.code == Code.USAGE else FAILED
    if "WORLD_SIZE" in os.environ:
        # DistributedDataParallel keeps the threads of the group alive even when the group is destroyed, and in one of
        # some dozen ends they crash in a program that is being taken down. Everything is on the disk by now.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code


if __name__ == "__main__":
    sys.exit(main())

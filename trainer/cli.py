"""The trainer's commands: train, runs, watch, dataset. Nothing heavy is imported before it is needed."""

from __future__ import annotations

import argparse
import errno
import math
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from engine.cli.frame import DONE, SOME_FAILED, Subparsers, run_command_line
from engine.cli.output import Output
from engine.errors import Code, PellucidError
from engine.wire_training import (
    FEW_PICTURES,
    Command,
    ContinueRun,
    Event,
    Finished,
    ModelSaved,
    Paused,
    PauseRun,
    Predicted,
    Progress,
    RolledBack,
    RunCrashed,
    RunFailed,
    RunStarted,
    SaveNow,
    StageStarted,
    Stopped,
    StopRun,
    TrainingConfig,
    Validated,
    Warned,
    format_config,
)
from trainer.priority import DETACHED_NICENESS, give_way

SPOKEN_SECONDS = 10.0
"""People get a line of progress this often; programs get every event."""


def main(words: Sequence[str]) -> int:
    return run_command_line(words, add_parsers)


def add_parsers(subparsers: Subparsers) -> None:
    _add_train(subparsers)
    _add_runs(subparsers)
    _add_watch(subparsers)
    _add_dataset(subparsers)


add_all_parsers = add_parsers
"""The name that shell completion asks every module of commands for."""


# ------------------------------------------------------------------------------------------------------------ train


def _add_train(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser("train", help="train a model from a folder of pictures")
    parser.add_argument("config", nargs="?", metavar="PRESET|CONFIG.toml", help="see --presets")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="e.g. data.batch=8")
    parser.add_argument("--data", action="append", default=[], metavar="DIR", help="pictures to train on; may repeat")
    parser.add_argument("--validation", action="append", default=[], metavar="DIR", help="fixed pictures; may repeat")
    parser.add_argument("--run", dest="folder", metavar="RUN", help="folder of the run; default: a new one")
    parser.add_argument("--resume", metavar="RUN", help="go on with a run")
    parser.add_argument("--detach", action="store_true", help="train in a process of its own and return at once")
    parser.add_argument(
        "--prepare", action="store_true", help="make the run's folder and start nothing: for torchrun, or for later"
    )
    parser.add_argument(
        "--nice",
        type=int,
        choices=range(20),
        metavar="N",
        help=f"give way to others: 0 not at all, 19 entirely; default: {DETACHED_NICENESS} with --detach, else 0",
    )
    parser.add_argument("--dry-run", action="store_true", help="show the whole configuration, and what it will take")
    parser.add_argument(
        "--bench", action="store_true", help="time this configuration beside a plain loop of the same network"
    )
    parser.add_argument("--presets", action="store_true", help="list the configurations that come with Pellucid")
    parser.set_defaults(run=run_train)


def run_train(arguments: argparse.Namespace, out: Output) -> int:
    from trainer.config import load_config, preset_names, refuse_undecodable
    from trainer.speed import prepare_process

    prepare_process()
    if arguments.presets:
        rows = []
        for name in preset_names():
            description = _preset_description(name)
            out.line({"preset": name, "description": description})
            rows.append((name, description))
        out.table(rows, ("preset", "what it trains"))
        return DONE
    _refuse_several(arguments, ("dry_run", "bench", "prepare", "detach"))
    if arguments.resume:
        if arguments.config or arguments.set or arguments.data or arguments.validation or arguments.folder:
            raise PellucidError(
                Code.USAGE,
                "A resumed run keeps its configuration: --resume stands alone.",
                "Start a new run to change something.",
            )
        if arguments.prepare:
            raise PellucidError(
                Code.USAGE, "--prepare makes a new run, and --resume goes on with one.", "Leave one out."
            )
        if arguments.bench:
            raise PellucidError(
                Code.USAGE,
                "--bench times a configuration, and a run that is resumed only trains.",
                f"Time it without its run: pellucid train {find_run(arguments.resume) / 'config.toml'} --bench",
            )
        folder = find_run(arguments.resume)
    else:
        if not arguments.config:
            raise PellucidError(
                Code.USAGE, "Name a preset or a configuration file.", f"Presets: {', '.join(preset_names())}."
            )
        config = with_absolute_paths(load_config(arguments.config, arguments.set, arguments.data, arguments.validation))
        refuse_undecodable(config)
        if arguments.dry_run:
            return _dry_run(config, out)
        if arguments.bench:
            return _bench(config, out)
        folder = Path(arguments.folder).expanduser() if arguments.folder else new_run_folder(config.name)
        refuse_undecodable(str(folder.resolve()), "--run")
        _check_before_start(config)
        from trainer.rundir import RunFolder

        RunFolder(folder.resolve()).create(config)
    folder = folder.resolve()
    if arguments.dry_run:
        from trainer.rundir import RunFolder

        return _dry_run(RunFolder(folder).config(), out)
    if arguments.prepare:
        out.say(f"Prepared: {folder}")
        out.say(f"Start it: pellucid train --resume {folder}")
        out.say(f"By several processes: torchrun --nproc-per-node N -m trainer.worker {folder}")
        out.line({"run": str(folder), "state": "new"})
        return DONE
    if arguments.detach:
        return _detach(folder, out, DETACHED_NICENESS if arguments.nice is None else arguments.nice)
    give_way(arguments.nice or 0)
    return _train_here(folder, out)


def _refuse_several(arguments: argparse.Namespace, names: Sequence[str]) -> None:
    """Options of which each one says what is to be done."""
    given = [f"--{name.replace('_', '-')}" for name in names if getattr(arguments, name)]
    if len(given) > 1:
        raise PellucidError(Code.USAGE, f"{given[0]} and {given[1]} contradict each other.", "Leave one out.")


def _preset_description(name: str) -> str:
    import tomllib

    from engine.wire_training import presets_folder

    with (presets_folder() / f"{name}.toml").open("rb") as file:
        return str(tomllib.load(file).get("description", ""))


def _check_before_start(config: TrainingConfig) -> None:
    """Faults that can be found before a folder is made, the quickest first."""
    from trainer.data import gather_pictures
    from trainer.rehearsal import rehearse

    rehearse(config)
    gather_pictures(config)


def _dry_run(config: TrainingConfig, out: Output) -> int:
    from trainer.predict import predict

    text = format_config(config)
    out.say(text)
    prediction = predict(config)
    for notice in prediction.notices:
        out.say(notice)
    for stage in prediction.stages:
        out.line(
            {"stage": stage.name, "iterations": stage.iterations, "seconds_per_iteration": stage.seconds_per_iteration}
        )
    out.table(
        [(stage.name, stage.iterations, stage.seconds_per_iteration) for stage in prediction.stages],
        ("stage", "iterations", "seconds each"),
    )
    out.say(
        f"{prediction.parameters:,} parameters, {_counted(prediction.pictures)}, {prediction.device} in "
        f"{prediction.precision}: about {spoken_time(prediction.seconds)}, without validation; "
        f"{prediction.memory_mb:,.0f} MiB of memory, of {prediction.available_mb:,.0f} that are free."
    )
    if not prediction.fits:
        out.warn("It will not fit: set data.batch or data.crop lower, or stages.N.accumulate higher.")
    out.line(
        {
            "config": text,
            "device": prediction.device,
            "precision": prediction.precision,
            "parameters": prediction.parameters,
            "pictures": prediction.pictures,
            "notices": prediction.notices,
            "seconds": prediction.seconds,
            "loader_seconds": prediction.loader_seconds,
            "memory_mb": prediction.memory_mb,
            "available_mb": prediction.available_mb,
            "fits": prediction.fits,
        }
    )
    return DONE if prediction.fits else SOME_FAILED


BENCH_ROUNDS = 3
BENCH_SECONDS = 8.0
"""Of one turn."""


def _bench(config: TrainingConfig, out: Output) -> int:
    from trainer.bench import Side, Stretch, compare

    def tell(side: Side, stretch: Stretch) -> None:
        out.line({"side": side, **msgspec.to_builtins(stretch)})

    rates = compare(config, BENCH_ROUNDS, BENCH_SECONDS, tell)
    ours = rates[0]
    rows = []
    for rate in rates:
        ratio, wall_ratio = ours.per_cpu_second / rate.per_cpu_second, ours.per_second / rate.per_second
        rows.append((rate.side, rate.per_cpu_second, ratio, rate.per_second, wall_ratio, rate.loader_wait))
    out.table(rows, ("loop", "steps per CPU second", "ours is", "steps a second", "ours is", "waiting for data"))
    out.line(
        {
            "config": config.name,
            "rates": msgspec.to_builtins(rates),
            "ratio_cpu": {row[0]: row[2] for row in rows[1:]},
            "ratio_wall": {row[0]: row[4] for row in rows[1:]},
            "loader_wait": ours.loader_wait,
        }
    )
    return DONE


def worker_command(folder: Path, niceness: int) -> list[str]:
    """How the process that trains is started; a frozen application is its own interpreter."""
    manner = ["--nice", str(niceness)]
    if getattr(sys, "frozen", False):
        return [sys.executable, "train", "--resume", str(folder), *manner]
    return [sys.executable, "-m", "trainer.worker", str(folder), *manner]


def _detach(folder: Path, out: Output, niceness: int = DETACHED_NICENESS) -> int:
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


def _train_here(folder: Path, out: Output) -> int:
    from trainer.worker import work

    speaker = _Speaker(out)
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


class _Speaker:
    """Turns events into lines for people, or passes them to programs as they are."""

    def __init__(self, out: Output) -> None:
        self._out = out
        self._next = 0.0
        self.state = "running"
        self.iteration = 0
        self.scores: dict[str, float] = {}
        self._total = 0
        self.is_read = True

    def hear(self, event: Event) -> None:
        """A reader who goes away, as `head` does, costs the words and not the training."""
        self._note(event)
        if self.is_read:
            try:
                self._tell(event)
            except OSError as error:
                # Windows has another word for it than a broken pipe.
                if error.errno not in (errno.EPIPE, errno.EINVAL):
                    raise
                self.is_read = False

    def _note(self, event: Event) -> None:
        match event:
            case RunStarted():
                self._total = event.iterations
            case Progress():
                self.iteration = event.iteration
            case Validated():
                self.scores = event.metrics
            case Finished():
                self.state, self.iteration = "finished", event.iteration
            case Stopped():
                self.state, self.iteration = "stopped", event.iteration
            case RunFailed() | RunCrashed():
                self.state = "failed"
            case _:
                pass

    def _tell(self, event: Event) -> None:
        self._out.line({str(name): value for name, value in msgspec.to_builtins(event).items()})
        match event:
            case RunStarted():
                self._out.say(
                    f"{'Going on at' if event.resumed else 'Starting at'} iteration {event.iteration} of "
                    f"{event.iterations}: {event.parameters:,} parameters, {_counted(event.pictures)}, {event.device}, "
                    f"{event.precision}, {event.threads} threads, {event.workers} loader processes"
                )
            case StageStarted():
                self._out.say(f"Stage {event.name}: {event.iterations} iterations")
            case Progress():
                if time.monotonic() >= self._next:
                    self._next = time.monotonic() + SPOKEN_SECONDS
                    self._out.say(progress_line(event, self._total))
            case Validated():
                self._out.say(validation_line(event))
            case ModelSaved() if event.kind == "stage":
                self._out.say(f"Model: {event.path}")
            case Predicted():
                self._out.say(f"It will take about {spoken_time(event.seconds_left)}.")
            case Warned():
                self._out.say(event.text)
            case RolledBack():
                self._out.say(
                    f"{event.reason} Rolled back from iteration {event.abandoned} to {event.iteration}; "
                    f"the learning rate is now {event.learning_rate_factor:g} of the planned one."
                )
            case Paused():
                self._out.say(f"Paused at iteration {event.iteration}.")
            case Finished():
                self._out.say(f"Finished after {event.iteration} iterations.")
            case Stopped():
                self._out.say(f"{event.reason} Saved at iteration {event.iteration}.")
            case _:
                pass


def progress_line(event: Progress, total: int) -> str:
    losses = "  ".join(f"{name} {value:.4g}" for name, value in event.losses.items())
    return (
        f"{event.iteration:>8}/{total}  {losses}  rate {event.learning_rate:.2e}  "
        f"{event.iterations_per_second:.2f} it/s  waiting {event.loader_wait:.0%}  "
        f"left {spoken_time(event.seconds_left)}"
    )


def validation_line(event: Validated) -> str:
    scores = "  ".join(
        f"{name} {value:.4f} ({value - event.baseline.get(name, math.nan):+.4f} to bicubic)"
        for name, value in event.metrics.items()
    )
    return f"{event.iteration:>8}  validation ({event.protocol}): {scores}{'  best so far' if event.best else ''}"


def _counted(pictures: int) -> str:
    return "1 picture" if pictures == 1 else f"{pictures} pictures"


def spoken_time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 172800 else f"{seconds / 86400:.1f} days"


def with_absolute_paths(config: TrainingConfig) -> TrainingConfig:
    """A run outlives the directory it was started in."""

    def absolute(path: str) -> str:
        return str(Path(path).expanduser().resolve()) if path else ""

    def absolute_model(name: str) -> str:
        from engine.models.library import find_entry, looks_like_path

        if not name or looks_like_path(name) or Path(name).is_file():
            return absolute(name)
        entry = find_entry(name)
        if entry.path is None:
            raise PellucidError(
                Code.USAGE, f"model.start = {name} is not a network: there are no weights to begin with.", model=name
            )
        return str(entry.path)

    replace = msgspec.structs.replace

    def absolute_recipe(name: str) -> str:
        return absolute(name) if name.endswith(".toml") else name

    stages = [
        replace(stage, losses=[replace(loss, weights_file=absolute(loss.weights_file)) for loss in stage.losses])
        for stage in config.stages
    ]
    return replace(
        config,
        stages=stages,
        model=replace(config.model, start=absolute_model(config.model.start)),
        data=replace(
            config.data,
            train=[absolute(folder) for folder in config.data.train],
            recipe=absolute_recipe(config.data.recipe),
        ),
        validation=replace(
            config.validation,
            folders=[absolute(folder) for folder in config.validation.folders],
            recipe=absolute_recipe(config.validation.recipe),
        ),
    )


# ------------------------------------------------------------------------------------------------------------- runs


def runs_folder() -> Path:
    """Where runs live that were not put anywhere by name: PELLUCID_RUNS, or the user's data folder."""
    chosen = os.environ.get("PELLUCID_RUNS")
    if chosen:
        return Path(chosen)
    import platformdirs

    return Path(platformdirs.user_data_path("pellucid", appauthor=False)) / "runs"


def new_run_folder(name: str) -> Path:
    from trainer.export import file_name

    base = f"{file_name(name)}-{time.strftime('%Y%m%d-%H%M%S')}"
    folder, number = runs_folder() / base, 1
    while folder.exists():
        number += 1
        folder = runs_folder() / f"{base}-{number}"
    return folder


def find_run(name: str) -> Path:
    """A run by its path, or by its folder's name among all runs."""
    for folder in (Path(name).expanduser(), runs_folder() / name):
        if (folder / "config.toml").is_file():
            return folder
    raise PellucidError(Code.FILE_MISSING, f"There is no run {name}.", "List them with: pellucid runs list.", run=name)


def _add_runs(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser("runs", help="list, watch, pause, resume and stop trainings")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="every run, and how it stands")
    listing.add_argument("--folder", metavar="DIR", help="where to look; default: the usual place")
    listing.set_defaults(run=run_list)
    for name, help_text, function in (
        ("show", "one run in detail", run_show),
        ("pause", "save and wait, memory kept", run_pause),
        ("resume", "wake a paused run, or start a stopped one again", run_resume),
        ("stop", "save and end", run_stop),
        ("save", "write a checkpoint and the model now", run_save),
    ):
        action = actions.add_parser(name, help=help_text)
        action.add_argument("name", metavar="RUN", help="its folder, or its name in the list")
        action.set_defaults(run=function)
    export = actions.add_parser("export", help="write the curves as CSV, PNG or TensorBoard events")
    export.add_argument("name", metavar="RUN", help="its folder, or its name in the list")
    export.add_argument("-o", "--output", metavar="FILE", required=True, help=".csv, .png, or a folder for TensorBoard")
    export.add_argument("--overwrite", action="store_true", help="replace a file that is there")
    export.set_defaults(run=run_export)


def run_list(arguments: argparse.Namespace, out: Output) -> int:
    folder = Path(arguments.folder).expanduser() if arguments.folder else runs_folder()
    runs = sorted(path.parent for path in folder.glob("*/config.toml")) if folder.is_dir() else []
    rows = []
    for path in runs:
        facts = _facts(path)
        out.line(facts)
        share = 100.0 * facts["iteration"] / max(facts["iterations"], 1)
        score = facts["validation"].get("psnr") if facts["validation"] else None
        rows.append((path.name, facts["state"], f"{facts['iteration']}/{facts['iterations']}", f"{share:.0f} %", score))
    out.table(rows, ("run", "state", "iteration", "done", "psnr"))
    if not rows:
        out.say(f"There are no runs in {folder}.")
    out.line({"runs": len(rows), "folder": str(folder)})
    return DONE


def _facts(path: Path) -> dict[str, Any]:
    """What is known of a run: the truth of its events, corrected by whether its process lives."""
    from trainer.curves import read_story
    from trainer.rundir import RunFolder

    run = RunFolder(path)
    story = read_story(event for event, _ in run.events())
    owner = run.owner()
    state, sentence = story.state, story.sentence
    if owner is None and state in ("running", "paused"):
        state, sentence = "interrupted", "Its process ended without a word: resume it."
    elif owner is not None and state not in ("running", "paused"):
        state = "running"
    return {
        "run": str(path),
        "state": state,
        "sentence": sentence,
        "pid": owner.pid if owner else None,
        "device": story.started.device if story.started else "",
        "iteration": story.iteration,
        "iterations": story.iterations,
        "seconds_left": story.seconds_left,
        "validation": story.validations[-1].metrics if story.validations else {},
        "baseline": story.validations[-1].baseline if story.validations else {},
        "best": max((event.metrics.get("psnr", 0.0) for event in story.validations), default=None),
        "models": sorted(str(file) for file in run.models.glob("*.safetensors")),
    }


def run_show(arguments: argparse.Namespace, out: Output) -> int:
    facts = _facts(find_run(arguments.name))
    left = facts["seconds_left"]
    shown = {**facts, "seconds_left": None if left is None else spoken_time(left)}
    out.table(
        [(name.replace("seconds", "time").replace("_", " "), _shown(value)) for name, value in shown.items()],
        ("fact", "value"),
    )
    out.line(facts)
    return DONE


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {number:.4f}" for name, number in value.items())
    if isinstance(value, list):
        return ", ".join(str(item) for item in value)
    return "" if value is None else str(value)


def _command(name: str, command: Command, out: Output, done: str, paused: str) -> int:
    """`done`: what is said, `paused`: the same where the run is paused."""
    from trainer.curves import read_story
    from trainer.rundir import RunFolder

    run = RunFolder(find_run(name))
    owner = run.owner()
    if owner is None:
        raise PellucidError(
            Code.USAGE, f"Nothing works on the run {run.path}.", f"Start it again: pellucid train --resume {run.path}"
        )
    state = read_story(event for event, _ in run.events()).state
    number = run.send(command)
    out.say(paused if state == "paused" else done)
    out.line(
        {
            "run": str(run.path),
            "command": type(command).__name__,
            "number": number,
            "pid": owner.pid,
            "paused": state == "paused",
        }
    )
    return DONE


def run_pause(arguments: argparse.Namespace, out: Output) -> int:
    return _command(arguments.name, PauseRun(), out, "It will pause after its step.", "It is paused already.")


def run_resume(arguments: argparse.Namespace, out: Output) -> int:
    from trainer.curves import read_story
    from trainer.rundir import RunFolder

    run = RunFolder(find_run(arguments.name).resolve())
    if run.owner() is not None:
        return _command(arguments.name, ContinueRun(), out, "It works already.", "It goes on.")
    story = read_story(event for event, _ in run.events())
    if story.state == "finished":
        out.say(f"The run {run.path} is finished: there is nothing left of its {story.iterations} iterations.")
        saved = [event.path for event, _ in run.events() if isinstance(event, ModelSaved) and event.kind == "stage"]
        if saved and (run.path / saved[-1]).is_file():
            out.say(f'To train on, begin a new run with its model: --set "model.start={run.path / saved[-1]}"')
        out.line({"run": str(run.path), "pid": None, "state": "finished"})
        return DONE
    return _detach(run.path, out)


def run_stop(arguments: argparse.Namespace, out: Output) -> int:
    return _command(arguments.name, StopRun(), out, "It will save and end after its step.", "It will end.")


def run_save(arguments: argparse.Namespace, out: Output) -> int:
    done = "It will save after its step."
    return _command(arguments.name, SaveNow(), out, done, "It is paused, and will save when it goes on.")


def run_export(arguments: argparse.Namespace, out: Output) -> int:
    from trainer.curves import read_story, tensorboard_file, write_csv, write_png, write_tensorboard
    from trainer.rundir import RunFolder

    run = RunFolder(find_run(arguments.name))
    story = read_story(event for event, _ in run.events())
    if not story.progress and not story.validations:
        hint = "Wait for its first progress."
        if run.owner() is None:
            why = f": {story.sentence}" if story.sentence else "."
            hint = f"It ended before its first progress{why}" if story.started else "It was never started."
        raise PellucidError(Code.USAGE, f"The run {arguments.name} has no curve yet.", hint)
    target = Path(arguments.output).expanduser()
    kind = "" if _names_folder(arguments.output) else target.suffix.lower()
    writers = {".csv": write_csv, ".png": write_png, "": write_tensorboard}
    if kind not in writers:
        raise PellucidError(
            Code.USAGE,
            f"Curves cannot be written as {kind}.",
            "Use .csv, .png, or a folder for TensorBoard, with a / behind its name.",
        )
    if not kind:
        target = tensorboard_file(story, target)
    if target.exists() and not arguments.overwrite:
        raise PellucidError(
            Code.FILE_UNWRITABLE, f"{target} is there already.", "Add --overwrite to replace it.", path=str(target)
        )
    writers[kind](story, target)
    out.say(f"Written: {target}")
    out.line({"run": arguments.name, "file": str(target), "points": len(story.progress)})
    return DONE


def _names_folder(output: str) -> bool:
    """A folder may have a dot in its name: a version, say. Letters alone behind the last one are the kind of a file."""
    path = Path(output).expanduser()
    return output.endswith(("/", os.sep)) or path.is_dir() or not path.suffix[1:].isalpha()


# ------------------------------------------------------------------------------------------------------------ watch


def _add_watch(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser("watch", help="follow a training in the terminal")
    parser.add_argument("name", metavar="RUN", help="its folder, or its name in the list")
    parser.add_argument("--once", action="store_true", help="show how it stands and return")
    parser.set_defaults(run=run_watch)


def run_watch(arguments: argparse.Namespace, out: Output) -> int:
    from trainer.curves import Story
    from trainer.rundir import RunFolder
    from trainer.text_plot import draw_story

    run = RunFolder(find_run(arguments.name))
    story, offset = Story(), 0
    clear = out.interactive and not arguments.once
    while True:
        news = False
        for event, offset in run.events(offset):  # noqa: B020, B007
            story.add(event)
            out.line({str(name): value for name, value in msgspec.to_builtins(event).items()})
            news = True
        alive = run.owner() is not None
        ends = arguments.once or (not alive and not news)
        if (news and (clear or ends)) or (ends and not clear):
            size = shutil.get_terminal_size((100, 30))
            drawing = draw_story(story, min(size.columns - 16, 120), size.lines - 1 if clear else 0)
            if clear:
                # Each line is cleared as it is drawn anew, and what is left below at the end: nothing flickers.
                drawing = "\x1b[K\n".join(line[: size.columns] for line in drawing.split("\n"))
                drawing = f"\x1b[H{drawing}\x1b[K\x1b[J"
            out.say(drawing)
        if ends:
            out.line({"run": str(run.path), "state": story.state, "iteration": story.iteration})
            return DONE if story.state != "failed" else SOME_FAILED
        time.sleep(0.5)


# ---------------------------------------------------------------------------------------------------------- dataset


def _add_dataset(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser("dataset", help="check folders of pictures before training on it")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    check = actions.add_parser("check", help="what is wrong with the pictures, and what to do about it")
    check.add_argument("folders", nargs="*", metavar="DIR", help="default: the folders that --for names")
    check.add_argument(
        "--for",
        dest="config",
        metavar="PRESET|CONFIG.toml",
        help="check what this training asks of pictures: its crop and context, scale, partners, validation folders",
    )
    check.add_argument("--crop", type=_at_least_one, metavar="N", help="side of what training cuts out (default 128)")
    check.add_argument("--scale", type=int, choices=(1, 2, 3, 4, 8), help="scale of the model (default 4)")
    check.add_argument("--pairs", action="store_true", help="damaged partners are wanted")
    check.add_argument(
        "--validation", action="append", default=[], metavar="DIR", help="pictures it must not share; may repeat"
    )
    check.set_defaults(run=run_check)


def _at_least_one(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text} is no whole number from 1 on")
    return int(text)


def run_check(arguments: argparse.Namespace, out: Output) -> int:
    from trainer.config import crop_with_context, load_picture_settings
    from trainer.doctor import ADVICE, examine

    crop, scale, pairs = arguments.crop or 128, arguments.scale or 4, arguments.pairs
    folders, validation = arguments.folders, arguments.validation
    if arguments.config:
        config = load_picture_settings(arguments.config)
        crop, scale = arguments.crop or crop_with_context(config.data), arguments.scale or config.model.scale
        pairs = pairs or config.data.source == "pairs"
        folders, validation = folders or config.data.train, validation or config.validation.folders
    if not folders:
        raise PellucidError(Code.USAGE, "Name a folder to check.", "pellucid dataset check DIR...")
    told = time.monotonic()

    def progress(done: int, total: int) -> None:
        nonlocal told
        if time.monotonic() - told > 5.0:
            told = time.monotonic()
            out.say(f"{done} of {_counted(total)}")

    report = examine(
        [Path(folder) for folder in folders],
        crop,
        scale,
        [Path(folder) for folder in validation],
        pairs,
        progress,
    )
    out.say(
        f"{report.folder}: {_counted(report.pictures)}, {report.megapixels:.1f} megapixels, layout {report.layout}, "
        f"smallest side {report.smallest_side}; training cuts {crop}x{crop}."
    )
    counts: dict[str, int] = {}
    for kind, findings in report.by_kind().items():
        counts[kind] = len(findings)
        out.say(f"\n{kind}: {len(findings)}. {ADVICE[kind]}")
        for finding in findings[:10]:
            out.say(f"  {finding.path}: {finding.text}")
        if len(findings) > 10:
            out.say(f"  and {len(findings) - 10} more")
        for finding in findings:
            out.line({"kind": kind, "path": finding.path, "text": finding.text, "advice": ADVICE[kind]})
    if not report.usable:
        out.say("\nNone of these pictures can be trained on.")
    elif report.usable < FEW_PICTURES:
        out.say("\nThey are few: it works, and more make a better model. Hundreds are a start, thousands are better.")
    out.say("\nNothing stands in the way of training." if report.healthy else "\nRepair this before training.")
    out.line(
        {
            "folder": report.folder,
            "layout": report.layout,
            "pictures": report.pictures,
            "megapixels": report.megapixels,
            "smallest_side": report.smallest_side,
            "usable": report.usable,
            "crop": crop,
            "scale": scale,
            "findings": counts,
            "healthy": report.healthy,
        }
    )
    return DONE if report.healthy else SOME_FAILED

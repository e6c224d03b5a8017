"""`pellucid runs`: list, show, pause, resume, save, stop and export trainings."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from engine.cli.frame import DONE, Subparsers
from engine.cli.output import Output
from engine.errors import Code, PellucidError
from engine.wire_training import Command, ContinueRun, ModelSaved, PauseRun, SaveNow, StopRun
from trainer.cli.begin import begin_detached
from trainer.cli.folders import find_run, runs_folder
from trainer.cli.speech import spoken_time


def add_runs_parser(subparsers: Subparsers) -> None:
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
    return begin_detached(run.path, out)


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

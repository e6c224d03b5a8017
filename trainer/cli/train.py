"""`pellucid train`: from a preset or a configuration to a run."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import msgspec

from engine.cli.frame import DONE, SOME_FAILED, Subparsers
from engine.cli.output import Output
from engine.errors import Code, PellucidError
from engine.wire_training import TrainingConfig, format_config
from trainer.cli.begin import begin_detached, train_here
from trainer.cli.folders import find_run, new_run_folder
from trainer.cli.speech import counted, spoken_time
from trainer.priority import DETACHED_NICENESS, give_way


def add_train_parser(subparsers: Subparsers) -> None:
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
    from trainer.config import load_config, preset_names, refuse_undecodable, with_absolute_paths
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
        return begin_detached(folder, out, DETACHED_NICENESS if arguments.nice is None else arguments.nice)
    give_way(arguments.nice or 0)
    return train_here(folder, out)


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
        f"{prediction.parameters:,} parameters, {counted(prediction.pictures)}, {prediction.device} in "
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

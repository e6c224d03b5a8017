"""`pellucid degrade`: damage pictures as a recipe says, and keep the plan of each beside it."""

from __future__ import annotations

import argparse
import unicodedata
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.cli.frame import DONE, SOME_FAILED, Subparsers
from engine.cli.output import Output
from engine.errors import Code, PellucidError
from engine.whole_file import make_folder, write_whole

if TYPE_CHECKING:
    from engine.degrade.plan import Plan
    from engine.degrade.recipe import Recipe
    from engine.degrade.sheet import Bytes
    from engine.image.buffer import Metadata

_SHEET_SAMPLES = 12
DEFAULT_RECIPE = "real-esrgan"


def add_degrade_parser(subparsers: Subparsers) -> None:
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "degrade",
        help="damage pictures, to train or to test with",
        description="Damage pictures as a recipe says. The same recipe, seed and file name give the same bytes.",
    )
    parser.add_argument("sources", nargs="*", metavar="IN", help="pictures, and folders of pictures")
    parser.add_argument("-o", "--output", metavar="OUT", help="folder for the results")
    parser.add_argument("--recipe", default=DEFAULT_RECIPE, metavar="NAME|FILE", help="(default real-esrgan)")
    parser.add_argument(
        "--plan", metavar="FILE", help="repeat the plan written beside an earlier result, instead of a recipe"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="(default 0)")
    parser.add_argument("--count", type=int, default=1, metavar="N", help="versions of each picture (default 1)")
    parser.add_argument("--scale", type=int, metavar="N", help="shrink by N instead of what the recipe says")
    parser.add_argument(
        "--pairs", action="store_true", help="write input/ and target/, flipped and sharpened as the recipe says"
    )
    parser.add_argument(
        "--sheet",
        type=int,
        nargs="?",
        const=_SHEET_SAMPLES,
        metavar="N",
        help=f"only a contact sheet of N samples (default {_SHEET_SAMPLES}), as sheet.png",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace results that are there already")
    parser.add_argument("--threads", type=int, metavar="N", help="(default: all cores)")
    show = parser.add_mutually_exclusive_group()
    show.add_argument("--list", action="store_true", help="list the bundled recipes and stop")
    show.add_argument("--print", action="store_true", help="print the recipe's TOML, to copy and edit, and stop")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, output: Output) -> int:
    import msgspec

    from engine.degrade.recipe import load_recipe, recipe_plain, recipe_source
    from engine.image.naming import collect_sources

    if arguments.list:
        return _list_recipes(output)
    recipe = load_recipe(arguments.recipe)
    if arguments.print:
        output.say(recipe_source(arguments.recipe).rstrip())
        output.line({"recipe": recipe_plain(recipe), "digest": recipe.digest})
        return DONE
    if arguments.scale is not None:
        _whole("--scale", arguments.scale, 1, 16)
        recipe = msgspec.structs.replace(recipe, scale=arguments.scale)
    _whole("--count", arguments.count, 1, 100_000)
    _whole("--seed", arguments.seed, 0, 2**64 - 1)
    sources = arguments.sources
    if not sources or not arguments.output:
        raise PellucidError(
            Code.USAGE, "Name the pictures to damage and the folder for the results.", "pellucid degrade IN... -o OUT"
        )
    replay = None
    if arguments.plan is not None:
        _refuse_beside_plan(arguments)
        replay = _read_plan(Path(arguments.plan))
    folder = Path(arguments.output)
    files = [(path, path.relative_to(root) if root else Path(path.name)) for path, root in collect_sources(sources)]
    if arguments.sheet is not None:
        _whole("--sheet", arguments.sheet, 1, 400)
        return _write_sheet(files, folder, recipe, arguments, output)
    return _degrade_all(files, folder, recipe, replay, arguments, output)


def sample_number(name: str, version: int) -> int:
    """The number that names version 0, 1, … of a picture: from the file's name alone, so that other files beside it
    change nothing."""
    return zlib.crc32(unicodedata.normalize("NFC", name).encode("utf-8", "surrogatepass")) << 20 | version


def _list_recipes(output: Output) -> int:
    from engine.degrade.recipe import bundled_recipes, load_recipe

    recipes = [load_recipe(name) for name in bundled_recipes()]
    for recipe in recipes:
        output.line({"recipe": recipe.name, "description": recipe.description, "digest": recipe.digest})
    output.table([(recipe.name, recipe.description) for recipe in recipes], ("recipe", "what it does"))
    return DONE


def _degrade_all(
    files: list[tuple[Path, Path]],
    folder: Path,
    recipe: Recipe,
    replay: Plan | None,
    arguments: argparse.Namespace,
    output: Output,
) -> int:
    from engine.degrade.plan import draw_plan

    taken: dict[Path, Path] = {}
    written = failed = 0
    name_of_recipe, digest = (recipe.name, recipe.digest) if replay is None else (replay.recipe, replay.digest)
    seed = arguments.seed if replay is None else replay.seed
    for path, name in files:
        try:
            picture, metadata = _read(path)
            for version in range(arguments.count):
                stem = name.with_suffix("") if arguments.count == 1 else name.with_name(f"{name.stem}-{version:04d}")
                if taken.setdefault(stem, path) != path:
                    raise PellucidError(
                        Code.FILE_UNWRITABLE,
                        f"{path} and {taken[stem]} would get the same result, {folder / stem}.png.",
                        "Rename one of them, or run them into different folders.",
                        path=str(path),
                    )
                job = _Job(path, folder, stem, sample_number(name.as_posix(), version))
                height, width = picture.shape[:2]
                if replay is None:
                    plan = draw_plan(recipe, arguments.seed, [job.sample], height, width, orient=arguments.pairs)
                else:
                    plan = replay
                    _refuse_other_size(path, (height, width), plan)
                record = _degrade_one(picture, metadata, job, plan, arguments)
                output.line(record)
                output.say(f"{record['written']}: {record['summary']}")
                written += 1
        except PellucidError as failure:
            failed += 1
            output.line({"source": str(path), "error": failure.code.value, "message": failure.message})
            if not output.json:
                output.warn(f"pellucid: {failure}")
    output.line({"written": written, "failed": failed, "recipe": name_of_recipe, "digest": digest})
    output.say(f"{written} written, {failed} failed; recipe {name_of_recipe} ({digest}), seed {seed}.")
    return SOME_FAILED if failed else DONE


@dataclass(frozen=True)
class _Job:
    """One result: where it comes from, where it goes (`stem` is relative to `folder`), which sample it is."""

    source: Path
    folder: Path
    stem: Path
    sample: int


def _degrade_one(
    picture: Bytes, metadata: Metadata, job: _Job, plan: Plan, arguments: argparse.Namespace
) -> dict[str, Any]:
    """Write one damaged picture, its plan, and its target where pairs are asked for."""
    from engine.degrade.execute import degrade_batch
    from engine.degrade.sheet import summary
    from kernels.degrade import pixels_of, planes_of

    inputs = job.folder / "input" if arguments.pairs else job.folder
    result = inputs / job.stem.with_name(job.stem.name + ".png")
    plan_file = inputs / job.stem.with_name(job.stem.name + ".json")
    target_file = job.folder / "target" / job.stem.with_name(job.stem.name + ".png")
    for file in (result, plan_file, target_file) if arguments.pairs else (result, plan_file):
        _refuse_existing(file, job.source, arguments.overwrite)
    damaged, target = degrade_batch(planes_of(picture[None]), plan, threads=arguments.threads)
    if arguments.pairs:
        _write_picture(target_file, pixels_of(target)[0], metadata)
    written_plan = plan.to_json(0) + b"\n"
    make_folder(plan_file.parent)
    write_whole(plan_file, lambda partial: partial.write_bytes(written_plan))
    _write_picture(result, pixels_of(damaged)[0], metadata)
    operations = plan.describe(0)
    record = {"source": str(job.source), "written": str(result), "plan": str(plan_file), "sample": int(plan.samples[0])}
    if arguments.pairs:
        record["target"] = str(target_file)
    return {**record, "summary": summary(operations), "operations": operations}


def _refuse_beside_plan(arguments: argparse.Namespace) -> None:
    """A plan is settled: what would draw another one contradicts it."""
    for option, given in (
        ("--recipe", arguments.recipe != DEFAULT_RECIPE),
        ("--seed", arguments.seed != 0),
        ("--count", arguments.count != 1),
        ("--scale", arguments.scale is not None),
        ("--sheet", arguments.sheet is not None),
    ):
        if given:
            raise PellucidError(
                Code.USAGE,
                f"{option} and --plan contradict each other: a plan says everything already.",
                "Leave one out.",
            )


def _read_plan(path: Path) -> Plan:
    from engine.degrade.plan import Plan

    try:
        text = path.read_bytes()
    except OSError as error:
        raise PellucidError(
            Code.FILE_MISSING, f"{path} cannot be read: {error.strerror or error}.", "Name the JSON beside a result."
        ) from error
    try:
        return Plan.from_json(text)
    except PellucidError as error:
        raise PellucidError(error.code, f"{path}: {error.message}", error.hint, path=str(path)) from error


def _refuse_other_size(path: Path, size: tuple[int, int], plan: Plan) -> None:
    if size != plan.source_size:
        raise PellucidError(
            Code.CONFIG,
            f"{path} has {size[1]} x {size[0]} pixels, and the plan is for {plan.source_size[1]} x "
            f"{plan.source_size[0]}.",
            "Use the picture that the plan was drawn for, or one of its size.",
            path=str(path),
        )


def _write_sheet(
    files: list[tuple[Path, Path]], folder: Path, recipe: Recipe, arguments: argparse.Namespace, output: Output
) -> int:
    from engine.degrade.sheet import contact_sheet
    from engine.image.buffer import Metadata

    if not files:
        raise PellucidError(Code.FILE_MISSING, "There is no picture to make a sheet of.", "Name one.")
    pictures = [_read(path)[0] for path, _ in files[: arguments.sheet]]
    sheet, samples = contact_sheet(pictures, recipe, arguments.seed, arguments.sheet)
    target = folder / "sheet.png"
    for path, _ in files:
        _refuse_existing(target, path, arguments.overwrite)
    _write_picture(target, sheet, Metadata())
    places = [{"original": s.original, "damaged": s.damaged, "text": s.text} for s in samples]
    output.line({"sheet": str(target), "samples": places, "recipe": recipe.name, "digest": recipe.digest})
    output.say(f"{target}: {arguments.sheet} samples of {recipe.name} ({recipe.digest}), seed {arguments.seed}.")
    return DONE


def _read(path: Path) -> tuple[Bytes, Metadata]:
    """(height, width, 3) uint8 and the profile: grey becomes RGB, more bits are rounded to 8, alpha is left out."""
    import numpy as np

    from engine.image.buffer import Metadata
    from engine.image.decode import read_image

    image = read_image(path)
    colour = image.colour
    if colour.dtype == np.uint16:
        levels = ((colour.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)
    elif colour.dtype == np.uint8:
        levels = colour.astype(np.uint8, copy=False)
    else:
        levels = np.rint(np.clip(colour.astype(np.float64), 0.0, 1.0) * 255).astype(np.uint8)
    profile = None if image.is_grey else image.metadata.icc  # a grey profile does not fit three channels
    return np.ascontiguousarray(np.broadcast_to(levels, (*levels.shape[:2], 3))), Metadata(icc=profile)


def _write_picture(path: Path, picture: Bytes, metadata: Metadata) -> None:
    from engine.image.buffer import ImageBuffer
    from engine.image.encode import write_image

    make_folder(path.parent)
    write_image(ImageBuffer(picture, metadata=metadata), path, "png", overwrite=True)


def _refuse_existing(file: Path, source: Path, overwrite: bool) -> None:
    if not file.exists():
        return
    if source.exists() and file.samefile(source):
        raise PellucidError(
            Code.FILE_UNWRITABLE, f"{file} is the source itself.", "Choose another folder with -o.", path=str(file)
        )
    if not overwrite:
        raise PellucidError(
            Code.FILE_UNWRITABLE, f"{file} is there already.", "Add --overwrite to replace it.", path=str(file)
        )


def _whole(option: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise PellucidError(Code.USAGE, f"{option} must be within {low} to {high}, not {value}.", "Correct it.")

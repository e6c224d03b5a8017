"""`pellucid degrade`: damage pictures as a recipe says, and keep the plan of each beside it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from engine.cli.frame import DONE, SOME_FAILED, Subparsers
from engine.cli.output import Output
from engine.errors import Code, PellucidError
from engine.wire_results import tell_left_out

if TYPE_CHECKING:
    from engine.degrade.plan import Plan
    from engine.degrade.recipe import Recipe
    from engine.degrade.sheet import Bytes

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
    parser.add_argument("--threads", type=int, metavar="N", help="pictures worked on at once (default: one a core)")
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
    if arguments.threads is not None:
        _whole("--threads", arguments.threads, 1, 1024)
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
    collected = collect_sources(sources)
    files = [(path, path.relative_to(root) if root else Path(path.name)) for path, root in collected.pictures]
    if collected.left_out:
        output.say(tell_left_out(collected.left_out))
    if arguments.sheet is not None:
        _whole("--sheet", arguments.sheet, 1, 400)
        return _write_sheet(files, folder, recipe, arguments, output)
    return _degrade_all(files, folder, recipe, replay, arguments, output)


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
    from engine.degrade.files import Order, Result, degrade_files
    from kernels.degrade import usable_threads

    name_of_recipe, digest = (recipe.name, recipe.digest) if replay is None else (replay.recipe, replay.digest)
    seed = arguments.seed if replay is None else replay.seed
    order = Order(folder, recipe, replay, seed, arguments.count, arguments.pairs, arguments.overwrite)
    written = failed = 0

    def take(result: Result) -> None:
        nonlocal written, failed
        if result.failure is not None:
            failed += 1
            _tell_failure(result.source, result.failure, output)
        else:
            written += 1
            output.line(result.record)
            output.say(f"{result.record['written']}: {result.record['summary']}")

    degrade_files(files, order, arguments.threads or usable_threads(), take)
    output.line({"written": written, "failed": failed, "recipe": name_of_recipe, "digest": digest})
    if not files:
        output.say(f"There is no picture in {', '.join(arguments.sources)}.")
        return DONE
    output.say(f"{written} written, {failed} failed; recipe {name_of_recipe} ({digest}), seed {seed}.")
    return SOME_FAILED if failed else DONE


def _tell_failure(source: Path, failure: PellucidError, output: Output) -> None:
    output.line({"source": str(source), "error": failure.code.value, "message": failure.message})
    if not output.json:
        named = source.name in failure.message
        output.warn(f"pellucid: {failure}" if named else f"pellucid: {source}: {failure}")


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


def _write_sheet(
    files: list[tuple[Path, Path]], folder: Path, recipe: Recipe, arguments: argparse.Namespace, output: Output
) -> int:
    from engine.degrade.draw import draw_plan
    from engine.degrade.files import read_picture, refuse_existing, write_picture
    from engine.degrade.sheet import contact_sheet
    from engine.image.buffer import Metadata

    target = folder / "sheet.png"
    for path, _ in files:
        refuse_existing(target, path, arguments.overwrite)
    pictures: list[Bytes] = []
    failed = 0
    for path, _ in files:
        if len(pictures) == arguments.sheet:
            break
        try:
            picture, _ = read_picture(path)
            draw_plan(recipe, arguments.seed, [], *picture.shape[:2])  # is it large enough?
            pictures.append(picture)
        except PellucidError as failure:
            failed += 1
            _tell_failure(path, failure, output)
    if not pictures:
        raise PellucidError(Code.FILE_MISSING, "There is no picture to make a sheet of.", "Name one.")
    sheet, samples = contact_sheet(pictures, recipe, arguments.seed, arguments.sheet)
    write_picture(target, sheet, Metadata())
    places = [{"original": s.original, "damaged": s.damaged, "text": s.text} for s in samples]
    output.line(
        {"sheet": str(target), "samples": places, "failed": failed, "recipe": recipe.name, "digest": recipe.digest}
    )
    output.say(f"{target}: {arguments.sheet} samples of {recipe.name} ({recipe.digest}), seed {arguments.seed}.")
    return SOME_FAILED if failed else DONE


def _whole(option: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise PellucidError(Code.USAGE, f"{option} must be within {low} to {high}, not {value}.", "Correct it.")

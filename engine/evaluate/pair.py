"""`pellucid pair`: two models of one network become a faithful and a vivid half that know each other.

Each card names the other half, and holds what the blend scores at every alpha that was measured: the slider's ticks.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from engine.cli.frame import DONE, SOME_FAILED, Subparsers
from engine.cli.output import Output
from engine.errors import Code, PellucidError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from engine.image.buffer import ImageBuffer
    from engine.models.card import Score
    from engine.models.model import Model

ALPHAS = (0.0, 0.25, 0.5, 0.75, 1.0)


def add_pair_parser(subparsers: Subparsers) -> None:
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "pair",
        help="make a faithful and a vivid model know each other",
        description="Write both models with cards that name the other half, and with the scores of their blends.",
    )
    parser.add_argument("faithful", metavar="FAITHFUL", help="a name or a file")
    parser.add_argument("vivid", metavar="VIVID", help="a name or a file")
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="DIR", help="where both are written")
    parser.add_argument("--lq", type=Path, metavar="DIR", help="low-quality pictures to measure the blends on")
    parser.add_argument("--gt", type=Path, metavar="DIR", help="the true pictures, of the same names")
    parser.add_argument("--test-set", default="", metavar="NAME", help="what the cards call it (default: the folder)")
    parser.add_argument("--st-lpips", action="store_true", help="also ST-LPIPS, if stlpips-pytorch is installed")
    parser.add_argument(
        "--level",
        type=Path,
        metavar="DIR",
        help="take the fine grid off flat areas, and let both give the same mean colours (compact networks); "
        "DIR: damaged pictures like those of the training",
    )
    parser.add_argument("--half", action="store_true", help="16-bit weights: files of half the size")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, output: Output) -> int:
    import msgspec
    import numpy as np

    from engine.models.blend import check_blendable
    from engine.models.files import weights_hash, write_model
    from engine.models.level import level_pair
    from engine.models.library import find_model
    from engine.models.model import Model

    def round_half(model: Model) -> Model:
        values = {key: value.astype(np.float16).astype(np.float32) for key, value in model.weights.items()}
        return Model(model.card, values)

    if (arguments.lq is None) != (arguments.gt is None):
        raise PellucidError(Code.USAGE, "To measure, give both --lq and --gt.")
    halves = find_model(arguments.faithful), find_model(arguments.vivid)
    check_blendable(*halves)
    if arguments.level:
        halves = level_pair(*halves, _read_planes(arguments.level))
    if arguments.half:
        halves = round_half(halves[0]), round_half(halves[1])
    if halves[0].card.name == halves[1].card.name:
        raise PellucidError(Code.USAGE, f"Both models are called {halves[0].card.name}.", "Rename one of them.")
    scores, failed = _measure(halves, arguments, output) if arguments.lq else ([], 0)
    hashes = [weights_hash(half.weights) for half in halves]
    arguments.output.mkdir(parents=True, exist_ok=True)
    for role, half, own, other in (("psnr", halves[0], 0.0, hashes[1]), ("gan", halves[1], 1.0, hashes[0])):
        kept = [score for score in half.card.scores if not scores or score.dataset != scores[0].dataset]
        mine = [msgspec.structs.replace(score, alpha=None) for score in scores if score.alpha == own]
        card = msgspec.structs.replace(half.card, role=role, partner=other, scores=[*mine, *kept, *scores])
        path = arguments.output / f"{card.name}.safetensors"
        write_model(Model(card, half.weights), path, "fp16" if arguments.half else "fp32")
        output.say(f"Written: {path}")
        output.line({"written": str(path), "role": role})
    output.line({"alphas": len(ALPHAS) if scores else 0, "failed": failed})
    return SOME_FAILED if failed else DONE


def _read_planes(folder: Path) -> list[npt.NDArray[np.float32]]:
    """Every picture of a folder as (3, h, w), 0..1."""
    import numpy as np

    from engine.evaluate.pairs import find_pairs
    from engine.image.decode import read_image
    from engine.metrics.scored import Scored

    pictures = [Scored.from_image(read_image(pair.source)) for pair in find_pairs(folder, None).pairs]
    planes = [np.moveaxis(picture.pixels, -1, 0) / np.float32(255) for picture in pictures]
    return [np.broadcast_to(plane, (3, *plane.shape[1:])).astype(np.float32) for plane in planes]


def _measure(halves: tuple[Model, Model], arguments: argparse.Namespace, output: Output) -> tuple[list[Score], int]:
    """PSNR (rgb) and, where asked, ST-LPIPS of the blends, as scores of a card; how many pictures failed."""
    from engine.evaluate.cli import show_progress
    from engine.evaluate.pairs import find_pairs
    from engine.evaluate.run import Subject, compare_subjects
    from engine.image.decode import read_image
    from engine.metrics.perceptual import load_st_lpips
    from engine.models.blend import blend
    from engine.models.card import Score
    from engine.restore import restore_pixels
    from engine.runtime.choose import open_session
    from engine.wire import RestoreOptions

    pairs = find_pairs(arguments.lq, arguments.gt)
    perceptual = load_st_lpips() if arguments.st_lpips else None
    data_set = arguments.test_set or arguments.lq.resolve().name
    options = RestoreOptions()
    session = open_session(halves[0])

    def subject_of(mixed: Model) -> Subject:
        def restore(image: ImageBuffer) -> ImageBuffer:
            session.set_weights(mixed.weights)
            return restore_pixels(image, mixed, session, options)

        return Subject(mixed.card.name, mixed.card.scale, restore)

    try:
        subjects = [subject_of(blend(*halves, alpha)) for alpha in ALPHAS]
        with show_progress(output, len(pairs.pairs)) as advance:
            reports = compare_subjects(
                subjects, pairs, "rgb", read=read_image, perceptual=perceptual, on_picture=advance
            )
    finally:
        session.close()
    scores: list[Score] = []
    for alpha, report in zip(ALPHAS, reports, strict=True):
        mean = report.mean_result()
        if mean is None:
            raise PellucidError(Code.USAGE, f"No picture of {arguments.lq} could be measured.")
        output.line({"alpha": alpha, "psnr": mean.psnr, "ssim": mean.ssim, "st_lpips": mean.perceptual})
        told = f"alpha {alpha:.2f}: {mean.psnr:.3f} dB, SSIM {mean.ssim:.4f}"
        output.say(told if mean.perceptual is None else f"{told}, ST-LPIPS {mean.perceptual:.4f}")
        found = [("psnr", mean.psnr, "rgb"), ("ssim", mean.ssim, "rgb")]
        if mean.perceptual is not None:
            found.append(("st-lpips", mean.perceptual, ""))
        scores += [
            Score(metric=metric, dataset=data_set, value=round(value, 5), protocol=protocol, alpha=alpha)
            for metric, value, protocol in found
        ]
    for failure in reports[0].failed:
        output.warn(f"pellucid: {failure.name}: {failure.message}")
    return scores, len(reports[0].failed)

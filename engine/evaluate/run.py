"""Restores every low-quality picture of a folder and scores the result against the truth, bicubic beside it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from engine.errors import Code, PellucidError
from engine.evaluate.pairs import Pair, Pairs
from engine.evaluate.report import Failed, PictureScore, Report, Scores
from engine.image.buffer import ImageBuffer
from engine.image.resample import resample
from engine.metrics.gallery import Cell, Row, draw_sheet, enlarge_nearest, most_detailed_box
from engine.metrics.perceptual import Perceptual
from engine.metrics.psnr import psnr
from engine.metrics.scored import Protocol, Scored, comparable
from engine.metrics.ssim import ssim
from engine.whole_file import make_folder, write_whole

Read = Callable[[Path], ImageBuffer]
Restore = Callable[[ImageBuffer], ImageBuffer]
"""A picture to one `scale` times as large."""

SHEET_ROWS = 60
"""Pictures on a contact sheet; the rest is left out, so that it can still be opened."""

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Subject:
    """What is evaluated: its name for the tables, its scale, and how it restores a picture."""

    name: str
    scale: int
    restore: Restore


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The figures, and the rows of a contact sheet."""

    report: Report
    sheet: list[Row] = field(default_factory=list)

    def draw(self) -> Image.Image:
        ours, baseline = self.report.mean_result(), self.report.mean_bicubic()
        title = f"{self.report.model}, x{self.report.scale}"
        if ours and baseline:
            title += (
                f", {_protocol_in_words(self.report)}, mean of {len(self.report.pictures)}: "
                f"{ours.psnr:.2f} dB, bicubic {baseline.psnr:.2f} dB"
            )
        return draw_sheet(title, self.sheet)


def evaluate(
    subject: Subject,
    pairs: Pairs,
    protocol: Protocol,
    *,
    read: Read,
    perceptual: Perceptual | None = None,
    save: Callable[[str, ImageBuffer], None] | None = None,
    on_picture: Callable[[PictureScore | Failed], None] | None = None,
) -> Evaluation:
    """Restore and score `pairs`; a picture that fails is named in the report and stops no other.

    `save(name, result)` is called with every result. `on_picture` is called after every picture, scored or failed.
    Raises PellucidError(RANGE_MISMATCH) when the model's pictures are those of another value range than its card says.
    """
    pictures: list[PictureScore] = []
    failed: list[Failed] = []
    sheet: list[Row] = []
    for unmatched in pairs.unmatched:
        failed.append(unmatched)
        if on_picture:
            on_picture(unmatched)
    for pair in pairs.pairs:
        try:
            score, row = _evaluate_one(subject, pair, protocol, read, perceptual, save, len(sheet) < SHEET_ROWS)
        except PellucidError as error:
            if error.code in (Code.RANGE_MISMATCH, Code.DISK_FULL):
                raise
            failed.append(Failed(pair.name, str(error)))
            if on_picture:
                on_picture(failed[-1])
            continue
        pictures.append(score)
        sheet += [row] if row else []
        if on_picture:
            on_picture(score)
    report = Report(
        model=subject.name,
        scale=subject.scale,
        protocol=protocol,
        border=_border(protocol, subject.scale),
        perceptual=perceptual.name if perceptual else "",
        pictures=pictures,
        failed=failed,
    )
    return Evaluation(report, sheet)


def _border(protocol: Protocol, scale: int) -> int:
    return scale if protocol == "y" else 0


def _protocol_in_words(report: Report) -> str:
    return "RGB" if report.protocol == "rgb" else f"Y, border of {report.border} cut"


def _evaluate_one(
    subject: Subject,
    pair: Pair,
    protocol: Protocol,
    read: Read,
    perceptual: Perceptual | None,
    save: Callable[[str, ImageBuffer], None] | None,
    on_sheet: bool,
) -> tuple[PictureScore, Row | None]:
    source = read(pair.source)
    truth = None
    if pair.truth:
        truth = _matching_truth(Scored.from_image(read(pair.truth), pair.truth.name), source, subject, pair)
    began = time.perf_counter()
    restored = subject.restore(source)
    seconds = time.perf_counter() - began
    if (restored.height, restored.width) != (source.height * subject.scale, source.width * subject.scale):
        raise PellucidError(
            Code.BAD_OUTPUT,
            f"{subject.name} made {restored.width} x {restored.height} pixels of {pair.name}, which is not "
            f"{subject.scale} times {source.width} x {source.height}.",
        )
    result = Scored.from_image(restored, f"The result of {subject.name} for {pair.name}")
    low = Scored.from_image(source, pair.name)
    bicubic = enlarge_bicubic(low, subject.scale)
    refuse_another_range(result, bicubic, subject.name)
    if save:
        save(pair.name, restored)
    ours = baseline = None
    if truth:
        border = _border(protocol, subject.scale)
        ours = _score(result, truth, protocol, border, perceptual)
        baseline = _score(bicubic, truth, protocol, border, perceptual)
    score = PictureScore(
        name=pair.name,
        width=result.width,
        height=result.height,
        seconds=seconds,
        result=ours,
        bicubic=baseline,
    )
    return score, _sheet_row(subject, pair, low, bicubic, result, truth, score) if on_sheet else None


def _matching_truth(truth: Scored, source: ImageBuffer, subject: Subject, pair: Pair) -> Scored:
    """The truth at the size of the result: up to `scale` - 1 rows and columns that the shrinking lost are cut off."""
    height, width = source.height * subject.scale, source.width * subject.scale
    spare = truth.height - height, truth.width - width
    if not all(0 <= pixels < subject.scale for pixels in spare):
        raise PellucidError(
            Code.USAGE,
            f"The ground truth of {pair.name} has {truth.width} x {truth.height} pixels, and {subject.scale} times "
            f"{source.width} x {source.height} is {width} x {height}.",
            "Choose a model of the scale between the two folders.",
        )
    return Scored(truth.pixels[:height, :width])


def _score(picture: Scored, truth: Scored, protocol: Protocol, border: int, perceptual: Perceptual | None) -> Scores:
    in_rgb = psnr(picture, truth, "rgb"), ssim(picture, truth, "rgb")
    chosen = in_rgb if protocol == "rgb" else (psnr(picture, truth, "y", border), ssim(picture, truth, "y", border))
    return Scores(
        psnr=chosen[0],
        ssim=chosen[1],
        psnr_rgb=in_rgb[0],
        ssim_rgb=in_rgb[1],
        perceptual=perceptual.distance(picture, truth) if perceptual else None,
    )


def enlarge_bicubic(picture: Scored, scale: int) -> Scored:
    """The baseline: the cubic of MATLAB's imresize (a = -0.5), rounded to 8 bits."""
    unit = picture.pixels.astype(np.float32) / np.float32(255.0)
    enlarged = resample(unit, picture.height * scale, picture.width * scale, "bicubic")
    return Scored(np.rint(np.clip(enlarged, 0.0, 1.0) * np.float32(255.0)).astype(np.uint8))


def refuse_another_range(result: Scored, bicubic: Scored, model: str) -> None:
    """Compares what came out with the plain enlargement x of what went in. A result that is far from x, and close to
    2x - 1 (an output in -1..1 shown as if it were 0..1) or to (x + 1) / 2 (the reverse), has a wrong card."""
    ours, plain = comparable(result, bicubic)
    step = max(1, int((ours.size / 300_000) ** 0.5))
    seen, expected = ours[::step, ::step] / 255.0, plain[::step, ::step] / 255.0
    as_declared = float(np.mean((seen - expected) ** 2))
    if as_declared < 0.01:  # 20 dB: closer than any mistaken range
        return
    for card, truly, shown in (
        ("0..1", "-1..1", np.clip(2.0 * expected - 1.0, 0.0, 1.0)),
        ("-1..1", "0..1", (expected + 1.0) / 2.0),
    ):
        if float(np.mean((seen - shown) ** 2)) < min(as_declared / 4.0, 0.01):
            raise PellucidError(
                Code.RANGE_MISMATCH,
                f"The pictures that {model} makes fit an output range of {truly}, but its card says {card}.",
                "Correct output_range in the model's card; no score was taken.",
                model=model,
            )


def _sheet_row(
    subject: Subject,
    pair: Pair,
    low: Scored,
    bicubic: Scored,
    result: Scored,
    truth: Scored | None,
    score: PictureScore,
) -> Row:
    box = most_detailed_box((truth or result).pixels)
    cells = [
        Cell(f"low quality, {low.width} x {low.height}", enlarge_nearest(low.pixels, subject.scale, box)),
        Cell("bicubic" + _in_words(score.bicubic), box.cut(bicubic.pixels)),
        Cell(subject.name + _in_words(score.result), box.cut(result.pixels)),
    ]
    if truth:
        cells.append(Cell(f"truth, {truth.width} x {truth.height}", box.cut(truth.pixels)))
    return Row(pair.name, tuple(cells))


def _in_words(scores: Scores | None) -> str:
    if scores is None:
        return ""
    perceptual = f", {scores.perceptual:.3f}" if scores.perceptual is not None else ""
    return f", {scores.psnr:.2f} dB, {scores.ssim:.4f}{perceptual}"


def write_outputs(
    evaluation: Evaluation, *, table: Path | None, json: Path | None, sheet: Path | None
) -> Iterator[Path]:
    """Writes what is asked for, each file whole or not at all, and names each when it is there."""
    if table:
        make_folder(table.parent)
        write_whole(table, lambda path: path.write_bytes(evaluation.report.to_csv()))
        yield table
    if json:
        make_folder(json.parent)
        write_whole(json, lambda path: path.write_bytes(evaluation.report.to_json()))
        yield json
    if sheet:
        drawn = evaluation.draw()
        make_folder(sheet.parent)
        kind = Image.registered_extensions()[sheet.suffix.lower()]
        write_whole(sheet, lambda path: drawn.save(path, kind))
        yield sheet

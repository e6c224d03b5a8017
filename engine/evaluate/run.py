"""Restores every low-quality picture of a folder and scores the result against the truth, bicubic beside it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
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
from engine.metrics.ssim import ssim_of_each
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
    given = _read_pair(pair, subject.scale, read)
    restored, result, seconds = _restore(subject, given)
    if save:
        save(pair.name, restored)
    ours = baseline = None
    if given.truth:
        border = _border(protocol, subject.scale)
        ours, baseline = _score([result, given.bicubic], given.truth, protocol, border, perceptual)
    score = PictureScore(
        name=pair.name,
        width=result.width,
        height=result.height,
        seconds=seconds,
        result=ours,
        bicubic=baseline,
    )
    return score, _sheet_row(subject, given, result, score) if on_sheet else None


def compare_subjects(
    subjects: Sequence[Subject],
    pairs: Pairs,
    protocol: Protocol,
    *,
    read: Read,
    perceptual: Perceptual | None = None,
    on_picture: Callable[[], None] | None = None,
) -> list[Report]:
    """A report of each subject, all of one scale, without bicubic beside them. Every picture is read once, and what
    concerns its truth alone is worked out once; one that fails with any of them counts for none.

    `on_picture` is called after every picture, scored or failed. Raises as `evaluate` does.
    """
    scale = subjects[0].scale
    border = _border(protocol, scale)
    rows: list[list[PictureScore]] = [[] for _ in subjects]
    failed = list(pairs.unmatched)
    for pair in pairs.pairs:
        try:
            given = _read_pair(pair, scale, read)
            if given.truth is None:
                raise PellucidError(Code.FILE_MISSING, f"There is no true picture for {pair.name}.", path=pair.name)
            made = [_restore(subject, given) for subject in subjects]
            scores = _score([result for _, result, _ in made], given.truth, protocol, border, perceptual)
        except PellucidError as error:
            if error.code in (Code.RANGE_MISMATCH, Code.DISK_FULL):
                raise
            failed.append(Failed(pair.name, str(error)))
        else:
            for row, (_, result, seconds), figures in zip(rows, made, scores, strict=True):
                row.append(
                    PictureScore(
                        name=pair.name, width=result.width, height=result.height, seconds=seconds, result=figures
                    )
                )
        if on_picture:
            on_picture()
    name = perceptual.name if perceptual else ""
    return [
        Report(
            model=subject.name,
            scale=scale,
            protocol=protocol,
            border=border,
            perceptual=name,
            pictures=row,
            failed=failed,
        )
        for subject, row in zip(subjects, rows, strict=True)
    ]


@dataclass(frozen=True, slots=True)
class _Given:
    """A pair that has been read: what is restored, as it is and as a metric takes it, the plain enlargement of it, and
    the truth where there is one."""

    name: str
    source: ImageBuffer
    low: Scored
    bicubic: Scored
    truth: Scored | None


def _read_pair(pair: Pair, scale: int, read: Read) -> _Given:
    source = read(pair.source)
    truth = None
    if pair.truth:
        truth = _matching_truth(Scored.from_image(read(pair.truth), pair.truth.name), source, scale, pair)
    low = Scored.from_image(source, pair.name)
    return _Given(pair.name, source, low, enlarge_bicubic(low, scale), truth)


def _restore(subject: Subject, given: _Given) -> tuple[ImageBuffer, Scored, float]:
    """What the subject makes of it, as it is and as a metric takes it, and the seconds that took."""
    source = given.source
    began = time.perf_counter()
    restored = subject.restore(source)
    seconds = time.perf_counter() - began
    if (restored.height, restored.width) != (source.height * subject.scale, source.width * subject.scale):
        raise PellucidError(
            Code.BAD_OUTPUT,
            f"{subject.name} made {restored.width} x {restored.height} pixels of {given.name}, which is not "
            f"{subject.scale} times {source.width} x {source.height}.",
        )
    result = Scored.from_image(restored, f"The result of {subject.name} for {given.name}")
    refuse_another_range(result, given.bicubic, subject.name)
    return restored, result, seconds


def _matching_truth(truth: Scored, source: ImageBuffer, scale: int, pair: Pair) -> Scored:
    """The truth at the size of the result: up to `scale` - 1 rows and columns that the shrinking lost are cut off."""
    height, width = source.height * scale, source.width * scale
    spare = truth.height - height, truth.width - width
    if not all(0 <= pixels < scale for pixels in spare):
        raise PellucidError(
            Code.USAGE,
            f"The ground truth of {pair.name} has {truth.width} x {truth.height} pixels, and {scale} times "
            f"{source.width} x {source.height} is {width} x {height}.",
            "Choose a model of the scale between the two folders.",
        )
    return Scored(truth.pixels[:height, :width])


def _score(
    pictures: Sequence[Scored], truth: Scored, protocol: Protocol, border: int, perceptual: Perceptual | None
) -> list[Scores]:
    """Of each picture, against the one truth."""

    def measure(under: Protocol, cut: int) -> list[tuple[float, float]]:
        ratios = [psnr(picture, truth, under, cut) for picture in pictures]
        return list(zip(ratios, ssim_of_each(pictures, truth, under, cut), strict=True))

    in_rgb = measure("rgb", 0)
    chosen = in_rgb if protocol == "rgb" else measure("y", border)
    distances: Sequence[float | None] = [None] * len(pictures)
    if perceptual:
        distances = perceptual.distance_of_each(pictures, truth)
    return [
        Scores(psnr=ours[0], ssim=ours[1], psnr_rgb=rgb[0], ssim_rgb=rgb[1], perceptual=distance)
        for ours, rgb, distance in zip(chosen, in_rgb, distances, strict=True)
    ]


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


def _sheet_row(subject: Subject, given: _Given, result: Scored, score: PictureScore) -> Row:
    low, bicubic, truth = given.low, given.bicubic, given.truth
    box = most_detailed_box((truth or result).pixels)
    cells = [
        Cell(f"low quality, {low.width} x {low.height}", enlarge_nearest(low.pixels, subject.scale, box)),
        Cell("bicubic" + _in_words(score.bicubic), box.cut(bicubic.pixels)),
        Cell(subject.name + _in_words(score.result), box.cut(result.pixels)),
    ]
    if truth:
        cells.append(Cell(f"truth, {truth.width} x {truth.height}", box.cut(truth.pixels)))
    return Row(given.name, tuple(cells))


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

"""The figures of an evaluation: a row for each picture, their means, and how they are written down."""

from __future__ import annotations

import csv
import io
import math
from statistics import fmean
from typing import Any

import msgspec

from engine.metrics.scored import Protocol


class Scores(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`psnr`, `ssim`: under the report's protocol; `psnr_rgb`, `ssim_rgb`: always also under rgb. psnr in dB, infinite
    for equal pictures. `perceptual`: the learned distance, where one was asked for."""

    psnr: float
    ssim: float
    psnr_rgb: float
    ssim_rgb: float
    perceptual: float | None = None


class PictureScore(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One restored picture. Without ground truth there are no scores."""

    name: str
    width: int
    height: int
    seconds: float
    result: Scores | None = None
    bicubic: Scores | None = None


class Failed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A picture that could not be restored or scored, and the sentence why."""

    name: str
    message: str


class Report(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`perceptual`: name of the learned distance, or empty."""

    model: str
    scale: int
    protocol: Protocol
    border: int
    perceptual: str = ""
    pictures: list[PictureScore] = []
    failed: list[Failed] = []

    def mean_result(self) -> Scores | None:
        return _mean([picture.result for picture in self.pictures if picture.result])

    def mean_bicubic(self) -> Scores | None:
        return _mean([picture.bicubic for picture in self.pictures if picture.bicubic])

    def summary(self) -> dict[str, Any]:
        """The means as plain values; an infinite PSNR (all equal) and a figure that does not exist are None."""
        ours, baseline = self.mean_result(), self.mean_bicubic()
        return {
            "model": self.model,
            "scale": self.scale,
            "protocol": self.protocol,
            "border": self.border,
            "images": len(self.pictures),
            "failed": len(self.failed),
            **plain_scores("", ours),
            **plain_scores("bicubic_", baseline),
            "perceptual_metric": self.perceptual or None,
            "seconds": round(sum(picture.seconds for picture in self.pictures), 3),
        }

    def rows(self) -> tuple[list[str], list[list[object]]]:
        """Headers, and a row for each picture, the means last."""
        headers = ["picture", "PSNR", "SSIM", "bicubic PSNR", "bicubic SSIM"]
        if self.protocol == "y":
            headers[1:] = ["PSNR-Y", "SSIM-Y", "PSNR RGB", "bicubic PSNR-Y", "bicubic SSIM-Y", "bicubic PSNR RGB"]
        if self.perceptual:
            headers += [self.perceptual, f"bicubic {self.perceptual}"]
        table = [self._row(picture.name, picture.result, picture.bicubic) for picture in self.pictures]
        if len(self.pictures) > 1:
            table.append(self._row("mean", self.mean_result(), self.mean_bicubic()))
        return headers, table

    def _row(self, name: str, ours: Scores | None, baseline: Scores | None) -> list[object]:
        row: list[object] = [name]
        for scores in (ours, baseline):
            figures: list[float | None] = [scores.psnr, scores.ssim] if scores else [None, None]
            if self.protocol == "y":
                figures.append(scores.psnr_rgb if scores else None)
            row += figures
        if self.perceptual:
            row += [scores.perceptual if scores else None for scores in (ours, baseline)]
        return row

    def to_json(self) -> bytes:
        """The whole report; infinite figures are null."""
        return msgspec.json.format(msgspec.json.encode({"summary": self.summary(), **msgspec.to_builtins(self)}))

    def to_csv(self) -> bytes:
        """The table with its means, UTF-8, six decimals."""
        text = io.StringIO(newline="")
        writer = csv.writer(text)
        headers, table = self.rows()
        writer.writerow(headers)
        for row in table:
            writer.writerow([f"{value:.6f}" if isinstance(value, float) else value for value in row])
        return text.getvalue().encode()


def _mean(scores: list[Scores]) -> Scores | None:
    if not scores:
        return None
    perceptual = [score.perceptual for score in scores if score.perceptual is not None]
    return Scores(
        psnr=fmean(score.psnr for score in scores),
        ssim=fmean(score.ssim for score in scores),
        psnr_rgb=fmean(score.psnr_rgb for score in scores),
        ssim_rgb=fmean(score.ssim_rgb for score in scores),
        perceptual=fmean(perceptual) if perceptual else None,
    )


def plain_scores(prefix: str, scores: Scores | None) -> dict[str, Any]:
    """The figures by name as JSON has them: None for what is infinite or does not exist."""
    names = Scores.__struct_fields__
    values = {name: getattr(scores, name) if scores else None for name in names}
    return {
        prefix + name: None if value is None or not math.isfinite(value) else round(value, 6)
        for name, value in values.items()
    }

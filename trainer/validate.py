"""How good the network is by now, on pictures it never learns from, and what that looks like.

The pictures, their damage and the regions shown are fixed for the whole run, so curves and previews compare.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F

from engine.errors import PellucidError
from engine.metrics.perceptual import SMALLEST_SIDE, Perceptual, load_st_lpips
from engine.metrics.psnr import psnr
from engine.metrics.scored import Scored
from engine.metrics.ssim import WINDOW, ssim
from engine.whole_file import write_whole
from engine.wire_training import ValidationConfig
from trainer.damage import RecipeDamage
from trainer.generator import Generator
from trainer.pictures import Picture
from trainer.pixels import Pixels, read_pixels

PANELS = ("damaged", "bicubic", "output", "target")
LARGEST_PSNR = 100.0
"""Stands for equal pictures, since JSON has no infinity."""
GAP = 4
"""White pixels between the panels of a preview."""


@dataclass(frozen=True, slots=True)
class Example:
    name: str
    target: Pixels
    damaged: Pixels
    bicubic: Pixels


@dataclass(frozen=True, slots=True)
class Scores:
    metrics: dict[str, float]
    baseline: dict[str, float]
    """The same of bicubic."""


class NotANumber(Exception):
    """The network gave samples that are no numbers."""


class Validator:
    """Holds the examples decoded; a few hundred pictures of 512 pixels are some hundred MB."""

    def __init__(self, config: ValidationConfig, scale: int, multiple: int, examples: Sequence[Example]) -> None:
        self._config = config
        self._scale = scale
        self._multiple = multiple
        self._examples = list(examples)
        self._st_lpips: Perceptual | None = load_st_lpips() if "st-lpips" in config.metrics else None
        self._baseline = self._mean([self._score(example, example.bicubic) for example in self._examples])

    @property
    def pictures(self) -> int:
        return len(self._examples)

    def score(self, network: Generator, device: torch.device, previews: Path | None, iteration: int) -> Scores:
        """Scores of every example; strips of the first few go to `previews`/NAME/ITERATION.png."""
        rows = []
        for number, example in enumerate(self._examples):
            output = self.restore(network, example.damaged, device)
            rows.append(self._score(example, output))
            if previews is not None and number < self._config.previews:
                self._write_preview(example, output, previews / example.name / f"{iteration:08}.png")
        return Scores(self._mean(rows), self._baseline)

    def preview_files(self, previews: Path, iteration: int) -> list[tuple[str, Path]]:
        return [
            (example.name, previews / example.name / f"{iteration:08}.png")
            for example in self._examples[: self._config.previews]
        ]

    @torch.no_grad()
    def restore(self, network: Generator, damaged: Pixels, device: torch.device) -> Pixels:
        """(h, w, 3) uint8 -> (h*scale, w*scale, 3) uint8, in float32 (on a GPU with products in TF32)."""
        height, width = damaged.shape[:2]
        picture = torch.from_numpy(damaged.copy()).to(device).permute(2, 0, 1)[None].float() / 255.0
        below, right = -height % self._multiple, -width % self._multiple
        if below or right:
            picture = F.pad(picture, (0, right, 0, below), "replicate")
        was_training, tries = network.training, torch.backends.cudnn.benchmark
        network.eval()
        # Every picture has a size of its own: trying all algorithms would take longer than it spares.
        torch.backends.cudnn.benchmark = False
        try:
            output = network(picture)
        finally:
            torch.backends.cudnn.benchmark = tries
            network.train(was_training)
        pixels = output[0, :, : height * self._scale, : width * self._scale].float()
        if not bool(torch.isfinite(pixels).all()):
            raise NotANumber
        rounded = (pixels.clamp(0, 1) * 255.0).round().to(torch.uint8).permute(1, 2, 0)
        return np.ascontiguousarray(rounded.cpu().numpy())

    def _score(self, example: Example, output: Pixels) -> dict[str, float]:
        truth, result = Scored(example.target), Scored(output)
        protocol = self._config.protocol
        border = self._scale if protocol == "y" else 0
        row: dict[str, float] = {}
        for metric in self._config.metrics:
            if metric == "psnr":
                value = psnr(result, truth, protocol, border)
                row[metric] = value if math.isfinite(value) else LARGEST_PSNR
            elif metric == "ssim":
                row[metric] = ssim(result, truth, protocol, border)
            elif self._st_lpips is not None:
                row[metric] = self._st_lpips.distance(result, truth)
        return row

    def _mean(self, rows: list[dict[str, float]]) -> dict[str, float]:
        return {name: sum(row[name] for row in rows) / len(rows) for name in rows[0]} if rows else {}

    def _write_preview(self, example: Example, output: Pixels, path: Path) -> None:
        """The same region of each panel, left to right, a white gap between."""
        height, width = example.target.shape[:2]
        side_y, side_x = min(self._config.preview_side, height), min(self._config.preview_side, width)
        top, left = (height - side_y) // 2, (width - side_x) // 2
        enlarged = enlarge(example.damaged, (height, width), Image.Resampling.NEAREST)
        strip = np.full((side_y, side_x * len(PANELS) + GAP * (len(PANELS) - 1), 3), 255, np.uint8)
        for place, panel in enumerate((enlarged, example.bicubic, output, example.target)):
            x = place * (side_x + GAP)
            strip[:, x : x + side_x] = panel[top : top + side_y, left : left + side_x]
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, lambda temporary: Image.fromarray(strip).save(temporary, "PNG", compress_level=4))


def _folder_name(name: str) -> str:
    """Of a picture's previews: bytes that are no UTF-8, which no event could name, become underscores."""
    return re.sub("[\ud800-\udfff]", "_", name)


def is_better(metric: str, value: float, best: float | None) -> bool:
    if best is None:
        return True
    return value < best if metric == "st-lpips" else value > best


def enlarge(pixels: Pixels, size: tuple[int, int], kind: Image.Resampling = Image.Resampling.BICUBIC) -> Pixels:
    """Pillow's resize to (height, width); its bicubic is the antialiased cubic with a = -0.5."""
    return np.asarray(Image.fromarray(pixels).resize((size[1], size[0]), kind))


def smallest_side(config: ValidationConfig, scale: int) -> int:
    """Of a sharp picture that every metric can be measured on, in whole pixels of its damaged partner."""
    borders = 2 * scale if config.protocol == "y" else 0
    needed = {"psnr": borders + 1, "ssim": borders + WINDOW, "st-lpips": SMALLEST_SIDE}
    return -(-max(needed[metric] for metric in config.metrics) // scale) * scale


def make_examples(
    pictures: Sequence[Picture], config: ValidationConfig, scale: int, use_files: bool, damage: RecipeDamage | None
) -> tuple[list[Example], list[str]]:
    """Centre regions and their damaged partners: from files, or made with numbers counted from 0. Beside them a
    sentence for each picture that cannot be read."""
    examples: list[Example] = []
    problems: list[str] = []
    names: set[str] = set()
    for number, picture in enumerate(pictures):
        try:
            target = read_pixels(picture.target)
            partner = read_pixels(picture.damaged) if use_files and picture.damaged is not None else None
        except PellucidError as error:
            problems.append(error.message)
            continue
        if use_files:
            assert partner is not None
            damaged = partner
            height = min(target.shape[0] // scale, damaged.shape[0])
            width = min(target.shape[1] // scale, damaged.shape[1])
            limit = config.crop // scale if config.crop else max(height, width)
            side_y, side_x = min(limit, height), min(limit, width)
            top, left = (height - side_y) // 2, (width - side_x) // 2
            damaged = damaged[top : top + side_y, left : left + side_x]
            target = target[top * scale : (top + side_y) * scale, left * scale : (left + side_x) * scale]
        else:
            assert damage is not None
            limit = config.crop or max(target.shape[:2])
            side_y, side_x = (min(limit, side) // scale * scale for side in target.shape[:2])
            top, left = (target.shape[0] - side_y) // 2, (target.shape[1] - side_x) // 2
            crop = np.ascontiguousarray(target[top : top + side_y, left : left + side_x])
            targets, made = damage(crop[None], [number])
            target, damaged = targets[0], made[0]
        target, damaged = np.ascontiguousarray(target), np.ascontiguousarray(damaged)
        name = _folder_name(picture.name)
        while name in names:
            name += "_"
        names.add(name)
        examples.append(Example(name, target, damaged, enlarge(damaged, (target.shape[0], target.shape[1]))))
    return examples, problems

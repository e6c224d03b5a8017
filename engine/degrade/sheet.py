"""A contact sheet: crops of pictures beside what a recipe makes of them, each labelled with what happened to it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from engine.degrade.draw import draw_plan
from engine.degrade.execute import degrade_batch
from engine.degrade.recipe import Recipe
from kernels.degrade import pixels_of, planes_of

Bytes = npt.NDArray[np.uint8]

_GAP = 8
_LABEL_LINES = 4
_LINE_HEIGHT = 15
_PAPER, _INK = (250, 250, 250), (40, 40, 40)
_PLACES = 5
_GOLDEN = (0.7548776662466927, 0.5698402909980532)
"""Steps of a sequence that covers a square evenly, for the places of the crops."""


Box = tuple[int, int, int, int]
"""left, top, width, height in pixels of the sheet."""


@dataclass(frozen=True)
class Sample:
    original: Box
    damaged: Box
    text: str
    """What happened to it."""


def contact_sheet(
    pictures: Sequence[Bytes], recipe: Recipe, seed: int, count: int, crop: int = 192
) -> tuple[Bytes, list[Sample]]:
    """(height, width, 3) uint8 sheet of samples 0..count-1, which take turns among the pictures, and where each is.

    pictures: (height, width, 3) uint8, at least `recipe.scale` pixels a side. The left crop is the original, turned as
    the recipe turned it; the damaged one is enlarged to its size without smoothing.
    """
    samples = []
    columns = max(1, round(math.sqrt(count * 0.75)))
    cell_width, cell_height = 2 * crop + 3 * _GAP, crop + 2 * _GAP + _LABEL_LINES * _LINE_HEIGHT
    rows = -(-count // columns)
    sheet = Image.new("RGB", (columns * cell_width, rows * cell_height), _PAPER)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(11)
    for sample in range(count):
        picture = pictures[sample % len(pictures)]
        source = _crop(picture, sample, crop // recipe.scale * recipe.scale)
        plan = draw_plan(recipe, seed, [sample], *source.shape[:2])
        damaged, target = degrade_batch(planes_of(source[np.newaxis]), plan, target="plain")
        left, top = sample % columns * cell_width + _GAP, sample // columns * cell_height + _GAP
        boxes = []
        for offset, planes in ((0, target), (crop + _GAP, damaged)):
            tile = Image.fromarray(pixels_of(planes)[0])
            zoom = crop / max(target.shape[2:]) * (recipe.scale if offset else 1)
            size = (max(1, round(tile.width * zoom)), max(1, round(tile.height * zoom)))
            sheet.paste(tile.resize(size, Image.Resampling.NEAREST), (left + offset, top))
            boxes.append((left + offset, top, *size))
        samples.append(Sample(boxes[0], boxes[1], summary(plan.describe(0))))
        label = _wrapped(f"{sample}: {samples[-1].text}", font, cell_width - 2 * _GAP)
        draw.multiline_text((left, top + crop + 3), "\n".join(label), _INK, font, spacing=2)
    return np.asarray(sheet), samples


def summary(operations: Sequence[dict[str, Any]]) -> str:
    """One line about the damage: what a person wants to see at a glance, without the exact numbers."""
    words = []
    for line in operations:
        match line["op"]:
            case "blur" if line["kernel"] == "sinc":
                words.append(f"sinc {line['size']}")
            case "blur":
                sigmas = sorted({round(line["sigma_x"], 1), round(line["sigma_y"], 1)})
                words.append(f"{line['kernel']} blur {'/'.join(map(str, sigmas))}")
            case "resize":
                words.append(f"{line['filter']} {line['width']}x{line['height']}")
            case "gaussian-noise":
                words.append(f"{line['noise']} noise {line['sigma'] * 255:.0f}")
            case "poisson-noise":
                words.append(f"{line['noise']} shot noise {line['strength']:.1f}")
            case "jpeg" | "webp":
                words.append(f"{line['op']} {line['quality']}")
            case "dropout":
                words.append("hole")
            case "sharpen" if line["part"] == "damage":
                words.append("sharpen")
    return ", ".join(words) or "nothing"


def _crop(picture: Bytes, sample: int, side: int) -> Bytes:
    """Of a few places the one with the most detail: flat sky shows little."""
    height, width = picture.shape[:2]
    tall, wide = min(side, height), min(side, width)
    crops = []
    for place in range(sample * _PLACES, (sample + 1) * _PLACES):
        top = round((place * _GOLDEN[0] + 0.5) % 1.0 * (height - tall))
        left = round((place * _GOLDEN[1] + 0.5) % 1.0 * (width - wide))
        crops.append(picture[top : top + tall, left : left + wide])
    return max(crops, key=_detail)


def _detail(crop: Bytes) -> float:
    luma = crop.mean(2)
    return float(sum(np.sqrt(np.abs(np.diff(luma, axis=axis))).mean() for axis in (0, 1) if luma.shape[axis] > 1))


def _wrapped(text: str, font: Any, width: int) -> list[str]:
    """Lines that fit the width; what does not fit the last line ends in an ellipsis."""
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= width:
            lines[-1] = longer
        elif len(lines) < _LABEL_LINES:
            lines.append(word)
        else:
            lines[-1] += "…"
            break
    return lines

"""A contact sheet: for each picture a row of the same crop at 100 %, low quality, bicubic, result and truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

Pixels = npt.NDArray[np.uint8]
"""(height, width, 1 or 3), uint8."""

CROP_SIDE = 256
"""Pixels of the result; a smaller picture is shown whole."""
GAP = 12
TEXT = 15
LINE = 22
PAPER = (28, 28, 30)
INK = (235, 235, 235)
FAINT = (160, 160, 165)


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle of the result, in pixels."""

    top: int
    left: int
    height: int
    width: int

    def cut(self, pixels: Pixels) -> Pixels:
        """A copy, so that the whole picture can go."""
        return pixels[self.top : self.top + self.height, self.left : self.left + self.width].copy()


@dataclass(frozen=True, slots=True)
class Cell:
    label: str
    pixels: Pixels


@dataclass(frozen=True, slots=True)
class Row:
    name: str
    cells: tuple[Cell, ...]


def most_detailed_box(pixels: Pixels, side: int = CROP_SIDE) -> Box:
    """The square with the strongest edges, on a grid of half its side: where methods differ most."""
    height, width = pixels.shape[:2]
    box_height, box_width = min(side, height), min(side, width)
    grey = pixels.astype(np.float32).mean(axis=2)
    edges = np.zeros_like(grey, dtype=np.float64)
    edges[:, 1:] += np.abs(np.diff(grey, axis=1))
    edges[1:] += np.abs(np.diff(grey, axis=0))
    sums = np.zeros((height + 1, width + 1))
    sums[1:, 1:] = edges.cumsum(0).cumsum(1)
    best, where = -1.0, (0, 0)
    for top in _starts(height, box_height):
        for left in _starts(width, box_width):
            bottom, right = top + box_height, left + box_width
            strength = float(sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left])
            if strength > best:
                best, where = strength, (top, left)
    return Box(*where, box_height, box_width)


def _starts(length: int, part: int) -> list[int]:
    return sorted({*range(0, length - part, max(part // 2, 1)), length - part})


def enlarge_nearest(pixels: Pixels, scale: int, box: Box) -> Pixels:
    """What `box` of the enlarged picture shows when every source pixel becomes a square of `scale` x `scale`."""
    rows = np.minimum(np.arange(box.top, box.top + box.height) // scale, pixels.shape[0] - 1)
    columns = np.minimum(np.arange(box.left, box.left + box.width) // scale, pixels.shape[1] - 1)
    shown: Pixels = pixels[rows[:, None], columns[None, :]]
    return shown


def draw_sheet(title: str, rows: Sequence[Row]) -> Image.Image:
    """All rows below one another under a title, as an RGB picture."""
    font = ImageFont.load_default(TEXT)
    column_count = max((len(row.cells) for row in rows), default=0)
    column_width = max((cell.pixels.shape[1] for row in rows for cell in row.cells), default=0)
    heights = [LINE * 2 + max((cell.pixels.shape[0] for cell in row.cells), default=0) + GAP for row in rows]
    least_width = int(font.getlength(title)) + 2 * GAP
    width = max(GAP + column_count * (column_width + GAP), least_width)
    sheet = Image.new("RGB", (width, GAP + LINE + GAP + sum(heights)), PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((GAP, GAP), title, INK, font)
    top = GAP + LINE + GAP
    for row, height in zip(rows, heights, strict=True):
        draw.text((GAP, top), _fitting(row.name, width - 2 * GAP, font), INK, font)
        for column, cell in enumerate(row.cells):
            left = GAP + column * (column_width + GAP)
            draw.text((left, top + LINE), _fitting(cell.label, column_width, font), FAINT, font)
            sheet.paste(_as_picture(cell.pixels), (left, top + 2 * LINE))
        top += height
    return sheet


def _fitting(text: str, width: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """`text`, shortened at the end until it is at most `width` pixels long."""
    text = text.replace("\n", " ")
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"


def _as_picture(pixels: Pixels) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(np.broadcast_to(pixels, (*pixels.shape[:2], 3))), "RGB")

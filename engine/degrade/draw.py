"""Drawing: from a recipe to the plan of a batch.

One vectorised pass over the batch. A random word depends on (seed, sample, stage) and on nothing else, so a sample's
plan is the same in any batch, in any order, on any machine.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from engine.degrade import recipe as rc
from engine.degrade.outcomes import (
    COLUMNS,
    HOLE,
    NO_SIZE,
    OF_CURRENT,
    OF_SOURCE,
    OF_TARGET,
    Outcome,
    Outline,
    Slot,
    outcomes_of,
)
from engine.degrade.philox import PLAN_STREAM, philox4x32
from engine.degrade.plan import Ints, Plan, trim
from engine.degrade.plan_words import Records
from engine.errors import Code, PellucidError
from kernels.ops import OP, Filter, Noise, Opcode

Floats = npt.NDArray[np.float64]

FIRST_ORIENT_STAGE = rc.MOST_STAGES + 1
LARGEST_PICTURE = 1 << 28
"""Pixels an intermediate picture may have."""

_NO_COLUMN = COLUMNS  # an extra column that holds zero
_SPREADS: dict[rc.Spread, Callable[[float], float]] = {
    "even": lambda value: value,
    "log": math.log,
    "square": lambda value: value * value,
    "reciprocal": lambda value: 1.0 / value,
}
_SPREAD_NUMBERS = {name: number for number, name in enumerate(_SPREADS)}


def draw_plan(
    recipe: rc.Recipe, seed: int, samples: npt.ArrayLike, height: int, width: int, *, orient: bool = True
) -> Plan:
    """The plan of `samples` (int64 numbers that name them) for sources of height x width pixels.

    The same (recipe, seed, sample, size) always gives the same operations. Without `orient` the flips of the recipe are
    left out and everything else stays as drawn.
    """
    return compile_recipe(recipe).draw(seed, samples, height, width, orient=orient)


@lru_cache(maxsize=32)
def compile_recipe(recipe: rc.Recipe) -> CompiledRecipe:
    """The recipe as tables; compiled once for each content."""
    return CompiledRecipe(recipe)


class CompiledRecipe:
    """A recipe as tables, ready to draw plans of any batch and size. Immutable after construction."""

    def __init__(self, recipe: rc.Recipe) -> None:
        outline = Outline()
        for number, flip in enumerate(recipe.orient):
            outline.operation(FIRST_ORIENT_STAGE + number, flip.name or "flip", flip.probability, outcomes_of(flip))
        self._orient_slots = len(outline.slots)
        outline.stages(recipe.stages)
        self.recipe = recipe
        self.digest = recipe.digest
        self._gates = tuple(outline.gates)
        self._permutations = tuple(outline.permutations)
        self._names = {slot.stage: slot.name for slot in outline.slots}
        self._sharpen = _sharpen_record(recipe.sharpen)
        self._block_stage = np.array([stage for stage, _ in outline.blocks], np.uint32)
        self._block_number = np.array([block for _, block in outline.blocks], np.uint32)
        self._compile_slots(outline.slots)
        self._compile_outcomes(outline.outcomes)
        resizing = self._row_size_rule != NO_SIZE
        self._resizing_slots = [
            position
            for position, slot in enumerate(outline.slots)
            if resizing[slot.first_row : slot.first_row + len(slot.thresholds)].any()
        ]

    def _compile_slots(self, slots: list[Slot]) -> None:
        most = max(len(slot.thresholds) for slot in slots)
        self._slot_thresholds = np.full((len(slots), most), 2.0)
        for position, slot in enumerate(slots):
            self._slot_thresholds[position, : len(slot.thresholds)] = slot.thresholds
        self._slot_stage = np.array([slot.stage for slot in slots], np.uint32)
        self._slot_first_row = np.array([slot.first_row for slot in slots], np.int64)
        self._slot_words = np.array([slot.word for slot in slots], np.int64)
        self._parameter_words = self._slot_words[:, None] + np.arange(1, 1 + COLUMNS)

    def _compile_outcomes(self, outcomes: list[Outcome]) -> None:
        rows = len(outcomes)
        self._row_opcode = np.array([outcome.opcode for outcome in outcomes], np.uint32)
        self._row_size_rule = np.array([outcome.size_rule for outcome in outcomes], np.int64)
        self._row_isotropic = np.array([outcome.isotropic for outcome in outcomes], bool)
        self._row_i = np.zeros((rows, 4), np.int32)
        self._row_i_column = np.full((rows, 4), _NO_COLUMN, np.int64)
        self._row_f_column = np.full((rows, 8), _NO_COLUMN, np.int64)
        self._row_f_factor = np.ones((rows, 8))
        shape = (rows, COLUMNS)
        self._low, self._width = np.zeros((*shape, rc.PIECES)), np.zeros((*shape, rc.PIECES))
        self._pieces = np.ones(shape)
        self._spread = np.zeros(shape, np.int64)
        self._whole = np.zeros(shape, bool)
        self._step, self._offset = np.ones(shape), np.zeros(shape)
        for row, outcome in enumerate(outcomes):
            self._row_i[row, : len(outcome.i)] = outcome.i
            for position, column in outcome.i_columns:
                self._row_i_column[row, position] = column
            for position, column, factor in outcome.f_columns:
                self._row_f_column[row, position] = column
                self._row_f_factor[row, position] = factor
            for column, span, grid in outcome.spans:
                self._compile_span(row, column, span, grid)
        self._any_pieces = bool((self._pieces > 1).any())
        self._any_spread = bool((self._spread > 0).any())

    def _compile_span(self, row: int, column: int, span: rc.Span, grid: str) -> None:
        if grid == "odd":
            span = rc.Span(tuple(((low - 1) / 2, (high - 1) / 2) for low, high in span.pieces), span.spread)
            self._step[row, column], self._offset[row, column] = 2.0, 1.0
        turn = _SPREADS[span.spread]
        for piece, (low, high) in enumerate(span.pieces):
            end = high + 1.0 if grid != "even" else high  # whole numbers are drawn by rounding down
            self._low[row, column, piece] = turn(low)
            self._width[row, column, piece] = turn(end) - turn(low)
        self._whole[row, column] = grid != "even"
        self._pieces[row, column] = len(span.pieces)
        self._spread[row, column] = _SPREAD_NUMBERS[span.spread]

    def draw(self, seed: int, samples: npt.ArrayLike, height: int, width: int, *, orient: bool = True) -> Plan:
        """See `draw_plan`."""
        numbers = np.atleast_1d(np.asarray(samples, np.int64))
        if not 0 <= seed < 2**64 or (numbers < 0).any():
            raise PellucidError(
                Code.USAGE,
                f"A seed is a number within 0 to 2^64 - 1 and samples are numbered from 0; the seed is {seed}.",
                "Choose other numbers.",
            )
        scale = self.recipe.scale
        if min(height, width) < scale:
            raise PellucidError(
                Code.CONFIG,
                f"A picture of {width}x{height} pixels is too small for the recipe {self.recipe.name} (x{scale}).",
                f"Use pictures of at least {scale}x{scale} pixels.",
            )
        count = len(numbers)
        uniforms = self._uniforms(seed, numbers)
        rows, active = self._pick(uniforms)
        if not orient:
            active[:, : self._orient_slots] = False
        values = self._parameters(uniforms, rows)
        stages = np.broadcast_to(self._slot_stage, rows.shape)
        order = self._order(uniforms)
        if order is not None:
            rows = np.take_along_axis(rows, order, 1)
            active = np.take_along_axis(active, order, 1)
            stages = np.take_along_axis(stages, order, 1)
            values = np.take_along_axis(values, order[:, :, None], 1)
        turned = self._row_i[rows[:, : self._orient_slots], 2].astype(bool) & active[:, : self._orient_slots]
        swapped = (turned.sum(1) % 2).astype(bool)
        whole = (height // scale * scale, width // scale * scale)
        source = np.where(swapped[:, None], np.array(whole[::-1]), np.array(whole))
        target = source // scale
        sizes, holes, current = self._sizes(rows, values, active, source, target, order is not None)
        i, f = self._fields(rows, values, sizes, holes)
        opcodes = self._row_opcode[rows]

        first = self._orient_slots
        crop = whole != (height, width)
        shared = self._records(
            opcodes[:, :first], stages[:, :first], i[:, :first], f[:, :first], active[:, :first], crop, 0
        )
        if crop:
            shared[:, 0]["opcode"] = Opcode.CROP
            shared[:, 0]["i"] = (0, 0, *whole)
        unfit = (current != target).any(1)
        damage = self._records(
            opcodes[:, first:], stages[:, first:], i[:, first:], f[:, first:], active[:, first:], 0, 2
        )
        ends = (damage["opcode"] != Opcode.END).sum(1)
        if unfit.any():
            at = np.flatnonzero(unfit)
            damage["opcode"][at, ends[at]] = Opcode.RESIZE
            damage["i"][at, ends[at], :2] = target[at]
            damage["i"][at, ends[at], 2:] = (Filter.BICUBIC, 1)
            ends = ends + unfit
        damage["opcode"][np.arange(count), ends] = Opcode.CLAMP_ROUND
        sharpen = np.zeros((count, 2 if self._sharpen is not None else 1), OP)
        if self._sharpen is not None:
            sharpen[:, 0] = self._sharpen
        return Plan(
            self.recipe.name,
            self.digest,
            seed,
            numbers,
            (height, width),
            shared,
            sharpen,
            trim(damage),
            self.recipe.sharpen is not None and self.recipe.sharpen.target,
            source,
            target,
            self._names,
        )

    def _uniforms(self, seed: int, samples: Ints) -> Floats:
        """(samples, words) numbers within 0 to 1, both ends excluded."""
        low = (samples & 0xFFFFFFFF).astype(np.uint32)
        high = (samples >> 32 & 0xFFFFFFFF).astype(np.uint32)
        shape = (len(samples), len(self._block_stage))
        counter = (
            np.broadcast_to(self._block_number, shape),
            np.broadcast_to(self._block_stage | np.uint32(PLAN_STREAM), shape),
            np.broadcast_to(low[:, None], shape),
            np.broadcast_to(high[:, None], shape),
        )
        key = (seed & 0xFFFFFFFF, seed >> 32 & 0xFFFFFFFF)
        words = np.stack(philox4x32(counter, key), axis=-1).reshape(len(samples), 4 * shape[1])
        return (words.astype(np.float64) + 0.5) * 2.0**-32

    def _pick(self, uniforms: Floats) -> tuple[Ints, npt.NDArray[np.bool_]]:
        """(samples, slots): the table row of what each slot turns out as, and whether it happens at all."""
        picks = uniforms[:, self._slot_words]
        rows = self._slot_first_row + (picks[:, :, None] >= self._slot_thresholds).sum(2)
        active = self._row_opcode[rows] != Opcode.END
        for gate in self._gates:
            word = uniforms[:, gate.word]
            active[:, gate.slots] &= ((word >= gate.low) & (word < gate.high))[:, None]
        return rows, active

    def _parameters(self, uniforms: Floats, rows: Ints) -> Floats:
        """(samples, slots, columns + 1) drawn values; the last column is zero."""
        draws = uniforms[:, self._parameter_words]
        values = np.zeros((*rows.shape, COLUMNS + 1))
        drawn = values[:, :, :COLUMNS]
        if self._any_pieces:
            draws *= self._pieces[rows]
            pieces = draws.astype(np.int64)
            draws -= pieces
            at = (rows[:, :, None] * COLUMNS + np.arange(COLUMNS)) * rc.PIECES + pieces
            np.multiply(draws, self._width.ravel()[at], out=drawn)
            drawn += self._low.ravel()[at]
        else:
            np.multiply(draws, self._width[..., 0][rows], out=drawn)
            drawn += self._low[..., 0][rows]
        if self._any_spread:
            spread = self._spread[rows]
            for number, turn_back in ((1, np.exp), (2, np.sqrt), (3, np.reciprocal)):
                at_spread = spread == number
                drawn[at_spread] = turn_back(drawn[at_spread])
        np.floor(drawn, out=drawn, where=self._whole[rows])
        drawn *= self._step[rows]
        drawn += self._offset[rows]
        np.copyto(values[:, :, 2], values[:, :, 1], where=self._row_isotropic[rows])
        return values

    def _order(self, uniforms: Floats) -> Ints | None:
        """(samples, slots) the slot at each position, or None where the written order holds."""
        if not self._permutations:
            return None
        count = len(uniforms)
        positions = np.broadcast_to(np.arange(len(self._slot_words)), (count, len(self._slot_words))).copy()
        for shuffle in self._permutations:
            units = len(shuffle.units)
            keys = uniforms[:, shuffle.word : shuffle.word + units]
            ranks = np.argsort(np.argsort(keys, axis=1, kind="stable"), axis=1, kind="stable")
            if shuffle.keep_order:
                ranks[:, shuffle.keep_order] = np.sort(ranks[:, shuffle.keep_order], axis=1)
            lengths = np.array([unit.stop - unit.start for unit in shuffle.units])
            before = ranks[:, None, :] < ranks[:, :, None]
            starts = (before * lengths).sum(2)
            written = np.cumsum(lengths) - lengths
            for number, unit in enumerate(shuffle.units):
                positions[:, unit] += (starts[:, number] - written[number])[:, None]
        return np.argsort(positions, axis=1, kind="stable")

    def _sizes(
        self,
        rows: Ints,
        values: Floats,
        active: npt.NDArray[np.bool_],
        source: Ints,
        target: Ints,
        shuffled: bool,
    ) -> tuple[Ints, Ints, Ints]:
        """Walk the positions in order and settle what depends on the size of the picture there.

        Returns (samples, positions, 2) sizes of resizes, (samples, positions, 4) holes, and the final sizes. A resize
        to the size the picture has already is taken out of `active`.
        """
        count, positions = rows.shape
        sizes = np.zeros((count, positions, 2), np.int64)
        holes = np.zeros((count, positions, 4), np.int64)
        current = source
        for position in range(self._orient_slots, positions) if shuffled else self._resizing_slots:
            rule = np.where(active[:, position], self._row_size_rule[rows[:, position]], NO_SIZE)
            if not rule.any():
                continue
            kind = rule[:, None]
            value = values[:, position]
            base = np.where(kind == OF_SOURCE, source, np.where(kind == OF_TARGET, target, current))
            # A hair is added so that a third of 300 is 100 whatever the last bit of the product.
            size = np.maximum(1, (base * value[:, :1] + 1e-6).astype(np.int64))
            resized = (kind >= OF_CURRENT) & (kind <= OF_TARGET)
            if (rule == HOLE).any():
                extent = np.clip((current * value[:, :2] + 0.5).astype(np.int64), 1, current)
                corner = (value[:, 2:4] * (current - extent + 1)).astype(np.int64)
                holes[:, position] = np.concatenate([corner, extent], axis=1)
            active[:, position] &= ~(resized[:, 0] & (size == current).all(1))
            current = np.where(resized, size, current)
            sizes[:, position] = current
        if (sizes.prod(2) > LARGEST_PICTURE).any():
            raise PellucidError(
                Code.CONFIG,
                f"The recipe {self.recipe.name} makes a picture of more than {LARGEST_PICTURE} pixels on its way.",
                "Lower its scales or crop the source.",
            )
        return sizes, holes, current

    def _fields(
        self, rows: Ints, values: Floats, sizes: Ints, holes: Ints
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
        """(samples, positions, 4) and (…, 8): the `i` and `f` of every record."""
        i = self._row_i[rows] + np.take_along_axis(values, self._row_i_column[rows], 2).astype(np.int32)
        f = np.take_along_axis(values, self._row_f_column[rows], 2) * self._row_f_factor[rows]
        opcodes = self._row_opcode[rows]
        resize = opcodes == Opcode.RESIZE
        i[resize, 0] = sizes[resize, 0]
        i[resize, 1] = sizes[resize, 1]
        hole = opcodes == Opcode.DROPOUT
        if hole.any():
            i[hole] = holes[hole]
        correlated = (opcodes == Opcode.GAUSSIAN_NOISE) & (self._row_i[rows, 0] == Noise.CORRELATED)
        if correlated.any():
            f[correlated, 1:7] = _random_factor(values[correlated, 1:7])
        return i, f.astype(np.float32)

    def _records(
        self,
        opcodes: npt.NDArray[np.uint32],
        stages: npt.NDArray[np.uint32],
        i: npt.NDArray[np.int32],
        f: npt.NDArray[np.float32],
        active: npt.NDArray[np.bool_],
        before: int,
        after: int,
    ) -> Records:
        """The records of what happens, moved together, with `before` and `after` free places at the ends and an END."""
        places = active.cumsum(1) + (int(before) - 1)
        longest = int(places[:, -1].max()) + 1 if active.shape[1] and len(active) else int(before)
        records = np.zeros((len(active), longest + after + 1), OP)
        sample, position = np.nonzero(active)
        place = places[sample, position]
        records["opcode"][sample, place] = opcodes[sample, position]
        records["stage"][sample, place] = stages[sample, position]
        records["i"][sample, place] = i[sample, position]
        records["f"][sample, place] = f[sample, position]
        return records


def _sharpen_record(sharpen: rc.SourceSharpening | None) -> Records | None:
    if sharpen is None:
        return None
    record = np.zeros((), OP)
    record["opcode"] = Opcode.USM
    record["i"][0] = sharpen.radius
    record["f"][:2] = (sharpen.weight, sharpen.threshold)
    return record


def _random_factor(uniforms: Floats) -> Floats:
    """(n, 6) lower triangles of the Cholesky factors of random 3x3 covariances: eigenvalues uniform within 0 to 1
    (the first three columns), axes a random rotation (the last three)."""
    eigenvalues = uniforms[:, :3]
    a, b = np.sqrt(1.0 - uniforms[:, 3]), np.sqrt(uniforms[:, 3])
    angle, other = 2.0 * np.pi * uniforms[:, 4], 2.0 * np.pi * uniforms[:, 5]
    x, y, z, w = a * np.sin(angle), a * np.cos(angle), b * np.sin(other), b * np.cos(other)
    axes = np.stack(
        [
            np.stack([1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)], axis=-1),
            np.stack([2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)], axis=-1),
            np.stack([2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)], axis=-1),
        ],
        axis=1,
    )
    covariance = np.einsum("nik,nk,njk->nij", axes, eigenvalues, axes)
    factor = np.linalg.cholesky(covariance).astype(np.float64)
    return np.stack([factor[:, row, column] for row in range(3) for column in range(row + 1)], axis=-1)

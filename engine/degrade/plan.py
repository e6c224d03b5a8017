"""Plans: what happens to each sample, drawn from a recipe as pure data for the kernels, printable and replayable.

Drawing is one vectorised pass over the batch. Every stage of a recipe is compiled to a list of outcomes (rows of a
table: this family of kernels, that filter, grey or colour, nothing at all); one random word picks a row and the words
after it become the row's parameters. A random word depends on (seed, sample, stage) and on nothing else, so a sample's
plan is the same in any batch, in any order, on any machine.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Self

import msgspec
import numpy as np
import numpy.typing as npt

from engine.degrade import recipe as rc
from engine.degrade.philox import philox4x32
from engine.errors import Code, PellucidError
from kernels.degrade import plan_size
from kernels.errors import KernelInputError, KernelsMissingError
from kernels.ops import OP, Blur, Filter, Noise, Opcode, Subsampling

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Records = npt.NDArray[np.void]

PLAN_STREAM = 0x8000_0000
"""Set in the stage word of the counter, which keeps the draws of a plan apart from the noise of its operations: the
kernels count (position, stage, sample) under the same key, and no operation has a stage this large."""
FIRST_ORIENT_STAGE = rc.MOST_STAGES + 1
LARGEST_PICTURE = 1 << 28
"""Pixels an intermediate picture may have."""

_LONGEST_SIDE = 65535  # of a picture in the kernels
_COLUMNS = 7  # parameters an outcome may draw
_BLOCKS = 2  # Philox blocks of four words an operation consumes: one word picks, seven become parameters
_NO_COLUMN = _COLUMNS  # an extra column that holds zero
_NO_SIZE, _OF_CURRENT, _OF_SOURCE, _OF_TARGET, _HOLE = range(5)
_SPREADS: dict[rc.Spread, Callable[[float], float]] = {
    "even": lambda value: value,
    "log": math.log,
    "square": lambda value: value * value,
    "reciprocal": lambda value: 1.0 / value,
}
_SPREAD_NUMBERS = {name: number for number, name in enumerate(_SPREADS)}
_OF = {"current": _OF_CURRENT, "source": _OF_SOURCE, "target": _OF_TARGET}
_SUBSAMPLING = {"4:4:4": Subsampling.S444, "4:2:2": Subsampling.S422, "4:2:0": Subsampling.S420}
_MIRRORS = {"none": (0, 0), "horizontal": (1, 0), "vertical": (0, 1), "both": (1, 1)}


@dataclass(frozen=True, slots=True)
class Plan:
    """The operations of a batch. `shared` (crop, flips) makes the plain target of the source picture, `sharpen` (an
    unsharp mask or nothing) follows it, and `damage` makes the input picture of that.

    Each is a (samples, longest + 1) array of `kernels.ops.OP`, a row ending at the first END.
    target_sizes, input_sizes: (samples, 2) int64 height and width of the results.
    """

    recipe: str
    digest: str
    seed: int
    samples: Ints
    source_size: tuple[int, int]
    shared: Records
    sharpen: Records
    damage: Records
    sharpen_target: bool
    target_sizes: Ints
    input_sizes: Ints
    stage_names: dict[int, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.samples)

    def take(self, rows: Sequence[int] | slice | Ints) -> Self:
        """The plan of some of the samples: draw many at once, execute batch by batch."""
        index = rows if isinstance(rows, slice) else np.asarray(rows, np.int64)
        return replace(
            self,
            samples=self.samples[index],
            shared=_trim(self.shared[index]),
            sharpen=_trim(self.sharpen[index]),
            damage=_trim(self.damage[index]),
            target_sizes=self.target_sizes[index],
            input_sizes=self.input_sizes[index],
        )

    def describe(self, row: int) -> list[dict[str, Any]]:
        """What happens to one sample, in order, as plain dicts: which part of the plan, the operation, its numbers."""
        lines = []
        for part in ("shared", "sharpen", "damage"):
            for record in getattr(self, part)[row]:
                if record["opcode"] == Opcode.END:
                    break
                lines.append({"part": part, **_describe(record, self.stage_names)})
        return lines

    def to_json(self, row: int) -> bytes:
        """One sample's plan as JSON; `Plan.from_json` reads it back to the same operations."""
        facts = {
            "recipe": self.recipe,
            "digest": self.digest,
            "seed": self.seed,
            "sample": int(self.samples[row]),
            "source_size": list(self.source_size),
            "target_size": [int(side) for side in self.target_sizes[row]],
            "input_size": [int(side) for side in self.input_sizes[row]],
            "sharpen_target": self.sharpen_target,
            "operations": self.describe(row),
        }
        return msgspec.json.format(msgspec.json.encode(facts))

    @classmethod
    def from_json(cls, text: bytes | str) -> Self:
        """The plan of one sample, from what `to_json` wrote. Every number is checked here, so that no picture has to be
        opened to learn that a plan is damaged."""
        try:
            facts = msgspec.json.decode(text, type=_PlanFacts)
            rows, names = _read_operations(facts)
        except (msgspec.DecodeError, ValueError) as error:
            raise PellucidError(
                Code.CONFIG,
                f"This is not a degradation plan: {error}.",
                "Use the JSON written beside a degraded picture.",
            ) from error
        return cls(
            facts.recipe,
            facts.digest,
            facts.seed,
            np.array([facts.sample], np.int64),
            facts.source_size,
            rows["shared"],
            rows["sharpen"],
            rows["damage"],
            facts.sharpen_target,
            np.array([facts.target_size], np.int64),
            np.array([facts.input_size], np.int64),
            names,
        )


class _PlanFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    recipe: str
    digest: str
    seed: int
    sample: int
    source_size: tuple[int, int]
    target_size: tuple[int, int]
    input_size: tuple[int, int]
    sharpen_target: bool
    operations: list[dict[str, str | int | float | bool]]

    def __post_init__(self) -> None:
        _check_number("seed", self.seed, 0, 2**64 - 1)
        _check_number("sample", self.sample, 0, 2**63 - 1)
        for key in ("source_size", "target_size", "input_size"):
            for side in getattr(self, key):
                _check_number(key, side, 1, _LONGEST_SIDE)


def kernels_missing(error: KernelsMissingError) -> PellucidError:
    """The sentence for an installation without the native library."""
    return PellucidError(
        Code.BACKEND_UNAVAILABLE, f"Pictures cannot be degraded here: {error}.", "Install Pellucid again."
    )


def draw_plan(
    recipe: rc.Recipe, seed: int, samples: npt.ArrayLike, height: int, width: int, *, orient: bool = True
) -> Plan:
    """The plan of `samples` (int64 numbers that name them) for sources of height x width pixels.

    The same (recipe, seed, sample, size) always gives the same operations. Without `orient` the flips of the recipe are
    left out and everything else stays as drawn.
    """
    return compile_recipe(recipe).draw(seed, samples, height, width, orient=orient)


@dataclass(frozen=True, slots=True)
class _Outcome:
    """One way a stage can turn out: an operation with its constants, and the ranges of its drawn parameters."""

    weight: float
    opcode: Opcode
    i: tuple[int, ...] = ()
    spans: tuple[tuple[int, rc.Span, str], ...] = ()  # (column, range, "even" | "whole" | "odd")
    i_columns: tuple[tuple[int, int], ...] = ()  # (position in i, column)
    f_columns: tuple[tuple[int, int, float], ...] = ()  # (position in f, column, factor)
    size_rule: int = _NO_SIZE
    isotropic: bool = False


@dataclass(frozen=True, slots=True)
class _Slot:
    """A place where one operation may happen."""

    stage: int
    name: str
    word: int
    first_row: int
    thresholds: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class _Gate:
    """A `sequence`, `choose` or `shuffle`: slots that happen only when this word falls within these bounds."""

    word: int
    low: float
    high: float
    slots: slice


@dataclass(frozen=True, slots=True)
class _Permutation:
    """A `shuffle`: which slots each unit covers, the first word of its keys, and the units that keep their order."""

    word: int
    units: tuple[slice, ...]
    keep_order: tuple[int, ...]


class _Compiler:
    """Walks a recipe once and collects its slots, outcomes, gates, permutations and random words."""

    def __init__(self) -> None:
        self.slots: list[_Slot] = []
        self.outcomes: list[_Outcome] = []
        self.gates: list[_Gate] = []
        self.permutations: list[_Permutation] = []
        self.blocks: list[tuple[int, int]] = []
        self.next_stage = 1

    def words(self, stage: int, blocks: int) -> int:
        first = len(self.blocks) * 4
        self.blocks += [(stage, block) for block in range(blocks)]
        return first

    def operation(self, stage: int, name: str, probability: float, outcomes: list[_Outcome]) -> None:
        outcomes = [outcome for outcome in outcomes if outcome.weight > 0]
        total = sum(outcome.weight for outcome in outcomes)
        bounds = np.cumsum([outcome.weight * probability / total for outcome in outcomes])
        bounds[-1] = probability
        if probability >= 1.0:
            bounds[-1] = 2.0  # the last outcome has no upper bound
        self.slots.append(_Slot(stage, name, self.words(stage, _BLOCKS), len(self.outcomes), tuple(bounds.tolist())))
        self.outcomes += [*outcomes, _Outcome(0.0, Opcode.END)]

    def stages(self, stages: tuple[rc.Stage, ...]) -> list[slice]:
        return [self.stage(stage) for stage in stages]

    def stage(self, stage: rc.Stage) -> slice:
        number = self.next_stage
        self.next_stage += 1
        first = len(self.slots)
        if isinstance(stage, rc.Sequence | rc.Choose | rc.Shuffle | rc.Dropout):
            units = len(stage.stages) if isinstance(stage, rc.Shuffle) else 0
            word = self.words(number, math.ceil((1 + units) / 4))
            if isinstance(stage, rc.Sequence):
                self.stages(stage.stages)
            elif isinstance(stage, rc.Choose):
                self.branches(stage, word)
            elif isinstance(stage, rc.Shuffle):
                parts = self.stages(stage.stages)
                names = [unit.name for unit in stage.stages]
                keep = tuple(names.index(name) for name in stage.keep_order)
                self.permutations.append(_Permutation(word + 1, tuple(parts), keep))
            else:
                self.holes(stage, number, word)
            if stage.probability < 1.0 and not isinstance(stage, rc.Choose | rc.Dropout):
                self.gates.append(_Gate(word, 0.0, stage.probability, slice(first, len(self.slots))))
        else:
            name = stage.name or str(stage.__struct_config__.tag)
            self.operation(number, name, stage.probability, _outcomes(stage))
        return slice(first, len(self.slots))

    def branches(self, stage: rc.Choose, word: int) -> None:
        total = sum(branch.weight for branch in stage.branches)
        low = 0.0
        for number, branch in enumerate(stage.branches):
            first = len(self.slots)
            self.stages(branch.stages)
            last = number == len(stage.branches) - 1 and stage.probability >= 1.0
            high = 2.0 if last else low + branch.weight / total * stage.probability
            self.gates.append(_Gate(word, low, high, slice(first, len(self.slots))))
            low = high

    def holes(self, stage: rc.Dropout, number: int, word: int) -> None:
        """One slot a hole; the word that decides about the stage also decides how many of its slots happen."""
        fewest, most = int(stage.holes.low), int(stage.holes.high)
        for hole in range(most):
            first = len(self.slots)
            self.operation(number, stage.name or "dropout", 1.0, [_hole(stage)])
            # With k counts equally likely, hole number `hole` is there in this share of the cases.
            share = min(1.0, (most - hole) / (most - fewest + 1))
            high = 2.0 if share * stage.probability >= 1.0 else share * stage.probability
            self.gates.append(_Gate(word, 0.0, high, slice(first, first + 1)))


def _hole(stage: rc.Dropout) -> _Outcome:
    unit = rc.Span(((0.0, 1.0),))
    spans = (
        (0, stage.height, "even"),
        (1, stage.width, "even"),
        (2, unit, "even"),
        (3, unit, "even"),
        (4, stage.fill, "even"),
    )
    return _Outcome(1.0, Opcode.DROPOUT, spans=spans, f_columns=((0, 4, 1.0),), size_rule=_HOLE)


def _outcomes(stage: rc.Stage | rc.Flip) -> list[_Outcome]:
    """Every discrete way a stage can turn out, with its weight."""
    match stage:
        case rc.Blur():
            return [_blur(stage, choice) for choice in stage.choices]
        case rc.Resize():
            return [
                _Outcome(
                    choice.weight * weight,
                    Opcode.RESIZE,
                    (0, 0, Filter[name.upper()], int(stage.antialias)),
                    spans=((0, choice.scale, "even"),),
                    f_columns=((0, 0, 1.0), (1, 0, 1.0)) if stage.grid == "scale" else (),
                    size_rule=_OF[stage.of],
                )
                for choice in stage.choices
                for name, weight in stage.filters.items
            ]
        case rc.Noise():
            return [outcome for choice in stage.choices for outcome in _noise(choice)]
        case rc.Jpeg():
            return [
                _Outcome(
                    weight,
                    Opcode.JPEG,
                    (0, _SUBSAMPLING[name]),
                    spans=((0, stage.quality, "whole"),),
                    i_columns=((0, 0),),
                )
                for name, weight in stage.subsampling.items
            ]
        case rc.Webp():
            return [_Outcome(1.0, Opcode.HOST_CODEC, (0, 0), spans=((0, stage.quality, "whole"),), i_columns=((1, 0),))]
        case rc.Sharpen():
            spans = ((0, stage.radius, "whole"), (1, stage.weight, "even"), (2, stage.threshold, "even"))
            return [_Outcome(1.0, Opcode.USM, spans=spans, i_columns=((0, 0),), f_columns=((0, 1, 1.0), (1, 2, 1.0)))]
        case rc.Flip():
            return _flips(stage)
        case rc.Round():
            return [_Outcome(1.0, Opcode.CLAMP_ROUND)]
        case _:
            raise AssertionError(stage)


def _blur(stage: rc.Blur, choice: rc.BlurChoice) -> _Outcome:
    size = choice.size or stage.size
    tolerance = (6, rc.Span(((stage.tolerance, stage.tolerance),)), "even")
    if choice.shape == "sinc":
        assert choice.cutoff is not None
        return _Outcome(
            choice.weight,
            Opcode.BLUR,
            (Blur.SINC, 0),
            spans=((0, size, "odd"), (5, choice.cutoff, "even"), tolerance),
            i_columns=((1, 0),),
            f_columns=((4, 5, 1.0), (5, 6, 1.0)),
        )
    sigma = choice.sigma or stage.sigma
    assert sigma is not None
    isotropic = choice.shape.endswith("isotropic") and not choice.shape.endswith("anisotropic")
    kernel = Blur.GENERALISED if choice.shape.startswith("generalised") else Blur.PLATEAU
    if choice.shape in ("isotropic", "anisotropic"):
        kernel = Blur.GAUSSIAN
    spans = [(0, size, "odd"), (1, sigma, "even"), (2, sigma, "even"), tolerance]
    f_columns = [(0, 1, 1.0), (1, 2, 1.0), (5, 6, 1.0)]
    if not isotropic:
        spans.append((3, choice.angle or stage.angle, "even"))
        f_columns.append((2, 3, 1.0))
    if choice.beta is not None:
        spans.append((4, choice.beta, "even"))
        f_columns.append((3, 4, 1.0))
    return _Outcome(
        choice.weight,
        Opcode.BLUR,
        (kernel, 0),
        spans=tuple(spans),
        i_columns=((1, 0),),
        f_columns=tuple(f_columns),
        isotropic=isotropic,
    )


def _noise(choice: rc.NoiseChoice) -> list[_Outcome]:
    kinds = [(Noise.COLOUR, choice.weight * (1.0 - choice.grey)), (Noise.GREY, choice.weight * choice.grey)]
    if choice.type == "poisson":
        assert choice.strength is not None
        levels = 256 if choice.levels is None else choice.levels
        return [
            _Outcome(
                weight,
                Opcode.POISSON_NOISE,
                (kind, levels),
                spans=((0, choice.strength, "even"),),
                f_columns=((0, 0, 1.0),),
            )
            for kind, weight in kinds
        ]
    assert choice.sigma is not None
    if choice.type == "correlated":
        unit = rc.Span(((0.0, 1.0),))
        spans = ((0, choice.sigma, "even"), *((column, unit, "even") for column in range(1, _COLUMNS)))
        kinds = [(Noise.CORRELATED, choice.weight)]
    else:
        spans = ((0, choice.sigma, "even"),)
    return [
        _Outcome(weight, Opcode.GAUSSIAN_NOISE, (kind,), spans=spans, f_columns=((0, 0, 1.0 / 255.0),))
        for kind, weight in kinds
    ]


def _flips(stage: rc.Flip) -> list[_Outcome]:
    if stage.mirror is not None:
        mirrors = [(_MIRRORS[name], weight) for name, weight in stage.mirror.items]
    else:
        chances = [(1.0 - stage.horizontal, stage.horizontal), (1.0 - stage.vertical, stage.vertical)]
        mirrors = [((h, v), chances[0][h] * chances[1][v]) for h in (0, 1) for v in (0, 1)]
    total = sum(weight for _, weight in mirrors)
    return [
        # The outcome that changes nothing is written as nothing.
        _Outcome(weight / total * chance, Opcode.FLIP if h or v or turned else Opcode.END, (h, v, turned))
        for (h, v), weight in mirrors
        for turned, chance in ((0, 1.0 - stage.transpose), (1, stage.transpose))
    ]


class CompiledRecipe:
    """A recipe as tables, ready to draw plans of any batch and size. Immutable after construction."""

    def __init__(self, recipe: rc.Recipe) -> None:
        compiler = _Compiler()
        for number, flip in enumerate(recipe.orient):
            compiler.operation(FIRST_ORIENT_STAGE + number, flip.name or "flip", flip.probability, _outcomes(flip))
        self._orient_slots = len(compiler.slots)
        compiler.stages(recipe.stages)
        self.recipe = recipe
        self.digest = recipe.digest
        self._gates = tuple(compiler.gates)
        self._permutations = tuple(compiler.permutations)
        self._names = {slot.stage: slot.name for slot in compiler.slots}
        self._sharpen = _sharpen_record(recipe.sharpen)
        self._block_stage = np.array([stage for stage, _ in compiler.blocks], np.uint32)
        self._block_number = np.array([block for _, block in compiler.blocks], np.uint32)
        self._compile_slots(compiler.slots)
        self._compile_outcomes(compiler.outcomes)
        resizing = self._row_size_rule != _NO_SIZE
        self._resizing_slots = [
            position
            for position, slot in enumerate(compiler.slots)
            if resizing[slot.first_row : slot.first_row + len(slot.thresholds)].any()
        ]

    def _compile_slots(self, slots: list[_Slot]) -> None:
        most = max(len(slot.thresholds) for slot in slots)
        self._slot_thresholds = np.full((len(slots), most), 2.0)
        for position, slot in enumerate(slots):
            self._slot_thresholds[position, : len(slot.thresholds)] = slot.thresholds
        self._slot_stage = np.array([slot.stage for slot in slots], np.uint32)
        self._slot_first_row = np.array([slot.first_row for slot in slots], np.int64)
        self._slot_words = np.array([slot.word for slot in slots], np.int64)
        self._parameter_words = self._slot_words[:, None] + np.arange(1, 1 + _COLUMNS)

    def _compile_outcomes(self, outcomes: list[_Outcome]) -> None:
        rows = len(outcomes)
        self._row_opcode = np.array([outcome.opcode for outcome in outcomes], np.uint32)
        self._row_size_rule = np.array([outcome.size_rule for outcome in outcomes], np.int64)
        self._row_isotropic = np.array([outcome.isotropic for outcome in outcomes], bool)
        self._row_i = np.zeros((rows, 4), np.int32)
        self._row_i_column = np.full((rows, 4), _NO_COLUMN, np.int64)
        self._row_f_column = np.full((rows, 8), _NO_COLUMN, np.int64)
        self._row_f_factor = np.ones((rows, 8))
        shape = (rows, _COLUMNS)
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
            _trim(damage),
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
        values = np.zeros((*rows.shape, _COLUMNS + 1))
        drawn = values[:, :, :_COLUMNS]
        if self._any_pieces:
            draws *= self._pieces[rows]
            pieces = draws.astype(np.int64)
            draws -= pieces
            at = (rows[:, :, None] * _COLUMNS + np.arange(_COLUMNS)) * rc.PIECES + pieces
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
            rule = np.where(active[:, position], self._row_size_rule[rows[:, position]], _NO_SIZE)
            if not rule.any():
                continue
            kind = rule[:, None]
            value = values[:, position]
            base = np.where(kind == _OF_SOURCE, source, np.where(kind == _OF_TARGET, target, current))
            # A hair is added so that a third of 300 is 100 whatever the last bit of the product.
            size = np.maximum(1, (base * value[:, :1] + 1e-6).astype(np.int64))
            resized = (kind >= _OF_CURRENT) & (kind <= _OF_TARGET)
            if (rule == _HOLE).any():
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


@lru_cache(maxsize=32)
def compile_recipe(recipe: rc.Recipe) -> CompiledRecipe:
    """The recipe as tables; compiled once for each content."""
    return CompiledRecipe(recipe)


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


def _trim(records: Records) -> Records:
    """Without the columns that are END for every sample, but one."""
    if not len(records):
        return records[:, :1]
    used = np.flatnonzero((records["opcode"] != Opcode.END).any(0))
    return records[:, : (int(used[-1]) + 1 if len(used) else 0) + 1]


_Words = tuple[str, tuple[tuple[str, int, Any], ...], tuple[tuple[str, int], ...]]
_BOX = (("y", 0, None), ("x", 1, None), ("height", 2, None), ("width", 3, None))
_FACTOR = (("factor_00", 1), ("factor_10", 2), ("factor_11", 3), ("factor_20", 4), ("factor_21", 5), ("factor_22", 6))
# One entry an operation: its name, then the names of i and of f by position; an enum gives words for a number.
_WORDS: dict[Opcode, _Words] = {
    Opcode.BLUR: (
        "blur",
        (("kernel", 0, Blur), ("size", 1, None)),
        (("sigma_x", 0), ("sigma_y", 1), ("angle", 2), ("beta", 3), ("cutoff", 4), ("tolerance", 5)),
    ),
    Opcode.RESIZE: (
        "resize",
        (("height", 0, None), ("width", 1, None), ("filter", 2, Filter), ("antialias", 3, bool)),
        (("scale_y", 0), ("scale_x", 1)),
    ),
    Opcode.GAUSSIAN_NOISE: ("gaussian-noise", (("noise", 0, Noise),), (("sigma", 0), *_FACTOR)),
    Opcode.POISSON_NOISE: ("poisson-noise", (("noise", 0, Noise), ("levels", 1, None)), (("strength", 0),)),
    Opcode.JPEG: ("jpeg", (("quality", 0, None), ("subsampling", 1, Subsampling)), ()),
    Opcode.USM: ("sharpen", (("radius", 0, None),), (("weight", 0), ("threshold", 1))),
    Opcode.DROPOUT: ("dropout", _BOX, (("fill", 0),)),
    Opcode.FLIP: ("flip", (("horizontal", 0, bool), ("vertical", 1, bool), ("transpose", 2, bool)), ()),
    Opcode.CLAMP_ROUND: ("round", (), ()),
    Opcode.CROP: ("crop", _BOX, ()),
    Opcode.HOST_CODEC: ("webp", (("codec", 0, None), ("quality", 1, None)), ()),
}
_OPCODES = {words[0]: opcode for opcode, words in _WORDS.items()}


def _describe(record: Records, names: dict[int, str]) -> dict[str, Any]:
    """A record as words and numbers. A float that is zero is left out, unless the first, and reads back as zero."""
    opcode = Opcode(int(record["opcode"]))
    word, integers, floats = _WORDS[opcode]
    line: dict[str, Any] = {"op": word, "stage": int(record["stage"])}
    name = names.get(int(record["stage"]))
    if name and name != word:
        line["name"] = name
    for key, position, kind in integers:
        value = int(record["i"][position])
        if kind is bool:
            line[key] = bool(value)
        else:
            line[key] = kind(value).name.lower() if kind else value
    for key, position in floats:
        number = float(record["f"][position])
        if number or (position == 0 and opcode not in (Opcode.BLUR, Opcode.RESIZE)):
            line[key] = float(f"{number:.9g}")  # nine digits name a float32 exactly
    return line


def _read_operations(facts: _PlanFacts) -> tuple[dict[str, Records], dict[int, str]]:
    """The rows of each part and the names of the stages; ValueError about the first operation that cannot be."""
    parts: dict[str, list[tuple[int, Records]]] = {"shared": [], "sharpen": [], "damage": []}
    names = {}
    for number, line in enumerate(facts.operations):
        try:
            record, name = _record(line)
            parts[_word(line, "part", list(parts))].append((number, record))
        except ValueError as error:
            raise ValueError(f"operation {number}: {error}") from error
        if name:
            names[int(record["stage"])] = name
    if max(len(parts["shared"]), len(parts["sharpen"]) + len(parts["damage"])) > rc.MOST_OPERATIONS:
        raise ValueError(f"it has more than the {rc.MOST_OPERATIONS} operations that a picture may get")
    rows = {}
    height, width = facts.source_size
    for part, numbered in parts.items():
        rows[part] = np.zeros((1, len(numbered) + 1), OP)
        for position, (_, record) in enumerate(numbered):
            rows[part][0, position] = record
        native = [(number, record) for number, record in numbered if record["opcode"] != Opcode.HOST_CODEC]
        try:
            height, width = plan_size(np.array([record for _, record in native], OP), height, width)
        except KernelInputError as error:
            place = f"operation {native[error.operation][0]}: " if error.operation >= 0 else ""
            raise ValueError(f"{place}{error.reason}") from error
        except KernelsMissingError as error:
            raise kernels_missing(error) from error
        key = "input_size" if part == "damage" else "target_size"
        if (height, width) != getattr(facts, key):
            raise ValueError(f"its {part} operations end in [{height}, {width}], and `{key}` says otherwise")
    return rows, names


def _record(line: dict[str, Any]) -> tuple[Records, str]:
    """The record that `_describe` put into words, and its stage's name. Whether its numbers make sense to the kernels
    is not looked at, but for those of operations that have no kernel."""
    opcode = _OPCODES[_word(line, "op", list(_OPCODES))]
    word, integers, floats = _WORDS[opcode]
    known = {"part", "op", "stage", "name", *(key for key, *_ in integers), *(key for key, _ in floats)}
    for key in line:
        if key not in known:
            raise ValueError(f"the operation {word} has no {key!r}")
    record = np.zeros((), OP)
    record["opcode"], record["stage"] = opcode, _whole(line, "stage", 0, PLAN_STREAM - 1)
    for key, position, kind in integers:
        if kind is bool:
            if not isinstance(line.get(key), bool):
                raise ValueError(f"`{key}` is true or false, not {line.get(key)!r}")
            record["i"][position] = line[key]
        elif kind is not None:
            record["i"][position] = kind[_word(line, key, [member.name.lower() for member in kind]).upper()]
        else:
            record["i"][position] = _whole(line, key, -(2**31), 2**31 - 1)
    for key, position in floats:
        value = line.get(key, 0.0)
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= _LARGEST_FLOAT:
            raise ValueError(f"`{key}` is a number, not {value!r}")
        record["f"][position] = value
    if opcode == Opcode.HOST_CODEC:
        _check_number("codec", line["codec"], 0, 0)
        _check_number("quality", line["quality"], 1, 100)
    if not isinstance(line.get("name", ""), str):
        raise ValueError(f"`name` is a text, not {line['name']!r}")
    return record, line.get("name", "")


_LARGEST_FLOAT = float(np.finfo(np.float32).max)


def _word(line: dict[str, Any], key: str, known: list[str]) -> str:
    value = line.get(key)
    if value not in known:
        raise ValueError(f"`{key}` is one of {', '.join(known)}, not {value!r}")
    return str(value)


def _whole(line: dict[str, Any], key: str, low: int, high: int) -> int:
    value = line.get(key)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"`{key}` is a whole number, not {value!r}")
    _check_number(key, value, low, high)
    return value


def _check_number(key: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise ValueError(f"`{key}` is within {low} to {high}, not {value}")

"""A recipe gone through once: every way each of its stages can turn out, as a table whose rows wait to be drawn.

A stage becomes a slot, its outcomes (this family of kernels, that filter, grey or colour, nothing at all) rows of the
table; one random word picks a row and the words after it become the row's parameters.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from engine.degrade import recipe as rc
from kernels.ops import Blur, Filter, Noise, Opcode, Subsampling

COLUMNS = 7
"""Parameters an outcome may draw."""
BLOCKS = 2
"""Philox blocks of four words an operation consumes: one word picks, seven become parameters."""
NO_SIZE, OF_CURRENT, OF_SOURCE, OF_TARGET, HOLE = range(5)
"""What the size of an outcome's picture, or of its hole, is taken from."""

_OF = {"current": OF_CURRENT, "source": OF_SOURCE, "target": OF_TARGET}
_SUBSAMPLING = {"4:4:4": Subsampling.S444, "4:2:2": Subsampling.S422, "4:2:0": Subsampling.S420}
_MIRRORS = {"none": (0, 0), "horizontal": (1, 0), "vertical": (0, 1), "both": (1, 1)}


@dataclass(frozen=True, slots=True)
class Outcome:
    """One way a stage can turn out: an operation with its constants, and the ranges of its drawn parameters."""

    weight: float
    opcode: Opcode
    i: tuple[int, ...] = ()
    spans: tuple[tuple[int, rc.Span, str], ...] = ()  # (column, range, "even" | "whole" | "odd")
    i_columns: tuple[tuple[int, int], ...] = ()  # (position in i, column)
    f_columns: tuple[tuple[int, int, float], ...] = ()  # (position in f, column, factor)
    size_rule: int = NO_SIZE
    isotropic: bool = False


@dataclass(frozen=True, slots=True)
class Slot:
    """A place where one operation may happen."""

    stage: int
    name: str
    word: int
    first_row: int
    thresholds: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Gate:
    """A `sequence`, `choose` or `shuffle`: slots that happen only when this word falls within these bounds."""

    word: int
    low: float
    high: float
    slots: slice


@dataclass(frozen=True, slots=True)
class Permutation:
    """A `shuffle`: which slots each unit covers, the first word of its keys, and the units that keep their order."""

    word: int
    units: tuple[slice, ...]
    keep_order: tuple[int, ...]


class Outline:
    """Walks a recipe once and collects its slots, outcomes, gates, permutations and random words."""

    def __init__(self) -> None:
        self.slots: list[Slot] = []
        self.outcomes: list[Outcome] = []
        self.gates: list[Gate] = []
        self.permutations: list[Permutation] = []
        self.blocks: list[tuple[int, int]] = []
        self.next_stage = 1

    def words(self, stage: int, blocks: int) -> int:
        first = len(self.blocks) * 4
        self.blocks += [(stage, block) for block in range(blocks)]
        return first

    def operation(self, stage: int, name: str, probability: float, outcomes: list[Outcome]) -> None:
        outcomes = [outcome for outcome in outcomes if outcome.weight > 0]
        total = sum(outcome.weight for outcome in outcomes)
        bounds = np.cumsum([outcome.weight * probability / total for outcome in outcomes])
        bounds[-1] = probability
        if probability >= 1.0:
            bounds[-1] = 2.0  # the last outcome has no upper bound
        self.slots.append(Slot(stage, name, self.words(stage, BLOCKS), len(self.outcomes), tuple(bounds.tolist())))
        self.outcomes += [*outcomes, Outcome(0.0, Opcode.END)]

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
                self.permutations.append(Permutation(word + 1, tuple(parts), keep))
            else:
                self.holes(stage, number, word)
            if stage.probability < 1.0 and not isinstance(stage, rc.Choose | rc.Dropout):
                self.gates.append(Gate(word, 0.0, stage.probability, slice(first, len(self.slots))))
        else:
            name = stage.name or str(stage.__struct_config__.tag)
            self.operation(number, name, stage.probability, outcomes_of(stage))
        return slice(first, len(self.slots))

    def branches(self, stage: rc.Choose, word: int) -> None:
        total = sum(branch.weight for branch in stage.branches)
        low = 0.0
        for number, branch in enumerate(stage.branches):
            first = len(self.slots)
            self.stages(branch.stages)
            last = number == len(stage.branches) - 1 and stage.probability >= 1.0
            high = 2.0 if last else low + branch.weight / total * stage.probability
            self.gates.append(Gate(word, low, high, slice(first, len(self.slots))))
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
            self.gates.append(Gate(word, 0.0, high, slice(first, first + 1)))


def _hole(stage: rc.Dropout) -> Outcome:
    unit = rc.Span(((0.0, 1.0),))
    spans = (
        (0, stage.height, "even"),
        (1, stage.width, "even"),
        (2, unit, "even"),
        (3, unit, "even"),
        (4, stage.fill, "even"),
    )
    return Outcome(1.0, Opcode.DROPOUT, spans=spans, f_columns=((0, 4, 1.0),), size_rule=HOLE)


def outcomes_of(stage: rc.Stage | rc.Flip) -> list[Outcome]:
    """Every discrete way a stage can turn out, with its weight."""
    match stage:
        case rc.Blur():
            return [_blur(stage, choice) for choice in stage.choices]
        case rc.Resize():
            return [
                Outcome(
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
                Outcome(
                    weight,
                    Opcode.JPEG,
                    (0, _SUBSAMPLING[name]),
                    spans=((0, stage.quality, "whole"),),
                    i_columns=((0, 0),),
                )
                for name, weight in stage.subsampling.items
            ]
        case rc.Webp():
            return [Outcome(1.0, Opcode.HOST_CODEC, (0, 0), spans=((0, stage.quality, "whole"),), i_columns=((1, 0),))]
        case rc.Sharpen():
            spans = ((0, stage.radius, "whole"), (1, stage.weight, "even"), (2, stage.threshold, "even"))
            return [Outcome(1.0, Opcode.USM, spans=spans, i_columns=((0, 0),), f_columns=((0, 1, 1.0), (1, 2, 1.0)))]
        case rc.Flip():
            return _flips(stage)
        case rc.Round():
            return [Outcome(1.0, Opcode.CLAMP_ROUND)]
        case _:
            raise AssertionError(stage)


def _blur(stage: rc.Blur, choice: rc.BlurChoice) -> Outcome:
    size = choice.size or stage.size
    tolerance = (6, rc.Span(((stage.tolerance, stage.tolerance),)), "even")
    if choice.shape == "sinc":
        assert choice.cutoff is not None
        return Outcome(
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
    return Outcome(
        choice.weight,
        Opcode.BLUR,
        (kernel, 0),
        spans=tuple(spans),
        i_columns=((1, 0),),
        f_columns=tuple(f_columns),
        isotropic=isotropic,
    )


def _noise(choice: rc.NoiseChoice) -> list[Outcome]:
    kinds = [(Noise.COLOUR, choice.weight * (1.0 - choice.grey)), (Noise.GREY, choice.weight * choice.grey)]
    if choice.type == "poisson":
        assert choice.strength is not None
        levels = 256 if choice.levels is None else choice.levels
        return [
            Outcome(
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
        spans = ((0, choice.sigma, "even"), *((column, unit, "even") for column in range(1, COLUMNS)))
        kinds = [(Noise.CORRELATED, choice.weight)]
    else:
        spans = ((0, choice.sigma, "even"),)
    return [
        Outcome(weight, Opcode.GAUSSIAN_NOISE, (kind,), spans=spans, f_columns=((0, 0, 1.0 / 255.0),))
        for kind, weight in kinds
    ]


def _flips(stage: rc.Flip) -> list[Outcome]:
    if stage.mirror is not None:
        mirrors = [(_MIRRORS[name], weight) for name, weight in stage.mirror.items]
    else:
        chances = [(1.0 - stage.horizontal, stage.horizontal), (1.0 - stage.vertical, stage.vertical)]
        mirrors = [((h, v), chances[0][h] * chances[1][v]) for h in (0, 1) for v in (0, 1)]
    total = sum(weight for _, weight in mirrors)
    return [
        # The outcome that changes nothing is written as nothing.
        Outcome(weight / total * chance, Opcode.FLIP if h or v or turned else Opcode.END, (h, v, turned))
        for (h, v), weight in mirrors
        for turned, chance in ((0, 1.0 - stage.transpose), (1, stage.transpose))
    ]

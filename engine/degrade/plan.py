"""Plans: what happens to each sample, as pure data for the kernels, printable and replayable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import msgspec
import numpy as np
import numpy.typing as npt

from engine.degrade.plan_words import PlanFacts, Records, describe, read_operations
from engine.errors import Code, PellucidError
from kernels.errors import KernelsMissingError
from kernels.ops import Opcode

Ints = npt.NDArray[np.int64]


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
            shared=trim(self.shared[index]),
            sharpen=trim(self.sharpen[index]),
            damage=trim(self.damage[index]),
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
                lines.append({"part": part, **describe(record, self.stage_names)})
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
            facts = msgspec.json.decode(text, type=PlanFacts)
            rows, names = read_operations(facts)
        except KernelsMissingError as error:
            raise kernels_missing(error) from error
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


def trim(records: Records) -> Records:
    """Without the columns that are END for every sample, but one."""
    if not len(records):
        return records[:, :1]
    used = np.flatnonzero((records["opcode"] != Opcode.END).any(0))
    return records[:, : (int(used[-1]) + 1 if len(used) else 0) + 1]


def kernels_missing(error: KernelsMissingError) -> PellucidError:
    """The sentence for an installation without the native library."""
    return PellucidError(
        Code.BACKEND_UNAVAILABLE, f"Pictures cannot be degraded here: {error}.", "Install Pellucid again."
    )

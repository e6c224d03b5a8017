"""A plan's operations as words and numbers, and the way back, where every number is checked."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from engine.degrade import recipe as rc
from engine.degrade.philox import PLAN_STREAM
from kernels.degrade import plan_size
from kernels.errors import KernelInputError
from kernels.ops import OP, Blur, Filter, Noise, Opcode, Subsampling

Records = npt.NDArray[np.void]

_LONGEST_SIDE = 65535  # of a picture in the kernels
_LARGEST_FLOAT = float(np.finfo(np.float32).max)

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


class PlanFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
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


def describe(record: Records, names: dict[int, str]) -> dict[str, Any]:
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


def read_operations(facts: PlanFacts) -> tuple[dict[str, Records], dict[int, str]]:
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
        key = "input_size" if part == "damage" else "target_size"
        if (height, width) != getattr(facts, key):
            raise ValueError(f"its {part} operations end in [{height}, {width}], and `{key}` says otherwise")
    return rows, names


def _record(line: dict[str, Any]) -> tuple[Records, str]:
    """The record that `describe` put into words, and its stage's name. Whether its numbers make sense to the kernels
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

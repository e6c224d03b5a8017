"""Reads the tensors of PyTorch checkpoints (.pth, .pt, .ckpt) without PyTorch and without pickle.

A checkpoint is a pickle program. This module has its own tiny interpreter for the few instructions that a state dict
needs; whatever else a file asks for (any import but ten harmless names) ends in a refusal. Nothing from the file is
ever called: NO MODEL FILE EVER RUNS CODE.
"""

from __future__ import annotations

import io
import math
import struct
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.errors import Code, PellucidError
from engine.models.files import MAX_FILE_BYTES, decode_values, unreadable

MAX_PROGRAM_BYTES = 64 << 20
MAX_INSTRUCTIONS = 5_000_000
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL = 1001

STORAGE_TYPES: Mapping[str, tuple[str, int]] = {
    "FloatStorage": ("F32", 4),
    "DoubleStorage": ("F64", 8),
    "HalfStorage": ("F16", 2),
    "BFloat16Storage": ("BF16", 2),
    "LongStorage": ("I64", 8),
    "IntStorage": ("I32", 4),
    "ShortStorage": ("I16", 2),
    "CharStorage": ("I8", 1),
    "ByteStorage": ("U8", 1),
    "BoolStorage": ("BOOL", 1),
}
"""torch's name -> (safetensors type, bytes a value)."""


class _Refused(Exception):
    """The program asks for something that a state dict does not need."""


class _Broken(Exception):
    """The program or the archive is damaged."""


@dataclass(frozen=True, slots=True)
class _Name:
    """An import that the program asked for. Never resolved: only compared."""

    module: str
    name: str


@dataclass(frozen=True, slots=True)
class _StorageType:
    dtype: str
    item_bytes: int


@dataclass(frozen=True, slots=True)
class _Storage:
    type: _StorageType
    key: str
    length: int


@dataclass(frozen=True, slots=True)
class _Tensor:
    storage: _Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


@dataclass(slots=True)
class _Machine:
    """State of one run of the interpreter."""

    source: io.BytesIO
    stack: list[Any] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)

    def take(self, count: int) -> bytes:
        if count < 0:
            raise _Broken("a length is negative")
        raw = self.source.read(count)
        if len(raw) != count:
            raise _Broken("it is cut short")
        return raw

    def number(self, form: str) -> int:
        return int(struct.unpack(form, self.take(struct.calcsize(form)))[0])

    def line(self) -> str:
        raw = self.source.readline(1 << 16)
        if not raw.endswith(b"\n"):
            raise _Broken("it is cut short")
        return raw[:-1].decode()

    def pop(self) -> Any:
        if not self.stack or (self.marks and len(self.stack) <= self.marks[-1]):
            raise _Broken("its stack runs empty")
        return self.stack.pop()

    def pop_to_mark(self) -> list[Any]:
        if not self.marks:
            raise _Broken("a mark is missing")
        start = self.marks.pop()
        items = self.stack[start:]
        del self.stack[start:]
        return items


def read_checkpoint(path: Path) -> dict[str, npt.NDArray[np.generic]]:
    """The state dict of a checkpoint; floating types arrive as float32.

    Wrappers that training programs put around it (params_ema, params, state_dict, model, ...) are opened.
    """
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise _Broken(f"it is larger than {MAX_FILE_BYTES >> 30} GiB")
        with path.open("rb") as file:
            start = file.read(4)
        if start.startswith(b"PK"):
            return _read_archive(path)
        if start[:1] == b"\x80":
            return _read_legacy(path)
        raise _Broken("it is neither a PyTorch archive nor a pickle")
    except OSError as error:
        raise unreadable(path, error) from error
    except _Refused as error:
        raise PellucidError(
            Code.MODEL_UNSAFE,
            f"{path} was refused: {error}.",
            "A model needs no such thing; do not open this file with other programs either.",
            path=str(path),
        ) from error
    except (_Broken, zipfile.BadZipFile, UnicodeDecodeError, struct.error, NotImplementedError, RuntimeError) as error:
        raise PellucidError(
            Code.MODEL_CORRUPT,
            f"{path} is not a whole PyTorch checkpoint: {error}.",
            "Download or copy it again.",
            path=str(path),
        ) from error


def _read_archive(path: Path) -> dict[str, npt.NDArray[np.generic]]:
    """The format since torch 1.6: a zip archive with NAME/data.pkl and NAME/data/KEY, uncompressed."""
    with zipfile.ZipFile(path) as archive:
        entries = {entry.filename: entry for entry in archive.infolist()}
        programs = [name for name in entries if name == "data.pkl" or name.endswith("/data.pkl")]
        if any(name.endswith("/constants.pkl") or "/code/" in name for name in entries):
            raise _Refused("it is a TorchScript program, not a set of weights")
        if len(programs) != 1:
            raise _Broken("it has no data.pkl")
        for entry in entries.values():
            if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1:
                raise _Broken(f'the entry "{entry.filename}" is compressed or encrypted')
        folder = programs[0].removesuffix("data.pkl")
        if f"{folder}byteorder" in entries and archive.read(f"{folder}byteorder") != b"little":
            raise _Broken("its numbers are big-endian")
        if entries[programs[0]].file_size > MAX_PROGRAM_BYTES:
            raise _Broken("its program is too large")
        root = _run(io.BytesIO(archive.read(programs[0])))

        def load(storage: _Storage) -> bytes:
            name = f"{folder}data/{storage.key}"
            if name not in entries:
                raise _Broken(f'the values "{storage.key}" are missing')
            if entries[name].file_size < storage.length * storage.type.item_bytes:
                raise _Broken(f'the values "{storage.key}" are cut short')
            return archive.read(name)

        return _collect(root, load)


def _read_legacy(path: Path) -> dict[str, npt.NDArray[np.generic]]:
    """The format before torch 1.6: five pickles (magic, protocol, machine, state, keys), then each storage raw."""
    source = io.BytesIO(path.read_bytes())
    first = _run(source)
    if first != LEGACY_MAGIC:
        # A bare pickle of something: it ran through the interpreter, so whatever it wanted would have been refused.
        raise _Broken("it is a pickle, but not one that torch wrote")
    if _run(source) != LEGACY_PROTOCOL:
        raise _Broken("its version is unknown")
    _run(source)
    root = _run(source)
    keys = _run(source)
    lengths = {storage.key: storage for storage in _storages(root)}
    if not isinstance(keys, list):
        raise _Broken("its list of values is missing")
    blobs: dict[str, bytes] = {}
    for key in keys:
        storage = lengths.get(str(key))
        if storage is None:
            raise _Broken(f'nothing uses the values "{key}"')
        count = int.from_bytes(source.read(8), "little", signed=True)
        if count != storage.length:
            raise _Broken(f'the values "{key}" are not as many as they should be')
        raw = source.read(count * storage.type.item_bytes)
        if len(raw) != count * storage.type.item_bytes:
            raise _Broken("it is cut short")
        blobs[storage.key] = raw

    def load(storage: _Storage) -> bytes:
        if storage.key not in blobs:
            raise _Broken(f'the values "{storage.key}" are missing')
        return blobs[storage.key]

    return _collect(root, load)


def _storages(root: object) -> list[_Storage]:
    """Every storage that the tensors of a (possibly wrapped) state dict use."""
    found: list[_Storage] = []
    waiting, seen = [root], set[int]()
    while waiting:
        value = waiting.pop()
        if isinstance(value, _Tensor):
            found.append(value.storage)
        elif isinstance(value, dict | list | tuple) and id(value) not in seen:
            seen.add(id(value))
            waiting.extend(value.values() if isinstance(value, dict) else value)
    return found


WRAPPERS = ("params_ema", "params", "state_dict", "model_state_dict", "generator", "net_g", "g_ema", "model", "net")
PREFIXES = ("module.", "netG.", "net_g.", "generator.", "model._orig_mod.", "_orig_mod.")


def _collect(root: object, load: Callable[[_Storage], bytes]) -> dict[str, npt.NDArray[np.generic]]:
    state = _unwrap(root)
    blobs: dict[str, npt.NDArray[np.generic]] = {}
    arrays: dict[str, npt.NDArray[np.generic]] = {}
    total = 0
    for name, value in state.items():
        if not isinstance(value, _Tensor):
            continue
        storage = value.storage
        if storage.key not in blobs:
            raw = load(storage)
            blobs[storage.key] = decode_values(raw[: storage.length * storage.type.item_bytes], storage.type.dtype)
        total += math.prod(value.size)
        if total * 4 > MAX_FILE_BYTES:
            raise _Broken("its tensors are larger than any model")
        arrays[name] = _view(blobs[storage.key], value)
    return strip_prefix(arrays)


def _unwrap(root: object) -> dict[str, object]:
    """The dict of tensors inside whatever wrappers are around it."""
    for _ in range(4):
        if not isinstance(root, dict):
            break
        if any(isinstance(value, _Tensor) for value in root.values()):
            return {name: value for name, value in root.items() if isinstance(name, str)}
        inner = next((root[name] for name in WRAPPERS if isinstance(root.get(name), dict)), None)
        if inner is None:
            break
        root = inner
    raise _Broken("it holds no tensors by name")


def strip_prefix(arrays: dict[str, npt.NDArray[np.generic]]) -> dict[str, npt.NDArray[np.generic]]:
    """Names without a prefix that all of them share because the network was wrapped when it was saved."""
    for prefix in PREFIXES:
        if arrays and all(name.startswith(prefix) for name in arrays):
            return {name.removeprefix(prefix): value for name, value in arrays.items()}
    return arrays


def _view(values: npt.NDArray[np.generic], tensor: _Tensor) -> npt.NDArray[np.generic]:
    """The tensor's values as an array of its own, never beyond its storage."""
    if 0 in tensor.size:
        return np.zeros(tensor.size, values.dtype)
    last = tensor.offset + sum((side - 1) * step for side, step in zip(tensor.size, tensor.stride, strict=True))
    if last >= len(values) or math.prod(tensor.size) > len(values):
        raise _Broken("a tensor reaches beyond its values")
    strides = [step * values.itemsize for step in tensor.stride]
    return np.lib.stride_tricks.as_strided(values[tensor.offset :], tensor.size, strides).copy()


# The interpreter ------------------------------------------------------------------------------------------------------


def _run(source: io.BytesIO) -> Any:
    """Run one pickle program; its result is made of dicts, lists, tuples, numbers, strings and _Tensor only."""
    machine = _Machine(source)
    for _ in range(MAX_INSTRUCTIONS):
        code = machine.take(1)
        if code == b".":
            return machine.pop()
        step = _INSTRUCTIONS.get(code)
        if step is None:
            raise _Refused(f"it uses the pickle instruction {code!r}, which no state dict needs")
        step(machine)
    raise _Broken("its program is too long")


def _import(machine: _Machine, module: str, name: str) -> None:
    machine.stack.append(_resolve(module, name))


def _resolve(module: str, name: str) -> object:
    if module == "torch" and name in STORAGE_TYPES:
        return _StorageType(*STORAGE_TYPES[name])
    if (module, name) in _CALLS:
        return _Name(module, name)
    raise _Refused(f"it asks to load {module[:80]!r}.{name[:80]!r}, which no state dict needs")


def _stack_import(machine: _Machine) -> None:
    name, module = machine.pop(), machine.pop()
    if not isinstance(name, str) or not isinstance(module, str):
        raise _Broken("an import has no name")
    _import(machine, module, name)


def _call(machine: _Machine) -> None:
    arguments, function = machine.pop(), machine.pop()
    if not isinstance(function, _Name) or not isinstance(arguments, tuple):
        raise _Refused("it calls something that is no function of torch")
    machine.stack.append(_CALLS[function.module, function.name](arguments))


def _make_ordered_dict(arguments: tuple[Any, ...]) -> dict[Any, Any]:
    if not arguments:
        return {}
    pairs = arguments[0]
    if len(arguments) != 1 or not isinstance(pairs, list | tuple):
        raise _Broken("a dict is not well formed")
    made: dict[Any, Any] = {}
    for pair in pairs:
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise _Broken("a dict is not well formed")
        made[_key(pair[0])] = pair[1]
    return made


def _make_tensor(arguments: tuple[Any, ...]) -> _Tensor:
    """torch._utils._rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks[, metadata])."""
    if len(arguments) < 4 or not isinstance(arguments[0], _Storage):
        raise _Broken("a tensor is not well formed")
    storage, offset, size, stride = arguments[:4]
    numbers = [offset, *size, *stride] if isinstance(size, tuple) and isinstance(stride, tuple) else [None]
    if not all(type(number) is int and 0 <= number < 1 << 40 for number in numbers):
        raise _Broken("the shape of a tensor is not valid")
    if len(size) != len(stride) or len(size) > 8:
        raise _Broken("the shape of a tensor is not valid")
    return _Tensor(storage, offset, size, stride)


def _make_parameter(arguments: tuple[Any, ...]) -> _Tensor:
    if not arguments or not isinstance(arguments[0], _Tensor):
        raise _Broken("a parameter is not well formed")
    return arguments[0]


def _make_size(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    if len(arguments) != 1 or not isinstance(arguments[0], tuple):
        raise _Broken("a shape is not well formed")
    return arguments[0]


_CALLS: Mapping[tuple[str, str], Callable[[tuple[Any, ...]], Any]] = {
    ("collections", "OrderedDict"): _make_ordered_dict,
    ("torch._utils", "_rebuild_tensor_v2"): _make_tensor,
    ("torch._utils", "_rebuild_parameter"): _make_parameter,
    ("torch", "Size"): _make_size,
}


def _load_storage(machine: _Machine) -> None:
    """persistent id ("storage", type, key, device, length[, view])."""
    described = machine.pop()
    if not isinstance(described, tuple) or len(described) < 5 or described[0] != "storage":
        raise _Broken("values are not described well")
    _, kind, key, _, length = described[:5]
    if not isinstance(kind, _StorageType) or not isinstance(key, str) or type(length) is not int:
        raise _Broken("values are not described well")
    if not 0 <= length * kind.item_bytes <= MAX_FILE_BYTES or (len(described) > 5 and described[5] is not None):
        raise _Broken("values are not described well")
    machine.stack.append(_Storage(kind, key, length))


def _key(value: object) -> object:
    if not isinstance(value, str | int | float | bool | None):
        raise _Broken("a key is no name")
    return value


def _top(machine: _Machine, kind: type) -> Any:
    target = machine.stack[-1] if machine.stack else None
    if not isinstance(target, kind):
        raise _Broken("something is put where nothing can be")
    return target


def _set_items(machine: _Machine) -> None:
    items = machine.pop_to_mark()
    target = _top(machine, dict)
    if len(items) % 2:
        raise _Broken("a dict is not well formed")
    for key, value in zip(items[::2], items[1::2], strict=True):
        target[_key(key)] = value


def _set_item(machine: _Machine) -> None:
    value, key = machine.pop(), machine.pop()
    _top(machine, dict)[_key(key)] = value


def _append(machine: _Machine) -> None:
    value = machine.pop()
    _top(machine, list).append(value)


def _extend(machine: _Machine) -> None:
    items = machine.pop_to_mark()
    _top(machine, list).extend(items)


def _build(machine: _Machine) -> None:
    """Attributes of a dict (torch's `_metadata`): dropped."""
    machine.pop()
    _top(machine, dict)


def _dict_from_mark(machine: _Machine) -> None:
    items = machine.pop_to_mark()
    if len(items) % 2:
        raise _Broken("a dict is not well formed")
    machine.stack.append({_key(key): value for key, value in zip(items[::2], items[1::2], strict=True)})


def _tuple_of(count: int) -> Callable[[_Machine], None]:
    def step(machine: _Machine) -> None:
        items = [machine.pop() for _ in range(count)]
        machine.stack.append(tuple(reversed(items)))

    return step


def _push(make: Callable[[_Machine], Any]) -> Callable[[_Machine], None]:
    def step(machine: _Machine) -> None:
        machine.stack.append(make(machine))

    return step


def _remember(index: Callable[[_Machine], int]) -> Callable[[_Machine], None]:
    def step(machine: _Machine) -> None:
        place = index(machine)
        if not machine.stack:
            raise _Broken("its stack runs empty")
        machine.memo[place] = machine.stack[-1]

    return step


def _recall(index: Callable[[_Machine], int]) -> Callable[[_Machine], None]:
    def step(machine: _Machine) -> None:
        place = index(machine)
        if place not in machine.memo:
            raise _Broken("it recalls what it never remembered")
        machine.stack.append(machine.memo[place])

    return step


def _check_protocol(machine: _Machine) -> None:
    if machine.number("<B") > 5:
        raise _Broken("its pickle protocol is unknown")


def _long(machine: _Machine, form: str) -> int:
    length = machine.number(form)
    if length > 64:
        raise _Broken("a number is too long")
    return int.from_bytes(machine.take(length), "little", signed=True)


_INSTRUCTIONS: Mapping[bytes, Callable[[_Machine], None]] = {
    b"\x80": _check_protocol,
    b"\x95": lambda machine: void(machine.take(8)),
    b"(": lambda machine: machine.marks.append(len(machine.stack)),
    b"0": lambda machine: void(machine.pop()),
    b"}": _push(lambda machine: {}),
    b"]": _push(lambda machine: []),
    b")": _push(lambda machine: ()),
    b"N": _push(lambda machine: None),
    b"\x88": _push(lambda machine: True),
    b"\x89": _push(lambda machine: False),
    b"K": _push(lambda machine: machine.number("<B")),
    b"M": _push(lambda machine: machine.number("<H")),
    b"J": _push(lambda machine: machine.number("<i")),
    b"\x8a": _push(lambda machine: _long(machine, "<B")),
    b"\x8b": _push(lambda machine: _long(machine, "<i")),
    b"G": _push(lambda machine: struct.unpack(">d", machine.take(8))[0]),
    b"X": _push(lambda machine: machine.take(machine.number("<I")).decode()),
    b"\x8c": _push(lambda machine: machine.take(machine.number("<B")).decode()),
    b"\x8d": _push(lambda machine: machine.take(machine.number("<Q")).decode()),
    b"T": _push(lambda machine: machine.take(machine.number("<i")).decode("latin-1")),
    b"U": _push(lambda machine: machine.take(machine.number("<B")).decode("latin-1")),
    b"B": _push(lambda machine: machine.take(machine.number("<I"))),
    b"C": _push(lambda machine: machine.take(machine.number("<B"))),
    b"t": lambda machine: machine.stack.append(tuple(machine.pop_to_mark())),
    b"l": lambda machine: machine.stack.append(machine.pop_to_mark()),
    b"d": _dict_from_mark,
    b"\x85": _tuple_of(1),
    b"\x86": _tuple_of(2),
    b"\x87": _tuple_of(3),
    b"q": _remember(lambda machine: machine.number("<B")),
    b"r": _remember(lambda machine: machine.number("<I")),
    b"\x94": _remember(lambda machine: len(machine.memo)),
    b"h": _recall(lambda machine: machine.number("<B")),
    b"j": _recall(lambda machine: machine.number("<I")),
    b"a": _append,
    b"e": _extend,
    b"s": _set_item,
    b"u": _set_items,
    b"b": _build,
    b"c": lambda machine: _import(machine, machine.line(), machine.line()),
    b"\x93": _stack_import,
    b"R": _call,
    b"Q": _load_storage,
}


def void(_: object) -> None:
    """An instruction's result that nobody wants."""

"""Model files of our own: safetensors whose header carries the card, as JSON under the metadata key "pellucid".

Headers come from strangers: every size in them is bounded and checked before anything is allocated.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from engine.errors import Code, PellucidError
from engine.models.arch import Architecture, find_architecture
from engine.models.card import Card
from engine.models.model import Model, Weights
from engine.whole_file import make_folder, write_whole

CARD_KEY = "pellucid"
HASH_KEY = "pellucid_weights"
"""Header metadata: the weights hash, so that the library finds a pair's other half without reading weights."""
MAX_HEADER_BYTES = 16 << 20
MAX_FILE_BYTES = 4 << 30
MAX_NAME_LENGTH = 120
CLASSICAL = ("bicubic", "lanczos")
FOREIGN = "foreign"

_ITEM_BYTES = {
    "F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1,
}  # fmt: skip
_NUMPY_TYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1",
    "U8": "u1", "BOOL": "?",
}  # fmt: skip
FLOATS = ("F64", "F32", "F16", "BF16")


class TensorEntry(msgspec.Struct, frozen=True):
    dtype: str
    shape: list[int]
    data_offsets: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Header:
    tensors: dict[str, TensorEntry]
    metadata: dict[str, str]
    data_start: int
    """Byte of the file at which tensor offsets count from."""


def _read_raw_header(path: Path) -> tuple[int, bytes]:
    """Size of the file, and the header's JSON."""
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            length = int.from_bytes(file.read(8), "little") if size >= 8 else -1
            if not 2 <= length <= min(MAX_HEADER_BYTES, size - 8):
                raise _corrupt(path, "its header does not fit the file")
            raw = file.read(length)
    except OSError as error:
        raise unreadable(path, error) from error
    if size > MAX_FILE_BYTES:
        raise _corrupt(path, f"it is larger than {MAX_FILE_BYTES >> 30} GiB")
    return size, raw


def read_header(path: Path) -> Header:
    """The checked header of a safetensors file: names, types and shapes whose bytes all lie inside the file."""
    size, raw = _read_raw_header(path)
    try:
        parts = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
        metadata = msgspec.json.decode(parts.pop("__metadata__", msgspec.Raw(b"{}")), type=dict[str, str])
        tensors = {name: msgspec.json.decode(part, type=TensorEntry) for name, part in parts.items()}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _corrupt(path, "its header is not the JSON of a safetensors file") from error
    _check_layout(path, tensors, size - 8 - len(raw))
    return Header(tensors, metadata, 8 + len(raw))


def _check_layout(path: Path, tensors: Mapping[str, TensorEntry], data_bytes: int) -> None:
    """Tensors must lie one behind the other, without holes or overlap, exactly to the end of the file."""
    position = 0
    for name, entry in sorted(tensors.items(), key=lambda item: item[1].data_offsets):
        if entry.dtype not in _ITEM_BYTES:
            raise _corrupt(path, f'the type {entry.dtype!r} of the tensor "{name}" is unknown')
        if len(entry.shape) > 8 or any(side < 0 for side in entry.shape):
            raise _corrupt(path, f'the shape of the tensor "{name}" is not valid')
        needed = _ITEM_BYTES[entry.dtype]
        for side in entry.shape:
            needed *= side
            if needed > MAX_FILE_BYTES:
                raise _corrupt(path, f'the tensor "{name}" claims more values than any model has')
        begin, end = entry.data_offsets
        if begin != position or end - begin != needed:
            raise _corrupt(path, f'the tensor "{name}" does not lie where the header says')
        position = end
    if position != data_bytes:
        raise _corrupt(path, "it is cut short or has bytes that belong to nothing")


def read_tensors(path: Path, header: Header) -> dict[str, npt.NDArray[np.generic]]:
    """Every tensor; floating types arrive as float32, all others as they are."""
    arrays: dict[str, npt.NDArray[np.generic]] = {}
    try:
        with path.open("rb") as file:
            for name, entry in sorted(header.tensors.items(), key=lambda item: item[1].data_offsets):
                begin, end = entry.data_offsets
                file.seek(header.data_start + begin)
                raw = file.read(end - begin)
                if len(raw) != end - begin:
                    raise _corrupt(path, "it is cut short")
                arrays[name] = decode_values(raw, entry.dtype).reshape(entry.shape)
    except OSError as error:
        raise unreadable(path, error) from error
    return {name: arrays[name] for name in header.tensors}


def decode_values(raw: bytes | bytearray | memoryview, dtype: str) -> npt.NDArray[np.generic]:
    """Little-endian bytes of a safetensors type -> a flat, writable array; floating types become float32."""
    values: npt.NDArray[Any] = np.frombuffer(raw, dtype=_NUMPY_TYPES[dtype])
    if dtype == "BF16":
        return (values.astype(np.uint32) << 16).view(np.float32)
    with np.errstate(over="ignore"):
        return values.astype(np.float32) if dtype in FLOATS else values.copy()


class _MetadataOnly(msgspec.Struct):
    metadata: dict[str, str] = msgspec.field(name="__metadata__", default_factory=dict)


def read_card(path: Path) -> tuple[Card | None, str]:
    """The card and the recorded weights hash, without a look at the tensors: quick, for lists.

    No card: the file is a safetensors of another program.
    """
    _, raw = _read_raw_header(path)
    try:
        metadata = msgspec.json.decode(raw, type=_MetadataOnly).metadata
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _corrupt(path, "its header is not the JSON of a safetensors file") from error
    return _card_of(path, metadata), metadata.get(HASH_KEY, "")


def _card_of(path: Path, metadata: Mapping[str, str]) -> Card | None:
    text = metadata.get(CARD_KEY)
    if text is None:
        return None
    try:
        card = msgspec.json.decode(text, type=Card)
    except (msgspec.DecodeError, RecursionError) as error:
        raise _corrupt(path, f"its card cannot be read ({error})") from error
    check_name(card.name, path)
    return card


def check_name(name: str, path: Path | None = None) -> None:
    """A model's name must be printable and usable as a file name everywhere."""
    forbidden = set('<>:"/\\|?*')
    good = name.strip() == name and name.isprintable() and 0 < len(name) <= MAX_NAME_LENGTH
    if not good or forbidden & set(name) or name.startswith(".") or name.endswith("."):
        where = f" in {path}" if path else ""
        raise PellucidError(
            Code.MODEL_CORRUPT if path else Code.USAGE,
            f"The model name {name[:MAX_NAME_LENGTH]!r}{where} cannot be used.",
            f'Use up to {MAX_NAME_LENGTH} printable characters, none of < > : " / \\ | ? *, no dot at either end.',
        )


def read_model(path: Path) -> Model:
    """A model file of ours, with everything its card claims checked against its tensors."""
    header = read_header(path)
    card = _card_of(path, header.metadata)
    if card is None:
        raise PellucidError(
            Code.MODEL_UNSUPPORTED,
            f"{path} has no Pellucid card.",
            "Import it: pellucid models import FILE.",
            path=str(path),
        )
    weights = as_float32(path, read_tensors(path, header))
    if card.architecture not in (FOREIGN, *CLASSICAL):
        architecture = find_architecture(card.architecture)
        args = architecture.read_arguments(card.arguments)
        constants = architecture.community_constants(args)
        weights = {name: value for name, value in weights.items() if name not in constants}
    model = Model(card, weights, path)
    check_model(model)
    return model


def as_float32(path: Path, tensors: Mapping[str, npt.NDArray[np.generic]]) -> dict[str, npt.NDArray[np.float32]]:
    """Every tensor as finite float32."""
    weights: dict[str, npt.NDArray[np.float32]] = {}
    for name, value in tensors.items():
        weights[name] = np.ascontiguousarray(value, dtype=np.float32).reshape(value.shape)
        if not np.isfinite(weights[name]).all():
            raise PellucidError(
                Code.MODEL_CORRUPT,
                f'The tensor "{name}" of {path} holds values that are not numbers.',
                "The file is damaged, or its training had diverged.",
                path=str(path),
                tensor=name,
            )
    return weights


def check_model(model: Model) -> None:
    """Raise unless what the card says is what the weights are."""
    card, where = model.card, str(model.path or model.card.name)
    if card.architecture in CLASSICAL:
        if model.weights:
            raise _lie(where, f"says {card.architecture}, which has no weights, but the file has some")
        return
    if card.architecture == FOREIGN:
        if not 1 <= card.scale <= 16:
            raise _lie(where, f"says scale {card.scale}")
        return
    architecture = find_architecture(card.architecture)
    args = architecture.read_arguments(card.arguments)
    expected = architecture.parameter_shapes(args)
    for name in expected:
        if name not in model.weights:
            raise _lie(where, f'says {card.architecture}, but the tensor "{name}" is missing')
    for name, value in model.weights.items():
        if name not in expected:
            raise _lie(where, f'says {card.architecture}, which has no tensor "{name}"')
        if value.shape != expected[name]:
            raise _lie(where, f'says that "{name}" is {_sides(expected[name])}, but it is {_sides(value.shape)}')
    if card.scale != architecture.scale(args):
        raise _lie(where, f"says scale {card.scale}, but the network enlarges {architecture.scale(args)} times")
    if card.parameters not in (0, architecture.count_parameters(args)):
        raise _lie(where, f"says {card.parameters} parameters, but there are {architecture.count_parameters(args)}")
    if (card.input_range, card.output_range) != architecture.ranges(args):
        took, gives = architecture.ranges(args)
        raise PellucidError(
            Code.RANGE_MISMATCH,
            f"The card of {where} says pictures {card.input_range} in and {card.output_range} out, "
            f"but the network takes {took} and gives {gives}.",
            "The card is wrong: train or import the model again.",
        )


def make_card(name: str, architecture: Architecture, args: msgspec.Struct, **facts: Any) -> Card:
    """A card whose technical facts follow from the architecture; `facts` are the others."""
    input_range, output_range = architecture.ranges(args)
    return Card(
        name=name,
        architecture=architecture.id,
        arguments=architecture.write_arguments(args),
        scale=architecture.scale(args),
        input_range=input_range,
        output_range=output_range,
        parameters=architecture.count_parameters(args),
        bad_precisions=[] if architecture.fp16_safe else ["fp16"],
        **facts,
    )


def write_model(model: Model, path: Path, precision: Literal["fp32", "fp16"] = "fp32") -> None:
    """Write the model whole or not at all. fp16 halves the file; weights come back as float32 either way.

    Masks and index tables that other programs look for are written along.
    """
    check_model(model)
    check_name(model.card.name)
    kept_as = np.float16 if precision == "fp16" else np.float32
    with np.errstate(over="ignore"):
        tensors: dict[str, npt.NDArray[np.generic]] = {
            name: value.astype(kept_as) for name, value in model.weights.items()
        }
    for name, value in tensors.items():
        if not np.isfinite(value).all():
            raise PellucidError(
                Code.MODEL_CORRUPT,
                f'The tensor "{name}" of {model.card.name} holds values that {precision} cannot hold.',
                "Write it as fp32." if precision == "fp16" else "Its training had diverged.",
            )
    kept = {name: value.astype(np.float32) for name, value in tensors.items()}
    metadata = {"format": "pt", CARD_KEY: msgspec.json.encode(model.card).decode(), HASH_KEY: weights_hash(kept)}
    if model.card.architecture not in (FOREIGN, *CLASSICAL):
        architecture = find_architecture(model.card.architecture)
        tensors.update(architecture.community_constants(architecture.read_arguments(model.card.arguments)))
    parts = _safetensors_parts(tensors, metadata)
    make_folder(path.parent)
    write_whole(path, lambda partial: _write_parts(partial, parts))


def _safetensors_parts(tensors: Mapping[str, npt.NDArray[np.generic]], metadata: dict[str, str]) -> list[bytes]:
    kinds = {np.dtype(numpy_type): name for name, numpy_type in _NUMPY_TYPES.items() if name != "BF16"}
    header: dict[str, Any] = {"__metadata__": metadata}
    data: list[bytes] = []
    position = 0
    # The widest types first keep every tensor aligned.
    for name in sorted(tensors, key=lambda name: (-tensors[name].dtype.itemsize, name)):
        raw = tensors[name].tobytes()
        header[name] = {
            "dtype": kinds[tensors[name].dtype],
            "shape": list(tensors[name].shape),
            "data_offsets": [position, position + len(raw)],
        }
        data.append(raw)
        position += len(raw)
    text = json.dumps(header, ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return [len(text).to_bytes(8, "little"), text, *data]


def _write_parts(path: Path, parts: list[bytes]) -> None:
    with path.open("wb") as file:
        file.writelines(parts)


def weights_hash(weights: Weights) -> str:
    """SHA-256 over names, shapes and float32 values, in the order of the names: the identity of a set of weights."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        value = np.ascontiguousarray(weights[name], dtype="<f4")
        digest.update(f"{name}\0{','.join(map(str, weights[name].shape))}\0".encode())
        digest.update(value.tobytes())
    return digest.hexdigest()


def unreadable(path: Path, error: OSError) -> PellucidError:
    missing = isinstance(error, FileNotFoundError)
    return PellucidError(
        Code.MODEL_MISSING if missing else Code.FILE_UNREADABLE,
        f"There is no file {path}." if missing else f"{path} cannot be read: {error.strerror or error}.",
        path=str(path),
    )


def _corrupt(path: Path, why: str) -> PellucidError:
    return PellucidError(
        Code.MODEL_CORRUPT, f"{path} is not a whole model file: {why}.", "Download or copy it again.", path=str(path)
    )


def _lie(where: str, what: str) -> PellucidError:
    return PellucidError(Code.MODEL_CORRUPT, f"The card of {where} {what}.", "The file is damaged or mislabelled.")


def _sides(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "one value"

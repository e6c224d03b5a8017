"""Everything a run needs to go on exactly, in one file that is either whole or not there.

A safetensors file: tensors under the path of their place in the state, everything else as JSON in the metadata, beside
the SHA-256 of both. It is written under another name, synced, and renamed; reading checks the sum.
"""

from __future__ import annotations

import hashlib
import random
from pathlib import Path
from typing import Any, cast

import msgspec
import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from engine.errors import Code, PellucidError
from engine.whole_file import write_whole

State = dict[str, Any]

FORMAT = 1
_TENSOR = "tensor:"
_JSON = "state"
_SUM = "sha256"


def save_checkpoint(path: Path, state: State) -> None:
    """Write `state` (nested dictionaries and lists of tensors, numbers, strings, None) atomically.

    Raises DISK_FULL or FILE_UNWRITABLE; whatever was at `path` before is then still there.
    """
    tensors: dict[str, Tensor] = {}
    tree = _take_tensors(state, "", tensors)
    text = msgspec.json.encode(tree).decode()
    metadata = {_JSON: text, "format": str(FORMAT), _SUM: _checksum(text, tensors)}
    write_whole(path, lambda temporary: temporary.write_bytes(save(tensors, metadata)))


def load_checkpoint(path: Path) -> State:
    """Tensors arrive on the CPU. Raises MODEL_CORRUPT when anything differs from what was written, and
    FILE_UNREADABLE or MODEL_UNSUPPORTED when nothing can be said about that: such a file may be as good as ever."""
    try:
        with path.open("rb") as file:
            file.read(1)  # safetensors gives the same error for what it may not open as for what it does not understand
    except OSError as error:
        raise PellucidError(
            Code.FILE_UNREADABLE, f"The checkpoint {path} cannot be read: {error.strerror or error}.", path=str(path)
        ) from error
    try:
        with safe_open(str(path), "pt") as file:
            metadata = file.metadata() or {}
            # Copies: what is given out lies in the mapped file, which Windows then neither replaces nor removes.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise PellucidError(
            Code.MODEL_CORRUPT, f"The checkpoint {path} is damaged: {error}.", path=str(path)
        ) from error
    text = metadata.get(_JSON, "")
    if metadata.get(_SUM) != _checksum(text, tensors):
        raise PellucidError(Code.MODEL_CORRUPT, f"The checkpoint {path} is damaged: its sum is wrong.", path=str(path))
    if metadata.get("format") != str(FORMAT):
        raise PellucidError(
            Code.MODEL_UNSUPPORTED,
            f"The checkpoint {path} is of format {metadata.get('format')}, this version of Pellucid reads {FORMAT}.",
            "Go on with the version that wrote it.",
            path=str(path),
        )
    return cast(State, _put_tensors(msgspec.json.decode(text), tensors))


def seed_random_streams(seed: int) -> None:
    """Every ambient random stream of this process, so that nothing depends on when it started."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def random_state() -> State:
    """Every ambient random stream of this process."""
    numpy_name, numpy_keys, numpy_position, has_normal, normal = np.random.get_state(legacy=True)
    version, keys, following = random.getstate()
    state: State = {
        "torch": torch.get_rng_state(),
        "numpy": {
            "name": str(numpy_name),
            "keys": torch.from_numpy(np.asarray(numpy_keys, dtype=np.int64)),
            "position": int(numpy_position),
            "has_normal": int(has_normal),
            "normal": float(normal),
        },
        "python": {"version": version, "keys": torch.tensor(keys, dtype=torch.int64), "following": following},
    }
    if torch.cuda.is_available():
        state["cuda"] = list(torch.cuda.get_rng_state_all())
    return state


def restore_random_state(state: State) -> None:
    torch.set_rng_state(state["torch"])
    numpy_state = state["numpy"]
    keys = numpy_state["keys"].numpy().astype(np.uint32)
    np.random.set_state(
        (numpy_state["name"], keys, numpy_state["position"], numpy_state["has_normal"], numpy_state["normal"])
    )
    python = state["python"]
    random.setstate((python["version"], tuple(python["keys"].tolist()), python["following"]))
    if torch.cuda.is_available() and len(state.get("cuda", [])) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["cuda"])


def _take_tensors(value: object, path: str, tensors: dict[str, Tensor]) -> object:
    """The same tree with each tensor moved into `tensors` and its name left in its place."""
    if isinstance(value, Tensor):
        # Two names of one tensor would be refused by the format; a copy of each is right as well.
        tensors[path] = value.detach().cpu().contiguous().clone()
        return _TENSOR + path
    if isinstance(value, dict):
        # JSON has only strings as keys; optimizers count their parameters with numbers.
        kinds = {type(key) for key in value}
        assert kinds <= {str} or kinds == {int}, kinds
        items = {str(key): _take_tensors(item, f"{path}/{key}", tensors) for key, item in value.items()}
        return {"int-keys": items} if kinds == {int} else items
    if isinstance(value, (list, tuple)):
        return [_take_tensors(item, f"{path}/{place}", tensors) for place, item in enumerate(value)]
    assert value is None or isinstance(value, (bool, int, float, str)), type(value)
    return value


def _put_tensors(value: object, tensors: dict[str, Tensor]) -> object:
    if isinstance(value, str) and value.startswith(_TENSOR):
        return tensors[value[len(_TENSOR) :]]
    if isinstance(value, dict):
        if set(value) == {"int-keys"}:
            return {int(key): _put_tensors(item, tensors) for key, item in value["int-keys"].items()}
        return {key: _put_tensors(item, tensors) for key, item in value.items()}
    if isinstance(value, list):
        return [_put_tensors(item, tensors) for item in value]
    return value


def _checksum(text: str, tensors: dict[str, Tensor]) -> str:
    total = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        total.update(f"{name}:{tensor.dtype}:{list(tensor.shape)}".encode())
        total.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data if tensor.numel() else b"")
    return total.hexdigest()

"""torch, layer by layer, on the CPU or on CUDA: the reference, the fallback, and the home of foreign networks."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.errors import Code, OutOfMemory, PellucidError
from engine.models.arch import find_architecture
from engine.models.card import Card
from engine.models.foreign import foreign_module
from engine.models.model import Model, Weights
from engine.runtime.halo import halo_of
from engine.runtime.memory import available_memory
from engine.runtime.session import Batch, Precision, SessionInfo

if TYPE_CHECKING:
    import torch

NAME = "torch"

_FOREIGN_MULTIPLE = 16
"""Foreign networks work in windows and strides of their own; this suits the usual ones."""
_VALUES_ALIVE = 192
"""Channels at the size of the result that live at once, roughly: three maps of 64."""


def load_torch() -> Any:
    """The `torch` package, told before its first import not to burn cores while waiting: a team of threads that spins
    costs several times its work as soon as anybody else wants a core. Memory of freed tensors is kept, because giving
    it back and taking it again costs more than many layers."""
    if "torch" not in sys.modules:
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        os.environ.setdefault("GOMP_SPINCOUNT", "0")
        if sys.platform == "linux":
            _keep_freed_memory()
    import torch

    return torch


def _keep_freed_memory() -> None:
    """glibc only: other C libraries have no `mallopt`, and need none."""
    m_trim_threshold, m_mmap_threshold = -1, -3
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL("libc.so.6").mallopt
        mallopt(m_mmap_threshold, 1 << 30)
        mallopt(m_trim_threshold, 2**31 - 1)


def supported_precisions(device: str) -> tuple[Precision, ...]:
    """What `device` ("cpu", "cuda", "cuda:1") computes at full speed, the fastest first."""
    torch = load_torch()
    if _find_device(torch, device).type == "cpu":
        return ("bf16", "fp32") if torch.cpu._is_avx512_bf16_supported() else ("fp32",)
    major, _ = torch.cuda.get_device_capability(device)
    return ("bf16", "fp16", "fp32") if major >= 8 else ("fp16", "fp32")


class TorchSession:
    """One network on one device. Tiles run one after the other; a thread that comes early waits."""

    def __init__(self, model: Model, *, device: str, precision: Precision) -> None:
        """device: "cpu", "cuda" or "cuda:N"."""
        torch = load_torch()
        card = model.card
        self._torch = torch
        self._card = card
        self._device = _find_device(torch, device)
        self._dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]
        if card.architecture == "foreign":
            self._ranges = (card.input_range, card.output_range)
            network, scale, multiple = foreign_module(model), card.scale, _FOREIGN_MULTIPLE
        else:
            architecture = find_architecture(card.architecture)
            args = architecture.read_arguments(card.arguments)
            self._ranges = architecture.ranges(args)
            network, scale = architecture.torch_module(args), architecture.scale(args)
            multiple = architecture.multiple(args)
            network.load_state_dict(_tensors(torch, model.weights))
        self._network = self._onto_device(network)
        self._lock = threading.Lock()
        value = 4 if precision == "fp32" else 2
        self._info = SessionInfo(
            backend=NAME,
            device=str(self._device),
            precision=precision,
            streams=1,
            scale=scale,
            halo=halo_of(card),
            multiple=multiple,
            bytes_per_pixel=_VALUES_ALIVE * value * scale**2 + 12 * (1 + scale**2),
        )

    @property
    def info(self) -> SessionInfo:
        return self._info

    def serves(self, card: Card) -> bool:
        """Whether `set_weights` is all that a model of this card needs."""
        return (card.architecture, card.arguments, card.scale, card.halo) == (
            self._card.architecture,
            self._card.arguments,
            self._card.scale,
            self._card.halo,
        ) and card.architecture != "foreign"

    def run(self, batch: Batch) -> Batch:
        """(n, 3, h, w) -> (n, 3, h * scale, w * scale), both 0..1 (not clipped). Thread-safe."""
        torch = self._torch
        count, _, height, width = batch.shape
        if self._device.type == "cpu":
            needed, free = count * height * width * self._info.bytes_per_pixel, available_memory()
            if needed > free:
                raise OutOfMemory(f"A tile needs {needed / 1e6:.0f} MB, and {free / 1e6:.0f} MB are free.")
        with self._lock, torch.inference_mode():
            try:
                picture = torch.from_numpy(np.ascontiguousarray(batch)).to(self._device)
                if self._ranges[0] == "-1..1":
                    picture = picture * 2 - 1
                picture = picture.to(self._dtype, memory_format=torch.channels_last)
                result = self._network(picture).to(torch.float32)
                if self._ranges[1] == "-1..1":
                    result = (result + 1) / 2
                result = result.to("cpu", memory_format=torch.contiguous_format)
            except torch.OutOfMemoryError as error:
                if self._device.type == "cuda":
                    torch.cuda.empty_cache()
                raise OutOfMemory(f"{self._device} has too little memory for a tile of {width} x {height}.") from error
        array: Batch = result.contiguous().numpy()
        expected = (count, 3, height * self._info.scale, width * self._info.scale)
        if array.shape != expected:
            raise PellucidError(
                Code.MODEL_UNSUPPORTED,
                f'"{self._card.name}" turned a tile of the shape {batch.shape} into {array.shape}, not {expected}.',
                "Pellucid runs networks that take and give RGB and enlarge by one factor.",
            )
        return array

    def set_weights(self, weights: Weights) -> None:
        """Other weights of the same network, after the tile in flight."""
        tensors = _tensors(self._torch, weights)
        with self._lock, self._torch.inference_mode():
            try:
                self._network.load_state_dict(tensors)
            except RuntimeError as error:
                raise PellucidError(
                    Code.MODELS_DIFFER, f'The weights do not fit the network of "{self._card.name}".'
                ) from error

    def close(self) -> None:
        """Frees the memory of the device."""
        with self._lock:
            del self._network
            if self._device.type == "cuda":
                self._torch.cuda.empty_cache()

    def _onto_device(self, network: torch.nn.Module) -> torch.nn.Module:
        try:
            network = network.eval().to(self._device, self._dtype)
            return network.to(memory_format=self._torch.channels_last)  # type: ignore[no-any-return, call-overload]
        except self._torch.OutOfMemoryError as error:
            raise OutOfMemory(f'{self._device} has too little memory for the model "{self._card.name}".') from error


def _find_device(torch: Any, device: str) -> Any:
    unknown = PellucidError(
        Code.BACKEND_UNAVAILABLE, f'There is no device "{device}".', "Try cpu or cuda.", device=device
    )
    try:
        found = torch.device(device)
    except RuntimeError as error:
        raise unknown from error
    if found.type not in ("cpu", "cuda"):
        raise unknown
    if found.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (found.index or 0) >= count:
            raise PellucidError(
                Code.BACKEND_UNAVAILABLE,
                f'torch cannot use "{device}": it finds {count} CUDA devices.',
                "`pellucid doctor` says which devices there are.",
                device=device,
            )
    return found


def _tensors(torch: Any, weights: Weights) -> Mapping[str, torch.Tensor]:
    return {name: torch.from_numpy(np.array(array)) for name, array in weights.items()}

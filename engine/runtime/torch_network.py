"""A network as a torch module on one device, in one precision: what every session that stands on torch computes with.

In bf16 and fp16 the weights and the features are narrow. Networks that add their detail to the enlarged picture get
that picture, and the sum, in float32: eight bits of mantissa would band every gentle gradient of the result.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.errors import Code, DeviceLost, OutOfMemory, PellucidError
from engine.models.arch import find_architecture
from engine.models.foreign import foreign_module
from engine.models.model import Model, Weights
from engine.runtime.session import Precision

if TYPE_CHECKING:
    import torch

_FOREIGN_MULTIPLE = 16
"""Foreign networks work in windows and strides of their own; this suits the usual ones."""

_ADDS_DETAIL_TO_THE_PICTURE = ("compact", "msrresnet")
"""Convolutions and activations only, and one sum with the picture at the end: autocast narrows just what it should."""


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


def is_shortage(failure: BaseException | None) -> bool:
    """Whether a device had too little memory. Libraries that take theirs past torch say so in words alone."""
    if isinstance(failure, load_torch().OutOfMemoryError):
        return True
    return isinstance(failure, RuntimeError) and any(words in str(failure) for words in _WORDS_OF_SHORTAGE)


def is_loss(failure: BaseException | None) -> bool:
    """Whether a GPU is of no use any more: after such an error every other call fails as well."""
    return isinstance(failure, RuntimeError) and str(failure).startswith("CUDA error") and not is_shortage(failure)


def loss_of(device: str, failure: BaseException) -> DeviceLost:
    """What to tell whoever still wants something of the device."""
    reason, *_ = [*str(failure).splitlines(), type(failure).__name__]
    return DeviceLost(
        f"{device} stopped working ({reason}).", "Start Pellucid again, or choose the device cpu.", device=device
    )


_WORDS_OF_SHORTAGE = ("out of memory", "ALLOC_FAILED", "can't allocate memory", "not enough memory")
"""Of the driver, of cuBLAS and cuDNN, and of torch's own on a processor."""


def torch_type(precision: Precision) -> Any:
    torch = load_torch()
    return {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]


class TorchNetwork:
    """Call it with (n, 3, h, w) float32 0..1 on its device; it gives (n, 3, h*scale, w*scale) float32, not clipped."""

    def __init__(self, model: Model, device: Any, precision: Precision) -> None:
        """device: a torch.device. Raises OutOfMemory when the weights alone do not fit."""
        torch = load_torch()
        card = model.card
        self._torch = torch
        self._name = card.name
        self.device = device
        self.precision: Precision = precision
        self.is_foreign = card.architecture == "foreign"
        if self.is_foreign:
            self._ranges = (card.input_range, card.output_range)
            network, self.scale, self.multiple = foreign_module(model), card.scale, _FOREIGN_MULTIPLE
        else:
            architecture = find_architecture(card.architecture)
            args = architecture.read_arguments(card.arguments)
            self._ranges = architecture.ranges(args)
            network, self.scale = architecture.torch_module(args), architecture.scale(args)
            self.multiple = architecture.multiple(args)
            network.load_state_dict(tensors_of(model.weights))
        self._type = torch_type(precision)
        if precision == "fp32" and device.type == "cuda":
            # fp32 means float32, not the ten bits of TF32 that torch takes for convolutions unless told otherwise. Told
            # once for the whole process: sessions that changed it around their runs would change it for each other.
            torch.backends.cudnn.conv.fp32_precision = "ieee"
        self._keeps_picture = precision != "fp32" and card.architecture in _ADDS_DETAIL_TO_THE_PICTURE
        try:
            network = network.eval().requires_grad_(False).to(device, self._type)
            self.module: Any = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        except torch.OutOfMemoryError as error:
            raise OutOfMemory(f'{device} has too little memory for the model "{card.name}".') from error

    def __call__(self, picture: torch.Tensor) -> torch.Tensor:
        torch = self._torch
        if self._ranges[0] == "-1..1":
            picture = picture * 2 - 1
        picture = picture.to(memory_format=torch.channels_last)
        with torch.inference_mode():
            if self._keeps_picture:
                with torch.autocast(self.device.type, self._type, cache_enabled=False):
                    result = self.module(picture)
            else:
                result = self.module(picture.to(self._type))
            result = result.to(torch.float32)
            if self._ranges[1] == "-1..1":
                result = (result + 1) / 2
        return result  # type: ignore[no-any-return]

    def load(self, weights: Weights) -> None:
        """Other weights of the same network, into the very tensors that a recorded graph reads."""
        with self._torch.inference_mode():
            try:
                self.module.load_state_dict(tensors_of(weights))
            except RuntimeError as error:
                raise PellucidError(
                    Code.MODELS_DIFFER, f'The weights do not fit the network of "{self._name}".'
                ) from error


def tensors_of(weights: Weights) -> Mapping[str, torch.Tensor]:
    torch = load_torch()
    return {name: torch.from_numpy(np.array(array)) for name, array in weights.items()}


def find_device(device: str) -> Any:
    """ "cpu", "cuda" or "cuda:N" as a torch.device, checked to be there."""
    torch = load_torch()
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


def supported_precisions(device: str) -> tuple[Precision, ...]:
    """What `device` ("cpu", "cuda", "cuda:1") computes at full speed, the fastest first."""
    torch = load_torch()
    if find_device(device).type == "cpu":
        return ("bf16", "fp32") if torch.cpu._is_avx512_bf16_supported() else ("fp32",)
    major, _ = torch.cuda.get_device_capability(device)
    return ("bf16", "fp16", "fp32") if major >= 8 else ("fp16", "fp32")

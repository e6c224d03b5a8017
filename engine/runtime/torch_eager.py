"""torch, layer by layer, on the CPU or on CUDA: the reference, the fallback, and the home of foreign networks."""

from __future__ import annotations

import threading

import numpy as np

from engine.errors import Code, OutOfMemory, PellucidError
from engine.models.card import Card
from engine.models.model import Model, Weights
from engine.runtime.halo import halo_of
from engine.runtime.memory import available_memory, let_go
from engine.runtime.session import Batch, Precision, SessionInfo
from engine.runtime.torch_device import ALONE
from engine.runtime.torch_network import TorchNetwork, find_device, is_loss, is_shortage, load_torch, loss_of

NAME = "torch"

_VALUES_ALIVE = 192
"""Channels at the size of the result that live at once, roughly: three maps of 64."""


class TorchSession:
    """One network on one device. Tiles run one after the other; a thread that comes early waits."""

    def __init__(self, model: Model, *, device: str, precision: Precision) -> None:
        """device: "cpu", "cuda" or "cuda:N"."""
        self._torch = load_torch()
        self._card = model.card
        self._device = find_device(device)
        try:
            self._network = TorchNetwork(model, self._device, precision)
        except RuntimeError as failure:
            if is_loss(failure):
                raise loss_of(str(self._device), failure) from failure
            raise
        self._lock = threading.Lock()
        scale = self._network.scale
        self._info = SessionInfo(
            backend=NAME,
            device=str(self._device),
            precision=precision,
            streams=1,
            scale=scale,
            halo=halo_of(model.card),
            multiple=self._network.multiple,
            bytes_per_pixel=estimated_bytes_per_pixel(scale, precision),
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
        count, _, height, width = batch.shape
        if self._device.type == "cpu":
            needed, free = count * height * width * self._info.bytes_per_pixel, available_memory()
            if needed > free:
                raise OutOfMemory(f"A tile needs {needed / 1e6:.0f} MB, and {free / 1e6:.0f} MB are free.")
        with self._lock:
            array = self._compute(batch)
            if array is None:
                self._release_memory()
                raise OutOfMemory(f"{self._device} has too little memory for a tile of {width} x {height}.")
        check_shape(self._card, batch, array, self._info.scale)
        return array

    def _compute(self, batch: Batch) -> Batch | None:
        """On the device and back; None where its memory was short, and nothing is kept of the attempt."""
        torch = self._torch
        try:
            with torch.inference_mode():
                picture = torch.from_numpy(np.ascontiguousarray(batch)).to(self._device)
                result = self._network(picture).to("cpu", memory_format=torch.contiguous_format)
                array: Batch = result.contiguous().numpy()
                return array
        except RuntimeError as failure:
            if is_loss(failure):
                raise loss_of(str(self._device), failure) from failure
            if not is_shortage(failure):
                raise
            let_go(failure)
            return None

    def set_weights(self, weights: Weights) -> None:
        """Other weights of the same network, after the tile in flight."""
        with self._lock:
            self._network.load(weights)

    def close(self) -> None:
        """Frees the memory of the device."""
        with self._lock:
            del self._network
            self._release_memory()

    def _release_memory(self) -> None:
        if self._device.type == "cuda":
            with ALONE:
                self._torch.cuda.empty_cache()


def estimated_bytes_per_pixel(scale: int, precision: Precision) -> float:
    """Of the device's memory for each input pixel of a running tile, where nobody has measured."""
    value = 4 if precision == "fp32" else 2
    return _VALUES_ALIVE * value * scale**2 + 12 * (1 + scale**2)


def check_shape(card: Card, batch: Batch, result: Batch, scale: int) -> None:
    """Refuses what a foreign network may do: another number of channels, another factor."""
    expected = (len(batch), 3, batch.shape[2] * scale, batch.shape[3] * scale)
    if result.shape != expected:
        raise PellucidError(
            Code.MODEL_UNSUPPORTED,
            f'"{card.name}" turned a tile of the shape {batch.shape} into {result.shape}, not {expected}.',
            "Pellucid runs networks that take and give RGB and enlarge by one factor.",
        )

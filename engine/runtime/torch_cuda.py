"""torch on an NVIDIA GPU: bf16 where the GPU and the model allow, batches of equal tiles, recorded graphs."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.errors import Code, OutOfMemory, PellucidError
from engine.models.blend import COUNTERS, NEVER_NEGATIVE, BlendedWeights
from engine.models.model import Model, Weights
from engine.runtime.halo import halo_of
from engine.runtime.memory import available_memory
from engine.runtime.pipeline import SLOTS, PipelinedSession
from engine.runtime.session import Precision, SessionInfo
from engine.runtime.tile_choice import (
    MemoryNeed,
    choose_tile,
    known_need,
    largest_host_side,
    measure_need,
    remember_need,
)
from engine.runtime.torch_device import ALONE, CudaDevice, Device
from engine.runtime.torch_eager import NAME, estimated_bytes_per_pixel
from engine.runtime.torch_network import TorchNetwork, is_loss, is_shortage, load_torch, loss_of


def open_torch_cuda(model: Model, *, device: str, precision: Precision) -> PipelinedSession:
    """device: "cuda", "cuda:N" or part of a GPU's name. Raises OutOfMemory where not even the network fits, and
    DeviceLost."""
    try:
        return pipelined_torch_session(model, CudaDevice(device), precision)
    except RuntimeError as failure:
        if is_loss(failure):
            raise loss_of(device, failure) from failure
        if not is_shortage(failure):
            raise
    raise OutOfMemory(f'{device} has too little memory for the model "{model.card.name}".')


def pipelined_torch_session(model: Model, device: Device, precision: Precision) -> PipelinedSession:
    """The same on any device that the seam describes."""
    card = model.card
    halo = halo_of(card)
    with ALONE:
        network = TorchNetwork(model, device.torch_device, precision)
        need = memory_need(network, device, f"{card.architecture} {sorted(card.arguments.items())}")
    host_side = largest_host_side(available_memory(), network.scale, SLOTS + 2)
    choice = choose_tile(need, device.free_memory(), shared=device.is_shared(), halo=halo, host_side=host_side)
    info = SessionInfo(
        backend=NAME,
        device=device.name,
        precision=precision,
        streams=SLOTS * choice.batch,
        scale=network.scale,
        halo=halo,
        multiple=network.multiple,
        # Of the host: what a tile reads, and its result twice, as it arrives and as it is handed on.
        bytes_per_pixel=12 * (1 + 2 * network.scale**2),
        read_side=choice.side,
    )
    weights = LiveWeights(network, model)
    return PipelinedSession(network, weights.load, device, card, info, batch=choice.batch, most_pixels=need.most_pixels)


def memory_need(network: TorchNetwork, device: Device, structure: str) -> MemoryNeed:
    """Of one tile, its buffers included: measured once for this network, precision, GPU and torch, or estimated where
    that cannot be."""
    key = f"{structure} {network.precision} {device.title} torch {load_torch().__version__}"
    need = known_need(key)
    if need is None:
        need = _measured_need(network, device)
        if need is None:
            scale = network.scale
            need = MemoryNeed(estimated_bytes_per_pixel(scale, network.precision), 64.0 * max(4, scale) ** 2)
        else:
            remember_need(key, need)
    buffers = SLOTS * 12.0 * (1 + network.scale**2)
    return MemoryNeed(need.per_pixel + buffers, need.largest, need.fixed)


def _measured_need(network: TorchNetwork, device: Device) -> MemoryNeed | None:
    """None where nobody counts, or where the memory is short even for this."""
    torch = load_torch()

    def peak(side: int) -> int | None:
        picture = torch.zeros((1, 3, side, side), device=device.torch_device)
        return device.peak_of(lambda: network(picture))

    try:
        return measure_need(peak, lambda: largest_tensor(network))
    except RuntimeError as failure:
        if not is_shortage(failure):
            raise
    device.release_memory()
    return None


def largest_tensor(network: TorchNetwork) -> float:
    """Elements of the largest tensor that goes into a layer of the network or comes out, for every input pixel."""
    sizes: list[int] = []

    def see(layer: Any, entries: tuple[Any, ...], result: Any) -> None:
        sizes.extend(value.numel() for value in (*entries, result) if hasattr(value, "numel"))

    hooks = [layer.register_forward_hook(see) for layer in network.module.modules()]
    try:
        network(load_torch().zeros((1, 3, _SEEN_SIDE, _SEEN_SIDE), device=network.device))
    finally:
        for hook in hooks:
            hook.remove()
    return max(sizes) / _SEEN_SIDE**2


_SEEN_SIDE = 64


class LiveWeights:
    """The weights that the network computes with, replaced in place.

    The two halves of a blend stay on the device once they have been there, and another alpha is one interpolation of
    two long vectors: nothing travels.
    """

    def __init__(self, network: TorchNetwork, model: Model) -> None:
        self._torch = load_torch()
        self._network = network
        self._name = model.card.name
        state = network.module.state_dict()
        self._targets = [state[name] for name in model.weights]
        self._shapes = {name: array.shape for name, array in model.weights.items()}
        self._pair: tuple[Weights, Weights] | None = None
        self._halves: tuple[Any, Any, Any] | None = None
        """Both halves as flat float32 vectors, and room for their blend."""

    def load(self, weights: Weights) -> None:
        """Called between two batches, with the computing stream current."""
        self._check(weights)
        torch = self._torch
        with torch.inference_mode():
            if isinstance(weights, BlendedWeights):
                self._put(self._blended(weights))
            else:
                self._put(self._on_device(weights))

    def _check(self, weights: Weights) -> None:
        shapes = (
            {name: weights.shape_of(name) for name in weights}
            if isinstance(weights, BlendedWeights)
            else {name: array.shape for name, array in weights.items()}
        )
        if shapes != self._shapes:
            wrong = next(name for name in {**self._shapes, **shapes} if shapes.get(name) != self._shapes.get(name))
            raise PellucidError(
                Code.MODELS_DIFFER,
                f'The weights do not fit the network of "{self._name}": "{wrong}" has the shape {shapes.get(wrong)} '
                f"and should have {self._shapes.get(wrong)}.",
                key=wrong,
            )

    def _blended(self, weights: BlendedWeights) -> Any:
        first, second = weights.first, weights.second
        if self._pair is None or self._pair[0] is not first or self._pair[1] is not second:
            self._halves = self._pair = None
            a, b = self._on_device(first), self._on_device(second)
            self._halves, self._pair = (a, b, self._torch.empty_like(a)), (first, second)
        assert self._halves is not None
        a, b, mixed = self._halves
        if weights.alpha in (0.0, 1.0):
            mixed.copy_(b if weights.alpha else a)
        else:
            # Step by step as on the host: the same roundings, the same bits.
            self._torch.sub(b, a, out=mixed).mul_(float(np.float32(weights.alpha))).add_(a)
        for name, view, of_first in zip(self._shapes, self._views(mixed), self._views(a), strict=True):
            if name.endswith(COUNTERS):
                view.copy_(of_first)
            elif name.endswith(NEVER_NEGATIVE):
                view.clamp_(min=0.0)
        return mixed

    def _on_device(self, weights: Weights) -> Any:
        flat = np.concatenate([np.ravel(weights[name]) for name in self._shapes]).astype(np.float32, copy=False)
        return self._torch.from_numpy(flat).to(self._network.device)

    def _views(self, flat: Any) -> list[Any]:
        sizes = [int(np.prod(shape)) for shape in self._shapes.values()]
        return [part.reshape(shape) for part, shape in zip(flat.split(sizes), self._shapes.values(), strict=True)]

    def _put(self, flat: Any) -> None:
        for target, view in zip(self._targets, self._views(flat), strict=True):
            target.copy_(view)

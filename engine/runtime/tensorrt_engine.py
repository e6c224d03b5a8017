"""Engines: built from a card and weights, loaded on a GPU, run on tiles, refitted with other weights."""

from __future__ import annotations

from typing import Any

from engine.errors import Code, OutOfMemory, PellucidError
from engine.models.card import Card
from engine.models.model import Weights
from engine.runtime.session import Precision
from engine.runtime.tensorrt_library import quiet_logger
from engine.runtime.tensorrt_network import INPUT, OUTPUT, EngineWeights, ExportedNetwork, define_network
from engine.runtime.torch_device import ALONE
from engine.runtime.torch_network import load_torch, torch_type

_WORKSPACE = 2 << 30
"""Bytes that building may take on the GPU to try things out."""


class EngineRefusal(PellucidError):
    """An engine cannot run, does not take weights or gives wrong results: it will not do better the next time."""

    def __init__(self, message: str) -> None:
        super().__init__(Code.BACKEND_UNAVAILABLE, message)


def build_engine(
    trt: Any, card: Card, weights: Weights, *, precision: Precision, side: int, batch: int, refittable: bool
) -> bytes:
    """For tiles of `side` x `side`, one to `batch` at a time. Plain engines of tensorrt-rtx need no GPU."""
    logger = quiet_logger(trt)
    builder = trt.Builder(logger)
    defined = define_network(trt, builder, ExportedNetwork(card, side), weights, precision)
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, _WORKSPACE)
    config.clear_flag(trt.BuilderFlag.TF32)
    if refittable:
        config.set_flag(trt.BuilderFlag.REFIT)
    profile = builder.create_optimization_profile()
    profile.set_shape(INPUT, (1, 3, side, side), (batch, 3, side, side), (batch, 3, side, side))
    config.add_optimization_profile(profile)
    plan = builder.build_serialized_network(defined.network, config)
    if plan is None:
        reason = logger.said[-1] if logger.said else "it gives no reason"
        raise PellucidError(
            Code.BACKEND_UNAVAILABLE, f'TensorRT cannot build an engine for "{card.name}": {reason}.', side=side
        )
    return bytes(plan)


class TensorRtEngine:
    """An engine on the current CUDA device. Use it from one thread at a time.

    Call it with (n, 3, side, side) float32 on that device; it queues on the current stream.
    """

    def __init__(self, trt: Any, plan: bytes, card: Card, *, backend: str, precision: Precision, side: int, batch: int):
        self._trt = trt
        self._torch = load_torch()
        self._card = card
        self.backend = backend
        self.side = side
        self.batch = batch
        self._precision: Precision = precision
        self._logger = quiet_logger(trt)
        self._runtime = trt.Runtime(self._logger)
        engine = self._runtime.deserialize_cuda_engine(plan)
        if engine is None:
            raise PellucidError(
                Code.BACKEND_UNAVAILABLE, f'TensorRT refuses the engine for "{card.name}": {self._last_words()}.'
            )
        self._engine = engine
        self._contexts: dict[int, Any] = {}
        self._memory: Any = None
        """What lies between the layers, as a torch tensor of bytes."""
        self._refitter: Any = None
        self._weights: EngineWeights | None = None
        self._scale = -(-int(engine.get_tensor_shape(OUTPUT)[2]) // side)

    def __call__(self, picture: Any) -> Any:
        torch = self._torch
        count = len(picture)
        picture = picture.contiguous()
        side = self.side * self._scale
        result = torch.empty((count, 3, side, side), dtype=torch.float32, device=picture.device)
        context = self._context(count, picture.device)
        context.set_tensor_address(INPUT, picture.data_ptr())
        context.set_tensor_address(OUTPUT, result.data_ptr())
        if not context.execute_async_v3(torch.cuda.current_stream(picture.device).cuda_stream):
            raise self._refusal(f'TensorRT could not run "{self._card.name}"', self._last_words())
        return result

    def _context(self, count: int, device: Any) -> Any:
        """One for each number of tiles: a recorded graph keeps to what its context was told. They run one after the
        other, so that all work in the same memory, which is enough for any number."""
        if count not in self._contexts:
            if self._memory is None:
                size = self._engine.device_memory_size_v2
                self._memory = self._torch.empty(size, dtype=self._torch.uint8, device=device)
            context = self._engine.create_execution_context(self._trt.ExecutionContextAllocationStrategy.USER_MANAGED)
            if context is None:
                raise OutOfMemory(f"The GPU has too little memory for {count} tiles in TensorRT.")
            context.set_device_memory(self._memory.data_ptr(), self._memory.numel())
            context.set_input_shape(INPUT, (count, 3, self.side, self.side))
            self._contexts[count] = context
        return self._contexts[count]

    def prepare(self, weights: Weights) -> dict[str, Any]:
        """The engine's own weights by name, as torch tensors on the CPU: seconds the first time, then milliseconds."""
        if self._weights is None:
            # The same description names the weights; it is not built again.
            builder = self._trt.Builder(self._logger)
            exported = ExportedNetwork(self._card, self.side)
            self._weights = define_network(self._trt, builder, exported, weights, self._precision).weights
        return self._weights.values(weights)

    def refit(self, prepared: dict[str, Any]) -> None:
        """All weights, always: engines refitted in part have kept old ones. Nothing may be running."""
        torch, trt = self._torch, self._trt
        if self._refitter is None:
            self._refitter = trt.Refitter(self._engine, self._logger)
        kinds = {torch.float32: trt.float32, torch.bfloat16: trt.bfloat16, torch.float16: trt.float16}
        kind = kinds[torch_type(self._precision)]
        known = set(self._refitter.get_all_weights())
        for name, value in prepared.items():
            if name in known:
                self._refitter.set_named_weights(name, trt.Weights(kind, value.data_ptr(), value.numel()))
        missing = self._refitter.get_missing_weights()
        with ALONE:
            refitted = not missing and self._refitter.refit_cuda_engine()
        if not refitted:
            reason = f"it misses {missing[0]}" if missing else self._last_words()
            raise self._refusal(f'TensorRT could not take the weights of "{self._card.name}"', reason)

    def _refusal(self, what: str, why: str) -> PellucidError:
        """Short memory may pass; anything else does not."""
        text = f"{what}: {why}."
        return OutOfMemory(text) if "memory" in why.casefold() else EngineRefusal(text)

    def _last_words(self) -> str:
        return self._logger.said[-1].strip().rstrip(".") if self._logger.said else "it gives no reason"

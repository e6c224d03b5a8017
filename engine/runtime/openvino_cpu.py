"""The default backend of the CPU: OpenVINO, graphs built from our own architectures, weights as graph inputs.

A graph is compiled for an architecture, a precision and a number of streams, not for weights: new weights go into a
spare buffer that the next tile finds, and a tile in flight finishes with those it began with. A session that is frozen
gives this up for speed (4 to 8 %, measured).

Networks that end at the size of the result run in two parts (see `openvino_graph`): the body on the whole tile, the
tail on pieces of its features, so that memory follows the source and not the result.
"""

from __future__ import annotations

import contextlib
import os
import queue
import sys
import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from engine.errors import Cancelled, Code, OutOfMemory, PellucidError
from engine.models.arch import Architecture, OpenVinoGraph, find_architecture
from engine.models.card import Card
from engine.models.model import Model, Weights
from engine.runtime.halo import halo_of
from engine.runtime.memory import available_memory
from engine.runtime.openvino_graph import SplitGraph, bytes_per_pixel, split_graph
from engine.runtime.session import Batch, Precision, SessionInfo
from engine.tiling.plan import plan_tiles

NAME = "openvino"

_HINTS = {"fp32": "f32", "bf16": "bf16"}
_ALIGNMENT = 64
_SHAPES_OF_ATTENTION = 4
"""How many shapes of tiles stay compiled for networks that know no free shape."""
_FIXED_FROM_PIXELS = 40_000
"""From this size on a two-part network is compiled for the very shape of a tile: half the memory for its body."""
_FREE_SHAPE_FACTOR = 2.5
"""A graph of free shape reuses less memory than counted (measured 1.8 to 2.6)."""
_TAIL_CORE = {"bf16": 160, "fp32": 112}
"""Side of the pieces of the tail, in source pixels: some 200 MB."""
_BEST_SIDE_OF_ATTENTION = 192
_LARGE_HALO = 32


def load_openvino() -> Any:
    """The `openvino` package, with its usage statistics shut out: where `openvino_telemetry` is installed by somebody
    else, an import of it fails here, and OpenVINO falls back to a stand-in that sends nothing."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino


_core: Any = None
_loading_core = threading.Lock()


def openvino_core() -> Any:
    """OpenVINO's entrance, the same one as long as the process lives.

    Its CPU part gives the thread that loads it a stack for signals, and frees that stack when it is unloaded by any
    other thread: the next signal that the first thread hears, be it Ctrl-C, then kills the process. So it stays loaded.
    """
    global _core
    with _loading_core:
        if _core is None:
            _core = load_openvino().Core()
        return _core


def supported_precisions() -> tuple[Precision, ...]:
    """What this CPU computes at full speed, the fastest first."""
    abilities = openvino_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return ("bf16", "fp32") if "BF16" in abilities else ("fp32",)


def device_name() -> str:
    return str(openvino_core().get_property("CPU", "FULL_DEVICE_NAME")).strip()


class OpenVinoSession:
    """One architecture with one set of weights at a time, on the CPU."""

    def __init__(
        self, model: Model, *, precision: Precision, streams: int = 0, threads: int = 0, frozen: bool = False
    ) -> None:
        """streams: tiles that are computed side by side, threads: cores they share; 0: chosen."""
        if precision not in _HINTS:
            raise PellucidError(
                Code.BACKEND_UNAVAILABLE,
                f"OpenVINO computes in fp32 or bf16 on the CPU, not in {precision}.",
                precision=precision,
            )
        card = model.card
        self._openvino = load_openvino()
        self._core = openvino_core()
        self._architecture: Architecture = find_architecture(card.architecture)
        self._args: msgspec.Struct = self._architecture.read_arguments(card.arguments)
        self._card = card
        self._input_range, self._output_range = self._architecture.ranges(self._args)
        self._scale = self._architecture.scale(self._args)
        self._precision: Precision = precision
        halo = halo_of(card)
        threads = threads or usable_cores()
        self._threads = threads
        self._streams = streams or _streams_for(threads, halo, self._architecture.fixed_tile)

        self._frozen = frozen
        self._free_graph: OpenVinoGraph | None = None
        self._split: SplitGraph | None = None
        if self._architecture.fixed_tile:
            side = 2 * self._architecture.multiple(self._args)
            sample = self._build_graph(model.weights, (side, side))
        else:
            sample = self._free_graph = self._build_graph(model.weights, None)
            self._split = split_graph(sample.model)
        self._names = sample.weight_inputs
        self._arrays_of = sample.arrays
        self._shapes = {name: array.shape for name, array in model.weights.items()}
        self._sample_weights: Weights = model.weights

        self._lock = threading.Lock()
        self._weights = _WeightSet(self._openvino, self._names, sample.arrays(model.weights))
        self._spare: _WeightSet | None = None
        self._compiled: OrderedDict[tuple[int, int], _Compiled] = OrderedDict()
        self._tail: _Compiled | None = None
        self._building = threading.Lock()
        self._running: set[Any] = set()
        self._interrupts = 0
        self._closed = False

        if not self._architecture.fixed_tile:
            # Now, so that a CPU that cannot do what it says is found out before the first tile.
            self._precision = self._compile_or_step_down()
        self._info = self._describe(halo, sample)

    @property
    def info(self) -> SessionInfo:
        return self._info

    def serves(self, card: Card) -> bool:
        """Whether `set_weights` is all that a model of this card needs."""
        return (
            card.architecture == self._card.architecture
            and self._architecture.read_arguments(card.arguments) == self._args
            and halo_of(card) == self._info.halo
        )

    def run(self, batch: Batch) -> Batch:
        """(n, 3, h, w) -> (n, 3, h * scale, w * scale), both 0..1 (not clipped). Thread-safe."""
        count, _, height, width = batch.shape
        self._check_memory(height * width)
        result = np.empty((count, 3, height * self._scale, width * self._scale), dtype=np.float32)
        with self._current_weights() as weights:
            for i in range(count):
                self._run_one(np.ascontiguousarray(batch[i : i + 1], dtype=np.float32), result[i : i + 1], weights)
        if self._output_range == "-1..1":
            result += 1
            result *= 0.5
        return result

    def set_weights(self, weights: Weights) -> None:
        """Other weights of the same architecture, from the next tile on; nothing is compiled."""
        if self._frozen:
            raise PellucidError(Code.INTERNAL, f'The session of "{self._card.name}" is frozen: its weights are fixed.')
        shapes = {name: array.shape for name, array in weights.items()}
        if shapes != self._shapes:
            wrong = next(name for name in {**self._shapes, **shapes} if shapes.get(name) != self._shapes.get(name))
            raise PellucidError(
                Code.MODELS_DIFFER,
                f'The weights do not fit the network: "{wrong}" has the shape {shapes.get(wrong)} and should have '
                f"{self._shapes.get(wrong)}.",
                key=wrong,
            )
        arrays = self._arrays_of(weights)
        with self._lock:
            spare, self._spare = self._spare, None
        if spare is None:
            spare = _WeightSet(self._openvino, self._names, arrays)
        else:
            spare.fill(arrays)
        with self._lock:
            old, self._weights = self._weights, spare
            if old.users == 0:
                self._spare = old

    def interrupt(self) -> None:
        """Every `run` in flight ends within some milliseconds, with Cancelled."""
        with self._lock:
            self._interrupts += 1
            for request in self._running:
                request.cancel()

    def close(self) -> None:
        """Frees the compiled graphs once the last `run` has ended."""
        with self._building:
            self._closed = True
            self._compiled.clear()
            self._tail = None

    def _build_graph(self, weights: Weights, tile: tuple[int, int] | None) -> OpenVinoGraph:
        return self._architecture.openvino_graph(self._args, weights, tile, frozen=self._frozen)

    def _describe(self, halo: int, sample: OpenVinoGraph) -> SessionInfo:
        value = 2 if self._precision == "bf16" else 4
        around = 12 + 12 * self._scale**2
        fixed_bytes = 0
        if self._split is not None:
            per_pixel = bytes_per_pixel(self._split.body, value) + 4 * self._split.features + around
            piece = (_TAIL_CORE[self._precision] + 2 * self._split.tail_radius) ** 2
            tail = bytes_per_pixel(self._split.tail, value) * _FREE_SHAPE_FACTOR / 2 + around + 4 * self._split.features
            fixed_bytes = int(piece * tail)
        elif self._architecture.fixed_tile:
            per_pixel = bytes_per_pixel(sample.model, value) + around
        else:
            per_pixel = bytes_per_pixel(sample.model, value) * _FREE_SHAPE_FACTOR + around
        return SessionInfo(
            backend=NAME,
            device="cpu",
            precision=self._precision,
            streams=self._streams,
            scale=self._scale,
            halo=halo,
            multiple=self._architecture.multiple(self._args),
            bytes_per_pixel=per_pixel,
            fixed_bytes=fixed_bytes,
            best_side=_BEST_SIDE_OF_ATTENTION if self._architecture.fixed_tile else 0,
            frozen=self._frozen,
        )

    def _check_memory(self, pixels: int) -> None:
        """Refuses a tile that cannot fit: a failed allocation inside the library may end the process."""
        with self._building:
            reserved = max((compiled.largest for compiled in self._compiled.values()), default=0)
        needed = max(0, pixels - reserved) * self._info.bytes_per_pixel + pixels * 12 * self._scale**2
        free = available_memory()
        if needed > free:
            raise OutOfMemory(
                f"A tile of {pixels} pixels needs {needed / 1e6:.0f} MB, and {free / 1e6:.0f} MB are free.",
                "Choose a smaller tile.",
                needed=int(needed),
                free=free,
            )

    @contextlib.contextmanager
    def _current_weights(self) -> Iterator[_WeightSet]:
        with self._lock:
            weights = self._weights
            weights.users += 1
        try:
            yield weights
        finally:
            with self._lock:
                weights.users -= 1
                if weights.users == 0 and weights is not self._weights and self._spare is None:
                    self._spare = weights

    def _run_one(self, picture: Batch, result: Batch, weights: _WeightSet) -> None:
        begun = self._interrupts
        if self._input_range == "-1..1":
            picture = picture * 2 - 1
        height, width = picture.shape[2:]
        body = self._body_for(height, width)
        body.largest = max(body.largest, height * width)
        if self._split is None:
            self._infer(body, weights, {"picture": picture}, result, begun)
            return
        features = np.empty((1, self._split.features, height, width), dtype=np.float32)
        self._infer(body, weights, {"picture": picture}, features, begun)
        tail = self._tail_graph()
        scale = self._scale
        pieces = plan_tiles(height, width, halo=self._split.tail_radius, tile=_TAIL_CORE[self._precision])
        for piece in pieces.tiles():
            rows, columns = piece.rows, piece.columns
            window = np.s_[:, :, rows.read_start : rows.read_stop, columns.read_start : columns.read_stop]
            inputs = {"features": np.ascontiguousarray(features[window])}
            if self._split.tail_needs_picture:
                inputs["picture"] = np.ascontiguousarray(picture[window])
            part = np.empty((1, 3, rows.read * scale, columns.read * scale), dtype=np.float32)
            self._infer(tail, weights, inputs, part, begun)
            top, left = (rows.start - rows.read_start) * scale, (columns.start - columns.read_start) * scale
            result[:, :, rows.start * scale : rows.stop * scale, columns.start * scale : columns.stop * scale] = part[
                :, :, top : top + rows.core * scale, left : left + columns.core * scale
            ]

    def _infer(
        self,
        compiled: _Compiled,
        weights: _WeightSet,
        inputs: dict[str, Batch],
        output: Batch,
        begun: int,
    ) -> None:
        request = compiled.requests.get()
        try:
            request.bind(weights)
            for name, array in inputs.items():
                request.native.set_input_tensor(compiled.places[name], self._openvino.Tensor(array, shared_memory=True))
            request.native.set_output_tensor(0, self._openvino.Tensor(output, shared_memory=True))
            with self._lock:
                if self._interrupts != begun:
                    raise Cancelled
                self._running.add(request.native)
                request.native.start_async()
            try:
                request.native.wait()
            except RuntimeError as error:
                if self._interrupts != begun:
                    raise Cancelled from None
                pixels = output.shape[2] * output.shape[3] // self._scale**2
                if pixels * self._info.bytes_per_pixel > available_memory():
                    raise OutOfMemory("OpenVINO could not finish a tile while memory was short.") from error
                raise
            finally:
                with self._lock:
                    self._running.discard(request.native)
            if self._interrupts != begun:
                raise Cancelled
        finally:
            compiled.requests.put(request)

    def _body_for(self, height: int, width: int) -> _Compiled:
        if self._architecture.fixed_tile:
            return self._get_compiled((height, width))
        if self._split is not None and height * width >= _FIXED_FROM_PIXELS:
            return self._get_compiled((height, width))
        return self._get_compiled((0, 0))

    def _get_compiled(self, shape: tuple[int, int]) -> _Compiled:
        """The graph for tiles of this shape; (0, 0): of any shape."""
        with self._building:
            self._refuse_when_closed()
            compiled = self._compiled.get(shape)
            if compiled is None:
                compiled = self._compile(self._model_for(shape))
                self._forget_shapes_but(shape)
                self._compiled[shape] = compiled
            self._compiled.move_to_end(shape)
            return compiled

    def _forget_shapes_but(self, shape: tuple[int, int]) -> None:
        """Every compiled shape holds the memory of its tile: of large ones only this and its transpose may stay."""
        fixed = [key for key in self._compiled if key != (0, 0)]
        if self._architecture.fixed_tile:
            forgotten = fixed[: max(0, len(fixed) + 1 - _SHAPES_OF_ATTENTION)]
        else:
            forgotten = [] if shape == (0, 0) else [key for key in fixed if key not in (shape, shape[::-1])]
        for key in forgotten:
            del self._compiled[key]

    def _tail_graph(self) -> _Compiled:
        with self._building:
            self._refuse_when_closed()
            if self._tail is None:
                assert self._split is not None
                self._tail = self._compile(self._split.tail)
            return self._tail

    def _refuse_when_closed(self) -> None:
        if self._closed:
            raise PellucidError(Code.INTERNAL, f'The session of "{self._card.name}" is closed.')

    def _model_for(self, shape: tuple[int, int]) -> Any:
        if self._free_graph is None:
            return self._build_graph(self._sample_weights, shape).model
        model = self._free_graph.model if self._split is None else self._split.body
        if shape != (0, 0):
            model = model.clone()
            model.reshape({model.input(0): [1, 3, *shape]})
        return model

    def _compile(self, model: Any) -> _Compiled:
        native = self._core.compile_model(
            model,
            "CPU",
            {
                "NUM_STREAMS": self._streams,
                "INFERENCE_NUM_THREADS": self._threads,
                "INFERENCE_PRECISION_HINT": _HINTS[self._precision],
                "ENABLE_CPU_PINNING": False,
                "PERF_COUNT": False,
            },
        )
        places = {port.get_node().get_friendly_name(): place for place, port in enumerate(native.inputs)}
        compiled = _Compiled(native, places)
        # One more than compute side by side, so that the next tile is bound while the streams are busy.
        for _ in range(self._streams + 1):
            compiled.requests.put(_Request(native.create_infer_request(), places))
        return compiled

    def _compile_or_step_down(self) -> Precision:
        """bf16 as asked, unless this CPU only says that it can."""
        try:
            self._get_compiled((0, 0))
        except RuntimeError:
            if self._precision == "fp32":
                raise
            self._precision = "fp32"
            self._get_compiled((0, 0))
        return self._precision


def usable_cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _streams_for(threads: int, halo: int, attention: bool) -> int:
    """Few streams of several threads lose less to halos than many of one; attention gains nothing from more threads."""
    if attention:
        return threads
    return max(1, threads // (4 if halo >= _LARGE_HALO else 2))


@dataclass(slots=True)
class _Compiled:
    native: Any
    places: dict[str, int]
    """Number of every input by its name."""
    requests: queue.LifoQueue[_Request] = field(default_factory=queue.LifoQueue)
    largest: int = 0
    """Pixels of the largest tile so far: the memory for it is held."""


class _Request:
    """An infer request and the weights that it is bound to."""

    def __init__(self, native: Any, places: dict[str, int]) -> None:
        self.native = native
        self._places = places
        self._bound: _WeightSet | None = None

    def bind(self, weights: _WeightSet) -> None:
        if self._bound is weights:
            return  # the buffer is the same; what is in it may be newer
        for name, tensor in weights.tensors.items():
            place = self._places.get(name)
            if place is not None:
                self.native.set_input_tensor(place, tensor)
        self._bound = weights


class _WeightSet:
    """All weight inputs in one aligned buffer."""

    def __init__(self, openvino: Any, names: tuple[str, ...], arrays: tuple[npt.NDArray[np.float32], ...]) -> None:
        self.users = 0
        step = _ALIGNMENT // 4
        sizes = [-(-array.size // step) * step for array in arrays]
        buffer = np.zeros(sum(sizes) + step, dtype=np.float32)
        offset = (-buffer.ctypes.data % _ALIGNMENT) // 4
        self._views: list[npt.NDArray[np.float32]] = []
        for array, size in zip(arrays, sizes, strict=True):
            self._views.append(buffer[offset : offset + array.size].reshape(array.shape))
            offset += size
        self.fill(arrays)
        self.tensors = {
            name: openvino.Tensor(view, shared_memory=True) for name, view in zip(names, self._views, strict=True)
        }

    def fill(self, arrays: tuple[npt.NDArray[np.float32], ...]) -> None:
        for view, array in zip(self._views, arrays, strict=True):
            view[...] = array

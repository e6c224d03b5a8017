"""The seam between the pipelined session and a device: streams, events, pinned memory, recorded graphs, free memory.

`CudaDevice` is an NVIDIA GPU. `HostDevice` does the same steps on the CPU, one after the other: the same code runs, and
is checked, on machines without a GPU.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any, Protocol

from engine.errors import Code, PellucidError
from engine.runtime.memory import available_memory
from engine.runtime.torch_network import find_device, is_shortage, load_torch

Tensor = Any
"""torch.Tensor; torch is not imported at module level in the engine."""
Work = Callable[[], None]

ALONE = threading.RLock()
"""Held by whoever records a graph, and by whoever waits for a whole device or counts its memory: a recording breaks
while another thread waits like that, and takes memory that is not to be counted. Tiles go on meanwhile."""


class Stream(AbstractContextManager[None], Protocol):
    """Work that is queued on it runs in order; `with stream:` queues what torch is asked to do inside."""

    def wait(self, event: Event) -> None:
        """What is queued from now on starts after the event."""
        ...

    def handle(self) -> int:
        """The native stream, for libraries that are not torch."""
        ...


class Event(Protocol):
    def record(self, stream: Stream) -> None: ...

    def wait(self) -> None:
        """Blocks the calling thread, and no other, until what was recorded is done."""
        ...


class Device(Protocol):
    torch_device: Any
    name: str
    """As the user writes it: cuda:0."""
    title: str
    """As its maker calls it."""

    def stream(self, *, urgent: bool = False) -> Stream: ...

    def event(self) -> Event: ...

    def host_buffer(self, shape: tuple[int, ...], dtype: Any) -> Tensor:
        """Memory of the host that the device reads and writes by itself, as far as the system grants it."""
        ...

    def record(self, stream: Stream, work: Work) -> Work | None:
        """A function that repeats `work` without asking torch again, or None where it cannot be recorded."""
        ...

    def free_memory(self) -> int:
        """Bytes that this process may still take, its own idle cache included."""
        ...

    def is_shared(self) -> bool:
        """Whether somebody else holds a good part of the device's memory: a training, a game."""
        ...

    def release_memory(self) -> None:
        """Gives the idle cache back."""
        ...

    def peak_of(self, work: Callable[[], object]) -> int | None:
        """The most bytes that `work` holds at once beyond what was held before, and beyond what only its first run
        takes; None where nobody counts."""
        ...


class CudaDevice:
    def __init__(self, device: str) -> None:
        """device: "cuda", "cuda:N" or part of a GPU's name."""
        torch = load_torch()
        found = find_cuda_device(device)
        self._torch = torch
        self.torch_device = found
        self.name = str(found)
        self.title: str = torch.cuda.get_device_name(found)
        self._pool: Any = None
        self._may_record = True

    def stream(self, *, urgent: bool = False) -> Stream:
        """Starts after what the calling thread has queued so far: weights on their way, for instance."""
        cuda = self._torch.cuda
        native = cuda.Stream(self.torch_device, priority=-1 if urgent else 0)
        native.wait_stream(cuda.current_stream(self.torch_device))
        return _CudaStream(self._torch, native)

    def event(self) -> Event:
        return _CudaEvent(self._torch.cuda.Event(blocking=True))

    def host_buffer(self, shape: tuple[int, ...], dtype: Any) -> Tensor:
        try:
            return self._torch.empty(shape, dtype=dtype, pin_memory=True)
        except RuntimeError:
            # Systems limit what may be pinned. Copies from and to other memory are slower, and as good.
            return self._torch.empty(shape, dtype=dtype)

    def record(self, stream: Stream, work: Work) -> Work | None:
        assert isinstance(stream, _CudaStream)
        if not self._may_record:
            return None
        with ALONE, self._searching_algorithms():
            with stream:
                for _ in range(2):
                    work()
            stream.native.synchronize()
            try:
                return self._capture(stream, work)
            except (RuntimeError, PellucidError) as failure:
                # A step that cannot be recorded, or too little memory for the recordings' own pool: it runs unrecorded,
                # as before. After a recording that broke torch never leaves the state of one, so that it was the last.
                self._may_record = is_shortage(failure)
                return None

    def _capture(self, stream: _CudaStream, work: Work) -> Work:
        cuda = self._torch.cuda
        if self._pool is None:
            # One pool for all: recordings never run at the same time, so they may use the same memory.
            self._pool = cuda.graph_pool_handle()
        graph = cuda.CUDAGraph()
        # Other threads go on copying results meanwhile: only this one must not do what cannot be recorded.
        with cuda.graph(graph, self._pool, stream.native, capture_error_mode="thread_local"):
            work()
        return graph.replay  # type: ignore[no-any-return]

    @contextlib.contextmanager
    def _searching_algorithms(self) -> Iterator[None]:
        """What is recorded runs often enough to try them all."""
        cudnn = self._torch.backends.cudnn
        searched = cudnn.benchmark
        cudnn.benchmark = True
        try:
            yield
        finally:
            cudnn.benchmark = searched

    def free_memory(self) -> int:
        torch = self._torch
        free, _ = torch.cuda.mem_get_info(self.torch_device)
        idle = torch.cuda.memory_reserved(self.torch_device) - torch.cuda.memory_allocated(self.torch_device)
        return int(free + idle)

    def is_shared(self) -> bool:
        torch = self._torch
        free, total = torch.cuda.mem_get_info(self.torch_device)
        return bool(total - free - torch.cuda.memory_reserved(self.torch_device) > _OTHERS_SHARE * total)

    def release_memory(self) -> None:
        self._pool = None
        with ALONE, self._torch.cuda.device(self.torch_device):
            self._torch.cuda.empty_cache()

    def peak_of(self, work: Callable[[], object]) -> int | None:
        cuda = self._torch.cuda
        with ALONE:
            work()
            cuda.synchronize(self.torch_device)
            cuda.reset_peak_memory_stats(self.torch_device)
            before = cuda.memory_allocated(self.torch_device)
            work()
            cuda.synchronize(self.torch_device)
            return int(cuda.max_memory_allocated(self.torch_device) - before)


_OTHERS_SHARE = 0.25
"""A desktop and the driver take a few hundred MB; more of a card than this is somebody's work."""


class _CudaStream:
    def __init__(self, torch: Any, native: Any) -> None:
        self._torch = torch
        self.native = native
        self._inside: list[Any] = []

    def __enter__(self) -> None:
        context = self._torch.cuda.stream(self.native)
        context.__enter__()
        self._inside.append(context)

    def __exit__(self, *exception: object) -> None:
        self._inside.pop().__exit__(*exception)

    def wait(self, event: Event) -> None:
        assert isinstance(event, _CudaEvent)
        self.native.wait_event(event.native)

    def handle(self) -> int:
        return int(self.native.cuda_stream)


class _CudaEvent:
    def __init__(self, native: Any) -> None:
        self.native = native

    def record(self, stream: Stream) -> None:
        assert isinstance(stream, _CudaStream)
        self.native.record(stream.native)

    def wait(self) -> None:
        self.native.synchronize()


class HostDevice:
    """The CPU in the place of a GPU. `memory`: bytes it pretends to have free; 0: what there is."""

    def __init__(self, memory: int = 0) -> None:
        self._torch = load_torch()
        self.torch_device = self._torch.device("cpu")
        self.name = "cpu"
        self.title = "CPU"
        self.memory = memory
        self.recorded = 0
        """How often `record` was asked."""

    def stream(self, *, urgent: bool = False) -> Stream:
        return _HostStream()

    def event(self) -> Event:
        return _HostEvent()

    def host_buffer(self, shape: tuple[int, ...], dtype: Any) -> Tensor:
        return self._torch.empty(shape, dtype=dtype)

    def record(self, stream: Stream, work: Work) -> Work | None:
        self.recorded += 1
        return work

    def free_memory(self) -> int:
        return self.memory or available_memory()

    def is_shared(self) -> bool:
        return False

    def release_memory(self) -> None:
        pass

    def peak_of(self, work: Callable[[], object]) -> int | None:
        return None


class _HostStream:
    def __enter__(self) -> None:
        pass

    def __exit__(self, *exception: object) -> None:
        pass

    def wait(self, event: Event) -> None:
        pass

    def handle(self) -> int:
        return 0


class _HostEvent:
    def record(self, stream: Stream) -> None:
        pass

    def wait(self) -> None:
        pass


def find_cuda_device(device: str) -> Any:
    """ "cuda": the GPU with the most free memory; "cuda:N"; or part of a name ("rtx 4090"): the first that has it."""
    torch = load_torch()
    if device == "cuda" and torch.cuda.is_available() and torch.cuda.device_count() > 1:
        free = [_free_memory(number) for number in range(torch.cuda.device_count())]
        return torch.device("cuda", free.index(max(free)))
    if device.split(":")[0] in ("cpu", "cuda"):
        found = find_device(device)
        return torch.device("cuda", found.index or 0) if found.type == "cuda" else found
    titles = [torch.cuda.get_device_name(n) for n in range(torch.cuda.device_count())]
    number = place_of_name(device, titles)
    if number is None:
        there = f"There are: {', '.join(titles)}." if titles else "torch finds no CUDA device."
        raise PellucidError(Code.BACKEND_UNAVAILABLE, f'There is no GPU "{device}".', there, device=device)
    return torch.device("cuda", number)


def _free_memory(number: int) -> int:
    """Bytes; 0 where there is too little even to ask."""
    try:
        return int(load_torch().cuda.mem_get_info(number)[0])
    except RuntimeError as failure:
        if not is_shortage(failure):
            raise
        return 0


def place_of_name(wanted: str, titles: list[str]) -> int | None:
    """Which title has all the wanted words, whatever their case and order; None: no title has."""
    words = wanted.casefold().split()
    return next(
        (n for n, title in enumerate(titles) if words and all(word in title.casefold() for word in words)), None
    )


@contextlib.contextmanager
def on(stream: Stream, *after: Event) -> Iterator[None]:
    """Queue on a stream, after what was recorded in the events."""
    for event in after:
        stream.wait(event)
    with stream:
        yield

"""The seam to an NVIDIA GPU, over a torch that only pretends: who waits for whom, and what is recorded."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from engine.errors import Code, OutOfMemory, PellucidError
from engine.models.model import Model
from engine.runtime import torch_cuda, torch_device
from engine.runtime.torch_device import CudaDevice
from engine.runtime.torch_network import TorchNetwork

MakeModel = Callable[..., Model]


class PretendedTorch:
    """What CudaDevice asks of torch. `waiting`: what happens when a thread waits for the whole device."""

    OutOfMemoryError = torch.OutOfMemoryError

    def __init__(self) -> None:
        self.backends = SimpleNamespace(cudnn=SimpleNamespace(benchmark=False))
        self.cuda = self
        self.recording = False
        self.broken = 0
        self.searched: list[bool] = []
        self.queued: list[str] = []

    def get_device_name(self, device: Any) -> str:
        return "Pretended"

    def current_stream(self, device: Any) -> str:
        return "the thread's own"

    def Stream(self, device: Any, priority: int) -> Any:
        return SimpleNamespace(
            wait_stream=lambda other: self.queued.append(f"wait for {other}"),
            synchronize=lambda: None,
            priority=priority,
        )

    @contextmanager
    def stream(self, native: Any) -> Iterator[None]:
        yield

    @contextmanager
    def device(self, device: Any) -> Iterator[None]:
        yield

    def synchronize(self, device: Any = None) -> None:
        self.broken += self.recording
        time.sleep(0.002)

    empty_cache = synchronize

    def reset_peak_memory_stats(self, device: Any) -> None: ...

    def memory_allocated(self, device: Any) -> int:
        return 10

    def max_memory_allocated(self, device: Any) -> int:
        return 30

    def graph_pool_handle(self) -> object:
        return object()

    def CUDAGraph(self) -> Any:
        return SimpleNamespace(replay=lambda: None)

    @contextmanager
    def graph(self, graph: Any, pool: Any, stream: Any, capture_error_mode: str) -> Iterator[None]:
        self.synchronize()
        self.recording = True
        self.searched.append(self.backends.cudnn.benchmark)
        time.sleep(0.002)
        try:
            yield
        finally:
            self.recording = False


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch) -> PretendedTorch:
    stand_in = PretendedTorch()
    monkeypatch.setattr(torch_device, "load_torch", lambda: stand_in)
    monkeypatch.setattr(torch_device, "find_cuda_device", torch.device)
    return stand_in


def test_nobody_waits_for_the_whole_device_while_another_records(pretended: PretendedTorch) -> None:
    devices = [CudaDevice("cuda:0") for _ in range(4)]

    def work(number: int) -> None:
        device = devices[number % 4]
        assert device.peak_of(lambda: None) == 20
        assert device.record(device.stream(), lambda: None) is not None
        device.release_memory()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(24)))
    assert pretended.broken == 0
    assert pretended.searched == [True] * 24
    assert pretended.backends.cudnn.benchmark is False, "as it was"


def test_the_gpu_with_the_most_free_memory_is_found_also_beside_one_that_is_full(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def free_memory(number: int) -> tuple[int, int]:
        if number == 1:
            raise RuntimeError("CUDA error: out of memory")
        return (5, 9, 7)[number], 10

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(torch.cuda, "mem_get_info", free_memory)
    assert torch_device.find_cuda_device("cuda") == torch.device("cuda", 2)


def test_a_card_too_full_to_begin_with_is_told_by_class(
    small_model: MakeModel, pretended: PretendedTorch, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise RuntimeError("CUDA error: out of memory")

    monkeypatch.setattr(torch_cuda, "TorchNetwork", refuse)
    with pytest.raises(OutOfMemory, match='cuda:0 has too little memory for the model "compact"'):
        torch_cuda.open_torch_cuda(small_model("compact"), device="cuda:0", precision="fp32")


def test_where_no_memory_may_be_pinned_other_memory_serves(
    pretended: PretendedTorch, monkeypatch: pytest.MonkeyPatch
) -> None:
    def empty(shape: Any, dtype: Any, pin_memory: bool = False) -> Any:
        if pin_memory:
            raise RuntimeError("CUDA error: out of memory")
        return torch.empty(shape, dtype=dtype)

    monkeypatch.setattr(pretended, "empty", empty, raising=False)
    assert CudaDevice("cuda:0").host_buffer((2, 3), torch.uint8).shape == (2, 3)


def test_a_stream_starts_after_what_its_maker_has_queued(pretended: PretendedTorch) -> None:
    CudaDevice("cuda:0").stream(urgent=True)
    assert pretended.queued == ["wait for the thread's own"]


@pytest.mark.parametrize(
    ("failure", "recordings"),
    [
        (torch.OutOfMemoryError("full"), 3),
        (RuntimeError("CUDA error: out of memory"), 3),
        (RuntimeError("CUDA error: operation failed due to a previous error during capture"), 1),
        (PellucidError(Code.BACKEND_UNAVAILABLE, "TensorRT could not run it."), 1),
    ],
)
def test_a_recording_that_broke_is_the_last_and_one_without_memory_is_not(
    pretended: PretendedTorch, failure: Exception, recordings: int
) -> None:
    def work() -> None:
        if pretended.recording:
            raise failure

    device = CudaDevice("cuda:0")
    for _ in range(3):
        assert device.record(device.stream(), work) is None
    assert len(pretended.searched) == recordings


def test_work_that_fails_by_itself_fails_and_says_nothing_about_recording(pretended: PretendedTorch) -> None:
    device, failing = CudaDevice("cuda:0"), True

    def work() -> None:
        if failing:
            raise ValueError

    with pytest.raises(ValueError):
        device.record(device.stream(), work)
    assert pretended.backends.cudnn.benchmark is False
    failing = False
    assert device.record(device.stream(), work) is not None


@pytest.fixture
def convolutions() -> Iterator[Any]:
    """The settings of cuDNN's convolutions, as they are by themselves."""
    settings = torch.backends.cudnn.conv
    assert settings.fp32_precision == "tf32"
    yield settings
    settings.fp32_precision = "tf32"


def test_float32_stays_float32_in_one_thread_while_another_ends_its_run(
    small_model: MakeModel, convolutions: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.nn.Module, "to", lambda self, *rest, **options: self)
    networks = [TorchNetwork(small_model("compact"), torch.device("cuda"), "fp32") for _ in range(2)]
    short_is_in, long_is_in, short_is_done = (threading.Event() for _ in range(3))
    seen: list[str] = []

    def look(*_: Any) -> None:
        seen.append(convolutions.fp32_precision)
        short_is_in.set()
        assert long_is_in.wait(30)

    def look_twice(*_: Any) -> None:
        seen.append(convolutions.fp32_precision)
        long_is_in.set()
        assert short_is_done.wait(30)
        seen.append(convolutions.fp32_precision)

    networks[0].module.register_forward_hook(look)
    networks[1].module.register_forward_hook(look_twice)
    tile = torch.from_numpy(np.zeros((1, 3, 8, 8), np.float32))
    with ThreadPoolExecutor(2) as pool:
        short = pool.submit(networks[0], tile)
        assert short_is_in.wait(30)
        long = pool.submit(networks[1], tile)
        short.result()
        short_is_done.set()
        long.result()
    assert seen == ["ieee"] * 3

"""TensorRT beside torch, with engines that are not real: who serves when, what is compared, what is kept."""

from __future__ import annotations

import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from engine.errors import Code, OutOfMemory, PellucidError
from engine.models.model import Model
from engine.runtime import choose, engine_cache, tensorrt_builder, tensorrt_engine, tensorrt_library, torch_cuda
from engine.runtime.choose import backend_reports, open_session
from engine.runtime.engine_cache import EngineCache, EngineKey
from engine.runtime.tensorrt_builder import EngineBuild
from engine.runtime.tensorrt_engine import EngineRefusal, TensorRtEngine
from engine.runtime.tensorrt_library import FLAVOURS, component_folder, find_flavour, installed_version, load_library
from engine.runtime.tensorrt_session import AcceleratedSession
from engine.runtime.tile_choice import TileChoice
from engine.runtime.torch_cuda import pipelined_torch_session
from engine.runtime.torch_device import HostDevice
from engine.runtime.torch_network import TorchNetwork

MakeModel = Callable[..., Model]


class PretendedEngine:
    """What an engine does, done by torch: it keeps the weights it was refitted with, and counts its tiles."""

    backend = "tensorrt-rtx"
    side, batch = 32, 4

    def __init__(self, model: Model, error: float = 0.0) -> None:
        import torch

        self.network = TorchNetwork(model, torch.device("cpu"), "fp32")
        self.error = error
        self.tiles = 0
        self.refits = 0

    def __call__(self, picture: Any) -> Any:
        self.tiles += len(picture)
        return self.network(picture) + self.error

    def prepare(self, weights: Any) -> Any:
        return dict(weights.items())

    def refit(self, prepared: Any) -> None:
        self.refits += 1
        self.network.load(prepared)


Accelerate = Callable[..., AcceleratedSession]


@pytest.fixture
def accelerate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Accelerate]:
    """accelerate(model, obtain, **options) -> session"""
    opened = []
    monkeypatch.setattr(torch_cuda, "choose_tile", lambda *_, **__: TileChoice(32, 4))

    def open_it(model: Model, obtain: Any, **options: Any) -> AcceleratedSession:
        options.setdefault("quiet_seconds", 0.05)
        opened.append(
            AcceleratedSession(pipelined_torch_session(model, HostDevice(), "fp32"), model, obtain, **options)
        )
        return opened[-1]

    yield open_it
    for session in opened:
        session.close()


def tile(seed: int = 0, side: int = 32) -> Any:
    return np.random.default_rng(seed).random((1, 3, side, side), dtype=np.float32)


def reference(model: Model, batch: Any) -> Any:
    session = open_session(model, backend="torch", device="cpu", precision="fp32")
    try:
        return session.run(batch)
    finally:
        session.close()


def test_torch_serves_while_the_engine_is_built_and_the_engine_afterwards(
    small_model: MakeModel, accelerate: Accelerate
) -> None:
    model = small_model("compact")
    engine, built = PretendedEngine(model), threading.Event()

    def obtain(stopped: threading.Event, weights: Any) -> Any:
        built.wait()
        return engine

    session = accelerate(model, obtain)
    np.testing.assert_allclose(session.run(tile()), reference(model, tile()), atol=1e-5)
    assert session.info.backend == "torch"
    built.set()
    assert session.settle(30)
    assert session.info.backend == "tensorrt-rtx"
    before = engine.tiles
    np.testing.assert_allclose(session.run(tile()), reference(model, tile()), atol=1e-5)
    assert engine.tiles == before + 1
    session.run(tile(side=40))
    assert engine.tiles == before + 1, "another shape is torch's"
    assert session.take_notices() == []


def test_moving_weights_are_torchs_and_resting_ones_the_engines(small_model: MakeModel, accelerate: Accelerate) -> None:
    models = [small_model("compact", seed=seed) for seed in range(5)]
    expected = [reference(model, tile()) for model in models]
    engine = PretendedEngine(models[0])
    session = accelerate(models[0], lambda *_: engine, quiet_seconds=2.0)
    assert session.settle(30)
    refits, tiles = engine.refits, engine.tiles
    for model, right in zip(models[1:], expected[1:], strict=True):
        session.set_weights(model.weights)
        np.testing.assert_allclose(session.run(tile()), right, atol=1e-5)
    assert engine.tiles == tiles, "nothing went through old weights"
    assert session.settle(30)
    assert engine.refits == refits + 1, "once, at rest"
    np.testing.assert_allclose(session.run(tile()), expected[-1], atol=1e-5)
    assert engine.tiles > tiles


@pytest.mark.parametrize(("error", "words"), [(0.2, "differed from torch"), (float("nan"), "no numbers")])
def test_an_engine_that_differs_is_dropped_with_a_sentence_and_remembered(
    small_model: MakeModel, accelerate: Accelerate, error: float, words: str
) -> None:
    model = small_model("compact")
    refused: list[str] = []
    session = accelerate(model, lambda *_: PretendedEngine(model, error), on_refusal=refused.append)
    assert session.settle(30)
    assert session.info.backend == "torch"
    (notice,) = session.take_notices()
    assert words in notice
    assert words in refused[0]
    np.testing.assert_allclose(session.run(tile()), reference(model, tile()), atol=1e-5)


def test_an_engine_that_goes_wrong_with_new_weights_is_dropped(small_model: MakeModel, accelerate: Accelerate) -> None:
    model, other = small_model("compact"), small_model("compact", seed=3)
    engine = PretendedEngine(model)
    session = accelerate(model, lambda *_: engine)
    assert session.settle(30)
    engine.refit = lambda prepared: None
    session.set_weights(other.weights)
    assert session.settle(30)
    assert session.info.backend == "torch"
    assert "differed" in session.take_notices()[0]
    np.testing.assert_allclose(session.run(tile()), reference(other, tile()), atol=1e-5)


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (PellucidError(Code.BACKEND_UNAVAILABLE, "TensorRT could not run it."), "TensorRT could not run it. So torch"),
        (OutOfMemory("TensorRT has too little memory."), "TensorRT has too little memory. So torch"),
        (RuntimeError("enqueue"), "tensorrt-rtx failed (enqueue). So torch"),
    ],
)
def test_an_engine_that_fails_while_it_serves_is_dropped_and_no_tile_is_lost(
    small_model: MakeModel, accelerate: Accelerate, failure: Exception, words: str
) -> None:
    model, other = small_model("compact"), small_model("compact", seed=3)
    engine = PretendedEngine(model)
    session = accelerate(model, lambda *_: engine)
    assert session.settle(30)
    network, failing = engine.network, True

    def fail(picture: Any) -> Any:
        if failing:
            raise failure
        return network(picture)

    fail.load = network.load
    engine.network = fail
    np.testing.assert_allclose(session.run(tile()), reference(model, tile()), atol=1e-5)
    assert session.info.backend == "torch"
    (notice,) = session.take_notices()
    assert notice.startswith(words)
    session.run(tile())
    assert session.take_notices() == []
    failing = False
    session.set_weights(other.weights)  # proved anew, it may serve again
    assert session.settle(30)
    assert session.info.backend == "tensorrt-rtx"
    np.testing.assert_allclose(session.run(tile()), reference(other, tile()), atol=1e-5)


@pytest.mark.parametrize(
    "failure", [PellucidError(Code.BACKEND_UNAVAILABLE, "No driver."), RuntimeError("CUDA error: 999"), MemoryError()]
)
def test_whatever_fails_in_the_background_the_pictures_go_on(
    small_model: MakeModel, accelerate: Accelerate, failure: Exception
) -> None:
    model = small_model("compact")

    def obtain(*_: Any) -> Any:
        raise failure

    session = accelerate(model, obtain)
    assert session.settle(30)
    assert "torch goes on alone" in session.take_notices()[0]
    np.testing.assert_allclose(session.run(tile()), reference(model, tile()), atol=1e-5)


@pytest.mark.parametrize(
    ("failure", "remembered"),
    [
        (EngineRefusal("TensorRT could not take the weights."), ["TensorRT could not take the weights."]),
        (OutOfMemory("TensorRT could not take the weights: out of memory."), []),
    ],
)
@pytest.mark.parametrize("step", ["refit", "network"])
def test_an_engine_that_cannot_serve_is_remembered_unless_memory_was_short(
    small_model: MakeModel, accelerate: Accelerate, failure: Exception, remembered: list[str], step: str
) -> None:
    model = small_model("compact")
    engine, refused = PretendedEngine(model), []

    def fail(_: Any) -> None:
        raise failure

    fail.load = lambda prepared: None
    setattr(engine, step, fail)
    session = accelerate(model, lambda *_: engine, on_refusal=refused.append)
    assert session.settle(30)
    assert session.info.backend == "torch"
    assert refused == remembered
    assert session.take_notices() == [f"{failure} So torch goes on alone."]


def test_closing_does_not_wait_for_a_build(small_model: MakeModel, accelerate: Accelerate) -> None:
    model = small_model("compact")

    def obtain(stopped: threading.Event, weights: Any) -> Any:
        stopped.wait()

    session = accelerate(model, obtain)
    session.close()
    with pytest.raises(PellucidError, match="closed"):
        session.run(tile())


class PretendedContext:
    def __init__(self, engine: PretendedTensorRt) -> None:
        self.engine = engine
        self.memory: tuple[int, int] | None = None
        self.shape: tuple[int, ...] = ()

    def set_device_memory(self, address: int, size: int) -> None:
        self.memory = address, size

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> None:
        self.shape = shape

    def set_tensor_address(self, name: str, address: int) -> None: ...

    def execute_async_v3(self, stream: int) -> bool:
        assert self.memory is not None
        return not self.engine.words


class PretendedTensorRt:
    """The library, its runtime and its engine in one: it counts the contexts, and fails with these last words."""

    class ExecutionContextAllocationStrategy:
        USER_MANAGED = "the caller's memory"

    device_memory_size_v2 = 4096

    def __init__(self) -> None:
        self.contexts: list[PretendedContext] = []
        self.words = ""

    def Runtime(self, logger: Any) -> Any:
        return self

    def deserialize_cuda_engine(self, plan: bytes) -> Any:
        return self

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return -1, 3, 128, 128

    def create_execution_context(self, strategy: str) -> PretendedContext:
        assert strategy == "the caller's memory"
        self.contexts.append(PretendedContext(self))
        return self.contexts[-1]


@pytest.fixture
def loaded(small_model: MakeModel, monkeypatch: pytest.MonkeyPatch) -> TensorRtEngine:
    import torch

    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: SimpleNamespace(cuda_stream=0))
    library = PretendedTensorRt()
    monkeypatch.setattr(tensorrt_engine, "quiet_logger", lambda trt: SimpleNamespace(said=[]))
    return TensorRtEngine(
        library, b"", small_model("compact").card, backend="tensorrt", precision="bf16", side=32, batch=8
    )


def test_all_numbers_of_tiles_work_in_the_same_memory(loaded: TensorRtEngine) -> None:
    import torch

    for count in (8, 1, 2, 4, 8, 1):
        assert loaded(torch.zeros((count, 3, 32, 32))).shape == (count, 3, 128, 128)
    contexts = loaded._engine.contexts
    assert [context.shape[0] for context in contexts] == [8, 1, 2, 4]
    assert {context.memory for context in contexts} == {(loaded._memory.data_ptr(), 4096)}


@pytest.mark.parametrize(
    ("words", "kind"), [("Cuda Runtime (out of memory)", OutOfMemory), ("misaligned address", EngineRefusal)]
)
def test_an_engine_that_cannot_run_says_why(loaded: TensorRtEngine, words: str, kind: type[PellucidError]) -> None:
    import torch

    loaded._engine.words = words
    loaded._logger.said.append(words)
    with pytest.raises(PellucidError, match=re.escape(f'TensorRT could not run "compact": {words}.')) as caught:
        loaded(torch.zeros((1, 3, 32, 32)))
    assert type(caught.value) is kind


KEY = EngineKey("compact []", "bf16", 512, 4, "tensorrt-rtx 1.7", "RTX 4090 8.9")


def test_engines_are_found_again_and_only_for_exactly_the_same(tmp_path: Path) -> None:
    cache = EngineCache(tmp_path / "engines")
    assert cache.load(KEY) is None
    assert cache.store(KEY, b"engine")
    assert cache.load(KEY) == b"engine"
    for field, value in {
        "structure": "x", "precision": "fp16", "side": 256, "batch": 2, "library": "1.8", "gpu": "H100", "layout": 2
    }.items():  # fmt: skip
        other = EngineKey(**{name: getattr(KEY, name) for name in KEY.__struct_fields__} | {field: value})
        assert cache.load(other) is None, field
    if os.name != "nt":
        assert (tmp_path / "engines").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("harm", ["truncated", "flipped", "gone", "sidecar broken", "sidecar of another"])
def test_a_harmed_entry_is_thrown_away(tmp_path: Path, harm: str) -> None:
    cache = EngineCache(tmp_path)
    cache.store(KEY, bytes(range(256)))
    engine, sidecar = tmp_path / f"{KEY.name}.engine", tmp_path / f"{KEY.name}.json"
    if harm == "truncated":
        engine.write_bytes(bytes(100))
    elif harm == "flipped":
        engine.write_bytes(bytes(range(1, 256)) + b"\0")
    elif harm == "gone":
        engine.unlink()
    elif harm == "sidecar broken":
        sidecar.write_bytes(b"\xff{")
    else:
        sidecar.write_bytes(sidecar.read_bytes().replace(b"RTX 4090", b"RTX 4080"))
    assert cache.load(KEY) is None
    assert list(tmp_path.iterdir()) == []
    assert cache.store(KEY, b"again")
    assert cache.load(KEY) == b"again"


def test_the_cache_keeps_to_its_size_and_a_full_disk_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_cache, "LARGEST_SIZE", 250)
    cache = EngineCache(tmp_path)
    keys = [EngineKey("net", "bf16", side, 1, "lib", "gpu") for side in (64, 128, 192)]
    for number, key in enumerate(keys):
        cache.store(key, bytes(100))
        os.utime(tmp_path / f"{key.name}.engine", (number, number))
    cache.store(KEY, bytes(100))
    assert [cache.load(key) is not None for key in keys] == [False, False, True]
    assert cache.load(KEY) is not None

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(engine_cache.os, "fsync", refuse)
    assert not cache.store(EngineKey("other", "bf16", 64, 1, "lib", "gpu"), bytes(10))
    assert not [path for path in tmp_path.iterdir() if path.suffix == ".part"]


def test_a_refused_engine_is_remembered_until_the_cache_is_cleared(tmp_path: Path) -> None:
    cache = EngineCache(tmp_path)
    cache.store(KEY, b"engine")
    cache.refuse(KEY, "It differed.")
    assert cache.load(KEY) is None
    assert cache.refusal(KEY) == "It differed."
    assert cache.refusals() == ["It differed."]
    assert cache.clear() > 0
    assert cache.refusal(KEY) == ""
    assert cache.size() == 0


def place_component(flavour: str, code: str) -> None:
    folder = component_folder(flavour) / find_flavour(flavour).module
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text(code, encoding="utf-8")


@pytest.fixture
def forget_imports() -> Iterator[None]:
    before = list(sys.path)
    yield
    sys.path[:] = before
    for flavour in FLAVOURS:
        sys.modules.pop(flavour.module, None)


@pytest.mark.usefixtures("forget_imports")
@pytest.mark.parametrize(
    "code",
    [
        "raise ImportError('libcuda.so.1: cannot open shared object file')",
        "raise RuntimeError('Found no NVIDIA driver\\nmore')",
        "assert False",
    ],
)
def test_a_component_that_cannot_be_loaded_is_told_of_in_a_sentence(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    flavour = find_flavour("tensorrt")
    if tensorrt_library.is_installed(flavour):
        pytest.skip("a real one is installed")
    with pytest.raises(PellucidError, match="not installed"):
        load_library(flavour)
    place_component("tensorrt", code)
    with pytest.raises(PellucidError, match="cannot be loaded") as caught:
        load_library(flavour)
    assert caught.value.code is Code.BACKEND_UNAVAILABLE
    assert "\n" not in caught.value.message


@pytest.mark.usefixtures("forget_imports")
def test_reports_tell_what_is_missing_without_importing_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    flavour = find_flavour("tensorrt")
    if tensorrt_library.is_installed(flavour):
        pytest.skip("a real one is installed")

    def report() -> Any:
        return next(report for report in backend_reports() if report.name == "tensorrt")

    assert "not installed" in report().reason
    assert installed_version(flavour) == ""
    place_component("tensorrt", "raise SystemExit('imported')")
    dist = component_folder("tensorrt") / "tensorrt_cu13_bindings-9.8.7.dist-info"
    dist.mkdir()
    (dist / "METADATA").write_text("Metadata-Version: 2.1\nName: tensorrt-cu13-bindings\nVersion: 9.8.7\n")
    assert installed_version(flavour) == "9.8.7"
    monkeypatch.setattr(choose, "cuda_devices", list)
    assert "no NVIDIA driver" in report().reason
    monkeypatch.setattr(choose, "cuda_devices", lambda: ["H100"])
    assert report().available
    assert "9.8.7" in report().devices[0]


def test_tensorrt_by_name_without_a_gpu_is_refused_in_a_sentence(small_model: MakeModel) -> None:
    for backend in ("tensorrt-rtx", "tensorrt"):
        with pytest.raises(PellucidError) as caught:
            open_session(small_model("compact"), backend=backend)
        assert caught.value.code is Code.BACKEND_UNAVAILABLE


def start_build(model: Model, monkeypatch: pytest.MonkeyPatch, code: str) -> EngineBuild:
    monkeypatch.setattr(tensorrt_builder, "_command", lambda: [sys.executable, "-c", code])
    return EngineBuild(model, flavour="tensorrt-rtx", precision="bf16", side=32, batch=2)


READ = "import json,sys; request = json.load(open(sys.argv[1])); "


def test_a_child_process_builds_and_its_failures_are_sentences(
    small_model: MakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = small_model("compact")
    write = READ + "print('noise'); open(request['engine'], 'wb').write(b'plan'); print(json.dumps({'engine': 'x'}))"
    build = start_build(model, monkeypatch, write)
    folder = Path(build._folder.name)
    assert build.wait(threading.Event()) == b"plan"
    assert not folder.exists()
    for code, words in {
        READ + "print(json.dumps({'error': 'This GPU is not supported.'})); sys.exit(1)": "not supported",
        "import sys; print('terminate called', file=sys.stderr); sys.exit(3)": "code 3 after: terminate called",
        "import os; os.kill(os.getpid(), 9)": "code -9",
    }.items():
        with pytest.raises(PellucidError, match=words):
            start_build(model, monkeypatch, code).wait(threading.Event())


def test_a_build_that_nobody_wants_any_more_is_killed(small_model: MakeModel, monkeypatch: pytest.MonkeyPatch) -> None:
    build = start_build(small_model("compact"), monkeypatch, "import time; time.sleep(600)")
    stopped = threading.Event()
    stopped.set()
    started = time.monotonic()
    assert build.wait(stopped) is None
    assert time.monotonic() - started < 20
    assert build._process.returncode is not None


def test_the_real_child_says_that_nothing_is_installed(small_model: MakeModel) -> None:
    if tensorrt_library.is_installed(find_flavour("tensorrt")):
        pytest.skip("a real one is installed")
    build = EngineBuild(small_model("compact"), flavour="tensorrt", precision="bf16", side=32, batch=2)
    with pytest.raises(PellucidError, match="tensorrt is not installed"):
        build.wait(threading.Event())

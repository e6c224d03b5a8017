"""The OpenVINO session gives what torch gives, keeps its weights apart from its graph, and fails in sentences."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from engine.errors import Cancelled, Code, OutOfMemory, PellucidError
from engine.models.arch import find_architecture
from engine.models.model import Model
from engine.runtime import openvino_cpu
from engine.runtime.openvino_cpu import OpenVinoSession, load_openvino, openvino_core
from engine.runtime.openvino_graph import bytes_per_pixel, split_graph
from engine.tiling.measure import natural_picture
from engine.tiling.run import TilingSettings, restore_tiles

MakeModel = Callable[..., Model]
CONVOLUTIONAL = [
    "compact",
    "msrresnet",
    "msrresnet-x3",
    "srresnet",
    "srresnet-tanh-x2",
    "rrdbnet",
    "rrdbnet-x2",
    "shufflemixer",
    "latticenet",
]


def run_torch(model: Model, picture: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The reference: (3, h, w) -> (3, h * scale, w * scale), both 0..1."""
    import torch

    torch.set_num_threads(1)
    architecture = find_architecture(model.card.architecture)
    args = architecture.read_arguments(model.card.arguments)
    network = architecture.torch_module(args).eval()
    network.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in model.weights.items()})
    before, after = architecture.ranges(args)
    batch = torch.from_numpy(picture[np.newaxis])
    with torch.inference_mode():
        result = network(batch * 2 - 1 if before == "-1..1" else batch)
    values: npt.NDArray[np.float32] = ((result + 1) / 2 if after == "-1..1" else result)[0].numpy()
    return values


def run_whole(session: OpenVinoSession, picture: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return session.run(picture[np.newaxis])[0]


def restore(session: OpenVinoSession, picture: npt.NDArray[np.float32], tile: int) -> npt.NDArray[np.float32]:
    rows: list[npt.NDArray[np.float32]] = []
    restore_tiles(
        picture,
        session,
        on_band=lambda top, bottom, band: rows.append(band.copy()),
        settings=TilingSettings(tile=tile),
    )
    return np.concatenate(rows).transpose(2, 0, 1)


@pytest.mark.parametrize("name", [*CONVOLUTIONAL, "swinir"])
def test_fp32_equals_torch(small_model: MakeModel, name: str) -> None:
    model = small_model(name)
    picture = natural_picture(48, 64, seed=2)
    result = run_whole(OpenVinoSession(model, precision="fp32"), picture)
    np.testing.assert_allclose(result, run_torch(model, picture), atol=2e-4)


@pytest.mark.parametrize("name", ["msrresnet", "rrdbnet-x2", "srresnet"])
def test_body_and_tail_equal_the_whole_graph(small_model: MakeModel, name: str) -> None:
    """Large enough for several pieces of the tail, and for a body compiled for this very shape."""
    model = small_model(name)
    picture = natural_picture(210, 250, seed=3)
    session = OpenVinoSession(model, precision="fp32")
    assert session.info.fixed_bytes > 0, "this network was not split"
    np.testing.assert_allclose(run_whole(session, picture), run_torch(model, picture), atol=2e-4)


def test_only_the_newest_large_shape_and_its_transpose_stay_in_memory(small_model: MakeModel) -> None:
    session = OpenVinoSession(small_model("msrresnet-x3"), precision="fp32")
    for height, width in ((200, 201), (201, 200), (200, 210), (210, 200), (205, 200)):
        picture = natural_picture(height, width, seed=3)
        first = run_whole(session, picture)
        np.testing.assert_array_equal(run_whole(session, picture), first)
        assert set(session._compiled) <= {(0, 0), (height, width), (width, height)}


@pytest.mark.parametrize("name", CONVOLUTIONAL)
def test_tiles_equal_the_whole_within_one_step_at_the_default_halo(small_model: MakeModel, name: str) -> None:
    # LatticeNet weighs channels by their mean over all it sees: nothing makes its tiles exact, but they come this near.
    model = small_model(name)
    session = OpenVinoSession(model, precision="fp32")
    multiple = session.info.multiple
    wide = session.info.halo > 40  # then only a picture wider than that is cut at all
    for height, width in ((41, 331),) if wide else ((101, 77), (64, 143), (33, 40)):
        picture = natural_picture(height, width, seed=4)
        # What a whole picture is to a network that needs multiples: continued by reflection, and cropped.
        padded = np.pad(picture, ((0, 0), (0, -height % multiple), (0, -width % multiple)), mode="reflect")
        scale = session.info.scale
        whole = run_whole(session, padded)[:, : height * scale, : width * scale]
        for tile in (60, 113) if wide else (24, 37, 64, 96):
            difference = np.abs(restore(session, picture, tile) - whole).max()
            assert difference <= 1 / 255, (height, width, tile)


@pytest.mark.parametrize("name", ["compact", "msrresnet", "shufflemixer"])
def test_a_hard_crop_without_a_halo_fails_that_test(small_model: MakeModel, name: str) -> None:
    """The habit of one peer, and the proof that the test above can fail."""
    session = OpenVinoSession(small_model(name), precision="fp32")
    picture = natural_picture(100, 100, seed=5)
    whole = run_whole(session, picture)
    rows: list[npt.NDArray[np.float32]] = []
    restore_tiles(
        picture,
        session,
        on_band=lambda top, bottom, band: rows.append(band.copy()),
        settings=TilingSettings(tile=50, halo=0),
    )
    assert np.abs(np.concatenate(rows).transpose(2, 0, 1) - whole).max() > 1 / 255


@pytest.mark.parametrize("name", ["compact", "srresnet", "rrdbnet-x2", "swinir"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_new_weights_equal_a_freshly_compiled_session_bit_for_bit(
    small_model: MakeModel, name: str, precision: str
) -> None:
    if precision not in openvino_cpu.supported_precisions():
        pytest.skip(f"this CPU has no {precision}")
    picture = natural_picture(32, 40, seed=6)
    first, second = small_model(name, seed=1), small_model(name, seed=2)
    session = OpenVinoSession(first, precision=precision)
    before = run_whole(session, picture)
    session.set_weights(second.weights)
    fresh = OpenVinoSession(second, precision=precision)
    np.testing.assert_array_equal(run_whole(session, picture), run_whole(fresh, picture))
    session.set_weights(first.weights)
    np.testing.assert_array_equal(run_whole(session, picture), before)
    assert np.abs(run_whole(fresh, picture) - before).max() > 0.01


def test_tiles_in_flight_finish_with_the_weights_they_began_with(small_model: MakeModel) -> None:
    models = [small_model("compact", seed=seed) for seed in range(3)]
    picture = natural_picture(64, 64, seed=7)
    expected = [run_whole(OpenVinoSession(model, precision="fp32"), picture) for model in models]
    session = OpenVinoSession(models[0], precision="fp32", streams=2, threads=2)
    ended = threading.Event()
    strange: list[float] = []
    runs = 0

    def keep_running() -> None:
        nonlocal runs
        while not ended.is_set():
            result = run_whole(session, picture)
            distance = min(float(np.abs(result - one).max()) for one in expected)
            if distance > 0:
                strange.append(distance)
            runs += 1

    threads = [threading.Thread(target=keep_running) for _ in range(3)]
    for thread in threads:
        thread.start()
    for turn in range(120):
        session.set_weights(models[turn % 3].weights)
        time.sleep(0.003)
    ended.set()
    for thread in threads:
        thread.join()
    assert runs > 10
    assert not strange, "a result mixed two sets of weights"


def test_weights_change_without_compiling_again(small_model: MakeModel, monkeypatch: pytest.MonkeyPatch) -> None:
    session = OpenVinoSession(small_model("msrresnet"), precision="fp32")
    picture = natural_picture(40, 40, seed=8)
    run_whole(session, picture)

    def refuse(self: object, model: object) -> None:
        raise AssertionError("something was compiled")

    monkeypatch.setattr(OpenVinoSession, "_compile", refuse)
    session.set_weights(small_model("msrresnet", seed=5).weights)
    run_whole(session, picture)


def test_the_callers_arrays_stay_his_own(small_model: MakeModel) -> None:
    model = small_model("compact")
    session = OpenVinoSession(model, precision="fp32")
    picture = natural_picture(24, 24, seed=9)
    before = run_whole(session, picture)
    for array in model.weights.values():
        array[...] = 0
    np.testing.assert_array_equal(run_whole(session, picture), before)


def test_weights_of_another_network_are_refused_by_name(small_model: MakeModel) -> None:
    session = OpenVinoSession(small_model("compact"), precision="fp32")
    weights = dict(small_model("compact").weights)
    weights["body.0.weight"] = np.zeros((16, 3, 5, 5), dtype=np.float32)
    with pytest.raises(PellucidError, match=r"body\.0\.weight") as caught:
        session.set_weights(weights)
    assert caught.value.code is Code.MODELS_DIFFER


def test_a_running_tile_ends_soon_when_interrupted(small_model: MakeModel) -> None:
    session = OpenVinoSession(small_model("rrdbnet"), precision="fp32", streams=1, threads=1)
    picture = natural_picture(200, 200, seed=10)
    small = natural_picture(16, 16, seed=10)
    before = run_whole(session, small)
    outcome: list[BaseException | None] = []

    def run() -> None:
        try:
            run_whole(session, picture)
            outcome.append(None)
        except Cancelled as error:
            outcome.append(error)

    started = time.perf_counter()
    run_whole(session, picture)
    uninterrupted = time.perf_counter() - started
    thread = threading.Thread(target=run)
    thread.start()
    time.sleep(uninterrupted / 4)
    started = time.perf_counter()
    session.interrupt()
    thread.join()
    assert isinstance(outcome[0], Cancelled)
    assert time.perf_counter() - started < uninterrupted / 2
    np.testing.assert_array_equal(run_whole(session, small), before)


def test_a_tile_that_cannot_fit_is_refused_before_it_is_tried(
    small_model: MakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = OpenVinoSession(small_model("compact"), precision="fp32")
    picture = natural_picture(100, 100, seed=11)
    whole = run_whole(session, picture)
    fresh = OpenVinoSession(small_model("compact"), precision="fp32")
    monkeypatch.setattr(openvino_cpu, "available_memory", lambda: int(fresh.info.bytes_per_pixel * 90 * 90))
    with pytest.raises(OutOfMemory):
        run_whole(fresh, picture)
    # The tiler divides, and the result is the same.
    divided = restore(fresh, picture, tile=100)
    np.testing.assert_allclose(divided, whole, atol=1e-5)


def test_fp16_is_refused_in_a_sentence(small_model: MakeModel) -> None:
    with pytest.raises(PellucidError, match="not in fp16") as caught:
        OpenVinoSession(small_model("compact"), precision="fp16")
    assert caught.value.code is Code.BACKEND_UNAVAILABLE


def test_a_cpu_that_only_says_it_can_bf16_computes_in_fp32(
    small_model: MakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    compile_model = OpenVinoSession._compile

    def fail_in_bf16(self: OpenVinoSession, model: object) -> object:
        if self._precision == "bf16":
            raise RuntimeError("primitive not found")
        return compile_model(self, model)

    monkeypatch.setattr(OpenVinoSession, "_compile", fail_in_bf16)
    session = OpenVinoSession(small_model("compact"), precision="bf16")
    assert session.info.precision == "fp32"
    run_whole(session, natural_picture(16, 16, seed=12))


def test_a_closed_session_says_so(small_model: MakeModel) -> None:
    session = OpenVinoSession(small_model("compact"), precision="fp32")
    session.close()
    with pytest.raises(PellucidError, match="closed"):
        run_whole(session, natural_picture(16, 16, seed=13))


@pytest.mark.parametrize("name", ["msrresnet", "rrdbnet", "srresnet", "shufflemixer"])
def test_the_body_takes_a_fraction_of_the_memory_of_the_whole(small_model: MakeModel, name: str) -> None:
    model = small_model(name)
    architecture = find_architecture(model.card.architecture)
    args = architecture.read_arguments(model.card.arguments)
    graph = architecture.openvino_graph(args, model.weights, None)
    split = split_graph(graph.model)
    assert split is not None
    assert bytes_per_pixel(split.body, 4) < bytes_per_pixel(graph.model, 4) / 2
    assert 1 <= split.tail_radius <= 6


def test_convolutions_are_not_surrounded_by_reorders(small_model: MakeModel) -> None:
    """Two ways of writing a PReLU make the plugin change the layout around every convolution, at almost four times the
    cost; this counts how the graph was really executed."""
    openvino = load_openvino()
    model = small_model("compact")
    architecture = find_architecture("compact")
    graph = architecture.openvino_graph(architecture.read_arguments(model.card.arguments), model.weights, None)
    compiled = openvino_core().compile_model(
        graph.model, "CPU", {"PERF_COUNT": True, "INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    )
    request = compiled.create_infer_request()
    for place, array in enumerate(graph.arrays(model.weights), start=1):
        request.set_input_tensor(place, openvino.Tensor(array))
    request.set_input_tensor(0, openvino.Tensor(natural_picture(64, 64, seed=14)[np.newaxis].copy()))
    request.infer()
    executed = [entry for entry in request.profiling_info if entry.real_time.total_seconds() > 0]
    convolutions = [entry for entry in executed if entry.node_type == "Convolution"]
    # Of pictures, not of weights: those are inputs, and are brought into order at every call.
    reorders = [entry for entry in executed if entry.node_type == "Reorder" and "weight" not in entry.node_name]
    assert len(convolutions) == 18
    assert len(reorders) <= 4, [entry.node_name for entry in reorders]


def test_a_restore_loads_neither_torch_nor_telemetry(tmp_path: Path) -> None:
    """Even where somebody else installed OpenVINO's statistics package, it is not so much as imported."""
    spy = tmp_path / "openvino_telemetry"
    spy.mkdir()
    (spy / "__init__.py").write_text(f"open({str(tmp_path / 'called')!r}, 'w').close()\nclass Telemetry: pass\n")
    program = """
import sys
import numpy as np
from engine.models.arch import find_architecture
from engine.models.card import Card
from engine.models.model import Model
from engine.runtime.choose import backend_reports, open_session
from engine.tiling.run import restore_tiles
architecture = find_architecture("compact")
args = architecture.read_arguments({"features": 8, "convolutions": 2})
weights = {n: np.zeros(s, np.float32) for n, s in architecture.parameter_shapes(args).items()}
card = Card(name="probe", architecture="compact", arguments=architecture.write_arguments(args))
assert any(report.available for report in backend_reports())
session = open_session(Model(card, weights), backend="openvino")
rows = []
restore_tiles(np.random.rand(3, 40, 40).astype(np.float32), session, on_band=lambda a, b, band: rows.append(b))
assert rows[-1] == 160
loaded = [name for name in ("torch", "onnx", "spandrel", "cv2") if name in sys.modules]
assert not loaded, loaded
assert sys.modules["openvino_telemetry"] is None
"""
    root = Path(__file__).parents[2]
    path = f"{tmp_path}{':' if sys.platform != 'win32' else ';'}{root}"
    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "called").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
def test_a_signal_is_heard_after_another_thread_has_dropped_a_session() -> None:
    """OpenVINO lends its first thread a stack for signals, and must not take it away under its feet."""
    program = """
import gc, os, signal, threading
from engine.models.library import find_model
from engine.runtime.choose import open_session
signal.signal(signal.SIGUSR1, lambda number, frame: print("heard", flush=True))
sessions = [open_session(find_model("photo-compact"), backend="openvino")]
def drop():
    sessions.clear()
    gc.collect()
thread = threading.Thread(target=drop)
thread.start()
thread.join()
os.kill(os.getpid(), signal.SIGUSR1)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=Path(__file__).parents[2], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "heard\n"), done.stderr


@pytest.mark.parametrize("name", ["compact", "srresnet", "rrdbnet-x2", "swinir"])
def test_a_frozen_session_gives_what_torch_gives_and_keeps_its_weights(small_model: MakeModel, name: str) -> None:
    model = small_model(name)
    picture = natural_picture(48, 64, seed=2)
    session = OpenVinoSession(model, precision="fp32", frozen=True)
    np.testing.assert_allclose(run_whole(session, picture), run_torch(model, picture), atol=2e-4)
    with pytest.raises(PellucidError, match="frozen"):
        session.set_weights(model.weights)

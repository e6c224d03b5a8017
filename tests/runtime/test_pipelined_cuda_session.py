"""The session for GPUs, run step for step on the CPU: batches, recordings, weights in place, memory that runs out."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from engine.errors import Cancelled, Code, DeviceLost, OutOfMemory, PellucidError
from engine.models.blend import BlendedWeights, blend
from engine.models.model import Model
from engine.runtime import choose, torch_cuda, torch_device
from engine.runtime.choose import open_session
from engine.runtime.fleet import FleetSession
from engine.runtime.pipeline import PipelinedSession
from engine.runtime.session import PackedTile
from engine.runtime.tile_choice import (
    MemoryNeed,
    TileChoice,
    choose_tile,
    known_need,
    largest_host_side,
    measure_need,
    remember_need,
)
from engine.runtime.torch_cuda import pipelined_torch_session
from engine.runtime.torch_device import HostDevice, find_cuda_device, place_of_name
from engine.tiling.measure import natural_picture
from engine.tiling.plan import plan_tiles
from engine.tiling.run import TilingSettings, find_fault, restore_tiles
from engine.tiling.source import InterleavedSource

MakeModel = Callable[..., Model]
Open = Callable[..., PipelinedSession]


@pytest.fixture
def open_pipelined(monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """open(model, precision="fp32", side=64, batch=4, device=HostDevice()) -> session"""
    opened = []

    def open_it(
        model: Model, precision: Any = "fp32", side: int = 64, batch: int = 4, device: HostDevice | None = None
    ) -> PipelinedSession:
        monkeypatch.setattr(torch_cuda, "choose_tile", lambda *_, **__: TileChoice(side, batch))
        opened.append(pipelined_torch_session(model, device or HostDevice(), precision))
        return opened[-1]

    yield open_it
    for session in opened:
        session.close()


def tiles(count: int, height: int = 24, width: int = 40) -> Any:
    return np.stack([natural_picture(height, width, seed=seed) for seed in range(count)])


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("name", ["compact", "msrresnet", "srresnet-tanh-x2", "rrdbnet-x2", "swinir", "latticenet"])
def test_batches_and_recordings_equal_the_eager_session(
    small_model: MakeModel, open_pipelined: Open, name: str, precision: str
) -> None:
    model = small_model(name)
    eager = open_session(model, backend="torch", device="cpu", precision=precision)
    device = HostDevice()
    session = open_pipelined(model, precision, device=device)
    batch = tiles(6)
    expected = np.concatenate([eager.run(batch[i : i + 1]) for i in range(len(batch))])
    bound = 1e-5 if precision == "fp32" else 4 / 255
    for _ in range(4):  # from the third time on recorded
        np.testing.assert_allclose(session.run(batch), expected, atol=bound)
    assert device.recorded > 0
    eager.close()


def test_tiles_of_many_threads_and_shapes_come_back_to_who_asked(small_model: MakeModel, open_pipelined: Open) -> None:
    model = small_model("compact")
    session = open_pipelined(model)
    eager = open_session(model, backend="torch", device="cpu", precision="fp32")
    windows = [natural_picture(16 + 8 * (k % 3), 24, seed=k)[np.newaxis] for k in range(24)]
    with ThreadPoolExecutor(12) as pool:
        results = list(pool.map(session.run, windows))
    for window, result in zip(windows, results, strict=True):
        np.testing.assert_allclose(result, eager.run(window), atol=1e-5)


def test_packed_tiles_are_the_rounded_floats(small_model: MakeModel, open_pipelined: Open) -> None:
    session = open_pipelined(small_model("compact"))
    window = np.rint(natural_picture(24, 32, seed=3).transpose(1, 2, 0) * 255).astype(np.uint8)
    packed = session.run_packed(window)
    floats = session.run(np.divide(window.transpose(2, 0, 1), np.float32(255), dtype=np.float32)[np.newaxis])[0]
    expected = np.rint(np.clip(floats.transpose(1, 2, 0) * np.float32(255), 0, 255)).astype(np.uint8)
    assert packed.finite
    difference = np.abs(packed.pixels.astype(int) - expected)
    assert difference.max() <= 1, "a value between two steps may fall to either side"
    assert (difference > 0).mean() < 1e-3


def test_packed_tiles_tell_of_values_that_are_no_numbers(small_model: MakeModel, open_pipelined: Open) -> None:
    model = small_model("compact")
    broken = {name: np.where(array == array.flat[0], np.nan, array) for name, array in model.weights.items()}
    session = open_pipelined(Model(model.card, broken))
    assert not session.run_packed(np.zeros((16, 16, 3), np.uint8)).finite


def test_graphs_are_not_recorded_again_once_they_took_the_memory(small_model: MakeModel, open_pipelined: Open) -> None:
    device = HostDevice()
    session = open_pipelined(small_model("compact"), device=device)
    session._network = network = HoardingNetwork(session._network, 1 << 30)
    for _ in range(3):
        network.pixels = 1 << 30
        for _ in range(4):
            session.run(tiles(1))
        network.pixels = 0
        with pytest.raises(OutOfMemory):
            session.run(tiles(1))
    assert device.recorded == 1


def test_weights_change_under_a_recording_and_only_for_later_tiles(
    small_model: MakeModel, open_pipelined: Open
) -> None:
    first, second = small_model("msrresnet"), small_model("msrresnet", seed=5)
    session = open_pipelined(first)
    tile = tiles(1)
    for _ in range(4):
        before = session.run(tile)
    session.set_weights(second.weights)
    eager = open_session(second, backend="torch", device="cpu", precision="fp32")
    np.testing.assert_allclose(session.run(tile), eager.run(tile), atol=1e-5)
    session.set_weights(first.weights)
    np.testing.assert_array_equal(session.run(tile), before)


@pytest.mark.parametrize("name", ["compact", "srresnet"])
def test_a_blend_is_mixed_where_its_halves_lie(small_model: MakeModel, open_pipelined: Open, name: str) -> None:
    psnr, gan = small_model(name), small_model(name, seed=5)
    session = open_pipelined(psnr)
    tile = tiles(1)
    for alpha in (0.3, 0.0, 0.85, 1.0):
        mixed = blend(psnr, gan, alpha)
        assert isinstance(mixed.weights, BlendedWeights)
        session.set_weights(mixed.weights)
        assert mixed.weights._mixed is None, "the host mixed nothing"
        eager = open_session(mixed, backend="torch", device="cpu", precision="fp32")
        np.testing.assert_allclose(session.run(tile), eager.run(tile), atol=1e-5)


def test_weights_of_another_network_are_refused_and_the_old_ones_stay(
    small_model: MakeModel, open_pipelined: Open
) -> None:
    session = open_pipelined(small_model("compact"))
    before = session.run(tiles(1))
    with pytest.raises(PellucidError) as caught:
        session.set_weights(small_model("rrdbnet-x2").weights)
    assert caught.value.code is Code.MODELS_DIFFER
    np.testing.assert_array_equal(session.run(tiles(1)), before)


def fail_above(session: PipelinedSession, pixels: int, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Lets the network run out of memory for more pixels at a time than these; the shapes it was asked for."""
    import torch

    network, asked = session._network, []

    def run(picture: Any) -> Any:
        asked.append(tuple(picture.shape))
        if picture.shape[0] * picture.shape[2] * picture.shape[3] > pixels:
            raise torch.OutOfMemoryError("injected")
        return network(picture)

    monkeypatch.setattr(session, "_network", run)
    return asked


def test_too_little_memory_for_a_batch_means_smaller_batches(
    small_model: MakeModel, open_pipelined: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = small_model("compact")
    session = open_pipelined(model, batch=8)
    asked = fail_above(session, 2 * 24 * 40, monkeypatch)
    eager = open_session(model, backend="torch", device="cpu", precision="fp32")
    batch = tiles(8)
    expected = np.concatenate([eager.run(batch[i : i + 1]) for i in range(8)])
    np.testing.assert_allclose(session.run(batch), expected, atol=1e-5)
    assert max(shape[0] for shape in asked[-4:]) == 2


def test_too_little_memory_for_one_tile_is_told_by_class_and_the_picture_still_whole(
    small_model: MakeModel, open_pipelined: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = small_model("compact")
    session = open_pipelined(model, side=96)
    fail_above(session, 70 * 70, monkeypatch)
    with pytest.raises(OutOfMemory):
        session.run(tiles(1, 80, 80))
    picture = np.rint(natural_picture(90, 120, seed=3).transpose(1, 2, 0) * 255).astype(np.uint8)
    eager = open_session(model, backend="torch", device="cpu", precision="fp32")
    whole = eager.run(np.divide(picture.transpose(2, 0, 1), np.float32(255), dtype=np.float32)[np.newaxis])[0]
    rows: list[Any] = []
    report = restore_tiles(InterleavedSource(picture), session, on_band=lambda *band: rows.append(band[2]), packed=True)
    assert report.divided > 0
    assert {piece.dtype.name for piece in rows} == {"uint8"}
    difference = np.abs(np.concatenate(rows) - np.clip(whole.transpose(1, 2, 0), 0, 1) * 255)
    assert difference.max() < 1


def test_buffers_of_the_device_come_from_the_stream_that_writes_to_them(
    small_model: MakeModel, open_pipelined: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    inside: list[str] = []

    class NamedStream(torch_device._HostStream):
        def __init__(self, name: str) -> None:
            self.name = name

        def __enter__(self) -> None:
            inside.append(self.name)

        def __exit__(self, *exception: object) -> None:
            inside.pop()

    class DeviceOfNamedStreams(HostDevice):
        streams = 0

        def stream(self, *, urgent: bool = False) -> NamedStream:
            self.streams += 1
            return NamedStream("compute" if urgent else ("upload", "?", "download")[self.streams - 1])

    taken = {}
    empty = torch.empty

    def spy(shape: Any, **options: Any) -> Any:
        if "device" in options and threading.current_thread().name.startswith("pipeline"):
            taken[tuple(shape)] = inside[-1] if inside else "the thread's own"
        return empty(shape, **options)

    session = open_pipelined(small_model("compact"), device=DeviceOfNamedStreams())
    monkeypatch.setattr(torch, "empty", spy)
    session.run_packed(np.zeros((24, 40, 3), np.uint8))
    assert taken == {(1, 24, 40, 3): "upload", (1, 96, 160, 3): "compute", (1,): "compute"}


class HoardingNetwork:
    """Runs out of memory above some pixels at a time, holding an activation; how many of those of earlier runs were
    still alive at each run."""

    def __init__(self, network: Any, pixels: int, failure: type[Exception] | None = None, words: str = "injected"):
        import torch

        self.network = network
        self.pixels = pixels
        self.failure = failure or torch.OutOfMemoryError
        self.words = words
        self.activations: list[weakref.ref[Any]] = []
        self.alive: list[int] = []

    def __call__(self, picture: Any) -> Any:
        self.alive.append(sum(reference() is not None for reference in self.activations))
        activation = picture.repeat(1, 8, 1, 1)
        self.activations.append(weakref.ref(activation))
        if picture.shape[0] * picture.shape[2] * picture.shape[3] > self.pixels:
            try:
                raise self.failure(f"first {self.words}")
            except RuntimeError as error:  # as libraries do: the chain must not hold the activation either
                raise self.failure(self.words) from error
        return self.network(picture)


@pytest.mark.parametrize(("failure", "words"), [(None, "x"), (RuntimeError, "CUDA error: out of memory")])
@pytest.mark.parametrize("packed", [False, True])
def test_a_failed_run_holds_no_memory_while_less_is_tried(
    small_model: MakeModel, open_pipelined: Open, packed: bool, failure: Any, words: str
) -> None:
    session = open_pipelined(small_model("compact"), side=96, batch=4)
    session._network = network = HoardingNetwork(session._network, 70 * 70, failure, words)
    picture = np.rint(natural_picture(170, 130, seed=3).transpose(1, 2, 0) * 255).astype(np.uint8)
    report = restore_tiles(InterleavedSource(picture), session, on_band=lambda *band: None, packed=packed)
    assert report.divided > 0
    assert len(network.alive) > 10
    assert set(network.alive) == {0}


def test_a_failed_run_of_the_eager_session_holds_no_memory(small_model: MakeModel) -> None:
    session = open_session(small_model("compact"), backend="torch", device="cpu", precision="fp32")
    session._network = network = HoardingNetwork(session._network, 40 * 40)
    try:
        session.run(tiles(1, 64, 64))
    except OutOfMemory:
        # Still in the handler, as a caller may be.
        session.run(tiles(1, 32, 32))
    assert network.alive == [0, 0]


@pytest.mark.parametrize("name", ["compact", "swinir"])
@pytest.mark.parametrize(("height", "width"), [(130, 171), (64, 64), (40, 200), (7, 5)])
def test_tiles_of_one_size_equal_the_whole_packed_and_as_floats(
    small_model: MakeModel, open_pipelined: Open, name: str, height: int, width: int
) -> None:
    model = small_model(name)
    session = open_pipelined(model, side=96)
    picture = np.rint(natural_picture(height, width, seed=4).transpose(1, 2, 0) * 255).astype(np.uint8)
    whole_at_once = open_session(model, backend="torch", device="cpu", precision="fp32")
    planes = InterleavedSource(picture)[0:3, 0:height, 0:width]
    whole = np.clip(whole_at_once.run(planes[np.newaxis])[0].transpose(1, 2, 0), 0, 1) * 255
    for packed in (False, True):
        rows: list[Any] = []
        report = restore_tiles(
            InterleavedSource(picture),
            session,
            on_band=lambda *band, rows=rows: rows.append(band[2].copy()),
            packed=packed,
        )
        result = np.concatenate(rows)
        if not packed:
            result = np.clip(result, 0, 1) * 255
        reads = {(tile.rows.read, tile.columns.read) for tile in report.plan.tiles()}
        assert len(reads) == 1, "one shape for the device"
        # What rounding adds, and for attention what its windows see of the cut.
        assert np.abs(result - whole).max() <= (1.01 if name == "compact" else 3)


def test_broken_packed_tiles_are_repeated_as_floats_in_higher_precision(
    small_model: MakeModel, open_pipelined: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = small_model("compact")
    weak, strong = open_pipelined(model, "bf16"), open_pipelined(model)
    black = np.zeros((48 * 4, 48 * 4, 3), np.uint8)
    monkeypatch.setattr(weak, "run_packed", lambda window: PackedTile(black, True))
    monkeypatch.setattr(weak, "run", lambda batch: np.zeros((1, 3, 192, 192), np.float32))
    picture = np.rint(natural_picture(48, 48, seed=4).transpose(1, 2, 0) * 255).astype(np.uint8)
    rows: list[Any] = []
    report = restore_tiles(
        InterleavedSource(picture),
        weak,
        on_band=lambda *band: rows.append(band[2]),
        stronger=lambda: strong,
        packed=True,
    )
    assert report.bad_precisions == ("bf16",)
    result = np.concatenate(rows)
    assert find_fault(picture.transpose(2, 0, 1) / np.float32(255), result.transpose(2, 0, 1) / np.float32(255)) == ""


def test_a_flat_picture_stays_flat_and_is_no_fault(small_model: MakeModel, open_pipelined: Open) -> None:
    session = open_pipelined(small_model("compact"))
    white = np.full((40, 40, 3), 255, np.uint8)
    rows: list[Any] = []
    restore_tiles(InterleavedSource(white), session, on_band=lambda *band: rows.append(band[2]), packed=True)
    assert np.concatenate(rows).shape == (160, 160, 3)


def test_interrupting_drops_what_has_not_started_and_closing_refuses_more(
    small_model: MakeModel, open_pipelined: Open
) -> None:
    session = open_pipelined(small_model("compact"))
    held, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        held.set()
        go_on.wait()

    holder = threading.Thread(target=lambda: session.between_batches(hold))
    holder.start()
    held.wait()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(session.run, tiles(1))
        while not session._waiting:
            pass
        session.interrupt()
        go_on.set()
        with pytest.raises(Cancelled):
            running.result()
    holder.join()
    assert session.run(tiles(1)).shape == (1, 3, 96, 160)
    session.close()
    with pytest.raises(PellucidError, match="closed"):
        session.run(tiles(1))


def test_several_devices_share_the_tiles_and_the_weights(small_model: MakeModel, open_pipelined: Open) -> None:
    model, other = small_model("compact"), small_model("compact", seed=4)
    members = [open_pipelined(model, side=96), open_pipelined(model, side=64, batch=2)]
    fleet = FleetSession(members)
    assert fleet.info.streams == sum(member.info.streams for member in members)
    assert fleet.info.read_side == 64
    eager = open_session(other, backend="torch", device="cpu", precision="fp32")
    fleet.set_weights(other.weights)
    used = set()
    for number, member in enumerate(members):
        run = member.run
        member.run = lambda batch, number=number, run=run: (used.add(number), run(batch))[1]
    windows = [tiles(1) for _ in range(16)]
    with ThreadPoolExecutor(8) as pool:
        for window, result in zip(windows, pool.map(fleet.run, windows), strict=True):
            np.testing.assert_allclose(result, eager.run(window), atol=1e-5)
    assert used == {0, 1}


def test_when_one_of_several_devices_is_lost_the_others_go_on(small_model: MakeModel, open_pipelined: Open) -> None:
    model, other = small_model("compact"), small_model("compact", seed=4)
    members = [open_pipelined(model), open_pipelined(model)]
    fleet = FleetSession(members)
    lost, run = DeviceLost("gpu7 stopped working."), members[0].run
    asked: list[int] = []

    def fail(batch: Any) -> Any:
        asked.append(1)
        raise lost

    members[0].run = fail
    windows = [tiles(1) for _ in range(6)]
    with ThreadPoolExecutor(3) as pool:
        for window, result in zip(windows, pool.map(fleet.run, windows), strict=True):
            np.testing.assert_array_equal(result, run(window))
    assert 1 <= len(asked) <= 3
    assert fleet.info.streams == members[1].info.streams
    assert fleet.take_notices() == ["gpu7 stopped working. The work goes on without it."]
    members[0].set_weights = lambda weights: fail(None)
    fleet.set_weights(other.weights)
    members[1].set_weights = lambda weights: fail(None)
    with pytest.raises(DeviceLost, match="gpu7"):
        fleet.set_weights(model.weights)
    fleet.close()
    with pytest.raises(PellucidError, match="closed"):
        run(tiles(1))


def test_tiles_grow_with_free_memory_and_shrink_beside_others() -> None:
    need = MemoryNeed(per_pixel=4000, largest=1024, fixed=1e8)
    sides = [choose_tile(need, free, shared=False, halo=18).side for free in (int(3e8), int(1e9), int(8e10))]
    assert sides == sorted(sides)
    assert sides[0] < sides[-1]
    for free in (int(1e9), int(8e9), int(8e10)):
        alone, beside = (choose_tile(need, free, shared=shared, halo=18) for shared in (False, True))
        assert need.of(alone.side**2 * alone.batch) <= free
        assert need.of(beside.side**2 * beside.batch) <= free / 2
        assert alone.batch & (alone.batch - 1) == 0
    assert (
        choose_tile(need, int(8e10), shared=False, halo=96).side
        > choose_tile(need, int(8e10), shared=False, halo=18).side
    )
    assert choose_tile(need, 0, shared=True, halo=96) == TileChoice(128, 1), "the tiler divides what does not fit"
    assert choose_tile(need, int(8e10), shared=False, halo=96, host_side=700).side == 640
    assert largest_host_side(16 << 30, 4, 5) ** 2 * 12 * 16 * 5 <= 8 << 30


@pytest.mark.parametrize("halo", [18, 40, 96])
@pytest.mark.parametrize("largest", [64, 540, 1024, 4096])
def test_no_tensor_grows_beyond_what_32_bits_count_however_large_the_memory(halo: int, largest: int) -> None:
    for free in (8e9, 24e9, 80e9, 141e9, 1e12):
        for per_pixel in (500, 7000, 12000):
            choice = choose_tile(MemoryNeed(per_pixel, largest), int(free), shared=False, halo=halo)
            assert choice.batch * choice.side**2 * largest < 2**31
    # And no smaller than that asks for: the halo of a deep network makes small tiles dear.
    assert choose_tile(MemoryNeed(7000, 1024), int(141e9), shared=False, halo=96) == TileChoice(1408, 1)


@pytest.mark.parametrize(("name", "largest"), [("rrdbnet", 8 * 16), ("msrresnet", 8 * 16), ("compact", 3 * 16)])
def test_the_largest_tensor_of_a_network_is_found(small_model: MakeModel, name: str, largest: int) -> None:
    import torch

    network = torch_cuda.TorchNetwork(small_model(name), torch.device("cpu"), "fp32")
    assert torch_cuda.largest_tensor(network) == largest
    assert not any(module._forward_hooks for module in network.module.modules())


def test_a_tile_that_the_device_cannot_count_is_divided(small_model: MakeModel, open_pipelined: Open) -> None:
    session = open_pipelined(small_model("compact"), side=96, batch=8)
    session._most_pixels = 3 * 80 * 80
    asked = fail_above(session, 1 << 30, pytest.MonkeyPatch())
    session.run(tiles(8, 80, 80))
    assert {shape[0] for shape in asked} == {2}
    picture = np.zeros((300, 300, 3), np.uint8)
    report = restore_tiles(
        InterleavedSource(picture), session, on_band=lambda *band: None, settings=TilingSettings(tile=200), packed=True
    )
    assert report.divided > 0
    assert max(shape[0] * shape[2] * shape[3] for shape in asked) <= 3 * 80 * 80


def test_measured_needs_are_remembered_and_a_broken_file_is_measured_again(own_home: Any) -> None:
    need = measure_need(lambda side: int(5e6 + 1000 * side * side), lambda: 64)
    assert need is not None
    assert need.largest == 64
    assert need.per_pixel == pytest.approx(1000)
    assert need.fixed == pytest.approx(5e6)
    assert known_need("a") is None
    remember_need("a", need)
    remember_need("b", MemoryNeed(1.0, 1.0))
    assert known_need("a") == need
    path = own_home / "cache" / "pellucid" / "calibration.json"
    for text in ("{", "[]", '{"a": {"per_pixel": "much"}}', '{"a": 7}', '{"a": {"per_pixel": 1}}'):
        path.write_text(text, encoding="utf-8")
        assert known_need("a") is None
    remember_need("a", need)
    assert known_need("a") == need


class DyingDevice(HostDevice):
    """Fails for good at some time, as a GPU does after an illegal access."""

    dead = False

    def event(self) -> Any:
        if self.dead:
            raise RuntimeError("CUDA error: an illegal memory access was encountered\nmore words")
        return super().event()

    def release_memory(self) -> None:
        self.event()


def test_when_a_device_is_lost_whoever_waits_is_told_and_whoever_comes(
    small_model: MakeModel, open_pipelined: Open
) -> None:
    device = DyingDevice()
    session = open_pipelined(small_model("compact"), batch=1, device=device)
    held, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        held.set()
        go_on.wait()
        device.dead = True

    with ThreadPoolExecutor(4) as pool:
        pool.submit(session.between_batches, hold)
        held.wait()
        waiting = [pool.submit(session.run, tiles(1)) for _ in range(2)]
        while len(session._waiting) < 2:
            pass
        waiting.append(pool.submit(session.set_weights, {}))
        while len(session._waiting) < 3:
            pass
        go_on.set()
        for one in waiting:
            with pytest.raises(
                PellucidError, match=r"cpu stopped working \(CUDA error: an illegal memory access"
            ) as caught:
                one.result(30)
            assert caught.value.code is Code.BACKEND_UNAVAILABLE
            assert "more words" not in str(caught.value)
    for ask in (lambda: session.run(tiles(1)), lambda: session.use_compiled(None)):
        with pytest.raises(PellucidError, match="stopped working"):
            ask()
    session.close()


def test_a_device_that_is_lost_under_new_weights_tells_all(small_model: MakeModel, open_pipelined: Open) -> None:
    device = DyingDevice()
    session = open_pipelined(small_model("compact"), device=device)
    session.check()

    def break_it() -> None:
        device.dead = True
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    for ask in (lambda: session.between_batches(break_it), session.check, lambda: session.run(tiles(1))):
        with pytest.raises(DeviceLost, match="illegal memory access"):
            ask()


def test_work_that_fails_on_a_sound_device_is_no_loss(small_model: MakeModel, open_pipelined: Open) -> None:
    session = open_pipelined(small_model("compact"))

    def fail() -> None:
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        session.between_batches(fail)
    session.check()
    assert session.run(tiles(1)).shape == (1, 3, 96, 160)


def test_a_gpu_that_cannot_be_opened_any_more_is_lost(small_model: MakeModel, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(device: str) -> None:
        raise RuntimeError("CUDA error: unspecified launch failure\nCompile with TORCH_USE_CUDA_DSA")

    monkeypatch.setattr(torch_cuda, "CudaDevice", fail)
    with pytest.raises(DeviceLost, match=r"^cuda:3 stopped working \(CUDA error: unspecified launch failure\)\. Start"):
        torch_cuda.open_torch_cuda(small_model("compact"), device="cuda:3", precision="fp32")


def test_a_device_that_is_lost_under_a_tile_it_had_taken_tells_all(
    small_model: MakeModel, open_pipelined: Open
) -> None:
    """The fault shows where the result is waited for."""
    device = DyingDevice()
    session = open_pipelined(small_model("compact"), batch=1, device=device)
    session.run(tiles(1))
    (lane,) = session._lanes.values()
    error = RuntimeError("CUDA error: unspecified launch failure")

    def fail() -> None:
        device.dead = True
        raise error

    for slot in lane._slots:
        slot.downloaded.wait = fail
        slot.issued = False  # so that the next batch does not meet it first
    for _ in range(2):
        with pytest.raises(DeviceLost, match=r"cpu stopped working \(CUDA error: unspecified launch failure\)"):
            session.run(tiles(1))
    session.close()


def test_a_batch_of_which_one_tile_fails_leaves_room_for_the_next(small_model: MakeModel, open_pipelined: Open) -> None:
    session = open_pipelined(small_model("compact"), batch=1)
    network, runs = session._network, 0

    def fail_first(picture: Any) -> Any:
        nonlocal runs
        runs += 1
        if runs % 2:
            raise ValueError
        return network(picture)

    session._network = fail_first
    for _ in range(4):
        session.use_compiled(None)
        with pytest.raises(ValueError):
            session.run(tiles(2))
    session._network = network
    session.use_compiled(None)
    assert session.run(tiles(6)).shape == (6, 3, 96, 160)


class FullDevice(HostDevice):
    """Has memory for the weights, and no more."""

    def peak_of(self, work: Callable[[], object]) -> int:
        import torch

        raise torch.OutOfMemoryError("full")


def test_a_session_opens_where_there_is_no_memory_to_measure_with(small_model: MakeModel, own_home: Any) -> None:
    session = pipelined_torch_session(small_model("compact"), FullDevice(1 << 20), "fp32")
    assert session.info.read_side == 128
    assert session.run(tiles(1)).shape == (1, 3, 96, 160)
    session.close()
    assert not list(own_home.rglob("calibration.json")), "an estimate is not remembered"


class CountingDevice(HostDevice):
    def peak_of(self, work: Callable[[], object]) -> int:
        work()
        self.counted = getattr(self, "counted", 0) + 1
        return self.counted // 2 << 20


def test_what_was_measured_once_is_not_measured_again(small_model: MakeModel) -> None:
    devices = CountingDevice(), CountingDevice()
    for device in devices:
        device.counted = 99
        pipelined_torch_session(small_model("compact"), device, "fp32").close()
    assert [device.counted for device in devices] == [103, 99]


def test_weights_that_do_not_fit_beside_the_old_ones_are_told_by_class(
    small_model: MakeModel, open_pipelined: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = open_pipelined(small_model("compact"))
    before = session.run(tiles(1))
    fail_above(session, 0, monkeypatch)
    monkeypatch.setattr(session, "_load", session._network)
    with pytest.raises(OutOfMemory, match="compact"):
        session.set_weights(tiles(1))
    monkeypatch.undo()
    np.testing.assert_array_equal(session.run(tiles(1)), before)


@pytest.mark.parametrize(
    "counts", [[100, 900, 400, 400], [100, 100, 400, 100], [400, 400, 400, 400], [500, 500, 400, 400], [0, 0, 0, 0]]
)
def test_a_need_that_others_disturbed_is_not_believed(counts: list[int]) -> None:
    told = iter(counts)
    assert measure_need(lambda side: next(told) << 20, lambda: 64) is None


def test_a_gpu_is_found_by_part_of_its_name() -> None:
    titles = ["NVIDIA GeForce RTX 4090", "NVIDIA H100 80GB HBM3"]
    assert place_of_name("rtx 4090", titles) == 0
    assert place_of_name("H100", titles) == 1
    assert place_of_name("A100", titles) is None
    with pytest.raises(PellucidError, match="no GPU"):
        find_cuda_device("RTX 9999")


def test_a_device_that_meets_one_shape_reads_it_everywhere() -> None:
    for length in (64, 65, 200, 777):
        plan = plan_tiles(length, 64, halo=18, read_side=64)
        assert {span.read for span in plan.rows.spans} == {64}
    assert plan_tiles(50, 300, halo=18, read_side=64).rows.read == 50
    assert plan_tiles(900, 900, halo=96, read_side=64).rows.read == 2 * 96 + 16, "never less than the halo needs"
    assert TilingSettings().tile == 0
    assert choose.BACKENDS

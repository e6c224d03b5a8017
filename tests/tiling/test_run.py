"""Running a plan: the tiles join to the whole, and whatever fails at one tile is mended there or told."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from engine.errors import Cancelled, Code, DeviceLost, OutOfMemory, PellucidError
from engine.runtime.session import Batch, SessionInfo, Talkative
from engine.tiling import run
from engine.tiling.augment import AugmentedSession
from engine.tiling.plan import plan_bytes
from engine.tiling.run import TilingReport, TilingSettings, find_fault, plan_for, restore_tiles
from engine.tiling.source import InterleavedSource, read_tile

RADIUS = 3
INFO = SessionInfo("fake", "memory", "fp32", streams=2, scale=2, halo=RADIUS, multiple=1)


def blur_and_double(picture: npt.NDArray[np.float32], mode: str = "constant") -> npt.NDArray[np.float32]:
    """(3, h, w) -> (3, 2h, 2w): a net of radius 3 with zeros around, as a convolution has."""
    blurred = ndimage.uniform_filter(picture.astype(np.float64), (0, 2 * RADIUS + 1, 2 * RADIUS + 1), mode=mode)
    return np.asarray(blurred.repeat(2, 1).repeat(2, 2), dtype=np.float32)


@dataclass
class FakeSession:
    """Blurs and doubles; `trouble(number, batch)` may raise or return another result at the number-th run."""

    info: SessionInfo = INFO
    trouble: Callable[[int, Batch], Batch | None] = lambda number, batch: None
    runs: int = 0
    closed: bool = False
    sizes: list[int] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self, batch: Batch) -> Batch:
        with self.lock:
            number = self.runs
            self.runs += 1
            self.sizes.append(batch.shape[2] * batch.shape[3])
        other = self.trouble(number, batch)
        return np.stack([blur_and_double(picture) for picture in batch]) if other is None else other

    def set_weights(self, weights: object) -> None:
        raise AssertionError("tiling never changes weights")

    def close(self) -> None:
        self.closed = True


def picture_of(height: int, width: int, seed: int = 1) -> npt.NDArray[np.float32]:
    return np.random.default_rng(seed).random((3, height, width), dtype=np.float32)


def restore(source: Any, session: Any, **options: Any) -> tuple[npt.NDArray[np.float32], TilingReport]:
    """The whole result put together from the bands, which must come in order and without gaps."""
    bands: list[npt.NDArray[np.float32]] = []
    thread = threading.get_ident()

    def collect(top: int, bottom: int, rows: npt.NDArray[np.float32]) -> None:
        assert threading.get_ident() == thread
        assert top == sum(len(band) for band in bands)
        assert rows.shape == (bottom - top, source.shape[2] * session.info.scale, 3)
        bands.append(rows.copy())

    report = restore_tiles(source, session, on_band=collect, **options)
    return np.concatenate(bands).transpose(2, 0, 1), report


@settings(max_examples=80, deadline=None)
@given(
    st.integers(1, 90),
    st.integers(1, 90),
    st.integers(1, 60),
    st.sampled_from([1, 4, 8]),
    st.integers(0, 6),
    st.integers(1, 3),
)
def test_tiles_join_to_the_whole(height: int, width: int, tile: int, multiple: int, feather: int, streams: int) -> None:
    source = picture_of(height, width)
    halo = RADIUS + feather
    info = replace(INFO, halo=halo, multiple=multiple, streams=streams)
    result, _ = restore(source, FakeSession(info), settings=TilingSettings(tile=tile, feather=feather))
    padding = [(0, 0), (0, -height % multiple), (0, -width % multiple)]
    # A picture of one row or column cannot be reflected: its edge is repeated.
    padded = source
    for axis in (1, 2):
        mode: Any = "reflect" if source.shape[axis] > 1 else "edge"
        only = [pad if number == axis else (0, 0) for number, pad in enumerate(padding)]
        padded = np.pad(padded, only, mode=mode)
    whole = blur_and_double(padded)[:, : 2 * height, : 2 * width]
    np.testing.assert_allclose(result, whole, atol=1e-6)


@pytest.mark.parametrize("tile", [0, 10, 33])
@pytest.mark.parametrize("size", [(40, 61), (5, 5), (64, 64)])
def test_a_tileable_texture_is_restored_as_if_it_went_on_for_ever(tile: int, size: tuple[int, int]) -> None:
    source = picture_of(*size)
    result, _ = restore(source, FakeSession(), settings=TilingSettings(tile=tile, wrap=True))
    np.testing.assert_allclose(result, blur_and_double(source, mode="wrap"), atol=1e-6)


def test_the_result_does_not_depend_on_the_number_of_streams() -> None:
    source = picture_of(70, 70)
    one, _ = restore(source, FakeSession(replace(INFO, streams=1)), settings=TilingSettings(tile=20))
    seven, _ = restore(source, FakeSession(replace(INFO, streams=7)), settings=TilingSettings(tile=20))
    np.testing.assert_array_equal(one, seven)


def test_too_small_a_halo_is_visible_so_the_test_above_can_fail() -> None:
    source = picture_of(60, 60)
    result, _ = restore(source, FakeSession(), settings=TilingSettings(tile=20, halo=0))
    assert np.abs(result - blur_and_double(source)).max() > 1 / 255


def tile_numbers(source: npt.NDArray[np.float32], tiling: TilingSettings) -> dict[bytes, int]:
    """Number of each tile of the plan by the pixels that a session gets to see."""
    plan = plan_for(source.shape[1], source.shape[2], INFO, tiling)
    return {read_tile(source, tile, tiling.wrap).tobytes(): number for number, tile in enumerate(plan.tiles())}


def out_of_memory(limit: int) -> Callable[[int, Batch], None]:
    def trouble(number: int, batch: Batch) -> None:
        if batch.shape[2] * batch.shape[3] > limit:
            raise OutOfMemory("The card is full.")

    return trouble


def test_out_of_memory_at_any_tile_leaves_the_result_whole() -> None:
    """A peer asserts when memory runs out after the first row of tiles."""
    source = picture_of(150, 110)
    tiling = TilingSettings(tile=40)
    numbers = tile_numbers(source, tiling)
    count = len(numbers)
    assert count >= 12
    whole = blur_and_double(source)
    for failing in range(count):

        def trouble(number: int, batch: Batch, failing: int = failing) -> None:
            if numbers.get(batch.tobytes()) == failing:
                raise OutOfMemory("The card is full.")

        session = FakeSession(INFO, trouble)
        notices: list[str] = []
        result, report = restore(source, session, settings=tiling, on_notice=notices.append)
        np.testing.assert_allclose(result, whole, atol=1e-6)
        assert report.divided == 1
        assert session.runs == count + 4, "only the failed tile was planned again"
        assert notices == [
            f"Memory ran out at tile {failing + 1} of {count}, so it is restored in smaller parts.",
        ]


def test_a_lasting_lack_of_memory_divides_until_it_fits() -> None:
    source = picture_of(200, 200)
    session = FakeSession(trouble=out_of_memory(40 * 40))
    result, report = restore(source, session, settings=TilingSettings(tile=200))
    np.testing.assert_allclose(result, blur_and_double(source), atol=1e-6)
    assert report.divided == 1
    assert report.fallback is None


def test_a_failed_tile_holds_no_memory_while_its_parts_are_restored() -> None:
    buffers: list[weakref.ref[Any]] = []
    alive: list[int] = []

    def trouble(number: int, batch: Batch) -> None:
        alive.append(sum(reference() is not None for reference in buffers))
        buffer = np.zeros(1000)
        buffers.append(weakref.ref(buffer))
        if batch.shape[2] * batch.shape[3] > 400:
            raise OutOfMemory("The card is full.") from MemoryError()

    spare = FakeSession(trouble=lambda number, batch: trouble(number, batch[:, :, :2]))
    session = FakeSession(replace(INFO, streams=1), trouble)
    _, report = restore(picture_of(64, 64), session, settings=TilingSettings(tile=64), fallback=lambda: spare)
    assert report.divided == 1
    assert len(alive) > 10
    assert set(alive) == {0}


@pytest.mark.parametrize("error", [OutOfMemory("The card is full."), MemoryError()])
def test_what_never_fits_falls_to_the_other_session(error: Exception) -> None:
    def trouble(number: int, batch: Batch) -> None:
        raise error

    source = picture_of(60, 60)
    other = FakeSession(replace(INFO, backend="other", device="processor"))
    opened: list[FakeSession] = []

    def fallback() -> FakeSession:
        opened.append(other)
        return other

    notices: list[str] = []
    result, report = restore(
        source,
        FakeSession(trouble=trouble),
        settings=TilingSettings(tile=30),
        fallback=fallback,
        on_notice=notices.append,
    )
    np.testing.assert_allclose(result, blur_and_double(source), atol=1e-6)
    assert len(opened) == 1
    assert other.closed
    assert report.fallback is not None
    assert report.fallback.backend == "other"
    assert any("processor" in notice for notice in notices)


@pytest.mark.parametrize("failing", [0, 2])
def test_when_the_device_is_lost_another_session_restores_the_rest(failing: int) -> None:
    def trouble(number: int, batch: Batch) -> None:
        if number >= failing:
            raise DeviceLost("gpu7 stopped working (an illegal access).", "Start Pellucid again.")

    source = picture_of(60, 60)
    session = FakeSession(replace(INFO, streams=1), trouble)
    other = FakeSession(replace(INFO, backend="other", device="processor"))
    notices: list[str] = []
    result, _ = restore(
        source, session, settings=TilingSettings(tile=30), fallback=lambda: other, on_notice=notices.append
    )
    np.testing.assert_allclose(result, blur_and_double(source), atol=1e-6)
    assert other.runs == 4 - failing
    assert session.runs <= failing + 2, "a lost device is not asked again"
    (notice,) = notices
    assert "gpu7 stopped working" in notice
    assert "other on processor restores the rest" in notice
    assert other.closed


def test_a_lost_device_without_another_session_ends_in_its_sentence() -> None:
    def trouble(number: int, batch: Batch) -> None:
        raise DeviceLost("gpu7 stopped working.")

    with pytest.raises(DeviceLost, match="gpu7"):
        restore(picture_of(60, 60), FakeSession(trouble=trouble), settings=TilingSettings(tile=30))


def test_without_another_session_it_says_that_memory_is_too_small() -> None:
    with pytest.raises(OutOfMemory, match="too small even for a tile"):
        restore(picture_of(60, 60), FakeSession(trouble=out_of_memory(0)), settings=TilingSettings(tile=30))


def test_words_about_memory_in_another_error_are_not_mistaken_for_it() -> None:
    def trouble(number: int, batch: Batch) -> None:
        raise RuntimeError("CUDA out of memory")

    with pytest.raises(RuntimeError, match="CUDA"):
        restore(picture_of(60, 60), FakeSession(trouble=trouble))


@pytest.mark.parametrize("streams", [1, 3])
def test_cancel_at_any_tile_ends_cleanly_and_keeps_finished_rows(streams: int) -> None:
    source = picture_of(100, 100)
    tiling = TilingSettings(tile=30)
    count = len(plan_for(100, 100, INFO, tiling))
    whole = blur_and_double(source)
    for after in range(count):
        session = FakeSession(replace(INFO, streams=streams))
        rows_out = 0

        def check(top: int, bottom: int, rows: npt.NDArray[np.float32]) -> None:
            nonlocal rows_out
            rows_out = bottom
            np.testing.assert_allclose(rows.transpose(2, 0, 1), whole[:, top:bottom], atol=1e-6)

        def cancelled(session: FakeSession = session, after: int = after) -> bool:
            return session.runs > after

        before = threading.active_count()
        with pytest.raises(Cancelled):
            restore_tiles(source, session, on_band=check, settings=tiling, cancelled=cancelled)
        assert after + 1 <= session.runs <= after + 1 + streams + 1
        assert rows_out < 200
        assert threading.active_count() == before, "no thread is left behind"


def test_cancel_interrupts_a_session_that_can_stop_in_the_middle() -> None:
    class SlowSession(FakeSession):
        def __init__(self) -> None:
            super().__init__()
            self.woken = threading.Event()

        def run(self, batch: Batch) -> Batch:
            assert self.woken.wait(20), "nobody interrupted"
            raise Cancelled

        def interrupt(self) -> None:
            self.woken.set()

    asked = threading.Event()

    def cancelled() -> bool:
        if threading.current_thread() is threading.main_thread():
            asked.set()
        return asked.is_set()

    with pytest.raises(Cancelled):
        restore(picture_of(60, 60), SlowSession(), cancelled=cancelled)


def broken(kind: str, shape: tuple[int, ...]) -> Batch:
    result = np.full((shape[0], 3, shape[2] * 2, shape[3] * 2), 0.3, dtype=np.float32)
    if kind == "nan":
        result[0, 1, 5, 5] = np.nan
    elif kind == "infinity":
        result[0, 2, -1, -1] = np.inf
    elif kind == "black":
        result[:] = 0
    return result


@pytest.mark.parametrize("kind", ["nan", "infinity", "black", "grey"])
def test_a_broken_tile_is_computed_again_in_higher_precision(kind: str) -> None:
    source = picture_of(90, 60)
    numbers = tile_numbers(source, TilingSettings(tile=30))
    count = len(numbers)
    for failing in range(count):

        def trouble(number: int, batch: Batch, failing: int = failing) -> Batch | None:
            return broken(kind, batch.shape) if numbers[batch.tobytes()] == failing else None

        session = FakeSession(replace(INFO, precision="bf16", streams=1), trouble)
        exact = FakeSession(replace(INFO, precision="fp32"))
        notices: list[str] = []
        result, report = restore(
            source,
            session,
            settings=TilingSettings(tile=30),
            stronger=lambda exact=exact: exact,
            on_notice=notices.append,
        )
        np.testing.assert_allclose(result, blur_and_double(source), atol=1e-6)
        assert report.bad_precisions == ("bf16",)
        assert session.runs + exact.runs == count + 1, "only the broken tile was computed twice"
        assert exact.closed
        assert len(notices) == 1
        assert "fp32" in notices[0]


@pytest.mark.parametrize("kind", ["nan", "black"])
@pytest.mark.parametrize("with_stronger", [True, False])
def test_a_tile_that_stays_broken_is_a_failure_never_a_success(kind: str, with_stronger: bool) -> None:
    def trouble(number: int, batch: Batch) -> Batch:
        return broken(kind, batch.shape)

    session = FakeSession(replace(INFO, precision="bf16"), trouble)
    stronger = (lambda: FakeSession(INFO, trouble)) if with_stronger else None
    with pytest.raises(PellucidError) as caught:
        restore(picture_of(50, 50), session, stronger=stronger)
    assert caught.value.code is Code.BAD_OUTPUT


def test_a_source_with_samples_that_are_no_numbers_is_blamed_itself() -> None:
    source = picture_of(50, 50)
    source[0, 20, 20] = np.nan
    with pytest.raises(PellucidError) as caught:
        restore(source, FakeSession())
    assert caught.value.code is Code.IMAGE_CORRUPT


def test_flat_sources_and_removed_specks_are_no_fault() -> None:
    flat = np.full((3, 40, 40), 0.0, dtype=np.float32)
    assert find_fault(flat, flat.repeat(2, 1).repeat(2, 2)) == ""
    speck = flat.copy()
    speck[:, 7, 7] = 1.0
    assert find_fault(speck, flat.repeat(2, 1).repeat(2, 2)) == ""
    faint = flat + np.float32(1 / 64) * picture_of(40, 40)
    assert find_fault(faint, flat.repeat(2, 1).repeat(2, 2)) == ""
    picture = picture_of(40, 40)
    assert "flat" in find_fault(picture, flat.repeat(2, 1).repeat(2, 2))


def test_an_error_of_the_writer_stops_the_workers() -> None:
    session = FakeSession()

    def full(top: int, bottom: int, rows: object) -> None:
        raise PellucidError(Code.DISK_FULL, "The disk is full.")

    before = threading.active_count()
    with pytest.raises(PellucidError, match="disk is full"):
        restore_tiles(picture_of(200, 50), session, on_band=full, settings=TilingSettings(tile=20))
    assert threading.active_count() == before
    assert session.runs < len(plan_for(200, 50, INFO, TilingSettings(tile=20)))


def test_progress_counts_every_tile_once() -> None:
    seen: list[tuple[int, int]] = []
    _, report = restore(
        picture_of(70, 50), FakeSession(), settings=TilingSettings(tile=20), on_tile=lambda *done: seen.append(done)
    )
    assert seen == [(i + 1, len(report.plan)) for i in range(len(report.plan))]


def test_finished_tiles_do_not_pile_up_while_the_writer_is_slow() -> None:
    session = FakeSession(replace(INFO, streams=2))
    columns = len(plan_for(400, 60, INFO, TilingSettings(tile=20)).columns.spans)
    tops: list[int] = []

    def slow(top: int, bottom: int, rows: object) -> None:
        threading.Event().wait(0.02)
        tops.append(top)
        assert session.runs <= len(tops) * columns + columns + 3

    restore_tiles(picture_of(400, 60), session, on_band=slow, settings=TilingSettings(tile=20))
    assert len(tops) >= 20


@pytest.mark.parametrize(("dtype", "largest"), [(np.uint8, 255), (np.uint16, 65535), (np.float32, 1)])
@pytest.mark.parametrize("channels", [1, 3])
def test_decoded_pictures_are_read_as_planes(dtype: type, largest: int, channels: int) -> None:
    values = np.random.default_rng(3).random((37, 29, channels)) * largest
    colour: npt.NDArray[Any] = values.astype(dtype)
    source = InterleavedSource(colour)
    assert source.shape == (3, 37, 29)
    tile = next(plan_for(37, 29, replace(INFO, multiple=8, streams=1), TilingSettings()).tiles())
    window = read_tile(source, tile, wrap=False)
    padded = np.pad(colour, ((0, 3), (0, 3), (0, 0)), mode="reflect")
    expected = np.broadcast_to(padded.astype(np.float64) / largest, (40, 32, 3)).transpose(2, 0, 1)
    assert window.dtype == np.float32
    np.testing.assert_allclose(window, expected, atol=1e-7)


def test_eightfold_averages_flips_and_rotations() -> None:
    class Sided(FakeSession):
        """Doubles, and leans to the left: not the same under any flip or rotation."""

        def run(self, batch: Batch) -> Batch:
            self.runs += 1
            leaning = batch * 0.75 + np.roll(batch, 1, axis=3) * 0.25
            return leaning.repeat(2, 2).repeat(2, 3)

    source = picture_of(20, 31)
    session = Sided()
    result = AugmentedSession(session).run(source[np.newaxis])[0]
    neighbours = sum(np.roll(source, step, axis=axis) for step in (1, -1) for axis in (1, 2))
    expected = (0.75 * source + 0.25 * neighbours / 4).repeat(2, 1).repeat(2, 2)
    np.testing.assert_allclose(result, expected, atol=1e-6)
    assert session.runs == 8


def test_what_a_session_has_to_tell_is_told_when_its_tiles_are_turned_too() -> None:
    class Telling(FakeSession):
        def take_notices(self) -> list[str]:
            return ["TensorRT takes over."]

    for session, told in ((Telling(), ["TensorRT takes over."]), (FakeSession(), [])):
        augmented = AugmentedSession(session)
        assert isinstance(augmented, Talkative)
        assert augmented.take_notices() == told


def test_memory_is_taken_only_for_halos_that_need_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "available_memory", lambda: 16 << 30)

    def planned(halo: int) -> tuple[float, int]:
        info = replace(INFO, scale=4, halo=halo, streams=1, bytes_per_pixel=1500.0)
        plan = plan_for(1000, 1000, info, TilingSettings())
        return plan.useful_share, plan_bytes(plan, scale=4, streams=1, bytes_per_pixel=1500.0)

    near, far = planned(8), planned(96)
    assert near[0] >= 0.9
    assert far[0] >= 0.9
    assert near[1] <= 640 << 20
    assert 640 << 20 < far[1] <= 4 << 30


def test_a_memory_that_is_given_is_kept() -> None:
    info = replace(INFO, scale=4, halo=96, streams=1, bytes_per_pixel=1500.0)
    plan = plan_for(1000, 1000, info, TilingSettings(memory=300 << 20))
    assert plan_bytes(plan, scale=4, streams=1, bytes_per_pixel=1500.0) <= 300 << 20

"""Tiles through a network on a GPU without either of them waiting for the other.

Callers hand in single tiles from many threads. One thread gathers those of one shape into batches and queues for each
batch: upload, compute, download, on three streams with buffers of their own, so that the next batch travels while this
one is computed. A shape that comes again is recorded as a graph. Each caller copies its own result out.

Weights change in place between two batches, so that recorded graphs see them. Out of memory is met here first with
fewer tiles at a time and without graphs, and only then told, by class, to who can make the tile smaller.
"""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from engine.errors import Cancelled, Code, OutOfMemory, PellucidError
from engine.models.card import Card
from engine.models.model import Weights
from engine.runtime.memory import let_go
from engine.runtime.session import Batch, PackedTile, SessionInfo
from engine.runtime.tile_choice import power_of_two
from engine.runtime.torch_device import Device, Event, Tensor, Work, on
from engine.runtime.torch_network import is_shortage, load_torch, loss_of

Form = Literal["planes", "pixels"]
"""planes: (3, h, w) float32 in and out; pixels: (h, w, 3) uint8 in and out, with a word on whether all was finite."""

SLOTS = 3
"""Batches on their way: one computes, one travels, one is being copied out."""
_LANES_KEPT = 4
_RUNS_BEFORE_RECORDING = 2
"""A shape that comes a third time will come again."""


class Network(Protocol):
    """(n, 3, h, w) float32 0..1 on the device -> (n, 3, h * scale, w * scale) float32, queued on the current stream."""

    def __call__(self, picture: Tensor) -> Tensor: ...


class Compiled(Network, Protocol):
    """A compiled network: knows one shape of tiles."""

    side: int
    batch: int
    backend: str


Load = Callable[[Weights], None]
"""Puts weights into the network's own tensors; called between two batches with the computing stream current."""


class PipelinedSession:
    """A session over a network on a device. `network` and `load` are only ever called by this session's one thread."""

    def __init__(
        self,
        network: Network,
        load: Load,
        device: Device,
        card: Card,
        info: SessionInfo,
        *,
        batch: int,
        most_pixels: int,
    ) -> None:
        """batch: the most tiles at a time, a power of two. most_pixels: of all their input together, whatever the
        memory."""
        self._torch = load_torch()
        self._network = network
        self._load = load
        self.device = device
        self._card = card
        self._info = info
        self._own_backend = info.backend
        self.batch = batch
        self._most_pixels = most_pixels
        self._records = True
        self._upload, self._compute, self._download = device.stream(), device.stream(urgent=True), device.stream()
        self._changed = threading.Condition()
        self._waiting: deque[_Request | _Order] = deque()
        self._free_slots = SLOTS
        self._lanes: OrderedDict[tuple[Form, int, int, int], _Lane] = OrderedDict()
        self._compiled: Compiled | None = None
        self._notices: list[str] = []
        self._closed = False
        self._cause: BaseException | None = None
        """Why nothing runs any more."""
        self._thread = threading.Thread(target=self._work, name=f"pipeline {device.name}", daemon=True)
        self._thread.start()

    @property
    def info(self) -> SessionInfo:
        return self._info

    def check(self) -> None:
        """Raises DeviceLost once nothing runs any more."""
        if self._cause is not None:
            raise loss_of(self.device.name, self._cause)

    def serves(self, card: Card) -> bool:
        """Whether `set_weights` is all that a model of this card needs."""
        mine = self._card
        return card.architecture != "foreign" and (card.architecture, card.arguments, card.scale, card.halo) == (
            mine.architecture,
            mine.arguments,
            mine.scale,
            mine.halo,
        )

    def run(self, batch: Batch) -> Batch:
        """(n, 3, h, w) -> (n, 3, h * scale, w * scale), both 0..1 (not clipped). Thread-safe."""
        count, _, height, width = batch.shape
        scale = self._info.scale
        requests = [_Request("planes", np.ascontiguousarray(tile, dtype=np.float32)) for tile in batch]
        self._submit(requests)
        result = np.empty((count, 3, height * scale, width * scale), dtype=np.float32)
        failure: Exception | None = None
        for request, place in zip(requests, result, strict=True):
            try:
                self._collect(request, place)
            except Exception as of_one:
                failure = failure or of_one  # the others' places must be left all the same
        if failure is not None:
            raise failure
        return result

    def run_packed(self, window: npt.NDArray[np.uint8]) -> PackedTile:
        """(h, w, 3) -> (h * scale, w * scale, 3), rounded on the device: a twelfth of what floats would have to travel.
        Thread-safe."""
        height, width, _ = window.shape
        request = _Request("pixels", np.ascontiguousarray(window))
        self._submit([request])
        pixels = np.empty((height * self._info.scale, width * self._info.scale, 3), dtype=np.uint8)
        finite = self._collect(request, pixels)
        return PackedTile(pixels, finite)

    def set_weights(self, weights: Weights) -> None:
        """Other weights of the same network; runs that were asked for before finish with the old ones."""
        self._order(lambda: self._load(weights))

    def between_batches(self, work: Work) -> None:
        """Does `work` in the session's own thread, computing stream current, after all that was asked before."""
        self._order(work)

    def use_compiled(self, compiled: Compiled | None) -> None:
        """From the next batch on tiles of the compiled shape go through it; None: through the network again."""

        self._order(lambda: self._switch_to(compiled))

    def compare(self, batch: Batch, other: Network) -> tuple[Batch, Batch]:
        """What the session's own network makes of a batch, and what another does."""
        results: list[Batch] = []

        def run_both() -> None:
            torch = self._torch
            with torch.inference_mode():
                picture = torch.from_numpy(np.ascontiguousarray(batch)).to(self.device.torch_device)
                results.extend(network(picture).cpu().numpy() for network in (self._network, other))

        self._order(run_both)
        return results[0], results[1]

    def say(self, text: str) -> None:
        """A sentence for the user, told with the next job."""
        with self._changed:
            self._notices.append(text)

    def take_notices(self) -> list[str]:
        with self._changed:
            taken, self._notices = self._notices, []
        return taken

    def interrupt(self) -> None:
        """Tiles that have not started end with Cancelled; a batch that runs is finished, it is short."""
        with self._changed:
            dropped = [item for item in self._waiting if isinstance(item, _Request)]
            self._waiting = deque(item for item in self._waiting if isinstance(item, _Order))
        for request in dropped:
            request.fail(Cancelled())

    def close(self) -> None:
        """Frees the memory of the device, after what was asked for."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    # The callers' threads.

    def _submit(self, items: list[_Request]) -> None:
        height, width = items[0].shape
        if height * width > self._most_pixels:
            raise self._too_large(height, width)
        with self._changed:
            self._refuse_when_closed()
            self._waiting.extend(items)
            self._changed.notify_all()

    def _order(self, work: Work) -> None:
        order = _Order(work)
        with self._changed:
            self._refuse_when_closed()
            self._waiting.append(order)
            self._changed.notify_all()
        order.done.wait()
        if order.failure is not None:
            raise order.failure

    def _refuse_when_closed(self) -> None:
        self.check()
        if self._closed:
            raise PellucidError(Code.INTERNAL, f'The session of "{self._card.name}" is closed.')

    def _collect(self, request: _Request, place: npt.NDArray[Any]) -> bool:
        """Waits for a tile and copies it into `place`; whether all its values were finite."""
        request.issued.wait()
        if request.failure is not None:
            raise request.failure
        slot = request.slot
        assert slot is not None
        try:
            slot.downloaded.wait()
            np.copyto(place, slot.result_array[request.number])
            return bool(slot.finite_array[request.number])
        except RuntimeError as failure:
            # It was queued without a fault, so this is no matter of one tile.
            self._lose(failure, None)
            raise loss_of(self.device.name, failure) from failure
        finally:
            self._leave(slot)

    def _leave(self, slot: _Slot) -> None:
        with self._changed:
            slot.users -= 1
            if slot.users == 0:
                self._free_slots += 1
                self._changed.notify_all()

    # The session's thread.

    def _work(self) -> None:
        item: _Order | list[_Request] | None = None
        try:
            while (item := self._take()) is not None:
                if isinstance(item, _Order):
                    self._obey(item)
                else:
                    self._start(item)
            self._drop_lanes()
        except BaseException as failure:
            self._lose(failure, item)
        self._lanes.clear()
        self._compiled = None
        del self._network, self._load
        with contextlib.suppress(RuntimeError):  # of a device that is lost
            self.device.release_memory()

    def _lose(self, failure: BaseException, in_hand: _Order | list[_Request] | None) -> None:
        """The device does nothing any more, not even give its memory back: whoever waits is told, and whoever comes."""
        with self._changed:
            self._closed = True
            self._cause = self._cause or failure
            begun = [in_hand] if isinstance(in_hand, _Order) else in_hand or []
            waiting = [*begun, *self._waiting]
            self._waiting.clear()
            self._changed.notify_all()
        for item in waiting:
            item.fail(loss_of(self.device.name, failure))

    def _take(self) -> _Order | list[_Request] | None:
        """The next order, or the next tiles of one shape, once a slot is free for them."""
        with self._changed:
            while True:
                if self._waiting and isinstance(self._waiting[0], _Order):
                    return self._pop_order()
                if self._waiting and self._free_slots:
                    return self._gather()
                if self._closed and not self._waiting and self._free_slots == SLOTS:
                    return None
                self._changed.wait()

    def _pop_order(self) -> _Order:
        order = self._waiting.popleft()
        assert isinstance(order, _Order)
        return order

    def _gather(self) -> list[_Request]:
        """Tiles of the first one's shape, in order, not past an order: later ones may need other weights."""
        first = self._waiting[0]
        assert isinstance(first, _Request)
        height, width = first.shape
        most = power_of_two(min(self.batch, self._most_pixels // (height * width)))
        group: list[_Request] = []
        rest: deque[_Request | _Order] = deque()
        while self._waiting and len(group) < most and isinstance(self._waiting[0], _Request):
            item = self._waiting.popleft()
            assert isinstance(item, _Request)
            if item.key == first.key:
                group.append(item)
            else:
                rest.append(item)
        rest.extend(self._waiting)
        self._waiting = rest
        self._free_slots -= 1
        return group

    def _obey(self, order: _Order) -> None:
        try:
            with on(self._compute):
                order.work()
        except BaseException as failure:
            order.failure = failure
        if is_shortage(order.failure):
            order.failure = OutOfMemory(f'{self.device.name} has too little memory for the model "{self._card.name}".')
        elif order.failure is not None and not isinstance(order.failure, PellucidError):
            self._drop_lanes()  # fails where the device is lost
        order.done.set()

    def _start(self, group: list[_Request]) -> None:
        """Queues a batch. What fails is tried once more without what one can do without: where memory is short all that
        can be given back, otherwise the compiled network. Memory that is still short means fewer tiles at a time."""
        failure = self._attempt(group)
        if is_shortage(failure):
            # Recorded graphs hold memory for good: without them there may be enough.
            self._records = self._records and not any(lane.is_recorded for lane in self._lanes.values())
            self._drop_lanes()
            failure = self._attempt(group)
        elif failure is not None and (compiled := self._compiled_for(group)):
            reason = failure if isinstance(failure, PellucidError) else f"{compiled.backend} failed ({failure})."
            self._switch_to(None)
            self.say(f"{reason} So torch goes on alone.")
            failure = self._attempt(group)
        if failure is None:
            return
        self._drop_lanes()
        self._give_slot_back()
        if is_shortage(failure):
            self._run_fewer(group)
            return
        for request in group:
            request.fail(failure)

    def _attempt(self, group: list[_Request]) -> BaseException | None:
        """Queues a batch, or says what prevented it; nothing is kept of an attempt for which memory was short."""
        try:
            self._issue(group)
        except BaseException as failure:
            return let_go(failure) if is_shortage(failure) else failure
        return None

    def _run_fewer(self, group: list[_Request]) -> None:
        if len(group) > 1:
            self.batch = power_of_two(len(group) // 2)
            with self._changed:
                self._waiting.extendleft(reversed(group))
            return
        group[0].fail(self._too_large(*group[0].shape))

    def _too_large(self, height: int, width: int) -> OutOfMemory:
        return OutOfMemory(f"{self.device.name} has too little memory for a tile of {width} x {height}.")

    def _give_slot_back(self) -> None:
        with self._changed:
            self._free_slots += 1

    def _issue(self, group: list[_Request]) -> None:
        lane = self._lane_for(group)
        slot = lane.free_slot()
        for number, request in enumerate(group):
            np.copyto(slot.entry_array[number], request.tile)
        # The last batch is filled up with what lies in the buffers: a shape more would cost more than the work.
        with on(self._upload):
            slot.entry.copy_(slot.host_entry, non_blocking=True)
            slot.uploaded.record(self._upload)
        with on(self._compute, slot.uploaded):
            lane.compute(slot)
            slot.computed.record(self._compute)
        with on(self._download, slot.computed):
            slot.host_result.copy_(slot.result, non_blocking=True)
            slot.host_finite.copy_(slot.finite, non_blocking=True)
            slot.downloaded.record(self._download)
        slot.users = len(group)
        for number, request in enumerate(group):
            request.slot, request.number = slot, number
            request.issued.set()

    def _lane_for(self, group: list[_Request]) -> _Lane:
        form, height, width = group[0].key
        count = _filled_up(len(group))
        key = (form, count, height, width)
        lane = self._lanes.get(key)
        if lane is None:
            while len(self._lanes) >= _LANES_KEPT:
                self._lanes.popitem(last=False)[1].wait()
            network = self._compiled_for(group) or self._network
            lane = self._lanes[key] = _Lane(self, network, form, count, height, width)
        self._lanes.move_to_end(key)
        return lane

    def _compiled_for(self, group: list[_Request]) -> Compiled | None:
        """The compiled network, where it knows the shape."""
        compiled = self._compiled
        if compiled is None or group[0].shape != (compiled.side, compiled.side):
            return None
        return compiled if _filled_up(len(group)) <= compiled.batch else None

    def _switch_to(self, compiled: Compiled | None) -> None:
        self._drop_lanes()
        self._compiled = compiled
        self._info = replace(self._info, backend=compiled.backend if compiled else self._own_backend)

    def _drop_lanes(self) -> None:
        """Gives back all memory but the network's. Buffers may still be in use, also by a batch that failed half-way:
        the streams are waited for, and callers who still copy keep theirs alive."""
        for stream in (self._upload, self._compute, self._download):
            idle = self.device.event()
            idle.record(stream)
            idle.wait()
        self._lanes.clear()
        self.device.release_memory()


def _filled_up(count: int) -> int:
    """Tiles of a batch: a power of two, so that few shapes are met."""
    return 1 << (count - 1).bit_length()


class _Lane:
    """Buffers and, once it pays, the recorded graph for batches of one shape."""

    def __init__(self, owner: PipelinedSession, network: Network, form: Form, count: int, height: int, width: int):
        self._torch = owner._torch
        self._owner = owner
        self._network = network
        self._form = form
        self._runs = 0
        self._tried = False
        self._recorded: Work | None = None
        self._entry: Tensor | None = None
        self._result: Tensor | None = None
        self._finite: Tensor | None = None
        scale = owner._info.scale
        entry, result = (count, 3, height, width), (count, 3, height * scale, width * scale)
        if form == "pixels":
            entry, result = (count, height, width, 3), (count, height * scale, width * scale, 3)
        self._shapes = entry, result
        self._slots: list[_Slot] = []

    def free_slot(self) -> _Slot:
        for slot in self._slots:
            if slot.users == 0:
                if slot.issued:
                    slot.downloaded.wait()  # at once, unless a caller was torn away while it waited
                return slot
        self._slots.append(_Slot(self._owner, self._form, *self._shapes))
        return self._slots[-1]

    def wait(self) -> None:
        """Until nothing uses its buffers but callers who copy."""
        for slot in self._slots:
            if slot.issued:
                slot.downloaded.wait()

    def compute(self, slot: _Slot) -> None:
        """Queues the work on the current stream: `slot.entry` -> `slot.result`, `slot.finite`."""
        slot.issued = True
        self._runs += 1
        if not self._tried and self._owner._records and self._runs > _RUNS_BEFORE_RECORDING:
            self._record(slot)
        if self._recorded is None:
            self._run(slot.entry, slot.result, slot.finite)
            return
        assert self._entry is not None and self._result is not None and self._finite is not None
        self._entry.copy_(slot.entry)
        self._recorded()
        slot.result.copy_(self._result)
        slot.finite.copy_(self._finite)

    @property
    def is_recorded(self) -> bool:
        return self._recorded is not None

    def _record(self, slot: _Slot) -> None:
        self._tried = True
        entry, result, finite = (
            self._torch.empty_like(slot.entry),
            self._torch.empty_like(slot.result),
            self._torch.empty_like(slot.finite),
        )
        entry.copy_(slot.entry)
        recorded = self._owner.device.record(self._owner._compute, lambda: self._run(entry, result, finite))
        if recorded is not None:
            self._entry, self._result, self._finite, self._recorded = entry, result, finite, recorded

    def _run(self, entry: Tensor, result: Tensor, finite: Tensor) -> None:
        torch = self._torch
        with torch.inference_mode():
            if self._form == "planes":
                result.copy_(self._network(entry))
                finite.fill_(1)
                return
            picture = entry.permute(0, 3, 1, 2).to(torch.float32).div_(255.0)
            restored = self._network(picture).permute(0, 2, 3, 1)
            finite.copy_(torch.isfinite(restored).all(3).all(2).all(1))
            result.copy_(restored.mul(255.0).clamp_(0.0, 255.0).round_())


class _Slot:
    """One set of buffers of a lane, on the device and pinned on the host, and the events of its way.

    What a stream writes to is taken from that stream's memory: torch gives out what was freed there before the work on
    it is done, which is in order for the same stream and for no other.
    """

    def __init__(self, owner: PipelinedSession, form: Form, entry: tuple[int, ...], result: tuple[int, ...]) -> None:
        torch, device = owner._torch, owner.device
        kind = torch.float32 if form == "planes" else torch.uint8
        with on(owner._upload):
            self.host_entry, self.entry = _pair(device, entry, kind)
        with on(owner._compute):
            self.host_result, self.result = _pair(device, result, kind)
            self.host_finite, self.finite = _pair(device, entry[:1], torch.uint8)
        self.host_entry.zero_()
        self.entry_array: npt.NDArray[Any] = self.host_entry.numpy()
        self.result_array: npt.NDArray[Any] = self.host_result.numpy()
        self.finite_array: npt.NDArray[Any] = self.host_finite.numpy()
        self.uploaded: Event = device.event()
        self.computed: Event = device.event()
        self.downloaded: Event = device.event()
        self.issued = False
        self.users = 0


def _pair(device: Device, shape: tuple[int, ...], dtype: Any) -> tuple[Tensor, Tensor]:
    torch = load_torch()
    return device.host_buffer(shape, dtype), torch.empty(shape, dtype=dtype, device=device.torch_device)


@dataclass(slots=True, eq=False)
class _Request:
    """One tile of a caller."""

    form: Form
    tile: npt.NDArray[Any]
    issued: threading.Event = field(default_factory=threading.Event)
    failure: BaseException | None = None
    slot: _Slot | None = None
    number: int = 0

    @property
    def shape(self) -> tuple[int, int]:
        height, width = self.tile.shape[1:] if self.form == "planes" else self.tile.shape[:2]
        return height, width

    @property
    def key(self) -> tuple[Form, int, int]:
        return self.form, *self.shape

    def fail(self, failure: BaseException) -> None:
        self.failure = failure
        self.issued.set()


@dataclass(slots=True, eq=False)
class _Order:
    """Something to do between two batches."""

    work: Work
    done: threading.Event = field(default_factory=threading.Event)
    failure: BaseException | None = None

    def fail(self, failure: BaseException) -> None:
        self.failure = failure
        self.done.set()

"""Work on a GPU that is recorded once and then repeated: the thousand small launches of a step become a single one.

What is recorded must do the same operations on tensors of the same sizes every time, decide nothing by values, and
never wait for the device. Python code in it runs while recording only.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Protocol, cast

import torch
from torch import Tensor

Work = Callable[..., tuple[Tensor, Any]]
"""(inputs...) -> numbers that tell what was computed (a float32 vector), and whatever else it makes."""

WARM_UP = 3
"""Steps done one by one first: libraries choose their algorithms and allocate their workspaces then."""
TOLERANCE = 0.02
"""Largest relative difference of a recorded step's numbers from the same step done one by one."""


class Recorder(Protocol):
    """How work is recorded, and done again. On a CPU there is none; tests bring one of their own."""

    def warm_up(self, work: Callable[[], Any]) -> Any:
        """Do it, as it must be done before a recording."""
        ...

    def record(self, work: Callable[[], Any]) -> Any:
        """Record it; the tensors of the result are filled by `replay`."""
        ...

    def replay(self) -> None: ...


class CudaRecorder:
    """A CUDA graph."""

    def __init__(self) -> None:
        self._graph = torch.cuda.CUDAGraph()

    def warm_up(self, work: Callable[[], Any]) -> Any:
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            result = work()
        torch.cuda.current_stream().wait_stream(stream)
        return result

    def record(self, work: Callable[[], Any]) -> Any:
        torch.cuda.synchronize()
        before = torch.cuda.current_stream()
        try:
            # The thread that pins batches may allocate meanwhile.
            with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):
                return work()
        finally:
            # A recording that fails would leave this thread on its stream.
            torch.cuda.set_stream(before)

    def replay(self) -> None:
        self._graph.replay()


class Replay:
    """Does its work one by one at first, then records it, checks the recording once, and repeats it from then on.

    A recording that fails, or that computes something else, is dropped with a sentence, and all goes on one by one.
    `forget` is called before every recording and every single doing: what the work leaves behind (gradients) must not
    come from another one.
    """

    def __init__(
        self,
        work: Work,
        forget: Callable[[], None],
        tell: Callable[[str], None],
        recorder: Recorder | None,
        checked: int | None = None,
    ) -> None:
        """Without a recorder every step is done one by one. `checked`: how many of the numbers, from the first, say
        whether a recording is right; None: all."""
        self._work = work
        self._checked = checked
        self._forget = forget
        self._tell = tell
        self._recorder = recorder
        self._done = 0
        self._inputs: list[Tensor] = []
        self._result: tuple[Tensor, Any] | None = None

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        recorder = self._recorder
        if recorder is None:
            self._forget()
            return self._work(*inputs)
        if self._result is not None:
            self._take(inputs)
            recorder.replay()
            return self._result
        self._done += 1
        self._forget()
        result = cast(tuple[Tensor, Any], recorder.warm_up(lambda: self._work(*inputs)))
        return result if self._done < WARM_UP else self._record(recorder, inputs, result)

    def close(self) -> None:
        """Let go of the work, the recording and its memory. It cannot be called again."""
        self._work = self._forget = self._tell = _closed
        self._recorder, self._inputs, self._result = None, [], None

    def _take(self, inputs: tuple[Tensor, ...]) -> None:
        for place, value in zip(self._inputs, inputs, strict=True):
            place.copy_(value, non_blocking=True)

    def _record(
        self, recorder: Recorder, inputs: tuple[Tensor, ...], expected: tuple[Tensor, Any]
    ) -> tuple[Tensor, Any]:
        """The result of this step by the recording, if it is `expected`."""
        device = expected[0].device
        told, count = expected[0].tolist(), self._checked
        self._inputs = [value.to(device, copy=True) for value in inputs]
        self._forget()
        try:
            result = cast(tuple[Tensor, Any], recorder.record(lambda: self._work(*self._inputs)))
            recorder.replay()
            numbers = result[0].tolist()
        except RuntimeError as error:
            trouble = str(error).splitlines()[0]
        else:
            if all(_alike(one, other) for one, other in zip(numbers[:count], told[:count], strict=True)):
                self._result = result
                return result
            trouble = f"it computes {numbers} where {told} is right"
        self._recorder, self._inputs = None, []
        self._tell(f"Steps are not recorded on this GPU and take longer: {trouble}.")
        self._forget()
        return self._work(*inputs)


def _closed(*ignored: object) -> Any:
    raise AssertionError("a step that was closed does no work")


def _alike(one: float, other: float) -> bool:
    if not math.isfinite(one) or not math.isfinite(other):
        return not math.isfinite(one) and not math.isfinite(other)
    return math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=1e-3)

"""Runs degradation plans on pictures: numpy arrays and torch tensors go in and out without a copy.

Pictures are float32, R, G, B planes in 0..1: a batch (n, 3, height, width), or a list of (3, height, width) of any
sizes. The same seed and sample number make the same bytes for any number of threads, batch split, order and instruction
set, and on a GPU. Tensors that lie on a GPU stay there: the work is queued on torch's current stream and nothing waits
for it; their values are not checked, since looking would mean waiting.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from kernels.errors import KernelInputError
from kernels.library import Failure, Picture, Variant, cpu_library, cuda_library, raise_for
from kernels.ops import OP

_VARIANTS = {
    "scalar": Variant.SCALAR,
    "avx2": Variant.AVX2,
    "avx512": Variant.AVX512,
    "emulated": Variant.EMULATED_DEVICE,
}


def usable_threads() -> int:
    """The number of processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def plan_size(ops: npt.NDArray[Any], height: int, width: int) -> tuple[int, int]:
    """The (height, width) in which one row of OP records leaves a picture; a wrong record raises KernelInputError."""
    largest = 2**31 - 1  # far beyond what is allowed, and still a number that the native code can refuse
    return _plan_ends(_checked_plan(ops, 1), [(min(height, largest), min(width, largest))])[0]


def blur_taps(op: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """The (size, size) float32 taps of one BLUR record."""
    record = np.ascontiguousarray(op, dtype=OP).reshape(())
    size, failure = int(record["i"][1]), Failure()
    taps = np.zeros((min(max(size, 0), 63),) * 2, np.float32)
    raise_for(cpu_library().pellucid_blur_taps(record.ctypes.data, taps.ctypes.data, failure), failure)
    return taps


def planes_of(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """(n, height, width, 3) uint8 -> (n, 3, height, width) float32 in 0..1."""
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[3] != 3:
        raise KernelInputError(f"pixels are {pixels.dtype} {pixels.shape}; they must be uint8 (n, height, width, 3)")
    pixels = np.ascontiguousarray(pixels)
    count, height, width, _ = pixels.shape
    planes = np.empty((count, 3, height, width), np.float32)
    cpu_library().pellucid_planes_from_pixels(pixels.ctypes.data, count, height, width, planes.ctypes.data)
    return planes


def pixels_of(planes: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """(n, 3, height, width) float32 in 0..1 -> (n, height, width, 3) uint8: halves to even, clamped."""
    if planes.dtype != np.float32 or planes.ndim != 4 or planes.shape[1] != 3:
        raise KernelInputError(f"planes are {planes.dtype} {planes.shape}; they must be float32 (n, 3, height, width)")
    planes = np.ascontiguousarray(planes)
    count, _, height, width = planes.shape
    pixels = np.empty((count, height, width, 3), np.uint8)
    cpu_library().pellucid_pixels_from_planes(planes.ctypes.data, count, height, width, pixels.ctypes.data)
    return pixels


def philox(counter: Sequence[int], key: Sequence[int]) -> tuple[int, int, int, int]:
    """One block of Philox 4x32-10."""
    c, k, out = (np.array(v, np.uint32) for v in (counter, key, (0, 0, 0, 0)))
    if c.shape != (4,) or k.shape != (2,):
        raise KernelInputError("philox takes a counter of four words and a key of two")
    cpu_library().pellucid_philox(c.ctypes.data, k.ctypes.data, out.ctypes.data)
    a, b, c3, d = (int(v) for v in out)
    return a, b, c3, d


def degrade(
    images: Any,
    ops: npt.NDArray[Any],
    seed: int | Sequence[int] | npt.NDArray[Any],
    samples: Sequence[int] | npt.NDArray[Any],
    out: Any = None,
    threads: int | None = None,
    variant: str | None = None,
) -> Any:
    """Runs row s of `ops` (n, max_ops; OP records) over picture s and returns the results.

    A batch gives a batch (all results must then have one size), a list gives a list. `seed` is one number for all or
    one a picture; `samples` numbers the pictures. `threads`: all processors when None; 1 inside a loader's worker.
    `variant` forces "scalar", "avx2" or "avx512". Inputs are never written.

    `out` receives the results when given; its pictures share no memory with one another or with the inputs. All that
    is refused is refused before it is touched, but for pixels that are none: then it may hold results of other
    pictures. (A tensor that torch made of read-only memory, against its own warning, cannot be told from others.)
    """
    return degrade_and_tell(images, ops, seed, samples, out, threads, variant)[0]


def degrade_and_tell(
    images: Any,
    ops: npt.NDArray[Any],
    seed: int | Sequence[int] | npt.NDArray[Any],
    samples: Sequence[int] | npt.NDArray[Any],
    out: Any = None,
    threads: int | None = None,
    variant: str | None = None,
) -> tuple[Any, Variant]:
    """As `degrade`, with the instruction set that ran."""
    batch = not isinstance(images, list | tuple)
    pictures = _checked_pictures(images, "images")
    count = len(pictures)
    plan = _checked_plan(ops, count)
    seeds = _numbers("seed", [seed] * count if isinstance(seed, int | np.integer) else seed, count)
    numbers = _numbers("samples", samples, count)
    sizes = _plan_ends(plan, [(p.height, p.width) for p in pictures])
    if out is None:
        out = _allocated(images, sizes, batch)
    targets = _checked_pictures(out, "out", written=True)
    _check_targets(pictures, targets, sizes)
    code = Variant.AUTOMATIC
    if variant is not None:
        if variant not in _VARIANTS:
            raise KernelInputError(f"there is no variant {variant!r}; there are: {', '.join(_VARIANTS)}")
        code = _VARIANTS[variant]
    place = next((p.place for p in (*pictures, *targets)), None)
    if any(p.place != place for p in (*pictures, *targets)):
        raise KernelInputError("the pictures do not all lie on one device")
    if place is not None:
        if variant is not None:
            raise KernelInputError(f"variant {variant!r} is of the CPU; the pictures lie on cuda:{place}")
        _queue_on_device(place, images if batch else images[0], plan, pictures, targets, seeds, numbers)
        return out, Variant.CUDA
    if threads is None:
        threads = min(usable_threads(), max(count, 1))
    if threads < 1:
        raise KernelInputError(f"threads is {threads}, which must be 1 or more")
    used, failure = ctypes.c_int(), Failure()
    status = cpu_library().pellucid_degrade(
        plan.ctypes.data,
        plan.shape[1],
        count,
        _table(pictures),
        _table(targets),
        seeds.ctypes.data,
        numbers.ctypes.data,
        threads,
        code,
        ctypes.byref(used),
        failure,
    )
    raise_for(status, failure)
    return out, Variant(used.value)


def _queue_on_device(
    place: int,
    tensor: Any,
    plan: npt.NDArray[Any],
    pictures: list[_View],
    targets: list[_View],
    seeds: npt.NDArray[np.uint64],
    numbers: npt.NDArray[np.uint64],
) -> None:
    """Queues a batch on torch's current stream; `tensor` is one of its pictures and lends its allocator."""
    torch = sys.modules["torch"]  # the owner of a CUDA tensor has imported it
    library, failure = cuda_library(), Failure()
    schedule, size = ctypes.c_void_p(), ctypes.c_uint64()
    status = library.pellucid_cuda_prepare(
        plan.ctypes.data,
        plan.shape[1],
        len(pictures),
        _table(pictures),
        _table(targets),
        seeds.ctypes.data,
        numbers.ctypes.data,
        ctypes.byref(schedule),
        ctypes.byref(size),
        failure,
    )
    raise_for(status, failure)
    try:
        # torch's caching allocator aligns to 512 bytes and keeps the memory until the stream has passed it.
        workspace = tensor.new_empty((max(size.value, 1),), dtype=torch.uint8)
        stream = torch.cuda.current_stream(place).cuda_stream
        raise_for(library.pellucid_cuda_run(schedule, workspace.data_ptr(), place, stream, failure), failure)
    finally:
        library.pellucid_cuda_release(schedule)


class _View:
    """The address and size of one picture, whatever library owns it; `place` is the number of its GPU."""

    __slots__ = ("address", "height", "place", "width")

    def __init__(self, address: int, height: int, width: int, place: int | None) -> None:
        self.address, self.height, self.width, self.place = address, height, width, place


def _checked_pictures(images: Any, name: str, written: bool = False) -> list[_View]:
    if isinstance(images, list | tuple):
        views = []
        for k, image in enumerate(images):
            address, shape, place = _array_facts(image, f"{name}[{k}]", written)
            if len(shape) != 3:
                raise KernelInputError(f"{name}[{k}] has shape {shape}; a picture of a list is (3, height, width)")
            views.append(_checked_view(address, shape, place, f"{name}[{k}]", k))
        return views
    address, shape, place = _array_facts(images, name, written)
    if len(shape) != 4:
        raise KernelInputError(f"{name} has shape {shape}; a batch is (n, 3, height, width)")
    if shape[0] == 0:
        return []
    first = _checked_view(address, shape[1:], place, name, -1)
    step = 4 * 3 * first.height * first.width
    return [_View(address + s * step, first.height, first.width, place) for s in range(shape[0])]


def _checked_view(address: int, shape: tuple[int, ...], place: int | None, name: str, sample: int) -> _View:
    channels, height, width = shape
    if channels != 3:
        raise KernelInputError(f"{name} has {channels} planes; pictures have three: R, G, B", sample=sample)
    if height < 1 or width < 1:
        raise KernelInputError(f"{name} holds pictures of {height} x {width} pixels, which is nothing", sample=sample)
    if height > 65535 or width > 65535:
        raise KernelInputError(f"{name} holds pictures of {height} x {width} pixels; sides end at 65535", sample=sample)
    return _View(address, height, width, place)


def _array_facts(image: Any, name: str, written: bool) -> tuple[int, tuple[int, ...], int | None]:
    """Address, shape and GPU of a contiguous float32 array or tensor; anything else is refused in words."""
    if isinstance(image, np.ndarray):
        if image.dtype != np.float32:
            raise KernelInputError(f"{name} is {image.dtype}; pictures are float32 in 0..1")
        if not image.flags.c_contiguous:
            raise KernelInputError(f"{name} is not contiguous; pass numpy.ascontiguousarray of it")
        if written and not image.flags.writeable:
            raise KernelInputError(f"{name} is read-only; pass an array that may be written")
        return image.ctypes.data, image.shape, None
    if hasattr(image, "data_ptr") and hasattr(image, "is_contiguous"):
        if str(image.dtype) != "torch.float32":
            raise KernelInputError(f"{name} is {image.dtype}; pictures are float32 in 0..1")
        if image.device.type not in ("cpu", "cuda"):
            raise KernelInputError(f"{name} lies on {image.device}; pictures lie on the CPU or an NVIDIA GPU")
        if not image.is_contiguous():
            raise KernelInputError(f"{name} is not contiguous; pass its .contiguous()")
        if getattr(image, "requires_grad", False):
            raise KernelInputError(f"{name} requires a gradient, which degradation does not have; pass its .detach()")
        return int(image.data_ptr()), tuple(image.shape), image.device.index if image.device.type == "cuda" else None
    raise KernelInputError(f"{name} is a {type(image).__name__}; pictures are numpy arrays or torch tensors")


def _checked_plan(ops: npt.NDArray[Any], count: int) -> npt.NDArray[Any]:
    if not isinstance(ops, np.ndarray) or ops.dtype != OP:
        raise KernelInputError("ops is not an array of kernels.ops.OP records")
    plan = ops.reshape(1, -1) if ops.ndim == 1 else ops
    if plan.ndim != 2 or plan.shape[0] != count:
        raise KernelInputError(f"ops has shape {ops.shape}; {count} pictures need ({count}, operations)")
    return np.ascontiguousarray(plan)


def _numbers(name: str, values: Any, count: int) -> npt.NDArray[np.uint64]:
    listed = [int(v) for v in values]
    if len(listed) != count:
        raise KernelInputError(f"{name} holds {len(listed)} numbers for {count} pictures")
    if any(v < 0 or v >= 1 << 64 for v in listed):
        raise KernelInputError(f"{name} holds a number outside 0..2^64-1")
    return np.array(listed, np.uint64)


def _plan_ends(plan: npt.NDArray[Any], sizes: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The (height, width) in which each row of the plan leaves its picture."""
    table, failure = np.array(sizes, np.int32).reshape(-1, 2), Failure()
    status = cpu_library().pellucid_plan_sizes(plan.ctypes.data, plan.shape[1], len(table), table.ctypes.data, failure)
    raise_for(status, failure)
    return [(height, width) for height, width in table.tolist()]


def _allocated(images: Any, sizes: list[tuple[int, int]], batch: bool) -> Any:
    if batch:
        if len(set(sizes)) > 1:
            raise KernelInputError("the plans end in several sizes; pass the pictures as a list to get a list")
        shape = (len(sizes), 3, *(sizes[0] if sizes else images.shape[2:]))
        return np.empty(shape, np.float32) if isinstance(images, np.ndarray) else images.new_empty(shape)
    return [
        np.empty((3, *size), np.float32) if isinstance(image, np.ndarray) else image.new_empty((3, *size))
        for image, size in zip(images, sizes, strict=True)
    ]


def _check_targets(pictures: list[_View], targets: list[_View], sizes: list[tuple[int, int]]) -> None:
    if len(targets) != len(pictures):
        raise KernelInputError(f"out holds {len(targets)} pictures for {len(pictures)} inputs")
    for s, (target, size) in enumerate(zip(targets, sizes, strict=True)):
        if (target.height, target.width) != size:
            raise KernelInputError(
                f"out[{s}] is {target.height} x {target.width}; the plan ends in {size[0]} x {size[1]}", sample=s
            )
    _check_overlaps(pictures, targets)


def _check_overlaps(pictures: list[_View], targets: list[_View]) -> None:
    """Inputs may share memory with one another; a target shares none with anything."""
    spans = [(p.address, p.address + 12 * p.height * p.width, -1) for p in pictures]
    spans += [(t.address, t.address + 12 * t.height * t.width, s) for s, t in enumerate(targets)]
    inputs_end = targets_end = farthest = 0  # where those end that begin earlier, and which target reaches farthest
    for begin, end, s in sorted(spans):
        if s < 0:
            if begin < targets_end:
                raise KernelInputError(f"out[{farthest}] overlaps an input; inputs are never written", sample=farthest)
            inputs_end = max(inputs_end, end)
            continue
        if begin < inputs_end:
            raise KernelInputError(f"out[{s}] overlaps an input; inputs are never written", sample=s)
        if begin < targets_end:
            first, second = sorted((s, farthest))
            raise KernelInputError(f"out[{second}] overlaps out[{first}]; each picture needs its own", sample=second)
        if end > targets_end:
            targets_end, farthest = end, s


def _table(views: list[_View]) -> Any:
    return (Picture * len(views))(*[Picture(v.address, v.height, v.width) for v in views])

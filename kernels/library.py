"""Finds, loads and describes the native libraries. Loading happens on the first call, never on import."""

from __future__ import annotations

import ctypes
import sys
import time
from enum import IntEnum
from functools import cache
from importlib import resources
from pathlib import Path

from kernels.errors import KernelError, KernelInputError, KernelMemoryError, KernelsMissingError, NoDeviceError

ABI = 3


class Variant(IntEnum):
    """What runs a plan. All make the same bytes."""

    AUTOMATIC = -1
    SCALAR = 0
    AVX2 = 1
    AVX512 = 2
    EMULATED_DEVICE = 3  # the bodies of the CUDA kernels run by the CPU: slow, for tests
    CUDA = 4  # the other library, on tensors that lie on a GPU


class Status(IntEnum):
    OK = 0
    BAD_ARGUMENT = 1
    BAD_SIZE = 2
    BAD_OPERATION = 3
    BAD_PIXELS = 4
    NEEDS_HOST = 5
    NO_VARIANT = 6
    NO_MEMORY = 7
    NO_DEVICE = 8
    DEVICE_FAILED = 9
    INTERNAL = 10


class Picture(ctypes.Structure):
    """Where three float32 planes lie: `PellucidPicture`."""

    _fields_ = (("planes", ctypes.c_void_p), ("height", ctypes.c_int32), ("width", ctypes.c_int32))


class Failure(ctypes.Structure):
    """Where and why a call was refused: `PellucidFailure`."""

    _fields_ = (("sample", ctypes.c_int64), ("operation", ctypes.c_int64), ("message", ctypes.c_char * 240))


_INPUT_FAULTS = {
    Status.BAD_ARGUMENT,
    Status.BAD_SIZE,
    Status.BAD_OPERATION,
    Status.BAD_PIXELS,
    Status.NEEDS_HOST,
    Status.NO_VARIANT,
}


def raise_for(status: int, failure: Failure) -> None:
    """Turns a status other than OK into the exception that says what happened and where."""
    if status == Status.OK:
        return
    message = failure.message.decode("utf-8", "replace") or Status(status).name.lower().replace("_", " ")
    place = ""
    if failure.sample >= 0:
        place = f"sample {failure.sample}"
        if failure.operation >= 0:
            place += f", operation {failure.operation}"
        place += ": "
    kind: type[KernelError] = KernelError
    if status in _INPUT_FAULTS:
        kind = KernelInputError
    elif status == Status.NO_MEMORY:
        kind = KernelMemoryError
    elif status == Status.NO_DEVICE:
        kind = NoDeviceError
    raise kind(place + message, sample=failure.sample, operation=failure.operation, reason=message)


def _file_name(stem: str) -> str:
    if sys.platform == "win32":
        return f"{stem}.dll"
    return f"lib{stem}.dylib" if sys.platform == "darwin" else f"lib{stem}.so"


WRITING_SECONDS = 0.5
"""A file changed less long ago than this may be half of itself."""
PATIENCE_SECONDS = 5.0


def _wait_until_written(path: Path) -> None:
    """Installers take the old library away and write the new one in several steps. Who has the old one loaded keeps
    it; who would load the new one in this very moment would crash, so wait until nothing has changed for a while."""
    patience = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < patience:
        try:
            age = time.time() - path.stat().st_mtime
        except FileNotFoundError:
            return
        if not 0.0 <= age < WRITING_SECONDS:
            return
        time.sleep(WRITING_SECONDS / 5)


def _load(stem: str) -> ctypes.CDLL:
    name = _file_name(stem)
    # importlib.resources also finds the library of an editable install, which does not lie beside this file.
    with resources.as_file(resources.files("kernels").joinpath(name)) as path:
        _wait_until_written(path)
        if not path.is_file():
            raise KernelsMissingError(f"{name} is not part of this installation; build it with: pip install -e .")
        try:
            library = ctypes.CDLL(str(path))
        except OSError as error:
            raise KernelsMissingError(f"{name} cannot be loaded: {error}") from error
    version = library["pellucid_version" if stem == "pellucid_cpu" else f"{stem}_version"]()
    if version != ABI:
        raise KernelsMissingError(f"{name} speaks interface {version}, this program {ABI}; build it again")
    return library


@cache
def cpu_library() -> ctypes.CDLL:
    """The CPU library, with the types of its functions declared."""
    library = _load("pellucid_cpu")
    pointer, failure = ctypes.c_void_p, ctypes.POINTER(Failure)
    signatures: dict[str, tuple[object, list[object]]] = {
        "pellucid_has_variant": (ctypes.c_int, [ctypes.c_int]),
        "pellucid_plan_sizes": (ctypes.c_int, [pointer, ctypes.c_uint32, ctypes.c_uint64, pointer, failure]),
        "pellucid_degrade": (
            ctypes.c_int,
            [
                pointer,
                ctypes.c_uint32,
                ctypes.c_uint64,
                pointer,
                pointer,
                pointer,
                pointer,
                ctypes.c_int,
                ctypes.c_int,
                ctypes.POINTER(ctypes.c_int),
                failure,
            ],
        ),
        "pellucid_planes_from_pixels": (None, [pointer, ctypes.c_uint64, ctypes.c_int32, ctypes.c_int32, pointer]),
        "pellucid_pixels_from_planes": (None, [pointer, ctypes.c_uint64, ctypes.c_int32, ctypes.c_int32, pointer]),
        "pellucid_philox": (None, [pointer, pointer, pointer]),
        "pellucid_blur_taps": (ctypes.c_int, [pointer, pointer, failure]),
    }
    _declare(library, signatures)
    return library


@cache
def cuda_library() -> ctypes.CDLL:
    """The CUDA library. It loads without a driver; KernelsMissingError where it was not built."""
    library = _load("pellucid_cuda")
    pointer, failure = ctypes.c_void_p, ctypes.POINTER(Failure)
    signatures: dict[str, tuple[object, list[object]]] = {
        "pellucid_cuda_devices": (ctypes.c_int, [ctypes.POINTER(ctypes.c_int), failure]),
        "pellucid_cuda_prepare": (
            ctypes.c_int,
            [
                pointer,
                ctypes.c_uint32,
                ctypes.c_uint64,
                pointer,
                pointer,
                pointer,
                pointer,
                ctypes.POINTER(ctypes.c_void_p),
                ctypes.POINTER(ctypes.c_uint64),
                failure,
            ],
        ),
        "pellucid_cuda_run": (ctypes.c_int, [pointer, pointer, ctypes.c_int, pointer, failure]),
        "pellucid_cuda_release": (None, [pointer]),
    }
    _declare(library, signatures)
    return library


def cuda_devices() -> int:
    """How many GPUs the CUDA library sees; NoDeviceError with the driver's reason when there is none."""
    count, failure = ctypes.c_int(), Failure()
    raise_for(cuda_library().pellucid_cuda_devices(ctypes.byref(count), failure), failure)
    return count.value


def _declare(library: ctypes.CDLL, signatures: dict[str, tuple[object, list[object]]]) -> None:
    for name, (result, arguments) in signatures.items():
        function = getattr(library, name)
        function.restype = result
        function.argtypes = arguments


def runnable_variants() -> list[Variant]:
    """The instruction sets that this build has and this processor can run, best last."""
    library = cpu_library()
    return [v for v in (Variant.SCALAR, Variant.AVX2, Variant.AVX512) if library.pellucid_has_variant(v)]

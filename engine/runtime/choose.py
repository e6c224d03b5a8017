"""Which backend runs a model: found out without loading any of them, chosen by what is fastest, or forced by name."""

from __future__ import annotations

import ctypes
import importlib.util
import sys
from typing import cast

from engine.errors import Code, DeviceLost, OutOfMemory, PellucidError
from engine.models.arch import find_architecture
from engine.models.arch.architecture import nearest_name_hint
from engine.models.card import Card
from engine.models.model import Model
from engine.runtime.classical import CLASSICAL, ClassicalSession
from engine.runtime.session import Precision, Session
from engine.runtime.tensorrt_library import FLAVOURS, Flavour, installed_version, is_installed
from engine.wire import BackendReport

BACKENDS = ("openvino", "torch", "tensorrt-rtx", "tensorrt")
"""Those a user can name. Classical models need none."""

_PRECISIONS = ("fp32", "bf16", "fp16")


def backend_reports() -> list[BackendReport]:
    """Every backend, whether it can run here, and if not why. Imports none of them."""
    return [_report_openvino(), _report_torch(), *(_report_tensorrt(flavour) for flavour in FLAVOURS)]


def open_session(
    model: Model, *, backend: str = "", device: str = "", precision: str = "", streams: int = 0, frozen: bool = False
) -> Session:
    """A session for the model on the fastest backend, or on the one that is named.

    device: "cpu", "cuda", "cuda:N", part of a GPU's name, or several of these with commas between; precision: fp32,
    bf16 or fp16; streams: tiles side by side; empty or 0: chosen.
    frozen: pictures in bulk: the session may keep to these weights, or compile for them, where that makes it faster.
    Raises PellucidError(BACKEND_UNAVAILABLE) in one sentence when what is asked for cannot be had.
    """
    card = model.card
    if precision and precision not in _PRECISIONS:
        raise PellucidError(
            Code.USAGE, f'There is no precision "{precision}".', nearest_name_hint(precision, _PRECISIONS)
        )
    if backend and backend not in BACKENDS:
        raise PellucidError(Code.USAGE, f'There is no backend "{backend}".', nearest_name_hint(backend, BACKENDS))
    if card.architecture in CLASSICAL:
        from engine.runtime.openvino_cpu import usable_cores

        return ClassicalSession(model, streams=streams or usable_cores())
    if precision in _bad_precisions(card):
        raise PellucidError(
            Code.BACKEND_UNAVAILABLE,
            f'The model "{card.name}" is known to give wrong pictures in {precision}.',
            "Leave the precision open, or choose fp32.",
            precision=precision,
        )
    backend = backend or _choose_backend(card, device)
    report = next(report for report in backend_reports() if report.name == backend)
    if not report.available:
        raise PellucidError(Code.BACKEND_UNAVAILABLE, f"The backend {backend} cannot run here: {report.reason}")
    if backend == "openvino":
        return _open_openvino(model, device, precision, streams, frozen)
    return _open_torch(model, device, precision, backend, frozen)


def cuda_devices() -> list[str]:
    """Names of the NVIDIA devices that the driver offers, asked directly, so that nothing heavy is loaded."""
    library = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        driver = ctypes.CDLL(library)
    except OSError:
        return []
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return []
    names = []
    for ordinal in range(count.value):
        device, name = ctypes.c_int(0), ctypes.create_string_buffer(256)
        if driver.cuDeviceGet(ctypes.byref(device), ordinal) == 0 and driver.cuDeviceGetName(name, 256, device) == 0:
            names.append(name.value.decode(errors="replace"))
    return names


def _choose_backend(card: Card, device: str) -> str:
    """A GPU is faster than any CPU; on the CPU OpenVINO is, wherever it knows the network."""
    torch_is_there = _report_torch().available
    if card.architecture == "foreign":
        return "torch"
    if device not in ("", "cpu"):
        return _fastest_on_a_gpu() if torch_is_there else "torch"
    if not device and torch_is_there and cuda_devices() and _torch_has_cuda():
        return _fastest_on_a_gpu()
    return "torch" if torch_is_there and not _report_openvino().available else "openvino"


def _fastest_on_a_gpu() -> str:
    """TensorRT where the user has installed it."""
    return next((flavour.name for flavour in FLAVOURS if _report_tensorrt(flavour).available), "torch")


def _torch_has_cuda() -> bool:
    from engine.runtime.torch_network import load_torch

    return bool(load_torch().cuda.is_available())


def _open_torch(model: Model, device: str, precision: str, backend: str, bulk: bool) -> Session:
    """`backend`: torch alone, or for pictures in bulk the TensorRT that takes over from it when its engine is ready."""
    from engine.runtime.torch_device import find_cuda_device
    from engine.runtime.torch_eager import TorchSession
    from engine.runtime.torch_network import supported_precisions

    if not device:
        device = "cuda" if cuda_devices() and _torch_has_cuda() else "cpu"
    foreign = model.card.architecture == "foreign"
    if device == "cpu" and backend != "torch":
        raise PellucidError(
            Code.BACKEND_UNAVAILABLE, f"{backend} runs on NVIDIA GPUs, not on the CPU.", "Leave the backend open."
        )
    devices = [part.strip() for part in device.split(",")]
    if foreign and device != "cpu":
        # One network as it is, on one device: the first that is named.
        device = str(find_cuda_device(devices[0]))
    if device == "cpu" or foreign:
        # Nobody has looked at foreign networks in anything lower.
        bad = _bad_precisions(model.card)
        fastest = next(offered for offered in supported_precisions(device) if offered not in bad)
        chosen = precision or ("fp32" if foreign else fastest)
        return TorchSession(model, device=device, precision=cast(Precision, chosen))
    return _open_gpus(model, devices, precision, backend if bulk else "torch")


def _open_gpus(model: Model, devices: list[str], precision: str, backend: str) -> Session:
    from engine.runtime.fleet import FleetSession, Member
    from engine.runtime.memory import let_go
    from engine.runtime.pipeline import PipelinedSession
    from engine.runtime.tensorrt_session import accelerated
    from engine.runtime.torch_cuda import open_torch_cuda
    from engine.runtime.torch_device import find_cuda_device
    from engine.runtime.torch_network import supported_precisions

    found = list(dict.fromkeys(str(find_cuda_device(device)) for device in devices))
    bad = _bad_precisions(model.card)
    if not precision:
        # One precision for all: a picture is not made of two.
        offered = [supported_precisions(device) for device in found]
        precision = next(one for one in offered[0] if one not in bad and all(one in others for others in offered))
    opened: list[PipelinedSession] = []
    absent: list[OutOfMemory | DeviceLost] = []
    for device in found:
        try:
            opened.append(open_torch_cuda(model, device=device, precision=cast(Precision, precision)))
        except (OutOfMemory, DeviceLost) as reason:
            absent.append(let_go(reason))
    if not opened:
        raise absent[0]
    for left_out in absent:
        opened[0].say(f"{left_out.message} It takes no part.")
    narrow_by_tensorrt = backend != "torch" and precision != "fp32"
    members: list[Member] = [
        accelerated(session, model, backend) if narrow_by_tensorrt else session for session in opened
    ]
    return members[0] if len(members) == 1 else FleetSession(members)


def _open_openvino(model: Model, device: str, precision: str, streams: int, frozen: bool) -> Session:
    from engine.runtime.openvino_cpu import OpenVinoSession, supported_precisions

    if model.card.architecture == "foreign":
        raise PellucidError(
            Code.BACKEND_UNAVAILABLE,
            f'"{model.card.name}" is a network that only torch can run.',
            "Leave the backend open, or choose torch.",
        )
    if device not in ("", "cpu"):
        raise PellucidError(
            Code.BACKEND_UNAVAILABLE,
            f'OpenVINO runs on the CPU here, not on "{device}".',
            "Choose the backend torch for an NVIDIA device.",
            device=device,
        )
    supported = supported_precisions()
    if precision and precision not in supported:
        raise PellucidError(
            Code.BACKEND_UNAVAILABLE,
            f"This CPU does not compute in {precision}; OpenVINO offers {' and '.join(supported)} here.",
            "Leave the precision open, or choose fp32.",
            precision=precision,
        )
    bad = _bad_precisions(model.card)
    chosen = [offered for offered in supported if (offered == precision if precision else offered not in bad)]
    return OpenVinoSession(model, precision=chosen[0], streams=streams, frozen=frozen)


def _bad_precisions(card: Card) -> set[str]:
    """Precisions in which the model gives wrong pictures; fp32 never is one, because nothing is higher."""
    bad = set(card.bad_precisions) - {"fp32"}
    if card.architecture not in (*CLASSICAL, "foreign") and not find_architecture(card.architecture).fp16_safe:
        bad.add("fp16")
    return bad


def _report_openvino() -> BackendReport:
    if importlib.util.find_spec("openvino") is None:
        return BackendReport(name="openvino", available=False, reason="the package openvino is not installed.")
    return BackendReport(name="openvino", available=True, devices=["cpu"])


def _report_torch() -> BackendReport:
    if importlib.util.find_spec("torch") is None:
        return BackendReport(name="torch", available=False, reason="the package torch is not installed.")
    devices = [f"cuda:{number} {name}" for number, name in enumerate(cuda_devices())]
    return BackendReport(name="torch", available=True, devices=["cpu", *devices])


def _report_tensorrt(flavour: Flavour) -> BackendReport:
    """By what is installed, without importing any of it: that takes a driver, and time."""
    if not is_installed(flavour):
        hint = f"it is not installed; `pellucid accelerate install {flavour.name}` installs it."
        return BackendReport(name=flavour.name, available=False, reason=hint)
    names = cuda_devices()
    if not names:
        return BackendReport(name=flavour.name, available=False, reason="there is no NVIDIA driver or GPU here.")
    if not _report_torch().available:
        return BackendReport(name=flavour.name, available=False, reason="it needs torch, which is not installed.")
    version = installed_version(flavour)
    devices = [f"cuda:{number} {name} (version {version})" for number, name in enumerate(names)]
    return BackendReport(name=flavour.name, available=True, devices=devices)

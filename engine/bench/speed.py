"""Speed on the CPU against other runtimes: the same network, tile and cores, one process each, rounds interleaved."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any
from unittest import mock

import numpy as np
import numpy.typing as npt

from engine.bench.nets import model_to_measure, peer_file
from engine.models.arch import find_architecture, swinir
from engine.models.model import Model
from engine.runtime.choose import open_session
from engine.runtime.openvino_cpu import usable_cores
from engine.runtime.session import Precision
from engine.tiling.measure import natural_picture
from engine.tiling.run import TilingSettings, restore_tiles

NETS = ("compact-16", "msrresnet-16", "rrdbnet-23", "swinir-78")

Tile = npt.NDArray[np.float32]
RunTile = Callable[[Tile], object]

OURS = "pellucid"
RIVALS = ("pellucid fp32", "torch eager", "torch tuned", "onnxruntime", "ncnn", "realesrgan-ncnn files in ncnn")


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds of one run."""

    wall: float
    cpu: float


def bench_cpu(nets: list[str], tile: int, rounds: int, megapixels: float, out: Any) -> int:
    rows: list[list[object]] = []
    summary: dict[str, object] = {}
    for net in nets or NETS:
        timings = _measure_net(net, tile, rounds, out)
        if OURS not in timings:
            continue
        ours = timings[OURS]
        peers = {name: timing for name, timing in timings.items() if not name.startswith("pellucid")}
        for name, timing in timings.items():
            record = {
                "net": net,
                "tile": tile,
                "runtime": name,
                "wall_ms": round(timing.wall * 1e3, 2),
                "cpu_ms": round(timing.cpu * 1e3, 2),
                "times_ours_wall": round(timing.wall / ours.wall, 3),
                "times_ours_cpu": round(timing.cpu / ours.cpu, 3),
            }
            out.line(record)
            rows.append(list(record.values()))
        if peers:
            best = min(peers, key=lambda name: peers[name].cpu)
            summary[net] = {"best_peer": best, "ratio_cpu": round(peers[best].cpu / ours.cpu, 3)}
    out.say(f"One tile, {usable_cores()} cores, medians of {rounds} interleaved rounds:")
    out.table(rows, ["net", "tile", "runtime", "wall ms", "CPU ms", "x ours, wall", "x ours, CPU"])
    if megapixels:
        summary["pictures"] = _measure_pictures(nets or list(NETS), megapixels, out)
    out.line({"summary": summary})
    return 0


def _measure_net(net: str, tile: int, rounds: int, out: Any) -> dict[str, Timing]:
    """Medians of every runtime that can run the net."""
    context = multiprocessing.get_context("spawn")
    workers: dict[str, tuple[Any, Connection]] = {}
    try:
        for name in (OURS, *RIVALS):
            near, far = context.Pipe()
            process = context.Process(target=_serve, args=(far, name, net, tile), daemon=True)
            process.start()
            far.close()
            answer = receive(near)
            if answer is None:
                workers[name] = process, near
            else:
                out.line({"net": net, "runtime": name, "skipped": answer})
                out.say(f"{net}: {name} is left out: {answer}")
                process.join()
        taken: dict[str, list[Timing]] = {name: [] for name in workers}
        for _ in range(rounds):
            for name, (_, connection) in workers.items():
                connection.send("run")
                taken[name].append(receive(connection))
    finally:
        for process, connection in workers.values():
            connection.send("end")
            process.join()
    return {
        name: Timing(statistics.median(t.wall for t in all_of), statistics.median(t.cpu for t in all_of))
        for name, all_of in taken.items()
    }


def receive(connection: Connection) -> Any:
    try:
        return connection.recv()
    except EOFError:
        return "its process ended."


def be_fair_to_all() -> None:
    """For every runtime alike: threads that wait sleep. Spinning ones burn several times their work on a busy machine,
    which would flatter us, because OpenVINO's never spin."""
    os.environ.update(OMP_WAIT_POLICY="PASSIVE", GOMP_SPINCOUNT="0", KMP_BLOCKTIME="0")


def _serve(connection: Connection, name: str, net: str, tile: int) -> None:
    """A worker process: says None when ready or why it cannot, then times one run for every request."""
    be_fair_to_all()
    picture = natural_picture(tile, tile, seed=1)[np.newaxis]
    try:
        run = prepare_runtime(name, net, picture)
        run(picture)
    except Exception as error:  # whatever another runtime raises, it is the reason why it is left out
        connection.send(f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}")
        return
    connection.send(None)
    # Some runtimes prepare more at their second run.
    run(picture)
    while connection.recv() == "run":
        wall, cpu = time.perf_counter(), time.process_time()
        run(picture)
        connection.send(Timing(time.perf_counter() - wall, time.process_time() - cpu))


def prepare_runtime(name: str, net: str, picture: Tile) -> RunTile:
    """A function that runs the net on tiles of the shape of `picture`, by the runtime of this name."""
    model, _ = model_to_measure(net)
    match name:
        case "pellucid":
            return open_session(model, backend="openvino", frozen=True).run
        case "pellucid fp32":
            return open_session(model, backend="openvino", precision="fp32", frozen=True).run
        case "torch tuned":
            return open_session(model, backend="torch", device="cpu").run
        case "torch eager":
            return _torch_as_it_comes(model)
        case "onnxruntime":
            return _onnxruntime(model, picture)
        case "ncnn" | "realesrgan-ncnn files in ncnn":
            return _ncnn(net, name)
    raise ValueError(name)


def _torch_as_it_comes(model: Model) -> RunTile:
    """What `module(x)` costs without any care."""
    import torch

    network = _torch_network(model)

    def run(picture: Tile) -> object:
        with torch.no_grad():
            return network(torch.from_numpy(picture)).numpy()

    return run


def _torch_network(model: Model) -> Any:
    import torch

    architecture = find_architecture(model.card.architecture)
    network = architecture.torch_module(architecture.read_arguments(model.card.arguments)).eval()
    network.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in model.weights.items()})
    return network


def _onnxruntime(model: Model, picture: Tile) -> RunTile:
    """The exporter of torch needs the package onnx; spinning is off, because it costs other processes their cores."""
    import io
    import warnings

    import onnxruntime  # type: ignore[import-untyped]
    import torch

    network = _torch_network(model)
    exported: Any = io.BytesIO()
    with warnings.catch_warnings(), torch.inference_mode(), _whole_numbers_in_masks():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (torch.from_numpy(picture),),
            exported,
            dynamo=False,
            opset_version=17,
            input_names=["picture"],
            output_names=["restored"],
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = usable_cores()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(exported.getvalue(), options, providers=["CPUExecutionProvider"])
    return lambda tile: session.run(None, {"picture": tile})


@contextlib.contextmanager
def _whole_numbers_in_masks() -> Iterator[None]:
    """While torch traces, sides of pictures are tensors, and SwinIR's masks are made by numpy."""
    make_mask = swinir.shift_mask

    def from_traced(height: int, width: int, window: int, shift: int) -> npt.NDArray[np.float32]:
        return make_mask(int(height), int(width), window, shift)

    with mock.patch.object(swinir, "shift_mask", from_traced):
        yield


def _ncnn(net: str, name: str) -> RunTile:
    """The network as the peer ships it, run by the ncnn package: the peer's own module needs Vulkan even to load."""
    path = peer_file(net)
    if path is None:
        raise FileNotFoundError("no ncnn file of this network is installed")
    import ncnn  # type: ignore[import-untyped]

    network = ncnn.Net()
    network.opt.num_threads = usable_cores()
    network.opt.use_vulkan_compute = False
    if name == "ncnn":
        # The fastest settings on x86; the peer's program leaves the defaults.
        network.opt.use_winograd_convolution = True
        network.opt.use_fp16_storage = network.opt.use_fp16_packed = network.opt.use_fp16_arithmetic = False
    network.load_param(str(path))
    network.load_model(str(path.with_suffix(".bin")))

    def run(picture: Tile) -> object:
        extractor = network.create_extractor()
        extractor.input("data", ncnn.Mat(picture[0]))
        code, result = extractor.extract("output")
        if code:
            raise RuntimeError(f"ncnn returned {code}")
        return np.array(result)

    return run


def _measure_pictures(nets: list[str], megapixels: float, out: Any) -> dict[str, object]:
    """How much of the runtime's raw rate is left in useful pixels of a whole picture, through the tiler."""
    side = max(64, round((megapixels * 1e6) ** 0.5))
    rows: list[list[object]] = []
    found: dict[str, object] = {}
    for net in nets:
        model, _ = model_to_measure(net)
        session = open_session(model, backend="openvino", frozen=True)
        precision: Precision = session.info.precision
        picture = natural_picture(side, side, seed=2)
        raw_side = min(256, side) if not session.info.best_side else session.info.best_side
        raw_tile = np.ascontiguousarray(picture[np.newaxis, :, :raw_side, :raw_side])
        raw: list[float] = []
        useful: list[float] = []
        report = None
        session.run(raw_tile)
        for _ in range(3):
            started = time.process_time()
            session.run(raw_tile)
            raw.append(raw_side**2 / (time.process_time() - started))
            started = time.process_time()
            report = restore_tiles(picture, session, on_band=lambda *_: None, settings=TilingSettings())
            useful.append(side**2 / (time.process_time() - started))
        assert report is not None
        record = {
            "net": net,
            "picture": f"{side}x{side}",
            "precision": precision,
            "halo": session.info.halo,
            "tiles": len(report.plan),
            "useful_share": round(report.plan.useful_share, 3),
            "raw_mp_per_cpu_s": round(statistics.median(raw) / 1e6, 4),
            "useful_mp_per_cpu_s": round(statistics.median(useful) / 1e6, 4),
            "of_raw": round(statistics.median(useful) / statistics.median(raw), 3),
        }
        out.line(record)
        rows.append(list(record.values()))
        found[net] = record["of_raw"]
        session.close()
    out.say("A whole picture through the tiler, against the raw rate of one tile:")
    out.table(
        rows,
        ["net", "picture", "precision", "halo", "tiles", "useful", "raw MP/CPU s", "useful MP/CPU s", "of raw"],
    )
    return found

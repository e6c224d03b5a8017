"""A batch of files, from JPEG to JPEG: our whole restore beside the same network run the way other programs run it.

Theirs: decode with Pillow, windows of one size with ten pixels of context cut off hard, encode with Pillow, one file
after the other. Ours: the queue behind `pellucid restore`. One process each, rounds interleaved, model loaded before.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.bench.nets import model_to_measure
from engine.bench.speed import Timing, be_fair_to_all, prepare_runtime, receive
from engine.models.files import write_model
from engine.models.model import Model
from engine.runtime.choose import open_session
from engine.tiling.measure import natural_picture
from engine.tiling.run import TilingSettings, restore_tiles
from engine.wire import Failed, RestoreOptions, RestoreRequest

OURS = "pellucid"
PURE = "pellucid, network only"
RIVALS = ("torch eager", "onnxruntime", "ncnn", "realesrgan-ncnn files in ncnn")
WIDTH, HEIGHT = 640, 512
"""Whole multiples of the peers' tile, so that they waste nothing at the edges."""
PEER_TILE, PEER_PAD = 128, 10
QUALITY = 95

RunBatch = Callable[[], object]


def bench_files(nets: list[str], count: int, rounds: int, out: Any) -> int:
    rows: list[list[object]] = []
    summary: dict[str, object] = {}
    with tempfile.TemporaryDirectory(prefix="pellucid-bench-") as folder:
        sources = _make_pictures(Path(folder), count)
        for net in nets:
            timings = _measure(net, sources, rounds, out)
            ours, pure = timings[OURS], timings[PURE]
            for name, timing in timings.items():
                record = {
                    "net": net,
                    "way": name,
                    "files": count,
                    "size": f"{WIDTH}x{HEIGHT}",
                    "wall_s": round(timing.wall, 3),
                    "cpu_s": round(timing.cpu, 3),
                    "times_ours_wall": round(timing.wall / ours.wall, 3),
                    "times_ours_cpu": round(timing.cpu / ours.cpu, 3),
                }
                out.line(record)
                rows.append(list(record.values()))
            peers = {name: timing for name, timing in timings.items() if name in RIVALS}
            best = min(peers, key=lambda name: peers[name].cpu, default="")
            summary[net] = {
                "ours_to_network_only_cpu": round(ours.cpu / pure.cpu, 3),
                "ours_to_network_only_wall": round(ours.wall / pure.wall, 3),
                "best_peer": best,
                "ratio_cpu": round(peers[best].cpu / ours.cpu, 3) if best else None,
            }
    out.table(rows, ["net", "way", "files", "size", "wall s", "CPU s", "x ours, wall", "x ours, CPU"])
    for net, found in summary.items():
        out.say(f"{net}: {found}")
    out.line({"summary": summary})
    return 0


def _make_pictures(folder: Path, count: int) -> list[Path]:
    from PIL import Image

    paths = []
    for number in range(count):
        pixels = (natural_picture(HEIGHT, WIDTH, seed=number) * 255).astype(np.uint8).transpose(1, 2, 0)
        paths.append(folder / f"{number}.jpg")
        Image.fromarray(pixels).save(paths[-1], quality=QUALITY)
    return paths


def _measure(net: str, sources: list[Path], rounds: int, out: Any) -> dict[str, Timing]:
    context = multiprocessing.get_context("spawn")
    workers: dict[str, tuple[Any, Connection]] = {}
    try:
        for name in (OURS, PURE, *RIVALS):
            near, far = context.Pipe()
            process = context.Process(target=_serve, args=(far, name, net, sources), daemon=True)
            process.start()
            far.close()
            if (reason := receive(near)) is None:
                workers[name] = process, near
            else:
                out.say(f"{net}: {name} is left out: {reason}")
                process.join()
        taken: dict[str, list[Timing]] = {name: [] for name in workers}
        for _ in range(rounds):
            for name, (_, connection) in workers.items():
                connection.send("run")
                taken[name].append(receive(connection))
    finally:
        for process, connection in workers.values():
            with contextlib.suppress(OSError):
                connection.send("end")
            process.join()
    return {
        name: Timing(statistics.median(t.wall for t in all_of), statistics.median(t.cpu for t in all_of))
        for name, all_of in taken.items()
    }


def _serve(connection: Connection, name: str, net: str, sources: list[Path]) -> None:
    be_fair_to_all()
    folder = Path(tempfile.mkdtemp(prefix="pellucid-bench-"))
    try:
        try:
            run = _prepare(name, net, sources, folder)
            run()
        except Exception as error:  # whatever another runtime raises, it is the reason why it is left out
            connection.send(f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}")
            return
        connection.send(None)
        while connection.recv() == "run":
            wall, cpu = time.perf_counter(), time.process_time()
            run()
            connection.send(Timing(time.perf_counter() - wall, time.process_time() - cpu))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _prepare(name: str, net: str, sources: list[Path], folder: Path) -> RunBatch:
    model, _ = model_to_measure(net)
    if name == OURS:
        return _our_queue(model, sources, folder)
    if name == PURE:
        return _our_network(model, len(sources))
    return _their_way(name, net, model.card.scale, sources, folder)


def _our_queue(model: Model, sources: list[Path], folder: Path) -> RunBatch:
    from engine.queue import RestoreQueue
    from engine.restore import Restorer

    path = folder / "model.safetensors"
    write_model(model, path)
    options = RestoreOptions(model=str(path), format="jpeg", quality=QUALITY, existing="overwrite")
    restorer = Restorer()

    def run() -> None:
        failures: list[str] = []

        def tell(event: object) -> None:
            if isinstance(event, Failed):
                failures.append(event.message)

        queue = RestoreQueue(restorer, tell)
        for number, source in enumerate(sources):
            queue.submit(RestoreRequest(job=str(number), source=str(source), target=str(folder), options=options))
        queue.close()
        queue.run()
        if failures:
            raise RuntimeError(failures[0])

    return run


def _our_network(model: Model, count: int) -> RunBatch:
    session = open_session(model, backend="openvino", frozen=True)
    picture = natural_picture(HEIGHT, WIDTH, seed=1)

    def run() -> None:
        for _ in range(count):
            restore_tiles(picture, session, on_band=lambda *_: None, settings=TilingSettings())

    return run


def _their_way(name: str, net: str, scale: int, sources: list[Path], folder: Path) -> RunBatch:
    from PIL import Image

    side = PEER_TILE + 2 * PEER_PAD
    run_tile = prepare_runtime(name, net, np.zeros((1, 3, side, side), np.float32))

    def run() -> None:
        for source in sources:
            with Image.open(source) as image:
                picture = np.asarray(image.convert("RGB"), np.float32).transpose(2, 0, 1) / np.float32(255)
            Image.fromarray(enlarge(picture)).save(folder / source.name, quality=QUALITY)

    def enlarge(picture: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
        padded = np.pad(picture, ((0, 0), (PEER_PAD, PEER_PAD), (PEER_PAD, PEER_PAD)), mode="reflect")
        result = np.empty((3, HEIGHT * scale, WIDTH * scale), np.float32)
        core, cut = PEER_TILE * scale, PEER_PAD * scale
        for y in range(0, HEIGHT, PEER_TILE):
            for x in range(0, WIDTH, PEER_TILE):
                window = np.ascontiguousarray(padded[np.newaxis, :, y : y + side, x : x + side])
                part = np.asarray(run_tile(window)).reshape(3, side * scale, side * scale)
                top, left = y * scale, x * scale
                result[:, top : top + core, left : left + core] = part[:, cut : cut + core, cut : cut + core]
        return np.ascontiguousarray((result.clip(0, 1) * 255).round().astype(np.uint8).transpose(1, 2, 0))

    return run

"""Peak memory of a large result: decoded source in memory, rows handed to a writer or thrown away."""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import psutil

from engine.bench.nets import model_to_measure
from engine.runtime.choose import open_session
from engine.tiling.run import TilingSettings, restore_tiles
from engine.tiling.source import InterleavedSource

_MB = 1 << 20


def bench_memory(net: str, side: int, cap_mb: int, file_format: str, out: Any) -> int:
    """Restores a picture whose result is side x side, and reports the peak above what the loaded model takes."""
    model, weights = model_to_measure(net)
    session = open_session(model, backend="openvino")
    source_side = -(-side // session.info.scale)
    colour = _checked_pattern(source_side)
    session.run(np.zeros((1, 3, 64, 64), dtype=np.float32))
    before = psutil.Process().memory_info().rss
    if cap_mb:
        _cap_address_space(cap_mb)
    started = time.perf_counter()
    with _Peak() as peak, tempfile.TemporaryDirectory(prefix="pellucid-bench-") as folder:
        size = source_side * session.info.scale
        writer = _open_writer(Path(folder), file_format, size) if file_format else None

        def take(top: int, bottom: int, rows: npt.NDArray[np.float32]) -> None:
            samples = np.clip(rows, 0, 1)
            samples *= 255
            np.rint(samples, out=samples)
            if writer is not None:
                writer.write_rows(np.ascontiguousarray(samples.astype(np.uint8)))

        report = restore_tiles(
            InterleavedSource(colour), session, on_band=take, settings=TilingSettings(memory=_budget(cap_mb))
        )
        if writer is not None:
            writer.commit()
    record = {
        "net": net,
        "weights": weights,
        "result": f"{size}x{size}",
        "megapixels": round(size * size / 1e6, 1),
        "format": file_format or "none",
        "precision": session.info.precision,
        "tiles": len(report.plan),
        "useful_share": round(report.plan.useful_share, 3),
        "loaded_mb": round(before / _MB),
        "peak_above_loaded_mb": round((peak.highest - before) / _MB),
        "cap_mb": cap_mb,
        "seconds": round(time.perf_counter() - started, 1),
    }
    out.line(record)
    out.table([list(record.values())], list(record))
    session.close()
    return 0


def _budget(cap_mb: int) -> int:
    """Half of a cap for tiles: the rest is for the interpreter, the model, the source and the writer."""
    return cap_mb * _MB // 4 if cap_mb else 0


def _checked_pattern(side: int) -> npt.NDArray[np.uint8]:
    """(side, side, 3): a small natural picture, repeated."""
    from engine.tiling.measure import natural_picture

    patch = (natural_picture(256, 256, seed=3) * 255).astype(np.uint8).transpose(1, 2, 0)
    repeats = -(-side // 256)
    return np.ascontiguousarray(np.tile(patch, (repeats, repeats, 1))[:side, :side])


def _open_writer(folder: Path, file_format: str, size: int) -> Any:
    from engine.image.encode import open_writer

    return open_writer(folder / f"result.{file_format}", file_format, width=size, height=size, channels=3)


def _cap_address_space(megabytes: int) -> None:
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (megabytes * _MB, resource.RLIM_INFINITY))


class _Peak:
    """Watches the memory of this process every few milliseconds."""

    def __init__(self) -> None:
        self.highest = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> _Peak:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        process = psutil.Process()
        while not self._ended.wait(0.005):
            self.highest = max(self.highest, process.memory_info().rss)

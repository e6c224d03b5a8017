"""A worker that keeps the contract: Pillow's bicubic, band by band, as slowly as PELLUCID_FAKE_DELAY says."""

from __future__ import annotations

import os
import queue
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from engine import wire

DELAY = float(os.environ.get("PELLUCID_FAKE_DELAY", "0.01"))
BANDS = int(os.environ.get("PELLUCID_FAKE_BANDS", "8"))
SCALE = 4
folder = Path(tempfile.mkdtemp(prefix="fake-worker-"))
lock = threading.Lock()
cancelled: set[str] = set()
paused = threading.Event()


def say(event: wire.Event) -> None:
    with lock:
        sys.stdout.buffer.write(wire.encode(event))
        sys.stdout.buffer.flush()


def pixels_file(array: np.ndarray, name: str) -> str:
    path = folder / f"{name}.raw"
    array.tofile(path)
    return str(path)


def target_of(request: wire.RestoreRequest) -> Path:
    source = Path(request.source)
    folder = Path(request.target) / (source.parent.relative_to(request.root) if request.root else "")
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{source.stem}_fake_x{SCALE}.png"


def restore(request: wire.RestoreRequest) -> None:
    try:
        image = ImageOps.exif_transpose(Image.open(request.source)).convert("RGB")
    except FileNotFoundError:
        say(wire.Failed(job=request.job, code="file-missing", message=f"There is no file {request.source}."))
        return
    except OSError as error:
        say(
            wire.Failed(
                job=request.job,
                code="image-corrupt",
                message=f"{Path(request.source).name} is damaged: {error}.",
                hint="Open it elsewhere and save it anew.",
            )
        )
        return
    width, height = image.width * SCALE, image.height * SCALE
    target = target_of(request)
    say(
        wire.Accepted(
            job=request.job,
            width=image.width,
            height=image.height,
            out_width=width,
            out_height=height,
            backend="fake",
            device="CPU",
            precision="fp32",
            model="photo-compact",
            target=str(target),
        )
    )
    path = folder / f"{request.job}.raw"
    out = np.memmap(path, np.uint8, "w+", 0, (height, width, 3))
    whole = image.resize((width, height), Image.Resampling.BICUBIC)
    started = time.monotonic()
    for band in range(BANDS):
        while paused.is_set() and request.job not in cancelled:
            time.sleep(0.01)
        if request.job in cancelled:
            say(wire.Cancelled(job=request.job))
            return
        top, bottom = height * band // BANDS, height * (band + 1) // BANDS
        out[top:bottom] = np.asarray(whole.crop((0, top, width, bottom)))
        say(
            wire.BandReady(
                job=request.job, pixels=str(path), width=width, height=height, channels=3, top=top, bottom=bottom
            )
        )
        spent = time.monotonic() - started
        rate = image.width * image.height * (band + 1) / BANDS / 1e6 / max(spent, 1e-6)
        left = spent / (band + 1) * (BANDS - band - 1)
        say(
            wire.Progress(
                job=request.job, tiles_done=band + 1, tiles=BANDS, megapixels_per_second=rate, seconds_left=left
            )
        )
        time.sleep(DELAY)
    whole.save(target, compress_level=1)
    seconds = time.monotonic() - started
    say(
        wire.Restored(
            job=request.job,
            target=str(target),
            width=width,
            height=height,
            seconds=seconds,
            megapixels_per_second=image.width * image.height / 1e6 / seconds,
            backend="fake",
            precision="fp32",
            model="photo-compact",
        )
    )


def preview(request: wire.PreviewRequest) -> None:
    started = time.monotonic()
    region = request.region
    image = Image.open(request.source).convert("RGB")
    crop = image.crop((region.x, region.y, region.x + region.width, region.y + region.height))
    large = np.asarray(crop.resize((region.width * SCALE, region.height * SCALE), Image.Resampling.LANCZOS))
    alpha = request.options.alpha or 0.0
    sharp = np.clip(large.astype(np.float32) * (1 + 0.4 * alpha) - 128 * 0.4 * alpha, 0, 255).astype(np.uint8)
    say(
        wire.PreviewReady(
            job=request.job,
            view=request.view,
            pixels=pixels_file(sharp, request.job),
            width=sharp.shape[1],
            height=sharp.shape[0],
            channels=3,
            region=region,
            scale=SCALE,
            seconds=time.monotonic() - started,
        )
    )


def source(request: wire.SourceRequest) -> None:
    try:
        image = Image.open(request.source).convert("RGB")
    except OSError as error:
        say(wire.Failed(job=request.job, code="image-corrupt", message=str(error)))
        return
    full = image.size
    if request.longest:
        image.thumbnail((request.longest, request.longest))
    pixels = np.asarray(image)
    say(
        wire.SourceReady(
            job=request.job,
            pixels=pixels_file(pixels, request.job),
            width=image.width,
            height=image.height,
            channels=3,
            full_width=full[0],
            full_height=full[1],
        )
    )


def work(jobs: queue.Queue[wire.RestoreRequest]) -> None:
    while True:
        request = jobs.get()
        if request.job in cancelled:
            say(wire.Cancelled(job=request.job))
        else:
            restore(request)


def main() -> None:
    say(
        wire.Ready(
            protocol=wire.PROTOCOL,
            version="0",
            pid=os.getpid(),
            backends=[
                wire.BackendReport("openvino", True, devices=["CPU"]),
                wire.BackendReport("tensorrt", False, "no NVIDIA driver"),
            ],
        )
    )
    jobs: queue.Queue[wire.RestoreRequest] = queue.Queue()
    threading.Thread(target=work, args=(jobs,), daemon=True).start()
    for line in sys.stdin.buffer:
        request = wire.decode_request(line)
        match request:
            case wire.RestoreRequest():
                jobs.put(request)
            case wire.PreviewRequest():
                preview(request)
            case wire.SourceRequest():
                source(request)
            case wire.Cancel(job):
                cancelled.add(job)
            case wire.Pause():
                paused.set()
            case wire.Resume():
                paused.clear()
            case wire.Shutdown():
                break


if __name__ == "__main__":
    main()

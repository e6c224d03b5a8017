"""Tries out everything an installation needs to restore pictures: `python -m engine.selftest`.

`gui.selftest` (the command `pellucid --selftest`) runs it as a process of its own and reads its JSON lines, one for
each check: {"check": name, "outcome": "ok" | "failed" | "left out", "detail": sentence}. Exit code 1 when one failed.

Results are compared with what they must be: pictures with what was written, one restored picture with a hash that was
worked out in whole numbers, networks with a plain reference in float64.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.errors import PellucidError
from engine.image.buffer import ImageBuffer, Metadata
from engine.image.colour import to_srgb
from engine.image.decode import read_image
from engine.image.encode import write_image
from engine.image.formats import WRITTEN
from engine.models.arch.compact import COMPACT, CompactArgs
from engine.models.card import Card
from engine.models.library import Entry, list_models, load
from engine.models.model import Model, Weights
from engine.queue import RestoreQueue
from engine.restore import Restorer
from engine.runtime.choose import backend_reports, open_session
from engine.runtime.session import Session
from engine.runtime.tensorrt_library import FLAVOURS
from engine.wire import Event, RestoreOptions, RestoreRequest

Samples = npt.NDArray[Any]

GOLDEN_SEED = 300
"""Of the picture whose fourfold bicubic enlargement, exact to 2**-20, never comes nearer than 0.0017 of a level to a
half: whatever order a processor adds in, it rounds to the same bytes."""
GOLDEN_HASH = "808f044d872014916e8e4509786dc56bda6de9ab616d623b106ec83e25086971"

HEIC_COLOUR = (200, 120, 40)
HEIC = base64.b64decode(
    "AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAXxtZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAAAAAAAAAAACJpbG9jAAAA"
    "AERAAAEAAQAAAAABoAABAAAAAAAAADMAAAAjaWluZgAAAAAAAQAAABVpbmZlAgAAAAABAABodmMxAAAAAA5waXRtAAAAAAABAAAA/GlwcnAAAADc"
    "aXBjbwAAAHVodmNDAQNwAAAAkAAAAAAAHvAA/P34+AAADwNgAAEAGEABDAH//wNwAAADAJAAAAMAAAMAHroCQGEAAQApQgEBA3AAAAMAkAAAAwAA"
    "AwAeoCCBBZbqrprm4CGgwIAAAAyAAAADAIRiAAEABkQBwXPBiQAAABNjb2xybmNseAABAA0ABoAAAAAUaXNwZQAAAAAAAABAAAAAQAAAAChjbGFw"
    "AAAAEAAAAAEAAAAQAAAAAf///9AAAAAC////0AAAAAIAAAAQcGl4aQAAAAADCAgIAAAAGGlwbWEAAAAAAAAAAQABBYECAwWEAAAAO21kYXQAAAAv"
    "KAGvEyFkY0D4EPdmoWCFf+ork/4G7HpzshHQwNIggJtASJNdUAsWEICHdqVW3Pg="
)
"""16 x 16 pixels of HEIC_COLOUR: nothing here can write this format."""

TIFF_PACKINGS = ("lzw", "adobe_deflate", "packbits", "zstd", "lzma", "jpeg", "webp", "jpeg_2000_lossy", "jpegxl")
LOSSY = 6.0
"""Levels of 255 that a compressed smooth picture may be off, in the mean."""

SMALL = CompactArgs(features=8, convolutions=2, scale=2)
TOLERANCE = {"fp32": 2e-4, "bf16": 3e-2, "fp16": 4e-3}
"""Of the small network, by the precision a backend runs it in, against float64."""
ENGINE_SECONDS = 180.0
"""How long TensorRT may build before it counts as broken."""


class LeftOut(Exception):
    """The check does not apply here; the reason."""


Check = Callable[[Path], str]
"""Runs in a folder of its own; returns what was found, raises on failure."""


def checks() -> Iterator[tuple[str, Check]]:
    for kind, facts in WRITTEN.items():
        for bits in (8, 16) if facts.sixteen_bits else (8,):
            yield f"{facts.title}, {bits} bits", _writes_and_reads(kind, bits)
    yield "AVIF, 10 bits", _reads_deep_avif
    yield "HEIC", _reads_heic
    for title in ("BMP", "GIF"):
        yield title, _reads_with_pillow(title)
    for packing in TIFF_PACKINGS:
        yield f"TIFF, {packing}", _reads_packed_tiff(packing)
    yield "colour profiles", _converts_colours
    yield "native kernels", _damages_alike
    yield "bicubic restore", _restores_golden
    for report in backend_reports():
        yield f"backend {report.name}", _computes(report.name)
    yield "foreign networks", _knows_foreign_networks
    yield "library", _lists_models
    for entry in list_models():
        if entry.bundled and entry.path is not None:
            yield f"model {entry.card.name}", _restores_with(entry)


# ------------------------------------------------------------------------------------------------------------- formats


def smooth_picture(height: int, width: int, bits: int = 8, channels: int = 3) -> Samples:
    """(height, width, channels): slopes of light in every channel, full range, no noise."""
    rows, columns = np.mgrid[0:height, 0:width] / (max(height, width) - 1)
    planes = [rows, columns, (rows + columns) / 2, 1 - rows][:channels]
    top = (1 << bits) - 1
    picture: Samples = np.rint(np.stack(planes, axis=-1).clip(0, 1) * top)
    return picture.astype(np.uint8 if bits == 8 else np.uint16)


def _writes_and_reads(kind: str, bits: int) -> Check:
    def check(folder: Path) -> str:
        facts = WRITTEN[kind]
        source = smooth_picture(48, 64, bits, 4 if facts.alpha else 3)
        alpha = source[..., 3] if facts.alpha else None
        path = write_image(ImageBuffer(source[..., :3], alpha), folder / f"a{facts.extension}", kind, bits=bits)
        found = read_image(path)
        _expect(found.format == kind, f"it was read as {found.format}")
        _expect(found.bits == bits, f"it was read with {found.bits} bits")
        _expect((found.alpha is not None) == facts.alpha, "its transparency was lost")
        off = _levels_off(found.colour, source[..., :3], bits)
        _expect(off == 0 if kind in ("png", "tiff") else off < LOSSY, f"it is {off:.2f} levels off")
        return f"{path.stat().st_size} bytes, {off:.2f} levels off"

    return check


def _reads_deep_avif(folder: Path) -> str:
    import imagecodecs

    source = smooth_picture(48, 64, 16) >> 6
    path = folder / "a.avif"
    path.write_bytes(imagecodecs.avif_encode(source, level=90, bitspersample=10, speed=8))
    found = read_image(path)
    _expect(found.bits == 16, f"it was read with {found.bits} bits")
    off = _levels_off(found.colour, source << 6, 16)
    _expect(off < LOSSY, f"it is {off:.2f} levels off")
    return f"{off:.2f} levels off"


def _reads_heic(folder: Path) -> str:
    path = folder / "a.heic"
    path.write_bytes(HEIC)
    found = read_image(path)
    _expect((found.format, found.height, found.width) == ("heic", 16, 16), "its size is wrong")
    off = _levels_off(found.colour, np.full((16, 16, 3), HEIC_COLOUR, np.uint8), 8)
    _expect(off < LOSSY, f"it is {off:.2f} levels off")
    return f"{off:.2f} levels off"


def _reads_with_pillow(title: str) -> Check:
    def check(folder: Path) -> str:
        from PIL import Image

        source = smooth_picture(48, 64)
        path = folder / f"a.{title.lower()}"
        Image.fromarray(source).save(path)
        found = read_image(path)
        _expect(found.format == title.lower(), f"it was read as {found.format}")
        off = _levels_off(found.colour, source, 8)
        _expect(off < 2 * LOSSY if title == "GIF" else off == 0, f"it is {off:.2f} levels off")
        return f"{off:.2f} levels off"

    return check


def _reads_packed_tiff(packing: str) -> Check:
    def check(folder: Path) -> str:
        import tifffile

        source = smooth_picture(48, 64)
        path = folder / "a.tif"
        tifffile.imwrite(path, source, photometric="rgb", compression=packing)
        off = _levels_off(read_image(path).colour, source, 8)
        _expect(off < LOSSY, f"it is {off:.2f} levels off")
        return f"{off:.2f} levels off"

    return check


def _converts_colours(folder: Path) -> str:
    import imagecodecs

    profile = bytes(imagecodecs.cms_profile("adobergb"))
    grey = np.full((4, 4, 3), 128, np.uint8)
    green = np.full((4, 4, 3), (60, 200, 60), np.uint8)
    for picture, moved in ((grey, False), (green, True)):
        found = to_srgb(ImageBuffer(picture, metadata=Metadata(icc=profile)))
        off = _levels_off(found.colour, picture, 8)
        _expect(found.metadata.icc is None and (off > 5) == moved, f"Adobe RGB came out {off:.1f} levels away")
    return "Adobe RGB to sRGB: grey stays, green moves"


def _levels_off(found: Samples, wanted: Samples, bits: int) -> float:
    """Mean distance in levels of 255."""
    if found.shape != wanted.shape:
        raise AssertionError(f"it has the shape {found.shape}, not {wanted.shape}")
    return float(np.abs(found.astype(np.float64) - wanted).mean() * 255 / ((1 << bits) - 1))


# --------------------------------------------------------------------------------------------------------- computation


def _damages_alike(_: Path) -> str:
    from engine.degrade.draw import draw_plan
    from engine.degrade.execute import degrade_batch
    from engine.degrade.recipe import load_recipe
    from kernels.library import runnable_variants

    picture = np.ascontiguousarray(np.moveaxis(smooth_picture(64, 64), -1, 0)[None].astype(np.float32) / 255)
    plan = draw_plan(load_recipe("real-esrgan"), 1, [0], 64, 64)
    names = [variant.name.lower() for variant in runnable_variants()]
    made = [degrade_batch(picture, plan, variant=name)[0] for name in names]
    _expect(all(np.array_equal(made[0], other) for other in made[1:]), "the instruction sets differ")
    _expect(float(np.ptp(made[0])) > 0.1, "the picture is gone")
    return f"{', '.join(names)} make the same bytes"


def golden_picture() -> Samples:
    """(6, 8, 3) uint8 from a plain generator, the same everywhere."""
    state, values = GOLDEN_SEED, []
    for _ in range(6 * 8 * 3):
        state = (state * 1103515245 + 12345) % 2**31
        values.append(state >> 16 & 255)
    return np.array(values, np.uint8).reshape(6, 8, 3)


def _restores_golden(folder: Path) -> str:
    source = write_image(ImageBuffer(golden_picture()), folder / "golden.png", "png")
    made = read_image(_restore(source, folder, RestoreOptions(model="bicubic")))
    found = hashlib.sha256(np.ascontiguousarray(made.colour).tobytes()).hexdigest()
    _expect(made.colour.shape == (24, 32, 3), f"the result has the shape {made.colour.shape}")
    _expect(found == GOLDEN_HASH, f"the result's hash is {found}")
    return "the very bytes"


def _restore(source: Path, folder: Path, options: RestoreOptions) -> Path:
    """Through the queue, as every job goes; the file that was made."""
    events: list[Event] = []
    queue = RestoreQueue(Restorer(), events.append)
    queue.submit(RestoreRequest(job="selftest", source=str(source), target=str(folder / "made.png"), options=options))
    queue.close()
    queue.run()
    last = events[-1]
    target = getattr(last, "target", "")
    _expect(bool(target), f"the job ended with {last}")
    return Path(target)


def small_weights() -> Weights:
    """Of a compact network that stays near the enlarged input."""
    random = np.random.default_rng(7)
    shapes = COMPACT.parameter_shapes(SMALL)
    return {name: random.normal(0.0, 0.1, shape).astype(np.float32) for name, shape in shapes.items()}


def reference_output(weights: Weights, picture: Samples) -> npt.NDArray[np.float64]:
    """The small network in float64, term by term: (3, h, w) -> (3, h * 2, w * 2)."""
    x = picture.astype(np.float64)
    last = 2 * SMALL.convolutions + 2
    for layer in range(0, last + 1, 2):
        x = _convolve(x, weights[f"body.{layer}.weight"], weights[f"body.{layer}.bias"])
        if layer < last:
            x = np.where(x > 0, x, x * weights[f"body.{layer + 1}.weight"].astype(np.float64)[:, None, None])
    _, height, width = picture.shape
    scale = int(SMALL.scale)
    detail = x.reshape(3, scale, scale, height, width).transpose(0, 3, 1, 4, 2)
    enlarged = picture.astype(np.float64).repeat(scale, axis=1).repeat(scale, axis=2)
    return detail.reshape(3, height * scale, width * scale) + enlarged


def _convolve(x: npt.NDArray[np.float64], weight: Samples, bias: Samples) -> npt.NDArray[np.float64]:
    """3 x 3, zeros around."""
    _, height, width = x.shape
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
    out = np.zeros((len(bias), height, width)) + bias.astype(np.float64)[:, None, None]
    for row in range(3):
        for column in range(3):
            part = padded[:, row : row + height, column : column + width]
            out += np.tensordot(weight[:, :, row, column].astype(np.float64), part, axes=1)
    return out


def _computes(backend: str) -> Check:
    def check(_: Path) -> str:
        report = next(report for report in backend_reports() if report.name == backend)
        if not report.available:
            raise LeftOut(report.reason)
        device = "cpu" if "cpu" in report.devices else ""
        weights = small_weights()
        card = Card(
            name="selftest", architecture=COMPACT.id, arguments=COMPACT.write_arguments(SMALL), scale=int(SMALL.scale)
        )
        tile = np.random.default_rng(3).random((1, 3, 24, 40), np.float32)
        wanted = reference_output(weights, tile[0])
        said = []
        takes_over = backend in {flavour.name for flavour in FLAVOURS}  # from torch, in bulk, and never in fp32
        for precision in ("",) if takes_over else ("fp32", ""):
            session: Session = open_session(
                Model(card, weights), backend=backend, device=device, precision=precision, frozen=takes_over
            )
            if takes_over:
                _wait_for_engine(session, backend)
            info = session.info
            off = float(np.abs(session.run(tile)[0] - wanted).max())
            session.close()
            _expect(off < TOLERANCE[info.precision], f"in {info.precision} it is {off:.1e} off")
            said.append(f"{info.precision} {off:.1e} off")
        return ", ".join(dict.fromkeys(said))

    return check


def _wait_for_engine(session: Session, backend: str) -> None:
    from engine.runtime.tensorrt_session import AcceleratedSession

    _expect(isinstance(session, AcceleratedSession), f"{backend} does not take over from torch")
    assert isinstance(session, AcceleratedSession)
    served = session.settle(ENGINE_SECONDS) and session.info.backend == backend
    _expect(served, " ".join(session.take_notices()) or f"no engine was ready within {ENGINE_SECONDS:.0f} s")


def _knows_foreign_networks(_: Path) -> str:
    import importlib.util

    if importlib.util.find_spec("spandrel") is None:
        raise LeftOut("the package spandrel is not installed.")
    from engine.models.foreign import import_spandrel

    declared = import_spandrel()
    import spandrel

    names = [support.architecture.name for support in spandrel.MAIN_REGISTRY.architectures("insertion")]
    del declared
    _expect(len(names) >= 40, f"only {len(names)} are known")
    return f"{len(names)} of them"


def _lists_models(_: Path) -> str:
    entries = list_models()
    bundled = [entry.card.name for entry in entries if entry.bundled and entry.path is not None]
    _expect(any(entry.card.name == "bicubic" for entry in entries), "bicubic is not among the models")
    return f"{len(entries)} models, bundled: {', '.join(bundled) or 'none'}"


def _restores_with(entry: Entry) -> Check:
    def check(folder: Path) -> str:
        model = load(entry)
        source = write_image(ImageBuffer(smooth_picture(48, 64)), folder / "a.png", "png")
        made = read_image(_restore(source, folder, RestoreOptions(model=str(entry.path))))
        scale = model.card.scale
        _expect(made.colour.shape == (48 * scale, 64 * scale, 3), f"the result has the shape {made.colour.shape}")
        small = made.colour.reshape(48, scale, 64, scale, 3).mean(axis=(1, 3))
        off = float(np.abs(small - smooth_picture(48, 64)).mean())
        _expect(off < 2 * LOSSY, f"the result is {off:.1f} levels from its source")
        return f"x{scale}, {off:.2f} levels from its source when shrunk"

    return check


# ------------------------------------------------------------------------------------------------------------------ run


def _expect(holds: bool, otherwise: str) -> None:
    if not holds:
        raise AssertionError(otherwise)


def run_checks(say: Callable[[dict[str, str]], None]) -> bool:
    """Every check, told as it ends; whether none failed."""
    all_good = True
    for name, check in checks():
        outcome, detail = "ok", ""
        with tempfile.TemporaryDirectory(prefix="pellucid-selftest-") as folder:
            try:
                detail = check(Path(folder))
            except LeftOut as reason:
                outcome, detail = "left out", str(reason)
            except PellucidError as failure:
                outcome, detail = "failed", str(failure)
            except Exception as fault:  # whatever is broken in an installation, it is what this must report
                outcome, detail = "failed", f"{type(fault).__name__}: {fault}"
        all_good &= outcome != "failed"
        say({"check": name, "outcome": outcome, "detail": detail})
    return all_good


def main() -> int:
    out = io.TextIOWrapper(sys.stdout.buffer, encoding="utf-8", write_through=True)
    good = run_checks(lambda record: print(json.dumps(record, ensure_ascii=False), file=out, flush=True))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())

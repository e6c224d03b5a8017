"""One command that proves and measures the sessions on an NVIDIA GPU, and writes down what it found.

    python tests/gpu/report.py                      # some eight minutes; results in tests/gpu/results/
    python tests/gpu/report.py --only slider        # one part
    python tests/gpu/report.py --dry-run --out /tmp # small networks on the CPU, to see that it runs

Writes <date>-<device>.json and .md, anew after every part, so that a run that is cut off leaves what it had. Rates are
input megapixels a second from host memory to host memory, tiles with their halos, 8-bit pixels in and out, medians of
repeated runs; "share of peak" counts the network's own operations on those pixels and nothing for halos, against the
bfloat16 matrix product measured in the same run.
"""

from __future__ import annotations

import argparse
import datetime
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from check_sessions import Machine, all_findings, is_recorded, picture8, precisions_of

from engine.models.arch import find_architecture
from engine.models.blend import BlendedWeights
from engine.models.model import Model
from engine.runtime.tensorrt_library import FLAVOURS, installed_version, is_installed
from engine.runtime.torch_network import TorchNetwork, is_shortage
from engine.tiling.plan import plan_tiles
from engine.tiling.run import TilingSettings, plan_for, restore_tiles
from engine.tiling.source import InterleavedSource

HERE = Path(__file__).resolve().parent
MEASURED = ("compact-32", "msrresnet-16", "rrdbnet-23", "swinir-78")
TARGETS = {"compact-32": 120.0, "msrresnet-16": 60.0, "rrdbnet-23": 9.0, "swinir-78": 10.0}
"""Input megapixels a second on an H100 with 80 GB."""
SLIDER_TARGET_MS, COLD_TARGET_S, FOLDER_TARGET = 33.0, 2.0, 1.15
SIDE = {"compact-32": 2048, "msrresnet-16": 2048, "rrdbnet-23": 2048, "swinir-78": 1024}
COMMON_TILE, COMMON_PAD = 400, 10
"""What the usual program takes for every network."""

Part = Callable[[Machine, dict[str, Any]], object]


def synchronise(machine: Machine) -> None:
    if not machine.dry:
        torch.cuda.synchronize()


def median_seconds(machine: Machine, work: Callable[[], object], seconds: float, fewest: int = 3) -> float:
    """Of one run, after two that nobody counts."""
    if machine.dry:
        seconds, fewest = 0.0, 1
    for _ in range(1 if machine.dry else 3):
        work()
    synchronise(machine)
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < fewest or time.perf_counter() < end:
        started = time.perf_counter()
        work()
        synchronise(machine)
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def peak_tflops(machine: Machine) -> float:
    """bfloat16 matrix product."""
    side = 256 if machine.dry else 8192
    a, b = (torch.randn(side, side, device=machine.device.torch_device).bfloat16() for _ in range(2))
    return 2 * side**3 / median_seconds(machine, lambda: a @ b, 1.0) / 1e12


def flop_per_pixel(model: Model) -> float:
    """Of the network, for one input pixel, counted."""
    from torch.utils.flop_counter import FlopCounterMode

    network = TorchNetwork(model, torch.device("cpu"), "fp32")
    with FlopCounterMode(display=False) as counter:
        network(torch.zeros((1, 3, 64, 64)))
    return counter.get_total_flops() / 64**2


def measure_correctness(machine: Machine, results: dict[str, Any]) -> object:
    """Every promise of check_sessions.py."""
    findings = [
        {"what": finding.what, "worst": finding.worst, "bound": finding.bound, "kept": finding.kept}
        for finding in all_findings(machine)
    ]
    return {"count": len(findings), "broken": [f for f in findings if not f["kept"]], "findings": findings}


def measure_rates(machine: Machine, results: dict[str, Any]) -> object:
    """Whole pictures through each session, and the two ways of others in the same run."""
    peak = peak_tflops(machine)
    found: dict[str, Any] = {"peak_bf16_tflops": peak, "networks": {}}
    for name in MEASURED:
        model = machine.model(name)
        side = 96 if machine.dry else SIDE[name]
        picture = picture8(side, side)
        megapixels, flop = side * side / 1e6, flop_per_pixel(model)
        entry: dict[str, Any] = {"side": side, "gflop_per_megapixel": flop / 1e3, "target": TARGETS[name]}
        for precision in [p for p in ("bf16", "fp16") if p in precisions_of(machine, model)]:
            with machine.session(model, precision) as session:
                info = session.info
                seconds = median_seconds(machine, partial(restore_packed, picture, session), 4.0)
                plan = plan_for(side, side, info, TilingSettings())
                entry[precision] = {
                    "megapixels_per_second": megapixels / seconds,
                    "share_of_peak": megapixels / seconds * flop / 1e6 / peak,
                    "tile": info.read_side,
                    "batch": session.batch,
                    "recorded": is_recorded(session),
                    "useful_share": plan.useful_share,
                }
        safe = find_architecture(model.card.architecture).fp16_safe
        common = tile_by_tile(machine, model, picture, "fp16" if safe and not machine.dry else "bf16", False)
        entry["usual_way_fp16" if safe else "usual_way_bf16"] = megapixels / common
        entry["eager_bf16_channels_last"] = megapixels / tile_by_tile(machine, model, picture, "bf16", True)
        best = entry["bf16"]["megapixels_per_second"]
        entry["ratio_to_usual_way"] = best * common / megapixels
        entry["ratio_to_eager_bf16"] = best / entry["eager_bf16_channels_last"]
        found["networks"][name] = entry
    return found


def restore_packed(picture: Any, session: Any) -> None:
    """8-bit pixels in, 8-bit rows out, kept by nobody."""
    restore_tiles(InterleavedSource(picture), session, on_band=lambda *band: None, packed=True)


def tile_by_tile(machine: Machine, model: Model, picture: Any, precision: Any, channels_last: bool) -> float:
    """Seconds for the picture: one tile after the other, padded by the same few pixels whatever the network, uploaded
    and downloaded as floats; layers as torch lays them out by itself, or channels last."""
    device = machine.device.torch_device
    network = TorchNetwork(model, device, precision)
    if not channels_last:
        network.module = network.module.to(memory_format=torch.contiguous_format)
    kind = {"fp16": torch.float16, "bf16": torch.bfloat16}[precision]
    side, _, _ = picture.shape
    plan = plan_tiles(side, side, halo=COMMON_PAD, multiple=network.multiple, tile=64 if machine.dry else COMMON_TILE)
    source = InterleavedSource(picture)
    scale = network.scale

    def run() -> None:
        for tile in plan.tiles():
            rows, columns = tile.rows, tile.columns
            window = source[
                0:3, max(0, rows.read_start) : rows.read_stop, max(0, columns.read_start) : columns.read_stop
            ]
            with torch.inference_mode():
                entry = torch.from_numpy(window)[None].to(device, kind)
                if channels_last:
                    entry = entry.to(memory_format=torch.channels_last)
                result = network.module(entry).float().clamp_(0, 1).cpu().numpy()
            top, left = (rows.start - rows.read_start) * scale, (columns.start - columns.read_start) * scale
            core = result[0, :, top : top + rows.core * scale, left : left + columns.core * scale]
            np.rint(core.transpose(1, 2, 0) * 255).astype(np.uint8)

    return median_seconds(machine, run, 3.0, fewest=2)


def measure_tiles(machine: Machine, results: dict[str, Any]) -> object:
    """Raw rate of the recorded network alone, for tiles and batches: what the choice of tiles should follow."""
    found: dict[str, Any] = {}
    for name in MEASURED:
        model, device = machine.model(name), machine.new_device()
        network = TorchNetwork(model, device.torch_device, "bf16")
        rates: dict[str, float | str] = {}
        for side in (32,) if machine.dry else (128, 256, 384, 512, 768, 1024):
            for batch in (1, 2, 4, 8):
                if batch * side * side > (1 << 20) or (machine.dry and batch > 2):
                    continue
                picture = torch.rand((batch, 3, side, side), device=device.torch_device)
                stream = device.stream()
                try:
                    replay = device.record(stream, partial(_discard, network, picture))
                    if replay is None:
                        rates[f"{batch} x {side}"] = "not recorded"
                        continue
                    seconds = median_seconds(machine, partial(_on_stream, stream, replay), 0.25)
                    rates[f"{batch} x {side}"] = batch * side * side / 1e6 / seconds
                except RuntimeError as failure:
                    if not is_shortage(failure):
                        raise
                    rates[f"{batch} x {side}"] = "out of memory"
                replay = None
                device.release_memory()
        found[name] = rates
    return found


def _discard(network: TorchNetwork, picture: Any) -> None:
    network(picture)


def _on_stream(stream: Any, work: Callable[[], object]) -> None:
    with stream:
        work()


def measure_slider(machine: Machine, results: dict[str, Any]) -> object:
    """A new alpha and the 512 x 512 pixels of the result that are seen, again and again: milliseconds."""
    found: dict[str, Any] = {"target_ms": SLIDER_TARGET_MS}
    for name in MEASURED:
        first, second = machine.model(name), machine.model(name, seed=1)
        precision = precisions_of(machine, first)[1]
        with machine.session(first, precision) as session:
            info = session.info
            seen = 512 // info.scale if not machine.dry else 16
            reach = -(-info.halo // info.multiple) * info.multiple
            side = -(-(seen + 2 * reach) // info.multiple) * info.multiple
            window = picture8(side, side)
            times = []
            for step in range(4 if machine.dry else 40):
                weights = BlendedWeights(first.weights, second.weights, (step % 20) / 20)
                started = time.perf_counter()
                session.set_weights(weights)
                session.run_packed(window)
                times.append((time.perf_counter() - started) * 1e3)
            settled = times[len(times) // 2 :]
            found[name] = {"median_ms": statistics.median(settled), "worst_ms": max(settled), "first_ms": times[0]}
    return found


COLD = """
import sys, time
started = time.perf_counter()
sys.path[:0] = [{root!r}, {here!r}]
from check_sessions import Machine, picture8
machine = Machine({dry})
model = machine.model({name!r})
window = picture8(128, 128)
chosen = time.perf_counter()
with machine.session(model, "bf16") as session:
    session.run_packed(window)
    done = time.perf_counter()
print(chosen - started, done - chosen)
"""


def measure_cold_start(machine: Machine, results: dict[str, Any]) -> object:
    """A fresh process: seconds from the choice of a model to its first tile; nothing was recorded, measured or cached
    before, and then once more with the memory needs known."""
    found: dict[str, Any] = {"target_s": COLD_TARGET_S}
    for name in MEASURED[:1] if machine.dry else MEASURED:
        code = COLD.format(root=str(HERE.parents[1]), here=str(HERE), dry=machine.dry, name=name)
        runs = []
        for _ in range(2):
            answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
            imports, first = (float(word) for word in answer.stdout.split()[-2:])
            runs.append({"imports_s": imports, "first_result_s": first})
        found[name] = runs
    return found


def measure_folder(machine: Machine, results: dict[str, Any]) -> object:
    """A folder of mixed JPEGs, decoded and written as JPEGs: wall time against the time the network alone takes."""
    try:
        from PIL import Image

        from engine.models.files import write_model
        from engine.queue import RestoreQueue
        from engine.restore import Restorer
        from engine.wire import Failed, Restored, RestoreOptions, RestoreRequest
    except ImportError as error:
        return {"left_out": f"{error}"}
    found: dict[str, Any] = {"target": FOLDER_TARGET}
    count = 4 if machine.dry else 200
    random = np.random.default_rng(0)
    for name in ("compact-32",) if machine.dry else ("rrdbnet-23", "msrresnet-16"):
        model = machine.model(name)
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            large = picture8(200, 300) if machine.dry else picture8(900, 1400)
            pixels = 0
            for number in range(count):
                limits = (40, 80) if machine.dry else (160, 900)
                height, width = (int(side) for side in random.integers(*limits, 2))
                pixels += height * width
                Image.fromarray(large[:height, :width]).save(folder / f"{number}.jpg", quality=90)
            path = folder / "model.safetensors"
            write_model(model, path)
            options = RestoreOptions(
                model=str(path), device=machine.device.name, precision="bf16", backend="torch", format="jpeg"
            )
            ends: list[Any] = []
            restorer = Restorer()
            queue = RestoreQueue(restorer, ends.append)
            for number in range(count):
                queue.submit(
                    RestoreRequest(
                        job=str(number),
                        source=str(folder / f"{number}.jpg"),
                        target=str(folder / "out"),
                        options=options,
                    )
                )
            queue.close()
            runner = threading.Thread(target=queue.run)
            started = time.perf_counter()
            runner.start()
            runner.join()
            wall = time.perf_counter() - started
            restorer.close()
            done = sum(isinstance(event, Restored) for event in ends)
            failed = [event.message for event in ends if isinstance(event, Failed)]
            with machine.session(model, "bf16") as session:
                pictures = [np.asarray(Image.open(folder / f"{number}.jpg")) for number in range(count)]
                started = time.perf_counter()
                for picture in pictures:
                    restore_packed(picture, session)
                alone = time.perf_counter() - started
            found[name] = {
                "pictures": count,
                "megapixels": pixels / 1e6,
                "restored": done,
                "failed": failed[:3],
                "wall_s": wall,
                "network_alone_s": alone,
                "ratio": wall / alone,
            }
    return found


def measure_tensorrt(machine: Machine, results: dict[str, Any]) -> object:
    """Whether an installed TensorRT takes this GPU, agrees with torch, and how fast it is then."""
    from engine.runtime.tensorrt_session import accelerated

    found: dict[str, Any] = {}
    for flavour in FLAVOURS:
        if not is_installed(flavour):
            found[flavour.name] = "not installed"
            continue
        if machine.dry:
            found[flavour.name] = f"{installed_version(flavour)}, not tried on a CPU"
            continue
        entries: dict[str, Any] = {"version": installed_version(flavour)}
        for name in MEASURED:
            model, other = machine.model(name), machine.model(name, seed=1)
            from engine.runtime.torch_cuda import open_torch_cuda

            started = time.perf_counter()
            session = accelerated(open_torch_cuda(model, device="cuda:0", precision="bf16"), model, flavour.name)
            try:
                entry: dict[str, Any] = {"settled": session.settle(100), "seconds": time.perf_counter() - started}
                entry["serves"] = session.info.backend == flavour.name
                if entry["serves"]:
                    side = SIDE[name]
                    picture = picture8(side, side)
                    seconds = median_seconds(machine, partial(restore_packed, picture, session), 3.0)
                    entry["megapixels_per_second"] = side * side / 1e6 / seconds
                    started = time.perf_counter()
                    session.set_weights(other.weights)
                    entry["refitted"] = session.settle(60) and session.info.backend == flavour.name
                    entry["refit_and_proof_s"] = time.perf_counter() - started
                entry["said"] = session.take_notices()
            finally:
                session.close()
            entries[name] = entry
            if not entry["serves"] and name == MEASURED[0]:
                break  # refused: it will not take the larger ones either
        found[flavour.name] = entries
    return found


PARTS: dict[str, Part] = {
    "rates": measure_rates,
    "slider": measure_slider,
    "cold_start": measure_cold_start,
    "correctness": measure_correctness,
    "tensorrt": measure_tensorrt,
    "folder": measure_folder,
    "tiles": measure_tiles,
}
"""The figures that matter most first: a run may be cut off."""


def facts_of(machine: Machine) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "device": machine.device.title,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "cuda": torch.version.cuda,
        "dry": machine.dry,
    }
    if not machine.dry:
        facts["cudnn"] = torch.backends.cudnn.version()
        facts["capability"] = ".".join(map(str, torch.cuda.get_device_capability()))
        facts["memory_gib"] = round(torch.cuda.mem_get_info()[1] / 2**30, 1)
        query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        try:
            facts["driver"] = subprocess.run(query, capture_output=True, text=True, check=True).stdout.strip()
        except (OSError, subprocess.CalledProcessError):
            facts["driver"] = "not told"
    return facts


def write(results: dict[str, Any], folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    device = "".join(c if c.isalnum() else "-" for c in results["facts"]["device"].lower()).strip("-")
    path = folder / f"{results['facts']['date'][:10]}-{device}.json"
    path.write_text(json.dumps(results, indent=1, default=str), encoding="utf-8")
    path.with_suffix(".md").write_text(as_markdown(results), encoding="utf-8")
    return path


def as_markdown(results: dict[str, Any]) -> str:
    """What people want to read of it."""
    facts = results["facts"]
    lines = [f"# Sessions on {facts['device']}, {facts['date'][:10]}", ""]
    if facts["dry"]:
        lines += ["**A dry run on the CPU with small networks: no figure here says anything about a GPU.**", ""]
    lines += [", ".join(f"{key} {value}" for key, value in facts.items() if key not in ("device", "dry")), ""]
    rates = results.get("rates", {})
    if "networks" in rates:
        lines += [
            f"Input megapixels a second, host to host. Measured bf16 peak: {rates['peak_bf16_tflops']:.0f} TFLOP/s.",
            "",
            "| network | bf16 | share of peak | fp16 | usual way | eager bf16 | times the usual way | target |",
            "|---|---|---|---|---|---|---|---|",
        ]
        for name, entry in rates["networks"].items():
            narrow = entry.get("fp16", {}).get("megapixels_per_second")
            usual = entry.get("usual_way_fp16", entry.get("usual_way_bf16"))
            lines.append(
                f"| {name} | {entry['bf16']['megapixels_per_second']:.1f} | {entry['bf16']['share_of_peak']:.0%} | "
                f"{'-' if narrow is None else f'{narrow:.1f}'} | {usual:.2f} | "
                f"{entry['eager_bf16_channels_last']:.2f} | {entry['ratio_to_usual_way']:.1f} | {entry['target']:g} |"
            )
        lines.append("")
    if "findings" in results.get("correctness", {}):
        checked = results["correctness"]
        lines += [f"Promises: {checked['count']} looked at, {len(checked['broken'])} broken.", ""]
        lines += ["| promise | worst | bound |", "|---|---|---|"]
        lines += [f"| {f['what']} | {f['worst']:.3g} | {f['bound']:.3g} |" for f in checked["findings"]]
        lines.append("")
    for part in ("slider", "cold_start", "folder", "tensorrt", "tiles"):
        if part in results:
            lines += [f"## {part}", "", "```json", json.dumps(results[part], indent=1, default=str), "```", ""]
    for part, error in results["errors"].items():
        lines += [f"**{part} ended with: {error}**", ""]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dry-run", action="store_true", help="small networks on the CPU")
    parser.add_argument("--only", nargs="+", choices=tuple(PARTS), default=list(PARTS), help="these parts")
    parser.add_argument("--out", type=Path, default=HERE / "results", help="folder of the results")
    options = parser.parse_args()
    machine = Machine(options.dry_run)
    results: dict[str, Any] = {"facts": facts_of(machine), "seconds": {}, "errors": {}}
    path = write(results, options.out)
    for name in options.only:
        started = time.perf_counter()
        try:
            results[name] = PARTS[name](machine, results)
        except Exception as error:  # one part's failure is written down, and the others go on
            results["errors"][name] = f"{type(error).__name__}: {error}"
        results["seconds"][name] = round(time.perf_counter() - started, 1)
        print(f"{name}: {results['seconds'][name]} s {results['errors'].get(name, '')}", flush=True)
        path = write(results, options.out)
    print(path)
    broken = results.get("correctness", {}).get("broken", [])
    return 1 if broken or results["errors"] else 0


if __name__ == "__main__":
    sys.exit(main())

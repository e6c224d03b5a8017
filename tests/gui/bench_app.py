"""`python -m tests.gui.bench_app [NAME ...]`: how fast the window is, as people feel it; one JSON line a benchmark.

start      from the start of the process to a painted window that takes input, on a real X server
idle       share of a core that the window and its processes take while nothing happens
heartbeat  longest time between two turns of the event loop while 24 megapixels are restored and a training is watched
slider     from a move of the slider to new pixels of a visible region of 512 x 512 result pixels
curves     share of a core for 100,000 points at 30 frames a second
pan        time of a frame while panning and zooming 100 megapixels before and after

--models FILE FILE: the two halves of a pair for `slider` and `heartbeat`; without them fresh, untrained ones, which
cost the same.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.gui.screen import Screen

ROOT = Path(__file__).parent.parent.parent
FRAMES = 120
STARTER = """
import sys, time
from PySide6.QtCore import QTimer
import gui.app, gui.window
class Timed(gui.window.Window):
    seen = False
    def paintEvent(self, event):
        super().paintEvent(event)
        if not self.seen:
            self.seen = True
            QTimer.singleShot(0, self.usable)
    def usable(self):
        print(repr(time.time()), flush=True)
gui.window.Window = Timed
sys.exit(gui.app.run(["--new-window"]))
"""


def main() -> int:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("names", nargs="*", default=list(BENCHMARKS), metavar="NAME")
    words.add_argument("--models", nargs=2, type=Path, metavar="FILE")
    words.add_argument("--seconds", type=float, default=60.0, help="of the heartbeat (default 60)")
    chosen = words.parse_args()
    for name in chosen.names:
        with own_home() as home:
            tell(name, BENCHMARKS[name](home, chosen))
    return 0


def tell(name: str, figures: dict[str, float]) -> None:
    print(json.dumps({"benchmark": name, **{key: round(value, 4) for key, value in figures.items()}}), flush=True)


@contextmanager
def own_home() -> Iterator[Path]:
    home = Path(tempfile.mkdtemp(prefix="pellucid-bench-"))
    (home / "runtime").mkdir(mode=0o700)
    os.environ |= {"HOME": str(home), "XDG_RUNTIME_DIR": str(home / "runtime"), "PYTHONPATH": str(ROOT)}
    for name in ("CONFIG", "DATA", "STATE", "CACHE"):
        os.environ[f"XDG_{name}_HOME"] = str(home / name.lower())
    try:
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def x_server() -> Iterator[dict[str, str]]:
    made = Screen()
    try:
        yield made.environment
    finally:
        made.close()


def start(home: Path, chosen: argparse.Namespace) -> dict[str, float]:
    wall: list[float] = []
    with x_server() as environment:
        for _time in range(11):
            began = time.time()
            program = subprocess.Popen([sys.executable, "-c", STARTER], env=environment, stdout=subprocess.PIPE)
            assert program.stdout is not None
            wall.append(float(program.stdout.readline()) - began)
            program.terminate()
            program.wait(20)
    return {"median_s": statistics.median(wall[1:]), "worst_s": max(wall[1:]), "first_s": wall[0]}


def idle(home: Path, chosen: argparse.Namespace) -> dict[str, float]:
    import psutil

    with x_server() as environment:
        program = subprocess.Popen([sys.executable, "-c", STARTER], env=environment, stdout=subprocess.PIPE)
        time.sleep(12.0)
        family = [psutil.Process(program.pid), *psutil.Process(program.pid).children(recursive=True)]
        before = {process.pid: sum(process.cpu_times()[:2]) for process in family}
        time.sleep(20.0)
        spent = [sum(process.cpu_times()[:2]) - before[process.pid] for process in family]
        program.terminate()
        program.wait(20)
    return {"window_percent": 100 * spent[0] / 20.0, "all_processes_percent": 100 * sum(spent) / 20.0}


def heartbeat(home: Path, chosen: argparse.Namespace) -> dict[str, float]:
    """The window turns from the picture to the training and back every five seconds."""
    import numpy as np
    from PIL import Image
    from PySide6.QtCore import QTimer

    window, wait = a_window(home, chosen)
    rows, columns = np.mgrid[0:4000, 0:6000]
    Image.fromarray(np.stack([rows // 16, columns // 24, (rows ^ columns) % 256], -1).astype(np.uint8)).save(
        home / "large.jpg", quality=90
    )
    feeder = subprocess.Popen([sys.executable, "-c", FEEDER, str(home / "data" / "pellucid" / "runs" / "fed")])
    wait(lambda: window.session.client.state == "ready" and bool(window.restore_page._models))
    rest(wait, 2.0)
    gaps: list[float] = []
    busy: list[float] = []
    withheld: list[float] = []
    last, last_busy, last_withheld = time.perf_counter(), time.thread_time(), withheld_time()

    def beat() -> None:
        nonlocal last, last_busy, last_withheld
        now, now_busy, now_withheld = time.perf_counter(), time.thread_time(), withheld_time()
        gaps.append(now - last)
        busy.append(now_busy - last_busy)
        withheld.append(now_withheld - last_withheld)
        last, last_busy, last_withheld = now, now_busy, now_withheld

    timer = QTimer()
    timer.setInterval(2)
    timer.timeout.connect(beat)
    turn = QTimer()
    turn.setInterval(5000)
    turn.timeout.connect(lambda: window.rail.choose(3 if window.pages.currentIndex() == 0 else 0))
    beat()
    gaps.clear(), busy.clear(), withheld.clear()
    timer.start()
    turn.start()
    window.session.add_paths([str(home / "large.jpg")])
    window.session.pause(False)
    from PySide6.QtWidgets import QApplication

    loop_until(QApplication, time.monotonic() + chosen.seconds)
    timer.stop()
    turn.stop()
    (item,) = window.session.queue.items
    points = max((len(s) for tail in window.runs_page._tails.values() for s in tail.run.curves.values()), default=0)
    feeder.kill()
    feeder.wait()
    window.close()
    own = [gap - other for gap, other in zip(gaps, withheld, strict=True)]
    return {
        "worst_gap_ms": 1000 * max(gaps),
        "worst_gap_less_withheld_ms": 1000 * max(own),
        "gaps_over_50_ms": sum(gap > 0.05 for gap in gaps),
        "p999_gap_ms": 1000 * float(np.quantile(gaps, 0.999)),
        "worst_busy_ms": 1000 * max(busy),
        "beats": len(gaps),
        "restored_share": item.fraction,
        "points_watched": points,
    }


def withheld_time() -> float:
    """Seconds this thread stood ready for a processor, and seconds the host took processors from this machine."""
    waited = Path(f"/proc/self/task/{os.getpid()}/schedstat").read_bytes().split()[1]
    with open("/proc/stat", "rb") as file:  # noqa: PTH123 - read at every beat
        stolen = file.readline().split()[8]
    return int(waited) / 1e9 + int(stolen) / os.sysconf("SC_CLK_TCK")


def slider(home: Path, chosen: argparse.Namespace) -> dict[str, float]:
    import numpy as np
    from PIL import Image
    from PySide6.QtCore import QRectF

    window, wait = a_window(home, chosen)
    page = window.restore_page
    Image.fromarray(np.random.default_rng(1).integers(0, 255, (400, 600, 3), dtype=np.uint8)).save(home / "noise.png")
    wait(lambda: any(model.name == "bench" for model in page._models))
    window.use_model("bench")
    window.session.add_paths([str(home / "noise.png")])
    wait(lambda: "live" in page._overlays)
    page.try_area(QRectF(0.3, 0.3, 128 / 600, 128 / 400))
    wait(lambda: "live" in page._overlays)
    assert page._overlays["live"].picture.width == 512
    page.view.repaint()
    rest(wait, 3.0)
    took: list[float] = []
    for number in range(40):
        before = page._overlays["live"]
        began = time.perf_counter()
        page.panel.alpha_slider.setValue(5 + (number * 35) % 95)
        wait(lambda before=before: page._overlays.get("live", before) is not before)
        page.view.repaint()
        took.append(time.perf_counter() - began)
        rest(wait, 0.05)
    window.close()
    return {"median_ms": 1000 * statistics.median(took[5:]), "p95_ms": 1000 * float(np.quantile(took[5:], 0.95))}


def curves(home: Path, chosen: argparse.Namespace) -> dict[str, float]:
    """As the runs page does it: new curves, then a frame; the whole range is shown, smoothed, with its band."""
    import numpy as np

    application()
    from gui.widgets.loss_plot import Curve, LossPlot

    plot = LossPlot()
    plot.resize(960, 400)
    painted = show(plot)
    dice = np.random.default_rng(0)
    x = np.arange(100_000, dtype=np.float64)
    y = 1 / (1 + x / 3000) + dice.normal(0, 0.05, len(x))
    took: list[float] = []
    for number in range(FRAMES):
        began = time.process_time()
        plot.set_curves([Curve("total", x[: 99_000 + number * 8], y[: 99_000 + number * 8])])
        plot.repaint()
        took.append(time.process_time() - began)
    assert len(painted) >= FRAMES, "Nothing was drawn."
    frame = statistics.median(took[10:])
    return {"frame_cpu_ms": 1000 * frame, "percent_of_a_core_at_30_fps": 100 * 30 * frame}


def pan(home: Path, chosen: argparse.Namespace) -> dict[str, float]:
    """12288 x 8192 after, 3072 x 2048 before, in a view of 1600 x 900, divider in the middle."""
    import numpy as np

    application()
    from gui.imaging.picture import Picture
    from gui.imaging.pyramid import create_levels, map_levels, map_pixels, shrink_rows
    from gui.widgets.compare_view import CompareView, Pane

    def picture(name: str, width: int, height: int) -> Picture:
        pixels, levels = home / f"{name}.raw", home / f"{name}.levels"
        block = np.random.default_rng(2).integers(0, 255, (height, 64, 3), dtype=np.uint8)
        np.tile(block, (1, width // 64, 1)).tofile(pixels)
        create_levels(levels, width, height, 3)
        shrink_rows(
            map_pixels(pixels, width, height, 3), map_levels(levels, width, height, 3, writable=True), 0, height
        )
        return Picture(pixels, width, height, 3, levels)

    view = CompareView()
    view.resize(1600, 900)
    painted = show(view)
    before, after = picture("before", 3072, 2048), picture("after", 12288, 8192)
    view.show_panes((Pane("Before", before), Pane("After", after)), 12288, 8192, keep=False)
    figures: dict[str, float] = {}
    everything: list[float] = []
    own: list[float] = []
    for zoom in (0.0, 0.12, 0.25, 0.5, 0.7, 1.0, 3.0, 8.0):
        view.fit()
        if zoom:
            view._tell(view_zoom(zoom))
        took = []
        for number in range(FRAMES):
            began, began_own = time.perf_counter(), time.process_time()
            view._tell(view_pan(-37 if number % 40 < 20 else 37, 23 if number % 30 < 15 else -23))
            view.repaint()
            took.append(time.perf_counter() - began)
            own.append(time.process_time() - began_own)
        figures[f"pan_{zoom:g}_p95_ms" if zoom else "pan_fit_p95_ms"] = 1000 * float(np.quantile(took, 0.95))
        everything += took
    view.fit()
    took = []
    for number in range(FRAMES):
        began, began_own = time.perf_counter(), time.process_time()
        view.zoom_by(1.06 if number % 60 < 30 else 1 / 1.06)
        view.repaint()
        took.append(time.perf_counter() - began)
        own.append(time.process_time() - began_own)
    assert len(painted) >= 9 * FRAMES, "Nothing was drawn."
    figures["zoom_p95_ms"] = 1000 * float(np.quantile(took, 0.95))
    figures["all_p95_ms"] = 1000 * float(np.quantile(everything + took, 0.95))
    figures["all_cpu_p95_ms"] = 1000 * float(np.quantile(own, 0.95))
    return figures


def show(widget: object) -> list[int]:
    """Bring it on the screen; the list grows by one with every time it is painted."""
    from PySide6.QtCore import QEvent, QObject
    from PySide6.QtWidgets import QApplication

    painted: list[int] = []

    class Counter(QObject):
        def eventFilter(self, watched: QObject, event: QEvent) -> bool:
            if event.type() == QEvent.Type.Paint:
                painted.append(1)
            return False

    counter = Counter(widget)
    widget.installEventFilter(counter)
    widget.show()
    while not painted:
        QApplication.processEvents()
    return painted


def view_zoom(zoom: float) -> object:
    from gui.state.compare import ZoomSet

    return ZoomSet(zoom)


def view_pan(dx: float, dy: float) -> object:
    from gui.state.compare import Panned

    return Panned(dx, dy)


def application() -> object:
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    from PySide6.QtWidgets import QApplication

    from gui import theme

    made = QApplication.instance() or QApplication(["bench"])
    made.setStyle("Fusion")
    theme.apply(made, "light")
    application.kept = made
    return made


def a_window(home: Path, chosen: argparse.Namespace) -> tuple[object, Callable[..., None]]:
    """The whole window over the real worker, with a pair of models in the library."""
    import_pair(chosen.models, home)
    made = application()
    from gui.settings import Settings
    from gui.window import Window

    window = Window(Settings(), home / "config", home / "state", home / "cache" / "view")
    window.resize(1280, 800)
    window.show()
    window.begin([])

    def wait(true: Callable[[], object], seconds: float = 120.0) -> None:
        deadline = time.monotonic() + seconds
        while not true():
            made.processEvents()
            time.sleep(0.0005)
            if time.monotonic() > deadline:
                raise SystemExit(f"It did not come: {window.restore_page.banner.text()}")

    return window, wait


def rest(wait: Callable[..., None], seconds: float) -> None:
    end = time.monotonic() + seconds
    wait(lambda: time.monotonic() > end)


def loop_until(application_class: object, end: float) -> None:
    """A real event loop, as the program runs it."""
    from PySide6.QtCore import QEventLoop, QTimer

    loop = QEventLoop()
    QTimer.singleShot(int(1000 * max(0.0, end - time.monotonic())), loop.quit)
    loop.exec()


def import_pair(files: list[Path] | None, home: Path) -> None:
    faithful, vivid = files or fresh_pair(home)
    for path, name in ((faithful, "bench"), (vivid, "bench-vivid")):
        subprocess.run(
            [sys.executable, "-m", "gui", "models", "import", str(path), "--name", name], check=True, cwd=ROOT,
            stdout=subprocess.DEVNULL,
        )  # fmt: skip


def fresh_pair(home: Path) -> tuple[Path, Path]:
    """Two compact models of random weights that know each other."""
    subprocess.run([sys.executable, "-c", FRESH, str(home)], check=True, cwd=ROOT)
    return home / "a.safetensors", home / "b.safetensors"


FRESH = """
import sys
from pathlib import Path
import torch
from engine.models.card import Card
from engine.models.files import weights_hash, write_model
from engine.models.model import Model
from engine.wire_training import ModelConfig
from trainer.export import _arrays
from trainer.generator import Generator, describe_generator
home, partner = Path(sys.argv[1]), ""
for name, seed, role in (("a", 1, "psnr"), ("b", 2, "gan")):
    torch.manual_seed(seed)
    facts = describe_generator(ModelConfig(architecture="compact-16"))
    weights = _arrays(Generator(facts))
    card = Card(name=name, architecture="compact", arguments=facts.architecture.write_arguments(facts.args),
                parameters=facts.parameters, role=role, partner=partner)
    write_model(Model(card, weights), home / f"{name}.safetensors")
    partner = weights_hash(weights)
"""
FEEDER = """
import random, sys, time
from pathlib import Path
from engine import wire_training as t
folder = Path(sys.argv[1]); folder.mkdir(parents=True)
(folder / t.CONFIG_FILE).write_text(t.format_config(t.TrainingConfig()))
import fcntl
lock = (folder / t.LOCK_FILE).open("wb"); fcntl.flock(lock, fcntl.LOCK_EX)
with (folder / t.EVENTS_FILE).open("ab", buffering=0) as file:
    say = lambda event: file.write(t.encode_event(event))
    say(t.RunStarted(time=time.time(), pid=1, version="0", resumed=False, iteration=0, images=0, iterations=10**6,
        device="cpu", precision="bf16", threads=2, workers=1, processes=1, parameters=621424, pictures=100))
    for n in range(1, 10**6):
        say(t.Progress(time=time.time(), stage=0, iteration=n, images=16 * n, losses={"total": random.random()},
            learning_rate=1e-4, gradient_norm=1.0, iterations_per_second=20.0, loader_wait=0.0, memory_mb=500.0,
            seconds_left=1e4))
        if n > 20000:
            time.sleep(0.05)
"""
BENCHMARKS: dict[str, Callable[[Path, argparse.Namespace], dict[str, float]]] = {
    "start": start,
    "idle": idle,
    "heartbeat": heartbeat,
    "slider": slider,
    "curves": curves,
    "pan": pan,
}

if __name__ == "__main__":
    sys.exit(main())

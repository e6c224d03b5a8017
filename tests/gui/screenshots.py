"""`python -m tests.gui.screenshots OUT [--model FILE]`: every page, light and dark, as the program really looks.

Nothing is staged but the size of the window: the real worker restores, the real trainer trains (a minute, small).
The pictures are given to the public domain by their makers and come with scikit-image. OUT keeps the work in
OUT/../.screenshots, so that a second call is quick.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PICTURES = ("coffee.png", "chelsea.png", "rocket.jpg")
RUN_SECONDS = 300
SMALL = (1280, 800)
LOOKS = (("light", 1), ("dark", 1), ("light", 2), ("dark", 2))
LARGE = (1280, 720)
"""At a scale of two: 2560 x 1440."""


def main() -> int:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("out", type=Path)
    words.add_argument("--work", type=Path, help="where pictures, models and trainings of the screenshots lie")
    words.add_argument("--model", type=Path, help="a trained model to show; default: the best there is")
    words.add_argument("--only", default="", help="names that contain this")
    words.add_argument("--language", default="en")
    words.add_argument("--one", nargs=2, metavar=("THEME", "SCALE"), help=argparse.SUPPRESS)
    chosen = words.parse_args()
    work = (chosen.work or chosen.out.parent / ".screenshots").resolve()
    if chosen.one:
        model = chosen.model.stem if chosen.model else ""
        take(chosen.out.resolve(), work, (chosen.one[0], int(chosen.one[1])), model, chosen.only, chosen.language)
        return 0
    environment = home(work)
    chosen.out.mkdir(parents=True, exist_ok=True)
    prepare(work, environment, chosen.model)
    for theme, scale in LOOKS:
        command = [sys.executable, "-m", "tests.gui.screenshots", *sys.argv[1:], "--work", str(work)]
        subprocess.run(
            [*command, "--one", theme, str(scale)],
            check=True,
            cwd=ROOT,
            env={**environment, "QT_SCALE_FACTOR": str(scale)},
        )
    return 0


def home(work: Path) -> dict[str, str]:
    """An own home, so that no setting, model or training of the user is seen."""
    work.mkdir(parents=True, exist_ok=True)
    runtime = work / "runtime"
    runtime.mkdir(mode=0o700, exist_ok=True)
    places = {"CONFIG": "config", "DATA": "data", "STATE": "state", "CACHE": "cache"}
    return {
        **{key: value for key, value in os.environ.items() if not key.startswith("QT_")},
        "HOME": str(work),
        "XDG_RUNTIME_DIR": str(runtime),
        "QT_QPA_PLATFORM": "offscreen",
        "PYTHONPATH": str(ROOT),
        **{f"XDG_{name}_HOME": str(work / folder) for name, folder in places.items()},
    }


def prepare(work: Path, environment: dict[str, str], model: Path | None) -> None:
    """Small, compressed pictures to restore; a model; two short trainings, the second one a GAN."""
    from PIL import Image

    data = Path(__import__("skimage.data").data.__file__).parent
    old, sharp = work / "old pictures", work / "sharp pictures"
    for folder in (old, sharp):
        folder.mkdir(exist_ok=True)
    for name in PICTURES:
        with Image.open(data / name) as image:
            image = image.convert("RGB")
            image.save(sharp / f"{Path(name).stem}.png")
            small = image.resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS)
            small.save(old / f"{Path(name).stem}.jpg", quality=72)

    def run(*command: str) -> None:
        subprocess.run([sys.executable, "-m", "gui", *command], check=True, cwd=ROOT, env=environment)

    runs = work / "data" / "pellucid" / "runs"
    if not (runs / "first-try").exists():
        if model is not None:
            run("models", "import", str(model))
        settings = ["data.batch=4", "data.crop=64", "save.every=50", "validation.every=50", "stages.0.iterations=600"]
        settings += ["stages.0.schedule.warmup=10", "stages.0.ema=0.95", "stages.0.optimizer.learning_rate=1e-3"]
        settings += [f"model.start={model}"] if model is not None else []
        words = [word for setting in settings for word in ("--set", setting)]
        run("train", "quick-try", "--data", str(sharp), *words, "--run", str(runs / "first-try"))
    if not (runs / "first-try-vivid").exists():
        from engine.wire_training import format_config
        from gui.vivid import vivid_config

        start = sorted((runs / "first-try" / "models").glob("*best*"))[-1]
        config = vivid_config(runs / "first-try", start, "first-try-vivid", 60, "")
        path = work / "vivid.toml"
        path.write_text(format_config(config))
        run("train", str(path), "--run", str(runs / "first-try-vivid"))
        run("models", "import", str(start), "--name", "first-try")
        made = sorted((runs / "first-try-vivid" / "models").glob("*.safetensors"))[-1]
        run("models", "import", str(made), "--name", "first-try-vivid")


def take(out: Path, work: Path, look: tuple[str, int], model: str, only: str, language: str) -> None:
    """All pages in one theme at one scale; at scale two only the most telling ones."""
    theme_name, scale = look
    from PySide6.QtWidgets import QApplication, QLabel

    from gui import icons, theme
    from gui.app import install_translations
    from gui.settings import Settings, runs_folder
    from gui.window import Window

    application = QApplication(["pellucid"])
    application.setStyle("Fusion")
    theme.apply(application, theme_name)
    translators = install_translations(application, language)
    application.setWindowIcon(icons.application_icon())
    settings = Settings(theme=theme_name)
    window = Window(settings, work / "config" / "pellucid", work / "state" / theme_name, work / "cache")
    window.resize(*(SMALL if scale == 1 else LARGE))
    window.show()
    suffix = f"{theme_name}{'-2x' if scale == 2 else ''}"

    def wait(true: Callable[[], object], seconds: float = 120.0) -> None:
        deadline = time.monotonic() + seconds
        while not true():
            application.processEvents()
            time.sleep(0.005)
            assert time.monotonic() < deadline, f"It did not come. {window.restore_page.banner.text()}"

    def rest(seconds: float = 0.3) -> None:
        end = time.monotonic() + seconds
        wait(lambda: time.monotonic() > end)

    def shoot(name: str, in_both: bool = True) -> None:
        if only in name and (scale == 1 or in_both):
            rest()
            save(window.grab().toImage(), out / f"{name}-{suffix}.png")

    page, view = window.restore_page, window.restore_page.view
    window.begin([])
    wait(lambda: bool(page._models))
    if model:
        window.use_model(model)
    shoot("start", in_both=False)
    window.session.add_paths([str(work / "old pictures" / f"{Path(name).stem}.jpg") for name in PICTURES])
    wait(lambda: "live" in page._overlays)
    shoot("try", in_both=False)
    first = window.session.queue.items[0].job
    window.session.pause(False)
    wait(lambda: all(item.state == "done" for item in window.session.queue.items))
    page.side.list.setCurrentIndex(page.side.model.index(page.side.model.row_of(first)))
    wait(lambda: page._current == first and page._after is not None)
    rest(0.5)
    view.actual_size()
    shoot("restore")
    page.tools.mode_buttons["side"].click()
    shoot("side-by-side", in_both=False)
    page.tools.mode_buttons["divider"].click()
    names = [name for name in ("lanczos", model, "first-try", "first-try-vivid") if name]
    page.compare_models(names)
    wait(lambda: len(page._overlays) == len(names))
    shoot("compare-models", in_both=False)
    pair = next((m.name for m in page._models if m.name == "first-try"), "")
    if pair:
        page.tools.mode_buttons["divider"].click()
        window.use_model(pair)
        page.compare_blends()
        wait(lambda: len(page._overlays) == 5)
        shoot("compare-blends", in_both=False)
        page.tools.mode_buttons["divider"].click()
    window.rail.choose(1)
    wait(lambda: len(window.models_page._samples) == len([m for m in page._models if not m.problem]))
    shoot("models", in_both=False)
    window.rail.choose(2)
    train = window.train_page
    shoot("train-1-purpose", in_both=False)
    train.purposes.button(0).setChecked(True)
    train.next_button.click()
    train.add_folder(str(work / "sharp pictures"))
    wait(lambda: bool(train._findings))
    shoot("train-2-pictures", in_both=False)
    train.next_button.click()
    wait(lambda: not train.samples.is_empty())
    shoot("train-3-damage", in_both=False)
    train.next_button.click()
    wait(lambda: bool(train.config_text.toPlainText()), RUN_SECONDS)
    shoot("train-4-time", in_both=False)
    train._end("estimate")
    window.rail.choose(3)
    runs = window.runs_page
    runs.choose(runs_folder(settings) / "first-try")
    wait(lambda: runs._current is not None and runs._current.run.status == "finished")
    rest(0.5)
    shoot("runs")
    window.rail.choose(4)
    shoot("settings", in_both=False)
    window.settings_page.tabs.setCurrentIndex(1)
    wait(lambda: bool(window.settings_page._report))
    for label in window.settings_page.findChildren(QLabel):
        if label.text().startswith("Linux "):
            label.setText("Linux x86_64")  # Which kernel it was is nobody's business.
    shoot("this-computer", in_both=False)
    window.settings_page.tabs.setCurrentIndex(2)
    shoot("about", in_both=False)
    window.close()
    del translators


def save(image: object, path: Path) -> None:
    """As a PNG of 256 colours: a page is mostly flat, and the repository stays small."""
    from PIL import Image
    from PySide6.QtGui import QImage

    assert isinstance(image, QImage)
    image = image.convertToFormat(QImage.Format.Format_RGB888)
    pixels = bytes(image.constBits())
    picture = Image.frombytes("RGB", (image.width(), image.height()), pixels, "raw", "RGB", image.bytesPerLine())
    picture.quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.FLOYDSTEINBERG).save(path, optimize=True)
    print(json.dumps({"file": path.name, "bytes": path.stat().st_size}), flush=True)


if __name__ == "__main__":
    sys.exit(main())

"""`pellucid --selftest`: tries out everything that is installed, and says what works. Exit code 1 when something fails.

The parts run as the processes that they are when somebody works with Pellucid: a part that dies is reported, and the
others go on. Pictures, models and trainings made here lie in a temporary folder, in a home of their own.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

from gui.program import command_line, process_command

SECONDS = 300
"""For one part. The slowest takes ten on a slow disk."""
STEPS = 10
TINY_TRAINING = (
    "model.arguments={features = 8, convolutions = 2}",
    *("model.scale=2", "data.batch=2", "data.crop=32", "data.workers=1", "data.cache_mb=4"),
    *(f"stages.0.iterations={STEPS}", "validation.every=0", "save.every=5", "speed.device=cpu"),
)

Record = dict[str, str]


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="pellucid --selftest", description="Try out everything that is installed.")
    parser.add_argument("--json", action="store_true", help="print JSON lines, the last one the summary")
    arguments = parser.parse_args(words)
    began, counts = time.monotonic(), {"ok": 0, "left out": 0, "failed": 0}
    with tempfile.TemporaryDirectory(prefix="pellucid-selftest-", ignore_cleanup_errors=True) as name:
        for record in run_parts(Path(name)):
            counts[record["outcome"]] += 1
            if arguments.json:
                print(json.dumps(record, ensure_ascii=False), flush=True)
            else:
                print(f"{record['outcome']:8}  {record['check']}: {record['detail']}", flush=True)
    seconds = round(time.monotonic() - began, 1)
    if arguments.json:
        print(json.dumps({"summary": counts, "seconds": seconds}))
    else:
        spoken = ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count)
        print(f"{spoken}, in {seconds} s")
    return 1 if counts["failed"] else 0


def run_parts(folder: Path) -> Iterator[Record]:
    """Every check of every part, as it ends."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"}
    for place in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "APPDATA",
                  "LOCALAPPDATA"):  # fmt: skip
        environment[place] = str(folder / "home")
    (folder / "home").mkdir()
    yield from _run_part("engine", process_command("engine.selftest"), environment)
    if find_spec("PySide6") is None:
        yield _record("window", "left out", "PySide6 is not installed.")
    else:
        yield from _run_part("window", process_command("gui.selftest_window"), environment)
    yield from _train(folder, environment)


def _run_part(name: str, command: list[str], environment: dict[str, str]) -> Iterator[Record]:
    """The part's own lines, and one more when it did not end as it should."""
    try:
        ended = subprocess.run(command, env=environment, capture_output=True, timeout=SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        yield _record(name, "failed", f"{type(error).__name__}: {error}")
        return
    failed = False
    for line in ended.stdout.decode("utf-8", "replace").splitlines():
        record = _parse(line)
        if record is not None:
            failed |= record["outcome"] == "failed"
            yield record
    if ended.returncode != (1 if failed else 0):
        yield _record(name, "failed", f"its process ended with {ended.returncode}: {_last_words(ended.stderr)}")


def _train(folder: Path, environment: dict[str, str]) -> Iterator[Record]:
    """A training of ten steps in its own process, and a picture restored with the model that it made."""
    if find_spec("trainer") is None:
        yield _record("training", "left out", "This edition restores only.")
        return
    if find_spec("torch") is None:
        yield _record("training", "left out", "torch is not installed.")
        return
    pictures, run = folder / "pictures", folder / "run"
    _paint_pictures(pictures)
    settings = [word for setting in TINY_TRAINING for word in ("--set", setting)]
    words = ["train", "quick-try", "--data", str(pictures), "--run", str(run), *settings, "--detach", "--json"]
    try:
        ended = _run(words, environment)
        if ended.returncode != 0:
            yield _record("training", "failed", _last_words(ended.stdout + ended.stderr))
            return
        followed = _run(["watch", str(run), "--json"], environment)
        last = _parse_any(followed.stdout)
        models = sorted((run / "models").glob("*.safetensors"))
        if not models:
            yield _record("training", "failed", f"it made no model; its last words: {last}")
            return
        yield _record("training", "ok", f"{STEPS} steps in a process of its own, with a loader process")
        target = folder / "made.png"
        first = sorted(pictures.iterdir())[0]
        made = _run(["restore", str(first), "-o", str(target), "--model", str(models[-1]), "--json"], environment)
        good = made.returncode == 0 and target.is_file()
        detail = "restored a picture" if good else _last_words(made.stdout + made.stderr)
        yield _record("trained model", "ok" if good else "failed", detail)
    except (OSError, subprocess.TimeoutExpired) as error:
        yield _record("training", "failed", f"{type(error).__name__}: {error}")


def _run(words: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*command_line(), *words], env=environment, capture_output=True, timeout=SECONDS, check=False)


def _paint_pictures(folder: Path) -> None:
    """Four pictures with something to learn in them."""
    from PIL import Image, ImageDraw

    folder.mkdir()
    for number in range(4):
        picture = Image.linear_gradient("L").resize((96, 96)).convert("RGB")
        draw = ImageDraw.Draw(picture)
        for place in range(6):
            left, top = (place * 37 + number * 23) % 70, (place * 53 + number * 41) % 70
            draw.ellipse((left, top, left + 24, top + 18), fill=(40 * place, 255 - 30 * place, 60 * number))
        picture.save(folder / f"{number}.png")


def _record(check: str, outcome: str, detail: str) -> Record:
    return {"check": check, "outcome": outcome, "detail": detail}


def _parse(line: str) -> Record | None:
    """A part's line; None for what a library has printed in between."""
    try:
        record = json.loads(line)
        return _record(str(record["check"]), str(record["outcome"]), str(record["detail"]))
    except (ValueError, KeyError, TypeError):
        return None


def _parse_any(output: bytes) -> str:
    lines = output.decode("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else "(none)"


def _last_words(output: bytes) -> str:
    lines = output.decode("utf-8", "replace").strip().splitlines()
    return " / ".join(lines[-3:]) if lines else "(no words)"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

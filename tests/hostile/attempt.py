"""Gives hostile inputs of one kind to the function a user's file would reach, and prints how each ended.

A process of its own, so that an input that kills or fills the process is seen, and not the end of the tests:
`python attempt.py KIND FOLDER`. One JSON object a line: how it ended (sentence, accepted or other), how long it took,
how much memory, what was written.
"""

from __future__ import annotations

import json
import re
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import inputs
import msgspec

from engine.errors import PellucidError


def main(kind: str, folder: Path) -> None:
    proof = folder / "code-has-run"
    use, cases = _kinds(folder, proof)[kind]
    place = folder / "inputs"
    place.mkdir()
    for case in cases:
        path = place / case.name
        if callable(case.content):
            case.content(path)
        elif kind not in ("messages", "options"):
            path.write_bytes(case.content)
        before = _everything(folder)
        _forget_peak()
        start_memory = _peak_megabytes()
        began = time.perf_counter()
        end, text = _end_of(use, path, case)
        outcome = {
            "name": case.name,
            "must_fail": case.must_fail,
            "end": end,
            "text": text,
            "seconds": time.perf_counter() - began,
            "megabytes": _peak_megabytes() - start_memory,
            "written": sorted(_everything(folder) - before),
            "code_has_run": proof.exists(),
        }
        print(json.dumps(outcome), flush=True)


def _end_of(use: Callable[[Path, bytes], object], path: Path, case: inputs.Case) -> tuple[str, str]:
    content = case.content if isinstance(case.content, bytes) else b""
    try:
        use(path, content)
    except (PellucidError, msgspec.DecodeError) as error:
        return "sentence", str(error)
    except BaseException:
        return "other", traceback.format_exc()[-1500:]
    return "accepted", ""


def _kinds(folder: Path, proof: Path) -> dict[str, tuple[Callable[[Path, bytes], object], Iterable[inputs.Case]]]:
    return {
        "pictures": (_open_picture, inputs.pictures()),
        "models": (_open_model, inputs.models(proof)),
        "recipes": (_open_recipe, inputs.recipes()),
        "trainings": (_open_training, inputs.trainings()),
        "messages": (_open_message, inputs.messages()),
        "options": (_Restoring(folder), inputs.options()),
    }


def _open_picture(path: Path, _: bytes) -> None:
    from engine.image.decode import read_image

    image = read_image(path)
    if image.colour.size == 0 or image.colour.ndim != 3:
        raise AssertionError(f"accepted as a picture of shape {image.colour.shape}")


def _open_model(path: Path, _: bytes) -> None:
    from engine.models.library import find_model

    find_model(str(path))


def _open_recipe(path: Path, _: bytes) -> None:
    from engine.degrade.draw import compile_recipe
    from engine.degrade.recipe import load_recipe

    compile_recipe(load_recipe(path))


def _open_training(path: Path, _: bytes) -> None:
    from trainer.config import load_config

    load_config(str(path))


def _open_message(_: Path, content: bytes) -> None:
    from engine.wire import decode_event, decode_request

    try:
        decode_event(content)
    except msgspec.DecodeError:
        decode_request(content)
    else:
        raise AssertionError("accepted as an event")


class _Restoring:
    """A whole small restore with the options of the case; what it makes lies in `results`, and only there."""

    def __init__(self, folder: Path) -> None:
        self._source = folder / "good.png"
        self._source.write_bytes(inputs.valid_pictures()["rgb.png"])
        self._target = folder / "results"

    def __call__(self, _: Path, content: bytes) -> None:
        from engine.queue import RestoreQueue
        from engine.restore import Restorer
        from engine.wire import Failed, RestoreRequest, decode_request

        options = json.loads(content)
        options.setdefault("model", "bicubic")
        line = {
            "type": "RestoreRequest",
            "job": "1",
            "source": str(self._source),
            "target": str(self._target),
            "options": options,
        }
        request = decode_request(json.dumps(line).encode())
        assert isinstance(request, RestoreRequest)
        events: list[object] = []
        queue = RestoreQueue(Restorer(), events.append)
        queue.submit(request)
        queue.close()
        queue.run()
        last = events[-1]
        if isinstance(last, Failed):
            if last.code == "internal":
                raise AssertionError(last.message)
            raise PellucidError(last.code, last.message)


def _everything(folder: Path) -> set[str]:
    found = set()
    for path in folder.rglob("*"):
        if path.parent.name != "results":
            found.add(str(path.relative_to(folder)))
    return found


def _forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def _peak_megabytes() -> float:
    match = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    assert match
    return int(match[1]) / 1024


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))

"""Files whose names are no UTF-8: told of, passed over or refused with a sentence, never a fault."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from engine.wire_training import PreviewWritten, Warned, decode_event, encode_event
from tests.trainer.tiny import draw_picture
from trainer.cli import main
from trainer.rundir import RunFolder

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")

BAD = os.fsdecode(b"v\xfe")
TINY = ["model.arguments={features=8,convolutions=2}", "data.batch=2", "data.crop=32", "data.workers=0"]
TINY += ["stages.0.iterations=2", "stages.0.schedule.warmup=0", "validation.every=1", "speed.device=cpu"]
TINY += ["speed.threads=1"]
SETTINGS = [word for assignment in TINY for word in ("--set", assignment)]


@pytest.fixture(autouse=True)
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PELLUCID_RUNS", str(tmp_path / "runs"))


@pytest.mark.parametrize("option", ["--data", "--validation", "--run", "--set"])
def test_a_folder_that_a_configuration_cannot_name_is_refused(
    option: str, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / BAD
    folder.mkdir()
    draw_picture(1, 64, 80).save(folder / "p.png")
    value = f"validation.folders=['{folder}']" if option == "--set" else str(folder)
    words = ["train", "quick-try", *(["--data", str(photos)] if option != "--data" else []), option, value]
    assert main([*words, *SETTINGS]) == 1
    said = capsys.readouterr().err
    assert "bytes that are no UTF-8" in said
    assert "Rename" in said
    assert not RunFolder(folder).exists()


def test_pictures_of_such_names_train_and_validate(photos: Path, tmp_path: Path) -> None:
    validation, run = tmp_path / "val", tmp_path / "run"
    validation.mkdir()
    draw_picture(50, 64, 80).save(validation / f"{BAD}.png")
    (validation / f"a{BAD}.png").write_bytes(b"no picture")
    draw_picture(51, 64, 80).save(photos / f"{BAD}.png")
    (photos / f"torn{BAD}.png").write_bytes(b"no picture")
    words = ["train", "quick-try", "--data", str(photos), "--validation", str(validation), "--run", str(run)]
    assert main([*words, *SETTINGS]) == 0
    events = [event for event, _ in RunFolder(run).events()]
    previews = [event for event in events if isinstance(event, PreviewWritten)]
    assert previews
    assert all((run / event.path).is_file() for event in previews)
    warned = " ".join(event.text for event in events if isinstance(event, Warned))
    assert "torn" in warned
    assert "av" in warned


def test_an_event_about_such_a_file_is_written_and_read_back() -> None:
    event = decode_event(encode_event(Warned(time=1.0, text=f"{BAD}.png is no picture")))
    assert event == Warned(time=1.0, text="v\\udcfe.png is no picture")


def test_the_dataset_check_tells_of_them_in_valid_text(photos: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    (photos / f"torn{BAD}.png").write_bytes(b"no picture")
    assert main(["dataset", "check", str(photos), "--crop", "32", "--json"]) == 1
    lines = [json.loads(line) for line in capfdbinary.readouterr().out.decode("utf-8").splitlines()]
    assert lines[0]["path"] == str(photos / f"torn{BAD}.png")
    assert main(["dataset", "check", str(photos), "--crop", "32"]) == 1

"""`pellucid evaluate` as scripts and people meet it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from engine import restore
from engine.cli.frame import run_command_line
from engine.errors import OutOfMemory
from engine.evaluate import add_evaluate_parser


def _pellucid(*words: object) -> int:
    return run_command_line(["evaluate", *map(str, words)], add_evaluate_parser)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    y, x = np.mgrid[0:64, 0:80]
    for number in (1, 2):
        waves = 127 + 100 * np.sin(x[..., None] / 6 + np.arange(3)) * np.cos(y[..., None] / (8 + number))
        truth = Image.fromarray(waves.astype(np.uint8))
        for folder, picture in (("gt", truth), ("lq", truth.resize((20, 16), Image.Resampling.BICUBIC))):
            (tmp_path / folder).mkdir(exist_ok=True)
            picture.save(tmp_path / folder / f"ä {number}{'x4' if folder == 'lq' else ''}.png")
    return tmp_path / "lq", tmp_path / "gt"


def test_the_last_json_line_is_the_summary(folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert _pellucid("--model", "bicubic", "--lq", folders[0], "--gt", folders[1], "--protocol", "y", "--json") == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["picture"] for line in lines[:-1]] == ["ä 1x4.png", "ä 2x4.png"]
    summary = lines[-1]
    assert (summary["model"], summary["protocol"], summary["images"], summary["border"]) == ("bicubic", "y", 2, 4)
    assert summary["psnr"] == pytest.approx(np.mean([line["psnr"] for line in lines[:-1]]), abs=1e-5)
    # The model called bicubic and the baseline are two implementations of one thing.
    assert summary["psnr"] == pytest.approx(summary["bicubic_psnr"], abs=0.01)
    assert summary["ssim"] == pytest.approx(summary["bicubic_ssim"], abs=0.001)


def test_people_get_a_table_that_says_its_protocol(
    folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert _pellucid("--model", "lanczos", "--lq", folders[0], "--gt", folders[1]) == 0
    told = capsys.readouterr().out
    assert "ä 1x4.png" in told
    assert "mean" in told
    assert "Protocol rgb: 8-bit results, all channels, no border cut." in told


def test_scores_that_another_device_made_say_so_once(
    folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Busy:
        """A GPU that has room for the model and for no tile."""

        def __init__(self, session: Any) -> None:
            self.info = replace(session.info, backend="torch", device="cuda:0")

        def run(self, batch: Any) -> Any:
            raise OutOfMemory("Full.")

        def close(self) -> None:
            pass

    open_session = restore.open_session

    def open_somewhere(model: Any, **options: Any) -> Any:
        session = open_session(model, device="cpu")
        return session if options["device"] == "cpu" else Busy(session)

    monkeypatch.setattr(restore, "open_session", open_somewhere)
    assert _pellucid("--model", "bicubic", "--lq", folders[0], "--gt", folders[1], "--device", "cuda:0", "--json") == 0
    told = capsys.readouterr()
    assert json.loads(told.out.splitlines()[-1])["images"] == 2
    assert told.err.count("The memory of cuda:0 is too small, so") == 1


def test_without_truth_the_results_are_written_and_no_score_is_claimed(
    folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _pellucid("--model", "bicubic", "--lq", folders[0], "-o", tmp_path / "out", "--json") == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["ä 1x4.png", "ä 2x4.png"]
    with Image.open(tmp_path / "out" / "ä 1x4.png") as result:
        assert result.size == (80, 64)
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["psnr"] is None


def test_a_bad_picture_gives_exit_code_1_and_the_others_are_scored(
    folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    (folders[0] / "ä 2x4.png").write_bytes(b"no picture")
    assert _pellucid("--model", "bicubic", "--lq", folders[0], "--gt", folders[1], "--json") == 1
    told = capsys.readouterr()
    assert json.loads(told.out.splitlines()[-1])["images"] == 1
    assert "ä 2x4.png" in told.err


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ([], "nothing to score"),
        (["--csv", "t.csv", "-o", "out"], "--csv needs the true pictures"),
        (["--sheet", "s.pdf"], "cannot be written as s.pdf"),
        (["-o", "LQ"], "would overwrite"),
        (["-o", "out", "--tile", "3"], "--tile is 3"),
    ],
)
def test_wrong_usage_is_refused_before_any_work(
    folders: tuple[Path, Path],
    more: list[str],
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    words = [str(folders[0]) if word == "LQ" else word for word in more]
    assert _pellucid("--model", "bicubic", "--lq", folders[0], *words) == 2
    assert sentence in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["gt", "lq"]


def test_all_outputs_at_once(folders: tuple[Path, Path], tmp_path: Path) -> None:
    made = {name: tmp_path / "new folder" / name for name in ("t.csv", "r.json", "s.png")}
    outputs = ["--csv", made["t.csv"], "--report", made["r.json"], "--sheet", made["s.png"]]
    assert _pellucid("--model", "bicubic", "--lq", folders[0], "--gt", folders[1], *outputs) == 0
    assert sorted(path.name for path in (tmp_path / "new folder").iterdir()) == sorted(made)

"""`pellucid --selftest` finds what is broken, and what it compares with is right."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import gui.program
import gui.selftest
from engine import selftest
from engine.version import BuildFacts, bundle_folder, version_line
from gui.__main__ import main


def exact_bicubic(picture: np.ndarray, scale: int) -> np.ndarray:
    """Keys' kernel (a = -1/2) in whole numbers and fractions: mirrored borders, rounded half up, clipped."""

    def weight(x: Fraction) -> Fraction:
        x = abs(x)
        if x <= 1:
            return (Fraction(3, 2) * x - Fraction(5, 2)) * x * x + 1
        if x < 2:
            return ((Fraction(-1, 2) * x + Fraction(5, 2)) * x - 4) * x + 2
        return Fraction(0)

    def matrix(length: int) -> np.ndarray:
        rows = []
        for place in range(length * scale):
            centre = Fraction(2 * place + 1, 2 * scale) - Fraction(1, 2)
            row = [Fraction(0)] * length
            for source in range(int(centre // 1) - 1, int(centre // 1) + 3):
                mirrored = source % (2 * length)
                row[min(mirrored, 2 * length - 1 - mirrored)] += weight(centre - source)
            rows.append(row)
        return np.array(rows, dtype=object)

    down, across = matrix(picture.shape[0]), matrix(picture.shape[1])
    planes = [down.dot(picture[..., c].astype(object)).dot(across.T) for c in range(3)]
    rounded = [[[int((value + Fraction(1, 2)) // 1) for value in row] for row in plane] for plane in planes]
    return np.clip(np.moveaxis(np.array(rounded), 0, -1), 0, 255).astype(np.uint8)


def test_the_golden_hash_is_that_of_the_exact_result() -> None:
    wanted = exact_bicubic(selftest.golden_picture(), 4)
    assert hashlib.sha256(wanted.tobytes()).hexdigest() == selftest.GOLDEN_HASH


def test_the_reference_network_is_the_one_that_torch_computes() -> None:
    torch = pytest.importorskip("torch")
    from engine.models.arch.compact import COMPACT

    weights = selftest.small_weights()
    module = COMPACT.torch_module(selftest.SMALL).double()
    module.load_state_dict({name: torch.from_numpy(value).double() for name, value in weights.items()})
    tile = np.random.default_rng(0).random((3, 12, 9))
    with torch.no_grad():
        wanted = module(torch.from_numpy(tile)[None])[0].numpy()
    assert np.abs(wanted - selftest.reference_output(weights, tile)).max() < 1e-12


def test_everything_that_restores_works_here() -> None:
    ended = subprocess.run(gui.program.process_command("engine.selftest"), capture_output=True, text=True, check=False)
    records = [json.loads(line) for line in ended.stdout.splitlines()]
    assert [record for record in records if record["outcome"] == "failed"] == []
    assert ended.returncode == 0, ended.stderr
    names = {record["check"] for record in records}
    assert {"PNG, 16 bits", "AVIF, 10 bits", "HEIC", "TIFF, lzw", "bicubic restore", "backend openvino"} <= names


def test_a_wrong_result_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Path) -> str:
        raise OSError("libgone.so.1: cannot open shared object file")

    told: list[dict[str, str]] = []
    monkeypatch.setattr(selftest, "GOLDEN_HASH", "0" * 64)
    golden = next(check for name, check in selftest.checks() if name == "bicubic restore")
    monkeypatch.setattr(selftest, "checks", lambda: iter([("golden", golden), ("broken", fail)]))
    assert not selftest.run_checks(told.append)
    assert [record["outcome"] for record in told] == ["failed", "failed"]
    assert "hash" in told[0]["detail"]
    assert "libgone" in told[1]["detail"]


def test_a_part_that_dies_is_reported_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    line = json.dumps({"check": "a", "outcome": "ok", "detail": ""})
    other = line.replace('"a"', '"b"')
    programs = {
        "engine.selftest": f"import os; print({line!r}, flush=True); os._exit(9)",
        "gui.selftest_window": f"print('noise'); print({other!r})",
    }
    monkeypatch.setattr(gui.selftest, "process_command", lambda module: [sys.executable, "-c", programs[module]])
    monkeypatch.setattr(gui.selftest, "_train", lambda folder, environment: iter(()))
    assert gui.selftest.main(["--json"]) == 1
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(record["check"], record["outcome"]) for record in records[:-1]] == [
        ("a", "ok"),
        ("engine", "failed"),
        ("b", "ok"),
    ]
    assert "ended with 9" in records[1]["detail"]
    assert records[-1]["summary"] == {"ok": 2, "left out": 0, "failed": 1}


def test_an_installed_program_starts_itself_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(sys, "executable", "/opt/pellucid/pellucid")
    assert gui.program.process_command("engine.worker") == ["/opt/pellucid/pellucid", "--process", "engine.worker"]
    assert gui.program.command_line() == ["/opt/pellucid/pellucid"]
    assert gui.program.window_command() == ["/opt/pellucid/pellucid"]


def test_only_our_own_processes_can_be_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--process"], ["--process", "os"], ["--process", "engine.worker.main"]):
        assert main(words) == 2
    assert "names one of engine.worker" in capsys.readouterr().err


def test_a_folder_named_like_ours_is_not_taken_for_ours(tmp_path: Path) -> None:
    (tmp_path / "gui").mkdir()
    (tmp_path / "gui" / "__main__.py").write_text("raise SystemExit('the wrong one')")
    command = [*gui.program.command_line(), "--version"]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert said.startswith("pellucid ")


def test_the_edition_that_restores_says_where_training_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("gui.__main__.find_spec", lambda name: None if name == "trainer" else object())
    assert main(["train", "--presets", "--json"]) == 2
    assert "full edition" in json.loads(capsys.readouterr().out)["message"]
    assert main(["completion", "bash"]) == 0
    assert "--max-megapixels" in capsys.readouterr().out


def test_the_version_tells_what_was_built(monkeypatch: pytest.MonkeyPatch) -> None:
    assert bundle_folder() is None
    assert "from source" in version_line()
    facts = BuildFacts("1.2.3", "full", "abc123", "2026-11-21", {"Qt": "6.11.3"})
    monkeypatch.setattr("engine.version.build_facts", lambda: facts)
    assert version_line().startswith("pellucid 1.2.3, full edition, of 2026-11-21, abc123 (Qt 6.11.3, Python 3.")

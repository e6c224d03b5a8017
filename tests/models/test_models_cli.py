"""`pellucid models` and `pellucid blend`, as people and as programs use them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.cli import main
from engine.models.files import read_model, write_model
from engine.models.library import find_model

Run = Callable[..., tuple[int, list[Any], str]]


@pytest.fixture
def run(library_folder: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """(words...) -> exit code, JSON lines or text lines, standard error."""

    def go(*words: str | Path) -> tuple[int, list[Any], str]:
        code = main([str(word) for word in words])
        out, err = capsys.readouterr()
        lines = out.splitlines()
        return code, [json.loads(line) for line in lines] if "--json" in words else lines, err

    return go


def test_archs_prints_one_line_a_preset(run: Run) -> None:
    code, lines, _ = run("models", "archs", "--json")
    assert code == 0
    assert {"id": "msrresnet-16", "parameters": 1517571, "scale": 4} in lines
    assert {line["id"]: line["parameters"] for line in lines}["swinir-78"] == 2251758
    assert all(set(line) == {"id", "parameters", "scale"} for line in lines)
    assert {"id": "unet-sn-24", "parameters": 616057, "scale": 1} in lines
    assert len(lines) == 14
    code, text, _ = run("models", "archs")
    assert code == 0 and any("rrdbnet-23" in line and "16,697,987" in line for line in text)


def test_a_model_goes_in_shows_its_card_is_renamed_and_goes(run: Run, make_model: Any, tmp_path: Path) -> None:
    path = tmp_path / "新しい model.safetensors"
    write_model(make_model("brand new"), path)
    code, lines, _ = run("models", "import", path, "--json")
    assert code == 0 and lines[0]["name"] == "brand new" and lines[-1] == {"imported": ["brand new"]}
    code, lines, _ = run("models", "list", "--json")
    assert [line.get("name") for line in lines] == ["brand new", "bicubic", "lanczos", None]
    assert lines[-1]["models"] == 3 and lines[-1]["default"] == "brand new"
    code, lines, _ = run("models", "show", "Brand New", "--json")
    assert code == 0 and lines[0]["architecture"] == "compact" and lines[0]["parameters"] == 2292
    code, lines, _ = run("models", "show", "brand new")
    assert any("architecture" in line and "compact" in line for line in lines)
    assert run("models", "rename", "brand new", "old")[0] == 0
    code, lines, _ = run("models", "remove", "old", "--json")
    assert code == 0 and lines[-1]["removed"] == "old"
    assert len(run("models", "list", "--json")[1]) == 3


def test_importing_many_with_one_name_is_refused(run: Run, tmp_path: Path) -> None:
    code, lines, _ = run("models", "import", tmp_path / "a.pth", tmp_path / "b.pth", "--name", "x", "--json")
    assert code == 2 and lines[-1]["error"] == "usage"


def test_blend_writes_a_model_that_knows_its_parents(run: Run, make_model: Any, tmp_path: Path) -> None:
    write_model(make_model("p", seed=1), tmp_path / "p.safetensors")
    write_model(make_model("g", seed=2), tmp_path / "g.safetensors")
    target = tmp_path / "out" / "mixed.safetensors"
    code, lines, _ = run(
        "blend", tmp_path / "p.safetensors", tmp_path / "g.safetensors", "--alpha", "0.25", "-o", target, "--json"
    )
    assert code == 0 and lines[-1]["output"] == str(target) and lines[-1]["alpha"] == 0.25
    card = read_model(target).card
    assert card.name == "mixed" and card.alpha == 0.25 and len(card.parents) == 2
    code, _, err = run("blend", tmp_path / "p.safetensors", "bicubic", "--alpha", "1", "-o", tmp_path / "x.safetensors")
    assert code == 1 and "no weights" in err
    assert not (tmp_path / "x.safetensors").exists()


@pytest.mark.parametrize("alpha", ["much", "nan"])
def test_a_blend_without_a_number_is_wrong_usage(alpha: str, run: Run, make_model: Any, tmp_path: Path) -> None:
    write_model(make_model("p"), tmp_path / "p.safetensors")
    code, _, err = run(
        "blend",
        tmp_path / "p.safetensors",
        tmp_path / "p.safetensors",
        "--alpha",
        alpha,
        "-o",
        tmp_path / "x.safetensors",
    )
    assert code == 2 and "alpha" in err


def test_a_blend_never_overwrites_a_parent(run: Run, make_model: Any, tmp_path: Path) -> None:
    path = tmp_path / "p.safetensors"
    write_model(make_model("p"), path)
    before = path.read_bytes()
    code, _, err = run("blend", path, path, "--alpha", "0.5", "-o", path)
    assert code == 2 and "one of the two" in err and path.read_bytes() == before
    code, _, err = run("blend", path, path, "--alpha", "0.5", "-o", tmp_path / "x.pth")
    assert code == 2 and ".safetensors" in err


def test_an_unknown_model_fails_with_the_nearest_name(run: Run) -> None:
    code, lines, _ = run("models", "show", "lancsoz", "--json")
    assert code == 1 and lines[-1]["error"] == "model-missing" and "lanczos" in lines[-1]["hint"]


def test_a_damaged_file_in_the_library_is_mentioned(run: Run, library_folder: Path) -> None:
    library_folder.mkdir()
    (library_folder / "bad.safetensors").write_bytes(b"nonsense")
    code, lines, err = run("models", "list", "--json")
    assert code == 0 and "bad.safetensors" in lines[-1]["unreadable"][0]["path"] and "bad.safetensors" in err


def test_no_model_command_loads_torch_or_openvino(library_folder: Path) -> None:
    import subprocess
    import sys

    script = (
        "import sys; from engine.cli import main; code = main(['models', 'list', '--json']);"
        "print(code, [name for name in ('torch', 'openvino', 'PySide6', 'spandrel') if name in sys.modules])"
    )
    root = Path(__file__).parents[2]
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=root, check=True)
    assert ran.stdout.splitlines()[-1] == "0 []"


def test_a_card_is_shown_in_lines_that_people_can_read(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "show", "photo-compact"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(len(line) for line in lines if "path" not in line) <= 110
    scores = find_model("photo-compact").card.scores
    (middle,) = [score.value for score in scores if (score.metric, score.alpha) == ("psnr", 0.5)]
    assert any(line.split()[:4] == ["psnr", "rgb", "0.5", f"{middle:.4f}"] for line in lines)
    assert [line.strip() for line in lines if "gb82 image set" in line] == [
        "Photographs of the gb82 image set (Gianni Rosato), CC0"
    ]

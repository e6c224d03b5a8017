"""The front door hands every command to the right place, says what is wrong in a sentence, and loads nothing heavy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import go
from engine.cli.frame import run_command_line
from engine.cli.output import Output
from gui.__main__ import main


def test_help_and_version_answer_without_loading_anything_heavy() -> None:
    program = (
        "import sys; from gui.__main__ import main; main(['--help']); main(['--version']);"
        "heavy = {'torch', 'numpy', 'openvino', 'PySide6', 'PIL'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.DEVNULL)


def test_a_misspelt_command_is_answered_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["resto"]) == 2
    assert "Did you mean restore?" in capsys.readouterr().err


def test_an_unknown_option_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--frobnicate"]) == 2
    assert "no option --frobnicate" in capsys.readouterr().err


def test_an_unknown_option_of_a_command_is_answered_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--jsn"]) == 2
    error = capsys.readouterr().err
    assert "There is no option --jsn." in error
    assert "--json" in error
    assert "Traceback" not in error


def test_json_is_understood_anywhere(capsys: pytest.CaptureFixture[str]) -> None:
    def add(subparsers: object) -> None:
        parser = subparsers.add_parser("hello")

        def run(_: object, output: Output) -> int:
            output.line({"hello": "world"})
            output.say("not for programs")
            return 0

        parser.set_defaults(run=run)

    for words in (["--json", "hello"], ["hello", "--json"]):
        assert run_command_line(words, add) == 0
        assert capsys.readouterr().out == '{"hello": "world"}\n'


def test_an_interrupted_command_ends_with_130(capsys: pytest.CaptureFixture[str]) -> None:
    def add(subparsers: object) -> None:
        def run(*_: object) -> int:
            raise KeyboardInterrupt

        subparsers.add_parser("wait").set_defaults(run=run)

    assert run_command_line(["wait"], add) == 130
    assert "interrupted" in capsys.readouterr().err


def test_wrong_usage_in_json_is_a_record(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["restore", "--json"]) == 2
    assert '"error": "usage"' in capsys.readouterr().out


def test_completion_knows_every_command_and_survives_a_closed_pipe() -> None:
    command = [sys.executable, "-m", "gui", "completion", "bash"]
    script = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    for word in ("restore", "--max-megapixels", "evaluate", "degrade", "train", "--dry-run", "watch", "bench"):
        assert word in script
    piped = subprocess.run(f"{' '.join(command)} | head -1", shell=True, check=True, capture_output=True, text=True)
    assert "Traceback" not in piped.stderr


@pytest.mark.parametrize("command", [["runs", "list"], ["watch", "RUN"], ["dataset", "check", "PICTURES"]])
def test_looking_at_trainings_and_pictures_needs_no_torch(command: list[str], tmp_path: Path) -> None:
    """So that `go.py` may leave the training packages out where nothing is trained."""
    (tmp_path / "RUN").mkdir()
    (tmp_path / "RUN" / "config.toml").write_text('name = "quick"\n')
    (tmp_path / "PICTURES").mkdir()
    Image.new("RGB", (64, 64)).save(tmp_path / "PICTURES" / "a.png")
    words = [str(tmp_path / word) if word.isupper() else word for word in command]
    program = "import sys; sys.modules['torch'] = None; from gui.__main__ import main; sys.exit(main())"
    done = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, check=False)
    assert "fault" not in done.stderr
    assert done.returncode in (0, 1)
    assert (done.stdout + done.stderr).strip()


def test_only_what_trains_asks_for_the_training_packages() -> None:
    for words in (["train", "quick-try"], ["runs", "resume", "RUN"]):
        assert go.parts_for(words) == {"train", "native"}
    for words in (["runs", "list"], ["watch", "RUN"], ["dataset", "check", "DIR"], ["restore", "a.jpg"], []):
        assert "train" not in go.parts_for(words)


def test_a_word_too_many_is_named_as_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "twice"]) == 2
    assert "one word too many: twice" in capsys.readouterr().err

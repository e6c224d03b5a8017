"""Some 600 corrupt, truncated, fuzzed and hostile inputs: each ends in a sentence or is truly fine. No other exception,
no hang, no flood of memory, nothing written, no code of a file run."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads memory use from /proc")

LEAST = {"pictures": 240, "models": 160, "recipes": 45, "trainings": 15, "messages": 110, "options": 30}
MOST_SECONDS = 2.0
MOST_MEGABYTES = 300.0
"""The largest inputs here are 30 MB of text and a compressed 300 MB."""
LONGEST_SENTENCE = 500


@dataclass(frozen=True)
class Outcome:
    name: str
    must_fail: bool
    end: str
    text: str
    seconds: float
    megabytes: float
    written: list[str]
    code_has_run: bool


@pytest.fixture(scope="module", params=sorted(LEAST))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def outcomes(kind: str, tmp_path_factory: pytest.TempPathFactory) -> list[Outcome]:
    """All inputs of one kind, tried in a process of their own; one that dies or hangs shows as a short list."""
    folder = tmp_path_factory.mktemp(kind)
    home = tmp_path_factory.mktemp("home")
    environment = {**os.environ, "HOME": str(home), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    for variable in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"):
        environment[variable] = str(home / variable)
    script = Path(__file__).with_name("attempt.py")
    done = subprocess.run(
        [sys.executable, str(script), kind, str(folder)],
        env=environment,
        cwd=folder,
        capture_output=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    return [Outcome(**json.loads(line)) for line in done.stdout.splitlines()]


def test_there_are_as_many_inputs_as_promised(kind: str, outcomes: list[Outcome]) -> None:
    assert len(outcomes) >= LEAST[kind]


def test_every_end_is_a_sentence_or_a_true_acceptance(outcomes: list[Outcome]) -> None:
    assert {outcome.name: outcome.text for outcome in outcomes if outcome.end == "other"} == {}


def test_nothing_broken_is_accepted(outcomes: list[Outcome]) -> None:
    assert [outcome.name for outcome in outcomes if outcome.must_fail and outcome.end == "accepted"] == []


def test_sentences_can_be_read(outcomes: list[Outcome]) -> None:
    """One or two short sentences on one line, without the insides of a program."""
    odd = {
        outcome.name: outcome.text[:600]
        for outcome in outcomes
        if outcome.end == "sentence"
        and (
            not 10 < len(outcome.text) <= LONGEST_SENTENCE
            or any(ord(letter) < 32 for letter in outcome.text)
            or re.search(r"Traceback|object at 0x|<class |\bNoneType\b|Errno", outcome.text)
        )
    }
    assert odd == {}


def test_none_takes_long(outcomes: list[Outcome]) -> None:
    assert {outcome.name: outcome.seconds for outcome in outcomes if outcome.seconds > MOST_SECONDS} == {}


def test_none_takes_much_memory(outcomes: list[Outcome]) -> None:
    assert {outcome.name: outcome.megabytes for outcome in outcomes if outcome.megabytes > MOST_MEGABYTES} == {}


def test_none_writes_outside_of_its_results(outcomes: list[Outcome]) -> None:
    """A restore with odd options may make the folder of its results, and nothing else anywhere."""
    assert {outcome.name: outcome.written for outcome in outcomes if set(outcome.written) - {"results"}} == {}


def test_none_runs_code(outcomes: list[Outcome]) -> None:
    assert [outcome.name for outcome in outcomes if outcome.code_has_run] == []


def _pellucid(*words: str, home: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "HOME": str(home), "PYTHONPATH": str(ROOT)}
    for variable in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"):
        environment[variable] = str(home / variable)
    return subprocess.run(
        [sys.executable, "-m", "gui", *words],
        env=environment,
        cwd=home,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def place(tmp_path: Path) -> Path:
    from PIL import Image

    Image.effect_noise((24, 20), 60).convert("RGB").save(tmp_path / "good.png")
    whole = (tmp_path / "good.png").read_bytes()
    (tmp_path / "half.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "words.jpg").write_text("no picture")
    (tmp_path / "empty.webp").write_bytes(b"")
    (tmp_path / "evil.pth").write_bytes(b"cos\nsystem\n(S'touch code-has-run'\ntR.")
    (tmp_path / "deep.toml").write_text("x = " + "[" * 20_000)
    (tmp_path / "offset.tiff").write_bytes(b"II*\0\xff\xff\xff\x7f" + bytes(20))
    return tmp_path


@pytest.mark.parametrize(
    ("words", "exit_code", "sentence"),
    [
        (["restore", "half.png", "-o", "out", "--model", "bicubic"], 1, "half.png is damaged"),
        (["restore", "words.jpg", "-o", "out", "--model", "bicubic"], 1, "words.jpg"),
        (["restore", "empty.webp", "-o", "out", "--model", "bicubic"], 1, "empty.webp is empty"),
        (["restore", "offset.tiff", "-o", "out", "--model", "bicubic"], 1, "offset.tiff"),
        (["restore", "none.png", "-o", "out", "--model", "bicubic"], 1, "none.png"),
        (["restore", "good.png", "-o", "out", "--model", "evil.pth"], 1, "evil.pth"),
        (["restore", "good.png", "-o", "out", "--model", "half.png"], 1, "half.png"),
        (["restore", "good.png", "-o", "out", "--model", "bicubic", "--scale", "-3"], 2, "--scale"),
        (["restore", "good.png", "-o", "out", "--model", "bicubic", "--tile", "9" * 400], 2, "--tile"),
        (["restore", "good.png", "-o", "good.png/out", "--model", "bicubic"], 1, "good.png"),
        (["evaluate", "--model", "bicubic", "--lq", "none", "--gt", "none"], 1, "no folder none"),
        (["evaluate", "--model", "evil.pth", "--lq", ".", "-o", "out"], 1, "evil.pth"),
        (["models", "import", "evil.pth"], 1, "evil.pth"),
        (["blend", "evil.pth", "half.png", "--alpha", "0.5", "-o", "out.safetensors"], 1, "evil.pth"),
        (["degrade", "good.png", "-o", "out", "--recipe", "deep.toml"], 1, "deep.toml"),
    ],
)
def test_the_command_line_answers_with_one_sentence(
    place: Path, words: list[str], exit_code: int, sentence: str
) -> None:
    before = {path.name for path in place.iterdir()}
    done = _pellucid(*words, home=place)
    said = done.stderr + done.stdout
    assert "Traceback" not in said
    assert sentence in done.stderr
    assert len(done.stderr.splitlines()) <= 3, done.stderr
    assert done.returncode == exit_code, said
    left = {path.name for path in place.iterdir() if not path.name.startswith("XDG_")} - before
    assert left <= {"out"}
    assert [path for path in place.glob("out/**/*") if path.is_file()] == []


def test_one_bad_picture_stops_no_other(place: Path) -> None:
    done = _pellucid("restore", "half.png", "good.png", "words.jpg", "-o", "out", "--model", "bicubic", home=place)
    assert done.returncode == 1
    assert len([path for path in (place / "out").iterdir() if path.name.startswith("good")]) == 1
    assert "half.png" in done.stderr
    assert "words.jpg" in done.stderr


def test_the_worker_answers_nonsense_and_goes_on(place: Path) -> None:
    """Whatever comes in on its input, a restore that follows is done, and the worker ends when told."""
    nonsense = [
        b"\xff\xfe\x00",
        b"{}",
        b"[" * 100_000,
        b'{"job":' + b"[" * 100_000 + b"]" * 100_000 + b',"type":"Cancel"}',
        b'{"type":"Cancel","job":"\xff"}',
        b'{"type":"Cancel","job":"nobody"}',
        b'{"type":"RestoreRequest","job":"a","source":"none.png","target":"out"}',
        b"9" * 100_000,
    ]
    good = {
        "type": "RestoreRequest",
        "job": "last",
        "source": str(place / "good.png"),
        "target": str(place / "out"),
        "options": {"model": "bicubic"},
    }
    lines = [*nonsense, json.dumps(good).encode()]
    worker = subprocess.Popen(
        [sys.executable, "-m", "engine.worker"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=place,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert worker.stdin
    assert worker.stdout
    assert worker.stderr
    try:
        worker.stdin.write(b"\n".join(lines) + b"\n")
        worker.stdin.flush()
        events = []
        for line in worker.stdout:
            events.append(json.loads(line))
            if events[-1]["type"] == "Restored":
                break
        worker.stdin.write(b'{"type":"Shutdown"}\n')
        worker.stdin.close()
        events += [json.loads(line) for line in worker.stdout]
        assert worker.wait(timeout=30) == 0
        assert b"Traceback" not in worker.stderr.read()
    finally:
        worker.kill()
        worker.stdout.close()
        worker.stderr.close()
    ends = [event for event in events if event.get("job") == "last" and event["type"] in ("Restored", "Failed")]
    assert [event["type"] for event in ends] == ["Restored"]
    misunderstood = [event for event in events if event["type"] == "Failed" and event["code"] == "protocol"]
    assert len(misunderstood) == 6

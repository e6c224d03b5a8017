from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from engine.models.files import read_model
from engine.wire_training import (
    Event,
    Finished,
    ModelSaved,
    Paused,
    Progress,
    RunFailed,
    RunStarted,
    StageConfig,
    encode_event,
    format_config,
)
from tests.trainer.tiny import draw_picture, tiny_config
from trainer.cli import main
from trainer.cli.speech import spoken_time
from trainer.rundir import RunFolder, RunOwner

TINY = [
    "model.arguments={features=8,convolutions=2}",
    "data.batch=4",
    "data.crop=32",
    "data.workers=0",
    "data.cache_mb=4",
    "stages.0.iterations=6",
    "stages.0.schedule.warmup=0",
    "validation.every=3",
    "save.every=3",
    "speed.device=cpu",
    "speed.threads=1",
]
SETTINGS = [word for assignment in TINY for word in ("--set", assignment)]

Lines = list[dict[str, object]]
Run = Callable[..., tuple[int, Lines]]


@pytest.fixture(autouse=True)
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PELLUCID_RUNS", str(tmp_path / "runs"))
    return tmp_path / "runs"


@pytest.fixture
def pellucid(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command with --json and reads its lines."""

    def run(*words: str) -> tuple[int, Lines]:
        capsys.readouterr()
        code = main([*words, "--json"])
        return code, [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return run


def test_a_preset_trains_to_a_model_that_opens_at_once(
    pellucid: Run, photos: Path, pairs: Path, tmp_path: Path
) -> None:
    run = tmp_path / "my run 🎞"
    words = ["train", "quick-try", "--data", str(photos), "--validation", str(pairs), "--run", str(run), *SETTINGS]
    code, lines = pellucid(*words)
    assert code == 0
    assert [line["type"] for line in lines[:2]] == ["RunStarted", "StageStarted"]
    summary = lines[-1]
    assert summary["state"] == "finished"
    assert summary["iteration"] == 6
    card = read_model(run / "models" / "quick-try.safetensors").card
    assert (card.architecture, card.scale, card.role, card.parameters) == ("compact", 4, "psnr", 4920)
    assert card.recipe.startswith("v2:")
    assert {score.metric for score in card.scores} == {"psnr", "ssim"}
    assert read_model(run / "models" / "quick-try-best.safetensors").weights
    previews = sorted((run / "previews").rglob("*.png"))
    assert [path.name for path in previews[:2]] == ["00000003.png", "00000006.png"]
    with Image.open(previews[0]) as image:
        assert image.size == (4 * 80 + 3 * 4, 64)
    assert not list(run.glob("*.cache"))


def test_people_get_sentences(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "quick-try", "--data", str(photos), "--run", str(tmp_path / "r"), *SETTINGS]) == 0
    said = capsys.readouterr().out
    assert "iteration 0 of 6" in said
    assert "validation (y): psnr" in said
    assert "Finished after 6 iterations." in said
    assert "kept out of training" in said


def test_a_dry_run_shows_everything_and_leaves_nothing(pellucid: Run, photos: Path, runs: Path) -> None:
    code, lines = pellucid("train", "quick-try", "--data", str(photos), "--dry-run", *SETTINGS)
    assert code == 0
    summary = lines[-1]
    assert summary["fits"] is True
    assert summary["parameters"] == 4920
    assert float(str(summary["seconds"])) > 0
    assert float(str(summary["memory_mb"])) > 0
    assert "features = 8" in str(summary["config"]) or '"features" = 8' in str(summary["config"])
    assert not runs.exists()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["train"], 2, "Name a preset"),
        (["train", "quick-try"], 1, "No pictures are named"),
        (["train", "quicktry"], 1, "Did you mean quick-try?"),
        (["train", "quick-try", "--data", "/absent-folder"], 1, "no folder /absent-folder"),
        (["train", "quick-try", "--set", "data.crop=130"], 1, "multiple of the scale"),
        (["train", "quick-try", "--set", "model.architecture=compact-61"], 1, "compact-16"),
        (["train", "quick-try", "--set", "model.start=absent.safetensors"], 1, "absent.safetensors"),
        (["train", "quick-try", "--set", "model.start=photo-compakt"], 1, "photo-compact"),
        (["train", "s0", "--set", "model.start=photo-compact"], 1, "a compact with"),
        (["train", "--resume", "nowhere"], 1, "no run nowhere"),
        (["train", "--resume", "{run}", "--bench"], 2, "--bench times a configuration"),
        (["train", "--resume", "{run}", "--prepare"], 2, "--prepare makes a new run"),
        (["train", "quick-try", "--dry-run", "--prepare"], 2, "--dry-run and --prepare contradict each other"),
        (["train", "quick-try", "--bench", "--detach"], 2, "--bench and --detach contradict each other"),
        (["runs", "pause", "nowhere"], 1, "no run nowhere"),
        (["watch", "nowhere"], 1, "no run nowhere"),
        (["dataset", "check", "/absent-folder"], 1, "no folder"),
        (["dataset", "check"], 2, "Name a folder"),
        (["dataset", "check", ".", "--crop", "-5"], 2, "-5 is no whole number from 1 on"),
        (["dataset", "check", ".", "--scale", "0"], 2, "choose from 1, 2, 3, 4, 8"),
        (["dataset", "check", ".", "--for", "quicktry"], 1, "Did you mean quick-try?"),
        (["train", "quick-try", "--dateset", "x"], 2, "no option --dateset"),
        (["runs", "list", "--detach"], 2, "This command has no option --detach"),
    ],
)
def test_wrong_words_end_in_a_sentence(
    words: list[str], code: int, said: str, photos: Path, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    RunFolder(runs / "r").create(tiny_config(photos))
    words = [word.format(run=runs / "r") for word in words]
    if "model.architecture" in " ".join(words):
        words = [*words, "--data", str(photos)]
    assert main(words) == code
    captured = capsys.readouterr()
    assert said in captured.err
    assert "Traceback" not in captured.err


def test_a_run_is_never_overwritten(pellucid: Run, photos: Path, tmp_path: Path) -> None:
    words = ["train", "quick-try", "--data", str(photos), "--run", str(tmp_path / "r"), *SETTINGS]
    assert pellucid(*words)[0] == 0
    code, lines = pellucid(*words)
    assert code == 2
    assert "already holds a run" in str(lines[-1]["message"])


def test_a_prepared_run_waits_until_it_is_started(pellucid: Run, photos: Path, tmp_path: Path) -> None:
    path = tmp_path / "r"
    words = ["train", "quick-try", "--data", str(photos), "--run", str(path), "--prepare", *SETTINGS]
    assert pellucid(*words) == (0, [{"run": str(path), "state": "new"}])
    run = RunFolder(path)
    assert run.config().iterations == 6
    assert not run.events_file.exists()
    assert pellucid("runs", "show", str(path))[1][-1]["state"] == "new"
    code, lines = pellucid("train", "--resume", str(path))
    assert (code, lines[-1]["state"], lines[-1]["iteration"]) == (0, "finished", 6)


def test_runs_are_listed_shown_and_exported(pellucid: Run, photos: Path, runs: Path, tmp_path: Path) -> None:
    assert pellucid("runs", "list")[1] == [{"runs": 0, "folder": str(runs)}]
    pellucid("train", "quick-try", "--data", str(photos), *SETTINGS)
    code, lines = pellucid("runs", "list")
    assert code == 0
    (run, summary) = lines
    assert summary["runs"] == 1
    assert (run["state"], run["iteration"], run["iterations"], run["pid"]) == ("finished", 6, 6, None)
    name = Path(str(run["run"])).name
    assert name.startswith("quick-try-")
    assert pellucid("runs", "show", name)[1][-1]["state"] == "finished"
    for target in ("c.csv", "c.png"):
        assert pellucid("runs", "export", name, "-o", str(tmp_path / target))[0] == 0
        assert (tmp_path / target).stat().st_size > 100
    assert pellucid("runs", "export", name, "-o", str(tmp_path / "tb"))[0] == 0
    assert len(list((tmp_path / "tb").iterdir())) == 1
    # Nothing is replaced without being asked to.
    (tmp_path / "photo.png").write_bytes(b"a photograph")
    for target in ("photo.png", "c.csv", "tb"):
        code, lines = pellucid("runs", "export", name, "-o", str(tmp_path / target))
        assert code == 1
        assert "there already" in str(lines[-1]["message"])
    assert (tmp_path / "photo.png").read_bytes() == b"a photograph"
    assert pellucid("runs", "export", name, "-o", str(tmp_path / "c.csv"), "--overwrite")[0] == 0
    assert pellucid("runs", "export", name, "-o", str(tmp_path / "tb"), "--overwrite")[0] == 0
    # A folder may have a dot in its name.
    for folder in ("logs-v1.2", "logs.old/"):
        assert pellucid("runs", "export", name, "-o", f"{tmp_path}/{folder}")[0] == 0
        assert len(list((tmp_path / folder).iterdir())) == 1
    assert pellucid("runs", "export", name, "-o", str(tmp_path / "c.xls"))[0] == 2
    code, lines = pellucid("watch", name)
    assert code == 0
    assert lines[-1]["state"] == "finished"
    assert lines[0]["type"] == "RunStarted"


def wait_until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.05)


def test_a_detached_run_is_paused_woken_saved_and_stopped(pellucid: Run, photos: Path, tmp_path: Path) -> None:
    path = tmp_path / "r"
    words = ["train", "quick-try", "--data", str(photos), "--run", str(path), "--detach", "--nice", "0", *SETTINGS]
    code, lines = pellucid(*words, "--set", "stages.0.iterations=100000", "--set", "validation.every=0")
    assert code == 0
    assert lines[-1]["state"] == "running"
    run = RunFolder(path)
    wait_until(lambda: any(isinstance(event, Progress) for event, _ in run.events()))
    assert pellucid("runs", "pause", str(path))[0] == 0
    wait_until(lambda: any(isinstance(event, Paused) for event, _ in run.events()))
    shown = pellucid("runs", "show", str(path))[1][-1]
    paused_at = next(event.iteration for event, _ in run.events() if isinstance(event, Paused))
    assert (shown["state"], shown["iteration"]) == ("paused", paused_at)
    count = len(list(run.events()))
    time.sleep(0.5)
    assert len(list(run.events())) == count
    code, lines = pellucid("train", "--resume", str(path))
    assert code == 2
    assert "already being worked on" in str(lines[-1]["message"])
    assert pellucid("runs", "resume", str(path))[0] == 0
    assert pellucid("runs", "save", str(path))[0] == 0
    wait_until(lambda: (path / "models" / "quick-try.safetensors").exists())
    assert pellucid("runs", "stop", str(path))[0] == 0
    wait_until(lambda: run.owner() is None)
    shown = pellucid("runs", "show", str(path))[1][-1]
    assert (shown["state"], shown["pid"]) == ("stopped", None)
    assert "asked to stop" in str(shown["sentence"])
    code, lines = pellucid("runs", "stop", str(path))
    assert code == 2
    assert "Nothing works on" in str(lines[-1]["message"])
    # and on again, in a process of its own
    assert pellucid("runs", "resume", str(path))[0] == 0
    starts = [event for event, _ in run.events() if isinstance(event, RunStarted)]
    assert [event.resumed for event in starts] == [False, True]
    assert starts[1].iteration == shown["iteration"]
    assert pellucid("runs", "stop", str(path))[0] == 0
    wait_until(lambda: run.owner() is None)


def test_commands_to_a_paused_run_say_when_they_will_be_heard(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = RunFolder(tmp_path / "runs" / "r")
    run.create(tiny_config(photos))
    with RunOwner(run) as owner:
        owner.append(started(8))
        assert main(["runs", "save", "r"]) == 0
        assert "after its step" in capsys.readouterr().out
        owner.append(Paused(time=1.0, iteration=5))
        assert main(["runs", "save", "r"]) == 0
        assert "will save when it goes on" in capsys.readouterr().out
        assert main(["runs", "pause", "r"]) == 0
        assert "paused already" in capsys.readouterr().out
        assert main(["runs", "resume", "r"]) == 0
        assert "It goes on." in capsys.readouterr().out


def test_a_finished_run_is_not_started_again_but_says_how_to_go_on(pellucid: Run, photos: Path, tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "runs" / "r")
    run.create(tiny_config(photos))
    (run.models / "tiny.safetensors").write_bytes(b"")
    run.events_file.write_bytes(
        b"".join(encode_event(event) for event in (started(8), Finished(time=1.0, iteration=8, seconds=1.0)))
    )
    before = run.events_file.read_bytes()
    assert pellucid("runs", "resume", "r") == (0, [{"run": str(run.path.resolve()), "pid": None, "state": "finished"}])
    assert run.events_file.read_bytes() == before


def test_to_go_on_it_names_the_model_of_the_last_stage(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = RunFolder(tmp_path / "runs" / "r")
    run.create(tiny_config(photos))
    files = [("stage", "tiny-b"), ("best", "tiny-best"), ("stage", "tiny-a"), ("last", "tiny-z")]
    events: list[Event] = [started(8)]
    for stage, (kind, name) in enumerate(files):
        path = f"models/{name}.safetensors"
        (run.path / path).write_bytes(b"")
        events.append(ModelSaved(time=1.0, iteration=8, path=path, kind=kind, stage=stage // 2))
    events.append(Finished(time=1.0, iteration=8, seconds=1.0))
    run.events_file.write_bytes(b"".join(encode_event(event) for event in events))
    assert main(["runs", "resume", "r"]) == 0
    assert f'--set "model.start={run.models / "tiny-a.safetensors"}"' in capsys.readouterr().out


def test_curves_of_a_run_that_ended_early_are_not_waited_for(pellucid: Run, photos: Path, tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "runs" / "r")
    run.create(tiny_config(photos))
    words = ["runs", "export", "r", "-o", str(tmp_path / "c.csv")]
    assert pellucid(*words)[1][-1]["hint"] == "It was never started."
    failure = RunFailed(time=1.0, iteration=0, code="config", message="No.", hint="Try.")
    run.events_file.write_bytes(encode_event(started(8)) + encode_event(failure))
    assert pellucid(*words)[1][-1]["hint"] == "It ended before its first progress: No. Try."
    with RunOwner(run) as owner:
        owner.append(started(8))
        assert pellucid(*words)[1][-1]["hint"] == "Wait for its first progress."


def test_a_detached_run_that_cannot_start_says_why_at_once(pellucid: Run, photos: Path, tmp_path: Path) -> None:
    path = tmp_path / "r"
    words = ["train", "quick-try", "--data", str(photos), "--run", str(path), "--detach", "--nice", "0", *SETTINGS]
    code, lines = pellucid(*words, "--set", "speed.device=cuda:7")
    assert code == 1
    assert "cuda:7" in str(lines[-1]["message"])


def started(iterations: int) -> RunStarted:
    return RunStarted(
        time=1.0, pid=1, version="0", resumed=False, iteration=0, images=0, iterations=iterations, device="cpu",
        precision="fp32", threads=1, workers=0, processes=1, parameters=1, pictures=1,
    )  # fmt: skip


def test_a_run_whose_process_vanished_is_called_interrupted(pellucid: Run, photos: Path, tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "runs" / "gone")
    run.create(tiny_config(photos))
    run.events_file.write_bytes(encode_event(started(8)))
    assert pellucid("runs", "show", "gone")[1][-1]["state"] == "interrupted"


def test_the_dataset_check_reports_and_judges(pellucid: Run, photos: Path) -> None:
    code, lines = pellucid("dataset", "check", str(photos), "--crop", "32")
    assert code == 0
    assert lines[-1]["healthy"] is True
    assert lines[-1]["pictures"] == 6
    (photos / "broken.png").write_bytes(b"no picture")
    draw_picture(99, 20, 20).save(photos / "small.png")
    code, lines = pellucid("dataset", "check", str(photos), "--crop", "32", "--validation", str(photos))
    assert code == 1
    assert lines[-1]["healthy"] is False
    assert {line["kind"] for line in lines[:-1]} == {"unreadable", "too-small", "leak"}
    assert all(line["advice"] for line in lines[:-1])


def test_the_dataset_check_says_that_few_pictures_are_few(
    photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["dataset", "check", str(photos), "--crop", "32"]) == 0
    assert "They are few" in capsys.readouterr().out
    monkeypatch.setattr("trainer.cli.dataset.FEW_PICTURES", 6)
    assert main(["dataset", "check", str(photos), "--crop", "32"]) == 0
    assert "few" not in capsys.readouterr().out


def test_the_dataset_check_knows_what_a_training_asks_of_pictures(
    pellucid: Run, photos: Path, pairs: Path, tmp_path: Path
) -> None:
    """Crop with context, scale, partners and validation come from its configuration, which may still lack weights."""
    config = tmp_path / "mine.toml"
    config.write_text(
        f"[data]\ntrain = ['{photos}']\ncrop = 32\ncontext = 20\n[validation]\nfolders = ['{photos}']\n"
        "[[stages]]\n[[stages.losses]]\nkind = 'perceptual'\n"
    )
    code, lines = pellucid("dataset", "check", "--for", str(config))
    assert code == 1
    assert (lines[-1]["crop"], lines[-1]["scale"], lines[-1]["folder"]) == (72, 4, str(photos))
    assert lines[-1]["findings"] == {"too-small": 2, "leak": 6}
    config.write_text("[model]\nscale = 2\n[data]\nsource = 'pairs'\ncrop = 32\ncontext = 20\n")
    (pairs / "LQ" / "1.png").unlink()
    code, lines = pellucid("dataset", "check", str(pairs), "--for", str(config))
    assert (lines[-1]["crop"], lines[-1]["scale"]) == (32, 2)
    assert lines[-1]["findings"] == {"no-partner": 1, "wrong-scale": 4}
    code, lines = pellucid("dataset", "check", str(photos), "--for", "s1-gan", "--crop", "64")
    assert (code, lines[-1]["crop"]) == (0, 64)
    assert pellucid("dataset", "check", str(photos), "--for", "my-photos")[1][-1]["crop"] == 192


def test_presets_are_listed(pellucid: Run) -> None:
    code, lines = pellucid("train", "--presets")
    assert code == 0
    assert {"quick-try", "my-photos", "s0", "s1-gan", "s4-gan-23"} <= {str(line["preset"]) for line in lines}


@pytest.mark.parametrize(("seconds", "text"), [(5, "5 s"), (600, "10 min"), (9000, "2.5 h"), (400000, "4.6 days")])
def test_times_are_told_as_people_do(seconds: float, text: str) -> None:
    assert spoken_time(seconds) == text


@pytest.mark.parametrize("as_json", [False, True])
def test_a_reader_who_goes_away_costs_the_words_and_not_the_training(
    as_json: bool, photos: Path, tmp_path: Path
) -> None:
    config = tmp_path / "tiny.toml"
    config.write_text(format_config(tiny_config(photos, stages=[StageConfig(iterations=30)])), encoding="utf-8")
    words = ["train", str(config), "--run", str(tmp_path / "run"), *(["--json"] if as_json else [])]
    training = subprocess.Popen([sys.executable, "-m", "gui", *words], stdout=subprocess.PIPE)
    assert training.stdout is not None
    training.stdout.readline()
    training.stdout.close()
    training.wait(120)
    events = [event for event, _ in RunFolder(tmp_path / "run").events()]
    assert isinstance(events[-1], Finished)

"""A run that was broken off goes on as if nothing had happened: to the last bit, and after any death."""

from __future__ import annotations

import itertools
import os
import random
import signal
import subprocess
import sys
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from engine.errors import Code, PellucidError
from engine.models.files import read_model
from engine.wire_training import (
    CheckpointSaved,
    Event,
    Finished,
    RolledBack,
    RunCrashed,
    RunFailed,
    RunStarted,
    SaveConfig,
    StageConfig,
    Stopped,
    TrainingConfig,
)
from tests.trainer.test_training_config import PERCEPTUAL, load_preset
from tests.trainer.tiny import gan_stage, tiny_config, tiny_copy
from trainer import checkpoint, steps
from trainer.checkpoint import load_checkpoint
from trainer.config import preset_names
from trainer.curves import read_story
from trainer.perceptual import CONVOLUTIONS, WIDTHS, layer_names
from trainer.rundir import RunFolder
from trainer.train import Training, Wishes
from trainer.worker import work


class StopAt(Wishes):
    """Wishes to stop once a given number of steps has been made."""

    def __init__(self, iteration: int | None, training: Callable[[], Training]) -> None:
        super().__init__()
        self._at, self._training = iteration, training

    @property
    def stop(self) -> str:
        done = self._at is not None and self._training().place.iteration >= self._at
        return "It was time." if done else ""

    @stop.setter
    def stop(self, value: str) -> None:
        pass


def train(folder: RunFolder, until: int | None = None) -> str:
    """In this process; the ambient random streams are set to nonsense first, as a fresh process's are."""
    torch.manual_seed(int(time.time_ns() % 2**31))
    training: Training
    wishes = StopAt(until, lambda: training)
    training = Training(folder, folder.config(), lambda event: None, wishes)
    return training.run()


def final_state(folder: RunFolder) -> dict[str, Any]:
    state, problems = folder.load_latest()
    assert not problems
    assert state is not None
    state["place"].pop("seconds")
    return state


def check_identical(one: Any, other: Any, path: str = "") -> None:
    if isinstance(one, torch.Tensor):
        assert one.dtype == other.dtype, path
        assert torch.equal(one, other), f"{path} differs by {(one.double() - other.double()).abs().max()}"
    elif isinstance(one, dict):
        assert one.keys() == other.keys(), path
        for key, value in one.items():
            check_identical(value, other[key], f"{path}/{key}")
    elif isinstance(one, list):
        assert len(one) == len(other), path
        for place, (a, b) in enumerate(zip(one, other, strict=True)):
            check_identical(a, b, f"{path}/{place}")
    else:
        assert one == other, path


def check_resumes_exactly(config: TrainingConfig, tmp_path: Path, stops: list[int]) -> None:
    straight, broken = RunFolder(tmp_path / "straight"), RunFolder(tmp_path / "broken")
    straight.create(config)
    broken.create(config)
    assert train(straight) == "finished"
    for stop in stops:
        assert train(broken, stop) == "stopped"
    assert train(broken) == "finished"
    check_identical(final_state(straight), final_state(broken))
    names = sorted(path.name for path in straight.models.iterdir())
    for name in names:
        one, other = (read_model(run.models / name) for run in (straight, broken))
        assert all((one.weights[key] == other.weights[key]).all() for key in one.weights)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(
    ("loss", "kind"), [("", ""), ("vanilla", "unet-sn"), ("relativistic", "vgg"), ("wgan-gp", "patch")]
)
def test_n_plus_n_steps_equal_two_n_to_the_last_bit(
    loss: str, kind: str, workers: int, photos: Path, tmp_path: Path
) -> None:
    stage = gan_stage(10, loss, kind) if loss else StageConfig(iterations=10)
    config = tiny_config(photos, stages=[stage], recipe="real-esrgan", workers=workers, shuffle_pool=6)
    check_resumes_exactly(config, tmp_path, [5])


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_it_goes_on_exactly_on_several_threads_too(precision: str, photos: Path, tmp_path: Path) -> None:
    # Large enough for the threads to share the work, and for the network's own kernels to be chosen.
    config = tiny_config(photos, stages=[gan_stage(6)], recipe="real-esrgan", workers=2, batch=8, crop=64)
    model = msgspec.structs.replace(config.model, arguments={"features": 32, "convolutions": 2})
    speed = msgspec.structs.replace(config.speed, threads=2, precision=precision)
    check_resumes_exactly(msgspec.structs.replace(config, model=model, speed=speed), tmp_path, [3])


def test_two_stages_broken_off_anywhere_equal_one_run(photos: Path, tmp_path: Path) -> None:
    stages = [StageConfig(iterations=5, hand_over="best", accumulate=2), gan_stage(5)]
    config = tiny_config(photos, stages=stages, workers=1)
    check_resumes_exactly(config, tmp_path, [0, 2, 5, 6, 9])


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_resumes_exactly(name: str, photos: Path, tmp_path: Path) -> None:
    check_resumes_exactly(tiny_copy(load_preset(name), photos), tmp_path, [2])


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(PERCEPTUAL))
def test_every_preset_with_a_perceptual_loss_resumes_exactly(name: str, photos: Path, tmp_path: Path) -> None:
    features = {network: tmp_path / f"{network}.safetensors" for network in CONVOLUTIONS}
    for network, path in features.items():
        write_random_features(network, path)
    check_resumes_exactly(tiny_copy(load_preset(name), photos, features=features), tmp_path, [2])


def write_random_features(network: str, path: Path) -> None:
    """A whole VGG of random weights, with its card."""
    random, weights, inputs = torch.Generator().manual_seed(1), {}, 3
    for layer, place in layer_names(network).items():
        width = WIDTHS[int(layer[4]) - 1]
        spread = (2 / (9 * inputs)) ** 0.5
        weights[f"features.{place}.weight"] = torch.randn(width, inputs, 3, 3, generator=random).mul_(spread).half()
        weights[f"features.{place}.bias"] = torch.zeros(width, dtype=torch.float16)
        inputs = width
    save_file(weights, path, {"convention": "torchvision"})


def test_a_finished_run_stays_finished(photos: Path, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.create(tiny_config(photos))
    assert train(folder) == "finished"
    before = final_state(folder)
    assert train(folder) == "finished"
    check_identical(before, final_state(folder))


# ------------------------------------------------------------------------------------------- in a process of its own


def start_worker(run: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "trainer.worker", str(run)], stderr=subprocess.PIPE)


def wait_for(folder: RunFolder, wanted: Callable[[Event], bool], seconds: float = 60) -> Event:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for event, _ in folder.events():
            if wanted(event):
                return event
        time.sleep(0.02)
    raise AssertionError("it never happened")


def ended(process: subprocess.Popen[bytes]) -> tuple[int, str]:
    _, errors = process.communicate(timeout=60)
    return process.returncode, errors.decode()


def long_run(photos: Path, tmp_path: Path, **data: object) -> RunFolder:
    folder = RunFolder(tmp_path / "run")
    config = tiny_config(photos, stages=[StageConfig(iterations=100_000), gan_stage(10)], **data)
    config = msgspec.structs.replace(config, save=SaveConfig(every=5))
    folder.create(config)
    return folder


def kill_and_resume(photos: Path, pairs: Path, tmp_path: Path, times: int, seed: int) -> None:
    """A run that soon plays against a discriminator, and that validates, exports and draws previews all the time.

    After each death: no damaged file of any kind, and at most one save interval lost.
    """
    folder = RunFolder(tmp_path / "run")
    stages = [StageConfig(iterations=30, hand_over="best"), gan_stage(100_000)]
    config = tiny_config(photos, stages=stages, validation=pairs, workers=1)
    validation = msgspec.structs.replace(config.validation, every=4)
    folder.create(msgspec.structs.replace(config, save=SaveConfig(every=5), validation=validation))
    chooser, every = random.Random(seed), 5
    for number in range(times):
        _, seen = next(((e, o) for e, o in reversed(list(folder.events()))), (None, 0))
        process = start_worker(folder.path)
        deadline = time.monotonic() + 60
        while not any(isinstance(event, CheckpointSaved) for event, _ in folder.events(seen)):
            assert time.monotonic() < deadline
            assert process.poll() is None, process.communicate()[1].decode()
            time.sleep(0.01)
        time.sleep(chooser.random() * 0.4)
        process.kill()
        process.communicate()
        story = read_story(event for event, _ in folder.events())
        saved = [event.iteration for event, _ in folder.events() if isinstance(event, CheckpointSaved)]
        state, problems = folder.load_latest()
        assert state is not None
        assert not problems, number
        for path in [*folder.checkpoint_files(), *folder.checkpoints.glob("best*")]:
            load_checkpoint(path)
        for path in folder.models.glob("*.safetensors"):
            read_model(path)
        for path in folder.previews.rglob("*.png"):
            if not path.name.startswith("."):
                with Image.open(path) as image:
                    image.load()
        reached = state["place"]["iteration"]
        assert reached >= saved[-1]
        assert story.iteration - reached <= every
    starts = [event for event, _ in folder.events() if isinstance(event, RunStarted)]
    assert [event.resumed for event in starts] == [False] + [True] * (times - 1)
    assert all(a.iteration <= b.iteration for a, b in itertools.pairwise(starts))


def test_killed_at_any_instant_it_goes_on(photos: Path, pairs: Path, tmp_path: Path) -> None:
    kill_and_resume(photos, pairs, tmp_path, 3, seed=1)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_killed_at_fifty_instants_it_goes_on(photos: Path, pairs: Path, tmp_path: Path) -> None:
    kill_and_resume(photos, pairs, tmp_path, 50, seed=2)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_saves_and_ends(number: signal.Signals, code: int, photos: Path, tmp_path: Path) -> None:
    folder = long_run(photos, tmp_path, workers=1)
    process = start_worker(folder.path)
    wait_for(folder, lambda event: isinstance(event, CheckpointSaved) and event.iteration >= 5)
    process.send_signal(number)
    assert ended(process) == (code, "")
    last = [event for event, _ in folder.events()][-1]
    assert isinstance(last, Stopped)
    assert number.name in last.reason
    assert final_state(folder)["place"]["iteration"] == last.iteration


def test_loader_processes_do_not_outlive_a_killed_trainer(photos: Path, tmp_path: Path) -> None:
    import psutil

    folder = long_run(photos, tmp_path, workers=2)
    process = start_worker(folder.path)
    wait_for(folder, lambda event: isinstance(event, CheckpointSaved) and event.iteration >= 5)
    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) >= 2
    process.kill()
    process.communicate()
    _, alive = psutil.wait_procs(children, timeout=10)
    assert not alive
    assert folder.owner() is None


def test_a_loader_process_that_is_killed_costs_no_more_than_the_way_from_the_last_checkpoint(
    photos: Path, tmp_path: Path
) -> None:
    import psutil

    config = tiny_config(photos, stages=[StageConfig(iterations=60)], workers=1)
    config = msgspec.structs.replace(config, save=SaveConfig(every=5))
    quiet, disturbed = RunFolder(tmp_path / "quiet"), RunFolder(tmp_path / "disturbed")
    quiet.create(config)
    disturbed.create(config)
    assert train(quiet) == "finished"
    process = start_worker(disturbed.path)
    wait_for(disturbed, lambda event: isinstance(event, CheckpointSaved) and event.iteration >= 5)
    for child in psutil.Process(process.pid).children(recursive=True):
        child.kill()
    assert ended(process)[0] == 0
    assert any(isinstance(event, RolledBack) and "has died" in event.reason for event, _ in disturbed.events())
    check_identical(final_state(quiet), final_state(disturbed))


# --------------------------------------------------------------------------------------------------------- misfortunes


def last_event(folder: RunFolder) -> Event:
    return [event for event, _ in folder.events()][-1]


def test_a_crash_is_told_in_the_events_and_is_no_success(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.create(tiny_config(photos))

    def explode(*_: object) -> None:
        raise ZeroDivisionError("a fault of the program")

    monkeypatch.setattr("trainer.steps.PsnrStep.run", explode)
    with pytest.raises(ZeroDivisionError):
        work(folder.path)
    event = last_event(folder)
    assert isinstance(event, RunCrashed)
    assert "a fault of the program" in event.message
    assert "explode" in event.traceback
    assert folder.owner() is None


def test_a_crashed_process_ends_with_an_error_code(photos: Path, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.create(tiny_config(photos))
    code = (
        "import sys, trainer.steps; from pathlib import Path; from trainer.worker import work\n"
        "def explode(*a): raise ZeroDivisionError('boom')\n"
        "trainer.steps.PsnrStep.run = explode\n"
        "sys.exit(work(Path(sys.argv[1])))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(folder.path)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert isinstance(last_event(folder), RunCrashed)


def test_a_full_disk_ends_in_a_sentence_and_loses_nothing_saved(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.create(tiny_config(photos))
    write = checkpoint.save

    def full_later(tensors: Any, metadata: Any) -> Any:
        if '"iteration":6' in metadata["state"]:
            raise OSError(28, "No space left on device")
        return write(tensors, metadata)

    monkeypatch.setattr(checkpoint, "save", full_later)
    assert work(folder.path) == 1
    event = last_event(folder)
    assert isinstance(event, RunFailed)
    assert event.code == Code.DISK_FULL
    assert "disk is full" in event.message
    assert "disk is full" in capsys.readouterr().err
    assert final_state(folder)["place"]["iteration"] == 3
    monkeypatch.undo()
    assert work(folder.path) == 0
    assert isinstance(last_event(folder), Finished)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="permissions do not bind the superuser")
def test_a_read_only_folder_ends_in_a_sentence(photos: Path, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o555)
    with pytest.raises(PellucidError, match="cannot be written"):
        RunFolder(closed / "run").create(tiny_config(photos))


def test_a_file_where_the_run_should_be_ends_in_a_sentence(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(PellucidError, match="cannot be written"):
        RunFolder(tmp_path / "file" / "run").create(tiny_config(photos))


def test_a_damaged_newest_checkpoint_is_told_and_an_older_one_used(photos: Path, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.create(tiny_config(photos, stages=[StageConfig(iterations=12)]))
    train(folder, 7)
    newest = folder.checkpoint_files()[0]
    newest.write_bytes(newest.read_bytes()[:-10])
    heard: list[Event] = []
    assert work(folder.path, heard.append) == 0
    start = next(event for event in heard if isinstance(event, RunStarted))
    assert start.resumed
    assert start.iteration == 6
    assert any("An older one is used" in str(event) for event in heard)


def test_a_run_whose_checkpoints_are_all_damaged_stops_and_keeps_everything(photos: Path, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.create(tiny_config(photos, stages=[StageConfig(iterations=12)]))
    train(folder, 7)
    for path in folder.checkpoint_files():
        path.write_bytes(path.read_bytes()[:-10])
    before = {path: path.read_bytes() for path in (*folder.checkpoint_files(), *folder.models.iterdir())}
    assert work(folder.path) == 1
    assert isinstance(last_event(folder), RunFailed)
    assert {path: path.read_bytes() for path in before} == before


def test_a_run_whose_folders_were_removed_begins_again(photos: Path, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.create(tiny_config(photos, stages=[StageConfig(iterations=4)]))
    for path in (folder.checkpoints, folder.models, folder.previews):
        path.rmdir()
    assert work(folder.path) == 0
    assert isinstance(last_event(folder), Finished)


def test_a_damaged_best_checkpoint_does_not_stop_the_next_stage(photos: Path, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    stages = [StageConfig(iterations=6, hand_over="best"), StageConfig(iterations=3)]
    config = tiny_config(photos, stages=stages)
    folder.create(msgspec.structs.replace(config, validation=msgspec.structs.replace(config.validation, every=2)))
    train(folder, 5)
    folder.best_checkpoint(0).write_bytes(b"")
    # The score to beat stays that of the lost file, so it is not written again.
    heard: list[Event] = []
    assert work(folder.path, heard.append) == 0
    assert isinstance(last_event(folder), Finished)


def test_missing_pictures_end_in_a_sentence_in_the_events(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.create(tiny_config(tmp_path / "absent"))
    assert work(folder.path) == 1
    event = last_event(folder)
    assert isinstance(event, RunFailed)
    assert "absent" in event.message


def test_a_stage_that_is_over_holds_no_memory_in_the_next(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alive: list[int] = []
    seen: list[weakref.ref[torch.nn.Module]] = []

    class Step(steps.PsnrStep):
        def __init__(self, *words: Any) -> None:
            super().__init__(*words)
            seen.append(weakref.ref(self.generator))

        def run(self, target: torch.Tensor, damaged: torch.Tensor) -> steps.StepResult:
            alive.append(sum(reference() is not None for reference in seen))
            return super().run(target, damaged)

    monkeypatch.setattr(steps, "PsnrStep", Step)
    folder = RunFolder(tmp_path / "run")
    folder.create(tiny_config(photos, stages=[StageConfig(iterations=2)] * 3))
    assert train(folder) == "finished"
    assert alive == [1] * 6

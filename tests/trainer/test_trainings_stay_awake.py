"""A training keeps the computer awake while it trains, and lets it sleep while it is paused and when it has ended."""

from __future__ import annotations

import sys
import threading
from functools import partial
from pathlib import Path

import pytest

from engine.awake import Awake
from engine.wire_training import Paused, StageConfig
from tests.trainer.tiny import tiny_config
from tests.wakeful_desk import Desk, desk, on_linux, until
from trainer.rundir import RunFolder
from trainer.train import Training, Wishes

__all__ = ["desk", "on_linux"]


@pytest.mark.timeout(60)
@pytest.mark.skipif(sys.platform == "win32", reason="its programs are scripts")
@pytest.mark.usefixtures("on_linux")
def test_a_training_is_held_awake_but_not_while_it_is_paused(
    desk: Desk, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainer.train.Awake", partial(Awake, patience=0.0))
    desk.put_inhibitor("systemd-inhibit")
    folder = RunFolder(tmp_path / "run")
    folder.create(tiny_config(photos, stages=[StageConfig(iterations=100000)]))
    wishes, paused = Wishes(), threading.Event()
    outcomes: list[str] = []

    def report(event: object) -> None:
        if isinstance(event, Paused):
            paused.set()

    training = Training(folder, folder.config(), report, wishes)
    thread = threading.Thread(target=lambda: outcomes.append(training.run()), daemon=True)
    thread.start()
    until(lambda: desk.held)
    wishes.pause = True
    assert paused.wait(20)
    until(lambda: not desk.held)
    wishes.pause = False
    until(lambda: desk.held)
    wishes.stop = "Enough."
    thread.join(20)
    assert outcomes == ["stopped"]
    assert not desk.held

"""From the first page of the wizard to a blend of two trained models, by keyboard alone, through every kill."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from engine import wire_training as training
from tests.gui.desktop import TOOLS, Desktop

missing = [tool for tool in TOOLS if shutil.which(tool) is None]
pytestmark = [
    pytest.mark.x11,
    pytest.mark.slow,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}"),
]
LONG = 400.0
ITERATIONS = 120


@pytest.fixture
def desktop(tmp_path: Path) -> Iterator[Desktop]:
    made = Desktop(tmp_path)
    made.really()
    yield made
    made.close()


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    dice = np.random.default_rng(3)
    for number in range(6):
        coarse = dice.integers(0, 255, (12, 12, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((192, 192), Image.Resampling.BICUBIC).save(folder / f"{number}.png")
    return folder


def run_of(state: dict[str, object]) -> dict[str, Any]:
    return state["run"]


def wizard(state: dict[str, object]) -> dict[str, Any]:
    return state["train"]


def trainer_pid(folder: Path) -> int:
    return training.decode_lock((folder / training.LOCK_FILE).read_bytes()).pid


def test_a_model_is_trained_killed_continued_used_made_vivid_and_blended(
    desktop: Desktop, photographs: Path, tmp_path: Path
) -> None:
    desktop.start()
    desktop.do("key", "ctrl+3")
    desktop.wait(lambda state: state["page"] == 2)
    desktop.tab_to("Photographs of every kind")
    for _step in range(3):  # "My own pictures" is passed over: there is no model to start from.
        desktop.do("key", "Down")
    desktop.wait(lambda state: wizard(state)["purpose"] == 4)
    desktop.do("key", "alt+n")
    desktop.wait(lambda state: wizard(state)["step"] == 1)
    desktop.do("key", "alt+a")
    desktop.wait(lambda state: state["dialog"] == "QFileDialog")
    desktop.type(str(photographs))
    desktop.do("key", "Return")
    desktop.wait(
        lambda state: wizard(state)["folders"] == [str(photographs)] and "6 pictures" in wizard(state)["check"]
    )
    desktop.do("key", "alt+n")
    desktop.wait(lambda state: wizard(state)["step"] == 2 and wizard(state)["sheet"], LONG)
    desktop.do("key", "alt+n")
    desktop.wait(lambda state: wizard(state)["step"] == 3)
    for key, number in (("i", ITERATIONS), ("p", 2), ("c", 32)):
        desktop.do("key", f"alt+{key}")
        desktop.do("key", "ctrl+a")
        desktop.type(str(number))
        desktop.do("key", "Tab")
    desktop.wait(lambda state: wizard(state)["numbers"] == [ITERATIONS, 2, 32])
    desktop.wait(lambda state: "About" in wizard(state)["estimate"], LONG)
    desktop.do("key", "alt+s")

    # The run page is there by itself and lives.
    state = desktop.wait(lambda state: state["page"] == 3 and run_of(state)["status"] == "running", LONG)
    folder = Path(run_of(state)["runs"][0])
    state = desktop.wait(lambda state: run_of(state)["points"] >= 2, LONG)
    assert run_of(state)["name"] == "quick-try"

    # The window is killed; the training goes on, and a new window finds it.
    assert desktop.program is not None
    desktop.program.kill()
    desktop.program.wait(5)
    desktop.state_file.unlink()
    assert os.kill(trainer_pid(folder), 0) is None
    points = run_of(state)["points"]
    desktop.start()
    desktop.do("key", "ctrl+4")
    state = desktop.wait(lambda state: run_of(state)["status"] == "running" and run_of(state)["points"] > points, LONG)

    # Saved, then killed itself: the page says so, and goes on from there.
    begun = set((folder / training.CHECKPOINTS_FOLDER).glob("*.safetensors"))
    desktop.do("key", "alt+v")
    desktop.wait(lambda _state: bool(set((folder / training.CHECKPOINTS_FOLDER).glob("*.safetensors")) - begun), LONG)
    os.kill(trainer_pid(folder), signal.SIGKILL)
    desktop.wait(lambda state: run_of(state)["status"] == "crashed" and "Continue" in run_of(state)["pause"], LONG)
    desktop.do("key", "alt+c")
    desktop.wait(lambda state: run_of(state)["status"] == "running", LONG)
    state = desktop.wait(lambda state: run_of(state)["status"] == "finished", LONG)
    assert run_of(state)["iteration"] == ITERATIONS
    assert run_of(state)["previews"] > 0

    # Use this model.
    desktop.do("key", "alt+u")
    state = desktop.wait(lambda state: state["page"] == 0 and state["model"] == "quick-try", LONG)
    assert "quick-try" in state["models"]

    # Continue as GAN: the first entry of the menu, a small dialog, another run.
    desktop.do("key", "ctrl+4")
    desktop.wait(lambda state: state["page"] == 3 and run_of(state)["enabled"] == [True, False])
    desktop.do("key", "alt+m")
    desktop.do("key", "Down")
    desktop.do("key", "Return")
    desktop.wait(lambda state: state["dialog"] == "VividDialog")
    desktop.do("key", "alt+i")
    desktop.do("key", "ctrl+a")
    desktop.type("6")
    desktop.do("key", "Return")
    desktop.wait(
        lambda state: run_of(state)["name"] == "quick-try-vivid" and run_of(state)["status"] == "finished", LONG
    )

    # Blend the pair: the restore page with both ends of the slider.
    desktop.wait(lambda state: run_of(state)["enabled"] == [False, True])
    desktop.do("key", "alt+m")
    desktop.do("key", "Down")
    desktop.do("key", "Return")
    state = desktop.wait(lambda state: state["page"] == 0 and state["partner"] == "quick-try-vivid", LONG)
    assert state["model"] == "quick-try"
    desktop.do("key", "ctrl+q")
    assert desktop.program is not None
    assert desktop.program.wait(20) == 0

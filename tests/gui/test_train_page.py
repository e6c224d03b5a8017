"""The wizard: what it asks the command line for, damage by sliders, unfit pictures set aside, a vivid partner."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QRectF
from PySide6.QtWidgets import QApplication, QLabel, QPushButton
from pytestqt.qtbot import QtBot

from engine import wire_training as training
from gui import theme
from gui.pages.train import ADAPT, TrainPage, free_folder
from gui.set_aside import put_back, set_aside
from gui.state.library import Model
from gui.state.recipe import Amounts, adjusted, as_toml, present
from gui.state.run import Saved
from gui.vivid import pair_of, vivid_config

WAIT = 20000
pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints")
"""The offscreen platform says so of every page that is shown on its own."""


@pytest.fixture
def page(qtbot: QtBot, tmp_path: Path, fake: Callable[[str], list[str]]) -> TrainPage:
    made = TrainPage(tmp_path / "runs", program=fake("command"))
    qtbot.addWidget(made)
    made.resize(1100, 760)
    made.show()
    return made


def bundled_recipe(name: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "gui", "degrade", "--recipe", name, "--print", "--json"], capture_output=True, check=True
    )
    return dict(json.loads(done.stdout)["recipe"])


def numbers(value: object) -> list[float]:
    if isinstance(value, list):
        return [number for inner in value for number in numbers(inner)]
    return [float(value)] if isinstance(value, int | float) else []


def test_every_purpose_names_a_preset_that_exists(page: TrainPage) -> None:
    page.set_models((Model(name="m", path="/m.safetensors", architecture="compact"),))
    for number in range(6):
        page.purposes.button(number).setChecked(True)
        assert (training.presets_folder() / f"{page.preset()}.toml").is_file()
    assert page.paper_box.isEnabled()
    papers = [page.paper_box.itemData(row) for row in range(page.paper_box.count())]
    assert {preset[:2] for preset in papers} == {"s0", "s1", "s2", "s3", "s4"}


def test_the_words_stand_beside_the_middle_of_their_fields(page: TrainPage, qapp: QApplication) -> None:
    theme.apply(qapp, "light")
    page._show_step(3)
    qapp.processEvents()
    labels = [label for label in page.findChildren(QLabel) if label.isVisible() and label.buddy() is not None]
    assert len(labels) >= 4
    for label in labels:
        assert abs(label.geometry().center().y() - label.buddy().geometry().center().y()) <= 1, label.text()


def test_my_own_pictures_start_from_a_finished_model_and_say_so_when_there_is_none(page: TrainPage) -> None:
    button = page.purposes.button(ADAPT)
    assert not button.isEnabled()
    page.set_models((Model(name="gan", path="/g", architecture="compact", role="gan"), Model(name="other", path="/o")))
    assert not button.isEnabled()
    page.set_models((Model(name="m", path="/ü m.safetensors", architecture="compact", role="psnr"),))
    button.setChecked(True)
    command = page.command()
    assert 'model.start="/ü m.safetensors"' in command
    page.set_models(())
    assert not button.isEnabled()
    assert page.purposes.checkedId() == 0


def test_unfit_pictures_are_set_aside_by_a_button_and_put_back(qtbot: QtBot, page: TrainPage, tmp_path: Path) -> None:
    folder = tmp_path / "my pictures"
    folder.mkdir()
    for name in ("good.png", "dup.png", "bad.png"):
        (folder / name).write_bytes(name.encode())
    page._show_step(1)
    assert not page.next_button.isEnabled()
    page.add_folder(str(folder))
    qtbot.waitUntil(lambda: len(page.findChildren(QPushButton, "")) > 0 and bool(page._findings), timeout=WAIT)
    assert [finding.kind for finding in page._findings[str(folder)]] == ["unreadable", "duplicate"]
    assert "Repair" in page._check_state.text()
    assert "few" not in page._check_state.text(), "one thing at a time"
    buttons = [b for b in page.findChildren(QPushButton) if b.accessibleName() == "Set aside: Unreadable files"]
    buttons[0].click()
    assert sorted(p.name for p in folder.iterdir()) == ["dup.png", "good.png"]
    assert (tmp_path / "my pictures (set aside)" / "bad.png").read_bytes() == b"bad.png"
    qtbot.waitUntil(lambda: [f.kind for f in page._findings[str(folder)]] == ["duplicate"], timeout=WAIT)
    assert "That is little" in page._check_state.text()
    assert page.put_back_button.isVisible()
    page.put_back_button.click()
    assert (folder / "bad.png").read_bytes() == b"bad.png"
    assert not (tmp_path / "my pictures (set aside)").exists()


def test_pictures_are_checked_for_the_training_that_was_chosen(
    page: TrainPage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its crop with context, its scale, its validation folders: the doctor takes them from the preset."""
    asked: list[list[str]] = []
    monkeypatch.setattr(page, "_run", lambda task, words, done: asked.append(words))
    page._show_step(1)
    page.add_folder(str(tmp_path))
    page._show_step(0)
    page._show_step(1)
    assert asked == [["dataset", "check", str(tmp_path), "--for", "my-photos"]]
    page._show_step(0)
    page.purposes.button(2).setChecked(True)
    page._show_step(1)
    assert asked[1:] == [["dataset", "check", str(tmp_path), "--for", "my-faces"]]


def test_files_elsewhere_are_never_moved_and_nothing_is_overwritten(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "a", tmp_path / "elsewhere.png"
    (folder / "deep").mkdir(parents=True)
    elsewhere.write_bytes(b"e")
    first = folder / "deep" / "x.png"
    moves = ()
    for content in (b"1", b"2"):
        first.write_bytes(content)
        moves += set_aside(folder, [str(first), str(first), str(elsewhere)])
    assert elsewhere.exists()
    aside = tmp_path / "a (set aside)" / "deep"
    assert {path.read_bytes() for path in aside.iterdir()} == {b"1", b"2"}
    first.write_bytes(b"new")
    put_back(moves)
    assert first.read_bytes() == b"new"


@pytest.mark.parametrize("name", ["real-esrgan", "bsrgan", "blind-face-first-order", "bicubic"])
def test_changed_recipes_are_read_by_the_engine(name: str, tmp_path: Path) -> None:
    recipe = bundled_recipe(name)
    assert adjusted(recipe, Amounts()) is recipe
    for amounts in (Amounts(0, 0, 0), Amounts(2, 2, 2), Amounts(0.5, 1.3, 0.7)):
        path = tmp_path / f"{amounts.blur}.toml"
        path.write_text(as_toml(adjusted(recipe, amounts)), "utf-8")
        done = subprocess.run(
            [sys.executable, "-m", "gui", "degrade", "--recipe", str(path), "--print", "--json"], capture_output=True
        )
        assert done.returncode == 0, done.stdout


def test_sliders_multiply_what_the_recipe_says() -> None:
    recipe = {
        "name": "r",
        "stages": [
            {"kind": "blur", "sigma": [0.2, 3.0], "choices": [{"shape": "sinc", "cutoff": [1, 2]}]},
            {"kind": "shuffle", "stages": [{"kind": "jpeg", "quality": [30, 95]}]},
            {"kind": "noise", "choices": [{"type": "gaussian", "sigma": {"between": [1, 30], "spread": "log"}}]},
        ],
    }
    made = adjusted(recipe, Amounts(blur=2.0, noise=0.5, jpeg=2.0))
    assert made["stages"][0]["sigma"] == [0.4, 6.0]
    assert made["stages"][0]["choices"] == recipe["stages"][0]["choices"]
    assert made["stages"][1]["stages"][0]["quality"] == [5, 90]
    assert made["stages"][2]["choices"][0]["sigma"] == {"between": [0.5, 15.0], "spread": "log"}
    assert present(recipe) == {"blur", "noise", "jpeg"}
    assert tomllib.loads(as_toml(made)) == made


def test_moved_sliders_reach_samples_and_training(
    qtbot: QtBot, page: TrainPage, tmp_path: Path, pictures: list[str]
) -> None:
    page.add_folder(str(Path(pictures[0]).parent))
    page._show_step(2)
    qtbot.waitUntil(lambda: not page.samples.is_empty(), timeout=WAIT)
    assert "data.recipe" in " ".join(page.command())
    assert page.recipe(tmp_path) == page.recipe_box.currentData()
    first = page.samples.sheet().toImage()
    page.amount_sliders["noise"].setValue(200)
    qtbot.waitUntil(lambda: page.samples.sheet().toImage() != first, timeout=WAIT)
    (setting,) = [word for word in page.command() if word.startswith("data.recipe=")]
    path = Path(json.loads(setting.partition("=")[2]))
    assert path.parent == tmp_path / "runs" / "recipes"
    sigma = tomllib.loads(path.read_text("utf-8"))["stages"][0]["choices"][0]["sigma"]
    assert numbers(sigma) == [2.0, 60.0]


def test_the_last_step_measures_by_itself_and_shows_the_whole_configuration(
    qtbot: QtBot, page: TrainPage, pictures: list[str]
) -> None:
    page.add_folder(str(Path(pictures[0]).parent))
    for step in (2, 3):
        page._show_step(step)
    qtbot.waitUntil(lambda: "GB" in page._estimate.text(), timeout=WAIT)
    assert "crop = 128" in page.config_text.toPlainText()
    page.crop_number.setValue(64)
    qtbot.waitUntil(lambda: "crop = 64" in page.config_text.toPlainText(), timeout=WAIT)


def test_two_trainings_of_one_name_get_two_folders(tmp_path: Path) -> None:
    assert free_folder(tmp_path, "a b/c") == tmp_path / "a-b-c"
    (tmp_path / "a-b-c").mkdir()
    assert free_folder(tmp_path, "a b/c") == tmp_path / "a-b-c-2"
    assert free_folder(tmp_path, "...").name == "training"


def a_run(folder: Path, config: training.TrainingConfig) -> Path:
    folder.mkdir(parents=True)
    (folder / training.CONFIG_FILE).write_text(training.format_config(config))
    return folder


def test_a_vivid_partner_starts_from_the_model_with_its_data_and_a_gan_stage(tmp_path: Path) -> None:
    text = (training.presets_folder() / "quick-try.toml").read_text("utf-8")
    folder = a_run(tmp_path / "run", training.parse_config(text, "quick-try"))
    config = vivid_config(folder, tmp_path / "m.safetensors", "run-vivid", 123, "")
    (stage,) = config.stages
    assert (config.model.start, stage.iterations) == (str(tmp_path / "m.safetensors"), 123)
    assert stage.gan is not None
    assert [loss.kind for loss in stage.losses] == ["l1"]
    assert config.data.recipe == "bicubic"
    weighted = vivid_config(folder, tmp_path / "m.safetensors", "run-vivid", 123, "/vgg.pth")
    assert [(loss.kind, loss.weights_file) for loss in weighted.stages[0].losses] == [
        ("l1", ""),
        ("perceptual", "/vgg.pth"),
    ]


def test_the_pair_of_a_run_is_known_whether_it_has_two_stages_or_a_start(tmp_path: Path) -> None:
    text = (training.presets_folder() / "quick-try.toml").read_text("utf-8")
    plain = a_run(tmp_path / "plain", training.parse_config(text, "x"))
    start = tmp_path / "start.safetensors"
    start.touch()
    gan = a_run(tmp_path / "gan", vivid_config(plain, start, "v", 9, ""))
    assert pair_of(plain, (Saved("models/a", "last", 0),)) is None
    assert pair_of(gan, ()) is None
    assert pair_of(gan, (Saved("models/v", "last", 0),)) == (start, gan / "models/v")
    start.unlink()
    assert pair_of(gan, (Saved("models/v", "last", 0),)) is None
    assert pair_of(tmp_path / "nowhere", (Saved("m", "last", 0),)) is None
    tree = (training.presets_folder() / "my-photos-gan.toml").read_text("utf-8")
    both = a_run(tmp_path / "both", training.parse_config(tree.replace('"vgg16"', '"vgg16"\nweights_file = "w"'), "y"))
    (both / "models").mkdir()
    (both / "models" / "p").touch()
    saved = (Saved("models/p-best", "best", 0), Saved("models/p", "stage", 0))
    assert pair_of(both, saved) is None
    assert pair_of(both, (*saved, Saved("models/g", "best", 1))) == (both / "models/p", both / "models/g")


def test_the_samples_use_the_room_there_is(qtbot: QtBot, page: TrainPage, pictures: list[str]) -> None:
    page.add_folder(str(Path(pictures[0]).parent))
    page._show_step(2)
    qtbot.waitUntil(lambda: not page.samples.is_empty(), timeout=WAIT)
    heights = []
    for size in ((1100, 760), (900, 620), (900, 1300), (1800, 620)):
        page.resize(*size)
        qtbot.wait(50)
        cells = page.samples.cells()
        room = QRectF(page.samples.rect())
        assert len(cells) == 12
        assert all(room.contains(cell) for cell in cells)
        pairs = itertools.combinations(cells, 2)
        assert not any(one.intersects(other) for one, other in pairs)
        rows = len({cell.top() for cell in cells})
        heights.append((rows, cells[0].height()))
        assert not page.samples.grab().isNull()
    assert heights[2][0] > heights[0][0] > heights[3][0], "tall rooms have more rows"
    assert heights[0][1] > heights[1][1]
    page.samples.say("none")
    assert page.samples.is_empty() and page.samples.text() == "none"

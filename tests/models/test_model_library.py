"""The library: models come in, are found, renamed, removed; lists read headers only."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch

from engine.errors import Code, PellucidError
from engine.models import library
from engine.models.arch.compact import COMPACT, CompactArgs
from engine.models.arch.rrdbnet import RRDBNET, RrdbNetArgs
from engine.models.card import Score
from engine.models.files import read_model, weights_hash, write_model
from engine.models.model import Model


def test_an_empty_library_still_has_the_classical_models(library_folder: Path) -> None:
    assert [entry.card.name for entry in library.list_models()] == ["bicubic", "lanczos"]
    assert library.default_model().card.name == "lanczos"
    assert not library_folder.exists()


def test_an_imported_model_is_listed_found_renamed_and_removed(
    library_folder: Path, make_model: Any, tmp_path: Path
) -> None:
    write_model(make_model("first"), tmp_path / "given.safetensors")
    entry = library.import_model(tmp_path / "given.safetensors")
    assert entry.card.name == "first"
    assert (library_folder / "first.safetensors").is_file()
    assert library.find_model("FIRST").card == entry.card
    assert library.find_by_hash(entry.weights_hash) == library.find_entry("first")

    renamed = library.rename("first", "Zweites 模型")
    assert renamed.card.name == "Zweites 模型"
    assert [path.name for path in library_folder.iterdir()] == ["Zweites 模型.safetensors"]
    assert library.find_model("zweites 模型").card.name == "Zweites 模型"
    again = library.rename("Zweites 模型", "ZWEITES 模型")
    assert [path.name for path in library_folder.iterdir()] == ["ZWEITES 模型.safetensors"]
    assert read_model(library_folder / "ZWEITES 模型.safetensors").card == again.card

    library.remove("zweites 模型")
    assert list(library_folder.iterdir()) == []
    with pytest.raises(PellucidError) as caught:
        library.find_model("Zweites 模型")
    assert caught.value.code is Code.MODEL_MISSING
    assert (tmp_path / "given.safetensors").is_file()


def test_a_checkpoint_becomes_a_file_of_ours_under_the_name_asked_for(
    library_folder: Path, make_model: Any, tmp_path: Path
) -> None:
    model = make_model()
    torch.save({name: torch.from_numpy(value) for name, value in model.weights.items()}, tmp_path / "x2 net.pth")
    assert library.import_model(tmp_path / "x2 net.pth").card.name == "x2 net"
    assert library.import_model(tmp_path / "x2 net.pth", "other").card.name == "other"
    assert weights_hash(library.find_model("other").weights) == weights_hash(model.weights)


def test_a_name_is_never_given_twice(library_folder: Path, make_model: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    write_model(make_model("same"), path)
    library.import_model(path)
    before = (library_folder / "same.safetensors").read_bytes()
    for taken in ("same", "SAME", "lanczos"):
        with pytest.raises(PellucidError, match="already a model"):
            library.import_model(path, taken)
    library.import_model(path, "second")
    with pytest.raises(PellucidError, match="already a model"):
        library.rename("second", "Same")
    assert (library_folder / "same.safetensors").read_bytes() == before


def test_what_comes_with_the_program_stays(library_folder: Path, make_model: Any, tmp_path: Path) -> None:
    write_model(make_model("photo-compact"), tmp_path / "bundled" / "photo-compact.safetensors")
    for name in ("photo-compact", "bicubic"):
        for change in (lambda name=name: library.remove(name), lambda name=name: library.rename(name, "mine")):
            with pytest.raises(PellucidError, match="comes with the program"):
                change()
    assert library.find_model("photo-compact").card.name == "photo-compact"


@pytest.mark.parametrize("name", ["../outside", "a/b", "", "nul\0", "~/x/y"])
def test_no_name_leads_out_of_the_library(name: str, library_folder: Path, make_model: Any, tmp_path: Path) -> None:
    write_model(make_model("first"), tmp_path / "a.safetensors")
    with pytest.raises(PellucidError):
        library.import_model(tmp_path / "a.safetensors", name)
    library.import_model(tmp_path / "a.safetensors")
    with pytest.raises(PellucidError):
        library.rename("first", name)
    assert [path.name for path in library_folder.iterdir()] == ["first.safetensors"]


def test_the_default_is_the_preferred_model_then_measured_then_fast_ones(
    library_folder: Path, make_model: Any, tmp_path: Path
) -> None:
    def add(name: str, **change: Any) -> None:
        architecture = change.pop("architecture", None)
        model = make_model(name, *(architecture or ()), seed=len(name))
        write_model(
            Model(msgspec.structs.replace(model.card, **change), model.weights), library_folder / f"{name}.safetensors"
        )

    add("slow", architecture=(RRDBNET, RrdbNetArgs(features=8, growth=4, blocks=2)))
    assert library.default_model().card.name == "slow"
    add("fast")
    assert library.default_model().card.name == "fast"
    add("measured", architecture=(RRDBNET, RrdbNetArgs(8, 4, 2)), scores=[Score("psnr", "Set5", 30.0, "y")])
    assert library.default_model().card.name == "measured"
    add("photo-compact")
    assert library.default_model().card.name == "photo-compact"


def test_a_model_of_another_program_is_never_the_default(library_folder: Path, make_model: Any) -> None:
    model = make_model("strange")
    card = msgspec.structs.replace(model.card, architecture="foreign", arguments={})
    write_model(Model(card, model.weights), library_folder / "strange.safetensors")
    assert library.default_model().card.name == "lanczos"


def test_a_damaged_file_in_the_folder_is_named_and_hides_nothing(library_folder: Path, make_model: Any) -> None:
    write_model(make_model("good"), library_folder / "good.safetensors")
    (library_folder / "bad.safetensors").write_bytes(b"\xff" * 100)
    (library_folder / "notes.txt").write_text("hello")
    (library_folder / ".0123.tmp").write_text("left by a crash")
    (library_folder / "folder.safetensors").mkdir()
    assert [entry.card.name for entry in library.list_models()] == ["good", "bicubic", "lanczos"]
    problems = library.list_unreadable()
    assert sorted(problem.path.name for problem in problems) == ["bad.safetensors", "folder.safetensors"]
    assert all(problem.path.name in problem.problem for problem in problems)


def test_a_path_finds_a_model_without_the_library(library_folder: Path, make_model: Any, tmp_path: Path) -> None:
    path = tmp_path / "somewhere" / "a.safetensors"
    write_model(make_model("elsewhere"), path)
    assert library.find_model(path).card.name == "elsewhere"
    assert library.find_model(str(path)).card.name == "elsewhere"


def test_a_misspelt_name_is_answered_with_the_nearest(library_folder: Path) -> None:
    with pytest.raises(PellucidError, match='Did you mean "lanczos"'):
        library.find_model("lanzcos")


def test_fifty_large_models_are_listed_in_a_moment(library_folder: Path) -> None:
    """Headers only: fifty files of an RRDBNet's 700 tensors and 67 MB each (holes here) in under 50 ms."""
    from engine.models.files import CARD_KEY, make_card

    args = RrdbNetArgs()
    header: dict[str, Any] = {}
    position = 0
    for name, shape in RRDBNET.parameter_shapes(args).items():
        size = 4 * int(np.prod(shape))
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [position, position + size]}
        position += size
    library_folder.mkdir(parents=True)
    for number in range(50):
        card = msgspec.json.encode(make_card(f"model {number}", RRDBNET, args)).decode()
        text = msgspec.json.encode({"__metadata__": {CARD_KEY: card}, **header})
        with (library_folder / f"{number}.safetensors").open("wb") as file:
            file.write(len(text).to_bytes(8, "little") + text)
            file.truncate(8 + len(text) + position)
    library.list_models()
    took = []
    for _ in range(5):
        start = time.process_time()
        assert len(library.list_models()) == 52
        took.append(time.process_time() - start)
    assert min(took) < 0.05


def test_a_model_is_listed_before_those_whose_names_begin_with_its_own() -> None:
    names = [entry.card.name for entry in library.list_models()]
    assert names.index("photo-compact") < names.index("photo-compact-vivid")


@pytest.mark.parametrize("name", ["photo-compact", "photo-compact-vivid", "face-compact", "face-compact-vivid"])
def test_the_models_that_come_along_leave_flat_areas_flat(name: str) -> None:
    model = library.find_model(name)
    args = CompactArgs(**model.card.arguments)
    reach = COMPACT.receptive_radius(args)
    assert reach is not None
    network = COMPACT.torch_module(args)
    network.load_state_dict({key: torch.from_numpy(np.array(value)) for key, value in model.weights.items()})
    colours = torch.from_numpy(np.random.default_rng(2).random((24, 3)).astype(np.float32).round(1))
    with torch.no_grad():
        enlarged = network(colours[:, :, None, None].expand(-1, -1, 2 * reach + 8, 2 * reach + 8)) * 255
    inner = enlarged[:, :, 4 * reach : -4 * reach, 4 * reach : -4 * reach]
    assert float((inner.amax((2, 3)) - inner.amin((2, 3))).max()) < 0.5
    assert float((inner.mean((2, 3)) - colours * 255).abs().median()) < 1.5


def test_a_model_may_take_the_place_of_the_users_own_but_not_of_one_that_comes_along(
    library_folder: Path, make_model: Any, tmp_path: Path
) -> None:
    first, second = make_model("mine", seed=1), make_model("mine", seed=2)
    write_model(first, tmp_path / "first.safetensors")
    write_model(second, tmp_path / "second.safetensors")
    library.import_model(tmp_path / "first.safetensors", "mine")
    with pytest.raises(PellucidError, match='already a model "mine"'):
        library.import_model(tmp_path / "second.safetensors", "mine")
    entry = library.import_model(tmp_path / "second.safetensors", "mine", replace=True)
    assert weights_hash(library.find_model("mine").weights) == entry.weights_hash == weights_hash(second.weights)
    assert [path.name for path in library_folder.iterdir()] == ["mine.safetensors"]
    with pytest.raises(PellucidError, match="cannot be replaced"):
        library.import_model(tmp_path / "second.safetensors", "bicubic", replace=True)

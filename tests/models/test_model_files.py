"""Model files: what is written comes back, other programs read it, and nothing half-written is left."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import safetensors
import safetensors.numpy

from engine.errors import Code, PellucidError
from engine.models.arch.srresnet import SRRESNET, SrResNetArgs
from engine.models.arch.swinir import SWINIR, SwinIrArgs
from engine.models.card import Score
from engine.models.files import (
    check_name,
    read_card,
    read_header,
    read_model,
    read_tensors,
    weights_hash,
    write_model,
)
from engine.models.model import Model


def test_a_model_comes_back_with_its_card_and_every_value(tmp_path: Path, make_model: Any) -> None:
    score = Score("psnr", "Set5", 31.5, "y")
    model = make_model(
        "Пейзаж 山 №1", licence="CC0", scores=[score], halo=7, attribution=["Ada"], role="psnr", partner="ab"
    )
    path = tmp_path / "modèle 模型 #1 100%.safetensors"
    write_model(model, path)
    again = read_model(path)
    assert again.card == model.card
    assert again.path == path
    assert list(again.weights) and set(again.weights) == set(model.weights)
    for name, value in model.weights.items():
        assert again.weights[name].dtype == np.float32
        assert np.array_equal(again.weights[name], value)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_the_safetensors_package_reads_what_we_write(tmp_path: Path, make_model: Any) -> None:
    model = make_model()
    write_model(model, tmp_path / "a.safetensors")
    theirs = safetensors.numpy.load_file(tmp_path / "a.safetensors")
    assert {name: value.tolist() for name, value in theirs.items()} == {
        name: value.tolist() for name, value in model.weights.items()
    }
    with safetensors.safe_open(tmp_path / "a.safetensors", "numpy") as file:
        assert msgspec.json.decode(file.metadata()["pellucid"])["name"] == "tiny"


def test_we_read_what_the_safetensors_package_writes(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    tensors = {
        "float": random.standard_normal((2, 3)).astype(np.float32),
        "half": random.standard_normal(5).astype(np.float16),
        "double": random.standard_normal((1, 2, 1)),
        "whole": np.arange(7),
        "flag": np.array([True, False]),
        "empty": np.zeros((0, 4), np.float32),
        "one": np.array(3.5, np.float32),
    }
    safetensors.numpy.save_file(tensors, tmp_path / "a.safetensors")
    ours = read_tensors(tmp_path / "a.safetensors", read_header(tmp_path / "a.safetensors"))
    assert set(ours) == set(tensors)
    for name, value in tensors.items():
        assert ours[name].shape == value.shape
        assert np.array_equal(ours[name], value.astype(np.float32) if value.dtype.kind == "f" else value)


def test_half_precision_halves_the_file_and_loads_as_float32(tmp_path: Path, make_model: Any) -> None:
    model = make_model()
    write_model(model, tmp_path / "full.safetensors")
    write_model(model, tmp_path / "half.safetensors", precision="fp16")
    assert (tmp_path / "half.safetensors").stat().st_size < (tmp_path / "full.safetensors").stat().st_size
    half = read_model(tmp_path / "half.safetensors")
    for name, value in model.weights.items():
        assert half.weights[name].dtype == np.float32
        assert np.array_equal(half.weights[name], value.astype(np.float16).astype(np.float32))


def test_what_half_precision_cannot_hold_is_refused(tmp_path: Path, make_model: Any) -> None:
    model = make_model()
    huge = {**model.weights, "body.0.bias": np.full(8, 1e6, np.float32)}
    with pytest.raises(PellucidError, match="fp16 cannot hold"):
        write_model(Model(model.card, huge), tmp_path / "a.safetensors", precision="fp16")
    assert list(tmp_path.iterdir()) == []


def test_the_card_is_read_without_the_weights_and_knows_their_hash(tmp_path: Path, make_model: Any) -> None:
    model = make_model()
    path = tmp_path / "a.safetensors"
    write_model(model, path)
    card, digest = read_card(path)
    assert card == model.card
    assert digest == weights_hash(model.weights) == weights_hash(read_model(path).weights)


def test_the_hash_names_the_weights_and_nothing_else(make_model: Any) -> None:
    weights = make_model().weights
    backwards = dict(reversed(weights.items()))
    assert weights_hash(weights) == weights_hash(backwards)
    assert weights_hash(weights) != weights_hash(make_model(seed=1).weights)
    flat = {name: value.reshape(-1) for name, value in weights.items()}
    assert weights_hash(weights) != weights_hash(flat)
    renamed = {name.upper(): value for name, value in weights.items()}
    assert weights_hash(weights) != weights_hash(renamed)
    by_hand = hashlib.sha256(b"a\x002,1\x00" + np.array([1.5, -2], "<f4").tobytes()).hexdigest()
    assert weights_hash({"a": np.array([[1.5], [-2]], np.float32)}) == by_hand


def test_swinir_carries_the_tables_that_others_want_and_reads_back_without_them(
    tmp_path: Path, make_model: Any
) -> None:
    model = make_model("swin", SWINIR, SwinIrArgs(embed=12, depths=(2,), heads=(2,), mlp_hidden=8))
    write_model(model, tmp_path / "a.safetensors")
    names = set(safetensors.numpy.load_file(tmp_path / "a.safetensors"))
    assert "layers.0.residual_group.blocks.1.attn_mask" in names
    assert "layers.0.residual_group.blocks.0.attn.relative_position_index" in names
    assert set(read_model(tmp_path / "a.safetensors").weights) == set(model.weights)


def test_a_net_with_normalisation_keeps_its_statistics(tmp_path: Path, make_model: Any) -> None:
    model = make_model("sr", SRRESNET, SrResNetArgs(features=4, blocks=1, head="tanh"))
    assert model.card.output_range == "-1..1"
    write_model(model, tmp_path / "a.safetensors")
    again = read_model(tmp_path / "a.safetensors")
    assert again.weights["bn_body.num_batches_tracked"].shape == ()
    assert np.array_equal(again.weights["bn_body.running_var"], model.weights["bn_body.running_var"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"scale": 4}, "says scale 4"),
        ({"parameters": 5}, "says 5 parameters"),
        ({"architecture": "msrresnet"}, "no argument"),
        ({"architecture": "esrgan"}, "no architecture"),
        ({"architecture": "bicubic"}, "no weights"),
        ({"arguments": {"features": 8, "convolutions": 3, "scale": 2}}, "missing"),
        ({"arguments": {"features": 8, "convolutions": 1, "scale": 2}}, 'says that "body.4.'),
        ({"arguments": {"features": 9, "convolutions": 2, "scale": 2}}, 'says that "body.0.'),
        ({"output_range": "-1..1"}, "the network takes 0..1 and gives 0..1"),
    ],
)
def test_a_card_that_lies_is_refused_when_written_and_when_read(
    tmp_path: Path, make_model: Any, change: dict[str, Any], words: str
) -> None:
    model = make_model()
    lying = Model(msgspec.structs.replace(model.card, **change), model.weights)
    with pytest.raises(PellucidError) as caught:
        write_model(lying, tmp_path / "a.safetensors")
    assert words in str(caught.value)
    assert list(tmp_path.iterdir()) == []
    safetensors.numpy.save_file(
        dict(model.weights), tmp_path / "a.safetensors", {"pellucid": msgspec.json.encode(lying.card).decode()}
    )
    with pytest.raises(PellucidError) as caught:
        read_model(tmp_path / "a.safetensors")
    assert words in str(caught.value)


def test_a_file_that_cannot_be_written_leaves_nothing_and_the_old_one_whole(
    tmp_path: Path, make_model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.safetensors"
    write_model(make_model("old"), path)
    before = path.read_bytes()

    def no_space(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(PellucidError) as caught:
        write_model(make_model("new", seed=1), path)
    assert caught.value.code is Code.DISK_FULL
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_a_file_is_a_sentence(tmp_path: Path, make_model: Any) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PellucidError) as caught:
        write_model(make_model(), tmp_path / "file" / "a.safetensors")
    assert caught.value.code is Code.FILE_UNWRITABLE


def test_an_interrupt_while_writing_leaves_no_file(
    tmp_path: Path, make_model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_model(make_model(), tmp_path / "a.safetensors")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "name", ["", " ", "a/b", "a\\b", "..", ".hidden", "a\n", "\x1b[31mred", "con:", "x" * 121, "dot.", " lead", "a|b"]
)
def test_a_name_that_no_file_can_have_is_refused(name: str) -> None:
    with pytest.raises(PellucidError):
        check_name(name)


@pytest.mark.parametrize("name", ["photo-compact", "山の写真", "My model (2)", "x" * 120, "v1.2"])
def test_other_names_are_fine(name: str) -> None:
    check_name(name)

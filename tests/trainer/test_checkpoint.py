from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.errors import Code, PellucidError
from trainer.checkpoint import (
    load_checkpoint,
    random_state,
    restore_random_state,
    save_checkpoint,
    seed_random_streams,
)


def state() -> dict[str, object]:
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    optimizer = torch.optim.Adam(network.parameters(), fused=True)
    network(torch.rand(2, 3, 8, 8)).sum().backward()
    optimizer.step()
    return {
        "network": network.state_dict(),
        "optimizer": optimizer.state_dict(),
        "random": random_state(),
        "facts": {"none": None, "pi": 3.141592653589793, "tiny": 5e-324, "list": [1, "tensor", True], "empty": {}},
        "empty": torch.empty(0),
        "half": torch.rand(3).bfloat16(),
    }


def check_equal(one: object, other: object) -> None:
    if isinstance(one, torch.Tensor):
        assert isinstance(other, torch.Tensor)
        assert one.dtype == other.dtype
        assert torch.equal(one, other)
    elif isinstance(one, dict):
        assert isinstance(other, dict)
        assert one.keys() == other.keys()
        for key in one:
            check_equal(one[key], other[key])
    elif isinstance(one, (list, tuple)):
        assert isinstance(other, list)
        for a, b in zip(one, other, strict=True):
            check_equal(a, b)
    else:
        assert one == other


def test_a_checkpoint_comes_back_exactly(tmp_path: Path) -> None:
    saved = state()
    save_checkpoint(tmp_path / "c.safetensors", saved)
    check_equal(saved, load_checkpoint(tmp_path / "c.safetensors"))
    assert [path.name for path in tmp_path.iterdir()] == ["c.safetensors"]


def test_any_changed_byte_and_any_cut_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    save_checkpoint(path, {"a": torch.arange(50.0), "b": 7})
    whole = path.read_bytes()
    chooser = random.Random(1)
    for _ in range(60):
        place = chooser.randrange(len(whole))
        changed = bytearray(whole)
        changed[place] ^= 1 << chooser.randrange(8)
        path.write_bytes(changed)
        with pytest.raises(PellucidError) as caught:
            load_checkpoint(path)
        # A changed format number reads as another version's file; either way nothing is taken from it.
        assert caught.value.code in (Code.MODEL_CORRUPT, Code.MODEL_UNSUPPORTED)
        path.write_bytes(whole[: chooser.randrange(len(whole))])
        with pytest.raises(PellucidError):
            load_checkpoint(path)


def test_every_random_stream_continues_where_it_was(tmp_path: Path) -> None:
    seed_random_streams(4)
    torch.rand(3)
    np.random.normal()
    random.gauss(0, 1)
    save_checkpoint(tmp_path / "r.safetensors", {"random": random_state()})
    expected = (torch.rand(5), np.random.normal(size=5), [random.gauss(0, 1) for _ in range(5)])
    seed_random_streams(5)
    restore_random_state(load_checkpoint(tmp_path / "r.safetensors")["random"])
    assert torch.equal(torch.rand(5), expected[0])
    assert np.array_equal(np.random.normal(size=5), expected[1])
    assert [random.gauss(0, 1) for _ in range(5)] == expected[2]


def test_a_checkpoint_runs_no_code(tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    torch.save({"a": torch.zeros(1)}, path)
    with pytest.raises(PellucidError, match="is damaged"):
        load_checkpoint(path)

"""Transparency waits on the disk for temporary files; one without room costs the picture, in a sentence, no more."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from engine.alpha_plane import AlphaPlane
from engine.errors import Code, PellucidError
from engine.finish import join_alpha
from engine.image.colour import round_samples
from tests.small_disk import mounted_small_disk

Picture = Callable[..., Path]


@pytest.mark.parametrize("bits", [8, 16, 32])
def test_the_result_has_the_same_transparency_as_if_it_had_never_lain_on_the_disk(bits: int) -> None:
    """And no more is kept there than the result will have."""
    height, width = 357, 301
    rows = np.random.default_rng(1).normal(0.5, 0.5, (height, width, 3)).astype(np.float32)
    steps = 2 ** min(bits, 16) - 1
    # Every step there is, what lies between two, and what lies on no side of the middle.
    rows[:, :, 0].flat[: 2 * steps + 1] = np.arange(2 * steps + 1, dtype=np.float32) / np.float32(2 * steps)
    joined: list[np.ndarray] = []
    with AlphaPlane(height, width, bits) as plane:
        for top in range(0, height, 5):
            plane.append(rows[top : top + 5])
        finished = plane.finished()
        assert finished.nbytes == height * width * bits // 8
        join = join_alpha(joined.append, finished)
        for top in range(0, height, 64):
            join(rows[top : top + 64])
    made = np.concatenate(joined)
    assert made.dtype == np.float32
    np.testing.assert_array_equal(made[:, :, :3], rows)
    expected = round_samples(np.clip(rows[:, :, 0], 0, 1), bits)
    np.testing.assert_array_equal(round_samples(made[:, :, 3], bits), expected)


def test_a_full_temporary_disk_is_a_sentence_that_names_it(library: Path, picture: Picture, tmp_path: Path) -> None:
    source = picture("a.png", 640, 500, "RGBA")
    words = ["restore", "--json", "--model", "faithful", "--bits", "16", str(source), "-o", str(tmp_path / "out")]
    with mounted_small_disk(tmp_path / "disk") as place:
        done = subprocess.run(
            [sys.executable, "-m", "gui", *words],
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"TMPDIR": str(place)},
        )
    told = [json.loads(line) for line in done.stdout.splitlines()]
    failure = next(record for record in told if record.get("type") == "Failed")
    assert (done.returncode, failure["code"]) == (1, "disk-full")
    assert str(place) in failure["message"]
    assert list((tmp_path / "out").iterdir()) == []


def test_where_nothing_temporary_can_be_written_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(PellucidError, match="gone: No such file") as caught, AlphaPlane(4, 4, 8):
        pass
    assert caught.value.code is Code.FILE_UNWRITABLE

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
from tests.small_disk import mounted_small_disk

Picture = Callable[..., Path]


def test_rows_come_back_as_they_went_in_but_never_outside_the_range() -> None:
    rows = np.random.default_rng(1).normal(0.5, 0.5, (37, 11, 3)).astype(np.float32)
    with AlphaPlane(37, 11) as plane:
        for top in range(0, 37, 5):
            plane.append(rows[top : top + 5])
        finished = plane.finished()
        np.testing.assert_array_equal(finished, np.clip(rows[:, :, 0], 0, 1))


def test_a_full_temporary_disk_is_a_sentence_that_names_it(library: Path, picture: Picture, tmp_path: Path) -> None:
    source = picture("a.png", 640, 500, "RGBA")
    words = ["restore", "--json", "--model", "faithful", str(source), "-o", str(tmp_path / "out")]
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
    with pytest.raises(PellucidError, match="gone: No such file") as caught, AlphaPlane(4, 4):
        pass
    assert caught.value.code is Code.FILE_UNWRITABLE

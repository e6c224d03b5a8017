"""What a window watches: the running picture stays while previews come and go, and a full disk ends no process."""

from __future__ import annotations

import gc
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from engine import mapped
from engine.mapped import GrowingPicture, MappedFiles
from tests.small_disk import mounted_small_disk


def preview(value: int = 7) -> np.ndarray:
    return np.full((4, 5, 3), value, np.uint8)


def test_the_running_picture_outlives_any_number_of_previews(tmp_path: Path) -> None:
    files = MappedFiles(tmp_path, kept=3)
    running = GrowingPicture(files, 20, 10, 3)
    running.add(np.full((10, 10, 3), 90, np.uint8))
    watched = np.memmap(running.path, np.uint8, "r", shape=(20, 10, 3))
    for _preview in range(20):
        newest = files.keep(preview())
    assert running.path.exists(), "halvings are made from the file by its name"
    running.add(np.full((10, 10, 3), 180, np.uint8))
    assert (watched[:10] == 90).all()
    assert (watched[10:] == 180).all()
    assert np.array_equal(np.fromfile(newest, np.uint8).reshape(4, 5, 3), preview())
    assert len(list(tmp_path.iterdir())) <= 4


def test_a_picture_that_has_grown_stays_a_little_while_and_then_goes(tmp_path: Path) -> None:
    files = MappedFiles(tmp_path, kept=3)
    running = GrowingPicture(files, 20, 10, 3)
    path = running.path
    for _preview in range(20):
        files.keep(preview())
    del running
    gc.collect()
    files.keep(preview())
    assert path.exists(), "a window may still be about to open it"
    for _preview in range(3):
        files.keep(preview())
    assert not path.exists()
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_rows_come_where_a_window_looks_for_them_also_thinned_out(
    tmp_path: Path, dtype: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mapped, "LARGEST_SHOWN", 300)
    rows = np.arange(37 * 31 * 2).reshape(37, 31, 2) % 200
    scale = {np.uint8: 1, np.uint16: 257, np.float32: 1 / 255}[dtype]
    growing = GrowingPicture(MappedFiles(tmp_path), 37, 31, 2)
    for top in range(0, 37, 5):
        growing.add((rows[top : top + 5] * scale).astype(dtype))
    shown = np.fromfile(growing.path, np.uint8).reshape(growing.height, growing.width, 4)
    assert (growing.height, growing.width) == (19, 16)
    np.testing.assert_array_equal(shown[:, :, 0], rows[::2, ::2, 0])
    np.testing.assert_array_equal(shown[:, :, 2], rows[::2, ::2, 0])
    np.testing.assert_array_equal(shown[:, :, 3], rows[::2, ::2, 1])


def test_a_disk_without_room_is_an_error_not_the_end_of_the_process(tmp_path: Path) -> None:
    program = (
        "import sys, numpy as np\nfrom pathlib import Path\nfrom engine.mapped import GrowingPicture, MappedFiles\n"
        "try:\n"
        "    growing = GrowingPicture(MappedFiles(Path(sys.argv[1])), 4000, 1000, 3)\n"
        "    growing.add(np.full((4000, 1000, 3), 9, np.uint8))\n"
        "except OSError as error:\n"
        "    print('told:', error.errno)\n"
    )
    with mounted_small_disk(tmp_path / "disk") as place:
        done = subprocess.run([sys.executable, "-c", program, str(place)], capture_output=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, b"told: 28")

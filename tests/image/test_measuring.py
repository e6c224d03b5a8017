"""Pictures are measured by their headers: as large as they are when they are read, without their pixels."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from engine.errors import PellucidError
from engine.image.decode import probe_image, read_image
from engine.image.skim import measure_upright

HEIGHT, WIDTH = 600, 900
NOISE = np.random.default_rng(5).integers(0, 256, (HEIGHT, WIDTH, 4), np.uint8)

KINDS: dict[str, dict[str, Any]] = {
    "p.png": {},
    "p.jpg": {"quality": 95},
    "p.webp": {"quality": 95},
    "lossless.webp": {"lossless": True, "quality": 0, "method": 0},
    "p.tif": {},
    "deflated.tiff": {"compression": "tiff_adobe_deflate"},
}


def save(folder: Path, name: str, orientation: int = 1, channels: int = 3) -> Path:
    path = folder / name
    tags = Image.Exif()
    tags[0x0112] = orientation
    tags[0x010F] = "ACME"
    Image.fromarray(NOISE[..., :channels]).save(path, exif=tags.tobytes(), **KINDS[name])
    return path


class CountedReads(io.FileIO):
    taken = 0

    def readinto(self, buffer: Any) -> int | None:
        got = super().readinto(buffer)
        CountedReads.taken += got or 0
        return got

    def readall(self) -> bytes:
        data = super().readall()
        CountedReads.taken += len(data)
        return data


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("name", KINDS)
def test_the_size_is_that_of_the_pixels_and_little_is_read(
    name: str, orientation: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(tmp_path, name, orientation)
    whole = read_image(path)
    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", lambda self, _mode: io.BufferedReader(CountedReads(self)))
        CountedReads.taken = 0
        assert measure_upright(path) == (whole.height, whole.width)
        assert 0 < CountedReads.taken < path.stat().st_size / 2
    assert (whole.height, whole.width) == ((WIDTH, HEIGHT) if orientation == 6 else (HEIGHT, WIDTH))


@pytest.mark.parametrize("name", ["p.png", "p.webp", "lossless.webp", "p.tif"])
def test_transparency_changes_no_size(name: str, tmp_path: Path) -> None:
    path = save(tmp_path, name, channels=4)
    assert measure_upright(path) == (HEIGHT, WIDTH)


@pytest.mark.parametrize("name", ["p.png", "p.webp", "lossless.webp", "p.tif"])
def test_a_file_that_was_cut_off_is_left_to_whoever_says_so(name: str, tmp_path: Path) -> None:
    path = save(tmp_path, name)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    assert measure_upright(path) is None
    with pytest.raises(PellucidError):
        probe_image(path)


def test_camera_raw_is_not_measured_by_its_thumbnail(tmp_path: Path) -> None:
    small, sensor = np.zeros((12, 16, 3), np.uint8), np.zeros((64, 96), np.uint16)
    with tifffile.TiffWriter(tmp_path / "a.nef") as writer:
        writer.write(small, subifds=1)
        writer.write(sensor, photometric=32803, extratags=[(33421, "H", 2, (2, 2), True)])
    tifffile.imwrite(tmp_path / "b.dng", small, extratags=[(50706, "B", 4, (1, 4, 0, 0), True)])
    canon = (tmp_path / "b.dng").read_bytes()
    (tmp_path / "c.cr2").write_bytes(canon[:8] + b"CR" + canon[10:])
    for name in ("a.nef", "b.dng", "c.cr2"):
        assert measure_upright(tmp_path / name) is None


def test_what_is_no_such_file_is_not_measured(tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.webp").write_text("RIFF of no kind")
    (tmp_path / "short.tif").write_bytes(b"II*\0")
    (tmp_path / "folder.png").mkdir()
    for name in ("empty.png", "text.webp", "short.tif", "folder.png", "gone.png"):
        assert measure_upright(tmp_path / name) is None

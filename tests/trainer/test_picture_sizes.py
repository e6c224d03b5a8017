"""The size that a picture is measured at is the size that its pixels have when they are read."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from engine.errors import PellucidError
from tests.trainer.tiny import draw_picture, tiny_config
from trainer.data import gather_pictures, make_source
from trainer.doctor import examine
from trainer.pixels import picture_size, read_pixels


def save_turned(picture: Image.Image, path: Path, orientation: int) -> None:
    tags = Image.Exif()
    tags[0x0112] = orientation
    picture.save(path, exif=tags.tobytes())


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".avif"])
def test_a_turned_picture_is_measured_upright(suffix: str, orientation: int, tmp_path: Path) -> None:
    path = tmp_path / f"p{suffix}"
    save_turned(draw_picture(1, 32, 48), path, orientation)
    assert picture_size(path) == read_pixels(path).shape[:2] == ((48, 32) if orientation >= 5 else (32, 48))


@pytest.mark.parametrize("remark", [b"", bytes(65_500)], ids=["small", "as large as EXIF gets"])
def test_an_orientation_behind_the_pixels_of_a_png_counts(remark: bytes, tmp_path: Path) -> None:
    path = tmp_path / "p.png"
    draw_picture(1, 32, 48).save(path)
    tags = Image.Exif()
    tags[0x0112] = 6
    tags[0x9286] = remark
    end = png_chunk(b"IEND", b"")
    content = path.read_bytes()
    assert content.endswith(end)
    path.write_bytes(content[: -len(end)] + png_chunk(b"eXIf", tags.tobytes().removeprefix(b"Exif\0\0")) + end)
    assert picture_size(path) == read_pixels(path).shape[:2] == (48, 32)


def test_a_camera_file_is_not_measured_by_its_thumbnail(tmp_path: Path) -> None:
    """A raw file begins with a small picture to look at; without the package for raw files nothing of it counts."""
    path = tmp_path / "p.nef"
    sensor = np.zeros((64, 96), np.uint16)
    pattern = [(33421, "H", 2, (2, 2), True), (33422, "B", 4, (0, 1, 1, 2), True)]
    with tifffile.TiffWriter(path) as writer:
        writer.write(np.zeros((12, 16, 3), np.uint8), subifds=1)
        writer.write(sensor, photometric=32803, extratags=pattern)
    with Image.open(path) as image:
        assert image.size == (16, 12)
    try:
        size = read_pixels(path).shape[:2]
    except PellucidError:
        with pytest.raises(PellucidError):
            picture_size(path)
    else:
        assert picture_size(path) == size == (64, 96)


def test_a_png_that_was_cut_off_is_known_before_it_is_trained_on(photos: Path) -> None:
    (photos / "p2.png").write_bytes((photos / "p2.png").read_bytes()[:400])
    pictures = gather_pictures(tiny_config(photos))
    assert "p2" not in {picture.name for picture in pictures.train + pictures.validation}
    assert any("p2.png" in notice for notice in pictures.notices)


def turned_pair(folder: Path, partner: tuple[int, int]) -> Path:
    """A sharp picture stored lying, which stands 64 wide and 96 high; its partner upright, (width, height)."""
    for name in ("GT", "LQ"):
        (folder / name).mkdir(parents=True)
    for number in range(2):
        save_turned(draw_picture(number, 64, 96), folder / "GT" / f"{number}.jpg", 6)
        draw_picture(number, partner[1], partner[0]).save(folder / "LQ" / f"{number}.png")
    return folder


def test_a_pair_fits_when_it_fits_upright(tmp_path: Path) -> None:
    folder = turned_pair(tmp_path / "set", (16, 24))
    config = tiny_config(folder, source="pairs")
    pictures = gather_pictures(config)
    assert pictures.sizes == [(96, 64)]
    batch = make_source(config, pictures, tmp_path / "pixels.cache")[0]
    assert (batch.target.shape, batch.damaged.shape) == ((4, 32, 32, 3), (4, 8, 8, 3))
    assert examine([folder], 32, 4, pairs=True).healthy


def test_a_pair_that_fits_only_as_it_is_stored_is_refused_before_the_start(tmp_path: Path) -> None:
    folder = turned_pair(tmp_path / "set", (24, 16))
    with pytest.raises(PellucidError, match=r"64x96, but its partner .* is 24x16: not 4 times smaller"):
        gather_pictures(tiny_config(folder, source="pairs"))
    assert not examine([folder], 32, 4, pairs=True).healthy

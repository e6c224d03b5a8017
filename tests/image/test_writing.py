"""Writing: what other decoders read back is what was given; a target is whole or not there, whatever happens."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from engine import partial
from engine.errors import Code, PellucidError
from engine.image import encode, tiff_stream
from engine.image.buffer import ImageBuffer, Metadata
from engine.image.encode import open_writer, write_image
from engine.image.formats import check_limits, choose_bits
from engine.image.png_stream import combine_adler32
from engine.image.verify import Expected, verify_file
from tests.small_disk import fill, mounted_small_disk

ROOT = Path(__file__).parents[2]


def smooth(height: int, width: int, channels: int, bits: int, seed: int = 0) -> np.ndarray:
    """A ramp with a little noise and a flat part, so that every PNG filter is chosen somewhere."""
    random = np.random.default_rng(seed)
    down, across = np.mgrid[0:height, 0:width]
    ramp = np.stack([(down * (3 + c) + across * (5 - c)) % 251 for c in range(channels)], axis=2) / 251.0
    ramp[height // 2 :, : width // 2] = 0.5
    noisy = np.clip(ramp + random.normal(0, 0.02, ramp.shape), 0, 1)
    return (noisy * ((1 << bits) - 1)).astype(np.uint8 if bits == 8 else np.uint16)


def buffer_of(samples: np.ndarray, **kept: object) -> ImageBuffer:
    colours = 1 if samples.shape[2] <= 2 else 3
    alpha = samples[..., -1] if samples.shape[2] in (2, 4) else None
    return ImageBuffer(samples[..., :colours], alpha, Metadata(**kept))


def nothing_left(folder: Path) -> bool:
    return [file.name for file in folder.iterdir()] == []


@given(
    height=st.integers(1, 70),
    width=st.integers(1, 300),
    channels=st.sampled_from([1, 2, 3, 4]),
    bits=st.sampled_from([8, 16]),
    piece=st.integers(1, 40),
    seed=st.integers(0, 1000),
)
def test_streamed_png_equals_what_other_decoders_read(
    height: int, width: int, channels: int, bits: int, piece: int, seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    samples = smooth(height, width, channels, bits, seed)
    path = tmp_path_factory.mktemp("png") / "p.png"
    with open_writer(
        path, "png", width=width, height=height, channels=1 if channels < 3 else 3, alpha=channels in (2, 4), bits=bits
    ) as writer:
        for top in range(0, height, piece):
            writer.write_rows(samples[top : top + piece])
        assert writer.commit() == path
    np.testing.assert_array_equal(imagecodecs.png_decode(path.read_bytes()).reshape(samples.shape), samples)
    with Image.open(path) as image:
        image.load()
        assert image.size == (width, height)
        if bits == 8 or channels == 1:
            np.testing.assert_array_equal(np.asarray(image).reshape(samples.shape), samples)


@pytest.mark.parametrize("bits", [8, 16])
def test_streamed_png_of_many_bands_equals_what_other_decoders_read(bits: int, tmp_path: Path) -> None:
    samples = smooth(1500, 1100, 3, bits)
    path = write_image(buffer_of(samples), tmp_path / "p.png", "png", threads=2)
    assert path.stat().st_size < samples.nbytes
    np.testing.assert_array_equal(imagecodecs.png_decode(path.read_bytes()), samples)


def test_png_bytes_do_not_depend_on_threads_or_pieces(tmp_path: Path) -> None:
    samples = smooth(700, 900, 3, 8)
    files = []
    for threads, piece in ((1, 700), (2, 1), (3, 37)):
        path = tmp_path / f"{threads}.png"
        with open_writer(path, "png", width=900, height=700, channels=3, threads=threads) as writer:
            for top in range(0, 700, piece):
                writer.write_rows(samples[top : top + piece])
            writer.commit()
        files.append(path.read_bytes())
    assert files[0] == files[1] == files[2]


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_checksums_combine(first: bytes, second: bytes) -> None:
    import zlib

    assert combine_adler32(zlib.adler32(first), zlib.adler32(second), len(second)) == zlib.adler32(first + second)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("big", [False, True])
def test_streamed_tiff_equals_what_other_decoders_read(
    bits: int, channels: int, big: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiff_stream, "STRIP_BYTES", 5000)
    if big:
        monkeypatch.setattr(tiff_stream, "LARGEST_CLASSIC", 100)
    samples = smooth(61, 87, channels, bits)
    path = write_image(buffer_of(samples, dpi=(240.0, 240.0)), tmp_path / "p.tif", "tiff")
    with tifffile.TiffFile(path) as file:
        assert file.is_bigtiff is big
        page = file.pages.first
        assert page.tags.valueof(282) == (2_400_000, 10_000)
        np.testing.assert_array_equal(page.asarray().reshape(samples.shape), samples)
    if bits == 8 or channels == 1:
        with Image.open(path) as image:
            np.testing.assert_array_equal(np.asarray(image).reshape(samples.shape), samples)


@pytest.mark.parametrize(("kind", "name"), [("jpeg", "JPEG"), ("webp", "WEBP"), ("avif", "AVIF")])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_lossy_formats_come_close(kind: str, name: str, channels: int, tmp_path: Path) -> None:
    across, down = np.meshgrid(np.arange(120), np.arange(90))
    samples = np.dstack([across * 2, down * 2, 200 - across, 255 - down])[
        ..., [0, 3] if channels == 2 else range(channels)
    ]
    samples = samples.astype(np.uint8)
    path = write_image(buffer_of(samples), tmp_path / "p", kind, quality=95)
    with Image.open(path) as image:
        assert image.format == name
        has_alpha = channels in (2, 4) and kind != "jpeg"
        read = np.asarray(image.convert("RGBA" if has_alpha else "RGB")).astype(float)
    wanted = samples[..., :-1] if channels in (2, 4) else samples
    if kind == "jpeg" and channels in (2, 4):
        weight = samples[..., -1:] / 255.0
        wanted = wanted * weight + 255 * (1 - weight)
    assert np.abs(read[..., :3] - wanted).max() <= 9
    if has_alpha:
        assert np.abs(read[..., 3] - samples[..., -1]).max() <= 2


def test_webp_of_quality_100_is_lossless(tmp_path: Path) -> None:
    samples = smooth(50, 60, 3, 8)
    with Image.open(write_image(buffer_of(samples), tmp_path / "p.webp", "webp", quality=100)) as image:
        np.testing.assert_array_equal(np.asarray(image.convert("RGB")), samples)


def test_jpeg_lays_transparency_on_white_and_says_so(tmp_path: Path) -> None:
    samples = np.zeros((16, 16, 4), np.uint8)
    with open_writer(tmp_path / "p.jpg", "jpeg", width=16, height=16, channels=3, alpha=True) as writer:
        assert any("transparency" in notice for notice in writer.notices)
        writer.write_rows(samples)
        path = writer.commit()
    with Image.open(path) as image:
        assert np.asarray(image).min() >= 254


def test_floats_and_deep_samples_are_rounded_not_cut(tmp_path: Path) -> None:
    floats = np.array([[[0.0], [0.4999 / 255], [0.5001 / 255], [1.7], [-3.0]]], np.float32)
    path = write_image(ImageBuffer(floats), tmp_path / "p.png", "png", bits=8)
    with Image.open(path) as image:
        assert np.asarray(image).tolist() == [[0, 0, 1, 255, 0]]
    deep = np.arange(0, 65536, 13, dtype=np.uint16)[None, :, None]
    path = write_image(ImageBuffer(deep), tmp_path / "q.png", "png", bits=8)
    with Image.open(path) as image:
        np.testing.assert_array_equal(np.asarray(image)[0], np.rint(deep[0, :, 0] / 257.0))


def test_limits_are_said_before_work_starts() -> None:
    for kind, side in (("jpeg", 65_536), ("webp", 16_384), ("avif", 32_769)):
        with pytest.raises(PellucidError, match="at most") as caught:
            check_limits(kind, side, 10)
        assert caught.value.code is Code.IMAGE_TOO_LARGE
        assert "PNG or TIFF" in caught.value.hint
    check_limits("png", 100_000, 100_000)
    assert [choose_bits(kind, 0, 16) for kind in ("png", "tiff", "jpeg", "webp", "avif")] == [16, 16, 8, 8, 8]
    assert choose_bits("png", 0, 32) == 16


@pytest.mark.parametrize("kind", ["png", "tiff", "jpeg", "webp", "avif"])
def test_without_commit_nothing_stays(kind: str, tmp_path: Path) -> None:
    samples = smooth(400, 900, 3, 8)
    with open_writer(tmp_path / "p", kind, width=900, height=400, channels=3) as writer:
        writer.write_rows(samples[:300])
        names = [file.name for file in tmp_path.iterdir()]
        assert names
        assert all(name.startswith(".") and name.endswith(".part") for name in names)
    assert nothing_left(tmp_path)
    with (
        pytest.raises(ValueError, match="300 rows"),
        open_writer(tmp_path / "p", kind, width=900, height=400, channels=3) as writer,
    ):
        writer.write_rows(samples[:300])
        writer.commit()
    assert nothing_left(tmp_path)


@pytest.mark.parametrize("kind", ["png", "tiff", "jpeg", "webp", "avif"])
def test_after_commit_only_the_target_stays(kind: str, tmp_path: Path) -> None:
    write_image(buffer_of(smooth(40, 30, 3, 8)), tmp_path / "p", kind)
    assert [file.name for file in tmp_path.iterdir()] == ["p"]


def test_the_name_is_never_taken_from_another_file(tmp_path: Path) -> None:
    target = tmp_path / "p.png"
    with open_writer(target, "png", width=8, height=8, channels=1) as writer:
        writer.write_rows(np.zeros((8, 8, 1), np.uint8))
        target.write_bytes(b"somebody else's")
        assert writer.commit() == tmp_path / "p (2).png"
    assert target.read_bytes() == b"somebody else's"
    write_image(ImageBuffer(np.ones((8, 8, 1), np.uint8)), target, "png", overwrite=True)
    assert target.read_bytes()[:4] == b"\x89PNG"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["p (2).png", "p.png"]


def test_names_are_safe_where_there_are_no_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "not here")

    monkeypatch.setattr(os, "link", refuse)
    for wanted in ("p.png", "p (2).png"):
        path = write_image(ImageBuffer(np.ones((8, 8, 1), np.uint8)), tmp_path / "p.png", "png", overwrite=False)
        assert path.name == wanted
    assert sorted(file.name for file in tmp_path.iterdir()) == ["p (2).png", "p.png"]


def test_where_there_are_no_hard_links_a_failure_leaves_no_empty_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "not here")

    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(PellucidError):
        write_image(ImageBuffer(np.ones((8, 8, 1), np.uint8)), tmp_path / "p.png", "png", overwrite=False)
    assert not list(tmp_path.iterdir())


def test_a_result_that_no_memory_is_left_to_look_at_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("engine.image.verify._find_problem", refuse)
    path = write_image(ImageBuffer(np.ones((8, 8, 1), np.uint8)), tmp_path / "p.png", "png", overwrite=False)
    assert path.read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize("kind", ["png", "tiff"])
def test_damage_on_the_way_to_disk_is_noticed(kind: str, tmp_path: Path) -> None:
    for side in (64, 2400):
        samples = smooth(side, side, 3, 8)
        path = write_image(buffer_of(samples), tmp_path / "p", kind)
        expected = Expected(kind, side, side, 3, 8, None)
        verify_file(path, expected, "p")
        data = path.read_bytes()
        middle = len(data) // 2
        for damaged in (
            data[:middle] + bytes([data[middle] ^ 0x55]) + data[middle + 1 :],
            data[: middle * 2 - 40],
            data[:middle] + bytes(200) + data[middle + 200 :],
        ):
            path.write_bytes(damaged)
            with pytest.raises(PellucidError, match="reading it back") as caught:
                verify_file(path, expected, "p")
            assert caught.value.code is Code.BAD_OUTPUT
        path.write_bytes(data)
        for wrong in (
            Expected(kind, side + 1, side, 3, 8, None),
            Expected(kind, side, side, 4, 8, None),
            Expected(kind, side, side, 3, 16, None),
            Expected(kind, side, side, 3, 8, b"profile"),
        ):
            with pytest.raises(PellucidError, match="reading it back"):
                verify_file(path, wrong, "p")


def test_a_failed_check_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path, expected: Expected, name: str) -> None:
        raise PellucidError(Code.BAD_OUTPUT, f"{name} is not right.")

    monkeypatch.setattr(encode, "verify_file", fail)
    with pytest.raises(PellucidError, match=r"p\.png is not right"):
        write_image(ImageBuffer(np.ones((8, 8, 1), np.uint8)), tmp_path / "p.png", "png")
    assert nothing_left(tmp_path)


@pytest.fixture
def ordinary_user(tmp_path: Path) -> Iterator[None]:
    """root may write everywhere, so the test steps down."""
    if os.name == "nt":
        pytest.skip("folders are protected in another way on Windows")
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_protected_folder_is_said_in_a_sentence(tmp_path: Path, ordinary_user: None) -> None:
    if os.geteuid() != 65534:
        tmp_path.chmod(0o500)
    with pytest.raises(PellucidError, match="cannot be written") as caught:
        write_image(ImageBuffer(np.ones((8, 8, 1), np.uint8)), tmp_path / "p.png", "png")
    assert caught.value.code is Code.FILE_UNWRITABLE
    assert "p.png" in caught.value.message


def test_a_file_in_the_folders_place_is_said_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(PellucidError) as caught:
        write_image(ImageBuffer(np.ones((8, 8, 1), np.uint8)), tmp_path / "file" / "p.png", "png")
    assert caught.value.code is Code.FILE_UNWRITABLE


LIMITED = """
    import resource, sys, numpy as np
    from pathlib import Path
    from engine.errors import PellucidError
    from engine.image.buffer import ImageBuffer
    from engine.image.encode import write_image
    noise = np.random.default_rng(0).integers(0, 256, (900, 900, 3), dtype=np.uint8)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
    folder, kind = Path(sys.argv[1]), sys.argv[2]
    try:
        write_image(ImageBuffer(noise), folder / "p.out", kind, quality=100)
    except PellucidError as error:
        print(error.code.value, error.message, sep="|")
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no limit on the sizes of files")
@pytest.mark.parametrize("kind", ["png", "tiff", "jpeg"])
def test_a_limit_on_the_size_of_files_is_said_in_a_sentence_and_leaves_nothing(kind: str, tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(LIMITED), str(tmp_path), kind],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
        check=False,
    )
    assert result.stderr == ""
    code, message = result.stdout.strip().split("|")
    assert code == "file-unwritable"
    assert "cannot be written: File too large" in message
    assert nothing_left(tmp_path)


@pytest.mark.parametrize("kind", ["png", "tiff", "jpeg", "webp"])
def test_a_full_disk_is_said_in_a_sentence_and_leaves_nothing(kind: str, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (900, 900, 3), dtype=np.uint8)
    with mounted_small_disk(tmp_path / "disk") as disk:
        ballast = fill(disk)
        with pytest.raises(PellucidError, match="The disk is full") as caught:
            write_image(ImageBuffer(noise), disk / f"p.{kind}", kind, quality=100)
        assert caught.value.code is Code.DISK_FULL
        assert list(disk.iterdir()) == [ballast]


KILLED = """
    import sys, time, numpy as np
    from engine.image.encode import open_writer
    writer = open_writer(sys.argv[1], sys.argv[2], width=2000, height=60_000, channels=3)
    noise = np.random.default_rng(0).integers(0, 256, (50, 2000, 3), dtype=np.uint8)
    print("writing", flush=True)
    for _ in range(1200):
        writer.write_rows(noise)
"""


@pytest.mark.skipif(os.name == "nt", reason="kills by signal")
@pytest.mark.parametrize("kind", ["png", "jpeg"])
def test_a_killed_writer_leaves_no_target_and_the_next_one_sweeps(kind: str, tmp_path: Path) -> None:
    target = tmp_path / "p"
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(KILLED), str(target), kind], stdout=subprocess.PIPE, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"writing\n"
        deadline = time.monotonic() + 30
        while not any(file.stat().st_size > 100_000 for file in tmp_path.iterdir()) and time.monotonic() < deadline:
            time.sleep(0.02)
        other = tmp_path / ".pellucid-0123abcd-1-0123456789ab.part"  # another machine's, on a shared folder
        other.touch()
        # While its owner lives, its file stays.
        with open_writer(tmp_path / "q", "png", width=9, height=9, channels=3):
            parts = [file for file in tmp_path.iterdir() if file != other]
            assert len(parts) == (3 if kind == "jpeg" else 2)
        process.send_signal(signal.SIGKILL)
    assert not target.exists()
    assert any(file.name.endswith(".part") and file != other for file in tmp_path.iterdir())
    partial._sweep.cache_clear()  # as in another process, or a minute later
    with open_writer(tmp_path / "q", "png", width=9, height=9, channels=3):
        pass
    assert list(tmp_path.iterdir()) == [other]


@pytest.mark.parametrize(
    "name", ["写真 と 絵.png", "🌄🎉.png", "100% #1 {name} %s.png", " two  spaces .png", "x" * 251 + ".png"]
)
@pytest.mark.parametrize("kind", ["png", "jpeg"])
def test_any_name_is_written(name: str, kind: str, tmp_path: Path) -> None:
    folder = tmp_path / "deep {x} %20 #" / ("ordner" * 30)
    path = write_image(buffer_of(smooth(9, 9, 3, 8)), folder / name, kind)
    assert path == folder / name
    assert path.exists()

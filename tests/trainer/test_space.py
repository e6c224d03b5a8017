"""The cache of decoded pictures never takes the disk from what a training saves."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from engine.wire_training import StageConfig, Warned
from tests.trainer.tiny import gan_stage, tiny_config
from trainer.data import OTHER_FILES, space_to_save
from trainer.pixels import PixelCache, picture_size
from trainer.rundir import RunFolder
from trainer.worker import work


def test_a_cache_leaves_so_much_of_the_disk_free(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = sorted(photos.glob("*.png"))
    sizes = [picture_size(path) for path in paths]
    whole = sum(height * width * 3 for height, width in sizes)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda place: usage._replace(free=whole + 1000))
    for spare, cached in ((1000, len(paths)), (1001, len(paths) - 1), (whole + 1000, 0), (10 * whole, 0)):
        cache = PixelCache.create(paths, sizes, 1 << 30, tmp_path / "new" / "pixels.cache", spare)
        assert cache.cached == cached
        assert cache.misses_room == (cached < len(paths))
        cache.remove()
    small = PixelCache.create(paths, sizes, whole // 2, tmp_path / "new" / "pixels.cache", 1000)
    assert 0 < small.cached < len(paths)
    assert not small.misses_room, "the disk had as much as was asked for"
    small.remove()


def test_a_run_whose_cache_finds_no_room_says_so(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tiny_config(photos, stages=[StageConfig(iterations=1)])
    usage = shutil.disk_usage(tmp_path)
    for free, told in ((1 << 40, 0), (OTHER_FILES, 1)):
        folder = RunFolder(tmp_path / f"run {free}")
        folder.create(config)
        monkeypatch.setattr(shutil, "disk_usage", lambda place, free=free: usage._replace(free=free))
        assert work(folder.path) == 0
        warnings = [event.text for event, _ in folder.events() if isinstance(event, Warned)]
        assert sum("disk is nearly full" in text for text in warnings) == told


def test_the_space_kept_free_holds_every_file_of_a_run(photos: Path, tmp_path: Path) -> None:
    config = tiny_config(photos, stages=[StageConfig(iterations=4), gan_stage(9)])
    folder = RunFolder(tmp_path / "run")
    folder.create(config)
    assert work(folder.path) == 0
    written = sum(path.stat().st_size for path in folder.path.rglob("*") if path.is_file())
    largest = max(path.stat().st_size for path in folder.checkpoint_files())
    # One more checkpoint than are kept lies there for as long as it is written.
    assert written + largest < space_to_save(config)
    # Nearly all of it for what grows with the network.
    assert largest * (config.save.keep + 1) < space_to_save(config) - OTHER_FILES

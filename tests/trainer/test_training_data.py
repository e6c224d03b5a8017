from __future__ import annotations

from collections import Counter
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image

from engine.errors import PellucidError
from engine.wire_training import AugmentConfig, TrainingConfig
from tests.trainer.tiny import draw_picture, tiny_config
from trainer.data import gather_pictures, make_source, make_validation
from trainer.loader import Batch, BatchSource, Loader
from trainer.pictures import find_pictures
from trainer.pixels import PixelCache, picture_size, read_pixels
from trainer.sampling import Sampler


def source_of(config: TrainingConfig, folder: Path, **options: int) -> BatchSource:
    return make_source(config, gather_pictures(config), folder / "pixels.cache", **options)


def equal(one: Batch, other: Batch) -> bool:
    return torch.equal(one.target, other.target) and torch.equal(one.damaged, other.damaged)


def put(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        draw_picture(len(name), 32, 32).save(path)


# ---------------------------------------------------------------------------------------------------------- layouts


def test_a_plain_folder_is_searched_at_any_depth_and_hidden_files_are_left_out(tmp_path: Path) -> None:
    put(tmp_path, "b.png", "sub/deep/a.jpg", ".hidden/c.png", "日本/🎞 #%.png")
    (tmp_path / "notes.txt").write_text("no picture")
    found = find_pictures(tmp_path, 4)
    assert found.layout == "plain"
    assert [picture.target.name for picture in found.train] == ["b.png", "a.jpg", "🎞 #%.png"]


def test_pairs_are_recognised_by_their_folders_and_names(tmp_path: Path) -> None:
    put(tmp_path, "HR/1.png", "HR/2.png", "HR/3.png", "LRx4/1.png", "LRx4/2x4.png")
    found = find_pictures(tmp_path, 4)
    assert found.layout == "pairs"
    partners = [picture.damaged.name if picture.damaged else None for picture in found.train]
    assert partners == ["1.png", "2x4.png", None]


def test_div2k_keeps_its_own_validation(tmp_path: Path) -> None:
    put(tmp_path, "DIV2K_train_HR/0001.png", "DIV2K_train_LR_bicubic/X4/0001x4.png", "DIV2K_valid_HR/0801.png")
    found = find_pictures(tmp_path, 4)
    assert (found.layout, len(found.train), len(found.validation)) == ("div2k", 1, 1)
    assert found.train[0].damaged is not None
    assert found.validation[0].damaged is None


def test_bsds500_trains_on_train_and_test(tmp_path: Path) -> None:
    put(tmp_path, *(f"BSR/BSDS500/data/images/{part}/{part}.jpg" for part in ("train", "test", "val")))
    found = find_pictures(tmp_path, 4)
    assert found.layout == "bsds500"
    assert [picture.name for picture in found.train] == ["train", "test"]
    assert [picture.name for picture in found.validation] == ["val"]


def test_ffhq_keeps_the_last_ten_thousand_for_validation(tmp_path: Path) -> None:
    put(tmp_path, "images1024x1024/00000/00003.png", "images1024x1024/61000/61007.png")
    found = find_pictures(tmp_path, 4)
    assert (found.layout, [p.name for p in found.train], [p.name for p in found.validation]) == (
        "ffhq",
        ["00003"],
        ["61007"],
    )


def test_folders_without_pictures_end_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(PellucidError, match="holds no pictures"):
        find_pictures(tmp_path, 4)
    with pytest.raises(PellucidError, match="no folder"):
        find_pictures(tmp_path / "absent", 4)


# ---------------------------------------------------------------------------------------------------------- samples


@pytest.mark.parametrize(("crops", "pool"), [(1, 0), (3, 0), (2, 8), (1, 5)])
def test_every_picture_comes_equally_often_in_every_epoch(crops: int, pool: int) -> None:
    sampler = Sampler(3, 10, AugmentConfig(), crops, pool)
    whole = 40 * crops  # whole epochs and whole pools
    counts = Counter(sampler.draw(number).picture for number in range(whole))
    assert counts == dict.fromkeys(range(10), 4 * crops)
    numbers = [sampler.draw(number).number for number in range(whole)]
    assert sorted(numbers) == list(range(whole))


def test_epochs_have_orders_of_their_own_and_follow_the_seed() -> None:
    def order(seed: int, epoch: int) -> list[int]:
        sampler = Sampler(seed, 50, AugmentConfig())
        return [sampler.draw(epoch * 50 + place).picture for place in range(50)]

    assert order(1, 0) != order(1, 1)
    assert order(1, 0) != order(2, 0)
    assert order(1, 1) == order(1, 1)


def test_a_shuffle_pool_keeps_crops_of_one_picture_apart() -> None:
    plain, mixed = Sampler(1, 20, AugmentConfig(), 8), Sampler(1, 20, AugmentConfig(), 8, 160)

    def met(sampler: Sampler) -> int:
        batches = [[sampler.draw(b * 4 + k).picture for k in range(4)] for b in range(40)]
        return sum(4 - len(set(batch)) for batch in batches)

    assert met(plain) == 120
    assert met(mixed) < 30


def test_augmentations_come_as_often_as_asked() -> None:
    sampler = Sampler(1, 5, AugmentConfig(horizontal_flip=0.25, vertical_flip=0.0, transpose=0.75))
    draws = [sampler.draw(number) for number in range(4000)]
    assert np.mean([draw.horizontal_flip for draw in draws]) == pytest.approx(0.25, abs=0.03)
    assert np.mean([draw.vertical_flip for draw in draws]) == 0.0
    assert np.mean([draw.transpose for draw in draws]) == pytest.approx(0.75, abs=0.03)


def test_crops_reach_every_corner_and_stay_inside() -> None:
    sampler = Sampler(1, 5, AugmentConfig())
    places = {sampler.draw(number).place((2, 1)) for number in range(300)}
    assert places == {(top, left) for top in range(3) for left in range(2)}
    assert sampler.draw(0).place((0, 0)) == (0, 0)


# ---------------------------------------------------------------------------------------------------------- batches


@pytest.mark.parametrize("recipe", ["bicubic", "real-esrgan"])
def test_batches_are_the_same_for_any_number_of_workers(recipe: str, photos: Path, tmp_path: Path) -> None:
    config = tiny_config(photos, recipe=recipe)
    source = source_of(config, tmp_path)
    expected = [source[position] for position in range(3, 8)]
    for workers in (0, 1, 2):
        loader = Loader(source, 3, workers)
        assert all(equal(loader.next(), batch) for batch in expected)
        loader.close()


def test_the_seed_changes_the_batches(photos: Path, tmp_path: Path) -> None:
    import msgspec

    config = tiny_config(photos)
    other = msgspec.structs.replace(config, seed=2)
    assert not equal(source_of(config, tmp_path)[0], source_of(other, tmp_path)[0])


def test_the_shares_of_two_processes_make_the_whole_batch(photos: Path, tmp_path: Path) -> None:
    config = tiny_config(photos, recipe="real-esrgan")
    whole = source_of(config, tmp_path)[5]
    halves = [source_of(config, tmp_path, rank=rank, processes=2)[5] for rank in range(2)]
    assert torch.equal(torch.cat([half.target for half in halves]), whole.target)
    assert torch.equal(torch.cat([half.damaged for half in halves]), whole.damaged)


def test_pairs_are_cut_at_the_same_place_and_turned_alike(pairs: Path, tmp_path: Path) -> None:
    for path in (pairs / "LQ").iterdir():
        with Image.open(pairs / "GT" / path.name) as image:
            target = np.asarray(image)
        Image.fromarray(target[::4, ::4]).save(path)
    batch = source_of(tiny_config(pairs, source="pairs"), tmp_path)
    for position in range(6):
        made = batch[position]
        # Flips move the sampled corner of each 4x4 block: one of its four corners agrees everywhere.
        for target, damaged in zip(made.target, made.damaged, strict=True):
            corners = [target[y::4, x::4] for y in (0, 3) for x in (0, 3)]
            assert any(torch.equal(corner, damaged) for corner in corners)


def test_bicubic_damage_is_pillows_reduction(photos: Path, tmp_path: Path) -> None:
    batch = source_of(tiny_config(photos), tmp_path)[0]
    for target, damaged in zip(batch.target.numpy(), batch.damaged.numpy(), strict=True):
        expected = np.asarray(Image.fromarray(target).resize((8, 8), Image.Resampling.BICUBIC), dtype=int)
        assert np.abs(expected - damaged).max() <= 1


def test_context_is_seen_by_the_damage_and_cut_off(photos: Path, tmp_path: Path) -> None:
    batch = source_of(tiny_config(photos, context=8), tmp_path)[0]
    assert batch.target.shape == (4, 32, 32, 3)
    assert batch.damaged.shape == (4, 8, 8, 3)


def test_damage_on_the_device_equals_damage_in_the_loader(photos: Path, tmp_path: Path) -> None:
    config = tiny_config(photos, recipe="real-esrgan", context=8)
    here = source_of(config, tmp_path)[2]
    later_source = source_of(config, tmp_path, damage_in_loader=False)
    later = later_source[2]
    assert later.plan is not None
    assert later_source.damage is not None
    target, damaged = later_source.damage.on_device(later.target, later.plan)
    assert torch.equal(target, here.target)
    assert torch.equal(damaged, here.damaged)


def test_a_picture_that_breaks_while_training_is_passed_over_and_told(photos: Path, tmp_path: Path) -> None:
    config = tiny_config(photos, batch=6, cache_mb=0)
    source = source_of(config, tmp_path)
    (photos / "p2.png").write_bytes((photos / "p2.png").read_bytes()[:200])
    batch = source[0]
    assert batch.target.shape[0] == 6
    assert any("p2.png" in problem for problem in batch.problems)


def test_a_folder_gone_while_training_ends_in_a_sentence_not_a_traceback(photos: Path, tmp_path: Path) -> None:
    source = source_of(tiny_config(photos, cache_mb=0), tmp_path)
    for path in photos.iterdir():
        path.unlink()
    loader = Loader(source, 0, 1)
    with pytest.raises(PellucidError, match="cannot be read"):
        loader.next()
    loader.close()


def test_small_pictures_are_left_out_and_counted(photos: Path, tmp_path: Path) -> None:
    pictures = gather_pictures(tiny_config(photos, crop=72))
    assert any("smaller than the crop" in notice for notice in pictures.notices)
    with pytest.raises(
        PellucidError, match="None of the 6 pictures can be used: each side has to have the crop of 512"
    ):
        gather_pictures(tiny_config(photos, crop=512))


def test_some_pictures_are_held_out_where_no_validation_is_named(photos: Path, pairs: Path) -> None:
    pictures = gather_pictures(tiny_config(photos))
    assert len(pictures.validation) == 1
    assert not {p.target for p in pictures.validation} & {p.target for p in pictures.train}
    named = gather_pictures(tiny_config(photos, validation=pairs))
    assert len(named.train) == 6
    assert named.validation_from_files


def test_a_pair_of_the_wrong_scale_is_named_before_the_start(pairs: Path) -> None:
    draw_picture(1, 10, 10).save(pairs / "LQ" / "2.png")
    with pytest.raises(PellucidError, match="not 4 times smaller") as caught:
        gather_pictures(tiny_config(pairs, source="pairs"))
    assert "2.png" in caught.value.message


def test_a_missing_partner_is_named_before_the_start(pairs: Path) -> None:
    (pairs / "LQ" / "3.png").unlink()
    with pytest.raises(PellucidError, match="has no damaged partner"):
        gather_pictures(tiny_config(pairs, source="pairs"))


def test_validation_is_the_same_for_every_seed_of_training(photos: Path) -> None:
    import msgspec

    config = tiny_config(photos, recipe="real-esrgan")
    other = msgspec.structs.replace(config, seed=99)
    one, two = (make_validation(c, gather_pictures(c), pytest.fail) for c in (config, other))
    assert all(np.array_equal(a.damaged, b.damaged) for a, b in zip(one, two, strict=True))


# ------------------------------------------------------------------------------------------------------------ cache


def test_the_cache_gives_the_pixels_and_respects_its_bound(photos: Path, tmp_path: Path) -> None:
    paths = sorted(photos.iterdir())
    sizes = [picture_size(path) for path in paths]
    budget = sum(h * w * 3 for h, w in sizes[:3]) + 100
    cache = PixelCache.create(paths, sizes, budget, tmp_path / "c")
    assert cache.cached == 3
    assert (tmp_path / "c").stat().st_size < budget + 1024
    for number, path in enumerate(paths):
        with Image.open(path) as image:
            expected = np.asarray(image)
        assert np.array_equal(cache.pixels(number), expected)
        assert np.array_equal(cache.pixels(number), expected)
    paths[0].unlink()
    assert cache.pixels(0).shape[2] == 3
    cache.remove()
    assert not (tmp_path / "c").exists()


def test_without_room_for_the_cache_training_goes_on_without(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full)
    paths = sorted(photos.iterdir())
    cache = PixelCache.create(paths, [(64, 80)] * len(paths), 1 << 20, tmp_path / "c")
    assert cache.cached == 0
    assert not (tmp_path / "c").exists()
    assert cache.pixels(0).ndim == 3


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "I;16", "1"])
def test_every_kind_of_picture_becomes_8_bit_rgb(mode: str, tmp_path: Path) -> None:
    picture = draw_picture(1, 20, 24)
    converted = picture.convert("L").convert("I;16") if mode == "I;16" else picture.convert(mode)
    converted.save(tmp_path / "x.png")
    pixels = read_pixels(tmp_path / "x.png")
    assert (pixels.shape, pixels.dtype) == ((20, 24, 3), np.uint8)


def test_validation_may_be_asked_another_damage_than_training(photos: Path) -> None:
    def first_of(recipe: str, asked: str) -> npt.NDArray[np.uint8]:
        config = tiny_config(photos, recipe=recipe)
        validation = msgspec.structs.replace(config.validation, recipe=asked)
        config = msgspec.structs.replace(config, validation=validation)
        return make_validation(config, gather_pictures(config), pytest.fail)[0].damaged

    assert np.array_equal(first_of("esrgan-augment", "bicubic"), first_of("bicubic", ""))
    assert not np.array_equal(first_of("real-esrgan", ""), first_of("bicubic", ""))


def test_a_batch_is_pinned_whole_when_the_loader_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no card here that could fetch from such memory: only that every tensor is asked for is seen."""
    from torch.utils.data._utils.pin_memory import pin_memory

    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: tensor + 1)
    batch = Batch(7, torch.zeros(2, dtype=torch.uint8), torch.zeros(3, dtype=torch.uint8), None, ["a problem"])
    pinned = pin_memory(batch)
    assert pinned.target.tolist() == [1, 1]
    assert pinned.damaged.tolist() == [1, 1, 1]
    assert (pinned.position, pinned.problems) == (7, ["a problem"])

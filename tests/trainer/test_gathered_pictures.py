"""Which pictures train, which validate, which are passed over, and what is said about it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from engine.errors import Code, PellucidError
from engine.wire_training import TrainingConfig
from tests.trainer.tiny import draw_picture, tiny_config
from trainer.data import TrainingPictures, gather_pictures, make_validation
from trainer.validate import Validator


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """Twenty pictures."""
    folder = tmp_path / "plain"
    folder.mkdir()
    for number in range(20):
        draw_picture(number, 64, 80).save(folder / f"{number:02}.png")
    return folder


def with_folders(config: TrainingConfig, train: list[Path], validation: list[Path], limit: int = 0) -> TrainingConfig:
    replace = msgspec.structs.replace
    return replace(
        config,
        data=replace(config.data, train=[str(folder) for folder in train]),
        validation=replace(config.validation, folders=[str(folder) for folder in validation], limit=limit),
    )


def names(pictures: TrainingPictures) -> tuple[list[str], list[str]]:
    return [picture.name for picture in pictures.train], [picture.name for picture in pictures.validation]


def refuse(text: str) -> None:
    pytest.fail(f"nothing was to be said, but: {text}")


# ------------------------------------------------------------------------------------------- training, validation, both


def test_a_folder_named_twice_is_trained_on_once_and_what_is_held_out_stays_out(plain: Path) -> None:
    again = plain.parent / "again"
    again.symlink_to(plain)
    pictures = gather_pictures(with_folders(tiny_config(plain), [plain, plain / "." / "..", again], []))
    train, validation = names(pictures)
    assert sorted(train + validation) == [f"{number:02}" for number in range(20)]
    assert len(pictures.sizes) == len(train)
    assert any("40 pictures are named more than once" in notice for notice in pictures.notices)


def test_a_validation_folder_inside_the_training_folder_is_kept_out_of_training(plain: Path) -> None:
    inside = plain / "val"
    inside.mkdir()
    for number in range(3):
        draw_picture(100 + number, 64, 80).save(inside / f"v{number}.png")
    pictures = gather_pictures(with_folders(tiny_config(plain), [plain], [inside], limit=2))
    train, validation = names(pictures)
    assert (len(train), validation) == (20, ["v0", "v1"]), "the third is no picture to train on either"
    assert any("3 pictures are named both to train on and to validate with" in notice for notice in pictures.notices)


def test_where_one_folder_is_named_for_both_the_pictures_that_validate_do_not_train(plain: Path) -> None:
    pictures = gather_pictures(with_folders(tiny_config(plain), [plain], [plain], limit=4))
    train, validation = names(pictures)
    assert (len(train), len(validation)) == (16, 4)
    assert not set(train) & set(validation)
    assert any("4 pictures are named both" in notice for notice in pictures.notices)
    with pytest.raises(PellucidError, match="Every picture to train on is named for validation"):
        gather_pictures(with_folders(tiny_config(plain), [plain], [plain]))


def test_a_layout_that_holds_only_validation_is_no_folder_to_train_on(tmp_path: Path) -> None:
    (tmp_path / "DIV2K_valid_HR").mkdir()
    draw_picture(1, 64, 80).save(tmp_path / "DIV2K_valid_HR" / "0801.png")
    with pytest.raises(PellucidError, match="keeps for validation"):
        gather_pictures(tiny_config(tmp_path))


def test_a_single_picture_trains_and_says_that_none_validates(tmp_path: Path) -> None:
    folder = tmp_path / "one"
    folder.mkdir()
    draw_picture(1, 64, 80).save(folder / "1.png")
    pictures = gather_pictures(tiny_config(folder))
    assert names(pictures) == (["1"], [])
    assert any("not validated" in notice for notice in pictures.notices)


def test_versions_of_a_picture_that_is_held_out_do_not_train(tmp_path: Path) -> None:
    folder = tmp_path / "made"
    for name, side in (("target", 64), ("input", 16)):
        (folder / name).mkdir(parents=True)
        for number in range(12):
            draw_picture(number, side, side).save(folder / name / f"p{number // 3}-{number % 3:04}.png")
            if name == "input":
                (folder / name / f"p{number // 3}-{number % 3:04}.json").write_text("{}")
    pictures = gather_pictures(tiny_config(folder, source="pairs"))
    train, validation = names(pictures)
    assert (len(train), validation) == (9, ["p0-0000"])
    assert not any(name.startswith("p0-") for name in train)
    assert any("and so are 2 other versions" in notice for notice in pictures.notices)


@pytest.mark.parametrize(("count", "said"), [(2, "1 picture is kept out"), (20, "2 pictures are kept out")])
def test_pictures_are_counted_as_people_do(count: int, said: str, plain: Path) -> None:
    for path in sorted(plain.iterdir())[count:]:
        path.unlink()
    assert any(said in notice for notice in gather_pictures(tiny_config(plain)).notices)


# ----------------------------------------------------------------------------------------------------------- the crop


def test_the_context_of_a_crop_is_named_where_it_makes_pictures_too_small(plain: Path) -> None:
    with pytest.raises(PellucidError, match="96 pixels") as caught:
        gather_pictures(tiny_config(plain, crop=48, context=24))
    assert "a crop of 48 with 24 of context on each side" in caught.value.message
    draw_picture(50, 100, 100).save(plain / "large.png")
    draw_picture(51, 100, 100).save(plain / "larger.png")
    notices = gather_pictures(tiny_config(plain, crop=48, context=24)).notices
    assert any("20 pictures are smaller than 96 pixels (a crop of 48" in notice for notice in notices)


def test_pairs_need_no_room_for_a_context_that_is_not_cut(pairs: Path) -> None:
    assert len(gather_pictures(tiny_config(pairs, source="pairs", crop=64, context=32)).train) == 4


def test_files_that_are_no_pictures_at_all_are_not_called_small(plain: Path) -> None:
    for path in plain.iterdir():
        path.write_bytes(b"no picture")
    with pytest.raises(PellucidError, match=r"00\.png is not a picture") as caught:
        gather_pictures(tiny_config(plain))
    assert "crop" not in str(caught.value)


# --------------------------------------------------------------------------------------------------- broken validation


@pytest.fixture
def bad_validation(tmp_path: Path) -> Path:
    """Two good pictures, one unreadable, one truncated behind its header, and some too small to be scored."""
    folder = tmp_path / "val"
    folder.mkdir()
    for number in range(2):
        draw_picture(200 + number, 64, 80).save(folder / f"good{number}.png")
    (folder / "a-unreadable.png").write_bytes(b"no picture")
    draw_picture(210, 64, 80).save(folder / "b-torn.webp", lossless=True)
    content = bytearray((folder / "b-torn.webp").read_bytes())
    content[len(content) // 2 :] = b"\xff" * (len(content) - len(content) // 2)
    (folder / "b-torn.webp").write_bytes(bytes(content))
    draw_picture(211, 4, 4).resize((2, 2)).save(folder / "c-2x2.png")
    draw_picture(212, 8, 8).save(folder / "d-8x8.png")
    draw_picture(213, 18, 18).save(folder / "e-18x18.png")
    return folder


def test_validation_passes_over_what_it_cannot_use_and_names_it(photos: Path, bad_validation: Path) -> None:
    config = with_folders(tiny_config(photos), [photos], [bad_validation])
    pictures = gather_pictures(config)
    said = [*pictures.notices]
    examples = make_validation(config, pictures, said.append)
    assert [example.name for example in examples] == ["good0", "good1"]
    for name in ("a-unreadable.png", "b-torn.webp", "c-2x2.png", "d-8x8.png", "e-18x18.png"):
        assert any(name in text and text.startswith("Left out of validation: ") for text in said), name
    assert Validator(config.validation, 4, 1, examples).pictures == 2


def test_pictures_that_are_passed_over_do_not_count_towards_the_limit(photos: Path, bad_validation: Path) -> None:
    (bad_validation / "b-torn.webp").unlink()
    pictures = gather_pictures(with_folders(tiny_config(photos), [photos], [bad_validation], limit=2))
    assert [picture.name for picture in pictures.validation] == ["good0", "good1"]


@pytest.mark.parametrize("protocol", ["y", "rgb"])
@pytest.mark.parametrize("metrics", [["psnr"], ["psnr", "ssim"], ["psnr", "st-lpips"]])
def test_the_smallest_picture_that_is_let_in_can_be_scored(
    protocol: str, metrics: list[str], photos: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "sizes"
    folder.mkdir()
    for side in range(1, 40):
        draw_picture(side, max(side, 8), max(side, 8)).resize((side, side)).save(folder / f"{side:02}.png")
    config = with_folders(tiny_config(photos), [photos], [folder], limit=1)
    validation = msgspec.structs.replace(config.validation, protocol=protocol, metrics=metrics)
    config = msgspec.structs.replace(config, validation=validation)
    pictures = gather_pictures(config)
    (example,) = make_validation(config, pictures, refuse)
    validator = Validator(config.validation, 4, 1, [example])
    assert set(validator._baseline) == set(metrics)
    assert int(pictures.validation[0].name) < 40
    short = msgspec.structs.replace(config, validation=msgspec.structs.replace(validation, crop=8))
    if metrics != ["psnr"] or protocol == "y":
        with pytest.raises(PellucidError, match="crop = 8 leaves too little"):
            gather_pictures(short)


def test_partners_of_another_scale_do_not_validate_but_lost_edges_are_none(photos: Path, tmp_path: Path) -> None:
    folder = tmp_path / "val"
    for name, width in (("GT", 82), ("LQ", 20)):
        (folder / name).mkdir(parents=True)
        draw_picture(1, 66 if name == "GT" else 16, width).save(folder / name / "fits.png")
    draw_picture(2, 66, 82).save(folder / "GT" / "twice.png")
    draw_picture(2, 33, 41).save(folder / "LQ" / "twice.png")
    pictures = gather_pictures(with_folders(tiny_config(photos), [photos], [folder]))
    assert [picture.name for picture in pictures.validation] == ["fits"]
    assert any("twice.png is 82x66" in notice and "not 4 times smaller" in notice for notice in pictures.notices)


def test_validation_of_nothing_usable_is_refused_before_the_start(photos: Path, bad_validation: Path) -> None:
    for path in [*bad_validation.glob("good*"), bad_validation / "b-torn.webp"]:
        path.unlink()
    with pytest.raises(PellucidError, match="None of the 4 validation pictures can be used") as caught:
        gather_pictures(with_folders(tiny_config(photos), [photos], [bad_validation]))
    assert caught.value.code is Code.CONFIG
    assert "a-unreadable.png" in caught.value.message


def test_many_pictures_unfit_for_validation_are_counted(photos: Path, tmp_path: Path) -> None:
    folder = tmp_path / "thumbnails"
    folder.mkdir()
    for number in range(30):
        draw_picture(number, 8, 8).save(folder / f"{number:02}.png")
    draw_picture(99, 64, 64).save(folder / "z.png")
    pictures = gather_pictures(with_folders(tiny_config(photos), [photos], [folder]))
    assert [picture.name for picture in pictures.validation] == ["z"]
    assert len(pictures.notices) == 9
    assert pictures.notices[-1].startswith("22 pictures are left out of validation")


def test_validation_that_breaks_after_it_was_measured_ends_in_a_sentence(photos: Path, bad_validation: Path) -> None:
    config = with_folders(tiny_config(photos), [photos], [bad_validation])
    pictures = gather_pictures(config)
    for path in bad_validation.iterdir():
        path.unlink()
    said: list[str] = []
    with pytest.raises(PellucidError, match="No validation picture can be read"):
        make_validation(config, pictures, said.append)
    assert len(said) == len(pictures.validation)

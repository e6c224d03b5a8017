"""Evaluating a folder: pairs by name, figures against independent ones, wrong ranges refused, one bad file alone."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from engine.errors import Code, PellucidError
from engine.evaluate.pairs import Pair, Pairs, find_pairs
from engine.evaluate.report import Failed, PictureScore
from engine.evaluate.run import (
    Subject,
    compare_subjects,
    enlarge_bicubic,
    evaluate,
    refuse_another_range,
    write_outputs,
)
from engine.image.buffer import ImageBuffer
from engine.metrics.scored import Scored


def _truth(seed: int, height: int = 64, width: int = 48, channels: int = 3) -> np.ndarray:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    waves = 127 + 110 * np.sin(x[..., None] / 7 + rng.uniform(0, 6, channels)) * np.cos(y[..., None] / 11)
    return np.clip(waves + rng.normal(0, 3, waves.shape), 0, 255).astype(np.uint8)


def _save(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(path)
    return path


def _read(path: Path) -> ImageBuffer:
    try:
        with Image.open(path) as picture:
            pixels = np.asarray(picture)
    except OSError as error:
        raise PellucidError(Code.IMAGE_CORRUPT, f"{path.name} is no picture.") from error
    return ImageBuffer(pixels[..., None] if pixels.ndim == 2 else pixels)


def _nearest(image: ImageBuffer) -> ImageBuffer:
    return ImageBuffer(image.colour.repeat(2, axis=0).repeat(2, axis=1))


NEAREST = Subject("nearest", 2, _nearest)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    for number, channels in ((1, 3), (2, 1), (3, 3)):
        truth = _truth(number, channels=channels)
        _save(tmp_path / "gt" / f"{number}.png", truth)
        _save(tmp_path / "lq" / f"{number}x2.png", truth[::2, ::2])
    return tmp_path / "lq", tmp_path / "gt"


def test_rows_and_means_equal_independent_figures(folders: tuple[Path, Path]) -> None:
    lq, gt = folders
    report = evaluate(NEAREST, find_pairs(lq, gt), "rgb", read=_read).report
    assert [picture.name for picture in report.pictures] == ["1x2.png", "2x2.png", "3x2.png"]
    expected = []
    for number in (1, 2, 3):
        truth = _read(gt / f"{number}.png").colour
        low = _read(lq / f"{number}x2.png").colour
        result = low.repeat(2, axis=0).repeat(2, axis=1)
        similarity = structural_similarity(
            truth, result, channel_axis=2, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        )
        expected.append((peak_signal_noise_ratio(truth, result), similarity))
    for picture, (decibels, similarity) in zip(report.pictures, expected, strict=True):
        assert picture.result is not None
        assert picture.result.psnr == pytest.approx(decibels, abs=1e-6)
        assert picture.result.ssim == pytest.approx(similarity, abs=1e-6)
    summary = report.summary()
    assert summary["psnr"] == pytest.approx(np.mean([decibels for decibels, _ in expected]), abs=1e-5)
    assert summary["images"] == 3
    assert summary["failed"] == 0
    assert summary["border"] == 0


def test_the_y_protocol_cuts_a_border_as_wide_as_the_scale_and_reports_rgb_too(folders: tuple[Path, Path]) -> None:
    lq, gt = folders
    report = evaluate(NEAREST, find_pairs(lq, gt), "y", read=_read).report
    rgb = evaluate(NEAREST, find_pairs(lq, gt), "rgb", read=_read).report
    assert report.border == 2
    assert report.summary()["psnr_rgb"] == rgb.summary()["psnr"]
    weights = np.array([65.481, 128.553, 24.966]) / 255
    truth, low = _read(gt / "1.png").colour, _read(lq / "1x2.png").colour
    difference = ((truth.astype(float) - low.repeat(2, 0).repeat(2, 1)) @ weights)[2:-2, 2:-2]
    first = report.pictures[0].result
    assert first is not None
    assert first.psnr == pytest.approx(20 * math.log10(255 / math.sqrt(np.mean(difference**2))), abs=1e-9)


def test_bicubic_beside_it_is_the_cubic_of_matlab(folders: tuple[Path, Path]) -> None:
    """Pillow has the same kernel and another border; inside, both agree to a grey level."""
    low = Scored(_truth(9, 24, 30))
    ours = enlarge_bicubic(low, 4).pixels.astype(int)
    theirs = np.asarray(Image.fromarray(low.pixels).resize((120, 96), Image.Resampling.BICUBIC)).astype(int)
    assert np.abs(ours - theirs)[8:-8, 8:-8].max() <= 1


def test_without_ground_truth_pictures_are_made_and_nothing_is_scored(folders: tuple[Path, Path]) -> None:
    saved: dict[str, ImageBuffer] = {}
    evaluation = evaluate(NEAREST, find_pairs(folders[0], None), "rgb", read=_read, save=saved.__setitem__)
    assert sorted(saved) == ["1x2.png", "2x2.png", "3x2.png"]
    assert saved["1x2.png"].width == 48
    summary = evaluation.report.summary()
    assert summary["images"] == 3
    assert summary["psnr"] is None
    assert summary["bicubic_psnr"] is None
    assert evaluation.draw().width > 3 * 48


def test_a_perfect_result_is_infinite_in_tables_and_null_in_json(folders: tuple[Path, Path]) -> None:
    lq, gt = folders
    truth = _read(gt / "1.png")
    perfect = Subject("perfect", 2, lambda _: truth)
    pair = Pairs((Pair("1x2.png", lq / "1x2.png", gt / "1.png"),))
    report = evaluate(perfect, pair, "rgb", read=_read).report
    assert report.pictures[0].result is not None
    assert report.pictures[0].result.psnr == math.inf
    assert report.summary()["psnr"] is None
    assert json.loads(report.to_json())["pictures"][0]["result"]["psnr"] is None
    assert b"inf" in report.to_csv()


def test_one_bad_file_stops_no_other_and_is_named(folders: tuple[Path, Path]) -> None:
    lq, gt = folders
    (lq / "2x2.png").write_bytes(b"not a picture")
    seen: list[PictureScore | Failed] = []
    report = evaluate(NEAREST, find_pairs(lq, gt), "rgb", read=_read, on_picture=seen.append).report
    assert [picture.name for picture in report.pictures] == ["1x2.png", "3x2.png"]
    assert [failure.name for failure in report.failed] == ["2x2.png"]
    assert "2x2.png is no picture" in report.failed[0].message
    assert len(seen) == 3


def _brighter(image: ImageBuffer) -> ImageBuffer:
    return ImageBuffer(np.minimum(_nearest(image).colour, 245) + np.uint8(10))


def test_subjects_side_by_side_score_as_each_alone_and_each_file_is_read_once(folders: tuple[Path, Path]) -> None:
    lq, gt = folders
    (lq / "2x2.png").write_bytes(b"not a picture")
    subjects = [NEAREST, Subject("brighter", 2, _brighter)]
    read: list[str] = []

    def read_and_note(path: Path) -> ImageBuffer:
        read.append(path.name)
        return _read(path)

    reports = compare_subjects(subjects, find_pairs(lq, gt), "y", read=read_and_note)
    assert sorted(read) == ["1.png", "1x2.png", "2x2.png", "3.png", "3x2.png"]
    for subject, report in zip(subjects, reports, strict=True):
        alone = evaluate(subject, find_pairs(lq, gt), "y", read=_read).report
        assert [picture.result for picture in report.pictures] == [picture.result for picture in alone.pictures]
        assert (report.model, report.border, report.failed) == (alone.model, alone.border, alone.failed)


def test_a_picture_that_fails_with_one_subject_counts_for_none(folders: tuple[Path, Path]) -> None:
    """Or their means would be of different pictures."""

    def fail_on_grey(image: ImageBuffer) -> ImageBuffer:
        if image.is_grey:
            raise PellucidError(Code.BAD_OUTPUT, "No.")
        return _nearest(image)

    subjects = [NEAREST, Subject("picky", 2, fail_on_grey)]
    for report in compare_subjects(subjects, find_pairs(*folders), "rgb", read=_read):
        assert [picture.name for picture in report.pictures] == ["1x2.png", "3x2.png"]
        assert [failure.name for failure in report.failed] == ["2x2.png"]


def test_a_truth_of_another_size_is_a_sentence_with_the_sizes(folders: tuple[Path, Path]) -> None:
    lq, gt = folders
    _save(gt / "3.png", _truth(3, 66, 48))
    report = evaluate(NEAREST, find_pairs(lq, gt), "rgb", read=_read).report
    assert len(report.pictures) == 2
    assert "3x2.png has 48 x 66 pixels, and 2 times 24 x 32 is 48 x 64" in report.failed[0].message


def test_rows_that_the_shrinking_lost_are_cut_off_the_truth(folders: tuple[Path, Path]) -> None:
    lq, gt = folders
    truth = _truth(1)
    _save(gt / "1.png", np.pad(truth, ((0, 1), (0, 1), (0, 0)), mode="edge"))
    report = evaluate(NEAREST, find_pairs(lq, gt), "rgb", read=_read).report
    assert report.failed == []
    assert report.pictures[0].result is not None
    expected = peak_signal_noise_ratio(truth, truth[::2, ::2].repeat(2, 0).repeat(2, 1))
    assert report.pictures[0].result.psnr == pytest.approx(expected, abs=1e-9)


def test_a_model_that_breaks_its_scale_is_not_scored(folders: tuple[Path, Path]) -> None:
    broken = Subject("broken", 2, lambda image: image)
    report = evaluate(broken, find_pairs(*folders), "rgb", read=_read).report
    assert report.pictures == []
    assert "24 x 32 pixels of 1x2.png, which is not 2 times 24 x 32" in report.failed[0].message


@pytest.mark.parametrize("truly", ["-1..1", "0..1"])
def test_a_card_with_the_wrong_output_range_stops_the_evaluation(folders: tuple[Path, Path], truly: str) -> None:
    """The bug that cost a published system 15 dB: tanh output scored as if it were 0..1, or the reverse."""

    def restore(image: ImageBuffer) -> ImageBuffer:
        unit = enlarge_bicubic(Scored.from_image(image), 2).pixels / 255.0
        shown = 2 * unit - 1 if truly == "-1..1" else (unit + 1) / 2
        return ImageBuffer(np.rint(np.clip(shown, 0, 1) * 255).astype(np.uint8))

    with pytest.raises(PellucidError, match=rf"fit an output range of {truly}") as caught:
        evaluate(Subject("tanh", 2, restore), find_pairs(*folders), "rgb", read=_read)
    assert caught.value.code is Code.RANGE_MISMATCH


def test_strong_but_honest_changes_are_no_range_mistake() -> None:
    rng = np.random.default_rng(1)
    plain = Scored(_truth(4))
    for change in (
        lambda x: x + rng.normal(0, 60, x.shape),
        lambda x: 255 - x,
        lambda x: x * 0.6,
        lambda x: np.full_like(x, 128),
        lambda x: np.roll(x, 9, axis=1),
        lambda x: 255 * (x / 255) ** 0.6,
    ):
        changed = Scored(np.clip(change(plain.pixels.astype(float)), 0, 255).astype(np.uint8))
        refuse_another_range(changed, plain, "honest")


@pytest.mark.parametrize(
    ("low", "true"),
    [
        ("0801x4", "0801"),
        ("img_001_SRF_4_LR", "img_001_SRF_4_HR"),
        ("babyLRx4", "baby"),
        ("00001_LQ", "00001_GT"),
        ("Bild-lr", "bild"),
        ("cafe\u0301", "caf\u00e9"),
        ("日本 😀_x2", "日本 😀"),
        ("same", "same"),
    ],
)
def test_pairs_are_found_by_the_usual_names(low: str, true: str, tmp_path: Path) -> None:
    _save(tmp_path / "lq" / f"{low}.png", _truth(1))
    _save(tmp_path / "gt" / f"{true}.webp", _truth(1))
    _save(tmp_path / "gt" / "another.png", _truth(1))
    found = find_pairs(tmp_path / "lq", tmp_path / "gt")
    assert [(pair.source.stem, pair.truth.stem) for pair in found.pairs if pair.truth] == [(low, true)]
    assert found.unused_truths == ("another.png",)


def test_pictures_without_partner_or_with_too_many_are_named(tmp_path: Path) -> None:
    for name in ("a.png", "b_x4.png", "lonely.png"):
        _save(tmp_path / "lq" / name, _truth(1))
    for name in ("a.png", "b.png", "b_HR.png"):
        _save(tmp_path / "gt" / name, _truth(1))
    found = find_pairs(tmp_path / "lq", tmp_path / "gt")
    assert [pair.name for pair in found.pairs] == ["a.png"]
    sentences = {failure.name: failure.message for failure in found.unmatched}
    assert "Several ground truths" in sentences["b_x4.png"]
    assert "b.png, b_HR.png" in sentences["b_x4.png"]
    assert "no ground truth for lonely.png" in sentences["lonely.png"]


def test_two_low_quality_pictures_never_share_a_loosely_named_truth(tmp_path: Path) -> None:
    for name in ("a_x2.png", "a_x4.png", "b.png"):
        _save(tmp_path / "lq" / name, _truth(1))
    for name in ("a.png", "b.png"):
        _save(tmp_path / "gt" / name, _truth(1))
    found = find_pairs(tmp_path / "lq", tmp_path / "gt")
    assert [pair.name for pair in found.pairs] == ["b.png"]
    assert all("a_x2.png, a_x4.png all fit the one ground truth a.png" in f.message for f in found.unmatched)


def test_folders_that_give_no_pair_are_sentences(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    _save(tmp_path / "lq" / "a.png", _truth(1))
    _save(tmp_path / "gt" / "b.png", _truth(1))
    with pytest.raises(PellucidError, match="no folder"):
        find_pairs(tmp_path / "none", None)
    with pytest.raises(PellucidError, match="no picture in the folder"):
        find_pairs(tmp_path / "empty", None)
    with pytest.raises(PellucidError, match=r"No picture in .* has a ground truth"):
        find_pairs(tmp_path / "lq", tmp_path / "gt")


def test_pictures_come_in_counting_order(tmp_path: Path) -> None:
    for name in ("img10.png", "img9.png", "img1.png", ".hidden.png", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    assert [pair.name for pair in find_pairs(tmp_path, None).pairs] == ["img1.png", "img9.png", "img10.png"]


def test_tables_and_sheet_are_written_whole(folders: tuple[Path, Path], tmp_path: Path) -> None:
    evaluation = evaluate(NEAREST, find_pairs(*folders), "y", read=_read)
    outputs = {"table": tmp_path / "o" / "t.csv", "json": tmp_path / "o" / "r.json", "sheet": tmp_path / "o" / "s.png"}
    assert list(write_outputs(evaluation, **outputs)) == list(outputs.values())
    rows = list(csv.reader(io.StringIO(outputs["table"].read_text("utf-8"))))
    assert rows[0][:3] == ["picture", "PSNR-Y", "SSIM-Y"]
    assert [row[0] for row in rows[1:]] == ["1x2.png", "2x2.png", "3x2.png", "mean"]
    assert float(rows[4][1]) == pytest.approx(np.mean([float(row[1]) for row in rows[1:4]]), abs=1e-5)
    content = json.loads(outputs["json"].read_text("utf-8"))
    assert content["summary"]["psnr"] == pytest.approx(float(rows[4][1]), abs=1e-5)
    assert len(content["pictures"]) == 3
    with Image.open(outputs["sheet"]) as sheet:
        assert sheet.mode == "RGB"
    assert sorted(path.name for path in (tmp_path / "o").iterdir()) == ["r.json", "s.png", "t.csv"]


def test_the_sheet_shows_the_pixels_at_full_size(folders: tuple[Path, Path]) -> None:
    lq, gt = folders
    evaluation = evaluate(NEAREST, find_pairs(lq, gt), "rgb", read=_read)
    sheet = np.asarray(evaluation.draw())
    truth = _read(gt / "1.png").colour
    windows = np.lib.stride_tricks.sliding_window_view(sheet[:, :, 0], truth.shape[:2])
    corner = (windows[:, :, 0, 0] == truth[0, 0, 0]) & (windows[:, :, -1, -1] == truth[-1, -1, 0])
    assert any(np.array_equal(windows[y, x], truth[:, :, 0]) for y, x in np.argwhere(corner))
    labels = [cell.label for cell in evaluation.sheet[0].cells]
    assert [label.split(",")[0] for label in labels] == ["low quality", "bicubic", "nearest", "truth"]

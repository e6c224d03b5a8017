from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from engine.cli import main as command_line
from tests.trainer.tiny import draw_picture
from trainer.doctor import ADVICE, blockiness, examine, jpeg_quality, perceptual_hash, thumbnail_of


@pytest.fixture
def healthy(tmp_path: Path) -> Path:
    folder = tmp_path / "set"
    folder.mkdir()
    for number in range(12):
        draw_picture(number, 96, 112).save(folder / f"{number:02}.png")
    return folder


def kinds(report_findings: object) -> Counter[str]:
    return Counter(finding.kind for finding in report_findings)


def test_a_healthy_folder_has_nothing_to_be_said_about(healthy: Path) -> None:
    report = examine([healthy], 64, 4)
    assert report.findings == []
    assert report.healthy
    assert (report.pictures, report.smallest_side, report.layout) == (12, 96, "plain")
    assert report.megapixels == pytest.approx(12 * 96 * 112 / 1e6)


def test_every_fault_is_found_named_and_advised_on(healthy: Path) -> None:
    picture = draw_picture(50, 96, 112)
    (healthy / "a-broken.png").write_bytes((healthy / "00.png").read_bytes()[:300])
    (healthy / "b-empty.jpg").write_bytes(b"")
    draw_picture(51, 40, 200).save(healthy / "c-small.png")
    picture.convert("L").save(healthy / "d-grey.png")
    see_through = draw_picture(52, 96, 112).convert("RGBA")
    see_through.putalpha(128)
    see_through.save(healthy / "e-alpha.png")
    draw_picture(53, 96, 112).save(healthy / "f-heavy.jpg", quality=30)
    draw_picture(1, 96, 112).save(healthy / "g-copy.png")
    draw_picture(2, 96, 112).save(healthy / "h-near.jpg", quality=95)
    draw_picture(3, 96, 112).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(healthy / "i-mirror.png")
    report = examine([healthy], 64, 4)
    found = {(finding.kind, Path(finding.path).name) for finding in report.findings}
    assert found == {
        ("unreadable", "a-broken.png"),
        ("unreadable", "b-empty.jpg"),
        ("too-small", "c-small.png"),
        ("grey", "d-grey.png"),
        ("alpha", "e-alpha.png"),
        ("heavy-jpeg", "f-heavy.jpg"),
        ("duplicate", "g-copy.png"),
        ("duplicate", "h-near.jpg"),
        ("duplicate", "i-mirror.png"),
    }
    assert not report.healthy
    assert all(finding.kind in ADVICE and finding.text for finding in report.findings)


def test_wrong_pairs_are_found(pairs: Path) -> None:
    draw_picture(1, 15, 20).save(pairs / "LQ" / "0.png")
    (pairs / "LQ" / "1.png").unlink()
    (pairs / "LQ" / "2.png").write_bytes(b"no picture")
    report = examine([pairs], 32, 4, pairs=True)
    assert kinds(report.findings) == {"wrong-scale": 1, "no-partner": 1, "unreadable": 1}
    assert examine([pairs], 32, 2, pairs=True).by_kind()["wrong-scale"]


@pytest.mark.parametrize("change", ["same", "smaller", "jpeg", "mirror", "brighter"])
def test_validation_pictures_among_the_training_ones_are_found_whatever_was_done_to_them(
    change: str, healthy: Path, tmp_path: Path
) -> None:
    validation = tmp_path / "val"
    validation.mkdir()
    draw_picture(200, 96, 112).save(validation / "other.png")
    picture = draw_picture(7, 96, 112)
    match change:
        case "smaller":
            picture = picture.resize((61, 52), Image.Resampling.BICUBIC)
        case "mirror":
            picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        case "brighter":
            picture = ImageEnhance.Brightness(picture).enhance(1.04)
    picture.save(validation / ("x.jpg" if change == "jpeg" else "x.png"))
    report = examine([healthy], 64, 4, [validation])
    (finding,) = report.findings
    assert finding.kind == "leak"
    assert finding.path.endswith("07.png")
    assert "x." in finding.text
    assert not report.healthy


def test_a_folder_that_validates_itself_leaks_whole(healthy: Path) -> None:
    assert kinds(examine([healthy], 64, 4, [healthy]).findings) == {"leak": 12}


@pytest.mark.parametrize("quality", [20, 50, 75, 90, 98])
def test_the_quality_of_a_jpeg_is_read_from_its_tables(quality: int, tmp_path: Path) -> None:
    draw_picture(1, 64, 64).save(tmp_path / "x.jpg", quality=quality)
    read = jpeg_quality(tmp_path / "x.jpg")
    assert read is not None
    assert abs(read - quality) <= 2


def test_a_png_that_was_a_heavy_jpeg_shows_its_blocks(tmp_path: Path) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8))
    clean = np.asarray(noise.resize((320, 320), Image.Resampling.BICUBIC))
    Image.fromarray(clean).save(tmp_path / "x.jpg", quality=10)
    with Image.open(tmp_path / "x.jpg") as image:
        blocky = np.asarray(image)
    assert blockiness(clean) < 1.1
    assert blockiness(blocky) > 1.25


def test_hashes_of_different_pictures_are_far_apart() -> None:
    hashes = [perceptual_hash(thumbnail_of(np.asarray(draw_picture(number, 64, 64)))) for number in range(40)]
    distances = [bin(a ^ b).count("1") for place, a in enumerate(hashes) for b in hashes[:place]]
    assert np.mean(distances) > 20


def test_several_folders_are_one_set_of_pictures(healthy: Path, tmp_path: Path) -> None:
    copies = tmp_path / "copies"
    copies.mkdir()
    source = sorted(healthy.iterdir())[0]
    (copies / f"again{source.suffix}").write_bytes(source.read_bytes())
    report = examine([healthy, copies], 64, 4)
    assert report.pictures == examine([healthy], 64, 4).pictures + 1
    assert [finding.kind for finding in report.findings if "copies" in finding.path] == ["duplicate"]


def test_a_folder_named_twice_is_one_folder(healthy: Path) -> None:
    again = healthy.parent / "again"
    again.symlink_to(healthy)
    report = examine([healthy, healthy, again], 64, 4)
    assert (report.pictures, report.findings) == (12, [])


def test_versions_that_the_degrade_command_made_of_one_picture_are_no_duplicates(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, made = tmp_path / "source", tmp_path / "made"
    source.mkdir()
    for number in range(3):
        draw_picture(number, 96, 112).save(source / f"{number}.png")
    words = ["degrade", str(source), "-o", str(made), "--recipe", "real-esrgan", "--seed", "3", "--pairs"]
    assert command_line([*words, "--count", "3"]) == 0
    capsys.readouterr()
    assert examine([made], 64, 4, pairs=True).findings == []
    (made / "target" / "copy.png").write_bytes((made / "target" / "0-0001.png").read_bytes())
    (made / "input" / "copy.png").write_bytes((made / "input" / "0-0001.png").read_bytes())
    (finding,) = examine([made], 64, 4, pairs=True).findings
    assert {finding.kind, Path(finding.path).name} == {"duplicate", "copy.png"}


def test_a_set_without_one_picture_large_enough_is_not_called_healthy(healthy: Path) -> None:
    report = examine([healthy], 128, 4)
    assert kinds(report.findings) == {"too-small": 12}
    assert (report.usable, report.healthy) == (0, False)
    draw_picture(50, 128, 128).save(healthy / "large.png")
    report = examine([healthy], 128, 4)
    assert (report.usable, report.healthy) == (1, True)

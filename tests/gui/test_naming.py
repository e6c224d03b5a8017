"""What a result will be called, and which files below a folder are pictures."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.image.formats import EXTENSIONS, WRITTEN
from engine.image.naming import collect_sources
from engine.wire import RestoreOptions
from engine.wire_results import WRITTEN_SUFFIXES
from gui.naming import PICTURE_SUFFIXES, is_picture, pictures_below, result_name, results_place


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        (RestoreOptions(), "a.b_m_x4.JPG"),
        (RestoreOptions(format="png", name="{name}-{alpha}", alpha=0.25), "a.b-0.25.png"),
        (RestoreOptions(format="tiff", name="{width}x{height}"), "400x200.tif"),
        (RestoreOptions(name="{bogus}{name"), "{bogus}{name.JPG"),
    ],
)
def test_the_name_follows_the_template(options: RestoreOptions, wanted: str) -> None:
    assert result_name(options, "/x/a.b.JPG", "m", 4.0, 400, 200) == wanted


def test_folders_are_walked_in_order_without_hidden_files_and_loops(tmp_path: Path) -> None:
    for name in ("b/2.png", "b/1.HEIC", "a.jpg", ".hidden/3.png", "b/.4.png", "notes.txt", "c/deep/5.webp"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "c" / "loop").symlink_to(tmp_path)
    found = [Path(p).relative_to(tmp_path).as_posix() for some in pictures_below(str(tmp_path)) for p in some]
    assert found == ["a.jpg", "b/1.HEIC", "b/2.png", "c/deep/5.webp"]


def test_a_large_tree_is_given_in_pieces(tmp_path: Path) -> None:
    for number in range(200):
        (tmp_path / f"{number}.png").touch()
    pieces = list(pictures_below(str(tmp_path), slice_seconds=0.0))
    assert len(pieces) > 100
    assert sum(map(len, pieces)) == 200


def test_a_window_goes_on_while_many_results_are_told_apart(tmp_path: Path) -> None:
    for number in range(100):
        (tmp_path / f"{number}.png").touch()
        (tmp_path / f"{number}_m_x4.png").touch()
    results: list[tuple[str, str]] = []
    pieces = list(pictures_below(str(tmp_path), slice_seconds=0.0, results=results))
    assert (sum(map(len, pieces)), len(results)) == (100, 100)
    assert len(pieces) > 250


def test_suffixes_are_known_in_any_case() -> None:
    assert is_picture("/x/IMG.HeIc")
    assert not is_picture("/x/IMG.txt")
    assert not is_picture("/x/png")


@pytest.mark.parametrize(
    ("folder", "root", "wanted"),
    [
        ("", "/photos", ("/photos/trip", "")),
        ("Pellucid", "", ("/photos/trip/Pellucid", "")),
        ("Pellucid", "/photos", ("/photos/Pellucid", "/photos")),
        ("/results", "/photos", ("/results", "/photos")),
    ],
)
def test_results_go_beside_the_originals_or_into_one_folder(folder: str, root: str, wanted: tuple[str, str]) -> None:
    assert results_place(folder, "/photos/trip/a.png", root) == wanted


def test_results_of_last_time_are_no_pictures_to_restore(tmp_path: Path) -> None:
    for name in ("a.jpg", "Pellucid/a_x4.jpg", "trip/Pellucid/b_x4.jpg"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert [Path(p).name for some in pictures_below(str(tmp_path), left_out="Pellucid") for p in some] == ["a.jpg"]


def test_results_that_lie_among_the_originals_are_told_apart_as_the_command_line_does(tmp_path: Path) -> None:
    names = ["a.jpg", "a_m_x4.jpg", "a_m_x4 (2).png", "b_to_x2.jpg", "out/trip/c_m_x4.png", "trip/c.heic"]
    for name in names:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    results: list[tuple[str, str]] = []
    found = [path for some in pictures_below(str(tmp_path), results=results) for path in some]
    theirs = collect_sources([tmp_path])
    assert sorted(found) == sorted(str(path) for path, _root in theirs.pictures)
    assert sorted(results) == sorted(theirs.left_out)
    assert len(results) == 3
    everything = [path for some in pictures_below(str(tmp_path)) for path in some]
    assert len(everything) == len(names)


def test_a_format_that_cannot_be_written_is_announced_as_png() -> None:
    assert result_name(RestoreOptions(), "/x/IMG.HEIC", "m", 4.0).endswith(".png")


def test_the_window_takes_the_pictures_that_the_engine_takes() -> None:
    assert set(EXTENSIONS) == PICTURE_SUFFIXES
    assert {suffix for suffix in EXTENSIONS if EXTENSIONS[suffix] in WRITTEN} - {".apng"} == WRITTEN_SUFFIXES

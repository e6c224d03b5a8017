"""Names of results: what the template says, never a name that loses something, never one the file system refuses."""

from __future__ import annotations

import errno
import itertools
import os
import re
import sys
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import Code, PellucidError
from engine.image.formats import EXTENSIONS, WRITTEN
from engine.image.naming import (
    Place,
    check_template,
    choose_format,
    collect_sources,
    is_one_place,
    natural_key,
    numbered,
    output_name,
    output_path,
    shorten,
    spelt_alike,
)
from engine.wire import Existing, RestoreOptions
from engine.wire_results import PicturesOfTree

FIELDS = {"model": "compact-16", "scale": "4", "alpha": "0.5", "width": "800", "height": "600"}
DEFAULT = RestoreOptions().name


def place(
    source: Path,
    target: Path,
    *,
    root: Path | None = None,
    kind: str = "png",
    template: str = DEFAULT,
    existing: Existing = "number",
    reserved: tuple[Path, ...] = (),
    others: tuple[Path, ...] = (),
) -> Path | None:
    given = output_path(
        source,
        target,
        root=root,
        format=kind,
        template=template,
        fields=FIELDS,
        existing=existing,
        reserved=reserved,
        others=others,
    )
    return None if given.skipped else given.path


def test_the_template_is_filled() -> None:
    assert output_name(Path("/a/cat.jpg"), "png", DEFAULT, FIELDS) == "cat_compact-16_x4.png"
    everything = "{name}-{model}-{scale}-{alpha}-{width}-{height}-{date}"
    today = date.today().isoformat()
    assert output_name(Path("cat.jpg"), "tiff", everything, FIELDS) == f"cat-compact-16-4-0.5-800-600-{today}.tif"
    assert output_name(Path("cat.jpg"), "png", "100% {result}!"[:5] + "{scale}", FIELDS) == "100% 4.png"


@pytest.mark.parametrize("name", ["{model}", "{name}", "{{x}}", "100%s %d", "a{b", "}", "#1 {0}"])
def test_braces_and_percent_signs_of_the_source_stay(name: str) -> None:
    assert output_name(Path(f"{name}.png"), "png", DEFAULT, FIELDS) == f"{name}_compact-16_x4.png"


def test_extensions_of_the_same_format_are_kept() -> None:
    for name, kind, wanted in [
        ("a.JPEG", "jpeg", ".JPEG"),
        ("a.tiff", "tiff", ".tiff"),
        ("a.jpg", "png", ".png"),
        ("a.png", "jpeg", ".jpg"),
        ("archive.tar.png", "png", ".png"),
        ("no extension", "webp", ".webp"),
    ]:
        assert output_name(Path(name), kind, "{name}", FIELDS) == Path(name).stem + wanted


def test_models_with_odd_names_make_safe_names() -> None:
    name = output_name(Path("a.png"), "png", DEFAULT, FIELDS | {"model": "../../x:y|z"})
    assert name == "a_..-..-x-y-z_x4.png"


@pytest.mark.parametrize("template", ["", "  ", "a/b", "..\\x", "{unknown}", "a\0b", 'say "hi"'])
def test_bad_templates_are_refused(template: str) -> None:
    with pytest.raises(PellucidError, match="template") as caught:
        check_template(template)
    assert caught.value.code is Code.USAGE


@given(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=250),
    st.sampled_from([DEFAULT, "{name}{name}", "{model}", "{name} {date}"]),
)
def test_every_source_gets_a_name_that_fits(stem: str, template: str) -> None:
    name = output_name(Path(stem + ".png"), "png", template, FIELDS)
    assert 0 < len(os.fsencode(name)) <= 255
    assert "/" not in name
    assert not name.startswith(".")
    assert len(os.fsencode(numbered(Path(name), 9999).name)) <= 255
    name.encode()  # whole characters only


def test_long_names_give_way_before_what_tells_results_apart(tmp_path: Path) -> None:
    for stem in ("x" * 251, "写" * 83, "🎉" * 62):
        name = output_name(Path(f"{stem}.png"), "png", DEFAULT, FIELDS)
        assert name.endswith("_compact-16_x4.png")
        assert name.startswith(stem[:50])
        (tmp_path / name).write_bytes(b"")


@pytest.mark.skipif(not hasattr(os, "pathconf"), reason="Windows has one limit for all")
def test_names_fit_where_the_drive_takes_shorter_ones_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "pathconf", lambda folder, _name: 143 if Path(folder) == tmp_path else 255)
    source = Path("/elsewhere") / f"{'写' * 60}.png"
    for target in (tmp_path, tmp_path / "not" / "there"):
        made = place(source, target)
        assert made is not None
        assert made.name.endswith("_compact-16_x4.png")
        assert 130 < len(os.fsencode(made.name)) <= 143 - len(" (9999)")
    made = place(source, tmp_path.parent)
    assert made is not None
    assert made.name == f"{'写' * 60}_compact-16_x4.png"


def test_shortening_cuts_between_characters() -> None:
    assert [shorten("aé写🎉", limit) for limit in range(12)] == (
        ["", "a", "a", "aé", "aé", "aé", "aé写", "aé写", "aé写", "aé写", "aé写🎉", "aé写🎉"]
    )


@pytest.fixture(params=[errno.EINVAL, errno.ENOENT])
def stick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Path:
    """A folder on a drive that takes names as FAT does, or a network drive."""
    folder = tmp_path / "stick"
    folder.mkdir()
    open_file = os.open

    def refuse(name: object, *words: object) -> int:
        path = Path(os.fsdecode(name))  # type: ignore[arg-type]
        if folder in path.parents and re.search(
            r'[\\:*?"<>|\x00-\x1f\udc80-\udcff]', path.relative_to(folder).as_posix()
        ):
            raise OSError(request.param, "no such name", str(path))
        return open_file(name, *words)  # type: ignore[call-overload,no-any-return]

    monkeypatch.setattr(os, "open", refuse)
    return folder


@pytest.mark.skipif(sys.platform == "win32", reason="there no file has such a name")
def test_letters_that_the_drive_refuses_become_underscores_and_are_told(stick: Path, tmp_path: Path) -> None:
    root = tmp_path / "trip: Rome?"
    source = root / "day 1: rain" / "why?\udcfc.png"

    def result(target: Path, existing: Existing = "number") -> Place:
        return output_path(source, target, root=root, format="png", template=DEFAULT, fields=FIELDS, existing=existing)

    made = result(stick / "new")
    assert made.path == stick / "new" / "day 1_ rain" / "why___compact-16_x4.png"
    assert len(made.notices) == 1
    assert r": ? \udcfc" in made.notices[0]
    assert list(stick.iterdir()) == []
    made.path.parent.mkdir(parents=True)
    made.path.touch()
    assert result(stick / "new", "skip").skipped
    assert result(stick / "new", "overwrite").path == made.path
    assert result(stick / "new").path.name == "why___compact-16_x4 (2).png"
    elsewhere = result(tmp_path / "out")
    assert elsewhere.path == tmp_path / "out" / "day 1: rain" / "why?\udcfc_compact-16_x4.png"
    assert elsewhere.notices == ()


@pytest.mark.skipif(sys.platform == "win32", reason="there it is no name at all")
def test_a_name_that_was_asked_for_and_the_drive_refuses_is_said_before_any_work(stick: Path, tmp_path: Path) -> None:
    with pytest.raises(PellucidError, match="takes no : in the name") as caught:
        place(tmp_path / "a.png", stick / "a:b.png")
    assert caught.value.code is Code.FILE_UNWRITABLE
    assert place(tmp_path / "a.png", tmp_path / "a:b.png") == tmp_path / "a:b.png"
    assert place(tmp_path / "a.png", stick / "a-b.png") == stick / "a-b.png"


def test_folders_are_mirrored(tmp_path: Path) -> None:
    root = tmp_path / "in"
    source = root / "2020" / "mai" / "a.png"
    out = tmp_path / "out"
    assert place(source, out, root=root) == out / "2020" / "mai" / "a_compact-16_x4.png"
    assert place(source, out) == out / "a_compact-16_x4.png"
    assert place(Path("/elsewhere/a.png"), out, root=root) == out / "a_compact-16_x4.png"


def test_a_target_with_a_pictures_extension_is_a_file(tmp_path: Path) -> None:
    source = tmp_path / "a.png"
    assert place(source, tmp_path / "b.webp", kind="webp") == tmp_path / "b.webp"
    (tmp_path / "folder.png").mkdir()
    assert place(source, tmp_path / "folder.png") == tmp_path / "folder.png" / "a_compact-16_x4.png"
    assert place(source, tmp_path / "v1.2") == tmp_path / "v1.2" / "a_compact-16_x4.png"


def test_what_exists_is_numbered_skipped_or_overwritten(tmp_path: Path) -> None:
    source = tmp_path / "a.png"
    taken = tmp_path / "a_compact-16_x4.png"
    taken.write_bytes(b"")
    assert place(source, tmp_path) == tmp_path / "a_compact-16_x4 (2).png"
    (tmp_path / "a_compact-16_x4 (2).png").write_bytes(b"")
    assert place(source, tmp_path) == tmp_path / "a_compact-16_x4 (3).png"
    assert place(source, tmp_path, existing="skip") is None
    assert place(source, tmp_path, existing="overwrite") == taken
    dangling = tmp_path / "b_compact-16_x4.png"
    dangling.symlink_to(tmp_path / "nowhere")
    assert place(tmp_path / "b.png", tmp_path) == tmp_path / "b_compact-16_x4 (2).png"


def test_places_promised_to_others_are_never_given_twice(tmp_path: Path) -> None:
    first = place(tmp_path / "a.jpg", tmp_path)
    assert first is not None
    for existing in ("number", "overwrite"):
        second = place(tmp_path / "a.png", tmp_path, existing=existing, reserved=(first,))
        assert second == tmp_path / "a_compact-16_x4 (2).png"


@pytest.fixture
def careless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on a drive that takes names for one whatever their case and however their accents are written."""
    folder = tmp_path / "careless"
    folder.mkdir()
    lexists = os.path.lexists

    def is_there(name: str | os.PathLike[str]) -> bool:
        path = Path(name)
        if folder not in path.parents or not path.parent.is_dir():
            return lexists(name)
        return spelt_alike(path) in {spelt_alike(entry) for entry in path.parent.iterdir()}

    monkeypatch.setattr(os.path, "lexists", is_there)
    return folder


ALIKE = [("Sea.png", "SEA.png"), ("Straße.png", "STRASSE.png"), ("café.png", "café.png"), ("a/b.png", "A/B.png")]


@pytest.mark.parametrize(("one", "other"), ALIKE)
def test_two_names_are_one_where_the_drive_takes_them_for_one(
    one: str, other: str, careless: Path, tmp_path: Path
) -> None:
    assert is_one_place(careless / one, careless / other)
    assert not is_one_place(careless / one, careless / f"x{other}")
    assert is_one_place(tmp_path / one, tmp_path / other) == (sys.platform in ("win32", "darwin"))
    assert is_one_place(tmp_path / one, tmp_path / one)
    assert [entry.name for entry in tmp_path.iterdir()] == ["careless"]
    assert list(careless.iterdir()) == []


def test_a_place_promised_under_another_spelling_is_given_only_once(careless: Path, tmp_path: Path) -> None:
    first = place(tmp_path / "Sea.jpg", careless)
    assert first is not None
    for existing in ("number", "overwrite", "skip"):
        second = place(tmp_path / "SEA.png", careless, existing=existing, reserved=(first,))
        assert second == careless / "SEA_compact-16_x4 (2).png"


def test_where_the_drive_takes_no_name_to_ask_with_a_number_is_given(tmp_path: Path) -> None:
    """Rather than that one picture takes the place of another."""
    assert is_one_place(tmp_path / ("a" * 240), tmp_path / ("A" * 240))


def test_what_belongs_to_another_original_is_neither_its_result_nor_replaced(tmp_path: Path) -> None:
    taken, second = tmp_path / "a_compact-16_x4.png", tmp_path / "a_compact-16_x4 (2).png"
    taken.write_bytes(b"")
    for existing in ("number", "skip", "overwrite"):
        assert place(tmp_path / "b" / "a.png", tmp_path, existing=existing, others=(taken,)) == second
    second.write_bytes(b"")
    # Of an earlier run, by its own name: that is what skip means.
    assert place(tmp_path / "b" / "a.png", tmp_path, existing="skip", others=(taken,)) is None
    # Who names a file means that file.
    assert place(tmp_path / "b" / "a.png", taken, existing="overwrite", others=(taken,)) == taken


def test_skip_does_not_take_the_original_for_its_result(tmp_path: Path) -> None:
    source = tmp_path / "a.png"
    source.write_bytes(b"")
    assert place(source, tmp_path, template="{name}", existing="skip") == tmp_path / "a (2).png"


def test_the_source_is_overwritten_only_when_it_is_named(tmp_path: Path) -> None:
    source = tmp_path / "a.png"
    source.write_bytes(b"")
    assert place(source, tmp_path, template="{name}", existing="overwrite") == tmp_path / "a (2).png"
    assert place(source, tmp_path, template="{name}") == tmp_path / "a (2).png"
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    assert place(source, link, template="{name}", existing="overwrite") == link / "a (2).png"
    assert place(source, source, existing="overwrite") == source
    assert place(source, source) == tmp_path / "a (2).png"


def test_the_format_follows_wish_name_and_source(tmp_path: Path) -> None:
    for kind in ("png", "jpeg", "tiff", "webp", "avif"):
        assert choose_format("same", tmp_path, kind, transparent=False) == kind
    for kind in ("gif", "bmp", "heic", "raw"):
        assert choose_format("same", tmp_path, kind, transparent=False) == "png"
    assert choose_format("same", tmp_path, "jpeg", transparent=True) == "png"
    assert choose_format("jpeg", tmp_path, "png", transparent=True) == "jpeg"
    assert choose_format("same", tmp_path / "b.tif", "png", transparent=False) == "tiff"
    for wish, target in (("png", tmp_path / "b.tif"), ("gif", tmp_path)):
        with pytest.raises(PellucidError) as caught:
            choose_format(wish, target, "png", transparent=False)
        assert caught.value.code is Code.USAGE


def test_folders_are_searched_in_the_order_people_expect(tmp_path: Path) -> None:
    names = ["b/2.png", "b/10.png", "b/1.PNG", "a10/x.jpg", "a2/x.jpg", "note.txt", ".hidden.png", ".cache/x.png"]
    for name in [*names, "写真/é.webp", "c.heic", "raw/p.NEF"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    found = collect_sources([tmp_path]).pictures
    assert [str(file.relative_to(tmp_path)) for file, _ in found] == [
        "c.heic",
        "a2/x.jpg",
        "a10/x.jpg",
        "b/1.PNG",
        "b/2.png",
        "b/10.png",
        "raw/p.NEF",
        "写真/é.webp",
    ]
    assert {root for _, root in found} == {tmp_path}


@pytest.mark.parametrize("here", [False, True])
def test_results_of_pictures_in_the_folder_are_no_sources_and_are_told(
    here: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = {
        "a_photo-compact_x4.jpg": "a.jpg",
        "a_photo-compact_x4 (2).png": "a.jpg",
        "a_photo-compact_x4_m_x2.5.jpg": "a.jpg",
        "b/mirrored/x_m_x4.tiff": "x.tiff",
        "b/x_my_own_model_x0.25.tif": "x.tiff",
        "mirrored/b/x_m_x4.png": "x.tiff",
        "out/my_cat_m_x4.png": "my_cat.heic",
    }
    originals = {
        *("a.jpg", "b/x.tiff", "my_cat.heic", "plan_x4.png", "road_to_x2.jpg"),
        # no such names
        *("a_m_x04.jpg", "a_m_x2.50.jpg", "a_m_x4 (1).jpg", "a__x4.jpg", "a_m_x4 (2)b.jpg"),
        *("a_m_x4.bmp", "a_m_x4.JPG", "a_m_x4.tiff", "my_cat_m_x4.heic"),  # no such formats
        *("c/x_m_x4.png", "x_m_x4.tif"),  # not in a folder that results of b/x.tiff go to
    }
    for name in (*originals, *results):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    root = Path() if here else tmp_path
    collected = collect_sources([root])
    assert {file.relative_to(root).as_posix() for file, _ in collected.pictures} == originals
    assert {Path(path).relative_to(root).as_posix(): original for path, original in collected.left_out} == results
    named = collect_sources([root, root / "a_photo-compact_x4.jpg"])
    assert len(named.pictures) == len(originals) + 1
    assert len(named.left_out) == len(results) - 1


@pytest.mark.parametrize("scale", [0.25, 0.5, 1, 1.5, 2, 2.6666667, 3, 4, 10, 16])
def test_every_name_that_results_get_is_known_again(scale: float, tmp_path: Path) -> None:
    fields = FIELDS | {"scale": f"{scale:.4g}", "model": "odd_name x2"}
    for suffix, kind in itertools.product(EXTENSIONS, WRITTEN):
        source = tmp_path / f"my_cat.2{suffix}"
        made = tmp_path / output_name(source, kind, DEFAULT, fields)
        tree = PicturesOfTree()
        tree.add(str(source))
        for result in (made, numbered(made, 2), numbered(made, 120)):
            assert tree.original_of(str(result)) == source.name
        assert tree.original_of(str(source)) == ""


def test_folders_of_the_system_are_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a/p.png", "$RECYCLE.BIN/p.png", "@eaDir/p.png"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(b"")
    scandir = os.scandir

    def refuse(place: object) -> object:
        if str(place) in (str(tmp_path / "locked"), str(tmp_path / "none")):
            raise PermissionError(13, "Permission denied", str(place))
        return scandir(place)

    (tmp_path / "locked").mkdir()
    (tmp_path / "none").mkdir()
    monkeypatch.setattr(os, "scandir", refuse)
    assert [file for file, _ in collect_sources([tmp_path]).pictures] == [tmp_path / "a" / "p.png"]
    with pytest.raises(PellucidError, match="none cannot be read"):
        collect_sources([tmp_path / "none"])


def test_named_files_are_taken_whatever_they_are_called_and_once(tmp_path: Path) -> None:
    odd = tmp_path / "picture.dat"
    odd.write_bytes(b"")
    (tmp_path / "a.png").write_bytes(b"")
    assert collect_sources([odd, odd]).pictures == [(odd, None)]
    assert collect_sources([tmp_path / "a.png", tmp_path]).pictures == [(tmp_path / "a.png", None)]
    gone = tmp_path / "gone.png"  # opening it says so, and stops no other
    assert collect_sources([gone, odd]).pictures == [(gone, None), (odd, None)]


def test_numbers_sort_by_value() -> None:
    assert sorted(["10", "9", "a1b10", "a1b9", "B", "²"], key=natural_key)[:2] == ["9", "10"]
    assert sorted(["x10", "X9"], key=natural_key) == ["X9", "x10"]
    assert set(EXTENSIONS.values()) >= {"png", "jpeg", "webp", "tiff", "bmp", "gif", "avif", "heic", "raw"}

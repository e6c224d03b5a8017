from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from engine.cli.frame import run_command_line
from engine.degrade import files
from engine.degrade.bench import add_degrade_bench_parser
from engine.degrade.cli import add_degrade_parser
from engine.degrade.execute import degrade_batch
from engine.degrade.files import sample_number
from engine.degrade.plan import Plan
from engine.degrade.recipe import load_recipe
from engine.degrade.sheet import contact_sheet, summary
from kernels.degrade import planes_of
from kernels.errors import KernelMemoryError


def degrade(*words):
    return run_command_line(["degrade", *map(str, words)], add_degrade_parser)


def photo(path, size=(64, 48), mode="RGB"):
    """(width, height) picture with structure, saved in the format its name says."""
    x, y = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    planes = np.stack([(x * 4 + y) % 256, (x * y) % 256, 255 - (y * 5) % 256], -1).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(planes).convert(mode).save(path)
    return path


def test_a_picture_becomes_a_smaller_one_with_its_plan_beside_it(tmp_path, capsys):
    source = photo(tmp_path / "in" / "bild ä.png")
    assert degrade(source, "-o", tmp_path / "out", "--seed", 5) == 0
    result, plan_file = tmp_path / "out" / "bild ä.png", tmp_path / "out" / "bild ä.json"
    with Image.open(result) as image:
        assert (image.size, image.mode) == ((16, 12), "RGB")
        pixels = np.asarray(image)
    plan = Plan.from_json(plan_file.read_bytes())
    assert (plan.recipe, plan.seed, plan.source_size) == ("real-esrgan", 5, (48, 64))
    assert plan.samples[0] == sample_number("bild ä.png", 0)
    with Image.open(source) as image:
        again, _ = degrade_batch(planes_of(np.asarray(image)[np.newaxis]), plan)
    assert np.array_equal(np.rint(again[0] * 255).astype(np.uint8).transpose(1, 2, 0), pixels)
    assert "1 written, 0 failed" in capsys.readouterr().out
    assert sorted(path.name for path in result.parent.iterdir()) == ["bild ä.json", "bild ä.png"]


def test_other_files_beside_a_picture_change_nothing(tmp_path):
    one = photo(tmp_path / "in" / "b.png")
    assert degrade(one, "-o", tmp_path / "alone") == 0
    photo(tmp_path / "in" / "a.png", (80, 80))
    assert degrade(tmp_path / "in", "-o", tmp_path / "all", "--threads", 1) == 0
    assert (tmp_path / "alone" / "b.png").read_bytes() == (tmp_path / "all" / "b.png").read_bytes()
    assert (tmp_path / "alone" / "b.json").read_bytes() == (tmp_path / "all" / "b.json").read_bytes()


def test_versions_differ_and_are_numbered(tmp_path):
    source = photo(tmp_path / "a.png")
    assert degrade(source, "-o", tmp_path / "out", "--count", 3) == 0
    assert sorted(path.name for path in (tmp_path / "out").glob("*.png")) == ["a-0000.png", "a-0001.png", "a-0002.png"]
    assert len({path.read_bytes() for path in (tmp_path / "out").glob("*.png")}) == 3


def test_pairs_fit_each_other(tmp_path):
    photo(tmp_path / "in" / "sub" / "a.png", (67, 50))
    arguments = ["-o", tmp_path / "out", "--pairs", "--recipe", "esrgan-augment", "--count", 12]
    assert degrade(tmp_path / "in", *arguments) == 0
    sizes = set()
    for version in range(12):
        name = f"a-{version:04d}.png"
        low_file, high_file = (tmp_path / "out" / part / "sub" / name for part in ("input", "target"))
        with Image.open(low_file) as low, Image.open(high_file) as high:
            assert (low.width * 4, low.height * 4) == high.size
            sizes.add(high.size)
    assert sizes == {(64, 48), (48, 64)}


@pytest.mark.parametrize("mode", ["L", "RGBA", "LA", "P", "1", "CMYK"])
def test_every_colour_mode_becomes_rgb(tmp_path, mode):
    name = "a.tif" if mode == "CMYK" else "a.png"
    assert degrade(photo(tmp_path / name, mode=mode), "-o", tmp_path / "out", "--recipe", "bicubic") == 0
    with Image.open(tmp_path / "out" / "a.png") as image:
        assert image.mode == "RGB"
        if mode in ("L", "LA", "1"):
            pixels = np.asarray(image)
            assert (pixels[..., 0] == pixels[..., 1]).all()


def test_a_sheet_shows_all_samples(tmp_path):
    sources = [photo(tmp_path / "a.png", (300, 220)), photo(tmp_path / "b.png", (40, 50))]
    assert degrade(*sources, "-o", tmp_path / "out", "--sheet", 7, "--recipe", "bsrgan") == 0
    with Image.open(tmp_path / "out" / "sheet.png") as sheet:
        assert sheet.width > 2 * 192
        assert sheet.height > 3 * 192
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["sheet.png"]


def test_a_sheet_tells_where_each_sample_lies_and_what_happened_to_it(tmp_path, capsys):
    source = photo(tmp_path / "a.png", (300, 220))
    assert degrade(source, "-o", tmp_path / "out", "--sheet", 5, "--recipe", "bicubic", "--json") == 0
    samples = json.loads(capsys.readouterr().out)["samples"]
    assert len(samples) == 5
    with Image.open(tmp_path / "out" / "sheet.png") as sheet:
        for sample in samples:
            halves = []
            for left, top, width, height in (sample["original"], sample["damaged"]):
                halves.append(np.asarray(sheet.crop((left, top, left + width, top + height)).convert("L"), float))
            assert halves[0].shape == halves[1].shape == (192, 192)
            assert np.corrcoef(halves[0].ravel(), halves[1].ravel())[0, 1] > 0.3
            assert "bicubic" in sample["text"]


def test_a_sheet_passes_over_what_is_no_picture_and_says_so(tmp_path, capsys):
    photo(tmp_path / "in" / "b.png", (300, 220))
    (tmp_path / "in" / "a.png").write_bytes(b"no picture")
    photo(tmp_path / "in" / "c.png", (3, 3))
    assert degrade(tmp_path / "in", "-o", tmp_path / "out", "--sheet", 4, "--json") == 1
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [Path(line["source"]).name for line in lines[:-1]] == ["a.png", "c.png"]
    assert lines[-1]["failed"] == 2
    assert len(lines[-1]["samples"]) == 4
    photo(tmp_path / "alone" / "b.png", (300, 220))
    assert degrade(tmp_path / "alone", "-o", tmp_path / "again", "--sheet", 4) == 0
    assert (tmp_path / "out" / "sheet.png").read_bytes() == (tmp_path / "again" / "sheet.png").read_bytes()
    capsys.readouterr()
    (tmp_path / "in" / "b.png").unlink()
    assert degrade(tmp_path / "in", "-o", tmp_path / "none", "--sheet", 4) == 1
    told = capsys.readouterr().err
    for words in ("a.png", "c.png", "no picture to make a sheet of"):
        assert words in told
    assert not (tmp_path / "none").exists()


def test_a_sheet_is_the_same_every_time_and_another_with_another_seed():
    picture = np.random.default_rng(0).integers(0, 256, (100, 120, 3), np.uint8)
    recipe = load_recipe("esrgan-augment")
    sheets = [contact_sheet([picture], recipe, seed, 4, crop=64)[0].tobytes() for seed in (1, 1, 2)]
    assert sheets[0] == sheets[1] != sheets[2]


def test_json_lines_carry_the_operations_and_a_summary_comes_last(tmp_path, capsys):
    assert degrade(photo(tmp_path / "a.png"), tmp_path / "missing.png", "-o", tmp_path / "out", "--json") == 1
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines[0]["source"] == str(tmp_path / "a.png")
    assert lines[0]["operations"][-1]["op"] == "round"
    assert lines[0]["summary"] == summary(lines[0]["operations"])
    assert lines[1]["error"] == "file-missing"
    assert lines[-1]["written"] == 1
    assert lines[-1]["failed"] == 1
    assert lines[-1]["digest"] == load_recipe("real-esrgan").digest


@pytest.mark.parametrize("encoding", ["utf-8:strict", "utf-8:surrogateescape", "ascii:strict"])
def test_a_name_that_is_no_text_is_told_in_text(tmp_path, encoding):
    """File systems take any bytes. What is printed is UTF-8 all the same, and JSON leads back to the file."""
    folder = tmp_path / "in ä"
    photo(folder / "a.png")
    try:
        (folder / os.fsdecode(b"b\xff.png")).write_bytes((folder / "a.png").read_bytes())
    except OSError:
        pytest.skip("this file system wants names to be text")
    code = (
        "import sys\nfrom engine.cli.frame import run_command_line\n"
        "from engine.degrade.cli import add_degrade_parser\n"
        "sys.exit(run_command_line(sys.argv[1:], add_degrade_parser))"
    )

    def told(*words):
        words = [sys.executable, "-c", code, "degrade", folder, *words]
        ran = subprocess.run(words, capture_output=True, env={**os.environ, "PYTHONIOENCODING": encoding}, check=False)
        assert ran.returncode == 0, ran.stderr
        assert ran.stderr == b""
        return ran.stdout

    lines = [json.loads(line) for line in told("-o", tmp_path / "out", "--json").decode("utf-8").splitlines()]
    assert [os.fsencode(line["source"]) for line in lines[:2]] == [
        os.fsencode(folder) + name for name in (b"/a.png", b"/b\xff.png")
    ]
    assert lines[-1]["written"] == 2
    for line in lines[:2]:
        with Image.open(os.fsencode(line["written"])) as image:
            assert image.size == (16, 12)
    assert b"2 written, 0 failed" in told("-o", tmp_path / "again")


def test_several_pictures_are_worked_on_at_once(tmp_path, monkeypatch):
    """Versions of one picture as well as different pictures: each waits here until three have come."""
    together = threading.Barrier(3)

    def meet(*arguments, **options):
        together.wait(60)
        return degrade_batch(*arguments, **options)

    monkeypatch.setattr(files, "degrade_batch", meet)
    photo(tmp_path / "a.png")
    assert degrade(tmp_path / "a.png", "-o", tmp_path / "out", "--count", 3, "--threads", 3) == 0
    for name in ("x.png", "y.png", "z.png"):
        photo(tmp_path / "in" / name)
    assert degrade(tmp_path / "in", "-o", tmp_path / "out", "--threads", 3) == 0


def test_no_more_pictures_are_worked_on_than_memory_holds(tmp_path, monkeypatch):
    inside, most = 0, 0
    lock = threading.Lock()

    def count(*arguments, **options):
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        time.sleep(0.02)
        result = degrade_batch(*arguments, **options)
        with lock:
            inside -= 1
        return result

    monkeypatch.setattr(files, "degrade_batch", count)
    source = photo(tmp_path / "a.png")
    for memory, expected in ((0, 1), (2 * 2 * 64 * 48 * files._BYTES_A_PIXEL, 2)):
        monkeypatch.setattr(files, "available_memory", lambda memory=memory: memory)
        most = 0
        assert degrade(source, "-o", tmp_path / f"{memory}", "--count", 12, "--threads", 4) == 0
        assert most == expected


@pytest.mark.parametrize("extra", [(), ("--pairs",)])
def test_what_is_written_and_told_does_not_depend_on_threads(tmp_path, capsys, monkeypatch, extra):
    """With a large picture first, unreadable and tiny ones between, and a result that is there already."""
    photo(tmp_path / "in" / "a.png", (700, 500))
    for number in range(6):
        photo(tmp_path / "in" / f"b{number}.png", (40 + number, 40))
    (tmp_path / "in" / "b2.png").write_bytes(b"no picture")
    photo(tmp_path / "in" / "b4.png", (3, 3))
    told, made = [], []
    for threads in (1, 2, 7):
        out = tmp_path / "out"
        photo(out / "input" / "b3-0001.png" if extra else out / "b3-0001.png")
        assert degrade(tmp_path / "in", "-o", out, "--count", 3, "--threads", threads, "--json", *extra) == 1
        told.append(capsys.readouterr().out)
        made.append({path.relative_to(out): path.read_bytes() for path in out.rglob("*") if path.is_file()})
        shutil.rmtree(out)
    assert told[0] == told[1] == told[2]
    assert made[0] == made[1] == made[2]
    lines = [json.loads(line) for line in told[0].splitlines()]
    assert [line["error"] for line in lines if "error" in line] == ["image-unsupported", "file-unwritable", "config"]
    assert lines[-1]["written"] == 14
    assert lines[-1]["failed"] == 3


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_an_interrupt_ends_it_soon_and_leaves_whole_files_only(tmp_path):
    source = photo(tmp_path / "a.png", (600, 600))
    code = (
        "import signal, sys\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from engine.cli.frame import run_command_line\nfrom engine.degrade.cli import add_degrade_parser\n"
        "sys.exit(run_command_line(sys.argv[1:], add_degrade_parser))"
    )
    words = ["degrade", source, "-o", tmp_path / "out", "--count", "100000", "--threads", "3", "--json"]
    process = subprocess.Popen([sys.executable, "-c", code, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    for _ in range(3):
        assert json.loads(process.stdout.readline())["written"]
    process.send_signal(signal.SIGINT)
    out, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert told == b"pellucid: interrupted.\n"
    assert len(out.splitlines()) < 100
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {name for name in names if not name.endswith((".png", ".json"))} == set()
    for name in names:
        if name.endswith(".png"):
            assert name.replace(".png", ".json") in names
            with Image.open(tmp_path / "out" / name) as image:
                image.load()


def test_a_picture_too_large_for_memory_stops_no_other(tmp_path, capsys, monkeypatch):
    def refuse(planes, *arguments, **options):
        if planes.shape[-1] == 80:
            raise KernelMemoryError("there is not enough memory for this picture")
        return degrade_batch(planes, *arguments, **options)

    monkeypatch.setattr(files, "degrade_batch", refuse)
    photo(tmp_path / "in" / "a.png", (80, 80))
    photo(tmp_path / "in" / "b.png")
    assert degrade(tmp_path / "in", "-o", tmp_path / "out") == 1
    told = capsys.readouterr()
    assert "not enough memory to damage" in told.err
    assert "a.png" in told.err
    assert "1 written, 1 failed" in told.out


def test_a_broken_file_stops_no_other(tmp_path, capsys):
    photo(tmp_path / "in" / "a.png")
    whole = (tmp_path / "in" / "a.png").read_bytes()
    (tmp_path / "in" / "b.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "in" / "c.png").write_bytes(b"")
    photo(tmp_path / "in" / "d.png", (3, 3))
    photo(tmp_path / "in" / "e.png")
    assert degrade(tmp_path / "in", "-o", tmp_path / "out") == 1
    assert sorted(path.name for path in (tmp_path / "out").glob("*.png")) == ["a.png", "e.png"]
    told = capsys.readouterr()
    assert "2 written, 3 failed" in told.out
    for name in ("b.png", "c.png", "3x3"):
        assert name in told.err


def test_a_result_is_not_replaced_unasked_and_a_source_never(tmp_path, capsys):
    source = photo(tmp_path / "a.png")
    before = source.read_bytes()
    assert degrade(source, "-o", tmp_path) == 1
    assert degrade(source, "-o", tmp_path, "--overwrite") == 1
    assert source.read_bytes() == before
    assert degrade(source, "-o", tmp_path / "out") == 0
    result = (tmp_path / "out" / "a.png").read_bytes()
    assert degrade(source, "-o", tmp_path / "out", "--seed", 9) == 1
    assert (tmp_path / "out" / "a.png").read_bytes() == result
    assert degrade(source, "-o", tmp_path / "out", "--seed", 9, "--overwrite") == 0
    assert (tmp_path / "out" / "a.png").read_bytes() != result
    assert "the source itself" in capsys.readouterr().err


def test_two_sources_of_one_name_do_not_overwrite_each_other(tmp_path, capsys):
    sources = [photo(tmp_path / "x" / "a.png"), photo(tmp_path / "y" / "a.jpg")]
    assert degrade(*sources, "-o", tmp_path / "out", "--overwrite") == 1
    assert "would get the same result" in capsys.readouterr().err


@pytest.mark.parametrize(("platform", "failed"), [("win32", 1), ("darwin", 1), ("linux", 0)])
def test_names_that_differ_by_case_alone_are_one_file_where_the_disk_says_so(
    platform, failed, tmp_path, capsys, monkeypatch
):
    sources = [photo(tmp_path / "x" / "a.png"), photo(tmp_path / "y" / "A.png")]
    monkeypatch.setattr("engine.degrade.files.sys", SimpleNamespace(platform=platform))
    assert degrade(*sources, "-o", tmp_path / "out") == failed
    assert ("would get the same result" in capsys.readouterr().err) == bool(failed)


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="needs a user whom permissions bind")
def test_a_folder_without_permission_is_named(tmp_path, capsys):
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    assert degrade(photo(tmp_path / "a.png"), "-o", locked / "out") == 1
    assert "locked" in capsys.readouterr().err


def test_a_file_where_the_folder_should_be_is_named(tmp_path, capsys):
    (tmp_path / "out").write_text("in the way")
    assert degrade(photo(tmp_path / "a.png"), "-o", tmp_path / "out") == 1
    assert "cannot be written" in capsys.readouterr().err
    assert (tmp_path / "out").read_text() == "in the way"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "Name the pictures"),
        (["a.png"], "Name the pictures"),
        (["a.png", "-o", "out", "--recipe", "bicubc"], 'did you mean "bicubic"?'),
        (["a.png", "-o", "out", "--count", "0"], "--count must be within"),
        (["a.png", "-o", "out", "--seed", "-1"], "--seed must be within"),
        (["a.png", "-o", "out", "--scale", "99"], "--scale must be within"),
        (["a.png", "b.png", "-o", "out", "--threads", "0"], "--threads must be within 1 to 1024, not 0"),
        (["-o", "out", "--sheet"], "Name the pictures"),
    ],
)
def test_wrong_words_are_answered_in_a_sentence(words, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert degrade(*words) == (1 if "--recipe" in words else 2)
    assert capsys.readouterr().err.count(said) == 1
    assert list(tmp_path.iterdir()) == []


def test_the_printed_recipe_can_be_edited_and_used(tmp_path, capsys):
    assert degrade("--recipe", "bicubic", "--print") == 0
    mine = tmp_path / "mine.toml"
    mine.write_text(capsys.readouterr().out.replace('filters = "bicubic"', 'filters = "nearest"'), "utf-8")
    assert degrade(photo(tmp_path / "a.png"), "-o", tmp_path / "out", "--recipe", mine, "--scale", 2) == 0
    with Image.open(tmp_path / "out" / "a.png") as image:
        assert image.size == (32, 24)
        low = np.asarray(image)
    with Image.open(tmp_path / "a.png") as image:
        source = np.asarray(image)
    assert np.array_equal(low, source[1::2, 1::2])


def test_a_folder_without_pictures_is_told_and_no_failure(tmp_path, capsys):
    (tmp_path / "leer").mkdir()
    (tmp_path / "leer" / "notes.txt").write_text("no picture")
    assert degrade(tmp_path / "leer", "-o", tmp_path / "out") == 0
    assert capsys.readouterr().out == f"There is no picture in {tmp_path / 'leer'}.\n"
    assert degrade(tmp_path / "leer", "-o", tmp_path / "out", "--json") == 0
    assert json.loads(capsys.readouterr().out)["written"] == 0
    assert not (tmp_path / "out").exists()


def test_the_list_names_every_recipe(capsys):
    assert degrade("--list") == 0
    told = capsys.readouterr().out
    for name in ("bicubic", "bsrgan", "real-esrgan", "esrgan-augment", "blind-face-first-order"):
        assert name in told


def test_a_colour_profile_is_kept(tmp_path):
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    source = tmp_path / "a.png"
    Image.new("RGB", (16, 16), (200, 10, 90)).save(source, icc_profile=profile)
    assert degrade(source, "-o", tmp_path / "out") == 0
    with Image.open(tmp_path / "out" / "a.png") as image:
        assert image.info["icc_profile"] == profile


def test_neither_torch_nor_qt_is_loaded_to_degrade_a_picture(tmp_path):
    source = photo(tmp_path / "a.png")
    code = f"""
import sys
from engine.cli.frame import run_command_line
from engine.degrade.bench import add_degrade_bench_parser
from engine.degrade.cli import add_degrade_parser
code = run_command_line(["degrade", {str(source)!r}, "-o", {str(tmp_path / "out")!r}], add_degrade_parser)
assert not [name for name in sys.modules if name.split(".")[0] in ("torch", "PySide6", "openvino")]
sys.exit(code)
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr


def test_a_bench_runs_and_reports_every_stage(capsys):
    words = ["degrade", "--batch", "2", "--size", "64", "--rounds", "1", "--draws", "2", "--threads", "1", "--json"]
    assert run_command_line(words, add_degrade_bench_parser) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines[0]["ceiling_gflops"] > 0
    stages = {line["stage"]: line for line in lines if "stage" in line}
    assert {"jpeg 4:2:0", "sharpen, against dense", "poisson noise", "gaussian noise"} <= set(stages)
    assert all(line["torch_ms"] > 0 and line["native_ms"] > 0 for line in stages.values())
    whole = lines[-1]["whole"]
    for ratio in ("exact_against_public", "exact_against_repaired", "low_rank_against_repaired_unsharpened"):
        assert whole[ratio] > 0


@pytest.mark.parametrize("extra", [(), ("--pairs",)])
def test_a_plan_repeats_its_result_to_the_byte(extra, tmp_path):
    source = photo(tmp_path / "bild.png")
    first, again = tmp_path / "first", tmp_path / "again"
    assert degrade(source, "-o", first, "--seed", 7, "--recipe", "bsrgan", *extra) == 0
    plan = next(first.rglob("*.json"))
    assert degrade(source, "-o", again, "--plan", plan, *extra) == 0
    made = sorted(path.relative_to(first) for path in first.rglob("*") if path.is_file())
    assert made == sorted(path.relative_to(again) for path in again.rglob("*") if path.is_file())
    for name in made:
        assert (first / name).read_bytes() == (again / name).read_bytes()


def test_a_plan_that_does_not_fit_is_refused_in_a_sentence(tmp_path, capsys):
    source = photo(tmp_path / "bild.png")
    assert degrade(source, "-o", tmp_path / "first") == 0
    plan = tmp_path / "first" / "bild.json"
    other = photo(tmp_path / "other.png", (80, 48))
    assert degrade(other, "-o", tmp_path / "again", "--plan", plan) == 1
    assert "80 x 48 pixels, and the plan is for 64 x 48" in capsys.readouterr().err
    for words, said in [
        (("--plan", plan, "--seed", 3), "--seed and --plan contradict each other"),
        (("--plan", tmp_path / "none.json"), "none.json cannot be read"),
        (("--plan", source), "bild.png: This is not a degradation plan"),
    ]:
        assert degrade(source, "-o", tmp_path / "again", *words) != 0
        assert said in capsys.readouterr().err
    facts = json.loads(plan.read_text("utf-8"))
    facts["operations"][0]["op"] = "blurr"
    plan.write_text(json.dumps(facts), "utf-8")
    assert degrade(source, "-o", tmp_path / "again", "--plan", plan) != 0
    assert "operation 0: `op` is one of blur, resize" in capsys.readouterr().err
    facts["operations"] = [{"part": "damage", "op": "jpeg", "stage": 1, "quality": 500, "subsampling": "s420"}]
    plan.write_text(json.dumps(facts), "utf-8")
    assert degrade(source, "-o", tmp_path / "again", "--plan", plan) != 0
    assert "quality" in capsys.readouterr().err

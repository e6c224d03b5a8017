"""`pellucid restore` as its users type it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from engine.errors import Code, PellucidError
from engine.image.buffer import ImageBuffer
from engine.image.decode import read_image
from engine.models.library import find_model
from engine.wire import RestoreRequest
from gui.__main__ import main

Picture = Callable[..., Path]
Records = list[dict[str, object]]


@pytest.fixture
def restore(library: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, Records]]:
    def run(*words: object) -> tuple[int, Records]:
        code = main(["restore", "--json", "--model", "faithful", *map(str, words)])
        out = capsys.readouterr()
        assert "Traceback" not in out.err + out.out
        return code, [json.loads(line) for line in out.out.splitlines()]

    return run


Restore = Callable[..., tuple[int, Records]]


def opened(path: Path) -> Image.Image:
    with Image.open(path) as image:
        image.load()
        return image


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are UTF-8 there")
def test_a_name_that_is_no_utf8_is_kept(restore: Restore, picture: Picture, tmp_path: Path) -> None:
    source = picture("x.png", 20, 24).rename(os.fsdecode(os.fsencode(tmp_path) + b"/old\xfc.png"))
    code, records = restore(source, "-o", tmp_path / "out")
    assert code == 0
    result = Path(str(next(r["target"] for r in records if r.get("type") == "Restored")))
    assert os.fsencode(result.name) == b"old\xfc_faithful_x4.png"
    assert opened(result).size == (80, 96)


def test_a_folder_without_pictures_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["restore", str(tmp_path)]) == 0
    assert "There is no picture in" in capsys.readouterr().out


def test_a_picture_becomes_four_times_as_large_and_equals_torch(
    restore: Restore, picture: Picture, tmp_path: Path
) -> None:
    import torch

    from engine.models.arch import find_architecture

    source = picture("ü 100% #1 {name}.png", 45, 33)
    code, records = restore(source, "-o", tmp_path / "out", "--precision", "fp32", "--tile", 16)
    assert code == 0
    told = {"restored": 1, "skipped": 0, "failed": 0, "left_out": [], "seconds": records[-1]["seconds"]}
    assert records[-1] == told
    result = Path(next(r["target"] for r in records if r.get("type") == "Restored"))
    assert result.name == "ü 100% #1 {name}_faithful_x4.png"

    model = find_model("faithful")
    architecture = find_architecture("compact")
    net = architecture.torch_module(architecture.read_arguments(model.card.arguments))
    net.load_state_dict({name: torch.from_numpy(value.copy()) for name, value in model.weights.items()})
    planes = np.asarray(opened(source), np.float32).transpose(2, 0, 1)[None] / 255
    with torch.inference_mode():
        whole = net(torch.from_numpy(planes)).numpy()[0].transpose(1, 2, 0)
    difference = np.asarray(opened(result), np.float32) - np.clip(whole, 0, 1) * 255
    assert np.abs(difference).max() <= 0.5 + 255e-5


def test_one_bad_file_never_stops_the_rest(restore: Restore, picture: Picture, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    picture("in/a.png")
    (folder / "b.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture")
    (folder / "c.png").write_bytes(picture("in/a.png").read_bytes()[:200])
    picture("in/d.png")
    code, records = restore(folder, tmp_path / "missing.png", "-o", tmp_path / "out")
    assert code == 1
    assert (records[-1]["restored"], records[-1]["failed"]) == (2, 3)
    failures = [r for r in records if r.get("type") == "Failed"]
    assert len(failures) == 3
    assert all(str(r["message"]).endswith(".") and r["code"] != "internal" for r in failures)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["a_faithful_x4.png", "d_faithful_x4.png"]


def test_a_folder_tree_is_mirrored(restore: Restore, picture: Picture, tmp_path: Path) -> None:
    for name in ("in/a.png", "in/deep/er/b.png", "in/deep/写真.png"):
        picture(name)
    assert restore(tmp_path / "in", "-o", tmp_path / "out")[0] == 0
    made = sorted(str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*.png"))
    assert made == ["a_faithful_x4.png", "deep/er/b_faithful_x4.png", "deep/写真_faithful_x4.png"]


def test_a_folder_restored_once_more_says_which_results_it_leaves_out(
    restore: Restore, picture: Picture, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture("in/a.png", 8, 8)
    for left_out in ([], [str(tmp_path / "in" / "a_faithful_x4.png")]):
        code, records = restore(tmp_path / "in")
        assert (code, records[-1]["restored"], records[-1]["left_out"]) == (0, 1, left_out)
    assert main(["restore", "--model", "faithful", "--existing", "skip", str(tmp_path / "in")]) == 0
    assert "2 pictures are left out" in capsys.readouterr().out


def test_existing_results_are_numbered_skipped_or_overwritten(
    restore: Restore, picture: Picture, tmp_path: Path
) -> None:
    source, out = picture("a.png"), tmp_path / "out"
    restore(source, "-o", out)
    first = (out / "a_faithful_x4.png").read_bytes()
    restore(source, "-o", out)
    assert (out / "a_faithful_x4 (2).png").is_file()
    code, records = restore(source, "-o", out, "--existing", "skip")
    assert (code, records[-1]["skipped"]) == (0, 1)
    assert next(r for r in records if r.get("type") == "Skipped")["target"] == str(out / "a_faithful_x4.png")
    (out / "a_faithful_x4.png").write_bytes(b"old")
    restore(source, "-o", out, "--existing", "overwrite")
    assert (out / "a_faithful_x4.png").read_bytes() == first
    assert len(list(out.iterdir())) == 2


@pytest.mark.parametrize(
    ("flags", "size"),
    [
        (["--scale", "1.5"], (60, 45)),
        (["--width", "100"], (100, 75)),
        (["--height", "31"], (41, 31)),
        (["--fit", "90x90"], (90, 68)),
        (["--scale", "6"], (240, 180)),
    ],
)
def test_any_size_can_be_asked_for(
    restore: Restore, picture: Picture, tmp_path: Path, flags: list[str], size: tuple[int, int]
) -> None:
    target = tmp_path / "result.png"
    assert restore(picture("a.png"), "-o", target, *flags)[0] == 0
    assert opened(target).size == size


@pytest.mark.skipif(sys.platform == "win32", reason="there no file has such a name")
def test_a_name_that_the_drive_takes_only_in_part_is_told(
    restore: Restore, picture: Picture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.image.naming._is_refused", lambda name: ":" in name.name)
    code, records = restore(picture("12:30.png", 8, 8), "-o", tmp_path / "out")
    assert code == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["12_30_faithful_x4.png"]
    assert any("takes no : in names" in str(record["text"]) for record in records if record.get("type") == "Notice")


def test_what_is_skipped_is_not_decoded(
    restore: Restore, picture: Picture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = picture("in/a.jpg").parent
    picture("in/b.png", mode="RGBA")
    assert restore(folder, "-o", tmp_path / "out")[0] == 0
    picture("in/c.png")
    decoded = []

    def decode(path: Path, **options: float) -> ImageBuffer:
        decoded.append(path.name)
        return read_image(path, **options)

    monkeypatch.setattr("engine.restore.read_image", decode)
    code, records = restore(folder, "-o", tmp_path / "out", "--existing", "skip")
    assert (code, records[-1]["skipped"], records[-1]["restored"]) == (0, 2, 1)
    assert decoded == ["c.png"]


def test_of_an_animation_the_first_frame_is_restored_and_it_is_told(restore: Restore, tmp_path: Path) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    _code, records = restore(tmp_path / "a.gif", "-o", tmp_path / "out")
    (text,) = [str(record["text"]) for record in records if record.get("type") == "Notice"]
    assert "only the first is restored" in text


def test_hdr_is_not_called_srgb(restore: Restore, tmp_path: Path) -> None:
    info = PngInfo()
    info.add(b"cICP", bytes([9, 16, 0, 1]))
    Image.new("RGB", (8, 8), "grey").save(tmp_path / "a.png", pnginfo=info)
    _code, records = restore(tmp_path / "a.png", "--srgb", "-o", tmp_path / "out")
    assert any("not converted to sRGB" in str(record["text"]) for record in records if record.get("type") == "Notice")
    with Image.open(tmp_path / "out" / "a_faithful_x4.png") as result:
        assert b"cICP" in Path(result.filename).read_bytes()


def test_transparency_is_kept_and_enlarged(restore: Restore, picture: Picture, tmp_path: Path) -> None:
    for mode in ("RGBA", "LA"):
        target = tmp_path / f"{mode}.png"
        assert restore(picture(f"in-{mode}.png", mode=mode), "-o", target)[0] == 0
        result = opened(target)
        assert (result.size, result.mode) == ((160, 120), mode)


def test_grey_and_sixteen_bits_stay_what_they_are(restore: Restore, tmp_path: Path) -> None:
    source, target = tmp_path / "in.png", tmp_path / "out.png"
    Image.fromarray(np.linspace(0, 65535, 600).astype(np.uint16).reshape(20, 30)).save(source)
    assert restore(source, "-o", target)[0] == 0
    result = np.asarray(opened(target))
    assert (result.shape, result.dtype) == ((80, 120), np.uint16)
    assert len(np.unique(result)) > 300


def test_no_strength_is_the_plain_enlargement(restore: Restore, picture: Picture, tmp_path: Path) -> None:
    source, target = picture("a.png"), tmp_path / "out.png"
    assert restore(source, "-o", target, "--strength", 0)[0] == 0
    # Plane by plane as floats: on 8-bit pictures Pillow rounds between its two passes.
    planes = [plane.convert("F").resize((160, 120), Image.Resampling.BICUBIC) for plane in opened(source).split()]
    plain = np.stack([np.asarray(plane) for plane in planes], axis=2)
    inside = (slice(16, -16), slice(16, -16))
    assert np.abs(np.asarray(opened(target), float)[inside] - plain[inside].clip(0, 255)).max() <= 0.51


def test_alpha_lies_between_the_partners(restore: Restore, picture: Picture, tmp_path: Path) -> None:
    source = picture("a.png")
    made = {}
    for alpha in (0, 0.5, 1):
        target = tmp_path / f"{alpha}.png"
        assert restore(source, "-o", target, "--alpha", alpha)[0] == 0
        made[alpha] = np.asarray(opened(target), float)
    apart = np.abs(made[1] - made[0]).mean()
    assert apart > 1
    assert np.abs(made[0.5] - made[0]).mean() < apart
    assert np.abs(made[0.5] - made[1]).mean() < apart


def test_tileable_textures_wrap_around(restore: Restore, picture: Picture, tmp_path: Path) -> None:
    source = picture("a.png", 32, 32)
    rolled = tmp_path / "rolled.png"
    Image.fromarray(np.roll(np.asarray(opened(source)), (8, 16), (0, 1))).save(rolled)
    for path in (source, rolled):
        assert restore(path, "-o", tmp_path / f"out-{path.name}", "--tileable", "--precision", "fp32")[0] == 0
    straight = np.asarray(opened(tmp_path / "out-a.png"), int)
    turned = np.asarray(opened(tmp_path / "out-rolled.png"), int)
    assert np.abs(np.roll(straight, (32, 64), (0, 1)) - turned).max() <= 1


@pytest.mark.parametrize(
    "flags",
    [
        ["--strength", "2"],
        ["--scale", "0"],
        ["--scale", "nan"],
        ["--fit", "big"],
        ["--alpha", "x"],
        ["--quality", "0"],
        ["--tile", "3"],
        ["--scale", "2", "--width", "7"],
        ["--backend", "magic"],
        ["--model", "faithfull"],
        ["--name", "{nmae}"],
    ],
)
def test_wrong_options_are_refused_with_a_sentence(
    restore: Restore, picture: Picture, tmp_path: Path, flags: list[str]
) -> None:
    code, records = restore(picture("a.png"), "-o", tmp_path / "out", *flags)
    assert code in (1, 2)
    assert any(str(r.get("message", "")).endswith(".") for r in records)
    assert not (tmp_path / "out").exists() or not any((tmp_path / "out").iterdir())


def test_neither_torch_nor_onnx_is_loaded(library: Path, picture: Picture, tmp_path: Path) -> None:
    program = (
        "import sys; from gui.__main__ import main; code = main(sys.argv[1:]);"
        "loaded = {name for name, module in sys.modules.items() if module is not None};"
        "loaded &= {'torch', 'onnx', 'onnxruntime', 'scipy', 'PySide6', 'openvino_telemetry'};"
        "assert not loaded, loaded; sys.exit(code)"
    )
    words = ["restore", str(picture("a.png")), "-o", str(tmp_path / "out.png"), "--model", "faithful"]
    subprocess.run([sys.executable, "-c", program, *words], check=True, stdout=subprocess.DEVNULL)


def test_an_interrupt_leaves_whole_files_only_and_can_be_resumed_even_after_another_restore(
    library: Path, picture: Picture, tmp_path: Path, own_home: Path
) -> None:
    count = 24
    for number in range(count):
        picture(f"in/{number:02}.png", 500, 400, seed=number)
    out = tmp_path / "out"
    # Whoever runs the tests in the background may have had interrupts ignored, and children inherit that.
    heed = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
    program = heed + "import sys; from gui.__main__ import main; sys.exit(main())"
    command = [sys.executable, "-c", program, "restore", str(tmp_path / "in"), "-o", str(out), "--model", "faithful"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not (out.is_dir() and any(out.glob("*.png"))) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in errors
    assert "Go on with: pellucid restore --resume" in errors
    assert "Traceback" not in errors
    early = sorted(out.glob("*.png"))
    assert 0 < len(early) < count
    assert not [p for p in out.iterdir() if p.name.startswith(".")]
    other = [*command[:4], str(picture("other.png")), "-o", str(tmp_path / "other"), "--model", "faithful"]
    subprocess.run(other, check=True, stdout=subprocess.DEVNULL)
    subprocess.run([*command[:4], "--resume"], check=True, stdout=subprocess.DEVNULL)
    assert len(list(out.iterdir())) == count
    assert not list((own_home / "state" / "pellucid").glob("*.jsonl"))
    for path in out.iterdir():
        opened(path)


def test_a_limit_on_the_size_of_files_is_a_sentence_and_leaves_nothing(
    library: Path, picture: Picture, tmp_path: Path
) -> None:
    limit = "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
    limit += "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000));"
    program = limit + "import sys; from gui.__main__ import main; sys.exit(main(sys.argv[1:]))"
    source = picture("a.png", 300, 200)
    words = ["restore", str(source), "-o", str(tmp_path / "out" / "a.png"), "--model", "faithful"]
    result = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "cannot be written: File too large" in result.stderr
    assert "Traceback" not in result.stderr
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_no_picture_and_does_not_hang(restore: Restore, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    assert restore(tmp_path / "pipe.png", "-o", tmp_path / "out")[0] == 1


@pytest.mark.parametrize("opacity", [255, 100, 0])
def test_one_opacity_everywhere_stays_exactly_that(restore: Restore, tmp_path: Path, opacity: int) -> None:
    source, target = tmp_path / "in.png", tmp_path / "out.png"
    Image.new("RGBA", (30, 20), (200, 90, 10, opacity)).save(source)
    assert restore(source, "-o", target)[0] == 0
    assert set(np.unique(np.asarray(opened(target))[:, :, 3])) == {opacity}


def test_whoever_reads_only_the_head_of_it_stops_the_work_and_can_go_on(
    library: Path, picture: Picture, tmp_path: Path, own_home: Path
) -> None:
    sources = [tmp_path / "missing.png", *(picture(f"{number}.png") for number in range(6))]
    words = ["restore", "--json", *map(str, sources), "-o", str(tmp_path / "out"), "--model", "faithful"]
    program = "import sys; from gui.__main__ import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", program]
    process = subprocess.Popen([*command, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout
    assert process.stderr
    process.stdout.close()
    errors = process.stderr.read().decode()
    process.stderr.close()
    assert process.wait(60) == 1
    assert "Traceback" not in errors
    assert "Go on with: pellucid restore --resume" in errors
    made = subprocess.run([*command, "restore", "--resume"], check=True, stdout=subprocess.PIPE, text=True).stdout
    assert "missing.png" not in made
    assert len(list((tmp_path / "out").iterdir())) == 6, "what was done is not done again"


def test_a_state_folder_that_cannot_be_written_ends_nothing(
    restore: Restore, picture: Picture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    code, records = restore(picture("a.png"), "-o", tmp_path / "out")
    assert (code, records[-1]["restored"]) == (0, 1)


def test_a_full_state_disk_is_warned_of_once_and_the_work_goes_on(
    library: Path, picture: Picture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from engine.journal import Journal

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Journal, "end", full)
    sources = [str(picture(name)) for name in ("a.png", "b.png", "c.png")]
    assert main(["restore", *sources, "-o", str(tmp_path / "out"), "--model", "faithful"]) == 0
    assert len(list((tmp_path / "out").iterdir())) == 3
    assert capsys.readouterr().err.count("No space left on device") == 1


def test_one_file_for_several_pictures_is_refused_before_any_work(
    restore: Restore, picture: Picture, tmp_path: Path
) -> None:
    target = tmp_path / "one.png"
    sources = [picture("a.png"), picture("b.png")]
    code, records = restore(*sources, "-o", target, "--existing", "overwrite")
    assert code == 2
    assert "2 pictures" in str(records[-1]["message"])
    assert not target.exists()
    target.mkdir()
    assert restore(*sources, "-o", target)[0] == 0


@pytest.mark.parametrize("words", [["a.png"], ["-o", "out"], ["--scale", "2"], ["--model", "vivid"]])
def test_resume_says_that_it_takes_nothing_else(
    library: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    assert main(["restore", "--resume", *words]) == 2
    assert "--resume goes on" in capsys.readouterr().err


def test_brackets_in_a_name_are_shown_while_it_is_restored() -> None:
    import io

    from rich.console import Console

    from engine.cli.output import Output
    from engine.cli.restore import _Bars
    from engine.wire import Accepted

    bars = _Bars(Output(json=False), {"1": "in/IMG [alt] [red].jpg"})
    job = Accepted(
        job="1", width=1, height=1, out_width=4, out_height=4,
        backend="openvino", device="cpu", precision="fp32", model="m", target="t",
    )  # fmt: skip
    bars.event(job)
    words = io.StringIO()
    Console(file=words, width=200).print(bars._bars.get_renderable())
    assert "IMG [alt] [red].jpg" in words.getvalue()


def failing_restorer(monkeypatch: pytest.MonkeyPatch, failures: dict[str, Code]) -> list[str]:
    """Opening these pictures fails as with a drive that has gone or is full; the list tells what was opened."""
    from engine.restore import Restorer

    whole, opened_names = Restorer.open, []

    def open_picture(self: Restorer, request: RestoreRequest) -> object:
        name = Path(request.source).name
        opened_names.append(name)
        if name in failures:
            raise PellucidError(failures[name], f"{name} fails.")
        return whole(self, request)

    monkeypatch.setattr(Restorer, "open", open_picture)
    return opened_names


def test_what_may_do_better_another_time_is_left_for_resume(
    restore: Restore, picture: Picture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["a.png", "b.png", "c.png", "d.png", "e.png"]
    sources = [picture(name) for name in names]
    codes = [Code.FILE_UNREADABLE, Code.FILE_UNWRITABLE, Code.FILE_MISSING, Code.IMAGE_CORRUPT]
    failures = dict(zip(names, codes, strict=False))
    begun = failing_restorer(monkeypatch, failures)
    assert restore(*sources, tmp_path / "never there.png", "-o", tmp_path / "out")[0] == 1
    begun.clear()
    assert main(["restore", "--resume"]) == 1
    assert begun == names[:3], "neither a damaged picture nor a wrong name is tried again"
    failures.clear()
    assert main(["restore", "--resume"]) == 0
    assert len(list((tmp_path / "out").iterdir())) == 4
    begun.clear()
    assert main(["restore", "--resume"]) == 0
    assert begun == []


def test_a_picture_that_was_deleted_is_left_for_resume_once_and_one_of_a_drive_that_is_away_for_longer(
    restore: Restore,
    picture: Picture,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    sources = [picture("a.png"), picture("b.png"), picture("drive/c.png")]
    with monkeypatch.context() as once:
        failing_restorer(once, dict.fromkeys(("b.png", "c.png"), Code.FILE_UNREADABLE))
        assert restore(*sources, "-o", tmp_path / "out")[0] == 1
    sources[1].unlink()
    (tmp_path / "drive").rename(tmp_path / "away")
    capsys.readouterr()
    assert main(["restore", "--resume"]) == 1
    said = capsys.readouterr().err
    assert "b.png" in said
    assert "1 picture is left to do." in said
    (tmp_path / "away").rename(tmp_path / "drive")
    assert main(["restore", "--resume"]) == 0
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_a_command_of_which_nothing_came_leaves_nothing_to_resume(
    restore: Restore, picture: Picture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = failing_restorer(monkeypatch, {"a.png": Code.FILE_UNREADABLE})
    assert restore(picture("a.png"), "-o", tmp_path / "out")[0] == 1
    begun.clear()
    assert main(["restore", "--resume"]) == 0
    assert begun == []


def test_a_full_disk_stops_the_rest_and_says_how_to_go_on(
    library: Path, picture: Picture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sources = [str(picture(f"{number}.png")) for number in range(9)]
    failures = {"0.png": Code.DISK_FULL}
    begun = failing_restorer(monkeypatch, failures)
    assert main(["restore", *sources, "-o", str(tmp_path / "out"), "--model", "faithful"]) == 1
    said = capsys.readouterr()
    assert begun == ["0.png"]
    assert "0.png fails." in said.err
    assert "9 pictures are left to do." in said.err
    assert "Go on with: pellucid restore --resume" in said.err
    assert "0 of 9 pictures restored" in said.out
    failures.clear()
    assert main(["restore", "--resume"]) == 0
    assert len(list((tmp_path / "out").iterdir())) == 9


def test_no_result_takes_the_place_of_an_original_that_waits_its_turn(
    restore: Restore, picture: Picture, tmp_path: Path
) -> None:
    sources = [picture("a.png", seed=1), picture("a_faithful_x4.png", seed=2)]
    before = sources[1].read_bytes()
    assert restore(*sources, "--existing", "overwrite")[0] == 0
    assert sources[1].read_bytes() == before
    assert len(list(tmp_path.glob("*.png"))) == 4

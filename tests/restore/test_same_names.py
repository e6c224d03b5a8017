"""Pictures of one name in several folders, and results that would take an original's place."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from engine.restore import Job, Restorer
from engine.wire import Existing, RestoreOptions, RestoreRequest
from gui.__main__ import main

Picture = Callable[..., Path]


@pytest.mark.parametrize("existing", ["number", "skip", "overwrite"])
def test_pictures_of_one_name_never_replace_or_hide_each_other(
    existing: str, library: Path, picture: Picture, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = [picture(f"{year}/a.png").parent for year in (1990, 1991)]
    Image.new("RGB", (20, 10), "red").save(folders[1] / "a.png")
    for number in range(8):  # between the two, so that the first has ended when the second is opened
        Image.new("RGB", (8, 8)).save(folders[0] / f"b{number}.png")
    words = ["restore", "--json", "--model", "faithful", *map(str, folders), "-o", str(tmp_path / "out")]
    capsys.readouterr()
    assert main([*words, "--existing", existing]) == 0
    for name, size in (("a_faithful_x4.png", (160, 120)), ("a_faithful_x4 (2).png", (80, 40))):
        with Image.open(tmp_path / "out" / name) as image:
            assert image.size == size
    assert len(list((tmp_path / "out").iterdir())) == 10
    if existing == "skip":
        capsys.readouterr()
        assert main([*words, "--existing", existing]) == 0
        assert json.loads(capsys.readouterr().out.splitlines()[-1])["skipped"] == 10


@pytest.mark.parametrize("existing", ["number", "skip", "overwrite"])
def test_a_result_never_takes_the_place_of_an_original_whose_turn_comes_later(
    existing: Existing, library: Path, picture: Picture, tmp_path: Path
) -> None:
    png = picture("a.png")
    with Image.open(png) as image:
        image.save(tmp_path / "a.bmp")
    restorer = Restorer()
    for source in ("a.bmp", "a.png"):
        restorer.expect(str(tmp_path / source))
    options = RestoreOptions(model="faithful", name="{name}", format="png", existing=existing)
    job = restorer.open(RestoreRequest("1", str(tmp_path / "a.bmp"), str(tmp_path), options=options))
    assert isinstance(job, Job)
    assert job.target == tmp_path / "a (2).png"
    restorer.close()

"""On a drive that ignores case, results of two pictures whose names differ in nothing else are two files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import engine.restore
from engine.image.naming import spelt_alike
from engine.restore import AlreadyThere, Restorer
from engine.wire import Existing, RestoreOptions, RestoreRequest

Picture = Callable[..., Path]


@pytest.fixture
def careless(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine.restore, "is_one_place", lambda one, other: spelt_alike(one) == spelt_alike(other))


def name_all(restorer: Restorer, sources: list[Path], target: Path, existing: Existing) -> list[str]:
    """What each result is called, - where it is there already. The files are made, empty."""
    options = RestoreOptions(model="faithful", existing=existing)
    names = []
    for number, source in enumerate(sources):
        job = restorer.open(RestoreRequest(job=str(number), source=str(source), target=str(target), options=options))
        names.append("-" if isinstance(job, AlreadyThere) else job.target.name)
        if not isinstance(job, AlreadyThere):
            target.mkdir(exist_ok=True)
            job.target.touch()
        restorer.end(str(number))
    return names


@pytest.mark.usefixtures("library", "careless")
@pytest.mark.parametrize("existing", ["overwrite", "skip", "number"])
def test_neither_takes_the_place_of_the_other(existing: Existing, picture: Picture, tmp_path: Path) -> None:
    sources = [picture("one/Sea.png"), picture("two/SEA.png", seed=1)]
    out = tmp_path / "out"
    names = name_all(Restorer(), sources, out, existing)
    assert names == ["Sea_faithful_x4.png", "SEA_faithful_x4 (2).png"]
    assert name_all(Restorer(), sources, out, "skip") == ["-", "-"]


@pytest.mark.usefixtures("library", "careless")
def test_no_result_takes_the_place_of_an_original_that_is_spelt_alike(picture: Picture, tmp_path: Path) -> None:
    other = picture("out/SEA_faithful_x4.png")
    restorer = Restorer()
    restorer.expect(str(other))
    sources = [picture("one/Sea.png")]
    assert name_all(restorer, sources, tmp_path / "out", "overwrite") == ["Sea_faithful_x4 (2).png"]


@pytest.mark.usefixtures("library")
def test_where_the_drive_tells_them_apart_both_keep_their_names(picture: Picture, tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    if (tmp_path / "A").exists():
        pytest.skip("this drive ignores case")
    sources = [picture("one/Sea.png"), picture("two/SEA.png", seed=1)]
    names = name_all(Restorer(), sources, tmp_path / "out", "overwrite")
    assert names == ["Sea_faithful_x4.png", "SEA_faithful_x4.png"]

"""settings.json: what is saved comes back, and damage costs the settings, never the window."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.wire import RestoreOptions, Size
from gui import settings as settings_file
from gui.settings import Settings


def test_everything_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "settings.json"
    chosen = Settings(
        theme="dark",
        language="zh_CN",
        output_folder="/tmp/ünï",
        options=RestoreOptions(alpha=0.25, size=Size(fit=(100, 200)), format="tiff"),
    )
    settings_file.save(chosen, path)
    assert settings_file.load(path) == (chosen, "")


def test_without_a_file_there_are_defaults(tmp_path: Path) -> None:
    assert settings_file.load(tmp_path / "none.json") == (Settings(), "")


@pytest.mark.parametrize(
    "data", [b"", b"{", b'{"theme": "purple"}', b"\xff\xfe\x00", b"[]", b'{"options": {"bogus": 1}}']
)
def test_a_damaged_file_is_kept_aside(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "settings.json"
    path.write_bytes(data)
    settings, aside = settings_file.load(path)
    assert settings == Settings()
    assert Path(aside).read_bytes() == data
    assert not path.exists()


def test_a_key_of_a_newer_version_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    path.write_bytes(b'{"schema": 9, "theme": "dark", "telepathy": true}')
    assert settings_file.load(path)[0].theme == "dark"


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "settings.json"
    settings_file.write_whole(path, b"old")

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("gui.settings.os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        settings_file.write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]

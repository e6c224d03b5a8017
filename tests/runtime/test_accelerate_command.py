"""`pellucid accelerate`: nothing without consent, nothing unchecked, nothing half done."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import zipfile
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest

from engine import accelerate
from engine.accelerate import COMPONENTS, Component, Wheel, find_component, install, remove, status
from engine.cli import main
from engine.errors import Code, PellucidError
from engine.runtime.engine_cache import EngineCache, EngineKey
from engine.runtime.tensorrt_library import component_folder, find_flavour, is_installed

pytestmark = pytest.mark.skipif(
    is_installed(find_flavour("tensorrt-rtx")), reason="the Python environment has tensorrt-rtx of its own"
)


def make_wheel(folder: Path, name: str, members: dict[str, str]) -> Wheel:
    path = folder / f"{name}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for member, text in members.items():
            archive.writestr(member, text)
    data = path.read_bytes()
    system = f"{sys.platform} {accelerate.platform.machine().lower()}"
    return Wheel(name, path.name, hashlib.sha256(data).hexdigest(), len(data), system)


BINDINGS = {
    "tensorrt_rtx_bindings/__init__.py": "Logger = object",
    "tensorrt_rtx_cu13_bindings-9.9.dist-info/METADATA": "Metadata-Version: 2.1\nName: tensorrt-rtx-cu13-bindings\n"
    "Version: 9.9\n",
    "tensorrt_rtx_cu13_bindings-9.9.dist-info/licenses/LICENSE.txt": "terms",
}


@pytest.fixture
def offer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """offer(members) -> folder of wheels, which the one component on offer consists of"""

    def make(members: dict[str, str] = BINDINGS) -> Path:
        folder = tmp_path / "wheels é"
        folder.mkdir(exist_ok=True)
        wheels = (make_wheel(folder, "bindings", members), make_wheel(folder, "libs", {"libs/a.so": "x" * 1000}))
        component = Component("tensorrt-rtx", "9.9", "Pretended", "tests", "a licence", 2000, wheels)
        monkeypatch.setattr(accelerate, "COMPONENTS", (component, COMPONENTS[1]))
        return folder

    return make


def test_installed_then_known_then_removed_without_a_trace(offer: Any) -> None:
    folder = offer()
    steps: list[str] = []
    found = install("tensorrt-rtx", progress=lambda step, done, total: steps.append(step), wheels_folder=folder)
    assert found.version == "9.9"
    assert found.licence_file is not None
    assert found.licence_file.read_text() == "terms"
    assert list(dict.fromkeys(steps)) == ["check", "unpack", "try"]
    EngineCache.of_user().store(EngineKey("a", "bf16", 1, 1, "l", "g"), b"engine")
    assert remove("tensorrt-rtx") > 1000
    assert EngineCache.of_user().size() == 0
    assert status("tensorrt-rtx").version == ""
    assert list(component_folder("tensorrt-rtx").parent.iterdir()) == []
    with pytest.raises(PellucidError, match="was not installed"):
        remove("tensorrt-rtx")


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        ("flipped", "checksum differs"),
        ("missing", "cannot be read"),
        ("escapes", "outside its folder"),
        ("does not load", "cannot be loaded"),
        ("full", "are free"),
    ],
)
def test_what_fails_leaves_the_old_installation(
    offer: Any, harm: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("tensorrt-rtx", wheels_folder=offer())
    if harm == "escapes":
        folder = offer({**BINDINGS, "../outside": "x"})
    elif harm == "does not load":
        folder = offer({**BINDINGS, "tensorrt_rtx_bindings/__init__.py": "raise OSError('no such library')"})
    else:
        folder = offer()
    if harm == "flipped":
        path = folder / "libs.whl"
        path.write_bytes(path.read_bytes()[:-1] + b"!")
    elif harm == "missing":
        (folder / "libs.whl").unlink()
    elif harm == "full":
        usage = namedtuple("usage", "total used free")
        monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 10**9, 1000))
    with pytest.raises(PellucidError, match=words):
        install("tensorrt-rtx", wheels_folder=folder)
    assert status("tensorrt-rtx").version == "9.9"
    assert [path.name for path in component_folder("tensorrt-rtx").parent.iterdir()] == ["tensorrt-rtx"]


def run(*words: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, list[dict[str, Any]]]:
    code = main(["accelerate", *words, "--json"])
    return code, [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_the_command_asks_for_consent_tells_its_progress_and_ends_in_a_summary(
    offer: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = offer()
    code, lines = run("install", "--wheels", str(folder), capsys=capsys)
    assert code != 0
    assert "licence was not agreed to" in lines[-1]["message"]
    assert lines[0]["licence"] == "a licence"
    assert status("tensorrt-rtx").version == ""
    code, lines = run("install", "--wheels", str(folder), "--accept-licence", capsys=capsys)
    assert code == 0
    assert {line["step"] for line in lines if "step" in line} == {"check", "unpack", "try"}
    assert lines[-1]["version"] == "9.9"
    code, lines = run("status", capsys=capsys)
    assert code == 0
    assert lines[0]["version"] == "9.9"
    assert not lines[0]["usable"]
    assert lines[0]["reason"]
    assert run("remove", capsys=capsys)[0] == 0


def test_what_cannot_be_had_is_told_in_a_sentence(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, lines = run("install", "tensorrt", "--accept-licence", capsys=capsys)
    assert code != 0
    assert "pellucid[tensorrt]" in lines[-1]["hint"]
    assert run("install", "nonsense", capsys=capsys)[0] == 2
    monkeypatch.setattr(accelerate.platform, "machine", lambda: "riscv64")
    code, lines = run("install", "--accept-licence", capsys=capsys)
    assert code != 0
    assert "riscv64" in lines[-1]["message"]


def test_without_pip_or_network_nothing_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accelerate, "bundle_folder", lambda: Path("/app"))
    if not any(w.system == f"{sys.platform} {accelerate.platform.machine().lower()}" for w in COMPONENTS[0].wheels):
        pytest.skip("no wheels for this computer")
    with pytest.raises(PellucidError, match="no pip") as caught:
        install("tensorrt-rtx")
    assert "--wheels" in caught.value.hint
    monkeypatch.setattr(accelerate, "bundle_folder", lambda: None)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(PellucidError, match="could not be fetched") as caught:
        install("tensorrt-rtx")
    assert caught.value.code is Code.BACKEND_UNAVAILABLE
    assert status("tensorrt-rtx").version == ""


def test_every_wheel_is_pinned() -> None:
    for wheel in find_component("tensorrt-rtx").wheels:
        assert len(wheel.sha256) == 64
        assert wheel.size > 0
        assert find_component("tensorrt-rtx").version in wheel.file

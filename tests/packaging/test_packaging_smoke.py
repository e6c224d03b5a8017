"""A broken build is seen without building: the spec parses, what it names exists, every system's metadata is valid.

The bundles themselves are built and proven by packaging/build.py and packaging/check_linux.py, apart from this.
"""

from __future__ import annotations

import ast
import gzip
import importlib.metadata
import importlib.util
import json
import os
import plistlib
import re
import shutil
import subprocess
import sys
import tomllib
import xml.etree.ElementTree
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PACKAGING = ROOT / "packaging"


def needs(tool: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(tool) is None, reason=f"not installed: {tool}")


# ---------------------------------------------------------------------------------------------------- what is bundled


def test_the_folder_never_becomes_a_package() -> None:
    assert not (PACKAGING / "__init__.py").exists()
    found = importlib.util.find_spec("packaging")
    assert found is not None
    assert found.origin is not None, "the folder here hides the package of this name"
    assert not Path(found.origin).is_relative_to(PACKAGING)


def test_the_spec_and_every_script_parse() -> None:
    for path in [*PACKAGING.glob("*.py"), PACKAGING / "pellucid.spec"]:
        compile(path.read_text("utf-8"), str(path), "exec")


class Recorded(SimpleNamespace):
    """What the spec asked PyInstaller for."""


def run_spec(edition: str, parts: Path, monkeypatch: pytest.MonkeyPatch) -> list[Recorded]:
    """The spec as PyInstaller runs it, with PyInstaller's words recorded; a build of a minute in a millisecond."""
    asked: list[Recorded] = []

    def record(kind: str, **more: object) -> Callable[..., Recorded]:
        def called(*arguments: object, **options: object) -> Recorded:
            asked.append(Recorded(kind=kind, arguments=arguments, options=options, **more))
            return asked[-1]

        return called

    def collect_submodules(package: str) -> list[str]:
        assert importlib.util.find_spec(package) is not None, package
        return [package]

    hooks = ModuleType("PyInstaller.utils.hooks")
    vars(hooks).update(
        collect_submodules=collect_submodules,
        collect_data_files=lambda package, excludes: [(f"/src/{package}/x.toml", package)],
        collect_dynamic_libs=lambda package, **_options: [(f"/src/{package}/libnvrtc.so.13", package)],
        copy_metadata=lambda name: [(importlib.metadata.version(name), f"{name}.dist-info")],
    )
    for name in ("PyInstaller", "PyInstaller.utils"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, hooks.__name__, hooks)
    found = {
        "binaries": [("a.so", "/src/a.so", "BINARY"), ("pillow_heif.libs/libx265-1.so.9", "/src/x265.so", "BINARY")],
        "datas": [("torch/include/a.h", "/src/a.h", "DATA")],
        "pure": [("gui", "/src/gui.py", "PYMODULE"), ("built-in", "-", "PYMODULE")],
        "scripts": [],
    }
    (parts / "libx265-1.so.9").write_text("stand-in")
    for name, value in {"EDITION": edition, "PARTS": str(parts), "VERSION": "0.1.0"}.items():
        monkeypatch.setenv(f"PELLUCID_{name}", value)
    given = {kind: record(kind) for kind in ("PYZ", "EXE", "COLLECT", "BUNDLE")}
    spec = PACKAGING / "pellucid.spec"
    given |= {"Analysis": record("Analysis", **found), "SPECPATH": str(PACKAGING)}
    exec(compile(spec.read_text("utf-8"), str(spec), "exec"), given)
    return asked


@pytest.mark.parametrize("edition", ["restore", "full"])
def test_the_spec_asks_for_the_program_and_its_parts(
    edition: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    analysis, _modules, program, *_twin, bundle = run_spec(edition, tmp_path, monkeypatch)
    [script] = analysis.arguments[0]
    assert Path(script).is_file(), script
    hidden = set(analysis.options["hiddenimports"])
    assert {"engine", "gui", "kernels", "imagecodecs._jpeg8"} <= hidden
    assert ("trainer" in hidden) == ("spandrel" in hidden) == (edition == "full")
    assert ("torch" in analysis.options["excludes"]) == (edition == "restore")
    places = [Path(source).name for source, _ in analysis.options["datas"]]
    assert {"build-facts.json", "LICENSE", "NOTICE", "x.toml"} <= set(places)
    assert analysis.options["binaries"] == [], "NVIDIA's library was asked for"
    assert program.options["name"] == "pellucid"
    if sys.platform != "darwin":
        assert (bundle.kind, bundle.options["name"]) == ("COLLECT", "pellucid")
        assert [entry[1] for entry in bundle.arguments[-2]] == ["/src/a.so", str(tmp_path / "libx265-1.so.9")]
        assert bundle.arguments[-1] == [], "what is not wanted is bundled"
    origins = json.loads((tmp_path / "origins.json").read_text("utf-8"))
    assert ["gui", "/src/gui.py"] in origins
    assert all(source != "-" for _, source in origins)


def test_the_entry_of_the_installed_program_opens_the_front_door() -> None:
    words = [sys.executable, str(PACKAGING / "entry.py"), "--version"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    said = subprocess.run(words, capture_output=True, text=True, check=True, env=environment).stdout
    assert said.startswith("pellucid ")


def test_every_entry_point_resolves() -> None:
    """What the frozen program may be asked to become is there, with a main that takes no words."""
    from gui.program import PROCESSES

    for module in PROCESSES:
        found = importlib.util.find_spec(module)
        assert found is not None, module
        assert found.origin is not None
        tree = ast.parse(Path(found.origin).read_text("utf-8"))
        mains = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "main"]
        assert len(mains) == 1, module
        assert not mains[0].args.args, module
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["scripts"]
    for target in scripts.values():
        module, _, name = target.partition(":")
        assert callable(getattr(importlib.import_module(module), name)), target


def test_who_starts_an_interpreter_knows_that_there_may_be_none() -> None:
    """`sys.executable -m ...` is right from source only. Benchmarks are for developers."""
    asks = re.compile(r"is_frozen\(\)|bundle_folder\(\)|getattr\(sys, \"frozen\"")
    for package in ("gui", "engine", "trainer", "kernels"):
        for path in (ROOT / package).rglob("*.py"):
            text = path.read_text("utf-8")
            if re.search(r"sys\.executable, *\[?\"-", text) and "bench" not in str(path.relative_to(ROOT)):
                assert asks.search(text), path


def test_named_modules_and_plugins_exist_where_they_are_installed() -> None:
    import contents
    import imagecodecs
    import openvino
    import PySide6

    folder = Path(imagecodecs.__file__).parent
    for name in contents.IMAGE_CODECS:
        assert list(folder.glob(f"_{name}.*")), name
    if sys.platform == "linux":
        libraries = [path.name for path in (Path(openvino.__file__).parent / "libs").iterdir()]
        for name in contents.OPENVINO_LIBRARIES:
            assert any(library.startswith(f"lib{name}") for library in libraries), name
        plugins = Path(PySide6.__file__).parent / "Qt" / "plugins"
        for wanted, names in {"platforms": ("xcb", "wayland", "offscreen"), "imageformats": ("jpeg", "webp")}.items():
            for name in names:
                assert (plugins / wanted / f"libq{name}.so").is_file(), name


def test_pruning_takes_what_is_not_needed_and_leaves_what_is() -> None:
    from contents import is_wanted

    wanted = (
        "openvino/libs/libopenvino_intel_cpu_plugin.so",
        "openvino/libs/libopenvino.so.2641",
        "openvino/libs/libtbb.so.12",
        "openvino/_pyopenvino.cpython-311-x86_64-linux-gnu.so",
        "PySide6/Qt/plugins/platforms/libqxcb.so",
        "PySide6/Qt/plugins/iconengines/libqsvgicon.so",
        "PySide6/plugins/platforms/qwindows.dll",
        "PySide6\\plugins\\styles\\qmodernwindowsstyle.dll",
        "PySide6/Qt/translations/qtbase_de.qm",
        "torch/bin/torch_shm_manager",
        "torch/testing/_internal/common_utils.py",
        "torch/lib/libtorch_cpu.so",
        "torch/lib/libtorch_global_deps.so",
        "kernels/libpellucid_cpu.so",
        "engine/models/bundled/photo-compact.safetensors",
        "numpy.libs/libscipy_openblas64_-32a4b2a6.so",
        "libxcb-cursor.so.0",
    )
    unwanted = (
        "openvino/libs/libopenvino_intel_gpu_plugin.so",
        "openvino/libs/libopenvino_onnx_frontend.so.2641",
        "openvino/libs/cache.json",
        "PySide6/Qt/plugins/platforms/libqeglfs.so",
        "PySide6/Qt/plugins/platformthemes/libqgtk3.so",
        "PySide6/Qt/plugins/tls/libqopensslbackend.so",
        "PySide6/plugins/sqldrivers/qsqlite.dll",
        "PySide6/Qt/lib/libQt6Quick.so.6",
        "PySide6/Qt/translations/qt_help_de.qm",
        "torch/include/ATen/ATen.h",
        "torch/test/test_jit",
        "torch/bin/protoc",
        "kernels/libpellucid_cuda.so",
        "nvidia/cublas/lib/libcublas.so.12",
        "libcudart-abc.so.12",
        "torchvision/_C.so",
        "torchvision.libs/libnvjpeg.36e11081.so.13",
        "libstdc++.so.6",
        "libX11.so.6",
        "numpy-2.4.6.dist-info/RECORD",
    )
    assert [name for name in wanted if not is_wanted(name)] == []
    assert [name for name in unwanted if is_wanted(name)] == []


def test_the_restoring_edition_has_nothing_that_trains() -> None:
    from contents import OURS, excluded_modules

    assert {"torch", "spandrel", "trainer"} <= set(excluded_modules("restore"))
    assert not {"torch", "spandrel", "trainer"} & set(excluded_modules("full"))
    assert set(OURS["full"]) - set(OURS["restore"]) == {"trainer"}
    assert {path.name for path in ROOT.iterdir() if (path / "__init__.py").is_file()} == set(OURS["full"])


def test_pins_of_the_build_are_exact() -> None:
    for line in (ROOT / "requirements" / "package.txt").read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            assert re.match(r"[A-Za-z0-9_.-]+==[0-9.]+(; .*)?$", line), line


# ------------------------------------------------------------------------------------------------------------ licences


def test_what_must_not_be_shipped_is_refused() -> None:
    from licences import UntracedFiles, refuse_forbidden

    refuse_forbidden(["_internal/numpy/core.so", "_internal/openvino/libs/libopenvino.so"])
    for name in (
        "_internal/libreadline.so.8",
        "_internal/nvidia/cudnn/x.so",
        "_internal/x.libs/libnvjpeg.so.13",
        "_internal/torch/lib/libcudart.so.12",
    ):
        with pytest.raises(UntracedFiles, match=re.escape(name)):
            refuse_forbidden([name])


def test_every_file_of_a_bundle_is_traced_or_the_build_fails(tmp_path: Path) -> None:
    import msgspec
    from licences import UntracedFiles, format_notices, format_sbom, read_components

    bundle = tmp_path / "bundle"
    (bundle / "_internal").mkdir(parents=True)
    library = next(Path(msgspec.__file__).parent.glob("_core*"))
    stranger = tmp_path / "elsewhere" / "libstranger.so"
    stranger.parent.mkdir()
    stranger.write_bytes(b"?")
    origins = tmp_path / "parts" / "origins.json"
    origins.parent.mkdir()
    for name in ("msgspec.so", "libstranger.so"):
        (bundle / "_internal" / name).write_bytes(b"?")
    origins.write_text(json.dumps([["msgspec.so", str(library)], ["libstranger.so", str(stranger)]]))
    with pytest.raises(UntracedFiles, match="libstranger"):
        read_components(origins, bundle)
    from licences import Component

    parts = [Component("b", "2", "MIT", ("the text",), "pkg:pypi/b@2"), Component("c", "3", "MIT", ("the  text",))]
    notices = format_notices(parts, "Pellucid")
    assert "b 2: MIT" in notices
    assert "LGPL" in notices
    assert notices.count("the text") == 1, "one text, though two parts bring it"
    assert "b 2, c 3" in notices
    assert "Debian publishes" not in notices.replace("\n", " ")
    of_debian = [Component("libd", "4", "LGPL-2.1", ("",), "pkg:deb/debian/libd@4")]
    assert "Debian publishes" in format_notices(of_debian, "Pellucid").replace("\n", " ")
    sbom = json.loads(format_sbom(parts, "Pellucid", "0.1.0", "abc", "2026-01-01T00:00:00Z"))
    assert (sbom["bomFormat"], sbom["specVersion"]) == ("CycloneDX", "1.6")
    references = [part["bom-ref"] for part in sbom["components"]]
    assert references == ["pkg:pypi/b@2", "c 3"]
    assert sbom["dependencies"] == [{"ref": "pellucid", "dependsOn": references}]
    assert re.fullmatch(r"urn:uuid:[0-9a-f-]{36}", sbom["serialNumber"])


def test_a_model_that_comes_along_is_named_with_its_licence_and_whose_pictures_it_knows(tmp_path: Path) -> None:
    from licences import UntracedFiles, _model_component

    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    left_out = project["tool"]["scikit-build"]["wheel"]["exclude"]
    models = (ROOT / "engine" / "models" / "bundled").glob("*.safetensors")
    packed = [path for path in models if not any(path.relative_to(ROOT).match(pattern) for pattern in left_out)]
    found = [_model_component(path) for path in packed]
    assert found, "no model comes along"
    for component in found:
        assert component.kind == "machine-learning-model"
        assert "creativecommons.org" in component.texts[0]
        assert "Photographs of" in component.texts[0]
    header = json.dumps({"__metadata__": {"pellucid": json.dumps({"licence": "", "attribution": []})}}).encode()
    nameless = tmp_path / "nameless.safetensors"
    nameless.write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(UntracedFiles, match=r"nameless\.safetensors"):
        _model_component(nameless)


def test_the_texts_of_qts_licence_are_here_whole() -> None:
    for name, words in (("LGPL-3.0.txt", "GNU LESSER GENERAL PUBLIC LICENSE"), ("GPL-3.0.txt", "END OF TERMS")):
        assert words in (PACKAGING / "licences" / name).read_text("utf-8")


# --------------------------------------------------------------------------------------------------------------- Linux


def test_the_menu_entry_offers_every_picture_that_can_be_read() -> None:
    text = (PACKAGING / "linux" / "pellucid.desktop").read_text("utf-8")
    assert "Exec=pellucid %F" in text
    kinds = re.search(r"^MimeType=(.*);$", text, re.MULTILINE)
    assert kinds is not None
    offered = set(kinds.group(1).split(";"))
    metainfo = xml.etree.ElementTree.parse(PACKAGING / "linux" / "pellucid.metainfo.xml")
    assert {element.text for element in metainfo.iter("mediatype")} == offered
    from engine.image.formats import EXTENSIONS

    assert {f"image/{kind}" for kind in set(EXTENSIONS.values()) - {"raw"}} <= offered


def test_the_window_announces_itself_as_the_menu_entry() -> None:
    from gui.app import DESKTOP_ID

    text = (PACKAGING / "linux" / f"{DESKTOP_ID}.desktop").read_text("utf-8")
    assert f"StartupWMClass={DESKTOP_ID}" in text


@needs("desktop-file-validate")
def test_the_menu_entry_is_valid() -> None:
    words = ["desktop-file-validate", str(PACKAGING / "linux" / "pellucid.desktop")]
    said = subprocess.run(words, capture_output=True, text=True, check=True)
    assert "error" not in said.stdout


@needs("appstreamcli")
def test_the_metainfo_is_valid(tmp_path: Path) -> None:
    text = (PACKAGING / "linux" / "pellucid.metainfo.xml").read_text("utf-8")
    path = tmp_path / "app.pellucid.Pellucid.metainfo.xml"
    path.write_text(text.replace("@VERSION@", "0.1.0").replace("@DATE@", "2026-11-21"), encoding="utf-8")
    subprocess.run(["appstreamcli", "validate", "--no-net", str(path)], check=True, capture_output=True)


def test_the_man_page_has_every_command() -> None:
    from man_page import man_page

    from gui.__main__ import ENGINE_COMMANDS, TRAINER_COMMANDS, USAGE

    page = man_page(USAGE, "0.1.0", "2026-11-21")
    for command in (*ENGINE_COMMANDS, *TRAINER_COMMANDS):
        assert f"\n.B {command}\n" in page, command
    known = {"TH", "SH", "TP", "B", "BR", "I", "RI", "RB", "br", "nf", "fi"}
    assert set(re.findall(r"^\.([A-Za-z]+)", page, re.MULTILINE)) <= known


def test_the_package_depends_on_what_the_bundle_needs() -> None:
    from linux_packages import NAMES, NotPackable, control_file, depends

    needs = depends({"libc.so.6", "libstdc++.so.6", "libGL.so.1", "libX11.so.6"}, "2.35", "3.4.30")
    assert needs[:4] == ["libc6 (>= 2.35)", "libgl1", "libstdc++6 (>= 12)", "libx11-6"]
    with pytest.raises(NotPackable, match=r"libsurprise\.so\.1"):
        depends({"libsurprise.so.1"}, "2.35", "")
    for edition, name in NAMES.items():
        text = control_file(edition, "0.1.0", "amd64", 1000, needs)
        fields = dict(line.split(": ", 1) for line in text.splitlines() if line[0] != " ")
        assert fields["Package"] == name
        assert fields["Conflicts"] not in ("", name)
        assert all(len(line) <= 81 for line in text.splitlines() if line.startswith(" "))


def run_postrm(action: str, home: Path, number: int = 1000, states: str = "config-files") -> None:
    """The script, with commands of our own in the place of those that need root and other users."""
    tools = home.parent / "tools"
    tools.mkdir(exist_ok=True)
    (tools / "getent").write_text(f"#!/bin/sh\necho 'someone:x:{number}:{number}::{home}:/bin/sh'\n")
    (tools / "dpkg-query").write_text(f"#!/bin/sh\nprintf '{states}\\n'\n")
    (tools / "runuser").write_text('#!/bin/sh\nshift 3\nexec "$@"\n')
    for tool in tools.iterdir():
        tool.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"}
    subprocess.run(["sh", str(PACKAGING / "linux" / "postrm"), action], check=True, env=environment)


@pytest.mark.skipif(sys.platform != "linux", reason="a script of Debian's")
def test_removing_keeps_what_users_made_and_purging_takes_settings_and_models_only(tmp_path: Path) -> None:
    home = tmp_path / "home with ünicode"
    gone = [home / ".config/pellucid/settings.json", home / ".local/share/pellucid/models/mine.safetensors"]
    kept = [home / ".local/share/pellucid/runs/first/config.toml", home / "Pictures/pellucid/a.png", home / ".config/x"]
    for path in (*gone, *kept):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")
    for action in ("remove", "upgrade", "disappear"):
        run_postrm(action, home)
        assert all(path.exists() for path in (*gone, *kept))
    run_postrm("purge", home, number=999)
    assert all(path.exists() for path in gone), "a system account is nobody's home"
    run_postrm("purge", home, states="config-files\\ninstalled")
    assert all(path.exists() for path in gone), "the other edition uses them"
    run_postrm("purge", home, states="config-files\\nnot-installed")
    assert not any(path.exists() for path in gone)
    assert all(path.exists() for path in kept)


@pytest.mark.skipif(sys.platform != "linux", reason="a script of Debian's")
def test_purging_follows_no_link(tmp_path: Path) -> None:
    home, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    (home / ".config").mkdir(parents=True)
    elsewhere.mkdir()
    (elsewhere / "precious").write_text("mine")
    (home / ".config" / "pellucid").symlink_to(elsewhere)
    run_postrm("purge", home)
    assert (elsewhere / "precious").exists()


# --------------------------------------------------------------------------------------------------- Windows and macOS


@needs("makensis")
def test_the_windows_installer_compiles(tmp_path: Path) -> None:
    from windows_installer import compile_installer, write_stand_in

    write_stand_in(tmp_path / "payload")
    compile_installer(tmp_path / "payload", "restore", "0.1.0", tmp_path / "pellucid-setup.exe")
    assert (tmp_path / "pellucid-setup.exe").read_bytes()[:2] == b"MZ"


@pytest.mark.slow
def test_the_windows_installer_installs_upgrades_and_uninstalls_under_wine(tmp_path: Path) -> None:
    if shutil.which("makensis") is None or not (shutil.which("wine64") or Path("/usr/lib/wine/wine64").exists()):
        pytest.skip("not installed: nsis, wine64")
    from windows_installer import check_under_wine

    assert len(check_under_wine(tmp_path)) == 14


def test_the_property_list_is_one_that_macos_reads() -> None:
    from property_list import IDENTIFIER, info_plist

    facts = plistlib.loads(plistlib.dumps(info_plist("0.1.0")))
    assert facts["CFBundleIdentifier"] == IDENTIFIER
    assert re.fullmatch(r"\d+\.\d+\.\d+", facts["CFBundleShortVersionString"])
    assert facts["LSBackgroundOnly"] is False
    for kind in facts["CFBundleDocumentTypes"]:
        assert kind["LSHandlerRank"] == "Alternate", "no other program loses its files"


# ---------------------------------------------------------------------------------------------------------- the release


@pytest.mark.parametrize("name", ["installers.yml", "tests.yml"])
def test_the_workflows_parse_and_name_what_is_there(name: str) -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / name).read_text("utf-8"))
    jobs = workflow["jobs"]
    for job in jobs.values():
        wanted = job.get("needs", [])
        assert set([wanted] if isinstance(wanted, str) else wanted) <= set(jobs)
        for step in job["steps"]:
            assert ("run" in step) != ("uses" in step), step
            script = step.get("run", "")
            for path in re.findall(r"\b((?:packaging|requirements|\.ci)/[\w./-]+)", script):
                assert (ROOT / path).exists(), path
            if step.get("shell") != "pwsh" and shutil.which("bash"):
                plain = re.sub(r"\$\{\{.*?\}\}", "x", script)
                subprocess.run(["bash", "-n"], input=plain, text=True, check=True)


def test_installers_are_built_for_three_systems_and_proven_before_they_are_attached() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "installers.yml").read_text("utf-8"))
    jobs = workflow["jobs"]
    assert {row["system"] for row in jobs["build"]["strategy"]["matrix"]["include"]} == {"linux", "windows", "macos"}
    assert {"build", "prove"} <= set(jobs["release"]["needs"])


def test_the_changelog_begins_with_this_release() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    headings = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert headings[0] == version


def test_the_icon_drawn_for_menus_is_valid() -> None:
    root = xml.etree.ElementTree.parse(PACKAGING / "linux" / "pellucid.svg").getroot()
    assert root.get("viewBox") == "0 0 64 64"


def test_checksums_are_those_of_the_files(tmp_path: Path) -> None:
    import build

    (tmp_path / "a.deb").write_bytes(gzip.compress(b"a", mtime=0))
    build.write_sums(tmp_path)
    build.write_sums(tmp_path)
    said = (tmp_path / "SHA256SUMS").read_text().splitlines()
    assert len(said) == 1
    if shutil.which("sha256sum"):
        subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=tmp_path, check=True)

"""A bundle as a .deb and as a portable archive. Standard library, dpkg-deb, tar and zstd."""

from __future__ import annotations

import gzip
import hashlib
import os
import platform
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Final

from man_page import man_page

HERE: Final = Path(__file__).resolve().parent
NAMES: Final = {"restore": "pellucid", "full": "pellucid-full"}
"""Debian's names; each takes the other's place."""
COMPONENT_ID: Final = "app.pellucid.Pellucid"
ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64"}

SYSTEM_PACKAGES: Final = {
    **dict.fromkeys(("libc", "libm", "libpthread", "libdl", "librt", "libutil", "libmvec", "libresolv"), "libc6"),
    **dict.fromkeys(("ld-linux-x86-64", "ld-linux-aarch64"), "libc6"),
    "libgcc_s": "libgcc-s1",
    "libstdc++": "libstdc++6",
    "libX11": "libx11-6",
    "libX11-xcb": "libx11-xcb1",
    "libxcb": "libxcb1",
    "libXext": "libxext6",
    "libXrender": "libxrender1",
    "libXau": "libxau6",
    "libXdmcp": "libxdmcp6",
    "libfontconfig": "libfontconfig1",
    "libfreetype": "libfreetype6",
    "libexpat": "libexpat1",
    "libz": "zlib1g",
    "libdbus-1": "libdbus-1-3",
    "libGL": "libgl1",
    "libGLX": "libglx0",
    "libOpenGL": "libopengl0",
    "libEGL": "libegl1",
    "libwayland-client": "libwayland-client0",
    "libwayland-cursor": "libwayland-cursor0",
    "libwayland-egl": "libwayland-egl1",
}
"""Library that is not in the bundle -> Debian package that has it."""
FONTS: Final = "fonts-dejavu-core | fonts-noto-core | fonts-freefont-ttf"
COMPILER_VERSIONS: Final = {
    "3.4.28": "9",
    "3.4.29": "11",
    "3.4.30": "12",
    "3.4.31": "13",
    "3.4.32": "13",
    "3.4.33": "14",
}
"""Interface of the C++ library -> release of GCC that brought it."""


class NotPackable(Exception):
    """The bundle asks for something that no package is known to bring."""


def external_needs(bundle: Path) -> tuple[set[str], str, str]:
    """Libraries that the bundle expects of the system, and the newest interfaces of the C and C++ libraries it uses."""
    files = [path for path in bundle.rglob("*") if path.is_file() and not path.is_symlink()]
    elves = [path for path in files if path.open("rb").read(4) == b"\x7fELF"]
    inside = {path.name for path in bundle.rglob("*")}
    words = ["readelf", "--wide", "--dynamic", "--version-info", *map(str, elves)]
    listing = subprocess.run(words, capture_output=True, text=True, check=False).stdout
    needed = set(re.findall(r"\(NEEDED\).*\[(.*)\]", listing)) - inside

    def newest(interface: str) -> str:
        found = {
            tuple(map(int, number.split("."))) for number in re.findall(rf"\b{interface}_(\d+(?:\.\d+)+)", listing)
        }
        return ".".join(map(str, max(found))) if found else ""

    return needed, newest("GLIBC"), newest("GLIBCXX")


def depends(needed: set[str], glibc: str, glibcxx: str) -> list[str]:
    """The `Depends` of the package, sorted."""
    packages = set()
    for library in needed:
        package = SYSTEM_PACKAGES.get(library.split(".so")[0])
        if package is None:
            raise NotPackable(f"The bundle needs {library}, and no Debian package is known to bring it.")
        packages.add(package)
    versions = {"libc6": glibc, "libstdc++6": COMPILER_VERSIONS.get(glibcxx, "")}
    return [*sorted(f"{name} (>= {versions[name]})" if versions.get(name) else name for name in packages), FONTS]


def control_file(edition: str, version: str, architecture: str, size_kib: int, needs: list[str]) -> str:
    other = NAMES["full" if edition == "restore" else "restore"]
    extra = "" if edition == "restore" else f"Provides: {other} (= {version})\n"
    about_edition = (
        "This edition restores; pellucid-full also trains models of your own."
        if edition == "restore"
        else "This edition also trains models of your own, and runs many foreign ones."
    )
    return f"""\
Package: {NAMES[edition]}
Version: {version}
Architecture: {architecture}
Maintainer: The Pellucid authors <pellucid@localhost>
Installed-Size: {size_kib}
Depends: {", ".join(needs)}
Recommends: hicolor-icon-theme
Suggests: libnotify-bin, fonts-noto-cjk
Conflicts: {other}
Replaces: {other}
{extra}Section: graphics
Priority: optional
Description: restore and enlarge photographs
 Drop pictures in and get them back larger and sharper, with colour profiles, 16
 bits, transparency and camera data kept. Works offline: nothing is uploaded, and
 nothing is downloaded while it runs. With a window and a command line.
 .
 {about_edition}
"""


def _write_share(share: Path, program: Path, version: str, epoch: int, parts: Path) -> None:
    """Menu entry, icons, metainfo, man page and completions below `share`."""
    date = time.strftime("%Y-%m-%d", time.gmtime(epoch))
    for folder in ("applications", "metainfo", "man/man1", "bash-completion/completions", "zsh/vendor-completions"):
        (share / folder).mkdir(parents=True)
    shutil.copyfile(HERE / "linux" / "pellucid.desktop", share / "applications" / "pellucid.desktop")
    metainfo = (HERE / "linux" / "pellucid.metainfo.xml").read_text("utf-8")
    metainfo = metainfo.replace("@VERSION@", version).replace("@DATE@", date)
    (share / "metainfo" / f"{COMPONENT_ID}.metainfo.xml").write_text(metainfo, encoding="utf-8")
    icons = share / "icons" / "hicolor"
    for picture in sorted(parts.glob("pellucid-*.png")):
        side = picture.stem.split("-")[1]
        (icons / f"{side}x{side}" / "apps").mkdir(parents=True)
        shutil.copyfile(picture, icons / f"{side}x{side}" / "apps" / "pellucid.png")
    (icons / "scalable" / "apps").mkdir(parents=True)
    shutil.copyfile(HERE / "linux" / "pellucid.svg", icons / "scalable" / "apps" / "pellucid.svg")
    page = man_page(_output(program, "--help"), version, date).encode()
    (share / "man" / "man1" / "pellucid.1.gz").write_bytes(gzip.compress(page, 9, mtime=0))
    completions = {"bash": "bash-completion/completions/pellucid", "zsh": "zsh/vendor-completions/_pellucid"}
    for shell, place in completions.items():
        (share / place).write_text(_output(program, "completion", shell), encoding="utf-8")


def _output(program: Path, *words: str) -> str:
    return subprocess.run([program, *words], capture_output=True, text=True, check=True).stdout


def _copy_bundle(bundle: Path, target: Path) -> None:
    """As hard links, with the plain permissions of a package."""
    shutil.copytree(bundle, target, symlinks=True, copy_function=os.link)
    for path in [target, *target.rglob("*")]:
        if path.is_symlink():
            continue
        programs = ("pellucid", "torch_shm_manager")
        path.chmod(0o755 if path.is_dir() or path.name in programs else 0o644)


def make_deb(bundle: Path, edition: str, version: str, epoch: int, parts: Path, dist: Path) -> Path:
    root = parts.parent / "deb"
    shutil.rmtree(root, ignore_errors=True)
    _copy_bundle(bundle, root / "opt" / "pellucid")
    share = root / "usr" / "share"
    _write_share(share, bundle / "pellucid", version, epoch, parts)
    (root / "usr" / "bin").mkdir()
    (root / "usr" / "bin" / "pellucid").symlink_to("../../opt/pellucid/pellucid")
    documents = share / "doc" / NAMES[edition]
    documents.mkdir(parents=True)
    licence = (HERE.parent / "LICENSE").read_text("utf-8")
    (documents / "copyright").write_text(
        "Pellucid is Copyright 2026 The Pellucid authors, under the Apache License 2.0 that follows. The licences of\n"
        "all parts that it contains are in /opt/pellucid/_internal/THIRD-PARTY-NOTICES.txt.\n\n" + licence,
        encoding="utf-8",
    )
    changelog = (HERE.parent / "CHANGELOG.md").read_bytes()
    (documents / "changelog.gz").write_bytes(gzip.compress(changelog, 9, mtime=0))
    _write_control(root, bundle, edition, version)
    target = dist / f"{NAMES[edition]}_{version}_{ARCHITECTURES[platform.machine()]}.deb"
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", "-Zzstd", "-z10", "--build", root, target],
        check=True,
        env={**os.environ, "SOURCE_DATE_EPOCH": str(epoch)},
        stdout=subprocess.DEVNULL,
    )
    shutil.rmtree(root)
    return target


def _write_control(root: Path, bundle: Path, edition: str, version: str) -> None:
    files = sorted(path for path in root.rglob("*") if path.is_file() and not path.is_symlink())
    for folder in [path for path in root.rglob("*") if path.is_dir() and not path.is_symlink()]:
        folder.chmod(0o755)
    size = sum(path.stat().st_size for path in files) // 1024
    control = root / "DEBIAN"
    control.mkdir()
    text = control_file(edition, version, ARCHITECTURES[platform.machine()], size, depends(*external_needs(bundle)))
    (control / "control").write_text(text, encoding="utf-8")
    sums = []
    for path in files:
        with path.open("rb") as file:
            sums.append(f"{hashlib.file_digest(file, 'md5').hexdigest()}  {path.relative_to(root)}\n")
    (control / "md5sums").write_text("".join(sums), encoding="utf-8")
    shutil.copyfile(HERE / "linux" / "postrm", control / "postrm")
    (control / "postrm").chmod(0o755)
    root.chmod(0o755)


def make_portable(bundle: Path, edition: str, version: str, epoch: int, parts: Path, dist: Path) -> Path:
    """An archive of one folder that runs from wherever it is unpacked."""
    name = f"{NAMES[edition]}-{version}-linux-{platform.machine()}"
    root = parts.parent / "portable" / name
    shutil.rmtree(root.parent, ignore_errors=True)
    root.parent.mkdir(parents=True)
    _copy_bundle(bundle, root)
    _write_share(root / "share", bundle / "pellucid", version, epoch, parts)
    shutil.copyfile(HERE / "linux" / "portable-readme.txt", root / "README.txt")
    target = dist / f"{name}.tar.zst"
    # The program first: on a disk that is full it is whole, and says what is missing; an empty one would say nothing.
    first = ["--no-recursion", name, f"{name}/pellucid", "--recursion", f"{name}/README.txt"]
    rest = [f"{name}/_internal", f"{name}/share"]
    tar = ["tar", "--sort=name", f"--mtime=@{epoch}", "--owner=0", "--group=0", "--numeric-owner", "-cf", "-"]
    with subprocess.Popen([*tar, *first, *rest], cwd=root.parent, stdout=subprocess.PIPE) as packing:
        squeeze = ["zstd", "-10", "-T0", "--quiet", "--force", "-o", str(target)]
        subprocess.run(squeeze, stdin=packing.stdout, check=True)
    if packing.returncode:
        raise NotPackable(f"tar ended with {packing.returncode}.")
    shutil.rmtree(root.parent)
    return target

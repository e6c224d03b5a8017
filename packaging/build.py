#!/usr/bin/env python3
"""Make what this system can make: python3 packaging/build.py [restore] [full]. Standard library only.

Linux: a .deb and a portable .tar.zst of each edition. Windows: an installer (NSIS). macOS: a .dmg. Beside each
its SBOM, and SHA256SUMS over all. Every bundle runs its own self-test before it is packed. All is made below build/
and ends in dist/; the environment below build/ is kept, so that a second build starts with the bundling.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import time
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
WINDOWS = os.name == "nt"
EDITIONS = ("restore", "full")


class BuildFailed(Exception):
    """A sentence for the person who builds."""


def say(text: str) -> None:
    print(f"[{time.strftime('%H:%M:%S')}] {text}", file=sys.stderr, flush=True)


def run(command: list[str | Path], failure: str, folder: Path = ROOT, environment: dict[str, str] | None = None) -> str:
    """Run quietly and return what it printed; on failure show its last words, and the sentence."""
    result = subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        env={**os.environ, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if result.returncode != 0:
        print(result.stdout[-6000:], file=sys.stderr)
        raise BuildFailed(failure)
    return result.stdout


def make_environment(folder: Path, editions: list[str]) -> Path:
    """A virtual environment with everything pinned, and Pellucid as users get it; returns its Python."""
    python = folder / ("Scripts/python.exe" if WINDOWS else "bin/python")
    if not python.is_file():
        say("Making the build environment ...")
        run([sys.executable, "-m", "venv", folder], "This Python cannot make virtual environments.")
    parts = ["base", "build", "package", *(["train"] if "full" in editions else [])]
    for part in parts:
        requirements = ROOT / "requirements" / f"{part}.txt"
        stamp, digest = folder / f".done-{part}", hashlib.sha256(requirements.read_bytes()).hexdigest()
        if stamp.is_file() and stamp.read_text() == digest:
            continue
        say(f"Installing requirements/{part}.txt ...")
        command: list[str | Path] = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        index = os.environ.get("PELLUCID_TORCH_INDEX", "")
        if part != "train":
            command.append("--no-deps")
        elif index:
            command += ["--extra-index-url", index]
        run([*command, "-r", requirements], f"pip could not install requirements/{part}.txt.")
        stamp.write_text(digest)
    if "full" in editions:
        check_torch(python)
    say("Building and installing Pellucid itself ...")
    run(
        [
            *(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"),
            *("--no-build-isolation", "--force-reinstall", "-C", "cmake.define.PELLUCID_CUDA=OFF", ROOT),
        ],
        "Pellucid did not build; the compiler's words are above.",
    )
    return python


def check_torch(python: Path) -> None:
    """NVIDIA's libraries must not be in a bundle, so torch has to be its CPU build."""
    cuda = run([python, "-c", "import torch; print(torch.version.cuda or '')"], "torch cannot be imported.").strip()
    if cuda:
        raise BuildFailed(
            f"This torch is built for CUDA {cuda}, which must not be bundled. Install the CPU build: set "
            "PELLUCID_TORCH_INDEX to the index that has it, and remove build/ first."
        )


def release() -> str:
    with (ROOT / "pyproject.toml").open("rb") as file:
        return str(tomllib.load(file)["project"]["version"])


def source_of_build() -> tuple[str, int]:
    """Commit and its time (seconds since 1970), of a checkout; a source archive has them in the environment."""
    if "SOURCE_DATE_EPOCH" in os.environ and not (ROOT / ".git").exists():
        return os.environ.get("PELLUCID_COMMIT", "unknown"), int(os.environ["SOURCE_DATE_EPOCH"])
    words = run(["git", "log", "-1", "--format=%h %ct"], "git does not know this commit.").split()
    return words[0], int(words[1])


def make_bundle(python: Path, edition: str, work: Path) -> Path:
    """PyInstaller, and everything that is done to its folder; returns the folder."""
    commit, epoch = source_of_build()
    parts = work / "parts"
    shutil.rmtree(work, ignore_errors=True)
    parts.mkdir(parents=True)
    environment = {
        "PELLUCID_EDITION": edition,
        "PELLUCID_PARTS": str(parts),
        "PELLUCID_VERSION": release(),
        "SOURCE_DATE_EPOCH": str(epoch),
        "PYTHONHASHSEED": "1",
        "QT_QPA_PLATFORM": "offscreen",
    }
    say(f"{edition}: icons, facts and notices ...")
    words: list[str | Path] = [python, HERE / "prepare.py", edition, parts, release(), commit, str(epoch)]
    run(words, "The parts of the bundle could not be made.", environment=environment)
    say(f"{edition}: bundling ...")
    run(
        [
            *(python, "-P", "-m", "PyInstaller", "--noconfirm", "--clean", "--log-level", "WARN"),
            *("--distpath", work / "out", "--workpath", work / "work", HERE / "pellucid.spec"),
        ],
        "PyInstaller failed; its last words are above.",
        work,  # not the checkout: what is installed is what is bundled
        environment,
    )
    bundle = work / "out" / ("Pellucid.app" if sys.platform == "darwin" else "pellucid")
    say(f"{edition}: finishing and tracing every file to its licence ...")
    run([python, HERE / "finish.py", bundle, parts], "The bundle is not fit to be shipped.", environment=environment)
    return bundle


def program_of(bundle: Path) -> Path:
    if sys.platform == "darwin":
        return bundle / "Contents" / "MacOS" / "pellucid"
    return bundle / ("pellucid.exe" if WINDOWS else "pellucid")


def test_bundle(bundle: Path, edition: str) -> None:
    """The bundle's own self-test, in an environment without Python's variables."""
    say(f"{edition}: self-test ...")
    words: list[str | Path] = [program_of(bundle), "--selftest"]
    report = run(words, "The bundle failed its own self-test.", environment={"PYTHONPATH": ""})
    print(report, file=sys.stderr)


def pack(bundle: Path, edition: str, parts: Path, dist: Path) -> list[Path]:
    """The installers that this system can make."""
    sys.path.insert(0, str(HERE))
    _, epoch = source_of_build()
    if sys.platform == "linux":
        import linux_packages

        say(f"{edition}: packing .deb and .tar.zst ...")
        return [
            linux_packages.make_deb(bundle, edition, release(), epoch, parts, dist),
            linux_packages.make_portable(bundle, edition, release(), epoch, parts, dist),
        ]
    if WINDOWS:
        import windows_installer

        say(f"{edition}: compiling the installer ...")
        return [windows_installer.make_installer(bundle, edition, release(), parts, dist)]
    import macos_image

    say(f"{edition}: making the disk image ...")
    return [macos_image.make_image(bundle, edition, release(), dist)]


def write_sums(dist: Path) -> None:
    lines = []
    for path in sorted(dist.iterdir()):
        if path.is_file() and path.name != "SHA256SUMS":
            with path.open("rb") as file:
                lines.append(f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {path.name}\n")
    (dist / "SHA256SUMS").write_text("".join(lines), encoding="utf-8", newline="\n")


def build(editions: list[str], environment: Path, work: Path, dist: Path) -> None:
    began = time.monotonic()
    dist.mkdir(parents=True, exist_ok=True)
    python = make_environment(environment, editions)
    for edition in editions:
        bundle = make_bundle(python, edition, work / edition)
        test_bundle(bundle, edition)
        made = pack(bundle, edition, work / edition / "parts", dist)
        system = {"linux": "linux", "win32": "windows", "darwin": "macos"}[sys.platform]
        sbom = dist / f"pellucid-{edition}-{release()}-{system}-{platform.machine().lower()}.cdx.json"
        shutil.copyfile(work / edition / "parts" / "sbom.cdx.json", sbom)
        for path in made:
            say(f"{edition}: {path.name}, {path.stat().st_size / 1e6:.1f} MB")
    write_sums(dist)
    say(f"Done in {time.monotonic() - began:.0f} s: {dist}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("editions", nargs="*", metavar="EDITION", help="restore, full (default: both)")
    parser.add_argument(
        "--environment", type=Path, default=ROOT / "build" / "packaging-venv", help="kept between builds"
    )
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "bundles")
    parser.add_argument("--dist", type=Path, default=ROOT / "dist")
    arguments = parser.parse_args()
    if unknown := [name for name in arguments.editions if name not in EDITIONS]:
        print(f"There is no edition {unknown[0]}; there are {' and '.join(EDITIONS)}.", file=sys.stderr)
        return 2
    editions = [name for name in EDITIONS if name in arguments.editions or not arguments.editions]
    try:
        build(editions, arguments.environment.absolute(), arguments.work.absolute(), arguments.dist.absolute())
    except BuildFailed as failure:
        print(failure, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

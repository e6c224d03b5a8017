"""The wheel: one for every Python, with the CUDA library where nvcc is found, and whole where it is not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not (ROOT / "kernels" / "CMakeLists.txt").is_file(), reason="an installed wheel has no sources"),
]


def path_without(program: str) -> str:
    """PATH without the folders that hold this program."""
    folders = os.environ["PATH"].split(os.pathsep)
    return os.pathsep.join(folder for folder in folders if not shutil.which(program, path=folder))


def build_wheel(folder: Path, *options: str, path: str | None = None) -> tuple[Path, str]:
    command = [sys.executable, "-m", "pip", "wheel", ROOT, "--no-deps", "--no-build-isolation", "-v", "-w", folder]
    environment = {**os.environ, "PATH": path or os.environ["PATH"], "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    if path:
        environment = {name: value for name, value in environment.items() if name not in ("CUDACXX", "CUDA_PATH")}
    settings = [f"-Cbuild-dir={folder / 'build'}", *options]
    outcome = subprocess.run([*command, *settings], env=environment, capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stdout[-3000:] + outcome.stderr[-3000:]
    wheels = list(folder.glob("*.whl"))
    assert len(wheels) == 1
    return wheels[0], outcome.stdout + outcome.stderr


def names_in(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as file:
        return file.namelist()


def test_a_wheel_without_nvcc_says_so_and_runs_on_any_python(tmp_path: Path) -> None:
    pytest.importorskip("scikit_build_core")
    wheel, said = build_wheel(tmp_path, path=path_without("nvcc"))
    assert "No CUDA compiler: libpellucid_cpu only" in said
    assert "-py3-none-" in wheel.name
    names = names_in(wheel)
    assert any("kernels/libpellucid_cpu" in name for name in names)
    assert not any("pellucid_cuda" in name or name.startswith("kernels/src") for name in names)
    # The wheel itself, unpacked: it loads, runs, and says in words that there is no CUDA library.
    with zipfile.ZipFile(wheel) as file:
        file.extractall(tmp_path / "site")
    code = (
        "import numpy as np; from kernels.degrade import degrade; from kernels.ops import OP;"
        "from kernels.library import cuda_library; from kernels.errors import KernelsMissingError\n"
        "print(degrade(np.zeros((1, 3, 4, 4), np.float32), np.zeros((1, 1), OP), 0, [0]).shape)\n"
        "try: cuda_library()\nexcept KernelsMissingError as error: print(error)"
    )
    # Without the hooks of this environment, whose own installation would come first.
    folders = os.pathsep.join([str(tmp_path / "site"), str(Path(np.__file__).parents[1])])
    environment = {**os.environ, "PYTHONPATH": folders, "PYTHONSAFEPATH": "1"}
    outcome = subprocess.run(
        [sys.executable, "-S", "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert outcome.stdout.startswith("(1, 3, 4, 4)")
    assert "pellucid_cuda" in outcome.stdout
    assert "is not part of this installation" in outcome.stdout


@pytest.mark.skipif(not shutil.which("nvcc"), reason="nvcc is not there")
def test_a_wheel_with_nvcc_holds_both_libraries(tmp_path: Path) -> None:
    pytest.importorskip("scikit_build_core")
    wheel, said = build_wheel(tmp_path, "-Ccmake.define.PELLUCID_CUDA_ARCHITECTURES=90-real")
    assert "libpellucid_cuda for 90-real" in said
    assert "-py3-none-" in wheel.name
    names = names_in(wheel)
    for library in ("pellucid_cpu", "pellucid_cuda"):
        assert any(library in name for name in names)
    with zipfile.ZipFile(wheel) as file:
        file.extractall(tmp_path / "site")
    library = next((tmp_path / "site" / "kernels").glob("*pellucid_cuda*"))
    if sys.platform.startswith("linux") and shutil.which("readelf"):
        needed = subprocess.run(["readelf", "-d", library], capture_output=True, text=True, check=True).stdout
        assert "libcudart" not in needed  # linked in
        assert "libstdc++" in needed  # the system's
        assert "libpython" not in needed
        assert "torch" not in needed


@pytest.mark.skipif(os.name != "posix" or not shutil.which("nvcc"), reason="nvcc is not there")
@pytest.mark.parametrize(
    ("known", "built"),
    [
        ("sm_75 sm_80 sm_86 sm_89 sm_90 sm_90a", "libpellucid_cuda for 75-real;80-real;86-real;89-real;90\n"),
        ("sm_35 sm_900", "knows none of the GPUs that are asked for: libpellucid_cpu only\n"),
    ],
)
def test_an_older_compiler_builds_for_the_gpus_it_knows(known: str, built: str, tmp_path: Path) -> None:
    older = tmp_path / "nvcc"
    older.write_text(
        f'#!/bin/sh\nif [ "$1" = --list-gpu-code ]; then printf "%s\\n" {known}; exit; fi\n'
        'case "$*" in *compute_100*|*compute_120*) echo "nvcc fatal: Unsupported gpu architecture" >&2; exit 1;; esac\n'
        f'exec {shutil.which("nvcc")} "$@"\n'
    )
    older.chmod(0o755)
    outcome = subprocess.run(
        ["cmake", "-S", ROOT / "kernels", "-B", tmp_path / "build"],
        env={**os.environ, "CUDACXX": str(older)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome.returncode == 0, outcome.stderr
    assert built in outcome.stdout

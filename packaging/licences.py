"""What a bundle is made of, proven file by file: the third-party notices and the SBOM (CycloneDX 1.6).

Every file of the bundle is traced to where it came from: a Python distribution (by its RECORD), Python itself, a
package of the system, or ourselves. One that cannot be traced fails the build: what nobody knows is not shipped.
Runs in the environment that built the bundle.
"""

from __future__ import annotations

import csv
import datetime
import hashlib
import json
import os
import re
import subprocess
import sys
import sysconfig
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).resolve().parent
LICENCE_TEXTS: Final = HERE / "licences"

FORBIDDEN: Final = {
    "libreadline": "GPL without an exception",
    "libgdbm": "GPL without an exception",
    "libcudart": "NVIDIA's licence",
    "libcublas": "NVIDIA's licence",
    "libcudnn": "NVIDIA's licence",
    "libnvinfer": "NVIDIA's licence",
    "libnccl": "an NVIDIA component",
    **dict.fromkeys(
        ("libnvjpeg", "libnvrtc", "libnvJitLink", "libnpp", "libcupti", "libcufft", "libcurand", "libcusolver"),
        "NVIDIA's licence",
    ),
    "libcusparse": "NVIDIA's licence",
    "nvidia": "NVIDIA's licence",
}
"""Beginnings of file names that must not be in a bundle, and why."""

SUPPLEMENTS: Final = {
    "pyside6-essentials": ("LGPL-3.0-only", ("LGPL-3.0.txt", "GPL-3.0.txt")),
    "shiboken6": ("LGPL-3.0-only", ("LGPL-3.0.txt",)),
    "spandrel": ("MIT", ("spandrel-MIT.txt",)),
}
"""Distributions that bring no text of their licence, and the terms under which we ship them."""

WORDS: Final = {
    "jinja2": "BSD-3-Clause",
    "markdown-it-py": "MIT",
    "mdurl": "MIT",
    "safetensors": "Apache-2.0",
    "torchvision": "BSD-3-Clause",
    "mpmath": "BSD-3-Clause",
    "sympy": "BSD-3-Clause",
    "pyinstaller": "GPL-2.0-or-later WITH Bootloader-exception",
}
"""Licences that the distributions do not name in the standard's words, read from their texts."""

SYSTEM_WORDS: Final = {
    "libbrotli1": "MIT",
    "libbz2-1.0": "bzip2-1.0.6",
    "libcom-err2": "MIT",
    "libffi8": "MIT",
    "libglib2.0-0": "LGPL-2.1-or-later",
    "libgomp1": "GPL-3.0-or-later WITH GCC-exception-3.1",
    "libkeyutils1": "LGPL-2.0-or-later",
    "liblzma5": "public domain",
    "libpcre2-8-0": "BSD-3-Clause",
    "libssl3": "Apache-2.0",
    "libuuid1": "BSD-3-Clause",
    "libzstd1": "BSD-3-Clause",
    **dict.fromkeys(("libgssapi-krb5-2", "libk5crypto3", "libkrb5-3", "libkrb5support0"), "MIT"),
    **dict.fromkeys(("libxkbcommon0", "libxkbcommon-x11-0"), "MIT"),
    **dict.fromkeys((f"libxcb-{name}" for name in ("cursor0", "glx0", "icccm4", "image0", "keysyms1")), "MIT"),
    **dict.fromkeys((f"libxcb-{name}" for name in ("randr0", "render0", "render-util0", "shape0")), "MIT"),
    **dict.fromkeys((f"libxcb-{name}" for name in ("shm0", "sync1", "util1", "xfixes0", "xkb1")), "MIT"),
}
"""Terms of the library itself. Its package's text names those of every file of the source too, programs and tests."""

QT_NOTICE: Final = """\
Pellucid uses Qt and PySide6 under the GNU Lesser General Public License, version 3. They are separate shared
libraries, unmodified, in the folder PySide6 beside the program (_internal/PySide6). You may replace them by versions of
your own that have the same interface: put your files in the place of ours, and Pellucid will use them. Nothing in
Pellucid keeps you from modifying them for your own use, or from reverse engineering for debugging such
modifications. The source text of exactly these versions is published by the Qt Project under the names
"qt-everywhere-src" and "pyside-setup-everywhere-src", with the version given below. The full texts of the LGPL and of
the GPL that it refers to follow below. Qt contains work of others under their own permissive licences; Qt's
documentation lists them under "Licenses Used in Qt".
"""

HEIF_NOTICE: Final = """\
The codec libheif reads HEIC pictures here. It is built to write them too, with the library x265, which is licensed
under the GPL; x265 is not part of Pellucid. In its place stands an empty library of ours, and HEIC files cannot be
written. libheif and libde265 are used under the GNU Lesser General Public License, version 3, as separate shared
libraries (_internal/pillow_heif.libs) that you may replace as said of Qt.
"""

SYSTEM_NOTICE: Final = """\
The parts that are called lib... in the list are libraries of the Debian system that this was built on, unmodified.
Debian publishes the source text of exactly these versions under these names. Those of them that are under the GNU
Lesser General Public License are separate shared libraries (in _internal) that you may replace as said of Qt.
"""

MODEL_TERMS: Final = {
    "CC-BY-SA-4.0": "https://creativecommons.org/licenses/by-sa/4.0/",
    "CC-BY-4.0": "https://creativecommons.org/licenses/by/4.0/",
    "CC0-1.0": "https://creativecommons.org/publicdomain/zero/1.0/",
    "Apache-2.0": "as Pellucid itself",
}
"""Licences that a model that comes along may have, and where their text is."""

CONTENTS: Final = ("_internal/", "Contents/Frameworks/", "Contents/Resources/", "Contents/MacOS/")
"""Where files lie in a bundle, on every system."""


class UntracedFiles(Exception):
    """Files of the bundle whose origin is not known, or that must not be there."""


@dataclass(frozen=True, slots=True)
class Component:
    """One part of the bundle with its terms."""

    name: str
    version: str
    licence: str
    texts: tuple[str, ...]
    package_url: str = ""
    kind: str = "library"
    files: list[str] = field(default_factory=list, compare=False)

    @property
    def title(self) -> str:
        return f"{self.name} {self.version}".strip()


def read_components(analysis: Path, bundle: Path) -> list[Component]:
    """The parts of `bundle`, sorted by name; `analysis`: what the spec wrote down about the origin of each file."""
    origins: list[tuple[str, str]] = [(place, source) for place, source in json.loads(analysis.read_text("utf-8"))]
    present = {path.relative_to(bundle).as_posix() for path in bundle.rglob("*") if path.is_file()}
    refuse_forbidden(present)
    owners = _owners_of_installed_files()
    components: dict[str, Component] = {}
    untraced: list[str] = []
    left: dict[Path, str] = {}
    for place, source in origins:
        path = Path(source)
        if path.suffix != ".py" and not any(f"{folder}{place}" in present for folder in CONTENTS):
            continue  # pruned after it was collected
        if _is_below(path, analysis.parent) or path.name == "base_library.zip":
            continue  # ours; or Python's, packed by PyInstaller
        component = _trace(path, owners, components)
        if component is not None:
            component.files.append(place)
        elif not _is_ours(path):
            left[path] = place
    packages = _system_packages(left) if sys.platform == "linux" else {}
    for path, place in left.items():
        package = packages.get(path)
        if package is None:
            untraced.append(f"{place} from {path}")
            continue
        if package not in components:
            components[package] = _system_component(package)
        components[package].files.append(place)
    if untraced:
        raise UntracedFiles("It is not known where these come from:\n  " + "\n  ".join(sorted(untraced)[:40]))
    bootloader = _distribution_component(metadata.distribution("pyinstaller"))
    components.setdefault("pyinstaller", bootloader)
    components.setdefault("python", _python_component())
    components.update((path.name, _model_component(path)) for path in sorted(bundle.rglob("*.safetensors")))
    return sorted(components.values(), key=lambda component: component.name.lower())


def refuse_forbidden(names: Iterable[str]) -> None:
    """Raises UntracedFiles when a file is there whose licence does not let us ship it."""
    found = [
        f"{name}: {reason}"
        for name in sorted(names)
        for beginning, reason in FORBIDDEN.items()
        if any(part.startswith(beginning) for part in name.split("/"))
    ]
    if found:
        raise UntracedFiles("These must not be in a bundle:\n  " + "\n  ".join(found))


def format_notices(components: list[Component], product: str) -> str:
    """The text shown in About and installed beside the program: a list, our notices, then every licence once."""
    lines = [
        f"{product} contains the following parts, each under its own licence.",
        "",
        *(f"  {component.title}: {component.licence}" for component in components),
        "",
        "Qt and PySide6 (LGPL)",
        QT_NOTICE,
        "HEIC pictures",
        HEIF_NOTICE,
    ]
    if any(component.package_url.startswith("pkg:deb/") for component in components):
        lines += ["Libraries of the system", SYSTEM_NOTICE]
    texts: dict[str, tuple[str, list[str]]] = {}
    for component in components:
        for text in component.texts:
            key = hashlib.sha256(" ".join(text.split()).encode()).hexdigest()
            texts.setdefault(key, (text, []))[1].append(component.title)
    for text, titles in texts.values():
        lines += ["=" * 100, ", ".join(dict.fromkeys(titles)), "", text.strip(), ""]
    return "\n".join(lines) + "\n"


def format_sbom(components: list[Component], product: str, version: str, commit: str, moment: str) -> str:
    """CycloneDX 1.6, JSON. The same bundle gives the same bytes."""
    serial = uuid.uuid5(uuid.NAMESPACE_OID, f"{product} {version} {commit}")
    document: dict[str, Any] = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
        "metadata": {
            "timestamp": moment,
            "component": {
                "type": "application",
                "bom-ref": "pellucid",
                "name": product,
                "version": version,
                "licenses": [{"license": {"id": "Apache-2.0"}}],
            },
        },
        "components": [_sbom_entry(component) for component in components],
        "dependencies": [
            {"ref": "pellucid", "dependsOn": [_reference(component) for component in components]},
        ],
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _reference(component: Component) -> str:
    return component.package_url or component.title


def _sbom_entry(component: Component) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": component.kind, "bom-ref": _reference(component), "name": component.name}
    if component.version:
        entry["version"] = component.version
    entry["licenses"] = [{"license": {"name": component.licence}}]
    if component.package_url:
        entry["purl"] = component.package_url
    return entry


# ------------------------------------------------------------------------------------------------- where a file is from


def _owners_of_installed_files() -> dict[str, metadata.Distribution]:
    """By normal path as text: asking the disk about each of 30,000 files takes half a minute."""
    owners: dict[str, metadata.Distribution] = {}
    for distribution in metadata.distributions():
        base = os.path.realpath(str(distribution.locate_file("")))
        record = distribution.read_text("RECORD") or ""
        for line in csv.reader(record.splitlines()):
            owners[os.path.normpath(f"{base}/{line[0]}")] = distribution
    return owners


def _trace(path: Path, owners: dict[str, metadata.Distribution], known: dict[str, Component]) -> Component | None:
    """The component that the file belongs to, made when it is the first of its kind."""
    distribution = owners.get(os.path.realpath(path))
    if distribution is not None:
        name = _plain_name(distribution)
        if name == "pellucid":
            return None
        if name not in known:
            known[name] = _distribution_component(distribution)
        return known[name]
    if _is_below(path, Path(sys.base_prefix)) or _is_below(path, Path(sysconfig.get_path("stdlib"))):
        return known.setdefault("python", _python_component())
    if sys.platform == "win32" and re.match(r"(vcruntime|msvcp|concrt|ucrtbase|api-ms-win)", path.name.lower()):
        return known.setdefault("msvc", Component("Microsoft Visual C++ Runtime", "", "redistributable", ()))
    return None


def _is_ours(path: Path) -> bool:
    ours = [HERE.parent, *(Path(entry).parent for entry in _our_roots())]
    return any(_is_below(path, root) for root in ours)


def _our_roots() -> list[str]:
    try:
        files = metadata.distribution("pellucid").files or []
    except metadata.PackageNotFoundError:
        return []
    roots = {str(file).split("/")[0] for file in files}
    site = Path(str(metadata.distribution("pellucid").locate_file("")))
    return [str(site / root / "x") for root in roots if root in ("gui", "engine", "trainer", "kernels")]


def _is_below(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve()) or path.is_relative_to(folder)


def _plain_name(distribution: metadata.Distribution) -> str:
    return re.sub(r"[-_.]+", "-", str(distribution.metadata["Name"])).lower()


def _distribution_component(distribution: metadata.Distribution) -> Component:
    name, plain = distribution.metadata["Name"], _plain_name(distribution)
    licence, supplements = SUPPLEMENTS.get(plain, ("", ()))
    texts = [text for text in (_text_of(distribution, str(file)) for file in distribution.files or ()) if text]
    texts += [(LICENCE_TEXTS / file).read_text("utf-8") for file in supplements]
    if not texts:
        raise UntracedFiles(f"{name} brings no text of its licence; add it to packaging/licences and to SUPPLEMENTS.")
    return Component(
        name,
        distribution.version,
        licence or WORDS.get(plain) or licence_words(distribution),
        tuple(texts),
        f"pkg:pypi/{plain}@{distribution.version.split('+')[0]}",
    )


def licence_words(distribution: metadata.Distribution) -> str:
    """The licence as the distribution names it, in one line."""
    fields = distribution.metadata.json
    if expression := fields.get("license_expression"):
        return str(expression)
    classified = [line.split(" :: ")[-1] for line in fields.get("classifier") or [] if line.startswith("License")]
    if classified and classified != ["OSI Approved"]:
        return ", ".join(classified)
    return str(fields.get("license") or "see its text").splitlines()[0][:80]


_LICENCE_FILE: Final = re.compile(r"(licen[cs]e|copying|notice|patents|third-party-programs)[^/]*$", re.IGNORECASE)
_LICENCE_FOLDER: Final = re.compile(r"\.dist-info/licenses/|^imagecodecs/licenses/", re.IGNORECASE)


def _text_of(distribution: metadata.Distribution, file: str) -> str:
    """The text, when `file` is a licence of what we ship and not of the distribution's tests."""
    is_licence = _LICENCE_FOLDER.search(file) or (".dist-info/" in file and _LICENCE_FILE.search(file))
    if not is_licence or re.search(r"/(tests?|googletest|benchmark)/", file) or file.endswith(".py"):
        return ""
    try:
        return Path(str(distribution.locate_file(file))).read_text("utf-8", "replace").strip()
    except OSError:
        return ""


def _python_component() -> Component:
    places = [Path(sysconfig.get_path("stdlib")) / "LICENSE.txt", Path(sys.base_prefix) / "LICENSE.txt"]
    places.append(Path(f"/usr/share/doc/python{sys.version_info[0]}.{sys.version_info[1]}/copyright"))
    text = next((place.read_text("utf-8", "replace") for place in places if place.is_file()), "")
    if not text:
        raise UntracedFiles("The text of Python's own licence was not found beside its standard library.")
    version = ".".join(map(str, sys.version_info[:3]))
    return Component("Python", version, "PSF-2.0", (text,), f"pkg:generic/python@{version}")


def _model_component(path: Path) -> Component:
    """What the card in the header of the file says of its licence, and of whose pictures it was trained on."""
    with path.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    card = json.loads(header["__metadata__"]["pellucid"])
    if card["licence"] not in MODEL_TERMS or not card["attribution"]:
        raise UntracedFiles(f"The card of {path.name} names no licence of MODEL_TERMS, or not whose pictures it knows.")
    terms = f"{card['licence']}, {MODEL_TERMS[card['licence']]}"
    text = "\n".join([f"The model {card['name']} is under {terms}.", "It was made with:", *card["attribution"]])
    return Component(card["name"], "", card["licence"], (text,), kind="machine-learning-model")


def _system_packages(paths: Iterable[Path]) -> dict[Path, str]:
    """Debian's names for the packages that libraries came with. Asked at once: each question takes long."""
    spellings: dict[str, Path] = {}
    for path in paths:
        for candidate in (path, path.resolve()):
            bare = str(candidate).removeprefix("/usr")
            spellings.update({bare: path, f"/usr{bare}": path})
    if not spellings:
        return {}
    answer = subprocess.run(["dpkg", "-S", *spellings], capture_output=True, text=True, check=False)
    owners: dict[Path, str] = {}
    for line in answer.stdout.splitlines():
        packages, _, name = line.partition(": ")
        if name in spellings:
            owners[spellings[name]] = packages.split(",")[0]
    return owners


def _system_component(package: str) -> Component:
    name = package.split(":")[0]
    version = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Version}", package], capture_output=True, text=True, check=True
    ).stdout
    text = (Path("/usr/share/doc") / name / "copyright").read_text("utf-8", "replace")
    words = dict.fromkeys(re.findall(r"^License: *(\S.*)$", text, re.MULTILINE))
    licence = SYSTEM_WORDS.get(name) or ", ".join(words)[:200] or "see its text"
    return Component(name, version, licence, (text,), f"pkg:deb/debian/{name}@{version}")


def moment_of(epoch: int) -> str:
    """Seconds since 1970 as SBOMs write it."""
    return datetime.datetime.fromtimestamp(epoch, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

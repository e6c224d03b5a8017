"""What this program is made of, from the metadata of what is installed."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path


def version() -> str:
    try:
        return metadata.version("pellucid")
    except metadata.PackageNotFoundError:
        return _version_of_checkout()


def notices() -> str:
    """Name, version and licence of every part that is installed beside us, with its licence text where it has one."""
    parts = sorted(
        {part.metadata["Name"]: part for part in metadata.distributions() if part.metadata["Name"]}.items(),
        key=lambda pair: pair[0].lower(),
    )
    summary = [f"{name} {part.version}: {_licence(part)}" for name, part in parts]
    texts = [f"{'=' * 72}\n{name} {part.version}\n\n{text}" for name, part in parts if (text := _licence_text(part))]
    return "\n".join(summary) + "\n\n" + "\n\n".join(texts)


def _licence(part: metadata.Distribution) -> str:
    fields = part.metadata.json
    if expression := fields.get("license_expression"):
        return str(expression)
    classified = [line.split(" :: ")[-1] for line in fields.get("classifier") or [] if line.startswith("License")]
    if classified:
        return ", ".join(classified)
    return str(fields.get("license") or "?").splitlines()[0][:80]


def _licence_text(part: metadata.Distribution) -> str:
    texts: list[str] = []
    for file in part.files or []:
        name = Path(str(file)).name.upper()
        if name.startswith(("LICENSE", "LICENCE", "NOTICE", "COPYING")) and len(texts) < 3:
            try:
                texts.append(Path(str(file.locate())).read_text("utf-8", "replace").strip())
            except OSError:
                continue
    return "\n\n".join(texts)


def _version_of_checkout() -> str:
    project = Path(__file__).parent.parent / "pyproject.toml"
    try:
        lines = project.read_text("utf-8").splitlines()
    except OSError:
        return "?"
    return next((line.split('"')[1] for line in lines if line.startswith("version = ")), "?")

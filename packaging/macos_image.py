"""A .app as a disk image, with the system's own tools. Signed where the identity is in the environment; not notarised.

PELLUCID_SIGNING_IDENTITY   name of a Developer ID certificate in the keychain; without it the app is signed ad hoc
"""

from __future__ import annotations

import os
import platform
import plistlib
import shutil
import subprocess
from pathlib import Path

from property_list import IDENTIFIER


def make_image(bundle: Path, edition: str, version: str, dist: Path) -> Path:
    """`bundle`: Pellucid.app. The image holds it beside a link to the folder of applications."""
    with (bundle / "Contents" / "Info.plist").open("rb") as file:
        found = plistlib.load(file)["CFBundleIdentifier"]
    if found != IDENTIFIER:
        raise ValueError(f"{bundle} is {found}, not {IDENTIFIER}")
    identity = os.environ.get("PELLUCID_SIGNING_IDENTITY", "-")
    sign = ["codesign", "--force", "--deep", "--sign", identity]
    if identity != "-":
        sign += ["--options", "runtime", "--timestamp"]
    subprocess.run([*sign, str(bundle)], check=True)
    folder = bundle.parent / "image"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    subprocess.run(["cp", "-Rc", str(bundle), str(folder / bundle.name)], check=True)
    (folder / "Applications").symlink_to("/Applications")
    name = "pellucid" if edition == "restore" else "pellucid-full"
    target = dist / f"{name}-{version}-macos-{platform.machine()}.dmg"
    target.unlink(missing_ok=True)
    subprocess.run(
        [
            *("hdiutil", "create", "-volname", "Pellucid", "-srcfolder", str(folder)),
            *("-fs", "HFS+", "-format", "UDZO", str(target)),
        ],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    shutil.rmtree(folder)
    return target

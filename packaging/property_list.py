"""What macOS reads of the application before it starts it: the keys of Info.plist."""

from __future__ import annotations

from typing import Any, Final

IDENTIFIER: Final = "app.pellucid.Pellucid"
PICTURES: Final = {
    "public.png": "PNG",
    "public.jpeg": "JPEG",
    "org.webmproject.webp": "WebP",
    "public.tiff": "TIFF",
    "com.microsoft.bmp": "BMP",
    "com.compuserve.gif": "GIF",
    "public.avif": "AVIF",
    "public.heic": "HEIC",
    "public.heif": "HEIF",
}
"""Kinds of files that "Open with" offers Pellucid for. It never takes the place of another program by itself."""


def info_plist(version: str) -> dict[str, Any]:
    return {
        "CFBundleName": "Pellucid",
        "CFBundleDisplayName": "Pellucid",
        "CFBundleIdentifier": IDENTIFIER,
        "CFBundleVersion": version,
        "CFBundleShortVersionString": version,
        "CFBundlePackageType": "APPL",
        "CFBundleDevelopmentRegion": "en",
        "CFBundleLocalizations": ["en", "de", "zh-Hans"],
        "CFBundleDocumentTypes": [
            {
                "CFBundleTypeName": f"{name} picture",
                "CFBundleTypeRole": "Editor",
                "LSHandlerRank": "Alternate",
                "LSItemContentTypes": [kind],
            }
            for kind, name in PICTURES.items()
        ],
        "LSApplicationCategoryType": "public.app-category.photography",
        # The wheels of torch are built for this system and later ones.
        "LSMinimumSystemVersion": "14.0",
        "LSBackgroundOnly": False,
        "NSHighResolutionCapable": True,
        "NSSupportsAutomaticGraphicsSwitching": True,
        "NSHumanReadableCopyright": "Copyright 2026 The Pellucid authors. Apache License 2.0.",
    }

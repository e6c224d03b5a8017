"""What goes into the bundle and what stays out: plain tables, each line with its reason. Read by pellucid.spec.

PyInstaller follows the imports; this says what imports do not tell (plugins that are loaded by name), and what they
drag in without being used.
"""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import Final, Literal

Edition = Literal["restore", "full"]
EDITIONS: Final[tuple[Edition, ...]] = ("restore", "full")

OURS: Final = {"restore": ("engine", "gui", "kernels"), "full": ("engine", "gui", "kernels", "trainer")}

NEVER: Final = (
    # Tests, interpreters' toys, build tools; torch names some of them in code that never runs here.
    *("tkinter", "test", "idlelib", "pydoc_data", "lib2to3", "ensurepip", "setuptools", "pkg_resources", "pip"),
    *("distutils", "pytest", "hypothesis", "IPython", "matplotlib", "tensorboard", "torch.utils.tensorboard"),
    # Nothing here opens a network connection.
    *("ssl", "_ssl"),
    # GPL without an exception: line editing and a database.
    *("readline", "rlcompleter", "_gdbm", "dbm", "_dbm", "curses", "_curses", "sqlite3"),
    *("numpy.f2py", "numpy.testing", "PIL.ImageTk", "PIL._imagingtk", "PIL.ImageQt", "PIL.ImageShow"),
    # Another OpenCV, SciPy or pandas that happens to lie in the environment.
    *("cv2", "scipy", "pandas", "skimage", "onnxruntime", "onnx", "ncnn", "triton"),
    # OpenVINO's readers of other programs' models and its converters: our graphs are built directly.
    *("openvino.tools", "openvino.torch", "openvino_telemetry"),
    *(f"openvino.frontend.{name}" for name in ("jax", "onnx", "paddle", "pytorch", "tensorflow")),
    # PySide6 beyond widgets, drawing and the single-instance socket.
    *(
        f"PySide6.{name}"
        for name in (
            *("QtQml", "QtQuick", "QtQuickWidgets", "QtQuickControls2", "QtQuickTest", "QtDesigner", "QtHelp", "QtSql"),
            *("QtTest", "QtUiTools", "QtXml", "QtOpenGL", "QtOpenGLWidgets", "QtPrintSupport", "QtConcurrent"),
            *("QtSvgWidgets", "QtDBus"),
        )
    ),
)

TRAINING: Final = ("trainer", "torch", "torchvision", "spandrel", "einops", "sympy", "networkx", "jinja2", "fsspec")
"""Left out of the edition that restores."""

_DESCRIBED: Final = ("numpy", "pillow", "pillow-heif", "imagecodecs", "openvino", "PySide6-Essentials")
DESCRIBED: Final = {"restore": _DESCRIBED, "full": (*_DESCRIBED, "torch", "torchvision", "spandrel")}
"""Distributions whose versions `pellucid doctor` tells."""

IMAGE_CODECS: Final = (
    # ours: JPEG, WebP, PNG and AVIF files, colour profiles
    *("jpeg8", "webp", "png", "avif", "cms", "shared", "shared_cython"),
    # what TIFF files of other programs are packed with
    *("imcd", "zlib", "deflate", "lzma", "zstd", "ljpeg", "jpeg2k", "jpegxl", "jpegxr", "jpegls", "lerc", "ccitt"),
)
"""Modules of imagecodecs, which loads them by name. The rest of its sixty are not for pictures of people."""

OPENVINO_LIBRARIES: Final = ("openvino_intel_cpu_plugin", "openvino_ir_frontend", "tbb", "tbbbind", "hwloc", "openvino")
"""Loaded by name at run time; without the plugin there is no device. The front end reads compiled graphs back."""

QT_PLUGINS: Final = {
    "platforms": ("xcb", "wayland", "offscreen", "windows", "cocoa"),
    "imageformats": ("gif", "ico", "jpeg", "svg", "tga", "tiff", "wbmp", "webp", "icns", "macjp2", "macheif"),
    "iconengines": ("svgicon",),
    "styles": ("modernwindowsstyle", "windowsvistastyle", "macstyle"),
    "platforminputcontexts": ("composeplatforminputcontextplugin", "ibusplatforminputcontextplugin"),
    "platformthemes": ("xdgdesktopportal",),
    "xcbglintegrations": ("xcb-glx-integration", "xcb-egl-integration"),
    "wayland-decoration-client": ("adwaita", "bradient"),
    "wayland-shell-integration": ("xdg-shell",),
    "wayland-graphics-integration-client": ("qt-plugin-wayland-egl", "shm-emulation-server"),
}
"""Folder of plugins -> those that stay (without `lib` and `q`). No other folder stays: nothing here opens a network
connection, a database or a printer."""

UNWANTED: Final = tuple(
    re.compile(pattern)
    for pattern in (
        # NVIDIA's licences do not allow it, and a CPU build of torch does not need it.
        r"(^|/)(nvidia|triton)/|lib(cudart|cublas|cudnn|cufft|curand|cusolver|cusparse|nccl|nvrtc|nvJitLink|nvinfer)",
        r"pellucid_cuda|lib(nvjpeg|npp|cupti)",
        # torchvision's compiled half: built for NVIDIA's libraries, and the engine does without it.
        r"^torchvision/(_C|image)\.|^torchvision\.libs/",
        # What a model would be compiled with.
        r"^torch/(include|test|share)/|^torch/lib/.*\.(a|lib)$|^torch/lib/libtorch_test|^torch/utils/model_dump",
        r"^torch/lib/lib(aoti|c10d_cuda|jitbackend|backend_with|torchbind)[^/]*$",
        r"^torch/bin/(?!torch_shm_manager)",
        r"^functorch/",
        r"^gui/i18n/.*\.(ts|py)$",
        r"^PySide6/(Qt/)?(qml|libexec|metatypes|typesystems|include|resources)/",
        r"^PySide6/(Qt/)?lib/lib(Qt6)?(Qml|Quick|Designer|Sql|Test|Help|ShaderTools|VirtualKeyboard|Pdf|3D)",
        r"(^|/)lib?Qt6?(Qml|Quick|Designer|Sql|Test|Help|ShaderTools|VirtualKeyboard|Pdf)[^/]*$",
        # Every system with a window has these, and its graphics drivers and fonts need them as new as they are: an
        # older one of ours in the way would keep a driver from loading. The .deb depends on them.
        r"^lib(stdc\+\+|gcc_s|X11|X11-xcb|Xext|Xau|Xdmcp|Xrender|xcb|fontconfig|freetype|dbus-1|expat|z)\.so",
        r"\.pyi$|(^|/)py\.typed$|\.pxd$|\.h$|\.hpp$|\.cuh$|\.cmake$|\.pc$",
        r"(^|/)(tests?|testing_data)/",
        r"^openvino/libs/cache\.json$",
        r"\.dist-info/(RECORD|INSTALLER|REQUESTED|direct_url\.json|top_level\.txt|sboms/.*)$",
        r"^pellucid-[^/]*\.dist-info/",
    )
)

STAYS: Final = tuple(re.compile(pattern) for pattern in (r"^torch/testing/", r"^torch/_test", r"^sympy/testing/"))
"""torch imports these itself."""

_QT_TRANSLATION: Final = re.compile(r"^PySide6/(Qt/)?translations/(?!qtbase_)")
_QT_PLUGIN: Final = re.compile(r"^PySide6/(?:Qt/)?plugins/([^/]+)/(?:lib)?([^/]+?)\.(?:so|dll|dylib)$")
_OPENVINO: Final = re.compile(r"^openvino/libs/(?:lib)?([a-z_]+?)(?:_2_5)?(?:\.so|\.dll|\.dylib|\.\d)")


def is_wanted(name: str) -> bool:
    """Whether a file stays, by its place in the bundle (either kind of slash)."""
    place = PurePath(name).as_posix().replace("\\", "/")
    if any(pattern.search(place) for pattern in STAYS):
        return True
    if any(pattern.search(place) for pattern in UNWANTED) or _QT_TRANSLATION.match(place):
        return False
    if plugin := _QT_PLUGIN.match(place):
        folder, stem = plugin.groups()
        return any(stem in (kept, f"q{kept}") for kept in QT_PLUGINS.get(folder, ()))
    if place.startswith("openvino/libs/"):
        library = _OPENVINO.match(place)
        return library is not None and library.group(1) in OPENVINO_LIBRARIES
    return True


def excluded_modules(edition: Edition) -> list[str]:
    return [*NEVER, *(TRAINING if edition == "restore" else ())]

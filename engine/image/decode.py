"""Opening pictures: the file decides once what its samples mean, and everything after works on plain arrays."""

from __future__ import annotations

import io
import math
import os
import stat
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile

from engine.errors import Code, PellucidError
from engine.image import exif, headers
from engine.image.buffer import ImageBuffer, Metadata
from engine.image.colour import cmyk_to_srgb
from engine.image.colour_codes import read_code_points
from engine.image.headers import Damaged, Header
from engine.image.metadata import correct_metadata
from engine.image.sniff import image_format

Pixels = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What a file says about its picture, known without decoding it."""

    width: int
    height: int
    """Of the upright picture."""
    upright: bool
    """Whether the pixels are stored upright; False: reading turns or mirrors them."""
    format: str
    bits: int
    """Bits a sample as `read_image` gives them: 8, 16 or 32 (float)."""
    alpha: bool


@dataclass(frozen=True, slots=True)
class _Opened:
    """A file whose structure is known. `decode` gives (height, width, 1 to 4) samples: grey or RGB, alpha last."""

    header: Header
    decode: Callable[[], Pixels]
    orientation: int = 1
    icc: bytes | None = None
    """Profile of what `decode` gives, where that is not the file's own."""


def read_image(path: str | os.PathLike[str], *, max_megapixels: float = 500.0) -> ImageBuffer:
    """Decodes a picture upright.

    Raises PellucidError for everything that is not a whole picture of at most `max_megapixels` million pixels.
    """
    path = Path(path)
    data = _read_file(path)
    kind, opened = _open(path, data)
    _refuse_bomb(path, opened.header, max_megapixels)
    try:
        samples = opened.decode()
    except PellucidError:
        raise
    except MemoryError as error:
        raise PellucidError(
            Code.OUT_OF_MEMORY,
            f"There is not enough memory to open {path.name} ({opened.header.width} x {opened.header.height}).",
            "Close other programs or use a smaller picture.",
            path=str(path),
        ) from error
    except Exception as error:  # decoders raise whatever hostile bytes make them trip over
        raise _corrupt(path, kind, error) from error
    shape = (opened.header.height, opened.header.width)
    if samples.ndim != 3 or samples.shape[:2] != shape or not 1 <= samples.shape[2] <= 4:
        raise _corrupt(path, kind, Damaged("its pixels are not as many as its header says"))
    if samples.dtype == np.float32 and not bool(np.isfinite(samples).all()):
        raise PellucidError(
            Code.IMAGE_UNSUPPORTED,
            f"{path.name} has samples that are not numbers (NaN or infinite).",
            "Repair it in the program that made it.",
            path=str(path),
        )
    samples = _turn_upright(samples, opened.orientation)
    colours = 1 if samples.shape[2] <= 2 else 3
    alpha = np.ascontiguousarray(samples[..., -1]) if samples.shape[2] in (2, 4) else None
    metadata = opened.header.metadata
    if opened.icc is not None:
        metadata = replace(metadata, icc=opened.icc or None)
    return ImageBuffer(
        np.ascontiguousarray(samples[..., :colours]),
        alpha,
        correct_metadata(metadata, samples.shape[1], samples.shape[0]),
        kind,
        opened.header.several,
    )


def probe_image(path: str | os.PathLike[str]) -> ImageFacts:
    """What `read_image` would give, without decoding pixels."""
    path = Path(path)
    kind, opened = _open(path, _read_file(path))
    header = opened.header
    turned = opened.orientation >= 5
    return ImageFacts(
        header.height if turned else header.width,
        header.width if turned else header.height,
        opened.orientation == 1,
        kind,
        header.bits,
        header.alpha,
    )


def _read_file(path: Path) -> bytes:
    try:
        facts = path.stat()
        if stat.S_ISDIR(facts.st_mode):
            raise PellucidError(Code.FILE_UNREADABLE, f"{path} is a folder, not a picture.", path=str(path))
        if not stat.S_ISREG(facts.st_mode):
            raise PellucidError(Code.FILE_UNREADABLE, f"{path} is not a regular file.", path=str(path))
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise PellucidError(
            Code.FILE_MISSING, f"There is no file {path}.", "Check the name.", path=str(path)
        ) from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise PellucidError(
            Code.FILE_UNREADABLE,
            f"{path} cannot be read: {reason}.",
            "Check its permissions and that the drive is there.",
            path=str(path),
        ) from error
    if not data:
        raise PellucidError(Code.IMAGE_CORRUPT, f"{path.name} is empty.", path=str(path))
    return data


def _open(path: Path, data: bytes) -> tuple[str, _Opened]:
    kind = ""
    try:
        kind = image_format(data)
        if not kind:
            raise PellucidError(
                Code.IMAGE_UNSUPPORTED,
                f"{path.name} is not a picture that Pellucid can read.",
                "It reads PNG, JPEG, WebP, TIFF, BMP, GIF, AVIF, HEIC and, with the raw extra, camera RAW.",
                path=str(path),
            )
        return kind, _OPENERS[kind](path, data)
    except PellucidError:
        raise
    except Exception as error:  # parsers raise whatever hostile bytes make them trip over
        raise _corrupt(path, kind, error) from error


def _corrupt(path: Path, kind: str, error: Exception) -> PellucidError:
    reason = f": {error}" if isinstance(error, Damaged) else ""
    return PellucidError(
        Code.IMAGE_CORRUPT,
        f"{path.name} is damaged or not a whole {kind.upper() or 'picture'} file{reason}.",
        "Get a fresh copy of it.",
        path=str(path),
        cause=f"{type(error).__name__}: {error}",
    )


def _refuse_bomb(path: Path, header: Header, max_megapixels: float) -> None:
    megapixels = header.width * header.height / 1e6
    if megapixels > max_megapixels:
        raise PellucidError(
            Code.IMAGE_TOO_LARGE,
            f"{path.name} has {header.width} x {header.height} pixels, {megapixels:,.1f} megapixels; "
            f"the limit is {max_megapixels:,g}.",
            f"If you trust the file, raise the limit with --max-megapixels {math.ceil(megapixels)}.",
            path=str(path),
            width=header.width,
            height=header.height,
        )


def _turn_upright(samples: Pixels, orientation: int) -> Pixels:
    """Applies an EXIF orientation, 1 to 8."""
    if orientation >= 5:
        samples = samples.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        samples = samples[:, ::-1]
    if orientation in (3, 4, 7, 8):
        samples = samples[::-1]
    return samples


def _open_png(path: Path, data: bytes) -> _Opened:
    header = headers.read_png(data)

    def decode() -> Pixels:
        depth, colour = header.pixels[24], header.pixels[25]
        if depth == 16 or (depth == 8 and (colour in (4, 6) or (colour in (0, 2) and not header.alpha))):
            # Pillow would cut 16-bit colour down to 8, and take missing rows for black ones.
            import imagecodecs

            return _with_channels(imagecodecs.png_decode(header.pixels))
        from PIL.PngImagePlugin import PngImageFile

        return _pillow_samples(PngImageFile(io.BytesIO(header.pixels)))

    return _Opened(header, decode, exif.orientation(header.metadata.exif))


def _open_jpeg(path: Path, data: bytes) -> _Opened:
    header = headers.read_jpeg(data)

    def load() -> Image.Image:
        from PIL.JpegImagePlugin import JpegImageFile

        return JpegImageFile(io.BytesIO(header.pixels))

    image = load()
    turn = exif.orientation(header.metadata.exif)
    if image.mode != "CMYK":
        return _Opened(header, lambda: _pillow_samples(load()), turn)

    def decode_cmyk() -> Pixels:
        return cmyk_to_srgb(np.asarray(_loaded(load())), header.metadata.icc)[0]

    return _Opened(header, decode_cmyk, turn, cmyk_to_srgb(np.zeros((1, 1, 4), np.uint8), header.metadata.icc)[1])


def _open_webp(path: Path, data: bytes) -> _Opened:
    header = headers.read_webp(data)

    def decode() -> Pixels:
        from PIL.WebPImagePlugin import WebPImageFile

        return _pillow_samples(WebPImageFile(io.BytesIO(data)))

    return _Opened(header, decode, exif.orientation(header.metadata.exif))


def _open_gif(path: Path, data: bytes) -> _Opened:
    from PIL.GifImagePlugin import GifImageFile

    width, height = struct.unpack_from("<HH", data, 6)
    if not width or not height:
        raise Damaged("it says no size")

    def load() -> GifImageFile:
        return GifImageFile(io.BytesIO(data))

    image = load()
    header = Header(width, height, 8, "transparency" in image.info, several=_is_animated(image))
    return _Opened(header, lambda: _pillow_samples(load()))


def _open_bmp(path: Path, data: bytes) -> _Opened:
    from PIL.BmpImagePlugin import BmpImageFile

    image = BmpImageFile(io.BytesIO(data))
    dpi = image.info.get("dpi")
    dpi = (float(dpi[0]), float(dpi[1])) if dpi and dpi[0] > 0 and dpi[1] > 0 else None
    header = Header(*image.size, 8, image.mode == "RGBA", Metadata(dpi=dpi))
    return _Opened(header, lambda: _pillow_samples(BmpImageFile(io.BytesIO(data))))


def _open_avif(path: Path, data: bytes) -> _Opened:
    from PIL.AvifImagePlugin import AvifImageFile

    def load() -> Image.Image:
        return AvifImageFile(io.BytesIO(data))

    _measure_boxes(path, data)
    image = load()
    metadata = _pillow_metadata(image)
    if (at := data.find(b"colrnclx")) >= 0 and at + 12 <= len(data):
        metadata = _with_code_points(metadata, *struct.unpack_from(">HH", data, at + 8))
    depth = _av1_depth(data)
    bits = 16 if depth > 8 else 8
    header = Header(*image.size, bits, image.mode == "RGBA", metadata, several=_is_animated(image))

    def decode() -> Pixels:
        if depth == 8:
            return _pillow_samples(load())
        import imagecodecs

        return _stretch(_with_channels(imagecodecs.avif_decode(data, index=0)), depth)

    return _Opened(header, decode, exif.orientation(metadata.exif))


def _with_code_points(metadata: Metadata, primaries: int, transfer: int) -> Metadata:
    icc, cicp = read_code_points(primaries & 0xFF, transfer & 0xFF, metadata.icc)
    return replace(metadata, icc=icc, cicp=cicp)


def _measure_boxes(path: Path, data: bytes) -> None:
    """Refuses containers that are shorter than their boxes say."""
    at = 0
    while at + 8 <= len(data):
        (size,) = struct.unpack_from(">I", data, at)
        if size == 1 and at + 16 <= len(data):
            (size,) = struct.unpack_from(">Q", data, at + 8)
        if size == 0:
            return
        if size < 8 or at + size > len(data):
            raise Damaged("it is shorter than it says")
        at += size


def _av1_depth(data: bytes) -> int:
    at = data.find(b"av1C")
    flags = data[at + 6] if 0 <= at < len(data) - 6 else 0
    return 8 if not flags & 0x40 else 12 if flags & 0x20 else 10


def _open_heic(path: Path, data: bytes) -> _Opened:
    import pillow_heif

    _measure_boxes(path, data)
    image = pillow_heif.open_heif(io.BytesIO(data), convert_hdr_to_8bit=False)
    primary = image[image.primary_index]
    raw_exif = exif.strip_prefix(primary.info.get("exif") or b"")
    metadata = Metadata(
        primary.info.get("icc_profile") or None,
        raw_exif or None,
        primary.info.get("xmp") or None,
        exif.resolution(raw_exif),
    )
    if codes := primary.info.get("nclx_profile"):
        metadata = _with_code_points(metadata, codes["color_primaries"], codes["transfer_characteristics"])
    deep = ";16" in primary.mode
    width, height = primary.size
    header = Header(width, height, 16 if deep else 8, "A" in primary.mode, metadata, several=len(image) > 1)
    # libheif has turned the picture as its container says; by the standard the EXIF tag must not turn it again
    return _Opened(header, lambda: _with_channels(np.asarray(primary)))


def _open_raw(path: Path, data: bytes) -> _Opened:
    try:
        import rawpy
    except ImportError as error:
        raise PellucidError(
            Code.IMAGE_UNSUPPORTED,
            f"{path.name} is a camera RAW file, and the package that opens them is not installed.",
            "Install it with: pip install 'pellucid[raw]'.",
            path=str(path),
        ) from error
    with rawpy.imread(io.BytesIO(data)) as raw:
        width, height, flip = raw.sizes.width, raw.sizes.height, raw.sizes.flip
    structure = exif.parse(data)
    raw_exif = exif.extract(structure) if structure else None
    if flip in (5, 6):
        width, height = height, width

    def decode() -> Pixels:
        with rawpy.imread(io.BytesIO(data)) as raw:
            # upright already: LibRaw turns by the camera's flag
            return cast(Pixels, raw.postprocess(use_camera_wb=True, output_bps=16))

    return _Opened(Header(width, height, 16, False, Metadata(exif=raw_exif)), decode, icc=b"")


def _open_tiff(path: Path, data: bytes) -> _Opened:
    from engine.image.tiff_pages import open_first_page

    page = open_first_page(path, lambda: io.BytesIO(data))
    structure = exif.parse(data)
    metadata = replace(page.header.metadata, exif=exif.extract(structure) if structure else None)
    return _Opened(replace(page.header, metadata=metadata), page.decode, page.orientation, page.icc)


_OPENERS: dict[str, Callable[[Path, bytes], _Opened]] = {
    "png": _open_png,
    "jpeg": _open_jpeg,
    "webp": _open_webp,
    "gif": _open_gif,
    "bmp": _open_bmp,
    "avif": _open_avif,
    "heic": _open_heic,
    "raw": _open_raw,
    "tiff": _open_tiff,
}


def _is_animated(image: Image.Image) -> bool:
    try:
        return bool(getattr(image, "is_animated", False))
    except Exception:  # a damaged frame is no matter of those before it
        return False


def _pillow_metadata(image: Image.Image) -> Metadata:
    raw_exif = exif.strip_prefix(image.info.get("exif") or b"")
    return Metadata(
        image.info.get("icc_profile") or None,
        raw_exif or None,
        image.info.get("xmp") or None,
        exif.resolution(raw_exif),
    )


def _loaded(image: Image.Image) -> Image.Image:
    """Decodes now. The plug-in classes are used directly, so Pillow's own size limit, a global, never comes into play:
    ours has been applied before."""
    if isinstance(image, ImageFile.ImageFile) and image.tile and ImageFile.LOAD_TRUNCATED_IMAGES:
        raise Damaged("another part of the program asked Pillow to accept truncated files")
    image.load()
    return image


def _pillow_samples(image: Image.Image) -> Pixels:
    """(height, width, 1 to 4) uint8 of any 8-bit Pillow mode; palettes and single transparent colours are resolved."""
    image = _loaded(image)
    transparency = image.info.get("transparency")
    if image.mode == "P":
        if transparency is not None:
            image = image.convert("RGBA")
        else:
            grey = image.palette is None or image.palette.mode == "L"
            image = image.convert("L" if grey else "RGB")
    elif image.mode in ("1", "L", "RGB") and transparency is not None:
        image = _apply_transparent_colour(image, transparency)
    elif image.mode in ("1", "RGBX", "PA", "La", "RGBa", "YCbCr"):
        image = image.convert({"1": "L", "PA": "RGBA", "La": "LA", "RGBa": "RGBA"}.get(image.mode, "RGB"))
    if image.mode not in ("L", "LA", "RGB", "RGBA"):
        raise Damaged(f"its pixels are of a kind ({image.mode}) that is not known")
    return _with_channels(np.asarray(image))


def _apply_transparent_colour(image: Image.Image, transparency: int | tuple[int, ...] | bytes) -> Image.Image:
    """One colour stands for full transparency."""
    if image.mode == "1":
        image = image.convert("L")
    samples = _with_channels(np.asarray(image))
    colour = np.atleast_1d(np.asarray(transparency))
    alpha = np.where((samples == colour).all(axis=2), 0, 255).astype(np.uint8)
    return Image.merge("LA" if image.mode == "L" else "RGBA", [*image.split(), Image.fromarray(alpha)])


def _with_channels(samples: Pixels) -> Pixels:
    return samples[..., None] if samples.ndim == 2 else samples


def _stretch(samples: Pixels, depth: int) -> Pixels:
    """Samples of `depth` bits to the full 16."""
    top = (1 << depth) - 1
    return ((samples.astype(np.uint32) * 65535 + top // 2) // top).astype(np.uint16)

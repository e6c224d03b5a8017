"""Every operation of a plan in float64 numpy: slow, obvious, and written without a look at the native code.

Pictures are float64 arrays (3, height, width) in 0..1. This is the yardstick the kernels are measured by. JPEG's
yardstick is Pillow (libjpeg-turbo), WebP's too.
"""

from __future__ import annotations

import io
import math

import numpy as np
from PIL import Image

from kernels.ops import Blur, Filter, Noise, Opcode, Subsampling

GREY_WEIGHTS = np.array([0.2989, 0.587, 0.114])
_PILLOW_SUBSAMPLING = {Subsampling.S444: 0, Subsampling.S422: 1, Subsampling.S420: 2}


def run(picture, records, seed=0, sample=0):
    """The picture after a row of records."""
    picture = np.asarray(picture, np.float64)
    for record in records:
        if record["opcode"] == Opcode.END:
            break
        picture = apply(picture, record, seed, sample)
    return picture


def apply(picture, record, seed=0, sample=0):
    """The picture after one record."""
    i, f = [int(value) for value in record["i"]], [float(value) for value in record["f"]]
    match Opcode(int(record["opcode"])):
        case Opcode.BLUR:
            return blur(picture, blur_kernel(Blur(i[0]), i[1], *f[:5]))
        case Opcode.RESIZE:
            return resize(picture, i[0], i[1], Filter(i[2]), bool(i[3]), f[0], f[1])
        case Opcode.GAUSSIAN_NOISE:
            return gaussian_noise(picture, Noise(i[0]), f[0], f[1:7], seed, sample, int(record["stage"]))
        case Opcode.POISSON_NOISE:
            return poisson_noise(picture, Noise(i[0]), i[1], f[0], seed, sample, int(record["stage"]))
        case Opcode.JPEG:
            return jpeg(picture, i[0], Subsampling(i[1]))
        case Opcode.USM:
            return sharpen(picture, i[0], f[0], f[1])
        case Opcode.DROPOUT:
            result = picture.copy()
            result[:, i[0] : i[0] + i[2], i[1] : i[1] + i[3]] = f[0]
            return result
        case Opcode.FLIP:
            return flip(picture, *i[:3])
        case Opcode.CLAMP_ROUND:
            return clamp_round(picture)
        case Opcode.CROP:
            return picture[:, i[0] : i[0] + i[2], i[1] : i[1] + i[3]]
        case Opcode.HOST_CODEC:
            return webp(picture, i[1])
    raise ValueError(record)


# ---- blur --------------------------------------------------------------------------------------------------------


def bessel_j1(x):
    """J1 by its integral: the mean over t in 0..pi of cos(t - x sin t), exact to rounding for |x| below some 500."""
    t = (np.arange(512) + 0.5) * (np.pi / 512)
    return np.cos(t - np.asarray(x)[..., None] * np.sin(t)).mean(-1)


def blur_kernel(kind, size, sigma_x, sigma_y, angle, beta, cutoff):
    """(size, size) taps that sum to one."""
    radius = size // 2
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1].astype(np.float64)
    if kind == Blur.SINC:
        r = np.hypot(x, y)
        r[radius, radius] = 1.0
        taps = cutoff * bessel_j1(cutoff * r) / (2 * np.pi * r)
        taps[radius, radius] = cutoff**2 / (4 * np.pi)
        return taps / taps.sum()
    along = math.cos(angle) * x + math.sin(angle) * y
    across = math.cos(angle) * y - math.sin(angle) * x
    q = (along / sigma_x) ** 2 + (across / sigma_y) ** 2
    if kind == Blur.GAUSSIAN:
        taps = np.exp(-q / 2)
    elif kind == Blur.GENERALISED:
        taps = np.exp(-(q**beta) / 2)
    else:
        taps = 1 / (1 + q**beta)
    return taps / taps.sum()


def mirrored(length, radius):
    """Source indices of positions -radius..length-1+radius: a mirror that does not repeat the edge."""
    if length == 1:
        return np.zeros(1 + 2 * radius, int)
    index = np.arange(-radius, length + radius) % (2 * (length - 1))
    return np.where(index < length, index, 2 * (length - 1) - index)


def blur(picture, kernel):
    """Correlation with the kernel (which is symmetric about its centre, so convolution too)."""
    size = len(kernel)
    _, height, width = picture.shape
    padded = picture[:, mirrored(height, size // 2)][:, :, mirrored(width, size // 2)]
    result = np.zeros_like(picture)
    for row in range(size):
        for column in range(size):
            result += kernel[row, column] * padded[:, row : row + height, column : column + width]
    return result


def sharpen(picture, radius, weight, threshold):
    taps = radius + 1 if radius % 2 == 0 else radius
    sigma = 0.3 * ((taps - 1) / 2 - 1) + 0.8
    line = np.exp(-0.5 * (np.arange(-(taps // 2), taps // 2 + 1) / sigma) ** 2)
    kernel = np.outer(line, line) / line.sum() ** 2
    difference = picture - blur(picture, kernel)
    soft = blur((np.abs(difference) * 255 > threshold).astype(np.float64), kernel)
    sharp = np.clip(picture + weight * difference, 0, 1)
    return soft * sharp + (1 - soft) * picture


def sharpen_margin(picture, radius, threshold):
    """How near any value comes to the threshold of `sharpen`, in 0..255 units: there, rounding may decide."""
    taps = radius + 1 if radius % 2 == 0 else radius
    sigma = 0.3 * ((taps - 1) / 2 - 1) + 0.8
    line = np.exp(-0.5 * (np.arange(-(taps // 2), taps // 2 + 1) / sigma) ** 2)
    difference = picture - blur(picture, np.outer(line, line) / line.sum() ** 2)
    return np.abs(np.abs(difference) * 255 - threshold)


# ---- resize ------------------------------------------------------------------------------------------------------


def _cubic(x, a):
    x = abs(x)
    if x < 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    if x < 2:
        return a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a
    return 0.0


def _triangle(x):
    return max(0.0, 1 - abs(x))


def _lanczos(x):
    return 0.0 if abs(x) >= 3 else float(np.sinc(x) * np.sinc(x / 3))


def resize_matrix(length, new, kind, antialias, factor=0.0):
    """(new, length) weights of one axis."""
    step = 1 / factor if factor else length / new
    weights = np.zeros((new, length))
    for out in range(new):
        if kind == Filter.NEAREST:
            weights[out, min(length - 1, max(0, math.floor((out + 0.5) * step)))] = 1
        elif kind == Filter.AREA:
            first, end = out * length // new, -(-(out + 1) * length // new)
            weights[out, first:end] = 1 / (end - first)
        else:
            reach = {Filter.BILINEAR: 1, Filter.BICUBIC: 2, Filter.LANCZOS: 3}[kind]
            a = -0.5 if antialias else -0.75
            shape = {Filter.BILINEAR: _triangle, Filter.BICUBIC: lambda x, a=a: _cubic(x, a), Filter.LANCZOS: _lanczos}
            if antialias:
                widen = max(1.0, step)
                centre = (out + 0.5) * step
                low = max(0, int(centre - reach * widen + 0.5))
                high = min(length, int(centre + reach * widen + 0.5))
                taps = [shape[kind]((index + 0.5 - centre) / widen) for index in range(low, high)]
                weights[out, low:high] = np.array(taps) / sum(taps)
            else:
                place = (out + 0.5) * step - 0.5
                if kind == Filter.BILINEAR:
                    place = max(0.0, place)
                base = math.floor(place)
                offsets = range(1 - reach, reach + 1)
                taps = [shape[kind](place - base - offset) for offset in offsets]
                for offset, tap in zip(offsets, taps, strict=True):
                    weights[out, min(length - 1, max(0, base + offset))] += tap / sum(taps)
    return weights


def resize(picture, height, width, kind, antialias, scale_y=0.0, scale_x=0.0):
    rows = resize_matrix(picture.shape[1], height, kind, antialias, scale_y)
    columns = resize_matrix(picture.shape[2], width, kind, antialias, scale_x)
    return np.einsum("yi,cij,xj->cyx", rows, picture, columns, optimize=True)


# ---- random numbers ------------------------------------------------------------------------------------------------


def philox(counter, key):
    """One block with Python's integers: four words from four counter words and two key words."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        first, second = 0xD2511F53 * c0, 0xCD9E8D57 * c2
        c0, c1, c2, c3 = (second >> 32) ^ c1 ^ k0, second & 0xFFFFFFFF, (first >> 32) ^ c3 ^ k1, first & 0xFFFFFFFF
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return c0, c1, c2, c3


def noise_words(shape, seed, sample, stage):
    """(planes, height, width) words: rows of all planes are counted through, four rows share a position a column."""
    planes, height, width = shape
    rows = planes * height
    words = np.zeros((-(-rows // 4), width, 4), np.uint32)
    key = (seed & 0xFFFFFFFF, seed >> 32)
    for group in range(len(words)):
        for column in range(width):
            counter = (group * width + column, stage, sample & 0xFFFFFFFF, sample >> 32)
            words[group, column] = philox(counter, key)
    return words


def normal_field(shape, seed, sample, stage):
    """(planes, height, width) standard normals by Box and Muller in float64."""
    planes, height, width = shape
    words = noise_words(shape, seed, sample, stage)
    normals = np.zeros(words.shape)
    for pair in (0, 2):
        u = ((words[..., pair] >> 8).astype(np.float64) + 1) / 2**24
        # The upper 26 bits of the other word say the direction: a quarter turn, and where within it, less half.
        turn = (words[..., pair + 1] >> 6).astype(np.float64) / 2**26 - 0.125
        radius = np.sqrt(-2 * np.log(u))
        normals[..., pair] = radius * np.cos(2 * np.pi * turn)
        normals[..., pair + 1] = radius * np.sin(2 * np.pi * turn)
    return normals.transpose(0, 2, 1).reshape(-1, width)[: planes * height].reshape(planes, height, width)


def gaussian_noise(picture, kind, sigma, factor, seed, sample, stage):
    if kind == Noise.GREY:
        field = normal_field((1, *picture.shape[1:]), seed, sample, stage)
    else:
        field = normal_field(picture.shape, seed, sample, stage)
    if kind == Noise.CORRELATED:
        lower = np.zeros((3, 3))
        lower[np.tril_indices(3)] = factor
        field = np.einsum("ij,jyx->iyx", lower, field)
    return np.clip(picture + sigma * field, 0, 1)


def counted_levels(picture, kind):
    base = quantised_for_poisson(picture, kind)
    distinct = len(np.unique(base))
    return 2 ** math.ceil(math.log2(distinct))


def quantised_for_poisson(picture, kind):
    """The 8-bit levels 0..255 whose light is counted."""
    if kind == Noise.GREY:
        picture = np.einsum("c,cyx->yx", GREY_WEIGHTS, picture)[None]
    return np.rint(np.clip(picture, 0, 1) * 255)


def poisson_noise(picture, kind, levels, scale, seed, sample, stage):
    """The same distribution as the kernels', by numpy's own generator: compare moments and histograms, not pixels."""
    levels = levels or counted_levels(picture, kind)
    clean = quantised_for_poisson(picture, kind) / 255
    generator = np.random.Generator(np.random.Philox(key=[seed, sample + (stage << 32)]))
    noise = generator.poisson(clean * levels) / levels - clean
    return np.clip(picture + scale * noise, 0, 1)


# ---- codecs and the rest --------------------------------------------------------------------------------------------


def to_bytes(picture):
    """(height, width, 3) uint8."""
    return np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8).transpose(1, 2, 0)


def _through_pillow(picture, kind, **options):
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(to_bytes(picture))).save(file, kind, **options)
    file.seek(0)
    with Image.open(file) as image:
        return np.asarray(image.convert("RGB")).transpose(2, 0, 1) / 255


def jpeg(picture, quality, subsampling):
    return _through_pillow(picture, "JPEG", quality=quality, subsampling=_PILLOW_SUBSAMPLING[subsampling])


def webp(picture, quality):
    return _through_pillow(picture, "WEBP", quality=quality, method=4)


def flip(picture, horizontal, vertical, transpose):
    if horizontal:
        picture = picture[:, :, ::-1]
    if vertical:
        picture = picture[:, ::-1]
    return picture.transpose(0, 2, 1) if transpose else picture


def clamp_round(picture):
    return np.rint(np.clip(picture, 0, 1) * 255) / 255

"""The second-order degradation as public training code does it: torch operations on a batch that shares its choices.

This is what the benchmark compares with, written from the published description: one resize, noise kind and order for
the whole batch, dense 51x51 unsharp masks, Poisson noise by counting levels, a differentiable JPEG. Nothing else uses
it, and it is the only part of the degradation that imports torch.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

_KERNEL = 21
_SHARES = {"gaussian": 0.7, "generalised": 0.15, "plateau": 0.15}
_LUMA = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ],
    np.float32,
)
_CHROMA = np.full((8, 8), 99, np.float32)
_CHROMA[:4, :4] = [[17, 18, 24, 47], [18, 21, 26, 66], [24, 26, 56, 99], [47, 66, 99, 99]]


def draw_kernels(random: np.random.Generator, count: int, sigma: tuple[float, float]) -> Tensor:
    """(count, 21, 21) float32 kernels: one picture in ten a sinc, else iso, aniso, generalised or plateau."""
    return torch.from_numpy(np.stack([_draw_kernel(random, sigma) for _ in range(count)]).astype(np.float32))


def draw_sincs(random: np.random.Generator, count: int) -> Tensor:
    """(count, 21, 21) float32 kernels: a sinc with probability 0.8, else one that changes nothing."""
    kernels = np.zeros((count, _KERNEL, _KERNEL), np.float32)
    for kernel in kernels:
        if random.random() < 0.8:
            kernel[:] = _padded(_sinc(random.uniform(math.pi / 3, math.pi), int(random.choice(range(7, 22, 2)))))
        else:
            kernel[_KERNEL // 2, _KERNEL // 2] = 1
    return torch.from_numpy(kernels)


def _draw_kernel(random: np.random.Generator, sigma: tuple[float, float]) -> npt.NDArray[np.float64]:
    size = int(random.choice(range(7, 22, 2)))
    if random.random() < 0.1:
        return _padded(_sinc(random.uniform(math.pi / 3 if size < 13 else math.pi / 5, math.pi), size))
    kind = str(random.choice(list(_SHARES), p=list(_SHARES.values())))
    even = random.random() < (0.45 / 0.7 if kind == "gaussian" else 0.8)
    sx = random.uniform(*sigma)
    sy, angle = (sx, 0.0) if even else (random.uniform(*sigma), random.uniform(-math.pi, math.pi))
    axis = np.arange(size) - size // 2
    x, y = np.meshgrid(axis, axis)
    q = ((math.cos(angle) * x + math.sin(angle) * y) / sx) ** 2 + (
        (math.cos(angle) * y - math.sin(angle) * x) / sy
    ) ** 2
    if kind == "gaussian":
        kernel = np.exp(-q / 2)
    elif kind == "generalised":
        beta = random.uniform(0.5, 1) if random.random() < 0.5 else random.uniform(1, 4)
        kernel = np.exp(-(q**beta) / 2)
    else:
        beta = 1.0 if random.random() < 0.5 else random.uniform(1, 2)
        kernel = 1 / (1 + q**beta)
    return _padded(kernel / kernel.sum())


def _sinc(cutoff: float, size: int) -> npt.NDArray[np.float64]:
    axis = np.arange(size) - size // 2
    r = np.hypot(*np.meshgrid(axis, axis))
    centre = r == 0
    r[centre] = 1
    kernel = cutoff * torch.special.bessel_j1(torch.from_numpy(cutoff * r)).numpy() / (2 * math.pi * r)
    kernel[centre] = cutoff**2 / (4 * math.pi)
    normalised: npt.NDArray[np.float64] = kernel / kernel.sum()
    return normalised


def _padded(kernel: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.pad(kernel, (_KERNEL - len(kernel)) // 2)


def blur(images: Tensor, kernels: Tensor) -> Tensor:
    """Each picture with its own (k, k) kernel, or all with one (1, k, k); grouped convolution, reflected border."""
    b, c, h, w = images.shape
    radius = kernels.shape[-1] // 2
    padded = functional.pad(images, (radius,) * 4, mode="reflect")
    if len(kernels) == 1:
        return functional.conv2d(padded.reshape(b * c, 1, *padded.shape[2:]), kernels[:, None]).reshape(b, c, h, w)
    weights = kernels[:, None].repeat(1, c, 1, 1).reshape(b * c, 1, *kernels.shape[1:])
    return functional.conv2d(padded.reshape(1, b * c, *padded.shape[2:]), weights, groups=b * c).reshape(b, c, h, w)


def _sharpening_line(device: torch.device) -> Tensor:
    sigma = 0.3 * ((51 - 1) * 0.5 - 1) + 0.8
    line = torch.exp(-0.5 * ((torch.arange(51, dtype=torch.float32, device=device) - 25) / sigma) ** 2)
    return line / line.sum()


def sharpen_dense(images: Tensor, weight: float = 0.5, threshold: float = 10.0) -> Tensor:
    """Unsharp mask with the 51x51 kernel as it stands."""
    line = _sharpening_line(images.device)
    kernel = torch.outer(line, line)[None]
    return _sharpened(images, lambda picture: blur(picture, kernel), weight, threshold)


def sharpen_separable(images: Tensor, weight: float = 0.5, threshold: float = 10.0) -> Tensor:
    """The same with two one-dimensional convolutions, laid out as torch is fastest: every plane its own group."""
    b, c, h, w = images.shape
    line = _sharpening_line(images.device)
    across = line.view(1, 1, 1, 51).repeat(b * c, 1, 1, 1)
    down = line.view(1, 1, 51, 1).repeat(b * c, 1, 1, 1)

    def soften(picture: Tensor) -> Tensor:
        padded = functional.pad(picture, (25,) * 4, mode="reflect").reshape(1, b * c, h + 50, w + 50)
        rows = functional.conv2d(padded, across, groups=b * c)
        return functional.conv2d(rows, down, groups=b * c).reshape(b, c, h, w)

    return _sharpened(images, soften, weight, threshold)


def _sharpened(images: Tensor, soften: Callable[[Tensor], Tensor], weight: float, threshold: float) -> Tensor:
    difference = images - soften(images)
    mask = soften((difference.abs() * 255 > threshold).float())
    sharp = (images + weight * difference).clip(0, 1)
    return mask * sharp + (1 - mask) * images


def gaussian_noise(images: Tensor, sigma: tuple[float, float], grey_share: float) -> Tensor:
    b, _, h, w = images.shape
    sigmas = torch.rand(b, device=images.device) * (sigma[1] - sigma[0]) + sigma[0]
    grey = (torch.rand(b, device=images.device) < grey_share).float().view(b, 1, 1, 1)
    noise = torch.randn(images.shape, device=images.device) * sigmas.view(b, 1, 1, 1) / 255
    if grey.sum() > 0:  # a host synchronisation, and one field for the whole batch
        field = torch.randn(h, w, device=images.device) * sigmas.view(b, 1, 1, 1) / 255
        noise = noise * (1 - grey) + field * grey
    return (images + noise).clip(0, 1)


def poisson_noise(images: Tensor, scale: tuple[float, float], grey_share: float) -> Tensor:
    b = len(images)
    scales = (torch.rand(b, device=images.device) * (scale[1] - scale[0]) + scale[0]).view(b, 1, 1, 1)
    grey = (torch.rand(b, device=images.device) < grey_share).float().view(b, 1, 1, 1)
    noise = _shot_noise(images)
    if grey.sum() > 0:
        weights = torch.tensor([0.2989, 0.587, 0.114], device=images.device).view(1, 3, 1, 1)
        noise = noise * (1 - grey) + _shot_noise((images * weights).sum(1, keepdim=True)).expand_as(images) * grey
    return (images + noise * scales).clip(0, 1)


def _shot_noise(images: Tensor) -> Tensor:
    rounded = (images * 255).round().clip(0, 255) / 255
    counts = [len(torch.unique(picture)) for picture in rounded]  # a sort and a synchronisation a picture
    levels = torch.tensor([2.0 ** math.ceil(math.log2(count)) for count in counts], device=images.device).view(
        -1, 1, 1, 1
    )
    return torch.poisson(rounded * levels) / levels - rounded


class DifferentiableJpeg:
    """JPEG as differentiable operations: 8x8 cosine transform by tensor product, soft rounding, chroma by averaging."""

    def __init__(self, device: torch.device) -> None:
        index = torch.arange(8, dtype=torch.float32, device=device)
        wave = torch.cos((2 * index[:, None] + 1) * index[None] * math.pi / 16)
        self._forward = torch.einsum("xu,yv->xyuv", wave, wave).contiguous()
        self._backward = torch.einsum("xu,yv->uvxy", wave, wave).contiguous()
        alpha = torch.tensor([1 / math.sqrt(2)] + [1.0] * 7, device=device)
        self._alpha = torch.outer(alpha, alpha)
        self._tables = [torch.from_numpy(table).to(device) for table in (_LUMA, _CHROMA, _CHROMA)]
        self._to_ycc = torch.tensor(
            [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], device=device
        ).T.contiguous()
        self._to_rgb = torch.tensor(
            [[1, 0, 1.402], [1, -0.344136, -0.714136], [1, 1.772, 0]], device=device
        ).T.contiguous()
        self._shift = torch.tensor([0.0, 128.0, 128.0], device=device)

    def __call__(self, images: Tensor, quality: Tensor) -> Tensor:
        b, _, h, w = images.shape
        factors = torch.empty(b, device=images.device)
        for number in range(b):
            value = quality[number]
            factors[number] = (50 / value) if value < 50 else (2 - value / 50)  # a synchronisation a picture
        padded = functional.pad(images, (0, -w % 16, 0, -h % 16)) * 255
        ycc = torch.tensordot(padded.permute(0, 2, 3, 1), self._to_ycc, dims=1) + self._shift
        planes = [ycc[..., 0]]
        planes += [functional.avg_pool2d(ycc[..., n].unsqueeze(1), 2).squeeze(1) for n in (1, 2)]
        planes = [self._code(plane, table, factors) for plane, table in zip(planes, self._tables, strict=True)]
        planes[1:] = [plane.repeat_interleave(2, 1).repeat_interleave(2, 2) for plane in planes[1:]]
        rgb = torch.tensordot(torch.stack(planes, -1) - self._shift, self._to_rgb, dims=1)
        cropped: Tensor = (rgb.permute(0, 3, 1, 2).clip(0, 255) / 255)[:, :, :h, :w]
        return cropped.contiguous()

    def _code(self, plane: Tensor, table: Tensor, factors: Tensor) -> Tensor:
        b, h, w = plane.shape
        blocks = plane.view(b, h // 8, 8, w // 8, 8).permute(0, 1, 3, 2, 4).reshape(b, -1, 8, 8) - 128
        coefficients = 0.25 * self._alpha * torch.tensordot(blocks, self._forward, dims=2)
        steps = table * factors.view(b, 1, 1, 1)
        levels = coefficients / steps
        rounded = levels.round()
        levels = (rounded + (levels - rounded) ** 3) * steps * self._alpha
        blocks = 0.25 * torch.tensordot(levels, self._backward, dims=2) + 128
        whole: Tensor = blocks.view(b, h // 8, w // 8, 8, 8).permute(0, 1, 3, 2, 4)
        return whole.reshape(b, h, w)


@dataclass
class PairPool:
    """180 pairs that are shuffled whole at every step, to mix pictures that were damaged alike."""

    size: int = 180
    inputs: Tensor | None = None
    targets: Tensor | None = None

    def exchange(self, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        if self.inputs is None or self.targets is None:
            size = self.size // len(low) * len(low)
            self.inputs = low.repeat(size // len(low), 1, 1, 1)
            self.targets = high.repeat(size // len(high), 1, 1, 1)
        order = torch.randperm(len(self.inputs))
        self.inputs, self.targets = self.inputs[order], self.targets[order]
        out = self.inputs[: len(low)].clone(), self.targets[: len(high)].clone()
        self.inputs[: len(low)], self.targets[: len(high)] = low, high
        return out


class TorchPipeline:
    """The whole of it. `repaired`: one separable unsharp mask a batch and no pool; `sharpen` False: none at all."""

    def __init__(self, device: torch.device, *, repaired: bool, sharpen: bool = True, seed: int = 0) -> None:
        self._jpeg = DifferentiableJpeg(device)
        self._repaired, self._sharpen = repaired, sharpen
        self._random = np.random.default_rng(seed)
        self._pool = PairPool()

    @torch.no_grad()
    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(input, target) of a batch (n, 3, h, w) in 0..1, x4."""
        random = self._random
        b, _, h, w = images.shape
        first = draw_kernels(random, b, (0.2, 3.0)).to(images.device)
        second = draw_kernels(random, b, (0.2, 1.5)).to(images.device)
        sincs = draw_sincs(random, b).to(images.device)
        source = images
        if self._sharpen:
            source = sharpen_separable(images) if self._repaired else sharpen_dense(images)
        out = blur(source, first)
        scale = self._scale((0.2, 0.7, 0.1), 1.5, 0.15)
        out = functional.interpolate(out, scale_factor=scale, mode=self._mode())
        out = self._noise(out, (1, 30), (0.05, 3.0))
        out = self._jpeg(out.clip(0, 1), self._quality(out))
        if random.random() < 0.8:
            out = blur(out, second)
        scale = self._scale((0.3, 0.4, 0.3), 1.2, 0.3)
        out = functional.interpolate(out, size=(int(h / 4 * scale), int(w / 4 * scale)), mode=self._mode())
        out = self._noise(out, (1, 25), (0.05, 2.5))
        if random.random() < 0.5:
            out = blur(functional.interpolate(out, size=(h // 4, w // 4), mode=self._mode()), sincs)
            out = self._jpeg(out.clip(0, 1), self._quality(out))
        else:
            out = self._jpeg(out.clip(0, 1), self._quality(out))
            out = blur(functional.interpolate(out, size=(h // 4, w // 4), mode=self._mode()), sincs)
        low = (out * 255).round().clip(0, 255) / 255
        if self._repaired or not self._sharpen:
            return low, source
        crop = min(64, h // 4, w // 4)
        top, left = (int(random.integers(0, side // 4 - crop + 1)) for side in (h, w))
        low = low[:, :, top : top + crop, left : left + crop].contiguous()
        plain = images[:, :, top * 4 : (top + crop) * 4, left * 4 : (left + crop) * 4].contiguous()
        low, plain = self._pool.exchange(low, plain)
        return low, sharpen_dense(plain)

    def _scale(self, shares: tuple[float, float, float], up: float, down: float) -> float:
        direction = self._random.choice(3, p=shares)
        if direction == 2:
            return 1.0
        return float(self._random.uniform(1, up) if direction == 0 else self._random.uniform(down, 1))

    def _mode(self) -> str:
        return str(self._random.choice(["area", "bilinear", "bicubic"]))

    def _noise(self, images: Tensor, sigma: tuple[float, float], scale: tuple[float, float]) -> Tensor:
        if self._random.random() < 0.5:
            return gaussian_noise(images, sigma, 0.4)
        return poisson_noise(images.clip(0, 1), scale, 0.4)

    def _quality(self, images: Tensor) -> Tensor:
        return torch.rand(len(images), device=images.device) * 65 + 30

"""Networks that tell made pictures from real ones. All take (n, 3, h, w) in 0..1 and give logits, not probabilities.

Statistics of batch normalisation are always those of the batch at hand, so a discriminator in eval mode changes
nothing when it looks at a picture: a generator's step leaves it untouched to the last buffer.
"""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from engine.models.arch import unet_discriminator
from engine.models.arch.unet_discriminator import UNetDiscriminatorArgs
from engine.wire_training import DiscriminatorConfig


class VggDiscriminator(nn.Module):
    """Convolutions that halve the picture while widening to 8x features, then two dense layers: one logit a picture.

    With 64 features, dense 1024 and a 96 crop it is SRGAN's; with dense 100 and a fifth level (crops of 128 and more)
    ESRGAN's. The number of levels follows the crop: the last map is 4 to 7 pixels wide.
    """

    def __init__(self, crop: int, features: int = 64, dense: int = 100, norm: str = "batch") -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs, side, width = 3, crop, features
        while side >= 8:
            first = not layers
            layers += [nn.Conv2d(inputs, width, 3, 1, 1), *([] if first else _norm(norm, width)), nn.LeakyReLU(0.2)]
            layers += [nn.Conv2d(width, width, 4, 2, 1), *_norm(norm, width), nn.LeakyReLU(0.2)]
            inputs, side, width = width, side // 2, min(2 * width, 8 * features)
        if not layers:
            raise ValueError(f"a crop of {crop} is too small for this discriminator: at least 8")
        self.crop = crop
        self.features = nn.Sequential(*layers)
        self.judge = nn.Sequential(nn.Linear(inputs * side * side, dense), nn.LeakyReLU(0.2), nn.Linear(dense, 1))

    def forward(self, picture: Tensor) -> Tensor:
        return cast(Tensor, self.judge(self.features(picture).flatten(1)))


class PatchDiscriminator(nn.Module):
    """A logit for each overlapping patch; three strided layers see patches of 70x70."""

    def __init__(self, features: int = 64, layers: int = 3, norm: str = "batch") -> None:
        super().__init__()
        parts: list[nn.Module] = [nn.Conv2d(3, features, 4, 2, 1), nn.LeakyReLU(0.2)]
        width = features
        for number in range(1, layers + 1):
            wider = min(width * 2, features * 8)
            stride = 2 if number < layers else 1
            bias = norm == "none"
            parts += [nn.Conv2d(width, wider, 4, stride, 1, bias=bias), *_norm(norm, wider), nn.LeakyReLU(0.2)]
            width = wider
        parts.append(nn.Conv2d(width, 1, 4, 1, 1))
        self.layers = nn.Sequential(*parts)

    def forward(self, picture: Tensor) -> Tensor:
        return cast(Tensor, self.layers(picture))


def _norm(kind: str, width: int) -> list[nn.Module]:
    match kind:
        case "batch":
            return [nn.BatchNorm2d(width, track_running_stats=False)]
        case "instance":
            return [nn.InstanceNorm2d(width, affine=True)]
        case _:
            return []


def build_discriminator(config: DiscriminatorConfig, crop: int) -> nn.Module:
    """`crop`: side of the pictures it will see."""
    match config.kind:
        case "unet-sn":
            return unet_discriminator.torch_module(UNetDiscriminatorArgs(config.features))
        case "vgg":
            return VggDiscriminator(crop, config.features, config.dense, config.norm)
        case "patch":
            return PatchDiscriminator(config.features, config.layers, config.norm)

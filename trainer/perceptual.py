"""Distance between the features that a VGG network sees, with weights from a file that the user names.

Two families of weights are about. Those of the original Caffe models take BGR in 0..255 minus the mean of each
channel; torchvision's take RGB in 0..1, normalised. Feeding one the other's pictures gives a loss that looks fine and
teaches nonsense, so the convention is read from the file's metadata (`convention`), else recognised by the first
values of the first layer, else asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.errors import Code, PellucidError
from engine.models.files import weights_hash
from engine.wire_training import LossConfig

Convention = Literal["caffe", "torchvision"]

CONVOLUTIONS = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
"""Convolutions of each of the five blocks; a 2x2 maximum stands between blocks."""
WIDTHS = (64, 128, 256, 512, 512)

FIRST_VALUES: dict[Convention, dict[str, tuple[float, float, float]]] = {
    "caffe": {"vgg16": (0.4294, 0.3735, -0.0614)},
    "torchvision": {"vgg16": (-0.5537, 0.1427, 0.5290), "vgg19": (-0.0535, -0.0493, -0.0679)},
}
"""First three values of features.0.weight[0, 0], in published weights."""


def layer_names(network: str) -> dict[str, int]:
    """convN_M -> number of that convolution in torchvision's `features`."""
    names: dict[str, int] = {}
    place = 0
    for block, count in enumerate(CONVOLUTIONS[network], start=1):
        for number in range(1, count + 1):
            names[f"conv{block}_{number}"] = place
            place += 2
        place += 1
    return names


class VggFeatures(nn.Module):
    """The convolutions of VGG16 or VGG19 up to the last layer wanted."""

    def __init__(self, network: str, weights: Mapping[str, Tensor], layers: list[str], convention: Convention) -> None:
        super().__init__()
        places = layer_names(network)
        wanted = {layer: "conv" + layer[4:] for layer in layers}
        for layer, convolution in wanted.items():
            if convolution not in places:
                raise PellucidError(
                    Code.CONFIG,
                    f"{network.upper()} has no layer {layer}.",
                    f"Its last one is {list(places)[-1]}.",
                    layer=layer,
                )
        self.layers = layers
        self.names = list(places)[: max(list(places).index(convolution) for convolution in wanted.values()) + 1]
        self.convolutions = nn.ModuleList()
        inputs = 3
        for name in self.names:
            width = WIDTHS[int(name[4]) - 1]
            convolution_layer = nn.Conv2d(inputs, width, 3, 1, 1)
            for part in ("weight", "bias"):
                key = f"features.{places[name]}.{part}"
                parameter = getattr(convolution_layer, part)
                if key not in weights or weights[key].shape != parameter.shape:
                    raise PellucidError(
                        Code.MODEL_CORRUPT,
                        f"The {network.upper()} weights lack {key} of shape {tuple(parameter.shape)}.",
                        "Name a file with torchvision's key names.",
                        key=key,
                    )
                parameter.data.copy_(weights[key])
            self.convolutions.append(convolution_layer)
            inputs = width
        self.convention = convention
        if convention == "caffe":
            mean, spread = (103.939, 116.779, 123.68), (1.0, 1.0, 1.0)
        else:
            mean, spread = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("spread", torch.tensor(spread).view(1, 3, 1, 1), persistent=False)
        self.requires_grad_(False)

    def prepare(self, picture: Tensor) -> Tensor:
        """RGB in 0..1 -> what the weights expect."""
        if self.convention == "caffe":
            picture = picture.flip(1) * 255.0
        return (picture - cast(Tensor, self.mean)) / cast(Tensor, self.spread)

    def forward(self, picture: Tensor) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        x = self.prepare(picture)
        block = "1"
        for name, convolution in zip(self.names, self.convolutions, strict=True):
            if name[4] != block:
                x, block = F.max_pool2d(x, 2), name[4]
            x = convolution(x)
            if name in self.layers:
                found[name] = x
            x = F.relu(x)
            relu = "relu" + name[4:]
            if relu in self.layers:
                found[relu] = x
        return found


def compare_directions(made: Tensor, true: Tensor) -> Tensor:
    """(n, c, h, w) each -> the mean over places of how far the features point apart, 0 to 4: LPIPS without its learned
    weights. How strong features are does not count, so that all layers speak as loud."""

    def unit(features: Tensor) -> Tensor:
        return features * (features.square().sum(1, keepdim=True) + 1e-10).rsqrt()

    return (unit(made) - unit(true)).square().sum(1).mean()


DISTANCES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "l1": F.l1_loss,
    "l2": F.mse_loss,
    "direction": compare_directions,
}


class PerceptualLoss(nn.Module):
    """Weighted distances between the features of the output and of the target."""

    def __init__(self, config: LossConfig) -> None:
        super().__init__()
        weights, metadata = _read(Path(config.weights_file).expanduser())
        convention = recognise(weights, metadata, config)
        self.features = VggFeatures(config.network, weights, list(config.layers), convention)
        self.layer_weights = dict(config.layers)
        self.distance = DISTANCES[config.criterion]

    def train(self, mode: bool = True) -> PerceptualLoss:
        return super().train(False)

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        made = self.features(output)
        with torch.no_grad():
            true = self.features(target)
        total = output.new_zeros(())
        for layer, weight in self.layer_weights.items():
            total = total + weight * self.distance(made[layer].float(), true[layer].float())
        return total


def identify_features(config: LossConfig) -> str:
    """Names what the loss sees with, whatever its file is called and whatever else is in that."""
    weights, metadata = _read(Path(config.weights_file).expanduser())
    convention = recognise(weights, metadata, config)
    features = VggFeatures(config.network, weights, list(config.layers), convention)
    return f"{convention}:{weights_hash({name: value.numpy() for name, value in features.state_dict().items()})}"


def recognise(weights: Mapping[str, Tensor], metadata: Mapping[str, str], config: LossConfig) -> Convention:
    """What the weights expect, by what the user said, the file says, or its first values are."""
    if config.convention != "auto":
        return config.convention
    said = metadata.get("convention", "")
    if said in ("caffe", "torchvision"):
        return cast(Convention, said)
    first = weights.get("features.0.weight")
    if first is not None and first.shape == (64, 3, 3, 3):
        values = first[0, 0].flatten()[:3].float()
        for convention, networks in FIRST_VALUES.items():
            expected = networks.get(config.network)
            if expected is not None and torch.allclose(values, torch.tensor(expected), atol=1e-3):
                return convention
    raise PellucidError(
        Code.CONFIG,
        f"Whether {config.weights_file} follows Caffe's or torchvision's convention cannot be told from the file.",
        'Set convention = "caffe" (BGR, 0..255, minus means) or "torchvision" (RGB, normalised) beside weights_file.',
        path=config.weights_file,
    )


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a .safetensors file, or of a .pth read without running anything in it."""
    if not path.is_file():
        raise PellucidError(Code.FILE_MISSING, f"The perceptual weights {path} are not there.", path=str(path))
    try:
        if path.suffix == ".safetensors":
            from safetensors import safe_open

            with safe_open(str(path), "pt") as file:
                return {key: file.get_tensor(key).float() for key in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
        state = torch.load(path, map_location="cpu", weights_only=True)
        return {key: value.float() for key, value in state.items() if isinstance(value, Tensor)}, {}
    except Exception as error:  # the readers raise a dozen types for a broken file
        raise PellucidError(
            Code.MODEL_CORRUPT, f"The perceptual weights {path} cannot be read: {error}.", path=str(path)
        ) from error

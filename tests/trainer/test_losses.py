"""Each loss against its formula, written again in float64 numpy, or against another library."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from safetensors.torch import save_file

from engine.errors import PellucidError
from engine.wire_training import LossConfig
from trainer.losses import WeightedLosses, charbonnier, l1, l2, psnr, total_variation
from trainer.perceptual import PerceptualLoss, layer_names

Array = npt.NDArray[np.float64]


@pytest.fixture
def pictures() -> tuple[torch.Tensor, torch.Tensor, Array, Array]:
    random = np.random.default_rng(1)
    a, b = random.random((2, 3, 12, 10)), random.random((2, 3, 12, 10))
    return torch.from_numpy(a).float(), torch.from_numpy(b).float(), a, b


def test_l1_l2_and_charbonnier(pictures: tuple[torch.Tensor, torch.Tensor, Array, Array]) -> None:
    x, y, a, b = pictures
    assert float(l1(x, y)) == pytest.approx(np.abs(a - b).mean(), rel=1e-6)
    assert float(l2(x, y)) == pytest.approx(((a - b) ** 2).mean(), rel=1e-6)
    assert float(charbonnier(x, y, 1e-2)) == pytest.approx(np.sqrt((a - b) ** 2 + 1e-4).mean(), rel=1e-6)


def test_the_psnr_loss_is_minus_the_mean_of_each_pictures_psnr(
    pictures: tuple[torch.Tensor, torch.Tensor, Array, Array],
) -> None:
    x, y, a, b = pictures
    each = [10 * np.log10(1 / ((a[i] - b[i]) ** 2).mean()) for i in range(2)]
    assert float(psnr(x, y)) == pytest.approx(-np.mean(each), rel=1e-6)
    assert torch.isfinite(psnr(x, x))


def test_total_variation_sees_steps_and_nothing_else(
    pictures: tuple[torch.Tensor, torch.Tensor, Array, Array],
) -> None:
    x, y, a, _ = pictures
    expected = np.abs(np.diff(a, axis=2)).mean() + np.abs(np.diff(a, axis=3)).mean()
    assert float(total_variation(x, y)) == pytest.approx(expected, rel=1e-6)
    assert float(total_variation(torch.full((1, 3, 4, 4), 0.3), y)) == 0.0


def test_losses_come_weighted_by_name_and_equal_kinds_stay_apart() -> None:
    losses = WeightedLosses([LossConfig(kind="l1", weight=2.0), LossConfig(kind="l1", weight=3.0)])
    values = losses(torch.zeros(1, 3, 4, 4), torch.ones(1, 3, 4, 4))
    assert {name: float(value) for name, value in values.items()} == {"l1": 2.0, "l1'": 3.0}


PLANS = {
    "vgg16": "64 64 M 128 128 M 256 256 256 M 512 512 512 M 512 512 512 M",
    "vgg19": "64 64 M 128 128 M 256 256 256 256 M 512 512 512 512 M 512 512 512 512 M",
}
"""Configurations D and E of the VGG paper: widths of the convolutions, M a 2x2 maximum."""


def make_weights(network: str, path: Path, metadata: dict[str, str] | None = None) -> torch.nn.Sequential:
    """The network as a plain sequence, which is how the published files number their layers."""
    torch.manual_seed(5)
    modules: list[torch.nn.Module] = []
    inputs = 3
    for part in PLANS[network].split():
        if part == "M":
            modules.append(torch.nn.MaxPool2d(2, 2))
        else:
            modules += [torch.nn.Conv2d(inputs, int(part), 3, padding=1), torch.nn.ReLU()]
            inputs = int(part)
    features = torch.nn.Sequential(*modules).eval()
    save_file({f"features.{name}": value for name, value in features.state_dict().items()}, str(path), metadata or {})
    return features


@pytest.mark.parametrize("network", ["vgg16", "vgg19"])
@pytest.mark.parametrize("layer", ["conv3_2", "relu3_2", "conv1_1", "relu2_2"])
def test_features_are_those_of_torchvisions_network(network: str, layer: str, tmp_path: Path) -> None:
    reference = make_weights(network, tmp_path / "w.safetensors", {"convention": "torchvision"})
    config = LossConfig(
        kind="perceptual",
        network=network,
        weights_file=str(tmp_path / "w.safetensors"),
        layers={layer: 2.0},
    )
    loss = PerceptualLoss(config)
    torch.manual_seed(0)
    x, y = torch.rand(1, 3, 24, 24), torch.rand(1, 3, 24, 24)
    last = layer_names(network)["conv" + layer[4:]] + (1 if layer.startswith("relu") else 0)
    part = reference[: last + 1]

    def normalise(rgb: torch.Tensor) -> torch.Tensor:
        mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
        return (rgb - mean.view(1, 3, 1, 1)) / deviation.view(1, 3, 1, 1)

    expected = 2.0 * (part(normalise(x)) - part(normalise(y))).abs().mean()
    assert float(loss(x, y)) == pytest.approx(expected.item(), rel=1e-5)


def test_directions_of_features_are_compared_as_lpips_does_before_its_learned_weights(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    reference = make_weights("vgg16", path, {"convention": "caffe"})[:4]
    loss = PerceptualLoss(
        LossConfig(
            kind="perceptual",
            network="vgg16",
            weights_file=str(path),
            layers={"relu1_2": 0.5},
            criterion="direction",
        )
    )
    torch.manual_seed(0)
    x, y = torch.rand(2, 3, 12, 16), torch.rand(2, 3, 12, 16)
    features = [reference(loss.features.prepare(picture)).detach().double().numpy() for picture in (x, y)]
    units = [array / np.linalg.norm(array, axis=1, keepdims=True) for array in features]
    cosine = (units[0] * units[1]).sum(1)
    assert float(loss(x, y)) == pytest.approx(0.5 * (2 - 2 * cosine).mean(), rel=1e-4)

    dark = torch.zeros(1, 3, 12, 16, requires_grad=True)
    loss(dark, y[:1]).backward()  # type: ignore[no-untyped-call]
    assert dark.grad is not None
    assert dark.grad.isfinite().all()


def test_the_last_layer_before_activation_is_conv5_4_of_vgg19() -> None:
    names = layer_names("vgg19")
    assert names["conv5_4"] == 34
    assert layer_names("vgg16")["conv5_3"] == 28
    assert "conv5_4" not in layer_names("vgg16")


def test_caffe_weights_are_fed_bgr_of_0_to_255_without_its_means(tmp_path: Path) -> None:
    path = tmp_path / "caffe.safetensors"
    reference = make_weights("vgg16", path, {"convention": "caffe"})
    loss = PerceptualLoss(
        LossConfig(kind="perceptual", network="vgg16", weights_file=str(path), layers={"conv1_1": 1.0}, criterion="l2")
    )
    torch.manual_seed(0)
    x, y = torch.rand(1, 3, 8, 8), torch.rand(1, 3, 8, 8)

    def caffe(rgb: torch.Tensor) -> torch.Tensor:
        red, green, blue = (rgb[:, channel : channel + 1] * 255 for channel in range(3))
        return reference[0](torch.cat([blue - 103.939, green - 116.779, red - 123.68], 1))

    expected = (caffe(x) - caffe(y)).square().mean().item()
    assert float(loss(x, y)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("network", "first", "convention"),
    [
        ("vgg16", (-0.5537, 0.1427, 0.5290), "torchvision"),
        ("vgg16", (0.4294, 0.3735, -0.0614), "caffe"),
        ("vgg19", (-0.053474, -0.049257, -0.067942), "torchvision"),
    ],
)
def test_published_weights_are_recognised_by_their_first_values(
    network: str, first: tuple[float, ...], convention: str, tmp_path: Path
) -> None:
    path = tmp_path / "w.safetensors"
    features = make_weights(network, path)
    features[0].weight.data[0, 0, 0] = torch.tensor(first)
    save_file({f"features.{name}": value for name, value in features.state_dict().items()}, str(path))
    config = LossConfig(
        kind="perceptual",
        network=network,
        weights_file=str(path),
        layers={"conv1_1": 1.0},
    )
    assert PerceptualLoss(config).features.convention == convention


def test_unknown_weights_are_asked_about_and_the_answer_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "own.safetensors"
    make_weights("vgg16", path)
    config = LossConfig(kind="perceptual", network="vgg16", weights_file=str(path), layers={"conv1_1": 1.0})
    with pytest.raises(PellucidError, match="convention cannot be told") as caught:
        PerceptualLoss(config)
    assert "caffe" in caught.value.hint
    said = LossConfig(
        kind="perceptual", network="vgg16", weights_file=str(path), layers={"conv1_1": 1.0}, convention="caffe"
    )
    assert PerceptualLoss(said).features.convention == "caffe"


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "not there"), (b"", "cannot be read"), (b"\x10\0\0\0\0\0\0\0{}", "cannot be read")],
)
def test_missing_and_broken_weights_end_in_a_sentence(content: bytes | None, words: str, tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(PellucidError, match=words):
        PerceptualLoss(LossConfig(kind="perceptual", network="vgg16", weights_file=str(path)))


def test_weights_of_the_wrong_network_end_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    make_weights("vgg16", path, {"convention": "torchvision"})
    with pytest.raises(PellucidError, match="lack features"):
        PerceptualLoss(LossConfig(kind="perceptual", network="vgg19", weights_file=str(path)))
    with pytest.raises(PellucidError, match="no layer conv5_4"):
        PerceptualLoss(LossConfig(kind="perceptual", network="vgg16", weights_file=str(path)))

"""The games against their formulas in float64 numpy, and discriminators by their shapes and numbers."""

from __future__ import annotations

import copy
import subprocess
import sys

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import nn

from engine.models.arch.unet_discriminator import UNetDiscriminatorArgs, parameter_shapes
from engine.wire_training import DiscriminatorConfig
from trainer.adversarial import discriminator_loss, generator_loss, gradient_penalty
from trainer.discriminators import build_discriminator

Array = npt.NDArray[np.float64]


def unet_judge(features: int) -> nn.Module:
    return build_discriminator(DiscriminatorConfig(kind="unet-sn", features=features), 128)


def sigmoid(x: Array | float) -> Array:
    return np.asarray(1 / (1 + np.exp(-np.asarray(x, np.float64))))


def log(x: Array) -> Array:
    return np.log(x)


def relativistic(real: Array, fake: Array) -> tuple[float, float]:
    """D_Ra(a, b) = s(C(a) - E[C(b)]); the formulas of ESRGAN, term by term."""
    d_real, d_fake = sigmoid(real - fake.mean()), sigmoid(fake - real.mean())
    judge = -log(d_real).mean() - log(1 - d_fake).mean()
    maker = -log(1 - d_real).mean() - log(d_fake).mean()
    return float(judge), float(maker)


def expected(kind: str, real: Array, fake: Array) -> tuple[float, float]:
    match kind:
        case "vanilla":
            return (
                float(-log(sigmoid(real)).mean() - log(1 - sigmoid(fake)).mean()),
                float(-log(sigmoid(fake)).mean()),
            )
        case "lsgan":
            return float(((real - 1) ** 2).mean() + (fake**2).mean()), float(((fake - 1) ** 2).mean())
        case "hinge":
            judge = np.maximum(0, 1 - real).mean() + np.maximum(0, 1 + fake).mean()
            return float(judge), float(-fake.mean())
        case "wgan-gp":
            return float(fake.mean() - real.mean()), float(-fake.mean())
    return relativistic(real, fake)


@pytest.mark.parametrize("kind", ["vanilla", "lsgan", "wgan-gp", "hinge", "relativistic"])
def test_both_sides_of_every_game_follow_their_formula(kind: str) -> None:
    random = np.random.default_rng(3)
    real, fake = random.normal(0.5, 2, (4, 1, 5, 5)), random.normal(-0.5, 2, (4, 1, 5, 5))
    judge, maker = expected(kind, real, fake)
    x, y = torch.from_numpy(real), torch.from_numpy(fake)
    assert float(discriminator_loss(kind, x, y)) == pytest.approx(judge, rel=1e-5)
    assert float(generator_loss(kind, x, y)) == pytest.approx(maker, rel=1e-5)


@pytest.mark.parametrize("kind", ["vanilla", "relativistic"])
def test_extreme_logits_stay_finite(kind: str) -> None:
    huge = torch.tensor([1e4, -1e4])
    assert torch.isfinite(discriminator_loss(kind, huge, -huge))
    assert torch.isfinite(generator_loss(kind, huge, -huge))


def test_the_gradient_penalty_of_a_linear_judge_is_known() -> None:
    class Linear(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.tensor(0.25))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return (self.weight * x).flatten(1).sum(1, keepdim=True)

    judge = Linear()
    real, fake = torch.rand(3, 3, 4, 4), torch.rand(3, 3, 4, 4)
    penalty = gradient_penalty(judge, real, fake, torch.rand(3, 1, 1, 1))
    norm = 0.25 * np.sqrt(3 * 4 * 4)
    assert penalty.item() == pytest.approx((norm - 1) ** 2, rel=1e-5)
    penalty.backward()
    assert judge.weight.grad is not None
    assert float(judge.weight.grad) == pytest.approx(2 * (norm - 1) * np.sqrt(48), rel=1e-5)


def test_the_u_net_of_24_features_has_exactly_616057_parameters() -> None:
    judge = build_discriminator(DiscriminatorConfig(kind="unet-sn", features=24), 128)
    assert sum(parameter.numel() for parameter in judge.parameters()) == 616_057


@pytest.mark.parametrize("features", [4, 24])
def test_the_shapes_told_without_torch_are_those_of_the_u_net(features: int) -> None:
    judge = unet_judge(features)
    shapes = parameter_shapes(UNetDiscriminatorArgs(features))
    assert {name: tuple(value.shape) for name, value in judge.named_parameters()} == shapes


def test_the_architectures_are_counted_without_loading_torch() -> None:
    program = (
        "import sys; from engine.models.presets import DISCRIMINATORS;"
        "print(*((judge.id, judge.parameters) for judge in DISCRIMINATORS)); assert 'torch' not in sys.modules"
    )
    told = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    assert "('unet-sn-24', 616057)" in told


def test_the_u_net_judges_every_pixel() -> None:
    assert unet_judge(8)(torch.rand(2, 3, 32, 48)).shape == (2, 1, 32, 48)


@pytest.mark.parametrize("crop", [32, 96, 128, 192, 200])
def test_the_vgg_judge_takes_any_crop(crop: int) -> None:
    judge = build_discriminator(DiscriminatorConfig(kind="vgg", features=4, dense=10), crop)
    assert judge(torch.rand(2, 3, crop, crop)).shape == (2, 1)


def test_the_vgg_judge_of_a_96_crop_has_eight_convolutions_from_64_to_512_and_1024_dense() -> None:
    with torch.device("meta"):
        judge = build_discriminator(DiscriminatorConfig(kind="vgg", features=64, dense=1024), 96)
    widths = [module.out_channels for module in judge.modules() if isinstance(module, nn.Conv2d)]
    assert widths == [64, 64, 128, 128, 256, 256, 512, 512]
    assert [module.out_features for module in judge.modules() if isinstance(module, nn.Linear)] == [1024, 1]


def test_three_layers_of_the_patch_judge_see_70_pixels() -> None:
    judge = build_discriminator(DiscriminatorConfig(kind="patch", features=4, norm="none"), 128)
    picture = torch.rand(1, 3, 128, 128, requires_grad=True)
    judge(picture)[0, 0, 7, 7].backward()
    assert picture.grad is not None
    touched = picture.grad.abs().sum((0, 1))
    rows, columns = touched.sum(1).nonzero(), touched.sum(0).nonzero()
    assert int(rows.max() - rows.min()) + 1 == 70
    assert int(columns.max() - columns.min()) + 1 == 70


@pytest.mark.parametrize("kind", ["unet-sn", "vgg", "patch"])
def test_a_judge_in_eval_mode_keeps_every_buffer(kind: str) -> None:
    judge = build_discriminator(DiscriminatorConfig(kind=kind, features=4, dense=8), 32)
    judge.eval()
    before = copy.deepcopy(judge.state_dict())
    judge(torch.rand(2, 3, 32, 32))
    assert all(torch.equal(before[name], value) for name, value in judge.state_dict().items())


def test_spectral_norm_brings_the_largest_singular_value_to_one() -> None:
    torch.manual_seed(0)
    judge = unet_judge(8).train()
    for _ in range(200):
        judge(torch.rand(1, 3, 16, 16))
    judge.eval()
    for layer in [*judge.down, *judge.up, *judge.tail]:
        weight = layer.weight.detach().flatten(1)
        assert float(torch.linalg.matrix_norm(weight, 2)) == pytest.approx(1.0, rel=0.02)

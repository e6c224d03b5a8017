"""What a generator is pulled by: distances between its picture and the true one, as means over every value.

Pictures are (n, 3, h, w) in 0..1. Every loss is computed in float32, whatever the network computed in.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.wire_training import LossConfig
from trainer.perceptual import PerceptualLoss

Loss = Callable[[Tensor, Tensor], Tensor]
"""(output, target) -> scalar."""


def l1(output: Tensor, target: Tensor) -> Tensor:
    return F.l1_loss(output, target)


def l2(output: Tensor, target: Tensor) -> Tensor:
    return F.mse_loss(output, target)


def charbonnier(output: Tensor, target: Tensor, epsilon: float) -> Tensor:
    """Mean of sqrt(d^2 + epsilon^2): L1 with a smooth bottom."""
    return ((output - target).square() + epsilon * epsilon).sqrt().mean()


def psnr(output: Tensor, target: Tensor) -> Tensor:
    """Mean over the pictures of -PSNR in dB for a peak of 1, i.e. 10 log10(MSE + 1e-8)."""
    error = (output - target).square().flatten(1).mean(1)
    return (10.0 / math.log(10.0)) * torch.log(error + 1e-8).mean()


def total_variation(output: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference of neighbours down plus that of neighbours across; the target does not matter."""
    down = (output[:, :, 1:, :] - output[:, :, :-1, :]).abs().mean()
    across = (output[:, :, :, 1:] - output[:, :, :, :-1]).abs().mean()
    return down + across


class WeightedLosses(nn.Module):
    """Several losses, each with its weight. Holds no parameter that learns."""

    def __init__(self, configs: Sequence[LossConfig]) -> None:
        super().__init__()
        self.terms: list[tuple[str, float, Loss]] = []
        self.networks = nn.ModuleList()
        for config in configs:
            name: str = config.kind
            while any(name == other for other, _, _ in self.terms):
                name += "'"
            self.terms.append((name, config.weight, self._build(config)))

    def _build(self, config: LossConfig) -> Loss:
        match config.kind:
            case "l1":
                return l1
            case "l2":
                return l2
            case "charbonnier":
                return lambda output, target: charbonnier(output, target, config.epsilon)
            case "psnr":
                return psnr
            case "tv":
                return total_variation
            case "perceptual":
                network = PerceptualLoss(config)
                self.networks.append(network)
                return network

    def forward(self, output: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Name -> weighted value; their sum is the loss."""
        output = output.float()
        return {name: weight * loss(output, target) for name, weight, loss in self.terms}

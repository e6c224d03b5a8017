"""The running average of a network's weights: smoother than the weights themselves, and what is validated and kept."""

from __future__ import annotations

import copy
from typing import cast

import torch
from torch import nn


class AveragedWeights:
    """average <- decay * average + (1 - decay) * weights after every step; buffers are copied.

    Starts as a copy, so no bias correction is needed.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.network = copy.deepcopy(network).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        mine: list[torch.Tensor] = list(self.network.parameters())
        theirs = [parameter.detach() for parameter in network.parameters()]
        torch._foreach_lerp_(mine, theirs, 1.0 - self.decay)
        for average, now in zip(self.network.buffers(), network.buffers(), strict=True):
            average.copy_(now)

    @torch.no_grad()
    def reset(self, network: nn.Module) -> None:
        """Start again from these weights."""
        self.network.load_state_dict(network.state_dict())

    def state_dict(self) -> dict[str, torch.Tensor]:
        return cast(dict[str, torch.Tensor], self.network.state_dict())

    def load_state_dict(self, state: dict[str, torch.Tensor]) -> None:
        self.network.load_state_dict(state)

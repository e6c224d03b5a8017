"""The running average of a network's weights: smoother than the weights themselves, and what is validated and kept."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn


class AveragedWeights:
    """average <- d * average + (1 - d) * weights after every step; buffers are copied.

    Starts as a copy of the weights. In step n (from 1) d = min(decay, n / (n + 9)), so that the weights of the start
    are soon forgotten in a short run too.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.steps = 0
        self.network = copy.deepcopy(network).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        self.steps += 1
        decay = min(self.decay, self.steps / (self.steps + 9.0))
        mine: list[torch.Tensor] = list(self.network.parameters())
        theirs = [parameter.detach() for parameter in network.parameters()]
        torch._foreach_lerp_(mine, theirs, 1.0 - decay)
        for average, now in zip(self.network.buffers(), network.buffers(), strict=True):
            average.copy_(now)

    def state_dict(self) -> dict[str, Any]:
        return {"steps": self.steps, "network": self.network.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.steps = state["steps"]
        self.network.load_state_dict(state["network"])

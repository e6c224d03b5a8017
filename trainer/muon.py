"""Muon: steps of one length along every direction in which a layer can change.

The momentum of a layer's kernel, seen as a matrix, is dominated by a few directions; the step is taken along the
nearest matrix whose directions all count alike, found by products of matrices (Newton and Schulz).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

SMALLEST_SIDE = 16
"""Channels below which a kernel has no directions to speak of: the first and often the last layer's."""
_STEP = 0.2
"""Root mean square of a step, as a share of the learning rate: about Adam's, so that rates mean the same to both."""
_A, _B, _C = 3.4445, -4.7750, 2.0315
"""x -> a x + b x^3 + c x^5 brings singular values from nearly 0 to about 1 in five rounds (between 0.7 and 1.2)."""
_ROUNDS = 5


def is_kernel(parameter: Tensor) -> bool:
    """Whether Muon is for this parameter: a matrix, or a convolution's kernel, from many channels to many."""
    return parameter.ndim in (2, 4) and min(parameter.shape[:2]) >= SMALLEST_SIDE


def even_out(matrices: Tensor) -> Tensor:
    """(n, rows, columns) float32 -> the same singular vectors, all singular values about 1."""
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if tall else matrices
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp_min(1e-12)
    for _ in range(_ROUNDS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=_B, alpha=_C), x, beta=_A)
    return x.mT if tall else x


class Muon(torch.optim.Optimizer):
    """For kernels only (`is_kernel`); what else a network learns is AdamW's."""

    def __init__(self, kernels: Iterable[Tensor], lr: float, momentum: float, weight_decay: float) -> None:
        super().__init__(kernels, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """`closure` is there because every optimizer has one; nothing here calls it."""
        for group in self.param_groups:
            alike: dict[tuple[int, int], list[tuple[Tensor, Tensor]]] = {}
            for kernel in group["params"]:
                if kernel.grad is None:
                    continue
                state = self.state[kernel]
                if not state:
                    state["momentum"] = torch.zeros_like(kernel)
                past = state["momentum"].lerp_(kernel.grad, 1 - group["momentum"])
                ahead = kernel.grad.lerp(past, group["momentum"]).reshape(len(kernel), -1)
                alike.setdefault((ahead.shape[0], ahead.shape[1]), []).append((kernel, ahead))
            for shape, pairs in alike.items():
                length = _STEP * group["lr"] * max(shape) ** 0.5
                directions = even_out(torch.stack([ahead for _, ahead in pairs]))
                for (kernel, _), direction in zip(pairs, directions, strict=True):
                    kernel.mul_(1 - group["lr"] * group["weight_decay"])
                    kernel.sub_(direction.reshape(kernel.shape), alpha=length)

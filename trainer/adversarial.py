"""The game between generator and discriminator, as formulas of their logits.

With C(x) the discriminator's logit, xr a real and xf a made picture, s the logistic function:

    vanilla       L_D = -E[log s(C(xr))] - E[log(1 - s(C(xf)))]            L_G = -E[log s(C(xf))]
    lsgan         L_D = E[(C(xr) - 1)^2] + E[C(xf)^2]                      L_G = E[(C(xf) - 1)^2]
    hinge         L_D = E[max(0, 1 - C(xr))] + E[max(0, 1 + C(xf))]        L_G = -E[C(xf)]
    wgan-gp       L_D = E[C(xf)] - E[C(xr)] + w E[(|grad C(xi)| - 1)^2]    L_G = -E[C(xf)]
    relativistic  D(a, b) = s(C(a) - E[C(b)])
                  L_D = -E[log D(xr, xf)] - E[log(1 - D(xf, xr))]
                  L_G = -E[log(1 - D(xr, xf))] - E[log D(xf, xr)]
"""

from __future__ import annotations

from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.nn import functional as F

GanLoss = Literal["vanilla", "lsgan", "wgan-gp", "hinge", "relativistic"]


def discriminator_loss(kind: GanLoss, real: Tensor, fake: Tensor) -> Tensor:
    """`real`, `fake`: logits of any equal shape. Without the penalty of wgan-gp."""
    real, fake = real.float(), fake.float()
    match kind:
        case "vanilla":
            return F.softplus(-real).mean() + F.softplus(fake).mean()
        case "lsgan":
            return (real - 1).square().mean() + fake.square().mean()
        case "hinge":
            return F.relu(1 - real).mean() + F.relu(1 + fake).mean()
        case "wgan-gp":
            return fake.mean() - real.mean()
        case "relativistic":
            return F.softplus(mean_of_all(fake) - real).mean() + F.softplus(fake - mean_of_all(real)).mean()


def generator_loss(kind: GanLoss, real: Tensor, fake: Tensor) -> Tensor:
    """`real` is only looked at by the relativistic loss, and should come without a gradient."""
    real, fake = real.float(), fake.float()
    match kind:
        case "vanilla":
            return F.softplus(-fake).mean()
        case "lsgan":
            return (fake - 1).square().mean()
        case "hinge" | "wgan-gp":
            return -fake.mean()
        case "relativistic":
            return F.softplus(real - mean_of_all(fake)).mean() + F.softplus(mean_of_all(real) - fake).mean()


def gradient_penalty(discriminator: nn.Module, real: Tensor, fake: Tensor, mix: Tensor) -> Tensor:
    """E[(|grad C(x)|_2 - 1)^2] at x = mix * real + (1 - mix) * fake; `mix`: (n, 1, 1, 1) in 0..1."""
    between = (mix * real + (1 - mix) * fake).detach().requires_grad_(True)
    logits = discriminator(between)
    (gradient,) = torch.autograd.grad(logits.float().flatten(1).mean(1).sum(), between, create_graph=True)
    penalty: Tensor = (gradient.flatten(1).norm(dim=1) - 1).square().mean()
    return penalty


def mean_of_all(logits: Tensor) -> Tensor:
    """Mean over the batch of all processes together, differentiable, so that several processes equal one."""
    mean = logits.mean()
    if dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1:
        return cast(Tensor, _SumOfAll.apply(mean)) / dist.get_world_size()  # type: ignore[no-untyped-call]
    return mean


class _SumOfAll(torch.autograd.Function):
    """The sum over all processes, each of which also hears what the sum did to the losses of the others."""

    @staticmethod
    def forward(ctx: object, value: Tensor) -> Tensor:
        return _sum_of_all(value)

    @staticmethod
    def backward(ctx: object, *gradients: Tensor) -> Tensor:
        return _sum_of_all(gradients[0])


def _sum_of_all(value: Tensor) -> Tensor:
    total = value.detach().clone()
    dist.all_reduce(total)
    return total
